#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* ---- names ------------------------------------------------------------------------ */

enum err_code store_name_check(const char *what, const char *name, struct err *err)
{
	size_t len = strlen(name);

	if (len == 0 || len > STORE_NAME_MAX) {
		return err_set(err, ERR_USAGE, what, "a name has 1 to %d octets, this one %zu",
			       STORE_NAME_MAX, len);
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c == '*') {
			return err_set(err, ERR_USAGE, what,
				       "\"%s\" cannot name a folder because of its \"*\": "
				       "choose a name with --name",
				       name);
		}
		if (c == '/' || c < 0x20 || c == 0x7f) {
			return err_set(err, ERR_USAGE, what,
				       "its name holds \"/\" or a control character: it names a "
				       "folder, choose another");
		}
	}
	if (name[0] == '.') {
		return err_set(err, ERR_USAGE, what,
			       "\"%s\" begins with a dot: it names a folder, choose another", name);
	}
	return ERR_NONE;
}

/* ---- one file --------------------------------------------------------------------- */

static enum err_code write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t done = write(fd, data, len);

		if (done < 0 && errno == EINTR) {
			continue;
		}
		if (done < 0) {
			return ERR_IO;
		}
		data += done;
		len -= (size_t)done;
	}
	return ERR_NONE;
}

/* Into a folder that nobody reads yet: written in place. */
static enum err_code file_put(const char *folder, const struct folder_file *file, struct err *err)
{
	char *path = path_join(folder, file->name);
	enum err_code code = ERR_NONE;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, file->mode);

	if (fd < 0 || fchmod(fd, file->mode) != 0 ||
	    write_all(fd, file->data, file->len) != ERR_NONE || fsync(fd) != 0) {
		code = err_set(err, ERR_IO, path, "cannot be written: %s", strerror(errno));
	}
	if (fd >= 0 && close(fd) != 0 && code == ERR_NONE) {
		code = err_set(err, ERR_IO, path, "cannot be written: %s", strerror(errno));
	}
	free(path);
	return code;
}

/* ---- folders ---------------------------------------------------------------------- */

enum err_code folder_remove(const char *path, struct err *err)
{
	enum err_code code = ERR_NONE;
	struct dirent *entry;
	DIR *dir = opendir(path);

	if (!dir) {
		return errno == ENOENT
			       ? ERR_NONE
			       : err_set(err, ERR_IO, path, "cannot be read: %s", strerror(errno));
	}
	while ((entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
			continue;
		}
		if (unlinkat(dirfd(dir), entry->d_name, 0) != 0 && errno != ENOENT) {
			code = err_set(err, ERR_IO, path, "\"%s\" in it cannot be removed: %s",
				       entry->d_name, strerror(errno));
			goto out;
		}
	}
	if (rmdir(path) != 0 && errno != ENOENT) {
		code = err_set(err, ERR_IO, path, "cannot be removed: %s", strerror(errno));
	}
out:
	closedir(dir);
	return code;
}

/* An exchange leaves no moment without the folder; where the file system has none, a short
 * moment without it has to do. The old folder is at fresh, or gone, afterwards. */
static enum err_code put_in_place(const char *fresh, const char *path, struct err *err)
{
	if (rename(fresh, path) == 0) {
		return ERR_NONE;
	}
	if (errno == EEXIST || errno == ENOTEMPTY) {
		if (renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_EXCHANGE) == 0) {
			return ERR_NONE;
		}
		if (folder_remove(path, err) != ERR_NONE) {
			return ERR_IO;
		}
		if (rename(fresh, path) == 0) {
			return ERR_NONE;
		}
	}
	return err_set(err, ERR_IO, path, "cannot be put in place: %s", strerror(errno));
}

enum err_code folder_write(const struct folder_spec *spec, struct err *err)
{
	char *path = path_join(spec->parent, spec->name);
	char *fresh = xasprintf("%s/.new-%s", spec->parent, spec->name);
	enum err_code code = folder_remove(fresh, err);

	if (code != ERR_NONE) {
		goto out;
	}
	if (mkdir(fresh, 0700) != 0 || chmod(fresh, spec->mode) != 0) {
		code = err_set(err, ERR_IO, fresh, "cannot be made: %s", strerror(errno));
		goto out;
	}
	for (size_t i = 0; i < spec->count && code == ERR_NONE; i++) {
		code = file_put(fresh, &spec->files[i], err);
	}
	if (code == ERR_NONE) {
		code = folder_sync(fresh, err);
	}
	if (code == ERR_NONE) {
		code = put_in_place(fresh, path, err);
	}
	if (code == ERR_NONE) {
		code = folder_sync(spec->parent, err);
	}
	/* What was replaced, or what failed: no key stays behind. */
	if (code != ERR_NONE) {
		err = NULL; /* the first sentence stays */
	}
	if (folder_remove(fresh, err) != ERR_NONE && code == ERR_NONE) {
		code = ERR_IO;
	}
out:
	free(path);
	free(fresh);
	return code;
}

enum err_code folder_symlink(const char *target, const char *path, struct err *err)
{
	char *folder = path_dir(path);
	char *fresh = xasprintf("%s/.new-%s", folder, strrchr(path, '/') + 1);
	enum err_code code = ERR_NONE;

	if ((unlink(fresh) != 0 && errno != ENOENT) || symlink(target, fresh) != 0 ||
	    rename(fresh, path) != 0) {
		code = err_set(err, ERR_IO, path, "the link to %s cannot be made: %s", target,
			       strerror(errno));
		unlink(fresh);
	}
	free(folder);
	free(fresh);
	return code;
}

/* ---- what is in it ---------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_names(DIR *dir, struct strlist *out)
{
	struct dirent *entry;

	while ((entry = readdir(dir)) != NULL) {
		if (store_name_check("folder", entry->d_name, NULL) == ERR_NONE &&
		    (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN)) {
			strlist_add(out, entry->d_name);
		}
	}
}

enum err_code folder_names(const char *path, struct strlist *out, struct err *err)
{
	DIR *dir = opendir(path);
	size_t before = out->count;
	enum err_code code = ERR_NONE;

	if (dir) {
		add_names(dir, out);
		closedir(dir);
	} else if (errno != ENOENT) {
		code = err_set(err, ERR_IO, path, "cannot be read: %s", strerror(errno));
	}
	if (out->count > before) {
		qsort(out->item + before, out->count - before, sizeof(*out->item), by_name);
	}
	return code;
}
