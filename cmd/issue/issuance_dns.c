/* The steps of an issuance that happen in DNS: route, publish, watch, retract. */
#include "issuance_internal.h"

#define SWEEP_MAX_US ((int64_t)2 * 1000000)      /* that others' leftovers may take at the end */
#define AUTHZ_RESERVE_US ((int64_t)30 * 1000000) /* of an authorization's life, for the CA */

bool authz_is_open(const struct acme_authz *authz)
{
	return authz->status == ACME_PENDING;
}

/* ---- route ----------------------------------------------------------------- */

static struct issuance_route *route_of(struct issuance *issuance, const char *name)
{
	for (size_t i = 0; i < issuance->route_count; i++) {
		if (strcmp(issuance->routes[i].name, name_base(name)) == 0) {
			return &issuance->routes[i];
		}
	}
	return NULL;
}

static void on_route(void *arg, const struct err *err, const struct route *route)
{
	struct issuance_route *wanted = arg;
	struct issuance *issuance = wanted->issuance;

	wanted->call = NULL;
	wanted->route = route;
	if (err) {
		wanted->err = *err;
	}
	if (issuance->step == ISSUE_ROUTE && issuance->err.code == ERR_NONE) {
		step_route(issuance);
	}
}

void routes_begin(struct issuance *issuance)
{
	if (issuance->routes) {
		return;
	}
	issuance->routes = xcalloc(issuance->names.count + 1, sizeof(*issuance->routes));
	for (size_t i = 0; i < issuance->names.count; i++) {
		const char *name = name_base(issuance->names.item[i]);
		struct issuance_route *wanted;

		if (route_of(issuance, name)) {
			continue;
		}
		wanted = &issuance->routes[issuance->route_count++];
		*wanted = (struct issuance_route){ .issuance = issuance, .name = xstrdup(name) };
		wanted->call = route_start(issuance->pipeline.router, name,
					   issuance->conf_account->view, on_route, wanted);
	}
}

void routes_forget(struct issuance *issuance)
{
	for (size_t i = 0; i < issuance->route_count; i++) {
		route_cancel(issuance->routes[i].call);
		free(issuance->routes[i].name);
	}
	free(issuance->routes);
	issuance->routes = NULL;
	issuance->route_count = 0;
}

void step_route(struct issuance *issuance)
{
	const struct acme_order *order = issuance->order;

	for (size_t i = 0; i < order->authz_count; i++) {
		struct issuance_route *wanted = route_of(issuance, order->authz[i].name);

		if (!authz_is_open(&order->authz[i]) || !wanted) {
			continue;
		}
		if (wanted->err.code != ERR_NONE) {
			issuance_fail(issuance, &wanted->err);
			return;
		}
		if (!wanted->route) {
			return; /* on_route comes back here */
		}
	}
	issuance_enter(issuance, ISSUE_PUBLISH, NULL);
}

/* ---- publish --------------------------------------------------------------- */

static size_t collect_items(struct issuance *issuance, struct publish_item **out)
{
	const struct acme_order *order = issuance->order;
	size_t count = 0;

	*out = xcalloc(order->authz_count + 1, sizeof(**out));
	for (size_t i = 0; i < order->authz_count; i++) {
		if (authz_is_open(&order->authz[i])) {
			(*out)[count++] = (struct publish_item){
				.route = route_of(issuance, order->authz[i].name)->route,
				.value = order->authz[i].value,
			};
		}
	}
	return count;
}

static void on_published(void *arg, const struct err *err)
{
	struct issuance *issuance = arg;

	if (err) {
		issuance_fail(issuance, err);
		return;
	}
	issuance_enter(issuance, ISSUE_WATCH, NULL);
}

void step_publish(struct issuance *issuance)
{
	struct publish_item *items;
	size_t count = collect_items(issuance, &items);
	char *requester = xasprintf("issue %s", issuance->args.lineage);

	issuance->publish =
		publish_start(issuance->pipeline.publisher,
			      &(struct publish_args){
				      .items = items,
				      .count = count,
				      .lease = { .kind = LEASE_PROCESS, .requester = requester },
			      },
			      on_published, issuance);
	free(requester);
	free(items);
}

