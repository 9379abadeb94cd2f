/* A CA that lies: everything that it sends is checked before it is used. */
#include "acme/client.h"

/* One change of one answer. */
static struct {
	const char *path;
	const char *from;
	const char *to;
	const char *location; /* instead of a change of the body */
} lie;

static void tell_lie(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	(void)ca;
	if (!ca_is(request, lie.path)) {
		return;
	}
	if (lie.from) {
		answer_replace(answer, lie.from, lie.to);
	}
	for (size_t i = 0; lie.location && i < answer->header_count; i++) {
		if (strcmp(answer->headers[i].name, "location") == 0) {
			free((void *)(uintptr_t)answer->headers[i].value);
			answer->headers[i].value = xstrdup(lie.location);
		}
	}
}

/* The first error of an issuance for *.a.test and b.test under the lie. */
static struct err error_of_lie(void)
{
	struct client client;
	struct err err = { 0 };

	client_init(&client);
	client.ca.after = tell_lie;
	client.ca.directory_meta = ",\"renewalInfo\":\"" CA "/ari\",\"revokeCert\":\"" CA
				   "/revoke\",\"keyChange\":\"" CA "/key\"";
	if (do_begin(&client, "*.a.test b.test") != ERR_NONE || do_rest(&client) != ERR_NONE) {
		err = client.outcome.err;
	}
	client_settle(&client);
	client_clear(&client);
	memset(&lie, 0, sizeof(lie));
	return err;
}

static void assert_refused(const char *path, const char *from, const char *to, const char *words)
{
	struct err err;

	lie.path = path;
	lie.from = from;
	lie.to = to;
	err = error_of_lie();
	if (err.code != ERR_PROTOCOL) {
		fail_msg("%s with %s: %s: %s", path, to, err_code_name(err.code), err.text);
	}
	assert_says(&err, words);
	assert_string_not_equal(err.subject, "");
}

static void every_url_must_be_https(void **state)
{
	static const struct {
		const char *path, *field, *from;
	} urls[] = {
		{ "/dir", "newNonce", "\"https://ca.test/nonce\"" },
		{ "/dir", "newAccount", "\"https://ca.test/new-acct\"" },
		{ "/dir", "newOrder", "\"https://ca.test/new-order\"" },
		{ "/dir", "renewalInfo", "\"https://ca.test/ari\"" },
		{ "/dir", "revokeCert", "\"https://ca.test/revoke\"" },
		{ "/dir", "keyChange", "\"https://ca.test/key\"" },
		{ "/new-order", "authorizations", "\"https://ca.test/authz/0\"" },
		{ "/new-order", "finalize", "\"https://ca.test/finalize/1\"" },
		{ "/authz/0", "url", "\"https://ca.test/chall/0\"" },
		{ "/finalize/1", "certificate", "\"https://ca.test/cert/1\"" },
	};
	static const char *const bad[] = {
		"\"http://ca.test/x\"",
		"\"http://127.0.0.1/x\"",
		"\"HTTP://localhost/\"",
		"\"https:///x\"",
		"\"https://\"",
		"\"ftp://ca.test/\"",
		"\"file:///etc/passwd\"",
		"\"/relative\"",
		"\"\"",
		"7",
		"null",
		"[\"https://ca.test/\"]",
		"\"https://ca.test/a b\"",
		"\"https://x@ca.test/\"",
		"\"https://ca.test/\\u000d\"",
		"\"https://ca.test/\\u00e9\"",
		"\"https://ca.test/#x\"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		for (size_t j = 0; j < ARRAY_LEN(bad); j++) {
			assert_refused(urls[i].path, urls[i].from, bad[j], urls[i].field);
		}
	}
}

static void a_location_must_be_https_too(void **state)
{
	struct err err;

	(void)state;
	lie.path = "/new-order";
	lie.location = "http://ca.test/order/1";
	err = error_of_lie();
	assert_int_equal(err.code, ERR_PROTOCOL);
	assert_says(&err, "\"Location\" is no valid https URL (RFC 8555 s.6.1): "
			  "\"http://ca.test/order/1\"");
}

static void a_url_has_a_maximum(void **state)
{
	char long_url[ACME_URL_MAX + 64] = "\"https://ca.test/";
	size_t len = strlen(long_url);

	(void)state;
	memset(long_url + len, 'x', ACME_URL_MAX);
	long_url[len + ACME_URL_MAX] = '"';
	assert_refused("/new-order", "\"https://ca.test/finalize/1\"", long_url, "finalize");
}

static void the_operators_own_directory_must_be_https(void **state)
{
	struct client client;

	(void)state;
	client_init(&client);
	acme_free(client.acme);
	client.acme = acme_new(&(struct acme_args){ .world = &client.ca.fake.world,
						    .directory = "http://127.0.0.1:14000/dir",
						    .key = client.key });
	assert_int_equal(do_directory(&client), ERR_CONFIG);
	assert_says(&client.outcome.err, "must be an https URL");
	assert_int_equal(client.ca.requests, 0);
	client_clear(&client);
}

