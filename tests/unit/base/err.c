#include "cmocka_all.h"
#include "dns01/base.h"

static void test_set_fills_everything_and_returns_the_code(void **state)
{
	struct err err;

	(void)state;
	memset(&err, 'x', sizeof(err));
	assert_int_equal(err_set(&err, ERR_DNS, "example.com", "no %s at %d", "NS", 3), ERR_DNS);
	assert_int_equal(err.code, ERR_DNS);
	assert_string_equal(err.subject, "example.com");
	assert_string_equal(err.text, "no NS at 3");
	assert_string_equal(err.problem, "");
	assert_int_equal(err.retry_after_s, 0);
}

static void test_set_without_err_only_returns_the_code(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_BUSY, "a", "b"), ERR_BUSY);
}

static void test_set_may_quote_the_error_it_replaces(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_IO, NULL, "inner");
	err_set(&err, ERR_DEPLOY, NULL, "outer: %s", err.text);
	assert_string_equal(err.text, "outer: inner");
}

static void test_subject_is_added_only_where_there_is_none(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_TIMEOUT, NULL, "no answer");
	assert_int_equal(err_subject(&err, "zone %s", "a.test"), ERR_TIMEOUT);
	assert_string_equal(err.subject, "zone a.test");
	err_subject(&err, "other");
	assert_string_equal(err.subject, "zone a.test");
	assert_int_not_equal(err_subject(NULL, "x"), ERR_NONE);
}

static void test_terminal_controls_of_a_peer_are_escaped(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_ACME, "a\nb", "said %s", "\033[31mred");
	assert_string_equal(err.subject, "a\\x0ab");
	assert_string_equal(err.text, "said \\x1b[31mred");
}

static void test_long_text_is_cut_with_dots(void **state)
{
	char text[4 * ERR_TEXT_MAX];
	struct err err;

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&err, ERR_ACME, text, "%s", text);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_string_equal(err.text + ERR_TEXT_MAX - 5, "a...");
	assert_int_equal(strlen(err.subject), ERR_SUBJECT_MAX - 1);
}

static void check_format(const char *subject, const char *text, const char *expected)
{
	struct err err;
	char *line;

	err_set(&err, ERR_NOT_FOUND, subject, "%s", text);
	line = err_format(&err);
	assert_string_equal(line, expected);
	free(line);
}

static void test_format_puts_the_subject_in_front(void **state)
{
	(void)state;
	check_format("a.test", "it is gone", "a.test: it is gone");
	check_format(NULL, "it is gone", "it is gone");
	check_format("a.test", "", "a.test: not-found");
}

static void test_every_code_has_a_name_and_a_status_of_its_own_kind(void **state)
{
	(void)state;
	assert_int_equal(err_exit_status(ERR_NONE), 0);
	for (int code = ERR_NONE + 1; code < ERR_COUNT; code++) {
		assert_int_not_equal(err_exit_status((enum err_code)code), 0);
		assert_true(strlen(err_code_name((enum err_code)code)) > 0);
		for (int other = ERR_NONE; other < code; other++) {
			assert_string_not_equal(err_code_name((enum err_code)code),
						err_code_name((enum err_code)other));
		}
	}
	assert_int_equal(err_exit_status(ERR_USAGE), 64);
	assert_int_equal(err_exit_status(ERR_CONFIG), 78);
	assert_int_equal(err_exit_status(ERR_BUSY), 75);
	assert_int_equal(err_exit_status(ERR_CANCELED), 130);
	assert_int_equal(err_exit_status(ERR_ACME), 10);
	assert_int_equal(err_exit_status((enum err_code)999), 70);
}

static void test_clear_makes_it_no_error(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_IO, "a", "b");
	err_clear(&err);
	assert_int_equal(err.code, ERR_NONE);
	assert_string_equal(err.subject, "");
	assert_string_equal(err.text, "");
	err_clear(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_fills_everything_and_returns_the_code),
		cmocka_unit_test(test_set_without_err_only_returns_the_code),
		cmocka_unit_test(test_set_may_quote_the_error_it_replaces),
		cmocka_unit_test(test_subject_is_added_only_where_there_is_none),
		cmocka_unit_test(test_terminal_controls_of_a_peer_are_escaped),
		cmocka_unit_test(test_long_text_is_cut_with_dots),
		cmocka_unit_test(test_format_puts_the_subject_in_front),
		cmocka_unit_test(test_every_code_has_a_name_and_a_status_of_its_own_kind),
		cmocka_unit_test(test_clear_makes_it_no_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
