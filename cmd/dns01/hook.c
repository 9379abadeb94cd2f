/*
 * dns01 hook: publishes, waits and retracts for another ACME client on this host, whose process
 * calls us once for each step. What is held between two calls is held by a timed lease.
 *
 *   HOLD:   (certbot's last call: ROUTE the run's names -> LIST what was journalled for them)
 *           -> hold -> end; a failure lets go of everything again
 *   LET GO: REVOKE our leases, of values, or of a name where there is none -> SWEEP -> end
 */
#include "hook.h"

#define EXIT_MAX_US ((int64_t)10 * 1000000)
#define LEASE_S 3600 /* DESIGN: a hook's lease; a client that dies leaves it to the sweep */

struct hook_run {
	struct cli cli;
	const struct hook_client *client;
	struct hook_request request;
	char *requester;
	struct provider_pool *pool;
	struct router *router;
	struct publisher *publisher;
	struct hold *hold;
	struct strlist owners; /* final names and values of what is held, side by side */
	struct strlist values;
	size_t next; /* of request.run, or of request.values */
	struct route_call *routing;
	struct journal_call *call;
	struct world_timer *exit_timer; /* bounds the way out after a signal */
};

static void finish(struct hook_run *run, const struct err *err)
{
	if (err) {
		cli_fail(&run->cli, err);
	}
	world_real_stop(run->cli.world);
}

/* ---- holding ---------------------------------------------------------------- */

static void on_let_go(void *arg, const struct err *err)
{
	struct hook_run *run = arg;

	if (err) {
		cli_print_error(err, run->cli.options.json);
	}
	finish(run, NULL);
}

/* certbot looks at no exit status: `dns01 status` says it, too. */
static void note_mishap(const struct hook_run *run, const struct err *err)
{
	const struct strlist *names = &run->request.names;

	if (err->code != ERR_CANCELED) {
		mishap_note(run->cli.conf->state,
			    &(struct mishap){ .at_s = world_wall_s(run->cli.world),
					      .who = run->requester,
					      .name = names->count > 0 ? names->item[0] : NULL,
					      .code = err_code_name(err->code),
					      .text = err->text });
	}
}

static void give_up(struct hook_run *run, const struct err *err)
{
	cli_fail(&run->cli, err);
	note_mishap(run, err);
	if (run->hold) {
		hold_let_go(run->hold, on_let_go, run);
	} else {
		finish(run, NULL);
	}
}

static void on_held(void *arg, const struct err *err)
{
	struct hook_run *run = arg;
	struct err copy;

	if (err) {
		copy = *err;
		give_up(run, &copy);
	} else {
		finish(run, NULL);
	}
}

static void hold(struct hook_run *run)
{
	struct hook_request *request = &run->request;
	size_t count = request->names.count + run->owners.count;
	struct hold_item *items = xcalloc(count + 1, sizeof(*items));

	for (size_t i = 0; i < request->names.count; i++) {
		const char *name = request->names.item[i];

		items[i] = (struct hold_item){ .name = request->final ? NULL : name,
					       .owner = request->final ? name : NULL,
					       .value = request->values.item[i] };
	}
	for (size_t i = 0; i < run->owners.count; i++) {
		items[request->names.count + i] = (struct hold_item){
			.owner = run->owners.item[i],
			.value = run->values.item[i],
		};
	}
	run->hold = hold_start(
		&(struct hold_args){
			.world = run->cli.world,
			.dns = run->cli.dns,
			.router = run->router,
			.publisher = run->publisher,
			.items = items,
			.count = count,
			.view = run->cli.options.view,
			.lease = { .kind = LEASE_TIMED,
				   .duration_s = LEASE_S,
				   .requester = run->requester },
			.defer = request->more,
			.watch = request->wait,
		},
		on_held, run);
	free(items);
}

/* What earlier calls of this run journalled at one owner name. */
static void take_rows(struct hook_run *run, const struct journal_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *view = run->cli.options.view ? run->cli.options.view : "default";

		if (strcmp(rows[i].view, view) == 0 &&
		    !strlist_has(&run->request.values, rows[i].value) &&
		    !strlist_has(&run->values, rows[i].value)) {
			strlist_add(&run->owners, rows[i].owner);
			strlist_add(&run->values, rows[i].value);
		}
	}
}

static void collect_next(struct hook_run *run);

