/* The journal's file: who may open it, what it refuses, what a close writes. */
#include "store/bed.h"

#include <sqlite3.h>

#include <grp.h>

static void run_sql(const struct bed *bed, const char *sql)
{
	char *path = bed_path(bed, "journal.db");
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	free(path);
}

static void rows_outlive_a_close(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	enum journal_state row_state = 0;

	want_now(bed, journal, want_of("one", (struct lease_spec)TIMED_LEASE(3600)), NULL);
	journal_close(journal);
	journal = journal_of(bed);
	assert_int_equal(row_count(bed, journal, &row_state), 1);
	assert_int_equal(row_state, JOURNAL_WANTED);
	journal_close(journal);
}

static void a_close_writes_what_was_settled(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	enum journal_state row_state = 0;
	struct journal_ref ref =
		want_now(bed, journal, want_of("one", (struct lease_spec)TIMED_LEASE(3600)), NULL);

	settle(journal, ref, JOURNAL_PUT);
	journal_close(journal);
	journal = journal_of(bed);
	assert_int_equal(row_count(bed, journal, &row_state), 1);
	assert_int_equal(row_state, JOURNAL_APPLIED);
	journal_close(journal);
}

static void a_kill_loses_only_what_was_settled(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	enum journal_state row_state = 0;
	struct journal_ref ref =
		want_now(bed, journal, want_of("one", (struct lease_spec)TIMED_LEASE(3600)), NULL);

	settle(journal, ref, JOURNAL_PUT);
	journal_abandon(journal);
	journal = journal_of(bed);
	assert_int_equal(row_count(bed, journal, &row_state), 1);
	assert_int_equal(row_state, JOURNAL_WANTED);
	journal_close(journal);
}

static void a_closed_journal_calls_nobody(void **state)
{
	struct bed *bed = *state;
	struct journal *journal = journal_of(bed);
	struct answer answer = { 0 };

	journal_list_start(journal, &(struct journal_match){ 0 }, on_listed, &answer);
	journal_orphans_start(journal, on_listed, &answer);
	journal_close(journal);
	while (bed_turn(bed)) {
	}
	assert_int_equal(answer.done, 0);
}

static enum err_code open_fails(struct bed *bed, struct err *err)
{
	struct journal *journal = NULL;
	enum err_code code = journal_open(&bed->world, bed->state, &journal, err);

	assert_null(journal);
	return code;
}

static void a_newer_journal_is_refused_untouched(void **state)
{
	struct bed *bed = *state;
	struct err err = { 0 };

	journal_close(journal_of(bed));
	run_sql(bed, "PRAGMA user_version = 4");
	assert_int_equal(open_fails(bed, &err), ERR_IO);
	assert_non_null(strstr(err.text, "newer dns01"));
	run_sql(bed, "PRAGMA user_version = 3");
	journal_close(journal_of(bed));
}

/* As the first version wrote it, with two values in two places and three leases; one of the
 * leases has ended. */
static const char version_1[] =
	"CREATE TABLE value (id INTEGER PRIMARY KEY, ticket INTEGER NOT NULL,"
	" state INTEGER NOT NULL, fresh INTEGER NOT NULL, owner TEXT NOT NULL,"
	" value TEXT NOT NULL, zone TEXT NOT NULL, view TEXT NOT NULL, provider TEXT NOT NULL,"
	" provider_conf TEXT NOT NULL, ttl_s INTEGER NOT NULL, created_at INTEGER NOT NULL,"
	" UNIQUE (zone, provider_conf, owner, value));"
	"CREATE INDEX value_ticket ON value (ticket);"
	"CREATE INDEX value_owner ON value (owner);"
	"CREATE TABLE lease (id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" value_id INTEGER NOT NULL REFERENCES value (id) ON DELETE CASCADE,"
	" kind INTEGER NOT NULL, holder INTEGER NOT NULL, granted_at INTEGER NOT NULL,"
	" expires_at INTEGER NOT NULL, back_at INTEGER, requester TEXT NOT NULL);"
	"CREATE INDEX lease_value ON lease (value_id);"
	"CREATE INDEX lease_holder ON lease (holder);"
	"INSERT INTO value VALUES (7, 70, 2, 0, '_acme-challenge.example.com', 'one',"
	" 'example.com', 'public', 'primary', '{\"type\":\"rfc2136\"}', 60, %lld);"
	"INSERT INTO value VALUES (9, 90, 1, 1, '_acme-challenge.example.com', 'one',"
	" 'example.org', 'default', 'other', '{}', 60, %lld);"
	"INSERT INTO lease (value_id, kind, holder, granted_at, expires_at, requester)"
	" VALUES (7, 1, 0, %lld, %lld + 60, 'hook certbot'), (9, 1, 0, %lld, %lld + 60, 'web'),"
	" (9, 1, 0, 0, 1, 'gone');"
	"DELETE FROM lease WHERE id = 3;"
	"PRAGMA user_version = 1";

