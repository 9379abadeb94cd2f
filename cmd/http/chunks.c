/*
 * A chunked body (RFC 9112 s.7.1), as it comes.
 *
 *   SIZE -> DATA -> DATA_END -> SIZE ... SIZE of 0 -> TRAILER -> OVER
 */
#include "head.h"

#define BAD_REQUEST 400
#define TOO_LARGE 413
#define SIZE_DIGITS_MAX 8
#define LINE_LEN_MAX 1024
#define TRAILER_MAX 4096

static int digit_of(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* True: c is a part of CRLF; *over with its LF. *bad: it is half of one. */
static bool line_end(struct http_chunks *chunks, char c, bool *over, bool *bad)
{
	*over = c == '\n' && chunks->cr;
	*bad = (c == '\n') != chunks->cr;
	chunks->cr = c == '\r';
	return c == '\r' || c == '\n';
}

static int size_over(struct http_chunks *chunks)
{
	if (!chunks->any_digit) {
		return BAD_REQUEST;
	}
	if (chunks->left > chunks->body.max - chunks->body.len) {
		return TOO_LARGE;
	}
	chunks->state = chunks->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
	chunks->line_len = 0;
	return 0;
}

/* "1a;extension" CRLF; extensions say nothing to us. */
static int take_size(struct http_chunks *chunks, char c)
{
	bool over, bad;
	int digit = digit_of(c);

	if (line_end(chunks, c, &over, &bad) || bad) {
		return bad ? BAD_REQUEST : over ? size_over(chunks) : 0;
	}
	chunks->line_len++;
	chunks->in_extension = chunks->in_extension || c == ';' || c == ' ' || c == '\t';
	if (chunks->in_extension) {
		return chunks->line_len > LINE_LEN_MAX ? BAD_REQUEST : 0;
	}
	if (digit < 0 || chunks->line_len > SIZE_DIGITS_MAX) {
		return BAD_REQUEST;
	}
	chunks->any_digit = true;
	chunks->left = chunks->left * 16 + (size_t)digit;
	return 0;
}

static int take_data_end(struct http_chunks *chunks, char c)
{
	bool over, bad;

	if (!line_end(chunks, c, &over, &bad) || bad) {
		return BAD_REQUEST;
	}
	if (over) {
		chunks->state = CHUNK_SIZE;
		chunks->any_digit = chunks->in_extension = false;
		chunks->line_len = 0;
	}
	return 0;
}

/* Fields behind the body: passed over. */
static int take_trailer(struct http_chunks *chunks, char c)
{
	bool over, bad;
	bool ends = line_end(chunks, c, &over, &bad);

	if (bad || ++chunks->trailer_len > TRAILER_MAX) {
		return BAD_REQUEST;
	}
	if (over) {
		chunks->state = chunks->line_len == 0 ? CHUNK_OVER : CHUNK_TRAILER;
		chunks->line_len = 0;
	} else if (!ends) {
		chunks->line_len++;
	}
	return 0;
}

static size_t take_data(struct http_chunks *chunks, const char *data, size_t len)
{
	size_t part = len < chunks->left ? len : chunks->left;

	buf_add(&chunks->body, data, part);
	chunks->left -= part;
	if (chunks->left == 0) {
		chunks->state = CHUNK_DATA_END;
	}
	return part;
}

int http_chunks_take(struct http_chunks *chunks, const char *data, size_t len, size_t *used)
{
	size_t at = 0;
	int status = 0;

	while (at < len && status == 0 && chunks->state != CHUNK_OVER) {
		switch (chunks->state) {
		case CHUNK_SIZE:
			status = take_size(chunks, data[at++]);
			break;
		case CHUNK_DATA:
			at += take_data(chunks, data + at, len - at);
			break;
		case CHUNK_DATA_END:
			status = take_data_end(chunks, data[at++]);
			break;
		case CHUNK_TRAILER:
			status = take_trailer(chunks, data[at++]);
			break;
		case CHUNK_OVER:
			break;
		}
	}
	*used = at;
	return status;
}
