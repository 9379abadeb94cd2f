/* The real world: the loop, the clocks, chance, and what ties its parts together. */
#include "real.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/random.h>

/* ---- what the parts share --------------------------------------------------- */

void handle_add(struct real_world *world, struct handle *handle,
		void (*drop)(struct handle *handle))
{
	handle->world = world;
	handle->drop = drop;
	TAILQ_INSERT_TAIL(&world->handles, handle, link);
}

void handle_remove(struct handle *handle)
{
	TAILQ_REMOVE(&handle->world->handles, handle, link);
}

struct event *new_event(struct real_world *world, int fd, short what, event_callback_fn fn,
			void *arg)
{
	struct event *event = event_new(world->base, fd, what, fn, arg);

	if (!event) {
		log_error("out of memory");
		abort();
	}
	event_priority_set(event, URGENT);
	return event;
}

void free_event(struct event *event)
{
	if (event) {
		event_free(event);
	}
}

void close_fd(int *fd)
{
	if (*fd >= 0) {
		close(*fd);
	}
	*fd = -1;
}

struct timeval timeval_of_us(int64_t us)
{
	return (struct timeval){ .tv_sec = us / 1000000, .tv_usec = us % 1000000 };
}

/* ---- clocks and chance -------------------------------------------------------- */

static int64_t clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t real_mono_us(struct world *world)
{
	(void)world;
	return clock_us(CLOCK_MONOTONIC);
}

static int64_t real_wall_us(struct world *world)
{
	(void)world;
	return clock_us(CLOCK_REALTIME);
}

static void system_random(void *out, size_t len)
{
	uint8_t *at = out;

	while (len > 0) {
		ssize_t got = getrandom(at, len, 0);

		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got <= 0) {
			/* Guessable transaction IDs and nonces are worse than no run. */
			log_error("the system gives no random octets: %s", strerror(errno));
			abort();
		}
		at += got;
		len -= (size_t)got;
	}
}

/* Each octet is given once, and is gone from here then. */
static void real_random(struct world *world, void *out, size_t len)
{
	struct real_world *self = real(world);

	if (len > RANDOM_POOL) {
		system_random(out, len);
		return;
	}
	if (len > self->random_left) {
		system_random(self->random, RANDOM_POOL);
		self->random_left = RANDOM_POOL;
	}
	self->random_left -= len;
	memcpy(out, self->random + self->random_left, len);
	wipe(self->random + self->random_left, len);
}

/* ---- HTTP ----------------------------------------------------------------------- */

static struct world_http *real_http_start(struct world *world, const struct http_request *request,
					  world_http_done *done, void *arg)
{
	return http_client_start(real(world)->http, request, done, arg);
}

static void real_http_cancel(struct world_http *http)
{
	http_client_cancel(http);
}

/* ---- the loop ------------------------------------------------------------------- */

static const struct world_ops ops = {
	.mono_us = real_mono_us,
	.wall_us = real_wall_us,
	.random = real_random,
	.timer_start = real_timer_start,
	.timer_cancel = real_timer_cancel,
	.dgram_open = real_dgram_open,
	.dgram_send = real_dgram_send,
	.dgram_close = real_dgram_close,
	.stream_open = real_stream_open,
	.stream_write = real_stream_write,
	.stream_close = real_stream_close,
	.http_start = real_http_start,
	.http_cancel = real_http_cancel,
	.spawn_start = real_spawn_start,
	.spawn_cancel = real_spawn_cancel,
	.http_listen = real_http_listen,
	.dgram_listen = real_dgram_listen,
	.stream_listen = real_stream_listen,
	.listener_close = real_listener_close,
	.listener_addr = real_listener_addr,
	.dgram_reply = real_dgram_reply,
	.stream_accept = real_stream_accept,
	.exchange_reply = http_exchange_reply,
	.exchange_stream = http_exchange_stream,
	.exchange_part = http_exchange_part,
	.exchange_end = http_exchange_end,
	.exchange_on_gone = http_exchange_on_gone,
	.has_route = real_has_route,
};

