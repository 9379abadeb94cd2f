/*
 * A world for the tests of dns alone: a virtual clock, and one scripted server
 * function that sees every question, by UDP, TCP and HTTPS. Nothing is random
 * but a fixed sequence.
 */
#ifndef DNS01_TEST_FAKE_WORLD_H
#define DNS01_TEST_FAKE_WORLD_H

#include "dns/client.h"

#include <ldns/ldns.h>
#include <setjmp.h>

#include <cmocka.h>

enum fake_transport { FAKE_UDP, FAKE_TCP, FAKE_HTTPS };

/* One question as the script sees it, and what the script decides. */
struct fake_query {
	char server[ADDR_TEXT_MAX];
	enum fake_transport transport;
	const uint8_t *wire;
	size_t len;
	char name[NAME_TEXT_MAX];
	uint16_t type;
	bool rd, edns;

	struct buf reply;  /* empty: silence */
	struct buf forged; /* UDP: arrives 1 ms before reply */
	int64_t delay_us;  /* 1 ms unless set */
	bool refused;      /* UDP: ICMP; TCP: no connection, asked before any query */
	bool close;        /* TCP: the server closes (after the reply) */
	int http_status;
	const char *http_type;
};

struct fake_world {
	struct world base;
	int64_t now_us, wall_us;
	uint64_t seed, sequence;
	struct fake_event *events;
	void (*serve)(void *arg, struct fake_query *query);
	void *arg;
	size_t udp_count, tcp_count, stream_count, https_count; /* sent, opened */
	size_t open; /* endpoints that were not closed, timers that did not end */
	bool no_ipv6;
};

enum fake_kind { FAKE_TIMER, FAKE_DATA, FAKE_OPEN, FAKE_END, FAKE_HTTP };

struct fake_end;

struct fake_event {
	struct fake_event *next;
	struct fake_world *world;
	enum fake_kind kind;
	int64_t at_us;
	uint64_t sequence;
	struct fake_end *end; /* of all but timers */
	world_fire *fire;
	void *arg;
	struct buf data;
	int http_status;
	const char *http_type;
};

/* A dgram, a stream or an HTTP request. */
struct fake_end {
	struct fake_world *world;
	char server[ADDR_TEXT_MAX];
	world_dgram_in *dgram_in;
	world_stream_cb *stream_cb;
	world_http_done *http_done;
	void *arg;
	struct buf written;
};

static inline struct fake_world *fake_of(struct world *world)
{
	return (struct fake_world *)world;
}

static inline int64_t fake_mono(struct world *world)
{
	return fake_of(world)->now_us;
}

static inline int64_t fake_wall(struct world *world)
{
	return fake_of(world)->wall_us + fake_of(world)->now_us;
}

static inline void fake_random(struct world *world, void *out, size_t len)
{
	struct fake_world *fake = fake_of(world);

	for (size_t i = 0; i < len; i++) {
		fake->seed = fake->seed * 6364136223846793005u + 1442695040888963407u;
		((uint8_t *)out)[i] = (uint8_t)(fake->seed >> 56);
	}
}

static inline struct fake_event *fake_event_add(struct fake_world *world, enum fake_kind kind,
						int64_t delay_us)
{
	struct fake_event *event = xcalloc(1, sizeof(*event));
	struct fake_event **link = &world->events;

	event->world = world;
	event->kind = kind;
	event->at_us = world->now_us + delay_us;
	event->sequence = world->sequence++;
	buf_init(&event->data, 1 << 20);
	while (*link && (*link)->at_us <= event->at_us) {
		link = &(*link)->next;
	}
	event->next = *link;
	*link = event;
	return event;
}

static inline void fake_event_free(struct fake_event *event)
{
	buf_clear(&event->data);
	free(event);
}

static inline struct world_timer *fake_timer_start(struct world *world, int64_t delay_us,
						   world_fire *fire, void *arg)
{
	struct fake_event *event;

	assert_true(delay_us >= 0);
	event = fake_event_add(fake_of(world), FAKE_TIMER, delay_us);
	event->fire = fire;
	event->arg = arg;
	fake_of(world)->open++;
	return (struct world_timer *)event;
}

static inline void fake_timer_cancel(struct world_timer *timer)
{
	struct fake_event *event = (struct fake_event *)timer;
	struct fake_event **link = &event->world->events;

	while (*link && *link != event) {
		link = &(*link)->next;
	}
	assert_non_null(*link); /* cancelled twice, or after it fired */
	*link = event->next;
	event->world->open--;
	fake_event_free(event);
}

