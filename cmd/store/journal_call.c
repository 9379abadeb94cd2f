/*
 * One operation on the journal: begins by a timer, never inside its start; while another
 * process writes it is tried again, by a timer too; reports once.
 */
#include "journal_internal.h"

#define CALL_WAIT_MAX_US ((int64_t)30 * 1000000)

static void call_free(struct journal_call *call)
{
	plan_clear(&call->plan);
	free(call->owner);
	free(call->value);
	free(call->requester);
	free(call->asked);
	rows_clear(&call->wanted);
	rows_clear(&call->rows);
	free(call);
}

static void call_unlink(struct journal_call *call)
{
	struct journal_call **at = &call->journal->calls;

	while (*at != call) {
		at = &(*at)->next;
	}
	*at = call->next;
}

void journal_call_cancel(struct journal_call *call)
{
	if (call) {
		world_timer_cancel(call->journal->world, call->timer);
		call_unlink(call);
		call_free(call);
	}
}

/* Everything in one transaction, results of earlier plans first. */
static enum err_code attempt(struct journal_call *call, struct err *err)
{
	struct journal *journal = call->journal;
	bool settles = journal->settled_count > 0;
	enum err_code code = journal_ready(journal, err);

	if (code != ERR_NONE) {
		return code;
	}
	rows_clear(&call->wanted);
	rows_clear(&call->rows);
	journal->now_s = world_wall_s(journal->world);
	code = sql_run(journal, settles || call->kind->writes ? SQL_BEGIN_WRITE : SQL_BEGIN_READ,
		       err);
	if (code != ERR_NONE) {
		return code;
	}
	code = journal_write_settled(journal, err);
	if (code == ERR_NONE) {
		code = call->kind->run(call, err);
	}
	if (code == ERR_NONE) {
		code = sql_run(journal, SQL_COMMIT, err);
	}
	if (code == ERR_NONE) {
		journal_forget_settled(journal);
	} else if (!sqlite3_get_autocommit(journal->db) &&
		   sql_run(journal, SQL_ROLLBACK, NULL) != ERR_NONE) {
		/* A full disk and the like have ended the transaction already. */
		log_debug("%s: nothing to roll back", journal->path);
	}
	return code;
}

static void on_call_timer(void *arg)
{
	struct journal_call *call = arg;
	struct world *world = call->journal->world;
	struct err err;
	enum err_code code;

	call->timer = NULL;
	err_clear(&err);
	code = attempt(call, &err);
	if (code == ERR_BUSY && world_mono_us(world) < call->deadline_us) {
		int64_t jitter = (int64_t)world_random_below(world, LOCK_RETRY_US);

		call->timer =
			world_timer_start(world, LOCK_RETRY_US / 2 + jitter, on_call_timer, call);
		return;
	}
	if (code == ERR_BUSY) {
		code = err_set(&err, ERR_BUSY, call->journal->path,
			       "another process has been writing to it for %d s: find and end the "
			       "dns01 that hangs",
			       (int)(CALL_WAIT_MAX_US / 1000000));
	}
	call_unlink(call);
	call->kind->report(call, code == ERR_NONE ? NULL : &err);
	call_free(call);
}

struct journal_call *journal_call_new(struct journal *journal, const struct call_kind *kind)
{
	struct journal_call *call = xcalloc(1, sizeof(*call));

	call->journal = journal;
	call->kind = kind;
	call->deadline_us = world_mono_us(journal->world) + CALL_WAIT_MAX_US;
	call->timer = world_timer_start(journal->world, 0, on_call_timer, call);
	call->next = journal->calls;
	journal->calls = call;
	return call;
}

/* ---- rows ------------------------------------------------------------------------- */

struct journal_row *row_add(struct row_list *list)
{
	if (list->count == list->cap) {
		list->cap = list->cap ? list->cap * 2 : 16;
		list->item = xreallocarray(list->item, list->cap, sizeof(*list->item));
	}
	list->item[list->count] = (struct journal_row){ 0 };
	return &list->item[list->count++];
}

char *column_text(struct query *query, int column)
{
	const unsigned char *text = sqlite3_column_text(query->stmt, column);

	return xstrdup(text ? (const char *)text : "");
}

void row_read(struct journal_row *row, struct query *query)
{
	*row = (struct journal_row){
		.ref = { .row_id = sqlite3_column_int64(query->stmt, 0),
			 .ticket = sqlite3_column_int64(query->stmt, 1) },
		.state = (enum journal_state)sqlite3_column_int(query->stmt, 2),
		.owner = column_text(query, 3),
		.value = column_text(query, 4),
		.zone = column_text(query, 5),
		.view = column_text(query, 6),
		.provider = column_text(query, 7),
		.provider_conf = column_text(query, 8),
		.ttl_s = sqlite3_column_int64(query->stmt, 9),
		.created_at = sqlite3_column_int64(query->stmt, 10),
	};
}

void rows_clear(struct row_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct journal_row *row = &list->item[i];

		free(row->owner);
		free(row->value);
		free(row->zone);
		free(row->view);
		free(row->provider);
		free(row->provider_conf);
		free(row->requester);
		free(row->asked);
	}
	free(list->item);
	*list = (struct row_list){ 0 };
}
