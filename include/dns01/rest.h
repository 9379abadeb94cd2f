/* rest: what providers that speak HTTP share. */
#ifndef DNS01_REST_H
#define DNS01_REST_H

#include "dns01/json.h"
#include "dns01/provider.h"

/*
 * One HTTP request for each change of a batch, one after another; those that need none are done
 * at once. A failure of one does not keep the others.
 */
struct rest_request {
	char *url;
	struct http_header headers[8];
	size_t header_count;
	char *body; /* given, as url; NULL: none */
};

struct rest_ops {
	/* Fills request; false: nothing has to be sent for this change. */
	bool (*build)(void *instance, const struct provider_change *change,
		      struct rest_request *request);
	/* The verdict on an answer; err is set otherwise. */
	enum err_code (*judge)(void *instance, const struct provider_change *change,
			       const struct http_response *response, struct err *err);
};

struct rest_each;
struct rest_each_args {
	const struct provider_host *host;
	const struct rest_ops *ops;
	void *instance;
	const struct provider_batch *batch;
	const char *ca_file;
};
struct rest_each *rest_each_start(const struct rest_each_args *args, provider_done *done,
				  void *arg);
void rest_each_cancel(void *each);

/* The sentence of an error answer of status: {"error": "..."} or the start of its text. */
enum err_code rest_refusal(const struct http_response *response, struct err *err);

#endif
