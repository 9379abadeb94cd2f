/* What is told of a leaf without an X509: the same that OpenSSL says, never past its end. */
#include "certs.h"

#include <ctype.h>

/* ---- what OpenSSL says ---- */

static char *name_by_openssl(const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL, *text;
	long len;

	assert_true(
		X509_NAME_print_ex(bio, name, 0,
				   (ASN1_STRFLGS_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) |
					   XN_FLAG_SEP_CPLUS_SPC | XN_FLAG_FN_SN) >= 0);
	len = BIO_get_mem_data(bio, &data);
	text = xstrndup(len > 0 ? data : "", (size_t)len);
	BIO_free(bio);
	return text;
}

/* False: they cannot be read. */
static bool names_by_openssl(const X509 *cert, struct strlist *out)
{
	int state = 0;
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, &state, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS) {
			char *text = xstrndup((const char *)ASN1_STRING_get0_data(name->d.dNSName),
					      (size_t)ASN1_STRING_length(name->d.dNSName));

			for (char *at = text; *at; at++) {
				*at = (char)tolower((unsigned char)*at);
			}
			strlist_take(out, text);
		}
	}
	GENERAL_NAMES_free(names);
	return names || state == -1;
}

static char *serial_by_openssl(const X509 *cert)
{
	unsigned char *der = NULL;
	int len = i2d_ASN1_INTEGER(X509_get0_serialNumber(cert), &der);
	int first = der[1] < 0x80 ? 2 : 3;
	char *text = xcalloc(1, 2 * (size_t)len + 1);

	first += der[first] == 0 && len > first + 1 ? 1 : 0;
	for (int i = first; i < len; i++) {
		snprintf(text + strlen(text), 3, "%02x", der[i]);
	}
	OPENSSL_free(der);
	return text;
}

/* RFC 9773 s.4.1; NULL: it has no identifier. */
static char *id_by_openssl(X509 *cert)
{
	const ASN1_OCTET_STRING *key = X509_get0_authority_key_id(cert);
	unsigned char *der = NULL;
	char first[128], second[128];
	int len, header;

	if (!key || ASN1_STRING_length(key) == 0 || ASN1_STRING_length(key) > 64) {
		return NULL;
	}
	len = i2d_ASN1_INTEGER(X509_get0_serialNumber(cert), &der);
	header = der[1] < 0x80 ? 2 : 3;
	base64url_encode(first, sizeof(first), ASN1_STRING_get0_data(key),
			 (size_t)ASN1_STRING_length(key));
	base64url_encode(second, sizeof(second), der + header, (size_t)(len - header));
	OPENSSL_free(der);
	return xasprintf("%s.%s", first, second);
}

static int64_t time_by_openssl(const ASN1_TIME *time)
{
	struct tm parts = { .tm_sec = 0 };

	assert_int_equal(ASN1_TIME_to_tm(time, &parts), 1);
	return timegm(&parts);
}

/* NULL: we make none of these. */
static const char *key_type_by_openssl(const X509 *cert)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	char text[64] = "";
	enum key_type type;

	if (key && EVP_PKEY_is_a(key, "RSA")) {
		snprintf(text, sizeof(text), "rsa%d", EVP_PKEY_get_bits(key));
		return key_type_parse(text, &type) ? key_type_name(type) : NULL;
	}
	if (!key || EVP_PKEY_get_group_name(key, text, sizeof(text), NULL) != 1) {
		return NULL;
	}
	if (strcmp(text, "prime256v1") == 0) {
		return "p256";
	}
	return strcmp(text, "secp384r1") == 0 ? "p384" : NULL;
}

/* ---- the same ---- */

static void assert_same(const char *found, char *expected)
{
	if (found && expected) {
		assert_string_equal(found, expected);
	} else {
		assert_true(!found && !expected);
	}
	free(expected);
}

