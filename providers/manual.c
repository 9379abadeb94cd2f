/*
 * manual: a person makes the records. What to create and what to remove is printed; whoever waits
 * for the record to be visible does so as ever. Nothing here can tell whether a record was
 * removed, so that counts as done when it was said.
 */
#include "dns01/provider.h"

static const struct setting rows[] = {
	{
		.name = "notify_command",
		.type = SETTING_STRINGS,
		.fallback = "",
		.help = "Program, by its whole path, and its arguments, that is told as well: it "
			"gets the text on standard input. Where nobody sits at a terminal.",
	},
};

#define COMMAND_MS 60000
#define OUTPUT_MAX 4096
#define TEXT_MAX (1024 * 1024)

struct manual {
	const struct provider_host *host;
	struct strlist command;
};

struct apply {
	struct manual *manual;
	const struct provider_batch *batch;
	struct err *results;
	struct buf text;
	struct world_timer *start;
	struct world_child *child;
	provider_done *done;
	void *arg;
};

static void manual_close(void *instance)
{
	struct manual *manual = instance;

	if (manual) {
		strlist_clear(&manual->command);
		free(manual);
	}
}

static enum err_code manual_open(const struct provider_host *host, const struct settings *given,
				 void **instance, struct err *err)
{
	struct manual *manual = xcalloc(1, sizeof(*manual));
	const char *at = settings_get(given, rows, ARRAY_LEN(rows), "notify_command");

	manual->host = host;
	for (size_t len; *at; at += len + (at[len] == '\n')) {
		len = strcspn(at, "\n");
		strlist_take(&manual->command, xstrndup(at, len));
	}
	if (manual->command.count > 0 && manual->command.item[0][0] != '/') {
		manual_close(manual);
		return err_set(err, ERR_CONFIG, "manual",
			       "notify_command does not begin with the whole path of a program");
	}
	*instance = manual;
	return ERR_NONE;
}

static void apply_free(struct apply *apply)
{
	struct world *world = apply->manual->host->world;

	world_timer_cancel(world, apply->start);
	if (apply->child) {
		world->ops->spawn_cancel(apply->child);
	}
	buf_clear(&apply->text);
	free(apply->results);
	free(apply);
}

static void finish(struct apply *apply)
{
	apply->done(apply->arg, apply->results, apply->batch->count);
	apply_free(apply);
}

/* All that come, or all that go; several values of a name stand below each other. */
static void add_records(struct apply *apply, bool publish)
{
	const struct provider_batch *batch = apply->batch;
	bool first = true;

	for (size_t i = 0; i < batch->count; i++) {
		const struct provider_change *change = &batch->changes[i];

		if (change->publish != publish) {
			continue;
		}
		if (first) {
			buf_addf(&apply->text, "%s in zone %s%s\n",
				 publish ? "Create these TXT records" : "Remove these TXT records",
				 batch->zone,
				 publish ? ", beside what is there; dns01 waits for them:" : ":");
			first = false;
		}
		if (publish) {
			buf_addf(&apply->text, "  %s. %u IN TXT \"%s\"\n", change->owner,
				 (unsigned)change->ttl_s, change->value);
		} else {
			buf_addf(&apply->text, "  %s. IN TXT \"%s\"\n", change->owner,
				 change->value);
		}
	}
}

static void on_told(void *arg, const struct err *err, const struct spawn_result *result)
{
	struct apply *apply = arg;
	const char *program = apply->manual->command.item[0];

	apply->child = NULL;
	for (size_t i = 0; i < apply->batch->count; i++) {
		struct err *own = &apply->results[i];

		if (err) {
			*own = *err;
			own->code = ERR_CONFIG;
		} else if (result->timed_out || result->exit_status != 0) {
			err_set(own, ERR_CONFIG, apply->batch->changes[i].owner,
				"%s, which was to tell somebody, ended with exit status %d",
				program, result->exit_status);
		}
	}
	finish(apply);
}

static void on_start(void *arg)
{
	struct apply *apply = arg;
	struct world *world = apply->manual->host->world;

	apply->start = NULL;
	add_records(apply, false);
	add_records(apply, true);
	fputs(buf_str(&apply->text), stderr);
	if (apply->manual->command.count == 0) {
		finish(apply);
		return;
	}
	apply->child = world->ops->spawn_start(world,
					       &(struct spawn_request){
						       .argv = apply->manual->command.item,
						       .environment = environ,
						       .input = buf_str(&apply->text),
						       .input_len = apply->text.len,
						       .max_output = OUTPUT_MAX,
						       .timeout_ms = COMMAND_MS,
					       },
					       on_told, apply);
}

static void *manual_apply_start(void *instance, const struct provider_batch *batch,
				provider_done *done, void *arg)
{
	struct apply *apply = xcalloc(1, sizeof(*apply));

	apply->manual = instance;
	apply->batch = batch;
	apply->done = done;
	apply->arg = arg;
	apply->results = xcalloc(batch->count + 1, sizeof(*apply->results));
	buf_init(&apply->text, TEXT_MAX);
	apply->start = world_timer_start(apply->manual->host->world, 0, on_start, apply);
	return apply;
}

static void manual_apply_cancel(void *operation)
{
	if (operation) {
		apply_free(operation);
	}
}

const struct provider provider_manual = {
	.abi = PROVIDER_ABI,
	.name = "manual",
	.summary = "a person: shows what to create and what to remove, and waits",
	.privilege = "None; the person has it. A deadline of hours for the zone gives them time.",
	.example = "{ name = \"by-hand\";  type = \"manual\"; }",
	.settings = rows,
	.setting_count = ARRAY_LEN(rows),
	.unit = PROVIDER_VALUES,
	.open = manual_open,
	.apply_start = manual_apply_start,
	.apply_cancel = manual_apply_cancel,
	.close = manual_close,
};
