/* http: what the doors on HTTP share: who asks, what is answered, and which door it is. */
#include "claim.h"

const char *visit_header(const struct visit *visit, const char *name)
{
	for (size_t i = 0; i < visit->request->header_count; i++) {
		if (strcmp(visit->request->headers[i].name, name) == 0) {
			return visit->request->headers[i].value;
		}
	}
	return NULL;
}

/* ---- answers ------------------------------------------------------------------------- */

void answer_text(struct broker *broker, struct world_exchange *exchange, int status,
		 const char *type, const char *text)
{
	struct http_header headers[] = {
		{ "Content-Type", type },
		{ "Cache-Control", "no-store" },
	};

	broker->world->ops->exchange_reply(exchange, &(struct http_answer_out){
							     .status = status,
							     .headers = headers,
							     .header_count = ARRAY_LEN(headers),
							     .body = text,
							     .body_len = strlen(text),
						     });
}

void answer_json(struct broker *broker, struct world_exchange *exchange, int status,
		 struct json *body)
{
	char *text = json_dump(body);
	char *line = xasprintf("%s\n", text);

	answer_text(broker, exchange, status, "application/json", line);
	free(line);
	free(text);
	json_free(body);
}

int status_of_err(enum policy_rule rule, const struct err *err)
{
	if (rule != POLICY_GRANTED) {
		return 403;
	}
	switch (err->code) {
	case ERR_USAGE:
	case ERR_PROTOCOL:
		return 400;
	case ERR_NOT_FOUND:
		return 404;
	case ERR_LIMIT:
		return 429;
	case ERR_IO: /* a full disk, most often: nothing is published that cannot be journalled */
	case ERR_BUSY:
	case ERR_CANCELED:
		return 503;
	case ERR_TIMEOUT:
		return 504;
	case ERR_NETWORK:
	case ERR_DNS:
	case ERR_DENIED: /* by the DNS server: our own refusals have a rule */
		return 502;
	default:
		return 500;
	}
}

void answer_buf(struct broker *broker, struct world_exchange *exchange, int status,
		int64_t retry_after_s, struct buf *body)
{
	char retry[24];
	struct http_header headers[] = {
		{ "Content-Type", "application/json" },
		{ "Cache-Control", "no-store" },
		{ "Retry-After", retry },
	};

	buf_add(body, "\n", 1);
	snprintf(retry, sizeof(retry), "%lld", (long long)retry_after_s);
	broker->world->ops->exchange_reply(exchange,
					   &(struct http_answer_out){
						   .status = status,
						   .headers = headers,
						   .header_count = ARRAY_LEN(headers) -
								   (retry_after_s > 0 ? 0 : 1),
						   .body = buf_str(body),
						   .body_len = body->len,
					   });
	buf_clear(body);
}

static void answer_err_of(struct broker *broker, struct world_exchange *exchange, int status,
			  enum policy_rule rule, const struct err *err)
{
	struct buf body = BUF_INIT(CLAIM_TEXT_MAX);

	json_put_open(&body, NULL, JSON_KIND_OBJECT);
	err_put(&body, "error", rule, err);
	json_put_close(&body, JSON_KIND_OBJECT);
	answer_buf(broker, exchange, status, err->retry_after_s, &body);
}

void answer_err(struct broker *broker, struct world_exchange *exchange, enum policy_rule rule,
		const struct err *err)
{
	answer_err_of(broker, exchange, status_of_err(rule, err), rule, err);
}

void answer_err_as(struct broker *broker, struct world_exchange *exchange, int status,
		   const struct err *err)
{
	answer_err_of(broker, exchange, status, POLICY_GRANTED, err);
}

/* ---- who asks --------------------------------------------------------------------------- */

/* All lines of X-Forwarded-For as one list (RFC 9110 s.5.3): some proxies write a line of their own
 * behind what the client made up. Gives; NULL: none. */
static char *forwarded_of(const struct visit *visit)
{
	struct buf list = BUF_INIT(HTTP_INCOMING_HEAD_MAX);

	for (size_t i = 0; i < visit->request->header_count; i++) {
		const struct http_header *header = &visit->request->headers[i];

		if (strcmp(header->name, "x-forwarded-for") == 0) {
			buf_addf(&list, "%s%s", list.len > 0 ? "," : "", header->value);
		}
	}
	if (list.len > 0) {
		return buf_detach(&list);
	}
	buf_clear(&list); /* an empty header */
	return NULL;
}

