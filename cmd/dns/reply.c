/* reply: what a request is answered with, and TSIG on the answering side (RFC 8945 s.5.2, 5.3). */
#include "tsig.h"

#include "msg.h"

#define SOA_REFRESH_S 3600
#define SOA_RETRY_S 600
#define SOA_EXPIRE_S 86400

/* ---- verifying ---------------------------------------------------------------------- */

static bool mac_matches(const uint8_t *wire, const struct tsig_rr *rr, const struct tsig_key *key)
{
	struct buf digest = BUF_INIT(WIRE_MSG_MAX + TSIG_RR_MAX);
	uint8_t expected[MAC_MAX];
	bool same = false;

	buf_add(&digest, wire, rr->start);
	wire_set_u16((uint8_t *)digest.data, rr->original_id);
	wire_set_u16((uint8_t *)digest.data + 10, wire_u16(wire + 10) - 1);
	if (tsig_add_variables(&digest, key, rr)) {
		tsig_compute(key, &digest, expected);
		same = equal_constant_time(expected, rr->mac, mac_len(key->alg));
	}
	buf_clear(&digest);
	return same;
}

enum tsig_verdict tsig_verify_request(const uint8_t *wire, size_t len,
				      const struct dns_request *request, const struct tsig_key *key,
				      int64_t now_s)
{
	struct tsig_rr rr;
	int64_t offset_s, fudge_s;

	(void)request;
	if (!key || tsig_find(wire, len, &rr) != TSIG_FOUND ||
	    !tsig_same_name(&rr.key_name, key->name) ||
	    !tsig_same_name(&rr.alg_name, tsig_alg_name(key->alg))) {
		return TSIG_IS_BADKEY;
	}
	if (rr.mac_len != mac_len(key->alg) || !mac_matches(wire, &rr, key)) {
		return TSIG_IS_BADSIG;
	}
	/* A wider fudge than ours would outlive what is remembered against replays. */
	fudge_s = rr.fudge_s < TSIG_FUDGE_S ? rr.fudge_s : TSIG_FUDGE_S;
	offset_s = now_s - (int64_t)rr.time_s;
	if (offset_s > fudge_s || offset_s < -fudge_s) {
		return TSIG_IS_BADTIME;
	}
	return TSIG_VERIFIED;
}

/* ---- building ------------------------------------------------------------------------ */

static void add_name(struct buf *out, const char *text)
{
	struct wire_name name;

	if (wire_name_from_text(text, &name)) {
		buf_add(out, name.data, name.len);
	}
}

static void add_rdata(struct buf *out, const struct dns_answer_rr *rr)
{
	struct buf rdata = BUF_INIT(UINT16_MAX);
	char *mailbox;

	if (rr->txt) {
		buf_add_u8(&rdata, (uint8_t)strlen(rr->txt));
		buf_add(&rdata, rr->txt, (uint8_t)strlen(rr->txt));
	} else {
		mailbox = xasprintf("hostmaster.%s", rr->owner);
		add_name(&rdata, rr->soa_mname);
		add_name(&rdata, mailbox);
		buf_add_u32(&rdata, rr->soa_serial);
		buf_add_u32(&rdata, SOA_REFRESH_S);
		buf_add_u32(&rdata, SOA_RETRY_S);
		buf_add_u32(&rdata, SOA_EXPIRE_S);
		buf_add_u32(&rdata, rr->ttl_s);
		free(mailbox);
	}
	buf_add_u16(out, (uint16_t)rdata.len);
	buf_add(out, rdata.data, rdata.len);
	buf_clear(&rdata);
}

static void add_records(struct buf *out, const struct dns_reply *reply)
{
	for (enum dns_section section = DNS_ANSWER; section <= DNS_ADDITIONAL; section++) {
		for (size_t i = 0; i < reply->rr_count; i++) {
			const struct dns_answer_rr *rr = &reply->rr[i];
			uint8_t *count = (uint8_t *)out->data + 6 + 2 * (size_t)section;

			if (rr->section != section) {
				continue;
			}
			wire_set_u16(count, wire_u16(count) + 1);
			add_name(out, rr->owner);
			buf_add_u16(out, rr->txt ? DNS_TYPE_TXT : DNS_TYPE_SOA);
			buf_add_u16(out, WIRE_CLASS_IN);
			buf_add_u32(out, rr->ttl_s);
			add_rdata(out, rr);
		}
	}
}

#define FLAG_TC 0x0200

