/*
 * hold: what every requester of values asks for, whoever it is.
 *
 *   ROUTING -> PUBLISHING -> WATCHING -> HELD
 *      |           |             |
 *      +-----------+-------------+-----> FAILED; any of them -> LEAVING -> GONE
 *
 *   ROUTING     all names at once
 *   HELD        done was told; the values stay as long as the lease lives
 *   LEAVING     hold_let_go: what was published is retracted
 */
#include "dns01/challenge.h"

#include <assert.h>

enum hold_state {
	HOLD_ROUTING,
	HOLD_PUBLISHING,
	HOLD_WATCHING,
	HOLD_HELD,
	HOLD_FAILED,
	HOLD_LEAVING,
	HOLD_GONE,
	HOLD_STATE_COUNT
};

static const char *const state_names[] = {
	[HOLD_ROUTING] = "routing", [HOLD_PUBLISHING] = "publishing", [HOLD_WATCHING] = "watching",
	[HOLD_HELD] = "held",       [HOLD_FAILED] = "failed",         [HOLD_LEAVING] = "leaving",
	[HOLD_GONE] = "gone",
};
static_assert(ARRAY_LEN(state_names) == HOLD_STATE_COUNT, "a name for each state");

struct hold_value {
	struct hold *hold;
	char *name, *owner, *value;
	struct route_call *routing;
	const struct route *route;
};

struct hold {
	struct hold_args args;
	enum hold_state state;
	char *view;
	char *requester;
	struct hold_value *values;
	size_t count;
	size_t unrouted;
	struct publish *publish;
	struct watch *watch;
	struct world_timer *report; /* done is due */
	struct err err;
	hold_done *done;
	void *arg;
};

static void set_state(struct hold *hold, enum hold_state state)
{
	log_debug("%s: %s -> %s", hold->requester, state_names[hold->state], state_names[state]);
	hold->state = state;
}

static void on_report(void *arg)
{
	struct hold *hold = arg;

	hold->report = NULL;
	hold->done(hold->arg, hold->err.code == ERR_NONE ? NULL : &hold->err);
}

/* The end of hold_start or of hold_let_go, from the loop. */
static void conclude(struct hold *hold, enum hold_state state, const struct err *err)
{
	if (hold->report) {
		return;
	}
	if (err) {
		hold->err = *err;
	}
	set_state(hold, state);
	hold->report = world_timer_start(hold->args.world, 0, on_report, hold);
}

static void quiet(struct hold *hold)
{
	for (size_t i = 0; i < hold->count; i++) {
		route_cancel(hold->values[i].routing);
		hold->values[i].routing = NULL;
	}
	watch_cancel(hold->watch);
	hold->watch = NULL;
	world_timer_cancel(hold->args.world, hold->report);
	hold->report = NULL;
}

static struct publish_item *items_of(const struct hold *hold)
{
	struct publish_item *items = xcalloc(hold->count + 1, sizeof(*items));

	for (size_t i = 0; i < hold->count; i++) {
		items[i] = (struct publish_item){ .route = hold->values[i].route,
						  .value = hold->values[i].value };
		if (hold->publish) {
			items[i].shown_at = publish_shown_at(hold->publish, i);
		}
	}
	return items;
}

static void on_watched(void *arg, const struct err *err)
{
	struct hold *hold = arg;

	conclude(hold, err ? HOLD_FAILED : HOLD_HELD, err);
}

static void on_published(void *arg, const struct err *err)
{
	struct hold *hold = arg;
	struct publish_item *items;

	if (err || !hold->args.watch || hold->args.defer) {
		conclude(hold, err ? HOLD_FAILED : HOLD_HELD, err);
		return;
	}
	set_state(hold, HOLD_WATCHING);
	items = items_of(hold);
	hold->watch = watch_start(
		&(struct watch_args){
			.world = hold->args.world,
			.dns = hold->args.dns,
			.items = items,
			.count = hold->count,
			.progress = hold->args.progress,
			.progress_arg = hold->args.progress_arg,
		},
		on_watched, hold);
	free(items);
}

static void publish_all(struct hold *hold)
{
	struct publish_item *items = items_of(hold);

	set_state(hold, HOLD_PUBLISHING);
	hold->publish = publish_start(hold->args.publisher,
				      &(struct publish_args){
					      .items = items,
					      .count = hold->count,
					      .lease = hold->args.lease,
					      .defer = hold->args.defer,
				      },
				      on_published, hold);
	free(items);
}

static void on_route(void *arg, const struct err *err, const struct route *route)
{
	struct hold_value *value = arg;
	struct hold *hold = value->hold;

	value->routing = NULL;
	value->route = route;
	hold->unrouted--;
	if (err && hold->err.code == ERR_NONE) {
		hold->err = *err;
	}
	if (hold->unrouted > 0) {
		return;
	}
	if (hold->err.code == ERR_NONE) {
		publish_all(hold);
	} else {
		conclude(hold, HOLD_FAILED, NULL);
	}
}

struct hold *hold_start(const struct hold_args *args, hold_done *done, void *arg)
{
	struct hold *hold = xcalloc(1, sizeof(*hold));

	hold->args = *args;
	hold->args.items = NULL;
	hold->view = xstrdup(args->view);
	hold->requester = xstrdup(args->lease.requester);
	hold->args.lease.requester = hold->requester;
	hold->done = done;
	hold->arg = arg;
	hold->count = args->count;
	hold->unrouted = args->count;
	hold->values = xcalloc(args->count + 1, sizeof(*hold->values));
	for (size_t i = 0; i < args->count; i++) {
		const struct hold_item *item = &args->items[i];
		struct hold_value *value = &hold->values[i];

		*value = (struct hold_value){ .hold = hold,
					      .name = xstrdup(item->name),
					      .owner = xstrdup(item->owner),
					      .value = xstrdup(item->value) };
		value->routing = item->name ? route_start(args->router, value->name, hold->view,
							  on_route, value)
					    : route_owner_start(args->router, value->owner,
								hold->view, on_route, value);
	}
	if (args->count == 0) {
		conclude(hold, HOLD_HELD, NULL);
	}
	return hold;
}

static void on_retracted(void *arg, const struct err *err)
{
	struct hold *hold = arg;

	hold->publish = NULL;
	conclude(hold, HOLD_GONE, err);
}

void hold_let_go(struct hold *hold, hold_done *done, void *arg)
{
	quiet(hold);
	err_clear(&hold->err);
	hold->done = done;
	hold->arg = arg;
	set_state(hold, HOLD_LEAVING);
	if (hold->publish) {
		publish_retract(hold->publish, on_retracted, hold);
	} else {
		conclude(hold, HOLD_GONE, NULL);
	}
}

void hold_free(struct hold *hold)
{
	if (!hold) {
		return;
	}
	quiet(hold);
	if (hold->state == HOLD_HELD || hold->state == HOLD_FAILED) {
		publish_forget(hold->publish);
	}
	for (size_t i = 0; i < hold->count; i++) {
		free(hold->values[i].name);
		free(hold->values[i].owner);
		free(hold->values[i].value);
	}
	free(hold->values);
	free(hold->view);
	free(hold->requester);
	free(hold);
}
