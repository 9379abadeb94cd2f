#include "bed.h"

struct heard {
	struct world_stream *stream;
	const char *hello; /* written when open */
	char events[16];   /* o d e f: open, data, end, failed */
	struct buf data;
	struct err err;
	bool close_at_end;
	bool stop_at_open;
	bool stop_at_data;
	const uint8_t *more; /* BIG_LEN octets, written at each data while more_left */
	int more_left;
};

#define BIG_LEN (1000 * 1000)
#define BIG_COUNT 4

static void on_stream(void *arg, const struct world_stream_in *in)
{
	struct heard *heard = arg;
	size_t len = strlen(heard->events);
	char event = "ode"[in->event];

	if (in->err) {
		heard->err = *in->err;
		event = 'f';
	}
	if (len + 1 < sizeof(heard->events) && (event != 'd' || heard->events[len - 1] != 'd')) {
		heard->events[len] = event;
	}
	if (in->event == WORLD_STREAM_OPEN && heard->hello) {
		world->ops->stream_write(heard->stream, heard->hello, strlen(heard->hello));
	}
	if (in->event == WORLD_STREAM_OPEN && heard->stop_at_open) {
		world_real_stop(world);
	}
	if (in->event == WORLD_STREAM_DATA && heard->more_left > 0) {
		heard->more_left--;
		world->ops->stream_write(heard->stream, heard->more, BIG_LEN);
	}
	if (in->event == WORLD_STREAM_DATA) {
		buf_add(&heard->data, in->data, in->len);
		if (heard->stop_at_data) {
			world_real_stop(world);
		}
	}
	if (in->event == WORLD_STREAM_END && heard->close_at_end) {
		world->ops->stream_close(heard->stream);
		heard->stream = NULL;
	}
	if (in->event == WORLD_STREAM_END) {
		world_real_stop(world);
	}
}

static void open_stream(struct heard *heard, const struct addr *peer)
{
	buf_init(&heard->data, 1024 * 1024);
	heard->stream = world->ops->stream_open(world, peer, on_stream, heard);
	assert_string_equal(heard->events, "");
}

static void close_stream(struct heard *heard)
{
	world->ops->stream_close(heard->stream);
	buf_clear(&heard->data);
}

/* The system completes the handshake, so all of these may block. */
static int accept_one(int server)
{
	int fd = accept(server, NULL, NULL);

	assert_true(fd >= 0);
	return fd;
}

static void a_conversation(void **state)
{
	struct heard heard = { .hello = "question", .stop_at_data = true, .close_at_end = true };
	struct addr peer;
	int server = bind_loopback(SOCK_STREAM, &peer);
	char text[16] = "";
	int fd;

	(void)state;
	open_stream(&heard, &peer);
	fd = accept_one(server);
	assert_int_equal(send(fd, "greeting", 8, 0), 8);
	world_real_run(world);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 8);
	assert_string_equal(text, "question");
	assert_string_equal(heard.data.data, "greeting");
	close(fd);
	world_real_run(world);
	assert_string_equal(heard.events, "ode");
	assert_int_equal(heard.err.code, ERR_NONE);
	buf_clear(&heard.data);
	close(server);
}

static void what_is_written_before_it_is_open_waits(void **state)
{
	struct heard heard = { .hello = ", and more", .stop_at_open = true };
	struct addr peer;
	int server = bind_loopback(SOCK_STREAM, &peer);
	char text[32] = "";
	int fd;

	(void)state;
	open_stream(&heard, &peer);
	world->ops->stream_write(heard.stream, "early", 5);
	fd = accept_one(server);
	world_real_run(world);
	while (recv(fd, text, 15, MSG_PEEK | MSG_DONTWAIT) < 15) {
		world_timer_start(world, 1000, stop, NULL);
		world_real_run(world); /* it is sent from the loop */
	}
	assert_int_equal(recv(fd, text, 15, 0), 15);
	assert_string_equal(text, "early, and more");
	close_stream(&heard);
	close(fd);
	close(server);
}

static void a_refused_connection_says_where(void **state)
{
	struct addr peer = closed_port(SOCK_STREAM);
	struct heard heard = { .close_at_end = true };

	(void)state;
	open_stream(&heard, &peer);
	world->ops->stream_write(heard.stream, "early", 5);
	world_real_run(world);
	assert_string_equal(heard.events, "f");
	assert_int_equal(heard.err.code, ERR_NETWORK);
	has_text(heard.err.text, "127.0.0.1:");
	has_text(heard.err.text, "refused");
	close_stream(&heard);
}

