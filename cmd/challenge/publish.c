/*
 * publish: the values that one requester holds, spread over the lanes of their
 * zones; a zone with several providers has each value in each of them.
 *
 *   part:  QUEUED -> HELD -> LEAVING -> GONE
 *            \-> FAILED ----^  (it may be in DNS all the same)
 */
#include "lane.h"

enum part_state { PART_QUEUED, PART_HELD, PART_FAILED, PART_LEAVING, PART_GONE };

struct part {
	struct publish *publish;
	struct lane *lane; /* NULL: its provider could not be opened */
	struct lane_job job;
	enum part_state state;
	size_t item; /* its place among the items */
	char *owner;
	char *value;
	char *asked; /* as in journal_want */
};

struct publish {
	struct publisher *publisher;
	struct part *parts;
	size_t count;
	struct lease_spec lease;
	char *requester;
	bool defer;
	bool retracting;
	bool settled; /* done of publish_start was called, or is not wanted any more */
	struct world_timer *report;
	struct err *err; /* the first failure, or NULL */
	publish_done *done;
	void *arg;
	struct publish *prev, *next;
};

static void publish_free(struct publish *publish)
{
	if (publish->prev) {
		publish->prev->next = publish->next;
	} else {
		publish->publisher->publishes = publish->next;
	}
	if (publish->next) {
		publish->next->prev = publish->prev;
	}
	world_timer_cancel(publish->publisher->args.world, publish->report);
	for (size_t i = 0; i < publish->count; i++) {
		job_set_err(&publish->parts[i].job, NULL);
		free(publish->parts[i].owner);
		free(publish->parts[i].value);
		free(publish->parts[i].asked);
	}
	free(publish->err);
	free(publish->parts);
	free(publish->requester);
	free(publish);
}

/* ---- telling the requester ------------------------------------------------- */

static void on_report(void *arg)
{
	struct publish *publish = arg;
	publish_done *done = publish->done;
	void *done_arg = publish->arg;
	struct err *err = publish->err;

	publish->report = NULL;
	publish->settled = true;
	publish->err = NULL;
	if (publish->retracting) {
		publish_free(publish);
	}
	done(done_arg, err);
	free(err);
}

static bool all_parts(const struct publish *publish, bool (*is)(const struct part *part))
{
	for (size_t i = 0; i < publish->count; i++) {
		if (!is(&publish->parts[i])) {
			return false;
		}
	}
	return true;
}

static bool part_is_gone(const struct part *part)
{
	return part->state == PART_GONE;
}

static bool part_is_settled(const struct part *part)
{
	return part->state != PART_QUEUED;
}

static void look(struct publish *publish)
{
	bool over = publish->retracting ? all_parts(publish, part_is_gone)
					: !publish->settled && all_parts(publish, part_is_settled);

	if (over && !publish->report) {
		publish->report =
			world_timer_start(publish->publisher->args.world, 0, on_report, publish);
	}
}

/* ---- parts ----------------------------------------------------------------- */

static void part_leave(struct part *part);

static void note_err(struct part *part)
{
	struct publish *publish = part->publish;

	if (part->job.err && !publish->err) {
		publish->err = err_box(part->job.err);
		err_subject(publish->err, "%s", part->owner);
	}
}

static void on_wanted(struct lane_job *job)
{
	struct part *part = job->arg;

	part->state = job->err ? PART_FAILED : PART_HELD;
	if (part->publish->retracting) {
		part_leave(part);
	} else {
		note_err(part);
	}
	look(part->publish);
}

static void on_left(struct lane_job *job)
{
	struct part *part = job->arg;

	part->state = PART_GONE;
	note_err(part);
	look(part->publish);
}

static void part_leave(struct part *part)
{
	if (!part->lane || part->job.lease_id == 0) {
		part->state = PART_GONE;
		return;
	}
	part->state = PART_LEAVING;
	part->job.kind = JOB_LET_GO;
	part->job.done = on_left;
	lane_queue(part->lane, &part->job);
}

static uint32_t ttl_for(const struct conf_zone *zone, const struct provider *provider)
{
	uint32_t ttl_s = (uint32_t)zone->ttl_s;

	return ttl_s > provider->ttl_min_s ? ttl_s : provider->ttl_min_s;
}

static void part_init(struct part *part, struct publish *publish, const struct publish_item *item,
		      const char *provider)
{
	const struct route *route = item->route;
	const struct provider_in_use *use = NULL;
	struct err err;

	*part = (struct part){ .publish = publish,
			       .owner = xstrdup(route->owner),
			       .value = xstrdup(item->value),
			       .asked = route->hops.count > 0 ? xstrdup(route->name) : NULL };
	part->job = (struct lane_job){
		.kind = JOB_WANT,
		.owner = part->owner,
		.value = part->value,
		.view = route->settings->view,
		.asked = part->asked,
		.defer = publish->defer,
		.lease = &publish->lease,
		.done = on_wanted,
		.arg = part,
	};
	if (provider_pool_get(publish->publisher->args.pool, provider, &use, &err) != ERR_NONE) {
		job_set_err(&part->job, &err);
		part->state = PART_FAILED;
		note_err(part);
		return;
	}
	part->job.ttl_s = ttl_for(route->settings, use->provider);
	part->lane = lane_get(publish->publisher, route->zone, use);
}

