/* What the tests of cmd/crypto share; OpenSSL itself is the judge here. */
#ifndef DNS01_TESTS_CRYPTO_TEST_H
#define DNS01_TESTS_CRYPTO_TEST_H

#include "dns01/crypto.h"

#include "cmocka_all.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

static inline void expect_text(const char *text, const char *part)
{
	if (!strstr(text, part)) {
		fail_msg("'%s' does not say '%s'", text, part);
	}
}

/* Nothing may be left for the next failure to be told with. */
static inline int expect_empty_queue(void **state)
{
	(void)state;
	assert_int_equal(ERR_peek_error(), 0);
	return 0;
}

#define quiet_test(function) cmocka_unit_test_teardown(function, expect_empty_queue)

static inline struct key *make_key(enum key_type type)
{
	struct key *key = NULL;
	struct err err;

	assert_int_equal(key_generate(type, &key, &err), ERR_NONE);
	return key;
}

static inline struct key *parse_key(const char *pem)
{
	struct key *key = NULL;
	struct err err = { 0 };

	if (key_parse_pem(pem, strlen(pem), "test.pem", &key, &err) != ERR_NONE) {
		fail_msg("%s", err.text);
	}
	return key;
}

/* OpenSSL's own view of a key of ours. */
static inline EVP_PKEY *openssl_key(const struct key *key)
{
	struct buf pem;
	EVP_PKEY *pkey;
	BIO *bio;

	key_format_pem(key, &pem);
	bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	assert_non_null(pkey);
	BIO_free(bio);
	buf_wipe(&pem);
	return pkey;
}

#endif
