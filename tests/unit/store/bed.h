/*
 * The bed of the store's tests: a folder of their own, a world of clocks and
 * timers alone, and the journal's calls run to their end.
 */
#ifndef DNS01_TEST_STORE_BED_H
#define DNS01_TEST_STORE_BED_H

#include "dns01/store.h"

#include "cmocka_all.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- world ------------------------------------------------------------------------ */

struct world_timer {
	struct bed *bed;
	int64_t at_us;
	world_fire *fire;
	void *arg;
	struct world_timer *next;
};

struct bed {
	struct world world;
	int64_t mono_us, wall_us;
	uint64_t seed;
	struct world_timer *timers; /* earliest first */
	char state[64];
};

static inline struct bed *bed_of(struct world *world)
{
	return (struct bed *)world;
}

static inline int64_t bed_mono_us(struct world *world)
{
	return bed_of(world)->mono_us;
}

static inline int64_t bed_wall_us(struct world *world)
{
	return bed_of(world)->wall_us;
}

static inline void bed_random(struct world *world, void *out, size_t len)
{
	unsigned char *octets = out;

	for (size_t i = 0; i < len; i++) {
		bed_of(world)->seed =
			bed_of(world)->seed * 6364136223846793005u + 1442695040888963407u;
		octets[i] = (unsigned char)(bed_of(world)->seed >> 56);
	}
}

static inline struct world_timer *bed_timer_start(struct world *world, int64_t delay_us,
						  world_fire *fire, void *arg)
{
	struct world_timer *timer = xcalloc(1, sizeof(*timer));
	struct world_timer **at = &bed_of(world)->timers;

	*timer = (struct world_timer){ .bed = bed_of(world),
				       .at_us = bed_of(world)->mono_us + delay_us,
				       .fire = fire,
				       .arg = arg };
	while (*at && (*at)->at_us <= timer->at_us) {
		at = &(*at)->next;
	}
	timer->next = *at;
	*at = timer;
	return timer;
}

static inline void bed_timer_cancel(struct world_timer *timer)
{
	struct world_timer **at = &timer->bed->timers;

	while (*at != timer) {
		at = &(*at)->next;
	}
	*at = timer->next;
	free(timer);
}

/* False: nothing is waiting. */
static inline bool bed_turn(struct bed *bed)
{
	struct world_timer *timer = bed->timers;

	if (!timer) {
		return false;
	}
	bed->timers = timer->next;
	if (timer->at_us > bed->mono_us) {
		bed->wall_us += timer->at_us - bed->mono_us;
		bed->mono_us = timer->at_us;
	}
	timer->fire(timer->arg);
	free(timer);
	return true;
}

/* ---- folder ----------------------------------------------------------------------- */

#define BED_NOW_S INT64_C(1790000000)

static inline int bed_setup(void **state)
{
	static const struct world_ops ops = {
		.mono_us = bed_mono_us,
		.wall_us = bed_wall_us,
		.random = bed_random,
		.timer_start = bed_timer_start,
		.timer_cancel = bed_timer_cancel,
	};
	struct bed *bed = xcalloc(1, sizeof(*bed));

	bed->world.ops = &ops;
	bed->mono_us = 5000000;
	bed->wall_us = BED_NOW_S * 1000000;
	bed->seed = 42;
	(void)snprintf(bed->state, sizeof(bed->state), "/tmp/dns01-store-XXXXXX");
	assert_non_null(mkdtemp(bed->state));
	*state = bed;
	return 0;
}

static inline void bed_remove(const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
			continue;
		}
		if (unlinkat(dirfd(dir), entry->d_name, 0) != 0) {
			char *inner = path_join(path, entry->d_name);

			bed_remove(inner);
			free(inner);
		}
	}
	closedir(dir);
	assert_int_equal(rmdir(path), 0);
}

static inline int bed_teardown(void **state)
{
	struct bed *bed = *state;

	assert_null(bed->timers);
	bed_remove(bed->state);
	free(bed);
	return 0;
}

static inline char *bed_path(const struct bed *bed, const char *name)
{
	return path_join(bed->state, name);
}

static inline bool bed_has(const struct bed *bed, const char *name)
{
	char *path = bed_path(bed, name);
	struct stat st;
	bool has = lstat(path, &st) == 0;

	free(path);
	return has;
}

