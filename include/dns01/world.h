/*
 * world: everything outside the program, as a parameter.
 *
 * No module above cmd/world opens a socket, reads a clock, draws randomness or
 * waits: it is handed a struct world. cmd/world and cmd/http make the real one
 * on libevent and libcurl; tests/sim makes one with virtual time.
 *
 * Rules of every operation here:
 *  - x_start/x_open gives a handle; callbacks come only from the loop, never
 *    from inside the call that asked for them;
 *  - x_cancel/x_close ends it: no callback follows; NULL is fine;
 *  - an operation with a `done` calls it exactly once unless it was cancelled,
 *    and the handle is gone when done is called;
 *  - all may be called from inside any callback.
 */
#ifndef DNS01_WORLD_H
#define DNS01_WORLD_H

#include "dns01/base.h"

struct world;
struct world_timer;
struct world_dgram;
struct world_stream;
struct world_http;
struct world_child;

typedef void world_fire(void *arg);

/* A datagram came; or data is NULL and err says why the endpoint is dead
 * (ICMP port unreachable: ERR_NETWORK). The endpoint stays until closed. */
typedef void world_dgram_in(void *arg, const uint8_t *data, size_t len, const struct err *err);

enum world_stream_event {
	WORLD_STREAM_OPEN, /* connected; may write */
	WORLD_STREAM_DATA, /* data, len: what arrived */
	WORLD_STREAM_END   /* the peer closed, or it failed (err not NULL); still to be closed */
};
struct world_stream_in {
	enum world_stream_event event;
	const uint8_t *data;
	size_t len;
	const struct err *err;
};
typedef void world_stream_cb(void *arg, const struct world_stream_in *in);

#define HTTP_HEADER_LINE_MAX (16 * 1024)

struct http_header {
	const char *name;
	const char *value;
};

/* Only https URLs, but for plain http to a loopback address when
 * allow_http_loopback is set. Redirects are never followed. */
struct http_request {
	const char *method; /* "GET", "HEAD", "POST", ... */
	const char *url;    /* sent as it is, byte for byte */
	const struct http_header *headers;
	size_t header_count;
	const void *body; /* NULL: none */
	size_t body_len;
	size_t max_body;     /* cap on the response's body, octets */
	int64_t timeout_ms;  /* for the whole exchange; 0: 60 s */
	const char *ca_file; /* PEM roots instead of the system's; NULL: the system's */
	const char *proxy;   /* NULL or "none": no proxy, the environment's is not read */
	bool allow_http_loopback;
	bool allow_http_link_local; /* 169.254.0.0/16: where clouds give their hosts credentials */
	bool once; /* over a connection of its own: on one that was kept and turns out to be dead
		    * libcurl would send it again, whatever became of the first */
	const char *unix_path; /* a Unix socket to send it over; the URL's host is only named */
	const char
		*cert_file; /* our certificate, with its chain, and key_file, in PEM; NULL: none */
	const char *key_file;
};

struct http_response {
	int status;                        /* 200, 404, ... */
	const struct http_header *headers; /* names lower case, in order of arrival */
	size_t header_count;
	const char *body; /* NUL follows body_len octets */
	size_t body_len;
};

/* Exactly one of err and response is not NULL; both are borrowed. An answer of any
 * status is a response; err is for what kept an answer from arriving. */
typedef void world_http_done(void *arg, const struct err *err,
			     const struct http_response *response);

struct spawn_request {
	char *const *argv;        /* argv[0] is a path, run directly, no shell */
	char *const *environment; /* whole environment of the child, NULL-ended */
	const void *input;        /* for its stdin; NULL: /dev/null */
	size_t input_len;
	size_t max_output;  /* stdout and stderr together; the rest is dropped */
	int64_t timeout_ms; /* then SIGTERM, 5 s later SIGKILL */
};

struct spawn_result {
	bool timed_out;
	int exit_status;    /* as a shell says it: 128 + signal for a signal */
	const char *output; /* NUL-terminated, borrowed */
	size_t output_len;
};
/* err: it could not be started. */
typedef void world_spawn_done(void *arg, const struct err *err, const struct spawn_result *result);

/* ---- those who come to us ------------------------------------------------ */

