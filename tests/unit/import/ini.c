/* certbot's INI, as ConfigObj writes and reads it. */
#include "import/pairs_test.h"

static void certbots_own_file_is_read(void **state)
{
	struct pairs pairs = read_good(pairs_read_ini,
				       "# renew_before_expiry = 30 days\n"
				       "version = 2.1.0\n"
				       "archive_dir = /etc/letsencrypt/archive/example.com\n"
				       "\n"
				       "# Options used in the renewal process\n"
				       "[renewalparams]\n"
				       "account = 54c82a5a0fc94946d6301bc8237c3047\n"
				       "renew_hook = systemctl reload nginx\n"
				       "pre_hook = \"echo 'a, b' # c\"\n"
				       "server = https://acme-v02.api.letsencrypt.org/directory\n"
				       "webroot_path = /var/www,\n"
				       "[[webroot_map]]\n"
				       "www.example.com = /var/www\n");

	(void)state;
	expect(&pairs, "", "renew_before_expiry", NULL);
	expect(&pairs, "", "version", "2.1.0");
	expect(&pairs, "renewalparams", "renew_hook", "systemctl reload nginx");
	expect(&pairs, "renewalparams", "pre_hook", "echo 'a, b' # c");
	expect(&pairs, "renewalparams", "server", "https://acme-v02.api.letsencrypt.org/directory");
	expect(&pairs, "renewalparams", "webroot_path", "/var/www");
	expect(&pairs, "renewalparams/webroot_map", "www.example.com", "/var/www");
	expect(&pairs, "", "server", NULL);
	pairs_clear(&pairs);
}

static void values_of_every_kind_are_read(void **state)
{
	struct pairs pairs = read_good(pairs_read_ini, "a=1\n"
						       "  b\t=  two words \t\r\n"
						       "c = # nothing\n"
						       "d =\n"
						       "e = 'x # y' # z\n"
						       "f = \"it's\"\n"
						       "g = one, 'two, too', three\n"
						       "h = '''a\n\"b\"\nc'''\n"
						       "i = \"\"\"d\"\"\"\n"
						       "\"j k\" = l\n"
						       "m = a=b\n"
						       "n = last");

	(void)state;
	expect(&pairs, "", "a", "1");
	expect(&pairs, "", "b", "two words");
	expect(&pairs, "", "c", "");
	expect(&pairs, "", "d", "");
	expect(&pairs, "", "e", "x # y");
	expect(&pairs, "", "f", "it's");
	expect(&pairs, "", "g", "one, two, too, three");
	expect(&pairs, "", "h", "a\n\"b\"\nc");
	expect(&pairs, "", "i", "d");
	expect(&pairs, "", "j k", "l");
	expect(&pairs, "", "m", "a=b");
	expect(&pairs, "", "n", "last");
	assert_int_equal(pairs.item[pairs.count - 1].line, 14);
	pairs_clear(&pairs);
}

static void sections_nest_and_end(void **state)
{
	struct pairs pairs = read_good(pairs_read_ini, "[a]\nx = 1\n[[b]]\nx = 2\n[[[c]]]\nx = 3\n"
						       "[[d]] # back\nx = 4\n[ \"e f\" ]\nx = 5\n");

	(void)state;
	expect(&pairs, "a", "x", "1");
	expect(&pairs, "a/b", "x", "2");
	expect(&pairs, "a/b/c", "x", "3");
	expect(&pairs, "a/d", "x", "4");
	expect(&pairs, "e f", "x", "5");
	pairs_clear(&pairs);
}

static void an_empty_file_has_nothing(void **state)
{
	struct pairs pairs = read_good(pairs_read_ini, "");

	(void)state;
	assert_int_equal(pairs.count, 0);
	pairs_clear(&pairs);
	pairs = read_good(pairs_read_ini, "\n \n#\n\t# x\r\n");
	assert_int_equal(pairs.count, 0);
	pairs_clear(&pairs);
}

static void what_is_no_ini_is_refused_by_its_line(void **state)
{
	static const struct {
		const char *text, *subject;
	} rows[] = {
		{ "a = 1\nno setting\n", "test.conf:2" },
		{ "= 1\n", "test.conf:1" },
		{ "a = 'open\nb = 1\n", "test.conf:1" },
		{ "a = '''open\nb = 1\n", "test.conf:1" },
		{ "a = 'x' y\n", "test.conf:1" },
		{ "a = 1\n\na = 2\n", "test.conf:3" },
		{ "[a\nb = 1\n", "test.conf:1" },
		{ "[[a]]\nb = 1\n", "test.conf:1" },
		{ "[a]\n[[[b]]]\n", "test.conf:2" },
		{ "[a]]\n", "test.conf:1" },
		{ "[a] b\n", "test.conf:1" },
		{ "[", "test.conf:1" },
		{ "]", "test.conf:1" },
		{ "[[[[[[[[[[[[a]]]]]]]]]]]]\n", "test.conf:1" },
		{ "\"a = 1\n", "test.conf:1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		refuse(pairs_read_ini, rows[i].text, strlen(rows[i].text), rows[i].subject);
	}
}

static void sizes_and_counts_have_an_end(void **state)
{
	char *text = many(PAIRS_MAX + 1, " = x");
	struct buf deep = BUF_INIT(4096);

	(void)state;
	refuse(pairs_read_ini, text, strlen(text), "test.conf");
	free(text);
	text = many(PAIRS_TEXT_MAX / 4, " = x");
	refuse(pairs_read_ini, text, strlen(text), "test.conf");
	free(text);
	refuse(pairs_read_ini, "a = 1\0b = 2\n", 12, "test.conf");
	/* One section deeper than any may be, each inside the one before. */
	for (int depth = 1; depth <= PAIRS_DEPTH_MAX + 1; depth++) {
		buf_addf(&deep, "%.*sx%.*s\n", depth, "[[[[[[[[[[", depth, "]]]]]]]]]]");
	}
	refuse(pairs_read_ini, buf_str(&deep), deep.len, "test.conf:9");
	buf_clear(&deep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certbots_own_file_is_read),
		cmocka_unit_test(values_of_every_kind_are_read),
		cmocka_unit_test(sections_nest_and_end),
		cmocka_unit_test(an_empty_file_has_nothing),
		cmocka_unit_test(what_is_no_ini_is_refused_by_its_line),
		cmocka_unit_test(sizes_and_counts_have_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
