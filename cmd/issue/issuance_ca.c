/* The steps of an issuance that talk to the CA. */
#include "issuance_internal.h"

#define CA_WAIT_MAX_US ((int64_t)600 * 1000000) /* for an order to become ready, or valid */

/* ---- account --------------------------------------------------------------- */

static void on_registered(void *arg, const struct err *err)
{
	struct issuance *issuance = arg;
	struct err save_err;

	issuance->call = NULL;
	if (err) {
		issuance_fail(issuance, err);
		return;
	}
	issuance->registered = true;
	free(issuance->account->url);
	issuance->account->url = xstrdup(acme_account_url(issuance->acme));
	if (account_save(issuance->args.conf->state, issuance->args.account->name,
			 issuance->account, &save_err) != ERR_NONE) {
		issuance_fail(issuance, &save_err);
		return;
	}
	issuance_enter(issuance, ISSUE_ORDER, NULL);
}

static void register_account(struct issuance *issuance)
{
	struct err failed;

	issuance->call = account_register_start(issuance->acme, issuance->args.account,
						on_registered, issuance, &failed);
	if (!issuance->call) {
		issuance_fail(issuance, &failed);
	}
}

/* Staging CAs, and one's own that was set up anew, forget accounts: the key is registered once
 * more, on the same terms. False: that is not what err says, or it was done already. */
static bool registered_anew(struct issuance *issuance, const struct err *err)
{
	if (issuance->registered || !acme_problem_is(err, "accountDoesNotExist")) {
		return false;
	}
	log_warn("%s: the CA does not know the account any more; its key is registered anew",
		 issuance->args.account->name);
	pending_forget(issuance);
	acme_order_free(issuance->order);
	issuance->order = acme_order_new();
	register_account(issuance);
	return true;
}

static void account_known(struct issuance *issuance)
{
	if (issuance->account->url) {
		issuance_enter(issuance, ISSUE_ORDER, NULL);
	} else {
		register_account(issuance);
	}
}

/* A change of the account's key was cut off: now it is known which of the two counts. */
static void on_key(void *arg, const struct err *err)
{
	struct issuance *issuance = arg;
	struct err failed;

	issuance->call = NULL;
	if (account_settle(issuance->acme, issuance->account, err,
			   world_wall_s(issuance->args.world), &failed) != ERR_NONE) {
		issuance_fail(issuance, &failed);
		return;
	}
	account_known(issuance);
}

static void on_directory(void *arg, const struct err *err)
{
	struct issuance *issuance = arg;
	struct account_record *account = issuance->account;

	issuance->call = NULL;
	if (err) {
		issuance_fail(issuance, err);
	} else if (account->next && account->url) {
		issuance->call =
			acme_account_key_start(issuance->acme, account->next, on_key, issuance);
	} else {
		account_known(issuance);
	}
}

void step_account(struct issuance *issuance)
{
	const struct conf_account *account = issuance->args.account;
	struct err err;

	if (account_open(issuance->args.conf->state, account, &issuance->account, &err) !=
	    ERR_NONE) {
		issuance_fail(issuance, &err);
		return;
	}
	issuance->acme = acme_new(&(struct acme_args){
		.world = issuance->args.world,
		.directory = account->directory,
		.ca_file = account->ca_file,
		.proxy = account->proxy ? account->proxy : issuance->args.conf->proxy,
		.key = issuance->account->key,
		.account_url = issuance->account->url,
	});
	issuance->call = acme_directory_start(issuance->acme, on_directory, issuance);
	/* Routes need only the names, and the key nothing at all. */
	routes_begin(issuance);
	key_begin(issuance);
}

/* ---- order ----------------------------------------------------------------- */

static void order_anew(struct issuance *issuance)
{
	pending_forget(issuance);
	acme_order_free(issuance->order);
	issuance->order = acme_order_new();
	issuance_enter(issuance, ISSUE_ORDER, NULL);
}

/* The order of an earlier run was lost by what that run did, not by this one: its challenges
 * may have been answered, and its records removed since. */
static bool resumed_in_vain(struct issuance *issuance)
{
	const struct acme_order *order = issuance->order;
	bool lost = order->status == ACME_INVALID;

	for (size_t i = 0; i < order->authz_count; i++) {
		enum acme_status status = order->authz[i].status;

		lost = lost || status == ACME_INVALID || status == ACME_EXPIRED ||
		       status == ACME_DEACTIVATED || status == ACME_REVOKED;
	}
	if (!lost || !issuance->result.resumed || issuance->publish) {
		return false;
	}
	issuance->result.resumed = false;
	order_anew(issuance);
	return true;
}

static void go_on_by_status(struct issuance *issuance)
{
	struct err err;

	switch (issuance->order->status) {
	case ACME_PENDING:
		issuance_enter(issuance, ISSUE_AUTHZ, NULL);
		break;
	case ACME_READY:
		issuance_enter(issuance, ISSUE_FINALIZE, NULL);
		break;
	case ACME_PROCESSING:
		issuance_enter(issuance, ISSUE_VALID, NULL);
		break;
	case ACME_VALID:
		issuance_enter(issuance, ISSUE_DOWNLOAD, NULL);
		break;
	default:
		err_set(&err, ERR_PROTOCOL, issuance->args.lineage,
			"the CA's order is %s where it should go on",
			acme_status_name(issuance->order->status));
		issuance_fail(issuance, &err);
		break;
	}
}

