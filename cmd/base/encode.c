/* base64url (RFC 4648 s.5), base64 as people paste it, hexadecimal. */
#include "dns01/base.h"

#include <assert.h>

static const char url_alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_encode(char *out, size_t out_size, const void *data, size_t len)
{
	const uint8_t *octets = data;
	uint32_t bits = 0;
	int count = 0; /* bits not written yet */

	assert(out_size >= BASE64URL_LEN(len));
	for (size_t i = 0; i < len; i++) {
		bits = (bits << 8 | octets[i]) & 0xffff;
		for (count += 8; count >= 6; count -= 6) {
			*out++ = url_alphabet[bits >> (count - 6) & 0x3f];
		}
	}
	if (count > 0) {
		*out++ = url_alphabet[bits << (6 - count) & 0x3f];
	}
	*out = '\0';
}

/* clang-format off */
/* Both alphabets the other way round: no digit means different things in them. Looked up, since
 * a store's certificates are millions of digits. */
static const int8_t values[128] = {
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 62, -1, 62, -1, 63,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, -1, -1, -1, -1, -1, -1,
	-1,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, -1, -1, -1, -1, 63,
	-1, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, -1, -1, -1, -1, -1,
};
/* clang-format on */

static int any_value(char c)
{
	const unsigned char octet = (unsigned char)c;

	return octet < ARRAY_LEN(values) ? values[octet] : -1;
}

/* Its 6 bits in the URL alphabet; -1: not in it. */
static int url_value(char c)
{
	return c == '+' || c == '/' ? -1 : any_value(c);
}

/* Octets out of 6-bit digits. */
struct decoder {
	uint8_t *out;
	size_t max, len;
	size_t digits;
	uint32_t bits;
	int count;
};

static bool decoder_add(struct decoder *decoder, int value)
{
	if (value < 0) {
		return false;
	}
	decoder->digits++;
	decoder->bits = (decoder->bits << 6 | (uint32_t)value) & 0xffff;
	decoder->count += 6;
	if (decoder->count < 8) {
		return true;
	}
	if (decoder->len == decoder->max) {
		return false;
	}
	decoder->count -= 8;
	decoder->out[decoder->len++] = (uint8_t)(decoder->bits >> decoder->count);
	return true;
}

/* No single digit left over, and no bits in the last one that mean nothing (s.3.5). */
static bool decoder_end(const struct decoder *decoder)
{
	uint32_t stray = decoder->bits & ((1U << decoder->count) - 1);

	return decoder->digits % 4 != 1 && stray == 0;
}

bool base64url_decode(const char *text, size_t len, uint8_t *out, size_t max, size_t *out_len)
{
	struct decoder decoder = { .out = out, .max = max };

	for (size_t i = 0; i < len; i++) {
		if (!decoder_add(&decoder, url_value(text[i]))) {
			return false;
		}
	}
	if (!decoder_end(&decoder)) {
		return false;
	}
	*out_len = decoder.len;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Three octets out of four digits where nothing is left over; false: one by one. */
static bool decoder_add_four(struct decoder *decoder, const char *text)
{
	uint32_t bits = 0;
	int wrong = 0; /* negative when one of them is none */

	if (decoder->count != 0 || decoder->max - decoder->len < 3) {
		return false;
	}
	for (size_t i = 0; i < 4; i++) {
		int value = any_value(text[i]);

		wrong |= value;
		bits = bits << 6 | ((uint32_t)value & 0x3f);
	}
	if (wrong < 0) {
		return false;
	}
	decoder->out[decoder->len++] = (uint8_t)(bits >> 16);
	decoder->out[decoder->len++] = (uint8_t)(bits >> 8);
	decoder->out[decoder->len++] = (uint8_t)bits;
	decoder->digits += 4;
	return true;
}

bool base64_decode_any(const char *text, size_t len, uint8_t *out, size_t max, size_t *out_len)
{
	struct decoder decoder = { .out = out, .max = max };
	size_t padding = 0;

	for (size_t i = 0; i < len; i++) {
		while (padding == 0 && len - i > 4 && decoder_add_four(&decoder, text + i)) {
			i += 4;
		}
		if (is_blank(text[i])) {
			continue;
		}
		if (text[i] == '=') {
			padding++;
		} else if (padding > 0 || !decoder_add(&decoder, any_value(text[i]))) {
			return false;
		}
	}
	if (!decoder_end(&decoder) || (padding > 0 && (decoder.digits + padding) % 4 != 0) ||
	    padding > 2) {
		return false;
	}
	*out_len = decoder.len;
	return true;
}

char *base64_encode(const void *data, size_t len)
{
	size_t size = BASE64URL_LEN(len);
	char *text = xmalloc(size + 2);

	base64url_encode(text, size, data, len);
	for (char *at = text; *at; at++) {
		*at = (char)(*at == '-' ? '+' : *at == '_' ? '/' : *at);
	}
	while (strlen(text) % 4 != 0) {
		memcpy(text + strlen(text), "=", 2);
	}
	return text;
}

bool base64url_is(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (url_value(text[i]) < 0) {
			return false;
		}
	}
	return len > 0;
}

void hex_encode(char *out, size_t out_size, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *octets = data;

	assert(out_size > 2 * len);
	for (size_t i = 0; i < len; i++) {
		*out++ = digits[octets[i] >> 4];
		*out++ = digits[octets[i] & 0xf];
	}
	*out = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'f') {
		return c - 'a' + 10;
	}
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool hex_decode(const char *text, uint8_t *out, size_t max, size_t *out_len)
{
	size_t len = strlen(text);

	if (len % 2 != 0 || len / 2 > max) {
		return false;
	}
	for (size_t i = 0; i < len; i += 2) {
		int high = hex_value(text[i]);
		int low = hex_value(text[i + 1]);

		if (high < 0 || low < 0) {
			return false;
		}
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	*out_len = len / 2;
	return true;
}
