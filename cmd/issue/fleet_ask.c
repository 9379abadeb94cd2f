/*
 * The windows of a run (RFC 9773): each CA is asked for those whose time it is, several at once.
 * What a CA does not answer now is asked by the next run; nothing waits for it.
 */
#include "fleet_internal.h"

#define ASK_PARALLEL 16 /* of one account */
#define ASK_MAX_US ((int64_t)120 * 1000000)
#define UNANSWERED_MAX 3 /* in a row: the CA has other worries */

static void pump(struct fleet_account *account);

/* ---- what is to be asked ---------------------------------------------------------------- */

/* The one whose CA knows this certificate; NULL: none does. */
static struct fleet_account *issuer_of(struct fleet *fleet, const struct roster_item *item)
{
	const struct renewal *row = item->row;
	const char *name = row->account ? row->account : item->account->name;
	struct fleet_account *account = fleet_account_of(fleet, name);

	if (account && row->directory && strcmp(row->directory, account->conf->directory) != 0) {
		return NULL;
	}
	return account;
}

static void collect(struct fleet *fleet)
{
	size_t count = roster_count(fleet->roster);

	fleet->asks = xcalloc(count + 1, sizeof(*fleet->asks));
	for (size_t i = 0; i < count; i++) {
		struct roster_item *item = roster_at(fleet->roster, i);
		struct fleet_account *account = NULL;

		if (roster_asks(fleet->roster, item)) {
			account = issuer_of(fleet, item);
		}
		if (account) {
			fleet->asks[fleet->ask_count++] = (struct fleet_ask){
				.account = account,
				.item = item,
			};
		}
	}
}

/* ---- the end of it ------------------------------------------------------------------------ */

/* Another process may have renewed it meanwhile: then the answer is of no use. */
static enum err_code keep_answer(struct fleet *fleet, const struct roster_item *item,
				 struct err *err)
{
	struct renewal *there = NULL;
	enum err_code code = renewals_get(fleet->args.renewals, item->lineage, &there, err);
	bool same = code == ERR_NONE && there->stamp && item->row->stamp &&
		    strcmp(there->stamp, item->row->stamp) == 0;

	renewal_free(there);
	if (same) {
		return renewals_put(fleet->args.renewals, item->row, err);
	}
	return code == ERR_NOT_FOUND ? ERR_NONE : code;
}

static void keep_answers(struct fleet *fleet)
{
	struct renewals *renewals = fleet->args.renewals;
	bool any = false;
	struct err err;
	enum err_code code;

	for (size_t i = 0; i < fleet->ask_count; i++) {
		any = any || fleet->asks[i].answered;
	}
	if (!any) {
		return;
	}
	code = renewals_begin(renewals, &err);
	if (code == ERR_NONE) {
		for (size_t i = 0; i < fleet->ask_count && code == ERR_NONE; i++) {
			if (fleet->asks[i].answered) {
				code = keep_answer(fleet, fleet->asks[i].item, &err);
			}
		}
		code = renewals_end(renewals, code, &err);
	}
	if (code != ERR_NONE) {
		log_warn("%s: %s; the CAs are asked again", err.subject, err.text);
	}
}

void fleet_ask_cancel(struct fleet *fleet)
{
	world_timer_cancel(fleet->args.world, fleet->ask_timer);
	fleet->ask_timer = NULL;
	for (size_t i = 0; i < fleet->account_count; i++) {
		struct fleet_account *account = &fleet->accounts[i];

		acme_free(account->acme); /* and its calls with it */
		account->acme = NULL;
		account->call = NULL;
	}
	for (size_t i = 0; i < fleet->ask_count; i++) {
		acme_renewal_info_clear(&fleet->asks[i].info);
	}
	free(fleet->asks);
	fleet->asks = NULL;
	fleet->ask_count = 0;
}

static void finish(struct fleet *fleet)
{
	keep_answers(fleet);
	for (size_t i = 0; i < fleet->ask_count; i++) {
		roster_plan(fleet->roster, fleet->asks[i].item);
	}
	fleet_enter(fleet, FLEET_ISSUE);
}

static void finish_if_all_asked(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->account_count; i++) {
		if (fleet->accounts[i].acme && !fleet->accounts[i].asked) {
			return;
		}
	}
	finish(fleet);
}

static void on_late(void *arg)
{
	struct fleet *fleet = arg;

	fleet->ask_timer = NULL;
	log_info("some CAs were too slow to say when to renew; they are asked again later");
	for (size_t i = 0; i < fleet->account_count; i++) {
		fleet->accounts[i].asked = true;
	}
	finish(fleet);
}

static void end_account(struct fleet_account *account)
{
	account->asked = true;
	finish_if_all_asked(account->fleet);
}

/* ---- one question -------------------------------------------------------------------------- */

static void on_answer(void *arg, const struct err *err)
{
	struct fleet_ask *ask = arg;
	struct fleet_account *account = ask->account;
	struct fleet *fleet = account->fleet;
	struct renewal *row = ask->item->row;
	int64_t now_s = world_wall_s(fleet->args.world);

	ask->call = NULL;
	account->asking--;
	if (account->asked) {
		return; /* too late */
	}
	ask->answered = true;
	if (err) {
		log_debug("%s: %s", row->lineage, err->text);
		renewal_take_silence(row, err, now_s, fleet_random(fleet));
	} else {
		renewal_take_window(row, &ask->info, now_s, fleet_random(fleet));
	}
	account->unanswered = err && acme_passing(err) ? account->unanswered + 1 : 0;
	pump(account);
}

static void pump(struct fleet_account *account)
{
	struct fleet *fleet = account->fleet;

	while (account->asking < ASK_PARALLEL && account->unanswered < UNANSWERED_MAX &&
	       account->next_ask < fleet->ask_count) {
		struct fleet_ask *ask = &fleet->asks[account->next_ask++];

		if (ask->account == account) {
			account->asking++;
			ask->call = acme_renewal_info_start(account->acme, ask->item->row->cert_id,
							    &ask->info, on_answer, ask);
		}
	}
	if (account->asking == 0 || account->unanswered >= UNANSWERED_MAX) {
		end_account(account);
	}
}

static void on_directory(void *arg, const struct err *err)
{
	struct fleet_account *account = arg;

	account->call = NULL;
	if (err) {
		log_info("%s: %s", account->conf->name, err->text);
		if (acme_passing(err)) {
			fleet_note_silence(account);
		}
		end_account(account);
		return;
	}
	pump(account);
}

static void begin_account(struct fleet_account *account)
{
	struct fleet *fleet = account->fleet;
	const struct conf_account *conf = account->conf;

	account->acme = acme_new(&(struct acme_args){
		.world = fleet->args.world,
		.directory = conf->directory,
		.ca_file = conf->ca_file,
		.proxy = conf->proxy ? conf->proxy : fleet->args.conf->proxy,
	});
	account->call = acme_directory_start(account->acme, on_directory, account);
}

void fleet_step_ask(struct fleet *fleet)
{
	if (!fleet->args.rehearse) {
		collect(fleet);
	}
	if (fleet->ask_count == 0) {
		fleet_enter(fleet, FLEET_ISSUE);
		return;
	}
	fleet->ask_timer = world_timer_start(fleet->args.world, ASK_MAX_US, on_late, fleet);
	for (size_t i = 0; i < fleet->ask_count; i++) {
		if (!fleet->asks[i].account->acme) {
			begin_account(fleet->asks[i].account);
		}
	}
}
