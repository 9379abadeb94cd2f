/* The signals that ask a program to end, from the loop. */
#include "real.h"

#include <signal.h>

static const int asked_to_end[SIGNAL_COUNT] = { SIGINT, SIGTERM, SIGHUP };

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct real_world *world = arg;

	(void)what;
	world->signal_cb(world->signal_arg, (int)signo);
}

/* nohup(1), and shells for what runs in the background, ignore some for us. */
static bool is_ignored(int signo)
{
	struct sigaction action;

	return sigaction(signo, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

void world_real_on_signal(struct world *world, void (*signal_cb)(void *arg, int signo), void *arg)
{
	struct real_world *self = real(world);
	size_t i;

	self->signal_cb = signal_cb;
	self->signal_arg = arg;
	for (i = 0; i < SIGNAL_COUNT; i++) {
		if (self->signals[i] || is_ignored(asked_to_end[i])) {
			continue;
		}
		self->signals[i] =
			new_event(self, asked_to_end[i], EV_SIGNAL | EV_PERSIST, on_signal, self);
		event_add(self->signals[i], NULL);
	}
}

void signals_free(struct real_world *world)
{
	size_t i;

	for (i = 0; i < SIGNAL_COUNT; i++) {
		free_event(world->signals[i]);
	}
}
