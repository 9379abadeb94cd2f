/*
 * certbot: its configuration folder, /etc/letsencrypt.
 *
 *   accounts/HOST/PATH/ID/       private_key.json (JWK) regr.json meta.json
 *   renewal/NAME.conf            settings of one lineage, in ConfigObj's INI
 *   live/NAME/ -> archive/NAME/  privkey.pem cert.pem chain.pem fullchain.pem
 *   renewal-hooks/{pre,deploy,post}/  programs that are run for each renewal
 *   cli.ini                      options for every run
 */
#include "certbot.h"

#include <inttypes.h>

/* ---- key and chain ----------------------------------------------------------------- */

/* The path of KINDn.pem with the highest n in archive/NAME; gives, NULL: there is none. */
static char *newest_in_archive(const struct lineage_conf *conf, const char *kind)
{
	char *archive = path_join(conf->import->folder, "archive");
	char *folder = path_join(archive, conf->name);
	struct strlist names = { 0 };
	uint64_t newest = 0, number;
	char *path = NULL;

	if (theirs_list(folder, &names, NULL) != ERR_NONE) {
		goto out;
	}
	for (size_t i = 0; i < names.count; i++) {
		char *digits;

		if (strncmp(names.item[i], kind, strlen(kind)) != 0 ||
		    !theirs_has_suffix(names.item[i], ".pem")) {
			continue;
		}
		digits = xstrndup(names.item[i] + strlen(kind),
				  strlen(names.item[i]) - strlen(kind) - strlen(".pem"));
		if (text_parse_u64(digits, 1000000, &number) && number > newest) {
			newest = number;
		}
		free(digits);
	}
	if (newest > 0) {
		path = xasprintf("%s/%s%" PRIu64 ".pem", folder, kind, newest);
	}
out:
	strlist_clear(&names);
	free(archive);
	free(folder);
	return path;
}

/* live/NAME/KIND.pem, or what it would lead to where a copy lost the links; gives. */
static char *file_of(const struct lineage_conf *conf, const char *kind)
{
	char *live = xasprintf("%s/live/%s/%s.pem", conf->import->folder, conf->name, kind);
	char *archived;

	if (theirs_is_file(live)) {
		return live;
	}
	archived = newest_in_archive(conf, kind);
	if (!archived) {
		return live;
	}
	free(live);
	return archived;
}

static enum err_code read_chain(struct lineage_conf *conf, struct err *err)
{
	char *path = file_of(conf, "fullchain");
	enum err_code code = theirs_chain(path, NULL, &conf->chain, err);

	free(path);
	return code;
}

/* A certificate whose key cannot be used any more is ordered anew, with the same settings. */
static void read_key(struct lineage_conf *conf)
{
	char *path = file_of(conf, "privkey");
	struct err err;

	if (theirs_key(path, &conf->key, &err) != ERR_NONE ||
	    chain_check(conf->chain, conf->key, &chain_facts(conf->chain)->names, &err) !=
		    ERR_NONE) {
		import_say_err(
			conf->import, conf->subject, &err,
			"its settings are carried over, and the next renewal makes a new key");
		key_free(conf->key);
		conf->key = NULL;
	}
	free(path);
}

/* ---- lineages --------------------------------------------------------------------------- */

static const char *server_of(const struct lineage_conf *conf)
{
	const char *server = pairs_get(&conf->pairs, CERTBOT_PARAMS, "server");

	return server && found_is_url(server) ? server : NULL;
}

static void take_lineage(struct lineage_conf *conf)
{
	const struct chain_facts *facts = chain_facts(conf->chain);
	struct found_certificate *certificate = found_add_certificate(conf->import);
	size_t provider;
	char *why = NULL;

	if (!certificate) {
		return;
	}
	read_key(conf);
	provider = certbot_provider(conf, &why);
	certificate->name = xstrdup(conf->name);
	certificate->account = certbot_account_of(conf, server_of(conf));
	for (size_t i = 0; i < facts->names.count; i++) {
		struct found_name *item =
			found_add_name(certificate, facts->names.item[i], provider);

		if (item) {
			item->why = xstrdup(why);
		}
	}
	free(why);
	certbot_settings(conf, certificate);
	if (conf->key) {
		certificate->key = conf->key;
		certificate->chain = conf->chain;
		conf->key = NULL;
		conf->chain = NULL;
	}
}

