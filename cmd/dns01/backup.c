/*
 * dns01 backup: the state folder as one tar archive (POSIX.1-1988 ustar), while others use it. The
 * databases are copied as a whole first; `tar -xf FILE -C STATE` restores them.
 */
#include "cli.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define BLOCK 512
#define NAME_MAX_USTAR 100
#define FILE_LARGEST ((size_t)1 << 30)

struct archive {
	int fd;
	const char *path;
};

static enum err_code put(struct archive *archive, const void *data, size_t len, struct err *err)
{
	static const char zeros[BLOCK];
	const size_t fill = (BLOCK - len % BLOCK) % BLOCK;
	const char *at = data;

	while (len > 0) {
		ssize_t done = write(archive->fd, at, len);

		if (done < 0) {
			return err_set(err, ERR_IO, archive->path, "cannot be written: %s",
				       strerror(errno));
		}
		at += done;
		len -= (size_t)done;
	}
	if (fill > 0 && write(archive->fd, zeros, fill) != (ssize_t)fill) {
		return err_set(err, ERR_IO, archive->path, "cannot be written: %s",
			       strerror(errno));
	}
	return ERR_NONE;
}

static enum err_code put_head(struct archive *archive, const char *name, const struct stat *st,
			      const char *link, struct err *err)
{
	char head[BLOCK] = { 0 };
	unsigned sum = 0;
	char type = S_ISDIR(st->st_mode) ? '5' : S_ISLNK(st->st_mode) ? '2' : '0';

	if (strlen(name) >= NAME_MAX_USTAR || (link && strlen(link) >= NAME_MAX_USTAR)) {
		return err_set(err, ERR_LIMIT, name, "the path is too long for the archive");
	}
	snprintf(head, NAME_MAX_USTAR, "%s", name);
	snprintf(head + 100, 8, "%07o", (unsigned)st->st_mode & 07777);
	snprintf(head + 108, 8, "%07o", (unsigned)st->st_uid & 07777777);
	snprintf(head + 116, 8, "%07o", (unsigned)st->st_gid & 07777777);
	snprintf(head + 124, 12, "%011llo", type == '0' ? (unsigned long long)st->st_size : 0ULL);
	snprintf(head + 136, 12, "%011llo", (unsigned long long)st->st_mtime);
	memset(head + 148, ' ', 8);
	head[156] = type;
	snprintf(head + 157, NAME_MAX_USTAR, "%s", link ? link : "");
	memcpy(head + 257, "ustar\00000", 8);
	for (size_t i = 0; i < BLOCK; i++) {
		sum += (unsigned char)head[i];
	}
	snprintf(head + 148, 7, "%06o", sum);
	return put(archive, head, sizeof(head), err);
}

static enum err_code put_file(struct archive *archive, const char *path, const char *name,
			      struct err *err)
{
	struct buf text = BUF_INIT(0);
	struct stat st;
	char link[NAME_MAX_USTAR + 1] = "";
	ssize_t len;
	enum err_code code = ERR_NONE;

	if (lstat(path, &st) != 0) {
		return err_set(err, ERR_IO, path, "cannot be read: %s", strerror(errno));
	}
	if (S_ISLNK(st.st_mode)) {
		len = readlink(path, link, sizeof(link) - 1);
		link[len > 0 ? len : 0] = '\0';
	} else if (S_ISREG(st.st_mode)) {
		code = file_read(path, FILE_LARGEST, &text, err);
		st.st_size = (off_t)text.len; /* it may have grown since */
	}
	if (code == ERR_NONE) {
		code = put_head(archive, name, &st, S_ISLNK(st.st_mode) ? link : NULL, err);
	}
	if (code == ERR_NONE && text.len > 0) {
		code = put(archive, text.data, text.len, err);
	}
	buf_wipe(&text);
	return code;
}

