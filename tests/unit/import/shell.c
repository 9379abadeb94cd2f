/* acme.sh's files: a shell's assignments, of which nothing is run. */
#include "import/pairs_test.h"

static void acme_shs_own_lines_are_read(void **state)
{
	struct pairs pairs =
		read_good(pairs_read_shell,
			  "Le_Domain='example.com'\n"
			  "Le_Alt='*.example.com,www.example.com'\n"
			  "Le_PreHook=''\n"
			  "Le_ReloadCmd='__ACME_BASE64__START_ZWNobw==__ACME_BASE64__END_'\n"
			  "\n"
			  "#LOG_FILE=\"/x\"\n"
			  "SAVED_NSUPDATE_SERVER='192.0.2.1' # mine\n");

	(void)state;
	expect(&pairs, "", "Le_Domain", "example.com");
	expect(&pairs, "", "Le_Alt", "*.example.com,www.example.com");
	expect(&pairs, "", "Le_PreHook", "");
	expect(&pairs, "", "Le_ReloadCmd", "__ACME_BASE64__START_ZWNobw==__ACME_BASE64__END_");
	expect(&pairs, "", "LOG_FILE", NULL);
	expect(&pairs, "", "SAVED_NSUPDATE_SERVER", "192.0.2.1");
	assert_int_equal(pairs.odd_line, 0);
	pairs_clear(&pairs);
}

static void what_people_write_is_read_as_a_shell_would(void **state)
{
	struct pairs pairs = read_good(pairs_read_shell, "A=plain/word-1.2:3@x,y\n"
							 "export B=\"two words\"\n"
							 "C='it'\\''s'\n"
							 "D='a'\"b\"c\n"
							 "E='over\ntwo lines'\r\n"
							 "A=again\n"
							 "  F='$HOME `id`'\n"
							 "G=");

	(void)state;
	expect(&pairs, "", "A", "again");
	expect(&pairs, "", "B", "two words");
	expect(&pairs, "", "C", "it's");
	expect(&pairs, "", "D", "abc");
	expect(&pairs, "", "E", "over\ntwo lines");
	expect(&pairs, "", "F", "$HOME `id`");
	expect(&pairs, "", "G", "");
	assert_int_equal(pairs.odd_line, 0);
	pairs_clear(&pairs);
}

/* Each is passed over, said, and the next line is read. */
static void programs_are_passed_over(void **state)
{
	static const char *const programs[] = {
		"touch /tmp/x",
		"A=$(touch /tmp/x)",
		"A=`touch /tmp/x`",
		"A=\"$HOME\"",
		"A=\"a\\b\"",
		"A=$X",
		"A='x'; touch /tmp/x",
		"A='x' touch /tmp/x",
		"A='x'&",
		"A=x|y",
		"A=~/x",
		"A=(x y)",
		"A+=x",
		"A =x",
		"1A=x",
		"=x",
		"A",
		"if true; then A='x'; fi",
		"A='x'\"",
		"export",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		char *text = xasprintf("X='1'\n%s\nY='2'\n", programs[i]);
		struct pairs pairs = read_good(pairs_read_shell, text);

		if (pairs.odd_line != 2) {
			fail_msg("not passed over: %s", programs[i]);
		}
		assert_int_equal(pairs.count, 2);
		expect(&pairs, "", "X", "1");
		expect(&pairs, "", "Y", "2");
		expect(&pairs, "", "A", NULL);
		pairs_clear(&pairs);
		free(text);
	}
}

/* A quote that is never closed must not swallow the settings after it. */
static void an_open_quote_ends_with_its_line(void **state)
{
	struct pairs pairs = read_good(pairs_read_shell, "X=1\nA=\"open\nY=2\nB=\\\nZ=3\n");

	(void)state;
	assert_int_equal(pairs.odd_line, 2);
	expect(&pairs, "", "X", "1");
	expect(&pairs, "", "A", NULL);
	expect(&pairs, "", "Y", "2");
	expect(&pairs, "", "B", NULL);
	expect(&pairs, "", "Z", "3");
	pairs_clear(&pairs);
}

static void sizes_and_counts_have_an_end(void **state)
{
	char *text = many(PAIRS_MAX + 1, "='x'");

	(void)state;
	refuse(pairs_read_shell, text, strlen(text), "test.conf");
	free(text);
	text = many(PAIRS_TEXT_MAX / 4, "='x'");
	refuse(pairs_read_shell, text, strlen(text), "test.conf");
	free(text);
	refuse(pairs_read_shell, "A='1\0'\n", 7, "test.conf");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acme_shs_own_lines_are_read),
		cmocka_unit_test(what_people_write_is_read_as_a_shell_would),
		cmocka_unit_test(programs_are_passed_over),
		cmocka_unit_test(an_open_quote_ends_with_its_line),
		cmocka_unit_test(sizes_and_counts_have_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
