/*
 * What the files of the broker share.
 *
 * A request: a door reads it, identity.c says who asks, claim.c takes it from there and tells the
 * door what becomes of it. Whatever is asked or refused leaves an audit line and a count.
 */
#ifndef DNS01_BROKER_INTERNAL_H
#define DNS01_BROKER_INTERNAL_H

#include "dns01/broker.h"
#include "dns01/json.h"

#define VIEW_DEFAULT "default"
#define CLAIM_ID_LEN 16 /* hexadecimal digits */

/* ---- generations: one configuration and what stands on it ----------------------- */

/* Routes and what is known of zones and their servers, for ERA_S: nothing is cached for ever. */
#define ERA_S 60
struct era {
	struct generation *generation;
	struct router *router;
	struct watcher *watcher;
	int64_t born_us;
	size_t users;
	void *seen;       /* tsearch tree of routes found lately, by name and view */
	struct era *next; /* among those that nobody uses any more */
};

struct generation {
	struct broker *broker;
	struct conf *conf; /* ours */
	struct provider_pool *pool;
	struct publisher *publisher;
	struct era *era; /* the present one */
	struct tsig_keys *keys;
	size_t users;
};

/* A route of that name found at most ROUTE_S ago, or NULL: an order asks for a name and its
 * wildcard one after the other. */
#define ROUTE_S 10
const struct route *era_route(struct era *era, const char *name, const char *view);
void era_note_route(struct era *era, const char *name, const char *view, const struct route *route);
struct era *era_hold(struct generation *generation); /* the present one; era_drop later */
void era_drop(struct era *era);
void generation_hold(struct generation *generation);
void generation_drop(struct generation *generation);

/* ---- who asks ------------------------------------------------------------------- */

struct identity {
	struct generation *generation; /* held */
	const struct conf_client *grant;
	struct conf_client *own_grant; /* of a client of the store, else NULL */
	char *credential; /* its public id, for audit lines: "token 0123456789abcdef" */
	char *bound;      /* the only name that this credential is for, or NULL */
	struct addr from; /* len 0: a Unix socket */
	char from_text[ADDR_TEXT_MAX];
	struct strlist cert_names;
	bool has_cert;
	size_t refs;
};

/* What a request shows of who sends it. */
struct proof {
	const struct peer *peer;
	const char *authorization;   /* the header, or NULL */
	const char *user, *password; /* of acme-dns's headers, or NULL */
	const char *forwarded;       /* X-Forwarded-For, or NULL */
	const struct strlist *trusted_proxies;
};

/* Gives for identity_free. ERR_DENIED: nobody that is known. */
enum err_code identify(struct broker *broker, const struct proof *proof, struct identity **out,
		       struct err *err) MUST_CHECK;
/* By the key that signed a DNS request. */
enum err_code identify_key(struct broker *broker, const char *key, const struct addr *from,
			   struct identity **out, struct err *err) MUST_CHECK;
struct identity *identity_hold(struct identity *identity); /* identity_free once more later */
void identity_free(struct identity *identity);
struct policy_client identity_policy(const struct identity *identity);
/* The key of that name, borrowed until the next call; NULL: none that is live. */
const struct tsig_key *broker_tsig_key(struct broker *broker, const char *name);
void tsig_keys_free(struct tsig_keys *keys);
struct tsig_keys *tsig_keys_load(const struct conf *conf, struct err *err);
/* What clients.db says is remembered. Once for all requests of a turn of the loop: whether another
 * process changed something since, so that what is revoked ends with the next request. */
void store_look(struct broker *broker);
const struct token_row *store_token(struct broker *broker, const char *id); /* NULL: none */
/* Whether a client of the store other than but has a name below name. */
bool store_any_below(struct broker *broker, const char *name, const char *but);
void store_forget(struct broker *broker);
/* Uses of tokens are written now and then, all at once. */
void token_note_use(struct broker *broker, const char *id, const char *from);
void token_flush_uses(struct broker *broker);
/* ---- claims: one value of one client -------------------------------------------- */

