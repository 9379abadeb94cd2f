#include "sim/ca.h"

#include "dns01/crypto.h"
#include "dns01/json.h"
#include "sim/invariants.h"
#include "sim/net.h"

#define PROBLEM "urn:ietf:params:acme:error:"
#define BODY_MAX (64 * 1024)
#define NONCES_MAX 300

static const struct ca_rules no_rules;

struct ca *ca_new(const char *url, const struct ca_rules *rules)
{
	struct ca *ca = xcalloc(1, sizeof(*ca));

	ca->url = url;
	ca->rules = rules ? rules : &no_rules;
	return ca;
}

static void order_free(struct ca_order *order)
{
	if (order) {
		strlist_clear(&order->names);
		free(order->leaf.chain);
		free(order);
	}
}

void ca_forget(struct ca *ca, size_t number)
{
	order_free(ca->order[number]);
	ca->order[number] = NULL;
}

void ca_free(struct ca *ca)
{
	while (ca) {
		struct ca *next = ca->next;

		for (size_t i = 0; i < ca->order_count; i++) {
			order_free(ca->order[i]);
		}
		free(ca->order);
		strlist_clear(&ca->nonces);
		free(ca);
		ca = next;
	}
}

static void order_add(struct ca *ca, struct ca_order *order)
{
	if (ca->order_count == ca->order_cap) {
		ca->order_cap = ca->order_cap ? 2 * ca->order_cap : 16;
		ca->order = xreallocarray(ca->order, ca->order_cap, sizeof(*ca->order));
	}
	ca->order[ca->order_count++] = order;
}

/* ---- one request ---- */

void ca_problem(struct exchange *exchange, int status, const char *type, const char *detail)
{
	struct sim_answer *answer = &exchange->answer;

	answer->status = status;
	answer->type = "application/problem+json";
	buf_clear(&answer->body);
	buf_addf(&answer->body, "{\"type\":\"" PROBLEM "%s\",\"detail\":\"%s\"}", type, detail);
}

static void give_nonce(struct exchange *exchange)
{
	struct ca *ca = exchange->ca;
	char *nonce = exchange->answer.nonce;

	snprintf(nonce, sizeof(exchange->answer.nonce), "nonce-%u", ++ca->nonce_count);
	if (ca->nonces.count == NONCES_MAX) { /* they age */
		free(ca->nonces.item[0]);
		memmove(ca->nonces.item, ca->nonces.item + 1,
			ca->nonces.count-- * sizeof(*ca->nonces.item));
	}
	strlist_add(&ca->nonces, nonce);
}

static bool take_nonce(struct ca *ca, const char *nonce)
{
	for (size_t i = 0; nonce && i < ca->nonces.count; i++) {
		if (strcmp(ca->nonces.item[i], nonce) == 0) {
			free(ca->nonces.item[i]);
			memmove(&ca->nonces.item[i], &ca->nonces.item[i + 1],
				(ca->nonces.count-- - i) * sizeof(*ca->nonces.item));
			return true;
		}
	}
	return false;
}

static char *decode(const char *text)
{
	size_t max = text ? strlen(text) + 1 : 1, len = 0;
	char *out = xcalloc(max + 1, 1);

	if (text && text[0] && !base64url_decode(text, strlen(text), (uint8_t *)out, max, &len)) {
		out[0] = '\0';
	}
	return out;
}

/* ---- objects ---- */

static const char *const status_names[] = {
	[CA_PENDING] = "pending", [CA_READY] = "ready",     [CA_PROCESSING] = "processing",
	[CA_VALID] = "valid",     [CA_INVALID] = "invalid",
};

void ca_say_order(struct exchange *exchange, size_t number)
{
	const struct ca_order *order = exchange->ca->order[number];
	const char *url = exchange->ca->url;
	struct buf *body = &exchange->answer.body;

	snprintf(exchange->answer.location, sizeof(exchange->answer.location), "%s/order/%zu", url,
		 number);
	buf_addf(body, "{\"status\":\"%s\",\"identifiers\":[", status_names[order->status]);
	for (size_t i = 0; i < order->names.count; i++) {
		buf_addf(body, "%s{\"type\":\"dns\",\"value\":\"%s\"}", i ? "," : "",
			 order->names.item[i]);
	}
	buf_add_str(body, "],\"authorizations\":[");
	for (size_t i = 0; i < order->names.count; i++) {
		buf_addf(body, "%s\"%s/authz/%zu/%zu\"", i ? "," : "", url, number, i);
	}
	buf_addf(body, "],\"finalize\":\"%s/finalize/%zu\"", url, number);
	if (order->status == CA_VALID) {
		buf_addf(body, ",\"certificate\":\"%s/cert/%zu\"", url, number);
	}
	buf_add_str(body, "}");
}

