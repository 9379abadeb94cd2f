/*
 * deploy: the commands of a certificate, one after another, each with a
 * deadline. What they print is kept; one that fails does not keep the others from running.
 */
#include "dns01/issue.h"

#define OUTPUT_MAX (16 * 1024)     /* of one command */
#define OUTPUT_ALL_MAX (64 * 1024) /* escaped, of all */
#define SIGNAL_STATUS 128          /* and the signal's number, as shells say it */
#define ENVIRONMENT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct deploy {
	struct deploy_args args;
	struct strlist environment;
	size_t next; /* command to run */
	struct world_child *child;
	struct world_timer *timer;
	struct buf output;
	struct err err; /* the first failure */
	deploy_done *done;
	void *arg;
};

static void deploy_free(struct deploy *deploy)
{
	strlist_clear(&deploy->environment);
	buf_clear(&deploy->output);
	free(deploy);
}

static void run_next(void *arg);

static void note_failure(struct deploy *deploy, const char *command, const struct err *err,
			 const struct spawn_result *result)
{
	struct err failed;

	if (err) {
		failed = *err;
		failed.code = ERR_DEPLOY;
	} else if (result->timed_out) {
		char limit[32];

		duration_format(limit, deploy->args.certificate->deploy_timeout_ms);
		err_set(&failed, ERR_DEPLOY, command, "did not end within %s and was killed",
			limit);
	} else if (result->exit_status > SIGNAL_STATUS) {
		err_set(&failed, ERR_DEPLOY, command, "ended with exit status %d (signal %d)",
			result->exit_status, result->exit_status - SIGNAL_STATUS);
	} else {
		err_set(&failed, ERR_DEPLOY, command, "ended with exit status %d",
			result->exit_status);
	}
	if (deploy->err.code == ERR_NONE) {
		deploy->err = failed;
	}
}

static void keep_output(struct deploy *deploy, const struct spawn_result *result)
{
	const char *line = result->output;
	const char *end = result->output + result->output_len;

	while (line < end) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t len = (size_t)((newline ? newline : end) - line);
		char escaped[1024];

		text_escape(escaped, sizeof(escaped), line, len);
		buf_addf(&deploy->output, "%s\n", escaped);
		line += len + 1;
	}
}

static void on_exit_of(void *arg, const struct err *err, const struct spawn_result *result)
{
	struct deploy *deploy = arg;
	const char *command = deploy->args.certificate->deploy.item[deploy->next - 1].argv.item[0];

	deploy->child = NULL;
	if (result) {
		keep_output(deploy, result);
	}
	if (err || result->timed_out || result->exit_status != 0) {
		note_failure(deploy, command, err, result);
	}
	run_next(deploy);
}

static void run_next(void *arg)
{
	struct deploy *deploy = arg;
	struct world *world = deploy->args.world;
	const struct commands *commands = &deploy->args.certificate->deploy;

	deploy->timer = NULL;
	if (deploy->next == commands->count) {
		deploy->done(deploy->arg, deploy->err.code == ERR_NONE ? NULL : &deploy->err,
			     buf_str(&deploy->output));
		deploy_free(deploy);
		return;
	}
	deploy->child =
		world->ops->spawn_start(world,
					&(struct spawn_request){
						.argv = commands->item[deploy->next++].argv.item,
						.environment = deploy->environment.item,
						.max_output = OUTPUT_MAX,
						.timeout_ms =
							deploy->args.certificate->deploy_timeout_ms,
					},
					on_exit_of, deploy);
}

/* RENEWED_* as certbot's deploy hooks expect them; the rest is for our own. */
static void fill_environment(struct deploy *deploy)
{
	const struct deploy_args *args = &deploy->args;
	char *names = strlist_join(&args->facts->names, " ");

	strlist_add(&deploy->environment, ENVIRONMENT_PATH);
	strlist_addf(&deploy->environment, "RENEWED_LINEAGE=%s", args->folder);
	strlist_addf(&deploy->environment, "RENEWED_DOMAINS=%s", names);
	strlist_addf(&deploy->environment, "DNS01_LINEAGE=%s", args->lineage);
	strlist_addf(&deploy->environment, "DNS01_FOLDER=%s", args->folder);
	free(names);
}

struct deploy *deploy_start(const struct deploy_args *args, deploy_done *done, void *arg)
{
	struct deploy *deploy = xcalloc(1, sizeof(*deploy));

	deploy->args = *args;
	deploy->done = done;
	deploy->arg = arg;
	buf_init(&deploy->output, OUTPUT_ALL_MAX);
	fill_environment(deploy);
	deploy->timer = world_timer_start(args->world, 0, run_next, deploy);
	return deploy;
}

void deploy_cancel(struct deploy *deploy)
{
	if (!deploy) {
		return;
	}
	if (deploy->child) {
		deploy->args.world->ops->spawn_cancel(deploy->child);
	}
	world_timer_cancel(deploy->args.world, deploy->timer);
	deploy_free(deploy);
}
