/*
 * jwk: a public key as JSON (RFC 7517, RFC 7518 s.6), which is its thumbprint's input (RFC 7638);
 * and a private key from JSON, as certbot keeps its accounts'.
 */
#include "internal.h"

#include "dns01/json.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#define NUMBER_MAX 1024 /* octets; twice the largest modulus */

/* One number of the key in base64url, of exactly size octets or, with 0, of
 * as few as it takes; gives, or NULL. */
static char *number_format(const EVP_PKEY *pkey, const char *name, size_t size)
{
	uint8_t octets[NUMBER_MAX];
	BIGNUM *number = NULL;
	char *text = NULL;
	size_t text_size;
	int len;

	if (EVP_PKEY_get_bn_param(pkey, name, &number) != 1) {
		goto out;
	}
	len = BN_num_bytes(number);
	if (size == 0) {
		size = (size_t)len;
	}
	if (size > sizeof(octets) || BN_bn2binpad(number, octets, (int)size) < 0) {
		goto out;
	}
	text_size = BASE64URL_LEN(size);
	text = xmalloc(text_size);
	base64url_encode(text, text_size, octets, size);
out:
	BN_free(number);
	return text;
}

/* RFC 7638 s.3: the required members alone, in the order of their names, no blanks. */
char *jwk_format(const EVP_PKEY *pkey, const struct key_kind *kind)
{
	char *first = NULL;
	char *second = NULL;
	char *jwk = NULL;

	if (kind->curve) {
		/* RFC 7518 s.6.2.1.2: the full size of a coordinate, leading zeros and all. */
		first = number_format(pkey, OSSL_PKEY_PARAM_EC_PUB_X, kind->size);
		second = number_format(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, kind->size);
	} else {
		/* RFC 7518 s.6.3.1: no leading zeros (Base64urlUInt). */
		first = number_format(pkey, OSSL_PKEY_PARAM_RSA_E, 0);
		second = number_format(pkey, OSSL_PKEY_PARAM_RSA_N, 0);
	}
	if (!first || !second) {
		goto out;
	}
	if (kind->curve) {
		jwk = xasprintf("{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}",
				kind->curve, first, second);
	} else {
		jwk = xasprintf("{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", first, second);
	}
out:
	free(first);
	free(second);
	return jwk;
}

/* ---- reading ---- */

/* RFC 7518 s.6.2.2 and 6.3.2: a private key's numbers, and OpenSSL's names for them. */
static const struct {
	const char *member, *param;
} rsa_numbers[] = {
	{ "n", OSSL_PKEY_PARAM_RSA_N },          { "e", OSSL_PKEY_PARAM_RSA_E },
	{ "d", OSSL_PKEY_PARAM_RSA_D },          { "p", OSSL_PKEY_PARAM_RSA_FACTOR1 },
	{ "q", OSSL_PKEY_PARAM_RSA_FACTOR2 },    { "dp", OSSL_PKEY_PARAM_RSA_EXPONENT1 },
	{ "dq", OSSL_PKEY_PARAM_RSA_EXPONENT2 }, { "qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1 },
};
#define RSA_NUMBERS ARRAY_LEN(rsa_numbers)

/* One key on its way from JSON to OpenSSL; all of it is wiped. */
struct jwk_reader {
	const struct json *jwk;
	const char *source;
	OSSL_PARAM_BLD *build;     /* only points at what is pushed into it */
	uint8_t point[1 + 2 * 66]; /* SEC 1 s.2.3.3: 04, x, y */
	BIGNUM *number[RSA_NUMBERS];
	size_t count;
	struct err *err;
};

static enum err_code refuse_member(const struct jwk_reader *reader, const char *member)
{
	return err_set(
		reader->err, ERR_CONFIG, NULL,
		"the private key in %s cannot be read: its member \"%s\" is missing or is no "
		"number of this type of key in base64url",
		reader->source, member);
}

static enum err_code push_number(struct jwk_reader *reader, const char *member, const char *param)
{
	const char *text = json_str(reader->jwk, member);
	uint8_t octets[NUMBER_MAX];
	size_t len = 0;
	BIGNUM *number = BN_secure_new(); /* its copies in the parameters are wiped, too */
	bool good = text && base64url_decode(text, strlen(text), octets, sizeof(octets), &len) &&
		    len > 0;

	openssl_must(number != NULL, "read a key");
	reader->number[reader->count++] = number;
	if (good) {
		openssl_must(BN_bin2bn(octets, (int)len, number) != NULL &&
				     OSSL_PARAM_BLD_push_BN(reader->build, param, number) == 1,
			     "read a key");
	}
	wipe(octets, sizeof(octets));
	return good ? ERR_NONE : refuse_member(reader, member);
}

static enum err_code push_rsa(struct jwk_reader *reader)
{
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < RSA_NUMBERS && code == ERR_NONE; i++) {
		code = push_number(reader, rsa_numbers[i].member, rsa_numbers[i].param);
	}
	return code;
}

