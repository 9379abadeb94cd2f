#include "sim/scenario.h"

#include "dns01/issue.h"
#include "sim/ca.h"
#include "sim/invariants.h"
#include "sim/net.h"

#define ROLES_MAX 3
#define RUNS_MAX 24
#define KILLS_MAX 3
#define STEPS_MAX 200000
#define VIRTUAL_MAX_US ((int64_t)6 * 3600 * 1000000)
#define KILL_STEP_MAX 400 /* a calm issuance has about 200 */

enum job { JOB_ISSUE, JOB_PROBE, JOB_SWEEP_ALL };
enum run_state { RUN_WAITING, RUN_GOING, RUN_DONE, RUN_OVER };

/* Who works here; a process that is killed comes back as another run of the same role. */
struct role {
	enum job job;
	size_t certificate; /* of an issuance */
	unsigned kills;     /* that are still to come */
};

struct scenario;

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
	struct issuance *issuance;
	struct probe *probe;
	struct provider_pool *pool;
	struct publisher *publisher;
};

struct scenario {
	struct sim *sim;
	struct conf *conf;
	struct role role[ROLES_MAX];
	size_t role_count;
	struct run run[RUNS_MAX];
	size_t run_count;
	bool gentle; /* nothing goes wrong that keeps a certificate from being issued */
	unsigned issued, failed, killed;
};

/* ---- what goes wrong ---- */

static unsigned some(struct sim *sim, unsigned most)
{
	return sim_below(sim, 2) ? (unsigned)sim_below(sim, most + 1) : 0;
}

static void draw_faults(struct sim *sim)
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

static void calm_faults(struct sim *sim)
{
	sim->faults =
		(struct faults){ .latency_max_us = 2000, .lag_max_us = 100000, .ca_max_us = 20000 };
}

/* ---- what there is ---- */

static void write_key(const struct net_zone *zone, const char *path)
{
	char secret[BASE64URL_LEN(WIRE_SECRET_LEN)];
	char *text;
	struct err err;

	base64url_encode(secret, sizeof(secret), zone->secret, WIRE_SECRET_LEN);
	text = xasprintf("key \"" NET_KEY "\" { algorithm hmac-sha256; secret \"%s=\"; };\n",
			 secret);
	if (file_write_durable(path, text, strlen(text), 0600, &err) != ERR_NONE) {
		fprintf(stderr, "sim: %s\n", err.text);
		abort();
	}
	free(text);
}

static void configure_zone(struct scenario *scenario, const struct net_zone *zone, bool reachable)
{
	struct conf *conf = scenario->conf;
	char *key = xasprintf("%s/%s.key", conf->state, zone->name);
	char server[ADDR_TEXT_MAX];
	struct conf_provider *provider = conf_add_provider(conf, zone->name, "rfc2136");
	struct conf_zone *settings;

	write_key(zone, key);
	addr_format(server, &zone->server[0].addr, 53);
	settings_set(&provider->settings, "server", server, "sim");
	settings_set(&provider->settings, "tsig_key_file", key, "sim");
	if (sim_below(scenario->sim, 4) == 0) {
		settings_set(&provider->settings, "transport", "udp", "sim");
	}
	settings = conf_add_zone(conf, zone->name);
	strlist_add(&settings->providers, zone->name);
	strlist_add(&settings->resolvers, NET_RESOLVER);
	settings->deadline_ms = 120000;
	if (reachable) {
		free(settings->quorum);
		settings->quorum = xstrdup("reachable");
	}
	free(key);
}

static void make_zone(struct scenario *scenario, size_t i, bool rough)
{
	struct sim *sim = scenario->sim;
	char name[16], owner[40];
	struct net_zone *zone;
	size_t others;

	snprintf(name, sizeof(name), "zon%zu.test", i);
	zone = net_add_zone(sim, name);
	others = 1 + sim_below(sim, NET_SERVERS_MAX - 1);
	for (size_t k = 0; k < others; k++) {
		net_add_server(zone, true);
	}
	zone->server[0].listed = sim_below(sim, 3) > 0;
	snprintf(owner, sizeof(owner), "_acme-challenge.%s", name);
	net_add_sibling(sim, zone, owner, "somebody-else");
	if (rough && sim_below(sim, 4) == 0) {
		zone->server[others].mood =
			(enum net_mood)(MOOD_SILENT + sim_below(sim, MOOD_LAME));
		scenario->gentle = false;
	}
}