static void on_listed(void *arg, const struct err *err, const struct journal_row *rows,
		      size_t count)
{
	struct hook_run *run = arg;

	run->call = NULL;
	if (err) {
		give_up(run, err);
		return;
	}
	take_rows(run, rows, count);
	collect_next(run);
}

static void on_run_route(void *arg, const struct err *err, const struct route *route)
{
	struct hook_run *run = arg;
	struct journal_match match = { .requester = run->requester };

	run->routing = NULL;
	if (err) {
		give_up(run, err);
		return;
	}
	match.owner = route->owner;
	run->call = journal_list_start(run->cli.journal, &match, on_listed, run);
}

static void collect_next(struct hook_run *run)
{
	if (run->next == run->request.run.count) {
		hold(run);
		return;
	}
	run->routing = route_start(run->router, run->request.run.item[run->next++],
				   run->cli.options.view, on_run_route, run);
}

/* ---- letting go --------------------------------------------------------------- */

static void on_swept(void *arg, const struct err *err, size_t removed)
{
	(void)removed;
	finish(arg, err);
}

static void revoke_next(struct hook_run *run);

static void on_revoked(void *arg, const struct err *err, const struct journal_row *rows,
		       size_t count)
{
	struct hook_run *run = arg;

	(void)rows;
	(void)count; /* already gone is fine */
	run->call = NULL;
	if (err) {
		finish(run, err);
	} else {
		revoke_next(run);
	}
}

/* What this run lets go of next; false: that was all. */
static bool next_match(struct hook_run *run, char owner[NAME_TEXT_MAX], struct journal_match *out)
{
	const struct hook_request *request = &run->request;
	size_t next = run->next++;
	struct err err;

	*out = (struct journal_match){ .requester = run->requester };
	if (request->values.count > 0) {
		/* A value is a digest of its own challenge, so it needs no owner name. */
		out->value = next < request->values.count ? request->values.item[next] : NULL;
		return out->value != NULL;
	}
	if (next == 0 && name_challenge(request->names.item[0], owner, &err) == ERR_NONE) {
		out->owner = owner;
		return true;
	}
	out->asked = next <= 1 ? name_base(request->names.item[0]) : NULL;
	return out->asked != NULL;
}

/* The journal knows where aliases led: nothing is asked of a DNS that may be down by now. */
static void revoke_next(struct hook_run *run)
{
	char owner[NAME_TEXT_MAX];
	struct journal_match match;

	if (next_match(run, owner, &match)) {
		run->call = journal_revoke_start(run->cli.journal, &match, on_revoked, run);
	} else {
		sweep_start(run->publisher, on_swept, run);
	}
}

/* ---- the verb ------------------------------------------------------------------- */

static void on_exit_late(void *arg)
{
	struct hook_run *run = arg;
	struct err err;

	run->exit_timer = NULL;
	err_set(&err, ERR_TIMEOUT, "",
		"the records could not be removed within 10 s; `dns01 sweep` removes them later");
	cli_print_error(&err, run->cli.options.json);
	finish(run, NULL);
}

static void on_stop(void *arg)
{
	struct hook_run *run = arg;
	struct err err;

	run->exit_timer = world_timer_start(run->cli.world, EXIT_MAX_US, on_exit_late, run);

	route_cancel(run->routing);
	run->routing = NULL;
	journal_call_cancel(run->call);
	run->call = NULL;
	err_set(&err, ERR_CANCELED, "", "stopped by a signal");
	if (run->request.action == HOOK_HOLD) {
		give_up(run, &err);
	} else {
		finish(run, &err);
	}
}

static void begin(struct hook_run *run)
{
	struct cli *cli = &run->cli;

	run->requester = xasprintf("hook %s", run->client->name);
	run->pool = provider_pool_new(cli->world, cli->dns, cli->conf);
	run->router = router_new(&(struct router_args){
		.world = cli->world, .dns = cli->dns, .conf = cli->conf, .pool = run->pool });
	run->publisher = publisher_new(&(struct publisher_args){
		.world = cli->world,
		.journal = cli->journal,
		.state = cli->conf->state,
		.pool = run->pool,
	});
	cli->on_stop = on_stop;
	cli->on_stop_arg = run;
	if (run->request.action == HOOK_LET_GO) {
		revoke_next(run);
	} else if (run->request.more) {
		hold(run);
	} else {
		collect_next(run);
	}
}

