/* dns01 probe: publish a random value with the real credential, watch, retract. */
#include "cli.h"

struct probe_run {
	struct cli cli;
	struct probe *probe;
	struct ui *ui;
	int64_t started_us;
};

static void print_json(struct probe_run *run, const struct err *err,
		       const struct issue_result *result)
{
	struct json *object = json_object();
	char *text;

	json_set_str(object, "name", run->cli.options.names[0]);
	json_set_bool(object, "visible", !err);
	json_set_bool(object, "retracted", result->retract_error.code == ERR_NONE);
	if (err) {
		json_set(object, "error", cli_err_json(err));
	}
	json_set(object, "timeline", timeline_json(result, run->started_us));
	text = json_pretty(object);
	puts(text);
	free(text);
	json_free(object);
}

static void on_done(void *arg, const struct err *err, const struct issue_result *result)
{
	struct probe_run *run = arg;
	char took[32];

	duration_human(took, world_mono_us(run->cli.world) - run->started_us);
	if (run->cli.options.json) {
		print_json(run, err, result);
	} else {
		ui_timeline(result, run->started_us);
	}
	if (!err && !run->cli.options.json) {
		printf("%s: published, seen by every server that counts, and removed in %s\n",
		       run->cli.options.names[0], took);
	}
	if (err) {
		cli_print_error(err, false);
		run->cli.status = err_exit_status(err->code);
	}
	if (result->retract_error.code != ERR_NONE) {
		cli_print_error(&result->retract_error, false);
		run->cli.status = run->cli.status ? run->cli.status
						  : err_exit_status(result->retract_error.code);
	}
	world_real_stop(run->cli.world);
}

static void on_stop(void *arg)
{
	struct probe_run *run = arg;

	probe_stop(run->probe);
}

int verb_probe(int argc, char **argv)
{
	struct probe_run run = { 0 };

	if (!cli_open(&run.cli, OPTIONS_COMMON | OPTIONS_DNS, argc, argv)) {
		return cli_close(&run.cli);
	}
	run.ui = ui_new(run.cli.world, run.cli.options.quiet || run.cli.options.json);
	run.started_us = world_mono_us(run.cli.world);
	run.probe = probe_start(
		&(struct probe_args){
			.world = run.cli.world,
			.conf = run.cli.conf,
			.name = run.cli.options.names[0],
			.view = run.cli.options.view,
			.journal = run.cli.journal,
			.dns = run.cli.dns,
			.event = ui_event,
			.event_arg = run.ui,
		},
		on_done, &run);
	run.cli.on_stop = on_stop;
	run.cli.on_stop_arg = &run;
	cli_run(&run.cli);
	probe_free(run.probe);
	ui_free(run.ui);
	return cli_close(&run.cli);
}
