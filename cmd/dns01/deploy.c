/* dns01 deploy: what is due for the certificates that are there; with names, all of it again. */
#include "cli.h"

struct deploy_run {
	struct cli cli;
	struct deploying *deploying;
};

static void on_stop(void *arg)
{
	struct deploy_run *run = arg;

	deploying_stop(run->deploying);
}

static void on_done(void *arg, const struct err *err)
{
	struct deploy_run *run = arg;

	if (err) {
		run->cli.status = err_exit_status(err->code);
	}
	world_real_stop(run->cli.world);
}

static void add_lineage(struct deploy_run *run, const struct conf_certificate *certificate,
			const char *lineage)
{
	deploying_add(run->deploying,
		      &(struct deploy_lineage){
			      .name = lineage,
			      .certificate = certificate,
			      .which = run->cli.options.name_count > 0 ? DEPLOY_AGAIN : DEPLOY_NOW,
		      });
}

/* The lineages of a certificate, or the one of that name; false: it has none of that name. */
static bool add_certificate(struct deploy_run *run, const struct conf_certificate *certificate,
			    const char *name)
{
	bool all = !name || strcmp(name, certificate->name) == 0, any = false;

	for (size_t i = 0; i < certificate->keys.count; i++) {
		char *lineage =
			i == 0 ? xstrdup(certificate->name)
			       : xasprintf("%s-%s", certificate->name, certificate->keys.item[i]);

		if (all || strcmp(lineage, name) == 0) {
			add_lineage(run, certificate, lineage);
			any = true;
		}
		free(lineage);
	}
	return any;
}

static enum err_code add_name(struct deploy_run *run, const char *name, struct err *err)
{
	const struct conf *conf = run->cli.conf;

	for (size_t i = 0; i < conf->certificate_count; i++) {
		if (add_certificate(run, &conf->certificate[i], name)) {
			return ERR_NONE;
		}
	}
	return err_set(err, ERR_USAGE, name,
		       "the configuration has no certificate of this name; `dns01 status` lists "
		       "what there is");
}

static enum err_code add_all(struct deploy_run *run, struct err *err)
{
	const struct options *options = &run->cli.options;
	const struct conf *conf = run->cli.conf;
	enum err_code code = ERR_NONE;

	for (int i = 0; i < options->name_count && code == ERR_NONE; i++) {
		code = add_name(run, options->names[i], err);
	}
	for (size_t i = 0; options->name_count == 0 && i < conf->certificate_count; i++) {
		(void)add_certificate(run, &conf->certificate[i], NULL);
	}
	return code;
}

static void print_results(const struct deploy_run *run)
{
	struct json *object = json_object();
	char *text;

	json_set(object, "deployed", deploying_json(run->deploying, NULL));
	text = json_pretty(object);
	puts(text);
	free(text);
	json_free(object);
}

int verb_deploy(int argc, char **argv)
{
	struct deploy_run run = { 0 };
	struct err err;

	if (!cli_open(&run.cli, OPTIONS_COMMON, argc, argv) || !cli_open_renewals(&run.cli)) {
		return cli_close(&run.cli);
	}
	run.cli.on_stop = on_stop;
	run.cli.on_stop_arg = &run;
	run.deploying = deploying_new(&run.cli);
	if (add_all(&run, &err) != ERR_NONE) {
		cli_fail(&run.cli, &err);
	} else {
		deploying_start(run.deploying, on_done, &run);
		cli_run(&run.cli);
		if (run.cli.options.json) {
			print_results(&run);
		}
	}
	deploying_free(run.deploying);
	return cli_close(&run.cli);
}
