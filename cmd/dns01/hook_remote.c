/*
 * hook_remote: a hook on a host that publishes through a broker, and so needs neither a DNS
 * credential nor, with DNS01_BROKER, a configuration.
 *
 *   HOLD:   (certbot's last call: LIST what was deferred for the run) -> POST -> each until it is
 *           visible, where the client does not wait itself -> end; a failure lets go of all.
 *           A broker that was restarted meanwhile, or has no room just now: POST once more
 *   LET GO: DELETE -> end
 */
#include "hook.h"

#include "dns01/remote.h"

/* A broker answers a waiting request after the client's `wait`, at most an hour. */
#define WAIT_TIMEOUT_MS ((int64_t)3700 * 1000)
#define EXIT_MAX_US ((int64_t)10 * 1000000)
#define AGAIN_MAX_S 10 /* that a broker may ask to come back in */
#define AGAIN_TRIES 4
#define AT_ONCE 150 /* values in one request: a broker takes 200, and 8 KB in a URL */

struct remote_hook {
	const struct hook_request *request;
	const struct options *options;
	struct world *world;
	struct remote *remote;
	struct remote_call *call;
	struct strlist names, values; /* side by side: of this call, and of those before it */
	struct strlist ids;           /* what is still to be seen */
	size_t own;                   /* names that are of this call */
	size_t next;
	size_t gone, leaving; /* of values: let go of, and by the request under way */
	struct world_timer *exit_timer;
	struct world_timer *again; /* the values are posted once more */
	unsigned tries;
	int signals;
	int status;
	struct err said; /* of what failed first */
};

static void call_broker(struct remote_hook *hook, const char *method, const char *path,
			const struct json *body, remote_done *done)
{
	hook->call = remote_start(hook->remote,
				  &(struct remote_request){
					  .method = method,
					  .path = path,
					  .body = body,
					  .timeout_ms = WAIT_TIMEOUT_MS,
					  .expect = hook->leaving,
				  },
				  done, hook);
}

static void fail(struct remote_hook *hook, const struct err *err)
{
	cli_print_error(err, hook->options->json);
	hook->status = err_exit_status(err->code);
	hook->said = *err;
}

/* ---- letting go ------------------------------------------------------------------------ */

static void let_go(struct remote_hook *hook);

static void on_gone(void *arg, const struct err *err, const struct json *answer)
{
	struct remote_hook *hook = arg;

	(void)answer;
	hook->call = NULL;
	/* A broker that is out of reach fails what undoes, too, by the same sentence. */
	if (err && strcmp(err->text, hook->said.text) != 0) {
		fail(hook, err);
	}
	let_go(hook);
}

static void let_go_name(struct remote_hook *hook, const char *name)
{
	char *path = xasprintf("/v1/challenges?name=%s", name);

	hook->leaving = 1;
	call_broker(hook, "DELETE", path, NULL, on_gone);
	free(path);
}

/* All values that are not gone yet. */
static void let_go(struct remote_hook *hook)
{
	struct buf path = BUF_INIT(1024 * 1024);
	const struct strlist *values = &hook->values;

	hook->leaving = values->count - hook->gone;
	if (hook->leaving == 0) {
		world_real_stop(hook->world);
		return;
	}
	hook->leaving = hook->leaving < AT_ONCE ? hook->leaving : AT_ONCE;
	for (size_t i = 0; i < hook->leaving; i++) {
		buf_addf(&path, "%s%s",
			 i > 0 ? "," : "/v1/challenges?value=", values->item[hook->gone++]);
	}
	call_broker(hook, "DELETE", buf_str(&path), NULL, on_gone);
	buf_clear(&path);
}

static void give_up(struct remote_hook *hook, const struct err *err)
{
	fail(hook, err);
	hook->gone = 0; /* by a signal: what was under way may not have come */
	let_go(hook);
}

/* ---- holding -------------------------------------------------------------------- */

static void await_next(struct remote_hook *hook);
static void post(struct remote_hook *hook);

