/*
 * provider: how TXT records get into a zone. The one header here that promises
 * a stable ABI: a provider is built in (providers/registry.c lists it) and
 * includes only include/dns01 headers.
 *
 * A provider gets batches of changes for one zone and answers each change.
 * It sees only its own settings and asks the world for HTTP or DNS.
 */
#ifndef DNS01_PROVIDER_H
#define DNS01_PROVIDER_H

#include "dns01/dns.h"
#include "dns01/setting.h"

#define PROVIDER_ABI 1

struct provider_change {
	bool publish; /* else retract */
	const char *owner;
	const char *value;
	uint32_t ttl_s;
};

struct provider_batch {
	const char *zone;
	const struct provider_change *changes;
	size_t count;
	/* NULL, or one a change, all false: true is set where the server that authority() names
	 * was asked after the change, and showed the value. */
	bool *shown;
};

/*
 * results[i] answers changes[i]; code ERR_NONE is success, and so are "it was
 * there already" and "it was gone already". ERR_DENIED, ERR_CONFIG and ERR_USAGE say that the
 * change was surely not made; any other code leaves that open. A published
 * value was read back at the server that took it.
 */
typedef void provider_done(void *arg, const struct err *results, size_t count);

struct provider_host { /* what a provider may use; borrowed until close */
	struct world *world;
	struct dns_client *dns;
	const char *proxy; /* for HTTP */
};

struct provider {
	uint32_t abi; /* PROVIDER_ABI */
	const char *name;
	const char *summary;
	const char *privilege; /* the least credential that suffices; for people */
	const char *example;   /* of a configuration group */
	const struct setting *settings;
	size_t setting_count;
	uint32_t ttl_min_s;
	size_t batch_max; /* changes in one apply; 0: as many as there are */

	/* Reads credentials and checks settings; no traffic. Gives *instance. */
	enum err_code (*open)(const struct provider_host *host, const struct settings *settings,
			      void **instance, struct err *err);
	/* One batch at a time a zone; those of different zones may run side by side. The batch
	 * is borrowed until done, which comes exactly once, never from inside; gives a handle
	 * for cancel. */
	void *(*apply_start)(void *instance, const struct provider_batch *batch,
			     provider_done *done, void *arg);
	void (*apply_cancel)(void *operation);
	void (*close)(void *instance);
	/* MAY be NULL: the server that is asked about its zones when no resolver
	 * knows them; borrowed. False: there is none. */
	bool (*authority)(void *instance, struct dns_source *source);
};

/* ---- registry ---------------------------------------------------------- */

const struct provider *provider_find(const char *name); /* NULL: unknown */
const struct provider *provider_at(size_t index);       /* NULL past the last */
/* A conf_provider_rows. */
const struct setting *provider_rows(const char *name, size_t *count);

#endif
