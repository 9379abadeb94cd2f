/* Who is told what, how often, and that it never stands in an argv. */
#include "deploy_bed.h"
#include "dns01/json.h"

#define DAY_S INT64_C(86400)
#define TELL "/bin/tell"

static void on_told(void *arg)
{
	struct house *house = arg;

	house->done = true;
}

static struct notify *notify_of(struct house *house)
{
	return notify_new(&(struct notify_args){
		.world = &house->bed.world,
		.conf = house->conf,
		.renewals = house->renewals,
	});
}

static void tell(struct house *house, struct notify *notify)
{
	house->done = false;
	notify_finish(notify, on_told, house);
	finish(house);
	notify_free(notify);
}

static void with_command(struct house *house)
{
	strlist_add(&house->conf->notify.run, TELL);
	strlist_add(&house->conf->notify.run, "ops");
}

static struct err err_of(enum err_code code, const char *subject, const char *text,
			 const char *problem)
{
	struct err err;

	err_set(&err, code, subject, "%s", text);
	snprintf(err.problem, sizeof(err.problem), "%s%s",
		 problem[0] ? "urn:ietf:params:acme:error:" : "", problem);
	return err;
}

/* days_left of 100; lineage is the first certificate's. */
static struct notify_event event_of(const struct house *house, const struct err *err,
				    int64_t days_left)
{
	int64_t now_s = house->bed.wall_us / 1000000;

	return (struct notify_event){
		.lineage = house->conf->certificate[0].name,
		.certificate = &house->conf->certificate[0],
		.err = err,
		.not_before = now_s - (100 - days_left) * DAY_S,
		.not_after = now_s + days_left * DAY_S,
		.retry_at = now_s + 60,
	};
}

/* One failure, one run of ours; gives what it was told, or NULL. */
static struct json *told(struct house *house, const struct err *err, int64_t days_left)
{
	struct notify *notify = notify_of(house);
	struct notify_event event = event_of(house, err, days_left);
	struct json *json = NULL;

	notify_failed(notify, &event);
	tell(house, notify);
	assert_true(house->runs <= 1);
	if (house->runs == 1) {
		const struct run *run = &house->run[0];

		assert_string_equal(run->argv, TELL " ops");
		assert_int_equal(json_parse(run->input, strlen(run->input), &json, NULL), ERR_NONE);
	}
	forget_runs(house);
	return json;
}

static void is(const struct json *object, const char *key, const char *expected)
{
	const char *text = json_str(object, key);

	assert_non_null(text);
	assert_string_equal(text, expected);
}

/* ---- what ----------------------------------------------------------------------- */

static void nobody_is_told_without_a_command(void **state)
{
	struct house *house = *state;
	struct err err = err_of(ERR_NETWORK, "ca", "cannot be reached", "");

	add_certificate(house, "edge");
	assert_null(told(house, &err, 0));
}

static void a_failed_renewal_is_told_when_little_life_is_left(void **state)
{
	struct house *house = *state;
	struct err err = err_of(ERR_NETWORK, "ca.example", "cannot be reached", "");
	const struct json *lineage, *error;
	struct json *json;

	with_command(house);
	add_certificate(house, "edge");
	assert_null(told(house, &err, 30));
	assert_null(told(house, &err, 25));
	json = told(house, &err, 24);
	assert_non_null(json);
	is(json, "event", "renewal-failed");
	is(json, "at", "2026-09-21T14:13:20Z");
	error = json_get(json, "error");
	is(error, "code", "network");
	is(error, "subject", "ca.example");
	is(error, "text", "cannot be reached");
	lineage = json_at(json_get(json, "lineages"), 0);
	is(lineage, "name", "edge");
	assert_string_equal(json_text(json_at(json_get(lineage, "names"), 0)), "edge.example");
	assert_int_equal(json_int(lineage, "life_left_percent", -1), 24);
	is(lineage, "not_after", "2026-10-15T14:13:20Z");
	is(lineage, "retry_at", "2026-09-21T14:14:20Z");
	json_free(json);
}

