/*
 * dns01 retract: values of ours at a name, whoever holds them. The journal knows where they
 * went; a VALUE that it does not know is removed by the configured provider.
 *
 *   ROUTE (an identifier's owner name) -> REVOKE the leases there -> SWEEP -> end
 *                      \-> none: REVOKE those that an alias led elsewhere -/
 *                                 \-> none, and a VALUE: APPLY -> end
 */
#include "cli.h"

struct retract_run {
	struct cli cli;
	struct provider_pool *pool;
	struct router *router;
	struct publisher *publisher;
	struct route_call *routing;
	const struct route *route;
	const char *asked; /* the identifier, until its aliases were looked for; NULL: none */
	char name[NAME_TEXT_MAX];
	char owner[NAME_TEXT_MAX];
	const char *value; /* NULL: all of ours */
	struct provider_change change;
	struct provider_batch batch;
};

static void finish(struct retract_run *run, const struct err *err, size_t removed)
{
	if (err) {
		cli_fail(&run->cli, err);
	} else if (run->cli.options.json) {
		printf("{\"removed\":%zu}\n", removed);
	} else if (!run->cli.options.quiet) {
		printf("%s: %zu record%s removed\n", run->owner, removed, removed == 1 ? "" : "s");
	}
	world_real_stop(run->cli.world);
}

static void on_swept(void *arg, const struct err *err, size_t removed)
{
	finish(arg, err, removed);
}

static void on_applied(void *arg, const struct err *results, size_t count)
{
	finish(arg, count > 0 && results[0].code != ERR_NONE ? &results[0] : NULL, count);
}

static void apply(struct retract_run *run)
{
	const struct provider_in_use *use;
	struct err err;

	if (provider_pool_get(run->pool, run->route->settings->providers.item[0], &use, &err) !=
	    ERR_NONE) {
		finish(run, &err, 0);
		return;
	}
	run->change = (struct provider_change){ .owner = run->owner, .value = run->value };
	run->batch = (struct provider_batch){ .zone = run->route->zone,
					      .changes = &run->change,
					      .count = 1 };
	use->provider->apply_start(use->instance, &run->batch, on_applied, run);
}

static void on_revoked(void *arg, const struct err *err, const struct journal_row *rows,
		       size_t count)
{
	struct retract_run *run = arg;
	struct journal_match match = { .asked = run->asked, .value = run->value };
	struct err none;

	(void)rows;
	if (err) {
		finish(run, err, 0);
	} else if (count > 0) {
		sweep_start(run->publisher, on_swept, run);
	} else if (run->asked) { /* its alias may lead elsewhere by now */
		run->asked = NULL;
		journal_revoke_start(run->cli.journal, &match, on_revoked, run);
	} else if (run->value && run->route) {
		apply(run);
	} else {
		err_set(&none, ERR_NOT_FOUND, run->owner,
			"the journal knows no value of ours there; name the VALUE to remove it all "
			"the same");
		finish(run, &none, 0);
	}
}

static void end_leases(struct retract_run *run)
{
	const struct journal_match match = { .owner = run->owner, .value = run->value };

	journal_revoke_start(run->cli.journal, &match, on_revoked, run);
}

static void on_route(void *arg, const struct err *err, const struct route *route)
{
	struct retract_run *run = arg;

	run->routing = NULL;
	if (!err) {
		run->route = route;
		snprintf(run->owner, sizeof(run->owner), "%s", route->owner);
	} else if (run->value) {
		log_warn("%s: %s", err->subject, err->text);
	}
	end_leases(run); /* without a route the journal still knows where its rows went */
}

static enum err_code take_arguments(struct retract_run *run, struct err *err)
{
	struct options *options = &run->cli.options;

	run->value = options->name_count == 2 ? options->names[1] : NULL;
	if (name_parse(options->names[0], run->name, err) != ERR_NONE) {
		return err->code;
	}
	if (run->name[0] == '_') {
		snprintf(run->owner, sizeof(run->owner), "%s", run->name);
		return ERR_NONE;
	}
	run->asked = name_base(run->name);
	return name_challenge(run->name, run->owner, err);
}

static void begin(struct retract_run *run)
{
	struct cli *cli = &run->cli;
	bool is_owner = cli->options.names[0][0] == '_';

	run->pool = provider_pool_new(cli->world, cli->dns, cli->conf);
	run->router = router_new(&(struct router_args){
		.world = cli->world, .dns = cli->dns, .conf = cli->conf, .pool = run->pool });
	run->publisher = publisher_new(&(struct publisher_args){
		.world = cli->world,
		.journal = cli->journal,
		.state = cli->conf->state,
		.pool = run->pool,
	});
	run->routing = is_owner ? route_owner_start(run->router, run->owner, cli->options.view,
						    on_route, run)
				: route_start(run->router, cli->options.names[0], cli->options.view,
					      on_route, run);
}

int verb_retract(int argc, char **argv)
{
	struct retract_run run = { 0 };
	struct err err;

	if (!cli_open(&run.cli, OPTIONS_COMMON | OPTIONS_DNS, argc, argv)) {
		return cli_close(&run.cli);
	}
	if (take_arguments(&run, &err) != ERR_NONE) {
		cli_fail(&run.cli, &err);
	} else {
		begin(&run);
		cli_run(&run.cli);
	}
	publisher_free(run.publisher);
	router_free(run.router);
	provider_pool_free(run.pool);
	return cli_close(&run.cli);
}
