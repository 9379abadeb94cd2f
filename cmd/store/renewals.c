/* What renewal remembers of each lineage. */
#include "renewals_internal.h"

#include <assert.h>

/* From version i to version i + 1. */
static const char *const migrations[] = {
	"CREATE TABLE renewal ("
	" lineage TEXT PRIMARY KEY,"
	" stamp TEXT,"
	" serial TEXT,"
	" not_before INTEGER NOT NULL,"
	" not_after INTEGER NOT NULL,"
	" issuer TEXT,"
	" names TEXT,"
	" key_type TEXT,"
	" cert_id TEXT,"
	" account TEXT,"
	" directory TEXT,"
	" profile TEXT,"
	" wish TEXT,"
	" chain TEXT,"
	" issued_at INTEGER NOT NULL,"
	" window_start INTEGER NOT NULL,"
	" window_end INTEGER NOT NULL,"
	" draw_at INTEGER NOT NULL,"
	" hurried INTEGER NOT NULL,"
	" explanation TEXT,"
	" ask_at INTEGER NOT NULL,"
	" ask_failures INTEGER NOT NULL,"
	" jitter_ppm INTEGER NOT NULL,"
	" failures INTEGER NOT NULL,"
	" refusals INTEGER NOT NULL,"
	" failed_at INTEGER NOT NULL,"
	" retry_at INTEGER NOT NULL,"
	" failure TEXT,"
	" paused INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE account_order ("
	" account TEXT NOT NULL,"
	" at INTEGER NOT NULL);"
	"CREATE INDEX account_order_at ON account_order (account, at);"
	"CREATE TABLE deployment ("
	" lineage TEXT NOT NULL,"
	" what TEXT NOT NULL,"
	" serial TEXT,"
	" failures INTEGER NOT NULL,"
	" failed_at INTEGER NOT NULL,"
	" retry_at INTEGER NOT NULL,"
	" failure TEXT,"
	" PRIMARY KEY (lineage, what)) WITHOUT ROWID;"
	"CREATE TABLE event ("
	" key TEXT PRIMARY KEY,"
	" told_at INTEGER NOT NULL) WITHOUT ROWID;",
	"ALTER TABLE renewal ADD COLUMN revoked_at INTEGER NOT NULL DEFAULT 0;",
	"CREATE TABLE failed_validation ("
	" account TEXT NOT NULL,"
	" name TEXT NOT NULL,"
	" at INTEGER NOT NULL);"
	"CREATE INDEX failed_validation_at ON failed_validation (account, name, at);",
};
static_assert(ARRAY_LEN(migrations) == RENEWALS_VERSION, "one migration for each version");

/* The columns behind the lineage: how each is kept, and the field of struct renewal. */
#define FIELDS(X)               \
	X(TEXT, stamp)          \
	X(TEXT, serial)         \
	X(NUMBER, not_before)   \
	X(NUMBER, not_after)    \
	X(TEXT, issuer)         \
	X(TEXT, names)          \
	X(TEXT, key_type)       \
	X(TEXT, cert_id)        \
	X(TEXT, account)        \
	X(TEXT, directory)      \
	X(TEXT, profile)        \
	X(TEXT, wish)           \
	X(TEXT, chain)          \
	X(NUMBER, issued_at)    \
	X(NUMBER, revoked_at)   \
	X(NUMBER, window_start) \
	X(NUMBER, window_end)   \
	X(NUMBER, draw_at)      \
	X(BOOL, hurried)        \
	X(TEXT, explanation)    \
	X(NUMBER, ask_at)       \
	X(COUNT, ask_failures)  \
	X(NUMBER, jitter_ppm)   \
	X(COUNT, failures)      \
	X(COUNT, refusals)      \
	X(NUMBER, failed_at)    \
	X(NUMBER, retry_at)     \
	X(TEXT, failure)        \
	X(BOOL, paused)

#define FIELD_NAME(kind, field) ", " #field
#define FIELD_MARK(kind, field) ", ?"
#define COLUMNS "lineage" FIELDS(FIELD_NAME)

