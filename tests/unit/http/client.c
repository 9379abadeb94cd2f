/* The HTTP client of the real world, against a server in this process. */
#include "http/site.h"

#define GOOD_LEAF                                                       \
	&(struct leaf_args)                                             \
	{                                                               \
		.names = "IP:127.0.0.1", .from_s = -60, .until_s = 3600 \
	}
#define OK_REPLY                                                                \
	"HTTP/1.1 200 Fine\r\nX-First: one\r\nSet-Thing: a\r\nsET-tHING: b\r\n" \
	"Content-Length: 5\r\n\r\nhello"

static struct world *world;
static struct authority authority;

struct heard {
	unsigned count;
	struct err err;
	int status;
	char *headers; /* "name: value\n" in order */
	char *body;
	size_t body_len;
};

static void on_answer(void *arg, const struct err *err, const struct http_response *response)
{
	struct heard *heard = arg;
	struct buf headers = BUF_INIT(1 << 20);

	heard->count++;
	if (err) {
		assert_null(response);
		heard->err = *err;
	} else {
		heard->status = response->status;
		for (size_t i = 0; i < response->header_count; i++) {
			buf_addf(&headers, "%s: %s\n", response->headers[i].name,
				 response->headers[i].value);
		}
		heard->body = xstrndup(response->body, response->body_len);
		heard->body_len = response->body_len;
		assert_int_equal(response->body[response->body_len], '\0');
	}
	heard->headers = buf_detach(&headers);
	world_real_stop(world);
}

static void heard_clear(struct heard *heard)
{
	free(heard->headers);
	free(heard->body);
	*heard = (struct heard){ 0 };
}

static struct http_request request_of(char url[300], const struct site *site, const char *path)
{
	snprintf(url, 300, "%s://127.0.0.1:%u%s", site->tls ? "https" : "http", site->port, path);
	return (struct http_request){ .method = "GET",
				      .url = url,
				      .max_body = 1000,
				      .timeout_ms = 10000,
				      .ca_file = authority.path,
				      .allow_http_loopback = !site->tls };
}

static void ask(struct heard *heard, const struct http_request *request)
{
	heard_clear(heard);
	assert_non_null(world->ops->http_start(world, request, on_answer, heard));
	assert_int_equal(heard->count, 0);
	world_real_run(world);
	assert_int_equal(heard->count, 1);
}

static void get(struct heard *heard, const struct site *site, const char *path)
{
	char url[300];
	struct http_request request = request_of(url, site, path);

	ask(heard, &request);
}

static void says(const struct heard *heard, enum err_code code, const char *part)
{
	if (heard->err.code != code || !strstr(heard->err.text, part)) {
		fail_msg("status %d, code %d, \"%s\" where \"%s\" was expected", heard->status,
			 heard->err.code, heard->err.text, part);
	}
}

static void headers_come_in_order_with_small_letters(void **state)
{
	struct heard heard = { 0 };
	struct site site;

	(void)state;
	site_open(&site, OK_REPLY, &authority, GOOD_LEAF);
	get(&heard, &site, "/");
	assert_int_equal(heard.status, 200);
	assert_string_equal(heard.headers,
			    "x-first: one\nset-thing: a\nset-thing: b\ncontent-length: 5\n");
	assert_string_equal(heard.body, "hello");
	heard_clear(&heard);
	site_close(&site);
}

static void the_url_and_the_body_are_sent_byte_for_byte(void **state)
{
	static const char body[] = "{\"a\":1}\n\x01 end";
	static const struct http_header headers[] = { { "Content-Type", "application/jose+json" } };
	struct heard heard = { 0 };
	struct site site;
	char url[300];
	struct http_request request;

	(void)state;
	site_open(&site, OK_REPLY, &authority, GOOD_LEAF);
	request = request_of(url, &site, "/a/../b//%7E%2f?x=%20&&y=%C3%BC");
	request.method = "POST";
	request.body = body;
	request.body_len = sizeof(body) - 1;
	request.headers = headers;
	request.header_count = 1;
	ask(&heard, &request);
	assert_int_equal(heard.status, 200);
	assert_non_null(strstr(site.asked, "POST /a/../b//%7E%2f?x=%20&&y=%C3%BC HTTP/1.1\r\n"));
	assert_non_null(strstr(site.asked, "\r\nContent-Type: application/jose+json\r\n"));
	assert_non_null(strstr(site.asked, "\r\nUser-Agent: dns01/"));
	assert_null(strcasestr(site.asked, "\r\nExpect:"));
	assert_string_equal(strstr(site.asked, "\r\n\r\n") + 4, body);
	heard_clear(&heard);
	site_close(&site);
}

