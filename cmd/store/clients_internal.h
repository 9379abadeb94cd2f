/* What clients.c and tokens.c share: the database, and one statement in use. */
#ifndef DNS01_STORE_CLIENTS_INTERNAL_H
#define DNS01_STORE_CLIENTS_INTERNAL_H

#include "dns01/store.h"

#include <sqlite3.h>

enum clients_sql {
	CSQL_BEGIN,
	CSQL_COMMIT,
	CSQL_ROLLBACK,
	CSQL_VERSION,
	CSQL_ADD,
	CSQL_ADD_NAME,
	CSQL_DROP_NAMES,
	CSQL_SET_GRANT,
	CSQL_SET_DISABLED,
	CSQL_FIND,
	CSQL_LIST,
	CSQL_BELOW,
	CSQL_TOKEN_LIVE,
	CSQL_TOKEN_ADD,
	CSQL_TOKEN_FIND,
	CSQL_TOKEN_LIST,
	CSQL_TOKEN_REVOKE,
	CSQL_TOKEN_USED,
	CSQL_COUNT
};

struct clients {
	sqlite3 *db;
	char *path;
	sqlite3_stmt *statements[CSQL_COUNT];
};

/* A statement in use: bind in order, step, end. A failed bind shows at the first step. */
struct cquery {
	struct clients *clients;
	sqlite3_stmt *stmt;
	int bound;
	int rc;
};

void cquery_begin(struct cquery *query, struct clients *clients, enum clients_sql id);
void cquery_text(struct cquery *query, const char *text); /* kept until the end; NULL is NULL */
void cquery_int(struct cquery *query, int64_t value);
void cquery_blob(struct cquery *query, const void *data, size_t len);
/* True: there is a row. False: the end, or err is set (*code). */
bool cquery_row(struct cquery *query, enum err_code *code, struct err *err);
void cquery_end(struct cquery *query);
/* To the end; how many rows it changed. */
enum err_code cquery_run(struct cquery *query, int *changed, struct err *err) MUST_CHECK;
char *cquery_str(struct cquery *query, int column); /* gives; NULL for NULL */
int64_t cquery_num(struct cquery *query, int column);
enum err_code clients_begin(struct clients *clients, struct err *err) MUST_CHECK;
/* Commits when code is ERR_NONE, else takes all back; gives the outcome. */
enum err_code clients_end(struct clients *clients, enum err_code code, struct err *err);
enum err_code clients_err(struct clients *clients, int rc, struct err *err);

#endif
