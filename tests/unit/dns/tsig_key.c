#include "dns/fake_world.h"

static enum err_code parse(const char *text, size_t len, struct tsig_key **out, struct err *err)
{
	return tsig_key_parse(&(struct tsig_key_text){ text, len, "test.key", false }, out, err);
}

static struct tsig_key *key_of(const char *text)
{
	struct tsig_key *key = NULL;
	struct err err = { .code = ERR_NONE };

	if (parse(text, strlen(text), &key, &err) != ERR_NONE) {
		fail_msg("%s: %s", err.subject, err.text);
	}
	return key;
}

static void refused(const char *text, const char *part)
{
	struct tsig_key *key = NULL;
	struct err err = { .code = ERR_NONE };

	assert_int_equal(parse(text, strlen(text), &key, &err), ERR_CONFIG);
	assert_null(key);
	assert_int_equal(strncmp(err.subject, "test.key:", 9), 0);
	if (!strstr(err.text, part)) {
		fail_msg("'%s' does not say '%s'", err.text, part);
	}
	assert_null(strstr(err.text, "c2VjcmV0"));
}

static void expect_key(const char *text)
{
	struct tsig_key *key = key_of(text);

	assert_string_equal(key->name, "dns01.example.com");
	assert_int_equal(key->alg, MAC_SHA256);
	assert_int_equal(key->secret_len, 6);
	assert_memory_equal(key->secret, "secret", 6);
	tsig_key_free(key);
}

static void forms_of_bind_are_read_as_they_are(void **state)
{
	(void)state;
	/* tsig-keygen */
	expect_key("key \"dns01.example.com\" {\n\talgorithm hmac-sha256;\n"
		   "\tsecret \"c2VjcmV0\";\n};\n");
	expect_key("key dns01.example.com. { algorithm HMAC-SHA256.; secret c2VjcmV0; };");
	expect_key("key DNS01.example.com{secret \"c2VjcmV0\";algorithm \"hmac-sha256\";};");
	expect_key("# one\n// two\n/* three\n * lines; */ key /* here */ dns01.example.com {\n"
		   "algorithm hmac-sha256; # sha\nsecret \"c2VjcmV0\"; // no\n};\n# end");
}

static void algorithms_are_told_apart(void **state)
{
	struct tsig_key *key;
	enum mac_alg alg;

	(void)state;
	key = key_of("key k { algorithm hmac-sha384; secret c2VjcmV0; };");
	assert_int_equal(key->alg, MAC_SHA384);
	tsig_key_free(key);
	key = key_of("key k { algorithm hmac-sha512; secret c2VjcmV0; };");
	assert_int_equal(key->alg, MAC_SHA512);
	tsig_key_free(key);
	assert_true(tsig_alg_parse("Hmac-Sha1.", &alg));
	assert_int_equal(alg, MAC_SHA1);
	assert_false(tsig_alg_parse("hmac-sha", &alg));
	assert_false(tsig_alg_parse("", &alg));
	assert_string_equal(tsig_alg_name(MAC_SHA512), "hmac-sha512");
	refused("key k { algorithm hmac-md5; secret c2VjcmV0; };", "md5");
	refused("key k { algorithm hmac-md5.sig-alg.reg.int; secret c2VjcmV0; };", "md5");
	refused("key k { algorithm hmac-sha256-128; secret c2VjcmV0; };", "untruncated");
	refused("key k { algorithm hmac-sha1; secret c2VjcmV0; };", "allow_sha1");
}

static void sha1_needs_permission(void **state)
{
	static const char text[] = "key k { algorithm hmac-sha1; secret c2VjcmV0; };";
	const struct tsig_key_text from = { text, strlen(text), "f", true };
	struct tsig_key *key = NULL;
	struct err err;

	(void)state;
	assert_int_equal(tsig_key_parse(&from, &key, &err), ERR_NONE);
	assert_int_equal(key->alg, MAC_SHA1);
	tsig_key_free(key);
}

static void mistakes_are_named_with_their_line_and_no_secret(void **state)
{
	struct tsig_key *key = NULL;
	struct err err;
	char *text;
	static const char third[] = "key k {\nalgorithm hmac-sha256;\nsecret \"c2VjcmV0\"\n};";

	(void)state;
	refused("", "form");
	refused("options { };", "form");
	refused("key { };", "comes its name");
	refused("key a..b { };", "domain name");
	refused("key k algorithm", "'{'");
	refused("key k { };", "no 'secret'");
	refused("key k { secret c2VjcmV0; };", "no 'algorithm'");
	refused("key k { algorithm hmac-sha256; };", "no 'secret'");
	refused("key k { algorithm hmac-sha256; secret \"c2VjcmV0", "quote");
	refused("key k { algorithm hmac-sha256; secret \"c2VjcmV0!\"; };", "base64");
	refused("key k { algorithm hmac-sha256; secret \"\"; };", "empty");
	refused("key k { algorithm hmac-sha256; secret c2VjcmV0; secret c2VjcmV0; };", "once");
	refused("key k { algorithm hmac-sha256; secret c2VjcmV0; }", "after '}'");
	refused("key k { algorithm hmac-sha256; secret c2VjcmV0; }; key l { };", "more than one");
	refused("key k { /* algorithm hmac-sha256; secret c2VjcmV0; };", "");
	assert_int_equal(parse(third, strlen(third), &key, &err), ERR_CONFIG);
	assert_string_equal(err.subject, "test.key:4");
	text = xmalloc(4001);
	memset(text, 'A', 4000);
	text[4000] = '\0';
	refused(text, "form");
	free(text);
}

static void a_nul_in_the_file_ends_nothing_well(void **state)
{
	static const char text[] = "key k { algorithm hmac-sha256;\0 secret c2VjcmV0; };";
	struct tsig_key *key = NULL;
	struct err err;

	(void)state;
	assert_int_equal(parse(text, sizeof(text) - 1, &key, &err), ERR_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms_of_bind_are_read_as_they_are),
		cmocka_unit_test(algorithms_are_told_apart),
		cmocka_unit_test(sha1_needs_permission),
		cmocka_unit_test(mistakes_are_named_with_their_line_and_no_secret),
		cmocka_unit_test(a_nul_in_the_file_ends_nothing_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
