/* What each account has used up of its CA's limits: orders, and validations that failed. */
#include "renewals_internal.h"

/* An hour, and a little: the CA's clock is another. */
#define FAILED_WINDOW_S ((int64_t)3660)

/* ---- orders --------------------------------------------------------------------------- */

enum err_code renewals_note_order(struct renewals *renewals, const char *account, int64_t at_s,
				  struct err *err)
{
	struct dbq query;
	enum err_code code = db_begin(&renewals->db, err);

	if (code != ERR_NONE) {
		return code;
	}
	dbq_begin(&query, &renewals->db, RSQL_ORDER_FORGET);
	dbq_text(&query, account);
	dbq_int(&query, at_s - ORDERS_WINDOW_S);
	dbq_int(&query, at_s + ORDERS_WINDOW_S);
	code = dbq_run(&query, NULL, err);
	if (code == ERR_NONE) {
		dbq_begin(&query, &renewals->db, RSQL_ORDER_NOTE);
		dbq_text(&query, account);
		dbq_int(&query, at_s);
		code = dbq_run(&query, NULL, err);
	}
	return db_end(&renewals->db, code, err);
}

enum err_code renewals_orders(struct renewals *renewals, const char *account, int64_t now_s,
			      struct orders_made *out, struct err *err)
{
	struct dbq query;
	enum err_code code;

	dbq_begin(&query, &renewals->db, RSQL_ORDERS);
	dbq_text(&query, account);
	dbq_int(&query, now_s - ORDERS_WINDOW_S);
	dbq_int(&query, now_s + ORDERS_WINDOW_S);
	if (dbq_row(&query, &code, err)) {
		out->count = (size_t)dbq_num(&query, 0);
		out->oldest_s = dbq_num(&query, 1); /* NULL reads as 0 */
	}
	dbq_end(&query);
	return code;
}

/* ---- validations that failed ------------------------------------------------------------ */

static enum err_code note_failed(struct renewals *renewals, const struct failed_validations *failed,
				 struct err *err)
{
	struct dbq query;
	enum err_code code;

	dbq_begin(&query, &renewals->db, RSQL_FAILED_FORGET);
	dbq_int(&query, failed->at_s - FAILED_WINDOW_S);
	dbq_int(&query, failed->at_s + FAILED_WINDOW_S);
	code = dbq_run(&query, NULL, err);
	for (size_t i = 0; i < failed->names->count && code == ERR_NONE; i++) {
		dbq_begin(&query, &renewals->db, RSQL_FAILED_NOTE);
		dbq_text(&query, failed->account);
		dbq_text(&query, failed->names->item[i]);
		dbq_int(&query, failed->at_s);
		code = dbq_run(&query, NULL, err);
	}
	return code;
}

enum err_code renewals_note_failed(struct renewals *renewals,
				   const struct failed_validations *failed, struct err *err)
{
	enum err_code code = db_begin(&renewals->db, err);

	if (code != ERR_NONE) {
		return code;
	}
	code = note_failed(renewals, failed, err);
	return db_end(&renewals->db, code, err);
}

enum err_code renewals_may_fail_at(struct renewals *renewals, const struct may_fail *ask,
				   int64_t *at_s, struct err *err)
{
	size_t before =
		ask->times < FAILED_VALIDATIONS_MAX ? FAILED_VALIDATIONS_MAX - ask->times : 0;
	struct dbq query;
	enum err_code code;

	*at_s = ask->now_s;
	dbq_begin(&query, &renewals->db, RSQL_FAILED);
	dbq_text(&query, ask->account);
	dbq_text(&query, ask->name);
	dbq_int(&query, ask->now_s - FAILED_WINDOW_S);
	dbq_int(&query, ask->now_s + FAILED_WINDOW_S);
	dbq_int(&query, (int64_t)before);
	/* As many before this one, and it, are the most: when it is forgotten, there is room. */
	if (dbq_row(&query, &code, err)) {
		*at_s = dbq_num(&query, 0) + FAILED_WINDOW_S;
	}
	dbq_end(&query);
	return code;
}
