#include "dns/source.h"

#include "dns/fake_world.h"

/* A small Internet: who answers what, "server/name/TYPE". */
struct fact {
	const char *server, *name;
	uint16_t type;
	int64_t delay_ms; /* -1: silence */
	unsigned rcode;
	bool referral;
	const char *records[4];
};

struct scene {
	struct fake_world world;
	struct dns_client *client;
	struct dns_source source;
	struct addr server;
	const struct fact *facts;
	size_t done, queries;
	int64_t started_us, done_us;
	struct err err;
	struct ns_set *set;
};

static void serve(void *arg, struct fake_query *query)
{
	struct scene *scene = arg;
	const struct fact *fact;

	if (query->len == 0) {
		return;
	}
	scene->queries++;
	for (fact = scene->facts; fact->server; fact++) {
		if (strcmp(fact->server, query->server) == 0 &&
		    strcmp(fact->name, query->name) == 0 && fact->type == query->type) {
			break;
		}
	}
	if (fact->server && fact->delay_ms >= 0) {
		fake_reply(query, fact->rcode, fact->records);
		fake_set_aa(&query->reply, !fact->referral);
		query->delay_us = fact->delay_ms ? fact->delay_ms * 1000 : 1000;
	} else if (!fact->server) {
		fake_reply(query, DNS_NXDOMAIN, NULL);
	}
}

static void on_done(void *arg, const struct err *err, struct ns_set *set)
{
	struct scene *scene = arg;

	scene->done++;
	scene->done_us = scene->world.now_us;
	scene->set = set;
	assert_true(!err != !set);
	if (err) {
		scene->err = *err;
	}
}

static void find(struct scene *scene, const struct fact *facts, bool authority,
		 const char *const *servers)
{
	struct strlist list = { 0 };

	memset(scene, 0, sizeof(*scene));
	fake_init(&scene->world, serve, scene);
	scene->server = fake_addr("10.0.0.53");
	scene->source.resolver = &scene->server;
	scene->source.resolver_count = 1;
	scene->source.authority = authority;
	scene->facts = facts;
	scene->client = dns_client_new(&scene->world.base);
	scene->started_us = scene->world.now_us;
	for (; servers && *servers; servers++) {
		strlist_add(&list, *servers);
	}
	ns_find_start(scene->client, &(struct ns_search){ &scene->source, "ex.com", &list },
		      on_done, scene);
	strlist_clear(&list);
	assert_int_equal(scene->done, 0);
	fake_run(&scene->world);
	assert_int_equal(scene->done, 1);
}

static void scene_clear(struct scene *scene)
{
	ns_set_free(scene->set);
	dns_client_free(scene->client);
	assert_int_equal(scene->world.open, 0);
}

static void expect_server(const struct scene *scene, size_t i, const char *name,
			  const char *addresses, const char *note)
{
	const struct name_server *ns = &scene->set->ns[i];
	char all[400] = "";

	assert_true(i < scene->set->count);
	assert_string_equal(ns->name, name);
	for (size_t k = 0; k < ns->addr_count; k++) {
		char text[ADDR_TEXT_MAX];
		size_t len = strlen(all);

		addr_format(text, &ns->addr[k], DNS_PORT);
		snprintf(all + len, sizeof(all) - len, "%s%s", k ? " " : "", text);
	}
	assert_string_equal(all, addresses);
	if (!note) {
		assert_null(ns->note);
	} else if (!ns->note || !strstr(ns->note, note)) {
		fail_msg("%s: '%s' does not say '%s'", name, ns->note ? ns->note : "", note);
	}
}

#define R "10.0.0.53"

/* ns1 in both, ns2 in the child alone, ns3 in the parent alone. */
static const struct fact both_sides[] = {
	{ R,
	  "ex.com",
	  DNS_TYPE_NS,
	  5,
	  0,
	  0,
	  { "AN ex.com. 60 IN NS ns2.ex.com.", "AN ex.com. 60 IN NS NS1.ex.com." } },
	{ R,
	  "ns1.ex.com",
	  DNS_TYPE_A,
	  5,
	  0,
	  0,
	  { "AN ns1.ex.com. 60 IN A 192.0.2.1", "AN ns1.ex.com. 60 IN A 192.0.2.11" } },
	{ R, "ns1.ex.com", DNS_TYPE_AAAA, 7, 0, 0, { "AN ns1.ex.com. 60 IN AAAA 2001:db8::1" } },
	{ R,
	  "ns2.ex.com",
	  DNS_TYPE_A,
	  5,
	  0,
	  0,
	  { "AN ns2.ex.com. 60 IN CNAME host.ex.com.", "AN host.ex.com. 60 IN A 192.0.2.2" } },
	{ R, "ns3.ex.com", DNS_TYPE_A, 5, 0, 0, { "AN ns3.ex.com. 60 IN A 192.0.2.3" } },
	{ R, "com", DNS_TYPE_NS, 5, 0, 0, { "AN com. 60 IN NS a.gtld." } },
	{ R, "a.gtld", DNS_TYPE_A, 5, 0, 0, { "AN a.gtld. 60 IN A 192.0.2.100" } },
	{ "192.0.2.100",
	  "ex.com",
	  DNS_TYPE_NS,
	  5,
	  0,
	  true,
	  { "NS ex.com. 60 IN NS ns1.ex.com.", "NS ex.com. 60 IN NS ns3.ex.com.",
	    "AD ns1.ex.com. 60 IN A 192.0.2.1" } },
	{ 0 }
};

