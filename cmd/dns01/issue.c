/* dns01 issue: certificates one after another, each key type a lineage of its own. */
#include "cli.h"

struct issue_job {
	const struct conf_certificate *certificate;
	enum key_type key_type;
	char *lineage;
	struct json *result; /* with --json, borrowed from run->results */
};

struct issue_run {
	struct cli cli;
	struct issue_job *jobs;
	size_t job_count;
	size_t next;
	struct issuance *issuance;
	struct deploying *deploying; /* NULL: nothing was issued yet */
	char *lineage_conf;
	char *self;
	struct ui *ui;
	struct json *results;
	bool failed;
	int64_t started_us;
};

static void run_next(struct issue_run *run);

/* ---- what is to be issued -------------------------------------------------- */

static enum err_code add_jobs(struct issue_run *run, const struct conf_certificate *certificate,
			      struct err *err)
{
	for (size_t i = 0; i < certificate->keys.count; i++) {
		const char *text = certificate->keys.item[i];
		struct issue_job job = { .certificate = certificate };

		if (!key_type_parse(text, &job.key_type)) {
			return err_set(err, ERR_CONFIG, certificate->name,
				       "\"%s\" is not a key type; use p256, p384, rsa2048, rsa3072 "
				       "or rsa4096",
				       text);
		}
		job.lineage = lineage_name_of(certificate, i);
		run->jobs = xreallocarray(run->jobs, run->job_count + 1, sizeof(*run->jobs));
		run->jobs[run->job_count++] = job;
	}
	return ERR_NONE;
}

/* The first name without "*.", which is a good name for a folder. */
static enum err_code lineage_name(struct issue_run *run, char **out, struct err *err)
{
	const struct options *options = &run->cli.options;
	char first[NAME_TEXT_MAX];

	if (options->name) {
		*out = xstrdup(options->name);
		return ERR_NONE;
	}
	if (name_parse(options->names[0], first, err) != ERR_NONE) {
		return err->code;
	}
	*out = xstrdup(name_base(first));
	return ERR_NONE;
}

static enum err_code add_adhoc(struct issue_run *run, struct err *err)
{
	const struct options *options = &run->cli.options;
	struct conf_certificate *certificate;
	char *name;
	enum err_code code = lineage_name(run, &name, err);

	if (code != ERR_NONE) {
		return code;
	}
	certificate = conf_add_certificate(run->cli.conf, name);
	free(name);
	for (int i = 0; i < options->name_count; i++) {
		strlist_add(&certificate->names, options->names[i]);
	}
	if (options->key) {
		strlist_clear(&certificate->keys);
		strlist_add(&certificate->keys, options->key);
	}
	if (options->profile) {
		free(certificate->profile);
		certificate->profile = xstrdup(options->profile);
	}
	if (options->account) {
		free(certificate->account);
		certificate->account = xstrdup(options->account);
	}
	return add_jobs(run, certificate, err);
}

/* Configured certificates say these things themselves. */
static enum err_code check_lone_flags(const struct options *options, struct err *err)
{
	const char *flag = options->name      ? "name"
			   : options->key     ? "key"
			   : options->profile ? "profile"
			   : options->account ? "account"
					      : NULL;

	if (!flag) {
		return ERR_NONE;
	}
	return err_set(err, ERR_USAGE, "",
		       "--%s goes with DNS names: a certificate of the configuration has its own "
		       "setting for it",
		       flag);
}

static enum err_code plan_jobs(struct issue_run *run, struct err *err)
{
	const struct options *options = &run->cli.options;
	const struct conf *conf = run->cli.conf;
	enum err_code code = ERR_NONE;
	bool configured = options->name_count > 0 && !options->name;

	for (int i = 0; i < options->name_count && configured; i++) {
		configured = conf_find_certificate(conf, options->names[i]) != NULL;
	}
	if (options->name_count > 0 && !configured) {
		return add_adhoc(run, err);
	}
	if (options->name_count == 0 && conf->certificate_count == 0) {
		return err_set(err, ERR_USAGE, "",
			       "nothing to issue: give names, or add certificates to the "
			       "configuration");
	}
	code = check_lone_flags(options, err);
	for (int i = 0; i < options->name_count && code == ERR_NONE; i++) {
		code = add_jobs(run, conf_find_certificate(conf, options->names[i]), err);
	}
	for (size_t i = 0; options->name_count == 0 && i < conf->certificate_count; i++) {
		if (code == ERR_NONE) {
			code = add_jobs(run, &conf->certificate[i], err);
		}
	}
	return code;
}

