/* TXT texts in quotes and back, masks, and sets that are merged. */
#include "cmocka_all.h"

#include "rest/internal.h"

static void expect_round(const char *text, const char *raw)
{
	char *quoted = rest_quote(text), *back = rest_unquote(quoted);

	if (raw) {
		assert_string_equal(quoted, raw);
	}
	assert_string_equal(back, text);
	free(quoted);
	free(back);
}

static void expect_text(const char *raw, const char *text)
{
	char *found = rest_unquote(raw);

	assert_string_equal(found, text);
	free(found);
}

static void quotes_come_and_go(void **state)
{
	char long_text[601];

	(void)state;
	memset(long_text, 'x', 600);
	long_text[600] = '\0';
	expect_round("value", "\"value\"");
	expect_round("", "\"\"");
	expect_round("a \"b\" \\c", "\"a \\\"b\\\" \\\\c\"");
	expect_round(long_text, NULL);
	expect_text("bare", "bare");
	expect_text("\"a\" \"b\"", "ab");
	expect_text("\"a\\046b\"", "a.b");
	expect_text("\"open", "open");
	expect_text("\"\\", "\\");
}

static void paths_and_forms_are_encoded(void **state)
{
	static const char *const pairs[][2] = { { "grant type", "a&b=c" },
						{ "x", NULL },
						{ NULL } };
	char *form = rest_form(pairs), *text = rest_percent("_acme-challenge.x~/%\"");

	(void)state;
	assert_string_equal(form, "grant%20type=a%26b%3Dc&x=");
	assert_string_equal(text, "_acme-challenge.x~%2F%25%22");
	free(form);
	free(text);
}

static void expect_next(const char *link, const char *url)
{
	const struct http_header header = { "Link", link };
	const struct http_response http = { .headers = &header, .header_count = link ? 1 : 0 };
	char *found = rest_next_link(&(struct rest_answer){ .http = &http });

	if (url) {
		assert_non_null(found);
		assert_string_equal(found, url);
	} else {
		assert_null(found);
	}
	free(found);
}

static void the_next_page_is_found_among_links(void **state)
{
	(void)state;
	expect_next(NULL, NULL);
	expect_next("", NULL);
	expect_next("<https://a.test/?c=1>; rel=\"first\"", NULL);
	expect_next("<https://a.test/?c=1,2>; rel=\"next\"", "https://a.test/?c=1,2");
	expect_next("<https://a.test/1>; rel=\"first\",\n <https://a.test/2>; rel=\"next\"",
		    "https://a.test/2");
	expect_next("<https://a.test/2>; rel=next, <https://a.test/1>; rel=prev",
		    "https://a.test/2");
	expect_next("<https://a.test/next", NULL);
	expect_next("<><>", NULL);
}

static void secrets_are_masked_wherever_they_stand(void **state)
{
	struct rest rest = { 0 };
	char text[] = "token s3cret, again s3crets3cret, and abc";

	(void)state;
	rest_hide(&rest, "s3cret");
	rest_hide(&rest, "abc"); /* too short to be one */
	said_mask(&rest, text);
	assert_string_equal(text, "token ******, again ************, and abc");
	strlist_clear(&rest.hidden);
}

/* ---- sets ------------------------------------------------------------------------------- */

static void read_value(struct rest_set *set, const char *raw)
{
	struct walk walk = { .pub = { .set = set } };

	rest_value(&walk.pub, raw, NULL);
	assert_false(walk.overflow);
}

static struct rest_zone zone = { (char *)(uintptr_t) "example.com", (char *)(uintptr_t) "Z1" };

static void a_merge_touches_our_values_alone(void **state)
{
	struct rest_set set;

	(void)state;
	set_init(&set, "_acme-challenge.www.example.com", &zone);
	assert_string_equal(set.label, "_acme-challenge.www");
	read_value(&set, "\"for\" \"eign\"");
	read_value(&set, "\"old\"");
	set.old_ttl_s = 300;
	strlist_add(&set.add, "new");
	strlist_add(&set.remove, "old");
	strlist_add(&set.remove, "never there");
	assert_true(set_merge(&set, 60));
	assert_int_equal(set.value_count, 2);
	assert_string_equal(set.value[0].raw, "\"for\" \"eign\""); /* as it was written */
	assert_string_equal(set.value[1].text, "new");
	assert_null(set.value[1].raw);
	assert_int_equal(set.ttl_s, 300); /* the TTL is everybody's */
	assert_int_equal(set.old_count, 2);
	set_clear(&set);
}

static void a_merge_that_changes_nothing_says_so(void **state)
{
	struct rest_set set;

	(void)state;
	set_init(&set, "example.com", &zone);
	assert_string_equal(set.label, "");
	read_value(&set, "\"new\"");
	strlist_add(&set.add, "new");
	strlist_add(&set.remove, "old");
	assert_false(set_merge(&set, 60));
	assert_int_equal(set.value_count, 1);
	set_clear(&set);
}

static void a_set_too_large_is_not_taken_for_whole(void **state)
{
	struct rest_set set;
	struct walk walk = { .pub = { .set = &set } };

	(void)state;
	set_init(&set, "example.com", &zone);
	for (size_t i = 0; i < REST_VALUES_MAX; i++) {
		rest_value(&walk.pub, "x", NULL);
	}
	assert_false(walk.overflow);
	rest_value(&walk.pub, "x", NULL);
	assert_true(walk.overflow);
	assert_int_equal(set.value_count, REST_VALUES_MAX);
	set_clear(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quotes_come_and_go),
		cmocka_unit_test(paths_and_forms_are_encoded),
		cmocka_unit_test(the_next_page_is_found_among_links),
		cmocka_unit_test(secrets_are_masked_wherever_they_stand),
		cmocka_unit_test(a_merge_touches_our_values_alone),
		cmocka_unit_test(a_merge_that_changes_nothing_says_so),
		cmocka_unit_test(a_set_too_large_is_not_taken_for_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
