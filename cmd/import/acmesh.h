/* acmesh.c and acmesh_settings.c: one folder of acme.sh's. Private to import. */
#ifndef DNS01_IMPORT_ACMESH_H
#define DNS01_IMPORT_ACMESH_H

#include "internal.h"

#define ACMESH_ECC "_ecc" /* at the end of the folder of an EC key */

struct acmesh {
	struct import *import;
	struct pairs account; /* account.conf */
	size_t walked;        /* folders below ca/ */
	bool nsupdate_read;   /* the settings of dns_nsupdate */
	size_t nsupdate;      /* their provider; FOUND_NONE: why */
	char *why;
};

/* One certificate while it is read. */
struct domain {
	struct acmesh *acmesh;
	struct import *import;
	char *folder;
	char *subject; /* "certificate NAME" */
	struct pairs pairs;
	struct strlist names; /* Le_Domain and Le_Alt, in their order */
};

/* A value that may be wrapped in base64; gives, NULL: it is not set, or "no". */
char *acmesh_value(const struct pairs *pairs, const char *key);
/* Le_Domain and Le_Alt into domain->names. */
void acmesh_names(struct domain *domain);
/* The names, how each is proved, and all else that is set. */
void acmesh_settings(struct domain *domain, struct found_certificate *certificate);

#endif
