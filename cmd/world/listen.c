/*
 * Listeners: datagrams from strangers, and connections that others open to us. Those for HTTP
 * are cmd/http's.
 */
#include "real.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>

#define BACKLOG 1024
#define AT_ONCE 64 /* datagrams or connections in one turn of the loop */
#define PAUSE_US 100000
#define RECEIVE_BUFFER (1024 * 1024)

enum listener_kind { LISTENER_DGRAM, LISTENER_STREAM, LISTENER_HTTP };

struct world_listener {
	struct handle handle;
	enum listener_kind kind;
	int fd;
	bool wildcard; /* datagrams tell where they were sent to */
	struct addr addr;
	struct event *readable;
	struct world_timer *pause;
	world_dgram_serve *serve_dgram;
	world_stream_serve *serve_stream;
	struct http_server *http;
	bool closed; /* HTTP alone: what it took goes on */
	void *arg;
};

/* ---- sockets ------------------------------------------------------------------ */

static enum err_code listen_err(const struct addr *addr, const char *by, struct err *err)
{
	char text[ADDR_TEXT_MAX];
	int error = errno;
	const char *hint = "";

	if (error == EACCES) {
		hint = "; a port below 1024 needs root, or the capability CAP_NET_BIND_SERVICE";
	} else if (error == EADDRINUSE) {
		hint = "; another program listens there";
	}
	addr_format(text, addr, 0);
	return err_set(err, ERR_IO, text, "cannot listen (%s): %s%s", by, strerror(error), hint);
}

static bool is_wildcard(const struct addr *addr)
{
	return addr->u.sa.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&addr->u.in6.sin6_addr)
						: addr->u.in.sin_addr.s_addr == htonl(INADDR_ANY);
}

/* Gives a bound socket; -1 with err. */
static int open_socket(const struct listen_at *at, int type, struct err *err)
{
	int one = 1, zero = 0;
	int fd = at->fd;

	if (fd >= 0) {
		int flags = fcntl(fd, F_GETFL);

		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		return fd;
	}
	fd = socket(at->addr->u.sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && type == SOCK_STREAM) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	}
	if (fd >= 0 && at->addr->u.sa.sa_family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	}
	if (fd < 0 || bind(fd, &at->addr->u.sa, at->addr->len) != 0) {
		listen_err(at->addr, type == SOCK_STREAM ? "TCP" : "UDP", err);
		close_fd(&fd);
	}
	return fd;
}

static void close_listener(struct world_listener *listener)
{
	world_timer_cancel(&listener->handle.world->world, listener->pause);
	free_event(listener->readable);
	close_fd(&listener->fd);
	http_server_free(listener->http);
	handle_remove(&listener->handle);
	free(listener);
}

static void drop_listener(struct handle *handle)
{
	close_listener((struct world_listener *)handle);
}

static struct world_listener *listener_new(struct world *world, enum listener_kind kind, int fd)
{
	struct world_listener *listener = xcalloc(1, sizeof(*listener));

	listener->kind = kind;
	listener->fd = fd;
	listener->addr.len = sizeof(listener->addr.u);
	if (fd >= 0 && getsockname(fd, &listener->addr.u.sa, &listener->addr.len) != 0) {
		listener->addr.len = 0;
	}
	handle_add(real(world), &listener->handle, drop_listener);
	return listener;
}

/* ---- datagrams ------------------------------------------------------------------ */

union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* Where it was sent to; without a port, which is the socket's. */
static void read_local(struct msghdr *message, struct addr *local)
{
	struct cmsghdr *at;

	local->len = 0;
	for (at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
		if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(at), sizeof(info));
			*local = (struct addr){ .len = sizeof(local->u.in) };
			local->u.in.sin_family = AF_INET;
			local->u.in.sin_addr = info.ipi_addr;
		} else if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(at), sizeof(info));
			*local = (struct addr){ .len = sizeof(local->u.in6) };
			local->u.in6.sin6_family = AF_INET6;
			local->u.in6.sin6_addr = info.ipi6_addr;
			local->u.in6.sin6_scope_id =
				IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) ? info.ipi6_ifindex : 0;
		}
	}
}

