/*
 * acme.sh: its folder, ~/.acme.sh. Its files are programs for a shell, which are read as data.
 *
 *   account.conf                  SAVED_* of DNS plugins, ACCOUNT_EMAIL, CERT_HOME
 *   ca/HOST/PATH/                 account.key account.json ca.conf: ACCOUNT_URL, CA_EMAIL
 *   NAME/, NAME_ecc/              NAME.conf NAME.key NAME.cer fullchain.cer ca.cer
 */
#include "acmesh.h"

#define WALK_DEPTH_MAX 8

/* ---- accounts ---------------------------------------------------------------------- */

/*
 * acme.sh drops the port from a folder's name: ca/localhost/dir is of https://localhost:14000/dir.
 * The account's own URL tells it again.
 */
static char *directory_of(const char *below, const char *account_url)
{
	size_t host_len = strcspn(below, "/");
	const char *host =
		account_url && strncmp(account_url, "https://", 8) == 0 ? account_url + 8 : NULL;
	size_t len = host ? strcspn(host, "/") : 0;

	if (host && len > host_len && host[host_len] == ':' &&
	    strncmp(host, below, host_len) == 0) {
		return xasprintf("https://%.*s%s", (int)len, host, below + host_len);
	}
	return xasprintf("https://%s", below);
}

static void read_ca_conf(struct acmesh *acmesh, struct found_account *account,
			 const struct pairs *pairs)
{
	const char *url = pairs_get(pairs, "", "ACCOUNT_URL");
	const char *mail = pairs_get(pairs, "", "CA_EMAIL");
	const char *kid = pairs_get(pairs, "", "CA_EAB_KEY_ID");
	const char *hmac = pairs_get(pairs, "", "CA_EAB_HMAC_KEY");

	if (!mail) {
		mail = pairs_get(&acmesh->account, "", "ACCOUNT_EMAIL");
	}
	if (url && found_is_url(url)) {
		account->url = xstrdup(url);
	}
	if (mail) {
		found_add_mail(account, mail);
	}
	if (kid && kid[0] && hmac && hmac[0]) {
		account->eab_kid = xstrdup(kid);
		account->eab_key = xstrdup(hmac);
	}
}

/* below: the path below ca/, which is the directory's URL without scheme and port. */
static void read_account(struct acmesh *acmesh, const char *folder, const char *below)
{
	struct import *import = acmesh->import;
	char *key_path = path_join(folder, "account.key");
	char *conf_path = path_join(folder, "ca.conf");
	char *subject = xasprintf("account %s", below);
	char *directory = NULL;
	struct pairs pairs = { 0 };
	struct found_account *account;
	struct key *key = NULL;
	struct err err;

	if (theirs_is_file(conf_path) && theirs_shell(conf_path, &pairs, &err) != ERR_NONE) {
		import_say_err(import, subject, &err, "its key alone is carried over");
	}
	directory = directory_of(below, pairs_get(&pairs, "", "ACCOUNT_URL"));
	if (!found_is_url(directory)) {
		import_say(import, IMPORT_LEFT, subject, "%s is no URL of a CA", directory);
	} else if (theirs_key(key_path, &key, &err) != ERR_NONE) {
		import_say_err(import, subject, &err, "certificates of this account get a new one");
	} else if ((account = found_add_account(import)) != NULL) {
		account->directory = xstrdup(directory);
		account->key = key;
		account->id = xstrdup(below);
		account->source = xstrdup(folder);
		read_ca_conf(acmesh, account, &pairs);
		key = NULL;
	}
	key_free(key);
	pairs_clear(&pairs);
	free(directory);
	free(subject);
	free(key_path);
	free(conf_path);
}

