/*
 * finalize: the certificate request of an order (RFC 8555 s.7.4).
 *
 *               answer                    order loaded: still ready
 *   SENDING ------------> (told, gone)   +--------------------------+
 *     ^  \                               |                          |
 *     |   \ orderNotReady, or no answer  |                          |
 *     |    +------> RESTING ------> LOADING ------> (told, gone)    |
 *     |              a moment                 it was taken, or lost |
 *     +-------------------------------------------------------------+
 *
 * A request whose answer was lost may have been taken, and a second one would
 * be refused, so the order is asked first. At most FINALIZE_TRIES_MAX are sent.
 */
#include "dns01/acme.h"

#include "acme_internal.h"

#define FINALIZE_TRIES_MAX 4

enum finalize_state {
	FINALIZE_SENDING, /* the request is with the CA */
	FINALIZE_RESTING, /* it failed; a moment passes before the order is asked */
	FINALIZE_LOADING, /* what became of the order? */
	FINALIZE_STATE_COUNT
};

static const char *const state_names[] = {
	[FINALIZE_SENDING] = "sending",
	[FINALIZE_RESTING] = "resting",
	[FINALIZE_LOADING] = "loading",
};
static_assert(ARRAY_LEN(state_names) == FINALIZE_STATE_COUNT, "a name for each state");

struct finalize_call {
	struct acme_call call;
	struct acme_order *order;
	enum finalize_state state;
	char *payload;
	unsigned tries;
	struct acme_call *loading;
	struct err failure; /* of the latest try */
};

static void set_state(struct finalize_call *self, enum finalize_state state)
{
	log_debug("finalize %s: %s -> %s", self->order->url, state_names[self->state],
		  state_names[state]);
	self->state = state;
}

static void finalize_release(struct acme_call *call)
{
	struct finalize_call *self = (struct finalize_call *)call;

	acme_call_cancel(self->loading);
	free(self->payload);
}

static void send_request(struct finalize_call *self);

/* The order was read after a try; failure is why it had to be. */
static void judge_order(struct finalize_call *self, const struct err *failure)
{
	struct err err = { 0 };

	switch (self->order->status) {
	case ACME_VALID:
	case ACME_PROCESSING:
		break;
	case ACME_INVALID:
		acme_order_failure(self->order, &err);
		break;
	default:
		err = *failure;
		break;
	}
	acme_call_finish(&self->call, &err);
}

static void on_loaded(void *arg, const struct err *err)
{
	struct finalize_call *self = arg;

	self->loading = NULL;
	if (err) {
		log_debug("order %s: %s", self->order->url, err->text);
		acme_call_finish(&self->call, &self->failure);
	} else if (self->order->status == ACME_READY && self->tries < FINALIZE_TRIES_MAX) {
		send_request(self);
	} else {
		judge_order(self, &self->failure);
	}
}

static void on_rested(void *arg)
{
	struct finalize_call *self = arg;

	self->call.timer = NULL;
	set_state(self, FINALIZE_LOADING);
	self->loading = acme_order_load_start(self->call.acme, self->order, on_loaded, self);
}

static void take(struct finalize_call *self, const struct acme_reply *reply)
{
	struct acme_order *order = self->order;
	struct err err = { 0 };

	if (acme_order_take(self->call.acme, order, reply, &err) != ERR_NONE) {
		acme_call_finish(&self->call, &err);
		return;
	}
	/* It was accepted, so it is ready no more, whatever an older copy says. */
	if (order->status == ACME_READY) {
		order->status = ACME_PROCESSING;
	}
	err_set(&err, ERR_PROTOCOL, self->call.acme->host,
		"the CA accepted the certificate request of an order that it calls %s",
		acme_status_name(order->status));
	judge_order(self, &err);
}

static void on_finalized(void *arg, const struct err *err, const struct acme_reply *reply)
{
	struct finalize_call *self = arg;
	struct acme *acme = self->call.acme;
	bool ask = err && (acme_problem_is(err, "orderNotReady") || acme_ambiguous(err, reply));

	if (!err) {
		take(self, reply);
		return;
	}
	if (!ask || reply->retry_after_s > REQUEST_WAIT_MAX_S) {
		acme_call_finish(&self->call, err);
		return;
	}
	self->failure = *err;
	set_state(self, FINALIZE_RESTING);
	self->call.timer =
		world_timer_start(acme->world,
				  acme_backoff_ms(self->tries, reply->retry_after_s) * 1000,
				  on_rested, self);
}

static void send_request(struct finalize_call *self)
{
	set_state(self, FINALIZE_SENDING);
	self->tries++;
	acme_request_start(self->call.acme, &(struct acme_request_args){
						    .call = &self->call,
						    .url = self->order->finalize_url,
						    .payload = self->payload,
						    .task = "finalize the order",
						    .done = on_finalized,
						    .arg = self,
					    });
}

static char *payload_of(const struct buf *csr_der)
{
	size_t size = BASE64URL_LEN(csr_der->len);
	char *text = xmalloc(size);
	char *payload;

	base64url_encode(text, size, csr_der->data, csr_der->len);
	payload = xasprintf("{\"csr\":\"%s\"}", text);
	free(text);
	return payload;
}

struct acme_call *acme_finalize_start(struct acme *acme, struct acme_order *order,
				      const struct buf *csr_der, acme_done *done, void *arg)
{
	struct finalize_call *self;
	struct err err;

	if (acme_order_ready(acme, order, &err) != ERR_NONE) {
		return acme_call_refused(acme, &err, done, arg);
	}
	if (!order->finalize_url) {
		err_set(&err, ERR_INTERNAL, acme->host,
			"the order was not read before it is finalized");
		return acme_call_refused(acme, &err, done, arg);
	}
	self = xcalloc(1, sizeof(*self));
	acme_call_init(&self->call, acme, done, arg);
	self->call.release = finalize_release;
	self->order = order;
	self->payload = payload_of(csr_der);
	send_request(self);
	return &self->call;
}
