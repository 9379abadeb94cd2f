/*
 * issue: one certificate from order to the store, and apart from that its deployment, on top of
 * acme, challenge and store.
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
	struct err retract_error; /* ERR_NONE: nothing of ours is left in DNS */
};

/*
 * err NULL: the certificate is stored, and due to be deployed (retract may have failed, see
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

/* The lineage of one key type of a certificate: NAME, NAME-rsa2048; gives. */
char *lineage_name_of(const struct conf_certificate *certificate, size_t key_index);
/* The configuration narrowed to one lineage: what is stored as lineage.conf; gives. */
char *lineage_conf_text(const struct conf *conf, const struct conf_certificate *certificate,
			enum key_type key_type, const char *lineage);

/* ---- accounts ------------------------------------------------------------------- */

/* ERR_CONFIG where it was deactivated: no CA takes its requests any more. */
enum err_code account_usable(const char *state, const char *name,
			     const struct account_record *record, struct err *err) MUST_CHECK;
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
	PLAN_REVOKED, /* by a person, who did not replace it */
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
	/* So many of held_name's validations failed lately that its CA would take no more before
	 * this; 0: it would now. */
	int64_t held_until;
	const char *held_name;
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
/* The same without what it waits for; gives. */
char *plan_reason_text(const struct plan_input *input, const struct plan *plan);
/* Whether the CA shall be asked for its window now: never after expiry, and before a change only
 * where that failed. */
bool plan_asks(const struct plan_input *input, const struct plan *plan);

/* What a row becomes; draw is uniform. Only the row's own numbers change. */
void renewal_take_window(struct renewal *row, const struct acme_renewal_info *info, int64_t now_s,
			 uint64_t draw);
void renewal_take_silence(struct renewal *row, const struct err *err, int64_t now_s, uint64_t draw);
void renewal_take_failure(struct renewal *row, const struct err *err, int64_t now_s, uint64_t draw);

/* A certificate of this lineage was revoked. Where it is still the one there, the next run
 * replaces it. */
struct renewal_revoked {
	const char *lineage, *serial;
	int64_t at_s;
};
enum err_code renewal_note_revoked(struct renewals *renewals, const char *state,
				   const struct renewal_revoked *revoked,
				   struct err *err) MUST_CHECK;

/*
 * record->next was there, and acme_account_key_start(acme, record->next, ...) gave answer (NULL:
 * it is the account's): the key that counts is the one of record, acme and the disk afterwards.
 * Fails where the CA could not say; then both keys stay.
 */
enum err_code account_settle(struct acme *acme, struct account_record *record,
			     const struct err *answer, int64_t now_s, struct err *err) MUST_CHECK;

/* ---- roster: every configured lineage, its row, its plan --------------------------- */

struct roster_item {
	const struct conf_certificate *certificate;
	const struct conf_account *account; /* NULL: trouble says why */
	enum key_type key_type;
	char *lineage;
	struct err *trouble; /* why it cannot be planned; NULL: it can */
	struct renewal *row; /* not NULL; without a serial where there is no certificate */
	struct plan plan;    /* of now, as roster_plan() was called last */
	char *names;         /* as struct plan_input has these six */
	struct strlist accounts;
	char *wish;
	const char *chain;
	int64_t held_until;
	char *held_name;
};

struct roster_args {
	struct world *world;       /* its wall clock and randomness */
	const struct conf *conf;   /* kept */
	struct renewals *renewals; /* kept; NULL: nothing is remembered */
	/* Names of lineages or certificates; NULL or empty: all. */
	const struct strlist *only;
	bool force;     /* all of these are due */
	int64_t wake_s; /* as struct plan_input */
	/* Rows that are not true any more are written in any case where that can be done at once;
	 * true: it is waited for, and is an error where it cannot. */
	bool repair;
};
struct roster;
/* Reads all rows, and from disk what changed there. ERR_USAGE: a name of `only` that there is
 * not. What is wrong with one lineage is in its trouble. */
enum err_code roster_new(const struct roster_args *args, struct roster **out,
			 struct err *err) MUST_CHECK;
