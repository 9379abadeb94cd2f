/*
 * scenario_broker: one daemon, a crowd of clients, other processes on its journal.
 *
 *   begin -> errands, kills, reloads, aliases that change, servers that die -> all errands over
 *         -> calm: what was let go of has left -> leases end: all has -> the daemon stops
 */
#include "dns01/broker.h"
#include "sim/crowd.h"
#include "sim/invariants.h"

#define STEPS_MAX 3000000
#define VIRTUAL_MAX_US ((int64_t)12 * 3600 * 1000000)
#define KILL_STEP_MAX 2000
#define MEMBERS_MAX 24
#define MANY 2000 /* clients that wait at once */
#define MANY_EACH 2000
#define MANY_COVERED_US 2000000
#define REST_US ((int64_t)180 * 1000000)
#define MUTE_LAST_US ((int64_t)20 * 1000000)
#define SWEPT_US ((int64_t)3700 * 1000000) /* within that time the daemon sweeps by itself */
#define ROLE_DAEMON 0

/* ---- the daemon ---- */

struct daemon {
	struct run *run;
	struct broker *broker;
	struct clients *clients;
};

static struct crowd *crowd_of(const struct run *run)
{
	return run->scenario->sim->house;
}

static void must(enum err_code code, const struct err *err)
{
	if (code != ERR_NONE) {
		fprintf(stderr, "sim: %s: %s\n", err->subject, err->text);
		abort();
	}
}

static struct conf *read_conf(const struct crowd *crowd, unsigned edition)
{
	char *text = book_text(crowd, edition);
	struct conf *conf = NULL;
	struct err err;

	must(conf_parse(text, "sim.conf", provider_rows, &conf, &err), &err);
	free(text);
	return conf;
}

static void start_daemon(struct run *run)
{
	struct crowd *crowd = crowd_of(run);
	struct daemon *daemon = xcalloc(1, sizeof(*daemon));
	struct err err;

	daemon->run = run;
	run->work = daemon;
	must(broker_new(&(struct broker_args){ .world = &run->process.world,
					       .dns = run->dns,
					       .state = crowd->state,
					       .conf = read_conf(crowd, crowd->edition) },
			&daemon->broker, &err),
	     &err);
	must(clients_open(crowd->state, &daemon->clients, &err), &err);
	must(broker_start(daemon->broker, run->journal, daemon->clients, &err), &err);
}

static void on_stopped(void *arg)
{
	run_done(arg, NULL);
}

static void stop_daemon(struct run *run)
{
	struct daemon *daemon = run->work;

	broker_stop(daemon->broker, on_stopped, run);
}

static void end_daemon(struct run *run, bool dead)
{
	struct daemon *daemon = run->work;

	(void)dead;
	broker_free(daemon->broker);
	clients_close(daemon->clients);
	free(daemon);
	run->work = NULL;
	/* What was leaving and is not gone has its lease yet. */
	promise_killed(crowd_of(run));
}

static const struct job daemon_job = {
	.start = start_daemon, .stop = stop_daemon, .end = end_daemon, .keeps_on = true
};

static struct run *living_daemon(struct scenario *scenario)
{
	for (size_t i = 0; i < scenario->run_count; i++) {
		struct run *run = &scenario->run[i];

		if (run->role == &scenario->role[ROLE_DAEMON] && run->state == RUN_GOING) {
			return run;
		}
	}
	return NULL;
}

/* ---- another program's hook ---- */

struct hook {
	struct run *run;
	struct conf *conf;
	struct provider_pool *pool;
	struct router *router;
	struct publisher *publisher;
	struct hold *hold;
	struct ask *ask;
	struct world_timer *timer;
	struct journal_call *call;
};

#define HOOK_REQUESTER "hook simulated"

static void on_hook_swept(void *arg, const struct err *err, size_t removed)
{
	struct hook *hook = arg;

	(void)removed;
	run_done(hook->run, err);
}

static void on_hook_revoked(void *arg, const struct err *err, const struct journal_row *rows,
			    size_t count)
{
	struct hook *hook = arg;

	(void)rows;
	(void)count;
	hook->call = NULL;
	if (!err) {
		ask_released(hook->ask);
	}
	sweep_start(hook->publisher, on_hook_swept, hook);
}

