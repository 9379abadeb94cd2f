/* acme.sh's folder: its settings in every spelling, and whatever else it may hold. */
#include "import/tree.h"

#define CONF "etc/conf.d/imported-acme.sh.conf"
#define KEY_FILE "key \"acme\" { algorithm hmac-sha256; secret \"" TSIG_SECRET "\"; };\n"
#define API "Le_API='https://ca.example:8443/dir'\n"

static void put_account(struct bed *bed)
{
	struct key *key = make_key(KEY_RSA2048);
	char *path = put(bed, "tsig.key", KEY_FILE), *text;
	struct buf pem;

	key_format_pem(key, &pem);
	put_file(bed, "ca/ca.example/dir/account.key", buf_str(&pem));
	put_file(bed, "ca/ca.example/dir/ca.conf",
		 "CA_EMAIL='a@example.com'\nACCOUNT_URL='https://ca.example:8443/acct/1'\n"
		 "CA_EAB_KEY_ID='kid-1'\nCA_EAB_HMAC_KEY='bWFjLXNlY3JldA'\n");
	text = xasprintf("SAVED_NSUPDATE_SERVER='192.0.2.53'\nSAVED_NSUPDATE_SERVER_PORT='5353'\n"
			 "SAVED_NSUPDATE_KEY='%s'\n",
			 path);
	put_file(bed, "account.conf", text);
	buf_wipe(&pem);
	key_free(key);
	free(path);
	free(text);
}

/* domain: as in the folder's name; its files are those of issued. */
static void put_domain(struct bed *bed, const char *folder, const char *domain,
		       const struct issued *issued, const char *conf)
{
	char *stem = xasprintf("%s/%s", folder, domain), *path;

	path = xasprintf("%s.conf", stem);
	put_file(bed, path, conf);
	free(path);
	if (issued) {
		path = xasprintf("%s.key", stem);
		put_file(bed, path, issued->key);
		free(path);
		path = xasprintf("%s/fullchain.cer", folder);
		put_file(bed, path, issued->full);
		free(path);
	}
	free(stem);
}

static void both_keys_of_a_name_are_carried_over(void **state)
{
	struct bed *bed = *state;
	struct issued ec = issue(KEY_P256, "example.com", "*.example.com");
	struct issued rsa = issue(KEY_RSA2048, "example.com", "*.example.com");
	static const char conf[] = "Le_Domain='example.com'\nLe_Alt='*.example.com'\n"
				   "Le_Webroot='dns_nsupdate'\n" API;
	struct import_report *report;
	char *text;

	put_account(bed);
	text = xasprintf("%sLe_Keylength='ec-256'\n", conf);
	put_domain(bed, "example.com_ecc", "example.com", &ec, text);
	free(text);
	put_domain(bed, "example.com", "example.com", &rsa, conf);
	report = import_good(bed, "acme.sh");
	/* The folder of the account knows no port; Le_API does. */
	expect_line(report, IMPORT_CARRIED, "account acme.sh-ca.example-8443",
		    "https://ca.example:8443/acct/1");
	expect_line(report, IMPORT_CARRIED, "certificate example.com", "key rsa2048, valid until");
	expect_line(report, IMPORT_CARRIED, "certificate example.com-2", "key p256, valid until");
	expect_line(report, IMPORT_CARRIED, "provider acme.sh-rfc2136", "192.0.2.53:5353");
	import_report_free(report);
	expect_in_file(bed, CONF, "directory = \"https://ca.example:8443/dir\"", true);
	expect_in_file(bed, CONF, "eab_kid = \"kid-1\"", true);
	expect_in_file(bed, CONF, "bWFjLXNlY3JldA", false);
	expect_in_file(bed, "etc/imported-acme.sh-ca.example-8443-eab.key", "bWFjLXNlY3JldA", true);
	assert_int_equal(bed_mode(bed, "etc/imported-acme.sh-ca.example-8443-eab.key"), 0600);
	report = import_good(bed, "acme.sh");
	assert_null(report->file);
	assert_int_equal(count_lines(report, IMPORT_THERE), 3);
	import_report_free(report);
	issued_clear(&ec);
	issued_clear(&rsa);
}

