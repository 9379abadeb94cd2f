/*
 * errand: one client asks for a value or several, waits for them, and removes them again; or it
 * does less, or more, than it should.
 *
 *   ASKING -> (POLLING) -> REMOVING -> (LOOKING at what it removed) -> OVER
 *                     \-> STEALING, a value of another -> REMOVING
 */
#include "dns01/json.h"
#include "sim/crowd.h"

#define TRIES_MAX 60
#define THINK_MAX_US 20000000
#define FAIR_SHARE 5 /* values at one owner name that nobody is refused for */

static void act(struct errand *errand);

/* ---- one request ---- */

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static struct json *parse(const struct outside_answer *answer)
{
	struct json *json = NULL;
	struct err err;

	if (json_parse(answer->body, answer->body_len, &json, &err) != ERR_NONE) {
		return NULL;
	}
	return json;
}

/* The answer's part for one of the values. */
static const struct json *part_of(const struct errand *errand, const struct json *json, size_t i)
{
	return errand->kind == ERRAND_LIST && errand->state == ERRAND_ASKING
		       ? json_at(json_get(json, "challenges"), i)
		       : json;
}

/* "data: {...}" of an event, or the whole. */
static void look_for_visible(struct errand *errand, const struct outside_answer *answer)
{
	struct outside_answer event = *answer;
	struct json *json;

	if (errand->kind == ERRAND_EVENTS && errand->state == ERRAND_POLLING &&
	    starts(answer->body, "event: ")) {
		event.body = strchr(answer->body, '\n') + 1 + strlen("data: ");
		event.body_len -= (size_t)(event.body - answer->body);
	}
	json = parse(&event);
	if (!json) {
		sim_violated(errand->crowd->sim, "answered: %s gets what is no JSON: %.200s",
			     errand->member->name, event.body);
	}
	for (size_t i = 0; i < errand->ask_count; i++) {
		const char *state = json_str(part_of(errand, json, i), "state");

		if (state && strcmp(state, "visible") == 0) {
			ask_visible(errand->crowd, errand->ask[i],
				    json_str(part_of(errand, json, i), "owner"));
		}
	}
	json_free(json);
}

static void on_sent(struct sim *sim, void *arg, const struct outside_answer *answer)
{
	struct errand *errand = arg;

	(void)sim;
	if (errand->state == ERRAND_OVER) { /* it left, and the broker does not know yet */
		for (size_t i = 0; i < errand->ask_count; i++) {
			errand->ask[i]->state = ASK_OPEN;
		}
	}
	if (errand->state == ERRAND_STEALING) {
		asks_disturb(errand->crowd, errand->member, NULL, NULL);
	}
	if (errand->state != ERRAND_ASKING && errand->state != ERRAND_POLLING) {
		return;
	}
	if (errand->kind == ERRAND_HTTPREQ || errand->kind == ERRAND_RAW) {
		if (answer->status == 200) {
			ask_visible(errand->crowd, errand->ask[0], NULL);
		}
	} else {
		look_for_visible(errand, answer);
	}
}

static void on_arrived(struct sim *sim, void *arg, const struct outside_answer *answer);

struct wanted {
	const char *method, *path, *query;
	char *body; /* taken */
};

static void request(struct errand *errand, const struct wanted *wanted)
{
	const struct member *member = errand->member;
	char *authorization = errand->impostor ? xstrdup("Bearer dns01_0000000000000000_wrong")
					       : xasprintf("Bearer %s", member->token);

	sim_say(errand->crowd->sim, "%s: %s %s?%s %s", member->name, wanted->method, wanted->path,
		wanted->query ? wanted->query : "", wanted->body ? wanted->body : "");
	errand->call = outside_ask(errand->crowd->sim, &(struct outside_request){
							       .place = CROWD_SOCKET,
							       .method = wanted->method,
							       .path = wanted->path,
							       .query = wanted->query,
							       .body = wanted->body,
							       .authorization = authorization,
							       .sent = on_sent,
							       .arrived = on_arrived,
							       .arg = errand,
						       });
	free(authorization);
	free(wanted->body);
}

/* It was told that the value is not there, or goes. If the broker died in between, or an earlier
 * try was cut off, one is not to be sure: the lease of that try may live. */
void errand_release(struct errand *errand, struct ask *ask, bool retried)
{
	if (errand->restarts == errand->crowd->restarts && !retried) {
		ask_released(ask);
	}
}