static void on_datagrams(evutil_socket_t fd, short what, void *arg)
{
	struct world_listener *listener = arg;
	uint8_t *data = listener->handle.world->scratch;

	(void)what;
	for (int i = 0; i < AT_ONCE; i++) {
		struct dgram_from from = { .peer = { .len = 0 } };
		union control control;
		struct iovec part = { data, SCRATCH_LEN };
		struct msghdr message = { .msg_name = &from.peer.u,
					  .msg_namelen = sizeof(from.peer.u),
					  .msg_iov = &part,
					  .msg_iovlen = 1,
					  .msg_control = &control,
					  .msg_controllen = sizeof(control) };
		ssize_t len = recvmsg(fd, &message, 0);

		if (len < 0) {
			return; /* EAGAIN; ICMP errors are of datagrams long gone */
		}
		from.peer.len = message.msg_namelen;
		read_local(&message, &from.local);
		addr_unmap(&from.peer);
		addr_unmap(&from.local);
		listener->serve_dgram(listener->arg, &from, data, (size_t)len);
	}
}

struct world_listener *real_dgram_listen(struct world *world, const struct listen_at *at,
					 world_dgram_serve *serve, void *arg, struct err *err)
{
	int fd = open_socket(at, SOCK_DGRAM, err);
	int one = 1, size = RECEIVE_BUFFER;
	struct world_listener *listener;

	if (fd < 0) {
		return NULL;
	}
	listener = listener_new(world, LISTENER_DGRAM, fd);
	listener->serve_dgram = serve;
	listener->arg = arg;
	listener->wildcard = listener->addr.len > 0 && is_wildcard(&listener->addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (listener->wildcard && listener->addr.u.sa.sa_family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	} else if (listener->wildcard) {
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	}
	listener->readable =
		new_event(real(world), fd, EV_READ | EV_PERSIST, on_datagrams, listener);
	event_priority_set(listener->readable, PATIENT);
	event_add(listener->readable, NULL);
	return listener;
}

/* IPv4 as the IPv6 socket of a wildcard wants it: ::ffff:192.0.2.1. */
static struct addr mapped(const struct addr *addr, sa_family_t family)
{
	struct addr made = { .len = sizeof(made.u.in6) };

	if (family != AF_INET6 || addr->u.sa.sa_family != AF_INET) {
		return *addr;
	}
	made.u.in6.sin6_family = AF_INET6;
	made.u.in6.sin6_port = addr->u.in.sin_port;
	made.u.in6.sin6_addr.s6_addr[10] = 0xff;
	made.u.in6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(made.u.in6.sin6_addr.s6_addr + 12, &addr->u.in.sin_addr, 4);
	return made;
}

static void set_local(struct msghdr *message, union control *control, const struct addr *local)
{
	struct in6_pktinfo v6 = { .ipi6_ifindex = 0 };
	struct in_pktinfo v4 = { .ipi_ifindex = 0 };
	bool is_v6 = local->u.sa.sa_family == AF_INET6;
	size_t len = is_v6 ? sizeof(v6) : sizeof(v4);
	struct cmsghdr *at = &control->align;

	memset(control, 0, sizeof(*control));
	v6.ipi6_addr = local->u.in6.sin6_addr;
	v6.ipi6_ifindex = is_v6 ? local->u.in6.sin6_scope_id : 0;
	v4.ipi_spec_dst = local->u.in.sin_addr;
	message->msg_control = control;
	message->msg_controllen = CMSG_SPACE(len);
	at->cmsg_level = is_v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	at->cmsg_type = is_v6 ? IPV6_PKTINFO : IP_PKTINFO;
	at->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(at), is_v6 ? (void *)&v6 : (void *)&v4, len);
}

void real_dgram_reply(struct world_listener *listener, const struct dgram_from *to,
		      const void *data, size_t len)
{
	sa_family_t family = listener->addr.u.sa.sa_family;
	struct addr peer = mapped(&to->peer, family);
	struct addr local = to->local.len > 0 ? mapped(&to->local, family) : to->local;
	union control control;
	struct iovec part = { (void *)(uintptr_t)data, len };
	struct msghdr message = {
		.msg_name = &peer.u, .msg_namelen = peer.len, .msg_iov = &part, .msg_iovlen = 1
	};

	if (local.len > 0) {
		set_local(&message, &control, &local);
	}
	if (sendmsg(listener->fd, &message, MSG_NOSIGNAL) < 0) {
		log_debug("a reply by UDP was not sent: %s", strerror(errno));
	}
}

