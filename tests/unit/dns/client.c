#include "dns/fake_world.h"

#define SECRET "0123456789abcdef"

struct scene {
	struct fake_world world;
	struct dns_client *client;
	struct tsig_key key;
	void (*script)(struct scene *scene, struct fake_query *query);
	size_t queries, done, failed;
	size_t last_udp, last_tcp;
	int64_t done_us, started_us;
	int64_t udp_us[1000];
	struct err err;
	char txt[64];
	size_t free_client_at; /* done calls until the client is freed inside one */
	uint16_t last_id;
};

static const char *const answer[] = { "AN a.ex. 60 IN TXT \"v\"", NULL };

static void serve(void *arg, struct fake_query *query)
{
	struct scene *scene = arg;

	if (query->len > 0) {
		scene->last_id = wire_u16(query->wire);
		if (query->transport == FAKE_UDP && scene->last_udp < ARRAY_LEN(scene->udp_us)) {
			scene->udp_us[scene->last_udp++] = scene->world.now_us;
		} else if (query->transport == FAKE_TCP) {
			scene->last_tcp++;
		}
		scene->queries++;
	}
	scene->script(scene, query);
}

static void on_done(void *arg, const struct err *err, const struct dns_msg *msg)
{
	struct scene *scene = arg;

	assert_true(!err != !msg);
	scene->done++;
	scene->done_us = scene->world.now_us;
	if (err) {
		scene->failed++;
		scene->err = *err;
	} else if (msg->rr_count > 0 && msg->rr[0].txt) {
		snprintf(scene->txt, sizeof(scene->txt), "%s", msg->rr[0].txt);
	}
	if (scene->done == scene->free_client_at) {
		dns_client_free(scene->client);
		scene->client = NULL;
	}
}

static void scene_init(struct scene *scene,
		       void (*script)(struct scene *scene, struct fake_query *query))
{
	memset(scene, 0, sizeof(*scene));
	fake_init(&scene->world, serve, scene);
	scene->script = script;
	scene->client = dns_client_new(&scene->world.base);
	scene->started_us = scene->world.now_us;
	snprintf(scene->key.name, sizeof(scene->key.name), "k");
	scene->key.alg = MAC_SHA256;
	scene->key.secret_len = sizeof(SECRET) - 1;
	memcpy(scene->key.secret, SECRET, sizeof(SECRET) - 1);
}

static void scene_clear(struct scene *scene)
{
	dns_client_free(scene->client);
	assert_int_equal(scene->world.open, 0);
}

static struct dns_call *ask(struct scene *scene, enum dns_transport transport, bool is_signed)
{
	struct dns_ask question = {
		.server = fake_addr("192.0.2.1"),
		.name = "a.ex",
		.type = DNS_TYPE_TXT,
		.transport = transport,
		.key = is_signed ? &scene->key : NULL,
	};

	return dns_ask_start(scene->client, &question, on_done, scene);
}

static int64_t waited_ms(const struct scene *scene)
{
	return (scene->done_us - scene->started_us) / 1000;
}

static void expect_text(const char *text, const char *part)
{
	if (!strstr(text, part)) {
		fail_msg("'%s' does not say '%s'", text, part);
	}
}

static void answers(struct scene *scene, struct fake_query *query)
{
	(void)scene;
	if (query->len > 0) {
		fake_reply(query, DNS_NOERROR, answer);
	}
}

static void udp_answers_at_once(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, answers);
	ask(&scene, DNS_AUTO, false);
	fake_run(&scene.world);
	assert_int_equal(scene.done, 1);
	assert_string_equal(scene.txt, "v");
	assert_int_equal(waited_ms(&scene), 1);
	assert_int_equal(scene.world.tcp_count, 0);
	scene_clear(&scene);
}

static void silent(struct scene *scene, struct fake_query *query)
{
	(void)scene;
	(void)query;
}

