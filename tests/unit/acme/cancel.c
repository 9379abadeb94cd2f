/* An issuance is ended after each of its events: nobody is called, nothing stays. */
#include "acme/client.h"

#define EVENTS_MAX 400

enum ending {
	END_CALL,   /* the operation is cancelled, the rest runs on */
	END_CLIENT, /* the client goes with all that it does */
	ENDING_COUNT
};

/* A client that goes through all steps by itself. */
struct run {
	struct client client;
	struct acme_call *call;
	struct buf csr;
	unsigned step;
	bool over;
};

static void next_step(struct run *run);

static void on_step(void *arg, const struct err *err)
{
	struct run *run = arg;

	run->call = NULL;
	if (err) {
		run->over = true;
	} else {
		next_step(run);
	}
}

static void next_step(struct run *run)
{
	struct acme *acme = run->client.acme;
	struct acme_order *order = run->client.order;
	const int64_t deadline_us = run->client.ca.fake.now_us + WAIT_MAX_US;
	struct strlist names = { 0 };

	names_of(&names, "*.a.test a.test b.test");
	switch (run->step++) {
	case 0:
		run->call = acme_directory_start(acme, on_step, run);
		break;
	case 1:
		run->call =
			acme_account_start(acme, &(struct acme_registration){ 0 }, on_step, run);
		break;
	case 2:
		run->call = acme_order_start(acme, &(struct acme_order_args){ .names = &names },
					     order, on_step, run);
		break;
	case 3:
		run->call = acme_authz_load_start(acme, order, on_step, run);
		break;
	case 4:
		run->call = acme_respond_start(acme, order, on_step, run);
		break;
	case 5:
	case 7:
		run->call = acme_order_wait_start(acme, order, deadline_us, on_step, run);
		break;
	case 6:
		run->call = acme_finalize_start(acme, order, &run->csr, on_step, run);
		break;
	case 8:
		run->call = acme_download_start(acme, order, &run->client.pem, on_step, run);
		break;
	default:
		run->over = true;
		break;
	}
	strlist_clear(&names);
}

/* Each way to wait is on the way: failures, lost answers, bad nonces. */
static bool stumble(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	(void)ca;
	if (request->number % 4 == 1 && !ca_under(request, "/new-order")) {
		ca_html(answer, 502);
		return true;
	}
	return false;
}

/* Once there is an order, no more nonces are given. */
static bool starve(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	if (ca->orders > 0) {
		ca->quiet = true;
		if (ca_is(request, "/nonce")) {
			ca_html(answer, 500);
			return true;
		}
	}
	return false;
}

/* The answer to the certificate request is lost. */
static bool lose(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	if (!ca_under(request, "/finalize/") || ca->polls > 1) {
		return false;
	}
	answer->fail = ERR_TIMEOUT;
	return true;
}

static const struct flavour {
	bool (*before)(struct ca *ca, const struct ca_request *request, struct answer *answer);
	unsigned bad_nonce_every;
	const char *authz_problem;
	unsigned steps; /* that are reached */
} flavours[] = {
	{ NULL, 0, NULL, 10 },
	{ stumble, 5, NULL, 10 },
	{ starve, 0, NULL, 5 },
	{ lose, 0, NULL, 10 },
	{ NULL, 0, "{\"detail\":\"no record\"}", 6 },
};

static void run_init(struct run *run, const struct flavour *flavour)
{
	memset(run, 0, sizeof(*run));
	client_init(&run->client);
	run->client.ca.issue_us = 40000;
	run->client.ca.bad_nonce_every = flavour->bad_nonce_every;
	run->client.ca.before = flavour->before;
	run->client.ca.authz_problem = flavour->authz_problem;
	run->client.ca.authz_bad = 2;
	buf_init(&run->csr, 16);
	buf_add_str(&run->csr, "csr");
}

/* Runs so many events, then ends it; true when it was over before. */
static bool end_after(unsigned events, enum ending ending, const struct flavour *flavour)
{
	struct run run;
	unsigned step;

	run_init(&run, flavour);
	next_step(&run);
	for (unsigned i = 0; i < events && !run.over; i++) {
		assert_true(fake_step(&run.client.ca.fake));
	}
	step = run.step;
	if (run.over) {
		assert_int_equal(step, flavour->steps);
	} else if (ending == END_CALL) {
		acme_call_cancel(run.call);
	} else {
		acme_free(run.client.acme);
		run.client.acme = NULL;
		assert_null(run.client.ca.fake.events);
	}
	client_settle(&run.client);
	assert_int_equal(run.step, step);
	buf_clear(&run.csr);
	client_clear(&run.client);
	return run.over;
}

static void end_everywhere(enum ending ending)
{
	for (size_t i = 0; i < ARRAY_LEN(flavours); i++) {
		unsigned events = 0;

		while (!end_after(events, ending, &flavours[i])) {
			events++;
			assert_true(events < EVENTS_MAX);
		}
		assert_true(events > 20);
	}
}

static void a_cancelled_operation_is_silent(void **state)
{
	(void)state;
	end_everywhere(END_CALL);
}

static void a_freed_client_leaves_nothing(void **state)
{
	(void)state;
	end_everywhere(END_CLIENT);
}

/* ---- ended from inside of its own end ---- */

static void on_end_free(void *arg, const struct err *err)
{
	struct client *client = arg;

	client->outcome.times++;
	client->outcome.err.code = err ? err->code : ERR_NONE;
	acme_free(client->acme);
	client->acme = NULL;
}

static void a_client_may_be_freed_when_it_is_told(void **state)
{
	struct client client;
	struct acme_call *call;

	(void)state;
	client_init(&client);
	call = acme_directory_start(client.acme, on_end_free, &client);
	assert_int_equal(client_run(&client, call), ERR_NONE);
	assert_null(client.ca.fake.events);
	client_clear(&client);

	/* While others wait, and fail, for want of a nonce. */
	client_init(&client);
	client.ca.before = starve;
	assert_int_equal(do_begin(&client, "a.test b.test c.test d.test"), ERR_NONE);
	client_settle(&client);
	/* These take two of the nonces that are there. */
	acme_call_cancel(acme_order_load_start(client.acme, client.order, on_end_free, &client));
	acme_call_cancel(acme_order_load_start(client.acme, client.order, on_end_free, &client));
	call = acme_authz_load_start(client.acme, client.order, on_end_free, &client);
	assert_int_equal(client_run(&client, call), ERR_NETWORK);
	assert_null(client.ca.fake.events);
	client_clear(&client);
	acme_call_cancel(NULL);
	acme_free(NULL);
	acme_order_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cancelled_operation_is_silent),
		cmocka_unit_test(a_freed_client_leaves_nothing),
		cmocka_unit_test(a_client_may_be_freed_when_it_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
