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
#include "internal.h"

#include <assert.h>
#include <search.h>

#define FAILED_KEPT_US ((int64_t)60 * 1000000)
#define HOUR_US ((int64_t)3600 * 1000000)
#define RETRY_SOON_S 5

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

/* ---- where claims are found ------------------------------------------------------- */

struct owner_claims {
	char *owner;
	struct claim *claims;
};

static int by_owner(const void *a, const void *b)
{
	return strcmp(((const struct owner_claims *)a)->owner,
		      ((const struct owner_claims *)b)->owner);
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct claim *)a)->id, ((const struct claim *)b)->id);
}

static int by_client(const void *a, const void *b)
{
	return strcmp(((const struct usage *)a)->client, ((const struct usage *)b)->client);
}

static struct owner_claims *owner_find(struct broker *broker, const char *owner)
{
	struct owner_claims key = { .owner = (char *)(uintptr_t)owner };
	struct owner_claims **found = tfind(&key, &broker->claims_by_owner, by_owner);

	return found ? *found : NULL;
}

static void owner_link(struct claim *claim)
{
	struct broker *broker = claim->broker;
	struct owner_claims *at = owner_find(broker, claim->owner);

	if (!at) {
		at = xcalloc(1, sizeof(*at));
		at->owner = xstrdup(claim->owner);
		tsearch(at, &broker->claims_by_owner, by_owner);
	}
	claim->owner_next = at->claims;
	if (at->claims) {
		at->claims->owner_prev = claim;
	}
	at->claims = claim;
}

static void owner_unlink(struct claim *claim)
{
	struct broker *broker = claim->broker;
	struct owner_claims *at = claim->owner ? owner_find(broker, claim->owner) : NULL;

	if (!at) {
		return;
	}
	if (claim->owner_prev) {
		claim->owner_prev->owner_next = claim->owner_next;
	} else if (at->claims == claim) {
		at->claims = claim->owner_next;
	}
	if (claim->owner_next) {
		claim->owner_next->owner_prev = claim->owner_prev;
	}
	claim->owner_prev = claim->owner_next = NULL;
	if (!at->claims) {
		tdelete(at, &broker->claims_by_owner, by_owner);
		free(at->owner);
		free(at);
	}
}

static struct usage *usage_of(struct broker *broker, const char *client, bool make)
{
	struct usage key = { .client = (char *)(uintptr_t)client };
	struct usage **found = tfind(&key, &broker->usages, by_client);
	struct usage *usage;

	if (found || !make) {
		return found ? *found : NULL;
	}
	usage = xcalloc(1, sizeof(*usage));
	usage->client = xstrdup(client);
	usage->allowance = -1;
	tsearch(usage, &broker->usages, by_client);
	return usage;
}

struct claim *claim_find(struct broker *broker, const char *id)
{
	struct claim key;
	struct claim **found;

	if (strlen(id) != CLAIM_ID_LEN) {
		return NULL;
	}
	memcpy(key.id, id, CLAIM_ID_LEN + 1);
	found = tfind(&key, &broker->claims_by_id, by_id);
	return found ? *found : NULL;
}

static bool is_live(const struct claim *claim)
{
	return claim->state != CLAIM_FAILED && claim->state != CLAIM_LEAVING;
}

static bool is_waiting(enum claim_state state)
{
	return state == CLAIM_ROUTING || state == CLAIM_PUBLISHING || state == CLAIM_WATCHING;
}

/* ---- a claim's life ------------------------------------------------------------------ */

static void set_state(struct claim *claim, enum claim_state state)
{
	struct usage *usage = usage_of(claim->broker, claim->client, true);
	bool was_live = is_live(claim);

	log_debug("claim %s of %s: %s -> %s", claim->id, claim->client,
		  claim_state_name(claim->state), claim_state_name(state));
	claim->broker->waiting -= is_waiting(claim->state);
	claim->broker->waiting += is_waiting(state);
	claim->state = state;
	usage->live -= was_live && !is_live(claim);
}

static struct claim *claim_new(struct broker *broker, const char *client)
{
	struct claim *claim = xcalloc(1, sizeof(*claim));
	struct usage *usage = usage_of(broker, client, true);
	uint8_t draw[CLAIM_ID_LEN / 2];

