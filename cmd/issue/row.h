/*
 * row: what a lineage on disk is, as the row that renewal remembers of it.
 */
#ifndef DNS01_ROW_H
#define DNS01_ROW_H

#include "dns01/issue.h"

/* What renews between a thousand lineages, so that those issued together do not stay so. */
#define JITTER_MAX_PPM 50000 /* of a lifetime */

/*
 * Reads the certificate there; who ordered it, and how, is not known from that. A lineage without
 * a certificate, or with a damaged one, gives a row without a serial. jitter: uniform. Gives for
 * renewal_free.
 */
enum err_code row_from_disk(const char *state, const char *name, uint64_t jitter,
			    struct renewal **out, struct err *err) MUST_CHECK;
/* Whether the row is still of what is on disk. */
bool row_is_true(const char *state, const struct renewal *row);
/* The row as it is kept or, where that is not true any more, from disk. Nothing is written. */
enum err_code row_find(struct renewals *renewals, const char *state, const char *name,
		       struct renewal **out, struct err *err) MUST_CHECK;
/* The profiles that the configuration asks for, as a row's wish; gives. */
char *wish_of(const struct conf_account *account, const struct conf_certificate *certificate);
/* Its root, as a row's chain; "" for none; borrowed. */
const char *wished_root(const struct conf_account *account,
			const struct conf_certificate *certificate);

#endif
