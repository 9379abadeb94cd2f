/* book: who may do what. The oracle here and cmd/broker/policy.c know nothing of each other. */
#include "dns01/crypto.h"
#include "dns01/json.h"
#include "dns01/store.h"
#include "sim/crowd.h"

#define CHALLENGE "_acme-challenge."
#define TEXT_MAX (8 * 1024 * 1024)

/* ---- what is granted ---- */

static const char *zone_of(const struct member *member)
{
	return member->index % 2 == 0 ? "zon0.test" : "zon1.test";
}

static void grant_first(struct member *member)
{
	struct grant *grant = &member->grant[0];
	size_t i = member->index;
	const char *zone = zone_of(member);

	strlist_addf(&grant->names, "h%zu.%s", i, zone);
	if (i % 4 == 1) {
		strlist_addf(&grant->under, "d%zu.%s", i, zone);
		strlist_addf(&grant->except, "no.d%zu.%s", i, zone);
	}
	if (i % 5 == 0 && i > 0) { /* shared with its neighbour */
		strlist_addf(&grant->names, "h%zu.%s", i - 1, zone_of(member - 1));
	}
	if (i % 3 == 0) { /* in the other zone */
		strlist_addf(&grant->names, "o%zu.%s", i, i % 2 == 0 ? "zon1.test" : "zon0.test");
	}
	if (i % 7 == 3) {
		strlist_addf(&grant->targets, "t%zu.zon1.test", i);
	}
	grant->wildcard = i % 6 == 2 || i == 4;
	if (i == 3 || i == 4) { /* an apex: with `wildcard` alone it is of use */
		strlist_add(&grant->names, i == 3 ? "zon0.test" : "zon1.test");
	}
	if (i == 6) { /* another has names below it */
		strlist_add(&grant->names, "d5.zon1.test");
	}
}

/* What somebody changed in the file. Clients of the store stay as they are. */
static void grant_second(struct member *member)
{
	struct grant *grant = &member->grant[1];
	const struct grant *first = &member->grant[0];
	size_t i = member->index;

	strlist_copy(&grant->names, &first->names);
	strlist_copy(&grant->under, &first->under);
	strlist_copy(&grant->except, &first->except);
	strlist_copy(&grant->targets, &first->targets);
	grant->wildcard = first->wildcard;
	if (member->stored) {
		return;
	}
	if (i % 4 == 2) {
		strlist_clear(&grant->names);
		strlist_addf(&grant->names, "n%zu.%s", i, zone_of(member));
	}
	if (i % 4 == 1) {
		strlist_addf(&grant->except, "b.d%zu.%s", i, zone_of(member));
	}
	if (i % 6 == 2) {
		grant->wildcard = false;
	}
	if (i % 7 == 3) {
		strlist_clear(&grant->targets);
	}
}

void book_grant(struct crowd *crowd)
{
	for (size_t i = 0; i < crowd->count; i++) {
		grant_first(&crowd->member[i]);
		grant_second(&crowd->member[i]);
	}
}

/* ---- the oracle ---- */

/* -1: not at or below top; 0: it is top; 1: below it. */
static int below(const char *name, const char *top)
{
	size_t len = strlen(name), of = strlen(top);

	if (len == of) {
		return strcmp(name, top) == 0 ? 0 : -1;
	}
	return len > of && name[len - of - 1] == '.' && strcmp(name + len - of, top) == 0 ? 1 : -1;
}

static bool any_at_or_below(const struct strlist *list, const char *name, int least)
{
	for (size_t i = 0; i < list->count; i++) {
		if (below(name, list->item[i]) >= least) {
			return true;
		}
	}
	return false;
}

/* Whether an item of the list is strictly below name. */
static bool has_below(const struct strlist *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++) {
		if (below(list->item[i], name) == 1) {
			return true;
		}
	}
	return false;
}

/* A value for name proves its wildcard: who says so may, and who has all of what that is. */
static bool may_prove_wildcard(const struct crowd *crowd, const struct member *member,
			       const char *name, unsigned edition)
{
	const struct grant *grant = &member->grant[edition];

	if (grant->wildcard) {
		return true;
	}
	if (strcmp(name, "zon0.test") == 0 || strcmp(name, "zon1.test") == 0 ||
	    has_below(&grant->except, name)) {
		return false;
	}
	for (size_t i = 0; i < crowd->count; i++) {
		const struct member *other = &crowd->member[i];

		if (other != member && (has_below(&other->grant[edition].names, name) ||
					has_below(&other->grant[edition].under, name))) {
			return false;
		}
	}
	return true;
}

static bool may_name(const struct crowd *crowd, const struct member *member, const char *name,
		     unsigned edition)
{
	const struct grant *grant = &member->grant[edition];
	bool given = strlist_has(&grant->names, name) || any_at_or_below(&grant->under, name, 1);

	return given && !any_at_or_below(&grant->except, name, 0) &&
	       may_prove_wildcard(crowd, member, name, edition);
}

