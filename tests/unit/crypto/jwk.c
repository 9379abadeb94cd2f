/* Private keys from JSON, as another ACME client keeps them. */
#include "crypto_test.h"

#include "dns01/json.h"

#include <openssl/core_names.h>

#include "keys.h"
#include "tool_keys.h"

#define EC_HEAD "{\"kty\":\"EC\",\"crv\":\"P-256\","
#define EC_X "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
#define EC_Y "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\","
#define EC_D "\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\""

static enum err_code parse(const char *text, struct key **key, struct err *err)
{
	struct json *json = NULL;
	enum err_code code;

	assert_int_equal(json_parse(text, strlen(text), &json, NULL), ERR_NONE);
	code = key_parse_jwk(json, "private_key.json", key, err);
	json_free(json);
	return code;
}

/* RFC 7515 A.3.1. */
static void the_key_of_the_rfc_is_read(void **state)
{
	struct key *expected = parse_key(rfc7515_es256_pem);
	struct key *key = NULL;
	struct err err = { 0 };

	(void)state;
	if (parse(EC_HEAD EC_X EC_Y EC_D "}", &key, &err) != ERR_NONE) {
		fail_msg("%s", err.text);
	}
	assert_true(key_equal(key, expected));
	key_free(key);
	key_free(expected);
}

static void set_number(struct json *jwk, const char *member, const EVP_PKEY *pkey,
		       const char *param)
{
	uint8_t octets[1024];
	char text[BASE64URL_LEN(1024)];
	BIGNUM *number = NULL;
	int len;

	assert_int_equal(EVP_PKEY_get_bn_param(pkey, param, &number), 1);
	len = BN_bn2bin(number, octets);
	base64url_encode(text, sizeof(text), octets, (size_t)len);
	json_set_str(jwk, member, text);
	BN_clear_free(number);
}

/* The private JWK of an RSA key, by OpenSSL's numbers; without one of its members. */
static struct json *rsa_jwk(const struct key *key, const char *without)
{
	static const struct {
		const char *member, *param;
	} numbers[] = {
		{ "n", "n" },
		{ "e", "e" },
		{ "d", "d" },
		{ "p", "rsa-factor1" },
		{ "q", "rsa-factor2" },
		{ "dp", "rsa-exponent1" },
		{ "dq", "rsa-exponent2" },
		{ "qi", "rsa-coefficient1" },
	};
	struct json *jwk = json_object();
	EVP_PKEY *pkey = openssl_key(key);

	json_set_str(jwk, "kty", "RSA");
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		if (!without || strcmp(without, numbers[i].member) != 0) {
			set_number(jwk, numbers[i].member, pkey, numbers[i].param);
		}
	}
	EVP_PKEY_free(pkey);
	return jwk;
}

static void rsa_keys_are_read_whole(void **state)
{
	struct key *expected = parse_key(rfc7515_rs256_pem);
	struct json *jwk = rsa_jwk(expected, NULL);
	struct key *key = NULL;
	struct key *again;
	struct err err = { 0 };
	struct buf pem;

	(void)state;
	if (key_parse_jwk(jwk, "private_key.json", &key, &err) != ERR_NONE) {
		fail_msg("%s", err.text);
	}
	assert_int_equal(key_type_of(key), KEY_RSA2048);
	assert_true(key_equal(key, expected));
	/* What is written of it is a private key, too. */
	key_format_pem(key, &pem);
	again = parse_key(pem.data);
	assert_true(key_equal(again, expected));
	buf_wipe(&pem);
	key_free(again);
	key_free(key);
	key_free(expected);
	json_free(jwk);
}

static void a_missing_number_is_named(void **state)
{
	static const char *const members[] = { "n", "e", "d", "p", "q", "dp", "dq", "qi" };
	struct key *whole = parse_key(rfc7515_rs256_pem);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		struct json *jwk = rsa_jwk(whole, members[i]);
		struct key *key = NULL;
		struct err err = { 0 };
		char expected[16];

		snprintf(expected, sizeof(expected), "\"%s\"", members[i]);
		assert_int_equal(key_parse_jwk(jwk, "private_key.json", &key, &err), ERR_CONFIG);
		assert_null(key);
		expect_text(err.text, expected);
		expect_text(err.text, "private_key.json");
		json_free(jwk);
	}
	key_free(whole);
}

