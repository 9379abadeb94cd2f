/* single: a request for one value that waits for it, as httpreq and acme-dns have them. */
#include "internal.h"

struct single {
	struct broker *broker;
	struct world_exchange *exchange;
	struct claim *claim; /* NULL once it is decided */
	char id[CLAIM_ID_LEN + 1];
	struct claim_watcher watcher;
	struct world_timer *patience;
	struct world_timer *answer_due;
	struct json *echo;
	int status;
	int64_t retry_after_s; /* 0: not said */
	char *text;            /* of a failure */
	struct single *prev, *next;
};

static void answer_error_later(struct broker *broker, struct world_exchange *exchange, int status,
			       int64_t retry_after_s, const char *text)
{
	struct buf body = BUF_INIT(CLAIM_TEXT_MAX);

	json_put_open(&body, NULL, JSON_KIND_OBJECT);
	json_put_str(&body, "error", text);
	json_put_close(&body, JSON_KIND_OBJECT);
	answer_buf(broker, exchange, status, retry_after_s, &body);
}

void answer_error_text(struct broker *broker, struct world_exchange *exchange, int status,
		       const char *text)
{
	answer_error_later(broker, exchange, status, 0, text);
}

static void single_free(struct single *single)
{
	struct broker *broker = single->broker;

	if (single->claim) {
		claim_unwatch(single->claim, &single->watcher);
	}
	world_timer_cancel(broker->world, single->patience);
	world_timer_cancel(broker->world, single->answer_due);
	if (single->prev) {
		single->prev->next = single->next;
	} else {
		broker->singles = single->next;
	}
	if (single->next) {
		single->next->prev = single->prev;
	}
	json_free(single->echo);
	free(single->text);
	free(single);
}

static void on_answer_due(void *arg)
{
	struct single *single = arg;
	struct broker *broker = single->broker;
	struct world_exchange *exchange = single->exchange;
	struct json *echo = single->echo;
	char *text = single->text;
	int status = single->status;
	int64_t retry_after_s = single->retry_after_s;

	single->answer_due = NULL;
	single->echo = NULL;
	single->text = NULL;
	single_free(single);
	if (text) {
		answer_error_later(broker, exchange, status, retry_after_s, text);
		json_free(echo);
	} else {
		answer_json(broker, exchange, status, echo);
	}
	free(text);
}

/* From the loop: the claim may still be telling others. */
static void decide(struct single *single, int status, const char *text)
{
	if (single->answer_due) {
		return;
	}
	claim_unwatch(single->claim, &single->watcher);
	single->claim = NULL;
	single->status = status;
	single->text = xstrdup(text);
	single->answer_due = world_timer_start(single->broker->world, 0, on_answer_due, single);
}

static void on_claim(void *arg, const struct claim *claim)
{
	struct single *single = arg;
	char *sentence;

	if (claim->state == CLAIM_VISIBLE) {
		decide(single, 200, NULL);
	} else if (claim->state == CLAIM_FAILED) {
		sentence = err_format(claim->err);
		single->retry_after_s = claim->err->retry_after_s;
		decide(single, status_of_err(claim->rule, claim->err), sentence);
		free(sentence);
	} else if (claim->state == CLAIM_LEAVING) {
		decide(single, 409, "the value was removed, or asked for again, meanwhile");
	}
}

static void on_patience_over(void *arg)
{
	struct single *single = arg;
	struct claim *claim = single->claim;
	char *text;

	single->patience = NULL;
	if (!claim) {
		return;
	}
	text = xasprintf("%s: the value is not visible on every name server in time; it was "
			 "withdrawn (the client's `wait` is how long it may take)",
			 claim->owner ? claim->owner : claim->name);
	decide(single, 504, text);
	free(text);
	claim_leave(claim);
}

static void on_gone(void *arg)
{
	struct single *single = arg;
	struct broker *broker = single->broker;
	struct world_exchange *exchange = single->exchange;
	/* Also one that is visible: nobody was told. */
	struct claim *claim = claim_find(broker, single->id);

	single_free(single);
	broker->world->ops->exchange_end(exchange);
	if (claim) {
		claim_leave(claim);
	}
}

void single_begin(struct visit *visit, const struct claim_request *request, struct json *echo)
{
	struct broker *broker = visit->broker;
	struct claim_request asked = *request;
	enum policy_rule rule = POLICY_GRANTED;
	struct single *single;
	struct claim *claim;
	struct err err;

	asked.rule = &rule;
	asked.who = identity_hold(visit->who);
	claim = claim_open(broker, &asked, &err);
	if (!claim) {
		char *sentence = err_format(&err);

		answer_error_later(broker, visit->exchange, status_of_err(rule, &err),
				   err.retry_after_s, sentence);
		free(sentence);
		json_free(echo);
		return;
	}
	single = xcalloc(1, sizeof(*single));
	single->broker = broker;
	single->exchange = visit->exchange;
	single->claim = claim;
	snprintf(single->id, sizeof(single->id), "%s", claim->id);
	single->echo = echo;
	single->next = broker->singles;
	if (single->next) {
		single->next->prev = single;
	}
	broker->singles = single;
	single->watcher = (struct claim_watcher){ .changed = on_claim, .arg = single };
	claim_watch(claim, &single->watcher);
	single->patience = world_timer_start(broker->world, visit->who->grant->wait_ms * 1000,
					     on_patience_over, single);
	broker->world->ops->exchange_on_gone(visit->exchange, on_gone, single);
}

void singles_cancel_all(struct broker *broker)
{
	while (broker->singles) {
		single_free(broker->singles);
	}
}
