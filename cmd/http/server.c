/*
 * The HTTP server, on evhttp: who listens, and what a connection may take.
 *
 *   accepted -> ADOPTED -> request arrives (within http_server_incoming_ms of its first octet,
 *   the first one of its connection) -> waits for its answer -> next request, or gone
 *
 * evhttp's own timeouts are for silence alone, so a client that sends an octet now and then would
 * stay for ever: each request has a deadline of ours. While an answer is awaited evhttp does not
 * read; we let it, so that it sees the client leave, but with a mark so high that it is
 * never called for octets: it would end the process over those of a next request.
 */
#include "server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "dns01/crypto.h"

#define BACKLOG 4096
#define CONNECTIONS_MAX 20000
#define PAUSE_MS 100
#define PIPELINED_MAX (64 * 1024) /* octets taken while an answer is awaited */
/* Taken while no answer is awaited: evhttp takes out of it what belongs to a request, but nothing
 * while its answer is still being written. */
#define UNREAD_MAX (128 * 1024)
#define NEVER_CALLED (1024 * 1024) /* more than PIPELINED_MAX */

int64_t http_server_incoming_ms = HTTP_INCOMING_MS;

static struct timeval timeval_of_ms(int64_t ms)
{
	return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
}

static void *or_die(void *made)
{
	if (!made) {
		log_error("out of memory");
		abort();
	}
	return made;
}

/* ---- connections ------------------------------------------------------------- */

static void set_accepting(struct http_server *server, bool accepting)
{
	struct evconnlistener *listener;

	if (!server->bound || server->paused != accepting) {
		return;
	}
	server->paused = !accepting;
	listener = evhttp_bound_socket_get_listener(server->bound);
	if (accepting) {
		evconnlistener_enable(listener);
	} else {
		evconnlistener_disable(listener);
	}
}

static void arm_deadline(struct conn *conn)
{
	struct timeval deadline = timeval_of_ms(http_server_incoming_ms);

	event_add(conn->timer, &deadline);
}

static void on_conn_gone(struct evhttp_connection *evhttp, void *arg)
{
	struct conn *conn = arg;
	struct http_server *server = conn->server;
	struct world_exchange *exchange = conn->exchange;

	(void)evhttp;
	server->by_fd[bufferevent_getfd(conn->bufferevent)] = NULL;
	TAILQ_REMOVE(&server->conns, conn, link);
	server->conn_count--;
	event_free(conn->timer);
	if (exchange) {
		exchange->peer = conn->peer;
	} else {
		conn_peer_free(conn->peer);
	}
	free(conn);
	set_accepting(server, true);
	if (exchange) {
		http_exchange_conn_gone(exchange);
	}
}

/* Reads between requests: octets of the next one start its clock. */
static void on_octets(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *conn = arg;

	(void)input;
	if (info->n_added > 0 && conn->evhttp && !conn->exchange &&
	    !event_pending(conn->timer, EV_TIMEOUT, NULL)) {
		arm_deadline(conn);
	}
}

/* evhttp gives its connection away only with a whole request; it is the argument of its
 * callbacks before. NULL: it is over already. */
static struct evhttp_connection *evhttp_of(struct bufferevent *bufferevent)
{
	bufferevent_data_cb read, write;
	bufferevent_event_cb event;
	void *arg = NULL;

	bufferevent_getcb(bufferevent, &read, &write, &event, &arg);
	return arg;
}

static void conn_drop(struct conn *conn)
{
	if (conn->evhttp) {
		evhttp_connection_free(conn->evhttp); /* on_conn_gone does the rest */
	}
}

/* In the turn after it was accepted, or with its first request, whichever comes first. */
static void adopt(struct conn *conn)
{
	struct http_server *server = conn->server;
	struct bufferevent *bufferevent = conn->bufferevent;
	size_t fd = (size_t)bufferevent_getfd(bufferevent);

	conn->evhttp = evhttp_of(bufferevent);
	if (!conn->evhttp) {
		TAILQ_REMOVE(&server->conns, conn, link);
		server->conn_count--;
		event_free(conn->timer);
		free(conn);
		bufferevent_decref(bufferevent);
		return;
	}
	if (fd >= server->by_fd_len) {
		size_t len = 2 * fd + 64;

		server->by_fd = xreallocarray(server->by_fd, len, sizeof(*server->by_fd));
		memset(server->by_fd + server->by_fd_len, 0,
		       (len - server->by_fd_len) * sizeof(*server->by_fd));
		server->by_fd_len = len;
	}
	server->by_fd[fd] = conn;
	evhttp_connection_set_closecb(conn->evhttp, on_conn_gone, conn);
	bufferevent_setwatermark(bufferevent, EV_READ, 0, UNREAD_MAX);
	arm_deadline(conn);
	bufferevent_decref(bufferevent);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;

	(void)fd;
	(void)what;
	if (conn->evhttp) {
		conn_drop(conn);
	} else {
		adopt(conn);
	}
}

