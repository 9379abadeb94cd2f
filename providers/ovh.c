/*
 * ovh: DNS zones by OVHcloud. Each TXT value is a record; nothing is published before the zone is
 * refreshed. Requests are signed with an application's three keys and the server's clock, or
 * carry a token of a service account (OAuth2).
 */
#include "dns01/provider.h"

#include "dns01/crypto.h"
#include "dns01/rest.h"

#define CLOCK_S 3600     /* the difference of the clocks is looked at again after this */
#define RECORDS_MAX 1000 /* TXT records at one name */

static const struct setting rows[] = {
	REST_ROWS_SECRET("application_key", "the application key"),
	REST_ROWS_SECRET("application_secret", "the application secret"),
	REST_ROWS_SECRET("consumer_key", "the consumer key"),
	{
		.name = "client_id",
		.type = SETTING_STRING,
		.help = "Identifier of a service account, which goes with client_secret_file, in "
			"place of the three keys.",
	},
	REST_ROWS_SECRET("client_secret", "the service account's secret"),
	{
		.name = "token_endpoint",
		.type = SETTING_URL,
		.choices = "http://",
		.fallback = "https://www.ovh.com/auth/oauth2/token",
		.help = "Where a service account gets its tokens; for Canada "
			"https://ca.ovh.com/auth/oauth2/token, for the USA "
			"https://us.ovhcloud.com/auth/oauth2/token.",
	},
	REST_ROW_ZONE,
	REST_ROW_ENDPOINT("https://eu.api.ovh.com/1.0"),
	REST_ROW_CA_FILE,
	REST_ROW_TIMEOUT,
};

static const char *const key_variables[] = { "OVH_APPLICATION_KEY", NULL };
static const char *const secret_variables[] = { "OVH_APPLICATION_SECRET", NULL };
static const char *const consumer_variables[] = { "OVH_CONSUMER_KEY", NULL };
static const char *const id_variables[] = { "OVH_CLIENT_ID", NULL };
static const char *const client_variables[] = { "OVH_CLIENT_SECRET", NULL };

static const struct rest_secret secrets[] = {
	{ .name = "application_key", .environment = key_variables },
	{ .name = "application_secret", .environment = secret_variables },
	{ .name = "consumer_key", .environment = consumer_variables },
	{ .name = "client_secret", .environment = client_variables },
};

struct ovh {
	int64_t ahead_s; /* the server's clock, of ours */
};

static const char *client_id(const struct rest *rest)
{
	return rest_setting_or(rest, "client_id", id_variables);
}

static bool has_keys(const struct rest *rest)
{
	return rest_has_secret(rest, "application_key") &&
	       rest_has_secret(rest, "application_secret") && rest_has_secret(rest, "consumer_key");
}

static bool has_account(const struct rest *rest)
{
	return client_id(rest) && rest_has_secret(rest, "client_secret");
}

static enum err_code open_api(struct rest *rest, struct err *err)
{
	rest_account_is(rest, "service account", client_id(rest));
	if (has_keys(rest) || has_account(rest)) {
		return ERR_NONE;
	}
	return err_set(err, ERR_CONFIG, "ovh",
		       "there is no credential: set application_key_file, application_secret_file "
		       "and consumer_key_file; or client_id and client_secret_file");
}

/* ---- authentication ------------------------------------------------------------------------ */

/* "$1$" and SHA-1 of SECRET+CONSUMER+METHOD+URL+BODY+TIME in hexadecimal digits. */
static void signature(const struct rest *rest, const struct rest_request *request, int64_t now_s,
		      char out[2 * SHA1_LEN + 1])
{
	char *text = xasprintf("%s+%s+%s+%s+%.*s+%lld", rest_secret(rest, "application_secret"),
			       rest_secret(rest, "consumer_key"), request->method, request->url,
			       (int)request->body_len, request->body ? request->body : "",
			       (long long)now_s);
	uint8_t digest[SHA1_LEN];

	sha1(text, strlen(text), digest);
	hex_encode(out, 2 * SHA1_LEN + 1, digest, sizeof(digest));
	wipe_str(text);
}

