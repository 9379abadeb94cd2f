/*
 * notify: what needs a person is told to the configuration's notify.run, as one JSON object on its
 * standard input. It is gathered while the work goes on, and told at its end: what many lineages
 * suffer from alike is one event.
 */
#include "dns01/issue.h"
#include "dns01/json.h"

#include <assert.h>

#define EVENTS_MAX 100    /* commands of one run; what is left over is told by the next one */
#define LINEAGES_MAX 1000 /* in one event */
#define COMMAND_MS 60000
#define OUTPUT_MAX 4096
#define ENVIRONMENT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define HOST_MAX 256

static const char *const kind_names[] = {
	[NOTIFY_RENEWAL_FAILED] = "renewal-failed",
	[NOTIFY_DEPLOY_FAILED] = "deploy-failed",
	[NOTIFY_CREDENTIAL_REFUSED] = "credential-refused",
	[NOTIFY_TERMS_CHANGED] = "terms-changed",
	[NOTIFY_PAUSED] = "paused",
};
static_assert(ARRAY_LEN(kind_names) == NOTIFY_KIND_COUNT, "a name for each kind");

/* One run of the command. */
struct telling {
	enum notify_kind kind;
	char *text; /* the sentence: what has the same one is told together */
	struct json *object;
	struct json *lineages;
	struct strlist keys; /* of the events in it */
};

struct notify {
	struct notify_args args;
	struct telling *item;
	size_t count, next;
	size_t left_over;
	char *input; /* of the command that runs */
	struct world_child *child;
	struct world_timer *timer;
	notify_done *done;
	void *arg;
};

const char *notify_kind_name(enum notify_kind kind)
{
	return kind < NOTIFY_KIND_COUNT ? kind_names[kind] : "?";
}

static const struct conf_notify *conf_of(const struct notify *notify)
{
	return &notify->args.conf->notify;
}

/* ---- what is told ----------------------------------------------------------------------- */

static struct json *err_json(const struct err *err)
{
	struct json *object = json_object();

	json_set_str(object, "code", err_code_name(err->code));
	json_set_str(object, "subject", err->subject[0] ? err->subject : NULL);
	json_set_str(object, "text", err->text);
	json_set_str(object, "problem", err->problem[0] ? err->problem : NULL);
	return object;
}

static void set_time(struct json *object, const char *key, int64_t unix_s)
{
	char text[32];

	if (unix_s > 0) {
		time_format(text, unix_s);
		json_set_str(object, key, text);
	}
}

static struct telling *telling_add(struct notify *notify, enum notify_kind kind,
				   const struct err *err)
{
	struct telling *telling;
	char host[HOST_MAX] = "";

	notify->item = xreallocarray(notify->item, notify->count + 1, sizeof(*notify->item));
	telling = &notify->item[notify->count++];
	*telling = (struct telling){
		.kind = kind,
		.text = xstrdup(err->text),
		.object = json_object(),
		.lineages = json_array(),
	};
	(void)gethostname(host, sizeof(host) - 1);
	json_set_str(telling->object, "event", notify_kind_name(kind));
	set_time(telling->object, "at", world_wall_s(notify->args.world));
	json_set_str(telling->object, "host", host);
	json_set(telling->object, "error", err_json(err));
	return telling;
}

/* One with the same sentence and room; NULL: there is none. */
static struct telling *telling_find(struct notify *notify, enum notify_kind kind,
				    const struct err *err)
{
	for (size_t i = notify->count; i > 0; i--) {
		struct telling *telling = &notify->item[i - 1];

		if (telling->kind == kind && strcmp(telling->text, err->text) == 0 &&
		    telling->keys.count < LINEAGES_MAX) {
			return telling;
		}
	}
	return NULL;
}

/* The event to add to, when it is time to tell; then it counts as told. */
static struct telling *telling_due(struct notify *notify, enum notify_kind kind,
				   const char *subject, const struct err *err)
{
	struct telling *telling = telling_find(notify, kind, err);
	char *key = xasprintf("%s %s", notify_kind_name(kind), subject);
	struct told_event event = {
		.key = key,
		.now_s = world_wall_s(notify->args.world),
		.remind_s = conf_of(notify)->remind_ms / 1000,
	};
	struct err failed;
	bool due = false;

	if (!telling && notify->count == EVENTS_MAX) {
		notify->left_over++;
	} else if (events_due(notify->args.renewals, &event, &due, &failed) != ERR_NONE) {
		/* Rather told twice than never. */
		log_error("%s: %s", failed.subject, failed.text);
		due = true;
	}
	if (due) {
		telling = telling ? telling : telling_add(notify, kind, err);
		strlist_add(&telling->keys, key);
	}
	free(key);
	return due ? telling : NULL;
}

