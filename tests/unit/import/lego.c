/* lego's folder, of version 4 and of version 5, and whatever else it may hold. */
#include "import/tree.h"

#define CONF "etc/conf.d/imported-lego.conf"
#define LE "accounts/acme-v02.api.letsencrypt.org/a@example.com"

static char *key_text(void)
{
	struct key *key = make_key(KEY_P384);
	struct buf pem;

	key_format_pem(key, &pem);
	key_free(key);
	return buf_detach(&pem);
}

static void put_old_account(struct bed *bed)
{
	char *key = key_text();

	put_file(bed, LE "/keys/a@example.com.key", key);
	put_file(bed, LE "/account.json",
		 "{\"email\": \"a@example.com\", \"registration\": {\"body\": {\"status\": "
		 "\"valid\"}, \"uri\": \"https://acme-v02.api.letsencrypt.org/acme/acct/1\"}}");
	free(key);
}

static void put_certificate(struct bed *bed, const char *name, const struct issued *issued,
			    const char *json)
{
	const struct {
		const char *suffix, *text;
	} files[] = { { "crt", issued->leaf },
		      { "issuer.crt", issued->issuer },
		      { "key", issued->key },
		      { "json", json } };

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char *path = xasprintf("certificates/%s.%s", name, files[i].suffix);

		if (files[i].text) {
			put_file(bed, path, files[i].text);
		}
		free(path);
	}
}

static void version_4_is_read(void **state)
{
	struct bed *bed = *state;
	struct issued issued = issue(KEY_RSA2048, "*.example.com", NULL);
	struct import_report *report;

	put_old_account(bed);
	put_certificate(bed, "_.example.com", &issued,
			"{\"domain\": \"*.example.com\", \"certUrl\": "
			"\"https://acme-v02.api.letsencrypt.org/acme/cert/1\"}");
	report = import_good(bed, "lego");
	expect_line(report, IMPORT_CARRIED, "account lego-acme-v02.api.letsencrypt.org",
		    "https://acme-v02.api.letsencrypt.org/acme/acct/1");
	expect_line(report, IMPORT_CARRIED, "certificate example.com", "key rsa2048, valid");
	expect_line(report, IMPORT_TODO, "zones", "example.com");
	import_report_free(report);
	expect_in_file(bed, CONF, "directory = \"https://acme-v02.api.letsencrypt.org/directory\"",
		       true);
	expect_in_file(bed, CONF, "key_type = \"p384\"", true);
	expect_in_file(bed, CONF, "contact = [ \"mailto:a@example.com\" ]", true);
	/* The leaf and its issuer stood in two files. */
	expect_in_file(bed, "state/certs/example.com/current/chain.pem", "BEGIN CERTIFICATE", true);
	issued_clear(&issued);
}

static void version_5_is_read(void **state)
{
	struct bed *bed = *state;
	struct issued issued = issue(KEY_P256, "example.com", NULL);
	struct import_report *report;
	char *key = key_text();

	put_file(bed, "accounts/ca.example_8443/mine/mine.key", key);
	put_file(bed, "accounts/ca.example_8443/mine/account.json",
		 "{\"id\": \"mine\", \"email\": \"\", \"server\": "
		 "\"https://ca.example:8443/v2/dir\", \"registration\": {\"status\": \"valid\", "
		 "\"contact\": [\"mailto:b@example.com\"], \"accountURL\": "
		 "\"https://ca.example:8443/acct/7\"}}");
	put_certificate(bed, "mine", &issued,
			"{\"id\": \"mine\", \"certUrl\": \"https://ca.example:8443/cert/1\", "
			"\"profile\": \"short\", \"preferredChain\": \"Root X\"}");
	report = import_good(bed, "lego");
	expect_line(report, IMPORT_CARRIED, "account lego-ca.example-8443",
		    "https://ca.example:8443/acct/7");
	expect_line(report, IMPORT_CARRIED, "certificate mine", "profile short, chain Root X");
	import_report_free(report);
	expect_in_file(bed, CONF, "directory = \"https://ca.example:8443/v2/dir\"", true);
	expect_in_file(bed, CONF, "contact = [ \"mailto:b@example.com\" ]", true);
	issued_clear(&issued);
	free(key);
}

static void an_account_is_found_by_the_certificates_url(void **state)
{
	struct bed *bed = *state;
	struct issued issued = issue(KEY_P256, "example.com", NULL);
	struct import_report *report;
	char *key = key_text();

	put_old_account(bed);
	put_file(bed, "accounts/acme.zerossl.com/z/keys/z.key", key);
	put_file(bed, "accounts/acme.zerossl.com/z/account.json", "{\"email\": \"\"}");
	put_certificate(bed, "a", &issued, "{\"certUrl\": \"https://acme.zerossl.com/v2/c\"}");
	report = import_good(bed, "lego");
	assert_null(line_of(report, IMPORT_TODO, "certificate a", ""));
	import_report_free(report);
	expect_in_file(bed, CONF, "account = \"lego-acme.zerossl.com\"", true);
	issued_clear(&issued);
	free(key);
}

static void what_is_not_known_is_guessed_aloud(void **state)
{
	struct bed *bed = *state;
	struct issued issued = issue(KEY_P256, "example.com", NULL);
	struct import_report *report;
	char *key = key_text();

	put_old_account(bed);
	put_file(bed, "accounts/acme.zerossl.com/z/keys/z.key", key);
	put_file(bed, "accounts/acme.zerossl.com/z/account.json", "{\"email\": \"\"}");
	put_certificate(bed, "a", &issued, NULL);
	report = import_good(bed, "lego");
	expect_line(report, IMPORT_TODO, "certificate a", "the first of 2");
	import_report_free(report);
	issued_clear(&issued);
	free(key);
}

static void folders_that_lie_are_left_out(void **state)
{
	struct bed *bed = *state;
	struct issued issued = issue(KEY_P256, "example.com", NULL);
	char text[] = "no certificate";
	struct issued bad = { .leaf = text, .key = issued.key };
	struct issued csr = { .leaf = issued.leaf, .issuer = issued.issuer };
	struct import_report *report;

	put_old_account(bed);
	put_file(bed, "accounts/h_1/junk/account.json", "[[[[");
	put_file(bed, "accounts/h_1/odd/account.json", "{\"server\": \"https://x\\ny/\"}");
	put_file(bed, "accounts/h_1/list/account.json", "[]");
	put_file(bed, "accounts/acme.zerossl.com/nokey/account.json", "{}");
	put_certificate(bed, "bad", &bad, "{}");
	put_certificate(bed, "csr", &csr, "{\"certUrl\": 7}");
	report = import_good(bed, "lego");
	expect_line(report, IMPORT_LEFT, "certificate bad", "bad.crt");
	/* Made of a request: lego never had its key. */
	expect_line(report, IMPORT_LEFT, "certificate csr", "csr.key");
	expect_line(report, IMPORT_CARRIED, "certificate csr", "settings alone");
	assert_int_equal(count_lines(report, IMPORT_CARRIED), 2);
	assert_int_equal(count_lines(report, IMPORT_LEFT), 4 + 2 + 2);
	import_report_free(report);
	issued_clear(&issued);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(version_4_is_read),
		TEST(version_5_is_read),
		TEST(an_account_is_found_by_the_certificates_url),
		TEST(what_is_not_known_is_guessed_aloud),
		TEST(folders_that_lie_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
