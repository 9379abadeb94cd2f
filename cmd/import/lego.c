/*
 * lego: its folder, .lego where it was run, of version 4 and of version 5.
 *
 *   accounts/HOST_PORT/EMAIL/account.json  4: {email, registration: {body, uri}}, keys/EMAIL.key
 *                                          5: {id, server, registration: {..., accountURL}}, ID.key
 *   certificates/NAME.{crt,issuer.crt,key,json}  json: {certUrl} and, of 5, {profile, ...}
 *
 * Neither the DNS provider nor its credential is kept there: lego takes them from its
 * environment.
 */
#include "internal.h"

#define HOST_MAX 300

/* Of lego's own list: version 4 keeps a CA's host and not its URL. */
static const char *const directories[] = {
	"https://acme-v02.api.letsencrypt.org/directory",
	"https://acme-staging-v02.api.letsencrypt.org/directory",
	"https://acme.zerossl.com/v2/DV90",
	"https://dv.acme-v02.api.pki.goog/directory",
	"https://dv.acme-v02.test-api.pki.goog/directory",
	"https://api.buypass.com/acme/directory",
	"https://acme-api.actalis.com/acme/directory",
	"https://emea.acme.atlas.globalsign.com/directory",
	"https://acme.litessl.com/acme/v2/directory",
};

struct lego {
	struct import *import;
	bool said_guess; /* that the account of a certificate was guessed */
};

/* ---- accounts ---------------------------------------------------------------------- */

/* Host and port of a URL as lego names a folder by them: "localhost_14000". */
static bool host_folder(const char *url, char out[HOST_MAX])
{
	const char *host = strstr(url, "://");
	size_t len = host ? strcspn(host + 3, "/?#") : 0;

	if (len == 0 || len >= HOST_MAX) {
		return false;
	}
	memcpy(out, host + 3, len);
	out[len] = '\0';
	for (char *c = out; *c; c++) {
		*c = *c == ':' ? '_' : *c;
	}
	return true;
}

static bool is_at(const char *url, const char *host)
{
	char own[HOST_MAX];

	return host_folder(url, own) && strcmp(own, host) == 0;
}

/* The directory of an account: as it says, as the operator says, or as everybody knows. */
static const char *directory_of(const struct lego *lego, const struct json *account,
				const char *host)
{
	const char *server = json_str(account, "server");
	const char *ca = lego->import->args->ca;

	if (server && found_is_url(server)) {
		return server;
	}
	if (ca && is_at(ca, host)) {
		return ca;
	}
	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		if (is_at(directories[i], host)) {
			return directories[i];
		}
	}
	return NULL;
}

static void read_registration(struct found_account *account, const struct json *file)
{
	const struct json *registration = json_get(file, "registration");
	const struct json *body = json_get(registration, "body"); /* version 4 */
	const struct json *contact = json_get(body ? body : registration, "contact");
	const char *url = json_str(registration, body ? "uri" : "accountURL");
	const char *email = json_str(file, "email");

	if (url && found_is_url(url)) {
		account->url = xstrdup(url);
	}
	if (email && email[0]) {
		found_add_mail(account, email);
	}
	for (size_t i = 0; i < json_len(contact); i++) {
		const char *address = json_text(json_at(contact, i));

		if (address) {
			found_add_mail(account, address);
		}
	}
}

static enum err_code read_account_key(const char *folder, const char *id, struct key **out,
				      struct err *err)
{
	char *old = xasprintf("%s/keys/%s.key", folder, id);
	char *fresh = xasprintf("%s/%s.key", folder, id);
	enum err_code code = theirs_key(theirs_is_file(fresh) ? fresh : old, out, err);

	free(old);
	free(fresh);
	return code;
}