static void each_name_has_its_method_and_alias(void **state)
{
	struct bed *bed = *state;

	put_account(bed);
	put_domain(bed, "a.example", "a.example", NULL,
		   "Le_Domain='a.example'\nLe_Alt='b.example,c.example,d.example'\n"
		   "Le_Webroot='dns_nsupdate,/var/www,,dns_cf'\n" API);
	put_domain(bed, "e.example", "e.example", NULL,
		   "Le_Domain='e.example'\nLe_Alt='f.example,g.example,h.example'\n"
		   "Le_Webroot='dns_nsupdate'\n"
		   "Le_ChallengeAlias='acme.example,,no,=direct.example,'\n" API);
	import_report_free(import_good(bed, "acme.sh"));
	expect_in_file(bed, CONF, "suffix = \"a.example\"", true);
	expect_in_file(bed, CONF, "#\t{ suffix = \"b.example\"", true);
	expect_in_file(bed, CONF, "#\t{ suffix = \"c.example\"", true);
	expect_in_file(bed, CONF, "#\t{ suffix = \"d.example\"", true);
	expect_in_file(bed, CONF,
		       "\t\tsuffix = \"e.example\";\n\t\tproviders = [ \"acme.sh-rfc2136\" ];\n"
		       "\t\talias = \"_acme-challenge.acme.example\";",
		       true);
	expect_in_file(bed, CONF,
		       "\t\tsuffix = \"f.example\";\n\t\tproviders = [ \"acme.sh-rfc2136\" ];\n"
		       "\t\talias = \"_acme-challenge.acme.example\";",
		       true);
	expect_in_file(bed, CONF,
		       "\t\tsuffix = \"g.example\";\n\t\tproviders = [ \"acme.sh-rfc2136\" ];\n\t}",
		       true);
	expect_in_file(bed, CONF,
		       "\t\tsuffix = \"h.example\";\n\t\tproviders = [ \"acme.sh-rfc2136\" ];\n"
		       "\t\talias = \"direct.example\";",
		       true);
	expect_in_file(bed, CONF, "suffix = \"acme.example\"", true);
	expect_in_file(bed, CONF, "suffix = \"direct.example\"", true);
}

static void plugins_that_speak_http_become_providers(void **state)
{
	static const struct {
		const char *method, *saved, *own, *conf, *secret;
	} rows[] = {
		{ "dns_cf", "SAVED_CF_Token='s3cret'\nSAVED_CF_Account_ID='acc'\n", "",
		  "account_id = \"acc\"", "s3cret" },
		/* for one zone alone it is saved beside the certificate */
		{ "dns_cf", "", "CF_Token='s3cret'\n", "type = \"cloudflare\"", "s3cret" },
		{ "dns_pdns",
		  "SAVED_PDNS_Url='https://dns.example:8081'\nSAVED_PDNS_ServerId='localhost'\n"
		  "SAVED_PDNS_Token='s3cret'\n",
		  "", "endpoint = \"https://dns.example:8081\"", "s3cret" },
		{ "dns_acmeproxy",
		  "SAVED_ACMEPROXY_ENDPOINT='https://p.example'\nSAVED_ACMEPROXY_USERNAME='u'\n"
		  "SAVED_ACMEPROXY_PASSWORD='s3cret'\n",
		  "", "username = \"u\"", "s3cret" },
		{ "dns_aws",
		  "SAVED_AWS_ACCESS_KEY_ID='AKIA'\nSAVED_AWS_SECRET_ACCESS_KEY='s3cret'\n", "",
		  "access_key_id = \"AKIA\"", "s3cret" },
		{ "dns_ovh", "SAVED_OVH_AK='k'\nSAVED_OVH_AS='s3cret'\nSAVED_OVH_CK='s3cret'\n", "",
		  "consumer_key_file = \"", "s3cret" },
		{ "dns_azure",
		  "SAVED_AZUREDNS_SUBSCRIPTIONID='sub'\nSAVED_AZUREDNS_MANAGEDIDENTITY='false'\n"
		  "SAVED_AZUREDNS_TENANTID='ten'\nSAVED_AZUREDNS_APPID='app'\n"
		  "SAVED_AZUREDNS_CLIENTSECRET='s3cret'\n",
		  "", "client_id = \"app\"", "s3cret" },
		{ "dns_pdns", "SAVED_PDNS_Token='s3cret'\n", "", NULL, NULL },
		{ "dns_pdns", "SAVED_PDNS_Url='no url'\nSAVED_PDNS_Token='s3cret'\n", "", NULL,
		  NULL },
	};
	struct bed *bed = *state;

	put_account(bed);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *conf =
			xasprintf("Le_Domain='a.example'\nLe_Alt='no'\nLe_Webroot='%s'\n%s" API,
				  rows[i].method, rows[i].own);
		char *etc = bed_path(bed, "etc");
		struct import_report *report;

		put_file(bed, "account.conf", rows[i].saved);
		put_domain(bed, "a.example", "a.example", NULL, conf);
		report = import_good(bed, "acme.sh");
		if (rows[i].conf) {
			expect_in_file(bed, CONF, rows[i].conf, true);
			expect_in_file(bed, CONF, rows[i].secret, false);
			expect_in_file(bed, CONF, "providers = [ \"acme.sh-", true);
		} else {
			expect_line(report, IMPORT_LEFT, "certificate a.example", "endpoint");
			expect_in_file(bed, CONF, "providers = (", false);
		}
		for (size_t j = 0; j < report->count; j++) {
			assert_null(strstr(report->line[j].text, "s3cret"));
		}
		import_report_free(report);
		bed_remove(etc);
		free(etc);
		free(conf);
	}
}

