/*
 * order_wait: an order is polled until the CA has decided (RFC 8555 s.7.4).
 *
 *                 its time came              answer
 *   RESTING ----------------------> ASKING ----------> (told, gone)
 *      ^                              | |
 *      +------------------------------+ | invalid
 *        not decided yet, or no answer  v
 *                                   EXPLAINING ------> (told, gone)
 *                                            authorizations loaded
 *
 * Bounded by deadline_us; polls are at least ACME_POLL_FIRST_MS apart.
 */
#include "dns01/acme.h"

#include "acme_internal.h"

#define GRACE_US 2000000 /* for an answer that is on its way at the deadline */

enum wait_state {
	WAIT_RESTING,    /* until Retry-After, or the next of the doubling steps */
	WAIT_ASKING,     /* the order is being loaded */
	WAIT_EXPLAINING, /* it is invalid; its authorizations are being loaded */
	WAIT_STATE_COUNT
};

static const char *const state_names[] = {
	[WAIT_RESTING] = "resting",
	[WAIT_ASKING] = "asking",
	[WAIT_EXPLAINING] = "explaining",
};
static_assert(ARRAY_LEN(state_names) == WAIT_STATE_COUNT, "a name for each state");

struct wait_call {
	struct acme_call call; /* its timer ends the rest */
	struct acme_order *order;
	enum wait_state state;
	bool until_valid; /* it was finalized: "ready" is old news then */
	int64_t deadline_us;
	int64_t step_ms;
	unsigned polls;
	struct world_timer *limit;
	struct acme_call *explaining;
	struct err last; /* why the latest poll failed; ERR_NONE: it did not */
};

static void set_state(struct wait_call *self, enum wait_state state)
{
	log_debug("order %s: %s -> %s", self->order->url, state_names[self->state],
		  state_names[state]);
	self->state = state;
}

static void wait_release(struct acme_call *call)
{
	struct wait_call *self = (struct wait_call *)call;

	world_timer_cancel(call->acme->world, self->limit);
	acme_call_cancel(self->explaining);
}

static bool is_decided(const struct wait_call *self)
{
	enum acme_status status = self->order->status;

	return status == ACME_VALID || (status == ACME_READY && !self->until_valid);
}

static void give_up(struct wait_call *self)
{
	const char *host = self->call.acme->host;
	struct err err = { 0 };

	if (self->state == WAIT_EXPLAINING) {
		acme_order_failure(self->order, &err);
	} else if (self->last.code != ERR_NONE) {
		err_set(&err, ERR_TIMEOUT, host,
			"the CA did not say in time what became of the order: %s", self->last.text);
	} else {
		err_set(&err, ERR_TIMEOUT, host,
			"the CA did not decide in time: after %u polls the order is still %s",
			self->polls, acme_status_name(self->order->status));
	}
	acme_call_finish(&self->call, &err);
}

static void on_limit(void *arg)
{
	struct wait_call *self = arg;

	self->limit = NULL;
	give_up(self);
}

static void on_explained(void *arg, const struct err *err)
{
	struct wait_call *self = arg;
	struct err failure = { 0 };

	self->explaining = NULL;
	if (err) {
		log_debug("order %s: %s", self->order->url, err->text);
	}
	acme_order_failure(self->order, &failure);
	acme_call_finish(&self->call, &failure);
}

static void rest(struct wait_call *self, int64_t retry_after_s);

static int64_t next_step_ms(int64_t step_ms)
{
	if (step_ms < ACME_POLL_SECOND_MS) {
		return ACME_POLL_SECOND_MS;
	}
	return step_ms * 2 < ACME_POLL_MAX_MS ? step_ms * 2 : ACME_POLL_MAX_MS;
}

static void on_poll(void *arg, const struct err *err, const struct acme_reply *reply)
{
	struct wait_call *self = arg;
	struct acme *acme = self->call.acme;
	struct err failure = { 0 };

	err_clear(&self->last);
	/* A poll that failed, or came too soon, is no verdict; the next one may be answered. */
	if (err && (acme_ambiguous(err, reply) || err->code == ERR_LIMIT)) {
		self->last = *err;
		rest(self, reply->retry_after_s);
		return;
	}
	if (err) {
		failure = *err;
	} else if (acme_order_take(acme, self->order, reply, &failure) != ERR_NONE) {
		log_debug("poll: %s", failure.text);
	} else if (self->order->status == ACME_INVALID) {
		set_state(self, WAIT_EXPLAINING);
		self->explaining = acme_authz_load_start(acme, self->order, on_explained, self);
		return;
	} else if (!is_decided(self)) {
		rest(self, -1);
		return;
	}
	acme_call_finish(&self->call, &failure);
}

static void on_rested(void *arg)
{
	struct wait_call *self = arg;

	self->call.timer = NULL;
	set_state(self, WAIT_ASKING);
	self->polls++;
	acme_request_start(self->call.acme, &(struct acme_request_args){
						    .call = &self->call,
						    .url = self->order->url,
						    .payload = "",
						    .task = "show the order",
						    .done = on_poll,
						    .arg = self,
					    });
}

/* retry_after_s: of a failed poll, -1: none; a good one's is in the order. */
static void rest(struct wait_call *self, int64_t retry_after_s)
{
	struct world *world = self->call.acme->world;
	int64_t now_us = world_mono_us(world);
	int64_t delay_us = self->step_ms * 1000;

	if (self->polls > 0 && now_us >= self->deadline_us) {
		give_up(self);
		return;
	}
	if (retry_after_s > POLL_WAIT_MAX_S) {
		retry_after_s = POLL_WAIT_MAX_S;
	}
	if (self->order->poll_at_us > now_us) {
		delay_us = self->order->poll_at_us - now_us;
	} else if (retry_after_s > 0) {
		delay_us = retry_after_s * 1000000;
	} else {
		self->step_ms = next_step_ms(self->step_ms);
	}
	/* The last look is at the deadline. */
	if (now_us + delay_us > self->deadline_us) {
		delay_us = self->deadline_us > now_us ? self->deadline_us - now_us : 0;
	}
	set_state(self, WAIT_RESTING);
	self->call.timer = world_timer_start(world, delay_us, on_rested, self);
}

struct acme_call *acme_order_wait_start(struct acme *acme, struct acme_order *order,
					int64_t deadline_us, acme_done *done, void *arg)
{
	int64_t now_us = world_mono_us(acme->world);
	struct wait_call *self;
	struct err err;

	if (acme_order_ready(acme, order, &err) != ERR_NONE) {
		return acme_call_refused(acme, &err, done, arg);
	}
	if (deadline_us > INT64_MAX - GRACE_US) {
		deadline_us = INT64_MAX - GRACE_US;
	}
	self = xcalloc(1, sizeof(*self));
	acme_call_init(&self->call, acme, done, arg);
	self->call.release = wait_release;
	self->order = order;
	self->until_valid = order->status == ACME_PROCESSING;
	self->deadline_us = deadline_us;
	self->step_ms = ACME_POLL_FIRST_MS;
	if (is_decided(self)) {
		acme_call_finish_soon(&self->call, NULL);
		return &self->call;
	}
	self->limit =
		world_timer_start(acme->world,
				  (deadline_us > now_us ? deadline_us - now_us : 0) + GRACE_US,
				  on_limit, self);
	rest(self, -1);
	return &self->call;
}
