/* What the files of the HTTP client share. */
#ifndef DNS01_HTTP_CLIENT_H
#define DNS01_HTTP_CLIENT_H

#include <curl/curl.h>
#include <event2/event.h>
#include <sys/queue.h>

#include "dns01/http.h"

#define HTTP_HEADERS_MAX 100
#define HTTP_HOST_MAX 300 /* of "host:port"; a name has at most 253 octets */
#define HTTP_CONNECT_MS (15 * 1000)

enum http_state {
	HTTP_WAITING, /* HTTP_IN_FLIGHT_MAX others go to the same host */
	HTTP_RUNNING, /* libcurl has it */
	HTTP_FAILED,  /* before it began; told from the loop */
};

struct http_answer {
	struct http_header headers[HTTP_HEADERS_MAX]; /* name and value in one block */
	size_t header_count;
	bool head_ended;
	struct buf body;
};

struct world_http {
	TAILQ_ENTRY(world_http) link; /* in the list that its state says */
	enum http_state state;
	struct http_client *client;
	struct http_host *host; /* NULL only for HTTP_FAILED */
	char host_text[HTTP_HOST_MAX];
	int64_t timeout_ms;
	bool own_roots; /* of ca_file */
	CURL *easy;
	struct curl_slist *headers;
	void *body;
	size_t body_len;
	struct http_answer answer;
	char curl_says[CURL_ERROR_SIZE];
	struct err err; /* set by us; libcurl only says that we stopped it */
	world_http_done *done;
	void *arg;
};
TAILQ_HEAD(http_list, world_http);

/* Scheme, name and port; lives while it has requests. */
struct http_host {
	TAILQ_ENTRY(http_host) link;
	char *key;
	struct http_list running;
	struct http_list waiting;
	size_t running_count;
};

struct http_socket {
	TAILQ_ENTRY(http_socket) link;
	struct event *event;
};

struct http_client {
	struct event_base *base;
	CURLM *multi;        /* NULL before the first request */
	struct event *timer; /* libcurl's */
	struct event *failing;
	char *user_agent;
	const char *ca_path; /* the system's roots by name; NULL: libcurl's defaults */
	size_t count;        /* of requests that have not ended */
	TAILQ_HEAD(http_hosts, http_host) hosts;
	TAILQ_HEAD(http_sockets, http_socket) sockets;
	struct http_list failed;
};

/* loop.c: libcurl on libevent */
enum err_code http_loop_open(struct http_client *client, struct err *err) MUST_CHECK;
void http_loop_close(struct http_client *client);

/* client.c: libcurl is done with it */
void http_finish(struct world_http *http, CURLcode result);

/* request.c: checks the request and makes http->easy; *key is given */
enum err_code http_prepare(struct world_http *http, const struct http_request *request,
			   char **key) MUST_CHECK;
void http_request_clear(struct world_http *http);

/* answer.c: what arrives */
size_t http_on_header(char *data, size_t size, size_t count, void *arg);
size_t http_on_body(char *data, size_t size, size_t count, void *arg);
void http_answer_clear(struct http_answer *answer);

/* failure.c: the sentence for what libcurl says */
void http_failure(struct world_http *http, CURLcode result, struct err *err);

#endif