static enum err_code sign(struct rest *rest, struct rest_request *request, struct err *err)
{
	const struct ovh *self = rest_self(rest);
	int64_t now_s = request->now_s + self->ahead_s;
	char digest[2 * SHA1_LEN + 1];

	(void)err;
	if (!has_keys(rest)) {
		return ERR_NONE;
	}
	signature(rest, request, now_s, digest);
	rest_request_header(request, "X-Ovh-Application", "%s",
			    rest_secret(rest, "application_key"));
	rest_request_header(request, "X-Ovh-Consumer", "%s", rest_secret(rest, "consumer_key"));
	rest_request_header(request, "X-Ovh-Timestamp", "%lld", (long long)now_s);
	rest_request_header(request, "X-Ovh-Signature", "$1$%s", digest);
	return ERR_NONE;
}

/* The server's clock: a host whose own is wrong can sign all the same. */
static enum rest_next ask_time(struct rest_walk *walk, const struct rest_answer *answer)
{
	struct ovh *self = rest_self(walk->rest);
	uint64_t time_s;

	if (!answer) {
		return rest_ask(walk, "GET", NULL, "/auth/time");
	}
	if (!text_parse_u64(answer->body, INT32_MAX * UINT64_C(4), &time_s)) {
		return rest_lacks(walk, "its time");
	}
	self->ahead_s = (int64_t)time_s - world_wall_s(rest_world(walk->rest));
	rest_token(walk, "", CLOCK_S);
	return REST_DONE;
}

static enum rest_next get_token(struct rest_walk *walk, const struct rest_answer *answer)
{
	const struct rest *rest = walk->rest;

	if (has_keys(rest)) {
		return ask_time(walk, answer);
	}
	if (answer) {
		return rest_take_token(walk, answer);
	}
	return rest_ask_token(walk, rest_setting(rest, "token_endpoint"),
			      (const char *const[][2]){
				      { "grant_type", "client_credentials" },
				      { "client_id", client_id(rest) },
				      { "client_secret", rest_secret(rest, "client_secret") },
				      { "scope", "all" },
				      { NULL, NULL },
			      });
}

/* ---- zones and records ----------------------------------------------------------------------- */

static const char *const invalid[] = { "INVALID_CREDENTIAL", "INVALID_KEY", "NOT_CREDENTIAL",
				       NULL };

/* Whoever may see some zones alone is refused at all others: there is no zone of theirs. */
static bool is_invalid(const struct rest_answer *answer)
{
	const char *code = json_str(answer->json, "errorCode");

	for (size_t i = 0; code && invalid[i]; i++) {
		if (strcmp(code, invalid[i]) == 0) {
			return true;
		}
	}
	return !code;
}

static enum rest_next find_zone(struct rest_walk *walk, const struct rest_answer *answer)
{
	if (!answer) {
		rest_ask(walk, "GET", NULL, "/domain/zone/%s", walk->suffix);
		rest_accept(walk, 404);
		rest_accept(walk, 403);
		return REST_SEND;
	}
	if (answer->status == 200) {
		rest_zone_found(walk, walk->suffix, NULL);
	} else if (answer->status == 403 && is_invalid(answer)) {
		return rest_refused(walk, answer);
	}
	return REST_DONE;
}

static enum rest_next next_record(struct rest_walk *walk)
{
	size_t next = walk->step - 1; /* the first answer was the list */

	if (next >= walk->todo.count) {
		return REST_DONE;
	}
	rest_ask(walk, "GET", NULL, "/domain/zone/%s/record/%s", walk->zone->name,
		 walk->todo.item[next]);
	rest_accept(walk, 404); /* gone meanwhile */
	return REST_SEND;
}