	claim->broker = broker;
	world_random(broker->world, draw, sizeof(draw));
	hex_encode(claim->id, sizeof(claim->id), draw, sizeof(draw));
	claim->client = xstrdup(client);
	claim->state = CLAIM_ROUTING;
	claim->started_us = world_mono_us(broker->world);
	broker->waiting++;
	broker->claim_count++;
	usage->live++;
	claim->client_next = usage->claims;
	if (usage->claims) {
		usage->claims->client_prev = claim;
	}
	usage->claims = claim;
	tsearch(claim, &broker->claims_by_id, by_id);
	return claim;
}

static void client_unlink(struct claim *claim)
{
	struct usage *usage = usage_of(claim->broker, claim->client, true);

	if (claim->client_prev) {
		claim->client_prev->client_next = claim->client_next;
	} else {
		usage->claims = claim->client_next;
	}
	if (claim->client_next) {
		claim->client_next->client_prev = claim->client_prev;
	}
}

/* ---- groups ------------------------------------------------------------------------------ */

static void publish(struct claim *claim);

struct claim_group *claim_group_new(void)
{
	struct claim_group *group = xcalloc(1, sizeof(*group));

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
	if (--group->left > 0) {
		return;
	}
	while (group->ready) {
		struct claim *claim = group->ready;

		group->ready = claim->group_next;
		claim->group = NULL;
		group->members--;
		publish(claim);
	}
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
	journal_call_cancel(claim->revoking);
	world_timer_cancel(claim->broker->world, claim->expiry);
	claim->routing = NULL;
	claim->join = NULL;
	claim->revoking = NULL;
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
	struct broker *broker = claim->broker;

	if (claim->told > 0) {
		claim->unwanted = true;
		return;
	}
	quiet(claim);
	if (is_live(claim)) {
		set_state(claim, CLAIM_LEAVING);
	}
	owner_unlink(claim);
	client_unlink(claim);
	tdelete(claim, &broker->claims_by_id, by_id);
	broker->claim_count--;
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

/* ---- audit ---------------------------------------------------------------------------------- */

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

/* ---- the end ----------------------------------------------------------------------------------- */

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
		err_set(&err, ERR_CANCELED, "", "the broker is stopping; ask again");
		fail(claim, &err);
	}
}

static void on_revoked(void *arg, const struct err *err, const struct journal_row *rows,
		       size_t count)
{
	struct claim *claim = arg;

	(void)rows;
	(void)count;
	claim->revoking = NULL;
	audit(claim, "retract", err ? "failed" : "granted");
	broker_sweep(claim->broker);
	claim_free(claim);
}

