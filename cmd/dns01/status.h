/*
 * status: what `dns01 status` found out, before it is shown: status.c (the verb, and what is found
 * out), status_text.c (for people), status_data.c (as JSON, and for Prometheus).
 */
#ifndef DNS01_STATUS_H
#define DNS01_STATUS_H

#include "renew.h"

/* As monitoring plug-ins say it, by exit status. */
enum status_level { STATUS_OK, STATUS_WARNING, STATUS_CRITICAL, STATUS_UNKNOWN };
const char *status_level_name(enum status_level level); /* "OK", ... */

/* One thing that is left to be deployed. */
struct status_left {
	char *what;
	char *failure; /* the sentence; NULL: it was not tried yet */
	int64_t failed_at;
};

struct status_lineage {
	char *name;
	const struct roster_item *item; /* NULL: not in the configuration, so not renewed */
	/* of the certificate; not_after 0: there is none, or it cannot be read */
	char *issuer, *names, *serial;
	int64_t not_before, not_after;
	int64_t revoked_at; /* by us; 0: it was not */
	struct err trouble; /* it cannot be read; ERR_NONE: it can */
	bool has_failure;   /* of the last run */
	struct err failure;
	int64_t failed_at;
	struct status_left *left;
	size_t left_count;
	enum status_level level;
	char *problem; /* a sentence; NULL: none */
};

struct status {
	struct cli cli;
	int64_t now_s;
	struct roster *roster;
	struct status_lineage *lineages; /* sorted by name */
	size_t count;
	struct json *values;     /* of ours in DNS: an array of objects */
	struct json *failures;   /* of hooks and the broker's clients, lately: likewise */
	enum status_level level; /* the worst of all */
};

/* The first line, as monitoring wants it; gives. */
char *status_headline(const struct status *status);
void status_print_text(const struct status *status);
void status_print_json(const struct status *status);
void status_print_prometheus(const struct status *status);

#endif
