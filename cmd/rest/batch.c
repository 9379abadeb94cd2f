/*
 * batch: what a provider's apply does.
 *
 *   FINDING the zone of each owner -> CHANGING, a unit for each owner, or for each zone where the
 *   API writes several owners together -> FINISHING each zone that was changed -> done
 */
#include "internal.h"

struct owner {
	struct batch *batch;
	const char *name;
	const struct rest_zone *zone; /* NULL: not found (yet) */
	struct zone_find *find;
	bool in_unit;
};

struct part {
	struct batch *batch;
	const struct rest_zone *zone;
	struct unit *unit;
	bool wrote;
	struct walk *finish;
};

struct batch {
	struct rest *rest;
	const struct provider_batch *given;
	int64_t deadline_us;
	struct change *changes; /* beside given->changes */
	struct owner *owners;
	size_t owner_count;
	struct part *parts;
	size_t part_count;
	size_t left; /* of what is under way */
	struct world_timer *timer;
	provider_done *done;
	void *arg;
};

static void batch_free(struct batch *batch)
{
	world_timer_cancel(batch->rest->host->world, batch->timer);
	for (size_t i = 0; i < batch->owner_count; i++) {
		zone_find_cancel(batch->owners[i].find);
	}
	for (size_t i = 0; i < batch->part_count; i++) {
		unit_cancel(batch->parts[i].unit);
		walk_cancel(batch->parts[i].finish);
	}
	free(batch->owners);
	free(batch->parts);
	free(batch->changes);
	free(batch);
}

void rest_apply_cancel(void *operation)
{
	if (operation) {
		batch_free(operation);
	}
}

static void end(struct batch *batch)
{
	const size_t count = batch->given->count;
	struct err *results = xcalloc(count + 1, sizeof(*results));
	provider_done *done = batch->done;
	void *arg = batch->arg;

	for (size_t i = 0; i < count; i++) {
		results[i] = batch->changes[i].result;
		if (results[i].code == ERR_NONE && !batch->changes[i].settled) {
			err_set(&results[i], ERR_PROTOCOL, batch->given->changes[i].owner,
				"%s took the change, but does not show it",
				batch->rest->api->provider->name);
		}
	}
	batch_free(batch);
	done(arg, results, count);
	free(results);
}

/* ---- finishing -------------------------------------------------------------------------- */

static struct owner *owner_of(const struct batch *batch, const char *name)
{
	for (size_t i = 0; i < batch->owner_count; i++) {
		if (strcmp(batch->owners[i].name, name) == 0) {
			return &batch->owners[i];
		}
	}
	return NULL;
}

static void fail_zone(struct batch *batch, const struct rest_zone *zone, const struct err *err)
{
	for (size_t i = 0; i < batch->given->count; i++) {
		struct change *change = &batch->changes[i];

		if (change->result.code == ERR_NONE &&
		    owner_of(batch, change->want->owner)->zone == zone) {
			change->result = *err;
			err_subject(&change->result, "%s", change->want->owner);
		}
	}
}

static void on_finished(void *arg, const struct walk_end *walk)
{
	struct part *part = arg;
	struct batch *batch = part->batch;

	part->finish = NULL;
	if (walk->next != REST_DONE) {
		struct err err = *walk->err;

		err.code = ERR_PROTOCOL; /* the change itself was made */
		said_where(batch->rest, &err, "make the changes public", part->zone);
		fail_zone(batch, part->zone, &err);
	}
	if (--batch->left == 0) {
		end(batch);
	}
}

/* Once a zone, in the hands of the first of its parts. */
static bool finishes(const struct batch *batch, const struct part *part)
{
	for (const struct part *at = batch->parts; at < part; at++) {
		if (at->zone == part->zone && at->wrote) {
			return false;
		}
	}
	return part->wrote && batch->rest->api->finish;
}