/* ---- results --------------------------------------------------------------- */

static struct json *result_json(struct issue_run *run, const struct issue_job *job,
				const struct err *err, const struct issue_result *result)
{
	struct json *object = json_object();
	struct json *names = json_array();
	char time[32];

	json_set_str(object, "lineage", job->lineage);
	json_set_bool(object, "issued", !err);
	if (err) {
		json_set(object, "error", cli_err_json(err));
	}
	if (result->folder) {
		json_set_str(object, "folder", result->folder);
		json_set_str(object, "subject", result->facts.subject);
		json_set_str(object, "issuer", result->facts.issuer);
		json_set_str(object, "serial", result->facts.serial);
		time_format(time, result->facts.not_before);
		json_set_str(object, "not_before", time);
		time_format(time, result->facts.not_after);
		json_set_str(object, "not_after", time);
		for (size_t i = 0; i < result->facts.names.count; i++) {
			json_add_str(names, result->facts.names.item[i]);
		}
	}
	json_set(object, "names", names);
	json_set_str(object, "account", result->account);
	json_set_str(object, "profile", result->profile);
	json_set_bool(object, "resumed", result->resumed);
	json_set_int(object, "https_requests", result->https_requests);
	json_set_int(object, "elapsed_ms",
		     (world_mono_us(run->cli.world) - run->started_us) / 1000);
	json_set(object, "timeline", timeline_json(result, run->started_us));
	if (result->retract_error.code != ERR_NONE) {
		json_set(object, "retract_error", cli_err_json(&result->retract_error));
	}
	return object;
}

static void print_success(struct issue_run *run, const struct issue_job *job,
			  const struct issue_result *result)
{
	char until[32];
	char took[32];
	char *names = strlist_join(&result->facts.names, " ");

	time_format(until, result->facts.not_after);
	duration_human(took, world_mono_us(run->cli.world) - run->started_us);
	printf("%s: issued in %s for %s\n  issuer  %s\n  until   %s\n  files   %s\n", job->lineage,
	       took, names, result->facts.issuer, until, result->folder);
	if (!run->cli.options.quiet) {
		ui_timeline(result, run->started_us);
	}
	free(names);
}

static void take_failure(struct issue_run *run, const struct err *err, const char *what)
{
	struct err full = *err;

	if (what) {
		snprintf(full.text, sizeof(full.text), "%s: %.900s", what, err->text);
	}
	if (!run->failed) {
		run->cli.status = err_exit_status(err->code);
	}
	run->failed = true;
	cli_print_error(&full, false);
}

/* The certificates that would come next are not begun. */
static void stop_here(struct issue_run *run)
{
	size_t left = run->job_count - run->next;
	struct err err;

	run->next = run->job_count;
	if (left > 0 && !run->failed) {
		err_set(&err, ERR_CANCELED, "", "stopped by the operator; not begun: %zu", left);
		take_failure(run, &err, NULL);
	}
}

/* To be deployed, with all others, at the end of the run. */
static void note_new(struct issue_run *run, const struct issue_job *job,
		     const struct issue_result *result)
{
	if (job->certificate->export_count + job->certificate->deploy.count == 0) {
		return;
	}
	if (!run->deploying) {
		run->deploying = deploying_new(&run->cli);
	}
	deploying_add(run->deploying, &(struct deploy_lineage){
					      .name = job->lineage,
					      .certificate = job->certificate,
					      .serial = result->facts.serial,
					      .which = DEPLOY_NOW,
				      });
}

static void on_done(void *arg, const struct err *err, const struct issue_result *result)
{
	struct issue_run *run = arg;
	struct issue_job *job = &run->jobs[run->next - 1];

	if (!err) {
		note_new(run, job, result);
	}
	if (run->cli.options.json) {
		job->result = result_json(run, job, err, result);
		json_add(run->results, job->result);
	} else if (!err) {
		print_success(run, job, result);
	}
	if (err) {
		take_failure(run, err, NULL);
	}
	if (err && !run->cli.options.json && !run->cli.options.quiet) {
		ui_timeline(result, run->started_us);
	}
	if (result->retract_error.code != ERR_NONE) {
		take_failure(run, &result->retract_error,
			     "records are still in DNS (`dns01 sweep` tries again)");
	}
	issuance_free(run->issuance);
	run->issuance = NULL;
	if (run->cli.signals > 0) {
		stop_here(run);
	}
	run_next(run);
}