/* evhttp calls this for each connection it accepts, and then gives it the descriptor. */
static struct bufferevent *make_conn(struct event_base *base, void *arg)
{
	struct http_server *server = arg;
	struct conn *conn = xcalloc(1, sizeof(*conn));
	struct timeval now = { 0 };

	conn->server = server;
	if (server->args.tls) {
		conn->bufferevent =
			or_die(bufferevent_openssl_socket_new(base, -1,
							      tls_server_accept(server->args.tls),
							      BUFFEREVENT_SSL_ACCEPTING,
							      BEV_OPT_CLOSE_ON_FREE));
		bufferevent_openssl_set_allow_dirty_shutdown(conn->bufferevent, 1);
	} else {
		conn->bufferevent = or_die(bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE));
	}
	bufferevent_incref(conn->bufferevent); /* until it is adopted, in the next turn */
	conn->timer = or_die(event_new(base, -1, 0, on_timer, conn));
	event_add(conn->timer, &now);
	evbuffer_add_cb(bufferevent_get_input(conn->bufferevent), on_octets, conn);
	TAILQ_INSERT_HEAD(&server->conns, conn, link);
	server->conn_count++;
	if (server->conn_count >= server->args.connections_max) {
		set_accepting(server, false);
	}
	return conn->bufferevent;
}

struct conn *http_server_conn(struct http_server *server, struct evhttp_request *request)
{
	struct evhttp_connection *evhttp = evhttp_request_get_connection(request);
	struct bufferevent *bufferevent = evhttp_connection_get_bufferevent(evhttp);
	size_t fd = (size_t)bufferevent_getfd(bufferevent);
	struct conn *conn = fd < server->by_fd_len ? server->by_fd[fd] : NULL;

	if (conn) {
		return conn;
	}
	TAILQ_FOREACH(conn, &server->conns, link)
	{
		if (conn->bufferevent == bufferevent) {
			adopt(conn);
			return conn;
		}
	}
	return NULL;
}

void conn_wait_for_answer(struct conn *conn)
{
	event_del(conn->timer);
	bufferevent_set_timeouts(conn->bufferevent, NULL, NULL);
	bufferevent_setwatermark(conn->bufferevent, EV_READ, NEVER_CALLED, PIPELINED_MAX);
	bufferevent_enable(conn->bufferevent, EV_READ);
}

void conn_wait_for_request(struct conn *conn)
{
	struct timeval idle = timeval_of_ms(HTTP_KEEP_OPEN_MS);

	conn->exchange = NULL;
	bufferevent_setwatermark(conn->bufferevent, EV_READ, 0, UNREAD_MAX);
	bufferevent_set_timeouts(conn->bufferevent, &idle, &idle);
	if (evbuffer_get_length(bufferevent_get_input(conn->bufferevent)) > 0) {
		arm_deadline(conn);
	}
}

/* ---- listening ----------------------------------------------------------------- */

static enum err_code listen_err(const char *where, struct err *err)
{
	int error = errno;
	const char *hint = "";

	if (error == EACCES) {
		hint = "; a port below 1024 needs root, or the capability CAP_NET_BIND_SERVICE";
	} else if (error == EADDRINUSE) {
		hint = "; another program listens there";
	}
	return err_set(err, ERR_IO, where, "cannot listen: %s%s", strerror(error), hint);
}

static int listen_tcp(const struct addr *addr, struct err *err)
{
	char text[ADDR_TEXT_MAX];
	int one = 1, zero = 0;
	int fd = socket(addr->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	addr_format(text, addr, 0);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* is inherited */
		if (addr->u.sa.sa_family == AF_INET6) {
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
		}
	}
	if (fd < 0 || bind(fd, &addr->u.sa, addr->len) != 0 || listen(fd, BACKLOG) != 0) {
		listen_err(text, err);
		if (fd >= 0) {
			close(fd);
		}
		return -1;
	}
	return fd;
}

static bool somebody_listens(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool listens =
		fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
			    errno == EAGAIN);

	if (fd >= 0) {
		close(fd);
	}
	return listens;
}

static int listen_unix(const char *path, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat st;
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		err_set(err, ERR_CONFIG, path, "the path of a socket has at most %zu octets",
			sizeof(address.sun_path) - 1);
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	if (somebody_listens(&address)) {
		errno = EADDRINUSE;
		listen_err(path, err);
		return -1;
	}
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
		unlink(path);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    chmod(path, 0666) != 0 || listen(fd, BACKLOG) != 0) {
		listen_err(path, err);
		if (fd >= 0) {
			close(fd);
		}
		return -1;
	}
	return fd;
}

