/*
 * import: what another ACME client keeps on this host, read as data and written as ours:
 * accounts and lineages into the state folder, settings into a configuration file of their own.
 * The other client's files are only read. What is there already stays as it is, so that it may
 * be done again.
 */
#ifndef DNS01_IMPORT_H
#define DNS01_IMPORT_H

#include "dns01/conf.h"

enum import_kind {
	IMPORT_CARRIED, /* written, or would be */
	IMPORT_THERE,   /* was there already */
	IMPORT_LEFT,    /* could not be carried over; the text says what to do about it */
	IMPORT_TODO,    /* what is left to the operator */
	IMPORT_KIND_COUNT
};
const char *import_kind_text(enum import_kind kind); /* "carried over" */
const char *import_kind_name(enum import_kind kind); /* "carried", for JSON */

struct import_line {
	enum import_kind kind;
	char *subject; /* "certificate example.com"; escaped, as text is */
	char *text;
};

struct import_args {
	const char *client; /* "certbot", "lego" or "acme.sh" */
	const char *from;   /* its folder; NULL: its usual place */
	const char *into;   /* file to write; NULL: conf.d/imported-CLIENT.conf beside conf_path */
	const char *conf_path;   /* the main configuration, which may not exist yet */
	const struct conf *conf; /* as loaded from there; NULL: it does not exist */
	const char *state;
	const char *ca;      /* directory URL, for accounts whose client does not keep it; NULL */
	const char *ca_root; /* ca_file of the accounts; NULL */
	conf_provider_rows *rows;
	bool dry_run; /* reads and says all, writes nothing */
};

struct import_report {
	struct import_line *line;
	size_t count;
	char *folder; /* that was read */
	char *file;   /* configuration that was written, or would be; NULL: none */
};

/*
 * On an error nothing of what it wrote stays. Gives for import_report_free.
 */
enum err_code import_run(const struct import_args *args, struct import_report **out,
			 struct err *err) MUST_CHECK;
void import_report_free(struct import_report *report);

/* Names of the clients, in order; NULL past the last. */
const char *import_client(size_t index);

#endif
