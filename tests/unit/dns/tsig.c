/*
 * Vectors: exchanges between nsupdate and named of BIND 9.18.49, octet for
 * octet, so both directions are proven against another implementation.
 */
#include "dns/fake_world.h"
#include "dns/tsig.h"

#define VECTOR_TIME 0x6b04f890
#define SECRET "0123456789abcdef0123456789abcdef"

#define UPDATE_BODY "2800000100000001000102657800000600010161c00c001000010000003c00020176"

struct vector {
	const char *key;
	enum mac_alg alg;
	const char *request, *reply;
};

static const struct vector vectors[] = {
	{ "k256.test", MAC_SHA256,
	  "4a442800000100000001000102657800000600010161c00c001000010000003c00020176046b3235360474"
	  "6573740000fa00ff00000000003d0b686d61632d7368613235360000006b04f890012c0020fe2b64eed4f1"
	  "486ec56650d0f134f53b7300e0f43e7a1b2c21f025194e5a06814a4400000000",
	  "4a44a80000010000000000010265780000060001046b32353604746573740000fa00ff00000000003d0b68"
	  "6d61632d7368613235360000006b04f890012c0020e72d19237bce1836dfa133e49e7f85bf36fd6120a46b"
	  "1fd9c44217b92b0b26af4a4400000000" },
	{ "k384.test", MAC_SHA384,
	  "7dac2800000100000001000102657800000600010161c00c001000010000003c00020176046b3338340474"
	  "6573740000fa00ff00000000004d0b686d61632d7368613338340000006b04f890012c0030f5d1b53107fc"
	  "d0e1049a75e63f374b0b0683b93b1ec2e9a184ae7079dac8b05cd1811ba21b2c2935e95bb46451009cda7d"
	  "ac00000000",
	  "7daca80000010000000000010265780000060001046b33383404746573740000fa00ff00000000004d0b68"
	  "6d61632d7368613338340000006b04f890012c003001a28770d9eab2c8fa62f5a4bc80d9e6f38ab2f2618d"
	  "ba64f62b24686350ff1b3994dfa707758fd06d07401931af92037dac00000000" },
	{ "k512.test", MAC_SHA512,
	  "5df82800000100000001000102657800000600010161c00c001000010000003c00020176046b3531320474"
	  "6573740000fa00ff00000000005d0b686d61632d7368613531320000006b04f890012c0040ed0da82fa926"
	  "e84e6c10dd519e3d10424dcc86531633dd6dc2967c6ccf640d1c3fb3a926a8df0ccb8ec3389a1a7791e629"
	  "e39fd637f2497edf0f5eb254b64a9a5df800000000",
	  "5df8a80000010000000000010265780000060001046b35313204746573740000fa00ff00000000005d0b68"
	  "6d61632d7368613531320000006b04f890012c004023ea79fce4c944956d3be6dff999571cc5dc8ffa3562"
	  "859d6a0205d71240a850831080913e60f6d36970691927b300e2d1b6c4ad4e53419ecbd686cfcee6b87e5d"
	  "f800000000" },
	{ "k1.test", MAC_SHA1,
	  "1b612800000100000001000102657800000600010161c00c001000010000003c00020176026b3104746573"
	  "740000fa00ff00000000002f09686d61632d736861310000006b04f890012c0014360c656bef1e87338af3"
	  "76a965134ed991d05e9f1b6100000000",
	  "1b61a80000010000000000010265780000060001026b3104746573740000fa00ff00000000002f09686d61"
	  "632d736861310000006b04f890012c0014ff878c1a1861877476dded6a1"
	  "5fea644b5de3b9c1b6100000000" },
};

static struct tsig_key key_for(const char *name, enum mac_alg alg)
{
	struct tsig_key key = { .alg = alg, .secret_len = sizeof(SECRET) - 1 };

	snprintf(key.name, sizeof(key.name), "%s", name);
	memcpy(key.secret, SECRET, sizeof(SECRET) - 1);
	return key;
}

static struct buf from_hex(const char *hex)
{
	struct buf wire = BUF_INIT(WIRE_MSG_MAX);
	uint8_t octets[1024];
	size_t len;

	assert_true(hex_decode(hex, octets, sizeof(octets), &len));
	buf_add(&wire, octets, len);
	return wire;
}

/* The request's MAC as it stands in its TSIG record: before ID, error, length. */
static struct tsig_mac request_mac_of(const struct buf *request, enum mac_alg alg)
{
	struct tsig_mac mac = { .len = mac_len(alg) };

