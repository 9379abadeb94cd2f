#include "holder.h"

#include "folder.h"

#include <errno.h>
#include <fcntl.h>

static struct flock lock_of(int64_t start, int64_t len)
{
	/* l_pid stays 0, as fcntl(2) wants it for these locks. */
	return (struct flock){
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = len
	};
}

bool ofd_try_lock(int fd, int64_t start, int64_t len)
{
	struct flock lock = lock_of(start, len);

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
		return true;
	}
	if (errno == EACCES) {
		errno = EAGAIN; /* POSIX allows either */
	}
	return false;
}

enum err_code holder_open(struct holder *holder, const char *state, struct err *err)
{
	char *path = path_join(state, "holders");
	enum err_code code = state_file_make(state, "holders", err);

	if (code != ERR_NONE) {
		goto out;
	}
	holder->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (holder->fd >= 0) {
		holder->probe_fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	}
	if (holder->probe_fd < 0) {
		code = err_set(err, ERR_IO, path, "cannot be opened: %s", strerror(errno));
		holder_close(holder);
	}
out:
	free(path);
	return code;
}

void holder_close(struct holder *holder)
{
	if (holder->fd >= 0) {
		close(holder->fd);
	}
	if (holder->probe_fd >= 0) {
		close(holder->probe_fd);
	}
	*holder = (struct holder)HOLDER_INIT;
}

bool holder_try(struct holder *holder, int64_t byte)
{
	if (!ofd_try_lock(holder->fd, byte, 1)) {
		return false;
	}
	holder->byte = byte;
	return true;
}

bool holder_alive(const struct holder *holder, int64_t byte)
{
	struct flock lock = lock_of(byte, 1);

	if (fcntl(holder->probe_fd, F_OFD_GETLK, &lock) != 0) {
		return true;
	}
	return lock.l_type != F_UNLCK;
}
