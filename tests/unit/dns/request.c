/* Requests of strangers, and what they are answered with. */
#include "cmocka_all.h"

#include "dns/msg.h"
#include "dns01/dns.h"

#define NOW 1800000000
#define VALUE "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"

static struct tsig_key key_named(const char *name, char fill)
{
	struct tsig_key key = { .alg = MAC_SHA256, .secret_len = 32 };

	snprintf(key.name, sizeof(key.name), "%s", name);
	memset(key.secret, fill, key.secret_len);
	return key;
}

static void add_name(struct buf *out, const char *text)
{
	struct wire_name name;

	assert_true(wire_name_from_text(text, &name));
	buf_add(out, name.data, name.len);
}

static void add_rr(struct buf *out, const char *owner, unsigned type, unsigned class_,
		   const char *txt)
{
	add_name(out, owner);
	buf_add_u16(out, (uint16_t)type);
	buf_add_u16(out, (uint16_t)class_);
	buf_add_u32(out, class_ == WIRE_CLASS_IN ? 60 : 0);
	buf_add_u16(out, (uint16_t)(txt ? strlen(txt) + 1 : 0));
	if (txt) {
		buf_add_u8(out, (uint8_t)strlen(txt));
		buf_add_str(out, txt);
	}
}

/* An UPDATE as lego sends it: the RRset goes, then one value comes. */
static void build_update(struct buf *out)
{
	buf_init(out, WIRE_MSG_MAX);
	buf_add_u16(out, 0x1234);
	buf_add_u16(out, WIRE_OPCODE_UPDATE << 11);
	buf_add_u16(out, 1);
	buf_add_u16(out, 1);
	buf_add_u16(out, 2);
	buf_add_u16(out, 0);
	add_name(out, "Example.COM");
	buf_add_u16(out, DNS_TYPE_SOA);
	buf_add_u16(out, WIRE_CLASS_IN);
	add_rr(out, "www.example.com", DNS_TYPE_ANY, WIRE_CLASS_ANY, NULL);
	add_rr(out, "_acme-challenge.www.example.com", DNS_TYPE_TXT, WIRE_CLASS_ANY, NULL);
	add_rr(out, "_acme-challenge.www.example.com", DNS_TYPE_TXT, WIRE_CLASS_IN, VALUE);
}

static struct dns_request *parse(const struct buf *wire)
{
	struct dns_request *request = NULL;
	unsigned rcode;
	struct err err;

	assert_int_equal(dns_request_parse((const uint8_t *)wire->data, wire->len, &request, &rcode,
					   &err),
			 ERR_NONE);
	return request;
}

static unsigned refused(const struct buf *wire)
{
	struct dns_request *request = NULL;
	unsigned rcode = 99;
	struct err err;

	assert_int_not_equal(dns_request_parse((const uint8_t *)wire->data, wire->len, &request,
					       &rcode, &err),
			     ERR_NONE);
	assert_null(request);
	return rcode;
}

static void an_update_is_read_whole(void **state)
{
	struct dns_request *request;
	struct buf wire;

	(void)state;
	build_update(&wire);
	request = parse(&wire);
	assert_int_equal(request->opcode, DNS_OPCODE_UPDATE);
	assert_string_equal(request->name, "example.com");
	assert_int_equal(request->prerequisite_count, 1);
	assert_int_equal(request->update_count, 2);
	assert_false(request->update[0].has_data);
	assert_int_equal(request->update[0].class_, DNS_CLASS_ANY);
	assert_string_equal(request->update[1].owner, "_acme-challenge.www.example.com");
	assert_string_equal(request->update[1].txt, VALUE);
	assert_int_equal(request->update[1].ttl_s, 60);
	assert_null(request->tsig);
	dns_request_free(request);
	buf_clear(&wire);
}

