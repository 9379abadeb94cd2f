/*
 * watcher: one watch for all who join in the same turn of the loop. Their values went out in
 * one UPDATE, which becomes visible as a whole, so the name servers are polled once for all.
 *
 *   join -> GATHERING --next turn--> WATCHING --verdict--> every member is told -> gone
 */
#include "dns01/challenge.h"

struct watch_join {
	struct watch_group *group;
	struct publish_item item;
	char *value;
	watch_done *done;
	void *arg;
	world_fire *changed; /* NULL: nobody looks */
	void *changed_arg;
	bool passed;
	struct watch_join *prev, *next; /* in its group */
};

struct watch_group {
	struct watcher *watcher;
	struct world_timer *begin; /* not NULL while gathering */
	struct watch *watch;
	struct watch_join *members;
	size_t count;
	struct watch_group *prev, *next;
};

struct watcher {
	struct watcher_args args;
	struct watch_group *groups;
	struct watch_group *gathering;
};

struct watcher *watcher_new(const struct watcher_args *args)
{
	struct watcher *watcher = xcalloc(1, sizeof(*watcher));

	watcher->args = *args;
	return watcher;
}

static void join_free(struct watch_join *join)
{
	struct watch_group *group = join->group;

	if (join->prev) {
		join->prev->next = join->next;
	} else {
		group->members = join->next;
	}
	if (join->next) {
		join->next->prev = join->prev;
	}
	group->count--;
	free(join->value);
	free(join);
}

static void group_free(struct watch_group *group)
{
	struct watcher *watcher = group->watcher;

	while (group->members) {
		join_free(group->members);
	}
	watch_cancel(group->watch);
	world_timer_cancel(watcher->args.world, group->begin);
	if (watcher->gathering == group) {
		watcher->gathering = NULL;
	}
	if (group->prev) {
		group->prev->next = group->next;
	} else {
		watcher->groups = group->next;
	}
	if (group->next) {
		group->next->prev = group->prev;
	}
	free(group);
}

void watcher_free(struct watcher *watcher)
{
	while (watcher && watcher->groups) {
		group_free(watcher->groups);
	}
	free(watcher);
}

/* A server may have shown some of the values and not all: whose value is there is served. Each
 * is told after it left the group, so that whatever it does then is safe. */
static void on_watched(void *arg, const struct err *err)
{
	struct watch_group *group = arg;
	struct err failure = { .code = ERR_NONE };

	if (err) {
		failure = *err;
	}
	for (struct watch_join *join = group->members; join; join = join->next) {
		join->passed = !err || watch_shows(group->watch, join->item.route->owner);
	}
	/* Members may leave while others are told: the first one is always taken anew. */
	while (group->members) {
		struct watch_join *join = group->members;
		watch_done *done = join->done;
		void *done_arg = join->arg;
		bool passed = join->passed;

		join_free(join);
		group->count++; /* the group outlives the call even when all others leave in it */
		done(done_arg, passed ? NULL : &failure);
		group->count--;
	}
	group_free(group);
}

static void on_progress(void *arg, const struct progress *progress)
{
	struct watch_group *group = arg;

	(void)progress;
	for (struct watch_join *join = group->members; join; join = join->next) {
		if (join->changed) {
			join->changed(join->changed_arg);
		}
	}
}

void watch_join_on_change(struct watch_join *join, world_fire *changed, void *arg)
{
	join->changed = changed;
	join->changed_arg = arg;
}

static void on_begin(void *arg)
{
	struct watch_group *group = arg;
	struct watcher *watcher = group->watcher;
	struct publish_item *items = xcalloc(group->count + 1, sizeof(*items));
	size_t count = 0;

	group->begin = NULL;
	watcher->gathering = NULL;
	for (struct watch_join *join = group->members; join; join = join->next) {
		items[count++] = join->item;
	}
	group->watch = watch_start(
		&(struct watch_args){
			.world = watcher->args.world,
			.dns = watcher->args.dns,
			.items = items,
			.count = count,
			.progress = on_progress,
			.progress_arg = group,
		},
		on_watched, group);
	free(items);
}

static struct watch_group *gathering(struct watcher *watcher)
{
	struct watch_group *group = watcher->gathering;

	if (group) {
		return group;
	}
	group = xcalloc(1, sizeof(*group));
	group->watcher = watcher;
	group->next = watcher->groups;
	if (group->next) {
		group->next->prev = group;
	}
	watcher->groups = group;
	watcher->gathering = group;
	group->begin = world_timer_start(watcher->args.world, 0, on_begin, group);
	return group;
}

struct watch_join *watch_join(struct watcher *watcher, const struct publish_item *item,
			      watch_done *done, void *arg)
{
	struct watch_group *group = gathering(watcher);
	struct watch_join *join = xcalloc(1, sizeof(*join));

	join->group = group;
	join->value = xstrdup(item->value);
	join->item = *item;
	join->item.value = join->value;
	join->done = done;
	join->arg = arg;
	join->next = group->members;
	if (join->next) {
		join->next->prev = join;
	}
	group->members = join;
	group->count++;
	return join;
}

static bool has_twin(const struct watch_join *join)
{
	for (const struct watch_join *at = join->group->members; at; at = at->next) {
		if (at != join && strcmp(at->value, join->value) == 0 &&
		    strcmp(at->item.route->owner, join->item.route->owner) == 0) {
			return true;
		}
	}
	return false;
}

void watch_leave(struct watch_join *join)
{
	struct watch_group *group;

	if (!join) {
		return;
	}
	group = join->group;
	if (group->watch && !has_twin(join)) {
		watch_drop(group->watch, join->item.route->owner, join->value);
	}
	join_free(join);
	if (group->count == 0) {
		group_free(group);
	}
}

const struct timeline *watch_join_timeline(const struct watch_join *join, size_t *count)
{
	*count = 0;
	return join->group->watch ? watch_timeline(join->group->watch, count) : NULL;
}
