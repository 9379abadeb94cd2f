/* What the files of base share with each other. */
#ifndef DNS01_BASE_INTERNAL_H
#define DNS01_BASE_INTERNAL_H

#include "dns01/base.h"

/* vasprintf that gives a string or ends the process. */
char *xvasprintf(const char *fmt, va_list args) PRINTF_LIKE(1, 0);

#endif
