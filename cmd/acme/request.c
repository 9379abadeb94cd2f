/*
 * request: one exchange with the CA, signed (RFC 8555 s.6.2) or plain.
 *
 *              slot and nonce                answer
 *   QUEUED ------------------------> SENT ------------> (told, gone)
 *     ^  \                            | |
 *     |   \ no nonce to be had        | | network error, 5xx
 *     |    +------> FAILING           | v
 *     +-------------------------------+ PAUSED
 *     |           badNonce               |
 *     +----------------------------------+
 *                 its time came
 *
 * At most ACME_IN_FLIGHT_MAX are SENT. Bounds: ACME_BAD_NONCE_MAX returns for
 * badNonce, REQUEST_REPEAT_MAX for failures, REQUEST_TIMEOUT_MS for each try.
 */
#include "dns01/acme.h"

#include "acme_internal.h"

enum request_state {
	REQUEST_QUEUED,  /* waits for a slot and, if signed, for a nonce */
	REQUEST_SENT,    /* the world works on it */
	REQUEST_PAUSED,  /* waits for its timer, then is queued again */
	REQUEST_FAILING, /* no nonce came; its owner hears that from a timer */
	REQUEST_STATE_COUNT
};

static const char *const state_names[] = {
	[REQUEST_QUEUED] = "queued",
	[REQUEST_SENT] = "sent",
	[REQUEST_PAUSED] = "paused",
	[REQUEST_FAILING] = "failing",
};
static_assert(ARRAY_LEN(state_names) == REQUEST_STATE_COUNT, "a name for each state");

struct acme_request {
	struct acme *acme;
	struct acme_request_args args;
	enum request_state state;
	char *url;
	char *payload;
	char *subject;
	char *nonce; /* NULL: one from the pool will do */
	char *body;  /* while SENT */
	struct world_http *http;
	struct world_timer *timer;
	struct err failure; /* while FAILING */
	unsigned bad_nonces;
	unsigned repeats;
	TAILQ_ENTRY(acme_request) link;
};

static void set_state(struct acme_request *request, enum request_state state)
{
	log_debug("%s: %s: %s -> %s", request->subject, request->args.task,
		  state_names[request->state], state_names[state]);
	if (request->state == REQUEST_SENT) {
		request->acme->in_flight--;
	}
	if (state == REQUEST_SENT) {
		request->acme->in_flight++;
	}
	request->state = state;
}

static bool is_signed(const struct acme_request *request)
{
	return !request->args.method;
}

static void request_free(struct acme_request *request)
{
	struct acme *acme = request->acme;

	TAILQ_REMOVE(&acme->requests, request, link);
	if (request->state == REQUEST_SENT) {
		acme->in_flight--;
	}
	if (request->http) {
		acme->world->ops->http_cancel(request->http);
	}
	world_timer_cancel(acme->world, request->timer);
	free(request->url);
	free(request->payload);
	free(request->subject);
	free(request->nonce);
	free(request->body);
	free(request);
}

int64_t acme_backoff_ms(unsigned tries, int64_t retry_after_s)
{
	int64_t ms = REQUEST_BACKOFF_FIRST_MS;

	for (unsigned i = 1; i < tries && ms < REQUEST_BACKOFF_MAX_MS; i++) {
		ms *= 2;
	}
	if (retry_after_s > REQUEST_WAIT_MAX_S) {
		retry_after_s = REQUEST_WAIT_MAX_S;
	}
	/* -1: none was named */
	return retry_after_s > 0 && retry_after_s * 1000 > ms ? retry_after_s * 1000 : ms;
}

bool acme_ambiguous(const struct err *err, const struct acme_reply *reply)
{
	if (!reply->http) {
		return err->code == ERR_NETWORK || err->code == ERR_TIMEOUT;
	}
	return reply->http->status >= 500 && err->code != ERR_LIMIT;
}

/* ---- answers ---- */

/* The request is over: its slot is another's, then its owner hears of it. */
static void conclude(struct acme_request *request, const struct err *err,
		     const struct acme_reply *reply)
{
	struct acme *acme = request->acme;
	acme_request_done *done = request->args.done;
	void *arg = request->args.arg;

	request_free(request);
	acme_requests_pump(acme);
	done(arg, err, reply);
}

