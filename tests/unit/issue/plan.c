/* What is due, when, and why. */
#include "dns01/issue.h"

#include "cmocka_all.h"

#include <inttypes.h>

#define T0 ((int64_t)1795485600) /* 2026-11-24T02:00:00Z */
#define HOUR ((int64_t)3600)
#define DAY (24 * HOUR)

static char *text(const char *constant)
{
	return (char *)(uintptr_t)constant;
}

/* 90 days from T0 on, of today's configuration. */
static struct renewal good_row(void)
{
	return (struct renewal){
		.lineage = text("edge"),
		.serial = text("01"),
		.cert_id = text("a.b"),
		.not_before = T0,
		.not_after = T0 + 90 * DAY,
		.issued_at = T0,
		.names = text("*.example.com example.com"),
		.key_type = text("p256"),
		.account = text("le"),
		.wish = text(""),
		.chain = text(""),
	};
}

static char le[] = "le", other[] = "other";
static char *const named_accounts[] = { le, other, NULL };
static const struct strlist accounts = { .item = (char **)(uintptr_t)named_accounts, .count = 2 };

static struct plan_input input_of(const struct renewal *row, int64_t now_s)
{
	return (struct plan_input){
		.row = row,
		.names = "*.example.com example.com",
		.key_type = "p256",
		.accounts = &accounts,
		.wish = "",
		.now_s = now_s,
		.wake_s = HOUR,
	};
}

static void assert_plan(const struct plan_input *input, enum plan_state state,
			enum plan_reason reason, int64_t at_s)
{
	struct plan plan;

	plan_make(input, &plan);
	if (plan.state != state || plan.reason != reason || plan.at_s != at_s) {
		print_error("%s for %s at T0%+" PRId64 "\n", plan_state_name(plan.state),
			    plan_reason_name(plan.reason), plan.at_s - T0);
	}
	assert_int_equal(plan.state, state);
	assert_int_equal(plan.reason, reason);
	assert_int_equal(plan.at_s, at_s);
}

static void assert_text(const struct plan_input *input, const char *expected)
{
	struct plan plan;
	char *found;

	plan_make(input, &plan);
	found = plan_text(input, &plan);
	assert_string_equal(found, expected);
	free(found);
}

/* ---- by lifetime ---- */

static void the_lifetime_decides_without_an_answer(void **state)
{
	static const struct {
		int64_t life_s, jitter_ppm, now_s;
		enum plan_state state;
		int64_t at_s;
	} cases[] = {
		{ 90 * DAY, 0, 59 * DAY, PLAN_WAITS, 60 * DAY },
		{ 90 * DAY, 0, 60 * DAY, PLAN_DUE, 60 * DAY },
		{ 45 * DAY, 0, 30 * DAY - 1, PLAN_WAITS, 30 * DAY },
		{ 45 * DAY, 20000, 30 * DAY, PLAN_DUE, 30 * DAY - 45 * DAY / 50 },
		{ 10 * DAY, 0, 0, PLAN_WAITS, 10 * DAY - 10 * DAY / 3 },
		{ 160 * HOUR, 0, 79 * HOUR, PLAN_WAITS, 80 * HOUR },
		{ 160 * HOUR, 0, 80 * HOUR, PLAN_DUE, 80 * HOUR },
		{ 24 * HOUR, 0, 12 * HOUR, PLAN_DUE, 12 * HOUR },
		{ 24 * HOUR, 49999, 10 * HOUR, PLAN_WAITS, 12 * HOUR - 4319 },
		/* a jitter that is too large is cut */
		{ 100 * DAY, INT64_MAX, 0, PLAN_WAITS, 100 * DAY - 100 * DAY / 3 - 10 * DAY },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct renewal row = good_row();
		struct plan_input input = input_of(&row, T0 + cases[i].now_s);

		row.not_after = T0 + cases[i].life_s;
		row.jitter_ppm = cases[i].jitter_ppm;
		print_message("# case %zu\n", i);
		assert_plan(&input, cases[i].state, PLAN_LIFE, T0 + cases[i].at_s);
	}
}

