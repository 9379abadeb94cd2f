/*
 * door_api: dns01's own protocol, on HTTP and JSON; contrib/api/openapi.yaml describes it.
 *
 *   POST   /v1/challenges              publish; one, or a list of them that goes out together
 *   GET    /v1/challenges              one's own; all, for the roles read and admin
 *   GET    /v1/challenges/ID           one, at once or (?wait=visible) when it is decided
 *   GET    /v1/challenges/ID/events    its states and its name servers as they change
 *   DELETE /v1/challenges/ID           retract; DELETE /v1/challenges?name=&value= too
 *   POST   /v1/check                   whether one might, and where it would go
 *   GET    /v1/grant                   what one may do
 */
#include "internal.h"

#define BATCH_MAX 200
#define ANSWER_MAX (BATCH_MAX * (CLAIM_TEXT_MAX + 1) + 64)
#define LIST_MAX (256 * 1024 * 1024)

enum wait_for { WAIT_NO, WAIT_PUBLISHED, WAIT_VISIBLE };

/* One claim of a request that waits. */
struct part {
	struct call *call;
	struct claim *claim;       /* NULL: it was refused, or has ended */
	char id[CLAIM_ID_LEN + 1]; /* of a claim that it opened */
	struct claim_watcher watcher;
	char *answer; /* JSON, once it is settled or has ended */
	int status;
	int64_t retry_after_s; /* 0: whenever the client likes */
	enum policy_rule rule; /* why it was refused at once */
};

/* One request that waits, or a stream of events. */
struct call {
	struct broker *broker;
	struct world_exchange *exchange;
	enum wait_for wait;
	struct part *parts;
	size_t count;
	bool list;   /* answered as a list */
	bool opened; /* it made its claims: they leave when its client does */
	bool events;
	struct world_timer *patience;
	struct world_timer *answer_due;
	char *client;
	struct call *prev, *next;
};

/* ---- calls ---------------------------------------------------------------------- */

static struct call *call_new(struct visit *visit, size_t count)
{
	struct broker *broker = visit->broker;
	struct call *call = xcalloc(1, sizeof(*call));

	call->broker = broker;
	call->exchange = visit->exchange;
	call->parts = xcalloc(count + 1, sizeof(*call->parts));
	call->count = count;
	call->client = xstrdup(visit->who->grant->name);
	call->next = broker->calls;
	if (call->next) {
		call->next->prev = call;
	}
	broker->calls = call;
	return call;
}

static void call_free(struct call *call)
{
	for (size_t i = 0; i < call->count; i++) {
		if (call->parts[i].claim) {
			claim_unwatch(call->parts[i].claim, &call->parts[i].watcher);
		}
		free(call->parts[i].answer);
	}
	world_timer_cancel(call->broker->world, call->patience);
	world_timer_cancel(call->broker->world, call->answer_due);
	if (call->prev) {
		call->prev->next = call->next;
	} else {
		call->broker->calls = call->next;
	}
	if (call->next) {
		call->next->prev = call->prev;
	}
	free(call->parts);
	free(call->client);
	free(call);
}

/* Why an answer is none, where the claim itself does not say it. */
static bool reason_of(const struct claim *claim, int status, struct err *out)
{
	if (status == 409) {
		err_set(out, ERR_CANCELED, "", "it was removed, or asked for again, meanwhile");
		return true;
	}
	if (status == 504 && !claim->err) {
		err_set(out, ERR_TIMEOUT, "",
			"it was not there in time, and was withdrawn (the client's `wait` is how "
			"long it may take)");
		return true;
	}
	return false;
}

static void part_settle(struct part *part, int status)
{
	struct claim *claim = part->claim;
	struct err reason;
	struct buf text = BUF_INIT(CLAIM_TEXT_MAX);

	if (claim && !part->answer) {
		bool told = reason_of(claim, status, &reason);

		claim_put(&text, NULL, claim, told ? &reason : NULL);
		part->retry_after_s = !told && claim->err ? claim->err->retry_after_s : 0;
		part->answer = buf_detach(&text);
		part->status = status;
	}
	if (claim) {
		claim_unwatch(claim, &part->watcher);
		part->claim = NULL;
	}
}

