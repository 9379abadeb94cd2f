/*
 * The CAs of an estate. Each counts for itself what it was asked for: more than it allows is a
 * violation, unless the host could not know it.
 */
#include "sim/estate.h"

#include "sim/invariants.h"

#define WINDOW_US (3 * HOUR_US) /* of the limit of orders */
#define ORDER_LIFE_US (30 * DAY_US)
#define SHORT_LIFE_S (10 * 86400)
#define ABSURD_S "31536000000"

static struct office *office_of(struct ca *ca)
{
	return ca->house;
}

struct holding *estate_holding_of(struct estate *estate, const struct strlist *names)
{
	for (size_t i = 0; i < estate->holding_count; i++) {
		struct holding *holding = &estate->holding[i];

		for (size_t k = 0; k < names->count; k++) {
			if (strlist_has(&holding->names, names->item[k])) {
				return holding;
			}
		}
	}
	return NULL;
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

static bool same_names(const struct strlist *a, const struct strlist *b)
{
	bool same = a->count == b->count;

	for (size_t i = 0; same && i < a->count; i++) {
		same = strlist_has(b, a->item[i]);
	}
	return same;
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
		    same_names(&other->names, &order->names)) {
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
	if (!deed || deed->holding != holding) {
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

/* Moves the times by one; the oldest of them. */
static int64_t push(int64_t *times, size_t count, int64_t now_us)
{
	int64_t oldest = times[0];

	memmove(times, times + 1, (count - 1) * sizeof(*times));
	times[count - 1] = now_us;
	return oldest;
}

static bool is_duplicate(const struct holding *holding, int64_t now_us)
{
	return holding->issued_us[0] > 0 && holding->issued_us[0] + DUPLICATES_US > now_us;
}

/* Duplicates are of no interest to a CA whose certificates live for a day. */
static bool check_duplicates(struct exchange *exchange, struct holding *holding)
{
	struct office *office = office_of(exchange->ca);

	if (office->life_s < 2 * 86400 || !is_duplicate(holding, exchange->sim->now_us)) {
		return true;
	}
	if (!is_excused(office->estate, DUPLICATES_US) &&
	    (office->past_us == 0 || office->past_us + DUPLICATES_US < exchange->sim->now_us)) {
		sim_violated(exchange->sim, "limits: %s is ordered more than %d times in a week",
			     holding->name, DUPLICATES_MAX);
	}
	refuse(exchange,
	       (holding->issued_us[0] + DUPLICATES_US - exchange->sim->now_us) / SECOND_US + 1,
	       "too many certificates for this exact set of names");
	return false;
}

static bool take_order(struct exchange *exchange, struct ca_order *order,
		       const struct json *payload)
{
	struct office *office = office_of(exchange->ca);
	struct holding *holding = estate_holding_of(office->estate, &order->names);
	bool exempt = false;

	if (!holding) {
		sim_violated(exchange->sim, "an order for %s, which is nobody's",
			     order->names.item[0]);
		return false;
	}
	if (say_pending(exchange, order) || !take_replaces(exchange, payload, holding, &exempt)) {
		return false;
	}
	if (!exempt && (!check_duplicates(exchange, holding) || !count_order(exchange))) {
		return false;
	}
	order->exempt = exempt;
	snprintf(order->replaces, sizeof(order->replaces), "%s",
		 json_str(payload, "replaces") ? json_str(payload, "replaces") : "");
	return true;
}

/* ---- validation, certificates ---- */

/* By the name alone: a wildcard's failure counts for the name that it stands below. */
static void count_failure(struct sim *sim, struct holding *holding, const struct ca_authz *authz)
{
	int64_t oldest_us;
	size_t i = 0;

	while (i < holding->names.count && strcmp(holding->names.item[i], authz->name) != 0 &&
	       strncmp(holding->names.item[i], "*.", 2) != 0) {
		i++;
	}
	if (i >= CA_NAMES_MAX) {
		return;
	}
	oldest_us = push(holding->failed_us[i], FAILURES_MAX, sim->now_us);
	if (oldest_us > 0 && oldest_us + HOUR_US > sim->now_us) {
		sim_violated(sim, "limits: %s fails more than %d times in an hour", authz->name,
			     FAILURES_MAX);
	}
}

static bool validate(struct sim *sim, struct ca *ca, const struct ca_authz *authz, bool shown)
{
	struct office *office = office_of(ca);
	struct strlist names = { 0 };
	struct holding *holding;

	strlist_addf(&names, "%s%s", authz->wildcard ? "*." : "", authz->name);
	holding = estate_holding_of(office->estate, &names);
	strlist_clear(&names);
	if (shown && !office->blind) {
		return true;
	}
	if (holding) {
		count_failure(sim, holding, authz);
	}
	return false;
}

static int64_t finalize(struct sim *sim, struct ca *ca, struct ca_order *order)
{
	struct office *office = office_of(ca);
	struct holding *holding = estate_holding_of(office->estate, &order->names);

	(void)sim;
	estate_finalized(holding, order->leaf.key);
	return office->life_s;
}

static void issue(struct sim *sim, struct ca *ca, struct ca_order *order)
{
	struct office *office = office_of(ca);
	struct estate *estate = office->estate;
	struct deed *deed = xcalloc(1, sizeof(*deed)), *before;

	deed->holding = estate_holding_of(estate, &order->names);
	deed->edition = deed->holding->edition;
	deed->leaf = order->leaf;
	deed->leaf.chain = NULL;
	deed->issued_us = sim->now_us;
	deed->next = office->deeds;
	office->deeds = deed;
	office->issued++;
	estate->issued++;
	estate->look = true;
	before = deed_of(office, order->replaces);
	if (before) {
		before->replaced = true;
	}
	if (!order->exempt) {
		(void)push(deed->holding->issued_us, DUPLICATES_MAX, sim->now_us);
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

const struct ca_rules estate_rules = {
	.stumble = stumble,
	.order = take_order,
	.validate = validate,
	.finalize = finalize,
	.issue = issue,
	.get = get,
};

/* A CA without renewal information. */
const struct ca_rules estate_plain_rules = {
	.stumble = stumble,
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
	free(office->order_us);
}
