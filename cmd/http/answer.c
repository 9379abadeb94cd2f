/* What a server sends, within its maxima, gathered until libcurl says that it is whole. */
#include "client.h"

#include <stdarg.h>

/* RFC 9112 s.5.2 lets a header go on in the next line; all of it is one line here. */
static bool is_continued(const char *line, size_t len)
{
	return len > 0 && (line[0] == ' ' || line[0] == '\t');
}

static void trim(const char **text, size_t *len)
{
	while (*len > 0 && strchr(" \t\r\n", (*text)[0])) {
		(*text)++;
		(*len)--;
	}
	while (*len > 0 && strchr(" \t\r\n", (*text)[*len - 1])) {
		(*len)--;
	}
}

/* NUL is no part of a header; libcurl refuses it before us. */
static char *header_block(const char *name, size_t name_len, const char *value, size_t value_len)
{
	char *block = xmalloc(name_len + value_len + 2);
	size_t i;

	for (i = 0; i < name_len; i++) {
		block[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 'a' - 'A' : name[i]);
	}
	block[name_len] = '\0';
	if (value_len > 0) {
		memcpy(block + name_len + 1, value, value_len);
	}
	block[name_len + 1 + value_len] = '\0';
	return block;
}

static void set_header(struct http_header *header, char *block)
{
	header->name = block;
	header->value = block + strlen(block) + 1;
}

static void free_header(struct http_header *header)
{
	free((void *)(uintptr_t)header->name);
	*header = (struct http_header){ 0 };
}

static void forget_headers(struct http_answer *answer)
{
	while (answer->header_count > 0) {
		free_header(&answer->headers[--answer->header_count]);
	}
}

static enum err_code too_long_line(struct world_http *http)
{
	return err_set(&http->err, ERR_LIMIT, "", "%s sent a header that is longer than %d octets",
		       http->host_text, HTTP_HEADER_LINE_MAX);
}

static enum err_code add_line(struct world_http *http, const char *line, size_t len)
{
	struct http_answer *answer = &http->answer;
	const char *colon = memchr(line, ':', len);
	const char *value;
	size_t value_len;

	if (!colon || colon == line) {
		return err_set(&http->err, ERR_PROTOCOL, "", "%s sent a header without a name",
			       http->host_text);
	}
	if (answer->header_count == HTTP_HEADERS_MAX) {
		return err_set(&http->err, ERR_LIMIT, "", "%s sent more than %d headers",
			       http->host_text, HTTP_HEADERS_MAX);
	}
	value = colon + 1;
	value_len = len - (size_t)(value - line);
	trim(&value, &value_len);
	set_header(&answer->headers[answer->header_count++],
		   header_block(line, (size_t)(colon - line), value, value_len));
	return ERR_NONE;
}

static enum err_code continue_line(struct world_http *http, const char *line, size_t len)
{
	struct http_answer *answer = &http->answer;
	struct http_header *last;
	char *value;
	char *block;

	if (answer->header_count == 0) {
		return err_set(&http->err, ERR_PROTOCOL, "", "%s sent a header without a name",
			       http->host_text);
	}
	last = &answer->headers[answer->header_count - 1];
	trim(&line, &len);
	if (strlen(last->name) + strlen(last->value) + len > HTTP_HEADER_LINE_MAX) {
		return too_long_line(http);
	}
	value = xasprintf("%s %.*s", last->value, (int)len, line);
	block = header_block(last->name, strlen(last->name), value, strlen(value));
	free(value);
	free_header(last);
	set_header(last, block);
	return ERR_NONE;
}

static bool is_status_line(const char *line, size_t len)
{
	return len > 5 && memcmp(line, "HTTP/", 5) == 0;
}

/*
 * Each line of a head. A 1xx answer has a head of its own before the real one;
 * lines after the body (trailers) are nothing we ask for.
 */
size_t http_on_header(char *data, size_t size, size_t count, void *arg)
{
	struct world_http *http = arg;
	struct http_answer *answer = &http->answer;
	size_t len = size * count;
	const char *text = data;
	size_t text_len = len;
	enum err_code code = ERR_NONE;

	trim(&text, &text_len);
	if (is_status_line(data, len)) {
		forget_headers(answer);
		answer->head_ended = false;
	} else if (answer->head_ended) {
		return len;
	} else if (len > HTTP_HEADER_LINE_MAX) {
		code = too_long_line(http);
	} else if (text_len == 0) {
		answer->head_ended = true;
	} else if (is_continued(data, len)) {
		code = continue_line(http, data, len);
	} else {
		code = add_line(http, data, len);
	}
	return code == ERR_NONE ? len : 0;
}

size_t http_on_body(char *data, size_t size, size_t count, void *arg)
{
	struct world_http *http = arg;
	size_t len = size * count;

	buf_add(&http->answer.body, data, len);
	if (http->answer.body.overflow) {
		err_set(&http->err, ERR_LIMIT, "", "the answer of %s is longer than %zu octets",
			http->host_text, http->answer.body.max);
		return len == 0;
	}
	return len;
}

void http_answer_clear(struct http_answer *answer)
{
	forget_headers(answer);
	buf_wipe(&answer->body);
}
