/*
 * hetzner: DNS in the Hetzner Cloud API. Values are added to and removed from an RRset; each such
 * call starts an action, which is waited for. (The older API at dns.hetzner.com is gone.)
 */
#include "dns01/provider.h"

#include "dns01/rest.h"

enum phase { REMOVING, ADDING, OVER };

static const struct setting rows[] = {
	REST_ROWS_SECRET("token", "an API token of the project"),
	REST_ROW_ZONE,
	REST_ROW_ZONE_ID,
	REST_ROW_ENDPOINT("https://api.hetzner.cloud/v1"),
	REST_ROW_CA_FILE,
	REST_ROW_TIMEOUT,
};

static const char *const variables[] = { "HCLOUD_TOKEN", "HETZNER_API_TOKEN", NULL };

static const struct rest_secret secrets[] = {
	{ .name = "token", .environment = variables, .required = true },
};

static enum err_code sign(struct rest *rest, struct rest_request *request, struct err *err)
{
	(void)err;
	rest_request_header(request, "Authorization", "Bearer %s", rest_secret(rest, "token"));
	return ERR_NONE;
}

static enum rest_next find_zone(struct rest_walk *walk, const struct rest_answer *answer)
{
	const struct json *zones, *page;

	if (answer) {
		zones = json_get(answer->json, "zones");
		page = json_get(json_get(answer->json, "meta"), "pagination");
		for (size_t i = 0; i < json_len(zones); i++) {
			const struct json *zone = json_at(zones, i);
			char *id = xasprintf("%lld", (long long)json_int(zone, "id", 0));

			rest_zone_found(walk, json_str(zone, "name"), id);
			free(id);
		}
		if (json_int(page, "next_page", 0) <= (int64_t)walk->page) {
			rest_zones_all(walk);
			return REST_DONE;
		}
	}
	return rest_ask(walk, "GET", NULL, "/zones?per_page=50&page=%u", ++walk->page);
}

static const char *label_of(const struct rest_walk *walk)
{
	return walk->set->label[0] ? walk->set->label : "@";
}

static enum rest_next read_set(struct rest_walk *walk, const struct rest_answer *answer)
{
	const struct json *rrset, *records;

	if (!answer) {
		rest_ask(walk, "GET", NULL, "/zones/%s/rrsets/%s/TXT", walk->zone->id,
			 label_of(walk));
		rest_accept(walk, 404);
		return REST_SEND;
	}
	rrset = json_get(answer->json, "rrset");
	records = json_get(rrset, "records");
	for (size_t i = 0; i < json_len(records); i++) {
		rest_value(walk, json_str(json_at(records, i), "value"), NULL);
	}
	rest_set_is(walk, json_int(rrset, "ttl", 0), NULL);
	return REST_DONE;
}

static bool is_among(const struct rest_value *values, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(values[i].text, text) == 0) {
			return true;
		}
	}
	return false;
}

/* Those of one list that are not in the other. */
static struct json *difference(const struct rest_value *values, size_t count,
			       const struct rest_value *others, size_t other_count)
{
	struct json *records = json_array();

	for (size_t i = 0; i < count; i++) {
		struct json *record;
		char *raw;

		if (is_among(others, other_count, values[i].text)) {
			continue;
		}
		record = json_object();
		raw = rest_raw(&values[i], true);
		json_set_str(record, "value", raw);
		json_add(records, record);
		free(raw);
	}
	return records;
}

/* Begins the next phase that has something to do. */
static enum rest_next next_phase(struct rest_walk *walk)
{
	const struct rest_set *set = walk->set;
	struct json *body, *records;

	for (; walk->page < OVER; walk->page++) {
		const bool adding = walk->page == ADDING;

		records =
			adding ? difference(set->value, set->value_count, set->old, set->old_count)
			       : difference(set->old, set->old_count, set->value, set->value_count);
		if (json_len(records) == 0) {
			json_free(records);
			continue;
		}
		walk->page++;
		body = json_object();
		json_set(body, "records", records);
		if (adding && set->old_count == 0) {
			json_set_int(body, "ttl", set->ttl_s);
		}
		rest_ask(walk, "POST", body, "/zones/%s/rrsets/%s/TXT/actions/%s", walk->zone->id,
			 label_of(walk), adding ? "add_records" : "remove_records");
		rest_accept(walk, 404); /* what was to be removed was so by somebody else */
		rest_accept(walk, 409);
		rest_accept(walk, 422);
		rest_accept(walk, 423);
		return REST_SEND;
	}
	return REST_DONE;
}

/* "The resource has changed during the request, please retry", "another action is running". */
static const char *const later[] = { "\"conflict\"", "\"locked\"", NULL };

/* Of two that change the same set at the same time. */
static bool is_conflict(const char *code)
{
	static const char *const codes[] = { "conflict", "locked", "not_found",
					     "uniqueness_error" };

	for (size_t i = 0; code && i < ARRAY_LEN(codes); i++) {
		if (strcmp(code, codes[i]) == 0) {
			return true;
		}
	}
	return false;
}

static enum rest_next write_set(struct rest_walk *walk, const struct rest_answer *answer)
{
	const struct json *action = answer ? json_get(answer->json, "action") : NULL;
	const char *status = json_str(action, "status");
	const struct json *error = json_get(action, "error");

	if (!answer) {
		return next_phase(walk);
	}
	if (answer->status >= 300) {
		bool no_zone = answer->status == 404 && walk->page == OVER;

		return !no_zone && is_conflict(json_str(json_get(answer->json, "error"), "code"))
			       ? REST_CONFLICT
			       : rest_refused(walk, answer);
	}
	if (!status) {
		return rest_lacks(walk, "the action's status");
	}
	if (strcmp(status, "running") == 0) {
		char *id = xasprintf("%lld", (long long)json_int(action, "id", 0));

		rest_ask(walk, "GET", NULL, "/actions/%s", id);
		free(id);
		return REST_LATER;
	}
	if (strcmp(status, "success") == 0) {
		return next_phase(walk);
	}
	return is_conflict(json_str(error, "code"))
		       ? REST_CONFLICT
		       : rest_fail(walk, ERR_PROTOCOL, "the action ended with %s: %s",
				   json_str(error, "code") ? json_str(error, "code") : status,
				   json_str(error, "message") ? json_str(error, "message")
							      : "(no reason given)");
}

extern const struct provider provider_hetzner;

static const struct rest_api api = {
	.provider = &provider_hetzner,
	.secrets = secrets,
	.secret_count = ARRAY_LEN(secrets),
	.sign = sign,
	.zone = find_zone,
	.read = read_set,
	.write = write_set,
	.later = later,
};

static enum err_code hetzner_open(const struct provider_host *host, const struct settings *given,
				  void **instance, struct err *err)
{
	return rest_open(&api, host, given, instance, err);
}

const struct provider provider_hetzner = {
	.abi = PROVIDER_ABI,
	.name = "hetzner",
	.summary = "Hetzner DNS, in the Cloud API",
	.privilege = "An API token with read and write permission, of a project that holds nothing "
		     "but the zones: a token is good for all of its project.",
	.example = "{ name = \"hetzner\";  type = \"hetzner\";  token_file = \"hetzner.token\"; }",
	.settings = rows,
	.setting_count = ARRAY_LEN(rows),
	.unit = PROVIDER_VALUES,
	.ttl_min_s = 60,
	.batch_max = 100,
	.in_sync = true,
	.environment = "HCLOUD_TOKEN or HETZNER_API_TOKEN",
	.open = hetzner_open,
	.apply_start = rest_apply_start,
	.apply_cancel = rest_apply_cancel,
	.close = rest_close,
};
