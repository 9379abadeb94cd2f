/*
 * exec: any program, run once for each change, one after another.
 *
 *   COMMAND... present|cleanup OWNER. VALUE      as lego's exec provider calls it
 *   /bin/sh ACME_SH eval ...                     style = "acme.sh": a dns_NAME.sh of acme.sh
 *
 * It inherits the environment of dns01; beside it there are DNS01_ACTION (publish or retract),
 * DNS01_OWNER, DNS01_VALUE, DNS01_ZONE, DNS01_TTL, and what the settings say. Exit statuses: 0, it
 * is done, or was so already; 77 (EX_NOPERM) and 78 (EX_CONFIG), surely nothing was changed;
 * any other one leaves that open, and the change is made again by the next run.
 */
#include "dns01/provider.h"

#include <ctype.h>

#define OUTPUT_MAX (64 * 1024)
#define SAID_MAX 300
#define VARIABLES_MAX (64 * 1024) /* of environment_file */
#define EX_NOPERM 77
#define EX_CONFIG 78
#define MASKED_LEN_MIN 4

static const struct setting rows[] = {
	{
		.name = "command",
		.type = SETTING_STRINGS,
		.required = true,
		.help = "The program, by its whole path, and arguments that stand before ours: "
			"present or cleanup, the owner name with a final dot, and the value. With "
			"style = \"acme.sh\" the path of a dns_NAME.sh alone.",
	},
	{
		.name = "style",
		.type = SETTING_ENUM,
		.choices = "lego|acme.sh",
		.fallback = "lego",
		.help = "How it is called: as lego's exec provider calls it, or as a file of "
			"functions for acme.sh.",
	},
	{
		.name = "acme_sh",
		.type = SETTING_FILE,
		.fallback = "/root/.acme.sh/acme.sh",
		.help = "With style = \"acme.sh\": the acme.sh that lends its functions. Its "
			"account.conf has what dns_NAME.sh saved there.",
	},
	{
		.name = "environment",
		.type = SETTING_STRINGS,
		.fallback = "",
		.help = "Variables for the program, each as NAME=VALUE.",
	},
	{
		.name = "environment_file",
		.type = SETTING_FILE,
		.secret = true,
		.help = "File with more of them, one a line, for secrets.",
	},
	{
		.name = "timeout",
		.type = SETTING_DURATION,
		.fallback = "2m",
		.min = 1000,
		.max = 3600 * 1000,
		.help = "How long one run of the program may take; then it is ended.",
	},
};

struct exec {
	const struct provider_host *host;
	struct strlist command;
	struct strlist environment; /* of the settings */
	struct strlist secrets;     /* values of environment_file */
	char *acme_sh;              /* NULL: style is lego */
	int64_t timeout_ms;
};

struct apply {
	struct exec *exec;
	const struct provider_batch *batch;
	struct err *results;
	size_t at;
	struct strlist argv, environment; /* of the run under way */
	struct world_child *child;
	struct world_timer *start;
	provider_done *done;
	void *arg;
};

static const char *setting_text(const struct settings *given, const char *name)
{
	return settings_get(given, rows, ARRAY_LEN(rows), name);
}

/* ---- settings --------------------------------------------------------------------------- */

static void exec_close(void *instance)
{
	struct exec *exec = instance;

	if (!exec) {
		return;
	}
	for (size_t i = 0; i < exec->secrets.count; i++) {
		wipe(exec->secrets.item[i], strlen(exec->secrets.item[i]));
	}
	strlist_clear(&exec->command);
	strlist_clear(&exec->environment);
	strlist_clear(&exec->secrets);
	free(exec->acme_sh);
	free(exec);
}

static void add_lines(struct strlist *list, const char *lines)
{
	for (size_t len; *lines; lines += len + (lines[len] == '\n')) {
		len = strcspn(lines, "\n");
		if (len > 0 && lines[0] != '#') {
			strlist_take(list, xstrndup(lines, len));
		}
	}
}

static bool is_variable(const char *text)
{
	size_t len = strcspn(text, "=");

	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)text[i]) && text[i] != '_') {
			return false;
		}
	}
	return len > 0 && text[len] == '=' && !isdigit((unsigned char)text[0]);
}

static enum err_code read_environment(struct exec *exec, const struct settings *given,
				      struct err *err)
{
	const char *path = setting_text(given, "environment_file");
	enum err_code code = ERR_NONE;
	size_t plain;
	struct buf text;

