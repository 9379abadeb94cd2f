/* Tokens of the broker's clients: only digests of secrets, but for TSIG, which needs them. */
#include "clients_internal.h"

void token_row_free(struct token_row *row)
{
	if (row) {
		free(row->id);
		free(row->client);
		free(row->kind);
		wipe_str(row->secret);
		free(row->bound);
		free(row->used_from);
		free(row);
	}
}

static struct token_row *read_token(struct dbq *query)
{
	struct token_row *row = xcalloc(1, sizeof(*row));
	const void *hash = sqlite3_column_blob(query->stmt, 3);

	row->id = dbq_str(query, 0);
	row->client = dbq_str(query, 1);
	row->kind = dbq_str(query, 2);
	if (hash && sqlite3_column_bytes(query->stmt, 3) == SHA256_LEN) {
		memcpy(row->hash, hash, SHA256_LEN);
	}
	row->secret = dbq_str(query, 4);
	row->bound = dbq_str(query, 5);
	row->created_at = dbq_num(query, 6);
	row->expires_at = dbq_num(query, 7);
	row->revoked_at = dbq_num(query, 8);
	row->used_at = dbq_num(query, 9);
	row->used_from = dbq_str(query, 10);
	return row;
}

static enum err_code count_live(struct clients *clients, const struct token_row *row,
				int64_t *count, struct err *err)
{
	struct dbq query;
	enum err_code code;

	dbq_begin(&query, &clients->db, CSQL_TOKEN_LIVE);
	dbq_int(&query, row->created_at);
	dbq_text(&query, row->client);
	dbq_text(&query, row->kind);
	dbq_text(&query, row->bound);
	*count = dbq_row(&query, &code, err) ? dbq_num(&query, 0) : 0;
	dbq_end(&query);
	return code;
}

static enum err_code insert(struct clients *clients, const struct token_row *row, struct err *err)
{
	struct dbq query;
	int changed = 0;
	enum err_code code;

	dbq_begin(&query, &clients->db, CSQL_TOKEN_ADD);
	dbq_text(&query, row->id);
	dbq_text(&query, row->client);
	dbq_text(&query, row->kind);
	dbq_blob(&query, row->hash, SHA256_LEN);
	dbq_text(&query, row->secret);
	dbq_text(&query, row->bound);
	dbq_int(&query, row->created_at);
	dbq_int(&query, row->expires_at);
	code = dbq_run(&query, &changed, err);
	if (code != ERR_NONE && (query.rc & 0xff) == SQLITE_CONSTRAINT) {
		return err_set(err, ERR_EXISTS, row->id, "there is a token with that id already");
	}
	if (code == ERR_NONE && changed == 0) {
		return err_set(err, ERR_NOT_FOUND, row->client,
			       "there is no such client; `dns01 client list` shows all");
	}
	return code;
}

enum err_code tokens_add(struct clients *clients, const struct token_row *row, struct err *err)
{
	int64_t live = 0;
	enum err_code code = db_begin(&clients->db, err);

	if (code != ERR_NONE) {
		return code;
	}
	code = count_live(clients, row, &live, err);
	if (code == ERR_NONE && live >= TOKENS_LIVE_MAX) {
		code = err_set(err, ERR_LIMIT, row->client,
			       "it has %d live tokens already, the old one and the new one; revoke "
			       "one first (`dns01 token list %s`)",
			       TOKENS_LIVE_MAX, row->client);
	}
	if (code == ERR_NONE) {
		code = insert(clients, row, err);
	}
	return db_end(&clients->db, code, err);
}

enum err_code tokens_find(struct clients *clients, const char *id, struct token_row **out,
			  struct err *err)
{
	struct dbq query;
	enum err_code code;

	dbq_begin(&query, &clients->db, CSQL_TOKEN_FIND);
	dbq_text(&query, id);
	if (dbq_row(&query, &code, err)) {
		*out = read_token(&query);
	} else if (code == ERR_NONE) {
		code = err_set(err, ERR_NOT_FOUND, id, "there is no such token");
	}
	dbq_end(&query);
	return code;
}

enum err_code tokens_list(struct clients *clients, const char *client, token_each *each, void *arg,
			  struct err *err)
{
	struct dbq query;
	enum err_code code;

	dbq_begin(&query, &clients->db, CSQL_TOKEN_LIST);
	dbq_text(&query, client);
	while (dbq_row(&query, &code, err)) {
		struct token_row *row = read_token(&query);

		each(arg, row);
		token_row_free(row);
	}
	dbq_end(&query);
	return code;
}

enum err_code tokens_revoke(struct clients *clients, const char *id, int64_t now_s, struct err *err)
{
	struct token_row *row = NULL;
	struct dbq query;
	enum err_code code = tokens_find(clients, id, &row, err);

	token_row_free(row);
	if (code != ERR_NONE) {
		return code;
	}
	dbq_begin(&query, &clients->db, CSQL_TOKEN_REVOKE);
	dbq_text(&query, id);
	dbq_int(&query, now_s);
	return dbq_run(&query, NULL, err);
}

enum err_code tokens_used(struct clients *clients, const struct token_use *uses, size_t count,
			  struct err *err)
{
	enum err_code code = db_begin(&clients->db, err);

	if (code != ERR_NONE) {
		return code;
	}
	for (size_t i = 0; i < count && code == ERR_NONE; i++) {
		struct dbq query;

		dbq_begin(&query, &clients->db, CSQL_TOKEN_USED);
		dbq_text(&query, uses[i].id);
		dbq_int(&query, uses[i].at_s);
		dbq_text(&query, uses[i].from);
		code = dbq_run(&query, NULL, err);
	}
	return db_end(&clients->db, code, err);
}
