/* Functions that have no safe use here; see STYLE: each has a bounded or explicit sibling. */
#ifndef DNS01_BANNED_H
#define DNS01_BANNED_H

/* The system's own inline bodies must be read before the names are poisoned. */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#pragma GCC poison strcpy strcat strncat sprintf vsprintf strtok atoi atol atoll gets
#pragma GCC poison gmtime localtime ctime asctime system popen sleep usleep mktemp tmpnam

#endif