static void release_all(struct errand *errand, bool retried)
{
	for (size_t i = 0; i < errand->ask_count; i++) {
		errand_release(errand, errand->ask[i], retried);
	}
}

/* ---- asking ---- */

static struct json *challenge_json(const struct errand *errand, size_t i)
{
	struct json *object = json_object();

	json_set_str(object, errand->by_owner ? "owner" : "name", errand->ask[i]->name);
	json_set_str(object, "value", errand->ask[i]->value);
	return object;
}

static char *dump(struct json *object)
{
	char *text = json_dump(object);

	json_free(object);
	return text;
}

static void ask_api(struct errand *errand)
{
	struct json *object =
		errand->kind == ERRAND_LIST ? json_object() : challenge_json(errand, 0);
	struct json *list = json_array();

	if (errand->kind == ERRAND_LIST) {
		for (size_t i = 0; i < errand->ask_count; i++) {
			json_add(list, challenge_json(errand, i));
		}
		json_set(object, "challenges", list);
	} else {
		json_free(list);
	}
	json_set_str(object, "wait",
		     errand->kind == ERRAND_POLL || errand->kind == ERRAND_EVENTS ? "no"
										  : "visible");
	request(errand, &(struct wanted){ "POST", "/v1/challenges", NULL, dump(object) });
}

static char *httpreq_body(const struct errand *errand)
{
	const struct ask *ask = errand->ask[0];
	struct json *object = json_object();
	char fqdn[2 * WIRE_TEXT_MAX];

	if (errand->kind == ERRAND_RAW) {
		json_set_str(object, "domain", ask->name);
		json_set_str(object, "token", "token");
		json_set_str(object, "keyAuth", ask->key_authorization);
	} else {
		snprintf(fqdn, sizeof(fqdn), "%s%s.", errand->by_owner ? "" : "_acme-challenge.",
			 ask->name);
		json_set_str(object, "fqdn", fqdn);
		json_set_str(object, "value", ask->value);
	}
	return dump(object);
}

static void do_ask(struct errand *errand)
{
	errand->asked_again = errand->asked_once;
	errand->asked_once = true;
	for (size_t i = 0; i < errand->ask_count; i++) {
		ask_sent(errand->crowd, errand->ask[i]);
	}
	if (errand->member->by_key) {
		errand_dns_act(errand);
	} else if (errand->kind == ERRAND_HTTPREQ || errand->kind == ERRAND_RAW) {
		request(errand, &(struct wanted){ "POST", "/present", NULL, httpreq_body(errand) });
	} else {
		ask_api(errand);
	}
}

static void do_poll(struct errand *errand)
{
	char *path = xasprintf("/v1/challenges/%s%s", errand->ask[0]->id,
			       errand->kind == ERRAND_EVENTS ? "/events" : "");

	request(errand,
		&(struct wanted){ "GET", path,
				  errand->kind == ERRAND_EVENTS ? NULL : "wait=visible", NULL });
	free(path);
}

/* ---- removing, stealing ---- */

static void do_remove(struct errand *errand)
{
	const struct ask *ask = errand->ask[0];
	char *path = xasprintf("/v1/challenges/%s", ask->id);
	struct strlist values = { 0 };
	char *joined, *query;

	for (size_t i = 0; i < errand->ask_count; i++) {
		asks_disturb(errand->crowd, errand->member, NULL, errand->ask[i]->value);
		strlist_add(&values, errand->ask[i]->value);
	}
	joined = strlist_join(&values, ",");
	query = xasprintf("value=%s", joined);
	if (errand->member->by_key) {
		errand_dns_act(errand);
	} else if (errand->kind == ERRAND_HTTPREQ || errand->kind == ERRAND_RAW) {
		request(errand, &(struct wanted){ "POST", "/cleanup", NULL, httpreq_body(errand) });
	} else if (errand->by_id && ask->id[0] && errand->ask_count == 1) {
		request(errand, &(struct wanted){ "DELETE", path, NULL, NULL });
	} else {
		request(errand, &(struct wanted){ "DELETE", "/v1/challenges", query, NULL });
	}
	strlist_clear(&values);
	free(joined);
	free(query);
	free(path);
}

