/*
 * The CAs of an estate. Each counts for itself what it was asked for: more than it allows is a
 * violation, unless the host could not know it.
 */
#include "sim/estate.h"

#include "dns01/crypto.h"
#include "sim/invariants.h"

#define WINDOW_US (3 * HOUR_US) /* of the limit of orders */
#define ORDER_LIFE_US (30 * DAY_US)
#define SHORT_LIFE_S (10 * 86400)
#define ABSURD_S "31536000000"

static struct office *office_of(struct ca *ca)
{
	return ca->house;
}

/* One that may be meant by an order for these names: its own CA's, if there is one; else one whose
 * other CA it is. */
static struct holding *holding_of(struct office *office, const struct strlist *names)
{
	struct estate *estate = office->estate;
	struct holding *other = NULL;

	for (size_t i = 0; i < estate->holding_count; i++) {
		struct holding *holding = &estate->holding[i];

		if (!holding->configured || !estate_same_names(&holding->names, names)) {
			continue;
		}
		if (holding->office == office->index) {
			return holding;
		}
		other = holding->fallback == office->index ? holding : other;
	}
	return other;
}

/* ---- what is counted ---- */

static struct tally *tally_of(struct tally **tallies, const char *of)
{
	struct tally *tally;

	for (tally = *tallies; tally; tally = tally->next) {
		if (strcmp(tally->of, of) == 0) {
			return tally;
		}
	}
	tally = xcalloc(1, sizeof(*tally));
	tally->of = xstrdup(of);
	tally->next = *tallies;
	*tallies = tally;
	return tally;
}

/* One more now; the oldest of them makes room. */
static void count(struct tally *tally, int64_t now_us)
{
	memmove(tally->at_us, tally->at_us + 1, (TALLY_MAX - 1) * sizeof(*tally->at_us));
	tally->at_us[TALLY_MAX - 1] = now_us;
}

