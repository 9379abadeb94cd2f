/*
 * The head of a request. Strict where proxies and servers have disagreed and requests were
 * smuggled between them: lines end with CRLF, no space stands before a colon, no line is folded,
 * and there is one length at most.
 */
#include "head.h"

#include <strings.h>

#define BAD_REQUEST 400
#define TOO_MANY_FIELDS 431
#define NOT_IMPLEMENTED 501
#define OTHER_VERSION 505
#define LENGTH_DIGITS_MAX 15

/* RFC 9110 s.5.6.2 */
static const bool token_char[256] = {
	['a' ... 'z'] = true,  ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['!'] = true,
	['#' ... '\''] = true, ['*'] = true,         ['+'] = true,         ['-'] = true,
	['.'] = true,          ['^' ... '`'] = true, ['|'] = true,         ['~'] = true,
};

static size_t token_len(const char *text)
{
	size_t len = 0;

	while (token_char[(unsigned char)text[len]]) {
		len++;
	}
	return len;
}

size_t http_head_len(const char *data, size_t len, size_t *scanned)
{
	size_t from = *scanned > 3 ? *scanned - 3 : 0;
	const char *end = len > from ? memmem(data + from, len - from, "\r\n\r\n", 4) : NULL;

	*scanned = len;
	return end ? (size_t)(end - data) + 4 : 0;
}

size_t http_head_blank(const char *data, size_t len)
{
	size_t at = 0;

	while (len - at >= 2 && data[at] == '\r' && data[at + 1] == '\n') {
		at += 2;
	}
	return at;
}

/* ---- lines ---------------------------------------------------------------------- */

/* A head under way: every text that is found becomes one of its own, with a NUL. */
struct reading {
	char *data;
	size_t len;
	size_t at;
	struct http_head *head;
	bool has_length;
};

/* Gives the next line without its CRLF; NULL: a lone CR or LF, or a NUL, is in it. */
static char *next_line(struct reading *reading)
{
	char *line = reading->data + reading->at;
	char *end = memmem(line, reading->len - reading->at, "\r\n", 2);
	size_t len = end ? (size_t)(end - line) : 0;

	if (!end || memchr(line, '\0', len) || memchr(line, '\r', len) || memchr(line, '\n', len)) {
		return NULL;
	}
	*end = '\0';
	reading->at += len + 2;
	return line;
}

static uint16_t offset_of(const struct reading *reading, const char *text)
{
	return (uint16_t)(text - reading->data);
}

/* ---- the first line (s.3) --------------------------------------------------------- */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* In place; false: a "%" that nothing follows, or a NUL. */
static bool decode_path(char *path)
{
	char *to = path;

	for (const char *from = path; *from; from++) {
		int high = *from == '%' ? hex_digit(from[1]) : 0;
		int low = *from == '%' && high >= 0 ? hex_digit(from[2]) : 0;

		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		if (high < 0 || low < 0 || (high == 0 && low == 0)) {
			return false;
		}
		*to++ = (char)(high * 16 + low);
		from += 2;
	}
	*to = '\0';
	return true;
}

/* s.3.2.1 "/path?query", s.3.2.2 "http://host/path?query". */
static bool read_target(struct reading *reading, char *target)
{
	char *scheme_end = strstr(target, "://");
	char *query;

	if (target[0] != '/' && scheme_end && strncasecmp(target, "http", 4) == 0) {
		target = strchr(scheme_end + 3, '/');
	}
	if (!target || target[0] != '/') {
		return false;
	}
	target[strcspn(target, "#")] = '\0';
	query = strchr(target, '?');
	if (query) {
		*query++ = '\0';
	} else {
		query = target + strlen(target);
	}
	reading->head->path = offset_of(reading, target);
	reading->head->query = offset_of(reading, query);
	return true;
}

