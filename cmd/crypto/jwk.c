/* jwk: a public key as JSON (RFC 7517, RFC 7518 s.6) and its thumbprint's input (RFC 7638). */
#include "internal.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>

#define NUMBER_MAX 1024 /* octets; twice the largest modulus */

/* One number of the key in base64url, of exactly size octets or, with 0, of
 * as few as it takes; gives, or NULL. */
static char *number_format(const EVP_PKEY *pkey, const char *name, size_t size)
{
	uint8_t octets[NUMBER_MAX];
	BIGNUM *number = NULL;
	char *text = NULL;
	size_t text_size;
	int len;

	if (EVP_PKEY_get_bn_param(pkey, name, &number) != 1) {
		goto out;
	}
	len = BN_num_bytes(number);
	if (size == 0) {
		size = (size_t)len;
	}
	if (size > sizeof(octets) || BN_bn2binpad(number, octets, (int)size) < 0) {
		goto out;
	}
	text_size = BASE64URL_LEN(size);
	text = xmalloc(text_size);
	base64url_encode(text, text_size, octets, size);
out:
	BN_free(number);
	return text;
}

/* RFC 7638 s.3: the required members alone, in the order of their names, no blanks. */
char *jwk_format(const EVP_PKEY *pkey, const struct key_kind *kind)
{
	char *first = NULL;
	char *second = NULL;
	char *jwk = NULL;

	if (kind->curve) {
		/* RFC 7518 s.6.2.1.2: the full size of a coordinate, leading zeros and all. */
		first = number_format(pkey, OSSL_PKEY_PARAM_EC_PUB_X, kind->size);
		second = number_format(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, kind->size);
	} else {
		/* RFC 7518 s.6.3.1: no leading zeros (Base64urlUInt). */
		first = number_format(pkey, OSSL_PKEY_PARAM_RSA_E, 0);
		second = number_format(pkey, OSSL_PKEY_PARAM_RSA_N, 0);
	}
	if (!first || !second) {
		goto out;
	}
	if (kind->curve) {
		jwk = xasprintf("{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}",
				kind->curve, first, second);
	} else {
		jwk = xasprintf("{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", first, second);
	}
out:
	free(first);
	free(second);
	return jwk;
}
