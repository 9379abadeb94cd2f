/*
 * broker: publishes through a dns01 serve, so that this host holds no DNS credential. One
 * request for all values of a batch that come, one for all that go.
 *
 *   apply -> POST the values that come -> DELETE those that go -> done
 */
#include "dns01/provider.h"

#include "dns01/remote.h"

#define BATCH_MAX 100

static const struct setting rows[] = {
	{
		.name = "url",
		.type = SETTING_STRINGS,
		.required = true,
		.help = "URLs of the broker, tried in turn: https://, http:// to loopback alone, "
			"or unix:PATH.",
	},
	{
		.name = "token_file",
		.type = SETTING_FILE,
		.secret = true,
		.help = "File with this host's token. Left out: its certificate, or its user on a "
			"Unix socket, proves who asks.",
	},
	{
		.name = "ca_file",
		.type = SETTING_FILE,
		.help = "Root certificates in PEM in place of the system's.",
	},
	{
		.name = "cert_file",
		.type = SETTING_FILE,
		.help = "Certificate in PEM, with its chain, to prove who asks.",
	},
	{
		.name = "key_file",
		.type = SETTING_FILE,
		.secret = true,
		.help = "The key of cert_file.",
	},
	{
		.name = "view",
		.type = SETTING_STRING,
		.help = "The broker's view to publish in; left out: the client's first.",
	},
	{
		.name = "wait",
		.type = SETTING_ENUM,
		.choices = "published|visible",
		.fallback = "published",
		.help = "Until when the broker is waited for. visible: until its name servers all "
			"show it, for a zone with watch = \"provider\" on this host.",
	},
};

struct through {
	struct remote *remote;
	struct world *world;
	char *view, *wait;
};

struct apply {
	struct through *through;
	const struct provider_batch *batch;
	struct err *results;
	struct remote_call *call;
	struct world_timer *start;
	provider_done *done;
	void *arg;
};

static const char *setting_text(const struct settings *given, const char *name)
{
	return settings_get(given, rows, ARRAY_LEN(rows), name);
}

static char *copy_text(const struct settings *given, const char *name)
{
	return xstrdup(setting_text(given, name));
}

static void broker_close(void *instance)
{
	struct through *through = instance;

	if (through) {
		remote_close(through->remote);
		free(through->view);
		free(through->wait);
		free(through);
	}
}

static enum err_code broker_open(const struct provider_host *host, const struct settings *given,
				 void **instance, struct err *err)
{
	struct through *through = xcalloc(1, sizeof(*through));
	struct conf_broker shared = { .token_file = copy_text(given, "token_file"),
				      .ca_file = copy_text(given, "ca_file"),
				      .cert_file = copy_text(given, "cert_file"),
				      .key_file = copy_text(given, "key_file") };
	struct conf_broker *brokers = NULL;
	const char *urls = setting_text(given, "url");
	size_t count = 0, len;
	enum err_code code;

	for (const char *at = urls; *at; at += len + (at[len] == '\n')) {
		len = strcspn(at, "\n");
		brokers = xreallocarray(brokers, count + 1, sizeof(*brokers));
		brokers[count] = shared;
		brokers[count++].url = xstrndup(at, len);
	}
	through->world = host->world;
	through->view = copy_text(given, "view");
	through->wait = copy_text(given, "wait");
	code = remote_open(host->world, brokers, count, &through->remote, err);
	for (size_t i = 0; i < count; i++) {
		free(brokers[i].url);
	}
	free(brokers);
	free(shared.token_file);
	free(shared.ca_file);
	free(shared.cert_file);
	free(shared.key_file);
	if (code != ERR_NONE) {
		broker_close(through);
		return code;
	}
	*instance = through;
	return ERR_NONE;
}

/* ---- a batch ---------------------------------------------------------------------------- */

static void apply_free(struct apply *apply)
{
	world_timer_cancel(apply->through->world, apply->start);
	remote_cancel(apply->call);
	free(apply->results);
	free(apply);
}

static void finish(struct apply *apply)
{
	apply->done(apply->arg, apply->results, apply->batch->count);
	apply_free(apply);
}

static void fail_all(struct apply *apply, bool publish, const struct err *err)
{
	for (size_t i = 0; i < apply->batch->count; i++) {
		if (apply->batch->changes[i].publish == publish) {
			apply->results[i] = *err;
		}
	}
}