static void finish_zones(struct batch *batch)
{
	for (size_t i = 0; i < batch->part_count; i++) {
		struct part *part = &batch->parts[i];
		struct rest_walk pub = { .zone = part->zone };

		if (finishes(batch, part)) {
			part->finish = walk_start(batch->rest, batch->rest->api->finish, &pub,
						  batch->deadline_us);
			walk_then(part->finish, on_finished, part);
			batch->left++;
		}
	}
	if (batch->left == 0) {
		end(batch);
	}
}

/* ---- changing ----------------------------------------------------------------------------- */

static void on_unit(void *arg, bool wrote)
{
	struct part *part = arg;

	part->unit = NULL;
	part->wrote = wrote;
	if (--part->batch->left == 0) {
		finish_zones(part->batch);
	}
}

/* Of owner alone, or of all in its zone. */
static void start_part(struct batch *batch, struct owner *owner)
{
	const bool together = batch->rest->api->write_many;
	struct part *part = &batch->parts[batch->part_count++];
	struct unit_args args = { .rest = batch->rest,
				  .zone = owner->zone,
				  .deadline_us = batch->deadline_us };

	args.changes = xcalloc(batch->given->count, sizeof(struct change *));
	for (size_t i = 0; i < batch->given->count; i++) {
		struct owner *of = owner_of(batch, batch->given->changes[i].owner);

		if (of == owner || (together && of->zone == owner->zone)) {
			args.changes[args.count++] = &batch->changes[i];
			of->in_unit = true;
		}
	}
	*part = (struct part){ .batch = batch, .zone = owner->zone };
	part->unit = unit_start(&args, on_unit, part);
	batch->left++;
}

static void start_parts(struct batch *batch)
{
	batch->parts = xcalloc(batch->owner_count + 1, sizeof(*batch->parts));
	for (size_t i = 0; i < batch->owner_count; i++) {
		if (batch->owners[i].zone && !batch->owners[i].in_unit) {
			start_part(batch, &batch->owners[i]);
		}
	}
	if (batch->left == 0) {
		end(batch);
	}
}

/* ---- finding -------------------------------------------------------------------------------- */

static void on_zone(void *arg, const struct err *err, const struct rest_zone *zone)
{
	struct owner *owner = arg;
	struct batch *batch = owner->batch;

	owner->find = NULL;
	owner->zone = zone;
	for (size_t i = 0; i < batch->given->count && err; i++) {
		struct change *change = &batch->changes[i];

		if (strcmp(change->want->owner, owner->name) == 0) {
			change->result = *err;
			change->settled = true;
		}
	}
	if (--batch->left == 0) {
		start_parts(batch);
	}
}

static void on_begin(void *arg)
{
	struct batch *batch = arg;

	batch->timer = NULL;
	for (size_t i = 0; i < batch->given->count; i++) {
		const char *name = batch->given->changes[i].owner;

		batch->changes[i].want = &batch->given->changes[i];
		if (!owner_of(batch, name)) {
			batch->owners[batch->owner_count++] =
				(struct owner){ .batch = batch, .name = name };
		}
	}
	batch->left = batch->owner_count;
	for (size_t i = 0; i < batch->owner_count; i++) {
		struct owner *owner = &batch->owners[i];

		owner->find = zone_find_start(batch->rest, owner->name, batch->given->zone,
					      batch->deadline_us);
		zone_find_then(owner->find, on_zone, owner);
	}
	if (batch->owner_count == 0) {
		end(batch);
	}
}

void *rest_apply_start(void *instance, const struct provider_batch *given, provider_done *done,
		       void *arg)
{
	struct rest *rest = instance;
	struct batch *batch = xcalloc(1, sizeof(*batch));

	batch->rest = rest;
	batch->given = given;
	batch->deadline_us = rest_now_us(rest) + rest->timeout_ms * 1000;
	batch->done = done;
	batch->arg = arg;
	batch->changes = xcalloc(given->count + 1, sizeof(*batch->changes));
	batch->owners = xcalloc(given->count + 1, sizeof(*batch->owners));
	batch->timer = world_timer_start(rest->host->world, 0, on_begin, batch);
	return batch;
}