static const char *const sql_texts[] = {
	[RSQL_GET] = "SELECT " COLUMNS " FROM renewal WHERE lineage = ?",
	[RSQL_PUT] = "INSERT OR REPLACE INTO renewal (" COLUMNS ") VALUES"
		     " (?" FIELDS(FIELD_MARK) ")",
	[RSQL_STAMP] = "SELECT stamp FROM renewal WHERE lineage = ?",
	[RSQL_REMOVE] = "DELETE FROM renewal WHERE lineage = ?",
	[RSQL_LIST] = "SELECT " COLUMNS " FROM renewal ORDER BY lineage",
	[RSQL_ORDER_FORGET] = "DELETE FROM account_order WHERE account = ?1"
			      " AND at NOT BETWEEN ?2 AND ?3",
	[RSQL_ORDER_NOTE] = "INSERT INTO account_order (account, at) VALUES (?, ?)",
	[RSQL_ORDERS] = "SELECT count(*), min(at) FROM account_order WHERE account = ?1"
			" AND at > ?2 AND at <= ?3",
	[RSQL_FAILED_FORGET] = "DELETE FROM failed_validation WHERE at NOT BETWEEN ?1 AND ?2",
	[RSQL_FAILED_NOTE] = "INSERT INTO failed_validation (account, name, at) VALUES (?, ?, ?)",
	[RSQL_FAILED] = "SELECT at FROM failed_validation WHERE account = ?1 AND name = ?2"
			" AND at > ?3 AND at <= ?4 ORDER BY at DESC LIMIT 1 OFFSET ?5",
	[RSQL_DEPLOYMENT_PUT] = "INSERT OR REPLACE INTO deployment (lineage, what, serial,"
				" failures, failed_at, retry_at, failure)"
				" VALUES (?, ?, ?, ?, ?, ?, ?)",
	[RSQL_DEPLOYMENT_LIST] = "SELECT lineage, what, serial, failures, failed_at, retry_at,"
				 " failure FROM deployment WHERE ?1 IS NULL OR lineage = ?1"
				 " ORDER BY lineage, what",
	[RSQL_DEPLOYMENT_REMOVE] = "DELETE FROM deployment WHERE lineage = ? AND what = ?",
	[RSQL_DEPLOYMENTS_REMOVE] = "DELETE FROM deployment WHERE lineage = ?",
	[RSQL_EVENT_GET] = "SELECT told_at FROM event WHERE key = ?",
	[RSQL_EVENT_PUT] = "INSERT OR REPLACE INTO event (key, told_at) VALUES (?, ?)",
	[RSQL_EVENT_REMOVE] = "DELETE FROM event WHERE key = ?",
};
static_assert(ARRAY_LEN(sql_texts) == RSQL_COUNT, "a text for each statement");

/* ---- open --------------------------------------------------------------------------- */

static const struct db_spec spec = {
	.file = "renewals.db",
	.what = "the renewals",
	.without = "then the certificates are read anew, and deployed once more",
	.migrations = migrations,
	.version = RENEWALS_VERSION,
	.sql = sql_texts,
	.sql_count = ARRAY_LEN(sql_texts),
};

enum err_code renewals_open(const char *state, struct renewals **out, struct err *err)
{
	struct renewals *renewals = xcalloc(1, sizeof(*renewals));
	enum err_code code = db_open(&renewals->db, state, &spec, err);

	if (code != ERR_NONE) {
		renewals_close(renewals);
		return code;
	}
	*out = renewals;
	return ERR_NONE;
}

void renewals_close(struct renewals *renewals)
{
	if (renewals) {
		db_close(&renewals->db);
		free(renewals);
	}
}

enum err_code renewals_begin(struct renewals *renewals, struct err *err)
{
	return db_begin(&renewals->db, err);
}

enum err_code renewals_try_begin(struct renewals *renewals, struct err *err)
{
	return db_try_begin(&renewals->db, err);
}

enum err_code renewals_end(struct renewals *renewals, enum err_code code, struct err *err)
{
	return db_end(&renewals->db, code, err);
}

/* ---- rows ----------------------------------------------------------------------------- */

#define FIELD_ROW(kind, field) { COLUMN_##kind, offsetof(struct renewal, field) },

static const struct {
	enum { COLUMN_TEXT, COLUMN_NUMBER, COLUMN_COUNT, COLUMN_BOOL } is;
	size_t offset;
} columns[] = { { COLUMN_TEXT, offsetof(struct renewal, lineage) }, FIELDS(FIELD_ROW) };

static struct renewal *read_row(struct dbq *query)
{
	struct renewal *row = xcalloc(1, sizeof(*row));

	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		void *field = (char *)row + columns[i].offset;
		int column = (int)i;