static void on_mute(struct sim *sim, void *arg)
{
	(void)arg;
	if (sim->calm) {
		return;
	}
	sim->net->zone[0].server[0].mute_until_us =
		sim->now_us + 5000000 + (int64_t)sim_below(sim, 60000000);
	sim_say(sim, "the primary of zon0.test grows mute");
}

static void add_certificate(struct conf *conf, const char *lineage, const char *const *names)
{
	struct conf_certificate *certificate = conf_add_certificate(conf, lineage);

	for (; *names; names++) {
		strlist_add(&certificate->names, *names);
	}
}

static void configure(struct scenario *scenario, const char *state, bool reachable)
{
	static const char *const first[] = { "*.zon0.test", "zon0.test", NULL };
	static const char *const second[] = { "b.zon0.test", "*.b.zon0.test", "zon1.test", NULL };
	struct conf *conf = conf_new();
	struct conf_account *account = conf_add_account(conf, "ca");
	struct err err;

	scenario->conf = conf;
	free(conf->state);
	conf->state = xstrdup(state);
	free(account->directory);
	account->directory = xstrdup(CA_URL "/directory");
	account->agree_tos = true;
	for (size_t i = 0; i < scenario->sim->net->zone_count; i++) {
		configure_zone(scenario, &scenario->sim->net->zone[i], reachable);
	}
	add_certificate(conf, "first", first);
	add_certificate(conf, "second", second);
	if (conf_check(conf, provider_rows, &err) != ERR_NONE ||
	    state_open(state, &err) != ERR_NONE) {
		fprintf(stderr, "sim: %s: %s\n", err.subject, err.text);
		abort();
	}
}

static void make_world(struct scenario *scenario, const char *state)
{
	struct sim *sim = scenario->sim;
	bool rough = sim->seed % 4 != 0;
	bool reachable = rough && sim_below(sim, 3) == 0;

	calm_faults(sim);
	scenario->gentle = !rough;
	for (size_t i = 0; i < 2; i++) {
		make_zone(scenario, i, rough);
	}
	if (sim_below(sim, 3) == 0) {
		strlist_add(&sim->net->zone[0].aliases,
			    "_acme-challenge.b.zon0.test _acme-challenge.b.zon1.test");
	}
	if (rough) {
		draw_faults(sim);
	}
	if (rough && !reachable && sim_below(sim, 4) == 0) {
		sim_at(sim, NULL, (int64_t)sim_below(sim, 4000000), on_mute, NULL);
	}
	if (reachable) {
		/* A server whose answers are all lost counts as unreachable there, and rightly. */
		sim->faults.loss = 0;
		sim->faults.reset = 0;
	}
	configure(scenario, state, reachable);
	invariants_init(state, reachable);
}

/* ---- runs ---- */

static void on_done(void *arg, const struct err *err, const struct issue_result *result)
{
	struct run *run = arg;

	(void)result;
	run->dones++;
	run->failed = err != NULL;
	if (err) {
		run->err = *err;
	}
	run->state = RUN_DONE;
}

static void on_swept(void *arg, const struct err *err, size_t removed)
{
	(void)removed;
	on_done(arg, err, NULL);
}

static void start_issue(struct run *run)
{
	struct scenario *scenario = run->scenario;
	const struct conf_certificate *certificate =
		&scenario->conf->certificate[run->role->certificate];

	run->issuance = issuance_start(
		&(struct issue_args){
			.world = &run->process.world,
			.conf = scenario->conf,
			.account = &scenario->conf->account[0],
			.certificate = certificate,
			.key_type = KEY_P256,
			.lineage = certificate->name,
			.journal = run->journal,
			.dns = run->dns,
			.lineage_conf = "# simulated\n",
		},
		on_done, run);
}

