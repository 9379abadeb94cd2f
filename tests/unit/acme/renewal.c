/* When the CA wants a certificate renewed (RFC 9773). */
#include "acme/client.h"

#define CERT_ID "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
#define WINDOW                                                      \
	"{\"suggestedWindow\":{\"start\":\"2026-12-01T00:00:00Z\"," \
	"\"end\":\"2026-12-03T01:00:00+01:00\"}"

static struct {
	int status;
	const char *body, *retry_after;
	unsigned asked;
	char path[128];
} ari;

static bool renewal_info(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	if (!ca_under(request, "/ari")) {
		return false;
	}
	if (strcmp(request->asked->method, "GET") != 0 || *request->asked->body) {
		ca_wrong(ca, "renewal information is asked for without a signature");
	}
	ari.asked++;
	snprintf(ari.path, sizeof(ari.path), "%s", request->path);
	answer->status = ari.status;
	if (ari.retry_after) {
		answer_header(answer, "retry-after", ari.retry_after);
	}
	buf_add_str(&answer->body, ari.body);
	return true;
}

static int set_up(void **state)
{
	(void)state;
	memset(&ari, 0, sizeof(ari));
	ari.status = 200;
	ari.body = WINDOW "}";
	return 0;
}

/* Asked of a CA whose directory says renewalInfo: url (NULL: nothing). */
static struct err ask(const char *url, struct acme_renewal_info *info)
{
	struct client client;
	char *meta = url ? xasprintf(",\"renewalInfo\":\"%s\"", url) : NULL;
	struct err err = { 0 };

	client_init(&client);
	client.ca.before = renewal_info;
	client.ca.directory_meta = meta;
	assert_int_equal(do_directory(&client), ERR_NONE);
	if (client_run(&client, acme_renewal_info_start(client.acme, CERT_ID, info, on_outcome,
							&client.outcome)) != ERR_NONE) {
		err = client.outcome.err;
	}
	client_settle(&client);
	client_clear(&client);
	free(meta);
	return err;
}

static void the_window_is_read(void **state)
{
	struct acme_renewal_info info = { 0 };
	struct err err;

	(void)state;
	ari.retry_after = "21600";
	ari.body = WINDOW ",\"explanationURL\":\"https://ca.test/incident?\\u0007\"}";
	err = ask(CA "/ari", &info);
	assert_int_equal(err.code, ERR_NONE);
	assert_string_equal(ari.path, "/ari/" CERT_ID);
	assert_int_equal(info.start, 1796083200);
	assert_int_equal(info.end, 1796256000);
	assert_int_equal(info.retry_after_s, 21600);
	assert_string_equal(info.explanation, "https://ca.test/incident?\\x07");
	/* The next answer takes its place. */
	ari.body = WINDOW ",\"explanationURL\":7}";
	err = ask(CA "/ari/", &info);
	assert_int_equal(err.code, ERR_NONE);
	assert_string_equal(ari.path, "/ari/" CERT_ID); /* one slash */
	assert_null(info.explanation);
	acme_renewal_info_clear(&info);
	assert_int_equal(info.start, 0);
}

static void it_is_asked_again_neither_soon_nor_never(void **state)
{
	static const struct {
		const char *header;
		int64_t wanted_s;
	} times[] = {
		{ "1", 60 },
		{ "60", 60 },
		{ "3600", 3600 },
		{ "Tue, 24 Nov 2026 04:00:05 GMT", 7200 },
		{ "99999999999999", 86400 },
		{ NULL, 21600 },
		{ "soon", 21600 },
	};
	struct acme_renewal_info info = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		ari.retry_after = times[i].header;
		assert_int_equal(ask(CA "/ari", &info).code, ERR_NONE);
		assert_in_range(info.retry_after_s, times[i].wanted_s - 1, times[i].wanted_s);
	}
	acme_renewal_info_clear(&info);
}

