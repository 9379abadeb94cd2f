/*
 * zone_cut: which zone a name is in. A resolver mostly tells with one question,
 * by the SOA of its negative answer (RFC 2308 s.3); one authoritative server is
 * asked label by label, for it knows its own zones alone.
 */
#include "source.h"

struct zone_cut {
	struct dns_client *client;
	const struct dns_source *source;
	char *name;
	const char *label; /* the ancestor of name that is being asked for */
	struct dns_lookup *lookup;
	struct err refusal; /* the first unproven one of an authority */
	char *delegated;    /* an ancestor of name that the authority gave away */
	zone_cut_done *done;
	void *arg;
};

static void ask(struct zone_cut *cut);

static void cut_free(struct zone_cut *cut)
{
	free(cut->delegated);
	free(cut->name);
	free(cut);
}

static void cut_finish(struct zone_cut *cut, const struct err *err, const char *zone)
{
	zone_cut_done *done = cut->done;
	void *arg = cut->arg;

	cut_free(cut);
	done(arg, err, zone);
}

static void refuse_top(struct zone_cut *cut, const char *top)
{
	char *who = source_words(cut->source);
	struct err err;

	err_set(&err, ERR_DNS, cut->name,
		"the resolver %s says that no zone below '%s' holds this name, and changes are "
		"never made in '%s' itself; is the domain registered and delegated, and can this "
		"resolver see it (`resolvers` setting)?",
		who, top, top);
	free(who);
	cut_finish(cut, &err, NULL);
}

static void refuse_authority(struct zone_cut *cut)
{
	char *who = source_words(cut->source);
	struct err err = cut->refusal;

	if (err.code == ERR_NONE) {
		err_set(&err, ERR_DNS, cut->name,
			"%s serves no zone that holds this name: it answered with authority for "
			"none of its ancestors",
			who);
	}
	free(who);
	cut_finish(cut, &err, NULL);
}

static void found(struct zone_cut *cut, const char *zone)
{
	struct err err;

	if (strcmp(zone, ".") == 0 || (name_labels(zone) < 2 && !cut->source->authority)) {
		refuse_top(cut, zone);
		return;
	}
	/* An UPDATE below a cut answers NOERROR and is never served. */
	if (cut->delegated && name_under(cut->delegated, zone) &&
	    strcmp(cut->delegated, zone) != 0) {
		char *who = source_words(cut->source);

		err_set(&err, ERR_DNS, cut->name,
			"%s serves zone %s, but delegates %s, which this name is in, to other "
			"servers; changes have to be made there",
			who, zone, cut->delegated);
		free(who);
		cut_finish(cut, &err, NULL);
		return;
	}
	cut_finish(cut, NULL, zone);
}

static void climb(struct zone_cut *cut)
{
	size_t lowest = cut->source->authority ? 1 : 2;
	const char *parent = name_parent(cut->label);

	if (parent && name_labels(parent) >= lowest) {
		cut->label = parent;
		ask(cut);
	} else if (cut->source->authority) {
		refuse_authority(cut);
	} else {
		refuse_top(cut, parent ? parent : ".");
	}
}

/* The answer begins with an alias at the label, or above it. */
static bool is_alias(const struct zone_cut *cut, const struct dns_msg *msg)
{
	for (size_t i = 0; i < msg->rr_count; i++) {
		const struct dns_rr *rr = &msg->rr[i];

		if (rr->section == DNS_ANSWER &&
		    ((rr->type == DNS_TYPE_CNAME && strcmp(rr->owner, cut->label) == 0) ||
		     (rr->type == DNS_TYPE_DNAME && name_under(cut->label, rr->owner)))) {
			return true;
		}
	}
	return false;
}

/* A proper negative or positive answer, of a resolver or with authority. */
static void decide(struct zone_cut *cut, const struct dns_msg *msg)
{
	const struct dns_rr *soa = dns_msg_find(msg, DNS_ANSWER, cut->label, DNS_TYPE_SOA);

	if (soa) {
		found(cut, soa->owner);
		return;
	}
	if (!is_alias(cut, msg)) {
		soa = dns_msg_find(msg, DNS_AUTHORITY, NULL, DNS_TYPE_SOA);
	}
	if (soa && name_under(cut->label, soa->owner)) {
		found(cut, soa->owner);
	} else {
		climb(cut);
	}
}

/* Without AA: a referral downwards is kept for found(). */
static void keep_referral(struct zone_cut *cut, const struct dns_msg *msg)
{
	const struct dns_rr *ns = dns_msg_find(msg, DNS_AUTHORITY, NULL, DNS_TYPE_NS);

	if (!cut->delegated && ns && msg->rcode == DNS_NOERROR &&
	    name_under(cut->label, ns->owner)) {
		cut->delegated = xstrdup(ns->owner);
	}
}

static void on_authority(struct zone_cut *cut, const struct dns_msg *msg)
{
	struct err err;

	if (msg->rcode == DNS_SERVFAIL) {
		/* Perhaps an expired zone: climbing past it would change its parent. */
		char *who = source_words(cut->source);

		err_set(&err, ERR_DNS, cut->name, "%s answered SERVFAIL to SOA of %s", who,
			cut->label);
		free(who);
		cut_finish(cut, &err, NULL);
	} else if (msg->aa && (msg->rcode == DNS_NOERROR || msg->rcode == DNS_NXDOMAIN)) {
		decide(cut, msg);
	} else {
		keep_referral(cut, msg);
		climb(cut);
	}
}

static void on_answer(void *arg, const struct err *err, const struct dns_msg *msg)
{
	struct zone_cut *cut = arg;

	cut->lookup = NULL;
	if (err && cut->source->authority && err->code == ERR_DENIED) {
		/* Unsigned refusals of zones that it does not serve. */
		if (cut->refusal.code == ERR_NONE) {
			cut->refusal = *err;
		}
		climb(cut);
	} else if (err) {
		cut_finish(cut, err, NULL);
	} else if (cut->source->authority) {
		on_authority(cut, msg);
	} else {
		decide(cut, msg);
	}
}

/* At most one question per label; a name has at most 127. */
static void ask(struct zone_cut *cut)
{
	cut->lookup = dns_lookup_start(cut->client, cut->source,
				       &(struct dns_question){ cut->label, DNS_TYPE_SOA },
				       on_answer, cut);
}

struct zone_cut *zone_cut_start(struct dns_client *client, const struct dns_source *source,
				const char *name, zone_cut_done *done, void *arg)
{
	struct zone_cut *cut = xcalloc(1, sizeof(*cut));

	cut->client = client;
	cut->source = source;
	cut->name = xstrdup(name_base(name));
	cut->label = cut->name;
	cut->done = done;
	cut->arg = arg;
	ask(cut);
	return cut;
}

void zone_cut_cancel(struct zone_cut *cut)
{
	if (cut) {
		dns_lookup_cancel(cut->lookup);
		cut_free(cut);
	}
}
