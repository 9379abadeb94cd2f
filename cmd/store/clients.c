/* The broker's clients: who there is, and what each may do. */
#include "clients_internal.h"

#include <assert.h>
#include <ctype.h>

#include "dns01/json.h"

#include "folder.h"

#define CLIENTS_FILE "clients.db"
#define BUSY_MS 5000
#define NAME_LEN_MAX 200
#define REVERSED_MAX 1100

/* From version i to version i + 1. */
static const char *const migrations[] = {
	"CREATE TABLE client ("
	" id INTEGER PRIMARY KEY,"
	" name TEXT NOT NULL UNIQUE,"
	" grants TEXT NOT NULL,"
	" disabled INTEGER NOT NULL,"
	" created_at INTEGER NOT NULL);"
	/* "www.example.com" as "com.example.www.": what is below it begins with that. */
	"CREATE TABLE grant_name ("
	" client_id INTEGER NOT NULL REFERENCES client (id) ON DELETE CASCADE,"
	" reversed TEXT NOT NULL);"
	"CREATE INDEX grant_name_reversed ON grant_name (reversed);"
	"CREATE INDEX grant_name_client ON grant_name (client_id);"
	"CREATE TABLE token ("
	" id TEXT PRIMARY KEY,"
	" client_id INTEGER NOT NULL REFERENCES client (id) ON DELETE CASCADE,"
	" kind TEXT NOT NULL,"
	" hash BLOB NOT NULL,"
	" secret TEXT,"
	" bound TEXT,"
	" created_at INTEGER NOT NULL,"
	" expires_at INTEGER NOT NULL,"
	" revoked_at INTEGER NOT NULL,"
	" used_at INTEGER NOT NULL,"
	" used_from TEXT) WITHOUT ROWID;"
	"CREATE INDEX token_client ON token (client_id);",
};
static_assert(ARRAY_LEN(migrations) == CLIENTS_VERSION, "one migration for each version");

#define LIVE "t.revoked_at = 0 AND (t.expires_at = 0 OR t.expires_at > ?1)"

static const char *const sql_texts[] = {
	[CSQL_BEGIN] = "BEGIN IMMEDIATE",
	[CSQL_COMMIT] = "COMMIT",
	[CSQL_ROLLBACK] = "ROLLBACK",
	[CSQL_VERSION] = "PRAGMA data_version",
	[CSQL_ADD] = "INSERT INTO client (name, grants, disabled, created_at) VALUES (?, ?, 0, ?)",
	[CSQL_ADD_NAME] = "INSERT INTO grant_name (client_id, reversed)"
			  " SELECT id, ?2 FROM client WHERE name = ?1",
	[CSQL_DROP_NAMES] = "DELETE FROM grant_name"
			    " WHERE client_id = (SELECT id FROM client WHERE name = ?)",
	[CSQL_SET_GRANT] = "UPDATE client SET grants = ?2 WHERE name = ?1",
	[CSQL_SET_DISABLED] = "UPDATE client SET disabled = ?2 WHERE name = ?1",
	[CSQL_FIND] = "SELECT name, grants, disabled, created_at, 0 FROM client WHERE name = ?",
	[CSQL_LIST] = "SELECT c.name, c.grants, c.disabled, c.created_at,"
		      " (SELECT count(*) FROM token t WHERE t.client_id = c.id AND " LIVE ")"
		      " FROM client c ORDER BY c.name",
	[CSQL_BELOW] = "SELECT 1 FROM grant_name g JOIN client c ON c.id = g.client_id"
		       " WHERE g.reversed > ?1 AND g.reversed < ?2 AND c.name IS NOT ?3"
		       " AND c.disabled = 0 LIMIT 1",
	[CSQL_TOKEN_LIVE] = "SELECT count(*) FROM token t JOIN client c ON c.id = t.client_id"
			    " WHERE c.name = ?2 AND t.kind = ?3 AND t.bound IS ?4 AND " LIVE,
	[CSQL_TOKEN_ADD] = "INSERT INTO token (id, client_id, kind, hash, secret, bound,"
			   " created_at, expires_at, revoked_at, used_at)"
			   " SELECT ?1, id, ?3, ?4, ?5, ?6, ?7, ?8, 0, 0 FROM client"
			   " WHERE name = ?2",
	[CSQL_TOKEN_FIND] = "SELECT t.id, c.name, t.kind, t.hash, t.secret, t.bound, t.created_at,"
			    " t.expires_at, t.revoked_at, t.used_at, t.used_from"
			    " FROM token t JOIN client c ON c.id = t.client_id WHERE t.id = ?",
	[CSQL_TOKEN_LIST] = "SELECT t.id, c.name, t.kind, t.hash, t.secret, t.bound, t.created_at,"
			    " t.expires_at, t.revoked_at, t.used_at, t.used_from"
			    " FROM token t JOIN client c ON c.id = t.client_id"
			    " WHERE ?1 IS NULL OR c.name = ?1 ORDER BY c.name, t.created_at, t.id",
	[CSQL_TOKEN_REVOKE] = "UPDATE token SET revoked_at = ?2 WHERE id = ?1 AND revoked_at = 0",
	[CSQL_TOKEN_USED] = "UPDATE token SET used_at = ?2, used_from = ?3 WHERE id = ?1"
			    " AND used_at <= ?2",
};
static_assert(ARRAY_LEN(sql_texts) == CSQL_COUNT, "a text for each statement");