static void on_hook_over(void *arg)
{
	struct hook *hook = arg;
	struct journal_match match = { .value = hook->ask->value, .requester = HOOK_REQUESTER };

	hook->timer = NULL;
	asks_disturb(crowd_of(hook->run), NULL, NULL, hook->ask->value);
	hook->call = journal_revoke_start(hook->run->journal, &match, on_hook_revoked, hook);
}

static void on_hook_held(void *arg, const struct err *err)
{
	struct hook *hook = arg;
	struct sim *sim = hook->run->scenario->sim;

	if (!err) {
		ask_visible(crowd_of(hook->run), hook->ask, NULL);
	}
	hook->timer = world_timer_start(&hook->run->process.world,
					(int64_t)sim_below(sim, 30000000), on_hook_over, hook);
}

/* As dns01 hook hands names on: in lower case, without "*.". */
static bool is_plain(const char *name)
{
	return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.")] == '\0';
}

/* Sometimes for the very value that a client of the broker holds. */
static void choose(struct hook *hook, char name[WIRE_TEXT_MAX], char value[2 * VALUE_LEN])
{
	struct crowd *crowd = crowd_of(hook->run);
	const struct ask *ask = crowd->asks;

	if (ask && strlen(ask->value) == VALUE_LEN && ask->member && is_plain(ask->name) &&
	    net_zone_of(crowd->sim->net, ask->name) && sim_below(crowd->sim, 3) == 0) {
		snprintf(name, WIRE_TEXT_MAX, "%s", ask->name);
		snprintf(value, 2 * VALUE_LEN, "%s", ask->value);
		return;
	}
	book_pick_name(crowd, crowd_pick(crowd, NULL), name);
	value_new(crowd->sim, value);
}

static void start_hook(struct run *run)
{
	struct crowd *crowd = crowd_of(run);
	struct hook *hook = xcalloc(1, sizeof(*hook));
	struct world *world = &run->process.world;
	char name[WIRE_TEXT_MAX], value[2 * VALUE_LEN];

	hook->run = run;
	run->work = hook;
	hook->conf = read_conf(crowd, crowd->edition);
	hook->pool = provider_pool_new(world, run->dns, hook->conf);
	hook->router = router_new(&(struct router_args){
		.world = world, .dns = run->dns, .conf = hook->conf, .pool = hook->pool });
	hook->publisher = publisher_new(&(struct publisher_args){ .world = world,
								  .journal = run->journal,
								  .state = crowd->state,
								  .pool = hook->pool });
	choose(hook, name, value);
	hook->ask = ask_new(crowd, NULL, name, value);
	ask_sent(crowd, hook->ask);
	hook->ask->in_flight = false;
	hook->hold = hold_start(
		&(struct hold_args){
			.world = world,
			.dns = run->dns,
			.router = hook->router,
			.publisher = hook->publisher,
			.items = &(struct hold_item){ .name = name, .value = value },
			.count = 1,
			.lease = { LEASE_TIMED, 3600, HOOK_REQUESTER },
			.watch = true,
		},
		on_hook_held, hook);
}

static void end_hook(struct run *run, bool dead)
{
	struct hook *hook = run->work;

	(void)dead;
	world_timer_cancel(&run->process.world, hook->timer);
	journal_call_cancel(hook->call);
	hold_free(hook->hold);
	publisher_free(hook->publisher);
	router_free(hook->router);
	provider_pool_free(hook->pool);
	conf_free(hook->conf);
	free(hook);
	run->work = NULL;
}

static const struct job hook_job = { .start = start_hook, .end = end_hook };

/* ---- what happens around them ---- */

typedef void happen(struct scenario *scenario);

struct happening {
	struct scenario *scenario;
	happen *what;
};

static void on_happen(struct sim *sim, void *arg)
{
	struct happening *happening = arg;

	if (!sim->calm) {
		happening->what(happening->scenario);
	}
}

static void at_some_time(struct scenario *scenario, happen *what, int64_t within_us)
{
	struct happening *happening = xcalloc(1, sizeof(*happening));

	*happening = (struct happening){ scenario, what };
	sim_at(scenario->sim, NULL, (int64_t)sim_below(scenario->sim, (uint64_t)within_us),
	       on_happen, happening);
}

