/* certbot's folder: carried over whole, and whatever else it may hold. */
#include "import/tree.h"

#define CONF "etc/conf.d/imported-certbot.conf"
#define ACCOUNT "old/accounts/ca.example/dir/id1"

static void put_account(struct bed *bed)
{
	put_file(bed, "accounts/ca.example/dir/id1/private_key.json", ACCOUNT_JWK);
	put_file(bed, "accounts/ca.example/dir/id1/regr.json",
		 "{\"body\": {\"contact\": [\"mailto:a@example.com\", 7, \"tel:1\"]}, "
		 "\"uri\": \"https://ca.example/acct/1\"}");
}

static void put_renewal(struct bed *bed, const char *name, const char *params)
{
	char *path = xasprintf("renewal/%s.conf", name);
	char *text =
		xasprintf("[renewalparams]\naccount = id1\nserver = " DIRECTORY "\n%s", params);

	put_file(bed, path, text);
	free(text);
	free(path);
}

static void put_live(struct bed *bed, const char *name, const struct issued *issued)
{
	char *key = xasprintf("live/%s/privkey.pem", name);
	char *full = xasprintf("live/%s/fullchain.pem", name);

	put_file(bed, key, issued->key);
	put_file(bed, full, issued->full);
	free(key);
	free(full);
}

static void put_credential(struct bed *bed)
{
	put_file(bed, "rfc2136.ini",
		 "dns_rfc2136_server = 192.0.2.53\ndns_rfc2136_port = 5353\n"
		 "dns_rfc2136_name = acme.\ndns_rfc2136_secret = " TSIG_SECRET "\n"
		 "dns_rfc2136_algorithm = HMAC-SHA256\n");
}

#define BY_TSIG                         \
	"authenticator = dns-rfc2136\n" \
	"dns_rfc2136_credentials = /etc/letsencrypt/rfc2136.ini\n"

static void put_all(struct bed *bed)
{
	struct issued issued = issue(KEY_P256, "example.com", "*.example.com");

	put_account(bed);
	put_credential(bed);
	put_renewal(bed, "example.com",
		    BY_TSIG "key_type = ecdsa\npreferred_chain = ISRG Root X1\n"
			    "preferred_profile = shortlived\nrenew_hook = /usr/bin/true a b\n");
	put_live(bed, "example.com", &issued);
	issued_clear(&issued);
}

/* dns01 runs equal commands once for all lineages, certbot each hook for each. */
static void hooks_that_may_look_at_the_lineage_run_for_each(void **state)
{
	static const struct {
		const char *hook, *expected;
	} rows[] = {
		{ "/bin/systemctl reload nginx",
		  "deploy = ( [ \"/bin/systemctl\", \"reload\", \"nginx\" ] );" },
		{ "/usr/local/bin/copy.sh",
		  "deploy = ( [ \"/usr/local/bin/copy.sh\", \"{lineage}\" ] );" },
		{ "cp $RENEWED_LINEAGE/*.pem /srv",
		  "deploy = ( [ \"/bin/sh\", \"-c\", \"cp $RENEWED_LINEAGE/*.pem /srv\", "
		  "\"{lineage}\" ] );" },
		{ "service nginx reload",
		  "deploy = ( [ \"/bin/sh\", \"-c\", \"service nginx reload\" ] );" },
	};
	struct bed *bed = *state;

	put_all(bed);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *params = xasprintf(BY_TSIG "renew_hook = %s\n", rows[i].hook);
		char *path = bed_path(bed, "etc");

		put_renewal(bed, "example.com", params);
		import_report_free(import_good(bed, "certbot"));
		expect_in_file(bed, CONF, rows[i].expected, true);
		bed_remove(path);
		free(path);
		free(params);
	}
}

