/*
 * rollover: another key for the account (RFC 8555 s.7.3.5).
 *
 *                 accepted
 *   SENDING --------------------> ASKING ------> (told, gone)
 *     ^  |                          | ^   the account is the new key's
 *     |  | no answer                | |
 *     |  +----------> RESTING ------|-+
 *     |                             | it is not, and no answer came before
 *     +-----------------------------+
 *
 * Whatever came back, the CA is asked with the new key: the old one may go when the new one has
 * signed something that the CA took. At most ROLLOVER_TRIES_MAX changes are sent.
 */
#include "dns01/acme.h"

#include "acme_internal.h"

#define ROLLOVER_TRIES_MAX 4

enum rollover_state {
	ROLLOVER_SENDING, /* the change is with the CA */
	ROLLOVER_RESTING, /* no answer came; a moment passes before the CA is asked */
	ROLLOVER_ASKING,  /* whose is the account? */
	ROLLOVER_STATE_COUNT
};

static const char *const state_names[] = {
	[ROLLOVER_SENDING] = "sending",
	[ROLLOVER_RESTING] = "resting",
	[ROLLOVER_ASKING] = "asking",
};
static_assert(ARRAY_LEN(state_names) == ROLLOVER_STATE_COUNT, "a name for each state");

struct rollover_call {
	struct acme_call call;
	enum rollover_state state;
	const struct key *key; /* the new one */
	char *payload;
	unsigned tries;
	struct acme_call *asking;
	struct err failure; /* of the latest try; ERR_NONE: it was accepted */
};

static void set_state(struct rollover_call *self, enum rollover_state state)
{
	log_debug("rollover at %s: %s -> %s", self->call.acme->host, state_names[self->state],
		  state_names[state]);
	self->state = state;
}

/* ---- whose is the account? ---- */

struct owner_call {
	struct acme_call call;
	const struct key *key;
};

static void on_owner(void *arg, const struct err *err, const struct acme_reply *reply)
{
	struct owner_call *self = arg;
	const struct acme *acme = self->call.acme;
	struct err failure = { 0 };
	char *url = NULL;

	if (err && acme_problem_is(err, "accountDoesNotExist")) {
		err_set(&failure, ERR_NOT_FOUND, acme->host, "the CA has no account for this key");
	} else if (err) {
		failure = *err;
	} else if (acme_location_get(reply, &url, &failure) != ERR_NONE) {
		err_subject(&failure, "%s", acme->host);
	} else if (strcmp(url, acme->account_url) != 0) {
		err_set(&failure, ERR_NOT_FOUND, acme->host,
			"this key has another account at the CA, %s", url);
	}
	free(url);
	acme_call_finish(&self->call, &failure);
}

struct acme_call *acme_account_key_start(struct acme *acme, const struct key *key, acme_done *done,
					 void *arg)
{
	struct owner_call *self;
	struct err err;

	if (acme_ready(acme, true, &err) != ERR_NONE) {
		return acme_call_refused(acme, &err, done, arg);
	}
	self = xcalloc(1, sizeof(*self));
	acme_call_init(&self->call, acme, done, arg);
	self->key = key;
	acme_request_start(acme, &(struct acme_request_args){
					 .call = &self->call,
					 .url = acme->directory.new_account,
					 .payload = "{\"onlyReturnExisting\":true}",
					 .task = "show the account of the new key",
					 .by_key = true,
					 .key = key,
					 .repeatable = true,
					 .done = on_owner,
					 .arg = self,
				 });
	return &self->call;
}

/* ---- the change ---- */

static void rollover_release(struct acme_call *call)
{
	struct rollover_call *self = (struct rollover_call *)call;

	acme_call_cancel(self->asking);
	free(self->payload);
}

static void send_change(struct rollover_call *self);

static void on_asked(void *arg, const struct err *err)
{
	struct rollover_call *self = arg;
	struct err failure = self->failure;

	self->asking = NULL;
	if (!err) {
		acme_call_finish(&self->call, NULL);
		return;
	}
	if (failure.code == ERR_NONE) {
		/* Accepted, and then not proven: both keys are worth keeping. */
		failure = *err;
		failure.code = err->code == ERR_NOT_FOUND ? ERR_PROTOCOL : err->code;
	} else if (err->code == ERR_NOT_FOUND && self->tries < ROLLOVER_TRIES_MAX) {
		send_change(self);
		return;
	} else if (err->code == ERR_NOT_FOUND) {
		failure.code = ERR_ACME; /* it is known that nothing was changed */
	}
	acme_call_finish(&self->call, &failure);
}