void roster_free(struct roster *roster); /* NULL is fine */
size_t roster_count(const struct roster *roster);
struct roster_item *roster_at(const struct roster *roster, size_t index); /* sorted by lineage */
/* Plans it anew, for the wall clock's time. */
void roster_plan(const struct roster *roster, struct roster_item *item);
char *roster_text(const struct roster *roster, const struct roster_item *item);   /* gives */
char *roster_reason(const struct roster *roster, const struct roster_item *item); /* gives */
bool roster_asks(const struct roster *roster, const struct roster_item *item);
/* Its row becomes row (taken), and the plan follows. */
void roster_take_row(const struct roster *roster, struct roster_item *item, struct renewal *row);

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

/* ---- notify: events that need a person -------------------------------------------------- */

enum notify_kind {
	NOTIFY_RENEWAL_FAILED, /* and little of the certificate's life is left, or none */
	NOTIFY_DEPLOY_FAILED,
	NOTIFY_CREDENTIAL_REFUSED, /* by a DNS provider, or the CA the account's */
	NOTIFY_TERMS_CHANGED,      /* RFC 8555 s.7.3.3, userActionRequired */
	NOTIFY_PAUSED,             /* by the CA, for these names */
	NOTIFY_KIND_COUNT
};
const char *notify_kind_name(enum notify_kind kind); /* "renewal-failed", ... */

/*
 * Runs the configuration's notify.run with one JSON object on its standard input, one event after
 * another: each event once, then as a reminder, until it is over. Without notify.run every call
 * is nothing.
 */
struct notify_args {
	struct world *world;
	const struct conf *conf;
	struct renewals *renewals;
};
struct notify *notify_new(const struct notify_args *args);

/* What happened to one lineage; all borrowed. */
struct notify_event {
	const char *lineage;
	const struct conf_certificate *certificate;
	const struct err *err;
	int64_t not_before, not_after; /* of the certificate that is there; 0: none is */
	int64_t retry_at;              /* Unix time, s; 0: not known, or not before a person acts */
};
/* Its renewal (or first issuance) failed: tells of the kind that the error is. */
void notify_failed(struct notify *notify, const struct notify_event *event);
/* It is renewed: the next failure is a new event. */
void notify_renewed(struct notify *notify, const char *lineage);

/* What deploy tells itself: a command or an export for some lineages. */
struct notify_deploy {
	const char *what;
	const struct strlist *lineages;
	const struct err *err;
	int64_t retry_at;
};
void notify_deploy_failed(struct notify *notify, const struct notify_deploy *event);
void notify_deployed(struct notify *notify, const char *what);
/* done comes once nothing is left to tell: from the loop, at once when there is nothing. */
typedef void notify_done(void *arg);
void notify_finish(struct notify *notify, notify_done *done, void *arg);
void notify_free(struct notify *notify); /* ends a command that runs; NULL is fine */

/* ---- deploy: apart from issuance --------------------------------------------------------- */

/*
 * What is due for a lineage is every export and command of its certificate that was not yet done
 * with the certificate that is there now (struct deployment in store.h), whoever issued it and
 * when: a crash at any point leaves it due.
 *
 * One run: deploy_new, deploy_add for each lineage, deploy_start, and deploy_free once done has
 * come. Exports go first, then commands, one after another; a command waits until all exports of
 * its lineage are done. Equal argv run once for all lineages of the run that it is due for, and
 * its success counts for each. What fails is kept with its sentence, told (notify), and tried
 * again by later runs: after a minute, then twice that, at most an hour.
 *
 * One process of a state folder deploys at a time; what another one did meanwhile is not done
 * again.
 */
enum deploy_which {
	DEPLOY_DUE,  /* what is due, but for what failed and waits: for timers */
	DEPLOY_NOW,  /* whatever is due: the certificate is new, or a person asks */
	DEPLOY_AGAIN /* everything, done or not */
};

struct deploy_event {     /* a thing to do begins, or has ended; all borrowed */
	const char *what; /* a command's argv for people, or "export LAYOUT PATH" */
	const struct strlist *lineages;
	bool ended;
	/* when it has ended */
	const struct err *err; /* NULL: it is done */
	const char *output;    /* what a command printed: escaped, bounded, "" when nothing */
};
typedef void deploy_event_fn(void *arg, const struct deploy_event *event);

struct deploy_args {
	struct world *world;
	const struct conf *conf; /* kept, as all of these */
	struct renewals *renewals;
	struct notify *notify;  /* may be NULL */
	deploy_event_fn *event; /* may be NULL */
	void *event_arg;
};
struct deploy *deploy_new(const struct deploy_args *args);

