/* The end of a lineage: all of it or nothing. */
#include "store/lineage_bed.h"

#include <sys/stat.h>

static void make(struct bed *bed)
{
	struct lineage *lineage = lineage_of(bed);
	struct key *key = new_key();
	struct pending_order pending = {
		.directory = (char *)(uintptr_t) "https://ca.test/dir",
		.account_url = (char *)(uintptr_t) "https://ca.test/acct/1",
		.order_url = (char *)(uintptr_t) "https://ca.test/order/1",
		.key = key,
	};

	assert_int_equal(store(lineage, key, "", NULL), ERR_NONE);
	assert_int_equal(store(lineage, key, "", NULL), ERR_NONE);
	strlist_add(&pending.names, "example.com");
	assert_int_equal(lineage_save_pending(lineage, &pending, NULL), ERR_NONE);
	strlist_clear(&pending.names);
	key_free(key);
	lineage_free(lineage);
}

static void nothing_is_left(void **state)
{
	struct bed *bed = *state;
	struct strlist names = { 0 };
	struct err err = { 0 };
	char *certs = bed_path(bed, "certs");

	make(bed);
	assert_true(bed_has(bed, "certs/example.com/pending/privkey.pem"));
	assert_int_equal(lineage_remove(bed->state, "example.com", &err), ERR_NONE);
	assert_int_equal(lineage_names(bed->state, &names, NULL), ERR_NONE);
	assert_int_equal(names.count, 0);
	assert_int_equal(rmdir(certs), 0); /* not even what is hidden */
	assert_int_equal(lineage_remove(bed->state, "example.com", &err), ERR_NOT_FOUND);
	assert_string_equal(err.subject, "example.com");
	assert_false(bed_has(bed, "certs"));
	free(certs);
}

static void one_at_work_keeps_it(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage;
	struct err err = { 0 };

	make(bed);
	lineage = lineage_of(bed);
	assert_int_equal(lineage_lock(lineage, NULL), ERR_NONE);
	assert_int_equal(lineage_remove(bed->state, "example.com", &err), ERR_BUSY);
	assert_true(bed_has(bed, "certs/example.com/current/privkey.pem"));
	lineage_free(lineage);
	assert_int_equal(lineage_remove(bed->state, "example.com", &err), ERR_NONE);
}

/* Of a crash in the middle, or of a lineage that was made anew since. */
static void what_an_earlier_try_left_goes_too(void **state)
{
	struct bed *bed = *state;
	char *gone = bed_path(bed, "certs/.gone-example.com");
	char *version = bed_path(bed, "certs/.gone-example.com/v0001");
	char *key = bed_path(bed, "certs/.gone-example.com/v0001/privkey.pem");

	for (int made_anew = 0; made_anew < 2; made_anew++) {
		assert_int_equal(folder_make(version, 0700, NULL), ERR_NONE);
		assert_int_equal(file_write_durable(key, "x", 1, 0600, NULL), ERR_NONE);
		if (made_anew) {
			make(bed);
		}
		assert_int_equal(lineage_remove(bed->state, "example.com", NULL), ERR_NONE);
		assert_int_not_equal(access(gone, F_OK), 0);
		assert_false(bed_has(bed, "certs/example.com"));
	}
	free(gone);
	free(version);
	free(key);
}

static void it_goes_nowhere_else(void **state)
{
	struct bed *bed = *state;
	struct err err = { 0 };

	make(bed);
	assert_int_equal(lineage_remove(bed->state, "../certs", &err), ERR_USAGE);
	assert_int_equal(lineage_remove(bed->state, ".", &err), ERR_USAGE);
	assert_int_equal(lineage_remove(bed->state, "", &err), ERR_USAGE);
	assert_true(bed_has(bed, "certs/example.com/current/privkey.pem"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_left),
		TEST(one_at_work_keeps_it),
		TEST(what_an_earlier_try_left_goes_too),
		TEST(it_goes_nowhere_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
