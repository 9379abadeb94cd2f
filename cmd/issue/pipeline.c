#include "pipeline.h"

void pipeline_init(struct pipeline *pipeline, const struct pipeline_args *args)
{
	pipeline->pool = provider_pool_new(args->world, args->dns, args->conf);
	pipeline->router = router_new(&(struct router_args){
		.world = args->world,
		.dns = args->dns,
		.conf = args->conf,
		.pool = pipeline->pool,
		.progress = args->progress,
		.progress_arg = args->progress_arg,
	});
	pipeline->publisher = publisher_new(&(struct publisher_args){
		.world = args->world,
		.journal = args->journal,
		.state = args->conf->state,
		.pool = pipeline->pool,
		.progress = args->progress,
		.progress_arg = args->progress_arg,
	});
}

void pipeline_clear(struct pipeline *pipeline)
{
	publisher_free(pipeline->publisher);
	router_free(pipeline->router);
	provider_pool_free(pipeline->pool);
	*pipeline = (struct pipeline){ 0 };
}

void pipeline_copy_timeline(const struct watch *watch, struct issue_result *result)
{
	size_t count;
	const struct timeline *timeline = watch_timeline(watch, &count);

	if (result->timeline) {
		return;
	}
	result->timeline = xcalloc(count + 1, sizeof(*result->timeline));
	result->timeline_count = count;
	for (size_t i = 0; i < count; i++) {
		result->timeline[i] = timeline[i];
		result->timeline[i].zone = xstrdup(timeline[i].zone);
		result->timeline[i].server = xstrdup(timeline[i].server);
	}
}

/* The result owns these two of a timeline, which elsewhere are borrowed. */
static void free_const(const char *text)
{
	free((void *)(uintptr_t)text);
}

void facts_copy(struct chain_facts *to, const struct chain_facts *from)
{
	*to = (struct chain_facts){
		.subject = xstrdup(from->subject),
		.issuer = xstrdup(from->issuer),
		.top_issuer = xstrdup(from->top_issuer),
		.serial = xstrdup(from->serial),
		.not_before = from->not_before,
		.not_after = from->not_after,
		.count = from->count,
		.cert_id = xstrdup(from->cert_id),
		.key_type = from->key_type,
	};
	strlist_copy(&to->names, &from->names);
}

void issue_result_clear(struct issue_result *result)
{
	free(result->folder);
	chain_facts_clear(&result->facts);
	strlist_clear(&result->silent);
	for (size_t i = 0; i < result->timeline_count; i++) {
		free_const(result->timeline[i].zone);
		free_const(result->timeline[i].server);
	}
	free(result->timeline);
	*result = (struct issue_result){ 0 };
}
