/* msg: queries built, replies checked and decoded. Private to cmd/dns. */
#ifndef DNS01_DNS_MSG_H
#define DNS01_DNS_MSG_H

#include "wire.h"

#define MSG_EDNS_SIZE 1232 /* DNS flag day 2020: no fragments */

/* What a reply has to repeat to be ours (RFC 5452 s.9.1). */
struct msg_expect {
	uint16_t id;
	uint8_t opcode;
	struct wire_name name;
	uint16_t type;
};

/* Header with ID 0 and the question; out is empty. */
void msg_build_query(struct buf *out, const struct wire_name *name, uint16_t type, bool recurse);
void msg_add_edns(struct buf *out); /* an empty OPT record, ARCOUNT + 1 */
/* ID, QR, opcode, and the question, which some error replies may lack. */
bool msg_is_reply(const uint8_t *wire, size_t len, const struct msg_expect *expect);
/* The whole message, to its last octet; gives. */
enum err_code msg_parse(const uint8_t *wire, size_t len, struct dns_msg **out,
			struct err *err) MUST_CHECK;

#endif
