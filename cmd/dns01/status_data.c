/* What `dns01 status` found out, as JSON, and in the text format that node_exporter's textfile
 * collector reads. */
#include "status.h"

#define DAY_S 86400

static void set_time(struct json *object, const char *key, int64_t unix_s)
{
	char time[32];

	if (unix_s > 0) {
		time_format(time, unix_s);
		json_set_str(object, key, time);
	}
}

/* ---- JSON ------------------------------------------------------------------------------ */

static void set_renewal(const struct status *status, struct json *object,
			const struct roster_item *item)
{
	const struct renewal *row = item->row;
	struct json *renewal = json_object();

	renew_plan_json(renewal, status->roster, item);
	json_set_int(renewal, "failures", row->failures);
	json_set_bool(renewal, "paused", row->paused);
	set_time(renewal, "window_start", row->window_start);
	set_time(renewal, "window_end", row->window_end);
	json_set_str(renewal, "explanation", row->explanation);
	json_set(object, "renewal", renewal);
	json_set_str(object, "account", row->account);
	json_set_str(object, "profile", row->profile);
	json_set_str(object, "key_type", row->key_type);
}

static struct json *left_json(const struct status_lineage *lineage)
{
	struct json *array = json_array();

	for (size_t i = 0; i < lineage->left_count; i++) {
		struct json *object = json_object();

		json_set_str(object, "what", lineage->left[i].what);
		json_set_str(object, "failure", lineage->left[i].failure);
		set_time(object, "failed_at", lineage->left[i].failed_at);
		json_add(array, object);
	}
	return array;
}

static void set_failure(struct json *object, const struct status_lineage *lineage)
{
	const struct renewal *row = lineage->item ? lineage->item->row : NULL;

	if (lineage->has_failure) {
		set_time(object, "failed_at", lineage->failed_at);
		json_set(object, "failure", cli_err_json(&lineage->failure));
	} else if (row && row->failures > 0) {
		struct json *failure = json_object();

		set_time(object, "failed_at", row->failed_at);
		json_set_str(failure, "text", row->failure);
		json_set(object, "failure", failure);
	}
}

/* Words with blanks between. */
static struct json *words_json(const char *words)
{
	struct json *array = json_array();
	struct strlist list = { 0 };

	strlist_add_words(&list, words);
	for (size_t i = 0; i < list.count; i++) {
		json_add_str(array, list.item[i]);
	}
	strlist_clear(&list);
	return array;
}

static struct json *lineage_json(const struct status *status, const struct status_lineage *lineage)
{
	struct json *object = json_object();

	json_set_str(object, "lineage", lineage->name);
	json_set_str(object, "status", status_level_name(lineage->level));
	json_set_str(object, "problem", lineage->problem);
	json_set_bool(object, "configured", lineage->item != NULL);
	if (lineage->not_after > 0) {
		set_time(object, "not_before", lineage->not_before);
		set_time(object, "not_after", lineage->not_after);
		json_set_int(object, "days_left", (lineage->not_after - status->now_s) / DAY_S);
		json_set_str(object, "issuer", lineage->issuer);
		json_set(object, "names", words_json(lineage->names));
		json_set_str(object, "serial", lineage->serial);
		if (lineage->revoked_at > 0) {
			set_time(object, "revoked_at", lineage->revoked_at);
		}
	}
	if (lineage->trouble.code != ERR_NONE) {
		json_set(object, "trouble", cli_err_json(&lineage->trouble));
	}
	if (lineage->item) {
		set_renewal(status, object, lineage->item);
	}
	set_failure(object, lineage);
	json_set(object, "to_deploy", left_json(lineage));
	return object;
}

