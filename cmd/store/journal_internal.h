/* The parts of the journal: journal.c (open, settle, close), journal_sql.c (statements),
 * journal_call.c (operations), journal_plan.c and journal_list.c (what they do). */
#ifndef DNS01_STORE_JOURNAL_INTERNAL_H
#define DNS01_STORE_JOURNAL_INTERNAL_H

#include "dns01/store.h"

#include "holder.h"

#include <assert.h>
#include <sqlite3.h>

/* ---- statements ------------------------------------------------------------------- */

enum sql_id {
	SQL_BEGIN_READ,
	SQL_BEGIN_WRITE,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_PUT,
	SQL_GONE,
	SQL_REFUSED_LEASES,
	SQL_REFUSED,
	SQL_CLOCK,
	SQL_HOLDER_USED,
	SQL_PLACE,
	SQL_PLACE_ADD,
	SQL_INSERT,
	SQL_FIND,
	SQL_WANT_AGAIN,
	SQL_LAST_LEASE,
	SQL_LEASE,
	SQL_LET_GO,
	SQL_BURY,
	SQL_RETRACT,
	SQL_RETRACT_ALL,
	SQL_LIST,
	SQL_LEASES,
	SQL_ORPHANS,
	SQL_REVOKE,
	SQL_COUNT
};

/* What is known of a place since its values were last looked through for such as nobody holds. */
struct looked {
	int64_t at_s;   /* wall clock */
	size_t leaving; /* removals that were handed out and are not settled */
};

struct journal {
	struct world *world;
	char *path; /* of journal.db */
	sqlite3 *db;
	bool ready; /* WAL, schema */
	sqlite3_stmt *statements[SQL_COUNT];
	struct holder holder;
	int64_t last_lease;             /* that was given */
	int64_t now_s;                  /* wall clock of the running transaction */
	struct journal_result *settled; /* not yet written */
	size_t settled_count, settled_cap;
	struct looked *looked; /* by place */
	size_t looked_len;
	struct journal_call *calls;
};

/* A statement in use: bind in order, step, end. A failed bind shows at the first step. */
struct query {
	struct journal *journal;
	sqlite3_stmt *stmt;
	int bound;
	int rc;
};

void query_begin(struct query *query, struct journal *journal, enum sql_id id);
void query_text(struct query *query, const char *text); /* kept until query_end; NULL is NULL */
void query_int(struct query *query, int64_t value);
/* *row: there is one to read. ERR_BUSY: another process is at it, try again later. */
enum err_code query_step(struct query *query, bool *row, struct err *err) MUST_CHECK;
void query_end(struct query *query);
/* Steps to the end, and ends. */
enum err_code query_run(struct query *query, struct err *err) MUST_CHECK;
enum err_code sql_run(struct journal *journal, enum sql_id id, struct err *err) MUST_CHECK;
/* Text that is no statement of the table: pragmas, schema. */
enum err_code sql_text_run(struct journal *journal, const char *sql, struct err *err) MUST_CHECK;
/* The sentence for what SQLite said; ERR_BUSY for what passes by itself. */
enum err_code sql_err(struct journal *journal, int rc, struct err *err);
/* The SQL function lease_alive(kind, holder, granted_at, expires_at, back_at). */
enum err_code sql_functions(struct journal *journal, struct err *err) MUST_CHECK;
void sql_forget(struct journal *journal); /* finalizes all statements */

/* ---- journal.c -------------------------------------------------------------------- */

/* WAL, schema: at open, or with the first call when another process was at it. */
enum err_code journal_ready(struct journal *journal, struct err *err) MUST_CHECK;
/* Of that place, with room for it; NULL: there are too many to remember. */
struct looked *journal_looked(struct journal *journal, int64_t place);
/* Inside a transaction. The caller forgets them once that is committed. */
enum err_code journal_write_settled(struct journal *journal, struct err *err) MUST_CHECK;
void journal_forget_settled(struct journal *journal);

/* ---- rows ------------------------------------------------------------------------- */

struct row_list {
	struct journal_row *item;
	size_t count, cap;
};

/* Gives an empty row, valid until the next one. */
struct journal_row *row_add(struct row_list *list);
/* Columns 0 to 10 of every statement that reads whole rows. */
void row_read(struct journal_row *row, struct query *query);
char *column_text(struct query *query, int column); /* gives; "" for NULL */
void rows_clear(struct row_list *list);
#define ROW_COLUMNS                                                               \
	"v.id, v.ticket, v.state, v.owner, v.value, p.zone, v.view, p.provider, " \
	"p.provider_conf, v.ttl_s, v.created_at"
#define ROW_TABLES "value v JOIN place p ON p.id = v.place"
#define ROW_COLUMN_COUNT 11

/* ---- calls ------------------------------------------------------------------------ */

struct journal_call;
struct call_kind {
	bool writes; /* needs a write transaction even when nothing is settled */
	enum err_code (*run)(struct journal_call *call, struct err *err); /* in a transaction */
	void (*report)(struct journal_call *call, const struct err *err);
};

struct journal_call {
	struct journal *journal;
	const struct call_kind *kind;
	struct world_timer *timer;
	int64_t deadline_us;                     /* monotonic: no more tries after it */
	struct journal_plan plan;                /* a deep copy */
	char *owner, *value, *requester, *asked; /* of lists */
	struct row_list wanted;
	struct row_list rows; /* to retract; listed */
	int64_t place;        /* of a plan */
	bool all;             /* a plan looked through all values of its place */
	journal_plan_done *plan_done;
	journal_list_done *list_done;
	void *arg;
	struct journal_call *next;
};

/* Runs soon; gives an empty call of that kind. */
struct journal_call *journal_call_new(struct journal *journal, const struct call_kind *kind);
void plan_copy(struct journal_plan *to, const struct journal_plan *from);
void plan_clear(struct journal_plan *plan);

#endif
