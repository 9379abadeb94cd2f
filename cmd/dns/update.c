/* update: RFC 2136 messages of exact records alone, and their replies in words. */
#include "client.h"

#include "tsig.h"

#define TXT_STRING_MAX 255 /* RFC 1035 s.3.3 */
#define RR_FIXED_LEN 10    /* type, class, TTL, RDLENGTH */

static size_t txt_rdata_len(const char *value)
{
	size_t len = strlen(value);
	size_t strings = len == 0 ? 1 : (len + TXT_STRING_MAX - 1) / TXT_STRING_MAX;

	return len + strings;
}

/* An empty value still is one, empty, string. */
static void add_txt_rdata(struct buf *out, const char *value)
{
	size_t left = strlen(value);

	do {
		size_t part = left < TXT_STRING_MAX ? left : TXT_STRING_MAX;

		buf_add_u8(out, (uint8_t)part);
		buf_add(out, value, part);
		value += part;
		left -= part;
	} while (left > 0);
}

size_t dns_update_wire_len(const char *zone, const struct dns_change *changes, size_t count)
{
	struct wire_name name;
	size_t len = WIRE_HEADER_LEN + 4 + TSIG_RR_MAX;

	if (!wire_name_from_text(zone, &name)) {
		return DNS_UPDATE_WIRE_MAX + 1;
	}
	len += name.len;
	for (size_t i = 0; i < count; i++) {
		if (!wire_name_from_text(changes[i].owner, &name)) {
			return DNS_UPDATE_WIRE_MAX + 1;
		}
		len += name.len + RR_FIXED_LEN + txt_rdata_len(changes[i].value);
	}
	return len;
}

/* RFC 2136 s.2.5.1 (add) and s.2.5.4 (delete one record: class NONE, TTL 0). */
static enum err_code add_change(struct buf *out, const struct dns_change *change, const char *zone,
				struct err *err)
{
	struct wire_name owner;
	size_t rdata_len = txt_rdata_len(change->value);

	if (!wire_name_from_text(change->owner, &owner)) {
		return err_set(err, ERR_USAGE, change->owner, "that is not a domain name");
	}
	if (!name_under(change->owner, zone)) {
		return err_set(err, ERR_USAGE, change->owner,
			       "the name is not in zone %s, so it cannot be changed there", zone);
	}
	if (rdata_len > UINT16_MAX) {
		return err_set(err, ERR_LIMIT, change->owner,
			       "the value has %zu octets, more than a TXT record holds",
			       strlen(change->value));
	}
	buf_add(out, owner.data, owner.len);
	buf_add_u16(out, DNS_TYPE_TXT);
	buf_add_u16(out, change->add ? WIRE_CLASS_IN : WIRE_CLASS_NONE);
	buf_add_u32(out, change->add ? change->ttl_s : 0);
	buf_add_u16(out, (uint16_t)rdata_len);
	add_txt_rdata(out, change->value);
	return ERR_NONE;
}

static enum err_code build(struct dns_call *call, const struct dns_update *update, struct err *err)
{
	struct buf *out = &call->body;
	enum err_code rc = ERR_NONE;

	if (!wire_name_from_text(update->zone, &call->expect.name)) {
		return err_set(err, ERR_USAGE, update->zone, "that is not a domain name");
	}
	if (dns_update_wire_len(update->zone, update->changes, update->count) >
		    DNS_UPDATE_WIRE_MAX ||
	    update->count > UINT16_MAX) {
		return err_set(err, ERR_LIMIT, update->zone,
			       "%zu changes do not fit into one UPDATE message", update->count);
	}
	buf_add_u16(out, 0);
	buf_add_u16(out, WIRE_OPCODE_UPDATE << 11);
	buf_add_u16(out, 1); /* s.2.3: exactly one zone */
	buf_add_u16(out, 0); /* no prerequisites, so it may be sent again */
	buf_add_u16(out, (uint16_t)update->count);
	buf_add_u16(out, 0);
	buf_add(out, call->expect.name.data, call->expect.name.len);
	buf_add_u16(out, DNS_TYPE_SOA);
	buf_add_u16(out, WIRE_CLASS_IN);
	for (size_t i = 0; i < update->count && rc == ERR_NONE; i++) {
		rc = add_change(out, &update->changes[i], update->zone, err);
	}
	return rc;
}

