#include "sim/wire.h"

#include "dns01/crypto.h"

#define ALGORITHM "hmac-sha256"

/* ---- reading ---- */

struct cursor {
	const uint8_t *data;
	size_t len, at;
	bool bad;
};

static uint32_t get(struct cursor *cursor, size_t octets)
{
	uint32_t value = 0;

	if (cursor->bad || cursor->len - cursor->at < octets) {
		cursor->bad = true;
		return 0;
	}
	for (size_t i = 0; i < octets; i++) {
		value = value << 8 | cursor->data[cursor->at++];
	}
	return value;
}

static void get_name(struct cursor *cursor, char out[WIRE_TEXT_MAX])
{
	size_t at = cursor->at, end = 0, used = 0;

	out[0] = '\0';
	for (unsigned hops = 0; !cursor->bad; hops++) {
		uint8_t label = at < cursor->len ? cursor->data[at] : 0xff;

		if (hops > 128 || at >= cursor->len) {
			cursor->bad = true;
		} else if ((label & 0xc0) == 0xc0 && at + 1 < cursor->len) {
			end = end ? end : at + 2;
			at = (size_t)(label & 0x3f) << 8 | cursor->data[at + 1];
		} else if (label == 0) {
			cursor->at = end ? end : at + 1;
			break;
		} else if (label > 63 || at + 1 + label > cursor->len ||
			   used + label + 2 > WIRE_TEXT_MAX) {
			cursor->bad = true;
		} else {
			used += (size_t)snprintf(out + used, WIRE_TEXT_MAX - used, "%s%.*s",
						 used ? "." : "", label,
						 (const char *)cursor->data + at + 1);
			at += 1U + label;
		}
	}
	for (char *c = out; *c; c++) {
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
	}
}

static void get_rr(struct cursor *cursor, struct wire_rr *rr)
{
	rr->at = cursor->at;
	get_name(cursor, rr->owner);
	rr->type = (uint16_t)get(cursor, 2);
	rr->class = (uint16_t)get(cursor, 2);
	rr->ttl = get(cursor, 4);
	rr->len = (uint16_t)get(cursor, 2);
	rr->data = cursor->data + cursor->at;
	if (cursor->bad || cursor->len - cursor->at < rr->len) {
		cursor->bad = true;
		return;
	}
	cursor->at += rr->len;
}

static void read_tsig(const struct wire_rr *rr, struct wire_msg *msg)
{
	struct cursor cursor = { .data = rr->data, .len = rr->len };
	struct wire_tsig *tsig = &msg->tsig;
	char algorithm[WIRE_TEXT_MAX];

	snprintf(tsig->key, sizeof(tsig->key), "%s", rr->owner);
	get_name(&cursor, algorithm);
	tsig->time_s = (uint64_t)get(&cursor, 2) << 32;
	tsig->time_s |= get(&cursor, 4);
	tsig->fudge = (uint16_t)get(&cursor, 2);
	tsig->mac_len = get(&cursor, 2);
	tsig->present = !cursor.bad && strcmp(algorithm, ALGORITHM) == 0 &&
			tsig->mac_len <= sizeof(tsig->mac) &&
			cursor.len - cursor.at >= tsig->mac_len;
	if (tsig->present) {
		memcpy(tsig->mac, cursor.data + cursor.at, tsig->mac_len);
		msg->tsig_at = rr->at;
	}
}

bool wire_read(const uint8_t *data, size_t len, struct wire_msg *msg)
{
	struct cursor cursor = { .data = data, .len = len };
	uint32_t flags, questions;

	memset(msg, 0, offsetof(struct wire_msg, rr));
	msg->rr_count = 0;
	msg->tsig = (struct wire_tsig){ 0 };
	msg->id = (uint16_t)get(&cursor, 2);
	flags = get(&cursor, 2);
	msg->opcode = flags >> 11 & 0xf;
	msg->rd = flags & 0x100;
	questions = get(&cursor, 2);
	for (size_t i = 0; i < 3; i++) {
		msg->counts[i] = get(&cursor, 2);
	}
	get_name(&cursor, msg->name);
	msg->type = (uint16_t)get(&cursor, 2);
	get(&cursor, 2);
	for (size_t i = 0; i < msg->counts[0] + msg->counts[1] + msg->counts[2]; i++) {
		struct wire_rr *rr = &msg->rr[msg->rr_count];

		if (msg->rr_count + 1 >= WIRE_RR_MAX || cursor.bad) {
			return false;
		}
		get_rr(&cursor, rr);
		if (rr->type == TYPE_TSIG) {
			read_tsig(rr, msg);
		} else {
			msg->rr_count++;
		}
	}
	return !cursor.bad && questions == 1 && cursor.at == len && !(flags & 0x8000);
}

void wire_read_txt(const struct wire_rr *rr, char out[WIRE_TEXT_MAX])
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t at = 0; at < rr->len; at += 1U + rr->data[at]) {
		used += (size_t)snprintf(out + used, WIRE_TEXT_MAX - used, "%.*s", rr->data[at],
					 (const char *)rr->data + at + 1);
		if (used >= WIRE_TEXT_MAX) {
			return;
		}
	}
}