/* ---- connections ------------------------------------------------------------------ */

static void on_pause_over(void *arg)
{
	struct world_listener *listener = arg;

	listener->pause = NULL;
	event_add(listener->readable, NULL);
}

static void pause_listener(struct world_listener *listener)
{
	char text[ADDR_TEXT_MAX];

	addr_format(text, &listener->addr, 0);
	log_warn("%s: no connection can be taken: %s; trying again", text, strerror(errno));
	event_del(listener->readable);
	listener->pause = world_timer_start(&listener->handle.world->world, PAUSE_US, on_pause_over,
					    listener);
}

static void on_connections(evutil_socket_t fd, short what, void *arg)
{
	struct world_listener *listener = arg;
	int one = 1;

	(void)what;
	for (int i = 0; i < AT_ONCE; i++) {
		struct peer peer = { .addr = { .len = sizeof(peer.addr.u) } };
		int taken =
			accept4(fd, &peer.addr.u.sa, &peer.addr.len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (taken < 0 &&
		    (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
			pause_listener(listener);
			return;
		}
		if (taken < 0) {
			return;
		}
		setsockopt(taken, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		addr_unmap(&peer.addr);
		listener->serve_stream(listener->arg,
				       stream_of_fd(&listener->handle.world->world, taken,
						    &peer.addr),
				       &peer);
	}
}

struct world_listener *real_stream_listen(struct world *world, const struct listen_at *at,
					  world_stream_serve *serve, void *arg, struct err *err)
{
	int fd = open_socket(at, SOCK_STREAM, err);
	struct world_listener *listener;

	if (fd < 0) {
		return NULL;
	}
	if (at->fd < 0 && listen(fd, BACKLOG) != 0) {
		listen_err(at->addr, "TCP", err);
		close_fd(&fd);
		return NULL;
	}
	listener = listener_new(world, LISTENER_STREAM, fd);
	listener->serve_stream = serve;
	listener->arg = arg;
	listener->readable =
		new_event(real(world), fd, EV_READ | EV_PERSIST, on_connections, listener);
	event_priority_set(listener->readable, PATIENT);
	event_add(listener->readable, NULL);
	return listener;
}

/* ---- HTTP -------------------------------------------------------------------------- */

struct world_listener *real_http_listen(struct world *world, const struct http_listen *args,
					struct err *err)
{
	struct http_server *http = http_server_open(real(world)->base, args, err);
	struct world_listener *listener;

	if (!http) {
		return NULL;
	}
	listener = listener_new(world, LISTENER_HTTP, -1);
	listener->http = http;
	listener->addr = http_server_addr(http);
	return listener;
}

/* Connections whose answer is awaited outlive their listener: looked at between turns. */
void listeners_reap(struct real_world *world)
{
	struct handle *handle = TAILQ_FIRST(&world->closing);

	while (handle) {
		struct handle *next = TAILQ_NEXT(handle, link);
		struct world_listener *listener = (struct world_listener *)handle;

		if (!http_server_busy(listener->http)) {
			http_server_free(listener->http);
			TAILQ_REMOVE(&world->closing, handle, link);
			free(listener);
		}
		handle = next;
	}
}

void listeners_drop(struct real_world *world)
{
	struct handle *handle;

	while ((handle = TAILQ_FIRST(&world->closing))) {
		http_server_free(((struct world_listener *)handle)->http);
		TAILQ_REMOVE(&world->closing, handle, link);
		free(handle);
	}
}

void real_listener_close(struct world_listener *listener)
{
	struct real_world *world;

	if (!listener) {
		return;
	}
	if (listener->kind != LISTENER_HTTP) {
		close_listener(listener);
		return;
	}
	world = listener->handle.world;
	http_server_close(listener->http);
	handle_remove(&listener->handle);
	TAILQ_INSERT_TAIL(&world->closing, &listener->handle, link);
}

struct addr real_listener_addr(const struct world_listener *listener)
{
	return listener->addr;
}