/* RFC 8555 s.6.5: the error brings the nonce to go on with. */
static bool retry_bad_nonce(struct acme_request *request, struct err *err, char **nonce)
{
	if (!acme_problem_is(err, "badNonce")) {
		return false;
	}
	if (request->bad_nonces == ACME_BAD_NONCE_MAX) {
		struct err refusal = *err;

		err_set(err, ERR_PROTOCOL, request->subject,
			"the CA refused to %s: it rejected %d nonces one after the other, each of "
			"them its own",
			request->args.task, ACME_BAD_NONCE_MAX + 1);
		memcpy(err->problem, refusal.problem, sizeof(err->problem));
		return false;
	}
	request->bad_nonces++;
	request->nonce = *nonce;
	*nonce = NULL;
	set_state(request, REQUEST_QUEUED);
	acme_requests_pump(request->acme);
	return true;
}

static void on_pause_end(void *arg)
{
	struct acme_request *request = arg;

	request->timer = NULL;
	set_state(request, REQUEST_QUEUED);
	acme_requests_pump(request->acme);
}

static bool retry_failure(struct acme_request *request, const struct err *err,
			  const struct acme_reply *reply)
{
	int64_t pause_ms;

	if (!request->args.repeatable || request->repeats == REQUEST_REPEAT_MAX ||
	    !acme_ambiguous(err, reply) || reply->retry_after_s > REQUEST_WAIT_MAX_S) {
		return false;
	}
	request->repeats++;
	pause_ms = acme_backoff_ms(request->repeats, reply->retry_after_s);
	log_info("%s: %s; again in %d ms", request->subject, err->text, (int)pause_ms);
	set_state(request, REQUEST_PAUSED);
	request->timer =
		world_timer_start(request->acme->world, pause_ms * 1000, on_pause_end, request);
	acme_requests_pump(request->acme);
	return true;
}

/* Fills failure, or *json of a success. */
static void judge(const struct acme_request *request, const struct err *err,
		  const struct acme_reply *reply, struct json **json, struct err *failure)
{
	const struct http_response *response = reply->http;
	struct err why = { 0 };
	bool has_json = !request->args.text && !request->args.silent &&
			(is_signed(request) || strcmp(request->args.method, "HEAD") != 0);

	if (err) {
		*failure = *err;
		err_subject(failure, "%s", request->subject);
		return;
	}
	if (response->status < 200 || response->status > 299) {
		acme_problem_of(reply, request->args.task, request->subject, failure);
		return;
	}
	if (has_json && json_parse(response->body ? response->body : "", response->body_len, json,
				   &why) != ERR_NONE) {
		err_set(failure, ERR_PROTOCOL, request->subject,
			"asked to %s, the CA sent what is not JSON: %s", request->args.task,
			why.text);
	}
}

static void on_answer(void *arg, const struct err *err, const struct http_response *response)
{
	struct acme_request *request = arg;
	struct acme *acme = request->acme;
	struct err failure = { 0 };
	struct json *json = NULL;
	struct acme_reply reply = { .http = response, .retry_after_s = -1 };
	char *nonce = acme_nonce_of(response);

	request->http = NULL;
	free(request->body);
	request->body = NULL;
	reply.at_s = world_wall_s(acme->world);
	if (response) {
		reply.retry_after_s = acme_retry_after_s(response, reply.at_s);
	}
	judge(request, err, &reply, &json, &failure);
	reply.json = json;
	reply.repeated = request->repeats > 0;
	if (failure.code != ERR_NONE) {
		failure.retry_after_s = reply.retry_after_s > 0 ? reply.retry_after_s : 0;
		if (retry_bad_nonce(request, &failure, &nonce)) {
			goto out;
		}
	}
	if (nonce) {
		acme_nonce_put(acme, nonce);
		nonce = NULL;
	}
	if (failure.code != ERR_NONE && retry_failure(request, &failure, &reply)) {
		goto out;
	}
	conclude(request, failure.code == ERR_NONE ? NULL : &failure, &reply);
out:
	free(nonce);
	json_free(json);
}

/* ---- sending ---- */

/* RFC 8555 s.6.2: exactly alg, nonce, url, and jwk or kid. Gives. */
static char *sign(const struct acme_request *request)
{
	const struct acme *acme = request->acme;
	const struct key *key = request->args.key ? request->args.key : acme->key;
	struct json *header = json_object();
	struct json *jwk = NULL;
	char *jwk_text = NULL;
	char *header_text;
	char *body = NULL;
	struct err err = { 0 };

	json_set_str(header, "alg", key_jws_alg(key));
	json_set_str(header, "nonce", request->nonce);
	json_set_str(header, "url", request->url);
	if (request->args.by_key) {
		jwk_text = key_jwk(key);
		if (json_parse(jwk_text, strlen(jwk_text), &jwk, &err) == ERR_NONE) {
			json_set(header, "jwk", jwk);
		}
	} else {
		json_set_str(header, "kid", acme->account_url);
	}
	header_text = json_dump(header);
	body = jws_sign(key, header_text, request->payload);
	free(header_text);
	free(jwk_text);
	json_free(header);
	return body;
}

