/*
 * The host of an estate: `renew` by an hourly timer, or in a loop; its clock and its disk, and
 * those who kill it; the commands that deploy.
 */
#include "dns01/challenge.h"
#include "sim/estate.h"
#include "sim/invariants.h"

#include <signal.h>
#include <sys/resource.h>

#define RUN_MAX_US DAY_US
#define HOURLY_S 3600 /* as the verb has it */
#define LOOP_PAUSE_US (10 * SECOND_US)
#define KILL_STEPS_LOG2 11 /* a run is killed, or stopped, at its step 2047 at the latest */
#define STOP_MAX_US (11 * SECOND_US) /* as DESIGN says, and a moment */
#define AGAIN_MAX 24                 /* idle runs of one process */
#define BUSY_KILLED_EACH 3
#define COMMAND "/usr/bin/deploy"

/* ---- the disk ---- */

/* No file can grow: whoever writes to one hears so. */
static void set_disk(struct host *host, bool full)
{
	struct rlimit limit;

	if (full != host->limited && getrlimit(RLIMIT_FSIZE, &limit) == 0) {
		fflush(stdout);
		limit.rlim_cur = full ? 0 : limit.rlim_max;
		(void)setrlimit(RLIMIT_FSIZE, &limit);
		host->limited = full;
	}
}

/* ---- when it runs ---- */

struct tick {
	struct estate *estate;
};

static void on_tick(struct sim *sim, void *arg);

static void tick_in(struct estate *estate, int64_t delay_us)
{
	struct tick *tick = xcalloc(1, sizeof(*tick));

	tick->estate = estate;
	sim_at(estate->sim, NULL, delay_us, on_tick, tick);
}

static int64_t until_next(struct estate *estate, const struct renewer *renewer, bool ended)
{
	struct sim *sim = estate->sim;
	int64_t now_us = sim->now_us, next_us;

	if (estate->loops && ended) { /* it is started anew */
		return LOOP_PAUSE_US + (int64_t)sim_below(sim, 120 * SECOND_US);
	}
	if (estate->loops) {
		next_us = renewer->next_us - now_us;
		return next_us < LOOP_PAUSE_US ? LOOP_PAUSE_US : next_us;
	}
	next_us = now_us - (now_us + HOUR_US - estate->host.phase_us) % HOUR_US + HOUR_US;
	return next_us - now_us + (int64_t)sim_below(sim, 60 * SECOND_US);
}

/* ---- one process ---- */

static void on_done(void *arg, const struct err *err, const struct fleet_result *result)
{
	struct renewer *renewer = arg;
	int64_t wall_us = world_wall_us(&renewer->process.world);

	renewer->done = true;
	renewer->next_us = renewer->process.sim->now_us + result->next_at_s * SECOND_US - wall_us;
	if (err) {
		renewer->err = *err;
	}
}

static unsigned some_step_from(struct sim *sim, unsigned step)
{
	return step + 1 + (unsigned)sim_below(sim, (uint64_t)1 << sim_below(sim, KILL_STEPS_LOG2));
}

/* A signal is on its way: one that kills, one that asks it to stop, or one after the other. Early
 * and late steps are equally frequent. */
static void draw_signals(struct renewer *renewer)
{
	struct sim *sim = renewer->estate->sim;
	uint64_t draw = sim_below(sim, 5);

	if (draw < 3) {
		renewer->stop_at = some_step_from(sim, renewer->process.steps);
	}
	if (draw >= 2) {
		renewer->kill_at =
			some_step_from(sim, draw == 2 ? renewer->stop_at : renewer->process.steps);
	}
}

/* A run with nothing to do has few steps; those that have are disturbed more often. */
static void begin_work(struct renewer *renewer)
{
	struct sim *sim = renewer->estate->sim;

	if (!renewer->busy && renewer->estate->kill_each && !sim->calm &&
	    sim_below(sim, BUSY_KILLED_EACH) == 0) {
		draw_signals(renewer);
	}
	renewer->busy = true;
}

static void on_event(void *arg, const struct fleet_event *event)
{
	struct renewer *renewer = arg;

	begin_work(renewer);
	if (event->ended) {
		sim_say(renewer->estate->sim, "%s: %s", event->item->lineage,
			event->err ? event->err->text : "issued");
	}
}

