/* A whole issuance against the fake CA, and what it costs. */
#include "acme/client.h"

static const struct acme_authz *authz_of(const struct client *client, const char *name)
{
	for (size_t i = 0; i < client->order->authz_count; i++) {
		if (strcmp(client->order->authz[i].name, name) == 0) {
			return &client->order->authz[i];
		}
	}
	fail_msg("no authorization for %s", name);
	return NULL;
}

static void two_names_take_at_most_14_requests(void **state)
{
	struct client client;
	char value[44];

	(void)state;
	client_init(&client);
	client.ca.issue_us = 10000;
	assert_int_equal(do_begin(&client, "*.example.com example.com"), ERR_NONE);
	assert_string_equal(client.order->url, CA "/order/1?o=%2F");
	assert_int_equal(client.order->status, ACME_PENDING);
	assert_int_equal(client.order->names.count, 2);
	assert_int_equal(client.order->expires_at, 1796083200);
	assert_int_equal(do_rest(&client), ERR_NONE);
	assert_string_equal(buf_str(&client.pem), CA_PEM CA_PEM);
	dns01_txt_value("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJyPCt92wr-0", client.key, value);
	assert_string_equal(authz_of(&client, "*.example.com")->value, value);
	dns01_txt_value("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJyPCt92wr-1", client.key, value);
	assert_string_equal(authz_of(&client, "example.com")->value, value);
	assert_int_equal(acme_requests(client.acme), client.ca.requests);
	assert_true(client.ca.requests <= 14);
	assert_int_equal(client.ca.heads, 2);
	client_clear(&client);
}

static void a_hundred_names_take_at_most_220_requests(void **state)
{
	struct client client;
	struct strlist names = { 0 };
	int64_t start_us;

	(void)state;
	client_init(&client);
	client.ca.issue_us = 300000;
	client.ca.validate_us = 300000;
	for (int i = 0; i < 100; i++) {
		strlist_addf(&names, "host-%d.example.com", i);
	}
	assert_int_equal(do_directory(&client), ERR_NONE);
	start_us = client.ca.fake.now_us;
	assert_int_equal(do_order(&client, &names), ERR_NONE);
	/* newNonce and newOrder, one after the other; the rest beside them. */
	assert_int_equal(client.ca.fake.now_us - start_us, 2 * LATENCY_US);
	start_us = client.ca.fake.now_us;
	assert_int_equal(do_authz(&client), ERR_NONE);
	assert_int_equal(client.ca.fake.now_us - start_us, 13 * LATENCY_US);
	start_us = client.ca.fake.now_us;
	assert_int_equal(do_respond(&client), ERR_NONE);
	assert_int_equal(client.ca.fake.now_us - start_us, 13 * LATENCY_US);
	assert_int_equal(do_wait(&client, WAIT_MAX_US), ERR_NONE);
	assert_int_equal(client.order->status, ACME_READY);
	assert_int_equal(do_finalize(&client), ERR_NONE);
	assert_int_equal(client.order->status, ACME_PROCESSING);
	assert_int_equal(do_wait(&client, WAIT_MAX_US), ERR_NONE);
	assert_int_equal(do_download(&client), ERR_NONE);
	assert_int_equal(client.ca.fake.in_flight_max, ACME_IN_FLIGHT_MAX);
	assert_int_equal(client.ca.heads, ACME_IN_FLIGHT_MAX);
	assert_true(client.ca.requests <= 220);
	strlist_clear(&names);
	client_clear(&client);
}

static void a_certificate_may_be_there_at_once(void **state)
{
	struct client client;

	(void)state;
	client_init(&client);
	assert_int_equal(do_begin(&client, "example.com"), ERR_NONE);
	assert_int_equal(do_rest(&client), ERR_NONE);
	assert_int_equal(client.order->status, ACME_VALID);
	assert_int_equal(client.ca.polls, 1); /* for "ready" alone */
	client_clear(&client);
}

static void valid_authorizations_need_no_challenge(void **state)
{
	struct client client;

	(void)state;
	client_init(&client);
	client.ca.authz_valid = true;
	assert_int_equal(do_begin(&client, "a.test b.test"), ERR_NONE);
	assert_int_equal(client.order->status, ACME_READY);
	assert_int_equal(do_rest(&client), ERR_NONE);
	assert_int_equal(client.order->authz[0].status, ACME_VALID);
	assert_int_equal(do_authz(&client), ERR_NONE);
	assert_int_equal(client.ca.authz_loads, 2); /* not asked again */
	assert_int_equal(client.ca.answered_count, 0);
	assert_int_equal(client.ca.polls, 0);
	client_clear(&client);
}

