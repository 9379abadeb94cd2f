/*
 * The bed of deployment's tests: the store's, with certificates of a small CA in it, children
 * that end as their name says, and what they were given.
 */
#ifndef DNS01_TEST_DEPLOY_BED_H
#define DNS01_TEST_DEPLOY_BED_H

#include "crypto/certs.h"
#include "dns01/issue.h"
#include "store/bed.h"

#define RUNS_MAX 128

/* A key and its chain. */
struct pair {
	struct key *key;
	struct chain *chain;
};

/* serial: hex; names: one or two. */
static inline struct pair pair_new(const char *serial, const char *name)
{
	struct pair pair = { .key = make_key(KEY_P256) };
	EVP_PKEY *leaf = openssl_key(pair.key),
		 *root = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	char *leaf_pem = cert_pem(make_cert(&(struct cert_args){
		.key = leaf,
		.signer = root,
		.issuer = "Root",
		.names = { name },
		.serial = serial,
	}));
	char *root_pem = cert_pem(make_cert(&(struct cert_args){
		.key = root, .signer = root, .subject = "Root", .issuer = "Root" }));
	char *all = xasprintf("%s%s", leaf_pem, root_pem);

	assert_int_equal(chain_parse(all, strlen(all), &pair.chain, NULL), ERR_NONE);
	free(all);
	free(leaf_pem);
	free(root_pem);
	EVP_PKEY_free(leaf);
	EVP_PKEY_free(root);
	return pair;
}

static inline void pair_drop(struct pair *pair)
{
	key_free(pair->key);
	chain_free(pair->chain);
	*pair = (struct pair){ 0 };
}

/* What a child was started with. */
struct run {
	char *argv;  /* blanks between */
	char *env;   /* newlines between */
	char *input; /* NULL: none */
};

struct world_child {
	struct house *house;
	struct world_timer *timer;
	world_spawn_done *done;
	void *arg;
	int status;
};

struct house {
	struct bed bed; /* first: the world's own */
	struct world_ops ops;
	struct run run[RUNS_MAX];
	size_t runs;
	const char *broken; /* a program of this name fails */
	bool hangs;         /* children do not end by themselves */
	struct world_child *child;
	struct conf *conf;
	struct renewals *renewals;
	/* of the last run */
	bool done;
	struct err err;
	struct buf events;
};

static inline void child_ends(void *arg)
{
	struct world_child *child = arg;
	struct spawn_result result = { .exit_status = child->status, .output = "said\n" };

	result.output_len = strlen(result.output);
	child->house->child = NULL;
	child->done(child->arg, NULL, &result);
	free(child);
}

static inline struct world_child *house_spawn(struct world *world,
					      const struct spawn_request *request,
					      world_spawn_done *done, void *arg)
{
	struct house *house = (struct house *)world;
	struct world_child *child = xcalloc(1, sizeof(*child));
	struct buf argv = BUF_INIT(65536), env = BUF_INIT(2 * 128 * 1024);

	assert_true(house->runs < RUNS_MAX);
	assert_null(house->child); /* one after another */
	for (size_t i = 0; request->argv[i]; i++) {
		buf_addf(&argv, "%s%s", i > 0 ? " " : "", request->argv[i]);
	}
	for (size_t i = 0; request->environment[i]; i++) {
		buf_addf(&env, "%s\n", request->environment[i]);
	}
	house->run[house->runs++] = (struct run){
		.argv = buf_detach(&argv),
		.env = buf_detach(&env),
		.input = request->input ? xstrndup(request->input, request->input_len) : NULL,
	};
	*child = (struct world_child){
		.house = house,
		.done = done,
		.arg = arg,
		.status = house->broken && strcmp(request->argv[0], house->broken) == 0 ? 3 : 0,
	};
	if (!house->hangs) {
		child->timer = world_timer_start(world, 1000, child_ends, child);
	}
	house->child = child;
	return child;
}

static inline void house_spawn_cancel(struct world_child *child)
{
	child->house->child = NULL;
	world_timer_cancel(&child->house->bed.world, child->timer);
	free(child);
}

static inline void forget_runs(struct house *house)
{
	for (size_t i = 0; i < house->runs; i++) {
		free(house->run[i].argv);
		free(house->run[i].env);
		free(house->run[i].input);
	}
	house->runs = 0;
}

/* The argv of all, "; " between; then they are forgotten. */
static inline void runs_are(struct house *house, const char *expected)
{
	struct buf all = BUF_INIT(65536);

	for (size_t i = 0; i < house->runs; i++) {
		buf_addf(&all, "%s%s", i > 0 ? "; " : "", house->run[i].argv);
	}
	assert_string_equal(buf_str(&all), expected);
	buf_clear(&all);
	forget_runs(house);
}

static inline void has_env(const struct run *run, const char *line)
{
	char *wanted = xasprintf("%s\n", line);

	if (!strstr(run->env, wanted)) {
		fail_msg("%s is not in:\n%s", line, run->env);
	}
	free(wanted);
}