static void on_deploy(void *arg, const struct deploy_event *event)
{
	(void)event;
	begin_work(arg);
}

static enum err_code open_files(struct renewer *renewer, struct err *err)
{
	struct estate *estate = renewer->estate;
	enum err_code code;

	renewer->dns = dns_client_new(&renewer->process.world);
	code = journal_open(&renewer->process.world, estate->state, &renewer->journal, err);
	if (code == ERR_NONE) {
		code = renewals_open(estate->state, &renewer->renewals, err);
	}
	return code;
}

static enum err_code open_fleet(struct renewer *renewer, struct err *err)
{
	struct estate *estate = renewer->estate;

	return fleet_new(
		&(struct fleet_args){
			.world = &renewer->process.world,
			.conf = estate->conf,
			.journal = renewer->journal,
			.dns = renewer->dns,
			.renewals = renewer->renewals,
			.wake_s = estate->loops ? 0 : HOURLY_S,
			.event = on_event,
			.deploy_event = on_deploy,
			.event_arg = renewer,
		},
		&renewer->fleet, err);
}

static void close_files(struct renewer *renewer)
{
	dns_client_free(renewer->dns);
	if (renewer->process.dead) {
		journal_abandon(renewer->journal);
	} else {
		journal_close(renewer->journal);
	}
	renewals_close(renewer->renewals);
	sim_process_clear(&renewer->process);
}

static struct renewer *renewer_new(struct estate *estate)
{
	struct renewer *renewer = xcalloc(1, sizeof(*renewer));

	renewer->estate = estate;
	renewer->again = AGAIN_MAX;
	sim_process_init(&renewer->process, estate->sim, "renew");
	return renewer;
}

static void end_idle(struct estate *estate)
{
	if (estate->host.idle) {
		close_files(estate->host.idle);
		free(estate->host.idle);
		estate->host.idle = NULL;
	}
}

static void start(struct estate *estate)
{
	struct renewer *renewer = estate->host.idle;
	struct sim *sim = estate->sim;
	bool kill = estate->kill_each && sim_below(sim, estate->kill_each) == 0;
	enum err_code code = ERR_NONE;

	estate->host.idle = NULL;
	set_disk(&estate->host, estate->host.full);
	if (!renewer) {
		renewer = renewer_new(estate);
		code = open_files(renewer, &renewer->err);
	}
	estate->host.renewer = renewer;
	estate->host.runs++;
	renewer->done = renewer->busy = false;
	renewer->begun_us = sim->now_us;
	renewer->next_us = sim->now_us + HOUR_US;
	renewer->process.steps = 0;
	renewer->process.wall_ahead_us = estate->host.ahead_us;
	for (size_t i = 0; i < estate->office_count; i++) {
		estate->office[i].left_most = 0;
	}
	if (kill && !sim->calm) {
		draw_signals(renewer);
	}
	if (code == ERR_NONE) {
		code = open_fleet(renewer, &renewer->err);
	}
	if (code == ERR_NONE) {
		fleet_start(renewer->fleet, on_done, renewer);
		return;
	}
	renewer->done = true;
	if (!estate->host.full) {
		sim_violated(sim, "a run cannot begin: %s: %s", renewer->err.subject,
			     renewer->err.text);
	}
}

static void on_tick(struct sim *sim, void *arg)
{
	struct estate *estate = ((struct tick *)arg)->estate;
	int64_t off_until_us;

	trouble_look(estate);
	estate_expired(estate);
	estate_revoked(estate);
	off_until_us = trouble_off_until(estate);
	if (off_until_us > 0) {
		tick_in(estate, off_until_us - sim->now_us + 60 * SECOND_US);
		return;
	}
	if (estate_amend(estate)) {
		end_idle(estate);
	}
	start(estate);
}

static void hold_open(struct estate *estate, bool held)
{
	struct err err;

	if (held && !estate->host.kept &&
	    renewals_open(estate->state, &estate->host.kept, &err) != ERR_NONE) {
		abort();
	}
	if (!held) {
		renewals_close(estate->host.kept);
		estate->host.kept = NULL;
	}
	invariants_hold(held);
}

