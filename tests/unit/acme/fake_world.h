/*
 * A world for the tests of acme: a virtual clock, timers, and HTTP requests
 * that a function answers when they arrive, LATENCY_US after they were sent.
 */
#ifndef DNS01_TEST_ACME_WORLD_H
#define DNS01_TEST_ACME_WORLD_H

#include "cmocka_all.h"
#include "dns01/acme.h"

#define LATENCY_US 1000
#define ANSWER_HEADERS_MAX 16
#define START_WALL_S 1795485600 /* 2026-11-24T02:00:00Z */

/* What a server says; fail is for what kept it from arriving. */
struct answer {
	int status;
	struct http_header headers[ANSWER_HEADERS_MAX]; /* both strings are owned */
	size_t header_count;
	struct buf body;
	enum err_code fail;
	int64_t delay_us; /* beside the latency */
};

struct fake;

/* Handed to the server; what it points to lives until the answer was taken. */
struct asked {
	const char *method;
	const char *url;
	const char *content_type; /* NULL: none */
	const char *accept;       /* NULL: none */
	const char *body;
};

typedef void fake_serve(struct fake *fake, const struct asked *asked, struct answer *answer);

struct fake_event {
	struct fake_event *next;
	struct fake *fake;
	int64_t at_us;
	world_fire *fire; /* of a timer */
	void *arg;

	world_http_done *http_done; /* of a request, which is asked or answered */
	char *method, *url, *content_type, *accept, *body;
	size_t max_body;
	bool is_answered;
	struct answer answer;
};

struct fake {
	struct world world;
	int64_t now_us;
	int64_t wall_ahead_s; /* of a clock that is wrong */
	struct fake_event *events;
	fake_serve *serve;
	size_t in_flight, in_flight_max;
	bool broke_a_rule; /* of the HTTP contract */
};

static inline void answer_header(struct answer *answer, const char *name, const char *value)
{
	assert_true(answer->header_count < ANSWER_HEADERS_MAX);
	answer->headers[answer->header_count++] =
		(struct http_header){ xstrdup(name), xstrdup(value) };
}

/* Takes away what was said so far. */
static inline void answer_clear(struct answer *answer)
{
	for (size_t i = 0; i < answer->header_count; i++) {
		free((void *)(uintptr_t)answer->headers[i].name);
		free((void *)(uintptr_t)answer->headers[i].value);
	}
	buf_clear(&answer->body);
	*answer = (struct answer){ .status = 200, .body = BUF_INIT(1 << 22) };
}

/* Replaces the first `from` of the body, which must be there. */
static inline void answer_replace(struct answer *answer, const char *from, const char *to)
{
	struct buf body = BUF_INIT(1 << 22);
	const char *text = buf_str(&answer->body);
	const char *at = strstr(text, from);

	assert_non_null(at);
	buf_add(&body, text, (size_t)(at - text));
	buf_add_str(&body, to);
	buf_add_str(&body, at + strlen(from));
	buf_clear(&answer->body);
	answer->body = body;
}

/* ---- the world's functions ---- */

static inline struct fake *fake_of(struct world *world)
{
	return (struct fake *)world;
}

static inline int64_t fake_mono(struct world *world)
{
	return fake_of(world)->now_us;
}

static inline int64_t fake_wall(struct world *world)
{
	struct fake *fake = fake_of(world);

	return fake->now_us + (START_WALL_S + fake->wall_ahead_s) * 1000000;
}

static inline void fake_random(struct world *world, void *out, size_t len)
{
	(void)world;
	memset(out, 7, len);
}

static inline void fake_insert(struct fake *fake, struct fake_event *event)
{
	struct fake_event **link = &fake->events;

	while (*link && (*link)->at_us <= event->at_us) {
		link = &(*link)->next;
	}
	event->next = *link;
	*link = event;
}

static inline void fake_remove(struct fake_event *event)
{
	struct fake_event **link = &event->fake->events;

	while (*link && *link != event) {
		link = &(*link)->next;
	}
	assert_non_null(*link); /* ended twice, or after it was told */
	*link = event->next;
}

static inline void fake_event_free(struct fake_event *event)
{
	free(event->method);
	free(event->url);
	free(event->content_type);
	free(event->accept);
	free(event->body);
	answer_clear(&event->answer);
	free(event);
}