static void the_union_of_child_and_parent_is_found(void **state)
{
	struct scene scene;

	(void)state;
	find(&scene, both_sides, false, NULL);
	assert_string_equal(scene.set->zone, "ex.com");
	assert_int_equal(scene.set->count, 3);
	expect_server(&scene, 0, "ns1.ex.com", "192.0.2.1 192.0.2.11 2001:db8::1", NULL);
	expect_server(&scene, 1, "ns2.ex.com", "192.0.2.2", "only in the zone's own NS records");
	expect_server(&scene, 2, "ns3.ex.com", "192.0.2.3", "only in the parent's delegation");
	/* Side by side: the parent's three steps and the last lookup, no more. */
	assert_int_equal((scene.done_us - scene.started_us) / 1000, 20);
	scene_clear(&scene);
}

static const struct fact mute_parent[] = {
	{ R, "ex.com", DNS_TYPE_NS, 5, 0, 0, { "AN ex.com. 60 IN NS ns1.ex.com." } },
	{ R, "ns1.ex.com", DNS_TYPE_A, 5, 0, 0, { "AN ns1.ex.com. 60 IN A 192.0.2.1" } },
	{ R, "com", DNS_TYPE_NS, 5, 0, 0, { "AN com. 60 IN NS a.gtld." } },
	{ R, "a.gtld", DNS_TYPE_A, 5, 0, 0, { "AN a.gtld. 60 IN A 192.0.2.100" } },
	{ "192.0.2.100", "ex.com", DNS_TYPE_NS, -1, 0, 0, { NULL } },
	{ 0 }
};

static void a_mute_parent_delays_by_half_a_second_at_most(void **state)
{
	struct scene scene;

	(void)state;
	find(&scene, mute_parent, false, NULL);
	assert_int_equal(scene.set->count, 1);
	expect_server(&scene, 0, "ns1.ex.com", "192.0.2.1", NULL);
	assert_int_equal((scene.done_us - scene.started_us) / 1000, 510);
	scene_clear(&scene);
}

static const struct fact no_parent[] = {
	{ R,
	  "ex.com",
	  DNS_TYPE_NS,
	  5,
	  0,
	  0,
	  { "AN ex.com. 60 IN NS ns1.ex.com.", "AN ex.com. 60 IN NS gone.ex.com.",
	    "AN ex.com. 60 IN NS broken.ex.com." } },
	{ R, "ns1.ex.com", DNS_TYPE_A, 5, 0, 0, { "AN ns1.ex.com. 60 IN A 192.0.2.1" } },
	{ R, "gone.ex.com", DNS_TYPE_A, 5, 0, 0, { NULL } },
	{ R, "gone.ex.com", DNS_TYPE_AAAA, 5, 0, 0, { NULL } },
	{ R, "broken.ex.com", DNS_TYPE_A, 5, DNS_SERVFAIL, 0, { NULL } },
	{ R, "com", DNS_TYPE_NS, 5, DNS_REFUSED, 0, { NULL } },
	{ 0 }
};

static void servers_without_address_are_kept_and_noted(void **state)
{
	struct scene scene;

	(void)state;
	find(&scene, no_parent, false, NULL);
	assert_int_equal(scene.set->count, 3);
	expect_server(&scene, 0, "broken.ex.com", "", "SERVFAIL");
	expect_server(&scene, 1, "gone.ex.com", "", "neither A nor AAAA");
	expect_server(&scene, 2, "ns1.ex.com", "192.0.2.1", NULL);
	assert_int_equal((scene.done_us - scene.started_us) / 1000, 10);
	scene_clear(&scene);
}

static const struct fact parent_is_deeper[] = {
	{ R, "ex.com", DNS_TYPE_NS, 5, DNS_SERVFAIL, 0, { NULL } },
	{ R, "com", DNS_TYPE_NS, 5, 0, 0, { "NS . 60 IN SOA a. b. 1 2 3 4 5" } },
	{ R, ".", DNS_TYPE_NS, 5, 0, 0, { "AN . 60 IN NS a.root." } },
	{ R, "a.root", DNS_TYPE_AAAA, 5, 0, 0, { "AN a.root. 60 IN AAAA 2001:db8::53" } },
	{ "2001:db8::53", "ex.com", DNS_TYPE_NS, 5, 0, 0, { "AN ex.com. 60 IN NS ns1.ex.com." } },
	{ R, "ns1.ex.com", DNS_TYPE_A, 5, 0, 0, { "AN ns1.ex.com. 60 IN A 192.0.2.1" } },
	{ 0 }
};

