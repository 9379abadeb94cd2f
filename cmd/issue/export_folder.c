/*
 * The layout "files", and what folders of both layouts are made with.
 *
 *   PATH/.vNNNN/{privkey,cert,chain,fullchain}.pem   written whole before anything leads to it
 *   PATH/.current -> .vNNNN                          the one switch, by a rename
 *   PATH/privkey.pem -> .current/privkey.pem         and so on, made once
 *
 * Files that were there before dns01 become version 0: links of the same content take their place
 * one after another, then all four switch at once. The version before stays for those who have
 * it open as a folder.
 */
#include "export.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define CURRENT ".current"
#define LINK_NEW ".link" EXPORT_NEW
#define FIRST ".v0000"
#define VERSION_MAX 999999
#define VERSION_NAME_MAX 16
#define PUBLIC_MODE 0644
#define FOLDER_MODE 0755 /* each file has its own mode */
#define TARGET_MAX 4096

/* ---- folders --------------------------------------------------------------------------- */

enum err_code export_sync(int folder, struct err *err)
{
	/* EINVAL: a file system that has no such thing for folders. */
	return fsync(folder) == 0 || errno == EINVAL
		       ? ERR_NONE
		       : export_failed("its folder cannot be synced", err);
}

static int open_folder(int parent, const char *name)
{
	return openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

enum err_code export_open(int parent, const char *name, int *out, struct err *err)
{
	int fd = open_folder(parent, name);

	if (fd < 0 && errno == ENOENT) {
		if (mkdirat(parent, name, FOLDER_MODE) != 0 ||
		    fchmodat(parent, name, FOLDER_MODE, 0) != 0) {
			return export_failed("the folder cannot be made", err);
		}
		if (export_sync(parent, err) != ERR_NONE) {
			return ERR_IO;
		}
		fd = open_folder(parent, name);
	}
	if (fd < 0 && errno == ENOTDIR) {
		return err_set(err, ERR_EXISTS, "",
			       "it is a file, and this layout writes a folder; remove the file, or "
			       "choose another path");
	}
	if (fd < 0) {
		return export_failed("the folder cannot be opened", err);
	}
	*out = fd;
	return ERR_NONE;
}

enum err_code export_open_path(const char *path, int *out, struct err *err)
{
	char *parent = path_dir(path);
	int fd = open_folder(AT_FDCWD, parent);
	enum err_code code;

	if (fd < 0) {
		code = export_failed("the folder above it cannot be opened", err);
	} else {
		code = export_open(fd, strrchr(path, '/') + 1, out, err);
		close(fd);
	}
	free(parent);
	return code;
}

enum err_code export_list(int folder, export_each *each, void *arg, struct err *err)
{
	int fd = open_folder(folder, ".");
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	enum err_code code = ERR_NONE;
	struct dirent *entry;

	if (!dir) {
		code = export_failed("the folder cannot be read", err);
		if (fd >= 0) {
			close(fd);
		}
		return code;
	}
	while (code == ERR_NONE && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			code = each(arg, entry->d_name, err);
		}
	}
	closedir(dir);
	return code;
}

static enum err_code remove_one(void *arg, const char *name, struct err *err)
{
	const int *folder = arg;

	return unlinkat(*folder, name, 0) == 0 || errno == ENOENT
		       ? ERR_NONE
		       : export_failed("what is left of an earlier run cannot be removed", err);
}

enum err_code export_remove(int parent, const char *name, struct err *err)
{
	int folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	enum err_code code;

	if (folder < 0) {
		return errno == ENOENT ? ERR_NONE : remove_one(&parent, name, err);
	}
	code = export_list(folder, remove_one, &folder, err);
	close(folder);
	if (code == ERR_NONE && unlinkat(parent, name, AT_REMOVEDIR) != 0) {
		code = export_failed("what is left of an earlier run cannot be removed", err);
	}
	return code;
}

