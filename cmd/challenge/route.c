/*
 * route: where the TXT record of a name goes (DESIGN, "route"; RFC 8555 s.8.4).
 *
 * The zone that holds NAME is looked up by the zone's resolvers (zone_find.c), then
 * that zone's own servers are asked for the SOA of `_acme-challenge.NAME` with RD=0, which
 * tells at once whether there is an alias, a delegation, and which zone it is. A resolver is
 * never asked for the challenge name: it would remember that it was absent.
 *
 *   START -> ZONE -> ASK -+-> no alias, same zone ---------------> DONE
 *             ^           +-> delegation, or a child zone --> ZONE
 *             |           +-> CNAME or DNAME for challenges: next owner ---> ZONE
 *             |           +-> CNAME that may be a wildcard's
 *             +------- no: next owner <--- PROBE ---> yes: DONE
 */
#include "dns01/challenge.h"

#include "route_internal.h"

#define ASK_TIMEOUT_MS 2000 /* of one server; the next one is asked after it */
#define ASK_ROUNDS 2
#define ASK_UDP_MAX 10 /* routes at once by UDP; more go by the kept TCP connection */
#define CHILD_ZONES_MAX 16

struct route_call {
	struct router *router;
	struct route *route;
	struct zone_scope *scope; /* of the present owner */
	char *view;
	char *owner;  /* the present one of the chain */
	char *child;  /* zone that a delegation named, or NULL */
	bool follow;  /* aliases */
	bool probing; /* for a wildcard CNAME */
	char *target; /* of the CNAME that is probed */
	unsigned children;
	struct zone_find *find; /* of the owner's zone; ours to wait for */
	struct zone_wait wait;
	struct dns_call *ask;
	struct dns_lookup *lookup;
	struct world_timer *start;
	size_t server; /* next address to ask, over ASK_ROUNDS rounds */
	char last_answer[TIMELINE_SAID_MAX + ADDR_TEXT_MAX + 4];
	route_done *done;
	void *arg;
	struct route_call *next;
};

static void find_zone(struct route_call *call);
static void ask_next(struct route_call *call);

/* ---- the router ------------------------------------------------------------ */

struct router *router_new(const struct router_args *args)
{
	struct router *router = xcalloc(1, sizeof(*router));

	router->args = *args;
	return router;
}

static void route_clear(struct route *route)
{
	if (!route) {
		return;
	}
	free(route->name);
	free(route->owner);
	free(route->zone);
	strlist_clear(&route->hops);
	free(route);
}

static void router_keep(struct router *router, struct route *route)
{
	struct route_list *item = xmalloc(sizeof(*item));

	*item = (struct route_list){ route, router->routes };
	router->routes = item;
}

void router_free(struct router *router)
{
	if (!router) {
		return;
	}
	while (router->calls) {
		route_cancel(router->calls);
	}
	while (router->routes) {
		struct route_list *item = router->routes;

		router->routes = item->next;
		route_clear(item->route);
		free(item);
	}
	scopes_free(router->scopes);
	free(router);
}

/* ---- the call's life ------------------------------------------------------- */

static void call_unlink(struct route_call *call)
{
	struct route_call **at = &call->router->calls;

	while (*at && *at != call) {
		at = &(*at)->next;
	}
	if (*at) {
		*at = call->next;
		call->router->call_count--;
	}
}

static void call_free(struct route_call *call)
{
	call_unlink(call);
	world_timer_cancel(call->router->args.world, call->start);
	dns_call_cancel(call->ask);
	dns_lookup_cancel(call->lookup);
	zone_wait_end(&call->wait);
	route_clear(call->route);
	free(call->view);
	free(call->owner);
	free(call->child);
	free(call->target);
	free(call);
}

void route_cancel(struct route_call *call)
{
	if (call) {
		call_free(call);
	}
}

static void call_fail(struct route_call *call, const struct err *err)
{
	route_done *done = call->done;
	void *arg = call->arg;
	struct err copy = *err;

	err_subject(&copy, "%s", call->route->name);
	call_free(call);
	done(arg, &copy, NULL);
}

static void report(struct route_call *call)
{
	struct route *route = call->route;
	char *hops = strlist_join(&route->hops, " -> ");
	struct progress progress = {
		.kind = PROGRESS_ROUTED,
		.name = route->name,
		.owner = route->owner,
		.zone = route->zone,
		.text = hops,
	};

	if (call->router->args.progress) {
		call->router->args.progress(call->router->args.progress_arg, &progress);
	}
	free(hops);
}