static void what_is_missing_or_expired_is_due(void **state)
{
	struct renewal row = good_row();
	struct plan_input input = input_of(NULL, T0);
	struct plan plan;

	(void)state;
	assert_plan(&input, PLAN_DUE, PLAN_MISSING, T0);
	assert_text(&input, "there is no certificate yet");
	input.row = &row;
	row.serial = NULL;
	assert_plan(&input, PLAN_DUE, PLAN_MISSING, T0);
	row.serial = text("01");
	input.now_s = row.not_after - 1;
	assert_plan(&input, PLAN_DUE, PLAN_LIFE, T0 + 60 * DAY);
	input.now_s = row.not_after;
	assert_plan(&input, PLAN_DUE, PLAN_EXPIRED, row.not_after);
	plan_make(&input, &plan);
	assert_false(plan_asks(&input, &plan));
	assert_text(&input, "it expired at 2027-02-22T02:00:00Z");
}

static void renew_before_is_obeyed_but_not_beyond_the_life(void **state)
{
	struct renewal row = good_row();
	struct plan_input input = input_of(&row, T0 + 40 * DAY);

	(void)state;
	input.renew_before_s = 20 * DAY;
	assert_plan(&input, PLAN_WAITS, PLAN_BEFORE, T0 + 70 * DAY);
	assert_text(&input, "renew_before is 20d");
	input.renew_before_s = 50 * DAY;
	assert_plan(&input, PLAN_DUE, PLAN_BEFORE, T0 + 40 * DAY);
	/* longer than its life: else each run would renew it */
	input.renew_before_s = 365 * DAY;
	input.now_s = T0 + 20 * DAY;
	assert_plan(&input, PLAN_WAITS, PLAN_BEFORE, T0 + 90 * DAY / 4);
	row.not_after = T0 + 6 * DAY;
	input.now_s = T0 + DAY;
	assert_plan(&input, PLAN_WAITS, PLAN_BEFORE, T0 + 6 * DAY / 4);
}

static void renew_before_stands_above_the_window_until_that_moves_into_the_past(void **state)
{
	struct renewal row = good_row();
	struct plan_input input = input_of(&row, T0 + 62 * DAY);
	struct acme_renewal_info info = { .start = T0 + 59 * DAY, .end = T0 + 61 * DAY };

	(void)state;
	input.renew_before_s = 20 * DAY;
	renewal_take_window(&row, &info, T0, 5);
	assert_plan(&input, PLAN_WAITS, PLAN_BEFORE, T0 + 70 * DAY);
	info.start = input.now_s - HOUR;
	info.end = input.now_s - HOUR / 2;
	renewal_take_window(&row, &info, input.now_s, 5);
	assert_true(row.hurried);
	assert_plan(&input, PLAN_DUE, PLAN_WINDOW, info.start + 5);
}

static void what_is_to_be_revoked_is_known_by_the_first_answer_too(void **state)
{
	struct renewal row = good_row(), old = good_row(), moved = good_row();
	struct acme_renewal_info info = { .start = T0 + DAY, .end = T0 + DAY + HOUR };
	struct plan_input input = input_of(&row, T0 + 2 * DAY);

	(void)state;
	input.renew_before_s = 20 * DAY;
	renewal_take_window(&row, &info, input.now_s, 5);
	assert_true(row.hurried);
	assert_plan(&input, PLAN_DUE, PLAN_WINDOW, info.start + 5);
	/* one that came from elsewhere, late in its life */
	info = (struct acme_renewal_info){ .start = T0 + 59 * DAY, .end = T0 + 61 * DAY };
	renewal_take_window(&old, &info, T0 + 62 * DAY, 5);
	assert_false(old.hurried);
	/* to before where it was, and not over yet */
	renewal_take_window(&moved, &info, T0, 5);
	info = (struct acme_renewal_info){ .start = T0 + DAY, .end = T0 + 3 * DAY };
	renewal_take_window(&moved, &info, T0 + 2 * DAY, 5);
	assert_true(moved.hurried);
}

/* ---- by the CA's window ---- */