/* RFC 7518 s.6.2.1.2: octets of the field's size, no more and no less. */
static enum err_code read_coordinate(const struct jwk_reader *reader, const char *member,
				     uint8_t *out, size_t size)
{
	const char *text = json_str(reader->jwk, member);
	size_t len = 0;

	if (!text || !base64url_decode(text, strlen(text), out, size, &len) || len != size) {
		return refuse_member(reader, member);
	}
	return ERR_NONE;
}

static enum err_code push_ec(struct jwk_reader *reader, const struct key_kind *kind)
{
	uint8_t *point = reader->point;
	enum err_code code = read_coordinate(reader, "x", point + 1, kind->size);

	point[0] = POINT_CONVERSION_UNCOMPRESSED;
	if (code == ERR_NONE) {
		code = read_coordinate(reader, "y", point + 1 + kind->size, kind->size);
	}
	if (code == ERR_NONE) {
		openssl_must(OSSL_PARAM_BLD_push_utf8_string(reader->build,
							     OSSL_PKEY_PARAM_GROUP_NAME,
							     kind->group, 0) == 1 &&
				     OSSL_PARAM_BLD_push_octet_string(reader->build,
								      OSSL_PKEY_PARAM_PUB_KEY,
								      point,
								      1 + 2 * kind->size) == 1,
			     "read a key");
		code = push_number(reader, "d", OSSL_PKEY_PARAM_PRIV_KEY);
	}
	return code;
}

/* The kind of EC key by its curve; NULL with a sentence where it is none of ours. */
static const struct key_kind *ec_kind(const struct jwk_reader *reader)
{
	const char *curve = json_str(reader->jwk, "crv");

	for (int type = 0; type < KEY_TYPE_COUNT; type++) {
		const struct key_kind *kind = key_kind((enum key_type)type);

		if (kind->curve && curve && strcmp(kind->curve, curve) == 0) {
			return kind;
		}
	}
	err_set(reader->err, ERR_CONFIG, NULL, "%s holds an EC key on %s; usable are %s",
		reader->source, curve ? curve : "an unnamed curve", key_types_known);
	return NULL;
}

/* Gives what OpenSSL makes of the numbers, once they are known to belong together. */
static enum err_code make_pkey(struct jwk_reader *reader, const char *type, EVP_PKEY **out)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(reader->build);
	EVP_PKEY_CTX *make = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY_CTX *check = NULL;
	EVP_PKEY *pkey = NULL;
	enum err_code code = ERR_NONE;

	openssl_must(params && make, "read a key");
	if (EVP_PKEY_fromdata_init(make) == 1 &&
	    EVP_PKEY_fromdata(make, &pkey, EVP_PKEY_KEYPAIR, params) == 1) {
		check = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	}
	if (check && EVP_PKEY_check(check) == 1) {
		*out = pkey;
		pkey = NULL;
	} else {
		code = err_set(reader->err, ERR_CONFIG, NULL,
			       "the private key in %s cannot be used: its numbers are not those of "
			       "one key (%s)",
			       reader->source, openssl_why());
	}
	EVP_PKEY_free(pkey);
	EVP_PKEY_CTX_free(check);
	EVP_PKEY_CTX_free(make);
	OSSL_PARAM_free(params);
	return code;
}

static enum err_code read_jwk(struct jwk_reader *reader, EVP_PKEY **out)
{
	const char *type = json_str(reader->jwk, "kty");
	const struct key_kind *kind;
	enum err_code code;

	if (type && strcmp(type, "RSA") == 0) {
		code = push_rsa(reader);
		return code == ERR_NONE ? make_pkey(reader, "RSA", out) : code;
	}
	if (!type || strcmp(type, "EC") != 0) {
		return err_set(reader->err, ERR_CONFIG, NULL,
			       "%s holds a key of type %s; usable are %s", reader->source,
			       type ? type : "unknown", key_types_known);
	}
	kind = ec_kind(reader);
	if (!kind) {
		return ERR_CONFIG;
	}
	code = push_ec(reader, kind);
	return code == ERR_NONE ? make_pkey(reader, "EC", out) : code;
}

enum err_code key_parse_jwk(const struct json *jwk, const char *source, struct key **out,
			    struct err *err)
{
	struct jwk_reader reader = { .jwk = jwk, .source = source, .err = err };
	EVP_PKEY *pkey = NULL;
	enum err_code code;

	reader.build = OSSL_PARAM_BLD_new();
	openssl_must(reader.build != NULL, "read a key");
	code = read_jwk(&reader, &pkey);
	for (size_t i = 0; i < reader.count; i++) {
		BN_clear_free(reader.number[i]);
	}
	OSSL_PARAM_BLD_free(reader.build);
	if (code == ERR_NONE) {
		code = key_take(pkey, source, out, err);
	}
	ERR_clear_error();
	return code;
}
