/* What `dns01 renew` shows: a line for each lineage that changed or failed, a table of the plan. */
#include "renew.h"

#define IDLE_SHOWN 10

struct renew_show {
	struct cli *cli;
	struct deploying *deploying;
	const struct roster *roster; /* of the lineages that were begun */
	struct strlist begun;        /* lineages, */
	struct strlist why;          /* and why each was begun */
	struct json *certificates;
	size_t untried;
	struct err first; /* failure; ERR_NONE: none */
};

struct renew_show *renew_show_new(struct cli *cli)
{
	struct renew_show *show = xcalloc(1, sizeof(*show));

	show->cli = cli;
	show->deploying = deploying_listen(cli);
	show->certificates = json_array();
	return show;
}

void renew_show_free(struct renew_show *show)
{
	if (show) {
		deploying_free(show->deploying);
		strlist_clear(&show->begun);
		strlist_clear(&show->why);
		json_free(show->certificates);
		free(show);
	}
}

static void keep_first(struct renew_show *show, const struct err *err)
{
	if (show->first.code == ERR_NONE) {
		show->first = *err;
	}
}

/* ---- one lineage ------------------------------------------------------------------ */

static const char *why_of(const struct renew_show *show, const char *lineage)
{
	for (size_t i = show->begun.count; i > 0; i--) {
		if (strcmp(show->begun.item[i - 1], lineage) == 0) {
			return show->why.item[i - 1];
		}
	}
	return NULL;
}

static const char *outcome(const struct fleet_event *event)
{
	return !event->err ? "issued" : event->untried ? "untried" : "failed";
}

static void set_time(struct json *object, const char *key, int64_t unix_s)
{
	char time[32];

	time_format(time, unix_s);
	json_set_str(object, key, time);
}

static void result_json(struct json *object, const struct issue_result *result)
{
	const struct chain_facts *facts = &result->facts;
	struct json *names = json_array();

	json_set_str(object, "account", result->account);
	json_set_str(object, "profile", result->profile);
	json_set_str(object, "folder", result->folder);
	json_set_int(object, "https_requests", result->https_requests);
	if (facts->serial) {
		json_set_str(object, "issuer", facts->issuer);
		json_set_str(object, "serial", facts->serial);
		set_time(object, "not_before", facts->not_before);
		set_time(object, "not_after", facts->not_after);
		for (size_t i = 0; i < facts->names.count; i++) {
			json_add_str(names, facts->names.item[i]);
		}
	}
	json_set(object, "names", names);
	if (result->retract_error.code != ERR_NONE) {
		json_set(object, "retract_error", cli_err_json(&result->retract_error));
	}
}

static struct json *event_json(const struct renew_show *show, const struct fleet_event *event)
{
	struct json *object = json_object();

	json_set_str(object, "lineage", event->item->lineage);
	json_set_str(object, "outcome", outcome(event));
	json_set_str(object, "why", why_of(show, event->item->lineage));
	if (event->err) {
		json_set(object, "error", cli_err_json(event->err));
	}
	if (event->result) {
		result_json(object, event->result);
		json_set_int(object, "elapsed_ms", event->elapsed_us / 1000);
	}
	return object;
}

static void print_success(const struct renew_show *show, const struct fleet_event *event)
{
	const char *done = show->cli->options.dry_run ? "rehearsed at staging" : "renewed";
	const char *why = why_of(show, event->item->lineage);
	const char *account = event->result->account, *own = event->item->account->name;
	bool fell_back = !show->cli->options.dry_run && account && strcmp(account, own) != 0;
	char until[32], took[32], *line;

	time_format(until, event->result->facts.not_after);
	duration_human(took, event->elapsed_us);
	line = xasprintf("%s: %s in %s%s%s, until %s; %s", event->item->lineage, done, took,
			 fell_back ? " by the fallback " : "", fell_back ? account : "", until,
			 why ? why : "");
	ui_print(line, 2);
	free(line);
	(void)fflush(stdout);
}

static void print_failure(const struct fleet_event *event)
{
	struct err shown = *event->err;

	if (strcmp(shown.subject, event->item->lineage) != 0) {
		snprintf(shown.text, sizeof(shown.text), "%.300s%s%.700s", event->err->subject,
			 event->err->subject[0] ? ": " : "", event->err->text);
		snprintf(shown.subject, sizeof(shown.subject), "%s", event->item->lineage);
	}
	cli_print_error(&shown, false);
}

static void on_begin(struct renew_show *show, const struct roster_item *item)
{
	strlist_add(&show->begun, item->lineage);
	strlist_take(&show->why, roster_text(show->roster, item));
}

static void print_left(const struct fleet_event *event)
{
	struct err left = event->result->retract_error;

	snprintf(left.text, sizeof(left.text),
		 "records are still in DNS (`dns01 sweep` tries again): %.900s",
		 event->result->retract_error.text);
	cli_print_error(&left, false);
}

void renew_show_event(void *arg, const struct fleet_event *event)
{
	struct renew_show *show = arg;
	bool json = show->cli->options.json;

	if (!event->ended) {
		on_begin(show, event->item);
		return;
	}
	if (json) {
		json_add(show->certificates, event_json(show, event));
	}
	if (!event->err) {
		if (!json && !show->cli->options.quiet) {
			print_success(show, event);
		}
	} else {
		keep_first(show, event->err);
		show->untried += event->untried;
		if (!event->untried) {
			print_failure(event);
		}
	}
	if (event->result && event->result->retract_error.code != ERR_NONE) {
		keep_first(show, &event->result->retract_error);
		print_left(event);
	}
}

void renew_show_deploy(void *arg, const struct deploy_event *event)
{
	struct renew_show *show = arg;

	deploying_event(show->deploying, event);
}