static void do_steal(struct errand *errand)
{
	const struct ask *prey = errand->prey;
	char *path = xasprintf("/v1/challenges/%s", prey->id[0] ? prey->id : "0000000000000000");
	char *events = xasprintf("%s/events", path);
	char *by_value = xasprintf("value=%s", prey->value);
	char *by_name = xasprintf("name=%s", prey->name);
	char *body = xasprintf("{\"fqdn\": \"_acme-challenge.%s.\", \"value\": \"%s\"}", prey->name,
			       prey->value);

	if (errand->member->by_key) {
		free(body);
		errand_dns_act(errand);
	} else {
		const struct wanted ways[] = {
			{ "GET", path, NULL, NULL },
			{ "GET", path, "wait=visible", NULL },
			{ "GET", events, NULL, NULL },
			{ "GET", "/v1/challenges", NULL, NULL },
			{ "DELETE", path, NULL, NULL },
			{ "DELETE", "/v1/challenges", by_value, NULL },
			{ "DELETE", "/v1/challenges", by_name, NULL },
			{ "POST", "/cleanup", NULL, body },
		};
		size_t way = sim_below(errand->crowd->sim, ARRAY_LEN(ways));

		if (way + 1 < ARRAY_LEN(ways)) {
			free(body);
		}
		/* What that name is to the broker, may be its own too. */
		asks_disturb(errand->crowd, errand->member, NULL, NULL);
		request(errand, &ways[way]);
	}
	free(path);
	free(events);
	free(by_value);
	free(by_name);
}

static void act(struct errand *errand)
{
	switch (errand->state) {
	case ERRAND_ASKING:
		do_ask(errand);
		break;
	case ERRAND_POLLING:
	case ERRAND_LOOKING:
		do_poll(errand);
		break;
	case ERRAND_REMOVING:
		do_remove(errand);
		break;
	case ERRAND_STEALING:
		do_steal(errand);
		break;
	case ERRAND_OVER:
		break;
	}
}

/* ---- what comes next ---- */

struct errand_arg {
	struct errand *errand;
};

static void on_act(struct sim *sim, void *arg)
{
	(void)sim;
	act(((struct errand_arg *)arg)->errand);
}

static void later(struct errand *errand, int64_t delay_us, sim_fire *fire)
{
	struct errand_arg *arg = xcalloc(1, sizeof(*arg));

	arg->errand = errand;
	sim_at(errand->crowd->sim, NULL, delay_us, fire, arg);
}

void errand_again(struct errand *errand, int64_t delay_us)
{
	if (++errand->tries < TRIES_MAX) {
		later(errand, delay_us + (int64_t)sim_below(errand->crowd->sim, 2500000), on_act);
		return;
	}
	if (errand->honest && errand->crowd->scenario->gentle) {
		sim_violated(errand->crowd->sim, "answered: %s asked %d times in vain",
			     errand->member->name, TRIES_MAX);
	}
	errand_over(errand);
}

void errand_over(struct errand *errand)
{
	errand->state = ERRAND_OVER;
	errand->crowd->errands_left--;
	sim_say(errand->crowd->sim, "%s: its errand is over", errand->member->name);
}

static void go_to(struct errand *errand, enum errand_state state, int64_t delay_us)
{
	errand->state = state;
	errand->tries = 0;
	later(errand, delay_us, on_act);
}

/* Anything of another that is of interest: held, most of all. */
static struct ask *pick_prey(struct errand *errand)
{
	struct ask *pick = NULL;
	uint64_t seen = 0;

	for (struct ask *ask = errand->crowd->asks; ask; ask = ask->next) {
		bool held = ask->state == ASK_HELD;

		if (!ask->member || ask->member == errand->member ||
		    (pick && pick->state == ASK_HELD && !held)) {
			continue;
		}
		seen = held && pick && pick->state != ASK_HELD ? 0 : seen;
		if (sim_below(errand->crowd->sim, ++seen) == 0) {
			pick = ask;
		}
	}
	return pick;
}

void errand_asked(struct errand *errand, bool well)
{
	struct sim *sim = errand->crowd->sim;
	int64_t think_us = (int64_t)sim_below(sim, THINK_MAX_US);

	for (size_t i = 0; i < errand->ask_count; i++) {
		errand->ask[i]->in_flight = false;
	}
	errand->prey = errand->steals ? pick_prey(errand) : NULL;
	if (errand->prey) {
		go_to(errand, ERRAND_STEALING, think_us);
	} else if (errand->keeps || (!well && sim_below(sim, 2) == 0)) {
		errand_over(errand);
	} else {
		go_to(errand, ERRAND_REMOVING, think_us);
	}
}

/* ---- answers ---- */

static void violated(struct errand *errand, const struct outside_answer *answer, const char *what)
{
	sim_violated(errand->crowd->sim, "%s: %s, errand %d, status %d: %.300s",
		     errand->member->name, what, (int)errand->kind, answer->status,
		     answer->body_len ? answer->body : "");
}

