/*
 * The engine under a virtual clock, with a service of one set of values: what it asks for, when
 * again, and when no longer.
 */
#include "acme/fake_world.h"

#include "dns01/rest.h"

#define OWNER "_acme-challenge.www.example.com"
#define SECOND_US INT64_C(1000000)

static struct {
	struct strlist values;
	unsigned zone_asked, reads, writes, polls, tokens;
	unsigned polls_until_done; /* of each write */
	unsigned polls_left;
	int refused_writes; /* so many are answered by status and text, and not done */
	int status;
	const char *text;
	const char *retry_after, *date; /* headers of those */
	bool loses_reply;               /* the next write is done, the answer does not arrive */
	bool hides_state;               /* 403 to who asks whether a write is done */
	int64_t token_lives_s;
	int64_t write_at_us[256];
} service;

/* ---- the provider --------------------------------------------------------------------------- */

static enum rest_next find_zone(struct rest_walk *walk, const struct rest_answer *answer)
{
	if (!answer) {
		rest_ask(walk, "GET", NULL, "/zones/%s", walk->suffix);
		rest_accept(walk, 404);
		return REST_SEND;
	}
	if (answer->status == 200) {
		rest_zone_found(walk, walk->suffix, NULL);
	}
	return REST_DONE;
}

static enum rest_next read_set(struct rest_walk *walk, const struct rest_answer *answer)
{
	const struct json *values = answer ? json_get(answer->json, "values") : NULL;

	if (!answer) {
		return rest_ask(walk, "GET", NULL, "/set");
	}
	rest_set_is(walk, 60, NULL);
	for (size_t i = 0; i < json_len(values); i++) {
		rest_value(walk, json_text(json_at(values, i)), NULL);
	}
	return REST_DONE;
}

static enum rest_next write_set(struct rest_walk *walk, const struct rest_answer *answer)
{
	struct json *body, *values;

	if (answer && json_str(answer->json, "state") &&
	    strcmp(json_str(answer->json, "state"), "done") == 0) {
		return REST_DONE;
	}
	if (answer) {
		rest_ask(walk, "GET", NULL, "/state");
		return REST_LATER;
	}
	body = json_object();
	values = json_array();
	for (size_t i = 0; i < walk->set->value_count; i++) {
		json_add_str(values, walk->set->value[i].text);
	}
	json_set(body, "values", values);
	return rest_ask(walk, "PUT", body, "/set");
}

static enum rest_next get_token(struct rest_walk *walk, const struct rest_answer *answer)
{
	static const char *const pairs[][2] = { { "a", "b" }, { NULL, NULL } };

	return answer ? rest_take_token(walk, answer)
		      : rest_ask_token(walk, "https://tokens.test/token", pairs);
}

static const struct setting rows[] = {
	REST_ROW_ENDPOINT("https://api.test"),
	REST_ROW_TIMEOUT,
};

static const char *const later[] = { "TooFast", NULL };

static const struct provider provider = {
	.abi = PROVIDER_ABI,
	.name = "test",
	.summary = "a test",
	.privilege = "Everything.",
	.settings = rows,
	.setting_count = ARRAY_LEN(rows),
	.unit = PROVIDER_RRSETS,
};

static const struct rest_api api = {
	.provider = &provider,
	.token = get_token,
	.zone = find_zone,
	.read = read_set,
	.write = write_set,
	.later = later,
};

/* ---- the service ----------------------------------------------------------------------------- */

static void say(struct answer *answer, int status, const char *text)
{
	answer->status = status;
	buf_add_str(&answer->body, text);
}

static void take_values(const char *body)
{
	struct json *set = NULL;
	const struct json *values;

	assert_int_equal(json_parse(body, strlen(body), &set, NULL), ERR_NONE);
	values = json_get(set, "values");
	strlist_clear(&service.values);
	for (size_t i = 0; i < json_len(values); i++) {
		strlist_add(&service.values, json_text(json_at(values, i)));
	}
	json_free(set);
}

static void answer_done(struct answer *answer)
{
	const bool done = service.polls_left == 0;

	say(answer, 200, done ? "{\"state\":\"done\"}" : "{\"state\":\"running\"}");
}