static bool is_settled(const struct part *part)
{
	return part->answer != NULL;
}

/* What stands for all: the worst. */
static void call_answer(struct call *call)
{
	struct broker *broker = call->broker;
	struct world_exchange *exchange = call->exchange;
	struct buf body = BUF_INIT(ANSWER_MAX);
	int64_t retry_after_s = call->list ? 0 : call->parts[0].retry_after_s;
	int status = 0;

	if (call->list) {
		buf_add_str(&body, "{\"challenges\":[");
	}
	for (size_t i = 0; i < call->count; i++) {
		status = call->parts[i].status > status ? call->parts[i].status : status;
		buf_add_str(&body, i > 0 ? "," : "");
		buf_add_str(&body, call->parts[i].answer);
	}
	buf_add_str(&body, call->list ? "]}" : "");
	call_free(call);
	answer_buf(broker, exchange, status, retry_after_s, &body);
}

static void on_answer_due(void *arg)
{
	struct call *call = arg;

	call->answer_due = NULL;
	call_answer(call);
}

/* The answer goes from the loop: claims may still be telling others. */
static void look(struct call *call)
{
	for (size_t i = 0; i < call->count; i++) {
		if (!is_settled(&call->parts[i])) {
			return;
		}
	}
	if (!call->answer_due) {
		call->answer_due = world_timer_start(call->broker->world, 0, on_answer_due, call);
	}
}

static bool is_far_enough(const struct claim *claim, enum wait_for wait)
{
	if (claim->state == CLAIM_VISIBLE || claim->state == CLAIM_DEFERRED) {
		return true;
	}
	if (wait == WAIT_NO) {
		return claim->state == CLAIM_PUBLISHING || claim->state == CLAIM_WATCHING;
	}
	return wait == WAIT_PUBLISHED && claim->state == CLAIM_WATCHING;
}

static void on_claim(void *arg, const struct claim *claim)
{
	struct part *part = arg;
	struct call *call = part->call;

	if (claim->state == CLAIM_FAILED) {
		part_settle(part, status_of_err(claim->rule, claim->err));
	} else if (claim->state == CLAIM_LEAVING) {
		part_settle(part, 409); /* retracted, or asked for again meanwhile */
	} else if (is_far_enough(claim, call->wait)) {
		part_settle(part, claim->state == CLAIM_VISIBLE ? 200 : 202);
	} else {
		return;
	}
	look(call);
}

/* The client left before its answer: nobody would remove what it asked for. */
static void on_gone(void *arg)
{
	struct call *call = arg;
	struct broker *broker = call->broker;
	struct world_exchange *exchange = call->exchange;
	bool leave = call->opened && call->wait != WAIT_NO;
	struct strlist ids = { 0 };

	/* Those that are visible already too: nobody was told of them. */
	for (size_t i = 0; i < call->count && leave; i++) {
		strlist_add(&ids, call->parts[i].id);
	}
	call_free(call);
	broker->world->ops->exchange_end(exchange);
	for (size_t i = 0; i < ids.count; i++) {
		struct claim *claim = claim_find(broker, ids.item[i]);

		if (claim) {
			claim_leave(claim);
		}
	}
	strlist_clear(&ids);
}

/* Patience is over: who asked for the value is told that it is not there in time, and it is
 * withdrawn; who only looked is told how far it is. */
static void on_patience_over(void *arg)
{
	struct call *call = arg;

	call->patience = NULL;
	for (size_t i = 0; i < call->count; i++) {
		struct part *part = &call->parts[i];
		struct claim *claim = part->claim;

		if (claim && !is_settled(part)) {
			part_settle(part, call->opened ? 504 : 202);
			if (call->opened) {
				claim_leave(claim);
			}
		}
	}
	look(call);
}

static void begin_waiting(struct call *call, int64_t patience_ms)
{
	call->broker->world->ops->exchange_on_gone(call->exchange, on_gone, call);
	if (call->wait != WAIT_NO) {
		call->patience = world_timer_start(call->broker->world, patience_ms * 1000,
						   on_patience_over, call);
	}
	look(call);
}

/* ---- asking for challenges ------------------------------------------------------ */

