/* What is tried again, how often and when; and what is not. */
#include "acme/client.h"

static void bad_nonces_are_met_with_the_errors_own(void **state)
{
	(void)state;
	for (unsigned every = 2; every < 9; every++) {
		struct client client;

		client_init(&client);
		client.ca.bad_nonce_every = every;
		client.ca.issue_us = 10000;
		assert_int_equal(do_begin(&client, "a.test b.test *.c.test"), ERR_NONE);
		assert_int_equal(do_rest(&client), ERR_NONE);
		assert_true(client.ca.bad_nonces > 0);
		/* No nonce was fetched because of them. */
		assert_int_equal(client.ca.heads, 3);
		client_clear(&client);
	}
}

static void a_storm_of_bad_nonces_ends(void **state)
{
	struct client client;

	(void)state;
	client_init(&client);
	client.ca.bad_nonce_every = 1;
	assert_int_equal(do_begin(&client, "a.test"), ERR_PROTOCOL);
	assert_says(&client.outcome.err, "rejected 9 nonces");
	assert_int_equal(client.ca.bad_nonces, ACME_BAD_NONCE_MAX + 1);
	client_settle(&client);
	client_clear(&client);
}

/* ---- failures of the server ---- */

static struct trouble {
	const char *path;
	unsigned times; /* left */
	int status;     /* 0: the connection breaks */
	const char *retry_after;
	bool taken; /* it did what was asked, and only the answer is lost */
	int64_t last_us, gap_us[8];
	unsigned seen;
} trouble;

static void trouble_answer(struct answer *answer)
{
	if (trouble.status == 0) {
		answer->fail = ERR_NETWORK;
	} else if (trouble.status == 500) {
		ca_problem(answer, 500, "serverInternal", "it hurts");
	} else {
		ca_html(answer, trouble.status);
	}
	if (trouble.retry_after) {
		answer_header(answer, "retry-after", trouble.retry_after);
	}
}

static bool is_trouble(struct ca *ca, const struct ca_request *request)
{
	if (!ca_under(request, trouble.path)) {
		return false;
	}
	if (trouble.seen > 0 && trouble.seen <= ARRAY_LEN(trouble.gap_us)) {
		trouble.gap_us[trouble.seen - 1] = ca->fake.now_us - trouble.last_us;
	}
	trouble.last_us = ca->fake.now_us;
	trouble.seen++;
	if (trouble.times == 0) {
		return false;
	}
	trouble.times--;
	return true;
}

static bool trouble_before(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	if (trouble.taken || !is_trouble(ca, request)) {
		return false;
	}
	trouble_answer(answer);
	return true;
}

static void trouble_after(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	if (trouble.taken && is_trouble(ca, request)) {
		answer_clear(answer);
		trouble_answer(answer);
	}
}

static enum err_code issue_with(struct client *client, const struct trouble *with)
{
	enum err_code code;

	trouble = *with;
	client_init(client);
	client->ca.before = trouble_before;
	client->ca.after = trouble_after;
	client->ca.issue_us = 10000;
	code = do_begin(client, "a.test b.test");
	code = code == ERR_NONE ? do_rest(client) : code;
	client_settle(client);
	return code;
}

static void each_step_survives_three_failures(void **state)
{
	static const char *const paths[] = { "/dir",     "/nonce",   "/new-order", "/order/",
					     "/authz/1", "/chall/0", "/finalize/", "/cert/" };
	static const int statuses[] = { 0, 500, 502, 503 };
	struct client client;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths) * ARRAY_LEN(statuses) * 2; i++) {
		const struct trouble with = {
			.path = paths[i / 2 % ARRAY_LEN(paths)],
			.status = statuses[i / 2 / ARRAY_LEN(paths)],
			.times = 3,
			.taken = i % 2,
		};

		if (issue_with(&client, &with) != ERR_NONE) {
			fail_msg("%s, %d, %d: %s", with.path, with.status, with.taken,
				 client.outcome.err.text);
		}
		/* Never twice what a CA does once. */
		assert_int_equal(trouble.times,
				 with.taken && strcmp(with.path, "/finalize/") == 0 ? 2 : 0);
		client_clear(&client);
	}
}