static void answer_write(struct fake *fake, const struct asked *asked, struct answer *answer)
{
	assert_true(service.writes < ARRAY_LEN(service.write_at_us));
	service.write_at_us[service.writes++] = fake->now_us;
	if (service.refused_writes > 0) {
		service.refused_writes--;
		say(answer, service.status, service.text);
		if (service.retry_after) {
			answer_header(answer, "Retry-After", service.retry_after);
		}
		if (service.date) {
			answer_header(answer, "Date", service.date);
		}
		return;
	}
	take_values(asked->body);
	service.polls_left = service.polls_until_done;
	if (service.loses_reply) {
		service.loses_reply = false;
		answer->fail = ERR_NETWORK;
		return;
	}
	answer_done(answer);
}

static void answer_state(struct answer *answer)
{
	service.polls++;
	if (service.hides_state) {
		say(answer, 403, "{\"message\":\"you may not ask\"}");
	} else {
		answer_done(answer);
		service.polls_left -= service.polls_left > 0;
	}
}

static void answer_set(struct answer *answer)
{
	struct json *set = json_object(), *values = json_array();
	char *text;

	service.reads++;
	for (size_t i = 0; i < service.values.count; i++) {
		json_add_str(values, service.values.item[i]);
	}
	json_set(set, "values", values);
	text = json_dump(set);
	say(answer, 200, text);
	free(text);
	json_free(set);
}

static void serve(struct fake *fake, const struct asked *asked, struct answer *answer)
{
	if (strcmp(asked->url, "https://tokens.test/token") == 0) {
		char *text = xasprintf("{\"access_token\":\"t%u\",\"expires_in\":%d}",
				       ++service.tokens, (int)service.token_lives_s);

		say(answer, 200, text);
		free(text);
	} else if (strstr(asked->url, "/zones/")) {
		service.zone_asked++;
		say(answer, strstr(asked->url, "/zones/example.com") ? 200 : 404, "{}");
	} else if (strcmp(asked->method, "PUT") == 0) {
		answer_write(fake, asked, answer);
	} else if (strstr(asked->url, "/state")) {
		answer_state(answer);
	} else {
		answer_set(answer);
	}
}

/* ---- one host ---------------------------------------------------------------------------- */

static struct fake fake;
static struct provider_host host;
static void *instance;

static int begin(void **state)
{
	struct settings none = { 0 };
	struct err err;

	(void)state;
	memset(&service, 0, sizeof(service));
	service.token_lives_s = 1000000;
	fake_init(&fake, serve);
	host = (struct provider_host){ .world = &fake.world, .name = "mine" };
	assert_int_equal(rest_open(&api, &host, &none, &instance, &err), ERR_NONE);
	return 0;
}

static int end(void **state)
{
	(void)state;
	rest_close(instance);
	assert_null(fake.events);
	strlist_clear(&service.values);
	return 0;
}

static struct {
	bool done;
	struct err result;
} outcome;

static void on_done(void *arg, const struct err *results, size_t count)
{
	(void)arg;
	assert_int_equal(count, 1);
	assert_false(outcome.done);
	outcome.done = true;
	outcome.result = results[0];
}

static enum err_code apply(bool publish, const char *value)
{
	const struct provider_change change = { publish, OWNER, value, 60 };
	const struct provider_batch batch = { .zone = "example.com",
					      .changes = &change,
					      .count = 1 };

	outcome.done = false;
	assert_non_null(rest_apply_start(instance, &batch, on_done, NULL));
	while (!outcome.done) {
		assert_true(fake_step(&fake));
	}
	return outcome.result.code;
}

static void publishes(const char *value)
{
	if (apply(true, value) != ERR_NONE) {
		fail_msg("%s", outcome.result.text);
	}
	assert_true(strlist_has(&service.values, value));
}

static void pass_s(int64_t seconds)
{
	while (fake.events) {
		assert_true(fake_step(&fake));
	}
	fake.now_us += seconds * SECOND_US;
}

/* ---- tests -------------------------------------------------------------------------------- */

