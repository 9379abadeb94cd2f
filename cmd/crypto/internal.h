/* What the files of crypto share: the key behind the opaque name, and OpenSSL's errors. */
#ifndef DNS01_CRYPTO_INTERNAL_H
#define DNS01_CRYPTO_INTERNAL_H

#include "dns01/crypto.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#define CHAIN_CERTS_MAX 10

/* What follows from a key's type. */
struct key_kind {
	const char *name;
	const char *jws_alg; /* RFC 7518 s.3.1 */
	const char *digest;  /* of signatures, in a JWS and in a request */
	const char *curve;   /* RFC 7518 s.6.2.1.1, which OpenSSL knows too; NULL: RSA */
	const char *group;   /* the curve as OpenSSL names it in a key */
	size_t size;         /* octets of a coordinate, or of the modulus */
};

/* Never changed after it was made: what every request needs is computed once. */
struct key {
	EVP_PKEY *pkey;
	enum key_type type;
	char *jwk;
	char thumbprint[THUMBPRINT_LEN];
};

const struct key_kind *key_kind(enum key_type type);
extern const char key_types_known[]; /* for sentences */
/* Takes pkey; a sentence where it is of no type of ours. */
enum err_code key_take(EVP_PKEY *pkey, const char *source, struct key **out,
		       struct err *err) MUST_CHECK;
/* RFC 7517; gives. NULL where OpenSSL does not give the numbers. */
char *jwk_format(const EVP_PKEY *pkey, const struct key_kind *kind);

/*
 * OpenSSL's reason for the failure just seen, short, in a static buffer; the
 * queue is empty afterwards, so that no later failure is told with it.
 */
const char *openssl_why(void);
/* Ends the process where OpenSSL fails at what cannot fail: memory, randomness. */
void openssl_must(bool done, const char *what);
/* Everything that was written to a memory BIO; frees it. */
void buf_add_bio(struct buf *buf, BIO *bio);

struct chain {
	X509 *cert[CHAIN_CERTS_MAX]; /* the leaf first */
	size_t count;
	struct chain_facts facts;
};

/* Reads the blocks of strict PEM one by one. */
struct pem_reader {
	const char *at, *end;
	size_t count; /* blocks read */
};

/* Sets *more to false at the end, else gives the DER of the next certificate;
 * der is initialised by the caller and emptied first. */
enum err_code pem_next(struct pem_reader *reader, struct buf *der, bool *more,
		       struct err *err) MUST_CHECK;

/* A certificate for those who only tell of it, RFC 5280 s.4.1. A SEQUENCE in a string is DER. */
struct leaf {
	struct leaf_body {
		ASN1_INTEGER *version, *serial;
		ASN1_STRING *algorithm;
		ASN1_STRING *issuer, *subject; /* SEQUENCEs */
		X509_VAL *validity;
		struct leaf_key {
			X509_ALGOR *algorithm;
			ASN1_BIT_STRING *bits;
		} * key;
		ASN1_BIT_STRING *issuer_id, *subject_id;
		STACK_OF(X509_EXTENSION) * extensions; /* NULL: none */
	} * body;
	ASN1_STRING *algorithm; /* a SEQUENCE */
	ASN1_BIT_STRING *signature;
};
/* Gives for leaf_free; NULL: der is not one certificate, and OpenSSL says why. */
struct leaf *leaf_parse(const struct buf *der);
void leaf_free(struct leaf *leaf); /* NULL is fine */
/* As key_type_name(); NULL: none that we make. */
const char *leaf_key_type(const struct leaf *leaf);

/* What is told of a chain's first certificate; facts are empty before. chain_facts_clear() in any
 * case. */
enum err_code chain_facts_read(const struct buf *der, struct chain_facts *facts,
			       struct err *err) MUST_CHECK;
/* A name of a certificate for people; gives. */
char *x509_name_text(const X509_NAME *name);

#endif
