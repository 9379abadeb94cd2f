/*
 * google: Google Cloud DNS. Sets of records; one change deletes the set as it was read and adds
 * it as it shall be, which is refused when it is another by now. The token is that of a service
 * account's key file, or of the machine.
 */
#include "dns01/provider.h"

#include "dns01/rest.h"

#define SCOPE "https://www.googleapis.com/auth/ndev.clouddns.readwrite"

static const struct setting rows[] = {
	REST_ROWS_SECRET("key", "a service account's key (JSON, as Google gives it)"),
	{
		.name = "machine",
		.type = SETTING_BOOL,
		.fallback = "false",
		.help = "Use the service account that Google gives to this machine, in place of a "
			"key.",
	},
	{
		.name = "project",
		.type = SETTING_STRING,
		.help = "The project that the zones are in. Left out: the key's own.",
	},
	{
		.name = "token_endpoint",
		.type = SETTING_URL,
		.choices = "http://",
		.fallback = "https://oauth2.googleapis.com/token",
		.help = "Where a service account gets its tokens.",
	},
	{
		.name = "metadata_endpoint",
		.type = SETTING_URL,
		.choices = "http://",
		.fallback = "http://169.254.169.254",
		.help = "Where the machine gets its tokens.",
	},
	REST_ROW_ZONE,
	REST_ROW_ZONE_ID,
	REST_ROW_ENDPOINT("https://dns.googleapis.com/dns/v1"),
	REST_ROW_CA_FILE,
	REST_ROW_TIMEOUT,
};

static const struct rest_secret secrets[] = {
	{ .name = "key", .path_variable = "GOOGLE_APPLICATION_CREDENTIALS" },
};

struct google {
	char *project;
};

static void close_api(struct rest *rest)
{
	struct google *self = rest_self(rest);

	free(self->project);
}

/* The project, and that the key is one; a key that a program prints is not known yet. */
static enum err_code open_api(struct rest *rest, struct err *err)
{
	static const char *const variables[] = { "GCE_PROJECT", "GOOGLE_CLOUD_PROJECT", NULL };
	struct google *self = rest_self(rest);
	struct google_account *account = NULL;
	const char *project = rest_setting_or(rest, "project", variables);
	bool machine = rest_setting_true(rest, "machine");
	enum err_code code = ERR_NONE;

	if (!machine && !rest_has_secret(rest, "key")) {
		return err_set(err, ERR_CONFIG, "google",
			       "there is no credential: set key_file (or key_command, or the "
			       "environment variable %s); or machine = true on a machine of Google",
			       secrets[0].path_variable);
	}
	if (!machine && rest_secret(rest, "key")) {
		code = google_account_parse(rest_secret(rest, "key"), &account, err);
	}
	self->project = xstrdup(project ? project : google_account_project(account));
	google_account_free(account);
	rest_account_is(rest, "project", self->project);
	if (code == ERR_NONE && !self->project) {
		code = err_set(err, ERR_CONFIG, "google",
			       "project is not set, and there is no key that says it");
	}
	return code;
}

/* ---- tokens -------------------------------------------------------------------------------- */

static enum rest_next ask_account(struct rest_walk *walk)
{
	struct google_account *account;
	enum rest_next next;
	struct err err;

	if (google_account_parse(rest_secret(walk->rest, "key"), &account, &err) != ERR_NONE) {
		return rest_fail(walk, ERR_CONFIG, "%s", err.text);
	}
	next = google_account_ask(account, walk, rest_setting(walk->rest, "token_endpoint"), SCOPE);
	google_account_free(account);
	return next;
}

static enum rest_next ask_machine(struct rest_walk *walk)
{
	char *scope = rest_percent(SCOPE);
	char *url = xasprintf("%s/computeMetadata/v1/instance/service-accounts/default/token?"
			      "scopes=%s",
			      rest_setting(walk->rest, "metadata_endpoint"), scope);

	rest_ask_at(walk, "GET", url);
	rest_header(walk, "Metadata-Flavor", "Google");
	free(url);
	free(scope);
	return REST_SEND;
}

static enum rest_next get_token(struct rest_walk *walk, const struct rest_answer *answer)
{
	if (answer) {
		return rest_take_token(walk, answer);
	}
	return rest_setting_true(walk->rest, "machine") ? ask_machine(walk) : ask_account(walk);
}

/* ---- zones and sets ------------------------------------------------------------------------ */

static const char *project_of(const struct rest_walk *walk)
{
	return ((const struct google *)rest_self(walk->rest))->project;
}

/* A private zone may have the same name: no CA sees that one. */
static bool is_public(const struct json *zone)
{
	const char *visibility = json_str(zone, "visibility");

	return !visibility || strcmp(visibility, "public") == 0;
}

static enum rest_next find_zone(struct rest_walk *walk, const struct rest_answer *answer)
{
	const struct json *zones = answer ? json_get(answer->json, "managedZones") : NULL;
	const char *next = answer ? json_str(answer->json, "nextPageToken") : "";

	for (size_t i = 0; i < json_len(zones); i++) {
		const struct json *zone = json_at(zones, i);

		if (is_public(zone)) {
			rest_zone_found(walk, json_str(zone, "dnsName"), json_str(zone, "name"));
		}
	}
	if (!next) {
		return REST_DONE;
	}
	return rest_ask(walk, "GET", NULL, "/projects/%s/managedZones?dnsName=%s.&pageToken=%s",
			project_of(walk), walk->suffix, next);
}

