/*
 * dns01 backup: the state folder as one tar archive (POSIX.1-2001 ustar), while others use it. The
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
	struct stat self; /* it may be in the state folder */
};

/* Links are read first: what they lead to may be replaced meanwhile, but stays for some time. */
enum pass { PASS_LINKS, PASS_OTHERS };

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

struct head {
	const char *name;
	const char *link; /* NULL: it is none */
	char type;        /* '0' file, '2' link, '5' folder, 'x' what belongs to the next one */
	unsigned mode, uid, gid;
	size_t size;
	time_t mtime;
};

static enum err_code put_head(struct archive *archive, const struct head *of, struct err *err)
{
	char head[BLOCK] = { 0 };
	unsigned sum = 0;

	snprintf(head, NAME_MAX_USTAR, "%s", of->name);
	snprintf(head + 100, 8, "%07o", of->mode & 07777);
	snprintf(head + 108, 8, "%07o", of->uid & 07777777);
	snprintf(head + 116, 8, "%07o", of->gid & 07777777);
	snprintf(head + 124, 12, "%011zo", of->size);
	snprintf(head + 136, 12, "%011llo", (unsigned long long)of->mtime);
	memset(head + 148, ' ', 8);
	head[156] = of->type;
	snprintf(head + 157, NAME_MAX_USTAR, "%s", of->link ? of->link : "");
	memcpy(head + 257, "ustar\00000", 8);
	for (size_t i = 0; i < BLOCK; i++) {
		sum += (unsigned char)head[i];
	}
	snprintf(head + 148, 7, "%06o", sum);
	return put(archive, head, sizeof(head), err);
}

/* POSIX.1-2001: "LENGTH path=NAME" before the head of a file with a long name; the length is that
 * of the line, itself included. */
static enum err_code put_long_name(struct archive *archive, const char *name, struct err *err)
{
	size_t rest = strlen(" path=\n") + strlen(name), len = rest + 1;
	char *line = xasprintf("%zu path=%s\n", len, name);
	enum err_code code;

	while (strlen(line) != len) {
		len = strlen(line);
		free(line);
		line = xasprintf("%zu path=%s\n", len, name);
	}
	code = put_head(archive, &(struct head){ .name = "name", .type = 'x', .size = len }, err);
	if (code == ERR_NONE) {
		code = put(archive, line, len, err);
	}
	free(line);
	return code;
}

static enum err_code put_entry(struct archive *archive, const struct head *head,
			       const struct buf *text, struct err *err)
{
	enum err_code code = ERR_NONE;

	if (strlen(head->name) >= NAME_MAX_USTAR) {
		code = put_long_name(archive, head->name, err);
	}
	if (code == ERR_NONE) {
		code = put_head(archive, head, err);
	}
	if (code == ERR_NONE && head->size > 0) {
		code = put(archive, text->data, text->len, err);
	}
	return code;
}

static struct head head_of(const struct stat *st, const char *name)
{
	return (struct head){
		.name = name,
		.type = S_ISDIR(st->st_mode)   ? '5'
			: S_ISLNK(st->st_mode) ? '2'
					       : '0',
		.mode = (unsigned)st->st_mode,
		.uid = (unsigned)st->st_uid,
		.gid = (unsigned)st->st_gid,
		.mtime = st->st_mtime,
	};
}

