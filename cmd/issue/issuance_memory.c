/* What an issuance leaves for the next run: the row of its lineage. */
#include "issuance_internal.h"

#include "row.h"

static enum err_code put(struct issuance *issuance, const struct renewal *row, struct err *err)
{
	return renewals_put(issuance->args.renewals, row, err);
}

static uint64_t random_number(struct issuance *issuance)
{
	uint64_t number;

	world_random(issuance->args.world, &number, sizeof(number));
	return number;
}

void remember_certificate(struct issuance *issuance)
{
	const struct conf_account *account = issuance->conf_account;
	struct renewal *row = NULL;
	struct err err;
	enum err_code code;

	if (!issuance->args.renewals) {
		return;
	}
	code = row_from_disk(issuance->args.conf->state, issuance->args.lineage,
			     random_number(issuance), &row, &err);
	if (code == ERR_NONE) {
		row->account = xstrdup(account->name);
		row->directory = xstrdup(account->directory);
		row->profile = xstrdup(issuance->profile);
		row->wish = wish_of(account, issuance->args.certificate);
		row->chain = xstrdup(wished_root(account, issuance->args.certificate));
		row->issued_at = world_wall_s(issuance->args.world);
		code = put(issuance, row, &err);
	}
	if (code != ERR_NONE) {
		/* The certificate is there; the next run reads it from disk. */
		log_warn("%s: %s", err.subject, err.text);
	}
	renewal_free(row);
}

static bool failed(const struct acme_order *order)
{
	bool any = order->status == ACME_INVALID;

	for (size_t i = 0; i < order->authz_count; i++) {
		any = any || order->authz[i].status == ACME_INVALID;
	}
	return any;
}

void remember_failed_validations(struct issuance *issuance)
{
	const struct acme_order *order = issuance->order;
	struct strlist names = { 0 };
	struct err err;

	if (!issuance->args.renewals || issuance->args.rehearse) {
		return;
	}
	for (size_t i = 0; i < order->authz_count; i++) {
		enum acme_status status = order->authz[i].status;

		/* Where one has failed, the CA may still be about to fail the others. */
		if (status == ACME_INVALID || (status == ACME_PENDING && failed(order))) {
			strlist_add(&names, name_base(order->authz[i].name));
		}
	}
	if (names.count > 0 &&
	    renewals_note_failed(issuance->args.renewals,
				 &(struct failed_validations){
					 .account = issuance->conf_account->name,
					 .names = &names,
					 .at_s = world_wall_s(issuance->args.world),
				 },
				 &err) != ERR_NONE) {
		log_warn("%s: %s", err.subject, err.text);
	}
	strlist_clear(&names);
}

void remember_failure(struct issuance *issuance, const struct err *failure)
{
	struct renewals *renewals = issuance->args.renewals;
	struct renewal *row = NULL;
	struct err err;
	enum err_code code;

	if (!renewals || issuance->args.rehearse || failure->code == ERR_CANCELED ||
	    failure->code == ERR_BUSY) {
		return;
	}
	code = renewals_begin(renewals, &err);
	if (code == ERR_NONE) {
		code = row_find(renewals, issuance->args.conf->state, issuance->args.lineage, &row,
				&err);
		if (code == ERR_NONE) {
			renewal_take_failure(row, failure, world_wall_s(issuance->args.world),
					     random_number(issuance));
			code = put(issuance, row, &err);
		}
		code = renewals_end(renewals, code, &err);
	}
	if (code != ERR_NONE) {
		log_warn("%s: %s", err.subject, err.text);
	}
	renewal_free(row);
}
