/* each: the changes of a batch, one request at a time. */
#include "dns01/rest.h"

#define ANSWER_MAX (64 * 1024)
#define TIMEOUT_MS 60000
#define SAID_MAX 200

struct rest_each {
	struct rest_each_args args;
	struct world_http *http;
	struct world_timer *next_due;
	struct err *results;
	size_t at;
	provider_done *done;
	void *arg;
};

static void each_free(struct rest_each *each)
{
	free(each->results);
	free(each);
}

void rest_each_cancel(void *operation)
{
	struct rest_each *each = operation;

	if (each) {
		each->args.host->world->ops->http_cancel(each->http);
		world_timer_cancel(each->args.host->world, each->next_due);
		each_free(each);
	}
}

enum err_code rest_refusal(const struct http_response *response, struct err *err)
{
	enum err_code code = response->status == 401 || response->status == 403 ? ERR_DENIED
			     : response->status == 429                          ? ERR_LIMIT
			     : response->status >= 500                          ? ERR_NETWORK
										: ERR_PROTOCOL;
	struct json *body = NULL;
	char said[SAID_MAX];
	const char *text = NULL;
	struct err unused;

	if (json_parse(response->body, response->body_len, &body, &unused) == ERR_NONE) {
		text = json_str(body, "error");
	}
	text_escape(said, sizeof(said), text ? text : response->body,
		    text ? strlen(text) : response->body_len);
	json_free(body);
	return err_set(err, code, "", "the service answers %d: %s", response->status,
		       said[0] ? said : "(nothing)");
}

static void on_next(void *arg);

static void on_answer(void *arg, const struct err *err, const struct http_response *response)
{
	struct rest_each *each = arg;
	struct err *result = &each->results[each->at];
	const struct provider_change *change = &each->args.batch->changes[each->at];

	each->http = NULL;
	if (err) {
		*result = *err;
	} else if (each->args.ops->judge(each->args.instance, change, response, result) ==
		   ERR_NONE) {
		err_clear(result);
	}
	each->at++;
	on_next(each);
}

static void send_one(struct rest_each *each, const struct rest_request *request)
{
	each->http = each->args.host->world->ops->http_start(
		each->args.host->world,
		&(struct http_request){
			.method = "POST",
			.url = request->url,
			.headers = request->headers,
			.header_count = request->header_count,
			.body = request->body,
			.body_len = request->body ? strlen(request->body) : 0,
			.max_body = ANSWER_MAX,
			.timeout_ms = TIMEOUT_MS,
			.ca_file = each->args.ca_file,
			.proxy = each->args.host->proxy,
			.allow_http_loopback = true,
		},
		on_answer, each);
}

static void on_next(void *arg)
{
	struct rest_each *each = arg;

	each->next_due = NULL;
	while (each->at < each->args.batch->count) {
		struct rest_request request = { .url = NULL };
		bool wanted = each->args.ops->build(each->args.instance,
						    &each->args.batch->changes[each->at], &request);

		if (wanted) {
			send_one(each, &request);
		}
		free(request.url);
		wipe_str(request.body);
		if (wanted) {
			return;
		}
		each->at++;
	}
	each->done(each->arg, each->results, each->args.batch->count);
	each_free(each);
}

struct rest_each *rest_each_start(const struct rest_each_args *args, provider_done *done, void *arg)
{
	struct rest_each *each = xcalloc(1, sizeof(*each));

	each->args = *args;
	each->done = done;
	each->arg = arg;
	each->results = xcalloc(args->batch->count + 1, sizeof(*each->results));
	each->next_due = world_timer_start(args->host->world, 0, on_next, each);
	return each;
}
