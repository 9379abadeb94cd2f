/* When an order is polled, when no longer, and what is said of one that is lost. */
#include "acme/client.h"

static struct {
	int64_t at_us[64];
	unsigned count;
	int failing; /* so many polls fail, with this status (0: network) */
	int status;
	bool ready_again; /* after finalize a copy that lags says "ready" twice */
} polls;

static bool poll_before(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	if (!ca_under(request, "/order/")) {
		return false;
	}
	assert_true(polls.count < ARRAY_LEN(polls.at_us));
	polls.at_us[polls.count++] = ca->fake.now_us;
	if (polls.failing > 0) {
		polls.failing--;
		if (polls.status) {
			ca_html(answer, polls.status);
		} else {
			answer->fail = ERR_NETWORK;
		}
		return true;
	}
	return false;
}

static void poll_after(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	if (polls.ready_again && ca->finalized_at_us && polls.count < 3 &&
	    (ca_under(request, "/order/") || ca_under(request, "/finalize/"))) {
		answer_replace(answer, "\"processing\"", "\"ready\"");
	}
}

/* Up to the moment where the CA has to decide. */
static void answered(struct client *client)
{
	memset(&polls, 0, sizeof(polls));
	client_init(client);
	client->ca.before = poll_before;
	client->ca.after = poll_after;
	assert_int_equal(do_begin(client, "a.test b.test"), ERR_NONE);
	assert_int_equal(do_authz(client), ERR_NONE);
	assert_int_equal(do_respond(client), ERR_NONE);
}

static int64_t gap_ms(unsigned i)
{
	return (polls.at_us[i] - polls.at_us[i - 1]) / 1000;
}

static void steps_double_up_to_five_seconds(void **state)
{
	static const int64_t steps[] = { 50, 100, 200, 400, 800, 1600, 3200, 5000, 5000 };
	struct client client;
	int64_t start_us;

	(void)state;
	answered(&client);
	client.ca.validate_us = 15000000;
	start_us = client.ca.fake.now_us;
	assert_int_equal(do_wait(&client, WAIT_MAX_US), ERR_NONE);
	assert_int_equal(client.order->status, ACME_READY);
	assert_int_equal((polls.at_us[0] - start_us - LATENCY_US) / 1000, ACME_POLL_FIRST_MS);
	for (unsigned i = 1; i < polls.count; i++) {
		/* The latency of the answer and of the question are part of it. */
		assert_int_equal(gap_ms(i), steps[i - 1] + LATENCY_US / 1000);
	}
	assert_int_equal(polls.count, 10);
	client_clear(&client);
}

static void date_header(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	(void)ca;
	if (ca_under(request, "/order/")) {
		answer_header(answer, "date", "Wed, 01 Jan 2020 00:00:00 GMT");
	}
}

/* Seconds between polls under that Retry-After. */
static int64_t obeyed_s(const char *retry_after, bool with_date)
{
	struct client client;
	int64_t gap;

	answered(&client);
	client.ca.validate_us = 3 * (int64_t)7200 * 1000000;
	client.ca.order_retry_after = retry_after;
	client.ca.after = with_date ? date_header : NULL;
	assert_int_equal(do_wait(&client, (int64_t)7400 * 1000000), ERR_TIMEOUT);
	assert_true(polls.count >= 2);
	gap = (polls.at_us[1] - polls.at_us[0]) / 1000000;
	client_clear(&client);
	return gap;
}

static void retry_after_is_obeyed_in_each_form(void **state)
{
	(void)state;
	assert_int_equal(obeyed_s("200", false), 200);
	assert_int_equal(obeyed_s("999999999999999999999", false), 3600);
	/* Against the Date of the CA, whose clock may be years behind ... */
	assert_int_equal(obeyed_s("Wed, 01 Jan 2020 00:03:20 GMT", true), 200);
	/* ... else against our own: this is in two hours at most. */
	assert_int_equal(obeyed_s("Tue, 24 Nov 2026 05:00:00 GMT", false), 3600);
}