	memcpy(mac.mac, request->data + request->len - 6 - mac.len, mac.len);
	return mac;
}

/* A request, by its MAC, and the time at which its reply comes; what became of it. */
struct checker {
	struct tsig_mac mac;
	int64_t now_s;
	bool hopeless;
	struct err err;
};

static enum err_code verify(struct checker *checker, const struct buf *wire,
			    const struct tsig_key *key)
{
	struct tsig_reply reply = {
		.wire = (const uint8_t *)wire->data,
		.len = wire->len,
		.request = &checker->mac,
		.now_s = checker->now_s,
	};

	checker->err.code = ERR_NONE;
	return tsig_verify_reply(&reply, key, &checker->hopeless, &checker->err);
}

static void signing_makes_what_nsupdate_makes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct tsig_key key = key_for(vectors[i].key, vectors[i].alg);
		struct buf expected = from_hex(vectors[i].request);
		struct buf wire = BUF_INIT(WIRE_MSG_MAX);
		size_t body = sizeof(UPDATE_BODY) / 2 + 2;
		struct tsig_mac mac;
		struct err err;

		buf_add(&wire, expected.data, body);
		wire.data[11] = 0; /* the TSIG record is not counted yet */
		assert_int_equal(tsig_sign(&wire, &key, VECTOR_TIME, &mac, &err), ERR_NONE);
		assert_int_equal(wire.len, expected.len);
		assert_memory_equal(wire.data, expected.data, wire.len);
		assert_int_equal(mac.len, mac_len(key.alg));
		buf_clear(&wire);
		buf_clear(&expected);
	}
}

static void replies_of_bind_are_believed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct tsig_key key = key_for(vectors[i].key, vectors[i].alg);
		struct buf request = from_hex(vectors[i].request);
		struct buf reply = from_hex(vectors[i].reply);
		struct tsig_mac mac = request_mac_of(&request, key.alg);
		struct checker checker = { .mac = mac, .now_s = VECTOR_TIME };

		assert_int_equal(verify(&checker, &reply, &key), ERR_NONE);
		/* Forwarders may have changed the ID: the original one was signed. */
		reply.data[0] ^= 0x55;
		assert_int_equal(verify(&checker, &reply, &key), ERR_NONE);
		buf_clear(&request);
		buf_clear(&reply);
	}
}

static void no_changed_octet_is_believed(void **state)
{
	struct tsig_key key = key_for("k256.test", MAC_SHA256);
	struct buf request = from_hex(vectors[0].request);
	struct tsig_mac mac = request_mac_of(&request, key.alg);

	(void)state;
	for (size_t at = 2; at < strlen(vectors[0].reply) / 2; at++) {
		struct buf reply = from_hex(vectors[0].reply);
		struct checker checker = { .mac = mac, .now_s = VECTOR_TIME };

		for (unsigned bit = 0; bit < 8; bit++) {
			uint8_t was = (uint8_t)reply.data[at];
			bool letter = (was | 0x20) >= 'a' && (was | 0x20) <= 'z' && at >= 20;

			if (bit == 5 && letter) {
				continue; /* names of key and algorithm: case does not count */
			}
			reply.data[at] ^= (char)(1 << bit);
			assert_int_not_equal(verify(&checker, &reply, &key), ERR_NONE);
			assert_true(checker.err.text[0]);
			reply.data[at] = (char)was;
		}
		buf_clear(&reply);
	}
	buf_clear(&request);
}

static void no_cut_or_longer_message_is_believed(void **state)
{
	struct tsig_key key = key_for("k256.test", MAC_SHA256);
	struct buf request = from_hex(vectors[0].request);
	struct buf reply = from_hex(vectors[0].reply);
	struct checker checker = { .mac = request_mac_of(&request, key.alg), .now_s = VECTOR_TIME };

	(void)state;
	for (size_t len = 0; len < reply.len; len++) {
		/* Exactly as long, so that a sanitizer sees what is read behind it. */
		struct buf cut = { .data = xmalloc(len), .len = len };

		memcpy(cut.data, reply.data, len);
		assert_int_not_equal(verify(&checker, &cut, &key), ERR_NONE);
		buf_clear(&cut);
	}
	buf_add_u8(&reply, 0);
	assert_int_not_equal(verify(&checker, &reply, &key), ERR_NONE);
	buf_clear(&request);
	buf_clear(&reply);
}

