/*
 * What the files of cmd/acme share. An operation (struct acme_call) makes
 * requests; a request waits for one of ACME_IN_FLIGHT_MAX slots and for a nonce.
 */
#ifndef ACME_INTERNAL_H
#define ACME_INTERNAL_H

#include <assert.h>
#include <sys/queue.h>

#include "dns01/acme.h"
#include "dns01/json.h"

#define NONCE_POOL_MAX (2 * ACME_IN_FLIGHT_MAX)
#define NONCE_LEN_MAX 512
#define REQUEST_REPEAT_MAX 3 /* after network errors and 5xx */
#define REQUEST_BACKOFF_FIRST_MS 250
#define REQUEST_BACKOFF_MAX_MS 2000
#define REQUEST_TIMEOUT_MS 30000
#define REQUEST_WAIT_MAX_S 60      /* a longer Retry-After is the caller's to wait for */
#define POLL_WAIT_MAX_S 3600       /* of one poll; its deadline bounds all of them */
#define RETRY_AFTER_MAX_S 31536000 /* what an error carries: a year */
#define ACME_NAME_MAX 255          /* an identifier's text, "*." included */
#define ACME_WORD_MAX 255          /* a profile's name, a CAA identity */

/* ---- operations (acme.c) -------------------------------------------------- */

/* The first member of every operation. */
struct acme_call {
	struct acme *acme;
	acme_done *done;
	void *arg;
	void (*release)(struct acme_call *call); /* frees what it holds beside itself; or NULL */
	struct world_timer *timer;               /* whatever it waits for */
	struct err result;                       /* of one that ends from a timer */
	TAILQ_ENTRY(acme_call) link;
};

struct acme_request;

struct acme {
	struct world *world;
	char *directory_url;
	char *ca_file;
	char *proxy;
	const struct key *key;
	char *account_url;
	char *host; /* of the directory: the subject of errors */

	bool directory_known;
	struct acme_directory directory;
	struct strlist directory_text; /* owns the strings of directory */

	TAILQ_HEAD(acme_calls, acme_call) calls;
	TAILQ_HEAD(acme_requests, acme_request) requests; /* oldest first */
	size_t in_flight;
	unsigned request_count;

	char *nonce[NONCE_POOL_MAX]; /* oldest first, taken from the end */
	size_t nonce_count;
	size_t nonces_coming; /* newNonce requests that are under way */
	bool nonces_failed;   /* the last of them failed: no more until one arrives */
};

/* Links call (the first member of a zeroed operation) to acme. */
void acme_call_init(struct acme_call *call, struct acme *acme, acme_done *done, void *arg);
/* Frees the operation with its requests and tells its owner, who may free acme as well:
 * nothing may be touched afterwards. err is borrowed; NULL or ERR_NONE: success. */
void acme_call_finish(struct acme_call *call, const struct err *err);
/* The same from the loop, for what is known inside of x_start. */
void acme_call_finish_soon(struct acme_call *call, const struct err *err);
/* An operation that only fails, from the loop. */
struct acme_call *acme_call_refused(struct acme *acme, const struct err *err, acme_done *done,
				    void *arg);
/* What signed requests need: the directory, and an account unless it is made. */
enum err_code acme_ready(const struct acme *acme, bool with_account, struct err *err) MUST_CHECK;

/* ---- requests (request.c) -------------------------------------------------- */

struct acme_reply {
	const struct http_response *http; /* NULL: none arrived */
	const struct json *json;          /* of a success, unless asked for text */
	int64_t retry_after_s;            /* -1: the CA named none */
	int64_t at_s;                     /* Unix time, s: when it arrived */
	bool repeated;                    /* an earlier try may have been taken */
};

/* Exactly once unless cancelled; err is NULL on success; reply is never NULL, and both
 * are borrowed. Nothing of the request exists any more. */
typedef void acme_request_done(void *arg, const struct err *err, const struct acme_reply *reply);

struct acme_request_args {
	struct acme_call *call; /* cancelled with it; NULL: of acme itself */
	const char *method;     /* "GET", "HEAD"; NULL: a signed POST */
	const char *url;        /* copied */
	const char *payload;    /* copied; "" is POST-as-GET (RFC 8555 s.6.3) */
	const char *task;       /* kept; "make the order": what failed, for people */
	const char *subject;    /* copied; NULL: the CA's host */
	bool by_key;            /* signed with "jwk", not "kid" (RFC 8555 s.6.2) */
	const struct key *key;  /* kept; NULL: the account's */
	bool repeatable;        /* sent again after a network error or a 5xx */
	bool text;              /* the answer is a PEM text, not JSON */
	bool silent;            /* it may be anything, and nothing: its status says all */
	acme_request_done *done;
	void *arg;
};

void acme_request_start(struct acme *acme, const struct acme_request_args *args);
void acme_requests_cancel(struct acme *acme, const struct acme_call *call); /* NULL: all */
/* Drops those that are not on their way; gives how many are. */
size_t acme_requests_drop_unsent(struct acme *acme, const struct acme_call *call);
void acme_requests_pump(struct acme *acme); /* sends what may be sent */
/* Lets the requests that wait for a nonce fail, from the loop. */
void acme_requests_without_nonce(struct acme *acme, const struct err *err);
/* How long to wait before try number `tries` (1, 2, ...) after a failure. */
int64_t acme_backoff_ms(unsigned tries, int64_t retry_after_s);
/* A failure that leaves open whether the CA has acted. */
bool acme_ambiguous(const struct err *err, const struct acme_reply *reply);

