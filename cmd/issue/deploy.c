/*
 * deploy: one run over the lineages that were added.
 *
 *   LOOK -> LOCK -> EXPORT -> COMMAND -> END
 *      \______ nothing is due ___________^
 *
 * Each thing is tried once in a run. What it was done with is written down as soon as it is
 * done, before the next one begins: a crash repeats at most the one that it hit.
 */
#include "deploy_list.h"
#include "export.h"

#include <assert.h>

#define OUTPUT_MAX (16 * 1024) /* of one command */
#define SIGNAL_STATUS 128      /* and the signal's number, as shells say it */
#define LOCK_FILE "deploy.lock"
#define LOCK_WAIT_MAX_US ((int64_t)900 * 1000000)
/* Octets of names and of lineages in one command's environment: Linux takes 128 KiB a variable. */
#define ENVIRONMENT_MAX ((size_t)96 * 1024)
#define ENVIRONMENT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum deploy_state { DEPLOY_LOOK, DEPLOY_LOCK, DEPLOY_EXPORT, DEPLOY_COMMAND, DEPLOY_END };

struct deploy {
	struct deploy_args args;
	enum deploy_state state;
	struct deploy_list list;
	struct lock *lock; /* held while it is not NULL */
	int64_t lock_deadline_us;
	/* the thing that is at work */
	struct deploy_member *member;
	size_t member_count;
	struct strlist lineages;
	char *label;
	const char *rest; /* a command that is still to be run for others; NULL: none */
	struct world_child *child;
	struct world_timer *timer;
	struct err err; /* the first failure */
	deploy_done *done;
	void *arg;
};

static void step_look(struct deploy *deploy);
static void step_lock(struct deploy *deploy);
static void step_export(struct deploy *deploy);
static void step_command(struct deploy *deploy);
static void step_end(struct deploy *deploy);

static const struct {
	const char *name;
	void (*run)(struct deploy *deploy);
} steps[] = {
	[DEPLOY_LOOK] = { "look", step_look },       [DEPLOY_LOCK] = { "lock", step_lock },
	[DEPLOY_EXPORT] = { "export", step_export }, [DEPLOY_COMMAND] = { "command", step_command },
	[DEPLOY_END] = { "end", step_end },
};
static_assert(ARRAY_LEN(steps) == DEPLOY_END + 1, "a row for every state");

static void on_timer(void *arg)
{
	struct deploy *deploy = arg;

	deploy->timer = NULL;
	steps[deploy->state].run(deploy);
}

/* From the loop, so that a signal is heard between two things. */
static void again(struct deploy *deploy, int64_t in_us)
{
	deploy->timer = world_timer_start(deploy->args.world, in_us, on_timer, deploy);
}

static void enter(struct deploy *deploy, enum deploy_state state)
{
	log_debug("deploy: %s -> %s", steps[deploy->state].name, steps[state].name);
	deploy->state = state;
	again(deploy, 0);
}

static int64_t now_s(const struct deploy *deploy)
{
	return world_wall_s(deploy->args.world);
}

static void keep_first(struct deploy *deploy, const struct err *err)
{
	if (deploy->err.code == ERR_NONE) {
		deploy->err = *err;
	}
}

/* ---- what people see ------------------------------------------------------------------- */

static void tell(struct deploy *deploy, bool ended, const struct err *err, const char *output)
{
	if (deploy->args.event) {
		deploy->args.event(deploy->args.event_arg, &(struct deploy_event){
								   .what = deploy->label,
								   .lineages = &deploy->lineages,
								   .ended = ended,
								   .err = err,
								   .output = output,
							   });
	}
}

static void group_clear_members(struct deploy *deploy)
{
	free(deploy->member);
	deploy->member = NULL;
	deploy->member_count = 0;
	strlist_clear(&deploy->lineages);
	free(deploy->label);
	deploy->label = NULL;
}

static void group_add_member(struct deploy *deploy, struct deploy_target *target,
			     struct deploy_item *item)
{
	deploy->member =
		xreallocarray(deploy->member, deploy->member_count + 1, sizeof(*deploy->member));
	deploy->member[deploy->member_count++] = (struct deploy_member){ target, item };
	strlist_add(&deploy->lineages, target->name);
	item->tried = true;
	target->worked = true;
	if (!deploy->label) {
		deploy->label = item->export ? xstrdup(item->what) : strlist_join(&item->argv, " ");
	}
}