/* With the type's bits off. */
static inline mode_t bed_mode(const struct bed *bed, const char *name)
{
	char *path = bed_path(bed, name);
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	free(path);
	return st.st_mode & 07777;
}

/* Waits for a child that ends by itself, or is killed. */
static inline int bed_reap(pid_t child)
{
	int status = 0;

	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* ---- a small disk ----------------------------------------------------------------- */

static inline void bed_fill(const struct bed *bed)
{
	char *path = bed_path(bed, "ballast");
	char zeros[4096] = { 0 };
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	while (write(fd, zeros, sizeof(zeros)) > 0) {
	}
	close(fd);
	free(path);
}

/* Runs body in a child whose state folder is a file system of 512 KiB. */
static inline void bed_on_small_disk(struct bed *bed, void (*body)(struct bed *bed))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (unshare(CLONE_NEWNS) != 0 ||
		    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		    mount("none", bed->state, "tmpfs", 0, "size=512k") != 0) {
			_exit(77);
		}
		body(bed); /* an assertion that fails does not come back */
		_exit(0);
	}
	status = bed_reap(child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("# skipped: a file system of its own needs root\n");
		skip();
	}
	assert_int_equal(status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bed_setup, bed_teardown)

/* ---- journal ---------------------------------------------------------------------- */

#define ROWS_MAX 16

/* What a call answered; strings are kept in rows. */
struct answer {
	size_t done;
	struct err err;
	struct journal_row wanted[ROWS_MAX];
	size_t wanted_count;
	struct journal_row rows[ROWS_MAX]; /* listed, or to be retracted */
	size_t count;
};

static inline void answer_take(struct journal_row *to, const struct journal_row *from, size_t count)
{
	assert_true(count <= ROWS_MAX);
	for (size_t i = 0; i < count; i++) {
		to[i] = from[i];
		to[i].owner = xstrdup(from[i].owner);
		to[i].value = xstrdup(from[i].value);
		to[i].zone = xstrdup(from[i].zone);
		to[i].view = xstrdup(from[i].view);
		to[i].provider = xstrdup(from[i].provider);
		to[i].provider_conf = xstrdup(from[i].provider_conf);
		to[i].requester = xstrdup(from[i].requester);
		to[i].asked = xstrdup(from[i].asked);
	}
}

static inline void answer_drop(struct journal_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(rows[i].owner);
		free(rows[i].value);
		free(rows[i].zone);
		free(rows[i].view);
		free(rows[i].provider);
		free(rows[i].provider_conf);
		free(rows[i].requester);
		free(rows[i].asked);
	}
}

static inline void answer_clear(struct answer *answer)
{
	answer_drop(answer->wanted, answer->wanted_count);
	answer_drop(answer->rows, answer->count);
	*answer = (struct answer){ 0 };
}

static inline void on_planned(void *arg, const struct err *err,
			      const struct journal_planned *planned)
{
	struct answer *answer = arg;

	answer->done++;
	if (err) {
		answer->err = *err;
		assert_null(planned);
		return;
	}
	answer->wanted_count = planned->wanted_count;
	answer_take(answer->wanted, planned->wanted, planned->wanted_count);
	answer->count = planned->retract_count;
	answer_take(answer->rows, planned->retract, planned->retract_count);
}

static inline void on_listed(void *arg, const struct err *err, const struct journal_row *rows,
			     size_t count)
{
	struct answer *answer = arg;

	answer->done++;
	if (err) {
		answer->err = *err;
		return;
	}
	answer->count = count;
	answer_take(answer->rows, rows, count);
}

static inline void answer_wait(struct bed *bed, struct answer *answer)
{
	assert_int_equal(answer->done, 0);
	while (answer->done == 0) {
		assert_true(bed_turn(bed));
	}
	assert_int_equal(answer->done, 1);
}

static inline struct journal *journal_of(struct bed *bed)
{
	struct journal *journal = NULL;
	struct err err = { 0 };

	if (journal_open(&bed->world, bed->state, &journal, &err) != ERR_NONE) {
		fail_msg("%s: %s", err.subject, err.text);
	}
	return journal;
}

#define PROCESS_LEASE                                                   \
	{                                                               \
		.kind = LEASE_PROCESS, .requester = "issue example.com" \
	}
