/* The HTTP server on real sockets of the loopback, in one world with its clients. */
#include "world/bed.h"

#include "http/server.h"

#define PATIENCE_US ((int64_t)20 * 1000000)
#define BIG_LEN (3 * 1000 * 1000)

/* What the server's user does with a request, by its path. */
struct site {
	struct world_listener *listener;
	struct addr addr;
	struct world_exchange *waiting; /* of "/wait", to be answered by the test */
	size_t served, gone;
	struct buf last_body;
};

struct client {
	struct world_stream *stream;
	struct buf got;
	bool ended;
};

static struct site site;

static void reply(struct world_exchange *exchange, int status, const char *body, size_t len)
{
	struct http_header header = { "Content-Type", "text/plain" };

	world->ops->exchange_reply(exchange, &(struct http_answer_out){ .status = status,
									.headers = &header,
									.header_count = 1,
									.body = body,
									.body_len = len });
}

static void on_gone(void *arg)
{
	site.gone++;
	world->ops->exchange_end(arg);
}

static void stream(struct world_exchange *exchange)
{
	world->ops->exchange_stream(exchange, &(struct http_answer_out){ .status = 200 });
	world->ops->exchange_part(exchange, "one", 3);
	world->ops->exchange_part(exchange, "sixteen letters.", 16);
	world->ops->exchange_end(exchange);
}

static void serve(void *arg, struct world_exchange *exchange, const struct http_incoming *request)
{
	(void)arg;
	site.served++;
	buf_clear(&site.last_body);
	buf_add(&site.last_body, request->body, request->body_len);
	assert_int_equal(request->body[request->body_len], '\0');
	if (strcmp(request->path, "/wait") == 0) {
		site.waiting = exchange;
		world->ops->exchange_on_gone(exchange, on_gone, exchange);
	} else if (strcmp(request->path, "/stream") == 0) {
		stream(exchange);
	} else if (strcmp(request->path, "/big") == 0) {
		char *big = xmalloc(BIG_LEN);

		memset(big, 'b', BIG_LEN);
		reply(exchange, 200, big, BIG_LEN);
		free(big);
	} else {
		reply(exchange, 200, request->path, strlen(request->path));
	}
}

static int site_open(void **state)
{
	struct addr any;
	struct err err;

	if (world_open(state) != 0 || !addr_parse("127.0.0.1", 1, &any)) {
		return -1;
	}
	addr_set_port(&any, 0);
	site = (struct site){ 0 };
	buf_init(&site.last_body, HTTP_INCOMING_BODY_MAX);
	site.listener =
		world->ops->http_listen(world,
					&(struct http_listen){ .at = { .addr = &any, .fd = -1 },
							       .connections_max = 3,
							       .serve = serve },
					&err);
	site.addr = world->ops->listener_addr(site.listener);
	http_server_incoming_ms = HTTP_INCOMING_MS;
	return 0;
}

static int site_shut(void **state)
{
	buf_clear(&site.last_body);
	return world_shut(state);
}

/* ---- clients ---------------------------------------------------------------------- */

static void on_stream(void *arg, const struct world_stream_in *in)
{
	struct client *client = arg;

	if (in->event == WORLD_STREAM_DATA) {
		buf_add(&client->got, in->data, in->len);
	}
	client->ended = client->ended || in->event == WORLD_STREAM_END;
	world_real_stop(world);
}

static void client_open(struct client *client)
{
	*client = (struct client){ 0 };
	buf_init(&client->got, 2 * BIG_LEN);
	client->stream = world->ops->stream_open(world, &site.addr, on_stream, client);
}

static void client_close(struct client *client)
{
	world->ops->stream_close(client->stream);
	buf_clear(&client->got);
}

static void client_send(struct client *client, const char *text)
{
	world->ops->stream_write(client->stream, text, strlen(text));
}

static void on_impatient(void *arg)
{
	*(bool *)arg = true;
	world_real_stop(world);
}

static void on_tick(void *arg)
{
	(void)arg;
	world_real_stop(world);
}

