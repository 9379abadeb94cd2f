/*
 * exchange: one request and its answer.
 *
 *   begin -> (serve) -> WAITING -> reply | stream, parts, end -> the connection's next request
 *                          \-> the client leaves: gone is told; reply or end only frees it
 */
#include "server.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/keyvalq_struct.h>

#include "dns01/crypto.h"

#define HEADERS_MAX 64
#define UNSENT_MAX (256 * 1024) /* octets of a stream that its reader does not take */

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
	int fd = (int)bufferevent_getfd(conn->bufferevent);
	struct ucred who;
	socklen_t len = sizeof(who);
	union {
		struct sockaddr sa;
		struct sockaddr_storage storage;
	} at = { .sa = { .sa_family = AF_UNSPEC } };
	socklen_t at_len = sizeof(at);

	if (getpeername(fd, &at.sa, &at_len) == 0 && at.sa.sa_family != AF_UNIX) {
		peer->addr.len = at_len < sizeof(peer->addr.u) ? at_len : sizeof(peer->addr.u);
		memcpy(&peer->addr.u, &at, peer->addr.len);
		addr_unmap(&peer->addr);
	} else if (at.sa.sa_family == AF_UNIX &&
		   getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0) {
		peer->is_unix = true;
		peer->uid = who.uid;
		peer->gid = who.gid;
	}
	if (conn->server->args.tls && tls_peer(bufferevent_openssl_get_ssl(conn->bufferevent),
					       &found->names, found->cert_id)) {
		peer->cert_names = &found->names;
		peer->cert_id = found->cert_id;
	}
	return found;
}

/* ---- a request ------------------------------------------------------------------- */

static const char *method_of(const struct evhttp_request *request)
{
	switch (evhttp_request_get_command(request)) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_PUT:
		return "PUT";
	case EVHTTP_REQ_DELETE:
		return "DELETE";
	case EVHTTP_REQ_HEAD:
		return "HEAD";
	default:
		return "?";
	}
}

/* Gives; NULL: it cannot be decoded, or has a NUL in it. */
static char *decoded_path(const struct evhttp_request *request)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *raw = uri ? evhttp_uri_get_path(uri) : NULL;
	size_t len = 0;
	char *path = raw ? evhttp_uridecode(raw, 0, &len) : NULL;

	if (path && strlen(path) != len) {
		free(path);
		path = NULL;
	}
	return path;
}

static void lower(char *text)
{
	for (; *text; text++) {
		if (*text >= 'A' && *text <= 'Z') {
			*text = (char)(*text - 'A' + 'a');
		}
	}
}

/* evhttp keeps the names as they came; they are ours to change. */
static size_t read_headers(struct evhttp_request *request, struct http_header out[HEADERS_MAX])
{
	struct evkeyval *header;
	size_t count = 0;

	TAILQ_FOREACH(header, evhttp_request_get_input_headers(request), next)
	{
		lower(header->key);
		if (count < HEADERS_MAX) {
			out[count++] = (struct http_header){ header->key, header->value };
		}
	}
	return count;
}

static const char *whole_body(struct evhttp_request *request, size_t *len)
{
	struct evbuffer *input = evhttp_request_get_input_buffer(request);
	const char *body;

	*len = evbuffer_get_length(input);
	evbuffer_add(input, "", 1); /* the NUL */
	body = (const char *)evbuffer_pullup(input, -1);
	return body ? body : "";
}

