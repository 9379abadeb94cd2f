/* Copies of the databases while others write to them. */
#include "dns01/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>

static enum err_code copy(sqlite3 *from, sqlite3 *to, const char *path, struct err *err)
{
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
	int rc;

	if (!backup) {
		return err_set(err, ERR_IO, path, "%s", sqlite3_errmsg(to));
	}
	(void)sqlite3_backup_step(backup, -1);
	rc = sqlite3_backup_finish(backup);
	if (rc == SQLITE_OK) {
		/* One file: nothing beside it is needed to read it. */
		rc = sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
	}
	return rc == SQLITE_OK ? ERR_NONE : err_set(err, ERR_IO, path, "%s", sqlite3_errmsg(to));
}

static enum err_code make_file(const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0) {
		return err_set(err, errno == EEXIST ? ERR_EXISTS : ERR_IO, path,
			       "cannot be made: %s", strerror(errno));
	}
	close(fd);
	return ERR_NONE;
}

enum err_code state_db_copy(const char *state, const char *name, const char *path, struct err *err)
{
	char *real = realpath(state, NULL);
	char *source = path_join(real ? real : state, name);
	sqlite3 *from = NULL, *to = NULL;
	enum err_code code = make_file(path, err);
	bool made = code == ERR_NONE;

	if (code == ERR_NONE &&
	    sqlite3_open_v2(source, &from, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, NULL) !=
		    SQLITE_OK) {
		code = err_set(err, ERR_IO, source, "cannot be read: %s",
			       from ? sqlite3_errmsg(from) : "out of memory");
	}
	if (code == ERR_NONE &&
	    sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
		code = err_set(err, ERR_IO, path, "%s", to ? sqlite3_errmsg(to) : "out of memory");
	}
	if (code == ERR_NONE) {
		(void)sqlite3_busy_timeout(from, 5000);
		(void)sqlite3_db_config(from, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		code = copy(from, to, path, err);
	}
	(void)sqlite3_close_v2(from);
	(void)sqlite3_close_v2(to);
	if (code != ERR_NONE && made) {
		unlink(path);
	}
	free(source);
	free(real);
	return code;
}
