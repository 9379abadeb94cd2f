/*
 * acme: RFC 8555 for one account at one CA. Everything that the CA sends is
 * untrusted: URLs must be https, tokens base64url, texts bounded and escaped.
 */
#ifndef DNS01_ACME_H
#define DNS01_ACME_H

#include "dns01/crypto.h"
#include "dns01/world.h"

#define ACME_URL_MAX 2048
#define ACME_TOKEN_MAX 256
#define ACME_NAMES_MAX 1000
#define ACME_IN_FLIGHT_MAX 8
#define ACME_BAD_NONCE_MAX 8 /* retries of one request */
#define ACME_ALTERNATES_MAX 16
/* Without Retry-After: a CA next door has decided at once; then doubling ... */
#define ACME_POLL_FIRST_MS 10
#define ACME_POLL_SECOND_MS 50
#define ACME_POLL_MAX_MS 5000 /* ... up to this */

struct acme;
struct acme_call; /* one operation in progress */
void acme_call_cancel(struct acme_call *call);

/* Finished; err is NULL on success. Results are in the objects handed in. */
typedef void acme_done(void *arg, const struct err *err);

struct acme_args {
	struct world *world;   /* kept */
	const char *directory; /* https URL */
	const char *ca_file;   /* NULL: the system's roots */
	const char *proxy;
	const struct key *key;   /* kept */
	const char *account_url; /* NULL: not registered yet */
};

struct acme *acme_new(const struct acme_args *args);
void acme_free(struct acme *acme); /* cancels all */
/* Requests made so far, for people and the bench. */
unsigned acme_requests(const struct acme *acme);

/* Reads the directory, and a nonce beside it as soon as its URL is known. */
struct acme_call *acme_directory_start(struct acme *acme, acme_done *done, void *arg);

struct acme_directory { /* borrowed; NULL: not offered */
	const char *new_nonce, *new_account, *new_order, *revoke_cert, *key_change, *renewal_info;
	const char *terms_of_service, *website;
	bool external_account_required;
	struct strlist profiles; /* names */
	struct strlist caa_identities;
};
const struct acme_directory *acme_directory(const struct acme *acme);

struct acme_registration {
	const struct strlist *contact; /* mailto: URLs, may be empty */
	bool agree_tos;                /* stated by the operator */
	const char *eab_kid;           /* NULL: none */
	const char *eab_alg;           /* NULL: "HS256" */
	const uint8_t *eab_secret;
	size_t eab_secret_len;
	bool only_existing; /* find the account of this key, make none */
};
/* newAccount; then acme_account_url() is known. Needs the directory. Sentences for: terms
 * not agreed (with their URL), EAB required, contact refused. */
struct acme_call *acme_account_start(struct acme *acme, const struct acme_registration *reg,
				     acme_done *done, void *arg);
const char *acme_account_url(const struct acme *acme); /* borrowed; NULL: unknown */
/* The account's contacts become these (RFC 8555 s.7.3.2); some CAs keep none. */
struct acme_call *acme_account_update_start(struct acme *acme, const struct strlist *contact,
					    acme_done *done, void *arg);
/* RFC 8555 s.7.3.6: for good; whatever the account asks for later is refused. */
struct acme_call *acme_account_deactivate_start(struct acme *acme, acme_done *done, void *arg);
/*
 * RFC 8555 s.7.3.5: new_key (borrowed until done) takes the place of the account's key; the
 * caller has it on disk already. Success is what the CA answered to a request that the new key
 * signed; acme keeps signing with the old one until acme_use_key(). After a failure with
 * acme_passing() either key may count.
 */
struct acme_call *acme_account_rollover_start(struct acme *acme, const struct key *new_key,
					      acme_done *done, void *arg);
/* Whether the account is key's (kept until done), as a rollover that was cut off leaves open;
 * ERR_NOT_FOUND: it is not. */
struct acme_call *acme_account_key_start(struct acme *acme, const struct key *key, acme_done *done,
					 void *arg);
void acme_use_key(struct acme *acme, const struct key *key); /* kept; while no call is open */
/* Whether err->problem is that type of RFC 8555 s.6.7, such as "accountDoesNotExist". */
bool acme_problem_is(const struct err *err, const char *type);

/* ---- orders ---------------------------------------------------------------- */

enum acme_status {
	ACME_PENDING,
	ACME_READY,
	ACME_PROCESSING,
	ACME_VALID,
	ACME_INVALID,
	ACME_EXPIRED,
	ACME_DEACTIVATED,
	ACME_REVOKED,
	ACME_UNKNOWN
};
const char *acme_status_name(enum acme_status status);

struct acme_authz {
	char *url;
	char *name; /* the identifier, "*." in front when wildcard; "" until loaded */
	enum acme_status status;
	int64_t expires_at;  /* Unix time, s; 0: not said */
	char *challenge_url; /* of the dns-01 challenge; NULL: none offered */
	char value[44];      /* of the TXT record */
	enum acme_status challenge_status;
	struct err problem; /* why it is invalid; code ERR_NONE: not said */
};

