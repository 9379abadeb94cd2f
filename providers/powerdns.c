/*
 * powerdns: the HTTP API of PowerDNS's authoritative server. A batch is one PATCH. Newer servers
 * (4.9.12, 5.0.2) add and remove single values, EXTEND and PRUNE, as long as the value has the TTL
 * of its set, which is therefore read once it is another than ours. An older server refuses that
 * once, and from then on whole sets are read, merged and replaced.
 */
#include "dns01/provider.h"

#include "dns01/rest.h"

static const struct setting rows[] = {
	{
		.name = "endpoint",
		.type = SETTING_URL,
		.choices = "http://",
		.required = true,
		.help = "URL of the server, such as https://dns.example.com:8081; http:// to "
			"loopback alone.",
	},
	REST_ROWS_SECRET("key", "the API key (api-key in pdns.conf)"),
	{
		.name = "server_id",
		.type = SETTING_STRING,
		.fallback = "localhost",
		.help = "The server's identifier in the API.",
	},
	{
		.name = "notify",
		.type = SETTING_BOOL,
		.fallback = "true",
		.help = "Have the server notify the zone's secondaries after each change.",
	},
	REST_ROW_ZONE,
	REST_ROW_CA_FILE,
	REST_ROW_TIMEOUT,
};

static const char *const key_variables[] = { "PDNS_API_KEY", NULL };

static const struct rest_secret secrets[] = {
	{ .name = "key", .environment = key_variables, .required = true },
};

struct powerdns {
	bool replaces; /* the server knows neither EXTEND nor PRUNE */
	bool reads;    /* there are sets with a TTL of their own */
};

static enum err_code sign(struct rest *rest, struct rest_request *request, struct err *err)
{
	(void)err;
	rest_request_header(request, "X-API-Key", "%s", rest_secret(rest, "key"));
	return ERR_NONE;
}

static const char *server_of(const struct rest_walk *walk)
{
	return rest_setting(walk->rest, "server_id");
}

/* Secondaries go by the serial, which the API leaves alone unless it is told otherwise. */
static void warn_of_serial(const struct rest_walk *walk, const struct json *zone)
{
	const char *edit = json_str(zone, "soa_edit_api"), *kind = json_str(zone, "kind");

	if (edit && !edit[0] && kind &&
	    (strcmp(kind, "Master") == 0 || strcmp(kind, "Primary") == 0)) {
		log_warn("powerdns: zone %s: the API does not raise its serial, so its secondaries "
			 "will not see the change; run: pdnsutil set-meta %s SOA-EDIT-API DEFAULT",
			 walk->suffix, walk->suffix);
	}
}

static enum rest_next find_zone(struct rest_walk *walk, const struct rest_answer *answer)
{
	const struct json *zone = answer ? json_at(answer->json, 0) : NULL;

	if (!answer) {
		return rest_ask(walk, "GET", NULL, "/api/v1/servers/%s/zones?zone=%s.&dnssec=false",
				server_of(walk), walk->suffix);
	}
	if (zone) {
		rest_zone_found(walk, json_str(zone, "name"), json_str(zone, "id"));
		rest_ask(walk, "GET", NULL, "/api/v1/servers/%s/zones/%s?rrsets=false",
			 server_of(walk), json_str(zone, "id"));
		rest_accept(walk, 404);
		return REST_SEND;
	}
	warn_of_serial(walk, answer->json);
	return REST_DONE;
}

static struct json *record_of(const char *content, bool disabled)
{
	struct json *record = json_object();

	json_set_str(record, "content", content);
	json_set_bool(record, "disabled", disabled);
	return record;
}

/* All of it is written back: one that is disabled stays so. */
static void take_record(struct rest_walk *walk, const struct json *record)
{
	const char *content = json_str(record, "content");
	struct json *kept;
	char *text, *raw;

	if (!content) {
		return;
	}
	kept = record_of(content, json_bool(record, "disabled", false));
	text = rest_unquote(content);
	raw = json_dump(kept);
	rest_value_text(walk, text, raw);
	free(raw);
	free(text);
	json_free(kept);
}

static void take_set(struct rest_walk *walk, const struct json *rrset, const char *name)
{
	const struct json *records = json_get(rrset, "records");
	const char *type = json_str(rrset, "type"), *owner = json_str(rrset, "name");

	if (!type || !owner || strcmp(type, "TXT") != 0 || strcasecmp(owner, name) != 0) {
		return;
	}
	rest_set_is(walk, json_int(rrset, "ttl", 0), NULL);
	for (size_t i = 0; i < json_len(records); i++) {
		take_record(walk, json_at(records, i));
	}
}

static enum rest_next read_set(struct rest_walk *walk, const struct rest_answer *answer)
{
	struct powerdns *self = rest_self(walk->rest);
	const struct json *rrsets = answer ? json_get(answer->json, "rrsets") : NULL;
	char *name;

	if (!self->replaces && !self->reads) {
		return REST_DONE;
	}
	name = xasprintf("%s.", walk->set->owner);
	for (size_t i = 0; i < json_len(rrsets); i++) {
		take_set(walk, json_at(rrsets, i), name);
	}
	if (!answer) {
		rest_ask(walk, "GET", NULL,
			 "/api/v1/servers/%s/zones/%s?rrset_name=%s&rrset_type=TXT",
			 server_of(walk), walk->zone->id, name);
	}
	free(name);
	return answer ? REST_DONE : REST_SEND;
}

