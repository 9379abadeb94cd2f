/*
 * ca: a CA of RFC 8555 that validates by looking at the simulated DNS, and issues real
 * certificates. It answers late, twice, wrongly, or not at all, as the faults say. There may be
 * several, each with rules of its own.
 */
#ifndef DNS01_SIM_CA_H
#define DNS01_SIM_CA_H

#include "dns01/json.h"
#include "sim/world.h"

#define CA_URL "https://ca.test"
#define CA_NAMES_MAX 8
#define CA_ORDERS_MAX 64       /* where there are no rules */
#define CA_LIFE_S (90 * 86400) /* the same */

enum ca_status { CA_PENDING, CA_READY, CA_PROCESSING, CA_VALID, CA_INVALID };

struct ca_authz {
	char name[128]; /* without "*." */
	bool wildcard;
	enum ca_status status;
	bool answered; /* the challenge was */
	char token[44];
	char value[44]; /* of the TXT record */
};

/* What the CA makes of a CSR. */
struct ca_leaf {
	char *chain; /* PEM; NULL: nothing was issued yet */
	char serial[48];
	char cert_id[128]; /* RFC 9773 s.4.1 */
	uint8_t key[32];   /* SHA-256 of its public key, DER */
	int64_t not_before_s, not_after_s;
};

struct ca_order {
	enum ca_status status;
	struct strlist names;
	struct ca_authz authz[CA_NAMES_MAX];
	struct ca_leaf leaf;
	int64_t made_us;
	char profile[16];   /* that was asked for; "": none */
	void *of;           /* whose it is, to those who have rules */
	bool exempt;        /* it counts for no limit */
	char replaces[128]; /* RFC 9773 s.5; "": none */
};

struct exchange;

/* What a CA does in its own way; each may be NULL. */
struct ca_rules {
	/* True: it answers so, and hears nothing of what was asked. */
	bool (*stumble)(struct exchange *exchange);
	/* A new order, not yet among the others; false: refused, or another was said instead. */
	bool (*order)(struct exchange *exchange, struct ca_order *order,
		      const struct json *payload);
	/* The verdict of DNS; gives the CA's. */
	bool (*validate)(struct sim *sim, struct ca *ca, const struct ca_authz *authz, bool shown);
	/* A CSR came for an order that is ready: how long the certificate shall live. */
	int64_t (*finalize)(struct sim *sim, struct ca *ca, struct ca_order *order);
	void (*issue)(struct sim *sim, struct ca *ca, struct ca_order *order);
	void (*get)(struct exchange *exchange); /* a page of its own */
	/* A key asks for an account; false: refused. */
	bool (*account)(struct exchange *exchange);
	void (*meta)(struct exchange *exchange); /* more members of its directory */
};

struct ca {
	const char *url;
	const struct ca_rules *rules;
	void *house;             /* of these */
	struct ca_order **order; /* NULL: forgotten */
	size_t order_count, order_cap;
	struct strlist nonces; /* that were given and not used */
	unsigned nonce_count;
	char thumbprint[64]; /* of the account; "": there is none */
	unsigned requests, certificates;
	struct ca *next;
};

struct ca *ca_new(const char *url, const struct ca_rules *rules);
void ca_forget(struct ca *ca, size_t number); /* an order */
void ca_free(struct ca *ca);                  /* and all that follow it */
/* What a process asks; the answer arrives by sim_http_arrives. */
void ca_request(struct sim *sim, uint64_t id, const struct http_request *request);

/* Signs what the program asks for; once for all seeds. */
void issuer_start(void);
void issuer_end(void);
/* SHA-256 of the public key of a CSR (base64url of DER); false: it is none. */
bool issuer_key(const char *csr, uint8_t key[32]);
/* A certificate for a CSR that is one, of leaf's dates; the chain is given. */
void issuer_issue(const char *csr, struct ca_leaf *leaf);
/* What is in a file: a certificate's serial, dates and key; the public half of a private key.
 * False: it cannot be read. */
bool issuer_read(const char *path, struct ca_leaf *leaf);
bool issuer_key_of(const char *path, uint8_t key[32]);

/* ---- between ca.c and those who have rules ---- */

struct ca_asked {
	uint64_t id;
	char method[8];
	char url[256];
	char body[];
};

struct exchange {
	struct sim *sim;
	struct ca *ca;
	const struct ca_asked *asked;
	const char *path; /* after the CA's URL */
	struct json *jws, *header;
	char *payload;
	struct sim_answer answer;
};

void ca_problem(struct exchange *exchange, int status, const char *type, const char *detail);
void ca_say_order(struct exchange *exchange, size_t number);

#endif
