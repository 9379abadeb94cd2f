/* The dump of a configuration reads back to the same dump. */
#include "conf_test.h"

#define SEEDS 500

static char *dump_again(const char *dump)
{
	struct conf *conf = NULL;
	struct err err;
	char *again = NULL;

	if (conf_parse(dump, "dump", fake_provider, &conf, &err) != ERR_NONE) {
		miss(dump, "no error", err.text);
	} else {
		again = conf_dump(conf, fake_provider);
	}
	conf_free(conf);
	return again;
}

static void check_fixed_point(const struct conf *conf)
{
	char *dump = conf_dump(conf, fake_provider);
	char *again = dump_again(dump);
	char *brief;

	check_text("fixed point", dump, again);
	free(again);
	/* What the brief form leaves out is what reading it fills in. */
	brief = conf_dump_brief(conf, fake_provider);
	again = dump_again(brief);
	check_text("brief", dump, again);
	free(brief);
	free(dump);
	free(again);
}

/* Small and repeatable: a test's draws, not secrets. */
static uint32_t draw(uint64_t *state, uint32_t below)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33) % below;
}

static const char *pick(uint64_t *state, const char *const *words, size_t count)
{
	return words[draw(state, (uint32_t)count)];
}

static void add_random_zone(struct conf *conf, uint64_t *state, size_t i)
{
	static const char *const quorums[] = { "all", "reachable", "1", "100" };
	static const char *const aliases[] = { "follow", "off", "Acme.Example.net." };
	static const char *const servers[] = { "NS1.example", "192.0.2.7:53", "2001:db8::1",
					       "[2001:db8::1]:5353", "b\303\274cher.example" };
	struct conf_zone *zone;
	char name[64];

	snprintf(name, sizeof(name), "Zone%zu.Example.", i);
	zone = conf_add_zone(conf, draw(state, 9) == 0 && i == 0 ? "." : name);
	strlist_add(&zone->providers, "p");
	free(zone->quorum);
	zone->quorum = xstrdup(pick(state, quorums, ARRAY_LEN(quorums)));
	free(zone->alias);
	zone->alias = xstrdup(pick(state, aliases, ARRAY_LEN(aliases)));
	for (size_t j = draw(state, ARRAY_LEN(servers)); j > 0; j--) {
		strlist_add(&zone->servers, servers[j - 1]);
	}
	zone->settle_ms = draw(state, 3600001);
	zone->deadline_ms = 1000 + draw(state, 86399001);
	zone->ttl_s = draw(state, 86401);
}

static void add_random_exports(struct conf_certificate *certificate, uint64_t *state, size_t i)
{
	static const char *const layouts[] = { "files", "certbot", "haproxy", "pkcs12" };

	certificate->export_count = draw(state, 4);
	certificate->export = xcalloc(4, sizeof(*certificate->export));
	for (size_t j = 0; j < certificate->export_count; j++) {
		struct conf_export *export = &certificate->export[j];

		export->layout = xstrdup(pick(state, layouts, ARRAY_LEN(layouts)));
		export->path = xasprintf("/le/live/%zu.%zu", i, j);
		export->mode = xstrdup(draw(state, 2) == 0 ? "640" : "0600");
		export->group = draw(state, 2) == 0 ? xstrdup("ssl-cert") : NULL;
	}
}

static void add_random_certificate(struct conf *conf, uint64_t *state, size_t i)
{
	struct conf_certificate *certificate;
	char name[64], argument[32];

	snprintf(name, sizeof(name), "c%zu", i);
	certificate = conf_add_certificate(conf, name);
	strlist_addf(&certificate->names, "*.c%zu.example", i);
	certificate->deploy_timeout_ms = 1000 + draw(state, 3599001);
	if (draw(state, 2) == 0) {
		strlist_add(&certificate->keys, "rsa2048");
		certificate->profile = xstrdup("a \"b\" \\ c");
	}
	add_random_exports(certificate, state, i);
	certificate->deploy.count = draw(state, 3);
	certificate->deploy.item = xcalloc(3, sizeof(*certificate->deploy.item));
	for (size_t j = 0; j < certificate->deploy.count; j++) {
		for (size_t k = 0; k < sizeof(argument) - 1; k++) {
			argument[k] = (char)(1 + draw(state, 255));
		}
		argument[sizeof(argument) - 1] = '\0';
		strlist_add(&certificate->deploy.item[j].argv, "/bin/a b");
		strlist_add(&certificate->deploy.item[j].argv, argument);
		strlist_add(&certificate->deploy.item[j].argv, "");
	}
}

