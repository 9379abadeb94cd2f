/*
 * wire: DNS messages as the simulated servers read and write them; code of its own, so that
 * the program's is tested against another reading of the RFCs.
 */
#ifndef DNS01_SIM_WIRE_H
#define DNS01_SIM_WIRE_H

#include "dns01/base.h"

#define WIRE_TEXT_MAX 256 /* the names here are short and plain */
#define WIRE_RR_MAX 2048
#define WIRE_SECRET_LEN 32

enum {
	TYPE_A = 1,
	TYPE_NS = 2,
	TYPE_CNAME = 5,
	TYPE_SOA = 6,
	TYPE_TXT = 16,
	TYPE_OPT = 41,
	TYPE_TSIG = 250
};
enum { TYPE_ANY = 255 };
enum { CLASS_IN = 1, CLASS_NONE = 254, CLASS_ANY = 255 };
enum { OPCODE_QUERY = 0, OPCODE_UPDATE = 5 };
enum { RCODE_OK = 0, RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3, RCODE_REFUSED = 5, RCODE_NOTAUTH = 9 };
enum { TSIG_BADTIME = 18 };

struct wire_rr {
	char owner[WIRE_TEXT_MAX];
	uint16_t type, class;
	uint32_t ttl;
	const uint8_t *data;
	uint16_t len;
	size_t at; /* where it begins */
};

struct wire_tsig {
	bool present;
	char key[WIRE_TEXT_MAX];
	uint64_t time_s;
	uint16_t fudge;
	uint8_t mac[64];
	size_t mac_len;
};

struct wire_msg {
	uint16_t id;
	uint8_t opcode;
	bool rd;
	char name[WIRE_TEXT_MAX]; /* of the question, or the zone */
	uint16_t type;
	struct wire_rr rr[WIRE_RR_MAX]; /* answers or prerequisites, authority or updates ... */
	size_t counts[3];               /* of each section */
	size_t rr_count;
	struct wire_tsig tsig; /* not among rr */
	size_t tsig_at;        /* where its record begins */
};

/* False: it is no message. */
bool wire_read(const uint8_t *data, size_t len, struct wire_msg *msg);
/* The strings of a TXT record joined. */
void wire_read_txt(const struct wire_rr *rr, char out[WIRE_TEXT_MAX]);
bool wire_verify(const uint8_t *data, const struct wire_msg *msg,
		 const uint8_t secret[WIRE_SECRET_LEN]);

/* A reply under way; counts are written by wire_end. */
struct wire_reply {
	struct buf out;
	uint16_t counts[3];
};

struct wire_head {
	uint16_t id;
	uint8_t opcode, rcode;
	bool aa, tc;
	const char *name; /* NULL: no question */
	uint16_t type;
};

void wire_begin(struct wire_reply *reply, const struct wire_head *head);
/* section: 0 answer, 1 authority, 2 additional; in that order. */
void wire_add_name(struct wire_reply *reply, int section, const char *owner, uint16_t type,
		   const char *target);
void wire_add_soa(struct wire_reply *reply, int section, const char *zone, uint32_t serial);
void wire_add_txt(struct wire_reply *reply, const char *owner, const char *value);
void wire_add_a(struct wire_reply *reply, int section, const char *owner, const struct addr *addr);
void wire_end(struct wire_reply *reply);

struct wire_signing {
	const uint8_t *secret;
	const struct wire_tsig *request;
	uint64_t now_s;
	uint16_t error; /* 0, or TSIG_BADTIME */
};
/* After wire_end. */
void wire_sign(struct wire_reply *reply, const struct wire_signing *signing);

/* An UPDATE of a client, under way. */
void wire_update_begin(struct buf *out, uint16_t id, const char *zone);
/* class IN adds; ANY without a value deletes the RRset of that type; NONE deletes the value. */
struct wire_change {
	const char *owner;
	uint16_t type, class;
	const char *value; /* NULL: none */
};
void wire_update_add(struct buf *out, const struct wire_change *change);
void wire_update_sign(struct buf *out, const char *key, const uint8_t *secret, uint64_t now_s);

#endif
