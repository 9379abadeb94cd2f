#include "cmocka_all.h"
#include "dns01/base.h"

static void check_escape(const char *text, size_t len, const char *expected)
{
	char out[100];

	text_escape(out, sizeof(out), text, len);
	assert_string_equal(out, expected);
}

static void test_plain_text_and_utf8_stay(void **state)
{
	(void)state;
	check_escape("", 0, "");
	check_escape("a \\ \"b\"", 7, "a \\ \"b\"");
	check_escape("\xc3\xa4\xe2\x82\xac\xf0\x9f\x8c\x8d", 9,
		     "\xc3\xa4\xe2\x82\xac\xf0\x9f\x8c\x8d");
}

static void test_controls_are_escaped(void **state)
{
	(void)state;
	check_escape("a\0b\n\t\x7f", 6, "a\\x00b\\x0a\\x09\\x7f");
	check_escape("\xc2\x9b", 2, "\\xc2\\x9b");          /* U+009B, CSI */
	check_escape("\xe2\x80\xae", 3, "\\xe2\\x80\\xae"); /* U+202E turns the line around */
}

static void test_broken_utf8_is_escaped(void **state)
{
	(void)state;
	check_escape("\x80", 1, "\\x80");
	check_escape("\xc3", 1, "\\xc3");
	check_escape("\xc3z", 2, "\\xc3z");
	check_escape("\xc0\xaf", 2, "\\xc0\\xaf");                   /* overlong */
	check_escape("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");          /* surrogate */
	check_escape("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80"); /* past U+10FFFF */
	check_escape("\xff\xfe", 2, "\\xff\\xfe");
}

static void test_every_size_is_kept_and_nothing_is_cut_in_half(void **state)
{
	static const char text[] = "ab\xc3\xa4\n\xe2\x82\xac";
	char out[32];

	(void)state;
	for (size_t max = 1; max < sizeof(out); max++) {
		char again[32];

		memset(out, '#', sizeof(out));
		text_escape(out, max, text, sizeof(text) - 1);
		assert_true(strlen(out) < max);
		if (max < sizeof(out)) {
			assert_int_equal(out[max], '#');
		}
		text_escape(again, sizeof(again), out, strlen(out));
		assert_string_equal(again, out); /* still whole UTF-8 */
	}
	text_escape(out, 9, text, sizeof(text) - 1);
	assert_string_equal(out, "ab\xc3\xa4...");
	text_escape(out, 0, text, sizeof(text) - 1);
}

static void test_numbers(void **state)
{
	uint64_t value = 7;

	(void)state;
	assert_true(text_parse_u64("0", 0, &value));
	assert_int_equal(value, 0);
	assert_true(text_parse_u64("18446744073709551615", UINT64_MAX, &value));
	assert_true(value == UINT64_MAX);
	assert_true(text_parse_u64("0100", 100, &value));
	assert_int_equal(value, 100);
}

static void test_what_is_no_number(void **state)
{
	static const char *const wrong[] = { "",
					     "-1",
					     "+1",
					     " 1",
					     "1 ",
					     "0x1",
					     "1.0",
					     "18446744073709551616",
					     "99999999999999999999999" };
	uint64_t value = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_false(text_parse_u64(wrong[i], UINT64_MAX, &value));
	}
	assert_false(text_parse_u64("65536", 65535, &value));
	assert_int_equal(value, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_text_and_utf8_stay),
		cmocka_unit_test(test_controls_are_escaped),
		cmocka_unit_test(test_broken_utf8_is_escaped),
		cmocka_unit_test(test_every_size_is_kept_and_nothing_is_cut_in_half),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_what_is_no_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
