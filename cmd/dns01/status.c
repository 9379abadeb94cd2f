/* dns01 status: every lineage and what will become of it, and the values of ours in DNS. */
#include "status.h"

#define DAY_S ((int64_t)86400)
#define MISHAPS_SHOWN 20

/* ---- one lineage ------------------------------------------------------------------ */

static void take_row(struct status_lineage *lineage, const struct renewal *row)
{
	if (row->serial) {
		lineage->issuer = xstrdup(row->issuer);
		lineage->names = xstrdup(row->names);
		lineage->serial = xstrdup(row->serial);
		lineage->not_before = row->not_before;
		lineage->not_after = row->not_after;
		lineage->revoked_at = row->revoked_at;
	}
}

/* That it was revoked is remembered, whoever names it. */
static void read_revocation(struct status *status, struct status_lineage *found)
{
	struct renewal *row = NULL;

	if (found->serial &&
	    renewals_get(status->cli.renewals, found->name, &row, NULL) == ERR_NONE &&
	    row->serial && strcmp(row->serial, found->serial) == 0) {
		found->revoked_at = row->revoked_at;
	}
	renewal_free(row);
}

/* Of one that the configuration does not name there is what is on disk. */
static void read_certificate(struct status *status, struct status_lineage *found)
{
	struct chain_facts facts;

	if (lineage_facts(status->cli.conf->state, found->name, &facts, &found->trouble) ==
	    ERR_NONE) {
		found->issuer = xstrdup(facts.issuer);
		found->names = strlist_join(&facts.names, " ");
		found->serial = xstrdup(facts.serial);
		found->not_before = facts.not_before;
		found->not_after = facts.not_after;
		chain_facts_clear(&facts);
	}
}

static void read_failure(struct status *status, struct status_lineage *found)
{
	found->has_failure = lineage_read_failure(status->cli.conf->state, found->name,
						  &found->failure, &found->failed_at);
}

/* A failure begins with the program or the path that failed, which what was to be done names. */
static const char *without_subject(const char *failure, const char *what)
{
	const char *end = strstr(failure, ": ");
	bool same = end && memmem(what, strlen(what), failure, (size_t)(end - failure));

	return same ? end + 2 : failure;
}

static void take_left(void *arg, const struct deploy_left *left)
{
	struct status_lineage *lineage = arg;
	const struct deployment *row = left->row;
	bool failed = row && row->failures > 0;

	lineage->left =
		xreallocarray(lineage->left, lineage->left_count + 1, sizeof(*lineage->left));
	lineage->left[lineage->left_count++] = (struct status_left){
		.what = xstrdup(left->what),
		.failure = failed ? xstrdup(row->failure ? without_subject(row->failure, left->what)
							 : "it failed")
				  : NULL,
		.failed_at = failed ? row->failed_at : 0,
	};
}

/* ---- how bad it is ----------------------------------------------------------------- */

static void raise_level(struct status_lineage *lineage, enum status_level level, char *problem)
{
	if (level > lineage->level) {
		lineage->level = level;
		free(lineage->problem);
		lineage->problem = problem;
	} else {
		free(problem);
	}
}

static void judge_life(const struct status *status, struct status_lineage *lineage)
{
	int64_t life = lineage->not_after - lineage->not_before;
	int64_t left = lineage->not_after - status->now_s;
	char time[32];

	time_format(time, lineage->not_after);
	if (left <= 0) {
		raise_level(lineage, STATUS_CRITICAL, xasprintf("it expired at %s", time));
	} else if (left < life / 10) {
		raise_level(lineage, STATUS_CRITICAL,
			    xasprintf("it ends at %s and was not renewed", time));
	}
}

/* When something should have happened: a day, or a tenth of a short life, may pass. */
static bool is_overdue(const struct status *status, const struct status_lineage *lineage)
{
	int64_t patience = (lineage->not_after - lineage->not_before) / 10;

	patience = patience < DAY_S ? patience : DAY_S;
	return status->now_s - lineage->item->plan.at_s > patience;
}

