/*
 * azure: DNS zones of Azure. Sets of records, with an etag for compare-and-swap. The token is that
 * of a service principal (client credentials), or of the machine's managed identity.
 */
#include "dns01/provider.h"

#include "dns01/rest.h"

#define API "api-version=2018-05-01"
#define STRING_MAX 255 /* octets in one string of a TXT record */

static const struct setting rows[] = {
	{
		.name = "subscription_id",
		.type = SETTING_STRING,
		.help = "The subscription that the zones are in.",
	},
	{
		.name = "resource_group",
		.type = SETTING_STRING,
		.help = "Only zones of this resource group are looked at; with zone set, none is "
			"looked for: for an identity that may not list zones.",
	},
	{
		.name = "tenant_id",
		.type = SETTING_STRING,
		.help = "The directory of the service principal.",
	},
	{
		.name = "client_id",
		.type = SETTING_STRING,
		.help = "The service principal; with managed_identity, the identity where the "
			"machine has several.",
	},
	REST_ROWS_SECRET("client_secret", "the service principal's secret"),
	{
		.name = "managed_identity",
		.type = SETTING_BOOL,
		.fallback = "false",
		.help = "Use the identity that Azure gives to this machine, in place of a "
			"service principal.",
	},
	{
		.name = "login_endpoint",
		.type = SETTING_URL,
		.choices = "http://",
		.fallback = "https://login.microsoftonline.com",
		.help = "Where a service principal gets its tokens.",
	},
	{
		.name = "metadata_endpoint",
		.type = SETTING_URL,
		.choices = "http://",
		.fallback = "http://169.254.169.254",
		.help = "Where a managed identity gets its tokens.",
	},
	REST_ROW_ZONE,
	REST_ROW_ENDPOINT("https://management.azure.com"),
	REST_ROW_CA_FILE,
	REST_ROW_TIMEOUT,
};

static const char *const secret_variables[] = { "AZURE_CLIENT_SECRET", NULL };

static const struct rest_secret secrets[] = {
	{ .name = "client_secret", .environment = secret_variables },
};

static const char *client_id(const struct rest *rest)
{
	static const char *const variables[] = { "AZURE_CLIENT_ID", NULL };

	return rest_setting_or(rest, "client_id", variables);
}

static const char *tenant_id(const struct rest *rest)
{
	static const char *const variables[] = { "AZURE_TENANT_ID", NULL };

	return rest_setting_or(rest, "tenant_id", variables);
}

static const char *subscription_id(const struct rest *rest)
{
	static const char *const variables[] = { "AZURE_SUBSCRIPTION_ID", NULL };

	return rest_setting_or(rest, "subscription_id", variables);
}

static enum err_code open_api(struct rest *rest, struct err *err)
{
	if (!subscription_id(rest)) {
		return err_set(err, ERR_CONFIG, "azure",
			       "subscription_id is not set, nor AZURE_SUBSCRIPTION_ID");
	}
	rest_account_is(rest, "subscription", subscription_id(rest));
	if (rest_setting_true(rest, "managed_identity") ||
	    (tenant_id(rest) && client_id(rest) && rest_has_secret(rest, "client_secret"))) {
		return ERR_NONE;
	}
	return err_set(
		err, ERR_CONFIG, "azure",
		"there is no credential: set tenant_id, client_id and client_secret_file; or "
		"managed_identity = true on a machine of Azure");
}

/* ---- tokens -------------------------------------------------------------------------------- */

static enum rest_next ask_principal(struct rest_walk *walk)
{
	const struct rest *rest = walk->rest;
	char *tenant = rest_percent(tenant_id(rest));
	char *url =
		xasprintf("%s/%s/oauth2/v2.0/token", rest_setting(rest, "login_endpoint"), tenant);
	enum rest_next next =
		rest_ask_token(walk, url,
			       (const char *const[][2]){
				       { "grant_type", "client_credentials" },
				       { "client_id", client_id(rest) },
				       { "client_secret", rest_secret(rest, "client_secret") },
				       { "scope", "https://management.azure.com/.default" },
				       { NULL, NULL },
			       });

