/* cli: what a verb needs before it can work, and how it ends. */
#include "cli.h"

#include <pwd.h>
#include <signal.h>

#define ROOT_CONF "/etc/dns01/dns01.conf"
#define ROOT_STATE "/var/lib/dns01"
#define ZONE_OF_FLAGS "."

/* ---- places ---------------------------------------------------------------- */

/* $variable/dns01 or ~/fallback/dns01; gives. */
static char *xdg_folder(const char *variable, const char *fallback)
{
	const char *base = getenv(variable);
	const char *home = getenv("HOME");

	if (base && base[0] == '/') {
		return xasprintf("%s/dns01", base);
	}
	return xasprintf("%s/%s/dns01", home ? home : ".", fallback);
}

char *cli_conf_path(const struct options *options)
{
	const char *from_environment = getenv("DNS01_CONFIG");
	char *folder, *path;

	if (options->conf_path) {
		return xstrdup(options->conf_path);
	}
	if (from_environment && from_environment[0]) {
		return xstrdup(from_environment);
	}
	if (geteuid() == 0) {
		return xstrdup(ROOT_CONF);
	}
	folder = xdg_folder("XDG_CONFIG_HOME", ".config");
	path = path_join(folder, "dns01.conf");
	free(folder);
	return path;
}

void cli_state(struct conf *conf, const struct options *options)
{
	char *state = NULL;

	if (options->state) {
		state = xstrdup(options->state);
	} else if (!conf->state && geteuid() == 0) {
		state = xstrdup(ROOT_STATE);
	} else if (!conf->state) {
		state = xdg_folder("XDG_STATE_HOME", ".local/state");
	}
	if (state) {
		free(conf->state);
		conf->state = state;
	}
	if (conf->state[0] != '/') {
		char *absolute = realpath(".", NULL);
		char *joined = path_join(absolute ? absolute : ".", conf->state);

		free(absolute);
		free(conf->state);
		conf->state = joined;
	}
}

/* ---- flags instead of a file ----------------------------------------------- */

static void set_text(char **to, const char *text)
{
	if (text) {
		free(*to);
		*to = xstrdup(text);
	}
}

static enum err_code set_duration(int64_t *to_ms, const char *option, const char *text,
				  struct err *err)
{
	if (text && !duration_parse(text, to_ms)) {
		return err_set(err, ERR_USAGE, "", "--%s %s is not a duration; write 10s, 5m or 1h",
			       option, text);
	}
	return ERR_NONE;
}

static enum err_code set_provider(struct conf *conf, const struct options *options, struct err *err)
{
	const struct provider *type;
	struct conf_provider *provider;

	if (options->plugins && plugins_load(options->plugins, err) != ERR_NONE) {
		return err->code;
	}
	type = provider_find(options->provider);

	set_text(&conf->plugins, options->plugins);
	if (!type) {
		return err_set(err, ERR_USAGE, "",
			       "there is no provider type \"%s\"; `dns01 providers` lists them",
			       options->provider);
	}
	provider = conf_add_provider(conf, type->name, type->name);
	for (size_t i = 0; i < options->set.count; i++) {
		const char *setting = options->set.item[i];
		const char *equals = strchr(setting, '=');
		char *name;

		if (!equals) {
			return err_set(err, ERR_USAGE, "", "--set %s: write --set KEY=VALUE",
				       setting);
		}
		name = xstrndup(setting, (size_t)(equals - setting));
		settings_set(&provider->settings, name, equals + 1, "--set");
		free(name);
	}
	return ERR_NONE;
}

static enum err_code set_zone(struct conf *conf, const struct options *options, struct err *err)
{
	struct conf_zone *zone = conf_add_zone(conf, ZONE_OF_FLAGS);

	strlist_add(&zone->providers, options->provider);
	set_text(&zone->view, options->view);
	set_text(&zone->zone, options->zone);
	set_text(&zone->quorum, options->quorum);
	set_text(&zone->alias, options->alias);
	set_text(&zone->watch, options->watch);
	strlist_copy(&zone->resolvers, &options->resolver);
	strlist_copy(&zone->servers, &options->server);
	if (set_duration(&zone->settle_ms, "settle", options->settle, err) != ERR_NONE) {
		return err->code;
	}
	return set_duration(&zone->deadline_ms, "deadline", options->deadline, err);
}

