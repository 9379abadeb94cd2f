/* Documents of peers: what is read of them, what is refused and where. */
#include "dns01/json.h"

#include "cmocka_all.h"

static struct json *parse(const char *text)
{
	struct json *json = NULL;
	struct err err = { 0 };

	if (json_parse(text, strlen(text), &json, &err) != ERR_NONE) {
		fail_msg("'%s': %s", text, err.text);
	}
	return json;
}

static void expect_refused(const char *text, size_t len, const char *part)
{
	struct json *json = NULL;
	struct err err = { 0 };

	if (json_parse(text, len, &json, &err) != ERR_PROTOCOL) {
		fail_msg("'%.60s' is read, though: %s", text, part);
	}
	assert_null(json);
	if (!strstr(err.text, part)) {
		fail_msg("'%s' does not say '%s'", err.text, part);
	}
}

static void members_of_the_right_type_are_read(void **state)
{
	struct json *json =
		parse("{\"s\":\"t\\u00fc\",\"i\":-9007199254740993,\"t\":true,\"f\":false,"
		      "\"o\":{\"x\":\"y\"},\"a\":[\"b\",{\"c\":1}],\"n\":null,\"r\":1.5}");

	(void)state;
	assert_string_equal(json_str(json, "s"), "t\303\274");
	assert_true(json_int(json, "i", 0) == -INT64_C(9007199254740993));
	assert_true(json_bool(json, "t", false));
	assert_false(json_bool(json, "f", true));
	assert_true(json_is_object(json_get(json, "o")));
	assert_string_equal(json_str(json_get(json, "o"), "x"), "y");
	assert_true(json_is_array(json_get(json, "a")));
	assert_int_equal(json_len(json_get(json, "a")), 2);
	assert_string_equal(json_text(json_at(json_get(json, "a"), 0)), "b");
	assert_int_equal(json_int(json_at(json_get(json, "a"), 1), "c", 0), 1);
	json_free(json);
}

static void absent_and_other_types_give_the_default(void **state)
{
	struct json *json = parse("{\"s\":\"t\",\"i\":1,\"r\":1.5,\"n\":null,\"a\":[],\"o\":{}}");
	const char *key = "untouched";
	const struct json *value = json;

	(void)state;
	assert_null(json_str(json, "i"));
	assert_null(json_str(json, "n"));
	assert_null(json_str(json, "absent"));
	assert_int_equal(json_int(json, "s", 7), 7);
	assert_int_equal(json_int(json, "r", 7), 7);
	assert_int_equal(json_int(json, "absent", 7), 7);
	assert_true(json_bool(json, "i", true));
	assert_false(json_is_object(json_get(json, "a")));
	assert_false(json_is_array(json_get(json, "o")));
	assert_null(json_text(json));
	assert_int_equal(json_len(json), 0);
	assert_null(json_at(json_get(json, "a"), 0));
	assert_null(json_get(json_get(json, "s"), "x"));
	assert_false(json_member(json_get(json, "a"), 0, &key, &value));
	assert_string_equal(key, "untouched");
	json_free(json);
}

static void null_parents_are_fine(void **state)
{
	const char *key;
	const struct json *value;

	(void)state;
	assert_null(json_get(NULL, "x"));
	assert_null(json_str(NULL, "x"));
	assert_null(json_text(NULL));
	assert_int_equal(json_int(NULL, "x", 3), 3);
	assert_true(json_bool(NULL, "x", true));
	assert_false(json_is_object(NULL));
	assert_false(json_is_array(NULL));
	assert_int_equal(json_len(NULL), 0);
	assert_null(json_at(NULL, 0));
	assert_false(json_member(NULL, 0, &key, &value));
	json_free(NULL);
}

