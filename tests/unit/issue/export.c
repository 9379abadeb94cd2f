/* Copies: what is in them, who may read them, and that a reader never sees a mix. */
#include "issue/export.h"
#include "deploy_bed.h"

#include <grp.h>
#include <sys/resource.h>

#define NOBODY 65534

static const char *const files[] = { "privkey.pem", "cert.pem", "chain.pem", "fullchain.pem" };

struct copy {
	struct conf_export conf;
	struct bed *bed;
	struct pair pair;
	struct err err;
};

static struct copy copy_of(struct bed *bed, const char *layout, const char *path)
{
	return (struct copy){
		.conf = {
			.layout = xstrdup(layout),
			.path = bed_path(bed, path),
			.mode = xstrdup("0600"),
		},
		.bed = bed,
	};
}

static void copy_clear(struct copy *copy)
{
	free(copy->conf.layout);
	free(copy->conf.path);
	free(copy->conf.owner);
	free(copy->conf.group);
	free(copy->conf.mode);
	free(copy->conf.password_file);
	pair_drop(&copy->pair);
}

static enum err_code write_pair(struct copy *copy)
{
	return export_write(
		&(struct export_args){
			.export = &copy->conf,
			.path = copy->conf.path,
			.name = "edge",
			.key = copy->pair.key,
			.chain = copy->pair.chain,
		},
		&copy->err);
}

static enum err_code write_new(struct copy *copy)
{
	pair_drop(&copy->pair);
	copy->pair = pair_new("0A", "example.com");
	return write_pair(copy);
}

static void must_write(struct copy *copy)
{
	if (write_new(copy) != ERR_NONE) {
		fail_msg("%s: %s", copy->err.subject, copy->err.text);
	}
}

static void says(const struct copy *copy, const char *part)
{
	char *text = err_format(&copy->err);

	if (!strstr(text, part) || strncmp(text, copy->conf.path, strlen(copy->conf.path)) != 0) {
		fail_msg("'%s' does not say '%s' of %s", text, part, copy->conf.path);
	}
	free(text);
}

/* Relative to the bed; gives. */
static char *content(const struct bed *bed, const char *name)
{
	char *path = bed_path(bed, name);
	struct buf text;

	if (file_read(path, 1 << 20, &text, NULL) != ERR_NONE) {
		fail_msg("%s cannot be read", path);
	}
	free(path);
	return buf_detach(&text);
}

static void put(const struct bed *bed, const char *name, const char *text)
{
	char *path = bed_path(bed, name);

	assert_int_equal(file_write_durable(path, text, strlen(text), 0644, NULL), ERR_NONE);
	free(path);
}

static void make_folder(const struct bed *bed, const char *name)
{
	char *path = bed_path(bed, name);

	assert_int_equal(folder_make(path, 0755, NULL), ERR_NONE);
	free(path);
}

static void links_to(const struct bed *bed, const char *name, const char *expected)
{
	char *path = bed_path(bed, name), target[256] = "";

	assert_true(readlink(path, target, sizeof(target) - 1) > 0);
	assert_string_equal(target, expected);
	free(path);
}

/* Names in a folder, hidden ones too. */
static size_t count_names(const struct bed *bed, const char *name)
{
	char *path = bed_path(bed, name);
	DIR *dir = opendir(path);
	size_t count = 0;

	assert_non_null(dir);
	while (readdir(dir)) {
		count++;
	}
	closedir(dir);
	free(path);
	return count - 2;
}

/* The four files are the pair's. */
static void holds(const struct copy *copy, const char *folder)
{
	struct buf parts[4];

	key_format_pem(copy->pair.key, &parts[0]);
	chain_format_leaf(copy->pair.chain, &parts[1]);
	chain_format_rest(copy->pair.chain, &parts[2]);
	chain_format_all(copy->pair.chain, &parts[3]);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char *name = path_join(folder, files[i]);
		char *text = content(copy->bed, name);

		assert_string_equal(text, buf_str(&parts[i]));
		free(text);
		free(name);
		buf_wipe(&parts[i]);
	}
}

/* ---- folders ----------------------------------------------------------------------- */