bool book_may(const struct crowd *crowd, const struct member *member, const char *owner,
	      unsigned edition)
{
	size_t len = strlen(owner), suffix = strlen(TARGET_SUFFIX) + 1;
	char name[WIRE_TEXT_MAX];

	if (member->reads) {
		return false;
	}
	if (strlist_has(&member->grant[edition].targets, owner)) {
		return true;
	}
	if (strncmp(owner, CHALLENGE, strlen(CHALLENGE)) == 0 &&
	    may_name(crowd, member, owner + strlen(CHALLENGE), edition)) {
		return true;
	}
	if (below(owner, TARGET_SUFFIX) != 1) {
		return false;
	}
	snprintf(name, sizeof(name), "%.*s", (int)(len - suffix), owner);
	return may_name(crowd, member, name, edition);
}

/* ---- what they ask for ---- */

void book_pick_name(struct crowd *crowd, const struct member *member, char out[WIRE_TEXT_MAX])
{
	const struct grant *grant = &member->grant[crowd->edition];
	size_t pick = sim_below(crowd->sim, grant->names.count + grant->under.count);

	if (pick < grant->names.count) {
		snprintf(out, WIRE_TEXT_MAX, "%s", grant->names.item[pick]);
		return;
	}
	snprintf(out, WIRE_TEXT_MAX, "%s%c.%s", sim_below(crowd->sim, 2) ? "deep." : "",
		 (char)('a' + sim_below(crowd->sim, 3)),
		 grant->under.item[pick - grant->names.count]);
}

bool book_pick_greedy(struct crowd *crowd, const struct member *member, char out[WIRE_TEXT_MAX])
{
	static const struct {
		const char *before, *after;
		bool of_other, owner, bare;
	} forms[] = {
		{ "", "", true, false, false },
		{ "evil", "", false, false, false },
		{ "below.", "", false, false, false },
		{ "*.", "", true, false, false },
		{ "no.", "", false, false, false },
		{ "_acme-challenge.", "", false, false, false },
		{ "_acme-challenge.", "", true, true, false },
		{ "", "." TARGET_SUFFIX, true, true, false },
		{ "", "", true, true, false },
		{ "_acme-challenge._acme-challenge.", "", true, true, false },
		{ "zon0.test", "", false, false, true },
		{ "test", "", false, false, true },
		{ "_acme-challenge.zon1.test", "", false, true, true },
	};
	size_t pick = sim_below(crowd->sim, ARRAY_LEN(forms));
	const struct member *whose = forms[pick].of_other ? crowd_pick(crowd, member) : member;
	char name[WIRE_TEXT_MAX];

	book_pick_name(crowd, whose, name);
	if (strcmp(forms[pick].before, "evil") == 0 && whose->grant[0].under.count > 0) {
		snprintf(name, sizeof(name), "%s", whose->grant[0].under.item[0]);
	}
	if (sim_below(crowd->sim, 8) == 0) {
		name[0] = (char)(name[0] - 'a' + 'A');
	}
	snprintf(out, WIRE_TEXT_MAX, "%s%.100s%s", forms[pick].before, forms[pick].bare ? "" : name,
		 forms[pick].after);
	return forms[pick].owner;
}

/* ---- the configuration ---- */

static void add_list(struct buf *out, const char *key, const struct strlist *list)
{
	char *joined = strlist_join(list, "\", \"");

	if (list->count > 0) {
		buf_addf(out, " %s = [ \"%s\" ];", key, joined);
	}
	free(joined);
}

static void add_zone(struct buf *out, const struct crowd *crowd, const char *suffix,
		     const char *provider)
{
	buf_addf(out,
		 "  { suffix = \"%s\"; providers = [ \"%s\" ]; resolvers = [ \"" NET_RESOLVER
		 "\" ]; deadline = \"2m\"; quorum = \"%s\"; target = %s; }",
		 suffix, provider, crowd->reachable ? "reachable" : "all",
		 strcmp(suffix, TARGET_SUFFIX) == 0 ? "true" : "false");
}

static void add_zones(struct buf *out, const struct crowd *crowd)
{
	const struct net *net = crowd->sim->net;

	add_providers(out, net, crowd->state);
	buf_add_str(out, "zones = (\n");
	for (size_t i = 0; i < net->zone_count; i++) {
		add_zone(out, crowd, net->zone[i].name, net->zone[i].name);
		buf_add_str(out, ",\n");
	}
	add_zone(out, crowd, TARGET_SUFFIX, "zon1.test");
	buf_add_str(out, "\n);\n");
}

static void token_hash(const struct member *member, uint8_t hash[SHA256_LEN])
{
	sha256(member->token, strlen(member->token), hash);
}