static void the_parent_helps_where_the_child_fails(void **state)
{
	struct scene scene;

	(void)state;
	find(&scene, parent_is_deeper, false, NULL);
	assert_non_null(scene.set);
	expect_server(&scene, 0, "ns1.ex.com", "192.0.2.1", NULL);
	scene_clear(&scene);
}

static const struct fact nothing[] = { { 0 } };

static void no_servers_is_an_error_that_names_the_setting(void **state)
{
	struct scene scene;

	(void)state;
	find(&scene, nothing, false, NULL);
	assert_int_equal(scene.err.code, ERR_DNS);
	assert_string_equal(scene.err.subject, "ex.com");
	assert_non_null(strstr(scene.err.text, "`servers`"));
	assert_non_null(strstr(scene.err.text, "NXDOMAIN"));
	scene_clear(&scene);
}

static const struct fact of_authority[] = {
	{ R,
	  "ex.com",
	  DNS_TYPE_NS,
	  5,
	  0,
	  0,
	  { "AN ex.com. 60 IN NS ns1.ex.com.", "AN ex.com. 60 IN NS ns2.net.",
	    "AD ns1.ex.com. 60 IN A 192.0.2.1" } },
	{ R, "ns2.net", DNS_TYPE_A, 5, DNS_REFUSED, 0, { NULL } },
	{ R, "ns2.net", DNS_TYPE_AAAA, 5, DNS_REFUSED, 0, { NULL } },
	{ 0 }
};

static void an_authority_is_asked_alone(void **state)
{
	struct scene scene;

	(void)state;
	find(&scene, of_authority, true, NULL);
	assert_int_equal(scene.set->count, 2);
	expect_server(&scene, 0, "ns1.ex.com", "192.0.2.1", NULL);
	expect_server(&scene, 1, "ns2.net", "", "REFUSED");
	assert_int_equal(scene.queries, 3);
	scene_clear(&scene);
}

static void configured_servers_are_the_whole_set(void **state)
{
	static const char *const servers[] = { "NS3.ex.com", "192.0.2.9:5353", "192.0.2.9:5353",
					       NULL };
	static const char *const literal[] = { "192.0.2.9", NULL };
	static const char *const wrong[] = { "ns3.ex.com", "a..b", NULL };
	struct scene scene;

	(void)state;
	find(&scene, both_sides, false, servers);
	assert_int_equal(scene.set->count, 2);
	expect_server(&scene, 0, "ns3.ex.com", "192.0.2.3", NULL);
	expect_server(&scene, 1, "192.0.2.9:5353", "192.0.2.9:5353", NULL);
	assert_int_equal(scene.queries, 2);
	scene_clear(&scene);
	find(&scene, both_sides, false, literal);
	assert_int_equal(scene.set->count, 1);
	assert_int_equal(scene.queries, 0);
	scene_clear(&scene);
	find(&scene, both_sides, false, wrong);
	assert_int_equal(scene.err.code, ERR_USAGE);
	scene_clear(&scene);
}

static void too_many_servers_are_bounded(void **state)
{
	const char *servers[NS_MAX + 2] = { 0 };
	char text[NS_MAX + 1][ADDR_TEXT_MAX];
	struct scene scene;

	(void)state;
	for (size_t i = 0; i < NS_MAX + 1; i++) {
		snprintf(text[i], sizeof(text[i]), "192.0.2.%zu", i);
		servers[i] = text[i];
	}
	find(&scene, nothing, false, servers);
	assert_int_equal(scene.err.code, ERR_LIMIT);
	scene_clear(&scene);
}

static void cancelling_stops_everything_at_any_moment(void **state)
{
	(void)state;
	for (int64_t at_us = 0; at_us < 22000; at_us += 500) {
		struct scene scene;
		struct ns_find *found;

		memset(&scene, 0, sizeof(scene));
		fake_init(&scene.world, serve, &scene);
		scene.server = fake_addr(R);
		scene.source.resolver = &scene.server;
		scene.source.resolver_count = 1;
		scene.facts = both_sides;
		scene.client = dns_client_new(&scene.world.base);
		found = ns_find_start(scene.client,
				      &(struct ns_search){ &scene.source, "ex.com", NULL }, on_done,
				      &scene);
		fake_run_until(&scene.world, scene.world.now_us + at_us);
		if (scene.done == 0) {
			ns_find_cancel(found);
			fake_run(&scene.world);
			assert_int_equal(scene.done, 0);
		}
		scene_clear(&scene);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_union_of_child_and_parent_is_found),
		cmocka_unit_test(a_mute_parent_delays_by_half_a_second_at_most),
		cmocka_unit_test(servers_without_address_are_kept_and_noted),
		cmocka_unit_test(the_parent_helps_where_the_child_fails),
		cmocka_unit_test(no_servers_is_an_error_that_names_the_setting),
		cmocka_unit_test(an_authority_is_asked_alone),
		cmocka_unit_test(configured_servers_are_the_whole_set),
		cmocka_unit_test(too_many_servers_are_bounded),
		cmocka_unit_test(cancelling_stops_everything_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
