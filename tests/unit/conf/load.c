/* Files: what is included, how lists and names of several files meet, where paths lead. */
#include "conf_test.h"

#include <ftw.h>
#include <sys/stat.h>

#define FOLDER "/tmp/dns01-conf.XXXXXX"

static char folder[] = FOLDER; /* of one test: the main file and conf.d/ */

static char *path_of(const char *name)
{
	return path_join(folder, name);
}

static void put(const char *name, const char *text)
{
	char *path = path_of(name);
	FILE *file = fopen(path, "w");

	check(name, file != NULL);
	if (file != NULL) {
		check(name, fputs(text, file) >= 0);
		check(name, fclose(file) == 0);
	}
	free(path);
}

static int setup(void **state)
{
	char *sub;
	int status;

	(void)state;
	memcpy(folder, FOLDER, sizeof(folder));
	if (mkdtemp(folder) == NULL) {
		return -1;
	}
	sub = path_of("conf.d");
	status = mkdir(sub, 0700);
	free(sub);
	return status;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
	(void)status;
	(void)type;
	(void)at;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	return nftw(folder, remove_one, 4, FTW_DEPTH | FTW_PHYS);
}

static enum err_code load(struct conf **conf, struct err *err)
{
	char *path = path_of("main.conf");
	enum err_code code = conf_load(path, fake_provider, conf, err);

	free(path);
	return code;
}

static void check_path(const char *what, const char *name, const char *got)
{
	char *path = path_of(name);

	check_text(what, path, got);
	free(path);
}

/* The sentence, with the test's folder taken off wherever it stands. */
static void check_refused(const char *sentence)
{
	struct conf *conf = NULL;
	struct err err;
	char *full, *short_text;
	struct buf out = BUF_INIT(4096);

	if (load(&conf, &err) == ERR_NONE) {
		miss("load", sentence, "no error");
		conf_free(conf);
		return;
	}
	full = err_format(&err);
	for (short_text = full; *short_text != '\0'; short_text++) {
		if (strncmp(short_text, folder, strlen(folder)) == 0) {
			short_text += strlen(folder); /* and its slash */
		} else {
			buf_add(&out, short_text, 1);
		}
	}
	check_text("sentence", sentence, buf_str(&out));
	buf_clear(&out);
	free(full);
}

static void merges_included_files(void **state)
{
	struct conf *conf = NULL;
	struct err err;

	(void)state;
	put("main.conf", "include = [ \"conf.d/*.conf\", \"conf.d/b.conf\" ];\n"
			 "resolvers = [ \"192.0.2.53\" ];\n" PROVIDER
			 "zones = ( { suffix = \"a\"; providers = [ \"p\" ]; } );\n");
	put("conf.d/c.conf", "zones = ( { suffix = \"c\"; providers = [ \"q\" ]; } );\n");
	put("conf.d/b.conf", "resolvers = [ \"192.0.2.54\" ]; proxy = \"http://x:1\";\n"
			     "zones = ( { suffix = \"b\"; providers = [ \"p\" ]; } );\n"
			     "providers = ( { name = \"q\"; type = \"fake\"; server = \"x\"; "
			     "tsig_key_file = \"q.key\"; } );\n");
	put("conf.d/d.conf~", "broken");
	if (load(&conf, &err) != ERR_NONE) {
		fail_msg("%s", err.text);
	}
	check("lists append",
	      conf->zone_count == 3 && conf->provider_count == 2 && conf->resolvers.count == 2);
	check_text("in order", "c", conf->zone[2].suffix);
	check_text("proxy", "http://x:1", conf->proxy);
	check_path("main file's folder", "q.key",
		   settings_get(&conf->provider[1].settings, fake_rows, ARRAY_LEN(fake_rows),
				"tsig_key_file"));
	check_path("place", "conf.d/b.conf:2", conf->zone[1].where);
	conf_free(conf);
	no_misses();
}

/* The lists of groups in groups, each with its items and defaults. */
static void reads_groups_in_groups(void **state)
{
	static const char text[] = ACCOUNT
		"notify : { run = [ \"/bin/mail\", \"-s\", \"-s\", \"\" ]; remind = \"2d\"; };\n"
		"certificates = ( { name = \"c\"; names = [ \"a\" ];\n"
		"  keys = [ \"p256\", \"rsa2048\" ];\n"
		"  export = ( { layout = \"haproxy\"; path = \"/etc/x.d/c.v1.pem\";\n"
		"    group = \"g\"; mode = \"640\"; },\n"
		"    { layout = \"certbot\"; path = \"/le/live/a.b\"; owner = \"o\"; } ); },\n"
		"  { name = \"d\"; names = [ \"a\" ]; },\n"
		"  { name = \"e\"; names = [ \"a\" ];\n"
		"    export = ( { layout = \"pkcs12\"; path = \"/e.p12\";\n"
		"      password_file = \"pw\"; } );\n"
		"  } );\n";
	struct conf *conf = NULL;
	struct err err;
	char *path;

	(void)state;
	put("main.conf", text);
	if (load(&conf, &err) != ERR_NONE) {
		fail_msg("%s", err.text);
	}
	check("argv as it is", conf->notify.run.count == 4 && conf->notify.remind_ms == 172800000);
	check_text("default of the single group", "1/4", conf->notify.life_left);
	check("counts", conf->certificate[0].export_count == 2 &&
				conf->certificate[1].export_count == 0 &&
				conf->certificate[2].export_count == 1);
	check_text("mode", "0640", conf->certificate[0].export[0].mode);
	check_text("default mode", "0600", conf->certificate[0].export[1].mode);
	check_path("place", "main.conf:7", conf->certificate[0].export[1].where);
	check_path("file", "pw", conf->certificate[2].export[0].password_file);
	path = conf_export_path(&conf->certificate[0].export[0], "rsa2048");
	check_text("a file keeps its ending", "/etc/x.d/c.v1-rsa2048.pem", path);
	free(path);
	path = conf_export_path(&conf->certificate[0].export[1], "rsa2048");
	check_text("a folder has none", "/le/live/a.b-rsa2048", path);
	free(path);
	conf_free(conf);
	no_misses();
}

