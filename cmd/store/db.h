/*
 * db: an SQLite database in the state folder that answers at once: opened, brought to this
 * program's version, its statements kept. Private to store; the journal has a form of its own,
 * since it never waits.
 */
#ifndef DNS01_STORE_DB_H
#define DNS01_STORE_DB_H

#include "dns01/base.h"

#include <sqlite3.h>

/* All of it is kept. */
struct db_spec {
	const char *file;              /* in the state folder */
	const char *what;              /* "the clients", for the sentence about a newer one */
	const char *without;           /* what a damaged one that is moved away means */
	const char *const *migrations; /* from version i to version i + 1 */
	int version;                   /* this program's; as many as there are migrations */
	const char *const *sql;        /* the statements, by number */
	size_t sql_count;
};

struct db {
	const struct db_spec *spec;
	sqlite3 *handle;
	char *path;
	sqlite3_stmt **statements;
};

/* WAL, synchronous = FULL, forward migration; a newer file is refused with a sentence and left
 * as it is. db_close() in any case. */
enum err_code db_open(struct db *db, const char *state, const struct db_spec *spec,
		      struct err *err) MUST_CHECK;
void db_close(struct db *db);
enum err_code db_begin(struct db *db, struct err *err) MUST_CHECK;
/* The same without waiting: ERR_BUSY while another process writes. */
enum err_code db_try_begin(struct db *db, struct err *err) MUST_CHECK;
/* Commits when code is ERR_NONE, else takes all back; gives the outcome. */
enum err_code db_end(struct db *db, enum err_code code, struct err *err);

/* A statement in use: bind in order, step, end. A failed bind shows at the first step. */
struct dbq {
	struct db *db;
	sqlite3_stmt *stmt;
	int bound;
	int rc;
};

void dbq_begin(struct dbq *query, struct db *db, unsigned id);
void dbq_text(struct dbq *query, const char *text); /* kept until the end; NULL is NULL */
void dbq_int(struct dbq *query, int64_t value);
void dbq_blob(struct dbq *query, const void *data, size_t len);
/* True: there is a row. False: the end, or err is set (*code). */
bool dbq_row(struct dbq *query, enum err_code *code, struct err *err);
void dbq_end(struct dbq *query);
/* To the end; how many rows it changed. */
enum err_code dbq_run(struct dbq *query, int *changed, struct err *err) MUST_CHECK;
char *dbq_str(struct dbq *query, int column); /* gives; NULL for NULL */
int64_t dbq_num(struct dbq *query, int column);

#endif