static int read_first_line(struct reading *reading)
{
	char *line = next_line(reading);
	size_t method_len = line ? token_len(line) : 0;
	char *target, *version;

	if (method_len == 0 || line[method_len] != ' ') {
		return BAD_REQUEST;
	}
	line[method_len] = '\0';
	target = line + method_len + 1;
	version = strchr(target, ' ');
	if (!version || version == target) {
		return BAD_REQUEST;
	}
	*version++ = '\0';
	if (strncmp(version, "HTTP/", 5) != 0) {
		return BAD_REQUEST;
	}
	if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0) {
		return OTHER_VERSION;
	}
	for (const char *at = target; *at; at++) {
		if ((unsigned char)*at <= ' ' || *at == 0x7f) {
			return BAD_REQUEST;
		}
	}
	reading->head->method = offset_of(reading, line);
	reading->head->old = version[7] == '0';
	reading->head->keep_open = !reading->head->old;
	return read_target(reading, target) ? 0 : BAD_REQUEST;
}

/* ---- the fields (s.5) ------------------------------------------------------------- */

/* Whether word stands in a list separated by commas. */
static bool list_has(const char *list, const char *word)
{
	size_t word_len = strlen(word);

	while (*list) {
		size_t len;

		list += strspn(list, ", \t");
		len = strcspn(list, ", \t;");
		if (len == word_len && strncasecmp(list, word, len) == 0) {
			return true;
		}
		list += strcspn(list, ",");
	}
	return false;
}

/* s.6.3: one length, of digits alone. */
static int take_length(struct reading *reading, const char *value)
{
	size_t digits = strspn(value, "0123456789");

	if (reading->has_length || digits == 0 || value[digits] != '\0') {
		return BAD_REQUEST;
	}
	reading->has_length = true;
	/* Longer than any body that is taken, whatever it is. */
	reading->head->body_len =
		digits > LENGTH_DIGITS_MAX ? SIZE_MAX : (size_t)strtoull(value, NULL, 10);
	return 0;
}

/* s.6.1: the only coding that is understood. */
static int take_coding(struct reading *reading, const char *value)
{
	if (reading->head->chunked) {
		return BAD_REQUEST;
	}
	reading->head->chunked = strcasecmp(value, "chunked") == 0;
	return reading->head->chunked ? 0 : NOT_IMPLEMENTED;
}

static int take_field(struct reading *reading, const char *name, const char *value)
{
	struct http_head *head = reading->head;

	if (strcmp(name, "content-length") == 0) {
		return take_length(reading, value);
	}
	if (strcmp(name, "transfer-encoding") == 0) {
		return take_coding(reading, value);
	}
	if (strcmp(name, "connection") == 0) {
		head->keep_open = !list_has(value, "close") &&
				  (head->keep_open || list_has(value, "keep-alive"));
	} else if (strcmp(name, "expect") == 0 && strcasecmp(value, "100-continue") == 0) {
		head->expects_continue = !head->old;
	}
	return 0;
}

static char *trimmed(char *value)
{
	size_t len;

	value += strspn(value, " \t");
	len = strlen(value);
	while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t')) {
		len--;
	}
	value[len] = '\0';
	return value;
}

static bool has_control(const char *text)
{
	for (; *text; text++) {
		if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f) {
			return true;
		}
	}
	return false;
}

static int read_field(struct reading *reading, char *line)
{
	struct http_head *head = reading->head;
	size_t name_len = token_len(line);
	char *value;

	if (name_len == 0 || line[name_len] != ':' || has_control(line)) {
		return BAD_REQUEST;
	}
	if (head->field_count == HEAD_FIELDS_MAX) {
		return TOO_MANY_FIELDS;
	}
	line[name_len] = '\0';
	for (char *at = line; *at; at++) {
		*at = (char)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
	}
	value = trimmed(line + name_len + 1);
	head->field[head->field_count++] =
		(struct head_field){ offset_of(reading, line), offset_of(reading, value) };
	return take_field(reading, line, value);
}

int http_head_parse(char *data, size_t len, struct http_head *out)
{
	struct reading reading = { .data = data, .len = len, .head = out };
	int status;

	out->field_count = 0;
	out->body_len = 0;
	out->chunked = out->expects_continue = false;
	if (len > UINT16_MAX) {
		return TOO_MANY_FIELDS;
	}
	status = read_first_line(&reading);
	while (status == 0) {
		char *line = next_line(&reading);

		if (!line) {
			return BAD_REQUEST;
		}
		if (*line == '\0') {
			break;
		}
		status = read_field(&reading, line);
	}
	if (status == 0 && ((out->chunked && (reading.has_length || out->old)) ||
			    !decode_path(data + out->path))) {
		status = BAD_REQUEST;
	}
	return status;
}
