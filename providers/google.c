/*
 * google: Google Cloud DNS. Sets of records; one change deletes the set as it was read and adds
 * it as it shall be, which is refused when it is another by now. The token is that of a service
 * account's key file, or of the machine.
 */
#include "dns01/provider.h"

#include "dns01/crypto.h"
#include "dns01/rest.h"

#define SCOPE "https://www.googleapis.com/auth/ndev.clouddns.readwrite"
#define GRANT "urn:ietf:params:oauth:grant-type:jwt-bearer"
#define ASSERTION_S 3600

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
	{ .name = "key" },
};

struct google {
	bool machine;
	char *project;
	struct key *key;
	char *email, *key_id;
};

static void close_api(struct rest *rest)
{
	struct google *self = rest_self(rest);

	free(self->project);
	free(self->email);
	free(self->key_id);
	key_free(self->key);
}

/* ---- the service account's key --------------------------------------------------------------- */

static enum err_code take_account(struct google *self, const struct json *account, struct err *err)
{
	const char *pem = json_str(account, "private_key");

	if (!pem || !json_str(account, "client_email")) {
		return err_set(
			err, ERR_CONFIG, "google",
			"the key is not a service account's: it lacks private_key or "
			"client_email; make one in JSON by `gcloud iam service-accounts keys "
			"create`");
	}
	self->email = xstrdup(json_str(account, "client_email"));
	self->key_id = xstrdup(json_str(account, "private_key_id"));
	if (!self->project) {
		self->project = xstrdup(json_str(account, "project_id"));
	}
	return key_parse_pem(pem, strlen(pem), "the service account for google", &self->key, err);
}

static enum err_code take_key(struct google *self, const char *text, struct err *err)
{
	struct json *account = NULL;
	enum err_code code = ERR_NONE;

	if (json_parse(text, strlen(text), &account, NULL) != ERR_NONE) {
		return err_set(err, ERR_CONFIG, "google",
			       "the service account's key is no JSON; give the file as Google "
			       "made it");
	}
	if (!self->key) {
		code = take_account(self, account, err);
	}
	json_free(account);
	return code;
}

/* Google's own tools have the path of the key's file in a variable. */
static enum err_code take_customary(struct rest *rest, struct err *err)
{
	static const char *const variables[] = { "GOOGLE_APPLICATION_CREDENTIALS", NULL };
	const char *path = rest_environment(variables);
	struct buf text;
	enum err_code code;

	if (!path) {
		return err_set(err, ERR_CONFIG, "google",
			       "there is no credential: set key_file (or key_command, or the "
			       "environment variable %s); or machine = true on a machine of Google",
			       variables[0]);
	}
	code = file_read_secret(path, REST_SECRET_MAX, &text, err);
	if (code == ERR_NONE) {
		rest_hide(rest, buf_str(&text));
		code = take_key(rest_self(rest), buf_str(&text), err);
	}
	buf_wipe(&text);
	return code;
}

static enum err_code open_api(struct rest *rest, struct err *err)
{
	static const char *const variables[] = { "GCE_PROJECT", "GOOGLE_CLOUD_PROJECT", NULL };
	struct google *self = rest_self(rest);
	const char *project = rest_setting(rest, "project");
	enum err_code code = ERR_NONE;

	self->machine = rest_setting_true(rest, "machine");
	self->project = xstrdup(project ? project : rest_environment(variables));
	if (!self->machine && rest_secret(rest, "key")) {
		code = take_key(self, rest_secret(rest, "key"), err);
	} else if (!self->machine && !rest_has_secret(rest, "key")) {
		code = take_customary(rest, err);
	}
	if (code == ERR_NONE && !self->project) {
		code = err_set(err, ERR_CONFIG, "google",
			       "project is not set, and there is no key that says it");
	}
	return code;
}

/* ---- tokens -------------------------------------------------------------------------------- */

/* RFC 7523: who asks, for what, of whom, from when until when. */
static char *assertion(const struct rest_walk *walk)
{
	const struct google *self = rest_self(walk->rest);
	int64_t now_s = world_wall_s(rest_world(walk->rest));
	struct json *header = json_object(), *claims = json_object();
	char *header_text, *claims_text, *jwt;

	json_set_str(header, "alg", key_jws_alg(self->key));
	json_set_str(header, "typ", "JWT");
	json_set_str(header, "kid", self->key_id);
	json_set_str(claims, "iss", self->email);
	json_set_str(claims, "scope", SCOPE);
	json_set_str(claims, "aud", rest_setting(walk->rest, "token_endpoint"));
	json_set_int(claims, "iat", now_s);
	json_set_int(claims, "exp", now_s + ASSERTION_S);
	header_text = json_dump(header);
	claims_text = json_dump(claims);
	jwt = jwt_sign(self->key, header_text, claims_text);
	free(header_text);
	free(claims_text);
	json_free(header);
	json_free(claims);
	return jwt;
}

static enum rest_next ask_account(struct rest_walk *walk)
{
	struct google *self = rest_self(walk->rest);
	struct err err;
	char *jwt;

	/* of key_command */
	if (!self->key && take_key(self, rest_secret(walk->rest, "key"), &err) != ERR_NONE) {
		return rest_fail(walk, ERR_CONFIG, "%s", err.text);
	}
	jwt = assertion(walk);
	rest_hide(walk->rest, jwt);
	rest_ask_at(walk, "POST", rest_setting(walk->rest, "token_endpoint"));
	rest_body(walk, "application/x-www-form-urlencoded",
		  rest_form((const char *const[][2]){
			  { "grant_type", GRANT }, { "assertion", jwt }, { NULL, NULL } }));
	rest_repeatable(walk);
	wipe_str(jwt);
	return REST_SEND;
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
	const struct google *self = rest_self(walk->rest);
	const char *token;

	if (!answer) {
		return self->machine ? ask_machine(walk) : ask_account(walk);
	}
	token = json_str(answer->json, "access_token");
	if (!token) {
		return rest_lacks(walk, "the token");
	}
	rest_token(walk, token, json_int(answer->json, "expires_in", 0));
	return REST_DONE;
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
	.account = "project",
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
