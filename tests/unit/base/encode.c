#include "cmocka_all.h"
#include "dns01/base.h"

#include <ctype.h>

struct vector {
	const char *plain;
	const char *base64;
	const char *hex;
};

/* RFC 4648 s.10, without the padding where the code is base64url. */
static const struct vector vectors[] = {
	{ "", "", "" },
	{ "f", "Zg==", "66" },
	{ "fo", "Zm8=", "666f" },
	{ "foo", "Zm9v", "666f6f" },
	{ "foob", "Zm9vYg==", "666f6f62" },
	{ "fooba", "Zm9vYmE=", "666f6f6261" },
	{ "foobar", "Zm9vYmFy", "666f6f626172" },
};

static void test_vectors_of_rfc4648(void **state)
{
	char text[32];
	uint8_t data[32];
	size_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		const char *plain = vectors[i].plain;
		const char *base64 = vectors[i].base64;
		size_t unpadded = strcspn(base64, "=");

		base64url_encode(text, BASE64URL_LEN(strlen(plain)), plain, strlen(plain));
		assert_int_equal(strlen(text), unpadded);
		assert_memory_equal(text, base64, unpadded);
		assert_true(base64url_decode(text, unpadded, data, strlen(plain), &len));
		assert_int_equal(len, strlen(plain));
		assert_memory_equal(data, plain, len);
		assert_true(base64_decode_any(base64, strlen(base64), data, sizeof(data), &len));
		assert_int_equal(len, strlen(plain));
		assert_memory_equal(data, plain, len);
		hex_encode(text, sizeof(text), plain, strlen(plain));
		assert_string_equal(text, vectors[i].hex);
		assert_true(hex_decode(text, data, strlen(plain), &len));
		assert_int_equal(len, strlen(plain));
		assert_memory_equal(data, plain, len);
	}
}

/* RFC 7515 appendix C */
static void test_vector_of_rfc7515(void **state)
{
	static const uint8_t octets[] = { 3, 236, 255, 224, 193 };
	char text[BASE64URL_LEN(sizeof(octets))];

	(void)state;
	base64url_encode(text, sizeof(text), octets, sizeof(octets));
	assert_string_equal(text, "A-z_4ME");
}

static void test_every_octet_survives(void **state)
{
	uint8_t octets[256];
	uint8_t back[256];
	char text[BASE64URL_LEN(sizeof(octets))];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(octets); i++) {
		octets[i] = (uint8_t)(i * 7);
	}
	for (size_t n = 0; n <= sizeof(octets); n++) {
		base64url_encode(text, sizeof(text), octets, n);
		assert_int_equal(strlen(text) + 1, BASE64URL_LEN(n));
		assert_true(base64url_decode(text, strlen(text), back, n, &len));
		assert_int_equal(len, n);
		assert_memory_equal(back, octets, n);
	}
}

static void test_what_is_no_base64url(void **state)
{
	static const char *const wrong[] = { "Z",    "Zg==", "Zm8=", "Zm9v\n", "Zm+v",
					     "Zm/v", "Zm 9", "Zh",   "Zm9",    "Zm9vY" };
	uint8_t data[32];
	size_t len = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_false(
			base64url_decode(wrong[i], strlen(wrong[i]), data, sizeof(data), &len));
	}
	assert_false(base64url_decode("Zg\0v", 4, data, sizeof(data), &len));
	assert_false(base64url_decode("Zm9v", 4, data, 2, &len));
	assert_int_equal(len, 7);
}

static void test_pasted_base64(void **state)
{
	static const char *const same[] = { "--__--__", "++//++//", " ++__\n--// \t\r\n" };
	static const char *const wrong[] = { "Zg=",  "Zg===", "=", "Zg==Zg==", "Zm9v=",
					     "Zh==", "Zm8==", "Z", "Zm9v!",    "Zm9v====" };
	static const uint8_t expected[] = { 0xfb, 0xef, 0xff, 0xfb, 0xef, 0xff };
	uint8_t data[32];
	size_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		assert_true(base64_decode_any(same[i], strlen(same[i]), data, sizeof(data), &len));
		assert_int_equal(len, sizeof(expected));
		assert_memory_equal(data, expected, len);
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_false(
			base64_decode_any(wrong[i], strlen(wrong[i]), data, sizeof(data), &len));
	}
	assert_false(base64_decode_any("Zm9v", 4, data, 2, &len));
	assert_true(base64_decode_any("Zg", 2, data, 1, &len));
}

/* Digits are taken four at a time, wherever blanks and strangers stand. */
static void test_every_place_of_a_digit_counts(void **state)
{
	static const char digits[] = "AAECAwQFBgcICQoL";
	static const uint8_t expected[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };
	uint8_t data[12];
	size_t len;

	(void)state;
	for (int c = 1; c < 256; c++) {
		bool is_blank = strchr(" \t\r\n", c) != NULL;
		bool is_digit = strchr("+/-_", c) || isalnum(c);

		for (size_t i = 0; i < 16; i++) {
			char *more = xasprintf("%.*s%c%s", (int)i, digits, c, digits + i);
			char *other = xasprintf("%.*s%c%s", (int)i, digits, c, digits + i + 1);

			assert_true(base64_decode_any(more, 17, data, 12, &len) == is_blank);
			assert_true(!is_blank || memcmp(data, expected, 12) == 0);
			/* 15 digits and a blank, or padding, are something else */
			assert_true(base64_decode_any(other, 16, data, 12, &len) == is_digit ||
				    is_blank || c == '=');
			free(more);
			free(other);
		}
	}
}

static void test_alphabet(void **state)
{
	(void)state;
	assert_true(base64url_is("azAZ09-_", 8));
	assert_false(base64url_is("", 0));
	assert_false(base64url_is("a=", 2));
	assert_false(base64url_is("a/", 2));
	assert_false(base64url_is("a\0", 2));
}

static void test_hex(void **state)
{
	uint8_t data[4];
	char text[9];
	size_t len;

	(void)state;
	assert_true(hex_decode("00fFAb10", data, sizeof(data), &len));
	hex_encode(text, sizeof(text), data, len);
	assert_string_equal(text, "00ffab10");
	assert_false(hex_decode("0", data, sizeof(data), &len));
	assert_false(hex_decode("0g", data, sizeof(data), &len));
	assert_false(hex_decode("0011223344", data, sizeof(data), &len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_of_rfc4648),
		cmocka_unit_test(test_vector_of_rfc7515),
		cmocka_unit_test(test_every_octet_survives),
		cmocka_unit_test(test_what_is_no_base64url),
		cmocka_unit_test(test_pasted_base64),
		cmocka_unit_test(test_every_place_of_a_digit_counts),
		cmocka_unit_test(test_alphabet),
		cmocka_unit_test(test_hex),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