static void files_switch_by_one_link(void **state)
{
	struct bed *bed = *state;
	struct copy copy = copy_of(bed, "files", "tls");

	for (unsigned i = 0; i < 4; i++) {
		must_write(&copy);
		holds(&copy, "tls");
	}
	links_to(bed, "tls/privkey.pem", ".current/privkey.pem");
	links_to(bed, "tls/.current", ".v0004");
	assert_int_equal(bed_mode(bed, "tls/.v0004/privkey.pem"), 0600);
	assert_int_equal(bed_mode(bed, "tls/.v0004/fullchain.pem"), 0644);
	assert_true(bed_has(bed, "tls/.v0003"));
	assert_int_equal(count_names(bed, "tls"), 4 + 1 + 2);
	copy_clear(&copy);
}

static void files_that_were_there_are_taken_over(void **state)
{
	struct bed *bed = *state;
	struct copy copy = copy_of(bed, "files", "tls");
	char *old, *link = bed_path(bed, "tls/chain.pem");

	make_folder(bed, "tls");
	put(bed, "tls/privkey.pem", "old key");
	put(bed, "tls/fullchain.pem", "old chain");
	put(bed, "tls/dhparam.pem", "not ours");
	put(bed, "other.pem", "elsewhere");
	assert_int_equal(symlink("../other.pem", link), 0);
	must_write(&copy);
	holds(&copy, "tls");
	old = content(bed, "tls/dhparam.pem");
	assert_string_equal(old, "not ours");
	free(old);
	/* what was there stays for one more time */
	old = content(bed, "tls/.v0000/privkey.pem");
	assert_string_equal(old, "old key");
	free(old);
	old = content(bed, "tls/.v0000/chain.pem");
	assert_string_equal(old, "elsewhere");
	free(old);
	must_write(&copy);
	must_write(&copy);
	assert_false(bed_has(bed, "tls/.v0000"));
	holds(&copy, "tls");
	free(link);
	copy_clear(&copy);
}

static void what_a_crash_left_is_cleaned(void **state)
{
	struct bed *bed = *state;
	struct copy copy = copy_of(bed, "files", "tls");

	must_write(&copy);
	make_folder(bed, "tls/" EXPORT_NEW);
	put(bed, "tls/" EXPORT_NEW "/privkey.pem", "half a key");
	put(bed, "tls/.link" EXPORT_NEW, "");
	make_folder(bed, "tls/.v0002"); /* complete, but nothing leads to it */
	put(bed, "tls/.v0002/privkey.pem", "a key");
	must_write(&copy);
	holds(&copy, "tls");
	assert_false(bed_has(bed, "tls/" EXPORT_NEW));
	assert_false(bed_has(bed, "tls/.link" EXPORT_NEW));
	assert_false(bed_has(bed, "tls/.v0002"));
	assert_int_equal(count_names(bed, "tls"), 4 + 1 + 2);
	copy_clear(&copy);
}

static void a_folder_that_lost_its_switch_is_mended(void **state)
{
	struct bed *bed = *state;
	struct copy copy = copy_of(bed, "files", "tls");
	char *path = bed_path(bed, "tls/.current");

	must_write(&copy);
	assert_int_equal(unlink(path), 0);
	must_write(&copy);
	holds(&copy, "tls");
	free(path);
	copy_clear(&copy);
}

static void certbot_goes_on_as_certbot_was(void **state)
{
	struct bed *bed = *state;
	struct copy copy = copy_of(bed, "certbot", "le/live/example.com");
	char *text;

	make_folder(bed, "le/live/example.com");
	make_folder(bed, "le/archive/example.com");
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char *stem = xstrndup(files[i], strlen(files[i]) - 4);
		char *old = xasprintf("le/archive/example.com/%s7.pem", stem);
		char *name = xasprintf("%s/le/live/example.com/%s", bed->state, files[i]);
		char *target = xasprintf("../../archive/example.com/%s7.pem", stem);

		put(bed, old, "old");
		assert_int_equal(symlink(target, name), 0);
		free(stem);
		free(old);
		free(name);
		free(target);
	}
	put(bed, "le/live/example.com/README", "read me");
	put(bed, "le/archive/example.com/privkey8.pem", "half a set");
	put(bed, "le/archive/example.com/cert9.pem" EXPORT_NEW, "half a file");
	must_write(&copy);
	holds(&copy, "le/live/example.com");
	links_to(bed, "le/live/example.com/privkey.pem", "../../archive/example.com/privkey8.pem");
	links_to(bed, "le/live/example.com/fullchain.pem",
		 "../../archive/example.com/fullchain8.pem");
	assert_int_equal(bed_mode(bed, "le/archive/example.com/privkey8.pem"), 0600);
	text = content(bed, "le/archive/example.com/privkey7.pem");
	assert_string_equal(text, "old");
	free(text);
	text = content(bed, "le/live/example.com/README");
	assert_string_equal(text, "read me");
	free(text);
	assert_int_equal(count_names(bed, "le/archive/example.com"), 8);
	assert_int_equal(count_names(bed, "le/live/example.com"), 5);
	assert_int_equal(count_names(bed, "le/live"), 1);
	must_write(&copy);
	links_to(bed, "le/live/example.com/cert.pem", "../../archive/example.com/cert9.pem");
	assert_int_equal(count_names(bed, "le/archive/example.com"), 12);
	copy_clear(&copy);
}

