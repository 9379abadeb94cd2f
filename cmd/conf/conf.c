#include "dns01/conf.h"

#include <ctype.h>
#include <strings.h>

#include "schema.h"

/* ---- places ------------------------------------------------------------ */

struct conf_full *conf_full(struct conf *conf)
{
	return (struct conf_full *)conf;
}

void place_add(struct conf *conf, struct place place)
{
	struct conf_full *full = conf_full(conf);

	if (full->place_count == full->place_cap) {
		full->place_cap = full->place_cap * 2 + 64;
		full->place = xreallocarray(full->place, full->place_cap, sizeof(*full->place));
	}
	full->place[full->place_count++] = place;
}

const struct place *place_find(const struct conf *conf, const struct setting *row, struct nth nth)
{
	const struct conf_full *full = (const struct conf_full *)conf;

	for (size_t i = 0; i < full->place_count; i++) {
		const struct place *place = &full->place[i];

		if (place->row == row && place->nth.item == nth.item &&
		    place->nth.inner == nth.inner) {
			return place;
		}
	}
	return NULL;
}

enum err_code place_err(struct err *err, const char *where, const char *item, const char *fmt, ...)
{
	char reason[SCHEMA_REASON_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	return err_set(err, ERR_CONFIG, where != NULL ? where : "", "%s%s%s",
		       item != NULL ? item : "", item != NULL ? ": " : "", reason);
}

/* ---- the whole --------------------------------------------------------- */

struct conf *conf_new(void)
{
	struct conf_full *full = xcalloc(1, sizeof(*full));

	group_defaults(&schema_root, &full->conf);
	return &full->conf;
}

void conf_free(struct conf *conf)
{
	struct conf_full *full = conf_full(conf);

	if (conf == NULL) {
		return;
	}
	group_clear(&schema_root, conf);
	for (size_t i = 0; i < full->place_count; i++) {
		free(full->place[i].where);
		free(full->place[i].item);
	}
	free(full->place);
	free(full->folder);
	free(conf->path);
	free(full);
}

struct conf_account *conf_add_account(struct conf *conf, const char *name)
{
	struct conf_account *account = group_add(conf, schema_list("accounts"));

	account->name = xstrdup(name);
	return account;
}

struct conf_provider *conf_add_provider(struct conf *conf, const char *name, const char *type)
{
	struct conf_provider *provider = group_add(conf, schema_list("providers"));

	provider->name = xstrdup(name);
	provider->type = xstrdup(type);
	return provider;
}

struct conf_zone *conf_add_zone(struct conf *conf, const char *suffix)
{
	struct conf_zone *zone = group_add(conf, schema_list("zones"));

	zone->suffix = xstrdup(suffix);
	return zone;
}

struct conf_certificate *conf_add_certificate(struct conf *conf, const char *name)
{
	struct conf_certificate *certificate = group_add(conf, schema_list("certificates"));

	certificate->name = xstrdup(name);
	return certificate;
}

struct conf_broker *conf_add_broker(struct conf *conf, const char *url)
{
	struct conf_broker *broker = group_add(conf, schema_list("brokers"));

	broker->url = xstrdup(url);
	return broker;
}

/* ---- finding ------------------------------------------------------------ */

static bool same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

const struct conf_account *conf_find_account(const struct conf *conf, const char *name)
{
	if (name == NULL) {
		return conf->account_count == 1 ? &conf->account[0] : NULL;
	}
	for (size_t i = 0; i < conf->account_count; i++) {
		if (same(conf->account[i].name, name)) {
			return &conf->account[i];
		}
	}
	return NULL;
}

const struct conf_provider *conf_find_provider(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->provider_count; i++) {
		if (same(conf->provider[i].name, name)) {
			return &conf->provider[i];
		}
	}
	return NULL;
}

const struct conf_certificate *conf_find_certificate(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->certificate_count; i++) {
		if (same(conf->certificate[i].name, name)) {
			return &conf->certificate[i];
		}
	}
	return NULL;
}

const struct conf_client *conf_find_client(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->client_count; i++) {
		if (same(conf->client[i].name, name)) {
			return &conf->client[i];
		}
	}
	return NULL;
}

const struct conf_zone *conf_target_zone(const struct conf *conf, const char *view)
{
	for (size_t i = 0; i < conf->zone_count; i++) {
		if (conf->zone[i].target &&
		    same(conf->zone[i].view, view != NULL ? view : SCHEMA_DEFAULT_VIEW)) {
			return &conf->zone[i];
		}
	}
	return NULL;
}

static size_t name_len(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && name[len - 1] == '.' ? len - 1 : len;
}

/* On label boundaries: evilexample.com is not below example.com. */
static bool is_below(const char *name, const char *suffix)
{
	size_t len = name_len(name), suffix_len = name_len(suffix);

	if (suffix_len == 0) {
		return true;
	}
	return len >= suffix_len && strncasecmp(name + len - suffix_len, suffix, suffix_len) == 0 &&
	       (len == suffix_len || name[len - suffix_len - 1] == '.');
}

const struct conf_zone *conf_find_zone(const struct conf *conf, const char *name, const char *view)
{
	const struct conf_zone *best = NULL;

	for (size_t i = 0; i < conf->zone_count; i++) {
		const struct conf_zone *zone = &conf->zone[i];

		if (!same(zone->view, view != NULL ? view : SCHEMA_DEFAULT_VIEW) ||
		    !is_below(name, zone->suffix)) {
			continue;
		}
		if (best == NULL || name_len(zone->suffix) > name_len(best->suffix)) {
			best = zone;
		}
	}
	return best;
}