static void add_head(struct buf *out, const uint8_t *wire, const struct dns_request *request,
		     unsigned flags)
{
	flags |= 0x8000 | (wire[2] & 0x79u) << 8;

	buf_add(out, wire, 2);
	buf_add_u16(out, (uint16_t)flags);
	buf_add_u16(out, request ? 1 : 0);
	buf_add_u16(out, 0);
	buf_add_u32(out, 0);
	if (request) {
		add_name(out, request->name);
		buf_add_u16(out, request->type);
		buf_add_u16(out, request->class_);
	}
}

/* s.5.3.1: the digest of an answer begins with the request's MAC. */
static void sign(struct buf *out, const struct dns_request *request, const struct dns_reply *reply)
{
	const struct tsig_mac *asked = &request->tsig->mac;
	struct buf digest = BUF_INIT(2 * WIRE_MSG_MAX + TSIG_RR_MAX);
	uint8_t now[6] = { (uint8_t)(reply->now_s >> 40), (uint8_t)(reply->now_s >> 32),
			   (uint8_t)(reply->now_s >> 24), (uint8_t)(reply->now_s >> 16),
			   (uint8_t)(reply->now_s >> 8),  (uint8_t)reply->now_s };
	uint8_t mac[MAC_MAX];
	struct tsig_rr rr = {
		.time_s = (uint64_t)reply->now_s,
		.fudge_s = TSIG_FUDGE_S,
		.original_id = request->id,
		.error = (uint16_t)reply->verdict,
		.mac = mac,
		.mac_len = mac_len(reply->key->alg),
	};

	if (reply->verdict == TSIG_IS_BADTIME) {
		/* s.5.2.3: the request's time, and ours beside it */
		rr.time_s = (uint64_t)request->tsig->time_s;
		rr.other = now;
		rr.other_len = sizeof(now);
	}
	buf_add_u16(&digest, (uint16_t)asked->len);
	buf_add(&digest, asked->mac, asked->len);
	buf_add(&digest, out->data, out->len);
	if (tsig_add_variables(&digest, reply->key, &rr)) {
		tsig_compute(reply->key, &digest, mac);
		if (!tsig_append(out, reply->key, &rr)) {
			out->overflow = true;
		}
	}
	buf_clear(&digest);
}

/* s.5.3.2: the key or the signature is not ours, so neither is one on the answer. */
static void add_unsigned(struct buf *out, const struct dns_request *request,
			 const struct dns_reply *reply)
{
	const struct tsig_claim *claim = request->tsig;
	struct wire_name alg;
	uint8_t *header;

	if (!wire_name_from_text(claim->alg, &alg)) {
		return;
	}
	add_name(out, claim->key);
	buf_add_u16(out, WIRE_TYPE_TSIG);
	buf_add_u16(out, WIRE_CLASS_ANY);
	buf_add_u32(out, 0);
	buf_add_u16(out, (uint16_t)(alg.len + 16));
	buf_add(out, alg.data, alg.len);
	buf_add_u16(out, (uint16_t)(claim->time_s >> 32));
	buf_add_u32(out, (uint32_t)claim->time_s);
	buf_add_u16(out, claim->fudge_s);
	buf_add_u16(out, 0);
	buf_add_u16(out, request->id);
	buf_add_u16(out, (uint16_t)reply->verdict);
	buf_add_u16(out, 0);
	header = (uint8_t *)out->data;
	wire_set_u16(header + 10, wire_u16(header + 10) + 1);
}

static void build(struct buf *out, const uint8_t *wire, const struct dns_request *request,
		  const struct dns_reply *reply, bool cut)
{
	unsigned flags = (reply->aa ? 0x0400 : 0) | (reply->rcode & 0x0f) | (cut ? FLAG_TC : 0);

	buf_init(out, WIRE_MSG_MAX);
	add_head(out, wire, request, flags);
	if (!cut) {
		add_records(out, reply);
	}
	if (request && request->edns) {
		msg_add_edns(out);
	}
	if (request && request->tsig && reply->key &&
	    (reply->verdict == TSIG_VERIFIED || reply->verdict == TSIG_IS_BADTIME)) {
		sign(out, request, reply);
	} else if (request && request->tsig && reply->verdict != TSIG_VERIFIED) {
		add_unsigned(out, request, reply);
	}
}

void dns_reply_build(struct buf *out, const uint8_t *wire, const struct dns_request *request,
		     const struct dns_reply *reply)
{
	build(out, wire, request, reply, false);
	if (out->overflow || (reply->max > 0 && out->len > reply->max)) {
		buf_clear(out);
		build(out, wire, request, reply, true);
	}
}
