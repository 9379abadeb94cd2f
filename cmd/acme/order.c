/*
 * order: RFC 8555 s.7.1.3: made, loaded and understood. Waiting for it is in
 * order_wait.c, finalizing it in finalize.c.
 */
#include "dns01/acme.h"
#include "dns01/dns.h"

#include "acme_internal.h"

static const char *const status_names[] = {
	[ACME_PENDING] = "pending",         [ACME_READY] = "ready",
	[ACME_PROCESSING] = "processing",   [ACME_VALID] = "valid",
	[ACME_INVALID] = "invalid",         [ACME_EXPIRED] = "expired",
	[ACME_DEACTIVATED] = "deactivated", [ACME_REVOKED] = "revoked",
	[ACME_UNKNOWN] = "unknown",
};
static_assert(ARRAY_LEN(status_names) == ACME_UNKNOWN + 1, "a name for each status");

const char *acme_status_name(enum acme_status status)
{
	return status_names[status];
}

bool acme_status_parse(const char *text, enum acme_status *out)
{
	for (size_t i = 0; text && i < ACME_UNKNOWN; i++) {
		if (strcmp(text, status_names[i]) == 0) {
			*out = (enum acme_status)i;
			return true;
		}
	}
	return false;
}

struct acme_order *acme_order_new(void)
{
	struct acme_order *order = xcalloc(1, sizeof(*order));

	order->status = ACME_UNKNOWN;
	return order;
}

static void order_clear(struct acme_order *order)
{
	free(order->url);
	strlist_clear(&order->names);
	free(order->finalize_url);
	free(order->certificate_url);
	strlist_clear(&order->alternates);
	free(order->profile);
	for (size_t i = 0; i < order->authz_count; i++) {
		acme_authz_clear(&order->authz[i]);
	}
	free(order->authz);
}

void acme_order_free(struct acme_order *order)
{
	if (order) {
		order_clear(order);
		free(order);
	}
}

/* ---- parsing ---- */

enum err_code acme_identifier_parse(const struct json *identifier, bool wildcard,
				    char out[ACME_NAME_MAX + 1], struct err *err)
{
	const char *type = json_str(identifier, "type");
	const char *value = json_str(identifier, "value");
	char name[NAME_TEXT_MAX];
	char quoted[80];
	char *text;
	enum err_code code;

	if (!type || !value) {
		return err_set(err, ERR_PROTOCOL, "", "the CA's identifier lacks type or value");
	}
	text_escape(quoted, sizeof(quoted), value, strlen(value));
	if (strcmp(type, "dns") != 0) {
		return err_set(err, ERR_PROTOCOL, "",
			       "the CA's answer is about \"%s\", which is no domain name", quoted);
	}
	text = strlen(value) > ACME_NAME_MAX ? NULL
					     : xasprintf("%s%s", wildcard ? "*." : "", value);
	code = text ? name_parse(text, name, NULL) : ERR_LIMIT;
	free(text);
	if (code != ERR_NONE || strlen(name) > ACME_NAME_MAX) {
		return err_set(err, ERR_PROTOCOL, "",
			       "the CA's answer is about \"%s\", which is no domain name", quoted);
	}
	memcpy(out, name, strlen(name) + 1);
	return ERR_NONE;
}

/* An order is read at each poll, so what stands there as it was asked for is not
 * taken apart again. */
static enum err_code order_identifier(const struct json *identifier, const struct strlist *names,
				      char out[ACME_NAME_MAX + 1], struct err *err)
{
	const char *type = json_str(identifier, "type");
	const char *value = json_str(identifier, "value");

	if (names && type && value && strcmp(type, "dns") == 0 && strlist_has(names, value)) {
		snprintf(out, ACME_NAME_MAX + 1, "%s", value);
		return ERR_NONE;
	}
	return acme_identifier_parse(identifier, false, out, err);
}

