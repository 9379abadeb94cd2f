/*
 * challenge: the heart. One pipeline for everyone who asks:
 *
 *   route    name -> alias target -> zone -> provider and authoritative servers
 *   publish  TXT values into their zones: journalled first, one change in
 *            flight a zone, everything that arrives meanwhile in the next
 *   watch    every address of every authoritative server until each shows it
 *   retract  on every way out, and at the next start what a crash left
 */
#ifndef DNS01_CHALLENGE_H
#define DNS01_CHALLENGE_H

#include "dns01/conf.h"
#include "dns01/provider.h"
#include "dns01/store.h"

/* ---- what people see while it happens ------------------------------------- */

enum server_state {
	SERVER_WAITING,     /* answers, but does not show the value yet; or not asked yet */
	SERVER_SEEN,        /* shows every value */
	SERVER_REFUSING,    /* answers REFUSED, or without authority, or nonsense */
	SERVER_UNREACHABLE, /* three UDP tries and one by TCP without an answer */
	SERVER_NO_ROUTE,    /* this host has no way there (IPv6): left out */
	SERVER_IGNORED,     /* left out by the configuration */
	SERVER_STATE_COUNT
};
const char *server_state_name(enum server_state state);

#define TIMELINE_SAID_MAX 160

/* One address of one server of one zone. Times are monotonic, us; 0: never. */
struct timeline {
	const char *zone;
	const char *server; /* its name */
	struct addr addr;
	enum server_state state;
	int64_t first_asked_us, last_asked_us, seen_us;
	int64_t state_since_us;
	unsigned questions;
	char said[TIMELINE_SAID_MAX]; /* its last answer, for people */
};

enum progress_kind {
	PROGRESS_ROUTED,    /* name, owner, zone, text: the alias chain or "" */
	PROGRESS_PUBLISHED, /* owner, zone, value, text: the provider's name */
	PROGRESS_SERVER,    /* timeline: a server's state changed */
	PROGRESS_RETRACTED, /* owner, zone, value, text: the provider's name */
	PROGRESS_BATCH,     /* zone, count: so many changes go to the provider, text, at once */
	PROGRESS_NOTE       /* text: something odd that does not stop the work */
};

struct progress {
	enum progress_kind kind;
	const char *name;
	const char *owner;
	const char *zone;
	const char *value;
	const char *text;
	const struct timeline *timeline;
	size_t count;
};
typedef void progress_fn(void *arg, const struct progress *progress);

/* ---- providers in use -------------------------------------------------------- */

struct provider_pool;

struct provider_in_use {
	const struct provider *provider;
	void *instance;
	char *name; /* the configuration's */
	char *conf; /* type and settings as JSON: what the journal keeps */
};

struct provider_pool *provider_pool_new(struct world *world, struct dns_client *dns,
					const struct conf *conf); /* keeps all */
void provider_pool_free(struct provider_pool *pool);
/* Opened once and borrowed while the pool lives. */
enum err_code provider_pool_get(struct provider_pool *pool, const char *name,
				const struct provider_in_use **out, struct err *err) MUST_CHECK;
/* From a journal row, whatever the configuration says today. */
enum err_code provider_pool_get_conf(struct provider_pool *pool, const char *name, const char *conf,
				     const struct provider_in_use **out,
				     struct err *err) MUST_CHECK;

/* ---- route --------------------------------------------------------------------- */

#define ALIAS_HOPS_MAX 8

struct route {               /* lives as long as its router */
	char *name;          /* the identifier, without "*." */
	char *owner;         /* where the TXT goes, after aliases */
	char *zone;          /* that owner is in */
	bool apex;           /* name is the apex of a zone, as far as was seen on the way */
	struct strlist hops; /* owner names before the last; empty without an alias */
	const struct conf_zone *settings;
	const struct ns_set *servers; /* NULL with watch = provider or resolvers */
	const struct dns_source *source;
};

struct router;
struct router_args {
	struct world *world;
	struct dns_client *dns;
	const struct conf *conf;
	struct provider_pool *pool;
	progress_fn *progress; /* may be NULL */
	void *progress_arg;
};
struct router *router_new(const struct router_args *args); /* keeps what args names */
void router_free(struct router *router);

typedef void route_done(void *arg, const struct err *err, const struct route *route);
struct route_call;
/* name: an identifier, "*." is looked through. view: NULL for the default. Never asks a resolver
 * for the challenge name itself, but with watch = resolvers. */
struct route_call *route_start(struct router *router, const char *name, const char *view,
			       route_done *done, void *arg);
/* The same for an owner name that is final already (dns01 retract). */
struct route_call *route_owner_start(struct router *router, const char *owner, const char *view,
				     route_done *done, void *arg);
void route_cancel(struct route_call *call);

/* ---- publish, retract -------------------------------------------------------------- */

struct publisher;
struct publisher_args {
	struct world *world;
	struct journal *journal;
	const char *state; /* folder, for the zones' locks */
	struct provider_pool *pool;
	/* How long a value that is let go may wait for a change of its zone that it can go with.
	 * Whoever waits for the end of a retraction sets 0. */
	int64_t linger_ms;
	progress_fn *progress; /* may be NULL */
	void *progress_arg;
};
struct publisher *publisher_new(const struct publisher_args *args); /* keeps what args names */
/* No traffic and no journal: what is held stays for the next start's sweep. */
void publisher_free(struct publisher *publisher);

