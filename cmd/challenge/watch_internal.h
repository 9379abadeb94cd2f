/*
 * watch's insides: one zone with its owners and values (watch.c), and one
 * server address that is asked for them (watch_server.c).
 */
#ifndef DNS01_WATCH_INTERNAL_H
#define DNS01_WATCH_INTERNAL_H

#include "dns01/challenge.h"

struct watch_zone;

/* One TXT RRset: a single answer shows all its values. */
struct watch_owner {
	char *name;
	struct strlist values; /* empty: nobody waits for it any more */
	struct addr shown_at;  /* where all of them were read back; len 0: nowhere */
};

struct watch_server;

struct watch_question {
	struct watch_server *server;
	size_t owner; /* index in the zone's owners */
	struct dns_call *call;
	struct dns_lookup *lookup;
};

/* One address of a name server, or one resolver. */
struct watch_server {
	struct watch_zone *zone;
	struct timeline *timeline;
	struct dns_source resolver;       /* with watch = resolvers: this one alone */
	struct watch_question *questions; /* one an owner */
	bool *shown;                      /* one an owner */
	size_t left;                      /* questions under way */
	struct world_timer *timer;
};

struct watch_zone {
	struct watch *watch;
	const struct route *route; /* of its first item: settings, servers, source */
	struct watch_owner *owners;
	size_t owner_count, owner_cap;
	struct watch_server *servers;
	size_t server_count;
	unsigned rounds_left; /* full passes still wanted: 2 with settle */
	bool settling;        /* the second pass */
	struct world_timer *settle;
	struct world_timer *deadline;
	int64_t started_us;
	bool passed;
};

struct watch {
	struct watch_args args;
	struct watch_zone *zones;
	size_t zone_count;
	struct timeline *timeline;
	size_t timeline_count;
	struct world_timer *verdict; /* done comes from the loop */
	struct err err;
	watch_done *done;
	void *arg;
};

void watch_server_begin(struct watch_server *server); /* asks at once, forgets what was shown */
void watch_server_end(struct watch_server *server);   /* stops asking; frees what it holds */
void watch_server_clear(struct watch_server *server);
/* Nobody waits for that owner any more, or for one value fewer. */
void watch_server_drop(struct watch_server *server, size_t owner);
/* A server's state may have changed: looks at the zone's quorum. */
void watch_zone_look(struct watch_zone *zone);

#endif