/* names: what it has to be for; NULL: whatever it says. */
static enum err_code parse_names(struct acme_order *order, const struct strlist *names,
				 const struct json *json, struct err *err)
{
	const struct json *list = json_get(json, "identifiers");
	char name[ACME_NAME_MAX + 1];

	if (json_len(list) == 0 || json_len(list) > ACME_NAMES_MAX) {
		return err_set(err, ERR_PROTOCOL, "", "the CA's order has %zu identifiers",
			       json_len(list));
	}
	for (size_t i = 0; i < json_len(list); i++) {
		enum err_code code = order_identifier(json_at(list, i), names, name, err);

		if (code != ERR_NONE) {
			return code;
		}
		if (names && !strlist_has(names, name)) {
			return err_set(
				err, ERR_PROTOCOL, name,
				"the CA's order is for this name too, which was not asked for");
		}
		if (!strlist_has(&order->names, name)) {
			strlist_add(&order->names, name);
		}
	}
	for (size_t i = 0; names && i < names->count; i++) {
		if (!strlist_has(&order->names, names->item[i])) {
			return err_set(err, ERR_PROTOCOL, names->item[i],
				       "the CA's order lacks this name, which was asked for");
		}
	}
	return ERR_NONE;
}

static bool has_authz(const struct acme_order *order, const char *url)
{
	for (size_t i = 0; i < order->authz_count; i++) {
		if (strcmp(order->authz[i].url, url) == 0) {
			return true;
		}
	}
	return false;
}

/* RFC 8555 s.7.1.3: in no particular order, and not one for each identifier. */
static enum err_code parse_authz(struct acme_order *order, const struct json *json, struct err *err)
{
	const struct json *list = json_get(json, "authorizations");
	size_t count = json_len(list);

	if (count == 0 || count > ACME_NAMES_MAX) {
		return err_set(err, ERR_PROTOCOL, "", "the CA's order has %zu authorizations",
			       count);
	}
	order->authz = xcalloc(count, sizeof(order->authz[0]));
	for (size_t i = 0; i < count; i++) {
		const char *url = json_text(json_at(list, i));
		struct acme_authz *authz = &order->authz[order->authz_count];

		if (!url || !acme_url_is(url)) {
			return err_set(
				err, ERR_PROTOCOL, "",
				"the CA's \"authorizations\" hold what is no valid https URL "
				"(RFC 8555 s.6.1)");
		}
		if (!has_authz(order, url)) {
			authz->url = xstrdup(url);
			authz->name = xstrdup("");
			authz->status = ACME_UNKNOWN;
			authz->challenge_status = ACME_UNKNOWN;
			order->authz_count++;
		}
	}
	return ERR_NONE;
}

static enum err_code parse_status(struct acme_order *order, const struct json *json,
				  struct err *err)
{
	const char *status = json_str(json, "status");
	char quoted[32];

	if (acme_status_parse(status, &order->status) && order->status <= ACME_INVALID) {
		return ERR_NONE;
	}
	text_escape(quoted, sizeof(quoted), status ? status : "", status ? strlen(status) : 0);
	return err_set(err, ERR_PROTOCOL, "", "the CA's order has the unknown status \"%s\"",
		       quoted);
}

static enum err_code parse_urls(struct acme_order *order, const struct json *json, struct err *err)
{
	enum err_code code = acme_url_get(json, "finalize", &order->finalize_url, err);

	if (code != ERR_NONE) {
		return code;
	}
	if (order->status == ACME_VALID || json_get(json, "certificate")) {
		return acme_url_get(json, "certificate", &order->certificate_url, err);
	}
	return ERR_NONE;
}

/* What is known of an authorization stays known when the order is read again. */
static void keep_authz(struct acme_order *parsed, struct acme_order *old)
{
	for (size_t i = 0; i < parsed->authz_count; i++) {
		struct acme_authz *authz = &parsed->authz[i];

		for (size_t j = 0; j < old->authz_count; j++) {
			/* Most CAs keep the order of the list. */
			struct acme_authz *known = &old->authz[(i + j) % old->authz_count];

			if (strcmp(known->url, authz->url) == 0) {
				struct acme_authz swap = *authz;

				*authz = *known;
				*known = swap;
				break;
			}
		}
	}
}

