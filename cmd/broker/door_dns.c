/*
 * door_dns: how messages come and go at the UPDATE door, by UDP and TCP, whether their signature is
 * good, and the queries that clients send to what they believe is the primary.
 */
#include "door_dns.h"

#include <search.h>

#define TCP_IDLE_US ((int64_t)30 * 1000000)
#define TCP_MAX 2000 /* connections */
#define TASKS_MAX 64 /* updates at once of one connection */
#define MESSAGE_MAX 65535
#define REPLAY_S (TSIG_FUDGE_S + 1) /* how long after it was signed it may come */
#define REPLAYS_MAX 100000
#define SOA_MINIMUM_S 30
#define TYPE_AXFR 252
#define TYPE_IXFR 251

static void conn_drop(struct conn_dns *conn);
static void take_messages(struct conn_dns *conn);
static void send_wire(struct dns_door *door, const struct dns_from *from, const struct buf *wire);

/* ---- replays -------------------------------------------------------------------- */

static int by_mac(const void *a, const void *b)
{
	const struct tsig_mac *x = &((const struct replay *)a)->mac;
	const struct tsig_mac *y = &((const struct replay *)b)->mac;

	return x->len != y->len ? (x->len < y->len ? -1 : 1) : memcmp(x->mac, y->mac, x->len);
}

static struct replay *find_replay(struct dns_door *door, const struct tsig_mac *mac)
{
	struct replay key = { .mac = *mac };
	struct replay **found = tfind(&key, &door->replays, by_mac);

	return found ? *found : NULL;
}

/* In the order in which they came, which clocks that differ make a little late. */
static void replays_expire(struct dns_door *door, int64_t now_s)
{
	while (door->oldest && door->oldest->until_s <= now_s) {
		struct replay *replay = door->oldest;

		door->oldest = replay->newer;
		door->newest = door->oldest ? door->newest : NULL;
		door->replay_count--;
		tdelete(replay, &door->replays, by_mac);
		buf_clear(&replay->answer);
		free(replay);
	}
}

/* True: it was seen before; its old answer is sent again once there is one. */
static bool is_replay(struct dns_door *door, const struct dns_from *from,
		      const struct dns_request *request)
{
	int64_t now_s = world_wall_s(door->broker->world);
	struct replay *replay = find_replay(door, &request->tsig->mac);

	if (replay) {
		if (replay->answer.len > 0) {
			send_wire(door, from, &replay->answer);
		}
		return true;
	}
	replays_expire(door, now_s);
	replay = xcalloc(1, sizeof(*replay));
	replay->mac = request->tsig->mac;
	replay->until_s = request->tsig->time_s + REPLAY_S;
	buf_init(&replay->answer, MESSAGE_MAX);
	if (door->newest) {
		door->newest->newer = replay;
	} else {
		door->oldest = replay;
	}
	door->newest = replay;
	tsearch(replay, &door->replays, by_mac);
	door->replay_count++;
	return false;
}

/* ---- sending -------------------------------------------------------------------- */

static void send_wire(struct dns_door *door, const struct dns_from *from, const struct buf *wire)
{
	const struct world_ops *ops = door->broker->world->ops;
	uint8_t len[2] = { (uint8_t)(wire->len >> 8), (uint8_t)wire->len };
	struct buf framed = BUF_INIT(MESSAGE_MAX + 2);

	if (!from->conn) {
		ops->dgram_reply(door->udp, &from->dgram, wire->data, wire->len);
		return;
	}
	if (!from->conn->gone) {
		buf_add(&framed, len, 2);
		buf_add(&framed, wire->data, wire->len);
		ops->stream_write(from->conn->stream, framed.data, framed.len);
		buf_clear(&framed);
	}
}

struct answer {
	unsigned rcode;
	bool aa;
	const struct dns_answer_rr *rr;
	size_t rr_count;
	enum tsig_verdict verdict;
};