static void walk_accounts(struct acmesh *acmesh, const char *folder, const char *below,
			  size_t depth)
{
	struct strlist names = { 0 };
	char *key = path_join(folder, "account.key");

	if (below[0] && theirs_is_file(key)) {
		read_account(acmesh, folder, below);
	}
	free(key);
	if (depth > WALK_DEPTH_MAX || acmesh->walked > FOUND_MAX ||
	    !theirs_list_some(acmesh->import, folder, &names)) {
		return;
	}
	for (size_t i = 0; i < names.count; i++) {
		char *inner = path_join(folder, names.item[i]);
		char *path = below[0] ? xasprintf("%s/%s", below, names.item[i])
				      : xstrdup(names.item[i]);

		acmesh->walked++;
		if (theirs_is_folder(inner)) {
			walk_accounts(acmesh, inner, path, depth + 1);
		}
		free(inner);
		free(path);
	}
	strlist_clear(&names);
}

/* "localhost/dir" of "https://localhost:14000/dir"; gives. */
static char *below_of(const char *directory)
{
	const char *host = directory + strlen("https://");
	const char *path = host + strcspn(host, "/");

	return xasprintf("%.*s%s", (int)strcspn(host, ":/"), host, path);
}

/* The account at Le_API. Its folder knows no port: Le_API does. */
static size_t find_account(struct domain *domain, const char *directory)
{
	struct import *import = domain->import;
	char *below = below_of(directory);
	struct found_account *account;
	size_t found = FOUND_NONE;

	for (size_t i = 0; i < import->account_count && found == FOUND_NONE; i++) {
		account = &import->account[i];
		if (strcmp(account->directory, directory) == 0) {
			found = i;
		} else if (account->id && strcmp(account->id, below) == 0) {
			free(account->directory);
			account->directory = xstrdup(directory);
			found = i;
		}
	}
	free(below);
	if (found == FOUND_NONE && (account = found_add_account(import)) != NULL) {
		account->directory = xstrdup(directory);
		found = import->account_count - 1;
	}
	return found;
}

/* ---- certificates ------------------------------------------------------------------ */

/* The certificate's own names, where they are others than the settings say, are what was issued. */
static bool names_agree(const struct found_certificate *certificate, const struct chain *chain)
{
	const struct strlist *names = &chain_facts(chain)->names;
	bool agree = names->count <= certificate->count;

	for (size_t i = 0; i < certificate->count && agree; i++) {
		agree = strlist_has(names, certificate->item[i].name);
	}
	return agree;
}

static enum err_code read_chain(struct domain *domain, const char *name, struct chain **out,
				struct err *err)
{
	char *full = path_join(domain->folder, "fullchain.cer");
	char *leaf = xasprintf("%s/%s.cer", domain->folder, name);
	char *issuers = path_join(domain->folder, "ca.cer");
	/* A CA that sends the leaf alone leaves no fullchain.cer. */
	enum err_code code = theirs_chain(theirs_is_file(full) ? full : leaf, issuers, out, err);

	free(full);
	free(leaf);
	free(issuers);
	return code;
}

static void read_files(struct domain *domain, struct found_certificate *certificate)
{
	char *key_path = xasprintf("%s/%s.key", domain->folder, certificate->name);
	struct chain *chain = NULL;
	struct key *key = NULL;
	struct err err;

	if (read_chain(domain, certificate->name, &chain, &err) != ERR_NONE ||
	    theirs_key(key_path, &key, &err) != ERR_NONE ||
	    chain_check(chain, key, &chain_facts(chain)->names, &err) != ERR_NONE) {
		import_say_err(
			domain->import, domain->subject, &err,
			"its settings are carried over, and the next renewal orders it anew");
	} else if (!names_agree(certificate, chain)) {
		import_say(domain->import, IMPORT_LEFT, domain->subject,
			   "the certificate is not for the names of its settings: the next renewal "
			   "orders it anew");
	} else {
		certificate->chain = chain;
		certificate->key = key;
		chain = NULL;
		key = NULL;
	}
	chain_free(chain);
	key_free(key);
	free(key_path);
}

static void take_domain(struct domain *domain, const char *name, const char *directory)
{
	struct found_certificate *certificate = found_add_certificate(domain->import);

	if (!certificate) {
		return;
	}
	certificate->name = xstrdup(name);
	certificate->account = find_account(domain, directory);
	acmesh_settings(domain, certificate);
	if (certificate->count > 0) {
		read_files(domain, certificate);
	}
}