static void everything_is_carried_over(void **state)
{
	struct bed *bed = *state;
	struct import_report *report;
	struct account_record *record = NULL;
	char *ours = bed_path(bed, "state");

	put_all(bed);
	report = import_good(bed, "certbot");
	expect_line(report, IMPORT_CARRIED, "account certbot-ca.example",
		    "https://ca.example/acct/1");
	expect_line(report, IMPORT_CARRIED, "certificate example.com",
		    "key p256, valid until 2026-12-20T14:13:20Z, profile shortlived, chain ISRG "
		    "Root X1");
	expect_line(report, IMPORT_CARRIED, "certificate example.com", "deploy: /usr/bin/true a b");
	expect_line(report, IMPORT_CARRIED, "provider certbot-rfc2136", "192.0.2.53:5353");
	expect_in_file(bed, CONF, "deploy = ( [ \"/usr/bin/true\", \"a\", \"b\" ] );", true);
	expect_in_file(bed, CONF, "contact = [ \"mailto:a@example.com\" ];", true);
	expect_in_file(bed, "etc/dns01.conf", "conf.d/*.conf", true);
	expect_in_file(bed, "etc/dns01.conf", ours, true); /* state */
	expect_in_file(bed, "etc/imported-certbot-rfc2136.key", TSIG_SECRET, true);
	assert_int_equal(bed_mode(bed, "etc/imported-certbot-rfc2136.key"), 0600);
	assert_int_equal(account_load(ours, "certbot-ca.example", &record, NULL), ERR_NONE);
	assert_string_equal(record->url, "https://ca.example/acct/1");
	assert_string_equal(record->directory, DIRECTORY);
	account_record_free(record);
	assert_true(bed_has(bed, "state/certs/example.com/current/fullchain.pem"));
	expect_in_file(bed, "state/certs/example.com/current/lineage.conf",
		       "suffix = \"example.com\"", true);
	import_report_free(report);

	report = import_good(bed, "certbot");
	assert_null(report->file);
	assert_int_equal(count_lines(report, IMPORT_CARRIED), 0);
	expect_line(report, IMPORT_THERE, "account certbot-ca.example", DIRECTORY);
	expect_line(report, IMPORT_THERE, "certificate example.com", "");
	import_report_free(report);
	free(ours);
}

static void no_secret_is_said(void **state)
{
	struct bed *bed = *state;
	struct import_report *report;

	put_all(bed);
	report = import_good(bed, "certbot");
	for (size_t i = 0; i < report->count; i++) {
		assert_null(strstr(report->line[i].text, TSIG_SECRET));
		assert_null(strstr(report->line[i].text, ACCOUNT_SECRET));
	}
	import_report_free(report);
	expect_in_file(bed, CONF, TSIG_SECRET, false);
	expect_in_file(bed, "state/certs/example.com/current/lineage.conf", TSIG_SECRET, false);
}