/* As many as it keeps lie within the time. */
static bool is_full(const struct tally *tally, int64_t window_us, int64_t now_us)
{
	return tally->at_us[0] > 0 && tally->at_us[0] + window_us > now_us;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct tally *tally_of_set(struct office *office, const struct strlist *names)
{
	struct strlist sorted = { 0 };
	struct tally *tally;
	char *of;

	strlist_copy(&sorted, names);
	qsort(sorted.item, sorted.count, sizeof(*sorted.item), by_text);
	of = strlist_join(&sorted, " ");
	tally = tally_of(&office->sets, of);
	free(of);
	strlist_clear(&sorted);
	return tally;
}

void office_forgive(struct office *office, int64_t since_us)
{
	for (struct tally *tally = office->failures; tally; tally = tally->next) {
		while (tally->at_us[TALLY_MAX - 1] >= since_us) {
			memmove(tally->at_us + 1, tally->at_us,
				(TALLY_MAX - 1) * sizeof(*tally->at_us));
			tally->at_us[0] = 0;
		}
	}
}

static void tallies_free(struct tally *tally)
{
	while (tally) {
		struct tally *next = tally->next;

		free(tally->of);
		free(tally);
		tally = next;
	}
}

/* ---- answers that are none ---- */

static bool is_new_order(const struct exchange *exchange)
{
	return strcmp(exchange->path, "/new-order") == 0;
}

static void refuse(struct exchange *exchange, int64_t wait_s, const char *why)
{
	ca_problem(exchange, 429, "rateLimited", why);
	snprintf(exchange->answer.retry_after, sizeof(exchange->answer.retry_after), "%lld",
		 (long long)wait_s);
}

static bool stumble(struct exchange *exchange)
{
	struct office *office = office_of(exchange->ca);
	struct sim_answer *answer = &exchange->answer;

	if (office->busy && is_new_order(exchange)) {
		refuse(exchange, 600 + (int64_t)sim_below(exchange->sim, 3000),
		       "the service is busy");
		return true;
	}
	if (!office->down) {
		return false;
	}
	answer->status = 0;
	if (office->down == DOWN_503 || office->down == DOWN_503_FOR_YEARS) {
		answer->status = 503;
		answer->type = "text/html";
		buf_add_str(&answer->body, "<html>maintenance</html>");
	}
	if (office->down == DOWN_503_FOR_YEARS) {
		snprintf(answer->retry_after, sizeof(answer->retry_after), ABSURD_S);
	}
	return true;
}

/* ---- orders ---- */

static struct deed *deed_of(struct office *office, const char *cert_id)
{
	for (struct deed *deed = office->deeds; deed; deed = deed->next) {
		if (strcmp(deed->leaf.cert_id, cert_id) == 0) {
			return deed;
		}
	}
	return NULL;
}

/* A pending order of the same names is found again: its answer may have been lost. */
static bool say_pending(struct exchange *exchange, const struct ca_order *order)
{
	struct ca *ca = exchange->ca;

	for (size_t i = ca->order_count; i > 0; i--) {
		const struct ca_order *other = ca->order[i - 1];

		if (other && other->made_us + DAY_US < exchange->sim->now_us) {
			break;
		}
		if (other && other->status <= CA_READY &&
		    strcmp(other->profile, order->profile) == 0 &&
		    estate_same_names(&other->names, &order->names)) {
			ca_say_order(exchange, i - 1);
			return true;
		}
	}
	return false;
}

/* What a CA likes: about a third of the life before its end, or half of a short one. */
static void usual_window(const struct deed *deed, int64_t *start_s, int64_t *end_s)
{
	int64_t life_s = deed->leaf.not_after_s - deed->leaf.not_before_s;
	int64_t at_s = deed->leaf.not_after_s - life_s / (life_s < SHORT_LIFE_S ? 2 : 3);

	*start_s = at_s - life_s / 50;
	*end_s = at_s + life_s / 50;
}

static bool is_in_window(const struct sim *sim, const struct deed *deed)
{
	int64_t now_s = sim_wall_us(sim) / SECOND_US, start_s, end_s;

	usual_window(deed, &start_s, &end_s);
	return deed->doomed_us == 0 && start_s <= now_s && now_s < end_s;
}

/* RFC 9773 s.5; *exempt: it counts for no limit, as in the window that the CA had suggested.
 * False: it is refused. */
static bool take_replaces(struct exchange *exchange, const struct json *payload,
			  struct holding *holding, bool *exempt)
{
	struct office *office = office_of(exchange->ca);
	const char *id = json_str(payload, "replaces");
	struct deed *deed = id ? deed_of(office, id) : NULL;

	if (!id) {
		return true;
	}
	if (!deed || !estate_same_names(&deed->holding->names, &holding->names)) {
		ca_problem(exchange, 404, "malformed", "that certificate is not known here");
		return false;
	}
	if (deed->replaced) {
		ca_problem(exchange, 409, "alreadyReplaced", "there is an order already");
		return false;
	}
	*exempt = is_in_window(exchange->sim, deed);
	return true;
}

static bool is_excused(const struct estate *estate, int64_t window_us)
{
	return estate->clock_us > 0 && estate->clock_us + window_us > estate->sim->now_us;
}

/* The order counts; false: it is one too many. */
static bool count_order(struct exchange *exchange)
{
	struct office *office = office_of(exchange->ca);
	struct sim *sim = exchange->sim;

	while (office->order_first < office->order_count &&
	       office->order_us[office->order_first] + WINDOW_US <= sim->now_us) {
		office->order_first++;
	}
	if (office->order_count - office->order_first >= office->limit) {
		int64_t free_us = office->order_us[office->order_first] + WINDOW_US - sim->now_us;

		if (!is_excused(office->estate, 2 * WINDOW_US)) {
			sim_violated(sim, "limits: %s gets more than %zu orders in three hours",
				     office->url, office->limit);
		}
		refuse(exchange, free_us / SECOND_US + 1, "too many new orders");
		return false;
	}
	if (office->order_count == office->order_cap) {
		office->order_cap = office->order_cap ? 2 * office->order_cap : 64;
		office->order_us = xreallocarray(office->order_us, office->order_cap,
						 sizeof(*office->order_us));
	}
	office->order_us[office->order_count++] = sim->now_us;
	return true;
}

/* Duplicates are of no interest to a CA whose certificates live for a day. */
static bool check_duplicates(struct exchange *exchange, const struct holding *holding)
{
	struct office *office = office_of(exchange->ca);
	const struct tally *tally = tally_of_set(office, &holding->names);
	int64_t now_us = exchange->sim->now_us;

	if (office->life_s < 2 * 86400 || !is_full(tally, DUPLICATES_US, now_us)) {
		return true;
	}
	if (!is_excused(office->estate, DUPLICATES_US) &&
	    (office->past_us == 0 || office->past_us + DUPLICATES_US < now_us)) {
		sim_violated(exchange->sim, "limits: %s is ordered more than %d times in a week",
			     tally->of, TALLY_MAX);
	}
	refuse(exchange, (tally->at_us[0] + DUPLICATES_US - now_us) / SECOND_US + 1,
	       "too many certificates for this exact set of names");
	return false;
}

/* ---- whose turn it is ---- */

static struct span this_run(const struct estate *estate)
{
	const struct renewer *renewer = estate->host.renewer;

	return (struct span){ renewer ? renewer->begun_us : estate->sim->now_us,
			      estate->sim->now_us };
}

/* The other CA is for when its own gives no answer. */
static void check_turn(const struct office *office, const struct holding *holding)
{
	const struct estate *estate = office->estate;

	if (holding->office != office->index &&
	    !trouble_of_reach(estate, holding->office, this_run(estate))) {
		sim_violated(estate->sim, "turn: %s asks %s for %s, though %s is up",
			     estate->host.renewer ? "a run" : "nobody", office->url, holding->name,
			     estate->office[holding->office].url);
	}
}

/* How much of its life is left, ppm: none, where there is no certificate. */
static int64_t left_of(const struct holding *holding)
{
	int64_t now_us = holding->estate->sim->now_us;
	int64_t life_s = holding->not_after_s - holding->not_before_s;
	int64_t left_s = holding->not_after_s - SIM_WALL_S - now_us / SECOND_US;

	return holding->current[0] && left_s > 0 ? left_s * 1000000 / life_s : 0;
}

/* The best profile is asked for while the CA names it, and the other one where it is refused; but
 * never by who demands the best. */
static bool take_profile(struct exchange *exchange, const struct holding *holding,
			 const struct ca_order *order)
{
	struct office *office = office_of(exchange->ca);
	bool best = strcmp(order->profile, PROFILE_BEST) == 0;
	bool changes = trouble_of_profile(office->estate, office->index, this_run(office->estate));

	if (strcmp(order->profile, best               ? PROFILE_BEST
				   : office->profiles ? PROFILE_PLAIN
						      : "") ||
	    (best && office->profile == PROFILE_GONE && !changes) ||
	    (!best && office->profiles && (holding->strict || (!office->profile && !changes)))) {
		sim_violated(exchange->sim, "turn: %s is ordered with the profile \"%s\"",
			     holding->name, order->profile);
	}
	if (best && office->profile) {
		ca_problem(exchange, 400, "invalidProfile", "there is no such profile any more");
		return false;
	}
	return true;
}

/* For the oracle of those that are passed over: who is ordered for the first time, or after a
 * failure, is not compared; and of those that share all their names, any may be meant. */
static void note_left(struct office *office, const struct strlist *names)
{
	const struct estate *estate = office->estate;
	int64_t least = INT64_MAX;

	for (size_t i = 0; i < estate->holding_count; i++) {
		const struct holding *holding = &estate->holding[i];

		if (holding->configured && estate_same_names(&holding->names, names)) {
			int64_t left = estate_is_steady(holding) ? left_of(holding) : 0;

			least = left < least ? left : least;
		}
	}
	office->left_most = least > office->left_most ? least : office->left_most;
}

static bool take_order(struct exchange *exchange, struct ca_order *order,
		       const struct json *payload)
{
	struct office *office = office_of(exchange->ca);
	struct holding *holding = holding_of(office, &order->names);
	const char *profile = json_str(payload, "profile");
	bool exempt = false;

	snprintf(order->profile, sizeof(order->profile), "%s", profile ? profile : "");
	if (!holding) {
		sim_violated(exchange->sim, "an order for %s, which is nobody's",
			     order->names.item[0]);
		return false;
	}
	check_turn(office, holding);
	if (say_pending(exchange, order) || !take_profile(exchange, holding, order) ||
	    !take_replaces(exchange, payload, holding, &exempt)) {
		return false;
	}
	if (!exempt && (!check_duplicates(exchange, holding) || !count_order(exchange))) {
		return false;
	}
	if (!exempt) {
		note_left(office, &order->names);
	}
	order->exempt = exempt;
	snprintf(order->replaces, sizeof(order->replaces), "%s",
		 json_str(payload, "replaces") ? json_str(payload, "replaces") : "");
	return true;
}

/* ---- validation, certificates ---- */

/* By the name alone, whichever certificate it is for: a wildcard's failure counts for the name that
 * it stands below. */
static bool validate(struct sim *sim, struct ca *ca, const struct ca_authz *authz, bool shown)
{
	struct office *office = office_of(ca);
	struct tally *tally;

	if (shown && !office->blind) {
		return true;
	}
	tally = tally_of(&office->failures, authz->name);
	if (is_full(tally, HOUR_US, sim->now_us) && !is_excused(office->estate, HOUR_US)) {
		sim_violated(sim, "limits: %s fails more than %d times in an hour at %s",
			     authz->name, TALLY_MAX, office->url);
	}
	count(tally, sim->now_us);
	return false;
}

static int64_t finalize(struct sim *sim, struct ca *ca, struct ca_order *order)
{
	struct office *office = office_of(ca);

	(void)sim;
	order->of = estate_finalized(office->estate, &order->names, order->leaf.key);
	return strcmp(order->profile, PROFILE_BEST) == 0 ? office->life_s * 2 / 3 : office->life_s;
}

/* Whatever its CA suggests, over and over: nobody needs two in a day, or in a tenth of a short
 * life. */
static void check_gap(const struct office *office, const struct holding *holding)
{
	const struct estate *estate = office->estate;
	const struct deed *deed = office->deeds;
	int64_t gap_us;

	while (deed && (deed->holding != holding || deed->edition != holding->edition)) {
		deed = deed->next;
	}
	if (!deed || !deed->stored || deed->issued_us < holding->since_us ||
	    estate->clock_us >= deed->issued_us) {
		return;
	}
	gap_us = (deed->leaf.not_after_s - deed->leaf.not_before_s) * SECOND_US / 10;
	gap_us = (gap_us < DAY_US ? gap_us : DAY_US) * 9 / 10;
	if (deed->issued_us + gap_us > estate->sim->now_us) {
		sim_violated(estate->sim, "limits: %s is issued again after %lld s", holding->name,
			     (long long)((estate->sim->now_us - deed->issued_us) / SECOND_US));
	}
}

static void issue(struct sim *sim, struct ca *ca, struct ca_order *order)
{
	struct office *office = office_of(ca);
	struct estate *estate = office->estate;
	struct deed *deed, *before;

	if (!order->of) {
		return; /* which was a violation */
	}
	check_gap(office, order->of);
	deed = xcalloc(1, sizeof(*deed));
	deed->holding = order->of;
	deed->edition = deed->holding->edition;
	deed->leaf = order->leaf;
	deed->leaf.chain = NULL;
	deed->issued_us = sim->now_us;
	deed->next = office->deeds;
	office->deeds = deed;
	estate->issued++;
	estate->look = true;
	before = deed_of(office, order->replaces);
	if (before) {
		before->replaced = true;
	}
	if (!order->exempt) {
		count(tally_of_set(office, &order->names), sim->now_us);
	}
}

/* ---- renewal information ---- */

static void say_window(struct exchange *exchange, int64_t start_s, int64_t end_s)
{
	char start[32], end[32];

	time_format(start, start_s);
	time_format(end, end_s);
	exchange->answer.status = 200;
	exchange->answer.type = "application/json";
	buf_addf(&exchange->answer.body, "{\"suggestedWindow\":{\"start\":\"%s\",\"end\":\"%s\"}}",
		 start, end);
}

static void say_usual(struct exchange *exchange, const struct deed *deed)
{
	int64_t start_s, end_s;

	usual_window(deed, &start_s, &end_s);
	say_window(exchange, start_s, end_s);
}

static void say_doom(struct exchange *exchange, const struct deed *deed)
{
	int64_t doomed_s = deed->doomed_us / SECOND_US + SIM_WALL_S;

	say_window(exchange, doomed_s - 7200, doomed_s - 3600);
}

static void say_nonsense(struct exchange *exchange, const struct deed *deed, int64_t how)
{
	struct sim_answer *answer = &exchange->answer;
	int64_t now_s = sim_wall_us(exchange->sim) / SECOND_US;

	switch (how) {
	case ARI_GARBAGE:
		answer->status = 200;
		answer->type = "application/json";
		buf_add_str(&answer->body, sim_below(exchange->sim, 2)
						   ? "{\"suggestedWindow\":{\"start\":\"soon\"}}"
						   : "]]>");
		break;
	case ARI_503:
		answer->status = 503;
		buf_add_str(&answer->body, "<html>try later</html>");
		break;
	case ARI_BACKWARDS:
		say_window(exchange, deed->leaf.not_after_s, deed->leaf.not_before_s);
		break;
	case ARI_404:
		ca_problem(exchange, 404, "malformed", "that certificate is not known here");
		break;
	case ARI_FAR:
		say_window(exchange, INT64_C(253370764800), INT64_C(253402300799));
		break;
	default:
		say_window(exchange, now_s - 90000, now_s - 80000);
		break;
	}
}

static void get(struct exchange *exchange)
{
	static const char page[] = "/renewal-info/";
	struct office *office = office_of(exchange->ca);
	struct deed *deed = strncmp(exchange->path, page, strlen(page)) == 0
				    ? deed_of(office, exchange->path + strlen(page))
				    : NULL;
	struct sim_answer *answer = &exchange->answer;

	if (!deed) {
		ca_problem(exchange, 404, "malformed", "there is nothing of that name");
		return;
	}
	snprintf(answer->retry_after, sizeof(answer->retry_after), "%lld",
		 (long long)office->ask_again_s);
	if (office->ari == ARI_FOR_YEARS) {
		snprintf(answer->retry_after, sizeof(answer->retry_after), ABSURD_S);
	}
	if (office->ari == ARI_FAR) {
		office->far_us = exchange->sim->now_us;
	} else if (office->ari == ARI_PAST) {
		office->past_us = exchange->sim->now_us;
	}
	if (office->ari && office->ari != ARI_FOR_YEARS) {
		say_nonsense(exchange, deed, office->ari);
		return;
	}
	if (deed->doomed_us > 0) {
		say_doom(exchange, deed);
	} else {
		say_usual(exchange, deed);
	}
}

/* ---- the directory, accounts ---- */

static void say_meta(struct exchange *exchange)
{
	const struct office *office = office_of(exchange->ca);
	struct buf *body = &exchange->answer.body;

	buf_addf(body, ",\"meta\":{\"externalAccountRequired\":%s",
		 office->binds ? "true" : "false");
	if (office->profiles) {
		buf_add_str(body, ",\"profiles\":{\"" PROFILE_PLAIN "\":\"as ever\"");
		if (office->profile != PROFILE_GONE) {
			buf_add_str(body, ",\"" PROFILE_BEST "\":\"two thirds of it\"");
		}
		buf_add_str(body, "}");
	}
	buf_add_str(body, "}");
}

/* RFC 8555 s.7.3.4: the binding is a JWS by the key that the CA gave to its customer. */
static bool is_bound(const struct office *office, const struct json *binding)
{
	const char *header = json_str(binding, "protected"), *key = json_str(binding, "payload");
	const char *signature = json_str(binding, "signature");
	uint8_t there[MAC_MAX], mac[MAC_MAX];
	size_t len = 0;
	char *signed_text;

	if (!header || !key || !signature ||
	    !base64url_decode(signature, strlen(signature), there, sizeof(there), &len)) {
		return false;
	}
	signed_text = xasprintf("%s.%s", header, key);
	mac_compute(MAC_SHA256, office->binding, sizeof(office->binding), signed_text,
		    strlen(signed_text), mac);
	free(signed_text);
	return len == mac_len(MAC_SHA256) && memcmp(there, mac, len) == 0;
}

static bool take_account(struct exchange *exchange)
{
	const struct office *office = office_of(exchange->ca);
	struct json *payload = NULL;
	bool bound = false;
	struct err err;

	if (json_parse(exchange->payload, strlen(exchange->payload), &payload, &err) == ERR_NONE) {
		bound = is_bound(office, json_get(payload, "externalAccountBinding"));
	}
	json_free(payload);
	if (office->binds && !bound) {
		sim_violated(exchange->sim, "turn: an account of %s is asked for without a binding",
			     office->url);
	}
	return !office->binds || bound;
}

const struct ca_rules estate_rules = {
	.stumble = stumble,
	.account = take_account,
	.meta = say_meta,
	.order = take_order,
	.validate = validate,
	.finalize = finalize,
	.issue = issue,
	.get = get,
};

/* A CA without renewal information. */
const struct ca_rules estate_plain_rules = {
	.stumble = stumble,
	.account = take_account,
	.meta = say_meta,
	.order = take_order,
	.validate = validate,
	.finalize = finalize,
	.issue = issue,
};

/* ---- revocations ---- */

void office_doom(struct office *office, unsigned percent, int64_t lead_us)
{
	struct sim *sim = office->estate->sim;
	unsigned count = 0;

	for (struct deed *deed = office->deeds; deed; deed = deed->next) {
		if (deed->doomed_us == 0 && !deed->replaced && sim_below(sim, 100) < percent) {
			deed->doomed_us = sim->now_us;
			deed->revoked_us = sim->now_us + lead_us;
			count++;
		}
	}
	sim_say(sim, "%s: %u certificates are to be revoked in %lld h", office->url, count,
		(long long)(lead_us / HOUR_US));
}

/* ---- life ---- */

void office_tidy(struct office *office)
{
	struct sim *sim = office->estate->sim;
	int64_t now_s = sim_wall_us(sim) / SECOND_US;
	struct ca *ca = office->ca;

	for (struct deed **at = &office->deeds; *at;) {
		struct deed *deed = *at;

		if (deed->leaf.not_after_s + 86400 < now_s) {
			*at = deed->next;
			free(deed);
		} else {
			at = &deed->next;
		}
	}
	for (size_t i = ca->order_count; i > 0; i--) {
		if (!ca->order[i - 1]) {
			break;
		}
		if (ca->order[i - 1]->made_us + ORDER_LIFE_US < sim->now_us) {
			ca_forget(ca, i - 1);
		}
	}
}

void office_free(struct office *office)
{
	while (office->deeds) {
		struct deed *deed = office->deeds;

		office->deeds = deed->next;
		free(deed);
	}
	tallies_free(office->failures);
	tallies_free(office->sets);
	free(office->order_us);
}