enum claim_state {
	CLAIM_ROUTING,
	CLAIM_DEFERRED, /* journalled alone */
	CLAIM_PUBLISHING,
	CLAIM_WATCHING, /* the primary has it */
	CLAIM_VISIBLE,
	CLAIM_FAILED,
	CLAIM_LEAVING,
	CLAIM_STATE_COUNT
};
const char *claim_state_name(enum claim_state state);
#define CLAIM_TEXT_MAX (256 * 1024)

struct claim;
/* state, or the timeline, changed. Last of all comes CLAIM_LEAVING or CLAIM_FAILED. */
typedef void claim_changed(void *arg, const struct claim *claim);

struct claim_watcher {
	claim_changed *changed;
	void *arg;
	struct claim_watcher *next;
};

struct claim {
	struct broker *broker;
	char id[CLAIM_ID_LEN + 1];
	enum claim_state state;
	enum policy_rule rule; /* why policy refused it */
	const char *door;
	char *client;
	char *name;  /* the identifier */
	char *owner; /* the final one; NULL until it is routed */
	char *value;
	char *view;
	char *zone;
	bool defer;
	bool repeats;                  /* what its client has already: not counted beside that */
	struct identity *who;          /* until it is authorized */
	struct era *era;               /* until it is visible */
	struct generation *generation; /* held as long as publish is */
	struct route_call *routing;
	const struct route *route;
	struct publish *publish; /* NULL: not yet, or gone */
	struct watch_join *join;
	struct world_timer *expiry;
	int64_t started_us, published_us, visible_us; /* monotonic; 0: not yet */
	int64_t expires_at;                           /* Unix time, s */
	struct err *err;
	struct claim_watcher *watchers;
	unsigned told;                           /* inside a watcher's callback: not freed */
	bool unwanted;                           /* free it as soon as may be */
	struct owner_claims *at_owner;           /* NULL: not linked */
	struct claim *owner_prev, *owner_next;   /* of the same owner name */
	struct usage *usage;                     /* its client's */
	struct claim *client_prev, *client_next; /* of the same client */
	struct claim_group *group;               /* until it is published; NULL: alone */
	struct claim *group_next;                /* among the group's ready ones */
};

/* Claims of one request: they are published in the same turn, thus in one change a zone, when the
 * last of them is authorized or has failed. */
struct claim_group {
	size_t left;         /* still on their way */
	size_t members;      /* claims that point here, and who opened it */
	struct claim *ready; /* authorized */
	bool whole, failed;  /* whole: none is published when one failed */
};
struct claim_group *claim_group_new(bool whole);
void claim_group_fail(struct claim_group *group); /* something else of the request did */
/* No more will be opened with it: who made it lets go. */
void claim_group_close(struct claim_group *group);

struct claim_request {
	struct identity *who; /* taken */
	const char *door;
	const char *name;  /* an identifier, or NULL: owner says it */
	const char *owner; /* an owner name that may be final already */
	const char *value;
	const char *view; /* NULL: the client's first */
	bool defer;
	enum policy_rule *rule;    /* NULL, or where a refusal's rule goes */
	struct claim_group *group; /* NULL: alone */
};

/*
 * Gives a claim that is on its way, or NULL with err: nothing was begun. It lives until it
 * fails or has left; who watches it is told, and must not look at it after that.
 */
struct claim *claim_open(struct broker *broker, const struct claim_request *request,
			 struct err *err);
void claim_watch(struct claim *claim, struct claim_watcher *watcher); /* kept until unwatch */
void claim_unwatch(struct claim *claim, struct claim_watcher *watcher);
/* The broker ends: one that somebody waits for fails, what is held stays. */
void claim_stop(struct claim *claim);
/* Its value leaves the DNS, unless another client holds it too. */
void claim_leave(struct claim *claim);
struct claim *claim_find(struct broker *broker, const char *id);
/* Claims of client (NULL: of all) at name (an identifier or owner; NULL: any) with value (NULL:
 * any) leave. How many they were. */