static inline struct fake_end *fake_end_new(struct fake_world *world, const struct addr *peer,
					    void *arg)
{
	struct fake_end *end = xcalloc(1, sizeof(*end));

	end->world = world;
	end->arg = arg;
	if (peer) {
		addr_format(end->server, peer, DNS_PORT);
	}
	buf_init(&end->written, 1 << 20);
	world->open++;
	return end;
}

static inline void fake_end_close(struct fake_end *end)
{
	struct fake_event **link = &end->world->events;

	while (*link) {
		struct fake_event *event = *link;

		if (event->end == end) {
			*link = event->next;
			fake_event_free(event);
		} else {
			link = &event->next;
		}
	}
	end->world->open--;
	buf_clear(&end->written);
	free(end);
}

static inline void fake_query_init(struct fake_query *query, struct fake_end *end,
				   const uint8_t *wire, size_t len)
{
	struct wire_name name;
	size_t pos = WIRE_HEADER_LEN;

	memset(query, 0, sizeof(*query));
	snprintf(query->server, sizeof(query->server), "%s", end->server);
	query->wire = wire;
	query->len = len;
	query->delay_us = 1000;
	query->http_status = 200;
	query->http_type = "application/dns-message";
	buf_init(&query->reply, WIRE_MSG_MAX);
	buf_init(&query->forged, WIRE_MSG_MAX);
	if (len >= WIRE_HEADER_LEN) {
		assert_true(wire_name_read(wire, len, &pos, &name));
		wire_name_text(&name, query->name);
		query->type = wire_u16(wire + pos);
		query->rd = wire[2] & 1;
		query->edns = wire_u16(wire + 10) > 0 && len >= pos + 4 + 11 &&
			      wire[pos + 4] == 0 && wire_u16(wire + pos + 5) == WIRE_TYPE_OPT;
	}
}

static inline void fake_query_clear(struct fake_query *query)
{
	buf_clear(&query->reply);
	buf_clear(&query->forged);
}

static inline void fake_deliver(struct fake_end *end, enum fake_kind kind, int64_t delay_us,
				const struct buf *data)
{
	struct fake_event *event = fake_event_add(end->world, kind, delay_us);

	event->end = end;
	if (data) {
		buf_add(&event->data, data->data, data->len);
	}
}

static inline struct world_dgram *fake_dgram_open(struct world *world, const struct addr *peer,
						  world_dgram_in *in, void *arg)
{
	struct fake_end *end = fake_end_new(fake_of(world), peer, arg);

	end->dgram_in = in;
	return (struct world_dgram *)end;
}

static inline void fake_dgram_send(struct world_dgram *dgram, const void *data, size_t len)
{
	struct fake_end *end = (struct fake_end *)dgram;
	struct fake_query query;

	end->world->udp_count++;
	fake_query_init(&query, end, data, len);
	query.transport = FAKE_UDP;
	end->world->serve(end->world->arg, &query);
	if (query.forged.len > 0) {
		fake_deliver(end, FAKE_DATA, query.delay_us - 1000, &query.forged);
	}
	if (query.refused) {
		fake_deliver(end, FAKE_END, 1000, NULL);
	} else if (query.reply.len > 0) {
		fake_deliver(end, FAKE_DATA, query.delay_us, &query.reply);
	}
	fake_query_clear(&query);
}

static inline void fake_dgram_close(struct world_dgram *dgram)
{
	fake_end_close((struct fake_end *)dgram);
}

/* The script is asked with an empty question whether it takes the connection. */
static inline struct world_stream *fake_stream_open(struct world *world, const struct addr *peer,
						    world_stream_cb *cb, void *arg)
{
	struct fake_end *end = fake_end_new(fake_of(world), peer, arg);
	struct fake_query query;

	end->stream_cb = cb;
	end->world->stream_count++;
	fake_query_init(&query, end, NULL, 0);
	query.transport = FAKE_TCP;
	end->world->serve(end->world->arg, &query);
	fake_deliver(end, query.refused ? FAKE_END : FAKE_OPEN, 1000, NULL);
	fake_query_clear(&query);
	return (struct world_stream *)end;
}