static void one_connection_serves_many_requests(void **state)
{
	struct heard heard = { 0 };
	struct site site;

	(void)state;
	site_open(&site, OK_REPLY, &authority, GOOD_LEAF);
	for (int i = 0; i < 6; i++) {
		get(&heard, &site, "/");
		assert_int_equal(heard.status, 200);
	}
	assert_int_equal(site.requests, 6);
	assert_int_equal(site.connections, 1);
	heard_clear(&heard);
	site_close(&site);
}

static void a_connection_that_was_closed_meanwhile_is_made_anew(void **state)
{
	struct heard heard = { 0 };
	struct site site;

	(void)state;
	site_open(&site, OK_REPLY, &authority, GOOD_LEAF);
	site.close_after = true;
	for (int i = 0; i < 3; i++) {
		get(&heard, &site, "/");
		assert_int_equal(heard.status, 200);
	}
	assert_int_equal(site.requests, 3);
	heard_clear(&heard);
	site_close(&site);
}

static void redirects_are_answers(void **state)
{
	struct heard heard = { 0 };
	struct site site;

	(void)state;
	site_open(&site, "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
		  &authority, GOOD_LEAF);
	get(&heard, &site, "/");
	assert_int_equal(heard.status, 302);
	assert_non_null(strstr(heard.headers, "location: /other\n"));
	assert_int_equal(site.requests, 1);
	heard_clear(&heard);
	site_close(&site);
}