enum err_code acme_order_parse(struct acme_order *order, const struct strlist *names,
			       const struct json *json, struct err *err)
{
	struct acme_order parsed = { .url = xstrdup(order->url) };
	const char *expires = json_str(json, "expires");
	enum err_code code;

	if (!names && order->names.count > 0) {
		names = &order->names;
	}
	code = parse_status(&parsed, json, err);
	if (code == ERR_NONE) {
		code = parse_names(&parsed, names, json, err);
	}
	if (code == ERR_NONE) {
		code = parse_authz(&parsed, json, err);
	}
	if (code == ERR_NONE) {
		code = parse_urls(&parsed, json, err);
	}
	if (code != ERR_NONE) {
		order_clear(&parsed);
		return code;
	}
	if (!expires || !time_parse(expires, &parsed.expires_at)) {
		parsed.expires_at = 0;
	}
	if (acme_word_is(json_str(json, "profile"))) {
		parsed.profile = xstrdup(json_str(json, "profile"));
	}
	if (json_is_object(json_get(json, "error"))) {
		acme_problem_parse(json_get(json, "error"), &parsed.problem);
	}
	keep_authz(&parsed, order);
	/* They came with the certificate, not with this object. */
	parsed.alternates = order->alternates;
	order->alternates = (struct strlist){ 0 };
	order_clear(order);
	*order = parsed;
	return ERR_NONE;
}

enum err_code acme_order_take(struct acme *acme, struct acme_order *order,
			      const struct acme_reply *reply, struct err *err)
{
	int64_t wait_s = reply->retry_after_s;
	enum err_code code = acme_order_parse(order, NULL, reply->json, err);

	if (code != ERR_NONE) {
		return err_subject(err, "%s", acme->host);
	}
	if (wait_s > POLL_WAIT_MAX_S) {
		wait_s = POLL_WAIT_MAX_S;
	}
	order->poll_at_us = wait_s > 0 ? world_mono_us(acme->world) + wait_s * 1000000 : 0;
	return ERR_NONE;
}

enum err_code acme_order_failure(const struct acme_order *order, struct err *err)
{
	if (acme_authz_failure(order, err)) {
		return err->code;
	}
	if (order->problem.code == ERR_NONE) {
		return err_set(err, ERR_ACME, "",
			       "the CA made the order invalid and did not say why");
	}
	err_set(err, ERR_ACME, "", "the CA made the order invalid: %s", order->problem.text);
	snprintf(err->problem, sizeof(err->problem), "%s", order->problem.problem);
	return err->code;
}

/* ---- newOrder (RFC 8555 s.7.4) ---- */

struct order_call {
	struct acme_call call;
	struct acme_order *order;
	struct strlist names;
	char *profile;
	char *replaces;
};

static void order_call_release(struct acme_call *call)
{
	struct order_call *self = (struct order_call *)call;

	strlist_clear(&self->names);
	free(self->profile);
	free(self->replaces);
}

static char *new_order_payload(const struct order_call *self)
{
	struct json *object = json_object();
	struct json *identifiers = json_array();
	char *text;

	for (size_t i = 0; i < self->names.count; i++) {
		struct json *identifier = json_object();

		json_set_str(identifier, "type", "dns");
		json_set_str(identifier, "value", self->names.item[i]);
		json_add(identifiers, identifier);
	}
	json_set(object, "identifiers", identifiers);
	json_set_str(object, "profile", self->profile);
	json_set_str(object, "replaces", self->replaces);
	text = json_dump(object);
	json_free(object);
	return text;
}

static void on_new_order(void *arg, const struct err *err, const struct acme_reply *reply);

static void send_new_order(struct order_call *self)
{
	struct acme *acme = self->call.acme;
	char *payload = new_order_payload(self);

	/* Repeatable: a CA finds the pending order of the same names again. */
	acme_request_start(acme, &(struct acme_request_args){
					 .call = &self->call,
					 .url = acme->directory.new_order,
					 .payload = payload,
					 .task = "make the order",
					 .repeatable = true,
					 .done = on_new_order,
					 .arg = self,
				 });
	free(payload);
}

/* RFC 9773 s.5: an order that may not replace may still be made without. Boulder also refuses a
 * certificate that it does not know, and Pebble calls that an error of its own. Limits and nonces
 * say nothing about it. */
static bool retry_without_replaces(struct order_call *self, const struct err *err,
				   const struct acme_reply *reply)
{
	bool refused = reply->http && reply->http->status >= 400 &&
		       (reply->http->status <= 499 || acme_problem_is(err, "serverInternal"));

	if (!self->replaces || !refused || err->code == ERR_LIMIT || acme_paused(err) ||
	    acme_problem_is(err, "badNonce")) {
		return false;
	}
	log_info("%s; once more without \"replaces\"", err->text);
	free(self->replaces);
	self->replaces = NULL;
	send_new_order(self);
	return true;
}

