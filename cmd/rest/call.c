/*
 * call: one request, in its turn and as often as it takes.
 *
 *   QUEUED -> SENT -> answer -> done
 *     ^         |
 *     +- PAUSED <-- 429; or what may be repeated failed
 *     +---------- 401 with a token that may have expired: once, with a new one
 *
 *   QUEUED   waits for the credential, the token, one of the slots, or the end of a pause that
 *            the API asked for
 *   SENT     is on its way
 *   PAUSED   failed; waits before the next try
 */
#include "internal.h"

#define LIMITED_TRIES_MAX 100 /* of a request that is told to come later */

enum call_state { CALL_QUEUED, CALL_SENT, CALL_PAUSED };

struct rest_call {
	struct rest *rest;
	const struct asked *asked;
	enum call_state state;
	unsigned failures, limited;
	bool renewed; /* with a new token, or a new secret */
	bool unsure;
	int64_t deadline_us, started_us;
	struct world_http *http;
	struct world_timer *timer;
	call_done *done;
	void *arg;
	struct rest_call *next;
};

int64_t rest_now_us(const struct rest *rest)
{
	return world_mono_us(rest->host->world);
}

int64_t rest_pause_us(struct rest *rest, unsigned tries)
{
	int64_t pause_us = (int64_t)REST_PAUSE_MS * 1000 << (tries < 8 ? tries : 8);
	int64_t max_us = (int64_t)REST_PAUSE_MAX_MS * 1000;

	pause_us = pause_us < max_us ? pause_us : max_us;
	return pause_us / 2 +
	       (int64_t)world_random_below(rest->host->world, (uint64_t)pause_us / 2 + 1);
}

/* ---- ends ------------------------------------------------------------------------------ */

static void unlink_call(struct rest_call *call)
{
	struct rest *rest = call->rest;
	struct rest_call **at = &rest->calls, *before = NULL;

	while (*at != call) {
		before = *at;
		at = &before->next;
	}
	*at = call->next;
	if (rest->calls_last == call) {
		rest->calls_last = before;
	}
	if (call->state == CALL_SENT) {
		rest->in_flight--;
	}
	if (call->http) {
		rest->host->world->ops->http_cancel(call->http);
	}
	world_timer_cancel(rest->host->world, call->timer);
}

void call_cancel(struct rest_call *call)
{
	if (call) {
		struct rest *rest = call->rest;

		unlink_call(call);
		free(call);
		rest_pump(rest);
	}
}

static void finish(struct rest_call *call, const struct err *err,
		   const struct http_response *response)
{
	struct rest *rest = call->rest;
	struct call_end end = { .err = err, .response = response, .unsure = call->unsure };
	call_done *done = call->done;
	void *arg = call->arg;

	unlink_call(call);
	free(call);
	rest_pump(rest);
	done(arg, &end);
}

/* Those that were there before: what a failure makes others begin is not failed with it. */
void calls_fail(struct rest *rest, const struct err *err)
{
	struct err copy = *err;
	struct rest_call *last = rest->calls_last;

	for (bool more = last != NULL; more;) {
		struct rest_call *call = rest->calls;

		while (call && call != last &&
		       (call->state != CALL_QUEUED || call->asked->elsewhere)) {
			call = call->next;
		}
		more = call && call != last;
		if (call && call->state == CALL_QUEUED && !call->asked->elsewhere) {
			finish(call, &copy, NULL);
		}
	}
}

void calls_close(struct rest *rest)
{
	while (rest->calls) {
		struct rest_call *call = rest->calls;

		unlink_call(call);
		free(call);
	}
	world_timer_cancel(rest->host->world, rest->pump);
	rest->pump = NULL;
}

/* ---- again -------------------------------------------------------------------------------- */

static void on_pause_end(void *arg)
{
	struct rest_call *call = arg;

	call->timer = NULL;
	call->state = CALL_QUEUED;
	rest_pump(call->rest);
}

/* False: there is no time for it. */
static bool wait_for(struct rest_call *call, int64_t pause_us)
{
	if (rest_now_us(call->rest) + pause_us > call->deadline_us) {
		return false;
	}
	call->state = CALL_PAUSED;
	call->timer = world_timer_start(call->rest->host->world, pause_us, on_pause_end, call);
	rest_pump(call->rest);
	return true;
}

static bool is_transient(const struct err *err)
{
	return err->code == ERR_NETWORK || err->code == ERR_TIMEOUT;
}

static bool again_after_failure(struct rest_call *call, const struct err *err)
{
	if (!call->asked->repeatable) {
		call->unsure = true;
		return false;
	}
	if (!is_transient(err) || ++call->failures >= REST_TRIES_MAX) {
		return false;
	}
	log_info("%s: %s; again", call->rest->api->provider->name, err->text);
	return wait_for(call, rest_pause_us(call->rest, call->failures - 1));
}

