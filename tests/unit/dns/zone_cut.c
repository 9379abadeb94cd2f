#include "dns/source.h"

#include "dns/fake_world.h"

/* What a server says to SOA of a name. */
struct fact {
	const char *name;
	unsigned rcode;
	bool lame; /* without AA */
	const char *records[3];
};

struct scene {
	struct fake_world world;
	struct dns_client *client;
	struct dns_source source;
	struct addr server;
	const struct fact *facts;
	size_t asked, done;
	struct err err;
	char zone[NAME_TEXT_MAX];
};

static void serve(void *arg, struct fake_query *query)
{
	struct scene *scene = arg;
	const struct fact *fact;

	if (query->len == 0) {
		return;
	}
	scene->asked++;
	assert_int_equal(query->type, DNS_TYPE_SOA);
	assert_int_equal(query->rd, !scene->source.authority);
	for (fact = scene->facts; fact->name && strcmp(fact->name, query->name) != 0; fact++) {
	}
	if (!fact->name) {
		fail_msg("nobody was to ask for %s", query->name);
	}
	fake_reply(query, fact->rcode, fact->records);
	fake_set_aa(&query->reply, !fact->lame);
}

static void on_done(void *arg, const struct err *err, const char *zone)
{
	struct scene *scene = arg;

	scene->done++;
	if (err) {
		scene->err = *err;
	} else {
		snprintf(scene->zone, sizeof(scene->zone), "%s", zone);
	}
}

static void find(struct scene *scene, const struct fact *facts, const char *name, bool authority)
{
	memset(scene, 0, sizeof(*scene));
	fake_init(&scene->world, serve, scene);
	scene->server = fake_addr("192.0.2.1");
	scene->source.resolver = &scene->server;
	scene->source.resolver_count = 1;
	scene->source.authority = authority;
	scene->facts = facts;
	scene->client = dns_client_new(&scene->world.base);
	zone_cut_start(scene->client, &scene->source, name, on_done, scene);
	assert_int_equal(scene->done, 0);
	fake_run(&scene->world);
	assert_int_equal(scene->done, 1);
	dns_client_free(scene->client);
	assert_int_equal(scene->world.open, 0);
}

static void expect_zone(const struct fact *facts, const char *name, bool authority,
			const char *zone, size_t asked)
{
	struct scene scene;

	find(&scene, facts, name, authority);
	if (scene.err.code) {
		fail_msg("%s: %s", scene.err.subject, scene.err.text);
	}
	assert_string_equal(scene.zone, zone);
	assert_int_equal(scene.asked, asked);
}

static void expect_error(const struct fact *facts, const char *name, bool authority,
			 const char *part)
{
	struct scene scene;

	find(&scene, facts, name, authority);
	assert_int_not_equal(scene.err.code, ERR_NONE);
	if (!strstr(scene.err.text, part)) {
		fail_msg("'%s' does not say '%s'", scene.err.text, part);
	}
}

#define SOA " 60 IN SOA ns. h. 1 2 3 4 5"

static void one_question_is_enough_at_a_resolver(void **state)
{
	static const struct fact apex[] = { { "ex.com", DNS_NOERROR, false, { "AN ex.com." SOA } },
					    { 0 } };
	static const struct fact nodata[] = {
		{ "a.b.ex.com", DNS_NOERROR, true, { "NS ex.com." SOA } }, { 0 }
	};
	static const struct fact nxdomain[] = {
		{ "_acme-challenge.ex.com", DNS_NXDOMAIN, true, { "NS Ex.COM." SOA } }, { 0 }
	};

	(void)state;
	expect_zone(apex, "ex.com", false, "ex.com", 1);
	expect_zone(apex, "*.ex.com", false, "ex.com", 1);
	expect_zone(nodata, "a.b.ex.com", false, "ex.com", 1);
	expect_zone(nxdomain, "_acme-challenge.ex.com", false, "ex.com", 1);
}

static void an_alias_is_not_followed_but_left_for_its_parent(void **state)
{
	static const struct fact cname[] = { { "www.ex.com",
					       DNS_NOERROR,
					       true,
					       { "AN www.ex.com. 60 IN CNAME a.cdn.net.",
						 "NS cdn.net." SOA } },
					     { "ex.com", DNS_NOERROR, true, { "AN ex.com." SOA } },
					     { 0 } };
	/* The alias leads to an apex, whose SOA is in the answer. */
	static const struct fact to_apex[] = {
		{ "www.ex.com",
		  DNS_NOERROR,
		  true,
		  { "AN www.ex.com. 60 IN CNAME cdn.net.", "AN cdn.net." SOA } },
		{ "ex.com", DNS_NOERROR, true, { "AN ex.com." SOA } },
		{ 0 }
	};
	static const struct fact dname[] = {
		{ "a.t.ex.com",
		  DNS_NOERROR,
		  true,
		  { "AN t.ex.com. 60 IN DNAME cdn.net.",
		    "AN a.t.ex.com. 60 IN CNAME a.cdn.net." } },
		{ "t.ex.com", DNS_NOERROR, true, { "NS ex.com." SOA } },
		{ 0 }
	};

	(void)state;
	expect_zone(cname, "www.ex.com", false, "ex.com", 2);
	expect_zone(to_apex, "www.ex.com", false, "ex.com", 2);
	expect_zone(dname, "a.t.ex.com", false, "ex.com", 2);
}

