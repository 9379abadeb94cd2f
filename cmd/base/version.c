/* Which version this is, as the build says it. */
#include "dns01/base.h"

#ifndef DNS01_VERSION
#define DNS01_VERSION "unknown"
#endif

const char *dns01_version(void)
{
	return DNS01_VERSION;
}
