/* issuer: the certificates of the simulated CA, by OpenSSL. */
#include "sim/ca.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define CSR_MAX 4096

static EVP_PKEY *root_key;
static X509 *root;
static ASN1_OCTET_STRING *root_id; /* its key identifier */

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
	root_id = ASN1_OCTET_STRING_new();
	must(root_id && ASN1_OCTET_STRING_set(root_id, (const uint8_t *)"simulated root", 14) == 1);
}

void issuer_end(void)
{
	ASN1_OCTET_STRING_free(root_id);
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

static bool digest_key(EVP_PKEY *key, uint8_t out[32])
{
	uint8_t *der = NULL;
	int len = key ? i2d_PUBKEY(key, &der) : 0;

	if (len > 0) {
		must(EVP_Digest(der, (size_t)len, out, NULL, EVP_sha256(), NULL) == 1);
	}
	OPENSSL_free(der);
	return len > 0;
}

bool issuer_key(const char *csr, uint8_t key[32])
{
	X509_REQ *request = read_csr(csr);
	bool good = request && digest_key(X509_REQ_get0_pubkey(request), key);

	X509_REQ_free(request);
	return good;
}

bool issuer_key_of(const char *path, uint8_t key[32])
{
	BIO *file = BIO_new_file(path, "r");
	EVP_PKEY *there = file ? PEM_read_bio_PrivateKey(file, NULL, NULL, NULL) : NULL;
	bool good = digest_key(there, key);

	EVP_PKEY_free(there);
	BIO_free(file);
	return good;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
	struct tm tm;

	must(ASN1_TIME_to_tm(time, &tm) == 1);
	return (int64_t)timegm(&tm);
}

bool issuer_read(const char *path, struct ca_leaf *leaf)
{
	BIO *file = BIO_new_file(path, "r");
	X509 *there = file ? PEM_read_bio_X509(file, NULL, NULL, NULL) : NULL;
	uint64_t number = 0;
	bool good = there && digest_key(X509_get0_pubkey(there), leaf->key) &&
		    ASN1_INTEGER_get_uint64(&number, X509_get0_serialNumber(there)) == 1;

	if (good) {
		snprintf(leaf->serial, sizeof(leaf->serial), "%llX", (unsigned long long)number);
		leaf->not_before_s = seconds_of(X509_get0_notBefore(there));
		leaf->not_after_s = seconds_of(X509_get0_notAfter(there));
	}
	X509_free(there);
	BIO_free(file);
	return good;
}

static void add_authority(X509 *leaf)
{
	AUTHORITY_KEYID authority = { .keyid = root_id };

	must(X509_add1_ext_i2d(leaf, NID_authority_key_identifier, &authority, 0, 0) == 1);
}

/* RFC 9773 s.4.1 */
static void name_leaf(uint64_t number, struct ca_leaf *leaf)
{
	uint8_t serial[9];
	char id[64], of[32];
	size_t len = 0;

	for (int shift = 56; shift >= 0; shift -= 8) {
		uint8_t octet = (uint8_t)(number >> shift);

		if (len == 0 && octet >= 0x80) {
			serial[len++] = 0;
		}
		if (len > 0 || octet > 0) {
			serial[len++] = octet;
		}
	}
	base64url_encode(id, sizeof(id), ASN1_STRING_get0_data(root_id),
			 (size_t)ASN1_STRING_length(root_id));
	base64url_encode(of, sizeof(of), serial, len);
	snprintf(leaf->cert_id, sizeof(leaf->cert_id), "%s.%s", id, of);
	snprintf(leaf->serial, sizeof(leaf->serial), "%llX", (unsigned long long)number);
}

void issuer_issue(const char *csr, struct ca_leaf *leaf)
{
	static uint64_t next = 1000;
	X509_REQ *request = read_csr(csr);
	X509 *made = X509_new();

	name_leaf(++next, leaf);
	must(request && X509_set_version(made, 2) == 1 &&
	     ASN1_INTEGER_set_uint64(X509_get_serialNumber(made), next) == 1);
	ASN1_TIME_set(X509_getm_notBefore(made), leaf->not_before_s);
	ASN1_TIME_set(X509_getm_notAfter(made), leaf->not_after_s);
	must(X509_set_issuer_name(made, X509_get_subject_name(root)) == 1 &&
	     X509_set_pubkey(made, X509_REQ_get0_pubkey(request)) == 1);
	copy_names(made, request);
	add_authority(made);
	must(X509_sign(made, root_key, EVP_sha256()) > 0);
	leaf->chain = chain_text(made);
	X509_REQ_free(request);
	X509_free(made);
}
