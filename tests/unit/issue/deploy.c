/* What is due, in which order, how often, and what a failure or a crash leaves. */
#include "deploy_bed.h"

#define RELOAD "/bin/reload"

static void does_each_thing_once_for_each_certificate(void **state)
{
	struct house *house = *state;
	struct conf_certificate *edge = add_certificate(house, "edge");

	add_command(edge, RELOAD, "one");
	add_export(house, edge, "haproxy", "edge.pem");
	add_command(edge, RELOAD, "two");
	issue(house, "edge", "0A");
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
	assert_true(bed_has(&house->bed, "edge.pem"));
	assert_int_equal(strncmp(buf_str(&house->events), "export haproxy /", 16), 0);
	runs_are(house, RELOAD " one; " RELOAD " two");
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
	assert_int_equal(run_all(house, DEPLOY_NOW), ERR_NONE);
	assert_string_equal(buf_str(&house->events), "");
	runs_are(house, "");
	issue(house, "edge", "0B");
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
	runs_are(house, RELOAD " one; " RELOAD " two");
	assert_int_equal(run_all(house, DEPLOY_AGAIN), ERR_NONE);
	runs_are(house, RELOAD " one; " RELOAD " two");
}

static void a_lineage_that_is_named_twice_is_one(void **state)
{
	struct house *house = *state;
	struct deploy *deploy = deploy_of(house, NULL);

	add_command(add_certificate(house, "edge"), RELOAD, NULL);
	issue(house, "edge", "0A");
	deploy_add_all(deploy, house, DEPLOY_AGAIN);
	deploy_add_all(deploy, house, DEPLOY_AGAIN);
	deploy_start(deploy, on_deployed, house);
	finish(house);
	deploy_free(deploy);
	has_env(&house->run[0], "DNS01_LINEAGES=edge");
	runs_are(house, RELOAD);
}

static void does_nothing_without_a_certificate(void **state)
{
	struct house *house = *state;
	struct conf_certificate *edge = add_certificate(house, "edge");

	add_command(edge, RELOAD, NULL);
	add_export(house, edge, "files", "edge");
	assert_int_equal(run_all(house, DEPLOY_AGAIN), ERR_NONE);
	runs_are(house, "");
	assert_false(bed_has(&house->bed, "edge"));
	assert_false(bed_has(&house->bed, "certs"));
}

static void runs_equal_commands_once_for_all(void **state)
{
	struct house *house = *state;
	static const char *const names[] = { "mail", "edge", "web" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct conf_certificate *certificate = add_certificate(house, names[i]);

		add_command(certificate, RELOAD, "all");
		add_command(certificate, RELOAD, "all"); /* twice in one list is once */
		add_command(certificate, RELOAD, "-n={lineage} {folder}");
		issue(house, names[i], "0A");
	}
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
	has_env(&house->run[0], "DNS01_LINEAGES=edge mail web");
	has_env(&house->run[0], "RENEWED_DOMAINS=edge.example mail.example web.example");
	has_env(&house->run[2], "DNS01_LINEAGES=mail");
	assert_non_null(strstr(house->run[1].argv, "/bin/reload -n=edge /tmp/"));
	assert_int_equal(house->runs, 4);
	forget_runs(house);
	/* one of them is new: it alone */
	issue(house, "mail", "0B");
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
	assert_int_equal(house->runs, 2);
	has_env(&house->run[0], "DNS01_LINEAGES=mail");
}

/* Many lineages with one long name each; the same certificate for all. */
static void issue_many(struct house *house, size_t count)
{
	char label[60], *name;
	struct pair pair;

	memset(label, 'x', sizeof(label) - 1);
	label[sizeof(label) - 1] = '\0';
	name = xasprintf("%s.%s.%s.%s", label, label, label, label);
	pair = pair_new("0A", name);
	for (size_t i = 0; i < count; i++) {
		struct lineage_set set = { .key = pair.key, .chain = pair.chain, .conf = "" };
		struct lineage *lineage = NULL;
		char *current = NULL, *own = xasprintf("%s-%03zu", label, i);

		add_command(add_certificate(house, own), RELOAD, NULL);
		add_command(&house->conf->certificate[i], "/bin/after", NULL);
		assert_int_equal(lineage_open(house->bed.state, own, &lineage, NULL), ERR_NONE);
		assert_int_equal(lineage_store(lineage, &set, &current, NULL), ERR_NONE);
		lineage_free(lineage);
		free(current);
		free(own);
	}
	pair_drop(&pair);
	free(name);
}