/* What is gone since its folder was read is left out. */
static enum err_code put_file(struct archive *archive, const char *path, const struct stat *st,
			      const char *name, struct err *err)
{
	struct head head = head_of(st, name);
	struct buf text = BUF_INIT(0);
	char link[NAME_MAX_USTAR] = "";
	enum err_code code = ERR_NONE;

	if (head.type == '2') {
		ssize_t len = readlink(path, link, sizeof(link));

		if (len < 0 && errno == ENOENT) {
			return ERR_NONE;
		}
		if (len < 0 || (size_t)len == sizeof(link)) {
			return err_set(err, ERR_IO, path,
				       "the link cannot be read, or is too long");
		}
		head.link = link;
	} else if (head.type == '0') {
		code = file_read(path, FILE_LARGEST, &text, err);
		head.size = text.len; /* it may have grown since */
	}
	if (code == ERR_NONE) {
		code = put_entry(archive, &head, &text, err);
	} else if (code == ERR_NOT_FOUND) {
		code = ERR_NONE;
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

static bool is_itself(const struct archive *archive, const struct stat *st)
{
	return st->st_dev == archive->self.st_dev && st->st_ino == archive->self.st_ino;
}

static enum err_code put_folder(struct archive *archive, const char *path, const char *prefix,
				struct err *err);

static enum err_code put_either(struct archive *archive, const char *path, const char *name,
				enum pass pass, struct err *err)
{
	struct stat st;
	char *inner;
	enum err_code code;

	if (lstat(path, &st) != 0) {
		return errno == ENOENT
			       ? ERR_NONE
			       : err_set(err, ERR_IO, path, "cannot be read: %s", strerror(errno));
	}
	if (S_ISLNK(st.st_mode) != (pass == PASS_LINKS) || is_itself(archive, &st)) {
		return ERR_NONE;
	}
	code = put_file(archive, path, &st, name, err);
	if (code == ERR_NONE && S_ISDIR(st.st_mode)) {
		inner = xasprintf("%s/", name);
		code = put_folder(archive, path, inner, err);
		free(inner);
	}
	return code;
}

static enum err_code put_pass(struct archive *archive, const char *path, const char *prefix,
			      enum pass pass, struct err *err)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	enum err_code code = ERR_NONE;

	if (!folder) {
		return errno == ENOENT
			       ? ERR_NONE
			       : err_set(err, ERR_IO, path, "cannot be read: %s", strerror(errno));
	}
	while (code == ERR_NONE && (entry = readdir(folder))) {
		char *inner, *name;

		if (is_left_out(entry->d_name)) {
			continue;
		}
		inner = path_join(path, entry->d_name);
		name = xasprintf("%s%s", prefix, entry->d_name);
		code = put_either(archive, inner, name, pass, err);
		free(inner);
		free(name);
	}
	closedir(folder);
	return code;
}

static enum err_code put_folder(struct archive *archive, const char *path, const char *prefix,
				struct err *err)
{
	enum err_code code = put_pass(archive, path, prefix, PASS_LINKS, err);

	return code == ERR_NONE ? put_pass(archive, path, prefix, PASS_OTHERS, err) : code;
}

/* Empty files beside it take the place of those in the folder that it is restored to: what they
 * hold would be written into the database. */
static enum err_code put_copy(struct archive *archive, const char *copy, const char *name,
			      struct err *err)
{
	static const char *const beside[] = { "-wal", "-shm" };
	struct stat st;
	enum err_code code;

	if (stat(copy, &st) != 0) {
		return err_set(err, ERR_IO, copy, "cannot be read: %s", strerror(errno));
	}
	code = put_file(archive, copy, &st, name, err);
	for (size_t i = 0; i < ARRAY_LEN(beside) && code == ERR_NONE; i++) {
		char *empty = xasprintf("%s%s", name, beside[i]);
		struct head head = head_of(&st, empty);

		code = put_head(archive, &head, err);
		free(empty);
	}
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
			code = put_copy(archive, copy, name, err);
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
	if (archive.fd < 0 || fchmod(archive.fd, 0600) != 0 ||
	    fstat(archive.fd, &archive.self) != 0) {
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

static void show(const struct options *options, const char *state)
{
	const char *path = options->names[0];
	struct json *object;
	char *text;

	if (options->json) {
		object = json_object();
		json_set_str(object, "backup", path);
		text = json_pretty(object);
		puts(text);
		free(text);
		json_free(object);
	} else if (!options->quiet) {
		printf("%s holds keys and credentials: keep it safe\n"
		       "to restore: stop what uses %s, tar -xf %s -C %s, then dns01 sweep\n",
		       path, state, path, state);
	}
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
	if (code == ERR_NONE) {
		show(&options, conf->state);
	} else if (code != ERR_NONE && code != ERR_CANCELED) {
		cli_print_error(&err, options.json);
	}
	conf_free(conf);
	options_clear(&options);
	return code == ERR_CANCELED ? 0 : err_exit_status(code);
}