struct publish_item {
	const struct route *route; /* kept until retracted */
	const char *value;         /* copied */
	/* For a watch: the server that took it was asked for it and showed it; NULL: none was. */
	const struct addr *shown_at;
};

struct publish_args {
	const struct publish_item *items; /* borrowed for the call */
	size_t count;
	struct lease_spec lease; /* its requester is copied */
	/* Only the intent is journalled: whoever wants the value again, in this process or
	 * another, publishes it. */
	bool defer;
};

/* Values that one requester holds. */
struct publish;
typedef void publish_done(void *arg, const struct err *err);

/* done: all are in DNS and read back, or err is the first failure, with its owner,
 * and the rest still has to be retracted. */
struct publish *publish_start(struct publisher *publisher, const struct publish_args *args,
			      publish_done *done, void *arg);
/* What an earlier process published: rows of journal_leases_start, of one requester, owner and
 * value. To be retracted or forgotten. */
struct publish *publish_adopt(struct publisher *publisher, const struct journal_row *rows,
			      size_t count);
/* After done: where the value of items[index] was read back; NULL: nowhere. Borrowed from the
 * publisher. */
const struct addr *publish_shown_at(const struct publish *publish, size_t index);
/*
 * Lets go of all; what nobody else holds leaves the DNS. Allowed at any time after
 * publish_start, once; a done of publish_start that is still due does not come. done
 * frees publish; err: what is still there (the journal keeps it for the next sweep).
 */
void publish_retract(struct publish *publish, publish_done *done, void *arg);

/*
 * Frees a publish whose done came: what it holds stays as long as its lease lives. One whose done
 * has not come is left to its publisher.
 */
void publish_forget(struct publish *publish); /* NULL is fine */

/* Removes every row whose leases are dead; a failure of one zone does not keep the
 * others. removed: how many records went. */
typedef void sweep_done(void *arg, const struct err *err, size_t removed);
struct sweep;
struct sweep *sweep_start(struct publisher *publisher, sweep_done *done, void *arg);
void sweep_cancel(struct sweep *sweep);

/* ---- watch ---------------------------------------------------------------------------- */

struct watch_args {
	struct world *world;
	struct dns_client *dns;
	const struct publish_item *items; /* copied; routes are kept */
	size_t count;
	int64_t deadline_us; /* monotonic; 0: the zones' own `deadline` alone */
	progress_fn *progress;
	void *progress_arg;
};

struct watch;
/* err NULL: every zone's quorum shows every value. Else the sentence names each server
 * that does not, what it said, and since when. */
typedef void watch_done(void *arg, const struct err *err);
struct watch *watch_start(const struct watch_args *args, watch_done *done, void *arg);
void watch_cancel(struct watch *watch);
/* One value is not waited for any more. */
void watch_drop(struct watch *watch, const char *owner, const char *value);
/* After a failure: whether every server that stands in its zone's way shows this owner. */
bool watch_shows(const struct watch *watch, const char *owner);
/* Borrowed; whole until watch_free/cancel: done does not free the watch. */
const struct timeline *watch_timeline(const struct watch *watch, size_t *count);

/* ---- watcher: those who wait for the same UPDATE watch together ----------------- */

/* What joins in one turn of the loop, as the requesters of one batch do, shares one watch:
 * one server is asked once for all of them. */
struct watcher;
struct watcher_args {
	struct world *world;
	struct dns_client *dns;
};
struct watcher *watcher_new(const struct watcher_args *args); /* keeps what args names */
void watcher_free(struct watcher *watcher);                   /* nobody is told */

struct watch_join;
/* Its item's route is kept. done as of watch_start; then, or by watch_leave, join is gone. */
struct watch_join *watch_join(struct watcher *watcher, const struct publish_item *item,
			      watch_done *done, void *arg);
void watch_leave(struct watch_join *join); /* NULL is fine */
/* changed: a server of some zone of the watch changed its state; NULL ends that. */
void watch_join_on_change(struct watch_join *join, world_fire *changed, void *arg);
/* The state of the zone's servers so far; empty before the first question. */
const struct timeline *watch_join_timeline(const struct watch_join *join, size_t *count);

/* ---- hold: route, publish and watch for one requester ---------------------------------- */

struct hold_item {
	const char *name;  /* an identifier; NULL: owner says it */
	const char *owner; /* a final owner name */
	const char *value;
};

struct hold_args {
	struct world *world;
	struct dns_client *dns;
	struct router *router;
	struct publisher *publisher;
	const struct hold_item *items; /* copied */
	size_t count;
	const char *view; /* copied; NULL: the default */
	struct lease_spec lease;
	bool defer; /* as in publish_args; nothing is watched then */
	bool watch; /* done comes when every server that counts shows every value */
	progress_fn *progress;
	void *progress_arg;
};

struct hold;
typedef void hold_done(void *arg, const struct err *err);
/* err: what was published all the same is still held. */
struct hold *hold_start(const struct hold_args *args, hold_done *done, void *arg);
/* Once, at any time after hold_start, whose done does not come any more: what nobody else
 * holds leaves the DNS. err: what is still there. */
void hold_let_go(struct hold *hold, hold_done *done, void *arg);
/* Frees it, before its publisher: what is published stays as long as its lease lives. */
void hold_free(struct hold *hold);

#endif
