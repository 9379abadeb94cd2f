/* options: one table for the options of all verbs; each verb accepts some groups of it. */
#include "cli.h"

#define HELP_COLUMN 31

struct option_row {
	int id;
	const char *name;
	const char *value; /* NULL: takes none */
	unsigned group;
	const char *help;
};

static const struct option_row rows[] = {
	{ 'c', "config", "FILE", OPTIONS_COMMON,
	  "configuration file (default: $DNS01_CONFIG, then /etc/dns01/dns01.conf for root, "
	  "~/.config/dns01/dns01.conf for others)" },
	{ OPT_STATE, "state", "DIR", OPTIONS_COMMON, "state folder" },
	{ OPT_JSON, "json", NULL, OPTIONS_COMMON, "print the result as one JSON object" },
	{ 'v', "verbose", NULL, OPTIONS_COMMON, "say more (twice: everything)" },
	{ 'q', "quiet", NULL, OPTIONS_COMMON, "no progress, only errors" },
	{ 'h', "help", NULL, OPTIONS_COMMON, "show this help" },
	{ OPT_CA, "ca", "URL", OPTIONS_CA, "directory URL of the CA" },
	{ OPT_CA_ROOT, "ca-root", "FILE", OPTIONS_CA,
	  "PEM roots for the CA's HTTPS instead of the system's" },
	{ OPT_AGREE_TOS, "agree-tos", NULL, OPTIONS_CA, "agree to the CA's terms of service" },
	{ OPT_EMAIL, "email", "ADDRESS", OPTIONS_CA, "contact of a new account; may be repeated" },
	{ OPT_EAB_KID, "eab-kid", "ID", OPTIONS_CA, "external account binding: key identifier" },
	{ OPT_EAB_KEY_FILE, "eab-key-file", "FILE", OPTIONS_CA,
	  "external account binding: file with the base64 key" },
	{ OPT_EAB_ALG, "eab-alg", "ALG", OPTIONS_CA,
	  "external account binding: HS256 (default), HS384 or HS512" },
	{ OPT_KEY_FILE, "key-file", "FILE", OPTIONS_KEY_FILE,
	  "recover: the key (PEM, or JSON as certbot has it) whose account is looked for" },
	{ OPT_CERT, "cert", "FILE", OPTIONS_REVOKE,
	  "the certificate in a PEM file, instead of a lineage's" },
	{ OPT_REASON, "reason", "REASON", OPTIONS_REVOKE,
	  "unspecified (default), keyCompromise, affiliationChanged, superseded or "
	  "cessationOfOperation" },
	{ OPT_BY_KEY, "by-key", NULL, OPTIONS_REVOKE,
	  "sign with the lineage's own key, not with the account's" },
	{ OPT_KEY_FILE, "key-file", "FILE", OPTIONS_REVOKE,
	  "sign with the certificate's key in this file" },
	{ OPT_REPLACE, "replace", NULL, OPTIONS_REVOKE,
	  "issue and deploy a new certificate first" },
	{ OPT_FORCE, "force", NULL, OPTIONS_FORCE, "though the configuration still names it" },
	{ OPT_ACCOUNT, "account", "NAME", OPTIONS_CA, "account of the configuration" },
	{ OPT_PROVIDER, "provider", "TYPE", OPTIONS_DNS,
	  "provider type that publishes all names (`dns01 providers` lists them)" },
	{ OPT_SET, "set", "KEY=VALUE", OPTIONS_DNS, "setting of that provider; may be repeated" },
	{ OPT_SET, "set", "KEY=VALUE", OPTIONS_SET,
	  "what the client may: a setting of clients in dns01.conf(5), lists with commas" },
	{ OPT_EXPIRES, "expires", "TIME", OPTIONS_TOKEN,
	  "how long the token lives (default: ever)" },
	{ OPT_AS, "as", "KIND", OPTIONS_TOKEN, "api (default), httpreq, acmedns or tsig" },
	{ OPT_FOR, "for", "NAME", OPTIONS_TOKEN, "with --as acmedns: the name that it is for" },
	{ OPT_PLUGINS, "plugins", "FOLDER", OPTIONS_DNS | OPTIONS_PROVIDERS,
	  "folder of providers that are not built in" },
	{ OPT_FORMAT, "format", "KIND", OPTIONS_PROVIDERS,
	  "text (default), markdown (a table) or mdoc (dns01-providers(7))" },
	{ OPT_VIEW, "view", "VIEW", OPTIONS_VIEW, "view of a split horizon" },
	{ OPT_FROM, "from", "FOLDER", OPTIONS_IMPORT,
	  "where the other client keeps its files (default: its usual place)" },
	{ OPT_INTO, "into", "FILE", OPTIONS_IMPORT,
	  "configuration file to write (default: conf.d/imported-CLIENT.conf)" },
	{ OPT_DRY_RUN, "dry-run", NULL, OPTIONS_IMPORT, "say everything, write nothing" },
	{ OPT_PLAN, "plan", NULL, OPTIONS_RENEW, "show what is due, when and why, and do nothing" },
	{ OPT_DRY_RUN, "dry-run", NULL, OPTIONS_RENEW,
	  "order all of them at the CA's staging directory, and keep nothing" },
	{ OPT_STAGING, "staging", "URL", OPTIONS_RENEW,
	  "with --dry-run: that directory, where it is not known" },
	{ OPT_FORCE, "force", NULL, OPTIONS_RENEW,
	  "renew all of them, due or not, paused or failed before" },
	{ OPT_PROMETHEUS, "prometheus", NULL, OPTIONS_STATUS,
	  "print figures for node_exporter's textfile collector" },
	{ OPT_LOOP, "loop", NULL, OPTIONS_RENEW,
	  "stay and renew whenever something is due; SIGHUP reads the configuration again" },
	{ OPT_CA, "ca", "URL", OPTIONS_IMPORT,
	  "directory URL of the CA, where the client keeps none (lego 4)" },
	{ OPT_CA_ROOT, "ca-root", "FILE", OPTIONS_IMPORT,
	  "PEM roots for the CA's HTTPS instead of the system's" },
	{ OPT_ZONE, "zone", "ZONE", OPTIONS_DNS, "the zone, instead of finding it" },
	{ OPT_RESOLVER, "resolver", "ADDR|URL", OPTIONS_DNS,
	  "resolver for discovery, address or https:// URL; may be repeated" },
	{ OPT_SERVER, "server", "NAME|ADDR", OPTIONS_DNS,
	  "server to watch, instead of the zone's own; may be repeated" },
	{ OPT_QUORUM, "quorum", "WHICH", OPTIONS_DNS, "all (default), reachable, or a number" },
	{ OPT_SETTLE, "settle", "TIME", OPTIONS_DNS, "look twice, this long apart" },
	{ OPT_DEADLINE, "deadline", "TIME", OPTIONS_DNS, "how long to wait for the servers (10m)" },
	{ OPT_ALIAS, "alias", "WHICH", OPTIONS_DNS, "follow (default), off, or an owner name" },
	{ OPT_WATCH, "watch", "WHICH", OPTIONS_DNS,
	  "authoritative (default), resolvers, or provider" },
	{ OPT_VIEW, "view", "VIEW", OPTIONS_DNS, "view of a split horizon" },
	{ OPT_PROXY, "proxy", "URL", OPTIONS_CA, "HTTP proxy for the CA and REST APIs" },
	{ OPT_NAME, "name", "LINEAGE", OPTIONS_CERT,
	  "name of the lineage (default: the first name without \"*.\")" },
	{ OPT_KEY, "key", "TYPE", OPTIONS_CERT,
	  "p256 (default), p384, rsa2048, rsa3072 or rsa4096" },
	{ OPT_PROFILE, "profile", "NAME", OPTIONS_CERT, "certificate profile of the CA" },
};

