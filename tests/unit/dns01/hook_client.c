/* What each client says when it calls its hook, and what is made of it. */
#include "cmocka_all.h"

#include "dns01/hook.h"

#define VALUE "-x1oGyWqcWbtZ3Oqa9ulcQ6jcMGxbJnBWzlQw1rWoMs"

static struct hook_request request;
static struct err err;

static enum err_code reads(const char *client, const char *const *words)
{
	char *arguments[16] = { 0 };
	int count = 0;
	enum err_code code;

	hook_request_clear(&request);
	request = (struct hook_request){ 0 };
	for (; words[count]; count++) {
		arguments[count] = xstrdup(words[count]);
	}
	code = hook_client_find(client)->read(count, arguments, &request, &err);
	for (int i = 0; i < count; i++) {
		free(arguments[i]);
	}
	return code;
}

#define READS(client, ...) reads(client, (const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

static void is(enum hook_action action, const char *name, const char *value)
{
	assert_int_equal(request.action, action);
	assert_string_equal(request.names.item[0], name);
	if (value) {
		assert_string_equal(request.values.item[0], value);
	} else {
		assert_int_equal(request.values.count, 0);
	}
}

static void certbot_env(const char *remaining, const char *all)
{
	static const char *const names[] = {
		"CERTBOT_IDENTIFIER",           "CERTBOT_DOMAIN",          "CERTBOT_VALIDATION",
		"CERTBOT_REMAINING_CHALLENGES", "CERTBOT_ALL_IDENTIFIERS", "CERTBOT_ALL_DOMAINS"
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		unsetenv(names[i]);
	}
	setenv("CERTBOT_DOMAIN", "example.com", 1);
	setenv("CERTBOT_VALIDATION", VALUE, 1);
	if (remaining) {
		setenv("CERTBOT_REMAINING_CHALLENGES", remaining, 1);
	}
	if (all) {
		setenv("CERTBOT_ALL_DOMAINS", all, 1);
	}
}

static void certbot_waits_with_the_last_of_a_run(void **state)
{
	(void)state;
	certbot_env("1", "example.com,example.com,b.example.net");
	assert_int_equal(READS("certbot", "auth"), ERR_NONE);
	is(HOOK_HOLD, "example.com", VALUE);
	assert_true(request.more);
	assert_false(request.wait);
	assert_false(request.final);
	certbot_env("0", "example.com,example.com,b.example.net");
	assert_int_equal(READS("certbot", "auth"), ERR_NONE);
	assert_false(request.more);
	assert_true(request.wait);
	assert_int_equal(request.run.count, 2); /* the wildcard has its base's name */
	assert_string_equal(request.run.item[1], "b.example.net");
	assert_int_equal(READS("certbot", "cleanup"), ERR_NONE);
	is(HOOK_LET_GO, "example.com", VALUE);
}

static void an_old_certbot_does_not_say_what_follows(void **state)
{
	(void)state;
	certbot_env(NULL, NULL);
	assert_int_equal(READS("certbot", "auth"), ERR_NONE);
	assert_false(request.more);
	assert_true(request.wait);
	unsetenv("CERTBOT_VALIDATION");
	assert_int_equal(READS("certbot", "auth"), ERR_USAGE);
	assert_non_null(strstr(err.text, "CERTBOT_VALIDATION"));
}

static void dehydrated_sends_threes(void **state)
{
	(void)state;
	assert_int_equal(READS("dehydrated", "deploy_challenge", "a.test", "f", "v1", "b.test", "f",
			       VALUE),
			 ERR_NONE);
	is(HOOK_HOLD, "a.test", "v1");
	assert_int_equal(request.names.count, 2);
	assert_string_equal(request.values.item[1], VALUE);
	assert_true(request.wait);
	assert_int_equal(READS("dehydrated", "clean_challenge", "a.test", "f", VALUE), ERR_NONE);
	is(HOOK_LET_GO, "a.test", VALUE);
	assert_int_equal(READS("dehydrated", "deploy_challenge", "a.test", "f"), ERR_USAGE);
	assert_int_equal(READS("dehydrated", "deploy_challenge"), ERR_USAGE);
	assert_int_equal(READS("dehydrated", "unchanged_cert", "a.test", "k"), ERR_NONE);
	assert_int_equal(request.action, HOOK_NOTHING);
	assert_int_equal(request.status, 0);
	assert_int_equal(READS("dehydrated"), ERR_NONE);
	assert_int_equal(request.action, HOOK_NOTHING);
}