static inline struct fake_event *fake_event_new(struct world *world, int64_t delay_us, void *arg)
{
	struct fake_event *event = xcalloc(1, sizeof(*event));

	assert_true(delay_us >= 0);
	event->fake = fake_of(world);
	event->at_us = event->fake->now_us + delay_us;
	event->arg = arg;
	answer_clear(&event->answer);
	return event;
}

static inline struct world_timer *fake_timer_start(struct world *world, int64_t delay_us,
						   world_fire *fire, void *arg)
{
	struct fake_event *event = fake_event_new(world, delay_us, arg);

	event->fire = fire;
	fake_insert(event->fake, event);
	return (struct world_timer *)event;
}

static inline void fake_timer_cancel(struct world_timer *timer)
{
	struct fake_event *event = (struct fake_event *)timer;

	fake_remove(event);
	fake_event_free(event);
}

static inline struct world_http *fake_http_start(struct world *world,
						 const struct http_request *request,
						 world_http_done *done, void *arg)
{
	struct fake_event *event = fake_event_new(world, LATENCY_US, arg);
	struct fake *fake = event->fake;

	event->http_done = done;
	event->method = xstrdup(request->method);
	event->url = xstrdup(request->url);
	event->body = xstrndup(request->body ? request->body : "", request->body_len);
	event->max_body = request->max_body;
	for (size_t i = 0; i < request->header_count; i++) {
		const struct http_header *header = &request->headers[i];

		if (strcmp(header->name, "Content-Type") == 0) {
			event->content_type = xstrdup(header->value);
		} else if (strcmp(header->name, "Accept") == 0) {
			event->accept = xstrdup(header->value);
		}
	}
	fake->broke_a_rule = fake->broke_a_rule || request->allow_http_loopback ||
			     strncmp(request->url, "https://", 8) != 0 || request->max_body == 0;
	fake->in_flight++;
	if (fake->in_flight > fake->in_flight_max) {
		fake->in_flight_max = fake->in_flight;
	}
	fake_insert(fake, event);
	return (struct world_http *)event;
}

static inline void fake_http_cancel(struct world_http *http)
{
	struct fake_event *event = (struct fake_event *)http;

	event->fake->in_flight--;
	fake_remove(event);
	fake_event_free(event);
}

/* ---- running ---- */

static inline void fake_init(struct fake *fake, fake_serve *serve)
{
	static const struct world_ops ops = {
		.mono_us = fake_mono,
		.wall_us = fake_wall,
		.random = fake_random,
		.timer_start = fake_timer_start,
		.timer_cancel = fake_timer_cancel,
		.http_start = fake_http_start,
		.http_cancel = fake_http_cancel,
	};

	memset(fake, 0, sizeof(*fake));
	fake->world.ops = &ops;
	fake->serve = serve;
	fake->now_us = 5000000;
}

static inline void fake_http_ask(struct fake *fake, struct fake_event *event)
{
	fake->serve(fake,
		    &(struct asked){ event->method, event->url, event->content_type, event->accept,
				     event->body },
		    &event->answer);
	event->is_answered = true;
	event->at_us += event->answer.delay_us;
	fake_insert(fake, event);
}

static inline void fake_http_tell(struct fake *fake, struct fake_event *event)
{
	const struct answer *answer = &event->answer;
	const struct http_response response = {
		.status = answer->status,
		.headers = answer->headers,
		.header_count = answer->header_count,
		.body = buf_str(&answer->body),
		.body_len = answer->body.len,
	};
	struct err err = { 0 };

	fake->in_flight--;
	if (answer->fail != ERR_NONE) {
		err_set(&err, answer->fail, "", "the connection broke");
	} else if (answer->body.len > event->max_body) {
		err_set(&err, ERR_LIMIT, "", "the answer is too large");
	}
	event->http_done(event->arg, err.code == ERR_NONE ? NULL : &err,
			 err.code == ERR_NONE ? &response : NULL);
	fake_event_free(event);
}

/* The next thing happens; false when nothing is left. */
static inline bool fake_step(struct fake *fake)
{
	struct fake_event *event = fake->events;

	if (!event) {
		return false;
	}
	fake->events = event->next;
	fake->now_us = event->at_us > fake->now_us ? event->at_us : fake->now_us;
	if (event->fire) {
		world_fire *fire = event->fire;
		void *arg = event->arg;

		fake_event_free(event);
		fire(arg);
	} else if (event->is_answered) {
		fake_http_tell(fake, event);
	} else {
		fake_http_ask(fake, event);
	}
	return true;
}

#endif
