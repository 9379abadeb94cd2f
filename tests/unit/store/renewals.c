/* What renewal remembers, on disk. */
#include "bed.h"

#include <sqlite3.h>
#include <time.h>

static struct renewals *open_renewals(struct bed *bed)
{
	struct renewals *renewals = NULL;
	struct err err = { 0 };

	if (renewals_open(bed->state, &renewals, &err) != ERR_NONE) {
		print_error("%s: %s\n", err.subject, err.text);
	}
	assert_non_null(renewals);
	return renewals;
}

/* Fields of rows own their text; those of tests are constants. */
static char *text(const char *constant)
{
	return (char *)(uintptr_t)constant;
}

static struct renewal full_row(const char *lineage)
{
	return (struct renewal){
		.lineage = text(lineage),
		.stamp = text("v0007 1795485600"),
		.serial = text("04aa"),
		.not_before = 1000,
		.not_after = 2000,
		.issuer = text("CN=R1"),
		.names = text("*.example.com example.com"),
		.key_type = text("p256"),
		.cert_id = text("aki.serial"),
		.account = text("letsencrypt"),
		.directory = text("https://ca.example/dir"),
		.profile = text("tlsserver"),
		.wish = text("tlsserver classic"),
		.chain = text(""),
		.issued_at = 1001,
		.revoked_at = 1500,
		.window_start = 1600,
		.window_end = 1700,
		.draw_at = 1650,
		.hurried = true,
		.explanation = text("https://ca.example/why"),
		.ask_at = 1100,
		.ask_failures = 2,
		.jitter_ppm = 12345,
		.failures = 4000000000u,
		.refusals = 7,
		.failed_at = 1200,
		.retry_at = 1300,
		.failure = text("the CA is down"),
		.paused = true,
	};
}

static enum err_code put(struct renewals *renewals, const struct renewal *row)
{
	struct err err;

	return renewals_put(renewals, row, &err);
}

static struct renewal *get(struct renewals *renewals, const char *lineage)
{
	struct renewal *row = NULL;
	struct err err;

	assert_int_equal(renewals_get(renewals, lineage, &row, &err), ERR_NONE);
	return row;
}

static void assert_same(const struct renewal *a, const struct renewal *b)
{
	assert_string_equal(a->lineage, b->lineage);
	assert_string_equal(a->stamp, b->stamp);
	assert_string_equal(a->serial, b->serial);
	assert_int_equal(a->not_before, b->not_before);
	assert_int_equal(a->not_after, b->not_after);
	assert_string_equal(a->issuer, b->issuer);
	assert_string_equal(a->names, b->names);
	assert_string_equal(a->key_type, b->key_type);
	assert_string_equal(a->cert_id, b->cert_id);
	assert_string_equal(a->account, b->account);
	assert_string_equal(a->directory, b->directory);
	assert_string_equal(a->profile, b->profile);
	assert_string_equal(a->wish, b->wish);
	assert_string_equal(a->chain, b->chain);
	assert_int_equal(a->issued_at, b->issued_at);
	assert_int_equal(a->revoked_at, b->revoked_at);
	assert_int_equal(a->window_start, b->window_start);
	assert_int_equal(a->window_end, b->window_end);
	assert_int_equal(a->draw_at, b->draw_at);
	assert_string_equal(a->explanation, b->explanation);
	assert_int_equal(a->ask_at, b->ask_at);
	assert_int_equal(a->ask_failures, b->ask_failures);
	assert_int_equal(a->jitter_ppm, b->jitter_ppm);
	assert_int_equal(a->failures, b->failures);
	assert_int_equal(a->refusals, b->refusals);
	assert_true(a->hurried == b->hurried);
	assert_int_equal(a->failed_at, b->failed_at);
	assert_int_equal(a->retry_at, b->retry_at);
	assert_string_equal(a->failure, b->failure);
	assert_true(a->paused == b->paused);
}

