/* A new version: all of it or nothing, whatever an earlier crash left. */
#include "store/lineage_bed.h"

#define LINEAGE "certs/example.com/"

static void key_is(struct bed *bed, const char *name, const struct key *expected)
{
	char *path = bed_path(bed, name);
	struct key *key = NULL;

	assert_int_equal(key_load(path, &key, NULL), ERR_NONE);
	assert_true(key_equal(key, expected));
	key_free(key);
	free(path);
}

static void a_version_is_complete(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage = lineage_of(bed);
	struct key *key = new_key();

	umask(077);
	assert_int_equal(store(lineage, key, "name = \"example.com\";\n", NULL), ERR_NONE);
	umask(022);
	link_is(bed, LINEAGE "current", "v0001");
	link_is(bed, LINEAGE "lineage.conf", "current/lineage.conf");
	key_is(bed, LINEAGE "current/privkey.pem", key);
	text_is(bed, LINEAGE "current/cert.pem", LEAF_PEM);
	text_is(bed, LINEAGE "current/chain.pem", ISSUER_PEM);
	text_is(bed, LINEAGE "current/fullchain.pem", LEAF_PEM ISSUER_PEM);
	text_is(bed, LINEAGE "lineage.conf", "name = \"example.com\";\n");
	assert_int_equal(bed_mode(bed, LINEAGE "v0001/privkey.pem"), 0600);
	assert_int_equal(bed_mode(bed, LINEAGE "v0001/lineage.conf"), 0600);
	assert_int_equal(bed_mode(bed, LINEAGE "v0001/cert.pem"), 0644);
	assert_int_equal(bed_mode(bed, LINEAGE "v0001/chain.pem"), 0644);
	assert_int_equal(bed_mode(bed, LINEAGE "v0001/fullchain.pem"), 0644);
	lineage_free(lineage);
	key_free(key);
}

static void the_next_version_takes_over(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage = lineage_of(bed);
	struct key *first = new_key();
	struct key *second = new_key();

	assert_int_equal(store(lineage, first, "1", NULL), ERR_NONE);
	assert_int_equal(store(lineage, second, "2", NULL), ERR_NONE);
	link_is(bed, LINEAGE "current", "v0002");
	key_is(bed, LINEAGE "current/privkey.pem", second);
	key_is(bed, LINEAGE "v0001/privkey.pem", first);
	text_is(bed, LINEAGE "lineage.conf", "2");
	lineage_free(lineage);
	key_free(first);
	key_free(second);
}

static void five_versions_stay(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage = lineage_of(bed);
	struct key *key = new_key();

	for (int i = 0; i < 7; i++) {
		assert_int_equal(store(lineage, key, "", NULL), ERR_NONE);
	}
	link_is(bed, LINEAGE "current", "v0007");
	assert_true(bed_has(bed, LINEAGE "v0003"));
	assert_false(bed_has(bed, LINEAGE "v0002"));
	assert_false(bed_has(bed, LINEAGE "v0001"));
	lineage_free(lineage);
	key_free(key);
}

static void another_process_stores_nothing(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage = lineage_of(bed);
	struct lineage *other = lineage_of(bed);
	struct key *key = new_key();

	assert_int_equal(lineage_lock(lineage, NULL), ERR_NONE);
	assert_int_equal(store(other, key, "", NULL), ERR_BUSY);
	assert_false(bed_has(bed, LINEAGE "current"));
	lineage_free(lineage);
	lineage_free(other);
	key_free(key);
}

/* ---- crashes: each leaves by hand what one moment leaves -------------------------- */

static void put(struct bed *bed, const char *name, const char *text)
{
	char *path = bed_path(bed, name);
	char *folder = path_dir(path);

	assert_int_equal(folder_make(folder, 0700, NULL), ERR_NONE);
	assert_int_equal(file_write_durable(path, text, strlen(text), 0600, NULL), ERR_NONE);
	free(folder);
	free(path);
}

static void point(struct bed *bed, const char *name, const char *target)
{
	char *path = bed_path(bed, name);

	unlink(path);
	assert_int_equal(symlink(target, path), 0);
	free(path);
}

static void in_the_middle_of_files(struct bed *bed)
{
	put(bed, LINEAGE ".new-v0002/privkey.pem", "half a k");
}

static void before_the_switch(struct bed *bed)
{
	put(bed, LINEAGE "v0002/privkey.pem", "a key");
	put(bed, LINEAGE "v0002/fullchain.pem", "a chain");
}

static void in_the_middle_of_the_switch(struct bed *bed)
{
	before_the_switch(bed);
	point(bed, LINEAGE ".new-current", "v0002");
}

/* Before the very first switch its link to the configuration points nowhere. */
static void of_the_link_to_conf(struct bed *bed)
{
	point(bed, LINEAGE ".new-lineage.conf", "current/lineage.conf");
}

