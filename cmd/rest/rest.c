/* rest: the instance of a provider: its settings and what they lead to. */
#include "internal.h"

#include <stdlib.h>

/* Credentials come first and stay; of a daemon's tokens the oldest are long expired. */
#define HIDDEN_MAX 128
#define HIDDEN_KEPT 32

const char *rest_setting(const struct rest *rest, const char *name)
{
	const struct provider *provider = rest->api->provider;

	return settings_get(&rest->given, provider->settings, provider->setting_count, name);
}

const char *rest_setting_or(const struct rest *rest, const char *name, const char *const *variables)
{
	const char *text = rest_setting(rest, name);

	for (; !text && *variables; variables++) {
		text = getenv(*variables);
		text = text && text[0] ? text : NULL;
	}
	return text;
}

bool rest_setting_true(const struct rest *rest, const char *name)
{
	const char *text = rest_setting(rest, name);

	return text && strcmp(text, "true") == 0;
}

void *rest_self(const struct rest *rest)
{
	return rest->self;
}

void rest_account_is(struct rest *rest, const char *what, const char *name)
{
	if (name) {
		free(rest->account);
		rest->account = xasprintf("%s %s", what, name);
	}
}

struct world *rest_world(const struct rest *rest)
{
	return rest->host->world;
}

void rest_hide(struct rest *rest, const char *text)
{
	struct strlist *hidden = &rest->hidden;

	if (!text || strlist_has(hidden, text)) {
		return;
	}
	if (hidden->count == HIDDEN_MAX) {
		char **oldest = hidden->item + HIDDEN_KEPT;

		wipe_str(*oldest);
		memmove(oldest, oldest + 1, (HIDDEN_MAX - HIDDEN_KEPT) * sizeof(*oldest));
		hidden->count--;
	}
	strlist_add(hidden, text);
}

void rest_close(void *instance)
{
	struct rest *rest = instance;

	if (!rest) {
		return;
	}
	zones_close(rest);
	walk_cancel(rest->token_walk);
	calls_close(rest);
	if (rest->api->close && rest->self) {
		rest->api->close(rest);
	}
	secrets_close(rest);
	wipe_str(rest->token);
	for (size_t i = 0; i < rest->hidden.count; i++) {
		wipe(rest->hidden.item[i], strlen(rest->hidden.item[i]));
	}
	strlist_clear(&rest->hidden);
	settings_clear(&rest->given);
	free(rest->endpoint);
	free(rest->ca_file);
	free(rest->account);
	free(rest->shown);
	wipe_free(rest->self, rest->api->self_size);
	free(rest);
}

static char *without_slash(const char *url)
{
	size_t len = url ? strlen(url) : 0;

	while (len > 0 && url[len - 1] == '/') {
		len--;
	}
	return xstrndup(url ? url : "", len);
}

static enum err_code take_settings(struct rest *rest, struct err *err)
{
	const char *timeout = rest_setting(rest, "timeout");

	rest->endpoint = without_slash(rest_setting(rest, "endpoint"));
	rest->ca_file = xstrdup(rest_setting(rest, "ca_file"));
	rest->timeout_ms = 300000;
	if (timeout && !duration_parse(timeout, &rest->timeout_ms)) {
		return err_set(err, ERR_CONFIG, rest->api->provider->name,
			       "timeout \"%s\" is not a duration; write 5m or 30s", timeout);
	}
	return secrets_open(rest, err);
}

enum err_code rest_open(const struct rest_api *api, const struct provider_host *host,
			const struct settings *given, void **instance, struct err *err)
{
	struct rest *rest = xcalloc(1, sizeof(*rest));
	enum err_code code;

	rest->api = api;
	rest->host = host;
	rest->shown = host->name && strcmp(host->name, api->provider->name) != 0
			      ? xasprintf("%s \"%s\"", api->provider->name, host->name)
			      : xstrdup(api->provider->name);
	settings_copy(&rest->given, given);
	rest->self = xcalloc(1, api->self_size + 1);
	code = take_settings(rest, err);
	if (code == ERR_NONE && api->open) {
		code = api->open(rest, err);
	}
	if (code != ERR_NONE) {
		rest_close(rest);
		return code;
	}
	*instance = rest;
	return ERR_NONE;
}
