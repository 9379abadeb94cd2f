#include "msg.h"

#include <ldns/ldns.h>

static const char *const rcode_names[] = {
	[DNS_NOERROR] = "NOERROR",
	[DNS_FORMERR] = "FORMERR",
	[DNS_SERVFAIL] = "SERVFAIL",
	[DNS_NXDOMAIN] = "NXDOMAIN",
	[DNS_NOTIMP] = "NOTIMP",
	[DNS_REFUSED] = "REFUSED",
	[6] = "YXDOMAIN",
	[7] = "YXRRSET",
	[8] = "NXRRSET",
	[DNS_NOTAUTH] = "NOTAUTH",
	[DNS_NOTZONE] = "NOTZONE",
	[16] = "BADVERS",
};

const char *dns_rcode_name(unsigned rcode)
{
	static char other[24]; /* one thread; good until the next odd code */

	if (rcode < ARRAY_LEN(rcode_names) && rcode_names[rcode]) {
		return rcode_names[rcode];
	}
	snprintf(other, sizeof(other), "RCODE %u", rcode);
	return other;
}

const char *dns_type_name(unsigned type)
{
	static const struct {
		unsigned type;
		const char *name;
	} names[] = {
		{ DNS_TYPE_A, "A" },         { DNS_TYPE_NS, "NS" },   { DNS_TYPE_CNAME, "CNAME" },
		{ DNS_TYPE_SOA, "SOA" },     { DNS_TYPE_TXT, "TXT" }, { DNS_TYPE_AAAA, "AAAA" },
		{ DNS_TYPE_DNAME, "DNAME" }, { DNS_TYPE_ANY, "ANY" },
	};
	static char other[24];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (names[i].type == type) {
			return names[i].name;
		}
	}
	snprintf(other, sizeof(other), "TYPE%u", type); /* RFC 3597 s.5 */
	return other;
}

void msg_build_query(struct buf *out, const struct wire_name *name, uint16_t type, bool recurse)
{
	buf_add_u16(out, 0);
	buf_add_u16(out, recurse ? 0x0100 : 0);
	buf_add_u16(out, 1);
	buf_add_u16(out, 0);
	buf_add_u32(out, 0);
	buf_add(out, name->data, name->len);
	buf_add_u16(out, type);
	buf_add_u16(out, WIRE_CLASS_IN);
}

void msg_add_edns(struct buf *out)
{
	uint8_t *header;

	/* RFC 6891 s.6.1.2: root owner, size in the class, no flags, no options. */
	buf_add_u8(out, 0);
	buf_add_u16(out, WIRE_TYPE_OPT);
	buf_add_u16(out, MSG_EDNS_SIZE);
	buf_add_u32(out, 0);
	buf_add_u16(out, 0);
	if (!out->overflow) {
		header = (uint8_t *)out->data;
		wire_set_u16(header + 10, wire_u16(header + 10) + 1);
	}
}

/* RFC 2136 s.3.8 lets UPDATE replies drop all sections, and a server that could
 * not read the message, or would not, may have no question to repeat. */
static bool may_lack_question(const struct wire_header *header)
{
	return header->opcode == WIRE_OPCODE_UPDATE || header->rcode == DNS_FORMERR ||
	       header->rcode == DNS_NOTIMP || header->rcode == DNS_SERVFAIL ||
	       header->rcode == DNS_REFUSED;
}

bool msg_is_reply(const uint8_t *wire, size_t len, const struct msg_expect *expect)
{
	struct wire_header header;
	struct wire_name name;
	size_t pos = WIRE_HEADER_LEN;

	if (!wire_header_read(wire, len, &header) || header.id != expect->id || !header.qr ||
	    header.opcode != expect->opcode) {
		return false;
	}
	if (header.count[0] == 0) {
		return may_lack_question(&header) && header.count[1] == 0 && header.count[2] == 0;
	}
	return header.count[0] == 1 && wire_name_read(wire, len, &pos, &name) && len - pos >= 4 &&
	       wire_name_equal(&name, &expect->name) && wire_u16(wire + pos) == expect->type &&
	       wire_u16(wire + pos + 2) == WIRE_CLASS_IN;
}

/* The frames alone, before ldns, which would not see octets behind the counted
 * records, and loses the first where OPT or TSIG come twice (RFC 6891 s.6.1.1,
 * RFC 8945 s.5.1: once). */
