/*
 * run: the processes of a scenario. Each has a job; one that is killed comes back as another run
 * of the same role, with a world and a journal of its own.
 */
#ifndef DNS01_SIM_RUN_H
#define DNS01_SIM_RUN_H

#include "dns01/challenge.h"
#include "sim/net.h"
#include "sim/scenario.h"

#define ROLES_MAX 4
#define RUNS_MAX 24
#define KILLS_MAX 3

struct run;

struct job {
	void (*start)(struct run *run);
	void (*stop)(struct run *run); /* asked to; NULL: it does not hear */
	/* Frees its work. dead: it was killed, nothing is sent or written any more. */
	void (*end)(struct run *run, bool dead);
	bool keeps_on; /* it ends when it is asked to, not by itself */
};

/* Who works here. */
struct role {
	const struct job *job;
	size_t certificate; /* of an issuance */
	unsigned kills;     /* that are still to come */
};

enum run_state { RUN_WAITING, RUN_GOING, RUN_DONE, RUN_OVER };

struct run {
	struct scenario *scenario;
	struct sim_process process;
	const struct role *role;
	size_t role_index;
	char name[32];
	enum run_state state;
	unsigned kill_at, stop_at, jump_at; /* its own steps; 0: never */
	int64_t jump_us;
	unsigned dones;
	bool failed;
	struct err err;
	struct journal *journal;
	struct dns_client *dns;
	void *work; /* the job's own */
};

struct scenario {
	struct sim *sim;
	struct conf *conf;
	struct role role[ROLES_MAX];
	size_t role_count;
	struct run run[RUNS_MAX];
	size_t run_count;
	bool rough;        /* not everything goes well */
	bool gentle;       /* nothing goes wrong that keeps a job from being done */
	unsigned kill_at;  /* the step of the first kill; 0: any up to kill_max */
	unsigned kill_max; /* steps */
	bool jumped;       /* some process's clock did */
	int64_t rest_until_us;
	int64_t covered_each_us, covered_us; /* how often all rows are looked for, and when next */
	unsigned issued, failed, killed;
};

/* How much goes wrong: up to most, or nothing. */
unsigned some(struct sim *sim, unsigned most);
void draw_faults(struct sim *sim);
void calm_faults(struct sim *sim);
void heal_servers(struct sim *sim);
/* The key of a zone's primary, as BIND writes it. */
void write_key(const char *path, const char *name, const uint8_t secret[WIRE_SECRET_LEN]);
/* The configuration's providers: one for each zone, by the key state/ZONE.key. */
void add_providers(struct buf *out, const struct net *net, const char *state);

/* NULL: there are too many, which is a violation. */
struct run *add_run(struct scenario *scenario, size_t role_index, int64_t delay_us);
/* The job is done; err NULL: well. */
void run_done(struct run *run, const struct err *err);
void kill_run(struct run *run);
void stop_run(struct run *run);
/* After each step: ends those that are done, kills, stops, and turns clocks. */
void look_at_runs(struct scenario *scenario);
bool runs_over(const struct scenario *scenario);
/* Removes what nobody holds. */
extern const struct job *const job_sweep;

#endif