struct acme_order {
	char *url;
	enum acme_status status;
	struct strlist names; /* as the CA holds them */
	char *finalize_url;
	char *certificate_url;     /* once valid */
	struct strlist alternates; /* once downloaded */
	char *profile;             /* as the CA says; NULL: it says none */
	int64_t expires_at;
	struct acme_authz *authz;
	size_t authz_count;
	int64_t poll_at_us; /* monotonic: the CA's Retry-After; 0: it named none */
	struct err problem;
};

struct acme_order *acme_order_new(void);
void acme_order_free(struct acme_order *order);

struct acme_order_args {
	const struct strlist *names; /* A-labels; checked for overlap by names_check() */
	const char *profile;         /* NULL: none */
	const char *replaces;        /* RFC 9773 cert id, or NULL */
};

/* newOrder, with as many more nonces fetched beside it as the authorizations will need. */
struct acme_call *acme_order_start(struct acme *acme, const struct acme_order_args *args,
				   struct acme_order *order, acme_done *done, void *arg);
/* POST-as-GET of order->url. ERR_NOT_FOUND: the CA no longer knows it. */
struct acme_call *acme_order_load_start(struct acme *acme, struct acme_order *order,
					acme_done *done, void *arg);
/* Loads all authorizations side by side; valid ones need no challenge. */
struct acme_call *acme_authz_load_start(struct acme *acme, struct acme_order *order,
					acme_done *done, void *arg);
/* Answers the dns-01 challenge of every pending authorization, side by side. */
struct acme_call *acme_respond_start(struct acme *acme, struct acme_order *order, acme_done *done,
				     void *arg);
/*
 * Polls the order until it is no longer pending, or (processing) valid. An
 * invalid order's authorizations are fetched once, and the error carries their sentences.
 * deadline_us: monotonic.
 */
struct acme_call *acme_order_wait_start(struct acme *acme, struct acme_order *order,
					int64_t deadline_us, acme_done *done, void *arg);
/* Sends the CSR; the order may be processing or valid afterwards (RFC 8555 s.7.4).
 * orderNotReady loads the order again. */
struct acme_call *acme_finalize_start(struct acme *acme, struct acme_order *order,
				      const struct buf *csr_der, acme_done *done, void *arg);
/* The chain's PEM text into out (kept until done, initialised by the caller with its maximum). */
struct acme_call *acme_download_start(struct acme *acme, struct acme_order *order, struct buf *out,
				      acme_done *done, void *arg);

/* One of order->alternates, likewise: the chains that were offered beside the one that
 * acme_download_start brought (RFC 8555 s.7.4.2). */
struct acme_call *acme_alternate_start(struct acme *acme, const char *url, struct buf *out,
				       acme_done *done, void *arg);

/* ---- after issuance ---------------------------------------------------------- */

struct acme_renewal_info {     /* RFC 9773 s.4 */
	int64_t start, end;    /* Unix time, s */
	char *explanation;     /* http or https URL for people, escaped; NULL: none */
	int64_t retry_after_s; /* when to ask again, clamped to 60 s ... 1 day; 6 h: not said */
};
void acme_renewal_info_clear(struct acme_renewal_info *info);
/*
 * Asks without a signature; out (zeroed) is filled on success. Needs the directory;
 * ERR_NOT_FOUND where the CA has no renewalInfo. The window is as the CA wrote it: it may lie
 * behind us, or after the certificate's end. A failure passes or lasts (RFC 9773 s.4.3.3):
 * acme_passing() tells.
 */
struct acme_call *acme_renewal_info_start(struct acme *acme, const char *cert_id,
					  struct acme_renewal_info *out, acme_done *done,
					  void *arg);
/* Whether a failure says nothing of the CA's mind: no answer, a broken one, or a 5xx. */
bool acme_passing(const struct err *err);
/* The CA has paused the account for these names, and asks a person to visit the page that the
 * sentence names: to try again before that is in vain. */
bool acme_paused(const struct err *err);

/* RFC 5280 s.5.3.1 by the names of RFC 8555 s.7.6: "unspecified", "keyCompromise",
 * "affiliationChanged", "superseded", "cessationOfOperation"; false: none of them. */
bool acme_reason_parse(const char *name, int *out);
/* RFC 8555 s.7.6: chain's leaf, signed by the account, or by cert_key where it is given (no
 * account is needed then). "alreadyRevoked" is success. */
struct acme_revocation {
	const struct chain *chain;  /* borrowed for the call */
	const struct key *cert_key; /* kept until done; NULL: by the account */
	int reason;
};
struct acme_call *acme_revoke_start(struct acme *acme, const struct acme_revocation *args,
				    acme_done *done, void *arg);

/* Syntax, duplicates (dropped), and "*.example.com" beside "www.example.com", which public
 * CAs refuse: names what overlaps. Sorted A-labels into out. */
enum err_code names_check(const struct strlist *names, struct strlist *out,
			  struct err *err) MUST_CHECK;

#endif
