#include "dns/msg.h"

#include "dns/fake_world.h"

static struct fake_query query_of(struct buf *wire, const char *name, uint16_t type)
{
	struct fake_query query;
	struct fake_end end = { .server = "192.0.2.1" };
	struct wire_name owner;

	assert_true(wire_name_from_text(name, &owner));
	buf_init(wire, WIRE_MSG_MAX);
	msg_build_query(wire, &owner, type, true);
	wire->data[0] = 0x12;
	wire->data[1] = 0x34;
	fake_query_init(&query, &end, (const uint8_t *)wire->data, wire->len);
	return query;
}

static struct dns_msg *parsed(const struct buf *wire)
{
	struct dns_msg *msg = NULL;
	struct err err = { .code = ERR_NONE };

	if (msg_parse((const uint8_t *)wire->data, wire->len, &msg, &err) != ERR_NONE) {
		fail_msg("%s", err.text);
	}
	return msg;
}

static void queries_are_plain(void **state)
{
	static const uint8_t expected[] = { 0x12, 0x34, 1, 0, 0,   1, 0,   0,         0,
					    0,    0,    1, 1, 'a', 2, 'e', 'x',       0,
					    0,    16,   0, 1, 0,   0, 41,  1232 >> 8, 1232 & 255,
					    0,    0,    0, 0, 0,   0 };
	struct buf wire;
	struct fake_query query = query_of(&wire, "a.ex", DNS_TYPE_TXT);

	(void)state;
	msg_add_edns(&wire);
	assert_int_equal(wire.len, sizeof(expected));
	assert_memory_equal(wire.data, expected, sizeof(expected));
	fake_query_clear(&query);
	buf_clear(&wire);
}

static void records_are_decoded(void **state)
{
	static const char *const records[] = {
		"AN Ex.COM. 60 IN TXT \"one\" \"two\"",
		"AN ex.com. 3600 IN SOA NS1.ex.com. host.ex.com. 7 1 2 3 300",
		"AN ex.com. 60 IN MX 5 mail.ex.com.",
		"NS ex.com. 60 IN NS ns1.Ex.com.",
		"NS ex.com. 60 IN CNAME other.ex.com.",
		"NS ex.com. 60 IN DNAME tree.ex.com.",
		"AD ns1.ex.com. 60 IN A 192.0.2.7",
		"AD ns1.ex.com. 4294967295 IN AAAA 2001:db8::7",
		"AD ch.ex.com. 60 CH TXT \"chaos\"",
		NULL,
	};
	struct buf wire;
	struct fake_query query = query_of(&wire, "ex.com", DNS_TYPE_TXT);
	struct dns_msg *msg;
	const struct dns_rr *rr;
	char text[ADDR_TEXT_MAX];

	(void)state;
	fake_reply(&query, DNS_NOERROR, records);
	msg = parsed(&query.reply);
	assert_true(msg->aa);
	assert_false(msg->tc);
	assert_int_equal(msg->rr_count, 8);
	assert_true(dns_msg_has_txt(msg, "ex.com", "onetwo"));
	assert_false(dns_msg_has_txt(msg, "ex.com", "one"));
	assert_false(dns_msg_has_txt(msg, "com", "onetwo"));
	rr = dns_msg_find(msg, DNS_ANSWER, "ex.com", DNS_TYPE_SOA);
	assert_string_equal(rr->target, "ns1.ex.com");
	assert_int_equal(rr->soa_serial, 7);
	assert_int_equal(rr->soa_minimum_s, 300);
	assert_int_equal(rr->ttl_s, 3600);
	rr = dns_msg_find(msg, DNS_AUTHORITY, NULL, DNS_TYPE_NS);
	assert_string_equal(rr->target, "ns1.ex.com");
	rr = dns_msg_find(msg, DNS_AUTHORITY, NULL, DNS_TYPE_CNAME);
	assert_string_equal(rr->target, "other.ex.com");
	rr = dns_msg_find(msg, DNS_AUTHORITY, NULL, DNS_TYPE_DNAME);
	assert_string_equal(rr->target, "tree.ex.com");
	rr = dns_msg_find(msg, DNS_ADDITIONAL, NULL, DNS_TYPE_A);
	addr_format(text, &rr->addr, DNS_PORT);
	assert_string_equal(text, "192.0.2.7");
	assert_int_equal(addr_port(&rr->addr), 53);
	rr = dns_msg_find(msg, DNS_ADDITIONAL, NULL, DNS_TYPE_AAAA);
	addr_format(text, &rr->addr, DNS_PORT);
	assert_string_equal(text, "2001:db8::7");
	assert_int_equal(rr->ttl_s, 0); /* RFC 2181 s.8 */
	assert_null(dns_msg_find(msg, DNS_ANSWER, NULL, DNS_TYPE_NS));
	dns_msg_free(msg);
	fake_query_clear(&query);
	buf_clear(&wire);
}

