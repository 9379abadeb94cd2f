/*
 * The journal's file: open, schema, what was settled, close.
 *
 * The -wal and -shm files stay when the last process closes: no checkpoint with its syncs
 * at every exit, and no moment in which one process removes what another is about to open.
 */
#include "journal_internal.h"

#include "folder.h"

#define JOURNAL_FILE "journal.db"
/* How long a closing journal may wait for another process's transaction. */
#define CLOSE_WAIT_MS 500

/* From version i to version i + 1. */
static const char *const migrations[] = {
	"CREATE TABLE value ("
	" id INTEGER PRIMARY KEY,"
	" ticket INTEGER NOT NULL,"
	" state INTEGER NOT NULL,"
	" fresh INTEGER NOT NULL,"
	" owner TEXT NOT NULL,"
	" value TEXT NOT NULL,"
	" zone TEXT NOT NULL,"
	" view TEXT NOT NULL,"
	" provider TEXT NOT NULL,"
	" provider_conf TEXT NOT NULL,"
	" ttl_s INTEGER NOT NULL,"
	" created_at INTEGER NOT NULL,"
	" UNIQUE (zone, provider_conf, owner, value));"
	"CREATE INDEX value_ticket ON value (ticket);"
	"CREATE INDEX value_owner ON value (owner);"
	/* AUTOINCREMENT: the id of a lease that ended must never mean another one. */
	"CREATE TABLE lease ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" value_id INTEGER NOT NULL REFERENCES value (id) ON DELETE CASCADE,"
	" kind INTEGER NOT NULL,"
	" holder INTEGER NOT NULL," /* 0 for timed ones */
	" granted_at INTEGER NOT NULL,"
	" expires_at INTEGER NOT NULL," /* 0 for those of processes */
	" back_at INTEGER,"             /* the clock is before granted_at since then */
	" requester TEXT NOT NULL);"
	"CREATE INDEX lease_value ON lease (value_id);"
	"CREATE INDEX lease_holder ON lease (holder);",
	/* Zone and provider once, not in each value and each index: a plan of a thousand values
	 * writes a third of the pages. */
	"CREATE TABLE place ("
	" id INTEGER PRIMARY KEY,"
	" zone TEXT NOT NULL,"
	" provider TEXT NOT NULL,"
	" provider_conf TEXT NOT NULL,"
	" UNIQUE (zone, provider_conf));"
	"INSERT INTO place (zone, provider, provider_conf)"
	" SELECT zone, max(provider), provider_conf FROM value GROUP BY zone, provider_conf;"
	"CREATE TABLE value2 ("
	" id INTEGER PRIMARY KEY,"
	" ticket INTEGER NOT NULL,"
	" state INTEGER NOT NULL,"
	" fresh INTEGER NOT NULL,"
	" place INTEGER NOT NULL REFERENCES place (id),"
	" owner TEXT NOT NULL,"
	" value TEXT NOT NULL,"
	" view TEXT NOT NULL,"
	" ttl_s INTEGER NOT NULL,"
	" created_at INTEGER NOT NULL,"
	" UNIQUE (place, owner, value));"
	"INSERT INTO value2 SELECT v.id, v.ticket, v.state, v.fresh, p.id, v.owner, v.value,"
	" v.view, v.ttl_s, v.created_at FROM value v JOIN place p"
	" ON p.zone = v.zone AND p.provider_conf = v.provider_conf;"
	/* Ids grow with the clock: that of a lease which ended does not come again. */
	"CREATE TABLE lease2 ("
	" id INTEGER PRIMARY KEY,"
	" value_id INTEGER NOT NULL REFERENCES value2 (id),"
	" kind INTEGER NOT NULL,"
	" holder INTEGER NOT NULL,"
	" granted_at INTEGER NOT NULL,"
	" expires_at INTEGER NOT NULL,"
	" back_at INTEGER,"
	" requester TEXT NOT NULL);"
	"INSERT INTO lease2 SELECT id, value_id, kind, holder, granted_at, expires_at, back_at,"
	" requester FROM lease;"
	"DROP TABLE lease;"
	"DROP TABLE value;"
	"ALTER TABLE value2 RENAME TO value;"
	"ALTER TABLE lease2 RENAME TO lease;"
	"CREATE INDEX lease_value ON lease (value_id);"
	"CREATE INDEX lease_holder ON lease (holder) WHERE kind = 0;",
	/* A value may be let go of by the name that was asked for, after a restart too. */
	"ALTER TABLE lease ADD COLUMN asked TEXT;",
};

static_assert(ARRAY_LEN(migrations) == JOURNAL_VERSION, "one migration for each version");

/* ---- open ------------------------------------------------------------------------- */

static enum err_code read_pragma(struct journal *journal, const char *sql, char out[16],
				 struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(journal->db, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK) {
		rc = sqlite3_step(stmt);
	}
	if (rc == SQLITE_ROW) {
		(void)snprintf(out, 16, "%s", (const char *)sqlite3_column_text(stmt, 0));
	}
	(void)sqlite3_finalize(stmt);
	return rc == SQLITE_ROW ? ERR_NONE : sql_err(journal, rc, err);
}