static void the_window_decides_with_one_draw(void **state)
{
	struct renewal row = good_row();
	struct acme_renewal_info info = { .start = T0 + 50 * DAY,
					  .end = T0 + 52 * DAY,
					  .explanation = text("https://ca.example/why"),
					  .retry_after_s = 6 * HOUR };
	struct plan_input input = input_of(&row, T0 + 49 * DAY);
	struct plan plan;

	(void)state;
	renewal_take_window(&row, &info, T0 + HOUR, (uint64_t)(DAY + 2 * DAY));
	assert_int_equal(row.draw_at, T0 + 51 * DAY);
	assert_int_equal(row.ask_at, T0 + 7 * HOUR);
	assert_plan(&input, PLAN_WAITS, PLAN_WINDOW, T0 + 51 * DAY);
	/* the same window again: the same draw */
	renewal_take_window(&row, &info, T0 + DAY, 12345);
	assert_int_equal(row.draw_at, T0 + 51 * DAY);
	/* in the window, and the next look would come too late */
	input.now_s = T0 + 51 * DAY - HOUR;
	assert_plan(&input, PLAN_DUE, PLAN_WINDOW, T0 + 51 * DAY);
	input.now_s--;
	assert_plan(&input, PLAN_WAITS, PLAN_WINDOW, T0 + 51 * DAY);
	plan_make(&input, &plan);
	assert_true(plan.exempt);
	assert_text(&input, "the CA suggests 2027-01-13T02:00:00Z to 2027-01-15T02:00:00Z (why: "
			    "https://ca.example/why)");
	input.now_s = T0 + 52 * DAY;
	assert_text(&input, "the CA suggests 2027-01-13T02:00:00Z to 2027-01-15T02:00:00Z (why: "
			    "https://ca.example/why), drawn 2027-01-14T02:00:00Z");
	/* another window: another draw */
	info.end = T0 + 53 * DAY;
	renewal_take_window(&row, &info, T0 + DAY, 12345);
	assert_int_equal(row.draw_at, T0 + 50 * DAY + 12345);
	assert_false(row.hurried);
	free(row.explanation);
}

static void a_look_comes_before_the_window_only_if_the_next_comes_after_it(void **state)
{
	struct renewal row = good_row();
	struct plan_input input = input_of(&row, T0 + 10 * DAY);
	struct acme_renewal_info narrow = { .start = T0 + 10 * DAY + 60,
					    .end = T0 + 10 * DAY + 600 };
	struct acme_renewal_info wide = { .start = T0 + 10 * DAY + 60, .end = T0 + 11 * DAY };
	struct plan plan;

	(void)state;
	renewal_take_window(&row, &narrow, T0, 0);
	assert_plan(&input, PLAN_DUE, PLAN_WINDOW, narrow.start);
	plan_make(&input, &plan);
	assert_false(plan.exempt);
	input.wake_s = 0; /* --loop wakes just then */
	assert_plan(&input, PLAN_WAITS, PLAN_WINDOW, narrow.start);
	input.wake_s = HOUR;
	renewal_take_window(&row, &wide, T0, 0);
	assert_plan(&input, PLAN_WAITS, PLAN_WINDOW, wide.start);
}

static void a_window_in_the_past_is_due_and_urgent(void **state)
{
	struct renewal row = good_row(), late = good_row();
	struct plan_input input = input_of(&row, T0 + 10 * DAY);
	struct acme_renewal_info info = { .start = T0 + 10 * DAY - HOUR,
					  .end = T0 + 10 * DAY - HOUR / 2 };
	struct plan plan, later;

	(void)state;
	renewal_take_window(&row, &info, T0 + 10 * DAY, 77);
	assert_plan(&input, PLAN_DUE, PLAN_WINDOW, info.start + 77);
	plan_make(&input, &plan);
	assert_false(plan.exempt);
	input.row = &late;
	late.not_after = T0 + 12 * DAY; /* a sixth is left */
	plan_make(&input, &later);
	assert_int_equal(later.state, PLAN_DUE);
	assert_true(plan.rank < later.rank);
}

