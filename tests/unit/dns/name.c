#include "dns/fake_world.h"

static const char *parsed(const char *text)
{
	static char out[NAME_TEXT_MAX];
	struct err err = { .code = ERR_NONE };

	if (name_parse(text, out, &err) != ERR_NONE) {
		fail_msg("%s: %s", text, err.text);
	}
	return out;
}

static void refused(const char *text, const char *part)
{
	char out[NAME_TEXT_MAX] = "untouched";
	struct err err = { .code = ERR_NONE };

	assert_int_equal(name_parse(text, out, &err), ERR_USAGE);
	assert_string_equal(out, "untouched");
	if (!strstr(err.text, part)) {
		fail_msg("%s: '%s' does not say '%s'", text, err.text, part);
	}
}

static void what_people_write_becomes_one_form(void **state)
{
	(void)state;
	assert_string_equal(parsed("Example.COM."), "example.com");
	assert_string_equal(parsed("example.com"), "example.com");
	assert_string_equal(parsed("*.Example.com."), "*.example.com");
	assert_string_equal(parsed("_acme-challenge.example.com"), "_acme-challenge.example.com");
	assert_string_equal(parsed("."), ".");
	assert_string_equal(parsed("host"), "host");
	assert_string_equal(parsed("3com.example"), "3com.example");
}

static void idn_follows_idna2008_without_transition(void **state)
{
	(void)state;
	assert_string_equal(parsed("b\xc3\xbc"
				   "cher.example"),
			    "xn--bcher-kva.example");
	assert_string_equal(parsed("*.B\xc3\x9c"
				   "CHER.Example"),
			    "*.xn--bcher-kva.example");
	/* UTS 46 transitional would make strasse of it. */
	assert_string_equal(parsed("stra\xc3\x9f"
				   "e.de"),
			    "xn--strae-oqa.de");
	/* The combining form of u with diaeresis is the same name. */
	assert_string_equal(parsed("bu\xcc\x88"
				   "cher.example"),
			    "xn--bcher-kva.example");
	assert_string_equal(parsed("_acme-challenge.b\xc3\xbc"
				   "cher.example"),
			    "_acme-challenge.xn--bcher-kva.example");
	assert_string_equal(parsed("XN--bcher-KVA.example"), "xn--bcher-kva.example");
	/* The ideographic full stop is a dot (UTS 46). */
	assert_string_equal(parsed("b\xc3\xbc"
				   "cher\xe3\x80\x82"
				   "example"),
			    "xn--bcher-kva.example");
}

static void idn_mistakes_are_named(void **state)
{
	(void)state;
	refused("\xff\xfe.example", "UTF-8");
	refused("xn--a.example", "A-label");
	refused("\\xn--a.example", "A-label");
	refused("xn--\xc3\xbc.example", "");
	refused("\xe2\x98\x83\xe2\x80\x8b.example", "not allowed");
	refused("b\xc3\xbc\\046.example", "backslash");
}

static void mistakes_are_named(void **state)
{
	(void)state;
	refused("", "empty");
	refused("a..example.com", "between two dots");
	refused(".example.com", "between two dots");
	refused("https://example.com/", "URL");
	refused("192.0.2.1", "IP address");
	refused("2001:db8::1", "IP address");
	refused("admin@example.com", "'@'");
	refused("www example.com", "white space");
	refused("*", "needs a domain");
	refused("*.", "needs a domain");
	refused("a.*.example.com", "first label");
	refused("*a.example.com", "first label");
	refused("*.*.example.com", "first label");
	refused("a/b.example.com", "\\DDD");
	refused("a\\999.example.com", "three digits");
}

static void limits_are_those_of_rfc_1035(void **state)
{
	char label[65];
	char *text;
	char out[NAME_TEXT_MAX];
	struct err err;

	(void)state;
	memset(label, 'a', sizeof(label));
	label[63] = '\0';
	text = xasprintf("%s.com", label);
	assert_int_equal(strlen(parsed(text)), 67);
	free(text);
	text = xasprintf("%sb.com", label);
	refused(text, "63");
	free(text);
	/* 63+1 three times, 61+1, and the root: 255 octets. */
	text = xasprintf("%s.%s.%s.%.61s", label, label, label, label);
	assert_int_equal(strlen(parsed(text)), 253);
	assert_int_equal(name_challenge(text, out, &err), ERR_USAGE);
	assert_non_null(strstr(err.text, "255"));
	free(text);
	text = xasprintf("%s.%s.%s.%.62s", label, label, label, label);
	refused(text, "255");
	free(text);
}