static struct publish *publish_new(struct publisher *publisher, const char *requester)
{
	struct publish *publish = xcalloc(1, sizeof(*publish));

	publish->publisher = publisher;
	publish->requester = xstrdup(requester);
	publish->next = publisher->publishes;
	if (publish->next) {
		publish->next->prev = publish;
	}
	publisher->publishes = publish;
	return publish;
}

struct publish *publish_start(struct publisher *publisher, const struct publish_args *args,
			      publish_done *done, void *arg)
{
	struct publish *publish = publish_new(publisher, args->lease.requester);
	size_t count = 0;

	publish->lease = args->lease;
	publish->defer = args->defer;
	publish->lease.requester = publish->requester;
	publish->done = done;
	publish->arg = arg;
	for (size_t i = 0; i < args->count; i++) {
		count += args->items[i].route->settings->providers.count;
	}
	publish->parts = xcalloc(count + 1, sizeof(*publish->parts));
	for (size_t i = 0; i < args->count; i++) {
		const struct strlist *providers = &args->items[i].route->settings->providers;

		for (size_t k = 0; k < providers->count; k++) {
			struct part *part = &publish->parts[publish->count++];

			part_init(part, publish, &args->items[i], providers->item[k]);
			part->item = i;
		}
	}
	/* None is sent when one cannot be: a half-published order helps nobody. */
	for (size_t i = 0; i < publish->count && !publish->err; i++) {
		lane_queue(publish->parts[i].lane, &publish->parts[i].job);
	}
	for (size_t i = 0; i < publish->count && publish->err; i++) {
		publish->parts[i].state = PART_FAILED;
	}
	look(publish);
	return publish;
}

struct publish *publish_adopt(struct publisher *publisher, const struct journal_row *rows,
			      size_t count)
{
	struct publish *publish = publish_new(publisher, rows[0].requester);

	publish->settled = true;
	publish->parts = xcalloc(count + 1, sizeof(*publish->parts));
	for (size_t i = 0; i < count; i++) {
		struct part *part = &publish->parts[publish->count++];
		const struct provider_in_use *use = NULL;
		struct err err;

		*part = (struct part){ .publish = publish,
				       .state = PART_HELD,
				       .owner = xstrdup(rows[i].owner),
				       .value = xstrdup(rows[i].value) };
		part->job = (struct lane_job){ .owner = part->owner,
					       .value = part->value,
					       .lease_id = rows[i].lease_id,
					       .row_id = rows[i].ref.row_id,
					       .arg = part };
		if (provider_pool_get_conf(publisher->args.pool, rows[i].provider,
					   rows[i].provider_conf, &use, &err) != ERR_NONE) {
			log_warn("%s: %s: %s; it stays in the journal until its lease ends",
				 rows[i].owner, rows[i].provider, err.text);
			continue;
		}
		part->lane = lane_get(publisher, rows[i].zone, use);
	}
	return publish;
}

const struct addr *publish_shown_at(const struct publish *publish, size_t index)
{
	for (size_t i = 0; i < publish->count; i++) {
		if (publish->parts[i].item == index && publish->parts[i].job.shown_at) {
			return publish->parts[i].job.shown_at;
		}
	}
	return NULL;
}

void publish_retract(struct publish *publish, publish_done *done, void *arg)
{
	publish->retracting = true;
	publish->done = done;
	publish->arg = arg;
	world_timer_cancel(publish->publisher->args.world, publish->report);
	publish->report = NULL;
	free(publish->err);
	publish->err = NULL;
	for (size_t i = 0; i < publish->count; i++) {
		struct part *part = &publish->parts[i];

		if (part->state == PART_QUEUED && lane_drop(part->lane, &part->job)) {
			part->state = PART_GONE;
		} else if (part->state == PART_HELD || part->state == PART_FAILED) {
			part_leave(part);
		}
	}
	look(publish);
}

void publish_forget(struct publish *publish)
{
	if (publish && publish->settled && !publish->retracting) {
		publish_free(publish);
	}
}

/* ---- the publisher --------------------------------------------------------- */

struct publisher *publisher_new(const struct publisher_args *args)
{
	struct publisher *publisher = xcalloc(1, sizeof(*publisher));

	publisher->args = *args;
	return publisher;
}

void publisher_free(struct publisher *publisher)
{
	if (!publisher) {
		return;
	}
	lanes_free(publisher->lanes);
	sweeps_free(publisher->sweeps);
	while (publisher->publishes) {
		publish_free(publisher->publishes);
	}
	free(publisher);
}
