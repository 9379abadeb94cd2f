/* Keys: made, read from the files of other tools, written, and their JWK. */
#include "crypto_test.h"

#include <sys/stat.h>

#include "keys.h"
#include "tool_keys.h"

static void keys_of_other_tools_are_read(void **state)
{
	static const struct {
		const char *pem;
		enum key_type type;
	} rows[] = {
		{ genpkey_p256_pem, KEY_P256 },     { genpkey_p384_pem, KEY_P384 },
		{ ecparam_p256_pem, KEY_P256 },     { rfc7515_es256_pem, KEY_P256 },
		{ genrsa_pem, KEY_RSA2048 },        { genrsa_traditional_pem, KEY_RSA2048 },
		{ rfc7515_rs256_pem, KEY_RSA2048 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct key *key = parse_key(rows[i].pem);

		assert_int_equal(key_type_of(key), rows[i].type);
		key_free(key);
	}
}

static void both_forms_of_a_key_are_equal(void **state)
{
	struct key *a = parse_key(genrsa_pem);
	struct key *b = parse_key(genrsa_traditional_pem);
	struct key *c = parse_key(rfc7638_pem);

	(void)state;
	assert_true(key_equal(a, b));
	assert_false(key_equal(a, c));
	key_free(a);
	key_free(b);
	key_free(c);
}

static void what_is_no_usable_key_is_refused(void **state)
{
	static const struct {
		const char *pem;
		const char *part;
	} rows[] = {
		{ encrypted_pkcs8_pem, "is encrypted" },
		{ encrypted_sec1_pem, "is encrypted" },
		{ ed25519_pem, "a key of type ED25519" },
		{ p521_pem, "an EC key on secp521r1" },
		{ explicit_pem, "an EC key on prime256v1, spelled out in numbers" },
		{ rsa1024_pem, "a key of type RSA and 1024 bits" },
		{ public_pem, "holds no private key" },
		{ "", "holds no private key" },
		{ "-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n", "holds no private key" },
		{ "-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----\n",
		  "cannot be read" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct key *key = NULL;
		struct err err = { 0 };

		assert_int_equal(key_parse_pem(rows[i].pem, strlen(rows[i].pem), "place.pem", &key,
					       &err),
				 ERR_CONFIG);
		assert_null(key);
		expect_text(err.text, rows[i].part);
		expect_text(err.text, "place.pem");
		assert_int_equal(ERR_peek_error(), 0);
	}
}

static void a_key_is_found_beside_other_blocks(void **state)
{
	char *text = xasprintf("some text\n%s%s", public_pem, genpkey_p384_pem);
	struct key *key = parse_key(text);

	(void)state;
	assert_int_equal(key_type_of(key), KEY_P384);
	key_free(key);
	free(text);
}

static void a_file_past_the_maximum_is_refused(void **state)
{
	struct buf text = BUF_INIT(KEY_PEM_MAX + 1);
	struct key *key = NULL;
	struct err err = { 0 };

	(void)state;
	while (text.len <= KEY_PEM_MAX) {
		buf_add_u8(&text, '\n');
	}
	assert_int_equal(key_parse_pem(text.data, text.len, "big.pem", &key, &err), ERR_LIMIT);
	expect_text(err.text, "big.pem");
	buf_clear(&text);
}

static void each_type_is_made_and_survives_a_file(void **state)
{
	static const char *const names[] = { "p256", "p384", "rsa2048", "rsa3072" };
	static const char *const algs[] = { "ES256", "ES384", "RS256", "RS256" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		enum key_type type = KEY_TYPE_COUNT;
		struct key *key;
		struct key *again;
		struct buf pem;

		assert_true(key_type_parse(names[i], &type));
		assert_string_equal(key_type_name(type), names[i]);
		assert_int_equal(key_type_slow(type), names[i][0] == 'r');
		key = make_key(type);
		assert_int_equal(key_type_of(key), type);
		assert_string_equal(key_jws_alg(key), algs[i]);
		key_format_pem(key, &pem);
		assert_memory_equal(pem.data, "-----BEGIN PRIVATE KEY-----\n", 28);
		again = parse_key(pem.data);
		assert_true(key_equal(key, again));
		buf_wipe(&pem);
		key_free(again);
		key_free(key);
	}
}

static void unknown_types_are_not_parsed(void **state)
{
	enum key_type type = KEY_RSA4096;

	(void)state;
	assert_false(key_type_parse("rsa1024", &type));
	assert_false(key_type_parse("P256", &type));
	assert_false(key_type_parse("", &type));
	assert_int_equal(type, KEY_RSA4096);
	assert_true(key_type_parse("rsa4096", &type));
}

static void expect_thumbprint(const char *pem, const char *jwk, const char *expected)
{
	struct key *key = parse_key(pem);
	char thumbprint[THUMBPRINT_LEN];
	char *text = key_jwk(key);

	key_thumbprint(key, thumbprint);
	assert_string_equal(text, jwk);
	assert_string_equal(thumbprint, expected);
	free(text);
	key_free(key);
}

static void thumbprints_are_those_of_the_rfcs(void **state)
{
	(void)state;
	expect_thumbprint(
		rfc7638_pem,
		"{\"e\":\"AQAB\",\"kty\":\"RSA\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFb"
		"WhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2"
		"W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZg"
		"nYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcR"
		"wr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw\"}",
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	/* Its thumbprint was computed by another program. */
	expect_thumbprint(rfc7515_es256_pem,
			  "{\"crv\":\"P-256\",\"kty\":\"EC\","
			  "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
			  "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
			  "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
}

/* RFC 7518 s.6.2.1.2: one key in 256 has an X that begins with a zero octet. */
static void coordinates_keep_their_leading_zeros(void **state)
{
	static const char before[] = "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"";
	bool seen = false;

	(void)state;
	for (size_t i = 0; i < 20000 && !seen; i++) {
		struct key *key = make_key(KEY_P256);
		char *jwk = key_jwk(key);
		uint8_t x[32];
		size_t len = 0;

		assert_int_equal(strlen(jwk), strlen(before) + 43 + strlen("\",\"y\":\"") + 43 + 2);
		assert_true(base64url_decode(jwk + strlen(before), 43, x, sizeof(x), &len));
		assert_int_equal(len, sizeof(x));
		seen = x[0] == 0;
		free(jwk);
		key_free(key);
	}
	assert_true(seen);
}

static void load_file(const char *path, mode_t mode, enum err_code expected, struct key **key)
{
	struct err err = { 0 };

	assert_int_equal(chmod(path, mode), 0);
	assert_int_equal(key_load(path, key, &err), expected);
	if (expected) {
		expect_text(err.text, path);
	}
}

static void a_key_file_must_be_secret(void **state)
{
	char path[] = "/tmp/dns01-key-XXXXXX";
	struct key *key = NULL;
	struct err err;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, genpkey_p256_pem, strlen(genpkey_p256_pem)),
			 strlen(genpkey_p256_pem));
	close(fd);
	load_file(path, 0644, ERR_DENIED, &key);
	assert_null(key);
	load_file(path, 0640, ERR_NONE, &key);
	assert_int_equal(key_type_of(key), KEY_P256);
	key_free(key);
	unlink(path);
	assert_int_equal(key_load(path, &key, &err), ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		quiet_test(keys_of_other_tools_are_read),
		quiet_test(both_forms_of_a_key_are_equal),
		quiet_test(what_is_no_usable_key_is_refused),
		quiet_test(a_key_is_found_beside_other_blocks),
		quiet_test(a_file_past_the_maximum_is_refused),
		quiet_test(each_type_is_made_and_survives_a_file),
		quiet_test(unknown_types_are_not_parsed),
		quiet_test(thumbprints_are_those_of_the_rfcs),
		quiet_test(coordinates_keep_their_leading_zeros),
		quiet_test(a_key_file_must_be_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
