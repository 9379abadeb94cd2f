/* issuer: the certificates of the simulated CA, by OpenSSL. */
#include "sim/ca.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define CSR_MAX 4096

static EVP_PKEY *root_key;
static X509 *root;

static void must(bool good)
{
	if (!good) {
		fprintf(stderr, "sim: OpenSSL failed\n");
		abort();
	}
}

static void set_name(X509_NAME *name, const char *text)
{
	must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)text, -1, -1,
					0) == 1);
}

void issuer_start(void)
{
	root_key = EVP_EC_gen("P-256");
	root = X509_new();
	must(root_key && root && X509_set_version(root, 2) == 1 &&
	     ASN1_INTEGER_set(X509_get_serialNumber(root), 1) == 1);
	ASN1_TIME_set(X509_getm_notBefore(root), SIM_WALL_S - 1000000);
	ASN1_TIME_set(X509_getm_notAfter(root), (time_t)SIM_WALL_S + 1000000000);
	set_name(X509_get_subject_name(root), "Simulated root");
	set_name(X509_get_issuer_name(root), "Simulated root");
	must(X509_set_pubkey(root, root_key) == 1 && X509_sign(root, root_key, EVP_sha256()) > 0);
}

void issuer_end(void)
{
	X509_free(root);
	EVP_PKEY_free(root_key);
}

static X509_REQ *read_csr(const char *text)
{
	uint8_t der[CSR_MAX];
	const uint8_t *at = der;
	size_t len = 0;
	X509_REQ *request;

	if (!base64url_decode(text, strlen(text), der, sizeof(der), &len)) {
		return NULL;
	}
	request = d2i_X509_REQ(NULL, &at, (long)len);
	if (request && X509_REQ_verify(request, X509_REQ_get0_pubkey(request)) != 1) {
		X509_REQ_free(request);
		return NULL;
	}
	return request;
}

static void copy_names(X509 *leaf, X509_REQ *request)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);

	for (int i = 0; i < sk_X509_EXTENSION_num(extensions); i++) {
		must(X509_add_ext(leaf, sk_X509_EXTENSION_value(extensions, i), -1) == 1);
	}
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

static char *chain_text(X509 *leaf)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long len;

	must(PEM_write_bio_X509(bio, leaf) == 1 && PEM_write_bio_X509(bio, root) == 1);
	len = BIO_get_mem_data(bio, &data);
	text = xstrndup(data, (size_t)len);
	BIO_free(bio);
	return text;
}

char *issuer_issue(const struct sim *sim, const char *csr, char serial[48])
{
	static uint64_t next = 1000;
	time_t now = (time_t)(sim_wall_us(sim) / 1000000);
	X509_REQ *request = read_csr(csr);
	X509 *leaf = X509_new();
	char *text = NULL;

	if (!request) {
		goto out;
	}
	snprintf(serial, 48, "%llX", (unsigned long long)++next);
	must(X509_set_version(leaf, 2) == 1 &&
	     ASN1_INTEGER_set_uint64(X509_get_serialNumber(leaf), next) == 1);
	ASN1_TIME_set(X509_getm_notBefore(leaf), now - 3600);
	ASN1_TIME_set(X509_getm_notAfter(leaf), now + 90 * 86400);
	must(X509_set_issuer_name(leaf, X509_get_subject_name(root)) == 1 &&
	     X509_set_pubkey(leaf, X509_REQ_get0_pubkey(request)) == 1);
	copy_names(leaf, request);
	must(X509_sign(leaf, root_key, EVP_sha256()) > 0);
	text = chain_text(leaf);
out:
	X509_REQ_free(request);
	X509_free(leaf);
	return text;
}