static void set_account(struct conf *conf, const struct options *options)
{
	char *name = options->account ? xstrdup(options->account) : account_name_for(options->ca);
	struct conf_account *account = conf_add_account(conf, name);

	set_text(&account->directory, options->ca);
	set_text(&account->ca_file, options->ca_root);
	set_text(&account->view, options->view);
	set_text(&account->proxy, options->proxy);
	set_text(&account->eab_kid, options->eab_kid);
	set_text(&account->eab_key_file, options->eab_key_file);
	set_text(&account->eab_alg, options->eab_alg);
	account->agree_tos = options->agree_tos;
	for (size_t i = 0; i < options->email.count; i++) {
		strlist_addf(&account->contact, "mailto:%s", options->email.item[i]);
	}
	free(name);
}

static enum err_code canonical_name(char **name, const char *where, struct err *err)
{
	char canonical[NAME_TEXT_MAX];

	if (!*name) {
		return ERR_NONE;
	}
	if (name_parse(*name, canonical, err) != ERR_NONE) {
		snprintf(err->subject, sizeof(err->subject), "%.300s", where ? where : *name);
		err->code = ERR_CONFIG;
		return ERR_CONFIG;
	}
	free(*name);
	*name = xstrdup(canonical);
	return ERR_NONE;
}

static enum err_code canonical_names(struct strlist *names, const char *where, struct err *err)
{
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < names->count && code == ERR_NONE; i++) {
		if (names->item[i][0] != '@') {
			code = canonical_name(&names->item[i], where, err);
		}
	}
	return code;
}

enum err_code cli_canonical_client(struct conf_client *client, struct err *err)
{
	struct strlist *lists[] = { &client->names, &client->under, &client->except,
				    &client->targets, &client->certificate_names };
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < ARRAY_LEN(lists) && code == ERR_NONE; i++) {
		code = canonical_names(lists[i], client->where, err);
	}
	return code;
}

enum err_code cli_canonical_zones(struct conf *conf, struct err *err)
{
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < conf->client_count && code == ERR_NONE; i++) {
		code = cli_canonical_client(&conf->client[i], err);
	}

	for (size_t i = 0; i < conf->zone_count && code == ERR_NONE; i++) {
		struct conf_zone *zone = &conf->zone[i];
		bool fixed = strcmp(zone->alias, "follow") != 0 && strcmp(zone->alias, "off") != 0;

		code = canonical_name(&zone->suffix, zone->where, err);
		if (code == ERR_NONE) {
			code = canonical_name(&zone->zone, zone->where, err);
		}
		if (code == ERR_NONE && fixed) {
			code = canonical_name(&zone->alias, zone->where, err);
		}
	}
	return code;
}

static enum err_code conf_of_flags(const struct options *options, struct conf **out,
				   struct err *err)
{
	struct conf *conf = conf_new();
	enum err_code code = ERR_NONE;

	cli_state(conf, options);
	set_text(&conf->proxy, options->proxy);
	if (options->ca) {
		set_account(conf, options);
	}
	if (options->provider) {
		code = set_provider(conf, options, err);
		if (code == ERR_NONE) {
			code = set_zone(conf, options, err);
		}
	}
	if (code == ERR_NONE) {
		code = conf_check(conf, provider_rows, err);
	}
	if (code == ERR_NONE) {
		code = cli_canonical_zones(conf, err);
	}
	if (code != ERR_NONE) {
		conf_free(conf);
		return code;
	}
	*out = conf;
	return ERR_NONE;
}