static void send_answer(struct dns_door *door, const struct dns_from *from, const uint8_t *wire,
			const struct dns_request *request, const struct answer *answer)
{
	const struct tsig_claim *claim = request ? request->tsig : NULL;
	struct dns_reply reply = {
		.rcode = answer->rcode,
		.aa = answer->aa,
		.rr = answer->rr,
		.rr_count = answer->rr_count,
		.max = from->conn ? 0
		       : request  ? request->udp_max
				  : 512,
		.verdict = answer->verdict,
		.key = claim ? broker_tsig_key(door->broker, claim->key) : NULL,
		.now_s = world_wall_s(door->broker->world),
	};
	struct replay *replay;
	struct buf out;

	dns_reply_build(&out, wire, request, &reply);
	replay = claim && answer->verdict == TSIG_VERIFIED ? find_replay(door, &claim->mac) : NULL;
	if (replay && replay->answer.len == 0) {
		buf_add(&replay->answer, out.data, out.len);
	}
	send_wire(door, from, &out);
	buf_clear(&out);
}

void dns_send_rcode(struct dns_door *door, const struct dns_from *from, const uint8_t *wire,
		    const struct dns_request *request, unsigned rcode)
{
	send_answer(door, from, wire, request, &(struct answer){ .rcode = rcode });
}

/* ---- queries -------------------------------------------------------------------- */

/* The apex of the configured zone that name is in; NULL: of none. */
static const char *apex_of(const struct conf *conf, const char *name)
{
	const char *best = NULL;

	for (size_t i = 0; i < conf->zone_count; i++) {
		const struct conf_zone *zone = &conf->zone[i];
		const char *apex = zone->zone ? zone->zone : zone->suffix;

		if (strcmp(apex, ".") != 0 && name_under(name, apex) &&
		    (!best || name_labels(apex) > name_labels(best))) {
			best = apex;
		}
	}
	return best;
}

static void serve_query(struct dns_door *door, const struct dns_from *from, const uint8_t *wire,
			const struct dns_request *request)
{
	const char *apex = apex_of(door->broker->generation->conf, request->name);
	struct strlist values = { 0 };
	struct dns_answer_rr *rr;
	struct answer answer = { .aa = true };
	bool soa_asked = apex && strcmp(apex, request->name) == 0 && request->type == DNS_TYPE_SOA;

	if (!apex || request->type == TYPE_AXFR || request->type == TYPE_IXFR ||
	    request->type == DNS_TYPE_ANY) {
		dns_send_rcode(door, from, wire, request, DNS_REFUSED);
		return;
	}
	if (request->type == DNS_TYPE_TXT) {
		claim_values(door->broker, request->name, NULL, &values);
	}
	rr = xcalloc(values.count + 1, sizeof(*rr));
	for (size_t i = 0; i < values.count; i++) {
		rr[i] = (struct dns_answer_rr){ .section = DNS_ANSWER,
						.owner = request->name,
						.txt = values.item[i] };
	}
	answer.rr = rr;
	answer.rr_count = values.count;
	if (values.count == 0) {
		/* At the apex, or NODATA (RFC 2308 s.2.2): clients climb up by it. */
		rr[0] = (struct dns_answer_rr){
			.section = soa_asked ? DNS_ANSWER : DNS_AUTHORITY,
			.owner = apex,
			.ttl_s = SOA_MINIMUM_S,
			.soa_mname = apex,
			.soa_serial = (uint32_t)world_wall_s(door->broker->world),
		};
		answer.rr_count = 1;
	}
	send_answer(door, from, wire, request, &answer);
	free(rr);
	strlist_clear(&values);
}

/* ---- messages ------------------------------------------------------------------- */

static void audit_signature(struct dns_door *door, const struct dns_from *from,
			    const struct dns_request *request, enum tsig_verdict verdict)
{
	const char *why = verdict == TSIG_IS_BADKEY
				  ? "the key is not known, or of another algorithm"
			  : verdict == TSIG_IS_BADSIG ? "the signature is wrong"
						      : "the clocks differ too much";
	char text[ADDR_TEXT_MAX];
	char *sentence = xasprintf("key %s: %s", request->tsig->key, why);

	addr_format(text, &from->peer, 0);
	metrics_count(door->broker, "update", OUTCOME_REFUSED);
	audit_write(door->broker, &(struct audit){ .door = "update",
						   .action = "identify",
						   .from = text,
						   .verdict = "refused",
						   .reason = "tsig",
						   .text = sentence });
	free(sentence);
}

