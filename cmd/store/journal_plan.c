/* The plan: one zone's next change, written down and synced before anything is sent. */
#include "journal_internal.h"

#define LEASE_MAX_S ((int64_t)10 * 366 * 86400)

struct planning {
	struct journal *journal;
	const struct journal_plan *plan;
	struct journal_call *call;
	int64_t place;
	int64_t ticket; /* of this plan */
	int64_t next_lease;
	bool *freed; /* of the plan's let_go: the lease was there, and ended */
};

/* ---- a copy of the caller's plan -------------------------------------------------- */

void plan_copy(struct journal_plan *to, const struct journal_plan *from)
{
	struct journal_want *wants = xcalloc(from->want_count + 1, sizeof(*wants));
	struct journal_let_go *let_go = xcalloc(from->let_go_count + 1, sizeof(*let_go));

	for (size_t i = 0; i < from->want_count; i++) {
		wants[i] = from->wants[i];
		wants[i].owner = xstrdup(from->wants[i].owner);
		wants[i].value = xstrdup(from->wants[i].value);
		wants[i].view = xstrdup(from->wants[i].view ? from->wants[i].view : "");
		wants[i].asked = xstrdup(from->wants[i].asked);
		wants[i].lease.requester = xstrdup(from->wants[i].lease.requester);
	}
	for (size_t i = 0; i < from->let_go_count; i++) {
		let_go[i] = from->let_go[i];
		let_go[i].owner = xstrdup(from->let_go[i].owner);
		let_go[i].value = xstrdup(from->let_go[i].value);
	}
	*to = (struct journal_plan){
		.zone = xstrdup(from->zone),
		.provider = xstrdup(from->provider),
		.provider_conf = xstrdup(from->provider_conf),
		.wants = wants,
		.want_count = from->want_count,
		.let_go = let_go,
		.let_go_count = from->let_go_count,
	};
}

/* The header's pointers are const for callers; in a copy they are ours. */
static void drop(const void *ours)
{
	union {
		const void *in;
		void *out;
	} both = { .in = ours };

	free(both.out);
}

void plan_clear(struct journal_plan *plan)
{
	for (size_t i = 0; i < plan->want_count; i++) {
		drop(plan->wants[i].owner);
		drop(plan->wants[i].value);
		drop(plan->wants[i].view);
		drop(plan->wants[i].asked);
		drop(plan->wants[i].lease.requester);
	}
	for (size_t i = 0; i < plan->let_go_count; i++) {
		drop(plan->let_go[i].owner);
		drop(plan->let_go[i].value);
	}
	drop(plan->wants);
	drop(plan->let_go);
	drop(plan->zone);
	drop(plan->provider);
	drop(plan->provider_conf);
	*plan = (struct journal_plan){ 0 };
}

static enum err_code plan_check(const struct journal_plan *plan, struct err *err)
{
	if (plan->want_count > JOURNAL_PLAN_MAX || plan->let_go_count > JOURNAL_PLAN_MAX) {
		return err_set(err, ERR_LIMIT, plan->zone, "more than %d values in one change",
			       JOURNAL_PLAN_MAX);
	}
	for (size_t i = 0; i < plan->want_count; i++) {
		if (strlen(plan->wants[i].value) > JOURNAL_VALUE_MAX) {
			return err_set(err, ERR_LIMIT, plan->wants[i].owner,
				       "the value is longer than %d octets", JOURNAL_VALUE_MAX);
		}
	}
	return ERR_NONE;
}

/* ---- leases ----------------------------------------------------------------------- */

/* A byte that nobody holds and no lease names: a dead process's lease must not come to life
 * again with the next holder of its byte. */
static enum err_code take_holder(struct journal *journal, struct err *err)
{
	for (int64_t byte = 1; byte <= HOLDER_BYTE_MAX && journal->holder.byte == 0; byte++) {
		struct query query;
		bool used = false;
		enum err_code code;

		query_begin(&query, journal, SQL_HOLDER_USED);
		query_int(&query, byte);
		code = query_step(&query, &used, err);
		query_end(&query);
		if (code != ERR_NONE) {
			return code;
		}
		if (!used && holder_try(&journal->holder, byte)) {
			return ERR_NONE;
		}
	}
	return journal->holder.byte != 0
		       ? ERR_NONE
		       : err_set(err, ERR_LIMIT, journal->path,
				 "more than %d processes hold values in DNS", HOLDER_BYTE_MAX);
}

