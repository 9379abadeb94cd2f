/* dns01 client, dns01 token: the broker's clients in the store, and their credentials. */
#include "cli.h"

#include <time.h>

#define SECRET_OCTETS 32
#define DAY_S 86400

struct store_run {
	struct options options;
	struct conf *conf;
	struct clients *clients;
	struct json *list; /* with --json */
	size_t shown;
};

static enum err_code open_store(struct store_run *run, struct err *err)
{
	struct options of_conf = run->options; /* --set is about the client here */
	enum err_code code;

	of_conf.set = (struct strlist){ 0 };
	code = cli_conf(&of_conf, &run->conf, err);
	if (code == ERR_NONE) {
		code = state_open(run->conf->state, err);
	}
	return code == ERR_NONE ? clients_open(run->conf->state, &run->clients, err) : code;
}

static int64_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

/* ---- grants --------------------------------------------------------------------- */

/* Commas between the items of a list become newlines. */
static char *list_text(const char *text)
{
	char *lines = xstrdup(text);

	for (char *at = lines; *at; at++) {
		*at = (char)(*at == ',' ? '\n' : *at);
	}
	return lines;
}

static const struct setting *grant_row(const char *name)
{
	for (size_t i = 0; conf_client_row(i); i++) {
		if (strcmp(conf_client_row(i)->name, name) == 0) {
			return conf_client_row(i);
		}
	}
	return NULL;
}

static enum err_code set_one(struct conf_client *client, const char *given, struct json *grant,
			     struct err *err)
{
	const char *equals = strchr(given, '=');
	char *name = xstrndup(given, equals ? (size_t)(equals - given) : strlen(given));
	const struct setting *row = grant_row(name);
	enum err_code code;
	char *text;

	if (!equals) {
		code = err_set(err, ERR_USAGE, "", "--set %s: write --set KEY=VALUE", given);
		free(name);
		return code;
	}
	text = row && row->type == SETTING_STRINGS ? list_text(equals + 1) : xstrdup(equals + 1);
	code = conf_client_set(client, name, text, err);
	if (code == ERR_NONE) {
		json_set_str(grant, name, "");
	}
	free(text);
	free(name);
	return code;
}

static void add_value(struct json *grant, const struct setting *row, const char *text)
{
	struct json *list;
	size_t len;

	if (row->type != SETTING_STRINGS) {
		json_set_str(grant, row->name, text);
		return;
	}
	list = json_array();
	for (const char *at = text; *at; at += len + (at[len] == '\n')) {
		char *item;

		len = strcspn(at, "\n");
		item = xstrndup(at, len);
		json_add_str(list, item);
		free(item);
	}
	json_set(grant, row->name, list);
}

/* What --set says, checked, as the store keeps it. Gives; NULL with err. */
static char *grant_json(const struct store_run *run, const char *name, struct err *err)
{
	struct conf_client *client = conf_client_new(name);
	struct json *given = json_object(), *grant = json_object();
	enum err_code code = ERR_NONE;
	char *text = NULL;

	for (size_t i = 0; i < run->options.set.count && code == ERR_NONE; i++) {
		code = set_one(client, run->options.set.item[i], given, err);
	}
	if (code == ERR_NONE) {
		code = cli_canonical_client(client, err);
	}
	for (size_t i = 0; code == ERR_NONE && conf_client_row(i); i++) {
		const struct setting *row = conf_client_row(i);
		char *value = conf_client_get(client, row);

		if (json_str(given, row->name) && value) {
			add_value(grant, row, value);
		}
		free(value);
	}
	if (code == ERR_NONE) {
		text = json_dump(grant);
	}
	json_free(given);
	json_free(grant);
	conf_client_free(client);
	return text;
}

/* ---- client --------------------------------------------------------------------- */

/* One of the configuration has a row, too, once it has a token; its grant is not there. */
static void show_client(void *arg, const struct client_row *row)
{
	struct store_run *run = arg;
	struct json *object, *grant = NULL;
	bool configured = conf_find_client(run->conf, row->name) != NULL;
	struct err err;

	run->shown++;
	if (!run->options.json) {
		printf("%-24s %-8s %zu token%s  %s\n", row->name, row->disabled ? "disabled" : "",
		       row->tokens, row->tokens == 1 ? "" : "s",
		       configured ? "of the configuration" : row->grant);
		return;
	}
	object = json_object();
	json_set_str(object, "name", row->name);
	json_set_bool(object, "disabled", row->disabled);
	json_set_int(object, "tokens", (int64_t)row->tokens);
	json_set_bool(object, "configured", configured);
	if (!configured && json_parse(row->grant, strlen(row->grant), &grant, &err) == ERR_NONE) {
		json_set(object, "grant", grant);
	}
	json_add(run->list, object);
}