static void an_object_is_walked_in_its_order(void **state)
{
	struct json *json = parse("{\"z\":1,\"a\":2,\"m\":3}");
	static const char *const keys[] = { "z", "a", "m" };
	const char *key;
	const struct json *value;
	size_t i;

	(void)state;
	for (i = 0; json_member(json, i, &key, &value); i++) {
		assert_true(i < ARRAY_LEN(keys));
		assert_string_equal(key, keys[i]);
		assert_ptr_equal(value, json_get(json, key));
	}
	assert_int_equal(i, 3);
	json_free(json);
}

static void broken_documents_are_refused_with_a_place(void **state)
{
	static const struct {
		const char *text;
		const char *part;
	} rows[] = {
		{ "", "line 1, column 0" },
		{ "{\"a\":1,\n \"a\":2}", "line 2, column 4: duplicate" },
		{ "{\"a\":\"x\\u0000y\"}", "line 1, column 15" },
		{ "{\"a\\u0000\":1}", "line 1" },
		{ "{\"a\":\"\377\"}", "0xff" },
		{ "{\"a\":1} x", "end of file expected" },
		{ "{\"a\":1", "line 1" },
		{ "\"text\"", "line 1" },
		{ "{\"a\":99999999999999999999}", "too big" },
		{ "[\033[2J]", "\\x1b" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		expect_refused(rows[i].text, strlen(rows[i].text), rows[i].part);
	}
	expect_refused("[1,\0002]", 6, "line 1");
}

/* count times unit between the ends; gives. */
static char *repeated(const char *start, const char *unit, size_t count, const char *end)
{
	struct buf text = BUF_INIT(4 * JSON_TEXT_MAX);

	buf_add_str(&text, start);
	for (size_t i = 0; i < count; i++) {
		buf_add_str(&text, unit);
	}
	buf_add_str(&text, end);
	return buf_detach(&text);
}

/* At the maximum it is read, one past it is not. */
static void expect_limit(char *fits, char *exceeds, const char *part)
{
	json_free(parse(fits));
	expect_refused(exceeds, strlen(exceeds), part);
	free(fits);
	free(exceeds);
}

static char *nested(size_t depth)
{
	char *open = repeated("", "[", depth, "");
	char *text = repeated(open, "]", depth, "");

	free(open);
	return text;
}

/* An object of count members. */
static char *members(size_t count)
{
	struct buf text = BUF_INIT(JSON_TEXT_MAX);

	for (size_t i = 0; i < count; i++) {
		buf_addf(&text, "%c\"%zu\":0", i == 0 ? '{' : ',', i);
	}
	buf_add_str(&text, "}");
	return buf_detach(&text);
}

static void each_maximum_holds(void **state)
{
	(void)state;
	expect_limit(nested(JSON_DEPTH_MAX), nested(JSON_DEPTH_MAX + 1),
		     "column 33: it nests too deep");
	expect_limit(members(JSON_MEMBERS_MAX), members(JSON_MEMBERS_MAX + 1), "too many members");
	expect_limit(repeated("[0", ",0", JSON_VALUES_MAX - 1, "]"),
		     repeated("[0", ",0", JSON_VALUES_MAX, "]"), "too many values");
	expect_limit(repeated("[\"", "x", JSON_TEXT_MAX - 4, "\"]"),
		     repeated("[\"", "x", JSON_TEXT_MAX - 3, "\"]"), "larger than");
}

static void brackets_in_strings_are_no_levels(void **state)
{
	char *text = repeated("[\"\\\"", "[{,", 2 * JSON_MEMBERS_MAX, "\\\\\"]");

	(void)state;
	json_free(parse(text));
	free(text);
	/* An array may be longer than an object. */
	text = repeated("{\"a\":[0", ",0", 2 * JSON_MEMBERS_MAX, "]}");
	json_free(parse(text));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_of_the_right_type_are_read),
		cmocka_unit_test(absent_and_other_types_give_the_default),
		cmocka_unit_test(null_parents_are_fine),
		cmocka_unit_test(an_object_is_walked_in_its_order),
		cmocka_unit_test(broken_documents_are_refused_with_a_place),
		cmocka_unit_test(each_maximum_holds),
		cmocka_unit_test(brackets_in_strings_are_no_levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