static void what_a_plain_crash_left_is_taken_up(void **state)
{
	struct bed *bed = *state;
	struct import_report *report;
	char *path = bed_path(bed, CONF), *main_file = bed_path(bed, "etc/dns01.conf");

	/* Everything was written but the configuration, which comes last. */
	put_all(bed);
	import_report_free(import_good(bed, "certbot"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(unlink(main_file), 0);
	report = import_good(bed, "certbot");
	expect_line(report, IMPORT_CARRIED, "account certbot-ca.example", "");
	expect_line(report, IMPORT_CARRIED, "certificate example.com", "");
	import_report_free(report);
	expect_in_file(bed, CONF, "name = \"example.com\";", true);
	assert_false(bed_has(bed, "state/certs/example.com/v0002"));
	assert_false(bed_has(bed, "etc/imported-certbot-rfc2136-2.key"));
	free(path);
	free(main_file);
}

static void names_that_are_taken_get_a_number(void **state)
{
	struct bed *bed = *state;
	struct issued other = issue(KEY_P256, "other.example.com", NULL);
	struct import_report *report;
	struct key *key = NULL;
	struct account_record record = { .directory = xstrdup(DIRECTORY) };
	char *ours = bed_path(bed, "state");

	put_all(bed);
	put_renewal(bed, "odd name$", BY_TSIG);
	put_live(bed, "odd name$", &other);
	/* An account of that name, with another key. */
	assert_int_equal(folder_make(ours, 0700, NULL), ERR_NONE);
	assert_int_equal(key_generate(KEY_P256, &key, NULL), ERR_NONE);
	record.key = key;
	assert_int_equal(account_save(ours, "certbot-ca.example", &record, NULL), ERR_NONE);
	/* A lineage of that name, for other names. */
	bed_has(bed, "state");
	free(put(bed, "../state/certs/example.com/note", "x"));
	report = import_good(bed, "certbot");
	expect_line(report, IMPORT_CARRIED, "account certbot-ca.example-2", "");
	expect_line(report, IMPORT_CARRIED, "certificate example.com-2", "");
	expect_line(report, IMPORT_CARRIED, "certificate odd-name-", "other.example.com");
	import_report_free(report);
	assert_false(bed_has(bed, "state/certs/example.com/current"));
	issued_clear(&other);
	key_free(key);
	free(record.directory);
	free(ours);
}

static void zones_are_as_few_as_serve_all(void **state)
{
	struct bed *bed = *state;
	struct issued apex = issue(KEY_P256, "example.com", NULL);
	struct issued below = issue(KEY_P256, "a.b.example.com", "*.c.example.com");
	struct issued evil = issue(KEY_P256, "evilexample.com", NULL);
	struct issued alone = issue(KEY_P256, "x.example.net", "y.example.net");
	char *text;
	size_t count = 0;

	put_account(bed);
	put_credential(bed);
	put_renewal(bed, "1", BY_TSIG);
	put_live(bed, "1", &below);
	put_renewal(bed, "2", BY_TSIG);
	put_live(bed, "2", &apex);
	put_renewal(bed, "3", BY_TSIG);
	put_live(bed, "3", &evil);
	put_renewal(bed, "4", "authenticator = webroot\n");
	put_live(bed, "4", &alone);
	import_report_free(import_good(bed, "certbot"));
	text = text_of(bed, CONF);
	for (const char *at = text; (at = strstr(at, "\t\tsuffix = ")) != NULL; at++) {
		count++;
	}
	assert_int_equal(count, 2);
	assert_non_null(strstr(text, "\t\tsuffix = \"example.com\""));
	assert_non_null(strstr(text, "\t\tsuffix = \"evilexample.com\""));
	assert_non_null(strstr(text, "#\t{ suffix = \"x.example.net\""));
	free(text);
	issued_clear(&apex);
	issued_clear(&below);
	issued_clear(&evil);
	issued_clear(&alone);
}

/* What was published by a hook falls to the plugin's zone above it. */
static void names_below_a_zone_that_came_over_are_said(void **state)
{
	struct bed *bed = *state;
	struct issued apex = issue(KEY_P256, "example.com", NULL);
	struct issued below = issue(KEY_P256, "a.example.com", "example.com");
	struct issued alone = issue(KEY_P256, "x.example.net", NULL);
	struct import_report *report;

	put_account(bed);
	put_credential(bed);
	put_renewal(bed, "1", BY_TSIG);
	put_live(bed, "1", &apex);
	put_renewal(bed, "2", "authenticator = manual\nmanual_auth_hook = /bin/hook\n");
	put_live(bed, "2", &below);
	report = import_good(bed, "certbot");
	expect_line(report, IMPORT_TODO, "zones", "(`dns01 probe NAME`): a.example.com");
	expect_in_file(bed, CONF, "No provider publishes", false);
	import_report_free(report);
	put_renewal(bed, "3", "authenticator = webroot\n");
	put_live(bed, "3", &alone);
	report = import_good(bed, "certbot");
	expect_line(report, IMPORT_TODO, "zones", "cannot be renewed: x.example.net");
	import_report_free(report);
	issued_clear(&apex);
	issued_clear(&below);
	issued_clear(&alone);
}

/* How its names were proved before does not matter where a zone serves them. */
static void names_that_are_served_need_no_word(void **state)
{
	struct bed *bed = *state;
	struct issued issued = issue(KEY_P256, "x.example.net", NULL);
	struct import_report *report;

	put_account(bed);
	put_renewal(bed, "x", "authenticator = webroot\n");
	put_live(bed, "x", &issued);
	put_file(
		bed, "../etc/dns01.conf",
		"include = [ \"conf.d/*.conf\" ];\n"
		"providers = (\n"
		"  { name = \"p\"; type = \"rfc2136\"; server = \"192.0.2.1\"; unsigned = true; }\n"
		");\n"
		"zones = ( { suffix = \"example.net\"; providers = [ \"p\" ]; } );\n");
	report = import_good(bed, "certbot");
	expect_line(report, IMPORT_CARRIED, "certificate x", "x.example.net");
	assert_int_equal(count_lines(report, IMPORT_LEFT), 0);
	assert_null(line_of(report, IMPORT_TODO, "zones", ""));
	import_report_free(report);
	issued_clear(&issued);
}

static void renew_before_is_read_in_words(void **state)
{
	static const struct {
		const char *text, *expected; /* NULL: left out */
	} rows[] = {
		{ "30 days", "renew_before = \"30d\"" },
		{ "1 day", "renew_before = \"1d\"" },
		{ "2 weeks", "renew_before = \"14d\"" },
		{ "12 hours", "renew_before = \"12h\"" },
		{ "45", "renew_before = \"45d\"" },
		{ "400 days", NULL },
		{ "0 days", NULL },
		{ "soon", NULL },
		{ "30 dayss", NULL },
		{ "99999999999999999999 days", NULL },
	};
	struct bed *bed = *state;
	struct issued issued = issue(KEY_P256, "example.com", NULL);

	put_account(bed);
	put_live(bed, "a", &issued);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *text = xasprintf("renew_before_expiry = %s\n[renewalparams]\naccount = id1\n"
				       "server = " DIRECTORY "\n",
				       rows[i].text);
		struct import_report *report;

		put_file(bed, "renewal/a.conf", text);
		report = import_good(bed, "certbot");
		if (rows[i].expected) {
			expect_in_file(bed, CONF, rows[i].expected, true);
		} else {
			expect_in_file(bed, CONF, "renew_before", false);
			expect_line(report, IMPORT_LEFT, "certificate a", "renew_before_expiry");
		}
		import_report_free(report);
		free(text);
		text = bed_path(bed, "etc");
		bed_remove(text);
		free(text);
		text = bed_path(bed, "state");
		bed_remove(text);
		free(text);
	}
	issued_clear(&issued);
}

/* ---- hostile folders --------------------------------------------------------------- */

static void files_that_are_none_stop_nothing(void **state)
{
	struct bed *bed = *state;
	struct import_report *report;
	char *fifo, *loop, *again, *big;

	put_all(bed);
	put_renewal(bed, "fifo", "");
	put_renewal(bed, "loop", "");
	put_renewal(bed, "big", "");
	put_file(bed, "live/fifo/x", "");
	put_file(bed, "live/big/fullchain.pem", "");
	fifo = bed_path(bed, "old/live/fifo/fullchain.pem");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	loop = bed_path(bed, "old/live/loop");
	assert_int_equal(symlink("loop", loop), 0);
	again = bed_path(bed, "old/accounts/again");
	assert_int_equal(symlink("..", again), 0);
	big = bed_path(bed, "old/live/big/fullchain.pem");
	assert_int_equal(truncate(big, 100 * 1024 * 1024), 0);
	report = import_good(bed, "certbot");
	expect_line(report, IMPORT_CARRIED, "certificate example.com", "");
	expect_line(report, IMPORT_LEFT, "certificate fifo", "is no regular file");
	expect_line(report, IMPORT_LEFT, "certificate loop", "cannot be read");
	expect_line(report, IMPORT_LEFT, "certificate big", "is larger than");
	import_report_free(report);
	free(fifo);
	free(loop);
	free(again);
	free(big);
}

static void settings_that_lie_are_left_out(void **state)
{
	static const struct {
		const char *name, *text, *part;
	} rows[] = {
		{ "server-quote", "[renewalparams]\nserver = 'https://a\"b'\n", "names no server" },
		{ "server-http", "[renewalparams]\nserver = http://ca.example/\n",
		  "names no server" },
		{ "server-user", "[renewalparams]\nserver = https://u:p@ca.example/\n",
		  "names no server" },
		{ "server-none", "a = b\n", "names no server" },
		{ "binary", "\x01\x02\xff\n", "binary.conf:1" },
	};
	struct bed *bed = *state;
	struct import_report *report;

	put_all(bed);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *path = xasprintf("renewal/%s.conf", rows[i].name);

		put_file(bed, path, rows[i].text);
		free(path);
	}
	report = import_good(bed, "certbot");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *subject = xasprintf("certificate %s", rows[i].name);

		expect_line(report, IMPORT_LEFT, subject, rows[i].part);
		free(subject);
	}
	import_report_free(report);
}

