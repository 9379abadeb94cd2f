/*
 * The HTTP client: who waits, who runs, who hears of the end.
 *
 *   http_client_start -> WAITING -> RUNNING -> done
 *          |                |                   ^
 *          |                +--> FAILED --------+
 *          +-------------------> FAILED --------+
 */
#include "client.h"

#include <dirent.h>

/* ---- the system's roots -------------------------------------------------------- */

/* OpenSSL looks for <8 hexadecimal digits of the subject's hash>.<number>. */
static bool is_hashed_name(const char *name)
{
	return strspn(name, "0123456789abcdef") == 8 && name[8] == '.' && name[9] == '0';
}

/*
 * A folder with the roots by hash costs one small file a connection, the bundle
 * 140 certificates, 15 to 30 ms. But there are machines with the bundle alone.
 */
static const char *find_hashed_roots(void)
{
	CURL *easy = curl_easy_init();
	char *path = NULL;
	DIR *folder = NULL;
	struct dirent *entry;
	bool found = false;

	if (easy) {
		curl_easy_getinfo(easy, CURLINFO_CAPATH, &path); /* static */
	}
	curl_easy_cleanup(easy);
	folder = path ? opendir(path) : NULL;
	while (folder && !found && (entry = readdir(folder))) {
		found = is_hashed_name(entry->d_name);
	}
	if (folder) {
		closedir(folder);
	}
	return found ? path : NULL;
}

/* ---- hosts ----------------------------------------------------------------------- */

/* Takes key. */
static struct http_host *host_get(struct http_client *client, char *key)
{
	struct http_host *host;

	TAILQ_FOREACH(host, &client->hosts, link)
	{
		if (strcmp(host->key, key) == 0) {
			free(key);
			return host;
		}
	}
	host = xcalloc(1, sizeof(*host));
	host->key = key;
	TAILQ_INIT(&host->running);
	TAILQ_INIT(&host->waiting);
	TAILQ_INSERT_TAIL(&client->hosts, host, link);
	return host;
}

static void fail_later(struct world_http *http)
{
	http->state = HTTP_FAILED;
	TAILQ_INSERT_TAIL(&http->client->failed, http, link);
	event_active(http->client->failing, EV_TIMEOUT, 0);
}

static void begin(struct world_http *http)
{
	struct http_host *host = http->host;
	CURLMcode code;

	TAILQ_REMOVE(&host->waiting, http, link);
	/* This only sets libcurl's timer: it works, and calls back, from the loop. */
	code = curl_multi_add_handle(http->client->multi, http->easy);
	if (code != CURLM_OK) {
		err_set(&http->err, ERR_INTERNAL, "", "the request to %s cannot be made: %s",
			http->host_text, curl_multi_strerror(code));
		http->host = NULL;
		fail_later(http);
		return;
	}
	http->state = HTTP_RUNNING;
	host->running_count++;
	TAILQ_INSERT_TAIL(&host->running, http, link);
}

/* Begins what may begin; the host goes when nothing is left. */
static void host_pump(struct http_client *client, struct http_host *host)
{
	struct world_http *http;

	while (host->running_count < HTTP_IN_FLIGHT_MAX && (http = TAILQ_FIRST(&host->waiting))) {
		begin(http);
	}
	if (host->running_count == 0) {
		TAILQ_REMOVE(&client->hosts, host, link);
		free(host->key);
		free(host);
	}
}

/* ---- requests ---------------------------------------------------------------------- */

static void http_free(struct world_http *http)
{
	http_request_clear(http);
	http_answer_clear(&http->answer);
	free(http);
}

/* Out of its list, and out of libcurl. */
static void unlink_http(struct world_http *http)
{
	struct http_host *host = http->host;

	http->client->count--;
	switch (http->state) {
	case HTTP_FAILED:
		TAILQ_REMOVE(&http->client->failed, http, link);
		return;
	case HTTP_WAITING:
		TAILQ_REMOVE(&host->waiting, http, link);
		return;
	case HTTP_RUNNING:
		curl_multi_remove_handle(http->client->multi, http->easy);
		TAILQ_REMOVE(&host->running, http, link);
		host->running_count--;
		return;
	}
}

