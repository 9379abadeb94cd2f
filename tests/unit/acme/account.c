/* Directory, accounts, and what an order asks for beside names. */
#include "acme/client.h"

#define META(members) ",\"meta\":{" members "}"

static enum err_code do_account(struct client *client, const struct acme_registration *reg)
{
	return client_run(client,
			  acme_account_start(client->acme, reg, on_outcome, &client->outcome));
}

/* A client without an account, the directory read. */
static void fresh(struct client *client, const char *meta)
{
	client_init(client);
	acme_free(client->acme);
	client->acme = client_acme(client, NULL);
	client->ca.directory_meta = meta;
	assert_int_equal(do_directory(client), ERR_NONE);
	assert_null(acme_account_url(client->acme));
}

static void the_directory_is_read(void **state)
{
	struct client client;
	const struct acme_directory *directory;

	(void)state;
	fresh(&client,
	      ",\"revokeCert\":\"" CA "/revoke\",\"renewalInfo\":\"" CA "/ari\"" META(
		      "\"termsOfService\":\"data:text/plain,Do%20what\\u0007\","
		      "\"website\":\"https://ca.test/\",\"caaIdentities\":[\"ca.test\",7,\"a b\"],"
		      "\"profiles\":{\"classic\":\"The old\",\"a b\":1,\"tlsserver\":\"\"}"));
	directory = acme_directory(client.acme);
	assert_string_equal(directory->new_nonce, CA "/nonce");
	assert_string_equal(directory->new_order, CA "/new-order");
	assert_string_equal(directory->revoke_cert, CA "/revoke");
	assert_string_equal(directory->renewal_info, CA "/ari");
	assert_null(directory->key_change);
	assert_string_equal(directory->terms_of_service, "data:text/plain,Do%20what\\x07");
	assert_string_equal(directory->website, "https://ca.test/");
	assert_false(directory->external_account_required);
	assert_int_equal(directory->caa_identities.count, 1);
	assert_int_equal(directory->profiles.count, 2);
	assert_true(strlist_has(&directory->profiles, "tlsserver"));
	/* Read again, it is the new one. */
	client.ca.directory_meta = NULL;
	assert_int_equal(do_directory(&client), ERR_NONE);
	assert_null(acme_directory(client.acme)->website);
	assert_int_equal(acme_directory(client.acme)->profiles.count, 0);
	client_clear(&client);
}

static void an_account_is_made(void **state)
{
	struct client client;
	struct strlist contact = { 0 };

	(void)state;
	fresh(&client, META("\"termsOfService\":\"https://ca.test/terms\""));
	strlist_add(&contact, "mailto:ops@example.com");
	assert_int_equal(do_account(&client, &(struct acme_registration){ .contact = &contact,
									  .agree_tos = true }),
			 ERR_NONE);
	assert_string_equal(acme_account_url(client.acme), CA_ACCOUNT);
	assert_string_equal(
		client.ca.last_payload,
		"{\"termsOfServiceAgreed\":true,\"contact\":[\"mailto:ops@example.com\"]}");
	assert_int_equal(client.ca.requests, 3);
	strlist_clear(&contact);
	client_clear(&client);
}

static void terms_need_the_operators_word(void **state)
{
	struct client client;

	(void)state;
	fresh(&client, META("\"termsOfService\":\"https://ca.test/terms\""));
	assert_int_equal(do_account(&client, &(struct acme_registration){ 0 }), ERR_DENIED);
	assert_says(&client.outcome.err, "read https://ca.test/terms, then set agree_tos = true");
	client_settle(&client);
	assert_int_equal(client.ca.requests, 2); /* directory and nonce */
	/* To find an account is not to make one. */
	assert_int_equal(do_account(&client, &(struct acme_registration){ .only_existing = true }),
			 ERR_NONE);
	assert_string_equal(client.ca.last_payload, "{\"onlyReturnExisting\":true}");
	client_clear(&client);
}