/* Those of the configuration that have no token in the store. */
static enum err_code show_configured(struct store_run *run, struct err *err)
{
	enum err_code code = ERR_NONE;
	char none[] = "{}";

	for (size_t i = 0; i < run->conf->client_count && code == ERR_NONE; i++) {
		struct client_row row = { .name = run->conf->client[i].name, .grant = none };
		struct client_row *stored = NULL;

		code = clients_find(run->clients, row.name, &stored, err);
		if (code == ERR_NOT_FOUND) {
			show_client(run, &row);
			code = ERR_NONE;
		}
		client_row_free(stored);
	}
	return code;
}

static void print_list(struct store_run *run, const char *key)
{
	struct json *object = json_object();
	char *text;

	json_set(object, key, run->list);
	run->list = NULL;
	text = json_dump(object);
	puts(text);
	free(text);
	json_free(object);
}

static enum err_code client_put(struct store_run *run, const char *name, bool add, struct err *err)
{
	char *grant = grant_json(run, name, err);
	enum err_code code = grant ? ERR_NONE : err->code;

	if (code == ERR_NONE && conf_find_client(run->conf, name)) {
		code = err_set(err, ERR_EXISTS, name,
			       "the configuration has a client of that name, which is what counts");
	}
	if (code == ERR_NONE) {
		code = add ? clients_add(run->clients, name, grant, now_s(), err)
			   : clients_set_grant(run->clients, name, grant, err);
	}
	if (code == ERR_NONE && !run->options.quiet) {
		printf("%s %s\n", name, grant);
		if (add) {
			printf("next: dns01 token new %s\n", name);
		}
	}
	free(grant);
	return code;
}

static enum err_code client_run(struct store_run *run, struct err *err)
{
	const char *what = run->options.names[0];
	const char *name = run->options.name_count > 1 ? run->options.names[1] : NULL;
	enum err_code code;

	if (strcmp(what, "list") == 0 && !name) {
		run->list = json_array();
		code = clients_list(run->clients, now_s(), show_client, run, err);
		if (code == ERR_NONE) {
			code = show_configured(run, err);
		}
		if (code == ERR_NONE && run->options.json) {
			print_list(run, "clients");
		}
		return code;
	}
	if (name && strcmp(what, "add") == 0) {
		return client_put(run, name, true, err);
	}
	if (name && strcmp(what, "set") == 0) {
		return client_put(run, name, false, err);
	}
	if (name && (strcmp(what, "disable") == 0 || strcmp(what, "enable") == 0)) {
		if (conf_find_client(run->conf, name)) {
			return err_set(err, ERR_USAGE, name,
				       "it is a client of the configuration: take it out there, or "
				       "revoke its tokens");
		}
		return clients_set_disabled(run->clients, name, what[0] == 'd', err);
	}
	return err_set(err, ERR_USAGE, "",
		       "write dns01 client add|set|disable|enable NAME, or list");
}

/* ---- token ---------------------------------------------------------------------- */

static void random_text(struct world *world, char *hex_id, char *secret, size_t secret_size)
{
	uint8_t draw[SECRET_OCTETS];

	world_random(world, draw, 8);
	hex_encode(hex_id, 17, draw, 8);
	world_random(world, draw, sizeof(draw));
	base64url_encode(secret, secret_size, draw, sizeof(draw));
	wipe(draw, sizeof(draw));
}

static void show_api(const char *client, const char *token)
{
	printf("# for %s: write the token into a file that only it may read (mode 0600), and set\n"
	       "# DNS01_BROKER=https://BROKER:PORT DNS01_TOKEN_FILE=FILE\n%s\n",
	       client, token);
}

static void show_httpreq(const char *client, const char *token)
{
	printf("# for %s: lego, Traefik and others on lego\n"
	       "HTTPREQ_ENDPOINT=https://BROKER:PORT\nHTTPREQ_USERNAME=%s\nHTTPREQ_PASSWORD=%s\n"
	       "# acme.sh --dns dns_acmeproxy, Proxmox, OPNsense\n"
	       "ACMEPROXY_ENDPOINT=https://BROKER:PORT\nACMEPROXY_USERNAME=%s\n"
	       "ACMEPROXY_PASSWORD=%s\n",
	       client, client, token, client, token);
}

static void show_acmedns(const char *name, const char *id, const char *password)
{
	printf("# goacmedns, lego, cert-manager, Caddy: the account of %s\n"
	       "{\"%s\":{\"fulldomain\":\"_acme-challenge.%s\",\"subdomain\":\"%s\","
	       "\"username\":\"%s\",\"password\":\"%s\",\"server_url\":\"https://BROKER:PORT\"}}\n",
	       name, name, name, id, id, password);
}

