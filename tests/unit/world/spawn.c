#include "bed.h"

#include <poll.h>
#include <sys/stat.h>

struct heard {
	int count;
	struct err err;
	bool timed_out;
	int exit_status;
	char output[256];
	size_t output_len;
};

static char *const environment[] = { (char[]){ "PATH=/usr/bin:/bin" }, (char[]){ "WORD=spoken" },
				     NULL };

static void on_exit_of(void *arg, const struct err *err, const struct spawn_result *result)
{
	struct heard *heard = arg;

	heard->count++;
	if (err) {
		assert_null(result);
		heard->err = *err;
		return;
	}
	heard->timed_out = result->timed_out;
	heard->exit_status = result->exit_status;
	heard->output_len = result->output_len;
	assert_int_equal(strlen(result->output), result->output_len);
	(void)snprintf(heard->output, sizeof(heard->output), "%s", result->output);
}

static struct world_child *start(struct heard *heard, const char *script,
				 const struct spawn_request *with)
{
	struct spawn_request request = *with;
	char *argv[] = { (char[]){ "/bin/sh" }, (char[]){ "-c" }, xstrdup(script), NULL };
	struct world_child *child;

	*heard = (struct heard){ .exit_status = -1 };
	request.argv = argv;
	request.environment = environment;
	child = world->ops->spawn_start(world, &request, on_exit_of, heard);
	assert_int_equal(heard->count, 0);
	free(argv[2]);
	return child;
}

static void run(struct heard *heard, const char *script, const struct spawn_request *with)
{
	start(heard, script, with);
	world_real_run(world);
	assert_int_equal(heard->count, 1);
}

static void input_output_and_environment(void **state)
{
	struct heard heard;

	(void)state;
	run(&heard, "cat; echo \"$WORD\"; echo complaint >&2; env | wc -l",
	    &(struct spawn_request){ .input = "given\n", .input_len = 6, .max_output = 200 });
	assert_string_equal(heard.output, "given\nspoken\ncomplaint\n3\n"); /* sh adds PWD */
	assert_int_equal(heard.exit_status, 0);
	assert_false(heard.timed_out);
	run(&heard, "cat; echo end", &(struct spawn_request){ .max_output = 200 });
	assert_string_equal(heard.output, "end\n");
}

static void big_input_need_not_be_read(void **state)
{
	struct heard heard;
	size_t len = 3 * 1024 * 1024;
	char *input = xmalloc(len);

	(void)state;
	memset(input, 'x', len);
	run(&heard, "wc -c",
	    &(struct spawn_request){ .input = input, .input_len = len, .max_output = 200 });
	assert_string_equal(heard.output, "3145728\n");
	run(&heard, "echo no",
	    &(struct spawn_request){ .input = input, .input_len = len, .max_output = 200 });
	assert_string_equal(heard.output, "no\n");
	free(input);
}

static void output_past_the_maximum_is_dropped(void **state)
{
	struct heard heard;

	(void)state;
	run(&heard, "i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done; exit 4",
	    &(struct spawn_request){ .max_output = 100 });
	assert_int_equal(heard.output_len, 100);
	assert_int_equal(heard.exit_status, 4);
	run(&heard, "echo something", &(struct spawn_request){ .max_output = 0 });
	assert_int_equal(heard.output_len, 0);
}

static void all_output_before_the_exit_is_kept(void **state)
{
	struct heard heard;

	(void)state;
	run(&heard, "head -c 60000 /dev/zero | tr '\\0' x",
	    &(struct spawn_request){ .max_output = 100000 });
	assert_int_equal(heard.output_len, 60000);
}

static void exit_statuses_are_as_a_shell_says_them(void **state)
{
	struct heard heard;

	(void)state;
	run(&heard, "exit 3", &(struct spawn_request){ .max_output = 10 });
	assert_int_equal(heard.exit_status, 3);
	run(&heard, "kill -USR1 $$", &(struct spawn_request){ .max_output = 10 });
	assert_int_equal(heard.exit_status, 128 + SIGUSR1);
	assert_false(heard.timed_out);
}

static void a_deadline_ends_the_whole_group(void **state)
{
	struct heard heard;
	int64_t start_us = world_mono_us(world);

	(void)state;
	run(&heard, "echo begun; sleep 1000 & wait",
	    &(struct spawn_request){ .max_output = 100, .timeout_ms = 300 });
	assert_true(heard.timed_out);
	assert_int_equal(heard.exit_status, 128 + SIGTERM);
	assert_string_equal(heard.output, "begun\n");
	assert_true(world_mono_us(world) - start_us >= 300 * 1000);
	assert_true(world_mono_us(world) - start_us < 4 * 1000 * 1000);
}

static void who_ignores_sigterm_is_killed(void **state)
{
	struct heard heard;
	int64_t start_us = world_mono_us(world);

	(void)state;
	run(&heard, "trap '' TERM; while :; do sleep 1000; done",
	    &(struct spawn_request){ .max_output = 100, .timeout_ms = 300 });
	assert_true(heard.timed_out);
	assert_int_equal(heard.exit_status, 128 + SIGKILL);
	assert_true(world_mono_us(world) - start_us >= 5300 * 1000);
}

/* Whether the file at the other end of the pipe is closed by everyone. */
static bool is_hung_up(int fd)
{
	struct pollfd waited = { .fd = fd };

	return poll(&waited, 1, 10 * 1000) == 1 && (waited.revents & POLLHUP);
}

