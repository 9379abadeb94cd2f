/* dns01 status: certificates on disk, values of ours in DNS, and what failed lately. */
#include "cli.h"

#define MISHAPS_SHOWN 20

struct status_run {
	struct cli cli;
	struct json *values, *failures;
};

static void show_certificate(struct status_run *run, struct json *object,
			     const struct chain_facts *facts)
{
	int64_t left_s = facts->not_after - world_wall_s(run->cli.world);
	char *names = strlist_join(&facts->names, " ");
	char until[32];

	time_format(until, facts->not_after);
	if (!run->cli.options.json) {
		printf("  until %s, %lld days left\n  names %s\n  issuer %s\n", until,
		       (long long)(left_s / 86400), names, facts->issuer);
	}
	json_set_str(object, "not_after", until);
	json_set_str(object, "issuer", facts->issuer);
	json_set_str(object, "names", names);
	free(names);
}

static void show_failure(struct status_run *run, struct json *object, struct lineage *lineage)
{
	struct err failure;
	int64_t at_s;
	char at[32];
	char *text;

	if (!lineage_load_failure(lineage, &failure, &at_s)) {
		return;
	}
	time_format(at, at_s);
	text = err_format(&failure);
	if (!run->cli.options.json) {
		printf("  failed at %s: %s\n", at, text);
	}
	json_set_str(object, "failed_at", at);
	json_set(object, "failure", cli_err_json(&failure));
	free(text);
}

static void show_lineage(struct status_run *run, const char *name, struct json *array)
{
	struct lineage *lineage = NULL;
	struct chain *chain = NULL;
	struct json *object = json_object();
	struct err err;

	json_set_str(object, "lineage", name);
	if (!run->cli.options.json) {
		printf("%s\n", name);
	}
	if (lineage_open(run->cli.conf->state, name, &lineage, &err) != ERR_NONE ||
	    lineage_load(lineage, &chain, &err) != ERR_NONE) {
		if (!run->cli.options.json) {
			printf("  no certificate: %s\n", err.text);
		}
	} else {
		show_certificate(run, object, chain_facts(chain));
	}
	if (lineage) {
		show_failure(run, object, lineage);
	}
	json_add(array, object);
	chain_free(chain);
	lineage_free(lineage);
}

static void show_value(struct status_run *run, const struct journal_row *row)
{
	static const char *const states[] = {
		[JOURNAL_WANTED] = "wanted",
		[JOURNAL_APPLIED] = "in DNS",
		[JOURNAL_RETRACTING] = "being removed",
	};
	const char *state = states[row->state];
	const char *holder = row->requester[0] ? row->requester : "nobody (sweep)";
	struct json *object = json_object();
	char until[32] = "";

	if (row->expires_at > 0) {
		time_format(until, row->expires_at);
	}
	if (!run->cli.options.json) {
		printf("%s %s: %s, held by %s%s%s\n", row->owner, row->value, state, holder,
		       until[0] ? " until " : "", until);
	}
	json_set_str(object, "owner", row->owner);
	json_set_str(object, "value", row->value);
	json_set_str(object, "zone", row->zone);
	json_set_str(object, "view", row->view);
	json_set_str(object, "state", state);
	json_set_str(object, "holder", row->requester);
	json_set_str(object, "until", until[0] ? until : NULL);
	json_add(run->values, object);
}

static void show_values(void *arg, const struct err *err, const struct journal_row *rows,
			size_t count)
{
	struct status_run *run = arg;

	if (err) {
		cli_fail(&run->cli, err);
	}
	for (size_t i = 0; i < count; i++) {
		show_value(run, &rows[i]);
	}
	world_real_stop(run->cli.world);
}

static void show_mishap(void *arg, const struct mishap *mishap)
{
	struct status_run *run = arg;
	struct json *object = json_object();
	char at[32];

	time_format(at, mishap->at_s);
	if (!run->cli.options.json) {
		printf("%s %s%s%s failed: %s\n", at, mishap->who, mishap->name ? " " : "",
		       mishap->name ? mishap->name : "", mishap->text);
	}
	json_set_str(object, "at", at);
	json_set_str(object, "who", mishap->who);
	json_set_str(object, "name", mishap->name);
	json_set_str(object, "code", mishap->code);
	json_set_str(object, "text", mishap->text);
	json_add(run->failures, object);
}

int verb_status(int argc, char **argv)
{
	struct status_run run = { 0 };
	struct strlist names = { 0 };
	struct json *lineages = json_array();
	struct err err;

	run.values = json_array();
	run.failures = json_array();
	if (!cli_open(&run.cli, OPTIONS_COMMON, argc, argv)) {
		goto out;
	}
	if (lineage_names(run.cli.conf->state, &names, &err) != ERR_NONE) {
		cli_fail(&run.cli, &err);
	}
	for (size_t i = 0; i < names.count; i++) {
		show_lineage(&run, names.item[i], lineages);
	}
	journal_list_start(run.cli.journal, &(struct journal_match){ 0 }, show_values, &run);
	cli_run(&run.cli);
	mishap_list(run.cli.conf->state, MISHAPS_SHOWN, show_mishap, &run);
	if (run.cli.options.json) {
		struct json *object = json_object();
		char *text;

		json_set(object, "lineages", json_copy(lineages));
		json_set(object, "values", json_copy(run.values));
		json_set(object, "failures", json_copy(run.failures));
		text = json_pretty(object);
		puts(text);
		free(text);
		json_free(object);
	} else if (names.count == 0) {
		puts("no certificate has been issued yet");
	}
out:
	json_free(lineages);
	json_free(run.values);
	json_free(run.failures);
	strlist_clear(&names);
	return cli_close(&run.cli);
}