static void say_challenge(struct exchange *exchange, size_t number, size_t i)
{
	const struct ca_authz *authz = &exchange->ca->order[number]->authz[i];
	const char *status = authz->status == CA_PENDING && authz->answered
				     ? "processing"
				     : status_names[authz->status];

	buf_addf(&exchange->answer.body,
		 "{\"type\":\"dns-01\",\"status\":\"%s\",\"url\":\"%s/challenge/%zu/%zu\","
		 "\"token\":\"%s\"}",
		 status, exchange->ca->url, number, i, authz->token);
}

static void say_authz(struct exchange *exchange, size_t number, size_t i)
{
	const struct ca_authz *authz = &exchange->ca->order[number]->authz[i];
	struct buf *body = &exchange->answer.body;

	buf_addf(body,
		 "{\"status\":\"%s\",\"identifier\":{\"type\":\"dns\",\"value\":\"%s\"},"
		 "%s\"challenges\":[",
		 status_names[authz->status], authz->name,
		 authz->wildcard ? "\"wildcard\":true," : "");
	say_challenge(exchange, number, i);
	buf_add_str(body, "]}");
}

/* The number of an object in a path such as "/authz/3/1"; SIZE_MAX: there is none. */
static size_t number_in(const char *path, unsigned place)
{
	char text[24] = "";
	uint64_t number;

	for (path++; place > 0 && *path; place--) {
		path += strcspn(path, "/");
		path += *path == '/';
	}
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(path, "/"), path);
	return text_parse_u64(text, 10000000, &number) ? number : SIZE_MAX;
}

static struct ca_order *order_of(struct exchange *exchange, size_t *number)
{
	*number = number_in(exchange->path, 1);
	return *number < exchange->ca->order_count ? exchange->ca->order[*number] : NULL;
}

/* ---- what happens ---- */

static void new_account(struct exchange *exchange)
{
	const struct json *jwk = json_get(exchange->header, "jwk");
	char text[256];
	uint8_t digest[SHA256_LEN];

	if (!jwk) {
		sim_violated(exchange->sim, "newAccount without a jwk");
		return;
	}
	snprintf(text, sizeof(text), "{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}",
		 json_str(jwk, "crv"), json_str(jwk, "x"), json_str(jwk, "y"));
	sha256(text, strlen(text), digest);
	if (exchange->ca->rules->account && !exchange->ca->rules->account(exchange)) {
		return;
	}
	exchange->answer.status = exchange->ca->thumbprint[0] ? 200 : 201;
	base64url_encode(text, sizeof(text), digest, sizeof(digest));
	if (exchange->ca->thumbprint[0] && strcmp(exchange->ca->thumbprint, text) != 0) {
		sim_violated(exchange->sim, "a second account is made");
	}
	snprintf(exchange->ca->thumbprint, sizeof(exchange->ca->thumbprint), "%.43s", text);
	snprintf(exchange->answer.location, sizeof(exchange->answer.location), "%s/account/1",
		 exchange->ca->url);
	buf_add_str(&exchange->answer.body, "{\"status\":\"valid\"}");
}

static void make_authz(struct exchange *exchange, struct ca_authz *authz, const char *name)
{
	uint8_t draw[SHA256_LEN];
	char text[128];

	authz->wildcard = strncmp(name, "*.", 2) == 0;
	snprintf(authz->name, sizeof(authz->name), "%s", authz->wildcard ? name + 2 : name);
	sim_random(exchange->sim, draw, sizeof(draw));
	base64url_encode(authz->token, sizeof(authz->token), draw, sizeof(draw));
	snprintf(text, sizeof(text), "%s.%s", authz->token, exchange->ca->thumbprint);
	sha256(text, strlen(text), draw);
	base64url_encode(authz->value, sizeof(authz->value), draw, sizeof(draw));
}

static struct ca_order *read_order(struct exchange *exchange, const struct json *payload)
{
	const struct json *list = json_get(payload, "identifiers");
	struct ca_order *order = xcalloc(1, sizeof(*order));