static void a_body_past_its_maximum_is_refused(void **state)
{
	struct heard heard = { 0 };
	struct site site;
	char *reply = xcalloc(1, 4000);

	(void)state;
	/* Told in advance, and found out late. */
	snprintf(reply, 4000, "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n%01001d", 7);
	site_open(&site, reply, &authority, GOOD_LEAF);
	get(&heard, &site, "/");
	says(&heard, ERR_LIMIT, "127.0.0.1");
	site_close(&site);
	snprintf(reply, 4000, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%02000d", 7);
	site_open(&site, reply, &authority, GOOD_LEAF);
	site.close_after = true;
	get(&heard, &site, "/");
	says(&heard, ERR_LIMIT, "127.0.0.1");
	site_close(&site);
	heard_clear(&heard);
	free(reply);
}

static void endless_headers_are_refused(void **state)
{
	struct heard heard = { 0 };
	struct site site;
	struct buf reply = BUF_INIT(1 << 20);

	(void)state;
	buf_add_str(&reply, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 500; i++) {
		buf_addf(&reply, "X-%d: y\r\n", i);
	}
	buf_add_str(&reply, "Content-Length: 0\r\n\r\n");
	site_open(&site, buf_str(&reply), &authority, GOOD_LEAF);
	get(&heard, &site, "/");
	says(&heard, ERR_LIMIT, "127.0.0.1");
	heard_clear(&heard);
	site_close(&site);
	buf_clear(&reply);
}

static void silence_ends_with_the_timeout(void **state)
{
	struct heard heard = { 0 };
	struct site site;
	char url[300];
	struct http_request request;

	(void)state;
	site_open(&site, NULL, &authority, GOOD_LEAF);
	request = request_of(url, &site, "/");
	request.timeout_ms = 300;
	ask(&heard, &request);
	says(&heard, ERR_TIMEOUT, "127.0.0.1");
	heard_clear(&heard);
	site_close(&site);
}

static void a_connection_that_breaks_in_the_body_is_an_error(void **state)
{
	struct heard heard = { 0 };
	struct site site;

	(void)state;
	site_open(&site, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", &authority,
		  GOOD_LEAF);
	site.reset_after = true;
	get(&heard, &site, "/");
	says(&heard, ERR_NETWORK, "127.0.0.1");
	heard_clear(&heard);
	site_close(&site);
}

static void what_is_not_http_is_an_error(void **state)
{
	struct heard heard = { 0 };
	struct site site;

	(void)state;
	site_open(&site, "220 mail.example.com ESMTP\r\n\r\n", &authority, GOOD_LEAF);
	site.close_after = true;
	get(&heard, &site, "/");
	says(&heard, ERR_PROTOCOL, "not supported");
	heard_clear(&heard);
	site_close(&site);
}

static void a_refused_connection_names_the_host(void **state)
{
	struct heard heard = { 0 };
	struct site site;

	(void)state;
	site_open(&site, OK_REPLY, &authority, GOOD_LEAF);
	site_close(&site);
	site.tls = (SSL_CTX *)1; /* for the URL's scheme alone */
	get(&heard, &site, "/");
	says(&heard, ERR_NETWORK, "127.0.0.1");
	assert_non_null(strstr(heard.err.text, "refused"));
	heard_clear(&heard);
}

/* ---- whom it trusts ---- */

static void refused_certificate(const struct leaf_args *leaf, const struct authority *by,
				const char *part)
{
	struct heard heard = { 0 };
	struct site site;

	site_open(&site, OK_REPLY, by, leaf);
	get(&heard, &site, "/");
	says(&heard, ERR_PROTOCOL, part);
	assert_non_null(strstr(heard.err.text, "127.0.0.1"));
	assert_int_equal(site.requests, 0);
	heard_clear(&heard);
	site_close(&site);
}

static void certificates_that_prove_nothing_are_refused(void **state)
{
	struct authority other, stranger;

	(void)state;
	authority_open(&other, "root"); /* the same name */
	authority_open(&stranger, "stranger");
	refused_certificate(GOOD_LEAF, &other, "made anew");
	refused_certificate(GOOD_LEAF, &stranger, "ca_file");
	refused_certificate(&(struct leaf_args){ "DNS:example.com", -60, 3600, NULL }, &authority,
			    "127.0.0.1");
	refused_certificate(&(struct leaf_args){ "IP:127.0.0.1", -7200, -3600, NULL }, &authority,
			    "expired");
	refused_certificate(&(struct leaf_args){ "IP:127.0.0.1", 3600, 7200, NULL }, &authority,
			    "not yet valid");
	authority_close(&other);
	authority_close(&stranger);
}

static void with_roots_of_its_own_the_systems_are_not_trusted(void **state)
{
	struct heard heard = { 0 };
	struct site site;
	struct authority other;

	(void)state;
	authority_open(&other, "other");
	setenv("SSL_CERT_FILE", other.path, 1);
	site_open(&site, OK_REPLY, &other, GOOD_LEAF);
	get(&heard, &site, "/");
	says(&heard, ERR_PROTOCOL, "not trusted");
	unsetenv("SSL_CERT_FILE");
	heard_clear(&heard);
	site_close(&site);
	authority_close(&other);
}

static void roots_that_cannot_be_read_are_named(void **state)
{
	struct heard heard = { 0 };
	struct site site;
	char url[300];
	struct http_request request;

	(void)state;
	site_open(&site, OK_REPLY, &authority, GOOD_LEAF);
	request = request_of(url, &site, "/");
	request.ca_file = "/nowhere/root.pem";
	ask(&heard, &request);
	assert_int_not_equal(heard.err.code, ERR_NONE);
	assert_non_null(strstr(heard.err.text, "/nowhere/root.pem"));
	heard_clear(&heard);
	site_close(&site);
}

/* ---- where it goes ---- */

static void plain_http_goes_to_loopback_alone_and_by_leave(void **state)
{
	struct heard heard = { 0 };
	struct site site;
	char url[300];
	struct http_request request;

	(void)state;
	site_open(&site, OK_REPLY, NULL, NULL);
	get(&heard, &site, "/");
	assert_int_equal(heard.status, 200);
	request = request_of(url, &site, "/");
	request.allow_http_loopback = false;
	ask(&heard, &request);
	says(&heard, ERR_PROTOCOL, "https");
	request.allow_http_loopback = true;
	request.url = "http://192.0.2.1/";
	ask(&heard, &request);
	says(&heard, ERR_PROTOCOL, "https");
	request.url = "file:///etc/passwd";
	ask(&heard, &request);
	assert_int_not_equal(heard.err.code, ERR_NONE);
	assert_int_equal(site.requests, 1);
	heard_clear(&heard);
	site_close(&site);
}

static void the_environments_proxy_is_not_used(void **state)
{
	static const char *const names[] = { "http_proxy", "https_proxy", "HTTPS_PROXY",
					     "ALL_PROXY", "all_proxy" };
	struct heard heard = { 0 };
	struct site site;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		setenv(names[i], "http://127.0.0.1:9", 1);
	}
	site_open(&site, OK_REPLY, &authority, GOOD_LEAF);
	get(&heard, &site, "/");
	assert_int_equal(heard.status, 200);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		unsetenv(names[i]);
	}
	heard_clear(&heard);
	site_close(&site);
}

