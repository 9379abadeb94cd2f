/* A small CA for the tests, by OpenSSL alone. */
#ifndef DNS01_TESTS_CERTS_H
#define DNS01_TESTS_CERTS_H

#include "crypto_test.h"

#include <openssl/x509v3.h>

#define NOT_BEFORE INT64_C(1790000000)
#define NOT_AFTER INT64_C(1797776000)

struct cert_args {
	EVP_PKEY *key;        /* of the subject */
	EVP_PKEY *signer;     /* the issuer's */
	const char *subject;  /* common name; NULL: empty */
	const char *issuer;   /* common name */
	const char *names[8]; /* SAN */
	size_t name_len;      /* of the first; 0: up to its NUL */
	const char *serial;   /* hex; NULL: 1 */
	const char *key_id;   /* AKI, 4 characters; NULL: none */
};

static inline void set_name(X509_NAME *name, const char *text)
{
	if (text) {
		assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
							    (const unsigned char *)text, -1, -1, 0),
				 1);
	}
}

static inline void add_san(X509 *cert, const struct cert_args *args)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();

	for (size_t i = 0; args->names[i]; i++) {
		GENERAL_NAME *name = GENERAL_NAME_new();
		ASN1_IA5STRING *text = ASN1_IA5STRING_new();
		const bool given = i == 0 && args->name_len > 0;

		ASN1_STRING_set(text, args->names[i], given ? (int)args->name_len : -1);
		GENERAL_NAME_set0_value(name, GEN_DNS, text);
		sk_GENERAL_NAME_push(names, name);
	}
	assert_int_equal(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0), 1);
	GENERAL_NAMES_free(names);
}

static inline void add_key_id(X509 *cert, const char *text)
{
	AUTHORITY_KEYID *id = AUTHORITY_KEYID_new();

	id->keyid = ASN1_OCTET_STRING_new();
	ASN1_OCTET_STRING_set(id->keyid, (const unsigned char *)text, 4);
	assert_int_equal(X509_add1_ext_i2d(cert, NID_authority_key_identifier, id, 0, 0), 1);
	AUTHORITY_KEYID_free(id);
}

static inline void set_serial(X509 *cert, const char *hex)
{
	BIGNUM *number = NULL;

	assert_true(BN_hex2bn(&number, hex) > 0);
	assert_non_null(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)));
	BN_free(number);
}

static inline X509 *make_cert(const struct cert_args *args)
{
	X509 *cert = X509_new();

	X509_set_version(cert, X509_VERSION_3);
	set_serial(cert, args->serial ? args->serial : "1");
	set_name(X509_get_subject_name(cert), args->subject);
	set_name(X509_get_issuer_name(cert), args->issuer);
	ASN1_TIME_set(X509_getm_notBefore(cert), NOT_BEFORE);
	ASN1_TIME_set(X509_getm_notAfter(cert), NOT_AFTER);
	X509_set_pubkey(cert, args->key);
	if (args->names[0]) {
		add_san(cert, args);
	}
	if (args->key_id) {
		add_key_id(cert, args->key_id);
	}
	assert_true(X509_sign(cert, args->signer, EVP_sha256()) > 0);
	return cert;
}

/* Gives its PEM; frees it. */
static inline char *cert_pem(X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL;
	char *text;
	long len;

	assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
	len = BIO_get_mem_data(bio, &data);
	text = xstrndup(data, (size_t)len);
	BIO_free(bio);
	X509_free(cert);
	return text;
}

#endif