/* ---- writing ---- */

static void put_name(struct buf *out, const char *name)
{
	while (*name && strcmp(name, ".") != 0) {
		size_t len = strcspn(name, ".");

		buf_add_u8(out, (uint8_t)len);
		buf_add(out, name, len);
		name += name[len] ? len + 1 : len;
	}
	buf_add_u8(out, 0);
}

void wire_begin(struct wire_reply *reply, const struct wire_head *head)
{
	uint16_t flags = (uint16_t)(0x8000 | head->opcode << 11 | head->rcode);

	memset(reply->counts, 0, sizeof(reply->counts));
	buf_init(&reply->out, 65535);
	buf_add_u16(&reply->out, head->id);
	buf_add_u16(&reply->out, flags | (head->aa ? 0x400 : 0) | (head->tc ? 0x200 : 0));
	buf_add_u16(&reply->out, head->name ? 1 : 0);
	buf_add(&reply->out, "\0\0\0\0\0\0", 6);
	if (head->name) {
		put_name(&reply->out, head->name);
		buf_add_u16(&reply->out, head->type);
		buf_add_u16(&reply->out, CLASS_IN);
	}
}

static void put_rr(struct wire_reply *reply, int section, const char *owner, uint16_t type,
		   const struct buf *data)
{
	put_name(&reply->out, owner);
	buf_add_u16(&reply->out, type);
	buf_add_u16(&reply->out, CLASS_IN);
	buf_add_u32(&reply->out, 60);
	buf_add_u16(&reply->out, (uint16_t)data->len);
	buf_add(&reply->out, data->data, data->len);
	reply->counts[section]++;
}

void wire_add_name(struct wire_reply *reply, int section, const char *owner, uint16_t type,
		   const char *target)
{
	struct buf data = BUF_INIT(512);

	put_name(&data, target);
	put_rr(reply, section, owner, type, &data);
	buf_clear(&data);
}

void wire_add_soa(struct wire_reply *reply, int section, const char *zone, uint32_t serial)
{
	static const uint32_t times[] = { 3600, 600, 86400, 60 };
	struct buf data = BUF_INIT(512);

	put_name(&data, zone);
	put_name(&data, zone);
	buf_add_u32(&data, serial);
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		buf_add_u32(&data, times[i]);
	}
	put_rr(reply, section, zone, TYPE_SOA, &data);
	buf_clear(&data);
}

void wire_add_txt(struct wire_reply *reply, const char *owner, const char *value)
{
	struct buf data = BUF_INIT(512);

	buf_add_u8(&data, (uint8_t)strlen(value));
	buf_add_str(&data, value);
	put_rr(reply, 0, owner, TYPE_TXT, &data);
	buf_clear(&data);
}

void wire_add_a(struct wire_reply *reply, int section, const char *owner, const struct addr *addr)
{
	struct buf data = BUF_INIT(8);

	buf_add(&data, &addr->u.in.sin_addr, 4);
	put_rr(reply, section, owner, TYPE_A, &data);
	buf_clear(&data);
}

static void put_counts(struct wire_reply *reply)
{
	uint8_t *at = (uint8_t *)reply->out.data + 6;

	for (size_t i = 0; i < 3; i++) {
		*at++ = (uint8_t)(reply->counts[i] >> 8);
		*at++ = (uint8_t)reply->counts[i];
	}
}

void wire_end(struct wire_reply *reply)
{
	put_counts(reply);
}

/* ---- TSIG, RFC 8945 ---- */

static void put_time(struct buf *out, uint64_t time_s)
{
	buf_add_u16(out, (uint16_t)(time_s >> 32));
	buf_add_u32(out, (uint32_t)time_s);
}

/* s.4.3.3: the variables that are digested. */
static void put_variables(struct buf *out, const struct wire_tsig *tsig, uint16_t error,
			  const struct buf *other)
{
	put_name(out, tsig->key);
	buf_add_u16(out, CLASS_ANY);
	buf_add_u32(out, 0);
	put_name(out, ALGORITHM);
	put_time(out, tsig->time_s);
	buf_add_u16(out, tsig->fudge);
	buf_add_u16(out, error);
	buf_add_u16(out, (uint16_t)other->len);
	buf_add(out, other->data, other->len);
}

static void digest(const struct buf *data, const uint8_t *secret, uint8_t mac[MAC_MAX])
{
	mac_of(&(struct mac_input){ .alg = MAC_SHA256,
				    .secret = secret,
				    .secret_len = WIRE_SECRET_LEN,
				    .data = data->data,
				    .len = data->len },
	       mac);
}

