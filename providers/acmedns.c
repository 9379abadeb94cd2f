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
	{
		.name = "ca_file",
		.type = SETTING_FILE,
		.help = "Root certificates in PEM in place of the system's.",
	},
};

struct acmedns {
	const struct provider_host *host;
	struct json *accounts;
	char *server, *ca_file, *path;
};

static const char *setting_text(const struct settings *given, const char *name)
{
	return settings_get(given, rows, ARRAY_LEN(rows), name);
}

static void acmedns_close(void *instance)
{
	struct acmedns *self = instance;

	if (self) {
		json_free(self->accounts);
		free(self->server);
		free(self->ca_file);
		free(self->path);
		free(self);
	}
}

static enum err_code acmedns_open(const struct provider_host *host, const struct settings *given,
				  void **instance, struct err *err)
{
	struct acmedns *self = xcalloc(1, sizeof(*self));
	struct buf text;
	enum err_code code;

	self->host = host;
	self->path = xstrdup(setting_text(given, "accounts_file"));
	self->server = xstrdup(setting_text(given, "server"));
	self->ca_file = xstrdup(setting_text(given, "ca_file"));
	code = file_read_secret(self->path, ACCOUNTS_MAX, &text, err);
	if (code == ERR_NONE &&
	    json_parse(buf_str(&text), text.len, &self->accounts, err) != ERR_NONE) {
		code = err_set(err, ERR_CONFIG, self->path,
			       "it is no file of accounts: an object "
			       "of JSON with an account for each name");
	}
	buf_wipe(&text);
	if (code != ERR_NONE) {
		acmedns_close(self);
		return code;
	}
	*instance = self;
	return ERR_NONE;
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

static const char *server_of(const struct acmedns *self, const struct json *account)
{
	const char *own = json_str(account, "server_url");

	return own && own[0] ? own : self->server;
}

static bool build(void *instance, const struct provider_change *change,
		  struct rest_request *request)
{
	struct acmedns *self = instance;
	const struct json *account = account_of(self, change->owner);
	const char *server = server_of(self, account);
	struct json *body;

	if (!change->publish) {
		return false;
	}
	body = json_object();
	json_set_str(body, "subdomain", json_str(account, "subdomain"));
	json_set_str(body, "txt", change->value);
	request->body = json_dump(body);
	/* Without an account or a server the request itself is refused, with a sentence. */
	request->url =
		xasprintf("%s%supdate", server ? server : "",
			  server && server[0] && server[strlen(server) - 1] == '/' ? "" : "/");
	request->headers[0] = (struct http_header){ "Content-Type", "application/json" };
	request->headers[1] = (struct http_header){ "X-Api-User", json_str(account, "username") };
	request->headers[2] = (struct http_header){ "X-Api-Key", json_str(account, "password") };
	request->header_count = request->headers[1].value && request->headers[2].value ? 3 : 1;
	json_free(body);
	return true;
}

static enum err_code judge(void *instance, const struct provider_change *change,
			   const struct http_response *response, struct err *err)
{
	struct acmedns *self = instance;

	if (response->status >= 200 && response->status < 300) {
		return ERR_NONE;
	}
	if (!account_of(self, change->owner)) {
		return err_set(err, ERR_CONFIG, change->owner,
			       "%s has no account for it; register one, and add it there",
			       self->path);
	}
	rest_refusal(response, err);
	return err_subject(err, "%s", change->owner);
}

static void *acmedns_apply_start(void *instance, const struct provider_batch *batch,
				 provider_done *done, void *arg)
{
	static const struct rest_ops ops = { build, judge };
	struct acmedns *self = instance;

	return rest_each_start(&(struct rest_each_args){ .host = self->host,
							 .ops = &ops,
							 .instance = self,
							 .batch = batch,
							 .ca_file = self->ca_file },
			       done, arg);
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
	.open = acmedns_open,
	.apply_start = acmedns_apply_start,
	.apply_cancel = rest_each_cancel,
	.close = acmedns_close,
};
