/* How each file of an export is written, and single files. */
#include "export.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum err_code export_failed(const char *what, struct err *err)
{
	int why = errno;
	const char *advice = why == EACCES || why == EPERM
				     ? "; run dns01 as a user who may, or choose another path"
			     : why == ENOSPC || why == EDQUOT
				     ? "; make room, the next run tries again"
			     : why == EROFS  ? "; a service's ReadWritePaths may leave it out"
			     : why == ENOENT ? "; make the folder that it shall be in"
					     : "";

	return err_set(err, ERR_IO, "", "%s: %s%s", what, strerror(why), advice);
}

static enum err_code refuse_owner(const struct export_rights *rights, struct err *err)
{
	const struct conf_export *export = rights->export;
	int why = errno;

	return err_set(err, ERR_IO, "",
		       "its %s%s%s cannot be set: %s; only root gives files to another user, or to "
		       "a group that it is no member of",
		       export->owner ? "owner" : "", export->owner && export->group ? " and " : "",
		       export->group ? "group" : "", strerror(why));
}

static bool write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t put = write(fd, data, len);

		if (put < 0 && errno == EINTR) {
			continue;
		}
		if (put < 0) {
			return false;
		}
		data += put;
		len -= (size_t)put;
	}
	return true;
}

enum err_code export_put(int folder, const struct export_piece *piece,
			 const struct export_rights *rights, struct err *err)
{
	const struct buf *data = piece->data;
	const char *name = piece->name;
	enum err_code code = ERR_NONE;
	int fd;

	if (unlinkat(folder, name, 0) != 0 && errno != ENOENT) {
		return export_failed("what is left of an earlier run cannot be removed", err);
	}
	fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		return export_failed("a file in its folder cannot be made", err);
	}
	/* Owner, then mode, then content: at no time can anybody else read it. */
	if ((rights->uid != (uid_t)-1 || rights->gid != (gid_t)-1) &&
	    fchown(fd, rights->uid, rights->gid) != 0) {
		code = refuse_owner(rights, err);
	} else if (fchmod(fd, piece->mode) != 0 || !write_all(fd, buf_str(data), data->len) ||
		   fsync(fd) != 0) {
		code = export_failed("it cannot be written", err);
	}
	if (close(fd) != 0 && code == ERR_NONE) {
		code = export_failed("it cannot be written", err);
	}
	if (code != ERR_NONE) {
		unlinkat(folder, name, 0);
	}
	return code;
}

/* ---- a single file -------------------------------------------------------------------- */

static enum err_code put_in_place(int folder, const char *fresh, const char *name, struct err *err)
{
	struct stat there;

	if (fstatat(folder, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(there.st_mode)) {
		return err_set(
			err, ERR_EXISTS, "",
			"it is a folder, and this layout writes one file; remove the folder, "
			"or choose another path");
	}
	if (renameat(folder, fresh, folder, name) != 0) {
		return export_failed("it cannot be replaced", err);
	}
	return export_sync(folder, err);
}

enum err_code export_file(const char *path, const struct buf *data,
			  const struct export_rights *rights, struct err *err)
{
	const char *name = strrchr(path, '/') + 1;
	char *parent = path_dir(path), *fresh = xasprintf(".%s%s", name, EXPORT_NEW);
	int folder = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err_code code;

	if (folder < 0) {
		code = export_failed("its folder cannot be opened", err);
		goto out;
	}
	code = export_put(folder, &(struct export_piece){ fresh, data, rights->key_mode }, rights,
			  err);
	if (code == ERR_NONE) {
		code = put_in_place(folder, fresh, name, err);
	}
	if (code != ERR_NONE) {
		unlinkat(folder, fresh, 0);
	}
	close(folder);
out:
	free(parent);
	free(fresh);
	return code;
}
