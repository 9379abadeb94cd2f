/* Settings as given, and one value against one row. */
#include "conf_test.h"

static const struct setting text_row = { .name = "x", .type = SETTING_STRING };
static const struct setting name_row = { .name = "x", .type = SETTING_NAME };
static const struct setting file_row = { .name = "x", .type = SETTING_FILE };
static const struct setting url_row = { .name = "x", .type = SETTING_URL };
static const struct setting proxy_row = { .name = "x",
					  .type = SETTING_URL,
					  .choices = "none|http://" };
static const struct setting bool_row = { .name = "x", .type = SETTING_BOOL };
static const struct setting int_row = { .name = "x", .type = SETTING_INT, .min = -2, .max = 9 };
static const struct setting free_row = { .name = "x", .type = SETTING_INT };
static const struct setting word_row = {
	.name = "x", .type = SETTING_INT, .choices = "all|some", .min = 1, .max = 3
};
static const struct setting time_row = {
	.name = "x", .type = SETTING_DURATION, .min = 1000, .max = 60000
};
static const struct setting enum_row = { .name = "x", .type = SETTING_ENUM, .choices = "tcp|udp" };
static const struct setting list_row = { .name = "x", .type = SETTING_STRINGS };
static const struct setting argv_row = { .name = "x", .type = SETTING_COMMANDS };
static const struct setting secret_row = { .name = "x", .type = SETTING_STRING, .secret = true };

static const struct {
	const struct setting *row;
	const char *text;
	const char *canonical; /* NULL: refused */
} values[] = {
	{ &text_row, "a b", "a b" },
	{ &text_row, "", NULL },
	{ &text_row, "a\nb", NULL },
	{ &name_row, "Ns1.Example.COM.", "ns1.example.com" },
	{ &name_row, "_acme-challenge.a", "_acme-challenge.a" },
	{ &name_row, ".", "." },
	{ &name_row, "b\303\274cher.example", "b\303\274cher.example" },
	{ &name_row, "..", NULL },
	{ &name_row, ".a", NULL },
	{ &name_row, "a b", NULL },
	{ &name_row, "123456789012345678901234567890123456789012345678901234567890123.x",
	  "123456789012345678901234567890123456789012345678901234567890123.x" },
	{ &name_row, "1234567890123456789012345678901234567890123456789012345678901234.x", NULL },
	{ &file_row, "a/b c", "a/b c" },
	{ &url_row, "https://x/Y?z", "https://x/Y?z" },
	{ &url_row, "http://x/", NULL },
	{ &url_row, "https://", NULL },
	{ &url_row, "https:///d", NULL },
	{ &url_row, "https://u@x/", NULL },
	{ &url_row, "https://x/a b", NULL },
	{ &url_row, "https://x/@b", "https://x/@b" },
	{ &url_row, "none", NULL },
	{ &proxy_row, "none", "none" },
	{ &proxy_row, "http://x:1", "http://x:1" },
	{ &proxy_row, "https://x:1", "https://x:1" },
	{ &proxy_row, "ftp://x:1", NULL },
	{ &proxy_row, "http://", NULL },
	{ &bool_row, "true", "true" },
	{ &bool_row, "True", NULL },
	{ &int_row, "9", "9" },
	{ &int_row, "-2", "-2" },
	{ &int_row, "10", NULL },
	{ &int_row, "-3", NULL },
	{ &int_row, "1x", NULL },
	{ &int_row, "--1", NULL },
	{ &free_row, "1000000", "1000000" },
	{ &word_row, "all", "all" },
	{ &word_row, "al", NULL },
	{ &word_row, "all|some", NULL },
	{ &word_row, "3", "3" },
	{ &word_row, "0", NULL },
	{ &time_row, "60s", "1m" },
	{ &time_row, "999ms", NULL },
	{ &time_row, "61s", NULL },
	{ &time_row, "5", NULL },
	{ &enum_row, "udp", "udp" },
	{ &enum_row, "icmp", NULL },
	{ &list_row, "a\nb", "a\nb" },
	{ &list_row, "", "" },
	{ &list_row, "a\n\nb", NULL },
	{ &argv_row, "/bin/true", NULL },
	{ &secret_row, "hunter2", NULL },
};

static void values_become_canonical_or_are_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		char *canonical = NULL;
		struct err err = { 0 };
		enum err_code code =
			setting_check(values[i].row, values[i].text, "--set", &canonical, &err);

		(void)state;
		if (values[i].canonical != NULL) {
			check_text(values[i].text, values[i].canonical, canonical);
			check(values[i].text, code == ERR_NONE);
		} else {
			check(values[i].text, code == ERR_CONFIG && canonical == NULL);
			check_text(values[i].text, "--set", err.subject);
			check(values[i].text, strncmp(err.text, "x: ", 3) == 0);
			check("no secret", strstr(err.text, "hunter2") == NULL);
		}
		free(canonical);
	}
	no_misses();
}

static void the_last_value_stands(void **state)
{
	struct settings settings = { 0 }, copy = { 0 };

	(void)state;
	settings_set(&settings, "server", "192.0.2.1", "one");
	settings_set(&settings, "server", "192.0.2.2", "two");
	settings_set(&settings, "server", settings.item[0].text, settings.item[0].where);
	check("one value", settings.count == 1);
	settings_copy(&copy, &settings);
	settings_clear(&settings);
	check_text("copied", "192.0.2.2",
		   settings_get(&copy, fake_rows, ARRAY_LEN(fake_rows), "server"));
	check_text("place", "two", copy.item[0].where);
	check_text("fallback", "10s",
		   settings_get(&copy, fake_rows, ARRAY_LEN(fake_rows), "timeout"));
	check("neither", settings_get(&copy, fake_rows, ARRAY_LEN(fake_rows), "token") == NULL);
	check("unknown", settings_get(&copy, fake_rows, ARRAY_LEN(fake_rows), "x") == NULL);
	settings_clear(&copy);
	check("cleared", copy.count == 0 && settings.count == 0);
	no_misses();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_become_canonical_or_are_refused),
		cmocka_unit_test(the_last_value_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
