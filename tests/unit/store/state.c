/* The state folder, and the files in it that root and the daemon's user share. */
#include "store/bed.h"

#include "store/folder.h"

static void the_folder_is_made_for_us_alone(void **state)
{
	struct bed *bed = *state;
	char *path = bed_path(bed, "var/dns01");

	assert_int_equal(state_open(path, NULL), ERR_NONE);
	assert_int_equal(bed_mode(bed, "var/dns01"), geteuid() == 0 ? 0750 : 0700);
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(state_open(path, NULL), ERR_NONE);
	assert_int_equal(bed_mode(bed, "var/dns01"), 0755);
	free(path);
}

static void a_file_is_no_state_folder(void **state)
{
	struct bed *bed = *state;
	char *path = bed_path(bed, "file");
	struct err err = { 0 };

	assert_int_equal(file_write_durable(path, "", 0, 0600, NULL), ERR_NONE);
	assert_int_not_equal(state_open(path, &err), ERR_NONE);
	assert_true(err.text[0] != '\0');
	free(path);
}

static void a_file_is_made_once(void **state)
{
	struct bed *bed = *state;
	char *path = bed_path(bed, "shared");
	struct buf text = { 0 };

	umask(077);
	assert_int_equal(state_file_make(bed->state, "shared", NULL), ERR_NONE);
	umask(022);
	assert_int_equal(bed_mode(bed, "shared"), 0660);
	assert_int_equal(file_write_durable(path, "text", 4, 0600, NULL), ERR_NONE);
	assert_int_equal(state_file_make(bed->state, "shared", NULL), ERR_NONE);
	assert_int_equal(file_read(path, 100, &text, NULL), ERR_NONE);
	assert_string_equal(buf_str(&text), "text");
	buf_clear(&text);
	free(path);
}

static void root_gives_it_to_the_folders_owner(void **state)
{
	struct bed *bed = *state;
	char *path = bed_path(bed, "shared");
	struct stat st;

	if (geteuid() != 0) {
		print_message("# skipped: only root can give a file away\n");
		skip();
	}
	assert_int_equal(chown(bed->state, 4321, 1234), 0);
	assert_int_equal(state_file_make(bed->state, "shared", NULL), ERR_NONE);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 4321);
	assert_int_equal(st.st_gid, 1234);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_folder_is_made_for_us_alone),
		TEST(a_file_is_no_state_folder),
		TEST(a_file_is_made_once),
		TEST(root_gives_it_to_the_folders_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
