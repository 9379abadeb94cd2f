/* The chain that an operator wishes for, by the name or the fingerprint of its root. */
#include "certs.h"

#include <unistd.h>

struct ca {
	EVP_PKEY *leaf, *middle, *root;
	char *leaf_pem, *middle_pem, *root_pem;
	char root_digest[65], middle_digest[65], namesake_digest[65];
	char roots[32]; /* a file, as the system has one */
	struct chain *chain;
};

/* Hexadecimal; frees cert. */
static char *pem_and_digest(X509 *cert, char digest[65])
{
	uint8_t octets[SHA256_LEN];
	unsigned int len = sizeof(octets);

	assert_int_equal(X509_digest(cert, EVP_sha256(), octets, &len), 1);
	hex_encode(digest, 65, octets, sizeof(octets));
	return cert_pem(cert);
}

/* Of a self-signed certificate. */
static char *root_of(EVP_PKEY *key, const char *name, char digest[65])
{
	return pem_and_digest(make_cert(&(struct cert_args){
				      .key = key, .signer = key, .subject = name, .issuer = name }),
			      digest);
}

static void write_roots(struct ca *ca)
{
	EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	/* Of the same name: its key did not sign the chain. */
	char *namesake = root_of(other, "ISRG Root X2", ca->namesake_digest);
	char *text = xasprintf("%s%s", namesake, ca->root_pem);
	int fd;

	snprintf(ca->roots, sizeof(ca->roots), "/tmp/dns01-roots-XXXXXX");
	fd = mkstemp(ca->roots);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	/* Read by OpenSSL when the roots are needed first. */
	assert_int_equal(setenv("SSL_CERT_FILE", ca->roots, 1), 0);
	EVP_PKEY_free(other);
	free(namesake);
	free(text);
}

static int set_up(void **state)
{
	struct ca *ca = xcalloc(1, sizeof(*ca));
	char digest[65];
	char *text;
	struct err err;

	ca->leaf = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	ca->middle = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	ca->root = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	ca->leaf_pem = pem_and_digest(make_cert(&(struct cert_args){ .key = ca->leaf,
								     .signer = ca->middle,
								     .subject = "a.test",
								     .issuer = "E5",
								     .names = { "a.test" } }),
				      digest);
	ca->middle_pem = pem_and_digest(make_cert(&(struct cert_args){ .key = ca->middle,
								       .signer = ca->root,
								       .subject = "E5",
								       .issuer = "ISRG Root X2" }),
					ca->middle_digest);
	ca->root_pem = root_of(ca->root, "ISRG Root X2", ca->root_digest);
	text = xasprintf("%s%s", ca->leaf_pem, ca->middle_pem);
	assert_int_equal(chain_parse(text, strlen(text), &ca->chain, &err), ERR_NONE);
	free(text);
	write_roots(ca);
	*state = ca;
	return 0;
}

static int tear_down(void **state)
{
	struct ca *ca = *state;

	unlink(ca->roots);
	chain_free(ca->chain);
	EVP_PKEY_free(ca->leaf);
	EVP_PKEY_free(ca->middle);
	EVP_PKEY_free(ca->root);
	free(ca->leaf_pem);
	free(ca->middle_pem);
	free(ca->root_pem);
	free(ca);
	return 0;
}

static void by_whole_words_of_the_roots_name(void **state)
{
	const struct ca *ca = *state;
	static const char *const good[] = { "ISRG Root X2", "isrg root x2", "ISRG", "Root X2",
					    "CN=ISRG Root X2" };
	static const char *const bad[] = { "ISRG Root X1", "ISRG Root X",  "oot X2",
					   "E5",           "a.test",       "",
					   "X2 ",          "ISRG Root X22" };

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		if (!chain_leads_to(ca->chain, good[i])) {
			fail_msg("not \"%s\"", good[i]);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (chain_leads_to(ca->chain, bad[i])) {
			fail_msg("\"%s\"", bad[i]);
		}
	}
}

static void by_the_fingerprint_of_a_certificate(void **state)
{
	const struct ca *ca = *state;
	struct buf colons = BUF_INIT(256);
	char wrong[65];

	assert_true(chain_leads_to(ca->chain, ca->middle_digest));
	for (size_t i = 0; i < 64; i += 2) {
		buf_addf(&colons, "%s%c%c", i ? ":" : "", ca->middle_digest[i],
			 ca->middle_digest[i + 1]);
	}
	assert_true(chain_leads_to(ca->chain, buf_str(&colons)));
	buf_add_str(&colons, ":00");
	assert_false(chain_leads_to(ca->chain, buf_str(&colons)));
	memcpy(wrong, ca->middle_digest, sizeof(wrong));
	wrong[63] = wrong[63] == '0' ? '1' : '0';
	assert_false(chain_leads_to(ca->chain, wrong));
	wrong[63] = '\0';
	assert_false(chain_leads_to(ca->chain, wrong));
	buf_clear(&colons);
}

/* The CA leaves it out of the chain. */
static void by_the_fingerprint_of_the_root_above_it(void **state)
{
	const struct ca *ca = *state;

	assert_true(chain_leads_to(ca->chain, ca->root_digest));
	assert_false(chain_leads_to(ca->chain, ca->namesake_digest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		quiet_test(by_whole_words_of_the_roots_name),
		quiet_test(by_the_fingerprint_of_a_certificate),
		quiet_test(by_the_fingerprint_of_the_root_above_it),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
