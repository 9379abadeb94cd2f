/* server: what the simulated name servers say, and what an UPDATE does to them. */
#ifndef DNS01_SIM_SERVER_H
#define DNS01_SIM_SERVER_H

#include "sim/net.h"

struct server_question {
	const uint8_t *data;
	const struct wire_msg *msg;
	bool tcp;
	bool truncate;
};

/* Nothing is written where the server says nothing. */
void server_answer(struct sim *sim, const struct addr *server,
		   const struct server_question *question, struct buf *reply);
/* What an attacker who does not see the question would like to be believed. */
void server_forge(struct sim *sim, const struct wire_msg *msg, struct buf *reply);
bool server_is_silent(const struct sim *sim, const struct addr *server);
bool server_is_mute(const struct sim *sim, const struct addr *server);
/* The target of an alias at that very owner, or NULL. */
const char *server_alias(const struct net_zone *zone, const char *owner);
/* The primary has changed: the others follow, each after a time of its own. */
void server_changed(struct sim *sim, struct net_zone *zone);

#endif
