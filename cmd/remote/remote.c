/*
 * remote: requests to a broker.
 *
 *   start -> ASKING the one that answered last -> answer -> done
 *               \-> not reached, or it is stopping: the next one; none left: once more from the
 *                   first for as long as a restart takes, then -> done with err
 */
#include "dns01/remote.h"

#define TOKEN_MAX 4096
#define ANSWER_MAX (4 * 1024 * 1024)
#define RESTART_US ((int64_t)6 * 1000000) /* of a broker: two seconds of systemd's among them */
#define AGAIN_US ((int64_t)500 * 1000)
#define UNIX "unix:"

struct endpoint {
	char *url;       /* without a final slash */
	char *unix_path; /* NULL: TCP */
	char *shown;     /* as it was written */
	char *authorization;
	char *ca_file, *cert_file, *key_file;
	bool warned; /* that it is out of reach */
};

struct remote {
	struct world *world;
	struct endpoint *endpoint;
	size_t count;
	size_t first; /* that is asked: the one that answered last */
	bool lost;    /* the last call reached none */
	struct remote_call *calls;
};

struct remote_call {
	struct remote *remote;
	char *method, *path, *body;
	int64_t timeout_ms;
	size_t at;    /* of the endpoints */
	size_t tried; /* in this round */
	size_t expect, removed;
	bool served;        /* one has answered, but removed less than is expected */
	int64_t give_up_us; /* monotonic: no further round; 0: none has failed */
	struct world_http *http;
	struct world_timer *again;
	struct err err; /* of the one before */
	remote_done *done;
	void *arg;
	struct remote_call *next;
};

static void ask(struct remote_call *call);

/* ---- endpoints ------------------------------------------------------------------------- */

/* The one word of text that stands in no line of a comment, as `dns01 token new` prints it.
 * False: there are more. */
static bool find_token(const char *text, const char **word, size_t *len)
{
	static const char blanks[] = " \t\r\n";

	*len = 0;
	for (text += strspn(text, blanks); *text; text += strspn(text, blanks)) {
		size_t end = strcspn(text, *text == '#' ? "\n" : blanks);

		if (*text != '#') {
			if (*len > 0) {
				return false;
			}
			*word = text;
			*len = end;
		}
		text += end;
	}
	return true;
}

/* Gives the header's value; NULL without a token, or with err. */
static char *read_token(const char *path, struct err *err)
{
	struct buf text = BUF_INIT(0);
	const char *word = NULL;
	char *header = NULL;
	size_t len = 0;

	err_clear(err);
	if (path && file_read_secret(path, TOKEN_MAX, &text, err) == ERR_NONE) {
		if (!find_token(buf_str(&text), &word, &len)) {
			err_set(err, ERR_CONFIG, path,
				"the file has to hold one token and nothing else, but for lines "
				"that begin with \"#\"");
		} else if (len == 0) {
			err_set(err, ERR_CONFIG, path, "the file holds no token");
		} else {
			header = xasprintf("Bearer %.*s", (int)len, word);
		}
	}
	buf_wipe(&text);
	return header;
}

static enum err_code endpoint_open(const struct conf_broker *broker, struct endpoint *out,
				   struct err *err)
{
	bool is_unix = strncmp(broker->url, UNIX, strlen(UNIX)) == 0;
	size_t len;

	out->shown = xstrdup(broker->url);
	out->unix_path = is_unix ? xstrdup(broker->url + strlen(UNIX)) : NULL;
	out->url = xstrdup(is_unix ? "http://localhost" : broker->url);
	len = strlen(out->url);
	while (len > 0 && out->url[len - 1] == '/') {
		out->url[--len] = '\0';
	}
	out->ca_file = xstrdup(broker->ca_file);
	out->cert_file = xstrdup(broker->cert_file);
	out->key_file = xstrdup(broker->key_file);
	out->authorization = read_token(broker->token_file, err);
	return err->code;
}

enum err_code remote_open(struct world *world, const struct conf_broker *brokers, size_t count,
			  struct remote **out, struct err *err)
{
	struct remote *remote = xcalloc(1, sizeof(*remote));
	enum err_code code = ERR_NONE;