static enum err_code read_version(struct journal *journal, int64_t *out, struct err *err)
{
	char text[16] = "";
	uint64_t version = 0;
	enum err_code code = read_pragma(journal, "PRAGMA user_version", text, err);

	if (code != ERR_NONE) {
		return code;
	}
	if (!text_parse_u64(text, JOURNAL_VERSION, &version)) {
		return err_set(err, ERR_IO, journal->path,
			       "it was written by a newer dns01 (version %s of the journal, this "
			       "program knows %d): use that program",
			       text, JOURNAL_VERSION);
	}
	*out = (int64_t)version;
	return ERR_NONE;
}

static enum err_code migrate(struct journal *journal, struct err *err)
{
	int64_t version = 0;
	char sql[48];
	enum err_code code = sql_run(journal, SQL_BEGIN_WRITE, err);

	if (code != ERR_NONE) {
		return code;
	}
	/* Another process may have been quicker. */
	code = read_version(journal, &version, err);
	for (; code == ERR_NONE && version < JOURNAL_VERSION; version++) {
		code = sql_text_run(journal, migrations[version], err);
	}
	if (code == ERR_NONE) {
		(void)snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", JOURNAL_VERSION);
		code = sql_text_run(journal, sql, err);
	}
	if (code == ERR_NONE) {
		code = sql_run(journal, SQL_COMMIT, err);
	}
	if (code != ERR_NONE && sql_run(journal, SQL_ROLLBACK, NULL) != ERR_NONE) {
		log_debug("%s: nothing to roll back", journal->path);
	}
	return code;
}

enum err_code journal_ready(struct journal *journal, struct err *err)
{
	int64_t version = 0;
	char mode[16] = "";
	enum err_code code;

	if (journal->ready) {
		return ERR_NONE;
	}
	/* First: a newer journal stays as it is. */
	code = read_version(journal, &version, err);
	if (code == ERR_NONE) {
		code = read_pragma(journal, "PRAGMA journal_mode = WAL", mode, err);
	}
	if (code == ERR_NONE && strcmp(mode, "wal") != 0) {
		code = err_set(err, ERR_IO, journal->path,
			       "its file system cannot share memory between processes: put the "
			       "state folder on a local disk");
	}
	if (code == ERR_NONE) {
		code = sql_text_run(journal,
				    "PRAGMA synchronous = FULL;"
				    "PRAGMA temp_store = MEMORY;"
				    /* The values of 1,000 clients, and what each batch writes of
				     * them: else a batch reads anew what the one before wrote. */
				    "PRAGMA cache_size = -8000;"
				    /* Every first opener reads the whole -wal: keep it short, but
				     * not so short that each batch of many writes it all twice. */
				    "PRAGMA wal_autocheckpoint = 1000",
				    err);
	}
	if (code == ERR_NONE && version < JOURNAL_VERSION) {
		code = migrate(journal, err);
	}
	journal->ready = code == ERR_NONE;
	return code;
}

static enum err_code open_db(struct journal *journal, struct err *err)
{
	int rc = sqlite3_open_v2(journal->path, &journal->db,
				 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
				 NULL);

	if (!journal->db) {
		return err_set(err, ERR_IO, journal->path, "%s", sqlite3_errstr(rc));
	}
	if (rc == SQLITE_OK) {
		rc = sqlite3_extended_result_codes(journal->db, 1);
	}
	if (rc == SQLITE_OK) {
		rc = sqlite3_db_config(journal->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	}
	if (rc != SQLITE_OK) {
		return sql_err(journal, rc, err);
	}
	return sql_functions(journal, err);
}

enum err_code journal_open(struct world *world, const char *state, struct journal **out,
			   struct err *err)
{
	struct journal *journal = xcalloc(1, sizeof(*journal));
	/* SQLite is told to follow no link, not even one above the state folder. */
	char *real = realpath(state, NULL);
	enum err_code code;

	journal->world = world;
	journal->holder = (struct holder)HOLDER_INIT;
	journal->path = path_join(real ? real : state, JOURNAL_FILE);
	code = state_file_make(real ? real : state, JOURNAL_FILE, err);
	if (code == ERR_NONE) {
		code = holder_open(&journal->holder, real ? real : state, err);
	}
	if (code == ERR_NONE) {
		code = open_db(journal, err);
	}
	if (code == ERR_NONE) {
		code = journal_ready(journal, err);
	}
	free(real);
	if (code == ERR_NONE || code == ERR_BUSY) {
		*out = journal; /* busy: the first call makes it ready */
		return ERR_NONE;
	}
	journal_abandon(journal);
	return code;
}

#define PLACES_MAX 100000

struct looked *journal_looked(struct journal *journal, int64_t place)
{
	size_t len = 2 * (size_t)place + 16;

