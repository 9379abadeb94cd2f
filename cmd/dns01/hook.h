/*
 * hook: dns01 as the hook of other ACME clients. Each client calls in its own way; one
 * function for each makes the same request of it.
 */
#ifndef DNS01_HOOK_H
#define DNS01_HOOK_H

#include "cli.h"

enum hook_action {
	HOOK_NOTHING, /* not for us: exit with `status` */
	HOOK_HOLD,    /* publish values */
	HOOK_LET_GO   /* retract them */
};

struct hook_request {
	enum hook_action action;
	int status;           /* of HOOK_NOTHING */
	bool final;           /* names are owner names, after aliases */
	bool wait;            /* until every server shows them: the client does not */
	bool more;            /* further calls follow: only journalled until the last */
	struct strlist names; /* identifiers, or owner names */
	struct strlist
		values; /* beside names; empty: all of ours at the name (mod_md's first version) */
	struct strlist run; /* identifiers whose journalled values go out with the last call */
};

struct hook_client {
	const char *name;
	const char *usage; /* how it calls us; for --help and errors */
	/* arguments follow the client's name; the environment may say more. */
	enum err_code (*read)(int count, char **arguments, struct hook_request *out,
			      struct err *err);
};

const struct hook_client *hook_client_find(const char *name); /* NULL: unknown */
const struct hook_client *hook_client_at(size_t index);       /* NULL past the last */
void hook_request_clear(struct hook_request *request);

/* Through a broker: of DNS01_BROKER (URLs separated by blanks or commas) with
 * DNS01_TOKEN_FILE, or of the configuration. */
bool hook_broker_of_environment(struct conf *conf);
/* Publishes or retracts there; gives the exit status. */
int hook_remote(const struct hook_request *request, const struct conf *conf,
		const struct options *options);

int verb_hook(int argc, char **argv);

#endif