struct world_listener;
struct world_exchange;
struct tls_server; /* crypto.h */

/* Who is at the other end. */
struct peer {
	struct addr addr; /* of the TCP peer; len 0 for a Unix socket */
	bool is_unix;     /* then uid and gid are what the kernel says (SO_PEERCRED) */
	uid_t uid;
	gid_t gid;
	/* Of a client certificate that the listener's client_ca verified; NULL: none. */
	const struct strlist *cert_names; /* its DNS names, lower case */
	const char *cert_id;              /* hex of its SHA-256, the first 16 octets */
};

#define HTTP_INCOMING_HEAD_MAX (16 * 1024) /* octets of a request's head */
#define HTTP_INCOMING_BODY_MAX (64 * 1024)
#define HTTP_INCOMING_MS 10000  /* for head and body together, whatever trickles in */
#define HTTP_KEEP_OPEN_MS 75000 /* between two requests */

/* One request, whole; borrowed for the call. */
struct http_incoming {
	const char *method;                /* "GET" */
	const char *path;                  /* decoded, without the query; no NUL in it */
	const char *query;                 /* as it came, behind the "?"; "" */
	const struct http_header *headers; /* names lower case */
	size_t header_count;
	const char *body; /* NUL follows body_len octets */
	size_t body_len;
	const struct peer *peer; /* lives as long as the exchange */
};

/* To be answered once, by exchange_reply or by exchange_stream and exchange_end: now or
 * later. */
typedef void world_http_serve(void *arg, struct world_exchange *exchange,
			      const struct http_incoming *request);

struct http_answer_out {
	int status;
	const struct http_header *headers; /* Content-Type among them; Content-Length is added */
	size_t header_count;
	const void *body;
	size_t body_len;
};

/* Where to listen: one of the three. */
struct listen_at {
	const struct addr *addr;
	const char *unix_path; /* replaced when nobody listens there; made with mode 0666: who may
				* do what is decided by SO_PEERCRED */
	int fd;                /* inherited from the service manager; -1: none; taken */
};

struct http_listen {
	struct listen_at at;
	struct tls_server *tls; /* kept; NULL: plain */
	size_t connections_max; /* more wait in the kernel's queue; 0: 20,000 */
	world_http_serve *serve;
	void *arg;
};

/* A datagram from a stranger; reply with dgram_reply during the call or later, with a copy of
 * from. */
struct dgram_from {
	struct addr peer;
	struct addr local; /* the address that it was sent to: replies leave from there */
};
typedef void world_dgram_serve(void *arg, const struct dgram_from *from, const uint8_t *data,
			       size_t len);
/* A connection was made. The stream is the callee's: it calls stream_accept to hear of it, or
 * stream_close. */
typedef void world_stream_serve(void *arg, struct world_stream *stream, const struct peer *peer);

struct world_ops {
	int64_t (*mono_us)(struct world *world);                    /* for waits; never goes back */
	int64_t (*wall_us)(struct world *world);                    /* Unix time; may jump */
	void (*random)(struct world *world, void *out, size_t len); /* CSPRNG */

	struct world_timer *(*timer_start)(struct world *world, int64_t delay_us, world_fire *fire,
					   void *arg);
	void (*timer_cancel)(struct world_timer *timer);

	/* A UDP socket of its own: fresh random port, connected to peer. */
	struct world_dgram *(*dgram_open)(struct world *world, const struct addr *peer,
					  world_dgram_in *in, void *arg);
	/* Fire and forget: a failure to send arrives through the callback. */
	void (*dgram_send)(struct world_dgram *dgram, const void *data, size_t len);
	void (*dgram_close)(struct world_dgram *dgram);

	/* TCP, or a Unix socket's path as peer->u.sa.sa_family AF_UNIX later on. */
	struct world_stream *(*stream_open)(struct world *world, const struct addr *peer,
					    world_stream_cb *cb, void *arg);
	void (*stream_write)(struct world_stream *stream, const void *data, size_t len);
	void (*stream_close)(struct world_stream *stream);

	struct world_http *(*http_start)(struct world *world, const struct http_request *request,
					 world_http_done *done, void *arg);
	void (*http_cancel)(struct world_http *http);

