/*
 * zone_find: what the router has learnt about zones and their servers, each
 * looked up once. Names that share a parent wait for the first of them: most often
 * they lie in one zone, and its servers tell where they do not.
 *
 *   CUT (which zone?) -> SERVERS (who serves it?) -> KNOWN
 *     \------ no resolver knows: once more at the provider's own server
 *      \----- FAILED
 */
#include "route_internal.h"

enum find_state { FIND_CUT, FIND_SERVERS, FIND_KNOWN, FIND_FAILED };

struct zone_find {
	struct zone_scope *scope;
	enum find_state state;
	char *asked; /* the name whose zone is looked for; the zone itself for a child */
	char *zone;
	bool fixed;
	bool at_authority; /* source is the provider's own server */
	struct dns_source authority;
	struct zone_cut *cut;
	struct ns_find *ns;
	struct ns_set *servers;
	struct addr *addr; /* of all servers, one after another */
	size_t addr_count;
	struct err err;
	struct zone_wait *waiting;
	struct world_timer *wake;
	struct zone_find *next;
};

struct zone_scope {
	struct router *router;
	const struct conf_zone *settings; /* NULL: the name is in no configured zone */
	char *view;
	struct dns_source source;
	struct err source_err; /* why there is no source */
	struct zone_find *finds;
	struct zone_scope *next;
};

static void find_servers(struct zone_find *find);
static void find_cut(struct zone_find *find);

/* ---- scopes ---------------------------------------------------------------- */

struct zone_scope *router_scope(struct router *router, const char *name, const char *view)
{
	const struct conf *conf = router->args.conf;
	const struct conf_zone *settings = conf_find_zone(conf, name, view);
	struct zone_scope *scope;

	for (scope = router->scopes; scope; scope = scope->next) {
		if (scope->settings == settings && strcmp(scope->view, view) == 0) {
			return scope;
		}
	}
	scope = xcalloc(1, sizeof(*scope));
	scope->router = router;
	scope->settings = settings;
	scope->view = xstrdup(view);
	if (dns_source_parse(settings && settings->resolvers.count > 0 ? &settings->resolvers
								       : &conf->resolvers,
			     &scope->source, &scope->source_err) == ERR_NONE) {
		scope->source.proxy = conf->proxy;
	}
	scope->next = router->scopes;
	router->scopes = scope;
	return scope;
}

const struct conf_zone *scope_settings(const struct zone_scope *scope)
{
	return scope->settings;
}

const struct dns_source *scope_source(const struct zone_scope *scope)
{
	return &scope->source;
}

bool scope_asks_servers(const struct zone_scope *scope)
{
	return !scope->settings || strcmp(scope->settings->watch, "authoritative") == 0;
}

static void find_free(struct zone_find *find)
{
	world_timer_cancel(find->scope->router->args.world, find->wake);
	zone_cut_cancel(find->cut);
	ns_find_cancel(find->ns);
	ns_set_free(find->servers);
	dns_source_clear(&find->authority);
	free(find->addr);
	free(find->asked);
	free(find->zone);
	free(find);
}

void scopes_free(struct zone_scope *scopes)
{
	while (scopes) {
		struct zone_scope *next = scopes->next;

		while (scopes->finds) {
			struct zone_find *find = scopes->finds;

			scopes->finds = find->next;
			find_free(find);
		}
		dns_source_clear(&scopes->source);
		free(scopes->view);
		free(scopes);
		scopes = next;
	}
}

/* ---- one zone -------------------------------------------------------------- */

/* One waiter an event: what it does may end all this, so it is called last. */
static void wake(void *arg)
{
	struct zone_find *find = arg;
	struct zone_wait *wait = find->waiting;

	find->wake = NULL;
	if (!wait) {
		return;
	}
	find->waiting = wait->next;
	wait->at = NULL;
	if (find->waiting) {
		find->wake = world_timer_start(find->scope->router->args.world, 0, wake, find);
	}
	wait->done(wait->arg, NULL, NULL);
}

static void settle(struct zone_find *find, enum find_state state)
{
	find->state = state;
	find->wake = world_timer_start(find->scope->router->args.world, 0, wake, find);
}

/* The provider's own server knows its zones when no resolver does. */
static bool try_authority(struct zone_find *find)
{
	const struct conf_zone *settings = find->scope->settings;
	struct router_args *args = &find->scope->router->args;
	const struct provider_in_use *use;

	if (!settings || find->at_authority || !args->pool) {
		return false;
	}
	for (size_t i = 0; i < settings->providers.count; i++) {
		if (provider_pool_get(args->pool, settings->providers.item[i], &use, NULL) ==
			    ERR_NONE &&
		    use->provider->authority &&
		    use->provider->authority(use->instance, &find->authority)) {
			find->at_authority = true;
			return true;
		}
	}
	return false;
}

static void find_failed(struct zone_find *find, const struct err *err)
{
	struct router_args *args = &find->scope->router->args;

	if (find->err.code == ERR_NONE) {
		find->err = *err; /* the resolvers' answer, not the fallback's */
	}
	if (!try_authority(find)) {
		settle(find, FIND_FAILED);
		return;
	}
	if (args->progress) {
		struct progress progress = {
			.kind = PROGRESS_NOTE,
			.name = find->asked,
			.text = "no resolver knows its zone; asking the update server",
		};

		args->progress(args->progress_arg, &progress);
	}
	if (find->zone) {
		find_servers(find);
	} else {
		find_cut(find);
	}
}

static const struct dns_source *find_source(const struct zone_find *find)
{
	return find->at_authority ? &find->authority : &find->scope->source;
}

