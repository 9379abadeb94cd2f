/*
 * cloudflare: DNS records by Cloudflare's API v4. Each TXT value is a record of its own; one that
 * is there already is refused with a code of its own, so it is added without a look.
 */
#include "dns01/provider.h"

#include "dns01/rest.h"

#define PAGE 50 /* zones in a page, at most */
#define RECORD_EXISTS 81057
#define RECORD_EXISTS_TOO 81058 /* "An identical record already exists." */

static const struct setting rows[] = {
	REST_ROWS_SECRET("token", "an API token"),
	{
		.name = "email",
		.type = SETTING_STRING,
		.help = "E-mail address of the account, for a global API key, which may do "
			"everything there; goes with key_file. A token is better.",
	},
	REST_ROWS_SECRET("key", "the global API key"),
	{
		.name = "account_id",
		.type = SETTING_STRING,
		.help = "Only zones of this account are looked at.",
	},
	REST_ROW_ZONE,
	REST_ROW_ZONE_ID,
	REST_ROW_ENDPOINT("https://api.cloudflare.com/client/v4"),
	REST_ROW_CA_FILE,
	REST_ROW_TIMEOUT,
};

static const char *const token_variables[] = { "CLOUDFLARE_API_TOKEN", "CLOUDFLARE_DNS_API_TOKEN",
					       "CF_DNS_API_TOKEN", "CF_API_TOKEN", NULL };
static const char *const key_variables[] = { "CLOUDFLARE_API_KEY", "CF_API_KEY", NULL };

static const struct rest_secret secrets[] = {
	{ .name = "token", .environment = token_variables },
	{ .name = "key", .environment = key_variables },
};

static const char *email_of(const struct rest *rest)
{
	static const char *const variables[] = { "CLOUDFLARE_EMAIL", "CF_API_EMAIL", NULL };

	return rest_setting_or(rest, "email", variables);
}

static enum err_code open_api(struct rest *rest, struct err *err)
{
	rest_account_is(rest, "account", email_of(rest));
	rest_account_is(rest, "account", rest_setting(rest, "account_id"));
	if (rest_has_secret(rest, "token") || (rest_has_secret(rest, "key") && email_of(rest))) {
		return ERR_NONE;
	}
	return err_set(err, ERR_CONFIG, "cloudflare",
		       "there is no credential: set token_file (or token_command, or the "
		       "environment variable %s); or email and key_file",
		       token_variables[0]);
}

static enum err_code sign(struct rest *rest, struct rest_request *request, struct err *err)
{
	const char *token = rest_secret(rest, "token");

	(void)err;
	if (token) {
		rest_request_header(request, "Authorization", "Bearer %s", token);
	} else {
		rest_request_header(request, "X-Auth-Email", "%s", email_of(rest));
		rest_request_header(request, "X-Auth-Key", "%s", rest_secret(rest, "key"));
	}
	return ERR_NONE;
}

static bool is_last_page(const struct rest_walk *walk, const struct rest_answer *answer)
{
	const struct json *info = json_get(answer->json, "result_info");

	return json_int(info, "total_pages", 1) <= (int64_t)walk->page;
}

/* All zones where they fit on a page; a large account is asked for each name. */
static enum rest_next ask_zones(struct rest_walk *walk, bool all)
{
	const char *account = rest_setting(walk->rest, "account_id");

	if (all && account) {
		return rest_ask(walk, "GET", NULL, "/zones?per_page=%d&account.id=%s", PAGE,
				account);
	}
	if (all) {
		return rest_ask(walk, "GET", NULL, "/zones?per_page=%d", PAGE);
	}
	if (account) {
		return rest_ask(walk, "GET", NULL, "/zones?name=%s&account.id=%s", walk->suffix,
				account);
	}
	return rest_ask(walk, "GET", NULL, "/zones?name=%s", walk->suffix);
}

static enum rest_next find_zone(struct rest_walk *walk, const struct rest_answer *answer)
{
	const struct json *zones = answer ? json_get(answer->json, "result") : NULL;

	for (size_t i = 0; i < json_len(zones); i++) {
		rest_zone_found(walk, json_str(json_at(zones, i), "name"),
				json_str(json_at(zones, i), "id"));
	}
	if (!answer) {
		walk->page = 1;
		return ask_zones(walk, true);
	}
	if (walk->step == 1 && !is_last_page(walk, answer)) {
		return ask_zones(walk, false);
	}
	if (walk->step == 1) {
		rest_zones_all(walk);
	}
	return REST_DONE;
}

