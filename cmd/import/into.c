/* into: which file is written, and of which configuration it will be a part. */
#include "internal.h"

#include <errno.h>
#include <fnmatch.h>

#define INCLUDED "conf.d"
#define FILES_MAX 1000 /* of one name */
#define SECRET_MAX (64 * 1024)

/* An absolute path; the folder need not exist. Gives. */
static char *absolute(const char *path)
{
	char *folder = path_dir(path);
	const char *slash = strrchr(path, '/');
	char *real = realpath(folder, NULL);
	char *here, *out;

	if (real) {
		out = path_join(real, slash ? slash + 1 : path);
	} else if (path[0] == '/') {
		out = xstrdup(path);
	} else {
		here = realpath(".", NULL);
		out = path_join(here ? here : "/", path);
		free(here);
	}
	free(real);
	free(folder);
	return out;
}

static bool holds(const char *path, const char *text)
{
	struct buf there;
	bool same = theirs_read(path, SECRET_MAX, &there, NULL) == ERR_NONE &&
		    there.len == strlen(text) && memcmp(buf_str(&there), text, there.len) == 0;

	buf_wipe(&there);
	return same;
}

char *into_free(const char *folder, const char *stem, const char *suffix, const char *text)
{
	char *path = xasprintf("%s/%s%s", folder, stem, suffix);

	for (unsigned i = 2; i < FILES_MAX && access(path, F_OK) == 0; i++) {
		if (text && holds(path, text)) {
			break;
		}
		free(path);
		path = xasprintf("%s/%s-%u%s", folder, stem, i, suffix);
	}
	return path;
}

/* Whether the main configuration reads that file. */
static bool is_included(const struct import *import, const char *path)
{
	const struct conf *conf = import->args->conf;
	char *folder = path_dir(import->main_file);
	bool included = strcmp(path, import->main_file) == 0;

	for (size_t i = 0; i < conf->include.count && !included; i++) {
		char *pattern = path_join(folder, conf->include.item[i]);

		included = fnmatch(pattern, path, FNM_PATHNAME | FNM_PERIOD) == 0;
		free(pattern);
	}
	free(folder);
	return included;
}

static enum err_code into_given(struct import *import, struct err *err)
{
	import->into = absolute(import->args->into);
	if (import->args->conf && is_included(import, import->into)) {
		import->there = import->args->conf;
		return ERR_NONE;
	}
	import->alone = true;
	if (access(import->into, F_OK) != 0) {
		return ERR_NONE;
	}
	if (conf_load(import->into, import->args->rows, &import->loaded, err) != ERR_NONE) {
		return err->code;
	}
	import->there = import->loaded;
	return ERR_NONE;
}

enum err_code into_find(struct import *import, struct err *err)
{
	char *folder, *included, *stem;

	import->main_file = absolute(import->args->conf_path);
	if (import->args->into) {
		return into_given(import, err);
	}
	folder = path_dir(import->main_file);
	included = path_join(folder, INCLUDED);
	stem = xasprintf("imported-%s", import->args->client);
	import->into = into_free(included, stem, ".conf", NULL);
	import->there = import->args->conf;
	if (import->there && !is_included(import, import->into)) {
		import_say(import, IMPORT_TODO, import->main_file,
			   "does not read %s: add \"" INCLUDED "/*.conf\" to its include",
			   import->into);
	}
	free(stem);
	free(included);
	free(folder);
	return ERR_NONE;
}

char *into_secrets(const struct import *import)
{
	return path_dir(import->alone ? import->into : import->main_file);
}
