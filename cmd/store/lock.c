#include "dns01/store.h"

#include "folder.h"
#include "holder.h"

#include <errno.h>
#include <fcntl.h>

#define ZONE_LOCK_FILE "zones.lock"
/* Two zones on one byte merely wait for each other; with so many bytes none do. */
#define ZONE_LOCK_MASK ((UINT64_C(1) << 40) - 1)

struct lock {
	int fd;
};

/* len 0: the whole file. */
static enum err_code lock_try(const char *path, int64_t start, int64_t len, struct lock **out,
			      struct err *err)
{
	struct lock *lock;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		return err_set(err, ERR_IO, path, "the lock file cannot be opened: %s",
			       strerror(errno));
	}
	if (!ofd_try_lock(fd, start, len)) {
		int reason = errno;

		close(fd);
		if (reason == EAGAIN) {
			return err_set(err, ERR_BUSY, path, "another process holds this lock");
		}
		return err_set(err, ERR_IO, path, "cannot be locked: %s", strerror(reason));
	}
	lock = xmalloc(sizeof(*lock));
	lock->fd = fd;
	*out = lock;
	return ERR_NONE;
}

enum err_code lock_try_file(const char *path, struct lock **out, struct err *err)
{
	return lock_try(path, 0, 0, out, err);
}

enum err_code lock_try_zone(const char *state, const char *key, struct lock **out, struct err *err)
{
	uint8_t digest[SHA256_LEN];
	uint64_t byte = 0;
	char *path;
	enum err_code code = state_file_make(state, ZONE_LOCK_FILE, err);

	if (code != ERR_NONE) {
		return code;
	}
	sha256(key, strlen(key), digest);
	memcpy(&byte, digest, sizeof(byte));
	path = path_join(state, ZONE_LOCK_FILE);
	code = lock_try(path, (int64_t)(byte & ZONE_LOCK_MASK), 1, out, err);
	free(path);
	return code;
}

void lock_release(struct lock *lock)
{
	if (lock) {
		close(lock->fd);
		free(lock);
	}
}
