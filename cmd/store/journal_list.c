/* Reading the journal: all rows, one owner's, what nobody holds; and ending leases. */
#include "journal_internal.h"

#define REQUESTER_COLUMN ROW_COLUMN_COUNT
#define EXPIRES_COLUMN (ROW_COLUMN_COUNT + 1)
#define LEASE_COLUMN (ROW_COLUMN_COUNT + 2)
#define ASKED_COLUMN (ROW_COLUMN_COUNT + 3)

static enum err_code read_rows(struct journal_call *call, struct query *query, struct err *err)
{
	bool more = false;
	enum err_code code;

	while ((code = query_step(query, &more, err)) == ERR_NONE && more) {
		struct journal_row *row = row_add(&call->rows);

		row_read(row, query);
		row->requester = column_text(query, REQUESTER_COLUMN);
		row->expires_at = sqlite3_column_int64(query->stmt, EXPIRES_COLUMN);
		row->lease_id = sqlite3_column_int64(query->stmt, LEASE_COLUMN);
		row->asked = xstrdup((const char *)sqlite3_column_text(query->stmt, ASKED_COLUMN));
	}
	query_end(query);
	return code;
}

static void bind_match(struct query *query, const struct journal_call *call)
{
	query_text(query, call->owner);
	query_text(query, call->value);
	query_text(query, call->requester);
	query_text(query, call->asked);
}

static enum err_code list_run(struct journal_call *call, struct err *err)
{
	struct query query;

	query_begin(&query, call->journal, SQL_LIST);
	bind_match(&query, call);
	return read_rows(call, &query, err);
}

static enum err_code leases_run(struct journal_call *call, struct err *err)
{
	struct query query;

	query_begin(&query, call->journal, SQL_LEASES);
	return read_rows(call, &query, err);
}

static enum err_code revoke_run(struct journal_call *call, struct err *err)
{
	struct query query;
	enum err_code code = list_run(call, err);

	if (code != ERR_NONE) {
		return code;
	}
	query_begin(&query, call->journal, SQL_REVOKE);
	bind_match(&query, call);
	return query_run(&query, err);
}

/* Notes a clock that went back, as a plan does: where nothing is published any more, only
 * sweeps come by, and a lease must end all the same. */
static enum err_code orphans_run(struct journal_call *call, struct err *err)
{
	struct query query;
	enum err_code code;

	query_begin(&query, call->journal, SQL_CLOCK);
	query_int(&query, call->journal->now_s);
	code = query_run(&query, err);
	if (code != ERR_NONE) {
		return code;
	}
	query_begin(&query, call->journal, SQL_ORPHANS);
	return read_rows(call, &query, err);
}

static void list_report(struct journal_call *call, const struct err *err)
{
	call->list_done(call->arg, err, err ? NULL : call->rows.item, err ? 0 : call->rows.count);
}

static const struct call_kind list_kind = {
	.run = list_run,
	.report = list_report,
};

static const struct call_kind leases_kind = {
	.run = leases_run,
	.report = list_report,
};

static const struct call_kind revoke_kind = {
	.writes = true,
	.run = revoke_run,
	.report = list_report,
};

static const struct call_kind orphans_kind = {
	.writes = true,
	.run = orphans_run,
	.report = list_report,
};

static struct journal_call *start(struct journal *journal, const struct call_kind *kind,
				  journal_list_done *done, void *arg)
{
	struct journal_call *call = journal_call_new(journal, kind);

	call->list_done = done;
	call->arg = arg;
	return call;
}

static struct journal_call *start_matching(struct journal *journal, const struct call_kind *kind,
					   const struct journal_match *match,
					   journal_list_done *done, void *arg)
{
	struct journal_call *call = start(journal, kind, done, arg);

	call->owner = xstrdup(match->owner);
	call->value = xstrdup(match->value);
	call->requester = xstrdup(match->requester);
	call->asked = xstrdup(match->asked);
	return call;
}

struct journal_call *journal_list_start(struct journal *journal, const struct journal_match *match,
					journal_list_done *done, void *arg)
{
	return start_matching(journal, &list_kind, match, done, arg);
}

struct journal_call *journal_leases_start(struct journal *journal, journal_list_done *done,
					  void *arg)
{
	return start(journal, &leases_kind, done, arg);
}

struct journal_call *journal_revoke_start(struct journal *journal,
					  const struct journal_match *match,
					  journal_list_done *done, void *arg)
{
	return start_matching(journal, &revoke_kind, match, done, arg);
}

struct journal_call *journal_orphans_start(struct journal *journal, journal_list_done *done,
					   void *arg)
{
	return start(journal, &orphans_kind, done, arg);
}