/* The second to be asked shows only the challenge that made it valid. */
static void mixed_authz(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	(void)ca;
	if (ca_is(request, "/authz/1")) {
		answer_clear(answer);
		buf_add_str(&answer->body,
			    "{\"status\":\"valid\",\"identifier\":{\"type\":\"dns\","
			    "\"value\":\"B.test\"},\"challenges\":[{\"type\":\"http-01\","
			    "\"status\":\"valid\",\"url\":\"" CA "/chall/x\"}]}");
	}
}

static void only_pending_authorizations_are_answered(void **state)
{
	struct client client;

	(void)state;
	client_init(&client);
	client.ca.after = mixed_authz;
	assert_int_equal(do_begin(&client, "a.test b.test"), ERR_NONE);
	assert_int_equal(do_authz(&client), ERR_NONE);
	assert_null(authz_of(&client, "b.test")->challenge_url);
	assert_int_equal(authz_of(&client, "b.test")->status, ACME_VALID);
	assert_int_equal(do_respond(&client), ERR_NONE);
	assert_int_equal(client.ca.answered_count, 1);
	assert_true(client.ca.answered[0]);
	/* Answered once, whoever asks again. */
	assert_int_equal(do_respond(&client), ERR_NONE);
	assert_int_equal(client.ca.authz_loads, 2);
	assert_int_equal(authz_of(&client, "a.test")->challenge_status, ACME_PROCESSING);
	client_settle(&client);
	client_clear(&client);
}

static void an_order_of_an_earlier_run_is_resumed(void **state)
{
	struct client client;
	char value[44];

	(void)state;
	client_init(&client);
	assert_int_equal(do_begin(&client, "example.com *.example.com"), ERR_NONE);
	assert_int_equal(do_authz(&client), ERR_NONE);
	memcpy(value, client.order->authz[0].value, sizeof(value));
	client_settle(&client);
	acme_free(client.acme);
	acme_order_free(client.order);
	client.acme = client_acme(&client, CA_ACCOUNT);
	client.order = acme_order_new();
	client.order->url = xstrdup(CA "/order/1?o=%2F");
	assert_int_equal(do_directory(&client), ERR_NONE);
	assert_int_equal(do_load(&client), ERR_NONE);
	assert_int_equal(client.order->names.count, 2);
	assert_true(strlist_has(&client.order->names, "*.example.com"));
	assert_int_equal(do_authz(&client), ERR_NONE);
	assert_string_equal(client.order->authz[0].value, value);
	/* What is known of the authorizations survives another look at the order. */
	assert_int_equal(do_load(&client), ERR_NONE);
	assert_string_equal(client.order->authz[0].value, value);
	assert_int_equal(client.ca.orders, 1);
	client_clear(&client);
}

static bool order_is_gone(struct ca *ca, const struct ca_request *request, struct answer *answer)
{
	(void)ca;
	if (!ca_under(request, "/order/")) {
		return false;
	}
	ca_problem(answer, 404, "malformed", "No order for ID 1");
	return true;
}

static void an_expired_order_is_not_found(void **state)
{
	struct client client;

	(void)state;
	client_init(&client);
	client.ca.before = order_is_gone;
	client.order->url = xstrdup(CA "/order/1");
	assert_int_equal(do_directory(&client), ERR_NONE);
	assert_int_equal(do_load(&client), ERR_NOT_FOUND);
	assert_says(&client.outcome.err,
		    "refused to show the order: No order for ID 1 (malformed)");
	client_settle(&client);
	client_clear(&client);
}

static void what_is_missing_is_refused_from_the_loop(void **state)
{
	struct client client;

	(void)state;
	client_init(&client);
	assert_int_equal(do_load(&client), ERR_INTERNAL); /* no directory */
	assert_int_equal(do_directory(&client), ERR_NONE);
	assert_int_equal(do_load(&client), ERR_INTERNAL);     /* no URL */
	assert_int_equal(do_finalize(&client), ERR_INTERNAL); /* no order */
	assert_int_equal(do_download(&client), ERR_INTERNAL); /* no certificate */
	acme_free(client.acme);
	client.acme = client_acme(&client, NULL);
	assert_int_equal(do_begin(&client, "example.com"), ERR_INTERNAL); /* no account */
	client_settle(&client);
	client_clear(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_names_take_at_most_14_requests),
		cmocka_unit_test(a_hundred_names_take_at_most_220_requests),
		cmocka_unit_test(a_certificate_may_be_there_at_once),
		cmocka_unit_test(valid_authorizations_need_no_challenge),
		cmocka_unit_test(only_pending_authorizations_are_answered),
		cmocka_unit_test(an_order_of_an_earlier_run_is_resumed),
		cmocka_unit_test(an_expired_order_is_not_found),
		cmocka_unit_test(what_is_missing_is_refused_from_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