static void take_account(struct lego *lego, const char *folder, const char *directory,
			 const struct json *file)
{
	const char *id = strrchr(folder, '/') + 1;
	char *subject = xasprintf("account %s", folder);
	struct found_account *account;
	struct key *key = NULL;
	struct err err;

	if (read_account_key(folder, id, &key, &err) != ERR_NONE) {
		import_say_err(lego->import, subject, &err,
			       "certificates of this account get a new one");
	} else if ((account = found_add_account(lego->import)) != NULL) {
		account->directory = xstrdup(directory);
		account->key = key;
		account->id = xstrdup(id);
		account->source = xstrdup(folder);
		read_registration(account, file);
		key = NULL;
	}
	key_free(key);
	free(subject);
}

static void read_account(struct lego *lego, const char *folder, const char *host)
{
	char *path = path_join(folder, "account.json");
	char *subject = xasprintf("account %s", folder);
	struct json *file = NULL;
	const char *directory;
	struct err err;

	if (!theirs_is_file(path)) {
		goto out;
	}
	if (theirs_json(path, &file, &err) != ERR_NONE) {
		import_say_err(lego->import, subject, &err, "mend the file and run this again");
		goto out;
	}
	directory = directory_of(lego, file, host);
	if (directory) {
		take_account(lego, folder, directory, file);
	} else {
		import_say(lego->import, IMPORT_LEFT, subject,
			   "lego keeps the CA's host alone: run this again with --ca URL, its "
			   "directory");
	}
out:
	json_free(file);
	free(subject);
	free(path);
}

static void read_accounts(struct lego *lego)
{
	char *root = path_join(lego->import->folder, "accounts");
	struct strlist hosts = { 0 };

	if (!theirs_list_some(lego->import, root, &hosts)) {
		free(root);
		return;
	}
	for (size_t i = 0; i < hosts.count; i++) {
		char *folder = path_join(root, hosts.item[i]);
		struct strlist ids = { 0 };

		if (theirs_list_some(lego->import, folder, &ids)) {
			for (size_t j = 0; j < ids.count; j++) {
				char *inner = path_join(folder, ids.item[j]);

				read_account(lego, inner, hosts.item[i]);
				free(inner);
			}
		}
		strlist_clear(&ids);
		free(folder);
	}
	strlist_clear(&hosts);
	free(root);
}

/* ---- certificates ------------------------------------------------------------------ */

/* The accounts that may have ordered it: those at its URL's host, else all. */
static size_t find_account(struct lego *lego, const char *subject, const char *url)
{
	struct import *import = lego->import;
	size_t found = FOUND_NONE;
	size_t count = 0;

	for (size_t i = 0; i < import->account_count; i++) {
		char host[HOST_MAX];

		if (!url || !host_folder(import->account[i].directory, host) || is_at(url, host)) {
			found = found == FOUND_NONE ? i : found;
			count++;
		}
	}
	if (count > 1 && !lego->said_guess) {
		lego->said_guess = true;
		import_say(
			import, IMPORT_TODO, subject,
			"lego does not keep which account ordered it: it is given to the first of "
			"%zu; see to account of this certificate and of those after it",
			count);
	}
	return found;
}

static void read_facts(struct lego *lego, struct found_certificate *certificate, const char *path,
		       const char *subject)
{
	struct json *file = NULL;
	const char *url = NULL;

	if (theirs_json(path, &file, NULL) == ERR_NONE) {
		url = json_str(file, "certUrl");
		certificate->profile = xstrdup(json_str(file, "profile"));
		certificate->chain_name = xstrdup(json_str(file, "preferredChain"));
	}
	certificate->account = find_account(lego, subject, url);
	if (certificate->account == FOUND_NONE && lego->import->args->ca) {
		struct found_account *account = found_add_account(lego->import);

		if (account) {
			account->directory = xstrdup(lego->import->args->ca);
			certificate->account = lego->import->account_count - 1;
		}
	}
	json_free(file);
}

