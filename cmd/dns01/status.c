/* dns01 status: certificates on disk, and values of ours in DNS. */
#include "cli.h"

struct status_run {
	struct cli cli;
	struct json *values;
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

static void show_values(void *arg, const struct err *err, const struct journal_row *rows,
			size_t count)
{
	struct status_run *run = arg;

	if (err) {
		cli_fail(&run->cli, err);
	}
	for (size_t i = 0; i < count; i++) {
		static const char *const states[] = {
			[JOURNAL_WANTED] = "wanted",
			[JOURNAL_APPLIED] = "in DNS",
			[JOURNAL_RETRACTING] = "being removed",
		};
		const char *state = states[rows[i].state];
		const char *holder = rows[i].requester[0] ? rows[i].requester : "nobody (sweep)";
		struct json *object = json_object();

		if (!run->cli.options.json) {
			printf("%s %s: %s, held by %s\n", rows[i].owner, rows[i].value, state,
			       holder);
		}
		json_set_str(object, "owner", rows[i].owner);
		json_set_str(object, "value", rows[i].value);
		json_set_str(object, "zone", rows[i].zone);
		json_set_str(object, "state", state);
		json_set_str(object, "holder", rows[i].requester);
		json_add(run->values, object);
	}
	world_real_stop(run->cli.world);
}

int verb_status(int argc, char **argv)
{
	struct status_run run = { 0 };
	struct strlist names = { 0 };
	struct json *lineages = json_array();
	struct err err;

	run.values = json_array();
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
	if (run.cli.options.json) {
		struct json *object = json_object();
		char *text;

		json_set(object, "lineages", json_copy(lineages));
		json_set(object, "values", json_copy(run.values));
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
	strlist_clear(&names);
	return cli_close(&run.cli);
}