static void refuses_what_stands_in_two_files(void **state)
{
	(void)state;
	put("main.conf", "include = [ \"conf.d/*.conf\" ];\n\nnotify : { remind = \"1h\"; };\n");
	put("conf.d/b.conf", "notify : { life_left = \"1/3\"; };\n");
	check_refused("conf.d/b.conf:1: notify: it is given twice, also at main.conf:3; keep one");
	put("main.conf", "include = [ \"conf.d/*.conf\" ];\nproxy = \"http://x:2\";\n");
	put("conf.d/b.conf", "proxy = \"http://x:1\";\n"
			     "zones = ( { suffix = \"b\"; providers = [ \"p\" ]; } );\n");
	check_refused("conf.d/b.conf:1: proxy: it is given twice, also at main.conf:2; keep one");
	put("conf.d/b.conf", "\nzones = ( { suffix = \"b\"; providers = [ \"p\" ]; } );\n");
	put("main.conf", "include = [ \"conf.d/*.conf\" ];\n" PROVIDER
			 "zones = ( { suffix = \"x\"; providers = [ \"p\" ]; },\n"
			 "  { suffix = \"B.\"; providers = [ \"p\" ]; } );\n");
	check_refused("conf.d/b.conf:2: zones[0].suffix: \"b\" in view \"default\" is another zone "
		      "at main.conf:4; each needs its own");
	put("conf.d/b.conf", "\n" PROVIDER);
	check_refused("conf.d/b.conf:2: providers[0].name: \"p\" is another provider at "
		      "main.conf:2; each needs its own");
	no_misses();
}

static void refuses_bad_includes(void **state)
{
	(void)state;
	put("main.conf", "include = [ \"conf.d/*.conf\" ];\n" PROVIDER);
	put("conf.d/b.conf", "# one\ninclude = [ \"x\" ];\n");
	check_refused("conf.d/b.conf:2: include: an included file includes no others; write it in "
		      "the main file");
	put("conf.d/b.conf", "zones = ( { suffix = \"b\"; providers = [ \"p\" ]; }, );\n");
	check_refused("conf.d/b.conf:1: zones: a comma stands after the last element; remove the "
		      "comma of line 1");
	put("main.conf", "\ninclude = [ \"other.conf\" ];\n");
	check_refused("main.conf:2: include: \"other.conf\" does not exist; make the file or "
		      "remove it here");
	no_misses();
}

static void the_main_file_does_not_include_itself(void **state)
{
	struct conf *conf = NULL;
	struct err err;

	(void)state;
	put("main.conf", "include = [ \"*.conf\", \"none.d/*.conf\" ];\n" PROVIDER);
	check("itself", load(&conf, &err) == ERR_NONE);
	conf_free(conf);
	no_misses();
}

/* The service manager's folder holds the file, or the configuration's does. */
static void files_are_credentials_or_beside_the_main_file(void **state)
{
	struct conf *conf = NULL;
	struct err err;
	char *credentials = path_of("conf.d");

	(void)state;
	put("main.conf",
	    "state = \"/var/lib/x\";\naccounts = ( { name = \"a\"; directory = "
	    "\"https://ca.example/d\"; ca_file = \"root.pem\"; eab_kid = \"k\"; eab_key_file = "
	    "\"eab.key\"; } );\n");
	put("conf.d/eab.key", "");
	check("set", setenv("CREDENTIALS_DIRECTORY", credentials, 1) == 0);
	if (load(&conf, &err) == ERR_NONE) {
		check_path("credential", "conf.d/eab.key", conf->account[0].eab_key_file);
		check_path("beside", "root.pem", conf->account[0].ca_file);
		check_text("absolute", "/var/lib/x", conf->state);
	} else {
		miss("load", "no error", err.text);
	}
	conf_free(conf);
	unsetenv("CREDENTIALS_DIRECTORY");
	free(credentials);
	no_misses();
}

static void refuses_files_that_are_not_text(void **state)
{
	struct conf *conf = NULL;
	struct err err;
	char *path = path_of("main.conf");
	FILE *file = fopen(path, "w");

	(void)state;
	check("written",
	      file != NULL && fwrite("state = \"a\";\0x", 1, 14, file) == 14 && fclose(file) == 0);
	check_refused("main.conf: the file has a NUL octet; write text");
	file = fopen(path, "w");
	check("large", file != NULL && fseek(file, 1024 * 1024, SEEK_SET) == 0 &&
			       fputc('x', file) == 'x' && fclose(file) == 0);
	check_refused("main.conf: the file is larger than 1048576 octets; make several of it, and "
		      "name them by `include`");
	check("removed", remove(path) == 0);
	check("missing", load(&conf, &err) != ERR_NONE && conf == NULL);
	free(path);
	no_misses();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(merges_included_files, setup, teardown),
		cmocka_unit_test_setup_teardown(reads_groups_in_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_what_stands_in_two_files, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_bad_includes, setup, teardown),
		cmocka_unit_test_setup_teardown(the_main_file_does_not_include_itself, setup,
						teardown),
		cmocka_unit_test_setup_teardown(files_are_credentials_or_beside_the_main_file,
						setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_files_that_are_not_text, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
