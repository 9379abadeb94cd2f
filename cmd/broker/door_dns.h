/* What the files of the UPDATE door share: transport and messages, updates. */
#ifndef DNS01_BROKER_DOOR_DNS_H
#define DNS01_BROKER_DOOR_DNS_H

#include "internal.h"

/* Where an answer goes. */
struct dns_from {
	struct conn_dns *conn; /* NULL: by UDP */
	struct dgram_from dgram;
	struct addr peer;
};

struct conn_dns {
	struct dns_door *door;
	struct world_stream *stream;
	struct addr peer;
	struct buf in;
	struct world_timer *idle;
	size_t tasks;
	bool gone; /* waits for its tasks alone */
	struct conn_dns *prev, *next;
};

/* A signed message that was answered, or is being worked on. */
struct replay {
	struct tsig_mac mac;
	int64_t until_s;
	struct buf answer; /* empty: still to come */
	struct replay *newer;
};

struct task; /* door_update.c: one UPDATE that waits for its claims */

struct dns_door {
	struct broker *broker;
	struct world_listener *udp, *tcp;
	struct conn_dns *conns;
	size_t conn_count;
	struct task *tasks;
	void *replays; /* tsearch tree, by MAC */
	struct replay *oldest, *newest;
	size_t replay_count;
};

void dns_send_rcode(struct dns_door *door, const struct dns_from *from, const uint8_t *wire,
		    const struct dns_request *request, unsigned rcode);
/* One more task of a connection, or one fewer: then what waited is read. */
void dns_conn_hold(struct conn_dns *conn);
void dns_conn_drop(struct conn_dns *conn);

/* door_update.c: takes request. */
void dns_serve_update(struct dns_door *door, const struct dns_from *from, const uint8_t *wire,
		      struct dns_request *request);
void dns_tasks_free(struct dns_door *door);

#endif
