/* The plan: who shares what, who is alive, whose results count. */
#include "store/bed.h"
#include "store/journal_internal.h"

#include <signal.h>

static struct journal_want process_want(const char *value)
{
	return want_of(value, (struct lease_spec)PROCESS_LEASE);
}

static struct journal_want timed_want(const char *value, int64_t duration_s)
{
	return want_of(value, (struct lease_spec)TIMED_LEASE(duration_s));
}

static void retracts(struct answer answer, size_t count)
{
	assert_int_equal(answer.err.code, ERR_NONE);
	assert_int_equal(answer.count, count);
	answer_clear(&answer);
}

/* ---- the life of a value ---------------------------------------------------------- */

static void a_value_comes_and_goes(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal_want want = process_want("one");
	struct journal_plan plan = plan_of(&want, 1);
	struct answer answer = plan_run_now(bed, journal, &plan);
	struct journal_let_go held;

	assert_int_equal(answer.wanted_count, 1);
	assert_int_equal(answer.count, 0);
	assert_int_equal(answer.wanted[0].state, JOURNAL_WANTED);
	held = held_by(&answer.wanted[0], &want);
	settle(journal, answer.wanted[0].ref, JOURNAL_PUT);
	answer_clear(&answer);
	answer = list_now(bed, journal, NULL, NULL);
	assert_int_equal(answer.count, 1);
	expect_row(&answer.rows[0], JOURNAL_APPLIED);
	answer_clear(&answer);

	answer = let_go_now(bed, journal, held);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.rows[0].state, JOURNAL_RETRACTING);
	assert_string_equal(answer.rows[0].value, "one");
	settle(journal, answer.rows[0].ref, JOURNAL_GONE);
	answer_clear(&answer);
	assert_int_equal(row_count(bed, journal, NULL), 0);
	journal_close(journal);
}

/* The place of a value has the name that its provider had last. */
static void a_provider_may_get_another_name(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal_want want = process_want("two");
	struct journal_plan plan = plan_of(&want, 1);
	struct answer answer;

	want_now(bed, journal, process_want("one"), NULL);
	plan.provider = "renamed";
	answer = plan_run_now(bed, journal, &plan);
	answer_clear(&answer);
	answer = list_now(bed, journal, NULL, NULL);
	assert_int_equal(answer.count, 2);
	assert_string_equal(answer.rows[0].provider, "renamed");
	assert_string_equal(answer.rows[1].provider, "renamed");
	answer_clear(&answer);
	journal_close(journal);
}

static void a_removal_that_failed_is_planned_again(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal_let_go held = { 0 };

	want_now(bed, journal, process_want("one"), &held);
	retracts(let_go_now(bed, journal, held), 1);
	retracts(let_go_now(bed, journal, NO_LEASE), 1);
	journal_close(journal);
}

static void other_zones_and_providers_stay(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal_plan plan = plan_of(NULL, 0);
	struct journal_let_go held = { 0 };

	want_now(bed, journal, process_want("one"), &held);
	plan.let_go = &held;
	plan.let_go_count = 1;
	plan.provider_conf = "{\"type\":\"another\"}";
	retracts(plan_run_now(bed, journal, &plan), 0);
	plan.provider_conf = "{\"type\":\"rfc2136\"}";
	plan.zone = "example.net";
	retracts(plan_run_now(bed, journal, &plan), 0);
	retracts(let_go_now(bed, journal, NO_LEASE), 1);
	journal_close(journal);
}

/* In one plan, and within a second in which all values were looked through already. */
static void a_value_that_two_let_go_is_removed_once(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal_want want = process_want("other");
	struct journal_let_go leases[3];
	struct journal_plan plan = plan_of(&want, 1);
	struct answer answer;

	want_now(bed, journal, process_want("one"), &leases[0]);
	want_now(bed, journal, timed_want("one", 60), &leases[1]);
	want_now(bed, journal, process_want("two"), &leases[2]);
	plan.let_go = leases;
	plan.let_go_count = 2;
	answer = plan_run_now(bed, journal, &plan);
	assert_int_equal(answer.count, 1);
	assert_string_equal(answer.rows[0].value, "one");
	settle(journal, answer.rows[0].ref, JOURNAL_GONE);
	answer_clear(&answer);
	/* What one lets go and another wants in the same plan stays. */
	want = process_want("two");
	plan.let_go = &leases[2];
	plan.let_go_count = 1;
	answer = plan_run_now(bed, journal, &plan);
	assert_int_equal(answer.count, 0);
	answer_clear(&answer);
	journal_close(journal);
}

