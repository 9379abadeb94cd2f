/* Requests, read back by OpenSSL. */
#include "crypto_test.h"

#include <openssl/x509v3.h>

static X509_REQ *build(const struct key *key, const struct strlist *names)
{
	struct buf der;
	struct err err = { 0 };
	const unsigned char *at;
	X509_REQ *request;

	if (csr_build(key, names, &der, &err) != ERR_NONE) {
		fail_msg("%s", err.text);
	}
	at = (const unsigned char *)der.data;
	request = d2i_X509_REQ(NULL, &at, (long)der.len);
	assert_non_null(request);
	assert_ptr_equal(at, der.data + der.len);
	buf_clear(&der);
	return request;
}

static void expect_names(X509_REQ *request, const struct strlist *names)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
	GENERAL_NAMES *list;

	assert_int_equal(sk_X509_EXTENSION_num(extensions), 1);
	assert_false(X509_EXTENSION_get_critical(sk_X509_EXTENSION_value(extensions, 0)));
	list = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
	assert_int_equal(sk_GENERAL_NAME_num(list), names->count);
	for (size_t i = 0; i < names->count; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(list, (int)i);

		assert_int_equal(name->type, GEN_DNS);
		assert_int_equal(ASN1_STRING_length(name->d.dNSName), strlen(names->item[i]));
		assert_memory_equal(ASN1_STRING_get0_data(name->d.dNSName), names->item[i],
				    strlen(names->item[i]));
	}
	GENERAL_NAMES_free(list);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

static void requests_hold_the_names_and_the_key_alone(void **state)
{
	static const int signatures[] = {
		[KEY_P256] = NID_ecdsa_with_SHA256,
		[KEY_P384] = NID_ecdsa_with_SHA384,
		[KEY_RSA2048] = NID_sha256WithRSAEncryption,
	};
	struct strlist names = { 0 };

	(void)state;
	strlist_add(&names, "*.example.com");
	strlist_add(&names, "example.com");
	for (size_t type = 0; type < ARRAY_LEN(signatures); type++) {
		struct key *key = make_key((enum key_type)type);
		EVP_PKEY *pkey = openssl_key(key);
		X509_REQ *request = build(key, &names);

		assert_int_equal(X509_REQ_get_version(request), X509_REQ_VERSION_1);
		assert_int_equal(X509_NAME_entry_count(X509_REQ_get_subject_name(request)), 0);
		assert_int_equal(X509_REQ_get_attr_count(request), 1);
		assert_int_equal(EVP_PKEY_eq(X509_REQ_get0_pubkey(request), pkey), 1);
		assert_int_equal(X509_REQ_verify(request, pkey), 1);
		assert_int_equal(X509_REQ_get_signature_nid(request), signatures[type]);
		expect_names(request, &names);
		X509_REQ_free(request);
		EVP_PKEY_free(pkey);
		key_free(key);
	}
	strlist_clear(&names);
}

static void a_thousand_long_names_fit(void **state)
{
	struct key *key = make_key(KEY_P256);
	struct strlist names = { 0 };
	X509_REQ *request;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		strlist_addf(&names, "n%0251d", i); /* 252 characters */
	}
	request = build(key, &names);
	expect_names(request, &names);
	X509_REQ_free(request);
	strlist_clear(&names);
	key_free(key);
}

static void names_that_cannot_stand_in_it_are_refused(void **state)
{
	static const char *const bad[] = { "b\303\274cher.example", "a b", "", "a\nb" };
	struct key *key = make_key(KEY_P256);
	struct strlist names = { 0 };
	struct buf der;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(csr_build(key, &names, &der, &err), ERR_INTERNAL);
	expect_text(err.text, "at least one name");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		strlist_add(&names, "example.com");
		strlist_add(&names, bad[i]);
		assert_int_equal(csr_build(key, &names, &der, &err), ERR_INTERNAL);
		assert_int_equal(der.len, 0);
		strlist_clear(&names);
	}
	key_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		quiet_test(requests_hold_the_names_and_the_key_alone),
		quiet_test(a_thousand_long_names_fit),
		quiet_test(names_that_cannot_stand_in_it_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
