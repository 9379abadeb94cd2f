/*
 * pipeline: the parts of challenge/ that every job of this module needs, made
 * and freed together.
 */
#ifndef DNS01_PIPELINE_H
#define DNS01_PIPELINE_H

#include "dns01/issue.h"

struct pipeline {
	struct provider_pool *pool;
	struct router *router;
	struct publisher *publisher;
};

struct pipeline_args {
	struct world *world;
	const struct conf *conf;
	struct dns_client *dns;
	struct journal *journal;
	progress_fn *progress;
	void *progress_arg;
};

void pipeline_init(struct pipeline *pipeline, const struct pipeline_args *args);
void pipeline_clear(struct pipeline *pipeline);
/* A copy that outlives the watch. */
void pipeline_copy_timeline(const struct watch *watch, struct issue_result *result);
void facts_copy(struct chain_facts *to, const struct chain_facts *from);
void issue_result_clear(struct issue_result *result);

#endif
