/* dns01 config: check, dump, manual. */
#include "cli.h"

#define STDIN_MAX (1024 * 1024)
#define FILE_MAX (1024 * 1024) /* of roots or a key */

static enum err_code read_stdin(struct buf *text, struct err *err)
{
	char chunk[4096];
	size_t got;

	while ((got = fread(chunk, 1, sizeof(chunk), stdin)) > 0) {
		buf_add(text, chunk, got);
	}
	if (ferror(stdin) || text->overflow) {
		return err_set(err, ERR_IO, "standard input", "cannot be read, or is over 1 MiB");
	}
	return ERR_NONE;
}

/* FILE, "-", what a pipe brings, or the usual place. */
static enum err_code load(const struct options *options, struct conf **conf, struct err *err)
{
	const char *file = options->name_count > 1 ? options->names[1] : options->conf_path;
	bool piped = !file && !getenv("DNS01_CONFIG") && !isatty(STDIN_FILENO);
	struct buf text = BUF_INIT(STDIN_MAX);
	char *path;
	enum err_code code;

	if (piped || (file && strcmp(file, "-") == 0)) {
		code = read_stdin(&text, err);
		if (code == ERR_NONE && (text.len > 0 || file)) {
			code = conf_parse(buf_str(&text), "standard input", provider_rows, conf,
					  err);
			buf_clear(&text);
			return code;
		}
		buf_clear(&text);
		if (code != ERR_NONE) {
			return code;
		}
	}
	path = file ? xstrdup(file) : cli_conf_path(options);
	code = cli_load_conf(path, conf, err);
	free(path);
	return code;
}

/* ---- what only the modules that use it can judge --------------------------- */

/* The sentence of err, with where the item stands. */
static enum err_code refuse(struct err *err, const char *where, const char *kind, const char *name)
{
	char *sentence = err_format(err);

	err_set(err, ERR_CONFIG, where, "%s \"%s\": %s", kind, name, sentence);
	free(sentence);
	return ERR_CONFIG;
}

static enum err_code check_account(const struct conf_account *account, struct err *err)
{
	struct buf text;
	enum err_code code = ERR_NONE;

	if (account->ca_file) {
		code = file_read(account->ca_file, FILE_MAX, &text, err);
		buf_clear(&text);
	}
	if (code == ERR_NONE && account->eab_key_file) {
		code = file_read_secret(account->eab_key_file, FILE_MAX, &text, err);
		buf_wipe(&text);
	}
	return code == ERR_NONE ? code : refuse(err, account->where, "account", account->name);
}

static enum err_code check_certificate(const struct conf_certificate *certificate, struct err *err)
{
	struct strlist names = { 0 };
	enum err_code code = names_check(&certificate->names, &names, err);

	strlist_clear(&names);
	return code == ERR_NONE ? code
				: refuse(err, certificate->where, "certificate", certificate->name);
}

static enum err_code check_items(const struct conf *conf, struct err *err)
{
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < conf->account_count && code == ERR_NONE; i++) {
		code = check_account(&conf->account[i], err);
	}
	for (size_t i = 0; i < conf->certificate_count && code == ERR_NONE; i++) {
		code = check_certificate(&conf->certificate[i], err);
	}
	return code;
}

/* Credentials too: a provider that cannot be opened is a wrong configuration. */
static enum err_code open_providers(const struct conf *conf, struct err *err)
{
	struct world *world = world_real_new(err);
	struct dns_client *dns;
	struct provider_pool *pool;
	enum err_code code = world ? ERR_NONE : err->code;

	if (!world) {
		return code;
	}
	dns = dns_client_new(world);
	pool = provider_pool_new(world, dns, conf);
	for (size_t i = 0; i < conf->provider_count && code == ERR_NONE; i++) {
		const struct conf_provider *provider = &conf->provider[i];
		const struct provider_in_use *use;

		code = provider_pool_get(pool, provider->name, &use, err);
		if (code != ERR_NONE) {
			code = refuse(err, provider->where, "provider", provider->name);
		}
	}
	provider_pool_free(pool);
	dns_client_free(dns);
	world_real_free(world);
	return code;
}

static void print_counts(const struct conf *conf, bool as_json)
{
	const struct { /* the broker's behind the first four */
		const char *what;
		size_t count;
	} counts[] = {
		{ "account", conf->account_count },   { "provider", conf->provider_count },
		{ "zone", conf->zone_count },         { "certificate", conf->certificate_count },
		{ "listener", conf->listener_count }, { "client", conf->client_count },
		{ "broker", conf->broker_count },
	};
	const char *path = conf->path ? conf->path : "standard input";
	struct json *object = json_object();
	struct buf line = BUF_INIT(STDIN_MAX);
	char *text;

	json_set_str(object, "file", path);
	buf_addf(&line, "%s:", path);
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		char key[32];

		if (counts[i].count == 0 && i > 3) {
			continue; /* most hosts have no broker */
		}
		snprintf(key, sizeof(key), "%ss", counts[i].what);
		json_set_int(object, key, (int64_t)counts[i].count);
		buf_addf(&line, "%s %zu %s%s", i > 0 ? "," : "", counts[i].count, counts[i].what,
			 counts[i].count == 1 ? "" : "s");
	}
	text = json_dump(object);
	puts(as_json ? text : buf_str(&line));
	free(text);
	buf_clear(&line);
	json_free(object);
}

static enum err_code check(const struct options *options, struct err *err)
{
	struct conf *conf = NULL;
	enum err_code code = load(options, &conf, err);

	if (code == ERR_NONE) {
		code = cli_canonical_zones(conf, err);
	}
	if (code == ERR_NONE) {
		code = check_items(conf, err);
	}
	if (code == ERR_NONE) {
		code = open_providers(conf, err);
	}
	if (code == ERR_NONE) {
		print_counts(conf, options->json);
	}
	conf_free(conf);
	return code;
}

static enum err_code dump(const struct options *options, struct err *err)
{
	struct conf *conf = NULL;
	enum err_code code = load(options, &conf, err);
	char *text;

	if (code == ERR_NONE) {
		text = conf_dump(conf, provider_rows);
		fputs(text, stdout);
		free(text);
	}
	conf_free(conf);
	return code;
}

static enum err_code run(const struct options *options, struct err *err)
{
	const char *what = options->name_count > 0 ? options->names[0] : "";
	char *text;

	if (strcmp(what, "check") == 0) {
		return check(options, err);
	}
	if (strcmp(what, "dump") == 0) {
		return dump(options, err);
	}
	if (strcmp(what, "manual") == 0) {
		text = conf_manual();
		fputs(text, stdout);
		free(text);
		return ERR_NONE;
	}
	return err_set(err, ERR_USAGE, "", "write dns01 config check, dump or manual");
}

int verb_config(int argc, char **argv)
{
	struct options options = { 0 };
	struct err err;
	enum err_code code = options_parse(&options, OPTIONS_COMMON, argc, argv, &err);

	if (code == ERR_CANCELED) {
		return 0;
	}
	if (code == ERR_NONE) {
		code = run(&options, &err);
	}
	if (code != ERR_NONE) {
		cli_print_error(&err, options.json);
	}
	options_clear(&options);
	return err_exit_status(code);
}
