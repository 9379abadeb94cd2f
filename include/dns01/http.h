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

#endif
