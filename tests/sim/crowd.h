/*
 * crowd: the clients of the simulated broker, what each may do, and what each was promised.
 *
 *   book.c        who may do what, as configuration and as an oracle of its own
 *   promise.c     values that were asked for, and the invariants about them
 *   errand.c      what clients do, by the doors api and httpreq
 *   errand_dns.c  the same by the UPDATE door
 */
#ifndef DNS01_SIM_CROWD_H
#define DNS01_SIM_CROWD_H

#include "sim/listen.h"
#include "sim/run.h"

#define CROWD_SOCKET "/run/dns01-sim/socket"
#define CROWD_DNS "10.9.0.1:5300"
#define TARGET_SUFFIX "acme.zon1.test"
#define EDITIONS 2 /* of the configuration: before and after it is read again */
#define ERRAND_ASKS_MAX 3
#define VALUE_LEN 43
#define TAPES_MAX 64

struct crowd;

/* What one may do: the oracle reads nothing else. */
struct grant {
	struct strlist names, under, except, targets;
	bool wildcard;
};

struct member {
	struct crowd *crowd;
	size_t index;
	char name[24];
	bool by_key; /* a TSIG key, for the UPDATE door; else a token, for the others */
	bool stored; /* in clients.db; else in the configuration */
	bool reads;  /* its role: it may see all, and change nothing */
	char token[64];
	char key[32]; /* its name */
	uint8_t secret[WIRE_SECRET_LEN];
	struct addr addr;
	struct grant grant[EDITIONS];
	int64_t lease_s, wait_s;
	int64_t sent_us; /* its latest signed message, or what somebody sent again of them */
};

/* ---- what was asked ---- */

enum ask_state {
	ASK_OPEN,    /* it may be in DNS, or not */
	ASK_HELD,    /* its client was told that it is there, and it stays there */
	ASK_RELEASED /* it goes, or never came */
};

struct ask {
	const struct member *member; /* NULL: a process of its own on the journal */
	char value[2 * VALUE_LEN];
	char name[WIRE_TEXT_MAX];
	char owner[WIRE_TEXT_MAX];  /* where it was told to be; "": not known */
	char id[24];                /* that the broker gave */
	char key_authorization[32]; /* that the value is the digest of; "": none */
	enum ask_state state;
	bool in_flight;            /* not answered yet */
	int64_t asked_us, sent_us; /* first, and for the last time */
	int64_t held_until_us;     /* when its lease is over at the earliest */
	int64_t until_us;          /* and at the latest */
	int64_t disturbed_us;      /* when somebody last asked for something that may end it */
	struct ask *next, *next_hashed;
};

/* A signed message that somebody heard on the way. */
struct tape {
	uint8_t data[600];
	size_t len;
	unsigned restarts; /* when it was sent */
	int64_t at_us;
	const struct member *member;
};

/* ---- the crowd ---- */

#define ASK_HASH 1024

struct crowd {
	struct scenario *scenario;
	struct sim *sim;
	char *state;
	struct member *member;
	size_t count;
	unsigned edition;   /* of the configuration that is in force */
	int64_t edition_us; /* since when */
	bool reachable;     /* quorum */
	unsigned restarts;
	struct ask *asks;
	struct ask *hashed[ASK_HASH];
	struct errand *errands;
	size_t errands_left;
	struct tape tape[TAPES_MAX];
	size_t tapes;
	unsigned visible, refused, removed; /* answers, for people */
};

struct crowd *crowd_new(struct scenario *scenario, const char *state, size_t count);
void crowd_free(struct crowd *crowd);
/* Any of its members but not but; NULL: any. */
struct member *crowd_pick(struct crowd *crowd, const struct member *but);

/* ---- book.c ---- */

/* The configuration of that edition; gives. */
char *book_text(const struct crowd *crowd, unsigned edition);
/* Key files, and the clients of clients.db. */
void book_store(struct crowd *crowd);
void book_grant(struct crowd *crowd);
/* Whether a value at owner is within the grants of that edition. */
bool book_may(const struct crowd *crowd, const struct member *member, const char *owner,
	      unsigned edition);