static enum rest_next read_set(struct rest_walk *walk, const struct rest_answer *answer)
{
	const struct json *set, *values;

	if (!answer) {
		return rest_ask(walk, "GET", NULL,
				"/projects/%s/managedZones/%s/rrsets?name=%s.&type=TXT",
				project_of(walk), walk->zone->id, walk->set->owner);
	}
	set = json_at(json_get(answer->json, "rrsets"), 0);
	values = json_get(set, "rrdatas");
	if (json_get(set, "routingPolicy")) {
		return rest_fail(walk, ERR_CONFIG,
				 "the set at this name has a routing policy; make it a simple one, "
				 "or the name a CNAME into another zone");
	}
	if (set) {
		rest_set_is(walk, json_int(set, "ttl", 0), NULL);
	}
	for (size_t i = 0; i < json_len(values); i++) {
		rest_value(walk, json_text(json_at(values, i)), NULL);
	}
	return REST_DONE;
}

struct set_text {
	const char *owner;
	uint32_t ttl_s;
	const struct rest_value *value;
	size_t count;
};

static void add_set(struct json *sets, const struct set_text *text)
{
	struct json *set, *values;
	char *name;

	if (text->count == 0) {
		return;
	}
	set = json_object();
	values = json_array();
	name = xasprintf("%s.", text->owner);
	for (size_t i = 0; i < text->count; i++) {
		char *raw = rest_raw(&text->value[i], true);

		json_add_str(values, raw);
		free(raw);
	}
	json_set_str(set, "name", name);
	json_set_str(set, "type", "TXT");
	json_set_int(set, "ttl", text->ttl_s);
	json_set(set, "rrdatas", values);
	json_add(sets, set);
	free(name);
}

static struct json *change_of(const struct rest_walk *walk)
{
	struct json *change = json_object(), *gone = json_array(), *come = json_array();

	for (size_t i = 0; i < walk->set_count; i++) {
		const struct rest_set *set = &walk->sets[i];

		add_set(gone,
			&(struct set_text){ set->owner, set->old_ttl_s, set->old, set->old_count });
		add_set(come,
			&(struct set_text){ set->owner, set->ttl_s, set->value, set->value_count });
	}
	json_set(change, "deletions", gone);
	json_set(change, "additions", come);
	return change;
}

static bool is_refused_swap(int status)
{
	return status == 404 || status == 409 || status == 412;
}

/* One change, then its state until it is "done": served by all of Google's name servers. */
static enum rest_next write_sets(struct rest_walk *walk, const struct rest_answer *answer)
{
	const char *status;

	if (!answer) {
		rest_ask(walk, "POST", change_of(walk), "/projects/%s/managedZones/%s/changes",
			 project_of(walk), walk->zone->id);
		rest_accept(walk, 404);
		rest_accept(walk, 409);
		rest_accept(walk, 412);
		return REST_SEND;
	}
	if (is_refused_swap(answer->status)) {
		return REST_CONFLICT;
	}
	status = json_str(answer->json, "status");
	if (!status || strcmp(status, "done") == 0) {
		return REST_DONE;
	}
	if (!walk->cursor) {
		walk->cursor = xstrdup(json_str(answer->json, "id"));
	}
	if (!walk->cursor) {
		return rest_lacks(walk, "the change's id");
	}
	rest_ask(walk, "GET", NULL, "/projects/%s/managedZones/%s/changes/%s", project_of(walk),
		 walk->zone->id, walk->cursor);
	return REST_LATER;
}

/* With 403, of requests a minute for a project or a user. */
static const char *const later[] = { "rateLimitExceeded", "userRateLimitExceeded", NULL };

extern const struct provider provider_google;

static const struct rest_api api = {
	.provider = &provider_google,
	.secrets = secrets,
	.secret_count = ARRAY_LEN(secrets),
	.self_size = sizeof(struct google),
	.open = open_api,
	.close = close_api,
	.token = get_token,
	.zone = find_zone,
	.read = read_set,
	.write = write_sets,
	.write_many = true,
	.later = later,
};

static enum err_code google_open(const struct provider_host *host, const struct settings *given,
				 void **instance, struct err *err)
{
	return rest_open(&api, host, given, instance, err);
}

const struct provider provider_google = {
	.abi = PROVIDER_ABI,
	.name = "google",
	.summary = "Google Cloud DNS",
	.privilege = "A service account with a role of one's own: dns.changes.create, "
		     "dns.changes.get, dns.resourceRecordSets.list, .create, .update and .delete, "
		     "on the managed zone in question alone, and dns.managedZones.list on the "
		     "project unless zone and zone_id are set.",
	.example = "{ name = \"google\";  type = \"google\";  key_file = "
		   "\"google-service-account.json\"; }",
	.settings = rows,
	.setting_count = ARRAY_LEN(rows),
	.unit = PROVIDER_RRSETS,
	.batch_max = 100,
	.in_sync = true,
	.environment = "GOOGLE_APPLICATION_CREDENTIALS (the key's file), GCE_PROJECT or "
		       "GOOGLE_CLOUD_PROJECT",
	.open = google_open,
	.apply_start = rest_apply_start,
	.apply_cancel = rest_apply_cancel,
	.close = rest_close,
};
