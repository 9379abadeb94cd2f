/* How many requests and nonces are under way, and where they come from. */
#include "acme/acme_internal.h"
#include "acme/client.h"

static void order_of(struct client *client, int count)
{
	struct strlist names = { 0 };

	client_init(client);
	for (int i = 0; i < count; i++) {
		strlist_addf(&names, "host-%d.example.com", i);
	}
	assert_int_equal(do_directory(client), ERR_NONE);
	assert_int_equal(do_order(client, &names), ERR_NONE);
	client_settle(client);
	strlist_clear(&names);
}

static void more_nonces_than_slots_open_no_more_slots(void **state)
{
	struct client client;

	(void)state;
	order_of(&client, 40);
	acme_nonces_want(client.acme, NONCE_POOL_MAX);
	client_settle(&client);
	assert_int_equal(do_authz(&client), ERR_NONE);
	assert_int_equal(client.ca.fake.in_flight_max, ACME_IN_FLIGHT_MAX);
	assert_int_equal(client.ca.heads, NONCE_POOL_MAX);
	client_clear(&client); /* checks the maximum */
}

static void the_pool_is_bounded_and_the_newest_goes_first(void **state)
{
	struct client client;
	char *nonce;

	(void)state;
	client_init(&client);
	for (int i = 0; i < NONCE_POOL_MAX + 3; i++) {
		acme_nonce_put(client.acme, xasprintf("n%d", i));
	}
	for (int i = NONCE_POOL_MAX + 2; i > 2; i--) {
		char wanted[16];

		snprintf(wanted, sizeof(wanted), "n%d", i);
		nonce = acme_nonce_take(client.acme);
		assert_string_equal(nonce, wanted);
		free(nonce);
	}
	assert_null(acme_nonce_take(client.acme));
	client_clear(&client);
}

/* A run that resumes an order has one nonce for a hundred authorizations. */
static void no_nonce_is_fetched_for_a_request_without_a_slot(void **state)
{
	struct client client;

	(void)state;
	order_of(&client, 100);
	acme_nonces_clear(client.acme);
	client.ca.heads = 0;
	assert_int_equal(do_load(&client), ERR_NONE);
	assert_int_equal(client.ca.heads, 1);
	assert_int_equal(do_authz(&client), ERR_NONE);
	assert_int_equal(client.ca.heads, ACME_IN_FLIGHT_MAX);
	client_clear(&client);
}

static void slots_of_a_cancelled_operation_are_free_at_once(void **state)
{
	struct client client;
	struct acme_call *first;
	struct acme_call *second;

	(void)state;
	order_of(&client, 40);
	first = acme_authz_load_start(client.acme, client.order, on_outcome, &client.outcome);
	second = acme_order_load_start(client.acme, client.order, on_outcome, &client.outcome);
	acme_call_cancel(first);
	assert_int_equal(client_run(&client, second), ERR_NONE);
	client_clear(&client);
}

static unsigned failures;
static const char *failing;

static bool fail_some(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	(void)ca;
	if (failures == 0 || !ca_under(request, failing)) {
		return false;
	}
	failures--;
	answer->fail = ERR_NETWORK;
	return true;
}

static void a_nonce_that_was_lost_costs_one(void **state)
{
	struct client client;

	(void)state;
	order_of(&client, 100);
	client.ca.heads = 0;
	client.ca.before = fail_some;
	failing = "/authz/";
	failures = 1;
	assert_int_equal(do_authz(&client), ERR_NONE);
	assert_int_equal(client.ca.heads, 1);
	client_clear(&client);
}

static void a_failure_of_yesterday_is_forgotten(void **state)
{
	struct client client;

	(void)state;
	order_of(&client, 1);
	acme_nonces_clear(client.acme);
	client.ca.before = fail_some;
	failing = "/nonce";
	failures = REQUEST_REPEAT_MAX + 1;
	acme_nonces_want(client.acme, 1);
	client_settle(&client); /* it never came, and nobody waited */
	assert_int_equal(failures, 0);
	assert_int_equal(do_load(&client), ERR_NONE);
	client_clear(&client);
}

/* One of several fetches may fail while the others bring what is needed. */
static void one_nonce_that_fails_ends_nothing(void **state)
{
	struct client client;

	(void)state;
	order_of(&client, 6);
	acme_nonces_clear(client.acme);
	client.ca.before = fail_some;
	failing = "/nonce";
	failures = 3 * (REQUEST_REPEAT_MAX + 1);
	assert_int_equal(do_authz(&client), ERR_NONE);
	client_settle(&client);
	client_clear(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_nonces_than_slots_open_no_more_slots),
		cmocka_unit_test(the_pool_is_bounded_and_the_newest_goes_first),
		cmocka_unit_test(no_nonce_is_fetched_for_a_request_without_a_slot),
		cmocka_unit_test(slots_of_a_cancelled_operation_are_free_at_once),
		cmocka_unit_test(a_nonce_that_was_lost_costs_one),
		cmocka_unit_test(a_failure_of_yesterday_is_forgotten),
		cmocka_unit_test(one_nonce_that_fails_ends_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
