/* tsig: what the transport and the answering side need besides dns.h. Private to cmd/dns. */
#ifndef DNS01_DNS_TSIG_H
#define DNS01_DNS_TSIG_H

#include "wire.h"

/* The longest name and algorithm, a whole MAC: what a signature adds at most. */
#define TSIG_RR_MAX (WIRE_NAME_MAX + 10 + 13 + 16 + MAC_MAX + 6)

/* RFC 8945 s.3: the error field of a TSIG record, which extends RCODEs. */
enum tsig_error {
	TSIG_NO_ERROR = 0,
	TSIG_BADSIG = 16,
	TSIG_BADKEY = 17,
	TSIG_BADTIME = 18,
	TSIG_BADTRUNC = 22
};

/* A TSIG record, decoded (s.4.2). */
struct tsig_rr {
	size_t start; /* where the signed message ends */
	struct wire_name key_name, alg_name;
	uint64_t time_s; /* 48 bits */
	uint16_t fudge_s, original_id, error;
	const uint8_t *mac;
	size_t mac_len;
	const uint8_t *other;
	size_t other_len;
};

enum tsig_found { TSIG_FOUND, TSIG_ABSENT, TSIG_BROKEN };

/* s.5.1: exactly one, the last record of the additional section. */
enum tsig_found tsig_find(const uint8_t *wire, size_t len, struct tsig_rr *out);
bool tsig_same_name(const struct wire_name *wire, const char *text);
/* s.4.3.3: the variables behind the message in the digest. */
bool tsig_add_variables(struct buf *out, const struct tsig_key *key, const struct tsig_rr *rr);
void tsig_compute(const struct tsig_key *key, const struct buf *digest, uint8_t out[MAC_MAX]);
/* s.4.2: the record behind the message, ARCOUNT + 1. */
bool tsig_append(struct buf *wire, const struct tsig_key *key, const struct tsig_rr *rr);

#endif
