/* An order in progress: key and URL come back together or not at all. */
#include "store/lineage_bed.h"

#define PENDING "certs/example.com/pending"

static struct pending_order order_of(struct key *key, const char *url)
{
	static char directory[] = "https://ca.example/directory";
	static char account[] = "https://ca.example/account/1";
	struct pending_order pending = {
		.directory = directory,
		.account_url = account,
		.order_url = xstrdup(url),
		.key = key,
	};

	strlist_add(&pending.names, "*.example.com");
	strlist_add(&pending.names, "example.com");
	return pending;
}

static void order_drop(struct pending_order *pending)
{
	free(pending->order_url);
	free(pending->profile);
	strlist_clear(&pending->names);
	key_free(pending->key);
}

static void save(struct lineage *lineage, const struct pending_order *pending)
{
	assert_int_equal(lineage_save_pending(lineage, pending, NULL), ERR_NONE);
}

static void is_there(struct lineage *lineage, const struct pending_order *expected)
{
	struct pending_order *pending = NULL;
	char *names;

	assert_int_equal(lineage_load_pending(lineage, &pending, NULL), ERR_NONE);
	assert_string_equal(pending->directory, expected->directory);
	assert_string_equal(pending->account_url, expected->account_url);
	assert_string_equal(pending->order_url, expected->order_url);
	names = strlist_join(&pending->names, " ");
	assert_string_equal(names, "*.example.com example.com");
	assert_true(key_equal(pending->key, expected->key));
	if (expected->profile) {
		assert_string_equal(pending->profile, expected->profile);
	} else {
		assert_null(pending->profile);
	}
	free(names);
	pending_order_free(pending);
}

static void an_order_comes_back(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage = lineage_of(bed);
	struct pending_order pending = order_of(new_key(), "https://ca.example/order/1");
	struct pending_order *none = NULL;

	assert_int_equal(lineage_load_pending(lineage, &none, NULL), ERR_NOT_FOUND);
	save(lineage, &pending);
	is_there(lineage, &pending);
	pending.profile = xstrdup("tlsserver");
	save(lineage, &pending);
	is_there(lineage, &pending);
	assert_int_equal(bed_mode(bed, PENDING), 0700);
	assert_int_equal(bed_mode(bed, PENDING "/privkey.pem"), 0600);
	assert_int_equal(bed_mode(bed, PENDING "/order.json"), 0600);
	order_drop(&pending);
	pending_order_free(NULL);
	lineage_free(lineage);
}

static void a_second_order_replaces_it_whole(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage = lineage_of(bed);
	struct pending_order first = order_of(new_key(), "https://ca.example/order/1");
	struct pending_order second = order_of(new_key(), "https://ca.example/order/2");

	save(lineage, &first);
	save(lineage, &second);
	is_there(lineage, &second);
	assert_false(bed_has(bed, "certs/example.com/.new-pending"));
	order_drop(&first);
	order_drop(&second);
	lineage_free(lineage);
}

/* A finalized order's key must not be in danger because it is saved once more. */
static void the_same_order_is_not_written_again(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage = lineage_of(bed);
	struct pending_order pending = order_of(new_key(), "https://ca.example/order/1");
	char *path = bed_path(bed, PENDING);
	struct stat before, after;

	save(lineage, &pending);
	assert_int_equal(stat(path, &before), 0);
	save(lineage, &pending);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	order_drop(&pending);
	lineage_free(lineage);
	free(path);
}

static void half_an_order_is_none(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage = lineage_of(bed);
	struct pending_order pending = order_of(new_key(), "https://ca.example/order/1");
	char *half = bed_path(bed, "certs/example.com/.new-pending");
	char *whole = bed_path(bed, PENDING);
	struct pending_order *none = NULL;

	save(lineage, &pending);
	assert_int_equal(rename(whole, half), 0);
	assert_int_equal(lineage_load_pending(lineage, &none, NULL), ERR_NOT_FOUND);
	save(lineage, &pending);
	is_there(lineage, &pending);
	assert_false(bed_has(bed, "certs/example.com/.new-pending"));
	order_drop(&pending);
	lineage_free(lineage);
	free(half);
	free(whole);
}

/* Dropped by hand or by a store, with what a crash left: no key stays behind. */
static void a_store_drops_it(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage = lineage_of(bed);
	struct pending_order pending = order_of(new_key(), "https://ca.example/order/1");
	char *half = bed_path(bed, "certs/example.com/.new-pending");

	save(lineage, &pending);
	assert_int_equal(mkdir(half, 0700), 0);
	assert_int_equal(store(lineage, pending.key, "", NULL), ERR_NONE);
	assert_false(bed_has(bed, PENDING));
	assert_false(bed_has(bed, "certs/example.com/.new-pending"));
	assert_int_equal(lineage_drop_pending(lineage, NULL), ERR_NONE);
	order_drop(&pending);
	lineage_free(lineage);
	free(half);
}

static void damage_is_said(void **state)
{
	static const char *const bad[] = {
		"{",
		"[]",
		"{\"directory\":\"d\",\"account\":\"a\",\"order\":\"o\",\"names\":[]}",
		"{\"directory\":\"d\",\"account\":\"a\",\"order\":\"o\",\"names\":[1]}",
		"{\"directory\":\"d\",\"account\":\"a\",\"names\":[\"example.com\"]}",
	};
	struct bed *bed = *state;
	struct lineage *lineage = lineage_of(bed);
	struct pending_order pending = order_of(new_key(), "https://ca.example/order/1");
	struct pending_order *none = NULL;
	char *path = bed_path(bed, PENDING "/order.json");

	save(lineage, &pending);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = { 0 };

		assert_int_equal(file_write_durable(path, bad[i], strlen(bad[i]), 0600, NULL),
				 ERR_NONE);
		assert_int_equal(lineage_load_pending(lineage, &none, &err), ERR_IO);
		assert_non_null(strstr(err.text, "damaged"));
	}
	order_drop(&pending);
	lineage_free(lineage);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_order_comes_back),
		TEST(a_second_order_replaces_it_whole),
		TEST(the_same_order_is_not_written_again),
		TEST(half_an_order_is_none),
		TEST(a_store_drops_it),
		TEST(damage_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