/* ---- statements ------------------------------------------------------------------- */

enum err_code clients_err(struct clients *clients, int rc, struct err *err)
{
	if ((rc & 0xff) == SQLITE_BUSY) {
		return err_set(err, ERR_BUSY, clients->path,
			       "another process has been writing to it for %d s", BUSY_MS / 1000);
	}
	return err_set(err, ERR_IO, clients->path, "%s", sqlite3_errmsg(clients->db));
}

void cquery_begin(struct cquery *query, struct clients *clients, enum clients_sql id)
{
	*query = (struct cquery){ .clients = clients };
	if (!clients->statements[id]) {
		query->rc = sqlite3_prepare_v3(clients->db, sql_texts[id], -1,
					       SQLITE_PREPARE_PERSISTENT, &clients->statements[id],
					       NULL);
	}
	query->stmt = clients->statements[id];
}

void cquery_text(struct cquery *query, const char *text)
{
	if (query->rc == SQLITE_OK) {
		query->rc = sqlite3_bind_text(query->stmt, ++query->bound, text, -1, SQLITE_STATIC);
	}
}

void cquery_int(struct cquery *query, int64_t value)
{
	if (query->rc == SQLITE_OK) {
		query->rc = sqlite3_bind_int64(query->stmt, ++query->bound, value);
	}
}

void cquery_blob(struct cquery *query, const void *data, size_t len)
{
	if (query->rc == SQLITE_OK) {
		query->rc = sqlite3_bind_blob(query->stmt, ++query->bound, data, (int)len,
					      SQLITE_STATIC);
	}
}

bool cquery_row(struct cquery *query, enum err_code *code, struct err *err)
{
	if (query->rc == SQLITE_OK || query->rc == SQLITE_ROW) {
		query->rc = sqlite3_step(query->stmt);
	}
	*code = query->rc == SQLITE_ROW || query->rc == SQLITE_DONE
			? ERR_NONE
			: clients_err(query->clients, query->rc, err);
	return query->rc == SQLITE_ROW;
}

void cquery_end(struct cquery *query)
{
	if (query->stmt) {
		(void)sqlite3_reset(query->stmt);
		(void)sqlite3_clear_bindings(query->stmt);
		query->stmt = NULL;
	}
}

enum err_code cquery_run(struct cquery *query, int *changed, struct err *err)
{
	enum err_code code;

	while (cquery_row(query, &code, err)) {
	}
	if (changed) {
		*changed = sqlite3_changes(query->clients->db);
	}
	cquery_end(query);
	return code;
}