size_t claim_leave_matching(struct broker *broker, const char *client, const char *name,
			    const char *value);
typedef void claim_each(void *arg, struct claim *claim);
void claim_for_each(struct broker *broker, const char *client, claim_each *each, void *arg);
/* Values of a client that are at owner, for the UPDATE door's answers and prerequisites. */
void claim_values(struct broker *broker, const char *owner, const char *client,
		  struct strlist *out);
const struct timeline *claim_timeline(const struct claim *claim, size_t *count);
/* As JSON, with reason for its error where the claim has none of its own. */
void claim_put(struct buf *out, const char *key, const struct claim *claim,
	       const struct err *reason);
/* At the start: what earlier runs of the broker hold; rows of one claim. */
void claim_recover(struct broker *broker, const struct journal_row *rows, size_t count);
void claims_free(struct broker *broker); /* no traffic */

/* What no living lease holds is removed at the start, every hour, and within that time. */
void broker_sweep_within(struct broker *broker, int64_t delay_us);

/* ---- audit, metrics ------------------------------------------------------------- */

struct audit {
	const char *door, *action;  /* "api" "publish" */
	const struct identity *who; /* NULL: nobody known */
	const char *client;         /* where there is no who */
	const char *from;
	const char *name, *owner, *value, *view;
	const char *verdict; /* "granted", "refused", "failed" */
	const char *reason;  /* a word: a policy rule or an error's code */
	const char *text;    /* the sentence */
	int64_t lease_until;
};
void audit_write(struct broker *broker, const struct audit *line);
void audit_flush(struct broker *broker); /* by itself with the next turn of the loop */

enum door { DOOR_API, DOOR_HTTPREQ, DOOR_ACMEDNS, DOOR_UPDATE, DOOR_COUNT };
enum outcome { OUTCOME_GRANTED, OUTCOME_REFUSED, OUTCOME_FAILED, OUTCOME_LIMITED, OUTCOME_COUNT };
#define BUCKETS 12
struct histogram {
	uint64_t count[BUCKETS + 1];
	uint64_t total;
	int64_t sum;
};

struct metrics {
	uint64_t requests[DOOR_COUNT][OUTCOME_COUNT];
	uint64_t errors[ERR_COUNT];
	struct histogram publish, propagation, batches;
};
const char *door_name(enum door door);
void metrics_count(struct broker *broker, const char *door, enum outcome outcome);
void metrics_time(struct histogram *histogram, int64_t us);
void metrics_size(struct histogram *histogram, size_t size);
char *metrics_text(const struct broker *broker); /* Prometheus' format; gives */

/* ---- doors ---------------------------------------------------------------------- */

/* An HTTP request on its way through a door. */
struct visit {
	struct broker *broker;
	struct world_exchange *exchange;
	const struct http_incoming *request; /* only during the call */
	const struct conf_listener *listener;
	struct identity *who; /* NULL: not asked yet; freed with the visit's answer */
};

const char *visit_header(const struct visit *visit, const char *name); /* NULL: none */
bool visit_identify(struct visit *visit, struct err *err);
/* By acme-dns's headers too: an account is for its own name alone, so the other doors take none. */
bool visit_identify_account(struct visit *visit, struct err *err);
/* One line of JSON; takes body. */
void answer_json(struct broker *broker, struct world_exchange *exchange, int status,
		 struct json *body);
void answer_text(struct broker *broker, struct world_exchange *exchange, int status,
		 const char *type, const char *text);
/* The same of JSON that is text already, with Retry-After unless that is 0; empties body. */
void answer_buf(struct broker *broker, struct world_exchange *exchange, int status,
		int64_t retry_after_s, struct buf *body);
/* {"error": {...}} with the status that the error asks for. */
void answer_err(struct broker *broker, struct world_exchange *exchange, enum policy_rule rule,
		const struct err *err);
/* With that status instead. */
void answer_err_as(struct broker *broker, struct world_exchange *exchange, int status,
		   const struct err *err);
