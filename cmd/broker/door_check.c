/*
 * door_check: a dry run. What a publish would judge is judged, the final owner name included, and
 * nothing is published.
 *
 *   POST /v1/check -> (the name is judged) -> ROUTING -> (the final owner is judged) -> answered
 */
#include "claim.h"

struct check {
	struct broker *broker;
	struct world_exchange *exchange;
	struct identity *who;
	struct era *era;
	struct route_call *routing;
	struct asked asked;
	char *view, *value;
	struct check *prev, *next;
};

struct verdict {
	const struct asked *asked;
	const char *view;
	const struct route *route; /* NULL: it was not found */
	enum policy_rule rule;
	const struct err *err; /* NULL: granted */
};

static void check_free(struct check *check)
{
	struct broker *broker = check->broker;

	route_cancel(check->routing);
	if (check->prev) {
		check->prev->next = check->next;
	} else {
		broker->checks = check->next;
	}
	if (check->next) {
		check->next->prev = check->prev;
	}
	broker->waiting--;
	era_drop(check->era);
	identity_free(check->who);
	free(check->view);
	free(check->value);
	free(check);
}

static void answer(struct broker *broker, struct world_exchange *exchange,
		   const struct identity *who, const struct verdict *verdict)
{
	const struct asked *asked = verdict->asked;
	const struct route *route = verdict->route;
	const char *owner = route ? route->owner : asked->owner[0] ? asked->owner : NULL;
	const char *name = asked->has_name ? asked->name : NULL;
	struct buf body = BUF_INIT(CLAIM_TEXT_MAX);

	json_put_open(&body, NULL, JSON_KIND_OBJECT);
	json_put_bool(&body, "granted", !verdict->err);
	json_put_str(&body, "name", name);
	json_put_str(&body, "owner", owner);
	json_put_str(&body, "zone", route ? route->zone : NULL);
	json_put_str(&body, "view", verdict->view);
	if (verdict->err) {
		err_put(&body, "error", verdict->rule, verdict->err);
	}
	json_put_close(&body, JSON_KIND_OBJECT);
	audit_write(broker, &(struct audit){
				    .door = "api",
				    .action = "check",
				    .who = who,
				    .name = name,
				    .owner = owner,
				    .view = verdict->view,
				    .verdict = !verdict->err                     ? "granted"
					       : verdict->rule == POLICY_GRANTED ? "failed"
										 : "refused",
				    .reason = !verdict->err ? NULL
					      : verdict->rule != POLICY_GRANTED
						      ? policy_rule_name(verdict->rule)
						      : err_code_name(verdict->err->code),
				    .text = verdict->err ? verdict->err->text : NULL,
			    });
	answer_buf(broker, exchange, 200, 0, &body);
}

static void on_route(void *arg, const struct err *err, const struct route *route)
{
	struct check *check = arg;
	const struct final final = {
		.who = check->who,
		.conf = check->era->generation->conf,
		.name = check->asked.has_name ? check->asked.name : NULL,
		.view = check->view,
		.value = check->value,
	};
	struct verdict verdict = { .asked = &check->asked, .view = check->view, .route = route };
	struct err refusal;

	check->routing = NULL;
	if (err) {
		verdict.err = err;
	} else {
		verdict.rule = claim_authorize(check->broker, &final, route, &refusal);
		verdict.err = verdict.rule == POLICY_GRANTED ? NULL : &refusal;
	}
	answer(check->broker, check->exchange, check->who, &verdict);
	check_free(check);
}

static void on_gone(void *arg)
{
	struct check *check = arg;

	check->broker->world->ops->exchange_end(check->exchange);
	check_free(check);
}

static void begin(struct visit *visit, const struct claim_request *request,
		  const struct asked *asked)
{
	struct broker *broker = visit->broker;
	struct check *check = xcalloc(1, sizeof(*check));
	const char *view = request->view;

	check->broker = broker;
	check->exchange = visit->exchange;
	check->who = identity_hold(visit->who);
	check->era = era_hold(visit->who->generation);
	check->asked = *asked;
	check->view = xstrdup(view);
	check->value = xstrdup(request->value);
	check->next = broker->checks;
	if (check->next) {
		check->next->prev = check;
	}
	broker->checks = check;
	broker->waiting++;
	check->routing =
		asked->is_final
			? route_owner_start(check->era->router, asked->owner, view, on_route, check)
			: route_start(check->era->router, asked->name, view, on_route, check);
	broker->world->ops->exchange_on_gone(visit->exchange, on_gone, check);
}

void api_check(struct visit *visit, const struct json *body)
{
	const char *view = json_str(body, "view");
	struct claim_request request = {
		.who = visit->who,
		.door = "api",
		.name = json_str(body, "name"),
		.owner = json_str(body, "owner"),
		.value = json_str(body, "value"),
		.view = view ? view : visit->who->grant->views.item[0],
	};
	enum policy_rule rule;
	struct asked asked;
	struct err err = { .code = ERR_NONE };

	if (api_check_fields(body, &err) != ERR_NONE || (!request.name) == (!request.owner)) {
		if (err.code == ERR_NONE) {
			err_set(&err, ERR_USAGE, "",
				"write {\"name\": \"www.example.com\"}, or the owner name");
		}
		audit_nonsense(visit, "api", "check", &err);
		answer_err(visit->broker, visit->exchange, POLICY_GRANTED, &err);
		return;
	}
	if (claim_read_names(&request, request.view, &asked, &err) != ERR_NONE ||
	    claim_check_room(visit->broker, &err) != ERR_NONE) {
		answer_err(visit->broker, visit->exchange, POLICY_GRANTED, &err);
		return;
	}
	rule = claim_judge_asked(&request, &asked, request.view, &err);
	if (rule != POLICY_GRANTED) {
		answer(visit->broker, visit->exchange, visit->who,
		       &(struct verdict){
			       .asked = &asked, .view = request.view, .rule = rule, .err = &err });
		return;
	}
	begin(visit, &request, &asked);
}

void checks_cancel_all(struct broker *broker)
{
	while (broker->checks) {
		check_free(broker->checks);
	}
}