void http_finish(struct world_http *http, CURLcode result)
{
	struct http_response response = {
		.headers = http->answer.headers,
		.header_count = http->answer.header_count,
		.body = buf_str(&http->answer.body),
		.body_len = http->answer.body.len,
	};
	long status = 0;
	bool failed;

	curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
	response.status = (int)status;
	if (http->err.code == ERR_NONE && result != CURLE_OK) {
		http_failure(http, result, &http->err);
	}
	failed = http->err.code != ERR_NONE;
	unlink_http(http);
	host_pump(http->client, http->host);
	http->done(http->arg, failed ? &http->err : NULL, failed ? NULL : &response);
	http_free(http);
}

/* Those that fail meanwhile wake this again. */
static void on_failing(evutil_socket_t fd, short what, void *arg)
{
	struct http_client *client = arg;
	struct world_http *http = TAILQ_FIRST(&client->failed);

	(void)fd;
	(void)what;
	if (!http) {
		return;
	}
	unlink_http(http);
	if (!TAILQ_EMPTY(&client->failed)) {
		event_active(client->failing, EV_TIMEOUT, 0);
	}
	http->done(http->arg, &http->err, NULL);
	http_free(http);
}

static enum err_code set_up(struct http_client *client, struct err *err)
{
	enum err_code code;

	if (client->multi) {
		return ERR_NONE;
	}
	code = http_loop_open(client, err);
	if (code == ERR_NONE) {
		client->user_agent = xasprintf("dns01/%s libcurl/%s", dns01_version(),
					       curl_version_info(CURLVERSION_NOW)->version);
		client->ca_path = find_hashed_roots();
	}
	return code;
}

struct world_http *http_client_start(struct http_client *client, const struct http_request *request,
				     world_http_done *done, void *arg)
{
	struct world_http *http = xcalloc(1, sizeof(*http));
	char *key = NULL;
	enum err_code code;

	http->client = client;
	http->done = done;
	http->arg = arg;
	client->count++;
	code = set_up(client, &http->err);
	if (code == ERR_NONE) {
		code = http_prepare(http, request, &key);
	}
	if (code != ERR_NONE) {
		fail_later(http);
		return http;
	}
	http->host = host_get(client, key);
	http->state = HTTP_WAITING;
	TAILQ_INSERT_TAIL(&http->host->waiting, http, link);
	host_pump(client, http->host);
	return http;
}

void http_client_cancel(struct world_http *http)
{
	struct http_host *host;

	if (!http) {
		return;
	}
	host = http->host;
	unlink_http(http);
	if (host) {
		host_pump(http->client, host);
	}
	http_free(http);
}

bool http_client_busy(const struct http_client *client)
{
	return client->count > 0;
}

struct http_client *http_client_new(struct event_base *base)
{
	struct http_client *client = xcalloc(1, sizeof(*client));

	client->base = base;
	client->failing = event_new(base, -1, 0, on_failing, client);
	if (!client->failing) {
		log_error("out of memory");
		abort();
	}
	TAILQ_INIT(&client->hosts);
	TAILQ_INIT(&client->sockets);
	TAILQ_INIT(&client->failed);
	return client;
}

/* Nothing that waits may begin while others are cancelled: it goes first. */
static void cancel_all(struct http_client *client)
{
	struct http_host *host;
	struct world_http *http;

	while ((host = TAILQ_FIRST(&client->hosts))) {
		http = TAILQ_LAST(&host->waiting, http_list);
		http_client_cancel(http ? http : TAILQ_FIRST(&host->running));
	}
	while ((http = TAILQ_FIRST(&client->failed))) {
		http_client_cancel(http);
	}
}

void http_client_free(struct http_client *client)
{
	if (!client) {
		return;
	}
	cancel_all(client);
	http_loop_close(client);
	event_free(client->failing);
	free(client->user_agent);
	free(client);
}