	free(url);
	free(tenant);
	return next;
}

static enum rest_next ask_machine(struct rest_walk *walk)
{
	const struct rest *rest = walk->rest;
	char *id = rest_percent(client_id(rest) ? client_id(rest) : "");
	char *url =
		xasprintf("%s/metadata/identity/oauth2/token?api-version=2018-02-01&resource="
			  "https%%3A%%2F%%2Fmanagement.azure.com%%2F%s%s",
			  rest_setting(rest, "metadata_endpoint"), id[0] ? "&client_id=" : "", id);

	rest_ask_at(walk, "GET", url);
	rest_header(walk, "Metadata", "true");
	free(url);
	free(id);
	return REST_SEND;
}

static enum rest_next get_token(struct rest_walk *walk, const struct rest_answer *answer)
{
	if (answer) {
		return rest_take_token(walk, answer);
	}
	return rest_setting_true(walk->rest, "managed_identity") ? ask_machine(walk)
								 : ask_principal(walk);
}

/* ---- zones ----------------------------------------------------------------------------------- */

/* "/subscriptions/S/resourceGroups/GROUP/providers/...": GROUP; NULL: it is none. Gives. */
static char *group_of(const char *id)
{
	const char *at = id ? strcasestr(id, "/resourceGroups/") : NULL;

	at = at ? at + strlen("/resourceGroups/") : NULL;
	return at && strcspn(at, "/") > 0 ? xstrndup(at, strcspn(at, "/")) : NULL;
}

static enum rest_next list_zones(struct rest_walk *walk)
{
	const char *group = rest_setting(walk->rest, "resource_group");

	if (group) {
		return rest_ask(walk, "GET", NULL,
				"/subscriptions/%s/resourceGroups/%s/providers/Microsoft.Network/"
				"dnsZones?" API,
				subscription_id(walk->rest), group);
	}
	return rest_ask(walk, "GET", NULL,
			"/subscriptions/%s/providers/Microsoft.Network/dnszones?" API,
			subscription_id(walk->rest));
}

/* All of them; a zone's identifier here is its resource group. */
static enum rest_next find_zone(struct rest_walk *walk, const struct rest_answer *answer)
{
	const struct json *zones;
	const char *next;

	if (!answer) {
		return list_zones(walk);
	}
	zones = json_get(answer->json, "value");
	for (size_t i = 0; i < json_len(zones); i++) {
		char *group = group_of(json_str(json_at(zones, i), "id"));

		if (group) {
			rest_zone_found(walk, json_str(json_at(zones, i), "name"), group);
		}
		free(group);
	}
	next = json_str(answer->json, "nextLink");
	if (next && next[0]) {
		return rest_follow(walk, next);
	}
	rest_zones_all(walk);
	return REST_DONE;
}

/* ---- sets ------------------------------------------------------------------------------------ */

static enum rest_next ask_set(struct rest_walk *walk, const char *method, struct json *body)
{
	return rest_ask(walk, method, body,
			"/subscriptions/%s/resourceGroups/%s/providers/Microsoft.Network/dnsZones/"
			"%s/TXT/%s?" API,
			subscription_id(walk->rest), walk->zone->id, walk->zone->name,
			walk->set->label[0] ? walk->set->label : "@");
}

/* A record is a list of strings: its text is all of them, and that list is what is written back. */
static void take_record(struct rest_walk *walk, const struct json *strings)
{
	struct buf text = BUF_INIT(REST_ANSWER_MAX);
	char *raw = json_dump(strings);

	for (size_t i = 0; i < json_len(strings); i++) {
		const char *piece = json_text(json_at(strings, i));

		buf_add_str(&text, piece ? piece : "");
	}
	rest_value_text(walk, buf_str(&text), raw);
	free(raw);
	buf_clear(&text);
}

static enum rest_next read_set(struct rest_walk *walk, const struct rest_answer *answer)
{
	const struct json *properties, *records;

