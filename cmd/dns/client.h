/*
 * client: one question or UPDATE on its way. Private to cmd/dns.
 *
 *                 reply fits and is believed
 *   CALL_UDP ------------------------------------------> gone, done called
 *     |  ^ \                                               ^
 *     |  |  \ TC, over budget, dead port, 3 tries silent,  | the same; or an error
 *     |  |   \ a refusal of our signature to be confirmed  | that TCP makes certain
 *     |  |    v                                            |
 *     |  +- FORMERR: once more without EDNS         CALL_TCP
 *     |                                              |  ^  |
 *     v                                              +--+  v
 *   CALL_FAILED (the message could not be built)   closed or silent: once more on
 *     -> gone, done called, from the loop          a fresh connection
 */
#ifndef DNS01_DNS_CLIENT_H
#define DNS01_DNS_CLIENT_H

#include "msg.h"

#define UDP_TRIES 3       /* 1, 2 and 4 s */
#define UDP_FIRST_MS 1000 /* doubles with each try */
#define TCP_TRY_MS 5000
#define TCP_TRIES 2
#define UPDATE_TIMEOUT_MS 10000
#define DNS_PEERS_MAX 256 /* remembered; idle ones are forgotten above it */

struct dns_tcp;
struct dns_call;

/* What is known of one address and port. */
struct dns_peer {
	struct dns_client *client;
	struct dns_peer *next;
	struct addr addr;
	int64_t sent_us[DNS_UDP_PER_S]; /* ring: when the last datagrams left */
	size_t sent_at;
	bool sent_all; /* the ring has gone round */
	struct dns_tcp *tcp;
	size_t calls;
	int64_t silent_until_us; /* lookups ask others first */
};

struct dns_client {
	struct world *world;
	struct dns_peer *peers;
	size_t peer_count;
	struct dns_call *calls;
	uint64_t updates; /* messages */
};

enum call_state {
	CALL_FAILED, /* from start alone: a timer will say so */
	CALL_UDP,    /* a socket is open, a try's timer runs */
	CALL_TCP     /* queued on or written to the peer's connection */
};

/* A kind of call: how a believed reply is read, how the end is told. */
struct call_kind {
	enum err_code (*accept)(struct dns_call *call, const uint8_t *wire, size_t len,
				struct err *err);
	/* Tells the owner and frees the rest of what accept made. */
	void (*finish)(struct dns_call *call, const struct err *err);
};

struct dns_call {
	struct dns_client *client;
	struct dns_call *prev, *next;
	struct dns_peer *peer;
	const struct call_kind *kind;
	enum call_state state;

	struct buf body; /* header and sections, before OPT and TSIG; ID 0 */
	struct msg_expect expect;
	bool edns;
	const struct tsig_key *key;
	struct tsig_mac mac; /* of the request last sent */
	int64_t timeout_ms;
	int64_t deadline_us;
	char *subject; /* of errors; NULL: the question and the server */

	struct world_timer *timer;
	struct world_dgram *dgram;
	int udp_tries, tcp_tries;
	unsigned sent;    /* messages, whatever became of them */
	bool hint_counts; /* an error reply, unproven: TCP is asked next */
	struct err *hint; /* the best explanation if nothing better comes, or NULL */
	struct dns_call *tcp_prev, *tcp_next; /* in the connection's list */
	bool written;
	int64_t asked_us; /* when it was given to the connection */

	union {
		dns_ask_done *ask;
		dns_update_done *update;
	} done;
	void *arg;
	struct dns_msg *msg; /* of an ask, once accepted */
};

/* What a reply is worth; udp.c and tcp.c each decide what follows. */
enum verdict {
	VERDICT_STRANGER,   /* not ours at all */
	VERDICT_TRUNCATED,  /* RFC 2181 s.9: nothing of it may be used */
	VERDICT_NO_EDNS,    /* ask again without EDNS */
	VERDICT_UNBELIEVED, /* garbled, or TSIG does not prove it; err says */
	VERDICT_HOPELESS,   /* our own signature was refused; err says */
	VERDICT_REFUSED,    /* proven, and an error by itself; err says */
	VERDICT_ACCEPTED
};

struct call_setup {
	const struct call_kind *kind;
	struct addr server;
	uint16_t type;
	uint8_t opcode;
	const struct tsig_key *key;
	int64_t timeout_ms;
	char *subject; /* taken; NULL: made of the question when it is needed */
};

/* Makes a call without a body; call_launch() sends it once that is built. */
struct dns_call *call_new(struct dns_client *client, const struct call_setup *setup);
void call_launch(struct dns_call *call, enum dns_transport transport);
/* A fresh ID and signature; false: call->hint says why not. */
bool call_message(struct dns_call *call, uint16_t id, struct buf *out);
enum verdict call_judge(struct dns_call *call, const uint8_t *wire, size_t len, struct err *err);
/* Ends it; err NULL: accepted. The call is gone afterwards, and perhaps the client. */
void call_finish(struct dns_call *call, const struct err *err);
/* Ends it with the hint, or as unanswered. */
void call_give_up(struct dns_call *call);
void call_set_hint(struct dns_call *call, const struct err *err); /* copies */
/* From the loop, with call->hint; for failures inside start. */
void call_fail_later(struct dns_call *call);
void call_set_timer(struct dns_call *call, int64_t delay_us, world_fire *fire);
int64_t call_left_us(const struct dns_call *call); /* until its deadline */

struct dns_peer *peer_get(struct dns_client *client, const struct addr *addr);

/* udp.c */
void udp_start(struct dns_call *call);
void udp_stop(struct dns_call *call);

/* tcp.c */
void tcp_start(struct dns_call *call);
void tcp_stop(struct dns_call *call);
void tcp_close(struct dns_tcp *tcp); /* calls nobody; NULL is fine */

#endif