static enum err_code refusal(const struct dns_call *call, unsigned rcode, struct err *err)
{
	char key[224] = "unsigned";

	if (call->key) {
		snprintf(key, sizeof(key), "key %.200s", call->key->name);
	}
	switch (rcode) {
	case DNS_REFUSED:
		return err_set(
			err, ERR_DENIED, "",
			"REFUSED: the server's policy does not allow this change (%s) of TXT "
			"records at this name (BIND: update-policy or allow-update; PowerDNS: "
			"allow-dnsupdate-from, TSIG-ALLOW-DNSUPDATE)",
			key);
	case DNS_NOTAUTH:
		return err_set(err, ERR_DENIED, "",
			       "NOTAUTH: this server does not serve the zone as its primary (%s)%s",
			       key,
			       call->key ? "" : "; Knot also says so when it wants a signature");
	case DNS_NOTZONE:
		return err_set(
			err, ERR_DNS, "",
			"NOTZONE: the server does not see this name inside the zone (%s); is "
			"the zone's name right?",
			key);
	case DNS_SERVFAIL:
		return err_set(err, ERR_DNS, "",
			       "SERVFAIL: the server could not make the change (%s): often a zone "
			       "file or journal that it may not write, a frozen zone, or more than "
			       "100 records at one name; its log says which",
			       key);
	case DNS_NOTIMP:
		return err_set(err, ERR_DNS, "",
			       "NOTIMP: the server does not do dynamic updates, or they are off "
			       "(PowerDNS: dnsupdate=yes)");
	default:
		return err_set(err, ERR_DNS, "", "the server answered %s (%s)",
			       dns_rcode_name(rcode), key);
	}
}

static enum err_code update_accept(struct dns_call *call, const uint8_t *wire, size_t len,
				   struct err *err)
{
	/* RFC 2136 s.3.8: only the header counts; AA may be set (PowerDNS). */
	unsigned rcode = len >= WIRE_HEADER_LEN ? wire[3] & 0x0f : DNS_FORMERR;

	return rcode == DNS_NOERROR ? ERR_NONE : refusal(call, rcode, err);
}

/* A refusal says that nothing was changed, but only of the message that it answers: an earlier
 * one, whose answer was lost, may have been taken (and the clock have jumped since). */
static void update_finish(struct dns_call *call, const struct err *err)
{
	struct err open;

	if (err && call->sent > 1) {
		open = *err;
		open.code = err->code == ERR_DENIED ? ERR_DNS : err->code;
		err = &open;
	}
	call->done.update(call->arg, err);
}

static const struct call_kind update_kind = { .accept = update_accept, .finish = update_finish };

/* The first owner stands for the message; a server refuses it as a whole. */
static char *update_subject(const struct dns_update *update)
{
	char server[ADDR_TEXT_MAX];

	addr_format(server, &update->server, DNS_PORT);
	if (update->count == 0) {
		return xasprintf("UPDATE of zone %s at %s", update->zone, server);
	}
	if (update->count == 1) {
		return xasprintf("UPDATE of %s, zone %s at %s", update->changes[0].owner,
				 update->zone, server);
	}
	return xasprintf("UPDATE of %s and %zu more, zone %s at %s", update->changes[0].owner,
			 update->count - 1, update->zone, server);
}

struct dns_call *dns_update_start(struct dns_client *client, const struct dns_update *update,
				  dns_update_done *done, void *arg)
{
	struct call_setup setup = {
		.kind = &update_kind,
		.server = update->server,
		.type = DNS_TYPE_SOA,
		.opcode = WIRE_OPCODE_UPDATE,
		.key = update->key,
		.timeout_ms = update->timeout_ms > 0 ? update->timeout_ms : UPDATE_TIMEOUT_MS,
		.subject = update_subject(update),
	};
	struct dns_call *call = call_new(client, &setup);
	struct err err;

	call->done.update = done;
	call->arg = arg;
	if (build(call, update, &err) != ERR_NONE) {
		call_set_hint(call, &err);
		call_fail_later(call);
	} else {
		/* By default TCP: any size, and harder to forge. */
		call_launch(call, update->transport == DNS_UDP ? DNS_UDP : DNS_TCP);
	}
	return call;
}
