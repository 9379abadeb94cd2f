/* What the files of the HTTP server share. */
#ifndef DNS01_HTTP_SERVER_H
#define DNS01_HTTP_SERVER_H

#include <event2/event.h>
#include <sys/queue.h>

#include "dns01/http.h"

#include "head.h"

#define SCRATCH_LEN (64 * 1024)

/* How long head and body of one request may take; tests shorten it. */
extern int64_t http_server_incoming_ms;

/* Who is at the other end of a connection, found once. */
struct conn_peer {
	struct peer peer;
	struct strlist names;
	char cert_id[33];
};

/* A request whose head is whole. */
struct incoming {
	struct http_head head;
	size_t head_len;
	struct http_chunks chunks;
	size_t chunked_len; /* octets of the chunked body that were taken */
	bool told_to_continue;
};

enum conn_state {
	CONN_READING, /* between two requests, or in one */
	CONN_SERVING, /* its exchange waits for an answer */
	CONN_ENDING,  /* what is left to send is sent; then the peer is waited for */
	CONN_DEAD     /* freed when nobody looks at it any more */
};

/* What a connection waits for may take so long; each has the same time for all, so that those who
 * wait stand in the order of their ends. */
enum deadline { DEADLINE_NONE, DEADLINE_REQUEST, DEADLINE_IDLE, DEADLINE_ENDING, DEADLINE_COUNT };

struct conn {
	TAILQ_ENTRY(conn) link;
	TAILQ_ENTRY(conn) due; /* among those of its deadline */
	TAILQ_ENTRY(conn) turn;
	struct http_server *server;
	int fd;
	uint32_t events; /* that it is looked at for */
	struct tls_conn *tls;
	enum conn_state state;
	enum deadline deadline;
	int64_t due_us;
	struct buf in;
	size_t scanned; /* of in, for the end of the head */
	struct incoming *incoming;
	struct buf out;
	size_t out_sent;
	struct world_exchange *exchange; /* waits for its answer; NULL: none does */
	struct conn_peer *peer;
	size_t passed_over;           /* octets while it ends */
	bool keep_open, is_head, old; /* of the request that is served */
	bool busy;                    /* a request of it is being given to its server */
	bool blocked;                 /* more requests than are taken ahead of their turn */
	bool broken;                  /* nothing can be sent */
	bool eof;                     /* nothing more comes */
	bool in_turn;
};
TAILQ_HEAD(conns, conn);

struct http_server {
	struct event_base *base;
	struct http_listen args;
	int fd;                 /* that listens; -1 once closed */
	struct event *knocking; /* somebody wants in */
	struct event *resume;   /* when descriptors ran out */
	bool paused;
	int epoll;           /* of the connections */
	struct event *ready; /* any of them can be read or written */
	struct event *work;  /* there is somebody in turn */
	struct event *timer; /* the next deadline */
	int64_t timer_us;    /* when that is; 0: it does not run */
	char *unix_path;
	struct addr addr;
	struct conns conns;
	struct conns due[DEADLINE_COUNT];
	struct conns turn; /* has a request already, is broken, or dead */
	size_t conn_count;
	size_t exchange_count; /* those whose connection has gone too */
	char *scratch;         /* SCRATCH_LEN octets */
	struct buf answer;     /* under construction */
	char date[40];         /* the Date of answers */
	int64_t date_s;
};

struct world_exchange {
	struct http_server *server;
	struct conn *conn;      /* NULL: it has gone */
	struct conn_peer *peer; /* ours once conn is NULL */
	bool streaming;
	world_fire *gone;
	void *gone_arg;
};

/* server.c */
void http_server_set_accepting(struct http_server *server, bool accepting);

/* conn.c: one connection */
void conn_new(struct http_server *server, int fd);
void conn_on_events(struct conn *conn, uint32_t events);
void conn_send(struct conn *conn, const void *data, size_t len);
size_t conn_unsent(const struct conn *conn);
/* The exchange is over: the next request, or the end. */
void conn_answered(struct conn *conn);
/* From the loop. Its exchange hears of it; memory goes with conns_reap. */
void conn_close(struct conn *conn);
void conns_work(struct http_server *server); /* whoever is in turn */
void conns_reap(struct http_server *server);
void conn_peer_free(struct conn_peer *peer);

/* deadlines.c */
void conn_set_deadline(struct conn *conn, enum deadline deadline);
void deadlines_init(struct http_server *server);
void deadlines_free(struct http_server *server);

/* exchange.c */
void exchange_begin(struct conn *conn, const char *body, size_t body_len);
void exchange_conn_gone(struct world_exchange *exchange);
/* An answer of our own, to what is no request; closes. */
void conn_refuse(struct conn *conn, int status);
void conn_tell_to_continue(struct conn *conn);

#endif
