/* The accounts of a run: how much each may still order, and whose CA is silent. */
#include "fleet_internal.h"

/* Twice in a row: one broken connection is no outage; and who waits for a time-out a thousand
 * times is done next week. */
#define SILENT_MAX 2
/* Limits are of an account, of a domain, of a set of names: three different lineages in a row are
 * taken for the account. */
#define LIMITED_MAX 3
#define URGENT_RANK 100000 /* ppm of its life that is left */
#define HALT_S 3600

/* ---- staging ------------------------------------------------------------------------ */

const char *staging_of(const char *directory)
{
	static const struct {
		const char *production, *staging;
	} known[] = {
		{ "https://acme-v02.api.letsencrypt.org/directory",
		  "https://acme-staging-v02.api.letsencrypt.org/directory" },
		{ "https://dv.acme-v02.api.pki.goog/directory",
		  "https://dv.acme-v02.test-api.pki.goog/directory" },
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strcmp(directory, known[i].production) == 0 ||
		    strcmp(directory, known[i].staging) == 0) {
			return known[i].staging;
		}
	}
	return NULL;
}

/* An account of its own: its key and URL are never those of the real one. A binding is only good
 * at the CA that gave it. */
static void make_staging(struct fleet_account *account)
{
	const char *directory = account->fleet->args.staging;

	if (!directory) {
		directory = account->conf->staging;
	}
	if (!directory) {
		directory = staging_of(account->conf->directory);
	}
	account->staging = *account->conf;
	account->staging.name = NULL;
	if (directory) {
		account->staging.name = xasprintf("%s-staging", account->conf->name);
		account->staging.directory = xstrdup(directory);
		account->staging.eab_kid = NULL;
		account->staging.eab_key_file = NULL;
	}
}

/* ---- life ------------------------------------------------------------------------------ */

void fleet_accounts_make(struct fleet *fleet)
{
	const struct conf *conf = fleet->args.conf;

	fleet->account_count = conf->account_count;
	fleet->accounts = xcalloc(conf->account_count + 1, sizeof(*fleet->accounts));
	for (size_t i = 0; i < conf->account_count; i++) {
		fleet->accounts[i] = (struct fleet_account){
			.fleet = fleet,
			.conf = &conf->account[i],
		};
		if (fleet->args.rehearse) {
			make_staging(&fleet->accounts[i]);
		}
	}
}

void fleet_accounts_clear(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->account_count; i++) {
		struct fleet_account *account = &fleet->accounts[i];

		acme_free(account->acme);
		if (account->staging.name) {
			free(account->staging.name);
			free(account->staging.directory);
		}
	}
	free(fleet->accounts);
	fleet->accounts = NULL;
	fleet->account_count = 0;
}

struct fleet_account *fleet_account_of(struct fleet *fleet, const char *name)
{
	for (size_t i = 0; i < fleet->account_count; i++) {
		if (strcmp(fleet->accounts[i].conf->name, name) == 0) {
			return &fleet->accounts[i];
		}
	}
	return NULL;
}

/* ---- limits ----------------------------------------------------------------------------- */

/* After an outage many are late, and the CA counts what is late: a third of the limit is kept for
 * those whose end is near, and for those that people issue. */
static int64_t allowance(const struct conf_account *conf, const struct plan *plan)
{
	int64_t most = conf->orders_per_3h;

	if (!plan->exempt && plan->rank > URGENT_RANK) {
		most -= most / 3;
	}
	return most;
}

bool fleet_may_order(struct fleet_account *account, const struct plan *plan, struct err *err)
{
	struct fleet *fleet = account->fleet;
	int64_t now_s = world_wall_s(fleet->args.world);
	struct orders_made made = { 0 };

	if (account->limited >= LIMITED_MAX) {
		account->free_at_s = now_s + HALT_S;
		return false;
	}
	if (renewals_orders(fleet->args.renewals, account->conf->name, now_s, &made, err) !=
	    ERR_NONE) {
		return false;
	}
	if ((int64_t)(made.count + account->running) < allowance(account->conf, plan)) {
		return true;
	}
	account->free_at_s = (made.count > 0 ? made.oldest_s : now_s) + ORDERS_WINDOW_S;
	return false;
}

/* ---- outcomes ---------------------------------------------------------------------------- */

void fleet_note_silence(struct fleet_account *account)
{
	struct strlist *down = &account->fleet->down;

	account->silent++;
	if (account->silent >= SILENT_MAX && !strlist_has(down, account->conf->name)) {
		log_info("%s: its CA gives no answer, and is not asked again in this run",
			 account->conf->name);
		strlist_add(down, account->conf->name);
	}
}

void fleet_note_outcome(struct fleet *fleet, const struct err *err,
			const struct issue_result *result)
{
	struct fleet_account *account;

	for (size_t i = 0; i < result->silent.count; i++) {
		account = fleet_account_of(fleet, result->silent.item[i]);
		if (account) {
			fleet_note_silence(account);
		}
	}
	account = result->account ? fleet_account_of(fleet, result->account) : NULL;
	if (!account || strlist_has(&result->silent, result->account)) {
		return;
	}
	account->silent = 0;
	if (err && err->code == ERR_LIMIT && acme_problem_is(err, "rateLimited")) {
		account->limited++;
	} else if (!err) {
		account->limited = 0;
	}
}
