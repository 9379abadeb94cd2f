/* claim_table: claims by id, by owner name, by client. */
#include "claim.h"

#include <search.h>

/* ---- where claims are found ------------------------------------------------------- */

static int by_owner(const void *a, const void *b)
{
	return strcmp(((const struct owner_claims *)a)->owner,
		      ((const struct owner_claims *)b)->owner);
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct claim *)a)->id, ((const struct claim *)b)->id);
}

static int by_client(const void *a, const void *b)
{
	return strcmp(((const struct usage *)a)->client, ((const struct usage *)b)->client);
}

struct owner_claims *owner_find(struct broker *broker, const char *owner)
{
	struct owner_claims key = { .owner = (char *)(uintptr_t)owner };
	struct owner_claims **found = tfind(&key, &broker->claims_by_owner, by_owner);

	return found ? *found : NULL;
}

void claim_link_owner(struct claim *claim)
{
	struct broker *broker = claim->broker;
	struct owner_claims *at = owner_find(broker, claim->owner);

	if (!at) {
		at = xcalloc(1, sizeof(*at));
		at->owner = xstrdup(claim->owner);
		tsearch(at, &broker->claims_by_owner, by_owner);
	}
	claim->at_owner = at;
	claim->owner_next = at->claims;
	if (at->claims) {
		at->claims->owner_prev = claim;
	}
	at->claims = claim;
}

void claim_unlink_owner(struct claim *claim)
{
	struct owner_claims *at = claim->at_owner;

	if (!at) {
		return;
	}
	if (claim->owner_prev) {
		claim->owner_prev->owner_next = claim->owner_next;
	} else {
		at->claims = claim->owner_next;
	}
	if (claim->owner_next) {
		claim->owner_next->owner_prev = claim->owner_prev;
	}
	claim->owner_prev = claim->owner_next = NULL;
	claim->at_owner = NULL;
	if (!at->claims) {
		tdelete(at, &claim->broker->claims_by_owner, by_owner);
		free(at->owner);
		free(at);
	}
}

struct usage *usage_of(struct broker *broker, const char *client, bool make)
{
	struct usage key = { .client = (char *)(uintptr_t)client };
	struct usage **found = tfind(&key, &broker->usages, by_client);
	struct usage *usage;

	if (found || !make) {
		return found ? *found : NULL;
	}
	usage = xcalloc(1, sizeof(*usage));
	usage->client = xstrdup(client);
	usage->allowance = -1;
	tsearch(usage, &broker->usages, by_client);
	return usage;
}

struct claim *claim_find(struct broker *broker, const char *id)
{
	struct claim key;
	struct claim **found;

	if (strlen(id) != CLAIM_ID_LEN) {
		return NULL;
	}
	memcpy(key.id, id, CLAIM_ID_LEN + 1);
	found = tfind(&key, &broker->claims_by_id, by_id);
	return found ? *found : NULL;
}

void claim_link(struct claim *claim)
{
	struct usage *usage = claim->usage = usage_of(claim->broker, claim->client, true);

	usage->live++;
	claim->client_next = usage->claims;
	if (usage->claims) {
		usage->claims->client_prev = claim;
	}
	usage->claims = claim;
	tsearch(claim, &claim->broker->claims_by_id, by_id);
}

void claim_unlink(struct claim *claim)
{
	struct usage *usage = claim->usage;

	if (claim->client_prev) {
		claim->client_prev->client_next = claim->client_next;
	} else {
		usage->claims = claim->client_next;
	}
	if (claim->client_next) {
		claim->client_next->client_prev = claim->client_prev;
	}
	tdelete(claim, &claim->broker->claims_by_id, by_id);
}

bool claim_is_live(const struct claim *claim)
{
	return claim->state != CLAIM_FAILED && claim->state != CLAIM_LEAVING;
}

/* ---- many ----------------------------------------------------------------------- */

struct walk {
	const char *client;
	struct claim **found;
	size_t count, cap;
};

/* tsearch's walk takes no argument of ours. */
static struct walk *walk;

static void collect(const void *node, VISIT which, int depth)
{
	struct claim *claim = *(struct claim *const *)node;

	(void)depth;
	if (which != postorder && which != leaf) {
		return;
	}
	if (walk->client && strcmp(walk->client, claim->client) != 0) {
		return;
	}
	if (walk->count == walk->cap) {
		walk->cap = walk->cap ? 2 * walk->cap : 64;
		walk->found = xreallocarray(walk->found, walk->cap, sizeof(struct claim *));
	}
	walk->found[walk->count++] = claim;
}

void claim_for_each(struct broker *broker, const char *client, claim_each *each, void *arg)
{
	struct walk all = { .client = client };

	if (client) {
		struct usage *usage = usage_of(broker, client, false);

		for (struct claim *at = usage ? usage->claims : NULL; at; at = at->client_next) {
			all.found = xreallocarray(all.found, all.count + 1, sizeof(struct claim *));
			all.found[all.count++] = at;
		}
	} else {
		walk = &all;
		twalk(broker->claims_by_id, collect);
		walk = NULL;
	}
	for (size_t i = 0; i < all.count; i++) {
		each(arg, all.found[i]);
	}
	free(all.found);
}

struct matching {
	const char *name, *value;
	size_t count;
	struct strlist ids; /* leaving one may end others: each is looked up anew */
};

static void match(void *arg, struct claim *claim)
{
	struct matching *matching = arg;
	bool named = !matching->name || (claim->name && strcmp(claim->name, matching->name) == 0) ||
		     (claim->owner && strcmp(claim->owner, matching->name) == 0);

	if (named && claim_is_live(claim) &&
	    (!matching->value || strcmp(claim->value, matching->value) == 0)) {
		strlist_add(&matching->ids, claim->id);
	}
}

size_t claim_leave_matching(struct broker *broker, const char *client, const char *name,
			    const char *value)
{
	struct matching matching = { .name = name, .value = value };
	size_t count;

	claim_for_each(broker, client, match, &matching);
	for (size_t i = 0; i < matching.ids.count; i++) {
		struct claim *claim = claim_find(broker, matching.ids.item[i]);

		if (claim) {
			claim_leave(claim);
		}
	}
	count = matching.ids.count;
	strlist_clear(&matching.ids);
	return count;
}

void claim_values(struct broker *broker, const char *owner, const char *client, struct strlist *out)
{
	struct owner_claims *at = owner_find(broker, owner);

	for (struct claim *claim = at ? at->claims : NULL; claim; claim = claim->owner_next) {
		bool there = claim->state == CLAIM_WATCHING || claim->state == CLAIM_VISIBLE;

		if (there && (!client || strcmp(client, claim->client) == 0) &&
		    !strlist_has(out, claim->value)) {
			strlist_add(out, claim->value);
		}
	}
}

static void free_usage(void *node)
{
	struct usage *usage = node;

	free(usage->client);
	free(usage);
}

void usages_free(struct broker *broker)
{
	tdestroy(broker->usages, free_usage);
	broker->usages = NULL;
}