static void on_again(void *arg)
{
	struct remote_hook *hook = arg;

	hook->again = NULL;
	hook->next = 0;
	strlist_clear(&hook->ids);
	post(hook);
}

/* What is asked for twice is held once. */
static bool passes(const struct err *err)
{
	return err->code == ERR_BUSY || (err->code == ERR_LIMIT && err->retry_after_s > 0 &&
					 err->retry_after_s <= AGAIN_MAX_S);
}

static void post_again(struct remote_hook *hook, const struct err *err)
{
	bool asked = err->retry_after_s > 0 && err->retry_after_s <= AGAIN_MAX_S;

	if (hook->tries++ == AGAIN_TRIES) {
		give_up(hook, err);
		return;
	}
	log_info("%s; asking again", err->text);
	hook->again = world_timer_start(hook->world, (asked ? err->retry_after_s : 1) * 1000000,
					on_again, hook);
}

static void refused(struct remote_hook *hook, const struct err *err)
{
	if (passes(err)) {
		post_again(hook, err);
	} else {
		give_up(hook, err);
	}
}

static void on_seen(void *arg, const struct err *err, const struct json *answer)
{
	struct remote_hook *hook = arg;
	const char *state = json_str(answer, "state");
	struct err refusal;

	hook->call = NULL;
	if (err && err->code == ERR_NOT_FOUND) { /* it was restarted, and knows another id */
		refusal = *err;
		post_again(hook, &refusal);
	} else if (err) {
		refusal = *err;
		refused(hook, &refusal);
	} else if (remote_item_err(answer, &refusal) != ERR_NONE) {
		err_subject(&refusal, "%s",
			    json_str(answer, "owner") ? json_str(answer, "owner") : "");
		refused(hook, &refusal);
	} else {
		/* Not decided within the broker's patience: asked again. */
		hook->next += state && strcmp(state, "visible") == 0;
		await_next(hook);
	}
}

static void await_next(struct remote_hook *hook)
{
	char *path;

	if (!hook->request->wait || hook->next == hook->ids.count) {
		world_real_stop(hook->world);
		return;
	}
	path = xasprintf("/v1/challenges/%s?wait=visible", hook->ids.item[hook->next]);
	call_broker(hook, "GET", path, NULL, on_seen);
	free(path);
}

static void on_posted(void *arg, const struct err *err, const struct json *answer)
{
	struct remote_hook *hook = arg;
	const struct json *list = json_get(answer, "challenges");
	size_t before = hook->ids.count, left = hook->names.count - before;
	struct err refusal;

	hook->call = NULL;
	if (err) {
		refusal = *err;
		refused(hook, &refusal);
		return;
	}
	for (size_t i = 0; i < left && i < AT_ONCE; i++) {
		const struct json *item = json_at(list, i);
		const char *id = json_str(item, "id");

		if (remote_item_err(item, &refusal) == ERR_NONE && !id) {
			err_set(&refusal, ERR_PROTOCOL, "",
				"the broker did not say what became of it");
		}
		if (refusal.code != ERR_NONE) {
			err_subject(&refusal, "%s", hook->names.item[before + i]);
			refused(hook, &refusal);
			return;
		}
		strlist_add(&hook->ids, id);
	}
	if (hook->ids.count < hook->names.count) {
		post(hook);
	} else {
		await_next(hook);
	}
}

/* Those that have no id yet. */
static void post(struct remote_hook *hook)
{
	struct json *body = json_object();
	struct json *list = json_array();

	for (size_t i = hook->ids.count; i < hook->names.count && json_len(list) < AT_ONCE; i++) {
		struct json *item = json_object();
		bool is_owner = hook->request->final && i < hook->own;

		json_set_str(item, is_owner ? "owner" : "name", hook->names.item[i]);
		json_set_str(item, "value", hook->values.item[i]);
		json_set_str(item, "view", hook->options->view);
		json_set_bool(item, "defer", hook->request->more);
		json_add(list, item);
	}
	json_set(body, "challenges", list);
	json_set_str(body, "wait", "published");
	call_broker(hook, "POST", "/v1/challenges", body, on_posted);
	json_free(body);
}

