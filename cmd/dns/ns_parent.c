/*
 * ns_parent: what the parent zone's servers say the zone's servers are. The
 * resolver only leads the way; the referral comes from the parent itself, since
 * a resolver would rather tell the child's opinion (RFC 2181 s.5.4.1).
 *
 *   NAMING: NS of the parent name at the source; where that name is no zone
 *           the SOA of the answer names it, and it is asked once more
 *   ASKING: addresses of its first servers; each is asked as soon as it is
 *           known; the first proper answer counts
 */
#include "ns_parent.h"

#include "client.h"

#define PARENT_SERVERS 3 /* of the parent zone, looked up */
#define PARENT_ASKS 4    /* addresses asked at most */
#define PARENT_ASK_MS 3000

struct parent_lookup {
	struct ns_parent *parent;
	struct dns_lookup *lookup; /* NULL when it has ended */
};

struct parent_ask {
	struct ns_parent *parent;
	struct dns_call *call; /* NULL when it has ended */
};

struct ns_parent {
	struct dns_client *client;
	const struct dns_source *source;
	char *zone;
	char *parent; /* the name above, later its zone */
	bool renamed;
	struct dns_lookup *naming;
	struct parent_lookup address[PARENT_SERVERS * 2];
	struct parent_ask ask[PARENT_ASKS];
	size_t ask_count;
	struct err failure; /* the last one */
	ns_parent_done *done;
	void *arg;
};

static void ask_names(struct ns_parent *parent);

void ns_parent_cancel(struct ns_parent *parent)
{
	if (!parent) {
		return;
	}
	dns_lookup_cancel(parent->naming);
	for (size_t i = 0; i < ARRAY_LEN(parent->address); i++) {
		dns_lookup_cancel(parent->address[i].lookup);
	}
	for (size_t i = 0; i < parent->ask_count; i++) {
		dns_call_cancel(parent->ask[i].call);
	}
	free(parent->zone);
	free(parent->parent);
	free(parent);
}

static void parent_finish(struct ns_parent *parent, const struct err *err,
			  const struct strlist *names)
{
	ns_parent_done *done = parent->done;
	void *arg = parent->arg;
	struct err told = { .code = ERR_NONE };

	if (err) {
		told = *err;
	}
	ns_parent_cancel(parent);
	done(arg, err ? &told : NULL, names);
}

/* Ends with the last failure once nothing is under way any more. */
static void finish_when_idle(struct ns_parent *parent)
{
	for (size_t i = 0; i < ARRAY_LEN(parent->address); i++) {
		if (parent->address[i].lookup) {
			return;
		}
	}
	for (size_t i = 0; i < parent->ask_count; i++) {
		if (parent->ask[i].call) {
			return;
		}
	}
	if (parent->failure.code == ERR_NONE) {
		err_set(&parent->failure, ERR_DNS, parent->parent,
			"no address of the parent zone's servers was found");
	}
	parent_finish(parent, &parent->failure, NULL);
}

/* A referral has them in the authority section; a server of both zones answers
 * with the child's own. */
static void collect(const struct dns_msg *msg, const char *zone, struct strlist *names)
{
	for (size_t i = 0; i < msg->rr_count && names->count < NS_MAX; i++) {
		const struct dns_rr *rr = &msg->rr[i];

		if (rr->type == DNS_TYPE_NS && rr->section != DNS_ADDITIONAL &&
		    strcmp(rr->owner, zone) == 0 && !strlist_has(names, rr->target)) {
			strlist_add(names, rr->target);
		}
	}
}

static void on_referral(void *arg, const struct err *err, const struct dns_msg *msg)
{
	struct parent_ask *ask = arg;
	struct ns_parent *parent = ask->parent;
	struct strlist names = { 0 };

	ask->call = NULL;
	if (msg) {
		collect(msg, parent->zone, &names);
	}
	if (names.count > 0) {
		parent_finish(parent, NULL, &names);
	} else {
		if (err) {
			parent->failure = *err;
		} else {
			err_set(&parent->failure, ERR_DNS, parent->parent,
				"the parent's server answered %s without a delegation of %s",
				dns_rcode_name(msg->rcode), parent->zone);
		}
		finish_when_idle(parent);
	}
	strlist_clear(&names);
}