static bool read_wait(const char *text, enum wait_for *out)
{
	static const char *const words[] = {
		[WAIT_NO] = "no", [WAIT_PUBLISHED] = "published", [WAIT_VISIBLE] = "visible"
	};

	for (size_t i = 0; text && i < ARRAY_LEN(words); i++) {
		if (strcmp(words[i], text) == 0) {
			*out = (enum wait_for)i;
			return true;
		}
	}
	*out = WAIT_NO;
	return !text;
}

enum err_code api_check_fields(const struct json *body, struct err *err)
{
	static const char *const texts[] = { "name", "owner", "value", "view", "wait" };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		const struct json *field = json_get(body, texts[i]);

		if (field && !json_text(field) && !json_is_nil(field)) {
			return err_set(err, ERR_USAGE, "", "\"%s\" has to be a text", texts[i]);
		}
	}
	if (!json_is_nil(json_get(body, "defer")) &&
	    json_bool(body, "defer", true) != json_bool(body, "defer", !json_get(body, "defer"))) {
		return err_set(err, ERR_USAGE, "", "\"defer\" has to be true or false");
	}
	return ERR_NONE;
}

static enum err_code read_one(const struct json *asked, const struct claim_request *request,
			      struct err *err)
{
	if (!json_is_object(asked) || (!request->name) == (!request->owner) || !request->value) {
		return err_set(err, ERR_USAGE, "",
			       "a challenge has a name (or the owner name), and a value: "
			       "{\"name\": \"www.example.com\", \"value\": \"...\"}");
	}
	return api_check_fields(asked, err);
}

static enum err_code open_one(struct visit *visit, const struct json *asked, struct part *part,
			      struct claim_group *group, struct err *err)
{
	struct claim_request request = {
		.door = "api",
		.name = json_str(asked, "name"),
		.owner = json_str(asked, "owner"),
		.value = json_str(asked, "value"),
		.view = json_str(asked, "view"),
		.defer = json_bool(asked, "defer", false),
		.rule = &part->rule,
		.group = group,
	};

	if (read_one(asked, &request, err) != ERR_NONE) {
		audit_nonsense(visit, "api", "publish", err);
		return err->code;
	}
	request.who = identity_hold(visit->who);
	part->claim = claim_open(visit->broker, &request, err);
	if (!part->claim) {
		return err->code;
	}
	snprintf(part->id, sizeof(part->id), "%s", part->claim->id);
	part->watcher = (struct claim_watcher){ .changed = on_claim, .arg = part };
	claim_watch(part->claim, &part->watcher);
	return ERR_NONE;
}

static void refuse_part(struct part *part, const struct err *err)
{
	struct buf text = BUF_INIT(CLAIM_TEXT_MAX);

	json_put_open(&text, NULL, JSON_KIND_OBJECT);
	json_put_str(&text, "state", "failed");
	err_put(&text, "error", part->rule, err);
	json_put_close(&text, JSON_KIND_OBJECT);
	part->answer = buf_detach(&text);
	part->retry_after_s = err->retry_after_s;
	part->status = status_of_err(part->rule, err);
}

/* All of them; what is refused at once has its answer. */
static void open_all(struct visit *visit, struct call *call, const struct json *body)
{
	const struct json *list = json_get(body, "challenges");
	struct claim_group *group = claim_group_new(false);
	struct err err;

	for (size_t i = 0; i < call->count; i++) {
		struct part *part = &call->parts[i];

		part->call = call;
		if (open_one(visit, list ? json_at(list, i) : body, part, group, &err) !=
		    ERR_NONE) {
			refuse_part(part, &err);
		}
	}
	claim_group_close(group);
}

static void post_challenges(struct visit *visit, const struct json *body)
{
	const struct json *list = json_get(body, "challenges");
	size_t count = list ? json_len(list) : 1;
	struct call *call;
	struct err err;
	enum wait_for wait;

	if (!read_wait(json_str(body, "wait"), &wait) || count == 0 || count > BATCH_MAX) {
		err_set(&err, ERR_USAGE, "",
			"write from 1 to %d challenges, and wait as \"no\", \"published\" or "
			"\"visible\"",
			BATCH_MAX);
		audit_nonsense(visit, "api", "publish", &err);
		answer_err(visit->broker, visit->exchange, POLICY_GRANTED, &err);
		return;
	}
	call = call_new(visit, count);
	call->list = list != NULL;
	call->wait = wait;
	call->opened = true;
	open_all(visit, call, body);
	begin_waiting(call, visit->who->grant->wait_ms);
}