/* ---- nonces (nonce.c) ------------------------------------------------------- */

/* Gives the newest, or NULL. */
char *acme_nonce_take(struct acme *acme);
/* Gives a copy of the valid Replay-Nonce of a response, or NULL. */
char *acme_nonce_of(const struct http_response *response);
void acme_nonce_put(struct acme *acme, char *nonce); /* takes it */
/* Fetches what is missing for `count` in the pool or on their way. */
void acme_nonces_want(struct acme *acme, size_t count);
void acme_nonces_clear(struct acme *acme);

/* ---- what the CA said (header.c, problem.c) ------------------------------- */

const char *acme_header(const struct http_response *response, const char *name); /* or NULL */
/* RFC 9110 s.10.2.3, seconds or a date against the response's Date (else against
 * now_s); in [0, RETRY_AFTER_MAX_S], or -1. */
int64_t acme_retry_after_s(const struct http_response *response, int64_t now_s);
/* The first Link target of that relation; gives, or NULL. Untrusted text. */
char *acme_link(const struct http_response *response, const char *rel);
/* All of them, at most max in the list. */
void acme_links(const struct http_response *response, const char *rel, size_t max,
		struct strlist *out);
/* An absolute https URL of at most ACME_URL_MAX visible ASCII characters. */
bool acme_url_is(const char *url);
/* A copy of the URL in object[field] in *out (the old one is freed). */
enum err_code acme_url_get(const struct json *object, const char *field, char **out,
			   struct err *err) MUST_CHECK;
/* The Location of a response, likewise. */
enum err_code acme_location_get(const struct acme_reply *reply, char **out,
				struct err *err) MUST_CHECK;
char *acme_url_host(const char *url); /* gives; for subjects */

/* A problem document inside of an object: ERR_ACME with its words. */
void acme_problem_parse(const struct json *problem, struct err *out);
/* Fills err from an answer that is no success, whatever its body is. */
void acme_problem_of(const struct acme_reply *reply, const char *task, const char *subject,
		     struct err *err);
/* Adds a line for one name to a list of failures, as long as there is room. */
void acme_failures_add(struct buf *text, size_t *left_out, const char *name, const char *why);
void acme_failures_end(struct buf *text, size_t left_out);

/* ---- objects ----------------------------------------------------------------- */

void acme_directory_clear(struct acme *acme);
/* Of at most ACME_WORD_MAX visible ASCII characters; NULL is none. */
bool acme_word_is(const char *text);

bool acme_status_parse(const char *text, enum acme_status *out);
/* RFC 8555 s.7.1.3; order is unchanged on failure. names: what it must be for, NULL: what it
 * says, or what order->names already holds. */
enum err_code acme_order_parse(struct acme_order *order, const struct strlist *names,
			       const struct json *json, struct err *err) MUST_CHECK;
/* Parses an answer and notes its Retry-After in order->poll_at_us. */
enum err_code acme_order_take(struct acme *acme, struct acme_order *order,
			      const struct acme_reply *reply, struct err *err) MUST_CHECK;
/* What every operation on an order that was made needs. */
enum err_code acme_order_ready(const struct acme *acme, const struct acme_order *order,
			       struct err *err) MUST_CHECK;
/* Why the order is lost: by its authorizations, else by its own problem. */
enum err_code acme_order_failure(const struct acme_order *order, struct err *err);
/* "*.example.com" of an RFC 8555 identifier; ERR_PROTOCOL for other types. */
enum err_code acme_identifier_parse(const struct json *identifier, bool wildcard,
				    char out[ACME_NAME_MAX + 1], struct err *err) MUST_CHECK;

void acme_authz_clear(struct acme_authz *authz);
/* Its dns-01 challenge from an authorization's list. */
enum err_code acme_challenge_find(struct acme_authz *authz, const struct json *list,
				  const struct key *key, struct err *err) MUST_CHECK;
/* True, with a sentence that names each of them, if one of order's is dead. */
bool acme_authz_failure(const struct acme_order *order, struct err *err);

/* One request for each wanted authorization of an order, side by side. */
struct acme_each_answer {
	struct acme *acme;
	const struct acme_order *order;
	struct acme_authz *authz;
	const struct err *failure; /* NULL: reply is a success */
	const struct acme_reply *reply;
};

struct acme_each {
	const char *task;
	const char *payload;
	/* The CA acts on it: those on their way when another fails are waited for. */
	bool has_effect;
	/* NULL: this one is not asked for */
	const char *(*url)(const struct acme_authz *authz);
	enum err_code (*take)(const struct acme_each_answer *answer, struct err *err);
	/* NULL, or what is to be said when all were taken */
	enum err_code (*conclude)(const struct acme_order *order, struct err *err);
};

struct acme_each_args {
	struct acme *acme;
	struct acme_order *order;
	const struct acme_each *each; /* kept */
	acme_done *done;
	void *arg;
};

struct acme_call *acme_each_start(const struct acme_each_args *args);

#endif
