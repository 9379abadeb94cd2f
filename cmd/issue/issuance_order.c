/*
 * The order of an issuance: an earlier run's is taken up, else a new one is made, for the best
 * profile that the CA offers, and within the account's limit.
 */
#include "issuance_internal.h"

void order_anew(struct issuance *issuance)
{
	pending_forget(issuance);
	acme_order_free(issuance->order);
	issuance->order = acme_order_new();
	issuance_enter(issuance, ISSUE_ORDER, NULL);
}

/* ---- profile ---------------------------------------------------------------------- */

/* A certificate's own profile is a demand, the account's are wishes. */
static bool is_strict(const struct issuance *issuance)
{
	return issuance->args.certificate->profile != NULL;
}

static enum err_code check_demand(struct issuance *issuance, struct err *err)
{
	const char *profile = issuance->args.certificate->profile;
	const struct strlist *offered = &acme_directory(issuance->acme)->profiles;
	char *list;

	if (strlist_has(offered, profile)) {
		return ERR_NONE;
	}
	list = strlist_join(offered, ", ");
	err_set(err, ERR_CONFIG, issuance->args.lineage,
		"the CA of %s offers no profile \"%s\"%s%.700s", issuance->conf_account->name,
		profile, offered->count > 0 ? "; it offers " : ", nor any other", list);
	free(list);
	return err->code;
}

/* profiles draft s.4: what the CA does not name is not asked for. */
static enum err_code choose_profile(struct issuance *issuance, struct err *err)
{
	const struct strlist *wishes = &issuance->conf_account->profiles;
	const struct strlist *offered = &acme_directory(issuance->acme)->profiles;

	free(issuance->profile);
	issuance->profile = xstrdup(issuance->args.certificate->profile);
	if (is_strict(issuance)) {
		return check_demand(issuance, err);
	}
	while (issuance->next_profile < wishes->count &&
	       !strlist_has(offered, wishes->item[issuance->next_profile])) {
		issuance->next_profile++;
	}
	if (issuance->next_profile < wishes->count) {
		issuance->profile = xstrdup(wishes->item[issuance->next_profile]);
	}
	return ERR_NONE;
}

bool profile_refused(struct issuance *issuance, const struct err *err)
{
	if (is_strict(issuance) || !issuance->profile || !acme_problem_is(err, "invalidProfile")) {
		return false;
	}
	log_warn("%s: %s; it is ordered without that profile", issuance->args.lineage, err->text);
	issuance->next_profile++;
	order_anew(issuance);
	return true;
}

/* ---- the account's limit ----------------------------------------------------------- */

static enum err_code note_order(struct issuance *issuance, struct err *err)
{
	const struct conf_account *account = issuance->conf_account;
	int64_t now_s = world_wall_s(issuance->args.world);
	struct orders_made made;

	if (!issuance->args.renewals) {
		return ERR_NONE;
	}
	if (renewals_orders(issuance->args.renewals, account->name, now_s, &made, err) !=
	    ERR_NONE) {
		return err->code;
	}
	if ((int64_t)made.count >= account->orders_per_3h) {
		err_set(err, ERR_LIMIT, account->name,
			"%zu orders were made within three hours, as many as orders_per_3h allows",
			made.count);
		err->retry_after_s = made.oldest_s + ORDERS_WINDOW_S - now_s;
		return err->code;
	}
	return renewals_note_order(issuance->args.renewals, account->name, now_s, err);
}

/* ---- order --------------------------------------------------------------------------- */

/* RFC 9773 s.5: the certificate that this one follows, where this CA issued it. */
static const char *predecessor(const struct issuance *issuance)
{
	struct renewal *row = NULL;
	bool same = true; /* a CA that does not know it is asked again without */

	if (!issuance->cert_id_before || !acme_directory(issuance->acme)->renewal_info) {
		return NULL;
	}
	if (issuance->args.renewals &&
	    renewals_get(issuance->args.renewals, issuance->args.lineage, &row, NULL) == ERR_NONE) {
		same = !row->directory ||
		       strcmp(row->directory, issuance->conf_account->directory) == 0;
		renewal_free(row);
	}
	return same ? issuance->cert_id_before : NULL;
}

static void on_ordered(void *arg, const struct err *err)
{
	struct issuance *issuance = arg;

	issuance->call = NULL;
	if (err && (registered_anew(issuance, err) || profile_refused(issuance, err) ||
		    fell_back(issuance, err))) {
		return;
	}
	if (err) {
		issuance_fail(issuance, err);
		return;
	}
	go_on_by_status(issuance);
}

static void new_order(struct issuance *issuance)
{
	struct err err;

	if (choose_profile(issuance, &err) != ERR_NONE || note_order(issuance, &err) != ERR_NONE) {
		issuance_fail(issuance, &err);
		return;
	}
	issuance->result.profile = issuance->profile;
	issuance->call = acme_order_start(issuance->acme,
					  &(struct acme_order_args){
						  .names = &issuance->names,
						  .profile = issuance->profile,
						  .replaces = predecessor(issuance),
					  },
					  issuance->order, on_ordered, issuance);
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
		if (!fell_back(issuance, err)) {
			issuance_fail(issuance, err);
		}
	} else if (err || !usable) {
		order_anew(issuance);
	} else {
		issuance->result.resumed = true;
		go_on_by_status(issuance);
	}
}

void step_order(struct issuance *issuance)
{
	if (pending_resume(issuance)) {
		issuance->result.profile = issuance->profile;
		issuance->call = acme_order_load_start(issuance->acme, issuance->order, on_resumed,
						       issuance);
		return;
	}
	new_order(issuance);
}