static inline void fake_stream_message(struct fake_end *end, const uint8_t *wire, size_t len)
{
	struct fake_query query;
	struct buf framed = BUF_INIT(WIRE_MSG_MAX + 2);

	end->world->tcp_count++;
	fake_query_init(&query, end, wire, len);
	query.transport = FAKE_TCP;
	end->world->serve(end->world->arg, &query);
	if (query.reply.len > 0) {
		struct buf part = BUF_INIT(WIRE_MSG_MAX + 2);

		/* In two pieces, as streams do. */
		buf_add_u16(&framed, (uint16_t)query.reply.len);
		buf_add(&framed, query.reply.data, query.reply.len);
		buf_add(&part, framed.data, 1);
		fake_deliver(end, FAKE_DATA, query.delay_us, &part);
		buf_clear(&part);
		buf_add(&part, framed.data + 1, framed.len - 1);
		fake_deliver(end, FAKE_DATA, query.delay_us, &part);
		buf_clear(&part);
	}
	if (query.close) {
		fake_deliver(end, FAKE_END, query.delay_us, NULL);
	}
	buf_clear(&framed);
	fake_query_clear(&query);
}

static inline void fake_stream_write(struct world_stream *stream, const void *data, size_t len)
{
	struct fake_end *end = (struct fake_end *)stream;
	const uint8_t *at = data;

	/* dns writes length and message at once (RFC 7766 s.8). */
	assert_true(len >= 2 && wire_u16(at) == len - 2);
	fake_stream_message(end, at + 2, len - 2);
}

static inline void fake_stream_close(struct world_stream *stream)
{
	fake_end_close((struct fake_end *)stream);
}

static inline struct world_http *fake_http_start(struct world *world,
						 const struct http_request *request,
						 world_http_done *done, void *arg)
{
	struct fake_world *fake = fake_of(world);
	struct fake_end *end = fake_end_new(fake, NULL, arg);
	struct fake_event *event;
	struct fake_query query;

	end->http_done = done;
	fake->https_count++;
	assert_string_equal(request->method, "POST");
	snprintf(end->server, sizeof(end->server), "%s", request->url);
	fake_query_init(&query, end, request->body, request->body_len);
	query.transport = FAKE_HTTPS;
	fake->serve(fake->arg, &query);
	event = fake_event_add(fake, FAKE_HTTP, query.delay_us);
	event->end = end;
	event->http_status = query.http_status;
	event->http_type = query.http_type;
	buf_add(&event->data, query.reply.data, query.reply.len);
	fake_query_clear(&query);
	return (struct world_http *)end;
}

static inline void fake_http_cancel(struct world_http *http)
{
	fake_end_close((struct fake_end *)http);
}

static inline bool fake_has_route(struct world *world, const struct addr *peer)
{
	return !fake_of(world)->no_ipv6 || peer->u.sa.sa_family != AF_INET6;
}

static inline void fake_http_event(struct fake_event *event)
{
	struct fake_end *end = event->end;
	struct http_header header = { "content-type", event->http_type };
	struct http_response response = {
		.status = event->http_status,
		.headers = &header,
		.header_count = 1,
		.body = buf_str(&event->data),
		.body_len = event->data.len,
	};
	world_http_done *done = end->http_done;
	void *arg = end->arg;

	fake_end_close(end);
	done(arg, NULL, &response);
}

static inline void fake_end_event(struct fake_event *event)
{
	struct fake_end *end = event->end;
	const uint8_t *data = (const uint8_t *)event->data.data;
	struct world_stream_in in = { .data = data, .len = event->data.len };
	struct err refused;

	err_set(&refused, ERR_NETWORK, "", "connection refused");
	if (end->dgram_in) {
		end->dgram_in(end->arg, event->kind == FAKE_DATA ? data : NULL, event->data.len,
			      event->kind == FAKE_DATA ? NULL : &refused);
		return;
	}
	in.event = event->kind == FAKE_OPEN   ? WORLD_STREAM_OPEN
		   : event->kind == FAKE_DATA ? WORLD_STREAM_DATA
					      : WORLD_STREAM_END;
	end->stream_cb(end->arg, &in);
}

/* Runs until nothing is left, or the clock would pass until_us. */
static inline void fake_run_until(struct fake_world *world, int64_t until_us)
{
	while (world->events && world->events->at_us <= until_us) {
		struct fake_event *event = world->events;

		world->events = event->next;
		world->now_us = event->at_us;
		if (event->kind == FAKE_TIMER) {
			world->open--;
			event->fire(event->arg);
		} else if (event->kind == FAKE_HTTP) {
			fake_http_event(event);
		} else {
			fake_end_event(event);
		}
		fake_event_free(event);
	}
	if (until_us != INT64_MAX) {
		world->now_us = until_us;
	}
}