static void accounts_that_are_none_are_left_out(void **state)
{
	struct bed *bed = *state;
	struct import_report *report;

	put_all(bed);
	put_file(bed, "accounts/ca.example/dir/id1/regr.json",
		 "{\"uri\": \"http://ca.example/acct/1\", \"body\": []}");
	put_file(bed, "accounts/ca.example/dir/p521/private_key.json",
		 "{\"kty\":\"EC\",\"crv\":\"P-521\"}");
	put_file(bed, "accounts/ca.example/dir/junk/private_key.json", "not json " ACCOUNT_SECRET);
	put_file(bed, "accounts/ca.example/dir/id2/private_key.json", ACCOUNT_JWK);
	put_file(bed, "accounts/acme-v01.api.letsencrypt.org/directory/x/private_key.json",
		 ACCOUNT_JWK);
	report = import_good(bed, "certbot");
	expect_line(report, IMPORT_LEFT, "account ca.example/dir/p521", "P-521");
	expect_line(report, IMPORT_LEFT, "account ca.example/dir/junk", "is not the JSON");
	expect_line(report, IMPORT_LEFT, "account acme-v01.api.letsencrypt.org/directory/x",
		    "ACME v1");
	/* The same key a second time is the same account; its URL was no https. */
	assert_null(line_of(report, IMPORT_CARRIED, "account certbot-ca.example-2", ""));
	expect_line(report, IMPORT_CARRIED, "account certbot-ca.example", DIRECTORY);
	import_report_free(report);
}

