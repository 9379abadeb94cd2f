#include "bed.h"

struct heard {
	int count;
	char text[64];
	struct err err;
	bool close_at_once;
	struct world_dgram *dgram;
};

static void on_dgram(void *arg, const uint8_t *data, size_t len, const struct err *err)
{
	struct heard *heard = arg;

	heard->count++;
	if (err) {
		assert_null(data);
		heard->err = *err;
	} else {
		assert_true(len < sizeof(heard->text));
		memcpy(heard->text, data, len);
		heard->text[len] = '\0';
	}
	if (heard->close_at_once) {
		world->ops->dgram_close(heard->dgram);
		heard->dgram = NULL;
	}
	world_real_stop(world);
}

static struct addr sender_of(int server)
{
	struct addr from = { .len = sizeof(from.u) };
	char text[64];

	assert_true(recvfrom(server, text, sizeof(text), 0, &from.u.sa, &from.len) > 0);
	return from;
}

static void reply(int server, const struct addr *to, const char *text)
{
	ssize_t len = (ssize_t)strlen(text);

	assert_int_equal(sendto(server, text, (size_t)len, 0, &to->u.sa, to->len), len);
}

static void a_round_trip_each_from_its_own_port(void **state)
{
	struct heard one = { 0 };
	struct heard two = { .close_at_once = true };
	struct addr peer;
	struct addr from[2];
	int server = bind_loopback(SOCK_DGRAM, &peer);

	(void)state;
	one.dgram = world->ops->dgram_open(world, &peer, on_dgram, &one);
	two.dgram = world->ops->dgram_open(world, &peer, on_dgram, &two);
	world->ops->dgram_send(one.dgram, "question", 8);
	from[0] = sender_of(server);
	world->ops->dgram_send(two.dgram, "question", 8);
	from[1] = sender_of(server);
	assert_false(addr_equal(&from[0], &from[1]));
	reply(server, &from[0], "first");
	world_real_run(world);
	reply(server, &from[0], "second");
	world_real_run(world);
	assert_string_equal(one.text, "second");
	assert_int_equal(one.count, 2);
	reply(server, &from[1], "other");
	reply(server, &from[1], "more");
	world_real_run(world);
	assert_string_equal(two.text, "other");
	assert_int_equal(two.count, 1);
	world->ops->dgram_close(one.dgram);
	world_real_run(world); /* nothing is open: returns */
	close(server);
}

static void only_its_peer_is_heard(void **state)
{
	struct heard heard = { 0 };
	struct addr peer;
	struct addr stranger_addr;
	struct addr from;
	int server = bind_loopback(SOCK_DGRAM, &peer);
	int stranger = bind_loopback(SOCK_DGRAM, &stranger_addr);

	(void)state;
	heard.dgram = world->ops->dgram_open(world, &peer, on_dgram, &heard);
	world->ops->dgram_send(heard.dgram, "question", 8);
	from = sender_of(server);
	reply(stranger, &from, "forged");
	reply(server, &from, "true");
	world_real_run(world);
	assert_string_equal(heard.text, "true");
	assert_int_equal(heard.count, 1);
	close(server);
	close(stranger);
}

static void a_closed_port_is_an_error_once(void **state)
{
	struct addr peer = closed_port(SOCK_DGRAM);
	struct heard heard = { 0 };

	(void)state;
	heard.dgram = world->ops->dgram_open(world, &peer, on_dgram, &heard);
	world->ops->dgram_send(heard.dgram, "question", 8);
	assert_int_equal(heard.count, 0);
	world_real_run(world);
	assert_int_equal(heard.err.code, ERR_NETWORK);
	has_text(heard.err.text, "127.0.0.1:");
	has_text(heard.err.text, "ICMP");
	world->ops->dgram_send(heard.dgram, "question", 8);
	world_timer_start(world, 5000, stop, NULL);
	world_real_run(world);
	assert_int_equal(heard.count, 1);
}

/* The error waits in the socket, and the next send gets it. */
static void an_error_of_send_comes_from_the_loop(void **state)
{
	struct addr peer = closed_port(SOCK_DGRAM);
	struct heard heard = { .close_at_once = true };

	(void)state;
	heard.dgram = world->ops->dgram_open(world, &peer, on_dgram, &heard);
	world->ops->dgram_send(heard.dgram, "question", 8);
	world->ops->dgram_send(heard.dgram, "question", 8);
	assert_int_equal(heard.count, 0);
	world_real_run(world);
	assert_int_equal(heard.count, 1);
	assert_int_equal(heard.err.code, ERR_NETWORK);
}

static void no_socket_is_an_error_from_the_loop(void **state)
{
	struct addr peer = closed_port(SOCK_DGRAM);
	struct heard heard = { .close_at_once = true };
	struct heard closed = { 0 };

	(void)state;
	peer.u.sa.sa_family = AF_APPLETALK;
	heard.dgram = world->ops->dgram_open(world, &peer, on_dgram, &heard);
	closed.dgram = world->ops->dgram_open(world, &peer, on_dgram, &closed);
	world->ops->dgram_send(heard.dgram, "question", 8);
	world->ops->dgram_close(closed.dgram);
	assert_int_equal(heard.count, 0);
	world_real_run(world);
	assert_int_equal(heard.count, 1);
	assert_int_equal(heard.err.code, ERR_NETWORK);
	assert_int_equal(closed.count, 0);
}

static void routes(void **state)
{
	struct addr peer;

	(void)state;
	assert_true(addr_parse("127.0.0.1", 53, &peer));
	assert_true(world->ops->has_route(world, &peer));
	assert_true(addr_parse("fe80::1", 53, &peer)); /* names no link */
	assert_false(world->ops->has_route(world, &peer));
}

static void free_closes_what_is_open(void **state)
{
	struct heard heard = { 0 };
	struct addr peer;
	struct addr from;
	int server = bind_loopback(SOCK_DGRAM, &peer);

	(void)state;
	heard.dgram = world->ops->dgram_open(world, &peer, on_dgram, &heard);
	world->ops->dgram_send(heard.dgram, "question", 8);
	from = sender_of(server);
	reply(server, &from, "late");
	world_real_free(world);
	world = NULL;
	assert_int_equal(heard.count, 0);
	close(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_round_trip_each_from_its_own_port),
		WORLD_TEST(only_its_peer_is_heard),
		WORLD_TEST(a_closed_port_is_an_error_once),
		WORLD_TEST(an_error_of_send_comes_from_the_loop),
		WORLD_TEST(no_socket_is_an_error_from_the_loop),
		WORLD_TEST(routes),
		WORLD_TEST(free_closes_what_is_open),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
