/* certbot's settings of a lineage, and what is set for all: how names are proved, which key, which
 * commands. */
#include "certbot.h"

#define LINEAGE_MARK "{lineage}" /* of a deploy command */
#define DAY_MS (INT64_C(24) * 3600 * 1000)

/* ---- how names were proved ------------------------------------------------------------ */

/* A plugin's setting "dns_NAME_..."; versions before 1.7 wrote the plugin's package before it:
 * "certbot_dns_NAME:dns_NAME_...". */
static const char *plugin_get(const struct pairs *pairs, const char *section, const char *key)
{
	const char *value = pairs_get(pairs, section, key);
	const char *mark = strncmp(key, "dns_", 4) == 0 ? strchr(key + 4, '_') : NULL;
	char *old;

	if (value || !mark) {
		return value;
	}
	old = xasprintf("certbot_%.*s:%s", (int)(mark - key), key, key);
	value = pairs_get(pairs, section, old);
	free(old);
	return value;
}

/* Where a file is that a setting names: in a copy of /etc/letsencrypt, inside that copy. Gives. */
static char *relocate(const struct import *import, const char *path)
{
	static const char home[] = "/etc/letsencrypt/";
	char *moved;

	if (strncmp(path, home, strlen(home)) == 0 && !strstr(path, "/../")) {
		moved = path_join(import->folder, path + strlen(home));
		if (theirs_is_file(moved)) {
			return moved;
		}
		free(moved);
	}
	return path_join(import->folder, path);
}

static size_t read_rfc2136(struct import *import, const char *path, struct err *err)
{
	struct pairs pairs = { 0 };
	struct foreign_rfc2136 from = { .port = 53, .source = path };
	struct foreign_tsig tsig = { .source = path };
	const char *port;
	uint64_t number = 53;
	size_t provider = FOUND_NONE;

	if (theirs_ini(path, &pairs, err) != ERR_NONE) {
		return FOUND_NONE;
	}
	from.server = plugin_get(&pairs, "", "dns_rfc2136_server");
	port = plugin_get(&pairs, "", "dns_rfc2136_port");
	tsig.name = plugin_get(&pairs, "", "dns_rfc2136_name");
	tsig.secret = plugin_get(&pairs, "", "dns_rfc2136_secret");
	tsig.algorithm = plugin_get(&pairs, "", "dns_rfc2136_algorithm");
	if (!tsig.algorithm) {
		tsig.algorithm = "hmac-md5"; /* certbot's default */
	}
	if (!from.server || !tsig.name || !tsig.secret ||
	    (port && !text_parse_u64(port, 65535, &number))) {
		err_set(err, ERR_CONFIG, path,
			"dns_rfc2136_server, _name and _secret are not all in it, or _port is no "
			"number");
		goto out;
	}
	from.port = (uint16_t)number;
	from.key = foreign_tsig(&tsig, &from.sha1, err);
	if (from.key) {
		provider = foreign_add_rfc2136(import, &from, err);
	}
out:
	pairs_clear(&pairs);
	return provider;
}

static const char *credential_value(const void *arg, const char *key)
{
	return plugin_get(arg, "", key);
}

static const char *whole_value(const void *arg, const char *key)
{
	return key[0] == '*' ? arg : NULL;
}

/* The credentials of a plugin that speaks HTTP; path NULL: it has none. */
static size_t read_credential(struct import *import, const char *name, const char *path, char **why)
{
	struct foreign_plugin plugin = {
		.client = FOREIGN_CERTBOT,
		.name = name,
		.get = credential_value,
		.source = path ? path : name,
	};
	struct pairs pairs = { 0 };
	struct buf text = BUF_INIT(PAIRS_TEXT_MAX);
	enum err_code code = ERR_NONE;
	size_t provider = FOUND_NONE;
	char *sentence, *advice;
	struct err err;

	plugin.arg = &pairs;
	if (path && foreign_is_whole(FOREIGN_CERTBOT, name)) {
		code = theirs_read(path, PAIRS_TEXT_MAX, &text, &err);
		plugin.get = whole_value;
		plugin.arg = buf_str(&text);
	} else if (path) {
		code = theirs_ini(path, &pairs, &err);
	}
	if (code == ERR_NONE) {
		provider = foreign_add(import, &plugin, why);
	} else {
		sentence = err_format(&err);
		advice = foreign_advice(FOREIGN_CERTBOT, name);
		*why = xasprintf("%s; %s", sentence, advice);
		free(sentence);
		free(advice);
	}
	pairs_clear(&pairs);
	buf_wipe(&text);
	return provider;
}

