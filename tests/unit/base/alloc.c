#include "cmocka_all.h"
#include "dns01/base.h"

#include <sys/wait.h>

static void test_nothing_is_still_a_pointer(void **state)
{
	void *one = xmalloc(0);
	void *two = xcalloc(0, 8);
	void *three = xreallocarray(NULL, 8, 0);

	(void)state;
	assert_non_null(one);
	assert_non_null(two);
	assert_non_null(three);
	free(one);
	free(two);
	free(three);
}

static void test_strings(void **state)
{
	char *some = xstrndup("abcdef", 3);
	char *made = xasprintf("%s-%d", some, 7);

	(void)state;
	assert_null(xstrdup(NULL));
	assert_string_equal(some, "abc");
	assert_string_equal(made, "abc-7");
	free(made);
	free(some);
}

static void test_wipe_clears_and_takes_null(void **state)
{
	char secret[] = "secret";
	const char zeros[sizeof(secret)] = "";

	(void)state;
	wipe(secret, sizeof(secret));
	assert_memory_equal(secret, zeros, sizeof(secret));
	wipe(NULL, 0);
	wipe_free(NULL, 0);
	wipe_str(NULL);
	wipe_str(xstrdup("secret"));
	wipe_free(xcalloc(1, 16), 16);
}

/* A product that overflows must end the process, not give a short block. */
static void test_impossible_size_ends_the_process(void **state)
{
	int status = 0;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		if (!freopen("/dev/null", "w", stderr)) {
			_exit(1);
		}
		free(xreallocarray(NULL, SIZE_MAX / 2, 4));
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 71);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_still_a_pointer),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_wipe_clears_and_takes_null),
		cmocka_unit_test(test_impossible_size_ends_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