	if (!answer) {
		ask_set(walk, "GET", NULL);
		rest_accept(walk, 404);
		return REST_SEND;
	}
	if (answer->status == 404) {
		return REST_DONE;
	}
	if (!json_str(answer->json, "etag")) {
		return rest_lacks(walk, "the set's etag");
	}
	properties = json_get(answer->json, "properties");
	records = json_get(properties, "TXTRecords");
	rest_set_is(walk, json_int(properties, "TTL", 0), json_str(answer->json, "etag"));
	for (size_t i = 0; i < json_len(records); i++) {
		take_record(walk, json_get(json_at(records, i), "value"));
	}
	return REST_DONE;
}

static struct json *strings_of(const struct rest_value *value)
{
	struct json *strings = NULL;

	if (value->raw && json_parse(value->raw, strlen(value->raw), &strings, NULL) == ERR_NONE) {
		return strings;
	}
	strings = json_array();
	for (const char *at = value->text; *at; at += strnlen(at, STRING_MAX)) {
		char *piece = xstrndup(at, strnlen(at, STRING_MAX));

		json_add_str(strings, piece);
		free(piece);
	}
	return strings;
}

static struct json *body_of(const struct rest_set *set)
{
	struct json *body = json_object(), *properties = json_object(), *records = json_array();

	for (size_t i = 0; i < set->value_count; i++) {
		struct json *record = json_object();

		json_set(record, "value", strings_of(&set->value[i]));
		json_add(records, record);
	}
	json_set_int(properties, "TTL", set->ttl_s);
	json_set(properties, "TXTRecords", records);
	json_set(body, "properties", properties);
	return body;
}

/* PATCH keeps the metadata that a set may have. */
static enum rest_next write_set(struct rest_walk *walk, const struct rest_answer *answer)
{
	const struct rest_set *set = walk->set;

	if (answer) {
		return answer->status == 412 || answer->status == 409 ? REST_CONFLICT : REST_DONE;
	}
	if (set->value_count == 0) {
		ask_set(walk, "DELETE", NULL);
		rest_accept(walk, 404);
		rest_accept_plain(walk);
	} else {
		ask_set(walk, set->tag ? "PATCH" : "PUT", body_of(set));
	}
	if (set->tag) {
		rest_header(walk, "If-Match", set->tag);
	} else {
		rest_header(walk, "If-None-Match", "*");
	}
	rest_accept(walk, 409);
	rest_accept(walk, 412);
	return REST_SEND;
}

extern const struct provider provider_azure;

static const struct rest_api api = {
	.provider = &provider_azure,
	.secrets = secrets,
	.secret_count = ARRAY_LEN(secrets),
	.open = open_api,
	.token = get_token,
	.zone = find_zone,
	.read = read_set,
	.write = write_set,
	.zone_id = "resource_group",
};

static enum err_code azure_open(const struct provider_host *host, const struct settings *given,
				void **instance, struct err *err)
{
	return rest_open(&api, host, given, instance, err);
}

const struct provider provider_azure = {
	.abi = PROVIDER_ABI,
	.name = "azure",
	.summary = "Azure DNS",
	.privilege = "With zone and resource_group set: the role DNS Zone Contributor on that zone "
		     "alone, or a role of one's own with Microsoft.Network/dnsZones/TXT/read, "
		     ".../write and .../delete, which may be given on the one set "
		     ".../TXT/_acme-challenge. Without them Microsoft.Network/dnsZones/read too, "
		     "on the subscription or on the resource_group.",
	.example = "{ name = \"azure\";  type = \"azure\";  subscription_id = \"...\";  "
		   "tenant_id = \"...\";  client_id = \"...\";  client_secret_file = "
		   "\"azure.secret\"; }",
	.settings = rows,
	.setting_count = ARRAY_LEN(rows),
	.unit = PROVIDER_RRSETS,
	.ttl_min_s = 1,
	.batch_max = 100,
	.environment = "AZURE_SUBSCRIPTION_ID, AZURE_TENANT_ID, AZURE_CLIENT_ID and "
		       "AZURE_CLIENT_SECRET",
	.open = azure_open,
	.apply_start = rest_apply_start,
	.apply_cancel = rest_apply_cancel,
	.close = rest_close,
};