static void every_field_outlives_the_process(void **state)
{
	struct renewals *renewals = open_renewals(*state);
	struct renewal row = full_row("edge");
	struct renewal *back, *copy;
	struct err err;

	assert_int_equal(put(renewals, &row), ERR_NONE);
	renewals_close(renewals);
	renewals = open_renewals(*state);
	back = get(renewals, "edge");
	assert_same(back, &row);
	copy = renewal_copy(back);
	renewal_free(back);
	assert_same(copy, &row);
	renewal_free(copy);
	assert_int_equal(renewals_get(renewals, "Edge", &back, &err), ERR_NOT_FOUND);

	row = (struct renewal){ .lineage = text("edge") }; /* replaced, not added */
	assert_int_equal(put(renewals, &row), ERR_NONE);
	back = get(renewals, "edge");
	assert_null(back->serial);
	assert_null(back->failure);
	assert_false(back->paused);
	renewal_free(back);
	renewals_close(renewals);
}

static void names_rows(void *arg, const struct renewal *row)
{
	buf_addf(arg, "%s ", row->lineage);
}

static void assert_rows(struct renewals *renewals, const char *expected)
{
	struct buf names = BUF_INIT(1000);
	struct err err;

	assert_int_equal(renewals_list(renewals, names_rows, &names, &err), ERR_NONE);
	assert_string_equal(buf_str(&names), expected);
	buf_clear(&names);
}

static void a_batch_is_written_whole_or_not_at_all(void **state)
{
	struct renewals *renewals = open_renewals(*state);
	struct renewal row = full_row("b");
	struct err err;

	assert_int_equal(put(renewals, &row), ERR_NONE);
	assert_int_equal(renewals_begin(renewals, &err), ERR_NONE);
	row.lineage = text("a");
	assert_int_equal(put(renewals, &row), ERR_NONE);
	err_set(&err, ERR_CANCELED, "", "no");
	assert_int_equal(renewals_end(renewals, ERR_CANCELED, &err), ERR_CANCELED);
	assert_string_equal(err.text, "no");
	assert_rows(renewals, "b ");

	assert_int_equal(renewals_begin(renewals, &err), ERR_NONE);
	assert_int_equal(put(renewals, &row), ERR_NONE);
	assert_int_equal(renewals_end(renewals, ERR_NONE, &err), ERR_NONE);
	assert_rows(renewals, "a b ");
	renewals_close(renewals);
}

static void assert_replaced(struct renewals *renewals, const struct renewal *before,
			    const struct renewal *row, const char *serial)
{
	struct renewal *there = NULL;
	struct err err;

	assert_int_equal(renewals_begin(renewals, &err), ERR_NONE);
	assert_int_equal(renewals_replace(renewals, before, row, &err), ERR_NONE);
	assert_int_equal(renewals_end(renewals, ERR_NONE, &err), ERR_NONE);
	if (serial) {
		there = get(renewals, row->lineage);
		assert_string_equal(there->serial, serial);
	} else {
		assert_int_equal(renewals_get(renewals, row->lineage, &there, &err), ERR_NOT_FOUND);
	}
	renewal_free(there);
}

/* Who reads certificates while another process renews them is late. */
static void a_row_read_anew_undoes_nothing(void **state)
{
	struct renewals *renewals = open_renewals(*state);
	struct renewal before = full_row("a"), row = full_row("a"), without = full_row("a");
	struct err err;

	row.serial = text("new");
	row.stamp = text("v0008 1795485601");
	without.stamp = NULL;
	assert_replaced(renewals, &before, &row, NULL);    /* it was removed meanwhile */
	assert_replaced(renewals, NULL, &before, "04aa");  /* there was none, and is none */
	assert_replaced(renewals, NULL, &row, "04aa");     /* there was none, and now is */
	assert_replaced(renewals, &without, &row, "04aa"); /* it was of no certificate */
	assert_replaced(renewals, &before, &row, "new");
	assert_replaced(renewals, &before, &before, "new"); /* it changed since it was read */
	assert_int_equal(put(renewals, &without), ERR_NONE);
	assert_replaced(renewals, &before, &row, "04aa");
	assert_replaced(renewals, &without, &row, "new");
	assert_int_equal(renewals_remove(renewals, "a", &err), ERR_NONE);
	renewals_close(renewals);
}

