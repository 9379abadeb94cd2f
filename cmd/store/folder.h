/* folder: files of the state folder that are made whole or not at all. Private to store. */
#ifndef DNS01_STORE_FOLDER_H
#define DNS01_STORE_FOLDER_H

#include "dns01/base.h"

#define STORE_NAME_MAX 200 /* octets in the name of a lineage or account */

struct folder_file {
	const char *name;
	const void *data;
	size_t len;
	mode_t mode;
};

/* One folder to be written; its mode and its files. */
struct folder_spec {
	const char *parent;
	const char *name;
	mode_t mode;
	const struct folder_file *files;
	size_t count;
};

/*
 * Writes parent/name with exactly these files, replacing one that is there: a crash leaves
 * the old folder or the new one. All is synced. What an earlier crash left is removed.
 */
enum err_code folder_write(const struct folder_spec *spec, struct err *err) MUST_CHECK;
/* Removes a folder that holds only files; one that is not there is fine. Not synced. */
enum err_code folder_remove(const char *path, struct err *err) MUST_CHECK;
/* Names of its folders, sorted, for strlist_clear; none where it does not exist. */
enum err_code folder_names(const char *path, struct strlist *out, struct err *err) MUST_CHECK;
/* Makes a symlink, or replaces one, by a rename. Not synced. */
enum err_code folder_symlink(const char *target, const char *path, struct err *err) MUST_CHECK;
/* what: "certificate", "account". Refuses what is no single plain path component. */
enum err_code store_name_check(const char *what, const char *name, struct err *err) MUST_CHECK;

/*
 * state/name as an empty file (0660) where it is not; from root it gets the state folder's
 * owner and group. It appears whole: no other process sees it with another owner.
 */
enum err_code state_file_make(const char *state, const char *name, struct err *err) MUST_CHECK;

#endif
