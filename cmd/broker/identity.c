/*
 * identity: who asks. What a request shows is tried in one order: a token when it shows one, else
 * its certificate, else (on a Unix socket) its user, else where it comes from.
 */
#include "internal.h"

#include <grp.h>
#include <pwd.h>
#include <search.h>
#include <strings.h>

#define GROUPS_MAX 256
#define TOKEN_MAX 300

/* ---- the client of an address --------------------------------------------------------- */

static bool is_trusted(const struct strlist *proxies, const struct addr *addr)
{
	struct network network;

	for (size_t i = 0; proxies && i < proxies->count; i++) {
		if (network_parse(proxies->item[i], &network) && network_has(&network, addr)) {
			return true;
		}
	}
	return false;
}

/* X-Forwarded-For is believed from the last hop back, as long as each one is trusted. */
static void read_from(const struct proof *proof, struct identity *who)
{
	char *list = xstrdup(proof->forwarded ? proof->forwarded : "");

	who->from = proof->peer->addr;
	while (list[0] && is_trusted(proof->trusted_proxies, &who->from)) {
		char *comma = strrchr(list, ',');
		char *last = comma ? comma + 1 : list;
		struct addr addr;

		last += strspn(last, " ");
		last[strcspn(last, " ")] = '\0';
		if (!addr_parse(last, 0, &addr)) {
			break;
		}
		addr_unmap(&addr);
		who->from = addr;
		*(comma ? comma : list) = '\0';
	}
	free(list);
	if (who->from.len > 0) {
		addr_set_port(&who->from, 0);
		addr_format(who->from_text, &who->from, 0);
	} else {
		snprintf(who->from_text, sizeof(who->from_text), "uid %u",
			 (unsigned)proof->peer->uid);
	}
}

/* ---- grants --------------------------------------------------------------------- */

struct conf_client *broker_client_of_row(const struct client_row *row, struct err *err)
{
	struct conf_client *client = conf_client_new(row->name);
	struct json *json = NULL;
	enum err_code code = json_parse(row->grant, strlen(row->grant), &json, err);
	const struct json *value;
	const char *key;

	for (size_t i = 0; code == ERR_NONE && json_member(json, i, &key, &value); i++) {
		struct strlist list = { 0 };
		char *text;

		for (size_t k = 0; k < json_len(value); k++) {
			const char *item = json_text(json_at(value, k));

			strlist_add(&list, item ? item : "");
		}
		text = json_is_array(value) ? strlist_join(&list, "\n") : xstrdup(json_text(value));
		code = conf_client_set(client, key, text ? text : "", err);
		free(text);
		strlist_clear(&list);
	}
	json_free(json);
	if (code != ERR_NONE) {
		conf_client_free(client);
		return NULL;
	}
	return client;
}

/* By name: of the configuration, else of the store. */
static enum err_code find_grant(struct broker *broker, const char *client, struct identity *who,
				struct err *err)
{
	struct client_row *row = NULL;
	enum err_code code;

	who->grant = conf_find_client(who->generation->conf, client);
	if (who->grant) {
		return ERR_NONE;
	}
	code = clients_find(broker->clients, client, &row, err);
	if (code != ERR_NONE) {
		return code;
	}
	if (row->disabled) {
		code = err_set(err, ERR_DENIED, client, "this client is disabled");
	} else {
		who->own_grant = broker_client_of_row(row, err);
		who->grant = who->own_grant;
		code = who->grant ? ERR_NONE : err->code;
	}
	client_row_free(row);
	return code;
}

/* ---- tokens --------------------------------------------------------------------- */

static enum err_code refuse_token(struct err *err)
{
	return err_set(
		err, ERR_DENIED, "",
		"the token is not known here, or not any more; `dns01 token new CLIENT` makes "
		"one");
}

/* The client of the configuration with that digest among its own. */
static bool find_in_conf(const uint8_t hash[SHA256_LEN], struct identity *who)
{
	const struct conf *conf = who->generation->conf;
	char hex[2 * SHA256_LEN + 1];

	hex_encode(hex, sizeof(hex), hash, SHA256_LEN);
	for (size_t i = 0; i < conf->client_count; i++) {
		const struct strlist *known = &conf->client[i].token_sha256;

		for (size_t k = 0; k < known->count; k++) {
			if (equal_constant_time(known->item[k], hex, 2 * SHA256_LEN)) {
				who->grant = &conf->client[i];
				who->credential = xasprintf("token sha256 %.12s", hex);
				return true;
			}
		}
	}
	return false;
}

static enum err_code check_row(struct broker *broker, const struct token_row *row, struct err *err)
{
	int64_t now_s = world_wall_s(broker->world);
	char when[32];