static void who_only_tries_does_not_wait(void **state)
{
	struct renewals *renewals = open_renewals(*state), *other = open_renewals(*state);
	struct timespec before, after;
	struct err err;

	assert_int_equal(renewals_begin(other, &err), ERR_NONE);
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(renewals_try_begin(renewals, &err), ERR_BUSY);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(after.tv_sec - before.tv_sec < 4); /* who waits does so for 5 s */
	assert_non_null(strstr(err.subject, "renewals.db"));
	assert_int_equal(renewals_end(other, ERR_NONE, &err), ERR_NONE);
	assert_int_equal(renewals_try_begin(renewals, &err), ERR_NONE);
	assert_int_equal(renewals_end(renewals, ERR_NONE, &err), ERR_NONE);
	renewals_close(renewals);
	renewals_close(other);
}

static void assert_orders(struct renewals *renewals, int64_t now_s, size_t count, int64_t oldest_s)
{
	struct err err;
	struct orders_made made = { 99, 99 };

	assert_int_equal(renewals_orders(renewals, "le", now_s, &made, &err), ERR_NONE);
	assert_int_equal(made.count, count);
	assert_int_equal(made.oldest_s, oldest_s);
}

static void note(struct renewals *renewals, const char *account, int64_t at_s)
{
	struct err err;

	assert_int_equal(renewals_note_order(renewals, account, at_s, &err), ERR_NONE);
}

static void orders_count_for_three_hours(void **state)
{
	struct renewals *renewals = open_renewals(*state);
	int64_t t = 1800000000;

	assert_orders(renewals, t, 0, 0);
	note(renewals, "le", t);
	note(renewals, "le", t);
	note(renewals, "other", t);
	note(renewals, "le", t + 60);
	assert_orders(renewals, t + 60, 3, t);
	assert_orders(renewals, t + ORDERS_WINDOW_S - 1, 3, t);
	assert_orders(renewals, t + ORDERS_WINDOW_S, 1, t + 60);
	assert_orders(renewals, t + ORDERS_WINDOW_S + 60, 0, 0);
	/* the clock goes back an hour: they were made all the same */
	assert_orders(renewals, t - 3600, 3, t);
	/* ... by a year: what is in the far future counts no more, and goes */
	assert_orders(renewals, t - 365 * 86400, 0, 0);
	note(renewals, "le", t - 365 * 86400);
	assert_orders(renewals, t + 60, 0, 0);
	renewals_close(renewals);
}

static void note_failed(struct renewals *renewals, const char *account, int64_t at_s, ...)
{
	struct strlist names = { 0 };
	const char *name;
	struct err err;
	va_list list;

	va_start(list, at_s);
	while ((name = va_arg(list, const char *))) {
		strlist_add(&names, name);
	}
	va_end(list);
	assert_int_equal(renewals_note_failed(renewals,
					      &(struct failed_validations){ .account = account,
									    .names = &names,
									    .at_s = at_s },
					      &err),
			 ERR_NONE);
	strlist_clear(&names);
}

static void assert_may_fail(struct renewals *renewals, size_t times, int64_t now_s, int64_t at_s)
{
	struct may_fail ask = {
		.account = "le", .name = "example.com", .times = times, .now_s = now_s
	};
	struct err err;
	int64_t found;

	assert_int_equal(renewals_may_fail_at(renewals, &ask, &found, &err), ERR_NONE);
	assert_int_equal(found, at_s);
}

