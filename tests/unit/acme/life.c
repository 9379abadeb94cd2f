/* What changes and ends accounts and certificates: contacts, deactivation, revocation. */
#include "acme/client.h"

static const char leaf_pem[] = "-----BEGIN CERTIFICATE-----\n"
			       "MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt\n"
			       "cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS\n"
			       "BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu\n"
			       "7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf\n"
			       "qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B\n"
			       "yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb\n"
			       "+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK\n"
			       "-----END CERTIFICATE-----\n";

static struct {
	const char *path;
	unsigned fails; /* so many times a 502 comes first */
	int status;
	const char *problem;
	const char *body;
	unsigned asked;
} says;

static bool serve(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	if (!ca_is(request, says.path)) {
		return false;
	}
	says.asked++;
	if (says.fails > 0) {
		says.fails--;
		ca_html(answer, 502);
	} else if (says.problem) {
		ca_problem(answer, says.status, says.problem, "because");
	} else {
		(void)ca;
		buf_add_str(&answer->body, says.body);
	}
	return true;
}

static void begin(struct client *client, const char *path, const char *body)
{
	memset(&says, 0, sizeof(says));
	says.path = path;
	says.body = body;
	client_init(client);
	client->ca.before = serve;
	client->ca.directory_meta = ",\"revokeCert\":\"" CA "/revoke\"";
	assert_int_equal(do_directory(client), ERR_NONE);
}

static void end(struct client *client)
{
	client_settle(client);
	client_clear(client);
}

/* ---- accounts ---- */

#define ACCOUNT_PATH "/acct/1?x=%7E"

static enum err_code do_update(struct client *client, const char *contact)
{
	struct strlist list = { 0 };
	enum err_code code;

	if (*contact) {
		names_of(&list, contact);
	}
	code = client_run(client, acme_account_update_start(client->acme, &list, on_outcome,
							    &client->outcome));
	strlist_clear(&list);
	return code;
}

static void contacts_change(void **state)
{
	struct client client;

	(void)state;
	begin(&client, ACCOUNT_PATH, "{\"status\":\"valid\"}");
	assert_int_equal(do_update(&client, "mailto:a@a.test mailto:b@a.test"), ERR_NONE);
	assert_string_equal(client.ca.last_payload,
			    "{\"contact\":[\"mailto:a@a.test\",\"mailto:b@a.test\"]}");
	assert_int_equal(do_update(&client, ""), ERR_NONE);
	assert_string_equal(client.ca.last_payload, "{\"contact\":[]}");
	says.problem = "invalidContact";
	says.status = 400;
	assert_int_equal(do_update(&client, "mailto:a"), ERR_ACME);
	assert_says(&client.outcome.err, "refused to change the account");
	end(&client);
	begin(&client, ACCOUNT_PATH, "{\"status\":\"revoked\"}");
	assert_int_equal(do_update(&client, ""), ERR_PROTOCOL);
	assert_says(&client.outcome.err, "an account that is revoked, not valid");
	end(&client);
}

static enum err_code do_deactivate(struct client *client)
{
	return client_run(client, acme_account_deactivate_start(client->acme, on_outcome,
								&client->outcome));
}

static void an_account_ends(void **state)
{
	struct client client;

	(void)state;
	begin(&client, ACCOUNT_PATH, "{\"status\":\"deactivated\"}");
	assert_int_equal(do_deactivate(&client), ERR_NONE);
	assert_string_equal(client.ca.last_payload, "{\"status\":\"deactivated\"}");
	says.body = "{\"status\":\"valid\"}";
	assert_int_equal(do_deactivate(&client), ERR_PROTOCOL);
	says.body = "{}";
	assert_int_equal(do_deactivate(&client), ERR_PROTOCOL);
	end(&client);
	/* A CA that hears no account that has ended: the first answer was lost. */
	begin(&client, ACCOUNT_PATH, "");
	says.fails = 1;
	says.problem = "unauthorized";
	says.status = 401;
	assert_int_equal(do_deactivate(&client), ERR_NONE);
	assert_int_equal(says.asked, 2);
	/* But not where nothing was lost. */
	assert_int_equal(do_deactivate(&client), ERR_ACME);
	end(&client);
}

/* ---- revocation ---- */