static void expect_refusal(const struct buf *reply, const struct tsig_key *key,
			   const struct tsig_mac *mac, int64_t now_s, const char *part)
{
	struct checker checker = { .mac = *mac, .now_s = now_s, .hopeless = true };

	assert_int_equal(verify(&checker, reply, key), ERR_PROTOCOL);
	assert_false(checker.hopeless);
	if (!strstr(checker.err.text, part)) {
		fail_msg("'%s' does not say '%s'", checker.err.text, part);
	}
}

static void another_key_request_or_time_is_not_believed(void **state)
{
	struct tsig_key key = key_for("k256.test", MAC_SHA256);
	struct tsig_key other = key_for("other.test", MAC_SHA256);
	struct tsig_key sha1 = key_for("k256.test", MAC_SHA1);
	struct buf request = from_hex(vectors[0].request);
	struct buf reply = from_hex(vectors[0].reply);
	struct tsig_mac mac = request_mac_of(&request, key.alg);
	struct tsig_mac wrong = mac;
	struct checker late = { .mac = mac, .now_s = VECTOR_TIME + 300 };
	struct checker early = { .mac = mac, .now_s = VECTOR_TIME - 300 };

	(void)state;
	expect_refusal(&reply, &other, &mac, VECTOR_TIME, "another key");
	expect_refusal(&reply, &sha1, &mac, VECTOR_TIME, "another key");
	wrong.mac[0] ^= 1; /* the reply to another request of ours: a replay */
	expect_refusal(&reply, &key, &wrong, VECTOR_TIME, "signature is wrong");
	assert_int_equal(verify(&late, &reply, &key), 0);
	assert_int_equal(verify(&early, &reply, &key), 0);
	expect_refusal(&reply, &key, &mac, VECTOR_TIME + 301, "301 s before");
	expect_refusal(&reply, &key, &mac, VECTOR_TIME - 301, "301 s after");
	key.secret[0] ^= 1;
	expect_refusal(&reply, &key, &mac, VECTOR_TIME, "secret");
	buf_clear(&request);
	buf_clear(&reply);
}

static void hopeless_with(const char *hex, const struct tsig_key *key, const struct tsig_mac *mac,
			  int64_t now_s, const char *part)
{
	struct buf reply = from_hex(hex);
	struct checker checker = { .mac = *mac, .now_s = now_s };

	assert_int_equal(verify(&checker, &reply, key), ERR_DENIED);
	assert_true(checker.hopeless);
	if (!strstr(checker.err.text, part)) {
		fail_msg("'%s' does not say '%s'", checker.err.text, part);
	}
	assert_non_null(strstr(checker.err.text, key->name));
	buf_clear(&reply);
}

static void errors_of_bind_are_explained(void **state)
{
	struct tsig_key key = key_for("k256.test", MAC_SHA256);
	struct tsig_key other = key_for("other.test", MAC_SHA256);
	struct tsig_key sha384 = key_for("k256.test", MAC_SHA384);
	struct tsig_mac mac = { .len = 32 };

	(void)state;
	hopeless_with("72a9a80900010000000000010265780000060001046b32353604746573740000fa00ff0000"
		      "0000001d0b686d61632d7368613235360000006b04f890012c000072a900100000",
		      &key, &mac, VECTOR_TIME, "BADSIG");
	hopeless_with("ae75a80900010000000000010265780000060001056f7468657204746573740000fa00ff00"
		      "000000001d0b686d61632d7368613235360000006b04f891012c0000ae7500110000",
		      &other, &mac, VECTOR_TIME, "BADKEY");
	hopeless_with("2cc1a80900010000000000010265780000060001046b32353604746573740000fa00ff0000"
		      "0000001d0b686d61632d7368613338340000006b04f891012c00002cc100110000",
		      &sha384, &mac, VECTOR_TIME, "not allowed for this name");
}

