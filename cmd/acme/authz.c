/*
 * authz: RFC 8555 s.7.1.4, one for each name of an order, asked side by side.
 */
#include "dns01/acme.h"
#include "dns01/dns.h"

#include "acme_internal.h"

void acme_authz_clear(struct acme_authz *authz)
{
	free(authz->url);
	free(authz->name);
	free(authz->challenge_url);
}

/* It can never become valid. */
static bool is_dead(const struct acme_authz *authz)
{
	return authz->status == ACME_INVALID || authz->status == ACME_EXPIRED ||
	       authz->status == ACME_DEACTIVATED || authz->status == ACME_REVOKED;
}

/* ---- side by side ---- */

struct each_item {
	struct each_call *owner;
	struct acme_authz *authz;
};

struct each_call {
	struct acme_call call;
	const struct acme_each *each;
	struct acme_order *order;
	struct each_item *items;
	size_t left;
	struct err failure; /* the first */
};

static void each_release(struct acme_call *call)
{
	free(((struct each_call *)call)->items);
}

static enum err_code each_conclude(const struct each_call *self, struct err *err)
{
	return self->each->conclude ? self->each->conclude(self->order, err) : ERR_NONE;
}

static void on_each(void *arg, const struct err *err, const struct acme_reply *reply)
{
	const struct each_item *item = arg;
	struct each_call *self = item->owner;
	struct acme *acme = self->call.acme;
	struct err failure = { 0 };
	const struct acme_each_answer answer = {
		.acme = acme,
		.order = self->order,
		.authz = item->authz,
		.failure = err,
		.reply = reply,
	};

	if (self->each->take(&answer, &failure) != ERR_NONE && self->failure.code == ERR_NONE) {
		self->failure = failure;
	}
	self->left--;
	if (self->failure.code != ERR_NONE) {
		self->left =
			self->each->has_effect ? acme_requests_drop_unsent(acme, &self->call) : 0;
	}
	if (self->left > 0) {
		return;
	}
	if (self->failure.code == ERR_NONE && each_conclude(self, &self->failure) != ERR_NONE) {
		log_debug("authorizations: %s", self->failure.text);
	}
	acme_call_finish(&self->call, &self->failure);
}

struct acme_call *acme_each_start(const struct acme_each_args *args)
{
	struct acme_order *order = args->order;
	struct each_call *self;
	struct err err = { 0 };

	if (acme_ready(args->acme, true, &err) != ERR_NONE) {
		return acme_call_refused(args->acme, &err, args->done, args->arg);
	}
	self = xcalloc(1, sizeof(*self));
	acme_call_init(&self->call, args->acme, args->done, args->arg);
	self->call.release = each_release;
	self->each = args->each;
	self->order = order;
	self->items = xcalloc(order->authz_count + 1, sizeof(self->items[0]));
	for (size_t i = 0; i < order->authz_count; i++) {
		struct acme_authz *authz = &order->authz[i];
		const char *url = args->each->url(authz);

		if (!url) {
			continue;
		}
		self->items[self->left] = (struct each_item){ self, authz };
		acme_request_start(args->acme, &(struct acme_request_args){
						       .call = &self->call,
						       .url = url,
						       .payload = args->each->payload,
						       .task = args->each->task,
						       .subject = *authz->name ? authz->name : NULL,
						       .repeatable = true,
						       .done = on_each,
						       .arg = &self->items[self->left],
					       });
		self->left++;
	}
	if (self->left == 0) {
		(void)each_conclude(self, &err);
		acme_call_finish_soon(&self->call, &err);
	}
	return &self->call;
}

/* ---- loading ---- */

static enum err_code parse_status(struct acme_authz *authz, const struct json *json,
				  struct err *err)
{
	const char *status = json_str(json, "status");
	char quoted[32];

	if (acme_status_parse(status, &authz->status) && authz->status != ACME_READY &&
	    authz->status != ACME_PROCESSING) {
		return ERR_NONE;
	}
	text_escape(quoted, sizeof(quoted), status ? status : "", status ? strlen(status) : 0);
	return err_set(err, ERR_PROTOCOL, "",
		       "the CA's authorization has the unknown status \"%s\"", quoted);
}