/* What is at work has ended, for all that it was for. */
static void note_group(struct deploy *deploy, const struct err *failure, const char *output)
{
	const struct deploy_outcome outcome = { failure, now_s(deploy) };
	struct renewals *renewals = deploy->args.renewals;
	struct err err = { 0 };
	enum err_code code = renewals_begin(renewals, &err);
	int64_t retry_at = 0;

	for (size_t i = 0; i < deploy->member_count; i++) {
		struct deploy_member *member = &deploy->member[i];

		if (code == ERR_NONE) {
			code = deploy_note(member, &outcome, renewals, &err);
		}
		if (failure && member->target->failure.code == ERR_NONE) {
			member->target->failure = *failure;
		}
		retry_at = member->item->retry_at;
	}
	code = renewals_end(renewals, code, &err);
	if (failure) {
		keep_first(deploy, failure);
	}
	if (code != ERR_NONE) {
		/* Done, and not written down: the next run does it once more. */
		log_error("%s: %s", err.subject, err.text);
		keep_first(deploy, &err);
	}
	if (deploy->args.notify && failure) {
		notify_deploy_failed(deploy->args.notify, &(struct notify_deploy){
								  .what = deploy->label,
								  .lineages = &deploy->lineages,
								  .err = failure,
								  .retry_at = retry_at,
							  });
	} else if (deploy->args.notify) {
		notify_deployed(deploy->args.notify, deploy->label);
	}
	tell(deploy, true, failure, output);
	group_clear_members(deploy);
}

/* ---- look and lock ---------------------------------------------------------------------- */

static bool any_due(const struct deploy *deploy)
{
	for (size_t i = 0; i < deploy->list.count; i++) {
		if (deploy_target_due(&deploy->list.target[i], now_s(deploy))) {
			return true;
		}
	}
	return false;
}

/* Looked at twice: without the lock, so that nothing waits where nothing is due, and with it,
 * since another process may have done it meanwhile. */
static void step_look(struct deploy *deploy)
{
	struct err err;

	if (deploy_list_look(&deploy->list, deploy->args.renewals, &err) != ERR_NONE) {
		keep_first(deploy, &err);
		enter(deploy, DEPLOY_END);
		return;
	}
	if (!any_due(deploy)) {
		enter(deploy, DEPLOY_END);
		return;
	}
	if (!deploy->lock) {
		deploy->lock_deadline_us = world_mono_us(deploy->args.world) + LOCK_WAIT_MAX_US;
		enter(deploy, DEPLOY_LOCK);
		return;
	}
	enter(deploy, DEPLOY_EXPORT);
}

static void step_lock(struct deploy *deploy)
{
	char *path = path_join(deploy->args.conf->state, LOCK_FILE);
	struct err err;
	enum err_code code = lock_try_file(path, &deploy->lock, &err);

	free(path);
	if (code == ERR_NONE) {
		enter(deploy, DEPLOY_LOOK);
	} else if (code == ERR_BUSY &&
		   world_mono_us(deploy->args.world) < deploy->lock_deadline_us) {
		again(deploy, LOCK_RETRY_US);
	} else {
		keep_first(deploy, &err);
		enter(deploy, DEPLOY_END);
	}
}

/* ---- exports ------------------------------------------------------------------------------ */

/* What reads the copy has to be told again, even if a crash comes between the two. */
static enum err_code undo_commands(struct deploy *deploy, struct deploy_target *target,
				   struct err *err)
{
	enum err_code code = ERR_NONE;

	for (size_t i = target->export_count; i < target->count && code == ERR_NONE; i++) {
		struct deploy_item *item = &target->item[i];

		if (!item->serial || strcmp(item->serial, target->serial) != 0) {
			continue;
		}
		free(item->serial);
		item->serial = NULL;
		code = deployments_put(deploy->args.renewals,
				       &(struct deployment){
					       .lineage = target->name,
					       .what = item->what,
				       },
				       err);
	}
	return code;
}