/* The provider of a plugin's credentials file, which thousands of lineages may name. */
static size_t credential_get(struct certbot *certbot, const char *plugin, const char *path,
			     char **why)
{
	struct err err;
	size_t provider;

	for (size_t i = 0; i < certbot->credential_count; i++) {
		if (strcmp(certbot->credential[i].path, path) == 0) {
			return certbot->credential[i].provider;
		}
	}
	if (strcmp(plugin, "dns-rfc2136") == 0) {
		provider = read_rfc2136(certbot->import, path, &err);
		*why = provider == FOUND_NONE ? foreign_failed(&err) : NULL;
	} else {
		*why = NULL;
		provider = read_credential(certbot->import, plugin, path, why);
	}
	if (provider != FOUND_NONE) {
		certbot->credential =
			xreallocarray(certbot->credential, certbot->credential_count + 1,
				      sizeof(*certbot->credential));
		certbot->credential[certbot->credential_count++] =
			(struct credential){ xstrdup(path), provider };
	}
	return provider;
}

/* "dns-cloudflare" has dns_cloudflare_credentials; gives. */
static char *credentials_key(const char *plugin)
{
	char *key = xasprintf("%s_credentials", plugin);

	for (char *c = key; *c; c++) {
		*c = *c == '-' ? '_' : *c;
	}
	return key;
}

static size_t provider_of(struct lineage_conf *conf, const char *plugin, char **why)
{
	char *key = credentials_key(plugin), *path;
	const char *given = plugin_get(&conf->pairs, CERTBOT_PARAMS, key);
	size_t provider = FOUND_NONE;

	if (given) {
		path = relocate(conf->import, given);
		provider = credential_get(conf->certbot, plugin, path, why);
		free(path);
	} else if (foreign_is_known(FOREIGN_CERTBOT, plugin) &&
		   !foreign_has_file(FOREIGN_CERTBOT, plugin)) {
		provider = read_credential(conf->import, plugin, NULL, why);
	} else {
		*why = xasprintf("%s is not set; make a provider and a zone for the names", key);
	}
	free(key);
	return provider;
}

/* Why no provider is known, and what to do; gives. */
static char *why_none(struct lineage_conf *conf, const char *authenticator)
{
	const char *hook = pairs_get(&conf->pairs, CERTBOT_PARAMS, "manual_auth_hook");
	char *advice, *why;

	if (strncmp(authenticator, "dns-", 4) == 0) {
		advice = foreign_advice(FOREIGN_CERTBOT, authenticator);
		why = xasprintf("the plugin %s: %s", authenticator, advice);
		free(advice);
		return why;
	}
	if (strcmp(authenticator, "manual") == 0) {
		return xasprintf("the manual hooks (%s): dns01 publishes by itself; it needs a "
				 "provider and a zone for the names",
				 hook ? hook : "by hand");
	}
	return xasprintf("the authenticator %s proves names by HTTP; dns01 proves them by DNS "
			 "alone and needs a provider and a zone for the names",
			 authenticator);
}

/* "certbot-dns-rfc2136:dns-rfc2136" was its name before certbot 1.7. */
size_t certbot_provider(struct lineage_conf *conf, char **why)
{
	const char *authenticator = pairs_get(&conf->pairs, CERTBOT_PARAMS, "authenticator");
	const char *colon;

	if (!authenticator) {
		authenticator = "None";
	}
	colon = strrchr(authenticator, ':');
	authenticator = colon ? colon + 1 : authenticator;
	if (strcmp(authenticator, "dns-rfc2136") == 0 ||
	    foreign_is_known(FOREIGN_CERTBOT, authenticator)) {
		return provider_of(conf, authenticator, why);
	}
	*why = why_none(conf, authenticator);
	return FOUND_NONE;
}

/* ---- other settings -------------------------------------------------------------------- */

static enum key_type rsa_type(const char *size)
{
	uint64_t bits = 0;

	if (!size || !text_parse_u64(size, 100000, &bits) || bits < 3072) {
		return KEY_RSA2048;
	}
	return bits < 4096 ? KEY_RSA3072 : KEY_RSA4096;
}