static void judge_plan(const struct status *status, struct status_lineage *lineage)
{
	const struct roster_item *item = lineage->item;
	char time[32];

	if (item->plan.reason == PLAN_REVOKED) {
		raise_level(lineage, STATUS_CRITICAL, roster_text(status->roster, item));
	}
	if (item->trouble) {
		raise_level(lineage, STATUS_WARNING, err_format(item->trouble));
	} else if (item->plan.state == PLAN_PAUSED || item->plan.state == PLAN_BACKS_OFF) {
		raise_level(lineage, STATUS_WARNING, roster_text(status->roster, item));
	} else if (item->row->failures > 0) {
		raise_level(lineage, STATUS_WARNING,
			    xasprintf("its last renewal failed: %s", item->row->failure));
	} else if (item->plan.reason == PLAN_MISSING) {
		raise_level(lineage, STATUS_WARNING, roster_reason(status->roster, item));
	} else if (item->plan.state == PLAN_DUE && is_overdue(status, lineage)) {
		time_format(time, item->plan.at_s);
		raise_level(lineage, STATUS_WARNING,
			    xasprintf("it is due since %s: does a timer run `dns01 renew`?", time));
	}
}

static void judge(const struct status *status, struct status_lineage *lineage)
{
	if (!lineage->item) {
		return; /* whoever took it out of the configuration wants it to end */
	}
	if (lineage->not_after > 0) {
		judge_life(status, lineage);
	}
	judge_plan(status, lineage);
	for (size_t i = 0; i < lineage->left_count; i++) {
		const struct status_left *left = &lineage->left[i];

		if (left->failure) {
			raise_level(lineage, STATUS_WARNING,
				    xasprintf("its deployment failed: %s: %s", left->what,
					      left->failure));
		}
	}
}

/* ---- all of them -------------------------------------------------------------------- */

static void add_configured(struct status *status, const struct deploy_book *book)
{
	for (size_t i = 0; i < roster_count(status->roster); i++) {
		const struct roster_item *item = roster_at(status->roster, i);
		struct status_lineage *lineage = &status->lineages[status->count++];

		lineage->name = xstrdup(item->lineage);
		lineage->item = item;
		take_row(lineage, item->row);
		if (item->trouble) {
			lineage->trouble = *item->trouble;
		}
		read_failure(status, lineage);
		if (lineage->serial) {
			deploy_book_left(book,
					 &(struct deploy_lineage){
						 .name = item->lineage,
						 .certificate = item->certificate,
						 .serial = item->row->serial,
					 },
					 take_left, lineage);
		}
	}
}

static bool is_configured(const struct status *status, const char *name)
{
	size_t low = 0, high = roster_count(status->roster);

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, roster_at(status->roster, middle)->lineage);

		if (order == 0) {
			return true;
		}
		low = order > 0 ? middle + 1 : low;
		high = order < 0 ? middle : high;
	}
	return false;
}

static void add_others(struct status *status, const struct strlist *names)
{
	for (size_t i = 0; i < names->count; i++) {
		if (!is_configured(status, names->item[i])) {
			struct status_lineage *lineage = &status->lineages[status->count++];

			lineage->name = xstrdup(names->item[i]);
			read_certificate(status, lineage);
			read_revocation(status, lineage);
			read_failure(status, lineage);
		}
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct status_lineage *)a)->name,
		      ((const struct status_lineage *)b)->name);
}

static enum err_code find_out(struct status *status, struct err *err)
{
	struct cli *cli = &status->cli;
	struct deploy_book *book = NULL;
	struct strlist names = { 0 };
	enum err_code code = roster_new(
		&(struct roster_args){
			.world = cli->world,
			.conf = cli->conf,
			.renewals = cli->renewals,
		},
		&status->roster, err);

	if (code == ERR_NONE) {
		code = deploy_book_new(cli->renewals, cli->conf->state, &book, err);
	}
	if (code == ERR_NONE) {
		code = lineage_names(cli->conf->state, &names, err);
	}
	if (code == ERR_NONE) {
		status->lineages = xcalloc(roster_count(status->roster) + names.count + 1,
					   sizeof(*status->lineages));
		add_configured(status, book);
		add_others(status, &names);
		qsort(status->lineages, status->count, sizeof(*status->lineages), by_name);
	}
	for (size_t i = 0; i < status->count; i++) {
		judge(status, &status->lineages[i]);
		if (status->lineages[i].level > status->level) {
			status->level = status->lineages[i].level;
		}
	}
	deploy_book_free(book);
	strlist_clear(&names);
	return code;
}