static int64_t duration_of(const struct lease_spec *lease)
{
	if (lease->duration_s < 0) {
		return 0;
	}
	return lease->duration_s < LEASE_MAX_S ? lease->duration_s : LEASE_MAX_S;
}

/*
 * The id of a lease that ended must not come again: somebody may still want to let it go. Ids grow
 * with the clock, from a place in its second that chance gives, behind what is there and what was
 * given before.
 */
#define PLACES_A_S (INT64_C(1) << 29)

static enum err_code begin_leases(struct planning *planning, struct err *err)
{
	struct journal *journal = planning->journal;
	int64_t now_s = journal->now_s > 0 ? journal->now_s : 0;
	int64_t last = journal->last_lease;
	struct query query;
	bool row = false;
	enum err_code code;

	planning->next_lease = now_s * PLACES_A_S + planning->ticket % PLACES_A_S;
	query_begin(&query, journal, SQL_LAST_LEASE);
	code = query_step(&query, &row, err);
	if (code == ERR_NONE && row && sqlite3_column_int64(query.stmt, 0) > last) {
		last = sqlite3_column_int64(query.stmt, 0);
	}
	query_end(&query);
	if (planning->next_lease <= last) {
		planning->next_lease = last + 1;
	}
	return code;
}

static enum err_code grant(struct planning *planning, int64_t value_id,
			   const struct journal_want *want, int64_t *out, struct err *err)
{
	struct journal *journal = planning->journal;
	const struct lease_spec *lease = &want->lease;
	bool process = lease->kind == LEASE_PROCESS;
	struct query query;
	enum err_code code = process ? take_holder(journal, err) : ERR_NONE;

	if (code != ERR_NONE) {
		return code;
	}
	query_begin(&query, journal, SQL_LEASE);
	query_int(&query, planning->next_lease);
	query_int(&query, value_id);
	query_int(&query, lease->kind);
	query_int(&query, process ? journal->holder.byte : 0);
	query_int(&query, journal->now_s);
	query_int(&query, process ? 0 : journal->now_s + duration_of(lease));
	query_text(&query, lease->requester);
	query_text(&query, want->asked);
	code = query_run(&query, err);
	if (code == ERR_NONE) {
		*out = journal->last_lease = planning->next_lease++;
	}
	return code;
}

static enum err_code let_go(struct planning *planning, struct err *err)
{
	enum err_code code = ERR_NONE;

	planning->freed = xcalloc(planning->plan->let_go_count + 1, sizeof(*planning->freed));
	for (size_t i = 0; i < planning->plan->let_go_count && code == ERR_NONE; i++) {
		const struct journal_let_go *gone = &planning->plan->let_go[i];
		struct query query;

		query_begin(&query, planning->journal, SQL_LET_GO);
		query_int(&query, gone->lease_id);
		query_int(&query, gone->row_id);
		code = query_run(&query, err);
		planning->freed[i] = sqlite3_changes(planning->journal->db) > 0;
	}
	return code;
}

/* ---- the place -------------------------------------------------------------------- */

static enum err_code add_place(struct planning *planning, struct err *err)
{
	struct query query;

	query_begin(&query, planning->journal, SQL_PLACE_ADD);
	query_text(&query, planning->plan->zone);
	query_text(&query, planning->plan->provider_conf);
	query_text(&query, planning->plan->provider);
	return query_run(&query, err);
}

/* False: it is not there yet, or its provider had another name. */
static enum err_code look_up_place(struct planning *planning, bool *known, struct err *err)
{
	struct query query;
	bool found = false;
	enum err_code code;

	query_begin(&query, planning->journal, SQL_PLACE);
	query_text(&query, planning->plan->zone);
	query_text(&query, planning->plan->provider_conf);
	code = query_step(&query, &found, err);
	*known = false;
	if (code == ERR_NONE && found) {
		const char *name = (const char *)sqlite3_column_text(query.stmt, 1);

		planning->place = sqlite3_column_int64(query.stmt, 0);
		*known = name && strcmp(name, planning->plan->provider) == 0;
	}
	query_end(&query);
	return code;
}

static enum err_code find_place(struct planning *planning, struct err *err)
{
	bool known = false;
	enum err_code code = look_up_place(planning, &known, err);