static void reload(struct scenario *scenario)
{
	struct crowd *crowd = scenario->sim->house;
	struct run *run = living_daemon(scenario);
	struct err err;

	if (crowd->edition + 1 == EDITIONS) {
		return;
	}
	sim_say(scenario->sim, "the configuration is another one");
	crowd->edition++;
	crowd->edition_us = scenario->sim->now_us;
	if (run && run->dones == 0) {
		must(broker_reload(((struct daemon *)run->work)->broker,
				   read_conf(crowd, crowd->edition), &err),
		     &err);
	}
}

static struct net_server *some_server(struct scenario *scenario, size_t first)
{
	struct net *net = scenario->sim->net;
	struct net_zone *zone = &net->zone[sim_below(scenario->sim, net->zone_count)];

	return &zone->server[first + sim_below(scenario->sim, zone->server_count - first)];
}

static void mute(struct scenario *scenario)
{
	struct sim *sim = scenario->sim;
	struct net_server *server = some_server(scenario, 0);

	server->was_unwell = true;
	server->mute_until_us = sim->now_us + 1000000 + (int64_t)sim_below(sim, 100000000);
	sim_say(sim, "%s grows mute", server->name);
}

static void heal(struct scenario *scenario)
{
	heal_servers(scenario->sim);
}

static void die(struct scenario *scenario)
{
	struct sim *sim = scenario->sim;
	struct net_server *server = some_server(scenario, 1);

	server->was_unwell = true;
	server->mood = (enum net_mood)(MOOD_SILENT + sim_below(sim, MOOD_LAME));
	sim_say(sim, "%s is not well", server->name);
	at_some_time(scenario, heal, 60000000);
}

/* Where the challenge name of some member's name leads from now on: to his own target, or
 * (whoever may write the CNAME does as he likes) to what belongs to another. */
static void turn_alias(struct scenario *scenario)
{
	struct sim *sim = scenario->sim;
	struct crowd *crowd = sim->house;
	struct member *member = crowd_pick(crowd, NULL), *other = crowd_pick(crowd, member);
	char name[WIRE_TEXT_MAX], others[WIRE_TEXT_MAX], owner[2 * WIRE_TEXT_MAX];
	struct net_zone *zone;

	book_pick_name(crowd, member, name);
	book_pick_name(crowd, other, others);
	snprintf(owner, sizeof(owner), "_acme-challenge.%s", name);
	zone = net_zone_of(sim->net, name);
	net_drop_alias(zone, owner);
	/* Beside other data there is no alias. */
	if (!net_has_texts(&zone->server[0], owner) && sim_below(sim, 4) != 0) {
		static const char *const forms[][2] = { { "", "." TARGET_SUFFIX },
							{ "_acme-challenge.", "" },
							{ "", "" } };
		size_t form = sim_below(sim, ARRAY_LEN(forms));
		const char *target = sim_below(sim, 2) ? name : others;

		if (form == 2 && member->grant[0].targets.count > 0) {
			target = member->grant[0].targets.item[0];
		}
		strlist_addf(&zone->aliases, "%s %s%.150s%s", owner, forms[form][0], target,
			     forms[form][1]);
	}
	sim_say(sim, "%s is an alias of %s", owner, net_follow(sim->net, owner));
}

static void replay(struct scenario *scenario)
{
	crowd_replay(scenario->sim->house);
}

static void start_hook_run(struct scenario *scenario)
{
	add_run(scenario, 1, 0);
}

static void kill_daemon(struct scenario *scenario)
{
	struct run *run = living_daemon(scenario);

	if (run) {
		kill_run(run);
	}
}

/* ---- the crowd ---- */

struct member *crowd_pick(struct crowd *crowd, const struct member *but)
{
	struct member *member = &crowd->member[sim_below(crowd->sim, crowd->count)];

	return member == but ? &crowd->member[(member->index + 1) % crowd->count] : member;
}

