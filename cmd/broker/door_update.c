/*
 * door_update: RFC 2136 for clients that believe they talk to the zone's primary.
 *
 *   message -> parsed -> (TSIG verified) -> query: answered at once
 *                                       \-> update: every record checked -> claims -> answered when
 *                                           the real primary has them, or REFUSED and all withdrawn
 *
 * A key's own values alone are ever removed. lego deletes the RRset and adds its value in
 * one message: that is the add, and its siblings stay.
 */
#include "claim.h"
#include "door_dns.h"

#define ADDS_MAX 100

struct task_part {
	struct task *task;
	struct claim *claim; /* NULL: settled */
	struct claim_watcher watcher;
	char id[CLAIM_ID_LEN + 1];
};

/* One UPDATE that waits for its claims. */
struct task {
	struct dns_door *door;
	struct dns_from from;
	struct dns_request *request;
	uint8_t head[12];        /* of the message */
	struct task_part *parts; /* one for each add */
	size_t count, left;
	unsigned rcode;
	struct world_timer *answer_due;
	struct task *prev, *next;
};

/* ---- updates: checks (RFC 2136 s.3.2, 3.4.1) ------------------------------------ */

/* s.3.2.3: an RRset that exists with exactly these values. */
static bool rrset_is(struct dns_door *door, const struct dns_request *request, const char *owner)
{
	struct strlist values = { 0 };
	size_t wanted = 0;
	bool same = true;

	claim_values(door->broker, owner, NULL, &values);
	for (size_t i = 0; i < request->prerequisite_count; i++) {
		const struct dns_request_rr *rr = &request->prerequisite[i];

		if (rr->class_ == DNS_CLASS_IN && strcmp(rr->owner, owner) == 0) {
			wanted++;
			same = same && rr->txt && strlist_has(&values, rr->txt);
		}
	}
	same = same && wanted == values.count;
	strlist_clear(&values);
	return same;
}

static unsigned check_prerequisite(struct dns_door *door, const struct dns_request *request,
				   const struct dns_request_rr *rr)
{
	struct strlist values = { 0 };
	bool any;

	if (!name_under(rr->owner, request->name)) {
		return DNS_NOTZONE;
	}
	if (rr->ttl_s != 0 || (rr->class_ != DNS_CLASS_IN && rr->has_data)) {
		return DNS_FORMERR;
	}
	claim_values(door->broker, rr->owner, NULL, &values);
	any = values.count > 0 && (rr->type == DNS_TYPE_TXT || rr->type == DNS_TYPE_ANY);
	strlist_clear(&values);
	switch (rr->class_) {
	case DNS_CLASS_ANY:
		return any ? DNS_NOERROR : rr->type == DNS_TYPE_ANY ? DNS_NXDOMAIN : DNS_NXRRSET;
	case DNS_CLASS_NONE:
		return !any ? DNS_NOERROR : rr->type == DNS_TYPE_ANY ? DNS_YXDOMAIN : DNS_YXRRSET;
	case DNS_CLASS_IN:
		return rrset_is(door, request, rr->owner) ? DNS_NOERROR : DNS_NXRRSET;
	default:
		return DNS_FORMERR;
	}
}

static bool is_add(const struct dns_request_rr *rr)
{
	return rr->class_ == DNS_CLASS_IN;
}

static unsigned check_shape(const struct dns_request *request, const struct dns_request_rr *rr)
{
	bool any_type = rr->class_ == DNS_CLASS_ANY && rr->type == DNS_TYPE_ANY;

	if (!name_under(rr->owner, request->name)) {
		return DNS_NOTZONE;
	}
	if (rr->type != DNS_TYPE_TXT && !any_type) {
		return DNS_REFUSED;
	}
	switch (rr->class_) {
	case DNS_CLASS_IN:
		return rr->txt && strlen(rr->txt) == rr->txt_len ? DNS_NOERROR : DNS_FORMERR;
	case DNS_CLASS_ANY:
		return rr->ttl_s == 0 && !rr->has_data ? DNS_NOERROR : DNS_FORMERR;
	case DNS_CLASS_NONE:
		return rr->ttl_s == 0 && rr->txt ? DNS_NOERROR : DNS_FORMERR;
	default:
		return DNS_FORMERR;
	}
}

/* Why an UPDATE is refused, for its answer and its audit line. */
struct refusal {
	unsigned rcode;
	const struct dns_request_rr *rr; /* NULL: none alone is to blame */
	enum policy_rule rule;
	struct err err;
};

/* Whether this key may do that at all: a record to add as the value that it is. */
static bool may(const struct identity *who, const struct dns_request_rr *rr, struct refusal *why)
{
	const struct claim_request request = {
		.who = (struct identity *)(uintptr_t)who,
		.owner = rr->owner,
		.value = is_add(rr) ? rr->txt : NULL,
	};
	const char *view = who->grant->views.item[0];
	struct asked asked;

	if (claim_read_names(&request, view, &asked, &why->err) != ERR_NONE) {
		return false;
	}
	why->rule = claim_judge_asked(&request, &asked, view, &why->err);
	return why->rule == POLICY_GRANTED;
}

