#include "sim/server.h"

#define PARENT "test"
#define PARENT_NS "a.nic.test"
#define PARENT_ADDRESS "10.0.0.2"

/* ---- contents ---- */

const char *server_alias(const struct net_zone *zone, const char *owner)
{
	size_t len = strlen(owner);

	for (size_t i = 0; i < zone->aliases.count; i++) {
		const char *alias = zone->aliases.item[i];

		if (strncmp(alias, owner, len) == 0 && alias[len] == ' ') {
			return alias + len + 1;
		}
	}
	return NULL;
}

struct transfer {
	struct net_server *server;
};

static void on_transfer(struct sim *sim, void *arg)
{
	struct net_server *server = ((struct transfer *)arg)->server;
	struct net_server *primary = &server->zone->server[0];

	strlist_clear(&server->texts);
	strlist_copy(&server->texts, &primary->texts);
	server->serial = primary->serial;
	sim_say(sim, "%s has serial %u", server->name, (unsigned)server->serial);
}

void server_changed(struct sim *sim, struct net_zone *zone)
{
	zone->server[0].serial++;
	sim->zone_changed = true;
	for (size_t i = 1; i < zone->server_count; i++) {
		struct transfer *transfer = xcalloc(1, sizeof(*transfer));

		transfer->server = &zone->server[i];
		sim_at(sim, NULL,
		       sim_latency(sim) + (sim->calm ? 0 : zone->server[i].lag_us) +
			       (int64_t)sim_below(sim, (uint64_t)sim->faults.lag_max_us + 1),
		       on_transfer, transfer);
	}
}

static struct net_server *server_at(const struct sim *sim, const struct addr *addr)
{
	for (size_t i = 0; i < sim->net->zone_count; i++) {
		struct net_zone *zone = &sim->net->zone[i];

		for (size_t k = 0; k < zone->server_count; k++) {
			if (addr_equal(&zone->server[k].addr, addr)) {
				return &zone->server[k];
			}
		}
	}
	return NULL;
}

bool server_is_silent(const struct sim *sim, const struct addr *addr)
{
	const struct net_server *server = server_at(sim, addr);

	return server && server->mood == MOOD_SILENT;
}

bool server_is_mute(const struct sim *sim, const struct addr *addr)
{
	const struct net_server *server = server_at(sim, addr);

	return server && server->mute_until_us > sim->now_us;
}

/* ---- answers ---- */

static const struct net_server *named(const struct net_zone *zone, const char *name)
{
	for (size_t i = 0; i < zone->server_count; i++) {
		if (strcmp(zone->server[i].name, name) == 0) {
			return &zone->server[i];
		}
	}
	return NULL;
}

static void add_texts(struct wire_reply *reply, const struct net_server *server, const char *owner)
{
	size_t len = strlen(owner);

	for (size_t i = 0; i < server->texts.count; i++) {
		const char *text = server->texts.item[i];

		if (strncmp(text, owner, len) == 0 && text[len] == ' ') {
			wire_add_txt(reply, owner, text + len + 1);
		}
	}
}

static void add_servers(struct wire_reply *reply, int section, const struct net_zone *zone)
{
	for (size_t i = 0; i < zone->server_count; i++) {
		if (zone->server[i].listed) {
			wire_add_name(reply, section, zone->name, TYPE_NS, zone->server[i].name);
		}
	}
}

static uint8_t rcode_for(const struct net_server *server, const char *name)
{
	const struct net_zone *zone = server->zone;
	bool exists = strcmp(name, zone->name) == 0 || server_alias(zone, name) ||
		      net_has_texts(server, name) || named(zone, name);

	return exists ? RCODE_OK : RCODE_NXDOMAIN;
}

/* What a zone says of a name in it, from one server's copy. */
static void say_of_zone(struct wire_reply *reply, const struct net_server *server, const char *name,
			uint16_t type)
{
	const struct net_zone *zone = server->zone;
	const struct net_server *host = named(zone, name);
	const char *alias = server_alias(zone, name);
	bool apex = strcmp(name, zone->name) == 0;

	if (alias) {
		wire_add_name(reply, 0, name, TYPE_CNAME, alias);
		return;
	}
	if (apex && type == TYPE_NS) {
		add_servers(reply, 0, zone);
	} else if (apex && type == TYPE_SOA) {
		wire_add_soa(reply, 0, zone->name, server->serial);
	} else if (host && type == TYPE_A) {
		wire_add_a(reply, 0, name, &host->addr);
	} else if (type == TYPE_TXT) {
		add_texts(reply, server, name);
	}
	if (reply->counts[0] == 0) {
		wire_add_soa(reply, 1, zone->name, server->serial);
	}
}

