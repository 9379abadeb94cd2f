/* Every configured lineage with its row and its plan, from a state folder. */
#include "store/lineage_bed.h"

#include "dns01/issue.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#define NOW ((int64_t)1795485600)
#define DAY ((int64_t)86400)

struct made {
	struct conf *conf;
	struct renewals *renewals;
	struct roster *roster;
};

static struct made make(struct bed *bed)
{
	struct made made = { .conf = conf_new() };
	struct conf_account *account;
	struct err err;

	bed->wall_us = NOW * 1000000;
	made.conf->state = xstrdup(bed->state);
	account = conf_add_account(made.conf, "le");
	free(account->directory);
	account->directory = xstrdup("https://ca.example/dir");
	assert_int_equal(renewals_open(bed->state, &made.renewals, &err), ERR_NONE);
	return made;
}

static struct conf_certificate *add(struct made *made, const char *name, const char *dns)
{
	struct conf_certificate *certificate = conf_add_certificate(made->conf, name);

	strlist_add(&certificate->names, dns);
	return certificate;
}

static enum err_code open_roster_of(struct bed *bed, struct made *made, const struct strlist *only,
				    bool repair, struct err *err)
{
	roster_free(made->roster);
	made->roster = NULL;
	return roster_new(&(struct roster_args){ .world = &bed->world,
						 .conf = made->conf,
						 .renewals = made->renewals,
						 .only = only,
						 .repair = repair },
			  &made->roster, err);
}

static enum err_code open_roster(struct bed *bed, struct made *made, const struct strlist *only,
				 struct err *err)
{
	return open_roster_of(bed, made, only, true, err);
}

static void reopen(struct bed *bed, struct made *made)
{
	struct err err;

	assert_int_equal(open_roster(bed, made, NULL, &err), ERR_NONE);
}

static void end(struct made *made)
{
	roster_free(made->roster);
	renewals_close(made->renewals);
	conf_free(made->conf);
}

static void assert_item(const struct made *made, size_t index, const char *lineage,
			const char *text)
{
	struct roster_item *item = roster_at(made->roster, index);
	char *found = roster_text(made->roster, item);

	assert_string_equal(item->lineage, lineage);
	assert_string_equal(found, text);
	free(found);
}

static void put_row(struct made *made, const char *lineage, const char *names)
{
	struct renewal row = {
		.lineage = (char *)(uintptr_t)lineage,
		.serial = (char *)(uintptr_t) "01",
		.names = (char *)(uintptr_t)names,
		.not_before = NOW,
		.not_after = NOW + 90 * DAY,
	};
	struct err err;

	assert_int_equal(renewals_put(made->renewals, &row, &err), ERR_NONE);
}

static void each_key_type_has_a_lineage_sorted_by_name(void **state)
{
	struct made made = make(*state);
	struct conf_certificate *edge = add(&made, "edge", "example.com");
	struct strlist only = { 0 };
	struct err err;

	strlist_clear(&edge->keys);
	strlist_add(&edge->keys, "p384");
	strlist_add(&edge->keys, "rsa2048");
	add(&made, "app", "app.example.com");
	reopen(*state, &made);
	assert_int_equal(roster_count(made.roster), 3);
	assert_item(&made, 0, "app", "there is no certificate yet");
	assert_item(&made, 1, "edge", "there is no certificate yet");
	assert_item(&made, 2, "edge-rsa2048", "there is no certificate yet");
	strlist_add(&only, "edge-rsa2048");
	assert_int_equal(open_roster(*state, &made, &only, &err), ERR_NONE);
	assert_int_equal(roster_count(made.roster), 1);
	strlist_add(&only, "other");
	assert_int_equal(open_roster(*state, &made, &only, &err), ERR_USAGE);
	assert_string_equal(err.subject, "other");
	strlist_clear(&only);
	end(&made);
}

static void what_is_wrong_with_one_stops_no_other(void **state)
{
	struct made made = make(*state);

	strlist_add(&add(&made, "b", "b.example.com")->keys, "rsa2048");
	add(&made, "a", "*.example.com");
	add(&made, "b-rsa2048", "other.example.com");
	add(&made, "c", "not a name");
	reopen(*state, &made);
	assert_int_equal(roster_count(made.roster), 5);
	assert_null(roster_at(made.roster, 0)->trouble);
	assert_null(roster_at(made.roster, 1)->trouble);
	assert_null(roster_at(made.roster, 2)->trouble);
	assert_item(&made, 3, "b-rsa2048",
		    "b-rsa2048: two certificates of the configuration make a lineage of this "
		    "name: a certificate's second key type has it too");
	assert_non_null(roster_at(made.roster, 4)->trouble);
	end(&made);
}

