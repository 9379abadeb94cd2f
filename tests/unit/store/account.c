/* Accounts on disk. */
#include "store/bed.h"

#define DIRECTORY "https://ca.example/directory"

static struct key *new_key(void)
{
	struct key *key = NULL;

	assert_int_equal(key_generate(KEY_P256, &key, NULL), ERR_NONE);
	return key;
}

static void save(struct bed *bed, const struct key *key, const char *url)
{
	char directory[] = DIRECTORY;
	char *text = xstrdup(url);
	struct key *copy = NULL;
	struct buf pem;
	struct account_record record = { .directory = directory, .url = text };

	key_format_pem(key, &pem);
	assert_int_equal(key_parse_pem(pem.data, pem.len, "test", &copy, NULL), ERR_NONE);
	buf_wipe(&pem);
	record.key = copy;
	assert_int_equal(account_save(bed->state, "ca", &record, NULL), ERR_NONE);
	key_free(copy);
	free(text);
}

static void an_account_comes_back(void **state)
{
	struct bed *bed = *state;
	struct account_record *record = NULL;
	struct key *key = new_key();

	assert_int_equal(account_load(bed->state, "ca", &record, NULL), ERR_NOT_FOUND);
	save(bed, key, NULL);
	assert_int_equal(account_load(bed->state, "ca", &record, NULL), ERR_NONE);
	assert_string_equal(record->directory, DIRECTORY);
	assert_null(record->url);
	assert_true(key_equal(record->key, key));
	account_record_free(record);

	save(bed, key, "https://ca.example/account/1");
	assert_int_equal(account_load(bed->state, "ca", &record, NULL), ERR_NONE);
	assert_string_equal(record->url, "https://ca.example/account/1");
	assert_true(key_equal(record->key, key));
	account_record_free(record);
	account_record_free(NULL);
	key_free(key);
}

static void its_files_are_private(void **state)
{
	struct bed *bed = *state;
	struct key *key = new_key();

	save(bed, key, NULL);
	assert_int_equal(bed_mode(bed, "accounts"), 0700);
	assert_int_equal(bed_mode(bed, "accounts/ca"), 0700);
	assert_int_equal(bed_mode(bed, "accounts/ca/account.key"), 0600);
	assert_int_equal(bed_mode(bed, "accounts/ca/account.json"), 0600);
	key_free(key);
}

/* The URL alone changed: the key's file is not touched, whatever happens meanwhile. */
static void the_key_is_written_once(void **state)
{
	struct bed *bed = *state;
	char *path = bed_path(bed, "accounts/ca/account.key");
	struct key *key = new_key();
	struct stat before, after;

	save(bed, key, NULL);
	assert_int_equal(stat(path, &before), 0);
	save(bed, key, "https://ca.example/account/1");
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	key_free(key);
	free(path);
}

/* Two processes make one account at once: the second one's key and URL are not taken. */
static void the_first_key_stays(void **state)
{
	struct bed *bed = *state;
	char directory[] = DIRECTORY, url[] = "https://ca.example/account/2";
	struct account_record late = { .directory = directory, .url = url, .key = new_key() };
	struct account_record *record = NULL;
	struct key *first = new_key();
	struct err err;

	save(bed, first, "https://ca.example/account/1");
	assert_int_equal(account_save(bed->state, "ca", &late, &err), ERR_EXISTS);
	assert_non_null(strstr(err.text, "another key"));
	assert_int_equal(account_load(bed->state, "ca", &record, NULL), ERR_NONE);
	assert_true(key_equal(record->key, first));
	assert_string_equal(record->url, "https://ca.example/account/1");
	account_record_free(record);
	key_free(late.key);
	key_free(first);
}

static void a_crash_before_the_key_is_no_account(void **state)
{
	struct bed *bed = *state;
	char *path = bed_path(bed, "accounts/ca/account.key");
	struct account_record *record = NULL;
	struct key *key = new_key();

	save(bed, key, NULL);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(account_load(bed->state, "ca", &record, NULL), ERR_NOT_FOUND);
	key_free(key);
	free(path);
}

static void damage_is_said(void **state)
{
	struct bed *bed = *state;
	char *path = bed_path(bed, "accounts/ca/account.json");
	struct account_record *record = NULL;
	struct key *key = new_key();
	struct err err = { 0 };

	save(bed, key, NULL);
	assert_int_equal(file_write_durable(path, "{", 1, 0600, NULL), ERR_NONE);
	assert_int_equal(account_load(bed->state, "ca", &record, &err), ERR_IO);
	assert_non_null(strstr(err.text, "damaged"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(account_load(bed->state, "ca", &record, &err), ERR_IO);
	assert_non_null(strstr(err.text, "missing"));
	assert_null(record);
	key_free(key);
	free(path);
}

static void names_stay_inside_the_folder(void **state)
{
	struct bed *bed = *state;
	struct account_record *record = NULL;

	assert_int_equal(account_load(bed->state, "../ca", &record, NULL), ERR_USAGE);
}

static void one_that_is_removed_is_forgotten(void **state)
{
	struct bed *bed = *state;
	struct account_record *record = NULL;
	struct key *key = new_key();

	assert_int_equal(account_remove(bed->state, "ca", NULL), ERR_NOT_FOUND);
	save(bed, key, "https://ca.example/account/1");
	assert_int_equal(account_remove(bed->state, "../accounts/ca", NULL), ERR_USAGE);
	assert_int_equal(account_remove(bed->state, "ca", NULL), ERR_NONE);
	assert_int_equal(account_load(bed->state, "ca", &record, NULL), ERR_NOT_FOUND);
	assert_false(bed_has(bed, "accounts/ca"));
	key_free(key);
}

static void a_directory_gives_a_name(void **state)
{
	char *letsencrypt = account_name_for("https://acme-v02.api.letsencrypt.org/directory");
	char *staging = account_name_for("https://acme-v02.api.letsencrypt.org/other");
	char *local = account_name_for("https://[::1]:14000/dir");
	char *odd = account_name_for("https://../..");

	(void)state;
	assert_int_equal(strncmp(letsencrypt, "acme-v02.api.letsencrypt.org-", 29), 0);
	assert_int_equal(strlen(letsencrypt), 29 + 8);
	assert_string_not_equal(letsencrypt, staging);
	assert_int_equal(strncmp(local, "---1--14000-", 12), 0);
	assert_null(strchr(odd, '/'));
	assert_int_not_equal(odd[0], '.');
	free(letsencrypt);
	free(staging);
	free(local);
	free(odd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_account_comes_back),
		TEST(its_files_are_private),
		TEST(the_key_is_written_once),
		TEST(the_first_key_stays),
		TEST(a_crash_before_the_key_is_no_account),
		TEST(damage_is_said),
		TEST(names_stay_inside_the_folder),
		TEST(one_that_is_removed_is_forgotten),
		TEST(a_directory_gives_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