static void wrapped_values_are_read(void **state)
{
	static const struct {
		const char *value, *expected; /* NULL: none */
	} rows[] = {
		/* echo "a b" */
		{ "__ACME_BASE64__START_ZWNobyAiYSBiIg==__ACME_BASE64__END_",
		  "deploy = ( [ \"/bin/sh\", \"-c\", \"echo \\\"a b\\\"\" ] );" },
		{ "/bin/true", "deploy = ( [ \"/bin/true\" ] );" },
		{ "__ACME_BASE64__START_*__ACME_BASE64__END_", NULL },
		{ "__ACME_BASE64__START___ACME_BASE64__END_", NULL },
		{ "", NULL },
		/* a NUL inside */
		{ "__ACME_BASE64__START_YQBi__ACME_BASE64__END_", NULL },
	};
	struct bed *bed = *state;

	put_account(bed);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *conf =
			xasprintf("Le_Domain='a.example'\nLe_Alt='no'\nLe_ReloadCmd='%s'\n" API,
				  rows[i].value);
		char *path = bed_path(bed, "etc");

		put_domain(bed, "a.example", "a.example", NULL, conf);
		import_report_free(import_good(bed, "acme.sh"));
		expect_in_file(bed, CONF, rows[i].expected ? rows[i].expected : "deploy",
			       rows[i].expected != NULL);
		bed_remove(path);
		free(path);
		free(conf);
	}
}

static void installed_files_are_copied_by_deploy(void **state)
{
	struct bed *bed = *state;

	put_account(bed);
	put_domain(bed, "a.example", "a.example", NULL,
		   "Le_Domain='a.example'\nLe_Alt='no'\nLe_RealKeyPath='/x/a b'\\''c.key'\n"
		   "Le_RealCertPath='/x/both.pem'\nLe_RealCACertPath='/x/both.pem'\n" API);
	import_report_free(import_good(bed, "acme.sh"));
	expect_in_file(
		bed, CONF,
		"\"umask 077; cat \\\"$RENEWED_LINEAGE/privkey.pem\\\" >\\\"$1\\\"\", \"sh\", "
		"\"/x/a b'c.key\"",
		true);
	expect_in_file(bed, CONF, "$RENEWED_LINEAGE/fullchain.pem", true);
	expect_in_file(bed, CONF, "$RENEWED_LINEAGE/chain.pem", false);
}

static void folders_that_lie_are_left_out(void **state)
{
	static const struct {
		const char *name, *text, *part;
	} rows[] = {
		{ "no-ca", "Le_Domain='a.example'\n", "no CA" },
		{ "no-name", API, "names no domain" },
		{ "bad-ca", "Le_Domain='a.example'\nLe_API='https://ca\"x/'\n", "no CA" },
		{ "up", "Le_Domain='../../etc/passwd'\nLe_Alt='no'\n" API, "is no DNS name" },
		{ "overlap", "Le_Domain='*.o.example'\nLe_Alt='www.o.example'\n" API,
		  "no CA would renew it so" },
		{ "curve", "Le_Domain='k.example'\nLe_Alt='no'\nLe_Keylength='ec-521'\n" API,
		  "a key of type ec-521" },
	};
	struct bed *bed = *state;
	struct import_report *report;

	put_account(bed);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		put_domain(bed, rows[i].name, rows[i].name, NULL, rows[i].text);
	}
	put_file(bed, "ca/ca.example/other/account.key", "no key");
	report = import_good(bed, "acme.sh");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *subject = xasprintf("certificate %s", rows[i].name);

		expect_line(report, IMPORT_LEFT, subject, rows[i].part);
		free(subject);
	}
	expect_line(report, IMPORT_LEFT, "account ca.example/other", "holds no private key");
	import_report_free(report);
}

/* The key of another certificate, or a chain for other names: settings alone come over. */
static void files_that_do_not_belong_together_are_left(void **state)
{
	struct bed *bed = *state;
	struct issued one = issue(KEY_P256, "a.example", NULL);
	struct issued two = issue(KEY_P256, "b.example", NULL);
	struct issued mixed = { one.key, two.leaf, two.issuer, two.full };
	struct import_report *report;

	put_account(bed);
	put_domain(bed, "a.example", "a.example", &mixed,
		   "Le_Domain='a.example'\nLe_Alt='no'\n" API);
	put_domain(bed, "c.example", "c.example", &two, "Le_Domain='c.example'\nLe_Alt='no'\n" API);
	report = import_good(bed, "acme.sh");
	expect_line(report, IMPORT_LEFT, "certificate a.example", "orders it anew");
	expect_line(report, IMPORT_LEFT, "certificate c.example", "not for the names");
	expect_line(report, IMPORT_CARRIED, "certificate a.example", "settings alone");
	expect_line(report, IMPORT_CARRIED, "certificate c.example", "settings alone");
	import_report_free(report);
	assert_false(bed_has(bed, "state/certs"));
	issued_clear(&one);
	issued_clear(&two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(both_keys_of_a_name_are_carried_over),
		TEST(each_name_has_its_method_and_alias),
		TEST(plugins_that_speak_http_become_providers),
		TEST(wrapped_values_are_read),
		TEST(installed_files_are_copied_by_deploy),
		TEST(folders_that_lie_are_left_out),
		TEST(files_that_do_not_belong_together_are_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
