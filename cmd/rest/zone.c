/*
 * zone: which zone of the account an owner name is in.
 *
 * The API is asked for every suffix of the name, the longest first, on label boundaries; what it
 * said, no too, is kept for a while, and shared by all who look at the same time.
 *
 *   find -> each suffix: known -> done, or the next one
 *                        asked about already -> waits
 *                        unknown -> ASKING -> FOUND or ABSENT -> all who wait look again
 */
#include "internal.h"

#define ABSENT_S 60
#define ENTRIES_MAX 4096

enum entry_state { ENTRY_ASKING, ENTRY_FOUND, ENTRY_ABSENT };

struct zone_entry {
	struct rest *rest;
	enum entry_state state;
	struct rest_zone zone; /* id NULL unless FOUND */
	int64_t until_us;
	struct walk *walk;
	struct zone_entry *next;
};

struct zone_find {
	struct rest *rest;
	char *owner, *dns_zone;
	int64_t deadline_us;
	const struct zone_entry *waits; /* NULL: for nobody */
	struct world_timer *timer;
	struct err err;
	zone_found_fn *done;
	void *arg;
	struct zone_find *next;
};

/* ---- what is known ---------------------------------------------------------------------- */

static struct zone_entry *entry_find(struct rest *rest, const char *name)
{
	struct zone_entry *entry = rest->zones;

	while (entry && strcmp(entry->zone.name, name) != 0) {
		entry = entry->next;
	}
	return entry;
}

static bool is_known(const struct zone_entry *entry)
{
	return entry &&
	       (entry->state == ENTRY_ASKING || rest_now_us(entry->rest) < entry->until_us);
}

static void entry_free(struct zone_entry *entry)
{
	walk_cancel(entry->walk);
	free(entry->zone.name);
	free(entry->zone.id);
	free(entry);
}

/* Zones are borrowed by those who change them; names that are none are nobody's. */
static void drop_absent(struct rest *rest)
{
	struct zone_entry **at = &rest->zones;
	size_t count = 0;

	for (const struct zone_entry *entry = rest->zones; entry; entry = entry->next) {
		count++;
	}
	while (count >= ENTRIES_MAX && *at) {
		struct zone_entry *entry = *at;

		if (entry->state == ENTRY_ABSENT) {
			*at = entry->next;
			entry_free(entry);
		} else {
			at = &entry->next;
		}
	}
}

static struct zone_entry *entry_add(struct rest *rest, const char *name)
{
	struct zone_entry *entry = xcalloc(1, sizeof(*entry));

	drop_absent(rest);
	entry->rest = rest;
	entry->zone.name = xstrdup(name);
	entry->next = rest->zones;
	rest->zones = entry;
	return entry;
}

static void entry_set_found(struct zone_entry *entry, const char *id)
{
	struct rest *rest = entry->rest;

	if (entry->state == ENTRY_FOUND && strcmp(entry->zone.id, id) != 0) {
		if (is_known(entry)) {
			log_warn("%s: the account has two zones %s, %s and %s; set zone_id",
				 rest->shown, entry->zone.name, entry->zone.id, id);
			return;
		}
		/* It was made anew; the old one may still be in somebody's hands. */
		entry = entry_add(rest, entry->zone.name);
	}
	if (!entry->zone.id) {
		entry->zone.id = xstrdup(id);
	}
	entry->state = ENTRY_FOUND;
	entry->until_us = rest_now_us(rest) + INT64_C(1000000) * REST_ZONE_CACHE_S;
}

void rest_zone_found(struct rest_walk *walk, const char *name, const char *id)
{
	char canonical[NAME_TEXT_MAX];
	struct zone_entry *entry;

	if (!name || name_parse(name, canonical, NULL) != ERR_NONE) {
		return;
	}
	entry = entry_find(walk->rest, canonical);
	if (!entry) {
		entry = entry_add(walk->rest, canonical);
	}
	entry_set_found(entry, id ? id : canonical);
}

void rest_zones_all(struct rest_walk *walk)
{
	walk->rest->zones_all_until_us =
		rest_now_us(walk->rest) + INT64_C(1000000) * REST_ZONE_CACHE_S;
	walk->rest->zones_listed = true;
}

void zones_forget(struct rest *rest)
{
	rest->zones_all_until_us = 0;
	for (struct zone_entry *entry = rest->zones; entry; entry = entry->next) {
		entry->until_us = 0;
	}
}

void zones_close(struct rest *rest)
{
	while (rest->finds) {
		zone_find_cancel(rest->finds);
	}
	while (rest->zones) {
		struct zone_entry *entry = rest->zones;

		rest->zones = entry->next;
		entry_free(entry);
	}
}

/* ---- finding ------------------------------------------------------------------------------ */

static void look(void *arg);

static void find_free(struct zone_find *find)
{
	struct zone_find **at = &find->rest->finds;

	while (*at != find) {
		at = &(*at)->next;
	}
	*at = find->next;
	world_timer_cancel(find->rest->host->world, find->timer);
	free(find->owner);
	free(find->dns_zone);
	free(find);
}

void zone_find_cancel(struct zone_find *find)
{
	if (find) {
		find_free(find);
	}
}

static void finish(struct zone_find *find, const struct rest_zone *zone)
{
	struct err err = find->err;
	zone_found_fn *done = find->done;
	void *arg = find->arg;

	find_free(find);
	done(arg, zone ? NULL : &err, zone);
}