enum err_code export_link(int folder, const char *target, const char *name, struct err *err)
{
	if ((unlinkat(folder, LINK_NEW, 0) != 0 && errno != ENOENT) ||
	    symlinkat(target, folder, LINK_NEW) != 0 ||
	    renameat(folder, LINK_NEW, folder, name) != 0) {
		enum err_code code = export_failed("a link in it cannot be made", err);

		unlinkat(folder, LINK_NEW, 0);
		return code;
	}
	return ERR_NONE;
}

/* false: it is no link. */
static bool read_link(int folder, const char *name, char out[TARGET_MAX])
{
	ssize_t len = readlinkat(folder, name, out, TARGET_MAX - 1);

	if (len < 0) {
		return false;
	}
	out[len] = '\0';
	return true;
}

/* ---- versions --------------------------------------------------------------------------- */

/* 0: not the name of a version, or that of the first. */
static unsigned version_of(const char *name)
{
	uint64_t version = 0;

	if (strncmp(name, ".v", 2) != 0 || strlen(name) < strlen(FIRST) ||
	    !text_parse_u64(name + 2, VERSION_MAX, &version)) {
		return 0;
	}
	return (unsigned)version;
}

struct versions {
	int folder;
	unsigned last;
	const char *keep[2]; /* for prune */
};

static enum err_code find_last(void *arg, const char *name, struct err *err)
{
	struct versions *versions = arg;
	unsigned version = version_of(name);

	(void)err;
	if (version > versions->last) {
		versions->last = version;
	}
	return ERR_NONE;
}

static enum err_code prune_one(void *arg, const char *name, struct err *err)
{
	struct versions *versions = arg;
	bool kept = version_of(name) == 0 && strcmp(name, FIRST) != 0;

	for (size_t i = 0; i < ARRAY_LEN(versions->keep); i++) {
		kept = kept || strcmp(versions->keep[i], name) == 0;
	}
	return kept ? ERR_NONE : export_remove(versions->folder, name, err);
}

/* What cannot be tidied up does not undo the export. */
static void prune(int folder, const char *now, const char *before)
{
	struct versions versions = { .folder = folder, .keep = { now, before } };
	struct err err;

	if (export_list(folder, prune_one, &versions, &err) != ERR_NONE) {
		log_warn("%s", err.text);
	}
}

static enum err_code write_parts(int folder, const struct export_set *set,
				 const struct export_rights *rights, struct err *err)
{
	enum err_code code = ERR_NONE;

	for (enum export_part part = 0; part < EXPORT_PART_COUNT && code == ERR_NONE; part++) {
		char *name = xasprintf("%s.pem", export_part_name(part));
		struct export_piece piece = {
			.name = name,
			.data = &set->part[part],
			.mode = part == EXPORT_KEY ? rights->key_mode : PUBLIC_MODE,
		};

		code = export_put(folder, &piece, rights, err);
		free(name);
	}
	return code;
}

static enum err_code write_version(int folder, const char *name, const struct export_set *set,
				   const struct export_rights *rights, struct err *err)
{
	enum err_code code = export_remove(folder, EXPORT_NEW, err);
	int fresh;

	if (code != ERR_NONE) {
		return code;
	}
	code = export_open(folder, EXPORT_NEW, &fresh, err);
	if (code != ERR_NONE) {
		return code;
	}
	code = write_parts(fresh, set, rights, err);
	if (code == ERR_NONE) {
		code = export_sync(fresh, err);
	}
	close(fresh);
	if (code == ERR_NONE && renameat(folder, EXPORT_NEW, folder, name) != 0) {
		code = export_failed("a folder in it cannot be made", err);
	}
	if (code != ERR_NONE && export_remove(folder, EXPORT_NEW, NULL) != ERR_NONE) {
		log_debug("an unfinished export stays until the next one");
	}
	return code;
}

/* ---- what was there before ---------------------------------------------------------------- */

/* The file as it is, or a link to where it leads from one folder deeper. */
static enum err_code keep_one(int folder, int first, const char *name, struct err *err)
{
	char target[TARGET_MAX], deeper[TARGET_MAX + 4];