	order->made_us = exchange->sim->now_us;
	for (size_t i = 0; i < json_len(list) && i < CA_NAMES_MAX; i++) {
		const char *name = json_str(json_at(list, i), "value");

		strlist_add(&order->names, name);
		make_authz(exchange, &order->authz[i], name);
	}
	return order;
}

static void new_order(struct exchange *exchange)
{
	struct ca *ca = exchange->ca;
	struct json *payload = NULL;
	struct ca_order *order;
	struct err err;

	if ((!ca->rules->order && ca->order_count == CA_ORDERS_MAX) ||
	    json_parse(exchange->payload, strlen(exchange->payload), &payload, &err) != ERR_NONE) {
		sim_violated(exchange->sim, "newOrder: too many, or no JSON");
		return;
	}
	order = read_order(exchange, payload);
	exchange->answer.status = 201;
	if (ca->rules->order && !ca->rules->order(exchange, order, payload)) {
		order_free(order);
	} else {
		sim_say(exchange->sim, "CA: order %zu for %zu names", ca->order_count,
			order->names.count);
		order_add(ca, order);
		ca_say_order(exchange, ca->order_count - 1);
	}
	json_free(payload);
}

static bool all_valid(const struct ca_order *order)
{
	for (size_t i = 0; i < order->names.count; i++) {
		if (order->authz[i].status != CA_VALID) {
			return false;
		}
	}
	return true;
}

struct later {
	struct ca *ca;
	size_t order, authz;
};

/* The CA asks one server of its choice, as the Internet sees the zone. */
static void on_validate(struct sim *sim, void *arg)
{
	const struct later *later = arg;
	struct ca *ca = later->ca;
	struct ca_order *order = ca->order[later->order];
	struct ca_authz *authz = order ? &order->authz[later->authz] : NULL;
	char owner[192];
	const struct net_server *server;
	bool shown;

	if (!authz) {
		return;
	}
	snprintf(owner, sizeof(owner), "_acme-challenge.%s", authz->name);
	server = invariants_pick_server(sim, net_follow(sim->net, owner));
	shown = net_shows(server, net_follow(sim->net, owner), authz->value);
	if (ca->rules->validate) {
		shown = ca->rules->validate(sim, ca, authz, shown);
	}
	authz->status = shown ? CA_VALID : CA_INVALID;
	sim_say(sim, "CA: %s by %s: %s", owner, server->name, status_names[authz->status]);
	if (authz->status == CA_INVALID) {
		order->status = CA_INVALID;
	} else if (order->status == CA_PENDING && all_valid(order)) {
		order->status = CA_READY;
	}
}

static struct later *later_of(struct ca *ca, size_t order, size_t authz)
{
	struct later *later = xcalloc(1, sizeof(*later));

	*later = (struct later){ ca, order, authz };
	return later;
}

static int64_t a_while(struct sim *sim)
{
	return 1000 + (int64_t)sim_below(sim, (uint64_t)sim->faults.ca_max_us + 1);
}

static void challenge(struct exchange *exchange)
{
	size_t number, i = number_in(exchange->path, 2);
	struct ca_order *order = order_of(exchange, &number);
	struct ca_authz *authz = order && i < order->names.count ? &order->authz[i] : NULL;
	char owner[192];

	if (!authz) {
		sim_violated(exchange->sim, "a challenge that is none: %s", exchange->path);
		return;
	}
	snprintf(owner, sizeof(owner), "_acme-challenge.%s", authz->name);
	invariants_answered(exchange->sim, net_follow(exchange->sim->net, owner), authz->value);
	if (!authz->answered) {
		authz->answered = true;
		sim_at(exchange->sim, NULL, a_while(exchange->sim), on_validate,
		       later_of(exchange->ca, number, i));
	}
	say_challenge(exchange, number, i);
}

static void on_issue(struct sim *sim, void *arg)
{
	struct ca *ca = ((struct later *)arg)->ca;
	struct ca_order *order = ca->order[((struct later *)arg)->order];

	if (!order || order->status == CA_VALID) {
		return;
	}
	order->status = CA_VALID;
	ca->certificates++;
	sim_say(sim, "CA: certificate %s", order->leaf.serial);
	if (ca->rules->issue) {
		ca->rules->issue(sim, ca, order);
	}
}

