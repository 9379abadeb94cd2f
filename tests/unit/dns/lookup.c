#include "dns/source.h"

#include "dns/fake_world.h"

struct scene {
	struct fake_world world;
	struct dns_client *client;
	struct dns_source source;
	void (*script)(struct scene *scene, struct fake_query *query);
	size_t done;
	struct err err;
	char txt[64];
	char asked[400]; /* servers in the order they were asked */
};

static const char *const answer[] = { "AN a.ex. 60 IN TXT \"v\"", NULL };

static void serve(void *arg, struct fake_query *query)
{
	struct scene *scene = arg;
	size_t len = strlen(scene->asked);

	if (query->len > 0) {
		snprintf(scene->asked + len, sizeof(scene->asked) - len, "%s ", query->server);
	}
	scene->script(scene, query);
}

static void on_done(void *arg, const struct err *err, const struct dns_msg *msg)
{
	struct scene *scene = arg;

	scene->done++;
	scene->err.code = ERR_NONE;
	scene->txt[0] = '\0';
	if (err) {
		scene->err = *err;
	} else if (msg->rr_count > 0) {
		snprintf(scene->txt, sizeof(scene->txt), "%s", msg->rr[0].txt);
	}
}

static void scene_init(struct scene *scene,
		       void (*script)(struct scene *scene, struct fake_query *query),
		       const char *first, const char *second)
{
	struct strlist list = { 0 };
	struct err err;

	memset(scene, 0, sizeof(*scene));
	fake_init(&scene->world, serve, scene);
	scene->script = script;
	scene->client = dns_client_new(&scene->world.base);
	strlist_add(&list, first);
	if (second) {
		strlist_add(&list, second);
	}
	assert_int_equal(dns_source_parse(&list, &scene->source, &err), ERR_NONE);
	strlist_clear(&list);
}

static void look_up(struct scene *scene)
{
	size_t before = scene->done;

	scene->asked[0] = '\0';
	dns_lookup_start(scene->client, &scene->source,
			 &(struct dns_question){ "a.ex", DNS_TYPE_TXT }, on_done, scene);
	assert_int_equal(scene->done, before);
	fake_run(&scene->world);
	assert_int_equal(scene->done, before + 1);
}

static void scene_clear(struct scene *scene)
{
	dns_client_free(scene->client);
	dns_source_clear(&scene->source);
	assert_int_equal(scene->world.open, 0);
}

static void first_fails(struct scene *scene, struct fake_query *query)
{
	(void)scene;
	assert_true(query->rd);
	if (strcmp(query->server, "192.0.2.1") == 0) {
		fake_reply(query, DNS_SERVFAIL, NULL);
	} else {
		fake_reply(query, DNS_NOERROR, answer);
	}
}

static void the_next_resolver_is_asked_after_servfail(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, first_fails, "192.0.2.1", "192.0.2.2");
	look_up(&scene);
	assert_string_equal(scene.txt, "v");
	assert_string_equal(scene.asked, "192.0.2.1 192.0.2.2 ");
	scene_clear(&scene);
}

static void first_is_silent(struct scene *scene, struct fake_query *query)
{
	if (strcmp(query->server, "192.0.2.1") != 0) {
		fake_reply(query, DNS_NOERROR, answer);
	}
	(void)scene;
}

static void a_silent_resolver_is_asked_last_for_a_while(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, first_is_silent, "192.0.2.1", "192.0.2.2");
	look_up(&scene);
	assert_string_equal(scene.txt, "v");
	assert_string_equal(scene.asked, "192.0.2.1 192.0.2.1 192.0.2.2 ");
	look_up(&scene);
	assert_string_equal(scene.asked, "192.0.2.2 ");
	fake_run_until(&scene.world, scene.world.now_us + 31000000);
	look_up(&scene);
	assert_string_equal(scene.asked, "192.0.2.1 192.0.2.1 192.0.2.2 ");
	scene_clear(&scene);
}

