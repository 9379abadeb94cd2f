/*
 * match_zones: a zone for each name whose provider is known, unless one above it says the same.
 * Names that a zone of the configuration serves already are left to it.
 */
#include "internal.h"

/* Shorter ones first: a zone above another is always shorter. */
static int by_length(const void *a, const void *b)
{
	const struct planned_zone *left = a, *right = b;
	size_t left_len = strlen(left->suffix), right_len = strlen(right->suffix);

	if (left_len != right_len) {
		return left_len < right_len ? -1 : 1;
	}
	return strcmp(left->suffix, right->suffix);
}

static bool is_served(const struct import *import, const char *name)
{
	return import->there && conf_find_zone(import->there, name, NULL);
}

static void add_zone(struct import *import, const char *suffix, const struct planned_zone *zone)
{
	if (is_served(import, suffix)) {
		return;
	}
	import->zone = xreallocarray(import->zone, import->zone_count + 1, sizeof(*import->zone));
	import->zone[import->zone_count] = *zone;
	import->zone[import->zone_count++].suffix = xstrdup(suffix);
}

/* Where the records of an alias are, which is served like any name. */
static void add_target(struct import *import, const struct found_name *item)
{
	static const char challenge[] = "_acme-challenge.";
	const char *target = item->alias;

	if (strncmp(target, challenge, strlen(challenge)) == 0) {
		target += strlen(challenge);
	}
	add_zone(import, target,
		 &(struct planned_zone){ .provider = item->provider, .zone = item->zone });
}

static void match_name(struct import *import, const struct found_name *item, struct strlist *why)
{
	const char *base = name_base(item->name);
	struct planned_zone zone = { .provider = item->provider, .alias = item->alias };

	if (item->provider != FOUND_NONE) {
		zone.zone = item->alias ? NULL : item->zone;
		add_zone(import, base, &zone);
		if (item->alias) {
			add_target(import, item);
		}
		return;
	}
	if (is_served(import, base)) {
		return;
	}
	if (!strlist_has(&import->missing, base)) {
		strlist_add(&import->missing, base);
	}
	if (item->why && !strlist_has(why, item->why)) {
		strlist_add(why, item->why);
	}
}

static void match_names(struct import *import, const struct found_certificate *certificate)
{
	char *subject = xasprintf("certificate %s", certificate->lineage);
	struct strlist why = { 0 };

	for (size_t i = 0; i < certificate->count; i++) {
		match_name(import, &certificate->item[i], &why);
	}
	for (size_t i = 0; i < why.count; i++) {
		import_say(import, IMPORT_LEFT, subject, "%s", why.item[i]);
	}
	strlist_clear(&why);
	free(subject);
}

static const struct planned_zone *find_kept(const struct import *import, size_t kept,
					    const char *suffix)
{
	const struct planned_zone wanted = { .suffix = (char *)(uintptr_t)suffix };

	return kept > 0 ? bsearch(&wanted, import->zone, kept, sizeof(*import->zone), by_length)
			: NULL;
}

/* Whether a zone kept before serves suffix in the same way. */
static bool is_covered(const struct import *import, size_t kept, const struct planned_zone *zone)
{
	const char *at = zone->suffix;
	const struct planned_zone *other = find_kept(import, kept, at);

	if (other) {
		return true; /* the apex and its wildcard */
	}
	while (!other && (at = name_parent(at)) != NULL) {
		other = find_kept(import, kept, at);
	}
	return other && !zone->alias && !other->alias && other->provider == zone->provider;
}

static void drop_covered(struct import *import)
{
	size_t kept = 0;

	if (import->zone_count > 0) {
		qsort(import->zone, import->zone_count, sizeof(*import->zone), by_length);
	}
	for (size_t i = 0; i < import->zone_count; i++) {
		if (is_covered(import, kept, &import->zone[i])) {
			free(import->zone[i].suffix);
		} else {
			import->zone[kept++] = import->zone[i];
		}
	}
	import->zone_count = kept;
}

/* ---- providers --------------------------------------------------------------------- */

