#include "db.h"

#include "folder.h"

#define BUSY_MS 5000

/* ---- statements ------------------------------------------------------------------- */

static enum err_code db_err(struct db *db, int rc, struct err *err)
{
	if ((rc & 0xff) == SQLITE_BUSY) {
		return err_set(err, ERR_BUSY, db->path,
			       "another process has been writing to it for %d s", BUSY_MS / 1000);
	}
	if ((rc & 0xff) == SQLITE_NOTADB || (rc & 0xff) == SQLITE_CORRUPT) {
		return err_set(
			err, ERR_IO, db->path,
			"it is damaged (%s): put it back from a backup, or move it away, with "
			"the files whose names begin with its own: %s",
			sqlite3_errmsg(db->handle), db->spec->without);
	}
	return err_set(err, ERR_IO, db->path, "%s", sqlite3_errmsg(db->handle));
}

void dbq_begin(struct dbq *query, struct db *db, unsigned id)
{
	*query = (struct dbq){ .db = db };
	if (!db->statements[id]) {
		query->rc =
			sqlite3_prepare_v3(db->handle, db->spec->sql[id], -1,
					   SQLITE_PREPARE_PERSISTENT, &db->statements[id], NULL);
	}
	query->stmt = db->statements[id];
}

void dbq_text(struct dbq *query, const char *text)
{
	if (query->rc == SQLITE_OK) {
		query->rc = sqlite3_bind_text(query->stmt, ++query->bound, text, -1, SQLITE_STATIC);
	}
}

void dbq_int(struct dbq *query, int64_t value)
{
	if (query->rc == SQLITE_OK) {
		query->rc = sqlite3_bind_int64(query->stmt, ++query->bound, value);
	}
}

void dbq_blob(struct dbq *query, const void *data, size_t len)
{
	if (query->rc == SQLITE_OK) {
		query->rc = sqlite3_bind_blob(query->stmt, ++query->bound, data, (int)len,
					      SQLITE_STATIC);
	}
}

bool dbq_row(struct dbq *query, enum err_code *code, struct err *err)
{
	if (query->rc == SQLITE_OK || query->rc == SQLITE_ROW) {
		query->rc = sqlite3_step(query->stmt);
	}
	*code = query->rc == SQLITE_ROW || query->rc == SQLITE_DONE
			? ERR_NONE
			: db_err(query->db, query->rc, err);
	return query->rc == SQLITE_ROW;
}

void dbq_end(struct dbq *query)
{
	if (query->stmt) {
		(void)sqlite3_reset(query->stmt);
		(void)sqlite3_clear_bindings(query->stmt);
		query->stmt = NULL;
	}
}

enum err_code dbq_run(struct dbq *query, int *changed, struct err *err)
{
	enum err_code code;

	while (dbq_row(query, &code, err)) {
	}
	if (changed) {
		*changed = sqlite3_changes(query->db->handle);
	}
	dbq_end(query);
	return code;
}

char *dbq_str(struct dbq *query, int column)
{
	return xstrdup((const char *)sqlite3_column_text(query->stmt, column));
}

int64_t dbq_num(struct dbq *query, int column)
{
	return sqlite3_column_int64(query->stmt, column);
}

static enum err_code run_text(struct db *db, const char *sql, struct err *err)
{
	int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? ERR_NONE : db_err(db, rc, err);
}

enum err_code db_begin(struct db *db, struct err *err)
{
	return run_text(db, "BEGIN IMMEDIATE", err);
}

enum err_code db_try_begin(struct db *db, struct err *err)
{
	enum err_code code;

	(void)sqlite3_busy_timeout(db->handle, 0);
	code = db_begin(db, err);
	(void)sqlite3_busy_timeout(db->handle, BUSY_MS);
	return code == ERR_BUSY ? err_set(err, code, db->path, "another process is writing to it")
				: code;
}

enum err_code db_end(struct db *db, enum err_code code, struct err *err)
{
	if (code == ERR_NONE) {
		code = run_text(db, "COMMIT", err);
	}
	if (code != ERR_NONE && !sqlite3_get_autocommit(db->handle) &&
	    run_text(db, "ROLLBACK", NULL) != ERR_NONE) {
		log_debug("%s: nothing to roll back", db->path);
	}
	return code;
}

/* ---- open --------------------------------------------------------------------------- */

static enum err_code read_version(struct db *db, int *version, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db->handle, "PRAGMA user_version", -1, &stmt, NULL);

	if (rc == SQLITE_OK) {
		rc = sqlite3_step(stmt);
	}
	*version = rc == SQLITE_ROW ? sqlite3_column_int(stmt, 0) : 0;
	(void)sqlite3_finalize(stmt);
	if (rc != SQLITE_ROW) {
		return db_err(db, rc, err);
	}
	if (*version > db->spec->version) {
		return err_set(err, ERR_IO, db->path,
			       "it was written by a newer dns01 (version %d of %s, this program "
			       "knows %d): use that program",
			       *version, db->spec->what, db->spec->version);
	}
	return ERR_NONE;
}

static enum err_code migrate(struct db *db, struct err *err)
{
	char sql[48];
	int version = 0;
	enum err_code code = read_version(db, &version, err);

	if (code != ERR_NONE || version == db->spec->version) {
		return code;
	}
	code = db_begin(db, err);
	if (code == ERR_NONE) {
		/* Another process may have been quicker. */
		code = read_version(db, &version, err);
	}
	for (; code == ERR_NONE && version < db->spec->version; version++) {
		code = run_text(db, db->spec->migrations[version], err);
	}
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", db->spec->version);
	if (code == ERR_NONE) {
		code = run_text(db, sql, err);
	}
	return db_end(db, code, err);
}

static enum err_code open_file(struct db *db, struct err *err)
{
	int rc = sqlite3_open_v2(db->path, &db->handle,
				 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
				 NULL);

	if (rc != SQLITE_OK) {
		return err_set(err, ERR_IO, db->path, "%s", sqlite3_errstr(rc));
	}
	(void)sqlite3_busy_timeout(db->handle, BUSY_MS);
	/* The -wal and -shm files stay, so that they keep their owner: see journal.c. */
	(void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return ERR_NONE;
}

enum err_code db_open(struct db *db, const char *state, const struct db_spec *spec, struct err *err)
{
	/* SQLite is told to follow no link, not even one above the state folder. */
	char *real = realpath(state, NULL);
	enum err_code code = state_file_make(real ? real : state, spec->file, err);

	*db = (struct db){
		.spec = spec,
		.path = path_join(real ? real : state, spec->file),
		.statements = xcalloc(spec->sql_count, sizeof(*db->statements)),
	};
	free(real);
	if (code == ERR_NONE) {
		code = open_file(db, err);
	}
	if (code == ERR_NONE) {
		code = migrate(db, err);
	}
	if (code == ERR_NONE) {
		code = run_text(db,
				"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
				"PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY",
				err);
	}
	return code;
}

void db_close(struct db *db)
{
	for (size_t i = 0; db->statements && i < db->spec->sql_count; i++) {
		(void)sqlite3_finalize(db->statements[i]);
	}
	(void)sqlite3_close_v2(db->handle);
	free(db->statements);
	free(db->path);
	*db = (struct db){ 0 };
}