static void finish(struct estate *estate)
{
	struct renewer *renewer = estate->host.renewer;
	struct span span = { renewer->begun_us, estate->sim->now_us };
	int64_t next_us = until_next(estate, renewer, renewer->stopped_us > 0);
	bool busy = renewer->busy;

	estate->host.renewer = NULL;
	fleet_free(renewer->fleet);
	renewer->fleet = NULL;
	if (estate->look || renewer->busy) {
		estate_disk(estate);
	}
	if (renewer->err.code == ERR_NONE) {
		estate_ran(estate, span);
	}
	if (renewer->busy || renewer->err.code != ERR_NONE || renewer->again == 0 ||
	    renewer->kill_at || renewer->stop_at) {
		set_disk(&estate->host, false);
		hold_open(estate, true);
		close_files(renewer);
		free(renewer);
	} else {
		renewer->again--;
		estate->host.idle = renewer;
	}
	set_disk(&estate->host, false);
	if (busy) {
		estate_clean(estate, span);
	}
	tick_in(estate, next_us);
}

static void stop_it(struct estate *estate)
{
	struct renewer *renewer = estate->host.renewer;

	sim_say(estate->sim, "asked to stop at step %u", renewer->process.steps);
	estate->host.stops++;
	renewer->stopped_us = estate->sim->now_us;
	fleet_stop(renewer->fleet);
}

static void kill_it(struct estate *estate)
{
	struct renewer *renewer = estate->host.renewer;

	sim_say(estate->sim, "killed at step %u", renewer->process.steps);
	estate->host.renewer = NULL;
	estate->host.kills++;
	estate->littered = true;
	for (size_t i = 0; i < estate->office_count; i++) {
		office_forgive(&estate->office[i], renewer->begun_us);
	}
	renewer->process.dead = true;
	hold_open(estate, false);
	fleet_free(renewer->fleet);
	close_files(renewer);
	set_disk(&estate->host, false);
	estate_disk(estate);
	renewer->next = estate->host.killed;
	estate->host.killed = renewer;
	tick_in(estate, until_next(estate, renewer, true));
}

void host_look(struct estate *estate)
{
	struct renewer *renewer = estate->host.renewer;

	trouble_look(estate);
	if (estate->host.ahead_us != 0) {
		estate->clock_us = estate->sim->now_us;
	}
	if (!renewer) {
		return;
	}
	set_disk(&estate->host, estate->host.full);
	renewer->process.wall_ahead_us = estate->host.ahead_us;
	if (renewer->done) {
		finish(estate);
	} else if (renewer->kill_at && renewer->process.steps >= renewer->kill_at) {
		kill_it(estate);
	} else if (renewer->stop_at && !renewer->stopped_us &&
		   renewer->process.steps >= renewer->stop_at) {
		stop_it(estate);
	} else if (renewer->stopped_us && renewer->stopped_us + STOP_MAX_US < estate->sim->now_us) {
		sim_violated(estate->sim, "once: a run was asked to stop, and goes on");
	} else if (renewer->begun_us + RUN_MAX_US < estate->sim->now_us) {
		sim_violated(estate->sim, "once: a run never ends");
	}
}

void host_begin(struct estate *estate)
{
	(void)signal(SIGXFSZ, SIG_IGN); /* a write fails in its place */
	estate->host.phase_us = (int64_t)sim_below(estate->sim, HOUR_US);
	tick_in(estate, SECOND_US);
}

void host_end(struct estate *estate)
{
	hold_open(estate, false);
	end_idle(estate);
	if (estate->host.renewer) {
		estate->host.renewer->process.dead = true;
		fleet_free(estate->host.renewer->fleet);
		close_files(estate->host.renewer);
		free(estate->host.renewer);
	}
	set_disk(&estate->host, false);
	while (estate->host.killed) {
		struct renewer *renewer = estate->host.killed;

		estate->host.killed = renewer->next;
		free(renewer);
	}
}

/* ---- at the end ---- */

static void on_swept(void *arg, const struct err *err, size_t removed)
{
	struct renewer *renewer = arg;

	(void)removed;
	renewer->done = true;
	if (err) {
		sim_violated(renewer->estate->sim, "a sweep fails: %s", err->text);
	}
}