static void a_zone_is_asked_for_again_after_ten_minutes(void **state)
{
	(void)state;
	publishes("a");
	assert_int_equal(service.zone_asked, 3); /* longest first: OWNER, www, example.com */
	pass_s(30);
	publishes("b");
	assert_int_equal(service.zone_asked, 3);
	pass_s(61); /* what is no zone may be one sooner */
	publishes("c");
	assert_int_equal(service.zone_asked, 5);
	pass_s(601);
	publishes("d");
	assert_int_equal(service.zone_asked, 8);
}

/* It may have been made anew, with another id. */
static void a_zone_that_is_gone_is_asked_for_again(void **state)
{
	(void)state;
	publishes("a");
	service.refused_writes = 1;
	service.status = 404;
	service.text = "{\"message\":\"no such zone\"}";
	assert_int_equal(apply(true, "b"), ERR_NOT_FOUND);
	assert_int_equal(service.zone_asked, 3);
	publishes("b");
	assert_int_equal(service.zone_asked, 6);
}

static void a_token_is_had_again_before_it_expires(void **state)
{
	(void)state;
	service.token_lives_s = 600;
	publishes("a");
	pass_s(500);
	publishes("b");
	assert_int_equal(service.tokens, 1);
	pass_s(45); /* a minute before */
	publishes("c");
	assert_int_equal(service.tokens, 2);
}

/* RFC 6749 s.5.1: expires_in may be left out; and clocks differ. No other one is asked for. */
static void a_token_that_is_said_to_have_expired_is_used(void **state)
{
	(void)state;
	service.token_lives_s = 0;
	publishes("a");
	assert_int_equal(service.tokens, 1);
	pass_s(60);
	service.token_lives_s = -1000;
	publishes("b");
	assert_int_equal(service.tokens, 2);
}

static void a_date_to_come_again_is_read_against_the_servers_clock(void **state)
{
	(void)state;
	service.refused_writes = 1;
	service.status = 429;
	service.text = "{\"message\":\"slowly\"}";
	service.date = "Thu, 01 Jan 2015 00:00:00 GMT";
	service.retry_after = "Thu, 01 Jan 2015 00:00:40 GMT";
	publishes("a");
	assert_int_equal(service.writes, 2);
	assert_in_range(service.write_at_us[1] - service.write_at_us[0], 40 * SECOND_US,
			41 * SECOND_US);
}

static void a_pause_longer_than_there_is_time_is_not_waited_for(void **state)
{
	int64_t before = fake.now_us;

	(void)state;
	service.refused_writes = 1000;
	service.status = 429;
	service.text = "{\"message\":\"tomorrow\"}";
	service.retry_after = "86400";
	assert_int_equal(apply(true, "a"), ERR_LIMIT);
	assert_non_null(strstr(outcome.result.text, "test \"mine\" cannot write"));
	assert_non_null(strstr(outcome.result.text, "tomorrow"));
	assert_in_range(fake.now_us - before, 0, 10 * SECOND_US);
}

static void what_says_later_for_ever_never_counts_as_done(void **state)
{
	int64_t before = fake.now_us;

	(void)state;
	service.refused_writes = 1000;
	service.status = 400;
	service.text = "{\"message\":\"TooFast\"}";
	assert_int_not_equal(apply(true, "a"), ERR_NONE);
	assert_in_range(fake.now_us - before, 100 * SECOND_US, 300 * SECOND_US);
	assert_in_range(service.writes, 8, 100); /* pauses that grow */
	assert_int_equal(service.values.count, 0);
}

/* After two minutes it is whoever watches the DNS who decides. */
static void a_service_that_is_never_in_sync_is_left_after_two_minutes(void **state)
{
	int64_t before = fake.now_us;

	(void)state;
	service.polls_until_done = 100000;
	publishes("a");
	assert_int_equal(service.writes, 1);
	assert_in_range(fake.now_us - before, 120 * SECOND_US, 130 * SECOND_US);
	assert_in_range(service.polls, 20, 60);
}

static void a_state_that_may_not_be_asked_for_is_no_failure(void **state)
{
	(void)state;
	service.polls_until_done = 3;
	service.hides_state = true;
	publishes("a");
	assert_int_equal(service.writes, 1);
	assert_int_equal(service.reads, 2); /* what is there was looked at */
}

