/* A lineage: its folder, its lock, what is read of it. */
#include "store/lineage_bed.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

static void a_new_lineage_is_empty_and_private(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage = lineage_of(bed);
	struct chain *chain = NULL;
	struct err err = { 0 };

	assert_int_equal(bed_mode(bed, "certs/example.com"), 0700);
	assert_int_equal(lineage_folder(lineage)[0], '/');
	assert_int_equal(lineage_load(lineage, &chain, &err), ERR_NOT_FOUND);
	assert_string_equal(err.subject, "example.com");
	lineage_free(lineage);
	lineage_free(NULL);
}

static void bad_names_make_no_folder(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage = NULL;
	struct err err = { 0 };

	assert_int_equal(lineage_open(bed->state, "../x", &lineage, &err), ERR_USAGE);
	assert_int_equal(lineage_open(bed->state, "*.example.com", &lineage, &err), ERR_USAGE);
	assert_null(lineage);
	assert_false(bed_has(bed, "certs"));
}

static void one_process_at_a_time(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage = lineage_of(bed);
	struct lineage *other = lineage_of(bed);
	struct err err = { 0 };

	assert_int_equal(lineage_lock(lineage, &err), ERR_NONE);
	assert_int_equal(lineage_lock(lineage, &err), ERR_NONE);
	assert_int_equal(lineage_lock(other, &err), ERR_BUSY);
	assert_non_null(strstr(err.text, "certs/example.com/lock"));
	lineage_free(lineage);
	assert_int_equal(lineage_lock(other, &err), ERR_NONE);
	lineage_free(other);
}

static void the_chain_is_read_back(void **state)
{
	struct lineage *lineage = lineage_of(*state);
	struct key *key = new_key();
	struct chain *chain = NULL;

	assert_int_equal(store(lineage, key, "", NULL), ERR_NONE);
	assert_int_equal(lineage_load(lineage, &chain, NULL), ERR_NONE);
	assert_int_equal(chain_facts(chain)->count, 2);
	chain_free(chain);
	key_free(key);
	lineage_free(lineage);
}

static char *stamp_of(struct bed *bed, const char *name)
{
	char *stamp = NULL;
	struct err err;

	assert_int_equal(lineage_stamp(bed->state, name, &stamp, &err), ERR_NONE);
	return stamp;
}

static void the_stamp_changes_with_the_certificate(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage = lineage_of(bed);
	struct key *key = new_key();
	/* clocks of files may stand for some milliseconds */
	const struct timespec later[] = { { .tv_sec = time(NULL) + 60 },
					  { .tv_sec = time(NULL) + 60 } };
	char *first, *again, *second, *version, *away;

	assert_null(stamp_of(bed, "example.com"));
	assert_null(stamp_of(bed, "none"));
	assert_int_equal(store(lineage, key, "", NULL), ERR_NONE);
	first = stamp_of(bed, "example.com");
	again = stamp_of(bed, "example.com");
	assert_string_equal(first, again);
	assert_int_equal(store(lineage, key, "", NULL), ERR_NONE);
	second = stamp_of(bed, "example.com");
	assert_string_not_equal(first, second);
	/* a file of it that was cut off */
	free(again);
	version = bed_path(bed, "certs/example.com/current/privkey.pem");
	assert_int_equal(truncate(version, 10), 0);
	assert_int_equal(utimensat(AT_FDCWD, version, later, 0), 0);
	again = stamp_of(bed, "example.com");
	assert_string_not_equal(second, again);
	free(version);
	/* whoever removed it: there is no certificate */
	version = bed_path(bed, "certs/example.com/v0002");
	away = bed_path(bed, "certs/example.com/away");
	assert_int_equal(rename(version, away), 0);
	assert_null(stamp_of(bed, "example.com"));
	free(version);
	free(away);
	free(first);
	free(again);
	free(second);
	key_free(key);
	lineage_free(lineage);
}

static void a_damaged_chain_is_said(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage = lineage_of(bed);
	char *path = bed_path(bed, "certs/example.com/current/fullchain.pem");
	struct key *key = new_key();
	struct chain *chain = NULL;
	struct err err = { 0 };

	assert_int_equal(store(lineage, key, "", NULL), ERR_NONE);
	assert_int_equal(file_write_durable(path, "x", 1, 0644, NULL), ERR_NONE);
	assert_int_equal(lineage_load(lineage, &chain, &err), ERR_IO);
	assert_non_null(strstr(err.subject, "fullchain.pem"));
	assert_null(chain);
	key_free(key);
	lineage_free(lineage);
	free(path);
}

/* Neither the key nor the rest of the chain is needed, and nothing is made. */
static void what_is_told_of_the_leaf_is_read_alone(void **state)
{
	struct bed *bed = *state;
	struct key *key = new_key();
	struct lineage *lineage = NULL;
	struct chain_facts facts;
	struct err err = { 0 };
	char *path;

	assert_int_equal(lineage_facts(bed->state, "example.com", &facts, &err), ERR_NOT_FOUND);
	assert_string_equal(err.text, "there is no certificate yet");
	assert_int_equal(lineage_facts(bed->state, "../x", &facts, &err), ERR_USAGE);
	assert_false(bed_has(bed, "certs"));

	lineage = lineage_of(bed);
	assert_int_equal(store(lineage, key, "", NULL), ERR_NONE);
	path = bed_path(bed, "certs/example.com/current/privkey.pem");
	assert_int_equal(unlink(path), 0);
	free(path);
	path = bed_path(bed, "certs/example.com/current/fullchain.pem");
	assert_int_equal(file_write_durable(path, LEAF_PEM "rest", strlen(LEAF_PEM "rest"), 0644,
					    NULL),
			 ERR_NONE);
	assert_int_equal(lineage_facts(bed->state, "example.com", &facts, &err), ERR_NONE);
	assert_string_equal(facts.issuer, "CN=Test Root");
	assert_string_equal(facts.key_type, "p256");
	chain_facts_clear(&facts);
	assert_int_equal(file_write_durable(path, "x", 1, 0644, NULL), ERR_NONE);
	assert_int_equal(lineage_facts(bed->state, "example.com", &facts, &err), ERR_PROTOCOL);
	assert_non_null(strstr(err.subject, "fullchain.pem"));
	assert_string_equal(err.text, "is not a chain of certificates any more");
	free(path);
	key_free(key);
	lineage_free(lineage);
}

static void names_are_sorted(void **state)
{
	static const char *const all[] = { "b.example", "a.example", "c" };
	struct bed *bed = *state;
	char *stray = bed_path(bed, "certs/README");
	struct strlist names = { 0 };
	char *joined;

	assert_int_equal(lineage_names(bed->state, &names, NULL), ERR_NONE);
	assert_int_equal(names.count, 0);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct lineage *lineage = NULL;

		assert_int_equal(lineage_open(bed->state, all[i], &lineage, NULL), ERR_NONE);
		lineage_free(lineage);
	}
	assert_int_equal(file_write_durable(stray, "", 0, 0644, NULL), ERR_NONE);
	assert_int_equal(lineage_names(bed->state, &names, NULL), ERR_NONE);
	joined = strlist_join(&names, " ");
	assert_string_equal(joined, "a.example b.example c");
	free(joined);
	strlist_clear(&names);
	free(stray);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_lineage_is_empty_and_private),
		TEST(bad_names_make_no_folder),
		TEST(one_process_at_a_time),
		TEST(the_chain_is_read_back),
		TEST(the_stamp_changes_with_the_certificate),
		TEST(a_damaged_chain_is_said),
		TEST(what_is_told_of_the_leaf_is_read_alone),
		TEST(names_are_sorted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
