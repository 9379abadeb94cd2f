/*
 * remote: a broker, as a host sees it that publishes through one: the API that contrib/api
 * describes. Several may be named: the first that can be reached is asked, and then that one. One
 * that is being restarted is waited for.
 */
#ifndef DNS01_REMOTE_H
#define DNS01_REMOTE_H

#include "dns01/conf.h"
#include "dns01/json.h"
#include "dns01/world.h"

struct remote;

/* Reads the tokens' files. Keeps world; brokers are copied. Errors name the file. */
enum err_code remote_open(struct world *world, const struct conf_broker *brokers, size_t count,
			  struct remote **out, struct err *err) MUST_CHECK;
void remote_close(struct remote *remote); /* wipes; NULL is fine; cancels what is under way */

/*
 * One request. err: no broker could be reached, or it refused as a whole (the sentence is the
 * broker's own, and names it); answer is borrowed. An answer of 202, 403, 409, 429, 502 or 504 to a
 * list is an answer: each of its items says its own.
 */
typedef void remote_done(void *arg, const struct err *err, const struct json *answer);
struct remote_call;
struct remote_request {
	const char *method;
	const char *path;        /* "/v1/..." */
	const struct json *body; /* NULL: none; borrowed for the call */
	int64_t timeout_ms;      /* 0: 60 s */
	/* Of a DELETE: while fewer were removed the next broker is asked, too, for another may have
	 * published while the first was out of reach. */
	size_t expect;
};
struct remote_call *remote_start(struct remote *remote, const struct remote_request *request,
				 remote_done *done, void *arg);
void remote_cancel(struct remote_call *call);
/* The error in an item of an answer: {"error": {"code", "text"}}. ERR_NONE: none. */
enum err_code remote_item_err(const struct json *item, struct err *err);

#endif