/* Until the client has count times text, or, with NULL, until it hears the end. */
static void wait_for(struct client *client, const char *text, size_t count)
{
	bool impatient = false;
	struct world_timer *timer = world_timer_start(world, PATIENCE_US, on_impatient, &impatient);

	for (;;) {
		size_t found = 0;

		for (const char *at = buf_str(&client->got); text && (at = strstr(at, text));
		     at++) {
			found++;
		}
		if (text ? found >= count : client->ended) {
			break;
		}
		if (impatient || client->ended) {
			fail_msg("'%s' is not %s", buf_str(&client->got), text ? text : "over");
		}
		world_real_run(world);
	}
	world_timer_cancel(world, timer);
}

/* Until *what is at least so much; the loop is looked at every few ms. */
static void wait_until(const size_t *what, size_t least)
{
	for (int i = 0; *what < least; i++) {
		if (i > 4000) {
			fail_msg("%zu instead of %zu", *what, least);
		}
		world_timer_start(world, 5000, on_tick, NULL);
		world_real_run(world);
	}
}

/* ---- tests ------------------------------------------------------------------------- */

static void answers_carry_what_clients_need(void **state)
{
	struct client client;

	(void)state;
	client_open(&client);
	client_send(&client, "GET /a%20b HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_for(&client, "/a b", 1);
	has_text(buf_str(&client.got), "HTTP/1.1 200 OK\r\n");
	has_text(buf_str(&client.got), "Content-Type: text/plain\r\n");
	has_text(buf_str(&client.got), "Content-Length: 4\r\n\r\n/a b");
	has_text(buf_str(&client.got), "Date: ");
	assert_null(strstr(buf_str(&client.got), "Connection:"));
	client_send(&client, "GET /again HTTP/1.1\r\n\r\n");
	wait_for(&client, "/again", 1);
	client_close(&client);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	struct client client;
	struct buf many = BUF_INIT(1000000);
	const char *last;

	(void)state;
	client_open(&client);
	client_send(&client, "\r\nGET /wait HTTP/1.1\r\n\r\nPOST /second HTTP/1.1\r\n"
			     "Content-Length: 4\r\n\r\nbodyGET /third HTTP/1.1\r\n\r\n");
	wait_until(&site.served, 1);
	assert_int_equal(client.got.len, 0);
	reply(site.waiting, 202, "first", 5);
	wait_for(&client, "/third", 1);
	assert_int_equal(site.served, 3);
	last = strstr(buf_str(&client.got), "first");
	assert_non_null(last);
	last = strstr(last, "/second");
	assert_non_null(last);
	assert_non_null(strstr(last, "/third"));
	for (int i = 0; i < 2000; i++) {
		buf_add_str(&many, "GET /many HTTP/1.1\r\n\r\n");
	}
	client_send(&client, buf_str(&many));
	wait_for(&client, "/many", 2000);
	buf_clear(&many);
	client_close(&client);
}

static void bodies_come_in_any_form(void **state)
{
	struct client client;

	(void)state;
	client_open(&client);
	client_send(&client, "POST /one HTTP/1.1\r\nContent-Length: 10\r\n"
			     "Expect: 100-continue\r\n\r\n");
	wait_for(&client, "HTTP/1.1 100 Continue\r\n\r\n", 1);
	client_send(&client, "01234");
	client_send(&client, "56789");
	wait_for(&client, "/one", 1);
	assert_string_equal(buf_str(&site.last_body), "0123456789");
	client_send(&client, "POST /two HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
	world_timer_start(world, 5000, on_tick, NULL);
	world_real_run(world);
	client_send(&client, "lo\r\n6;x\r\n world\r\n0\r\n\r\nGET /three HTTP/1.1\r\n\r\n");
	wait_for(&client, "/three", 1);
	assert_int_equal(site.served, 3);
	wait_for(&client, "/two", 1);
	client_close(&client);
}

static void what_is_too_much_is_refused(void **state)
{
	static const struct {
		const char *request;
		const char *status;
	} cases[] = {
		{ "POST / HTTP/1.1\r\nContent-Length: 65537\r\n\r\n", "HTTP/1.1 413 " },
		{ "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n",
		  "HTTP/1.1 413 " },
		{ "BREW\r\n\r\n", "HTTP/1.1 400 " },
		{ "GET / HTTP/3.0\r\n\r\n", "HTTP/1.1 505 " },
	};
	struct buf huge = BUF_INIT(100000);
	struct client client;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		client_open(&client);
		client_send(&client, cases[i].request);
		wait_for(&client, NULL, 0);
		has_text(buf_str(&client.got), cases[i].status);
		has_text(buf_str(&client.got), "Connection: close\r\n");
		client_close(&client);
	}
	buf_add_str(&huge, "GET / HTTP/1.1\r\nX: ");
	while (huge.len <= HTTP_INCOMING_HEAD_MAX) {
		buf_add_str(&huge, "0123456789abcdef");
	}
	client_open(&client);
	client_send(&client, buf_str(&huge));
	wait_for(&client, NULL, 0);
	has_text(buf_str(&client.got), "HTTP/1.1 431 ");
	client_close(&client);
	buf_clear(&huge);
	assert_int_equal(site.served, 0);
}

static void a_client_that_leaves_is_noticed(void **state)
{
	struct client client;

	(void)state;
	client_open(&client);
	client_send(&client, "GET /wait HTTP/1.1\r\n\r\nGET /never HTTP/1.1\r\n\r\n");
	wait_until(&site.served, 1);
	client_close(&client);
	wait_until(&site.gone, 1);
	assert_int_equal(site.served, 1);
}

/* More than is taken ahead of its turn is left to the kernel, and read when it is wanted. */
static void a_client_that_sends_ahead_is_held_back(void **state)
{
	struct buf many = BUF_INIT(10000000);
	struct client client;
	size_t count = 4000;

	(void)state;
	client_open(&client);
	client_send(&client, "GET /wait HTTP/1.1\r\n\r\n");
	wait_until(&site.served, 1);
	for (size_t i = 0; i < count; i++) {
		buf_add_str(&many, "GET /many HTTP/1.1\r\nX: 0123456789abcdef\r\n\r\n");
	}
	client_send(&client, buf_str(&many));
	for (int i = 0; i < 10; i++) {
		world_timer_start(world, 5000, on_tick, NULL);
		world_real_run(world);
	}
	assert_int_equal(site.served, 1);
	reply(site.waiting, 200, "first", 5);
	wait_for(&client, "/many", count);
	buf_clear(&many);
	client_close(&client);
}

static void a_request_has_its_time(void **state)
{
	struct client slow, idle;

	(void)state;
	http_server_incoming_ms = 100;
	client_open(&slow);
	client_send(&slow, "GET /slow HTTP/1.1\r\nX: y\r\n");
	wait_for(&slow, NULL, 0);
	assert_int_equal(slow.got.len, 0);
	client_close(&slow);
	/* One that waits for its answer is not cut off. */
	client_open(&idle);
	client_send(&idle, "GET /wait HTTP/1.1\r\n\r\n");
	wait_until(&site.served, 1);
	for (int i = 0; i < 40; i++) {
		world_timer_start(world, 5000, on_tick, NULL);
		world_real_run(world);
	}
	reply(site.waiting, 200, "late", 4);
	wait_for(&idle, "late", 1);
	client_close(&idle);
}

static void heads_and_old_clients_get_their_forms(void **state)
{
	struct client client;

	(void)state;
	client_open(&client);
	client_send(&client, "HEAD /a HTTP/1.1\r\n\r\nHEAD /stream HTTP/1.1\r\n\r\n"
			     "GET /stream HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
	wait_for(&client, "/b", 1);
	has_text(buf_str(&client.got), "Content-Length: 2\r\n\r\nHTTP/1.1 200 OK");
	has_text(buf_str(&client.got), "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n"
				       "10\r\nsixteen letters.\r\n0\r\n\r\nHTTP/1.1 200 OK");
	client_close(&client);
	client_open(&client);
	client_send(&client, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	wait_for(&client, NULL, 0);
	has_text(buf_str(&client.got), "\r\n\r\nonesixteen letters.");
	assert_null(strstr(buf_str(&client.got), "chunked"));
	client_close(&client);
	client_open(&client);
	client_send(&client, "GET /c HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	wait_for(&client, "/c", 1);
	has_text(buf_str(&client.got), "Connection: keep-alive\r\n");
	client_send(&client, "GET /d HTTP/1.0\r\n\r\n");
	wait_for(&client, NULL, 0);
	has_text(buf_str(&client.got), "Connection: close\r\n");
	client_close(&client);
}

static void a_big_answer_arrives_whole(void **state)
{
	struct client client;

	(void)state;
	client_open(&client);
	client_send(&client, "GET /big HTTP/1.1\r\n\r\nGET /after HTTP/1.1\r\n\r\n");
	wait_for(&client, "/after", 1);
	assert_true(client.got.len > BIG_LEN);
	client_close(&client);
}

/* As nc and a shell do. */
static void who_says_that_no_more_comes_gets_its_answers(void **state)
{
	struct sockaddr_in at = site.addr.u.in;
	struct buf got = BUF_INIT(3 * BIG_LEN);
	char part[65536];
	size_t big = 0;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static const char text[] = "GET /big HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n"
				   "GET /big HTTP/1.1\r\n\r\n";

	(void)state;
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(send(fd, text, sizeof(text) - 1, 0), sizeof(text) - 1);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	for (int i = 0; i < 4000; i++) {
		ssize_t len = recv(fd, part, sizeof(part), MSG_DONTWAIT);

		if (len == 0) {
			break;
		}
		buf_add(&got, part, len > 0 ? (size_t)len : 0);
		world_timer_start(world, 1000, on_tick, NULL);
		world_real_run(world);
	}
	for (size_t i = 0; i < got.len; i++) {
		big += got.data[i] == 'b';
	}
	assert_int_equal(site.served, 3);
	assert_true(big > 2 * BIG_LEN);
	close(fd);
	buf_clear(&got);
}

/* It would fill the memory with answers. */
static void who_sends_and_never_reads_is_held_back(void **state)
{
	struct sockaddr_in at = site.addr.u.in;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t sent = 0;

	(void)state;
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	for (int i = 0; i < 2000; i++) {
		static const char text[] = "GET /big HTTP/1.1\r\n\r\n";

		sent += send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
		if (i % 100 == 0) {
			world_timer_start(world, 1000, on_tick, NULL);
			world_real_run(world);
		}
	}
	assert_true(sent > 1000);
	assert_true(site.served > 0 && site.served < 20);
	close(fd);
}

static void more_connections_than_are_taken_wait(void **state)
{
	struct client clients[4];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		client_open(&clients[i]);
		client_send(&clients[i], "GET /x HTTP/1.1\r\n\r\n");
	}
	wait_until(&site.served, 3);
	for (int i = 0; i < 10; i++) {
		world_timer_start(world, 5000, on_tick, NULL);
		world_real_run(world);
	}
	assert_int_equal(site.served, 3);
	for (size_t i = 0; i < 4; i++) {
		if (clients[i].got.len > 0) {
			client_close(&clients[i]);
			clients[i].stream = NULL;
			break;
		}
	}
	wait_until(&site.served, 4);
	for (size_t i = 0; i < 4; i++) {
		if (clients[i].stream) {
			client_close(&clients[i]);
		}
	}
}

static void who_waits_is_answered_after_the_server_closed(void **state)
{
	struct client waiting, idle;

	(void)state;
	client_open(&idle);
	client_send(&idle, "GET /x HTTP/1.1\r\n\r\n");
	wait_for(&idle, "/x", 1);
	client_open(&waiting);
	client_send(&waiting, "GET /wait HTTP/1.1\r\n\r\n");
	wait_until(&site.served, 2);
	world->ops->listener_close(site.listener);
	wait_for(&idle, NULL, 0);
	reply(site.waiting, 200, "still", 5);
	wait_for(&waiting, NULL, 0);
	has_text(buf_str(&waiting.got), "Connection: close\r\n");
	has_text(buf_str(&waiting.got), "still");
	client_close(&idle);
	client_close(&waiting);
}

#define SITE_TEST(name) cmocka_unit_test_setup_teardown(name, site_open, site_shut)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SITE_TEST(answers_carry_what_clients_need),
		SITE_TEST(pipelined_requests_are_answered_in_order),
		SITE_TEST(bodies_come_in_any_form),
		SITE_TEST(what_is_too_much_is_refused),
		SITE_TEST(a_client_that_leaves_is_noticed),
		SITE_TEST(a_client_that_sends_ahead_is_held_back),
		SITE_TEST(a_request_has_its_time),
		SITE_TEST(heads_and_old_clients_get_their_forms),
		SITE_TEST(a_big_answer_arrives_whole),
		SITE_TEST(who_says_that_no_more_comes_gets_its_answers),
		SITE_TEST(who_sends_and_never_reads_is_held_back),
		SITE_TEST(more_connections_than_are_taken_wait),
		SITE_TEST(who_waits_is_answered_after_the_server_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