char *cquery_str(struct cquery *query, int column)
{
	return xstrdup((const char *)sqlite3_column_text(query->stmt, column));
}

int64_t cquery_num(struct cquery *query, int column)
{
	return sqlite3_column_int64(query->stmt, column);
}

enum err_code clients_begin(struct clients *clients, struct err *err)
{
	struct cquery query;

	cquery_begin(&query, clients, CSQL_BEGIN);
	return cquery_run(&query, NULL, err);
}

enum err_code clients_end(struct clients *clients, enum err_code code, struct err *err)
{
	struct cquery query;
	struct err unused;

	if (code == ERR_NONE) {
		cquery_begin(&query, clients, CSQL_COMMIT);
		code = cquery_run(&query, NULL, err);
	}
	if (code != ERR_NONE && !sqlite3_get_autocommit(clients->db)) {
		cquery_begin(&query, clients, CSQL_ROLLBACK);
		if (cquery_run(&query, NULL, &unused) != ERR_NONE) {
			log_debug("%s: nothing to roll back", clients->path);
		}
	}
	return code;
}

/* ---- open --------------------------------------------------------------------------- */

static enum err_code run_text(struct clients *clients, const char *sql, struct err *err)
{
	int rc = sqlite3_exec(clients->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? ERR_NONE : clients_err(clients, rc, err);
}

static enum err_code read_version(struct clients *clients, int *version, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(clients->db, "PRAGMA user_version", -1, &stmt, NULL);

	if (rc == SQLITE_OK) {
		rc = sqlite3_step(stmt);
	}
	*version = rc == SQLITE_ROW ? sqlite3_column_int(stmt, 0) : 0;
	(void)sqlite3_finalize(stmt);
	if (rc != SQLITE_ROW) {
		return clients_err(clients, rc, err);
	}
	if (*version > CLIENTS_VERSION) {
		return err_set(err, ERR_IO, clients->path,
			       "it was written by a newer dns01 (version %d of the clients, this "
			       "program knows %d): use that program",
			       *version, CLIENTS_VERSION);
	}
	return ERR_NONE;
}

static enum err_code migrate(struct clients *clients, struct err *err)
{
	char sql[48];
	int version = 0;
	enum err_code code = read_version(clients, &version, err);

	if (code != ERR_NONE || version == CLIENTS_VERSION) {
		return code;
	}
	code = clients_begin(clients, err);
	if (code == ERR_NONE) {
		/* Another process may have been quicker. */
		code = read_version(clients, &version, err);
	}
	for (; code == ERR_NONE && version < CLIENTS_VERSION; version++) {
		code = run_text(clients, migrations[version], err);
	}
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", CLIENTS_VERSION);
	if (code == ERR_NONE) {
		code = run_text(clients, sql, err);
	}
	return clients_end(clients, code, err);
}

enum err_code clients_open(const char *state, struct clients **out, struct err *err)
{
	struct clients *clients = xcalloc(1, sizeof(*clients));
	char *real = realpath(state, NULL);
	enum err_code code = state_file_make(real ? real : state, CLIENTS_FILE, err);
	int rc;

	clients->path = path_join(real ? real : state, CLIENTS_FILE);
	if (code == ERR_NONE) {
		rc = sqlite3_open_v2(clients->path, &clients->db,
				     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
					     SQLITE_OPEN_NOFOLLOW,
				     NULL);
		code = rc == SQLITE_OK
			       ? ERR_NONE
			       : err_set(err, ERR_IO, clients->path, "%s", sqlite3_errstr(rc));
	}
	if (code == ERR_NONE) {
		(void)sqlite3_busy_timeout(clients->db, BUSY_MS);
		/* The -wal and -shm files stay, so that they keep their owner: see journal.c. */
		(void)sqlite3_db_config(clients->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		code = migrate(clients, err);
	}
	if (code == ERR_NONE) {
		code = run_text(clients,
				"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
				"PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY",
				err);
	}
	free(real);
	if (code != ERR_NONE) {
		clients_close(clients);
		return code;
	}
	*out = clients;
	return ERR_NONE;
}

void clients_close(struct clients *clients)
{
	if (!clients) {
		return;
	}
	for (size_t i = 0; i < CSQL_COUNT; i++) {
		(void)sqlite3_finalize(clients->statements[i]);
	}
	(void)sqlite3_close_v2(clients->db);
	free(clients->path);
	free(clients);
}

enum err_code clients_version(struct clients *clients, int64_t *out, struct err *err)
{
	struct cquery query;
	enum err_code code;