static void credentials_that_are_none_are_left_out(void **state)
{
	static const struct {
		const char *text, *part;
	} rows[] = {
		{ "dns_rfc2136_server = ns.example\ndns_rfc2136_name = a\ndns_rfc2136_secret = "
		  "YWJj\ndns_rfc2136_algorithm = HMAC-SHA256\n",
		  "not an address" },
		{ "dns_rfc2136_server = 192.0.2.1\ndns_rfc2136_name = a\ndns_rfc2136_secret = "
		  "YWJj\n",
		  "hmac-md5" },
		{ "dns_rfc2136_server = 192.0.2.1\ndns_rfc2136_name = a\n", "_secret" },
		{ "dns_rfc2136_server = 192.0.2.1\ndns_rfc2136_port = x\ndns_rfc2136_name = "
		  "a\ndns_rfc2136_secret = YWJj\n",
		  "_port" },
		{ "dns_rfc2136_server = 192.0.2.1\ndns_rfc2136_name = 'a\"; }; key \"b'\n"
		  "dns_rfc2136_secret = YWJj\ndns_rfc2136_algorithm = HMAC-SHA256\n",
		  "marks that no key has" },
		{ "dns_rfc2136_server = 192.0.2.1\ndns_rfc2136_name = a\ndns_rfc2136_secret = "
		  "no*base64\ndns_rfc2136_algorithm = HMAC-SHA256\n",
		  "not base64" },
	};
	struct bed *bed = *state;
	struct import_report *report = NULL;
	struct err err;

	put_all(bed);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		put_file(bed, "rfc2136.ini", rows[i].text);
		assert_int_equal(import_now(bed, "certbot", true, &report, &err), ERR_NONE);
		expect_line(report, IMPORT_LEFT, "certificate example.com", rows[i].part);
		expect_line(report, IMPORT_TODO, "zones", "example.com");
		for (size_t j = 0; j < report->count; j++) {
			assert_null(strstr(report->line[j].text, "no*base64"));
		}
		import_report_free(report);
	}
	assert_false(bed_has(bed, "etc"));
	assert_false(bed_has(bed, "state"));
}