/* What another process left is found with the first plan of the next second. */
static void a_dead_lease_is_found_within_a_second(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal *other = journal_of(bed);
	struct journal_want want = process_want("two");
	struct journal_plan plan = plan_of(&want, 1);
	struct answer answer;

	want_now(bed, journal, process_want("three"), NULL);
	want_now(bed, other, process_want("one"), NULL);
	journal_close(other);
	bed->wall_us += 1000000;
	answer = plan_run_now(bed, journal, &plan);
	assert_int_equal(answer.count, 1);
	assert_string_equal(answer.rows[0].value, "one");
	answer_clear(&answer);
	journal_close(journal);
}

/* ---- sharing ---------------------------------------------------------------------- */

static void two_requesters_share_one_row(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal_want wants[] = { process_want("one"), timed_want("one", 60),
					process_want("two") };
	struct journal_plan plan = plan_of(wants, 3);
	struct answer answer = plan_run_now(bed, journal, &plan);
	struct journal_let_go first = held_by(&answer.wanted[0], &wants[0]);
	struct journal_let_go second = held_by(&answer.wanted[1], &wants[1]);

	assert_int_equal(answer.wanted_count, 3);
	assert_int_equal(answer.wanted[0].ref.row_id, answer.wanted[1].ref.row_id);
	assert_int_not_equal(first.lease_id, second.lease_id);
	assert_int_not_equal(answer.wanted[0].ref.row_id, answer.wanted[2].ref.row_id);
	answer_clear(&answer);
	assert_int_equal(row_count(bed, journal, NULL), 2);
	retracts(let_go_now(bed, journal, first), 0);
	retracts(let_go_now(bed, journal, second), 1);
	journal_close(journal);
}

static void what_is_in_dns_is_not_added_again(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal *other = journal_of(bed);
	struct journal_want want = process_want("one");
	struct journal_plan plan = plan_of(&want, 1);
	struct answer answer;
	struct journal_let_go held = { 0 };

	settle(journal, want_now(bed, journal, want, &held), JOURNAL_PUT);
	assert_int_equal(row_count(bed, journal, NULL), 1);
	answer = plan_run_now(bed, other, &plan);
	assert_int_equal(answer.wanted[0].state, JOURNAL_APPLIED);
	answer_clear(&answer);
	/* The other one holds it still. */
	retracts(let_go_now(bed, journal, held), 0);
	journal_close(other);
	retracts(let_go_now(bed, journal, NO_LEASE), 1);
	journal_close(journal);
}

static void a_value_on_its_way_out_is_added_again(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal_want want = process_want("one");
	struct journal_plan plan = plan_of(&want, 1);
	enum journal_state row_state = 0;
	struct answer answer;
	struct journal_let_go held = { 0 };

	settle(journal, want_now(bed, journal, want, &held), JOURNAL_PUT);
	retracts(let_go_now(bed, journal, held), 1);
	answer = plan_run_now(bed, journal, &plan);
	assert_int_equal(answer.wanted[0].state, JOURNAL_WANTED);
	assert_int_equal(answer.count, 0);
	settle(journal, answer.wanted[0].ref, JOURNAL_PUT);
	answer_clear(&answer);
	assert_int_equal(row_count(bed, journal, &row_state), 1);
	assert_int_equal(row_state, JOURNAL_APPLIED);
	journal_close(journal);
}

/* A lease's number is never another's: letting go twice harms nobody. */
static void letting_go_twice_is_harmless(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal_let_go first, second;

	settle(journal, want_now(bed, journal, process_want("one"), &first), JOURNAL_REFUSED);
	want_now(bed, journal, process_want("two"), &second);
	assert_int_not_equal(first.lease_id, second.lease_id);
	retracts(let_go_now(bed, journal, first), 0);
	journal_close(journal);
}

/* ---- late results ----------------------------------------------------------------- */

static void a_refused_new_value_leaves_no_row(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);

	settle(journal, want_now(bed, journal, process_want("one"), NULL), JOURNAL_REFUSED);
	assert_int_equal(row_count(bed, journal, NULL), 0);
	journal_close(journal);
}

/* The first add was perhaps done: its refusal the second time proves nothing. */
static void a_refused_old_value_keeps_its_row(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);

	want_now(bed, journal, process_want("one"), NULL);
	settle(journal, want_now(bed, journal, process_want("one"), NULL), JOURNAL_REFUSED);
	assert_int_equal(row_count(bed, journal, NULL), 1);
	journal_close(journal);
}

