/*
 * How long connections may take. Each kind of deadline is as long for all, so whoever begins to
 * wait stands at the end of its list, and one timer for the fronts is enough.
 */
#include "server.h"

#define ENDING_MS 2000 /* for the peer to take the answer and close */

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t length_us(enum deadline deadline)
{
	switch (deadline) {
	case DEADLINE_REQUEST:
		return http_server_incoming_ms * 1000;
	case DEADLINE_IDLE:
		return (int64_t)HTTP_KEEP_OPEN_MS * 1000;
	default:
		return (int64_t)ENDING_MS * 1000;
	}
}

static void arm(struct http_server *server, int64_t at_us, int64_t present_us)
{
	int64_t left_us = at_us > present_us ? at_us - present_us : 0;
	struct timeval left = { .tv_sec = left_us / 1000000, .tv_usec = left_us % 1000000 };

	event_add(server->timer, &left);
	server->timer_us = at_us;
}

static void arm_next(struct http_server *server, int64_t present_us)
{
	int64_t next_us = 0;

	for (int i = DEADLINE_NONE + 1; i < DEADLINE_COUNT; i++) {
		const struct conn *first = TAILQ_FIRST(&server->due[i]);

		if (first && (next_us == 0 || first->due_us < next_us)) {
			next_us = first->due_us;
		}
	}
	if (next_us != 0) {
		arm(server, next_us, present_us);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *server = arg;
	int64_t present_us = now_us();
	struct conn *conn;

	(void)fd;
	(void)what;
	server->timer_us = 0;
	for (int i = DEADLINE_NONE + 1; i < DEADLINE_COUNT; i++) {
		while ((conn = TAILQ_FIRST(&server->due[i])) && conn->due_us <= present_us) {
			conn_close(conn);
		}
	}
	conns_reap(server);
	arm_next(server, present_us);
}

void conn_set_deadline(struct conn *conn, enum deadline deadline)
{
	struct http_server *server = conn->server;
	int64_t present_us;

	if (conn->deadline != DEADLINE_NONE) {
		TAILQ_REMOVE(&server->due[conn->deadline], conn, due);
	}
	conn->deadline = deadline;
	if (deadline == DEADLINE_NONE) {
		return;
	}
	present_us = now_us();
	conn->due_us = present_us + length_us(deadline);
	TAILQ_INSERT_TAIL(&server->due[deadline], conn, due);
	/* A timer that runs for one that has left looks for the next when it ends. */
	if (server->timer_us == 0 || conn->due_us < server->timer_us) {
		arm(server, conn->due_us, present_us);
	}
}

void deadlines_init(struct http_server *server)
{
	for (int i = 0; i < DEADLINE_COUNT; i++) {
		TAILQ_INIT(&server->due[i]);
	}
	server->timer = event_new(server->base, -1, 0, on_timer, server);
	if (!server->timer) {
		log_error("out of memory");
		abort();
	}
}

void deadlines_free(struct http_server *server)
{
	event_free(server->timer);
}
