/* Digests and MACs against the RFCs' vectors. */
#include "crypto_test.h"

#include "keys.h"

static void expect_hex(const uint8_t *octets, size_t len, const char *expected)
{
	char hex[2 * MAC_MAX + 1];

	hex_encode(hex, sizeof(hex), octets, len);
	assert_string_equal(hex, expected);
}

static void sha256_is_that_of_fips_180(void **state)
{
	uint8_t out[SHA256_LEN];

	(void)state;
	sha256("abc", 3, out);
	expect_hex(out, sizeof(out),
		   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256(NULL, 0, out);
	expect_hex(out, sizeof(out),
		   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* RFC 3174 s.7.3 */
static void sha1_is_that_of_rfc3174(void **state)
{
	static const char text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	uint8_t out[SHA1_LEN];

	(void)state;
	sha1("abc", 3, out);
	expect_hex(out, sizeof(out), "a9993e364706816aba3e25717850c26c9cd0d89d");
	sha1(text, strlen(text), out);
	expect_hex(out, sizeof(out), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

/* RFC 2202 s.3 for SHA-1, RFC 4231 s.4 for the others. */
static const struct {
	enum mac_alg alg;
	uint8_t secret; /* repeated */
	size_t secret_len;
	const char *data;
	const char *mac;
} vectors[] = {
	{ MAC_SHA1, 0x0b, 20, "Hi There", "b617318655057264e28bc0b6fb378c8ef146be00" },
	{ MAC_SHA256, 0x0b, 20, "Hi There",
	  "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
	{ MAC_SHA384, 0x0b, 20, "Hi There",
	  "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
	  "faea9ea9076ede7f4af152e8b2fa9cb6" },
	{ MAC_SHA512, 0x0b, 20, "Hi There",
	  "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
	  "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854" },
	/* A secret larger than the digest's block. */
	{ MAC_SHA1, 0xaa, 80, "Test Using Larger Than Block-Size Key - Hash Key First",
	  "aa4ae5e15272d00e95705637ce8a3b55ed402112" },
	{ MAC_SHA256, 0xaa, 131, "Test Using Larger Than Block-Size Key - Hash Key First",
	  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
	{ MAC_SHA384, 0xaa, 131, "Test Using Larger Than Block-Size Key - Hash Key First",
	  "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"
	  "0c2ef6ab4030fe8296248df163f44952" },
	{ MAC_SHA512, 0xaa, 131, "Test Using Larger Than Block-Size Key - Hash Key First",
	  "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
	  "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598" },
};

static void macs_are_those_of_the_rfcs(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		uint8_t secret[131];
		uint8_t out[MAC_MAX];

		memset(secret, vectors[i].secret, sizeof(secret));
		mac_compute(vectors[i].alg, secret, vectors[i].secret_len, vectors[i].data,
			    strlen(vectors[i].data), out);
		assert_int_equal(2 * mac_len(vectors[i].alg), strlen(vectors[i].mac));
		expect_hex(out, mac_len(vectors[i].alg), vectors[i].mac);
	}
}

static void a_secret_of_no_octets_is_one(void **state)
{
	uint8_t out[MAC_MAX];

	(void)state;
	mac_compute(MAC_SHA256, NULL, 0, "", 0, out);
	expect_hex(out, SHA256_LEN,
		   "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void comparison_sees_every_octet(void **state)
{
	const uint8_t a[] = { 1, 2, 3 };

	(void)state;
	for (size_t i = 0; i < sizeof(a); i++) {
		uint8_t b[] = { 1, 2, 3 };

		assert_true(equal_constant_time(a, b, sizeof(a)));
		b[i] ^= 0x80;
		assert_false(equal_constant_time(a, b, sizeof(a)));
	}
	assert_true(equal_constant_time(a, "x", 0));
}

static void random_octets_differ(void **state)
{
	uint8_t a[32] = { 0 };
	uint8_t b[32] = { 0 };

	(void)state;
	crypto_random(a, sizeof(a));
	crypto_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
}

static void the_value_of_a_challenge(void **state)
{
	struct key *key = parse_key(rfc7638_pem);
	char value[44];

	(void)state;
	/* SHA-256 of "LoqX...uX0.NzbL...9Xs" by another program. */
	dns01_txt_value("LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0", key, value);
	assert_string_equal(value, "_cC5rvB9vM8qzT3MTBcTeVpQwtbNypBXyQnE4fhM9QQ");
	key_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		quiet_test(sha256_is_that_of_fips_180),   quiet_test(macs_are_those_of_the_rfcs),
		quiet_test(a_secret_of_no_octets_is_one), quiet_test(comparison_sees_every_octet),
		quiet_test(random_octets_differ),         quiet_test(the_value_of_a_challenge),
		quiet_test(sha1_is_that_of_rfc3174),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
