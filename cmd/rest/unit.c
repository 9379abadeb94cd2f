/*
 * unit: the changes of one owner name, or of several that the API writes together.
 *
 *   READING each set -> CHANGING what differs -> done
 *      ^                   |  a reply was lost, another writer got in between,
 *      +---- PAUSED <------+  or the API wants to be looked at after a write
 *
 * What is there is read before it is changed, each time: so nothing is written twice, and what
 * others wrote meanwhile stays.
 */
#include "internal.h"

enum unit_state { UNIT_READING, UNIT_CHANGING, UNIT_PAUSED };

static const char *const state_names[] = {
	[UNIT_READING] = "reading",
	[UNIT_CHANGING] = "changing",
	[UNIT_PAUSED] = "paused",
};

struct unit {
	struct rest *rest;
	const struct rest_zone *zone;
	struct change **changes;
	size_t count;
	int64_t deadline_us;
	enum unit_state state;
	struct rest_set *sets;
	size_t set_count;
	size_t at;      /* reading: of sets; changing: of changes, or of the sets to write */
	size_t reading; /* sets that the read under way has */
	size_t writing; /* the same of the write */
	size_t differ;  /* sets that are to be written: the first ones */
	bool single;    /* they are written one by one: together they were refused */
	unsigned tries;
	bool wrote, unsure, again;
	bool conflict;           /* the round failed by another writer alone */
	struct rest_value named; /* the one that is changed; borrowed */
	struct walk *walk;
	struct world_timer *timer;
	unit_done *done;
	void *arg;
};

static void begin_round(void *arg);
static void read_next(struct unit *unit);
static void change_next(struct unit *unit);
static void write_next(struct unit *unit);

static void set_state(struct unit *unit, enum unit_state state)
{
	log_debug("%s: %s%s: %s -> %s", unit->rest->api->provider->name, unit->sets[0].owner,
		  unit->set_count > 1 ? " and others" : "", state_names[unit->state],
		  state_names[state]);
	unit->state = state;
}

static const struct rest_api *api_of(const struct unit *unit)
{
	return unit->rest->api;
}

/* ---- ends ------------------------------------------------------------------------------- */

static void unit_free(struct unit *unit)
{
	walk_cancel(unit->walk);
	world_timer_cancel(unit->rest->host->world, unit->timer);
	for (size_t i = 0; i < unit->set_count; i++) {
		set_clear(&unit->sets[i]);
	}
	free(unit->sets);
	free(unit->changes);
	free(unit);
}

void unit_cancel(struct unit *unit)
{
	if (unit) {
		unit_free(unit);
	}
}

static void finish(struct unit *unit)
{
	unit_done *done = unit->done;
	void *arg = unit->arg;
	bool wrote = unit->wrote;

	unit_free(unit);
	done(arg, wrote);
}

static bool surely_not_done(enum err_code code)
{
	return code == ERR_DENIED || code == ERR_CONFIG || code == ERR_USAGE;
}

/* err as it came from a walk; NULL: none. */
static void set_result(struct unit *unit, struct change *change, const char *task,
		       const struct err *err)
{
	err_clear(&change->result);
	if (!err) {
		return;
	}
	change->result = *err;
	said_where(unit->rest, &change->result, task, api_of(unit)->zone ? unit->zone : NULL);
	err_subject(&change->result, "%s", change->want->owner);
	if (unit->unsure && surely_not_done(err->code)) {
		change->result.code = ERR_PROTOCOL;
	}
	if (err->code == ERR_NOT_FOUND) {
		zones_forget(unit->rest);
	}
}

static bool of_set(const struct change *change, const struct rest_set *set)
{
	return strcmp(change->want->owner, set->owner) == 0;
}

static void set_results(struct unit *unit, const struct rest_set *set, const char *task,
			const struct walk_end *end)
{
	for (size_t i = 0; i < unit->count; i++) {
		struct change *change = unit->changes[i];

		if (!change->settled && of_set(change, set)) {
			set_result(unit, change, task, end ? end->err : NULL);
			change->settled = !end || !end->again;
			change->later = !change->settled;
		}
	}
}

/* ---- rounds ------------------------------------------------------------------------------- */

static bool has_open(const struct unit *unit, const struct rest_set *set, bool removals)
{
	for (size_t i = 0; i < unit->count; i++) {
		const struct change *change = unit->changes[i];

		if (!change->settled && (!set || of_set(change, set)) &&
		    (!removals || !change->want->publish)) {
			return true;
		}
	}
	return false;
}

static int64_t asked_pause_us(const struct unit *unit)
{
	int64_t pause_s = 0;

	for (size_t i = 0; i < unit->count; i++) {
		const struct change *change = unit->changes[i];

		if (!change->settled && change->result.retry_after_s > pause_s) {
			pause_s = change->result.retry_after_s;
		}
	}
	return pause_s * 1000000;
}

