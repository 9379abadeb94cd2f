/*
 * Text at once. A tree costs a dozen allocations for each member, and jansson writes it octet by
 * octet: too much for lines that are written by the thousand.
 */
#include "internal.h"

/* What has a short escape; the rest below a space goes by number. */
static const char short_escapes[] = {
	['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't',
};

#define SHORT_MAX 200 /* a key, and a text, that are put together at once are shorter */

/* How many octets from text on stand for themselves. */
static size_t plain_span(const char *text)
{
	size_t len = 0;

	while ((unsigned char)text[len] >= 0x20 && text[len] != '"' && text[len] != '\\') {
		len++;
	}
	return len;
}

static bool is_ascii(const char *text)
{
	while (*text != '\0' && (unsigned char)*text < 0x80) {
		text++;
	}
	return *text == '\0';
}

static bool wants_comma(const struct buf *out)
{
	char last = out->len > 0 ? out->data[out->len - 1] : '[';

	return last != '{' && last != '[' && last != '\n';
}

static void put_key(struct buf *out, const char *key)
{
	if (wants_comma(out)) {
		buf_add(out, ",", 1);
	}
	if (key) {
		buf_add(out, "\"", 1);
		buf_add_str(out, key);
		buf_add(out, "\":", 2);
	}
}

#define EACH_OCTET(octet) (UINT64_C(0x0101010101010101) * (octet))

/* ASCII without an escape; eight octets at once. */
static bool stands_for_itself(const char *text, size_t len)
{
	while (len > 0) {
		size_t part = len < 8 ? len : 8;
		uint64_t octets = EACH_OCTET('x');
		uint64_t odd;

		memcpy(&octets, text, part);
		/* The high bit of an octet that is negative now: it was too small, or zero. */
		odd = octets | (octets - EACH_OCTET(0x20)) |
		      ((octets ^ EACH_OCTET('"')) - EACH_OCTET(1)) |
		      ((octets ^ EACH_OCTET('\\')) - EACH_OCTET(1));
		if (odd & EACH_OCTET(0x80)) {
			return false;
		}
		text += part;
		len -= part;
	}
	return true;
}

/* Most members: a text that needs no escape, and is short. False: it is not put. */
static bool put_short(struct buf *out, const char *key, const char *text)
{
	char whole[2 * SHORT_MAX + 8];
	size_t key_len = strnlen(key, SHORT_MAX);
	size_t text_len = strnlen(text, SHORT_MAX);
	size_t len = 0;

	if (key_len == SHORT_MAX || text_len == SHORT_MAX || !stands_for_itself(text, text_len)) {
		return false;
	}
	if (wants_comma(out)) {
		whole[len++] = ',';
	}
	whole[len++] = '"';
	memcpy(whole + len, key, key_len);
	len += key_len;
	memcpy(whole + len, "\":\"", 3);
	len += 3;
	memcpy(whole + len, text, text_len);
	len += text_len;
	whole[len++] = '"';
	buf_add(out, whole, len);
	return true;
}

static void put_escape(struct buf *out, unsigned char c)
{
	char text[7] = { '\\', (char)c, '\0' };

	if (c < sizeof(short_escapes) && short_escapes[c]) {
		text[1] = short_escapes[c];
	} else if (c < 0x20) {
		snprintf(text, sizeof(text), "\\u%04X", c);
	}
	buf_add_str(out, text);
}

static void put_ascii(struct buf *out, const char *text)
{
	size_t len = plain_span(text);

	buf_add(out, "\"", 1);
	buf_add(out, text, len);
	while (text[len] != '\0') {
		text += len;
		put_escape(out, (unsigned char)*text++);
		len = plain_span(text);
		buf_add(out, text, len);
	}
	buf_add(out, "\"", 1);
}

void json_put_str(struct buf *out, const char *key, const char *text)
{
	struct json *value;
	char *dumped;

	if (!text || (key && put_short(out, key, text))) {
		return;
	}
	put_key(out, key);
	if (is_ascii(text)) {
		put_ascii(out, text);
		return;
	}
	/* jansson knows UTF-8 */
	value = json_of(json_string_of(text));
	dumped = json_dump(value);
	buf_add_str(out, dumped);
	free(dumped);
	json_free(value);
}

void json_put_int(struct buf *out, const char *key, int64_t value)
{
	put_key(out, key);
	buf_addf(out, "%lld", (long long)value);
}

void json_put_bool(struct buf *out, const char *key, bool value)
{
	put_key(out, key);
	buf_add_str(out, value ? "true" : "false");
}

void json_put_open(struct buf *out, const char *key, enum json_kind kind)
{
	put_key(out, key);
	buf_add(out, kind == JSON_KIND_OBJECT ? "{" : "[", 1);
}

void json_put_close(struct buf *out, enum json_kind kind)
{
	buf_add(out, kind == JSON_KIND_OBJECT ? "}" : "]", 1);
}