/* The directory changes from one renewal to the next, or from one request to the next. */
static void a_directory_may_not_lead_elsewhere(void **state)
{
	struct client client;
	struct strlist names = { 0 };

	(void)state;
	client_init(&client);
	strlist_add(&names, "a.test");
	assert_int_equal(do_directory(&client), ERR_NONE);
	lie.path = "/dir";
	lie.from = "\"https://ca.test/new-order\"";
	lie.to = "\"https://evil.test/new-order\"";
	client.ca.after = tell_lie;
	assert_int_equal(do_directory(&client), ERR_PROTOCOL);
	assert_says(&client.outcome.err,
		    "sends orders to evil.test, and the account was made at " CA_ACCOUNT);
	/* Nothing is sent by what it said. */
	assert_int_equal(do_order(&client, &names), ERR_INTERNAL);
	client_settle(&client);
	/* A page of another kind in its place. */
	lie.from = "\"newOrder\"";
	lie.to = "\"neworder\"";
	assert_int_equal(do_directory(&client), ERR_PROTOCOL);
	assert_says(&client.outcome.err, "lacks the URL \"newOrder\"");
	/* Where the account is, or where the directory is, is no other place. */
	acme_free(client.acme);
	client.acme = client_acme(&client, "https://accounts.test/1");
	client.ca.after = NULL;
	assert_int_equal(do_directory(&client), ERR_NONE);
	client.ca.after = tell_lie;
	lie.from = "\"https://ca.test/new-order\"";
	lie.to = "\"https://Accounts.test/new-order\"";
	assert_int_equal(do_directory(&client), ERR_NONE);
	client_settle(&client);
	strlist_clear(&names);
	client_clear(&client);
	memset(&lie, 0, sizeof(lie));
}

static void tokens_are_base64url_and_short(void **state)
{
	static const char *const bad[] = {
		"../../etc/cron.d/x",
		"a/b",
		"a.b",
		"a=",
		"a+b",
		"",
		"a b",
		"\\u00e9",
		"$(id)",
		"`id`",
	};
	char token[ACME_TOKEN_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_refused("/authz/0", "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJyPCt92wr-0", bad[i],
			       "token");
	}
	memset(token, 'a', sizeof(token) - 1);
	token[sizeof(token) - 1] = '\0';
	assert_refused("/authz/0", "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJyPCt92wr-0", token, "token");
}

static void statuses_must_be_known(void **state)
{
	(void)state;
	assert_refused("/new-order", "\"pending\"", "\"done\\u001b\"", "status \"done\\x1b\"");
	assert_refused("/new-order", "\"pending\"", "\"revoked\"", "status");
	assert_refused("/new-order", "\"pending\"", "1", "status");
	assert_refused("/authz/0", "\"pending\"", "\"processing\"", "status");
	assert_refused("/authz/0", "\"pending\"", "null", "status");
	assert_refused("/authz/0", "\"dns-01\",\"status\":\"pending\"",
		       "\"dns-01\",\"status\":\"odd\"", "status");
}

static void only_our_names_are_accepted(void **state)
{
	const char *id = "{\"type\":\"dns\",\"value\":\"b.test\"}";

	(void)state;
	assert_refused("/new-order", id, "{\"type\":\"dns\",\"value\":\"evil.test\"}",
		       "not asked for");
	assert_refused("/new-order", id, "{\"type\":\"dns\",\"value\":\"*.a.test\"}",
		       "lacks this name");
	assert_refused("/new-order", id, "{\"type\":\"ip\",\"value\":\"192.0.2.1\"}",
		       "\"192.0.2.1\", which is no domain name");
	assert_refused("/new-order", id, "{\"type\":\"dns\"}", "lacks type or value");
	assert_refused("/new-order", id, "{\"type\":\"dns\",\"value\":\"a b\\u0007\"}",
		       "no domain name");
	assert_refused("/new-order", id, "{}", "lacks type or value");
	assert_refused("/authz/1", "\"b.test\"", "\"evil.test\"", "which it is not for");
	/* *.b.test is not b.test, and a.test is not *.a.test. */
	assert_refused("/authz/1", "\"b.test\"},", "\"b.test\"},\"wildcard\":true,",
		       "which it is not for");
	assert_refused("/authz/0", "\"wildcard\":true,", "", "which it is not for");
	assert_refused("/authz/0", "\"type\":\"dns\"", "\"type\":\"ip\"", "no domain name");
}

