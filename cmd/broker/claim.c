/*
 * claim: one value that one client wants in DNS.
 *
 *   ROUTING -> (authorize the final owner) -> PUBLISHING -> WATCHING -> VISIBLE
 *      |                                      |     \-> DEFERRED  |         |
 *      +--------------------------------------+-------------------+         | lease over, or
 *                        |                                                  | its client says so
 *                     FAILED -- what was published is retracted --> gone <- LEAVING
 *
 *   ROUTING     the name alone was judged; where the value goes is being found
 *   DEFERRED    journalled; goes out with the next claim of its client that is not deferred
 *   WATCHING    the zone's primary has it; its servers are watched
 *   FAILED      stays for a while, so that its client can read why
 */
#include "claim.h"

#include <assert.h>

#define RETRY_REMOVAL_US ((int64_t)60 * 1000000)
#define FAILED_KEPT_US ((int64_t)60 * 1000000)

static const char *const state_names[] = {
	[CLAIM_ROUTING] = "routing",       [CLAIM_DEFERRED] = "deferred",
	[CLAIM_PUBLISHING] = "publishing", [CLAIM_WATCHING] = "watching",
	[CLAIM_VISIBLE] = "visible",       [CLAIM_FAILED] = "failed",
	[CLAIM_LEAVING] = "leaving",
};
static_assert(ARRAY_LEN(state_names) == CLAIM_STATE_COUNT, "a name for each state");

const char *claim_state_name(enum claim_state state)
{
	return state < CLAIM_STATE_COUNT ? state_names[state] : "?";
}

/* ---- a claim's life ------------------------------------------------------------------ */

static bool is_waiting(enum claim_state state)
{
	return state == CLAIM_ROUTING || state == CLAIM_PUBLISHING || state == CLAIM_WATCHING;
}

static void set_state(struct claim *claim, enum claim_state state)
{
	struct usage *usage = claim->usage;
	bool was_live = claim_is_live(claim);

	log_debug("claim %s of %s: %s -> %s", claim->id, claim->client,
		  claim_state_name(claim->state), claim_state_name(state));
	claim->broker->waiting -= is_waiting(claim->state);
	claim->broker->waiting += is_waiting(state);
	claim->state = state;
	if (was_live && !claim_is_live(claim)) {
		*(claim->repeats ? &usage->repeats : &usage->live) -= 1;
		claim->broker->live_count--;
	}
}

static void set_repeats(struct claim *claim, bool repeats)
{
	struct usage *usage = claim->usage;

	if (claim->repeats != repeats) {
		claim->repeats = repeats;
		usage->repeats += repeats ? 1 : (size_t)-1;
		usage->live += repeats ? (size_t)-1 : 1;
	}
}

static struct claim *claim_new(struct broker *broker, const char *client)
{
	struct claim *claim = xcalloc(1, sizeof(*claim));
	uint8_t draw[CLAIM_ID_LEN / 2];

	claim->broker = broker;
	world_random(broker->world, draw, sizeof(draw));
	hex_encode(claim->id, sizeof(claim->id), draw, sizeof(draw));
	claim->client = xstrdup(client);
	claim->state = CLAIM_ROUTING;
	claim->started_us = world_mono_us(broker->world);
	broker->waiting++;
	broker->live_count++;
	claim_link(claim);
	return claim;
}

/* ---- groups ------------------------------------------------------------------------------ */

static void publish(struct claim *claim);
static void fail(struct claim *claim, const struct err *err);

struct claim_group *claim_group_new(bool whole)
{
	struct claim_group *group = xcalloc(1, sizeof(*group));

	group->whole = whole;
	group->members = 1;
	group->left = 1; /* whoever opens it */
	return group;
}

static void group_drop(struct claim_group *group)
{
	if (--group->members == 0) {
		free(group);
	}
}

/* The caller is a member still. */
static void group_arrive(struct claim_group *group)
{
	struct err err;

	if (--group->left > 0) {
		return;
	}
	while (group->ready) {
		struct claim *claim = group->ready;

		group->ready = claim->group_next;
		claim->group = NULL;
		group->members--;
		if (group->whole && group->failed) {
			err_set(&err, ERR_CANCELED, claim->owner,
				"another record of the same message was refused");
			fail(claim, &err);
		} else {
			publish(claim);
		}
	}
}

