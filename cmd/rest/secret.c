/*
 * secret: credentials, from a file or the environment when the provider is opened, or from a
 * program when the first request needs one. One of a program is asked for again after a 401.
 */
#include "internal.h"

#include <stdlib.h>

#define COMMAND_MS 60000

static enum err_code take(struct rest *rest, struct secret *secret, const char *text,
			  const char *source, struct err *err)
{
	size_t len = strlen(text), lead = strspn(text, " \t\r\n");

	while (len > lead && strchr(" \t\r\n", text[len - 1])) {
		len--;
	}
	if (len == lead) {
		return err_set(err, ERR_CONFIG, rest->api->provider->name,
			       "%s gives nothing; it must give the credential", source);
	}
	wipe_str(secret->text);
	secret->text = xstrndup(text + lead, len - lead);
	rest_hide(rest, secret->text);
	return ERR_NONE;
}

static enum err_code from_file(struct rest *rest, struct secret *secret, const char *path,
			       struct err *err)
{
	struct buf text;
	enum err_code code = file_read_secret(path, REST_SECRET_MAX, &text, err);

	if (code == ERR_NONE) {
		code = take(rest, secret, buf_str(&text), path, err);
	}
	buf_wipe(&text);
	return code;
}

/* The first of its variables that says something; NULL: none does. */
static const char *variable_of(const struct rest_secret *row)
{
	for (size_t i = 0; row->environment && row->environment[i]; i++) {
		const char *text = getenv(row->environment[i]);

		if (text && text[0]) {
			return row->environment[i];
		}
	}
	return NULL;
}

static enum err_code missing(const struct rest *rest, const struct rest_secret *row,
			     struct err *err)
{
	struct strlist names = { 0 };
	char *all;

	for (size_t i = 0; row->environment && row->environment[i]; i++) {
		strlist_add(&names, row->environment[i]);
	}
	all = strlist_join(&names, " or ");
	err_set(err, ERR_CONFIG, rest->api->provider->name,
		"there is no credential: set %s_file, or %s_command%s%s", row->name, row->name,
		names.count > 0 ? ", or the environment variable " : "", all);
	free(all);
	strlist_clear(&names);
	return ERR_CONFIG;
}

static enum err_code open_one(struct rest *rest, size_t index, struct err *err)
{
	const struct rest_secret *row = &rest->api->secrets[index];
	struct secret *secret = &rest->secrets[index];
	char *name = xasprintf("%s_file", row->name);
	const char *file = rest_setting(rest, name), *command, *variable;
	const char *path = row->path_variable ? getenv(row->path_variable) : NULL;
	enum err_code code = ERR_NONE;

	free(name);
	name = xasprintf("%s_command", row->name);
	command = rest_setting(rest, name);
	variable = variable_of(row);
	if (file && command) {
		code = err_set(err, ERR_CONFIG, rest->api->provider->name,
			       "both %s_file and %s are set; keep one", row->name, name);
	} else if (file || (!command && path && path[0])) {
		secret->file = xstrdup(file ? file : path);
		code = from_file(rest, secret, secret->file, err);
	} else if (command && command[0] != '/') {
		code = err_set(err, ERR_CONFIG, rest->api->provider->name,
			       "%s does not begin with the whole path of a program", name);
	} else if (command) {
		secret->command = xstrdup(command);
	} else if (variable) {
		code = take(rest, secret, getenv(variable), variable, err);
	} else if (row->required) {
		code = missing(rest, row, err);
	}
	free(name);
	return code;
}

enum err_code secrets_open(struct rest *rest, struct err *err)
{
	enum err_code code = ERR_NONE;

	rest->secrets = xcalloc(rest->api->secret_count + 1, sizeof(*rest->secrets));
	for (size_t i = 0; i < rest->api->secret_count && code == ERR_NONE; i++) {
		code = open_one(rest, i, err);
	}
	return code;
}