static void add_member(struct buf *out, const struct member *member, unsigned edition)
{
	const struct grant *grant = &member->grant[edition];
	uint8_t hash[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1];

	buf_addf(out, "  { name = \"%s\";", member->name);
	if (member->by_key) {
		buf_addf(out, " auth = \"tsig\"; tsig_key_file = \"%s/%s.key\";",
			 member->crowd->state, member->name);
	} else {
		token_hash(member, hash);
		hex_encode(hex, sizeof(hex), hash, sizeof(hash));
		buf_addf(out, " auth = \"token\"; token_sha256 = [ \"%s\" ];", hex);
	}
	if (member->reads) {
		buf_add_str(out, " role = \"read\";");
	}
	buf_addf(out, " lease = \"%llds\"; wait = \"%llds\"; wildcard = %s;",
		 (long long)member->lease_s, (long long)member->wait_s,
		 grant->wildcard ? "true" : "false");
	add_list(out, "names", &grant->names);
	add_list(out, "under", &grant->under);
	add_list(out, "except", &grant->except);
	add_list(out, "targets", &grant->targets);
	buf_add_str(out, " }");
}

char *book_text(const struct crowd *crowd, unsigned edition)
{
	struct buf out = BUF_INIT(TEXT_MAX);
	bool first = true;

	buf_addf(&out,
		 "state = \"%s\";\naudit = \"/dev/null\";\nrequests_max = 5000;\n"
		 "listeners = (\n  { unix = \"" CROWD_SOCKET
		 "\"; doors = [ \"api\", \"httpreq\" ]; },"
		 "\n  { dns = \"" CROWD_DNS "\"; doors = [ \"update\" ]; }\n);\n",
		 crowd->state);
	add_zones(&out, crowd);
	buf_add_str(&out, "clients = (\n");
	for (size_t i = 0; i < crowd->count; i++) {
		if (!crowd->member[i].stored) {
			buf_add_str(&out, first ? "" : ",\n");
			add_member(&out, &crowd->member[i], edition);
			first = false;
		}
	}
	buf_add_str(&out, "\n);\n");
	return buf_detach(&out);
}

/* ---- clients.db ---- */

static void must(enum err_code code, const struct err *err)
{
	if (code != ERR_NONE) {
		fprintf(stderr, "sim: %s: %s\n", err->subject, err->text);
		abort();
	}
}

static struct json *list_json(const struct strlist *list)
{
	struct json *array = json_array();

	for (size_t i = 0; i < list->count; i++) {
		json_add_str(array, list->item[i]);
	}
	return array;
}

static char *grant_json(const struct member *member)
{
	const struct grant *grant = &member->grant[0];
	struct json *object = json_object();
	char seconds[32], *text;

	json_set(object, "names", list_json(&grant->names));
	json_set(object, "under", list_json(&grant->under));
	json_set(object, "except", list_json(&grant->except));
	json_set(object, "targets", list_json(&grant->targets));
	json_set_str(object, "wildcard", grant->wildcard ? "true" : "false");
	snprintf(seconds, sizeof(seconds), "%llds", (long long)member->lease_s);
	json_set_str(object, "lease", seconds);
	snprintf(seconds, sizeof(seconds), "%llds", (long long)member->wait_s);
	json_set_str(object, "wait", seconds);
	text = json_dump(object);
	json_free(object);
	return text;
}

static void store_one(struct clients *clients, const struct member *member)
{
	char *grant = grant_json(member);
	char *secret = base64_encode(member->secret, sizeof(member->secret));
	char *key = xasprintf("key \"%s\" { algorithm hmac-sha256; secret \"%s\"; };\n",
			      member->key, secret);
	char id[32], tsig[] = "tsig", api[] = "api";
	struct token_row row = {
		.id = id,
		.client = (char *)(uintptr_t)member->name,
		.kind = member->by_key ? tsig : api,
		.secret = member->by_key ? key : NULL,
		.created_at = SIM_WALL_S,
	};
	struct err err;

	if (member->by_key) {
		snprintf(id, sizeof(id), "%s", member->key);
	} else {
		snprintf(id, sizeof(id), "%.16s", member->token + 6);
		token_hash(member, row.hash);
	}
	must(clients_add(clients, member->name, grant, SIM_WALL_S, &err), &err);
	must(tokens_add(clients, &row, &err), &err);
	free(grant);
	free(secret);
	free(key);
}

void book_store(struct crowd *crowd)
{
	struct clients *clients = NULL;
	struct err err;

	must(clients_open(crowd->state, &clients, &err), &err);
	for (size_t i = 0; i < crowd->count; i++) {
		const struct member *member = &crowd->member[i];
		char *path = xasprintf("%s/%s.key", crowd->state, member->name);

		if (member->stored) {
			store_one(clients, member);
		} else if (member->by_key) {
			write_key(path, member->key, member->secret);
		}
		free(path);
	}
	clients_close(clients);
}
