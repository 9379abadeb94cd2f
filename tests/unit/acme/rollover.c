/* The account's key is changed (RFC 8555 s.7.3.5): proven, or cleared up. */
#include "acme/client.h"

/* What the CA makes of the change of keys. */
enum manner {
	TAKES,          /* and says so */
	TAKES_SILENTLY, /* the answer is lost */
	LOSES,          /* the request never arrives */
	BREAKS,         /* a 500, and nothing happened */
	REFUSES,
	IS_TAKEN, /* the key has another account */
	LIES,     /* accepts, and changes nothing */
};

static struct {
	enum manner manner;
	unsigned times; /* so many requests; then TAKES */
	unsigned changes, asked;
	bool asking_fails;
	const char *accounts_url;
} ca_mood;

static const struct json *member(const struct json *object, const char *name)
{
	const struct json *value = json_get(object, name);

	assert_non_null(value);
	return value;
}

static struct json *decoded(const struct json *jws, const char *part)
{
	char *text = ca_decode(json_str(jws, part));
	struct json *json = NULL;
	struct err err;

	assert_non_null(text);
	assert_int_equal(json_parse(text, strlen(text), &json, &err), ERR_NONE);
	free(text);
	return json;
}

static void assert_json(const struct json *value, const char *wanted)
{
	char *text = json_dump(value);

	assert_string_equal(text, wanted);
	free(text);
}

/* The inner JWS, by the new key: alg, jwk and url alone; the account and its old key. */
static void check_change(const struct ca *ca, const struct ca_request *request)
{
	struct json *jws = NULL;
	struct json *header, *payload;
	const char *name;
	const struct json *value;
	struct err err;
	size_t members = 0;

	assert_int_equal(json_parse(request->payload, strlen(request->payload), &jws, &err),
			 ERR_NONE);
	header = decoded(jws, "protected");
	payload = decoded(jws, "payload");
	assert_true(ca_signed(ca->other_key, jws));
	while (json_member(header, members, &name, &value)) {
		members++;
	}
	assert_int_equal(members, 3);
	assert_string_equal(json_str(header, "alg"), "ES256");
	assert_string_equal(json_str(header, "url"), request->asked->url);
	assert_json(member(header, "jwk"), ca->other_jwk);
	assert_string_equal(json_str(payload, "account"), CA_ACCOUNT);
	assert_string_equal(json_str(member(payload, "oldKey"), "kty"), "EC");
	json_free(header);
	json_free(payload);
	json_free(jws);
}

static void change_key(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	enum manner manner = ca_mood.times > 0 ? ca_mood.manner : TAKES;

	ca_mood.times -= ca_mood.times > 0 ? 1 : 0;
	ca_mood.changes++;
	check_change(ca, request);
	switch (manner) {
	case TAKES:
		ca->other_has_account = true;
		break; /* with no body at all */
	case TAKES_SILENTLY:
		ca->other_has_account = true;
		answer->fail = ERR_TIMEOUT;
		break;
	case LOSES:
		answer->fail = ERR_NETWORK;
		break;
	case BREAKS:
		ca_html(answer, 500);
		break;
	case REFUSES:
		ca_problem(answer, 403, "unauthorized", "not you");
		break;
	case IS_TAKEN:
		ca_problem(answer, 409, "malformed", "in use");
		answer_header(answer, "location", ca_mood.accounts_url);
		break;
	case LIES:
		break;
	}
}

static bool serve(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	char *jwk;

	if (ca_is(request, "/key-change")) {
		change_key(ca, request, answer);
		return true;
	}
	if (!ca_is(request, "/new-acct")) {
		return false;
	}
	jwk = json_dump(request->jwk);
	assert_string_equal(request->payload, "{\"onlyReturnExisting\":true}");
	assert_string_equal(jwk, ca->other_jwk); /* the new key signs */
	free(jwk);
	ca_mood.asked++;
	if (ca_mood.asking_fails) {
		answer->fail = ERR_NETWORK;
	} else if (!ca->other_has_account) {
		ca_problem(answer, 400, "accountDoesNotExist", "who?");
	} else {
		answer_header(answer, "location", ca_mood.accounts_url);
		buf_add_str(&answer->body, "{\"status\":\"valid\"}");
	}
	return true;
}

struct change {
	struct client client;
	struct key *fresh;
};

static void begin(struct change *change, enum manner manner, unsigned times)
{
	struct err err;

	memset(&ca_mood, 0, sizeof(ca_mood));
	ca_mood.manner = manner;
	ca_mood.times = times;
	ca_mood.accounts_url = CA_ACCOUNT;
	client_init(&change->client);
	assert_int_equal(key_generate(KEY_P256, &change->fresh, &err), ERR_NONE);
	ca_know(&change->client.ca, change->fresh);
	change->client.ca.before = serve;
	change->client.ca.directory_meta = ",\"keyChange\":\"" CA "/key-change\"";
	assert_int_equal(do_directory(&change->client), ERR_NONE);
}

static enum err_code roll(struct change *change)
{
	struct client *client = &change->client;

	return client_run(client, acme_account_rollover_start(client->acme, change->fresh,
							      on_outcome, &client->outcome));
}

static void end(struct change *change)
{
	client_settle(&change->client);
	client_clear(&change->client);
	key_free(change->fresh);
}

