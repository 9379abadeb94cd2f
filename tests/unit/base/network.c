#include "cmocka_all.h"

#include "dns01/base.h"

static bool has(const char *net_text, const char *addr_text)
{
	struct network net;
	struct addr addr;

	assert_true(network_parse(net_text, &net));
	assert_true(addr_parse(addr_text, 80, &addr));
	return network_has(&net, &addr);
}

static void holds_what_shares_its_prefix(void **state)
{
	(void)state;
	assert_true(has("10.2.0.0/16", "10.2.255.1"));
	assert_false(has("10.2.0.0/16", "10.3.0.1"));
	assert_true(has("10.2.0.128/25", "10.2.0.200"));
	assert_false(has("10.2.0.128/25", "10.2.0.127"));
	assert_true(has("0.0.0.0/0", "192.0.2.1"));
	assert_true(has("192.0.2.1", "192.0.2.1"));
	assert_false(has("192.0.2.1", "192.0.2.2"));
	assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
}

static void families_do_not_mix_but_for_mapped_addresses(void **state)
{
	(void)state;
	assert_true(has("10.2.0.0/16", "::ffff:10.2.3.4"));
	assert_false(has("10.2.0.0/16", "::ffff:10.3.3.4"));
	assert_false(has("::/0", "10.2.3.4"));
	assert_false(has("0.0.0.0/0", "2001:db8::1"));
}

static void refuses_what_is_no_network(void **state)
{
	static const char *const texts[] = { "",
					     "/8",
					     "10.0.0.0/",
					     "10.0.0.0/33",
					     "10.0.0.1/8",
					     "::1/129",
					     "example.com",
					     "10.0.0.0/8x",
					     "10.0.0.0:53",
					     "[::1]:53/128",
					     "fe80::1%1/64" };
	struct network net;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_false(network_parse(texts[i], &net));
	}
}

static void formats_what_it_parses(void **state)
{
	static const char *const texts[] = { "10.2.0.0/16", "192.0.2.1", "2001:db8::/32", "::1" };
	char text[ADDR_TEXT_MAX];
	struct network net;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_true(network_parse(texts[i], &net));
		network_format(text, &net);
		assert_string_equal(text, texts[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_what_shares_its_prefix),
		cmocka_unit_test(families_do_not_mix_but_for_mapped_addresses),
		cmocka_unit_test(refuses_what_is_no_network),
		cmocka_unit_test(formats_what_it_parses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