static void rows_and_leases_of_the_first_version_are_kept(void **state)
{
	struct bed *bed = *state;
	long long now = BED_NOW_S;
	char *sql = xasprintf(version_1, now, now, now, now, now, now);
	struct journal *journal;
	struct answer answer;
	struct journal_let_go held = { 0 };

	run_sql(bed, sql);
	free(sql);
	journal = journal_of(bed);
	answer = list_now(bed, journal, NULL, NULL);
	assert_int_equal(answer.count, 2);
	expect_row(&answer.rows[0], JOURNAL_APPLIED);
	assert_string_equal(answer.rows[0].requester, "hook certbot");
	assert_int_equal(answer.rows[0].lease_id, 1);
	assert_string_equal(answer.rows[1].zone, "example.org");
	assert_string_equal(answer.rows[1].provider, "other");
	assert_int_equal(answer.rows[1].lease_id, 2);
	held = (struct journal_let_go){ 1, answer.rows[0].ref.row_id, "_acme-challenge.example.com",
					"one" };
	answer_clear(&answer);
	/* What is let go is removed, and an id that ended does not come back. */
	answer = let_go_now(bed, journal, held);
	assert_int_equal(answer.count, 1);
	answer_clear(&answer);
	want_now(bed, journal, want_of("two", (struct lease_spec)TIMED_LEASE(60)), &held);
	assert_true(held.lease_id > 3);
	journal_close(journal);
}

/* As the second version wrote it: it kept no name that was asked for. */
static const char version_2[] =
	"CREATE TABLE place (id INTEGER PRIMARY KEY, zone TEXT NOT NULL, provider TEXT NOT NULL,"
	" provider_conf TEXT NOT NULL, UNIQUE (zone, provider_conf));"
	"CREATE TABLE value (id INTEGER PRIMARY KEY, ticket INTEGER NOT NULL,"
	" state INTEGER NOT NULL, fresh INTEGER NOT NULL,"
	" place INTEGER NOT NULL REFERENCES place (id), owner TEXT NOT NULL,"
	" value TEXT NOT NULL, view TEXT NOT NULL, ttl_s INTEGER NOT NULL,"
	" created_at INTEGER NOT NULL, UNIQUE (place, owner, value));"
	"CREATE TABLE lease (id INTEGER PRIMARY KEY, value_id INTEGER NOT NULL"
	" REFERENCES value (id), kind INTEGER NOT NULL, holder INTEGER NOT NULL,"
	" granted_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, back_at INTEGER,"
	" requester TEXT NOT NULL);"
	"CREATE INDEX lease_value ON lease (value_id);"
	"CREATE INDEX lease_holder ON lease (holder) WHERE kind = 0;"
	"INSERT INTO place VALUES (1, 'example.com', 'primary', '{\"type\":\"rfc2136\"}');"
	"INSERT INTO value VALUES (7, 70, 2, 0, 1, '_acme-challenge.example.com', 'one',"
	" 'public', 60, %lld);"
	"INSERT INTO lease VALUES (5, 7, 1, 0, %lld, %lld + 60, NULL, 'web');"
	"PRAGMA user_version = 2";

static void leases_of_the_second_version_are_kept(void **state)
{
	struct bed *bed = *state;
	long long now = BED_NOW_S;
	char *sql = xasprintf(version_2, now, now, now);
	struct journal_want want = want_of("two", (struct lease_spec)TIMED_LEASE(60));
	struct journal *journal;
	struct answer answer;

	run_sql(bed, sql);
	free(sql);
	journal = journal_of(bed);
	answer = list_now(bed, journal, NULL, NULL);
	assert_int_equal(answer.count, 1);
	expect_row(&answer.rows[0], JOURNAL_APPLIED);
	assert_string_equal(answer.rows[0].requester, "web");
	assert_int_equal(answer.rows[0].lease_id, 5);
	assert_int_equal(answer.rows[0].expires_at, BED_NOW_S + 60);
	assert_null(answer.rows[0].asked);
	answer_clear(&answer);
	want.asked = "www.example.com";
	want_now(bed, journal, want, NULL);
	answer = list_now(bed, journal, NULL, "two");
	assert_string_equal(answer.rows[0].asked, "www.example.com");
	answer_clear(&answer);
	journal_close(journal);
}

static void a_file_that_is_no_journal_is_refused(void **state)
{
	struct bed *bed = *state;
	char *path = bed_path(bed, "journal.db");
	char text[8192];
	struct err err = { 0 };

	memset(text, 'x', sizeof(text));
	assert_int_equal(file_write_durable(path, text, sizeof(text), 0600, NULL), ERR_NONE);
	assert_int_equal(open_fails(bed, &err), ERR_IO);
	assert_non_null(strstr(err.text, "no journal"));
	assert_non_null(strstr(err.subject, "journal.db"));
	free(path);
}

static void a_symlink_is_not_followed(void **state)
{
	struct bed *bed = *state;
	char *path = bed_path(bed, "journal.db");
	struct err err = { 0 };

	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(open_fails(bed, &err), ERR_IO);
	free(path);
}

