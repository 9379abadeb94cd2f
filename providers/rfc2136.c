/*
 * rfc2136: DNS UPDATE, signed with TSIG, at the zone's primary.
 *
 * Exact records are added and deleted, never an RRset or a name, so siblings
 * survive and a repeated message changes nothing (RFC 2136 s.3.4.2). A batch is
 * one message; it is split only where a message would grow too long, where an RRset
 * would pass what BIND takes, or where the server refused it as a whole: then
 * by halves, until what is not allowed stands alone.
 *
 *   next range -> UPDATE -> read back each owner that got a value -> next range
 *                   \-> refused, more than one change: two halves -> next range
 */
#include "dns01/provider.h"

#define RRSET_MAX 100 /* BIND's max-records-per-type */
#define SIGNED_MAX 10 /* questions of one batch that are signed in any case */

static const struct setting rows[] = {
	{
		.name = "server",
		.type = SETTING_STRING,
		.required = true,
		.help = "Address of the server that takes updates, the primary most often: "
			"ADDR, ADDR:PORT or [IPV6]:PORT.",
	},
	{
		.name = "tsig_key_file",
		.type = SETTING_FILE,
		.help = "File with one key in BIND's form: key \"name\" { algorithm hmac-sha256; "
			"secret \"...\"; }; as tsig-keygen prints it.",
	},
	{
		.name = "unsigned",
		.type = SETTING_BOOL,
		.fallback = "false",
		.help = "Send updates without TSIG, to a server that goes by our address.",
	},
	{
		.name = "allow_sha1",
		.type = SETTING_BOOL,
		.fallback = "false",
		.help = "Accept a key for hmac-sha1, which RFC 8945 advises against.",
	},
	{
		.name = "transport",
		.type = SETTING_ENUM,
		.choices = "tcp|udp",
		.fallback = "tcp",
		.help = "How updates are sent; answers are exact and hard to forge over TCP.",
	},
	{
		.name = "timeout",
		.type = SETTING_DURATION,
		.fallback = "10s",
		.min = 100,
		.max = 300000,
		.help = "How long one update may take, lost replies asked again included.",
	},
};

struct rfc2136 {
	const struct provider_host *host;
	struct addr server;
	struct tsig_key *key; /* NULL: unsigned */
	enum dns_transport transport;
	int64_t timeout_ms;
	bool closed; /* it shows to our key what it does not show to others */
};

struct range {
	size_t from, count;
};

struct read_back {
	struct apply *apply;
	struct dns_call *call;
	const char *owner;
	const size_t *changes; /* indices of its values in the batch */
	size_t count;
	bool is_signed;
};

/* One batch on its way. */
struct apply {
	struct rfc2136 *primary;
	const struct provider_batch *batch;
	provider_done *done;
	void *arg;
	struct err *results; /* one a change */
	struct range *todo;  /* stack of ranges not sent yet */
	size_t todo_count;
	struct range now; /* the range that is under way */
	struct dns_call *update;
	struct read_back *read_backs; /* of the range under way */
	size_t *by_owner;             /* indices of what is published, by owner name */
	size_t read_back_count;
	size_t read_back_left;
	struct world_timer *start;
};

static const char *setting_text(const struct settings *given, const char *name)
{
	return settings_get(given, rows, ARRAY_LEN(rows), name);
}

static bool setting_true(const struct settings *given, const char *name)
{
	const char *text = setting_text(given, name);

	return text && strcmp(text, "true") == 0;
}

static void rfc2136_close(void *instance)
{
	struct rfc2136 *primary = instance;

	if (primary) {
		tsig_key_free(primary->key);
		free(primary);
	}
}

static enum err_code open_key(struct rfc2136 *primary, const struct settings *given,
			      struct err *err)
{
	const char *path = setting_text(given, "tsig_key_file");
	bool is_unsigned = setting_true(given, "unsigned");

	if (path && is_unsigned) {
		return err_set(err, ERR_CONFIG, "rfc2136",
			       "both tsig_key_file and unsigned = true are set; keep one");
	}
	if (!path && !is_unsigned) {
		return err_set(err, ERR_CONFIG, "rfc2136",
			       "no tsig_key_file is set; make one with tsig-keygen, or say "
			       "unsigned = true for a server that goes by our address");
	}
	if (is_unsigned) {
		return ERR_NONE;
	}
	return tsig_key_load(path, setting_true(given, "allow_sha1"), &primary->key, err);
}