/* A name of its own that it may publish for; gives a text of at most WIRE_TEXT_MAX. */
void book_pick_name(struct crowd *crowd, const struct member *member, char out[WIRE_TEXT_MAX]);
/* What it would like to have beside that: a name, or (true) an owner name. */
bool book_pick_greedy(struct crowd *crowd, const struct member *member, char out[WIRE_TEXT_MAX]);

/* ---- promise.c ---- */

struct ask *ask_new(struct crowd *crowd, const struct member *member, const char *name,
		    const char *value);
void ask_sent(struct crowd *crowd, struct ask *ask);
/* At the instant at which its client is told so. owner NULL: it was not said. */
void ask_visible(struct crowd *crowd, struct ask *ask, const char *owner);
void ask_published(struct crowd *crowd, struct ask *ask);
void ask_released(struct ask *ask);
/* Something is sent that may end what member holds: of that name or value (NULL: any). */
void asks_disturb(struct crowd *crowd, const struct member *member, const char *name,
		  const char *value);
void value_new(struct sim *sim, char out[VALUE_LEN + 1]);
void key_digest(const char *key, char out[VALUE_LEN + 1]);
/* The invariants "granted" and "kept", for each text that comes or goes. */
void promise_text_changed(struct sim *sim, const char *text, bool added);
/* The daemon died: what it had not written down of releases is forgotten. */
void promise_killed(struct crowd *crowd);
/* Nothing is in DNS but what somebody may still hold. */
void promise_left(struct crowd *crowd);

/* ---- errand.c, errand_dns.c ---- */

enum errand_kind {
	ERRAND_API,     /* wait=visible */
	ERRAND_LIST,    /* several values at once */
	ERRAND_POLL,    /* wait=no, and then asks what became of it */
	ERRAND_EVENTS,  /* the same with a stream of events */
	ERRAND_HTTPREQ, /* lego's */
	ERRAND_RAW,
	ERRAND_UPDATE_TCP,
	ERRAND_UPDATE_UDP,
	ERRAND_KINDS
};

enum errand_state {
	ERRAND_ASKING,
	ERRAND_POLLING,
	ERRAND_STEALING,
	ERRAND_REMOVING,
	ERRAND_LOOKING, /* what became of what it removed */
	ERRAND_OVER
};

struct errand {
	struct crowd *crowd;
	struct member *member;
	enum errand_kind kind;
	enum errand_state state;
	bool honest; /* asks for what it may have, and behaves */
	bool greedy, keeps, leaves, steals, repeats, impostor;
	struct ask *ask[ERRAND_ASKS_MAX];
	size_t ask_count;
	bool by_owner; /* the name asked for is an owner name */
	unsigned tries;
	bool asked_once, asked_again;
	unsigned restarts; /* of the broker, when it sent its latest request */
	struct outside_call *call;
	bool by_id;       /* how it removes */
	struct ask *prey; /* of another */
	/* by the UPDATE door */
	struct outside_conn *conn;
	struct buf message, in;
	uint16_t id, port;
	bool answered; /* an answer was sent, arrived or not */
	unsigned sends;
	unsigned serial; /* of deadlines: old ones are of no interest */
	struct errand *next;
};

struct errand *errand_add(struct crowd *crowd, struct member *member, enum errand_kind kind,
			  int64_t delay_us);
/* A value is removed by an errand of its own. */
void errand_farewell(struct crowd *crowd, struct ask *ask);
/* It asked, and knows what became of it: well or not. */
void errand_asked(struct errand *errand, bool well);
void errand_over(struct errand *errand);
void errand_again(struct errand *errand, int64_t delay_us); /* what it did last */
void errand_release(struct errand *errand, struct ask *ask, bool retried);
/* A calm world, and a granted name, with room for its value. */
bool errand_must_go_well(const struct errand *errand);
void errand_free(struct errand *errand);

void errand_dns_act(struct errand *errand);
void errand_dns_heard(struct sim *sim, const struct addr *to, const struct outside_in *in);
/* Somebody sends what he heard. */
void crowd_replay(struct crowd *crowd);

#endif