static bool is_well_formed(const uint8_t *wire, size_t len, const struct wire_header *header)
{
	size_t pos = WIRE_HEADER_LEN;
	size_t opt = 0;
	size_t tsig = 0;
	size_t records = (size_t)header->count[1] + header->count[2] + header->count[3];

	for (size_t i = 0; i < header->count[0]; i++) {
		struct wire_name name;

		if (!wire_name_read(wire, len, &pos, &name) || len - pos < 4) {
			return false;
		}
		pos += 4;
	}
	for (size_t i = 0; i < records; i++) {
		struct wire_rr rr;

		if (!wire_rr_read(wire, len, &pos, &rr)) {
			return false;
		}
		opt += rr.type == WIRE_TYPE_OPT;
		tsig += rr.type == WIRE_TYPE_TSIG;
	}
	return pos == len && opt <= 1 && tsig <= 1;
}

static char *name_of_rdf(const ldns_rdf *rdf)
{
	struct wire_name name;
	char text[NAME_TEXT_MAX];

	if (!rdf || ldns_rdf_size(rdf) > WIRE_NAME_MAX) {
		return NULL;
	}
	name.len = ldns_rdf_size(rdf);
	memcpy(name.data, ldns_rdf_data(rdf), name.len);
	wire_name_text(&name, text);
	return xstrdup(text);
}

static void decode_address(const ldns_rr *from, struct dns_rr *to)
{
	const ldns_rdf *rdf = ldns_rr_rdf(from, 0);

	if (to->type == DNS_TYPE_A && rdf && ldns_rdf_size(rdf) == 4) {
		to->addr.len = sizeof(to->addr.u.in);
		to->addr.u.in.sin_family = AF_INET;
		memcpy(&to->addr.u.in.sin_addr, ldns_rdf_data(rdf), 4);
	} else if (to->type == DNS_TYPE_AAAA && rdf && ldns_rdf_size(rdf) == 16) {
		to->addr.len = sizeof(to->addr.u.in6);
		to->addr.u.in6.sin6_family = AF_INET6;
		memcpy(&to->addr.u.in6.sin6_addr, ldns_rdf_data(rdf), 16);
	} else {
		return;
	}
	addr_set_port(&to->addr, DNS_PORT);
}

/* RFC 1035 s.3.3.14: character strings, each with its length in front. */
static void decode_txt(const ldns_rr *from, struct dns_rr *to)
{
	struct buf joined = BUF_INIT(WIRE_MSG_MAX);

	for (size_t i = 0; i < ldns_rr_rd_count(from); i++) {
		const ldns_rdf *rdf = ldns_rr_rdf(from, i);

		if (rdf && ldns_rdf_size(rdf) > 1) {
			buf_add(&joined, ldns_rdf_data(rdf) + 1, ldns_rdf_size(rdf) - 1);
		}
	}
	to->txt_len = joined.len;
	to->txt = buf_detach(&joined);
}

static void decode_soa(const ldns_rr *from, struct dns_rr *to)
{
	to->target = name_of_rdf(ldns_rr_rdf(from, 0));
	to->soa_serial = ldns_rdf2native_int32(ldns_rr_rdf(from, 2));
	to->soa_minimum_s = ldns_rdf2native_int32(ldns_rr_rdf(from, 6));
}

static void decode_rr(const ldns_rr *from, enum dns_section section, struct dns_rr *to)
{
	to->owner = name_of_rdf(ldns_rr_owner(from));
	to->section = section;
	to->type = (uint16_t)ldns_rr_get_type(from);
	to->ttl_s = ldns_rr_ttl(from);
	if (to->ttl_s > INT32_MAX) {
		to->ttl_s = 0; /* RFC 2181 s.8 */
	}
	switch (to->type) {
	case DNS_TYPE_A:
	case DNS_TYPE_AAAA:
		decode_address(from, to);
		break;
	case DNS_TYPE_NS:
	case DNS_TYPE_CNAME:
	case DNS_TYPE_DNAME:
		to->target = name_of_rdf(ldns_rr_rdf(from, 0));
		break;
	case DNS_TYPE_TXT:
		decode_txt(from, to);
		break;
	case DNS_TYPE_SOA:
		decode_soa(from, to);
		break;
	default:
		break;
	}
}

