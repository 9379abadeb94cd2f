/* dns01 import: what another ACME client keeps on this host, carried over. */
#include "cli.h"

#include "dns01/import.h"

/* The configuration as it is; one that does not exist is none, unless it was asked for. */
static enum err_code load_conf(const struct options *options, const char *path, struct conf **out,
			       bool *exists, struct err *err)
{
	struct options own = *options;

	/* These are for the accounts that come, and do not stand for a configuration. */
	own.ca = NULL;
	own.ca_root = NULL;
	*exists = access(path, F_OK) == 0;
	if (*exists) {
		return cli_conf(&own, out, err);
	}
	*out = conf_new();
	cli_state(*out, &own);
	return ERR_NONE;
}

/* ---- what is printed --------------------------------------------------------------- */

static void print_lines(const struct import_report *report, bool quiet)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct import_line *line = &report->line[i];
		bool wanted = line->kind == IMPORT_LEFT || line->kind == IMPORT_TODO;

		if (wanted || !quiet) {
			printf("%-14s %s: %s\n", import_kind_text(line->kind), line->subject,
			       line->text);
		}
	}
}

/* Certificates are there, and none came over, now or before. */
static bool left_out(const struct import_report *report)
{
	static const char certificate[] = "certificate ";
	bool left = false, there = false;

	for (size_t i = 0; i < report->count; i++) {
		const struct import_line *line = &report->line[i];

		if (strncmp(line->subject, certificate, strlen(certificate)) == 0) {
			left = left || line->kind == IMPORT_LEFT;
			there = there || line->kind != IMPORT_LEFT;
		}
	}
	return left && !there;
}

static void print_end(const struct import_report *report, bool dry_run)
{
	if (!report->file) {
		printf("%s %s\n",
		       left_out(report) ? "nothing could be carried over of" : "nothing new in",
		       report->folder);
	} else if (dry_run) {
		printf("nothing is written; without --dry-run it would be %s\n", report->file);
	} else {
		printf("written to %s; see it through, then: dns01 config check\n", report->file);
	}
}

static void print_json(const struct import_report *report, const struct import_args *args)
{
	struct json *object = json_object();
	struct json *lines = json_array();
	char *text;

	json_set_str(object, "client", args->client);
	json_set_str(object, "from", report->folder);
	json_set_str(object, "file", report->file);
	json_set_bool(object, "dry_run", args->dry_run);
	json_set_bool(object, "changed", report->file && !args->dry_run);
	for (size_t i = 0; i < report->count; i++) {
		struct json *line = json_object();

		json_set_str(line, "kind", import_kind_name(report->line[i].kind));
		json_set_str(line, "subject", report->line[i].subject);
		json_set_str(line, "text", report->line[i].text);
		json_add(lines, line);
	}
	json_set(object, "lines", lines);
	text = json_pretty(object);
	puts(text);
	free(text);
	json_free(object);
}

/* ---- running ------------------------------------------------------------------------- */

static enum err_code run(const struct options *options, struct err *err)
{
	struct conf *conf = NULL;
	struct import_report *report = NULL;
	char *path = cli_conf_path(options);
	char *root = options->ca_root ? realpath(options->ca_root, NULL) : NULL;
	bool exists = false;
	enum err_code code = load_conf(options, path, &conf, &exists, err);
	struct import_args args = {
		.client = options->names[0],
		.from = options->from,
		.into = options->into,
		.conf_path = path,
		.conf = exists ? conf : NULL,
		.state = conf ? conf->state : NULL,
		.ca = options->ca,
		.ca_root = root ? root : options->ca_root,
		.rows = provider_rows,
		.dry_run = options->dry_run,
	};

	if (code == ERR_NONE) {
		code = import_run(&args, &report, err);
	}
	if (code == ERR_NONE && options->json) {
		print_json(report, &args);
	} else if (code == ERR_NONE) {
		print_lines(report, options->quiet);
		if (!options->quiet) {
			print_end(report, options->dry_run);
		}
	}
	import_report_free(report);
	conf_free(conf);
	free(root);
	free(path);
	return code;
}

int verb_import(int argc, char **argv)
{
	struct options options = { 0 };
	struct err err;
	enum err_code code =
		options_parse(&options, OPTIONS_COMMON | OPTIONS_IMPORT, argc, argv, &err);

	if (code == ERR_CANCELED) {
		return 0;
	}
	cli_log_setup(&options);
	if (code == ERR_NONE) {
		code = run(&options, &err);
	}
	if (code != ERR_NONE) {
		cli_print_error(&err, options.json);
	}
	options_clear(&options);
	return err_exit_status(code);
}