static void show_tsig(const char *id, const char *key)
{
	printf("# BIND's form, for nsupdate -k and the like\n%s"
	       "# certbot-dns-rfc2136 wants it as\n#   dns_rfc2136_server = BROKER'S ADDRESS\n"
	       "#   dns_rfc2136_port = PORT\n#   dns_rfc2136_name = %s\n"
	       "#   dns_rfc2136_algorithm = HMAC-SHA256\n"
	       "#   dns_rfc2136_secret = the secret above\n",
	       key, id);
}

struct minted {
	struct token_row row;
	char id[64];
	char secret[64];
	char *shown; /* the whole credential */
};

static void base64_standard(char *text)
{
	for (; *text; text++) {
		*text = (char)(*text == '-' ? '+' : *text == '_' ? '/' : *text);
	}
}

/* The credential of that kind; the row keeps its digest, or for TSIG the key itself. */
static enum err_code mint(struct world *world, const char *kind, struct minted *out,
			  struct err *err)
{
	char hex[17];

	random_text(world, hex, out->secret, sizeof(out->secret));
	snprintf(out->id, sizeof(out->id), "%s", hex);
	if (strcmp(kind, "tsig") == 0) {
		snprintf(out->id, sizeof(out->id), "dns01-%s", hex);
		base64_standard(out->secret);
		out->shown = xasprintf("key \"%s\" { algorithm hmac-sha256; secret \"%s=\"; };\n",
				       out->id, out->secret);
		out->row.secret = out->shown;
	} else if (strcmp(kind, "acmedns") == 0) {
		char more[17], unused[64];

		random_text(world, more, unused, sizeof(unused));
		snprintf(out->id, sizeof(out->id), "%.8s-%.4s-4%.3s-8%.3s-%.12s", hex, hex + 8,
			 hex + 12, more, more + 3);
		out->shown = xasprintf("%.40s", out->secret);
	} else if (strcmp(kind, "api") == 0 || strcmp(kind, "httpreq") == 0) {
		out->shown = xasprintf("dns01_%s_%s", hex, out->secret);
	} else {
		return err_set(err, ERR_USAGE, "", "--as %s: write api, httpreq, acmedns or tsig",
			       kind);
	}
	sha256(out->shown, strlen(out->shown), out->row.hash);
	if (out->row.secret) {
		memset(out->row.hash, 0, sizeof(out->row.hash));
	}
	out->row.id = out->id;
	return ERR_NONE;
}

static enum err_code read_terms(const struct store_run *run, const char *kind, char *bound,
				struct token_row *row, struct err *err)
{
	int64_t lives_ms = 0;
	char name[NAME_TEXT_MAX];

	if (run->options.expires && !duration_parse(run->options.expires, &lives_ms)) {
		return err_set(err, ERR_USAGE, "",
			       "--expires %s is not a duration; write 90d or 12h",
			       run->options.expires);
	}
	row->created_at = now_s();
	row->expires_at = lives_ms > 0 ? row->created_at + lives_ms / 1000 : 0;
	if (strcmp(kind, "acmedns") != 0) {
		return run->options.for_name
			       ? err_set(err, ERR_USAGE, "", "--for goes with --as acmedns")
			       : ERR_NONE;
	}
	if (!run->options.for_name) {
		return err_set(err, ERR_USAGE, "",
			       "--as acmedns makes an account for one name; write --for NAME");
	}
	row->bound = bound;
	if (name_parse(run->options.for_name, name, err) != ERR_NONE) {
		return err->code;
	}
	/* RFC 8555 s.8.4: the challenge of *.NAME is at NAME's. */
	snprintf(bound, NAME_TEXT_MAX, "%s", name_base(name));
	return ERR_NONE;
}

static void show_minted(const struct store_run *run, const char *kind, const struct minted *minted)
{
	const char *client = minted->row.client;
	struct json *object;
	char *text;

	if (run->options.json) {
		object = json_object();
		json_set_str(object, "client", client);
		json_set_str(object, "id", minted->id);
		json_set_str(object, "kind", kind);
		json_set_str(object, "credential", minted->shown);
		text = json_dump(object);
		puts(text);
		wipe_str(text);
		json_free(object);
	} else if (strcmp(kind, "tsig") == 0) {
		show_tsig(minted->id, minted->shown);
	} else if (strcmp(kind, "acmedns") == 0) {
		show_acmedns(minted->row.bound, minted->id, minted->shown);
	} else if (strcmp(kind, "httpreq") == 0) {
		show_httpreq(client, minted->shown);
	} else {
		show_api(client, minted->shown);
	}
}