static enum key_type type_of(const struct lineage_conf *conf)
{
	const char *type = pairs_get(&conf->pairs, CERTBOT_PARAMS, "key_type");
	const char *curve = pairs_get(&conf->pairs, CERTBOT_PARAMS, "elliptic_curve");

	if (!type && conf->key) {
		return key_type_of(conf->key);
	}
	if (type && strcmp(type, "rsa") == 0) {
		return rsa_type(pairs_get(&conf->pairs, CERTBOT_PARAMS, "rsa_key_size"));
	}
	return curve && (strcmp(curve, "secp384r1") == 0 || strcmp(curve, "secp521r1") == 0)
		       ? KEY_P384
		       : KEY_P256;
}

/* "30 days", "2 weeks", "12 hours", "30". */
static bool parse_interval(const char *text, int64_t *out_ms)
{
	static const struct {
		const char *word;
		int64_t ms;
	} units[] = { { "day", DAY_MS },
		      { "week", 7 * DAY_MS },
		      { "month", 30 * DAY_MS },
		      { "hour", DAY_MS / 24 } };
	size_t digits = strspn(text, "0123456789");
	char *number = xstrndup(text, digits);
	const char *word = text + digits + strspn(text + digits, " ");
	uint64_t count;
	bool good = text_parse_u64(number, 10000, &count) && count > 0;

	free(number);
	for (size_t i = 0; i < ARRAY_LEN(units) && good; i++) {
		size_t len = strlen(units[i].word);
		bool is_unit = strncmp(word, units[i].word, len) == 0 &&
			       strcmp(word + len + (word[len] == 's'), "") == 0;

		if (is_unit || (!word[0] && i == 0)) {
			good = (int64_t)count * units[i].ms <= 365 * DAY_MS;
			*out_ms = good ? (int64_t)count * units[i].ms : *out_ms;
			return good;
		}
	}
	return false;
}

static void read_renew_before(struct lineage_conf *conf, struct found_certificate *certificate)
{
	const char *text = pairs_get(&conf->pairs, "", "renew_before_expiry");

	if (text && !parse_interval(text, &certificate->renew_before_ms)) {
		import_say(
			conf->import, IMPORT_LEFT, conf->subject,
			"renew_before_expiry = %s: set renew_before of the certificate, or leave "
			"it to the CA's suggestion",
			text);
	}
}

bool certbot_is_true(const struct lineage_conf *conf, const char *key)
{
	const char *value = pairs_get(&conf->pairs, CERTBOT_PARAMS, key);

	return value && strcmp(value, "True") == 0;
}

/*
 * certbot runs a hook for each lineage, dns01 equal commands once for all. What may look at the
 * lineage has {lineage} as an argument that tells it apart: a script alone, or a line that names
 * certbot's variables.
 */
static void add_hook(struct found_certificate *certificate, const char *line)
{
	bool alone = line[0] == '/' && line[strcspn(line, " \t\"'`$;&|<>()*?[]{}~#!\\")] == '\0';

	if (alone) {
		found_add_argv(certificate, (const char *const[]){ line, LINEAGE_MARK, NULL });
	} else if (strstr(line, "RENEWED_")) {
		found_add_argv(certificate,
			       (const char *const[]){ "/bin/sh", "-c", line, LINEAGE_MARK, NULL });
	} else {
		found_add_command(certificate, line);
	}
}

static void read_hooks(struct lineage_conf *conf, struct found_certificate *certificate)
{
	static const char *const others[] = { "pre_hook", "post_hook" };
	const char *hook = pairs_get(&conf->pairs, CERTBOT_PARAMS, "renew_hook");

	if (!hook) {
		hook = pairs_get(&conf->pairs, CERTBOT_PARAMS, "deploy_hook");
	}
	for (size_t i = 0; i < conf->certbot->deploy.count; i++) {
		found_add_argv(certificate, (const char *const[]){ conf->certbot->deploy.item[i],
								   LINEAGE_MARK, NULL });
	}
	if (hook && strcmp(hook, "None") != 0) {
		add_hook(certificate, hook);
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		const char *other = pairs_get(&conf->pairs, CERTBOT_PARAMS, others[i]);

		if (other && strcmp(other, "None") != 0) {
			import_say(conf->import, IMPORT_LEFT, conf->subject,
				   "%s (%s): dns01 stops no server; what has to be done with a new "
				   "certificate goes into deploy",
				   others[i], other);
		}
	}
}

