/* What a request says, read octet by octet (RFC 9112); no sockets here. */
#ifndef DNS01_HTTP_HEAD_H
#define DNS01_HTTP_HEAD_H

#include "dns01/base.h"

#define HEAD_FIELDS_MAX 64

/* Offsets into the octets of the head, where NULs stand behind each text once it is parsed. */
struct head_field {
	uint16_t name; /* lower case */
	uint16_t value;
};

struct http_head {
	uint16_t method;
	uint16_t path;  /* decoded, without the query; no NUL in it */
	uint16_t query; /* as it came, behind the "?"; "" */
	struct head_field field[HEAD_FIELDS_MAX];
	size_t field_count;
	size_t body_len; /* when it is not chunked */
	bool chunked;
	bool expects_continue; /* s.10.1.1 of RFC 9110 */
	bool old;              /* HTTP/1.0 */
	bool keep_open;        /* after the answer */
};

/* Octets of the first head in data, its empty line included; 0: it is not whole yet. *scanned,
 * at first 0, remembers where the search ended. */
size_t http_head_len(const char *data, size_t len, size_t *scanned);
/* How many octets of empty lines stand in front of a request (s.2.2 lets clients send some). */
size_t http_head_blank(const char *data, size_t len);
/* Of a whole head, which is changed in place. 0, or the status to refuse it with. */
int http_head_parse(char *data, size_t len, struct http_head *out);

/* ---- a chunked body (s.7.1) -------------------------------------------------------- */

enum chunk_state { CHUNK_SIZE, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILER, CHUNK_OVER };

struct http_chunks {
	enum chunk_state state;
	size_t left;     /* octets of the present chunk */
	size_t line_len; /* octets of the present line so far */
	size_t trailer_len;
	bool any_digit, in_extension;
	bool cr;         /* the last octet was one that ends a line */
	struct buf body; /* with a maximum of its owner's */
};

/* Takes octets as they come; *used of them, fewer than len where the body ended. 0, or the status
 * to refuse it with. */
int http_chunks_take(struct http_chunks *chunks, const char *data, size_t len, size_t *used);

#endif