	if (code == ERR_NONE && !known) {
		code = add_place(planning, err);
		if (code == ERR_NONE) {
			code = look_up_place(planning, &known, err);
		}
	}
	return code;
}

/* ---- wants ------------------------------------------------------------------------ */

/* *made: there was none. */
static enum err_code insert(struct planning *planning, const struct journal_want *want,
			    struct journal_row *row, bool *made, struct err *err)
{
	struct query query;
	enum err_code code;

	query_begin(&query, planning->journal, SQL_INSERT);
	query_int(&query, planning->ticket);
	query_int(&query, planning->place);
	query_text(&query, want->owner);
	query_text(&query, want->value);
	query_text(&query, want->view);
	query_int(&query, want->ttl_s);
	query_int(&query, planning->journal->now_s);
	code = query_run(&query, err);
	*made = code == ERR_NONE && sqlite3_changes(planning->journal->db) > 0;
	if (*made) {
		row->ref.row_id = sqlite3_last_insert_rowid(planning->journal->db);
		row->ref.ticket = planning->ticket;
		row->state = JOURNAL_WANTED;
	}
	return code;
}

static enum err_code find(struct planning *planning, const struct journal_want *want,
			  struct journal_row *row, struct err *err)
{
	struct query query;
	bool found = false;
	enum err_code code;

	query_begin(&query, planning->journal, SQL_FIND);
	query_int(&query, planning->place);
	query_text(&query, want->owner);
	query_text(&query, want->value);
	code = query_step(&query, &found, err);
	if (code == ERR_NONE && found) {
		row->ref.row_id = sqlite3_column_int64(query.stmt, 0);
		row->ref.ticket = sqlite3_column_int64(query.stmt, 1);
		row->state = (enum journal_state)sqlite3_column_int(query.stmt, 2);
	}
	query_end(&query);
	return code;
}

static enum err_code want_again(struct planning *planning, struct journal_row *row, struct err *err)
{
	struct query query;

	row->state = JOURNAL_WANTED;
	row->ref.ticket = planning->ticket;
	query_begin(&query, planning->journal, SQL_WANT_AGAIN);
	query_int(&query, row->ref.ticket);
	query_int(&query, row->ref.row_id);
	return query_run(&query, err);
}

/*
 * APPLIED: it is in DNS and stays. Anything else is added by this plan, once, however many
 * want it: also what another process is said to have added, for its result is not written
 * yet; adding is idempotent.
 */
static enum err_code want(struct planning *planning, const struct journal_want *want,
			  struct err *err)
{
	struct journal_row *row = row_add(&planning->call->wanted);
	bool made = false;
	enum err_code code;

	row->ref.place = planning->place;
	code = insert(planning, want, row, &made, err);

	if (code == ERR_NONE && !made) {
		code = find(planning, want, row, err);
		if (code == ERR_NONE && row->state != JOURNAL_APPLIED &&
		    row->ref.ticket != planning->ticket) {
			code = want_again(planning, row, err);
		}
	}
	if (code == ERR_NONE) {
		code = grant(planning, row->ref.row_id, want, &row->lease_id, err);
	}
	return code;
}

/* ---- what nobody holds any more --------------------------------------------------- */

static enum err_code bury_leases(struct planning *planning, struct err *err)
{
	struct query query;

	query_begin(&query, planning->journal, SQL_BURY);
	query_int(&query, planning->place);
	return query_run(&query, err);
}

static enum err_code note_clock(struct planning *planning, struct err *err)
{
	struct query query;

	query_begin(&query, planning->journal, SQL_CLOCK);
	query_int(&query, planning->journal->now_s);
	return query_run(&query, err);
}

static struct journal_row *add_retracted(struct planning *planning, int64_t row_id)
{
	struct journal_row *row = row_add(&planning->call->rows);

	row->ref = (struct journal_ref){ row_id, planning->ticket, planning->place };
	row->state = JOURNAL_RETRACTING;
	return row;
}

static enum err_code retract_all(struct planning *planning, struct err *err)
{
	struct query query;
	bool more = false;
	enum err_code code = bury_leases(planning, err);

	if (code != ERR_NONE) {
		return code;
	}
	query_begin(&query, planning->journal, SQL_RETRACT_ALL);
	query_int(&query, planning->ticket);
	query_int(&query, planning->place);
	query_int(&query, JOURNAL_PLAN_MAX);
	while ((code = query_step(&query, &more, err)) == ERR_NONE && more) {
		struct journal_row *row =
			add_retracted(planning, sqlite3_column_int64(query.stmt, 0));

		row->owner = column_text(&query, 1);
		row->value = column_text(&query, 2);
	}
	query_end(&query);
	return code;
}

