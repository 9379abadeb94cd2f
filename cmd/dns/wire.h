/*
 * wire: the octets of DNS messages (RFC 1035 s.4.1), as far as they are read
 * without ldns: TSIG needs the raw message, and what is not well formed must
 * be seen before ldns sees it. Private to cmd/dns.
 */
#ifndef DNS01_DNS_WIRE_H
#define DNS01_DNS_WIRE_H

#include "dns01/dns.h"

#define WIRE_HEADER_LEN 12
#define WIRE_NAME_MAX 255 /* RFC 1035 s.2.3.4 */
#define WIRE_MSG_MAX 65535

#define WIRE_CLASS_IN 1
#define WIRE_CLASS_NONE 254
#define WIRE_CLASS_ANY 255
#define WIRE_TYPE_OPT 41
#define WIRE_TYPE_TSIG 250
#define WIRE_OPCODE_QUERY 0
#define WIRE_OPCODE_UPDATE 5

/* A name in wire form, without compression, ending in the root's zero. */
struct wire_name {
	uint8_t data[WIRE_NAME_MAX];
	size_t len;
};

struct wire_header {
	uint16_t id;
	bool qr, aa, tc;
	uint8_t opcode, rcode;
	uint16_t count[4]; /* question, answer, authority, additional */
};

/* One record's frame; rdata points into the message. */
struct wire_rr {
	struct wire_name owner;
	size_t start, end; /* offsets in the message */
	uint16_t type, class;
	uint32_t ttl;
	const uint8_t *rdata;
	size_t rdata_len;
};

uint16_t wire_u16(const uint8_t *at);
uint32_t wire_u32(const uint8_t *at);
void wire_set_u16(uint8_t *at, uint16_t value);

bool wire_header_read(const uint8_t *wire, size_t len, struct wire_header *out);

/* Text in the form of dns.h (any case, \DDD) to wire; case stays. */
bool wire_name_from_text(const char *text, struct wire_name *out);
/* The form of dns.h: lower case, special octets as \DDD. */
void wire_name_text(const struct wire_name *name, char out[NAME_TEXT_MAX]);
bool wire_name_equal(const struct wire_name *a, const struct wire_name *b); /* RFC 4343 */
/* Follows compression (RFC 1035 s.4.1.4); *pos goes behind the name. */
bool wire_name_read(const uint8_t *wire, size_t len, size_t *pos, struct wire_name *out);
bool wire_rr_read(const uint8_t *wire, size_t len, size_t *pos, struct wire_rr *out);

#endif
