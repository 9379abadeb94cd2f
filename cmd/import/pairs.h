/* pairs: keys and values as the configuration files of other clients have them, read as data
 * whatever they are to that client (a shell's program, for one). Private to import. */
#ifndef DNS01_IMPORT_PAIRS_H
#define DNS01_IMPORT_PAIRS_H

#include "dns01/base.h"

#define PAIRS_TEXT_MAX (256 * 1024) /* octets of a file */
#define PAIRS_MAX 2000              /* in a file */
#define PAIRS_DEPTH_MAX 8           /* of sections inside sections */

struct pair {
	char *section; /* "renewalparams/webroot_map"; "" before the first one */
	char *key;
	char *value; /* may be a secret: wiped */
	size_t line;
};

struct pairs {
	struct pair *item;
	size_t count;
	size_t odd_line; /* the first line that is no assignment and was passed over; 0: none */
};

/* The last value of a key; NULL: none. Borrowed. */
const char *pairs_get(const struct pairs *pairs, const char *section, const char *key);
void pairs_clear(struct pairs *pairs); /* wipes */

struct pairs_text {
	const char *text;
	size_t len;
	const char *source; /* named in errors */
};

/* ConfigObj's dialect of INI, which certbot reads and writes. A list becomes one text with ", "
 * between its items. */
enum err_code pairs_read_ini(const struct pairs_text *from, struct pairs *out,
			     struct err *err) MUST_CHECK;
/*
 * Assignments of a shell, as acme.sh writes and sources them: KEY='value', which may go on over
 * lines. Nothing is evaluated: a line that is more than a constant assigned is passed over, and
 * odd_line says so.
 */
enum err_code pairs_read_shell(const struct pairs_text *from, struct pairs *out,
			       struct err *err) MUST_CHECK;

/* What the two readers share. Copies all of it. */
struct pair_found {
	const char *section, *key, *value;
	size_t line;
};
enum err_code pairs_add(struct pairs *pairs, const struct pair_found *pair, const char *source,
			struct err *err) MUST_CHECK;
enum err_code pairs_check_text(const struct pairs_text *from, struct err *err) MUST_CHECK;

#endif