	if (row->revoked_at != 0) {
		time_format(when, row->revoked_at);
		return err_set(err, ERR_DENIED, row->client, "token %s was revoked at %s", row->id,
			       when);
	}
	if (row->expires_at != 0 && row->expires_at <= now_s) {
		time_format(when, row->expires_at);
		return err_set(err, ERR_DENIED, row->client, "token %s expired at %s", row->id,
			       when);
	}
	return ERR_NONE;
}

/* "NAME", or "NAME NETWORK NETWORK": what it is for, and from where it may come. */
static enum err_code read_bound(const struct token_row *row, struct identity *who, struct err *err)
{
	const char *at = row->bound ? strchr(row->bound, ' ') : NULL;
	bool inside = !at;

	who->bound = row->bound ? xstrndup(row->bound, strcspn(row->bound, " ")) : NULL;
	while (at && *at) {
		size_t len = strcspn(++at, " ");
		char *text = xstrndup(at, len);
		struct network network;

		inside = inside ||
			 (network_parse(text, &network) && network_has(&network, &who->from));
		free(text);
		at += len;
	}
	return inside ? ERR_NONE
		      : err_set(err, ERR_DENIED, row->client,
				"the account %s may not be used from there (allowfrom)", row->id);
}

/* A token of the store by its public id; hash is of the whole of what was shown. */
static enum err_code find_in_store(struct broker *broker, const char *id,
				   const uint8_t hash[SHA256_LEN], struct identity *who,
				   struct err *err)
{
	const struct token_row *row = store_token(broker, id);
	enum err_code code;

	if (!row) {
		return refuse_token(err);
	}
	if (strcmp(row->kind, "tsig") == 0 || !equal_constant_time(hash, row->hash, SHA256_LEN)) {
		code = refuse_token(err);
	} else {
		code = check_row(broker, row, err);
	}
	if (code == ERR_NONE) {
		code = find_grant(broker, row->client, who, err);
	}
	if (code == ERR_NONE) {
		who->credential = xasprintf("token %s", row->id);
		code = read_bound(row, who, err);
	}
	if (code == ERR_NONE) {
		token_note_use(broker, row->id, who->from_text);
	}
	return code;
}

/* "dns01_ID_SECRET", or any token whose digest is in the configuration. */
static enum err_code by_token(struct broker *broker, const char *token, struct identity *who,
			      struct err *err)
{
	uint8_t hash[SHA256_LEN];
	char id[17];

	if (strlen(token) > TOKEN_MAX) {
		return refuse_token(err);
	}
	sha256(token, strlen(token), hash);
	if (find_in_conf(hash, who)) {
		return ERR_NONE;
	}
	if (strncmp(token, "dns01_", 6) != 0 || strlen(token) < 24 || token[22] != '_') {
		return refuse_token(err);
	}
	snprintf(id, sizeof(id), "%.16s", token + 6);
	return find_in_store(broker, id, hash, who, err);
}

/* RFC 7617: "user:password". */
static enum err_code by_basic(struct broker *broker, const char *encoded, struct identity *who,
			      struct err *err)
{
	uint8_t text[2 * TOKEN_MAX];
	size_t len = 0;
	char *colon;
	enum err_code code;

	if (!base64_decode_any(encoded, strlen(encoded), text, sizeof(text) - 1, &len)) {
		return refuse_token(err);
	}
	text[len] = '\0';
	colon = strchr((char *)text, ':');
	if (!colon) {
		code = refuse_token(err);
		goto out;
	}
	*colon = '\0';
	code = by_token(broker, colon + 1, who, err);
	if (code == ERR_NONE && text[0] != '\0' && strcmp((char *)text, who->grant->name) != 0) {
		code = refuse_token(err); /* another client's */
	}
out:
	wipe(text, sizeof(text));
	return code;
}

static enum err_code by_authorization(struct broker *broker, const char *header,
				      struct identity *who, struct err *err)
{
	if (strncasecmp(header, "Bearer ", 7) == 0) {
		return by_token(broker, header + 7 + strspn(header + 7, " "), who, err);
	}
	if (strncasecmp(header, "Basic ", 6) == 0) {
		return by_basic(broker, header + 6 + strspn(header + 6, " "), who, err);
	}
	return err_set(err, ERR_DENIED, "",
		       "write Authorization: Bearer TOKEN, or Basic with the "
		       "client's name and the token");
}

/* ---- certificates, users, networks ---------------------------------------------- */

static bool shares_a_name(const struct strlist *a, const struct strlist *b)
{
	for (size_t i = 0; i < a->count; i++) {
		if (strlist_has(b, a->item[i])) {
			return true;
		}
	}
	return false;
}