/* What is copied in another way, or belongs to running processes alone. */
static bool is_left_out(const char *name)
{
	static const char *const names[] = { ".",
					     "..",
					     "journal.db",
					     "journal.db-wal",
					     "journal.db-shm",
					     "clients.db",
					     "clients.db-wal",
					     "clients.db-shm",
					     "renewals.db",
					     "renewals.db-wal",
					     "renewals.db-shm",
					     "holders",
					     "zones.lock" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(name, names[i]) == 0) {
			return true;
		}
	}
	return strncmp(name, ".backup-", 8) == 0;
}

static enum err_code put_folder(struct archive *archive, const char *path, const char *prefix,
				struct err *err)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	enum err_code code = ERR_NONE;

	if (!folder) {
		return err_set(err, ERR_IO, path, "cannot be read: %s", strerror(errno));
	}
	while (code == ERR_NONE && (entry = readdir(folder))) {
		char *inner, *name;
		struct stat st;

		if (is_left_out(entry->d_name)) {
			continue;
		}
		inner = path_join(path, entry->d_name);
		name = xasprintf("%s%s", prefix, entry->d_name);
		code = put_file(archive, inner, name, err);
		if (code == ERR_NONE && lstat(inner, &st) == 0 && S_ISDIR(st.st_mode)) {
			char *deeper = xasprintf("%s/", name);

			code = put_folder(archive, inner, deeper, err);
			free(deeper);
		}
		free(inner);
		free(name);
	}
	closedir(folder);
	return code;
}

static enum err_code put_database(struct archive *archive, const char *state, const char *name,
				  struct err *err)
{
	char *path = path_join(state, name);
	char *copy = xasprintf("%s/.backup-%ld-%s", state, (long)getpid(), name);
	enum err_code code = ERR_NONE;

	if (access(path, F_OK) == 0) {
		code = state_db_copy(state, name, copy, err);
		if (code == ERR_NONE) {
			code = put_file(archive, copy, name, err);
		}
		unlink(copy);
	}
	free(path);
	free(copy);
	return code;
}

static enum err_code write_archive(const char *state, const char *path, struct err *err)
{
	static const char end[2 * BLOCK];
	static const char *const databases[] = { "journal.db", "clients.db", "renewals.db" };
	char *fresh = xasprintf("%s.new", path);
	struct archive archive = { .path = path };
	enum err_code code = ERR_NONE;

	archive.fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (archive.fd < 0 || fchmod(archive.fd, 0600) != 0) {
		code = err_set(err, ERR_IO, path, "cannot be written: %s", strerror(errno));
		goto out;
	}
	for (size_t i = 0; i < ARRAY_LEN(databases) && code == ERR_NONE; i++) {
		code = put_database(&archive, state, databases[i], err);
	}
	if (code == ERR_NONE) {
		code = put_folder(&archive, state, "", err);
	}
	if (code == ERR_NONE) {
		code = put(&archive, end, sizeof(end), err);
	}
	if (code == ERR_NONE && (fsync(archive.fd) != 0 || rename(fresh, path) != 0)) {
		code = err_set(err, ERR_IO, path, "cannot be written: %s", strerror(errno));
	}
out:
	if (archive.fd >= 0) {
		close(archive.fd);
	}
	if (code != ERR_NONE) {
		unlink(fresh);
	}
	free(fresh);
	return code;
}

int verb_backup(int argc, char **argv)
{
	struct options options = { 0 };
	struct conf *conf = NULL;
	struct err err;
	enum err_code code = options_parse(&options, OPTIONS_COMMON, argc, argv, &err);

	if (code == ERR_NONE) {
		code = cli_conf(&options, &conf, &err);
	}
	if (code == ERR_NONE) {
		code = state_open(conf->state, &err);
	}
	if (code == ERR_NONE) {
		code = write_archive(conf->state, options.names[0], &err);
	}
	if (code == ERR_NONE && !options.quiet) {
		printf("%s holds keys and credentials: keep it safe\n"
		       "to restore: tar -xf %s -C %s, then dns01 sweep\n",
		       options.names[0], options.names[0], conf->state);
	} else if (code != ERR_NONE && code != ERR_CANCELED) {
		cli_print_error(&err, options.json);
	}
	conf_free(conf);
	options_clear(&options);
	return code == ERR_CANCELED ? 0 : err_exit_status(code);
}
