/* libcurl's sockets and its timer on the loop. */
#include "client.h"

/* Whatever ended is told from here, thus always from the loop: libcurl itself
 * calls only the callbacks below, which do nothing but keep its books. */
static void tell_ended(struct http_client *client)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(client->multi, &left))) {
		char *http = NULL;
		CURLcode result = message->data.result;

		if (message->msg == CURLMSG_DONE) {
			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &http);
			http_finish((struct world_http *)(void *)http, result);
		}
	}
}

static void act(struct http_client *client, curl_socket_t fd, int what)
{
	int running;

	curl_multi_socket_action(client->multi, fd, what, &running);
	tell_ended(client);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	act(arg, fd,
	    (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void forget_socket(struct http_client *client, struct http_socket *watched)
{
	if (!watched) {
		return;
	}
	TAILQ_REMOVE(&client->sockets, watched, link);
	if (watched->event) {
		event_free(watched->event);
	}
	free(watched);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct http_client *client = arg;
	struct http_socket *watched = socket_arg;
	short events = (short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
			       (what & CURL_POLL_OUT ? EV_WRITE : 0));

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		forget_socket(client, watched);
		return 0;
	}
	if (!watched) {
		watched = xcalloc(1, sizeof(*watched));
		TAILQ_INSERT_TAIL(&client->sockets, watched, link);
		curl_multi_assign(client->multi, fd, watched);
	} else if (watched->event) {
		event_free(watched->event);
	}
	watched->event = event_new(client->base, fd, events, on_socket, client);
	return watched->event && event_add(watched->event, NULL) == 0 ? 0 : -1;
}

static int set_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct http_client *client = arg;
	struct timeval timeout = { .tv_sec = timeout_ms / 1000,
				   .tv_usec = timeout_ms % 1000 * 1000 };

	(void)multi;
	if (timeout_ms < 0) {
		return event_del(client->timer);
	}
	return event_add(client->timer, &timeout);
}

static enum err_code set_up_multi(struct http_client *client)
{
	CURLM *multi = client->multi;
	bool ok = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch_socket) == CURLM_OK &&
		  curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, client) == CURLM_OK &&
		  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timer) == CURLM_OK &&
		  curl_multi_setopt(multi, CURLMOPT_TIMERDATA, client) == CURLM_OK &&
		  curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX) == CURLM_OK;

	return ok ? ERR_NONE : ERR_INTERNAL;
}

enum err_code http_loop_open(struct http_client *client, struct err *err)
{
	if (client->multi) {
		return ERR_NONE;
	}
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		return err_set(err, ERR_INTERNAL, "", "libcurl cannot be set up");
	}
	client->timer = event_new(client->base, -1, 0, on_timer, client);
	if (!client->timer) {
		curl_global_cleanup();
		return err_set(err, ERR_INTERNAL, "", "out of memory");
	}
	client->multi = curl_multi_init();
	if (!client->multi || set_up_multi(client) != ERR_NONE) {
		http_loop_close(client);
		return err_set(err, ERR_INTERNAL, "", "libcurl cannot be set up");
	}
	return ERR_NONE;
}

void http_loop_close(struct http_client *client)
{
	struct http_socket *watched;

	if (!client->timer) {
		return; /* it was never open */
	}
	if (client->multi) {
		curl_multi_cleanup(client->multi);
	}
	curl_global_cleanup();
	client->multi = NULL;
	while ((watched = TAILQ_FIRST(&client->sockets))) {
		forget_socket(client, watched);
	}
	event_free(client->timer);
	client->timer = NULL;
}