static void uacme_is_declined_other_challenges(void **state)
{
	(void)state;
	assert_int_equal(READS("uacme", "begin", "dns-01", "a.test", "token", VALUE), ERR_NONE);
	is(HOOK_HOLD, "a.test", VALUE);
	assert_true(request.wait);
	assert_int_equal(READS("uacme", "begin", "http-01", "a.test", "token", "t.thumb"),
			 ERR_NONE);
	assert_int_equal(request.action, HOOK_NOTHING);
	assert_int_equal(request.status, 1);
	assert_int_equal(READS("uacme", "failed", "http-01", "a.test", "token", "t.thumb"),
			 ERR_NONE);
	assert_int_equal(request.status, 0);
	assert_int_equal(READS("uacme", "failed", "dns-01", "a.test", "token", VALUE), ERR_NONE);
	is(HOOK_LET_GO, "a.test", VALUE);
	assert_int_equal(READS("uacme", "begin", "dns-01", "a.test"), ERR_USAGE);
}

static void lego_gives_the_value_or_what_it_is_made_of(void **state)
{
	(void)state;
	assert_int_equal(READS("lego", "present", "_acme-challenge.a.test.", VALUE), ERR_NONE);
	is(HOOK_HOLD, "_acme-challenge.a.test.", VALUE);
	assert_true(request.final);
	assert_false(request.wait);
	/* RFC 8555 s.8.4: base64url(SHA-256("abc")), whose digest is FIPS 180's. */
	assert_int_equal(READS("lego", "cleanup", "--", "a.test", "-token", "abc"), ERR_NONE);
	is(HOOK_LET_GO, "a.test", "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
	assert_false(request.final);
	assert_int_equal(READS("lego", "present", "x"), ERR_USAGE);
	assert_int_equal(READS("lego", "timeout", "x", "y"), ERR_USAGE);
}

static void the_others_say_verb_name_and_value(void **state)
{
	(void)state;
	assert_int_equal(READS("acme.sh", "add", "_acme-challenge.a.test", VALUE), ERR_NONE);
	is(HOOK_HOLD, "_acme-challenge.a.test", VALUE);
	assert_true(request.final);
	assert_int_equal(READS("getssl", "del", "a.test", VALUE), ERR_NONE);
	is(HOOK_LET_GO, "a.test", VALUE);
	assert_false(request.final);
	assert_false(request.wait);
	assert_int_equal(READS("mod_md", "setup", "a.test", VALUE), ERR_NONE);
	is(HOOK_HOLD, "a.test", VALUE);
	assert_true(request.wait);
	assert_int_equal(READS("mod_md", "teardown", "a.test"), ERR_NONE);
	is(HOOK_LET_GO, "a.test", NULL);
	assert_int_equal(READS("mod_md", "teardown", "a.test", VALUE), ERR_NONE);
	is(HOOK_LET_GO, "a.test", VALUE);
	assert_int_equal(READS("mod_md", "setup", "a.test"), ERR_USAGE);
	assert_int_equal(READS("getssl", "add", "a.test"), ERR_USAGE);
	assert_int_equal(READS("acme.sh", "del", "a.test", VALUE), ERR_USAGE);
}

static int tidy(void **state)
{
	(void)state;
	hook_request_clear(&request);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certbot_waits_with_the_last_of_a_run),
		cmocka_unit_test(an_old_certbot_does_not_say_what_follows),
		cmocka_unit_test(dehydrated_sends_threes),
		cmocka_unit_test(uacme_is_declined_other_challenges),
		cmocka_unit_test(lego_gives_the_value_or_what_it_is_made_of),
		cmocka_unit_test(the_others_say_verb_name_and_value),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, tidy);
}
