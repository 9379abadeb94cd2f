/*
 * issuance: the state machine of one certificate.
 *
 *   LOCK -> ACCOUNT -> ORDER -> AUTHZ -> ROUTE -> PUBLISH -> WATCH -> RESPOND -> READY
 *              |         |        \------- all valid already ---------------------^
 *     routes begin here  \--------- an earlier run's order, ready or valid --\
 *                                                                            v
 *             DONE <- RETRACT <- STORE <- DOWNLOAD <- VALID <----------- FINALIZE
 *                                                          (retract begins beside it)
 *
 * Whatever fails, or the operator's stop, goes to RETRACT with err set and from there
 * to DONE. Each step is entered once, but ORDER, which a vanished order of an
 * earlier run enters a second time.
 */
#include "issuance_internal.h"

#include <assert.h>

#define EXIT_MAX_US ((int64_t)10 * 1000000) /* for the way out after a stop */

static const struct {
	const char *name;
	void (*run)(struct issuance *issuance);
} steps[] = {
	[ISSUE_LOCK] = { "lock", step_lock },
	[ISSUE_ACCOUNT] = { "account", step_account },
	[ISSUE_ORDER] = { "order", step_order },
	[ISSUE_AUTHZ] = { "authz", step_authz },
	[ISSUE_ROUTE] = { "route", step_route },
	[ISSUE_PUBLISH] = { "publish", step_publish },
	[ISSUE_WATCH] = { "watch", step_watch },
	[ISSUE_RESPOND] = { "respond", step_respond },
	[ISSUE_READY] = { "ready", step_ready },
	[ISSUE_FINALIZE] = { "finalize", step_finalize },
	[ISSUE_VALID] = { "valid", step_valid },
	[ISSUE_DOWNLOAD] = { "download", step_download },
	[ISSUE_STORE] = { "store", step_store },
	[ISSUE_RETRACT] = { "retract", step_retract },
	[ISSUE_DONE] = { "done", issuance_finish },
};
static_assert(ARRAY_LEN(steps) == ISSUE_STEP_COUNT, "a row for every step");

const char *issue_step_name(enum issue_step step)
{
	return step < ISSUE_STEP_COUNT ? steps[step].name : "?";
}

static void tell(struct issuance *issuance, const struct progress *progress, const char *text)
{
	struct issue_event event = {
		.at_us = world_mono_us(issuance->args.world) - issuance->started_us,
		.step = issuance->step,
		.progress = progress,
		.text = text,
	};

	if (issuance->args.event) {
		issuance->args.event(issuance->args.event_arg, &event);
	}
}

void issuance_enter(struct issuance *issuance, enum issue_step step, const char *text)
{
	log_debug("%s: %s -> %s", issuance->args.lineage, steps[issuance->step].name,
		  steps[step].name);
	issuance->step = step;
	tell(issuance, NULL, text);
	steps[step].run(issuance);
}

void issuance_progress(void *arg, const struct progress *progress)
{
	tell(arg, progress, NULL);
}

/* ---- the way out ----------------------------------------------------------- */

/* Stops all work but what is held in DNS. */
static void quiet(struct issuance *issuance)
{
	struct world *world = issuance->args.world;

	acme_call_cancel(issuance->call);
	issuance->call = NULL;
	for (size_t i = 0; i < issuance->route_count; i++) {
		route_cancel(issuance->routes[i].call);
		issuance->routes[i].call = NULL;
	}
	if (issuance->watch) {
		pipeline_copy_timeline(issuance->watch, &issuance->result);
		watch_cancel(issuance->watch);
		issuance->watch = NULL;
	}
	if (issuance->keygen) {
		world->ops->spawn_cancel(issuance->keygen);
		issuance->keygen = NULL;
	}
	world_timer_cancel(world, issuance->timer);
	issuance->timer = NULL;
}

static void on_fail(void *arg)
{
	struct issuance *issuance = arg;

	issuance->timer = NULL;
	issuance_enter(issuance, ISSUE_RETRACT, NULL);
}

void issuance_fail(struct issuance *issuance, const struct err *err)
{
	if (issuance->over || issuance->err.code != ERR_NONE) {
		return;
	}
	issuance->err = *err;
	remember_failed_validations(issuance);
	quiet(issuance);
	/* The detector may still be on the stack. */
	issuance->timer = world_timer_start(issuance->args.world, 0, on_fail, issuance);
}

static void on_exit_late(void *arg)
{
	struct issuance *issuance = arg;

	issuance->exit_timer = NULL;
	if (!issuance->retracted) {
		err_set(&issuance->result.retract_error, ERR_TIMEOUT, issuance->args.lineage,
			"the records could not be removed within 10 s; `dns01 sweep` removes them "
			"later");
		issuance->retracted = true;
	}
	quiet(issuance);
	issuance_enter(issuance, ISSUE_DONE, NULL);
}

