/* Which of the chains that a CA offers is the one that an operator wants. */
#include "internal.h"

#include <openssl/err.h>

#include <ctype.h>

/* ---- by name ---- */

static bool is_word(char c)
{
	return isalnum((unsigned char)c);
}

/* "Root X1" is in "CN=ISRG Root X1" and not in "CN=ISRG Root X12". */
static bool has_words(const char *text, const char *words)
{
	const size_t len = strlen(words);

	for (const char *at = text; len > 0 && (at = strcasestr(at, words)); at++) {
		bool begins = at == text || !is_word(at[-1]) || !is_word(words[0]);
		bool ends = !is_word(at[len]) || !is_word(words[len - 1]);

		if (begins && ends) {
			return true;
		}
	}
	return false;
}

/* ---- by fingerprint ---- */

static bool fingerprint_parse(const char *text, uint8_t out[SHA256_LEN])
{
	char digits[2 * SHA256_LEN + 1];
	size_t count = 0;
	size_t len;

	for (; *text && count < sizeof(digits) - 1; text++) {
		if (*text != ':') {
			digits[count++] = *text;
		}
	}
	digits[count] = '\0';
	return *text == '\0' && hex_decode(digits, out, SHA256_LEN, &len) && len == SHA256_LEN;
}

static bool has_fingerprint(const X509 *cert, const uint8_t wanted[SHA256_LEN])
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	openssl_must(X509_digest(cert, EVP_sha256(), digest, &len) == 1, "compute SHA-256");
	return len == SHA256_LEN && memcmp(digest, wanted, SHA256_LEN) == 0;
}

/* The system's roots; a chain is wished for once in a run, or not at all. */
static X509_STORE *system_roots(void)
{
	static X509_STORE *store; /* lives as long as the program */

	if (!store) {
		store = X509_STORE_new();
		openssl_must(store != NULL, "hold certificates");
		if (X509_STORE_set_default_paths(store) != 1) {
			ERR_clear_error(); /* then there are none */
		}
	}
	return store;
}

/* CAs leave the root out of their chains, so it is looked for by its name. */
static bool root_has_fingerprint(X509 *last, const uint8_t wanted[SHA256_LEN])
{
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	STACK_OF(X509) *roots = NULL;
	bool found = false;

	openssl_must(context && X509_STORE_CTX_init(context, system_roots(), NULL, NULL) == 1,
		     "look for a root");
	roots = X509_STORE_CTX_get1_certs(context, X509_get_issuer_name(last));
	for (int i = 0; i < sk_X509_num(roots) && !found; i++) {
		X509 *root = sk_X509_value(roots, i);
		EVP_PKEY *key = X509_get0_pubkey(root);

		found = has_fingerprint(root, wanted) && key && X509_verify(last, key) == 1;
	}
	sk_X509_pop_free(roots, X509_free);
	X509_STORE_CTX_free(context);
	ERR_clear_error();
	return found;
}

bool chain_wish_is_fingerprint(const char *wish)
{
	uint8_t wanted[SHA256_LEN];

	return fingerprint_parse(wish, wanted);
}

bool chain_leads_to(const struct chain *chain, const char *wish)
{
	uint8_t wanted[SHA256_LEN];

	if (!fingerprint_parse(wish, wanted)) {
		return has_words(chain->facts.top_issuer, wish);
	}
	for (size_t i = 0; i < chain->count; i++) {
		if (has_fingerprint(chain->cert[i], wanted)) {
			return true;
		}
	}
	return root_has_fingerprint(chain->cert[chain->count - 1], wanted);
}