static int open_socket(const struct listen_at *at, struct err *err)
{
	if (at->fd >= 0) {
		evutil_make_socket_nonblocking(at->fd);
		evutil_make_socket_closeonexec(at->fd);
		return at->fd;
	}
	return at->unix_path ? listen_unix(at->unix_path, err) : listen_tcp(at->addr, err);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *server = arg;

	(void)fd;
	(void)what;
	set_accepting(server, server->conn_count < server->args.connections_max);
}

/* Descriptors ran out, most often: those who knock wait in the kernel's queue meanwhile. */
static void on_accept_failed(struct evconnlistener *listener, void *arg)
{
	struct http_server *server = arg;
	struct timeval pause = timeval_of_ms(PAUSE_MS);
	char text[ADDR_TEXT_MAX];

	(void)listener;
	addr_format(text, &server->addr, 0);
	log_warn("%s: no connection can be taken: %s; trying again",
		 server->unix_path ? server->unix_path : text, strerror(errno));
	set_accepting(server, false);
	event_add(server->resume, &pause);
}

static void on_library_log(int severity, const char *message)
{
	(void)severity;
	log_debug("libevent: %s", message);
}

static void set_up_evhttp(struct http_server *server)
{
	struct timeval idle = timeval_of_ms(HTTP_KEEP_OPEN_MS);

	event_set_log_callback(on_library_log);
	server->evhttp = or_die(evhttp_new(server->base));
	evhttp_set_bevcb(server->evhttp, make_conn, server);
	evhttp_set_gencb(server->evhttp, http_exchange_begin, server);
	evhttp_set_max_headers_size(server->evhttp, HTTP_INCOMING_HEAD_MAX);
	evhttp_set_max_body_size(server->evhttp, HTTP_INCOMING_BODY_MAX);
	evhttp_set_allowed_methods(server->evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_POST |
							   EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
							   EVHTTP_REQ_HEAD);
	evhttp_set_timeout_tv(server->evhttp, &idle);
	evhttp_set_default_content_type(server->evhttp, NULL);
}

struct http_server *http_server_open(struct event_base *base, const struct http_listen *args,
				     struct err *err)
{
	struct http_server *server;
	struct evconnlistener *listener;
	int fd = open_socket(&args->at, err);

	if (fd < 0) {
		return NULL;
	}
	server = xcalloc(1, sizeof(*server));
	server->base = base;
	server->args = *args;
	if (server->args.connections_max == 0) {
		server->args.connections_max = CONNECTIONS_MAX;
	}
	server->unix_path = args->at.fd < 0 ? xstrdup(args->at.unix_path) : NULL;
	server->addr.len = sizeof(server->addr.u);
	if (getsockname(fd, &server->addr.u.sa, &server->addr.len) != 0 ||
	    server->addr.u.sa.sa_family == AF_UNIX) {
		server->addr.len = 0;
	}
	TAILQ_INIT(&server->conns);
	set_up_evhttp(server);
	server->resume = or_die(event_new(base, -1, 0, on_resume, server));
	listener = or_die(evconnlistener_new(base, NULL, NULL,
					     LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd));
	server->bound = or_die(evhttp_bind_listener(server->evhttp, listener));
	evconnlistener_set_error_cb(listener, on_accept_failed);
	return server;
}

static void stop_accepting(struct http_server *server)
{
	if (server->bound) {
		evhttp_del_accept_socket(server->evhttp, server->bound);
		server->bound = NULL;
		event_del(server->resume);
		if (server->unix_path) {
			unlink(server->unix_path);
		}
	}
}

void http_server_close(struct http_server *server)
{
	struct conn *conn, *next;

	if (!server) {
		return;
	}
	stop_accepting(server);
	for (conn = TAILQ_FIRST(&server->conns); conn; conn = next) {
		next = TAILQ_NEXT(conn, link);
		if (!conn->exchange) {
			conn_drop(conn);
		}
	}
}

void http_server_free(struct http_server *server)
{
	struct conn *conn;

	if (!server) {
		return;
	}
	stop_accepting(server);
	while ((conn = TAILQ_FIRST(&server->conns))) {
		if (conn->exchange) {
			conn->exchange->gone = NULL;
		}
		if (conn->evhttp) {
			conn_drop(conn);
		} else {
			on_timer(-1, 0, conn);
		}
	}
	event_free(server->resume);
	evhttp_free(server->evhttp);
	free(server->by_fd);
	free(server->unix_path);
	free(server);
}

struct addr http_server_addr(const struct http_server *server)
{
	return server->addr;
}

bool http_server_busy(const struct http_server *server)
{
	return server->bound || server->conn_count > 0 || server->exchange_count > 0;
}
