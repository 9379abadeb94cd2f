/* jws: signed requests, RFC 7515 in its flattened form (s.7.2.2), as RFC 8555 s.6.2 wants it. */
#include "internal.h"

#include <openssl/ec.h>

#define SIGNATURE_MAX 512 /* of RSA 4096, the largest */

static char *base64url_text(const void *data, size_t len)
{
	const size_t size = BASE64URL_LEN(len);
	char *text = xmalloc(size);

	base64url_encode(text, size, data, len);
	return text;
}

/* What is signed: both parts in base64url with a dot between (s.5.1). */
static char *signing_input(const char *protected_json, const char *payload)
{
	char *head = base64url_text(protected_json, strlen(protected_json));
	char *body = base64url_text(payload, strlen(payload));
	char *input = xasprintf("%s.%s", head, body);

	free(head);
	free(body);
	return input;
}

/* Takes input; gives the object. */
static char *jws_format(char *input, const uint8_t *signature, size_t len)
{
	char *signed_by = base64url_text(signature, len);
	char *dot = strchr(input, '.');
	char *jws = xasprintf("{\"protected\":\"%.*s\",\"payload\":\"%s\",\"signature\":\"%s\"}",
			      (int)(dot - input), input, dot + 1, signed_by);

	free(signed_by);
	free(input);
	return jws;
}

/* RFC 7518 s.3.4: not the DER that OpenSSL makes, but R and S side by side,
 * each of the full size of a coordinate. */
static void ecdsa_raw(uint8_t *signature, size_t *len, size_t size)
{
	const uint8_t *at = signature;
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)*len);

	openssl_must(pair != NULL, "read its own signature");
	openssl_must(BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, (int)size) >= 0 &&
			     BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + size, (int)size) >= 0,
		     "write a signature");
	*len = 2 * size;
	ECDSA_SIG_free(pair);
}

static size_t key_sign(const struct key *key, const char *input, uint8_t out[SIGNATURE_MAX])
{
	const struct key_kind *kind = key_kind(key->type);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t len = SIGNATURE_MAX;

	openssl_must(context &&
			     EVP_DigestSignInit_ex(context, NULL, kind->digest, NULL, NULL,
						   key->pkey, NULL) == 1 &&
			     EVP_DigestSign(context, out, &len, (const uint8_t *)input,
					    strlen(input)) == 1,
		     "sign a request");
	EVP_MD_CTX_free(context);
	if (kind->curve) {
		ecdsa_raw(out, &len, kind->size);
	}
	return len;
}

char *jws_sign(const struct key *key, const char *protected_json, const char *payload)
{
	char *input = signing_input(protected_json, payload);
	uint8_t signature[SIGNATURE_MAX];
	size_t len = key_sign(key, input, signature);

	return jws_format(input, signature, len);
}

char *jwt_sign(const struct key *key, const char *header_json, const char *claims_json)
{
	char *input = signing_input(header_json, claims_json);
	uint8_t signature[SIGNATURE_MAX];
	size_t len = key_sign(key, input, signature);
	char *signed_by = base64url_text(signature, len);
	char *jwt = xasprintf("%s.%s", input, signed_by);

	free(signed_by);
	free(input);
	return jwt;
}

bool jws_mac_parse(const char *text, enum mac_alg *out)
{
	static const struct {
		const char *name;
		enum mac_alg alg;
	} algs[] = {
		{ "HS256", MAC_SHA256 },
		{ "HS384", MAC_SHA384 },
		{ "HS512", MAC_SHA512 },
	};

	for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
		if (strcmp(text, algs[i].name) == 0) {
			*out = algs[i].alg;
			return true;
		}
	}
	return false;
}

char *jws_sign_hmac(enum mac_alg alg, const uint8_t *secret, size_t secret_len,
		    const char *protected_json, const char *payload)
{
	char *input = signing_input(protected_json, payload);
	uint8_t mac[MAC_MAX];

	mac_compute(alg, secret, secret_len, input, strlen(input), mac);
	return jws_format(input, mac, mac_len(alg));
}
