/*
 * Timers. One with a delay is libevent's. Those without (the way to do a thing
 * "from the loop") cost no clock and no system call: they stand in a queue that
 * one event empties. What they start in turn has a few rounds more, and then waits, so that
 * sockets get theirs.
 */
#include "real.h"

#include <event2/event_struct.h>

#define ROUNDS_MAX 8
#define DELAY_MAX_US (INT64_C(10) * 366 * 86400 * 1000000)

struct world_timer {
	struct handle handle;
	bool delayed; /* by event; else it stands in the queue */
	struct event event;
	TAILQ_ENTRY(world_timer) due;
	uint64_t number; /* in the order of the starts */
	world_fire *fire;
	void *arg;
};

void real_timer_cancel(struct world_timer *timer)
{
	if (!timer) {
		return;
	}
	if (timer->delayed) {
		event_del(&timer->event);
	} else {
		TAILQ_REMOVE(&timer->handle.world->due, timer, due);
	}
	handle_remove(&timer->handle);
	free(timer);
}

static void drop_timer(struct handle *handle)
{
	real_timer_cancel((struct world_timer *)handle);
}

/* The handle is gone when its owner hears of it. */
static void fire_timer(struct world_timer *timer)
{
	world_fire *fire = timer->fire;
	void *arg = timer->arg;

	real_timer_cancel(timer);
	fire(arg);
}

static void on_delay_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	fire_timer(arg);
}

static void wake_queue(struct real_world *world)
{
	static const struct timeval now = { 0 };

	if (!TAILQ_EMPTY(&world->due) && !evtimer_pending(world->due_event, NULL)) {
		evtimer_add(world->due_event, &now);
	}
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
	struct real_world *world = arg;
	struct world_timer *timer;

	(void)fd;
	(void)what;
	for (int round = 0; round < ROUNDS_MAX; round++) {
		uint64_t last = world->due_started;

		while (!world->stopped && (timer = TAILQ_FIRST(&world->due)) &&
		       timer->number <= last) {
			fire_timer(timer);
		}
	}
	wake_queue(world);
}

void timers_init(struct real_world *world)
{
	TAILQ_INIT(&world->due);
	world->due_event = new_event(world, -1, 0, on_due, world);
}

struct world_timer *real_timer_start(struct world *world, int64_t delay_us, world_fire *fire,
				     void *arg)
{
	struct real_world *self = real(world);
	struct world_timer *timer = xcalloc(1, sizeof(*timer));

	timer->fire = fire;
	timer->arg = arg;
	handle_add(self, &timer->handle, drop_timer);
	if (delay_us <= 0) {
		timer->number = ++self->due_started;
		TAILQ_INSERT_TAIL(&self->due, timer, due);
		wake_queue(self);
	} else {
		struct timeval delay =
			timeval_of_us(delay_us < DELAY_MAX_US ? delay_us : DELAY_MAX_US);

		timer->delayed = true;
		event_assign(&timer->event, self->base, -1, 0, on_delay_over, timer);
		event_priority_set(&timer->event, URGENT);
		evtimer_add(&timer->event, &delay);
	}
	return timer;
}
