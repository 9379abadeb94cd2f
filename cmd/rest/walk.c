/*
 * walk: one run of a step.
 *
 *   start -> step -> REST_SEND -> request -> answer -> step -> ...
 *                 -> REST_LATER -> pause -> request -> ...
 *                 -> REST_DONE, REST_CONFLICT, REST_FAILED -> done
 */
#include "internal.h"

#include <strings.h>

#define POLL_FIRST_MS 250
#define POLL_MAX_MS 5000
#define TOKEN_MIN_S 30 /* that a token is used, whatever it is said to live */
#define TOKEN_MAX_S (24 * 3600)

static struct walk *walk_of(struct rest_walk *pub)
{
	return (struct walk *)(void *)pub;
}

static void go_on(struct walk *walk, const struct rest_answer *answer);

static void walk_free(struct walk *walk)
{
	struct rest *rest = walk->pub.rest;

	call_cancel(walk->call);
	world_timer_cancel(rest->host->world, walk->timer);
	asked_clear(&walk->asked);
	free(walk->pub.cursor);
	strlist_clear(&walk->pub.todo);
	free(walk);
}

void walk_cancel(struct walk *walk)
{
	if (walk) {
		walk_free(walk);
	}
}

static void finish(struct walk *walk, enum rest_next next)
{
	struct err err = walk->err;
	struct walk_end end = { .next = next,
				.err = &err,
				.unsure = walk->unsure,
				.again = walk->again,
				.look_again = walk->look_again,
				.silent = walk->requests == 0 };
	walk_done *done = walk->done;
	void *arg = walk->arg;

	/* Such as a state that may not be asked for: what was written is there to be looked at. */
	if (next == REST_FAILED && walk->changed) {
		log_warn("%s: after a change: %s; looking at what is there",
			 walk->pub.rest->api->provider->name, err.text);
		end.unsure = end.again = true;
	}
	if (next == REST_CONFLICT && err.code == ERR_NONE) {
		err_set(&err, ERR_BUSY, "", "others change the same name at the same time");
	}
	walk_free(walk);
	done(arg, &end);
}

/* ---- answers -------------------------------------------------------------------------------- */

static bool is_accepted(const struct asked *asked, int status)
{
	for (size_t i = 0; i < asked->accept_count; i++) {
		if (asked->accept[i] == status) {
			return true;
		}
	}
	return status >= 200 && status <= 299;
}

/* What a scalar of JSON is, which is no document for us: null, true, 12, "text". */
static bool is_scalar(const char *body)
{
	body += strspn(body, " \t\r\n");
	return *body && strchr("\"-0123456789tfn", *body);
}

/* A page for people comes from a proxy or a portal, whatever else it looks like. */
static bool is_page(const char *type)
{
	return type && strncasecmp(type, "text/html", strlen("text/html")) == 0;
}

/* An accepted answer has to be readable; of the others what can be read serves for a sentence. */
static enum err_code read_body(const struct walk *walk, struct rest_answer *answer,
			       struct json **json, struct xml **xml, struct err *err)
{
	const struct rest_api *api = walk->pub.rest->api;
	const char *type = said_header(answer->http, "content-type");
	char shown[80] = "no type";
	struct err why = { .text = "it is a page for people" };
	bool ok;

	if (answer->body_len == 0) {
		return ERR_NONE;
	}
	if (api->is_xml && !walk->asked.elsewhere) {
		ok = xml_parse(answer->body, answer->body_len, xml, &why) == ERR_NONE;
	} else {
		ok = json_parse(answer->body, answer->body_len, json, &why) == ERR_NONE ||
		     is_scalar(answer->body);
	}
	answer->json = *json;
	answer->xml = *xml;
	if (((ok || walk->asked.plain) && !is_page(type)) ||
	    !is_accepted(&walk->asked, answer->status)) {
		return ERR_NONE;
	}
	if (type) {
		text_escape(shown, sizeof(shown), type, strlen(type));
	}
	return err_set(err, ERR_PROTOCOL, "",
		       "the API answers %d with what is no %s (%s): %s; is `endpoint` its URL?",
		       answer->status, api->is_xml ? "XML" : "JSON", shown, why.text);
}

static void fail(struct walk *walk, const struct err *err)
{
	walk->err = *err;
	finish(walk, REST_FAILED);
}

static void on_call(void *arg, const struct call_end *end)
{
	struct walk *walk = arg;
	const struct http_response *http = end->response;
	struct rest_answer answer = { .http = http };
	struct json *json = NULL;
	struct xml *xml = NULL;
	struct err err;

	walk->call = NULL;
	walk->unsure = walk->unsure || end->unsure;
	if (!http) {
		walk->again = end->err->code == ERR_NETWORK || end->err->code == ERR_TIMEOUT;
		fail(walk, end->err);
		return;
	}
	answer.status = http->status;
	answer.body = http->body;
	answer.body_len = http->body_len;
	if (read_body(walk, &answer, &json, &xml, &err) != ERR_NONE) {
		walk->unsure = walk->unsure || !walk->asked.repeatable;
		fail(walk, &err);
	} else if (is_accepted(&walk->asked, answer.status)) {
		walk->changed = walk->changed || (answer.status < 300 && !walk->asked.repeatable);
		go_on(walk, &answer);
	} else {
		walk->again = answer.status >= 500 || answer.status == 408 || answer.status == 409;
		said_refusal(walk->pub.rest, &answer, &err);
		fail(walk, &err);
	}
	json_free(json);
	xml_free(xml);
}