/* ---- looking at them ------------------------------------------------------------ */

static bool sees_all(const struct identity *who)
{
	return strcmp(who->grant->role, "read") == 0 || strcmp(who->grant->role, "admin") == 0;
}

static bool may_remove_all(const struct identity *who)
{
	return strcmp(who->grant->role, "admin") == 0;
}

/* Gives the text of a query's member, or NULL. */
static char *query_get(const struct visit *visit, const char *key)
{
	const char *at = visit->request->query;
	size_t key_len = strlen(key);

	while (*at) {
		size_t len = strcspn(at, "&");

		if (len > key_len && strncmp(at, key, key_len) == 0 && at[key_len] == '=') {
			return xstrndup(at + key_len + 1, len - key_len - 1);
		}
		at += len + (at[len] == '&');
	}
	return NULL;
}

static void add_claim(void *arg, struct claim *claim)
{
	if (claim->state != CLAIM_LEAVING) {
		claim_put(arg, NULL, claim, NULL);
	}
}

/* What is not about a new value: claims write their own lines. */
static void audit_served(const struct visit *visit, const char *action, const struct audit *about)
{
	struct audit line = *about;

	line.door = "api";
	line.action = action;
	line.who = visit->who;
	line.verdict = line.reason ? "refused" : "granted";
	audit_write(visit->broker, &line);
}

static void audit_claim(const struct visit *visit, const char *action, const struct claim *claim)
{
	audit_served(visit, action,
		     &(struct audit){ .name = claim->name,
				      .owner = claim->owner,
				      .value = claim->value,
				      .view = claim->view });
}

static void list_challenges(struct visit *visit)
{
	struct buf body = BUF_INIT(LIST_MAX);

	audit_served(visit, "list", &(struct audit){ 0 });
	json_put_open(&body, NULL, JSON_KIND_OBJECT);
	json_put_open(&body, "challenges", JSON_KIND_ARRAY);
	claim_for_each(visit->broker, sees_all(visit->who) ? NULL : visit->who->grant->name,
		       add_claim, &body);
	json_put_close(&body, JSON_KIND_ARRAY);
	json_put_close(&body, JSON_KIND_OBJECT);
	answer_buf(visit->broker, visit->exchange, 200, 0, &body);
}

static void not_found(struct visit *visit)
{
	struct err err;

	err_set(&err, ERR_NOT_FOUND, "", "there is no such challenge of this client");
	audit_served(visit, strcmp(visit->request->method, "DELETE") == 0 ? "remove" : "show",
		     &(struct audit){ .reason = err_code_name(err.code), .text = err.text });
	answer_err(visit->broker, visit->exchange, POLICY_GRANTED, &err);
}

static void get_challenge(struct visit *visit, struct claim *claim)
{
	struct call *call;
	char *wait = query_get(visit, "wait");
	enum wait_for wait_for;
	bool known = read_wait(wait, &wait_for);

	free(wait);
	if (!known) {
		struct err err;

		err_set(&err, ERR_USAGE, "", "wait is \"no\", \"published\" or \"visible\"");
		answer_err(visit->broker, visit->exchange, POLICY_GRANTED, &err);
		return;
	}
	/* One that leaves may be gone before anybody's patience is over, and tells nobody. */
	if (wait_for == WAIT_NO || claim->state == CLAIM_FAILED || claim->state == CLAIM_LEAVING) {
		struct buf body = BUF_INIT(CLAIM_TEXT_MAX);

		claim_put(&body, NULL, claim, NULL);
		answer_buf(visit->broker, visit->exchange, 200, 0, &body);
		return;
	}
	call = call_new(visit, 1);
	call->wait = wait_for;
	call->parts[0] = (struct part){ .call = call, .claim = claim };
	call->parts[0].watcher =
		(struct claim_watcher){ .changed = on_claim, .arg = &call->parts[0] };
	claim_watch(claim, &call->parts[0].watcher);
	if (is_far_enough(claim, wait_for)) {
		on_claim(&call->parts[0], claim);
	}
	begin_waiting(call, visit->who->grant->wait_ms);
}

