/*
 * What the files of rest share.
 *
 *   batch.c    a batch: zones, units, finish       zone.c   the zones of the account
 *   unit.c     owners that are written together    set.c    the values at one owner, merged
 *   walk.c     one run of a step                   ask.c    the request it makes
 *   call.c     one request: turn, retries          said.c   what the vendor says, for people
 *   secret.c   credentials                         rest.c   the instance
 */
#ifndef DNS01_REST_INTERNAL_H
#define DNS01_REST_INTERNAL_H

#include "dns01/rest.h"

#define REST_IN_FLIGHT 4 /* where the provider names no number */
#define REST_HTTP_MS 30000
#define REST_PAUSE_MS 500 /* before the first try more; doubled each time */
#define REST_PAUSE_MAX_MS 30000

struct rest_call;
struct zone_entry;

struct secret {
	char *text;    /* NULL: not known (yet) */
	char *command; /* argv, split by newlines; NULL: none */
	char *file;    /* NULL: none */
};

struct rest {
	const struct rest_api *api;
	const struct provider_host *host;
	struct settings given;
	char *endpoint; /* without a final slash */
	char *ca_file;
	char *shown;   /* its type, and what the configuration calls it where that says more */
	char *account; /* "project my-project"; NULL: not known */
	int64_t timeout_ms;
	void *self;
	struct strlist hidden; /* texts that are masked in errors */

	struct secret *secrets;    /* one for each of api->secrets */
	struct world_child *child; /* that prints one */
	size_t child_secret;

	char *token; /* NULL: none */
	int64_t token_until_us;
	bool token_again; /* it is asked for once more, with other secrets */
	struct walk *token_walk;

	struct zone_entry *zones;
	struct zone_find *finds;
	int64_t zones_all_until_us; /* until when the list of zones is whole */
	bool zones_asked;           /* once at least */
	bool zones_listed;          /* it was answered by a list of all */

	struct rest_call *calls, *calls_last; /* in the order in which they came */
	unsigned in_flight;
	int64_t next_at_us; /* no request before */
	struct world_timer *pump;
};

int64_t rest_now_us(const struct rest *rest);
/* A pause that doubles with each try, and half of it is chance. */
int64_t rest_pause_us(struct rest *rest, unsigned tries);

/* ---- secret.c ---- */

enum err_code secrets_open(struct rest *rest, struct err *err) MUST_CHECK;
/* False: a program is asked, and rest_pump follows. */
bool secrets_ready(struct rest *rest);
/* What a program printed is forgotten, files are read again; false: none can be different. */
bool secrets_renew(struct rest *rest);
void secrets_close(struct rest *rest);

/* ---- ask.c: the request of a walk ---- */

struct asked {
	char *method, *url, *type;
	char *body;
	size_t body_len;
	struct strlist headers; /* name, value, name, value */
	int accept[4];
	size_t accept_count;
	bool plain, once, repeatable;
	bool elsewhere; /* not to the endpoint: no sign, no token */
};
void asked_clear(struct asked *asked);

/* ---- call.c ---- */

/* Exactly one of err and response; unsure: it may have changed something all the same. */
struct call_end {
	const struct err *err;
	const struct http_response *response;
	bool unsure;
};
typedef void call_done(void *arg, const struct call_end *end);

/* asked is kept until done; deadline_us: no try begins after it. */
struct rest_call *call_start(struct rest *rest, const struct asked *asked, int64_t deadline_us,
			     call_done *done, void *arg);
void call_cancel(struct rest_call *call);
void rest_pump(struct rest *rest);                         /* from the loop */
void calls_fail(struct rest *rest, const struct err *err); /* those that need a token or secret */
void calls_close(struct rest *rest);

/* ---- walk.c ---- */

struct walk_end {
	enum rest_next next; /* DONE, CONFLICT or FAILED */
	const struct err *err;
	bool unsure; /* a request that may have changed something failed */
	bool again;  /* it may succeed another time */
	bool look_again;
	bool silent; /* no request was sent */
};
typedef void walk_done(void *arg, const struct walk_end *end);

struct walk {
	struct rest_walk pub; /* what the step sees; first */
	rest_step *step;
	int64_t deadline_us;
	int64_t polling_since_us; /* 0: it is not */
	struct asked asked;
	struct rest_call *call;
	struct world_timer *timer;
	unsigned requests;
	bool unsure, again;
	bool changed;  /* something that is no question was answered by success */
	bool overflow; /* more values than are kept */
	bool look_again;
	struct err err;
	walk_done *done;
	void *arg;
};

/* pub is copied; its zone, suffix, set, sets and value are borrowed until done. */
struct walk *walk_start(struct rest *rest, rest_step *step, const struct rest_walk *pub,
			int64_t deadline_us);
void walk_then(struct walk *walk, walk_done *done, void *arg); /* at once after walk_start */
void walk_cancel(struct walk *walk);

/* ---- said.c ---- */

/* The sentence of a refusal into err, with the code that its status stands for. */
enum err_code said_refusal(struct rest *rest, const struct rest_answer *answer, struct err *err);
void said_mask(const struct rest *rest, char *text); /* secrets become asterisks */
/* "TASK in zone ZONE of ACCOUNT SETTING" before the sentence; where: owner or zone. */
void said_where(const struct rest *rest, struct err *err, const char *task,
		const struct rest_zone *zone);
int64_t said_retry_after_s(const struct http_response *response, int64_t now_s); /* -1: none */
const char *said_header(const struct http_response *response, const char *name);

/* ---- zone.c ---- */

struct zone_find;
typedef void zone_found_fn(void *arg, const struct err *err, const struct rest_zone *zone);
/* The API's zone of owner; dns_zone is what the DNS says, for an API without a list of zones. The
 * zone is borrowed until rest_close. */
struct zone_find *zone_find_start(struct rest *rest, const char *owner, const char *dns_zone,
				  int64_t deadline_us);
void zone_find_then(struct zone_find *find, zone_found_fn *done, void *arg);
void zone_find_cancel(struct zone_find *find);
void zones_forget(struct rest *rest); /* what was found is asked about anew */
void zones_close(struct rest *rest);

/* ---- set.c ---- */

void set_init(struct rest_set *set, const char *owner, const struct rest_zone *zone);
void set_clear(struct rest_set *set);
void set_forget(struct rest_set *set); /* what was read */
bool set_has(const struct rest_set *set, const char *text);
/* Makes value what it shall be: without remove, with add. False: it is so already. */
bool set_merge(struct rest_set *set, uint32_t ttl_s);
void values_free(struct rest_value *values, size_t count);

/* ---- unit.c ---- */

/* One change of a batch. */
struct change {
	const struct provider_change *want;
	struct err result;
	bool settled;
	bool later; /* it failed in this round, and is tried again in the next */
};

struct unit_args {
	struct rest *rest;
	const struct rest_zone *zone;
	struct change **changes; /* taken; all of that zone, those of one owner together */
	size_t count;
	int64_t deadline_us;
};
struct unit;
typedef void unit_done(void *arg, bool wrote);
/* done: each change has its result. */
struct unit *unit_start(const struct unit_args *args, unit_done *done, void *arg);
void unit_cancel(struct unit *unit);

#endif
