/*
 * promise: every value that anybody asked for, and what must hold of it.
 *
 *   granted   no text of ours stands at an owner name that is beyond the grant of whoever asked
 *   kept      who was told that a value is there has it until he, or the end of his lease, ends it
 *   left      nothing stays that nobody may hold any more
 */
#include "dns01/crypto.h"
#include "sim/crowd.h"
#include "sim/invariants.h"

#define SLACK_US ((int64_t)2 * 1000000)        /* leases are counted in whole seconds */
#define ON_THE_WAY_US ((int64_t)300 * 1000000) /* from a request to its lease's beginning */
#define MESSAGE_LIFE_US ((int64_t)2 * 1000000) /* of one on its way */

static size_t hash_of(const char *value)
{
	size_t hash = 5381;

	for (; *value; value++) {
		hash = hash * 33 + (unsigned char)*value;
	}
	return hash % ASK_HASH;
}

static struct ask *same(struct ask *ask, const char *value)
{
	while (ask && strcmp(ask->value, value) != 0) {
		ask = ask->next_hashed;
	}
	return ask;
}

/* All asks of one value, whoever asked: the first, and the one after ask. */
static struct ask *first_of(const struct crowd *crowd, const char *value)
{
	return same(crowd->hashed[hash_of(value)], value);
}

static struct ask *next_of(const struct ask *ask)
{
	return same(ask->next_hashed, ask->value);
}

void value_new(struct sim *sim, char out[VALUE_LEN + 1])
{
	uint8_t draw[32];

	sim_random(sim, draw, sizeof(draw));
	base64url_encode(out, VALUE_LEN + 1, draw, sizeof(draw));
}

/* RFC 8555 s.8.4 */
void key_digest(const char *key, char out[VALUE_LEN + 1])
{
	uint8_t hash[SHA256_LEN];

	sha256(key, strlen(key), hash);
	base64url_encode(out, VALUE_LEN + 1, hash, sizeof(hash));
}

struct ask *ask_new(struct crowd *crowd, const struct member *member, const char *name,
		    const char *value)
{
	struct ask *ask = xcalloc(1, sizeof(*ask));

	ask->member = member;
	snprintf(ask->value, sizeof(ask->value), "%s", value);
	snprintf(ask->name, sizeof(ask->name), "%.200s", name);
	ask->asked_us = crowd->sim->now_us;
	ask->next = crowd->asks;
	crowd->asks = ask;
	ask->next_hashed = crowd->hashed[hash_of(value)];
	crowd->hashed[hash_of(value)] = ask;
	return ask;
}

void ask_sent(struct crowd *crowd, struct ask *ask)
{
	int64_t lease_us = (ask->member ? ask->member->lease_s : 3600) * 1000000;

	/* The same value of the same client, asked for anew, takes the old one's place. */
	asks_disturb(crowd, ask->member, NULL, ask->value);
	ask->state = ASK_OPEN;
	ask->in_flight = true;
	ask->sent_us = crowd->sim->now_us;
	ask->held_until_us = crowd->sim->now_us + lease_us - SLACK_US;
	ask->until_us = crowd->sim->now_us + lease_us + ON_THE_WAY_US;
}

void asks_disturb(struct crowd *crowd, const struct member *member, const char *name,
		  const char *value)
{
	struct ask *ask = value ? crowd->hashed[hash_of(value)] : crowd->asks;

	for (; ask; ask = value ? ask->next_hashed : ask->next) {
		if (ask->member != member || (value && strcmp(ask->value, value) != 0) ||
		    (name && strcmp(ask->name, name) != 0)) {
			continue;
		}
		ask->disturbed_us = crowd->sim->now_us;
		if (ask->state == ASK_HELD) {
			ask->state = ASK_OPEN;
		}
	}
}

void ask_released(struct ask *ask)
{
	ask->state = ASK_RELEASED;
}

/* ---- visible ---- */

/* The zone in whose primary that value is, and its owner name there. */
static const struct net_zone *find_value(const struct sim *sim, const char *value,
					 char owner[WIRE_TEXT_MAX])
{
	for (size_t i = 0; i < sim->net->zone_count; i++) {
		const struct strlist *texts = &sim->net->zone[i].server[0].texts;

		for (size_t k = 0; k < texts->count; k++) {
			const char *blank = strchr(texts->item[k], ' ');

			if (strcmp(blank + 1, value) == 0) {
				snprintf(owner, WIRE_TEXT_MAX, "%.*s",
					 (int)(blank - texts->item[k]), texts->item[k]);
				return &sim->net->zone[i];
			}
		}
	}
	return NULL;
}

/* Since it was sent, or by a twin whose end is not known: the answer may be of an earlier time. */
static bool is_disturbed(const struct crowd *crowd, const struct ask *ask)
{
	for (struct ask *twin = first_of(crowd, ask->value); twin; twin = next_of(twin)) {
		if (twin != ask && twin->member == ask->member && twin->in_flight) {
			return true;
		}
	}
	return ask->disturbed_us > ask->sent_us || ask->state == ASK_RELEASED ||
	       crowd->scenario->jumped;
}

