/*
 * sweep: removes what dead processes and expired leases left in DNS, with the
 * provider settings that the journal kept for each row.
 */
#include "lane.h"

/* One zone through one provider. */
struct sweep_group {
	struct sweep *sweep;
	struct lane *lane;
	struct lane_job job;
};

struct sweep {
	struct publisher *publisher;
	struct journal_call *call;
	struct sweep_group *groups;
	size_t group_count;
	size_t left;
	size_t removed;
	struct err err; /* the first failure */
	struct world_timer *report;
	sweep_done *done;
	void *arg;
	struct sweep *next;
};

static void sweep_free(struct sweep *sweep)
{
	struct sweep **at = &sweep->publisher->sweeps;

	while (*at && *at != sweep) {
		at = &(*at)->next;
	}
	if (*at) {
		*at = sweep->next;
	}
	journal_call_cancel(sweep->call);
	world_timer_cancel(sweep->publisher->args.world, sweep->report);
	for (size_t i = 0; i < sweep->group_count; i++) {
		job_set_err(&sweep->groups[i].job, NULL);
	}
	free(sweep->groups);
	free(sweep);
}

static void on_report(void *arg)
{
	struct sweep *sweep = arg;
	sweep_done *done = sweep->done;
	void *done_arg = sweep->arg;
	struct err err = sweep->err;
	size_t removed = sweep->removed;

	sweep->report = NULL;
	sweep_free(sweep);
	if (done) {
		done(done_arg, err.code == ERR_NONE ? NULL : &err, removed);
	}
}

static void look(struct sweep *sweep)
{
	if (sweep->left == 0 && !sweep->report) {
		sweep->report =
			world_timer_start(sweep->publisher->args.world, 0, on_report, sweep);
	}
}

static void note_err(struct sweep *sweep, const struct err *err)
{
	if (sweep->err.code == ERR_NONE) {
		sweep->err = *err;
	}
}

static void on_swept(struct lane_job *job)
{
	struct sweep_group *group = job->arg;
	struct sweep *sweep = group->sweep;

	if (job->err) {
		note_err(sweep, job->err);
		job_set_err(job, NULL);
	}
	sweep->removed += job->removed;
	sweep->left--;
	look(sweep);
}

static void add_group(struct sweep *sweep, const struct journal_row *row)
{
	struct sweep_group *group = &sweep->groups[sweep->group_count];
	const struct provider_in_use *use;
	struct err err;

	if (provider_pool_get_conf(sweep->publisher->args.pool, row->provider, row->provider_conf,
				   &use, &err) != ERR_NONE) {
		err_subject(&err, "%s", row->owner);
		note_err(sweep, &err);
		return;
	}
	sweep->group_count++;
	group->sweep = sweep;
	group->lane = lane_get(sweep->publisher, row->zone, use);
	group->job = (struct lane_job){ .kind = JOB_SWEEP, .done = on_swept, .arg = group };
}

static bool same_group(const struct journal_row *a, const struct journal_row *b)
{
	return strcmp(a->zone, b->zone) == 0 && strcmp(a->provider_conf, b->provider_conf) == 0;
}

static void on_orphans(void *arg, const struct err *err, const struct journal_row *rows,
		       size_t count)
{
	struct sweep *sweep = arg;

	sweep->call = NULL;
	if (err) {
		note_err(sweep, err);
	}
	sweep->groups = xcalloc(count + 1, sizeof(*sweep->groups));
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || !same_group(&rows[i], &rows[i - 1])) {
			add_group(sweep, &rows[i]);
		}
	}
	sweep->left = sweep->group_count;
	for (size_t i = 0; i < sweep->group_count; i++) {
		lane_queue(sweep->groups[i].lane, &sweep->groups[i].job);
	}
	look(sweep);
}

void sweeps_free(struct sweep *sweeps)
{
	while (sweeps) {
		struct sweep *next = sweeps->next;

		sweep_free(sweeps);
		sweeps = next;
	}
}

struct sweep *sweep_start(struct publisher *publisher, sweep_done *done, void *arg)
{
	struct sweep *sweep = xcalloc(1, sizeof(*sweep));

	sweep->publisher = publisher;
	sweep->done = done;
	sweep->arg = arg;
	sweep->next = publisher->sweeps;
	publisher->sweeps = sweep;
	sweep->call = journal_orphans_start(publisher->args.journal, on_orphans, sweep);
	return sweep;
}

/* A removal that is on its way goes on; only nobody is told. */
void sweep_cancel(struct sweep *sweep)
{
	if (!sweep) {
		return;
	}
	if (sweep->left == 0) {
		sweep_free(sweep);
		return;
	}
	sweep->done = NULL;
}
