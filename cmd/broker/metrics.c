/* metrics: counts in the text format of Prometheus (version 0.0.4). */
#include "internal.h"

#include <assert.h>
#include <inttypes.h>

static const char *const door_names[] = {
	[DOOR_API] = "api",
	[DOOR_HTTPREQ] = "httpreq",
	[DOOR_ACMEDNS] = "acmedns",
	[DOOR_UPDATE] = "update",
};
static_assert(ARRAY_LEN(door_names) == DOOR_COUNT, "a name for each door");

static const char *const outcome_names[] = {
	[OUTCOME_GRANTED] = "granted",
	[OUTCOME_REFUSED] = "refused",
	[OUTCOME_FAILED] = "failed",
	[OUTCOME_LIMITED] = "limited",
};
static_assert(ARRAY_LEN(outcome_names) == OUTCOME_COUNT, "a name for each outcome");

/* Upper bounds, milliseconds. */
static const int64_t bounds_ms[BUCKETS] = { 5,    10,   25,    50,    100,    250,
					    1000, 5000, 15000, 60000, 180000, 600000 };

const char *door_name(enum door door)
{
	return door < DOOR_COUNT ? door_names[door] : "?";
}

void metrics_count(struct broker *broker, const char *door, enum outcome outcome)
{
	for (enum door i = 0; i < DOOR_COUNT; i++) {
		if (strcmp(door_names[i], door) == 0) {
			broker->metrics.requests[i][outcome]++;
		}
	}
}

void metrics_time(struct histogram *histogram, int64_t us)
{
	size_t bucket = 0;

	while (bucket < BUCKETS && us > bounds_ms[bucket] * 1000) {
		bucket++;
	}
	histogram->count[bucket]++;
	histogram->total++;
	histogram->sum_us += us;
}

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_addf(out, "# HELP dns01_%s %s\n# TYPE dns01_%s %s\n", name, help, name, type);
}

static void add_histogram(struct buf *out, const char *name, const char *help,
			  const struct histogram *histogram)
{
	uint64_t sum = 0;

	head(out, name, "histogram", help);
	for (size_t i = 0; i < BUCKETS; i++) {
		sum += histogram->count[i];
		buf_addf(out, "dns01_%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
			 (double)bounds_ms[i] / 1000, sum);
	}
	buf_addf(out, "dns01_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, histogram->total);
	buf_addf(out, "dns01_%s_sum %.6f\n", name, (double)histogram->sum_us / 1e6);
	buf_addf(out, "dns01_%s_count %" PRIu64 "\n", name, histogram->total);
}

char *metrics_text(const struct broker *broker)
{
	const struct metrics *metrics = &broker->metrics;
	struct buf out = BUF_INIT(256 * 1024);

	head(&out, "requests_total", "counter", "Values asked for, by door and outcome.");
	for (enum door door = 0; door < DOOR_COUNT; door++) {
		for (enum outcome i = 0; i < OUTCOME_COUNT; i++) {
			buf_addf(&out,
				 "dns01_requests_total{door=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
				 door_names[door], outcome_names[i], metrics->requests[door][i]);
		}
	}
	head(&out, "errors_total", "counter", "Failures, by cause.");
	for (enum err_code code = ERR_NONE + 1; code < ERR_COUNT; code++) {
		buf_addf(&out, "dns01_errors_total{cause=\"%s\"} %" PRIu64 "\n",
			 err_code_name(code), metrics->errors[code]);
	}
	head(&out, "values", "gauge", "Values of clients that are held, or on their way.");
	buf_addf(&out, "dns01_values %zu\n", broker->claim_count);
	head(&out, "waiting", "gauge", "Values on their way.");
	buf_addf(&out, "dns01_waiting %zu\n", broker->waiting);
	head(&out, "update_batches_total", "counter",
	     "Changes sent to providers, each many values.");
	buf_addf(&out, "dns01_update_batches_total %" PRIu64 "\n", metrics->batches);
	head(&out, "update_changes_total", "counter", "Values in those changes.");
	buf_addf(&out, "dns01_update_changes_total %" PRIu64 "\n", metrics->batch_changes);
	add_histogram(&out, "publish_seconds", "From the request until the primary has the value.",
		      &metrics->publish);
	add_histogram(&out, "propagation_seconds", "From then until every watched server shows it.",
		      &metrics->propagation);
	return buf_detach(&out);
}
