/*
 * lane: the group commit of one zone through one provider.
 *
 *   IDLE -> LOCKING (the zone's lock, tried from a timer) -> PLANNING (one synced
 *     \      ^   transaction: the intent) -> APPLYING (the provider, in slices) -> IDLE
 *      LINGERING (there are only values to let go, which nobody waits for), or
 *      GATHERING (some of the few who were just answered have not come back yet)
 *
 * A batch costs as much for one value as for ten. When few are on their way, each answer is
 * followed by the next request of whoever got it: the first of them would go alone, and the
 * others wait for it. So it waits for them, for a part of the time that a batch takes.
 *
 * What is removed goes before what is added, so that an RRset near its limit has room. Rows
 * that a dead process left ride along in every batch.
 */
#include "lane.h"

#define LOCK_WAIT_MAX_US ((int64_t)120 * 1000000)

#define FEW 16 /* of more, enough are there by the time that one is answered */
#define GATHER_MAX_US 2000

enum lane_state {
	LANE_IDLE,
	LANE_LINGERING,
	LANE_GATHERING, /* up to here a batch may begin */
	LANE_LOCKING,
	LANE_PLANNING,
	LANE_APPLYING
};

static const char *const lane_state_names[] = {
	[LANE_IDLE] = "idle",       [LANE_LINGERING] = "lingering", [LANE_GATHERING] = "gathering",
	[LANE_LOCKING] = "locking", [LANE_PLANNING] = "planning",   [LANE_APPLYING] = "applying",
};

/* One record to change, with the row it stands for. */
struct lane_change {
	struct journal_ref ref;
	struct lane_job *jobs; /* that want it; NULL: it is to be removed */
	char *owner;           /* of what is removed; else the job's are used */
	char *value;
};

struct lane {
	struct publisher *publisher;
	char *zone;
	const struct provider_in_use *use;
	struct addr server; /* that the provider asks; len 0: none is known */
	enum lane_state state;
	struct lane_job *queue, *queue_last; /* waits for the next batch */
	size_t urgent;                       /* of the queue: those that do not linger */
	struct lane_job *batch;              /* under way */
	size_t batch_urgent;                 /* of it */
	int64_t batch_since_us;
	size_t expected; /* were just answered, or waited then */
	int64_t gather_until_us;
	struct world_timer *timer;
	struct lock *lock;
	int64_t locking_since_us;
	struct journal_call *call;
	void *operation; /* the provider's */
	struct lane_change *changes;
	struct provider_change *batch_changes; /* beside changes, one to one */
	bool *batch_shown;                     /* likewise */
	size_t change_count;
	size_t applied; /* changes that were answered */
	struct provider_batch slice;
	size_t removed;
	struct err retract_err; /* of the first removal that failed */
	struct lane *next;
};

static void lane_kick(struct lane *lane);

static void set_state(struct lane *lane, enum lane_state state)
{
	log_debug("zone %s by %s: %s -> %s", lane->zone, lane->use->name,
		  lane_state_names[lane->state], lane_state_names[state]);
	lane->state = state;
}

static struct world *world_of(const struct lane *lane)
{
	return lane->publisher->args.world;
}

void job_set_err(struct lane_job *job, const struct err *err)
{
	free(job->err);
	job->err = err_box(err);
}

/* ---- the end of a batch ---------------------------------------------------- */

static void changes_clear(struct lane *lane)
{
	for (size_t i = 0; i < lane->change_count; i++) {
		free(lane->changes[i].owner);
		free(lane->changes[i].value);
	}
	free(lane->changes);
	free(lane->batch_changes);
	free(lane->batch_shown);
	lane->changes = NULL;
	lane->batch_changes = NULL;
	lane->batch_shown = NULL;
	lane->change_count = 0;
	lane->applied = 0;
}

/* Whoever is answered now may come again at once, and go with those who wait already. */
static void expect_again(struct lane *lane)
{
	size_t all = lane->batch_urgent + lane->urgent;
	int64_t now_us = world_mono_us(world_of(lane));
	int64_t part_us = (now_us - lane->batch_since_us) / 2;

	lane->expected = all <= FEW ? all : 0;
	lane->gather_until_us = now_us + (part_us < GATHER_MAX_US ? part_us : GATHER_MAX_US);
}

/* err: of the whole batch; NULL when each job has its own already. */
static void batch_end(struct lane *lane, const struct err *err)
{
	struct lane_job *batch = lane->batch;

	lock_release(lane->lock);
	lane->lock = NULL;
	lane->batch = NULL;
	changes_clear(lane);
	set_state(lane, LANE_IDLE);
	expect_again(lane);
	while (batch) {
		struct lane_job *job = batch;

		batch = job->next;
		job->next = NULL;
		if (err) {
			job_set_err(job, err);
		}
		job->removed = lane->removed;
		job->done(job);
	}
	lane_kick(lane);
}