static void three_udp_tries_and_one_tcp_make_unreachable(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, silent);
	ask(&scene, DNS_AUTO, false);
	fake_run(&scene.world);
	assert_int_equal(scene.done, 1);
	assert_int_equal(scene.err.code, ERR_TIMEOUT);
	assert_string_equal(scene.err.subject, "TXT of a.ex at 192.0.2.1");
	assert_int_equal(scene.last_udp, 3);
	assert_int_equal(scene.last_tcp, 1);
	assert_int_equal((scene.udp_us[1] - scene.udp_us[0]) / 1000, 1000);
	assert_int_equal((scene.udp_us[2] - scene.udp_us[1]) / 1000, 2000);
	assert_int_equal(waited_ms(&scene), 12000);
	scene_clear(&scene);
}

static void third_try_answers(struct scene *scene, struct fake_query *query)
{
	if (scene->queries == 3) {
		answers(scene, query);
	}
}

static void a_lost_reply_is_asked_for_again(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, third_try_answers);
	ask(&scene, DNS_UDP, false);
	fake_run(&scene.world);
	assert_int_equal(scene.failed, 0);
	assert_int_equal(waited_ms(&scene), 3001);
	scene_clear(&scene);
}

/* Wrong ID, question, no reply at all, garbage: each before the true reply. */
static void forges(struct scene *scene, struct fake_query *query)
{
	static const char *const lie[] = { "AN a.ex. 60 IN TXT \"forged\"", NULL };
	struct buf forged = BUF_INIT(WIRE_MSG_MAX);

	if (query->len == 0) {
		return;
	}
	fake_reply(query, DNS_NOERROR, lie);
	buf_add(&forged, query->reply.data, query->reply.len);
	if (scene->queries % 4 == 1) {
		forged.data[1] ^= 1;
	} else if (scene->queries % 4 == 2) {
		forged.data[13] = 'b';
	} else if (scene->queries % 4 == 3) {
		forged.data[2] &= 0x7f;
	} else {
		forged.len = 7;
	}
	buf_clear(&query->forged);
	buf_add(&query->forged, forged.data, forged.len);
	buf_clear(&forged);
	query->delay_us = 500000;
	answers(scene, query);
}

static void forged_datagrams_are_ignored(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, forges);
	for (size_t i = 1; i <= 4; i++) {
		ask(&scene, DNS_UDP, false);
		fake_run_until(&scene.world, scene.world.now_us + 900000);
		assert_int_equal(scene.done, i);
		assert_int_equal(scene.failed, 0);
		assert_string_equal(scene.txt, "v");
	}
	assert_int_equal(scene.last_udp, 4);
	scene_clear(&scene);
}

static void truncates(struct scene *scene, struct fake_query *query)
{
	static const char *const part[] = { "AN a.ex. 60 IN TXT \"part\"", NULL };

	if (query->len > 0 && query->transport == FAKE_UDP) {
		fake_reply(query, DNS_NOERROR, part);
		fake_set_tc(&query->reply, true);
	} else {
		answers(scene, query);
	}
}

static void truncated_answers_go_to_tcp(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, truncates);
	ask(&scene, DNS_UDP, false);
	fake_run(&scene.world);
	assert_int_equal(scene.failed, 0);
	assert_string_equal(scene.txt, "v");
	assert_int_equal(scene.last_tcp, 1);
	scene_clear(&scene);
}

static void no_edns(struct scene *scene, struct fake_query *query)
{
	if (query->len > 0 && query->edns) {
		fake_reply(query, DNS_FORMERR, NULL);
	} else {
		answers(scene, query);
	}
}

