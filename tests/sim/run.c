/* run: processes, and what befalls them. */
#include "sim/run.h"

#include "sim/invariants.h"

/* ---- what goes wrong ---- */

unsigned some(struct sim *sim, unsigned most)
{
	return sim_below(sim, 2) ? (unsigned)sim_below(sim, most + 1) : 0;
}

void draw_faults(struct sim *sim)
{
	static const int64_t lags_us[] = { 0, 300000, 5000000, 40000000 };

	sim->faults = (struct faults){
		.loss = some(sim, 300),
		.duplicate = some(sim, 200),
		.forge = some(sim, 500),
		.truncate = some(sim, 300),
		.reset = some(sim, 60),
		.http_lost = some(sim, 60),
		.http_5xx = some(sim, 60),
		.bad_nonce = some(sim, 150),
		.rate_limited = some(sim, 20),
		.latency_max_us = 1000 + (int64_t)sim_below(sim, 100000),
		.lag_max_us = lags_us[sim_below(sim, ARRAY_LEN(lags_us))],
		.ca_max_us = (int64_t)sim_below(sim, 3000000),
	};
}

void calm_faults(struct sim *sim)
{
	sim->faults =
		(struct faults){ .latency_max_us = 2000, .lag_max_us = 100000, .ca_max_us = 20000 };
}

void heal_servers(struct sim *sim)
{
	for (size_t i = 0; i < sim->net->zone_count; i++) {
		for (size_t k = 0; k < sim->net->zone[i].server_count; k++) {
			sim->net->zone[i].server[k].mood = MOOD_WELL;
			sim->net->zone[i].server[k].mute_until_us = 0;
		}
	}
}

void write_key(const char *path, const char *name, const uint8_t secret[WIRE_SECRET_LEN])
{
	char encoded[BASE64URL_LEN(WIRE_SECRET_LEN)];
	char *text;
	struct err err;

	base64url_encode(encoded, sizeof(encoded), secret, WIRE_SECRET_LEN);
	text = xasprintf("key \"%s\" { algorithm hmac-sha256; secret \"%s=\"; };\n", name, encoded);
	if (file_write_durable(path, text, strlen(text), 0600, &err) != ERR_NONE) {
		fprintf(stderr, "sim: %s\n", err.text);
		abort();
	}
	free(text);
}

/* ---- runs ---- */

void run_done(struct run *run, const struct err *err)
{
	run->dones++;
	run->failed = err != NULL;
	if (err) {
		run->err = *err;
	}
	run->state = RUN_DONE;
}

struct start_arg {
	struct run *run;
};

static void on_start(struct sim *sim, void *arg)
{
	struct run *run = ((struct start_arg *)arg)->run;
	struct err err;

	sim_say(sim, "%s starts", run->name);
	sim_process_init(&run->process, sim, run->name);
	run->state = RUN_GOING;
	run->dns = dns_client_new(&run->process.world);
	if (journal_open(&run->process.world, run->scenario->conf->state, &run->journal, &err) !=
	    ERR_NONE) {
		sim_violated(sim, "%s: the journal cannot be opened: %s", run->name, err.text);
		run->state = RUN_DONE;
		return;
	}
	run->role->job->start(run);
}

static void draw_trouble(struct run *run)
{
	static const int64_t jumps_s[] = { 200, -200, 86400, -86400 };
	struct scenario *scenario = run->scenario;
	struct sim *sim = scenario->sim;
	unsigned most = scenario->kill_max;

	if (scenario->role[run->role_index].kills > 0) {
		scenario->role[run->role_index].kills--;
		run->kill_at =
			scenario->kill_at ? scenario->kill_at : 1 + (unsigned)sim_below(sim, most);
	} else if (scenario->rough && sim_below(sim, 8) == 0) {
		run->stop_at = 1 + (unsigned)sim_below(sim, most);
	}
	if (scenario->rough && sim_below(sim, 8) == 0) {
		run->jump_at = 1 + (unsigned)sim_below(sim, most);
		run->jump_us = jumps_s[sim_below(sim, ARRAY_LEN(jumps_s))] * 1000000;
	}
}

struct run *add_run(struct scenario *scenario, size_t role_index, int64_t delay_us)
{
	struct run *run = &scenario->run[scenario->run_count];
	struct start_arg *arg = xcalloc(1, sizeof(*arg));