static void a_window_after_its_end_is_cut(void **state)
{
	struct renewal row = good_row();
	struct plan_input input = input_of(&row, T0 + 80 * DAY);
	struct acme_renewal_info info = { .start = T0 + 89 * DAY, .end = T0 + 900 * DAY };

	(void)state;
	renewal_take_window(&row, &info, T0, 0);
	assert_plan(&input, PLAN_WAITS, PLAN_LAST, T0 + 81 * DAY);
	input.now_s = T0 + 81 * DAY;
	assert_plan(&input, PLAN_DUE, PLAN_LAST, T0 + 81 * DAY);
	assert_text(&input, "the CA suggests 2027-02-21T02:00:00Z to 2029-05-12T02:00:00Z, but "
			    "only a tenth of its life is left then");
}

/* A CA whose windows always lie in the past must not be asked for a certificate every hour. */
static void a_fresh_certificate_is_left_alone_for_a_while(void **state)
{
	struct renewal row = good_row();
	struct plan_input input = input_of(&row, T0 + HOUR);
	struct acme_renewal_info info = { .start = T0 - 2 * DAY, .end = T0 - DAY };

	(void)state;
	renewal_take_window(&row, &info, T0, 0);
	assert_plan(&input, PLAN_WAITS, PLAN_WINDOW, T0 + DAY);
	assert_text(&input, "the CA suggests 2026-11-22T02:00:00Z to 2026-11-23T02:00:00Z, drawn "
			    "2026-11-22T02:00:00Z, too soon after it was issued");
	input.now_s = T0 + DAY;
	assert_plan(&input, PLAN_DUE, PLAN_WINDOW, T0 + DAY);
	row.not_after = T0 + DAY;
	input.now_s = T0 + 2 * HOUR;
	assert_plan(&input, PLAN_DUE, PLAN_WINDOW, T0 + DAY / 10);
	/* issued in the future: the clock went back, and nothing is held up by that */
	row.issued_at = T0 + 300 * DAY;
	assert_plan(&input, PLAN_DUE, PLAN_WINDOW, T0 - 2 * DAY);
}

static void the_ca_is_asked_when_it_said_and_not_in_vain(void **state)
{
	struct renewal row = good_row();
	struct plan_input input = input_of(&row, T0 + DAY);
	struct plan plan;

	(void)state;
	plan_make(&input, &plan);
	assert_true(plan_asks(&input, &plan));
	row.ask_at = T0 + DAY + 1;
	assert_false(plan_asks(&input, &plan));
	row.ask_at = T0 + DAY;
	assert_true(plan_asks(&input, &plan));
	row.ask_at = T0 + 100 * DAY; /* the clock was ahead */
	assert_true(plan_asks(&input, &plan));
	row.cert_id = NULL;
	assert_false(plan_asks(&input, &plan));
	row.cert_id = text("a.b");
	input.names = "www.example.com"; /* it is replaced anyway */
	plan_make(&input, &plan);
	assert_false(plan_asks(&input, &plan));
	row.failures = 1; /* or not so soon */
	plan_make(&input, &plan);
	assert_true(plan_asks(&input, &plan));
	input.row = NULL;
	plan_make(&input, &plan);
	assert_false(plan_asks(&input, &plan));
}

static void retry_after_of_the_window_is_clamped(void **state)
{
	struct renewal row = good_row();
	struct acme_renewal_info info = { .start = T0 + DAY, .end = T0 + 2 * DAY };

	(void)state;
	info.retry_after_s = 0;
	renewal_take_window(&row, &info, T0, 0);
	assert_int_equal(row.ask_at, T0 + 60);
	info.retry_after_s = INT64_MAX;
	renewal_take_window(&row, &info, T0, 0);
	assert_int_equal(row.ask_at, T0 + DAY);
	info.end = info.start; /* no answer: nothing changes */
	renewal_take_window(&row, &info, T0 + HOUR, 0);
	assert_int_equal(row.window_end, T0 + 2 * DAY);
}