static void formerr_is_asked_again_without_edns(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, no_edns);
	ask(&scene, DNS_UDP, false);
	fake_run_until(&scene.world, scene.world.now_us + 500000);
	assert_int_equal(scene.failed, 0);
	assert_string_equal(scene.txt, "v");
	assert_int_equal(scene.last_udp, 2);
	ask(&scene, DNS_TCP, false);
	fake_run(&scene.world);
	assert_int_equal(scene.failed, 0);
	assert_int_equal(scene.done, 2);
	assert_int_equal(scene.last_tcp, 2);
	assert_int_equal(scene.world.stream_count, 1);
	scene_clear(&scene);
}

static void closed_port(struct scene *scene, struct fake_query *query)
{
	(void)scene;
	query->refused = true;
}

static void a_closed_port_fails_fast(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, closed_port);
	ask(&scene, DNS_AUTO, false);
	fake_run(&scene.world);
	assert_int_equal(scene.failed, 1);
	assert_int_equal(scene.err.code, ERR_NETWORK);
	assert_int_equal(waited_ms(&scene), 2);
	scene_clear(&scene);
}

static void a_budget_of_datagrams_is_kept_and_the_rest_goes_by_tcp(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, answers);
	for (size_t i = 0; i < 200; i++) {
		ask(&scene, DNS_AUTO, false);
	}
	fake_run_until(&scene.world, scene.world.now_us + 990000);
	for (size_t i = 0; i < 70; i++) {
		ask(&scene, DNS_AUTO, false);
		fake_run_until(&scene.world, scene.world.now_us + 10000);
	}
	fake_run(&scene.world);
	assert_int_equal(scene.done, 270);
	assert_int_equal(scene.failed, 0);
	assert_int_equal(scene.world.stream_count, 1);
	assert_true(scene.last_udp >= 100);
	for (size_t i = DNS_UDP_PER_S; i < scene.last_udp; i++) {
		assert_true(scene.udp_us[i] - scene.udp_us[i - DNS_UDP_PER_S] >= 1000000);
	}
	scene_clear(&scene);
}

static void the_connection_is_kept_and_closed_when_idle(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, answers);
	ask(&scene, DNS_TCP, false);
	fake_run_until(&scene.world, scene.world.now_us + 9000000);
	ask(&scene, DNS_TCP, false);
	fake_run_until(&scene.world, scene.world.now_us + 9000000);
	assert_int_equal(scene.done, 2);
	assert_int_equal(scene.world.stream_count, 1);
	assert_int_equal(scene.world.open, 2); /* the stream and its idle timer */
	fake_run_until(&scene.world, scene.world.now_us + 2000000);
	assert_int_equal(scene.world.open, 0);
	ask(&scene, DNS_TCP, false);
	fake_run(&scene.world);
	assert_int_equal(scene.world.stream_count, 2);
	scene_clear(&scene);
}

/* Closes without an answer the first time, as after a long idle time. */
static void closes_once(struct scene *scene, struct fake_query *query)
{
	if (scene->world.stream_count == 1 && query->len > 0) {
		query->close = true;
	} else {
		answers(scene, query);
	}
}

static void a_broken_connection_is_opened_again_once(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, closes_once);
	for (size_t i = 0; i < 5; i++) {
		ask(&scene, DNS_TCP, false);
	}
	fake_run(&scene.world);
	assert_int_equal(scene.done, 5);
	assert_int_equal(scene.failed, 0);
	assert_int_equal(scene.world.stream_count, 2);
	scene_clear(&scene);
}

static void always_closes(struct scene *scene, struct fake_query *query)
{
	(void)scene;
	query->close = query->len > 0;
}

static void a_connection_that_breaks_twice_is_an_error(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, always_closes);
	ask(&scene, DNS_TCP, false);
	fake_run(&scene.world);
	assert_int_equal(scene.failed, 1);
	assert_int_equal(scene.err.code, ERR_NETWORK);
	assert_int_equal(scene.world.stream_count, 2);
	assert_true(waited_ms(&scene) < 100);
	scene_clear(&scene);
}

/* One answer for each connection, as simple servers have it. */
static void closes_after_each(struct scene *scene, struct fake_query *query)
{
	answers(scene, query);
	query->close = query->len > 0;
}