static void a_strange_soa_is_not_believed(void **state)
{
	static const struct fact facts[] = {
		{ "a.ex.com", DNS_NXDOMAIN, true, { "NS other.net." SOA } },
		{ "ex.com", DNS_NOERROR, true, { "AN ex.com." SOA } },
		{ 0 }
	};
	static const struct fact below[] = {
		{ "evilex.com", DNS_NXDOMAIN, true, { "NS ex.com." SOA } }, { 0 }
	};

	(void)state;
	expect_zone(facts, "a.ex.com", false, "ex.com", 2);
	expect_error(below, "evilex.com", false, "com");
}

static void the_top_is_never_changed(void **state)
{
	static const struct fact tld[] = { { "nowhere.com", DNS_NXDOMAIN, true, { "NS com." SOA } },
					   { 0 } };
	static const struct fact root[] = {
		{ "nowhere.invalid", DNS_NXDOMAIN, true, { "NS ." SOA } }, { 0 }
	};
	static const struct fact mute[] = { { "a.ex.com", DNS_NOERROR, true, { NULL } },
					    { "ex.com", DNS_NOERROR, true, { NULL } },
					    { 0 } };

	(void)state;
	expect_error(tld, "nowhere.com", false, "no zone below 'com' holds this name");
	expect_error(tld, "nowhere.com", false, "192.0.2.1");
	expect_error(root, "nowhere.invalid", false, "below '.'");
	expect_error(mute, "a.ex.com", false, "below 'com'");
}

static void servfail_is_never_climbed_past(void **state)
{
	static const struct fact facts[] = { { "a.ex.com", DNS_SERVFAIL, true, { NULL } }, { 0 } };

	(void)state;
	expect_error(facts, "a.ex.com", false, "SERVFAIL");
	expect_error(facts, "a.ex.com", true, "SERVFAIL");
}

static void an_authority_is_climbed_to_its_zone(void **state)
{
	static const struct fact facts[] = { { "a.b.ex.com", DNS_REFUSED, true, { NULL } },
					     { "b.ex.com", DNS_NOTAUTH, true, { NULL } },
					     { "ex.com", DNS_NOERROR, false, { "AN ex.com." SOA } },
					     { 0 } };
	static const struct fact nxdomain[] = {
		{ "a.b.ex.com", DNS_NXDOMAIN, false, { "NS ex.com." SOA } }, { 0 }
	};
	static const struct fact internal[] = {
		{ "a.corp", DNS_NXDOMAIN, false, { "NS corp." SOA } }, { 0 }
	};
	static const struct fact none[] = { { "ex.com", DNS_REFUSED, true, { NULL } },
					    { "com", DNS_REFUSED, true, { NULL } },
					    { 0 } };
	/* Cached, not its own. */
	static const struct fact lame[] = { { "ex.com", DNS_NOERROR, true, { "AN ex.com." SOA } },
					    { "com", DNS_REFUSED, true, { NULL } },
					    { 0 } };

	(void)state;
	expect_zone(facts, "a.b.ex.com", true, "ex.com", 3);
	expect_zone(nxdomain, "a.b.ex.com", true, "ex.com", 1);
	expect_zone(internal, "a.corp", true, "corp", 1);
	expect_error(none, "ex.com", true, "serves no zone that holds this name");
	expect_error(lame, "ex.com", true, "serves no zone that holds this name");
}

static void an_authority_that_delegates_the_name_is_not_its_zone(void **state)
{
	static const struct fact facts[] = {
		{ "a.sub.ex.com", DNS_NOERROR, true, { "NS sub.ex.com. 60 IN NS ns.other.net." } },
		{ "sub.ex.com", DNS_NOERROR, true, { "NS sub.ex.com. 60 IN NS ns.other.net." } },
		{ "ex.com", DNS_NOERROR, false, { "AN ex.com." SOA } },
		{ 0 }
	};
	/* Old servers refer upwards, to the root. */
	static const struct fact upwards[] = {
		{ "a.ex.com", DNS_NOERROR, true, { "NS . 60 IN NS a.root." } },
		{ "ex.com", DNS_NOERROR, false, { "AN ex.com." SOA } },
		{ 0 }
	};

	(void)state;
	expect_error(facts, "a.sub.ex.com", true, "delegates sub.ex.com");
	expect_zone(upwards, "a.ex.com", true, "ex.com", 2);
}

static void a_cancelled_cut_says_nothing(void **state)
{
	static const struct fact facts[] = { { "a.ex.com", DNS_REFUSED, true, { NULL } }, { 0 } };
	struct scene scene;
	struct zone_cut *cut;

	(void)state;
	memset(&scene, 0, sizeof(scene));
	fake_init(&scene.world, serve, &scene);
	scene.server = fake_addr("192.0.2.1");
	scene.source.resolver = &scene.server;
	scene.source.resolver_count = 1;
	scene.facts = facts;
	scene.client = dns_client_new(&scene.world.base);
	cut = zone_cut_start(scene.client, &scene.source, "a.ex.com", on_done, &scene);
	zone_cut_cancel(cut);
	zone_cut_cancel(NULL);
	fake_run(&scene.world);
	assert_int_equal(scene.done, 0);
	dns_client_free(scene.client);
	assert_int_equal(scene.world.open, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_question_is_enough_at_a_resolver),
		cmocka_unit_test(an_alias_is_not_followed_but_left_for_its_parent),
		cmocka_unit_test(a_strange_soa_is_not_believed),
		cmocka_unit_test(the_top_is_never_changed),
		cmocka_unit_test(servfail_is_never_climbed_past),
		cmocka_unit_test(an_authority_is_climbed_to_its_zone),
		cmocka_unit_test(an_authority_that_delegates_the_name_is_not_its_zone),
		cmocka_unit_test(a_cancelled_cut_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