static void assert_facts(const struct chain_facts *facts, X509 *cert)
{
	struct strlist names = { 0 };
	char *found = strlist_join(&facts->names, " ");
	const X509_NAME *subject = X509_get_subject_name(cert);

	assert_true(names_by_openssl(cert, &names));
	assert_same(found, strlist_join(&names, " "));
	assert_same(facts->serial, serial_by_openssl(cert));
	assert_same(facts->cert_id, id_by_openssl(cert));
	assert_same(facts->issuer, name_by_openssl(X509_get_issuer_name(cert)));
	assert_same(facts->subject, X509_NAME_entry_count(subject) == 0 && names.count > 0
					    ? xstrdup(names.item[0])
					    : name_by_openssl(subject));
	assert_true(facts->not_before == time_by_openssl(X509_get0_notBefore(cert)));
	assert_true(facts->not_after == time_by_openssl(X509_get0_notAfter(cert)));
	assert_same(facts->key_type, xstrdup(key_type_by_openssl(cert)));
	free(found);
	strlist_clear(&names);
	ERR_clear_error();
}

/* Both readers of a chain, against OpenSSL. Takes cert. */
static void assert_told_rightly(X509 *cert)
{
	struct chain_facts facts;
	struct chain *chain = NULL;
	struct err err = { 0 };
	char *pem;

	X509_up_ref(cert);
	pem = cert_pem(cert);
	if (chain_facts_parse(pem, strlen(pem), &facts, &err) != ERR_NONE ||
	    chain_parse(pem, strlen(pem), &chain, &err) != ERR_NONE) {
		fail_msg("%s", err.text);
	}
	assert_facts(&facts, cert);
	assert_facts(chain_facts(chain), cert);
	assert_int_equal(facts.count, 1);
	assert_null(facts.top_issuer);
	chain_facts_clear(&facts);
	chain_free(chain);
	free(pem);
	X509_free(cert);
}

/* ---- certificates ---- */

static EVP_PKEY *signer;

static int make_signer(void **state)
{
	(void)state;
	signer = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	return signer ? 0 : -1;
}

static int free_signer(void **state)
{
	(void)state;
	EVP_PKEY_free(signer);
	return 0;
}

static struct cert_args plain(void)
{
	return (struct cert_args){
		.key = signer,
		.signer = signer,
		.issuer = "E7",
		.names = { "example.com", "*.example.com" },
		.key_id = "akid",
	};
}

static void sign_again(X509 *cert)
{
	assert_true(X509_sign(cert, signer, EVP_sha256()) > 0);
}

/* Takes key. */
static void assert_key_type(EVP_PKEY *key, const char *type)
{
	struct cert_args args = plain();
	X509 *cert;

	assert_non_null(key);
	args.key = key;
	cert = make_cert(&args);
	assert_same(type, xstrdup(key_type_by_openssl(cert)));
	assert_told_rightly(cert);
	EVP_PKEY_free(key);
}

static EVP_PKEY *rsa(size_t bits)
{
	return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits);
}

