/*
 * TCP connections that we open; those that are made to us begin OPEN.
 *
 *   stream_open -> OPENING -> OPEN -> ENDED
 *                     |                 ^
 *                     +-----------------+
 *
 *   OPENING  connecting; what is written waits in `out`
 *   OPEN     the owner knows; `out` holds what the socket did not take
 *   ENDED    the owner has heard of the end; nothing more happens
 *
 * When writing fails, what has arrived is still delivered, then the end comes
 * with the error of the write: servers answer and close.
 */
#include "real.h"

#include <errno.h>
#include <netinet/tcp.h>

#define WRITE_BUFFER_MAX (1024 * 1024)

enum stream_state { STREAM_OPENING, STREAM_OPEN, STREAM_ENDED };

struct world_stream {
	struct handle handle;
	struct addr peer;
	enum stream_state state;
	int fd; /* -1: there never was one */
	struct event *readable;
	struct event *writable;
	struct buf out;
	size_t out_sent; /* of out, from its front */
	bool unflushed;  /* in the world's list: `out` goes out with the end of this turn */
	TAILQ_ENTRY(world_stream) flush_link;
	struct err err; /* why it ends; ERR_NONE while it does not */
	world_stream_cb *cb;
	void *arg;
};

/* Its owner may close the stream: call this last. */
static void tell(struct world_stream *stream, enum world_stream_event event, const uint8_t *data,
		 size_t len)
{
	struct world_stream_in in = { .event = event, .data = data, .len = len };

	if (event == WORLD_STREAM_END && stream->err.code != ERR_NONE) {
		in.err = &stream->err;
	}
	stream->cb(stream->arg, &in);
}

static void end(struct world_stream *stream)
{
	stream->state = STREAM_ENDED;
	event_del(stream->readable);
	event_del(stream->writable);
	buf_clear(&stream->out);
	tell(stream, WORLD_STREAM_END, NULL, 0);
}

static void set_error(struct world_stream *stream, int error)
{
	char peer[ADDR_TEXT_MAX];

	if (stream->err.code != ERR_NONE) {
		return;
	}
	addr_format(peer, &stream->peer, 0);
	err_set(&stream->err, error == ETIMEDOUT ? ERR_TIMEOUT : ERR_NETWORK, "",
		stream->state == STREAM_OPENING ? "cannot connect to %s by TCP: %s"
						: "the TCP connection to %s broke: %s",
		peer, strerror(error));
}

/* From outside the loop: err is set, the end follows what is left to read. */
static void break_off(struct world_stream *stream)
{
	buf_clear(&stream->out);
	stream->out_sent = 0;
	event_del(stream->writable);
	if (stream->state == STREAM_OPEN) {
		shutdown(stream->fd, SHUT_RDWR);
	} else {
		event_active(stream->writable, EV_TIMEOUT, 0);
	}
}

static size_t unsent(const struct world_stream *stream)
{
	return stream->out.len - stream->out_sent;
}

/* Gives what the socket took. */
static size_t send_some(struct world_stream *stream, const void *data, size_t len)
{
	ssize_t sent;

	do {
		sent = send(stream->fd, data, len, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno != EAGAIN) {
		set_error(stream, errno);
		break_off(stream);
	}
	return sent > 0 ? (size_t)sent : 0;
}

static void flush(struct world_stream *stream)
{
	stream->out_sent += send_some(stream, stream->out.data + stream->out_sent, unsent(stream));
	if (unsent(stream) == 0) {
		buf_clear(&stream->out);
		stream->out_sent = 0;
		event_del(stream->writable);
	}
}

static void on_connected(struct world_stream *stream)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (stream->err.code == ERR_NONE) {
		getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error != 0) {
			set_error(stream, error);
		}
	}
	if (stream->err.code != ERR_NONE) {
		end(stream);
		return;
	}
	stream->state = STREAM_OPEN;
	event_add(stream->readable, NULL);
	if (unsent(stream) == 0) {
		event_del(stream->writable);
	}
	tell(stream, WORLD_STREAM_OPEN, NULL, 0);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct world_stream *stream = arg;

	(void)fd;
	(void)what;
	if (stream->state == STREAM_OPENING) {
		on_connected(stream);
	} else if (stream->state == STREAM_OPEN && unsent(stream) > 0) {
		flush(stream);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct world_stream *stream = arg;
	uint8_t *data = stream->handle.world->scratch;
	ssize_t len = recv(fd, data, SCRATCH_LEN, 0);
	int one = 1;

	(void)what;
	if (len > 0) {
		/* A name server with Nagle's algorithm on holds its last small reply until what
		 * came before is acknowledged, for which the kernel takes 40 ms by itself. */
		setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
		tell(stream, WORLD_STREAM_DATA, data, (size_t)len);
		return;
	}
	if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
		return;
	}
	if (len < 0) {
		set_error(stream, errno);
	}
	end(stream);
}

static void flush_now(struct world_stream *stream)
{
	if (stream->state == STREAM_OPEN && stream->err.code == ERR_NONE && unsent(stream) > 0) {
		flush(stream);
	}
}