static void fail_unconfigured(struct route_call *call, const char *zone)
{
	struct strlist *hops = &call->route->hops;
	struct err err;

	if (hops->count > 0) {
		err_set(&err, ERR_CONFIG, call->route->name,
			"\"%s\" is an alias of \"%s\", which no zone of the configuration holds "
			"(view \"%s\"); add its zone, or set alias = \"off\"",
			hops->item[0], call->owner, call->view);
	} else {
		err_set(&err, ERR_CONFIG, call->route->name,
			"no zone of the configuration holds \"%s\" (view \"%s\"); add { suffix = "
			"\"%s\"; ... } to zones",
			call->owner, call->view, zone);
	}
	call_fail(call, &err);
}

/* The owner is final and lies in zone. */
static void call_finish(struct route_call *call, const char *zone)
{
	struct router *router = call->router;
	struct route *route = call->route;
	route_done *done = call->done;
	void *arg = call->arg;

	if (!scope_settings(call->scope)) {
		fail_unconfigured(call, zone);
		return;
	}
	route->owner = xstrdup(call->owner);
	route->zone = xstrdup(zone);
	route->settings = scope_settings(call->scope);
	route->source = scope_source(call->scope);
	if (call->find && strcmp(route->settings->watch, "authoritative") == 0) {
		route->servers = zone_find_servers(call->find);
	}
	report(call);
	call->route = NULL;
	router_keep(router, route);
	call_free(call);
	done(arg, NULL, route);
}

/* ---- aliases --------------------------------------------------------------- */

static void take_owner(struct route_call *call, const char *owner)
{
	free(call->owner);
	call->owner = xstrdup(owner);
	free(call->child);
	call->child = NULL;
	call->children = 0;
	call->find = NULL;
	call->scope = router_scope(call->router, owner, call->view);
}

static void follow_alias(struct route_call *call, const char *target)
{
	struct strlist *hops = &call->route->hops;
	struct err err;
	char *chain;

	strlist_add(hops, call->owner);
	if (!strlist_has(hops, target) && hops->count <= ALIAS_HOPS_MAX) {
		char *next = xstrdup(target);

		take_owner(call, next);
		free(next);
		find_zone(call);
		return;
	}
	chain = strlist_join(hops, " -> ");
	if (strlist_has(hops, target)) {
		err_set(&err, ERR_DNS, call->route->name,
			"the alias goes round in a loop: %s -> %s", chain, target);
	} else {
		err_set(&err, ERR_DNS, call->route->name,
			"the alias chain is longer than %d names: %s -> %s", ALIAS_HOPS_MAX, chain,
			target);
	}
	free(chain);
	call_fail(call, &err);
}

/* An alias that can only be for challenges: a host's name has no underscore, and where nothing
 * can be published at the owner itself there is no choice. */
static bool alias_is_meant(const struct route_call *call, const char *target)
{
	return !scope_settings(call->scope) ||
	       (target[0] == '_' && conf_find_zone(call->router->args.conf, target, call->view));
}

static void on_alias(struct route_call *call, const char *target)
{
	if (alias_is_meant(call, target)) {
		follow_alias(call, target);
		return;
	}
	/* `*.example.com CNAME www.example.com` answers for every name; a TXT record
	 * of our own hides it, so only a CNAME of the very name counts. */
	call->probing = true;
	free(call->target);
	call->target = xstrdup(target);
	call->server = 0;
	ask_next(call);
}

static void on_probed(struct route_call *call, const char *target)
{
	call->probing = false;
	if (target && strcmp(target, call->target) == 0) {
		call_finish(call, zone_find_zone(call->find));
	} else {
		follow_alias(call, call->target);
	}
}

/* ---- asking the zone's servers --------------------------------------------- */

static void note_answer(struct route_call *call, const struct addr *server, const char *what)
{
	char address[ADDR_TEXT_MAX];

	addr_format(address, server, DNS_PORT);
	snprintf(call->last_answer, sizeof(call->last_answer), "%s: %.150s", address, what);
}

static void go_to_child(struct route_call *call, const char *zone)
{
	struct err err;

	if (++call->children > CHILD_ZONES_MAX) {
		err_set(&err, ERR_DNS, call->route->name,
			"delegations for \"%s\" do not come to an end (the last: zone \"%s\")",
			call->owner, zone);
		call_fail(call, &err);
		return;
	}
	free(call->child);
	call->child = xstrdup(zone);
	find_zone(call);
}

