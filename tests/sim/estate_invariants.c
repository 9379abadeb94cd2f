/*
 * What must hold of an estate. All is judged by what the CAs issued, by what is on disk, and by
 * what the commands were told, never by what the program says of itself.
 *
 *   alive     no certificate expires, or is revoked, that could have been renewed in time
 *   alive     no certificate waits for those that have more time
 *   limits    no CA is asked for more than it allows (estate_ca.c)
 *   turn      the CA that is asked, and for which profile, is the first that there is (estate_ca.c)
 *   clean     a run that ends, or is asked to, leaves no record and no open row
 *   keys      the key of each certificate is there, fits, and stays the same; no certificate that
 *             was issued is lost
 *   deployed  each version is deployed once by each command, and none is left
 */
#include "sim/estate.h"

#include <sys/stat.h>

#include "dns01/crypto.h"
#include "sim/invariants.h"

#define SHORT_LIFE_S (10 * 86400)
#define ASK_MAX_US DAY_US          /* the host asks a CA at least so often when to renew */
#define ASK_LATER_US (7 * HOUR_US) /* the same after it was silent; and the next hour's run */
#define LEFT_MAX 4                 /* good runs that may go by before a command has run */
#define MISSING_MAX 40             /* the same for a certificate that is new */
#define KEPT 5                     /* versions of a lineage */
#define STEADY_US (30 * HOUR_US)   /* no failure holds anything back for longer than a day */
#define URGENT_PPM 100000          /* of its life that is left */
#define EASY_PPM 200000
#define PASSED_MAX 2

bool estate_same_names(const struct strlist *a, const struct strlist *b)
{
	bool same = a->count == b->count;

	for (size_t i = 0; same && i < a->count; i++) {
		same = strlist_has(b, a->item[i]);
	}
	return same;
}

/* ---- alive ---- */

/* In the last part of its life a certificate is due, whatever the CA suggests. */
static int64_t due_us(const struct holding *holding)
{
	const struct office *office = &holding->estate->office[holding->office];
	int64_t life_us = (holding->not_after_s - holding->not_before_s) * SECOND_US;
	int64_t issued_us = (holding->not_before_s - SIM_WALL_S) * SECOND_US;

	if (office->far_us > issued_us) {
		return life_us / 10;
	}
	return life_us >= SHORT_LIFE_S * SECOND_US ? life_us / 4 : life_us * 4 / 10;
}

static void check_alive(struct estate *estate, struct holding *holding)
{
	unsigned enough = estate->office[holding->office].enough;
	int64_t ends_us = (holding->not_after_s - SIM_WALL_S) * SECOND_US;
	int64_t first_us = holding->good_us[GOOD_KEPT - enough];

	if (estate->sim->now_us >= ends_us && first_us > ends_us - due_us(holding)) {
		sim_violated(
			estate->sim,
			"alive: %s (%s) expired, though %u runs since %lld had all they needed",
			holding->name, holding->current, enough, (long long)(first_us / SECOND_US));
	}
}

void estate_expired(struct estate *estate)
{
	for (size_t i = 0; i < estate->holding_count; i++) {
		struct holding *holding = &estate->holding[i];

		if (holding->configured && holding->current[0]) {
			check_alive(estate, holding);
		} else if (holding->configured &&
			   holding->good > MISSING_MAX + estate->office[holding->office].enough) {
			sim_violated(estate->sim, "alive: %s has no certificate after %u good runs",
				     holding->name, holding->good);
		}
	}
}

void estate_revoked(struct estate *estate)
{
	struct sim *sim = estate->sim;

	for (size_t i = 0; i < estate->office_count; i++) {
		for (struct deed *deed = estate->office[i].deeds; deed; deed = deed->next) {
			const struct holding *holding = deed->holding;

			if (deed->revoked_us == 0 || deed->revoked_us > sim->now_us) {
				continue;
			}
			deed->revoked_us = 0;
			estate->revoked++;
			if (holding->configured && deed->good >= estate->office[i].hurry &&
			    strcasecmp(holding->serial, deed->leaf.serial) == 0) {
				sim_violated(sim,
					     "alive: %s (%s) is revoked, which the CA had said %u "
					     "good runs before",
					     holding->name, holding->current, deed->good);
			}
		}
	}
}