static void a_lost_reply_is_looked_after_before_it_is_sent_again(void **state)
{
	(void)state;
	strlist_add(&service.values, "foreign");
	service.loses_reply = true;
	publishes("a");
	assert_int_equal(service.writes, 1);
	assert_int_equal(service.values.count, 2);
	service.loses_reply = true;
	assert_int_equal(apply(false, "a"), ERR_NONE);
	assert_int_equal(service.writes, 2);
	assert_int_equal(service.values.count, 1);
	assert_int_equal(apply(false, "a"), ERR_NONE); /* it is gone already */
	assert_int_equal(service.writes, 2);
}

/* 503 after what may not be repeated: read, and written again as it is not there. */
static void a_write_that_was_not_done_is_made_again(void **state)
{
	(void)state;
	service.refused_writes = 2;
	service.status = 503;
	service.text = "{}";
	publishes("a");
	assert_int_equal(service.writes, 3);
	assert_int_equal(service.reads, 3);
	service.refused_writes = 1000;
	assert_int_equal(apply(true, "b"), ERR_NETWORK);
	assert_int_equal(service.writes, 3 + REST_TRIES_MAX);
}

static void a_refusal_is_not_made_again(void **state)
{
	(void)state;
	service.refused_writes = 1;
	service.status = 403;
	service.text = "{\"message\":\"not you\"}";
	assert_int_equal(apply(true, "a"), ERR_DENIED);
	assert_int_equal(service.writes, 1);
	assert_non_null(strstr(outcome.result.text, "not you"));
	assert_non_null(strstr(outcome.result.text, provider.privilege));
}

/* At every moment of a publication: nothing is left, and done does not come. */
static void a_batch_may_be_cancelled_at_any_moment(void **state)
{
	const struct provider_change change = { true, OWNER, "a", 60 };
	const struct provider_batch batch = { .zone = "example.com",
					      .changes = &change,
					      .count = 1 };

	service.polls_until_done = 2;
	for (int steps = 0; steps < 200; steps++) {
		void *operation;

		end(state);
		begin(state);
		service.polls_until_done = 2;
		outcome.done = false;
		operation = rest_apply_start(instance, &batch, on_done, NULL);
		for (int i = 0; i < steps && !outcome.done; i++) {
			assert_true(fake_step(&fake));
		}
		if (outcome.done) {
			assert_in_range(steps, 10, 200);
			return;
		}
		rest_apply_cancel(operation);
		pass_s(0);
		assert_false(outcome.done);
	}
	fail_msg("it takes more than 200 events");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_zone_is_asked_for_again_after_ten_minutes, begin,
						end),
		cmocka_unit_test_setup_teardown(a_zone_that_is_gone_is_asked_for_again, begin, end),
		cmocka_unit_test_setup_teardown(a_token_is_had_again_before_it_expires, begin, end),
		cmocka_unit_test_setup_teardown(a_token_that_is_said_to_have_expired_is_used, begin,
						end),
		cmocka_unit_test_setup_teardown(
			a_date_to_come_again_is_read_against_the_servers_clock, begin, end),
		cmocka_unit_test_setup_teardown(a_pause_longer_than_there_is_time_is_not_waited_for,
						begin, end),
		cmocka_unit_test_setup_teardown(what_says_later_for_ever_never_counts_as_done,
						begin, end),
		cmocka_unit_test_setup_teardown(
			a_service_that_is_never_in_sync_is_left_after_two_minutes, begin, end),
		cmocka_unit_test_setup_teardown(a_state_that_may_not_be_asked_for_is_no_failure,
						begin, end),
		cmocka_unit_test_setup_teardown(
			a_lost_reply_is_looked_after_before_it_is_sent_again, begin, end),
		cmocka_unit_test_setup_teardown(a_write_that_was_not_done_is_made_again, begin,
						end),
		cmocka_unit_test_setup_teardown(a_refusal_is_not_made_again, begin, end),
		cmocka_unit_test_setup_teardown(a_batch_may_be_cancelled_at_any_moment, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
