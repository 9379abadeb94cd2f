/* Which names may stand in one order. */
#include "acme/client.h"
#include "dns01/dns.h"

static enum err_code check(const char *text, struct strlist *out, struct err *err)
{
	struct strlist names = { 0 };
	enum err_code code;

	names_of(&names, text);
	code = names_check(&names, out, err);
	strlist_clear(&names);
	return code;
}

static void assert_names(const char *text, const char *wanted)
{
	struct strlist out = { 0 };
	struct err err = { 0 };
	char *joined;

	if (check(text, &out, &err) != ERR_NONE) {
		fail_msg("%s: %s", text, err.text);
	}
	joined = strlist_join(&out, " ");
	assert_string_equal(joined, wanted);
	free(joined);
	strlist_clear(&out);
}

static void assert_refused(const char *text, const char *words)
{
	struct strlist out = { 0 };
	struct err err = { 0 };

	strlist_add(&out, "untouched");
	assert_int_equal(check(text, &out, &err), ERR_USAGE);
	assert_says(&err, words);
	assert_string_equal(out.item[0], "untouched");
	strlist_clear(&out);
}

static void names_are_sorted_and_doubles_dropped(void **state)
{
	(void)state;
	assert_names("example.com *.example.com", "*.example.com example.com");
	assert_names("B.test a.test. b.TEST", "a.test b.test");
	assert_names("*.a.test *.b.a.test a.test", "*.a.test *.b.a.test a.test");
	assert_names("intranet", "intranet"); /* an internal CA may know it */
	assert_names("b\xc3\xbc"
		     "cher.example *.B\xc3\xbc"
		     "cher.example",
		     "*.xn--bcher-kva.example xn--bcher-kva.example");
	/* Covered by no wildcard: two labels deeper. */
	assert_names("*.example.com a.b.example.com", "*.example.com a.b.example.com");
	assert_names("*.example.com evilexample.com", "*.example.com evilexample.com");
}

static void an_overlap_is_named(void **state)
{
	(void)state;
	assert_refused("www.example.com example.com *.example.com",
		       "\"*.example.com\" already covers \"www.example.com\"; public CAs refuse "
		       "both in one order: leave one out");
	assert_refused("*.B.example.com b.example.com W.b.example.com",
		       "\"*.b.example.com\" already covers \"w.b.example.com\"");
}

static void what_is_no_name_is_refused(void **state)
{
	struct strlist names = { 0 };
	struct strlist out = { 0 };
	struct err err;
	char label[64];

	(void)state;
	assert_refused("", "at least one name");
	assert_refused(".", "root");
	assert_refused("a\\032b.test", "letters, digits");
	assert_refused("www.*.test", "wildcard");
	assert_refused("192.0.2.1", "IP address");
	/* It fits into DNS, but _acme-challenge in front of it does not. */
	memset(label, 'a', sizeof(label) - 1);
	label[sizeof(label) - 1] = '\0';
	strlist_addf(&names, "%s.%s.%s.%.50s", label, label, label, label);
	assert_int_equal(names_check(&names, &out, &err), ERR_USAGE);
	for (int i = 0; i < ACME_NAMES_MAX; i++) {
		strlist_addf(&names, "n%d.test", i);
	}
	assert_int_equal(names_check(&names, &out, &err), ERR_USAGE);
	assert_says(&err, "1001 names are too many for one certificate: at most 1000 go");
	assert_int_equal(out.count, 0);
	strlist_clear(&names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_sorted_and_doubles_dropped),
		cmocka_unit_test(an_overlap_is_named),
		cmocka_unit_test(what_is_no_name_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