/* ---- after a run ---- */

/* It may be of a CA that stood in for its own. */
static bool could_hear(const struct estate *estate, const struct deed *deed,
		       const struct office *office, struct span span)
{
	struct span since = { span.from_us - ASK_MAX_US, span.until_us };
	struct span lately = { span.from_us - ASK_LATER_US, span.until_us };

	return !trouble_was(estate, deed->holding, span) &&
	       !trouble_of_reach(estate, office->index, lately) &&
	       !trouble_of_ari(estate, office->index, since);
}

static void count_doomed(struct estate *estate, struct span span)
{
	for (size_t i = 0; i < estate->office_count; i++) {
		struct office *office = &estate->office[i];
		int64_t ask_us = office->ask_again_s * SECOND_US;

		ask_us = ask_us < ASK_MAX_US ? ask_us : ASK_MAX_US;
		for (struct deed *deed = office->deeds; deed; deed = deed->next) {
			if (deed->revoked_us > 0 &&
			    span.from_us > deed->doomed_us + ask_us + HOUR_US &&
			    could_hear(estate, deed, office, span)) {
				deed->good++;
			}
		}
	}
}

static void count_chores(struct estate *estate, struct holding *holding)
{
	for (size_t i = 0; i < holding->chores; i++) {
		struct chore *chore = &holding->chore[i];

		if (strcmp(chore->done, holding->current) == 0) {
			chore->left = 0;
		} else if (++chore->left > LEFT_MAX) {
			sim_violated(estate->sim,
				     "deployed: command %zu was not run for %s of %s in %u runs", i,
				     holding->current, holding->name, chore->left);
		}
	}
}

bool estate_is_steady(const struct holding *holding)
{
	return holding->current[0] &&
	       holding->spoiled_us + STEADY_US < holding->estate->sim->now_us;
}

/* Its end is near, and it could have been renewed in place of another. */
static void check_passed(struct estate *estate, struct holding *holding)
{
	const struct office *office = &estate->office[holding->office];
	int64_t life_s = holding->not_after_s - holding->not_before_s;
	int64_t ends_us = (holding->not_after_s - SIM_WALL_S) * SECOND_US;
	int64_t urgent_us = ends_us - life_s * URGENT_PPM;

	if (!estate_is_steady(holding) || estate->sim->now_us < urgent_us + 2 * HOUR_US) {
		holding->passed = 0;
	} else if (office->left_most > EASY_PPM && ++holding->passed > PASSED_MAX) {
		sim_violated(estate->sim,
			     "alive: %s (%s) ends in %lld h, and others were renewed instead that "
			     "have a fifth of their lives left",
			     holding->name, holding->current,
			     (long long)((ends_us - estate->sim->now_us) / HOUR_US));
	}
}

/* What is left over by one that was killed, or could not remove it, is the next one's. */
struct litter {
	const struct sim *sim;
	size_t count;
};

static void on_row(void *arg, const char *value)
{
	((struct litter *)arg)->count++;
	sim_say(((struct litter *)arg)->sim, "a row is left for %s", value);
}

void estate_clean(struct estate *estate, struct span span)
{
	const struct net *net = estate->sim->net;
	struct litter litter = { estate->sim, 0 };
	bool littered = estate->littered;

	invariants_each_value(on_row, &litter);
	for (size_t i = 0; i < net->zone_count; i++) {
		litter.count += net->zone[i].server[0].texts.count;
	}
	estate->littered = litter.count > 0;
	if (estate->littered && !littered && !trouble_of_records(estate, span)) {
		sim_violated(estate->sim, "clean: a run left %zu records and rows", litter.count);
	}
}