void claim_group_fail(struct claim_group *group)
{
	group->failed = true;
}

void claim_group_close(struct claim_group *group)
{
	group_arrive(group);
	group_drop(group);
}

static void group_join(struct claim *claim, struct claim_group *group)
{
	claim->group = group;
	if (group) {
		group->members++;
		group->left++;
	}
}

/* It is authorized: published at once, or with the others. */
static void group_ready(struct claim *claim)
{
	struct claim_group *group = claim->group;

	if (!group) {
		publish(claim);
		return;
	}
	group->members++;
	claim->group_next = group->ready;
	group->ready = claim;
	group_arrive(group);
	group_drop(group);
}

/* It fails, or leaves, before it was published. */
static void group_leave(struct claim *claim)
{
	struct claim_group *group = claim->group;
	bool was_ready = false;

	if (!group) {
		return;
	}
	for (struct claim **at = &group->ready; *at && !was_ready; at = &(*at)->group_next) {
		if (*at == claim) {
			*at = claim->group_next;
			was_ready = true;
			break;
		}
	}
	claim->group = NULL;
	group->failed = true;
	if (!was_ready) {
		group_arrive(group);
	}
	group_drop(group);
}

/* Everything that could still call back. */
static void quiet(struct claim *claim)
{
	group_leave(claim);
	route_cancel(claim->routing);
	watch_leave(claim->join);
	world_timer_cancel(claim->broker->world, claim->expiry);
	claim->routing = NULL;
	claim->join = NULL;
	claim->expiry = NULL;
}

static void leave_era(struct claim *claim)
{
	watch_leave(claim->join);
	claim->join = NULL;
	claim->route = NULL;
	if (claim->era) {
		era_drop(claim->era);
		claim->era = NULL;
	}
}

static void claim_free(struct claim *claim)
{
	if (claim->told > 0) {
		claim->unwanted = true;
		return;
	}
	quiet(claim);
	if (claim_is_live(claim)) {
		set_state(claim, CLAIM_LEAVING);
	}
	claim_unlink_owner(claim);
	claim_unlink(claim);
	leave_era(claim);
	publish_forget(claim->publish);
	if (claim->generation) {
		generation_drop(claim->generation);
	}
	identity_free(claim->who);
	free(claim->client);
	free(claim->name);
	free(claim->owner);
	free(claim->value);
	free(claim->view);
	free(claim->zone);
	free(claim->err);
	free(claim);
}

/* Last in what a function does with the claim. */
static void tell(struct claim *claim)
{
	struct claim_watcher *watcher = claim->watchers;

	claim->told++;
	while (watcher) {
		struct claim_watcher *next = watcher->next;

		watcher->changed(watcher->arg, claim);
		watcher = next;
	}
	claim->told--;
	if (claim->unwanted && claim->told == 0) {
		claim_free(claim);
	}
}

void claim_watch(struct claim *claim, struct claim_watcher *watcher)
{
	watcher->next = claim->watchers;
	claim->watchers = watcher;
}

void claim_unwatch(struct claim *claim, struct claim_watcher *watcher)
{
	struct claim_watcher **at = &claim->watchers;

	while (*at && *at != watcher) {
		at = &(*at)->next;
	}
	if (*at) {
		*at = watcher->next;
	}
}

const struct timeline *claim_timeline(const struct claim *claim, size_t *count)
{
	*count = 0;
	return claim->join ? watch_join_timeline(claim->join, count) : NULL;
}

/* ---- audit ---------------------------------------------------------------------- */

static void audit(const struct claim *claim, const char *action, const char *verdict)
{
	audit_write(claim->broker,
		    &(struct audit){
			    .door = claim->door,
			    .action = action,
			    .who = claim->who,
			    .client = claim->client,
			    .name = claim->name,
			    .owner = claim->owner,
			    .value = claim->value,
			    .view = claim->view,
			    .verdict = verdict,
			    .reason = claim->rule != POLICY_GRANTED ? policy_rule_name(claim->rule)
				      : claim->err ? err_code_name(claim->err->code)
						   : NULL,
			    .text = claim->err ? claim->err->text : NULL,
			    .lease_until = claim->expires_at,
		    });
}