/* RFC 6585 s.4: it was not done. All requests of the account wait. */
static bool again_when_allowed(struct rest_call *call, const struct http_response *response)
{
	struct rest *rest = call->rest;
	int64_t wait_s = said_retry_after_s(response, world_wall_s(rest->host->world));
	int64_t wait_us = wait_s >= 0 ? wait_s * 1000000 : rest_pause_us(rest, call->limited + 1);

	if (++call->limited > LIMITED_TRIES_MAX) {
		return false;
	}
	if (!wait_for(call, wait_us)) {
		return false;
	}
	log_info("%s: the API asks to wait %lld ms", rest->api->provider->name,
		 (long long)(wait_us / 1000));
	if (rest->next_at_us < rest_now_us(rest) + wait_us) {
		rest->next_at_us = rest_now_us(rest) + wait_us;
	}
	return true;
}

static bool again_after_5xx(struct rest_call *call, const struct http_response *response)
{
	int64_t wait_s = said_retry_after_s(response, world_wall_s(call->rest->host->world));

	if (!call->asked->repeatable) {
		call->unsure = true;
		return false;
	}
	if (++call->failures >= REST_TRIES_MAX) {
		return false;
	}
	return wait_for(call, wait_s >= 0 ? wait_s * 1000000
					  : rest_pause_us(call->rest, call->failures - 1));
}

/* A token may have expired before its time, another credential may have taken the place of ours. */
static bool again_with_new_token(struct rest_call *call)
{
	struct rest *rest = call->rest;

	if (call->renewed || call->asked->elsewhere) {
		return false;
	}
	if (!secrets_renew(rest) && !rest->token) {
		return false;
	}
	call->renewed = true;
	wipe_str(rest->token);
	rest->token = NULL;
	call->state = CALL_QUEUED;
	rest_pump(rest);
	return true;
}

static bool has_word(const struct http_response *response, const char *const *words)
{
	for (size_t i = 0; words && words[i]; i++) {
		if (strstr(response->body, words[i])) {
			return true;
		}
	}
	return false;
}

static bool says_invalid(const struct rest_api *api, const struct http_response *response)
{
	return response->status == 401 ||
	       (response->status == 403 && has_word(response, api->invalid));
}

/* Some vendors have other statuses for "too fast", and for "another change is under way". */
static bool says_later(const struct rest_api *api, const struct http_response *response)
{
	const int status = response->status;

	if (status != 400 && status != 403 && status != 409 && status != 423) {
		return status == 429;
	}
	return has_word(response, api->later);
}