/* Every prefix, and every octet changed: nothing may crash, few may pass. */
static void broken_messages_are_refused(void **state)
{
	static const char *const records[] = {
		"AN ex.com. 60 IN TXT \"v\"",
		"AN ex.com. 60 IN SOA ns1.ex.com. host.ex.com. 7 1 2 3 300",
		"AD ns1.ex.com. 60 IN A 192.0.2.7",
		NULL,
	};
	struct buf wire;
	struct fake_query query = query_of(&wire, "ex.com", DNS_TYPE_TXT);
	struct dns_msg *msg = NULL;
	struct err err;

	(void)state;
	fake_reply(&query, DNS_NOERROR, records);
	for (size_t len = 0; len < query.reply.len; len++) {
		uint8_t *exact = xmalloc(len);

		memcpy(exact, query.reply.data, len);
		assert_int_equal(msg_parse(exact, len, &msg, &err), ERR_PROTOCOL);
		free(exact);
	}
	for (size_t at = 0; at < query.reply.len; at++) {
		for (unsigned value = 0; value < 256; value++) {
			char was = query.reply.data[at];

			query.reply.data[at] = (char)value;
			if (msg_parse((const uint8_t *)query.reply.data, query.reply.len, &msg,
				      &err) == ERR_NONE) {
				dns_msg_free(msg);
			}
			query.reply.data[at] = was;
		}
	}
	buf_add_u8(&query.reply, 0); /* ldns alone would not see it */
	assert_int_equal(msg_parse((const uint8_t *)query.reply.data, query.reply.len, &msg, &err),
			 ERR_PROTOCOL);
	fake_query_clear(&query);
	buf_clear(&wire);
}

static void empty_records_and_loops_are_refused_or_harmless(void **state)
{
	/* TXT with RDLENGTH 0; a name that points at itself; NS without RDATA. */
	static const char txt[] = "\x12\x34\x84\0\0\0\0\1\0\0\0\0\2ex\0\0\x10\0\1\0\0\0\x3c\0\0";
	static const char loop[] = "\x12\x34\x84\0\0\0\0\1\0\0\0\0\xc0\x0c\0\x10\0\1\0\0\0\x3c\0\0";
	static const char ns[] = "\x12\x34\x84\0\0\0\0\1\0\0\0\0\2ex\0\0\2\0\1\0\0\0\x3c\0\0";
	struct dns_msg *msg = NULL;
	struct err err;

	(void)state;
	if (msg_parse((const uint8_t *)txt, sizeof(txt) - 1, &msg, &err) == ERR_NONE) {
		assert_int_equal(msg->rr[0].txt_len, 0);
		dns_msg_free(msg);
	}
	assert_int_equal(msg_parse((const uint8_t *)loop, sizeof(loop) - 1, &msg, &err),
			 ERR_PROTOCOL);
	assert_int_equal(msg_parse((const uint8_t *)ns, sizeof(ns) - 1, &msg, &err), ERR_PROTOCOL);
}