static void the_new_key_is_proven(void **state)
{
	struct change change;
	struct client *client = &change.client;

	(void)state;
	begin(&change, TAKES, 0);
	assert_int_equal(roll(&change), ERR_NONE);
	assert_int_equal(ca_mood.changes, 1);
	assert_int_equal(ca_mood.asked, 1);
	/* From then on it signs. */
	acme_use_key(client->acme, change.fresh);
	assert_int_equal(do_begin(client, "a.test"), ERR_NONE);
	end(&change);
}

static void a_lost_answer_is_cleared_up(void **state)
{
	static const struct {
		enum manner manner;
		unsigned times, changes;
	} rows[] = { { TAKES_SILENTLY, 1, 1 }, { LOSES, 1, 2 }, { BREAKS, 3, 4 } };
	struct change change;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		begin(&change, rows[i].manner, rows[i].times);
		assert_int_equal(roll(&change), ERR_NONE);
		assert_int_equal(ca_mood.changes, rows[i].changes);
		assert_int_equal(ca_mood.asked, rows[i].changes);
		end(&change);
	}
}

static void what_cannot_be_cleared_up_is_said_so(void **state)
{
	struct change change;

	(void)state;
	/* Taken or not? The CA is gone. */
	begin(&change, TAKES_SILENTLY, 1);
	ca_mood.asking_fails = true;
	assert_int_equal(roll(&change), ERR_TIMEOUT);
	assert_true(acme_passing(&change.client.outcome.err));
	end(&change);
	/* It never was. */
	begin(&change, LOSES, 99);
	assert_int_equal(roll(&change), ERR_ACME);
	assert_false(acme_passing(&change.client.outcome.err));
	assert_int_equal(ca_mood.changes, 4);
	end(&change);
	/* Accepted, and not done. */
	begin(&change, LIES, 1);
	assert_int_equal(roll(&change), ERR_PROTOCOL);
	end(&change);
}

static void a_refusal_ends_it(void **state)
{
	struct change change;

	(void)state;
	begin(&change, REFUSES, 1);
	assert_int_equal(roll(&change), ERR_ACME);
	assert_says(&change.client.outcome.err, "refused to change the account's key: not you");
	assert_int_equal(ca_mood.asked, 0);
	end(&change);
	begin(&change, IS_TAKEN, 1);
	ca_mood.accounts_url = CA "/acct/2";
	assert_int_equal(roll(&change), ERR_EXISTS);
	assert_says(&change.client.outcome.err,
		    "an account of its own at this CA already, " CA "/acct/2");
	assert_int_equal(ca_mood.asked, 0);
	end(&change);
	/* The account that it has is this one: an earlier answer was lost. */
	begin(&change, IS_TAKEN, 1);
	change.client.ca.other_has_account = false;
	assert_int_equal(roll(&change), ERR_PROTOCOL); /* so it says, and does not prove it */
	assert_int_equal(ca_mood.asked, 1);
	end(&change);
}

static void some_need_not_be_asked(void **state)
{
	struct change change;
	struct client *client = &change.client;

	(void)state;
	begin(&change, TAKES, 0);
	assert_int_equal(client_run(client,
				    acme_account_rollover_start(client->acme, client->key,
								on_outcome, &client->outcome)),
			 ERR_EXISTS);
	client->ca.directory_meta = NULL;
	assert_int_equal(do_directory(client), ERR_NONE);
	assert_int_equal(roll(&change), ERR_NOT_FOUND);
	assert_says(&client->outcome.err, "no keyChange");
	assert_int_equal(ca_mood.changes, 0);
	end(&change);
}

static enum err_code whose(struct change *change)
{
	struct client *client = &change->client;

	return client_run(client, acme_account_key_start(client->acme, change->fresh, on_outcome,
							 &client->outcome));
}

static void the_ca_knows_whose_the_account_is(void **state)
{
	struct change change;

	(void)state;
	begin(&change, TAKES, 0);
	assert_int_equal(whose(&change), ERR_NOT_FOUND);
	change.client.ca.other_has_account = true;
	assert_int_equal(whose(&change), ERR_NONE);
	ca_mood.accounts_url = CA "/acct/2";
	assert_int_equal(whose(&change), ERR_NOT_FOUND);
	assert_says(&change.client.outcome.err, "another account at the CA");
	ca_mood.accounts_url = "http://ca.test/acct/1";
	assert_int_equal(whose(&change), ERR_PROTOCOL);
	ca_mood.asking_fails = true;
	assert_int_equal(whose(&change), ERR_NETWORK);
	end(&change);
}

static void it_can_be_canceled_at_any_step(void **state)
{
	struct change change;
	struct client *client = &change.client;

	(void)state;
	for (unsigned steps = 0; steps < 8; steps++) {
		struct acme_call *call;

		begin(&change, LOSES, 1);
		client_settle(client);
		call = acme_account_rollover_start(client->acme, change.fresh, on_outcome,
						   &client->outcome);
		for (unsigned i = 0; i < steps && client->outcome.times == 0; i++) {
			fake_step(&client->ca.fake);
		}
		if (client->outcome.times == 0) {
			acme_call_cancel(call);
		}
		client->outcome.times = 0;
		end(&change);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_new_key_is_proven),
		cmocka_unit_test(a_lost_answer_is_cleared_up),
		cmocka_unit_test(what_cannot_be_cleared_up_is_said_so),
		cmocka_unit_test(a_refusal_ends_it),
		cmocka_unit_test(some_need_not_be_asked),
		cmocka_unit_test(the_ca_knows_whose_the_account_is),
		cmocka_unit_test(it_can_be_canceled_at_any_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
