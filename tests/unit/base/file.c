#include "cmocka_all.h"
#include "dns01/base.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char folder[64];

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/dns01-test-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
	(void)info;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* In the test's folder; the last few stay valid. */
static const char *in(const char *name)
{
	static char paths[4][256];
	static size_t next;
	char *path = paths[next++ % ARRAY_LEN(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static void put(const char *path, const char *text, mode_t mode)
{
	assert_int_equal(file_write_durable(path, text, strlen(text), mode, NULL), ERR_NONE);
}

static size_t entries(const char *path)
{
	DIR *dir = opendir(path);
	size_t count = 0;

	assert_non_null(dir);
	while (readdir(dir)) {
		count++;
	}
	closedir(dir);
	return count - 2;
}

static void test_written_file_is_read_back(void **state)
{
	struct buf data;
	struct stat info;

	(void)state;
	put(in("a"), "first", 0600);
	put(in("a"), "second\n", 0640);
	assert_int_equal(file_read(in("a"), 7, &data, NULL), ERR_NONE);
	assert_string_equal(buf_str(&data), "second\n");
	buf_clear(&data);
	assert_int_equal(stat(in("a"), &info), 0);
	assert_int_equal(info.st_mode & 07777, 0640);
	assert_int_equal(entries(folder), 1);
}

static void test_mode_is_exact_whatever_the_umask(void **state)
{
	mode_t old = umask(0177);
	struct stat info;

	(void)state;
	put(in("a"), "", 0664);
	assert_int_equal(folder_make(in("d"), 0770, NULL), ERR_NONE);
	umask(old);
	assert_int_equal(stat(in("a"), &info), 0);
	assert_int_equal(info.st_mode & 07777, 0664);
	assert_int_equal(stat(in("d"), &info), 0);
	assert_int_equal(info.st_mode & 07777, 0770);
}

static void test_too_large_is_refused_and_nothing_is_given(void **state)
{
	struct buf data;
	struct err err;

	(void)state;
	put(in("a"), "12345678", 0600);
	assert_int_equal(file_read(in("a"), 7, &data, &err), ERR_LIMIT);
	assert_non_null(strstr(err.text, in("a")));
	assert_non_null(strstr(err.text, "7 octets"));
	assert_null(data.data);
	assert_int_equal(file_read("/dev/zero", 100000, &data, &err), ERR_LIMIT);
}

static void test_missing_file_and_folder_are_named(void **state)
{
	struct buf data;
	struct err err;

	(void)state;
	assert_int_equal(file_read(in("none"), 10, &data, &err), ERR_NOT_FOUND);
	assert_non_null(strstr(err.text, in("none")));
	assert_int_equal(file_read(folder, 10, &data, &err), ERR_IO);
	assert_non_null(strstr(err.text, "Is a directory"));
	assert_int_equal(file_write_durable(in("none/a"), "", 0, 0600, &err), ERR_NOT_FOUND);
	assert_non_null(strstr(err.text, in("none/a")));
	assert_int_equal(folder_sync(in("none"), &err), ERR_NOT_FOUND);
}

static void test_failed_replacement_leaves_the_old_and_nothing_else(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(mkdir(in("d"), 0700), 0);
	put(in("d/inside"), "x", 0600);
	assert_int_equal(file_write_durable(in("d"), "y", 1, 0600, &err), ERR_IO);
	assert_non_null(strstr(err.text, "cannot replace"));
	assert_int_equal(entries(folder), 1);
	assert_int_equal(entries(in("d")), 1);
}

/* A write that fails in the middle: past the limit of file sizes, as on a full disk. */
static void test_failed_write_leaves_the_old_and_nothing_else(void **state)
{
	static const char data[8192] = "";
	struct rlimit small = { .rlim_cur = 4096, .rlim_max = RLIM_INFINITY };
	struct rlimit old;
	struct buf kept;
	struct err err;
	enum err_code code;

	(void)state;
	put(in("a"), "old", 0600);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	code = file_write_durable(in("a"), data, sizeof(data), 0600, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(code, ERR_IO);
	assert_non_null(strstr(err.text, "File too large"));
	assert_int_equal(file_read(in("a"), 10, &kept, NULL), ERR_NONE);
	assert_string_equal(buf_str(&kept), "old");
	buf_clear(&kept);
	assert_int_equal(entries(folder), 1);
}

/* Runs as somebody who may not write there; root may write everywhere. */
static int write_as_nobody(void)
{
	struct err err;

	if (getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0)) {
		return 1;
	}
	if (file_write_durable(in("a"), "", 0, 0600, &err) != ERR_IO) {
		return 2;
	}
	return strstr(err.text, "Permission denied; run this as its owner") ? 0 : 3;
}

static void test_unwritable_folder_says_what_to_do(void **state)
{
	int status = 0;
	pid_t child;

	(void)state;
	assert_int_equal(chmod(folder, 0500), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		_exit(write_as_nobody());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(chmod(folder, 0700), 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static enum err_code read_secret(mode_t mode, struct err *err)
{
	struct buf data;
	enum err_code code;

	put(in("secret"), "s3cret", mode);
	code = file_read_secret(in("secret"), 100, &data, err);
	if (!code) {
		assert_string_equal(buf_str(&data), "s3cret");
		buf_wipe(&data);
	}
	return code;
}

static void test_secret_is_refused_by_its_mode(void **state)
{
	static const mode_t fine[] = { 0400, 0600, 0640, 0440 };
	static const mode_t wrong[] = { 0644, 0604, 0660, 0620, 0601, 0666 };
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
		assert_int_equal(read_secret(fine[i], &err), ERR_NONE);
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(read_secret(wrong[i], &err), ERR_DENIED);
		assert_non_null(strstr(err.text, in("secret")));
		assert_non_null(strstr(err.text, "chmod 0640"));
		assert_null(strstr(err.text, "s3cret"));
	}
}

static void test_secret_is_a_regular_file(void **state)
{
	struct buf data;
	struct err err;

	(void)state;
	assert_int_equal(mkfifo(in("fifo"), 0600), 0);
	assert_int_equal(file_read_secret(in("fifo"), 10, &data, &err), ERR_DENIED);
	assert_int_equal(file_read_secret("/dev/null", 10, &data, &err), ERR_DENIED);
	assert_int_equal(file_read_secret(in("none"), 10, &data, &err), ERR_NOT_FOUND);
}

static void test_credentials_folder_is_trusted_with_what_is_in_it(void **state)
{
	struct err err;

	(void)state;
	setenv("CREDENTIALS_DIRECTORY", folder, 1);
	assert_int_equal(read_secret(0644, &err), ERR_NONE);
	setenv("CREDENTIALS_DIRECTORY", "/tmp/dns01-tes", 1);
	assert_int_equal(read_secret(0644, &err), ERR_DENIED);
	setenv("CREDENTIALS_DIRECTORY", "", 1);
	assert_int_equal(read_secret(0644, &err), ERR_DENIED);
}

static void test_folders_are_made_with_their_parents(void **state)
{
	struct stat info;
	struct err err;

	(void)state;
	assert_int_equal(folder_make(in("x//y/z/"), 0710, NULL), ERR_NONE);
	assert_int_equal(stat(in("x/y/z"), &info), 0);
	assert_int_equal(info.st_mode & 07777, 0710);
	assert_int_equal(folder_make(in("x/y"), 0700, NULL), ERR_NONE);
	assert_int_equal(stat(in("x/y"), &info), 0);
	assert_int_equal(info.st_mode & 07777, 0710);
	put(in("file"), "", 0600);
	assert_int_equal(folder_make(in("file"), 0700, &err), ERR_EXISTS);
	assert_non_null(strstr(err.text, in("file")));
	assert_int_equal(folder_make(in("file/sub"), 0700, &err), ERR_EXISTS);
	assert_int_equal(folder_make("/", 0700, &err), ERR_NONE);
}

static void check_path(char *made, const char *expected)
{
	assert_string_equal(made, expected);
	free(made);
}

static void test_paths(void **state)
{
	(void)state;
	check_path(path_join("a", "b"), "a/b");
	check_path(path_join("a/", "b"), "a/b");
	check_path(path_join("/", "b"), "/b");
	check_path(path_join("a", "/b"), "/b");
	check_path(path_join("", "b"), "b");
	check_path(path_dir("a/b"), "a");
	check_path(path_dir("a/b/"), "a");
	check_path(path_dir("/a"), "/");
	check_path(path_dir("/"), "/");
	check_path(path_dir("a"), ".");
	check_path(path_dir(""), ".");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_written_file_is_read_back),
		TEST(test_mode_is_exact_whatever_the_umask),
		TEST(test_too_large_is_refused_and_nothing_is_given),
		TEST(test_missing_file_and_folder_are_named),
		TEST(test_failed_replacement_leaves_the_old_and_nothing_else),
		TEST(test_failed_write_leaves_the_old_and_nothing_else),
		TEST(test_unwritable_folder_says_what_to_do),
		TEST(test_secret_is_refused_by_its_mode),
		TEST(test_secret_is_a_regular_file),
		TEST(test_credentials_folder_is_trusted_with_what_is_in_it),
		TEST(test_folders_are_made_with_their_parents),
		TEST(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