/* ---- renewals ----------------------------------------------------------------------------- */

/* An error of a name is of its authorization; one of anything else that says "unauthorized" is
 * the CA's word on the account. */
static bool is_of_name(const struct notify_event *event)
{
	for (size_t i = 0; i < event->certificate->names.count; i++) {
		const char *name = event->certificate->names.item[i];

		if (strcmp(event->err->subject, strncmp(name, "*.", 2) == 0 ? name + 2 : name) ==
		    0) {
			return true;
		}
	}
	return false;
}

static enum notify_kind kind_of(const struct notify_event *event)
{
	const struct err *err = event->err;

	if (acme_paused(err)) {
		return NOTIFY_PAUSED;
	}
	if (acme_problem_is(err, "userActionRequired")) {
		return NOTIFY_TERMS_CHANGED;
	}
	if ((err->code == ERR_DENIED && err->problem[0] == '\0') ||
	    acme_problem_is(err, "accountDoesNotExist") ||
	    (acme_problem_is(err, "unauthorized") && !is_of_name(event))) {
		return NOTIFY_CREDENTIAL_REFUSED;
	}
	return NOTIFY_RENEWAL_FAILED;
}

static int64_t life_left_s(const struct notify *notify, const struct notify_event *event)
{
	int64_t left_s = event->not_after - world_wall_s(notify->args.world);

	return left_s > 0 ? left_s : 0;
}

/* Less of its life is left than life_left says; a certificate that is not there has none. */
static bool is_late(const struct notify *notify, const struct notify_event *event)
{
	const char *share = conf_of(notify)->life_left;
	const char *slash = strchr(share, '/');
	int64_t part = strtoll(share, NULL, 10), whole = strtoll(slash + 1, NULL, 10);

	return life_left_s(notify, event) * whole < part * (event->not_after - event->not_before) ||
	       life_left_s(notify, event) == 0;
}

static void add_lineage(const struct notify *notify, struct telling *telling,
			const struct notify_event *event)
{
	struct json *object = json_object(), *names = json_array();
	int64_t life_s = event->not_after - event->not_before;

	for (size_t i = 0; i < event->certificate->names.count; i++) {
		json_add_str(names, event->certificate->names.item[i]);
	}
	json_set_str(object, "name", event->lineage);
	json_set(object, "names", names);
	set_time(object, "not_after", event->not_after);
	if (life_s > 0) {
		json_set_int(object, "life_left_percent",
			     life_left_s(notify, event) * 100 / life_s);
	}
	set_time(object, "retry_at", event->retry_at);
	json_add(telling->lineages, object);
}

void notify_failed(struct notify *notify, const struct notify_event *event)
{
	enum notify_kind kind = kind_of(event);
	struct telling *telling;

	if (conf_of(notify)->run.count == 0 || event->err->code == ERR_CANCELED ||
	    (kind == NOTIFY_RENEWAL_FAILED && !is_late(notify, event))) {
		return;
	}
	telling = telling_due(notify, kind, event->lineage, event->err);
	if (telling) {
		add_lineage(notify, telling, event);
	}
}

static void over(struct notify *notify, enum notify_kind kind, const char *subject)
{
	char *key = xasprintf("%s %s", notify_kind_name(kind), subject);
	struct err err;

	if (events_over(notify->args.renewals, key, &err) != ERR_NONE) {
		log_error("%s: %s", err.subject, err.text);
	}
	free(key);
}

void notify_renewed(struct notify *notify, const char *lineage)
{
	static const enum notify_kind kinds[] = {
		NOTIFY_RENEWAL_FAILED,
		NOTIFY_CREDENTIAL_REFUSED,
		NOTIFY_TERMS_CHANGED,
		NOTIFY_PAUSED,
	};

	for (size_t i = 0; conf_of(notify)->run.count > 0 && i < ARRAY_LEN(kinds); i++) {
		over(notify, kinds[i], lineage);
	}
}

/* ---- deployments -------------------------------------------------------------------------- */

