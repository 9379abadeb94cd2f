/* doh: DNS over HTTPS (RFC 8484), for offices that block port 53. */
#include "source.h"

#include <strings.h>

struct doh_call {
	struct world *world;
	struct world_http *http;
	struct world_timer *timer; /* of a failure inside start */
	struct msg_expect expect;
	char *url;
	dns_ask_done *done;
	void *arg;
};

static const char media_type[] = "application/dns-message";

static void doh_finish(struct doh_call *call, const struct err *err, const struct dns_msg *msg)
{
	dns_ask_done *done = call->done;
	void *arg = call->arg;

	free(call->url);
	free(call);
	done(arg, err, msg);
}

static bool is_dns_message(const struct http_response *response)
{
	size_t len = sizeof(media_type) - 1;

	for (size_t i = 0; i < response->header_count; i++) {
		const struct http_header *header = &response->headers[i];

		if (strcmp(header->name, "content-type") == 0) {
			/* RFC 9110 s.8.3.1: case does not count, parameters may follow. */
			return strncasecmp(header->value, media_type, len) == 0 &&
			       strchr("; \t", header->value[len]);
		}
	}
	return false;
}

static enum err_code read_response(const struct doh_call *call,
				   const struct http_response *response, struct dns_msg **msg,
				   struct err *err)
{
	const uint8_t *wire = (const uint8_t *)response->body;

	if (response->status != 200) {
		return err_set(err, ERR_PROTOCOL, call->url, "the DoH server answered HTTP %d",
			       response->status);
	}
	if (!is_dns_message(response)) {
		return err_set(err, ERR_PROTOCOL, call->url,
			       "the answer is not of type %s; is this a DoH URL (RFC 8484)?",
			       media_type);
	}
	if (!msg_is_reply(wire, response->body_len, &call->expect)) {
		return err_set(err, ERR_PROTOCOL, call->url, "the reply is to another question");
	}
	return msg_parse(wire, response->body_len, msg, err);
}

static void on_http(void *arg, const struct err *err, const struct http_response *response)
{
	struct doh_call *call = arg;
	struct dns_msg *msg = NULL;
	struct err own = { .code = ERR_NONE };

	call->http = NULL;
	if (err) {
		own = *err;
	} else if (read_response(call, response, &msg, &own) == ERR_NONE) {
		doh_finish(call, NULL, msg);
		dns_msg_free(msg);
		return;
	}
	(void)err_subject(&own, "%s", call->url);
	doh_finish(call, &own, NULL);
}

static void on_bad_name(void *arg)
{
	struct doh_call *call = arg;
	struct err err;

	err_set(&err, ERR_USAGE, call->url, "what is asked for is not a domain name");
	doh_finish(call, &err, NULL);
}

struct doh_call *doh_start(struct world *world, const struct doh_ask *ask, dns_ask_done *done,
			   void *arg)
{
	static const struct http_header headers[] = {
		{ "Content-Type", media_type },
		{ "Accept", media_type },
	};
	struct doh_call *call = xcalloc(1, sizeof(*call));
	struct buf body = BUF_INIT(WIRE_MSG_MAX);
	struct http_request request = {
		.method = "POST",
		.url = ask->url,
		.headers = headers,
		.header_count = ARRAY_LEN(headers),
		.max_body = WIRE_MSG_MAX,
		.timeout_ms = ask->timeout_ms,
		.ca_file = ask->ca_file,
		.proxy = ask->proxy,
	};

	call->world = world;
	call->done = done;
	call->arg = arg;
	call->url = xstrdup(ask->url);
	call->expect.opcode = WIRE_OPCODE_QUERY;
	call->expect.type = ask->type;
	if (!wire_name_from_text(ask->name, &call->expect.name)) {
		call->timer = world_timer_start(world, 0, on_bad_name, call);
		return call;
	}
	/* RFC 8484 s.4.1: ID 0, so that HTTP caches see equal questions. */
	msg_build_query(&body, &call->expect.name, ask->type, true);
	request.body = body.data;
	request.body_len = body.len;
	call->http = world->ops->http_start(world, &request, on_http, call);
	buf_clear(&body);
	return call;
}

void doh_cancel(struct doh_call *call)
{
	if (!call) {
		return;
	}
	if (call->http) {
		call->world->ops->http_cancel(call->http);
	}
	world_timer_cancel(call->world, call->timer);
	free(call->url);
	free(call);
}
