/* The state folder itself, and the files in it that root and the daemon's user share. */
#include "dns01/store.h"

#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum err_code state_open(const char *path, struct err *err)
{
	struct stat st;
	enum err_code code;

	/* A plain user's group is often everybody's. */
	code = folder_make(path, geteuid() == 0 ? 0750 : 0700, err);
	if (code != ERR_NONE) {
		return code;
	}
	if (stat(path, &st) != 0) {
		return err_set(err, ERR_IO, path, "the state folder cannot be read: %s",
			       strerror(errno));
	}
	if (!S_ISDIR(st.st_mode)) {
		return err_set(err, ERR_IO, path, "the state folder must be a folder");
	}
	if (faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
		return errno == EROFS
			       ? err_set(err, ERR_IO, path,
					 "the state folder is on a read-only file system: mount it "
					 "writable, or choose another by --state")
			       : err_set(err, ERR_IO, path,
					 "the state folder cannot be used by this user: %s; run as "
					 "its owner or as root, or choose another by --state",
					 strerror(errno));
	}
	return ERR_NONE;
}

static enum err_code share_with_owner(int fd, const char *state)
{
	struct stat st;

	if (fchmod(fd, 0660) != 0 || stat(state, &st) != 0) {
		return ERR_IO;
	}
	if (geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid) != 0) {
		return ERR_IO;
	}
	return ERR_NONE;
}

enum err_code state_file_make(const char *state, const char *name, struct err *err)
{
	char *path = path_join(state, name);
	char *fresh = NULL;
	struct stat st;
	enum err_code code = ERR_NONE;
	int fd = -1;

	if (lstat(path, &st) == 0) {
		if (!S_ISREG(st.st_mode)) {
			code = err_set(err, ERR_IO, path, "it must be a regular file");
		}
		goto out;
	}
	fresh = xasprintf("%s/.%s.XXXXXX", state, name);
	fd = mkostemp(fresh, O_CLOEXEC);
	if (fd < 0) {
		code = err_set(err, ERR_IO, path, "cannot be made: %s", strerror(errno));
		goto out;
	}
	if (share_with_owner(fd, state) != ERR_NONE ||
	    (link(fresh, path) != 0 && errno != EEXIST)) {
		code = err_set(err, ERR_IO, path, "cannot be made: %s", strerror(errno));
	}
	unlink(fresh);
	if (code == ERR_NONE) {
		code = folder_sync(state, err);
	}
out:
	if (fd >= 0) {
		close(fd);
	}
	free(fresh);
	free(path);
	return code;
}