void notify_deploy_failed(struct notify *notify, const struct notify_deploy *event)
{
	struct telling *telling;

	if (conf_of(notify)->run.count == 0) {
		return;
	}
	telling = telling_due(notify, NOTIFY_DEPLOY_FAILED, event->what, event->err);
	if (!telling) {
		return;
	}
	for (size_t i = 0; i < event->lineages->count && i < LINEAGES_MAX; i++) {
		struct json *object = json_object();

		json_set_str(object, "name", event->lineages->item[i]);
		json_set_str(object, "what", event->what);
		set_time(object, "retry_at", event->retry_at);
		json_add(telling->lineages, object);
	}
}

void notify_deployed(struct notify *notify, const char *what)
{
	if (conf_of(notify)->run.count > 0) {
		over(notify, NOTIFY_DEPLOY_FAILED, what);
	}
}

/* ---- telling --------------------------------------------------------------------------------- */

static void run_next(void *arg);

/* What was not told is told by the next run. */
static void take_back(struct notify *notify, const struct telling *telling)
{
	struct err err;

	for (size_t i = 0; i < telling->keys.count; i++) {
		if (events_over(notify->args.renewals, telling->keys.item[i], &err) != ERR_NONE) {
			log_error("%s: %s", err.subject, err.text);
		}
	}
}

static void on_exit_of(void *arg, const struct err *err, const struct spawn_result *result)
{
	struct notify *notify = arg;
	const struct telling *telling = &notify->item[notify->next - 1];
	const char *command = conf_of(notify)->run.item[0];
	char said[256] = "";

	notify->child = NULL;
	free(notify->input);
	notify->input = NULL;
	if (result) {
		text_escape(said, sizeof(said), result->output, result->output_len);
	}
	if (err) {
		log_error("notify.run: %s: %s", err->subject, err->text);
	} else if (result->timed_out) {
		log_error("notify.run: %s did not end within %d s and was killed", command,
			  COMMAND_MS / 1000);
	} else if (result->exit_status != 0) {
		log_error("notify.run: %s ended with exit status %d: %s", command,
			  result->exit_status, said);
	}
	if (err || result->timed_out || result->exit_status != 0) {
		take_back(notify, telling);
	}
	run_next(notify);
}

static void run_next(void *arg)
{
	struct notify *notify = arg;
	static char path[] = ENVIRONMENT_PATH;
	char *environment[] = { path, NULL };
	struct telling *telling;
	char *text;

	notify->timer = NULL;
	if (notify->next == notify->count) {
		if (notify->left_over > 0) {
			log_warn("notify.run: %zu more events are told by the next run",
				 notify->left_over);
		}
		notify->done(notify->arg);
		return;
	}
	telling = &notify->item[notify->next++];
	json_set(telling->object, "lineages", telling->lineages);
	telling->lineages = NULL;
	text = json_dump(telling->object);
	notify->input = xasprintf("%s\n", text); /* a line, as read(1) wants it */
	free(text);
	notify->child =
		notify->args.world->ops->spawn_start(notify->args.world,
						     &(struct spawn_request){
							     .argv = conf_of(notify)->run.item,
							     .environment = environment,
							     .input = notify->input,
							     .input_len = strlen(notify->input),
							     .max_output = OUTPUT_MAX,
							     .timeout_ms = COMMAND_MS,
						     },
						     on_exit_of, notify);
}

void notify_finish(struct notify *notify, notify_done *done, void *arg)
{
	notify->done = done;
	notify->arg = arg;
	notify->timer = world_timer_start(notify->args.world, 0, run_next, notify);
}

/* ---- life --------------------------------------------------------------------------- */

struct notify *notify_new(const struct notify_args *args)
{
	struct notify *notify = xcalloc(1, sizeof(*notify));

	notify->args = *args;
	return notify;
}

static void telling_clear(struct telling *telling)
{
	free(telling->text);
	json_free(telling->object);
	json_free(telling->lineages);
	strlist_clear(&telling->keys);
}

void notify_free(struct notify *notify)
{
	if (!notify) {
		return;
	}
	if (notify->child) {
		notify->args.world->ops->spawn_cancel(notify->child);
	}
	world_timer_cancel(notify->args.world, notify->timer);
	for (size_t i = 0; i < notify->count; i++) {
		telling_clear(&notify->item[i]);
	}
	free(notify->item);
	free(notify->input);
	free(notify);
}