/* ldns keeps the last and loses the first. */
static void opt_and_tsig_come_once(void **state)
{
	static const char opt[] = "\0\0\x29\4\xd0\0\0\0\0\0\0";
	struct buf wire = BUF_INIT(WIRE_MSG_MAX);
	struct dns_msg *msg = NULL;
	struct err err;

	(void)state;
	buf_add(&wire, "\x12\x34\x84\0\0\0\0\0\0\0\0\1", 12);
	buf_add(&wire, opt, sizeof(opt) - 1);
	assert_int_equal(msg_parse((const uint8_t *)wire.data, wire.len, &msg, &err), ERR_NONE);
	dns_msg_free(msg);
	buf_add(&wire, opt, sizeof(opt) - 1);
	wire.data[11] = 2;
	assert_int_equal(msg_parse((const uint8_t *)wire.data, wire.len, &msg, &err), ERR_PROTOCOL);
	buf_clear(&wire);
}

static void too_many_records_are_refused(void **state)
{
	struct buf wire = BUF_INIT(WIRE_MSG_MAX);
	struct dns_msg *msg = NULL;
	struct err err;

	(void)state;
	buf_add(&wire, "\x12\x34\x84\0\0\0", 6);
	buf_add_u16(&wire, DNS_RR_MAX + 1);
	buf_add_u32(&wire, 0);
	for (size_t i = 0; i < DNS_RR_MAX + 1; i++) {
		buf_add(&wire, "\0\0\1\0\1\0\0\0\0\0\4\1\2\3\4", 15);
	}
	assert_int_equal(msg_parse((const uint8_t *)wire.data, wire.len, &msg, &err), ERR_LIMIT);
	buf_clear(&wire);
}

static void a_reply_repeats_what_was_asked(void **state)
{
	struct msg_expect expect = { .id = 0x1234, .type = DNS_TYPE_TXT };
	struct buf wire;
	struct fake_query query = query_of(&wire, "eX.com", DNS_TYPE_TXT);
	const uint8_t *reply;

	(void)state;
	assert_true(wire_name_from_text("Ex.com", &expect.name));
	fake_reply(&query, DNS_NOERROR, NULL);
	reply = (const uint8_t *)query.reply.data;
	assert_true(msg_is_reply(reply, query.reply.len, &expect));
	assert_false(msg_is_reply((const uint8_t *)wire.data, wire.len, &expect)); /* QR */
	expect.id = 0x1235;
	assert_false(msg_is_reply(reply, query.reply.len, &expect));
	expect.id = 0x1234;
	expect.type = DNS_TYPE_A;
	assert_false(msg_is_reply(reply, query.reply.len, &expect));
	expect.type = DNS_TYPE_TXT;
	expect.opcode = WIRE_OPCODE_UPDATE;
	assert_false(msg_is_reply(reply, query.reply.len, &expect));
	expect.opcode = WIRE_OPCODE_QUERY;
	assert_true(wire_name_from_text("ey.com", &expect.name));
	assert_false(msg_is_reply(reply, query.reply.len, &expect));
	/* Without a question only errors are answers. */
	assert_false(msg_is_reply((const uint8_t *)"\x12\x34\x84\0\0\0\0\0\0\0\0\0", 12, &expect));
	assert_false(msg_is_reply((const uint8_t *)"\x12\x34\x84\3\0\0\0\0\0\0\0\0", 12, &expect));
	assert_true(msg_is_reply((const uint8_t *)"\x12\x34\x84\1\0\0\0\0\0\0\0\0", 12, &expect));
	fake_query_clear(&query);
	buf_clear(&wire);
}

static void codes_have_names(void **state)
{
	(void)state;
	assert_string_equal(dns_rcode_name(DNS_NXDOMAIN), "NXDOMAIN");
	assert_string_equal(dns_rcode_name(23), "RCODE 23");
	assert_string_equal(dns_type_name(DNS_TYPE_AAAA), "AAAA");
	assert_string_equal(dns_type_name(65), "TYPE65");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queries_are_plain),
		cmocka_unit_test(records_are_decoded),
		cmocka_unit_test(broken_messages_are_refused),
		cmocka_unit_test(empty_records_and_loops_are_refused_or_harmless),
		cmocka_unit_test(opt_and_tsig_come_once),
		cmocka_unit_test(too_many_records_are_refused),
		cmocka_unit_test(a_reply_repeats_what_was_asked),
		cmocka_unit_test(codes_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
