#include "bed.h"

static char order[64];
static struct world_timer *other;

static void note(void *arg)
{
	size_t len = strlen(order);

	order[len] = *(const char *)arg;
	order[len + 1] = '\0';
}

static void start(int64_t delay_us, const char *letter)
{
	union {
		const char *in;
		void *out;
	} arg = { .in = letter };

	assert_non_null(world_timer_start(world, delay_us, note, arg.out));
}

static int timers_open(void **state)
{
	order[0] = '\0';
	other = NULL;
	return world_open(state);
}

static void they_fire_by_delay(void **state)
{
	(void)state;
	start(30000, "c");
	start(10000, "a");
	start(20000, "b");
	world_real_run(world);
	assert_string_equal(order, "abc");
}

static void without_delay_they_fire_as_started(void **state)
{
	(void)state;
	start(2000, "d");
	start(0, "a");
	start(0, "b");
	start(-5, "c");
	assert_string_equal(order, "");
	world_real_run(world);
	assert_string_equal(order, "abcd");
}

struct wait {
	int64_t until_us;
	int early;
	int left;
};

static void look_at_clock(void *arg)
{
	struct wait *wait = arg;

	wait->early += world_mono_us(world) < wait->until_us;
	if (wait->left-- > 0) {
		int64_t now_us = world_mono_us(world);

		while (world_mono_us(world) < now_us + 1000) {
			continue; /* work: the loop's idea of the time grows old */
		}
		wait->until_us = world_mono_us(world) + 1500;
		world_timer_start(world, 1500, look_at_clock, wait);
	}
}

static void none_fires_before_the_clock_says_so(void **state)
{
	struct wait wait = { .left = 40 };

	(void)state;
	world_timer_start(world, 0, look_at_clock, &wait);
	world_real_run(world);
	assert_int_equal(wait.left, -1);
	assert_int_equal(wait.early, 0);
}

static void cancel_other(void *arg)
{
	note(arg);
	world_timer_cancel(world, other);
	other = NULL;
}

static void a_callback_cancels_a_timer_that_is_due(void **state)
{
	(void)state;
	world_timer_start(world, 0, cancel_other, (char[]){ "x" });
	other = world_timer_start(world, 0, note, (char[]){ "n" });
	start(0, "y");
	world_real_run(world);
	assert_string_equal(order, "xy");

	world_timer_start(world, 1000, cancel_other, (char[]){ "x" });
	other = world_timer_start(world, 5000, note, (char[]){ "n" });
	start(6000, "y");
	world_real_run(world);
	assert_string_equal(order, "xyxy");
}

static void again(void *arg)
{
	int *left = arg;

	if (--*left > 0) {
		world_timer_start(world, 0, again, arg);
	}
}

static void a_chain_without_delay_lets_others_through(void **state)
{
	int left = 100000;

	(void)state;
	world_timer_start(world, 0, again, &left);
	world_timer_start(world, 1000, stop, NULL);
	world_real_run(world);
	assert_true(left > 0);
	assert_true(left < 100000);
}

static void stop_leaves_the_rest_for_later(void **state)
{
	(void)state;
	start(0, "a");
	world_timer_start(world, 0, stop, NULL);
	start(0, "b");
	world_real_run(world);
	assert_string_equal(order, "a");
	world_real_run(world);
	assert_string_equal(order, "ab");
	world_real_run(world); /* nothing to wait for: returns */
}

static void a_stop_before_the_run_counts(void **state)
{
	(void)state;
	start(0, "a");
	world_real_stop(world);
	world_real_run(world);
	assert_string_equal(order, "");
}

static void free_drops_what_waits(void **state)
{
	(void)state;
	start(0, "a");
	start(1000000, "b");
	world_timer_start(world, INT64_MAX, note, (char[]){ "c" });
	world_real_free(world);
	world = NULL;
	assert_string_equal(order, "");
}

static void clocks_and_chance(void **state)
{
	uint8_t draws[2][32];
	int64_t first_us = world_mono_us(world);

	(void)state;
	assert_true(world_mono_us(world) >= first_us);
	assert_true(llabs(world_wall_s(world) - (int64_t)time(NULL)) <= 1);
	world_random(world, draws[0], sizeof(draws[0]));
	world_random(world, draws[1], sizeof(draws[1]));
	assert_memory_not_equal(draws[0], draws[1], sizeof(draws[0]));
}

#define TIMER_TEST(name) cmocka_unit_test_setup_teardown(name, timers_open, world_shut)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TIMER_TEST(they_fire_by_delay),
		TIMER_TEST(without_delay_they_fire_as_started),
		TIMER_TEST(none_fires_before_the_clock_says_so),
		TIMER_TEST(a_callback_cancels_a_timer_that_is_due),
		TIMER_TEST(a_chain_without_delay_lets_others_through),
		TIMER_TEST(stop_leaves_the_rest_for_later),
		TIMER_TEST(a_stop_before_the_run_counts),
		TIMER_TEST(free_drops_what_waits),
		TIMER_TEST(clocks_and_chance),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