void host_sweep(struct estate *estate)
{
	struct renewer *renewer = renewer_new(estate);
	struct provider_pool *pool;
	struct publisher *publisher;

	end_idle(estate);
	hold_open(estate, false);
	if (open_files(renewer, &renewer->err) != ERR_NONE) {
		sim_violated(estate->sim, "a sweep cannot begin: %s", renewer->err.text);
		renewer->done = true;
	}
	pool = provider_pool_new(&renewer->process.world, renewer->dns, estate->conf);
	publisher = publisher_new(&(struct publisher_args){
		.world = &renewer->process.world,
		.journal = renewer->journal,
		.state = estate->state,
		.pool = pool,
	});
	if (!renewer->done) {
		sweep_start(publisher, on_swept, renewer);
	}
	while (!renewer->done && sim_step(estate->sim)) {
	}
	publisher_free(publisher);
	provider_pool_free(pool);
	hold_open(estate, true);
	close_files(renewer);
	free(renewer);
	estate_clean(estate, (struct span){ estate->sim->now_us, estate->sim->now_us });
}

/* ---- commands ---- */

/* One that runs: for which lineages, in which versions. */
struct command_run {
	struct estate *estate;
	size_t chore, count;
	bool well;
	struct {
		struct holding *holding;
		char version[VERSION_MAX];
	} of[];
};

static void on_command(struct sim *sim, void *arg, bool told)
{
	const struct command_run *run = arg;
	/* what a full disk keeps it from writing down is as good as not heard */
	bool noted = told && !run->estate->host.full;

	sim_say(sim, "command %zu for %zu lineages, %s first, ends %s%s", run->chore, run->count,
		run->count > 0 ? run->of[0].holding->name : "none", run->well ? "well" : "ill",
		told ? "" : ", and nobody hears of it");
	for (size_t i = 0; run->well && i < run->count; i++) {
		estate_chore(run->of[i].holding, run->chore, run->of[i].version, noted);
	}
}

static void on_notified(struct sim *sim, void *arg, bool told)
{
	(void)sim;
	(void)arg;
	(void)told;
}

static struct holding *holding_named(struct estate *estate, const char *name, size_t len)
{
	for (size_t i = 0; i < estate->holding_count; i++) {
		struct holding *holding = &estate->holding[i];

		if (strlen(holding->name) == len && memcmp(holding->name, name, len) == 0) {
			return holding;
		}
	}
	return NULL;
}

static struct command_run *command_run_new(struct estate *estate, const char *lineages)
{
	struct command_run *run =
		xcalloc(1, sizeof(*run) + estate->holding_count * sizeof(run->of[0]));

	run->estate = estate;
	while (*lineages) {
		size_t len = strcspn(lineages, " ");
		struct holding *holding = holding_named(estate, lineages, len);

		if (!holding) {
			sim_violated(estate->sim, "a command for %s", lineages);
			break;
		}
		run->of[run->count].holding = holding;
		estate_version_of(holding, run->of[run->count++].version);
		lineages += len + (lineages[len] == ' ');
	}
	return run;
}

void host_spawned(struct sim *sim, struct sim_process *process, const struct spawn_request *request,
		  struct sim_command *out)
{
	static const char variable[] = "DNS01_LINEAGES=";
	struct estate *estate = sim->house;
	struct command_run *run;
	const char *lineages = "";

	(void)process;
	*out = (struct sim_command){ .takes_us = (int64_t)sim_below(sim, 5 * SECOND_US),
				     .ended = on_notified };
	if (strcmp(request->argv[0], COMMAND) != 0) {
		return;
	}
	for (char *const *item = request->environment; *item; item++) {
		if (strncmp(*item, variable, strlen(variable)) == 0) {
			lineages = *item + strlen(variable);
		}
	}
	estate->host.commands++;
	run = command_run_new(estate, lineages);
	run->chore = request->argv[1][0] == '0' ? 0 : 1;
	run->well = !estate->host.commands_fail;
	out->exit_status = run->well ? 0 : 1;
	if (!run->well && sim_below(sim, 4) == 0) {
		out->timed_out = true;
		out->takes_us = request->timeout_ms * 1000;
	}
	out->ended = on_command;
	out->arg = run;
}
