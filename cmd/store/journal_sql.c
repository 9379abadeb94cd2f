/*
 * Every statement of the journal in one table, and what SQLite's answers mean.
 *
 * place: a zone and the provider by which it is changed. value: one TXT value of ours there;
 * lease: who holds it. A value's ticket is that of the last plan that handed the value to
 * somebody to add or to remove, so that a late result of an earlier plan, perhaps of another
 * process, finds nothing to change. fresh: the value was in no DNS before its present plan.
 */
#include "journal_internal.h"

#include <errno.h>

/* Of a lease l, or of none. */
#define LEASE_COLUMNS                               \
	"l.requester, CASE WHEN l.kind = 0 THEN 0"  \
	" WHEN l.back_at IS NULL THEN l.expires_at" \
	" ELSE l.back_at + l.expires_at - l.granted_at END, l.id, l.asked"

static const char *const sql_texts[] = {
	[SQL_BEGIN_READ] = "BEGIN",
	[SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_PUT] = "UPDATE value SET state = 2, fresh = 0 WHERE id BETWEEN ? AND ?"
		    " AND ticket = ? AND state = 1",
	[SQL_GONE] = "DELETE FROM value WHERE id BETWEEN ? AND ? AND ticket = ? AND state = 3",
	[SQL_REFUSED_LEASES] = "DELETE FROM lease WHERE value_id IN (SELECT id FROM value"
			       " WHERE id BETWEEN ? AND ? AND ticket = ? AND state = 1 AND fresh)",
	[SQL_REFUSED] = "DELETE FROM value WHERE id BETWEEN ? AND ? AND ticket = ? AND state = 1"
			" AND fresh",
	[SQL_CLOCK] = "UPDATE lease SET back_at = CASE WHEN ?1 < granted_at THEN ?1 END"
		      " WHERE kind = 1 AND CASE WHEN ?1 < granted_at"
		      " THEN back_at IS NULL OR ?1 < back_at ELSE back_at IS NOT NULL END",
	[SQL_HOLDER_USED] = "SELECT 1 FROM lease WHERE kind = 0 AND holder = ? LIMIT 1",
	[SQL_PLACE] = "SELECT id, provider FROM place WHERE zone = ? AND provider_conf = ?",
	[SQL_PLACE_ADD] = "INSERT INTO place (zone, provider_conf, provider) VALUES (?, ?, ?)"
			  " ON CONFLICT DO UPDATE SET provider = excluded.provider",
	[SQL_INSERT] = "INSERT INTO value (ticket, state, fresh, place, owner, value, view,"
		       " ttl_s, created_at) VALUES (?, 1, 1, ?, ?, ?, ?, ?, ?)"
		       " ON CONFLICT DO NOTHING",
	[SQL_FIND] = "SELECT id, ticket, state FROM value"
		     " WHERE place = ? AND owner = ? AND value = ?",
	[SQL_WANT_AGAIN] = "UPDATE value SET state = 1, fresh = 0, ticket = ? WHERE id = ?",
	[SQL_LAST_LEASE] = "SELECT max(id) FROM lease",
	[SQL_LEASE] = "INSERT INTO lease (id, value_id, kind, holder, granted_at, expires_at,"
		      " requester, asked) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
	[SQL_LET_GO] = "DELETE FROM lease WHERE id = ? AND value_id = ?",
	[SQL_BURY] = "DELETE FROM lease WHERE value_id IN (SELECT id FROM value WHERE place = ?)"
		     " AND NOT lease_alive(kind, holder, granted_at, expires_at, back_at)",
	[SQL_RETRACT] = "UPDATE value SET state = 3, fresh = 0, ticket = ?1 WHERE id = ?2"
			" AND place = ?3 AND NOT (state = 3 AND ticket = ?1)"
			" AND NOT EXISTS (SELECT 1 FROM lease WHERE value_id = ?2)",
	/* Newest first: what this plan lets go is among them, however many dead ones there are. */
	[SQL_RETRACT_ALL] = "UPDATE value SET state = 3, fresh = 0, ticket = ? WHERE id IN"
			    " (SELECT v.id FROM value v WHERE v.place = ?"
			    " AND NOT EXISTS (SELECT 1 FROM lease WHERE value_id = v.id)"
			    " ORDER BY v.id DESC LIMIT ?) RETURNING id, owner, value",
	[SQL_LIST] = "SELECT " ROW_COLUMNS ", " LEASE_COLUMNS " FROM " ROW_TABLES
		     " LEFT JOIN lease l ON l.id = (SELECT max(id) FROM lease"
		     " WHERE value_id = v.id"
		     " AND lease_alive(kind, holder, granted_at, expires_at, back_at))"
		     " WHERE (?1 IS NULL OR v.owner = ?1) AND (?2 IS NULL OR v.value = ?2)"
		     " AND ((?3 IS NULL AND ?4 IS NULL) OR EXISTS (SELECT 1 FROM lease"
		     " WHERE value_id = v.id AND (?3 IS NULL OR requester = ?3)"
		     " AND (?4 IS NULL OR asked = ?4)"
		     " AND lease_alive(kind, holder, granted_at, expires_at, back_at)))"
		     " ORDER BY p.zone, p.provider_conf, v.owner, v.id",
	[SQL_LEASES] = "SELECT " ROW_COLUMNS ", " LEASE_COLUMNS " FROM " ROW_TABLES
		       " JOIN lease l ON l.value_id = v.id WHERE l.kind = 1"
		       " AND lease_alive(l.kind, l.holder, l.granted_at, l.expires_at, l.back_at)"
		       " ORDER BY l.requester, v.owner, v.value, l.id",
	[SQL_ORPHANS] = "SELECT " ROW_COLUMNS ", '', 0, 0, NULL FROM " ROW_TABLES
			" WHERE NOT EXISTS (SELECT 1 FROM lease WHERE value_id = v.id"
			" AND lease_alive(kind, holder, granted_at, expires_at, back_at))"
			" ORDER BY p.zone, p.provider_conf, v.id",
	[SQL_REVOKE] = "DELETE FROM lease WHERE (?3 IS NULL OR requester = ?3)"
		       " AND (?4 IS NULL OR asked = ?4)"
		       " AND value_id IN (SELECT id FROM value"
		       " WHERE (?1 IS NULL OR owner = ?1) AND (?2 IS NULL OR value = ?2))",
};