void secrets_close(struct rest *rest)
{
	if (rest->child) {
		rest->host->world->ops->spawn_cancel(rest->child);
	}
	for (size_t i = 0; rest->secrets && i < rest->api->secret_count; i++) {
		wipe_str(rest->secrets[i].text);
		free(rest->secrets[i].command);
		free(rest->secrets[i].file);
	}
	free(rest->secrets);
}

/* True: it is another one than before. */
static bool read_again(struct rest *rest, struct secret *secret)
{
	char *before = xstrdup(secret->text);
	struct err unused;
	bool changed;

	/* One that cannot be read any more stays as it is. */
	changed = from_file(rest, secret, secret->file, &unused) == ERR_NONE &&
		  strcmp(before, secret->text) != 0;
	wipe_str(before);
	return changed;
}

bool secrets_renew(struct rest *rest)
{
	bool renewed = false;

	for (size_t i = 0; i < rest->api->secret_count; i++) {
		struct secret *secret = &rest->secrets[i];

		if (secret->file && read_again(rest, secret)) {
			renewed = true;
		} else if (secret->command && secret->text) {
			wipe_str(secret->text);
			secret->text = NULL;
			renewed = true;
		}
	}
	return renewed;
}

/* ---- programs -------------------------------------------------------------------------- */

static void on_printed(void *arg, const struct err *err, const struct spawn_result *result)
{
	struct rest *rest = arg;
	struct secret *secret = &rest->secrets[rest->child_secret];
	char *program = xstrndup(secret->command, strcspn(secret->command, "\n"));
	struct err failed = { .code = ERR_NONE };

	rest->child = NULL;
	if (err) {
		failed = *err;
		failed.code = ERR_CONFIG;
	} else if (result->timed_out) {
		err_set(&failed, ERR_CONFIG, rest->api->provider->name,
			"%s did not print the credential within %d s", program, COMMAND_MS / 1000);
	} else if (result->exit_status != 0) {
		/* What it printed may be half of a secret. */
		err_set(&failed, ERR_CONFIG, rest->api->provider->name,
			"%s, which is to print the credential, ended with exit status %d", program,
			result->exit_status);
	} else {
		(void)!take(rest, secret, result->output, program, &failed);
	}
	free(program);
	if (failed.code != ERR_NONE) {
		calls_fail(rest, &failed);
	}
	rest_pump(rest);
}

static void run(struct rest *rest, size_t index)
{
	struct strlist argv = { 0 };
	size_t len;

	for (const char *at = rest->secrets[index].command; *at; at += len + (at[len] == '\n')) {
		len = strcspn(at, "\n");
		strlist_take(&argv, xstrndup(at, len));
	}
	rest->child_secret = index;
	rest->child = rest->host->world->ops->spawn_start(rest->host->world,
							  &(struct spawn_request){
								  .argv = argv.item,
								  .environment = environ,
								  .max_output = REST_SECRET_MAX,
								  .timeout_ms = COMMAND_MS,
							  },
							  on_printed, rest);
	strlist_clear(&argv);
}

bool secrets_ready(struct rest *rest)
{
	for (size_t i = 0; i < rest->api->secret_count; i++) {
		if (!rest->secrets[i].text && rest->secrets[i].command) {
			if (!rest->child) {
				run(rest, i);
			}
			return false;
		}
	}
	return true;
}

static const struct secret *find(const struct rest *rest, const char *name)
{
	size_t i = 0;

	while (i < rest->api->secret_count && strcmp(rest->api->secrets[i].name, name) != 0) {
		i++;
	}
	return &rest->secrets[i]; /* one past the last has nothing */
}

const char *rest_secret(const struct rest *rest, const char *name)
{
	return find(rest, name)->text;
}

bool rest_has_secret(const struct rest *rest, const char *name)
{
	const struct secret *secret = find(rest, name);

	return secret->text || secret->command;
}