static bool in_parent(const char *name)
{
	size_t len = strlen(name), of = strlen(PARENT);

	return len >= of && strcmp(name + len - of, PARENT) == 0 &&
	       (len == of || name[len - of - 1] == '.');
}

static void say_of_parent(struct wire_reply *reply, const char *name, uint16_t type)
{
	struct addr addr;

	if (strcmp(name, PARENT) == 0 && type == TYPE_NS) {
		wire_add_name(reply, 0, name, TYPE_NS, PARENT_NS);
	} else if (strcmp(name, PARENT_NS) == 0 && type == TYPE_A &&
		   addr_parse(PARENT_ADDRESS, 53, &addr)) {
		wire_add_a(reply, 0, name, &addr);
	} else if (strcmp(name, PARENT) == 0 && type == TYPE_SOA) {
		wire_add_soa(reply, 0, PARENT, 1);
	} else {
		wire_add_soa(reply, 1, in_parent(name) ? PARENT : ".", 1);
	}
}

static struct wire_head head_of(const struct wire_msg *msg, uint8_t rcode)
{
	return (struct wire_head){ .id = msg->id,
				   .opcode = msg->opcode,
				   .rcode = rcode,
				   .name = msg->name,
				   .type = msg->type };
}

/* A resolver without a memory; it hears the primaries. */
static void resolve(struct sim *sim, const struct wire_msg *msg, struct wire_reply *reply)
{
	struct net_zone *zone = net_zone_of(sim->net, msg->name);
	struct wire_head head = head_of(msg, RCODE_OK);

	if (zone) {
		head.rcode = rcode_for(&zone->server[0], msg->name);
		wire_begin(reply, &head);
		say_of_zone(reply, &zone->server[0], msg->name, msg->type);
		return;
	}
	if (strcmp(msg->name, PARENT) != 0 && strcmp(msg->name, PARENT_NS) != 0) {
		head.rcode = RCODE_NXDOMAIN;
	}
	wire_begin(reply, &head);
	say_of_parent(reply, msg->name, msg->type);
}

/* Below it are delegations. */
static void parent_answers(struct sim *sim, const struct wire_msg *msg, struct wire_reply *reply)
{
	struct net_zone *zone = net_zone_of(sim->net, msg->name);
	struct wire_head head = head_of(msg, RCODE_OK);

	if (zone) {
		wire_begin(reply, &head);
		add_servers(reply, 1, zone);
		for (size_t i = 0; i < zone->server_count; i++) {
			if (zone->server[i].listed) {
				wire_add_a(reply, 2, zone->server[i].name, &zone->server[i].addr);
			}
		}
		return;
	}
	head.aa = true;
	wire_begin(reply, &head);
	say_of_parent(reply, msg->name, msg->type);
}

/* ---- UPDATE ---- */

static void tell(struct sim *sim, const char *text, bool added)
{
	if (sim->text_changed) {
		sim->text_changed(sim, text, added);
	}
}

static void apply(struct sim *sim, struct net_server *server, const struct wire_rr *rr)
{
	char value[WIRE_TEXT_MAX], text[2 * WIRE_TEXT_MAX];
	struct strlist *texts = &server->texts;

	wire_read_txt(rr, value);
	snprintf(text, sizeof(text), "%s %s", rr->owner, value);
	if (rr->type != TYPE_TXT || (rr->class != CLASS_IN && rr->class != CLASS_NONE)) {
		sim_violated(sim, "an UPDATE changes more than one TXT record: %s type %u class %u",
			     rr->owner, rr->type, rr->class);
		return;
	}
	/* RFC 2136 s.3.4.2.2: beside an alias nothing is added, and nobody is told. */
	if (rr->class == CLASS_IN && !strlist_has(texts, text) &&
	    !server_alias(server->zone, rr->owner)) {
		sim_say(sim, "%s adds %s", server->name, text);
		strlist_add(texts, text);
		tell(sim, text, true);
		return;
	}
	for (size_t i = 0; rr->class == CLASS_NONE && i < texts->count; i++) {
		if (strcmp(texts->item[i], text) == 0) {
			sim_say(sim, "%s removes %s", server->name, text);
			free(texts->item[i]);
			texts->item[i] = texts->item[--texts->count];
			texts->item[texts->count] = NULL;
			tell(sim, text, false);
			break;
		}
	}
}