static void a_first_certificate_that_fails_is_told_at_once(void **state)
{
	struct house *house = *state;
	struct err err = err_of(ERR_NETWORK, "ca", "cannot be reached", "");
	struct notify *notify = notify_of(house);
	struct notify_event event;

	with_command(house);
	add_certificate(house, "edge");
	event = event_of(house, &err, 0);
	event.not_before = event.not_after = 0;
	notify_failed(notify, &event);
	tell(house, notify);
	runs_are(house, TELL " ops");
}

static void what_only_a_person_can_mend_is_told_at_once(void **state)
{
	static const struct {
		enum err_code code;
		const char *subject, *problem, *event;
	} cases[] = {
		{ ERR_DENIED, "192.0.2.1", "", "credential-refused" },
		{ ERR_ACME, "ca", "accountDoesNotExist", "credential-refused" },
		{ ERR_ACME, "ca", "unauthorized", "credential-refused" },
		{ ERR_ACME, "ca", "userActionRequired", "terms-changed" },
		{ ERR_DENIED, "ca", "rateLimited", "paused" },
	};
	struct house *house = *state;

	with_command(house);
	add_certificate(house, "edge");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err =
			err_of(cases[i].code, cases[i].subject, "sentence", cases[i].problem);
		struct notify *notify = notify_of(house);
		struct json *json = told(house, &err, 90);

		assert_non_null(json);
		is(json, "event", cases[i].event);
		json_free(json);
		notify_renewed(notify, "edge");
		notify_free(notify);
	}
}

/* "unauthorized" of a name is the validation's outcome: not the account's. */
static void what_may_pass_by_itself_is_not(void **state)
{
	static const struct {
		enum err_code code;
		const char *subject, *problem;
	} cases[] = {
		{ ERR_ACME, "edge.example", "unauthorized" },
		{ ERR_ACME, "wild.example", "unauthorized" },
		{ ERR_LIMIT, "ca", "rateLimited" },
		{ ERR_CANCELED, "edge", "" },
		{ ERR_DNS, "ns1", "" },
	};
	struct house *house = *state;

	with_command(house);
	strlist_add(&add_certificate(house, "edge")->names, "*.wild.example");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err =
			err_of(cases[i].code, cases[i].subject, "sentence", cases[i].problem);

		assert_null(told(house, &err, 90));
	}
}

/* ---- how often ----------------------------------------------------------------------- */

static bool is_told(struct house *house, const struct err *err)
{
	struct json *json = told(house, err, 1);
	bool was = json != NULL;

	json_free(json);
	return was;
}

static void an_event_is_told_once_and_reminded_of(void **state)
{
	struct house *house = *state;
	struct err err = err_of(ERR_NETWORK, "ca", "cannot be reached", "");
	struct notify *notify;

	with_command(house);
	add_certificate(house, "edge");
	assert_true(is_told(house, &err));
	for (unsigned i = 0; i < 23; i++) {
		pass(house, 3600);
		assert_false(is_told(house, &err));
	}
	pass(house, 3600);
	assert_true(is_told(house, &err));
	assert_false(is_told(house, &err));
	notify = notify_of(house);
	notify_renewed(notify, "edge");
	notify_free(notify);
	assert_true(is_told(house, &err)); /* a new one */
}

static void what_many_suffer_from_is_one_event(void **state)
{
	struct house *house = *state;
	struct err err = err_of(ERR_NETWORK, "ca", "cannot be reached", "");
	struct err other = err_of(ERR_NETWORK, "ca", "does not answer", "");
	struct notify *notify = notify_of(house);
	struct json *json = NULL;

	with_command(house);
	for (unsigned i = 0; i < 300; i++) {
		char *name = xasprintf("edge%u", i);

		add_certificate(house, name);
		free(name);
	}
	for (unsigned i = 0; i < 300; i++) {
		struct notify_event event = event_of(house, i == 7 ? &other : &err, 0);

		event.lineage = house->conf->certificate[i].name;
		event.certificate = &house->conf->certificate[i];
		notify_failed(notify, &event);
	}
	tell(house, notify);
	assert_int_equal(house->runs, 2);
	assert_int_equal(json_parse(house->run[0].input, strlen(house->run[0].input), &json, NULL),
			 ERR_NONE);
	assert_int_equal(json_len(json_get(json, "lineages")), 299);
	json_free(json);
}