/*
 * Timers go by the clock that mono_us reads, as it is when they are started:
 * with libevent's coarse or remembered time they would fire before it says so.
 */
static struct event_base *new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config) {
		event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
		event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
		/* No descriptor of ours is a copy of another, which it could not tell apart. */
		event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
		event_config_set_max_dispatch_interval(config, NULL, PATIENT_AT_ONCE, PATIENT);
		base = event_base_new_with_config(config);
		event_config_free(config);
	}
	/* libevent's own events get the middle one, which is PATIENT. */
	if (base && event_base_priority_init(base, URGENCY_COUNT) != 0) {
		event_base_free(base);
		base = NULL;
	}
	return base;
}

/* Else a socket or the journal may become descriptor 2, and an error message its contents. */
static enum err_code open_standard_fds(struct err *err)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0) {
		return err_set(err, ERR_IO, "/dev/null", "cannot be opened: %s", strerror(errno));
	}
	close(fd);
	return ERR_NONE;
}

struct world *world_real_new(struct err *err)
{
	struct real_world *world;
	struct event_base *base;

	if (open_standard_fds(err) != ERR_NONE) {
		return NULL;
	}
	base = new_base();
	if (!base) {
		err_set(err, ERR_IO, "", "the event loop cannot be set up: %s", strerror(errno));
		return NULL;
	}
	/* TLS writes to sockets without MSG_NOSIGNAL; an ignored SIGCHLD would
	 * lose the exit status of children. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	world = xcalloc(1, sizeof(*world));
	world->world.ops = &ops;
	world->base = base;
	world->http = http_client_new(base);
	world->scratch = xmalloc(SCRATCH_LEN);
	TAILQ_INIT(&world->handles);
	TAILQ_INIT(&world->abandoned);
	TAILQ_INIT(&world->closing);
	TAILQ_INIT(&world->unflushed);
	timers_init(world);
	return &world->world;
}

static void drop_all(struct handles *handles)
{
	struct handle *handle;

	while ((handle = TAILQ_FIRST(handles))) {
		handle->drop(handle);
	}
}

void world_real_free(struct world *world)
{
	struct real_world *self = real(world);

	if (!self) {
		return;
	}
	http_client_free(self->http);
	drop_all(&self->handles);
	drop_all(&self->abandoned);
	listeners_drop(self);
	signals_free(self);
	free_event(self->due_event);
	event_base_free(self->base);
	free(self->scratch);
	wipe(self->random, sizeof(self->random));
	free(self);
}

void world_real_run(struct world *world)
{
	struct real_world *self = real(world);

	while (!self->stopped && (!TAILQ_EMPTY(&self->handles) || !TAILQ_EMPTY(&self->closing) ||
				  http_client_busy(self->http))) {
		if (event_base_loop(self->base, EVLOOP_ONCE) < 0) {
			log_error("the event loop failed: %s", strerror(errno));
			break;
		}
		listeners_reap(self);
	}
	streams_flush(self);
	self->stopped = false;
}

static void on_drained(evutil_socket_t fd, short what, void *arg)
{
	bool *over = arg;

	(void)fd;
	(void)what;
	*over = true;
}

void world_real_drain(struct world *world, int64_t at_most_us)
{
	struct real_world *self = real(world);
	struct timeval at_most = timeval_of_us(at_most_us);
	bool over = false;
	struct event *deadline = new_event(self, -1, 0, on_drained, &over);

	event_add(deadline, &at_most);
	listeners_reap(self);
	while (!over && !TAILQ_EMPTY(&self->closing)) {
		event_base_loop(self->base, EVLOOP_ONCE);
		listeners_reap(self);
	}
	event_free(deadline);
}

void world_real_stop(struct world *world)
{
	real(world)->stopped = true;
	event_base_loopbreak(real(world)->base);
}