static void start_probe(struct run *run)
{
	run->probe = probe_start(
		&(struct probe_args){
			.world = &run->process.world,
			.conf = run->scenario->conf,
			.name = "zon0.test",
			.journal = run->journal,
			.dns = run->dns,
		},
		on_done, run);
}

static void start_sweep(struct run *run)
{
	const struct conf *conf = run->scenario->conf;

	run->pool = provider_pool_new(&run->process.world, run->dns, conf);
	run->publisher = publisher_new(&(struct publisher_args){
		.world = &run->process.world,
		.journal = run->journal,
		.state = conf->state,
		.pool = run->pool,
	});
	sweep_start(run->publisher, on_swept, run);
}

static void (*const starts[])(struct run *run) = {
	[JOB_ISSUE] = start_issue,
	[JOB_PROBE] = start_probe,
	[JOB_SWEEP_ALL] = start_sweep,
};

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
	starts[run->role->job](run);
}

static void draw_trouble(struct run *run)
{
	static const int64_t jumps_s[] = { 200, -200, 86400, -86400 };
	struct scenario *scenario = run->scenario;
	struct sim *sim = scenario->sim;

	if (scenario->role[run->role_index].kills > 0) {
		scenario->role[run->role_index].kills--;
		run->kill_at = sim->seed % 4 == 0 ? 1 + (unsigned)(sim->seed / 4 % KILL_STEP_MAX)
						  : 1 + (unsigned)sim_below(sim, KILL_STEP_MAX);
	} else if (sim->seed % 4 != 0 && sim_below(sim, 8) == 0) {
		run->stop_at = 1 + (unsigned)sim_below(sim, KILL_STEP_MAX);
	}
	if (sim->seed % 4 != 0 && sim_below(sim, 8) == 0) {
		run->jump_at = 1 + (unsigned)sim_below(sim, KILL_STEP_MAX);
		run->jump_us = jumps_s[sim_below(sim, ARRAY_LEN(jumps_s))] * 1000000;
	}
}

static struct run *add_run(struct scenario *scenario, size_t role_index, int64_t delay_us)
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

static void release(struct run *run)
{
	probe_free(run->probe);
	publisher_free(run->publisher);
	provider_pool_free(run->pool);
}

static void finish(struct run *run)
{
	struct scenario *scenario = run->scenario;
	struct sim *sim = scenario->sim;

	sim_say(sim, "%s ends%s%s", run->name, run->failed ? ": " : "",
		run->failed ? run->err.text : "");
	issuance_free(run->issuance);
	release(run);
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
}

static void kill_run(struct run *run)
{
	struct scenario *scenario = run->scenario;
	struct sim *sim = scenario->sim;

	sim_say(sim, "%s is killed at its step %u", run->name, run->process.steps);
	run->process.dead = true;
	issuance_abandon(run->issuance);
	release(run);
	dns_client_free(run->dns);
	journal_abandon(run->journal);
	run->state = RUN_OVER;
	scenario->killed++;
	sim_process_clear(&run->process);
	invariants_covered(sim);
	add_run(scenario, run->role_index, (int64_t)sim_below(sim, 5000000));
}

static void stop_run(struct run *run)
{
	sim_say(run->scenario->sim, "%s is asked to stop", run->name);
	run->stop_at = UINT32_MAX; /* once; and a failure is then no wonder */
	if (run->issuance) {
		issuance_stop(run->issuance);
	} else if (run->probe) {
		probe_stop(run->probe);
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
		run->jump_at = 0;
	}
	if (run->kill_at && run->process.steps >= run->kill_at) {
		kill_run(run);
	} else if (run->stop_at && run->process.steps >= run->stop_at) {
		stop_run(run);
	}
}

/* ---- the whole ---- */

static bool all_over(const struct scenario *scenario)
{
	for (size_t i = 0; i < scenario->run_count; i++) {
		if (scenario->run[i].state != RUN_OVER) {
			return false;
		}
	}
	return true;
}

