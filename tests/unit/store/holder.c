/* Bytes of state/holders: locked means alive. */
#include "store/holder.h"

#include "store/bed.h"

static struct holder open_holder(struct bed *bed)
{
	struct holder holder = HOLDER_INIT;

	assert_int_equal(holder_open(&holder, bed->state, NULL), ERR_NONE);
	return holder;
}

static void our_own_byte_is_alive(void **state)
{
	struct holder holder = open_holder(*state);

	assert_false(holder_alive(&holder, 7));
	assert_true(holder_try(&holder, 7));
	assert_int_equal(holder.byte, 7);
	assert_true(holder_alive(&holder, 7));
	assert_false(holder_alive(&holder, 6));
	assert_false(holder_alive(&holder, 8));
	holder_close(&holder);
}

static void a_byte_has_one_holder(void **state)
{
	struct holder holder = open_holder(*state);
	struct holder other = open_holder(*state);

	assert_true(holder_try(&holder, 1));
	assert_false(holder_try(&other, 1));
	assert_int_equal(other.byte, 0);
	assert_true(holder_try(&other, 2));
	holder_close(&holder);
	assert_false(holder_alive(&other, 1));
	assert_true(holder_alive(&other, 2));
	holder_close(&other);
	holder_close(&other);
}

/* The lock is not inherited across an exec, and a fork's end does not drop it. */
static void a_fork_does_not_let_go(void **state)
{
	struct holder holder = open_holder(*state);
	struct holder other = open_holder(*state);
	pid_t child;

	assert_true(holder_try(&holder, 1));
	assert_int_equal(fcntl(holder.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fcntl(holder.probe_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	child = fork();
	if (child == 0) {
		holder_close(&holder);
		_exit(0);
	}
	assert_int_equal(bed_reap(child), 0);
	assert_true(holder_alive(&other, 1));
	holder_close(&holder);
	assert_false(holder_alive(&other, 1));
	holder_close(&other);
}

static void what_cannot_be_asked_is_alive(void **state)
{
	struct holder holder = open_holder(*state);
	int probe_fd = holder.probe_fd;

	holder.probe_fd = -1;
	assert_true(holder_alive(&holder, 1));
	holder.probe_fd = probe_fd;
	holder_close(&holder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(our_own_byte_is_alive),
		TEST(a_byte_has_one_holder),
		TEST(a_fork_does_not_let_go),
		TEST(what_cannot_be_asked_is_alive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