static void certbot_begins_where_nothing_is(void **state)
{
	struct bed *bed = *state;
	struct copy copy = copy_of(bed, "certbot", "le/live/example.com");

	assert_int_equal(write_new(&copy), ERR_IO);
	says(&copy, "No such file or directory; make the folder");
	make_folder(bed, "le");
	must_write(&copy);
	holds(&copy, "le/live/example.com");
	links_to(bed, "le/live/example.com/chain.pem", "../../archive/example.com/chain1.pem");
	copy_clear(&copy);
}

/* A key that is no link is nobody's to throw away. */
static void certbot_refuses_a_folder_of_files(void **state)
{
	struct bed *bed = *state;
	struct copy copy = copy_of(bed, "certbot", "le/live/example.com");
	char *text;

	make_folder(bed, "le/live/example.com");
	make_folder(bed, "le/archive/example.com");
	put(bed, "le/live/example.com/privkey.pem", "mine");
	put(bed, "le/archive/example.com/privkey1.pem", "mine too");
	assert_int_equal(write_new(&copy), ERR_EXISTS);
	says(&copy, "no link into the archive");
	text = content(bed, "le/live/example.com/privkey.pem");
	assert_string_equal(text, "mine");
	free(text);
	text = content(bed, "le/archive/example.com/privkey1.pem");
	assert_string_equal(text, "mine too");
	free(text);
	copy_clear(&copy);
}

/* ---- single files ----------------------------------------------------------------------- */

static void haproxy_has_key_leaf_and_chain(void **state)
{
	struct bed *bed = *state;
	struct copy copy = copy_of(bed, "haproxy", "edge.pem");
	struct buf key, all;
	char *text, *expected;

	put(bed, "edge.pem", "old");
	put(bed, ".edge.pem" EXPORT_NEW, "half a file");
	free(copy.conf.mode);
	copy.conf.mode = xstrdup("0640");
	must_write(&copy);
	text = content(bed, "edge.pem");
	key_format_pem(copy.pair.key, &key);
	chain_format_all(copy.pair.chain, &all);
	expected = xasprintf("%s%s", buf_str(&key), buf_str(&all));
	assert_string_equal(text, expected);
	assert_int_equal(bed_mode(bed, "edge.pem"), 0640);
	assert_int_equal(count_names(bed, "."), 1);
	free(text);
	free(expected);
	buf_wipe(&key);
	buf_clear(&all);
	copy_clear(&copy);
}

static void pkcs12_takes_its_password_from_a_file(void **state)
{
	struct bed *bed = *state;
	struct copy copy = copy_of(bed, "pkcs12", "edge.p12");
	char *text;

	copy.conf.password_file = bed_path(bed, "password");
	assert_int_equal(write_new(&copy), ERR_NOT_FOUND);
	put(bed, "password", "hunter2\nmore");
	assert_int_equal(write_new(&copy), ERR_DENIED); /* others may read it */
	assert_null(strstr(copy.err.text, "hunter2"));
	assert_int_equal(chmod(copy.conf.password_file, 0600), 0);
	must_write(&copy);
	assert_int_equal(bed_mode(bed, "edge.p12"), 0600);
	put(bed, "password", "\n");
	assert_int_equal(chmod(copy.conf.password_file, 0600), 0);
	assert_int_equal(write_new(&copy), ERR_CONFIG);
	says(&copy, "has no password in its first line");
	text = content(bed, "edge.p12");
	assert_null(strstr(text, "hunter2"));
	free(text);
	copy_clear(&copy);
}

