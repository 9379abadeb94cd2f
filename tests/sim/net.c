#include "sim/net.h"

#include "sim/server.h"

/* ---- zones ---- */

struct net *net_new(void)
{
	return xcalloc(1, sizeof(struct net));
}

void net_free(struct net *net)
{
	for (size_t i = 0; i < net->zone_count; i++) {
		struct net_zone *zone = &net->zone[i];

		for (size_t k = 0; k < zone->server_count; k++) {
			strlist_clear(&zone->server[k].texts);
		}
		strlist_clear(&zone->aliases);
		strlist_clear(&zone->siblings);
	}
	free(net);
}

struct net_server *net_add_server(struct net_zone *zone, bool listed)
{
	struct net_server *server = &zone->server[zone->server_count++];
	char address[ADDR_TEXT_MAX];
	char *name = xasprintf("ns%zu.%s", zone->server_count, zone->name);

	*server = (struct net_server){ .zone = zone, .listed = listed, .serial = 1 };
	snprintf(server->name, sizeof(server->name), "%s", name);
	free(name);
	snprintf(address, sizeof(address), "10.1.%u.%zu", (unsigned)zone->name[3] & 0xff,
		 zone->server_count);
	if (!addr_parse(address, 53, &server->addr)) {
		abort();
	}
	return server;
}

struct net_zone *net_add_zone(struct sim *sim, const char *name)
{
	struct net_zone *zone = &sim->net->zone[sim->net->zone_count++];

	snprintf(zone->name, sizeof(zone->name), "%s", name);
	sim_random(sim, zone->secret, sizeof(zone->secret));
	net_add_server(zone, true);
	return zone;
}

struct net_zone *net_zone_of(struct net *net, const char *name)
{
	for (size_t i = 0; i < net->zone_count; i++) {
		size_t len = strlen(net->zone[i].name), of = strlen(name);

		if (of >= len && strcmp(name + of - len, net->zone[i].name) == 0 &&
		    (of == len || name[of - len - 1] == '.')) {
			return &net->zone[i];
		}
	}
	return NULL;
}

const char *net_follow(struct net *net, const char *owner)
{
	for (unsigned hops = 0; hops < 10; hops++) {
		const struct net_zone *zone = net_zone_of(net, owner);
		const char *target = zone ? server_alias(zone, owner) : NULL;

		if (!target) {
			break;
		}
		owner = target;
	}
	return owner;
}

bool net_shows(const struct net_server *server, const char *owner, const char *value)
{
	char text[WIRE_TEXT_MAX];

	snprintf(text, sizeof(text), "%.150s %.90s", owner, value);
	return strlist_has(&server->texts, text);
}

bool net_has_texts(const struct net_server *server, const char *owner)
{
	size_t len = strlen(owner);

	for (size_t i = 0; i < server->texts.count; i++) {
		if (strncmp(server->texts.item[i], owner, len) == 0 &&
		    server->texts.item[i][len] == ' ') {
			return true;
		}
	}
	return false;
}

void net_drop_alias(struct net_zone *zone, const char *owner)
{
	struct strlist *aliases = &zone->aliases;
	size_t len = strlen(owner);

	for (size_t i = 0; i < aliases->count; i++) {
		if (strncmp(aliases->item[i], owner, len) == 0 && aliases->item[i][len] == ' ') {
			free(aliases->item[i]);
			aliases->item[i] = aliases->item[--aliases->count];
			aliases->item[aliases->count] = NULL;
			break;
		}
	}
}

bool net_is_ours(const struct net_zone *zone, const char *text)
{
	return !strlist_has(&zone->siblings, text);
}

void net_add_sibling(struct sim *sim, struct net_zone *zone, const char *owner, const char *value)
{
	char text[WIRE_TEXT_MAX];

	snprintf(text, sizeof(text), "%.150s %.90s", owner, value);
	strlist_add(&zone->siblings, text);
	strlist_add(&zone->server[0].texts, text);
	server_changed(sim, zone);
}

/* ---- the way there and back ---- */

struct delivery {
	uint64_t id;
	struct addr peer;
	bool tcp;
	size_t len;
	uint8_t data[];
};

static struct delivery *pack(uint64_t id, const struct addr *peer, const struct net_octets *octets)
{
	struct delivery *delivery = xcalloc(1, sizeof(*delivery) + octets->len);

	delivery->id = id;
	delivery->peer = *peer;
	delivery->len = octets->len;
	memcpy(delivery->data, octets->data, octets->len);
	return delivery;
}

static void on_datagram_back(struct sim *sim, void *arg)
{
	struct delivery *delivery = arg;

	sim_dgram_arrives(sim, delivery->id, delivery->data, delivery->len);
}

static void send_back(struct sim *sim, const struct delivery *from, struct buf *reply)
{
	struct net_octets octets = { reply->data, reply->len };
	unsigned copies = 1U + sim_chance(sim, sim->faults.duplicate);

	if (reply->len == 0 || server_is_mute(sim, &from->peer) ||
	    sim_chance(sim, sim->faults.loss)) {
		return;
	}
	for (unsigned i = 0; i < copies; i++) {
		sim_at(sim, NULL, sim_latency(sim), on_datagram_back,
		       pack(from->id, &from->peer, &octets));
	}
}

/* Somebody who cannot see the question guesses: what he says would be believed, were it not
 * for the ID, the question, or (where he guessed even the ID) the missing signature. */
