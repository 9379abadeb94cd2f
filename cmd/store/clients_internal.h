/* What clients.c and tokens.c share: the database, and its statements. */
#ifndef DNS01_STORE_CLIENTS_INTERNAL_H
#define DNS01_STORE_CLIENTS_INTERNAL_H

#include "dns01/store.h"

#include "db.h"

enum clients_sql {
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
	struct db db;
};

#endif