static struct conf *random_conf(uint64_t state)
{
	struct conf *conf = conf_new();
	struct conf_account *account = conf_add_account(conf, "a");
	struct conf_provider *provider = conf_add_provider(conf, "p", "fake");

	account->directory = xstrdup("https://ca.example/d");
	account->agree_tos = draw(&state, 2) == 0;
	account->ca_file = draw(&state, 2) == 0 ? xstrdup("root \".pem") : NULL;
	settings_set(&provider->settings, "server", "a\\\"b", "--set");
	settings_set(&provider->settings, "options", draw(&state, 2) == 0 ? "" : "x\ny", "--set");
	conf->state = draw(&state, 2) == 0 ? xstrdup("state") : NULL;
	if (draw(&state, 2) == 0) {
		strlist_add(&conf->notify.run, "/bin/mail");
		strlist_add(&conf->notify.run, "");
		strlist_add(&conf->notify.run, "");
		free(conf->notify.life_left);
		conf->notify.life_left = xstrdup("02/5");
	}
	for (size_t i = draw(&state, 4); i > 0; i--) {
		add_random_zone(conf, &state, i - 1);
	}
	for (size_t i = draw(&state, 4); i > 0; i--) {
		add_random_certificate(conf, &state, i - 1);
	}
	return conf;
}

static void any_configuration_is_a_fixed_point(void **state)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct conf *conf = random_conf(seed);
		struct err err;

		(void)state;
		if (conf_check(conf, fake_provider, &err) != ERR_NONE) {
			miss("seed", "no error", err.text);
		} else {
			check_fixed_point(conf);
		}
		conf_free(conf);
	}
	no_misses();
}

static void shows_defaults_and_no_secrets(void **state)
{
	struct conf *conf =
		parse_good(PROVIDER "zones = ( { suffix = \".\"; providers = [ \"p\" ]; } );");
	char *dump;

	(void)state;
	assert_non_null(conf);
	/* as a program that holds one might */
	settings_set(&conf->provider[0].settings, "token", "hunter2", "memory");
	dump = conf_dump(conf, fake_provider);
	check("secret", strstr(dump, "hunter2") == NULL && strstr(dump, "token") == NULL);
	check("default of a zone", strstr(dump, "\t\tdeadline = \"10m\";\n") != NULL);
	check("default of a provider", strstr(dump, "\t\tretries = 3;\n") != NULL);
	check("word or number", strstr(dump, "\t\tquorum = \"all\";\n") != NULL);
	check("no empty text", strstr(dump, "profile =") == NULL);
	free(dump);
	conf_free(conf);
	no_misses();
}

static void an_empty_configuration_has_a_dump(void **state)
{
	struct conf *conf = parse_good("");
	char *dump;

	(void)state;
	assert_non_null(conf);
	dump = conf_dump(conf, fake_provider);
	check_text("empty",
		   "include = [ ];\nresolvers = [ ];\nparallel = 4;\n"
		   "notify = {\n\tlife_left = \"1/4\";\n\tremind = \"1d\";\n};\n"
		   "user = \"dns01\";\nrequests_max = 10000;\n\n"
		   "accounts = ();\n\nproviders = ();\n\nzones = ();\n\n"
		   "certificates = ();\n\nbrokers = ();\n\nlisteners = ();\n\nclients = ();\n",
		   dump);
	check_fixed_point(conf);
	free(dump);
	conf_free(conf);
	no_misses();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_configuration_is_a_fixed_point),
		cmocka_unit_test(shows_defaults_and_no_secrets),
		cmocka_unit_test(an_empty_configuration_has_a_dump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