/* What is on disk counts: for a row that is missing, and for one that is of something else. */
static void rows_follow_what_is_on_disk(void **state)
{
	struct bed *bed = *state;
	struct made made = make(bed);
	struct lineage *lineage = lineage_of(bed);
	struct key *key = new_key();
	struct conf_certificate *certificate = add(&made, "example.com", "*.example.com");
	struct renewal *row = NULL;
	struct err err;

	strlist_add(&certificate->names, "Example.COM");
	assert_int_equal(store(lineage, key, "", NULL), ERR_NONE);
	reopen(bed, &made);
	assert_int_equal(roster_at(made.roster, 0)->plan.state, PLAN_WAITS);
	assert_int_equal(renewals_get(made.renewals, "example.com", &row, &err), ERR_NONE);
	assert_string_equal(row->names, "*.example.com example.com");
	assert_string_equal(row->key_type, "p256");
	assert_null(row->account);
	assert_non_null(row->cert_id);
	assert_in_range(row->jitter_ppm, 0, 49999);

	/* a row of another certificate than the one there */
	free(row->serial);
	row->serial = xstrdup("99");
	row->stamp[0] = 'w';
	assert_int_equal(renewals_put(made.renewals, row, &err), ERR_NONE);
	renewal_free(row);
	reopen(bed, &made);
	assert_string_not_equal(roster_at(made.roster, 0)->row->serial, "99");

	/* ... and of one that is gone */
	put_row(&made, "gone", "gone.example.com");
	add(&made, "gone", "gone.example.com");
	assert_int_equal(renewals_get(made.renewals, "gone", &row, &err), ERR_NONE);
	free(row->stamp);
	row->stamp = xstrdup("v0001 1");
	assert_int_equal(renewals_put(made.renewals, row, &err), ERR_NONE);
	renewal_free(row);
	reopen(bed, &made);
	assert_item(&made, 1, "gone", "there is no certificate yet");
	key_free(key);
	lineage_free(lineage);
	end(&made);
}

/* A wildcard beside its name fails twice each time; what another account did is not counted. */
static void names_that_failed_too_often_wait(void **state)
{
	struct made made = make(*state);
	struct conf_certificate *both = add(&made, "both", "example.com");
	struct failed_validations failed = { .account = "le", .at_s = NOW - 600 };
	struct strlist names = { 0 };
	struct err err;

	strlist_add(&both->names, "*.example.com");
	add(&made, "one", "*.example.com");
	add(&made, "other", "other.example");
	for (size_t i = 0; i < 4; i++) {
		strlist_add(&names, "example.com");
	}
	failed.names = &names;
	assert_int_equal(renewals_note_failed(made.renewals, &failed, &err), ERR_NONE);
	reopen(*state, &made);
	assert_item(
		&made, 0, "both",
		"there is no certificate yet; a CA allows 5 failed validations of example.com in "
		"an hour, so it is tried again at 2026-11-24T02:51:00Z");
	assert_int_equal(roster_at(made.roster, 0)->plan.at_s, NOW + 3060);
	assert_int_equal(roster_at(made.roster, 1)->plan.state, PLAN_DUE);
	assert_int_equal(roster_at(made.roster, 2)->plan.state, PLAN_DUE);
	failed.account = "zs";
	assert_int_equal(renewals_note_failed(made.renewals, &failed, &err), ERR_NONE);
	roster_plan(made.roster, roster_at(made.roster, 1));
	assert_int_equal(roster_at(made.roster, 1)->plan.state, PLAN_DUE);
	failed.account = "le";
	assert_int_equal(renewals_note_failed(made.renewals, &failed, &err), ERR_NONE);
	roster_plan(made.roster, roster_at(made.roster, 1));
	assert_int_equal(roster_at(made.roster, 1)->plan.state, PLAN_BACKS_OFF);
	((struct bed *)*state)->wall_us += (int64_t)3060 * 1000000;
	roster_plan(made.roster, roster_at(made.roster, 0));
	assert_int_equal(roster_at(made.roster, 0)->plan.state, PLAN_DUE);
	strlist_clear(&names);
	end(&made);
}