static bool again(struct rest_call *call, const struct http_response *response)
{
	if (says_later(call->rest->api, response)) {
		return again_when_allowed(call, response);
	}
	if (response->status >= 500 || response->status == 408) {
		return again_after_5xx(call, response);
	}
	return says_invalid(call->rest->api, response) && again_with_new_token(call);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void on_http(void *arg, const struct err *err, const struct http_response *response)
{
	struct rest_call *call = arg;
	struct rest *rest = call->rest;
	struct err copy;

	call->http = NULL;
	rest->in_flight--;
	call->state = CALL_QUEUED;
	if (response) {
		log_debug("%s: %s: %d after %lld ms", rest->api->provider->name,
			  call->asked->method, response->status,
			  (long long)((rest_now_us(rest) - call->started_us) / 1000));
		if (!again(call, response)) {
			finish(call, NULL, response);
		}
		return;
	}
	copy = *err;
	said_mask(rest, copy.text);
	if (!again_after_failure(call, &copy)) {
		finish(call, &copy, NULL);
	}
}

/* What is sent besides what the step said; the headers' values are to be wiped. */
static enum err_code complete(struct rest_call *call, struct rest_request *request, struct err *err)
{
	struct rest *rest = call->rest;
	const struct asked *asked = call->asked;
	const struct strlist *headers = &asked->headers;

	*request = (struct rest_request){
		.method = asked->method,
		.url = asked->url,
		.body = asked->body,
		.body_len = asked->body_len,
		.now_s = world_wall_s(rest->host->world),
	};
	rest_request_header(request, "Accept", "%s",
			    rest->api->is_xml ? "application/xml" : "application/json");
	if (asked->body) {
		rest_request_header(request, "Content-Type", "%s", asked->type);
	}
	for (size_t i = 0; i + 1 < headers->count; i += 2) {
		rest_request_header(request, headers->item[i], "%s", headers->item[i + 1]);
	}
	if (asked->elsewhere) {
		return ERR_NONE;
	}
	if (rest->token && rest->token[0]) {
		rest_request_header(request, "Authorization", "Bearer %s", rest->token);
	}
	return rest->api->sign ? rest->api->sign(rest, request, err) : ERR_NONE;
}

static void wipe_headers(struct rest_request *request)
{
	for (size_t i = 0; i < request->header_count; i++) {
		wipe_str((char *)(uintptr_t)request->header[i].value);
	}
}

static void send_call(struct rest_call *call)
{
	struct rest *rest = call->rest;
	struct rest_request request;
	struct err err;

	if (complete(call, &request, &err) != ERR_NONE) {
		wipe_headers(&request);
		finish(call, &err, NULL);
		return;
	}
	call->state = CALL_SENT;
	call->started_us = rest_now_us(rest);
	rest->in_flight++;
	if (rest->api->gap_ms > 0) {
		rest->next_at_us = call->started_us + (int64_t)rest->api->gap_ms * 1000;
	}
	call->http =
		rest->host->world->ops->http_start(rest->host->world,
						   &(struct http_request){
							   .method = request.method,
							   .url = request.url,
							   .headers = request.header,
							   .header_count = request.header_count,
							   .body = request.body,
							   .body_len = request.body_len,
							   .max_body = REST_ANSWER_MAX,
							   .timeout_ms = REST_HTTP_MS,
							   .ca_file = rest->ca_file,
							   .proxy = rest->host->proxy,
							   .allow_http_loopback = true,
							   .allow_http_link_local =
								   call->asked->elsewhere,
							   .once = call->asked->once,
						   },
						   on_http, call);
	wipe_headers(&request);
}

/* ---- turns ---------------------------------------------------------------------------------- */

/* RFC 6749 s.5.2: 400 or 401. */
static bool is_refusal(const struct err *err)
{
	return err->code == ERR_DENIED || err->code == ERR_PROTOCOL;
}

static void on_token(void *arg, const struct walk_end *end)
{
	struct rest *rest = arg;
	struct err err;

	rest->token_walk = NULL;
	if (end->next == REST_FAILED && is_refusal(end->err) && !rest->token_again &&
	    secrets_renew(rest)) {
		rest->token_again = true;
		rest_pump(rest);
		return;
	}
	rest->token_again = false;
	if (end->next != REST_DONE) {
		calls_fail(rest, end->err);
	} else if (!rest->token) {
		err_set(&err, ERR_INTERNAL, rest->api->provider->name, "no token came of it");
		calls_fail(rest, &err);
	}
	rest_pump(rest);
}

static bool token_ready(struct rest *rest)
{
	const int64_t now_us = rest_now_us(rest);

	if (!rest->api->token || (rest->token && now_us < rest->token_until_us)) {
		return true;
	}
	if (!rest->token_walk) {
		struct rest_walk none = { .rest = rest };

		wipe_str(rest->token);
		rest->token = NULL;
		rest->token_walk =
			walk_start(rest, rest->api->token, &none, now_us + rest->timeout_ms * 1000);
		walk_then(rest->token_walk, on_token, rest);
	}
	return false;
}

static struct rest_call *next_call(struct rest *rest, bool may_sign)
{
	struct rest_call *call = rest->calls;

	while (call && (call->state != CALL_QUEUED || (!may_sign && !call->asked->elsewhere))) {
		call = call->next;
	}
	return call;
}

static bool has_queued(const struct rest *rest)
{
	for (const struct rest_call *call = rest->calls; call; call = call->next) {
		if (call->state == CALL_QUEUED && !call->asked->elsewhere) {
			return true;
		}
	}
	return false;
}

static void on_pump(void *arg)
{
	struct rest *rest = arg;
	const unsigned limit = rest->api->provider->in_flight_max;
	const unsigned slots = limit > 0 ? limit : REST_IN_FLIGHT;
	struct rest_call *call;
	int64_t wait_us;
	bool may_sign;

	rest->pump = NULL;
	may_sign = has_queued(rest) && secrets_ready(rest) && token_ready(rest);
	while (rest->in_flight < slots && (call = next_call(rest, may_sign))) {
		wait_us = rest->next_at_us - rest_now_us(rest);
		if (wait_us > 0) {
			world_timer_cancel(rest->host->world, rest->pump);
			rest->pump = world_timer_start(rest->host->world, wait_us, on_pump, rest);
			return;
		}
		send_call(call);
	}
}

/* One pump at a time; one that waits for the end of a pause is brought forward. */
void rest_pump(struct rest *rest)
{
	world_timer_cancel(rest->host->world, rest->pump);
	rest->pump = world_timer_start(rest->host->world, 0, on_pump, rest);
}

struct rest_call *call_start(struct rest *rest, const struct asked *asked, int64_t deadline_us,
			     call_done *done, void *arg)
{
	struct rest_call *call = xcalloc(1, sizeof(*call));

	call->rest = rest;
	call->asked = asked;
	call->deadline_us = deadline_us;
	call->done = done;
	call->arg = arg;
	if (rest->calls_last) {
		rest->calls_last->next = call;
	} else {
		rest->calls = call;
	}
	rest->calls_last = call;
	rest_pump(rest);
	return call;
}
