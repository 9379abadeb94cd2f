/*
 * watch: waits until the authoritative servers really show every value, and
 * says server by server what happened (DESIGN, "Watch").
 *
 * Each zone has its servers, its quorum, its `settle` and its deadline; the
 * watch is over when every zone passed, or as soon as one cannot. Nothing
 * passes by time alone.
 */
#include "watch_internal.h"

#include <assert.h>

static const char *const state_names[] = {
	[SERVER_WAITING] = "waiting",   [SERVER_SEEN] = "seen",
	[SERVER_REFUSING] = "refusing", [SERVER_UNREACHABLE] = "unreachable",
	[SERVER_NO_ROUTE] = "no-route", [SERVER_IGNORED] = "ignored",
};
static_assert(ARRAY_LEN(state_names) == SERVER_STATE_COUNT, "a name for every state");

const char *server_state_name(enum server_state state)
{
	return state < SERVER_STATE_COUNT ? state_names[state] : "?";
}

/* ---- the verdict ----------------------------------------------------------- */

static void on_verdict(void *arg)
{
	struct watch *watch = arg;

	watch->verdict = NULL;
	watch->done(watch->arg, watch->err.code == ERR_NONE ? NULL : &watch->err);
}

static void conclude(struct watch *watch)
{
	if (watch->verdict) {
		return;
	}
	for (size_t z = 0; z < watch->zone_count; z++) {
		struct watch_zone *zone = &watch->zones[z];

		for (size_t i = 0; i < zone->server_count; i++) {
			watch_server_end(&zone->servers[i]);
		}
		world_timer_cancel(watch->args.world, zone->deadline);
		world_timer_cancel(watch->args.world, zone->settle);
		zone->deadline = NULL;
		zone->settle = NULL;
	}
	watch->verdict = world_timer_start(watch->args.world, 0, on_verdict, watch);
}

static void conclude_if_all_passed(struct watch *watch)
{
	for (size_t z = 0; z < watch->zone_count; z++) {
		if (!watch->zones[z].passed) {
			return;
		}
	}
	conclude(watch);
}

static bool stands_in_the_way(const struct timeline *timeline)
{
	return timeline->state == SERVER_WAITING || timeline->state == SERVER_REFUSING ||
	       timeline->state == SERVER_UNREACHABLE;
}

static void describe_server(struct buf *text, const struct timeline *timeline, int64_t now_us)
{
	char address[ADDR_TEXT_MAX] = "no address";
	char since[32];

	if (timeline->addr.len > 0) {
		addr_format(address, &timeline->addr, DNS_PORT);
	}
	duration_human(since, now_us - timeline->state_since_us);
	buf_addf(text, "%s%s (%s): %s, %s for %s", text->len > 0 ? "; " : "", timeline->server,
		 address, server_state_name(timeline->state), timeline->said, since);
}

static void fail(struct watch_zone *zone, const char *why)
{
	struct watch *watch = zone->watch;
	struct buf text = BUF_INIT(ERR_TEXT_MAX - 200);
	int64_t now_us = world_mono_us(watch->args.world);
	bool refusing = false;

	for (size_t i = 0; i < zone->server_count; i++) {
		const struct timeline *timeline = zone->servers[i].timeline;

		if (stands_in_the_way(timeline)) {
			describe_server(&text, timeline, now_us);
			refusing = refusing || timeline->state != SERVER_WAITING;
		}
	}
	err_set(&watch->err, refusing ? ERR_DNS : ERR_TIMEOUT, zone->route->zone, "%s: %s%s", why,
		text.len > 0
			? buf_str(&text)
			: "no authoritative server can be asked from here; name usable ones in "
			  "the zone's `servers` setting",
		refusing ? " (quorum = \"reachable\" or `ignore` would pass it over; `servers` of "
			   "the zone names those to watch)"
			 : "");
	buf_clear(&text);
	conclude(watch);
}

/* ---- quorum ---------------------------------------------------------------- */

struct tally {
	size_t names, passed, undecided;
};

/* The addresses of one name stand side by side; *index moves past them. */
static void tally_name(const struct watch_zone *zone, size_t *index, struct tally *tally)
{
	const char *name = zone->servers[*index].timeline->server;
	size_t seen = 0, waiting = 0, refusing = 0, left_out = 0, count = 0;

	for (; *index < zone->server_count &&
	       strcmp(zone->servers[*index].timeline->server, name) == 0;
	     (*index)++) {
		enum server_state state = zone->servers[*index].timeline->state;

		count++;
		seen += state == SERVER_SEEN;
		waiting += state == SERVER_WAITING;
		refusing += state == SERVER_REFUSING;
		left_out += state == SERVER_NO_ROUTE || state == SERVER_IGNORED;
	}
	if (left_out == count) {
		return;
	}
	tally->names++;
	tally->passed += seen > 0 && waiting == 0 && refusing == 0;
	tally->undecided += waiting > 0;
}

