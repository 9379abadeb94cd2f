/* A lineage: the certificates that followed one another under one name. */
#include "lineage_internal.h"

#include "folder.h"

#include <errno.h>
#include <sys/stat.h>

#define LOCK_FILE "lock"
#define STAMP_MAX 256

enum err_code lineage_open(const char *state, const char *name, struct lineage **out,
			   struct err *err)
{
	struct lineage *lineage = NULL;
	char *certs = path_join(state, LINEAGE_CERTS);
	char *folder = path_join(certs, name);
	char *real = NULL;
	enum err_code code = store_name_check("certificate", name, err);

	if (code == ERR_NONE) {
		code = folder_make(certs, 0755, err);
	}
	if (code == ERR_NONE) {
		code = folder_make(folder, 0700, err);
	}
	if (code != ERR_NONE) {
		goto out;
	}
	real = realpath(folder, NULL);
	if (!real) {
		code = err_set(err, ERR_IO, folder, "cannot be used: %s", strerror(errno));
		goto out;
	}
	lineage = xcalloc(1, sizeof(*lineage));
	lineage->name = xstrdup(name);
	lineage->folder = xstrdup(real);
	*out = lineage;
out:
	free(real);
	free(certs);
	free(folder);
	return code;
}

void lineage_free(struct lineage *lineage)
{
	if (lineage) {
		lock_release(lineage->lock);
		free(lineage->name);
		free(lineage->folder);
		free(lineage);
	}
}

enum err_code lineage_lock(struct lineage *lineage, struct err *err)
{
	char *path;
	enum err_code code;

	if (lineage->lock) {
		return ERR_NONE;
	}
	path = path_join(lineage->folder, LOCK_FILE);
	code = lock_try_file(path, &lineage->lock, err);
	if (code == ERR_BUSY) {
		code = err_set(err, ERR_BUSY, lineage->name,
			       "another process is at work on this certificate and holds %s", path);
	}
	free(path);
	return code;
}

const char *lineage_folder(const struct lineage *lineage)
{
	return lineage->folder;
}

/* A version is written before `current` leads to it: a file of it that is younger was changed in
 * place. Adds what tells such ones apart; false: it is gone. */
static bool add_change(const char *current, const char *name, const struct stat *since,
		       struct buf *stamp)
{
	const struct timespec *then = &since->st_mtim;
	char *path = path_join(current, name);
	struct stat st;
	bool there = stat(path, &st) == 0;

	if (there && (st.st_mtim.tv_sec > then->tv_sec ||
		      (st.st_mtim.tv_sec == then->tv_sec && st.st_mtim.tv_nsec > then->tv_nsec))) {
		buf_addf(stamp, " %s %lld.%09ld", name, (long long)st.st_mtim.tv_sec,
			 st.st_mtim.tv_nsec);
	}
	free(path);
	return there;
}

enum err_code lineage_stamp(const char *state, const char *name, char **out, struct err *err)
{
	char *path = xasprintf("%s/" LINEAGE_CERTS "/%s/current", state, name);
	char target[64];
	struct stat st;
	ssize_t len = readlink(path, target, sizeof(target) - 1);
	enum err_code code = ERR_NONE;

	if (len < 0 && errno != ENOENT && errno != ENOTDIR) {
		code = err_set(err, ERR_IO, path, "cannot be read: %s", strerror(errno));
	} else if (len > 0 && lstat(path, &st) == 0 && access(path, F_OK) == 0) {
		struct buf stamp = BUF_INIT(STAMP_MAX);

		buf_addf(&stamp, "%.*s %lld", (int)len, target, (long long)st.st_mtime);
		if (!add_change(path, "fullchain.pem", &st, &stamp)) {
			buf_add_str(&stamp, " no fullchain.pem");
		}
		(void)add_change(path, "privkey.pem", &st, &stamp);
		*out = buf_detach(&stamp);
	} else {
		*out = NULL; /* one that leads nowhere is none */
	}
	free(path);
	return code;
}

enum err_code lineage_load(struct lineage *lineage, struct chain **out, struct err *err)
{
	char *path = path_join(lineage->folder, "current/fullchain.pem");
	struct buf pem = BUF_INIT(CHAIN_PEM_MAX);
	enum err_code code;

	if (access(path, F_OK) != 0 && errno == ENOENT) {
		code = err_set(err, ERR_NOT_FOUND, lineage->name, "there is no certificate yet");
		goto out;
	}
	code = file_read(path, CHAIN_PEM_MAX, &pem, err);
	if (code == ERR_NONE && chain_parse(pem.data, pem.len, out, err) != ERR_NONE) {
		code = err_set(err, ERR_IO, path, "is not a chain of certificates any more");
	}
out:
	buf_clear(&pem);
	free(path);
	return code;
}

/* ---- all of them ------------------------------------------------------------------ */

enum err_code lineage_names(const char *state, struct strlist *out, struct err *err)
{
	char *certs = path_join(state, LINEAGE_CERTS);
	enum err_code code = folder_names(certs, out, err);

	free(certs);
	return code;
}