static_assert(ARRAY_LEN(sql_texts) == SQL_COUNT, "a statement is missing");
/* The numbers in the texts above. */
static_assert(JOURNAL_WANTED == 1 && JOURNAL_APPLIED == 2 && JOURNAL_RETRACTING == 3,
	      "states are written as numbers");
static_assert(LEASE_PROCESS == 0 && LEASE_TIMED == 1, "kinds are written as numbers");

/* ---- what SQLite says ------------------------------------------------------------- */

static bool disk_is_full(struct journal *journal, int rc)
{
	int reason = sqlite3_system_errno(journal->db);

	return (rc & 0xff) == SQLITE_FULL ||
	       ((rc & 0xff) == SQLITE_IOERR && (reason == ENOSPC || reason == EDQUOT));
}

enum err_code sql_err(struct journal *journal, int rc, struct err *err)
{
	const char *said = sqlite3_errstr(rc);
	int reason = sqlite3_system_errno(journal->db);

	if (disk_is_full(journal, rc)) {
		return err_set(err, ERR_IO, journal->path,
			       "the disk is full: nothing was changed in DNS; make room for the "
			       "journal and try again");
	}
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL: /* too many raced for the WAL's index */
		return err_set(err, ERR_BUSY, journal->path, "another process writes to it");
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return err_set(err, ERR_IO, journal->path,
			       "it is damaged, or no journal (%s): move it away with its -wal and "
			       "-shm files; records that it held are then to be removed by hand",
			       said);
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return err_set(err, ERR_IO, journal->path,
			       "this user cannot write to it (%s%s%s): run as the owner of the "
			       "state folder or as root",
			       said, reason ? ", " : "", reason ? strerror(reason) : "");
	default:
		return err_set(err, ERR_IO, journal->path, "%s%s%s", said, reason ? ", " : "",
			       reason ? strerror(reason) : "");
	}
}

/* ---- statements ------------------------------------------------------------------- */