static void a_plugins_credential_becomes_a_provider(void **state)
{
	static const struct {
		const char *text, *conf, *file, *secret; /* conf NULL: it is left out */
	} rows[] = {
		{ "dns_cloudflare_api_token = tok-secret\n", "token_file = \"",
		  "etc/imported-certbot-cloudflare.key", "tok-secret" },
		{ "certbot_dns_cloudflare:dns_cloudflare_api_token = tok-secret\n",
		  "token_file = \"", "etc/imported-certbot-cloudflare.key", "tok-secret" },
		{ "dns_cloudflare_email = a@example.com\ndns_cloudflare_api_key = key-secret\n",
		  "email = \"a@example.com\"", "etc/imported-certbot-cloudflare.key",
		  "key-secret" },
		{ "other = 1\n", NULL, NULL, NULL },
		{ "no ini\n", NULL, NULL, NULL },
	};
	struct bed *bed = *state;
	struct issued issued = issue(KEY_P256, "example.com", NULL);

	put_account(bed);
	put_live(bed, "a", &issued);
	put_renewal(bed, "a",
		    "authenticator = dns-cloudflare\n"
		    "dns_cloudflare_credentials = /etc/letsencrypt/cf.ini\n");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct import_report *report;
		char *etc = bed_path(bed, "etc");

		put_file(bed, "cf.ini", rows[i].text);
		report = import_good(bed, "certbot");
		if (rows[i].conf) {
			expect_line(report, IMPORT_CARRIED, "provider certbot-cloudflare", "_file");
			expect_in_file(bed, CONF, "type = \"cloudflare\"", true);
			expect_in_file(bed, CONF, rows[i].conf, true);
			expect_in_file(bed, CONF, rows[i].secret, false);
			expect_in_file(bed, rows[i].file, rows[i].secret, true);
			assert_int_equal(bed_mode(bed, rows[i].file), 0600);
		} else {
			expect_line(report, IMPORT_LEFT, "certificate a", "\"cloudflare\" serves");
			expect_in_file(bed, CONF, "providers = (", false);
		}
		import_report_free(report);
		bed_remove(etc);
		free(etc);
	}
	issued_clear(&issued);
}

/* What a plugin has beside one file of settings. */
static void plugins_of_every_kind_become_providers(void **state)
{
	static const struct {
		const char *params, *file, *conf[3];
	} rows[] = {
		/* the vendor's own places are asked by both */
		{ "authenticator = dns-route53\n", "", { "type = \"route53\"", NULL, NULL } },
		/* the file is the secret */
		{ "authenticator = dns-google\ndns_google_credentials = /etc/letsencrypt/x.ini\n",
		  "{\"type\": \"service_account\"}",
		  { "type = \"google\"", "key_file = \"", NULL } },
		{ "authenticator = dns-ovh\ndns_ovh_credentials = /etc/letsencrypt/x.ini\n",
		  "dns_ovh_endpoint = ovh-ca\ndns_ovh_application_key = a\n"
		  "dns_ovh_application_secret = b\ndns_ovh_consumer_key = c\n",
		  { "endpoint = \"https://ca.api.ovh.com/1.0\"",
		    "imported-certbot-ovh-application_secret.key",
		    "imported-certbot-ovh-consumer_key.key" } },
	};
	struct bed *bed = *state;
	struct issued issued = issue(KEY_P256, "example.com", NULL);

	put_account(bed);
	put_live(bed, "a", &issued);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *etc = bed_path(bed, "etc");

		put_renewal(bed, "a", rows[i].params);
		put_file(bed, "x.ini", rows[i].file);
		import_report_free(import_good(bed, "certbot"));
		for (size_t j = 0; j < ARRAY_LEN(rows[i].conf) && rows[i].conf[j]; j++) {
			expect_in_file(bed, CONF, rows[i].conf[j], true);
		}
		expect_in_file(bed, CONF, "suffix = \"example.com\"", true);
		bed_remove(etc);
		free(etc);
	}
	issued_clear(&issued);
}

static void control_characters_are_escaped(void **state)
{
	struct bed *bed = *state;
	struct import_report *report;

	put_all(bed);
	put_renewal(bed, "red\x1b[31m", "autorenew = False\n");
	put_renewal(bed, "example.com", BY_TSIG "post_hook = '\x1b]0;title\x07'\n");
	report = import_good(bed, "certbot");
	for (size_t i = 0; i < report->count; i++) {
		assert_null(strchr(report->line[i].subject, '\x1b'));
		assert_null(strchr(report->line[i].text, '\x1b'));
	}
	assert_true(count_lines(report, IMPORT_LEFT) >= 2);
	import_report_free(report);
}