char *options_help(unsigned groups)
{
	struct buf text = BUF_INIT(16 * 1024);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char left[64];

		if (!(rows[i].group & groups)) {
			continue;
		}
		snprintf(left, sizeof(left), "%s%c%s--%s%s%s", rows[i].id < 256 ? "-" : " ",
			 rows[i].id < 256 ? rows[i].id : ' ', rows[i].id < 256 ? ", " : "  ",
			 rows[i].name, rows[i].value ? " " : "",
			 rows[i].value ? rows[i].value : "");
		buf_addf(&text, "  %-*s %s\n", HELP_COLUMN - 3, left, rows[i].help);
	}
	return buf_detach(&text);
}

/* Where the text of an option goes; NULL for those that are more than a text. */
static const char **text_of(struct options *options, int id)
{
	const struct {
		int id;
		const char **text;
	} texts[] = {
		{ 'c', &options->conf_path },       { OPT_STATE, &options->state },
		{ OPT_CA, &options->ca },           { OPT_CA_ROOT, &options->ca_root },
		{ OPT_EAB_KID, &options->eab_kid }, { OPT_EAB_KEY_FILE, &options->eab_key_file },
		{ OPT_ACCOUNT, &options->account }, { OPT_PROVIDER, &options->provider },
		{ OPT_ZONE, &options->zone },       { OPT_QUORUM, &options->quorum },
		{ OPT_SETTLE, &options->settle },   { OPT_DEADLINE, &options->deadline },
		{ OPT_ALIAS, &options->alias },     { OPT_WATCH, &options->watch },
		{ OPT_VIEW, &options->view },       { OPT_PROXY, &options->proxy },
		{ OPT_NAME, &options->name },       { OPT_KEY, &options->key },
		{ OPT_PROFILE, &options->profile }, { OPT_EXPIRES, &options->expires },
		{ OPT_CERT, &options->cert },       { OPT_REASON, &options->reason },
		{ OPT_EAB_ALG, &options->eab_alg }, { OPT_KEY_FILE, &options->key_file },
		{ OPT_PLUGINS, &options->plugins }, { OPT_FORMAT, &options->format },
		{ OPT_AS, &options->as },           { OPT_FOR, &options->for_name },
		{ OPT_FROM, &options->from },       { OPT_INTO, &options->into },
		{ OPT_STAGING, &options->staging },
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (texts[i].id == id) {
			return texts[i].text;
		}
	}
	return NULL;
}