	remote->world = world;
	remote->endpoint = xcalloc(count + 1, sizeof(*remote->endpoint));
	for (size_t i = 0; i < count && code == ERR_NONE; i++) {
		remote->count++;
		code = endpoint_open(&brokers[i], &remote->endpoint[i], err);
	}
	if (code != ERR_NONE) {
		remote_close(remote);
		return code;
	}
	*out = remote;
	return ERR_NONE;
}

void remote_close(struct remote *remote)
{
	if (!remote) {
		return;
	}
	while (remote->calls) {
		remote_cancel(remote->calls);
	}
	for (size_t i = 0; i < remote->count; i++) {
		struct endpoint *endpoint = &remote->endpoint[i];

		free(endpoint->url);
		free(endpoint->unix_path);
		free(endpoint->shown);
		wipe_str(endpoint->authorization);
		free(endpoint->ca_file);
		free(endpoint->cert_file);
		free(endpoint->key_file);
	}
	free(remote->endpoint);
	free(remote);
}

/* ---- calls ---------------------------------------------------------------------- */

static void call_free(struct remote_call *call)
{
	struct remote_call **at = &call->remote->calls;

	while (*at && *at != call) {
		at = &(*at)->next;
	}
	if (*at) {
		*at = call->next;
	}
	free(call->method);
	free(call->path);
	wipe_str(call->body);
	free(call);
}

void remote_cancel(struct remote_call *call)
{
	if (call) {
		call->remote->world->ops->http_cancel(call->http);
		world_timer_cancel(call->remote->world, call->again);
		call_free(call);
	}
}

static void finish(struct remote_call *call, const struct err *err, const struct json *answer)
{
	remote_done *done = call->done;
	void *arg = call->arg;
	struct err copy = { .code = ERR_NONE };

	if (err && call->served) { /* what one has done, another's refusal does not undo */
		err = NULL;
	}
	if (err) {
		copy = *err;
	}
	call_free(call);
	done(arg, err ? &copy : NULL, answer);
}

enum err_code remote_item_err(const struct json *item, struct err *err)
{
	const struct json *error = json_get(item, "error");
	const char *text = json_str(error, "text");
	const char *word = json_str(error, "code");
	enum err_code code = ERR_PROTOCOL;

	err_clear(err);
	if (!error) {
		return ERR_NONE;
	}
	for (enum err_code known = ERR_NONE + 1; word && known < ERR_COUNT; known++) {
		if (strcmp(err_code_name(known), word) == 0) {
			code = known;
		}
	}
	err_set(err, code, "", "%s", text ? text : "it refused without a reason");
	err->retry_after_s = json_int(error, "retry_after_s", 0);
	return code;
}

/* A hook's user reads no header. */
static void name_the_token(const struct endpoint *endpoint, const struct http_response *response,
			   struct err *err)
{
	struct err said = *err;

	if (response->status == 401 && !endpoint->authorization) {
		err_set(err, said.code, "",
			"%s; the file that holds the token is named by DNS01_TOKEN_FILE, or by "
			"token_file in the configuration",
			said.text);
	}
}

/* What another broker published while this one was out of reach is removed there. */
static bool ask_others(struct remote_call *call, const struct json *answer)
{
	call->removed += (size_t)json_int(answer, "removed", 0);
	call->served = true;
	if (call->removed >= call->expect || call->tried + 1 == call->remote->count) {
		return false;
	}
	call->tried++;
	call->at = (call->at + 1) % call->remote->count;
	ask(call);
	return true;
}