/* The binding of the last payload says and proves what it must (RFC 8555 s.7.3.4). */
static void assert_bound(struct client *client, const char *alg, enum mac_alg mac,
			 const uint8_t *secret, size_t len)
{
	struct json *payload = NULL;
	const struct json *binding;
	struct err err;
	char *header, *inner, *jwk, *jws, *wanted;

	assert_int_equal(json_parse(client->ca.last_payload, strlen(client->ca.last_payload),
				    &payload, &err),
			 ERR_NONE);
	binding = json_get(payload, "externalAccountBinding");
	header = ca_decode(json_str(binding, "protected"));
	wanted = xasprintf("{\"alg\":\"%s\",\"kid\":\"kid-7\",\"url\":\"" CA "/new-acct\"}", alg);
	assert_string_equal(header, wanted);
	inner = ca_decode(json_str(binding, "payload"));
	jwk = key_jwk(client->key);
	assert_string_equal(inner, jwk);
	jws = jws_sign_hmac(mac, secret, len, header, jwk);
	assert_non_null(strstr(jws, json_str(binding, "signature")));
	free(wanted);
	free(jws);
	free(jwk);
	free(inner);
	free(header);
	json_free(payload);
}

static void an_external_account_is_bound(void **state)
{
	static const uint8_t secret[] = "0123456789abcdef0123456789abcdef";
	static const struct {
		const char *alg, *said;
		enum mac_alg mac;
	} algs[] = { { NULL, "HS256", MAC_SHA256 },
		     { "HS256", "HS256", MAC_SHA256 },
		     { "HS384", "HS384", MAC_SHA384 },
		     { "HS512", "HS512", MAC_SHA512 } };
	struct acme_registration reg = { .agree_tos = true };
	struct client client;

	(void)state;
	fresh(&client, META("\"externalAccountRequired\":true,\"website\":\"https://ca.test/\""));
	assert_int_equal(do_account(&client, &reg), ERR_DENIED);
	assert_says(&client.outcome.err, "external account binding");
	reg.eab_kid = "kid-7";
	assert_int_equal(do_account(&client, &reg), ERR_CONFIG);
	assert_says(&client.outcome.err, "no MAC key");
	reg.eab_secret = secret;
	reg.eab_secret_len = sizeof(secret) - 1;
	reg.eab_alg = "none";
	assert_int_equal(do_account(&client, &reg), ERR_CONFIG);
	assert_says(&client.outcome.err, "not \"none\"");
	client_settle(&client);
	assert_int_equal(client.ca.requests, 2); /* directory and nonce */
	for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
		reg.eab_alg = algs[i].alg;
		assert_int_equal(do_account(&client, &reg), ERR_NONE);
		assert_bound(&client, algs[i].said, algs[i].mac, secret, sizeof(secret) - 1);
	}
	client_clear(&client);
}

static const char *account_status;

static bool account_hook(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	(void)ca;
	if (!ca_is(request, "/new-acct")) {
		return false;
	}
	if (account_status) {
		answer_header(answer, "location", CA_ACCOUNT);
		buf_addf(&answer->body, "{\"status\":\"%s\"}", account_status);
	} else {
		ca_problem(answer, 400, "accountDoesNotExist", "unable to find existing account");
	}
	return true;
}

static void an_account_may_not_exist(void **state)
{
	struct client client;

	(void)state;
	account_status = NULL;
	fresh(&client, NULL);
	client.ca.before = account_hook;
	assert_int_equal(do_account(&client, &(struct acme_registration){ .only_existing = true }),
			 ERR_NOT_FOUND);
	assert_says(&client.outcome.err, "no account for this key");
	assert_null(acme_account_url(client.acme));
	client_clear(&client);
}

static void an_account_may_be_there_or_be_dead(void **state)
{
	struct client client;

	(void)state;
	fresh(&client, NULL);
	client.ca.before = account_hook;
	account_status = "deactivated";
	assert_int_equal(do_account(&client, &(struct acme_registration){ 0 }), ERR_DENIED);
	assert_says(&client.outcome.err, "\"deactivated\"");
	assert_null(acme_account_url(client.acme));
	account_status = "valid"; /* 200: the key has an account */
	assert_int_equal(do_account(&client, &(struct acme_registration){ 0 }), ERR_NONE);
	assert_string_equal(acme_account_url(client.acme), CA_ACCOUNT);
	client_clear(&client);
}

/* ---- profile and replaces ---- */

static enum err_code do_order_with(struct client *client, const char *profile, const char *replaces)
{
	struct strlist names = { 0 };
	struct acme_order_args args = { .names = &names, .profile = profile, .replaces = replaces };
	enum err_code code;

	strlist_add(&names, "a.test");
	code = client_run(client, acme_order_start(client->acme, &args, client->order, on_outcome,
						   &client->outcome));
	strlist_clear(&names);
	return code;
}