static enum rest_next read_records(struct rest_walk *walk, const struct rest_answer *answer)
{
	const struct json *records = answer ? json_get(answer->json, "result") : NULL;

	for (size_t i = 0; i < json_len(records); i++) {
		const struct json *record = json_at(records, i);
		const char *name = json_str(record, "name");

		if (name && strcasecmp(name, walk->set->owner) == 0) {
			rest_value(walk, json_str(record, "content"), json_str(record, "id"));
		}
	}
	if (answer && is_last_page(walk, answer)) {
		return REST_DONE;
	}
	return rest_ask(walk, "GET", NULL,
			"/zones/%s/dns_records?type=TXT&name.exact=%s&per_page=100&page=%u",
			walk->zone->id, walk->set->owner, ++walk->page);
}

static bool says_it_exists(const struct rest_answer *answer)
{
	const struct json *errors = json_get(answer->json, "errors");

	for (size_t i = 0; i < json_len(errors); i++) {
		int64_t code = json_int(json_at(errors, i), "code", 0);

		if (code == RECORD_EXISTS || code == RECORD_EXISTS_TOO) {
			return true;
		}
	}
	return false;
}

static enum rest_next create(struct rest_walk *walk, const struct rest_answer *answer)
{
	struct json *body;
	char *content;

	if (answer) {
		return answer->status == 200 || says_it_exists(answer) ? REST_DONE
								       : rest_refused(walk, answer);
	}
	body = json_object();
	content = rest_quote(walk->value->text);
	json_set_str(body, "type", "TXT");
	json_set_str(body, "name", walk->set->owner);
	json_set_str(body, "content", content);
	json_set_int(body, "ttl", walk->set->ttl_s);
	free(content);
	rest_ask(walk, "POST", body, "/zones/%s/dns_records", walk->zone->id);
	rest_accept(walk, 400);
	return REST_SEND;
}

static enum rest_next remove_record(struct rest_walk *walk, const struct rest_answer *answer)
{
	if (answer) {
		return REST_DONE;
	}
	rest_ask(walk, "DELETE", NULL, "/zones/%s/dns_records/%s", walk->zone->id, walk->value->id);
	rest_accept(walk, 404);
	rest_repeatable(walk);
	return REST_SEND;
}

static void said(const struct rest_answer *answer, struct buf *out)
{
	const struct json *error = json_at(json_get(answer->json, "errors"), 0);
	const struct json *cause = json_at(json_get(error, "error_chain"), 0);

	if (json_str(error, "message")) {
		buf_addf(out, "%s (code %lld)", json_str(error, "message"),
			 (long long)json_int(error, "code", 0));
	}
	if (json_str(cause, "message")) {
		buf_addf(out, ": %s", json_str(cause, "message"));
	}
}

/* "Invalid access token"; "Authentication error", which may be a right that is missing, too. */
static const char *const invalid[] = { "9109", "10000", NULL };

extern const struct provider provider_cloudflare;

static const struct rest_api api = {
	.provider = &provider_cloudflare,
	.secrets = secrets,
	.secret_count = ARRAY_LEN(secrets),
	.open = open_api,
	.sign = sign,
	.zone = find_zone,
	.read = read_records,
	.create = create,
	.remove = remove_record,
	.said = said,
	.invalid = invalid,
	.refuses_twins = true,
};

static enum err_code cloudflare_open(const struct provider_host *host, const struct settings *given,
				     void **instance, struct err *err)
{
	return rest_open(&api, host, given, instance, err);
}

const struct provider provider_cloudflare = {
	.abi = PROVIDER_ABI,
	.name = "cloudflare",
	.summary = "Cloudflare DNS",
	.privilege = "An API token with the permissions Zone / Zone / Read and Zone / DNS / Edit, "
		     "for the zones in question alone. It can change all of a zone's records: "
		     "Cloudflare has nothing narrower, but _acme-challenge may be a CNAME into a "
		     "zone of its own.",
	.example = "{ name = \"shop\";  type = \"cloudflare\";  token_file = "
		   "\"cloudflare.token\"; }",
	.settings = rows,
	.setting_count = ARRAY_LEN(rows),
	.unit = PROVIDER_RECORDS,
	.ttl_min_s = 60,
	.batch_max = 200,
	.environment = "CLOUDFLARE_API_TOKEN, CLOUDFLARE_DNS_API_TOKEN, CF_DNS_API_TOKEN or "
		       "CF_API_TOKEN; CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY",
	.open = cloudflare_open,
	.apply_start = rest_apply_start,
	.apply_cancel = rest_apply_cancel,
	.close = rest_close,
};
