/*
 * fleet's insides: fleet.c (life, steps), fleet_ask.c (when the CAs want them renewed),
 * fleet_issue.c (who is ordered next, and whether), fleet_account.c (limits, silence, staging).
 */
#ifndef DNS01_FLEET_INTERNAL_H
#define DNS01_FLEET_INTERNAL_H

#include "dns01/issue.h"

enum fleet_step { FLEET_ASK, FLEET_ISSUE, FLEET_DEPLOY, FLEET_TELL, FLEET_END, FLEET_STEP_COUNT };

/* One account of the configuration in this run. */
struct fleet_account {
	struct fleet *fleet;
	const struct conf_account *conf;
	struct conf_account staging; /* of a rehearsal; name NULL: none is known */
	unsigned silent;             /* orders in a row that got no answer at all */
	unsigned limited;            /* that the CA refused for its own limit */
	size_t running;
	int64_t free_at_s; /* its limit was met: it may order again; 0: it was not */
	/* while asking */
	struct acme *acme;
	struct acme_call *call; /* of the directory */
	size_t next_ask, asking;
	unsigned unanswered; /* in a row */
	bool asked;          /* nothing more is asked */
};

struct fleet_ask {
	struct fleet_account *account;
	struct roster_item *item;
	struct acme_call *call;
	struct acme_renewal_info info;
	bool answered; /* the row is another now */
};

struct fleet_job {
	struct fleet *fleet;
	struct roster_item *item;
	struct fleet_account *account;
	struct issuance *issuance; /* NULL: free */
	char *lineage_conf;
	bool was_down;
	int64_t started_us;
};

struct fleet {
	struct fleet_args args;
	struct lock *lock;
	struct roster *roster;
	enum fleet_step step;
	bool started, stopping, over;
	struct world_timer *timer;

	struct fleet_account *accounts;
	size_t account_count;
	struct strlist down; /* names of accounts */

	struct fleet_ask *asks;
	size_t ask_count;
	struct world_timer *ask_timer;

	struct roster_item **due; /* NULL where it was taken */
	size_t due_count, due_next;
	struct fleet_job *jobs;
	size_t job_count;
	bool *issued; /* by index in the roster */

	struct notify *notify;
	struct deploy *deploy;
	struct err err;
	struct fleet_result result;
	fleet_done *done;
	void *arg;
};

/* Goes there from the loop. */
void fleet_enter(struct fleet *fleet, enum fleet_step step);
void fleet_tell(struct fleet *fleet, const struct fleet_event *event);
uint64_t fleet_random(const struct fleet *fleet);

void fleet_step_ask(struct fleet *fleet);
void fleet_ask_cancel(struct fleet *fleet); /* what was answered so far is kept */

void fleet_step_issue(struct fleet *fleet);

/* ---- accounts ------------------------------------------------------------------- */

void fleet_accounts_make(struct fleet *fleet);
void fleet_accounts_clear(struct fleet *fleet);
struct fleet_account *fleet_account_of(struct fleet *fleet, const char *name);
/* Whether the account may order now; *code: the rows cannot be read. */
bool fleet_may_order(struct fleet_account *account, const struct plan *plan, struct err *err);
/* What an issuance says of its CAs. */
void fleet_note_outcome(struct fleet *fleet, const struct err *err,
			const struct issue_result *result);
void fleet_note_silence(struct fleet_account *account);

#endif
