/* Digests, MACs, randomness, and the value of a challenge. */
#include "internal.h"

#include <openssl/crypto.h>
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

void sha256(const void *data, size_t len, uint8_t out[SHA256_LEN])
{
	openssl_must(EVP_Q_digest(NULL, "SHA256", NULL, data, len, out, NULL) == 1,
		     "compute SHA-256");
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
	size_t len = 0;

	openssl_must(EVP_Q_mac(NULL, "HMAC", NULL, macs[input->alg].digest, NULL, secret,
			       input->secret_len, input->data, input->len, out, MAC_MAX,
			       &len) != NULL &&
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
