/*
 * probe: what an issuance does in DNS, with a random value and without a CA.
 *
 *   ROUTE -> PUBLISH -> WATCH -> RETRACT -> DONE; a failure goes to RETRACT.
 */
#include "dns01/issue.h"

#include "pipeline.h"

#define EXIT_MAX_US ((int64_t)10 * 1000000)
#define PROBE_VALUE_LEN 43 /* as a real one: base64url of 32 octets */

struct probe {
	struct probe_args args;
	enum issue_step step;
	int64_t started_us;
	char name[NAME_TEXT_MAX];
	char value[PROBE_VALUE_LEN + 1];
	struct pipeline pipeline;
	struct route_call *routing;
	const struct route *route;
	struct publish *publish;
	struct watch *watch;
	struct world_timer *timer;
	struct world_timer *exit_timer;
	struct err err;
	bool over;
	struct issue_result result;
	issue_done *done;
	void *arg;
};

static void tell(struct probe *probe, const struct progress *progress)
{
	struct issue_event event = {
		.at_us = world_mono_us(probe->args.world) - probe->started_us,
		.step = probe->step,
		.progress = progress,
	};

	if (probe->args.event) {
		probe->args.event(probe->args.event_arg, &event);
	}
}

static void on_progress(void *arg, const struct progress *progress)
{
	tell(arg, progress);
}

static void set_step(struct probe *probe, enum issue_step step)
{
	log_debug("probe %s: %s -> %s", probe->name, issue_step_name(probe->step),
		  issue_step_name(step));
	probe->step = step;
	tell(probe, NULL);
}

static void on_finish(void *arg)
{
	struct probe *probe = arg;

	probe->timer = NULL;
	probe->done(probe->arg, probe->err.code == ERR_NONE ? NULL : &probe->err, &probe->result);
}

static void finish(struct probe *probe)
{
	struct world *world = probe->args.world;

	if (probe->over) {
		return;
	}
	probe->over = true;
	world_timer_cancel(world, probe->exit_timer);
	world_timer_cancel(world, probe->timer);
	probe->exit_timer = NULL;
	set_step(probe, ISSUE_DONE);
	probe->timer = world_timer_start(world, 0, on_finish, probe);
}

static void on_retracted(void *arg, const struct err *err)
{
	struct probe *probe = arg;

	probe->publish = NULL;
	if (err) {
		probe->result.retract_error = *err;
	}
	finish(probe);
}

static void retract(struct probe *probe)
{
	if (probe->step == ISSUE_RETRACT || probe->over) {
		return;
	}
	if (probe->watch) {
		pipeline_copy_timeline(probe->watch, &probe->result);
		watch_cancel(probe->watch);
		probe->watch = NULL;
	}
	set_step(probe, ISSUE_RETRACT);
	if (probe->publish) {
		publish_retract(probe->publish, on_retracted, probe);
	} else {
		finish(probe);
	}
}

static void fail(struct probe *probe, const struct err *err)
{
	if (probe->err.code == ERR_NONE) {
		probe->err = *err;
	}
	retract(probe);
}

static void on_watched(void *arg, const struct err *err)
{
	struct probe *probe = arg;
	struct err copy;

	if (err) {
		copy = *err;
		fail(probe, &copy);
	} else {
		retract(probe);
	}
}

static void on_published(void *arg, const struct err *err)
{
	struct probe *probe = arg;
	struct publish_item item = { .route = probe->route, .value = probe->value };

	if (err) {
		fail(probe, err);
		return;
	}
	set_step(probe, ISSUE_WATCH);
	probe->watch = watch_start(
		&(struct watch_args){
			.world = probe->args.world,
			.dns = probe->args.dns,
			.items = &item,
			.count = 1,
			.progress = on_progress,
			.progress_arg = probe,
		},
		on_watched, probe);
}

static void on_route(void *arg, const struct err *err, const struct route *route)
{
	struct probe *probe = arg;
	struct publish_item item = { .route = route, .value = probe->value };

	probe->routing = NULL;
	if (err) {
		fail(probe, err);
		return;
	}
	probe->route = route;
	set_step(probe, ISSUE_PUBLISH);
	probe->publish =
		publish_start(probe->pipeline.publisher,
			      &(struct publish_args){
				      .items = &item,
				      .count = 1,
				      .lease = { .kind = LEASE_PROCESS, .requester = "probe" },
			      },
			      on_published, probe);
}

static void on_start(void *arg)
{
	struct probe *probe = arg;
	struct err err;

	probe->timer = NULL;
	if (name_parse(probe->args.name, probe->name, &err) != ERR_NONE) {
		fail(probe, &err);
		return;
	}
	set_step(probe, ISSUE_ROUTE);
	probe->routing =
		route_start(probe->pipeline.router, probe->name, probe->args.view, on_route, probe);
}

struct probe *probe_start(const struct probe_args *args, issue_done *done, void *arg)
{
	struct probe *probe = xcalloc(1, sizeof(*probe));
	uint8_t draw[SHA256_LEN];

	probe->args = *args;
	probe->done = done;
	probe->arg = arg;
	probe->started_us = world_mono_us(args->world);
	world_random(args->world, draw, sizeof(draw));
	base64url_encode(probe->value, sizeof(probe->value), draw, sizeof(draw));
	pipeline_init(&probe->pipeline, &(struct pipeline_args){
						.world = args->world,
						.conf = args->conf,
						.dns = args->dns,
						.journal = args->journal,
						.progress = on_progress,
						.progress_arg = probe,
					});
	probe->timer = world_timer_start(args->world, 0, on_start, probe);
	return probe;
}

static void on_exit_late(void *arg)
{
	struct probe *probe = arg;

	probe->exit_timer = NULL;
	err_set(&probe->result.retract_error, ERR_TIMEOUT, probe->name,
		"the record could not be removed within 10 s; `dns01 sweep` removes it later");
	finish(probe);
}

void probe_stop(struct probe *probe)
{
	struct err err;

	if (probe->over || probe->exit_timer) {
		return;
	}
	probe->exit_timer = world_timer_start(probe->args.world, EXIT_MAX_US, on_exit_late, probe);
	route_cancel(probe->routing);
	probe->routing = NULL;
	err_set(&err, ERR_CANCELED, probe->name, "stopped by the operator");
	fail(probe, &err);
}

void probe_free(struct probe *probe)
{
	if (!probe) {
		return;
	}
	world_timer_cancel(probe->args.world, probe->timer);
	world_timer_cancel(probe->args.world, probe->exit_timer);
	route_cancel(probe->routing);
	watch_cancel(probe->watch);
	pipeline_clear(&probe->pipeline);
	issue_result_clear(&probe->result);
	free(probe);
}