struct deploy_lineage {
	const char *name;
	const struct conf_certificate *certificate; /* kept */
	/* Of the lineage's certificate, as struct renewal has it: then nothing is read from disk
	 * for what is not due. NULL: it is read. */
	const char *serial;
	enum deploy_which which;
};
/* A lineage without a certificate is nothing to do. */
void deploy_add(struct deploy *deploy, const struct deploy_lineage *lineage);

/* err: the first failure, ERR_CANCELED after deploy_stop; NULL: all that was due is done, or
 * nothing was. Once, and not from inside. */
typedef void deploy_done(void *arg, const struct err *err);
void deploy_start(struct deploy *deploy, deploy_done *done, void *arg);
/* Ends the command that runs; it, and what is left, stays due. */
void deploy_stop(struct deploy *deploy);
void deploy_free(struct deploy *deploy); /* NULL is fine */

/* What is left to be deployed, from what is remembered: of all lineages, read in one look. */
struct deploy_left {
	const char *what;             /* as struct deploy_event has it */
	const struct deployment *row; /* NULL: it was never tried */
};
typedef void deploy_left_each(void *arg, const struct deploy_left *left);
struct deploy_book;
enum err_code deploy_book_new(struct renewals *renewals, const char *state,
			      struct deploy_book **out, struct err *err) MUST_CHECK;
/* Each thing that was not yet done with lineage->serial; all borrowed. */
void deploy_book_left(const struct deploy_book *book, const struct deploy_lineage *lineage,
		      deploy_left_each *each, void *arg);
void deploy_book_free(struct deploy_book *book); /* NULL is fine */

/* ---- fleet: one run over all configured lineages -------------------------------------- */

/* At the CA's staging directory, which public CAs keep for rehearsals; NULL: none is known. */
const char *staging_of(const char *directory);

struct fleet_event { /* a lineage is begun, or has ended; all borrowed */
	const struct roster_item *item;
	bool ended;
	/* when it has ended */
	const struct err *err;             /* NULL: it is issued */
	bool untried;                      /* its CA had given no answer just before */
	const struct issue_result *result; /* NULL: it was not begun */
	int64_t elapsed_us;
};
typedef void fleet_event_fn(void *arg, const struct fleet_event *event);

struct fleet_args {
	struct world *world;
	const struct conf *conf; /* kept, as all of these */
	struct journal *journal;
	struct dns_client *dns;
	struct renewals *renewals;
	const char *self;           /* as struct issue_args */
	const struct strlist *only; /* as struct roster_args, as these two */
	bool force;
	int64_t wake_s;
	/* Every one of them is ordered at its CA's staging directory, or at this one: nothing is
	 * stored, remembered or deployed. */
	bool rehearse;
	const char *staging;
	fleet_event_fn *event;         /* may be NULL */
	deploy_event_fn *deploy_event; /* may be NULL */
	void *event_arg;               /* of both */
};

struct fleet_result {
	size_t issued, failed;
	size_t postponed;        /* due, but the account's limit of orders is used up */
	int64_t next_at_s;       /* Unix time: the next run has something to do then */
	struct err deploy_error; /* the first failure of the deployment; ERR_NONE: none */
};

/*
 * One run: asks the CAs for the windows of those whose time it is, orders what is due, the most
 * urgent first, `parallel` at a time and within each account's limit, goes on past failures, and
 * deploys what is new or was left. ERR_BUSY: another run is at work.
 */
struct fleet;
enum err_code fleet_new(const struct fleet_args *args, struct fleet **out,
			struct err *err) MUST_CHECK;
const struct roster *fleet_roster(const struct fleet *fleet); /* borrowed */
/* err: the run itself failed, or was stopped (ERR_CANCELED); failures of lineages are events.
 * Once, and not from inside. */
typedef void fleet_done(void *arg, const struct err *err, const struct fleet_result *result);
void fleet_start(struct fleet *fleet, fleet_done *done, void *arg);
/* What is running retracts its records and ends; nothing more is begun. */
void fleet_stop(struct fleet *fleet);
/* After done, or instead of fleet_start; for the simulator's kill at any time. NULL is fine. */
void fleet_free(struct fleet *fleet);

#endif
