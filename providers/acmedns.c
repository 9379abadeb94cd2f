/*
 * acmedns: an acme-dns server, or a broker that speaks its protocol. The accounts stand in a file
 * as goacmedns and lego keep them: {"example.com": {"fulldomain", "subdomain", "username",
 * "password", "server_url"}}. There is no call to remove a value: the server forgets the oldest of
 * its two, or (dns01 serve) each when its lease ends.
 */
#include "dns01/provider.h"

#include "dns01/rest.h"

#define ACCOUNTS_MAX (1024 * 1024)
#define CHALLENGE "_acme-challenge."

static const struct setting rows[] = {
	{
		.name = "accounts_file",
		.type = SETTING_FILE,
		.required = true,
		.secret = true,
		.help = "File with the accounts, by name, as lego's ACME_DNS_STORAGE_PATH has "
			"them.",
	},
	{
		.name = "server",
		.type = SETTING_URL,
		.choices = "http://",
		.help = "URL of the server, for accounts without a server_url; http:// to loopback "
			"alone.",
	},
	REST_ROW_CA_FILE,
	REST_ROW_TIMEOUT,
};

struct acmedns {
	struct json *accounts;
};

static void close_api(struct rest *rest)
{
	struct acmedns *self = rest_self(rest);

	json_free(self->accounts);
}

static void hide_passwords(struct rest *rest, const struct acmedns *self)
{
	const struct json *account;
	const char *key;

	for (size_t i = 0; json_member(self->accounts, i, &key, &account); i++) {
		rest_hide(rest, json_str(account, "password"));
	}
}

static enum err_code open_api(struct rest *rest, struct err *err)
{
	struct acmedns *self = rest_self(rest);
	const char *path = rest_setting(rest, "accounts_file");
	struct buf text;
	enum err_code code = file_read_secret(path, ACCOUNTS_MAX, &text, err);

	if (code == ERR_NONE &&
	    json_parse(buf_str(&text), text.len, &self->accounts, err) != ERR_NONE) {
		code = err_set(err, ERR_CONFIG, path,
			       "it is no file of accounts: an object "
			       "of JSON with an account for each name");
	}
	buf_wipe(&text);
	hide_passwords(rest, self);
	return code;
}

static bool is_name(const char *a, const char *b)
{
	char parsed[NAME_TEXT_MAX];

	return a && name_parse(a, parsed, NULL) == ERR_NONE && strcmp(parsed, b) == 0;
}

/* The account whose name's challenge is owner, or whose own name that is. */
static const struct json *account_of(const struct acmedns *self, const char *owner)
{
	const char *name = strncmp(owner, CHALLENGE, strlen(CHALLENGE)) == 0
				   ? owner + strlen(CHALLENGE)
				   : owner;
	const struct json *account;
	const char *key;

	for (size_t i = 0; json_member(self->accounts, i, &key, &account); i++) {
		if (is_name(key, name) || is_name(json_str(account, "fulldomain"), owner)) {
			return account;
		}
	}
	return NULL;
}

/* Gives; NULL: no server is known. */
static char *update_url(const struct rest *rest, const struct json *account)
{
	const char *server = json_str(account, "server_url");

	server = server && server[0] ? server : rest_setting(rest, "server");
	return server ? xasprintf("%s%supdate", server,
				  server[0] && server[strlen(server) - 1] == '/' ? "" : "/")
		      : NULL;
}

static enum rest_next create(struct rest_walk *walk, const struct rest_answer *answer)
{
	const struct json *account = account_of(rest_self(walk->rest), walk->set->owner);
	const char *user = json_str(account, "username"), *password = json_str(account, "password");
	char *url = update_url(walk->rest, account);
	struct json *body;

	if (answer || !url || !user || !password) {
		free(url);
		return answer ? REST_DONE
			      : rest_fail(walk, ERR_CONFIG,
					  "%s has no whole account for it; register one, and add "
					  "it there",
					  rest_setting(walk->rest, "accounts_file"));
	}
	body = json_object();
	json_set_str(body, "subdomain", json_str(account, "subdomain"));
	json_set_str(body, "txt", walk->value->text);
	rest_ask_at(walk, "POST", url);
	rest_body(walk, "application/json", json_dump(body));
	rest_header(walk, "X-Api-User", user);
	rest_header(walk, "X-Api-Key", password);
	rest_accept_plain(walk);
	json_free(body);
	free(url);
	return REST_SEND;
}

static enum rest_next remove_value(struct rest_walk *walk, const struct rest_answer *answer)
{
	(void)walk;
	(void)answer;
	return REST_DONE;
}

extern const struct provider provider_acmedns;

static const struct rest_api api = {
	.provider = &provider_acmedns,
	.self_size = sizeof(struct acmedns),
	.open = open_api,
	.close = close_api,
	.create = create,
	.remove = remove_value,
	.not_repeatable = true, /* the same value once more would push out the other one */
};

static enum err_code acmedns_open(const struct provider_host *host, const struct settings *given,
				  void **instance, struct err *err)
{
	return rest_open(&api, host, given, instance, err);
}

const struct provider provider_acmedns = {
	.abi = PROVIDER_ABI,
	.name = "acmedns",
	.summary = "an acme-dns server, or a broker that speaks its protocol",
	.privilege = "An account of the server, which is good for one name.",
	.example = "{ name = \"acme-dns\";  type = \"acmedns\";  accounts_file = "
		   "\"acmedns.json\"; }",
	.settings = rows,
	.setting_count = ARRAY_LEN(rows),
	.unit = PROVIDER_VALUES,
	.open = acmedns_open,
	.apply_start = rest_apply_start,
	.apply_cancel = rest_apply_cancel,
	.close = rest_close,
};
