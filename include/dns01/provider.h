/*
 * provider: how TXT records get into a zone. The one header here that promises
 * a stable ABI: a provider is built in (providers/registry.c lists it), or a plug-in. Either
 * includes only include/dns01 headers. providers/README.md teaches to write one.
 *
 * A provider gets batches of changes for one zone and answers each change.
 * It sees only its own settings and asks the world for HTTP or DNS.
 */
#ifndef DNS01_PROVIDER_H
#define DNS01_PROVIDER_H

#include "dns01/dns.h"
#include "dns01/setting.h"

/* Of everything that a plug-in sees: this header, those it includes, and rest.h. A plug-in that
 * was built for another number is not loaded. */
#define PROVIDER_ABI 1

struct provider_change {
	bool publish; /* else retract */
	const char *owner;
	const char *value;
	uint32_t ttl_s; /* at least the provider's ttl_min_s; of a retraction it may be 0 */
};

struct provider_batch {
	const char *zone; /* as the DNS has it; an API may have another */
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
 * value was read back at the server that took it, or the API confirmed it.
 */
typedef void provider_done(void *arg, const struct err *results, size_t count);

struct provider_host { /* what a provider may use; borrowed until close */
	struct world *world;
	struct dns_client *dns;
	const char *proxy; /* for HTTP */
	const char *name;  /* what the configuration calls the instance; NULL: nothing */
};

/* What a change is at the other end. */
enum provider_unit {
	PROVIDER_VALUES,  /* one value is added or removed; nothing else is touched */
	PROVIDER_RECORDS, /* the same, and each value is a record with an identifier */
	PROVIDER_RRSETS,  /* all values of a name are replaced by one call, compared and swapped */
	PROVIDER_RRSETS_RACY, /* the same, but a value that another writes meanwhile can be lost */
	PROVIDER_UNIT_COUNT
};

/*
 * All members but those marked MAY are MUST. Strings are UTF-8 and live as long as the table.
 */
struct provider {
	uint32_t abi;          /* PROVIDER_ABI */
	const char *name;      /* type = "NAME" in the configuration: lower case letters, digits */
	const char *summary;   /* what it publishes at, without a full stop */
	const char *privilege; /* the least credential that suffices, and how to make it; sentences
				* for people, also at the end of errors that say "denied" */
	const char *example;   /* a group of the configuration that parses */
	const struct setting *settings; /* NULL where setting_count is 0 */
	size_t setting_count;

	/* Capabilities. */
	enum provider_unit unit;
	uint32_t ttl_min_s;     /* 0: none; smaller TTLs are raised to it before apply_start */
	size_t batch_max;       /* changes in one apply; 0: as many as there are */
	unsigned in_flight_max; /* MAY: requests at once; 0: as rest.h says */
	bool in_sync;           /* MAY: done comes only when the vendor says its servers have it */
	/* MAY: the vendor's customary environment variables that it reads, for people. */
	const char *environment;

	/* Reads credentials and checks settings; no traffic. Gives *instance. The settings were
	 * checked by the table, with its defaults still to be read by settings_get. */
	enum err_code (*open)(const struct provider_host *host, const struct settings *settings,
			      void **instance, struct err *err);
	/* One batch at a time a zone; those of different zones may run side by side. The batch
	 * is borrowed until done, which comes exactly once, never from inside; gives a handle
	 * for cancel. */
	void *(*apply_start)(void *instance, const struct provider_batch *batch,
			     provider_done *done, void *arg);
	/* done does not come any more; NULL is fine. */
	void (*apply_cancel)(void *operation);
	/* Wipes secrets; no operation is under way. NULL is fine. */
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
/* One that is not built in, kept; ERR_EXISTS where the name is taken. */
enum err_code provider_add(const struct provider *provider, struct err *err) MUST_CHECK;

#endif
