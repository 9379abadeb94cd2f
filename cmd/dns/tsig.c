/*
 * RFC 8945 over the octets as they are sent and received: nothing is decoded
 * and encoded again between the wire and the MAC.
 */
#include "tsig.h"

static void add_u48(struct buf *out, uint64_t value)
{
	buf_add_u16(out, (uint16_t)(value >> 32));
	buf_add_u32(out, (uint32_t)value);
}

static uint64_t read_u48(const uint8_t *at)
{
	return (uint64_t)wire_u16(at) << 32 | wire_u32(at + 2);
}

/* Names are digested in lower case, without compression (s.4.3.3). */
static bool add_canonical(struct buf *out, const char *name)
{
	struct wire_name wire;

	if (!wire_name_from_text(name, &wire)) {
		return false;
	}
	buf_add(out, wire.data, wire.len);
	return true;
}

bool tsig_add_variables(struct buf *out, const struct tsig_key *key, const struct tsig_rr *rr)
{
	if (!add_canonical(out, key->name)) {
		return false;
	}
	buf_add_u16(out, WIRE_CLASS_ANY);
	buf_add_u32(out, 0);
	if (!add_canonical(out, tsig_alg_name(key->alg))) {
		return false;
	}
	add_u48(out, rr->time_s);
	buf_add_u16(out, rr->fudge_s);
	buf_add_u16(out, rr->error);
	buf_add_u16(out, (uint16_t)rr->other_len);
	buf_add(out, rr->other, rr->other_len);
	return !out->overflow;
}

bool tsig_append(struct buf *wire, const struct tsig_key *key, const struct tsig_rr *rr)
{
	const char *alg = tsig_alg_name(key->alg);
	size_t alg_len = strlen(alg) + 2; /* one label and the root */
	uint8_t *header;

	if (!add_canonical(wire, key->name)) {
		return false;
	}
	buf_add_u16(wire, WIRE_TYPE_TSIG);
	buf_add_u16(wire, WIRE_CLASS_ANY);
	buf_add_u32(wire, 0);
	buf_add_u16(wire, (uint16_t)(alg_len + 16 + rr->mac_len + rr->other_len));
	if (!add_canonical(wire, alg)) {
		return false;
	}
	add_u48(wire, rr->time_s);
	buf_add_u16(wire, rr->fudge_s);
	buf_add_u16(wire, (uint16_t)rr->mac_len);
	buf_add(wire, rr->mac, rr->mac_len);
	buf_add_u16(wire, rr->original_id);
	buf_add_u16(wire, rr->error);
	buf_add_u16(wire, (uint16_t)rr->other_len);
	buf_add(wire, rr->other, rr->other_len);
	if (wire->overflow || wire->len > WIRE_MSG_MAX) {
		return false;
	}
	header = (uint8_t *)wire->data;
	wire_set_u16(header + 10, wire_u16(header + 10) + 1);
	return true;
}

void tsig_compute(const struct tsig_key *key, const struct buf *digest, uint8_t out[MAC_MAX])
{
	mac_of(
		&(struct mac_input){
			.alg = key->alg,
			.secret = key->secret,
			.secret_len = key->secret_len,
			.data = digest->data,
			.len = digest->len,
		},
		out);
}

enum err_code tsig_sign(struct buf *wire, const struct tsig_key *key, int64_t now_s,
			struct tsig_mac *mac_out, struct err *err)
{
	struct buf digest = BUF_INIT(WIRE_MSG_MAX + TSIG_RR_MAX);
	struct tsig_rr rr = { .time_s = (uint64_t)now_s, .fudge_s = TSIG_FUDGE_S };
	struct tsig_mac mac = { .len = mac_len(key->alg) };
	enum err_code rc = ERR_NONE;

	if (wire->overflow || wire->len < WIRE_HEADER_LEN) {
		rc = err_set(err, ERR_INTERNAL, key->name, "there is no whole message to sign");
		goto out;
	}
	buf_add(&digest, wire->data, wire->len);
	if (!tsig_add_variables(&digest, key, &rr)) {
		rc = err_set(err, ERR_CONFIG, key->name, "the TSIG key's name is no domain name");
		goto out;
	}
	tsig_compute(key, &digest, mac.mac);
	rr.mac = mac.mac;
	rr.mac_len = mac.len;
	rr.original_id = wire_u16((const uint8_t *)wire->data);
	if (!tsig_append(wire, key, &rr)) {
		rc = err_set(err, ERR_LIMIT, key->name,
			     "the message and its signature are larger than a DNS message can be");
		goto out;
	}
	*mac_out = mac;
out:
	buf_clear(&digest);
	return rc;
}

