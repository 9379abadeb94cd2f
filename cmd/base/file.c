/* Files: read with a limit, written so that a crash leaves the old or the new one, whole. */
#include "dns01/base.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define READ_CHUNK 4096

/* Why a call on path failed, from errno, and what to do about it where that is clear. */
static enum err_code io_error(struct err *err, const char *what, const char *path)
{
	const int why = errno;
	const char *advice = "";

	switch (why) {
	case ENOENT:
		return err_set(err, ERR_NOT_FOUND, NULL, "cannot %s %s: it does not exist", what,
			       path);
	case EACCES:
	case EPERM:
		advice = "; run this as its owner or as root, or change its mode";
		break;
	case ENOSPC:
	case EDQUOT:
		advice = "; make room there and run this again";
		break;
	case EROFS:
		advice = "; choose a place that can be written";
		break;
	default:
		break;
	}
	return err_set(err, ERR_IO, NULL, "cannot %s %s: %s%s", what, path, strerror(why), advice);
}

static enum err_code read_all(int fd, const char *path, struct buf *out, struct err *err)
{
	enum err_code code = ERR_NONE;
	char chunk[READ_CHUNK];
	ssize_t got;

	do {
		got = read(fd, chunk, sizeof(chunk));
		if (got > 0) {
			buf_add(out, chunk, (size_t)got);
		}
	} while ((got > 0 && !out->overflow) || (got < 0 && errno == EINTR));
	if (got < 0) {
		code = io_error(err, "read", path);
	} else if (out->overflow) {
		code = err_set(err, ERR_LIMIT, NULL, "%s is larger than %zu octets", path,
			       out->max);
	}
	wipe(chunk, sizeof(chunk));
	if (code) {
		buf_wipe(out);
	}
	return code;
}

enum err_code file_read(const char *path, size_t max, struct buf *out, struct err *err)
{
	enum err_code code;
	int fd;

	buf_init(out, max);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		return io_error(err, "open", path);
	}
	code = read_all(fd, path, out, err);
	close(fd);
	return code;
}

/* systemd's credentials folder: nobody else can enter it, whatever its files' modes say. */
static bool is_credential(const char *path)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	size_t len = folder ? strlen(folder) : 0;

	return len > 0 && strncmp(path, folder, len) == 0 && path[len] == '/' &&
	       !strstr(path, "/../");
}

static enum err_code check_secret(int fd, const char *path, struct err *err)
{
	struct stat info;

	if (fstat(fd, &info) < 0) {
		return io_error(err, "look at", path);
	}
	if (!S_ISREG(info.st_mode)) {
		return err_set(err, ERR_DENIED, NULL,
			       "%s holds a secret, so it must be a regular file", path);
	}
	if ((info.st_mode & 027) && !is_credential(path)) {
		return err_set(err, ERR_DENIED, NULL,
			       "%s holds a secret, but its mode %04o lets others at it; run: "
			       "chmod 0640 %s",
			       path, (unsigned)(info.st_mode & 07777), path);
	}
	return ERR_NONE;
}

enum err_code file_read_secret(const char *path, size_t max, struct buf *out, struct err *err)
{
	enum err_code code;
	int fd;

	buf_init(out, max);
	/* Without O_NONBLOCK a FIFO would wait for a writer before it can be refused. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		return io_error(err, "open", path);
	}
	code = check_secret(fd, path, err);
	if (!code) {
		code = read_all(fd, path, out, err);
	}
	close(fd);
	return code;
}

static bool write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t put = write(fd, data, len);

		if (put < 0 && errno == EINTR) {
			continue;
		}
		if (put <= 0) {
			return false;
		}
		data += put;
		len -= (size_t)put;
	}
	return true;
}

enum err_code file_write_durable(const char *path, const void *data, size_t len, mode_t mode,
				 struct err *err)
{
	char *folder = path_dir(path);
	char *temporary = xasprintf("%s.XXXXXX", path);
	enum err_code code = ERR_NONE;
	bool made = false;
	int fd;

	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0) {
		code = io_error(err, "make a file beside", path);
		goto out;
	}
	made = true;
	/* The mode before the content: nobody reads a secret in between. */
	if (fchmod(fd, mode) < 0 || !write_all(fd, data, len) || fsync(fd) < 0) {
		code = io_error(err, "write", path);
		goto out;
	}
	if (rename(temporary, path) < 0) {
		code = io_error(err, "replace", path);
		goto out;
	}
	made = false;
	code = folder_sync(folder, err);
out:
	if (fd >= 0) {
		close(fd);
	}
	if (made) {
		unlink(temporary);
	}
	free(temporary);
	free(folder);
	return code;
}

enum err_code folder_sync(const char *path, struct err *err)
{
	enum err_code code = ERR_NONE;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		return io_error(err, "open", path);
	}
	/* EINVAL: a file system that has no such thing for folders. */
	if (fsync(fd) < 0 && errno != EINVAL) {
		code = io_error(err, "sync", path);
	}
	close(fd);
	return code;
}

/* One level; *made tells whether it is new. */
static enum err_code make_one(const char *path, mode_t mode, struct err *err)
{
	char *parent = NULL;
	enum err_code code = ERR_NONE;
	struct stat info;

	if (mkdir(path, mode) < 0) {
		if (errno != EEXIST) {
			return io_error(err, "make the folder", path);
		}
		if (stat(path, &info) < 0) {
			return io_error(err, "look at", path);
		}
		if (!S_ISDIR(info.st_mode)) {
			return err_set(err, ERR_EXISTS, NULL, "%s is there and is no folder", path);
		}
		return ERR_NONE;
	}
	if (chmod(path, mode) < 0) { /* the umask took bits away */
		return io_error(err, "set the mode of", path);
	}
	parent = path_dir(path);
	code = folder_sync(parent, err);
	free(parent);
	return code;
}

enum err_code folder_make(const char *path, mode_t mode, struct err *err)
{
	char *partial = xstrdup(path);
	enum err_code code = ERR_NONE;

	for (char *at = partial; *at && !code; at++) {
		if (*at != '/' || at == partial || at[-1] == '/') {
			continue;
		}
		*at = '\0';
		code = make_one(partial, mode, err);
		*at = '/';
	}
	if (!code && *partial && partial[strlen(partial) - 1] != '/') {
		code = make_one(partial, mode, err);
	}
	free(partial);
	return code;
}

char *path_join(const char *folder, const char *name)
{
	size_t len = strlen(folder);

	if (name[0] == '/' || len == 0) {
		return xstrdup(name);
	}
	return xasprintf("%s%s%s", folder, folder[len - 1] == '/' ? "" : "/", name);
}

char *path_dir(const char *path)
{
	const char *slash;
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/') { /* "a/b/" is b in a */
		len--;
	}
	slash = memrchr(path, '/', len);
	if (!slash) {
		return xstrdup(".");
	}
	return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}