	add_lines(&exec->environment, setting_text(given, "environment"));
	plain = exec->environment.count;
	if (path) {
		code = file_read_secret(path, VARIABLES_MAX, &text, err);
		add_lines(&exec->environment, code == ERR_NONE ? buf_str(&text) : "");
		buf_wipe(&text);
	}
	for (size_t i = 0; i < exec->environment.count && code == ERR_NONE; i++) {
		const char *item = exec->environment.item[i];

		if (!is_variable(item)) {
			/* Not quoted: it may be half of a secret. */
			code = err_set(err, ERR_CONFIG, "exec", "line %zu of %s is not NAME=VALUE",
				       i < plain ? i + 1 : i - plain + 1,
				       i < plain ? "environment" : path);
		} else if (i >= plain) {
			strlist_add(&exec->secrets, strchr(item, '=') + 1);
		}
	}
	return code;
}

static enum err_code check_command(const struct exec *exec, struct err *err)
{
	const char *program = exec->command.count > 0 ? exec->command.item[0] : "";

	if (program[0] != '/') {
		return err_set(err, ERR_CONFIG, "exec",
			       "command does not begin with the whole path of a program");
	}
	if (exec->acme_sh && exec->command.count > 1) {
		return err_set(err, ERR_CONFIG, "exec",
			       "with style = \"acme.sh\" command is the path of a dns_NAME.sh "
			       "alone; settings for it go to environment");
	}
	return ERR_NONE;
}

static enum err_code exec_open(const struct provider_host *host, const struct settings *given,
			       void **instance, struct err *err)
{
	struct exec *exec = xcalloc(1, sizeof(*exec));
	enum err_code code;

	exec->host = host;
	add_lines(&exec->command, setting_text(given, "command"));
	if (strcmp(setting_text(given, "style"), "acme.sh") == 0) {
		exec->acme_sh = xstrdup(setting_text(given, "acme_sh"));
	}
	code = check_command(exec, err);
	if (code == ERR_NONE) {
		code = read_environment(exec, given, err);
	}
	if (code == ERR_NONE &&
	    !duration_parse(setting_text(given, "timeout"), &exec->timeout_ms)) {
		code = err_set(err, ERR_CONFIG, "exec", "timeout is not a duration");
	}
	if (code != ERR_NONE) {
		exec_close(exec);
		return code;
	}
	*instance = exec;
	return ERR_NONE;
}

/* ---- one run ------------------------------------------------------------------------------ */

static void next_change(void *arg);

static void mask(const struct exec *exec, char *text)
{
	for (size_t i = 0; i < exec->secrets.count; i++) {
		const char *secret = exec->secrets.item[i];
		size_t len = strlen(secret);
		char *at = text;

		while (len >= MASKED_LEN_MIN && (at = strstr(at, secret))) {
			memset(at, '*', len);
			at += len;
		}
	}
}

/* The last line that it wrote; most programs say there what went wrong. */
static void last_line(const struct exec *exec, const struct spawn_result *result,
		      char out[SAID_MAX])
{
	char *text = xstrndup(result->output, result->output_len);
	size_t len = strlen(text);
	char *line;

	mask(exec, text);
	while (len > 0 && strchr(" \t\r\n", text[len - 1])) {
		text[--len] = '\0';
	}
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	text_escape(out, SAID_MAX, line, strlen(line));
	wipe_str(text);
}

static void judge(const struct apply *apply, const struct spawn_result *result, struct err *err)
{
	const struct exec *exec = apply->exec;
	const struct provider_change *change = &apply->batch->changes[apply->at];
	const char *program = exec->command.item[0];
	const int status = result->exit_status;
	char said[SAID_MAX], limit[32];

	err_clear(err);
	if (result->timed_out) {
		duration_format(limit, exec->timeout_ms);
		err_set(err, ERR_TIMEOUT, change->owner, "%s did not end within %s and was killed",
			program, limit);
	} else if (status != 0) {
		last_line(exec, result, said);
		err_set(err,
			status == EX_NOPERM   ? ERR_DENIED
			: status == EX_CONFIG ? ERR_CONFIG
					      : ERR_PROTOCOL,
			change->owner,
			"%s, which was to %s the TXT record, ended with exit status "
			"%d: %s",
			program, change->publish ? "add" : "remove", status,
			said[0] ? said : "(it said nothing)");
	}
}

static void on_end(void *arg, const struct err *err, const struct spawn_result *result)
{
	struct apply *apply = arg;
	struct err *own = &apply->results[apply->at];

	apply->child = NULL;
	if (err) {
		*own = *err;
		own->code = ERR_CONFIG; /* it was not even started */
		err_subject(own, "%s", apply->batch->changes[apply->at].owner);
	} else {
		judge(apply, result, own);
	}
	apply->at++;
	next_change(apply);
}

