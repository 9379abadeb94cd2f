/* Text of peers, made harmless, and numbers. */
#include "dns01/base.h"

struct utf8_lead {
	uint8_t mask, bits;
	uint32_t min; /* the smallest code point that needs this many octets */
};

/* By length - 1; RFC 3629 s.3. */
static const struct utf8_lead leads[] = {
	{ 0x80, 0x00, 0 },
	{ 0xe0, 0xc0, 0x80 },
	{ 0xf0, 0xe0, 0x800 },
	{ 0xf8, 0xf0, 0x10000 },
};

/* Characters that steer a terminal or reorder the line instead of being shown. */
static bool is_control(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0) ||
	       (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

/* Length of the character at text that may be shown as it is; 0: it may not. */
static size_t plain_char(const uint8_t *text, size_t len)
{
	for (size_t n = 1; n <= ARRAY_LEN(leads) && n <= len; n++) {
		const struct utf8_lead *lead = &leads[n - 1];
		uint32_t point = text[0] & (uint8_t)~lead->mask;
		size_t i = 1;

		if ((text[0] & lead->mask) != lead->bits) {
			continue;
		}
		while (i < n && (text[i] & 0xc0) == 0x80) {
			point = point << 6 | (text[i++] & 0x3f);
		}
		if (i < n || point < lead->min || point > 0x10ffff ||
		    (point >= 0xd800 && point <= 0xdfff)) {
			return 0;
		}
		return is_control(point) ? 0 : n;
	}
	return 0;
}

void text_escape(char *out, size_t max, const char *text, size_t len)
{
	static const char dots[] = "...";
	size_t at = 0;
	size_t cut = 0; /* where the dots go if the rest does not fit */

	if (max == 0) {
		return;
	}
	for (size_t i = 0; i < len;) {
		size_t plain = plain_char((const uint8_t *)text + i, len - i);
		char unit[5];
		size_t unit_len = plain ? plain : 4;

		if (at + unit_len >= max) {
			snprintf(out + cut, max - cut, "%s", dots);
			return;
		}
		if (plain) {
			memcpy(unit, text + i, plain);
		} else {
			snprintf(unit, sizeof(unit), "\\x%02x", (unsigned)(uint8_t)text[i]);
		}
		memcpy(out + at, unit, unit_len);
		at += unit_len;
		i += plain ? plain : 1;
		if (at + strlen(dots) < max) {
			cut = at;
		}
	}
	out[at] = '\0';
}

bool text_parse_u64(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (!*text) {
		return false;
	}
	for (; *text; text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (*text < '0' || *text > '9' || value > (UINT64_MAX - digit) / 10) {
			return false;
		}
		value = value * 10 + digit;
	}
	if (value > max) {
		return false;
	}
	*out = value;
	return true;
}
