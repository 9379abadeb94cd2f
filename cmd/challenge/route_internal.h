/*
 * route's insides: the router with what it has learnt, scopes (one (settings,
 * view) with its resolvers), and the zones found in each scope.
 */
#ifndef DNS01_ROUTE_INTERNAL_H
#define DNS01_ROUTE_INTERNAL_H

#include "dns01/challenge.h"

#define CONF_VIEW_DEFAULT "default"

struct zone_scope;
struct zone_find;
struct route_call;

/* Routes are kept until the router goes. */
struct route_list {
	struct route *route;
	struct route_list *next;
};

struct router {
	struct router_args args;
	struct zone_scope *scopes;
	struct route_call *calls;
	size_t call_count;
	struct route_list *routes;
};

/* The scope that names like this belong to; made when it is new. Borrowed. */
struct zone_scope *router_scope(struct router *router, const char *name, const char *view);
const struct conf_zone *scope_settings(const struct zone_scope *scope);
const struct dns_source *scope_source(const struct zone_scope *scope);
/* False where the configuration says that port 53 of strangers is out of reach. */
bool scope_asks_servers(const struct zone_scope *scope);
void scopes_free(struct zone_scope *scopes);

/*
 * Exactly one of three: err; find, whose zone holds the owner as far as is known;
 * or neither, when a neighbour's zone became known: then ask again.
 */
typedef void zone_wait_done(void *arg, const struct err *err, struct zone_find *find);
struct zone_wait {
	zone_wait_done *done;
	void *arg;
	struct zone_find *at; /* NULL while not waiting */
	struct zone_wait *next;
};

/* child: a zone that a delegation named, which then is the zone to find; or NULL. May call done
 * at once. */
void zone_find_wait(struct zone_scope *scope, const char *owner, const char *child,
		    struct zone_wait *wait);
void zone_wait_end(struct zone_wait *wait);

const char *zone_find_zone(const struct zone_find *find);
bool zone_find_fixed(const struct zone_find *find); /* the configuration said it */
const struct ns_set *zone_find_servers(const struct zone_find *find);
size_t zone_find_addr_count(const struct zone_find *find);
/* Counts round: index may pass the count. */
const struct addr *zone_find_addr(const struct zone_find *find, size_t index);

#endif