/* ---- the end -------------------------------------------------------------------- */

static void on_failed_long_enough(void *arg)
{
	struct claim *claim = arg;

	claim->expiry = NULL;
	if (claim->publish) { /* its record is still being removed */
		claim->expiry = world_timer_start(claim->broker->world, FAILED_KEPT_US,
						  on_failed_long_enough, claim);
		return;
	}
	claim_free(claim);
}

static void on_gone(void *arg, const struct err *err)
{
	struct claim *claim = arg;

	claim->publish = NULL;
	if (err) {
		log_warn("%s: the record is still there: %s; it will be tried again", claim->owner,
			 err->text);
		broker_sweep_within(claim->broker, RETRY_REMOVAL_US);
	}
	if (claim->state == CLAIM_LEAVING) {
		audit(claim, "retract", err ? "failed" : "granted");
		claim_free(claim);
	}
}

static void retract(struct claim *claim)
{
	leave_era(claim);
	if (claim->publish) {
		publish_retract(claim->publish, on_gone, claim);
	} else if (claim->state == CLAIM_LEAVING) {
		claim_free(claim);
	}
}

/* Faults of ours or of the DNS; what policy and limits refuse is not. */
static void note_mishap(const struct claim *claim)
{
	struct broker *broker = claim->broker;

	if (claim->rule == POLICY_GRANTED && claim->err->code != ERR_LIMIT &&
	    claim->err->code != ERR_CANCELED && !broker->stopping) {
		mishap_note(broker->args.state,
			    &(struct mishap){ .at_s = world_wall_s(broker->world),
					      .who = claim->client,
					      .name = claim->name ? claim->name : claim->owner,
					      .code = err_code_name(claim->err->code),
					      .text = claim->err->text });
	}
}

static void fail(struct claim *claim, const struct err *err)
{
	struct broker *broker = claim->broker;

	quiet(claim);
	free(claim->err);
	claim->err = err_box(err);
	broker->metrics.errors[err->code]++;
	metrics_count(broker, claim->door,
		      claim->rule != POLICY_GRANTED ? OUTCOME_REFUSED
		      : err->code == ERR_LIMIT      ? OUTCOME_LIMITED
						    : OUTCOME_FAILED);
	set_state(claim, CLAIM_FAILED);
	note_mishap(claim);
	audit(claim, "publish", claim->rule != POLICY_GRANTED ? "refused" : "failed");
	claim->expiry =
		world_timer_start(broker->world, FAILED_KEPT_US, on_failed_long_enough, claim);
	retract(claim);
	tell(claim);
}

void claim_stop(struct claim *claim)
{
	struct err err;

	if (is_waiting(claim->state)) {
		err_set(&err, ERR_BUSY, "", "the broker is stopping; ask again");
		err.retry_after_s = RETRY_SOON_S;
		fail(claim, &err);
	}
}

void claim_leave(struct claim *claim)
{
	if (!claim_is_live(claim)) {
		return;
	}
	quiet(claim);
	set_state(claim, CLAIM_LEAVING);
	claim->told++; /* retract may free it */
	retract(claim);
	claim->told--;
	tell(claim);
}

static void on_lease_over(void *arg)
{
	struct claim *claim = arg;

	claim->expiry = NULL;
	claim_leave(claim);
}

static void arm_lease(struct claim *claim, int64_t left_s)
{
	world_timer_cancel(claim->broker->world, claim->expiry);
	claim->expiry = world_timer_start(claim->broker->world, (left_s > 0 ? left_s : 0) * 1000000,
					  on_lease_over, claim);
}

/* ---- published, watched --------------------------------------------------------- */

/* The same value of the same client from before: this one takes its place. */
static void supersede(struct claim *claim)
{
	struct claim *other = claim->at_owner->claims;

	while (other) {
		struct claim *next = other->owner_next;

		if (other != claim && claim_is_live(other) && other->state != CLAIM_PUBLISHING &&
		    strcmp(other->client, claim->client) == 0 &&
		    strcmp(other->value, claim->value) == 0) {
			claim_leave(other);
			next = claim->at_owner->claims; /* what comes next may be gone too */
		}
		other = next;
	}
	set_repeats(claim, false);
}