/* The zone that a negative or SOA answer speaks for, or NULL. */
static const char *answered_zone(const struct route_call *call, const struct dns_msg *msg)
{
	const struct dns_rr *soa = dns_msg_find(msg, DNS_ANSWER, call->owner, DNS_TYPE_SOA);

	if (!soa) {
		soa = dns_msg_find(msg, DNS_AUTHORITY, NULL, DNS_TYPE_SOA);
	}
	return soa && name_under(call->owner, soa->owner) ? soa->owner : NULL;
}

static const char *referred_zone(const struct route_call *call, const struct dns_msg *msg)
{
	const struct dns_rr *ns = dns_msg_find(msg, DNS_AUTHORITY, NULL, DNS_TYPE_NS);
	const char *zone = zone_find_zone(call->find);

	if (!ns || msg->aa || !name_under(call->owner, ns->owner)) {
		return NULL;
	}
	return name_under(ns->owner, zone) && strcmp(ns->owner, zone) != 0 ? ns->owner : NULL;
}

/* True when msg settled it, whichever way. */
static bool take_answer(struct route_call *call, const struct dns_msg *msg, bool trusted)
{
	const struct dns_rr *alias = dns_msg_find(msg, DNS_ANSWER, call->owner, DNS_TYPE_CNAME);
	const char *child = referred_zone(call, msg);
	const char *zone;

	/* RFC 6604 s.3: the code is that of the last name of a chain, the alias is there anyway. */
	if (msg->rcode != DNS_NOERROR && msg->rcode != DNS_NXDOMAIN && !alias) {
		return false;
	}
	if (child) {
		go_to_child(call, child);
		return true;
	}
	if (!trusted) {
		return false;
	}
	if (alias && alias->target && call->follow) {
		on_alias(call, alias->target);
		return true;
	}
	zone = alias || zone_find_fixed(call->find) ? NULL : answered_zone(call, msg);
	if (zone && strcmp(zone, zone_find_zone(call->find)) != 0 &&
	    name_under(zone, zone_find_zone(call->find))) {
		go_to_child(call, zone);
	} else {
		call_finish(call, zone_find_zone(call->find));
	}
	return true;
}

static void take_probe(struct route_call *call, const struct dns_msg *msg)
{
	const struct dns_rr *alias = dns_msg_find(msg, DNS_ANSWER, NULL, DNS_TYPE_CNAME);

	on_probed(call, alias ? alias->target : NULL);
}

static void on_answer(void *arg, const struct err *err, const struct dns_msg *msg)
{
	struct route_call *call = arg;
	const struct addr *server = zone_find_addr(call->find, call->server - 1);

	call->ask = NULL;
	if (msg && msg->aa && call->probing) {
		take_probe(call, msg);
		return;
	}
	if (msg && !call->probing && take_answer(call, msg, msg->aa)) {
		return;
	}
	if (msg && msg->rcode == DNS_NOERROR) {
		note_answer(call, server, "answers without authority");
	} else {
		note_answer(call, server, msg ? dns_rcode_name(msg->rcode) : err->text);
	}
	ask_next(call);
}

static void on_lookup(void *arg, const struct err *err, const struct dns_msg *msg)
{
	struct route_call *call = arg;
	struct err failed;

	call->lookup = NULL;
	if (msg && call->probing) {
		take_probe(call, msg);
		return;
	}
	if (msg && take_answer(call, msg, true)) {
		return;
	}
	if (err) {
		failed = *err;
	} else {
		err_set(&failed, ERR_DNS, call->route->name, "the resolver answers %s for \"%s\"",
			dns_rcode_name(msg->rcode), call->owner);
	}
	call_fail(call, &failed);
}

static void fail_unanswered(struct route_call *call)
{
	struct err err;

	err_set(&err, ERR_DNS, call->route->name,
		"no authoritative server of zone \"%s\" could be asked for \"%s\"%s%s; if this "
		"host cannot reach them, set `servers` of the zone, or watch = \"resolvers\"",
		zone_find_zone(call->find), call->owner,
		call->last_answer[0] ? "; the last was " : "", call->last_answer);
	call_fail(call, &err);
}

