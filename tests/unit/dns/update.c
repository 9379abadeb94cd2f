#include "dns/fake_world.h"
#include "dns/tsig.h"

struct scene {
	struct fake_world world;
	struct dns_client *client;
	unsigned rcode;
	bool empty_sections; /* RFC 2136 s.3.8 */
	enum fake_transport seen;
	struct buf wire;
	size_t done;
	struct err err;
};

static void serve(void *arg, struct fake_query *query)
{
	struct scene *scene = arg;
	uint8_t reply[WIRE_HEADER_LEN] = { 0 };

	if (query->len == 0) {
		return;
	}
	scene->seen = query->transport;
	buf_clear(&scene->wire);
	buf_add(&scene->wire, query->wire, query->len);
	memcpy(reply, query->wire, 4);
	reply[2] |= 0x84; /* QR, and AA as PowerDNS sets it */
	reply[3] = (uint8_t)scene->rcode;
	reply[5] = scene->empty_sections ? 0 : 1;
	buf_add(&query->reply, reply, sizeof(reply));
	if (!scene->empty_sections) {
		struct wire_name name;
		size_t pos = WIRE_HEADER_LEN;

		assert_true(wire_name_read(query->wire, query->len, &pos, &name));
		buf_add(&query->reply, query->wire + WIRE_HEADER_LEN, pos + 4 - WIRE_HEADER_LEN);
	}
}

static void on_done(void *arg, const struct err *err)
{
	struct scene *scene = arg;

	scene->done++;
	scene->err.code = ERR_NONE;
	if (err) {
		scene->err = *err;
	}
}

static void scene_init(struct scene *scene)
{
	memset(scene, 0, sizeof(*scene));
	fake_init(&scene->world, serve, scene);
	buf_init(&scene->wire, WIRE_MSG_MAX);
	scene->client = dns_client_new(&scene->world.base);
}

static void scene_clear(struct scene *scene)
{
	dns_client_free(scene->client);
	assert_int_equal(scene->world.open, 0);
	buf_clear(&scene->wire);
}

static void update(struct scene *scene, const char *zone, const struct dns_change *changes,
		   size_t count, enum dns_transport transport)
{
	struct dns_update request = {
		.server = fake_addr("192.0.2.1"),
		.zone = zone,
		.changes = changes,
		.count = count,
		.transport = transport,
	};

	scene->done = 0;
	dns_update_start(scene->client, &request, on_done, scene);
	assert_int_equal(scene->done, 0); /* never from inside start */
	fake_run_until(&scene->world, scene->world.now_us + 60000000);
	assert_int_equal(scene->done, 1);
}

/* RFC 2136 s.2.5.1 and s.2.5.4, octet by octet. */
static void adds_and_deletes_are_encoded_as_the_rfc_says(void **state)
{
	static const uint8_t expected[] = {
		0x28, 0x00, 0,   1,   0,   0, 0, 2,   0,   0,   /* UPDATE, RD 0; 1 0 2 0 */
		2,    'e',  'x', 0,   0,   6, 0, 1,             /* zone ex, SOA, IN */
		1,    'a',  2,   'e', 'x', 0, 0, 16,  0,   1,   /* a.ex TXT IN */
		0,    0,    0,   60,  0,   3, 2, 'v', '1',      /* TTL 60, "v1" */
		1,    'a',  2,   'e', 'x', 0, 0, 16,  0,   254, /* a.ex TXT NONE */
		0,    0,    0,   0,   0,   4, 3, 'o', 'l', 'd', /* TTL 0, "old" */
	};
	static const struct dns_change changes[] = {
		{ .add = true, .owner = "a.ex", .value = "v1", .ttl_s = 60 },
		{ .add = false, .owner = "a.ex", .value = "old", .ttl_s = 60 },
	};
	struct scene scene;

	(void)state;
	scene_init(&scene);
	update(&scene, "ex", changes, 2, DNS_AUTO);
	assert_int_equal(scene.err.code, ERR_NONE);
	assert_int_equal(scene.seen, FAKE_TCP);
	assert_int_equal(scene.wire.len, sizeof(expected) + 2);
	assert_memory_equal(scene.wire.data + 2, expected, sizeof(expected));
	update(&scene, "ex", changes, 2, DNS_UDP);
	assert_int_equal(scene.seen, FAKE_UDP);
	assert_memory_equal(scene.wire.data + 2, expected, sizeof(expected));
	scene_clear(&scene);
}