static bool is_status(int status, const int *known)
{
	while (*known && *known != status) {
		known++;
	}
	return *known != 0;
}

static bool is_patient(const struct errand *errand)
{
	return errand->kind == ERRAND_API || errand->kind == ERRAND_LIST;
}

/* One value's state at the end of asking; the id is noted. */
static bool note_part(struct errand *errand, size_t i, const struct json *part)
{
	struct ask *ask = errand->ask[i];
	const char *state = json_str(part, "state");
	const char *id = json_str(part, "id");
	const char *client = json_str(part, "client");

	if (client && strcmp(client, errand->member->name) != 0 && !errand->member->reads) {
		sim_violated(errand->crowd->sim, "seen: %s is shown a value of %s",
			     errand->member->name, client);
	}
	snprintf(ask->id, sizeof(ask->id), "%s", id ? id : "");
	if (!state || strcmp(state, "failed") == 0 || json_get(part, "error")) {
		errand_release(errand, ask, errand->asked_again);
		return false;
	}
	if (strcmp(state, "visible") != 0 && errand->state == ERRAND_ASKING && is_patient(errand)) {
		sim_violated(errand->crowd->sim, "answered: %s waited for what is %s",
			     errand->member->name, state);
	}
	return true;
}

static bool note_all(struct errand *errand, const struct outside_answer *answer)
{
	struct json *json = parse(answer);
	bool well = true;

	for (size_t i = 0; i < errand->ask_count; i++) {
		well = note_part(errand, i, part_of(errand, json, i)) && well;
	}
	json_free(json);
	return well;
}

bool errand_must_go_well(const struct errand *errand)
{
	size_t there = 0;
	bool disturbed = false;

	for (size_t i = 0; i < errand->ask_count; i++) {
		disturbed = disturbed || errand->ask[i]->disturbed_us > errand->ask[i]->sent_us;
	}
	for (const struct ask *ask = errand->crowd->asks; ask; ask = ask->next) {
		there += strcmp(ask->name, errand->ask[0]->name) == 0 && ask->state != ASK_RELEASED;
	}
	return errand->honest && errand->crowd->scenario->gentle && !disturbed &&
	       there <= FAIR_SHARE;
}

static void must_go_well(struct errand *errand, const struct outside_answer *answer)
{
	if (errand_must_go_well(errand)) {
		violated(errand, answer, "answered: it is refused though nothing is wrong");
	}
}

static void asked_api(struct errand *errand, const struct outside_answer *answer)
{
	bool well = note_all(errand, answer);

	if (answer->status >= 400) { /* the whole request: what was begun of it was withdrawn */
		must_go_well(errand, answer);
		if (errand->kind != ERRAND_LIST) {
			release_all(errand, errand->asked_again);
		}
		errand_asked(errand, false);
	} else if (well && (errand->kind == ERRAND_POLL || errand->kind == ERRAND_EVENTS)) {
		go_to(errand, ERRAND_POLLING, (int64_t)sim_below(errand->crowd->sim, 200000));
	} else {
		errand_asked(errand, well);
	}
}

static void asked_httpreq(struct errand *errand, const struct outside_answer *answer)
{
	const struct ask *ask = errand->ask[0];

	if (answer->status == 200) {
		errand_asked(errand, true);
		return;
	}
	must_go_well(errand, answer);
	/* acme.sh looks for the value alone: a failure that quotes it were a success. */
	if (strlen(ask->value) >= VALUE_LEN && strstr(answer->body, ask->value)) {
		violated(errand, answer, "answered: a failure quotes the value");
	}
	release_all(errand, errand->asked_again);
	errand_asked(errand, false);
}

static void polled(struct errand *errand, const struct outside_answer *answer)
{
	struct json *json = parse(answer);
	const char *state = json_str(json, "state");

	if (errand->kind == ERRAND_EVENTS) {
		bool well = strstr(answer->body, "event: visible") != NULL;

		if (strstr(answer->body, "event: failed")) {
			must_go_well(errand, answer);
			release_all(errand, errand->asked_again);
		}
		errand_asked(errand, well);
	} else if (answer->status == 202) {
		errand_again(errand, 0);
	} else if (state && strcmp(state, "visible") == 0) {
		errand_asked(errand, true);
	} else {
		must_go_well(errand, answer);
		release_all(errand, errand->asked_again);
		errand_asked(errand, false);
	}
	json_free(json);
}