static uint8_t update(struct sim *sim, struct net_server *server, const struct wire_msg *msg)
{
	if (server != &server->zone->server[0] || strcmp(msg->name, server->zone->name) != 0) {
		return RCODE_NOTAUTH;
	}
	if (msg->counts[0] > 0) {
		sim_violated(sim, "an UPDATE has prerequisites");
	}
	for (size_t i = 0; i < msg->rr_count; i++) {
		if (msg->rr[i].type != TYPE_OPT) {
			apply(sim, server, &msg->rr[i]);
		}
	}
	server->zone->updates++;
	server_changed(sim, server->zone);
	return RCODE_OK;
}

/* ---- one question ---- */

static uint64_t now_s(const struct sim *sim)
{
	return (uint64_t)(sim_wall_us(sim) / 1000000);
}

static bool in_time(const struct sim *sim, const struct wire_tsig *tsig)
{
	uint64_t now = now_s(sim);

	return tsig->time_s + tsig->fudge >= now && now + tsig->fudge >= tsig->time_s;
}

static void server_says(struct sim *sim, struct net_server *server,
			const struct server_question *question, struct wire_reply *reply)
{
	const struct wire_msg *msg = question->msg;
	const struct wire_tsig *tsig = &msg->tsig;
	const uint8_t *secret = server->zone->secret;
	struct wire_head head = head_of(msg, RCODE_OK);
	struct wire_signing signing = { .secret = secret, .request = tsig, .now_s = now_s(sim) };

	if (tsig->present && !wire_verify(question->data, msg, secret)) {
		sim_violated(sim, "a signature by key %s does not verify at %s", tsig->key,
			     server->name);
	}
	if (tsig->present && !in_time(sim, tsig)) {
		head.rcode = RCODE_NOTAUTH;
		signing.error = TSIG_BADTIME;
	} else if (msg->opcode == OPCODE_UPDATE) {
		head.rcode = tsig->present ? update(sim, server, msg) : RCODE_REFUSED;
	} else if (server->mood == MOOD_REFUSES ||
		   net_zone_of(sim->net, msg->name) != server->zone) {
		head.rcode = RCODE_REFUSED;
	} else {
		head.rcode = rcode_for(server, msg->name);
		head.aa = server->mood != MOOD_LAME;
		head.tc = question->truncate && !question->tcp;
	}
	wire_begin(reply, &head);
	if (msg->opcode == OPCODE_QUERY && !signing.error && head.rcode != RCODE_REFUSED &&
	    !head.tc) {
		say_of_zone(reply, server, msg->name, msg->type);
	}
	wire_end(reply);
	if (tsig->present) {
		wire_sign(reply, &signing);
	}
}

void server_answer(struct sim *sim, const struct addr *addr, const struct server_question *question,
		   struct buf *out)
{
	struct net_server *server = server_at(sim, addr);
	struct wire_reply reply;
	char text[ADDR_TEXT_MAX];

	addr_format(text, addr, 53);
	if (server) {
		if (server->mood == MOOD_SILENT) {
			return;
		}
		server_says(sim, server, question, &reply);
	} else if (strcmp(text, NET_RESOLVER) == 0) {
		resolve(sim, question->msg, &reply);
		wire_end(&reply);
	} else if (strcmp(text, PARENT_ADDRESS) == 0) {
		parent_answers(sim, question->msg, &reply);
		wire_end(&reply);
	} else {
		sim_violated(sim, "a question goes to %s, which is nobody's address", text);
		return;
	}
	buf_add(out, reply.out.data, reply.out.len);
	buf_clear(&reply.out);
}

void server_forge(struct sim *sim, const struct wire_msg *msg, struct buf *out)
{
	struct net_zone *zone = net_zone_of(sim->net, msg->name);
	struct wire_head head = head_of(msg, RCODE_OK);
	struct wire_reply reply;
	const char *owner = msg->name;

	head.aa = true;
	/* With the right ID he must fail by the question or the signature. */
	if (sim_below(sim, 2) == 0) {
		head.id = (uint16_t)(msg->id + 1 + sim_below(sim, 65534));
	} else if (!msg->tsig.present) {
		head.name = "example.test";
	}
	wire_begin(&reply, &head);
	if (zone && msg->opcode == OPCODE_QUERY && msg->type == TYPE_TXT) {
		add_texts(&reply, &zone->server[0], owner);
	}
	wire_end(&reply);
	buf_add(out, reply.out.data, reply.out.len);
	buf_clear(&reply.out);
}