/* The numbers of two keys in one. */
static void numbers_that_do_not_belong_together_are_refused(void **state)
{
	struct key *a = parse_key(rfc7515_rs256_pem);
	struct key *b = parse_key(genrsa_pem);
	EVP_PKEY *pkey = openssl_key(b);
	struct json *jwk = rsa_jwk(a, "d");
	struct key *key = NULL;
	struct err err = { 0 };

	(void)state;
	set_number(jwk, "d", pkey, "d");
	assert_int_equal(key_parse_jwk(jwk, "private_key.json", &key, &err), ERR_CONFIG);
	assert_null(key);
	expect_text(err.text, "not those of one key");
	json_free(jwk);
	EVP_PKEY_free(pkey);
	key_free(a);
	key_free(b);
}

static void small_rsa_keys_are_refused(void **state)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
	struct json *jwk = json_object();
	static const char *const params[] = { "n",
					      "e",
					      "d",
					      "rsa-factor1",
					      "rsa-factor2",
					      "rsa-exponent1",
					      "rsa-exponent2",
					      "rsa-coefficient1" };
	static const char *const members[] = { "n", "e", "d", "p", "q", "dp", "dq", "qi" };
	struct key *key = NULL;
	struct err err = { 0 };

	(void)state;
	json_set_str(jwk, "kty", "RSA");
	for (size_t i = 0; i < ARRAY_LEN(params); i++) {
		set_number(jwk, members[i], pkey, params[i]);
	}
	assert_int_equal(key_parse_jwk(jwk, "private_key.json", &key, &err), ERR_CONFIG);
	assert_null(key);
	expect_text(err.text, "1024 bits");
	json_free(jwk);
	EVP_PKEY_free(pkey);
}

static void hostile_keys_end_in_a_sentence(void **state)
{
	static const struct {
		const char *text, *part;
	} rows[] = {
		{ "{}", "a key of type unknown" },
		{ "[]", "a key of type unknown" },
		{ "{\"kty\":7}", "a key of type unknown" },
		{ "{\"kty\":\"oct\",\"k\":\"AAAA\"}", "a key of type oct" },
		{ "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}", "a key of type OKP" },
		{ "{\"kty\":\"EC\"}", "an EC key on an unnamed curve" },
		{ "{\"kty\":\"EC\",\"crv\":\"P-521\"}", "an EC key on P-521" },
		{ "{\"kty\":\"EC\",\"crv\":\"secp256k1\"}", "an EC key on secp256k1" },
		{ EC_HEAD EC_X EC_Y "\"d\":\"\"}", "\"d\"" },
		{ EC_HEAD EC_X EC_Y "\"d\":\"a b\"}", "\"d\"" },
		{ EC_HEAD EC_X EC_D "}", "\"y\"" },
		{ EC_HEAD "\"x\":\"AAAA\"," EC_Y EC_D "}", "\"x\"" },
		/* one octet too many; then a point that is on no curve */
		{ EC_HEAD "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEVB\"," EC_Y EC_D "}",
		  "\"x\"" },
		{ EC_HEAD "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEA\"," EC_Y EC_D "}",
		  "not those of one key" },
		/* the private number of another key */
		{ EC_HEAD EC_X EC_Y "\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LA\"}",
		  "not those of one key" },
		{ "{\"kty\":\"RSA\",\"n\":\"AQAB\"}", "\"e\"" },
		{ "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\",\"d\":\"AQAB\",\"p\":\"AQ\","
		  "\"q\":\"AQ\",\"dp\":\"AQ\",\"dq\":\"AQ\",\"qi\":\"AQ\"}",
		  "not those of one key" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct key *key = NULL;
		struct err err = { 0 };

		if (parse(rows[i].text, &key, &err) != ERR_CONFIG) {
			fail_msg("taken: %s", rows[i].text);
		}
		assert_null(key);
		expect_text(err.text, rows[i].part);
		expect_text(err.text, "private_key.json");
	}
}

static void a_number_past_the_maximum_is_refused(void **state)
{
	struct buf text = BUF_INIT(64 * 1024);
	struct key *key = NULL;
	struct err err = { 0 };

	(void)state;
	buf_add_str(&text, "{\"kty\":\"RSA\",\"n\":\"");
	while (text.len < 20 * 1024) {
		buf_add_str(&text, "AAAA");
	}
	buf_add_str(&text, "\"}");
	assert_int_equal(parse(buf_str(&text), &key, &err), ERR_CONFIG);
	assert_null(key);
	expect_text(err.text, "\"n\"");
	buf_clear(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		quiet_test(the_key_of_the_rfc_is_read),
		quiet_test(rsa_keys_are_read_whole),
		quiet_test(a_missing_number_is_named),
		quiet_test(numbers_that_do_not_belong_together_are_refused),
		quiet_test(small_rsa_keys_are_refused),
		quiet_test(hostile_keys_end_in_a_sentence),
		quiet_test(a_number_past_the_maximum_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