/* Takes request. True: its signature is good, or it has none and needs none. */
static bool is_authentic(struct dns_door *door, const struct dns_from *from, const uint8_t *wire,
			 size_t len, const struct dns_request *request)
{
	enum tsig_verdict verdict;

	if (!request->tsig) {
		if (request->opcode == DNS_OPCODE_UPDATE) {
			dns_send_rcode(door, from, wire, request, DNS_REFUSED);
		}
		return request->opcode == DNS_OPCODE_QUERY;
	}
	verdict = tsig_verify_request(wire, len, request,
				      broker_tsig_key(door->broker, request->tsig->key),
				      world_wall_s(door->broker->world));
	if (verdict != TSIG_VERIFIED) {
		audit_signature(door, from, request, verdict);
		send_answer(door, from, wire, request,
			    &(struct answer){ .rcode = DNS_NOTAUTH, .verdict = verdict });
	}
	return verdict == TSIG_VERIFIED;
}

static void serve_message(struct dns_door *door, const struct dns_from *from, const uint8_t *wire,
			  size_t len)
{
	struct dns_request *request = NULL;
	unsigned rcode;
	struct err err;

	if (dns_request_parse(wire, len, &request, &rcode, &err) != ERR_NONE) {
		if (rcode != DNS_NOERROR) {
			dns_send_rcode(door, from, wire, NULL, rcode);
		}
		return;
	}
	if (!is_authentic(door, from, wire, len, request)) {
		dns_request_free(request);
		return;
	}
	if (request->opcode == DNS_OPCODE_QUERY) {
		serve_query(door, from, wire, request);
		dns_request_free(request);
		return;
	}
	if (is_replay(door, from, request)) {
		dns_request_free(request);
	} else if (!door->broker->ready || door->replay_count > REPLAYS_MAX) {
		dns_send_rcode(door, from, wire, request, DNS_SERVFAIL);
		dns_request_free(request);
	} else {
		dns_serve_update(door, from, wire, request);
	}
}

static void on_datagram(void *arg, const struct dgram_from *from, const uint8_t *data, size_t len)
{
	struct dns_door *door = arg;
	struct dns_from where = { .dgram = *from, .peer = from->peer };

	serve_message(door, &where, data, len);
}

/* ---- TCP ------------------------------------------------------------------------ */

static void conn_drop(struct conn_dns *conn)
{
	struct dns_door *door = conn->door;
	struct world *world = door->broker->world;

	if (!conn->gone) {
		conn->gone = true;
		world->ops->stream_close(conn->stream);
		world_timer_cancel(world, conn->idle);
		conn->idle = NULL;
	}
	if (conn->tasks > 0) {
		return;
	}
	if (conn->prev) {
		conn->prev->next = conn->next;
	} else {
		door->conns = conn->next;
	}
	if (conn->next) {
		conn->next->prev = conn->prev;
	}
	door->conn_count--;
	buf_clear(&conn->in);
	free(conn);
}

void dns_conn_hold(struct conn_dns *conn)
{
	conn->tasks++;
}

void dns_conn_drop(struct conn_dns *conn)
{
	if (--conn->tasks == 0 && conn->gone) {
		conn_drop(conn);
	} else if (!conn->gone) {
		take_messages(conn); /* there may be more than it might do at once */
	}
}

static void on_idle(void *arg);

static void arm_idle(struct conn_dns *conn)
{
	struct world *world = conn->door->broker->world;

	world_timer_cancel(world, conn->idle);
	conn->idle = world_timer_start(world, TCP_IDLE_US, on_idle, conn);
}