void estate_ran(struct estate *estate, struct span span)
{
	bool could_deploy = !trouble_was(estate, NULL, span);

	/* A loop may have many runs in an hour, which come for some lineages only. */
	if (span.until_us - estate->hour_us < HOUR_US * 9 / 10) {
		return;
	}
	estate->hour_us = span.until_us;
	for (size_t i = 0; i < estate->holding_count; i++) {
		struct holding *holding = &estate->holding[i];

		if (!holding->configured) {
			continue;
		}
		if (!trouble_was(estate, holding, span)) {
			memmove(holding->good_us, holding->good_us + 1,
				(GOOD_KEPT - 1) * sizeof(holding->good_us[0]));
			holding->good_us[GOOD_KEPT - 1] = span.until_us;
			holding->good++;
			check_passed(estate, holding);
		} else {
			holding->spoiled_us = span.until_us;
		}
		if (holding->current[0] && could_deploy) {
			count_chores(estate, holding);
		}
	}
	count_doomed(estate, span);
}

/* ---- keys ---- */

static char *path_of(const struct holding *holding, const char *version, const char *file)
{
	return xasprintf("%s/certs/%s/%s/%s", holding->estate->state, holding->name, version, file);
}

void estate_version_of(const struct holding *holding, char out[VERSION_MAX])
{
	char *path = xasprintf("%s/certs/%s/current", holding->estate->state, holding->name);
	ssize_t len = readlink(path, out, VERSION_MAX - 1);

	out[len > 0 ? len : 0] = '\0';
	free(path);
}

static bool digest_of(const char *path, uint8_t out[32])
{
	struct buf text;
	bool read = file_read(path, KEY_PEM_MAX, &text, NULL) == ERR_NONE;

	if (read) {
		sha256(text.data, text.len, out);
	}
	buf_clear(&text);
	return read;
}

static bool is_pending(const struct holding *holding, const uint8_t key[32])
{
	char *path = path_of(holding, "pending", "privkey.pem");
	uint8_t there[32];
	bool same = issuer_key_of(path, there) && memcmp(there, key, sizeof(there)) == 0;

	free(path);
	return same;
}

struct holding *estate_finalized(struct estate *estate, const struct strlist *names,
				 const uint8_t key[32])
{
	for (size_t i = 0; i < estate->holding_count; i++) {
		struct holding *holding = &estate->holding[i];

		if (estate_same_names(&holding->names, names) && is_pending(holding, key)) {
			return holding;
		}
	}
	sim_violated(estate->sim, "keys: an order for %s is finalized, and its key is not on disk",
		     names->item[0]);
	return NULL;
}

static struct deed *deed_of(struct estate *estate, const char *serial)
{
	for (size_t i = 0; i < estate->office_count; i++) {
		for (struct deed *deed = estate->office[i].deeds; deed; deed = deed->next) {
			if (strcasecmp(deed->leaf.serial, serial) == 0) {
				return deed;
			}
		}
	}
	return NULL;
}

static void keep_version(struct holding *holding, const char *name)
{
	char *path = path_of(holding, name, "privkey.pem");
	struct version *version;

	holding->version = xreallocarray(holding->version, holding->version_count + 1,
					 sizeof(*holding->version));
	version = &holding->version[holding->version_count++];
	snprintf(version->name, sizeof(version->name), "%s", name);
	(void)digest_of(path, version->file);
	free(path);
}

static void take_version(struct estate *estate, struct holding *holding, const char *name)
{
	char *cert = path_of(holding, name, "cert.pem"),
	     *key = path_of(holding, name, "privkey.pem");
	struct ca_leaf leaf = { 0 };
	uint8_t there[32];
	struct deed *deed;

	snprintf(holding->current, sizeof(holding->current), "%s", name);
	if (!issuer_read(cert, &leaf) || !issuer_key_of(key, there) ||
	    memcmp(there, leaf.key, sizeof(there)) != 0) {
		sim_violated(estate->sim, "keys: %s of %s has no key that fits", name,
			     holding->name);
	}
	snprintf(holding->serial, sizeof(holding->serial), "%s", leaf.serial);
	holding->passed = 0;
	holding->not_before_s = leaf.not_before_s;
	holding->not_after_s = leaf.not_after_s;
	keep_version(holding, name);
	deed = deed_of(estate, leaf.serial);
	if (!deed || deed->holding != holding || memcmp(deed->leaf.key, there, 32) != 0) {
		sim_violated(estate->sim, "keys: %s of %s is no certificate of its own", name,
			     holding->name);
	} else if (deed->stored) {
		sim_violated(estate->sim, "keys: %s is stored twice", leaf.serial);
	} else {
		deed->stored = true;
	}
	free(cert);
	free(key);
}