/* name: of the folder without "_ecc". */
static void read_domain(struct acmesh *acmesh, const char *folder, const char *name)
{
	struct domain domain = {
		.acmesh = acmesh,
		.import = acmesh->import,
		.folder = xstrdup(folder),
		.subject = xasprintf("certificate %s", strrchr(folder, '/') + 1),
	};
	char *path = xasprintf("%s/%s.conf", folder, name);
	char *directory = NULL;
	struct err err;

	if (!theirs_is_file(path)) {
		goto out;
	}
	if (theirs_shell(path, &domain.pairs, &err) != ERR_NONE) {
		import_say_err(acmesh->import, domain.subject, &err,
			       "mend the file and run this again");
		goto out;
	}
	acmesh_names(&domain);
	directory = acmesh_value(&domain.pairs, "Le_API");
	if (domain.names.count == 0 || !directory || !found_is_url(directory)) {
		import_say(acmesh->import, IMPORT_LEFT, domain.subject,
			   "%s names no domain (Le_Domain) or no CA (Le_API), so acme.sh does not "
			   "renew it either",
			   path);
	} else {
		take_domain(&domain, name, directory);
	}
out:
	pairs_clear(&domain.pairs);
	strlist_clear(&domain.names);
	free(domain.folder);
	free(domain.subject);
	free(directory);
	free(path);
}

static enum err_code read_domains(struct acmesh *acmesh, const char *home, struct err *err)
{
	struct strlist names = { 0 };
	enum err_code code = theirs_list(home, &names, err);

	for (size_t i = 0; i < names.count && code == ERR_NONE; i++) {
		char *folder = path_join(home, names.item[i]);
		size_t len = strlen(names.item[i]);
		char *name = theirs_has_suffix(names.item[i], ACMESH_ECC)
				     ? xstrndup(names.item[i], len - strlen(ACMESH_ECC))
				     : xstrdup(names.item[i]);

		if (theirs_is_folder(folder)) {
			read_domain(acmesh, folder, name);
		}
		free(folder);
		free(name);
	}
	strlist_clear(&names);
	return code;
}

static void say_rest(struct import *import)
{
	if (import->certificate_count > 0) {
		import_say(import, IMPORT_TODO, "programs",
			   "those that read %s/NAME/ keep the old files: let them read "
			   "%s/certs/NAME/current/ (fullchain.pem and privkey.pem)",
			   import->folder, import->args->state);
		import_say(
			import, IMPORT_TODO, "acme.sh",
			"stop its renewals once dns01 has taken over: acme.sh --uninstall-cronjob");
	}
}

/* The roots of an internal CA. */
static void take_roots(struct acmesh *acmesh)
{
	const char *bundle = pairs_get(&acmesh->account, "", "CA_BUNDLE");

	if (bundle && bundle[0] == '/' && !acmesh->import->ca_root) {
		acmesh->import->ca_root = xstrdup(bundle);
	}
}

enum err_code acmesh_read(struct import *import, struct err *err)
{
	struct acmesh acmesh = { .import = import };
	char *path = path_join(import->folder, "account.conf");
	char *ca = path_join(import->folder, "ca");
	const char *home;
	enum err_code code = ERR_NONE;

	if (theirs_is_file(path)) {
		code = theirs_shell(path, &acmesh.account, err);
	}
	if (code == ERR_NONE) {
		take_roots(&acmesh);
		home = pairs_get(&acmesh.account, "", "CERT_HOME");
		walk_accounts(&acmesh, ca, "", 0);
		code = read_domains(&acmesh, home && theirs_is_folder(home) ? home : import->folder,
				    err);
	}
	if (code == ERR_NONE) {
		say_rest(import);
	}
	pairs_clear(&acmesh.account);
	free(acmesh.why);
	free(ca);
	free(path);
	return code;
}
