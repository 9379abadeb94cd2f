/* providers: the pages that are made from the providers' tables. */
#ifndef DNS01_PROVIDERS_H
#define DNS01_PROVIDERS_H

#include "cli.h"

/* "adds and removes single values" */
const char *provider_unit_text(enum provider_unit unit);
void providers_markdown(void); /* the table of the README */
void providers_mdoc(void);     /* dns01-providers(7) */

#endif
