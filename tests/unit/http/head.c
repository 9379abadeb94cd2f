/* What a request says: what is read of it, and what is refused. */
#include "http/head.h"

#include "cmocka_all.h"

/* A head that is read; texts as they are asked for live until the next one. */
static char octets[70000];

static int parse(const char *text, size_t len, struct http_head *head)
{
	size_t scanned = 0;
	size_t head_len = http_head_len(text, len, &scanned);

	assert_true(len < sizeof(octets));
	memcpy(octets, text, len);
	octets[len] = '\0';
	if (head_len == 0) {
		fail_msg("'%s' has no end", text);
	}
	return http_head_parse(octets, head_len, head);
}

static struct http_head parsed(const char *text)
{
	struct http_head head;

	assert_int_equal(parse(text, strlen(text), &head), 0);
	return head;
}

static void refused(const char *text, int status)
{
	struct http_head head;
	int got = parse(text, strlen(text), &head);

	if (got != status) {
		fail_msg("'%s': %d instead of %d", text, got, status);
	}
}

static const char *field(const struct http_head *head, const char *name)
{
	for (size_t i = 0; i < head->field_count; i++) {
		if (strcmp(octets + head->field[i].name, name) == 0) {
			return octets + head->field[i].value;
		}
	}
	return NULL;
}

static void a_request_is_taken_apart(void **state)
{
	struct http_head head = parsed("POST /v1/a%20b%2Fc?x=%20y HTTP/1.1\r\nHost: example.com\r\n"
				       "AUTHORIZATION:\t Bearer a:b \t\r\nEmpty:\r\n"
				       "Content-Length: 12\r\n\r\n");

	(void)state;
	assert_string_equal(octets + head.method, "POST");
	assert_string_equal(octets + head.path, "/v1/a b/c");
	assert_string_equal(octets + head.query, "x=%20y");
	assert_int_equal(head.field_count, 4);
	assert_string_equal(field(&head, "host"), "example.com");
	assert_string_equal(field(&head, "authorization"), "Bearer a:b");
	assert_string_equal(field(&head, "empty"), "");
	assert_int_equal(head.body_len, 12);
	assert_false(head.chunked);
	assert_true(head.keep_open);
	assert_false(head.old);
}

static void targets_of_both_forms_are_read(void **state)
{
	struct http_head head = parsed("GET http://example.com:80/a?b HTTP/1.1\r\n\r\n");

	(void)state;
	assert_string_equal(octets + head.path, "/a");
	assert_string_equal(octets + head.query, "b");
	head = parsed("GET /? HTTP/1.1\r\n\r\n");
	assert_string_equal(octets + head.path, "/");
	assert_string_equal(octets + head.query, "");
	refused("GET example.com/ HTTP/1.1\r\n\r\n", 400);
	refused("GET http://example.com HTTP/1.1\r\n\r\n", 400);
	refused("OPTIONS * HTTP/1.1\r\n\r\n", 400);
	refused("GET /%zz HTTP/1.1\r\n\r\n", 400);
	refused("GET /%4 HTTP/1.1\r\n\r\n", 400);
	refused("GET /%00 HTTP/1.1\r\n\r\n", 400);
	refused("GET /a\tb HTTP/1.1\r\n\r\n", 400);
}

static void first_lines_that_are_none_are_refused(void **state)
{
	(void)state;
	refused("GET\r\n\r\n", 400);
	refused("GET /\r\n\r\n", 400);
	refused("GET  / HTTP/1.1\r\n\r\n", 400);
	refused(" GET / HTTP/1.1\r\n\r\n", 400);
	refused("G(T / HTTP/1.1\r\n\r\n", 400);
	refused("GET / HTTP/1.1 \r\n\r\n", 505);
	refused("GET / HTTP/2.0\r\n\r\n", 505);
	refused("GET / FTP/1.1\r\n\r\n", 400);
}