	cquery_begin(&query, clients, CSQL_VERSION);
	if (cquery_row(&query, &code, err)) {
		*out = cquery_num(&query, 0);
	}
	cquery_end(&query);
	return code;
}

/* ---- clients -------------------------------------------------------------------------- */

static enum err_code check_name(const char *name, struct err *err)
{
	size_t len = strlen(name);
	bool good = len > 0 && len <= NAME_LEN_MAX && name[0] != '.' && name[0] != '-';

	for (size_t i = 0; i < len && good; i++) {
		unsigned char c = (unsigned char)name[i];

		good = c < 0x80 && (isalnum(c) || strchr("._-@", c));
	}
	return good ? ERR_NONE
		    : err_set(err, ERR_USAGE, "",
			      "that is no name of a client; write at most %d letters, digits, "
			      "\".\", \"_\", \"-\" and \"@\", with no \".\" or \"-\" in front",
			      NAME_LEN_MAX);
}

/* "www.Example.com" to "com.example.www."; out has room for REVERSED_MAX. */
static bool reverse(const char *name, char *out)
{
	size_t len = strlen(name);
	size_t at = 0;

	if (len > 0 && name[len - 1] == '.') {
		len--;
	}
	if (len + 2 > REVERSED_MAX) {
		return false;
	}
	while (len > 0) {
		size_t start = len;

		while (start > 0 && name[start - 1] != '.') {
			start--;
		}
		for (size_t i = start; i < len; i++) {
			out[at++] = (char)tolower((unsigned char)name[i]);
		}
		out[at++] = '.';
		len = start > 0 ? start - 1 : 0;
	}
	out[at] = '\0';
	return at > 0;
}

static enum err_code add_names(struct clients *clients, const char *client, const struct json *list,
			       struct err *err)
{
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < json_len(list) && code == ERR_NONE; i++) {
		const char *name = json_text(json_at(list, i));
		char reversed[REVERSED_MAX];
		struct cquery query;

		if (!name || name[0] == '@' || !reverse(name, reversed)) {
			continue;
		}
		cquery_begin(&query, clients, CSQL_ADD_NAME);
		cquery_text(&query, client);
		cquery_text(&query, reversed);
		code = cquery_run(&query, NULL, err);
	}
	return code;
}

static enum err_code index_names(struct clients *clients, const char *name, const char *grant,
				 struct err *err)
{
	struct json *json = NULL;
	struct cquery query;
	enum err_code code = json_parse(grant, strlen(grant), &json, err);

	if (code != ERR_NONE) {
		return code;
	}
	cquery_begin(&query, clients, CSQL_DROP_NAMES);
	cquery_text(&query, name);
	code = cquery_run(&query, NULL, err);
	if (code == ERR_NONE) {
		code = add_names(clients, name, json_get(json, "names"), err);
	}
	if (code == ERR_NONE) {
		code = add_names(clients, name, json_get(json, "under"), err);
	}
	json_free(json);
	return code;
}

static enum err_code not_there(const char *name, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, name,
		       "there is no such client; `dns01 client list` shows all");
}