static enum err_code rfc2136_open(const struct provider_host *host, const struct settings *given,
				  void **instance, struct err *err)
{
	struct rfc2136 *primary = xcalloc(1, sizeof(*primary));
	const char *server = setting_text(given, "server");
	const char *timeout = setting_text(given, "timeout");
	const char *transport = setting_text(given, "transport");
	enum err_code code = ERR_NONE;

	primary->host = host;
	primary->transport = transport && strcmp(transport, "udp") == 0 ? DNS_UDP : DNS_TCP;
	if (!server) {
		code = err_set(err, ERR_CONFIG, "rfc2136", "no server is set");
		goto out;
	}
	if (!addr_parse(server, DNS_PORT, &primary->server)) {
		code = err_set(err, ERR_CONFIG, "rfc2136",
			       "server \"%s\" is not an address; write ADDR, ADDR:PORT or "
			       "[IPV6]:PORT",
			       server);
		goto out;
	}
	if (timeout && !duration_parse(timeout, &primary->timeout_ms)) {
		code = err_set(err, ERR_CONFIG, "rfc2136", "timeout \"%s\" is not a duration",
			       timeout);
		goto out;
	}
	code = open_key(primary, given, err);
out:
	if (code != ERR_NONE) {
		rfc2136_close(primary);
		return code;
	}
	*instance = primary;
	return ERR_NONE;
}

static bool rfc2136_authority(void *instance, struct dns_source *source)
{
	struct rfc2136 *primary = instance;

	*source = (struct dns_source){ .authority = true, .key = primary->key };
	source->resolver = xcalloc(1, sizeof(*source->resolver));
	source->resolver[0] = primary->server;
	source->resolver_count = 1;
	return true;
}

/* ---- one batch ------------------------------------------------------------- */

static void apply_next(struct apply *apply);

static void apply_free(struct apply *apply)
{
	world_timer_cancel(apply->primary->host->world, apply->start);
	dns_call_cancel(apply->update);
	for (size_t i = 0; i < apply->read_back_count; i++) {
		dns_call_cancel(apply->read_backs[i].call);
	}
	free(apply->read_backs);
	free(apply->by_owner);
	free(apply->todo);
	free(apply->results);
	free(apply);
}

static void push_range(struct apply *apply, size_t from, size_t count)
{
	apply->todo = xreallocarray(apply->todo, apply->todo_count + 1, sizeof(*apply->todo));
	apply->todo[apply->todo_count++] = (struct range){ from, count };
}

static void range_changes(const struct apply *apply, struct range range, struct dns_change *changes)
{
	for (size_t i = 0; i < range.count; i++) {
		const struct provider_change *from = &apply->batch->changes[range.from + i];

		changes[i] = (struct dns_change){
			.add = from->publish,
			.owner = from->owner,
			.value = from->value,
			.ttl_s = from->ttl_s,
		};
	}
}

/* How many changes from `from` on fit into one message and one RRset. */
static size_t fitting(const struct apply *apply, size_t from, const struct dns_change *all)
{
	size_t left = apply->batch->count - from;
	size_t same_owner = 0;
	size_t count;

	for (count = 0; count < left; count++) {
		bool same = count > 0 && strcmp(all[from + count].owner, all[from].owner) == 0;

		same_owner += same || count == 0 ? 1 : 0;
		if (same_owner > RRSET_MAX) {
			break;
		}
	}
	while (count > 1 &&
	       dns_update_wire_len(apply->batch->zone, all + from, count) > DNS_UPDATE_WIRE_MAX) {
		count = (count + 1) / 2;
	}
	return count;
}

/* Ranges go on a stack, so the last is pushed first. */
static void plan_ranges(struct apply *apply)
{
	size_t count = apply->batch->count;
	struct dns_change *all = xcalloc(count + 1, sizeof(*all));
	size_t *ends = xcalloc(count + 1, sizeof(*ends));
	size_t pieces = 0;

	range_changes(apply, (struct range){ 0, count }, all);
	for (size_t from = 0; from < count; from = ends[pieces - 1]) {
		size_t fits = fitting(apply, from, all);

		ends[pieces++] = from + fits;
	}
	for (size_t i = pieces; i > 0; i--) {
		size_t from = i > 1 ? ends[i - 2] : 0;

		push_range(apply, from, ends[i - 1] - from);
	}
	free(ends);
	free(all);
}