int status_of_err(enum policy_rule rule, const struct err *err);
void err_put(struct buf *out, const char *key, enum policy_rule rule, const struct err *err);
/* Who may not be known leaves an audit line too. */
void audit_unknown(const struct visit *visit, const char *door, const struct err *err);
/* Who is known and sends what cannot be read, too. */
void audit_nonsense(const struct visit *visit, const char *door, const char *action,
		    const struct err *err);

void broker_serve_http(void *listener, struct world_exchange *exchange,
		       const struct http_incoming *request);

/* A request for one value that waits until it is visible, for as long as its client has patience;
 * then the answer is echo (taken), else {"error": "sentence"} and the value is withdrawn. */
void single_begin(struct visit *visit, const struct claim_request *request, struct json *echo);
void singles_cancel_all(struct broker *broker);
void answer_error_text(struct broker *broker, struct world_exchange *exchange, int status,
		       const char *text);

bool door_api(struct visit *visit); /* false: the path is not one of its own */
bool door_httpreq(struct visit *visit);
bool door_acmedns(struct visit *visit);
void api_cancel_all(struct broker *broker);
/* Whether the members that are there are of their type. */
enum err_code api_check_fields(const struct json *body, struct err *err) MUST_CHECK;
/* POST /v1/check: all that a publish would judge, and nothing is published. */
void api_check(struct visit *visit, const struct json *body);
void checks_cancel_all(struct broker *broker);

struct dns_door;
struct dns_door *dns_door_open(struct broker *broker, const struct listen_at *udp,
			       const struct listen_at *tcp, struct err *err);
void dns_door_close(struct dns_door *door); /* takes no more; what it took is answered */
void dns_door_free(struct dns_door *door);
struct addr dns_door_addr(const struct dns_door *door);

/* ---- the broker ----------------------------------------------------------------- */

struct usage { /* of one client */
	char *client;
	struct claim *claims;
	size_t live;      /* claims that count */
	size_t repeats;   /* those beside them */
	double allowance; /* publishes left of this hour's */
	int64_t counted_us;
};

struct listener {
	struct broker *broker;
	const struct conf_listener *settings; /* of the first generation, which stays */
	struct world_listener *http;
	struct tls_server *tls;
	char *cert_file, *key_file;
	int64_t cert_seen; /* when its file was changed */
	struct dns_door *dns;
	struct listener *next;
};

struct use {
	char *id, *from;
	int64_t at_s;
	struct use *next;
};

struct broker {
	struct broker_args args;
	struct world *world;
	struct dns_client *dns;
	struct journal *journal;
	struct clients *clients;
	struct generation *generation; /* the present one */
	struct generation *first;      /* the listeners' settings are in it */
	struct listener *listeners;
	struct world_timer *housekeeping;
	struct era *dead; /* freed in the next turn: its own parts may be calling */
	struct world_timer *burial;
	struct sweep *sweep;
	struct generation *sweeping; /* held by sweep */
	struct journal_call *recovering, *flushing;
	void *claims_by_id, *claims_by_owner, *usages; /* tsearch trees */
	size_t live_count;                             /* claims that neither failed nor leave */
	size_t waiting; /* claims that are neither visible nor failed, and dry runs */
	void *uses;     /* tsearch tree, by id */
	struct use *use_list;
	size_t use_count;
	struct metrics metrics;
	int64_t sweep_due_us;
	void (*stopped)(void *arg);
	void *stopped_arg;
	int64_t stop_by_us;
	struct call *calls;         /* of the API: requests that wait */
	struct single *singles;     /* of httpreq and acmedns */
	struct check *checks;       /* dry runs that wait for a route */
	uint8_t secret[SHA256_LEN]; /* accounts of acmedns are derived from it */
	bool ready, stopping;
	int audit_fd;
	struct buf audit;   /* lines of this turn */
	char audit_now[32]; /* the time of its lines, as text */
	int64_t audit_now_s;
	struct world_timer *audit_due;
	struct store_cache *cache;
};

#endif