enum err_code clients_add(struct clients *clients, const char *name, const char *grant,
			  int64_t now_s, struct err *err)
{
	struct cquery query;
	enum err_code code = check_name(name, err);

	if (code == ERR_NONE) {
		code = clients_begin(clients, err);
	}
	if (code != ERR_NONE) {
		return code;
	}
	cquery_begin(&query, clients, CSQL_ADD);
	cquery_text(&query, name);
	cquery_text(&query, grant);
	cquery_int(&query, now_s);
	code = cquery_run(&query, NULL, err);
	if (code != ERR_NONE && (query.rc & 0xff) == SQLITE_CONSTRAINT) {
		code = err_set(err, ERR_EXISTS, name, "there is a client of that name already");
	}
	if (code == ERR_NONE) {
		code = index_names(clients, name, grant, err);
	}
	return clients_end(clients, code, err);
}

enum err_code clients_set_grant(struct clients *clients, const char *name, const char *grant,
				struct err *err)
{
	struct cquery query;
	int changed = 0;
	enum err_code code = clients_begin(clients, err);

	if (code != ERR_NONE) {
		return code;
	}
	cquery_begin(&query, clients, CSQL_SET_GRANT);
	cquery_text(&query, name);
	cquery_text(&query, grant);
	code = cquery_run(&query, &changed, err);
	if (code == ERR_NONE && changed == 0) {
		code = not_there(name, err);
	}
	if (code == ERR_NONE) {
		code = index_names(clients, name, grant, err);
	}
	return clients_end(clients, code, err);
}

enum err_code clients_set_disabled(struct clients *clients, const char *name, bool disabled,
				   struct err *err)
{
	struct cquery query;
	int changed = 0;
	enum err_code code;

	cquery_begin(&query, clients, CSQL_SET_DISABLED);
	cquery_text(&query, name);
	cquery_int(&query, disabled);
	code = cquery_run(&query, &changed, err);
	return code == ERR_NONE && changed == 0 ? not_there(name, err) : code;
}

static struct client_row *read_client(struct cquery *query)
{
	struct client_row *row = xcalloc(1, sizeof(*row));

	row->name = cquery_str(query, 0);
	row->grant = cquery_str(query, 1);
	row->disabled = cquery_num(query, 2) != 0;
	row->created_at = cquery_num(query, 3);
	row->tokens = (size_t)cquery_num(query, 4);
	return row;
}

void client_row_free(struct client_row *row)
{
	if (row) {
		free(row->name);
		free(row->grant);
		free(row);
	}
}

enum err_code clients_find(struct clients *clients, const char *name, struct client_row **out,
			   struct err *err)
{
	struct cquery query;
	enum err_code code;

	cquery_begin(&query, clients, CSQL_FIND);
	cquery_text(&query, name);
	if (cquery_row(&query, &code, err)) {
		*out = read_client(&query);
	} else if (code == ERR_NONE) {
		code = not_there(name, err);
	}
	cquery_end(&query);
	return code;
}

enum err_code clients_list(struct clients *clients, int64_t now_s, client_each *each, void *arg,
			   struct err *err)
{
	struct cquery query;
	enum err_code code;

	cquery_begin(&query, clients, CSQL_LIST);
	cquery_int(&query, now_s);
	while (cquery_row(&query, &code, err)) {
		struct client_row *row = read_client(&query);

		each(arg, row);
		client_row_free(row);
	}
	cquery_end(&query);
	return code;
}

enum err_code clients_any_below(struct clients *clients, const char *name, const char *but,
				bool *out, struct err *err)
{
	char first[REVERSED_MAX], last[REVERSED_MAX];
	struct cquery query;
	enum err_code code = ERR_NONE;
	size_t len;

	*out = false;
	if (!reverse(name, first)) {
		return ERR_NONE;
	}
	/* "com.example." up to "com.example/": '/' follows '.' */
	len = strlen(first);
	memcpy(last, first, len + 1);
	last[len - 1] = '.' + 1;
	cquery_begin(&query, clients, CSQL_BELOW);
	cquery_text(&query, first);
	cquery_text(&query, last);
	cquery_text(&query, but);
	*out = cquery_row(&query, &code, err);
	cquery_end(&query);
	return code;
}
