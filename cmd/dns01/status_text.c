/* What `dns01 status` shows to people, and to monitoring in its first line. */
#include "status.h"

#define HOUR_S 3600
#define DAY_S (24 * HOUR_S)

static const char *const level_names[] = {
	[STATUS_OK] = "OK",
	[STATUS_WARNING] = "WARNING",
	[STATUS_CRITICAL] = "CRITICAL",
	[STATUS_UNKNOWN] = "UNKNOWN",
};

const char *status_level_name(enum status_level level)
{
	return level <= STATUS_UNKNOWN ? level_names[level] : "?";
}

/* ---- the first line ------------------------------------------------------------------ */

/* The first of the worst. */
static const struct status_lineage *worst(const struct status *status, size_t *problems)
{
	const struct status_lineage *found = NULL;

	*problems = 0;
	for (size_t i = 0; i < status->count; i++) {
		*problems += status->lineages[i].problem != NULL;
		if (!found && status->lineages[i].level == status->level) {
			found = &status->lineages[i];
		}
	}
	return found;
}

static const struct status_lineage *next_one(const struct status *status)
{
	const struct status_lineage *next = NULL;

	for (size_t i = 0; i < status->count; i++) {
		const struct status_lineage *lineage = &status->lineages[i];

		if (lineage->item && lineage->not_after > 0 &&
		    (!next || lineage->item->plan.at_s < next->item->plan.at_s)) {
			next = lineage;
		}
	}
	return next;
}

/* A bar would end it for monitoring. */
static void without_bars(char *text)
{
	for (; *text; text++) {
		*text = *text == '|' || *text == '\n' ? '/' : *text;
	}
}

char *status_headline(const struct status *status)
{
	struct buf line = BUF_INIT(4096);
	const struct status_lineage *lineage;
	size_t problems;
	char time[32];

	buf_addf(&line, "DNS01 %s: ", status_level_name(status->level));
	if (status->level != STATUS_OK) {
		lineage = worst(status, &problems);
		buf_addf(&line, "%s: %.2000s", lineage->name, lineage->problem);
		if (problems > 1) {
			buf_addf(&line, " (and %zu more)", problems - 1);
		}
	} else {
		buf_addf(&line, "%zu certificate%s", status->count, status->count == 1 ? "" : "s");
		lineage = next_one(status);
		if (lineage) {
			time_format(time, lineage->item->plan.at_s);
			buf_addf(&line, ", the next renewal is %s at %s", lineage->name, time);
		}
	}
	without_bars(line.data);
	return buf_detach(&line);
}

/* ---- the rest ------------------------------------------------------------------------- */

/* Days are too coarse for certificates of a day. */
static void print_life(const struct status *status, const struct status_lineage *lineage)
{
	int64_t left_s = lineage->not_after - status->now_s;
	char until[32];

	time_format(until, lineage->not_after);
	if (left_s <= 0) {
		printf("  until %s, expired\n", until);
	} else if (left_s < 2 * DAY_S) {
		printf("  until %s, %lld hours left\n", until, (long long)(left_s / HOUR_S));
	} else {
		printf("  until %s, %lld days left\n", until, (long long)(left_s / DAY_S));
	}
}

/* A line, with the rest of it indented where the terminal is narrow. */
static void PRINTF_LIKE(1, 2) say(const char *fmt, ...)
{
	va_list args;
	char *line = NULL;

	va_start(args, fmt);
	if (vasprintf(&line, fmt, args) >= 0) {
		ui_print(line, 4);
	}
	va_end(args);
	free(line);
}

static void print_certificate(const struct status *status, const struct status_lineage *lineage)
{
	const struct renewal *row = lineage->item ? lineage->item->row : NULL;
	const char *account = row ? row->account : NULL, *profile = row ? row->profile : NULL;

	if (lineage->not_after == 0) {
		say("  no certificate%s%s", lineage->trouble.code != ERR_NONE ? ": " : "",
		    lineage->trouble.text);
		return;
	}
	print_life(status, lineage);
	say("  names %s", lineage->names);
	say("  issuer %s%s%s%s%s", lineage->issuer, account ? ", account " : "",
	    account ? account : "", profile ? ", profile " : "", profile ? profile : "");
	if (lineage->trouble.code != ERR_NONE) {
		say("  trouble: %s: %s", lineage->trouble.subject, lineage->trouble.text);
	}
}