static void print_clients(struct err *err, const char *name)
{
	struct strlist names = { 0 };
	char *joined;

	for (size_t i = 0; hook_client_at(i); i++) {
		strlist_add(&names, hook_client_at(i)->name);
	}
	joined = strlist_join(&names, ", ");
	err_set(err, ERR_USAGE, "", "there is no client \"%s\"; known here: %s", name, joined);
	free(joined);
	strlist_clear(&names);
}

/* As clients write them (a trailing dot, upper case) to the form that names have here. */
static enum err_code canonical(struct strlist *names, struct err *err)
{
	char name[NAME_TEXT_MAX];

	for (size_t i = 0; i < names->count; i++) {
		if (name_parse(names->item[i], name, err) != ERR_NONE) {
			return err->code;
		}
		free(names->item[i]);
		names->item[i] = xstrdup(name);
	}
	return ERR_NONE;
}

/* Before anything is opened: what is not for us must not fail for our reasons. */
static enum err_code read_request(struct hook_run *run, int argc, char **argv, struct err *err)
{
	struct options options = { 0 };
	enum err_code code =
		options_parse(&options, OPTIONS_COMMON | OPTIONS_DNS | OPTIONS_IN_ORDER, argc, argv,
			      err);

	if (code != ERR_NONE) {
		goto out;
	}
	run->client = hook_client_find(options.names[0]);
	if (!run->client) {
		print_clients(err, options.names[0]);
		code = ERR_USAGE;
		goto out;
	}
	code = run->client->read(options.name_count - 1, options.names + 1, &run->request, err);
	if (code == ERR_NONE) {
		code = canonical(&run->request.names, err);
	}
	if (code == ERR_NONE) {
		code = canonical(&run->request.run, err);
	}
out:
	options_clear(&options);
	return code;
}

/* A configured broker that cannot be reached is an error, never a silent way around it. True: the
 * status is the hook's. */
static bool run_remote(const struct hook_run *run, int argc, char **argv, int *status)
{
	struct options options = { 0 };
	struct conf *conf = conf_new();
	struct err err;
	enum err_code code = ERR_NONE;
	bool remote = hook_broker_of_environment(conf);

	optind = 0;
	code = options_parse(&options, OPTIONS_COMMON | OPTIONS_DNS | OPTIONS_IN_ORDER, argc, argv,
			     &err);
	if (code == ERR_NONE && !remote) {
		struct conf *loaded = NULL;

		/* What is wrong with it is told by who needs it. */
		if (cli_conf(&options, &loaded, &err) == ERR_NONE && loaded->broker_count > 0) {
			conf_free(conf);
			conf = loaded;
			remote = true;
		} else {
			conf_free(loaded);
		}
	} else if (code == ERR_NONE) {
		code = conf_check(conf, provider_rows, &err);
	}
	if (code != ERR_NONE) {
		cli_print_error(&err, false);
		*status = err_exit_status(code);
		remote = true;
	} else if (remote) {
		cli_log_setup(&options);
		*status = hook_remote(&run->request, conf, &options);
	}
	conf_free(conf);
	options_clear(&options);
	optind = 0;
	return remote;
}

static void end(struct hook_run *run)
{
	if (run->exit_timer) {
		world_timer_cancel(run->cli.world, run->exit_timer);
	}
	hold_free(run->hold);
	publisher_free(run->publisher);
	router_free(run->router);
	provider_pool_free(run->pool);
	hook_request_clear(&run->request);
	strlist_clear(&run->owners);
	strlist_clear(&run->values);
	free(run->requester);
}

int verb_hook(int argc, char **argv)
{
	struct hook_run run = { 0 };
	struct err err;
	enum err_code code = read_request(&run, argc, argv, &err);
	int status;

	if (code != ERR_NONE || run.request.action == HOOK_NOTHING) {
		status = code == ERR_CANCELED ? 0 : run.request.status;
		if (code != ERR_NONE && code != ERR_CANCELED) {
			cli_print_error(&err, false);
			status = err_exit_status(code);
		}
		hook_request_clear(&run.request);
		return status;
	}
	if (run_remote(&run, argc, argv, &status)) {
		hook_request_clear(&run.request);
		return status;
	}
	optind = 0; /* from the start once more */
	if (cli_open(&run.cli, OPTIONS_COMMON | OPTIONS_DNS | OPTIONS_IN_ORDER, argc, argv)) {
		begin(&run);
		cli_run(&run.cli);
	}
	end(&run);
	return cli_close(&run.cli);
}
