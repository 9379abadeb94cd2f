/*
 * One connection per address, kept and pipelined (RFC 7766 s.6.2.1): questions
 * are written as they come, replies may arrive in any order.
 *
 *   tcp_start -> OPENING -> OPEN <-> idle, DNS_TCP_IDLE_MS -> closed
 *                   |         |
 *                   +---------+--> the peer closed, failed, or lied: its calls
 *                                  go to a fresh connection, once each
 */
#include "client.h"

enum tcp_state { TCP_OPENING, TCP_OPEN };

struct dns_tcp {
	struct dns_peer *peer; /* NULL once closed */
	struct world *world;
	struct world_stream *stream;
	enum tcp_state state;
	struct dns_call *calls; /* waiting to be written, or for a reply; the oldest first */
	struct dns_call *last;
	uint8_t ids[65536 / 8]; /* a bit for each ID in use */
	struct buf in;          /* a part of "length, message" */
	struct world_timer *idle;
	int64_t heard_us; /* when octets last came; 0: never */
	bool answered;    /* at least one call */
	bool busy;        /* inside on_stream, which frees it */
};

static struct dns_tcp *tcp_open(struct dns_peer *peer);
static void on_silent(void *arg);

static void tcp_free(struct dns_tcp *tcp)
{
	buf_clear(&tcp->in);
	free(tcp);
}

void tcp_close(struct dns_tcp *tcp)
{
	if (!tcp || !tcp->peer) {
		return;
	}
	tcp->peer->tcp = NULL;
	tcp->peer = NULL;
	world_timer_cancel(tcp->world, tcp->idle);
	tcp->idle = NULL;
	tcp->world->ops->stream_close(tcp->stream);
	if (!tcp->busy) {
		tcp_free(tcp);
	}
}

static void on_idle(void *arg)
{
	struct dns_tcp *tcp = arg;

	tcp->idle = NULL;
	tcp_close(tcp);
}

static bool id_is_used(const struct dns_tcp *tcp, uint16_t id)
{
	return tcp->ids[id / 8] >> (id % 8) & 1;
}

static void use_id(struct dns_tcp *tcp, uint16_t id, bool used)
{
	uint8_t bit = (uint8_t)(1u << (id % 8));

	tcp->ids[id / 8] = (uint8_t)(used ? tcp->ids[id / 8] | bit : tcp->ids[id / 8] & ~bit);
}

/* Unlinks the call; the connection stays for the next one. */
void tcp_stop(struct dns_call *call)
{
	struct dns_tcp *tcp = call->peer->tcp;

	if (call->state != CALL_TCP || !tcp ||
	    (!call->tcp_prev && !call->tcp_next && tcp->calls != call)) {
		return;
	}
	if (call->tcp_prev) {
		call->tcp_prev->tcp_next = call->tcp_next;
	} else {
		tcp->calls = call->tcp_next;
	}
	if (call->tcp_next) {
		call->tcp_next->tcp_prev = call->tcp_prev;
	} else {
		tcp->last = call->tcp_prev;
	}
	if (call->written) {
		use_id(tcp, call->expect.id, false);
	}
	call->tcp_prev = call->tcp_next = NULL;
	if (!tcp->calls && !tcp->idle) {
		tcp->idle = world_timer_start(tcp->world, (int64_t)DNS_TCP_IDLE_MS * 1000, on_idle,
					      tcp);
	}
}

static struct dns_call *find_call(const struct dns_tcp *tcp, uint16_t id)
{
	struct dns_call *call;

	for (call = tcp->calls; call; call = call->tcp_next) {
		if (call->written && call->expect.id == id) {
			return call;
		}
	}
	return NULL;
}

/* Unused among what waits here; far fewer than 65536 calls ever do. */
static uint16_t fresh_id(const struct dns_tcp *tcp)
{
	uint16_t id;

	do {
		world_random(tcp->world, &id, sizeof(id));
	} while (id_is_used(tcp, id));
	return id;
}