static void say_unmatched(struct lineage_conf *conf)
{
	const char *installer = pairs_get(&conf->pairs, CERTBOT_PARAMS, "installer");

	if (certbot_is_true(conf, "reuse_key")) {
		import_say(
			conf->import, IMPORT_LEFT, conf->subject,
			"reuse_key: every new certificate gets a new key; where a key is pinned, "
			"pin the CA's instead");
	}
	if (certbot_is_true(conf, "must_staple")) {
		import_say(conf->import, IMPORT_LEFT, conf->subject,
			   "must_staple: CAs have ended OCSP, and dns01 does not ask for it");
	}
	if (installer && strcmp(installer, "None") != 0) {
		import_say(conf->import, IMPORT_TODO, conf->subject,
			   "certbot's installer %s reloaded the server: let deploy do it, as in "
			   "deploy = ( [ \"/bin/systemctl\", \"reload\", \"%s\" ] )",
			   installer, strcmp(installer, "apache") == 0 ? "apache2" : installer);
	}
}

void certbot_settings(struct lineage_conf *conf, struct found_certificate *certificate)
{
	static const char *const profiles[] = { "required_profile", "preferred_profile" };

	certificate->key_type = type_of(conf);
	certificate->chain_name =
		xstrdup(pairs_get(&conf->pairs, CERTBOT_PARAMS, "preferred_chain"));
	for (size_t i = 0; i < ARRAY_LEN(profiles) && !certificate->profile; i++) {
		certificate->profile =
			xstrdup(pairs_get(&conf->pairs, CERTBOT_PARAMS, profiles[i]));
	}
	read_renew_before(conf, certificate);
	read_hooks(conf, certificate);
	say_unmatched(conf);
}

/* ---- hooks for all ------------------------------------------------------------------------ */

/* As certbot lists them: executable, and no editor's backup. */
static void list_hooks(const struct certbot *certbot, const char *kind, struct strlist *out)
{
	char *folder = xasprintf("%s/renewal-hooks/%s", certbot->import->folder, kind);
	struct strlist names = { 0 };

	if (theirs_list_some(certbot->import, folder, &names)) {
		for (size_t i = 0; i < names.count; i++) {
			char *path = path_join(folder, names.item[i]);

			if (theirs_is_file(path) && access(path, X_OK) == 0 &&
			    path[strlen(path) - 1] != '~') {
				strlist_add(out, path);
			}
			free(path);
		}
	}
	strlist_clear(&names);
	free(folder);
}

void certbot_hook_folders(struct certbot *certbot)
{
	static const char *const others[] = { "pre", "post" };

	list_hooks(certbot, "deploy", &certbot->deploy);
	for (size_t i = 0; i < certbot->deploy.count; i++) {
		import_say(
			certbot->import, IMPORT_TODO, certbot->deploy.item[i],
			"is run by deploy from where it is: keep it when certbot goes, or move it "
			"and its path in deploy");
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		struct strlist hooks = { 0 };

		list_hooks(certbot, others[i], &hooks);
		for (size_t j = 0; j < hooks.count; j++) {
			import_say(
				certbot->import, IMPORT_LEFT, hooks.item[j],
				"dns01 stops no server; what has to be done with a new certificate "
				"goes into deploy");
		}
		strlist_clear(&hooks);
	}
}

/* Options for every run of certbot: what changes a renewal is named. */
void certbot_cli_ini(struct certbot *certbot)
{
	static const char *const keys[] = { "deploy-hook",  "renew-hook",   "pre-hook",
					    "post-hook",    "server",       "key-type",
					    "rsa-key-size", "authenticator" };
	char *path = path_join(certbot->import->folder, "cli.ini");
	struct pairs pairs = { 0 };

	if (theirs_ini(path, &pairs, NULL) == ERR_NONE) {
		for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
			const char *value = pairs_get(&pairs, "", keys[i]);

			if (value) {
				import_say(
					certbot->import, IMPORT_LEFT, path,
					"%s = %s is for every run of certbot: set it where it is "
					"meant",
					keys[i], value);
			}
		}
	}
	pairs_clear(&pairs);
	free(path);
}
