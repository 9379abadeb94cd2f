/*
 * invariants: what must hold in every run, whatever goes wrong.
 *
 *   answered   no challenge is answered before every watched server serves its value
 *   covered    the journal has a row for each of our values in a primary, at every instant
 *   clean      after the run no TXT of ours remains, and no sibling is gone
 *   once       every operation completes once (scenario.c counts)
 *   kept       no finalized order is lost: its certificate is on disk
 */
#ifndef DNS01_SIM_INVARIANTS_H
#define DNS01_SIM_INVARIANTS_H

#include "sim/net.h"

struct invariants {
	char *state;    /* the folder that all processes share */
	bool reachable; /* quorum = reachable: silent and refusing servers do not count */
	unsigned checks;
};

void invariants_init(const char *state, bool reachable);
void invariants_end(void);

/* A server that the CA may ask about that owner name. */
const struct net_server *invariants_pick_server(struct sim *sim, const char *owner);
/* A challenge was answered whose value belongs at that owner name. */
void invariants_answered(struct sim *sim, const char *owner, const char *value);
/* The journal stays open between two processes, or not. */
void invariants_hold(bool held);
void invariants_finalized(struct sim *sim);
void invariants_covered(struct sim *sim);
void invariants_text_covered(struct sim *sim, const char *text); /* the same for one */
/* Each value that the journal has a row for. */
void invariants_each_value(void (*each)(void *arg, const char *value), void *arg);
/* After everything has ended. */
void invariants_clean(struct sim *sim);
void invariants_kept(struct sim *sim);

#endif
