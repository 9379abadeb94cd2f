#include "client.h"

#include "tsig.h"

#define PEER_IDLE_US 10000000

struct dns_client *dns_client_new(struct world *world)
{
	struct dns_client *client = xcalloc(1, sizeof(*client));

	client->world = world;
	return client;
}

uint64_t dns_client_updates(const struct dns_client *client)
{
	return client->updates;
}

static void peer_free(struct dns_peer *peer)
{
	tcp_close(peer->tcp);
	free(peer);
}

void dns_client_free(struct dns_client *client)
{
	if (!client) {
		return;
	}
	while (client->calls) {
		dns_call_cancel(client->calls);
	}
	while (client->peers) {
		struct dns_peer *peer = client->peers;

		client->peers = peer->next;
		peer_free(peer);
	}
	free(client);
}

/* Peers without calls or connection, whose budget is whole again, say nothing
 * that a new one would not. */
static void forget_idle_peers(struct dns_client *client)
{
	int64_t now_us = world_mono_us(client->world);
	struct dns_peer **link = &client->peers;

	while (*link) {
		struct dns_peer *peer = *link;
		size_t last = (peer->sent_at + DNS_UDP_PER_S - 1) % DNS_UDP_PER_S;

		if (peer->calls == 0 && !peer->tcp && now_us - peer->sent_us[last] > PEER_IDLE_US) {
			*link = peer->next;
			client->peer_count--;
			peer_free(peer);
		} else {
			link = &peer->next;
		}
	}
}

struct dns_peer *peer_get(struct dns_client *client, const struct addr *addr)
{
	struct dns_peer *peer;

	for (peer = client->peers; peer; peer = peer->next) {
		if (addr_equal(&peer->addr, addr)) {
			return peer;
		}
	}
	if (client->peer_count >= DNS_PEERS_MAX) {
		forget_idle_peers(client);
	}
	peer = xcalloc(1, sizeof(*peer));
	peer->client = client;
	peer->addr = *addr;
	peer->next = client->peers;
	client->peers = peer;
	client->peer_count++;
	return peer;
}

struct dns_call *call_new(struct dns_client *client, const struct call_setup *setup)
{
	struct dns_call *call = xcalloc(1, sizeof(*call));

	call->client = client;
	call->peer = peer_get(client, &setup->server);
	call->peer->calls++;
	call->kind = setup->kind;
	buf_init(&call->body, WIRE_MSG_MAX);
	call->expect.opcode = setup->opcode;
	call->expect.type = setup->type;
	call->key = setup->key;
	call->timeout_ms = setup->timeout_ms;
	call->subject = setup->subject;
	call->next = client->calls;
	if (call->next) {
		call->next->prev = call;
	}
	client->calls = call;
	return call;
}

void call_launch(struct dns_call *call, enum dns_transport transport)
{
	call->deadline_us = world_mono_us(call->client->world) + call->timeout_ms * 1000;
	if (transport == DNS_TCP) {
		tcp_start(call);
	} else {
		udp_start(call);
	}
}

int64_t call_left_us(const struct dns_call *call)
{
	return call->deadline_us - world_mono_us(call->client->world);
}

void call_set_timer(struct dns_call *call, int64_t delay_us, world_fire *fire)
{
	world_timer_cancel(call->client->world, call->timer);
	call->timer =
		world_timer_start(call->client->world, delay_us > 0 ? delay_us : 0, fire, call);
}

static void on_failed(void *arg)
{
	struct dns_call *call = arg;
	struct err err = *call->hint;

	call->timer = NULL;
	call_finish(call, &err);
}

void call_set_hint(struct dns_call *call, const struct err *err)
{
	free(call->hint);
	call->hint = err_box(err);
}

void call_fail_later(struct dns_call *call)
{
	call->state = CALL_FAILED;
	call_set_timer(call, 0, on_failed);
}

bool call_message(struct dns_call *call, uint16_t id, struct buf *out)
{
	int64_t now_s = call->key ? world_wall_s(call->client->world) : 0;
	struct err err;

	call->sent++;
	call->client->updates += call->expect.opcode == WIRE_OPCODE_UPDATE;
	call->expect.id = id;
	buf_add(out, call->body.data, call->body.len);
	if (call->edns) {
		msg_add_edns(out);
	}
	if (!out->overflow && out->len >= WIRE_HEADER_LEN) {
		wire_set_u16((uint8_t *)out->data, id);
	}
	if (!call->key || tsig_sign(out, call->key, now_s, &call->mac, &err) == ERR_NONE) {
		return true;
	}
	call_set_hint(call, &err);
	return false;
}

/* RFC 6891 s.7: servers that do not know EDNS say FORMERR, or NOTIMP. */
static bool refuses_edns(const struct dns_call *call, const struct wire_header *header)
{
	return call->edns && (header->rcode == DNS_FORMERR || header->rcode == DNS_NOTIMP);
}

enum verdict call_judge(struct dns_call *call, const uint8_t *wire, size_t len, struct err *err)
{
	struct tsig_reply reply = {
		.wire = wire,
		.len = len,
		.request = &call->mac,
		.now_s = world_wall_s(call->client->world),
	};
	struct wire_header header;
	bool hopeless = false;