static void servers_of_one_answer_per_connection_answer_all(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, closes_after_each);
	for (size_t i = 0; i < 20; i++) {
		ask(&scene, DNS_TCP, false);
		fake_run_until(&scene.world, scene.world.now_us + 100);
	}
	fake_run(&scene.world);
	assert_int_equal(scene.done, 20);
	assert_int_equal(scene.failed, 0);
	scene_clear(&scene);
}

static void silent_tcp(struct scene *scene, struct fake_query *query)
{
	if (scene->world.stream_count > 1) {
		answers(scene, query);
	}
}

static void a_silent_connection_is_given_up_for_a_fresh_one(void **state)
{
	struct scene scene;
	struct dns_ask question = {
		.server = fake_addr("192.0.2.1"),
		.name = "a.ex",
		.type = DNS_TYPE_TXT,
		.transport = DNS_TCP,
		.timeout_ms = 10000,
	};

	(void)state;
	scene_init(&scene, silent_tcp);
	dns_ask_start(scene.client, &question, on_done, &scene);
	fake_run(&scene.world);
	assert_int_equal(scene.done, 1);
	assert_int_equal(scene.failed, 0);
	assert_int_equal(scene.world.stream_count, 2);
	assert_int_equal(waited_ms(&scene), 5002);
	scene_clear(&scene);
}

static void a_cancelled_call_says_nothing(void **state)
{
	struct scene scene;
	struct dns_call *udp, *tcp;

	(void)state;
	scene_init(&scene, answers);
	udp = ask(&scene, DNS_UDP, false);
	tcp = ask(&scene, DNS_TCP, false);
	ask(&scene, DNS_TCP, false);
	fake_run_until(&scene.world, scene.world.now_us + 500);
	dns_call_cancel(udp);
	dns_call_cancel(tcp);
	dns_call_cancel(NULL);
	fake_run(&scene.world);
	assert_int_equal(scene.done, 1);
	assert_int_equal(scene.failed, 0);
	scene_clear(&scene);
}

static void the_client_may_be_freed_inside_done(void **state)
{
	struct scene scene;

	(void)state;
	for (size_t at = 1; at <= 3; at++) {
		for (int transport = DNS_AUTO; transport <= DNS_TCP; transport++) {
			scene_init(&scene, answers);
			scene.free_client_at = at;
			for (size_t i = 0; i < 4; i++) {
				ask(&scene, (enum dns_transport)transport, false);
			}
			fake_run(&scene.world);
			assert_int_equal(scene.done, at);
			assert_int_equal(scene.world.open, 0);
		}
	}
}

/* Signs the reply with the scene's key, as a server does (RFC 8945 s.5.3.2). */
static void sign_reply(struct scene *scene, struct fake_query *query, unsigned error)
{
	struct buf digest = BUF_INIT(4 * WIRE_MSG_MAX);
	struct buf variables = BUF_INIT(400);
	uint8_t mac[MAC_MAX];
	uint64_t now_s = (uint64_t)world_wall_s(&scene->world.base);

	buf_add(&variables, "\1k\0\0\xff\0\0\0\0\xbhmac-sha256\0", 22);
	buf_add_u16(&variables, (uint16_t)(now_s >> 32));
	buf_add_u32(&variables, (uint32_t)now_s);
	buf_add_u16(&variables, 300);
	buf_add_u16(&variables, (uint16_t)error);
	buf_add_u16(&variables, 0);
	buf_add_u16(&digest, 32);
	buf_add(&digest, query->wire + query->len - 38, 32);
	buf_add(&digest, query->reply.data, query->reply.len);
	buf_add(&digest, variables.data, variables.len);
	mac_of(&(struct mac_input){ MAC_SHA256, SECRET, sizeof(SECRET) - 1, digest.data,
				    digest.len },
	       mac);
	buf_add(&query->reply, "\1k\0\0\xfa\0\xff\0\0\0\0\0\x3d\xbhmac-sha256\0", 26);
	buf_add(&query->reply, variables.data + 22, 8);
	buf_add_u16(&query->reply, error ? 0 : 32);
	buf_add(&query->reply, mac, error ? 0 : 32);
	buf_add(&query->reply, query->wire, 2);
	buf_add_u16(&query->reply, (uint16_t)error);
	buf_add_u16(&query->reply, 0);
	if (error) {
		/* RDLENGTH without the MAC */
		query->reply.data[query->reply.len - 16 - 13 - 1] = 0x1d;
	}
	query->reply.data[11]++;
	buf_clear(&digest);
	buf_clear(&variables);
}