		switch (columns[i].is) {
		case COLUMN_TEXT:
			*(char **)field = dbq_str(query, column);
			break;
		case COLUMN_NUMBER:
			*(int64_t *)field = dbq_num(query, column);
			break;
		case COLUMN_COUNT:
			*(unsigned *)field = (unsigned)dbq_num(query, column);
			break;
		case COLUMN_BOOL:
			*(bool *)field = dbq_num(query, column) != 0;
			break;
		}
	}
	return row;
}

struct renewal *renewal_copy(const struct renewal *row)
{
	struct renewal *copy = xmalloc(sizeof(*copy));

	*copy = *row;
	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		if (columns[i].is == COLUMN_TEXT) {
			char **field = (char **)((char *)copy + columns[i].offset);

			*field = xstrdup(*field);
		}
	}
	return copy;
}

void renewal_free(struct renewal *row)
{
	if (!row) {
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		if (columns[i].is == COLUMN_TEXT) {
			free(*(char **)((char *)row + columns[i].offset));
		}
	}
	free(row);
}

enum err_code renewals_put(struct renewals *renewals, const struct renewal *row, struct err *err)
{
	struct dbq query;

	dbq_begin(&query, &renewals->db, RSQL_PUT);
	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		const void *field = (const char *)row + columns[i].offset;

		switch (columns[i].is) {
		case COLUMN_TEXT:
			dbq_text(&query, *(char *const *)field);
			break;
		case COLUMN_NUMBER:
			dbq_int(&query, *(const int64_t *)field);
			break;
		case COLUMN_COUNT:
			dbq_int(&query, *(const unsigned *)field);
			break;
		case COLUMN_BOOL:
			dbq_int(&query, *(const bool *)field);
			break;
		}
	}
	return dbq_run(&query, NULL, err);
}

/* Whether before is still what is kept of lineage; NULL: nothing is. */
static enum err_code is_kept(struct renewals *renewals, const char *lineage,
			     const struct renewal *before, bool *kept, struct err *err)
{
	struct dbq query;
	enum err_code code;

	dbq_begin(&query, &renewals->db, RSQL_STAMP);
	dbq_text(&query, lineage);
	if (dbq_row(&query, &code, err)) {
		char *stamp = dbq_str(&query, 0);

		*kept = before && (stamp && before->stamp ? strcmp(stamp, before->stamp) == 0
							  : stamp == before->stamp);
		free(stamp);
	} else {
		*kept = !before;
	}
	dbq_end(&query);
	return code;
}

enum err_code renewals_replace(struct renewals *renewals, const struct renewal *before,
			       const struct renewal *row, struct err *err)
{
	bool kept = false;
	enum err_code code = is_kept(renewals, row->lineage, before, &kept, err);

	return code == ERR_NONE && kept ? renewals_put(renewals, row, err) : code;
}

enum err_code renewals_get(struct renewals *renewals, const char *lineage, struct renewal **out,
			   struct err *err)
{
	struct dbq query;
	enum err_code code;

	dbq_begin(&query, &renewals->db, RSQL_GET);
	dbq_text(&query, lineage);
	if (dbq_row(&query, &code, err)) {
		*out = read_row(&query);
	} else if (code == ERR_NONE) {
		code = err_set(err, ERR_NOT_FOUND, lineage, "nothing is known of its renewal");
	}
	dbq_end(&query);
	return code;
}

enum err_code renewals_list(struct renewals *renewals, renewal_each *each, void *arg,
			    struct err *err)
{
	struct dbq query;
	enum err_code code;

	dbq_begin(&query, &renewals->db, RSQL_LIST);
	while (dbq_row(&query, &code, err)) {
		struct renewal *row = read_row(&query);

		each(arg, row);
		renewal_free(row);
	}
	dbq_end(&query);
	return code;
}

static enum err_code run_for(struct renewals *renewals, enum renewals_sql id, const char *lineage,
			     struct err *err)
{
	struct dbq query;

	dbq_begin(&query, &renewals->db, id);
	dbq_text(&query, lineage);
	return dbq_run(&query, NULL, err);
}

enum err_code renewals_remove(struct renewals *renewals, const char *lineage, struct err *err)
{
	enum err_code code = db_begin(&renewals->db, err);

	if (code != ERR_NONE) {
		return code;
	}
	code = run_for(renewals, RSQL_REMOVE, lineage, err);
	if (code == ERR_NONE) {
		code = run_for(renewals, RSQL_DEPLOYMENTS_REMOVE, lineage, err);
	}
	return db_end(&renewals->db, code, err);
}
