#include "bed.h"

static int heard[4];
static int count;

static void on_signal(void *arg, int signo)
{
	assert_ptr_equal(arg, &count);
	heard[count++] = signo;
	if (count == 3) {
		world_real_stop(world);
	}
}

static void send_signals(void *arg)
{
	(void)arg;
	assert_int_equal(raise(SIGTERM), 0);
	assert_int_equal(raise(SIGINT), 0);
	assert_int_equal(raise(SIGHUP), 0);
	assert_int_equal(count, 0); /* only from the loop */
}

static void signals_come_from_the_loop(void **state)
{
	bool seen[NSIG] = { false };

	(void)state;
	count = 0;
	/* whoever runs the tests in the background has them ignored */
	assert_ptr_not_equal(signal(SIGINT, SIG_DFL), SIG_ERR);
	assert_ptr_not_equal(signal(SIGHUP, SIG_DFL), SIG_ERR);
	world_real_on_signal(world, on_signal, &count);
	world_timer_start(world, 0, send_signals, NULL);
	world_timer_start(world, 60 * 1000000, stop, NULL);
	world_real_run(world);
	assert_int_equal(count, 3);
	seen[heard[0]] = seen[heard[1]] = seen[heard[2]] = true;
	assert_true(seen[SIGTERM] && seen[SIGINT] && seen[SIGHUP]);
}

static void waiting_for_signals_keeps_no_run_alive(void **state)
{
	(void)state;
	world_real_on_signal(world, on_signal, &count);
	world_real_run(world);
}

/* As under nohup(1). */
static void what_was_ignored_stays_ignored(void **state)
{
	(void)state;
	count = 0;
	assert_ptr_not_equal(signal(SIGHUP, SIG_IGN), SIG_ERR);
	world_real_on_signal(world, on_signal, &count);
	raise(SIGHUP);
	world_timer_start(world, 1000, stop, NULL);
	world_real_run(world);
	assert_int_equal(count, 0);
	assert_ptr_not_equal(signal(SIGHUP, SIG_DFL), SIG_ERR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(signals_come_from_the_loop),
		WORLD_TEST(waiting_for_signals_keeps_no_run_alive),
		WORLD_TEST(what_was_ignored_stays_ignored),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