static void collect_addrs(struct zone_find *find)
{
	for (size_t i = 0; i < find->servers->count; i++) {
		const struct name_server *ns = &find->servers->ns[i];

		for (size_t k = 0; k < ns->addr_count; k++) {
			find->addr = xreallocarray(find->addr, find->addr_count + 1,
						   sizeof(*find->addr));
			find->addr[find->addr_count++] = ns->addr[k];
		}
	}
}

static void on_servers(void *arg, const struct err *err, struct ns_set *set)
{
	struct zone_find *find = arg;
	struct err none;

	find->ns = NULL;
	if (err) {
		find_failed(find, err);
		return;
	}
	ns_set_free(find->servers);
	find->servers = set;
	find->addr_count = 0;
	collect_addrs(find);
	if (find->addr_count == 0) {
		err_set(&none, ERR_DNS, find->zone,
			"no address of any name server of the zone is known; name them in the "
			"zone's `servers` setting");
		find_failed(find, &none);
		return;
	}
	settle(find, FIND_KNOWN);
}

static void find_servers(struct zone_find *find)
{
	static const struct strlist none = { 0 };
	const struct conf_zone *settings = find->scope->settings;

	if (!scope_asks_servers(find->scope)) {
		settle(find, FIND_KNOWN);
		return;
	}
	find->state = FIND_SERVERS;
	find->ns = ns_find_start(find->scope->router->args.dns,
				 &(struct ns_search){
					 .source = find_source(find),
					 .zone = find->zone,
					 .servers = settings ? &settings->servers : &none,
				 },
				 on_servers, find);
}

static void on_cut(void *arg, const struct err *err, const char *zone)
{
	struct zone_find *find = arg;

	find->cut = NULL;
	if (err) {
		find_failed(find, err);
		return;
	}
	find->zone = xstrdup(zone);
	find_servers(find);
}

static void find_cut(struct zone_find *find)
{
	find->state = FIND_CUT;
	find->cut = zone_cut_start(find->scope->router->args.dns, find_source(find), find->asked,
				   on_cut, find);
}

static struct zone_find *find_new(struct zone_scope *scope, const char *asked)
{
	struct zone_find *find = xcalloc(1, sizeof(*find));

	find->scope = scope;
	find->asked = xstrdup(asked);
	find->next = scope->finds;
	scope->finds = find;
	return find;
}

/* ---- waiting --------------------------------------------------------------- */

static bool same_parent(const char *a, const char *b)
{
	const char *parent_a = name_parent(a);
	const char *parent_b = name_parent(b);

	return parent_a && parent_b && strcmp(parent_a, parent_b) == 0;
}

static struct zone_find *find_of_zone(struct zone_scope *scope, const char *zone)
{
	for (struct zone_find *find = scope->finds; find; find = find->next) {
		if (find->zone && strcmp(find->zone, zone) == 0) {
			return find;
		}
	}
	return NULL;
}

/* The deepest zone known to hold owner, else one that is on its way and may. */
static struct zone_find *find_for(struct zone_scope *scope, const char *owner, const char *asked)
{
	struct zone_find *best = NULL;
	struct zone_find *coming = NULL;

	for (struct zone_find *find = scope->finds; find; find = find->next) {
		if (strcmp(find->asked, asked) == 0) {
			return find;
		}
		if (find->state == FIND_KNOWN && name_under(owner, find->zone) &&
		    (!best || name_labels(find->zone) > name_labels(best->zone))) {
			best = find;
		}
		if (find->state < FIND_KNOWN && same_parent(find->asked, asked)) {
			coming = find;
		}
	}
	return best ? best : coming;
}

static void find_begin(struct zone_find *find, const char *child)
{
	const struct conf_zone *settings = find->scope->settings;

	if (child) {
		find->zone = xstrdup(child);
		find_servers(find);
	} else if (settings && settings->zone) {
		find->zone = xstrdup(settings->zone);
		find->fixed = true;
		find_servers(find);
	} else {
		find_cut(find);
	}
}

void zone_find_wait(struct zone_scope *scope, const char *owner, const char *child,
		    struct zone_wait *wait)
{
	const char *asked = child ? child : name_parent(owner);
	struct zone_find *find;
	bool fresh;

	if (scope->source_err.code != ERR_NONE) {
		wait->done(wait->arg, &scope->source_err, NULL);
		return;
	}
	find = child ? find_of_zone(scope, child) : find_for(scope, owner, asked);
	fresh = !find;
	if (fresh) {
		find = find_new(scope, asked);
	} else if (find->state == FIND_KNOWN) {
		wait->done(wait->arg, NULL, find);
		return;
	} else if (find->state == FIND_FAILED) {
		wait->done(wait->arg, &find->err, NULL);
		return;
	}
	wait->at = find;
	wait->next = find->waiting;
	find->waiting = wait;
	if (fresh) {
		find_begin(find, child);
	}
}

void zone_wait_end(struct zone_wait *wait)
{
	struct zone_wait **at;

	if (!wait->at) {
		return;
	}
	for (at = &wait->at->waiting; *at && *at != wait; at = &(*at)->next) {
	}
	if (*at) {
		*at = wait->next;
	}
	wait->at = NULL;
}

/* ---- what is known --------------------------------------------------------- */

const char *zone_find_zone(const struct zone_find *find)
{
	return find->zone;
}

bool zone_find_fixed(const struct zone_find *find)
{
	return find->fixed;
}

const struct ns_set *zone_find_servers(const struct zone_find *find)
{
	return find->servers;
}

size_t zone_find_addr_count(const struct zone_find *find)
{
	return find->addr_count;
}

const struct addr *zone_find_addr(const struct zone_find *find, size_t index)
{
	return &find->addr[index % find->addr_count];
}
