/* claim_judge: may a claim be? Its name when it is asked, its owner once that is known. */
#include "claim.h"

#define HOUR_US ((int64_t)3600 * 1000000)

/* ---- authorized ----------------------------------------------------------------- */

/* A client that has names below name, or NULL. */
static const char *other_below(struct broker *broker, const struct final *final, const char *name)
{
	const char *client = final->who->grant->name;
	const char *other = policy_other_below(final->conf, name, client);

	return other || !store_any_below(broker, name, client) ? other : "another";
}

static bool is_apex(const struct final *final, const struct route *route, const char *name)
{
	const struct conf_zone *zone = conf_find_zone(final->conf, name, final->view);

	return strcmp(route->zone, name) == 0 || (zone && strcmp(zone->suffix, name) == 0) ||
	       (route->apex && strcmp(route->name, name) == 0);
}

static enum policy_rule judge(struct broker *broker, const struct final *final,
			      const struct route *route, const char *name, struct err *err)
{
	const struct conf_zone *target = conf_target_zone(final->conf, final->view);
	struct policy_client client = identity_policy(final->who);
	bool asks_below = name && !final->who->grant->wildcard; /* else it decides nothing */
	char derived[NAME_TEXT_MAX];
	struct policy_question question = {
		.name = name,
		.view = final->view,
		.value = final->value,
		.owner = route->owner,
		.apex = name && is_apex(final, route, name),
		.other_below = asks_below ? other_below(broker, final, name) : NULL,
	};

	if (name && target && policy_target(name, target->suffix, derived, err) == ERR_NONE) {
		question.target = derived;
	}
	return policy_judge(&client, &question, err);
}

enum policy_rule claim_authorize(struct broker *broker, const struct final *final,
				 const struct route *route, struct err *err)
{
	enum policy_rule rule = judge(broker, final, route, final->name, err);
	char other[NAME_TEXT_MAX];

	if (rule == POLICY_GRANTED && final->name && policy_name_of(route->owner, NULL, other) &&
	    strcmp(other, final->name) != 0 &&
	    !strlist_has(&final->who->grant->targets, route->owner)) {
		rule = judge(broker, final, route, other, err);
	}
	return rule;
}

struct share {
	struct strlist mine, all; /* values */
	struct strlist others;    /* clients */
};

static void add_once(struct strlist *list, const char *text)
{
	if (!strlist_has(list, text)) {
		strlist_add(list, text);
	}
}

enum err_code claim_check_share(struct claim *claim, struct err *err)
{
	struct owner_claims *at = owner_find(claim->broker, claim->owner);
	struct share share = { 0 };
	enum err_code code = ERR_NONE;
	bool is_new;

	for (struct claim *other = at ? at->claims : NULL; other; other = other->owner_next) {
		bool mine = strcmp(other->client, claim->client) == 0;

		if (claim_is_live(other) && other != claim) {
			add_once(&share.all, other->value);
			add_once(mine ? &share.mine : &share.others,
				 mine ? other->value : other->client);
		}
	}
	is_new = !strlist_has(&share.mine, claim->value);
	if (is_new && (share.all.count >= POLICY_OWNER_VALUES ||
		       share.mine.count >= policy_share(share.others.count))) {
		code = err_set(
			err, ERR_LIMIT, claim->owner,
			"there are %zu values already, %zu of them of this client, which may "
			"have %zu while %zu other clients have some; remove one",
			share.all.count, share.mine.count, policy_share(share.others.count),
			share.others.count);
		err->retry_after_s = RETRY_SOON_S;
	}
	strlist_clear(&share.mine);
	strlist_clear(&share.all);
	strlist_clear(&share.others);
	return code;
}

/* ---- asked ---------------------------------------------------------------------- */

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
		"it published %lld values within an hour (publishes_per_hour); the next one may "
		"come in %lld s",
		(long long)grant->publishes_per_hour, (long long)wait_s);
	err->retry_after_s = wait_s;
	return ERR_LIMIT;
}

static bool has_claim(struct broker *broker, const char *owner, const struct claim_request *request)
{
	struct owner_claims *at = owner_find(broker, owner);

	for (struct claim *claim = at ? at->claims : NULL; claim; claim = claim->owner_next) {
		if (claim_is_live(claim) && strcmp(claim->value, request->value) == 0 &&
		    strcmp(claim->client, request->who->grant->name) == 0) {
			return true;
		}
	}
	return false;
}

/* Asked again, as after a connection broke: it takes the place of the one before. */
static bool is_repeated(struct broker *broker, const struct claim_request *request,
			const struct asked *asked, const char *view)
{
	const struct conf_zone *target = conf_target_zone(request->who->generation->conf, view);
	char owner[NAME_TEXT_MAX];
	struct err err;

	if (!asked->has_name) {
		return has_claim(broker, asked->owner, request);
	}
	return (name_challenge(asked->name, owner, &err) == ERR_NONE &&
		has_claim(broker, owner, request)) ||
	       (target && policy_target(asked->name, target->suffix, owner, &err) == ERR_NONE &&
		has_claim(broker, owner, request));
}

enum err_code claim_check_room(const struct broker *broker, struct err *err)
{
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
	return ERR_NONE;
}

enum err_code claim_check_limits(struct broker *broker, const struct claim_request *request,
				 struct asked *asked, const char *view, struct err *err)
{
	const struct conf_client *grant = request->who->grant;
	struct usage *usage = usage_of(broker, grant->name, true);

	if (claim_check_room(broker, err) != ERR_NONE) {
		return err->code;
	}
	asked->repeats = is_repeated(broker, request, asked, view);
	if ((asked->repeats ? usage->repeats : usage->live) >= (size_t)grant->values) {
		err_set(err, ERR_LIMIT, grant->name,
			"it has %zu values in DNS, as many as it may have (values); remove one",
			usage->live);
		err->retry_after_s = RETRY_SOON_S;
		return ERR_LIMIT;
	}
	return take_allowance(broker, grant, err);
}

enum err_code claim_read_names(const struct claim_request *request, const char *view,
			       struct asked *out, struct err *err)
{
	const struct conf_zone *target = conf_target_zone(request->who->generation->conf, view);
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

enum policy_rule claim_judge_asked(const struct claim_request *request, const struct asked *asked,
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