static void forge(struct sim *sim, const struct delivery *to, const struct wire_msg *msg)
{
	struct buf reply = BUF_INIT(65535);
	struct net_octets octets;

	if (!sim_chance(sim, sim->faults.forge)) {
		return;
	}
	server_forge(sim, msg, &reply);
	octets = (struct net_octets){ reply.data, reply.len };
	sim_at(sim, NULL, 50, on_datagram_back, pack(to->id, &to->peer, &octets));
	buf_clear(&reply);
}

static struct wire_msg scratch; /* too large for the stack; one at a time */

static void on_datagram(struct sim *sim, void *arg)
{
	struct delivery *delivery = arg;
	struct buf reply = BUF_INIT(65535);

	if (!wire_read(delivery->data, delivery->len, &scratch)) {
		sim_violated(sim, "a datagram of %zu octets is no DNS message", delivery->len);
		return;
	}
	forge(sim, delivery, &scratch);
	server_answer(sim, &delivery->peer,
		      &(struct server_question){ .data = delivery->data,
						 .msg = &scratch,
						 .truncate =
							 sim_chance(sim, sim->faults.truncate) },
		      &reply);
	send_back(sim, delivery, &reply);
	buf_clear(&reply);
}

/* A doubled UPDATE may undo a later one: nothing above UDP can help that, and TCP is the
 * default for it. */
static bool is_update(const struct net_octets *octets)
{
	return octets->len > 2 && (((const uint8_t *)octets->data)[2] >> 3 & 0xf) == OPCODE_UPDATE;
}

void net_datagram(struct sim *sim, uint64_t id, const struct addr *peer,
		  const struct net_octets *octets)
{
	unsigned copies = 1U + (!is_update(octets) && sim_chance(sim, sim->faults.duplicate));

	if (sim_chance(sim, sim->faults.loss)) {
		return;
	}
	for (unsigned i = 0; i < copies; i++) {
		sim_at(sim, NULL, sim_latency(sim), on_datagram, pack(id, peer, octets));
	}
}

/* ---- TCP ---- */

static void break_off(struct sim *sim, uint64_t id)
{
	struct sim_arrival end = { .id = id, .event = WORLD_STREAM_END, .broken = true };

	sim_stream_arrives(sim, &end, sim_latency(sim));
}

void net_connect(struct sim *sim, uint64_t id, const struct addr *peer)
{
	struct sim_arrival open = { .id = id, .event = WORLD_STREAM_OPEN };

	if (server_is_silent(sim, peer)) {
		return; /* the caller's deadline ends it */
	}
	if (sim_chance(sim, sim->faults.reset)) {
		break_off(sim, id);
		return;
	}
	sim_stream_arrives(sim, &open, 2 * sim_latency(sim));
}

/* In one piece or in two, as TCP likes. */
static void stream_back(struct sim *sim, uint64_t id, const struct buf *reply)
{
	struct buf framed = BUF_INIT(70000);
	struct sim_arrival part = { .id = id, .event = WORLD_STREAM_DATA };
	size_t cut;

	buf_add_u16(&framed, (uint16_t)reply->len);
	buf_add(&framed, reply->data, reply->len);
	cut = sim_below(sim, 4) == 0 ? 1 + sim_below(sim, framed.len - 1) : framed.len;
	part.data = framed.data;
	part.len = cut;
	sim_stream_arrives(sim, &part, sim_latency(sim));
	if (cut < framed.len) {
		part.data = framed.data + cut;
		part.len = framed.len - cut;
		sim_stream_arrives(sim, &part, sim_latency(sim));
	}
	buf_clear(&framed);
}

static void on_message(struct sim *sim, void *arg)
{
	struct delivery *delivery = arg;
	struct buf reply = BUF_INIT(65535);

	if (server_is_silent(sim, &delivery->peer)) {
		return;
	}
	if (!wire_read(delivery->data, delivery->len, &scratch)) {
		sim_violated(sim, "%zu octets by TCP are no DNS message", delivery->len);
		return;
	}
	server_answer(sim, &delivery->peer,
		      &(struct server_question){
			      .data = delivery->data, .msg = &scratch, .tcp = true },
		      &reply);
	if (server_is_mute(sim, &delivery->peer)) {
		sim_say(sim, "a mute server does as it is told");
	} else if (reply.len > 0 && !sim_chance(sim, sim->faults.reset)) {
		stream_back(sim, delivery->id, &reply);
	} else {
		break_off(sim, delivery->id); /* the effect is there, its answer is not */
	}
	buf_clear(&reply);
}

/* Each write is one framed message or several: the program sends whole ones. */
void net_stream(struct sim *sim, uint64_t id, const struct addr *peer,
		const struct net_octets *octets)
{
	const uint8_t *data = octets->data;
	size_t at = 0;

	if (sim_chance(sim, sim->faults.reset)) {
		break_off(sim, id);
		return;
	}
	while (octets->len - at >= 2) {
		struct net_octets message = { data + at + 2, (size_t)data[at] << 8 | data[at + 1] };

		if (octets->len - at - 2 < message.len) {
			sim_violated(sim, "half a message was written to a stream");
			return;
		}
		sim_at(sim, NULL, sim_latency(sim), on_message, pack(id, peer, &message));
		at += 2 + message.len;
	}
}
