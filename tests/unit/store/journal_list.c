/* What people and sweeps read from the journal. */
#include "store/bed.h"

static void want_at(struct bed *bed, struct journal *journal, const char *owner, const char *value)
{
	struct journal_want want = want_of(value, (struct lease_spec)TIMED_LEASE(3600));

	want.owner = owner;
	want_now(bed, journal, want, NULL);
}

static void lists_are_of_all_or_one_owner_or_one_value(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct answer answer;

	want_at(bed, journal, "_acme-challenge.a.example.com", "one");
	want_at(bed, journal, "_acme-challenge.a.example.com", "two");
	want_at(bed, journal, "_acme-challenge.b.example.com", "one");
	assert_int_equal(row_count(bed, journal, NULL), 3);
	answer = list_now(bed, journal, "_acme-challenge.a.example.com", NULL);
	assert_int_equal(answer.count, 2);
	answer_clear(&answer);
	answer = list_now(bed, journal, "_acme-challenge.a.example.com", "two");
	assert_int_equal(answer.count, 1);
	assert_string_equal(answer.rows[0].value, "two");
	answer_clear(&answer);
	answer = list_now(bed, journal, "a.example.com", NULL);
	assert_int_equal(answer.count, 0);
	answer_clear(&answer);
	journal_close(journal);
}

static void a_list_names_the_newest_living_requester(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct answer answer;

	want_now(bed, journal, want_of("one", (struct lease_spec)PROCESS_LEASE), NULL);
	answer = list_now(bed, journal, NULL, NULL);
	assert_string_equal(answer.rows[0].requester, "issue example.com");
	assert_int_equal(answer.rows[0].expires_at, 0);
	answer_clear(&answer);

	want_now(bed, journal, want_of("one", (struct lease_spec)TIMED_LEASE(60)), NULL);
	answer = list_now(bed, journal, NULL, NULL);
	assert_string_equal(answer.rows[0].requester, "hook certbot");
	assert_int_equal(answer.rows[0].expires_at, BED_NOW_S + 60);
	answer_clear(&answer);

	bed->wall_us += 61 * 1000000;
	answer = list_now(bed, journal, NULL, NULL);
	assert_string_equal(answer.rows[0].requester, "issue example.com");
	answer_clear(&answer);
	journal_close(journal);

	journal = journal_of(bed);
	answer = list_now(bed, journal, NULL, NULL);
	assert_string_equal(answer.rows[0].requester, "");
	assert_int_equal(answer.rows[0].expires_at, 0);
	answer_clear(&answer);
	journal_close(journal);
}

static struct answer revoke_matching(struct bed *bed, struct journal *journal,
				     struct journal_match match)
{
	struct answer answer = { 0 };

	journal_revoke_start(journal, &match, on_listed, &answer);
	answer_wait(bed, &answer);
	return answer;
}

static struct answer revoke_now(struct bed *bed, struct journal *journal, const char *value)
{
	return revoke_matching(bed, journal,
			       (struct journal_match){ .owner = "_acme-challenge.example.com",
						       .value = value });
}

static void revoking_ends_the_leases_of_all(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal *other = journal_of(bed);
	struct answer answer;

	want_now(bed, journal, want_of("one", (struct lease_spec)PROCESS_LEASE), NULL);
	want_now(bed, other, want_of("one", (struct lease_spec)PROCESS_LEASE), NULL);
	want_now(bed, other, want_of("two", (struct lease_spec)PROCESS_LEASE), NULL);
	answer = revoke_now(bed, journal, "one");
	assert_int_equal(answer.count, 1);
	assert_string_equal(answer.rows[0].requester, "issue example.com");
	answer_clear(&answer);
	answer = let_go_now(bed, journal, NO_LEASE);
	assert_int_equal(answer.count, 1);
	assert_string_equal(answer.rows[0].value, "one");
	answer_clear(&answer);
	answer = revoke_now(bed, journal, NULL);
	assert_int_equal(answer.count, 2);
	answer_clear(&answer);
	answer = let_go_now(bed, journal, NO_LEASE);
	assert_int_equal(answer.count, 2);
	answer_clear(&answer);
	journal_close(journal);
	journal_close(other);
}

static void revoking_for_one_requester_leaves_the_others(void **state)
{
	struct journal_match certbots = { .requester = "hook certbot" };
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct answer answer;

	want_now(bed, journal, want_of("both", (struct lease_spec)PROCESS_LEASE), NULL);
	want_now(bed, journal, want_of("both", (struct lease_spec)TIMED_LEASE(60)), NULL);
	want_now(bed, journal, want_of("its own", (struct lease_spec)TIMED_LEASE(60)), NULL);
	want_now(bed, journal, want_of("another's", (struct lease_spec)PROCESS_LEASE), NULL);
	answer = revoke_matching(bed, journal, certbots);
	assert_int_equal(answer.count, 2);
	answer_clear(&answer);
	answer = orphans_now(bed, journal);
	assert_int_equal(answer.count, 1);
	assert_string_equal(answer.rows[0].value, "its own");
	answer_clear(&answer);
	/* Nothing is left that this requester holds. */
	answer = revoke_matching(bed, journal, certbots);
	assert_int_equal(answer.count, 0);
	answer_clear(&answer);
	journal_close(journal);
}

