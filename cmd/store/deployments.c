/* What is to be done with each new certificate, and what people were told already. */
#include "renewals_internal.h"

enum err_code deployments_put(struct renewals *renewals, const struct deployment *row,
			      struct err *err)
{
	struct dbq query;

	dbq_begin(&query, &renewals->db, RSQL_DEPLOYMENT_PUT);
	dbq_text(&query, row->lineage);
	dbq_text(&query, row->what);
	dbq_text(&query, row->serial);
	dbq_int(&query, row->failures);
	dbq_int(&query, row->failed_at);
	dbq_int(&query, row->retry_at);
	dbq_text(&query, row->failure);
	return dbq_run(&query, NULL, err);
}

static void read_row(struct dbq *query, struct deployment *row)
{
	*row = (struct deployment){
		.lineage = dbq_str(query, 0),
		.what = dbq_str(query, 1),
		.serial = dbq_str(query, 2),
		.failures = (unsigned)dbq_num(query, 3),
		.failed_at = dbq_num(query, 4),
		.retry_at = dbq_num(query, 5),
		.failure = dbq_str(query, 6),
	};
}

static void clear_row(struct deployment *row)
{
	free(row->lineage);
	free(row->what);
	free(row->serial);
	free(row->failure);
}

enum err_code deployments_list(struct renewals *renewals, const char *lineage,
			       deployment_each *each, void *arg, struct err *err)
{
	struct dbq query;
	enum err_code code;

	dbq_begin(&query, &renewals->db, RSQL_DEPLOYMENT_LIST);
	dbq_text(&query, lineage);
	while (dbq_row(&query, &code, err)) {
		struct deployment row;

		read_row(&query, &row);
		each(arg, &row);
		clear_row(&row);
	}
	dbq_end(&query);
	return code;
}

/* ---- those that the configuration has no more -------------------------------------------- */

struct leaving {
	const struct strlist *keep;
	struct strlist what;
};

static void find_leaving(void *arg, const struct deployment *row)
{
	struct leaving *leaving = arg;

	if (!strlist_has(leaving->keep, row->what)) {
		strlist_add(&leaving->what, row->what);
	}
}

enum err_code deployments_keep(struct renewals *renewals, const char *lineage,
			       const struct strlist *keep, struct err *err)
{
	struct leaving leaving = { .keep = keep };
	enum err_code code = deployments_list(renewals, lineage, find_leaving, &leaving, err);

	for (size_t i = 0; i < leaving.what.count && code == ERR_NONE; i++) {
		struct dbq query;

		dbq_begin(&query, &renewals->db, RSQL_DEPLOYMENT_REMOVE);
		dbq_text(&query, lineage);
		dbq_text(&query, leaving.what.item[i]);
		code = dbq_run(&query, NULL, err);
	}
	strlist_clear(&leaving.what);
	return code;
}

/* ---- events ------------------------------------------------------------------------------- */

static enum err_code told_at(struct renewals *renewals, const char *key, int64_t *out_s, bool *told,
			     struct err *err)
{
	struct dbq query;
	enum err_code code;

	dbq_begin(&query, &renewals->db, RSQL_EVENT_GET);
	dbq_text(&query, key);
	*told = dbq_row(&query, &code, err);
	*out_s = *told ? dbq_num(&query, 0) : 0;
	dbq_end(&query);
	return code;
}

enum err_code events_due(struct renewals *renewals, const struct told_event *event, bool *due,
			 struct err *err)
{
	struct dbq query;
	int64_t at_s;
	bool told, is_due;
	enum err_code code = told_at(renewals, event->key, &at_s, &told, err);

	if (code != ERR_NONE) {
		return code;
	}
	/* told in the future: the clock went back, and the reminder must not wait for it */
	is_due = !told || at_s > event->now_s || event->now_s - at_s >= event->remind_s;
	if (is_due) {
		dbq_begin(&query, &renewals->db, RSQL_EVENT_PUT);
		dbq_text(&query, event->key);
		dbq_int(&query, event->now_s);
		code = dbq_run(&query, NULL, err);
	}
	if (code == ERR_NONE) {
		*due = is_due;
	}
	return code;
}

enum err_code events_over(struct renewals *renewals, const char *key, struct err *err)
{
	struct dbq query;

	dbq_begin(&query, &renewals->db, RSQL_EVENT_REMOVE);
	dbq_text(&query, key);
	return dbq_run(&query, NULL, err);
}
