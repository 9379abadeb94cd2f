/* The last failure of a lineage comes back tomorrow, and goes with the next success. */
#include "store/lineage_bed.h"

static void it_comes_back_whole(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage = lineage_of(bed);
	struct err failure;
	struct err loaded;
	int64_t at_s = 0;

	err_set(&failure, ERR_ACME, "www.example.com", "No TXT record found");
	snprintf(failure.problem, sizeof(failure.problem), "dns");
	failure.retry_after_s = 90;
	assert_int_equal(lineage_save_failure(lineage, &failure, 1795000000, NULL), ERR_NONE);
	lineage_free(lineage);
	lineage = lineage_of(bed);
	assert_true(lineage_load_failure(lineage, &loaded, &at_s));
	assert_int_equal(loaded.code, ERR_ACME);
	assert_string_equal(loaded.subject, "www.example.com");
	assert_string_equal(loaded.text, "No TXT record found");
	assert_string_equal(loaded.problem, "dns");
	assert_int_equal(loaded.retry_after_s, 90);
	assert_int_equal(at_s, 1795000000);
	lineage_free(lineage);
	/* without opening it */
	at_s = 0;
	loaded.text[0] = '\0';
	assert_true(lineage_read_failure(bed->state, "example.com", &loaded, &at_s));
	assert_string_equal(loaded.text, "No TXT record found");
	assert_int_equal(at_s, 1795000000);
	assert_false(lineage_read_failure(bed->state, "absent", &loaded, &at_s));
	assert_false(bed_has(bed, "certs/absent"));
}

static void none_is_none(void **state)
{
	struct lineage *lineage = lineage_of(*state);
	struct err failure = { 0 };
	int64_t at_s = 0;

	assert_false(lineage_load_failure(lineage, &failure, &at_s));
	err_set(&failure, ERR_DNS, "", "lame");
	assert_int_equal(lineage_save_failure(lineage, &failure, 1, NULL), ERR_NONE);
	lineage_drop_failure(lineage);
	assert_false(lineage_load_failure(lineage, &failure, &at_s));
	lineage_free(lineage);
}

static void damage_is_none(void **state)
{
	struct bed *bed = *state;
	struct lineage *lineage = lineage_of(bed);
	char *path = bed_path(bed, "certs/example.com/failure.json");
	struct err failure;
	int64_t at_s;

	assert_int_equal(file_write_durable(path, "{", 1, 0600, NULL), ERR_NONE);
	assert_false(lineage_load_failure(lineage, &failure, &at_s));
	free(path);
	lineage_free(lineage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_comes_back_whole),
		TEST(none_is_none),
		TEST(damage_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