	struct world_child *(*spawn_start)(struct world *world, const struct spawn_request *request,
					   world_spawn_done *done, void *arg);
	void (*spawn_cancel)(struct world_child *child); /* kills it */

	/* Listeners. NULL with err: the sentence names the address or path. A listener that is
	 * closed takes no more; what it took goes on. */
	struct world_listener *(*http_listen)(struct world *world, const struct http_listen *args,
					      struct err *err);
	struct world_listener *(*dgram_listen)(struct world *world, const struct listen_at *at,
					       world_dgram_serve *serve, void *arg,
					       struct err *err);
	struct world_listener *(*stream_listen)(struct world *world, const struct listen_at *at,
						world_stream_serve *serve, void *arg,
						struct err *err);
	void (*listener_close)(struct world_listener *listener);
	/* Where it listens: the port that 0 became. */
	struct addr (*listener_addr)(const struct world_listener *listener);
	void (*dgram_reply)(struct world_listener *listener, const struct dgram_from *to,
			    const void *data, size_t len);
	void (*stream_accept)(struct world_stream *stream, world_stream_cb *cb, void *arg);

	/* Frees the exchange; the connection may be kept for the next request. */
	void (*exchange_reply)(struct world_exchange *exchange,
			       const struct http_answer_out *answer);
	/* The head alone; then parts until exchange_end (chunked). */
	void (*exchange_stream)(struct world_exchange *exchange,
				const struct http_answer_out *head);
	void (*exchange_part)(struct world_exchange *exchange, const void *data, size_t len);
	void (*exchange_end)(struct world_exchange *exchange);
	/* gone: the client left before the answer; the exchange still has to be ended by one of
	 * those above, which then sends nothing, from inside gone or later. Once. */
	void (*exchange_on_gone)(struct world_exchange *exchange, world_fire *gone, void *arg);

	/* False where the host has no route for that family (IPv6, most often). */
	bool (*has_route)(struct world *world, const struct addr *peer);
};

/* An implementation embeds this as its first member. */
struct world {
	const struct world_ops *ops;
};

/* Short forms, so that callers read as sentences. */
static inline int64_t world_mono_us(struct world *world)
{
	return world->ops->mono_us(world);
}

static inline int64_t world_wall_us(struct world *world)
{
	return world->ops->wall_us(world);
}

static inline int64_t world_wall_s(struct world *world)
{
	return world->ops->wall_us(world) / 1000000;
}

static inline void world_random(struct world *world, void *out, size_t len)
{
	world->ops->random(world, out, len);
}

static inline struct world_timer *world_timer_start(struct world *world, int64_t delay_us,
						    world_fire *fire, void *arg)
{
	return world->ops->timer_start(world, delay_us, fire, arg);
}

static inline void world_timer_cancel(struct world *world, struct world_timer *timer)
{
	if (timer) {
		world->ops->timer_cancel(timer);
	}
}

/* Uniform in [0, bound), bound > 0; for jitter and shuffles. */
static inline uint64_t world_random_below(struct world *world, uint64_t bound)
{
	uint64_t draw;

	world->ops->random(world, &draw, sizeof(draw));
	return draw % bound;
}

/*
 * ---- the real world: cmd/world (loop, sockets, children, signals) with
 * cmd/http (http_start) ----
 */

/* Makes the real world, http included (libcurl is set up at its first request). */
struct world *world_real_new(struct err *err);
void world_real_free(struct world *world);
/* Runs until world_real_stop, or until nothing is left to wait for. */
void world_real_run(struct world *world);
void world_real_stop(struct world *world);
/* After that: until the last answers of closed HTTP listeners went out, for at most so long. */
void world_real_drain(struct world *world, int64_t at_most_us);
/* signal_cb in the loop for SIGINT, SIGTERM and SIGHUP. */
void world_real_on_signal(struct world *world, void (*signal_cb)(void *arg, int signo), void *arg);
/* The descriptor that the service manager opened for that place (SOCK_STREAM or SOCK_DGRAM), or
 * -1. */
int world_real_inherited(const struct listen_at *at, int type);
/* Tells the service manager: "READY=1", "STOPPING=1"; nothing without one. */
void world_real_notify(const char *state);
/* As many open files as this process may have. */
void world_real_raise_limits(void);

#endif
