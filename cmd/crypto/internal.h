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

/* A part of a certificate's DER, borrowed from it. */
struct octets {
	const unsigned char *data; /* NULL: it is not there */
	size_t len;
};

/* A certificate for those who only tell of it. */
struct leaf {
	struct octets serial;          /* of the INTEGER */
	struct octets issuer, subject; /* SEQUENCEs with their headers */
	struct leaf_time {
		int type; /* V_ASN1_UTCTIME or V_ASN1_GENERALIZEDTIME */
		struct octets text;
	} not_before, not_after;
	struct octets alt_names, authority; /* values of these extensions */
	const char *key_type;               /* NULL: none that we make */
};
/* False: der is not one certificate, or not DER, which RFC 5280 s.4.1 asks for. */
bool leaf_parse(const struct buf *der, struct leaf *out) MUST_CHECK;
/* Of leaf->alt_names, which is there. */
bool leaf_alt_names(const struct leaf *leaf, struct octets *names) MUST_CHECK;
/* The first of names, which are not empty; dns->data is NULL where it is of another kind. */
bool alt_name_take(struct octets *names, struct octets *dns) MUST_CHECK;
/* False: its authority has no identifier of a key. */
bool leaf_key_id(const struct leaf *leaf, struct octets *id);

/* What is told of a chain's first certificate; facts are empty before. chain_facts_clear() in any
 * case. */
enum err_code chain_facts_read(const struct buf *der, struct chain_facts *facts,
			       struct err *err) MUST_CHECK;
/* A name of a certificate for people; gives. */
char *x509_name_text(const X509_NAME *name);

#endif
