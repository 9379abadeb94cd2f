/*
 * door_update: RFC 2136 for clients that believe they talk to the zone's primary.
 *
 *   message -> parsed -> (TSIG verified) -> query: answered at once
 *                                       \-> update: every record checked -> claims -> answered when
 *                                           the real primary has them, or REFUSED and all withdrawn
 *
 * A key's own values alone are ever removed. lego deletes the RRset and adds its value in
 * one message: that is the add, and its siblings stay.
 */
#include "internal.h"

#define TCP_IDLE_US ((int64_t)30 * 1000000)
#define TCP_MAX 2000 /* connections */
#define TASKS_MAX 64 /* updates at once of one connection */
#define MESSAGE_MAX 65535
#define REPLAY_S (2 * TSIG_FUDGE_S) /* how long a MAC could be sent again */
#define REPLAYS_MAX 20000
#define SOA_MINIMUM_S 30
#define ADDS_MAX 100
#define TYPE_AXFR 252
#define TYPE_IXFR 251

/* Where an answer goes. */
struct dns_from {
	struct conn_dns *conn; /* NULL: by UDP */
	struct dgram_from dgram;
	struct addr peer;
};

struct conn_dns {
	struct dns_door *door;
	struct world_stream *stream;
	struct addr peer;
	struct buf in;
	struct world_timer *idle;
	size_t tasks;
	bool gone; /* waits for its tasks alone */
	struct conn_dns *prev, *next;
};

/* A signed message that was answered, or is being worked on. */
struct replay {
	struct tsig_mac mac;
	int64_t until_s;
	struct buf answer; /* empty: still to come */
	struct replay *next;
};

struct task_part {
	struct task *task;
	struct claim *claim; /* NULL: settled */
	struct claim_watcher watcher;
	char id[CLAIM_ID_LEN + 1];
};

/* One UPDATE that waits for its claims. */
struct task {
	struct dns_door *door;
	struct dns_from from;
	struct dns_request *request;
	uint8_t head[12];        /* of the message */
	struct task_part *parts; /* one for each add */
	size_t count, left;
	unsigned rcode;
	struct world_timer *answer_due;
	struct task *prev, *next;
};

struct dns_door {
	struct broker *broker;
	struct world_listener *udp, *tcp;
	struct conn_dns *conns;
	size_t conn_count;
	struct task *tasks;
	struct replay *replays;
	size_t replay_count;
};

/* ---- sending ------------------------------------------------------------------------------ */

static void conn_drop(struct conn_dns *conn);
static void take_messages(struct conn_dns *conn);

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
	struct buf out;

	dns_reply_build(&out, wire, request, &reply);
	for (struct replay *replay = door->replays; claim && replay; replay = replay->next) {
		if (replay->answer.len == 0 && replay->mac.len == claim->mac.len &&
		    answer->verdict == TSIG_VERIFIED &&
		    memcmp(replay->mac.mac, claim->mac.mac, claim->mac.len) == 0) {
			buf_add(&replay->answer, out.data, out.len);
		}
	}
	send_wire(door, from, &out);
	buf_clear(&out);
}

static void send_rcode(struct dns_door *door, const struct dns_from *from, const uint8_t *wire,
		       const struct dns_request *request, unsigned rcode)
{
	send_answer(door, from, wire, request, &(struct answer){ .rcode = rcode });
}

/* ---- replays --------------------------------------------------------------------------------- */

static void replays_expire(struct dns_door *door, int64_t now_s)
{
	struct replay **at = &door->replays;

	while (*at) {
		struct replay *replay = *at;

		if (replay->until_s > now_s) {
			at = &replay->next;
			continue;
		}
		*at = replay->next;
		buf_clear(&replay->answer);
		free(replay);
		door->replay_count--;
	}
}

/* True: it was seen before; its old answer is sent again once there is one. */
static bool is_replay(struct dns_door *door, const struct dns_from *from,
		      const struct dns_request *request)
{
	const struct tsig_mac *mac = &request->tsig->mac;
	int64_t now_s = world_wall_s(door->broker->world);
	struct replay *replay;

	for (replay = door->replays; replay; replay = replay->next) {
		if (replay->mac.len == mac->len &&
		    memcmp(replay->mac.mac, mac->mac, mac->len) == 0) {
			if (replay->answer.len > 0) {
				send_wire(door, from, &replay->answer);
			}
			return true;
		}
	}
	replays_expire(door, now_s);
	replay = xcalloc(1, sizeof(*replay));
	replay->mac = *mac;
	replay->until_s = now_s + REPLAY_S;
	buf_init(&replay->answer, MESSAGE_MAX);
	replay->next = door->replays;
	door->replays = replay;
	door->replay_count++;
	return false;
}

