/* Texts that libconfig refuses without a reason, or takes in silence. */
#include "conf_test.h"

static const struct bad bad[] = {
	{ "accounts = (\n"
	  " { name = \"a\"; directory = \"https://ca/d\"; },\n"
	  ");",
	  "t.conf:3: accounts: a comma stands after the last element; remove the comma of line 2" },
	{ "zones = (\n"
	  "  { suffix = \"a.b\"; },\n"
	  "  { suffix = \"b.c\"; settle = 10s; }\n"
	  ");",
	  "t.conf:3: zones[1].settle: 10s is not quoted; write \"10s\"" },
	{ "zones = ( { suffix = \"a.b\"; ttl = 0600; } );",
	  "t.conf:1: zones[0].ttl: 0600 begins with a zero, which is silently dropped; write it "
	  "without, or in quotes" },
	{ "zones = ( { suffix = \"a.b\"; ttl = 4294967296; } );",
	  "t.conf:1: zones[0].ttl: 4294967296 is too large; write a number below 2147483648" },
	{ "zones = ( { suffix = \"a.b\"; ttl = 1.5; } );",
	  "t.conf:1: zones[0].ttl: 1.5 is not quoted; write \"1.5\"" },
	{ "zones.example = 1;",
	  "t.conf:1: zones.example: a key has no dots; write a group: { key = VALUE; }" },
	{ "\"proxy\" = \"x\";", "t.conf:1: proxy: a key stands in quotes; write it without" },
	{ "proxy = \"http://a\"\n"
	  "proxy = \"http://b\"",
	  "t.conf:2: proxy: it is given twice; line 1 has it already" },
	{ "zones = ( { suffix = \"a.b\"; suffix = \"c.d\"; } );",
	  "t.conf:1: zones[0].suffix: it is given twice; line 1 has it already" },
	{ "resolvers = [ \"10.0.0.1\" \"10.0.0.2\" ];",
	  "t.conf:1: resolvers[1]: a comma is missing before this element" },
	{ "state = \"/a\" \"/b\";",
	  "t.conf:1: state: two strings stand side by side; write one, or a list with a comma "
	  "between them" },
	{ "state = \"/a;\n"
	  "proxy = \"http://x\";",
	  "t.conf:1: state: the string is not closed on its line; write \" at its end" },
	{ "state = /var/lib/dns01;",
	  "t.conf:1: state: /var/lib/dns01 is not quoted; write \"/var/lib/dns01\"" },
	{ "zones = [ { suffix = \"a\"; } ];",
	  "t.conf:1: zones[0]: \"[ ]\" holds plain values; write \"( )\" around groups and lists" },
	{ "zones = ( { suffix = \"a\"; ];",
	  "t.conf:1: zones[0]: the \"{\" of line 1 is not closed; write \"}\" before \"]\"" },
	{ "zones = ( { suffix = \"a\"; }\n",
	  "t.conf:2: zones[0]: the \"(\" of line 1 is never closed; write \")\"" },
	{ "/* x\n"
	  "\n"
	  "state = \"a\";",
	  "t.conf:1: the comment that begins here has no end; write */ after it" },
	{ "@include \"x.conf\"",
	  "t.conf:1: @include is not used here; write include = [ \"conf.d/*.conf\" ];" },
	{ "accounts = ( { name = \"a\"; directory = \"https://ca/d\"; agree_tos = yes; } );",
	  "t.conf:1: accounts[0].agree_tos: yes is not a value; write true or false, or a string "
	  "in quotes" },
	{ "zones = ( { suffix = \"a.b\"; servers = [ 1, \"a\" ]; } );",
	  "t.conf:1: zones[0].servers[1]: \"[ ]\" holds values of one kind; write all of them in "
	  "quotes, or none" },
	{ "accounts = ( { name = \"a\"; directory = \"https://ca/d\"; } );\n"
	  "certificates = ( { name = \"c\"; names = [ \"a\" ]; deploy = [ \"/bin/true\", \"x\" "
	  "]; } );",
	  "t.conf:2: certificates[0].deploy: an element is not a list of strings; write a list "
	  "of commands: ( [ \"/bin/true\" ] )" },
	{ "proxy \"http://x\";",
	  "t.conf:1: proxy: \"http://x\" is not expected here; write \"=\" between a key and its "
	  "value" },
	{ "proxy = ;", "t.conf:1: proxy: \";\" is not expected here; write a value" },
	{ "}", "t.conf:1: \"}\" closes nothing; remove it" },
	{ "state = \"/a\";;", "t.conf:1: a \";\" too many; remove it" },
	{ "a = (((((((((((((((((1)))))))))))))))));",
	  "t.conf:1: a[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: brackets are nested more "
	  "than 15 deep; close some" },
	{ "resolvers = [ \"10.0.0.1\"; \"10.0.0.2\" ];",
	  "t.conf:1: resolvers[0]: \";\" is not expected here; write a comma between "
	  "elements, or the end of the list" },
	{ "_x = 1;", "t.conf:1: _x: \"_x\" is not a key; write letters, digits, \"_\" and \"-\"" },
	{ "zones = ( { suffix = \"a.b\" ttl = 5; suffix = \"b\" } );",
	  "t.conf:1: zones[0].suffix: it is given twice; line 1 has it already" },
	{ "providers = ( { name = \"p\"; token = abc123; } );",
	  "t.conf:1: providers[0].token: the value is not quoted; write it in quotes" },
	{ "state = \"/a\"; # one\n// two\n/* three\n*/ proxy = x;",
	  "t.conf:4: proxy: x is not quoted; write \"x\"" },
	{ "zones = ( { ttl = 0x1ffffffff; } );",
	  "t.conf:1: zones[0].ttl: 0x1ffffffff is too large; write a number below 2147483648" },
	{ "zones = ( { ttl = 5L; } );", "t.conf:1: zones[0].ttl: 5L is not quoted; write \"5L\"" },
	{ "state", "t.conf:1: state: the text ends here; \"=\" between a key and its value was "
		   "expected" },
};

