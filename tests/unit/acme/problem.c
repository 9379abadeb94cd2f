/* Problem documents, and what people read of them. */
#include "acme/client.h"

static struct {
	int status;
	const char *type;
	const char *body;
	const char *link, *link2;
	const char *retry_after;
} refusal;

static bool refuse(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	(void)ca;
	if (!ca_is(request, "/new-order")) {
		return false;
	}
	answer->status = refusal.status;
	if (refusal.type) {
		answer_header(answer, "content-type", refusal.type);
	}
	if (refusal.link) {
		answer_header(answer, "link", refusal.link);
	}
	if (refusal.link2) {
		answer_header(answer, "link", refusal.link2);
	}
	if (refusal.retry_after) {
		answer_header(answer, "retry-after", refusal.retry_after);
	}
	buf_add_str(&answer->body, refusal.body);
	return true;
}

/* The error of a newOrder that is refused with that document. */
static struct err refused(int status, const char *body)
{
	struct client client;
	struct err err;

	refusal.status = status;
	refusal.body = body;
	client_init(&client);
	client.ca.before = refuse;
	assert_int_not_equal(do_begin(&client, "a.test"), ERR_NONE);
	assert_int_equal(client.ca.orders, 0);
	err = client.outcome.err;
	client_settle(&client);
	client_clear(&client);
	memset(&refusal, 0, sizeof(refusal));
	refusal.type = "application/problem+json; charset=utf-8";
	return err;
}

static int set_up(void **state)
{
	(void)state;
	memset(&refusal, 0, sizeof(refusal));
	refusal.type = "application/problem+json";
	return 0;
}

static void subproblems_name_their_identifiers(void **state)
{
	struct err err =
		refused(403,
			"{\"type\":\"" CA_PROBLEM "malformed\",\"detail\":\"Some were refused\","
			"\"subproblems\":[{\"type\":\"" CA_PROBLEM
			"malformed\",\"detail\":\"bad\\ttaste\","
			"\"identifier\":{\"type\":\"dns\",\"value\":\"www.example.com\"}},"
			"{\"type\":\"" CA_PROBLEM "rejectedIdentifier\",\"detail\":\"policy\","
			"\"identifier\":{\"type\":\"dns\",\"value\":\"example.net\"}}]}");

	(void)state;
	assert_int_equal(err.code, ERR_ACME);
	assert_string_equal(err.text,
			    "the CA refused to make the order: Some were refused (malformed); "
			    "www.example.com: bad\\x09taste (malformed); "
			    "example.net: policy (rejectedIdentifier)");
	assert_string_equal(err.problem, CA_PROBLEM "malformed");
	assert_string_equal(err.subject, "ca.test");
}

static void a_rate_limit_says_when_and_where_to_read(void **state)
{
	struct err err;

	(void)state;
	refusal.link = "<https://ca.test/dir>;rel=\"index\", "
		       "<https://ca.test/docs/limits>; title=\"a, b; c\"; rel=\"help\"";
	refusal.retry_after = "86400";
	err = refused(429, "{\"type\":\"" CA_PROBLEM "rateLimited\",\"detail\":\"too many\"}");
	assert_int_equal(err.code, ERR_LIMIT);
	assert_int_equal(err.retry_after_s, 86400);
	assert_string_equal(err.text, "the CA refused to make the order: too many (rateLimited); "
				      "see https://ca.test/docs/limits; "
				      "try again after 2026-11-25T02:00:05Z");
	assert_false(acme_paused(&err));
	/* Not with a 503 either, and not twice where the CA wrote it already. */
	refusal.link = "<https://ca.test/docs/limits>;rel=help";
	refusal.retry_after = "1";
	err = refused(503, "{\"type\":\"" CA_PROBLEM "rateLimited\","
			   "\"detail\":\"see https://ca.test/docs/limits\"}");
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.text, "the CA refused to make the order: "
				      "see https://ca.test/docs/limits (rateLimited); "
				      "try again after 2026-11-24T02:00:06Z");
	refusal.retry_after = "60";
	err = refused(429, "{\"type\":\"" CA_PROBLEM "rateLimited\","
			   "\"detail\":\"too many, retry after 2026-11-25 10:00:00 UTC\"}");
	assert_null(strstr(err.text, "try again"));
	/* A limit of something in front of the CA. */
	refusal.type = "text/plain";
	refusal.retry_after = "Tue, 24 Nov 2026 03:00:00 GMT";
	err = refused(429, "slow down");
	assert_int_equal(err.code, ERR_LIMIT);
	assert_says(&err, "429 without saying why; try again after 2026-11-24T03:00:00Z");
}

