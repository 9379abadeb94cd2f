/*
 * dns01 renew: one run over the lineages of the configuration, for a timer; with --loop one after
 * another, whenever something is due.
 */
#include "renew.h"

#include <signal.h>

#define HOURLY_S 3600                        /* a timer's next run, as the README sets it up */
#define PAUSE_MIN_US ((int64_t)10 * 1000000) /* between two runs of a loop */
#define BUSY_US ((int64_t)60 * 1000000)

struct renew_run {
	struct cli cli;
	struct strlist only;
	char *self;
	struct renew_show *show;
	struct fleet *fleet;
	struct world_timer *timer; /* of the loop's pause */
	bool reload;               /* before the next run */
	unsigned runs;
};

static void begin(struct renew_run *run);

/* ---- loop --------------------------------------------------------------------------- */

static void on_wake(void *arg)
{
	struct renew_run *run = arg;

	run->timer = NULL;
	begin(run);
}

static void sleep_for(struct renew_run *run, int64_t delay_us)
{
	char text[32];

	if (run->reload) {
		delay_us = 0;
	}
	duration_human(text, delay_us);
	log_info("the next run is in %s", text);
	run->timer = world_timer_start(run->cli.world, delay_us, on_wake, run);
}

static void pause_until(struct renew_run *run, int64_t at_s)
{
	int64_t delay_us = (at_s - world_wall_s(run->cli.world)) * 1000000;

	sleep_for(run, delay_us < PAUSE_MIN_US ? PAUSE_MIN_US : delay_us);
}

/* A configuration that does not load leaves the one in use. */
static void load_again(struct renew_run *run)
{
	struct conf *conf = NULL;
	struct err err;

	run->reload = false;
	if (cli_conf(&run->cli.options, &conf, &err) != ERR_NONE) {
		cli_print_error(&err, false);
		fputs("dns01: the configuration in use stays\n", stderr);
		return;
	}
	if (strcmp(conf->state, run->cli.conf->state) != 0) {
		fputs("dns01: another state folder needs another start; the configuration in use "
		      "stays\n",
		      stderr);
		conf_free(conf);
		return;
	}
	conf_free(run->cli.conf);
	run->cli.conf = conf;
	log_info("the configuration was read again");
}

static void on_signal(void *arg, int signo)
{
	struct renew_run *run = arg;

	if (signo == SIGHUP && run->cli.signals == 0) {
		run->reload = true;
		if (run->timer) {
			world_timer_cancel(run->cli.world, run->timer);
			run->timer = world_timer_start(run->cli.world, 0, on_wake, run);
		}
		return;
	}
	run->cli.signals++;
	if (run->cli.signals > 1) {
		_exit(128 + signo);
	}
	if (run->fleet) {
		fputs("dns01: stopping: records are being removed (again to stop at once)\n",
		      stderr);
		fleet_stop(run->fleet);
	} else {
		world_real_stop(run->cli.world);
	}
}

/* ---- one run ---------------------------------------------------------------------------- */

static void end_run(struct renew_run *run)
{
	fleet_free(run->fleet);
	run->fleet = NULL;
	renew_show_free(run->show);
	run->show = NULL;
}

static void on_done(void *arg, const struct err *err, const struct fleet_result *result)
{
	struct renew_run *run = arg;
	int64_t next_at_s = result->next_at_s;

	if (run->cli.options.loop) {
		run->cli.status = 0; /* of the last run */
	}
	renew_show_end(run->show, err, result);
	end_run(run);
	if (run->cli.options.loop && run->cli.signals == 0) {
		pause_until(run, next_at_s);
	} else {
		world_real_stop(run->cli.world);
	}
}

static void on_refused(struct renew_run *run, const struct err *err)
{
	end_run(run);
	if (run->cli.options.loop && err->code == ERR_BUSY) {
		log_info("%s", err->text);
		sleep_for(run, BUSY_US);
		return;
	}
	cli_fail(&run->cli, err);
	world_real_stop(run->cli.world);
}

