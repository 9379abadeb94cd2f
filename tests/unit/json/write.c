/* Documents of our own: their order, their form, and that jansson is still itself. */
#include "dns01/json.h"

#include "cmocka_all.h"

static void expect_dump(struct json *json, const char *expected)
{
	char *text = json_dump(json);

	assert_string_equal(text, expected);
	free(text);
	json_free(json);
}

static void members_keep_the_order_of_setting(void **state)
{
	struct json *json = json_object();
	struct json *list = json_array();

	(void)state;
	json_set_str(json, "z", "a/b \"c\"\n");
	json_set_int(json, "a", INT64_MIN);
	json_set_bool(json, "m", true);
	json_set_bool(json, "k", false);
	json_add_str(list, "x");
	json_add(list, json_object());
	json_set(json, "list", list);
	json_set_int(json, "z", 1); /* stays where it was */
	expect_dump(json, "{\"z\":1,\"a\":-9223372036854775808,\"m\":true,\"k\":false,"
			  "\"list\":[\"x\",{}]}");
}

static void what_is_null_is_left_out(void **state)
{
	struct json *json = json_object();
	struct json *list = json_array();

	(void)state;
	json_set_str(json, "a", NULL);
	json_set(json, "b", NULL);
	json_add(list, NULL);
	json_add_str(list, NULL);
	json_set(json, "c", list);
	expect_dump(json, "{\"c\":[]}");
}

static void text_is_escaped_only_where_it_must_be(void **state)
{
	struct json *json = json_array();

	(void)state;
	json_add_str(json, "https://ca.example/a");
	json_add_str(json, "b\303\274cher\001");
	json_add_str(json, "bad \377 octet");
	expect_dump(json, "[\"https://ca.example/a\",\"b\303\274cher\\u0001\","
			  "\"bad \\\\xff octet\"]");
}

static void a_copy_is_deep(void **state)
{
	struct json *json = json_object();
	struct json *inner = json_object();
	struct json *copy;

	(void)state;
	json_set_str(inner, "x", "y");
	json_set(json, "inner", inner);
	copy = json_copy(json);
	json_set_str(inner, "x", "changed");
	json_free(json);
	expect_dump(copy, "{\"inner\":{\"x\":\"y\"}}");
	assert_null(json_copy(NULL));
}

static void pretty_is_for_people(void **state)
{
	struct json *json = json_object();
	char *text;

	(void)state;
	json_set_str(json, "a", "b");
	text = json_pretty(json);
	assert_string_equal(text, "{\n  \"a\": \"b\"\n}");
	free(text);
	json_free(json);
}

static void what_is_written_is_read_again(void **state)
{
	static const char document[] = "{\"a\":[{\"b\":[]},null,1.5,\"\\\\\"],\"c\":{}}";
	struct json *json = NULL;
	struct err err;

	(void)state;
	assert_int_equal(json_parse(document, strlen(document), &json, &err), ERR_NONE);
	expect_dump(json, document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_keep_the_order_of_setting),
		cmocka_unit_test(what_is_null_is_left_out),
		cmocka_unit_test(text_is_escaped_only_where_it_must_be),
		cmocka_unit_test(a_copy_is_deep),
		cmocka_unit_test(pretty_is_for_people),
		cmocka_unit_test(what_is_written_is_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
