#include "cmocka_all.h"
#include "dns01/base.h"

struct sample {
	const char *text;
	uint16_t default_port;
	const char *formatted; /* with the same default */
	uint16_t port;
};

static void test_addresses_read_and_write(void **state)
{
	static const struct sample samples[] = {
		{ "192.0.2.1", 53, "192.0.2.1", 53 },
		{ "192.0.2.1:53", 53, "192.0.2.1", 53 },
		{ "192.0.2.1:5353", 53, "192.0.2.1:5353", 5353 },
		{ "2001:db8::1", 53, "2001:db8::1", 53 },
		{ "2001:DB8:0::1", 53, "2001:db8::1", 53 },
		{ "[2001:db8::1]", 53, "2001:db8::1", 53 },
		{ "[2001:db8::1]:65535", 53, "[2001:db8::1]:65535", 65535 },
		{ "::", 853, "::", 853 },
		{ "::ffff:192.0.2.1", 53, "::ffff:192.0.2.1", 53 },
		{ "fe80::1%1", 53, "fe80::1%1", 53 },
		{ "[fe80::1%lo]:54", 53, "[fe80::1%1]:54", 54 },
	};
	char text[ADDR_TEXT_MAX];
	struct addr addr;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		assert_true(addr_parse(samples[i].text, samples[i].default_port, &addr));
		assert_int_equal(addr_port(&addr), samples[i].port);
		addr_format(text, &addr, samples[i].default_port);
		assert_string_equal(text, samples[i].formatted);
	}
}

static void test_what_is_no_address(void **state)
{
	static const char *const wrong[] = {
		"",
		"ns1.example.com",
		"192.0.2",
		"192.0.2.256",
		"192.0.2.1:",
		"192.0.2.1:0",
		"192.0.2.1:65536",
		"192.0.2.1:53x",
		"[192.0.2.1]",
		"[2001:db8::1",
		"2001:db8::1]",
		"[2001:db8::1]53",
		"[2001:db8::1]:",
		"2001:db8:::1",
		"[]:53",
		"fe80::1%",
		"fe80::1%nonesuch0",
		"192.0.2.1%lo",
		" 192.0.2.1",
		":53",
	};
	char longest[1000];
	struct addr addr = { .len = 7 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_false(addr_parse(wrong[i], 53, &addr));
	}
	memset(longest, '1', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_false(addr_parse(longest, 53, &addr));
	assert_int_equal(addr.len, 7);
}

static bool same(const char *a, const char *b)
{
	struct addr one;
	struct addr two;

	assert_true(addr_parse(a, 53, &one));
	assert_true(addr_parse(b, 53, &two));
	return addr_equal(&one, &two);
}

static void test_equality_is_address_and_port(void **state)
{
	struct addr none = { .len = 0 };
	struct addr some;

	(void)state;
	assert_true(same("192.0.2.1", "192.0.2.1:53"));
	assert_false(same("192.0.2.1", "192.0.2.2"));
	assert_false(same("192.0.2.1", "192.0.2.1:54"));
	assert_true(same("2001:db8::1", "[2001:db8:0::1]:53"));
	assert_false(same("2001:db8::1", "2001:db8::2"));
	assert_false(same("fe80::1%1", "fe80::1%2"));
	assert_false(same("192.0.2.1", "::ffff:192.0.2.1"));
	assert_true(addr_parse("192.0.2.1", 53, &some));
	assert_false(addr_equal(&none, &some));
	assert_true(addr_equal(&none, &none));
}

static void test_port_is_set_in_both_families(void **state)
{
	char text[ADDR_TEXT_MAX];
	struct addr addr;

	(void)state;
	assert_true(addr_parse("192.0.2.1", 53, &addr));
	addr_set_port(&addr, 8053);
	addr_format(text, &addr, 53);
	assert_string_equal(text, "192.0.2.1:8053");
	assert_true(addr_parse("2001:db8::1", 53, &addr));
	addr_set_port(&addr, 8053);
	assert_int_equal(addr_port(&addr), 8053);
}

static void test_no_address_is_said(void **state)
{
	struct addr none = { .len = 0 };
	char text[ADDR_TEXT_MAX];

	(void)state;
	addr_format(text, &none, 53);
	assert_string_equal(text, "no address");
	assert_int_equal(addr_port(&none), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_read_and_write),
		cmocka_unit_test(test_what_is_no_address),
		cmocka_unit_test(test_equality_is_address_and_port),
		cmocka_unit_test(test_port_is_set_in_both_families),
		cmocka_unit_test(test_no_address_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
