/* Text that is written at once is what a tree would have been dumped as. */
#include "dns01/json.h"

#include "cmocka_all.h"

static void is_what_a_tree_gives(const char *key, const char *text)
{
	struct buf out = BUF_INIT(4000);
	struct json *tree = json_object();
	char *dumped;

	json_set_str(tree, key, text);
	dumped = json_dump(tree);
	json_put_open(&out, NULL, JSON_KIND_OBJECT);
	json_put_str(&out, key, text);
	json_put_close(&out, JSON_KIND_OBJECT);
	assert_string_equal(buf_str(&out), dumped);
	free(dumped);
	json_free(tree);
	buf_clear(&out);
}

static void it_is_what_a_tree_gives(void **state)
{
	static const char *const texts[] = {
		"",        "plain",         "a/b \"c\" \\ d",    "\b\f\n\r\t\001\037",
		"\177",    "b\303\274cher", "bad \377 octet \n", "\360\237\224\222",
		"\303\001"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		is_what_a_tree_gives("key", texts[i]);
	}
}

/* Short ones are put together in one piece of memory. */
static void of_any_length(void **state)
{
	static const char odd[] = { '"', '\\', '\001', '\037', '\177', '\200', '\377', ' ', '#' };
	char text[301];

	(void)state;
	for (size_t len = 1; len < sizeof(text); len++) {
		memset(text, 'x', len);
		text[len] = '\0';
		is_what_a_tree_gives("key", text);
		is_what_a_tree_gives(text, "value");
		is_what_a_tree_gives(text, "");
		for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
			size_t at = len * 7 / 8;

			text[at] = odd[i];
			is_what_a_tree_gives("key", text);
			text[at] = 'x';
		}
	}
}

static void commas_stand_between_members_alone(void **state)
{
	struct buf out = BUF_INIT(1000);

	(void)state;
	json_put_open(&out, NULL, JSON_KIND_OBJECT);
	json_put_str(&out, "left out", NULL);
	json_put_int(&out, "i", INT64_MIN);
	json_put_bool(&out, "t", true);
	json_put_bool(&out, "f", false);
	json_put_open(&out, "list", JSON_KIND_ARRAY);
	json_put_str(&out, NULL, "ends with [");
	json_put_str(&out, NULL, "");
	json_put_open(&out, NULL, JSON_KIND_OBJECT);
	json_put_close(&out, JSON_KIND_OBJECT);
	json_put_close(&out, JSON_KIND_ARRAY);
	json_put_close(&out, JSON_KIND_OBJECT);
	assert_string_equal(buf_str(&out), "{\"i\":-9223372036854775808,\"t\":true,\"f\":false,"
					   "\"list\":[\"ends with [\",\"\",{}]}");
	buf_add_str(&out, "\n");
	json_put_open(&out, NULL, JSON_KIND_OBJECT);
	json_put_close(&out, JSON_KIND_OBJECT);
	assert_string_equal(strchr(buf_str(&out), '\n'), "\n{}");
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_what_a_tree_gives),
		cmocka_unit_test(of_any_length),
		cmocka_unit_test(commas_stand_between_members_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
