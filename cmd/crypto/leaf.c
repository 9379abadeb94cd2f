/*
 * leaf: a certificate for those who only tell of it. OpenSSL 3 decodes the public key of an X509 as
 * soon as it is read, which takes fifty times as long as all the rest: too long for who looks at
 * every certificate of a large store. So this is RFC 5280 s.4.1 once more, with the key left as it
 * stands there, for OpenSSL's own decoder.
 */
#include "internal.h"

#include <openssl/asn1t.h>
#include <openssl/err.h>

/* clang-format off */
ASN1_SEQUENCE(LEAF_KEY) = {
	ASN1_SIMPLE(struct leaf_key, algorithm, X509_ALGOR),
	ASN1_SIMPLE(struct leaf_key, bits, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END_name(struct leaf_key, LEAF_KEY)

ASN1_SEQUENCE(LEAF_BODY) = {
	ASN1_EXP_OPT(struct leaf_body, version, ASN1_INTEGER, 0),
	ASN1_SIMPLE(struct leaf_body, serial, ASN1_INTEGER),
	ASN1_SIMPLE(struct leaf_body, algorithm, ASN1_SEQUENCE),
	ASN1_SIMPLE(struct leaf_body, issuer, ASN1_SEQUENCE),
	ASN1_SIMPLE(struct leaf_body, validity, X509_VAL),
	ASN1_SIMPLE(struct leaf_body, subject, ASN1_SEQUENCE),
	ASN1_SIMPLE(struct leaf_body, key, LEAF_KEY),
	ASN1_IMP_OPT(struct leaf_body, issuer_id, ASN1_BIT_STRING, 1),
	ASN1_IMP_OPT(struct leaf_body, subject_id, ASN1_BIT_STRING, 2),
	ASN1_EXP_SEQUENCE_OF_OPT(struct leaf_body, extensions, X509_EXTENSION, 3),
} static_ASN1_SEQUENCE_END_name(struct leaf_body, LEAF_BODY)

ASN1_SEQUENCE(LEAF) = {
	ASN1_SIMPLE(struct leaf, body, LEAF_BODY),
	ASN1_SIMPLE(struct leaf, algorithm, ASN1_SEQUENCE),
	ASN1_SIMPLE(struct leaf, signature, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END_name(struct leaf, LEAF)

/* RFC 8017 A.1.1 */
struct rsa_public {
	ASN1_INTEGER *modulus, *exponent;
};
ASN1_SEQUENCE(RSA_PUBLIC) = {
	ASN1_SIMPLE(struct rsa_public, modulus, ASN1_INTEGER),
	ASN1_SIMPLE(struct rsa_public, exponent, ASN1_INTEGER),
} static_ASN1_SEQUENCE_END_name(struct rsa_public, RSA_PUBLIC)
/* clang-format on */

struct leaf *leaf_parse(const struct buf *der)
{
	const unsigned char *at = (const unsigned char *)buf_str(der);
	const unsigned char *end = at + der->len;
	struct leaf *leaf =
		(struct leaf *)ASN1_item_d2i(NULL, &at, (long)der->len, ASN1_ITEM_rptr(LEAF));

	if (leaf && at != end) {
		leaf_free(leaf);
		leaf = NULL;
	}
	return leaf;
}

void leaf_free(struct leaf *leaf)
{
	ASN1_item_free((ASN1_VALUE *)leaf, ASN1_ITEM_rptr(LEAF));
}

/* ---- key ---- */

/* The octets of the modulus; 0: it cannot be read, or is some bits shorter. */
static size_t rsa_size(const ASN1_BIT_STRING *bits)
{
	const unsigned char *at = ASN1_STRING_get0_data(bits);
	struct rsa_public *key =
		(struct rsa_public *)ASN1_item_d2i(NULL, &at, ASN1_STRING_length(bits),
						   ASN1_ITEM_rptr(RSA_PUBLIC));
	size_t size = 0;

	if (key && ASN1_STRING_length(key->modulus) > 0 &&
	    ASN1_STRING_get0_data(key->modulus)[0] >= 0x80) {
		size = (size_t)ASN1_STRING_length(key->modulus);
	}
	ASN1_item_free((ASN1_VALUE *)key, ASN1_ITEM_rptr(RSA_PUBLIC));
	ERR_clear_error();
	return size;
}

static const char *rsa_type(const ASN1_BIT_STRING *bits)
{
	const size_t size = rsa_size(bits);

	for (size_t type = 0; type < KEY_TYPE_COUNT; type++) {
		const struct key_kind *kind = key_kind((enum key_type)type);

		if (!kind->curve && kind->size == size) {
			return kind->name;
		}
	}
	return NULL;
}

static const char *ec_type(const ASN1_OBJECT *curve)
{
	switch (OBJ_obj2nid(curve)) {
	case NID_X9_62_prime256v1:
		return key_type_name(KEY_P256);
	case NID_secp384r1:
		return key_type_name(KEY_P384);
	default:
		return NULL;
	}
}

const char *leaf_key_type(const struct leaf *leaf)
{
	const struct leaf_key *key = leaf->body->key;
	const ASN1_OBJECT *algorithm;
	const void *parameters;
	int type;

	X509_ALGOR_get0(&algorithm, &type, &parameters, key->algorithm);
	switch (OBJ_obj2nid(algorithm)) {
	case NID_rsaEncryption:
		return rsa_type(key->bits);
	case NID_X9_62_id_ecPublicKey:
		return type == V_ASN1_OBJECT ? ec_type(parameters) : NULL;
	default:
		return NULL;
	}
}
