/* Digests, MACs, randomness, and the value of a challenge. */
#include "internal.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

/* By enum mac_alg. */
static const struct {
	const char *digest;
	size_t len;
} macs[] = {
	[MAC_SHA1] = { "SHA1", 20 },
	[MAC_SHA256] = { "SHA256", 32 },
	[MAC_SHA384] = { "SHA384", 48 },
	[MAC_SHA512] = { "SHA512", 64 },
};
_Static_assert(ARRAY_LEN(macs) == MAC_ALG_COUNT, "one row for each algorithm");

/* Looking an algorithm up costs ten times what a short digest does: each once. */
static EVP_MD_CTX *sha256_context(void)
{
	static EVP_MD_CTX *context; /* lives as long as the program */

	if (!context) {
		EVP_MD *md = EVP_MD_fetch(NULL, "SHA256", NULL);

		context = EVP_MD_CTX_new();
		openssl_must(md && context && EVP_DigestInit_ex2(context, md, NULL) == 1,
			     "compute SHA-256");
		EVP_MD_free(md);
	}
	return context;
}

static EVP_MAC_CTX *mac_context(enum mac_alg alg)
{
	static EVP_MAC_CTX *contexts[MAC_ALG_COUNT];
	EVP_MAC *mac;
	OSSL_PARAM params[2] = {
		OSSL_PARAM_construct_utf8_string("digest", (char *)(uintptr_t)macs[alg].digest, 0),
		OSSL_PARAM_construct_end()
	};

	if (!contexts[alg]) {
		mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
		contexts[alg] = EVP_MAC_CTX_new(mac);
		openssl_must(contexts[alg] && EVP_MAC_CTX_set_params(contexts[alg], params) == 1,
			     "compute an HMAC");
		EVP_MAC_free(mac);
	}
	return contexts[alg];
}

void sha256(const void *data, size_t len, uint8_t out[SHA256_LEN])
{
	EVP_MD_CTX *context = sha256_context();

	openssl_must(EVP_DigestInit_ex2(context, NULL, NULL) == 1 &&
			     EVP_DigestUpdate(context, data, len) == 1 &&
			     EVP_DigestFinal_ex(context, out, NULL) == 1,
		     "compute SHA-256");
}

void sha1(const void *data, size_t len, uint8_t out[SHA1_LEN])
{
	openssl_must(EVP_Q_digest(NULL, "SHA1", NULL, data, len, out, NULL) == 1, "compute SHA-1");
}

void dns01_txt_value(const char *token, const struct key *account_key, char out[44])
{
	/* RFC 8555 s.8.1: the key authorization. */
	char *authorization = xasprintf("%s.%s", token, account_key->thumbprint);
	uint8_t digest[SHA256_LEN];

	sha256(authorization, strlen(authorization), digest);
	base64url_encode(out, BASE64URL_LEN(sizeof(digest)), digest, sizeof(digest));
	free(authorization);
}

size_t mac_len(enum mac_alg alg)
{
	return macs[alg].len;
}

void mac_of(const struct mac_input *input, uint8_t out[MAC_MAX])
{
	/* OpenSSL takes no secret at all for a forgotten one, but a secret of no octets. */
	const void *secret = input->secret ? input->secret : "";
	EVP_MAC_CTX *context = mac_context(input->alg);
	size_t len = 0;

	openssl_must(EVP_MAC_init(context, secret, input->secret_len, NULL) == 1 &&
			     EVP_MAC_update(context, input->data, input->len) == 1 &&
			     EVP_MAC_final(context, out, &len, MAC_MAX) == 1 &&
			     len == macs[input->alg].len,
		     "compute an HMAC");
}

bool equal_constant_time(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

void crypto_random(void *out, size_t len)
{
	openssl_must(RAND_bytes_ex(NULL, out, len, 0) == 1, "give random octets");
}