static enum err_code new_order_take(struct order_call *self, const struct acme_reply *reply,
				    struct err *err)
{
	struct acme_order *order = self->order;
	enum err_code code = acme_location_get(reply, &order->url, err);

	if (code == ERR_NONE) {
		code = acme_order_parse(order, &self->names, reply->json, err);
	}
	/* A CA that says none may only not say it. */
	if (code == ERR_NONE && self->profile && order->profile &&
	    strcmp(order->profile, self->profile) != 0) {
		log_warn("%s: the order asked for the profile \"%s\", and the CA gave it \"%s\"",
			 self->call.acme->host, self->profile, order->profile);
	}
	return code == ERR_NONE ? code : err_subject(err, "%s", self->call.acme->host);
}

static void on_new_order(void *arg, const struct err *err, const struct acme_reply *reply)
{
	struct order_call *self = arg;
	struct err failure = { 0 };

	if (err && retry_without_replaces(self, err, reply)) {
		return;
	}
	if (err) {
		failure = *err;
	} else if (new_order_take(self, reply, &failure) != ERR_NONE) {
		log_debug("newOrder: %s", failure.text);
	}
	acme_call_finish(&self->call, &failure);
}

static enum err_code check_profile(const struct acme *acme, const char *profile, struct err *err)
{
	const struct strlist *offered = &acme->directory.profiles;
	char *all;

	if (!profile || strlist_has(offered, profile)) {
		return ERR_NONE;
	}
	all = strlist_join(offered, ", ");
	err_set(err, ERR_CONFIG, acme->host, "the CA offers no profile \"%s\"; it offers: %s",
		profile, *all ? all : "none");
	free(all);
	return err->code;
}

struct acme_call *acme_order_start(struct acme *acme, const struct acme_order_args *args,
				   struct acme_order *order, acme_done *done, void *arg)
{
	size_t count = args->names->count;
	struct order_call *self;
	struct err err;

	if (acme_ready(acme, true, &err) != ERR_NONE ||
	    check_profile(acme, args->profile, &err) != ERR_NONE) {
		return acme_call_refused(acme, &err, done, arg);
	}
	self = xcalloc(1, sizeof(*self));
	acme_call_init(&self->call, acme, done, arg);
	self->call.release = order_call_release;
	self->order = order;
	strlist_copy(&self->names, args->names);
	self->profile = xstrdup(args->profile);
	if (acme->directory.renewal_info) {
		self->replaces = xstrdup(args->replaces);
	}
	/* Its own comes back with the answer, so these are enough for what follows. */
	acme_nonces_want(acme, count < ACME_IN_FLIGHT_MAX ? count : ACME_IN_FLIGHT_MAX);
	send_new_order(self);
	return &self->call;
}

/* ---- loading ---- */

enum err_code acme_order_ready(const struct acme *acme, const struct acme_order *order,
			       struct err *err)
{
	enum err_code code = acme_ready(acme, true, err);

	if (code == ERR_NONE && (!order->url || !acme_url_is(order->url))) {
		return err_set(err, ERR_INTERNAL, acme->host, "the order has no https URL");
	}
	return code;
}

static void on_order(void *arg, const struct err *err, const struct acme_reply *reply)
{
	struct order_call *self = arg;
	struct err failure = { 0 };

	if (err) {
		failure = *err;
	} else if (acme_order_take(self->call.acme, self->order, reply, &failure) != ERR_NONE) {
		log_debug("order: %s", failure.text);
	}
	acme_call_finish(&self->call, &failure);
}

struct acme_call *acme_order_load_start(struct acme *acme, struct acme_order *order,
					acme_done *done, void *arg)
{
	struct order_call *self;
	struct err err;

	if (acme_order_ready(acme, order, &err) != ERR_NONE) {
		return acme_call_refused(acme, &err, done, arg);
	}
	self = xcalloc(1, sizeof(*self));
	acme_call_init(&self->call, acme, done, arg);
	self->order = order;
	acme_request_start(acme, &(struct acme_request_args){
					 .call = &self->call,
					 .url = order->url,
					 .payload = "",
					 .task = "show the order",
					 .repeatable = true,
					 .done = on_order,
					 .arg = self,
				 });
	return &self->call;
}