static bool is_refused(struct dns_door *door, const struct dns_request *request,
		       const struct identity *who, struct refusal *why)
{
	size_t adds = 0;

	*why = (struct refusal){ .rcode = DNS_NOERROR };
	err_set(&why->err, ERR_USAGE, who->grant->name,
		"a record of the UPDATE is not as it must be");
	for (size_t i = 0; i < request->prerequisite_count && why->rcode == DNS_NOERROR; i++) {
		why->rr = &request->prerequisite[i];
		why->rcode = check_prerequisite(door, request, why->rr);
		if (why->rcode != DNS_NOERROR) {
			err_set(&why->err, ERR_USAGE, who->grant->name,
				"a prerequisite of the UPDATE does not hold");
		}
	}
	for (size_t i = 0; i < request->update_count && why->rcode == DNS_NOERROR; i++) {
		why->rr = &request->update[i];
		why->rcode = check_shape(request, why->rr);
		if (why->rcode == DNS_NOERROR && !may(who, why->rr, why)) {
			why->rcode = DNS_REFUSED;
		}
		adds += is_add(why->rr);
	}
	if (why->rcode == DNS_NOERROR && adds > ADDS_MAX) {
		why->rcode = DNS_REFUSED;
		why->rr = NULL;
		err_set(&why->err, ERR_USAGE, who->grant->name,
			"more than %d records are added at once", ADDS_MAX);
	}
	return why->rcode != DNS_NOERROR;
}

/* ---- updates: work -------------------------------------------------------------- */

static void task_free(struct task *task)
{
	struct dns_door *door = task->door;
	struct conn_dns *conn = task->from.conn;

	for (size_t i = 0; i < task->count; i++) {
		if (task->parts[i].claim) {
			claim_unwatch(task->parts[i].claim, &task->parts[i].watcher);
		}
	}
	world_timer_cancel(door->broker->world, task->answer_due);
	if (task->prev) {
		task->prev->next = task->next;
	} else {
		door->tasks = task->next;
	}
	if (task->next) {
		task->next->prev = task->prev;
	}
	dns_request_free(task->request);
	free(task->parts);
	free(task);
	if (conn) {
		dns_conn_drop(conn);
	}
}

/* One failed: none of the message stays (s.3.4.2: all or nothing). */
static void withdraw(struct task *task)
{
	for (size_t i = 0; i < task->count; i++) {
		struct claim *claim = claim_find(task->door->broker, task->parts[i].id);

		if (task->parts[i].claim) {
			claim_unwatch(task->parts[i].claim, &task->parts[i].watcher);
			task->parts[i].claim = NULL;
		}
		if (claim) {
			claim_leave(claim);
		}
	}
}

static void on_answer_due(void *arg)
{
	struct task *task = arg;

	task->answer_due = NULL;
	if (task->rcode != DNS_NOERROR) {
		withdraw(task);
	}
	dns_send_rcode(task->door, &task->from, task->head, task->request, task->rcode);
	task_free(task);
}

static void look(struct task *task)
{
	if ((task->left == 0 || task->rcode != DNS_NOERROR) && !task->answer_due) {
		task->answer_due =
			world_timer_start(task->door->broker->world, 0, on_answer_due, task);
	}
}

static void on_claim(void *arg, const struct claim *claim)
{
	struct task_part *part = arg;
	struct task *task = part->task;

	switch (claim->state) {
	case CLAIM_WATCHING:
	case CLAIM_VISIBLE:
		break;
	case CLAIM_FAILED:
		task->rcode = claim->rule != POLICY_GRANTED || claim->err->code == ERR_LIMIT
				      ? DNS_REFUSED
				      : DNS_SERVFAIL;
		break;
	case CLAIM_LEAVING:
		task->rcode = DNS_SERVFAIL;
		break;
	default:
		return;
	}
	claim_unwatch(part->claim, &part->watcher);
	part->claim = NULL;
	task->left--;
	look(task);
}

static void audit_removed(struct dns_door *door, const struct identity *who,
			  const struct dns_request_rr *rr)
{
	audit_write(door->broker, &(struct audit){ .door = "update",
						   .action = "remove",
						   .who = who,
						   .owner = rr->owner,
						   .value = rr->txt,
						   .verdict = "granted" });
}

/* Deletes of an owner that gets a value by the same message are a part of that add. */
static bool is_added_too(const struct dns_request *request, const char *owner)
{
	for (size_t i = 0; i < request->update_count; i++) {
		if (is_add(&request->update[i]) && strcmp(request->update[i].owner, owner) == 0) {
			return true;
		}
	}
	return false;
}