/* Length and message in one write (RFC 7766 s.8). */
static void write_call(struct dns_tcp *tcp, struct dns_call *call)
{
	struct buf message = BUF_INIT(WIRE_MSG_MAX);
	struct buf framed = BUF_INIT(WIRE_MSG_MAX + 2);

	if (call_message(call, fresh_id(tcp), &message)) {
		buf_add_u16(&framed, (uint16_t)message.len);
		buf_add(&framed, message.data, message.len);
		tcp->world->ops->stream_write(tcp->stream, framed.data, framed.len);
		call->written = true;
		use_id(tcp, call->expect.id, true);
	} else {
		tcp_stop(call);
		call_fail_later(call);
	}
	buf_clear(&message);
	buf_clear(&framed);
}

static void submit(struct dns_tcp *tcp, struct dns_call *call)
{
	world_timer_cancel(tcp->world, tcp->idle);
	tcp->idle = NULL;
	/* at the end: what was asked first is written first */
	call->tcp_prev = tcp->last;
	call->tcp_next = NULL;
	if (tcp->last) {
		tcp->last->tcp_next = call;
	} else {
		tcp->calls = call;
	}
	tcp->last = call;
	call->written = false;
	if (tcp->state == TCP_OPEN) {
		write_call(tcp, call);
	}
}

void tcp_start(struct dns_call *call)
{
	struct dns_peer *peer = call->peer;
	int64_t try_us = (int64_t)TCP_TRY_MS * 1000;

	call->state = CALL_TCP;
	call->tcp_tries++;
	call->asked_us = world_mono_us(call->client->world);
	if (call_left_us(call) < try_us) {
		try_us = call_left_us(call);
	}
	call_set_timer(call, try_us, on_silent);
	submit(peer->tcp ? peer->tcp : tcp_open(peer), call);
}

/* All calls off the connection, which is closed; each goes to a fresh one,
 * or ends with err when it has had its tries. */
static void abandon(struct dns_tcp *tcp, const struct err *err, bool again)
{
	bool progress = tcp->answered;
	struct dns_call *calls = tcp->calls;
	struct dns_call *call;

	tcp->calls = tcp->last = NULL;
	tcp_close(tcp);
	while ((call = calls)) {
		calls = call->tcp_next;
		call->tcp_prev = call->tcp_next = NULL;
		/* Servers that close after each answer still answer all. */
		call->tcp_tries -= progress;
		if (again && call->tcp_tries < TCP_TRIES && call_left_us(call) > 0) {
			tcp_start(call);
			continue;
		}
		/* What ends a call may end others, or the client: so each is
		 * ended from the loop, by its own timer. */
		if (!call->hint) {
			call_set_hint(call, err);
		}
		call_fail_later(call);
	}
}

/* Nothing came for this call. A connection that is silent as a whole is dead. */
static void on_silent(void *arg)
{
	struct dns_call *call = arg;
	struct dns_tcp *tcp = call->peer->tcp;
	bool dead = tcp && tcp->heard_us <= call->asked_us &&
		    world_mono_us(tcp->world) - call->asked_us >= (int64_t)TCP_TRY_MS * 1000;

	call->timer = NULL;
	tcp_stop(call);
	if (dead) {
		struct err err;

		err_set(&err, ERR_TIMEOUT, "", "the TCP connection fell silent");
		abandon(tcp, &err, true);
	}
	if (call_left_us(call) > 0 && call->tcp_tries < TCP_TRIES) {
		tcp_start(call);
	} else {
		call_give_up(call);
	}
}

static void refuse_peer(struct dns_tcp *tcp, struct dns_call *call, const struct err *err)
{
	struct err others;

	/* RFC 8945 s.5.3: close; what else waits here asks again elsewhere. */
	tcp_stop(call);
	err_set(&others, ERR_PROTOCOL, "",
		"the connection was closed after a reply that could "
		"not be believed");
	abandon(tcp, &others, true);
	call_finish(call, err);
}