static bool quorum_reached(const struct watch_zone *zone)
{
	const char *quorum = zone->route->settings->quorum;
	struct tally tally = { 0 };
	uint64_t wanted;

	for (size_t i = 0; i < zone->server_count;) {
		tally_name(zone, &i, &tally);
	}
	if (tally.passed == 0) {
		return false;
	}
	if (text_parse_u64(quorum, NS_MAX, &wanted)) {
		return tally.passed >= wanted;
	}
	if (strcmp(quorum, "reachable") == 0) {
		return tally.undecided == 0;
	}
	return tally.passed == tally.names;
}

static void on_settled(void *arg)
{
	struct watch_zone *zone = arg;

	zone->settle = NULL;
	zone->settling = true;
	for (size_t i = 0; i < zone->server_count; i++) {
		watch_server_begin(&zone->servers[i]);
	}
}

void watch_zone_look(struct watch_zone *zone)
{
	struct watch *watch = zone->watch;

	if (zone->passed || zone->settle || watch->verdict || !quorum_reached(zone)) {
		return;
	}
	for (size_t i = 0; i < zone->server_count; i++) {
		watch_server_end(&zone->servers[i]);
	}
	if (--zone->rounds_left > 0) {
		zone->settle = world_timer_start(watch->args.world,
						 zone->route->settings->settle_ms * 1000,
						 on_settled, zone);
		return;
	}
	zone->passed = true;
	world_timer_cancel(watch->args.world, zone->deadline);
	zone->deadline = NULL;
	conclude_if_all_passed(watch);
}

static void on_deadline(void *arg)
{
	struct watch_zone *zone = arg;
	char waited[32];
	char why[80];

	zone->deadline = NULL;
	duration_human(waited, world_mono_us(zone->watch->args.world) - zone->started_us);
	snprintf(why, sizeof(why), "not every server showed the records within %s", waited);
	fail(zone, why);
}

/* ---- set-up ---------------------------------------------------------------- */

static struct watch_zone *zone_of(struct watch *watch, const struct route *route)
{
	struct watch_zone *zone;

	for (size_t z = 0; z < watch->zone_count; z++) {
		if (strcmp(watch->zones[z].route->zone, route->zone) == 0 &&
		    watch->zones[z].route->settings == route->settings) {
			return &watch->zones[z];
		}
	}
	zone = &watch->zones[watch->zone_count++]; /* there is room for one an item */
	zone->watch = watch;
	zone->route = route;
	return zone;
}

/* Sorted by zone and owner, so that a thousand of them are grouped in one pass. */
static int by_owner(const void *a, const void *b)
{
	const struct publish_item *x = *(const struct publish_item *const *)a;
	const struct publish_item *y = *(const struct publish_item *const *)b;
	int order = strcmp(x->route->zone, y->route->zone);

	return order != 0 ? order : strcmp(x->route->owner, y->route->owner);
}

static void add_item(struct watch *watch, const struct publish_item *item)
{
	struct watch_zone *zone = zone_of(watch, item->route);
	struct watch_owner *owner =
		zone->owner_count > 0 ? &zone->owners[zone->owner_count - 1] : NULL;

	if (!owner || strcmp(owner->name, item->route->owner) != 0) {
		if (zone->owner_count == zone->owner_cap) {
			zone->owner_cap = zone->owner_cap ? 2 * zone->owner_cap : 4;
			zone->owners =
				xreallocarray(zone->owners, zone->owner_cap, sizeof(*zone->owners));
		}
		owner = &zone->owners[zone->owner_count++];
		*owner = (struct watch_owner){ .name = xstrdup(item->route->owner) };
		if (item->shown_at) {
			owner->shown_at = *item->shown_at;
		}
	} else if (!item->shown_at || !addr_equal(item->shown_at, &owner->shown_at)) {
		owner->shown_at.len = 0;
	}
	if (!strlist_has(&owner->values, item->value)) {
		strlist_add(&owner->values, item->value);
	}
}

