/* Chains: what is read of them, what is refused, what is checked, what is written. */
#include "certs.h"

struct ca {
	struct key *key; /* of the leaf */
	EVP_PKEY *leaf, *middle, *root;
	char *leaf_pem, *middle_pem, *root_pem;
	struct strlist names;
};

static int ca_setup(void **state)
{
	struct ca *ca = xcalloc(1, sizeof(*ca));

	ca->key = make_key(KEY_P256);
	ca->leaf = openssl_key(ca->key);
	ca->middle = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
	ca->root = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	ca->leaf_pem = cert_pem(make_cert(&(struct cert_args){
		.key = ca->leaf,
		.signer = ca->middle,
		.subject = "example.com",
		.issuer = "Middle \303\234",
		.names = { "*.Example.com", "example.com" },
		.serial = "00ab01",
		.key_id = "mkid",
	}));
	ca->middle_pem = cert_pem(make_cert(&(struct cert_args){
		.key = ca->middle,
		.signer = ca->root,
		.subject = "Middle \303\234",
		.issuer = "Root",
	}));
	ca->root_pem = cert_pem(make_cert(&(struct cert_args){
		.key = ca->root, .signer = ca->root, .subject = "Root", .issuer = "Root" }));
	strlist_add(&ca->names, "example.com");
	strlist_add(&ca->names, "*.example.COM");
	*state = ca;
	return 0;
}

static int ca_teardown(void **state)
{
	struct ca *ca = *state;

	key_free(ca->key);
	EVP_PKEY_free(ca->leaf);
	EVP_PKEY_free(ca->middle);
	EVP_PKEY_free(ca->root);
	free(ca->leaf_pem);
	free(ca->middle_pem);
	free(ca->root_pem);
	strlist_clear(&ca->names);
	free(ca);
	return expect_empty_queue(state);
}

/* Gives what the parts are together; the list ends with NULL. */
static char *join(const char *const *parts)
{
	struct buf text = BUF_INIT(4 * CHAIN_PEM_MAX);

	for (; *parts; parts++) {
		buf_add_str(&text, *parts);
	}
	return buf_detach(&text);
}

#define JOIN(...) join((const char *const[]){ __VA_ARGS__, NULL })

/* Takes pem. */
static struct chain *parse(char *pem)
{
	struct chain *chain = NULL;
	struct err err = { 0 };

	if (chain_parse(pem, strlen(pem), &chain, &err) != ERR_NONE) {
		fail_msg("%s", err.text);
	}
	free(pem);
	return chain;
}

/* Takes pem. */
static void expect_refused(char *pem, enum err_code expected, const char *part)
{
	struct chain *chain = NULL;
	struct err err = { 0 };

	assert_int_equal(chain_parse(pem, strlen(pem), &chain, &err), expected);
	assert_null(chain);
	expect_text(err.text, part);
	assert_int_equal(ERR_peek_error(), 0);
	free(pem);
}

static void facts_are_read(void **state)
{
	const struct ca *ca = *state;
	struct chain *chain = parse(JOIN(ca->leaf_pem, ca->middle_pem));
	const struct chain_facts *facts = chain_facts(chain);

	assert_string_equal(facts->subject, "CN=example.com");
	assert_string_equal(facts->issuer, "CN=Middle \303\234");
	assert_string_equal(facts->top_issuer, "CN=Root");
	assert_string_equal(facts->serial, "ab01");
	assert_string_equal(facts->cert_id, "bWtpZA.AKsB");
	assert_int_equal(facts->names.count, 2);
	assert_string_equal(facts->names.item[0], "*.example.com");
	assert_string_equal(facts->names.item[1], "example.com");
	assert_true(facts->not_before == NOT_BEFORE);
	assert_true(facts->not_after == NOT_AFTER);
	assert_int_equal(facts->count, 2);
	chain_free(chain);
}

static void a_leaf_without_subject_goes_by_its_first_name(void **state)
{
	const struct ca *ca = *state;
	struct chain *chain =
		parse(cert_pem(make_cert(&(struct cert_args){ .key = ca->leaf,
							      .signer = ca->root,
							      .issuer = "Root",
							      .names = { "a.example" } })));

	assert_string_equal(chain_facts(chain)->subject, "a.example");
	assert_null(chain_facts(chain)->cert_id); /* it has no AKI */
	assert_string_equal(chain_facts(chain)->serial, "01");
	chain_free(chain);
}

