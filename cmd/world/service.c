/* What a service manager says and hears (sd_listen_fds(3), sd_notify(3)), without its library. */
#include "real.h"

#include <errno.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/un.h>

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

static int inherited_count(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	uint64_t number;

	if (!pid || !count || !text_parse_u64(pid, INT32_MAX, &number) ||
	    (pid_t)number != getpid() || !text_parse_u64(count, 1000, &number)) {
		return 0;
	}
	return (int)number;
}

static bool is_at(int fd, const struct listen_at *at)
{
	union {
		struct sockaddr sa;
		struct sockaddr_un un;
		struct addr addr;
	} bound;
	socklen_t len = sizeof(bound);
	struct addr addr = { .len = 0 };

	memset(&bound, 0, sizeof(bound));
	if (getsockname(fd, &bound.sa, &len) != 0) {
		return false;
	}
	if (bound.sa.sa_family == AF_UNIX) {
		return at->unix_path &&
		       strncmp(bound.un.sun_path, at->unix_path, sizeof(bound.un.sun_path)) == 0;
	}
	memcpy(&addr.u, &bound, sizeof(addr.u));
	addr.len = len;
	return !at->unix_path && at->addr && addr_equal(&addr, at->addr);
}

int world_real_inherited(const struct listen_at *at, int type)
{
	int count = inherited_count();

	for (int fd = FIRST_FD; fd < FIRST_FD + count; fd++) {
		int is = 0;
		socklen_t len = sizeof(is);

		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &is, &len) == 0 && is == type &&
		    is_at(fd, at)) {
			return fd;
		}
	}
	return -1;
}

void world_real_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (len == 0 || len >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@')) {
		return;
	}
	memcpy(address.sun_path, path, len);
	if (path[0] == '@') {
		address.sun_path[0] = '\0'; /* an abstract one */
	}
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0) {
		log_warn("the service manager cannot be told: %s", strerror(errno));
	}
	if (fd >= 0) {
		close(fd);
	}
}

void world_real_raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}
