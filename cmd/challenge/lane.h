/*
 * lane: one zone through one provider. One change in flight for all processes on the
 * journal; everything that arrives meanwhile goes out together in the next.
 */
#ifndef DNS01_LANE_H
#define DNS01_LANE_H

#include "dns01/challenge.h"

enum lane_job_kind {
	JOB_WANT,   /* owner, value: publish, and hold a lease */
	JOB_LET_GO, /* lease_id: ends; the value goes when nobody else holds it */
	JOB_SWEEP   /* only removes what no living lease holds */
};

struct lane;

struct lane_job {
	enum lane_job_kind kind;
	const char *owner; /* kept by the asker until done */
	const char *value;
	const char *view;
	const char *asked; /* as in journal_want */
	uint32_t ttl_s;
	bool defer; /* a JOB_WANT that is journalled alone */
	const struct lease_spec *lease;
	int64_t lease_id;            /* given by JOB_WANT, used by JOB_LET_GO; 0: none */
	int64_t row_id;              /* that it is on */
	size_t removed;              /* records that went with its batch */
	const struct addr *shown_at; /* given by JOB_WANT: where it was read back, or NULL */
	struct err *err;             /* NULL: done; whoever has the job frees it */
	/* From the loop, once, with err set; may queue jobs, may not free the publisher. */
	void (*done)(struct lane_job *job);
	void *arg;
	struct lane_job *next;
	struct lane_job *twin; /* of the same record in its batch */
};

struct publisher {
	struct publisher_args args;
	struct lane *lanes;
	struct publish *publishes;
	struct sweep *sweeps;
};

void job_set_err(struct lane_job *job, const struct err *err); /* copies; NULL: none */
/* The lane of that zone and provider; made when it is new. Borrowed. */
struct lane *lane_get(struct publisher *publisher, const char *zone,
		      const struct provider_in_use *use);
void lane_queue(struct lane *lane, struct lane_job *job);
/* False when it is on its way already (its done will come). */
bool lane_drop(struct lane *lane, struct lane_job *job);
void lanes_free(struct lane *lanes);
void sweeps_free(struct sweep *sweeps); /* after the lanes, which point into them */

#endif
