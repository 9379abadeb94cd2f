/* request: what a stranger sends, read octet by octet (RFC 1035 s.4.1, RFC 2136 s.2). */
#include "tsig.h"

#define UDP_MAX_PLAIN 512 /* RFC 1035 s.4.2.1 */
#define UDP_MAX_EDNS 1232

void dns_request_free(struct dns_request *request)
{
	struct dns_request_rr *lists[2];
	size_t counts[2];

	if (!request) {
		return;
	}
	lists[0] = request->prerequisite;
	counts[0] = request->prerequisite_count;
	lists[1] = request->update;
	counts[1] = request->update_count;
	for (size_t list = 0; list < 2; list++) {
		for (size_t i = 0; i < counts[list]; i++) {
			free(lists[list][i].owner);
			free(lists[list][i].txt);
		}
		free(lists[list]);
	}
	free(request->tsig);
	free(request);
}

/* RFC 1035 s.3.3.14: character strings, each with its length in front; at least one. */
static bool read_txt(const struct wire_rr *from, struct dns_request_rr *to)
{
	struct buf joined = BUF_INIT(WIRE_MSG_MAX);

	for (size_t pos = 0; pos < from->rdata_len;) {
		size_t len = from->rdata[pos++];

		if (from->rdata_len - pos < len) {
			buf_clear(&joined);
			return false;
		}
		buf_add(&joined, from->rdata + pos, len);
		pos += len;
	}
	to->txt_len = joined.len;
	to->txt = buf_detach(&joined);
	return true;
}

static bool read_rr(const struct wire_rr *from, struct dns_request_rr *to)
{
	char owner[NAME_TEXT_MAX];

	wire_name_text(&from->owner, owner);
	*to = (struct dns_request_rr){
		.owner = xstrdup(owner),
		.type = from->type,
		.class_ = from->class,
		.ttl_s = from->ttl,
		.has_data = from->rdata_len > 0,
	};
	return from->type != DNS_TYPE_TXT || !to->has_data || read_txt(from, to);
}

/* Where reading is. */
struct reader {
	const uint8_t *wire;
	size_t len, pos;
};

static bool read_section(struct reader *reader, size_t count, struct dns_request_rr **out,
			 size_t *out_count)
{
	struct wire_rr rr;

	*out = xcalloc(count + 1, sizeof(**out));
	for (size_t i = 0; i < count; i++) {
		if (!wire_rr_read(reader->wire, reader->len, &reader->pos, &rr)) {
			return false;
		}
		if (!read_rr(&rr, &(*out)[(*out_count)++])) {
			return false;
		}
	}
	return true;
}

static bool read_additional(struct reader *reader, size_t count, struct dns_request *request)
{
	struct wire_rr rr;
	size_t opts = 0;

	for (size_t i = 0; i < count; i++) {
		if (!wire_rr_read(reader->wire, reader->len, &reader->pos, &rr)) {
			return false;
		}
		if (rr.type == WIRE_TYPE_OPT) {
			opts++;
			request->edns = true;
			/* RFC 6891 s.6.2.3: the class is the size */
			request->udp_max = rr.class < UDP_MAX_PLAIN  ? UDP_MAX_PLAIN
					   : rr.class > UDP_MAX_EDNS ? UDP_MAX_EDNS
								     : rr.class;
		}
	}
	return opts <= 1 && reader->pos == reader->len;
}

static bool read_tsig(const uint8_t *wire, size_t len, struct dns_request *request)
{
	struct tsig_rr rr;
	enum tsig_found found = tsig_find(wire, len, &rr);
	struct tsig_claim *claim;

	if (found != TSIG_FOUND) {
		return found == TSIG_ABSENT;
	}
	if (rr.mac_len > MAC_MAX) {
		return false;
	}
	claim = xcalloc(1, sizeof(*claim));
	wire_name_text(&rr.key_name, claim->key);
	wire_name_text(&rr.alg_name, claim->alg);
	memcpy(claim->mac.mac, rr.mac, rr.mac_len);
	claim->mac.len = rr.mac_len;
	claim->time_s = (int64_t)rr.time_s;
	claim->fudge_s = rr.fudge_s;
	request->tsig = claim;
	return true;
}

static unsigned read_question(struct reader *reader, struct dns_request *request)
{
	struct wire_name name;

	if (!wire_name_read(reader->wire, reader->len, &reader->pos, &name) ||
	    reader->len - reader->pos < 4) {
		return DNS_FORMERR;
	}
	wire_name_text(&name, request->name);
	request->type = wire_u16(reader->wire + reader->pos);
	request->class_ = wire_u16(reader->wire + reader->pos + 2);
	reader->pos += 4;
	if (request->opcode == DNS_OPCODE_UPDATE && request->type != DNS_TYPE_SOA) {
		return DNS_FORMERR; /* RFC 2136 s.2.3 */
	}
	return DNS_NOERROR;
}

/* The code to refuse it by; 0: it is whole. */
static unsigned read_message(struct reader *reader, const struct wire_header *header,
			     struct dns_request *request)
{
	unsigned rcode;

	if (header->opcode != DNS_OPCODE_QUERY && header->opcode != DNS_OPCODE_UPDATE) {
		return DNS_NOTIMP;
	}
	if (header->count[0] != 1) {
		return DNS_FORMERR;
	}
	rcode = read_question(reader, request);
	if (rcode != DNS_NOERROR) {
		return rcode;
	}
	if (header->opcode == DNS_OPCODE_QUERY && (header->count[1] > 0 || header->count[2] > 0)) {
		return DNS_FORMERR;
	}
	if ((size_t)header->count[1] + header->count[2] > DNS_REQUEST_RR_MAX) {
		return DNS_REFUSED;
	}
	if (!read_section(reader, header->count[1], &request->prerequisite,
			  &request->prerequisite_count) ||
	    !read_section(reader, header->count[2], &request->update, &request->update_count) ||
	    !read_additional(reader, header->count[3], request) ||
	    !read_tsig(reader->wire, reader->len, request)) {
		return DNS_FORMERR;
	}
	return request->class_ == WIRE_CLASS_IN ? DNS_NOERROR : DNS_REFUSED;
}

enum err_code dns_request_parse(const uint8_t *wire, size_t len, struct dns_request **out,
				unsigned *rcode, struct err *err)
{
	struct reader reader = { wire, len, WIRE_HEADER_LEN };
	struct wire_header header;
	struct dns_request *request;

	*rcode = DNS_NOERROR;
	if (!wire_header_read(wire, len, &header) || header.qr) {
		return err_set(err, ERR_PROTOCOL, "", "that is no DNS request");
	}
	request = xcalloc(1, sizeof(*request));
	request->id = header.id;
	request->opcode = header.opcode;
	request->recursion_desired = wire[2] & 0x01;
	request->udp_max = UDP_MAX_PLAIN;
	*rcode = read_message(&reader, &header, request);
	if (*rcode != DNS_NOERROR) {
		dns_request_free(request);
		return err_set(err, ERR_PROTOCOL, "", "the DNS request is refused: %s",
			       dns_rcode_name(*rcode));
	}
	*out = request;
	return ERR_NONE;
}