/* ---- sweep ----------------------------------------------------------------- */

static void on_swept(void *arg, const struct err *err, size_t removed)
{
	struct issuance *issuance = arg;

	issuance->sweep = NULL;
	if (err) {
		log_warn("records of an earlier run are still there: %s: %s", err->subject,
			 err->text);
	} else if (removed > 0) {
		log_info("%zu records of earlier runs were removed", removed);
	}
	if (issuance->step == ISSUE_RETRACT) {
		step_retract(issuance);
	}
}

/* What an earlier run left, wherever: once, and beside something that takes time anyway. */
static void sweep_begin(struct issuance *issuance)
{
	if (!issuance->swept && !issuance->stopping) {
		issuance->swept = true;
		issuance->sweep = sweep_start(issuance->pipeline.publisher, on_swept, issuance);
	}
}

/* ---- watch ----------------------------------------------------------------- */

static void on_watched(void *arg, const struct err *err)
{
	struct issuance *issuance = arg;
	struct err copy;

	if (err) {
		copy = *err;
		issuance_fail(issuance, &copy);
		return;
	}
	pipeline_copy_timeline(issuance->watch, &issuance->result);
	issuance_enter(issuance, ISSUE_RESPOND, NULL);
}

/* Monotonic time at which the first open authorization is too old to wait for. */
static int64_t authz_deadline(const struct issuance *issuance)
{
	const struct acme_order *order = issuance->order;
	int64_t wall_us = world_wall_us(issuance->args.world);
	int64_t deadline = 0;

	for (size_t i = 0; i < order->authz_count; i++) {
		int64_t left_us = order->authz[i].expires_at * 1000000 - wall_us - AUTHZ_RESERVE_US;
		int64_t at = world_mono_us(issuance->args.world) + left_us;

		if (authz_is_open(&order->authz[i]) && left_us > 0 &&
		    (deadline == 0 || at < deadline)) {
			deadline = at;
		}
	}
	return deadline;
}

void step_watch(struct issuance *issuance)
{
	struct publish_item *items;
	size_t count = collect_items(issuance, &items);
	struct err err;
	enum err_code code;

	issuance->watch = watch_start(
		&(struct watch_args){
			.world = issuance->args.world,
			.dns = issuance->args.dns,
			.items = items,
			.count = count,
			.deadline_us = authz_deadline(issuance),
			.progress = issuance_progress,
			.progress_arg = issuance,
		},
		on_watched, issuance);
	free(items);
	/* While the servers are waited for: what an earlier run left elsewhere, and the key. */
	sweep_begin(issuance);
	code = pending_save(issuance, &err);
	if (code != ERR_NONE && code != ERR_BUSY) {
		issuance_fail(issuance, &err);
	}
}

/* ---- retract --------------------------------------------------------------- */

static void on_retracted(void *arg, const struct err *err)
{
	struct issuance *issuance = arg;

	issuance->publish = NULL;
	issuance->retracted = true;
	if (err) {
		issuance->result.retract_error = *err;
	}
	if (issuance->step == ISSUE_RETRACT) {
		step_retract(issuance);
	}
}

void retract_begin(struct issuance *issuance)
{
	sweep_begin(issuance); /* an order that is resumed late, or that failed, watches nothing */
	if (issuance->publish && !issuance->retracting) {
		issuance->retracting = true;
		publish_retract(issuance->publish, on_retracted, issuance);
	}
}

static void on_sweep_late(void *arg)
{
	struct issuance *issuance = arg;

	issuance->timer = NULL;
	sweep_cancel(issuance->sweep);
	issuance->sweep = NULL;
	step_retract(issuance);
}

void step_retract(struct issuance *issuance)
{

	retract_begin(issuance);
	if (issuance->over || (issuance->publish && !issuance->retracted)) {
		return; /* on_retracted comes back here */
	}
	if (issuance->sweep) {
		if (!issuance->timer) {
			issuance->timer = world_timer_start(issuance->args.world, SWEEP_MAX_US,
							    on_sweep_late, issuance);
		}
		return;
	}
	world_timer_cancel(issuance->args.world, issuance->timer);
	issuance->timer = NULL;
	issuance_enter(issuance, ISSUE_DONE, NULL);
}