static void a_pause_doubles_and_obeys_retry_after(void **state)
{
	struct client client;

	(void)state;
	assert_int_equal(issue_with(&client, &(struct trouble){ .path = "/cert/",
								.times = 3,
								.status = 502 }),
			 ERR_NONE);
	assert_int_equal(trouble.gap_us[0], 250000 + LATENCY_US);
	assert_int_equal(trouble.gap_us[1], 500000 + LATENCY_US);
	assert_int_equal(trouble.gap_us[2], 1000000 + LATENCY_US);
	client_clear(&client);
	assert_int_equal(issue_with(&client, &(struct trouble){ .path = "/cert/",
								.times = 2,
								.status = 503,
								.retry_after = "7" }),
			 ERR_NONE);
	assert_int_equal(trouble.gap_us[0], 7000000 + LATENCY_US);
	assert_int_equal(trouble.gap_us[1], 7000000 + LATENCY_US);
	client_clear(&client);
}

static void what_lasts_is_an_error(void **state)
{
	struct client client;

	(void)state;
	assert_int_equal(issue_with(&client, &(struct trouble){ .path = "/cert/",
								.times = 99,
								.status = 502 }),
			 ERR_NETWORK);
	assert_int_equal(trouble.seen, 4);
	assert_says(&client.outcome.err,
		    "asked to give the certificate, the CA answered with HTTP status 502");
	assert_null(strstr(client.outcome.err.text, "Gateway"));
	assert_string_equal(client.outcome.err.subject, "ca.test");
	client_clear(&client);

	/* Longer than a request waits: whoever asked may. */
	assert_int_equal(issue_with(&client, &(struct trouble){ .path = "/new-order",
								.times = 99,
								.status = 503,
								.retry_after = "3600" }),
			 ERR_NETWORK);
	assert_int_equal(trouble.seen, 1);
	assert_int_equal(client.outcome.err.retry_after_s, 3600);
	client_clear(&client);

	assert_int_equal(issue_with(&client, &(struct trouble){ .path = "/nonce", .times = 99 }),
			 ERR_NETWORK);
	assert_says(&client.outcome.err, "the connection broke");
	client_clear(&client);

	assert_int_equal(issue_with(&client, &(struct trouble){ .path = "/finalize/",
								.times = 99,
								.status = 500 }),
			 ERR_NETWORK);
	assert_true(acme_passing(&client.outcome.err));
	assert_says(&client.outcome.err, "refused to finalize the order: it hurts");
	assert_int_equal(client.ca.finalizes, 0);
	client_clear(&client);
}

static void a_redirect_and_a_page_are_no_answers(void **state)
{
	struct client client;

	(void)state;
	assert_int_equal(issue_with(&client, &(struct trouble){ .path = "/new-order",
								.times = 9,
								.status = 301 }),
			 ERR_PROTOCOL);
	assert_says(&client.outcome.err, "a redirect, which is never followed");
	client_clear(&client);
	assert_int_equal(issue_with(&client,
				    &(struct trouble){ .path = "/dir", .times = 9, .status = 200 }),
			 ERR_PROTOCOL);
	assert_says(&client.outcome.err,
		    "asked to show its directory, the CA sent what is not JSON");
	assert_int_equal(trouble.seen, 1);
	client_clear(&client);
}

/* ---- answers that were lost ---- */

/* The second answer to a challenge is refused, as Pebble does it. */
static bool refuse_second(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	if (!ca_is(request, "/chall/0") || !ca->answered[0]) {
		return false;
	}
	ca_problem(answer, 400, "malformed", "cannot update a challenge that is processing");
	return true;
}