static void jobs_result(struct lane *lane, size_t index, const struct err *result)
{
	bool shown = lane->batch_shown[index] && lane->server.len > 0;

	for (struct lane_job *job = lane->changes[index].jobs; job; job = job->twin) {
		job_set_err(job, result);
		job->shown_at = shown ? &lane->server : NULL;
	}
}

static void report(struct lane *lane, const struct provider_change *change)
{
	const struct publisher_args *args = &lane->publisher->args;
	struct progress progress = {
		.kind = change->publish ? PROGRESS_PUBLISHED : PROGRESS_RETRACTED,
		.owner = change->owner,
		.zone = lane->zone,
		.value = change->value,
		.text = lane->use->name,
	};

	if (args->progress) {
		args->progress(args->progress_arg, &progress);
	}
}

static void report_batch(struct lane *lane)
{
	const struct publisher_args *args = &lane->publisher->args;
	struct progress progress = {
		.kind = PROGRESS_BATCH,
		.zone = lane->zone,
		.text = lane->use->name,
		.count = lane->slice.count,
	};

	if (args->progress) {
		args->progress(args->progress_arg, &progress);
	}
}

static bool surely_not_done(const struct err *result)
{
	return result->code == ERR_DENIED || result->code == ERR_CONFIG ||
	       result->code == ERR_USAGE;
}

static void take_result(struct lane *lane, size_t index, const struct err *result)
{
	const struct provider_change *change = &lane->batch_changes[index];
	struct journal_result settled = { .ref = lane->changes[index].ref };

	if (change->publish) {
		jobs_result(lane, index, result);
	}
	if (result->code == ERR_NONE) {
		settled.outcome = change->publish ? JOURNAL_PUT : JOURNAL_GONE;
		lane->removed += change->publish ? 0 : 1;
		report(lane, change);
	} else if (change->publish && surely_not_done(result)) {
		settled.outcome = JOURNAL_REFUSED;
	} else {
		if (!change->publish && lane->retract_err.code == ERR_NONE) {
			lane->retract_err = *result;
		}
		return;
	}
	journal_settle(lane->publisher->args.journal, &settled, 1);
}

/* ---- apply ----------------------------------------------------------------- */

static void apply_slice(struct lane *lane);

static void on_applied(void *arg, const struct err *results, size_t count)
{
	struct lane *lane = arg;

	lane->operation = NULL;
	for (size_t i = 0; i < count; i++) {
		take_result(lane, lane->applied + i, &results[i]);
	}
	lane->applied += count;
	apply_slice(lane);
}

/* Jobs that let go share the fate of the batch's removals. */
static void removals_end(struct lane *lane)
{
	for (struct lane_job *job = lane->batch; job; job = job->next) {
		if (job->kind != JOB_WANT) {
			job_set_err(job, &lane->retract_err);
		}
	}
}

static void apply_slice(struct lane *lane)
{
	size_t max = lane->use->provider->batch_max;
	size_t left = lane->change_count - lane->applied;

	if (left == 0) {
		removals_end(lane);
		batch_end(lane, NULL);
		return;
	}
	lane->slice = (struct provider_batch){
		.zone = lane->zone,
		.changes = lane->batch_changes + lane->applied,
		.count = max > 0 && left > max ? max : left,
		.shown = lane->batch_shown + lane->applied,
	};
	report_batch(lane);
	lane->operation = lane->use->provider->apply_start(lane->use->instance, &lane->slice,
							   on_applied, lane);
}

/* ---- plan ------------------------------------------------------------------ */

static void add_publish(struct lane *lane, const struct journal_row *row, struct lane_job *job)
{
	lane->changes[lane->change_count] = (struct lane_change){ .ref = row->ref, .jobs = job };
	lane->batch_changes[lane->change_count++] = (struct provider_change){
		.publish = true,
		.owner = job->owner,
		.value = job->value,
		.ttl_s = job->ttl_s,
	};
}

static void add_retract(struct lane *lane, const struct journal_row *row)
{
	struct lane_change *change = &lane->changes[lane->change_count];

	*change = (struct lane_change){ .ref = row->ref,
					.owner = xstrdup(row->owner),
					.value = xstrdup(row->value) };
	lane->batch_changes[lane->change_count++] = (struct provider_change){
		.owner = change->owner,
		.value = change->value,
	};
}

/* What a plan wants, and who of the batch does. */
struct wanted {
	const struct journal_row *row;
	struct lane_job *job;
	size_t place; /* in the batch */
};