static void on_deleted(void *arg, const struct err *err, const struct json *answer)
{
	struct apply *apply = arg;

	(void)answer; /* how many: what had gone already is fine */
	apply->call = NULL;
	if (err) {
		fail_all(apply, false, err);
	}
	finish(apply);
}

static void delete_values(struct apply *apply)
{
	struct buf path = BUF_INIT(64 * 1024);
	size_t expect = 0;

	for (size_t i = 0; i < apply->batch->count; i++) {
		const struct provider_change *change = &apply->batch->changes[i];

		if (!change->publish) {
			buf_addf(&path, "%s%s",
				 path.len > 0 ? "," : "/v1/challenges?value=", change->value);
			expect++;
		}
	}
	if (path.len == 0) {
		finish(apply);
		return;
	}
	apply->call =
		remote_start(apply->through->remote,
			     &(struct remote_request){
				     .method = "DELETE", .path = buf_str(&path), .expect = expect },
			     on_deleted, apply);
	buf_clear(&path);
}

static void on_published(void *arg, const struct err *err, const struct json *answer)
{
	struct apply *apply = arg;
	const struct json *list = json_get(answer, "challenges");
	size_t item = 0;

	apply->call = NULL;
	if (err) {
		fail_all(apply, true, err);
		delete_values(apply);
		return;
	}
	for (size_t i = 0; i < apply->batch->count; i++) {
		const struct provider_change *change = &apply->batch->changes[i];
		const struct json *one;

		if (!change->publish) {
			continue;
		}
		one = json_at(list, item++);
		if (!json_is_object(one)) {
			err_set(&apply->results[i], ERR_PROTOCOL, change->owner,
				"the broker did not say what became of it");
		} else if (remote_item_err(one, &apply->results[i]) != ERR_NONE) {
			err_subject(&apply->results[i], "%s", change->owner);
		}
	}
	delete_values(apply);
}

static void on_start(void *arg)
{
	struct apply *apply = arg;
	struct json *body = json_object();
	struct json *list = json_array();

	apply->start = NULL;
	for (size_t i = 0; i < apply->batch->count; i++) {
		const struct provider_change *change = &apply->batch->changes[i];
		struct json *one;

		if (!change->publish) {
			continue;
		}
		one = json_object();
		json_set_str(one, "owner", change->owner);
		json_set_str(one, "value", change->value);
		json_set_str(one, "view", apply->through->view);
		json_add(list, one);
	}
	if (json_len(list) == 0) {
		json_free(list);
		json_free(body);
		delete_values(apply);
		return;
	}
	json_set(body, "challenges", list);
	json_set_str(body, "wait", apply->through->wait);
	apply->call =
		remote_start(apply->through->remote,
			     &(struct remote_request){
				     .method = "POST", .path = "/v1/challenges", .body = body },
			     on_published, apply);
	json_free(body);
}

static void *broker_apply_start(void *instance, const struct provider_batch *batch,
				provider_done *done, void *arg)
{
	struct apply *apply = xcalloc(1, sizeof(*apply));

	apply->through = instance;
	apply->batch = batch;
	apply->done = done;
	apply->arg = arg;
	apply->results = xcalloc(batch->count + 1, sizeof(*apply->results));
	apply->start = world_timer_start(apply->through->world, 0, on_start, apply);
	return apply;
}

static void broker_apply_cancel(void *operation)
{
	if (operation) {
		apply_free(operation);
	}
}

const struct provider provider_broker = {
	.abi = PROVIDER_ABI,
	.name = "broker",
	.summary = "a dns01 broker: this host holds no DNS credential",
	.privilege =
		"A client of the broker (clients in dns01.conf(5), or `dns01 client add`) with "
		"the names of this host alone.",
	.example = "{ name = \"broker\";  type = \"broker\";  url = [ "
		   "\"https://dns01.example.com:8443\" ];  token_file = \"broker.token\"; }",
	.settings = rows,
	.setting_count = ARRAY_LEN(rows),
	.unit = PROVIDER_VALUES,
	.batch_max = BATCH_MAX,
	.open = broker_open,
	.apply_start = broker_apply_start,
	.apply_cancel = broker_apply_cancel,
	.close = broker_close,
};