static void run_export(struct deploy *deploy, struct deploy_target *target,
		       struct deploy_item *item)
{
	struct err err;
	enum err_code code;

	group_add_member(deploy, target, item);
	tell(deploy, false, NULL, "");
	code = undo_commands(deploy, target, &err);
	if (code == ERR_NONE) {
		code = export_write(
			&(struct export_args){
				.export = item->export,
				.path = item->path,
				.name = target->name,
				.key = target->current.key,
				.chain = target->current.chain,
			},
			&err);
	}
	if (code != ERR_NONE) {
		err.code = ERR_DEPLOY;
	}
	note_group(deploy, code == ERR_NONE ? NULL : &err, "");
}

/* The first export of a lineage that is due; NULL: none is. */
static struct deploy_item *due_export(const struct deploy *deploy, struct deploy_target *target)
{
	for (size_t i = 0; i < target->export_count; i++) {
		if (deploy_item_due(target, &target->item[i], now_s(deploy))) {
			return &target->item[i];
		}
	}
	return NULL;
}

/* The lineage's key cannot be read, so nothing of it can be done. */
static void give_up(struct deploy *deploy, struct deploy_target *target, const struct err *err)
{
	target->failure = *err;
	target->failure.code = ERR_DEPLOY;
	keep_first(deploy, &target->failure);
	for (size_t i = 0; i < target->count; i++) {
		target->item[i].tried = true;
	}
}

/* One export, then the loop. */
static void step_export(struct deploy *deploy)
{
	for (size_t i = 0; i < deploy->list.count; i++) {
		struct deploy_target *target = &deploy->list.target[i];
		struct deploy_item *item;
		struct err err;

		if (!deploy_target_due(target, now_s(deploy))) {
			continue;
		}
		if (deploy_target_load(&deploy->list, target, &err) != ERR_NONE) {
			give_up(deploy, target, &err);
			continue;
		}
		item = due_export(deploy, target);
		if (item) {
			run_export(deploy, target, item);
			again(deploy, 0);
			return;
		}
		lineage_current_clear(&target->current); /* the commands need the names alone */
	}
	enter(deploy, DEPLOY_COMMAND);
}

/* ---- commands ----------------------------------------------------------------------------- */

/* RENEWED_* as certbot's deploy hooks expect them; the rest is for our own. */
static void fill_environment(const struct deploy *deploy, struct strlist *out)
{
	const struct deploy_target *first = deploy->member[0].target;
	char *lineages = strlist_join(&deploy->lineages, " "), *text;
	struct strlist names = { 0 };

	for (size_t i = 0; i < deploy->member_count; i++) {
		const struct strlist *own = &deploy->member[i].target->names;

		for (size_t j = 0; j < own->count; j++) {
			if (!strlist_has(&names, own->item[j])) {
				strlist_add(&names, own->item[j]);
			}
		}
	}
	text = strlist_join(&names, " ");
	strlist_add(out, ENVIRONMENT_PATH);
	strlist_addf(out, "RENEWED_LINEAGE=%s", first->folder);
	strlist_addf(out, "RENEWED_DOMAINS=%s", text);
	strlist_add(out, "FAILED_DOMAINS=");
	strlist_addf(out, "DNS01_LINEAGE=%s", first->name);
	strlist_addf(out, "DNS01_LINEAGES=%s", lineages);
	strlist_addf(out, "DNS01_FOLDER=%s/certs/%s/current", deploy->list.state, first->name);
	strlist_addf(out, "DNS01_CERTS=%s/certs", deploy->list.state);
	free(text);
	free(lineages);
	strlist_clear(&names);
}

static char *escape_lines(const struct spawn_result *result)
{
	struct buf out = BUF_INIT(8 * OUTPUT_MAX);
	const char *line = result->output;
	const char *end = result->output + result->output_len;

	while (line < end) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t len = (size_t)((newline ? newline : end) - line);
		char escaped[1024];

		text_escape(escaped, sizeof(escaped), line, len);
		buf_addf(&out, "%s\n", escaped);
		line += len + 1;
	}
	return buf_detach(&out);
}

