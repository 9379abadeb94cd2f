/* PKCS#12: what other programs find in it, and that nothing in it is of old. */
#include "certs.h"

#include <openssl/pkcs12.h>

struct made {
	struct key *key;
	struct chain *chain;
	X509 *leaf, *issuer;
};

static X509 *read_cert(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(cert);
	return cert;
}

static struct made make(enum key_type type)
{
	struct made made = { .key = make_key(type) };
	EVP_PKEY *leaf = openssl_key(made.key),
		 *root = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	char *leaf_pem = cert_pem(make_cert(&(struct cert_args){
		.key = leaf,
		.signer = root,
		.subject = "example.com",
		.issuer = "Root",
		.names = { "example.com" },
	}));
	char *root_pem = cert_pem(make_cert(&(struct cert_args){
		.key = root, .signer = root, .subject = "Root", .issuer = "Root" }));
	char *all = xasprintf("%s%s", leaf_pem, root_pem);

	assert_int_equal(chain_parse(all, strlen(all), &made.chain, NULL), ERR_NONE);
	made.leaf = read_cert(leaf_pem);
	made.issuer = read_cert(root_pem);
	free(all);
	free(leaf_pem);
	free(root_pem);
	EVP_PKEY_free(leaf);
	EVP_PKEY_free(root);
	return made;
}

static void drop(struct made *made)
{
	key_free(made->key);
	chain_free(made->chain);
	X509_free(made->leaf);
	X509_free(made->issuer);
}

static PKCS12 *build(const struct made *made, const char *password)
{
	const unsigned char *at;
	struct buf file;
	struct err err;
	PKCS12 *read;

	assert_int_equal(pkcs12_build(
				 &(struct pkcs12_args){
					 .key = made->key,
					 .chain = made->chain,
					 .name = "edge",
					 .password = password,
				 },
				 &file, &err),
			 ERR_NONE);
	at = (const unsigned char *)buf_str(&file);
	read = d2i_PKCS12(NULL, &at, (long)file.len);
	assert_non_null(read);
	buf_wipe(&file);
	return read;
}

static void assert_holds(PKCS12 *file, const struct made *made, const char *password)
{
	EVP_PKEY *key = NULL, *ours = openssl_key(made->key);
	STACK_OF(X509) *rest = NULL;
	X509 *leaf = NULL;
	int len = 0;
	const unsigned char *name;

	assert_int_equal(PKCS12_parse(file, password, &key, &leaf, &rest), 1);
	assert_int_equal(EVP_PKEY_eq(key, ours), 1);
	assert_int_equal(X509_cmp(leaf, made->leaf), 0);
	assert_int_equal(sk_X509_num(rest), 1);
	assert_int_equal(X509_cmp(sk_X509_value(rest, 0), made->issuer), 0);
	name = X509_alias_get0(leaf, &len);
	assert_int_equal(len, 4);
	assert_memory_equal(name, "edge", 4);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ours);
	X509_free(leaf);
	sk_X509_pop_free(rest, X509_free);
}

static void holds_key_leaf_chain_and_name(void **state)
{
	static const enum key_type types[] = { KEY_P256, KEY_RSA2048 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct made made = make(types[i]);
		PKCS12 *file = build(&made, "p\303\244ss word");

		assert_holds(file, &made, "p\303\244ss word");
		assert_int_equal(PKCS12_verify_mac(file, "pass word", -1), 0);
		ERR_clear_error();
		PKCS12_free(file);
		drop(&made);
	}
}

static void may_have_the_empty_password(void **state)
{
	struct made made = make(KEY_P256);
	PKCS12 *file = build(&made, "");

	(void)state;
	assert_holds(file, &made, "");
	PKCS12_free(file);
	drop(&made);
}

/* RFC 8018: PBES2 with AES-256-CBC and HMAC with SHA-256 for each encrypted part. */
static void assert_modern(const X509_ALGOR *alg)
{
	const ASN1_OBJECT *which = NULL;
	const void *value = NULL;
	PBE2PARAM *pbe;
	PBKDF2PARAM *kdf;
	int type = 0;

	X509_ALGOR_get0(&which, &type, &value, alg);
	assert_int_equal(OBJ_obj2nid(which), NID_pbes2);
	pbe = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), alg->parameter);
	assert_non_null(pbe);
	assert_int_equal(OBJ_obj2nid(pbe->encryption->algorithm), NID_aes_256_cbc);
	kdf = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), pbe->keyfunc->parameter);
	assert_non_null(kdf);
	assert_int_equal(OBJ_obj2nid(kdf->prf->algorithm), NID_hmacWithSHA256);
	assert_true(ASN1_INTEGER_get(kdf->iter) >= 100000);
	PBKDF2PARAM_free(kdf);
	PBE2PARAM_free(pbe);
}

static void uses_nothing_of_old(void **state)
{
	struct made made = make(KEY_P256);
	PKCS12 *file = build(&made, "secret");
	const X509_ALGOR *alg = NULL;
	STACK_OF(PKCS7) *parts = PKCS12_unpack_authsafes(file);
	unsigned encrypted = 0;

	(void)state;
	PKCS12_get0_mac(NULL, &alg, NULL, NULL, file);
	assert_int_equal(OBJ_obj2nid(alg->algorithm), NID_sha256);
	for (int i = 0; i < sk_PKCS7_num(parts); i++) {
		PKCS7 *part = sk_PKCS7_value(parts, i);

		if (PKCS7_type_is_encrypted(part)) {
			assert_modern(part->d.encrypted->enc_data->algorithm);
			encrypted++;
		} else {
			STACK_OF(PKCS12_SAFEBAG) *bags = PKCS12_unpack_p7data(part);
			const X509_SIG *key =
				PKCS12_SAFEBAG_get0_pkcs8(sk_PKCS12_SAFEBAG_value(bags, 0));

			assert_non_null(key);
			X509_SIG_get0(key, &alg, NULL);
			assert_modern(alg);
			encrypted++;
			sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
		}
	}
	assert_int_equal(encrypted, 2);
	sk_PKCS7_pop_free(parts, PKCS7_free);
	PKCS12_free(file);
	drop(&made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		quiet_test(holds_key_leaf_chain_and_name),
		quiet_test(may_have_the_empty_password),
		quiet_test(uses_nothing_of_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
