/* An account's key changes: at every instant the key that the CA has is on disk. */
#include "store/bed.h"

static struct key *new_key(void)
{
	struct key *key = NULL;

	assert_int_equal(key_generate(KEY_P256, &key, NULL), ERR_NONE);
	return key;
}

/* A key of its own that is equal. */
static struct key *twin(const struct key *key)
{
	struct key *copy = NULL;
	struct buf pem;

	key_format_pem(key, &pem);
	assert_int_equal(key_parse_pem(pem.data, pem.len, "test", &copy, NULL), ERR_NONE);
	buf_wipe(&pem);
	return copy;
}

static struct account_record *make(struct bed *bed)
{
	struct account_record *record = xcalloc(1, sizeof(*record));

	record->directory = xstrdup("https://ca.example/directory");
	record->url = xstrdup("https://ca.example/account/1");
	record->key = new_key();
	assert_int_equal(account_save(bed->state, "ca", record, NULL), ERR_NONE);
	return record;
}

static struct account_record *load(struct bed *bed)
{
	struct account_record *record = NULL;
	struct err err = { 0 };

	if (account_load(bed->state, "ca", &record, &err) != ERR_NONE) {
		fail_msg("%s", err.text);
	}
	return record;
}

static void assert_key_on_disk(struct bed *bed, const struct key *key)
{
	char *path = bed_path(bed, "accounts/ca/account.key");
	struct key *there = NULL;

	assert_int_equal(key_load(path, &there, NULL), ERR_NONE);
	assert_true(key_equal(there, key));
	key_free(there);
	free(path);
}

static void the_new_key_takes_the_place_of_the_old(void **state)
{
	struct bed *bed = *state;
	struct account_record *record = make(bed);
	struct key *old = twin(record->key);
	struct key *fresh = new_key();
	struct key *copy = twin(fresh);

	assert_int_equal(account_save_next(bed->state, "ca", record, fresh, NULL), ERR_NONE);
	assert_true(record->next == fresh);
	assert_int_equal(bed_mode(bed, "accounts/ca/next.key"), 0600);
	assert_key_on_disk(bed, old);
	assert_int_equal(account_take_next(record, NULL), ERR_NONE);
	assert_true(record->key == fresh);
	assert_null(record->next);
	assert_key_on_disk(bed, copy);
	assert_false(bed_has(bed, "accounts/ca/next.key"));
	account_record_free(record);
	record = load(bed);
	assert_null(record->next);
	assert_true(key_equal(record->key, copy));
	assert_string_equal(record->url, "https://ca.example/account/1");
	account_record_free(record);
	key_free(copy);
	key_free(old);
}

static void a_key_that_was_not_taken_goes(void **state)
{
	struct bed *bed = *state;
	struct account_record *record = make(bed);

	assert_int_equal(account_save_next(bed->state, "ca", record, new_key(), NULL), ERR_NONE);
	assert_int_equal(account_drop_next(record, NULL), ERR_NONE);
	assert_null(record->next);
	assert_false(bed_has(bed, "accounts/ca/next.key"));
	assert_key_on_disk(bed, record->key);
	/* And another one may come. */
	assert_int_equal(account_save_next(bed->state, "ca", record, new_key(), NULL), ERR_NONE);
	account_record_free(record);
}

static void a_crash_leaves_both_and_the_next_one_finds_them(void **state)
{
	struct bed *bed = *state;
	struct account_record *record = make(bed);
	struct key *fresh = new_key();
	struct key *copy = twin(fresh);
	time_t now = time(NULL);

	assert_int_equal(account_save_next(bed->state, "ca", record, fresh, NULL), ERR_NONE);
	account_record_free(record); /* with its lock */
	record = load(bed);
	assert_non_null(record->next);
	assert_true(key_equal(record->next, copy));
	assert_in_range(record->next_at, now - 5, now + 60);
	assert_int_equal(account_save_next(bed->state, "ca", record, new_key(), NULL), ERR_EXISTS);
	assert_true(key_equal(record->next, copy));
	assert_int_equal(account_take_next(record, NULL), ERR_NONE);
	assert_key_on_disk(bed, copy);
	account_record_free(record);
	key_free(copy);
}

static void one_process_changes_it(void **state)
{
	struct bed *bed = *state;
	struct account_record *record = make(bed);
	struct account_record *late = load(bed);
	struct account_record *other;
	struct err err = { 0 };

	assert_int_equal(account_save_next(bed->state, "ca", record, new_key(), NULL), ERR_NONE);
	/* Others use the old key meanwhile, and change nothing. */
	other = load(bed);
	assert_null(other->next);
	assert_true(key_equal(other->key, record->key));
	assert_int_equal(account_save_next(bed->state, "ca", other, new_key(), &err), ERR_BUSY);
	assert_non_null(strstr(err.text, "accounts/ca/lock"));
	assert_null(other->next);
	account_record_free(other);
	assert_int_equal(account_take_next(record, NULL), ERR_NONE);
	/* Whoever read the keys before has the wrong one. */
	assert_int_equal(account_save_next(bed->state, "ca", late, new_key(), &err), ERR_BUSY);
	assert_non_null(strstr(err.text, "just changed"));
	account_record_free(late);
	/* The lock is free again. */
	assert_int_equal(account_save_next(bed->state, "ca", record, new_key(), NULL), ERR_NONE);
	account_record_free(record);
}

static void damage_is_said(void **state)
{
	struct bed *bed = *state;
	struct account_record *record = make(bed);
	char *path = bed_path(bed, "accounts/ca/next.key");
	struct err err = { 0 };
	char *said;

	account_record_free(record);
	record = NULL;
	assert_int_equal(file_write_durable(path, "x", 1, 0600, NULL), ERR_NONE);
	assert_int_not_equal(account_load(bed->state, "ca", &record, &err), ERR_NONE);
	said = err_format(&err);
	assert_non_null(strstr(said, "next.key"));
	assert_null(record);
	free(said);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_new_key_takes_the_place_of_the_old),
		TEST(a_key_that_was_not_taken_goes),
		TEST(a_crash_leaves_both_and_the_next_one_finds_them),
		TEST(one_process_changes_it),
		TEST(damage_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