static struct json *change_of(const struct rest_set *set, const char *changetype,
			      struct json *records)
{
	struct json *rrset = json_object();
	char *name = xasprintf("%s.", set->owner);

	json_set_str(rrset, "name", name);
	json_set_str(rrset, "type", "TXT");
	json_set_str(rrset, "changetype", changetype);
	json_set_int(rrset, "ttl", set->ttl_s);
	json_set(rrset, "records", records);
	free(name);
	return rrset;
}

static void add_replacement(struct json *rrsets, const struct rest_set *set)
{
	struct json *records = json_array();

	for (size_t i = 0; i < set->value_count; i++) {
		const char *raw = set->value[i].raw;
		char *content = rest_quote(set->value[i].text);
		struct json *record = NULL;

		if (!raw || json_parse(raw, strlen(raw), &record, NULL) != ERR_NONE) {
			record = record_of(content, false);
		}
		json_add(records, record);
		free(content);
	}
	json_add(rrsets, change_of(set, set->value_count > 0 ? "REPLACE" : "DELETE", records));
}

static void add_values(struct json *rrsets, const struct rest_set *set, const char *changetype,
		       const struct strlist *values)
{
	for (size_t i = 0; i < values->count; i++) {
		struct json *records = json_array();
		char *content = rest_quote(values->item[i]);

		json_add(records, record_of(content, false));
		json_add(rrsets, change_of(set, changetype, records));
		free(content);
	}
}

static enum rest_next patch(struct rest_walk *walk, bool replace)
{
	struct json *body = json_object(), *rrsets = json_array();

	for (size_t i = 0; i < walk->set_count; i++) {
		if (replace) {
			add_replacement(rrsets, &walk->sets[i]);
		} else {
			add_values(rrsets, &walk->sets[i], "PRUNE", &walk->sets[i].remove);
			add_values(rrsets, &walk->sets[i], "EXTEND", &walk->sets[i].add);
		}
	}
	json_set(body, "rrsets", rrsets);
	rest_ask(walk, "PATCH", body, "/api/v1/servers/%s/zones/%s", server_of(walk),
		 walk->zone->id);
	if (!replace) {
		rest_accept(walk, 422);
		rest_accept(walk, 400);
	}
	return REST_SEND;
}

static enum rest_next write_sets(struct rest_walk *walk, const struct rest_answer *answer)
{
	struct powerdns *self = rest_self(walk->rest);

	if (!answer) {
		return patch(walk, self->replaces);
	}
	if (answer->status < 300) {
		if (self->replaces) {
			rest_look_again(walk);
		}
		return REST_DONE;
	}
	if (strstr(answer->body, "hangetype")) {
		self->replaces = true; /* "Changetype not understood" */
		return REST_CONFLICT;
	}
	if (strstr(answer->body, "TTL") && !self->reads) {
		self->reads = true; /* "uses a different TTL value than the remainder" */
		return REST_CONFLICT;
	}
	return rest_refused(walk, answer);
}

static enum rest_next notify(struct rest_walk *walk, const struct rest_answer *answer)
{
	if (answer || !rest_setting_true(walk->rest, "notify")) {
		return REST_DONE;
	}
	rest_ask(walk, "PUT", NULL, "/api/v1/servers/%s/zones/%s/notify", server_of(walk),
		 walk->zone->id);
	rest_accept(walk, 400); /* a zone that is native: it has no secondaries to tell */
	rest_accept(walk, 422);
	rest_accept_plain(walk);
	rest_repeatable(walk);
	return REST_SEND;
}

extern const struct provider provider_powerdns;

static const struct rest_api api = {
	.provider = &provider_powerdns,
	.secrets = secrets,
	.secret_count = ARRAY_LEN(secrets),
	.self_size = sizeof(struct powerdns),
	.sign = sign,
	.zone = find_zone,
	.read = read_set,
	.write = write_sets,
	.finish = notify,
	.write_many = true,
};

static enum err_code powerdns_open(const struct provider_host *host, const struct settings *given,
				   void **instance, struct err *err)
{
	return rest_open(&api, host, given, instance, err);
}

const struct provider provider_powerdns = {
	.abi = PROVIDER_ABI,
	.name = "powerdns",
	.summary = "PowerDNS Authoritative Server by its HTTP API",
	.privilege = "The server's API key, which may do everything there; webserver-allow-from "
		     "narrows who may use it. Where that is too much, a zone of its own for the "
		     "challenges on another server, or rfc2136 with a key for that zone.",
	.example = "{ name = \"pdns\";  type = \"powerdns\";  endpoint = "
		   "\"https://dns.example.com:8081\";  key_file = \"pdns.key\"; }",
	.settings = rows,
	.setting_count = ARRAY_LEN(rows),
	.unit = PROVIDER_RRSETS_RACY,
	.batch_max = 500,
	.environment = "PDNS_API_KEY",
	.open = powerdns_open,
	.apply_start = rest_apply_start,
	.apply_cancel = rest_apply_cancel,
	.close = rest_close,
};
