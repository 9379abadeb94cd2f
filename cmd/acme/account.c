/*
 * account: RFC 8555 s.7.3, with external account binding (s.7.3.4), and what changes or ends
 * it. Its key is changed in rollover.c.
 */
#include "dns01/acme.h"

#include "acme_internal.h"

struct account_call {
	struct acme_call call;
	bool only_existing;
	bool bound; /* an external account binding went with it */
};

static const char *binding_alg(const struct acme_registration *reg)
{
	return reg->eab_alg ? reg->eab_alg : "HS256";
}

static enum err_code check_binding(const struct acme *acme, const struct acme_registration *reg,
				   struct err *err)
{
	enum mac_alg alg;

	if (!jws_mac_parse(binding_alg(reg), &alg)) {
		return err_set(err, ERR_CONFIG, acme->host,
			       "the external account binding is by HS256, HS384 or HS512, not "
			       "\"%s\"",
			       reg->eab_alg);
	}
	if (reg->eab_secret_len == 0) {
		return err_set(err, ERR_CONFIG, acme->host,
			       "the external account binding has a key id and no MAC key: give "
			       "`eab_key_file` (--eab-key-file) as well");
	}
	return ERR_NONE;
}

/* What is known to be missing before the CA is asked. */
static enum err_code check(const struct acme *acme, const struct acme_registration *reg,
			   struct err *err)
{
	const struct acme_directory *directory = &acme->directory;
	enum err_code code = acme_ready(acme, false, err);

	if (code != ERR_NONE || reg->only_existing) {
		return code;
	}
	/* RFC 8555 s.7.3: never agreed to without the operator's word. */
	if (directory->terms_of_service && !reg->agree_tos) {
		return err_set(err, ERR_DENIED, acme->host,
			       "a new account needs your agreement to this CA's terms of service: "
			       "read %s, then set agree_tos = true (or give --agree-tos)",
			       directory->terms_of_service);
	}
	if (directory->external_account_required && !reg->eab_kid) {
		return err_set(err, ERR_DENIED, acme->host,
			       "this CA makes accounts only with an external account binding: "
			       "get a key id and a MAC key from it%s%s, and give them with "
			       "--eab-kid and --eab-key-file (`eab_kid`, `eab_key_file`)",
			       directory->website ? ", at " : "",
			       directory->website ? directory->website : "");
	}
	return reg->eab_kid ? check_binding(acme, reg, err) : ERR_NONE;
}

/* RFC 8555 s.7.3.4: no nonce, the outer URL, the account's key as payload. Gives. */
static struct json *binding(const struct acme *acme, const struct acme_registration *reg)
{
	struct json *header = json_object();
	struct json *jws = NULL;
	enum mac_alg alg = MAC_SHA256;
	struct err err;
	char *header_text;
	char *jwk = key_jwk(acme->key);
	char *text;

	(void)jws_mac_parse(binding_alg(reg), &alg); /* checked before */
	json_set_str(header, "alg", binding_alg(reg));
	json_set_str(header, "kid", reg->eab_kid);
	json_set_str(header, "url", acme->directory.new_account);
	header_text = json_dump(header);
	text = jws_sign_hmac(alg, reg->eab_secret, reg->eab_secret_len, header_text, jwk);
	if (json_parse(text, strlen(text), &jws, &err) != ERR_NONE) {
		jws = NULL;
	}
	free(text);
	free(jwk);
	free(header_text);
	json_free(header);
	return jws;
}

/* Gives an array. */
static struct json *list_of(const struct strlist *texts)
{
	struct json *list = json_array();

	for (size_t i = 0; i < texts->count; i++) {
		json_add_str(list, texts->item[i]);
	}
	return list;
}

static char *payload_of(const struct acme *acme, const struct acme_registration *reg)
{
	struct json *object = json_object();
	char *text;

	if (reg->only_existing) {
		json_set_bool(object, "onlyReturnExisting", true);
	}
	if (reg->agree_tos) {
		json_set_bool(object, "termsOfServiceAgreed", true);
	}
	if (!reg->only_existing && reg->contact && reg->contact->count > 0) {
		json_set(object, "contact", list_of(reg->contact));
	}
	if (!reg->only_existing && reg->eab_kid) {
		json_set(object, "externalAccountBinding", binding(acme, reg));
	}
	text = json_dump(object);
	json_free(object);
	return text;
}

static enum err_code account_take(struct acme *acme, const struct acme_reply *reply,
				  struct err *err)
{
	const char *status = json_str(reply->json, "status");
	enum acme_status parsed;
	char quoted[32];

	if (status && (!acme_status_parse(status, &parsed) || parsed != ACME_VALID)) {
		text_escape(quoted, sizeof(quoted), status, strlen(status));
		return err_set(err, ERR_DENIED, acme->host,
			       "the account of this key is \"%s\", so the CA does nothing for it; "
			       "a new account needs a new key",
			       quoted);
	}
	if (acme_location_get(reply, &acme->account_url, err) != ERR_NONE) {
		return err_subject(err, "%s", acme->host);
	}
	return ERR_NONE;
}

