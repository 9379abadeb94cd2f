/*
 * net: the simulated DNS. A resolver, the servers of the zone "test", and zones below it, each
 * with a primary that takes signed UPDATEs and secondaries that follow when they like. On the
 * way packets are lost, late, doubled, truncated or forged.
 */
#ifndef DNS01_SIM_NET_H
#define DNS01_SIM_NET_H

#include "sim/wire.h"
#include "sim/world.h"

#define NET_ZONES_MAX 3
#define NET_SERVERS_MAX 5
#define NET_RESOLVER "10.0.0.53"
#define NET_KEY "acme"

enum net_mood {
	MOOD_WELL,
	MOOD_SILENT,
	MOOD_REFUSES,
	MOOD_LAME, /* answers without authority */
};

struct net_zone;

/* Texts are "OWNER VALUE". */
struct net_server {
	struct net_zone *zone;
	char name[64];
	struct addr addr;
	enum net_mood mood;
	int64_t mute_until_us; /* it hears, and does, and says nothing */
	int64_t lag_us;        /* of a secondary, at least */
	bool was_unwell;       /* at some time */
	bool listed;           /* among the zone's NS; a hidden primary is not */
	struct strlist texts;
	uint32_t serial;
	uint64_t version; /* of the primary's contents, as of its last transfer */
};

struct net_zone {
	char name[64];
	uint8_t secret[WIRE_SECRET_LEN];
	struct net_server server[NET_SERVERS_MAX]; /* [0] is the primary */
	size_t server_count;
	struct strlist aliases;  /* "OWNER TARGET" */
	struct strlist siblings; /* texts of somebody else */
	unsigned updates;        /* that were applied */
};

struct net {
	struct net_zone zone[NET_ZONES_MAX];
	size_t zone_count;
};

struct net_octets {
	const void *data;
	size_t len;
};

struct net *net_new(void);
void net_free(struct net *net);
/* A zone with its primary alone. */
struct net_zone *net_add_zone(struct sim *sim, const char *name);
struct net_server *net_add_server(struct net_zone *zone, bool listed);
/* At the primary at once, at the others when they follow. */
void net_add_sibling(struct sim *sim, struct net_zone *zone, const char *owner, const char *value);
/* The zone of a name; NULL: none of ours. */
struct net_zone *net_zone_of(struct net *net, const char *name);
/* The owner name after aliases. */
const char *net_follow(struct net *net, const char *owner);
bool net_shows(const struct net_server *server, const char *owner, const char *value);
bool net_has_texts(const struct net_server *server, const char *owner);
void net_drop_alias(struct net_zone *zone, const char *owner);
bool net_is_ours(const struct net_zone *zone, const char *text);

/* What processes send; answers arrive by sim_dgram_arrives and sim_stream_arrives. */
void net_datagram(struct sim *sim, uint64_t id, const struct addr *peer,
		  const struct net_octets *octets);
void net_connect(struct sim *sim, uint64_t id, const struct addr *peer);
void net_stream(struct sim *sim, uint64_t id, const struct addr *peer,
		const struct net_octets *octets);

#endif