static void print_renewal(const struct status *status, const struct status_lineage *lineage)
{
	const struct roster_item *item = lineage->item;
	char *why, at[32];

	if (!item && lineage->revoked_at > 0) {
		time_format(at, lineage->revoked_at);
		say("  revoked at %s", at);
	}
	if (!item) {
		say("  renewal: never, the configuration does not name it");
		return;
	}
	if (item->trouble) {
		return;
	}
	/* what failed has a line of its own */
	why = item->plan.state == PLAN_BACKS_OFF ? roster_reason(status->roster, item)
						 : roster_text(status->roster, item);
	time_format(at, item->plan.at_s);
	switch (item->plan.state) {
	case PLAN_WAITS:
		say("  renewal: at %s: %s", at, why);
		break;
	case PLAN_BACKS_OFF:
		say("  renewal: tried again at %s, after %u failure%s: %s", at, item->row->failures,
		    item->row->failures == 1 ? "" : "s", why);
		break;
	case PLAN_DUE:
		say("  renewal: with the next run, due since %s: %s", at, why);
		break;
	default:
		say("  renewal: %s", why);
		break;
	}
	free(why);
}

/* It has a line of its own. */
static bool has_failed_deployment(const struct status_lineage *lineage)
{
	for (size_t i = 0; i < lineage->left_count; i++) {
		if (lineage->left[i].failure) {
			return true;
		}
	}
	return false;
}

static void print_failure(const struct status_lineage *lineage)
{
	const struct renewal *row = lineage->item ? lineage->item->row : NULL;
	char at[32], *text;

	if (row && row->failures > 0) {
		time_format(at, row->failed_at);
		say("  failed at %s: %s", at, row->failure);
	} else if (lineage->has_failure && !has_failed_deployment(lineage)) {
		time_format(at, lineage->failed_at);
		text = err_format(&lineage->failure);
		say("  failed at %s: %s", at, text);
		free(text);
	}
}

static void print_left(const struct status_lineage *lineage)
{
	for (size_t i = 0; i < lineage->left_count; i++) {
		const struct status_left *left = &lineage->left[i];
		char at[32];

		time_format(at, left->failed_at);
		if (left->failure) {
			say("  deploy: %s: failed at %s: %s", left->what, at, left->failure);
		} else {
			say("  deploy: %s: still to be done", left->what);
		}
	}
}

static void print_values(const struct json *values)
{
	for (size_t i = 0; i < json_len(values); i++) {
		const struct json *value = json_at(values, i);
		const char *holder = json_str(value, "holder"), *until = json_str(value, "until");
		const char *name = json_str(value, "name"); /* that an alias led from */

		say("%s %s: %s%s%s, held by %s%s%s", json_str(value, "owner"),
		    json_str(value, "value"), json_str(value, "state"), name ? " for " : "",
		    name ? name : "", holder && holder[0] ? holder : "nobody (sweep)",
		    until ? " until " : "", until ? until : "");
	}
}

static void print_failures(const struct json *failures)
{
	for (size_t i = 0; i < json_len(failures); i++) {
		const struct json *failure = json_at(failures, i);
		const char *name = json_str(failure, "name");

		say("%s %s%s%s failed: %s", json_str(failure, "at"), json_str(failure, "who"),
		    name ? " " : "", name ? name : "", json_str(failure, "text"));
	}
}

void status_print_text(const struct status *status)
{
	char *headline = status_headline(status);

	ui_print(headline, 2); /* one line for monitoring */
	free(headline);
	for (size_t i = 0; i < status->count; i++) {
		const struct status_lineage *lineage = &status->lineages[i];

		puts(lineage->name);
		print_certificate(status, lineage);
		print_renewal(status, lineage);
		print_failure(lineage);
		print_left(lineage);
	}
	print_values(status->values);
	print_failures(status->failures);
}