/* Five in any hour, of one account and one name. */
static void failed_validations_count_for_an_hour(void **state)
{
	struct renewals *renewals = open_renewals(*state);
	int64_t t = 1800000000, hour = 3660;

	assert_may_fail(renewals, 5, t, t);
	note_failed(renewals, "le", t, "example.com", "example.com", "other.example", NULL);
	note_failed(renewals, "zs", t, "example.com", "example.com", NULL);
	assert_may_fail(renewals, 2, t, t);
	note_failed(renewals, "le", t + 600, "example.com", "example.com", NULL);
	assert_may_fail(renewals, 1, t + 600, t + 600);
	assert_may_fail(renewals, 2, t + 600, t + hour);
	assert_may_fail(renewals, 2, t + hour - 1, t + hour);
	assert_may_fail(renewals, 2, t + hour, t + hour);
	assert_may_fail(renewals, 4, t + hour, t + 600 + hour);
	note_failed(renewals, "le", t + 700, "example.com", NULL);
	assert_may_fail(renewals, 1, t + 700, t + hour);
	/* whatever is asked, an hour without a failure is enough */
	assert_may_fail(renewals, 9, t + 700, t + 700 + hour);
	assert_may_fail(renewals, 9, t + 700 + hour, t + 700 + hour);
	/* the clock goes back a little: they failed all the same; or far: they count no more */
	assert_may_fail(renewals, 1, t - 1800, t + hour);
	assert_may_fail(renewals, 1, t - 365 * 86400, t - 365 * 86400);
	note_failed(renewals, "le", t - 365 * 86400, "example.com", NULL);
	assert_may_fail(renewals, 5, t + 700, t + 700);
	renewals_close(renewals);
}

static void names_deployments(void *arg, const struct deployment *row)
{
	buf_addf(arg, "%s/%s=%s:%u ", row->lineage, row->what, row->serial ? row->serial : "-",
		 row->failures);
}

static void assert_deployments(struct renewals *renewals, const char *lineage, const char *expected)
{
	struct buf names = BUF_INIT(1000);
	struct err err;

	assert_int_equal(deployments_list(renewals, lineage, names_deployments, &names, &err),
			 ERR_NONE);
	assert_string_equal(buf_str(&names), expected);
	buf_clear(&names);
}

static void deployments_follow_their_lineage(void **state)
{
	struct renewals *renewals = open_renewals(*state);
	struct deployment row = { .lineage = text("edge"), .what = text("[\"a\"]") };
	struct strlist keep = { 0 };
	struct err err;

	assert_int_equal(deployments_put(renewals, &row, &err), ERR_NONE);
	row.serial = text("01");
	row.failures = 3;
	assert_int_equal(deployments_put(renewals, &row, &err), ERR_NONE);
	row.what = text("[\"b\"]");
	assert_int_equal(deployments_put(renewals, &row, &err), ERR_NONE);
	row.lineage = text("app");
	assert_int_equal(deployments_put(renewals, &row, &err), ERR_NONE);
	assert_deployments(renewals, NULL, "app/[\"b\"]=01:3 edge/[\"a\"]=01:3 edge/[\"b\"]=01:3 ");
	strlist_add(&keep, "[\"b\"]");
	assert_int_equal(deployments_keep(renewals, "edge", &keep, &err), ERR_NONE);
	assert_deployments(renewals, "edge", "edge/[\"b\"]=01:3 ");
	assert_int_equal(renewals_remove(renewals, "edge", &err), ERR_NONE);
	assert_deployments(renewals, NULL, "app/[\"b\"]=01:3 ");
	strlist_clear(&keep);
	renewals_close(renewals);
}

static bool due(struct renewals *renewals, int64_t now_s)
{
	struct err err;
	bool is_due = false;

	assert_int_equal(events_due(renewals,
				    &(struct told_event){ "renewal-failed edge", now_s, 86400 },
				    &is_due, &err),
			 ERR_NONE);
	return is_due;
}

