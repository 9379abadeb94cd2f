/*
 * One connection to the HTTP server.
 *
 *   READING --a whole request--> SERVING --answered--> READING ...
 *      |                            |  \--answered, and it is the last--> ENDING -> DEAD
 *      |                            \--the peer leaves--> DEAD (the exchange hears of it)
 *      \--what is no request--> ENDING; deadline, or the peer leaves --> DEAD
 *
 * All connections of a server are in an epoll set of their own, which libevent sees as one
 * descriptor: some are taken from it at a time, in turn, and a thousand that wait to be read do
 * not show up again with each look at the others.
 */
#include "server.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "dns01/crypto.h"

#define PIPELINED_MAX (64 * 1024) /* octets taken while an answer is awaited */
#define IN_MAX (HTTP_INCOMING_HEAD_MAX + HTTP_INCOMING_BODY_MAX + 4 * SCRATCH_LEN)
#define OUT_MAX ((size_t)512 * 1024 * 1024)
#define PASSED_OVER_MAX (256 * 1024) /* octets behind the last request */
#define READS_AT_ONCE 8
#define TOO_LARGE 413
#define TOO_MANY_FIELDS 431

/* ---- turns ---------------------------------------------------------------------- */

static void take_turn(struct conn *conn)
{
	if (!conn->in_turn) {
		conn->in_turn = true;
		TAILQ_INSERT_TAIL(&conn->server->turn, conn, turn);
		event_active(conn->server->work, EV_TIMEOUT, 0);
	}
}

/* ---- the epoll set --------------------------------------------------------------- */

size_t conn_unsent(const struct conn *conn)
{
	return conn->out.len - conn->out_sent;
}

static void look_for(struct conn *conn, bool tls_writes)
{
	uint32_t reads = conn->eof ? 0 : conn->blocked ? EPOLLRDHUP : EPOLLRDHUP | EPOLLIN;
	uint32_t events = reads | (conn_unsent(conn) > 0 || tls_writes ? EPOLLOUT : 0);
	struct epoll_event event = { .events = events, .data.ptr = conn };

	if (conn->state != CONN_DEAD && events != conn->events) {
		conn->events = events;
		epoll_ctl(conn->server->epoll, EPOLL_CTL_MOD, conn->fd, &event);
	}
}

void conn_new(struct http_server *server, int fd)
{
	struct conn *conn = xcalloc(1, sizeof(*conn));
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = conn };

	conn->server = server;
	conn->fd = fd;
	conn->events = event.events;
	conn->tls = server->args.tls ? tls_conn_new(server->args.tls, fd) : NULL;
	buf_init(&conn->in, IN_MAX);
	buf_init(&conn->out, OUT_MAX);
	TAILQ_INSERT_HEAD(&server->conns, conn, link);
	server->conn_count++;
	conn_set_deadline(conn, DEADLINE_REQUEST);
	if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
		log_warn("a connection cannot be waited for: %s", strerror(errno));
		conn->broken = true;
		take_turn(conn);
	}
}

static void incoming_free(struct incoming *incoming)
{
	if (incoming) {
		buf_clear(&incoming->chunks.body);
		free(incoming);
	}
}

void conn_close(struct conn *conn)
{
	struct http_server *server = conn->server;
	struct world_exchange *exchange = conn->exchange;

	if (conn->state == CONN_DEAD) {
		return;
	}
	conn_set_deadline(conn, DEADLINE_NONE);
	conn->state = CONN_DEAD;
	tls_conn_free(conn->tls);
	conn->tls = NULL;
	close(conn->fd);
	TAILQ_REMOVE(&server->conns, conn, link);
	server->conn_count--;
	take_turn(conn);
	http_server_set_accepting(server, true);
	if (exchange) {
		exchange->peer = conn->peer;
		conn->peer = NULL;
		conn->exchange = NULL;
		exchange_conn_gone(exchange);
	}
}