/* A list of numbers, then each record. */
static enum rest_next read_records(struct rest_walk *walk, const struct rest_answer *answer)
{
	if (!answer) {
		return rest_ask(walk, "GET", NULL,
				"/domain/zone/%s/record?fieldType=TXT&subDomain=%s",
				walk->zone->name, walk->set->label);
	}
	for (size_t i = 0; walk->step == 1 && i < json_len(answer->json) && i < RECORDS_MAX; i++) {
		strlist_addf(&walk->todo, "%lld",
			     (long long)json_number(json_at(answer->json, i), 0));
	}
	if (walk->step > 1 && answer->status == 200) {
		rest_value(walk, json_str(answer->json, "target"), walk->todo.item[walk->step - 2]);
	}
	return next_record(walk);
}

static enum rest_next create(struct rest_walk *walk, const struct rest_answer *answer)
{
	struct json *body;
	char *target;

	if (answer) {
		return REST_DONE;
	}
	body = json_object();
	target = rest_quote(walk->value->text);
	json_set_str(body, "fieldType", "TXT");
	json_set_str(body, "subDomain", walk->set->label);
	json_set_str(body, "target", target);
	json_set_int(body, "ttl", walk->set->ttl_s);
	free(target);
	rest_ask(walk, "POST", body, "/domain/zone/%s/record", walk->zone->name);
	rest_once(walk);
	return REST_SEND;
}

static enum rest_next remove_record(struct rest_walk *walk, const struct rest_answer *answer)
{
	if (answer) {
		return REST_DONE;
	}
	rest_ask(walk, "DELETE", NULL, "/domain/zone/%s/record/%s", walk->zone->name,
		 walk->value->id);
	rest_accept(walk, 404);
	rest_repeatable(walk);
	return REST_SEND;
}

static enum rest_next refresh(struct rest_walk *walk, const struct rest_answer *answer)
{
	if (answer) {
		return REST_DONE;
	}
	rest_ask(walk, "POST", NULL, "/domain/zone/%s/refresh", walk->zone->name);
	rest_repeatable(walk);
	return REST_SEND;
}

extern const struct provider provider_ovh;

static const struct rest_api api = {
	.provider = &provider_ovh,
	.secrets = secrets,
	.secret_count = ARRAY_LEN(secrets),
	.self_size = sizeof(struct ovh),
	.open = open_api,
	.sign = sign,
	.token = get_token,
	.zone = find_zone,
	.read = read_records,
	.create = create,
	.remove = remove_record,
	.finish = refresh,
	.invalid = invalid,
	.zone_id = "zone",
};

static enum err_code ovh_open(const struct provider_host *host, const struct settings *given,
			      void **instance, struct err *err)
{
	return rest_open(&api, host, given, instance, err);
}

const struct provider provider_ovh = {
	.abi = PROVIDER_ABI,
	.name = "ovh",
	.summary = "OVHcloud DNS",
	.privilege = "Keys that may GET /domain/zone/ZONE/record and /domain/zone/ZONE/record/*, "
		     "POST /domain/zone/ZONE/record and /domain/zone/ZONE/refresh, and DELETE "
		     "/domain/zone/ZONE/record/*, for the zone in question alone, and GET "
		     "/domain/zone/ZONE unless zone is set; a service account by a policy with "
		     "dnsZone:apiovh:record/get, record/create, record/delete, refresh, and get. "
		     "They can change all of its records: _acme-challenge "
		     "may be a CNAME into a zone of its own.",
	.example = "{ name = \"ovh\";  type = \"ovh\";  application_key_file = \"ovh.key\";  "
		   "application_secret_file = \"ovh.secret\";  consumer_key_file = "
		   "\"ovh.consumer\"; }",
	.settings = rows,
	.setting_count = ARRAY_LEN(rows),
	.unit = PROVIDER_RECORDS,
	.ttl_min_s = 60,
	.batch_max = 100,
	.environment = "OVH_APPLICATION_KEY, OVH_APPLICATION_SECRET and OVH_CONSUMER_KEY; or "
		       "OVH_CLIENT_ID and OVH_CLIENT_SECRET",
	.open = ovh_open,
	.apply_start = rest_apply_start,
	.apply_cancel = rest_apply_cancel,
	.close = rest_close,
};
