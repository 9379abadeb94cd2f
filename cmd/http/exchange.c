/*
 * exchange: one request and its answer.
 *
 *   begin -> (serve) -> WAITING -> reply | stream, parts, end -> the connection's next request
 *                          \-> the client leaves: gone is told; reply or end only frees it
 */
#include "server.h"

#include <sys/socket.h>

#include "dns01/crypto.h"

#define UNSENT_MAX (256 * 1024) /* octets of a stream that its reader does not take */
#define KEPT_MAX (64 * 1024)    /* of the buffer in which answers are made */

/* ---- who ------------------------------------------------------------------------ */

void conn_peer_free(struct conn_peer *peer)
{
	if (peer) {
		strlist_clear(&peer->names);
		free(peer);
	}
}

static struct conn_peer *find_peer(const struct conn *conn)
{
	struct conn_peer *found = xcalloc(1, sizeof(*found));
	struct peer *peer = &found->peer;
	struct ucred who;
	socklen_t len = sizeof(who);
	union {
		struct sockaddr sa;
		struct sockaddr_storage storage;
	} at = { .sa = { .sa_family = AF_UNSPEC } };
	socklen_t at_len = sizeof(at);

	if (getpeername(conn->fd, &at.sa, &at_len) == 0 && at.sa.sa_family != AF_UNIX) {
		peer->addr.len = at_len < sizeof(peer->addr.u) ? at_len : sizeof(peer->addr.u);
		memcpy(&peer->addr.u, &at, peer->addr.len);
		addr_unmap(&peer->addr);
	} else if (at.sa.sa_family == AF_UNIX &&
		   getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0) {
		peer->is_unix = true;
		peer->uid = who.uid;
		peer->gid = who.gid;
	}
	if (conn->tls && tls_conn_peer(conn->tls, &found->names, found->cert_id)) {
		peer->cert_names = &found->names;
		peer->cert_id = found->cert_id;
	}
	return found;
}

/* ---- a request ------------------------------------------------------------------- */

void exchange_begin(struct conn *conn, const char *body, size_t body_len)
{
	struct http_server *server = conn->server;
	const struct http_head *head = &conn->incoming->head;
	const char *text = conn->in.data;
	struct http_header headers[HEAD_FIELDS_MAX];
	struct world_exchange *exchange = xcalloc(1, sizeof(*exchange));
	struct http_incoming incoming = {
		.method = text + head->method,
		.path = text + head->path,
		.query = text + head->query,
		.headers = headers,
		.header_count = head->field_count,
		.body = body,
		.body_len = body_len,
	};

	for (size_t i = 0; i < head->field_count; i++) {
		headers[i] = (struct http_header){ text + head->field[i].name,
						   text + head->field[i].value };
	}
	conn->peer = conn->peer ? conn->peer : find_peer(conn);
	conn->keep_open = head->keep_open;
	conn->old = head->old;
	conn->is_head = strcmp(incoming.method, "HEAD") == 0;
	conn->exchange = exchange;
	exchange->server = server;
	exchange->conn = conn;
	server->exchange_count++;
	incoming.peer = &conn->peer->peer;
	server->args.serve(server->args.arg, exchange, &incoming);
}

/* ---- the answer's head ------------------------------------------------------------- */

/* Reasons are for people who read traces; the number counts. */
static const char *reason_of(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 409, "Conflict" },
		{ 413, "Content Too Large" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (reasons[i].status == status) {
			return reasons[i].reason;
		}
	}
	return "Answer";
}