static void end_round(struct unit *unit)
{
	struct rest *rest = unit->rest;
	int64_t pause_us;

	if (!has_open(unit, NULL, false) || ++unit->tries >= REST_TRIES_MAX) {
		finish(unit);
		return;
	}
	pause_us = asked_pause_us(unit);
	if (pause_us == 0 && unit->again) {
		pause_us = rest_pause_us(rest, unit->tries - 1) / (unit->conflict ? 8 : 1);
	}
	if (rest_now_us(rest) + pause_us > unit->deadline_us) {
		finish(unit);
		return;
	}
	set_state(unit, UNIT_PAUSED);
	unit->timer = world_timer_start(rest->host->world, pause_us, begin_round, unit);
}

static void begin_round(void *arg)
{
	struct unit *unit = arg;

	unit->timer = NULL;
	unit->at = 0;
	unit->again = false;
	for (size_t i = 0; i < unit->count; i++) {
		unit->changes[i]->later = false;
	}
	set_state(unit, UNIT_READING);
	read_next(unit);
}

/* ---- reading -------------------------------------------------------------------------------- */

static const char read_task[] = "read the TXT records";

static void on_read(void *arg, const struct walk_end *end)
{
	struct unit *unit = arg;

	unit->walk = NULL;
	unit->again = unit->again || (end->next != REST_DONE && end->again);
	for (; unit->reading > 0; unit->reading--, unit->at++) {
		struct rest_set *set = &unit->sets[unit->at];

		if (end->next != REST_DONE) {
			set_results(unit, set, read_task, end);
		}
		set->is_known = end->next == REST_DONE && !end->silent;
	}
	read_next(unit);
}

/* An API that refuses twins needs no look before the first try to add. */
static bool needs_read(const struct unit *unit, const struct rest_set *set)
{
	if (!api_of(unit)->read || !has_open(unit, set, false)) {
		return false;
	}
	return !api_of(unit)->refuses_twins || unit->tries > 0 || has_open(unit, set, true);
}

static struct walk *start_walk(struct unit *unit, rest_step *step, const struct rest_walk *pub,
			       walk_done *done)
{
	struct rest_walk whole = *pub;
	struct walk *walk;

	whole.zone = unit->zone;
	walk = walk_start(unit->rest, step, &whole, unit->deadline_us);
	walk_then(walk, done, unit);
	return walk;
}

/* From unit->at on; gives how many. */
static size_t forget_rest(struct unit *unit)
{
	for (size_t i = unit->at; i < unit->set_count; i++) {
		set_forget(&unit->sets[i]);
	}
	return unit->set_count - unit->at;
}

static void begin_writes(struct unit *unit);

static void read_next(struct unit *unit)
{
	for (; unit->at < unit->set_count; unit->at++) {
		struct rest_set *set = &unit->sets[unit->at];
		struct rest_walk pub = { .set = set, .sets = set, .set_count = 1 };

		set_forget(set);
		if (!needs_read(unit, set)) {
			continue;
		}
		if (api_of(unit)->read_many) {
			pub.set_count = forget_rest(unit);
		}
		unit->reading = pub.set_count;
		unit->walk = start_walk(unit, api_of(unit)->read, &pub, on_read);
		return;
	}
	set_state(unit, UNIT_CHANGING);
	unit->at = 0;
	if (api_of(unit)->write) {
		begin_writes(unit);
	} else {
		change_next(unit);
	}
}

/* ---- records -------------------------------------------------------------------------------- */

static const char *task_of(const struct change *change)
{
	return change->want->publish ? "add the TXT record" : "remove the TXT record";
}

static struct rest_set *set_of(struct unit *unit, const struct change *change)
{
	for (size_t i = 0; i < unit->set_count; i++) {
		if (of_set(change, &unit->sets[i])) {
			return &unit->sets[i];
		}
	}
	return NULL;
}

static struct rest_value *find_value(struct rest_set *set, const char *text)
{
	for (size_t i = 0; i < set->value_count; i++) {
		if (strcmp(set->value[i].text, text) == 0) {
			return &set->value[i];
		}
	}
	return NULL;
}

static void forget_value(struct rest_set *set, struct rest_value *value)
{
	struct rest_value gone = *value;

	*value = set->value[--set->value_count];
	free(gone.text);
	free(gone.raw);
	free(gone.id);
}

static void on_changed(void *arg, const struct walk_end *end)
{
	struct unit *unit = arg;
	struct change *change = unit->changes[unit->at];
	struct rest_set *set = set_of(unit, change);
	struct rest_value *value = find_value(set, change->want->value);

	unit->walk = NULL;
	unit->unsure = unit->unsure || end->unsure;
	unit->wrote = unit->wrote || end->next == REST_DONE || end->unsure;
	if (end->next != REST_DONE) {
		bool again =
			(end->again || end->next == REST_CONFLICT) && !api_of(unit)->not_repeatable;

		set_result(unit, change, task_of(change), end->err);
		change->settled = !again;
		change->later = again;
		unit->again = unit->again || again;
		unit->at++;
	} else if (!change->want->publish && value) {
		forget_value(set, value); /* and its twin, if there is one, in the next turn */
	} else {
		set_result(unit, change, task_of(change), NULL);
		change->settled = true;
		unit->at++;
	}
	change_next(unit);
}

