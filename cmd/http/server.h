/* What the files of the HTTP server share. */
#ifndef DNS01_HTTP_SERVER_H
#define DNS01_HTTP_SERVER_H

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <sys/queue.h>

#include "dns01/http.h"

/* How long head and body of one request may take; tests shorten it. */
extern int64_t http_server_incoming_ms;

/* Who is at the other end of a connection, found once. */
struct conn_peer {
	struct peer peer;
	struct strlist names;
	char cert_id[33];
};

struct conn {
	TAILQ_ENTRY(conn) link;
	struct http_server *server;
	struct bufferevent *bufferevent;
	struct evhttp_connection *evhttp; /* NULL until it was adopted */
	struct event *timer;              /* adoption, then the deadline of a request */
	struct world_exchange *exchange;  /* waits for its answer; NULL: none does */
	struct conn_peer *peer;
};

struct http_server {
	struct event_base *base;
	struct http_listen args;
	struct evhttp *evhttp;
	struct evhttp_bound_socket *bound; /* NULL once closed */
	struct event *resume;              /* when descriptors ran out */
	char *unix_path;
	struct addr addr;
	TAILQ_HEAD(conns, conn) conns; /* the newest in front */
	struct conn **by_fd;           /* adopted ones by their descriptor */
	size_t by_fd_len;
	size_t conn_count;
	size_t exchange_count; /* those whose connection has gone too */
	bool paused;
};

struct world_exchange {
	struct http_server *server;
	struct conn *conn;      /* NULL: it has gone */
	struct conn_peer *peer; /* ours once conn is NULL */
	struct evhttp_request *request;
	bool streaming;
	world_fire *gone;
	void *gone_arg;
};

/* exchange.c: evhttp's callback for a whole request */
void http_exchange_begin(struct evhttp_request *request, void *server);
void http_exchange_conn_gone(struct world_exchange *exchange);
void conn_peer_free(struct conn_peer *peer);

/* server.c: the connection of a request */
struct conn *http_server_conn(struct http_server *server, struct evhttp_request *request);
void conn_wait_for_answer(struct conn *conn);
void conn_wait_for_request(struct conn *conn);

#endif
