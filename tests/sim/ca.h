/*
 * ca: a CA of RFC 8555 that validates by looking at the simulated DNS, and issues real
 * certificates. It answers late, twice, wrongly, or not at all, as the faults say.
 */
#ifndef DNS01_SIM_CA_H
#define DNS01_SIM_CA_H

#include "sim/world.h"

#define CA_URL "https://ca.test"
#define CA_NAMES_MAX 8
#define CA_ORDERS_MAX 64

enum ca_status { CA_PENDING, CA_READY, CA_PROCESSING, CA_VALID, CA_INVALID };

struct ca_authz {
	char name[128]; /* without "*." */
	bool wildcard;
	enum ca_status status;
	bool answered; /* the challenge was */
	char token[44];
	char value[44]; /* of the TXT record */
};

struct ca_order {
	bool known; /* to the client: its URL was sent in an answer that arrived, or may have */
	enum ca_status status;
	struct strlist names;
	struct ca_authz authz[CA_NAMES_MAX];
	char *chain; /* PEM, once issued */
	char serial[48];
};

struct ca {
	struct ca_order order[CA_ORDERS_MAX];
	size_t order_count;
	struct strlist nonces; /* that were given and not used */
	unsigned nonce_count;
	char thumbprint[64]; /* of the account; "": there is none */
	unsigned requests, certificates;
};

struct ca *ca_new(void);
void ca_free(struct ca *ca);
/* What a process asks; the answer arrives by sim_http_arrives. */
void ca_request(struct sim *sim, uint64_t id, const struct http_request *request);

/* Signs what the program asks for; once for all seeds. */
void issuer_start(void);
void issuer_end(void);
/* A chain for a CSR (base64url of DER); NULL: it is none. Gives. */
char *issuer_issue(const struct sim *sim, const char *csr, char serial[48]);

#endif