static int64_t timeout_of(const struct deploy *deploy)
{
	int64_t most_ms = 0;

	for (size_t i = 0; i < deploy->member_count; i++) {
		int64_t own_ms = deploy->member[i].target->certificate->deploy_timeout_ms;

		most_ms = own_ms > most_ms ? own_ms : most_ms;
	}
	return most_ms;
}

static void describe_failure(const struct deploy *deploy, const struct spawn_result *result,
			     struct err *out)
{
	const char *command = deploy->member[0].item->argv.item[0];

	if (result->timed_out) {
		char limit[32];

		duration_format(limit, timeout_of(deploy));
		err_set(out, ERR_DEPLOY, command, "did not end within %s and was killed", limit);
	} else if (result->exit_status > SIGNAL_STATUS) {
		err_set(out, ERR_DEPLOY, command, "ended with exit status %d (signal %d)",
			result->exit_status, result->exit_status - SIGNAL_STATUS);
	} else {
		err_set(out, ERR_DEPLOY, command, "ended with exit status %d", result->exit_status);
	}
}

static void on_exit_of(void *arg, const struct err *err, const struct spawn_result *result)
{
	struct deploy *deploy = arg;
	struct err failure = { 0 };
	char *output = result ? escape_lines(result) : xstrdup("");

	deploy->child = NULL;
	if (err) {
		failure = *err;
		failure.code = ERR_DEPLOY;
	} else if (result->timed_out || result->exit_status != 0) {
		describe_failure(deploy, result, &failure);
	}
	note_group(deploy, failure.code == ERR_NONE ? NULL : &failure, output);
	free(output);
	again(deploy, 0);
}

/* NULL: it is not due, or there is none of this kind. */
static struct deploy_item *due_command(const struct deploy *deploy, struct deploy_target *target,
				       const char *what)
{
	for (size_t i = target->export_count; i < target->count; i++) {
		struct deploy_item *item = &target->item[i];

		if (strcmp(item->what, what) == 0 && deploy_exports_done(target) &&
		    deploy_item_due(target, item, now_s(deploy))) {
			return item;
		}
	}
	return NULL;
}

/* What it takes of the environment. */
static size_t weight_of(const struct deploy_target *target)
{
	size_t octets = strlen(target->name) + 1;

	for (size_t i = 0; i < target->names.count; i++) {
		octets += strlen(target->names.item[i]) + 1;
	}
	return octets;
}

/* Every lineage for which the same command is due, as far as its environment has room: then the
 * command is run once more, for the others. */
static void gather(struct deploy *deploy, const char *what)
{
	size_t octets = 0;

	deploy->rest = NULL;
	for (size_t i = 0; i < deploy->list.count; i++) {
		struct deploy_target *target = &deploy->list.target[i];
		struct deploy_item *item = due_command(deploy, target, what);

		if (!item) {
			continue;
		}
		octets += weight_of(target);
		if (octets > ENVIRONMENT_MAX && deploy->member_count > 0) {
			deploy->rest = what;
			return;
		}
		group_add_member(deploy, target, item);
	}
}

static void run_command(struct deploy *deploy, const char *what)
{
	struct strlist environment = { 0 };
	struct err err;

	gather(deploy, what);
	for (size_t i = 0; i < deploy->member_count; i++) {
		if (lineage_link(deploy->list.state, deploy->member[i].target->name, &err) !=
		    ERR_NONE) {
			log_warn("%s: %s", err.subject, err.text);
		}
	}
	fill_environment(deploy, &environment);
	tell(deploy, false, NULL, "");
	deploy->child = deploy->args.world->ops->spawn_start(
		deploy->args.world,
		&(struct spawn_request){
			.argv = deploy->member[0].item->argv.item,
			.environment = environment.item,
			.max_output = OUTPUT_MAX,
			.timeout_ms = timeout_of(deploy),
		},
		on_exit_of, deploy);
	strlist_clear(&environment);
}