/* ---- events (text/event-stream) ------------------------------------------------- */

static void send_event(struct call *call, const struct claim *claim)
{
	struct buf object = BUF_INIT(CLAIM_TEXT_MAX);
	struct buf event = BUF_INIT(CLAIM_TEXT_MAX);

	claim_put(&object, NULL, claim, NULL);
	buf_addf(&event, "event: %s\ndata: %s\n\n", claim_state_name(claim->state),
		 buf_str(&object));
	buf_clear(&object);
	call->broker->world->ops->exchange_part(call->exchange, event.data, event.len);
	buf_clear(&event);
}

static void on_events_over(void *arg)
{
	struct call *call = arg;
	struct broker *broker = call->broker;
	struct world_exchange *exchange = call->exchange;

	call->answer_due = NULL;
	call_free(call);
	broker->world->ops->exchange_end(exchange);
}

static bool is_over(const struct claim *claim)
{
	return claim->state == CLAIM_VISIBLE || claim->state == CLAIM_FAILED ||
	       claim->state == CLAIM_LEAVING || claim->state == CLAIM_DEFERRED;
}

static void on_event(void *arg, const struct claim *claim)
{
	struct part *part = arg;
	struct call *call = part->call;

	send_event(call, claim);
	if (is_over(claim)) {
		claim_unwatch(part->claim, &part->watcher);
		part->claim = NULL;
		call->answer_due = world_timer_start(call->broker->world, 0, on_events_over, call);
	}
}

static void get_events(struct visit *visit, struct claim *claim)
{
	struct http_header headers[] = {
		{ "Content-Type", "text/event-stream" },
		{ "Cache-Control", "no-store" },
	};
	struct call *call = call_new(visit, 1);
	struct part *part = &call->parts[0];

	call->events = true;
	*part = (struct part){ .call = call, .claim = claim };
	part->watcher = (struct claim_watcher){ .changed = on_event, .arg = part };
	claim_watch(claim, &part->watcher);
	call->broker->world->ops->exchange_on_gone(call->exchange, on_gone, call);
	call->broker->world->ops->exchange_stream(call->exchange,
						  &(struct http_answer_out){
							  .status = 200,
							  .headers = headers,
							  .header_count = ARRAY_LEN(headers),
						  });
	on_event(part, claim);
}

/* ---- removing ------------------------------------------------------------------- */

static void answer_removed(struct visit *visit, size_t count)
{
	struct buf body = BUF_INIT(CLAIM_TEXT_MAX);

	json_put_open(&body, NULL, JSON_KIND_OBJECT);
	json_put_int(&body, "removed", (int64_t)count);
	json_put_close(&body, JSON_KIND_OBJECT);
	answer_buf(visit->broker, visit->exchange, 200, 0, &body);
}

/* values: separated by commas, or NULL. */
static size_t leave_all(struct visit *visit, const char *name, const char *values)
{
	const char *client = visit->who->grant->name;
	size_t count = 0;

	if (!values) {
		return claim_leave_matching(visit->broker, client, name, NULL);
	}
	while (*values) {
		size_t len = strcspn(values, ",");
		char *value = xstrndup(values, len);

		count += claim_leave_matching(visit->broker, client, name, value);
		free(value);
		values += len + (values[len] == ',');
	}
	return count;
}

static void delete_matching(struct visit *visit)
{
	char *name = query_get(visit, "name"), *value = query_get(visit, "value");
	char parsed[NAME_TEXT_MAX];
	struct err err;

	if (name && name_parse(name, parsed, &err) != ERR_NONE) {
		answer_err(visit->broker, visit->exchange, POLICY_GRANTED, &err);
	} else if (!name && !value) {
		err_set(&err, ERR_USAGE, "", "say which: ?name=NAME, &value=VALUE, or both");
		answer_err(visit->broker, visit->exchange, POLICY_GRANTED, &err);
	} else {
		audit_served(visit, "remove", &(struct audit){ .name = name, .value = value });
		answer_removed(visit, leave_all(visit, name ? name_base(parsed) : NULL, value));
	}
	free(name);
	free(value);
}