/* ---- queries ------------------------------------------------------------------------------------ */

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
		send_rcode(door, from, wire, request, DNS_REFUSED);
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

/* ---- updates: checks (RFC 2136 s.3.2, 3.4.1) ---------------------------------------------------------- */

/* s.3.2.3: an RRset that exists with exactly these values. */
static bool rrset_is(struct dns_door *door, const struct dns_request *request, const char *owner)
{
	struct strlist values = { 0 };
	size_t wanted = 0;
	bool same = true;

	claim_values(door->broker, owner, NULL, &values);
	for (size_t i = 0; i < request->prerequisite_count; i++) {
		const struct dns_request_rr *rr = &request->prerequisite[i];

		if (rr->class_ == DNS_CLASS_IN && strcmp(rr->owner, owner) == 0) {
			wanted++;
			same = same && rr->txt && strlist_has(&values, rr->txt);
		}
	}
	same = same && wanted == values.count;
	strlist_clear(&values);
	return same;
}

static unsigned check_prerequisite(struct dns_door *door, const struct dns_request *request,
				   const struct dns_request_rr *rr)
{
	struct strlist values = { 0 };
	bool any;

	if (!name_under(rr->owner, request->name)) {
		return DNS_NOTZONE;
	}
	if (rr->ttl_s != 0 || (rr->class_ != DNS_CLASS_IN && rr->has_data)) {
		return DNS_FORMERR;
	}
	claim_values(door->broker, rr->owner, NULL, &values);
	any = values.count > 0 && (rr->type == DNS_TYPE_TXT || rr->type == DNS_TYPE_ANY);
	strlist_clear(&values);
	switch (rr->class_) {
	case DNS_CLASS_ANY:
		return any ? DNS_NOERROR : rr->type == DNS_TYPE_ANY ? DNS_NXDOMAIN : DNS_NXRRSET;
	case DNS_CLASS_NONE:
		return !any ? DNS_NOERROR : rr->type == DNS_TYPE_ANY ? DNS_YXDOMAIN : DNS_YXRRSET;
	case DNS_CLASS_IN:
		return rrset_is(door, request, rr->owner) ? DNS_NOERROR : DNS_NXRRSET;
	default:
		return DNS_FORMERR;
	}
}

static bool is_add(const struct dns_request_rr *rr)
{
	return rr->class_ == DNS_CLASS_IN;
}

static unsigned check_shape(const struct dns_request *request, const struct dns_request_rr *rr)
{
	bool any_type = rr->class_ == DNS_CLASS_ANY && rr->type == DNS_TYPE_ANY;

	if (!name_under(rr->owner, request->name)) {
		return DNS_NOTZONE;
	}
	if (rr->type != DNS_TYPE_TXT && !any_type) {
		return DNS_REFUSED;
	}
	switch (rr->class_) {
	case DNS_CLASS_IN:
		return rr->txt && strlen(rr->txt) == rr->txt_len ? DNS_NOERROR : DNS_FORMERR;
	case DNS_CLASS_ANY:
		return rr->ttl_s == 0 && !rr->has_data ? DNS_NOERROR : DNS_FORMERR;
	case DNS_CLASS_NONE:
		return rr->ttl_s == 0 && rr->txt ? DNS_NOERROR : DNS_FORMERR;
	default:
		return DNS_FORMERR;
	}
}

/* Whether this key may use that owner name at all. */
static bool may_use(const struct identity *who, const char *owner, struct err *err)
{
	const struct conf_zone *target =
		conf_target_zone(who->generation->conf, who->grant->views.item[0]);
	const struct policy_client client = identity_policy(who);
	char name[NAME_TEXT_MAX];

	if (strlist_has(&who->grant->targets, owner)) {
		return true;
	}
	if (!policy_name_of(owner, target ? target->suffix : NULL, name)) {
		err_set(err, ERR_DENIED, who->grant->name,
			"\"%s\" is the owner name of no challenge that this client may answer",
			owner);
		return false;
	}
	return policy_name(&client, name, err) == POLICY_GRANTED;
}