/* False: nothing has to be sent for it. */
static bool start_change(struct unit *unit, struct change *change)
{
	const struct rest_api *api = api_of(unit);
	struct rest_set *set = set_of(unit, change);
	struct rest_value *there = find_value(set, change->want->value);
	struct rest_value named = { .text = (char *)(uintptr_t)change->want->value };
	struct rest_walk pub = { .set = set, .value = &unit->named };

	unit->named = there ? *there : named;
	set->ttl_s = change->want->ttl_s;
	if (change->want->publish ? there != NULL : set->is_known && !there) {
		return false;
	}
	unit->walk = start_walk(unit, change->want->publish ? api->create : api->remove, &pub,
				on_changed);
	return true;
}

static void change_next(struct unit *unit)
{
	for (; unit->at < unit->count; unit->at++) {
		struct change *change = unit->changes[unit->at];

		if (change->settled || change->later) {
			continue;
		}
		if (start_change(unit, change)) {
			return;
		}
		set_result(unit, change, task_of(change), NULL);
		change->settled = true;
	}
	end_round(unit);
}

/* ---- sets ------------------------------------------------------------------------------------ */

static const char write_task[] = "write the TXT records";

static void on_written(void *arg, const struct walk_end *end)
{
	struct unit *unit = arg;
	bool again = end->again || end->next == REST_CONFLICT;
	struct walk_end last = *end;

	unit->walk = NULL;
	unit->unsure = unit->unsure || end->unsure;
	unit->conflict = end->next == REST_CONFLICT;
	unit->wrote = unit->wrote || end->next == REST_DONE || end->unsure;
	if (end->next != REST_DONE && !again && unit->writing > 1) {
		unit->single = true; /* one of them is not allowed: find out which */
		write_next(unit);
		return;
	}
	last.again = again && !api_of(unit)->not_repeatable;
	unit->again = unit->again || last.again;
	for (size_t i = unit->at; i < unit->at + unit->writing; i++) {
		if (end->next != REST_DONE) {
			set_results(unit, &unit->sets[i], write_task, &last);
		} else if (!end->look_again) {
			set_results(unit, &unit->sets[i], write_task, NULL);
		}
	}
	unit->at += unit->writing;
	write_next(unit);
}

static void write_next(struct unit *unit)
{
	struct rest_set *sets = &unit->sets[unit->at];
	struct rest_walk pub = { .set = sets, .sets = sets };

	if (unit->at == unit->differ) {
		end_round(unit);
		return;
	}
	unit->writing = unit->single ? 1 : unit->differ - unit->at;
	pub.set_count = unit->writing;
	unit->walk = start_walk(unit, api_of(unit)->write, &pub, on_written);
}

/* Its read failed in this round. */
static bool is_for_later(const struct unit *unit, const struct rest_set *set)
{
	for (size_t i = 0; i < unit->count; i++) {
		if (unit->changes[i]->later && of_set(unit->changes[i], set)) {
			return true;
		}
	}
	return false;
}

/* What this set's open changes want; true: something has to be written. */
static bool prepare(struct unit *unit, struct rest_set *set)
{
	uint32_t ttl_s = 0;

	strlist_clear(&set->add);
	strlist_clear(&set->remove);
	for (size_t i = 0; i < unit->count; i++) {
		const struct change *change = unit->changes[i];

		if (change->settled || !of_set(change, set)) {
			continue;
		}
		strlist_add(change->want->publish ? &set->add : &set->remove, change->want->value);
		ttl_s = change->want->publish ? change->want->ttl_s : ttl_s;
	}
	return set_merge(set, ttl_s) || (!set->is_known && set->remove.count > 0);
}

/* Those that differ are moved to the front. */
static void begin_writes(struct unit *unit)
{
	unit->differ = 0;
	for (size_t i = 0; i < unit->set_count; i++) {
		struct rest_set *set = &unit->sets[i], moved;

		if (!has_open(unit, set, false) || is_for_later(unit, set)) {
			continue;
		}
		if (!prepare(unit, set)) {
			set_results(unit, set, write_task, NULL);
			continue;
		}
		moved = unit->sets[unit->differ];
		unit->sets[unit->differ++] = *set;
		unit->sets[i] = moved;
	}
	write_next(unit);
}

/* ---- the start --------------------------------------------------------------------------- */

static void add_sets(struct unit *unit)
{
	unit->sets = xcalloc(unit->count, sizeof(*unit->sets));
	for (size_t i = 0; i < unit->count; i++) {
		if (!set_of(unit, unit->changes[i])) {
			set_init(&unit->sets[unit->set_count++], unit->changes[i]->want->owner,
				 unit->zone);
		}
	}
}

struct unit *unit_start(const struct unit_args *args, unit_done *done, void *arg)
{
	struct unit *unit = xcalloc(1, sizeof(*unit));

	unit->rest = args->rest;
	unit->zone = args->zone;
	unit->changes = args->changes;
	unit->count = args->count;
	unit->deadline_us = args->deadline_us;
	unit->done = done;
	unit->arg = arg;
	add_sets(unit);
	unit->state = UNIT_PAUSED;
	unit->timer = world_timer_start(unit->rest->host->world, 0, begin_round, unit);
	return unit;
}