/* Linux takes 128 KiB a variable: what does not fit is another run of the same command, before
 * the next command. */
static void runs_a_command_again_for_what_its_environment_has_no_room_for(void **state)
{
	enum { MANY = 330 };
	struct house *house = *state;
	size_t lineages = 0;

	issue_many(house, MANY);
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
	for (size_t i = 0; i < house->runs; i++) {
		const char *list = strstr(house->run[i].env, "DNS01_LINEAGES=");

		assert_string_equal(house->run[i].argv, i < 2 ? RELOAD : "/bin/after");
		for (; list && *list != '\n' && i < 2; list += strcspn(list + 1, " \n") + 1) {
			lineages++;
		}
	}
	assert_int_equal(lineages, MANY);
	assert_int_equal(house->runs, 4);
	forget_runs(house);
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
	assert_int_equal(house->runs, 0);
}

static void gives_hooks_what_certbot_gives(void **state)
{
	struct house *house = *state;
	struct conf_certificate *edge = add_certificate(house, "edge"), *mail;
	static const char *const files[] = { "privkey.pem", "cert.pem", "chain.pem",
					     "fullchain.pem" };
	char *line, *root = bed_path(&house->bed, "le");

	add_command(edge, RELOAD, NULL);
	mail = add_certificate(house, "mail");
	add_command(mail, "/bin/mail", NULL);
	assert_int_equal(mkdir(root, 0755), 0);
	free(root);
	add_export(house, mail, "certbot", "le/live/mail.example");
	issue(house, "edge", "0A");
	issue(house, "mail", "0A");
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
	assert_int_equal(house->runs, 2);
	line = xasprintf("RENEWED_LINEAGE=%s/certs/edge", house->bed.state);
	has_env(&house->run[0], line);
	free(line);
	has_env(&house->run[0], "RENEWED_DOMAINS=edge.example");
	has_env(&house->run[0], "FAILED_DOMAINS=");
	line = xasprintf("RENEWED_LINEAGE=%s/le/live/mail.example", house->bed.state);
	has_env(&house->run[1], line);
	free(line);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char *path = xasprintf("%s/certs/edge/%s", house->bed.state, files[i]);

		assert_int_equal(access(path, R_OK), 0);
		free(path);
	}
}

/* ---- failures --------------------------------------------------------------------------- */

static void tries_again_until_it_succeeds(void **state)
{
	static const int64_t waits_s[] = { 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600 };
	struct house *house = *state;
	struct conf_certificate *edge = add_certificate(house, "edge");

	add_command(edge, RELOAD, NULL);
	add_command(edge, "/bin/after", NULL);
	issue(house, "edge", "0A");
	house->broken = RELOAD;
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_DEPLOY);
	assert_string_equal(house->err.text, "ended with exit status 3");
	assert_string_equal(house->err.subject, RELOAD);
	runs_are(house, RELOAD "; /bin/after");
	for (size_t i = 0; i < ARRAY_LEN(waits_s); i++) {
		pass(house, waits_s[i] - 2);
		assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
		runs_are(house, "");
		pass(house, 2);
		assert_int_equal(run_all(house, DEPLOY_DUE), ERR_DEPLOY);
		runs_are(house, RELOAD);
	}
	house->broken = NULL;
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
	runs_are(house, "");
	/* a person asks: now */
	assert_int_equal(run_all(house, DEPLOY_NOW), ERR_NONE);
	runs_are(house, RELOAD);
	assert_int_equal(run_all(house, DEPLOY_NOW), ERR_NONE);
	runs_are(house, "");
}

static void waits_no_longer_for_a_clock_that_went_back(void **state)
{
	struct house *house = *state;

	add_command(add_certificate(house, "edge"), RELOAD, NULL);
	issue(house, "edge", "0A");
	house->broken = RELOAD;
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_DEPLOY);
	house->broken = NULL;
	house->bed.wall_us -= INT64_C(86400) * 1000000;
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
	runs_are(house, RELOAD "; " RELOAD);
}