	if (read_link(folder, name, target)) {
		if (strncmp(target, CURRENT "/", strlen(CURRENT "/")) == 0) {
			return ERR_NONE; /* ours, of a folder that lost its switch */
		}
		snprintf(deeper, sizeof(deeper), "%s%s", target[0] == '/' ? "" : "../", target);
		return symlinkat(deeper, first, name) == 0
			       ? ERR_NONE
			       : export_failed("a link in it cannot be kept", err);
	}
	if (linkat(folder, name, first, name, 0) != 0 && errno != ENOENT) {
		return export_failed("the files that are there cannot be kept until the new ones "
				     "take their place; move the folder away",
				     err);
	}
	return ERR_NONE;
}

/* Version 0 of what was there; nothing, where nothing was. */
static enum err_code adopt(int folder, struct err *err)
{
	enum err_code code = export_remove(folder, FIRST, err);
	bool any = false;
	int first;

	for (enum export_part part = 0; part < EXPORT_PART_COUNT; part++) {
		char *name = xasprintf("%s.pem", export_part_name(part));

		any = any || faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
		free(name);
	}
	if (code != ERR_NONE || !any) {
		return code;
	}
	code = export_open(folder, FIRST, &first, err);
	if (code != ERR_NONE) {
		return code;
	}
	for (enum export_part part = 0; part < EXPORT_PART_COUNT && code == ERR_NONE; part++) {
		char *name = xasprintf("%s.pem", export_part_name(part));

		code = keep_one(folder, first, name, err);
		free(name);
	}
	close(first);
	return code == ERR_NONE ? export_link(folder, FIRST, CURRENT, err) : code;
}

/* privkey.pem -> .current/privkey.pem, and so on. */
static enum err_code link_parts(int folder, struct err *err)
{
	enum err_code code = ERR_NONE;

	for (enum export_part part = 0; part < EXPORT_PART_COUNT && code == ERR_NONE; part++) {
		char *name = xasprintf("%s.pem", export_part_name(part));
		char *target = path_join(CURRENT, name), is[TARGET_MAX];

		if (!read_link(folder, name, is) || strcmp(is, target) != 0) {
			code = export_link(folder, target, name, err);
		}
		free(name);
		free(target);
	}
	return code;
}

static enum err_code switch_to(int folder, const char *name, struct err *err)
{
	enum err_code code = link_parts(folder, err);

	if (code == ERR_NONE) {
		code = export_link(folder, name, CURRENT, err);
	}
	return code == ERR_NONE ? export_sync(folder, err) : code;
}

/* ---- the layout "files" -------------------------------------------------------------------- */

static enum err_code write_folder(int folder, const struct export_set *set,
				  const struct export_rights *rights, struct err *err)
{
	struct versions versions = { .folder = folder };
	char name[VERSION_NAME_MAX], before[TARGET_MAX] = "";
	enum err_code code = export_list(folder, find_last, &versions, err);

	if (code != ERR_NONE) {
		return code;
	}
	if (versions.last >= VERSION_MAX) {
		return err_set(err, ERR_LIMIT, "", "it has version %u; move the folder away",
			       versions.last);
	}
	snprintf(name, sizeof(name), ".v%04u", versions.last + 1);
	code = write_version(folder, name, set, rights, err);
	if (code == ERR_NONE && !read_link(folder, CURRENT, before)) {
		code = adopt(folder, err);
		(void)read_link(folder, CURRENT, before);
	}
	if (code == ERR_NONE) {
		code = switch_to(folder, name, err);
	}
	if (code == ERR_NONE) {
		prune(folder, name, before);
	} else if (read_link(folder, CURRENT, before) && strcmp(before, name) != 0 &&
		   export_remove(folder, name, NULL) != ERR_NONE) {
		log_debug("an unfinished export stays until the next one");
	}
	return code;
}

enum err_code export_files(const char *path, const struct export_set *set,
			   const struct export_rights *rights, struct err *err)
{
	enum err_code code;
	int folder;

	code = export_open_path(path, &folder, err);
	if (code == ERR_NONE) {
		code = write_folder(folder, set, rights, err);
		close(folder);
	}
	return code;
}