static void objects_must_have_their_form(void **state)
{
	(void)state;
	assert_refused("/dir", "{", "[{", "not JSON");
	assert_refused("/dir", "\"newOrder\"", "\"newOther\"", "lacks the URL \"newOrder\"");
	assert_refused("/new-order", "\"authorizations\"", "\"others\"", "0 authorizations");
	assert_refused("/new-order", "\"identifiers\"", "\"others\"", "0 identifiers");
	assert_refused("/new-order", "\"finalize\"", "\"others\"", "finalize");
	assert_refused("/finalize/1", "\"certificate\"", "\"others\"", "certificate");
	assert_refused("/cert/1", CA_PEM CA_PEM, "", "sent nothing");
}

static void numbers_of_things_are_bounded(void **state)
{
	struct buf many = BUF_INIT(1 << 20);

	(void)state;
	buf_add_str(&many, "\"authorizations\":[");
	for (int i = 0; i <= ACME_NAMES_MAX; i++) {
		buf_addf(&many, "\"https://ca.test/authz/%d\",", i);
	}
	assert_refused("/new-order", "\"authorizations\":[", buf_str(&many), "authorizations");
	buf_clear(&many);
}

static void a_doubled_authorization_is_asked_once(void **state)
{
	struct client client;

	(void)state;
	lie.path = "/new-order";
	lie.from = "\"https://ca.test/authz/0\"";
	lie.to = "\"https://ca.test/authz/0\",\"https://ca.test/authz/0\"";
	client_init(&client);
	client.ca.after = tell_lie;
	assert_int_equal(do_begin(&client, "a.test b.test"), ERR_NONE);
	assert_int_equal(client.order->authz_count, 2);
	client_settle(&client);
	client_clear(&client);
}

static void a_challenge_that_is_missing_is_said_before_publishing(void **state)
{
	struct err err;

	(void)state;
	lie.path = "/authz/1";
	lie.from = "\"dns-01\"";
	lie.to = "\"dns-02\"";
	err = error_of_lie();
	assert_int_equal(err.code, ERR_DENIED);
	assert_string_equal(err.subject, "b.test");
	assert_says(&err, "no dns-01 challenge");
	/* One without a token is none. */
	lie.path = "/authz/1";
	lie.from = "\"token\"";
	lie.to = "\"other\"";
	err = error_of_lie();
	assert_int_equal(err.code, ERR_DENIED);
}

static void cert_type(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	(void)ca;
	if (ca_is(request, "/cert/1")) {
		assert_string_equal(request->asked->accept, "application/pem-certificate-chain");
		free((void *)(uintptr_t)answer->headers[0].value);
		answer->headers[0].value = xstrdup(lie.to);
	}
}

static enum err_code download_of_type(const char *type)
{
	struct client client;
	enum err_code code;

	lie.to = type;
	client_init(&client);
	client.ca.after = cert_type;
	assert_int_equal(do_begin(&client, "a.test"), ERR_NONE);
	code = do_rest(&client);
	client_clear(&client);
	return code;
}

static void a_page_is_no_certificate(void **state)
{
	(void)state;
	assert_int_equal(download_of_type("text/html"), ERR_PROTOCOL);
	assert_int_equal(download_of_type("application/json"), ERR_PROTOCOL);
	assert_int_equal(download_of_type("Application/PEM-certificate-chain; charset=us-ascii"),
			 ERR_NONE);
}

static void large_cert(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	(void)ca;
	for (int i = 0; ca_is(request, "/cert/1") && i < 30000; i++) {
		buf_add_str(&answer->body, "0123456789");
	}
}

static void sizes_are_capped(void **state)
{
	struct client client;

	(void)state;
	client_init(&client);
	client.ca.after = large_cert;
	assert_int_equal(do_begin(&client, "a.test"), ERR_NONE);
	assert_int_equal(do_rest(&client), ERR_LIMIT);
	/* What the caller has room for counts as well. */
	client.ca.after = NULL;
	client.pem.max = 10;
	assert_int_equal(do_download(&client), ERR_LIMIT);
	client_clear(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_url_must_be_https),
		cmocka_unit_test(a_location_must_be_https_too),
		cmocka_unit_test(a_url_has_a_maximum),
		cmocka_unit_test(the_operators_own_directory_must_be_https),
		cmocka_unit_test(a_directory_may_not_lead_elsewhere),
		cmocka_unit_test(tokens_are_base64url_and_short),
		cmocka_unit_test(statuses_must_be_known),
		cmocka_unit_test(only_our_names_are_accepted),
		cmocka_unit_test(objects_must_have_their_form),
		cmocka_unit_test(numbers_of_things_are_bounded),
		cmocka_unit_test(a_doubled_authorization_is_asked_once),
		cmocka_unit_test(a_challenge_that_is_missing_is_said_before_publishing),
		cmocka_unit_test(a_page_is_no_certificate),
		cmocka_unit_test(sizes_are_capped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
