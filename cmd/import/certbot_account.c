/* certbot's accounts: accounts/HOST/PATH/ID/. The key is JSON (RFC 7517). */
#include "certbot.h"

#define WALK_DEPTH_MAX 8 /* folders below accounts/ */

/* regr.json: the URL and, from old versions, the contacts. */
static void read_registration(struct found_account *account, const char *path)
{
	struct json *regr = NULL;
	const struct json *contact;
	const char *uri;

	if (theirs_json(path, &regr, NULL) != ERR_NONE) {
		return; /* the key finds its account without it */
	}
	uri = json_str(regr, "uri");
	if (uri && found_is_url(uri)) {
		account->url = xstrdup(uri);
	}
	contact = json_get(json_get(regr, "body"), "contact");
	for (size_t i = 0; i < json_len(contact); i++) {
		const char *address = json_text(json_at(contact, i));

		if (address) {
			found_add_mail(account, address);
		}
	}
	json_free(regr);
}

static enum err_code read_account_key(const char *path, struct key **out, struct err *err)
{
	struct json *jwk = NULL;
	enum err_code code = theirs_json(path, &jwk, err);

	if (code == ERR_NONE) {
		code = key_parse_jwk(jwk, path, out, err);
	}
	json_free(jwk);
	return code;
}

static bool is_acme_v1(const char *server)
{
	static const char *const ended[] = { "acme-v01.api.letsencrypt.org/",
					     "acme-staging.api.letsencrypt.org/" };

	return strncmp(server, ended[0], strlen(ended[0])) == 0 ||
	       strncmp(server, ended[1], strlen(ended[1])) == 0;
}

/* server: the directory's URL without its scheme. */
static void read_account(struct certbot *certbot, const char *folder, const char *server,
			 const char *id)
{
	struct import *import = certbot->import;
	char *subject = xasprintf("account %s/%s", server, id);
	char *directory = xasprintf("https://%s", server);
	char *key_path = path_join(folder, "private_key.json");
	char *regr_path = path_join(folder, "regr.json");
	struct found_account *account;
	struct key *key = NULL;
	struct err err;

	if (is_acme_v1(server) || !found_is_url(directory)) {
		import_say(
			import, IMPORT_LEFT, subject,
			"its CA no longer speaks the protocol of this account (ACME v1): nothing "
			"is lost");
	} else if (read_account_key(key_path, &key, &err) != ERR_NONE) {
		import_say_err(import, subject, &err, "certificates of this account get a new one");
	} else if ((account = found_add_account(import)) != NULL) {
		account->directory = xstrdup(directory);
		account->key = key;
		account->id = xstrdup(id);
		account->source = xstrdup(folder);
		read_registration(account, regr_path);
		key = NULL;
	}
	key_free(key);
	free(subject);
	free(directory);
	free(key_path);
	free(regr_path);
}

/* The folders of a server are its URL's path, of any depth. */
static void walk_accounts(struct certbot *certbot, const char *folder, const char *server,
			  size_t depth)
{
	struct strlist names = { 0 };

	if (depth > WALK_DEPTH_MAX || !theirs_list_some(certbot->import, folder, &names)) {
		return;
	}
	for (size_t i = 0; i < names.count && certbot->walked++ < FOUND_MAX; i++) {
		char *inner = path_join(folder, names.item[i]);
		char *key = path_join(inner, "private_key.json");
		char *below = server[0] ? xasprintf("%s/%s", server, names.item[i])
					: xstrdup(names.item[i]);

		if (theirs_is_file(key)) {
			read_account(certbot, inner, server, names.item[i]);
		} else if (theirs_is_folder(inner)) {
			walk_accounts(certbot, inner, below, depth + 1);
		}
		free(inner);
		free(key);
		free(below);
	}
	strlist_clear(&names);
}

size_t certbot_account_of(struct lineage_conf *conf, const char *server)
{
	struct import *import = conf->import;
	const char *id = pairs_get(&conf->pairs, CERTBOT_PARAMS, "account");
	struct found_account *account;

	for (size_t i = 0; i < import->account_count; i++) {
		account = &import->account[i];
		if (strcmp(account->directory, server) == 0 &&
		    (account->key ? id && strcmp(account->id, id) == 0 : !account->id)) {
			return i;
		}
	}
	account = found_add_account(import);
	if (!account) {
		return FOUND_NONE;
	}
	account->directory = xstrdup(server);
	return import->account_count - 1;
}

void certbot_accounts(struct certbot *certbot)
{
	char *folder = path_join(certbot->import->folder, "accounts");

	walk_accounts(certbot, folder, "", 0);
	free(folder);
}
