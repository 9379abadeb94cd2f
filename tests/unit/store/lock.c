/* Locks between processes, and between two parts of one. */
#include "store/bed.h"

#include <signal.h>

static void a_file_has_one_holder(void **state)
{
	struct bed *bed = *state;
	char *path = bed_path(bed, "lock");
	struct lock *lock = NULL, *other = NULL;
	struct err err = { 0 };

	assert_int_equal(lock_try_file(path, &lock, &err), ERR_NONE);
	assert_int_equal(lock_try_file(path, &other, &err), ERR_BUSY);
	assert_string_equal(err.subject, path);
	assert_null(other);
	lock_release(lock);
	assert_int_equal(lock_try_file(path, &other, &err), ERR_NONE);
	lock_release(other);
	lock_release(NULL);
	free(path);
}

static void a_lock_dies_with_its_holder(void **state)
{
	struct bed *bed = *state;
	char *path = bed_path(bed, "lock");
	struct lock *lock = NULL;
	int ready[2];
	char octet;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		if (lock_try_file(path, &lock, NULL) == ERR_NONE) {
			(void)!write(ready[1], "!", 1);
		}
		pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &octet, 1), 1);
	close(ready[0]);
	assert_int_equal(lock_try_file(path, &lock, NULL), ERR_BUSY);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_true(WIFSIGNALED(bed_reap(child)));
	assert_int_equal(lock_try_file(path, &lock, NULL), ERR_NONE);
	lock_release(lock);
	free(path);
}

static void a_lock_does_not_follow_links(void **state)
{
	struct bed *bed = *state;
	char *path = bed_path(bed, "lock");
	struct lock *lock = NULL;

	assert_int_equal(symlink("elsewhere", path), 0);
	assert_int_equal(lock_try_file(path, &lock, NULL), ERR_IO);
	assert_false(bed_has(bed, "elsewhere"));
	free(path);
}

static void zones_are_locked_one_by_one(void **state)
{
	struct bed *bed = *state;
	struct lock *com = NULL, *net = NULL, *again = NULL;

	assert_int_equal(lock_try_zone(bed->state, "example.com\n{}", &com, NULL), ERR_NONE);
	assert_int_equal(lock_try_zone(bed->state, "example.net\n{}", &net, NULL), ERR_NONE);
	assert_int_equal(lock_try_zone(bed->state, "example.com\n{}", &again, NULL), ERR_BUSY);
	lock_release(com);
	assert_int_equal(lock_try_zone(bed->state, "example.com\n{}", &again, NULL), ERR_NONE);
	lock_release(net);
	lock_release(again);
	assert_int_equal(bed_mode(bed, "zones.lock"), 0660);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_has_one_holder),
		TEST(a_lock_dies_with_its_holder),
		TEST(a_lock_does_not_follow_links),
		TEST(zones_are_locked_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