static void special_octets_are_escaped_in_one_way(void **state)
{
	char all[NAME_TEXT_MAX];
	struct wire_name wire = { .len = 0 };
	struct wire_name back;

	(void)state;
	assert_string_equal(parsed("a\\.b.example"), "a\\046b.example");
	assert_string_equal(parsed("a\\046b.example"), "a\\046b.example");
	assert_string_equal(parsed("0\\04725.example"), "0\\04725.example");
	assert_int_equal(name_labels(parsed("a\\.b.example")), 2);
	assert_string_equal(parsed("\\065.example"), "a.example");
	assert_string_equal(parsed("a.\\*.example"), "a.\\042.example");
	assert_string_equal(parsed("\\042.example"), "*.example");
	assert_string_equal(parsed("\\+"), "\\043");
	/* Every octet there is, and the text of the longest name. */
	for (unsigned part = 0; part < 4; part++) {
		wire.data[wire.len++] = part < 3 ? 63 : 61;
		for (unsigned i = 0; i < (part < 3 ? 63 : 61); i++) {
			wire.data[wire.len++] = (uint8_t)(128 + part * 30 + i);
		}
	}
	wire.data[wire.len++] = 0;
	assert_int_equal(wire.len, WIRE_NAME_MAX);
	wire_name_text(&wire, all);
	assert_true(strlen(all) > 700);
	assert_true(wire_name_from_text(all, &back));
	assert_true(wire_name_equal(&wire, &back));
}

static void ancestors_end_at_label_boundaries(void **state)
{
	(void)state;
	assert_true(name_under("example.com", "example.com"));
	assert_true(name_under("a.b.example.com", "example.com"));
	assert_true(name_under("example.com", "."));
	assert_false(name_under("evilexample.com", "example.com"));
	assert_false(name_under("com", "example.com"));
	assert_false(name_under("a\\046example.com", "example.com"));
	assert_string_equal(name_parent("a.example.com"), "example.com");
	assert_string_equal(name_parent("com"), ".");
	assert_null(name_parent("."));
	assert_int_equal(name_labels("."), 0);
	assert_int_equal(name_labels("a.example.com"), 3);
	assert_true(name_is_wildcard("*.example.com"));
	assert_false(name_is_wildcard("example.com"));
	assert_string_equal(name_base("*.example.com"), "example.com");
	assert_string_equal(name_base("example.com"), "example.com");
}

static void the_challenge_name_is_of_the_base(void **state)
{
	char out[NAME_TEXT_MAX];
	struct err err;

	(void)state;
	assert_int_equal(name_challenge("*.example.com", out, &err), ERR_NONE);
	assert_string_equal(out, "_acme-challenge.example.com");
	assert_int_equal(name_challenge("example.com", out, &err), ERR_NONE);
	assert_string_equal(out, "_acme-challenge.example.com");
}

static void shown(const char *name, const char *expected)
{
	char *text = name_display(name);

	assert_string_equal(text, expected);
	free(text);
}

static void people_see_both_forms(void **state)
{
	(void)state;
	shown("example.com", "example.com");
	shown("*.xn--bcher-kva.example", "*.b\xc3\xbc"
					 "cher.example (*.xn--bcher-kva.example)");
	/* Hebrew would reorder the line around it. */
	shown("xn--4dbrk0ce.example", "xn--4dbrk0ce.example");
	shown("xn--99999999.example", "xn--99999999.example");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_people_write_becomes_one_form),
		cmocka_unit_test(idn_follows_idna2008_without_transition),
		cmocka_unit_test(idn_mistakes_are_named),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(limits_are_those_of_rfc_1035),
		cmocka_unit_test(special_octets_are_escaped_in_one_way),
		cmocka_unit_test(ancestors_end_at_label_boundaries),
		cmocka_unit_test(the_challenge_name_is_of_the_base),
		cmocka_unit_test(people_see_both_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
