/* What renewals.c, limits.c and deployments.c share: the database, and its statements. */
#ifndef DNS01_STORE_RENEWALS_INTERNAL_H
#define DNS01_STORE_RENEWALS_INTERNAL_H

#include "dns01/store.h"

#include "db.h"

enum renewals_sql {
	RSQL_GET,
	RSQL_PUT,
	RSQL_STAMP,
	RSQL_REMOVE,
	RSQL_LIST,
	RSQL_ORDER_FORGET,
	RSQL_ORDER_NOTE,
	RSQL_ORDERS,
	RSQL_FAILED_FORGET,
	RSQL_FAILED_NOTE,
	RSQL_FAILED,
	RSQL_DEPLOYMENT_PUT,
	RSQL_DEPLOYMENT_LIST,
	RSQL_DEPLOYMENT_REMOVE,
	RSQL_DEPLOYMENTS_REMOVE,
	RSQL_EVENT_GET,
	RSQL_EVENT_PUT,
	RSQL_EVENT_REMOVE,
	RSQL_COUNT
};

struct renewals {
	struct db db;
};

#endif