/* Which of the flags that make a configuration is given beside -c; NULL: none. */
static const char *flag_beside_file(const struct options *options)
{
	const struct {
		const char *name;
		bool given;
	} flags[] = {
		{ "--provider", options->provider != NULL },
		{ "--set", options->set.count > 0 },
		{ "--ca", options->ca != NULL },
		{ "--zone", options->zone != NULL },
		{ "--server", options->server.count > 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (flags[i].given) {
			return flags[i].name;
		}
	}
	return NULL;
}

/* A flag that adds to what another one makes, and that is not there, would go unheard. */
static enum err_code check_lone_flags(const struct options *options, struct err *err)
{
	const struct {
		const char *name;
		bool given;
		bool of_ca;
	} flags[] = {
		{ "set", options->set.count > 0, false },
		{ "zone", options->zone != NULL, false },
		{ "resolver", options->resolver.count > 0, false },
		{ "server", options->server.count > 0, false },
		{ "quorum", options->quorum != NULL, false },
		{ "settle", options->settle != NULL, false },
		{ "deadline", options->deadline != NULL, false },
		{ "alias", options->alias != NULL, false },
		{ "watch", options->watch != NULL, false },
		{ "ca-root", options->ca_root != NULL, true },
		{ "agree-tos", options->agree_tos, true },
		{ "email", options->email.count > 0, true },
		{ "eab-kid", options->eab_kid != NULL, true },
		{ "eab-key-file", options->eab_key_file != NULL, true },
		{ "eab-alg", options->eab_alg != NULL, true },
	};

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		const char *needed = flags[i].of_ca ? "ca" : "provider";
		bool there = flags[i].of_ca ? options->ca != NULL : options->provider != NULL;

		if (flags[i].given && !there) {
			return err_set(err, ERR_USAGE, "",
				       "--%s goes with --%s; with a configuration file it is a "
				       "setting there (dns01.conf(5))",
				       flags[i].name, needed);
		}
	}
	return ERR_NONE;
}

/* Providers that are not built in are known before the file that uses them is read. */
enum err_code cli_load_conf(const char *path, struct conf **out, struct err *err)
{
	char *plugins = conf_peek(path, "plugins");
	/* One that is not a whole path is refused below, with line and item. */
	bool whole = plugins && plugins[0] == '/';
	enum err_code code = whole ? plugins_load(plugins, err) : ERR_NONE;

	free(plugins);
	return code == ERR_NONE ? conf_load(path, provider_rows, out, err) : code;
}

/* Of what was issued by flags, where nobody wrote a configuration. */
static bool state_is_enough(const struct options *options)
{
	struct conf *conf;
	bool enough = options->state != NULL;

	if (!enough && options->verb && options->verb->bare) {
		conf = conf_new();
		cli_state(conf, options);
		enough = access(conf->state, F_OK) == 0;
		conf_free(conf);
	}
	return enough;
}

static enum err_code no_conf(const struct options *options, const char *path, struct err *err)
{
	const char *more = "";

	if (options->groups & OPTIONS_DNS) {
		more = ", or give --ca, --provider and --set";
	} else if (options->groups & OPTIONS_RENEW) {
		more = "; what was issued by flags is renewed with -c "
		       "STATE/certs/LINEAGE/lineage.conf";
	}
	return err_set(
		err, ERR_CONFIG, path,
		"there is no configuration; write one (dns01.conf(5)), or name another with -c%s",
		more);
}

enum err_code cli_conf(const struct options *options, struct conf **out, struct err *err)
{
	const char *flag = flag_beside_file(options);
	char *path;
	enum err_code code;

	if (flag && options->conf_path) {
		return err_set(
			err, ERR_USAGE, "",
			"%s and -c exclude each other: flags stand for a whole configuration",
			flag);
	}
	code = check_lone_flags(options, err);
	if (code != ERR_NONE) {
		return code;
	}
	if (flag) {
		return conf_of_flags(options, out, err);
	}
	path = cli_conf_path(options);
	if (access(path, F_OK) != 0 && !options->conf_path && !getenv("DNS01_CONFIG")) {
		code = state_is_enough(options) ? conf_of_flags(options, out, err)
						: no_conf(options, path, err);
		free(path);
		return code;
	}
	code = cli_load_conf(path, out, err);
	free(path);
	if (code != ERR_NONE) {
		return code;
	}
	cli_state(*out, options);
	code = cli_canonical_zones(*out, err);
	if (code != ERR_NONE) {
		conf_free(*out);
		*out = NULL;
	}
	return code;
}