static void how_long_it_stays_open_is_said_by_both(void **state)
{
	(void)state;
	assert_true(parsed("GET / HTTP/1.1\r\n\r\n").keep_open);
	assert_false(parsed("GET / HTTP/1.1\r\nConnection: foo, Close\r\n\r\n").keep_open);
	assert_false(parsed("GET / HTTP/1.0\r\n\r\n").keep_open);
	assert_true(parsed("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_open);
	assert_false(parsed("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n").keep_open);
	assert_true(parsed("POST / HTTP/1.1\r\nExpect: 100-Continue\r\n\r\n").expects_continue);
	assert_false(parsed("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expects_continue);
}

/* What one server reads as one request and another as two. */
static void doubtful_lengths_are_refused(void **state)
{
	(void)state;
	refused("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400);
	refused("POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n", 400);
	refused("POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400);
	refused("POST / HTTP/1.1\r\nContent-Length: 0x10\r\n\r\n", 400);
	refused("POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", 400);
	refused("POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
	refused("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"
		"\r\n",
		400);
	refused("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501);
	refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
	assert_true(parsed("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n").chunked);
	/* No body is as long, whatever an integer holds. */
	assert_true(parsed("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n")
			    .body_len == SIZE_MAX);
}

static void fields_that_are_none_are_refused(void **state)
{
	static const char nul[] = "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n";
	struct http_head head;

	(void)state;
	refused("GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400);
	refused("GET / HTTP/1.1\r\n: x\r\n\r\n", 400);
	refused("GET / HTTP/1.1\r\nHost\r\n\r\n", 400);
	refused("GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400);
	refused("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", 400);
	refused("GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n", 400);
	refused("GET / HTTP/1.1\r\nA: \001\r\n\r\n", 400);
	assert_int_equal(parse(nul, sizeof(nul) - 1, &head), 400);
}

static void more_fields_than_are_taken_are_refused(void **state)
{
	struct buf text = BUF_INIT(10000);
	struct http_head head;

	(void)state;
	buf_add_str(&text, "GET / HTTP/1.1\r\n");
	for (int i = 0; i < HEAD_FIELDS_MAX; i++) {
		buf_addf(&text, "X%d: y\r\n", i);
	}
	buf_add_str(&text, "\r\n");
	assert_int_equal(parse(text.data, text.len, &head), 0);
	assert_int_equal(head.field_count, HEAD_FIELDS_MAX);
	text.len -= 2;
	buf_add_str(&text, "one: more\r\n\r\n");
	assert_int_equal(parse(text.data, text.len, &head), 431);
	buf_clear(&text);
}

static void the_end_is_found_however_it_comes(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nA: b\r\n\r\nGET";
	size_t scanned = 0;
	size_t found = 0;

	(void)state;
	for (size_t len = 0; len <= sizeof(text) - 1 && found == 0; len++) {
		found = http_head_len(text, len, &scanned);
		assert_true(found == 0 || len == found);
	}
	assert_int_equal(found, sizeof(text) - 1 - 3);
	assert_int_equal(http_head_blank("\r\n\r\nGET", 7), 4);
	assert_int_equal(http_head_blank("\rGET", 4), 0);
	assert_int_equal(http_head_blank("", 0), 0);
}

/* ---- chunked bodies ---------------------------------------------------------------- */

/* Gives the body, whole and octet by octet; NULL and *status where it is refused. */
static char *body_of(const char *text, size_t step, int *status)
{
	struct http_chunks chunks = { .state = CHUNK_SIZE };
	size_t len = strlen(text);

	buf_init(&chunks.body, 100);
	*status = 0;
	for (size_t at = 0; at < len && *status == 0 && chunks.state != CHUNK_OVER;) {
		size_t part = len - at < step ? len - at : step;
		size_t used = 0;

		*status = http_chunks_take(&chunks, text + at, part, &used);
		at += used;
	}
	if (*status != 0 || chunks.state != CHUNK_OVER) {
		buf_clear(&chunks.body);
		return NULL;
	}
	return buf_detach(&chunks.body);
}

static void expect_body(const char *text, const char *body, int expected)
{
	for (size_t step = 1; step <= strlen(text); step++) {
		int status;
		char *got = body_of(text, step, &status);

		assert_int_equal(status, expected);
		if (body) {
			assert_non_null(got);
			assert_string_equal(got, body);
		} else {
			assert_null(got);
		}
		free(got);
	}
}

static void chunks_become_a_body(void **state)
{
	(void)state;
	expect_body("5\r\nhello\r\n0\r\n\r\n", "hello", 0);
	expect_body("1;a=\"b\"\r\nx\r\n00B \r\n0123456789a\r\n0\r\nTrailer: y\r\n\r\n",
		    "x0123456789a", 0);
	expect_body("0\r\n\r\nGET", "", 0);
	expect_body("5\r\nhel", NULL, 0);
}

static void chunks_that_are_none_are_refused(void **state)
{
	(void)state;
	expect_body("zz\r\n", NULL, 400);
	expect_body("\r\n", NULL, 400);
	expect_body(";x\r\n", NULL, 400);
	expect_body("5\nhello\r\n", NULL, 400);
	expect_body("5\r\rhello\r\n", NULL, 400);
	expect_body("5\r\nhelloX\n0\r\n\r\n", NULL, 400);
	expect_body("5\r\nhello\n\n", NULL, 400);
	expect_body("123456789\r\n", NULL, 400);
	expect_body("-1\r\n", NULL, 400);
	expect_body("65\r\n", NULL, 413);
	expect_body("0\r\nA: b\n\r\n", NULL, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_taken_apart),
		cmocka_unit_test(targets_of_both_forms_are_read),
		cmocka_unit_test(first_lines_that_are_none_are_refused),
		cmocka_unit_test(how_long_it_stays_open_is_said_by_both),
		cmocka_unit_test(doubtful_lengths_are_refused),
		cmocka_unit_test(fields_that_are_none_are_refused),
		cmocka_unit_test(more_fields_than_are_taken_are_refused),
		cmocka_unit_test(the_end_is_found_however_it_comes),
		cmocka_unit_test(chunks_become_a_body),
		cmocka_unit_test(chunks_that_are_none_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