void real_stream_close(struct world_stream *stream)
{
	if (!stream) {
		return;
	}
	if (stream->unflushed) {
		flush_now(stream); /* as if it had been written at once */
		TAILQ_REMOVE(&stream->handle.world->unflushed, stream, flush_link);
	}
	event_free(stream->readable);
	event_free(stream->writable);
	close_fd(&stream->fd);
	buf_clear(&stream->out);
	handle_remove(&stream->handle);
	free(stream);
}

static void drop_stream(struct handle *handle)
{
	real_stream_close((struct world_stream *)handle);
}

/* Gives errno, 0 when it is on its way. */
static int begin_connect(struct world_stream *stream)
{
	const struct sockaddr *peer = &stream->peer.u.sa;
	int one = 1;

	stream->fd = socket(peer->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (stream->fd < 0) {
		return errno;
	}
	setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(stream->fd, peer, stream->peer.len) < 0 && errno != EINPROGRESS) {
		return errno;
	}
	return 0;
}

struct world_stream *real_stream_open(struct world *world, const struct addr *peer,
				      world_stream_cb *cb, void *arg)
{
	struct world_stream *stream = xcalloc(1, sizeof(*stream));
	int error;

	stream->peer = *peer;
	stream->cb = cb;
	stream->arg = arg;
	buf_init(&stream->out, WRITE_BUFFER_MAX);
	error = begin_connect(stream);
	handle_add(real(world), &stream->handle, drop_stream);
	stream->readable =
		new_event(real(world), stream->fd, EV_READ | EV_PERSIST, on_readable, stream);
	stream->writable =
		new_event(real(world), stream->fd, EV_WRITE | EV_PERSIST, on_writable, stream);
	if (error != 0) {
		set_error(stream, error);
		break_off(stream);
	} else {
		event_add(stream->writable, NULL);
	}
	return stream;
}

struct world_stream *stream_of_fd(struct world *world, int fd, const struct addr *peer)
{
	struct world_stream *stream = xcalloc(1, sizeof(*stream));

	stream->peer = *peer;
	stream->state = STREAM_OPEN;
	stream->fd = fd;
	buf_init(&stream->out, WRITE_BUFFER_MAX);
	handle_add(real(world), &stream->handle, drop_stream);
	stream->readable = new_event(real(world), fd, EV_READ | EV_PERSIST, on_readable, stream);
	stream->writable = new_event(real(world), fd, EV_WRITE | EV_PERSIST, on_writable, stream);
	event_priority_set(stream->readable, PATIENT);
	event_priority_set(stream->writable, PATIENT);
	return stream;
}

void real_stream_accept(struct world_stream *stream, world_stream_cb *cb, void *arg)
{
	stream->cb = cb;
	stream->arg = arg;
	event_add(stream->readable, NULL);
}

/* Moves what waits to the front, so that the maximum counts only that. */
static void keep_for_later(struct world_stream *stream, const void *data, size_t len)
{
	size_t left = unsent(stream);

	if (stream->out_sent > 0) {
		memmove(stream->out.data, stream->out.data + stream->out_sent, left);
		stream->out.len = left;
		stream->out_sent = 0;
	}
	buf_add(&stream->out, data, len);
	if (stream->out.overflow) {
		char peer[ADDR_TEXT_MAX];

		addr_format(peer, &stream->peer, 0);
		err_set(&stream->err, ERR_LIMIT, "",
			"%s reads too slowly: more than %d octets wait to be sent", peer,
			WRITE_BUFFER_MAX);
		break_off(stream);
	}
}

/* Many small messages of one turn are one call: a hundred questions to a name server, say. */
void streams_flush(struct real_world *world)
{
	struct world_stream *stream;

	real_timer_cancel(world->flush);
	world->flush = NULL;
	while ((stream = TAILQ_FIRST(&world->unflushed))) {
		TAILQ_REMOVE(&world->unflushed, stream, flush_link);
		stream->unflushed = false;
		flush_now(stream);
		if (stream->state == STREAM_OPEN && unsent(stream) > 0) {
			event_add(stream->writable, NULL);
		}
	}
}

static void on_flush(void *arg)
{
	struct real_world *world = arg;

	world->flush = NULL;
	streams_flush(world);
}

void real_stream_write(struct world_stream *stream, const void *data, size_t len)
{
	struct real_world *world = stream->handle.world;
	bool waits = unsent(stream) > 0 && !stream->unflushed;

	if (stream->state == STREAM_ENDED || stream->err.code != ERR_NONE || len == 0) {
		return;
	}
	keep_for_later(stream, data, len);
	if (stream->err.code != ERR_NONE || stream->state != STREAM_OPEN || waits ||
	    stream->unflushed) {
		return;
	}
	stream->unflushed = true;
	TAILQ_INSERT_TAIL(&world->unflushed, stream, flush_link);
	if (!world->flush) {
		world->flush = real_timer_start(&world->world, 0, on_flush, world);
	}
}
