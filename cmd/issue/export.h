/*
 * export: copies of a lineage in the places and forms that other programs want. export.c (what is
 * in them), export_file.c (single files, and how each is written), export_folder.c and
 * export_certbot.c (folders). Private to issue.
 */
#ifndef DNS01_ISSUE_EXPORT_H
#define DNS01_ISSUE_EXPORT_H

#include "dns01/conf.h"
#include "dns01/crypto.h"

struct export_args {
	const struct conf_export *export;
	const char *path; /* as conf_export_path() gives it for this lineage */
	const char *name; /* of the lineage: PKCS#12's friendly name */
	const struct key *key;
	const struct chain *chain;
};

/*
 * Writes one copy. A reader sees the old one or the new one; on failure the old one stays. All is
 * synced, and what a crash left is removed first. The subject of the error is the path.
 */
enum err_code export_write(const struct export_args *args, struct err *err) MUST_CHECK;

/* ---- between the files --------------------------------------------------------------- */

#define EXPORT_NEW ".dns01-new" /* a folder on its way, or the end of a file's name on its way */

enum export_part { EXPORT_KEY, EXPORT_CERT, EXPORT_CHAIN, EXPORT_FULLCHAIN, EXPORT_PART_COUNT };

/* The four files that a folder has. */
struct export_set {
	struct buf part[EXPORT_PART_COUNT];
};
const char *export_part_name(enum export_part part); /* "privkey", without ".pem" */

/* Who owns what is written, and with which modes. */
struct export_rights {
	uid_t uid; /* (uid_t)-1: whoever runs this */
	gid_t gid;
	mode_t key_mode;
	const struct conf_export *export; /* for sentences */
};

/* Writes a new file in folder, which nobody can read before its owner and mode are set; one of
 * that name that is there is replaced, and visible in between. Synced, the folder is not. */
struct export_piece {
	const char *name;
	const struct buf *data;
	mode_t mode;
};
enum err_code export_put(int folder, const struct export_piece *piece,
			 const struct export_rights *rights, struct err *err) MUST_CHECK;
/* "WHAT: why", by errno, with advice where there is any; the path is the subject later. */
enum err_code export_failed(const char *what, struct err *err);
/* One file in place of another, by a rename. */
enum err_code export_file(const char *path, const struct buf *data,
			  const struct export_rights *rights, struct err *err) MUST_CHECK;
/* A folder, made (0755) where it is not; *out is open then. */
enum err_code export_open(int parent, const char *name, int *out, struct err *err) MUST_CHECK;
/* The same of a whole path, whose parent must exist. */
enum err_code export_open_path(const char *path, int *out, struct err *err) MUST_CHECK;
/* Makes a symlink, or replaces what is there, by a rename. */
enum err_code export_link(int folder, const char *target, const char *name,
			  struct err *err) MUST_CHECK;
/* Removes a file, a link, or a folder that holds only these; one that is not there is fine. */
enum err_code export_remove(int parent, const char *name, struct err *err) MUST_CHECK;
/* Calls each with every name in a folder until it fails. */
typedef enum err_code export_each(void *arg, const char *name, struct err *err);
enum err_code export_list(int folder, export_each *each, void *arg, struct err *err) MUST_CHECK;
enum err_code export_sync(int folder, struct err *err) MUST_CHECK;
enum err_code export_files(const char *path, const struct export_set *set,
			   const struct export_rights *rights, struct err *err) MUST_CHECK;
enum err_code export_certbot(const char *path, const struct export_set *set,
			     const struct export_rights *rights, struct err *err) MUST_CHECK;

#endif
