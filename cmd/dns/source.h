/* source: where names are looked up. Private to cmd/dns. */
#ifndef DNS01_DNS_SOURCE_H
#define DNS01_DNS_SOURCE_H

#include "msg.h"

#define SOURCE_MAX 8 /* resolvers, and as many DoH URLs */

/* The `nameserver` lines of resolv.conf(5); adds to out. */
void source_parse_resolv_conf(const char *text, struct dns_source *out);
/* "10.0.0.53, 10.0.0.54", for sentences; gives. */
char *source_words(const struct dns_source *source);

/* One RFC 8484 exchange; done as for dns_ask_start. */
struct doh_ask {
	const char *url;
	const char *name;
	uint16_t type;
	int64_t timeout_ms;
	const char *proxy;
	const char *ca_file;
};
struct doh_call;
struct doh_call *doh_start(struct world *world, const struct doh_ask *ask, dns_ask_done *done,
			   void *arg);
void doh_cancel(struct doh_call *call);

#endif