static void what_it_leaves_in_the_background_is_not_waited_for(void **state)
{
	struct heard heard;
	int64_t start_us = world_mono_us(world);

	(void)state;
	run(&heard, "sleep 30 & echo $!", &(struct spawn_request){ .max_output = 100 });
	assert_true(world_mono_us(world) - start_us < 20 * 1000 * 1000);
	assert_int_equal(heard.exit_status, 0);
	assert_int_equal(kill((pid_t)strtol(heard.output, NULL, 10), SIGKILL), 0);
}

static void a_program_that_is_missing_says_so(void **state)
{
	struct heard heard = { 0 };
	char *argv[] = { (char[]){ "/nowhere/program" }, NULL };
	char *not_a_program[] = { (char[]){ "/etc/passwd" }, NULL };
	struct spawn_request request = { .argv = argv, .environment = environment };

	(void)state;
	world->ops->spawn_start(world, &request, on_exit_of, &heard);
	assert_int_equal(heard.count, 0);
	world_real_run(world);
	assert_int_equal(heard.count, 1);
	assert_int_equal(heard.err.code, ERR_NOT_FOUND);
	assert_string_equal(heard.err.text,
			    "/nowhere/program cannot be run: No such file or directory");
	request.argv = not_a_program;
	world->ops->spawn_start(world, &request, on_exit_of, &heard);
	world_real_run(world);
	assert_int_equal(heard.count, 2);
	assert_int_equal(heard.err.code, ERR_DENIED);
	world->ops->spawn_cancel(world->ops->spawn_start(world, &request, on_exit_of, &heard));
	world_real_run(world);
	assert_int_equal(heard.count, 2);
}

static void a_missing_interpreter_says_so(void **state)
{
	char path[] = "/tmp/dns01-test-XXXXXX";
	char *argv[] = { path, NULL };
	struct heard heard = { 0 };
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "#!/nowhere/sh\n", 14), 14);
	assert_int_equal(fchmod(fd, 0700), 0);
	close(fd);
	world->ops->spawn_start(world,
				&(struct spawn_request){ .argv = argv, .environment = environment },
				on_exit_of, &heard);
	world_real_run(world);
	unlink(path);
	assert_int_equal(heard.err.code, ERR_NOT_FOUND);
	has_text(heard.err.text, "interpreter");
}

static void nothing_of_ours_is_inherited(void **state)
{
	struct heard heard;
	int leaky = open("/dev/null", O_RDONLY); /* not close-on-exec */

	(void)state;
	/* No pipeline: the shell would hold its ends for a moment. */
	run(&heard, "ls /proc/$$/fd; :", &(struct spawn_request){ .max_output = 200 });
	close(leaky);
	assert_string_equal(heard.output, "0\n1\n2\n");
	run(&heard, "kill -PIPE $$", &(struct spawn_request){ .max_output = 10 });
	assert_int_equal(heard.exit_status, 128 + SIGPIPE); /* we ignore it */
}

static void kill_at_cancel(int signal_pipe[2], bool by_free)
{
	struct heard heard;
	struct world_child *child;
	char *path = NULL;
	char *script;

	/* A fifo tells when the child is up, and when it is gone. */
	path = xasprintf("/proc/%d/fd/%d", (int)getpid(), signal_pipe[1]);
	script = xasprintf("exec 9>%s; echo up >&9; sleep 1000", path);
	child = start(&heard, script, &(struct spawn_request){ .max_output = 10 });
	free(script);
	free(path);
	assert_int_equal(read(signal_pipe[0], (char[3]){ 0 }, 3), 3);
	close(signal_pipe[1]);
	if (by_free) {
		world_real_free(world);
		world = NULL;
	} else {
		world->ops->spawn_cancel(child);
		world_real_run(world); /* does not wait for it */
	}
	assert_true(is_hung_up(signal_pipe[0]));
	close(signal_pipe[0]);
	assert_int_equal(heard.count, 0);
}

static void cancel_kills_it_and_its_children(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	kill_at_cancel(ends, false);
}

static void free_kills_it_and_its_children(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	kill_at_cancel(ends, true);
}

static void a_cancelled_child_is_reaped(void **state)
{
	struct heard heard;
	siginfo_t left;
	int tries = 0;

	(void)state;
	while (waitpid(-1, NULL, 0) > 0) {
		continue; /* those of worlds that were freed are left to init */
	}
	world->ops->spawn_cancel(
		start(&heard, "sleep 1000", &(struct spawn_request){ .max_output = 10 }));
	/* The end of a later child comes after its own. */
	while (waitid(P_ALL, 0, &left, WEXITED | WNOHANG | WNOWAIT) == 0) {
		struct heard other;

		run(&other, "exit 0", &(struct spawn_request){ .max_output = 10 });
		assert_true(++tries < 200);
	}
	assert_int_equal(errno, ECHILD);
	assert_int_equal(heard.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(input_output_and_environment),
		WORLD_TEST(big_input_need_not_be_read),
		WORLD_TEST(output_past_the_maximum_is_dropped),
		WORLD_TEST(all_output_before_the_exit_is_kept),
		WORLD_TEST(exit_statuses_are_as_a_shell_says_them),
		WORLD_TEST(a_deadline_ends_the_whole_group),
		WORLD_TEST(who_ignores_sigterm_is_killed),
		WORLD_TEST(what_it_leaves_in_the_background_is_not_waited_for),
		WORLD_TEST(a_program_that_is_missing_says_so),
		WORLD_TEST(a_missing_interpreter_says_so),
		WORLD_TEST(nothing_of_ours_is_inherited),
		WORLD_TEST(cancel_kills_it_and_its_children),
		WORLD_TEST(free_kills_it_and_its_children),
		WORLD_TEST(a_cancelled_child_is_reaped),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
