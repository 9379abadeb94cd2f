/* The providers that are built in: one row each, in the order people read them. */
#include "dns01/provider.h"

extern const struct provider provider_acmedns;
extern const struct provider provider_broker;
extern const struct provider provider_httpreq;
extern const struct provider provider_rfc2136;

static const struct provider *const providers[] = {
	&provider_rfc2136,
	&provider_broker,
	&provider_httpreq,
	&provider_acmedns,
};

const struct provider *provider_at(size_t index)
{
	return index < ARRAY_LEN(providers) ? providers[index] : NULL;
}

const struct provider *provider_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(providers); i++) {
		if (strcmp(providers[i]->name, name) == 0) {
			return providers[i];
		}
	}
	return NULL;
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