static void holds_commands_back_until_exports_are_done(void **state)
{
	struct house *house = *state;
	struct conf_certificate *edge = add_certificate(house, "edge"), *web;
	char *folder = bed_path(&house->bed, "absent");

	add_export(house, edge, "files", "edge");
	add_export(house, edge, "haproxy", "absent/edge.pem");
	add_command(edge, RELOAD, NULL);
	web = add_certificate(house, "web");
	add_command(web, RELOAD, NULL);
	issue(house, "edge", "0A");
	issue(house, "web", "0A");
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_DEPLOY);
	assert_non_null(strstr(house->err.text, "its folder cannot be opened"));
	assert_true(bed_has(&house->bed, "edge/privkey.pem"));
	/* for web alone */
	has_env(&house->run[0], "DNS01_LINEAGES=web");
	runs_are(house, RELOAD);
	assert_int_equal(mkdir(folder, 0755), 0);
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
	runs_are(house, "");
	pass(house, 60);
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
	has_env(&house->run[0], "DNS01_LINEAGES=edge");
	runs_are(house, RELOAD);
	free(folder);
}

static void tells_programs_of_a_copy_that_is_new_to_the_configuration(void **state)
{
	struct house *house = *state;

	add_command(add_certificate(house, "edge"), RELOAD, NULL);
	issue(house, "edge", "0A");
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
	runs_are(house, RELOAD);
	add_export(house, &house->conf->certificate[0], "files", "edge");
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
	runs_are(house, RELOAD);
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
	runs_are(house, "");
}

static void one_lineage_that_cannot_be_read_is_its_own_failure(void **state)
{
	struct house *house = *state;
	char *path = bed_path(&house->bed, "certs/edge/v0001/fullchain.pem");

	add_command(add_certificate(house, "edge"), RELOAD, "edge");
	add_command(add_certificate(house, "web"), RELOAD, "web");
	issue(house, "edge", "0A");
	issue(house, "web", "0A");
	assert_int_equal(truncate(path, 10), 0);
	assert_true(run_all(house, DEPLOY_DUE) != ERR_NONE);
	assert_non_null(strstr(house->err.subject, "certs/edge/"));
	runs_are(house, RELOAD " web");
	free(path);
}

/* ---- crashes, other processes ------------------------------------------------------------- */

/* Killed after every event that a run has: what was done is done, the rest comes later, nothing
 * twice but what the crash hit. */
static void a_crash_leaves_the_rest_due(void **state)
{
	struct house *house = *state;
	struct conf_certificate *edge = add_certificate(house, "edge");

	add_export(house, edge, "files", "edge");
	add_command(edge, RELOAD, "one");
	add_command(edge, RELOAD, "two");
	for (unsigned turns = 1; turns < 12; turns++) {
		char serial[8];
		struct deploy *deploy;
		size_t before;

		snprintf(serial, sizeof(serial), "%02X", turns + 16);
		issue(house, "edge", serial);
		deploy = deploy_of(house, NULL);
		deploy_add_all(deploy, house, DEPLOY_DUE);
		deploy_start(deploy, on_deployed, house);
		for (unsigned i = 0; i < turns && !house->done; i++) {
			assert_true(bed_turn(&house->bed));
		}
		deploy_free(deploy);
		before = house->runs;
		assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
		assert_true(house->runs == 2 || (house->runs == 3 && before > 0));
		assert_string_equal(house->run[house->runs - 1].argv, RELOAD " two");
		forget_runs(house);
		assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
		runs_are(house, "");
	}
}

static void does_not_repeat_what_another_process_does(void **state)
{
	struct house *house = *state;
	struct deploy *first = deploy_of(house, NULL), *second = deploy_of(house, NULL);
	struct house other = { 0 };

	add_command(add_certificate(house, "edge"), RELOAD, NULL);
	issue(house, "edge", "0A");
	deploy_add_all(first, house, DEPLOY_NOW);
	deploy_add_all(second, house, DEPLOY_NOW);
	deploy_start(first, on_deployed, house);
	deploy_start(second, on_deployed, &other);
	while (!house->done || !other.done) {
		assert_true(bed_turn(&house->bed));
	}
	assert_int_equal(house->err.code, ERR_NONE);
	assert_int_equal(other.err.code, ERR_NONE);
	runs_are(house, RELOAD);
	deploy_free(first);
	deploy_free(second);
}

static void gives_up_on_a_process_that_does_not_end(void **state)
{
	struct house *house = *state;
	char *path = bed_path(&house->bed, "deploy.lock");
	struct lock *lock = NULL;

	add_command(add_certificate(house, "edge"), RELOAD, NULL);
	issue(house, "edge", "0A");
	assert_int_equal(lock_try_file(path, &lock, NULL), ERR_NONE);
	assert_int_equal(run_all(house, DEPLOY_NOW), ERR_BUSY);
	runs_are(house, "");
	lock_release(lock);
	assert_int_equal(run_all(house, DEPLOY_NOW), ERR_NONE);
	runs_are(house, RELOAD);
	free(path);
}