/* Every cut of a whole message, and what no request may look like. */
static void what_is_malformed_is_refused(void **state)
{
	struct buf wire, other;

	(void)state;
	build_update(&wire);
	for (size_t len = 0; len < wire.len; len++) {
		other = wire;
		other.len = len;
		assert_int_equal(refused(&other), len < WIRE_HEADER_LEN ? 0 : DNS_FORMERR);
	}
	buf_add_u8(&wire, 0);
	assert_int_equal(refused(&wire), DNS_FORMERR);
	wire.len--;
	wire.data[2] = (char)(4 << 3); /* NOTIFY */
	assert_int_equal(refused(&wire), DNS_NOTIMP);
	wire.data[2] = (char)0x80; /* a reply */
	assert_int_equal(refused(&wire), 0);
	wire.data[2] = (char)(WIRE_OPCODE_UPDATE << 3);
	wire.data[5] = 2; /* two zones */
	assert_int_equal(refused(&wire), DNS_FORMERR);
	wire.data[5] = 1;
	wire.data[6] = 3; /* prerequisites without end */
	assert_int_equal(refused(&wire), DNS_REFUSED);
	buf_clear(&wire);
}

static enum tsig_verdict verify(const struct buf *wire, const struct tsig_key *key, int64_t now_s)
{
	struct dns_request *request = parse(wire);
	enum tsig_verdict verdict =
		tsig_verify_request((const uint8_t *)wire->data, wire->len, request, key, now_s);

	assert_non_null(request->tsig);
	assert_string_equal(request->tsig->key, "one.key");
	dns_request_free(request);
	return verdict;
}

static void signatures_are_judged(void **state)
{
	struct tsig_key key = key_named("one.key", 'a'), other = key_named("one.key", 'b');
	struct tsig_key named = key_named("other.key", 'a'), alg = key_named("one.key", 'a');
	struct tsig_mac mac;
	struct buf wire;
	struct err err;

	(void)state;
	alg.alg = MAC_SHA512;
	build_update(&wire);
	assert_int_equal(tsig_sign(&wire, &key, NOW, &mac, &err), ERR_NONE);
	assert_int_equal(verify(&wire, &key, NOW + 10), TSIG_VERIFIED);
	assert_int_equal(verify(&wire, NULL, NOW), TSIG_IS_BADKEY);
	assert_int_equal(verify(&wire, &named, NOW), TSIG_IS_BADKEY);
	assert_int_equal(verify(&wire, &alg, NOW), TSIG_IS_BADKEY);
	assert_int_equal(verify(&wire, &other, NOW), TSIG_IS_BADSIG);
	assert_int_equal(verify(&wire, &key, NOW + TSIG_FUDGE_S + 1), TSIG_IS_BADTIME);
	assert_int_equal(verify(&wire, &key, NOW - TSIG_FUDGE_S - 1), TSIG_IS_BADTIME);
	wire.data[40] ^= 0x20; /* the case of a letter in the zone's name or below it */
	assert_int_equal(verify(&wire, &key, NOW), TSIG_IS_BADSIG);
	buf_clear(&wire);
}

/* What we answer is what the asking side believes. */
static enum err_code believe(const struct dns_reply *reply, const struct tsig_key *asker,
			     bool *hopeless, struct err *err)
{
	struct tsig_key key = key_named("one.key", 'a');
	struct dns_request *request;
	struct tsig_mac mac;
	struct buf wire, answer;
	enum err_code code;

	build_update(&wire);
	assert_int_equal(tsig_sign(&wire, asker ? asker : &key, NOW, &mac, err), ERR_NONE);
	request = parse(&wire);
	dns_reply_build(&answer, (const uint8_t *)wire.data, request, reply);
	code = tsig_verify_reply(&(struct tsig_reply){ .wire = (const uint8_t *)answer.data,
						       .len = answer.len,
						       .request = &mac,
						       .now_s = NOW },
				 asker ? asker : &key, hopeless, err);
	dns_request_free(request);
	buf_clear(&wire);
	buf_clear(&answer);
	return code;
}

static void answers_are_believed(void **state)
{
	struct tsig_key key = key_named("one.key", 'a'), wrong = key_named("one.key", 'b');
	bool hopeless;
	struct err err;

	(void)state;
	assert_int_equal(believe(&(struct dns_reply){ .key = &key, .now_s = NOW + 3 }, NULL,
				 &hopeless, &err),
			 ERR_NONE);
	assert_int_equal(
		believe(&(struct dns_reply){ .rcode = DNS_REFUSED, .key = &key, .now_s = NOW },
			NULL, &hopeless, &err),
		ERR_NONE);
	assert_int_equal(believe(&(struct dns_reply){ .rcode = DNS_NOTAUTH,
						      .key = &key,
						      .verdict = TSIG_IS_BADTIME,
						      .now_s = NOW + 4000 },
				 NULL, &hopeless, &err),
			 ERR_DENIED);
	assert_true(hopeless);
	assert_non_null(strstr(err.text, "4000 s ahead of"));
	assert_int_equal(believe(&(struct dns_reply){ .rcode = DNS_NOTAUTH,
						      .verdict = TSIG_IS_BADSIG,
						      .now_s = NOW },
				 &wrong, &hopeless, &err),
			 ERR_DENIED);
	assert_true(hopeless);
	assert_non_null(strstr(err.text, "BADSIG"));
}

