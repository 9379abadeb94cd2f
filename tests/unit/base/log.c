#include "cmocka_all.h"
#include "dns01/base.h"

static char last[4096];
static enum log_level last_level;
static int lines;

static void remember(void *arg, enum log_level level, const char *line)
{
	assert_ptr_equal(arg, &lines);
	snprintf(last, sizeof(last), "%s", line);
	last_level = level;
	lines++;
}

static int set_up(void **state)
{
	(void)state;
	lines = 0;
	log_set_sink(remember, &lines);
	log_set_level(LOG_WARN_LEVEL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	log_set_sink(NULL, NULL);
	log_set_level(LOG_WARN_LEVEL);
	return 0;
}

static void test_less_than_the_level_is_dropped(void **state)
{
	(void)state;
	log_debug("a");
	log_info("b");
	assert_int_equal(lines, 0);
	log_warn("c %d", 1);
	assert_int_equal(lines, 1);
	assert_string_equal(last, "c 1");
	assert_int_equal(last_level, LOG_WARN_LEVEL);
	log_set_level(LOG_DEBUG_LEVEL);
	log_debug("d");
	log_info("e");
	log_error("f");
	assert_int_equal(lines, 4);
	assert_int_equal(last_level, LOG_ERROR_LEVEL);
}

static void test_one_call_is_one_line(void **state)
{
	char text[10000];

	(void)state;
	log_warn("a%sb", "\r\n\033[2J");
	assert_string_equal(last, "a\\x0d\\x0a\\x1b[2Jb");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_warn("%s", text);
	assert_true(strlen(last) < 2048);
	assert_int_equal(lines, 2);
}

/* What the lines on stderr look like: read back from a file in its place. */
static void test_stderr_has_the_program_and_the_level_in_front(void **state)
{
	char text[200] = "";
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);

	(void)state;
	assert_non_null(file);
	log_set_sink(NULL, NULL);
	dup2(fileno(file), STDERR_FILENO);
	log_set_level(LOG_INFO_LEVEL);
	log_debug("no");
	log_info("one");
	log_warn("two");
	log_error("three");
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	assert_string_equal(text, "dns01: one\ndns01: warning: two\ndns01: error: three\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_less_than_the_level_is_dropped, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_one_call_is_one_line, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stderr_has_the_program_and_the_level_in_front,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