static void silence_passes_or_lasts(void **state)
{
	struct renewal row = good_row();
	struct err passing = { .code = ERR_TIMEOUT }, lasting = { .code = ERR_PROTOCOL };
	int64_t waits[12];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		renewal_take_silence(&row, &passing, T0, 0);
		waits[i] = row.ask_at - T0;
	}
	assert_int_equal(waits[0], 300);
	assert_int_equal(waits[1], 600);
	assert_int_equal(waits[11], 6 * HOUR);
	row.ask_failures = UINT32_MAX;
	renewal_take_silence(&row, &passing, T0, UINT64_MAX);
	assert_in_range(row.ask_at, T0 + 5 * HOUR, T0 + 6 * HOUR);
	renewal_take_silence(&row, &lasting, T0, 0);
	assert_int_equal(row.ask_at, T0 + 6 * HOUR);
	passing.retry_after_s = 90;
	renewal_take_silence(&row, &passing, T0, 0);
	assert_int_equal(row.ask_at, T0 + 90);
	/* a day is for the CA's word, not for a server that is down: RFC 9773 s.4.3.3 */
	passing.retry_after_s = INT64_MAX;
	renewal_take_silence(&row, &passing, T0, 0);
	assert_int_equal(row.ask_at, T0 + 6 * HOUR);
}

/* ---- changed ---- */

static void what_the_configuration_changed_is_due(void **state)
{
	struct renewal row = good_row();
	struct plan_input input = input_of(&row, T0 + DAY);

	(void)state;
	assert_plan(&input, PLAN_WAITS, PLAN_LIFE, T0 + 60 * DAY);
	input.names = "*.example.com www.example.org";
	assert_plan(&input, PLAN_DUE, PLAN_NAMES, T0 + DAY);
	assert_text(&input, "its names changed: +www.example.org -example.com");
	input.names = row.names;
	input.key_type = "rsa2048";
	assert_plan(&input, PLAN_DUE, PLAN_KEY_TYPE, T0 + DAY);
	assert_text(&input, "its key type changed: p256, now rsa2048");
	input.key_type = "p256";
	input.wish = "tlsserver classic";
	assert_plan(&input, PLAN_DUE, PLAN_PROFILE, T0 + DAY);
	assert_text(&input, "its profile changed: none, now tlsserver classic");
	input.wish = "";
	input.chain = "ISRG Root X2";
	assert_plan(&input, PLAN_DUE, PLAN_CHAIN, T0 + DAY);
	input.chain = NULL;
	row.account = text("old");
	assert_plan(&input, PLAN_DUE, PLAN_ACCOUNT, T0 + DAY);
	assert_text(&input, "its account changed: old, now le");
	row.account = text("other"); /* by the fallback: no reason to order again */
	assert_plan(&input, PLAN_WAITS, PLAN_LIFE, T0 + 60 * DAY);
	/* what is not known is not compared */
	row.account = row.wish = row.chain = row.key_type = NULL;
	input.wish = "classic";
	input.chain = "X2";
	assert_plan(&input, PLAN_WAITS, PLAN_LIFE, T0 + 60 * DAY);
}

static void what_was_revoked_is_due_at_once(void **state)
{
	struct renewal row = good_row();
	struct plan_input input = input_of(&row, T0 + DAY);
	struct plan plan;

	(void)state;
	row.revoked_at = T0 + DAY - HOUR;
	input.names = "www.example.org"; /* whatever else changed */
	assert_plan(&input, PLAN_DUE, PLAN_REVOKED, T0 + DAY - HOUR);
	assert_text(&input, "it was revoked at 2026-11-25T01:00:00Z");
	plan_make(&input, &plan);
	assert_int_equal(plan.rank, 0);
	assert_false(plan_asks(&input, &plan));
	row.revoked_at = T0 + 2 * DAY; /* the clock went back */
	assert_plan(&input, PLAN_DUE, PLAN_REVOKED, T0 + DAY);
	row.failures = 1;
	row.failed_at = T0 + DAY;
	row.retry_at = T0 + DAY + 60;
	assert_plan(&input, PLAN_BACKS_OFF, PLAN_REVOKED, T0 + DAY + 60);
}

