/* lineage.c (open, lock, read), lineage_store.c (a new version), lineage_remove.c, pending.c (an
 * order in progress). Private to store. */
#ifndef DNS01_STORE_LINEAGE_INTERNAL_H
#define DNS01_STORE_LINEAGE_INTERNAL_H

#include "dns01/store.h"

#define LINEAGE_CERTS "certs" /* in the state folder */

struct lineage {
	char *name;
	char *folder; /* absolute */
	struct lock *lock;
};

#endif