#define PAUSED                                                                               \
	"Your account is temporarily prevented from requesting certificates for a.test and " \
	"possibly others. Please visit: "
#define PAGE "https://portal.ca.test/sfe/v1/unpause?jwt=eyJhbGciOiJIUzI1NiJ9.e30.c2ln"

static struct err paused(const char *words)
{
	char *body = xasprintf("{\"type\":\"" CA_PROBLEM "rateLimited\",\"detail\":\"%s\"}", words);
	struct err err = refused(429, body);

	free(body);
	return err;
}

static void a_pause_is_lifted_by_a_person_at_a_page(void **state)
{
	char long_page[700];
	struct err err;

	(void)state;
	err = paused(PAUSED PAGE);
	assert_true(acme_paused(&err));
	assert_string_equal(err.text, "the CA refused to make the order: it has paused the account "
				      "for these names (rateLimited), until a person visits " PAGE);
	assert_int_equal(err.retry_after_s, 0);
	/* A signature that is cut off opens nothing. */
	memset(long_page, 'x', sizeof(long_page) - 1);
	long_page[sizeof(long_page) - 1] = '\0';
	memcpy(long_page, PAGE, strlen(PAGE));
	err = paused(long_page);
	assert_true(acme_paused(&err));
	assert_says(&err, "the page that the log names, at https://portal.ca.test/");
	/* The end of a sentence is no part of the address. */
	err = paused("Visit " PAGE ".");
	assert_true(strlen(err.text) > strlen(PAGE));
	assert_string_equal(err.text + strlen(err.text) - strlen(PAGE), PAGE);
	/* With a time it is a limit that passes, and so is one that only points to its manual. */
	refusal.retry_after = "60";
	err = paused(PAUSED PAGE);
	assert_false(acme_paused(&err));
	assert_int_equal(err.code, ERR_LIMIT);
	err = paused("Too many requests: see https://ca.test/docs/limits");
	assert_false(acme_paused(&err));
	err = paused("Please visit: http://portal.ca.test/unpause?jwt=1");
	assert_false(acme_paused(&err));
	/* Elsewhere than in the words. */
	refusal.link = "<" PAGE ">;rel=\"help\"";
	err = paused("paused");
	assert_true(acme_paused(&err));
	assert_says(&err, PAGE);
}

static void user_action_names_the_page(void **state)
{
	struct err err;

	(void)state;
	refusal.link = "<https://ca.test/index>;rel=\"index\"";
	refusal.link2 = "<https://ca.test/terms/2>;rel=\"terms-of-service\"";
	err = refused(403, "{\"type\":\"" CA_PROBLEM "userActionRequired\","
			   "\"detail\":\"Terms of service have changed\","
			   "\"instance\":\"https://ca.test/agree?token=W8Ih3PswD-8\"}");
	assert_string_equal(err.text,
			    "the CA refused to make the order: Terms of service have changed "
			    "(userActionRequired); the account's owner must visit "
			    "https://ca.test/agree?token=W8Ih3PswD-8; the terms of service are at "
			    "https://ca.test/terms/2");
	/* No page to visit that would be no page. */
	refusal.link = "<javascript:alert(1)>;rel=\"terms-of-service\"";
	err = refused(403, "{\"type\":\"" CA_PROBLEM "userActionRequired\","
			   "\"detail\":\"x\",\"instance\":\"http://evil.test/\"}");
	assert_string_equal(err.text, "the CA refused to make the order: x (userActionRequired)");
}