/* Key and chain of NAME, for as far as they can be used; false: nothing is known of it. */
static bool read_files(struct lego *lego, struct found_certificate *certificate, const char *stem,
		       const char *subject)
{
	char *crt = xasprintf("%s.crt", stem);
	char *issuer = xasprintf("%s.issuer.crt", stem);
	char *key = xasprintf("%s.key", stem);
	struct err err;
	bool known = theirs_chain(crt, issuer, &certificate->chain, &err) == ERR_NONE;

	if (!known) {
		import_say_err(lego->import, subject, &err,
			       "add it to certificates, and it is ordered");
	} else if (theirs_key(key, &certificate->key, &err) != ERR_NONE ||
		   chain_check(certificate->chain, certificate->key,
			       &chain_facts(certificate->chain)->names, &err) != ERR_NONE) {
		import_say_err(
			lego->import, subject, &err,
			"its settings are carried over, and the next renewal makes a new key");
		key_free(certificate->key);
		certificate->key = NULL;
	}
	free(crt);
	free(issuer);
	free(key);
	return known;
}

static void take_names(struct found_certificate *certificate)
{
	const struct chain_facts *facts = chain_facts(certificate->chain);

	for (size_t i = 0; i < facts->names.count; i++) {
		found_add_name(certificate, facts->names.item[i], FOUND_NONE);
	}
	if (certificate->key) {
		certificate->key_type = key_type_of(certificate->key);
	} else {
		chain_free(certificate->chain);
		certificate->chain = NULL;
	}
}

static void read_certificate(struct lego *lego, const char *folder, const char *name)
{
	/* "_.example.com" is of "*.example.com" first. */
	const char *shown = strncmp(name, "_.", 2) == 0 ? name + 2 : name;
	char *stem = path_join(folder, name);
	char *json = xasprintf("%s.json", stem);
	char *subject = xasprintf("certificate %s", shown);
	struct found_certificate *certificate = found_add_certificate(lego->import);

	if (certificate) {
		certificate->name = xstrdup(shown);
		if (read_files(lego, certificate, stem, subject)) {
			take_names(certificate);
			read_facts(lego, certificate, json, subject);
		}
	}
	free(subject);
	free(stem);
	free(json);
}

static enum err_code read_certificates(struct lego *lego, struct err *err)
{
	char *folder = path_join(lego->import->folder, "certificates");
	struct strlist files = { 0 };
	enum err_code code = theirs_list(folder, &files, err);

	for (size_t i = 0; i < files.count && code == ERR_NONE; i++) {
		char *name;

		if (!theirs_has_suffix(files.item[i], ".crt") ||
		    theirs_has_suffix(files.item[i], ".issuer.crt")) {
			continue;
		}
		name = xstrndup(files.item[i], strlen(files.item[i]) - strlen(".crt"));
		read_certificate(lego, folder, name);
		free(name);
	}
	strlist_clear(&files);
	free(folder);
	return code;
}

static void say_rest(struct import *import)
{
	if (import->certificate_count == 0) {
		return;
	}
	import->why_missing = "lego keeps neither its DNS provider nor the credential: add them to "
			      "providers, and a zone for the names (`dns01 providers` lists them)";
	import_say(import, IMPORT_LEFT, "hooks",
		   "lego keeps none of its command line (--run-hook, --renew-hook): what has to be "
		   "done with a new certificate goes into deploy");
	import_say(import, IMPORT_TODO, "programs",
		   "those that read %s/certificates/ keep the old files: let them read "
		   "%s/certs/NAME/current/ (fullchain.pem and privkey.pem)",
		   import->folder, import->args->state);
	import_say(import, IMPORT_TODO, "lego",
		   "take its line out of cron or its timer once dns01 has taken over");
}

enum err_code lego_read(struct import *import, struct err *err)
{
	struct lego lego = { .import = import };
	enum err_code code;

	read_accounts(&lego);
	code = read_certificates(&lego, err);
	if (code == ERR_NONE) {
		say_rest(import);
	}
	return code;
}