/* The name that is asked for: the owner, or a sibling that nobody made. */
static void asked_name(struct route_call *call, char out[NAME_TEXT_MAX])
{
	const char *parent = name_parent(call->owner);
	uint8_t draw[8];
	char hex[2 * sizeof(draw) + 1];

	if (!call->probing || !parent) {
		snprintf(out, NAME_TEXT_MAX, "%s", call->owner);
		return;
	}
	world_random(call->router->args.world, draw, sizeof(draw));
	hex_encode(hex, sizeof(hex), draw, sizeof(draw));
	snprintf(out, NAME_TEXT_MAX, "_dns01-%s.%s", hex, parent);
}

static void ask_next(struct route_call *call)
{
	struct router *router = call->router;
	char name[NAME_TEXT_MAX];
	const struct addr *server;

	asked_name(call, name);
	if (!scope_asks_servers(call->scope)) {
		call->lookup = dns_lookup_start(router->args.dns, scope_source(call->scope),
						&(struct dns_question){ name, DNS_TYPE_SOA },
						on_lookup, call);
		return;
	}
	do {
		server = call->server < ASK_ROUNDS * zone_find_addr_count(call->find)
				 ? zone_find_addr(call->find, call->server++)
				 : NULL;
	} while (server && !router->args.world->ops->has_route(router->args.world, server));
	if (!server) {
		fail_unanswered(call);
		return;
	}
	call->ask = dns_ask_start(router->args.dns,
				  &(struct dns_ask){
					  .server = *server,
					  .name = name,
					  .type = DNS_TYPE_SOA,
					  .timeout_ms = ASK_TIMEOUT_MS,
					  .transport = router->call_count > ASK_UDP_MAX ? DNS_TCP
											: DNS_AUTO,
				  },
				  on_answer, call);
}

/* ---- the zone -------------------------------------------------------------- */

static void on_zone(void *arg, const struct err *err, struct zone_find *find)
{
	struct route_call *call = arg;

	if (err && call->route->hops.count > 0 && !scope_settings(call->scope)) {
		fail_unconfigured(call, NULL);
		return;
	}
	if (err) {
		call_fail(call, err);
		return;
	}
	if (!find) {
		find_zone(call); /* a neighbour's zone was found; does it hold us? */
		return;
	}
	call->find = find;
	call->server = 0;
	if (call->route->hops.count == 0) {
		call->route->apex = strcmp(zone_find_zone(find), call->route->name) == 0;
	}
	if (zone_find_fixed(find) && !call->follow && !scope_asks_servers(call->scope)) {
		call_finish(call, zone_find_zone(find)); /* the DNS has nothing to add */
		return;
	}
	ask_next(call);
}

static void find_zone(struct route_call *call)
{
	zone_find_wait(call->scope, call->owner, call->child, &call->wait);
}

static void on_start(void *arg)
{
	struct route_call *call = arg;

	call->start = NULL;
	find_zone(call);
}

static struct route_call *call_new(struct router *router, const char *view, route_done *done,
				   void *arg)
{
	struct route_call *call = xcalloc(1, sizeof(*call));

	call->router = router;
	call->route = xcalloc(1, sizeof(*call->route));
	call->view = xstrdup(view ? view : CONF_VIEW_DEFAULT);
	call->done = done;
	call->arg = arg;
	call->wait = (struct zone_wait){ .done = on_zone, .arg = call };
	call->next = router->calls;
	router->calls = call;
	router->call_count++;
	call->start = world_timer_start(router->args.world, 0, on_start, call);
	return call;
}

struct route_call *route_start(struct router *router, const char *name, const char *view,
			       route_done *done, void *arg)
{
	struct route_call *call = call_new(router, view, done, arg);
	const struct conf_zone *settings;
	char *owner = xasprintf("_acme-challenge.%s", name_base(name));

	call->route->name = xstrdup(name_base(name));
	settings = conf_find_zone(router->args.conf, name_base(name), call->view);
	call->follow = !settings || strcmp(settings->alias, "off") != 0;
	if (settings && call->follow && strcmp(settings->alias, "follow") != 0) {
		strlist_add(&call->route->hops, owner);
		call->follow = false;
		take_owner(call, settings->alias);
	} else {
		take_owner(call, owner);
	}
	free(owner);
	return call;
}

struct route_call *route_owner_start(struct router *router, const char *owner, const char *view,
				     route_done *done, void *arg)
{
	struct route_call *call = call_new(router, view, done, arg);

	call->route->name = xstrdup(owner);
	take_owner(call, owner);
	return call;
}