static int by_row(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	if (x->row->ref.row_id != y->row->ref.row_id) {
		return x->row->ref.row_id < y->row->ref.row_id ? -1 : 1;
	}
	return (x->place > y->place) - (x->place < y->place);
}

static int by_place(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	return (x->place > y->place) - (x->place < y->place);
}

/* Two requesters, one record: the first of them has the change, and the others for twins. */
static size_t join_twins(struct wanted *wanted, size_t count)
{
	size_t kept = 0;

	qsort(wanted, count, sizeof(*wanted), by_row);
	for (size_t i = 0; i < count; i++) {
		if (kept > 0 && wanted[kept - 1].row->ref.row_id == wanted[i].row->ref.row_id) {
			wanted[i].job->twin = wanted[kept - 1].job->twin;
			wanted[kept - 1].job->twin = wanted[i].job;
		} else {
			wanted[kept++] = wanted[i];
		}
	}
	qsort(wanted, kept, sizeof(*wanted), by_place);
	return kept;
}

static void take_plan(struct lane *lane, const struct journal_planned *planned)
{
	size_t room = planned->wanted_count + planned->retract_count + 1;
	struct wanted *wanted = xcalloc(room, sizeof(*wanted));
	size_t next = 0, count = 0;

	lane->changes = xcalloc(room, sizeof(*lane->changes));
	lane->batch_changes = xcalloc(room, sizeof(*lane->batch_changes));
	lane->batch_shown = xcalloc(room, sizeof(*lane->batch_shown));
	for (size_t i = 0; i < planned->retract_count; i++) {
		add_retract(lane, &planned->retract[i]);
	}
	for (struct lane_job *job = lane->batch; job; job = job->next) {
		const struct journal_row *row;

		if (job->kind != JOB_WANT || next >= planned->wanted_count) {
			continue;
		}
		row = &planned->wanted[next++];
		job->lease_id = row->lease_id;
		job->row_id = row->ref.row_id;
		job->twin = NULL;
		if (row->state != JOURNAL_APPLIED && !job->defer) {
			wanted[count] = (struct wanted){ row, job, count };
			count++;
		}
	}
	count = join_twins(wanted, count);
	for (size_t i = 0; i < count; i++) {
		add_publish(lane, wanted[i].row, wanted[i].job);
	}
	free(wanted);
}

static void on_planned(void *arg, const struct err *err, const struct journal_planned *planned)
{
	struct lane *lane = arg;

	lane->call = NULL;
	if (err) {
		struct err copy = *err;

		batch_end(lane, &copy);
		return;
	}
	take_plan(lane, planned);
	set_state(lane, LANE_APPLYING);
	apply_slice(lane);
}

static bool is_urgent(const struct lane *lane, const struct lane_job *job)
{
	return job->kind != JOB_LET_GO || lane->publisher->args.linger_ms == 0;
}

static size_t queue_len(const struct lane *lane)
{
	size_t len = 0;

	for (const struct lane_job *job = lane->queue; job; job = job->next) {
		len++;
	}
	return len;
}

static void plan(struct lane *lane)
{
	size_t room = queue_len(lane) + 1;
	struct journal_want *wants = xcalloc(room, sizeof(*wants));
	struct journal_let_go *let_go = xcalloc(room, sizeof(*let_go));
	struct journal_plan planned = {
		.zone = lane->zone,
		.provider = lane->use->name,
		.provider_conf = lane->use->conf,
		.wants = wants,
		.let_go = let_go,
	};
	struct lane_job **end = &lane->batch;

	set_state(lane, LANE_PLANNING);
	lane->batch_since_us = world_mono_us(world_of(lane));
	lane->batch_urgent = 0;
	while (lane->queue && planned.want_count < JOURNAL_PLAN_MAX &&
	       planned.let_go_count < JOURNAL_PLAN_MAX) {
		struct lane_job *job = lane->queue;

		lane->queue = job->next;
		lane->queue_last = lane->queue ? lane->queue_last : NULL;
		lane->urgent -= is_urgent(lane, job);
		lane->batch_urgent += is_urgent(lane, job);
		job->next = NULL;
		*end = job;
		end = &job->next;
		if (job->kind == JOB_WANT) {
			wants[planned.want_count++] = (struct journal_want){
				.owner = job->owner,
				.value = job->value,
				.view = job->view,
				.ttl_s = job->ttl_s,
				.asked = job->asked,
				.lease = *job->lease,
			};
		} else if (job->kind == JOB_LET_GO && job->lease_id != 0) {
			let_go[planned.let_go_count++] =
				(struct journal_let_go){ job->lease_id, job->row_id, job->owner,
							 job->value };
		}
	}
	lane->removed = 0;
	err_clear(&lane->retract_err);
	lane->call = journal_plan_start(lane->publisher->args.journal, &planned, on_planned, lane);
	free(wants);
	free(let_go);
}