/* ---- the end of a run --------------------------------------------------------------- */

void renew_show_begin(struct renew_show *show, const struct roster *roster)
{
	show->roster = roster;
}

static void print_json(struct renew_show *show, const struct err *err,
		       const struct fleet_result *result)
{
	struct json *object = json_object();
	char *text;

	json_set(object, "certificates", show->certificates);
	show->certificates = json_array();
	json_set(object, "deployed", deploying_json(show->deploying, NULL));
	json_set_int(object, "issued", (int64_t)result->issued);
	json_set_int(object, "failed", (int64_t)result->failed);
	json_set_int(object, "postponed", (int64_t)result->postponed);
	set_time(object, "next_at", result->next_at_s);
	if (err) {
		json_set(object, "error", cli_err_json(err));
	}
	text = show->cli->options.loop ? json_dump(object) : json_pretty(object);
	puts(text);
	(void)fflush(stdout);
	free(text);
	json_free(object);
}

static void print_idle_item(const struct roster *roster, const struct roster_item *item)
{
	char *why = roster_text(roster, item), *line;
	char at[32];

	time_format(at, item->plan.at_s);
	line = item->plan.state == PLAN_WAITS
		       ? xasprintf("%s: not due until %s: %s", item->lineage, at, why)
		       : xasprintf("%s: not tried now: %s", item->lineage, why);
	ui_print(line, 2);
	free(line);
	free(why);
}

/* Silence is for timers: a person who looks on is told why nothing happened. */
static void print_idle(const struct renew_show *show)
{
	const struct options *options = &show->cli->options;
	size_t count = roster_count(show->roster);

	if (options->json || options->quiet || options->loop || !ui_is_watched()) {
		return;
	}
	for (size_t i = 0; i < count && i < IDLE_SHOWN; i++) {
		if (!roster_at(show->roster, i)->trouble) {
			print_idle_item(show->roster, roster_at(show->roster, i));
		}
	}
	if (count > IDLE_SHOWN) {
		printf("and %zu more: `dns01 renew --plan` shows them\n", count - IDLE_SHOWN);
	}
}

void renew_show_end(struct renew_show *show, const struct err *err,
		    const struct fleet_result *result)
{
	const struct err *first = err;

	if (show->untried > 0) {
		fprintf(stderr,
			"dns01: %zu more certificates were not tried: their CA gives no answer\n",
			show->untried);
	}
	if (result->postponed > 0) {
		log_info("%zu certificates that are due wait for the limit of their account",
			 result->postponed);
	}
	if (err) {
		cli_print_error(err, false);
	} else if (show->begun.count == 0 && result->failed == 0) {
		print_idle(show);
	}
	if (show->cli->options.json) {
		print_json(show, err, result);
	}
	if (!first && show->first.code != ERR_NONE) {
		first = &show->first;
	}
	if (!first && result->deploy_error.code != ERR_NONE) {
		first = &result->deploy_error;
	}
	if (first && show->cli->status == 0) {
		show->cli->status = err_exit_status(first->code);
	}
}

/* ---- the plan ------------------------------------------------------------------------- */

void renew_plan_json(struct json *object, const struct roster *roster,
		     const struct roster_item *item)
{
	char *why = roster_text(roster, item);

	if (item->trouble) {
		json_set_str(object, "state", "trouble");
		json_set(object, "error", cli_err_json(item->trouble));
	} else {
		json_set_str(object, "state", plan_state_name(item->plan.state));
		json_set_str(object, "reason", plan_reason_name(item->plan.reason));
		set_time(object, "at", item->plan.at_s);
	}
	json_set_str(object, "why", why);
	free(why);
}

static void print_plan_json(const struct roster *roster)
{
	struct json *object = json_object(), *array = json_array();
	char *text;

	for (size_t i = 0; i < roster_count(roster); i++) {
		const struct roster_item *item = roster_at(roster, i);
		struct json *row = json_object();

		json_set_str(row, "lineage", item->lineage);
		renew_plan_json(row, roster, item);
		if (item->row->serial) {
			set_time(row, "not_after", item->row->not_after);
		}
		json_add(array, row);
	}
	json_set(object, "plan", array);
	text = json_pretty(object);
	puts(text);
	free(text);
	json_free(object);
}

static int lineage_width(const struct roster *roster)
{
	size_t width = strlen("LINEAGE");

	for (size_t i = 0; i < roster_count(roster); i++) {
		size_t len = strlen(roster_at(roster, i)->lineage);

		width = len > width ? len : width;
	}
	return (int)(width < 40 ? width : 40);
}

static void print_plan_row(const struct roster *roster, const struct roster_item *item, int width)
{
	const char *state = item->trouble ? "trouble" : plan_state_name(item->plan.state);
	char *why = roster_text(roster, item);
	char when[32] = "now", *line;

	if (item->trouble) {
		snprintf(when, sizeof(when), "-");
	} else if (item->plan.state == PLAN_PAUSED) {
		snprintf(when, sizeof(when), "after a person");
	} else if (item->plan.state != PLAN_DUE) {
		time_format(when, item->plan.at_s);
	}
	line = xasprintf("%-*s  %-9s  %-20s  %s", width, item->lineage, state, when, why);
	ui_print(line, (size_t)width + 2 + 9 + 2 + 20 + 2);
	free(line);
	free(why);
}

void renew_show_plan(struct cli *cli, const struct roster *roster)
{
	int width = lineage_width(roster);

	if (cli->options.json) {
		print_plan_json(roster);
		return;
	}
	printf("%-*s  %-9s  %-20s  %s\n", width, "LINEAGE", "STATE", "WHEN", "WHY");
	for (size_t i = 0; i < roster_count(roster); i++) {
		print_plan_row(roster, roster_at(roster, i), width);
	}
}