/* In a child that is nobody: what only root may read is said. */
static void import_as_nobody(struct bed *bed)
{
	struct import_report *report = NULL;
	struct err err = { 0 };

	assert_int_equal(setresgid(65534, 65534, 65534), 0);
	assert_int_equal(setresuid(65534, 65534, 65534), 0);
	assert_int_equal(import_now(bed, "certbot", true, &report, &err), ERR_NONE);
	expect_line(report, IMPORT_LEFT, "folder", "old/accounts: cannot be read");
	expect_line(report, IMPORT_LEFT, "certificate example.com", "cannot be read");
	assert_int_equal(count_lines(report, IMPORT_CARRIED), 0);
	import_report_free(report);
}

static void what_may_not_be_read_is_said(void **state)
{
	static const char *const open_to_all[] = { "", "old", "old/renewal" };
	struct bed *bed = *state;
	pid_t child;
	int status;

	if (geteuid() != 0) {
		print_message("# skipped: another user needs root\n");
		skip();
	}
	put_all(bed); /* accounts and live stay 0700 */
	for (size_t i = 0; i < ARRAY_LEN(open_to_all); i++) {
		char *path = bed_path(bed, open_to_all[i]);

		assert_int_equal(chmod(path, 0755), 0);
		free(path);
	}
	child = fork();
	if (child == 0) {
		import_as_nobody(bed);
		_exit(0);
	}
	status = bed_reap(child);
	assert_int_equal(status, 0);
}

/* ---- a disk that is full -------------------------------------------------------------- */

/* A page more is free each time, so that it fails at each of its steps. */
static void fill_and_import(struct bed *bed)
{
	enum err_code code = ERR_IO;
	char *ballast = bed_path(bed, "ballast");
	struct import_report *report = NULL;
	struct stat full;
	size_t failures = 0;

	put_all(bed);
	bed_fill(bed);
	assert_int_equal(stat(ballast, &full), 0);
	for (off_t pages = 0; code != ERR_NONE; pages++) {
		struct err err = { 0 };

		assert_int_equal(truncate(ballast, full.st_size - pages * 4096), 0);
		code = import_now(bed, "certbot", false, &report, &err);
		if (code == ERR_NONE) {
			break;
		}
		failures++;
		assert_int_equal(code, ERR_IO);
		assert_true(err.text[0] != '\0');
		assert_false(bed_has(bed, "etc/dns01.conf"));
		assert_false(bed_has(bed, CONF));
		assert_false(bed_has(bed, "etc/imported-certbot-rfc2136.key"));
		assert_false(bed_has(bed, "state/accounts/certbot-ca.example"));
		assert_false(bed_has(bed, "state/certs/example.com"));
	}
	assert_true(failures >= 5);
	assert_true(bed_has(bed, "state/certs/example.com/current/privkey.pem"));
	import_report_free(report);
	free(ballast);
}

static void nothing_is_left_on_a_full_disk(void **state)
{
	bed_on_small_disk(*state, fill_and_import);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(everything_is_carried_over),
		TEST(hooks_that_may_look_at_the_lineage_run_for_each),
		TEST(no_secret_is_said),
		TEST(what_a_plain_crash_left_is_taken_up),
		TEST(names_that_are_taken_get_a_number),
		TEST(zones_are_as_few_as_serve_all),
		TEST(names_below_a_zone_that_came_over_are_said),
		TEST(names_that_are_served_need_no_word),
		TEST(renew_before_is_read_in_words),
		TEST(files_that_are_none_stop_nothing),
		TEST(settings_that_lie_are_left_out),
		TEST(accounts_that_are_none_are_left_out),
		TEST(credentials_that_are_none_are_left_out),
		TEST(a_plugins_credential_becomes_a_provider),
		TEST(plugins_of_every_kind_become_providers),
		TEST(control_characters_are_escaped),
		TEST(what_may_not_be_read_is_said),
		TEST(nothing_is_left_on_a_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