/* ---- what one may --------------------------------------------------------------- */

static void get_grant(struct visit *visit)
{
	const struct conf_client *grant = visit->who->grant;
	struct json *body = json_object();

	audit_served(visit, "grant", &(struct audit){ 0 });
	json_set_str(body, "client", grant->name);
	json_set_str(body, "credential", visit->who->credential);
	json_set_str(body, "from", visit->who->from_text);
	for (size_t i = 0; conf_client_row(i); i++) {
		const struct setting *row = conf_client_row(i);
		char *text = conf_client_get(grant, row);

		json_set_str(body, row->name, text);
		free(text);
	}
	answer_json(visit->broker, visit->exchange, 200, body);
}

/* ---- paths ---------------------------------------------------------------------- */

static void with_body(struct visit *visit, void (*serve)(struct visit *visit, const struct json *))
{
	struct json *body = NULL;
	struct err err;

	if (json_parse(visit->request->body, visit->request->body_len, &body, &err) != ERR_NONE) {
		err_subject(&err, "request body");
		audit_nonsense(visit, "api", "read", &err);
		answer_err(visit->broker, visit->exchange, POLICY_GRANTED, &err);
		return;
	}
	serve(visit, body);
	json_free(body);
}

static void wrong_method(struct visit *visit)
{
	struct err err;

	err_set(&err, ERR_USAGE, "", "this path is not for that method");
	answer_err_as(visit->broker, visit->exchange, 405, &err);
}

static void serve_one(struct visit *visit, const char *id)
{
	const char *slash = strchr(id, '/');
	bool events = slash && strcmp(slash, "/events") == 0;
	char *bare = xstrndup(id, slash ? (size_t)(slash - id) : strlen(id));
	struct claim *claim = slash && !events ? NULL : claim_find(visit->broker, bare);
	bool mine = claim && strcmp(claim->client, visit->who->grant->name) == 0;
	const char *method = visit->request->method;

	free(bare);
	if (!claim || (!mine && !sees_all(visit->who)) ||
	    (strcmp(method, "DELETE") == 0 && !mine && !may_remove_all(visit->who))) {
		not_found(visit);
	} else if (strcmp(method, "DELETE") == 0 && !events) {
		audit_claim(visit, "remove", claim);
		claim_leave(claim);
		answer_removed(visit, 1);
	} else if (strcmp(method, "GET") != 0) {
		wrong_method(visit);
	} else if (events) {
		audit_claim(visit, "follow", claim);
		get_events(visit, claim);
	} else {
		audit_claim(visit, "show", claim);
		get_challenge(visit, claim);
	}
}

static void serve_known(struct visit *visit)
{
	const char *path = visit->request->path + strlen("/v1/");
	const char *method = visit->request->method;
	bool get = strcmp(method, "GET") == 0, post = strcmp(method, "POST") == 0;

	if (strcmp(path, "challenges") == 0 && post) {
		with_body(visit, post_challenges);
	} else if (strcmp(path, "challenges") == 0 && get) {
		list_challenges(visit);
	} else if (strcmp(path, "challenges") == 0 && strcmp(method, "DELETE") == 0) {
		delete_matching(visit);
	} else if (strncmp(path, "challenges/", 11) == 0) {
		serve_one(visit, path + 11);
	} else if (strcmp(path, "check") == 0 && post) {
		with_body(visit, api_check);
	} else if (strcmp(path, "grant") == 0 && get) {
		get_grant(visit);
	} else {
		wrong_method(visit);
	}
}

bool door_api(struct visit *visit)
{
	static const char *const paths[] = { "/v1/challenges", "/v1/check", "/v1/grant" };
	bool known = strncmp(visit->request->path, "/v1/challenges/", 15) == 0;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(paths) && !known; i++) {
		known = strcmp(visit->request->path, paths[i]) == 0;
	}
	if (!known) {
		return false;
	}
	if (!visit_identify(visit, &err)) {
		audit_unknown(visit, "api", &err);
		answer_err_as(visit->broker, visit->exchange, 401, &err);
		return true;
	}
	serve_known(visit);
	return true;
}

void api_cancel_all(struct broker *broker)
{
	while (broker->calls) {
		call_free(broker->calls);
	}
}