static void after_a_crash(struct bed *bed, void (*crash)(struct bed *bed), const char *next)
{
	struct lineage *lineage = lineage_of(bed);
	struct key *first = new_key();
	struct key *second = new_key();
	struct chain *chain = NULL;

	assert_int_equal(store(lineage, first, "1", NULL), ERR_NONE);
	crash(bed);
	link_is(bed, LINEAGE "current", "v0001");
	assert_int_equal(lineage_load(lineage, &chain, NULL), ERR_NONE);
	chain_free(chain);
	key_is(bed, LINEAGE "current/privkey.pem", first);

	assert_int_equal(store(lineage, second, "2", NULL), ERR_NONE);
	link_is(bed, LINEAGE "current", next);
	key_is(bed, LINEAGE "current/privkey.pem", second);
	text_is(bed, LINEAGE "lineage.conf", "2");
	assert_false(bed_has(bed, LINEAGE ".new-v0002"));
	assert_false(bed_has(bed, LINEAGE ".new-current"));
	lineage_free(lineage);
	key_free(first);
	key_free(second);
}

static void a_crash_in_the_middle_of_files(void **state)
{
	after_a_crash(*state, in_the_middle_of_files, "v0002");
}

static void a_crash_before_the_switch(void **state)
{
	after_a_crash(*state, before_the_switch, "v0003");
}

static void a_crash_in_the_middle_of_the_switch(void **state)
{
	after_a_crash(*state, in_the_middle_of_the_switch, "v0003");
}

static void a_crash_in_the_middle_of_the_link(void **state)
{
	after_a_crash(*state, of_the_link_to_conf, "v0002");
}

/* Readers never find `current` missing or mixed while versions follow one another. */
static void readers_see_whole_versions(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage = lineage_of(bed);
	struct key *key = new_key();
	int stop[2];
	pid_t child;

	assert_int_equal(store(lineage, key, "", NULL), ERR_NONE);
	assert_int_equal(pipe2(stop, O_NONBLOCK), 0);
	child = fork();
	if (child == 0) {
		char *path = bed_path(bed, LINEAGE "current");
		int bad = 0;
		char octet;

		close(stop[1]);
		while (read(stop[0], &octet, 1) < 0) {
			int folder = open(path, O_RDONLY | O_DIRECTORY);

			bad |= folder < 0 || faccessat(folder, "privkey.pem", F_OK, 0) != 0 ||
			       faccessat(folder, "fullchain.pem", F_OK, 0) != 0;
			close(folder);
		}
		_exit(bad);
	}
	close(stop[0]);
	for (int i = 0; i < 4; i++) { /* the first is not pruned: a slow reader is no failure */
		assert_int_equal(store(lineage, key, "", NULL), ERR_NONE);
	}
	close(stop[1]);
	assert_int_equal(bed_reap(child), 0);
	lineage_free(lineage);
	key_free(key);
}

/* ---- trouble ---------------------------------------------------------------------- */

static void store_on_a_full_disk(struct bed *bed)
{
	struct lineage *lineage = lineage_of(bed);
	struct key *key = new_key();
	struct err err = { 0 };

	assert_int_equal(store(lineage, key, "1", NULL), ERR_NONE);
	bed_fill(bed);
	assert_int_equal(store(lineage, key, "2", &err), ERR_IO);
	assert_true(err.text[0] != '\0');
	link_is(bed, LINEAGE "current", "v0001");
	assert_false(bed_has(bed, LINEAGE "v0002"));
	assert_false(bed_has(bed, LINEAGE ".new-v0002"));
	lineage_free(lineage);
	key_free(key);
}

static void a_full_disk_leaves_the_old_version(void **state)
{
	bed_on_small_disk(*state, store_on_a_full_disk);
}

/* A folder where the link should be is a person's: it is not overwritten. */
static void a_folder_named_current_is_an_error(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage = lineage_of(bed);
	struct key *key = new_key();
	struct err err = { 0 };

	put(bed, LINEAGE "current/privkey.pem", "theirs");
	assert_int_equal(store(lineage, key, "", &err), ERR_IO);
	assert_non_null(strstr(err.subject, LINEAGE "current"));
	text_is(bed, LINEAGE "current/privkey.pem", "theirs");
	lineage_free(lineage);
	key_free(key);
}

/* Versions are counted on from what is there, also when a person has pointed back. */
static void a_rollback_keeps_the_version_in_use(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage = lineage_of(bed);
	struct key *key = new_key();

	assert_int_equal(store(lineage, key, "", NULL), ERR_NONE);
	assert_int_equal(store(lineage, key, "", NULL), ERR_NONE);
	point(bed, LINEAGE "current", "v0001");
	assert_int_equal(store(lineage, key, "", NULL), ERR_NONE);
	link_is(bed, LINEAGE "current", "v0003");
	lineage_free(lineage);
	key_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_version_is_complete),
		TEST(the_next_version_takes_over),
		TEST(five_versions_stay),
		TEST(another_process_stores_nothing),
		TEST(a_crash_in_the_middle_of_files),
		TEST(a_crash_before_the_switch),
		TEST(a_crash_in_the_middle_of_the_switch),
		TEST(a_crash_in_the_middle_of_the_link),
		TEST(readers_see_whole_versions),
		TEST(a_full_disk_leaves_the_old_version),
		TEST(a_folder_named_current_is_an_error),
		TEST(a_rollback_keeps_the_version_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