static void make_member(struct crowd *crowd, size_t i, bool many)
{
	struct member *member = &crowd->member[i];
	uint8_t draw[24];
	char hex[2 * sizeof(draw) + 1], address[ADDR_TEXT_MAX];

	member->crowd = crowd;
	member->index = i;
	member->by_key = !many && i % 3 == 2;
	member->stored = !many && i % 5 == 3;
	member->reads = !many && i == 7;
	member->lease_s = 60 * (1 + (int64_t)sim_below(crowd->sim, 30));
	member->wait_s = many ? 1200 : 5 + (int64_t)sim_below(crowd->sim, i % 2 ? 200 : 10);
	snprintf(member->name, sizeof(member->name), "c%zu", i);
	snprintf(member->key, sizeof(member->key), "c%zu.key", i);
	sim_random(crowd->sim, draw, sizeof(draw));
	hex_encode(hex, sizeof(hex), draw, sizeof(draw));
	snprintf(member->token, sizeof(member->token), "dns01_%.16s_%.32s", hex, hex + 16);
	sim_random(crowd->sim, member->secret, sizeof(member->secret));
	snprintf(address, sizeof(address), "10.8.%zu.%zu", i / 250, i % 250 + 1);
	if (!addr_parse(address, 53, &member->addr)) {
		abort();
	}
}

struct crowd *crowd_new(struct scenario *scenario, const char *state, size_t count)
{
	struct crowd *crowd = xcalloc(1, sizeof(*crowd));

	crowd->scenario = scenario;
	crowd->sim = scenario->sim;
	crowd->state = xstrdup(state);
	crowd->count = count;
	crowd->member = xcalloc(count, sizeof(*crowd->member));
	for (size_t i = 0; i < count; i++) {
		make_member(crowd, i, count >= MANY);
	}
	book_grant(crowd);
	return crowd;
}

void crowd_free(struct crowd *crowd)
{
	while (crowd->errands) {
		struct errand *errand = crowd->errands;

		crowd->errands = errand->next;
		errand_free(errand);
	}
	while (crowd->asks) {
		struct ask *ask = crowd->asks;

		crowd->asks = ask->next;
		free(ask);
	}
	for (size_t i = 0; i < crowd->count; i++) {
		for (size_t k = 0; k < EDITIONS; k++) {
			struct grant *grant = &crowd->member[i].grant[k];

			strlist_clear(&grant->names);
			strlist_clear(&grant->under);
			strlist_clear(&grant->except);
			strlist_clear(&grant->targets);
		}
	}
	free(crowd->member);
	free(crowd->state);
	free(crowd);
}

static enum errand_kind some_kind(struct crowd *crowd, const struct member *member)
{
	if (member->by_key) {
		return sim_below(crowd->sim, 2) ? ERRAND_UPDATE_TCP : ERRAND_UPDATE_UDP;
	}
	return (enum errand_kind)sim_below(crowd->sim, ERRAND_UPDATE_TCP);
}

static void draw_manners(struct errand *errand, bool rough)
{
	struct sim *sim = errand->crowd->sim;

	errand->keeps = sim_below(sim, 6) == 0;
	errand->repeats = sim_below(sim, 6) == 0;
	errand->by_id = sim_below(sim, 2);
	errand->steals = sim_below(sim, 4) == 0 || errand->member->reads;
	errand->impostor = sim_below(sim, 20) == 0;
	errand->greedy = rough && sim_below(sim, 4) == 0;
	errand->leaves = rough && !errand->member->by_key && sim_below(sim, 4) == 0;
}

static void add_errands(struct crowd *crowd)
{
	struct sim *sim = crowd->sim;
	size_t count = crowd->count * (1 + sim_below(sim, 4));
	uint64_t within_us = 1 + sim_below(sim, 120000000);

	for (size_t i = 0; i < count; i++) {
		struct member *member = crowd_pick(crowd, NULL);
		struct errand *errand = errand_add(crowd, member, some_kind(crowd, member),
						   (int64_t)sim_below(sim, within_us));

		errand->port = (uint16_t)(10000 + i);
		draw_manners(errand, crowd->scenario->rough);
	}
}

static void add_many_errands(struct crowd *crowd)
{
	for (size_t i = 0; i < crowd->count; i++) {
		errand_add(crowd, &crowd->member[i], ERRAND_API,
			   (int64_t)sim_below(crowd->sim, 1000000));
	}
}

/* ---- the world ---- */