static unsigned check_update(struct dns_door *door, const struct dns_request *request,
			     const struct identity *who, struct err *err)
{
	unsigned rcode = DNS_NOERROR;
	size_t adds = 0;

	err_set(err, ERR_USAGE, who->grant->name, "a record of the UPDATE is not as it must be");
	for (size_t i = 0; i < request->prerequisite_count && rcode == DNS_NOERROR; i++) {
		rcode = check_prerequisite(door, request, &request->prerequisite[i]);
	}
	for (size_t i = 0; i < request->update_count && rcode == DNS_NOERROR; i++) {
		const struct dns_request_rr *rr = &request->update[i];

		rcode = check_shape(request, rr);
		if (rcode == DNS_NOERROR && !may_use(who, rr->owner, err)) {
			rcode = DNS_REFUSED;
		}
		adds += is_add(rr);
	}
	return rcode == DNS_NOERROR && adds > ADDS_MAX ? DNS_REFUSED : rcode;
}

/* ---- updates: work --------------------------------------------------------------------------------------- */

static void task_free(struct task *task)
{
	struct dns_door *door = task->door;
	struct conn_dns *conn = task->from.conn;

	for (size_t i = 0; i < task->count; i++) {
		if (task->parts[i].claim) {
			claim_unwatch(task->parts[i].claim, &task->parts[i].watcher);
		}
	}
	world_timer_cancel(door->broker->world, task->answer_due);
	if (task->prev) {
		task->prev->next = task->next;
	} else {
		door->tasks = task->next;
	}
	if (task->next) {
		task->next->prev = task->prev;
	}
	dns_request_free(task->request);
	free(task->parts);
	free(task);
	if (conn && --conn->tasks == 0 && conn->gone) {
		conn_drop(conn);
	} else if (conn && !conn->gone) {
		take_messages(conn); /* there may be more than it might do at once */
	}
}

/* One failed: none of the message stays (s.3.4.2: all or nothing). */
static void withdraw(struct task *task)
{
	for (size_t i = 0; i < task->count; i++) {
		struct claim *claim = claim_find(task->door->broker, task->parts[i].id);

		if (task->parts[i].claim) {
			claim_unwatch(task->parts[i].claim, &task->parts[i].watcher);
			task->parts[i].claim = NULL;
		}
		if (claim) {
			claim_leave(claim);
		}
	}
}

static void on_answer_due(void *arg)
{
	struct task *task = arg;

	task->answer_due = NULL;
	if (task->rcode != DNS_NOERROR) {
		withdraw(task);
	}
	send_rcode(task->door, &task->from, task->head, task->request, task->rcode);
	task_free(task);
}

static void look(struct task *task)
{
	if ((task->left == 0 || task->rcode != DNS_NOERROR) && !task->answer_due) {
		task->answer_due =
			world_timer_start(task->door->broker->world, 0, on_answer_due, task);
	}
}

static void on_claim(void *arg, const struct claim *claim)
{
	struct task_part *part = arg;
	struct task *task = part->task;

	switch (claim->state) {
	case CLAIM_WATCHING:
	case CLAIM_VISIBLE:
		break;
	case CLAIM_FAILED:
		task->rcode = claim->rule != POLICY_GRANTED || claim->err->code == ERR_LIMIT
				      ? DNS_REFUSED
				      : DNS_SERVFAIL;
		break;
	case CLAIM_LEAVING:
		task->rcode = DNS_SERVFAIL;
		break;
	default:
		return;
	}
	claim_unwatch(part->claim, &part->watcher);
	part->claim = NULL;
	task->left--;
	look(task);
}

/* Deletes of an owner that gets a value by the same message are a part of that add. */
static bool is_added_too(const struct dns_request *request, const char *owner)
{
	for (size_t i = 0; i < request->update_count; i++) {
		if (is_add(&request->update[i]) && strcmp(request->update[i].owner, owner) == 0) {
			return true;
		}
	}
	return false;
}

static void do_deletes(struct dns_door *door, const struct dns_request *request,
		       const struct identity *who)
{
	for (size_t i = 0; i < request->update_count; i++) {
		const struct dns_request_rr *rr = &request->update[i];
		char name[NAME_TEXT_MAX];

		if (is_add(rr) ||
		    (rr->class_ == DNS_CLASS_ANY && is_added_too(request, rr->owner))) {
			continue;
		}
		/* A value is a digest of its own challenge; an alias may have led it elsewhere. */
		if (rr->class_ == DNS_CLASS_NONE) {
			claim_leave_matching(door->broker, who->grant->name, NULL, rr->txt);
			continue;
		}
		claim_leave_matching(door->broker, who->grant->name, rr->owner, NULL);
		if (policy_name_of(rr->owner, NULL, name)) {
			claim_leave_matching(door->broker, who->grant->name, name, NULL);
		}
	}
}