void issuance_stopped(const struct issuance *issuance, struct err *err)
{
	err_set(err, ERR_CANCELED, issuance->args.lineage, "stopped by the operator");
}

void issuance_stop(struct issuance *issuance)
{
	struct err err;

	if (issuance->stopping || issuance->over) {
		return;
	}
	issuance->stopping = true;
	issuance->exit_timer =
		world_timer_start(issuance->args.world, EXIT_MAX_US, on_exit_late, issuance);
	if (issuance->step >= ISSUE_RETRACT || issuance->step == ISSUE_RESPOND) {
		/* It is on its way out; or answers are on their way to the CA, and shall find
		 * the records still there. The timer bounds both. */
		return;
	}
	issuance_stopped(issuance, &err);
	issuance_fail(issuance, &err);
}

static void on_finish(void *arg)
{
	struct issuance *issuance = arg;
	issue_done *done = issuance->done;

	issuance->timer = NULL;
	done(issuance->arg, issuance->err.code == ERR_NONE ? NULL : &issuance->err,
	     &issuance->result);
}

/* For `dns01 status`, tomorrow. */
static void remember_outcome(struct issuance *issuance)
{
	const struct err *failure = &issuance->err;
	struct err err;

	if (issuance->err.code != ERR_NONE) {
		remember_failure(issuance, &issuance->err);
	}
	if (!issuance->lineage || issuance->err.code == ERR_CANCELED) {
		return;
	}
	if (failure->code == ERR_NONE) {
		lineage_drop_failure(issuance->lineage);
	} else if (lineage_save_failure(issuance->lineage, failure,
					world_wall_s(issuance->args.world), &err) != ERR_NONE) {
		log_warn("%s", err.text);
	}
}

void issuance_finish(struct issuance *issuance)
{
	struct world *world = issuance->args.world;

	if (issuance->over) {
		return;
	}
	issuance->over = true;
	remember_outcome(issuance);
	world_timer_cancel(world, issuance->exit_timer);
	issuance->exit_timer = NULL;
	if (issuance->acme) {
		issuance->result.https_requests = acme_requests(issuance->acme);
	}
	issuance->timer = world_timer_start(world, 0, on_finish, issuance);
}

/* ---- life ------------------------------------------------------------------ */

static void on_start(void *arg)
{
	struct issuance *issuance = arg;
	struct err err;

	issuance->timer = NULL;
	if (names_check(&issuance->args.certificate->names, &issuance->names, &err) != ERR_NONE) {
		issuance_fail(issuance, &err);
		return;
	}
	issuance_enter(issuance, ISSUE_LOCK, NULL);
}

struct issuance *issuance_start(const struct issue_args *args, issue_done *done, void *arg)
{
	struct issuance *issuance = xcalloc(1, sizeof(*issuance));

	issuance->args = *args;
	issuance->conf_account = args->account;
	issuance->done = done;
	issuance->arg = arg;
	issuance->started_us = world_mono_us(args->world);
	issuance->order = acme_order_new();
	buf_init(&issuance->pem, CHAIN_PEM_MAX);
	buf_init(&issuance->alternate, CHAIN_PEM_MAX);
	pipeline_init(&issuance->pipeline, &(struct pipeline_args){
						   .world = args->world,
						   .conf = args->conf,
						   .dns = args->dns,
						   .journal = args->journal,
						   .progress = issuance_progress,
						   .progress_arg = issuance,
					   });
	issuance->timer = world_timer_start(args->world, 0, on_start, issuance);
	return issuance;
}

static void free_all(struct issuance *issuance)
{
	quiet(issuance);
	world_timer_cancel(issuance->args.world, issuance->exit_timer);
	sweep_cancel(issuance->sweep);
	pipeline_clear(&issuance->pipeline); /* frees what is still published, too */
	acme_free(issuance->acme);
	acme_order_free(issuance->order);
	account_record_free(issuance->account);
	chain_free(issuance->chain);
	key_free(issuance->key);
	if (issuance->keygen_path) {
		unlink(issuance->keygen_path); /* a key that was not taken up */
	}
	free(issuance->keygen_path);
	lineage_free(issuance->lineage);
	routes_forget(issuance); /* after quiet(): no call is left */
	free(issuance->serial_before);
	free(issuance->cert_id_before);
	free(issuance->ca_failure);
	free(issuance->profile);
	buf_clear(&issuance->alternate);
	strlist_clear(&issuance->names);
	buf_clear(&issuance->pem);
	issue_result_clear(&issuance->result);
	free(issuance);
}

void issuance_free(struct issuance *issuance)
{
	if (issuance) {
		free_all(issuance);
	}
}

void issuance_abandon(struct issuance *issuance)
{
	issuance_free(issuance);
}
