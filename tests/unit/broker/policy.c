/* The policy as a table: who asks for what, what routing found, the verdict. */
#include "cmocka_all.h"

#include <assert.h>

#include "dns01/broker.h"

static const char configuration[] =
	"providers = ( { name = \"p\"; type = \"fake\"; } );"
	"zones = ( { suffix = \"example.com\"; providers = [ \"p\" ]; },"
	"          { suffix = \"example.com\"; view = \"inside\"; providers = [ \"p\" ]; },"
	"          { suffix = \"acme.example.net\"; providers = [ \"p\" ]; target = true; } );"
	"clients = ("
	" { name = \"web\"; names = [ \"www.example.com\", \"example.com\" ]; },"
	" { name = \"apex\"; names = [ \"example.com\" ]; wildcard = true; },"
	" { name = \"apps\"; names = [ \"apps.example.com\" ]; under = [ \"apps.example.com\" ];"
	"   except = [ \"admin.apps.example.com\" ]; networks = [ \"10.2.0.0/16\" ]; },"
	" { name = \"team\"; names = [ \"a.team.example.com\" ]; },"
	" { name = \"lead\"; names = [ \"team.example.com\" ]; },"
	" { name = \"idn\"; names = [ \"xn--bcher-kva.example.com\" ]; },"
	" { name = \"listed\"; names = [ \"l.example.com\" ];"
	"   targets = [ \"l.elsewhere.example\" ]; },"
	" { name = \"inner\"; names = [ \"i.example.com\" ];"
	"   views = [ \"inside\", \"default\" ]; },"
	" { name = \"wide\"; under = [ \"example.com\" ]; },"
	" { name = \"reader\"; names = [ \"www.example.com\" ]; role = \"read\"; },"
	" { name = \"boss\"; names = [ \"www.example.com\" ]; role = \"admin\"; },"
	" { name = \"fleet\"; auth = \"mtls\"; names = [ \"@san\" ]; },"
	" { name = \"nobody\"; } );";

#define VALUE "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"

struct policy_test {
	const char *client, *name, *owner; /* owner NULL: _acme-challenge.NAME */
	enum policy_rule rule;
	const char *value, *view, *from; /* NULL: a good one; "default"; 10.2.3.4 */
	bool apex;
};

#define OF(client_, name_, owner_, ...)                                                      \
	{                                                                                    \
		.client = (client_), .name = (name_), .owner = (owner_), .rule = __VA_ARGS__ \
	}
