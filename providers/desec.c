/*
 * desec: RRsets by the API of deSEC. All names of a zone go out in one PUT, since few writes a
 * minute are allowed. There is no compare-and-swap, so everything is looked at again afterwards.
 */
#include "dns01/provider.h"

#include "dns01/rest.h"

#define TTL_MIN_S 3600 /* minimum_ttl of a domain, unless somebody asked deSEC for less */

static const struct setting rows[] = {
	REST_ROWS_SECRET("token", "a token"),
	REST_ROW_ZONE,
	REST_ROW_ENDPOINT("https://desec.io/api/v1"),
	REST_ROW_CA_FILE,
	REST_ROW_TIMEOUT,
};

static const char *const variables[] = { "DESEC_TOKEN", "DEDYN_TOKEN", NULL };

static const struct rest_secret secrets[] = {
	{ .name = "token", .environment = variables, .required = true },
};

static enum err_code sign(struct rest *rest, struct rest_request *request, struct err *err)
{
	(void)err;
	rest_request_header(request, "Authorization", "Token %s", rest_secret(rest, "token"));
	return ERR_NONE;
}

/* All domains at once; past 500 the API refuses that, and is asked for the one of each name. */
static enum rest_next find_zone(struct rest_walk *walk, const struct rest_answer *answer)
{
	if (!answer) {
		rest_ask(walk, "GET", NULL, "/domains/");
		rest_accept(walk, 400);
		return REST_SEND;
	}
	if (answer->status == 400 && walk->step == 1) {
		return rest_ask(walk, "GET", NULL, "/domains/?owns_qname=%s", walk->suffix);
	}
	for (size_t i = 0; i < json_len(answer->json); i++) {
		rest_zone_found(walk, json_str(json_at(answer->json, i), "name"), NULL);
	}
	if (walk->step == 1) {
		rest_zones_all(walk);
	}
	return REST_DONE;
}

static void take_set(struct rest_walk *walk, const struct json *rrset)
{
	const struct json *records = json_get(rrset, "records");

	rest_set_is(walk, json_int(rrset, "ttl", 0), NULL);
	for (size_t i = 0; i < json_len(records); i++) {
		rest_value(walk, json_text(json_at(records, i)), NULL);
	}
}

/* Of all the sets of that type those that were asked for. */
static void take_sets(struct rest_walk *walk, const struct json *rrset)
{
	const char *label = json_str(rrset, "subname");

	for (size_t i = 0; label && i < walk->set_count; i++) {
		if (strcmp(walk->sets[i].label, label) == 0) {
			walk->set = &walk->sets[i];
			take_set(walk, rrset);
		}
	}
}

static enum rest_next list_sets(struct rest_walk *walk, const struct rest_answer *answer)
{
	enum rest_next next;
	char *link;

	if (!answer) {
		return rest_ask(walk, "GET", NULL,
				"/domains/%s/rrsets/?type=TXT&cursor=", walk->zone->name);
	}
	for (size_t i = 0; i < json_len(answer->json); i++) {
		take_sets(walk, json_at(answer->json, i));
	}
	link = rest_next_link(answer);
	next = link ? rest_follow(walk, link) : REST_DONE;
	free(link);
	return next;
}

/* Few reads a minute are allowed, too: several sets are looked for in the list of all. */
static enum rest_next read_sets(struct rest_walk *walk, const struct rest_answer *answer)
{
	const char *label = walk->set->label[0] ? walk->set->label : "@";

	if (walk->set_count > 1) {
		return list_sets(walk, answer);
	}
	if (!answer) {
		rest_ask(walk, "GET", NULL, "/domains/%s/rrsets/%s/TXT/", walk->zone->name, label);
		rest_accept(walk, 404);
		return REST_SEND;
	}
	if (answer->status != 404) {
		take_set(walk, answer->json);
	}
	return REST_DONE;
}

/* Without records the set is deleted. */
static struct json *rrset_of(const struct rest_set *set)
{
	struct json *rrset = json_object(), *records = json_array();

	for (size_t i = 0; i < set->value_count; i++) {
		char *raw = rest_raw(&set->value[i], true);

		json_add_str(records, raw);
		free(raw);
	}
	json_set_str(rrset, "subname", set->label);
	json_set_str(rrset, "type", "TXT");
	json_set_int(rrset, "ttl", set->ttl_s > 0 ? set->ttl_s : TTL_MIN_S);
	json_set(rrset, "records", records);
	return rrset;
}

static enum rest_next write_sets(struct rest_walk *walk, const struct rest_answer *answer)
{
	struct json *body;

	if (answer) {
		rest_look_again(walk);
		return REST_DONE;
	}
	body = json_array();
	for (size_t i = 0; i < walk->set_count; i++) {
		json_add(body, rrset_of(&walk->sets[i]));
	}
	return rest_ask(walk, "PUT", body, "/domains/%s/rrsets/", walk->zone->name);
}

/* {"detail": "..."}, or for each set {"MEMBER": ["...", ...]}. */
static void said(const struct rest_answer *answer, struct buf *out)
{
	const struct json *set = answer->json, *texts;
	const char *member;

	for (size_t i = 0; i < json_len(answer->json) && out->len == 0; i++) {
		set = json_at(answer->json, i);
		for (size_t k = 0; json_member(set, k, &member, &texts); k++) {
			const char *text = json_text(json_at(texts, 0));

			buf_addf(out, "%s%s: %s", out->len > 0 ? "; " : "", member,
				 text ? text : "not accepted");
		}
	}
}

extern const struct provider provider_desec;

static const struct rest_api api = {
	.provider = &provider_desec,
	.secrets = secrets,
	.secret_count = ARRAY_LEN(secrets),
	.sign = sign,
	.zone = find_zone,
	.read = read_sets,
	.write = write_sets,
	.said = said,
	.write_many = true,
	.read_many = true,
	.zone_id = "zone",
	.gap_ms = 110, /* ten requests a second */
};

static enum err_code desec_open(const struct provider_host *host, const struct settings *given,
				void **instance, struct err *err)
{
	return rest_open(&api, host, given, instance, err);
}

const struct provider provider_desec = {
	.abi = PROVIDER_ABI,
	.name = "desec",
	.summary = "deSEC",
	.privilege =
		"A token with policies: one by default that may not write, and for each domain "
		"one for subname _acme-challenge and type TXT that may (perm_write). deSEC "
		"allows 15 writes a minute and 300 a day for a domain.",
	.example = "{ name = \"desec\";  type = \"desec\";  token_file = \"desec.token\"; }",
	.settings = rows,
	.setting_count = ARRAY_LEN(rows),
	.unit = PROVIDER_RRSETS_RACY,
	.ttl_min_s = TTL_MIN_S,
	.batch_max = 200,
	.in_flight_max = 2,
	.environment = "DESEC_TOKEN or DEDYN_TOKEN",
	.open = desec_open,
	.apply_start = rest_apply_start,
	.apply_cancel = rest_apply_cancel,
	.close = rest_close,
};