static void advice_follows_the_type(void **state)
{
	struct err err;

	(void)state;
	err = refused(400, "{\"type\":\"" CA_PROBLEM "badSignatureAlgorithm\",\"detail\":\"no\","
			   "\"algorithms\":[\"RS256\",\"ES384\"]}");
	assert_says(&err, "must be for one of RS256, ES384");
	err = refused(403, "{\"type\":\"" CA_PROBLEM "externalAccountRequired\"}");
	assert_says(&err, "no explanation was given (externalAccountRequired); this CA wants an "
			  "external account binding");
	err = refused(400, "{\"type\":\"" CA_PROBLEM "invalidContact\",\"detail\":\"no MX\"}");
	assert_says(&err, "no MX (invalidContact); a contact is one mailto: URL");
}

static void what_the_server_broke_passes(void **state)
{
	struct err err;

	(void)state;
	err = refused(500, "{\"type\":\"" CA_PROBLEM "serverInternal\",\"detail\":\"oops\"}");
	assert_true(acme_passing(&err));
	assert_string_equal(err.problem, CA_PROBLEM "serverInternal");
	err = refused(400, "{\"type\":\"" CA_PROBLEM "invalidProfile\",\"detail\":\"no\"}");
	assert_false(acme_passing(&err));
	assert_true(acme_problem_is(&err, "invalidProfile"));
	assert_false(acme_problem_is(&err, "invalid"));
}

static void types_may_be_unknown_or_missing(void **state)
{
	struct err err;

	(void)state;
	err = refused(400, "{\"type\":\"urn:ca:odd\",\"detail\":\"why not\"}");
	assert_says(&err, "why not (urn:ca:odd)");
	assert_string_equal(err.problem, "urn:ca:odd");
	err = refused(400, "{\"type\":\"about:blank\",\"title\":\"Bad Request\"}");
	assert_string_equal(err.text, "the CA refused to make the order: Bad Request");
	assert_string_equal(err.problem, "");
	err = refused(400, "{}");
	assert_string_equal(err.text, "the CA refused to make the order: no explanation was given");
}

static void what_is_no_document_is_only_a_status(void **state)
{
	static const char *const bodies[] = { "", "<html>", "[]", "{\"detail\":", "\"x\"" };
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		err = refused(400, bodies[i]);
		assert_int_equal(err.code, ERR_PROTOCOL);
		assert_string_equal(err.text, "asked to make the order, the CA answered with HTTP "
					      "status 400 without saying why");
	}
	refusal.type = "text/html";
	err = refused(400, "{\"type\":\"" CA_PROBLEM "caa\",\"detail\":\"a page\"}");
	assert_string_equal(err.problem, "");
	assert_null(strstr(err.text, "a page"));
}

static void long_and_hostile_text_is_bounded(void **state)
{
	struct buf body = BUF_INIT(100000);
	struct err err;

	(void)state;
	buf_add_str(&body, "{\"type\":\"" CA_PROBLEM);
	for (int i = 0; i < 300; i++) {
		buf_add_str(&body, "x");
	}
	buf_add_str(&body, "\",\"detail\":\"");
	for (int i = 0; i < 3000; i++) {
		buf_add_str(&body, "\\u001b[2J");
	}
	buf_add_str(&body, "\",\"subproblems\":[");
	for (int i = 0; i < 500; i++) {
		buf_addf(&body,
			 "%s{\"detail\":\"\\u001b]0;x\",\"identifier\":{\"value\":\"\\u0007\"}}",
			 i ? "," : "");
	}
	buf_add_str(&body, "]}");
	err = refused(400, buf_str(&body));
	assert_true(strlen(err.text) < ERR_TEXT_MAX);
	assert_true(strlen(err.problem) < ERR_PROBLEM_MAX);
	assert_null(strpbrk(err.text, "\033\007\n\r"));
	assert_says(&err, " more");
	buf_clear(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(subproblems_name_their_identifiers, set_up),
		cmocka_unit_test_setup(a_rate_limit_says_when_and_where_to_read, set_up),
		cmocka_unit_test_setup(a_pause_is_lifted_by_a_person_at_a_page, set_up),
		cmocka_unit_test_setup(user_action_names_the_page, set_up),
		cmocka_unit_test_setup(advice_follows_the_type, set_up),
		cmocka_unit_test_setup(what_the_server_broke_passes, set_up),
		cmocka_unit_test_setup(types_may_be_unknown_or_missing, set_up),
		cmocka_unit_test_setup(what_is_no_document_is_only_a_status, set_up),
		cmocka_unit_test_setup(long_and_hostile_text_is_bounded, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
