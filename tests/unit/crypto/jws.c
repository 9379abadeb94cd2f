/* Signatures: byte for byte where they are deterministic, else verified by OpenSSL. */
#include "crypto_test.h"

#include <openssl/ec.h>

#include "keys.h"

/* RFC 7515 A.1 to A.3 share this payload. */
static const char payload[] = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n"
			      " \"http://example.com/is_root\":true}";
static const char payload_text[] = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9l"
				   "eGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

struct parts {
	char input[4096]; /* protected "." payload */
	uint8_t signature[512];
	size_t signature_len;
};

/* Of one member's text in flattened JSON. */
static const char *member(const char *jws, const char *name, size_t *len)
{
	char start[32];
	const char *at;

	snprintf(start, sizeof(start), "\"%s\":\"", name);
	at = strstr(jws, start);
	assert_non_null(at);
	at += strlen(start);
	*len = strcspn(at, "\"");
	return at;
}

static void take_apart(const char *jws, struct parts *parts)
{
	size_t head_len, body_len, sign_len;
	const char *head = member(jws, "protected", &head_len);
	const char *body = member(jws, "payload", &body_len);
	const char *sign = member(jws, "signature", &sign_len);

	snprintf(parts->input, sizeof(parts->input), "%.*s.%.*s", (int)head_len, head,
		 (int)body_len, body);
	assert_true(base64url_decode(sign, sign_len, parts->signature, sizeof(parts->signature),
				     &parts->signature_len));
}

/* R and S side by side, as the DER that OpenSSL verifies. */
static void raw_to_der(struct parts *parts)
{
	const int half = (int)(parts->signature_len / 2);
	ECDSA_SIG *pair = ECDSA_SIG_new();
	unsigned char *at = parts->signature;
	BIGNUM *r = BN_bin2bn(parts->signature, half, NULL);
	BIGNUM *s = BN_bin2bn(parts->signature + half, half, NULL);

	assert_int_equal(ECDSA_SIG_set0(pair, r, s), 1);
	parts->signature_len = (size_t)i2d_ECDSA_SIG(pair, &at);
	ECDSA_SIG_free(pair);
}

static int verify(const struct key *key, const struct parts *parts, const char *digest)
{
	EVP_PKEY *pkey = openssl_key(key);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int good;

	assert_int_equal(EVP_DigestVerifyInit_ex(context, NULL, digest, NULL, NULL, pkey, NULL), 1);
	good = EVP_DigestVerify(context, parts->signature, parts->signature_len,
				(const uint8_t *)parts->input, strlen(parts->input));
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(pkey);
	return good;
}

static void hs256_is_rfc7515_a1(void **state)
{
	static const char secret_text[] =
		"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtM"
		"N3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
	uint8_t secret[64];
	size_t len = 0;
	char *jws;
	char *expected;

	(void)state;
	assert_true(
		base64url_decode(secret_text, strlen(secret_text), secret, sizeof(secret), &len));
	jws = jws_sign_hmac(MAC_SHA256, secret, len, "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}",
			    payload);
	expected = xasprintf("{\"protected\":\"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9\","
			     "\"payload\":\"%s\",\"signature\":"
			     "\"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk\"}",
			     payload_text);
	assert_string_equal(jws, expected);
	free(expected);
	free(jws);
}

/* As a CA verifies them, by OpenSSL. */
static void macs_go_by_their_names(void **state)
{
	static const struct {
		const char *name, *digest;
		enum mac_alg alg;
		size_t len;
	} rows[] = { { "HS256", "SHA256", MAC_SHA256, 32 },
		     { "HS384", "SHA384", MAC_SHA384, 48 },
		     { "HS512", "SHA512", MAC_SHA512, 64 } };
	enum mac_alg alg = MAC_SHA1;

	(void)state;
	assert_false(jws_mac_parse("HS1", &alg));
	assert_false(jws_mac_parse("none", &alg));
	assert_false(jws_mac_parse("", &alg));
	assert_false(jws_mac_parse("ES256", &alg));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t mac[64];
		size_t mac_size = 0;
		char *jws;
		struct parts parts;

		assert_true(jws_mac_parse(rows[i].name, &alg));
		assert_int_equal(alg, rows[i].alg);
		jws = jws_sign_hmac(alg, (const uint8_t *)"secret", 6, "{}", payload);
		take_apart(jws, &parts);
		assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, rows[i].digest, NULL, "secret", 6,
					  (const uint8_t *)parts.input, strlen(parts.input), mac,
					  sizeof(mac), &mac_size));
		assert_int_equal(parts.signature_len, rows[i].len);
		assert_memory_equal(parts.signature, mac, rows[i].len);
		free(jws);
	}
}