static void answers_signed(struct scene *scene, struct fake_query *query)
{
	answers(scene, query);
	if (query->len > 0) {
		sign_reply(scene, query, 0);
	}
}

static void signed_answers_are_believed(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, answers_signed);
	ask(&scene, DNS_UDP, true);
	ask(&scene, DNS_TCP, true);
	fake_run(&scene.world);
	assert_int_equal(scene.done, 2);
	if (scene.failed) {
		fail_msg("%s", scene.err.text);
	}
	scene_clear(&scene);
}

/* Who sees the query may answer first, with everything right but the MAC. */
static void forges_signed(struct scene *scene, struct fake_query *query)
{
	static const char *const lie[] = { "AN a.ex. 60 IN TXT \"forged\"", NULL };

	if (query->len == 0) {
		return;
	}
	query->delay_us = 100000;
	fake_reply(query, scene->queries % 2 ? DNS_REFUSED : DNS_NOERROR, lie);
	buf_add(&query->forged, query->reply.data, query->reply.len);
	answers_signed(scene, query);
}

static void unsigned_lies_are_ignored_over_udp(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, forges_signed);
	ask(&scene, DNS_UDP, true);
	ask(&scene, DNS_UDP, true);
	fake_run(&scene.world);
	assert_int_equal(scene.done, 2);
	assert_int_equal(scene.failed, 0);
	assert_string_equal(scene.txt, "v");
	assert_int_equal(scene.last_tcp, 0);
	scene_clear(&scene);
}

static void refuses_unsigned(struct scene *scene, struct fake_query *query)
{
	(void)scene;
	if (query->len > 0) {
		fake_reply(query, DNS_REFUSED, NULL);
	}
}

static void an_unsigned_refusal_is_confirmed_by_tcp(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, refuses_unsigned);
	ask(&scene, DNS_UDP, true);
	fake_run(&scene.world);
	assert_int_equal(scene.failed, 1);
	assert_int_equal(scene.err.code, ERR_DENIED);
	expect_text(scene.err.text, "PowerDNS");
	assert_int_equal(scene.last_udp, 1);
	assert_int_equal(scene.last_tcp, 1);
	assert_int_equal(waited_ms(&scene), 1002);
	scene_clear(&scene);
}

static void badkey(struct scene *scene, struct fake_query *query)
{
	if (query->len > 0) {
		fake_reply(query, DNS_NOTAUTH, NULL);
		sign_reply(scene, query, 17);
	}
}

static void a_refused_key_is_confirmed_by_tcp_at_once(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, badkey);
	ask(&scene, DNS_UDP, true);
	fake_run(&scene.world);
	assert_int_equal(scene.failed, 1);
	assert_int_equal(scene.err.code, ERR_DENIED);
	expect_text(scene.err.text, "BADKEY");
	assert_int_equal(scene.last_tcp, 1);
	assert_int_equal(waited_ms(&scene), 3);
	scene_clear(&scene);
}

static void badkey_by_udp_alone(struct scene *scene, struct fake_query *query)
{
	if (query->transport == FAKE_UDP) {
		badkey(scene, query);
	} else {
		answers_signed(scene, query);
	}
}