static void a_path_of_the_wrong_kind_is_refused(void **state)
{
	struct bed *bed = *state;
	static const struct {
		const char *layout, *path, *says;
	} cases[] = {
		{ "haproxy", "folder", "it is a folder, and this layout writes one file" },
		{ "pkcs12", "folder", "it is a folder, and this layout writes one file" },
		{ "files", "file", "it is a file, and this layout writes a folder" },
		{ "certbot", "le/live/file", "it is a file, and this layout writes a folder" },
		{ "haproxy", "none/file", "its folder cannot be opened" },
		{ "files", "none/folder", "the folder above it cannot be opened" },
	};

	make_folder(bed, "folder");
	make_folder(bed, "le/live");
	put(bed, "file", "stays");
	put(bed, "le/live/file", "stays");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct copy copy = copy_of(bed, cases[i].layout, cases[i].path);
		char *text = content(bed, "file");

		assert_true(write_new(&copy) != ERR_NONE);
		says(&copy, cases[i].says);
		assert_string_equal(text, "stays");
		free(text);
		copy_clear(&copy);
	}
	assert_int_equal(count_names(bed, "folder"), 0);
	assert_int_equal(count_names(bed, "."), 3);
}

/* ---- owners, room ----------------------------------------------------------------------- */

static void unknown_owners_are_named(void **state)
{
	struct bed *bed = *state;
	struct copy copy = copy_of(bed, "haproxy", "edge.pem");

	must_write(&copy);
	copy.conf.group = xstrdup("no-such-group");
	assert_int_equal(write_pair(&copy), ERR_CONFIG);
	says(&copy, "there is no group \"no-such-group\"");
	copy.conf.owner = xstrdup("no-such-user");
	assert_int_equal(write_pair(&copy), ERR_CONFIG);
	says(&copy, "there is no user \"no-such-user\"");
	assert_int_equal(count_names(bed, "."), 1);
	copy_clear(&copy);
}

static const char *const layouts[][2] = {
	{ "files", "home/tls" },
	{ "certbot", "home/le/live/x" },
	{ "haproxy", "home/edge.pem" },
	{ "pkcs12", "home/edge.p12" },
};

/* What root gave away is not for a plain user to replace, and the old copy stays. */
static void body_of_a_plain_user(struct bed *bed)
{
	for (size_t i = 0; i < ARRAY_LEN(layouts); i++) {
		struct copy copy = copy_of(bed, layouts[i][0], layouts[i][1]);

		must_write(&copy);
		must_write(&copy);
		copy.conf.group = xstrdup("root");
		assert_int_equal(write_pair(&copy), ERR_IO);
		says(&copy, "its group cannot be set: Operation not permitted; only root");
		copy_clear(&copy);
	}
	struct copy denied = copy_of(bed, "haproxy", "edge.pem");

	assert_int_equal(write_new(&denied), ERR_IO);
	says(&denied, "Permission denied; run dns01 as a user who may");
	copy_clear(&denied);
}

static void a_plain_user_writes_where_no_owner_is_asked_for(void **state)
{
	struct bed *bed = *state;
	char *home = bed_path(bed, "home"), *path;
	pid_t child;
	int status;

	make_folder(bed, "home/le");
	if (geteuid() != 0) {
		print_message("# skipped: another user needs root\n");
		skip();
	}
	path = path_join(home, "le");
	assert_int_equal(chmod(bed->state, 0755), 0);
	assert_int_equal(chown(home, NOBODY, NOBODY), 0);
	assert_int_equal(chown(path, NOBODY, NOBODY), 0);
	child = fork();
	if (child == 0) {
		if (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0) {
			_exit(1);
		}
		body_of_a_plain_user(bed);
		_exit(0);
	}
	status = bed_reap(child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_false(bed_has(bed, "home/.edge.pem" EXPORT_NEW));
	free(home);
	free(path);
}

static void owners_are_set(void **state)
{
	struct bed *bed = *state;
	struct copy copy = copy_of(bed, "files", "tls");
	char *path = bed_path(bed, "tls/privkey.pem");
	struct stat st;

	if (geteuid() != 0) {
		print_message("# skipped: giving files away needs root\n");
		skip();
	}
	copy.conf.owner = xstrdup("nobody");
	copy.conf.group = xstrdup("daemon");
	free(copy.conf.mode);
	copy.conf.mode = xstrdup("0440");
	must_write(&copy);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, NOBODY);
	assert_true(st.st_gid != 0);
	assert_int_equal(st.st_mode & 07777, 0440);
	free(path);
	copy_clear(&copy);
}

