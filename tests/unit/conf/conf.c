/* Finding accounts, providers, certificates, and the zone of a name. */
#include "conf_test.h"

static const char text[] = ACCOUNT PROVIDER
	"zones = (\n"
	"  { suffix = \"example.com\"; providers = [ \"p\" ]; },\n"
	"  { suffix = \"Sub.Example.com.\"; providers = [ \"p\" ]; },\n"
	"  { suffix = \"example.com\"; view = \"inside\"; providers = [ \"p\" ]; }\n"
	");\n"
	"certificates = ( { name = \"edge\"; names = [ \"example.com\" ]; } );\n";

static const struct {
	const char *name, *view, *suffix; /* suffix NULL: none */
} found[] = {
	{ "example.com", "default", "example.com" },
	{ "example.com", NULL, "example.com" },
	{ "EXAMPLE.com.", "default", "example.com" },
	{ "a.b.example.com", "default", "example.com" },
	{ "*.example.com", "default", "example.com" },
	{ "sub.example.com", "default", "sub.example.com" },
	{ "_acme-challenge.x.sub.example.com", "default", "sub.example.com" },
	{ "sub.example.com", "inside", "example.com" },
	{ "notsub.example.com", "default", "example.com" },
	{ "evilexample.com", "default", NULL },
	{ "com", "default", NULL },
	{ "example.com", "public", NULL },
	{ "", "default", NULL },
};

static void finds_the_longest_suffix_within_a_view(void **state)
{
	struct conf *conf = parse_good(text);

	(void)state;
	assert_non_null(conf);
	for (size_t i = 0; i < ARRAY_LEN(found); i++) {
		const struct conf_zone *zone = conf_find_zone(conf, found[i].name, found[i].view);

		if (found[i].suffix == NULL) {
			check(found[i].name, zone == NULL);
		} else {
			check_text(found[i].name, found[i].suffix,
				   zone != NULL ? zone->suffix : NULL);
		}
		if (zone != NULL && found[i].view != NULL) {
			check_text(found[i].name, found[i].view, zone->view);
		}
	}
	conf_free(conf);
	no_misses();
}

static void the_root_serves_every_name(void **state)
{
	struct conf *conf = conf_new();
	const struct conf_zone *zone;

	(void)state;
	conf_add_zone(conf, ".");
	conf_add_zone(conf, "example.com");
	zone = conf_find_zone(conf, "example.org", "default");
	check_text("example.org", ".", zone != NULL ? zone->suffix : NULL);
	zone = conf_find_zone(conf, "a.example.com", "default");
	check_text("a.example.com", "example.com", zone != NULL ? zone->suffix : NULL);
	conf_free(conf);
	no_misses();
}

static void finds_by_name(void **state)
{
	struct conf *conf = parse_good(text);

	(void)state;
	assert_non_null(conf);
	check("account", conf_find_account(conf, "a") == &conf->account[0]);
	check("the only account", conf_find_account(conf, NULL) == &conf->account[0]);
	check("no account", conf_find_account(conf, "b") == NULL);
	check("provider", conf_find_provider(conf, "p") == &conf->provider[0]);
	check("no provider", conf_find_provider(conf, "P") == NULL);
	check("certificate", conf_find_certificate(conf, "edge") == &conf->certificate[0]);
	check("no certificate", conf_find_certificate(conf, "ed") == NULL);
	conf_add_account(conf, "b");
	check("not the only account", conf_find_account(conf, NULL) == NULL);
	conf_free(conf);
	conf_free(NULL);
	no_misses();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_longest_suffix_within_a_view),
		cmocka_unit_test(finds_by_name),
		cmocka_unit_test(the_root_serves_every_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
