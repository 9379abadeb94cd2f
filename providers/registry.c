/* The providers that are built in: one row each, in the order people read them; then plug-ins. */
#include "dns01/provider.h"

#define ADDED_MAX 64

extern const struct provider provider_acmedns;
extern const struct provider provider_azure;
extern const struct provider provider_broker;
extern const struct provider provider_cloudflare;
extern const struct provider provider_desec;
extern const struct provider provider_exec;
extern const struct provider provider_google;
extern const struct provider provider_hetzner;
extern const struct provider provider_httpreq;
extern const struct provider provider_manual;
extern const struct provider provider_ovh;
extern const struct provider provider_powerdns;
extern const struct provider provider_rfc2136;
extern const struct provider provider_route53;

static const struct provider *const providers[] = {
	&provider_rfc2136,    &provider_broker,  &provider_httpreq, &provider_acmedns,
	&provider_cloudflare, &provider_route53, &provider_google,  &provider_azure,
	&provider_powerdns,   &provider_desec,   &provider_hetzner, &provider_ovh,
	&provider_exec,       &provider_manual,
};

static const struct provider *added[ADDED_MAX];
static size_t added_count;

const struct provider *provider_at(size_t index)
{
	if (index < ARRAY_LEN(providers)) {
		return providers[index];
	}
	index -= ARRAY_LEN(providers);
	return index < added_count ? added[index] : NULL;
}

const struct provider *provider_find(const char *name)
{
	const struct provider *provider;

	for (size_t i = 0; (provider = provider_at(i)); i++) {
		if (strcmp(provider->name, name) == 0) {
			return provider;
		}
	}
	return NULL;
}

enum err_code provider_add(const struct provider *provider, struct err *err)
{
	if (provider_find(provider->name)) {
		return err_set(err, ERR_EXISTS, "", "there is a provider \"%s\" already",
			       provider->name);
	}
	if (added_count == ADDED_MAX) {
		return err_set(err, ERR_LIMIT, "", "there are more than %d plug-ins", ADDED_MAX);
	}
	added[added_count++] = provider;
	return ERR_NONE;
}

const struct setting *provider_rows(const char *name, size_t *count)
{
	const struct provider *provider = provider_find(name);

	if (!provider) {
		*count = 0;
		return NULL;
	}
	*count = provider->setting_count;
	return provider->settings;
}