static void explains_what_libconfig_does_not(void **state)
{
	(void)state;
	check_bad(bad, ARRAY_LEN(bad));
	no_misses();
}

/* libconfig's own freedoms stay. */
static void accepts_what_libconfig_accepts(void **state)
{
	struct conf *conf = parse_good(
		"# comment\nstate : \"/a\" proxy = \"http://x\", resolvers = ( \"192.0.2.1\" )\n"
		"zones = ( ) accounts = [ ]; // end\n/* more */ providers = ();");

	(void)state;
	if (conf != NULL) {
		check_text("state", "/a", conf->state);
		check_text("proxy", "http://x", conf->proxy);
		check("resolvers", conf->resolvers.count == 1);
	}
	conf_free(conf);
	no_misses();
}

/* Whatever the octets are, there is an answer: one octet of a good text replaced by each other. */
static void answers_to_any_octet(void **state)
{
	static const char good[] = PROVIDER "zones = ( { suffix = \".\"; providers = [ \"p\" ]; "
					    "ttl = 60; } ); /* x */ # y\n";

	(void)state;
	for (size_t at = 0; at < sizeof(good) - 1; at++) {
		for (int octet = 1; octet < 256; octet += octet < 127 ? 3 : 37) {
			char text[sizeof(good)];
			struct conf *conf = NULL;
			struct err err = { 0 };

			memcpy(text, good, sizeof(good));
			text[at] = (char)octet;
			if (conf_parse(text, "t", fake_provider, &conf, &err) != ERR_NONE) {
				check("sentence", err.text[0] != '\0' && conf == NULL);
			}
			conf_free(conf);
		}
	}
	no_misses();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(explains_what_libconfig_does_not),
		cmocka_unit_test(accepts_what_libconfig_accepts),
		cmocka_unit_test(answers_to_any_octet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