static void a_late_refusal_does_not_undo_another_add(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal *other = journal_of(bed);
	struct journal_ref ref = want_now(bed, journal, process_want("one"), NULL);

	settle(journal, ref, JOURNAL_REFUSED);
	settle(other, want_now(bed, other, process_want("one"), NULL), JOURNAL_PUT);
	assert_int_equal(row_count(bed, journal, NULL), 1);
	journal_close(journal);
	journal_close(other);
}

/* A removed a value and has not written that; B added it again, removed it in turn and died:
 * A's result is not about B's removal. */
static void a_late_removal_does_not_forget_another_value(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal *other = journal_of(bed);
	struct answer answer;
	struct journal_let_go held = { 0 };

	want_now(bed, journal, process_want("one"), &held);
	answer = let_go_now(bed, journal, held);
	settle(journal, answer.rows[0].ref, JOURNAL_GONE);
	answer_clear(&answer);

	want_now(bed, other, process_want("one"), &held);
	retracts(let_go_now(bed, other, held), 1);
	journal_abandon(other);
	assert_int_equal(row_count(bed, journal, NULL), 1);
	journal_close(journal);
}

static void a_late_add_does_not_hide_a_removal(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal *other = journal_of(bed);
	enum journal_state row_state = 0;
	struct journal_ref ref = want_now(bed, journal, timed_want("one", 10), NULL);

	settle(journal, ref, JOURNAL_PUT);
	bed->wall_us += 20 * 1000000;
	retracts(let_go_now(bed, other, NO_LEASE), 1); /* gone from DNS */
	want_now(bed, other, process_want("one"), NULL);
	assert_int_equal(row_count(bed, journal, &row_state), 1);
	assert_int_equal(row_state, JOURNAL_WANTED);
	journal_close(journal);
	journal_close(other);
}

/* ---- the dead --------------------------------------------------------------------- */

/* The child holds a value, and says so through ready_fd. */
static pid_t holder_child(struct bed *bed, int *ready_fd)
{
	int ready[2];
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		struct journal *journal = journal_of(bed);

		want_now(bed, journal, process_want("of a child"), NULL);
		assert_int_equal(write(ready[1], "!", 1), 1);
		pause();
		_exit(1);
	}
	close(ready[1]);
	*ready_fd = ready[0];
	return child;
}

static void a_killed_process_lets_go(void **state)
{
	struct bed *bed = *state;
	struct journal *journal;
	struct answer answer;
	char octet;
	int ready_fd = -1;
	pid_t child = holder_child(bed, &ready_fd);

	assert_int_equal(read(ready_fd, &octet, 1), 1);
	close(ready_fd);
	journal = journal_of(bed);
	retracts(let_go_now(bed, journal, NO_LEASE), 0);
	retracts(orphans_now(bed, journal), 0);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_true(WIFSIGNALED(bed_reap(child)));

	/* Whoever takes a byte next must not wake the dead. */
	want_now(bed, journal, process_want("ours"), NULL);
	answer = orphans_now(bed, journal);
	assert_int_equal(answer.count, 1);
	assert_string_equal(answer.rows[0].value, "of a child");
	answer_clear(&answer);
	retracts(let_go_now(bed, journal, NO_LEASE), 1);
	journal_close(journal);
}

static void two_journals_of_one_process_are_two_holders(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal *other = journal_of(bed);

	want_now(bed, journal, process_want("one"), NULL);
	want_now(bed, other, process_want("two"), NULL);
	assert_int_not_equal(journal->holder.byte, other->holder.byte);
	retracts(orphans_now(bed, journal), 0);
	journal_abandon(other);
	retracts(orphans_now(bed, journal), 1);
	retracts(let_go_now(bed, journal, NO_LEASE), 1);
	journal_close(journal);
}

static void a_closed_journal_holds_nothing(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);

	want_now(bed, journal, process_want("one"), NULL);
	journal_close(journal);
	journal = journal_of(bed);
	retracts(orphans_now(bed, journal), 1);
	journal_close(journal);
}

/* ---- time ------------------------------------------------------------------------- */

static void a_timed_lease_ends_by_the_clock(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);

	want_now(bed, journal, timed_want("one", 3600), NULL);
	journal_close(journal); /* its process need not live */
	journal = journal_of(bed);
	bed->wall_us += INT64_C(3599) * 1000000;
	retracts(let_go_now(bed, journal, NO_LEASE), 0);
	bed->wall_us += 1000000;
	retracts(let_go_now(bed, journal, NO_LEASE), 1);
	journal_close(journal);
}