static void the_type_of_each_key_is_told(void **state)
{
	(void)state;
	assert_key_type(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), "p256");
	assert_key_type(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"), "p384");
	assert_key_type(rsa(2048), "rsa2048");
	assert_key_type(rsa(3072), "rsa3072");
	assert_key_type(rsa(4096), "rsa4096");
	assert_key_type(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521"), NULL);
	assert_key_type(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1"), NULL);
	assert_key_type(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL);
	assert_key_type(rsa(1024), NULL);
	assert_key_type(rsa(2047), NULL);
	assert_key_type(rsa(2056), NULL);
}

/* RFC 5280 s.4.1.2.2, and what CAs and people have made of it. */
static void serials_of_all_lengths_are_told(void **state)
{
	static const char *const serials[] = {
		"0",
		"1",
		"7f",
		"80",
		"ff",
		"-1",
		"-80",
		"-7f3344",
		"00ab01",
		"7fffffffffffffffffffffffffffffffffffffff",
		"ff112233445566778899aabbccddeeff00112233",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(serials); i++) {
		struct cert_args args = plain();

		args.serial = serials[i];
		assert_told_rightly(make_cert(&args));
	}
}

static void add_entry(X509_NAME *name, const char *field, int type, const char *text)
{
	assert_int_equal(X509_NAME_add_entry_by_txt(name, field, type, (const unsigned char *)text,
						    -1, -1, 0),
			 1);
}

/* One after another: what is kept of an issuer is not told of the next. */
static void issuers_and_subjects_are_told(void **state)
{
	static const char *const names[] = {
		"E7", "E8", "E7", "R\303\274diger + Co, \"CA\"", "", "a=b;c<d>\\#", " blank "
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct cert_args args = plain();

		args.issuer = names[i][0] ? names[i] : NULL;
		assert_told_rightly(make_cert(&args));
		args.subject = args.issuer;
		assert_told_rightly(make_cert(&args));
		args.names[0] = NULL;
		assert_told_rightly(make_cert(&args));
	}
}

static void names_of_many_parts_are_told(void **state)
{
	struct cert_args args = plain();
	X509 *cert = make_cert(&args);
	X509_NAME *issuer = X509_get_issuer_name(cert);

	(void)state;
	add_entry(issuer, "C", MBSTRING_ASC, "AT");
	add_entry(issuer, "O", V_ASN1_T61STRING, "Post \374");
	add_entry(issuer, "OU", V_ASN1_BMPSTRING, "\0O\0U");
	add_entry(issuer, "emailAddress", V_ASN1_IA5STRING, "ca@example.com");
	add_entry(X509_get_subject_name(cert), "serialNumber", MBSTRING_ASC, "12");
	sign_again(cert);
	assert_told_rightly(cert);
}

/* UTCTime to 2049, GeneralizedTime from 2050 on (RFC 5280 s.4.1.2.5). */
static void dates_of_each_form_are_told(void **state)
{
	static const char *const dates[] = {
		"19500101000000Z", "19991231235959Z", "20000229120000Z", "20491231235959Z",
		"20500101000000Z", "21000301000000Z", "99991231235959Z", "20380119031408Z",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(dates); i++) {
		struct cert_args args = plain();
		X509 *cert = make_cert(&args);

		assert_int_equal(ASN1_TIME_set_string_X509(X509_getm_notBefore(cert), dates[i]), 1);
		assert_int_equal(ASN1_TIME_set_string_X509(X509_getm_notAfter(cert),
							   dates[ARRAY_LEN(dates) - 1 - i]),
				 1);
		sign_again(cert);
		assert_told_rightly(cert);
	}
}

static void set_extension(X509 *cert, int id, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, id, value);

	assert_non_null(extension);
	assert_int_equal(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
	sign_again(cert);
}

static void names_of_other_kinds_are_passed_over(void **state)
{
	static const char *const names[] = {
		"DNS:a.example,IP:192.0.2.1,DNS:b.example",
		"IP:2001:db8::1,email:a@example.com",
		"URI:https://example.com/,RID:1.2.3.4,DNS:*.a.example",
		"otherName:1.2.3;UTF8:x.example,DNS:c.example",
	};
	struct cert_args args = plain();

	(void)state;
	args.names[0] = NULL;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		X509 *cert = make_cert(&args);

		set_extension(cert, NID_subject_alt_name, names[i]);
		set_extension(cert, NID_basic_constraints, "critical,CA:FALSE");
		set_extension(cert, NID_key_usage, "critical,digitalSignature");
		set_extension(cert, NID_ext_key_usage, "serverAuth,clientAuth");
		assert_told_rightly(cert);
	}
}

static void an_authority_without_a_key_gives_no_identifier(void **state)
{
	struct cert_args args = plain();
	X509 *cert;

	(void)state;
	args.key_id = NULL;
	assert_told_rightly(make_cert(&args));
	cert = make_cert(&args);
	{
		AUTHORITY_KEYID *authority = AUTHORITY_KEYID_new();

		authority->serial = ASN1_INTEGER_new();
		authority->issuer = GENERAL_NAMES_new();
		assert_int_equal(ASN1_INTEGER_set(authority->serial, 5), 1);
		assert_int_equal(X509_add1_ext_i2d(cert, NID_authority_key_identifier, authority, 0,
						   0),
				 1);
		AUTHORITY_KEYID_free(authority);
	}
	sign_again(cert);
	assert_told_rightly(cert);
}

/* ---- what is no certificate ---- */

static char *pem_of(const unsigned char *der, size_t len)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL, *text;
	long size;

	assert_true(PEM_write_bio(bio, "CERTIFICATE", "", der, (long)len) > 0);
	size = BIO_get_mem_data(bio, &data);
	text = xstrndup(data, (size_t)size);
	BIO_free(bio);
	return text;
}

