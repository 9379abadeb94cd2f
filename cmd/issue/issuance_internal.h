/*
 * issuance's insides. The steps are in these files: issuance.c (life, table, way
 * out), issuance_account.c (account, and who stands in for it), issuance_order.c (a new order:
 * profile, predecessor, limit), issuance_ca.c (what the order says), issuance_dns.c (routes,
 * publish, watch, retract), issuance_chain.c (download, and which chain), issuance_store.c
 * (lock, key, pending order, certificate).
 */
#ifndef DNS01_ISSUANCE_INTERNAL_H
#define DNS01_ISSUANCE_INTERNAL_H

#include "dns01/issue.h"

#include "pipeline.h"

/* One name to be proved: its route may come before or after its authorization. */
struct issuance_route {
	struct issuance *issuance;
	char *name; /* without "*." */
	struct route_call *call;
	const struct route *route;
	struct err err;
};

struct issuance {
	struct issue_args args;
	enum issue_step step;
	int64_t started_us;
	struct err err; /* why it ends without a certificate */
	bool stopping;
	bool over; /* done was called, or is about to be */

	struct strlist names;    /* checked, sorted */
	struct lineage *lineage; /* NULL when it is a rehearsal */
	char *serial_before;     /* of the lineage's certificate when we began; NULL: none */
	char *cert_id_before;    /* and its RFC 9773 s.4.1 identifier */
	bool waited;             /* another process held the lineage */
	bool registered;         /* the account, in this run */
	int64_t lock_deadline_us;

	const struct conf_account *conf_account; /* args.account, or who stands in for it */
	size_t next_fallback;
	char *ca_failure; /* of those before it; NULL: none */
	struct account_record *account;
	struct acme *acme;
	struct acme_call *call;
	struct acme_order *order;
	size_t next_profile; /* of the wishes that the CA offers */
	char *profile;       /* that the order asks for; NULL: none */
	size_t next_alternate;
	struct buf alternate;

	struct key *key;
	bool pending_loaded;
	bool pending_saved;
	struct world_child *keygen;
	char *keygen_path;

	struct pipeline pipeline;
	struct issuance_route *routes;
	size_t route_count;
	struct publish *publish;
	bool retracting;
	bool retracted; /* nothing is held, or the way out gave up on it */
	struct watch *watch;
	struct sweep *sweep;
	bool swept;                     /* it was begun */
	struct world_timer *timer;      /* of the step: lock retry, defer */
	struct world_timer *exit_timer; /* bounds the way out */

	struct buf pem;
	struct chain *chain;

	struct issue_result result;
	issue_done *done;
	void *arg;
};

/* The state setter: logs old -> new, tells people, runs the step's function. */
void issuance_enter(struct issuance *issuance, enum issue_step step, const char *text);
/* Ends it without a certificate: retract first, then done. Safe to call at any time. */
void issuance_fail(struct issuance *issuance, const struct err *err);
void issuance_stopped(const struct issuance *issuance, struct err *err); /* the sentence */
void issuance_finish(struct issuance *issuance);
void issuance_progress(void *arg, const struct progress *progress); /* a progress_fn */

/* One function a step. */
void step_lock(struct issuance *issuance);
void step_account(struct issuance *issuance);
void step_order(struct issuance *issuance);
void step_authz(struct issuance *issuance);
void step_route(struct issuance *issuance);
void step_publish(struct issuance *issuance);
void step_watch(struct issuance *issuance);
void step_respond(struct issuance *issuance);
void step_ready(struct issuance *issuance);
void step_finalize(struct issuance *issuance);
void step_valid(struct issuance *issuance);
void step_download(struct issuance *issuance);
void step_store(struct issuance *issuance);
void step_retract(struct issuance *issuance);

/* ---- between the files ------------------------------------------------------- */

void routes_begin(struct issuance *issuance);
/* Those found in another view; routes_begin finds them anew. */
void routes_forget(struct issuance *issuance);
/* Lets go of what is published, once; step_retract waits for it. */
void retract_begin(struct issuance *issuance);
/* Starts making the certificate's key, in a child where that takes long. */
void key_begin(struct issuance *issuance);
/* Key and order URL on disk. ERR_BUSY: the key is still being made. */
enum err_code pending_save(struct issuance *issuance, struct err *err) MUST_CHECK;
/* For the next run: what was issued, or why not. Trouble with that is only logged. */
void remember_certificate(struct issuance *issuance);
void remember_failure(struct issuance *issuance, const struct err *failure);
/* As soon as they are known, and once for each order: before it is forgotten. */
void remember_failed_validations(struct issuance *issuance);
/* The CA gave no answer, and nothing is ordered: another one takes its place, if one is left. */
bool fell_back(struct issuance *issuance, const struct err *err);
/* The CA will not have that profile: the order is begun anew with the next one, if one is left. */
bool profile_refused(struct issuance *issuance, const struct err *err);
void order_anew(struct issuance *issuance);
bool registered_anew(struct issuance *issuance, const struct err *err);
void go_on_by_status(struct issuance *issuance);
void order_failed(struct issuance *issuance, const struct err *err);
/* Takes up the order of an earlier run; false: there is none that fits. */
bool pending_resume(struct issuance *issuance);
void pending_forget(struct issuance *issuance);
bool authz_is_open(const struct acme_authz *authz);

#endif