static void make_zone(struct scenario *scenario, size_t i)
{
	struct sim *sim = scenario->sim;
	char name[16], owner[40];
	struct net_zone *zone;
	size_t others = 1 + sim_below(sim, NET_SERVERS_MAX - 1);

	snprintf(name, sizeof(name), "zon%zu.test", i);
	zone = net_add_zone(sim, name);
	for (size_t k = 0; k < others; k++) {
		net_add_server(zone, true);
	}
	zone->server[0].listed = sim_below(sim, 3) > 0;
	snprintf(owner, sizeof(owner), "_acme-challenge.h%zu.%s", i, name);
	net_add_sibling(sim, zone, owner, "somebody-else");
}

static void add_happenings(struct scenario *scenario, int64_t within_us)
{
	static const struct {
		happen *what;
		unsigned most;
	} happenings[] = {
		{ reload, 2 },      { mute, 3 },    { die, 3 },
		{ turn_alias, 12 }, { replay, 20 }, { start_hook_run, 3 },
	};

	for (size_t i = 0; i < ARRAY_LEN(happenings); i++) {
		for (unsigned n = some(scenario->sim, happenings[i].most); n > 0; n--) {
			at_some_time(scenario, happenings[i].what, within_us);
		}
	}
}

static void write_zone_keys(struct crowd *crowd)
{
	const struct net *net = crowd->sim->net;

	for (size_t i = 0; i < net->zone_count; i++) {
		char *path = xasprintf("%s/%s.key", crowd->state, net->zone[i].name);

		write_key(path, NET_KEY, net->zone[i].secret);
		free(path);
	}
}

static void make_world(struct scenario *scenario, const char *state, bool many)
{
	struct sim *sim = scenario->sim;
	struct crowd *crowd;
	struct err err;

	calm_faults(sim);
	sim->faults.turn_us = 500;
	for (size_t i = 0; i < 2; i++) {
		make_zone(scenario, i);
	}
	must(state_open(state, &err), &err);
	crowd = crowd_new(scenario, state, many ? MANY : 3 + sim_below(sim, MEMBERS_MAX - 2));
	sim->house = crowd;
	sim->text_changed = promise_text_changed;
	sim->outside_heard = errand_dns_heard;
	if (scenario->rough) {
		draw_faults(sim);
		sim->faults.turn_us = (int64_t)sim_below(sim, 20000);
		crowd->reachable = sim_below(sim, 3) == 0;
		add_happenings(scenario, 200000000);
	}
	if (crowd->reachable) {
		/* A server whose answers are all lost counts as unreachable there, and rightly. */
		sim->faults.loss = 0;
		sim->faults.reset = 0;
	}
	if (many) {
		sim->net->zone[0].server[1].lag_us = 40000000;
		at_some_time(scenario, kill_daemon, 60000000);
		add_many_errands(crowd);
	} else {
		add_errands(crowd);
	}
	write_zone_keys(crowd);
	book_store(crowd);
	invariants_init(state, crowd->reachable);
}

/* ---- the whole ---- */

static void run_while(struct scenario *scenario, bool (*goes_on)(const struct scenario *scenario))
{
	struct sim *sim = scenario->sim;
	const struct crowd *crowd = sim->house;
	unsigned steps = 0;

	while (goes_on(scenario) && !sim->violation[0]) {
		if (++steps > STEPS_MAX || sim->now_us > VIRTUAL_MAX_US || !sim_step(sim)) {
			sim_violated(sim,
				     "once: after %u events and %lld s %zu errands are not over",
				     steps, (long long)(sim->now_us / 1000000),
				     crowd->errands_left);
			return;
		}
		look_at_runs(scenario);
	}
}

static bool others_go_on(const struct scenario *scenario)
{
	for (size_t i = 0; i < scenario->run_count; i++) {
		if (!scenario->run[i].role->job->keeps_on && scenario->run[i].state != RUN_OVER) {
			return true;
		}
	}
	return false;
}

static bool errands_go_on(const struct scenario *scenario)
{
	const struct crowd *crowd = scenario->sim->house;

	return crowd->errands_left > 0 || others_go_on(scenario);
}

static bool runs_go_on(const struct scenario *scenario)
{
	return !runs_over(scenario);
}

static bool until_rested(const struct scenario *scenario)
{
	return scenario->sim->now_us < scenario->rest_until_us;
}

static int64_t last_lease_us(const struct crowd *crowd)
{
	int64_t last_us = crowd->sim->now_us;

	for (const struct ask *ask = crowd->asks; ask; ask = ask->next) {
		last_us = ask->until_us > last_us ? ask->until_us : last_us;
	}
	return last_us;
}