static void do_deletes(struct dns_door *door, const struct dns_request *request,
		       const struct identity *who)
{
	for (size_t i = 0; i < request->update_count; i++) {
		const struct dns_request_rr *rr = &request->update[i];
		char name[NAME_TEXT_MAX];

		if (is_add(rr) ||
		    (rr->class_ == DNS_CLASS_ANY && is_added_too(request, rr->owner))) {
			continue;
		}
		audit_removed(door, who, rr);
		/* A value is a digest of its own challenge; an alias may have led it elsewhere. */
		if (rr->class_ == DNS_CLASS_NONE) {
			claim_leave_matching(door->broker, who->grant->name, NULL, rr->txt);
			continue;
		}
		claim_leave_matching(door->broker, who->grant->name, rr->owner, NULL);
		if (policy_name_of(rr->owner, NULL, name)) {
			claim_leave_matching(door->broker, who->grant->name, name, NULL);
		}
	}
}

static struct task *task_new(struct dns_door *door, const struct dns_from *from,
			     const uint8_t *wire, struct dns_request *request)
{
	struct task *task = xcalloc(1, sizeof(*task));

	task->door = door;
	task->from = *from;
	task->request = request;
	task->parts = xcalloc(request->update_count + 1, sizeof(*task->parts));
	memcpy(task->head, wire, sizeof(task->head));
	task->next = door->tasks;
	if (task->next) {
		task->next->prev = task;
	}
	door->tasks = task;
	if (from->conn) {
		dns_conn_hold(from->conn);
	}
	return task;
}

static void open_claim(struct task *task, const struct dns_request_rr *rr, struct identity *who,
		       struct claim_group *group)
{
	struct task_part *part = &task->parts[task->count];
	enum policy_rule rule = POLICY_GRANTED;
	struct err err;

	*part = (struct task_part){ .task = task };
	part->claim = claim_open(task->door->broker,
				 &(struct claim_request){ .who = identity_hold(who),
							  .door = "update",
							  .owner = rr->owner,
							  .value = rr->txt,
							  .rule = &rule,
							  .group = group },
				 &err);
	if (!part->claim) {
		task->rcode =
			rule != POLICY_GRANTED || err.code == ERR_LIMIT || err.code == ERR_USAGE
				? DNS_REFUSED
				: DNS_SERVFAIL;
		return;
	}
	snprintf(part->id, sizeof(part->id), "%s", part->claim->id);
	part->watcher = (struct claim_watcher){ .changed = on_claim, .arg = part };
	claim_watch(part->claim, &part->watcher);
	task->count++;
	task->left++;
}

static void audit_refused(struct dns_door *door, const struct dns_request *request,
			  const struct identity *who, const struct refusal *why)
{
	const struct dns_request_rr *rr = why->rr                     ? why->rr
					  : request->update_count > 0 ? &request->update[0]
								      : NULL;

	metrics_count(door->broker, "update", OUTCOME_REFUSED);
	audit_write(door->broker,
		    &(struct audit){
			    .door = "update",
			    .action = rr && is_add(rr) ? "publish" : "remove",
			    .who = who,
			    .owner = rr ? rr->owner : NULL,
			    .value = rr ? rr->txt : NULL,
			    .verdict = "refused",
			    .reason = why->rule != POLICY_GRANTED ? policy_rule_name(why->rule)
								  : err_code_name(why->err.code),
			    .text = why->err.text,
		    });
}

/* Takes request. */
void dns_serve_update(struct dns_door *door, const struct dns_from *from, const uint8_t *wire,
		      struct dns_request *request)
{
	struct identity *who = NULL;
	struct claim_group *group;
	struct task *task;
	struct refusal why = { .rcode = DNS_REFUSED };

	if (identify_key(door->broker, request->tsig->key, &from->peer, &who, &why.err) !=
		    ERR_NONE ||
	    is_refused(door, request, who, &why)) {
		audit_refused(door, request, who, &why);
		dns_send_rcode(door, from, wire, request, why.rcode);
		identity_free(who);
		dns_request_free(request);
		return;
	}
	task = task_new(door, from, wire, request);
	group = claim_group_new(true);
	for (size_t i = 0; i < request->update_count && task->rcode == DNS_NOERROR; i++) {
		if (is_add(&request->update[i])) {
			open_claim(task, &request->update[i], who, group);
		}
	}
	if (task->rcode != DNS_NOERROR) {
		claim_group_fail(group);
	}
	claim_group_close(group);
	if (task->rcode == DNS_NOERROR) {
		do_deletes(door, request, who);
	}
	identity_free(who);
	look(task);
}

void dns_tasks_free(struct dns_door *door)
{
	while (door->tasks) {
		task_free(door->tasks);
	}
}