static void add_items(struct watch *watch, const struct watch_args *args)
{
	const struct publish_item **sorted = xcalloc(args->count + 1, sizeof(*sorted));

	for (size_t i = 0; i < args->count; i++) {
		sorted[i] = &args->items[i];
	}
	qsort(sorted, args->count, sizeof(*sorted), by_owner);
	for (size_t i = 0; i < args->count; i++) {
		add_item(watch, sorted[i]);
	}
	free(sorted);
}

static size_t server_slots(const struct watch_zone *zone)
{
	const struct route *route = zone->route;
	size_t slots = 0;

	if (strcmp(route->settings->watch, "resolvers") == 0) {
		return route->source->resolver_count + route->source->doh_count;
	}
	for (size_t i = 0; route->servers && i < route->servers->count; i++) {
		size_t addresses = route->servers->ns[i].addr_count;

		slots += addresses > 0 ? addresses : 1;
	}
	return slots;
}

static struct watch_server *add_server(struct watch_zone *zone, const char *name,
				       const struct addr *addr)
{
	struct watch *watch = zone->watch;
	struct watch_server *server = &zone->servers[zone->server_count++];
	struct timeline *timeline = &watch->timeline[watch->timeline_count++];

	server->zone = zone;
	server->timeline = timeline;
	timeline->zone = zone->route->zone;
	timeline->server = name;
	timeline->state_since_us = zone->started_us;
	snprintf(timeline->said, sizeof(timeline->said), "not answered yet");
	if (addr) {
		timeline->addr = *addr;
		if (!watch->args.world->ops->has_route(watch->args.world, addr)) {
			timeline->state = SERVER_NO_ROUTE;
			snprintf(timeline->said, sizeof(timeline->said),
				 "this host has no route to it: left out");
		}
	}
	if (strlist_has(&zone->route->settings->ignore, name)) {
		timeline->state = SERVER_IGNORED;
		snprintf(timeline->said, sizeof(timeline->said), "left out by `ignore`");
	}
	return server;
}

static void add_name_servers(struct watch_zone *zone)
{
	const struct ns_set *set = zone->route->servers;

	for (size_t i = 0; set && i < set->count; i++) {
		const struct name_server *ns = &set->ns[i];
		struct timeline *timeline;

		for (size_t k = 0; k < ns->addr_count; k++) {
			add_server(zone, ns->name, &ns->addr[k]);
		}
		if (ns->addr_count == 0) {
			timeline = add_server(zone, ns->name, NULL)->timeline;
			if (timeline->state == SERVER_WAITING) {
				timeline->state = SERVER_UNREACHABLE;
			}
			snprintf(timeline->said, sizeof(timeline->said), "%s",
				 ns->note ? ns->note : "it has no address");
		}
	}
}

static void add_resolvers(struct watch_zone *zone)
{
	const struct dns_source *source = zone->route->source;

	for (size_t i = 0; i < source->resolver_count; i++) {
		struct watch_server *server = add_server(zone, "resolver", &source->resolver[i]);

		server->resolver.resolver = xcalloc(1, sizeof(*server->resolver.resolver));
		server->resolver.resolver[0] = source->resolver[i];
		server->resolver.resolver_count = 1;
	}
	for (size_t i = 0; i < source->doh_count; i++) {
		struct watch_server *server = add_server(zone, source->doh_url[i], NULL);

		server->resolver =
			(struct dns_source){ .proxy = source->proxy, .ca_file = source->ca_file };
		server->resolver.doh_url = xcalloc(1, sizeof(*server->resolver.doh_url));
		server->resolver.doh_url[0] = source->doh_url[i];
		server->resolver.doh_count = 1;
	}
}

static void arm_deadline(struct watch_zone *zone)
{
	struct watch *watch = zone->watch;
	int64_t wait_us = zone->route->settings->deadline_ms * 1000;

	if (watch->args.deadline_us > 0 && watch->args.deadline_us - zone->started_us < wait_us) {
		wait_us = watch->args.deadline_us - zone->started_us;
	}
	zone->deadline =
		world_timer_start(watch->args.world, wait_us > 0 ? wait_us : 0, on_deadline, zone);
}

/* Whether a name server without any address already decides it. */
static bool hopeless(const struct watch_zone *zone)
{
	size_t askable = 0;
	bool nameless = false;

	for (size_t i = 0; i < zone->server_count; i++) {
		const struct timeline *timeline = zone->servers[i].timeline;
		bool doh = zone->servers[i].resolver.doh_count > 0;

		askable += timeline->state == SERVER_WAITING;
		nameless = nameless || (timeline->state == SERVER_UNREACHABLE && !doh);
	}
	return askable == 0 || (nameless && strcmp(zone->route->settings->quorum, "all") == 0);
}