static void begin(struct renew_run *run)
{
	struct cli *cli = &run->cli;
	const struct options *options = &cli->options;
	struct err err;

	if (run->reload) {
		load_again(run);
	}
	if (run->runs++ > 0 && cli_refresh(cli, &err) != ERR_NONE) {
		cli_print_error(&err, false);
		sleep_for(run, BUSY_US);
		return;
	}
	run->show = renew_show_new(cli);
	if (fleet_new(
		    &(struct fleet_args){
			    .world = cli->world,
			    .conf = cli->conf,
			    .journal = cli->journal,
			    .dns = cli->dns,
			    .renewals = cli->renewals,
			    .self = run->self,
			    .only = &run->only,
			    .force = options->force,
			    .wake_s = options->loop ? 0 : HOURLY_S,
			    .rehearse = options->dry_run,
			    .staging = options->staging,
			    .event = renew_show_event,
			    .deploy_event = renew_show_deploy,
			    .event_arg = run->show,
		    },
		    &run->fleet, &err) != ERR_NONE) {
		on_refused(run, &err);
		return;
	}
	renew_show_begin(run->show, fleet_roster(run->fleet));
	fleet_start(run->fleet, on_done, run);
}

static void on_stop(void *arg)
{
	struct renew_run *run = arg;

	if (run->fleet) {
		fleet_stop(run->fleet);
	}
}

/* ---- plan ---- */

static void show_plan(struct renew_run *run)
{
	struct cli *cli = &run->cli;
	struct roster *roster = NULL;
	struct err err;
	enum err_code code = roster_new(
		&(struct roster_args){
			.world = cli->world,
			.conf = cli->conf,
			.renewals = cli->renewals,
			.only = &run->only,
			.force = cli->options.force,
			.wake_s = HOURLY_S,
		},
		&roster, &err);

	if (code != ERR_NONE) {
		cli_fail(cli, &err);
	} else {
		renew_show_plan(cli, roster);
	}
	roster_free(roster);
}

/* ---- verb ---- */

/* Options that say different things, or that only mean something beside another. */
static enum err_code check_options(const struct options *options, struct err *err)
{
	if (options->loop && (options->plan || options->dry_run || options->force)) {
		return err_set(err, ERR_USAGE, "",
			       "--loop goes with neither --plan nor --dry-run nor --force: they "
			       "are for one run");
	}
	if (options->plan && options->dry_run) {
		return err_set(err, ERR_USAGE, "",
			       "--plan asks no CA, and --dry-run does: choose one");
	}
	if (options->staging && !options->dry_run) {
		return err_set(err, ERR_USAGE, "", "--staging goes with --dry-run");
	}
	return ERR_NONE;
}

static bool open_run(struct renew_run *run, int argc, char **argv)
{
	struct cli *cli = &run->cli;
	struct err err;

	if (!cli_open(cli, OPTIONS_COMMON | OPTIONS_RENEW, argc, argv)) {
		return false;
	}
	if (check_options(&cli->options, &err) != ERR_NONE) {
		cli_fail(cli, &err);
		return false;
	}
	for (int i = 0; i < cli->options.name_count; i++) {
		strlist_add(&run->only, cli->options.names[i]);
	}
	cli->on_stop = on_stop;
	cli->on_stop_arg = run;
	if (cli->options.loop) {
		world_real_on_signal(cli->world, on_signal, run);
	}
	return cli_open_renewals(cli);
}

int verb_renew(int argc, char **argv)
{
	struct renew_run run = { 0 };

	if (open_run(&run, argc, argv)) {
		run.self = realpath("/proc/self/exe", NULL);
		if (run.cli.options.plan) {
			show_plan(&run);
		} else {
			begin(&run);
			if (run.fleet || run.timer) {
				cli_run(&run.cli);
			}
		}
	}
	end_run(&run);
	world_timer_cancel(run.cli.world, run.timer);
	strlist_clear(&run.only);
	free(run.self);
	return cli_close(&run.cli);
}
