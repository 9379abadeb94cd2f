/*
 * ns_find: the servers that a CA may ask for a zone: the zone's own NS records
 * and, beside them, the parent's delegation, each server with all addresses.
 *
 *   CHILD:   NS of the zone, then A and AAAA of all servers at once
 *   PARENT:  ns_parent, side by side with it; servers that only it knows are
 *            looked up as well
 *   GRACE:   the child's side is complete; the parent's gets PARENT_GRACE_MS
 *            more and is then left out, with a note
 *   done:    both are complete, or the grace is over
 *
 * With the zone's `servers` setting there is only the looking up of names.
 */
#include "client.h"
#include "ns_parent.h"
#include "source.h"

#define PARENT_GRACE_MS 500   /* how long the parent may delay an issuance */
#define PARENT_ALONE_MS 10000 /* when the child's side failed */
#define NOTE_MAX 300

/* One server, beside its public half in the set. */
struct ns_slot {
	struct ns_find *find;
	struct dns_lookup *lookup[2]; /* A, AAAA; NULL when ended */
	bool in_child, in_parent;
	struct err failure; /* of an address lookup, the last */
};

struct ns_find {
	struct dns_client *client;
	const struct dns_source *source;
	struct ns_set *set;
	struct ns_slot slot[NS_MAX];
	bool configured; /* by the `servers` setting */
	struct dns_lookup *child;
	struct ns_parent *parent;
	bool parent_known;
	struct err child_failure, parent_failure;
	struct world_timer *timer; /* grace, or the end inside start */
	ns_set_done *done;
	void *arg;
};

static const uint16_t address_types[2] = { DNS_TYPE_A, DNS_TYPE_AAAA };

void ns_set_free(struct ns_set *set)
{
	if (!set) {
		return;
	}
	for (size_t i = 0; i < set->count; i++) {
		free(set->ns[i].name);
		free(set->ns[i].note);
	}
	free(set->zone);
	free(set);
}

static void stop_lookups(struct ns_find *find)
{
	dns_lookup_cancel(find->child);
	find->child = NULL;
	ns_parent_cancel(find->parent);
	find->parent = NULL;
	for (size_t i = 0; i < NS_MAX; i++) {
		for (size_t k = 0; k < 2; k++) {
			dns_lookup_cancel(find->slot[i].lookup[k]);
			find->slot[i].lookup[k] = NULL;
		}
	}
	world_timer_cancel(find->client->world, find->timer);
	find->timer = NULL;
}

void ns_find_cancel(struct ns_find *find)
{
	if (find) {
		stop_lookups(find);
		ns_set_free(find->set);
		free(find);
	}
}

static void finish_error(struct ns_find *find, const struct err *err)
{
	ns_set_done *done = find->done;
	void *arg = find->arg;
	struct err told = *err;

	ns_find_cancel(find);
	done(arg, &told, NULL);
}

static void note(struct name_server *ns, const char *text)
{
	char *old = ns->note;

	ns->note = old ? xasprintf("%s; %s", old, text) : xstrdup(text);
	free(old);
}

static void note_server(const struct ns_find *find, size_t i)
{
	const struct ns_slot *slot = &find->slot[i];
	struct name_server *ns = &find->set->ns[i];
	char text[NOTE_MAX];

	if (slot->in_parent && !slot->in_child && find->child_failure.code == ERR_NONE) {
		note(ns, "only in the parent's delegation, not in the zone's own NS records");
	}
	if (slot->in_child && !slot->in_parent && find->parent_known) {
		note(ns, "only in the zone's own NS records, not in the parent's delegation");
	}
	if (ns->addr_count > 0) {
		return;
	}
	if (slot->lookup[0] || slot->lookup[1]) {
		note(ns, "no address: it was not found in time");
	} else if (slot->failure.code != ERR_NONE) {
		snprintf(text, sizeof(text), "no address: %.270s", slot->failure.text);
		note(ns, text);
	} else {
		note(ns, "no address: it has neither A nor AAAA records");
	}
}

static int by_name(const void *a, const void *b)
{
	const struct name_server *left = a;
	const struct name_server *right = b;

	return strcmp(left->name, right->name);
}

static void finish_set(struct ns_find *find)
{
	ns_set_done *done = find->done;
	void *arg = find->arg;
	struct ns_set *set = find->set;

	for (size_t i = 0; i < set->count; i++) {
		note_server(find, i);
	}
	if (find->parent_failure.code != ERR_NONE) {
		log_info("%s: the parent's delegation was left out: %s", set->zone,
			 find->parent_failure.text);
	}
	if (!find->configured) { /* resolvers rotate them; people compare runs */
		qsort(set->ns, set->count, sizeof(set->ns[0]), by_name);
	}
	find->set = NULL;
	ns_find_cancel(find);
	done(arg, NULL, set);
}

