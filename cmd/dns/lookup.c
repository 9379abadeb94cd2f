#include "client.h"
#include "source.h"

#define LOOKUP_TRY_MS 3000 /* while there is another resolver to ask */
#define LOOKUP_LAST_MS 12000
#define SILENT_US 30000000 /* who was silent is asked last for so long */
#define FAILURES_MAX 700   /* octets of the sentence */

struct dns_lookup {
	struct dns_client *client;
	const struct dns_source *source;
	char *name;
	uint16_t type;
	dns_ask_done *done;
	void *arg;

	bool asked[2 * SOURCE_MAX]; /* resolvers first, then DoH */
	size_t current;
	struct dns_call *call;
	struct doh_call *doh;
	struct world_timer *timer; /* only where there is nobody to ask */
	struct buf failures;       /* "10.0.0.53: SERVFAIL; ..." */
	enum err_code code;        /* of the last failure */
};

static void ask_next(struct dns_lookup *lookup);

static size_t target_count(const struct dns_source *source)
{
	return source->authority ? 1 : source->resolver_count + source->doh_count;
}

static void lookup_free(struct dns_lookup *lookup)
{
	buf_clear(&lookup->failures);
	free(lookup->name);
	free(lookup);
}

static void lookup_finish(struct dns_lookup *lookup, const struct err *err,
			  const struct dns_msg *msg)
{
	dns_ask_done *done = lookup->done;
	void *arg = lookup->arg;

	lookup_free(lookup);
	done(arg, err, msg);
}

static bool is_silent(const struct dns_lookup *lookup, size_t target)
{
	const struct dns_source *source = lookup->source;

	return target < source->resolver_count &&
	       peer_get(lookup->client, &source->resolver[target])->silent_until_us >
		       world_mono_us(lookup->client->world);
}

/* In the order of the configuration, but those that were silent a while ago
 * after the others. */
static bool pick_target(struct dns_lookup *lookup, bool *last)
{
	size_t count = target_count(lookup->source);
	size_t open = 0;
	bool found = false;

	for (size_t pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < count && i < ARRAY_LEN(lookup->asked); i++) {
			if (lookup->asked[i] || (pass == 0 && is_silent(lookup, i))) {
				continue;
			}
			open += pass;
			if (!found) {
				lookup->current = i;
				found = true;
			}
		}
	}
	*last = open <= 1;
	return found;
}

static void add_failure(struct dns_lookup *lookup, const char *what)
{
	const struct dns_source *source = lookup->source;
	char server[ADDR_TEXT_MAX];
	const char *who = server;

	if (lookup->current < source->resolver_count) {
		addr_format(server, &source->resolver[lookup->current], DNS_PORT);
	} else {
		who = source->doh_url[lookup->current - source->resolver_count];
	}
	buf_addf(&lookup->failures, "%s%s: %s", lookup->failures.len > 0 ? "; " : "", who, what);
}

static void on_answer(void *arg, const struct err *err, const struct dns_msg *msg)
{
	struct dns_lookup *lookup = arg;
	size_t current = lookup->current;

	lookup->call = NULL;
	lookup->doh = NULL;
	if (lookup->source->authority ||
	    (msg && (msg->rcode == DNS_NOERROR || msg->rcode == DNS_NXDOMAIN))) {
		lookup_finish(lookup, err, msg);
		return;
	}
	if (err && current < lookup->source->resolver_count &&
	    (err->code == ERR_TIMEOUT || err->code == ERR_NETWORK)) {
		peer_get(lookup->client, &lookup->source->resolver[current])->silent_until_us =
			world_mono_us(lookup->client->world) + SILENT_US;
	}
	lookup->code = err ? err->code : ERR_DNS;
	add_failure(lookup, err ? err->text : dns_rcode_name(msg->rcode));
	ask_next(lookup);
}

static void fail(struct dns_lookup *lookup)
{
	struct err err;
	char subject[ERR_SUBJECT_MAX];

	snprintf(subject, sizeof(subject), "%s of %.256s", dns_type_name(lookup->type),
		 lookup->name);
	if (lookup->failures.len == 0) {
		err_set(&err, ERR_CONFIG, subject,
			"there is no resolver to ask; name one in the "
			"`resolvers` setting");
	} else {
		err_set(&err, lookup->code, subject, "no resolver answered usefully (%s)",
			buf_str(&lookup->failures));
	}
	lookup_finish(lookup, &err, NULL);
}

static void ask_doh(struct dns_lookup *lookup, int64_t timeout_ms)
{
	const struct dns_source *source = lookup->source;
	struct doh_ask ask = {
		.url = source->doh_url[lookup->current - source->resolver_count],
		.name = lookup->name,
		.type = lookup->type,
		.timeout_ms = timeout_ms,
		.proxy = source->proxy,
		.ca_file = source->ca_file,
	};

	lookup->doh = doh_start(lookup->client->world, &ask, on_answer, lookup);
}

/* From start or from a callback of the one asked before; fails only there. */
static void ask_next(struct dns_lookup *lookup)
{
	const struct dns_source *source = lookup->source;
	bool last;
	int64_t timeout_ms;

	if (!pick_target(lookup, &last)) {
		fail(lookup);
		return;
	}
	lookup->asked[lookup->current] = true;
	timeout_ms = last ? LOOKUP_LAST_MS : LOOKUP_TRY_MS;
	if (lookup->current >= source->resolver_count) {
		ask_doh(lookup, timeout_ms);
		return;
	}
	lookup->call = dns_ask_start(lookup->client,
				     &(struct dns_ask){
					     .server = source->resolver[lookup->current],
					     .name = lookup->name,
					     .type = lookup->type,
					     .recurse = !source->authority,
					     .key = source->authority ? source->key : NULL,
					     .timeout_ms = timeout_ms,
				     },
				     on_answer, lookup);
}

static void on_nobody(void *arg)
{
	struct dns_lookup *lookup = arg;

	lookup->timer = NULL;
	fail(lookup);
}

struct dns_lookup *dns_lookup_start(struct dns_client *client, const struct dns_source *source,
				    const struct dns_question *question, dns_ask_done *done,
				    void *arg)
{
	struct dns_lookup *lookup = xcalloc(1, sizeof(*lookup));

	lookup->client = client;
	lookup->source = source;
	lookup->name = xstrdup(question->name);
	lookup->type = question->type;
	lookup->done = done;
	lookup->arg = arg;
	buf_init(&lookup->failures, FAILURES_MAX);
	if (source->resolver_count + (source->authority ? 0 : source->doh_count) == 0) {
		lookup->timer = world_timer_start(client->world, 0, on_nobody, lookup);
	} else {
		ask_next(lookup);
	}
	return lookup;
}

void dns_lookup_cancel(struct dns_lookup *lookup)
{
	if (!lookup) {
		return;
	}
	dns_call_cancel(lookup->call);
	doh_cancel(lookup->doh);
	world_timer_cancel(lookup->client->world, lookup->timer);
	lookup_free(lookup);
}
