/*
 * broker: one daemon holds the DNS credentials, many less trusted clients publish through it.
 *
 *   door (api, httpreq, acmedns, update)   translates a protocol, knows nothing else
 *   identity   who asks: token, certificate, TSIG key, user of this host
 *   policy     may he? of plain data alone: default is deny
 *   claim      one value of one client: route, authorize the final owner, publish, watch, lease
 *   audit      a line for each request, granted or refused
 */
#ifndef DNS01_BROKER_H
#define DNS01_BROKER_H

#include "dns01/challenge.h"

/* ---- policy: pure --------------------------------------------------------------- */

/* Why a request is refused; the first that holds, in this order. */
enum policy_rule {
	POLICY_GRANTED,
	POLICY_NETWORK,   /* not from there */
	POLICY_ROLE,      /* its role publishes nothing */
	POLICY_VIEW,      /* not in that view */
	POLICY_VALUE,     /* no digest of a key authorization (RFC 8555 s.8.4) */
	POLICY_NAME,      /* no name of a host */
	POLICY_EXCEPT,    /* under an exception */
	POLICY_UNGRANTED, /* neither in names nor under what is granted */
	POLICY_ALIAS,     /* its challenge name leads to what is not granted */
	POLICY_WILDCARD,  /* the value would prove more than the name, and that is not granted */
	POLICY_RULE_COUNT
};
const char *policy_rule_name(enum policy_rule rule); /* "ungranted"; for audit lines */

#define POLICY_VALUE_LEN 43    /* base64url of a SHA-256 */
#define POLICY_OWNER_VALUES 18 /* at one owner name, of all clients: a CA reads a UDP answer */
#define POLICY_OWNER_ALONE 12  /* of one client, while no other has any there */

/* Who asks, once that is proven. */
struct policy_client {
	const struct conf_client *grant;
	const struct strlist *cert_names; /* for "@san"; NULL: no certificate */
	const struct addr *from;          /* len 0: over a Unix socket */
};

/* What is asked. Names are in the form of dns.h. */
struct policy_question {
	const char *name; /* an identifier, without "*." */
	const char *view;
	const char *value; /* NULL: not judged */
	/* What routing found; owner NULL: not yet, only the name is judged. */
	const char *owner;       /* the final one */
	const char *target;      /* policy_target() of name, or NULL */
	bool apex;               /* name, or what owner is the challenge of, is a zone's apex */
	const char *other_below; /* a client that has names below it, or NULL */
};

/* err: the sentence, which names what to change. */
enum policy_rule policy_judge(const struct policy_client *client,
			      const struct policy_question *question, struct err *err);
/* names, under and except alone. */
enum policy_rule policy_name(const struct policy_client *client, const char *name, struct err *err);
/* Where an alias of name's challenge leads: NAME.SUFFIX. ERR_USAGE: too long for a name. */
enum err_code policy_target(const char *name, const char *suffix, char out[NAME_TEXT_MAX],
			    struct err *err) MUST_CHECK;
/* The identifier that an owner name is for: of "_acme-challenge.NAME" and, below a target zone's
 * suffix (NULL: none), of NAME.SUFFIX. False: of none. */
bool policy_name_of(const char *owner, const char *suffix, char out[NAME_TEXT_MAX]);
/* How many values one client may have at an owner name where `others` clients have some. */
size_t policy_share(size_t others);
/* Whether a client of the configuration other than but has a name below name: its name, or NULL. */
const char *policy_other_below(const struct conf *conf, const char *name, const char *but);

/* A client of the store as the configuration's are; NULL with err. Gives. */
struct conf_client *broker_client_of_row(const struct client_row *row, struct err *err);

/* ---- the daemon ----------------------------------------------------------------- */

struct broker;

struct broker_args {
	struct world *world;
	struct dns_client *dns;
	struct journal *journal;
	struct clients *clients;
	const char *state; /* the state folder */
	struct conf *conf; /* taken */
	/* Where to listen at if the service manager opened it already: the descriptor, else -1. */
	int (*inherited)(const struct listen_at *at, int type);
};

/* Keeps what args names. Opens the listeners of the configuration, and serves nothing yet. */
enum err_code broker_new(const struct broker_args *args, struct broker **out,
			 struct err *err) MUST_CHECK;
/* Takes up what earlier runs hold, sweeps what nobody does, and serves. journal and clients may
 * be set late, when privileges were dropped. */
enum err_code broker_start(struct broker *broker, struct journal *journal, struct clients *clients,
			   struct err *err) MUST_CHECK;
/* Clients, zones and providers from now on; requests that are under way keep what they began
 * with. Takes conf. Certificates are read again. */
enum err_code broker_reload(struct broker *broker, struct conf *conf, struct err *err) MUST_CHECK;
/* Takes no more requests; those that wait are refused and their values leave; what clients were
 * told is there stays until its lease ends. done: once, from the loop. */
void broker_stop(struct broker *broker, void (*done)(void *arg), void *arg);
void broker_free(struct broker *broker);
/* "https 127.0.0.1:8443 (api, httpreq)": a line for each listener; gives. */
char *broker_describe(const struct broker *broker);

#endif