void ask_visible(struct crowd *crowd, struct ask *ask, const char *owner)
{
	struct sim *sim = crowd->sim;
	char found[WIRE_TEXT_MAX];

	crowd->visible++;
	if (is_disturbed(crowd, ask)) {
		return;
	}
	if (!find_value(sim, ask->value, found)) {
		sim_violated(sim, "answered: %s was told that %s is visible, and it is nowhere",
			     ask->member->name, ask->value);
		return;
	}
	snprintf(ask->owner, sizeof(ask->owner), "%s", owner ? owner : found);
	invariants_answered(sim, ask->owner, ask->value);
	ask->state = ASK_HELD;
}

void ask_published(struct crowd *crowd, struct ask *ask)
{
	char found[WIRE_TEXT_MAX];

	if (is_disturbed(crowd, ask)) {
		return;
	}
	if (!find_value(crowd->sim, ask->value, found)) {
		sim_violated(crowd->sim,
			     "answered: %s was told that %s is published, and it is not",
			     ask->member->name, ask->value);
		return;
	}
	if (crowd->scenario->gentle) { /* else its watch may fail yet, and it is withdrawn */
		snprintf(ask->owner, sizeof(ask->owner), "%s", found);
		ask->state = ASK_HELD;
	}
}

/* ---- granted, kept ---- */

static bool may(const struct crowd *crowd, const struct ask *ask, const char *owner)
{
	if (!ask->member) {
		return true; /* of this host's own */
	}
	return book_may(crowd, ask->member, owner, crowd->edition) ||
	       (crowd->edition > 0 && ask->asked_us <= crowd->edition_us &&
		book_may(crowd, ask->member, owner, crowd->edition - 1));
}

static void look_granted(struct crowd *crowd, const char *owner, const char *value)
{
	bool asked = false;

	for (struct ask *ask = first_of(crowd, value); ask; ask = next_of(ask)) {
		asked = true;
		if (may(crowd, ask, owner)) {
			return;
		}
	}
	sim_violated(crowd->sim, "granted: %s stands at %s, %s", value, owner,
		     asked ? "beyond the grant of who asked for it" : "and nobody asked for it");
}

static void look_kept(struct crowd *crowd, const char *owner, const char *value)
{
	for (struct ask *ask = first_of(crowd, value); ask; ask = next_of(ask)) {
		if (ask->state == ASK_HELD && strcmp(ask->owner, owner) == 0 &&
		    crowd->sim->now_us < ask->held_until_us && !crowd->scenario->jumped) {
			sim_violated(crowd->sim, "kept: %s at %s is removed, which %s holds", value,
				     owner, ask->member ? ask->member->name : "this host");
		}
	}
}

void promise_text_changed(struct sim *sim, const char *text, bool added)
{
	struct crowd *crowd = sim->house;
	char owner[WIRE_TEXT_MAX];
	const char *blank = strchr(text, ' ');

	snprintf(owner, sizeof(owner), "%.*s", (int)(blank - text), text);
	if (added) {
		invariants_text_covered(sim, text);
		look_granted(crowd, owner, blank + 1);
	} else {
		look_kept(crowd, owner, blank + 1);
	}
}

/* ---- left ---- */

static void revive(void *arg, const char *value)
{
	struct crowd *crowd = arg;

	for (struct ask *ask = first_of(crowd, value); ask; ask = next_of(ask)) {
		if (ask->state == ASK_RELEASED) {
			ask->state = ASK_OPEN;
		}
	}
}

/* What is on its way now comes to one who has not seen it, and so does it anew. */
static void open_all(struct crowd *crowd, const struct member *member)
{
	for (struct ask *ask = crowd->asks; ask; ask = ask->next) {
		if (ask->member == member) {
			ask->state = ASK_OPEN;
			ask->disturbed_us = crowd->sim->now_us;
			ask->until_us =
				crowd->sim->now_us + member->lease_s * 1000000 + ON_THE_WAY_US;
		}
	}
}

void promise_killed(struct crowd *crowd)
{
	crowd->restarts++;
	for (size_t i = 0; i < crowd->count; i++) {
		const struct member *member = &crowd->member[i];

		if (member->by_key && member->sent_us + MESSAGE_LIFE_US > crowd->sim->now_us) {
			open_all(crowd, member);
		}
	}
	invariants_each_value(revive, crowd);
}

static bool is_due(const struct crowd *crowd, const char *value)
{
	for (struct ask *ask = first_of(crowd, value); ask; ask = next_of(ask)) {
		/* What a hook left waits for a sweep. */
		if (!ask->member ||
		    (ask->state != ASK_RELEASED && crowd->sim->now_us < ask->until_us)) {
			return false;
		}
	}
	return true;
}

void promise_left(struct crowd *crowd)
{
	struct sim *sim = crowd->sim;

	for (size_t i = 0; i < sim->net->zone_count; i++) {
		const struct net_zone *zone = &sim->net->zone[i];
		const struct strlist *texts = &zone->server[0].texts;

		for (size_t k = 0; k < texts->count; k++) {
			if (net_is_ours(zone, texts->item[k]) &&
			    is_due(crowd, strchr(texts->item[k], ' ') + 1)) {
				sim_violated(sim, "left: %s stays, which nobody holds",
					     texts->item[k]);
			}
		}
	}
}