void status_print_json(const struct status *status)
{
	struct json *object = json_object(), *lineages = json_array();
	char *headline = status_headline(status), *text;

	for (size_t i = 0; i < status->count; i++) {
		json_add(lineages, lineage_json(status, &status->lineages[i]));
	}
	json_set_str(object, "status", status_level_name(status->level));
	json_set_str(object, "text", headline);
	json_set(object, "lineages", lineages);
	json_set(object, "values", json_copy(status->values));
	json_set(object, "failures", json_copy(status->failures));
	text = json_pretty(object);
	puts(text);
	free(text);
	free(headline);
	json_free(object);
}

/* ---- Prometheus --------------------------------------------------------------------------- */

/* False: this lineage has no such figure. */
typedef bool figure_fn(const struct status_lineage *lineage, int64_t *out);

static bool figure_not_before(const struct status_lineage *lineage, int64_t *out)
{
	*out = lineage->not_before;
	return lineage->not_after > 0;
}

static bool figure_not_after(const struct status_lineage *lineage, int64_t *out)
{
	*out = lineage->not_after;
	return lineage->not_after > 0;
}

static bool figure_renewal(const struct status_lineage *lineage, int64_t *out)
{
	*out = lineage->item ? lineage->item->plan.at_s : 0;
	return lineage->item && !lineage->item->trouble;
}

static bool figure_failures(const struct status_lineage *lineage, int64_t *out)
{
	*out = lineage->item ? lineage->item->row->failures : 0;
	return lineage->item != NULL;
}

static bool figure_paused(const struct status_lineage *lineage, int64_t *out)
{
	*out = lineage->item && lineage->item->row->paused;
	return lineage->item != NULL;
}

static bool figure_to_deploy(const struct status_lineage *lineage, int64_t *out)
{
	*out = (int64_t)lineage->left_count;
	return lineage->item != NULL;
}

static bool figure_level(const struct status_lineage *lineage, int64_t *out)
{
	*out = lineage->level;
	return true;
}

static const struct {
	const char *name, *help;
	figure_fn *figure;
} figures[] = {
	{ "dns01_certificate_not_before_timestamp_seconds", "Begin of the certificate's life.",
	  figure_not_before },
	{ "dns01_certificate_not_after_timestamp_seconds", "End of the certificate's life.",
	  figure_not_after },
	{ "dns01_certificate_renewal_timestamp_seconds",
	  "When it is renewed next; in the past: it is due.", figure_renewal },
	{ "dns01_certificate_renewal_failures", "Failed renewals since the last success.",
	  figure_failures },
	{ "dns01_certificate_paused", "1: the CA wants a person.", figure_paused },
	{ "dns01_certificate_to_deploy", "Exports and commands that are still to be done.",
	  figure_to_deploy },
	{ "dns01_certificate_status", "0 ok, 1 warning, 2 critical.", figure_level },
};

static void print_label(const char *text)
{
	for (; *text; text++) {
		if (*text == '\n') {
			fputs("\\n", stdout);
			continue;
		}
		if (*text == '\\' || *text == '"') {
			putchar('\\');
		}
		putchar(*text);
	}
}

static void print_single(const char *name, const char *help, int64_t value)
{
	printf("# HELP %s %s\n# TYPE %s gauge\n%s %lld\n", name, help, name, name,
	       (long long)value);
}

void status_print_prometheus(const struct status *status)
{
	for (size_t i = 0; i < ARRAY_LEN(figures); i++) {
		printf("# HELP %s %s\n# TYPE %s gauge\n", figures[i].name, figures[i].help,
		       figures[i].name);
		for (size_t j = 0; j < status->count; j++) {
			int64_t value;

			if (figures[i].figure(&status->lineages[j], &value)) {
				printf("%s{lineage=\"", figures[i].name);
				print_label(status->lineages[j].name);
				printf("\"} %lld\n", (long long)value);
			}
		}
	}
	print_single("dns01_values", "TXT values of ours that may be in DNS.",
		     (int64_t)json_len(status->values));
	print_single("dns01_status", "The worst of all: 0 ok, 1 warning, 2 critical.",
		     (int64_t)status->level);
	print_single("dns01_status_timestamp_seconds", "When this was found out.", status->now_s);
}
