/*
 * pool: provider instances, opened once and shared by routes, publisher and
 * sweep. One that a journal row names is opened from what the row kept, whatever the
 * configuration says by then.
 */
#include "dns01/challenge.h"

#include "dns01/json.h"

struct pool_item {
	struct provider_in_use use;
	struct provider_host host; /* the pool's, with the name of this one */
	bool configured;           /* else opened from a journal row */
	struct pool_item *next;
};

struct provider_pool {
	struct provider_host host;
	const struct conf *conf;
	struct pool_item *items;
};

struct provider_pool *provider_pool_new(struct world *world, struct dns_client *dns,
					const struct conf *conf)
{
	struct provider_pool *pool = xcalloc(1, sizeof(*pool));

	pool->host = (struct provider_host){ .world = world, .dns = dns, .proxy = conf->proxy };
	pool->conf = conf;
	return pool;
}

void provider_pool_free(struct provider_pool *pool)
{
	struct pool_item *item = pool ? pool->items : NULL;

	while (item) {
		struct pool_item *next = item->next;

		item->use.provider->close(item->use.instance);
		free(item->use.name);
		free(item->use.conf);
		free(item);
		item = next;
	}
	free(pool);
}

/* {"type":"rfc2136","server":"192.0.2.1", ...}: files by path, so no secret. */
static char *settings_to_json(const struct provider *provider, const struct settings *settings)
{
	struct json *object = json_object();
	char *text;

	json_set_str(object, "type", provider->name);
	for (size_t i = 0; i < provider->setting_count; i++) {
		const struct setting *row = &provider->settings[i];
		const char *value = settings_get(settings, provider->settings,
						 provider->setting_count, row->name);

		if (value && (!row->secret || row->type == SETTING_FILE)) {
			json_set_str(object, row->name, value);
		}
	}
	text = json_dump(object);
	json_free(object);
	return text;
}

/* Gives NULL with err set. */
static struct pool_item *pool_open(struct provider_pool *pool, const char *name,
				   const struct provider *provider, const struct settings *settings,
				   struct err *err)
{
	struct pool_item *item = xcalloc(1, sizeof(*item));

	item->use.provider = provider;
	item->use.name = xstrdup(name);
	item->host = pool->host;
	item->host.name = item->use.name;
	if (provider->open(&item->host, settings, &item->use.instance, err) != ERR_NONE) {
		free(item->use.name);
		free(item);
		return NULL;
	}
	item->use.conf = settings_to_json(provider, settings);
	item->next = pool->items;
	pool->items = item;
	return item;
}

enum err_code provider_pool_get(struct provider_pool *pool, const char *name,
				const struct provider_in_use **out, struct err *err)
{
	const struct conf_provider *wanted = conf_find_provider(pool->conf, name);
	const struct provider *provider;
	struct pool_item *item;
	struct err unused;

	err = err ? err : &unused;
	for (item = pool->items; item; item = item->next) {
		if (item->configured && strcmp(item->use.name, name) == 0) {
			*out = &item->use;
			return ERR_NONE;
		}
	}
	if (!wanted) {
		return err_set(err, ERR_CONFIG, name, "no provider of that name is configured");
	}
	provider = provider_find(wanted->type);
	if (!provider) {
		return err_set(err, ERR_CONFIG, name,
			       "there is no provider type \"%s\"; `dns01 providers` lists them",
			       wanted->type);
	}
	item = pool_open(pool, name, provider, &wanted->settings, err);
	if (!item) {
		return err->code;
	}
	item->configured = true;
	*out = &item->use;
	return ERR_NONE;
}

static enum err_code settings_from_json(const char *conf, struct settings *settings,
					const struct provider **provider, struct err *err)
{
	struct json *object = NULL;
	const char *key;
	const struct json *value;
	enum err_code code = json_parse(conf, strlen(conf), &object, err);

	if (code != ERR_NONE) {
		return code;
	}
	for (size_t i = 0; json_member(object, i, &key, &value); i++) {
		if (strcmp(key, "type") == 0) {
			*provider = provider_find(json_text(value) ? json_text(value) : "");
		} else if (json_text(value)) {
			settings_set(settings, key, json_text(value), "journal");
		}
	}
	json_free(object);
	if (!*provider) {
		return err_set(err, ERR_NOT_FOUND, "",
			       "the journal names a provider type that this build lacks");
	}
	return ERR_NONE;
}

enum err_code provider_pool_get_conf(struct provider_pool *pool, const char *name, const char *conf,
				     const struct provider_in_use **out, struct err *err)
{
	struct settings settings = { 0 };
	const struct provider *provider = NULL;
	struct pool_item *item;
	enum err_code code;

	for (item = pool->items; item; item = item->next) {
		if (strcmp(item->use.conf, conf) == 0) {
			*out = &item->use;
			return ERR_NONE;
		}
	}
	code = settings_from_json(conf, &settings, &provider, err);
	if (code == ERR_NONE) {
		item = pool_open(pool, name, provider, &settings, err);
		code = item ? ERR_NONE : err->code;
	}
	settings_clear(&settings);
	if (code == ERR_NONE) {
		*out = &item->use;
	}
	return code;
}
