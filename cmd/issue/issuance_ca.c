/* The steps of an issuance from what the order says to finalize. */
#include "issuance_internal.h"

#define CA_WAIT_MAX_US ((int64_t)600 * 1000000) /* for an order to become ready, or valid */

/* ---- what the order says ---------------------------------------------------- */

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
	remember_failed_validations(issuance);
	order_anew(issuance);
	return true;
}

void go_on_by_status(struct issuance *issuance)
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

void order_failed(struct issuance *issuance, const struct err *err)
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

/* ---- finalize -------------------------------------------------------------- */

static void on_finalized(void *arg, const struct err *err)
{
	struct issuance *issuance = arg;

	issuance->call = NULL;
	if (err) {
		if (!profile_refused(issuance, err)) {
			order_failed(issuance, err);
		}
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