static void take_answer(struct remote_call *call, const struct http_response *response)
{
	const struct endpoint *endpoint = &call->remote->endpoint[call->at];
	struct json *answer = NULL;
	struct err err;
	bool items;

	if (json_parse(response->body, response->body_len, &answer, &err) != ERR_NONE) {
		err_set(&err, ERR_PROTOCOL, endpoint->shown,
			"the broker answers %d without an object of JSON; is it a dns01 serve "
			"with the door \"api\"?",
			response->status);
		finish(call, &err, NULL);
		return;
	}
	items = json_get(answer, "challenges") || json_get(answer, "id");
	if (response->status >= 300 && !items) {
		if (remote_item_err(answer, &err) == ERR_NONE) {
			err_set(&err, ERR_PROTOCOL, "", "it answers %d", response->status);
		}
		name_the_token(endpoint, response, &err);
		err_subject(&err, "broker %s", endpoint->shown);
		finish(call, &err, NULL);
	} else if (!ask_others(call, answer)) {
		finish(call, NULL, answer);
	}
	json_free(answer);
}

static void on_again(void *arg)
{
	struct remote_call *call = arg;

	call->again = NULL;
	call->tried = 0;
	ask(call);
}

static void warn(struct endpoint *endpoint, const struct err *err)
{
	if (!endpoint->warned) {
		endpoint->warned = true;
		log_warn("broker %s: %s; the next one is asked", endpoint->shown, err->text);
	}
}

/* err NULL: it is starting or stopping, and said so by response. */
static void not_served(struct remote_call *call, const struct err *err,
		       const struct http_response *response)
{
	struct remote *remote = call->remote;
	struct endpoint *endpoint = &remote->endpoint[call->at];
	int64_t now_us = world_mono_us(remote->world);
	bool restarts = !remote->lost && (!err || err->code == ERR_NETWORK);

	if (call->give_up_us == 0) {
		call->give_up_us = now_us + RESTART_US;
	}
	if (err) {
		call->err = *err;
		snprintf(call->err.subject, sizeof(call->err.subject), "broker %.250s",
			 endpoint->shown);
	}
	if (++call->tried < remote->count) {
		if (err) {
			warn(endpoint, err);
		}
		call->at = (call->at + 1) % remote->count;
		ask(call);
	} else if (!call->served && restarts && now_us < call->give_up_us) {
		call->at = (call->at + 1) % remote->count;
		call->again = world_timer_start(remote->world, AGAIN_US, on_again, call);
	} else if (err) {
		remote->lost = true;
		finish(call, &call->err, NULL);
	} else {
		take_answer(call, response);
	}
}

static void on_http(void *arg, const struct err *err, const struct http_response *response)
{
	struct remote_call *call = arg;

	call->http = NULL;
	if (!response || response->status == 503) {
		not_served(call, err, response);
		return;
	}
	call->remote->first = call->at;
	call->remote->lost = false;
	take_answer(call, response);
}

static void ask(struct remote_call *call)
{
	const struct endpoint *endpoint = &call->remote->endpoint[call->at];
	struct http_header headers[] = {
		{ "Content-Type", "application/json" },
		{ "Accept", "application/json" },
		{ "Authorization", endpoint->authorization },
	};
	char *url = xasprintf("%s%s", endpoint->url, call->path);

	call->http = call->remote->world->ops->http_start(
		call->remote->world,
		&(struct http_request){
			.method = call->method,
			.url = url,
			.headers = headers,
			.header_count = endpoint->authorization ? 3 : 2,
			.body = call->body,
			.body_len = call->body ? strlen(call->body) : 0,
			.max_body = ANSWER_MAX,
			.timeout_ms = call->timeout_ms,
			.ca_file = endpoint->ca_file,
			.proxy = "none",
			.allow_http_loopback = true,
			.unix_path = endpoint->unix_path,
			.cert_file = endpoint->cert_file,
			.key_file = endpoint->key_file,
		},
		on_http, call);
	free(url);
}

struct remote_call *remote_start(struct remote *remote, const struct remote_request *request,
				 remote_done *done, void *arg)
{
	struct remote_call *call = xcalloc(1, sizeof(*call));

	call->remote = remote;
	call->method = xstrdup(request->method);
	call->path = xstrdup(request->path);
	call->body = request->body ? json_dump(request->body) : NULL;
	call->timeout_ms = request->timeout_ms;
	call->expect = request->expect;
	call->at = remote->first;
	call->done = done;
	call->arg = arg;
	call->next = remote->calls;
	remote->calls = call;
	ask(call);
	return call;
}