static void on_a_full_disk(struct bed *bed)
{
	for (size_t i = 0; i < ARRAY_LEN(layouts); i++) {
		struct copy copy = copy_of(bed, layouts[i][0], layouts[i][1] + strlen("home/"));
		struct pair old;
		char *ballast = bed_path(bed, "ballast");

		make_folder(bed, "le");
		must_write(&copy);
		old = copy.pair;
		copy.pair = (struct pair){ 0 };
		bed_fill(bed);
		assert_int_equal(write_new(&copy), ERR_IO);
		says(&copy, "No space left on device; make room");
		assert_int_equal(unlink(ballast), 0);
		pair_drop(&copy.pair);
		copy.pair = old;
		if (i < 2) {
			holds(&copy, copy.conf.path);
		}
		must_write(&copy);
		free(ballast);
		copy_clear(&copy);
	}
	assert_int_equal(count_names(bed, "tls"), 4 + 1 + 2);
	assert_int_equal(count_names(bed, "le/archive/x"), 8);
	assert_int_equal(count_names(bed, "le/live"), 1);
}

static void a_full_disk_leaves_the_old_copy(void **state)
{
	bed_on_small_disk(*state, on_a_full_disk);
}

/* ---- a reader at the same time ------------------------------------------------------ */

static bool fits(const char *key_pem, const char *chain_pem)
{
	struct chain *chain = NULL;
	struct key *key = NULL;
	bool good = chain_parse(chain_pem, strlen(chain_pem), &chain, NULL) == ERR_NONE &&
		    key_parse_pem(key_pem, strlen(key_pem), "", &key, NULL) == ERR_NONE &&
		    chain_check(chain, key, &chain_facts(chain)->names, NULL) == ERR_NONE;

	chain_free(chain);
	key_free(key);
	return good;
}

/* Key, chain, key again: where the key stayed, the chain is its own. It reads as fast as it can,
 * and thinks only when something changed. */
static void body_of_the_reader(const struct bed *bed, const char *folder, int stop)
{
	char *key_name = path_join(folder, "privkey.pem"), octet;
	char *chain_name = path_join(folder, "fullchain.pem");
	char *seen_key = xstrdup(""), *seen_chain = xstrdup("");

	while (read(stop, &octet, 1) < 0) {
		char *key = content(bed, key_name), *chain = content(bed, chain_name);
		char *after = content(bed, key_name);
		bool same = strcmp(key, seen_key) == 0 && strcmp(chain, seen_chain) == 0;

		if (!same && strcmp(key, after) == 0 && !fits(key, chain)) {
			_exit(9);
		}
		free(seen_key);
		free(seen_chain);
		free(after);
		seen_key = key;
		seen_chain = chain;
	}
	_exit(0);
}

static void readers_see_old_or_new(void **state)
{
	struct bed *bed = *state;

	for (size_t i = 0; i < 2; i++) {
		struct copy copy = copy_of(bed, layouts[i][0], layouts[i][1]);
		int stop[2], status;
		pid_t reader;

		make_folder(bed, "home/le");
		must_write(&copy);
		assert_int_equal(pipe2(stop, O_CLOEXEC | O_NONBLOCK), 0);
		reader = fork();
		if (reader == 0) {
			close(stop[1]);
			body_of_the_reader(bed, layouts[i][1], stop[0]);
		}
		for (unsigned j = 0; j < 100; j++) {
			must_write(&copy);
		}
		close(stop[1]);
		close(stop[0]);
		status = bed_reap(reader);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
		copy_clear(&copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files_switch_by_one_link),
		TEST(files_that_were_there_are_taken_over),
		TEST(what_a_crash_left_is_cleaned),
		TEST(a_folder_that_lost_its_switch_is_mended),
		TEST(certbot_goes_on_as_certbot_was),
		TEST(certbot_begins_where_nothing_is),
		TEST(certbot_refuses_a_folder_of_files),
		TEST(haproxy_has_key_leaf_and_chain),
		TEST(pkcs12_takes_its_password_from_a_file),
		TEST(a_path_of_the_wrong_kind_is_refused),
		TEST(unknown_owners_are_named),
		TEST(a_plain_user_writes_where_no_owner_is_asked_for),
		TEST(owners_are_set),
		TEST(a_full_disk_leaves_the_old_copy),
		TEST(readers_see_old_or_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
