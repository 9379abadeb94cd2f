/* theirs: another client's folder, read and never written. Its files are whatever they are:
 * sizes, counts and kinds are bounded here. */
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define CHUNK 4096

static enum err_code read_all(int fd, const char *path, struct buf *out, struct err *err)
{
	char chunk[CHUNK];
	ssize_t got;

	do {
		got = read(fd, chunk, sizeof(chunk));
		if (got > 0) {
			buf_add(out, chunk, (size_t)got);
		}
	} while ((got > 0 && !out->overflow) || (got < 0 && errno == EINTR));
	wipe(chunk, sizeof(chunk));
	if (got < 0) {
		return err_set(err, ERR_IO, path, "cannot be read: %s", strerror(errno));
	}
	if (out->overflow) {
		return err_set(err, ERR_LIMIT, path, "is larger than %zu octets", out->max);
	}
	return ERR_NONE;
}

enum err_code theirs_read(const char *path, size_t max, struct buf *out, struct err *err)
{
	enum err_code code;
	struct stat st;
	int fd;

	buf_init(out, max);
	/* Without O_NONBLOCK a FIFO would wait for a writer. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, path,
			       "cannot be read: %s", strerror(errno));
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		code = err_set(err, ERR_IO, path, "is no regular file");
	} else {
		code = read_all(fd, path, out, err);
	}
	close(fd);
	if (code != ERR_NONE) {
		buf_wipe(out);
	}
	return code;
}

/* ---- by their kind ---------------------------------------------------------------- */

typedef enum err_code pairs_reader(const struct pairs_text *from, struct pairs *out,
				   struct err *err);

static enum err_code read_pairs(const char *path, pairs_reader *reader, struct pairs *out,
				struct err *err)
{
	struct buf text;
	enum err_code code = theirs_read(path, PAIRS_TEXT_MAX, &text, err);

	if (code == ERR_NONE) {
		code = reader(&(struct pairs_text){ buf_str(&text), text.len, path }, out, err);
	}
	buf_wipe(&text);
	return code;
}

enum err_code theirs_ini(const char *path, struct pairs *out, struct err *err)
{
	return read_pairs(path, pairs_read_ini, out, err);
}

enum err_code theirs_shell(const char *path, struct pairs *out, struct err *err)
{
	return read_pairs(path, pairs_read_shell, out, err);
}

enum err_code theirs_json(const char *path, struct json **out, struct err *err)
{
	struct buf text;
	enum err_code code = theirs_read(path, JSON_TEXT_MAX, &text, err);
	struct err why;

	if (code == ERR_NONE && json_parse(buf_str(&text), text.len, out, &why) != ERR_NONE) {
		/* Not what stands there: it may be a secret. */
		code = err_set(err, ERR_CONFIG, path, "is not the JSON that it should be");
	}
	buf_wipe(&text);
	return code;
}

enum err_code theirs_key(const char *path, struct key **out, struct err *err)
{
	struct buf pem;
	enum err_code code = theirs_read(path, KEY_PEM_MAX, &pem, err);

	if (code == ERR_NONE) {
		code = key_parse_pem(buf_str(&pem), pem.len, path, out, err);
	}
	buf_wipe(&pem);
	return code;
}

static bool is_leaf_alone(const struct buf *pem)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	const char *first = strstr(buf_str(pem), begin);

	return first && !strstr(first + 1, begin);
}

enum err_code theirs_chain(const char *path, const char *more, struct chain **out, struct err *err)
{
	struct buf pem;
	struct buf rest = BUF_INIT(CHAIN_PEM_MAX);
	enum err_code code = theirs_read(path, CHAIN_PEM_MAX, &pem, err);

	if (code == ERR_NONE && more && is_leaf_alone(&pem) &&
	    theirs_read(more, CHAIN_PEM_MAX, &rest, NULL) == ERR_NONE) {
		buf_add_str(&pem, "\n");
		buf_add(&pem, buf_str(&rest), rest.len);
	}
	if (code == ERR_NONE) {
		code = chain_parse(buf_str(&pem), pem.len, out, err);
		if (code != ERR_NONE && err && !err->subject[0]) {
			err_subject(err, "%s", path);
		}
	}
	buf_clear(&rest);
	buf_clear(&pem);
	return code;
}

/* ---- folders and names ------------------------------------------------------------- */

static int by_octets(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

enum err_code theirs_list(const char *folder, struct strlist *out, struct err *err)
{
	enum err_code code = ERR_NONE;
	struct dirent *entry;
	DIR *dir = opendir(folder);

	if (!dir) {
		return err_set(err, errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO,
			       folder, "cannot be read: %s", strerror(errno));
	}
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.') {
			continue;
		}
		if (out->count == SOURCE_ENTRIES_MAX) {
			code = err_set(err, ERR_LIMIT, folder, "holds more than %d entries",
				       SOURCE_ENTRIES_MAX);
			break;
		}
		strlist_add(out, entry->d_name);
	}
	closedir(dir);
	if (code != ERR_NONE) {
		strlist_clear(out);
	}
	if (out->count > 0) {
		qsort(out->item, out->count, sizeof(*out->item), by_octets);
	}
	return code;
}

bool theirs_list_some(struct import *import, const char *folder, struct strlist *out)
{
	struct err err;
	enum err_code code = theirs_list(folder, out, &err);

	if (code != ERR_NONE && code != ERR_NOT_FOUND) {
		import_say_err(import, "folder", &err, "run this as who may read it");
	}
	return code == ERR_NONE;
}

bool theirs_is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool theirs_is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool theirs_is_component(const char *name)
{
	return name[0] && name[0] != '.' && !strchr(name, '/') && strlen(name) <= NAME_MAX;
}

bool theirs_has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name), suffix_len = strlen(suffix);

	return len > suffix_len && strcmp(name + len - suffix_len, suffix) == 0;
}