static void on_message(struct dns_tcp *tcp, const uint8_t *data, size_t len)
{
	struct err err = { .code = ERR_NONE };
	struct dns_call *call = len >= WIRE_HEADER_LEN ? find_call(tcp, wire_u16(data)) : NULL;

	if (!call) {
		return; /* the reply to a call that was cancelled */
	}
	switch (call_judge(call, data, len, &err)) {
	case VERDICT_STRANGER:
		err_set(&err, ERR_PROTOCOL, "", "the reply by TCP repeats another question");
		refuse_peer(tcp, call, &err);
		return;
	case VERDICT_TRUNCATED:
		err_set(&err, ERR_PROTOCOL, "", "the answer is truncated even by TCP");
		call_finish(call, &err);
		return;
	case VERDICT_NO_EDNS:
		call->edns = false;
		use_id(tcp, call->expect.id, false);
		write_call(tcp, call);
		return;
	case VERDICT_UNBELIEVED:
	case VERDICT_HOPELESS:
		refuse_peer(tcp, call, &err);
		return;
	case VERDICT_REFUSED:
		tcp->answered = true;
		call_finish(call, &err);
		return;
	case VERDICT_ACCEPTED:
		tcp->answered = true;
		call_finish(call, NULL);
		return;
	}
}

/* Takes whole messages off the front; what ends a call may close tcp. */
static void on_data(struct dns_tcp *tcp, const uint8_t *data, size_t len)
{
	size_t used = 0;
	struct buf all = tcp->in;

	buf_init(&tcp->in, 2 + WIRE_MSG_MAX);
	all.max += len;
	buf_add(&all, data, len);
	while (tcp->peer && all.len - used >= 2) {
		const uint8_t *at = (const uint8_t *)all.data + used;
		size_t whole = 2 + (size_t)wire_u16(at);

		if (all.len - used < whole) {
			break;
		}
		used += whole;
		on_message(tcp, at + 2, whole - 2);
	}
	if (tcp->peer) {
		buf_add(&tcp->in, all.data + used, all.len - used);
	}
	buf_clear(&all);
}

static void on_open(struct dns_tcp *tcp)
{
	struct dns_call *call = tcp->calls;

	tcp->state = TCP_OPEN;
	while (call) {
		struct dns_call *next = call->tcp_next; /* write_call may unlink */

		write_call(tcp, call);
		call = next;
	}
}

/* A connection that was never open tells of the host; one that broke may just
 * have been idle too long for the peer (RFC 7766 s.6.2.3). */
static void on_end(struct dns_tcp *tcp, const struct err *cause)
{
	struct err err;

	if (cause) {
		err = *cause;
	} else {
		err_set(&err, ERR_NETWORK, "",
			"the server closed the TCP connection without an "
			"answer");
	}
	abandon(tcp, &err, tcp->state == TCP_OPEN);
}

static void on_stream(void *arg, const struct world_stream_in *in)
{
	struct dns_tcp *tcp = arg;

	tcp->busy = true;
	switch (in->event) {
	case WORLD_STREAM_OPEN:
		on_open(tcp);
		break;
	case WORLD_STREAM_DATA:
		tcp->heard_us = world_mono_us(tcp->world);
		on_data(tcp, in->data, in->len);
		break;
	case WORLD_STREAM_END:
		on_end(tcp, in->err);
		break;
	}
	tcp->busy = false;
	if (!tcp->peer) {
		tcp_free(tcp);
	}
}

static struct dns_tcp *tcp_open(struct dns_peer *peer)
{
	struct dns_tcp *tcp = xcalloc(1, sizeof(*tcp));
	struct world *world = peer->client->world;

	tcp->peer = peer;
	tcp->world = world;
	buf_init(&tcp->in, 2 + WIRE_MSG_MAX);
	peer->tcp = tcp;
	tcp->stream = world->ops->stream_open(world, &peer->addr, on_stream, tcp);
	return tcp;
}