/* Unless somebody else holds it. */
static enum err_code retract_one(struct planning *planning, const struct journal_let_go *gone,
				 struct err *err)
{
	struct query query;
	enum err_code code;

	query_begin(&query, planning->journal, SQL_RETRACT);
	query_int(&query, planning->ticket);
	query_int(&query, gone->row_id);
	query_int(&query, planning->place);
	code = query_run(&query, err);
	if (code == ERR_NONE && sqlite3_changes(planning->journal->db) > 0) {
		struct journal_row *row = add_retracted(planning, gone->row_id);

		row->owner = xstrdup(gone->owner);
		row->value = xstrdup(gone->value);
	}
	return code;
}

static enum err_code retract_freed(struct planning *planning, struct err *err)
{
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < planning->plan->let_go_count && code == ERR_NONE; i++) {
		if (planning->freed[i]) {
			code = retract_one(planning, &planning->plan->let_go[i], err);
		}
	}
	return code;
}

/*
 * Leases end by the second: once in each, all values of the place are looked through. In between
 * only those that this plan lets go may have lost their last holder, or what an earlier
 * plan of ours wanted removed is still there. A plan that wants and lets go nothing is a sweep.
 */
static bool looks_at_all(const struct planning *planning)
{
	const struct journal_plan *plan = planning->plan;
	const struct looked *looked = journal_looked(planning->journal, planning->place);

	return !looked || looked->at_s != planning->journal->now_s || looked->leaving > 0 ||
	       (plan->want_count == 0 && plan->let_go_count == 0);
}

/* ---- the call --------------------------------------------------------------------- */

static enum err_code plan_all(struct planning *planning, struct err *err)
{
	const struct journal_plan *plan = planning->plan;
	struct journal_call *call = planning->call;
	enum err_code code = find_place(planning, err);

	if (code != ERR_NONE) {
		return code;
	}
	call->place = planning->place;
	call->all = looks_at_all(planning);
	if (call->all) {
		code = note_clock(planning, err);
	}
	if (code == ERR_NONE) {
		code = begin_leases(planning, err);
	}
	if (code == ERR_NONE) {
		code = let_go(planning, err);
	}
	for (size_t i = 0; i < plan->want_count && code == ERR_NONE; i++) {
		code = want(planning, &plan->wants[i], err);
	}
	if (code != ERR_NONE) {
		return code;
	}
	return call->all ? retract_all(planning, err) : retract_freed(planning, err);
}

static enum err_code plan_run(struct journal_call *call, struct err *err)
{
	struct planning planning = {
		.journal = call->journal,
		.plan = &call->plan,
		.call = call,
	};
	enum err_code code = plan_check(&call->plan, err);
	uint64_t draw;

	if (code != ERR_NONE) {
		return code;
	}
	world_random(call->journal->world, &draw, sizeof(draw));
	planning.ticket = (int64_t)(draw >> 1);
	code = plan_all(&planning, err);
	free(planning.freed);
	return code;
}

/* It is committed. */
static void note_looked(struct journal_call *call)
{
	struct looked *looked = journal_looked(call->journal, call->place);

	if (looked && call->all) {
		*looked = (struct looked){ call->journal->now_s, call->rows.count };
	} else if (looked) {
		looked->leaving += call->rows.count;
	}
}

static void plan_report(struct journal_call *call, const struct err *err)
{
	struct journal_planned planned = {
		.wanted = call->wanted.item,
		.wanted_count = call->wanted.count,
		.retract = call->rows.item,
		.retract_count = call->rows.count,
	};

	if (!err) {
		note_looked(call);
	}
	call->plan_done(call->arg, err, err ? NULL : &planned);
}

static const struct call_kind plan_kind = {
	.writes = true,
	.run = plan_run,
	.report = plan_report,
};

struct journal_call *journal_plan_start(struct journal *journal, const struct journal_plan *plan,
					journal_plan_done *done, void *arg)
{
	struct journal_call *call = journal_call_new(journal, &plan_kind);

	plan_copy(&call->plan, plan);
	call->plan_done = done;
	call->arg = arg;
	return call;
}