static void long_values_are_split_at_255(void **state)
{
	char value[601];
	struct dns_change change = { .add = true, .owner = "ex", .value = value, .ttl_s = 1 };
	const uint8_t *rdata;
	struct scene scene;

	(void)state;
	memset(value, 'x', 600);
	value[600] = '\0';
	scene_init(&scene);
	update(&scene, "ex", &change, 1, DNS_TCP);
	assert_int_equal(scene.err.code, ERR_NONE);
	rdata = (const uint8_t *)scene.wire.data + scene.wire.len - 603;
	assert_int_equal(wire_u16(rdata - 2), 603);
	assert_int_equal(rdata[0], 255);
	assert_int_equal(rdata[256], 255);
	assert_int_equal(rdata[512], 90);
	/* The length is told before, with room for any signature. */
	assert_int_equal(dns_update_wire_len("ex", &change, 1), scene.wire.len + TSIG_RR_MAX);
	change.value = "";
	update(&scene, "ex", &change, 1, DNS_TCP);
	rdata = (const uint8_t *)scene.wire.data + scene.wire.len - 3;
	assert_int_equal(wire_u16(rdata), 1);
	assert_int_equal(rdata[2], 0);
	scene_clear(&scene);
}

static void what_cannot_be_sent_fails_from_the_loop(void **state)
{
	struct dns_change change = { .add = true, .owner = "a.example", .value = "v" };
	struct dns_change *many;
	struct scene scene;

	(void)state;
	scene_init(&scene);
	update(&scene, "other.example", &change, 1, DNS_AUTO);
	assert_int_equal(scene.err.code, ERR_USAGE);
	assert_non_null(strstr(scene.err.text, "other.example"));
	change.owner = "a..example";
	update(&scene, "example", &change, 1, DNS_AUTO);
	assert_int_equal(scene.err.code, ERR_LIMIT);
	assert_int_equal(scene.wire.len, 0);
	many = xcalloc(3000, sizeof(*many));
	for (size_t i = 0; i < 3000; i++) {
		many[i] = (struct dns_change){ true, "a.example", "0123456789", 60 };
	}
	update(&scene, "example", many, 3000, DNS_AUTO);
	assert_int_equal(scene.err.code, ERR_LIMIT);
	update(&scene, "example", many, 1500, DNS_AUTO);
	assert_int_equal(scene.err.code, ERR_NONE);
	free(many);
	scene_clear(&scene);
}

static void every_refusal_has_its_sentence(void **state)
{
	static const struct {
		unsigned rcode;
		enum err_code code;
		const char *part;
	} cases[] = {
		{ DNS_REFUSED, ERR_DENIED, "policy" },       { DNS_NOTAUTH, ERR_DENIED, "primary" },
		{ DNS_NOTZONE, ERR_DNS, "inside the zone" }, { DNS_SERVFAIL, ERR_DNS, "log" },
		{ DNS_NOTIMP, ERR_DNS, "dynamic updates" },  { 7, ERR_DNS, "YXRRSET" },
	};
	static const struct dns_change changes[] = {
		{ .add = true, .owner = "a.ex", .value = "v" },
		{ .add = true, .owner = "b.ex", .value = "v" },
	};
	struct scene scene;

	(void)state;
	scene_init(&scene);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		scene.rcode = cases[i].rcode;
		scene.empty_sections = i % 2;
		update(&scene, "ex", changes, 1 + i % 2, i % 3 ? DNS_UDP : DNS_TCP);
		assert_int_equal(scene.err.code, cases[i].code);
		assert_non_null(strstr(scene.err.text, cases[i].part));
		assert_non_null(strstr(scene.err.subject, "zone ex at 192.0.2.1"));
		assert_non_null(strstr(scene.err.subject, "a.ex"));
	}
	scene_clear(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_and_deletes_are_encoded_as_the_rfc_says),
		cmocka_unit_test(long_values_are_split_at_255),
		cmocka_unit_test(what_cannot_be_sent_fails_from_the_loop),
		cmocka_unit_test(every_refusal_has_its_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
