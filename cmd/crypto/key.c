/* key: made, read from the files that people have, written as PKCS#8. */
#include "internal.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

/* By enum key_type. */
static const struct key_kind kinds[] = {
	[KEY_P256] = { "p256", "ES256", "SHA256", "P-256", "prime256v1", 32 },
	[KEY_P384] = { "p384", "ES384", "SHA384", "P-384", "secp384r1", 48 },
	[KEY_RSA2048] = { "rsa2048", "RS256", "SHA256", NULL, NULL, 256 },
	[KEY_RSA3072] = { "rsa3072", "RS256", "SHA256", NULL, NULL, 384 },
	[KEY_RSA4096] = { "rsa4096", "RS256", "SHA256", NULL, NULL, 512 },
};
_Static_assert(ARRAY_LEN(kinds) == KEY_TYPE_COUNT, "one row for each type");

const char key_types_known[] = "EC keys on P-256 and P-384, RSA keys of 2048, 3072 and 4096 bits";

/* ---- types ---- */

const struct key_kind *key_kind(enum key_type type)
{
	return &kinds[type];
}

const char *key_type_name(enum key_type type)
{
	return kinds[type].name;
}

bool key_type_parse(const char *text, enum key_type *out)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(text, kinds[i].name) == 0) {
			*out = (enum key_type)i;
			return true;
		}
	}
	return false;
}

bool key_type_slow(enum key_type type)
{
	return !kinds[type].curve;
}

/* ---- from OpenSSL's key to ours ---- */

/* A curve spelled out in numbers is no named curve to those who read our
 * certificates, even where the numbers are the same (RFC 5480 s.2.1.1). */
static bool is_named_curve(const EVP_PKEY *pkey, const char *group)
{
	char text[32];

	return EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_EC_ENCODING, text, sizeof(text),
					      NULL) == 1 &&
	       strcmp(text, OSSL_PKEY_EC_ENCODING_GROUP) == 0 &&
	       EVP_PKEY_get_group_name(pkey, text, sizeof(text), NULL) == 1 &&
	       strcmp(text, group) == 0;
}

static bool is_of_kind(const EVP_PKEY *pkey, const struct key_kind *kind)
{
	if (kind->curve) {
		return EVP_PKEY_is_a(pkey, "EC") && is_named_curve(pkey, kind->group);
	}
	return EVP_PKEY_is_a(pkey, "RSA") && (size_t)EVP_PKEY_get_bits(pkey) == 8 * kind->size;
}

/* Takes pkey; gives a key, or NULL where it is of no type of ours. */
static struct key *key_of(EVP_PKEY *pkey)
{
	struct key *key = NULL;
	uint8_t digest[SHA256_LEN];
	size_t type = 0;
	char *jwk = NULL;

	while (type < ARRAY_LEN(kinds) && !is_of_kind(pkey, &kinds[type])) {
		type++;
	}
	if (type < ARRAY_LEN(kinds)) {
		jwk = jwk_format(pkey, &kinds[type]);
	}
	if (!jwk) {
		EVP_PKEY_free(pkey);
		return NULL;
	}
	key = xcalloc(1, sizeof(*key));
	key->pkey = pkey;
	key->type = (enum key_type)type;
	key->jwk = jwk;
	sha256(jwk, strlen(jwk), digest);
	base64url_encode(key->thumbprint, sizeof(key->thumbprint), digest, sizeof(digest));
	return key;
}

enum err_code key_generate(enum key_type type, struct key **out, struct err *err)
{
	const struct key_kind *kind = &kinds[type];
	EVP_PKEY *pkey;
	struct key *key;

	if (kind->curve) {
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind->curve);
	} else {
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", 8 * kind->size);
	}
	key = pkey ? key_of(pkey) : NULL;
	if (!key) {
		return err_set(err, ERR_INTERNAL, NULL, "OpenSSL cannot make a key of type %s: %s",
			       kind->name, openssl_why());
	}
	*out = key;
	return ERR_NONE;
}

/* ---- reading ---- */

/* What an unwelcome key is, for people. */
static void describe(const EVP_PKEY *pkey, char *out, size_t size)
{
	const char *type = EVP_PKEY_get0_type_name(pkey);
	char curve[64];

	if (EVP_PKEY_is_a(pkey, "EC") &&
	    EVP_PKEY_get_group_name(pkey, curve, sizeof(curve), NULL) == 1) {
		snprintf(out, size, "an EC key on %s%s", curve,
			 is_named_curve(pkey, curve) ? "" : ", spelled out in numbers");
	} else {
		snprintf(out, size, "a key of type %s and %d bits", type ? type : "unknown",
			 EVP_PKEY_get_bits(pkey));
	}
}