static void ask_address(struct ns_parent *parent, const struct addr *addr)
{
	struct parent_ask *ask;
	struct dns_ask question = {
		.server = *addr,
		.name = parent->zone,
		.type = DNS_TYPE_NS,
		.timeout_ms = PARENT_ASK_MS,
	};
	struct world *world = parent->client->world;

	if (parent->ask_count == PARENT_ASKS || !world->ops->has_route(world, addr)) {
		return;
	}
	ask = &parent->ask[parent->ask_count++];
	ask->parent = parent;
	ask->call = dns_ask_start(parent->client, &question, on_referral, ask);
}

static void on_address(void *arg, const struct err *err, const struct dns_msg *msg)
{
	struct parent_lookup *slot = arg;
	struct ns_parent *parent = slot->parent;

	slot->lookup = NULL;
	if (err) {
		parent->failure = *err;
	}
	for (size_t i = 0; msg && i < msg->rr_count; i++) {
		if (msg->rr[i].section == DNS_ANSWER && msg->rr[i].addr.len > 0) {
			ask_address(parent, &msg->rr[i].addr);
			break;
		}
	}
	finish_when_idle(parent);
}

static void find_addresses(struct ns_parent *parent, const struct dns_msg *msg)
{
	static const uint16_t types[2] = { DNS_TYPE_A, DNS_TYPE_AAAA };
	size_t found = 0;

	for (size_t i = 0; i < msg->rr_count && found < PARENT_SERVERS; i++) {
		const struct dns_rr *rr = &msg->rr[i];

		if (rr->section != DNS_ANSWER || rr->type != DNS_TYPE_NS ||
		    strcmp(rr->owner, parent->parent) != 0) {
			continue;
		}
		for (size_t k = 0; k < ARRAY_LEN(types); k++) {
			struct parent_lookup *slot = &parent->address[2 * found + k];

			slot->parent = parent;
			slot->lookup =
				dns_lookup_start(parent->client, parent->source,
						 &(struct dns_question){ rr->target, types[k] },
						 on_address, slot);
		}
		found++;
	}
}

static void on_names(void *arg, const struct err *err, const struct dns_msg *msg)
{
	struct ns_parent *parent = arg;
	const struct dns_rr *soa;

	parent->naming = NULL;
	if (err) {
		parent_finish(parent, err, NULL);
		return;
	}
	if (dns_msg_find(msg, DNS_ANSWER, parent->parent, DNS_TYPE_NS)) {
		find_addresses(parent, msg);
		return;
	}
	soa = dns_msg_find(msg, DNS_AUTHORITY, NULL, DNS_TYPE_SOA);
	if (soa && !parent->renamed && name_under(parent->parent, soa->owner)) {
		parent->renamed = true;
		free(parent->parent);
		parent->parent = xstrdup(soa->owner);
		ask_names(parent);
		return;
	}
	err_set(&parent->failure, ERR_DNS, parent->parent, "the parent zone was not found");
	parent_finish(parent, &parent->failure, NULL);
}

static void ask_names(struct ns_parent *parent)
{
	parent->naming = dns_lookup_start(parent->client, parent->source,
					  &(struct dns_question){ parent->parent, DNS_TYPE_NS },
					  on_names, parent);
}

struct ns_parent *ns_parent_start(struct dns_client *client, const struct dns_source *source,
				  const char *zone, ns_parent_done *done, void *arg)
{
	struct ns_parent *parent = xcalloc(1, sizeof(*parent));

	parent->client = client;
	parent->source = source;
	parent->zone = xstrdup(zone);
	parent->parent = xstrdup(name_parent(zone));
	parent->done = done;
	parent->arg = arg;
	ask_names(parent);
	return parent;
}