static void on_watched(void *arg, const struct err *err)
{
	struct claim *claim = arg;
	struct broker *broker = claim->broker;

	claim->join = NULL;
	if (err) {
		fail(claim, err);
		return;
	}
	claim->visible_us = world_mono_us(broker->world);
	metrics_time(&broker->metrics.propagation, claim->visible_us - claim->published_us);
	leave_era(claim);
	set_state(claim, CLAIM_VISIBLE);
	tell(claim);
}

static void on_timeline(void *arg)
{
	tell(arg);
}

static void on_published(void *arg, const struct err *err)
{
	struct claim *claim = arg;
	struct broker *broker = claim->broker;
	struct publish_item item = { .route = claim->route,
				     .value = claim->value,
				     .shown_at = publish_shown_at(claim->publish, 0) };

	if (err) {
		fail(claim, err);
		return;
	}
	supersede(claim);
	claim->published_us = world_mono_us(broker->world);
	metrics_count(broker, claim->door, OUTCOME_GRANTED);
	audit(claim, claim->defer ? "defer" : "publish", "granted");
	identity_free(claim->who);
	claim->who = NULL;
	if (claim->defer) {
		leave_era(claim);
		set_state(claim, CLAIM_DEFERRED);
		tell(claim);
		return;
	}
	metrics_time(&broker->metrics.publish, claim->published_us - claim->started_us);
	set_state(claim, CLAIM_WATCHING);
	claim->join = watch_join(claim->era->watcher, &item, on_watched, claim);
	watch_join_on_change(claim->join, on_timeline, claim);
	tell(claim);
}

/* ---- authorized --------------------------------------------------------------------- */

static void publish(struct claim *claim)
{
	struct broker *broker = claim->broker;
	int64_t lease_s = claim->who->grant->lease_ms / 1000;
	struct publish_item item = { .route = claim->route, .value = claim->value };

	claim->expires_at = world_wall_s(broker->world) + lease_s;
	arm_lease(claim, lease_s);
	set_state(claim, CLAIM_PUBLISHING);
	claim->generation = claim->era->generation;
	generation_hold(claim->generation);
	claim->publish = publish_start(claim->generation->publisher,
				       &(struct publish_args){
					       .items = &item,
					       .count = 1,
					       .defer = claim->defer,
					       .lease = { .kind = LEASE_TIMED,
							  .duration_s = lease_s,
							  .requester = claim->client },
				       },
				       on_published, claim);
	tell(claim);
}

static void take_route(struct claim *claim, const struct route *route)
{
	const struct final final = {
		.who = claim->who,
		.conf = claim->era->generation->conf,
		.name = claim->name,
		.view = claim->view,
		.value = claim->value,
	};
	struct err refusal;

	claim->owner = xstrdup(route->owner);
	claim->zone = xstrdup(route->zone);
	claim->rule = claim_authorize(claim->broker, &final, route, &refusal);
	if (claim->rule == POLICY_GRANTED && claim_check_share(claim, &refusal) == ERR_NONE) {
		claim_link_owner(claim);
		claim->route = route;
		group_ready(claim);
		return;
	}
	fail(claim, &refusal);
}

static void on_route(void *arg, const struct err *err, const struct route *route)
{
	struct claim *claim = arg;

	claim->routing = NULL;
	if (err) {
		fail(claim, err);
		return;
	}
	if (claim->name) {
		era_note_route(claim->era, claim->name, claim->view, route);
	}
	take_route(claim, route);
}

static void on_known_route(void *arg)
{
	struct claim *claim = arg;

	claim->expiry = NULL;
	take_route(claim, claim->route);
}

/* ---- asked -------------------------------------------------------------------------- */

