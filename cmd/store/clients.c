/* The broker's clients: who there is, and what each may do. */
#include "clients_internal.h"

#include <assert.h>
#include <ctype.h>

#include "dns01/json.h"

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

/* ---- open --------------------------------------------------------------------------- */

static const struct db_spec spec = {
	.file = "clients.db",
	.what = "the clients",
	.without = "then clients that are not in the configuration, and all tokens, are gone",
	.migrations = migrations,
	.version = CLIENTS_VERSION,
	.sql = sql_texts,
	.sql_count = ARRAY_LEN(sql_texts),
};

enum err_code clients_open(const char *state, struct clients **out, struct err *err)
{
	struct clients *clients = xcalloc(1, sizeof(*clients));
	enum err_code code = db_open(&clients->db, state, &spec, err);

	if (code != ERR_NONE) {
		clients_close(clients);
		return code;
	}
	*out = clients;
	return ERR_NONE;
}

void clients_close(struct clients *clients)
{
	if (clients) {
		db_close(&clients->db);
		free(clients);
	}
}

enum err_code clients_version(struct clients *clients, int64_t *out, struct err *err)
{
	struct dbq query;
	enum err_code code;

	dbq_begin(&query, &clients->db, CSQL_VERSION);
	if (dbq_row(&query, &code, err)) {
		*out = dbq_num(&query, 0);
	}
	dbq_end(&query);
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
		struct dbq query;

		if (!name || name[0] == '@' || !reverse(name, reversed)) {
			continue;
		}
		dbq_begin(&query, &clients->db, CSQL_ADD_NAME);
		dbq_text(&query, client);
		dbq_text(&query, reversed);
		code = dbq_run(&query, NULL, err);
	}
	return code;
}

static enum err_code index_names(struct clients *clients, const char *name, const char *grant,
				 struct err *err)
{
	struct json *json = NULL;
	struct dbq query;
	enum err_code code = json_parse(grant, strlen(grant), &json, err);

	if (code != ERR_NONE) {
		return code;
	}
	dbq_begin(&query, &clients->db, CSQL_DROP_NAMES);
	dbq_text(&query, name);
	code = dbq_run(&query, NULL, err);
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
	struct dbq query;
	enum err_code code = check_name(name, err);

	if (code == ERR_NONE) {
		code = db_begin(&clients->db, err);
	}
	if (code != ERR_NONE) {
		return code;
	}
	dbq_begin(&query, &clients->db, CSQL_ADD);
	dbq_text(&query, name);
	dbq_text(&query, grant);
	dbq_int(&query, now_s);
	code = dbq_run(&query, NULL, err);
	if (code != ERR_NONE && (query.rc & 0xff) == SQLITE_CONSTRAINT) {
		code = err_set(err, ERR_EXISTS, name, "there is a client of that name already");
	}
	if (code == ERR_NONE) {
		code = index_names(clients, name, grant, err);
	}
	return db_end(&clients->db, code, err);
}

enum err_code clients_set_grant(struct clients *clients, const char *name, const char *grant,
				struct err *err)
{
	struct dbq query;
	int changed = 0;
	enum err_code code = db_begin(&clients->db, err);

	if (code != ERR_NONE) {
		return code;
	}
	dbq_begin(&query, &clients->db, CSQL_SET_GRANT);
	dbq_text(&query, name);
	dbq_text(&query, grant);
	code = dbq_run(&query, &changed, err);
	if (code == ERR_NONE && changed == 0) {
		code = not_there(name, err);
	}
	if (code == ERR_NONE) {
		code = index_names(clients, name, grant, err);
	}
	return db_end(&clients->db, code, err);
}

enum err_code clients_set_disabled(struct clients *clients, const char *name, bool disabled,
				   struct err *err)
{
	struct dbq query;
	int changed = 0;
	enum err_code code;

	dbq_begin(&query, &clients->db, CSQL_SET_DISABLED);
	dbq_text(&query, name);
	dbq_int(&query, disabled);
	code = dbq_run(&query, &changed, err);
	return code == ERR_NONE && changed == 0 ? not_there(name, err) : code;
}

static struct client_row *read_client(struct dbq *query)
{
	struct client_row *row = xcalloc(1, sizeof(*row));

	row->name = dbq_str(query, 0);
	row->grant = dbq_str(query, 1);
	row->disabled = dbq_num(query, 2) != 0;
	row->created_at = dbq_num(query, 3);
	row->tokens = (size_t)dbq_num(query, 4);
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
	struct dbq query;
	enum err_code code;

	dbq_begin(&query, &clients->db, CSQL_FIND);
	dbq_text(&query, name);
	if (dbq_row(&query, &code, err)) {
		*out = read_client(&query);
	} else if (code == ERR_NONE) {
		code = not_there(name, err);
	}
	dbq_end(&query);
	return code;
}

enum err_code clients_list(struct clients *clients, int64_t now_s, client_each *each, void *arg,
			   struct err *err)
{
	struct dbq query;
	enum err_code code;

	dbq_begin(&query, &clients->db, CSQL_LIST);
	dbq_int(&query, now_s);
	while (dbq_row(&query, &code, err)) {
		struct client_row *row = read_client(&query);

		each(arg, row);
		client_row_free(row);
	}
	dbq_end(&query);
	return code;
}

enum err_code clients_any_below(struct clients *clients, const char *name, const char *but,
				bool *out, struct err *err)
{
	char first[REVERSED_MAX], last[REVERSED_MAX];
	struct dbq query;
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
	dbq_begin(&query, &clients->db, CSQL_BELOW);
	dbq_text(&query, first);
	dbq_text(&query, last);
	dbq_text(&query, but);
	*out = dbq_row(&query, &code, err);
	dbq_end(&query);
	return code;
}