static void a_clock_gone_back_ends_it_after_its_duration(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);

	want_now(bed, journal, timed_want("one", 3600), NULL);
	bed->wall_us -= INT64_C(86400) * 1000000;
	retracts(orphans_now(bed, journal), 0); /* noticed */
	bed->wall_us += INT64_C(3599) * 1000000;
	retracts(let_go_now(bed, journal, NO_LEASE), 0);
	bed->wall_us += 1000000;
	retracts(let_go_now(bed, journal, NO_LEASE), 1);
	journal_close(journal);
}

static void a_boot_in_1970_removes_nothing(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);

	want_now(bed, journal, timed_want("one", 3600), NULL);
	bed->wall_us = 0;
	retracts(let_go_now(bed, journal, NO_LEASE), 0);
	/* Then the clock is set, and the lease's own times count again. */
	bed->wall_us = (BED_NOW_S + 1800) * 1000000;
	retracts(let_go_now(bed, journal, NO_LEASE), 0);
	/* Another step back has nothing to do with the first. */
	bed->wall_us = (BED_NOW_S - 60) * 1000000;
	retracts(let_go_now(bed, journal, NO_LEASE), 0);
	bed->wall_us = (BED_NOW_S + 3600) * 1000000;
	retracts(let_go_now(bed, journal, NO_LEASE), 1);
	journal_close(journal);
}

/* ---- other writers, cancel, limits ------------------------------------------------ */

static void another_writer_is_waited_for(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal *other = journal_of(bed);
	struct journal_want want = process_want("one");
	struct journal_plan plan = plan_of(&want, 1);
	struct answer answer = { 0 };
	int64_t began_us = bed->mono_us;

	assert_int_equal(sql_run(other, SQL_BEGIN_WRITE, NULL), ERR_NONE);
	journal_plan_start(journal, &plan, on_planned, &answer);
	for (int i = 0; i < 10; i++) {
		assert_true(bed_turn(bed));
	}
	assert_int_equal(answer.done, 0);
	assert_true(bed->mono_us > began_us);
	assert_int_equal(sql_run(other, SQL_COMMIT, NULL), ERR_NONE);
	answer_wait(bed, &answer);
	assert_int_equal(answer.err.code, ERR_NONE);
	assert_int_equal(answer.wanted_count, 1);
	answer_clear(&answer);
	journal_close(journal);
	journal_close(other);
}

static void a_writer_that_hangs_is_an_error(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal *other = journal_of(bed);
	int64_t began_us = bed->mono_us;
	struct answer answer;

	assert_int_equal(sql_run(other, SQL_BEGIN_WRITE, NULL), ERR_NONE);
	answer = let_go_now(bed, journal, NO_LEASE);
	assert_int_equal(answer.err.code, ERR_BUSY);
	assert_non_null(strstr(answer.err.text, "30 s"));
	assert_in_range(bed->mono_us - began_us, 30000000, 31000000);
	journal_abandon(other);
	journal_close(journal);
}

static void a_canceled_plan_writes_nothing(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal_want want = process_want("one");
	struct journal_plan plan = plan_of(&want, 1);
	struct answer answer = { 0 };

	journal_call_cancel(journal_plan_start(journal, &plan, on_planned, &answer));
	journal_call_cancel(NULL);
	while (bed_turn(bed)) {
	}
	assert_int_equal(answer.done, 0);
	assert_int_equal(row_count(bed, journal, NULL), 0);
	journal_close(journal);
}

static void on_planned_close(void *arg, const struct err *err,
			     const struct journal_planned *planned)
{
	assert_null(err);
	assert_int_equal(planned->wanted_count, 1);
	journal_close(*(struct journal **)arg);
	*(struct journal **)arg = NULL;
}

static void a_callback_may_close_the_journal(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal_want want = process_want("one");
	struct journal_plan plan = plan_of(&want, 1);

	journal_plan_start(journal, &plan, on_planned_close, &journal);
	while (journal) {
		assert_true(bed_turn(bed));
	}
}