static void build_query(struct buf *out, bool edns)
{
	struct wire_name name;

	assert_true(wire_name_from_text("_acme-challenge.www.example.com", &name));
	buf_init(out, WIRE_MSG_MAX);
	msg_build_query(out, &name, DNS_TYPE_TXT, true);
	if (edns) {
		msg_add_edns(out);
	}
}

static void answers_carry_records(void **state)
{
	const struct dns_answer_rr rr[] = {
		{ .section = DNS_ANSWER,
		  .owner = "_acme-challenge.www.example.com",
		  .ttl_s = 60,
		  .txt = VALUE },
		{ .section = DNS_AUTHORITY,
		  .owner = "example.com",
		  .ttl_s = 30,
		  .soa_mname = "ns.example.net",
		  .soa_serial = 77 },
	};
	struct dns_reply reply = { .aa = true, .rr = rr, .rr_count = 2, .max = 512 };
	struct dns_request *request;
	const struct dns_rr *soa;
	struct dns_msg *msg = NULL;
	struct buf wire, answer;
	struct err err;

	(void)state;
	build_query(&wire, true);
	request = parse(&wire);
	assert_true(request->edns && request->recursion_desired);
	assert_int_equal(request->udp_max, 1232);
	dns_reply_build(&answer, (const uint8_t *)wire.data, request, &reply);
	assert_int_equal(msg_parse((const uint8_t *)answer.data, answer.len, &msg, &err), ERR_NONE);
	assert_true(msg->aa && !msg->tc);
	assert_true(dns_msg_has_txt(msg, "_acme-challenge.www.example.com", VALUE));
	soa = dns_msg_find(msg, DNS_AUTHORITY, "example.com", DNS_TYPE_SOA);
	assert_non_null(soa);
	assert_string_equal(soa->target, "ns.example.net");
	assert_int_equal(soa->soa_serial, 77);
	assert_int_equal(soa->soa_minimum_s, 30);
	dns_msg_free(msg);
	buf_clear(&answer);
	reply.max = 100;
	dns_reply_build(&answer, (const uint8_t *)wire.data, request, &reply);
	assert_int_equal(msg_parse((const uint8_t *)answer.data, answer.len, &msg, &err), ERR_NONE);
	assert_true(msg->tc);
	assert_int_equal(msg->rr_count, 0);
	dns_msg_free(msg);
	buf_clear(&answer);
	dns_request_free(request);
	buf_clear(&wire);
}

static void what_cannot_be_read_is_answered_by_its_header(void **state)
{
	struct dns_msg *msg = NULL;
	struct buf wire, answer;
	struct err err;

	(void)state;
	build_update(&wire);
	wire.len -= 7;
	dns_reply_build(&answer, (const uint8_t *)wire.data, NULL,
			&(struct dns_reply){ .rcode = DNS_FORMERR });
	assert_int_equal(answer.len, WIRE_HEADER_LEN);
	assert_int_equal(msg_parse((const uint8_t *)answer.data, answer.len, &msg, &err), ERR_NONE);
	assert_int_equal(msg->rcode, DNS_FORMERR);
	assert_int_equal(wire_u16((const uint8_t *)answer.data), 0x1234);
	dns_msg_free(msg);
	buf_clear(&answer);
	buf_clear(&wire);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_update_is_read_whole),
		cmocka_unit_test(what_is_malformed_is_refused),
		cmocka_unit_test(signatures_are_judged),
		cmocka_unit_test(answers_are_believed),
		cmocka_unit_test(answers_carry_records),
		cmocka_unit_test(what_cannot_be_read_is_answered_by_its_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