static void force_is_heard_but_keeps_a_better_reason(void **state)
{
	struct renewal row = good_row();
	struct plan_input input = input_of(&row, T0 + DAY);

	(void)state;
	input.force = true;
	assert_plan(&input, PLAN_DUE, PLAN_FORCED, T0 + DAY);
	input.key_type = "p384";
	assert_plan(&input, PLAN_DUE, PLAN_KEY_TYPE, T0 + DAY);
}

/* ---- after a failure ---- */

static void a_failure_holds_it_back_but_not_a_clock_that_went_back(void **state)
{
	struct renewal row = good_row();
	struct err err = { .code = ERR_ACME };
	struct plan_input input = input_of(&row, T0 + 65 * DAY);

	(void)state;
	snprintf(err.text, sizeof(err.text), "the CA saw no record");
	renewal_take_failure(&row, &err, input.now_s, 0);
	assert_plan(&input, PLAN_BACKS_OFF, PLAN_LIFE, input.now_s + 600);
	assert_text(&input, "a third of its life is left then; it failed 1 time and is tried again "
			    "at 2027-01-28T02:10:00Z: the CA saw no record");
	input.now_s += 600;
	assert_plan(&input, PLAN_DUE, PLAN_LIFE, T0 + 60 * DAY);
	input.now_s = T0 + 64 * DAY;
	assert_plan(&input, PLAN_DUE, PLAN_LIFE, T0 + 60 * DAY);
	input.now_s = T0 + 65 * DAY;
	input.force = true;
	assert_plan(&input, PLAN_DUE, PLAN_LIFE, T0 + 60 * DAY);
	free(row.failure);
}

static void a_pause_lasts_until_it_is_forced(void **state)
{
	struct renewal row = good_row();
	struct err err = { .code = ERR_DENIED,
			   .problem = "urn:ietf:params:acme:error:rateLimited" };
	struct plan_input input = input_of(&row, T0 + 65 * DAY);

	(void)state;
	snprintf(err.text, sizeof(err.text), "go to https://ca.example/unpause");
	renewal_take_failure(&row, &err, input.now_s, 0);
	assert_true(row.paused);
	input.now_s += 10 * DAY;
	assert_plan(&input, PLAN_PAUSED, PLAN_LIFE, T0 + 60 * DAY);
	assert_text(&input, "a third of its life is left then; the CA wants a person first: go to "
			    "https://ca.example/unpause; after that, `dns01 renew --force edge`");
	input.force = true;
	assert_plan(&input, PLAN_DUE, PLAN_LIFE, T0 + 60 * DAY);
	free(row.failure);
}

static int64_t wait_of(struct renewal *row, const struct err *err, int64_t now_s, uint64_t draw)
{
	renewal_take_failure(row, err, now_s, draw);
	assert_int_equal(row->failed_at, now_s);
	return row->retry_at - now_s;
}

static void the_ca_s_verdicts_back_off_to_a_day(void **state)
{
	struct renewal row = good_row();
	struct err err = { .code = ERR_ACME };

	(void)state;
	assert_int_equal(wait_of(&row, &err, T0, 0), 600);
	assert_int_equal(wait_of(&row, &err, T0, 0), 6000);
	assert_int_equal(wait_of(&row, &err, T0, 0), 60000);
	assert_int_equal(wait_of(&row, &err, T0, 0), DAY);
	assert_int_equal(wait_of(&row, &err, T0, 0), DAY);
	assert_int_equal(row.failures, 5);
	row.failures = row.refusals = UINT32_MAX;
	assert_int_equal(wait_of(&row, &err, T0, 0), DAY);
	assert_int_equal(row.failures, UINT32_MAX);
	assert_int_equal(row.refusals, UINT32_MAX);
	assert_in_range(wait_of(&row, &err, T0, UINT64_MAX), DAY - DAY / 10, DAY);
	/* a tenth of what is left; an hour once it is over */
	assert_int_equal(wait_of(&row, &err, T0 + 85 * DAY, 0), DAY / 2);
	assert_int_equal(wait_of(&row, &err, row.not_after - 2 * HOUR, 0), HOUR / 5);
	assert_int_equal(wait_of(&row, &err, row.not_after - 1, UINT64_MAX), 60);
	assert_in_range(wait_of(&row, &err, row.not_after + DAY, UINT64_MAX), HOUR - HOUR / 10,
			HOUR);
	row.refusals = 0;
	assert_int_equal(wait_of(&row, &err, row.not_after - 1, 0), 60);
	row.refusals = 10;
	row.serial = NULL;
	assert_int_equal(wait_of(&row, &err, T0 + 500 * DAY, 0), DAY);
	free(row.failure);
}