/* With an argument that is no option acme.sh runs it as a command of its own shell. */
static void add_acme_sh(struct strlist *argv, const struct exec *exec, bool publish)
{
	const char *file = exec->command.item[0];
	const char *slash = strrchr(file, '/');
	size_t len = strlen(slash + 1);

	if (len > 3 && strcmp(slash + 1 + len - 3, ".sh") == 0) {
		len -= 3;
	}
	strlist_add(argv, "/bin/sh");
	strlist_add(argv, exec->acme_sh);
	strlist_add(argv, "eval");
	strlist_addf(argv,
		     "_initpath && . \"$DNS01_FILE\" && %.*s_%s \"$DNS01_OWNER\" \"$DNS01_VALUE\"",
		     (int)len, slash + 1, publish ? "add" : "rm");
}

static void add_lego(struct strlist *argv, const struct exec *exec,
		     const struct provider_change *change)
{
	strlist_copy(argv, &exec->command);
	strlist_add(argv, change->publish ? "present" : "cleanup");
	strlist_addf(argv, "%s.", change->owner);
	strlist_add(argv, change->value);
}

static void add_environment(struct apply *apply, const struct provider_change *change)
{
	struct strlist *to = &apply->environment;

	for (char **variable = environ; *variable; variable++) {
		strlist_add(to, *variable);
	}
	strlist_copy(to, &apply->exec->environment);
	strlist_addf(to, "DNS01_ACTION=%s", change->publish ? "publish" : "retract");
	strlist_addf(to, "DNS01_OWNER=%s", change->owner);
	strlist_addf(to, "DNS01_VALUE=%s", change->value);
	strlist_addf(to, "DNS01_ZONE=%s", apply->batch->zone);
	strlist_addf(to, "DNS01_TTL=%u", (unsigned)change->ttl_s);
	strlist_addf(to, "DNS01_FILE=%s", apply->exec->command.item[0]);
}

static void clear_run(struct apply *apply)
{
	strlist_clear(&apply->argv);
	strlist_clear(&apply->environment);
}

static void apply_free(struct apply *apply)
{
	struct world *world = apply->exec->host->world;

	if (apply->child) {
		world->ops->spawn_cancel(apply->child);
	}
	world_timer_cancel(world, apply->start);
	clear_run(apply);
	free(apply->results);
	free(apply);
}

static void next_change(void *arg)
{
	struct apply *apply = arg;
	struct world *world = apply->exec->host->world;
	const struct provider_change *change = &apply->batch->changes[apply->at];

	apply->start = NULL;
	clear_run(apply);
	if (apply->at == apply->batch->count) {
		apply->done(apply->arg, apply->results, apply->batch->count);
		apply_free(apply);
		return;
	}
	if (apply->exec->acme_sh) {
		add_acme_sh(&apply->argv, apply->exec, change->publish);
	} else {
		add_lego(&apply->argv, apply->exec, change);
	}
	add_environment(apply, change);
	apply->child = world->ops->spawn_start(world,
					       &(struct spawn_request){
						       .argv = apply->argv.item,
						       .environment = apply->environment.item,
						       .max_output = OUTPUT_MAX,
						       .timeout_ms = apply->exec->timeout_ms,
					       },
					       on_end, apply);
}

static void *exec_apply_start(void *instance, const struct provider_batch *batch,
			      provider_done *done, void *arg)
{
	struct apply *apply = xcalloc(1, sizeof(*apply));

	apply->exec = instance;
	apply->batch = batch;
	apply->done = done;
	apply->arg = arg;
	apply->results = xcalloc(batch->count + 1, sizeof(*apply->results));
	apply->start = world_timer_start(apply->exec->host->world, 0, next_change, apply);
	return apply;
}

static void exec_apply_cancel(void *operation)
{
	if (operation) {
		apply_free(operation);
	}
}

const struct provider provider_exec = {
	.abi = PROVIDER_ABI,
	.name = "exec",
	.summary = "any program: one written for lego's exec, a dns_NAME.sh of acme.sh, your own",
	.privilege = "Whatever the program needs; it runs as the user who runs dns01. What only it "
		     "may read goes to environment_file.",
	.example = "{ name = \"own\";  type = \"exec\";  command = [ "
		   "\"/usr/local/lib/dns01/update-dns\" ]; }",
	.settings = rows,
	.setting_count = ARRAY_LEN(rows),
	.unit = PROVIDER_VALUES,
	.in_flight_max = 1,
	.environment =
		"All of it goes to the program, with DNS01_ACTION (publish or retract), "
		"DNS01_OWNER, DNS01_VALUE, DNS01_ZONE and DNS01_TTL. Exit statuses: 0, it is "
		"done or was so already; 77 and 78, surely nothing was changed; any other "
		"one: it may have been, and is tried again by the next run.",
	.open = exec_open,
	.apply_start = exec_apply_start,
	.apply_cancel = exec_apply_cancel,
	.close = exec_close,
};