/* False for a record whose type promised data that is not there. */
static bool rr_is_whole(const struct dns_rr *rr)
{
	switch (rr->type) {
	case DNS_TYPE_A:
	case DNS_TYPE_AAAA:
		return rr->addr.len > 0;
	case DNS_TYPE_NS:
	case DNS_TYPE_CNAME:
	case DNS_TYPE_DNAME:
	case DNS_TYPE_SOA:
		return rr->target;
	default:
		return true;
	}
}

static bool decode_section(struct dns_msg *msg, const ldns_rr_list *list, enum dns_section section)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
		const ldns_rr *from = ldns_rr_list_rr(list, i);
		struct dns_rr *to = &msg->rr[msg->rr_count];

		if (ldns_rr_get_class(from) != LDNS_RR_CLASS_IN) {
			continue;
		}
		if (ldns_rr_get_type(from) == LDNS_RR_TYPE_SOA && ldns_rr_rd_count(from) != 7) {
			return false;
		}
		decode_rr(from, section, to);
		msg->rr_count++;
		if (!to->owner || !rr_is_whole(to)) {
			return false;
		}
	}
	return true;
}

static bool decode(const ldns_pkt *pkt, struct dns_msg *msg)
{
	unsigned rcode = (unsigned)ldns_pkt_get_rcode(pkt) |
			 (unsigned)ldns_pkt_edns_extended_rcode(pkt) << 4;

	msg->rcode = rcode > UINT8_MAX ? UINT8_MAX : (uint8_t)rcode;
	msg->aa = ldns_pkt_aa(pkt);
	msg->tc = ldns_pkt_tc(pkt);
	return decode_section(msg, ldns_pkt_answer(pkt), DNS_ANSWER) &&
	       decode_section(msg, ldns_pkt_authority(pkt), DNS_AUTHORITY) &&
	       decode_section(msg, ldns_pkt_additional(pkt), DNS_ADDITIONAL);
}

enum err_code msg_parse(const uint8_t *wire, size_t len, struct dns_msg **out, struct err *err)
{
	struct wire_header header;
	struct dns_msg *msg = NULL;
	ldns_pkt *pkt = NULL;
	size_t records;
	enum err_code rc = ERR_NONE;

	if (!wire_header_read(wire, len, &header) || !is_well_formed(wire, len, &header)) {
		rc = err_set(err, ERR_PROTOCOL, "", "the reply is not a well-formed DNS message");
		goto out;
	}
	records = (size_t)header.count[1] + header.count[2] + header.count[3];
	if (records > DNS_RR_MAX) {
		rc = err_set(err, ERR_LIMIT, "", "the reply has %zu records; at most %d are read",
			     records, DNS_RR_MAX);
		goto out;
	}
	msg = xcalloc(1, sizeof(*msg));
	msg->rr = xcalloc(records + 1, sizeof(*msg->rr));
	if (ldns_wire2pkt(&pkt, wire, len) != LDNS_STATUS_OK || !decode(pkt, msg)) {
		rc = err_set(err, ERR_PROTOCOL, "", "a record of the reply cannot be read");
		goto out;
	}
	*out = msg;
	msg = NULL;
out:
	ldns_pkt_free(pkt);
	dns_msg_free(msg);
	return rc;
}

void dns_msg_free(struct dns_msg *msg)
{
	if (!msg) {
		return;
	}
	for (size_t i = 0; i < msg->rr_count; i++) {
		free(msg->rr[i].owner);
		free(msg->rr[i].target);
		free(msg->rr[i].txt);
	}
	free(msg->rr);
	free(msg);
}

const struct dns_rr *dns_msg_find(const struct dns_msg *msg, enum dns_section section,
				  const char *owner, uint16_t type)
{
	for (size_t i = 0; i < msg->rr_count; i++) {
		const struct dns_rr *rr = &msg->rr[i];

		if (rr->section == section && rr->type == type &&
		    (!owner || strcmp(rr->owner, owner) == 0)) {
			return rr;
		}
	}
	return NULL;
}

bool dns_msg_has_txt(const struct dns_msg *msg, const char *owner, const char *value)
{
	size_t len = strlen(value);

	for (size_t i = 0; i < msg->rr_count; i++) {
		const struct dns_rr *rr = &msg->rr[i];

		if (rr->section == DNS_ANSWER && rr->type == DNS_TYPE_TXT &&
		    strcmp(rr->owner, owner) == 0 && rr->txt_len == len &&
		    memcmp(rr->txt, value, len) == 0) {
			return true;
		}
	}
	return false;
}