static void conn_free(struct conn *conn)
{
	conn_peer_free(conn->peer);
	incoming_free(conn->incoming);
	buf_clear(&conn->in);
	buf_clear(&conn->out);
	free(conn);
}

/* ---- sending --------------------------------------------------------------------- */

/* Octets that were taken; 0: none now; -1: it is broken. */
static ssize_t send_some(struct conn *conn, const void *data, size_t len, bool *tls_writes)
{
	enum tls_want want = TLS_WANT_WRITE;
	ssize_t sent;

	if (conn->tls) {
		sent = tls_conn_write(conn->tls, data, len, &want);
		*tls_writes = sent == TLS_WAIT && want == TLS_WANT_WRITE;
		return sent == TLS_WAIT ? 0 : sent > 0 ? sent : -1;
	}
	do {
		sent = send(conn->fd, data, len, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent >= 0 ? sent : errno == EAGAIN ? 0 : -1;
}

/* The peer has everything, and is told that it was all. */
static void shut(struct conn *conn)
{
	if (conn->tls) {
		tls_conn_shut(conn->tls);
	}
	shutdown(conn->fd, SHUT_WR);
	conn->blocked =
		false; /* until it closes, so that nothing it sends is answered by a reset */
	conn_set_deadline(conn, DEADLINE_ENDING);
	look_for(conn, false);
}

static void flush(struct conn *conn)
{
	bool tls_writes = false;

	while (conn_unsent(conn) > 0 && !conn->broken) {
		ssize_t sent = send_some(conn, conn->out.data + conn->out_sent, conn_unsent(conn),
					 &tls_writes);

		if (sent <= 0) {
			conn->broken = sent < 0;
			break;
		}
		conn->out_sent += (size_t)sent;
	}
	if (conn_unsent(conn) == 0 && conn->out.len > 0) {
		buf_clear(&conn->out);
		conn->out_sent = 0;
		if (conn->state == CONN_ENDING) {
			shut(conn);
		} else if (conn->eof || (conn->state == CONN_READING && conn->in.len > 0)) {
			conn->blocked = false;
			take_turn(conn);
		}
	}
	look_for(conn, tls_writes);
}

/* Whoever sends does not expect to hear of the end meanwhile: that comes with the next turn. */
void conn_send(struct conn *conn, const void *data, size_t len)
{
	bool tls_writes = false;
	ssize_t sent = 0;

	if (conn->broken || conn->state == CONN_DEAD) {
		return;
	}
	if (conn_unsent(conn) == 0) {
		sent = send_some(conn, data, len, &tls_writes);
	}
	if (sent >= 0 && (size_t)sent < len) {
		buf_add(&conn->out, (const char *)data + sent, len - (size_t)sent);
		look_for(conn, tls_writes);
	}
	if (sent < 0 || conn->out.overflow) {
		conn->broken = true;
		take_turn(conn);
	}
}

/* ---- requests -------------------------------------------------------------------- */

static void drop_front(struct conn *conn, size_t len)
{
	if (len == 0) {
		return;
	}
	conn->scanned = 0;
	if (len == conn->in.len) {
		buf_clear(&conn->in);
	} else {
		memmove(conn->in.data, conn->in.data + len, conn->in.len - len + 1);
		conn->in.len -= len;
	}
}

/* 0: go on; else the status to refuse it with. *whole: the head is there. */
static int take_head(struct conn *conn, bool *whole)
{
	struct incoming *incoming;
	size_t head_len;
	int status;

	*whole = false;
	drop_front(conn, http_head_blank(conn->in.data, conn->in.len));
	head_len = http_head_len(conn->in.data, conn->in.len, &conn->scanned);
	if (head_len == 0 && conn->in.len <= HTTP_INCOMING_HEAD_MAX) {
		return 0;
	}
	if (head_len == 0 || head_len > HTTP_INCOMING_HEAD_MAX) {
		return TOO_MANY_FIELDS;
	}
	incoming = conn->incoming = xcalloc(1, sizeof(*incoming));
	incoming->head_len = head_len;
	buf_init(&incoming->chunks.body, HTTP_INCOMING_BODY_MAX);
	status = http_head_parse(conn->in.data, head_len, &incoming->head);
	if (status == 0 && incoming->head.body_len > HTTP_INCOMING_BODY_MAX) {
		status = TOO_LARGE;
	}
	*whole = status == 0;
	return status;
}

static int take_chunks(struct conn *conn, bool *whole)
{
	struct incoming *incoming = conn->incoming;
	size_t from = incoming->head_len + incoming->chunked_len;
	size_t used = 0;
	int status = http_chunks_take(&incoming->chunks, conn->in.data + from, conn->in.len - from,
				      &used);

	incoming->chunked_len += used;
	*whole = incoming->chunks.state == CHUNK_OVER;
	/* What was taken stands in the chunks' body already. */
	if (!*whole && status == 0) {
		conn->in.len = incoming->head_len;
		conn->in.data[conn->in.len] = '\0';
		incoming->chunked_len = 0;
	}
	return status;
}

static void serve(struct conn *conn)
{
	struct incoming *incoming = conn->incoming;
	bool chunked = incoming->head.chunked;
	size_t len =
		incoming->head_len + (chunked ? incoming->chunked_len : incoming->head.body_len);
	char behind = conn->in.data[len]; /* the first octet of the next request, or the NUL */

	conn->in.data[len] = '\0';
	conn->state = CONN_SERVING;
	conn_set_deadline(conn, DEADLINE_NONE);
	conn->busy = true;
	if (chunked) {
		exchange_begin(conn, buf_str(&incoming->chunks.body), incoming->chunks.body.len);
	} else {
		exchange_begin(conn, conn->in.data + incoming->head_len, incoming->head.body_len);
	}
	conn->busy = false;
	conn->in.data[len] = behind;
	drop_front(conn, len);
	incoming_free(incoming);
	conn->incoming = NULL;
}

/* False: there is none yet, or none will come. */
static bool take_request(struct conn *conn)
{
	struct incoming *incoming = conn->incoming;
	bool whole = incoming != NULL;
	int status = incoming || conn->in.len == 0 ? 0 : take_head(conn, &whole);

	incoming = conn->incoming;
	if (status == 0 && whole) {
		whole = conn->in.len - incoming->head_len >= incoming->head.body_len;
		if (incoming->head.chunked) {
			status = take_chunks(conn, &whole);
		}
	}
	if (status != 0) {
		conn_refuse(conn, status);
		return false;
	}
	if (whole) {
		serve(conn);
	} else if (incoming && incoming->head.expects_continue && !incoming->told_to_continue) {
		incoming->told_to_continue = true;
		conn_tell_to_continue(conn);
	}
	return whole;
}

/* Not before the last answer is taken: else one who sends and never reads would fill the memory. */
static void take_requests(struct conn *conn)
{
	while (conn->state == CONN_READING && !conn->broken && conn_unsent(conn) == 0 &&
	       take_request(conn)) {
	}
	if (conn->state == CONN_READING && conn->in.len > 0 && conn->deadline != DEADLINE_REQUEST) {
		conn_set_deadline(conn, DEADLINE_REQUEST);
	}
}

void conn_answered(struct conn *conn)
{
	bool was_blocked = conn->blocked;

	conn->exchange = NULL;
	conn->blocked = false;
	if (!conn->keep_open || conn->server->fd < 0) {
		conn->state = CONN_ENDING;
		conn_set_deadline(conn, DEADLINE_IDLE);
		if (conn_unsent(conn) == 0) {
			shut(conn);
		}
		return;
	}
	conn->state = CONN_READING;
	conn_set_deadline(conn, DEADLINE_IDLE);
	look_for(conn, false);
	if (was_blocked || (!conn->busy && conn->in.len > 0)) {
		take_turn(conn);
	}
}

/* ---- reading --------------------------------------------------------------------- */

/* Octets; 0: nothing now; -1: no more will come, with eof where the peer said so. */
static ssize_t read_some(struct conn *conn, bool *tls_writes)
{
	enum tls_want want = TLS_WANT_READ;
	ssize_t len;

	if (conn->tls) {
		len = tls_conn_read(conn->tls, conn->server->scratch, SCRATCH_LEN, &want);
		*tls_writes = len == TLS_WAIT && want == TLS_WANT_WRITE;
		conn->eof = len == 0;
		return len == TLS_WAIT ? 0 : len > 0 ? len : -1;
	}
	do {
		len = recv(conn->fd, conn->server->scratch, SCRATCH_LEN, 0);
	} while (len < 0 && errno == EINTR);
	conn->eof = len == 0;
	return len > 0 ? len : len < 0 && errno == EAGAIN ? 0 : -1;
}

/* Who says that no more comes may still read what it asked for; who waits for an answer
 * has left. */
static void end_reading(struct conn *conn)
{
	if (conn->eof && conn->state != CONN_SERVING && conn_unsent(conn) > 0) {
		look_for(conn, false);
	} else {
		conn_close(conn);
	}
}

/* Gives whether there may be more. */
static bool take_octets(struct conn *conn, size_t len)
{
	if (conn->state == CONN_ENDING) {
		conn->passed_over += len;
		conn->broken = conn->passed_over > PASSED_OVER_MAX;
		return !conn->broken;
	}
	buf_add(&conn->in, conn->server->scratch, len);
	take_requests(conn);
	conn->blocked = (conn->state == CONN_SERVING || conn_unsent(conn) > 0) &&
			conn->in.len >= PIPELINED_MAX;
	return conn->state != CONN_DEAD && !conn->blocked && (conn->tls || len == SCRATCH_LEN);
}

static void read_all(struct conn *conn)
{
	bool tls_writes = false, more = !conn->blocked && !conn->eof;

	for (int i = 0; i < READS_AT_ONCE && more; i++) {
		ssize_t len = read_some(conn, &tls_writes);

		if (len < 0) {
			end_reading(conn);
			return;
		}
		more = len > 0 && take_octets(conn, (size_t)len);
	}
	if (more || conn->broken) {
		take_turn(conn);
	}
	look_for(conn, tls_writes);
}

void conn_on_events(struct conn *conn, uint32_t events)
{
	if (conn->state == CONN_DEAD) {
		return;
	}
	if (conn_unsent(conn) > 0) {
		flush(conn);
	}
	if (conn->broken || (events & EPOLLERR) || (conn->blocked && (events & EPOLLRDHUP))) {
		conn_close(conn);
		return;
	}
	if (!conn->eof && (conn->tls || (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)))) {
		read_all(conn);
	}
}

void conns_work(struct http_server *server)
{
	struct conn *last = TAILQ_LAST(&server->turn, conns);
	struct conn *conn = TAILQ_FIRST(&server->turn);

	for (bool more = last != NULL; more; conn = TAILQ_FIRST(&server->turn)) {
		more = conn != last;
		TAILQ_REMOVE(&server->turn, conn, turn);
		conn->in_turn = false;
		if (conn->state == CONN_DEAD) {
			conn_free(conn);
		} else if (conn->broken) {
			conn_close(conn);
		} else {
			take_requests(conn);
			if (conn->eof && conn_unsent(conn) == 0) {
				conn_close(conn);
			} else {
				read_all(conn); /* OpenSSL may hold what no epoll knows of */
			}
		}
	}
	if (!TAILQ_EMPTY(&server->turn)) {
		event_active(server->work, EV_TIMEOUT, 0);
	}
}

void conns_reap(struct http_server *server)
{
	struct conn *conn, *next;

	for (conn = TAILQ_FIRST(&server->turn); conn; conn = next) {
		next = TAILQ_NEXT(conn, turn);
		if (conn->state == CONN_DEAD) {
			TAILQ_REMOVE(&server->turn, conn, turn);
			conn_free(conn);
		}
	}
}
