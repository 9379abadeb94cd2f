/*
 * The end of a lineage. Under its lock it gets a name that no lineage has, in one step; what a
 * crash leaves of it is removed by the next try.
 */
#include "lineage_internal.h"

#include "folder.h"

#include <dirent.h>
#include <errno.h>

/* One file, or one folder of files: versions, pending. */
static enum err_code remove_entry(const char *folder, const char *name, struct err *err)
{
	char *path = path_join(folder, name);
	enum err_code code = ERR_NONE;

	if (unlink(path) != 0 && errno != ENOENT) {
		code = errno == EISDIR ? folder_remove(path, err)
				       : err_set(err, ERR_IO, path, "cannot be removed: %s",
						 strerror(errno));
	}
	free(path);
	return code;
}

/* One that is not there is fine. */
static enum err_code remove_whole(const char *folder, struct err *err)
{
	enum err_code code = ERR_NONE;
	struct dirent *entry;
	DIR *dir = opendir(folder);

	if (!dir) {
		return errno == ENOENT ? ERR_NONE
				       : err_set(err, ERR_IO, folder, "cannot be read: %s",
						 strerror(errno));
	}
	while (code == ERR_NONE && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			code = remove_entry(folder, entry->d_name, err);
		}
	}
	closedir(dir);
	return code == ERR_NONE ? folder_remove(folder, err) : code;
}

static enum err_code put_aside(const char *certs, const char *folder, const char *gone,
			       struct err *err)
{
	if (rename(folder, gone) != 0) {
		return err_set(err, ERR_IO, folder, "cannot be removed: %s", strerror(errno));
	}
	return folder_sync(certs, err);
}

enum err_code lineage_remove(const char *state, const char *name, struct err *err)
{
	char *certs = path_join(state, LINEAGE_CERTS);
	char *folder = path_join(certs, name);
	char *gone = xasprintf("%s/.gone-%s", certs, name);
	struct lineage *lineage = NULL;
	enum err_code code = store_name_check("certificate", name, err);
	bool there = code == ERR_NONE && access(folder, F_OK) == 0;

	if (code == ERR_NONE && !there && access(gone, F_OK) != 0) {
		code = err_set(err, ERR_NOT_FOUND, name, "there is no certificate of this name");
	}
	if (code == ERR_NONE && there) {
		code = lineage_open(state, name, &lineage, err);
	}
	if (code == ERR_NONE && there) {
		code = lineage_lock(lineage, err);
	}
	if (code == ERR_NONE) {
		code = remove_whole(gone, err);
	}
	if (code == ERR_NONE && there) {
		code = put_aside(certs, folder, gone, err);
	}
	if (code == ERR_NONE) {
		code = remove_whole(gone, err);
	}
	if (code == ERR_NONE) {
		code = folder_sync(certs, err);
	}
	lineage_free(lineage);
	free(certs);
	free(folder);
	free(gone);
	return code;
}
