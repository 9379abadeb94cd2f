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
	struct dns_client *dns;
	const char *self;         /* path of the program, for slow keys; NULL: in place */
	const char *lineage_conf; /* text to store as lineage.conf */
	issue_event_fn *event;    /* may be NULL */
	void *event_arg;
};

struct issue_result {
	char *folder;             /* .../current; NULL: no certificate */
	struct chain_facts facts; /* of the new chain; empty without */
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

/* ---- accounts ------------------------------------------------------------------- */

/* The account's key as the state folder has it, made and saved when it is new. Gives. */
enum err_code account_open(const char *state, const struct conf_account *account,
			   struct account_record **out, struct err *err) MUST_CHECK;
/* acme_account_start with what the configuration says: terms, contacts, external binding.
 * NULL with err set where the configuration is at fault; then done does not come. */
struct acme_call *account_register_start(struct acme *acme, const struct conf_account *account,
					 acme_done *done, void *arg, struct err *err);

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
