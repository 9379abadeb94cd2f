/*
 * issue: one certificate from order to deployment, on top of acme, challenge
 * and store.
 */
#ifndef DNS01_ISSUE_H
#define DNS01_ISSUE_H

#include "dns01/acme.h"
#include "dns01/challenge.h"

enum issue_step {
	ISSUE_LOCK,    /* the lineage, against a second process */
	ISSUE_ACCOUNT, /* key, directory, registration */
	ISSUE_ORDER,   /* new, or a pending one resumed; routes are found beside it */
	ISSUE_AUTHZ,
	ISSUE_ROUTE, /* waits for routes that are not there yet */
	ISSUE_PUBLISH,
	ISSUE_WATCH,
	ISSUE_RESPOND,
	ISSUE_READY,    /* polls until the order is ready */
	ISSUE_FINALIZE, /* key and order URL are on disk; retract runs beside it */
	ISSUE_VALID,    /* polls until the certificate is there */
	ISSUE_DOWNLOAD,
	ISSUE_STORE,
	ISSUE_RETRACT, /* waits until nothing of ours is left in DNS */
	ISSUE_DEPLOY,
	ISSUE_DONE,
	ISSUE_STEP_COUNT
};
const char *issue_step_name(enum issue_step step);

struct issue_event {
	int64_t at_us;                   /* monotonic, since the start */
	enum issue_step step;            /* entered, when progress is NULL */
	const struct progress *progress; /* of the pipeline, else NULL */
	const char *text;                /* of the step, for people; may be NULL */
};
typedef void issue_event_fn(void *arg, const struct issue_event *event);

struct issue_args {
	struct world *world;
	const struct conf *conf; /* kept, as all of these */
	const struct conf_account *account;
	const struct conf_certificate *certificate;
	enum key_type key_type;
	const char *lineage; /* its name in the store */
	struct journal *journal;
	struct renewals *renewals; /* NULL: nothing is remembered, no limit is known */
	/* A rehearsal: the order goes its whole way, then what came is thrown away. Nothing is
	 * stored, remembered or deployed; give it an account at a staging CA. */
	bool rehearse;
	/* Accounts whose CA gave no answer a moment ago: not asked again. NULL: none. */
	const struct strlist *down;
	struct dns_client *dns;
	const char *self;         /* path of the program, for slow keys; NULL: in place */
	const char *lineage_conf; /* text to store as lineage.conf */
	issue_event_fn *event;    /* may be NULL */
	void *event_arg;
};

struct issue_result {
	char *folder;             /* .../current; NULL: no certificate */
	struct chain_facts facts; /* of the new chain; empty without */
	const char *account;      /* the configuration's name of the one that ordered it */
	const char *profile;      /* as asked for; NULL: none */
	struct strlist silent;    /* accounts whose CA gave no answer, and nothing was ordered */
	bool resumed;             /* an order of an earlier run was finished */
	unsigned https_requests;
	struct timeline *timeline; /* zone and server are owned by the result */
	size_t timeline_count;
	struct err deploy_error;  /* ERR_NONE: all ran, or none was asked for */
	char *deploy_output;      /* escaped, bounded; "" when there was none */
	struct err retract_error; /* ERR_NONE: nothing of ours is left in DNS */
};

/*
 * err NULL: the certificate is stored (deploy and retract may have failed, see
 * result). result is borrowed and never NULL. Once, and not from inside.
 */
typedef void issue_done(void *arg, const struct err *err, const struct issue_result *result);

struct issuance;
struct issuance *issuance_start(const struct issue_args *args, issue_done *done, void *arg);
/* The operator wants out: whatever is held is retracted (at most 10 s), then done comes
 * with ERR_CANCELED. Called again: nothing more. */
void issuance_stop(struct issuance *issuance);
/* Frees it; done must have come. */
void issuance_free(struct issuance *issuance);
/* For the simulator's kill: frees everything, tells nobody. */
void issuance_abandon(struct issuance *issuance);

/* The configuration narrowed to one lineage: what is stored as lineage.conf; gives. */
char *lineage_conf_text(const struct conf *conf, const struct conf_certificate *certificate,
			enum key_type key_type, const char *lineage);

/* ---- accounts ------------------------------------------------------------------- */

/* The account's key as the state folder has it, made and saved when it is new. Gives. */
enum err_code account_open(const char *state, const struct conf_account *account,
			   struct account_record **out, struct err *err) MUST_CHECK;
/* acme_account_start with what the configuration says: terms, contacts, external binding.
 * NULL with err set where the configuration is at fault; then done does not come. */