static void issue(struct exchange *exchange, struct ca_order *order, const char *csr)
{
	struct ca *ca = exchange->ca;
	int64_t now_s = sim_wall_us(exchange->sim) / 1000000, life_s = CA_LIFE_S;

	if (!csr || !issuer_key(csr, order->leaf.key)) {
		sim_violated(exchange->sim, "finalize with a CSR that is none");
		return;
	}
	if (ca->rules->finalize) {
		life_s = ca->rules->finalize(exchange->sim, ca, order);
	} else {
		invariants_finalized(exchange->sim);
	}
	order->leaf.not_before_s = now_s - (life_s > 2 * 86400 ? 3600 : 60);
	order->leaf.not_after_s = order->leaf.not_before_s + life_s;
	issuer_issue(csr, &order->leaf);
	order->status = CA_PROCESSING;
}

static void finalize(struct exchange *exchange)
{
	size_t number;
	struct ca_order *order = order_of(exchange, &number);
	struct json *payload = NULL;
	struct err err;

	if (!order ||
	    json_parse(exchange->payload, strlen(exchange->payload), &payload, &err) != ERR_NONE) {
		sim_violated(exchange->sim, "finalize of no order, or without JSON");
		return;
	}
	if (order->status != CA_READY) {
		ca_problem(exchange, 403, "orderNotReady", "the order is not ready");
		goto out;
	}
	issue(exchange, order, json_str(payload, "csr"));
	sim_at(exchange->sim, NULL, a_while(exchange->sim), on_issue,
	       later_of(exchange->ca, number, 0));
	if (sim_below(exchange->sim, 4) == 0) {
		on_issue(exchange->sim, &(struct later){ exchange->ca, number, 0 });
	}
	ca_say_order(exchange, number);
out:
	json_free(payload);
}

static void download(struct exchange *exchange)
{
	size_t number;
	struct ca_order *order = order_of(exchange, &number);

	if (!order || order->status != CA_VALID) {
		ca_problem(exchange, 404, "malformed", "there is no such certificate");
		return;
	}
	exchange->answer.type = "application/pem-certificate-chain";
	buf_add_str(&exchange->answer.body, order->leaf.chain);
}

/* ---- serving ---- */

static void show_order(struct exchange *exchange)
{
	size_t number;

	if (order_of(exchange, &number)) {
		ca_say_order(exchange, number);
	} else {
		ca_problem(exchange, 404, "malformed", "there is no such order");
	}
}

static void show_authz(struct exchange *exchange)
{
	size_t number, i = number_in(exchange->path, 2);
	struct ca_order *order = order_of(exchange, &number);

	if (order && i < order->names.count) {
		say_authz(exchange, number, i);
	} else {
		ca_problem(exchange, 404, "malformed", "there is no such authorization");
	}
}

static const struct {
	const char *path;
	void (*serve)(struct exchange *exchange);
} pages[] = {
	{ "/new-account", new_account }, { "/new-order", new_order },  { "/order/", show_order },
	{ "/authz/", show_authz },       { "/challenge/", challenge }, { "/finalize/", finalize },
	{ "/cert/", download },
};

static void serve_signed(struct exchange *exchange)
{
	const char *url = json_str(exchange->header, "url");

	exchange->answer.status = 200;
	exchange->answer.type = "application/json";
	if (!url || strcmp(url, exchange->asked->url) != 0) {
		sim_violated(exchange->sim, "the signed url is not %s", exchange->asked->url);
	}
	if (!take_nonce(exchange->ca, json_str(exchange->header, "nonce")) ||
	    sim_chance(exchange->sim, exchange->sim->faults.bad_nonce)) {
		ca_problem(exchange, 400, "badNonce", "try again");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		if (strncmp(exchange->path, pages[i].path, strlen(pages[i].path)) == 0) {
			pages[i].serve(exchange);
			return;
		}
	}
	sim_violated(exchange->sim, "no such page: %s", exchange->path);
}

static void serve_post(struct exchange *exchange)
{
	const char *body = exchange->asked->body;
	char *header;
	struct err err;

	if (json_parse(body, strlen(body), &exchange->jws, &err) != ERR_NONE) {
		sim_violated(exchange->sim, "a POST that is no JWS");
		return;
	}
	header = decode(json_str(exchange->jws, "protected"));
	exchange->payload = decode(json_str(exchange->jws, "payload"));
	if (json_parse(header, strlen(header), &exchange->header, &err) == ERR_NONE) {
		serve_signed(exchange);
	} else {
		sim_violated(exchange->sim, "a JWS without a header");
	}
	free(header);
	give_nonce(exchange);
}