/* NOERROR may hide that the record was ignored (RFC 2136 s.3.4.2.2). */
static void take_shown(const struct read_back *read_back, const struct dns_msg *msg)
{
	struct apply *apply = read_back->apply;
	const char *owner = read_back->owner;
	char server[ADDR_TEXT_MAX];
	bool alias = dns_msg_find(msg, DNS_ANSWER, owner, DNS_TYPE_CNAME) != NULL;

	for (size_t i = 0; i < read_back->count; i++) {
		const size_t index = read_back->changes[i];

		if (dns_msg_has_txt(msg, owner, apply->batch->changes[index].value)) {
			if (apply->batch->shown) {
				apply->batch->shown[index] = true;
			}
			continue;
		}
		addr_format(server, &apply->primary->server, DNS_PORT);
		err_set(&apply->results[index], ERR_DNS, owner,
			alias ? "server %s took the update but a CNAME stands at that name, so the "
				"TXT record was ignored; remove it, or set alias = \"follow\""
			      : "server %s took the update for zone %s but does not show the "
				"record (%s); is there a delegation above that name?",
			server, apply->batch->zone, dns_rcode_name(msg->rcode));
	}
}

static bool shows_all(const struct read_back *read_back, const struct dns_msg *msg)
{
	const struct provider_change *changes = read_back->apply->batch->changes;

	for (size_t i = 0; i < read_back->count; i++) {
		if (!dns_msg_has_txt(msg, read_back->owner, changes[read_back->changes[i]].value)) {
			return false;
		}
	}
	return true;
}

static void ask_back(struct read_back *read_back, bool is_signed);

static void on_read_back(void *arg, const struct err *err, const struct dns_msg *msg)
{
	struct read_back *read_back = arg;
	struct apply *apply = read_back->apply;
	bool all = msg && shows_all(read_back, msg);

	read_back->call = NULL;
	if (!all && !read_back->is_signed && apply->primary->key) {
		ask_back(read_back, true);
		return;
	}
	if (all && read_back->is_signed && apply->read_back_count > SIGNED_MAX) {
		apply->primary->closed = true;
	}
	if (msg && (msg->rcode == DNS_NOERROR || msg->rcode == DNS_NXDOMAIN)) {
		take_shown(read_back, msg);
	} else {
		/* A primary that answers no questions is not asked again: the watch decides. */
		log_info("%s: the update server does not answer questions: %s", read_back->owner,
			 err ? err->text : dns_rcode_name(msg->rcode));
	}
	if (--apply->read_back_left == 0) {
		apply_next(apply);
	}
}

/* Over the connection that took the update, and signed, since BIND picks a view by key. */
static void ask_back(struct read_back *read_back, bool is_signed)
{
	struct rfc2136 *primary = read_back->apply->primary;
	struct dns_ask ask = {
		.server = primary->server,
		.name = read_back->owner,
		.type = DNS_TYPE_TXT,
		.key = is_signed ? primary->key : NULL,
		.transport = primary->transport,
		.timeout_ms = primary->timeout_ms,
	};

	read_back->is_signed = is_signed;
	read_back->call = dns_ask_start(primary->host->dns, &ask, on_read_back, read_back);
}

static int compare_owners(const void *a, const void *b, void *arg)
{
	const struct provider_change *changes = arg;

	return strcmp(changes[*(const size_t *)a].owner, changes[*(const size_t *)b].owner);
}

/* One for each owner that got values; how many. */
static size_t list_read_backs(struct apply *apply)
{
	const struct provider_change *changes = apply->batch->changes;
	size_t published = 0, count = 0;

	apply->by_owner = xreallocarray(apply->by_owner, apply->now.count + 1, sizeof(size_t));
	apply->read_backs =
		xreallocarray(apply->read_backs, apply->now.count + 1, sizeof(struct read_back));
	for (size_t i = apply->now.from; i < apply->now.from + apply->now.count; i++) {
		if (changes[i].publish) {
			apply->by_owner[published++] = i;
		}
	}
	qsort_r(apply->by_owner, published, sizeof(size_t), compare_owners,
		(void *)(uintptr_t)changes);
	for (size_t i = 0; i < published; i++) {
		const size_t *at = &apply->by_owner[i];

		if (count == 0 ||
		    strcmp(apply->read_backs[count - 1].owner, changes[*at].owner) != 0) {
			apply->read_backs[count++] = (struct read_back){
				.apply = apply, .owner = changes[*at].owner, .changes = at
			};
		}
		apply->read_backs[count - 1].count++;
	}
	return count;
}