static const struct policy_test cases[] = {
	/* exactly these */
	OF("web", "www.example.com", NULL, POLICY_GRANTED),
	OF("web", "mail.example.com", NULL, POLICY_UNGRANTED),
	OF("web", "a.www.example.com", NULL, POLICY_UNGRANTED),
	OF("web", "com", NULL, POLICY_NAME),
	OF("web", "wwwexample.com", NULL, POLICY_UNGRANTED),
	OF("web", "evilwww.example.com", NULL, POLICY_UNGRANTED),
	OF("nobody", "www.example.com", NULL, POLICY_UNGRANTED),
	OF("idn", "xn--bcher-kva.example.com", NULL, POLICY_GRANTED),
	/* the value at an apex, or above the names of others, proves more */
	OF("web", "example.com", NULL, POLICY_WILDCARD, .apex = true),
	OF("apex", "example.com", NULL, POLICY_GRANTED, .apex = true),
	OF("lead", "team.example.com", NULL, POLICY_WILDCARD),
	OF("team", "a.team.example.com", NULL, POLICY_GRANTED),
	/* all below, at label boundaries, but for the exceptions */
	OF("apps", "apps.example.com", NULL, POLICY_WILDCARD),
	OF("apps", "x.apps.example.com", NULL, POLICY_GRANTED),
	OF("apps", "z.y.x.apps.example.com", NULL, POLICY_GRANTED),
	OF("apps", "evilapps.example.com", NULL, POLICY_UNGRANTED),
	OF("apps", "admin.apps.example.com", NULL, POLICY_EXCEPT),
	OF("apps", "x.admin.apps.example.com", NULL, POLICY_EXCEPT),
	OF("apps", "notadmin.apps.example.com", NULL, POLICY_GRANTED),
	OF("wide", "example.com", NULL, POLICY_UNGRANTED),
	OF("wide", "evilexample.com", NULL, POLICY_UNGRANTED),
	OF("wide", "deep.down.below.example.com", NULL, POLICY_GRANTED),
	OF("wide", "sub.example.com", NULL, POLICY_WILDCARD, .apex = true),
	/* what is no host is nobody's, or it might be another's challenge */
	OF("wide", "_acme-challenge.www.example.com", NULL, POLICY_NAME),
	OF("wide", "_x.example.com", NULL, POLICY_NAME),
	OF("wide", "-x.example.com", NULL, POLICY_NAME),
	OF("wide", "x-.example.com", NULL, POLICY_NAME),
	OF("wide", "*.example.com", NULL, POLICY_NAME),
	/* an alias never widens a grant */
	OF("web", "www.example.com", "_acme-challenge.mail.example.com", POLICY_ALIAS),
	OF("web", "www.example.com", "_acme-challenge.www.example.com", POLICY_GRANTED),
	OF("web", "www.example.com", "www.example.com.acme.example.net", POLICY_GRANTED),
	OF("web", "www.example.com", "mail.example.com.acme.example.net", POLICY_ALIAS),
	OF("web", "www.example.com", "www.example.com", POLICY_ALIAS),
	OF("web", "www.example.com", "anything.example.org", POLICY_ALIAS),
	OF("wide", "a.example.com", "_acme-challenge.b.example.com", POLICY_GRANTED),
	OF("wide", "a.example.com", "_acme-challenge.example.com", POLICY_ALIAS),
	OF("apps", "x.apps.example.com", "_acme-challenge.admin.apps.example.com", POLICY_ALIAS),
	OF("listed", "l.example.com", "l.elsewhere.example", POLICY_GRANTED),
	OF("web", "www.example.com", "l.elsewhere.example", POLICY_ALIAS),
	/* places, roles, values */
	OF("apps", "x.apps.example.com", NULL, POLICY_NETWORK, .from = "10.3.0.1"),
	OF("apps", "x.apps.example.com", NULL, POLICY_GRANTED, .from = "::ffff:10.2.0.1"),
	OF("apps", "x.apps.example.com", NULL, POLICY_NETWORK, .from = ""),
	OF("web", "www.example.com", NULL, POLICY_GRANTED, .from = ""),
	OF("web", "www.example.com", NULL, POLICY_VIEW, .view = "inside"),
	OF("inner", "i.example.com", NULL, POLICY_GRANTED, .view = "inside"),
	OF("inner", "i.example.com", NULL, POLICY_VIEW, .view = ""),
	OF("reader", "www.example.com", NULL, POLICY_ROLE),
	OF("boss", "www.example.com", NULL, POLICY_GRANTED),
	OF("boss", "mail.example.com", NULL, POLICY_UNGRANTED),
	OF("web", "www.example.com", NULL, POLICY_VALUE, .value = "short"),
	OF("web", "www.example.com", NULL, POLICY_VALUE, .value = VALUE "A"),
	OF("web", "www.example.com", NULL, POLICY_VALUE,
	   .value = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"),
	OF("web", "www.example.com", NULL, POLICY_VALUE,
	   .value = "v=spf1 include:example.org -all             "),
	/* the names of the certificate that it shows: h.example.com, one of ours */
	OF("fleet", "h.example.com", NULL, POLICY_GRANTED),
	OF("fleet", "g.example.com", NULL, POLICY_UNGRANTED),
};

static const struct setting *fake_rows(const char *type, size_t *count)
{
	static const struct setting none = { .name = "unused" };

	*count = 0;
	return strcmp(type, "fake") == 0 ? &none : NULL;
}

static struct conf *load(void)
{
	struct conf *conf = NULL;
	struct err err = { 0 };

	if (conf_parse(configuration, "test", fake_rows, &conf, &err) != ERR_NONE) {
		print_error("%s: %s\n", err.subject, err.text);
	}
	assert_non_null(conf);
	return conf;
}

static enum policy_rule judge(const struct conf *conf, const struct policy_test *test,
			      struct err *err)
{
	const char *from = test->from ? test->from : "10.2.3.4";
	struct strlist names = { 0 };
	struct addr addr = { .len = 0 };
	char owner[NAME_TEXT_MAX], target[NAME_TEXT_MAX];
	struct policy_client client = { .grant = conf_find_client(conf, test->client),
					.cert_names = &names,
					.from = &addr };
	struct policy_question question = {
		.name = test->name,
		.view = test->view ? test->view : "default",
		.value = test->value ? test->value : VALUE,
		.owner = owner,
		.target = target,
		.apex = test->apex,
		.other_below = policy_other_below(conf, test->name, test->client),
	};
	enum policy_rule rule;

	assert_non_null(client.grant);
	strlist_add(&names, "h.example.com");
	assert_true(from[0] == '\0' || addr_parse(from, 5000, &addr));
	snprintf(owner, sizeof(owner), "%s%s", test->owner ? "" : "_acme-challenge.",
		 test->owner ? test->owner : test->name);
	assert_int_equal(policy_target(test->name, "acme.example.net", target, err), ERR_NONE);
	rule = policy_judge(&client, &question, err);
	strlist_clear(&names);
	return rule;
}

static void each_case_has_its_verdict(void **state)
{
	struct conf *conf = load();
	size_t wrong = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = { 0 };
		enum policy_rule rule = judge(conf, &cases[i], &err);

		if (rule != cases[i].rule) {
			print_error("%zu: %s for %s: %s, not %s: %s\n", i, cases[i].client,
				    cases[i].name, policy_rule_name(rule),
				    policy_rule_name(cases[i].rule), err.text);
			wrong++;
		}
		if (rule != POLICY_GRANTED) {
			assert_int_equal(err.code, ERR_DENIED);
			assert_string_equal(err.subject, cases[i].client);
			assert_true(strlen(err.text) > 20);
		}
	}
	assert_int_equal(wrong, 0);
	conf_free(conf);
}