void estate_disk(struct estate *estate)
{
	estate->look = false;
	for (size_t i = 0; i < estate->holding_count; i++) {
		struct holding *holding = &estate->holding[i];
		char now[VERSION_MAX];

		estate_version_of(holding, now);
		if (strcmp(now, holding->current) != 0 && now[0]) {
			take_version(estate, holding, now);
		} else if (!now[0] && holding->current[0]) {
			sim_violated(estate->sim, "keys: %s has no certificate any more",
				     holding->name);
		}
	}
}

static void check_keys(struct estate *estate, const struct holding *holding)
{
	for (size_t i = 0; i < holding->version_count; i++) {
		const struct version *version = &holding->version[i];
		char *path = path_of(holding, version->name, "privkey.pem");
		uint8_t there[32];
		bool read = digest_of(path, there);

		if (read && memcmp(there, version->file, sizeof(there)) != 0) {
			sim_violated(estate->sim, "keys: the key of %s of %s is another",
				     version->name, holding->name);
		} else if (!read && i + KEPT > holding->version_count) {
			sim_violated(estate->sim, "keys: the key of %s of %s is gone",
				     version->name, holding->name);
		}
		free(path);
	}
}

void estate_keys(struct estate *estate)
{
	for (size_t i = 0; i < estate->holding_count; i++) {
		check_keys(estate, &estate->holding[i]);
	}
}

/* ---- deployed ---- */

void estate_chore(struct holding *holding, size_t index, const char *version, bool told)
{
	struct chore *chore = &holding->chore[index];

	if (strcmp(chore->done, version) == 0 && !chore->unknown) {
		sim_violated(holding->estate->sim,
			     "deployed: command %zu was run twice for %s of "
			     "%s",
			     index, version, holding->name);
	}
	snprintf(chore->done, sizeof(chore->done), "%s", version);
	chore->unknown = !told;
}

/* ---- at the end ---- */

static void check_export(struct estate *estate, const struct holding *holding)
{
	char *there = xasprintf("%s/exports/%s/fullchain.pem", estate->state, holding->name);
	struct ca_leaf leaf = { 0 };

	if (!issuer_read(there, &leaf) || strcasecmp(leaf.serial, holding->serial) != 0) {
		sim_violated(estate->sim, "deployed: the export of %s is not of %s", holding->name,
			     holding->current);
	}
	free(there);
}

static void check_kept(struct estate *estate)
{
	for (size_t i = 0; i < estate->office_count; i++) {
		for (const struct deed *deed = estate->office[i].deeds; deed; deed = deed->next) {
			const struct holding *holding = deed->holding;

			if (!deed->stored && deed->edition == holding->edition &&
			    holding->fallback == OFFICES_MAX && holding->configured) {
				sim_violated(estate->sim, "keys: the certificate %s of %s is lost",
					     deed->leaf.serial, holding->name);
			}
		}
	}
}

void estate_settled(struct estate *estate)
{
	estate_disk(estate);
	estate_keys(estate);
	check_kept(estate);
	if (estate->littered) {
		sim_violated(estate->sim, "clean: a sweep left records, or rows");
	}
	for (size_t i = 0; i < estate->holding_count; i++) {
		const struct holding *holding = &estate->holding[i];

		if (!holding->configured) {
			continue;
		}
		if (!holding->current[0]) {
			sim_violated(estate->sim, "alive: %s has no certificate", holding->name);
		}
		for (size_t k = 0; k < holding->chores; k++) {
			if (strcmp(holding->chore[k].done, holding->current) != 0) {
				sim_violated(estate->sim, "deployed: %s of %s was left",
					     holding->current, holding->name);
			}
		}
		if (holding->exports) {
			check_export(estate, holding);
		}
	}
}