	if (place < 0 || place > PLACES_MAX) {
		return NULL;
	}
	if ((size_t)place >= journal->looked_len) {
		journal->looked = xreallocarray(journal->looked, len, sizeof(*journal->looked));
		for (size_t i = journal->looked_len; i < len; i++) {
			journal->looked[i] = (struct looked){ .at_s = INT64_MIN };
		}
		journal->looked_len = len;
	}
	return &journal->looked[place];
}

/* ---- settled ---------------------------------------------------------------------- */

void journal_settle(struct journal *journal, const struct journal_result *results, size_t count)
{
	size_t need = journal->settled_count + count;

	if (need > journal->settled_cap) {
		journal->settled_cap = need * 2;
		journal->settled = xreallocarray(journal->settled, journal->settled_cap,
						 sizeof(*journal->settled));
	}
	for (size_t i = 0; i < count; i++) {
		struct looked *looked = journal_looked(journal, results[i].ref.place);

		if (looked && results[i].outcome == JOURNAL_GONE && looked->leaving > 0) {
			looked->leaving--;
		}
		journal->settled[journal->settled_count++] = results[i];
	}
}

static int by_row(const void *a, const void *b)
{
	const struct journal_result *x = a, *y = b;

	if (x->outcome != y->outcome) {
		return x->outcome < y->outcome ? -1 : 1;
	}
	if (x->ref.ticket != y->ref.ticket) {
		return x->ref.ticket < y->ref.ticket ? -1 : 1;
	}
	return (x->ref.row_id > y->ref.row_id) - (x->ref.row_id < y->ref.row_id);
}

/* How many from there on are of one plan, with one outcome, and stand side by side. */
static size_t run_of(const struct journal_result *settled, size_t count)
{
	size_t len = 1;

	while (len < count && settled[len].outcome == settled[0].outcome &&
	       settled[len].ref.ticket == settled[0].ref.ticket &&
	       settled[len].ref.row_id == settled[0].ref.row_id + (int64_t)len) {
		len++;
	}
	return len;
}

static enum err_code write_run(struct journal *journal, enum sql_id id,
			       const struct journal_result *first, size_t len, struct err *err)
{
	struct query query;

	query_begin(&query, journal, id);
	query_int(&query, first->ref.row_id);
	query_int(&query, first->ref.row_id + (int64_t)len - 1);
	query_int(&query, first->ref.ticket);
	return query_run(&query, err);
}

/* Values that were asked for together were written together: most of them are a run of rows. */
enum err_code journal_write_settled(struct journal *journal, struct err *err)
{
	static const enum sql_id statements[] = {
		[JOURNAL_PUT] = SQL_PUT,
		[JOURNAL_GONE] = SQL_GONE,
		[JOURNAL_REFUSED] = SQL_REFUSED,
	};
	enum err_code code = ERR_NONE;
	size_t at = 0;

	if (journal->settled_count > 1) {
		qsort(journal->settled, journal->settled_count, sizeof(*journal->settled), by_row);
	}
	while (at < journal->settled_count && code == ERR_NONE) {
		const struct journal_result *first = &journal->settled[at];
		size_t len = run_of(first, journal->settled_count - at);

		if (first->outcome == JOURNAL_REFUSED) {
			code = write_run(journal, SQL_REFUSED_LEASES, first, len, err);
		}
		if (code == ERR_NONE) {
			code = write_run(journal, statements[first->outcome], first, len, err);
		}
		at += len;
	}
	return code;
}

void journal_forget_settled(struct journal *journal)
{
	journal->settled_count = 0;
}

/* ---- close ------------------------------------------------------------------------ */

/* Best effort: what is not written is removed once more by the next start. */
static void flush(struct journal *journal)
{
	struct err err;

	if (journal->settled_count == 0 || !journal->ready) {
		return;
	}
	(void)sqlite3_busy_timeout(journal->db, CLOSE_WAIT_MS);
	if (sql_text_run(journal, "PRAGMA synchronous = NORMAL", &err) != ERR_NONE ||
	    sql_run(journal, SQL_BEGIN_WRITE, &err) != ERR_NONE ||
	    journal_write_settled(journal, &err) != ERR_NONE ||
	    sql_run(journal, SQL_COMMIT, &err) != ERR_NONE) {
		log_warn("%s: %s; what was removed will be removed once more", journal->path,
			 err.text);
	}
}

void journal_close(struct journal *journal)
{
	if (journal) {
		flush(journal);
		journal_abandon(journal);
	}
}

void journal_abandon(struct journal *journal)
{
	if (!journal) {
		return;
	}
	while (journal->calls) {
		journal_call_cancel(journal->calls);
	}
	sql_forget(journal);
	(void)sqlite3_close_v2(journal->db); /* NULL is fine */
	holder_close(&journal->holder);
	free(journal->settled);
	free(journal->looked);
	free(journal->path);
	free(journal);
}