static void serve(struct exchange *exchange)
{
	struct sim_answer *answer = &exchange->answer;
	const char *url = exchange->ca->url;

	if (strcmp(exchange->asked->method, "POST") == 0) {
		serve_post(exchange);
	} else if (strcmp(exchange->path, "/directory") == 0) {
		answer->status = 200;
		answer->type = "application/json";
		buf_addf(&answer->body,
			 "{\"newNonce\":\"%s/nonce\",\"newAccount\":\"%s/new-account\","
			 "\"newOrder\":\"%s/new-order\"",
			 url, url, url);
		if (exchange->ca->rules->get) {
			buf_addf(&answer->body, ",\"renewalInfo\":\"%s/renewal-info\"", url);
		}
		if (exchange->ca->rules->meta) {
			exchange->ca->rules->meta(exchange);
		}
		buf_add_str(&answer->body, "}");
	} else if (exchange->ca->rules->get && strcmp(exchange->path, "/nonce") != 0) {
		exchange->ca->rules->get(exchange);
	} else {
		answer->status = 200;
		give_nonce(exchange);
	}
}

/* A front server that has a bad moment, before the CA hears anything. */
static bool stumble(struct exchange *exchange)
{
	struct sim *sim = exchange->sim;

	if (sim_chance(sim, sim->faults.http_5xx)) {
		exchange->answer.status = sim_below(sim, 2) ? 503 : 500;
		exchange->answer.type = "text/html";
		buf_add_str(&exchange->answer.body, "<html>try later</html>");
		return true;
	}
	if (sim_chance(sim, sim->faults.rate_limited)) {
		ca_problem(exchange, 429, "rateLimited", "too many requests");
		snprintf(exchange->answer.retry_after, sizeof(exchange->answer.retry_after), "2");
		return true;
	}
	return false;
}

static struct ca *ca_of(const struct sim *sim, const char *url)
{
	for (struct ca *ca = sim->ca; ca; ca = ca->next) {
		size_t len = strlen(ca->url);

		if (strncmp(url, ca->url, len) == 0 && url[len] == '/') {
			return ca;
		}
	}
	return NULL;
}

static void on_request(struct sim *sim, void *arg)
{
	const struct ca_asked *asked = arg;
	struct exchange exchange = { .sim = sim, .ca = ca_of(sim, asked->url), .asked = asked };
	bool lost = sim_chance(sim, sim->faults.http_lost);

	exchange.path = asked->url + strlen(exchange.ca->url);
	buf_init(&exchange.answer.body, BODY_MAX);
	if (!(exchange.ca->rules->stumble && exchange.ca->rules->stumble(&exchange)) &&
	    !stumble(&exchange)) {
		serve(&exchange);
	}
	json_free(exchange.jws);
	json_free(exchange.header);
	free(exchange.payload);
	if (lost) { /* its effect is there */
		exchange.answer.status = 0;
	}
	sim_say(sim, "CA: %s %s -> %d", asked->method, exchange.path, exchange.answer.status);
	sim_http_arrives(sim, asked->id, &exchange.answer, sim_latency(sim));
}

void ca_request(struct sim *sim, uint64_t id, const struct http_request *request)
{
	struct ca *ca = ca_of(sim, request->url);
	struct ca_asked *asked;

	if (!ca) {
		sim_violated(sim, "a request goes to %s", request->url);
		return;
	}
	ca->requests++;
	asked = xcalloc(1, sizeof(*asked) + request->body_len + 1);
	asked->id = id;
	snprintf(asked->method, sizeof(asked->method), "%s", request->method);
	snprintf(asked->url, sizeof(asked->url), "%s", request->url);
	if (request->body_len > 0) {
		memcpy(asked->body, request->body, request->body_len);
	}
	if (sim_chance(sim, sim->faults.http_lost)) {
		struct sim_answer nothing = { 0 };

		buf_init(&nothing.body, 1);
		sim_http_arrives(sim, id, &nothing, 1000000);
		free(asked);
		return;
	}
	sim_at(sim, NULL, sim_latency(sim), on_request, asked);
}