static void ask(struct rollover_call *self)
{
	set_state(self, ROLLOVER_ASKING);
	self->asking = acme_account_key_start(self->call.acme, self->key, on_asked, self);
}

static void on_rested(void *arg)
{
	struct rollover_call *self = arg;

	self->call.timer = NULL;
	ask(self);
}

/* RFC 8555 s.7.3.5: the new key has an account already, which may be this one. */
static bool conflict(struct rollover_call *self, const struct acme_reply *reply, struct err *err)
{
	const struct acme *acme = self->call.acme;
	char *url = NULL;
	bool ours;

	if (!reply->http || reply->http->status != 409) {
		return false;
	}
	if (acme_location_get(reply, &url, NULL) != ERR_NONE) {
		return false;
	}
	ours = strcmp(url, acme->account_url) == 0;
	if (!ours) {
		err_set(err, ERR_EXISTS, acme->host,
			"the new key has an account of its own at this CA already, %s; roll over "
			"to a key that was never used there",
			url);
	}
	free(url);
	return ours;
}

static void on_sent(void *arg, const struct err *err, const struct acme_reply *reply)
{
	struct rollover_call *self = arg;
	struct acme *acme = self->call.acme;
	struct err failure = { 0 };

	if (err) {
		failure = *err;
	}
	if (!err || conflict(self, reply, &failure)) {
		self->failure = (struct err){ 0 };
		ask(self);
		return;
	}
	if (!acme_ambiguous(err, reply) || reply->retry_after_s > REQUEST_WAIT_MAX_S) {
		acme_call_finish(&self->call, &failure);
		return;
	}
	self->failure = failure;
	set_state(self, ROLLOVER_RESTING);
	self->call.timer =
		world_timer_start(acme->world,
				  acme_backoff_ms(self->tries, reply->retry_after_s) * 1000,
				  on_rested, self);
}

static void send_change(struct rollover_call *self)
{
	struct acme *acme = self->call.acme;

	set_state(self, ROLLOVER_SENDING);
	self->tries++;
	acme_request_start(acme, &(struct acme_request_args){
					 .call = &self->call,
					 .url = acme->directory.key_change,
					 .payload = self->payload,
					 .task = "change the account's key",
					 .silent = true,
					 .done = on_sent,
					 .arg = self,
				 });
}

/* Takes text. */
static void set_parsed(struct json *object, const char *name, char *text)
{
	struct json *value = NULL;
	struct err err;

	if (json_parse(text, strlen(text), &value, &err) == ERR_NONE) {
		json_set(object, name, value);
	}
	free(text);
}

/* Takes object; gives. */
static char *dump(struct json *object)
{
	char *text = json_dump(object);

	json_free(object);
	return text;
}

/* The inner JWS: by the new key, with it as jwk, the outer URL and no nonce. Gives. */
static char *payload_of(const struct acme *acme, const struct key *key)
{
	struct json *header = json_object();
	struct json *payload = json_object();
	char *header_text, *payload_text, *jws;

	json_set_str(header, "alg", key_jws_alg(key));
	set_parsed(header, "jwk", key_jwk(key));
	json_set_str(header, "url", acme->directory.key_change);
	json_set_str(payload, "account", acme->account_url);
	set_parsed(payload, "oldKey", key_jwk(acme->key));
	header_text = dump(header);
	payload_text = dump(payload);
	jws = jws_sign(key, header_text, payload_text);
	free(header_text);
	free(payload_text);
	return jws;
}

struct acme_call *acme_account_rollover_start(struct acme *acme, const struct key *new_key,
					      acme_done *done, void *arg)
{
	struct rollover_call *self;
	struct err err;
	enum err_code code = acme_ready(acme, true, &err);

	if (code == ERR_NONE && !acme->directory.key_change) {
		code = err_set(&err, ERR_NOT_FOUND, acme->host,
			       "the CA does not change keys (its directory has no keyChange)");
	}
	if (code == ERR_NONE && key_equal(acme->key, new_key)) {
		code = err_set(&err, ERR_EXISTS, acme->host,
			       "the new key is the one that the account has");
	}
	if (code != ERR_NONE) {
		return acme_call_refused(acme, &err, done, arg);
	}
	self = xcalloc(1, sizeof(*self));
	acme_call_init(&self->call, acme, done, arg);
	self->call.release = rollover_release;
	self->key = new_key;
	self->payload = payload_of(acme, new_key);
	send_change(self);
	return &self->call;
}