static void run_until_over(struct scenario *scenario)
{
	struct sim *sim = scenario->sim;
	unsigned steps = 0;

	while (!all_over(scenario)) {
		if (++steps > STEPS_MAX || sim->now_us > VIRTUAL_MAX_US || !sim_step(sim)) {
			sim_violated(sim, "once: after %u events and %lld s a process never ended",
				     steps, (long long)(sim->now_us / 1000000));
			return;
		}
		if (sim->zone_changed) {
			sim->zone_changed = false;
			invariants_covered(sim);
		}
		for (size_t i = 0; i < scenario->run_count; i++) {
			look_at(&scenario->run[i]);
		}
	}
}

static void draw_roles(struct scenario *scenario)
{
	struct sim *sim = scenario->sim;

	scenario->role[0] = (struct role){ JOB_ISSUE, 0, 0 };
	scenario->role_count = 1;
	if (sim->seed % 4 != 0) {
		scenario->role_count += sim_below(sim, ROLES_MAX);
	}
	for (size_t i = 1; i < scenario->role_count; i++) {
		static const struct role others[] = {
			{ JOB_ISSUE, 0, 0 },
			{ JOB_ISSUE, 1, 0 },
			{ JOB_PROBE, 0, 0 },
			{ JOB_SWEEP_ALL, 0, 0 },
		};

		scenario->role[i] = others[sim_below(sim, ARRAY_LEN(others))];
	}
	for (size_t i = 0; i < scenario->role_count; i++) {
		scenario->role[i].kills =
			sim->seed % 4 == 0 ? 1 : (unsigned)sim_below(sim, KILLS_MAX + 1);
		add_run(scenario, i, (int64_t)sim_below(sim, 2000000));
	}
}

/* Nothing goes wrong any more: what was begun is finished, what is left is swept. */
static void come_to_rest(struct scenario *scenario)
{
	struct sim *sim = scenario->sim;

	sim->calm = true;
	calm_faults(sim);
	for (size_t i = 0; i < sim->net->zone_count; i++) {
		for (size_t k = 0; k < sim->net->zone[i].server_count; k++) {
			sim->net->zone[i].server[k].mood = MOOD_WELL;
			sim->net->zone[i].server[k].mute_until_us = 0;
		}
	}
	for (size_t certificate = 0; certificate < 2; certificate++) {
		scenario->role[0] = (struct role){ JOB_ISSUE, certificate, 0 };
		add_run(scenario, 0, 0);
		run_until_over(scenario);
	}
	scenario->role[0] = (struct role){ JOB_SWEEP_ALL, 0, 0 };
	add_run(scenario, 0, 0);
	run_until_over(scenario);
	while (sim_step(sim)) {
	}
}

static void add_late_sibling(struct sim *sim, void *arg)
{
	(void)arg;
	net_add_sibling(sim, &sim->net->zone[0], "_acme-challenge.zon0.test", "a-late-sibling");
}

void scenario_run(uint64_t seed, const char *state, bool verbose, struct scenario_result *result)
{
	struct scenario *scenario = xcalloc(1, sizeof(*scenario));
	struct sim *sim = sim_new(seed);

	scenario->sim = sim;
	sim->verbose = verbose;
	sim->net = net_new();
	sim->ca = ca_new();
	make_world(scenario, state);
	sim_at(sim, NULL, (int64_t)sim_below(sim, 3000000), add_late_sibling, NULL);
	draw_roles(scenario);
	run_until_over(scenario);
	if (!sim->violation[0]) {
		come_to_rest(scenario);
		invariants_clean(sim);
		invariants_kept(sim);
	}
	*result = (struct scenario_result){ .issued = scenario->issued,
					    .failed = scenario->failed,
					    .killed = scenario->killed,
					    .virtual_us = sim->now_us };
	snprintf(result->violation, sizeof(result->violation), "%s", sim->violation);
	invariants_end();
	conf_free(scenario->conf);
	net_free(sim->net);
	ca_free(sim->ca);
	sim_free(sim);
	free(scenario);
}