/* The primaries hear and say nothing while the last ones let go: it is to be tried again. */
static void say_farewell(struct crowd *crowd)
{
	struct sim *sim = crowd->sim;

	for (size_t i = 0; i < sim->net->zone_count; i++) {
		sim->net->zone[i].server[0].mute_until_us = sim->now_us + MUTE_LAST_US;
		sim->net->zone[i].server[0].mood = MOOD_SILENT;
	}
	for (struct ask *ask = crowd->asks; ask; ask = ask->next) {
		if (ask->member && ask->state == ASK_HELD && sim_below(sim, 4) == 0) {
			errand_farewell(crowd, ask);
		}
	}
	crowd->scenario->rest_until_us = sim->now_us + MUTE_LAST_US;
	run_while(crowd->scenario, until_rested);
	heal_servers(sim);
}

/* Nothing goes wrong any more. A daemon whose clock is wrong is started anew. */
static void come_to_rest(struct scenario *scenario)
{
	struct sim *sim = scenario->sim;
	struct run *run = living_daemon(scenario);

	sim->calm = true;
	calm_faults(sim);
	heal_servers(sim);
	for (size_t i = 0; i < scenario->run_count; i++) {
		if (scenario->run[i].state <= RUN_GOING) { /* the next daemon may not have begun */
			scenario->run[i].kill_at = scenario->run[i].stop_at = 0;
			scenario->run[i].jump_at = 0;
		}
	}
	if (scenario->jumped && run) {
		run->kill_at = 1;
	} else if (!run && runs_over(scenario)) {
		add_run(scenario, ROLE_DAEMON, 0);
	}
	if (scenario->rough) {
		say_farewell(sim->house);
	}
	scenario->rest_until_us = sim->now_us + REST_US;
	run_while(scenario, until_rested);
	promise_left(sim->house);
	scenario->rest_until_us = last_lease_us(sim->house) + REST_US;
	run_while(scenario, until_rested);
	if (!scenario->jumped) { /* leases by clocks that were wrong end at other times */
		promise_left(sim->house);
	}
	scenario->rest_until_us = sim->now_us + SWEPT_US;
	run_while(scenario, until_rested);
	invariants_clean(sim);
	run = living_daemon(scenario);
	if (run) {
		stop_run(run);
	}
	run_while(scenario, runs_go_on);
}

void scenario_broker_run(uint64_t seed, const char *state, bool verbose,
			 struct scenario_result *result)
{
	struct scenario *scenario = xcalloc(1, sizeof(*scenario));
	struct sim *sim = sim_new(seed);
	uint64_t number = seed / SCENARIO_BROKER_EACH;
	bool many = seed % MANY_EACH == 2;

	scenario->sim = sim;
	scenario->rough = number % 4 != 0 && !many;
	scenario->gentle = !scenario->rough;
	scenario->kill_at =
		scenario->rough || many ? 0 : 1 + (unsigned)(number * 13 % KILL_STEP_MAX);
	scenario->kill_max = KILL_STEP_MAX;
	scenario->covered_each_us = many ? MANY_COVERED_US : 0;
	sim->verbose = verbose;
	sim->net = net_new();
	make_world(scenario, state, many);
	scenario->conf = read_conf(sim->house, 0);
	scenario->role[ROLE_DAEMON] =
		(struct role){ &daemon_job, 0,
			       many ? 0 : 1 + (scenario->rough ? (unsigned)sim_below(sim, 3) : 0) };
	scenario->role[1] = (struct role){ &hook_job, 0, (unsigned)sim_below(sim, 2) };
	scenario->role_count = 2;
	add_run(scenario, ROLE_DAEMON, 0);
	run_while(scenario, errands_go_on);
	if (!sim->violation[0]) {
		come_to_rest(scenario);
	}
	*result = (struct scenario_result){ .issued = scenario->issued,
					    .failed = scenario->failed,
					    .killed = scenario->killed,
					    .virtual_us = sim->now_us };
	snprintf(result->violation, sizeof(result->violation), "%s", sim->violation);
	invariants_end();
	conf_free(scenario->conf);
	crowd_free(sim->house);
	net_free(sim->net);
	sim_free(sim);
	free(scenario);
}