static enum err_code authz_parse(struct acme_authz *authz, const struct acme_order *order,
				 const struct json *json, const struct key *key, struct err *err)
{
	const char *expires = json_str(json, "expires");
	char name[ACME_NAME_MAX + 1];
	enum err_code code = parse_status(authz, json, err);

	if (code != ERR_NONE) {
		return code;
	}
	/* RFC 8555 s.7.1.4: without "*.", but with the member wildcard. */
	code = acme_identifier_parse(json_get(json, "identifier"),
				     json_bool(json, "wildcard", false), name, err);
	if (code != ERR_NONE) {
		return code;
	}
	if (!strlist_has(&order->names, name)) {
		return err_set(
			err, ERR_PROTOCOL, name,
			"the CA's order leads to an authorization for this name, which it is "
			"not for");
	}
	free(authz->name);
	authz->name = xstrdup(name);
	if (!expires || !time_parse(expires, &authz->expires_at)) {
		authz->expires_at = 0;
	}
	code = acme_challenge_find(authz, json_get(json, "challenges"), key, err);
	return code == ERR_NONE ? code : err_subject(err, "%s", name);
}

/* Valid stays valid for as long as an order takes. */
static const char *load_url(const struct acme_authz *authz)
{
	return authz->status == ACME_VALID ? NULL : authz->url;
}

static enum err_code load_take(const struct acme_each_answer *answer, struct err *err)
{
	if (answer->failure) {
		*err = *answer->failure;
		return err->code;
	}
	if (authz_parse(answer->authz, answer->order, answer->reply->json, answer->acme->key,
			err) != ERR_NONE) {
		return err_subject(err, "%s", answer->acme->host);
	}
	return ERR_NONE;
}

static enum err_code load_conclude(const struct acme_order *order, struct err *err)
{
	if (acme_authz_failure(order, err)) {
		return err->code;
	}
	for (size_t i = 0; i < order->authz_count; i++) {
		const struct acme_authz *authz = &order->authz[i];

		if (authz->status == ACME_PENDING && !authz->challenge_url) {
			return err_set(err, ERR_DENIED, authz->name,
				       "the CA offers no dns-01 challenge for this name");
		}
	}
	return ERR_NONE;
}

struct acme_call *acme_authz_load_start(struct acme *acme, struct acme_order *order,
					acme_done *done, void *arg)
{
	static const struct acme_each load = {
		.task = "show the authorization",
		.payload = "", /* POST-as-GET */
		.url = load_url,
		.take = load_take,
		.conclude = load_conclude,
	};

	return acme_each_start(&(struct acme_each_args){ acme, order, &load, done, arg });
}

/* ---- why an order is lost ---- */

static const char *failure_words(const struct acme_authz *authz, char *room, size_t max)
{
	if (authz->problem.code != ERR_NONE) {
		return authz->problem.text;
	}
	snprintf(room, max, "the authorization is %s and the CA does not say why",
		 acme_status_name(authz->status));
	return room;
}

bool acme_authz_failure(const struct acme_order *order, struct err *err)
{
	struct buf text = BUF_INIT(ERR_TEXT_MAX - 1);
	const struct acme_authz *first = NULL;
	char room[96];
	size_t count = 0;
	size_t left_out = 0;

	for (size_t i = 0; i < order->authz_count; i++) {
		const struct acme_authz *authz = &order->authz[i];

		if (is_dead(authz)) {
			first = first ? first : authz;
			count++;
		}
	}
	if (count == 0) {
		return false;
	}
	if (count == 1) {
		buf_addf(&text, "the CA could not validate the name: %s",
			 failure_words(first, room, sizeof(room)));
	} else {
		buf_addf(&text, "the CA could not validate %zu names", count);
	}
	for (size_t i = 0; count > 1 && i < order->authz_count; i++) {
		const struct acme_authz *authz = &order->authz[i];

		if (is_dead(authz)) {
			acme_failures_add(&text, &left_out, authz->name,
					  failure_words(authz, room, sizeof(room)));
		}
	}
	acme_failures_end(&text, left_out);
	err_set(err, ERR_ACME, count == 1 ? first->name : "", "%s", buf_str(&text));
	snprintf(err->problem, sizeof(err->problem), "%s", first->problem.problem);
	buf_clear(&text);
	return true;
}