static void all_refuse(struct scene *scene, struct fake_query *query)
{
	(void)scene;
	if (query->len > 0) {
		fake_reply(query, DNS_REFUSED, NULL);
	}
}

static void every_failure_is_told(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, all_refuse, "192.0.2.1", "192.0.2.2");
	look_up(&scene);
	assert_int_equal(scene.err.code, ERR_DNS);
	assert_string_equal(scene.err.subject, "TXT of a.ex");
	assert_non_null(strstr(scene.err.text, "192.0.2.1: REFUSED; 192.0.2.2: REFUSED"));
	scene_clear(&scene);
}

static void an_authority_may_answer_anything(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, all_refuse, "192.0.2.1", "192.0.2.2");
	scene.source.authority = true;
	look_up(&scene);
	assert_int_equal(scene.err.code, ERR_NONE);
	assert_string_equal(scene.asked, "192.0.2.1 ");
	scene_clear(&scene);
}

static void nobody_to_ask_is_an_error_from_the_loop(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, all_refuse, "192.0.2.1", NULL);
	dns_source_clear(&scene.source);
	look_up(&scene);
	assert_int_equal(scene.err.code, ERR_CONFIG);
	scene_clear(&scene);
}

static void https_answers(struct scene *scene, struct fake_query *query)
{
	(void)scene;
	assert_int_equal(query->transport, FAKE_HTTPS);
	assert_int_equal(wire_u16(query->wire), 0); /* RFC 8484 s.4.1 */
	assert_true(query->rd);
	fake_reply(query, DNS_NOERROR, answer);
}

static void html_answers(struct scene *scene, struct fake_query *query)
{
	https_answers(scene, query);
	query->http_type = "text/html";
}

static void not_found(struct scene *scene, struct fake_query *query)
{
	https_answers(scene, query);
	query->http_status = 404;
}

static void other_question(struct scene *scene, struct fake_query *query)
{
	https_answers(scene, query);
	query->reply.data[13] = 'b';
}

static void doh_is_asked_and_checked(void **state)
{
	static const struct {
		void (*script)(struct scene *scene, struct fake_query *query);
		const char *part;
	} bad[] = { { html_answers, "RFC 8484" },
		    { not_found, "404" },
		    { other_question, "question" } };
	struct scene scene;

	(void)state;
	scene_init(&scene, https_answers, "https://dns.example/dns-query", NULL);
	look_up(&scene);
	assert_string_equal(scene.txt, "v");
	scene_clear(&scene);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		scene_init(&scene, bad[i].script, "https://dns.example/dns-query", NULL);
		look_up(&scene);
		assert_int_equal(scene.err.code, ERR_PROTOCOL);
		assert_non_null(strstr(scene.err.text, bad[i].part));
		assert_non_null(strstr(scene.err.text, "https://dns.example/dns-query"));
		scene_clear(&scene);
	}
}

static void a_cancelled_lookup_says_nothing(void **state)
{
	static const char *const who[] = { "192.0.2.1", "https://dns.example/dns-query" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct scene scene;
		struct dns_lookup *lookup;

		scene_init(&scene, i ? https_answers : first_fails, who[i], NULL);
		lookup = dns_lookup_start(scene.client, &scene.source,
					  &(struct dns_question){ "a.ex", DNS_TYPE_TXT }, on_done,
					  &scene);
		dns_lookup_cancel(lookup);
		fake_run(&scene.world);
		assert_int_equal(scene.done, 0);
		scene_clear(&scene);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_next_resolver_is_asked_after_servfail),
		cmocka_unit_test(a_silent_resolver_is_asked_last_for_a_while),
		cmocka_unit_test(every_failure_is_told),
		cmocka_unit_test(an_authority_may_answer_anything),
		cmocka_unit_test(nobody_to_ask_is_an_error_from_the_loop),
		cmocka_unit_test(doh_is_asked_and_checked),
		cmocka_unit_test(a_cancelled_lookup_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
