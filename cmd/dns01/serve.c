/*
 * dns01 serve: the broker as a daemon.
 *
 *   configuration, keys, listeners (as root, perhaps) -> the user of the configuration -> state,
 *   journal, clients -> READY -> SIGTERM or SIGINT: STOPPING -> over
 */
#include "cli.h"

#include <errno.h>
#include <grp.h>
#include <malloc.h>
#include <pwd.h>
#include <signal.h>
#include <time.h>

#include "dns01/broker.h"

#define FLUSH_US ((int64_t)2 * 1000000) /* for the last answers */
/* Octets of the C library's heap; what is larger than the last is mapped alone. */
#define HEAP_KEPT (64 << 20)
#define HEAP_STEP (1 << 20)
#define HEAP_ALONE (8 << 20)

struct serve_run {
	struct options options;
	struct world *world;
	struct dns_client *dns;
	struct journal *journal;
	struct clients *clients;
	struct broker *broker;
	char *state;
	int signals;
	int status;
};

/* ---- what it says --------------------------------------------------------------------- */

/* With --json: a line of JSON for each line of the log. */
static void log_json(void *arg, enum log_level level, const char *line)
{
	static const char *const names[] = {
		[LOG_DEBUG_LEVEL] = "debug",
		[LOG_INFO_LEVEL] = "info",
		[LOG_WARN_LEVEL] = "warning",
		[LOG_ERROR_LEVEL] = "error",
	};
	struct json *object = json_object();
	char now[32];
	char *text;

	(void)arg;
	time_format(now, (int64_t)time(NULL));
	json_set_str(object, "time", now);
	json_set_str(object, "level", names[level]);
	json_set_str(object, "text", line);
	text = json_dump(object);
	fprintf(stderr, "%s\n", text);
	free(text);
	json_free(object);
}

static void say(const struct serve_run *run, const char *line)
{
	if (run->options.json) {
		log_json(NULL, LOG_INFO_LEVEL, line);
	} else if (!run->options.quiet) {
		fprintf(stderr, "dns01: %s\n", line);
	}
}

static void say_places(const struct serve_run *run)
{
	char *places = broker_describe(run->broker);

	if (!run->options.json) {
		if (!run->options.quiet) {
			fprintf(stderr, "dns01: listening\n%s", places);
		}
		free(places);
		return;
	}
	for (char *line = places, *end; *line; line = end) {
		end = line + strcspn(line, "\n");
		if (*end) {
			*end++ = '\0';
		}
		log_json(NULL, LOG_INFO_LEVEL, line);
	}
	free(places);
}

static void complain(const struct serve_run *run, const struct err *err)
{
	char *text = err_format(err);

	if (run->options.json) {
		log_json(NULL, LOG_ERROR_LEVEL, text);
	} else {
		cli_print_error(err, false);
	}
	free(text);
}

static void fail(struct serve_run *run, const struct err *err)
{
	complain(run, err);
	run->status = err_exit_status(err->code);
}

/* ---- privileges ----------------------------------------------------------------------- */

/* From root to the user of the configuration; anyone else stays who he is. */
static enum err_code drop_privileges(const struct conf *conf, struct err *err)
{
	const struct passwd *user;

	if (geteuid() != 0 || strcmp(conf->user, "root") == 0) {
		return ERR_NONE;
	}
	user = getpwnam(conf->user);
	if (!user) {
		return err_set(err, ERR_CONFIG, "user",
			       "there is no user %s to become after listening; make it (`useradd "
			       "--system %s`), or name another with user = \"...\"",
			       conf->user, conf->user);
	}
	if (initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
	    setuid(user->pw_uid) != 0) {
		return err_set(err, ERR_IO, conf->user, "cannot become that user: %s",
			       strerror(errno));
	}
	return ERR_NONE;
}

/* ---- the end ----------------------------------------------------------------------------- */

static void on_stopped(void *arg)
{
	struct serve_run *run = arg;

	world_real_stop(run->world);
}