static bool identify_visit(struct visit *visit, bool accounts, struct err *err)
{
	char *forwarded = forwarded_of(visit);
	bool known;
	struct proof proof = {
		.peer = visit->request->peer,
		.authorization = visit_header(visit, "authorization"),
		.forwarded = forwarded,
		.trusted_proxies = &visit->listener->trusted_proxies,
		.user = accounts ? visit_header(visit, "x-api-user") : NULL,
		.password = accounts ? visit_header(visit, "x-api-key") : NULL,
	};

	known = visit->who || identify(visit->broker, &proof, &visit->who, err) == ERR_NONE;
	free(forwarded);
	return known;
}

bool visit_identify(struct visit *visit, struct err *err)
{
	return identify_visit(visit, false, err);
}

bool visit_identify_account(struct visit *visit, struct err *err)
{
	return identify_visit(visit, true, err);
}

void audit_unknown(const struct visit *visit, const char *door, const struct err *err)
{
	char from[ADDR_TEXT_MAX];
	struct addr addr = visit->request->peer->addr;

	if (addr.len > 0) {
		addr_set_port(&addr, 0);
		addr_format(from, &addr, 0);
	} else {
		snprintf(from, sizeof(from), "uid %u", (unsigned)visit->request->peer->uid);
	}
	metrics_count(visit->broker, door, OUTCOME_REFUSED);
	audit_write(visit->broker, &(struct audit){
					   .door = door,
					   .action = "identify",
					   .client = err->subject[0] ? err->subject : NULL,
					   .from = from,
					   .verdict = "refused",
					   .reason = "unknown",
					   .text = err->text,
				   });
}

void audit_nonsense(const struct visit *visit, const char *door, const char *action,
		    const struct err *err)
{
	audit_write(visit->broker, &(struct audit){
					   .door = door,
					   .action = action,
					   .who = visit->who,
					   .verdict = "refused",
					   .reason = err_code_name(err->code),
					   .text = err->text,
				   });
}

/* ---- which door ----------------------------------------------------------------- */

static bool door_metrics(struct visit *visit)
{
	char *text;

	if (strcmp(visit->request->path, "/metrics") != 0) {
		return false;
	}
	text = metrics_text(visit->broker);
	answer_text(visit->broker, visit->exchange, 200, "text/plain; version=0.0.4", text);
	free(text);
	return true;
}

static const struct {
	const char *name;
	bool (*serve)(struct visit *visit);
} doors[] = {
	{ "api", door_api },
	{ "httpreq", door_httpreq },
	{ "acmedns", door_acmedns },
	{ "metrics", door_metrics },
};

static bool serve_health(struct visit *visit)
{
	const struct broker *broker = visit->broker;
	bool well = broker->ready && !broker->stopping;

	if (strcmp(visit->request->path, "/healthz") != 0) {
		return false;
	}
	answer_text(visit->broker, visit->exchange, well ? 200 : 503, "text/plain",
		    well               ? "ok\n"
		    : broker->stopping ? "stopping\n"
				       : "starting\n");
	return true;
}

/* Before the journal is read nobody holds anything: what is to be removed would not be found. */
static bool serve_starting(struct visit *visit)
{
	struct err err;

	if (visit->broker->ready) {
		return false;
	}
	err_set(&err, ERR_BUSY, "", "the broker is starting; ask again");
	err.retry_after_s = RETRY_SOON_S;
	answer_err(visit->broker, visit->exchange, POLICY_GRANTED, &err);
	return true;
}

void broker_serve_http(void *arg, struct world_exchange *exchange,
		       const struct http_incoming *request)
{
	struct listener *listener = arg;
	struct visit visit = {
		.broker = listener->broker,
		.exchange = exchange,
		.request = request,
		.listener = listener->settings,
	};
	char *open_here;
	struct err err;
	bool served = serve_health(&visit) || serve_starting(&visit);

	for (size_t i = 0; i < ARRAY_LEN(doors) && !served; i++) {
		served = strlist_has(&listener->settings->doors, doors[i].name) &&
			 doors[i].serve(&visit);
	}
	identity_free(visit.who);
	if (!served) {
		open_here = strlist_join(&listener->settings->doors, ", ");
		err_set(&err, ERR_NOT_FOUND, "", "there is no such path; the doors open here: %s",
			open_here);
		answer_err(listener->broker, exchange, POLICY_GRANTED, &err);
		free(open_here);
	}
}
