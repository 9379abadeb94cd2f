/* deploying: a deployment as issue, renew and deploy do it: what people see of it, and its JSON. */
#include "cli.h"

#define LINEAGES_SHOWN 10

/* One thing that was done, or failed. */
struct deploying_step {
	char *what;
	struct strlist lineages;
	struct err *err; /* NULL: done */
	char *output;
};

struct deploying {
	struct cli *cli;
	struct notify *notify;
	struct deploy *deploy;
	struct deploying_step *step;
	size_t count;
	struct err err; /* the first failure */
	bool ended;
	deploying_done *done;
	void *arg;
};

/* ---- what people see --------------------------------------------------------- */

static bool is_silent(const struct deploying *deploying)
{
	return deploying->cli->options.quiet || deploying->cli->options.json;
}

/* Gives. */
static char *some_of(const struct strlist *lineages)
{
	struct buf text = BUF_INIT(64 * 1024);
	size_t shown = lineages->count <= LINEAGES_SHOWN ? lineages->count : LINEAGES_SHOWN;

	for (size_t i = 0; i < shown; i++) {
		buf_addf(&text, "%s%s", i > 0 ? ", " : "", lineages->item[i]);
	}
	if (shown < lineages->count) {
		buf_addf(&text, " and %zu more", lineages->count - shown);
	}
	return buf_detach(&text);
}

static void print_begin(const struct deploying *deploying, const struct deploy_event *event)
{
	char *lineages = some_of(event->lineages);
	char shown[1024];

	text_escape(shown, sizeof(shown), event->what, strlen(event->what));
	if (!is_silent(deploying)) {
		fprintf(stderr, "%s: deploying: %s\n", lineages, shown);
	}
	free(lineages);
}

static void print_end(const struct deploying *deploying, const struct deploy_event *event)
{
	if (event->output[0] && !deploying->cli->options.json) {
		printf("  deploy  printed:\n%s", event->output);
		(void)fflush(stdout);
	}
	if (event->err) {
		struct err full = *event->err;
		char *lineages = some_of(event->lineages), *why = err_format(event->err);

		snprintf(full.subject, sizeof(full.subject), "%.300s", lineages);
		snprintf(full.text, sizeof(full.text),
			 "the certificate is there, but its deployment failed: %.900s", why);
		cli_print_error(&full, false);
		free(lineages);
		free(why);
	}
}

void deploying_event(void *arg, const struct deploy_event *event)
{
	struct deploying *deploying = arg;
	struct deploying_step *step;

	if (!event->ended) {
		print_begin(deploying, event);
		return;
	}
	print_end(deploying, event);
	deploying->step =
		xreallocarray(deploying->step, deploying->count + 1, sizeof(*deploying->step));
	step = &deploying->step[deploying->count++];
	*step = (struct deploying_step){
		.what = xstrdup(event->what),
		.err = err_box(event->err),
		.output = xstrdup(event->output),
	};
	strlist_copy(&step->lineages, event->lineages);
}

static struct json *step_json(const struct deploying_step *step)
{
	struct json *object = json_object(), *lineages = json_array();

	json_set_str(object, "what", step->what);
	for (size_t i = 0; i < step->lineages.count; i++) {
		json_add_str(lineages, step->lineages.item[i]);
	}
	json_set(object, "lineages", lineages);
	json_set_bool(object, "done", !step->err);
	if (step->err) {
		json_set(object, "error", cli_err_json(step->err));
	}
	json_set_str(object, "output", step->output);
	return object;
}

struct json *deploying_json(const struct deploying *deploying, const char *lineage)
{
	struct json *array = json_array();

	for (size_t i = 0; deploying && i < deploying->count; i++) {
		if (!lineage || strlist_has(&deploying->step[i].lineages, lineage)) {
			json_add(array, step_json(&deploying->step[i]));
		}
	}
	return array;
}

const struct err *deploying_failure(const struct deploying *deploying, const char *lineage)
{
	for (size_t i = 0; deploying && i < deploying->count; i++) {
		if (deploying->step[i].err && strlist_has(&deploying->step[i].lineages, lineage)) {
			return deploying->step[i].err;
		}
	}
	return NULL;
}

char *deploying_output(const struct deploying *deploying, const char *lineage)
{
	struct buf out = BUF_INIT(64 * 1024);

	for (size_t i = 0; deploying && i < deploying->count; i++) {
		if (strlist_has(&deploying->step[i].lineages, lineage)) {
			buf_add_str(&out, deploying->step[i].output);
		}
	}
	return buf_detach(&out);
}

/* ---- the work ------------------------------------------------------------------ */

static void on_told(void *arg)
{
	struct deploying *deploying = arg;

	deploying->done(deploying->arg, deploying->err.code == ERR_NONE ? NULL : &deploying->err);
}

static void on_deployed(void *arg, const struct err *err)
{
	struct deploying *deploying = arg;

	deploying->ended = true;
	if (err) {
		deploying->err = *err;
		/* what failed as one thing was said when it did */
		if (deploying->count == 0) {
			cli_print_error(err, false);
		}
	}
	notify_finish(deploying->notify, on_told, deploying);
}

struct deploying *deploying_listen(struct cli *cli)
{
	struct deploying *deploying = xcalloc(1, sizeof(*deploying));

	deploying->cli = cli;
	return deploying;
}

struct deploying *deploying_new(struct cli *cli)
{
	struct deploying *deploying = deploying_listen(cli);

	deploying->notify = notify_new(&(struct notify_args){
		.world = cli->world,
		.conf = cli->conf,
		.renewals = cli->renewals,
	});
	deploying->deploy = deploy_new(&(struct deploy_args){
		.world = cli->world,
		.conf = cli->conf,
		.renewals = cli->renewals,
		.notify = deploying->notify,
		.event = deploying_event,
		.event_arg = deploying,
	});
	return deploying;
}

void deploying_add(struct deploying *deploying, const struct deploy_lineage *lineage)
{
	deploy_add(deploying->deploy, lineage);
}

void deploying_start(struct deploying *deploying, deploying_done *done, void *arg)
{
	deploying->done = done;
	deploying->arg = arg;
	deploy_start(deploying->deploy, on_deployed, deploying);
}

void deploying_stop(struct deploying *deploying)
{
	if (deploying && !deploying->ended) {
		deploy_stop(deploying->deploy);
	}
}

void deploying_free(struct deploying *deploying)
{
	if (!deploying) {
		return;
	}
	deploy_free(deploying->deploy);
	notify_free(deploying->notify);
	for (size_t i = 0; i < deploying->count; i++) {
		struct deploying_step *step = &deploying->step[i];

		free(step->what);
		strlist_clear(&step->lineages);
		free(step->err);
		free(step->output);
	}
	free(deploying->step);
	free(deploying);
}