static void a_profile_must_be_offered(void **state)
{
	struct client client;

	(void)state;
	client_init(&client);
	client.ca.directory_meta = META("\"profiles\":{\"classic\":\"\",\"tlsserver\":\"\"}");
	assert_int_equal(do_directory(&client), ERR_NONE);
	assert_int_equal(do_order_with(&client, "shortlived", NULL), ERR_CONFIG);
	assert_says(&client.outcome.err,
		    "no profile \"shortlived\"; it offers: classic, tlsserver");
	assert_int_equal(do_order_with(&client, "tlsserver", NULL), ERR_NONE);
	assert_string_equal(client.ca.last_payload,
			    "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.test\"}],"
			    "\"profile\":\"tlsserver\"}");
	client_settle(&client);
	client_clear(&client);
}

static struct {
	int status;
	const char *type;
	const char *detail;
	bool always; /* not only with "replaces" */
	unsigned asked;
} refusal;

static bool refuse_replaces(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	bool replaces = strstr(request->payload, "\"replaces\":\"cert.id\"") != NULL;

	(void)ca;
	if (!ca_is(request, "/new-order")) {
		return false;
	}
	refusal.asked++;
	if (!replaces && !refusal.always) {
		return false;
	}
	ca_problem(answer, refusal.status, refusal.type, refusal.detail);
	return true;
}

static enum err_code order_that_replaces(int status, const char *type, bool always)
{
	struct client client;
	enum err_code code;

	refusal.status = status;
	refusal.type = type;
	refusal.detail = "no";
	refusal.always = always;
	refusal.asked = 0;
	client_init(&client);
	client.ca.before = refuse_replaces;
	client.ca.directory_meta = ",\"renewalInfo\":\"" CA "/ari\"";
	assert_int_equal(do_directory(&client), ERR_NONE);
	code = do_order_with(&client, NULL, "cert.id");
	client_settle(&client);
	client_clear(&client);
	return code;
}

/* RFC 9773 s.5, and Boulder's ways: once more without, whatever the refusal is for. */
static void replaces_is_dropped_where_it_is_refused(void **state)
{
	static const struct {
		int status;
		const char *type;
	} refusals[] = {
		{ 409, "alreadyReplaced" },
		{ 400, "malformed" },
		{ 403, "unauthorized" },
		{ 404, "malformed" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		assert_int_equal(order_that_replaces(refusals[i].status, refusals[i].type, false),
				 ERR_NONE);
		assert_int_equal(refusal.asked, 2);
	}
	/* Pebble's own error, which passes nowhere else: after the tries of any request. */
	assert_int_equal(order_that_replaces(500, "serverInternal", false), ERR_NONE);
	assert_int_equal(refusal.asked, 5);
	/* Once, and not for ever. */
	assert_int_equal(order_that_replaces(403, "rejectedIdentifier", true), ERR_ACME);
	assert_int_equal(refusal.asked, 2);
}

static void replaces_stays_where_it_is_not_to_blame(void **state)
{
	struct client client;

	(void)state;
	/* A limit: the second order would meet it as well. */
	assert_int_equal(order_that_replaces(429, "rateLimited", false), ERR_LIMIT);
	assert_int_equal(refusal.asked, 1);
	/* A nonce is none of its business: the same is sent again. */
	assert_int_equal(order_that_replaces(400, "badNonce", false), ERR_PROTOCOL);
	assert_int_equal(refusal.asked, ACME_BAD_NONCE_MAX + 1);

	/* Not sent at all to a CA without renewal information. */
	client_init(&client);
	client.ca.before = refuse_replaces;
	refusal.asked = 0;
	refusal.always = false;
	assert_int_equal(do_directory(&client), ERR_NONE);
	assert_int_equal(do_order_with(&client, NULL, "cert.id"), ERR_NONE);
	assert_int_equal(refusal.asked, 1);
	client_settle(&client);
	client_clear(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_directory_is_read),
		cmocka_unit_test(an_account_is_made),
		cmocka_unit_test(terms_need_the_operators_word),
		cmocka_unit_test(an_external_account_is_bound),
		cmocka_unit_test(an_account_may_not_exist),
		cmocka_unit_test(an_account_may_be_there_or_be_dead),
		cmocka_unit_test(a_profile_must_be_offered),
		cmocka_unit_test(replaces_is_dropped_where_it_is_refused),
		cmocka_unit_test(replaces_stays_where_it_is_not_to_blame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