static inline int house_setup(void **state)
{
	struct house *house = xcalloc(1, sizeof(*house));
	void *bed = NULL;

	assert_int_equal(bed_setup(&bed), 0);
	house->bed = *(struct bed *)bed;
	free(bed);
	house->ops = *house->bed.world.ops;
	house->ops.spawn_start = house_spawn;
	house->ops.spawn_cancel = house_spawn_cancel;
	house->bed.world.ops = &house->ops;
	house->conf = conf_new();
	house->conf->state = xstrdup(house->bed.state);
	buf_init(&house->events, 65536);
	assert_int_equal(state_open(house->bed.state, NULL), ERR_NONE);
	assert_int_equal(renewals_open(house->bed.state, &house->renewals, NULL), ERR_NONE);
	*state = house;
	return 0;
}

static inline int house_teardown(void **state)
{
	struct house *house = *state;

	renewals_close(house->renewals);
	conf_free(house->conf);
	forget_runs(house);
	buf_clear(&house->events);
	assert_null(house->child);
	return bed_teardown(state); /* the bed is its first member */
}

#define HOUSE(name) cmocka_unit_test_setup_teardown(name, house_setup, house_teardown)

static inline struct conf_certificate *add_certificate(struct house *house, const char *name)
{
	struct conf_certificate *certificate = conf_add_certificate(house->conf, name);

	strlist_addf(&certificate->names, "%s.example", name);
	return certificate;
}

static inline void add_command(struct conf_certificate *certificate, const char *program,
			       const char *argument)
{
	struct commands *commands = &certificate->deploy;

	commands->item =
		xreallocarray(commands->item, commands->count + 1, sizeof(*commands->item));
	commands->item[commands->count] = (struct command){ 0 };
	strlist_add(&commands->item[commands->count].argv, program);
	if (argument) {
		strlist_add(&commands->item[commands->count].argv, argument);
	}
	commands->count++;
}

/* path is relative to the bed's folder. */
static inline void add_export(struct house *house, struct conf_certificate *certificate,
			      const char *layout, const char *path)
{
	struct conf_export *export;

	certificate->export = xreallocarray(certificate->export, certificate->export_count + 1,
					    sizeof(*certificate->export));
	export = &certificate->export[certificate->export_count++];
	*export = (struct conf_export){
		.layout = xstrdup(layout),
		.path = bed_path(&house->bed, path),
		.mode = xstrdup("0600"),
	};
}

/* A new version of the lineage. */
static inline void issue(struct house *house, const char *lineage, const char *serial)
{
	char *name = xasprintf("%s.example", lineage), *current = NULL;
	struct pair pair = pair_new(serial, name);
	struct lineage *opened = NULL;
	struct lineage_set set = { .key = pair.key, .chain = pair.chain, .conf = "" };

	assert_int_equal(lineage_open(house->bed.state, lineage, &opened, NULL), ERR_NONE);
	assert_int_equal(lineage_store(opened, &set, &current, NULL), ERR_NONE);
	lineage_free(opened);
	pair_drop(&pair);
	free(current);
	free(name);
}

/* ---- runs ------------------------------------------------------------------------------- */

static inline void on_deployed(void *arg, const struct err *err)
{
	struct house *house = arg;

	assert_false(house->done);
	house->done = true;
	house->err = err ? *err : (struct err){ 0 };
}

static inline void on_event(void *arg, const struct deploy_event *event)
{
	struct house *house = arg;
	char *lineages = strlist_join(event->lineages, ",");

	if (event->ended) {
		buf_addf(&house->events, "%s [%s]%s\n", event->what, lineages,
			 event->err ? " failed" : "");
	}
	free(lineages);
}

static inline struct deploy *deploy_of(struct house *house, struct notify *notify)
{
	house->done = false;
	buf_clear(&house->events);
	return deploy_new(&(struct deploy_args){
		.world = &house->bed.world,
		.conf = house->conf,
		.renewals = house->renewals,
		.notify = notify,
		.event = on_event,
		.event_arg = house,
	});
}

static inline void deploy_add_all(struct deploy *deploy, const struct house *house,
				  enum deploy_which which)
{
	for (size_t i = 0; i < house->conf->certificate_count; i++) {
		deploy_add(deploy, &(struct deploy_lineage){
					   .name = house->conf->certificate[i].name,
					   .certificate = &house->conf->certificate[i],
					   .which = which,
				   });
	}
}

static inline void finish(struct house *house)
{
	while (!house->done) {
		assert_true(bed_turn(&house->bed));
	}
}

/* A whole run over all lineages. */
static inline enum err_code run_all(struct house *house, enum deploy_which which)
{
	struct deploy *deploy = deploy_of(house, NULL);

	deploy_add_all(deploy, house, which);
	deploy_start(deploy, on_deployed, house);
	assert_false(house->done);
	finish(house);
	deploy_free(deploy);
	return house->err.code;
}

static inline void pass(struct house *house, int64_t seconds)
{
	house->bed.wall_us += seconds * 1000000;
	house->bed.mono_us += seconds * 1000000;
}

#endif