static void stays_due_when_the_operator_stops_it(void **state)
{
	struct house *house = *state;
	struct deploy *deploy = deploy_of(house, NULL);

	add_command(add_certificate(house, "edge"), RELOAD, NULL);
	issue(house, "edge", "0A");
	house->hangs = true;
	deploy_add_all(deploy, house, DEPLOY_NOW);
	deploy_start(deploy, on_deployed, house);
	while (!house->child) {
		assert_true(bed_turn(&house->bed));
	}
	deploy_stop(deploy);
	finish(house);
	assert_int_equal(house->err.code, ERR_CANCELED);
	assert_null(house->child);
	deploy_free(deploy);
	house->hangs = false;
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE); /* and no back-off */
	runs_are(house, RELOAD "; " RELOAD);
}

/* ---- what is remembered --------------------------------------------------------------------- */

static void count_row(void *arg, const struct deployment *row)
{
	size_t *count = arg;

	(void)row;
	++*count;
}

static void forgets_what_the_configuration_has_no_more(void **state)
{
	struct house *house = *state;
	struct conf_certificate *edge = add_certificate(house, "edge");
	size_t count = 0;

	add_command(edge, RELOAD, "one");
	add_command(edge, RELOAD, "two");
	issue(house, "edge", "0A");
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
	strlist_clear(&edge->deploy.item[--edge->deploy.count].argv);
	assert_int_equal(run_all(house, DEPLOY_DUE), ERR_NONE);
	assert_int_equal(deployments_list(house->renewals, NULL, count_row, &count, NULL),
			 ERR_NONE);
	assert_int_equal(count, 1);
	runs_are(house, RELOAD " one; " RELOAD " two");
}

/* What is known of the certificates is enough to see that nothing is due: no file is read. */
static void many_lineages_are_looked_at_in_one_go(void **state)
{
	enum { MANY = 20000 };
	struct house *house = *state;
	struct deploy *deploy = deploy_of(house, NULL);
	struct timespec start, end;

	add_command(add_certificate(house, "edge"), RELOAD, NULL);
	assert_int_equal(renewals_begin(house->renewals, NULL), ERR_NONE);
	for (unsigned i = 0; i < MANY; i++) {
		char *name = xasprintf("l%05u", i), what[] = "[\"/bin/reload\"]", serial[] = "0A";
		struct deployment row = { .lineage = name, .what = what, .serial = serial };

		assert_int_equal(deployments_put(house->renewals, &row, NULL), ERR_NONE);
		deploy_add(deploy, &(struct deploy_lineage){
					   .name = name,
					   .certificate = &house->conf->certificate[0],
					   .serial = serial,
				   });
		free(name);
	}
	assert_int_equal(renewals_end(house->renewals, ERR_NONE, NULL), ERR_NONE);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	deploy_start(deploy, on_deployed, house);
	finish(house);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	assert_int_equal(house->err.code, ERR_NONE);
	runs_are(house, "");
	assert_true(end.tv_sec - start.tv_sec < 5);
	deploy_free(deploy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOUSE(does_each_thing_once_for_each_certificate),
		HOUSE(a_lineage_that_is_named_twice_is_one),
		HOUSE(does_nothing_without_a_certificate),
		HOUSE(runs_equal_commands_once_for_all),
		HOUSE(runs_a_command_again_for_what_its_environment_has_no_room_for),
		HOUSE(gives_hooks_what_certbot_gives),
		HOUSE(tries_again_until_it_succeeds),
		HOUSE(waits_no_longer_for_a_clock_that_went_back),
		HOUSE(holds_commands_back_until_exports_are_done),
		HOUSE(tells_programs_of_a_copy_that_is_new_to_the_configuration),
		HOUSE(one_lineage_that_cannot_be_read_is_its_own_failure),
		HOUSE(a_crash_leaves_the_rest_due),
		HOUSE(does_not_repeat_what_another_process_does),
		HOUSE(gives_up_on_a_process_that_does_not_end),
		HOUSE(stays_due_when_the_operator_stops_it),
		HOUSE(forgets_what_the_configuration_has_no_more),
		HOUSE(many_lineages_are_looked_at_in_one_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
