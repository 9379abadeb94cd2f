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

/* Upper bounds: of times in microseconds, of batches in values. */
#define S INT64_C(1000000)
static const int64_t time_bounds[BUCKETS] = { 5000, 10000, 25000,  50000,  100000,  250000,
					      S,    5 * S, 15 * S, 60 * S, 180 * S, 600 * S };
static const int64_t size_bounds[BUCKETS] = {
	1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 4000
};

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

static void count_in(struct histogram *histogram, const int64_t bounds[BUCKETS], int64_t value)
{
	size_t bucket = 0;

	while (bucket < BUCKETS && value > bounds[bucket]) {
		bucket++;
	}
	histogram->count[bucket]++;
	histogram->total++;
	histogram->sum += value;
}

void metrics_time(struct histogram *histogram, int64_t us)
{
	count_in(histogram, time_bounds, us);
}

void metrics_size(struct histogram *histogram, size_t size)
{
	count_in(histogram, size_bounds, (int64_t)size);
}

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_addf(out, "# HELP dns01_%s %s\n# TYPE dns01_%s %s\n", name, help, name, type);
}

struct shown {
	const char *name, *help;
	const int64_t *bounds;
	double unit; /* of one that is counted */
};

static void add_histogram(struct buf *out, const struct histogram *histogram,
			  const struct shown *shown)
{
	const char *name = shown->name;
	uint64_t sum = 0;

	head(out, name, "histogram", shown->help);
	for (size_t i = 0; i < BUCKETS; i++) {
		sum += histogram->count[i];
		buf_addf(out, "dns01_%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
			 (double)shown->bounds[i] * shown->unit, sum);
	}
	buf_addf(out, "dns01_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, histogram->total);
	buf_addf(out, "dns01_%s_sum %.6f\n", name, (double)histogram->sum * shown->unit);
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
	buf_addf(&out, "dns01_values %zu\n", broker->live_count);
	head(&out, "waiting", "gauge", "Values on their way.");
	buf_addf(&out, "dns01_waiting %zu\n", broker->waiting);
	head(&out, "update_messages_total", "counter", "DNS UPDATE messages sent.");
	buf_addf(&out, "dns01_update_messages_total %" PRIu64 "\n",
		 dns_client_updates(broker->dns));
	add_histogram(&out, &metrics->batches,
		      &(struct shown){ "update_batch_values",
				       "Changes sent to providers, by how many values each has.",
				       size_bounds, 1 });
	add_histogram(&out, &metrics->publish,
		      &(struct shown){ "publish_seconds",
				       "From the request until the primary has the value.",
				       time_bounds, 1e-6 });
	add_histogram(&out, &metrics->propagation,
		      &(struct shown){ "propagation_seconds",
				       "From then until every watched server shows it.",
				       time_bounds, 1e-6 });
	return buf_detach(&out);
}
