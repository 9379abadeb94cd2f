#include "cmocka_all.h"
#include "dns01/base.h"

static void test_is_an_argv_at_every_length(void **state)
{
	struct strlist list = { .item = NULL };

	(void)state;
	for (size_t i = 0; i < 100; i++) {
		strlist_addf(&list, "%zu", i);
		assert_int_equal(list.count, i + 1);
		assert_null(list.item[i + 1]);
	}
	assert_string_equal(list.item[0], "0");
	assert_string_equal(list.item[99], "99");
	strlist_clear(&list);
	assert_int_equal(list.count, 0);
	assert_null(list.item);
}

static void test_has_compares_whole_strings(void **state)
{
	struct strlist list = { .item = NULL };

	(void)state;
	assert_false(strlist_has(&list, "a"));
	strlist_add(&list, "abc");
	strlist_take(&list, xstrdup("d"));
	assert_true(strlist_has(&list, "abc"));
	assert_true(strlist_has(&list, "d"));
	assert_false(strlist_has(&list, "ab"));
	assert_false(strlist_has(&list, ""));
	strlist_clear(&list);
}

static void test_copy_appends_even_to_itself(void **state)
{
	struct strlist list = { .item = NULL };
	char *joined;

	(void)state;
	strlist_add(&list, "a");
	strlist_add(&list, "b");
	strlist_copy(&list, &list);
	joined = strlist_join(&list, ", ");
	assert_string_equal(joined, "a, b, a, b");
	assert_ptr_not_equal(list.item[0], list.item[2]);
	free(joined);
	strlist_clear(&list);
}

static void test_join_of_nothing_is_empty(void **state)
{
	struct strlist list = { .item = NULL };
	char *joined = strlist_join(&list, ",");

	(void)state;
	assert_string_equal(joined, "");
	free(joined);
	strlist_clear(&list);
}

static void words_are_added_one_by_one(void **state)
{
	struct strlist list = { .item = NULL };
	char *joined;

	(void)state;
	strlist_add_words(&list, "");
	strlist_add_words(&list, "  ");
	assert_int_equal(list.count, 0);
	strlist_add_words(&list, " a  bc");
	strlist_add_words(&list, "d ");
	joined = strlist_join(&list, "|");
	assert_string_equal(joined, "a|bc|d");
	free(joined);
	strlist_clear(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_an_argv_at_every_length),
		cmocka_unit_test(words_are_added_one_by_one),
		cmocka_unit_test(test_has_compares_whole_strings),
		cmocka_unit_test(test_copy_appends_even_to_itself),
		cmocka_unit_test(test_join_of_nothing_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