/* ---- errors ---------------------------------------------------------------- */

struct json *cli_err_json(const struct err *err)
{
	struct json *object = json_object();

	json_set_str(object, "code", err_code_name(err->code));
	if (err->subject[0]) {
		json_set_str(object, "subject", err->subject);
	}
	json_set_str(object, "text", err->text);
	if (err->problem[0]) {
		json_set_str(object, "problem", err->problem);
	}
	if (err->retry_after_s > 0) {
		json_set_int(object, "retry_after_s", err->retry_after_s);
	}
	return object;
}

void cli_print_error(const struct err *err, bool json)
{
	char *text = err_format(err);

	if (json) {
		struct json *object = json_object();
		char *line;

		json_set(object, "error", cli_err_json(err));
		line = json_dump(object);
		puts(line);
		free(line);
		json_free(object);
	}
	fprintf(stderr, "dns01: %s\n", text);
	free(text);
}

void cli_fail(struct cli *cli, const struct err *err)
{
	cli_print_error(err, cli->options.json);
	cli->err = *err;
	cli->status = err_exit_status(err->code);
}

/* ---- a job ----------------------------------------------------------------- */

void cli_log_setup(const struct options *options)
{
	if (options->verbose > 1) {
		log_set_level(LOG_DEBUG_LEVEL);
	} else if (options->verbose == 1) {
		log_set_level(LOG_INFO_LEVEL);
	} else if (options->quiet) {
		log_set_level(LOG_ERROR_LEVEL);
	}
}

/* The first signal asks the job to clean up, the second ends at once. */
static void on_signal(void *arg, int signo)
{
	struct cli *cli = arg;

	cli->signals++;
	if (cli->signals > 1 || !cli->on_stop) {
		_exit(128 + signo);
	}
	fprintf(stderr, "dns01: stopping: records are being removed (again to stop at once)\n");
	cli->on_stop(cli->on_stop_arg);
}

bool cli_open(struct cli *cli, unsigned groups, int argc, char **argv)
{
	struct err err;
	enum err_code code;

	*cli = (struct cli){ 0 };
	code = options_parse(&cli->options, groups, argc, argv, &err);
	if (code == ERR_CANCELED) {
		return false;
	}
	cli_log_setup(&cli->options);
	if (code == ERR_NONE) {
		code = cli_conf(&cli->options, &cli->conf, &err);
	}
	if (code == ERR_NONE) {
		code = state_open(cli->conf->state, &err);
	}
	if (code == ERR_NONE) {
		cli->world = world_real_new(&err);
		code = cli->world ? ERR_NONE : err.code;
	}
	if (code == ERR_NONE) {
		world_real_on_signal(cli->world, on_signal, cli);
		cli->dns = dns_client_new(cli->world);
		code = journal_open(cli->world, cli->conf->state, &cli->journal, &err);
	}
	if (code != ERR_NONE) {
		cli_fail(cli, &err);
		return false;
	}
	return true;
}

enum err_code cli_refresh(struct cli *cli, struct err *err)
{
	journal_close(cli->journal);
	cli->journal = NULL;
	dns_client_free(cli->dns);
	cli->dns = dns_client_new(cli->world);
	return journal_open(cli->world, cli->conf->state, &cli->journal, err);
}

bool cli_open_renewals(struct cli *cli)
{
	struct err err;

	if (renewals_open(cli->conf->state, &cli->renewals, &err) != ERR_NONE) {
		cli_fail(cli, &err);
		return false;
	}
	return true;
}

void cli_run(struct cli *cli)
{
	world_real_run(cli->world);
}

int cli_close(struct cli *cli)
{
	renewals_close(cli->renewals);
	journal_close(cli->journal);
	dns_client_free(cli->dns);
	world_real_free(cli->world);
	conf_free(cli->conf);
	options_clear(&cli->options);
	return cli->status;
}