static struct task *task_new(struct dns_door *door, const struct dns_from *from,
			     const uint8_t *wire, struct dns_request *request)
{
	struct task *task = xcalloc(1, sizeof(*task));

	task->door = door;
	task->from = *from;
	task->request = request;
	task->parts = xcalloc(request->update_count + 1, sizeof(*task->parts));
	memcpy(task->head, wire, sizeof(task->head));
	task->next = door->tasks;
	if (task->next) {
		task->next->prev = task;
	}
	door->tasks = task;
	if (from->conn) {
		from->conn->tasks++;
	}
	return task;
}

static void open_claim(struct task *task, const struct dns_request_rr *rr, struct identity *who,
		       struct claim_group *group)
{
	struct task_part *part = &task->parts[task->count];
	enum policy_rule rule = POLICY_GRANTED;
	struct err err;

	*part = (struct task_part){ .task = task };
	part->claim = claim_open(task->door->broker,
				 &(struct claim_request){ .who = identity_hold(who),
							  .door = "update",
							  .owner = rr->owner,
							  .value = rr->txt,
							  .rule = &rule,
							  .group = group },
				 &err);
	if (!part->claim) {
		task->rcode =
			rule != POLICY_GRANTED || err.code == ERR_LIMIT || err.code == ERR_USAGE
				? DNS_REFUSED
				: DNS_SERVFAIL;
		return;
	}
	snprintf(part->id, sizeof(part->id), "%s", part->claim->id);
	part->watcher = (struct claim_watcher){ .changed = on_claim, .arg = part };
	claim_watch(part->claim, &part->watcher);
	task->count++;
	task->left++;
}

static void audit_refused(struct dns_door *door, const struct dns_request *request,
			  const struct identity *who, const struct err *err)
{
	metrics_count(door->broker, "update", OUTCOME_REFUSED);
	audit_write(door->broker,
		    &(struct audit){
			    .door = "update",
			    .action = "update",
			    .who = who,
			    .owner = request->update_count > 0 ? request->update[0].owner : NULL,
			    .verdict = "refused",
			    .reason = err_code_name(err->code),
			    .text = err->text,
		    });
}

/* Takes request. */
static void serve_update(struct dns_door *door, const struct dns_from *from, const uint8_t *wire,
			 struct dns_request *request)
{
	struct identity *who = NULL;
	struct claim_group *group;
	struct task *task;
	struct err err;
	unsigned rcode = DNS_REFUSED;

	if (identify_key(door->broker, request->tsig->key, &from->peer, &who, &err) == ERR_NONE) {
		rcode = check_update(door, request, who, &err);
	}
	if (rcode != DNS_NOERROR) {
		audit_refused(door, request, who, &err);
		send_rcode(door, from, wire, request, rcode);
		identity_free(who);
		dns_request_free(request);
		return;
	}
	task = task_new(door, from, wire, request);
	group = claim_group_new();
	for (size_t i = 0; i < request->update_count && task->rcode == DNS_NOERROR; i++) {
		if (is_add(&request->update[i])) {
			open_claim(task, &request->update[i], who, group);
		}
	}
	claim_group_close(group);
	if (task->rcode == DNS_NOERROR) {
		do_deletes(door, request, who);
	}
	identity_free(who);
	look(task);
}

/* ---- messages --------------------------------------------------------------------------------------------- */

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
			send_rcode(door, from, wire, request, DNS_REFUSED);
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
			send_rcode(door, from, wire, NULL, rcode);
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
	} else if (door->replay_count > REPLAYS_MAX) {
		send_rcode(door, from, wire, request, DNS_SERVFAIL);
		dns_request_free(request);
	} else {
		serve_update(door, from, wire, request);
	}
}

static void on_datagram(void *arg, const struct dgram_from *from, const uint8_t *data, size_t len)
{
	struct dns_door *door = arg;
	struct dns_from where = { .dgram = *from, .peer = from->peer };

	serve_message(door, &where, data, len);
}

/* ---- TCP ------------------------------------------------------------------------------------------------------ */

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

static void on_idle(void *arg)
{
	struct conn_dns *conn = arg;

	conn->idle = NULL;
	conn_drop(conn);
}

static void arm_idle(struct conn_dns *conn)
{
	struct world *world = conn->door->broker->world;

	world_timer_cancel(world, conn->idle);
	conn->idle = world_timer_start(world, TCP_IDLE_US, on_idle, conn);
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

/* ---- the door --------------------------------------------------------------------------------------------------- */

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
	while (door->tasks) {
		task_free(door->tasks);
	}
	while (door->conns) {
		conn_drop(door->conns);
	}
	replays_expire(door, INT64_MAX);
	if (door->udp) {
		door->broker->world->ops->listener_close(door->udp);
	}
	free(door);
}