static bool decode_rdata(const struct wire_rr *from, struct tsig_rr *out)
{
	const uint8_t *rdata = from->rdata;
	size_t len = from->rdata_len;
	size_t pos = 0;

	/* The algorithm's name must not be compressed (RFC 3597 s.4), so it
	 * is read within the RDATA alone. */
	if (!wire_name_read(rdata, len, &pos, &out->alg_name) || len - pos < 10) {
		return false;
	}
	out->time_s = read_u48(rdata + pos);
	out->fudge_s = wire_u16(rdata + pos + 6);
	out->mac_len = wire_u16(rdata + pos + 8);
	pos += 10;
	if (len - pos < out->mac_len || len - pos - out->mac_len < 6) {
		return false;
	}
	out->mac = rdata + pos;
	pos += out->mac_len;
	out->original_id = wire_u16(rdata + pos);
	out->error = wire_u16(rdata + pos + 2);
	out->other_len = wire_u16(rdata + pos + 4);
	pos += 6;
	out->other = rdata + pos;
	return len - pos == out->other_len;
}

enum tsig_found tsig_find(const uint8_t *wire, size_t len, struct tsig_rr *out)
{
	struct wire_header header;
	struct wire_rr rr = { .type = 0 };
	size_t pos = WIRE_HEADER_LEN;
	size_t records;

	if (!wire_header_read(wire, len, &header)) {
		return TSIG_BROKEN;
	}
	for (size_t i = 0; i < header.count[0]; i++) {
		struct wire_name name;

		if (!wire_name_read(wire, len, &pos, &name) || len - pos < 4) {
			return TSIG_BROKEN;
		}
		pos += 4;
	}
	records = (size_t)header.count[1] + header.count[2] + header.count[3];
	for (size_t i = 0; i < records; i++) {
		if (rr.type == WIRE_TYPE_TSIG || !wire_rr_read(wire, len, &pos, &rr)) {
			return TSIG_BROKEN;
		}
	}
	if (pos != len) {
		return TSIG_BROKEN;
	}
	if (rr.type != WIRE_TYPE_TSIG) {
		return TSIG_ABSENT;
	}
	out->start = rr.start;
	out->key_name = rr.owner;
	if (header.count[3] == 0 || rr.class != WIRE_CLASS_ANY || rr.ttl != 0 ||
	    !decode_rdata(&rr, out)) {
		return TSIG_BROKEN;
	}
	return TSIG_FOUND;
}

bool tsig_same_name(const struct wire_name *wire, const char *text)
{
	struct wire_name other;

	return wire_name_from_text(text, &other) && wire_name_equal(wire, &other);
}

/* s.5.3.1: the request's MAC goes first; the ID is the one that was signed. */
static bool mac_matches(const uint8_t *wire, const struct tsig_rr *rr, const struct tsig_key *key,
			const struct tsig_mac *request)
{
	struct buf digest = BUF_INIT(WIRE_MSG_MAX * 2 + TSIG_RR_MAX);
	uint8_t expected[MAC_MAX];
	size_t at = 2 + request->len;
	bool same = false;

	buf_add_u16(&digest, (uint16_t)request->len);
	buf_add(&digest, request->mac, request->len);
	buf_add(&digest, wire, rr->start);
	wire_set_u16((uint8_t *)digest.data + at, rr->original_id);
	wire_set_u16((uint8_t *)digest.data + at + 10, wire_u16(wire + 10) - 1);
	if (tsig_add_variables(&digest, key, rr)) {
		tsig_compute(key, &digest, expected);
		same = equal_constant_time(expected, rr->mac, mac_len(key->alg));
	}
	buf_clear(&digest);
	return same;
}

/* s.5.3 "no TSIG when one was expected": never a result, only a hint. */
static enum err_code unsigned_reply(const uint8_t *wire, const struct tsig_key *key,
				    struct err *err)
{
	unsigned rcode = wire[3] & 0x0f;

	switch (rcode) {
	case DNS_NOERROR:
	case DNS_NXDOMAIN:
		return err_set(err, ERR_PROTOCOL, "",
			       "the reply is not signed though the request was (key %s), so it is "
			       "not believed; does this server know TSIG, or is something between "
			       "that answers for it?",
			       key->name);
	case DNS_REFUSED:
		return err_set(
			err, ERR_DENIED, "",
			"REFUSED, without a signature: so PowerDNS answers a wrong secret, a "
			"wrong algorithm, a clock that is off, or a zone without "
			"TSIG-ALLOW-DNSUPDATE for key %s; other servers refuse this host's "
			"address",
			key->name);
	case DNS_NOTAUTH:
		return err_set(err, ERR_DENIED, "",
			       "NOTAUTH, without a signature: the server does not serve this zone "
			       "as its primary, or (Knot) key %s is not known to it",
			       key->name);
	default:
		return err_set(err, ERR_DENIED, "",
			       "%s, without a signature though the request was signed (key %s); "
			       "the server's log should say why",
			       dns_rcode_name(rcode), key->name);
	}
}