	if (scenario->run_count == RUNS_MAX) {
		sim_violated(scenario->sim, "more than %d runs", RUNS_MAX);
		free(arg);
		return NULL;
	}
	*run = (struct run){ .scenario = scenario,
			     .role = &scenario->role[role_index],
			     .role_index = role_index };
	snprintf(run->name, sizeof(run->name), "process %zu", ++scenario->run_count);
	if (!scenario->sim->calm) {
		draw_trouble(run);
	}
	arg->run = run;
	sim_at(scenario->sim, NULL, delay_us, on_start, arg);
	return run;
}

static void finish(struct run *run)
{
	struct scenario *scenario = run->scenario;
	struct sim *sim = scenario->sim;

	sim_say(sim, "%s ends%s%s", run->name, run->failed ? ": " : "",
		run->failed ? run->err.text : "");
	run->role->job->end(run, false);
	dns_client_free(run->dns);
	journal_close(run->journal);
	run->state = RUN_OVER;
	scenario->issued += !run->failed;
	scenario->failed += run->failed;
	if (run->dones > 1) {
		sim_violated(sim, "once: %s was done %u times", run->name, run->dones);
	}
	if (run->failed && (scenario->sim->calm || (scenario->gentle && !run->stop_at))) {
		sim_violated(sim, "%s failed though nothing was wrong: %s: %s", run->name,
			     run->err.subject, run->err.text);
	}
	sim_process_clear(&run->process);
	invariants_covered(sim);
	if (run->role->job->keeps_on && !sim->calm) {
		add_run(scenario, run->role_index, (int64_t)sim_below(sim, 20000000));
	}
}

void kill_run(struct run *run)
{
	struct scenario *scenario = run->scenario;
	struct sim *sim = scenario->sim;

	sim_say(sim, "%s is killed at its step %u", run->name, run->process.steps);
	run->process.dead = true;
	run->role->job->end(run, true);
	dns_client_free(run->dns);
	journal_abandon(run->journal);
	run->state = RUN_OVER;
	scenario->killed++;
	sim_process_clear(&run->process);
	invariants_covered(sim);
	add_run(scenario, run->role_index, (int64_t)sim_below(sim, 5000000));
}

void stop_run(struct run *run)
{
	sim_say(run->scenario->sim, "%s is asked to stop", run->name);
	run->stop_at = UINT32_MAX; /* once; and a failure is then no wonder */
	if (run->role->job->stop) {
		run->role->job->stop(run);
	}
}

static void look_at(struct run *run)
{
	if (run->state == RUN_DONE) {
		finish(run);
		return;
	}
	if (run->state != RUN_GOING) {
		return;
	}
	if (run->jump_at && run->process.steps >= run->jump_at) {
		run->process.wall_ahead_us = run->jump_us;
		run->scenario->jumped = true;
		run->jump_at = 0;
	}
	if (run->kill_at && run->process.steps >= run->kill_at) {
		kill_run(run);
	} else if (run->stop_at && run->process.steps >= run->stop_at) {
		stop_run(run);
	}
}

bool runs_over(const struct scenario *scenario)
{
	for (size_t i = 0; i < scenario->run_count; i++) {
		if (scenario->run[i].state != RUN_OVER) {
			return false;
		}
	}
	return true;
}

void look_at_runs(struct scenario *scenario)
{
	struct sim *sim = scenario->sim;

	if (sim->zone_changed && sim->now_us >= scenario->covered_us) {
		sim->zone_changed = false;
		scenario->covered_us = sim->now_us + scenario->covered_each_us;
		invariants_covered(sim);
	}
	for (size_t i = 0; i < scenario->run_count; i++) {
		look_at(&scenario->run[i]);
	}
}

void add_providers(struct buf *out, const struct net *net, const char *state)
{
	char server[ADDR_TEXT_MAX];

	buf_add_str(out, "providers = (\n");
	for (size_t i = 0; i < net->zone_count; i++) {
		addr_format(server, &net->zone[i].server[0].addr, 53);
		buf_addf(out,
			 "%s  { name = \"%s\"; type = \"rfc2136\"; server = \"%s\"; "
			 "tsig_key_file = \"%s/%s.key\"; }",
			 i ? ",\n" : "", net->zone[i].name, server, state, net->zone[i].name);
	}
	buf_add_str(out, "\n);\n");
}
