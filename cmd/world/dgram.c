/* UDP endpoints: a socket of its own each, so a random port of its own, connected to one peer. */
#include "real.h"

#include <errno.h>

struct world_dgram {
	struct handle handle;
	struct addr peer;
	int fd; /* -1: there never was one */
	struct event *event;
	struct err err; /* why it is dead; told from the loop, once */
	world_dgram_in *in;
	void *arg;
};

static void fail(struct world_dgram *dgram, int error)
{
	char peer[ADDR_TEXT_MAX];

	if (dgram->err.code != ERR_NONE) {
		return;
	}
	addr_format(peer, &dgram->peer, 0);
	if (error == ECONNREFUSED) {
		err_set(&dgram->err, ERR_NETWORK, "",
			"nothing listens at %s by UDP (ICMP port unreachable)", peer);
	} else {
		err_set(&dgram->err, ERR_NETWORK, "", "cannot talk to %s by UDP: %s", peer,
			strerror(error));
	}
	event_del(dgram->event);
	event_active(dgram->event, EV_TIMEOUT, 0);
}

/* One datagram a round; the socket stays readable when there are more. */
static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct world_dgram *dgram = arg;
	uint8_t *data = dgram->handle.world->scratch;
	ssize_t len;

	(void)what;
	if (dgram->err.code != ERR_NONE) {
		dgram->in(dgram->arg, NULL, 0, &dgram->err);
		return;
	}
	len = recv(fd, data, SCRATCH_LEN, 0);
	if (len >= 0) {
		dgram->in(dgram->arg, data, (size_t)len, NULL);
	} else if (errno != EAGAIN && errno != EINTR) {
		fail(dgram, errno);
	}
}

void real_dgram_close(struct world_dgram *dgram)
{
	if (!dgram) {
		return;
	}
	event_free(dgram->event);
	close_fd(&dgram->fd);
	handle_remove(&dgram->handle);
	free(dgram);
}

static void drop_dgram(struct handle *handle)
{
	real_dgram_close((struct world_dgram *)handle);
}

/* Gives a connected socket, or -1 with errno. Nothing is sent. */
static int open_socket(const struct addr *peer)
{
	int fd = socket(peer->u.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd >= 0 && connect(fd, &peer->u.sa, peer->len) < 0) {
		error = errno;
		close_fd(&fd);
		errno = error;
	}
	return fd;
}

struct world_dgram *real_dgram_open(struct world *world, const struct addr *peer,
				    world_dgram_in *in, void *arg)
{
	struct world_dgram *dgram = xcalloc(1, sizeof(*dgram));
	int error;

	dgram->peer = *peer;
	dgram->in = in;
	dgram->arg = arg;
	dgram->fd = open_socket(peer);
	error = errno;
	handle_add(real(world), &dgram->handle, drop_dgram);
	dgram->event = new_event(real(world), dgram->fd, EV_READ | EV_PERSIST, on_event, dgram);
	if (dgram->fd < 0) {
		fail(dgram, error);
	} else {
		event_add(dgram->event, NULL);
	}
	return dgram;
}

void real_dgram_send(struct world_dgram *dgram, const void *data, size_t len)
{
	ssize_t sent;

	if (dgram->err.code != ERR_NONE) {
		return;
	}
	do {
		sent = send(dgram->fd, data, len, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	/* A full queue loses it, as the network may. */
	if (sent < 0 && errno != EAGAIN && errno != ENOBUFS) {
		fail(dgram, errno);
	}
}

bool real_has_route(struct world *world, const struct addr *peer)
{
	int fd = open_socket(peer);

	(void)world;
	if (fd >= 0) {
		close_fd(&fd);
		return true;
	}
	/* Anything else (too many open files) says nothing about routes. EINVAL
	 * is a link-local address that names no link. */
	return errno != ENETUNREACH && errno != EHOSTUNREACH && errno != EADDRNOTAVAIL &&
	       errno != EAFNOSUPPORT && errno != EINVAL;
}
