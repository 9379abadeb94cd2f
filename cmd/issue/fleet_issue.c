/* The orders of a run: who comes next, whether it may, and what became of it. */
#include "fleet_internal.h"

#include "row.h"

static void start_more(struct fleet *fleet);

/* ---- in which order ---- */

static int by_rank(const void *a, const void *b)
{
	const struct roster_item *left = *(struct roster_item *const *)a;
	const struct roster_item *right = *(struct roster_item *const *)b;

	if (left->plan.rank != right->plan.rank) {
		return left->plan.rank < right->plan.rank ? -1 : 1;
	}
	return strcmp(left->lineage, right->lineage);
}

static bool is_due(const struct fleet *fleet, const struct roster_item *item)
{
	return !item->trouble && (fleet->args.rehearse || item->plan.state == PLAN_DUE);
}

/* Those that never failed, and those that did, take turns, each the most urgent first: where many
 * fail over and over, the others are not starved by them. */
static void collect(struct fleet *fleet)
{
	size_t count = roster_count(fleet->roster), fresh_count = 0, failing_count = 0;
	struct roster_item **fresh = xcalloc(count + 1, sizeof(*fresh));
	struct roster_item **failing = xcalloc(count + 1, sizeof(*failing));

	for (size_t i = 0; i < count; i++) {
		struct roster_item *item = roster_at(fleet->roster, i);

		if (is_due(fleet, item) && item->row->failures > 0) {
			failing[failing_count++] = item;
		} else if (is_due(fleet, item)) {
			fresh[fresh_count++] = item;
		}
	}
	qsort(fresh, fresh_count, sizeof(*fresh), by_rank);
	qsort(failing, failing_count, sizeof(*failing), by_rank);
	fleet->due = xcalloc(fresh_count + failing_count + 1, sizeof(struct roster_item *));
	for (size_t i = 0; i < fresh_count || i < failing_count; i++) {
		if (i < fresh_count) {
			fleet->due[fleet->due_count++] = fresh[i];
		}
		if (i < failing_count) {
			fleet->due[fleet->due_count++] = failing[i];
		}
	}
	free(fresh);
	free(failing);
}

static void tell_troubles(struct fleet *fleet)
{
	for (size_t i = 0; i < roster_count(fleet->roster); i++) {
		const struct roster_item *item = roster_at(fleet->roster, i);

		if (item->trouble) {
			fleet->result.failed++;
			fleet_tell(fleet, &(struct fleet_event){
						  .item = item,
						  .ended = true,
						  .err = item->trouble,
					  });
		}
	}
}

/* ---- what became of it ---- */

static void take_row(struct fleet *fleet, struct roster_item *item)
{
	struct renewal *row = NULL;
	struct err err;

	if (renewals_get(fleet->args.renewals, item->lineage, &row, &err) == ERR_NONE) {
		roster_take_row(fleet->roster, item, row);
	} else {
		log_warn("%s: %s", err.subject, err.text);
	}
}

static void note_success(struct fleet *fleet, struct roster_item *item)
{
	fleet->result.issued++;
	if (!fleet->args.rehearse) {
		fleet->issued[item - roster_at(fleet->roster, 0)] = true;
		notify_renewed(fleet->notify, item->lineage);
	}
}

/* 0: not before a person has done something. */
static int64_t tried_again_at(const struct roster_item *item)
{
	if (item->plan.state == PLAN_BACKS_OFF) {
		return item->plan.at_s;
	}
	return item->row->paused ? 0 : item->row->retry_at;
}

static void note_failure(struct fleet *fleet, const struct roster_item *item, const struct err *err)
{
	const struct renewal *row = item->row;

	if (err->code == ERR_CANCELED) {
		return;
	}
	fleet->result.failed++;
	if (!fleet->args.rehearse) {
		notify_failed(fleet->notify, &(struct notify_event){
						     .lineage = item->lineage,
						     .certificate = item->certificate,
						     .err = err,
						     .not_before = row->not_before,
						     .not_after = row->not_after,
						     .retry_at = tried_again_at(item),
					     });
	}
}

static void on_issued(void *arg, const struct err *err, const struct issue_result *result)
{
	struct fleet_job *job = arg;
	struct fleet *fleet = job->fleet;

	job->account->running--;
	if (!fleet->args.rehearse) {
		take_row(fleet, job->item);
		fleet_note_outcome(fleet, err, result);
	}
	if (err) {
		note_failure(fleet, job->item, err);
	} else {
		note_success(fleet, job->item);
	}
	fleet_tell(fleet, &(struct fleet_event){
				  .item = job->item,
				  .ended = true,
				  .err = err,
				  .untried = err && job->was_down && acme_passing(err),
				  .result = result,
				  .elapsed_us = world_mono_us(fleet->args.world) - job->started_us,
			  });
	issuance_free(job->issuance);
	job->issuance = NULL;
	free(job->lineage_conf);
	job->lineage_conf = NULL;
	start_more(fleet);
}

/* ---- start ---- */

static struct fleet_job *free_job(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->job_count; i++) {
		if (!fleet->jobs[i].issuance) {
			return &fleet->jobs[i];
		}
	}
	return NULL;
}

static size_t running(const struct fleet *fleet)
{
	size_t count = 0;

	for (size_t i = 0; i < fleet->job_count; i++) {
		count += fleet->jobs[i].issuance != NULL;
	}
	return count;
}

