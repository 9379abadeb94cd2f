#include "cmocka_all.h"
#include "dns01/base.h"

static void test_empty_buffer_is_empty_text(void **state)
{
	struct buf buf = BUF_INIT(10);

	(void)state;
	assert_string_equal(buf_str(&buf), "");
	buf_add(&buf, NULL, 0);
	assert_int_equal(buf.len, 0);
	assert_false(buf.overflow);
	buf_clear(&buf);
}

static void test_growth_keeps_content_and_its_nul(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100000);
	for (int i = 0; i < 10000; i++) {
		buf_addf(&buf, "%d,", i % 10);
		assert_int_equal(buf.data[buf.len], 0);
	}
	assert_int_equal(buf.len, 20000);
	assert_memory_equal(buf.data + 19996, "8,9,", 4);
	assert_false(buf.overflow);
	buf_clear(&buf);
}

static void test_exactly_the_maximum_fits(void **state)
{
	struct buf buf = BUF_INIT(5);

	(void)state;
	buf_add_str(&buf, "12345");
	assert_false(buf.overflow);
	assert_string_equal(buf_str(&buf), "12345");
	buf_clear(&buf);
}

static void test_past_the_maximum_is_dropped_whole_and_remembered(void **state)
{
	struct buf buf = BUF_INIT(5);

	(void)state;
	buf_add_str(&buf, "123");
	buf_add_str(&buf, "456");
	assert_true(buf.overflow);
	assert_string_equal(buf_str(&buf), "123");
	buf_add_u8(&buf, 'x');
	buf_addf(&buf, "%s", "");
	assert_true(buf.overflow);
	assert_string_equal(buf_str(&buf), "123");
	buf_clear(&buf);
	assert_false(buf.overflow);
	assert_int_equal(buf.max, 5);
}

static void test_length_near_the_end_of_size_t_does_not_wrap(void **state)
{
	struct buf buf = BUF_INIT(100);

	(void)state;
	buf_add_str(&buf, "a");
	buf_add(&buf, "b", SIZE_MAX);
	assert_true(buf.overflow);
	assert_int_equal(buf.len, 1);
	buf_clear(&buf);
}

static void test_formatted_text_past_the_maximum_is_dropped(void **state)
{
	struct buf buf = BUF_INIT(4);

	(void)state;
	buf_addf(&buf, "%d", 12345);
	assert_true(buf.overflow);
	assert_int_equal(buf.len, 0);
	buf_wipe(&buf);
}

static void test_numbers_are_in_network_order(void **state)
{
	static const uint8_t expected[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0xfe };
	struct buf buf = BUF_INIT(sizeof(expected));

	(void)state;
	buf_add_u8(&buf, 0x01);
	buf_add_u16(&buf, 0x0203);
	buf_add_u32(&buf, 0x040506fe);
	assert_int_equal(buf.len, sizeof(expected));
	assert_memory_equal(buf.data, expected, sizeof(expected));
	buf_clear(&buf);
}

static void test_detach_gives_text_even_when_empty(void **state)
{
	struct buf buf = BUF_INIT(10);
	char *text = buf_detach(&buf);

	(void)state;
	assert_string_equal(text, "");
	free(text);
	buf_add_str(&buf, "abc");
	text = buf_detach(&buf);
	assert_string_equal(text, "abc");
	assert_int_equal(buf.len, 0);
	assert_null(buf.data);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_buffer_is_empty_text),
		cmocka_unit_test(test_growth_keeps_content_and_its_nul),
		cmocka_unit_test(test_exactly_the_maximum_fits),
		cmocka_unit_test(test_past_the_maximum_is_dropped_whole_and_remembered),
		cmocka_unit_test(test_length_near_the_end_of_size_t_does_not_wrap),
		cmocka_unit_test(test_formatted_text_past_the_maximum_is_dropped),
		cmocka_unit_test(test_numbers_are_in_network_order),
		cmocka_unit_test(test_detach_gives_text_even_when_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