struct acme_call *account_register_start(struct acme *acme, const struct conf_account *account,
					 acme_done *done, void *arg, struct err *err);

/* ---- plan: what is due, and why ---------------------------------------------------- */

enum plan_state {
	PLAN_WAITS,     /* nothing to do before at_s */
	PLAN_DUE,       /* since at_s */
	PLAN_BACKS_OFF, /* due, but it failed: not before at_s */
	PLAN_PAUSED,    /* due, but the CA wants a person first */
	PLAN_STATE_COUNT
};
const char *plan_state_name(enum plan_state state); /* "waits", "due", "backs-off", "paused" */

enum plan_reason {
	PLAN_MISSING, /* there is no certificate yet */
	PLAN_NAMES,   /* the configuration says something else since it was issued */
	PLAN_KEY_TYPE,
	PLAN_ACCOUNT,
	PLAN_PROFILE,
	PLAN_CHAIN,
	PLAN_EXPIRED,
	PLAN_WINDOW, /* RFC 9773 */
	PLAN_BEFORE, /* renew_before */
	PLAN_LIFE,   /* a third of its life is left, or half of a short one */
	PLAN_LAST,   /* a tenth is left, whatever the CA suggests */
	PLAN_FORCED,
	PLAN_REASON_COUNT
};
const char *plan_reason_name(enum plan_reason reason); /* "missing", "names", ... */

/* Plain data, all borrowed: one configured certificate, and what is known of the one there. */
struct plan_input {
	const struct renewal *row; /* NULL: nothing is known */
	const char *names;         /* sorted A-labels, blanks between */
	const char *key_type;
	const struct strlist *accounts; /* that may have issued it; the first is asked first */
	const char *wish;               /* of the account that issued it: as struct renewal */
	const char *chain;
	int64_t renew_before_s; /* 0: not said */
	int64_t now_s;
	int64_t wake_s; /* the next look comes in so long at the latest */
	bool force;
};

struct plan {
	enum plan_state state;
	enum plan_reason reason;
	int64_t at_s;
	int64_t rank; /* the smaller, the more urgent: ppm of its life that is left, or less */
	bool exempt;  /* ordered now, it counts for no limit of the CA (RFC 9773's window) */
};

void plan_make(const struct plan_input *input, struct plan *out);
/* The reason as a sentence, with times, and what it waits for; gives. */
char *plan_text(const struct plan_input *input, const struct plan *plan);
/* Whether the CA shall be asked for its window now: never after expiry or before a change. */
bool plan_asks(const struct plan_input *input, const struct plan *plan);

/* What a row becomes; draw is uniform. Only the row's own numbers change. */
void renewal_take_window(struct renewal *row, const struct acme_renewal_info *info, int64_t now_s,
			 uint64_t draw);
void renewal_take_silence(struct renewal *row, const struct err *err, int64_t now_s, uint64_t draw);
void renewal_take_failure(struct renewal *row, const struct err *err, int64_t now_s, uint64_t draw);

/*
 * record->next was there, and acme_account_key_start(acme, record->next, ...) gave answer (NULL:
 * it is the account's): the key that counts is the one of record, acme and the disk afterwards.
 * Fails where the CA could not say; then both keys stay.
 */
enum err_code account_settle(struct acme *acme, struct account_record *record,
			     const struct err *answer, int64_t now_s, struct err *err) MUST_CHECK;

/* ---- probe: the pipeline without a CA --------------------------------------- */

struct probe_args {
	struct world *world;
	const struct conf *conf;
	const char *name; /* identifier */
	const char *view; /* NULL: default */
	struct journal *journal;
	struct dns_client *dns;
	issue_event_fn *event;
	void *event_arg;
};
struct probe;
/* Publishes a random value, watches it, retracts it; timeline in result, folder NULL. */
struct probe *probe_start(const struct probe_args *args, issue_done *done, void *arg);
void probe_stop(struct probe *probe);
void probe_free(struct probe *probe);

/* ---- deploy -------------------------------------------------------------------- */

struct deploy_args {
	struct world *world;
	const struct conf_certificate *certificate;
	const char *lineage;
	const char *folder; /* .../current */
	const struct chain_facts *facts;
};
struct deploy;
/* Runs each command once, one after another; stops at none that fails. output is
 * borrowed: what they printed, escaped. */
typedef void deploy_done(void *arg, const struct err *err, const char *output);
struct deploy *deploy_start(const struct deploy_args *args, deploy_done *done, void *arg);
void deploy_cancel(struct deploy *deploy);

#endif
