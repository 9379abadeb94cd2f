/* The steps of an issuance up to the account: its key, the CA's directory, registration. */
#include "issuance_internal.h"

/* ---- another CA in its place ---------------------------------------------------- */

static void on_fall_back(void *arg)
{
	struct issuance *issuance = arg;

	issuance->timer = NULL;
	acme_free(issuance->acme);
	issuance->acme = NULL;
	account_record_free(issuance->account);
	issuance->account = NULL;
	acme_order_free(issuance->order);
	issuance->order = acme_order_new();
	issuance->registered = false;
	issuance->next_profile = 0;
	issuance->pending_loaded = false; /* the one that is there may be of this CA */
	issuance->pending_saved = false;
	issuance_enter(issuance, ISSUE_ACCOUNT, issuance->conf_account->name);
}

static const struct conf_account *next_account(struct issuance *issuance)
{
	const struct strlist *fallback = &issuance->args.certificate->fallback;

	if (issuance->args.rehearse || issuance->next_fallback >= fallback->count) {
		return NULL;
	}
	return conf_find_account(issuance->args.conf, fallback->item[issuance->next_fallback++]);
}

/* Each CA's sentence is kept: when all are down, people want to read all of them. */
static void keep_ca_failure(struct issuance *issuance, const struct err *err)
{
	char *before = issuance->ca_failure;

	issuance->ca_failure = xasprintf("%s%s%s: %s", before ? before : "", before ? "; " : "",
					 issuance->conf_account->name, err->text);
	free(before);
}

/* The last one is silent too. */
static void all_silent(struct issuance *issuance, const struct err *err)
{
	struct err all = *err;

	keep_ca_failure(issuance, err);
	snprintf(all.text, sizeof(all.text), "no CA could be reached: %.900s",
		 issuance->ca_failure);
	all.subject[0] = '\0';
	issuance_fail(issuance, &all);
}

bool fell_back(struct issuance *issuance, const struct err *err)
{
	const struct conf_account *next;

	if (!acme_passing(err) || issuance->stopping) {
		return false;
	}
	strlist_add(&issuance->result.silent, issuance->conf_account->name);
	next = next_account(issuance);
	if (!next && !issuance->ca_failure) {
		return false;
	}
	if (!next) {
		all_silent(issuance, err);
		return true;
	}
	log_info("%s: %s; %s is asked instead", issuance->conf_account->name, err->text,
		 next->name);
	keep_ca_failure(issuance, err);
	if (strcmp(next->view, issuance->conf_account->view) != 0) {
		routes_forget(issuance);
	}
	issuance->conf_account = next;
	issuance->timer = world_timer_start(issuance->args.world, 0, on_fall_back, issuance);
	return true;
}

/* ---- account ---------------------------------------------------------------------- */

static void on_registered(void *arg, const struct err *err)
{
	struct issuance *issuance = arg;
	struct err save_err;

	issuance->call = NULL;
	if (err) {
		if (!fell_back(issuance, err)) {
			issuance_fail(issuance, err);
		}
		return;
	}
	issuance->registered = true;
	free(issuance->account->url);
	issuance->account->url = xstrdup(acme_account_url(issuance->acme));
	if (account_save(issuance->args.conf->state, issuance->conf_account->name,
			 issuance->account, &save_err) != ERR_NONE) {
		issuance_fail(issuance, &save_err);
		return;
	}
	issuance_enter(issuance, ISSUE_ORDER, NULL);
}

static void register_account(struct issuance *issuance)
{
	struct err failed;

	issuance->call = account_register_start(issuance->acme, issuance->conf_account,
						on_registered, issuance, &failed);
	if (!issuance->call) {
		issuance_fail(issuance, &failed);
	}
}

/* Staging CAs, and one's own that was set up anew, forget accounts: the key is registered once
 * more, on the same terms. False: that is not what err says, or it was done already. */
bool registered_anew(struct issuance *issuance, const struct err *err)
{
	if (issuance->registered || !acme_problem_is(err, "accountDoesNotExist")) {
		return false;
	}
	log_warn("%s: the CA does not know the account any more; its key is registered anew",
		 issuance->conf_account->name);
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
	if (err && fell_back(issuance, err)) {
		return;
	}
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
		if (!fell_back(issuance, err)) {
			issuance_fail(issuance, err);
		}
	} else if (account->next && account->url) {
		issuance->call =
			acme_account_key_start(issuance->acme, account->next, on_key, issuance);
	} else {
		account_known(issuance);
	}
}

static bool is_down(struct issuance *issuance)
{
	const char *name = issuance->conf_account->name;
	struct err err;

	if (!issuance->args.down || !strlist_has(issuance->args.down, name)) {
		return false;
	}
	err_set(&err, ERR_NETWORK, name, "its CA gave no answer a moment ago");
	if (!fell_back(issuance, &err)) {
		issuance_fail(issuance, &err);
	}
	return true;
}

void step_account(struct issuance *issuance)
{
	const struct conf_account *account = issuance->conf_account;
	struct err err;

	if (is_down(issuance)) {
		return;
	}
	if (account_open(issuance->args.conf->state, account, &issuance->account, &err) !=
	    ERR_NONE) {
		issuance_fail(issuance, &err);
		return;
	}
	issuance->result.account = account->name;
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
