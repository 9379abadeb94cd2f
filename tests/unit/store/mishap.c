/* What failed lately comes back in order, and old ones make room for new ones. */
#include "store/bed.h"

struct told {
	size_t count;
	int64_t first_at, last_at;
	char who[64], text[256];
};

static void on_mishap(void *arg, const struct mishap *mishap)
{
	struct told *told = arg;

	if (told->count++ == 0) {
		told->first_at = mishap->at_s;
	}
	assert_true(mishap->at_s >= told->last_at);
	told->last_at = mishap->at_s;
	snprintf(told->who, sizeof(told->who), "%s", mishap->who);
	snprintf(told->text, sizeof(told->text), "%s", mishap->text);
	assert_string_equal(mishap->code, "dns");
}

static void note(struct bed *bed, int64_t at_s, const char *text)
{
	mishap_note(bed->state, &(struct mishap){ .at_s = at_s,
						  .who = "hook certbot",
						  .name = "www.example.com",
						  .code = "dns",
						  .text = text });
}

static void they_come_back(void **state)
{
	struct bed *bed = *state;
	struct told told = { 0 };

	mishap_list(bed->state, 10, on_mishap, &told);
	assert_int_equal(told.count, 0);
	note(bed, 1, "first");
	note(bed, 2, "a \"quoted\"\nline");
	mishap_list(bed->state, 10, on_mishap, &told);
	assert_int_equal(told.count, 2);
	assert_string_equal(told.who, "hook certbot");
	assert_string_equal(told.text, "a \"quoted\"\nline");
	told = (struct told){ 0 };
	mishap_list(bed->state, 1, on_mishap, &told);
	assert_int_equal(told.count, 1);
	assert_int_equal(told.first_at, 2);
}

static void old_ones_make_room(void **state)
{
	struct bed *bed = *state;
	struct told told = { 0 };
	struct stat st;
	char *path;

	for (int64_t i = 1; i <= 5000; i++) {
		note(bed, i, "not every server showed the records within 10 minutes");
	}
	mishap_list(bed->state, 5000, on_mishap, &told);
	assert_int_equal(told.last_at, 5000);
	assert_true(told.count > 300 && told.count < 4000);
	assert_int_equal(told.last_at - told.first_at + 1, told.count);
	path = path_join(bed->state, "mishaps.json");
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < 128 * 1024);
	free(path);
}

static void what_a_full_disk_cut_off_is_passed_over(void **state)
{
	struct bed *bed = *state;
	struct told told = { 0 };
	char *path = path_join(bed->state, "mishaps.json");
	FILE *file;

	note(bed, 1, "first");
	file = fopen(path, "a");
	assert_non_null(file);
	fputs("{\"at\":2,\"wh\n", file);
	fclose(file);
	note(bed, 3, "third");
	mishap_list(bed->state, 10, on_mishap, &told);
	assert_int_equal(told.count, 2);
	assert_int_equal(told.last_at, 3);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(they_come_back),
		TEST(old_ones_make_room),
		TEST(what_a_full_disk_cut_off_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