static bool by_certificate(const struct proof *proof, struct identity *who)
{
	const struct conf *conf = who->generation->conf;

	if (!proof->peer->cert_names) {
		return false;
	}
	for (size_t i = 0; i < conf->client_count; i++) {
		const struct conf_client *client = &conf->client[i];
		bool any = client->certificate_names.count == 0;

		if (strcmp(client->auth, "mtls") != 0 || (any && who->grant)) {
			continue;
		}
		if (any || shares_a_name(&client->certificate_names, proof->peer->cert_names)) {
			who->grant = client;
		}
		if (!any && who->grant == client) {
			break; /* who is named goes before whoever has a certificate */
		}
	}
	if (who->grant) {
		who->credential = xasprintf("certificate %s", proof->peer->cert_id);
		strlist_copy(&who->cert_names, proof->peer->cert_names);
		who->has_cert = true;
	}
	return who->grant != NULL;
}

static bool in_group(const char *group, const struct passwd *user, gid_t gid)
{
	const struct group *wanted = getgrnam(group);
	gid_t groups[GROUPS_MAX];
	int count = GROUPS_MAX;

	if (!wanted) {
		return false;
	}
	if (!user || getgrouplist(user->pw_name, gid, groups, &count) < 0) {
		return wanted->gr_gid == gid;
	}
	for (int i = 0; i < count; i++) {
		if (groups[i] == wanted->gr_gid) {
			return true;
		}
	}
	return false;
}

static bool by_user(const struct proof *proof, struct identity *who)
{
	const struct conf *conf = who->generation->conf;
	const struct passwd *user = proof->peer->is_unix ? getpwuid(proof->peer->uid) : NULL;

	for (size_t i = 0; proof->peer->is_unix && i < conf->client_count && !who->grant; i++) {
		const struct conf_client *client = &conf->client[i];

		if (strcmp(client->auth, "unix") != 0) {
			continue;
		}
		if ((client->user && user && strcmp(client->user, user->pw_name) == 0) ||
		    (client->group && in_group(client->group, user, proof->peer->gid))) {
			who->grant = client;
			who->credential = xasprintf("uid %u", (unsigned)proof->peer->uid);
		}
	}
	return who->grant != NULL;
}

static bool by_network(struct identity *who)
{
	const struct conf *conf = who->generation->conf;

	for (size_t i = 0; who->from.len > 0 && i < conf->client_count; i++) {
		if (strcmp(conf->client[i].auth, "network") == 0 &&
		    is_trusted(&conf->client[i].networks, &who->from)) {
			who->grant = &conf->client[i];
			who->credential = xstrdup("network");
			return true;
		}
	}
	return false;
}

/* ---- the whole ------------------------------------------------------------------ */

static struct identity *identity_new(struct broker *broker)
{
	struct identity *who = xcalloc(1, sizeof(*who));

	store_look(broker);
	who->refs = 1;
	who->generation = broker->generation;
	generation_hold(who->generation);
	return who;
}

enum err_code identify(struct broker *broker, const struct proof *proof, struct identity **out,
		       struct err *err)
{
	struct identity *who = identity_new(broker);
	uint8_t hash[SHA256_LEN];
	enum err_code code = ERR_NONE;

	read_from(proof, who);
	if (proof->user && proof->password) {
		sha256(proof->password, strlen(proof->password), hash);
		code = find_in_store(broker, proof->user, hash, who, err);
	} else if (proof->authorization) {
		code = by_authorization(broker, proof->authorization, who, err);
	} else if (!by_certificate(proof, who) && !by_user(proof, who) && !by_network(who)) {
		code = err_set(
			err, ERR_DENIED, "",
			"nothing says who asks: show a token (Authorization: Bearer TOKEN)%s",
			proof->peer->is_unix ? ", or be a user that is a client" : "");
	}
	if (code != ERR_NONE) {
		identity_free(who);
		return code;
	}
	*out = who;
	return ERR_NONE;
}

struct identity *identity_hold(struct identity *who)
{
	who->refs++;
	return who;
}

void identity_free(struct identity *who)
{
	if (!who || --who->refs > 0) {
		return;
	}
	generation_drop(who->generation);
	conf_client_free(who->own_grant);
	free(who->credential);
	free(who->bound);
	strlist_clear(&who->cert_names);
	free(who);
}

struct policy_client identity_policy(const struct identity *who)
{
	return (struct policy_client){
		.grant = who->grant,
		.cert_names = who->has_cert ? &who->cert_names : NULL,
		.from = &who->from,
	};
}

/* ---- TSIG keys ------------------------------------------------------------------ */

struct tsig_keys { /* of the configuration */
	struct tsig_key **key;
	const char **client;
	size_t count;
	struct tsig_key *stored; /* the last one of the store that was asked for */
};

struct tsig_keys *tsig_keys_load(const struct conf *conf, struct err *err)
{
	struct tsig_keys *keys = xcalloc(1, sizeof(*keys));

