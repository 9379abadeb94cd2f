/*
 * pkcs12: RFC 7292, for programs that want key and certificates in one file, Java's and Windows'
 * among them. Key and certificates are encrypted by AES-256 (PBES2 of RFC 8018), the whole is
 * guarded by an HMAC with SHA-256; nothing in it is older than that.
 */
#include "internal.h"

#include <openssl/bio.h>
#include <openssl/pkcs12.h>

/* PBKDF2's rounds and the MAC's: what guessing a password costs, and each reader of the file. */
#define ROUNDS 100000

static STACK_OF(X509) * rest_of(const struct chain *chain)
{
	STACK_OF(X509) *rest = sk_X509_new_null();

	openssl_must(rest != NULL, "make a list");
	for (size_t i = 1; i < chain->count; i++) {
		openssl_must(sk_X509_push(rest, chain->cert[i]) > 0, "add to a list");
	}
	return rest;
}

enum err_code pkcs12_build(const struct pkcs12_args *args, struct buf *out, struct err *err)
{
	STACK_OF(X509) *rest = rest_of(args->chain);
	enum err_code code = ERR_NONE;
	BIO *bio = NULL;
	/* The MAC is set apart (-1), so that its digest is this one in every OpenSSL. */
	PKCS12 *file =
		PKCS12_create(args->password, args->name, args->key->pkey, args->chain->cert[0],
			      rest, NID_aes_256_cbc, NID_aes_256_cbc, ROUNDS, -1, 0);

	buf_init(out, PKCS12_MAX);
	if (!file || !PKCS12_set_mac(file, args->password, -1, NULL, 0, ROUNDS, EVP_sha256())) {
		code = err_set(err, ERR_INTERNAL, args->name, "PKCS#12 cannot be made: %s",
			       openssl_why());
		goto out;
	}
	bio = BIO_new(BIO_s_mem());
	openssl_must(bio && i2d_PKCS12_bio(bio, file), "write PKCS#12");
	buf_add_bio(out, bio);
	if (out->overflow) {
		code = err_set(err, ERR_LIMIT, args->name, "PKCS#12 is larger than %d octets",
			       PKCS12_MAX);
	}
out:
	PKCS12_free(file);
	sk_X509_free(rest);
	return code;
}
