/*
 * The HTTP server: who listens, whom it lets in, and the epoll set of its connections. conn.c has
 * a connection's life, head.c and chunks.c what a request says, exchange.c the answers.
 */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG 4096
#define CONNECTIONS_MAX 20000
#define PAUSE_MS 100
#define AT_ONCE 64 /* connections in one turn of the loop */
#define ANSWER_MAX ((size_t)512 * 1024 * 1024)

int64_t http_server_incoming_ms = HTTP_INCOMING_MS;

static void *or_die(void *made)
{
	if (!made) {
		log_error("out of memory");
		abort();
	}
	return made;
}

/* ---- letting in ------------------------------------------------------------------ */

void http_server_set_accepting(struct http_server *server, bool accepting)
{
	if (server->fd < 0 || server->paused != accepting) {
		return;
	}
	server->paused = !accepting;
	if (accepting) {
		event_add(server->knocking, NULL);
	} else {
		event_del(server->knocking);
	}
}

/* Descriptors ran out, most often: those who knock wait in the kernel's queue meanwhile. */
static void pause_accepting(struct http_server *server)
{
	struct timeval pause = { .tv_usec = PAUSE_MS * 1000 };
	char text[ADDR_TEXT_MAX];

	addr_format(text, &server->addr, 0);
	log_warn("%s: no connection can be taken: %s; trying again",
		 server->unix_path ? server->unix_path : text, strerror(errno));
	http_server_set_accepting(server, false);
	event_add(server->resume, &pause);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *server = arg;

	(void)fd;
	(void)what;
	http_server_set_accepting(server, server->conn_count < server->args.connections_max);
}

static void on_knocking(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *server = arg;

	(void)what;
	for (int i = 0; i < AT_ONCE && !server->paused; i++) {
		int taken = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (taken >= 0) {
			conn_new(server, taken);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			   errno == ENOMEM) {
			pause_accepting(server);
			return;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			return;
		}
		if (server->conn_count >= server->args.connections_max) {
			http_server_set_accepting(server, false);
		}
	}
}

/* ---- the connections ------------------------------------------------------------- */

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *server = arg;
	struct epoll_event events[AT_ONCE];
	int count = epoll_wait(fd, events, AT_ONCE, 0);

	(void)what;
	for (int i = 0; i < count; i++) {
		conn_on_events(events[i].data.ptr, events[i].events);
	}
	/* Not before all were looked at: the one may have ended the other. */
	conns_reap(server);
}

static void on_work(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	conns_work(arg);
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
		fcntl(at->fd, F_SETFL, fcntl(at->fd, F_GETFL) | O_NONBLOCK);
		fcntl(at->fd, F_SETFD, FD_CLOEXEC);
		return at->fd;
	}
	return at->unix_path ? listen_unix(at->unix_path, err) : listen_tcp(at->addr, err);
}

struct http_server *http_server_open(struct event_base *base, const struct http_listen *args,
				     struct err *err)
{
	struct http_server *server;
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
	server->fd = fd;
	server->unix_path = args->at.fd < 0 ? xstrdup(args->at.unix_path) : NULL;
	server->addr.len = sizeof(server->addr.u);
	if (getsockname(fd, &server->addr.u.sa, &server->addr.len) != 0 ||
	    server->addr.u.sa.sa_family == AF_UNIX) {
		server->addr.len = 0;
	}
	TAILQ_INIT(&server->conns);
	TAILQ_INIT(&server->turn);
	buf_init(&server->answer, ANSWER_MAX);
	server->scratch = xmalloc(SCRATCH_LEN);
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll < 0) {
		log_error("no epoll set can be made: %s", strerror(errno));
		abort();
	}
	deadlines_init(server);
	server->resume = or_die(event_new(base, -1, 0, on_resume, server));
	server->work = or_die(event_new(base, -1, 0, on_work, server));
	server->ready =
		or_die(event_new(base, server->epoll, EV_READ | EV_PERSIST, on_ready, server));
	server->knocking = or_die(event_new(base, fd, EV_READ | EV_PERSIST, on_knocking, server));
	event_add(server->ready, NULL);
	event_add(server->knocking, NULL);
	return server;
}

static void stop_accepting(struct http_server *server)
{
	if (server->fd >= 0) {
		event_del(server->knocking);
		event_del(server->resume);
		close(server->fd);
		server->fd = -1;
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
		if (conn->state == CONN_READING) {
			conn_close(conn);
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
		conn_close(conn);
	}
	conns_reap(server);
	event_free(server->knocking);
	event_free(server->ready);
	event_free(server->work);
	event_free(server->resume);
	deadlines_free(server);
	close(server->epoll);
	buf_clear(&server->answer);
	free(server->scratch);
	free(server->unix_path);
	free(server);
}

struct addr http_server_addr(const struct http_server *server)
{
	return server->addr;
}

bool http_server_busy(const struct http_server *server)
{
	return server->fd >= 0 || server->conn_count > 0 || server->exchange_count > 0;
}