bool wire_verify(const uint8_t *data, const struct wire_msg *msg,
		 const uint8_t secret[WIRE_SECRET_LEN])
{
	struct buf input = BUF_INIT(1 << 17);
	struct buf none = BUF_INIT(1);
	uint8_t mac[MAC_MAX];
	bool good;

	buf_add(&input, data, msg->tsig_at);
	if (input.len > 12) {
		uint16_t count = (uint16_t)((uint8_t)input.data[10] << 8 | (uint8_t)input.data[11]);

		count--;
		input.data[10] = (char)(count >> 8);
		input.data[11] = (char)count;
	}
	put_variables(&input, &msg->tsig, 0, &none);
	digest(&input, secret, mac);
	good = msg->tsig.present && msg->tsig.mac_len == SHA256_LEN &&
	       memcmp(mac, msg->tsig.mac, SHA256_LEN) == 0;
	buf_clear(&input);
	return good;
}

struct signature {
	const struct wire_tsig *tsig;
	const uint8_t *mac;
	uint16_t error;
	const struct buf *other;
};

static void put_tsig(struct buf *out, const struct signature *signature)
{
	const struct wire_tsig *tsig = signature->tsig;
	const struct buf *other = signature->other;
	uint8_t id[2] = { (uint8_t)out->data[0], (uint8_t)out->data[1] };

	put_name(out, tsig->key);
	buf_add_u16(out, TYPE_TSIG);
	buf_add_u16(out, CLASS_ANY);
	buf_add_u32(out, 0);
	buf_add_u16(out, (uint16_t)(strlen(ALGORITHM) + 2 + 16 + SHA256_LEN + other->len));
	put_name(out, ALGORITHM);
	put_time(out, tsig->time_s);
	buf_add_u16(out, tsig->fudge);
	buf_add_u16(out, SHA256_LEN);
	buf_add(out, signature->mac, SHA256_LEN);
	buf_add(out, id, 2);
	buf_add_u16(out, signature->error);
	buf_add_u16(out, (uint16_t)other->len);
	buf_add(out, other->data, other->len);
}

void wire_sign(struct wire_reply *reply, const struct wire_signing *signing)
{
	struct wire_tsig tsig = *signing->request;
	struct buf input = BUF_INIT(1 << 17);
	struct buf other = BUF_INIT(8);
	struct buf *out = &reply->out;
	uint8_t mac[MAC_MAX];

	if (signing->error == TSIG_BADTIME) {
		put_time(&other, signing->now_s); /* s.5.2.3 */
	} else {
		tsig.time_s = signing->now_s;
	}
	buf_add_u16(&input, (uint16_t)tsig.mac_len);
	buf_add(&input, tsig.mac, tsig.mac_len);
	buf_add(&input, out->data, out->len);
	put_variables(&input, &tsig, signing->error, &other);
	digest(&input, signing->secret, mac);
	buf_clear(&input);
	put_tsig(out, &(struct signature){ &tsig, mac, signing->error, &other });
	buf_clear(&other);
	reply->counts[2]++;
	put_counts(reply);
}

/* ---- UPDATEs of clients, RFC 2136 ---- */

static void count_up(struct buf *out, size_t at)
{
	uint16_t count = (uint16_t)((uint8_t)out->data[at] << 8 | (uint8_t)out->data[at + 1]);

	count++;
	out->data[at] = (char)(count >> 8);
	out->data[at + 1] = (char)count;
}

void wire_update_begin(struct buf *out, uint16_t id, const char *zone)
{
	buf_clear(out);
	buf_add_u16(out, id);
	buf_add_u16(out, OPCODE_UPDATE << 11);
	buf_add_u16(out, 1);
	buf_add(out, "\0\0\0\0\0\0", 6);
	put_name(out, zone);
	buf_add_u16(out, TYPE_SOA);
	buf_add_u16(out, CLASS_IN);
}

void wire_update_add(struct buf *out, const struct wire_change *change)
{
	size_t len = change->value ? strlen(change->value) : 0;

	put_name(out, change->owner);
	buf_add_u16(out, change->type);
	buf_add_u16(out, change->class);
	buf_add_u32(out, change->class == CLASS_IN ? 60 : 0);
	buf_add_u16(out, (uint16_t)(change->value ? len + 1 : 0));
	if (change->value) {
		buf_add_u8(out, (uint8_t)len);
		buf_add(out, change->value, len);
	}
	count_up(out, 8);
}

void wire_update_sign(struct buf *out, const char *key, const uint8_t *secret, uint64_t now_s)
{
	struct wire_tsig tsig = { .time_s = now_s, .fudge = 300, .mac_len = SHA256_LEN };
	struct buf input = BUF_INIT(1 << 17);
	struct buf none = BUF_INIT(1);
	uint8_t mac[MAC_MAX];

	snprintf(tsig.key, sizeof(tsig.key), "%s", key);
	buf_add(&input, out->data, out->len);
	put_variables(&input, &tsig, 0, &none);
	digest(&input, secret, mac);
	buf_clear(&input);
	put_tsig(out, &(struct signature){ &tsig, mac, 0, &none });
	count_up(out, 10);
}
