/* dns01 sweep: what dead processes and expired leases left in DNS, removed. */
#include "cli.h"

struct sweep_run {
	struct cli cli;
	struct provider_pool *pool;
	struct publisher *publisher;
};

static void on_swept(void *arg, const struct err *err, size_t removed)
{
	struct sweep_run *run = arg;

	if (run->cli.options.json) {
		struct json *object = json_object();
		char *text;

		json_set_int(object, "removed", (int64_t)removed);
		if (err) {
			json_set(object, "error", cli_err_json(err));
		}
		text = json_dump(object);
		puts(text);
		free(text);
		json_free(object);
	} else if (!run->cli.options.quiet) {
		printf("%zu record%s removed\n", removed, removed == 1 ? "" : "s");
	}
	if (err) {
		cli_print_error(err, false);
		run->cli.status = err_exit_status(err->code);
	}
	world_real_stop(run->cli.world);
}

int verb_sweep(int argc, char **argv)
{
	struct sweep_run run = { 0 };

	if (!cli_open(&run.cli, OPTIONS_COMMON, argc, argv)) {
		return cli_close(&run.cli);
	}
	run.pool = provider_pool_new(run.cli.world, run.cli.dns, run.cli.conf);
	run.publisher = publisher_new(&(struct publisher_args){
		.world = run.cli.world,
		.journal = run.cli.journal,
		.state = run.cli.conf->state,
		.pool = run.pool,
	});
	sweep_start(run.publisher, on_swept, &run);
	cli_run(&run.cli);
	publisher_free(run.publisher);
	provider_pool_free(run.pool);
	return cli_close(&run.cli);
}
