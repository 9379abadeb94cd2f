#include "wire.h"

#include <ldns/ldns.h>

uint16_t wire_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

uint32_t wire_u32(const uint8_t *at)
{
	return (uint32_t)wire_u16(at) << 16 | wire_u16(at + 2);
}

void wire_set_u16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

bool wire_header_read(const uint8_t *wire, size_t len, struct wire_header *out)
{
	if (len < WIRE_HEADER_LEN) {
		return false;
	}
	out->id = wire_u16(wire);
	out->qr = wire[2] & 0x80;
	out->opcode = (wire[2] >> 3) & 0x0f;
	out->aa = wire[2] & 0x04;
	out->tc = wire[2] & 0x02;
	out->rcode = wire[3] & 0x0f;
	for (size_t i = 0; i < 4; i++) {
		out->count[i] = wire_u16(wire + 4 + 2 * i);
	}
	return true;
}

bool wire_name_from_text(const char *text, struct wire_name *out)
{
	ldns_rdf *rdf = NULL;
	bool ok = false;

	if (ldns_str2rdf_dname(&rdf, text) == LDNS_STATUS_OK &&
	    ldns_rdf_size(rdf) <= WIRE_NAME_MAX) {
		out->len = ldns_rdf_size(rdf);
		memcpy(out->data, ldns_rdf_data(rdf), out->len);
		ok = true;
	}
	ldns_rdf_deep_free(rdf);
	return ok;
}

static uint8_t lower(uint8_t octet)
{
	return octet >= 'A' && octet <= 'Z' ? octet + ('a' - 'A') : octet;
}

/* What name_parse takes bare; all else is \DDD, so that each name has one text
 * and may be split at dots. */
static bool is_plain(uint8_t octet)
{
	return (octet >= 'a' && octet <= 'z') || (octet >= '0' && octet <= '9') || octet == '-' ||
	       octet == '_';
}

/* The asterisk of a wildcard (RFC 4592 s.2.1.1), which is the first label. */
static bool is_wildcard(const struct wire_name *name)
{
	return name->len > 3 && name->data[0] == 1 && name->data[1] == '*';
}

void wire_name_text(const struct wire_name *name, char out[NAME_TEXT_MAX])
{
	size_t at = 0;

	/* At most 254 octets of labels, each up to four characters. */
	for (size_t pos = 0; pos < name->len && name->data[pos]; pos += name->data[pos] + 1u) {
		if (at > 0) {
			out[at++] = '.';
		}
		for (size_t i = 1; i <= name->data[pos]; i++) {
			uint8_t octet = lower(name->data[pos + i]);

			if (is_plain(octet) || (pos == 0 && is_wildcard(name))) {
				out[at++] = (char)octet;
			} else {
				at += (size_t)snprintf(out + at, NAME_TEXT_MAX - at, "\\%03u",
						       octet);
			}
		}
	}
	if (at == 0) {
		out[at++] = '.';
	}
	out[at] = '\0';
}

bool wire_name_equal(const struct wire_name *a, const struct wire_name *b)
{
	if (a->len != b->len) {
		return false;
	}
	/* Length octets are below 64, so lower() leaves them alone. */
	for (size_t i = 0; i < a->len; i++) {
		if (lower(a->data[i]) != lower(b->data[i])) {
			return false;
		}
	}
	return true;
}

bool wire_name_read(const uint8_t *wire, size_t len, size_t *pos, struct wire_name *out)
{
	size_t at = *pos;
	size_t limit = len; /* a pointer must point before where it stands: no loops */
	bool jumped = false;

	out->len = 0;
	while (at < limit) {
		size_t label = wire[at];

		if ((label & 0xc0) == 0xc0) {
			size_t target;

			if (at + 2 > len) {
				return false;
			}
			target = wire_u16(wire + at) & 0x3fffu;
			*pos = jumped ? *pos : at + 2;
			jumped = true;
			if (target >= at) {
				return false;
			}
			limit = at;
			at = target;
			continue;
		}
		if (label > 63 || at + 1 + label > len || out->len + 1 + label > WIRE_NAME_MAX) {
			return false;
		}
		memcpy(out->data + out->len, wire + at, 1 + label);
		out->len += 1 + label;
		at += 1 + label;
		if (label == 0) {
			*pos = jumped ? *pos : at;
			return true;
		}
	}
	return false;
}

bool wire_rr_read(const uint8_t *wire, size_t len, size_t *pos, struct wire_rr *out)
{
	size_t at = *pos;

	out->start = at;
	if (!wire_name_read(wire, len, &at, &out->owner) || len - at < 10) {
		return false;
	}
	out->type = wire_u16(wire + at);
	out->class = wire_u16(wire + at + 2);
	out->ttl = wire_u32(wire + at + 4);
	out->rdata_len = wire_u16(wire + at + 8);
	at += 10;
	if (len - at < out->rdata_len) {
		return false;
	}
	out->rdata = wire + at;
	out->end = at + out->rdata_len;
	*pos = out->end;
	return true;
}
