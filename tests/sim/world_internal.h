/* What the files of the simulated world share: world.c and listen.c. */
#ifndef DNS01_SIM_WORLD_INTERNAL_H
#define DNS01_SIM_WORLD_INTERNAL_H

#include "sim/listen.h"
#include "sim/world.h"

struct world_stream {
	struct sim_process *process;
	uint64_t id;
	struct addr peer;
	int64_t last_us; /* when the latest arrival is due */
	bool ended;
	struct outside_conn *outside; /* who opened it to us; NULL: we did, to a server */
	world_stream_cb *cb;          /* NULL: not accepted yet */
	void *arg;
	struct world_stream *next;
};

/* Takes one out of the list that it is in. */
#define UNLINK(list_, item_)                                                   \
	for (__typeof__(&(list_)) at_ = &(list_); *at_; at_ = &(*at_)->next) { \
		if (*at_ == (item_)) {                                         \
			*at_ = (item_)->next;                                  \
			break;                                                 \
		}                                                              \
	}

static inline struct sim_process *process_of(struct world *world)
{
	return (struct sim_process *)world;
}

/* listen.c: the listeners' half of the table. */
void listen_ops(struct world_ops *ops);
/* What a process writes to, or closes of, a stream that others opened to it. */
void listen_stream_write(struct world_stream *stream, const void *data, size_t len);
void listen_stream_close(struct world_stream *stream);
/* The process ends, or was killed: all who waited see their connection break. */
void listen_drop(struct sim_process *process);

#endif