static void on_asked(void *arg, const struct walk_end *end)
{
	struct zone_entry *entry = arg;
	struct rest *rest = entry->rest;
	char *task = xasprintf("look for the zone %s", entry->zone.name);

	entry->walk = NULL;
	rest->zones_asked = true;
	if (entry->state == ENTRY_ASKING) {
		entry->state = ENTRY_ABSENT;
		entry->until_us = end->next == REST_DONE
					  ? rest_now_us(rest) + INT64_C(1000000) * ABSENT_S
					  : 0;
	}
	for (struct zone_find *find = rest->finds; find; find = find->next) {
		if (find->waits != entry) {
			continue;
		}
		find->waits = NULL;
		if (end->next != REST_DONE) {
			find->err = *end->err;
			said_where(rest, &find->err, task, NULL);
			err_subject(&find->err, "%s", find->owner);
		}
		find->timer = world_timer_start(rest->host->world, 0, look, find);
	}
	free(task);
}

static void ask(struct zone_find *find, const char *suffix)
{
	struct rest *rest = find->rest;
	struct zone_entry *entry = entry_find(rest, suffix);
	struct rest_walk pub = { .rest = rest };

	if (!entry || entry->state == ENTRY_FOUND) {
		entry = entry_add(rest, suffix);
	}
	entry->state = ENTRY_ASKING;
	find->waits = entry;
	pub.suffix = entry->zone.name;
	entry->walk = walk_start(rest, rest->api->zone, &pub, find->deadline_us);
	walk_then(entry->walk, on_asked, entry);
}

/* What is asked now, where its answer may be a list of all zones; NULL: nothing. */
static const struct zone_entry *list_to_come(const struct rest *rest)
{
	const struct zone_entry *entry = rest->zones;

	while (entry && entry->state != ENTRY_ASKING) {
		entry = entry->next;
	}
	return !rest->zones_asked || rest->zones_listed ? entry : NULL;
}

static void not_found(struct zone_find *find)
{
	struct strlist asked = { 0 };
	char *all;

	for (const char *at = find->owner; at && strcmp(at, ".") != 0; at = name_parent(at)) {
		strlist_add(&asked, at);
	}
	all = strlist_join(&asked, ", ");
	err_set(&find->err, ERR_CONFIG, find->owner,
		"%s has no zone for it (asked for %.500s); is it in another account, or may the "
		"credential not see it? What it needs: %s",
		find->rest->shown, all, find->rest->api->provider->privilege);
	free(all);
	strlist_clear(&asked);
	finish(find, NULL);
}

static void not_in(struct zone_find *find, const char *zone)
{
	err_set(&find->err, ERR_CONFIG, find->owner,
		"it is not in zone %s, which the settings of %s name", zone, find->rest->shown);
}

static void look(void *arg)
{
	struct zone_find *find = arg;
	struct rest *rest = find->rest;
	const char *only = rest_setting(rest, "zone");

	find->timer = NULL;
	if (only && !name_under(find->owner, only)) {
		not_in(find, only);
	}
	if (find->err.code != ERR_NONE) {
		finish(find, NULL);
		return;
	}
	for (const char *at = find->owner; at && strcmp(at, ".") != 0; at = name_parent(at)) {
		const struct zone_entry *entry = entry_find(rest, at);

		if (only && strcmp(at, only) != 0) {
			continue;
		}
		if (is_known(entry)) {
			if (entry->state == ENTRY_FOUND) {
				finish(find, &entry->zone);
				return;
			}
			if (entry->state == ENTRY_ASKING) {
				find->waits = entry;
				return;
			}
		} else if (rest_now_us(rest) >= rest->zones_all_until_us) {
			find->waits = list_to_come(rest);
			if (!find->waits) {
				ask(find, at);
			}
			return;
		}
	}
	not_found(find);
}

/* The zone's id as the settings have it; NULL: the API is asked. */
static const char *fixed_id(const struct rest *rest)
{
	const char *own = rest->api->zone_id;

	if (!own) {
		return rest_setting(rest, "zone_id");
	}
	return rest_setting(rest, "zone") ? rest_setting(rest, own) : NULL;
}

/* Without asking: as the settings say, or as the DNS does. */
static void take_fixed(void *arg)
{
	struct zone_find *find = arg;
	struct rest *rest = find->rest;
	const char *id = fixed_id(rest), *name = rest_setting(rest, "zone");
	struct zone_entry *entry;

	find->timer = NULL;
	name = name ? name : find->dns_zone;
	if (!name_under(find->owner, name)) {
		not_in(find, name);
		finish(find, NULL);
		return;
	}
	entry = entry_find(rest, name);
	if (!entry) {
		entry = entry_add(rest, name);
	}
	entry_set_found(entry, id ? id : name);
	finish(find, &entry->zone);
}

struct zone_find *zone_find_start(struct rest *rest, const char *owner, const char *dns_zone,
				  int64_t deadline_us)
{
	struct zone_find *find = xcalloc(1, sizeof(*find));
	bool fixed = !rest->api->zone || fixed_id(rest);

	find->rest = rest;
	find->owner = xstrdup(owner);
	find->dns_zone = xstrdup(dns_zone);
	find->deadline_us = deadline_us;
	find->next = rest->finds;
	rest->finds = find;
	find->timer = world_timer_start(rest->host->world, 0, fixed ? take_fixed : look, find);
	return find;
}

void zone_find_then(struct zone_find *find, zone_found_fn *done, void *arg)
{
	find->done = done;
	find->arg = arg;
}