static bool looking_up(const struct ns_find *find, bool of_child)
{
	for (size_t i = 0; i < find->set->count; i++) {
		const struct ns_slot *slot = &find->slot[i];

		if ((slot->in_child || !of_child) && (slot->lookup[0] || slot->lookup[1])) {
			return true;
		}
	}
	return false;
}

static void no_servers(struct ns_find *find)
{
	char *who = source_words(find->source);
	struct err err;

	err_set(&err, ERR_DNS, find->set->zone,
		"no name server of this zone was found at %s (%s); the zone's `servers` setting "
		"names them where discovery cannot",
		who, find->child_failure.text);
	free(who);
	finish_error(find, &err);
}

static void on_grace_over(void *arg)
{
	struct ns_find *find = arg;

	find->timer = NULL;
	if (find->set->count == 0) {
		no_servers(find);
		return;
	}
	if (find->parent) {
		err_set(&find->parent_failure, ERR_TIMEOUT, "", "no answer in time");
	}
	finish_set(find);
}

/* After every event: is it enough? The last act of a callback. */
static void advance(struct ns_find *find)
{
	int64_t grace_ms = find->child_failure.code ? PARENT_ALONE_MS : PARENT_GRACE_MS;

	if (find->child || looking_up(find, true)) {
		return;
	}
	if (!find->parent && !looking_up(find, false)) {
		if (find->set->count == 0) {
			no_servers(find);
		} else {
			finish_set(find);
		}
		return;
	}
	if (!find->timer) {
		find->timer = world_timer_start(find->client->world, grace_ms * 1000, on_grace_over,
						find);
	}
}

static void add_address(struct name_server *ns, const struct addr *addr)
{
	for (size_t i = 0; i < ns->addr_count; i++) {
		if (addr_equal(&ns->addr[i], addr)) {
			return;
		}
	}
	if (ns->addr_count < NS_ADDR_MAX) {
		ns->addr[ns->addr_count++] = *addr;
	}
}

static void on_address(struct ns_slot *slot, size_t kind, const struct err *err,
		       const struct dns_msg *msg)
{
	struct ns_find *find = slot->find;
	struct name_server *ns = &find->set->ns[slot - find->slot];

	slot->lookup[kind] = NULL;
	if (err) {
		slot->failure = *err;
	} else if (msg->rcode != DNS_NOERROR) {
		err_set(&slot->failure, ERR_DNS, "", "%s", dns_rcode_name(msg->rcode));
	}
	/* Whatever the owner: a resolver followed the name's aliases. */
	for (size_t i = 0; msg && i < msg->rr_count; i++) {
		if (msg->rr[i].section == DNS_ANSWER && msg->rr[i].type == address_types[kind]) {
			add_address(ns, &msg->rr[i].addr);
		}
	}
	advance(find);
}

static void on_a(void *arg, const struct err *err, const struct dns_msg *msg)
{
	on_address(arg, 0, err, msg);
}

static void on_aaaa(void *arg, const struct err *err, const struct dns_msg *msg)
{
	on_address(arg, 1, err, msg);
}

/* The slot of a server name, made when it is new; NULL past NS_MAX. */
static struct ns_slot *slot_of(struct ns_find *find, const char *name, bool *fresh)
{
	struct ns_set *set = find->set;

	*fresh = false;
	for (size_t i = 0; i < set->count; i++) {
		if (strcmp(set->ns[i].name, name) == 0) {
			return &find->slot[i];
		}
	}
	if (set->count == NS_MAX) {
		log_warn("%s: only %d of its name servers are watched", set->zone, NS_MAX);
		return NULL;
	}
	*fresh = true;
	find->slot[set->count].find = find;
	set->ns[set->count].name = xstrdup(name);
	return &find->slot[set->count++];
}

static void look_up(struct ns_slot *slot)
{
	struct ns_find *find = slot->find;
	const char *name = find->set->ns[slot - find->slot].name;

	slot->lookup[0] = dns_lookup_start(find->client, find->source,
					   &(struct dns_question){ name, DNS_TYPE_A }, on_a, slot);
	slot->lookup[1] =
		dns_lookup_start(find->client, find->source,
				 &(struct dns_question){ name, DNS_TYPE_AAAA }, on_aaaa, slot);
}

/* Addresses that an authority sent along are its own word; a resolver's
 * additional section may be a part only. */