static bool provider_taken(const struct import *import, const char *name)
{
	if (import->there && conf_find_provider(import->there, name)) {
		return true;
	}
	for (size_t i = 0; i < import->provider_count; i++) {
		const char *other = import->provider[i].name;

		if (other && strcmp(other, name) == 0) {
			return true;
		}
	}
	return false;
}

/* imported-NAME.key, or imported-NAME-SETTING.key where there are several. */
static void name_secrets(const struct import *import, struct found_provider *provider)
{
	char *folder = into_secrets(import);

	for (size_t i = 0; i < provider->secret_count; i++) {
		struct found_secret *secret = &provider->secret[i];
		int len = (int)(strlen(secret->setting) - strlen("_file"));
		char *stem = provider->secret_count == 1
				     ? xasprintf("imported-%s", provider->name)
				     : xasprintf("imported-%s-%.*s", provider->name, len,
						 secret->setting);

		secret->file = into_free(folder, stem, ".key", secret->text);
		free(stem);
	}
	free(folder);
}

static void say_provider(struct import *import, const struct found_provider *provider)
{
	char *subject = xasprintf("provider %s", provider->name);
	struct buf text = BUF_INIT(4096);

	buf_add_str(&text, provider->type);
	for (size_t i = 0; i < provider->settings.count; i++) {
		buf_addf(&text, ", %s = %s", provider->settings.item[i].name,
			 provider->settings.item[i].text);
	}
	for (size_t i = 0; i < provider->secret_count; i++) {
		buf_addf(&text, ", %s = %s", provider->secret[i].setting, provider->secret[i].file);
	}
	import_say(import, IMPORT_CARRIED, subject, "%s", buf_str(&text));
	buf_clear(&text);
	free(subject);
}

static void name_provider(struct import *import, struct found_provider *provider)
{
	const char *client = import->args->client;
	char *name = xasprintf("%s-%s", client, provider->type);

	for (unsigned i = 2; provider_taken(import, name); i++) {
		free(name);
		name = xasprintf("%s-%s-%u", client, provider->type, i);
	}
	provider->name = name;
	name_secrets(import, provider);
	say_provider(import, provider);
}

static const struct planned_zone *zone_of(const struct import *import, const char *name)
{
	const struct planned_zone *found = NULL;

	for (const char *at = name; at && !found; at = name_parent(at)) {
		found = find_kept(import, import->zone_count, at);
	}
	return found;
}

/* Names that were published in another way, but are below a zone that came over with others: they
 * fall to its provider, whose credential may not be good for them. */
static void say_shared(struct import *import)
{
	struct strlist shared = { 0 }, missing = { 0 };
	char *names;

	for (size_t i = 0; i < import->missing.count; i++) {
		const char *name = import->missing.item[i];

		if (!zone_of(import, name)) {
			strlist_add(&missing, name);
		} else if (!find_kept(import, import->zone_count, name)) {
			strlist_add(&shared, name);
		}
	}
	strlist_clear(&import->missing);
	import->missing = missing;
	if (shared.count > 0) {
		names = strlist_join(&shared, " ");
		import_say(import, IMPORT_TODO, "zones",
			   "these names are below a zone that came over with others, whose "
			   "provider publishes for them now: see whether it may (`dns01 probe "
			   "NAME`): %s",
			   names);
		free(names);
	}
	strlist_clear(&shared);
}

static void say_missing(struct import *import)
{
	char *names;

	if (import->missing.count > 0 && import->why_missing) {
		import_say(import, IMPORT_LEFT, "provider", "%s", import->why_missing);
	}
	if (import->missing.count > 0) {
		names = strlist_join(&import->missing, " ");
		import_say(
			import, IMPORT_TODO, "zones",
			"no provider publishes for these names yet, so they cannot be renewed: %s",
			names);
		free(names);
	}
}

void match_zones(struct import *import)
{
	for (size_t i = 0; i < import->certificate_count; i++) {
		if (match_takes(&import->certificate[i])) {
			match_names(import, &import->certificate[i]);
		}
	}
	drop_covered(import);
	for (size_t i = 0; i < import->zone_count; i++) {
		struct found_provider *provider = &import->provider[import->zone[i].provider];

		if (!provider->used) {
			provider->used = true;
			name_provider(import, provider);
		}
	}
	say_shared(import);
	say_missing(import);
}