static void an_explanation_is_a_page_of_the_web(void **state)
{
	static const char *const bad[] = { "javascript:alert(1)", "file:///etc/passwd", "",
					   "https" };
	struct acme_renewal_info info = { 0 };
	struct buf body = BUF_INIT(4096);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		buf_clear(&body);
		buf_addf(&body, WINDOW ",\"explanationURL\":\"%s\"}", bad[i]);
		ari.body = buf_str(&body);
		assert_int_equal(ask(CA "/ari", &info).code, ERR_NONE);
		assert_null(info.explanation);
	}
	buf_clear(&body);
	buf_addf(&body, WINDOW ",\"explanationURL\":\"https://%01024d\"}", 0);
	ari.body = buf_str(&body);
	assert_int_equal(ask(CA "/ari", &info).code, ERR_NONE);
	assert_null(info.explanation);
	ari.body = WINDOW ",\"explanationURL\":\"http://ca.test/why\"}";
	assert_int_equal(ask(CA "/ari", &info).code, ERR_NONE);
	assert_string_equal(info.explanation, "http://ca.test/why");
	acme_renewal_info_clear(&info);
	buf_clear(&body);
}

#define BETWEEN(start, end) "{\"suggestedWindow\":{\"start\":\"" start "\",\"end\":\"" end "\"}}"

static void what_is_no_window_is_no_answer(void **state)
{
	static const char *const bad[] = {
		"{}",
		"[]",
		"{\"suggestedWindow\":[]}",
		"{\"suggestedWindow\":{\"start\":\"2026-12-01T00:00:00Z\"}}",
		BETWEEN("2026-12-01", "2026-12-02T00:00:00Z"),
		BETWEEN("2026-12-01T00:00:00Z", "2026-12-01T00:00:00Z"),
		BETWEEN("2026-12-02T00:00:00Z", "2026-12-01T00:00:00Z"),
		BETWEEN("2026-12-01T00:00:00Z", "2026-12-01T01:00:00+02:00"),
		"renew when you like",
	};
	struct acme_renewal_info info = { .start = 7, .explanation = xstrdup("as it was") };
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ari.body = bad[i];
		err = ask(CA "/ari", &info);
		if (err.code != ERR_PROTOCOL) {
			fail_msg("%s: %s", bad[i], err_code_name(err.code));
		}
		assert_says(&err, "when to renew");
		assert_false(acme_passing(&err));
		assert_string_equal(err.subject, "ca.test");
		assert_int_equal(info.start, 7);
	}
	acme_renewal_info_clear(&info);
}

static void a_failure_passes_or_lasts(void **state)
{
	struct acme_renewal_info info = { 0 };
	struct err err;

	(void)state;
	ari.status = 503;
	ari.body = "";
	ari.retry_after = "7200"; /* longer than a request waits */
	err = ask(CA "/ari", &info);
	assert_true(acme_passing(&err));
	assert_int_equal(err.retry_after_s, 7200);
	assert_int_equal(ari.asked, 1);
	ari.retry_after = NULL;
	ari.status = 500;
	err = ask(CA "/ari", &info);
	assert_true(acme_passing(&err));
	assert_int_equal(ari.asked, 5); /* and in one request already */
	ari.status = 404;
	err = ask(CA "/ari", &info);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_false(acme_passing(&err));
	ari.status = 302;
	err = ask(CA "/ari", &info);
	assert_false(acme_passing(&err));
	err = ask(NULL, &info);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_says(&err, "its directory has no renewalInfo");
	assert_int_equal(ari.asked, 7);
}

static void an_identifier_is_nothing_but_that(void **state)
{
	static const char *const bad[] = { "",      ".",    "a",     "a.",   ".b",
					   "a.b.c", "../b", "a/b.c", "a.b?c" };
	struct acme_renewal_info info = { 0 };
	struct client client;

	(void)state;
	client_init(&client);
	client.ca.before = renewal_info;
	client.ca.directory_meta = ",\"renewalInfo\":\"" CA "/ari\"";
	assert_int_equal(do_directory(&client), ERR_NONE);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(client_run(&client,
					    acme_renewal_info_start(client.acme, bad[i], &info,
								    on_outcome, &client.outcome)),
				 ERR_INTERNAL);
	}
	assert_int_equal(ari.asked, 0);
	client_settle(&client);
	client_clear(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_window_is_read, set_up),
		cmocka_unit_test_setup(it_is_asked_again_neither_soon_nor_never, set_up),
		cmocka_unit_test_setup(an_explanation_is_a_page_of_the_web, set_up),
		cmocka_unit_test_setup(what_is_no_window_is_no_answer, set_up),
		cmocka_unit_test_setup(a_failure_passes_or_lasts, set_up),
		cmocka_unit_test_setup(an_identifier_is_nothing_but_that, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
