/* What the files of the real world share. */
#ifndef DNS01_WORLD_REAL_H
#define DNS01_WORLD_REAL_H

#include <event2/event.h>
#include <sys/queue.h>

#include "dns01/http.h"
#include "dns01/world.h"

#define SCRATCH_LEN (64 * 1024) /* no datagram is longer */
#define SIGNAL_COUNT 3
#define RANDOM_POOL 512 /* octets asked of the system at once; most draws are a few */

/* First member of whatever the world waits for; freed with it. */
struct handle {
	TAILQ_ENTRY(handle) link;
	struct real_world *world;
	void (*drop)(struct handle *handle); /* unlinks and frees it, no callback */
};
TAILQ_HEAD(handles, handle);
TAILQ_HEAD(due_timers, world_timer);

struct real_world {
	struct world world;
	struct event_base *base;
	struct http_client *http;
	struct handles handles;   /* what world_real_run waits for */
	struct handles abandoned; /* cancelled children that have not died yet */
	struct handles closing;   /* closed HTTP listeners with answers still due */
	struct due_timers due;    /* without delay, in the order of their start */
	struct event *due_event;
	uint64_t due_started; /* how many there ever were */
	struct event *signals[SIGNAL_COUNT];
	void (*signal_cb)(void *arg, int signo);
	void *signal_arg;
	bool stopped;
	uint8_t *scratch; /* SCRATCH_LEN octets for one read */
	uint8_t random[RANDOM_POOL];
	size_t random_left;        /* of them, at the end */
	struct world_timer *flush; /* of what streams were given to write */
	TAILQ_HEAD(unflushed, world_stream) unflushed;
};

static inline struct real_world *real(struct world *world)
{
	return (struct real_world *)world;
}

void handle_add(struct real_world *world, struct handle *handle,
		void (*drop)(struct handle *handle));
void handle_remove(struct handle *handle);

/*
 * What is under way goes before what is new: replies of name servers and timers before requests of
 * strangers, a few of which are taken at a time. Else each step of a change would wait until a
 * thousand requests were read.
 */
enum urgency { URGENT, PATIENT, URGENCY_COUNT };
#define PATIENT_AT_ONCE 16

/* event_new that gives an URGENT event or ends the process. */
struct event *new_event(struct real_world *world, int fd, short what, event_callback_fn fn,
			void *arg);
void free_event(struct event *event); /* NULL is fine */
void close_fd(int *fd);               /* -1 is fine, and what stays */
struct timeval timeval_of_us(int64_t us);

void timers_init(struct real_world *world);
struct world_timer *real_timer_start(struct world *world, int64_t delay_us, world_fire *fire,
				     void *arg);
void real_timer_cancel(struct world_timer *timer);

struct world_dgram *real_dgram_open(struct world *world, const struct addr *peer,
				    world_dgram_in *in, void *arg);
void real_dgram_send(struct world_dgram *dgram, const void *data, size_t len);
void real_dgram_close(struct world_dgram *dgram);
bool real_has_route(struct world *world, const struct addr *peer);

struct world_stream *real_stream_open(struct world *world, const struct addr *peer,
				      world_stream_cb *cb, void *arg);
void real_stream_write(struct world_stream *stream, const void *data, size_t len);
void real_stream_close(struct world_stream *stream);

struct world_child *real_spawn_start(struct world *world, const struct spawn_request *request,
				     world_spawn_done *done, void *arg);
void real_spawn_cancel(struct world_child *child);

void streams_flush(struct real_world *world); /* what was written in this turn */
/* Of a connection that was made to us; nothing is read until real_stream_accept. Takes fd. */
struct world_stream *stream_of_fd(struct world *world, int fd, const struct addr *peer);
void real_stream_accept(struct world_stream *stream, world_stream_cb *cb, void *arg);

struct world_listener *real_dgram_listen(struct world *world, const struct listen_at *at,
					 world_dgram_serve *serve, void *arg, struct err *err);
void real_dgram_reply(struct world_listener *listener, const struct dgram_from *to,
		      const void *data, size_t len);
struct world_listener *real_stream_listen(struct world *world, const struct listen_at *at,
					  world_stream_serve *serve, void *arg, struct err *err);
struct world_listener *real_http_listen(struct world *world, const struct http_listen *args,
					struct err *err);
void real_listener_close(struct world_listener *listener);
struct addr real_listener_addr(const struct world_listener *listener);
void listeners_reap(struct real_world *world);
void listeners_drop(struct real_world *world);

void signals_free(struct real_world *world);

#endif