static void an_owner_name_tells_whom_it_is_for(void **state)
{
	char name[NAME_TEXT_MAX];

	(void)state;
	assert_true(policy_name_of("_acme-challenge.www.example.com", NULL, name));
	assert_string_equal(name, "www.example.com");
	assert_true(policy_name_of("www.example.com.acme.example.net", "acme.example.net", name));
	assert_string_equal(name, "www.example.com");
	assert_false(
		policy_name_of("www.example.com.evilacme.example.net", "acme.example.net", name));
	assert_false(policy_name_of("acme.example.net", "acme.example.net", name));
	assert_false(policy_name_of("www.example.com", NULL, name));
	/* the challenge of a host that lies in the target zone itself */
	assert_true(policy_name_of("_acme-challenge.h.acme.example.net", "acme.example.net", name));
	assert_string_equal(name, "h.acme.example.net");
}

static void a_name_too_long_has_no_target(void **state)
{
	char name[250], target[NAME_TEXT_MAX];
	struct err err;

	(void)state;
	memset(name, 'a', sizeof(name));
	for (size_t i = 60; i < sizeof(name); i += 61) {
		name[i] = '.';
	}
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(policy_target(name, "acme.example.net", target, &err), ERR_USAGE);
}

static void places_at_an_owner_are_shared(void **state)
{
	(void)state;
	assert_int_equal(policy_share(0), POLICY_OWNER_ALONE);
	assert_int_equal(policy_share(1), POLICY_OWNER_VALUES / 2);
	assert_int_equal(policy_share(2), POLICY_OWNER_VALUES / 3);
	assert_int_equal(policy_share(POLICY_OWNER_VALUES), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_case_has_its_verdict),
		cmocka_unit_test(an_owner_name_tells_whom_it_is_for),
		cmocka_unit_test(a_name_too_long_has_no_target),
		cmocka_unit_test(places_at_an_owner_are_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