static void request_send(struct acme_request *request)
{
	struct acme *acme = request->acme;
	/* RFC 8555 s.6.2: without parameters; Boulder compares the string. */
	static const struct http_header headers[] = {
		{ "Content-Type", "application/jose+json" },
		{ "Accept", "application/pem-certificate-chain" },
	};
	struct http_request http = {
		.method = request->args.method,
		.url = request->url,
		.max_body = request->args.text ? CHAIN_PEM_MAX : JSON_TEXT_MAX,
		.timeout_ms = REQUEST_TIMEOUT_MS,
		.ca_file = acme->ca_file,
		.proxy = acme->proxy,
	};

	if (is_signed(request)) {
		request->body = sign(request);
		free(request->nonce);
		request->nonce = NULL;
		http.method = "POST";
		http.headers = headers;
		http.header_count = request->args.text ? 2 : 1;
		http.body = request->body;
		http.body_len = strlen(request->body);
	}
	set_state(request, REQUEST_SENT);
	acme->request_count++;
	request->http = acme->world->ops->http_start(acme->world, &http, on_answer, request);
}

void acme_requests_pump(struct acme *acme)
{
	struct acme_request *request;
	size_t sent = 0;
	size_t missing = 0;
	size_t room;

	for (request = TAILQ_FIRST(&acme->requests); request; request = TAILQ_NEXT(request, link)) {
		if (acme->in_flight == ACME_IN_FLIGHT_MAX) {
			return;
		}
		if (request->state == REQUEST_QUEUED && is_signed(request) && !request->nonce) {
			request->nonce = acme_nonce_take(acme);
			missing += request->nonce ? 0 : 1;
		}
		if (request->state == REQUEST_QUEUED && (!is_signed(request) || request->nonce)) {
			request_send(request);
		}
		sent += request->state == REQUEST_SENT && is_signed(request) ? 1 : 0;
	}
	/* Those on their way bring a nonce each, for those that wait for a slot. */
	room = ACME_IN_FLIGHT_MAX - sent;
	if (missing > 0 && !acme->nonces_failed) {
		acme_nonces_want(acme, missing < room ? missing : room);
	}
}

void acme_request_start(struct acme *acme, const struct acme_request_args *args)
{
	struct acme_request *request = xcalloc(1, sizeof(*request));

	request->acme = acme;
	request->args = *args;
	request->url = xstrdup(args->url);
	request->payload = xstrdup(args->payload);
	request->subject = xstrdup(args->subject ? args->subject : acme->host);
	TAILQ_INSERT_TAIL(&acme->requests, request, link);
	acme_requests_pump(acme);
}

void acme_requests_cancel(struct acme *acme, const struct acme_call *call)
{
	struct acme_request *request = TAILQ_FIRST(&acme->requests);
	bool any = false;

	while (request) {
		struct acme_request *next = TAILQ_NEXT(request, link);

		if (!call || request->args.call == call) {
			request_free(request);
			any = true;
		}
		request = next;
	}
	if (any && call) {
		acme_requests_pump(acme);
	}
}

size_t acme_requests_drop_unsent(struct acme *acme, const struct acme_call *call)
{
	struct acme_request *request = TAILQ_FIRST(&acme->requests);
	size_t sent = 0;

	while (request) {
		struct acme_request *next = TAILQ_NEXT(request, link);

		if (request->args.call == call && request->state == REQUEST_SENT) {
			sent++;
		} else if (request->args.call == call) {
			request_free(request);
		}
		request = next;
	}
	return sent;
}

static void on_no_nonce(void *arg)
{
	struct acme_request *request = arg;
	struct err failure = request->failure;
	const struct acme_reply reply = { .retry_after_s = -1, .repeated = request->repeats > 0 };

	request->timer = NULL;
	conclude(request, &failure, &reply);
}

void acme_requests_without_nonce(struct acme *acme, const struct err *err)
{
	struct acme_request *request;

	for (request = TAILQ_FIRST(&acme->requests); request; request = TAILQ_NEXT(request, link)) {
		if (request->state != REQUEST_QUEUED || !is_signed(request) || request->nonce) {
			continue;
		}
		request->failure = *err;
		set_state(request, REQUEST_FAILING);
		request->timer = world_timer_start(acme->world, 0, on_no_nonce, request);
	}
}
