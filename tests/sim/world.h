/*
 * world: virtual time. Events fire in the order of their times, those of one time in the
 * order they were made; processes are worlds of their own, whose sockets end at net.h and
 * whose HTTPS requests end at ca.h. All chance comes from one seed.
 */
#ifndef DNS01_SIM_WORLD_H
#define DNS01_SIM_WORLD_H

#include "dns01/world.h"

#define SIM_WALL_S 1795485600 /* 2026-11-24T02:00:00Z: the true time at the start */

struct sim;
struct sim_event;
struct net;
struct ca;
struct outside_in;

/* How often things go wrong, per mille, and what is slow. All zero: a perfect world. */
struct faults {
	unsigned loss, duplicate, forge, truncate; /* of datagrams */
	unsigned reset; /* of TCP connections, before or after the effect */
	unsigned http_lost, http_5xx, bad_nonce, rate_limited;
	int64_t latency_max_us;
	int64_t lag_max_us; /* of secondaries */
	int64_t ca_max_us;  /* how long the CA takes to validate, and to issue */
	int64_t turn_us;    /* of the loop of a process that has much to do */
};

/* A command: it does what it does at its end, whether its parent lives or not. */
struct sim_command {
	int64_t takes_us;
	int exit_status;
	bool timed_out;
	/* told: its parent hears of it. arg is freed afterwards. */
	void (*ended)(struct sim *sim, void *arg, bool told);
	void *arg;
};

struct sim {
	uint64_t seed;
	uint64_t chance[4]; /* state of the generator */
	int64_t now_us;     /* monotonic, for all processes */
	uint64_t next_seq;
	struct sim_event **heap;
	size_t heap_len, heap_cap;
	struct faults faults;
	struct net *net;
	struct ca *ca;
	struct sim_process *processes;
	uint64_t next_id; /* of sockets and requests */
	bool verbose;
	bool calm;         /* the end: nothing goes wrong any more */
	bool zone_changed; /* since the invariants were last looked at */
	/* For each text that comes to a primary or goes from it; may be NULL. */
	void (*text_changed)(struct sim *sim, const char *text, bool added);
	/* What processes reply to datagrams from outside, when it is sent and when it arrives. */
	void (*outside_heard)(struct sim *sim, const struct addr *to, const struct outside_in *in);
	/* What becomes of a command that a process starts; NULL: none may be started. */
	void (*spawned)(struct sim *sim, struct sim_process *process,
			const struct spawn_request *request, struct sim_command *out);
	void *house; /* of those three */
	char violation[1024];
};

struct sim_process {
	struct world world;
	struct sim *sim;
	const char *name;
	bool dead;
	int64_t wall_ahead_us; /* of a clock that is wrong */
	unsigned steps;        /* events that were its own */
	size_t handles;        /* that it has not ended */
	struct world_dgram *dgrams;
	struct world_stream *streams;
	struct world_http *https;
	struct world_child *children;
	struct world_listener *listeners;
	struct world_exchange *exchanges;
	struct sim_process *next;
};

struct sim *sim_new(uint64_t seed);
void sim_free(struct sim *sim);
/* Fires the next event; false: there is none. */
bool sim_step(struct sim *sim);

typedef void sim_fire(struct sim *sim, void *arg);
/* arg is freed with the event. process NULL: of nobody; else it is dropped when that is dead. */
struct sim_event *sim_at(struct sim *sim, struct sim_process *process, int64_t delay_us,
			 sim_fire *fire, void *arg);

uint64_t sim_below(struct sim *sim, uint64_t bound); /* 0 ... bound - 1 */
bool sim_chance(struct sim *sim, unsigned per_mille);
int64_t sim_latency(struct sim *sim);       /* one way, us */
int64_t sim_wall_us(const struct sim *sim); /* the true time */
void sim_random(struct sim *sim, void *out, size_t len);

/* The first one counts; the run goes on to its end. */
void sim_violated(struct sim *sim, const char *fmt, ...) PRINTF_LIKE(2, 3);
void sim_say(const struct sim *sim, const char *fmt, ...) PRINTF_LIKE(2, 3);

void sim_process_init(struct sim_process *process, struct sim *sim, const char *name);
/* What it did not end is a violation, unless it was killed before. */
void sim_process_clear(struct sim_process *process);

/* From net.c and ca.c: what arrives at a process, unless its end is closed by then. */
void sim_dgram_arrives(struct sim *sim, uint64_t id, const void *data, size_t len);
struct sim_arrival {
	uint64_t id;
	enum world_stream_event event;
	const void *data;
	size_t len;
	bool broken;
};
/* In the order in which they are sent. */
void sim_stream_arrives(struct sim *sim, const struct sim_arrival *arrival, int64_t delay_us);

struct sim_answer {
	int status;       /* 0: the connection broke */
	const char *type; /* NULL: none; a literal */
	struct http_header header[4];
	size_t header_count;
	struct buf body;
	char location[256], nonce[64], retry_after[32];
};
void sim_http_arrives(struct sim *sim, uint64_t id, struct sim_answer *answer, int64_t delay_us);

#endif