static void a_configured_proxy_is_used(void **state)
{
	struct heard heard = { 0 };
	struct site site, proxy;
	char url[300], proxy_url[64];
	struct http_request request;

	(void)state;
	site_open(&site, OK_REPLY, &authority, GOOD_LEAF);
	site_open(&proxy, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", NULL, NULL);
	snprintf(proxy_url, sizeof(proxy_url), "http://127.0.0.1:%u", proxy.port);
	request = request_of(url, &site, "/");
	request.proxy = proxy_url;
	ask(&heard, &request);
	assert_int_not_equal(heard.err.code, ERR_NONE);
	assert_int_equal(proxy.requests, 1);
	assert_non_null(strstr(proxy.asked, "CONNECT 127.0.0.1:"));
	assert_int_equal(site.requests, 0);
	heard_clear(&heard);
	site_close(&site);
	site_close(&proxy);
}

/* ---- ends ---- */

static void stop(void *arg)
{
	(void)arg;
	world_real_stop(world);
}

static void a_cancelled_request_is_heard_of_no_more(void **state)
{
	struct heard heard = { 0 };
	struct site site;
	char url[300];
	struct http_request request;
	struct world_http *http;

	(void)state;
	site_open(&site, NULL, &authority, GOOD_LEAF);
	request = request_of(url, &site, "/");
	/* Before it begins, and while it waits for its answer. */
	world->ops->http_cancel(world->ops->http_start(world, &request, on_answer, &heard));
	http = world->ops->http_start(world, &request, on_answer, &heard);
	while (site.requests == 0) {
		world_timer_start(world, 1000, stop, NULL);
		world_real_run(world);
	}
	world->ops->http_cancel(http);
	world_timer_start(world, 20000, stop, NULL);
	world_real_run(world);
	assert_int_equal(heard.count, 0);
	site_close(&site);
}

static void eight_go_at_once_and_the_rest_wait(void **state)
{
	struct heard heard[12] = { 0 };
	struct site site;
	char url[300];
	struct http_request request;
	unsigned done = 0;

	(void)state;
	site_open(&site, OK_REPLY, &authority, GOOD_LEAF);
	request = request_of(url, &site, "/");
	for (size_t i = 0; i < ARRAY_LEN(heard); i++) {
		world->ops->http_start(world, &request, on_answer, &heard[i]);
	}
	while (done < ARRAY_LEN(heard)) {
		world_real_run(world);
		done = 0;
		for (size_t i = 0; i < ARRAY_LEN(heard); i++) {
			done += heard[i].count;
		}
	}
	assert_true(site.connections <= 8);
	for (size_t i = 0; i < ARRAY_LEN(heard); i++) {
		assert_int_equal(heard[i].status, 200);
		heard_clear(&heard[i]);
	}
	site_close(&site);
}

static int bed_open(void **state)
{
	struct err err;

	(void)state;
	world = world_real_new(&err);
	return world ? 0 : -1;
}

static int bed_shut(void **state)
{
	(void)state;
	world_real_free(world);
	return 0;
}

#define HTTP_TEST(name) cmocka_unit_test_setup_teardown(name, bed_open, bed_shut)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HTTP_TEST(headers_come_in_order_with_small_letters),
		HTTP_TEST(the_url_and_the_body_are_sent_byte_for_byte),
		HTTP_TEST(one_connection_serves_many_requests),
		HTTP_TEST(a_connection_that_was_closed_meanwhile_is_made_anew),
		HTTP_TEST(redirects_are_answers),
		HTTP_TEST(a_body_past_its_maximum_is_refused),
		HTTP_TEST(endless_headers_are_refused),
		HTTP_TEST(silence_ends_with_the_timeout),
		HTTP_TEST(a_connection_that_breaks_in_the_body_is_an_error),
		HTTP_TEST(what_is_not_http_is_an_error),
		HTTP_TEST(a_refused_connection_names_the_host),
		HTTP_TEST(certificates_that_prove_nothing_are_refused),
		HTTP_TEST(with_roots_of_its_own_the_systems_are_not_trusted),
		HTTP_TEST(roots_that_cannot_be_read_are_named),
		HTTP_TEST(plain_http_goes_to_loopback_alone_and_by_leave),
		HTTP_TEST(the_environments_proxy_is_not_used),
		HTTP_TEST(a_configured_proxy_is_used),
		HTTP_TEST(a_cancelled_request_is_heard_of_no_more),
		HTTP_TEST(eight_go_at_once_and_the_rest_wait),
	};
	int failed;

	signal(SIGPIPE, SIG_IGN);
	authority_open(&authority, "root");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	authority_close(&authority);
	return failed;
}