static bool use_additional(struct ns_find *find, struct name_server *ns, const struct dns_msg *msg)
{
	for (size_t i = 0; find->source->authority && i < msg->rr_count; i++) {
		const struct dns_rr *rr = &msg->rr[i];

		if (rr->section == DNS_ADDITIONAL && rr->addr.len > 0 &&
		    strcmp(rr->owner, ns->name) == 0) {
			add_address(ns, &rr->addr);
		}
	}
	return ns->addr_count > 0;
}

static void on_child(void *arg, const struct err *err, const struct dns_msg *msg)
{
	struct ns_find *find = arg;
	const char *zone = find->set->zone;

	find->child = NULL;
	for (size_t i = 0; msg && i < msg->rr_count; i++) {
		const struct dns_rr *rr = &msg->rr[i];
		struct ns_slot *slot;
		bool fresh;

		if (rr->section != DNS_ANSWER || rr->type != DNS_TYPE_NS ||
		    strcmp(rr->owner, zone) != 0) {
			continue;
		}
		slot = slot_of(find, rr->target, &fresh);
		if (!slot) {
			break;
		}
		slot->in_child = true;
		if (fresh && !use_additional(find, &find->set->ns[slot - find->slot], msg)) {
			look_up(slot);
		}
	}
	if (err) {
		find->child_failure = *err;
	} else if (!dns_msg_find(msg, DNS_ANSWER, zone, DNS_TYPE_NS)) {
		err_set(&find->child_failure, ERR_DNS, zone, "the answer was %s without NS records",
			dns_rcode_name(msg->rcode));
	}
	advance(find);
}

static void on_parent(void *arg, const struct err *err, const struct strlist *names)
{
	struct ns_find *find = arg;

	find->parent = NULL;
	find->parent_known = !err;
	if (err) {
		find->parent_failure = *err;
	}
	for (size_t i = 0; names && i < names->count; i++) {
		bool fresh;
		struct ns_slot *slot = slot_of(find, names->item[i], &fresh);

		if (!slot) {
			break;
		}
		slot->in_parent = true;
		if (fresh) {
			look_up(slot);
		}
	}
	advance(find);
}

static void discover(struct ns_find *find)
{
	const char *zone = find->set->zone;
	const char *parent = name_parent(zone);

	find->child = dns_lookup_start(find->client, find->source,
				       &(struct dns_question){ zone, DNS_TYPE_NS }, on_child, find);
	/* One authority knows its own side alone, and the root is not asked. */
	if (!find->source->authority && parent && strcmp(parent, ".") != 0) {
		find->parent = ns_parent_start(find->client, find->source, zone, on_parent, find);
	}
}

static enum err_code add_configured(struct ns_find *find, const char *text, struct err *err)
{
	char name[NAME_TEXT_MAX];
	struct addr addr;
	struct ns_slot *slot;
	bool literal = addr_parse(text, DNS_PORT, &addr);
	bool fresh;

	if (!literal && name_parse(text, name, err) != ERR_NONE) {
		return err->code;
	}
	if (find->set->count == NS_MAX) {
		return err_set(err, ERR_LIMIT, find->set->zone,
			       "at most %d servers are watched for a zone", NS_MAX);
	}
	slot = slot_of(find, literal ? text : name, &fresh);
	if (slot && fresh) {
		slot->in_child = true; /* it counts as the zone's own */
		if (literal) {
			add_address(&find->set->ns[slot - find->slot], &addr);
		} else {
			look_up(slot);
		}
	}
	return ERR_NONE;
}

static void on_configured(void *arg)
{
	struct ns_find *find = arg;

	find->timer = NULL;
	if (find->child_failure.code != ERR_NONE) {
		finish_error(find, &find->child_failure);
	} else {
		advance(find);
	}
}

static void configure(struct ns_find *find, const struct strlist *servers)
{
	enum err_code rc = ERR_NONE;

	find->configured = true;
	for (size_t i = 0; i < servers->count && rc == ERR_NONE; i++) {
		rc = add_configured(find, servers->item[i], &find->child_failure);
	}
	if (rc != ERR_NONE) {
		stop_lookups(find);
	}
	/* Addresses alone need no answer, yet done waits for the loop. */
	if (rc != ERR_NONE || !looking_up(find, false)) {
		find->timer = world_timer_start(find->client->world, 0, on_configured, find);
	}
}

struct ns_find *ns_find_start(struct dns_client *client, const struct ns_search *search,
			      ns_set_done *done, void *arg)
{
	struct ns_find *find = xcalloc(1, sizeof(*find));

	find->client = client;
	find->source = search->source;
	find->set = xcalloc(1, sizeof(*find->set));
	find->set->zone = xstrdup(search->zone);
	find->done = done;
	find->arg = arg;
	if (search->servers && search->servers->count > 0) {
		configure(find, search->servers);
	} else {
		discover(find);
	}
	return find;
}
