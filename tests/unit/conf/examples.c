/* Whatever people are likely to copy is right: contrib/examples and the manual's example. */
#include "conf_test.h"

#include <glob.h>

#include "dns01/provider.h"

static void check_dump(const char *what, const struct conf *conf)
{
	char *dump = conf_dump(conf, provider_rows), *again = NULL;
	struct conf *copy = NULL;
	struct err err;

	if (conf_parse(dump, "dump", provider_rows, &copy, &err) == ERR_NONE) {
		again = conf_dump(copy, provider_rows);
	}
	check_text(what, dump, again);
	conf_free(copy);
	free(dump);
	free(again);
}

static void every_example_is_right(void **state)
{
	glob_t found = { 0 };

	(void)state;
	/* tests run in the folder of the project */
	assert_int_equal(glob("contrib/examples/*.conf", 0, NULL, &found), 0);
	assert_true(found.gl_pathc >= 4);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct conf *conf = NULL;
		struct err err;

		if (conf_load(found.gl_pathv[i], provider_rows, &conf, &err) != ERR_NONE) {
			miss(err.subject, "no error", err.text);
			continue;
		}
		check("certificates", conf->certificate_count > 0);
		check_dump(found.gl_pathv[i], conf);
		conf_free(conf);
	}
	globfree(&found);
	no_misses();
}

static void views_of_an_example_have_zones_of_their_own(void **state)
{
	struct conf *conf = NULL;
	struct err err;
	const struct conf_zone *zone;

	(void)state;
	assert_int_equal(conf_load("contrib/examples/split-horizon.conf", provider_rows, &conf,
				   &err),
			 ERR_NONE);
	zone = conf_find_zone(conf, "www.example.com", conf_find_account(conf, "corp")->view);
	check_text("inside", "inside-bind", zone->providers.item[0]);
	zone = conf_find_zone(conf, "www.example.com",
			      conf_find_account(conf, "letsencrypt")->view);
	check_text("public", "hidden-primary", zone->providers.item[0]);
	check("settle", zone->settle_ms == 10000);
	conf_free(conf);
	no_misses();
}

/* The first literal block after EXAMPLES is a whole file. */
static void the_manuals_example_is_right(void **state)
{
	char *page = conf_manual(), *text, *end;
	struct conf *conf = NULL;
	struct err err;

	(void)state;
	text = strstr(page, ".Sh EXAMPLES");
	assert_non_null(text);
	text = strstr(text, ".Bd -literal");
	assert_non_null(text);
	text = strchr(text, '\n') + 1;
	end = strstr(text, ".Ed\n");
	assert_non_null(end);
	*end = '\0';
	if (conf_parse(text, "manual", provider_rows, &conf, &err) != ERR_NONE) {
		miss(text, "no error", err.text);
	}
	conf_free(conf);
	free(page);
	no_misses();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_example_is_right),
		cmocka_unit_test(views_of_an_example_have_zones_of_their_own),
		cmocka_unit_test(the_manuals_example_is_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