/* ---- steps ---------------------------------------------------------------------------------- */

static void send_request(void *arg)
{
	struct walk *walk = arg;
	struct err err;

	walk->timer = NULL;
	if (walk->requests++ == REST_STEPS_MAX) {
		err_set(&err, ERR_LIMIT, "", "more than %d requests for one thing", REST_STEPS_MAX);
		fail(walk, &err);
		return;
	}
	/* A token is not asked for with the token. */
	walk->asked.elsewhere = walk->asked.elsewhere || walk->step == walk->pub.rest->api->token;
	walk->call = call_start(walk->pub.rest, &walk->asked, walk->deadline_us, on_call, walk);
}

/* An API that is not in sync in time is none that failed: whoever watches the DNS decides. */
static void poll_later(struct walk *walk)
{
	struct rest *rest = walk->pub.rest;
	int64_t now_us = rest_now_us(rest), waited_us, pause_us;

	if (walk->polling_since_us == 0) {
		walk->polling_since_us = now_us;
	}
	waited_us = now_us - walk->polling_since_us;
	if (waited_us > (int64_t)REST_SYNC_MS * 1000 || now_us > walk->deadline_us) {
		log_info("%s: not in sync after %lld s; going on", rest->api->provider->name,
			 (long long)(waited_us / 1000000));
		finish(walk, REST_DONE);
		return;
	}
	pause_us = (int64_t)POLL_FIRST_MS * 1000 + waited_us / 4;
	if (pause_us > (int64_t)POLL_MAX_MS * 1000) {
		pause_us = (int64_t)POLL_MAX_MS * 1000;
	}
	walk->timer = world_timer_start(rest->host->world, pause_us, send_request, walk);
}

static void go_on(struct walk *walk, const struct rest_answer *answer)
{
	enum rest_next next = walk->step(&walk->pub, answer);

	walk->pub.step++;
	switch (next) {
	case REST_SEND:
		send_request(walk);
		break;
	case REST_LATER:
		poll_later(walk);
		break;
	case REST_DONE:
	case REST_CONFLICT:
	case REST_FAILED:
		if (walk->overflow) {
			next = rest_fail(&walk->pub, ERR_LIMIT, "there are more than %d values",
					 REST_VALUES_MAX);
		}
		finish(walk, next);
		break;
	}
}

static void on_begin(void *arg)
{
	struct walk *walk = arg;

	walk->timer = NULL;
	go_on(walk, NULL);
}

struct walk *walk_start(struct rest *rest, rest_step *step, const struct rest_walk *pub,
			int64_t deadline_us)
{
	struct walk *walk = xcalloc(1, sizeof(*walk));

	walk->pub = *pub;
	walk->pub.rest = rest;
	walk->step = step;
	walk->deadline_us = deadline_us;
	walk->timer = world_timer_start(rest->host->world, 0, on_begin, walk);
	return walk;
}

void walk_then(struct walk *walk, walk_done *done, void *arg)
{
	walk->done = done;
	walk->arg = arg;
}

/* ---- failures ---------------------------------------------------------------------------- */

enum rest_next rest_fail(struct rest_walk *pub, enum err_code code, const char *fmt, ...)
{
	struct walk *walk = walk_of(pub);
	char text[ERR_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	err_set(&walk->err, code, "", "%s", text);
	return REST_FAILED;
}

enum rest_next rest_refused(struct rest_walk *pub, const struct rest_answer *answer)
{
	said_refusal(pub->rest, answer, &walk_of(pub)->err);
	return REST_FAILED;
}

enum rest_next rest_lacks(struct rest_walk *pub, const char *what)
{
	return rest_fail(pub, ERR_PROTOCOL, "the API's answer lacks %s", what);
}

void rest_look_again(struct rest_walk *pub)
{
	walk_of(pub)->look_again = true;
}

void rest_token(struct rest_walk *pub, const char *token, int64_t lives_s)
{
	struct rest *rest = pub->rest;
	int64_t use_s = lives_s > 120 ? lives_s - 60 : lives_s / 2;

	/* Of one that has expired, by a clock that may be wrong, the API decides. */
	use_s = use_s > TOKEN_MIN_S ? use_s : TOKEN_MIN_S;
	use_s = use_s < TOKEN_MAX_S ? use_s : TOKEN_MAX_S;
	wipe_str(rest->token);
	rest->token = xstrdup(token);
	rest->token_until_us = rest_now_us(rest) + use_s * 1000000;
	rest_hide(rest, token);
}