static void on_asked(struct errand *errand, const struct outside_answer *answer)
{
	static const int known[] = { 200, 202, 400, 403, 404, 409, 429, 500, 502, 503, 504, 0 };

	if (!is_status(answer->status, known)) {
		violated(errand, answer, "answered: nobody expects that");
	}
	if (answer->status == 429 || answer->status == 503) {
		errand_again(errand, 5000000);
	} else if (errand->kind == ERRAND_HTTPREQ || errand->kind == ERRAND_RAW) {
		asked_httpreq(errand, answer);
	} else {
		asked_api(errand, answer);
	}
}

static void on_polled(struct errand *errand, const struct outside_answer *answer)
{
	if (answer->status == 404) { /* the broker was started anew: other ids */
		if (errand->crowd->restarts == 0 && errand_must_go_well(errand)) {
			violated(errand, answer, "answered: its challenge is not known any more");
		}
		errand->state = ERRAND_ASKING;
		errand_again(errand, 0);
	} else {
		polled(errand, answer);
	}
}

static void on_removed(struct errand *errand, const struct outside_answer *answer)
{
	if (answer->status == 404) {
		errand->by_id = false;
		errand_again(errand, 0);
		return;
	}
	if (answer->status != 200) {
		violated(errand, answer, "answered: it cannot be removed");
	}
	release_all(errand, false);
	errand->crowd->removed++;
	if (errand->by_id && errand->ask[0]->id[0]) {
		go_to(errand, ERRAND_LOOKING, 0);
	} else {
		errand_over(errand);
	}
}

/* It is gone, or goes: one that goes tells nobody of it. */
static void on_looked(struct errand *errand, const struct outside_answer *answer)
{
	struct json *json = parse(answer);
	const char *state = json_str(json, "state");

	if (answer->status == 200 && state && strcmp(state, "visible") == 0) {
		violated(errand, answer, "answered: what was removed is visible");
	}
	json_free(json);
	errand_over(errand);
}

static void on_stolen(struct errand *errand, const struct outside_answer *answer)
{
	const char *value = errand->prey->value;
	struct json *json = parse(answer);
	bool shared = strlen(value) < VALUE_LEN || errand->member->reads;

	for (const struct ask *ask = errand->crowd->asks; ask; ask = ask->next) {
		shared =
			shared || (ask->member == errand->member && strcmp(ask->value, value) == 0);
	}
	/* httpreq repeats what it was told. */
	if (!shared && strstr(answer->body, value) && !json_str(json, "fqdn")) {
		violated(errand, answer, "seen: it is shown another's value");
	}
	json_free(json);
	go_to(errand, ERRAND_REMOVING, (int64_t)sim_below(errand->crowd->sim, 1000000));
}

static void on_arrived(struct sim *sim, void *arg, const struct outside_answer *answer)
{
	struct errand *errand = arg;

	sim_say(sim, "%s is answered %d %.200s", errand->member->name, answer->status,
		answer->body_len ? answer->body : "");
	errand->call = NULL;
	if (answer->status == 0) {
		errand_again(errand, 200000);
		return;
	}
	if (answer->status == 503 && strstr(answer->body, "the broker is starting")) {
		errand_again(errand, 5000000); /* it has not looked who asks */
		return;
	}
	if (errand->impostor) {
		if (answer->status != 401) {
			violated(errand, answer, "granted: nobody knows him");
		}
		release_all(errand, false);
		errand_over(errand);
		return;
	}
	switch (errand->state) {
	case ERRAND_ASKING:
		on_asked(errand, answer);
		break;
	case ERRAND_POLLING:
		on_polled(errand, answer);
		break;
	case ERRAND_REMOVING:
		on_removed(errand, answer);
		break;
	case ERRAND_STEALING:
		on_stolen(errand, answer);
		break;
	case ERRAND_LOOKING:
		on_looked(errand, answer);
		break;
	case ERRAND_OVER:
		break;
	}
}

/* ---- the beginning ---- */

/* It goes away without waiting for its answer. */
static void on_leave(struct sim *sim, void *arg)
{
	struct errand *errand = ((struct errand_arg *)arg)->errand;

	if (errand->state != ERRAND_ASKING || !errand->call) {
		return;
	}
	sim_say(sim, "%s leaves", errand->member->name);
	outside_leave(errand->call);
	errand->call = NULL;
	for (size_t i = 0; i < errand->ask_count; i++) {
		errand->ask[i]->in_flight = false;
		/* Who did not want to wait cannot be missed; nor who was answered meanwhile. */
		if (errand->kind != ERRAND_POLL && errand->kind != ERRAND_EVENTS &&
		    errand->ask[i]->state != ASK_HELD) {
			errand_release(errand, errand->ask[i], errand->asked_again);
		}
	}
	errand_over(errand);
}