static enum err_code do_revoke(struct client *client, const struct key *cert_key, int reason)
{
	struct acme_revocation args = { .cert_key = cert_key, .reason = reason };
	struct chain *chain = NULL;
	struct err err;
	struct acme_call *call;

	assert_int_equal(chain_parse(leaf_pem, strlen(leaf_pem), &chain, &err), ERR_NONE);
	args.chain = chain;
	call = acme_revoke_start(client->acme, &args, on_outcome, &client->outcome);
	chain_free(chain);
	return client_run(client, call);
}

static bool signed_by_jwk;

static void note_signer(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	(void)ca;
	(void)answer;
	if (ca_is(request, "/revoke")) {
		signed_by_jwk = request->jwk && !request->kid;
	}
}

static void a_certificate_is_revoked_by_the_account(void **state)
{
	struct client client;

	(void)state;
	begin(&client, "/revoke", "");
	client.ca.after = note_signer;
	assert_int_equal(do_revoke(&client, NULL, 0), ERR_NONE);
	assert_false(signed_by_jwk);
	/* The DER of the leaf, and no reason for none. */
	assert_true(strncmp(client.ca.last_payload, "{\"certificate\":\"MIIBQzCB66ADAgEC", 31) ==
		    0);
	assert_null(strstr(client.ca.last_payload, "reason"));
	assert_null(strpbrk(client.ca.last_payload, "+/="));
	assert_int_equal(do_revoke(&client, NULL, 4), ERR_NONE);
	assert_non_null(strstr(client.ca.last_payload, "\",\"reason\":4}"));
	end(&client);
}

static void a_certificate_is_revoked_by_its_own_key(void **state)
{
	struct client client;
	struct key *key;
	struct err err;

	(void)state;
	begin(&client, "/revoke", "not JSON");
	client.ca.after = note_signer;
	assert_int_equal(key_generate(KEY_P256, &key, &err), ERR_NONE);
	ca_know(&client.ca, key);
	/* No account is needed. */
	acme_free(client.acme);
	client.acme = client_acme(&client, NULL);
	assert_int_equal(do_directory(&client), ERR_NONE);
	assert_int_equal(do_revoke(&client, NULL, 1), ERR_INTERNAL);
	assert_int_equal(do_revoke(&client, key, 1), ERR_NONE);
	assert_true(signed_by_jwk);
	end(&client);
	key_free(key);
}

static void revoked_is_revoked(void **state)
{
	struct client client;

	(void)state;
	begin(&client, "/revoke", "");
	says.problem = "alreadyRevoked";
	says.status = 400;
	assert_int_equal(do_revoke(&client, NULL, 0), ERR_NONE);
	says.problem = "badRevocationReason";
	assert_int_equal(do_revoke(&client, NULL, 3), ERR_ACME);
	assert_says(&client.outcome.err, "refused to revoke the certificate: because "
					 "(badRevocationReason)");
	/* An answer that was lost. */
	says.problem = NULL;
	says.fails = 2;
	assert_int_equal(do_revoke(&client, NULL, 0), ERR_NONE);
	client.ca.directory_meta = NULL;
	assert_int_equal(do_directory(&client), ERR_NONE);
	assert_int_equal(do_revoke(&client, NULL, 0), ERR_NOT_FOUND);
	assert_says(&client.outcome.err, "no revokeCert");
	end(&client);
}

static void reasons_have_names(void **state)
{
	int reason = 7;

	(void)state;
	assert_true(acme_reason_parse("unspecified", &reason));
	assert_int_equal(reason, 0);
	assert_true(acme_reason_parse("keyCompromise", &reason));
	assert_int_equal(reason, 1);
	assert_true(acme_reason_parse("affiliationChanged", &reason));
	assert_int_equal(reason, 3);
	assert_true(acme_reason_parse("SUPERSEDED", &reason));
	assert_int_equal(reason, 4);
	assert_true(acme_reason_parse("cessationOfOperation", &reason));
	assert_int_equal(reason, 5);
	assert_false(acme_reason_parse("cACompromise", &reason));
	assert_false(acme_reason_parse("", &reason));
	assert_int_equal(reason, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contacts_change),
		cmocka_unit_test(an_account_ends),
		cmocka_unit_test(a_certificate_is_revoked_by_the_account),
		cmocka_unit_test(a_certificate_is_revoked_by_its_own_key),
		cmocka_unit_test(revoked_is_revoked),
		cmocka_unit_test(reasons_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
