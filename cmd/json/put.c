/*
 * Text at once. A tree costs a dozen allocations for each member, and jansson writes it octet by
 * octet: too much for lines that are written by the thousand.
 */
#include "internal.h"

/* What has a short escape; the rest below a space goes by number. */
static const char short_escapes[] = {
	['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't',
};

#define SHORT_MAX 400 /* octets of key and text that are put together at once */

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

/* Most members: an ASCII text that needs no escape, and is short. False: it is not put. */
static bool put_short(struct buf *out, const char *key, const char *text)
{
	char whole[SHORT_MAX + 8];
	size_t len = 0;

	if (wants_comma(out)) {
		whole[len++] = ',';
	}
	whole[len++] = '"';
	for (; *key && len < SHORT_MAX; key++) {
		whole[len++] = *key;
	}
	if (*key) {
		return false;
	}
	whole[len++] = '"';
	whole[len++] = ':';
	whole[len++] = '"';
	for (; *text && len < SHORT_MAX; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') {
			return false;
		}
		whole[len++] = (char)c;
	}
	if (*text) {
		return false;
	}
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