static bool tell(const unsigned char *der, size_t len, struct chain_facts *out)
{
	struct err err = { 0 };
	char *pem = pem_of(der, len);
	enum err_code code = chain_facts_parse(pem, strlen(pem), out, &err);

	free(pem);
	assert_true(code == ERR_NONE || (code == ERR_PROTOCOL && err.text[0]));
	assert_int_equal(ERR_peek_error(), 0);
	return code == ERR_NONE;
}

static size_t some_der(unsigned char **der)
{
	struct cert_args args = plain();
	X509 *cert = make_cert(&args);
	int len;

	set_extension(cert, NID_basic_constraints, "critical,CA:FALSE");
	len = i2d_X509(cert, der);
	assert_true(len > 0);
	X509_free(cert);
	return (size_t)len;
}

static void one_that_is_cut_off_is_refused(void **state)
{
	unsigned char *der = NULL;
	size_t len = some_der(&der);
	struct chain_facts facts;

	(void)state;
	assert_true(tell(der, len, &facts));
	chain_facts_clear(&facts);
	for (size_t i = 1; i < len; i++) {
		unsigned char *cut = xmalloc(i); /* so that sanitizers see a step too far */

		memcpy(cut, der, i);
		assert_false(tell(cut, i, &facts));
		free(cut);
	}
	OPENSSL_free(der);
}

/* Whatever octet is another one: what both readers take, they take for the same. */
static void no_octet_makes_it_tell_something_else(void **state)
{
	unsigned char *der = NULL;
	size_t len = some_der(&der), both = 0;

	(void)state;
	for (size_t i = 0; i < 6 * len; i++) {
		static const unsigned char flips[] = { 0x01, 0x80, 0x20, 0xff, 0x03, 0x1f };
		const unsigned char *at = der;
		unsigned char *octet = &der[i % len];
		struct chain_facts facts;
		struct strlist names = { 0 };
		X509 *cert;

		*octet ^= flips[i / len];
		cert = d2i_X509(NULL, &at, (long)len);
		ERR_clear_error();
		if (tell(der, len, &facts)) {
			/* OpenSSL alone looks into keys and other extensions. */
			if (cert && at == der + len && names_by_openssl(cert, &names) &&
			    X509_get0_pubkey(cert) &&
			    !(X509_get_extension_flags(cert) & EXFLAG_INVALID)) {
				assert_facts(&facts, cert);
				both++;
			}
			chain_facts_clear(&facts);
		}
		strlist_clear(&names);
		ERR_clear_error();
		X509_free(cert);
		*octet ^= flips[i / len];
	}
	assert_true(both > len); /* signature, key, serial, texts */
	OPENSSL_free(der);
}

/* Of what follows the first certificate nothing is looked at. */
static void the_first_block_alone_counts(void **state)
{
	struct cert_args args = plain();
	char *first = cert_pem(make_cert(&args));
	char *both = xasprintf("%s-----BEGIN CERTIFICATE-----\nAAAA", first);
	struct chain_facts facts;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(chain_facts_parse(both, strlen(both), &facts, &err), ERR_NONE);
	assert_string_equal(facts.issuer, "CN=E7");
	chain_facts_clear(&facts);
	assert_int_equal(chain_facts_parse("", 0, &facts, &err), ERR_PROTOCOL);
	expect_text(err.text, "no certificate");
	assert_int_equal(chain_facts_parse(first, strlen(first) - 20, &facts, &err), ERR_PROTOCOL);
	expect_text(err.text, "cut off");
	free(first);
	free(both);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		quiet_test(the_type_of_each_key_is_told),
		quiet_test(serials_of_all_lengths_are_told),
		quiet_test(issuers_and_subjects_are_told),
		quiet_test(names_of_many_parts_are_told),
		quiet_test(dates_of_each_form_are_told),
		quiet_test(names_of_other_kinds_are_passed_over),
		quiet_test(an_authority_without_a_key_gives_no_identifier),
		quiet_test(one_that_is_cut_off_is_refused),
		quiet_test(no_octet_makes_it_tell_something_else),
		quiet_test(the_first_block_alone_counts),
	};

	return cmocka_run_group_tests(tests, make_signer, free_signer);
}