/* A value that it, or another who may, has asked for already. */
static const struct ask *pick_earlier(struct errand *errand, const char *name)
{
	for (struct ask *ask = errand->crowd->asks; ask; ask = ask->next) {
		if (strcmp(ask->name, name) == 0 && strlen(ask->value) == VALUE_LEN &&
		    !ask->key_authorization[0]) {
			return ask;
		}
	}
	return NULL;
}

static void add_ask(struct errand *errand, const char *name)
{
	struct crowd *crowd = errand->crowd;
	const struct ask *earlier = errand->repeats ? pick_earlier(errand, name) : NULL;
	char value[2 * VALUE_LEN], key[32] = "";

	value_new(crowd->sim, value);
	if (errand->kind == ERRAND_RAW) {
		snprintf(key, sizeof(key), "token.%.20s", value);
		key_digest(key, value);
	} else if (earlier) {
		snprintf(value, sizeof(value), "%s", earlier->value);
	} else if (errand->greedy && sim_below(crowd->sim, 4) == 0) {
		value[sim_below(crowd->sim, VALUE_LEN)] = sim_below(crowd->sim, 2) ? '\0' : '=';
	}
	errand->ask[errand->ask_count] = ask_new(crowd, errand->member, name, value);
	snprintf(errand->ask[errand->ask_count]->key_authorization,
		 sizeof(errand->ask[0]->key_authorization), "%s", key);
	errand->ask_count++;
}

/* He behaves, and what he asks for may be. */
static bool is_honest(const struct errand *errand)
{
	char owner[2 * WIRE_TEXT_MAX];
	bool good = !errand->greedy && !errand->repeats && !errand->impostor;

	for (size_t i = 0; i < errand->ask_count && good; i++) {
		snprintf(owner, sizeof(owner), "_acme-challenge.%s", errand->ask[i]->name);
		good = book_may(errand->crowd, errand->member, owner, errand->crowd->edition);
	}
	return good;
}

static void on_begin(struct sim *sim, void *arg)
{
	struct errand *errand = ((struct errand_arg *)arg)->errand;
	struct crowd *crowd = errand->crowd;
	size_t count = errand->kind == ERRAND_LIST || errand->member->by_key
			       ? 1 + sim_below(sim, ERRAND_ASKS_MAX)
			       : 1;
	char name[WIRE_TEXT_MAX];

	for (size_t i = 0; i < count; i++) {
		book_pick_name(crowd, errand->member, name);
		if (errand->greedy) {
			errand->by_owner = book_pick_greedy(crowd, errand->member, name);
		}
		add_ask(errand, name);
	}
	errand->honest = is_honest(errand);
	act(errand);
	if (errand->leaves) {
		later(errand, (int64_t)sim_below(sim, 1 + sim_below(sim, 5000000)), on_leave);
	}
}

struct errand *errand_add(struct crowd *crowd, struct member *member, enum errand_kind kind,
			  int64_t delay_us)
{
	struct errand *errand = xcalloc(1, sizeof(*errand));

	errand->crowd = crowd;
	errand->member = member;
	errand->kind = kind;
	buf_init(&errand->message, 4096);
	buf_init(&errand->in, 65537);
	errand->next = crowd->errands;
	crowd->errands = errand;
	crowd->errands_left++;
	later(errand, delay_us, on_begin);
	return errand;
}

void errand_farewell(struct crowd *crowd, struct ask *ask)
{
	struct errand *errand = xcalloc(1, sizeof(*errand));

	errand->crowd = crowd;
	errand->member = &crowd->member[ask->member->index];
	errand->kind = ask->member->by_key ? ERRAND_UPDATE_TCP : ERRAND_API;
	buf_init(&errand->message, 4096);
	buf_init(&errand->in, 65537);
	errand->ask[errand->ask_count++] = ask;
	errand->next = crowd->errands;
	crowd->errands = errand;
	crowd->errands_left++;
	go_to(errand, ERRAND_REMOVING, 0);
}

void errand_free(struct errand *errand)
{
	buf_clear(&errand->message);
	buf_clear(&errand->in);
	free(errand);
}