/* RFC 9110 s.5.6.7; the same for all answers of a second. */
static const char *date_now(struct http_server *server)
{
	time_t now = time(NULL);
	struct tm tm;

	if (server->date_s != now && gmtime_r(&now, &tm)) {
		strftime(server->date, sizeof(server->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		server->date_s = now;
	}
	return server->date;
}

static void add_field(struct buf *out, const char *name, const char *value)
{
	buf_add_str(out, name);
	buf_add(out, ": ", 2);
	buf_add_str(out, value);
	buf_add(out, "\r\n", 2);
}

/* Without the line that ends it. */
static void begin_head(struct conn *conn, int status)
{
	struct buf *out = &conn->server->answer;

	if (out->cap > KEPT_MAX) {
		buf_clear(out);
	}
	out->len = 0;
	buf_addf(out, "HTTP/1.1 %d ", status);
	buf_add_str(out, reason_of(status));
	buf_add(out, "\r\n", 2);
	add_field(out, "Date", date_now(conn->server));
	if (!conn->keep_open || conn->server->fd < 0) {
		add_field(out, "Connection", "close");
	} else if (conn->old) {
		add_field(out, "Connection", "keep-alive");
	}
}

static void add_fields(struct conn *conn, const struct http_answer_out *answer)
{
	for (size_t i = 0; i < answer->header_count; i++) {
		add_field(&conn->server->answer, answer->headers[i].name, answer->headers[i].value);
	}
}

static void send_with_length(struct conn *conn, const void *body, size_t len)
{
	struct buf *out = &conn->server->answer;

	buf_addf(out, "Content-Length: %zu\r\n\r\n", len);
	if (!conn->is_head && len <= KEPT_MAX) {
		buf_add(out, body, len);
	}
	conn_send(conn, out->data, out->len);
	if (!conn->is_head && len > KEPT_MAX) {
		conn_send(conn, body, len);
	}
}

void conn_refuse(struct conn *conn, int status)
{
	conn->keep_open = conn->old = conn->is_head = false;
	begin_head(conn, status);
	send_with_length(conn, "", 0);
	conn_answered(conn);
}

void conn_tell_to_continue(struct conn *conn)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	conn_send(conn, text, sizeof(text) - 1);
}

/* ---- the answer ------------------------------------------------------------------- */

static void exchange_free(struct world_exchange *exchange)
{
	exchange->server->exchange_count--;
	if (!exchange->conn) {
		conn_peer_free(exchange->peer);
	}
	free(exchange);
}

void http_exchange_reply(struct world_exchange *exchange, const struct http_answer_out *answer)
{
	struct conn *conn = exchange->conn;

	exchange_free(exchange);
	if (!conn) {
		return; /* the client has left */
	}
	begin_head(conn, answer->status);
	add_fields(conn, answer);
	send_with_length(conn, answer->body, answer->body_len);
	conn_answered(conn);
}

void http_exchange_stream(struct world_exchange *exchange, const struct http_answer_out *head)
{
	struct conn *conn = exchange->conn;
	struct buf *out = &exchange->server->answer;

	exchange->streaming = true;
	if (!conn) {
		return;
	}
	/* RFC 9112 s.6.1: an old client knows the end by the connection's alone. */
	conn->keep_open = conn->keep_open && !conn->old;
	begin_head(conn, head->status);
	add_fields(conn, head);
	if (!conn->old) {
		add_field(out, "Transfer-Encoding", "chunked");
	}
	buf_add(out, "\r\n", 2);
	conn_send(conn, out->data, out->len);
}

void http_exchange_part(struct world_exchange *exchange, const void *data, size_t len)
{
	struct conn *conn = exchange->conn;
	struct buf *out = &exchange->server->answer;

	if (!conn || conn->is_head || len == 0 || conn_unsent(conn) >= UNSENT_MAX) {
		return;
	}
	if (conn->old) {
		conn_send(conn, data, len);
		return;
	}
	out->len = 0;
	buf_addf(out, "%zx\r\n", len);
	buf_add(out, data, len);
	buf_add(out, "\r\n", 2);
	conn_send(conn, out->data, out->len);
}

void http_exchange_end(struct world_exchange *exchange)
{
	struct conn *conn = exchange->conn;
	bool chunked = exchange->streaming && conn && !conn->old && !conn->is_head;

	exchange_free(exchange);
	if (chunked) {
		conn_send(conn, "0\r\n\r\n", 5);
	}
	if (conn) {
		conn_answered(conn);
	}
}

void http_exchange_on_gone(struct world_exchange *exchange, world_fire *gone, void *arg)
{
	exchange->gone = gone;
	exchange->gone_arg = arg;
}

void exchange_conn_gone(struct world_exchange *exchange)
{
	exchange->conn = NULL;
	if (exchange->gone) {
		exchange->gone(exchange->gone_arg);
	}
}