/* ---- running --------------------------------------------------------------- */

static void on_stop(void *arg)
{
	struct issue_run *run = arg;

	if (run->issuance) {
		issuance_stop(run->issuance);
	} else {
		deploying_stop(run->deploying);
	}
}

static void on_deployed(void *arg, const struct err *err)
{
	struct issue_run *run = arg;

	if (err && !run->failed) {
		run->failed = true;
		run->cli.status = err_exit_status(err->code);
	}
	world_real_stop(run->cli.world);
}

/* All certificates are there, or failed. */
static void deploy_all(struct issue_run *run)
{
	struct err err;

	if (run->deploying && run->cli.signals == 0) {
		deploying_start(run->deploying, on_deployed, run);
		return;
	}
	if (run->deploying && !run->failed) {
		err_set(&err, ERR_CANCELED, "",
			"stopped by the operator before the deployment, which stays due: `dns01 "
			"deploy` does it");
		take_failure(run, &err, NULL);
	}
	world_real_stop(run->cli.world);
}

static void run_next(struct issue_run *run)
{
	struct cli *cli = &run->cli;
	const struct conf_account *account;
	struct issue_job *job;
	struct err err;

	if (run->next == run->job_count) {
		deploy_all(run);
		return;
	}
	job = &run->jobs[run->next++];
	account = conf_find_account(cli->conf, job->certificate->account);
	if (!account) {
		err_set(&err, ERR_CONFIG, job->lineage,
			"it is not said which account to use; set `account` of the certificate, or "
			"give --account (or --ca URL)");
		take_failure(run, &err, NULL);
		run_next(run);
		return;
	}
	free(run->lineage_conf);
	run->lineage_conf =
		lineage_conf_text(cli->conf, job->certificate, job->key_type, job->lineage);
	run->started_us = world_mono_us(cli->world);
	ui_free(run->ui);
	run->ui = ui_new(cli->world, cli->options.quiet || cli->options.json);
	run->issuance = issuance_start(
		&(struct issue_args){
			.world = cli->world,
			.conf = cli->conf,
			.account = account,
			.certificate = job->certificate,
			.key_type = job->key_type,
			.lineage = job->lineage,
			.journal = cli->journal,
			.renewals = cli->renewals,
			.dns = cli->dns,
			.self = run->self,
			.lineage_conf = run->lineage_conf,
			.event = ui_event,
			.event_arg = run->ui,
		},
		on_done, run);
}

static void add_deployment(const struct issue_run *run, const struct issue_job *job)
{
	const struct err *failure = deploying_failure(run->deploying, job->lineage);
	char *output = deploying_output(run->deploying, job->lineage);

	json_set(job->result, "deployed", deploying_json(run->deploying, job->lineage));
	if (failure) {
		json_set(job->result, "deploy_error", cli_err_json(failure));
	}
	json_set_str(job->result, "deploy_output", output);
	free(output);
}

static void print_results(struct issue_run *run)
{
	struct json *object = json_object();
	char *text;

	for (size_t i = 0; i < run->job_count; i++) {
		if (run->jobs[i].result) {
			add_deployment(run, &run->jobs[i]);
		}
	}
	json_set(object, "certificates", run->results);
	text = json_pretty(object);
	puts(text);
	free(text);
	json_free(object);
}

int verb_issue(int argc, char **argv)
{
	struct issue_run run = { 0 };
	struct err err;
	unsigned groups = OPTIONS_COMMON | OPTIONS_CA | OPTIONS_DNS | OPTIONS_CERT;

	if (!cli_open(&run.cli, groups, argc, argv) || !cli_open_renewals(&run.cli)) {
		return cli_close(&run.cli);
	}
	run.self = realpath("/proc/self/exe", NULL);
	run.results = json_array();
	run.cli.on_stop = on_stop;
	run.cli.on_stop_arg = &run;
	if (plan_jobs(&run, &err) != ERR_NONE) {
		cli_fail(&run.cli, &err);
		json_free(run.results);
	} else {
		run_next(&run);
		if (run.issuance) {
			cli_run(&run.cli);
		}
		if (run.cli.options.json) {
			print_results(&run);
		} else {
			json_free(run.results);
		}
	}
	for (size_t i = 0; i < run.job_count; i++) {
		free(run.jobs[i].lineage);
	}
	free(run.jobs);
	deploying_free(run.deploying);
	ui_free(run.ui);
	free(run.lineage_conf);
	free(run.self);
	return cli_close(&run.cli);
}
