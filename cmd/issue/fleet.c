/*
 * fleet: one run over all configured lineages.
 *
 *   ASK -> ISSUE -> DEPLOY -> TELL -> END
 *
 * Each step is entered once, from the loop. What fails in one step keeps no other from being
 * entered; a stop goes to END as soon as what runs has ended.
 */
#include "fleet_internal.h"

#include <assert.h>

#define LOCK_FILE "renew.lock"
#define NEXT_MAX_S 3600 /* something may have changed that tells nobody */

static void step_deploy(struct fleet *fleet);
static void step_tell(struct fleet *fleet);
static void step_end(struct fleet *fleet);

static const struct {
	const char *name;
	void (*run)(struct fleet *fleet);
} steps[] = {
	[FLEET_ASK] = { "ask", fleet_step_ask },       /* the CAs' windows are asked for */
	[FLEET_ISSUE] = { "issue", fleet_step_issue }, /* what is due is ordered */
	[FLEET_DEPLOY] = { "deploy", step_deploy },    /* what is new, or was left, is deployed */
	[FLEET_TELL] = { "tell", step_tell },          /* people are told of what failed */
	[FLEET_END] = { "end", step_end },
};
static_assert(ARRAY_LEN(steps) == FLEET_STEP_COUNT, "a row for each step");

static void on_step(void *arg)
{
	struct fleet *fleet = arg;

	fleet->timer = NULL;
	if (fleet->stopping && fleet->step != FLEET_END) {
		fleet->step = FLEET_END;
	}
	steps[fleet->step].run(fleet);
}

void fleet_enter(struct fleet *fleet, enum fleet_step step)
{
	log_debug("renew: %s -> %s", steps[fleet->step].name, steps[step].name);
	fleet->step = step;
	world_timer_cancel(fleet->args.world, fleet->timer);
	fleet->timer = world_timer_start(fleet->args.world, 0, on_step, fleet);
}

void fleet_tell(struct fleet *fleet, const struct fleet_event *event)
{
	if (fleet->args.event) {
		fleet->args.event(fleet->args.event_arg, event);
	}
}

uint64_t fleet_random(const struct fleet *fleet)
{
	uint64_t number;

	world_random(fleet->args.world, &number, sizeof(number));
	return number;
}

/* ---- deploy, tell ---- */

static void on_deployed(void *arg, const struct err *err)
{
	struct fleet *fleet = arg;

	if (err) {
		fleet->result.deploy_error = *err;
	}
	fleet_enter(fleet, FLEET_TELL);
}

static void step_deploy(struct fleet *fleet)
{
	if (fleet->args.rehearse) {
		fleet_enter(fleet, FLEET_END);
		return;
	}
	fleet->deploy = deploy_new(&(struct deploy_args){
		.world = fleet->args.world,
		.conf = fleet->args.conf,
		.renewals = fleet->args.renewals,
		.notify = fleet->notify,
		.event = fleet->args.deploy_event,
		.event_arg = fleet->args.event_arg,
	});
	for (size_t i = 0; i < roster_count(fleet->roster); i++) {
		const struct roster_item *item = roster_at(fleet->roster, i);
		const struct conf_certificate *certificate = item->certificate;

		if (certificate->export_count + certificate->deploy.count > 0 &&
		    item->row->serial) {
			deploy_add(fleet->deploy,
				   &(struct deploy_lineage){
					   .name = item->lineage,
					   .certificate = certificate,
					   .serial = item->row->serial,
					   .which = fleet->issued[i] ? DEPLOY_NOW : DEPLOY_DUE,
				   });
		}
	}
	deploy_start(fleet->deploy, on_deployed, fleet);
}

static void on_told(void *arg)
{
	fleet_enter(arg, FLEET_END);
}

static void step_tell(struct fleet *fleet)
{
	notify_finish(fleet->notify, on_told, fleet);
}

/* ---- the end ---- */

/* What of a run's end tells when the next one has something to do. */
struct next_run {
	int64_t now_s, at_s;
};

static void take_at(struct next_run *next, int64_t at_s)
{
	if (at_s > next->now_s && at_s < next->at_s) {
		next->at_s = at_s;
	}
}

static void take_item(struct fleet *fleet, const struct roster_item *item, struct next_run *next)
{
	const struct plan *plan = &item->plan;

	if (item->trouble) {
		return;
	}
	if (item->row->cert_id && plan->reason >= PLAN_WINDOW && plan->reason != PLAN_FORCED) {
		take_at(next, item->row->ask_at);
	}
	if (plan->state == PLAN_WAITS || plan->state == PLAN_BACKS_OFF) {
		take_at(next, plan->at_s);
	} else if (plan->state == PLAN_DUE) {
		take_at(next, fleet_account_of(fleet, item->account->name)->free_at_s);
	}
}

