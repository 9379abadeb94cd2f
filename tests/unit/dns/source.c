#include "dns/source.h"

#include "dns/fake_world.h"

static void resolv_conf_gives_its_name_servers(void **state)
{
	static const char text[] = "# comment\nsearch example.com\n"
				   "nameserver 192.0.2.1\n"
				   "nameserver\t2001:db8::1 # the second\n"
				   "nameserver not-an-address\n"
				   "nameservers 192.0.2.9\n"
				   ";nameserver 192.0.2.10\n"
				   "options ndots:1\nnameserver 192.0.2.3";
	struct dns_source source = { 0 };
	char *words;

	(void)state;
	source_parse_resolv_conf(text, &source);
	words = source_words(&source);
	assert_string_equal(words, "192.0.2.1, 2001:db8::1, 192.0.2.3");
	free(words);
	dns_source_clear(&source);
	for (size_t i = 0; i < 20; i++) {
		source_parse_resolv_conf("nameserver 192.0.2.1\n", &source);
	}
	assert_int_equal(source.resolver_count, SOURCE_MAX);
	dns_source_clear(&source);
	assert_int_equal(source.resolver_count, 0);
}

static enum err_code parse(const char *const *items, struct dns_source *out, struct err *err)
{
	struct strlist list = { 0 };
	enum err_code rc;

	for (; *items; items++) {
		strlist_add(&list, *items);
	}
	rc = dns_source_parse(&list, out, err);
	strlist_clear(&list);
	return rc;
}

static void resolvers_are_addresses_or_doh(void **state)
{
	static const char *const good[] = { "192.0.2.1", "[2001:db8::1]:5353",
					    "https://dns.example.net/dns-query", NULL };
	struct dns_source source = { 0 };
	struct err err = { .code = ERR_NONE };
	char *words;

	(void)state;
	assert_int_equal(parse(good, &source, &err), ERR_NONE);
	words = source_words(&source);
	assert_string_equal(words, "192.0.2.1, [2001:db8::1]:5353, "
				   "https://dns.example.net/dns-query");
	free(words);
	dns_source_clear(&source);
	assert_int_equal(parse((const char *const[]){ "ns1.example.com", NULL }, &source, &err),
			 ERR_CONFIG);
	assert_string_equal(err.subject, "ns1.example.com");
	assert_int_equal(parse((const char *const[]){ "http://192.0.2.1/", NULL }, &source, &err),
			 ERR_CONFIG);
	assert_int_equal(parse((const char *const[]){ "1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4",
						      "1.1.1.5", "1.1.1.6", "1.1.1.7", "1.1.1.8",
						      "1.1.1.9", NULL },
			       &source, &err),
			 ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resolv_conf_gives_its_name_servers),
		cmocka_unit_test(resolvers_are_addresses_or_doh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