/* A person may have issued it since it was planned; others of its names may have failed. */
static bool is_still_due(struct fleet *fleet, struct roster_item *item)
{
	struct renewal *row = NULL;
	struct err err;

	if (fleet->args.rehearse) {
		return true;
	}
	if (row_is_true(fleet->args.conf->state, item->row)) {
		roster_plan(fleet->roster, item);
		return item->plan.state == PLAN_DUE;
	}
	if (row_find(fleet->args.renewals, fleet->args.conf->state, item->lineage, &row, &err) !=
	    ERR_NONE) {
		log_warn("%s: %s", err.subject, err.text);
		return true;
	}
	roster_take_row(fleet->roster, item, row);
	return item->plan.state == PLAN_DUE;
}

static void start_job(struct fleet_job *job)
{
	struct fleet *fleet = job->fleet;
	struct roster_item *item = job->item;
	const struct fleet_args *args = &fleet->args;

	fleet_tell(fleet, &(struct fleet_event){ .item = item });
	job->account->running++;
	job->started_us = world_mono_us(args->world);
	job->was_down = strlist_has(&fleet->down, item->account->name);
	job->lineage_conf =
		lineage_conf_text(args->conf, item->certificate, item->key_type, item->lineage);
	job->issuance = issuance_start(
		&(struct issue_args){
			.world = args->world,
			.conf = args->conf,
			.account = args->rehearse ? &job->account->staging : item->account,
			.certificate = item->certificate,
			.key_type = item->key_type,
			.lineage = item->lineage,
			.journal = args->journal,
			.renewals = args->renewals,
			.rehearse = args->rehearse,
			.down = &fleet->down,
			.dns = args->dns,
			.self = args->self,
			.lineage_conf = job->lineage_conf,
		},
		on_issued, job);
}

static void refuse_rehearsal(struct fleet *fleet, const struct roster_item *item)
{
	struct err err;

	err_set(&err, ERR_USAGE, item->lineage,
		"no staging CA is known for %s; name its directory with --staging, or as `staging` "
		"of the account",
		item->account->directory);
	fleet->result.failed++;
	fleet_tell(fleet, &(struct fleet_event){ .item = item, .ended = true, .err = &err });
}

/* False: it is not begun now. */
static bool may_start(struct fleet *fleet, struct fleet_account *account, struct roster_item *item)
{
	struct err err = { 0 };

	if (fleet->args.rehearse && !account->staging.name) {
		refuse_rehearsal(fleet, item);
		return false;
	}
	if (!is_still_due(fleet, item)) {
		return false;
	}
	/* What people force, they may use the whole limit for. */
	if (fleet->args.force || fleet->args.rehearse ||
	    fleet_may_order(account, &item->plan, &err)) {
		return true;
	}
	if (err.code != ERR_NONE) {
		log_warn("%s: %s", err.subject, err.text);
	}
	fleet->result.postponed++;
	return false;
}

static bool shares_a_name(const struct roster_item *a, const struct roster_item *b)
{
	struct strlist names = { 0 }, others = { 0 };
	bool shared = false;

	strlist_add_words(&names, a->names);
	strlist_add_words(&others, b->names);
	for (size_t i = 0; i < names.count * others.count && !shared; i++) {
		shared = strcmp(name_base(names.item[i / others.count]),
				name_base(others.item[i % others.count])) == 0;
	}
	strlist_clear(&names);
	strlist_clear(&others);
	return shared;
}

/* One of its names is being validated for the same account: what comes of that is waited for. A
 * failure counts at the CA; a success is an authorization that this one can use, too. */
static bool waits_its_turn(const struct fleet *fleet, const struct roster_item *item)
{
	for (size_t i = 0; i < fleet->job_count; i++) {
		const struct fleet_job *job = &fleet->jobs[i];

		if (job->issuance && job->item->account == item->account &&
		    shares_a_name(job->item, item)) {
			return true;
		}
	}
	return false;
}

/* The first that need not wait for one that runs; NULL: there is none. */
static struct roster_item *take_next(struct fleet *fleet)
{
	for (size_t i = fleet->due_next; i < fleet->due_count; i++) {
		struct roster_item *item = fleet->due[i];

		if (!item || waits_its_turn(fleet, item)) {
			continue;
		}
		fleet->due[i] = NULL;
		while (fleet->due_next < fleet->due_count && !fleet->due[fleet->due_next]) {
			fleet->due_next++;
		}
		return item;
	}
	return NULL;
}

static void start_more(struct fleet *fleet)
{
	struct roster_item *item;
	struct fleet_job *job;

	while (!fleet->stopping && (job = free_job(fleet)) && (item = take_next(fleet))) {
		struct fleet_account *account = fleet_account_of(fleet, item->account->name);

		if (may_start(fleet, account, item)) {
			*job = (struct fleet_job){
				.fleet = fleet,
				.item = item,
				.account = account,
			};
			start_job(job);
		}
	}
	if (running(fleet) == 0) {
		fleet_enter(fleet, FLEET_DEPLOY);
	}
}

void fleet_step_issue(struct fleet *fleet)
{
	fleet_ask_cancel(fleet);
	tell_troubles(fleet);
	collect(fleet);
	fleet->job_count = (size_t)fleet->args.conf->parallel;
	fleet->jobs = xcalloc(fleet->job_count, sizeof(*fleet->jobs));
	fleet->issued = xcalloc(roster_count(fleet->roster) + 1, sizeof(*fleet->issued));
	start_more(fleet);
}
