/*
 * http: the HTTP client of the real world, on libcurl over libevent. The only
 * caller is cmd/world; everyone else asks world->ops->http_start.
 */
#ifndef DNS01_HTTP_H
#define DNS01_HTTP_H

#include "dns01/world.h"

struct event_base;
struct http_client;

#define HTTP_IN_FLIGHT_MAX 8 /* requests at once to one host; more wait their turn */

/* base is kept. HTTP/2 over one TLS connection to a host, kept for the next
 * request; User-Agent and Accept-Language are added here. */
struct http_client *http_client_new(struct event_base *base);
void http_client_free(struct http_client *client); /* cancels what runs */
struct world_http *http_client_start(struct http_client *client, const struct http_request *request,
				     world_http_done *done, void *arg);
void http_client_cancel(struct world_http *http);
/* Whether any request is waiting for its end. */
bool http_client_busy(const struct http_client *client);

/* ---- server: on evhttp; world.h says what each does ------------------------------------- */

struct http_server;

/* Takes at->fd. A server holds the loop until it is closed and its last exchange ended. */
struct http_server *http_server_open(struct event_base *base, const struct http_listen *args,
				     struct err *err);
void http_server_close(struct http_server *server); /* NULL is fine */
void http_server_free(struct http_server *server);  /* at once, with all connections */
struct addr http_server_addr(const struct http_server *server);
bool http_server_busy(const struct http_server *server);
void http_exchange_reply(struct world_exchange *exchange, const struct http_answer_out *answer);
void http_exchange_stream(struct world_exchange *exchange, const struct http_answer_out *head);
void http_exchange_part(struct world_exchange *exchange, const void *data, size_t len);
void http_exchange_end(struct world_exchange *exchange);
void http_exchange_on_gone(struct world_exchange *exchange, world_fire *gone, void *arg);

#endif
