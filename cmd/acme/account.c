/*
 * account: RFC 8555 s.7.3, with external account binding (s.7.3.4).
 */
#include "dns01/acme.h"

#include "acme_internal.h"

struct account_call {
	struct acme_call call;
	bool only_existing;
};

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
	return ERR_NONE;
}

/* RFC 8555 s.7.3.4: no nonce, the outer URL, the account's key as payload. Gives. */
static struct json *binding(const struct acme *acme, const struct acme_registration *reg)
{
	struct json *header = json_object();
	struct json *jws = NULL;
	struct err err;
	char *header_text;
	char *jwk = key_jwk(acme->key);
	char *text;

	json_set_str(header, "alg", "HS256");
	json_set_str(header, "kid", reg->eab_kid);
	json_set_str(header, "url", acme->directory.new_account);
	header_text = json_dump(header);
	text = jws_sign_hmac(reg->eab_secret, reg->eab_secret_len, header_text, jwk);
	if (json_parse(text, strlen(text), &jws, &err) != ERR_NONE) {
		jws = NULL;
	}
	free(text);
	free(jwk);
	free(header_text);
	json_free(header);
	return jws;
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
		struct json *contact = json_array();

		for (size_t i = 0; i < reg->contact->count; i++) {
			json_add_str(contact, reg->contact->item[i]);
		}
		json_set(object, "contact", contact);
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