/* What `reopen` makes of the first of two lineages after text was written to this file of it. */
static void assert_damaged(struct bed *bed, const char *file, const char *text, mode_t mode)
{
	/* clocks of files may stand for some milliseconds */
	const struct timespec later[] = { { .tv_sec = time(NULL) + 60 },
					  { .tv_sec = time(NULL) + 60 } };
	struct made made = make(bed);
	struct lineage *lineage = lineage_of(bed);
	char *path = xasprintf("%s/certs/example.com/current/%s", bed->state, file);
	struct key *key = new_key();
	struct conf_certificate *certificate = add(&made, "example.com", "example.com");

	strlist_add(&certificate->names, "*.example.com");
	assert_int_equal(store(lineage, key, "", NULL), ERR_NONE);
	reopen(bed, &made);
	assert_int_equal(roster_at(made.roster, 0)->plan.state, PLAN_WAITS);
	if (text) {
		assert_int_equal(file_write_durable(path, text, strlen(text), mode, NULL),
				 ERR_NONE);
		assert_int_equal(utimensat(AT_FDCWD, path, later, 0), 0);
	} else {
		assert_int_equal(unlink(path), 0);
	}
	reopen(bed, &made);
	assert_null(roster_at(made.roster, 0)->trouble);
	assert_int_equal(roster_at(made.roster, 0)->plan.state, PLAN_DUE);
	assert_item(&made, 0, "example.com", "its files are damaged");
	free(path);
	key_free(key);
	lineage_free(lineage);
	end(&made);
}

static void a_damaged_certificate_is_due(void **state)
{
	assert_damaged(*state, "fullchain.pem", "x", 0644);
	assert_damaged(*state, "fullchain.pem", NULL, 0);
	assert_damaged(*state, "privkey.pem", "-----BEGIN PRIVATE KEY-----\nMIGH", 0600);
	assert_damaged(*state, "privkey.pem", "", 0600);
}

/* A disk that fails for a moment must not make a whole store be ordered anew. */
static void what_cannot_be_read_is_not_taken_for_damaged(void **state)
{
	struct bed *bed = *state;
	struct made made = make(bed);
	struct lineage *lineage = lineage_of(bed);
	char *path = bed_path(bed, "certs/example.com/current/fullchain.pem");
	struct key *key = new_key();

	strlist_add(&add(&made, "example.com", "*.example.com")->names, "example.com");
	assert_int_equal(store(lineage, key, "", NULL), ERR_NONE);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0); /* opens, and cannot be read */
	reopen(bed, &made);
	assert_non_null(roster_at(made.roster, 0)->trouble);
	assert_non_null(strstr(roster_at(made.roster, 0)->trouble->text, "cannot read"));
	free(path);
	key_free(key);
	lineage_free(lineage);
	end(&made);
}

/* ---- who only looks ---------------------------------------------------------------------- */

/* A certificate on disk, and nothing remembered of it. */
static struct made unknown(struct bed *bed)
{
	struct made made = make(bed);
	struct lineage *lineage = lineage_of(bed);
	struct key *key = new_key();

	strlist_add(&add(&made, "example.com", "*.example.com")->names, "example.com");
	assert_int_equal(store(lineage, key, "", NULL), ERR_NONE);
	key_free(key);
	lineage_free(lineage);
	return made;
}

static bool is_known(struct made *made)
{
	struct renewal *row = NULL;
	struct err err;
	bool known = renewals_get(made->renewals, "example.com", &row, &err) == ERR_NONE;

	renewal_free(row);
	return known;
}

static char *look(struct bed *bed, struct made *made)
{
	struct err err;

	bed->seed = 1; /* the same jitter again */
	assert_int_equal(open_roster_of(bed, made, NULL, false, &err), ERR_NONE);
	return roster_text(made->roster, roster_at(made->roster, 0));
}

/* What it reads it leaves for the next look. */
static void a_look_without_rows_shows_the_same_and_writes_them(void **state)
{
	static const struct timespec long_ago[] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	struct bed *bed = *state;
	struct made made = unknown(bed);
	char *first = look(bed, &made), *second;
	char *path = bed_path(bed, "certs/example.com/current/fullchain.pem");
	struct err err;

	assert_true(is_known(&made));
	/* The second is made without another look at the file. */
	assert_int_equal(file_write_durable(path, "x", 1, 0644, NULL), ERR_NONE);
	assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
	second = look(bed, &made);
	assert_string_equal(first, second);
	assert_null(roster_at(made.roster, 0)->trouble);
	assert_int_equal(renewals_remove(made.renewals, "example.com", &err), ERR_NONE);
	free(second);
	second = look(bed, &made);
	assert_non_null(strstr(second, "its files are damaged"));
	assert_false(is_known(&made));
	free(first);
	free(second);
	free(path);
	end(&made);
}