void claim_leave(struct claim *claim)
{
	struct journal_match match = { claim->owner, claim->value, claim->client };

	if (claim->state == CLAIM_LEAVING || claim->state == CLAIM_FAILED) {
		return;
	}
	quiet(claim);
	if (claim->state != CLAIM_ROUTING && !claim->publish) {
		/* Of an earlier run: only the journal knows its lease. */
		set_state(claim, CLAIM_LEAVING);
		claim->revoking =
			journal_revoke_start(claim->broker->journal, &match, on_revoked, claim);
	} else {
		set_state(claim, CLAIM_LEAVING);
		claim->told++; /* retract may free it */
		retract(claim);
		claim->told--;
	}
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

/* ---- published, watched --------------------------------------------------------------------------- */

/* The same value of the same client from before: this one takes its place. */
static void supersede(struct claim *claim)
{
	struct owner_claims *at = owner_find(claim->broker, claim->owner);
	struct claim *other = at ? at->claims : NULL;

	while (other) {
		struct claim *next = other->owner_next;

		if (other != claim && is_live(other) && other->state != CLAIM_PUBLISHING &&
		    strcmp(other->client, claim->client) == 0 &&
		    strcmp(other->value, claim->value) == 0) {
			claim_leave(other);
			at = owner_find(claim->broker, claim->owner);
			next = at ? at->claims : NULL; /* what comes next may be gone too */
		}
		other = next;
	}
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
	struct publish_item item = { claim->route, claim->value };

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

/* ---- authorized ------------------------------------------------------------------------------------ */

/* A client that has names below name, or NULL. */
static const char *other_below(struct claim *claim, const char *name)
{
	const char *other = policy_other_below(claim->era->generation->conf, name, claim->client);
	bool any = false;
	struct err err;

	if (!other && claim->broker->clients &&
	    clients_any_below(claim->broker->clients, name, claim->client, &any, &err) !=
		    ERR_NONE) {
		return "?"; /* not known: as if there were one */
	}
	return other ? other : any ? "another" : NULL;
}

static bool is_apex(const struct claim *claim, const struct route *route, const char *name)
{
	const struct conf_zone *zone =
		conf_find_zone(claim->era->generation->conf, name, claim->view);

	return strcmp(route->zone, name) == 0 || (zone && strcmp(zone->suffix, name) == 0) ||
	       (route->apex && strcmp(route->name, name) == 0);
}

static enum policy_rule judge(struct claim *claim, const struct route *route, const char *name,
			      struct err *err)
{
	const struct conf_zone *target =
		conf_target_zone(claim->era->generation->conf, claim->view);
	struct policy_client client = identity_policy(claim->who);
	char derived[NAME_TEXT_MAX];
	struct policy_question question = {
		.name = name,
		.view = claim->view,
		.value = claim->value,
		.owner = route->owner,
		.apex = name && is_apex(claim, route, name),
		.other_below = name ? other_below(claim, name) : NULL,
	};

	if (name && target && policy_target(name, target->suffix, derived, err) == ERR_NONE) {
		question.target = derived;
	}
	return policy_judge(&client, &question, err);
}

/* The final owner, after aliases: whoever may write there may prove what it is for. */
static enum policy_rule authorize(struct claim *claim, const struct route *route, struct err *err)
{
	enum policy_rule rule = judge(claim, route, claim->name, err);
	char other[NAME_TEXT_MAX];

	if (rule == POLICY_GRANTED && claim->name && policy_name_of(route->owner, NULL, other) &&
	    strcmp(other, claim->name) != 0 &&
	    !strlist_has(&claim->who->grant->targets, route->owner)) {
		rule = judge(claim, route, other, err);
	}
	return rule;
}

struct share {
	size_t mine, all;
	struct strlist others;
};

static enum err_code check_share(struct claim *claim, struct err *err)
{
	struct owner_claims *at = owner_find(claim->broker, claim->owner);
	struct share share = { 0 };
	enum err_code code = ERR_NONE;

	for (struct claim *other = at ? at->claims : NULL; other; other = other->owner_next) {
		bool mine = strcmp(other->client, claim->client) == 0;

		if (!is_live(other) || other == claim ||
		    (mine && strcmp(other->value, claim->value) == 0)) {
			continue;
		}
		share.all++;
		share.mine += mine;
		if (!mine && !strlist_has(&share.others, other->client)) {
			strlist_add(&share.others, other->client);
		}
	}
	if (share.all >= POLICY_OWNER_VALUES || share.mine >= policy_share(share.others.count)) {
		code = err_set(
			err, ERR_LIMIT, claim->owner,
			"there are %zu values already, %zu of them of this client, which may "
			"have %zu while %zu other clients have some; remove one",
			share.all, share.mine, policy_share(share.others.count),
			share.others.count);
		err->retry_after_s = RETRY_SOON_S;
	}
	strlist_clear(&share.others);
	return code;
}

static void publish(struct claim *claim)
{
	struct broker *broker = claim->broker;
	int64_t lease_s = claim->who->grant->lease_ms / 1000;
	struct publish_item item = { claim->route, claim->value };

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

static void on_route(void *arg, const struct err *err, const struct route *route)
{
	struct claim *claim = arg;
	struct err refusal;

	claim->routing = NULL;
	if (err) {
		fail(claim, err);
		return;
	}
	claim->owner = xstrdup(route->owner);
	claim->zone = xstrdup(route->zone);
	claim->rule = authorize(claim, route, &refusal);
	if (claim->rule == POLICY_GRANTED && check_share(claim, &refusal) == ERR_NONE) {
		owner_link(claim);
		claim->route = route;
		group_ready(claim);
		return;
	}
	fail(claim, &refusal);
}

/* ---- asked ------------------------------------------------------------------------------------------- */

/* Its publishes of this hour; they come back evenly. */
static enum err_code take_allowance(struct broker *broker, const struct conf_client *grant,
				    struct err *err)
{
	struct usage *usage = usage_of(broker, grant->name, true);
	double hour = (double)grant->publishes_per_hour;
	int64_t now_us = world_mono_us(broker->world);
	int64_t wait_s;

	if (usage->allowance < 0) {
		usage->allowance = hour;
	}
	usage->allowance += (double)(now_us - usage->counted_us) / (double)HOUR_US * hour;
	usage->allowance = usage->allowance > hour ? hour : usage->allowance;
	usage->counted_us = now_us;
	if (usage->allowance >= 1) {
		usage->allowance -= 1;
		return ERR_NONE;
	}
	wait_s = (int64_t)((1 - usage->allowance) * 3600 / hour) + 1;
	err_set(err, ERR_LIMIT, grant->name,
		"it published %lld values within an hour (publishes_per_hour); the next one may come "
		"in %lld s",
		(long long)grant->publishes_per_hour, (long long)wait_s);
	err->retry_after_s = wait_s;
	return ERR_LIMIT;
}

static enum err_code check_limits(struct broker *broker, const struct conf_client *grant,
				  struct err *err)
{
	struct usage *usage = usage_of(broker, grant->name, true);

	if (broker->stopping || !broker->ready) {
		err_set(err, ERR_BUSY, "", "the broker is %s; ask again",
			broker->stopping ? "stopping" : "starting");
		err->retry_after_s = RETRY_SOON_S;
		return ERR_BUSY;
	}
	if (broker->waiting >= (size_t)broker->generation->conf->requests_max) {
		err_set(err, ERR_LIMIT, "", "%zu requests wait already (requests_max); come back",
			broker->waiting);
		err->retry_after_s = RETRY_SOON_S;
		return ERR_LIMIT;
	}
	if (usage->live >= (size_t)grant->values) {
		err_set(err, ERR_LIMIT, grant->name,
			"it has %zu values in DNS, as many as it may have (values); remove one",
			usage->live);
		err->retry_after_s = RETRY_SOON_S;
		return ERR_LIMIT;
	}
	return take_allowance(broker, grant, err);
}

/* name and owner in the form of dns.h; *name NULL when only owner is known. */
struct asked {
	char name[NAME_TEXT_MAX];
	char owner[NAME_TEXT_MAX];
	bool has_name;
	bool is_final; /* owner, as it is */
};

static enum err_code read_names(const struct claim_request *request, const struct conf *conf,
				const char *view, struct asked *out, struct err *err)
{
	const struct conf_zone *target = conf_target_zone(conf, view);
	char parsed[NAME_TEXT_MAX];

	*out = (struct asked){ .has_name = true };
	if (request->name) {
		if (name_parse(request->name, parsed, err) != ERR_NONE) {
			return err->code;
		}
		snprintf(out->name, sizeof(out->name), "%s", name_base(parsed));
		return ERR_NONE;
	}
	if (name_parse(request->owner, out->owner, err) != ERR_NONE) {
		return err->code;
	}
	out->is_final = strncmp(out->owner, "_acme-challenge.", 16) != 0;
	out->has_name = policy_name_of(out->owner, target ? target->suffix : NULL, out->name);
	return ERR_NONE;
}

static enum policy_rule judge_asked(const struct claim_request *request, const struct asked *asked,
				    const char *view, struct err *err)
{
	const struct identity *who = request->who;
	struct policy_client client = identity_policy(who);
	struct policy_question question = {
		.name = asked->has_name ? asked->name : NULL,
		.view = view,
		.value = request->value,
		.owner = asked->has_name ? NULL : asked->owner,
	};

	if (who->bound && (!asked->has_name || strcmp(who->bound, asked->name) != 0)) {
		err_set(err, ERR_DENIED, who->grant->name,
			"this credential is for \"%s\" alone, not for \"%s\"", who->bound,
			asked->has_name ? asked->name : asked->owner);
		return POLICY_UNGRANTED;
	}
	return policy_judge(&client, &question, err);
}

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
	enum err_code code = read_names(request, who->generation->conf, view, &asked, err);

	if (code == ERR_NONE) {
		rule = judge_asked(request, &asked, view, err);
		code = rule == POLICY_GRANTED ? check_limits(broker, who->grant, err) : ERR_DENIED;
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
	group_join(claim, request->group);
	claim->era = era_hold(who->generation);
	claim->routing =
		asked.is_final
			? route_owner_start(claim->era->router, asked.owner, view, on_route, claim)
			: route_start(claim->era->router, asked.name, view, on_route, claim);
	return claim;
}

/* ---- many ------------------------------------------------------------------------------------------------ */

struct walk {
	const char *client;
	struct claim **found;
	size_t count, cap;
};

/* tsearch's walk takes no argument of ours. */
static struct walk *walk;

static void collect(const void *node, VISIT which, int depth)
{
	struct claim *claim = *(struct claim *const *)node;

	(void)depth;
	if (which != postorder && which != leaf) {
		return;
	}
	if (walk->client && strcmp(walk->client, claim->client) != 0) {
		return;
	}
	if (walk->count == walk->cap) {
		walk->cap = walk->cap ? 2 * walk->cap : 64;
		walk->found = xreallocarray(walk->found, walk->cap, sizeof(struct claim *));
	}
	walk->found[walk->count++] = claim;
}

void claim_for_each(struct broker *broker, const char *client, claim_each *each, void *arg)
{
	struct walk all = { .client = client };

	if (client) {
		struct usage *usage = usage_of(broker, client, false);

		for (struct claim *at = usage ? usage->claims : NULL; at; at = at->client_next) {
			all.found = xreallocarray(all.found, all.count + 1, sizeof(struct claim *));
			all.found[all.count++] = at;
		}
	} else {
		walk = &all;
		twalk(broker->claims_by_id, collect);
		walk = NULL;
	}
	for (size_t i = 0; i < all.count; i++) {
		each(arg, all.found[i]);
	}
	free(all.found);
}

struct matching {
	const char *name, *value;
	size_t count;
	struct strlist ids; /* leaving one may end others: each is looked up anew */
};

static void match(void *arg, struct claim *claim)
{
	struct matching *matching = arg;
	bool named = !matching->name || (claim->name && strcmp(claim->name, matching->name) == 0) ||
		     (claim->owner && strcmp(claim->owner, matching->name) == 0);

	if (named && is_live(claim) &&
	    (!matching->value || strcmp(claim->value, matching->value) == 0)) {
		strlist_add(&matching->ids, claim->id);
	}
}

size_t claim_leave_matching(struct broker *broker, const char *client, const char *name,
			    const char *value)
{
	struct matching matching = { .name = name, .value = value };
	size_t count;

	claim_for_each(broker, client, match, &matching);
	for (size_t i = 0; i < matching.ids.count; i++) {
		struct claim *claim = claim_find(broker, matching.ids.item[i]);

		if (claim) {
			claim_leave(claim);
		}
	}
	count = matching.ids.count;
	strlist_clear(&matching.ids);
	return count;
}

void claim_values(struct broker *broker, const char *owner, const char *client, struct strlist *out)
{
	struct owner_claims *at = owner_find(broker, owner);

	for (struct claim *claim = at ? at->claims : NULL; claim; claim = claim->owner_next) {
		bool there = claim->state == CLAIM_WATCHING || claim->state == CLAIM_VISIBLE;

		if (there && (!client || strcmp(client, claim->client) == 0) &&
		    !strlist_has(out, claim->value)) {
			strlist_add(out, claim->value);
		}
	}
}

void claim_recover(struct broker *broker, const struct journal_row *row)
{
	struct claim *claim = claim_new(broker, row->requester);
	char name[NAME_TEXT_MAX];

	claim->door = "journal";
	claim->owner = xstrdup(row->owner);
	claim->value = xstrdup(row->value);
	claim->view = xstrdup(row->view);
	claim->zone = xstrdup(row->zone);
	claim->name = policy_name_of(row->owner, NULL, name) ? xstrdup(name) : NULL;
	claim->expires_at = row->expires_at;
	owner_link(claim);
	/* What was not acknowledged when the last run ended may not be there. */
	set_state(claim, row->state == JOURNAL_APPLIED ? CLAIM_VISIBLE : CLAIM_DEFERRED);
	arm_lease(claim, row->expires_at - world_wall_s(broker->world));
}

static void free_usage(void *node)
{
	struct usage *usage = node;

	free(usage->client);
	free(usage);
}

void claims_free(struct broker *broker)
{
	struct walk all = { 0 };

	walk = &all;
	twalk(broker->claims_by_id, collect);
	walk = NULL;
	for (size_t i = 0; i < all.count; i++) {
		all.found[i]->watchers = NULL;
		claim_free(all.found[i]);
	}
	free(all.found);
	tdestroy(broker->usages, free_usage);
	broker->usages = NULL;
}
