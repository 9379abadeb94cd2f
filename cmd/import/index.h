/* index: texts by key, for folders with thousands of certificates. Private to import. */
#ifndef DNS01_IMPORT_INDEX_H
#define DNS01_IMPORT_INDEX_H

#include "dns01/base.h"

struct index {
	void *root; /* of libc's tree */
};

/* Copies both; the first value of a key stays. */
void index_add(struct index *index, const char *key, const char *value);
const char *index_get(const struct index *index, const char *key); /* NULL: none; borrowed */
void index_clear(struct index *index);

#endif