static inline void fake_run(struct fake_world *world)
{
	fake_run_until(world, INT64_MAX);
}

static inline void fake_init(struct fake_world *world,
			     void (*serve)(void *arg, struct fake_query *query), void *arg)
{
	static const struct world_ops ops = {
		.mono_us = fake_mono,
		.wall_us = fake_wall,
		.random = fake_random,
		.timer_start = fake_timer_start,
		.timer_cancel = fake_timer_cancel,
		.dgram_open = fake_dgram_open,
		.dgram_send = fake_dgram_send,
		.dgram_close = fake_dgram_close,
		.stream_open = fake_stream_open,
		.stream_write = fake_stream_write,
		.stream_close = fake_stream_close,
		.http_start = fake_http_start,
		.http_cancel = fake_http_cancel,
		.has_route = fake_has_route,
	};

	memset(world, 0, sizeof(*world));
	world->base.ops = &ops;
	world->now_us = 1000000000;
	world->wall_us = 1790000000000000;
	world->seed = 7;
	world->serve = serve;
	world->arg = arg;
}

/* ---- replies ---------------------------------------------------------- */

static inline void fake_put(ldns_pkt *pkt, ldns_pkt_section section, const char *text)
{
	ldns_rr *rr = NULL;

	assert_int_equal(ldns_rr_new_frm_str(&rr, text, 60, NULL, NULL), LDNS_STATUS_OK);
	assert_true(ldns_pkt_push_rr(pkt, section, rr));
}

/*
 * The reply to query: records are "answer|authority|additional" in front of
 * the text of a zone file, "AN example.com. 60 IN TXT x", "NS ...", "AD ...";
 * NULL ends them. aa is set, TC is not.
 */
static inline void fake_reply(struct fake_query *query, unsigned rcode, const char *const *records)
{
	ldns_pkt *pkt = ldns_pkt_new();
	ldns_rr *question = ldns_rr_new();
	ldns_rdf *name = ldns_dname_new_frm_str(query->name);
	uint8_t *wire = NULL;
	size_t len = 0;

	ldns_pkt_set_id(pkt, wire_u16(query->wire));
	ldns_pkt_set_qr(pkt, true);
	ldns_pkt_set_aa(pkt, true);
	ldns_pkt_set_opcode(pkt, (ldns_pkt_opcode)((query->wire[2] >> 3) & 15));
	ldns_pkt_set_rcode(pkt, (uint8_t)rcode);
	ldns_rr_set_question(question, true);
	ldns_rr_set_owner(question, name);
	ldns_rr_set_type(question, (ldns_rr_type)query->type);
	ldns_rr_set_class(question, LDNS_RR_CLASS_IN);
	ldns_pkt_push_rr(pkt, LDNS_SECTION_QUESTION, question);
	for (size_t i = 0; records && records[i]; i++) {
		ldns_pkt_section section = strncmp(records[i], "AN ", 3) == 0 ? LDNS_SECTION_ANSWER
					   : strncmp(records[i], "NS ", 3) == 0
						   ? LDNS_SECTION_AUTHORITY
						   : LDNS_SECTION_ADDITIONAL;

		fake_put(pkt, section, records[i] + 3);
	}
	assert_int_equal(ldns_pkt2wire(&wire, pkt, &len), LDNS_STATUS_OK);
	buf_clear(&query->reply);
	buf_add(&query->reply, wire, len);
	free(wire);
	ldns_pkt_free(pkt);
}

static inline void fake_set_flag(struct buf *reply, size_t octet, uint8_t mask, bool on)
{
	uint8_t *at = (uint8_t *)reply->data + octet;

	*at = on ? *at | mask : (uint8_t)(*at & ~mask);
}

static inline void fake_set_aa(struct buf *reply, bool on)
{
	fake_set_flag(reply, 2, 0x04, on);
}

static inline void fake_set_tc(struct buf *reply, bool on)
{
	fake_set_flag(reply, 2, 0x02, on);
}

static inline struct addr fake_addr(const char *text)
{
	struct addr addr;

	assert_true(addr_parse(text, DNS_PORT, &addr));
	return addr;
}

#endif