static void on_resumed(void *arg, const struct err *err)
{
	struct issuance *issuance = arg;
	enum acme_status status = issuance->order->status;
	bool usable = status == ACME_PENDING || status == ACME_READY || status == ACME_PROCESSING ||
		      status == ACME_VALID;

	issuance->call = NULL;
	if (err && registered_anew(issuance, err)) {
		return;
	}
	if (err && err->code != ERR_NOT_FOUND) {
		issuance_fail(issuance, err);
	} else if (err || !usable) {
		order_anew(issuance);
	} else {
		issuance->result.resumed = true;
		go_on_by_status(issuance);
	}
}

static void on_ordered(void *arg, const struct err *err)
{
	struct issuance *issuance = arg;

	issuance->call = NULL;
	if (err && registered_anew(issuance, err)) {
		return;
	}
	if (err) {
		issuance_fail(issuance, err);
		return;
	}
	go_on_by_status(issuance);
}

void step_order(struct issuance *issuance)
{
	if (pending_resume(issuance)) {
		issuance->call = acme_order_load_start(issuance->acme, issuance->order, on_resumed,
						       issuance);
		return;
	}
	issuance->call = acme_order_start(issuance->acme,
					  &(struct acme_order_args){
						  .names = &issuance->names,
						  .profile = issuance->args.certificate->profile,
					  },
					  issuance->order, on_ordered, issuance);
}

/* ---- authorizations -------------------------------------------------------- */

static void on_authz(void *arg, const struct err *err)
{
	struct issuance *issuance = arg;
	const struct acme_order *order = issuance->order;
	bool open = false;
	struct err offered;

	issuance->call = NULL;
	if (err) {
		if (!resumed_in_vain(issuance)) {
			issuance_fail(issuance, err);
		}
		return;
	}
	for (size_t i = 0; i < order->authz_count; i++) {
		const struct acme_authz *authz = &order->authz[i];

		if (authz_is_open(authz) && !authz->challenge_url) {
			err_set(&offered, ERR_ACME, authz->name,
				"the CA offers no dns-01 challenge for this name");
			issuance_fail(issuance, &offered);
			return;
		}
		open = open || authz_is_open(authz);
	}
	issuance_enter(issuance, open ? ISSUE_ROUTE : ISSUE_READY, NULL);
}

void step_authz(struct issuance *issuance)
{
	issuance->call = acme_authz_load_start(issuance->acme, issuance->order, on_authz, issuance);
}

/* ---- challenges, and what the order says ----------------------------------- */

static void on_responded(void *arg, const struct err *err)
{
	struct issuance *issuance = arg;
	struct err stopped;

	issuance->call = NULL;
	if (issuance->stopping) {
		issuance_stopped(issuance, &stopped);
		err = &stopped;
	}
	if (err) {
		issuance_fail(issuance, err);
		return;
	}
	issuance_enter(issuance, ISSUE_READY, NULL);
}

void step_respond(struct issuance *issuance)
{
	issuance->call =
		acme_respond_start(issuance->acme, issuance->order, on_responded, issuance);
}

static void order_failed(struct issuance *issuance, const struct err *err)
{
	if (resumed_in_vain(issuance)) {
		return;
	}
	if (issuance->order->status == ACME_INVALID || err->code == ERR_NOT_FOUND) {
		pending_forget(issuance);
	}
	issuance_fail(issuance, err);
}

static void on_waited(void *arg, const struct err *err)
{
	struct issuance *issuance = arg;
	enum issue_step was = issuance->step;

	issuance->call = NULL;
	if (err) {
		order_failed(issuance, err);
	} else if (was == ISSUE_READY && issuance->order->status == ACME_READY) {
		issuance_enter(issuance, ISSUE_FINALIZE, NULL);
	} else {
		go_on_by_status(issuance);
	}
}

static void wait_for_order(struct issuance *issuance)
{
	int64_t deadline_us = world_mono_us(issuance->args.world) + CA_WAIT_MAX_US;

	issuance->call = acme_order_wait_start(issuance->acme, issuance->order, deadline_us,
					       on_waited, issuance);
}

void step_ready(struct issuance *issuance)
{
	wait_for_order(issuance);
}

void step_valid(struct issuance *issuance)
{
	retract_begin(issuance);
	wait_for_order(issuance);
}

/* ---- finalize, download ---------------------------------------------------- */

static void on_finalized(void *arg, const struct err *err)
{
	struct issuance *issuance = arg;

	issuance->call = NULL;
	if (err) {
		order_failed(issuance, err);
	} else if (issuance->order->status == ACME_VALID) {
		issuance_enter(issuance, ISSUE_DOWNLOAD, NULL);
	} else {
		issuance_enter(issuance, ISSUE_VALID, NULL);
	}
}

void step_finalize(struct issuance *issuance)
{
	struct buf csr;
	struct err err;
	enum err_code code;

	retract_begin(issuance);
	code = pending_save(issuance, &err);
	if (code == ERR_BUSY) {
		return; /* the key's end comes back here */
	}
	if (code != ERR_NONE ||
	    csr_build(issuance->key, &issuance->names, &csr, &err) != ERR_NONE) {
		issuance_fail(issuance, &err);
		return;
	}
	issuance->call =
		acme_finalize_start(issuance->acme, issuance->order, &csr, on_finalized, issuance);
	buf_clear(&csr);
}

static void on_downloaded(void *arg, const struct err *err)
{
	struct issuance *issuance = arg;

	issuance->call = NULL;
	if (err) {
		order_failed(issuance, err);
		return;
	}
	issuance_enter(issuance, ISSUE_STORE, NULL);
}

void step_download(struct issuance *issuance)
{
	retract_begin(issuance);
	buf_clear(&issuance->pem);
	issuance->call = acme_download_start(issuance->acme, issuance->order, &issuance->pem,
					     on_downloaded, issuance);
}
