#include "sim/scenario.h"

#include "dns01/issue.h"
#include "sim/ca.h"
#include "sim/invariants.h"
#include "sim/net.h"
#include "sim/run.h"

#define PROCESSES_MAX 3
#define STEPS_MAX 200000
#define VIRTUAL_MAX_US ((int64_t)6 * 3600 * 1000000)
#define KILL_STEP_MAX 400 /* a calm issuance has about 200 */

/* What one run works with; some of it is NULL. */
struct work {
	struct issuance *issuance;
	struct probe *probe;
	struct provider_pool *pool;
	struct publisher *publisher;
};

/* ---- what there is ---- */

static void configure_zone(struct scenario *scenario, const struct net_zone *zone, bool reachable)
{
	struct conf *conf = scenario->conf;
	char *key = xasprintf("%s/%s.key", conf->state, zone->name);
	char server[ADDR_TEXT_MAX];
	struct conf_provider *provider = conf_add_provider(conf, zone->name, "rfc2136");
	struct conf_zone *settings;

	write_key(key, NET_KEY, zone->secret);
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
	bool rough = scenario->rough;
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

/* ---- runs ---- */

static void on_done(void *arg, const struct err *err, const struct issue_result *result)
{
	(void)result;
	run_done(arg, err);
}

static void on_swept(void *arg, const struct err *err, size_t removed)
{
	(void)removed;
	run_done(arg, err);
}

static struct work *work_new(struct run *run)
{
	run->work = xcalloc(1, sizeof(struct work));
	return run->work;
}

static void start_issue(struct run *run)
{
	struct scenario *scenario = run->scenario;
	const struct conf_certificate *certificate =
		&scenario->conf->certificate[run->role->certificate];

	work_new(run)->issuance = issuance_start(
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
	work_new(run)->probe = probe_start(
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
	struct work *work = work_new(run);

	work->pool = provider_pool_new(&run->process.world, run->dns, conf);
	work->publisher = publisher_new(&(struct publisher_args){
		.world = &run->process.world,
		.journal = run->journal,
		.state = conf->state,
		.pool = work->pool,
	});
	sweep_start(work->publisher, on_swept, run);
}

static void stop(struct run *run)
{
	struct work *work = run->work;

	if (work->issuance) {
		issuance_stop(work->issuance);
	} else if (work->probe) {
		probe_stop(work->probe);
	}
}

static void end(struct run *run, bool dead)
{
	struct work *work = run->work;

	if (!work) {
		return; /* the journal could not be opened */
	}
	if (dead) {
		issuance_abandon(work->issuance);
	} else {
		issuance_free(work->issuance);
	}
	probe_free(work->probe);
	publisher_free(work->publisher);
	provider_pool_free(work->pool);
	free(work);
	run->work = NULL;
}

static const struct job issue = { .start = start_issue, .stop = stop, .end = end };
static const struct job probe = { .start = start_probe, .stop = stop, .end = end };
static const struct job sweep = { .start = start_sweep, .stop = stop, .end = end };
const struct job *const job_sweep = &sweep;

/* ---- the whole ---- */

static void run_until_over(struct scenario *scenario)
{
	struct sim *sim = scenario->sim;
	unsigned steps = 0;

	while (!runs_over(scenario)) {
		if (++steps > STEPS_MAX || sim->now_us > VIRTUAL_MAX_US || !sim_step(sim)) {
			sim_violated(sim, "once: after %u events and %lld s a process never ended",
				     steps, (long long)(sim->now_us / 1000000));
			return;
		}
		look_at_runs(scenario);
	}
}

static void draw_roles(struct scenario *scenario)
{
	struct sim *sim = scenario->sim;

	scenario->role[0] = (struct role){ &issue, 0, 0 };
	scenario->role_count = 1;
	if (scenario->rough) {
		scenario->role_count += sim_below(sim, PROCESSES_MAX);
	}
	for (size_t i = 1; i < scenario->role_count; i++) {
		static const struct role others[] = {
			{ &issue, 0, 0 },
			{ &issue, 1, 0 },
			{ &probe, 0, 0 },
			{ &sweep, 0, 0 },
		};

		scenario->role[i] = others[sim_below(sim, ARRAY_LEN(others))];
	}
	for (size_t i = 0; i < scenario->role_count; i++) {
		scenario->role[i].kills =
			!scenario->rough ? 1 : (unsigned)sim_below(sim, KILLS_MAX + 1);
		add_run(scenario, i, (int64_t)sim_below(sim, 2000000));
	}
}

/* Nothing goes wrong any more: what was begun is finished, what is left is swept. */
static void come_to_rest(struct scenario *scenario)
{
	struct sim *sim = scenario->sim;

	sim->calm = true;
	calm_faults(sim);
	heal_servers(sim);
	for (size_t certificate = 0; certificate < 2; certificate++) {
		scenario->role[0] = (struct role){ &issue, certificate, 0 };
		add_run(scenario, 0, 0);
		run_until_over(scenario);
	}
	scenario->role[0] = (struct role){ &sweep, 0, 0 };
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
	scenario->rough = seed % 4 != 0;
	scenario->kill_at = scenario->rough ? 0 : 1 + (unsigned)(seed / 4 % KILL_STEP_MAX);
	scenario->kill_max = KILL_STEP_MAX;
	sim->verbose = verbose;
	sim->net = net_new();
	sim->ca = ca_new(CA_URL, NULL);
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