/* An alias may lead two names to one owner. */
static void revoking_by_the_asked_name_leaves_what_another_name_asked_for(void **state)
{
	static const struct journal_match www = { .asked = "www.example.net" };
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct journal_want want = want_of("shared", (struct lease_spec)TIMED_LEASE(60));
	struct answer answer = { 0 };

	want_now(bed, journal, want, NULL);
	want.asked = "www.example.net";
	want_now(bed, journal, want, NULL);
	want.value = "of www";
	want_now(bed, journal, want, NULL);
	want.asked = "mail.example.net";
	want.value = "of mail";
	want_now(bed, journal, want, NULL);
	journal_abandon(journal);
	journal = journal_of(bed);
	journal_leases_start(journal, on_listed, &answer);
	answer_wait(bed, &answer);
	assert_int_equal(answer.count, 4);
	assert_string_equal(answer.rows[0].asked, "mail.example.net");
	assert_string_equal(answer.rows[1].asked, "www.example.net");
	assert_null(answer.rows[2].asked); /* the older lease of "shared" */
	assert_string_equal(answer.rows[3].asked, "www.example.net");
	answer_clear(&answer);
	answer = revoke_matching(bed, journal, www);
	assert_int_equal(answer.count, 2);
	answer_clear(&answer);
	answer = revoke_matching(bed, journal, www);
	assert_int_equal(answer.count, 0);
	answer_clear(&answer);
	answer = orphans_now(bed, journal);
	assert_int_equal(answer.count, 1);
	assert_string_equal(answer.rows[0].value, "of www");
	assert_null(answer.rows[0].asked);
	answer_clear(&answer);
	journal_close(journal);
}

static void plan_in(struct bed *bed, struct journal *journal, const char *zone, const char *conf)
{
	struct journal_want want = want_of(zone, (struct lease_spec)TIMED_LEASE(10));
	struct journal_plan plan = plan_of(&want, 1);
	struct answer answer;

	plan.zone = zone;
	plan.provider_conf = conf;
	answer = plan_run_now(bed, journal, &plan);
	assert_int_equal(answer.err.code, ERR_NONE);
	answer_clear(&answer);
}

static void orphans_come_grouped(void **state)
{
	static const char *const expected[] = { "a.example {1}", "a.example {2}", "b.example {1}" };
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct answer answer;

	plan_in(bed, journal, "b.example", "{1}");
	plan_in(bed, journal, "a.example", "{2}");
	plan_in(bed, journal, "a.example", "{1}");
	answer = orphans_now(bed, journal);
	assert_int_equal(answer.count, 0);
	answer_clear(&answer);
	bed->wall_us += 11 * 1000000;
	want_now(bed, journal, want_of("alive", (struct lease_spec)PROCESS_LEASE), NULL);
	answer = orphans_now(bed, journal);
	assert_int_equal(answer.count, ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		char *group = xasprintf("%s %s", answer.rows[i].zone, answer.rows[i].provider_conf);

		assert_string_equal(group, expected[i]);
		free(group);
	}
	answer_clear(&answer);
	journal_close(journal);
}

static void living_timed_leases_are_listed_each(void **state)
{
	static const char *const expected[] = { "a one", "a two", "b one" };
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct answer answer = { 0 };
	struct lease_spec lease = TIMED_LEASE(60), short_one = TIMED_LEASE(10);

	lease.requester = "b";
	want_now(bed, journal, want_of("one", lease), NULL);
	lease.requester = "a";
	want_now(bed, journal, want_of("two", lease), NULL);
	want_now(bed, journal, want_of("one", lease), NULL);
	want_now(bed, journal, want_of("one", (struct lease_spec)PROCESS_LEASE), NULL);
	want_now(bed, journal, want_of("one", short_one), NULL);
	bed->wall_us += 11 * 1000000;
	journal_leases_start(journal, on_listed, &answer);
	answer_wait(bed, &answer);
	assert_int_equal(answer.count, ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		const struct journal_row *row = &answer.rows[i];
		char *text = xasprintf("%s %s", row->requester, row->value);

		assert_string_equal(text, expected[i]);
		assert_int_equal(row->expires_at, BED_NOW_S + 60);
		assert_true(row->lease_id > 0);
		free(text);
	}
	answer_clear(&answer);
	journal_close(journal);
}

/* A list sees results that nothing has written yet. */
static void a_list_writes_what_was_settled(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	enum journal_state row_state = 0;

	settle(journal,
	       want_now(bed, journal, want_of("one", (struct lease_spec)PROCESS_LEASE), NULL),
	       JOURNAL_PUT);
	assert_int_equal(row_count(bed, journal, &row_state), 1);
	assert_int_equal(row_state, JOURNAL_APPLIED);
	journal_abandon(journal);
	journal = journal_of(bed);
	assert_int_equal(row_count(bed, journal, &row_state), 1);
	assert_int_equal(row_state, JOURNAL_APPLIED);
	journal_close(journal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lists_are_of_all_or_one_owner_or_one_value),
		TEST(a_list_names_the_newest_living_requester),
		TEST(revoking_ends_the_leases_of_all),
		TEST(revoking_for_one_requester_leaves_the_others),
		TEST(revoking_by_the_asked_name_leaves_what_another_name_asked_for),
		TEST(orphans_come_grouped),
		TEST(living_timed_leases_are_listed_each),
		TEST(a_list_writes_what_was_settled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