static void a_useless_retry_after_is_none(void **state)
{
	static const char *const useless[] = { "0", "soon", "-5", "Thu, 01 Jan 1970 00:00:00 GMT",
					       "" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(useless); i++) {
		struct client client;

		answered(&client);
		client.ca.validate_us = 160000;
		client.ca.order_retry_after = useless[i];
		assert_int_equal(do_wait(&client, WAIT_MAX_US), ERR_NONE);
		assert_int_equal(polls.count, 3);
		assert_int_equal(gap_ms(1), 51);
		client_clear(&client);
	}
}

static void a_finalize_names_the_first_poll(void **state)
{
	struct client client;
	int64_t start_us;

	(void)state;
	answered(&client);
	client.ca.issue_us = 2500000;
	assert_int_equal(do_wait(&client, WAIT_MAX_US), ERR_NONE);
	client.ca.order_retry_after = "3";
	assert_int_equal(do_finalize(&client), ERR_NONE);
	assert_int_equal(client.order->status, ACME_PROCESSING);
	start_us = client.ca.fake.now_us;
	polls.count = 0;
	assert_int_equal(do_wait(&client, WAIT_MAX_US), ERR_NONE);
	assert_int_equal(polls.count, 1);
	assert_int_equal(polls.at_us[0] - start_us, 3000000 + LATENCY_US);
	assert_int_equal(client.order->status, ACME_VALID);
	client_clear(&client);
}

static void a_copy_that_lags_does_not_end_the_wait(void **state)
{
	struct client client;

	(void)state;
	answered(&client);
	client.ca.issue_us = 500000;
	assert_int_equal(do_wait(&client, WAIT_MAX_US), ERR_NONE);
	polls.count = 0;
	polls.ready_again = true;
	assert_int_equal(do_finalize(&client), ERR_NONE);
	assert_int_equal(client.order->status, ACME_PROCESSING);
	assert_int_equal(do_wait(&client, WAIT_MAX_US), ERR_NONE);
	assert_int_equal(client.order->status, ACME_VALID);
	client_clear(&client);
}

static void the_deadline_ends_it(void **state)
{
	struct client client;
	int64_t start_us;

	(void)state;
	answered(&client);
	client.ca.validate_us = WAIT_MAX_US;
	start_us = client.ca.fake.now_us;
	assert_int_equal(do_wait(&client, 1000000), ERR_TIMEOUT);
	assert_int_equal((client.ca.fake.now_us - start_us) / 1000, 1001); /* a last look at it */
	assert_says(&client.outcome.err, "the order is still pending");
	assert_int_equal(do_wait(&client, -5000000), ERR_TIMEOUT); /* it is over already */
	client_settle(&client);
	client_clear(&client);
}

static void an_answer_that_hangs_does_not_pass_the_deadline(void **state)
{
	struct client client;
	int64_t start_us;

	(void)state;
	answered(&client);
	client.ca.quiet = true;
	client_settle(&client);
	start_us = client.ca.fake.now_us;
	polls.failing = 99;
	assert_int_equal(do_wait(&client, 1000000), ERR_TIMEOUT);
	assert_true(client.ca.fake.now_us - start_us <= 4000000);
	assert_says(&client.outcome.err, "did not say in time what became of the order: "
					 "the connection broke");
	client_settle(&client);
	client_clear(&client);
}

static void polls_that_fail_are_no_verdict(void **state)
{
	static const int statuses[] = { 0, 502, 503 };
	struct client client;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		answered(&client);
		polls.failing = 6;
		polls.status = statuses[i];
		assert_int_equal(do_wait(&client, WAIT_MAX_US), ERR_NONE);
		assert_int_equal(polls.count, 7);
		client_clear(&client);
	}
	answered(&client);
	polls.failing = 1;
	polls.status = 404;
	assert_int_equal(do_wait(&client, WAIT_MAX_US), ERR_NOT_FOUND);
	client_settle(&client);
	client_clear(&client);
}

/* ---- lost orders ---- */

#define WHY "{\"type\":\"" CA_PROBLEM "unauthorized\",\"detail\":\"No TXT record found\"}"