static enum err_code token_new(struct store_run *run, const char *client, struct err *err)
{
	const char *kind = run->options.as ? run->options.as : "api";
	struct minted minted = { .shown = NULL };
	struct world *world = world_real_new(err);
	char bound[NAME_TEXT_MAX];
	struct err unused;
	enum err_code code = world ? mint(world, kind, &minted, err) : err->code;

	minted.row.client = (char *)(uintptr_t)client;
	minted.row.kind = (char *)(uintptr_t)kind;
	if (code == ERR_NONE) {
		code = read_terms(run, kind, bound, &minted.row, err);
	}
	/* A client of the configuration has no row of its own yet; its grant stays there. */
	if (code == ERR_NONE && conf_find_client(run->conf, client) &&
	    clients_add(run->clients, client, "{}", now_s(), &unused) == ERR_NONE) {
		log_debug("%s: noted in the store for its tokens", client);
	}
	if (code == ERR_NONE) {
		code = tokens_add(run->clients, &minted.row, err);
	}
	if (code == ERR_NONE) {
		show_minted(run, kind, &minted);
	}
	wipe_str(minted.shown);
	wipe(minted.secret, sizeof(minted.secret));
	world_real_free(world);
	return code;
}

static void when(char out[32], int64_t at_s, const char *never)
{
	if (at_s == 0) {
		snprintf(out, 32, "%s", never);
	} else {
		time_format(out, at_s);
	}
}

static void show_token(void *arg, const struct token_row *row)
{
	struct store_run *run = arg;
	struct json *object;
	char expires[32], used[32], revoked[32];

	run->shown++;
	when(expires, row->expires_at, "never");
	when(used, row->used_at, "never");
	when(revoked, row->revoked_at, "");
	if (!run->options.json) {
		printf("%-24s %-36s %-8s expires %s, used %s%s%s%s%s%s%s\n", row->client, row->id,
		       row->kind, expires, used, row->used_from ? " from " : "",
		       row->used_from ? row->used_from : "", row->bound ? ", for " : "",
		       row->bound ? row->bound : "", row->revoked_at ? ", REVOKED " : "", revoked);
		return;
	}
	object = json_object();
	json_set_str(object, "client", row->client);
	json_set_str(object, "id", row->id);
	json_set_str(object, "kind", row->kind);
	json_set_str(object, "for", row->bound);
	json_set_str(object, "expires_at", row->expires_at ? expires : NULL);
	json_set_str(object, "used_at", row->used_at ? used : NULL);
	json_set_str(object, "used_from", row->used_from);
	json_set_str(object, "revoked_at", row->revoked_at ? revoked : NULL);
	json_add(run->list, object);
}

static enum err_code token_run(struct store_run *run, struct err *err)
{
	const char *what = run->options.names[0];
	const char *which = run->options.name_count > 1 ? run->options.names[1] : NULL;
	enum err_code code;

	if (strcmp(what, "new") == 0 && which) {
		return token_new(run, which, err);
	}
	if (strcmp(what, "revoke") == 0 && which) {
		return tokens_revoke(run->clients, which, now_s(), err);
	}
	if (strcmp(what, "list") == 0) {
		run->list = json_array();
		code = tokens_list(run->clients, which, show_token, run, err);
		if (code == ERR_NONE && run->options.json) {
			print_list(run, "tokens");
		}
		return code;
	}
	return err_set(err, ERR_USAGE, "",
		       "write dns01 token new CLIENT, list [CLIENT] or revoke ID");
}

/* ---- both ----------------------------------------------------------------------- */

static int run_verb(int argc, char **argv, unsigned groups,
		    enum err_code (*verb)(struct store_run *run, struct err *err))
{
	struct store_run run = { 0 };
	struct err err;
	enum err_code code = options_parse(&run.options, OPTIONS_COMMON | groups, argc, argv, &err);

	cli_log_setup(&run.options);
	if (code == ERR_NONE) {
		code = open_store(&run, &err);
	}
	if (code == ERR_NONE) {
		code = verb(&run, &err);
	}
	if (code != ERR_NONE && code != ERR_CANCELED) {
		cli_print_error(&err, run.options.json);
	}
	clients_close(run.clients);
	conf_free(run.conf);
	json_free(run.list);
	options_clear(&run.options);
	return code == ERR_CANCELED ? 0 : err_exit_status(code);
}

int verb_client(int argc, char **argv)
{
	return run_verb(argc, argv, OPTIONS_SET, client_run);
}

int verb_token(int argc, char **argv)
{
	return run_verb(argc, argv, OPTIONS_TOKEN, token_run);
}