/* /var/lib itself may be a link. */
static void a_linked_state_folder_is_fine(void **state)
{
	struct bed *bed = *state;
	char *real = bed_path(bed, "real");
	char *link = bed_path(bed, "link");
	struct journal *journal = NULL;

	assert_int_equal(mkdir(real, 0700), 0);
	assert_int_equal(symlink("real", link), 0);
	assert_int_equal(journal_open(&bed->world, link, &journal, NULL), ERR_NONE);
	journal_close(journal);
	free(real);
	free(link);
}

/* Another process is just making the file: opening succeeds, the first call finishes it. */
static void a_file_in_the_making_is_waited_for(void **state)
{
	struct bed *bed = *state;
	char *path = bed_path(bed, "journal.db");
	struct answer answer = { 0 };
	struct journal *journal;
	sqlite3 *other = NULL;

	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	journal = journal_of(bed);
	journal_list_start(journal, &(struct journal_match){ 0 }, on_listed, &answer);
	for (int i = 0; i < 5; i++) {
		assert_true(bed_turn(bed));
	}
	assert_int_equal(answer.done, 0);
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	answer_wait(bed, &answer);
	assert_int_equal(answer.err.code, ERR_NONE);
	journal_close(journal);
	free(path);
}

/* ---- root and the daemon's user --------------------------------------------------- */

#define DAEMON_ID 65534

static int become(uid_t id)
{
	return setgroups(0, NULL) != 0 || setresgid(id, id, id) != 0 || setresuid(id, id, id) != 0;
}

/* One value wanted and settled by a process of that user. Exit status 0: it went well. */
static int work_as(struct bed *bed, uid_t id)
{
	pid_t child = fork();

	if (child == 0) {
		struct journal *journal = NULL;
		struct answer answer = { 0 };
		struct journal_want want = want_of("one", (struct lease_spec)TIMED_LEASE(3600));
		struct journal_plan plan = plan_of(&want, 1);

		if (id != 0 && become(id) != 0) {
			_exit(2);
		}
		if (journal_open(&bed->world, bed->state, &journal, &answer.err) != ERR_NONE) {
			_exit(3);
		}
		journal_plan_start(journal, &plan, on_planned, &answer);
		while (answer.done == 0 && bed_turn(bed)) {
		}
		if (answer.err.code != ERR_NONE || answer.wanted_count != 1) {
			_exit(4);
		}
		settle(journal, answer.wanted[0].ref, JOURNAL_PUT);
		journal_close(journal);
		_exit(0);
	}
	return bed_reap(child);
}

static void users_share(struct bed *bed, uid_t first, uid_t second)
{
	static const char *const files[] = { "journal.db", "journal.db-wal", "journal.db-shm",
					     "holders" };

	if (geteuid() != 0) {
		print_message("# skipped: only root can become another user\n");
		skip();
	}
	assert_int_equal(chown(bed->state, DAEMON_ID, DAEMON_ID), 0);
	assert_int_equal(work_as(bed, first), 0);
	assert_int_equal(work_as(bed, second), 0);
	assert_int_equal(work_as(bed, first), 0);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char *path = bed_path(bed, files[i]);
		struct stat st;

		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_uid, DAEMON_ID);
		assert_int_equal(st.st_gid, DAEMON_ID);
		assert_int_equal(st.st_mode & 07777, 0660);
		free(path);
	}
}

static void root_first_then_the_daemon(void **state)
{
	users_share(*state, 0, DAEMON_ID);
}

static void the_daemon_first_then_root(void **state)
{
	users_share(*state, DAEMON_ID, 0);
}

static void a_strange_user_gets_a_sentence(void **state)
{
	struct bed *bed = *state;
	int status;
	pid_t child;

	if (geteuid() != 0) {
		print_message("# skipped: only root can become another user\n");
		skip();
	}
	journal_close(journal_of(bed));
	assert_int_equal(chmod(bed->state, 0755), 0);
	child = fork();
	if (child == 0) {
		struct journal *journal = NULL;
		struct err err = { 0 };

		if (become(DAEMON_ID) != 0) {
			_exit(2);
		}
		_exit(journal_open(&bed->world, bed->state, &journal, &err) == ERR_IO &&
				      strstr(err.text, "Permission denied")
			      ? 0
			      : 3);
	}
	status = bed_reap(child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rows_outlive_a_close),
		TEST(a_close_writes_what_was_settled),
		TEST(a_kill_loses_only_what_was_settled),
		TEST(a_closed_journal_calls_nobody),
		TEST(a_newer_journal_is_refused_untouched),
		TEST(rows_and_leases_of_the_first_version_are_kept),
		TEST(leases_of_the_second_version_are_kept),
		TEST(a_file_that_is_no_journal_is_refused),
		TEST(a_symlink_is_not_followed),
		TEST(a_linked_state_folder_is_fine),
		TEST(a_file_in_the_making_is_waited_for),
		TEST(root_first_then_the_daemon),
		TEST(the_daemon_first_then_root),
		TEST(a_strange_user_gets_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