static void take_retry(void *arg, const struct deployment *row)
{
	if (row->failures > 0) {
		take_at(arg, row->retry_at);
	}
}

static int64_t next_run(struct fleet *fleet)
{
	int64_t now_s = world_wall_s(fleet->args.world);
	struct next_run next = { now_s, now_s + NEXT_MAX_S };
	struct err err;

	for (size_t i = 0; i < roster_count(fleet->roster); i++) {
		take_item(fleet, roster_at(fleet->roster, i), &next);
	}
	if (deployments_list(fleet->args.renewals, NULL, take_retry, &next, &err) != ERR_NONE) {
		log_warn("%s: %s", err.subject, err.text);
	}
	return next.at_s;
}

static void step_end(struct fleet *fleet)
{
	const struct err *err = NULL;

	if (fleet->over) {
		return;
	}
	fleet->over = true;
	fleet->result.next_at_s = next_run(fleet);
	lock_release(fleet->lock);
	fleet->lock = NULL;
	if (fleet->stopping) {
		err_set(&fleet->err, ERR_CANCELED, "", "stopped by the operator");
		err = &fleet->err;
	}
	fleet->done(fleet->arg, err, &fleet->result);
}

/* ---- life ---- */

static enum err_code take_lock(struct fleet *fleet, struct err *err)
{
	char *path;
	enum err_code code;

	if (fleet->args.rehearse) {
		return ERR_NONE;
	}
	path = path_join(fleet->args.conf->state, LOCK_FILE);
	code = lock_try_file(path, &fleet->lock, err);
	if (code == ERR_BUSY) {
		code = err_set(err, ERR_BUSY, "",
			       "another run of `dns01 renew` is at work (it "
			       "holds %s)",
			       path);
	}
	free(path);
	return code;
}

enum err_code fleet_new(const struct fleet_args *args, struct fleet **out, struct err *err)
{
	struct fleet *fleet = xcalloc(1, sizeof(*fleet));
	enum err_code code;

	fleet->args = *args;
	code = take_lock(fleet, err);
	if (code == ERR_NONE) {
		code = roster_new(
			&(struct roster_args){
				.world = args->world,
				.conf = args->conf,
				.renewals = args->renewals,
				.only = args->only,
				.force = args->force,
				.wake_s = args->wake_s,
				.repair = !args->rehearse,
			},
			&fleet->roster, err);
	}
	if (code != ERR_NONE) {
		fleet_free(fleet);
		return code;
	}
	fleet_accounts_make(fleet);
	fleet->notify = notify_new(&(struct notify_args){
		.world = args->world,
		.conf = args->conf,
		.renewals = args->renewals,
	});
	*out = fleet;
	return ERR_NONE;
}

const struct roster *fleet_roster(const struct fleet *fleet)
{
	return fleet->roster;
}

void fleet_start(struct fleet *fleet, fleet_done *done, void *arg)
{
	fleet->done = done;
	fleet->arg = arg;
	fleet->started = true;
	fleet_enter(fleet, FLEET_ASK);
}

void fleet_stop(struct fleet *fleet)
{
	if (!fleet->started || fleet->stopping || fleet->over) {
		return;
	}
	fleet->stopping = true;
	switch (fleet->step) {
	case FLEET_ISSUE:
		if (!fleet->jobs) {
			fleet_enter(fleet, FLEET_END);
		}
		for (size_t i = 0; i < fleet->job_count; i++) {
			if (fleet->jobs[i].issuance) {
				issuance_stop(fleet->jobs[i].issuance);
			}
		}
		break;
	case FLEET_DEPLOY:
		if (fleet->deploy) {
			deploy_stop(fleet->deploy);
		}
		break;
	case FLEET_TELL:
		notify_free(fleet->notify);
		fleet->notify = NULL;
		fleet_enter(fleet, FLEET_END);
		break;
	default:
		fleet_ask_cancel(fleet);
		fleet_enter(fleet, FLEET_END);
		break;
	}
}

void fleet_free(struct fleet *fleet)
{
	if (!fleet) {
		return;
	}
	world_timer_cancel(fleet->args.world, fleet->timer);
	for (size_t i = 0; i < fleet->job_count; i++) {
		issuance_abandon(fleet->jobs[i].issuance);
		free(fleet->jobs[i].lineage_conf);
	}
	free(fleet->jobs);
	free(fleet->due);
	free(fleet->issued);
	fleet_ask_cancel(fleet);
	fleet_accounts_clear(fleet);
	deploy_free(fleet->deploy);
	notify_free(fleet->notify);
	strlist_clear(&fleet->down);
	roster_free(fleet->roster);
	lock_release(fleet->lock);
	free(fleet);
}