enum err_code key_take(EVP_PKEY *pkey, const char *source, struct key **out, struct err *err)
{
	char what[128];
	struct key *key;

	describe(pkey, what, sizeof(what));
	key = key_of(pkey);
	if (!key) {
		ERR_clear_error();
		return err_set(err, ERR_CONFIG, NULL, "%s holds %s; usable are %s", source, what,
			       key_types_known);
	}
	*out = key;
	return ERR_NONE;
}

/* One block of a PEM file; its octets may be a key. */
struct block {
	char *name, *header;
	unsigned char *der;
	long len;
};

static void block_clear(struct block *block)
{
	OPENSSL_secure_free(block->name);
	OPENSSL_secure_free(block->header);
	OPENSSL_secure_clear_free(block->der, block->der ? (size_t)block->len : 0);
	*block = (struct block){ .name = NULL };
}

/* Passes over the blocks that stand beside a key: EC PARAMETERS (of `openssl
 * ecparam -genkey`), certificates. False where there is no private key. */
static bool block_find(BIO *bio, struct block *block)
{
	while (PEM_read_bio_ex(bio, &block->name, &block->header, &block->der, &block->len,
			       PEM_FLAG_SECURE | PEM_FLAG_EAY_COMPATIBLE) == 1) {
		if (strstr(block->name, "PRIVATE KEY")) {
			return true;
		}
		block_clear(block);
	}
	*block = (struct block){ .name = NULL };
	return false;
}

/* PKCS#8 says so in the block's name, the older forms in its header (RFC 1421). */
static bool block_is_encrypted(const struct block *block)
{
	return strstr(block->name, "ENCRYPTED") || strstr(block->header, "ENCRYPTED");
}

static enum err_code block_read(const struct block *block, const char *source, struct key **out,
				struct err *err)
{
	const unsigned char *at = block->der;
	EVP_PKEY *pkey;

	if (block_is_encrypted(block)) {
		return err_set(err, ERR_CONFIG, NULL,
			       "the key in %s is encrypted, and nobody is asked for its "
			       "passphrase; store it decrypted, with mode 0600: openssl pkey -in "
			       "OLD -out NEW",
			       source);
	}
	pkey = d2i_AutoPrivateKey(NULL, &at, block->len);
	if (!pkey) {
		return err_set(err, ERR_CONFIG, NULL,
			       "the private key in %s cannot be read: %s; copy the file anew",
			       source, openssl_why());
	}
	return key_take(pkey, source, out, err);
}

enum err_code key_parse_pem(const char *pem, size_t len, const char *source, struct key **out,
			    struct err *err)
{
	struct block block = { .name = NULL };
	enum err_code code;
	BIO *bio;

	if (len > KEY_PEM_MAX) {
		return err_set(err, ERR_LIMIT, NULL, "the key in %s is larger than %d octets",
			       source, KEY_PEM_MAX);
	}
	bio = BIO_new_mem_buf(pem, (int)len);
	openssl_must(bio != NULL, "read a key");
	if (block_find(bio, &block)) {
		code = block_read(&block, source, out, err);
	} else {
		code = err_set(err, ERR_CONFIG, NULL,
			       "%s holds no private key in PEM: no whole block -----BEGIN PRIVATE "
			       "KEY-----",
			       source);
	}
	ERR_clear_error();
	block_clear(&block);
	BIO_free(bio);
	return code;
}

enum err_code key_load(const char *path, struct key **out, struct err *err)
{
	struct buf pem;
	enum err_code code = file_read_secret(path, KEY_PEM_MAX, &pem, err);

	if (!code) {
		code = key_parse_pem(buf_str(&pem), pem.len, path, out, err);
	}
	buf_wipe(&pem);
	return code;
}

/* ---- the rest ---- */

void key_format_pem(const struct key *key, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_secmem()); /* wiped when freed */

	buf_init(out, KEY_PEM_MAX);
	openssl_must(bio && PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL,
							  NULL) == 1,
		     "write a key");
	buf_add_bio(out, bio);
}

void key_free(struct key *key)
{
	if (!key) {
		return;
	}
	EVP_PKEY_free(key->pkey); /* wipes the private numbers */
	free(key->jwk);
	free(key);
}

enum key_type key_type_of(const struct key *key)
{
	return key->type;
}

bool key_equal(const struct key *a, const struct key *b)
{
	return strcmp(a->jwk, b->jwk) == 0;
}

char *key_jwk(const struct key *key)
{
	return xstrdup(key->jwk);
}

void key_thumbprint(const struct key *key, char out[THUMBPRINT_LEN])
{
	memcpy(out, key->thumbprint, THUMBPRINT_LEN);
}

const char *key_jws_alg(const struct key *key)
{
	return kinds[key->type].jws_alg;
}