static void audit_asked(struct broker *broker, const struct claim_request *request,
			enum policy_rule rule, const struct err *err)
{
	metrics_count(broker, request->door,
		      rule != POLICY_GRANTED   ? OUTCOME_REFUSED
		      : err->code == ERR_LIMIT ? OUTCOME_LIMITED
					       : OUTCOME_FAILED);
	broker->metrics.errors[err->code]++;
	audit_write(broker, &(struct audit){
				    .door = request->door,
				    .action = "publish",
				    .who = request->who,
				    .name = request->name,
				    .owner = request->owner,
				    .value = request->value,
				    .view = request->view,
				    .verdict = rule != POLICY_GRANTED ? "refused" : "failed",
				    .reason = rule != POLICY_GRANTED ? policy_rule_name(rule)
								     : err_code_name(err->code),
				    .text = err->text,
			    });
}

struct claim *claim_open(struct broker *broker, const struct claim_request *request,
			 struct err *err)
{
	struct identity *who = request->who;
	const char *view = request->view ? request->view : who->grant->views.item[0];
	enum policy_rule rule = POLICY_GRANTED;
	struct asked asked;
	struct claim *claim;
	enum err_code code = claim_read_names(request, view, &asked, err);

	if (code == ERR_NONE) {
		rule = claim_judge_asked(request, &asked, view, err);
		code = rule == POLICY_GRANTED
			       ? claim_check_limits(broker, request, &asked, view, err)
			       : ERR_DENIED;
	}
	if (request->rule) {
		*request->rule = rule;
	}
	if (code != ERR_NONE) {
		audit_asked(broker, request, rule, err);
		identity_free(who);
		return NULL;
	}
	claim = claim_new(broker, who->grant->name);
	claim->who = who;
	claim->door = request->door;
	claim->name = asked.has_name ? xstrdup(asked.name) : NULL;
	claim->value = xstrdup(request->value);
	claim->view = xstrdup(view);
	claim->defer = request->defer;
	set_repeats(claim, asked.repeats);
	group_join(claim, request->group);
	claim->era = era_hold(who->generation);
	if (asked.has_name && !asked.is_final) {
		/* It lives as long as its era, though the era may forget when it was found. */
		claim->route = era_route(claim->era, asked.name, view);
	}
	if (claim->route) {
		claim->expiry = world_timer_start(broker->world, 0, on_known_route, claim);
	} else if (asked.is_final) {
		claim->routing =
			route_owner_start(claim->era->router, asked.owner, view, on_route, claim);
	} else {
		claim->routing = route_start(claim->era->router, asked.name, view, on_route, claim);
	}
	return claim;
}

/* The identifier that it was asked for; NULL: it was for an owner name that tells none. Gives. */
static char *name_of(const struct conf *conf, const struct journal_row *row)
{
	const struct conf_zone *target = conf_target_zone(conf, row->view);
	char name[NAME_TEXT_MAX];

	if (row->asked) {
		return xstrdup(row->asked);
	}
	return policy_name_of(row->owner, target ? target->suffix : NULL, name) ? xstrdup(name)
										: NULL;
}

void claim_recover(struct broker *broker, const struct journal_row *rows, size_t count)
{
	const struct journal_row *row = &rows[count - 1]; /* the newest lease */
	struct claim *claim = claim_new(broker, row->requester);
	bool applied = true;

	claim->door = "journal";
	claim->owner = xstrdup(row->owner);
	claim->value = xstrdup(row->value);
	claim->view = xstrdup(row->view);
	claim->zone = xstrdup(row->zone);
	claim->name = name_of(broker->generation->conf, row);
	claim->generation = broker->generation;
	generation_hold(claim->generation);
	claim->publish = publish_adopt(claim->generation->publisher, rows, count);
	for (size_t i = 0; i < count; i++) {
		applied = applied && rows[i].state == JOURNAL_APPLIED;
		claim->expires_at = rows[i].expires_at > claim->expires_at ? rows[i].expires_at
									   : claim->expires_at;
	}
	claim_link_owner(claim);
	/* What was not acknowledged when the last run ended may not be there. */
	set_state(claim, applied ? CLAIM_VISIBLE : CLAIM_DEFERRED);
	arm_lease(claim, claim->expires_at - world_wall_s(broker->world));
}

static void free_one(void *arg, struct claim *claim)
{
	(void)arg;
	claim->watchers = NULL;
	claim_free(claim);
}

void claims_free(struct broker *broker)
{
	claim_for_each(broker, NULL, free_one, NULL);
	usages_free(broker);
}