static void what_a_run_has_no_room_for_the_next_one_tells(void **state)
{
	struct house *house = *state;

	with_command(house);
	for (unsigned i = 0; i < 150; i++) {
		char *name = xasprintf("edge%u", i);

		add_certificate(house, name);
		free(name);
	}
	for (unsigned round = 0; round < 2; round++) {
		struct notify *notify = notify_of(house);

		for (unsigned i = 0; i < 150; i++) {
			char *text = xasprintf("sentence %u", i);
			struct err err = err_of(ERR_NETWORK, "ca", text, "");
			struct notify_event event = event_of(house, &err, 0);

			event.lineage = house->conf->certificate[i].name;
			notify_failed(notify, &event);
			free(text);
		}
		tell(house, notify);
		assert_int_equal(house->runs, round == 0 ? 100 : 50);
		forget_runs(house);
	}
}

static void a_command_that_fails_is_logged_and_run_again(void **state)
{
	struct house *house = *state;
	struct err err = err_of(ERR_NETWORK, "ca", "cannot be reached", "");

	with_command(house);
	add_certificate(house, "edge");
	house->broken = TELL;
	assert_true(is_told(house, &err));
	assert_true(is_told(house, &err));
	house->broken = NULL;
	assert_true(is_told(house, &err));
	assert_false(is_told(house, &err));
}

/* ---- deployments ----------------------------------------------------------------------- */

static enum err_code deploy_and_tell(struct house *house)
{
	struct notify *notify = notify_of(house);
	struct deploy *deploy = deploy_of(house, notify);
	enum err_code code;

	deploy_add_all(deploy, house, DEPLOY_NOW);
	deploy_start(deploy, on_deployed, house);
	finish(house);
	code = house->err.code;
	deploy_free(deploy);
	tell(house, notify);
	return code;
}

static void a_deployment_that_fails_is_told_once(void **state)
{
	struct house *house = *state;
	struct json *json = NULL;

	with_command(house);
	add_command(add_certificate(house, "edge"), "/bin/reload", NULL);
	add_command(add_certificate(house, "mail"), "/bin/reload", NULL);
	issue(house, "edge", "0A");
	issue(house, "mail", "0A");
	house->broken = "/bin/reload";
	assert_int_equal(deploy_and_tell(house), ERR_DEPLOY);
	assert_int_equal(house->runs, 2);
	assert_int_equal(json_parse(house->run[1].input, strlen(house->run[1].input), &json, NULL),
			 ERR_NONE);
	is(json, "event", "deploy-failed");
	assert_int_equal(json_len(json_get(json, "lineages")), 2);
	is(json_at(json_get(json, "lineages"), 1), "name", "mail");
	is(json_at(json_get(json, "lineages"), 1), "what", "/bin/reload");
	json_free(json);
	forget_runs(house);
	assert_int_equal(deploy_and_tell(house), ERR_DEPLOY);
	runs_are(house, "/bin/reload");
	house->broken = NULL;
	assert_int_equal(deploy_and_tell(house), ERR_NONE);
	runs_are(house, "/bin/reload");
	/* it is over: the next one is new */
	house->broken = "/bin/reload";
	issue(house, "edge", "0B");
	assert_int_equal(deploy_and_tell(house), ERR_DEPLOY);
	runs_are(house, "/bin/reload; " TELL " ops");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOUSE(nobody_is_told_without_a_command),
		HOUSE(a_failed_renewal_is_told_when_little_life_is_left),
		HOUSE(a_first_certificate_that_fails_is_told_at_once),
		HOUSE(what_only_a_person_can_mend_is_told_at_once),
		HOUSE(what_may_pass_by_itself_is_not),
		HOUSE(an_event_is_told_once_and_reminded_of),
		HOUSE(what_many_suffer_from_is_one_event),
		HOUSE(what_a_run_has_no_room_for_the_next_one_tells),
		HOUSE(a_command_that_fails_is_logged_and_run_again),
		HOUSE(a_deployment_that_fails_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