	keys->key = xcalloc(conf->client_count + 1, sizeof(*keys->key));
	keys->client = xcalloc(conf->client_count + 1, sizeof(*keys->client));
	for (size_t i = 0; i < conf->client_count; i++) {
		const struct conf_client *client = &conf->client[i];

		if (!client->tsig_key_file) {
			continue;
		}
		if (tsig_key_load(client->tsig_key_file, false, &keys->key[keys->count], err) !=
		    ERR_NONE) {
			tsig_keys_free(keys);
			return NULL;
		}
		keys->client[keys->count++] = client->name;
	}
	return keys;
}

void tsig_keys_free(struct tsig_keys *keys)
{
	if (!keys) {
		return;
	}
	for (size_t i = 0; i < keys->count; i++) {
		tsig_key_free(keys->key[i]);
	}
	tsig_key_free(keys->stored);
	free(keys->key);
	free(keys->client);
	free(keys);
}

static const struct tsig_key *stored_key(struct broker *broker, const char *name)
{
	struct tsig_keys *keys = broker->generation->keys;
	struct token_row *row = NULL;
	struct tsig_key *key = NULL;
	struct err err;

	if (tokens_find(broker->clients, name, &row, &err) == ERR_NONE && row->secret &&
	    check_row(broker, row, &err) == ERR_NONE) {
		struct tsig_key_text text = { .text = row->secret,
					      .len = strlen(row->secret),
					      .source = "clients.db" };

		if (tsig_key_parse(&text, &key, &err) != ERR_NONE) {
			log_warn("%s: %s", name, err.text);
		}
	}
	token_row_free(row);
	if (key) {
		tsig_key_free(keys->stored);
		keys->stored = key;
	}
	return key;
}

const struct tsig_key *broker_tsig_key(struct broker *broker, const char *name)
{
	const struct tsig_keys *keys = broker->generation->keys;

	for (size_t i = 0; i < keys->count; i++) {
		if (strcmp(keys->key[i]->name, name) == 0) {
			return keys->key[i];
		}
	}
	return stored_key(broker, name);
}

enum err_code identify_key(struct broker *broker, const char *key, const struct addr *from,
			   struct identity **out, struct err *err)
{
	const struct tsig_keys *keys = broker->generation->keys;
	struct identity *who = identity_new(broker);
	struct token_row *row = NULL;
	enum err_code code = ERR_NONE;
	const char *client = NULL;

	who->from = *from;
	addr_set_port(&who->from, 0);
	addr_format(who->from_text, &who->from, 0);
	for (size_t i = 0; i < keys->count; i++) {
		if (strcmp(keys->key[i]->name, key) == 0) {
			client = keys->client[i];
		}
	}
	if (!client) {
		code = tokens_find(broker->clients, key, &row, err);
		client = row ? row->client : NULL;
	}
	if (code == ERR_NONE) {
		code = find_grant(broker, client, who, err);
	}
	if (code == ERR_NONE) {
		who->credential = xasprintf("key %s", key);
		if (row) {
			token_note_use(broker, key, who->from_text);
		}
	}
	token_row_free(row);
	if (code != ERR_NONE) {
		identity_free(who);
		return code;
	}
	*out = who;
	return ERR_NONE;
}

/* ---- uses of tokens ------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct use *)a)->id, ((const struct use *)b)->id);
}

void token_note_use(struct broker *broker, const char *id, const char *from)
{
	struct use key = { .id = (char *)(uintptr_t)id };
	struct use **found = tfind(&key, &broker->uses, by_id);
	struct use *use = found ? *found : xcalloc(1, sizeof(*use));

	if (!found) {
		use->id = xstrdup(id);
		tsearch(use, &broker->uses, by_id);
		use->next = broker->use_list;
		broker->use_list = use;
		broker->use_count++;
	}
	if (!use->from || strcmp(use->from, from) != 0) {
		free(use->from);
		use->from = xstrdup(from);
	}
	use->at_s = world_wall_s(broker->world);
}

static void free_use(void *node)
{
	struct use *use = node;

	free(use->id);
	free(use->from);
	free(use);
}

void token_flush_uses(struct broker *broker)
{
	struct token_use *uses = xcalloc(broker->use_count + 1, sizeof(*uses));
	size_t count = 0;
	struct err err;

	for (struct use *use = broker->use_list; use; use = use->next) {
		uses[count++] = (struct token_use){ use->id, use->from, use->at_s };
	}
	if (count > 0 && tokens_used(broker->clients, uses, count, &err) != ERR_NONE) {
		log_warn("%s: %s; when tokens were last used is not written", err.subject,
			 err.text);
	}
	free(uses);
	tdestroy(broker->uses, free_use);
	broker->uses = NULL;
	broker->use_list = NULL;
	broker->use_count = 0;
}