static void badtime_is_signed_and_tells_the_offset(void **state)
{
	static const char reply_hex[] =
		"beefa80900010000000000010265780000060001046b323536047465737"
		"40000fa00ff0000000000430b68"
		"6d61632d7368613235360000006b04e8f1012c0020d8688fa125a7aae8a"
		"c06043a5c26f979876195244f97"
		"91d2851b3b9439984d62beef0012000600006b04f891";
	struct tsig_key key = key_for("k256.test", MAC_SHA256);
	struct buf request = from_hex("a8c4d1c131502c02502d6ba5b32bc67e1cbdbeb975d3b2148b3b6b9f0e0c"
				      "e9f9beef00000000");
	struct tsig_mac mac = request_mac_of(&request, MAC_SHA256);
	struct buf reply = from_hex(reply_hex);

	(void)state;
	hopeless_with(reply_hex, &key, &mac, 0x6b04e8f1, "4000 s ahead of");
	hopeless_with(reply_hex, &key, &mac, 0x6b04f891 + 500, "500 s behind");
	/* Forged, it is nothing. */
	reply.data[reply.len - 1] ^= 1;
	expect_refusal(&reply, &key, &mac, 0x6b04e8f1, "signature is wrong");
	buf_clear(&request);
	buf_clear(&reply);
}

static void an_unsigned_reply_is_a_hint_at_most(void **state)
{
	static const struct {
		char rcode;
		enum err_code code;
		const char *part;
	} cases[] = {
		{ '0', ERR_PROTOCOL, "not signed" }, { '3', ERR_PROTOCOL, "not signed" },
		{ '5', ERR_DENIED, "PowerDNS" },     { '9', ERR_DENIED, "primary" },
		{ '2', ERR_DENIED, "SERVFAIL" },
	};
	struct tsig_key key = key_for("k256.test", MAC_SHA256);
	struct tsig_mac mac = { .len = 32 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char hex[] = "4a44a8000001000000000000"
			     "0265780000060001";
		struct buf reply;
		struct checker checker = { .mac = mac, .now_s = VECTOR_TIME, .hopeless = true };

		hex[7] = cases[i].rcode;
		reply = from_hex(hex);
		assert_int_equal(verify(&checker, &reply, &key), cases[i].code);
		assert_false(checker.hopeless);
		assert_non_null(strstr(checker.err.text, cases[i].part));
		buf_clear(&reply);
	}
}

static void tsig_stands_last_and_alone(void **state)
{
	struct tsig_key key = key_for("k256.test", MAC_SHA256);
	struct buf request = from_hex(vectors[0].request);
	struct buf reply = from_hex(vectors[0].reply);
	struct tsig_mac mac = request_mac_of(&request, key.alg);
	struct buf twice = BUF_INIT(WIRE_MSG_MAX);
	size_t record = 20;

	(void)state;
	buf_add(&twice, reply.data, reply.len);
	buf_add(&twice, reply.data + record, reply.len - record);
	twice.data[11] = 2;
	expect_refusal(&twice, &key, &mac, VECTOR_TIME, "alone and last");
	buf_clear(&twice);
	buf_add(&twice, reply.data, reply.len);
	msg_add_edns(&twice);
	expect_refusal(&twice, &key, &mac, VECTOR_TIME, "alone and last");
	/* As an answer it is no signature either. */
	reply.data[7] = 1;
	reply.data[11] = 0;
	expect_refusal(&reply, &key, &mac, VECTOR_TIME, "alone and last");
	buf_clear(&twice);
	buf_clear(&reply);
	buf_clear(&request);
}

static void what_does_not_fit_is_not_signed(void **state)
{
	struct tsig_key key = key_for("k256.test", MAC_SHA256);
	struct buf wire = BUF_INIT(100);
	struct tsig_mac mac;
	struct err err;

	(void)state;
	assert_int_equal(tsig_sign(&wire, &key, VECTOR_TIME, &mac, &err), ERR_INTERNAL);
	for (size_t i = 0; i < 50; i++) {
		buf_add_u8(&wire, 0);
	}
	assert_int_equal(tsig_sign(&wire, &key, VECTOR_TIME, &mac, &err), ERR_LIMIT);
	buf_clear(&wire);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signing_makes_what_nsupdate_makes),
		cmocka_unit_test(replies_of_bind_are_believed),
		cmocka_unit_test(no_changed_octet_is_believed),
		cmocka_unit_test(no_cut_or_longer_message_is_believed),
		cmocka_unit_test(another_key_request_or_time_is_not_believed),
		cmocka_unit_test(errors_of_bind_are_explained),
		cmocka_unit_test(badtime_is_signed_and_tells_the_offset),
		cmocka_unit_test(an_unsigned_reply_is_a_hint_at_most),
		cmocka_unit_test(tsig_stands_last_and_alone),
		cmocka_unit_test(what_does_not_fit_is_not_signed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