static void begin_zone(struct watch_zone *zone)
{
	const struct conf_zone *settings = zone->route->settings;

	zone->started_us = world_mono_us(zone->watch->args.world);
	zone->rounds_left = settings->settle_ms > 0 ? 2 : 1;
	if (strcmp(settings->watch, "provider") == 0) {
		zone->passed = true;
		return;
	}
	if (strcmp(settings->watch, "resolvers") == 0) {
		add_resolvers(zone);
	} else {
		add_name_servers(zone);
	}
	if (hopeless(zone)) {
		fail(zone, "the records cannot be watched");
		return;
	}
	arm_deadline(zone);
	for (size_t i = 0; i < zone->server_count; i++) {
		watch_server_begin(&zone->servers[i]);
	}
}

struct watch *watch_start(const struct watch_args *args, watch_done *done, void *arg)
{
	struct watch *watch = xcalloc(1, sizeof(*watch));
	size_t slots = 0;

	watch->args = *args;
	watch->args.items = NULL;
	watch->done = done;
	watch->arg = arg;
	watch->zones = xcalloc(args->count + 1, sizeof(*watch->zones));
	add_items(watch, args);
	for (size_t z = 0; z < watch->zone_count; z++) {
		struct watch_zone *zone = &watch->zones[z];
		size_t zone_slots = server_slots(zone);

		zone->servers = xcalloc(zone_slots + 1, sizeof(*zone->servers));
		slots += zone_slots;
	}
	watch->timeline = xcalloc(slots + 1, sizeof(*watch->timeline));
	for (size_t z = 0; z < watch->zone_count; z++) {
		begin_zone(&watch->zones[z]);
	}
	conclude_if_all_passed(watch);
	return watch;
}

void watch_cancel(struct watch *watch)
{
	if (!watch) {
		return;
	}
	for (size_t z = 0; z < watch->zone_count; z++) {
		struct watch_zone *zone = &watch->zones[z];

		for (size_t i = 0; i < zone->server_count; i++) {
			watch_server_clear(&zone->servers[i]);
		}
		for (size_t i = 0; i < zone->owner_count; i++) {
			free(zone->owners[i].name);
			strlist_clear(&zone->owners[i].values);
		}
		world_timer_cancel(watch->args.world, zone->deadline);
		world_timer_cancel(watch->args.world, zone->settle);
		free(zone->owners);
		free(zone->servers);
	}
	world_timer_cancel(watch->args.world, watch->verdict);
	free(watch->zones);
	free(watch->timeline);
	free(watch);
}

static void drop_value(struct watch_zone *zone, size_t index, const char *value)
{
	struct strlist *values = &zone->owners[index].values;
	struct strlist left = { 0 };

	for (size_t i = 0; i < values->count; i++) {
		if (strcmp(values->item[i], value) != 0) {
			strlist_add(&left, values->item[i]);
		}
	}
	strlist_clear(values);
	*values = left;
	for (size_t i = 0; i < zone->server_count; i++) {
		watch_server_drop(&zone->servers[i], index);
	}
}

void watch_drop(struct watch *watch, const char *owner, const char *value)
{
	for (size_t z = 0; z < watch->zone_count && !watch->verdict; z++) {
		struct watch_zone *zone = &watch->zones[z];

		for (size_t i = 0; i < zone->owner_count; i++) {
			if (strcmp(zone->owners[i].name, owner) == 0) {
				drop_value(zone, i, value);
			}
		}
	}
}

static bool zone_shows(const struct watch_zone *zone, size_t owner)
{
	bool shows = false;

	for (size_t i = 0; i < zone->server_count; i++) {
		const struct watch_server *server = &zone->servers[i];

		if (server->shown && server->shown[owner]) {
			shows = true;
		} else if (stands_in_the_way(server->timeline)) {
			return false;
		}
	}
	return shows;
}

bool watch_shows(const struct watch *watch, const char *owner)
{
	for (size_t z = 0; z < watch->zone_count; z++) {
		const struct watch_zone *zone = &watch->zones[z];

		for (size_t i = 0; i < zone->owner_count; i++) {
			if (strcmp(zone->owners[i].name, owner) == 0) {
				return zone->passed || zone_shows(zone, i);
			}
		}
	}
	return false;
}

const struct timeline *watch_timeline(const struct watch *watch, size_t *count)
{
	*count = watch->timeline_count;
	return watch->timeline;
}