/* Many are asked for as by whoever asks, at first: a signature of each question and each answer
 * costs the server more than the update did. What it does not show so is asked for with the key. */
static void read_back_start(struct apply *apply)
{
	size_t count = list_read_backs(apply);
	bool is_signed = count <= SIGNED_MAX || apply->primary->closed;

	apply->read_back_count = count;
	apply->read_back_left = count;
	for (size_t i = 0; i < count; i++) {
		ask_back(&apply->read_backs[i], apply->primary->key && is_signed);
	}
	if (count == 0) {
		apply_next(apply);
	}
}

static void on_update(void *arg, const struct err *err)
{
	struct apply *apply = arg;
	struct range now = apply->now;

	apply->update = NULL;
	if (!err) {
		read_back_start(apply);
		return;
	}
	if (err->code == ERR_DENIED && now.count > 1) {
		push_range(apply, now.from + now.count / 2, now.count - now.count / 2);
		push_range(apply, now.from, now.count / 2);
	} else {
		for (size_t i = now.from; i < now.from + now.count; i++) {
			apply->results[i] = *err;
			err_subject(&apply->results[i], "%s", apply->batch->changes[i].owner);
		}
	}
	apply_next(apply);
}

static void apply_next(struct apply *apply)
{
	struct rfc2136 *primary = apply->primary;
	struct dns_change *changes;

	if (apply->todo_count == 0) {
		provider_done *done = apply->done;
		struct err *results = apply->results;
		size_t count = apply->batch->count;
		void *arg = apply->arg;

		apply->results = NULL;
		apply_free(apply);
		done(arg, results, count);
		free(results);
		return;
	}
	apply->now = apply->todo[--apply->todo_count];
	changes = xcalloc(apply->now.count, sizeof(*changes));
	range_changes(apply, apply->now, changes);
	apply->update = dns_update_start(primary->host->dns,
					 &(struct dns_update){
						 .server = primary->server,
						 .zone = apply->batch->zone,
						 .changes = changes,
						 .count = apply->now.count,
						 .key = primary->key,
						 .transport = primary->transport,
						 .timeout_ms = primary->timeout_ms,
					 },
					 on_update, apply);
	free(changes);
}

static void on_start(void *arg)
{
	struct apply *apply = arg;

	apply->start = NULL;
	apply_next(apply);
}

static void *rfc2136_apply_start(void *instance, const struct provider_batch *batch,
				 provider_done *done, void *arg)
{
	struct rfc2136 *primary = instance;
	struct apply *apply = xcalloc(1, sizeof(*apply));

	*apply = (struct apply){ .primary = primary, .batch = batch, .done = done, .arg = arg };
	apply->results = xcalloc(batch->count + 1, sizeof(*apply->results));
	plan_ranges(apply);
	if (batch->count == 0) {
		apply->start = world_timer_start(primary->host->world, 0, on_start, apply);
	} else {
		apply_next(apply);
	}
	return apply;
}

static void rfc2136_apply_cancel(void *operation)
{
	if (operation) {
		apply_free(operation);
	}
}

const struct provider provider_rfc2136 = {
	.abi = PROVIDER_ABI,
	.name = "rfc2136",
	.summary = "DNS UPDATE with TSIG: BIND, Knot, PowerDNS, Windows DNS and others",
	.privilege =
		"A TSIG key that may add and delete TXT records at the _acme-challenge names "
		"alone. BIND: update-policy { grant KEY name _acme-challenge.example.com. TXT; "
		"}; Knot: acl with update-owner-name [_acme-challenge] and update-type [TXT]; "
		"PowerDNS: a zone of its own, since its keys are good for a whole zone.",
	.example = "{ name = \"primary\";  type = \"rfc2136\";  server = \"192.0.2.53\";  "
		   "tsig_key_file = \"acme.key\"; }",
	.settings = rows,
	.setting_count = ARRAY_LEN(rows),
	.unit = PROVIDER_VALUES,
	.open = rfc2136_open,
	.apply_start = rfc2136_apply_start,
	.apply_cancel = rfc2136_apply_cancel,
	.close = rfc2136_close,
	.authority = rfc2136_authority,
};
