/* Retry-After, Link and URLs, octet by octet. */
#include "acme/acme_internal.h"
#include "cmocka_all.h"

#define NOW_S 1795485600 /* Tue, 24 Nov 2026 02:00:00 GMT */

static int64_t retry_after(const char *value, const char *date)
{
	const struct http_header headers[] = { { "retry-after", value }, { "date", date } };
	const struct http_response response = { .headers = headers, .header_count = date ? 2 : 1 };

	return acme_retry_after_s(&response, NOW_S);
}

static void retry_after_has_two_forms(void **state)
{
	const struct http_response none = { 0 };

	(void)state;
	assert_int_equal(acme_retry_after_s(&none, NOW_S), -1);
	assert_int_equal(retry_after("0", NULL), 0);
	assert_int_equal(retry_after("120", NULL), 120);
	assert_int_equal(retry_after("99999999999999999999999", NULL), RETRY_AFTER_MAX_S);
	assert_int_equal(retry_after("18446744073709551616", NULL), RETRY_AFTER_MAX_S);
	assert_int_equal(retry_after("", NULL), -1);
	assert_int_equal(retry_after("1.5", NULL), -1);
	assert_int_equal(retry_after("-1", NULL), -1);
	assert_int_equal(retry_after("tomorrow", NULL), -1);
	assert_int_equal(retry_after("Tue, 24 Nov 2026 02:01:40 GMT", NULL), 100);
	assert_int_equal(retry_after("Tue, 24 Nov 2026 01:00:00 GMT", NULL), 0);
	assert_int_equal(retry_after("Tue, 24 Nov 2026 02:01:40 GMT",
				     "Tue, 24 Nov 2026 02:01:30 GMT"),
			 10);
	assert_int_equal(retry_after("Tue, 24 Nov 2026 02:01:40 GMT", "yesterday"), 100);
	assert_int_equal(retry_after("Fri, 31 Dec 9999 23:59:59 GMT", NULL), RETRY_AFTER_MAX_S);
}

static void assert_link(const char *value, const char *rel, const char *wanted)
{
	const struct http_header headers[] = { { "x", "y" }, { "link", value } };
	const struct http_response response = { .headers = headers, .header_count = 2 };
	char *target = acme_link(&response, rel);

	if (wanted) {
		assert_non_null(target);
		assert_string_equal(target, wanted);
	} else {
		assert_null(target);
	}
	free(target);
}

static void links_are_found_by_their_relation(void **state)
{
	(void)state;
	assert_link("<https://a/>;rel=help", "help", "https://a/");
	assert_link("<https://a/> ; REL = \"Help\"", "help", "https://a/");
	assert_link("<https://a/>;rel=\"next  help\"", "help", "https://a/");
	assert_link("<https://a/>;rel=\"nohelp\"", "help", NULL);
	assert_link("<https://a/>;rel=helper", "help", NULL);
	assert_link("<https://a/>;title=help", "help", NULL);
	assert_link("<https://a/>;title=\"rel=help\", <https://b/>;rel=help", "help", "https://b/");
	assert_link("<https://a/>;title=\"<;,\";rel=up, <https://b/>; x; rel=\"help\"", "help",
		    "https://b/");
	assert_link("<https://a/,;>;rel=help", "help", "https://a/,;");
	assert_link("<>;rel=help", "help", "");
	/* Broken ones end it. */
	assert_link("", "help", NULL);
	assert_link("<", "help", NULL);
	assert_link("<https://a/", "help", NULL);
	assert_link("<https://a/>;", "help", NULL);
	assert_link("<https://a/>;rel", "help", NULL);
	assert_link("<https://a/>;rel=", "help", NULL);
	assert_link("<https://a/>;rel=\"", "help", NULL);
	assert_link("<https://a/>;rel=\"help", "help", "https://a/");
	assert_link("<https://a/>;;;;rel=help", "help", "https://a/");
}

static void urls_are_https_and_plain(void **state)
{
	static const char *const good[] = { "https://a", "https://a/", "HTTPS://a:443/?x=%2f&y",
					    "https://[2001:db8::1]:14000/dir", "https://a?b@c" };
	static const char *const bad[] = {
		"",
		"https",
		"https:/a",
		"https://",
		"https:///a",
		"https://?a",
		"https://:443",
		"http://a",
		"https://a@b/",
		"https://a/\"",
		"https://a/ ",
		"https://a/\n",
		"https://a/\t",
		"https://a/\x7f",
		"https://a/\x80",
		"https://a\\b",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(acme_url_is(good[i]));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (acme_url_is(bad[i])) {
			fail_msg("%s", bad[i]);
		}
	}
}

static void a_pause_has_a_floor_and_a_ceiling(void **state)
{
	(void)state;
	assert_int_equal(acme_backoff_ms(0, -1), 250);
	assert_int_equal(acme_backoff_ms(1, -1), 250);
	assert_int_equal(acme_backoff_ms(2, 0), 500);
	assert_int_equal(acme_backoff_ms(4, -1), 2000);
	assert_int_equal(acme_backoff_ms(4000000000u, INT64_MIN), 2000);
	assert_int_equal(acme_backoff_ms(1, 3), 3000);
	assert_int_equal(acme_backoff_ms(1, INT64_MAX), REQUEST_WAIT_MAX_S * 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(retry_after_has_two_forms),
		cmocka_unit_test(links_are_found_by_their_relation),
		cmocka_unit_test(urls_are_https_and_plain),
		cmocka_unit_test(a_pause_has_a_floor_and_a_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