	if (!wire_header_read(wire, len, &header) || !msg_is_reply(wire, len, &call->expect)) {
		return VERDICT_STRANGER;
	}
	if (header.tc) {
		return VERDICT_TRUNCATED;
	}
	if (refuses_edns(call, &header)) {
		return VERDICT_NO_EDNS;
	}
	if (call->key && tsig_verify_reply(&reply, call->key, &hopeless, err) != ERR_NONE) {
		return hopeless ? VERDICT_HOPELESS : VERDICT_UNBELIEVED;
	}
	switch (call->kind->accept(call, wire, len, err)) {
	case ERR_NONE:
		return VERDICT_ACCEPTED;
	case ERR_PROTOCOL:
	case ERR_LIMIT:
		return VERDICT_UNBELIEVED;
	default:
		return VERDICT_REFUSED;
	}
}

/* Out of every list, its sockets closed; done is not called. */
static void call_detach(struct dns_call *call)
{
	udp_stop(call);
	tcp_stop(call);
	world_timer_cancel(call->client->world, call->timer);
	call->timer = NULL;
	call->peer->calls--;
	if (call->prev) {
		call->prev->next = call->next;
	} else {
		call->client->calls = call->next;
	}
	if (call->next) {
		call->next->prev = call->prev;
	}
}

static void call_free(struct dns_call *call)
{
	buf_clear(&call->body);
	dns_msg_free(call->msg);
	free(call->subject);
	free(call->hint);
	free(call);
}

static void add_subject(const struct dns_call *call, struct err *err)
{
	char name[NAME_TEXT_MAX], server[ADDR_TEXT_MAX];

	if (call->subject) {
		(void)err_subject(err, "%s", call->subject);
		return;
	}
	wire_name_text(&call->expect.name, name);
	addr_format(server, &call->peer->addr, DNS_PORT);
	(void)err_subject(err, "%s of %s at %s", dns_type_name(call->expect.type), name, server);
}

void call_finish(struct dns_call *call, const struct err *err)
{
	struct err told;

	call_detach(call);
	if (err) {
		told = *err;
		add_subject(call, &told);
	}
	call->kind->finish(call, err ? &told : NULL);
	call_free(call);
}

void call_give_up(struct dns_call *call)
{
	struct err err = { .code = ERR_NONE };
	char waited[32];

	if (call->hint) {
		err = *call->hint;
	} else {
		duration_human(waited, call->timeout_ms * 1000 - call_left_us(call));
		err_set(&err, ERR_TIMEOUT, "",
			"no answer within %s (asked %d times by UDP, %d by TCP); is the address "
			"right, and does a firewall let port %u through?",
			waited, call->udp_tries, call->tcp_tries, addr_port(&call->peer->addr));
	}
	call_finish(call, &err);
}

void dns_call_cancel(struct dns_call *call)
{
	if (call) {
		call_detach(call);
		call_free(call);
	}
}

static enum err_code ask_accept(struct dns_call *call, const uint8_t *wire, size_t len,
				struct err *err)
{
	return msg_parse(wire, len, &call->msg, err);
}

static void ask_finish(struct dns_call *call, const struct err *err)
{
	call->done.ask(call->arg, err, call->msg);
}

static const struct call_kind ask_kind = { .accept = ask_accept, .finish = ask_finish };

/* Whole time of an ask: all its tries, as dns.h promises. */
static int64_t ask_timeout_ms(const struct dns_ask *ask)
{
	int64_t udp_ms = (int64_t)UDP_FIRST_MS * ((1 << UDP_TRIES) - 1);

	if (ask->timeout_ms > 0) {
		return ask->timeout_ms;
	}
	return ask->transport == DNS_TCP ? TCP_TRY_MS : udp_ms + TCP_TRY_MS;
}

struct dns_call *dns_ask_start(struct dns_client *client, const struct dns_ask *ask,
			       dns_ask_done *done, void *arg)
{
	struct call_setup setup = {
		.kind = &ask_kind,
		.server = ask->server,
		.type = ask->type,
		.opcode = WIRE_OPCODE_QUERY,
		.key = ask->key,
		.timeout_ms = ask_timeout_ms(ask),
	};
	struct dns_call *call;
	struct err err;
	char server[ADDR_TEXT_MAX];

	call = call_new(client, &setup);
	call->done.ask = done;
	call->arg = arg;
	call->edns = true;
	if (!wire_name_from_text(ask->name, &call->expect.name)) {
		addr_format(server, &ask->server, DNS_PORT);
		call->subject =
			xasprintf("%s of %s at %s", dns_type_name(ask->type), ask->name, server);
		err_set(&err, ERR_USAGE, "", "that is not a domain name");
		call_set_hint(call, &err);
		call_fail_later(call);
		return call;
	}
	msg_build_query(&call->body, &call->expect.name, ask->type, ask->recurse);
	call_launch(call, ask->transport);
	return call;
}