static enum err_code bad_time(int64_t offset_s, const struct tsig_key *key, struct err *err)
{
	return err_set(err, ERR_DENIED, "",
		       "NOTAUTH BADTIME: the server's clock is %lld s %s this host's (at most %d s "
		       "may be between them); set the clock that is wrong (key %s)",
		       (long long)(offset_s < 0 ? -offset_s : offset_s),
		       offset_s < 0 ? "behind" : "ahead of", TSIG_FUDGE_S, key->name);
}

/* s.5.2: BADKEY and BADSIG cannot be signed; the server did not get so far. */
static enum err_code refused_signature(const struct tsig_rr *rr, const struct tsig_key *key,
				       int64_t now_s, struct err *err)
{
	const char *alg = tsig_alg_name(key->alg);

	if (rr->error == TSIG_BADTIME && rr->other_len == 6) {
		return bad_time((int64_t)read_u48(rr->other) - now_s, key, err);
	}
	switch (rr->error) {
	case TSIG_BADKEY:
		return err_set(err, ERR_DENIED, "",
			       "NOTAUTH BADKEY: the server does not know key %s with %s (is name "
			       "and algorithm the same there?); Knot also answers so when the key "
			       "is known but not allowed for this name or type",
			       key->name, alg);
	case TSIG_BADSIG:
		return err_set(err, ERR_DENIED, "",
			       "NOTAUTH BADSIG: the secret of key %s is not the server's secret",
			       key->name);
	case TSIG_BADTRUNC:
		return err_set(err, ERR_DENIED, "",
			       "NOTAUTH BADTRUNC: the server wants another length of the MAC for "
			       "key %s (%s)",
			       key->name, alg);
	default:
		return err_set(err, ERR_DENIED, "",
			       "the server refused the signature of key %s, TSIG error %u",
			       key->name, rr->error);
	}
}

/* What is left once the MAC is right: times and the error field. */
static enum err_code check_signed(const struct tsig_rr *rr, const struct tsig_key *key,
				  int64_t now_s, bool *hopeless, struct err *err)
{
	int64_t offset_s = (int64_t)rr->time_s - now_s;

	/* s.5.2.3: its time is our own; the server's stands in Other Data. */
	if (rr->error != TSIG_BADTIME &&
	    (offset_s > rr->fudge_s || offset_s < -(int64_t)rr->fudge_s)) {
		return err_set(err, ERR_PROTOCOL, "",
			       "the reply was signed %lld s %s this host's time, which is outside "
			       "the %u s allowed: a replayed reply, or a clock that is wrong",
			       (long long)(offset_s < 0 ? -offset_s : offset_s),
			       offset_s < 0 ? "before" : "after", rr->fudge_s);
	}
	if (rr->error != TSIG_NO_ERROR) {
		*hopeless = true;
		return refused_signature(rr, key, now_s, err);
	}
	return ERR_NONE;
}

enum err_code tsig_verify_reply(const struct tsig_reply *reply, const struct tsig_key *key,
				bool *hopeless, struct err *err)
{
	struct tsig_rr rr;

	*hopeless = false;
	switch (tsig_find(reply->wire, reply->len, &rr)) {
	case TSIG_BROKEN:
		return err_set(err, ERR_PROTOCOL, "",
			       "the reply is malformed, or its TSIG record is not alone and last");
	case TSIG_ABSENT:
		return unsigned_reply(reply->wire, key, err);
	case TSIG_FOUND:
		break;
	}
	if (!tsig_same_name(&rr.key_name, key->name) ||
	    !tsig_same_name(&rr.alg_name, tsig_alg_name(key->alg))) {
		return err_set(err, ERR_PROTOCOL, "",
			       "the reply is signed by another key or algorithm than %s (%s)",
			       key->name, tsig_alg_name(key->alg));
	}
	if (rr.mac_len == 0 && rr.error != TSIG_NO_ERROR) {
		*hopeless = true;
		return refused_signature(&rr, key, reply->now_s, err);
	}
	if (rr.mac_len != mac_len(key->alg)) {
		return err_set(err, ERR_PROTOCOL, "",
			       "the reply's MAC has %zu octets; %s has %zu, and truncated ones are "
			       "not accepted",
			       rr.mac_len, tsig_alg_name(key->alg), mac_len(key->alg));
	}
	if (!mac_matches(reply->wire, &rr, key, reply->request)) {
		return err_set(err, ERR_PROTOCOL, "",
			       "the reply's signature is wrong: it was forged or altered, or the "
			       "secret of key %s is not the server's",
			       key->name);
	}
	return check_signed(&rr, key, reply->now_s, hopeless, err);
}