static void no_socket_is_an_error_from_the_loop(void **state)
{
	struct addr peer = closed_port(SOCK_STREAM);
	struct heard heard = { .close_at_end = true };
	struct heard closed = { 0 };

	(void)state;
	peer.u.sa.sa_family = AF_APPLETALK;
	open_stream(&heard, &peer);
	open_stream(&closed, &peer);
	world->ops->stream_write(heard.stream, "early", 5);
	close_stream(&closed);
	world_real_run(world);
	assert_string_equal(heard.events, "f");
	assert_string_equal(closed.events, "");
	close_stream(&heard);
}

/* Says + after each BIG_LEN octets that are right. */
static void *read_all(void *arg)
{
	int fd = accept(*(int *)arg, NULL, NULL);
	uint8_t *data = xmalloc(BIG_LEN);
	bool right = true;
	int count;
	size_t i;

	for (count = 0; count < BIG_COUNT && right; count++) {
		right = recv(fd, data, BIG_LEN, MSG_WAITALL) == BIG_LEN;
		for (i = 0; i < BIG_LEN && right; i++) {
			right = data[i] == (uint8_t)(i * 7);
		}
		right = right && send(fd, "+", 1, 0) == 1;
	}
	close(fd);
	free(data);
	return NULL;
}

/* More than the socket takes at once, less than the buffer's maximum. */
static void big_writes_arrive_whole(void **state)
{
	uint8_t *data = xmalloc(BIG_LEN);
	struct heard heard = { .more = data, .more_left = BIG_COUNT - 1 };
	struct addr peer;
	int server = bind_loopback(SOCK_STREAM, &peer);
	pthread_t reader;
	size_t i;

	(void)state;
	for (i = 0; i < BIG_LEN; i++) {
		data[i] = (uint8_t)(i * 7);
	}
	assert_int_equal(pthread_create(&reader, NULL, read_all, &server), 0);
	open_stream(&heard, &peer);
	world->ops->stream_write(heard.stream, data, BIG_LEN);
	world_real_run(world);
	pthread_join(reader, NULL);
	assert_string_equal(heard.data.data, "++++");
	close_stream(&heard);
	free(data);
	close(server);
}

static void a_peer_that_does_not_read_is_given_up(void **state)
{
	struct heard heard = { 0 };
	uint8_t *data = xcalloc(1, BIG_LEN);
	struct addr peer;
	int server = bind_loopback(SOCK_STREAM, &peer);
	int i;

	(void)state;
	open_stream(&heard, &peer);
	for (i = 0; i < 64; i++) {
		world->ops->stream_write(heard.stream, data, BIG_LEN);
	}
	assert_string_equal(heard.events, "");
	world_real_run(world);
	assert_string_equal(heard.events, "f");
	assert_int_equal(heard.err.code, ERR_LIMIT);
	close_stream(&heard);
	free(data);
	close(server);
}

static void after_a_failed_write_what_arrived_is_read(void **state)
{
	struct heard heard = { .hello = "question", .stop_at_open = true };
	struct linger reset = { .l_onoff = 1 };
	struct addr peer;
	int server = bind_loopback(SOCK_STREAM, &peer);
	int fd;

	(void)state;
	open_stream(&heard, &peer);
	world_real_run(world);
	assert_string_equal(heard.events, "o");
	fd = accept_one(server);
	assert_int_equal(send(fd, "last words", 10, 0), 10);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(fd); /* with a reset */
	world->ops->stream_write(heard.stream, "one", 3);
	world->ops->stream_write(heard.stream, "two", 3);
	assert_string_equal(heard.events, "o");
	world_real_run(world);
	assert_string_equal(heard.data.data, "last words");
	assert_string_equal(heard.events, "odf");
	assert_int_equal(heard.err.code, ERR_NETWORK);
	has_text(heard.err.text, "broke");
	close_stream(&heard);
	close(server);
}

static void free_closes_what_is_open(void **state)
{
	struct heard heard = { 0 };
	struct addr peer;
	int server = bind_loopback(SOCK_STREAM, &peer);

	(void)state;
	open_stream(&heard, &peer);
	world->ops->stream_write(heard.stream, "early", 5);
	world_real_free(world);
	world = NULL;
	assert_string_equal(heard.events, "");
	close(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_conversation),
		WORLD_TEST(what_is_written_before_it_is_open_waits),
		WORLD_TEST(a_refused_connection_says_where),
		WORLD_TEST(no_socket_is_an_error_from_the_loop),
		WORLD_TEST(big_writes_arrive_whole),
		WORLD_TEST(a_peer_that_does_not_read_is_given_up),
		WORLD_TEST(after_a_failed_write_what_arrived_is_read),
		WORLD_TEST(free_closes_what_is_open),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