/* ---- lock ------------------------------------------------------------------ */

static void on_lock_timer(void *arg)
{
	struct lane *lane = arg;
	struct err err;
	enum err_code code;
	char *key = xasprintf("%s\n%s", lane->zone, lane->use->conf);

	lane->timer = NULL;
	code = lock_try_zone(lane->publisher->args.state, key, &lane->lock, &err);
	free(key);
	if (code == ERR_NONE) {
		plan(lane);
		return;
	}
	if (code == ERR_BUSY &&
	    world_mono_us(world_of(lane)) - lane->locking_since_us < LOCK_WAIT_MAX_US) {
		int64_t jitter = (int64_t)world_random_below(world_of(lane), LOCK_RETRY_US);

		lane->timer = world_timer_start(world_of(lane), LOCK_RETRY_US / 2 + jitter,
						on_lock_timer, lane);
		return;
	}
	lane->batch = lane->queue;
	lane->batch_urgent = 0;
	lane->queue = lane->queue_last = NULL;
	lane->urgent = 0;
	batch_end(lane, &err);
}

static void begin(struct lane *lane)
{
	set_state(lane, LANE_LOCKING);
	lane->locking_since_us = world_mono_us(world_of(lane));
	lane->timer = world_timer_start(world_of(lane), 0, on_lock_timer, lane);
}

static void on_waited(void *arg)
{
	struct lane *lane = arg;

	lane->timer = NULL;
	begin(lane);
}

static void wait_first(struct lane *lane, enum lane_state state, int64_t wait_us)
{
	if (lane->state != state) {
		world_timer_cancel(world_of(lane), lane->timer);
		set_state(lane, state);
		lane->timer = world_timer_start(world_of(lane), wait_us, on_waited, lane);
	}
}

static void lane_kick(struct lane *lane)
{
	int64_t gather_us;

	if (lane->state > LANE_GATHERING || !lane->queue) {
		return;
	}
	gather_us = lane->gather_until_us - world_mono_us(world_of(lane));
	if (lane->urgent > 0 && lane->urgent < lane->expected && gather_us > 0) {
		wait_first(lane, LANE_GATHERING, gather_us);
	} else if (lane->urgent > 0) {
		world_timer_cancel(world_of(lane), lane->timer);
		lane->timer = NULL;
		begin(lane);
	} else if (lane->state == LANE_IDLE) {
		wait_first(lane, LANE_LINGERING, lane->publisher->args.linger_ms * 1000);
	}
}

/* ---- lanes ----------------------------------------------------------------- */

static void find_server(struct lane *lane)
{
	const struct provider *provider = lane->use->provider;
	struct dns_source source;

	if (provider->authority && provider->authority(lane->use->instance, &source)) {
		lane->server = source.resolver[0];
		free(source.resolver);
	}
}

struct lane *lane_get(struct publisher *publisher, const char *zone,
		      const struct provider_in_use *use)
{
	struct lane *lane;

	for (lane = publisher->lanes; lane; lane = lane->next) {
		if (lane->use == use && strcmp(lane->zone, zone) == 0) {
			return lane;
		}
	}
	lane = xcalloc(1, sizeof(*lane));
	lane->publisher = publisher;
	lane->zone = xstrdup(zone);
	lane->use = use;
	find_server(lane);
	lane->next = publisher->lanes;
	publisher->lanes = lane;
	return lane;
}

void lane_queue(struct lane *lane, struct lane_job *job)
{
	job->next = NULL;
	if (lane->queue_last) {
		lane->queue_last->next = job;
	} else {
		lane->queue = job;
	}
	lane->queue_last = job;
	lane->urgent += is_urgent(lane, job);
	job_set_err(job, NULL);
	lane_kick(lane);
}

bool lane_drop(struct lane *lane, struct lane_job *job)
{
	struct lane_job *before = NULL;

	for (struct lane_job **at = &lane->queue; *at; at = &(*at)->next) {
		if (*at == job) {
			*at = job->next;
			lane->queue_last = lane->queue_last == job ? before : lane->queue_last;
			lane->urgent -= is_urgent(lane, job);
			job->next = NULL;
			return true;
		}
		before = *at;
	}
	return false;
}

void lanes_free(struct lane *lanes)
{
	while (lanes) {
		struct lane *next = lanes->next;

		world_timer_cancel(world_of(lanes), lanes->timer);
		journal_call_cancel(lanes->call);
		lanes->use->provider->apply_cancel(lanes->operation);
		lock_release(lanes->lock);
		changes_clear(lanes);
		free(lanes->zone);
		free(lanes);
		lanes = next;
	}
}