/* CAs say of a wrong MAC what their library says. */
static void add_binding_hint(struct err *failure)
{
	size_t len = strlen(failure->text);

	snprintf(failure->text + len, sizeof(failure->text) - len,
		 "; compare `eab_kid`, `eab_key_file` and `eab_alg` with what this CA gave you");
}

static void on_account(void *arg, const struct err *err, const struct acme_reply *reply)
{
	struct account_call *self = arg;
	struct acme *acme = self->call.acme;
	struct err failure = { 0 };

	if (err && self->only_existing && acme_problem_is(err, "accountDoesNotExist")) {
		failure = *err;
		err_set(&failure, ERR_NOT_FOUND, acme->host, "the CA has no account for this key");
		snprintf(failure.problem, sizeof(failure.problem), "%s", err->problem);
	} else if (err) {
		failure = *err;
		if (self->bound && acme_problem_is(err, "unauthorized")) {
			add_binding_hint(&failure);
		}
	} else if (account_take(acme, reply, &failure) != ERR_NONE) {
		log_debug("%s: newAccount: %s", acme->host, failure.text);
	}
	acme_call_finish(&self->call, &failure);
}

struct acme_call *acme_account_start(struct acme *acme, const struct acme_registration *reg,
				     acme_done *done, void *arg)
{
	struct account_call *self;
	struct err err;
	char *payload;

	if (check(acme, reg, &err) != ERR_NONE) {
		return acme_call_refused(acme, &err, done, arg);
	}
	self = xcalloc(1, sizeof(*self));
	acme_call_init(&self->call, acme, done, arg);
	self->only_existing = reg->only_existing;
	self->bound = !reg->only_existing && reg->eab_kid;
	payload = payload_of(acme, reg);
	/* Repeatable: the same key finds the same account (RFC 8555 s.7.3.1). */
	acme_request_start(acme, &(struct acme_request_args){
					 .call = &self->call,
					 .url = acme->directory.new_account,
					 .payload = payload,
					 .task = reg->only_existing ? "show the account"
								    : "make an account",
					 .by_key = true,
					 .repeatable = true,
					 .done = on_account,
					 .arg = self,
				 });
	free(payload);
	return &self->call;
}

/* ---- changes ---- */

struct change_call {
	struct acme_call call;
	enum acme_status wanted; /* of the account afterwards */
};

static void on_changed(void *arg, const struct err *err, const struct acme_reply *reply)
{
	struct change_call *self = arg;
	const char *host = self->call.acme->host;
	const char *status = json_str(reply->json, "status");
	enum acme_status parsed = ACME_UNKNOWN;
	struct err failure = { 0 };

	/* An account that has ended may no longer ask: the first try was heard (s.7.3.6). */
	if (err && self->wanted == ACME_DEACTIVATED && reply->repeated &&
	    acme_problem_is(err, "unauthorized")) {
		log_info("%s: %s", host, err->text);
	} else if (err) {
		failure = *err;
	} else if (!acme_status_parse(status, &parsed) || parsed != self->wanted) {
		err_set(&failure, ERR_PROTOCOL, host,
			"the CA accepted the change, and shows an account that is %s, not %s",
			acme_status_name(parsed), acme_status_name(self->wanted));
	}
	acme_call_finish(&self->call, &failure);
}

struct change {
	const char *payload;
	const char *task;
	enum acme_status wanted;
};

static struct acme_call *change_start(struct acme *acme, const struct change *change,
				      acme_done *done, void *arg)
{
	struct change_call *self;
	struct err err;

	if (acme_ready(acme, true, &err) != ERR_NONE) {
		return acme_call_refused(acme, &err, done, arg);
	}
	self = xcalloc(1, sizeof(*self));
	acme_call_init(&self->call, acme, done, arg);
	self->wanted = change->wanted;
	acme_request_start(acme, &(struct acme_request_args){
					 .call = &self->call,
					 .url = acme->account_url,
					 .payload = change->payload,
					 .task = change->task,
					 .repeatable = true,
					 .done = on_changed,
					 .arg = self,
				 });
	return &self->call;
}

struct acme_call *acme_account_update_start(struct acme *acme, const struct strlist *contact,
					    acme_done *done, void *arg)
{
	struct json *object = json_object();
	struct change change = { .task = "change the account", .wanted = ACME_VALID };
	struct acme_call *call;
	char *payload;

	/* An empty list is said too: it takes them away. */
	json_set(object, "contact", list_of(contact));
	payload = json_dump(object);
	change.payload = payload;
	call = change_start(acme, &change, done, arg);
	free(payload);
	json_free(object);
	return call;
}

struct acme_call *acme_account_deactivate_start(struct acme *acme, acme_done *done, void *arg)
{
	const struct change change = {
		.payload = "{\"status\":\"deactivated\"}",
		.task = "deactivate the account",
		.wanted = ACME_DEACTIVATED,
	};

	return change_start(acme, &change, done, arg);
}