/* What earlier calls of this run deferred. */
static void on_listed(void *arg, const struct err *err, const struct json *answer)
{
	struct remote_hook *hook = arg;
	const struct json *list = json_get(answer, "challenges");
	struct err copy;

	hook->call = NULL;
	if (err) {
		copy = *err;
		give_up(hook, &copy);
		return;
	}
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *item = json_at(list, i);
		const char *state = json_str(item, "state");
		const char *name = json_str(item, "name");
		const char *value = json_str(item, "value");

		if (state && strcmp(state, "deferred") == 0 && name && value &&
		    strlist_has(&hook->request->run, name) && !strlist_has(&hook->values, value)) {
			strlist_add(&hook->names, name);
			strlist_add(&hook->values, value);
		}
	}
	post(hook);
}

/* ---- the whole ------------------------------------------------------------------ */

static void on_exit_late(void *arg)
{
	struct remote_hook *hook = arg;

	hook->exit_timer = NULL;
	world_real_stop(hook->world);
}

static void on_signal(void *arg, int signo)
{
	struct remote_hook *hook = arg;
	struct err err;

	if (++hook->signals > 1) {
		_exit(128 + signo);
	}
	remote_cancel(hook->call);
	hook->call = NULL;
	world_timer_cancel(hook->world, hook->again);
	hook->again = NULL;
	hook->exit_timer = world_timer_start(hook->world, EXIT_MAX_US, on_exit_late, hook);
	err_set(&err, ERR_CANCELED, "", "stopped by a signal");
	give_up(hook, &err);
}

bool hook_broker_of_environment(struct conf *conf)
{
	const char *urls = getenv("DNS01_BROKER");
	const char *token = getenv("DNS01_TOKEN_FILE");
	const char *ca = getenv("DNS01_BROKER_CA");
	size_t len;

	for (const char *at = urls ? urls : ""; *at; at += len) {
		char *url;

		at += strspn(at, " ,");
		len = strcspn(at, " ,");
		if (len == 0) {
			break;
		}
		url = xstrndup(at, len);
		conf_add_broker(conf, url);
		conf->broker[conf->broker_count - 1].token_file =
			token && token[0] ? xstrdup(token) : NULL;
		conf->broker[conf->broker_count - 1].ca_file = ca && ca[0] ? xstrdup(ca) : NULL;
		free(url);
	}
	if (urls && urls[0] && conf->broker_count == 0) {
		conf_add_broker(conf, urls); /* which says that it is none */
	}
	return conf->broker_count > 0;
}

static void begin(struct remote_hook *hook)
{
	const struct hook_request *request = hook->request;

	world_real_on_signal(hook->world, on_signal, hook);
	strlist_copy(&hook->values, &request->values);
	if (request->action == HOOK_LET_GO) {
		if (request->values.count == 0) {
			let_go_name(hook, request->names.item[0]);
		} else {
			let_go(hook);
		}
		return;
	}
	strlist_copy(&hook->names, &request->names);
	hook->own = hook->names.count;
	if (request->run.count > 0 && !request->more) {
		call_broker(hook, "GET", "/v1/challenges", NULL, on_listed);
	} else {
		post(hook);
	}
}

int hook_remote(const struct hook_request *request, const struct conf *conf,
		const struct options *options)
{
	struct remote_hook hook = { .request = request, .options = options };
	struct err err;
	enum err_code code = ERR_NONE;

	hook.world = world_real_new(&err);
	code = hook.world ? remote_open(hook.world, conf->broker, conf->broker_count, &hook.remote,
					&err)
			  : err.code;
	if (code == ERR_NONE) {
		begin(&hook);
		world_real_run(hook.world);
	} else {
		fail(&hook, &err);
	}
	remote_close(hook.remote);
	if (hook.exit_timer) {
		world_timer_cancel(hook.world, hook.exit_timer);
	}
	world_real_free(hook.world);
	strlist_clear(&hook.names);
	strlist_clear(&hook.values);
	strlist_clear(&hook.ids);
	return hook.status;
}