/* It has no failure of its own: its names failed for another lineage, or it is forgotten. */
static void what_a_ca_would_not_try_waits(void **state)
{
	struct renewal row = good_row();
	struct plan_input input = input_of(&row, T0 + 65 * DAY);
	struct err err = { .code = ERR_ACME };

	(void)state;
	input.held_until = input.now_s + HOUR;
	input.held_name = "example.com";
	assert_plan(&input, PLAN_BACKS_OFF, PLAN_LIFE, input.now_s + HOUR);
	assert_text(&input, "a third of its life is left then; a CA allows 5 failed validations of "
			    "example.com in an hour, so it is tried again at 2027-01-28T03:00:00Z");
	input.force = true;
	assert_plan(&input, PLAN_DUE, PLAN_LIFE, T0 + 60 * DAY);
	input.force = false;
	snprintf(err.text, sizeof(err.text), "not found");
	renewal_take_failure(&row, &err, input.now_s, 0);
	assert_plan(&input, PLAN_BACKS_OFF, PLAN_LIFE, input.now_s + HOUR);
	assert_text(&input,
		    "a third of its life is left then; it failed 1 time; a CA allows 5 failed "
		    "validations of example.com in an hour, so it is tried again at "
		    "2027-01-28T03:00:00Z: not found");
	input.held_until = input.now_s + 599; /* it backs off for longer */
	assert_plan(&input, PLAN_BACKS_OFF, PLAN_LIFE, input.now_s + 600);
	input.now_s += 600;
	assert_plan(&input, PLAN_DUE, PLAN_LIFE, T0 + 60 * DAY);
	input.row = NULL;
	input.held_until = input.now_s + 1;
	assert_plan(&input, PLAN_BACKS_OFF, PLAN_MISSING, input.now_s + 1);
	free(row.failure);
}

/* CAs have a day to revoke what they must. */
static void what_is_to_be_revoked_waits_two_hours_at_most(void **state)
{
	struct renewal row = good_row();
	struct err err = { .code = ERR_ACME };

	(void)state;
	row.hurried = true;
	for (size_t i = 0; i < 20; i++) {
		assert_in_range(wait_of(&row, &err, T0, 0), 600, 2 * HOUR);
	}
	row.hurried = false; /* and here it is revoked */
	row.revoked_at = T0 - HOUR;
	assert_int_equal(wait_of(&row, &err, T0, 0), 2 * HOUR);
	free(row.failure);
}

/* An hourly timer comes too often for it, so that one good hour a day is enough. */
static void what_passes_is_tried_at_least_every_half_hour(void **state)
{
	static const enum err_code codes[] = { ERR_NETWORK, ERR_TIMEOUT, ERR_DNS,   ERR_IO,
					       ERR_DENIED,  ERR_BUSY,    ERR_CONFIG };
	struct renewal row = good_row();

	(void)state;
	for (size_t i = 0; i < 100; i++) {
		struct err err = { .code = codes[i % ARRAY_LEN(codes)] };

		assert_in_range(wait_of(&row, &err, T0 + (int64_t)i * HOUR, i * 7919), 54,
				HOUR / 2);
	}
	assert_int_equal(row.refusals, 0);
	free(row.failure);
}