#define TIMED_LEASE(seconds)                                                              \
	{                                                                                 \
		.kind = LEASE_TIMED, .duration_s = (seconds), .requester = "hook certbot" \
	}

static inline struct journal_want want_of(const char *value, struct lease_spec lease)
{
	return (struct journal_want){ .owner = "_acme-challenge.example.com",
				      .value = value,
				      .view = "public",
				      .ttl_s = 60,
				      .lease = lease };
}

static inline struct journal_plan plan_of(const struct journal_want *wants, size_t count)
{
	return (struct journal_plan){ .zone = "example.com",
				      .provider = "primary",
				      .provider_conf = "{\"type\":\"rfc2136\"}",
				      .wants = wants,
				      .want_count = count };
}

/* Runs it to its end; the answer is to be cleared. */
static inline struct answer plan_run_now(struct bed *bed, struct journal *journal,
					 const struct journal_plan *plan)
{
	struct answer answer = { 0 };

	assert_non_null(journal_plan_start(journal, plan, on_planned, &answer));
	answer_wait(bed, &answer);
	return answer;
}

/* A lease as a plan gave it: to want. */
static inline struct journal_let_go held_by(const struct journal_row *row,
					    const struct journal_want *want)
{
	return (struct journal_let_go){ row->lease_id, row->ref.row_id, want->owner, want->value };
}

/* One value wanted; its row, and the lease. */
static inline struct journal_ref want_now(struct bed *bed, struct journal *journal,
					  struct journal_want want, struct journal_let_go *held)
{
	struct journal_plan plan = plan_of(&want, 1);
	struct answer answer = plan_run_now(bed, journal, &plan);
	struct journal_ref ref;

	assert_int_equal(answer.err.code, ERR_NONE);
	assert_int_equal(answer.wanted_count, 1);
	ref = answer.wanted[0].ref;
	if (held) {
		*held = held_by(&answer.wanted[0], &want);
	}
	answer_clear(&answer);
	return ref;
}

#define NO_LEASE ((struct journal_let_go){ 0 })

/* A plan that wants nothing. */
static inline struct answer let_go_now(struct bed *bed, struct journal *journal,
				       struct journal_let_go held)
{
	struct journal_plan plan = plan_of(NULL, 0);

	plan.let_go = &held;
	plan.let_go_count = held.lease_id ? 1 : 0;
	return plan_run_now(bed, journal, &plan);
}

static inline void settle(struct journal *journal, struct journal_ref ref,
			  enum journal_outcome outcome)
{
	journal_settle(journal, &(struct journal_result){ ref, outcome }, 1);
}

static inline struct answer list_now(struct bed *bed, struct journal *journal, const char *owner,
				     const char *value)
{
	struct answer answer = { 0 };

	assert_non_null(
		journal_list_start(journal,
				   &(struct journal_match){ .owner = owner, .value = value },
				   on_listed, &answer));
	answer_wait(bed, &answer);
	return answer;
}

static inline struct answer orphans_now(struct bed *bed, struct journal *journal)
{
	struct answer answer = { 0 };

	assert_non_null(journal_orphans_start(journal, on_listed, &answer));
	answer_wait(bed, &answer);
	return answer;
}

/* How many rows there are; *state (may be NULL) of the first. */
/* Of want_of("one", ...) and plan_of(). */
static inline void expect_row(const struct journal_row *row, enum journal_state state)
{
	assert_int_equal(row->state, state);
	assert_string_equal(row->owner, "_acme-challenge.example.com");
	assert_string_equal(row->value, "one");
	assert_string_equal(row->zone, "example.com");
	assert_string_equal(row->view, "public");
	assert_string_equal(row->provider, "primary");
	assert_string_equal(row->provider_conf, "{\"type\":\"rfc2136\"}");
	assert_int_equal(row->ttl_s, 60);
	assert_int_equal(row->created_at, BED_NOW_S);
}

static inline size_t row_count(struct bed *bed, struct journal *journal, enum journal_state *state)
{
	struct answer answer = list_now(bed, journal, NULL, NULL);
	size_t count = answer.count;

	assert_int_equal(answer.err.code, ERR_NONE);
	if (state && count > 0) {
		*state = answer.rows[0].state;
	}
	answer_clear(&answer);
	return count;
}

#endif