/* ---- values in DNS -------------------------------------------------------------------- */

static void take_value(struct status *status, const struct journal_row *row)
{
	static const char *const states[] = {
		[JOURNAL_WANTED] = "wanted",
		[JOURNAL_APPLIED] = "in DNS",
		[JOURNAL_RETRACTING] = "being removed",
	};
	struct json *object = json_object();
	char until[32];

	json_set_str(object, "name", row->asked);
	json_set_str(object, "owner", row->owner);
	json_set_str(object, "value", row->value);
	json_set_str(object, "zone", row->zone);
	json_set_str(object, "view", row->view);
	json_set_str(object, "state", states[row->state]);
	json_set_str(object, "holder", row->requester);
	if (row->expires_at > 0) {
		time_format(until, row->expires_at);
		json_set_str(object, "until", until);
	}
	json_add(status->values, object);
}

static void take_values(void *arg, const struct err *err, const struct journal_row *rows,
			size_t count)
{
	struct status *status = arg;

	if (err) {
		cli_fail(&status->cli, err);
	}
	for (size_t i = 0; i < count; i++) {
		take_value(status, &rows[i]);
	}
	world_real_stop(status->cli.world);
}

/* ---- what failed for others ---------------------------------------------------------- */

static void take_mishap(void *arg, const struct mishap *mishap)
{
	struct status *status = arg;
	struct json *object = json_object();
	char at[32];

	time_format(at, mishap->at_s);
	json_set_str(object, "at", at);
	json_set_str(object, "who", mishap->who);
	json_set_str(object, "name", mishap->name);
	json_set_str(object, "code", mishap->code);
	json_set_str(object, "text", mishap->text);
	json_add(status->failures, object);
}

/* ---- verb -------------------------------------------------------------------------------- */

static void show(const struct status *status)
{
	if (status->cli.options.prometheus) {
		status_print_prometheus(status);
	} else if (status->cli.options.json) {
		status_print_json(status);
	} else {
		status_print_text(status);
	}
}

static void status_clear(struct status *status)
{
	for (size_t i = 0; i < status->count; i++) {
		struct status_lineage *lineage = &status->lineages[i];

		free(lineage->name);
		free(lineage->issuer);
		free(lineage->names);
		free(lineage->serial);
		free(lineage->problem);
		for (size_t j = 0; j < lineage->left_count; j++) {
			free(lineage->left[j].what);
			free(lineage->left[j].failure);
		}
		free(lineage->left);
	}
	free(status->lineages);
	roster_free(status->roster);
	json_free(status->values);
	json_free(status->failures);
}

static void run(struct status *status)
{
	struct err err;

	status->now_s = world_wall_s(status->cli.world);
	if (find_out(status, &err) != ERR_NONE) {
		cli_fail(&status->cli, &err);
		return;
	}
	journal_list_start(status->cli.journal, &(struct journal_match){ 0 }, take_values, status);
	cli_run(&status->cli);
	if (status->cli.status == 0) {
		mishap_list(status->cli.conf->state, MISHAPS_SHOWN, take_mishap, status);
		show(status);
		/* Whoever collects figures reads the level there. */
		status->cli.status = status->cli.options.prometheus ? 0 : (int)status->level;
	}
}

/* Monitoring reads the first line of what is printed, and knows no other status. */
static void say_unknown(struct status *status)
{
	const struct cli *cli = &status->cli;
	char *text;

	if (cli->status <= (int)status->level || cli->err.code == ERR_USAGE) {
		return;
	}
	if (!cli->options.json) {
		text = err_format(&cli->err);
		printf("DNS01 %s: %s\n", status_level_name(STATUS_UNKNOWN), text);
		free(text);
	}
	status->cli.status = STATUS_UNKNOWN;
}

int verb_status(int argc, char **argv)
{
	struct status status = { .values = json_array(), .failures = json_array() };
	bool opened = cli_open(&status.cli, OPTIONS_COMMON | OPTIONS_STATUS, argc, argv);
	int code;

	if (opened && cli_open_renewals(&status.cli)) {
		run(&status);
	}
	say_unknown(&status);
	status_clear(&status);
	code = cli_close(&status.cli);
	return code;
}