/* The type of the key is told by the certificate. */
static void a_key_that_is_gone_is_no_trouble_of_a_look(void **state)
{
	struct bed *bed = *state;
	struct made made = unknown(bed);
	char *path = bed_path(bed, "certs/example.com/current/privkey.pem");

	assert_int_equal(unlink(path), 0);
	free(look(bed, &made));
	assert_int_equal(roster_at(made.roster, 0)->plan.state, PLAN_WAITS);
	assert_string_equal(roster_at(made.roster, 0)->row->key_type, "p256");
	free(path);
	end(&made);
}

static void a_look_makes_no_folder(void **state)
{
	struct bed *bed = *state;
	struct made made = make(bed);

	add(&made, "a", "a.example.com");
	free(look(bed, &made));
	assert_false(bed_has(bed, "certs"));
	end(&made);
}

static void a_look_beside_one_who_writes_shows_the_same(void **state)
{
	struct bed *bed = *state;
	struct made made = unknown(bed);
	struct renewals *other = NULL;
	struct err err;
	char *beside, *alone;

	assert_int_equal(renewals_open(bed->state, &other, &err), ERR_NONE);
	assert_int_equal(renewals_begin(other, &err), ERR_NONE);
	beside = look(bed, &made);
	assert_false(is_known(&made));
	assert_int_equal(renewals_end(other, ERR_NONE, &err), ERR_NONE);
	alone = look(bed, &made);
	assert_true(is_known(&made));
	assert_string_equal(beside, alone);
	renewals_close(other);
	free(beside);
	free(alone);
	end(&made);
}

static void look_on_a_full_disk(struct bed *bed)
{
	struct made made = unknown(bed);
	struct err err;
	char *text;

	assert_false(is_known(&made));
	bed_fill(bed);
	text = look(bed, &made);
	assert_int_equal(roster_at(made.roster, 0)->plan.state, PLAN_WAITS);
	assert_false(is_known(&made));
	assert_int_equal(open_roster(bed, &made, NULL, &err), ERR_IO);
	free(text);
	end(&made);
}

static void a_look_needs_no_room_on_disk(void **state)
{
	bed_on_small_disk(*state, look_on_a_full_disk);
}

/* ---- many ---------------------------------------------------------------------------------- */

static double seconds_since(const struct timespec *before)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - before->tv_sec) +
	       (double)(now.tv_nsec - before->tv_nsec) / 1e9;
}

/* No time is asserted: the figure is for people. (With 40,000 folders on disk it is the same, but
 * some file systems take minutes to make them.) */
static void forty_thousand_lineages_are_planned(void **state)
{
	struct bed *bed = *state;
	struct made made = make(bed);
	struct timespec before;
	struct err err;
	size_t waits = 0;

	assert_int_equal(renewals_begin(made.renewals, &err), ERR_NONE);
	for (size_t i = 0; i < 40000; i++) {
		char name[32], dns[64];
		struct renewal row = { .not_before = NOW, .not_after = NOW + 90 * DAY };

		snprintf(name, sizeof(name), "host-%zu", i);
		snprintf(dns, sizeof(dns), "host-%zu.example.com", i);
		add(&made, name, dns);
		row.lineage = name;
		row.serial = name;
		row.names = dns;
		row.key_type = (char *)(uintptr_t) "p256";
		assert_int_equal(renewals_put(made.renewals, &row, &err), ERR_NONE);
	}
	assert_int_equal(renewals_end(made.renewals, ERR_NONE, &err), ERR_NONE);
	clock_gettime(CLOCK_MONOTONIC, &before);
	reopen(bed, &made);
	print_message("# 40,000 lineages planned in %.2f s\n", seconds_since(&before));
	for (size_t i = 0; i < roster_count(made.roster); i++) {
		waits += roster_at(made.roster, i)->plan.state == PLAN_WAITS;
	}
	assert_int_equal(waits, 40000);
	end(&made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_key_type_has_a_lineage_sorted_by_name),
		TEST(what_is_wrong_with_one_stops_no_other),
		TEST(rows_follow_what_is_on_disk),
		TEST(names_that_failed_too_often_wait),
		TEST(a_damaged_certificate_is_due),
		TEST(what_cannot_be_read_is_not_taken_for_damaged),
		TEST(a_look_without_rows_shows_the_same_and_writes_them),
		TEST(a_key_that_is_gone_is_no_trouble_of_a_look),
		TEST(a_look_makes_no_folder),
		TEST(a_look_beside_one_who_writes_shows_the_same),
		TEST(a_look_needs_no_room_on_disk),
		TEST(forty_thousand_lineages_are_planned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
