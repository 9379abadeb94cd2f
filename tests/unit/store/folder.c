/* Folders that appear whole, and the names that they may have. */
#include "store/folder.h"

#include "store/bed.h"

static enum err_code write_pair(struct bed *bed, const char *first, const char *second)
{
	struct folder_file files[] = {
		{ "first", first, strlen(first), 0600 },
		{ "second", second, strlen(second), 0644 },
	};
	struct folder_spec spec = {
		.parent = bed->state,
		.name = "pair",
		.mode = 0755,
		.files = files,
		.count = ARRAY_LEN(files),
	};

	return folder_write(&spec, NULL);
}

static void text_is(struct bed *bed, const char *name, const char *expected)
{
	char *path = bed_path(bed, name);
	struct buf text = { 0 };

	assert_int_equal(file_read(path, 100, &text, NULL), ERR_NONE);
	assert_string_equal(buf_str(&text), expected);
	buf_clear(&text);
	free(path);
}

static void a_folder_is_written_and_replaced(void **state)
{
	struct bed *bed = *state;

	umask(077);
	assert_int_equal(write_pair(bed, "a", "b"), ERR_NONE);
	umask(022);
	text_is(bed, "pair/first", "a");
	text_is(bed, "pair/second", "b");
	assert_int_equal(bed_mode(bed, "pair"), 0755);
	assert_int_equal(bed_mode(bed, "pair/first"), 0600);
	assert_int_equal(bed_mode(bed, "pair/second"), 0644);
	assert_int_equal(write_pair(bed, "c", ""), ERR_NONE);
	text_is(bed, "pair/first", "c");
	text_is(bed, "pair/second", "");
	assert_false(bed_has(bed, ".new-pair"));
}

static void what_a_crash_left_is_no_hindrance(void **state)
{
	struct bed *bed = *state;
	char *left = bed_path(bed, ".new-pair");
	char *file = bed_path(bed, ".new-pair/first");

	assert_int_equal(mkdir(left, 0700), 0);
	assert_int_equal(file_write_durable(file, "half", 4, 0600, NULL), ERR_NONE);
	assert_int_equal(write_pair(bed, "a", "b"), ERR_NONE);
	text_is(bed, "pair/first", "a");
	assert_false(bed_has(bed, ".new-pair"));
	free(left);
	free(file);
}

static void a_link_is_made_and_replaced(void **state)
{
	struct bed *bed = *state;
	char *path = bed_path(bed, "link");
	char target[16] = "";

	assert_int_equal(folder_symlink("one", path, NULL), ERR_NONE);
	assert_int_equal(folder_symlink("two", path, NULL), ERR_NONE);
	assert_int_equal(readlink(path, target, sizeof(target) - 1), 3);
	assert_string_equal(target, "two");
	assert_false(bed_has(bed, ".new-link"));
	free(path);
}

static void names_are_single_plain_components(void **state)
{
	static const char *const good[] = { "example.com", "edge", "a_b-c.D9", "n\xc3\xb6rd" };
	static const char *const bad[] = { "", ".", "..", ".hidden", "a/b", "/", "a\nb", "\x7f" };
	char name[STORE_NAME_MAX + 2];
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(store_name_check("certificate", good[i], &err), ERR_NONE);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(store_name_check("certificate", bad[i], &err), ERR_USAGE);
	}
	assert_int_equal(store_name_check("certificate", "*.example.com", &err), ERR_USAGE);
	assert_non_null(strstr(err.text, "--name"));
	memset(name, 'n', sizeof(name));
	name[STORE_NAME_MAX + 1] = '\0';
	assert_int_equal(store_name_check("certificate", name, &err), ERR_USAGE);
	name[STORE_NAME_MAX] = '\0';
	assert_int_equal(store_name_check("certificate", name, &err), ERR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_folder_is_written_and_replaced),
		TEST(what_a_crash_left_is_no_hindrance),
		TEST(a_link_is_made_and_replaced),
		TEST(names_are_single_plain_components),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
