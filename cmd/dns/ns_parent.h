/* ns_parent: the parent's side of a delegation. Private to cmd/dns. */
#ifndef DNS01_DNS_NS_PARENT_H
#define DNS01_DNS_NS_PARENT_H

#include "dns01/dns.h"

/* err, or the server names of the delegation, lower case; borrowed. */
typedef void ns_parent_done(void *arg, const struct err *err, const struct strlist *names);

struct ns_parent;
/* zone is not the root; keeps source. */
struct ns_parent *ns_parent_start(struct dns_client *client, const struct dns_source *source,
				  const char *zone, ns_parent_done *done, void *arg);
void ns_parent_cancel(struct ns_parent *parent);

#endif