static void an_invalid_order_says_which_name_and_why(void **state)
{
	struct client client;

	(void)state;
	answered(&client);
	client.ca.authz_problem = WHY;
	client.ca.authz_bad = 1;
	assert_int_equal(do_wait(&client, WAIT_MAX_US), ERR_ACME);
	assert_string_equal(client.outcome.err.subject, "a.test");
	assert_string_equal(client.outcome.err.text, "the CA could not validate the name: "
						     "No TXT record found (unauthorized)");
	assert_string_equal(client.outcome.err.problem, CA_PROBLEM "unauthorized");
	assert_int_equal(client.order->status, ACME_INVALID);
	assert_int_equal(client.ca.authz_loads, 4); /* once to begin with, once for this */
	client_clear(&client);

	answered(&client);
	client.ca.authz_problem = WHY;
	client.ca.authz_bad = 2;
	assert_int_equal(do_wait(&client, WAIT_MAX_US), ERR_ACME);
	assert_says(&client.outcome.err, "could not validate 2 names");
	assert_says(&client.outcome.err, "a.test: No TXT record found (unauthorized)");
	assert_says(&client.outcome.err, "b.test: No TXT record found (unauthorized)");
	client_clear(&client);
}

static void an_order_may_be_lost_by_itself(void **state)
{
	struct client client;

	(void)state;
	answered(&client);
	client.ca.authz_problem = WHY; /* of none of them */
	client.ca.order_members = ",\"error\":{\"type\":\"" CA_PROBLEM "caa\","
				  "\"detail\":\"CAA forbids it\"}";
	assert_int_equal(do_wait(&client, WAIT_MAX_US), ERR_ACME);
	assert_says(&client.outcome.err, "made the order invalid: CAA forbids it (caa)");
	assert_string_equal(client.outcome.err.problem, CA_PROBLEM "caa");
	client_clear(&client);

	answered(&client);
	client.ca.authz_problem = WHY;
	assert_int_equal(do_wait(&client, WAIT_MAX_US), ERR_ACME);
	assert_says(&client.outcome.err, "did not say why");
	client_clear(&client);
}

static void a_dead_authorization_is_reported_when_it_is_loaded(void **state)
{
	struct client client;

	(void)state;
	answered(&client);
	client.ca.authz_problem = WHY;
	client.ca.authz_bad = 2;
	client.ca.validate_us = 0;
	assert_int_equal(do_authz(&client), ERR_ACME);
	assert_says(&client.outcome.err, "could not validate 2 names");
	client_clear(&client);
}

static void many_lost_names_fit_into_one_sentence(void **state)
{
	struct client client;
	struct buf names = BUF_INIT(4096);

	(void)state;
	for (int i = 0; i < 100; i++) {
		buf_addf(&names, "%shost-%d.example.com", i ? " " : "", i);
	}
	client_init(&client);
	assert_int_equal(do_begin(&client, buf_str(&names)), ERR_NONE);
	assert_int_equal(do_authz(&client), ERR_NONE);
	assert_int_equal(do_respond(&client), ERR_NONE);
	client.ca.authz_problem = WHY;
	client.ca.authz_bad = 100;
	assert_int_equal(do_wait(&client, WAIT_MAX_US), ERR_ACME);
	assert_says(&client.outcome.err, "could not validate 100 names");
	assert_says(&client.outcome.err, " more");
	assert_true(strlen(client.outcome.err.text) < ERR_TEXT_MAX - 1);
	buf_clear(&names);
	client_clear(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_double_up_to_five_seconds),
		cmocka_unit_test(retry_after_is_obeyed_in_each_form),
		cmocka_unit_test(a_useless_retry_after_is_none),
		cmocka_unit_test(a_finalize_names_the_first_poll),
		cmocka_unit_test(a_copy_that_lags_does_not_end_the_wait),
		cmocka_unit_test(the_deadline_ends_it),
		cmocka_unit_test(an_answer_that_hangs_does_not_pass_the_deadline),
		cmocka_unit_test(polls_that_fail_are_no_verdict),
		cmocka_unit_test(an_invalid_order_says_which_name_and_why),
		cmocka_unit_test(an_order_may_be_lost_by_itself),
		cmocka_unit_test(a_dead_authorization_is_reported_when_it_is_loaded),
		cmocka_unit_test(many_lost_names_fit_into_one_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