/* RFC 7766 s.6.1: while an answer is awaited a connection is not idle. */
static void on_idle(void *arg)
{
	struct conn_dns *conn = arg;

	conn->idle = NULL;
	if (conn->tasks > 0) {
		arm_idle(conn);
	} else {
		conn_drop(conn);
	}
}

/* RFC 1035 s.4.2.2: two octets of length before each message. */
static void take_messages(struct conn_dns *conn)
{
	struct dns_from from = { .conn = conn, .peer = conn->peer };
	size_t at = 0;

	while (!conn->gone && conn->in.len - at >= 2 && conn->tasks < TASKS_MAX) {
		const uint8_t *data = (const uint8_t *)conn->in.data + at;
		size_t len = (size_t)data[0] << 8 | data[1];

		if (conn->in.len - at - 2 < len) {
			break;
		}
		at += 2 + len;
		arm_idle(conn); /* for a whole message: one that trickles in ends the connection */
		serve_message(conn->door, &from, data + 2, len);
	}
	if (at > 0) {
		memmove(conn->in.data, conn->in.data + at, conn->in.len - at);
		conn->in.len -= at;
	}
}

static void on_stream(void *arg, const struct world_stream_in *in)
{
	struct conn_dns *conn = arg;

	if (in->event == WORLD_STREAM_END) {
		conn_drop(conn);
		return;
	}
	if (in->event == WORLD_STREAM_DATA) {
		buf_add(&conn->in, in->data, in->len);
		if (conn->in.overflow) {
			conn_drop(conn);
			return;
		}
		take_messages(conn);
	}
}

static void on_connection(void *arg, struct world_stream *stream, const struct peer *peer)
{
	struct dns_door *door = arg;
	struct world *world = door->broker->world;
	struct conn_dns *conn;

	if (door->conn_count >= TCP_MAX) {
		world->ops->stream_close(stream);
		return;
	}
	conn = xcalloc(1, sizeof(*conn));
	conn->door = door;
	conn->stream = stream;
	conn->peer = peer->addr;
	buf_init(&conn->in, 2 * (MESSAGE_MAX + 2));
	conn->next = door->conns;
	if (conn->next) {
		conn->next->prev = conn;
	}
	door->conns = conn;
	door->conn_count++;
	arm_idle(conn);
	world->ops->stream_accept(stream, on_stream, conn);
}

/* ---- the door ------------------------------------------------------------------- */

/* The same port for both: what the system chose for one is asked for the other. */
struct dns_door *dns_door_open(struct broker *broker, const struct listen_at *udp,
			       const struct listen_at *tcp, struct err *err)
{
	const struct world_ops *ops = broker->world->ops;
	struct dns_door *door = xcalloc(1, sizeof(*door));
	struct listen_at beside = *udp;
	struct addr addr;

	door->broker = broker;
	door->tcp = ops->stream_listen(broker->world, tcp, on_connection, door, err);
	if (door->tcp) {
		addr = ops->listener_addr(door->tcp);
		beside.addr = &addr;
		door->udp = ops->dgram_listen(broker->world, &beside, on_datagram, door, err);
	}
	if (!door->udp) {
		dns_door_free(door);
		return NULL;
	}
	return door;
}

struct addr dns_door_addr(const struct dns_door *door)
{
	return door->broker->world->ops->listener_addr(door->tcp);
}

void dns_door_close(struct dns_door *door)
{
	if (door && door->tcp) {
		door->broker->world->ops->listener_close(door->tcp);
		door->tcp = NULL;
	}
}

void dns_door_free(struct dns_door *door)
{
	if (!door) {
		return;
	}
	dns_door_close(door);
	for (struct conn_dns *conn = door->conns; conn; conn = conn->next) {
		conn->in.len = 0;
	}
	dns_tasks_free(door);
	while (door->conns) {
		conn_drop(door->conns);
	}
	replays_expire(door, INT64_MAX);
	if (door->udp) {
		door->broker->world->ops->listener_close(door->udp);
	}
	free(door);
}
