/* csr: the request for a certificate, PKCS#10 (RFC 2986) as RFC 8555 s.7.4 wants it. */
#include "internal.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define CSR_DER_MAX (512 * 1024) /* above the longest 1000 names */

static bool is_ascii(const char *text)
{
	for (; *text; text++) {
		if (*text <= ' ' || *text > '~') {
			return false;
		}
	}
	return true;
}

/* Adds one dNSName; RFC 5280 s.4.2.1.6: an IA5String. */
static void add_name(GENERAL_NAMES *names, const char *name)
{
	GENERAL_NAME *general = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	openssl_must(general && text && ASN1_STRING_set(text, name, -1) == 1, "hold a name");
	GENERAL_NAME_set0_value(general, GEN_DNS, text);
	openssl_must(sk_GENERAL_NAME_push(names, general) > 0, "hold a name");
}

/* The request's only extension. Not critical: it is the CA that makes it so in
 * a certificate without a subject, and some refuse to be asked. */
static bool set_names(X509_REQ *request, const struct strlist *list)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	STACK_OF(X509_EXTENSION) *extensions = NULL;
	bool done;

	openssl_must(names != NULL, "hold names");
	for (size_t i = 0; i < list->count; i++) {
		add_name(names, list->item[i]);
	}
	done = X509V3_add1_i2d(&extensions, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) ==
		       1 &&
	       X509_REQ_add_extensions(request, extensions) == 1;
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	GENERAL_NAMES_free(names);
	return done;
}

static enum err_code check_names(const struct strlist *names, struct err *err)
{
	if (names->count == 0) {
		return err_set(err, ERR_INTERNAL, NULL, "a request needs at least one name");
	}
	for (size_t i = 0; i < names->count; i++) {
		if (!names->item[i][0] || !is_ascii(names->item[i])) {
			return err_set(err, ERR_INTERNAL, names->item[i],
				       "the name is not in its ASCII form, so it cannot be asked "
				       "for");
		}
	}
	return ERR_NONE;
}

enum err_code csr_build(const struct key *key, const struct strlist *names, struct buf *out,
			struct err *err)
{
	enum err_code code = check_names(names, err);
	unsigned char *der = NULL;
	X509_REQ *request = NULL;
	int len = -1;

	buf_init(out, CSR_DER_MAX);
	if (code) {
		return code;
	}
	request = X509_REQ_new(); /* its subject is empty */
	if (request && X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
	    X509_REQ_set_pubkey(request, key->pkey) == 1 && set_names(request, names) &&
	    X509_REQ_sign(request, key->pkey, EVP_get_digestbyname(key_kind(key->type)->digest)) >
		    0) {
		len = i2d_X509_REQ(request, &der);
	}
	if (len < 0) {
		code = err_set(err, ERR_INTERNAL, NULL,
			       "OpenSSL cannot build the certificate request: %s", openssl_why());
		goto out;
	}
	buf_add(out, der, (size_t)len);
	if (out->overflow) {
		code = err_set(err, ERR_LIMIT, NULL,
			       "the request with %zu names is larger than %d octets; ask for "
			       "fewer in one certificate",
			       names->count, CSR_DER_MAX);
	}
out:
	OPENSSL_free(der);
	X509_REQ_free(request);
	return code;
}