void http_exchange_begin(struct evhttp_request *request, void *arg)
{
	struct http_server *server = arg;
	struct conn *conn = http_server_conn(server, request);
	struct http_header headers[HEADERS_MAX];
	struct http_incoming incoming;
	struct world_exchange *exchange;
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *query = uri ? evhttp_uri_get_query(uri) : NULL;
	char *path = decoded_path(request);

	if (!path || !conn) {
		free(path);
		evhttp_send_error(request, HTTP_BADREQUEST, NULL);
		return;
	}
	conn->peer = conn->peer ? conn->peer : find_peer(conn);
	exchange = xcalloc(1, sizeof(*exchange));
	exchange->server = server;
	exchange->conn = conn;
	exchange->request = request;
	conn->exchange = exchange;
	server->exchange_count++;
	conn_wait_for_answer(conn);
	incoming = (struct http_incoming){
		.method = method_of(request),
		.path = path,
		.query = query ? query : "",
		.headers = headers,
		.header_count = read_headers(request, headers),
		.peer = &conn->peer->peer,
	};
	incoming.body = whole_body(request, &incoming.body_len);
	server->args.serve(server->args.arg, exchange, &incoming);
	free(path);
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

/* The client has left: nothing can be sent. True: it is freed. */
static bool end_if_gone(struct world_exchange *exchange)
{
	if (exchange->conn) {
		return false;
	}
	evhttp_request_free(exchange->request);
	exchange_free(exchange);
	return true;
}

static void add_headers(struct world_exchange *exchange, const struct http_answer_out *answer)
{
	struct evkeyvalq *out = evhttp_request_get_output_headers(exchange->request);

	for (size_t i = 0; i < answer->header_count; i++) {
		evhttp_add_header(out, answer->headers[i].name, answer->headers[i].value);
	}
	if (!exchange->server->bound) {
		evhttp_add_header(out, "Connection", "close");
	}
}

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
		{ 429, "Too Many Requests" },
		{ 500, "Internal Server Error" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
	};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (reasons[i].status == status) {
			return reasons[i].reason;
		}
	}
	return "Answer";
}

void http_exchange_reply(struct world_exchange *exchange, const struct http_answer_out *answer)
{
	struct evhttp_request *request = exchange->request;
	struct conn *conn = exchange->conn;
	struct evbuffer *body = NULL;
	char length[24];

	if (end_if_gone(exchange)) {
		return;
	}
	add_headers(exchange, answer);
	if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD) {
		snprintf(length, sizeof(length), "%zu", answer->body_len);
		evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Length",
				  length);
	} else if (answer->body_len > 0) {
		body = evbuffer_new();
		if (!body || evbuffer_add(body, answer->body, answer->body_len) != 0) {
			log_error("out of memory");
			abort();
		}
	}
	exchange_free(exchange);
	conn_wait_for_request(conn);
	evhttp_send_reply(request, answer->status, reason_of(answer->status), body);
	if (body) {
		evbuffer_free(body);
	}
}

void http_exchange_stream(struct world_exchange *exchange, const struct http_answer_out *head)
{
	exchange->streaming = true;
	if (exchange->conn) {
		add_headers(exchange, head);
		evhttp_send_reply_start(exchange->request, head->status, reason_of(head->status));
	}
}

void http_exchange_part(struct world_exchange *exchange, const void *data, size_t len)
{
	struct evbuffer *part;
	struct evbuffer *unsent;

	if (!exchange->conn || len == 0) {
		return;
	}
	unsent = bufferevent_get_output(exchange->conn->bufferevent);
	part = evbuffer_new();
	if (part && evbuffer_get_length(unsent) < UNSENT_MAX) {
		evbuffer_add(part, data, len);
		evhttp_send_reply_chunk(exchange->request, part);
	}
	if (part) {
		evbuffer_free(part);
	}
}

void http_exchange_end(struct world_exchange *exchange)
{
	struct evhttp_request *request = exchange->request;
	struct conn *conn = exchange->conn;

	if (end_if_gone(exchange)) {
		return;
	}
	exchange_free(exchange);
	conn_wait_for_request(conn);
	evhttp_send_reply_end(request);
}

void http_exchange_on_gone(struct world_exchange *exchange, world_fire *gone, void *arg)
{
	exchange->gone = gone;
	exchange->gone_arg = arg;
}

void http_exchange_conn_gone(struct world_exchange *exchange)
{
	exchange->conn = NULL;
	if (exchange->gone) {
		exchange->gone(exchange->gone_arg);
	}
}