static void people_are_told_once_and_reminded(void **state)
{
	struct renewals *renewals = open_renewals(*state);
	struct err err;

	assert_true(due(renewals, 1000000));
	assert_false(due(renewals, 1000001));
	assert_false(due(renewals, 1000000 + 86399));
	assert_true(due(renewals, 1000000 + 86400));
	assert_false(due(renewals, 1000000 + 86401));
	assert_true(due(renewals, 1000000)); /* the clock went back */
	assert_false(due(renewals, 1000001));
	assert_int_equal(events_over(renewals, "renewal-failed edge", &err), ERR_NONE);
	assert_true(due(renewals, 1000002));
	renewals_close(renewals);
}

static void a_newer_file_is_refused_and_left_alone(void **state)
{
	struct bed *bed = *state;
	char *path = path_join(bed->state, "renewals.db");
	struct renewals *renewals = open_renewals(bed);
	sqlite3 *db = NULL;
	struct err err;

	renewals_close(renewals);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 9", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(renewals_open(bed->state, &renewals, &err), ERR_IO);
	assert_non_null(strstr(err.text, "newer dns01 (version 9 of the renewals"));
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 3", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	renewals_close(open_renewals(bed));
	free(path);
}

/* As version 1 wrote it. */
static void an_earlier_file_is_taken_up(void **state)
{
	static const char before[] = "ALTER TABLE renewal DROP COLUMN revoked_at;"
				     "DROP TABLE failed_validation;"
				     "PRAGMA user_version = 1";
	struct bed *bed = *state;
	char *path = path_join(bed->state, "renewals.db");
	struct renewals *renewals = open_renewals(bed);
	struct renewal row = full_row("edge"), *back;
	sqlite3 *db = NULL;

	assert_int_equal(put(renewals, &row), ERR_NONE);
	renewals_close(renewals);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, before, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	renewals = open_renewals(bed);
	back = get(renewals, "edge");
	assert_int_equal(back->revoked_at, 0);
	row.revoked_at = 0;
	assert_same(back, &row);
	renewal_free(back);
	note_failed(renewals, "le", 2000, "example.com", NULL);
	renewals_close(renewals);
	free(path);
}

static void count_row(void *arg, const struct renewal *row)
{
	*(size_t *)arg += row->not_after == 2000;
}

/* No time is asserted: the figure is for people. */
static void forty_thousand_rows_are_listed(void **state)
{
	struct renewals *renewals = open_renewals(*state);
	struct renewal row = full_row("");
	struct timespec before, after;
	size_t count = 0;
	struct err err;

	assert_int_equal(renewals_begin(renewals, &err), ERR_NONE);
	for (size_t i = 0; i < 40000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "host-%zu", i);
		row.lineage = name;
		assert_int_equal(put(renewals, &row), ERR_NONE);
	}
	assert_int_equal(renewals_end(renewals, ERR_NONE, &err), ERR_NONE);
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(renewals_list(renewals, count_row, &count, &err), ERR_NONE);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_int_equal(count, 40000);
	print_message("# 40,000 rows listed in %.0f ms\n",
		      (double)(after.tv_sec - before.tv_sec) * 1e3 +
			      (double)(after.tv_nsec - before.tv_nsec) / 1e6);
	renewals_close(renewals);
}

#define IN_BED(test) cmocka_unit_test_setup_teardown(test, bed_setup, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_BED(every_field_outlives_the_process),
		IN_BED(a_batch_is_written_whole_or_not_at_all),
		IN_BED(a_row_read_anew_undoes_nothing),
		IN_BED(who_only_tries_does_not_wait),
		IN_BED(orders_count_for_three_hours),
		IN_BED(failed_validations_count_for_an_hour),
		IN_BED(deployments_follow_their_lineage),
		IN_BED(people_are_told_once_and_reminded),
		IN_BED(a_newer_file_is_refused_and_left_alone),
		IN_BED(an_earlier_file_is_taken_up),
		IN_BED(forty_thousand_rows_are_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