/* In the order of the lineages and of each one's commands. */
static void step_command(struct deploy *deploy)
{
	if (deploy->rest) {
		run_command(deploy, deploy->rest);
		return;
	}
	for (size_t i = 0; i < deploy->list.count; i++) {
		struct deploy_target *target = &deploy->list.target[i];

		for (size_t j = target->export_count; j < target->count; j++) {
			if (deploy_exports_done(target) &&
			    deploy_item_due(target, &target->item[j], now_s(deploy))) {
				run_command(deploy, target->item[j].what);
				return;
			}
		}
	}
	enter(deploy, DEPLOY_END);
}

/* ---- the end -------------------------------------------------------------------------------- */

/* For `dns01 status`, tomorrow. */
static void remember(struct deploy *deploy, const struct deploy_target *target)
{
	struct lineage *lineage = NULL;
	struct err err = { 0 }, before;
	int64_t at_s;

	if (lineage_open(deploy->args.conf->state, target->name, &lineage, &err) != ERR_NONE) {
		goto out;
	}
	if (target->failure.code != ERR_NONE) {
		if (lineage_save_failure(lineage, &target->failure, now_s(deploy), &err) !=
		    ERR_NONE) {
			goto out;
		}
	} else if (lineage_load_failure(lineage, &before, &at_s) && before.code == ERR_DEPLOY &&
		   !deploy_target_due(target, INT64_MAX)) {
		lineage_drop_failure(lineage);
	}
out:
	if (err.code != ERR_NONE) {
		log_warn("%s: %s", err.subject, err.text);
	}
	lineage_free(lineage);
}

/* What could not even be begun; what was tried was told when it ended. */
static void tell_unread(struct deploy *deploy, struct deploy_target *target)
{
	char *what = xasprintf("read %s", target->name);

	if (target->worked) {
		notify_deployed(deploy->args.notify, what);
	} else {
		strlist_add(&deploy->lineages, target->name);
		notify_deploy_failed(deploy->args.notify, &(struct notify_deploy){
								  .what = what,
								  .lineages = &deploy->lineages,
								  .err = &target->failure,
							  });
		strlist_clear(&deploy->lineages);
	}
	free(what);
}

static void step_end(struct deploy *deploy)
{
	for (size_t i = 0; i < deploy->list.count; i++) {
		struct deploy_target *target = &deploy->list.target[i];

		if (target->failure.code != ERR_NONE) {
			keep_first(deploy, &target->failure);
		}
		if (target->worked || target->failure.code != ERR_NONE) {
			remember(deploy, target);
			if (deploy->args.notify) {
				tell_unread(deploy, target);
			}
		}
	}
	lock_release(deploy->lock);
	deploy->lock = NULL;
	deploy->done(deploy->arg, deploy->err.code == ERR_NONE ? NULL : &deploy->err);
}

/* ---- life ----------------------------------------------------------------------------------- */

struct deploy *deploy_new(const struct deploy_args *args)
{
	struct deploy *deploy = xcalloc(1, sizeof(*deploy));

	deploy->args = *args;
	deploy->list.state = args->conf->state;
	return deploy;
}

void deploy_add(struct deploy *deploy, const struct deploy_lineage *lineage)
{
	deploy_list_add(&deploy->list, lineage);
}

void deploy_start(struct deploy *deploy, deploy_done *done, void *arg)
{
	deploy->done = done;
	deploy->arg = arg;
	enter(deploy, DEPLOY_LOOK);
}

static void quiet(struct deploy *deploy)
{
	if (deploy->child) {
		deploy->args.world->ops->spawn_cancel(deploy->child);
		deploy->child = NULL;
	}
	world_timer_cancel(deploy->args.world, deploy->timer);
	deploy->timer = NULL;
}

void deploy_stop(struct deploy *deploy)
{
	struct err err;

	if (deploy->state == DEPLOY_END) {
		return;
	}
	quiet(deploy);
	err_set(&err, ERR_CANCELED, "", "stopped by the operator; what is left stays due");
	if (deploy->member_count > 0) {
		tell(deploy, true, &err, "");
		group_clear_members(deploy);
	}
	keep_first(deploy, &err);
	enter(deploy, DEPLOY_END);
}

void deploy_free(struct deploy *deploy)
{
	if (!deploy) {
		return;
	}
	quiet(deploy);
	lock_release(deploy->lock);
	group_clear_members(deploy);
	deploy_list_clear(&deploy->list);
	free(deploy);
}