void query_begin(struct query *query, struct journal *journal, enum sql_id id)
{
	*query = (struct query){ .journal = journal };
	if (!journal->statements[id]) {
		query->rc = sqlite3_prepare_v3(journal->db, sql_texts[id], -1,
					       SQLITE_PREPARE_PERSISTENT, &journal->statements[id],
					       NULL);
	}
	query->stmt = journal->statements[id];
}

void query_text(struct query *query, const char *text)
{
	if (query->rc == SQLITE_OK) {
		query->rc = sqlite3_bind_text(query->stmt, ++query->bound, text, -1, SQLITE_STATIC);
	}
}

void query_int(struct query *query, int64_t value)
{
	if (query->rc == SQLITE_OK) {
		query->rc = sqlite3_bind_int64(query->stmt, ++query->bound, value);
	}
}

enum err_code query_step(struct query *query, bool *row, struct err *err)
{
	if (query->rc == SQLITE_OK || query->rc == SQLITE_ROW) {
		query->rc = sqlite3_step(query->stmt);
	}
	if (query->rc != SQLITE_ROW && query->rc != SQLITE_DONE) {
		return sql_err(query->journal, query->rc, err);
	}
	*row = query->rc == SQLITE_ROW;
	return ERR_NONE;
}

void query_end(struct query *query)
{
	if (query->stmt) {
		/* Says again what the last step said. */
		(void)sqlite3_reset(query->stmt);
		(void)sqlite3_clear_bindings(query->stmt);
	}
	query->stmt = NULL;
}

enum err_code query_run(struct query *query, struct err *err)
{
	enum err_code code;
	bool row = true;

	do {
		code = query_step(query, &row, err);
	} while (code == ERR_NONE && row);
	query_end(query);
	return code;
}

enum err_code sql_run(struct journal *journal, enum sql_id id, struct err *err)
{
	struct query query;

	query_begin(&query, journal, id);
	return query_run(&query, err);
}

enum err_code sql_text_run(struct journal *journal, const char *sql, struct err *err)
{
	int rc = sqlite3_exec(journal->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? ERR_NONE : sql_err(journal, rc, err);
}

void sql_forget(struct journal *journal)
{
	for (size_t i = 0; i < SQL_COUNT; i++) {
		(void)sqlite3_finalize(journal->statements[i]);
		journal->statements[i] = NULL;
	}
}

/* ---- lease_alive ------------------------------------------------------------------ */

/*
 * A timed lease lives from granted_at to expires_at. When the wall clock is before
 * granted_at it went back, and how much of the duration is over is not known. The lease is
 * neither dead (a boot with a clock in 1970 would remove everything) nor alive until the
 * clock comes round to expires_at (years, perhaps): it lives for at most its duration from
 * the first time that we saw this (back_at). Once the clock is right again, granted_at and
 * expires_at count as before.
 */
static bool timed_alive(int64_t now_s, sqlite3_value **values)
{
	int64_t granted_at = sqlite3_value_int64(values[2]);
	int64_t expires_at = sqlite3_value_int64(values[3]);
	int64_t back_at = sqlite3_value_int64(values[4]);

	if (now_s >= granted_at) {
		return now_s < expires_at;
	}
	if (sqlite3_value_type(values[4]) == SQLITE_NULL || now_s < back_at) {
		back_at = now_s;
	}
	return now_s - back_at < expires_at - granted_at;
}

static void lease_alive(sqlite3_context *context, int count, sqlite3_value **values)
{
	struct journal *journal = sqlite3_user_data(context);
	bool alive;

	(void)count;
	if (sqlite3_value_int(values[0]) == LEASE_PROCESS) {
		alive = holder_alive(&journal->holder, sqlite3_value_int64(values[1]));
	} else {
		alive = timed_alive(journal->now_s, values);
	}
	sqlite3_result_int(context, alive);
}

enum err_code sql_functions(struct journal *journal, struct err *err)
{
	int rc = sqlite3_create_function_v2(journal->db, "lease_alive", 5,
					    SQLITE_UTF8 | SQLITE_DIRECTONLY, journal, lease_alive,
					    NULL, NULL, NULL);

	return rc == SQLITE_OK ? ERR_NONE : sql_err(journal, rc, err);
}