static void retry_after_is_obeyed_within_reason(void **state)
{
	struct renewal row = good_row();
	struct err err = { .code = ERR_LIMIT, .retry_after_s = 34 * HOUR };

	(void)state;
	assert_int_equal(wait_of(&row, &err, T0, 0), 34 * HOUR);
	err.retry_after_s = INT64_MAX;
	assert_int_equal(wait_of(&row, &err, T0, 0), 8 * DAY);
	err.retry_after_s = 1;
	assert_int_equal(wait_of(&row, &err, T0, 0), 60000);
	err.retry_after_s = INT64_MIN;
	assert_int_equal(wait_of(&row, &err, T0, 0), DAY);
	/* a server that is down says what it likes: it is no limit */
	err = (struct err){ .code = ERR_NETWORK, .retry_after_s = 2 * HOUR };
	assert_int_equal(wait_of(&row, &err, T0, 0), 2 * HOUR);
	err.retry_after_s = INT64_MAX;
	assert_int_equal(wait_of(&row, &err, T0, 0), DAY);
	assert_int_equal(wait_of(&row, &err, row.not_after - 10 * HOUR, 0), HOUR);
	free(row.failure);
}

/* ---- numbers that overflow ---- */

/* Whatever the numbers, the verdict is one, and a certificate's own end is never passed over. */
static void no_number_breaks_it(void **state)
{
	static const int64_t odd[] = { INT64_MIN, INT64_MIN + 1, -1,       0, 1,
				       T0,        INT64_MAX - 1, INT64_MAX };
	struct plan plan;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(odd) * ARRAY_LEN(odd) * ARRAY_LEN(odd); i++) {
		struct renewal row = good_row();
		struct plan_input input = input_of(&row, T0);
		int64_t a = odd[i % ARRAY_LEN(odd)];
		int64_t b = odd[i / ARRAY_LEN(odd) % ARRAY_LEN(odd)];
		int64_t c = odd[i / ARRAY_LEN(odd) / ARRAY_LEN(odd)];

		row.not_before = a;
		row.not_after = b;
		row.jitter_ppm = c;
		row.issued_at = a;
		row.draw_at = c;
		row.ask_at = c;
		input.renew_before_s = c;
		plan_make(&input, &plan);
		free(plan_text(&input, &plan));
		(void)plan_asks(&input, &plan);
		if (b <= T0) {
			assert_int_equal(plan.state, PLAN_DUE);
		}
		row.window_start = a;
		row.window_end = b;
		input.renew_before_s = 0;
		plan_make(&input, &plan);
		(void)plan_asks(&input, &plan);
		if (b <= T0) {
			assert_int_equal(plan.state, PLAN_DUE);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lifetime_decides_without_an_answer),
		cmocka_unit_test(what_is_missing_or_expired_is_due),
		cmocka_unit_test(renew_before_is_obeyed_but_not_beyond_the_life),
		cmocka_unit_test(
			renew_before_stands_above_the_window_until_that_moves_into_the_past),
		cmocka_unit_test(what_is_to_be_revoked_is_known_by_the_first_answer_too),
		cmocka_unit_test(the_window_decides_with_one_draw),
		cmocka_unit_test(a_look_comes_before_the_window_only_if_the_next_comes_after_it),
		cmocka_unit_test(a_window_in_the_past_is_due_and_urgent),
		cmocka_unit_test(a_window_after_its_end_is_cut),
		cmocka_unit_test(a_fresh_certificate_is_left_alone_for_a_while),
		cmocka_unit_test(the_ca_is_asked_when_it_said_and_not_in_vain),
		cmocka_unit_test(retry_after_of_the_window_is_clamped),
		cmocka_unit_test(silence_passes_or_lasts),
		cmocka_unit_test(what_the_configuration_changed_is_due),
		cmocka_unit_test(what_was_revoked_is_due_at_once),
		cmocka_unit_test(force_is_heard_but_keeps_a_better_reason),
		cmocka_unit_test(a_failure_holds_it_back_but_not_a_clock_that_went_back),
		cmocka_unit_test(a_pause_lasts_until_it_is_forced),
		cmocka_unit_test(the_ca_s_verdicts_back_off_to_a_day),
		cmocka_unit_test(what_a_ca_would_not_try_waits),
		cmocka_unit_test(what_is_to_be_revoked_waits_two_hours_at_most),
		cmocka_unit_test(what_passes_is_tried_at_least_every_half_hour),
		cmocka_unit_test(retry_after_is_obeyed_within_reason),
		cmocka_unit_test(no_number_breaks_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