static void a_value_too_long_is_refused(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	char value[JOURNAL_VALUE_MAX + 2];
	struct journal_want want = process_want(value);
	struct journal_plan plan = plan_of(&want, 1);
	struct answer answer;

	memset(value, 'v', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	answer = plan_run_now(bed, journal, &plan);
	assert_int_equal(answer.err.code, ERR_LIMIT);
	value[JOURNAL_VALUE_MAX] = '\0';
	want_now(bed, journal, want, NULL);
	journal_close(journal);
}

/* Many values in one plan, as many as there may be: each once, all in one answer. */
static void on_many(void *arg, const struct err *err, const struct journal_planned *planned)
{
	assert_null(err);
	*(size_t *)arg = planned->wanted_count + planned->retract_count;
}

static size_t plan_many(struct bed *bed, struct journal *journal, const struct journal_plan *plan)
{
	size_t answered = 0;

	journal_plan_start(journal, plan, on_many, &answered);
	while (answered == 0) {
		assert_true(bed_turn(bed));
	}
	return answered;
}

static void a_plan_holds_thousands(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal_want *wants = xcalloc(JOURNAL_PLAN_MAX, sizeof(*wants));
	struct journal_plan plan = plan_of(wants, JOURNAL_PLAN_MAX);

	for (size_t i = 0; i < JOURNAL_PLAN_MAX; i++) {
		wants[i] = timed_want(xasprintf("value %zu", i), 10);
	}
	assert_int_equal(plan_many(bed, journal, &plan), JOURNAL_PLAN_MAX);
	bed->wall_us += 20 * 1000000;
	plan.want_count = 0;
	assert_int_equal(plan_many(bed, journal, &plan), JOURNAL_PLAN_MAX);
	for (size_t i = 0; i < JOURNAL_PLAN_MAX; i++) {
		union {
			const char *in;
			char *out;
		} value = { .in = wants[i].value };

		free(value.out);
	}
	free(wants);
	journal_close(journal);
}

/* ---- a full disk ------------------------------------------------------------------ */

static void nothing_is_planned_on_a_full_database(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	char value[JOURNAL_VALUE_MAX + 1];
	struct journal_want want = process_want(value);
	struct journal_plan plan = plan_of(&want, 1);
	struct answer answer;
	size_t before;

	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	assert_int_equal(sql_text_run(journal, "PRAGMA max_page_count = 12", NULL), ERR_NONE);
	for (value[0] = 'a'; value[0] < 'p'; value[0]++) {
		before = row_count(bed, journal, NULL);
		answer = plan_run_now(bed, journal, &plan);
		if (answer.err.code != ERR_NONE) {
			break;
		}
		answer_clear(&answer);
	}
	assert_int_equal(answer.err.code, ERR_IO);
	assert_non_null(strstr(answer.err.text, "disk is full: nothing was changed in DNS"));
	assert_int_equal(row_count(bed, journal, NULL), before);
	/* Room again: it goes on. */
	assert_int_equal(sql_text_run(journal, "PRAGMA max_page_count = 1000", NULL), ERR_NONE);
	want_now(bed, journal, want, NULL);
	journal_close(journal);
}

static void plan_on_a_full_disk(struct bed *bed)
{
	struct journal_want want = process_want("one");
	struct journal_plan plan = plan_of(&want, 1);
	struct journal *journal = journal_of(bed);
	struct answer answer;

	assert_int_equal(row_count(bed, journal, NULL), 0);
	bed_fill(bed);
	answer = plan_run_now(bed, journal, &plan);
	assert_int_equal(answer.err.code, ERR_IO);
	assert_non_null(strstr(answer.err.text, "disk is full: nothing was changed in DNS"));
	assert_int_equal(row_count(bed, journal, NULL), 0);
	journal_close(journal);
}

static void nothing_is_planned_on_a_full_disk(void **state)
{
	bed_on_small_disk(*state, plan_on_a_full_disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_value_comes_and_goes),
		TEST(a_provider_may_get_another_name),
		TEST(a_removal_that_failed_is_planned_again),
		TEST(other_zones_and_providers_stay),
		TEST(a_value_that_two_let_go_is_removed_once),
		TEST(a_dead_lease_is_found_within_a_second),
		TEST(two_requesters_share_one_row),
		TEST(what_is_in_dns_is_not_added_again),
		TEST(a_value_on_its_way_out_is_added_again),
		TEST(letting_go_twice_is_harmless),
		TEST(a_refused_new_value_leaves_no_row),
		TEST(a_refused_old_value_keeps_its_row),
		TEST(a_late_refusal_does_not_undo_another_add),
		TEST(a_late_removal_does_not_forget_another_value),
		TEST(a_late_add_does_not_hide_a_removal),
		TEST(a_killed_process_lets_go),
		TEST(two_journals_of_one_process_are_two_holders),
		TEST(a_closed_journal_holds_nothing),
		TEST(a_timed_lease_ends_by_the_clock),
		TEST(a_clock_gone_back_ends_it_after_its_duration),
		TEST(a_boot_in_1970_removes_nothing),
		TEST(another_writer_is_waited_for),
		TEST(a_writer_that_hangs_is_an_error),
		TEST(a_canceled_plan_writes_nothing),
		TEST(a_callback_may_close_the_journal),
		TEST(a_value_too_long_is_refused),
		TEST(a_plan_holds_thousands),
		TEST(nothing_is_planned_on_a_full_database),
		TEST(nothing_is_planned_on_a_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
