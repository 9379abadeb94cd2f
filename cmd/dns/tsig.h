/* tsig: what the transport needs besides dns.h. Private to cmd/dns. */
#ifndef DNS01_DNS_TSIG_H
#define DNS01_DNS_TSIG_H

#include "wire.h"

/* The longest name and algorithm, a whole MAC: what a signature adds at most. */
#define TSIG_RR_MAX (WIRE_NAME_MAX + 10 + 13 + 16 + MAC_MAX)

#endif
