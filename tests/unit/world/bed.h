/* A real world for each test, and loopback sockets of the test's own as peers. */
#ifndef DNS01_TESTS_WORLD_BED_H
#define DNS01_TESTS_WORLD_BED_H

#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "dns01/world.h"

static struct world *world;

static inline int world_open(void **state)
{
	struct err err;

	(void)state;
	world = world_real_new(&err);
	return world ? 0 : -1;
}

static inline int world_shut(void **state)
{
	(void)state;
	world_real_free(world);
	world = NULL;
	return 0;
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_shut)

static inline void stop(void *arg)
{
	(void)arg;
	world_real_stop(world);
}

static inline void has_text(const char *text, const char *part)
{
	if (!strstr(text, part)) {
		fail_msg("'%s' does not say '%s'", text, part);
	}
}

/* Bound to a free port of 127.0.0.1; TCP listens. */
static inline int bind_loopback(int type, struct addr *addr)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_true(addr_parse("127.0.0.1", 0, addr));
	assert_int_equal(bind(fd, &addr->u.sa, addr->len), 0);
	assert_int_equal(getsockname(fd, &addr->u.sa, &addr->len), 0);
	if (type == SOCK_STREAM) {
		assert_int_equal(listen(fd, 10), 0);
	}
	return fd;
}

/* An address of 127.0.0.1 where nobody listens. */
static inline struct addr closed_port(int type)
{
	struct addr addr;

	close(bind_loopback(type, &addr));
	return addr;
}

#endif