static void rs256_is_rfc7515_a2(void **state)
{
	struct key *key = parse_key(rfc7515_rs256_pem);
	char *jws = jws_sign(key, "{\"alg\":\"RS256\"}", payload);
	char *expected = xasprintf(
		"{\"protected\":\"eyJhbGciOiJSUzI1NiJ9\",\"payload\":\"%s\",\"signature\":"
		"\"cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7"
		"AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4"
		"BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K"
		"0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv"
		"hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB"
		"p0igcN_IoypGlUPQGe77Rw\"}",
		payload_text);

	(void)state;
	assert_string_equal(jws, expected);
	free(expected);
	free(jws);
	key_free(key);
}

/* RFC 7515 s.3.1: the same parts, with dots between. */
static void a_jwt_is_compact(void **state)
{
	struct key *key = parse_key(rfc7515_rs256_pem);
	char *jwt = jwt_sign(key, "{\"alg\":\"RS256\"}", payload);
	char *expected =
		xasprintf("eyJhbGciOiJSUzI1NiJ9.%s."
			  "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7"
			  "AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4"
			  "BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K"
			  "0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv"
			  "hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB"
			  "p0igcN_IoypGlUPQGe77Rw",
			  payload_text);

	(void)state;
	assert_string_equal(jwt, expected);
	free(expected);
	free(jwt);
	key_free(key);
}

static void ecdsa_signatures_verify(void **state)
{
	static const struct {
		enum key_type type;
		size_t len;
		const char *digest;
	} rows[] = { { KEY_P256, 64, "SHA256" }, { KEY_P384, 96, "SHA384" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct key *key = make_key(rows[i].type);
		char *jws = jws_sign(key, "{\"alg\":\"x\"}", payload);
		struct parts parts;

		take_apart(jws, &parts);
		assert_int_equal(parts.signature_len, rows[i].len);
		raw_to_der(&parts);
		assert_int_equal(verify(key, &parts, rows[i].digest), 1);
		parts.input[0] ^= 1;
		assert_int_not_equal(verify(key, &parts, rows[i].digest), 1);
		ERR_clear_error();
		free(jws);
		key_free(key);
	}
}

/* RFC 7518 s.3.4: one R in 256 begins with a zero octet, one S too. */
static void ecdsa_signatures_keep_their_leading_zeros(void **state)
{
	struct key *key = parse_key(rfc7515_es256_pem);
	bool r_seen = false;
	bool s_seen = false;

	(void)state;
	for (size_t i = 0; i < 20000 && !(r_seen && s_seen); i++) {
		char *jws = jws_sign(key, "{}", "");
		struct parts parts;

		take_apart(jws, &parts);
		assert_int_equal(parts.signature_len, 64);
		if (parts.signature[0] == 0 || parts.signature[32] == 0) {
			r_seen |= parts.signature[0] == 0;
			s_seen |= parts.signature[32] == 0;
			raw_to_der(&parts);
			assert_int_equal(verify(key, &parts, "SHA256"), 1);
		}
		free(jws);
	}
	assert_true(r_seen && s_seen);
	key_free(key);
}

/* RFC 8555 s.6.3. */
static void post_as_get_has_an_empty_payload(void **state)
{
	struct key *key = make_key(KEY_P256);
	char *jws = jws_sign(key, "{}", "");

	(void)state;
	expect_text(jws, "{\"protected\":\"e30\",\"payload\":\"\",\"signature\":\"");
	free(jws);
	key_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		quiet_test(hs256_is_rfc7515_a1),
		quiet_test(macs_go_by_their_names),
		quiet_test(a_jwt_is_compact),
		quiet_test(rs256_is_rfc7515_a2),
		quiet_test(ecdsa_signatures_verify),
		quiet_test(ecdsa_signatures_keep_their_leading_zeros),
		quiet_test(post_as_get_has_an_empty_payload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