static void reload(struct serve_run *run)
{
	struct conf *conf = NULL;
	struct err err;
	enum err_code code = cli_conf(&run->options, &conf, &err);

	world_real_notify("RELOADING=1");
	if (code == ERR_NONE) {
		code = broker_reload(run->broker, conf, &err);
	}
	if (code == ERR_NONE) {
		say(run, "the configuration was read again");
	} else {
		complain(run, &err);
		say(run, "the configuration in use stays");
	}
	world_real_notify("READY=1");
}

static void on_signal(void *arg, int signo)
{
	struct serve_run *run = arg;

	if (signo == SIGHUP && run->signals == 0) {
		reload(run);
		return;
	}
	if (++run->signals > 1) {
		_exit(128 + signo);
	}
	world_real_notify("STOPPING=1");
	say(run, "stopping (again to stop at once)");
	broker_stop(run->broker, on_stopped, run);
}

/* ---- the beginning -------------------------------------------------------------- */

static enum err_code open_state(struct serve_run *run, struct err *err)
{
	enum err_code code = state_open(run->state, err);

	if (code == ERR_NONE) {
		code = journal_open(run->world, run->state, &run->journal, err);
	}
	if (code == ERR_NONE) {
		code = clients_open(run->state, &run->clients, err);
	}
	return code;
}

static enum err_code begin(struct serve_run *run, struct err *err)
{
	struct conf *conf = NULL;
	struct conf *kept = NULL; /* the broker owns the other one */
	enum err_code code = cli_conf(&run->options, &conf, err);

	if (code != ERR_NONE) {
		return code;
	}
	code = cli_conf(&run->options, &kept, err);
	run->world = code == ERR_NONE ? world_real_new(err) : NULL;
	if (!run->world) {
		conf_free(conf);
		conf_free(kept);
		return err->code;
	}
	run->state = xstrdup(kept->state);
	run->dns = dns_client_new(run->world);
	world_real_raise_limits();
	code = broker_new(&(struct broker_args){ .world = run->world,
						 .dns = run->dns,
						 .state = run->state,
						 .conf = conf,
						 .inherited = world_real_inherited },
			  &run->broker, err);
	if (code == ERR_NONE) {
		code = drop_privileges(kept, err);
	}
	if (code == ERR_NONE) {
		code = open_state(run, err);
	}
	if (code == ERR_NONE) {
		code = broker_start(run->broker, run->journal, run->clients, err);
	}
	conf_free(kept);
	if (code == ERR_NONE) {
		world_real_on_signal(run->world, on_signal, run);
		say_places(run);
		world_real_notify("READY=1");
	}
	return code;
}

/* Each batch takes and gives back what a thousand requests need: the C library keeps it for the
 * next one, where it would return it to the kernel and ask for it anew. */
static void keep_heap(void)
{
	mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
	mallopt(M_TOP_PAD, HEAP_STEP);
	mallopt(M_MMAP_THRESHOLD, HEAP_ALONE);
}

int verb_serve(int argc, char **argv)
{
	struct serve_run run = { 0 };
	struct err err;
	enum err_code code = options_parse(&run.options, OPTIONS_COMMON, argc, argv, &err);

	if (code == ERR_CANCELED) {
		options_clear(&run.options);
		return 0;
	}
	cli_log_setup(&run.options);
	if (run.options.json) {
		log_set_sink(log_json, NULL);
	}
	keep_heap();
	if (code == ERR_NONE) {
		code = begin(&run, &err);
	}
	if (code == ERR_NONE) {
		world_real_run(run.world);
		world_real_drain(run.world, FLUSH_US);
	} else {
		fail(&run, &err);
	}
	broker_free(run.broker);
	clients_close(run.clients);
	journal_close(run.journal);
	dns_client_free(run.dns);
	world_real_free(run.world);
	free(run.state);
	options_clear(&run.options);
	return run.status;
}