static void a_forged_refusal_harms_nothing(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, badkey_by_udp_alone);
	ask(&scene, DNS_UDP, true);
	fake_run(&scene.world);
	assert_int_equal(scene.failed, 0);
	scene_clear(&scene);
}

/* The second answer on the connection has a wrong MAC. */
static void lies_by_tcp(struct scene *scene, struct fake_query *query)
{
	answers_signed(scene, query);
	if (query->len > 0 && scene->queries == 2) {
		query->reply.data[query->reply.len - 10] ^= 1;
	}
}

static void a_lie_by_tcp_ends_the_connection(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, lies_by_tcp);
	for (size_t i = 0; i < 4; i++) {
		ask(&scene, DNS_TCP, true);
	}
	fake_run(&scene.world);
	assert_int_equal(scene.done, 4);
	assert_int_equal(scene.failed, 1);
	assert_int_equal(scene.err.code, ERR_PROTOCOL);
	assert_int_equal(scene.world.stream_count, 2);
	scene_clear(&scene);
}

static void bad_names_fail_from_the_loop(void **state)
{
	struct dns_ask question = { .server = fake_addr("192.0.2.1"), .name = "a..b" };
	struct scene scene;

	(void)state;
	scene_init(&scene, answers);
	dns_ask_start(scene.client, &question, on_done, &scene);
	assert_int_equal(scene.done, 0);
	fake_run(&scene.world);
	assert_int_equal(scene.err.code, ERR_USAGE);
	scene_clear(&scene);
}

static void many_addresses_are_forgotten_again(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, answers);
	for (size_t i = 0; i < 1000; i++) {
		struct dns_ask question = { .name = "a.ex", .type = DNS_TYPE_TXT };
		char text[ADDR_TEXT_MAX];

		snprintf(text, sizeof(text), "10.0.%zu.%zu", i / 200, i % 200);
		question.server = fake_addr(text);
		dns_ask_start(scene.client, &question, on_done, &scene);
		fake_run_until(&scene.world, scene.world.now_us + 1000000);
	}
	assert_int_equal(scene.done, 1000);
	assert_true(scene.client->peer_count <= DNS_PEERS_MAX);
	scene_clear(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(udp_answers_at_once),
		cmocka_unit_test(three_udp_tries_and_one_tcp_make_unreachable),
		cmocka_unit_test(a_lost_reply_is_asked_for_again),
		cmocka_unit_test(forged_datagrams_are_ignored),
		cmocka_unit_test(truncated_answers_go_to_tcp),
		cmocka_unit_test(formerr_is_asked_again_without_edns),
		cmocka_unit_test(a_closed_port_fails_fast),
		cmocka_unit_test(a_budget_of_datagrams_is_kept_and_the_rest_goes_by_tcp),
		cmocka_unit_test(the_connection_is_kept_and_closed_when_idle),
		cmocka_unit_test(a_broken_connection_is_opened_again_once),
		cmocka_unit_test(a_connection_that_breaks_twice_is_an_error),
		cmocka_unit_test(servers_of_one_answer_per_connection_answer_all),
		cmocka_unit_test(a_silent_connection_is_given_up_for_a_fresh_one),
		cmocka_unit_test(a_cancelled_call_says_nothing),
		cmocka_unit_test(the_client_may_be_freed_inside_done),
		cmocka_unit_test(signed_answers_are_believed),
		cmocka_unit_test(unsigned_lies_are_ignored_over_udp),
		cmocka_unit_test(an_unsigned_refusal_is_confirmed_by_tcp),
		cmocka_unit_test(a_refused_key_is_confirmed_by_tcp_at_once),
		cmocka_unit_test(a_forged_refusal_harms_nothing),
		cmocka_unit_test(a_lie_by_tcp_ends_the_connection),
		cmocka_unit_test(bad_names_fail_from_the_loop),
		cmocka_unit_test(many_addresses_are_forgotten_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