/* RFC 9773 appendix A; its serial number begins with a zero octet. */
static void the_identifier_of_rfc_9773(void **state)
{
	static const char pem[] =
		"-----BEGIN CERTIFICATE-----\n"
		"MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt\n"
		"cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS\n"
		"BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu\n"
		"7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf\n"
		"qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B\n"
		"yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb\n"
		"+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK\n"
		"-----END CERTIFICATE-----\n";
	struct chain *chain = parse(xstrdup(pem));

	(void)state;
	assert_string_equal(chain_facts(chain)->cert_id, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
	assert_string_equal(chain_facts(chain)->serial, "87654321");
	assert_int_equal(chain_facts(chain)->names.count, 0);
	chain_free(chain);
}

static void a_good_chain_passes(void **state)
{
	const struct ca *ca = *state;
	struct chain *two = parse(JOIN(ca->leaf_pem, ca->middle_pem));
	struct chain *three = parse(JOIN(ca->leaf_pem, ca->middle_pem, ca->root_pem));
	struct chain *one = parse(JOIN(ca->leaf_pem));
	struct err err;

	assert_int_equal(chain_check(two, ca->key, &ca->names, &err), ERR_NONE);
	assert_int_equal(chain_check(three, ca->key, &ca->names, &err), ERR_NONE);
	assert_int_equal(chain_check(one, ca->key, &ca->names, &err), ERR_NONE);
	chain_free(one);
	chain_free(two);
	chain_free(three);
}

/* Takes chain. */
static void check_says(struct chain *chain, const struct key *key, const struct strlist *names,
		       const char *part)
{
	struct err err = { 0 };

	assert_int_equal(chain_check(chain, key, names, &err), ERR_PROTOCOL);
	expect_text(err.text, part);
	assert_int_equal(ERR_peek_error(), 0);
	chain_free(chain);
}

static void another_key_is_seen(void **state)
{
	const struct ca *ca = *state;
	struct key *other = make_key(KEY_P256);
	struct key *rsa = make_key(KEY_RSA2048);

	check_says(parse(JOIN(ca->leaf_pem, ca->middle_pem)), other, &ca->names, "another key");
	check_says(parse(JOIN(ca->leaf_pem, ca->middle_pem)), rsa, &ca->names, "another key");
	key_free(other);
	key_free(rsa);
}

static void missing_and_extra_names_are_said(void **state)
{
	const struct ca *ca = *state;
	static const struct {
		const char *names[6];
		const char *part;
	} rows[] = {
		{ { "example.com", "*.example.com", "a.example" },
		  "asked for: it lacks a.example" },
		{ { "example.com", "z.example", "*.example.com", "a.example", "b.example" },
		  "it lacks a.example and 2 more" },
		{ { "example.com" }, "asked for: it has, unasked, *.example.com" },
		{ { "a.example", "example.com" },
		  "it lacks a.example, and it has, unasked, *.example.com" },
		{ { "a.example" }, "it has, unasked, *.example.com and 1 more" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct strlist names = { 0 };

		for (size_t n = 0; rows[i].names[n]; n++) {
			strlist_add(&names, rows[i].names[n]);
		}
		check_says(parse(JOIN(ca->leaf_pem, ca->middle_pem)), ca->key, &names,
			   rows[i].part);
		strlist_clear(&names);
	}
}

static void repeated_names_are_one(void **state)
{
	const struct ca *ca = *state;
	struct chain *chain = parse(cert_pem(make_cert(&(struct cert_args){
		.key = ca->leaf,
		.signer = ca->root,
		.issuer = "Root",
		.names = { "example.com", "*.example.com", "EXAMPLE.com" } })));
	struct err err;

	assert_int_equal(chain_check(chain, ca->key, &ca->names, &err), ERR_NONE);
	chain_free(chain);
}

static void a_broken_link_is_said(void **state)
{
	const struct ca *ca = *state;
	char *impostor = cert_pem(make_cert(&(struct cert_args){ .key = ca->leaf,
								 .signer = ca->root,
								 .subject = "Middle \303\234",
								 .issuer = "Root" }));

	check_says(parse(JOIN(ca->leaf_pem, ca->root_pem)), ca->key, &ca->names,
		   "certificate 1 of the chain was issued by CN=Middle \303\234, but the next "
		   "one is CN=Root");
	check_says(parse(JOIN(ca->leaf_pem, ca->middle_pem, ca->middle_pem)), ca->key, &ca->names,
		   "certificate 2 of the chain was issued by CN=Root, but");
	check_says(parse(JOIN(ca->leaf_pem, impostor)), ca->key, &ca->names,
		   "certificate 1 of the chain is not signed by the next one");
	free(impostor);
}

static void only_certificates_and_white_space_are_read(void **state)
{
	const struct ca *ca = *state;
	struct buf key_pem;

	key_format_pem(ca->key, &key_pem);
	expect_refused(
		JOIN(ca->leaf_pem, key_pem.data), ERR_PROTOCOL,
		"block 2 of the chain is not a certificate but \"-----BEGIN PRIVATE KEY-----\"");
	expect_refused(JOIN(key_pem.data, ca->leaf_pem), ERR_PROTOCOL, "block 1");
	expect_refused(JOIN("-----BEGIN TRUSTED CERTIFICATE-----\n", ca->leaf_pem), ERR_PROTOCOL,
		       "BEGIN TRUSTED");
	expect_refused(JOIN("subject=\033[1m\n", ca->leaf_pem), ERR_PROTOCOL,
		       "before block 1: \"subject=\\x1b[1m\"");
	expect_refused(JOIN(ca->leaf_pem, "x", ca->middle_pem), ERR_PROTOCOL, "before block 2");
	expect_refused(JOIN(ca->leaf_pem, "x"), ERR_PROTOCOL, "before block 2: \"x\"");
	expect_refused(JOIN("-----BEGIN CERTIFICATE-----\nAAAA\n", ca->leaf_pem), ERR_PROTOCOL,
		       "certificate 1 of the chain is not base64");
	expect_refused(JOIN("-----BEGIN CERTIFICATE-----\nAAAA"), ERR_PROTOCOL, "cut off");
	expect_refused(JOIN("-----BEGIN CERTIFICATE-----"), ERR_PROTOCOL, "cut off");
	expect_refused(JOIN("-----BEGIN CERTIFICATE----------END CERTIFICATE-----"), ERR_PROTOCOL,
		       "cut off");
	expect_refused(JOIN("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
		       ERR_PROTOCOL, "not base64");
	expect_refused(JOIN("-----BEGIN CERTIFICATE-----\nAA AA\n-----END CERTIFICATE-----\n"),
		       ERR_PROTOCOL, "not base64");
	expect_refused(JOIN("-----BEGIN CERTIFICATE-----\nAA-_\n-----END CERTIFICATE-----\n"),
		       ERR_PROTOCOL, "not base64");
	expect_refused(JOIN("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
		       ERR_PROTOCOL, "certificate 1 of the chain cannot be read");
	expect_refused(JOIN(""), ERR_PROTOCOL, "no certificate");
	expect_refused(JOIN(" \r\n"), ERR_PROTOCOL, "no certificate");
	buf_wipe(&key_pem);
}

static void a_nul_hides_nothing(void **state)
{
	const struct ca *ca = *state;
	struct buf pem = BUF_INIT(CHAIN_PEM_MAX);
	struct chain *chain = NULL;
	struct err err = { 0 };

	buf_add_str(&pem, ca->leaf_pem);
	buf_add_u8(&pem, 0);
	buf_add_str(&pem, ca->middle_pem);
	assert_int_equal(chain_parse(pem.data, pem.len, &chain, &err), ERR_PROTOCOL);
	expect_text(err.text, "before block 2: \"\\x00");
	buf_clear(&pem);
}

/* Octets behind the certificate, inside its block. */
static void a_block_holds_one_certificate_alone(void **state)
{
	const struct ca *ca = *state;
	BIO *bio = BIO_new_mem_buf(ca->leaf_pem, -1);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	unsigned char *der = NULL;
	int len = i2d_X509(cert, &der);
	struct buf octets = BUF_INIT(CHAIN_PEM_MAX);
	char text[8192];

	buf_add(&octets, der, (size_t)len);
	buf_add_str(&octets, "tail");
	EVP_EncodeBlock((unsigned char *)text, (unsigned char *)octets.data, (int)octets.len);
	expect_refused(JOIN("-----BEGIN CERTIFICATE-----\n", text, "\n-----END CERTIFICATE-----\n"),
		       ERR_PROTOCOL, "followed by 4 octets");
	buf_clear(&octets);
	OPENSSL_free(der);
	X509_free(cert);
	BIO_free(bio);
}

static void maxima_hold(void **state)
{
	const struct ca *ca = *state;
	struct buf pem = BUF_INIT(2 * CHAIN_PEM_MAX);

	for (int i = 0; i < 10; i++) {
		buf_add_str(&pem, ca->root_pem);
	}
	chain_free(parse(xstrdup(pem.data)));
	buf_add_str(&pem, ca->root_pem);
	expect_refused(xstrdup(pem.data), ERR_LIMIT, "more than 10 certificates");
	while (pem.len <= CHAIN_PEM_MAX) {
		buf_add_u8(&pem, '\n');
	}
	expect_refused(buf_detach(&pem), ERR_LIMIT, "larger than");
}

static void names_that_are_none_are_refused(void **state)
{
	const struct ca *ca = *state;
	static const struct {
		const char *name;
		size_t len;
		const char *part;
	} rows[] = {
		{ "example.com\0.evil.example", 25, "\"example.com\\x00.evil.example\"" },
		{ "a\033[2Jb", 0, "\\x1b" },
		{ "a b", 0, "\"a b\"" },
		{ "", 0, "\"\"" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		expect_refused(cert_pem(make_cert(&(struct cert_args){ .key = ca->leaf,
								       .signer = ca->root,
								       .issuer = "Root",
								       .names = { rows[i].name },
								       .name_len = rows[i].len })),
			       ERR_PROTOCOL, rows[i].part);
	}
}

static void a_serial_past_the_maximum_is_refused(void **state)
{
	const struct ca *ca = *state;
	char hex[131];

	memset(hex, '7', sizeof(hex));
	hex[130] = '\0';
	expect_refused(
		cert_pem(make_cert(&(struct cert_args){
			.key = ca->leaf, .signer = ca->root, .issuer = "Root", .serial = hex })),
		ERR_PROTOCOL, "65 octets");
}

static void a_terminal_is_not_steered_by_an_issuer(void **state)
{
	const struct ca *ca = *state;
	struct chain *chain = parse(cert_pem(make_cert(&(struct cert_args){
		.key = ca->leaf, .signer = ca->root, .subject = "x", .issuer = "R\033[31m\n" })));

	assert_null(strchr(chain_facts(chain)->issuer, '\033'));
	assert_null(strchr(chain_facts(chain)->issuer, '\n'));
	chain_free(chain);
}

static void expect_buf(struct buf *buf, char *expected)
{
	assert_string_equal(buf_str(buf), expected);
	buf_clear(buf);
	free(expected);
}

static void what_is_written_is_made_anew(void **state)
{
	const struct ca *ca = *state;
	struct buf text = BUF_INIT(CHAIN_PEM_MAX);
	struct chain *chain;
	struct buf out;

	/* As some servers send it: CR LF, blank lines, no last line end. */
	for (const char *at = ca->leaf_pem; *at; at++) {
		buf_addf(&text, *at == '\n' ? "\r\n" : "%c", *at);
	}
	buf_addf(&text, "\r\n\t %.*s", (int)strlen(ca->middle_pem) - 1, ca->middle_pem);
	chain = parse(buf_detach(&text));
	chain_format_leaf(chain, &out);
	expect_buf(&out, JOIN(ca->leaf_pem));
	chain_format_rest(chain, &out);
	expect_buf(&out, JOIN(ca->middle_pem));
	chain_format_all(chain, &out);
	expect_buf(&out, JOIN(ca->leaf_pem, ca->middle_pem));
	chain_free(chain);
	chain = parse(JOIN(ca->leaf_pem));
	chain_format_rest(chain, &out);
	expect_buf(&out, JOIN(""));
	chain_free(chain);
}

#define ca_test(function) cmocka_unit_test_setup_teardown(function, ca_setup, ca_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ca_test(facts_are_read),
		ca_test(a_leaf_without_subject_goes_by_its_first_name),
		quiet_test(the_identifier_of_rfc_9773),
		ca_test(a_good_chain_passes),
		ca_test(another_key_is_seen),
		ca_test(missing_and_extra_names_are_said),
		ca_test(repeated_names_are_one),
		ca_test(a_broken_link_is_said),
		ca_test(only_certificates_and_white_space_are_read),
		ca_test(a_nul_hides_nothing),
		ca_test(a_block_holds_one_certificate_alone),
		ca_test(maxima_hold),
		ca_test(names_that_are_none_are_refused),
		ca_test(a_serial_past_the_maximum_is_refused),
		ca_test(a_terminal_is_not_steered_by_an_issuer),
		ca_test(what_is_written_is_made_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