static void read_lineage(struct certbot *certbot, const char *path, const char *name)
{
	struct lineage_conf conf = {
		.certbot = certbot,
		.import = certbot->import,
		.name = xstrdup(name),
		.subject = xasprintf("certificate %s", name),
	};
	struct err err;

	if (theirs_ini(path, &conf.pairs, &err) != ERR_NONE) {
		import_say_err(conf.import, conf.subject, &err, "mend the file and run this again");
	} else if (!server_of(&conf)) {
		import_say(
			conf.import, IMPORT_LEFT, conf.subject,
			"%s names no server in [renewalparams]: certbot does not renew it either",
			path);
	} else if (pairs_get(&conf.pairs, CERTBOT_PARAMS, "autorenew") &&
		   !certbot_is_true(&conf, "autorenew")) {
		import_say(conf.import, IMPORT_LEFT, conf.subject,
			   "autorenew is off, so certbot does not renew it either; add it to "
			   "certificates if dns01 should");
	} else if (read_chain(&conf, &err) != ERR_NONE) {
		import_say_err(conf.import, conf.subject, &err,
			       "add it to certificates, and it is ordered");
	} else {
		take_lineage(&conf);
	}
	pairs_clear(&conf.pairs);
	chain_free(conf.chain);
	key_free(conf.key);
	free(conf.name);
	free(conf.subject);
}

static enum err_code read_lineages(struct certbot *certbot, struct err *err)
{
	char *folder = path_join(certbot->import->folder, "renewal");
	struct strlist files = { 0 };
	enum err_code code = theirs_list(folder, &files, err);

	for (size_t i = 0; i < files.count && code == ERR_NONE; i++) {
		char *path, *name;

		if (!theirs_has_suffix(files.item[i], ".conf")) {
			continue;
		}
		path = path_join(folder, files.item[i]);
		name = xstrndup(files.item[i], strlen(files.item[i]) - strlen(".conf"));
		read_lineage(certbot, path, name);
		free(path);
		free(name);
	}
	strlist_clear(&files);
	free(folder);
	return code;
}

static void say_rest(struct certbot *certbot)
{
	struct import *import = certbot->import;

	if (import->certificate_count == 0) {
		return;
	}
	import_say(import, IMPORT_TODO, "programs",
		   "those that read %s/live/NAME/ keep the old files: let them read "
		   "%s/certs/NAME/current/, where the files have the same names",
		   import->folder, import->args->state);
	import_say(import, IMPORT_TODO, "programs",
		   "or add export = ( { layout = \"certbot\"; path = \"%s/live/NAME\"; } ) to a "
		   "certificate, and dns01 keeps those files in certbot's place",
		   import->folder);
	import_say(import, IMPORT_TODO, "certbot",
		   "stop its renewals once dns01 has taken over: systemctl disable --now "
		   "certbot.timer (or snap.certbot.renew.timer, or its line in cron)");
}

enum err_code certbot_read(struct import *import, struct err *err)
{
	struct certbot certbot = { .import = import };
	enum err_code code;

	certbot_accounts(&certbot);
	certbot_hook_folders(&certbot);
	code = read_lineages(&certbot, err);
	if (code == ERR_NONE) {
		certbot_cli_ini(&certbot);
		say_rest(&certbot);
	}
	for (size_t i = 0; i < certbot.credential_count; i++) {
		free(certbot.credential[i].path);
	}
	free(certbot.credential);
	strlist_clear(&certbot.deploy);
	return code;
}