static void take_option(struct options *options, int id, const char *value)
{
	const char **text = text_of(options, id);

	if (text) {
		*text = value;
	} else if (id == OPT_EMAIL) {
		strlist_add(&options->email, value);
	} else if (id == OPT_SET) {
		strlist_add(&options->set, value);
	} else if (id == OPT_RESOLVER) {
		strlist_add(&options->resolver, value);
	} else if (id == OPT_SERVER) {
		strlist_add(&options->server, value);
	} else if (id == OPT_AGREE_TOS) {
		options->agree_tos = true;
	} else if (id == OPT_PLAN) {
		options->plan = true;
	} else if (id == OPT_FORCE) {
		options->force = true;
	} else if (id == OPT_PROMETHEUS) {
		options->prometheus = true;
	} else if (id == OPT_LOOP) {
		options->loop = true;
	} else if (id == OPT_DRY_RUN) {
		options->dry_run = true;
	} else if (id == OPT_JSON) {
		options->json = true;
	} else if (id == OPT_BY_KEY) {
		options->by_key = true;
	} else if (id == OPT_REPLACE) {
		options->replace = true;
	} else if (id == 'q') {
		options->quiet = true;
	} else if (id == 'v') {
		options->verbose++;
	}
}

static void print_help(const char *verb, unsigned groups)
{
	char *help = options_help(groups);

	verb_print_help(verb_find(verb));
	puts("\nOptions:");
	for (char *line = help, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		ui_print(line, HELP_COLUMN);
	}
	free(help);
}

static const struct option_row *row_of(int id)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].id == id) {
			return &rows[i];
		}
	}
	return NULL;
}

static enum err_code check_arguments(const struct options *options, const struct verb *verb,
				     struct err *err)
{
	if (options->name_count >= verb->least && options->name_count <= verb->most) {
		return ERR_NONE;
	}
	return err_set(err, ERR_USAGE, "", "%s; write: dns01 %s [OPTIONS]%s%s",
		       options->name_count < verb->least ? "an argument is missing"
							 : "there are too many arguments",
		       verb->name, verb->arguments[0] ? " " : "", verb->arguments);
}

enum err_code options_parse(struct options *options, unsigned groups, int argc, char **argv,
			    struct err *err)
{
	const char *verb = argv[0];
	const bool in_order = groups & OPTIONS_IN_ORDER;
	struct option longs[ARRAY_LEN(rows) + 1] = { 0 };
	size_t count = 0;
	int id;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].group & groups) {
			longs[count++] = (struct option){
				.name = rows[i].name,
				.has_arg = rows[i].value ? required_argument : no_argument,
				.val = rows[i].id,
			};
		}
	}
	options->verb = verb_find(verb);
	options->groups = groups;
	opterr = 0;
	while ((id = getopt_long(argc, argv, in_order ? "+:c:vqh" : ":c:vqh", longs, NULL)) != -1) {
		if (id == 'h') {
			print_help(verb, groups);
			return ERR_CANCELED;
		}
		if (id == ':') {
			const struct option_row *row = row_of(optopt);

			return err_set(err, ERR_USAGE, "", "--%s needs a value: %s",
				       row ? row->name : "?", row ? row->value : "?");
		}
		if (id == '?') {
			return err_set(err, ERR_USAGE, "",
				       "`dns01 %s` has no option \"%s\" (or it takes no value); "
				       "`dns01 %s --help` lists them",
				       verb, argv[optind - 1], verb);
		}
		take_option(options, id, optarg);
	}
	options->names = argv + optind;
	options->name_count = argc - optind;
	return check_arguments(options, verb_find(verb), err);
}

void options_clear(struct options *options)
{
	strlist_clear(&options->email);
	strlist_clear(&options->set);
	strlist_clear(&options->resolver);
	strlist_clear(&options->server);
}