static void an_answer_that_was_taken_is_not_missed(void **state)
{
	struct client client;

	(void)state;
	trouble = (struct trouble){ .path = "/chall/0", .times = 1, .taken = true };
	client_init(&client);
	client.ca.before = refuse_second;
	client.ca.after = trouble_after;
	assert_int_equal(do_begin(&client, "a.test"), ERR_NONE);
	assert_int_equal(do_rest(&client), ERR_NONE);
	client_clear(&client);

	/* Refused at once, it is an error. */
	trouble = (struct trouble){ .path = "/none" };
	client_init(&client);
	client.ca.before = refuse_second;
	client.ca.answered[0] = true;
	assert_int_equal(do_begin(&client, "a.test"), ERR_NONE);
	assert_int_equal(do_authz(&client), ERR_NONE);
	assert_int_equal(do_respond(&client), ERR_ACME);
	assert_string_equal(client.outcome.err.subject, "a.test");
	client_clear(&client);
}

static void a_lost_finalize_is_not_sent_twice(void **state)
{
	struct client client;

	(void)state;
	assert_int_equal(issue_with(&client, &(struct trouble){ .path = "/finalize/",
								.times = 1,
								.taken = true }),
			 ERR_NONE);
	assert_int_equal(client.ca.finalizes, 1);
	client_clear(&client);
}

static unsigned early;

static bool not_ready_yet(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	(void)ca;
	if (!ca_under(request, "/finalize/") || early == 0) {
		return false;
	}
	early--;
	ca_problem(answer, 403, "orderNotReady", "a copy lags");
	return true;
}

static void order_not_ready_is_asked_about(void **state)
{
	struct client client;

	(void)state;
	early = 2;
	client_init(&client);
	client.ca.before = not_ready_yet;
	assert_int_equal(do_begin(&client, "a.test"), ERR_NONE);
	assert_int_equal(do_rest(&client), ERR_NONE);
	assert_int_equal(client.ca.polls, 3);
	client_clear(&client);

	client_init(&client);
	assert_int_equal(do_begin(&client, "a.test"), ERR_NONE);
	assert_int_equal(do_authz(&client), ERR_NONE);
	assert_int_equal(do_finalize(&client), ERR_ACME); /* nothing was answered yet */
	assert_says(&client.outcome.err, "the order is not ready (orderNotReady)");
	assert_int_equal(client.order->status, ACME_PENDING);
	client_clear(&client);
}

/* ---- nonces ---- */

static void answers_without_nonces_do_no_harm(void **state)
{
	struct client client;

	(void)state;
	client_init(&client);
	client.ca.quiet = true;
	assert_int_equal(do_begin(&client, "a.test b.test"), ERR_NONE);
	assert_int_equal(do_rest(&client), ERR_NONE);
	client_clear(&client);
}

static void spoil_nonces(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	(void)ca;
	if (ca_is(request, "/nonce")) {
		answer_clear(answer);
		answer_header(answer, "replay-nonce", "not=base64url");
	}
}

static void a_nonce_is_base64url_or_none(void **state)
{
	struct client client;

	(void)state;
	client_init(&client);
	client.ca.after = spoil_nonces;
	assert_int_equal(do_begin(&client, "a.test b.test"), ERR_PROTOCOL);
	assert_says(&client.outcome.err, "without a valid Replay-Nonce");
	client_settle(&client);
	client_clear(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_nonces_are_met_with_the_errors_own),
		cmocka_unit_test(a_storm_of_bad_nonces_ends),
		cmocka_unit_test(each_step_survives_three_failures),
		cmocka_unit_test(a_pause_doubles_and_obeys_retry_after),
		cmocka_unit_test(what_lasts_is_an_error),
		cmocka_unit_test(a_redirect_and_a_page_are_no_answers),
		cmocka_unit_test(an_answer_that_was_taken_is_not_missed),
		cmocka_unit_test(a_lost_finalize_is_not_sent_twice),
		cmocka_unit_test(order_not_ready_is_asked_about),
		cmocka_unit_test(answers_without_nonces_do_no_harm),
		cmocka_unit_test(a_nonce_is_base64url_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
