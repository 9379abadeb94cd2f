/*
 * The layout "certbot": exactly what certbot has, so that it, and whatever knows its folders, may
 * take over again.
 *
 *   ROOT/archive/NAME/privkeyN.pem ...      N counts up; old ones stay, as with certbot
 *   ROOT/live/NAME/privkey.pem -> ../../archive/NAME/privkeyN.pem
 *
 * certbot replaces the four links one after another. Here a new folder of links is exchanged with
 * live/NAME in one step, where the file system can (renameat2).
 */
#include "export.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define NUMBER_MAX 999999
#define PUBLIC_MODE 0644
#define TARGET_MAX 4096
#define ARCHIVE_NAME_MAX 64

struct certbot {
	const char *name;  /* of the lineage's two folders */
	char *fresh;       /* in live: the folder of links on its way, or the old one */
	int live, archive; /* ROOT/live, ROOT/archive/NAME */
	unsigned now;      /* what live/NAME leads to; 0: nothing */
	unsigned next;
	bool writing; /* files of next may be there */
};

/* ---- numbers ----------------------------------------------------------------------------- */

/* privkey12.pem; EXPORT_PART_COUNT: another file. */
static enum export_part part_of(const char *name, unsigned *number)
{
	size_t len = strlen(name);

	for (enum export_part part = 0; part < EXPORT_PART_COUNT; part++) {
		size_t start = strlen(export_part_name(part));
		char digits[16];
		uint64_t value;

		if (len <= start + 4 || len - start - 4 >= sizeof(digits) ||
		    strncmp(name, export_part_name(part), start) != 0 ||
		    strcmp(name + len - 4, ".pem") != 0) {
			continue;
		}
		snprintf(digits, sizeof(digits), "%.*s", (int)(len - start - 4), name + start);
		if (text_parse_u64(digits, NUMBER_MAX, &value)) {
			*number = (unsigned)value;
			return part;
		}
	}
	return EXPORT_PART_COUNT;
}

static void archive_name(char out[ARCHIVE_NAME_MAX], enum export_part part, unsigned number)
{
	snprintf(out, ARCHIVE_NAME_MAX, "%s%u.pem", export_part_name(part), number);
}

static bool is_link_name(const char *name)
{
	for (enum export_part part = 0; part < EXPORT_PART_COUNT; part++) {
		size_t len = strlen(export_part_name(part));

		if (strncmp(name, export_part_name(part), len) == 0 &&
		    strcmp(name + len, ".pem") == 0) {
			return true;
		}
	}
	return false;
}

static bool is_there(int folder, const char *name)
{
	return faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Where live/NAME/privkey.pem leads; refuses what is no link. */
static enum err_code read_now(struct certbot *certbot, struct err *err)
{
	char *path = xasprintf("%s/privkey.pem", certbot->name), target[TARGET_MAX];
	ssize_t len = readlinkat(certbot->live, path, target, sizeof(target) - 1);
	int why = errno;

	free(path);
	if (len < 0 && why == ENOENT) {
		return ERR_NONE;
	}
	if (len < 0 && why == ENOTDIR) {
		return err_set(err, ERR_EXISTS, "",
			       "it is a file, and this layout writes a folder; remove the file, or "
			       "choose another path");
	}
	if (len < 0) {
		return err_set(err, ERR_EXISTS, "",
			       "privkey.pem in it is no link into the archive, so this is not "
			       "certbot's folder; move it away, or choose layout = \"files\"");
	}
	target[len] = '\0';
	if (strrchr(target, '/') &&
	    part_of(strrchr(target, '/') + 1, &certbot->now) != EXPORT_KEY) {
		certbot->now = 0;
	}
	return ERR_NONE;
}

static enum err_code find_next(void *arg, const char *name, struct err *err)
{
	struct certbot *certbot = arg;
	unsigned number;

	(void)err;
	if (part_of(name, &number) != EXPORT_PART_COUNT && number >= certbot->next) {
		certbot->next = number + 1;
	}
	return ERR_NONE;
}

/* ---- what a crash left ------------------------------------------------------------------ */

static bool set_is_whole(const struct certbot *certbot, unsigned number)
{
	char name[ARCHIVE_NAME_MAX];
	bool whole = true;

	for (enum export_part part = 0; part < EXPORT_PART_COUNT; part++) {
		archive_name(name, part, number);
		whole = whole && is_there(certbot->archive, name);
	}
	return whole;
}

/* Files on their way, and sets that lack a file and that nothing ever led to. */
static enum err_code tidy_archive(void *arg, const char *name, struct err *err)
{
	struct certbot *certbot = arg;
	size_t len = strlen(name), end = strlen(EXPORT_NEW);
	unsigned number = 0;
	bool half = len > end && strcmp(name + len - end, EXPORT_NEW) == 0;

	if (part_of(name, &number) != EXPORT_PART_COUNT && number > certbot->now) {
		half = !set_is_whole(certbot, number);
	}
	return half ? export_remove(certbot->archive, name, err) : ERR_NONE;
}

static enum err_code move_one(void *arg, const char *name, struct err *err)
{
	const struct certbot *certbot = arg;
	char *from = path_join(certbot->fresh, name), *to = path_join(certbot->name, name);
	enum err_code code = ERR_NONE;

	if (!is_link_name(name) && !is_there(certbot->live, to) &&
	    renameat(certbot->live, from, certbot->live, to) != 0) {
		code = export_failed("a file in it cannot be kept", err);
	}
	free(from);
	free(to);
	return code;
}

/* The old folder: what else was in it goes into the new one. */
static enum err_code clear_fresh(struct certbot *certbot, struct err *err)
{
	int folder = openat(certbot->live, certbot->fresh,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	enum err_code code = ERR_NONE;

	if (folder >= 0) {
		if (is_there(certbot->live, certbot->name)) {
			code = export_list(folder, move_one, certbot, err);
		}
		close(folder);
	}
	return code == ERR_NONE ? export_remove(certbot->live, certbot->fresh, err) : code;
}

/* ---- writing ------------------------------------------------------------------------------ */

static enum err_code write_archive(const struct certbot *certbot, const struct export_set *set,
				   const struct export_rights *rights, struct err *err)
{
	char name[ARCHIVE_NAME_MAX], fresh[ARCHIVE_NAME_MAX + sizeof(EXPORT_NEW)];
	enum err_code code = ERR_NONE;

	for (enum export_part part = 0; part < EXPORT_PART_COUNT && code == ERR_NONE; part++) {
		struct export_piece piece = {
			.name = fresh,
			.data = &set->part[part],
			.mode = part == EXPORT_KEY ? rights->key_mode : PUBLIC_MODE,
		};

		archive_name(name, part, certbot->next);
		snprintf(fresh, sizeof(fresh), "%s" EXPORT_NEW, name);
		code = export_put(certbot->archive, &piece, rights, err);
	}
	for (enum export_part part = 0; part < EXPORT_PART_COUNT && code == ERR_NONE; part++) {
		archive_name(name, part, certbot->next);
		snprintf(fresh, sizeof(fresh), "%s" EXPORT_NEW, name);
		if (renameat(certbot->archive, fresh, certbot->archive, name) != 0) {
			code = export_failed("a file of the archive cannot be made", err);
		}
	}
	return code == ERR_NONE ? export_sync(certbot->archive, err) : code;
}

static enum err_code link_parts(const struct certbot *certbot, int folder, struct err *err)
{
	enum err_code code = ERR_NONE;

	for (enum export_part part = 0; part < EXPORT_PART_COUNT && code == ERR_NONE; part++) {
		char *name = xasprintf("%s.pem", export_part_name(part));
		char *target = xasprintf("../../archive/%s/%s%u.pem", certbot->name,
					 export_part_name(part), certbot->next);

		code = export_link(folder, target, name, err);
		free(name);
		free(target);
	}
	return code == ERR_NONE ? export_sync(folder, err) : code;
}

/* A file system without an exchange: one link after another, as certbot does it. */
static enum err_code switch_links(const struct certbot *certbot, struct err *err)
{
	enum err_code code;
	int folder;

	log_info("%s: this file system cannot exchange folders, so the links are switched one "
		 "after another",
		 certbot->name);
	code = export_open(certbot->live, certbot->name, &folder, err);
	if (code == ERR_NONE) {
		code = link_parts(certbot, folder, err);
		close(folder);
	}
	return code;
}

static enum err_code switch_live(const struct certbot *certbot, struct err *err)
{
	int live = certbot->live;

	if (!is_there(live, certbot->name)) {
		return renameat(live, certbot->fresh, live, certbot->name) == 0
			       ? export_sync(live, err)
			       : export_failed("the folder cannot be made", err);
	}
	if (renameat2(live, certbot->fresh, live, certbot->name, RENAME_EXCHANGE) == 0) {
		return export_sync(live, err);
	}
	if (errno == EINVAL || errno == ENOSYS || errno == ENOTSUP) {
		return switch_links(certbot, err);
	}
	return export_failed("the folder cannot be replaced", err);
}

static enum err_code write_live(struct certbot *certbot, struct err *err)
{
	struct stat was;
	enum err_code code;
	int folder;

	code = export_open(certbot->live, certbot->fresh, &folder, err);
	if (code != ERR_NONE) {
		return code;
	}
	if (fstatat(certbot->live, certbot->name, &was, 0) == 0 &&
	    (fchmod(folder, was.st_mode & 07777) != 0 ||
	     fchown(folder, was.st_uid, was.st_gid) != 0)) {
		log_debug("%s: the folder's owner is not kept: %s", certbot->name, strerror(errno));
	}
	code = link_parts(certbot, folder, err);
	close(folder);
	return code == ERR_NONE ? switch_live(certbot, err) : code;
}

/* ---- the layout ------------------------------------------------------------------------- */

static enum err_code open_archive(struct certbot *certbot, int root, struct err *err)
{
	enum err_code code;
	int all;

	code = export_open(root, "archive", &all, err);
	if (code != ERR_NONE) {
		return code;
	}
	code = export_open(all, certbot->name, &certbot->archive, err);
	close(all);
	return code;
}

static enum err_code open_folders(struct certbot *certbot, const char *root_path, struct err *err)
{
	int root = open(root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *renewal = xasprintf("%s/renewal/%s.conf", root_path, certbot->name);
	enum err_code code;

	if (access(renewal, F_OK) == 0) {
		log_warn("%s: certbot renews it too, by %s; move that file away", certbot->name,
			 renewal);
	}
	free(renewal);
	if (root < 0) {
		return export_failed("the folder above its live folder cannot be opened", err);
	}
	code = export_open(root, "live", &certbot->live, err);
	if (code == ERR_NONE) {
		code = open_archive(certbot, root, err);
	}
	close(root);
	return code;
}

static enum err_code write_both(struct certbot *certbot, const struct export_set *set,
				const struct export_rights *rights, struct err *err)
{
	enum err_code code = read_now(certbot, err);

	if (code == ERR_NONE) {
		code = clear_fresh(certbot, err);
	}
	if (code == ERR_NONE) {
		code = export_list(certbot->archive, tidy_archive, certbot, err);
	}
	if (code == ERR_NONE) {
		code = export_list(certbot->archive, find_next, certbot, err);
	}
	if (code == ERR_NONE) {
		certbot->writing = true;
		code = write_archive(certbot, set, rights, err);
	}
	if (code == ERR_NONE) {
		code = write_live(certbot, err);
	}
	return code;
}

/* No key of a set that nothing leads to stays behind. */
static void undo(struct certbot *certbot)
{
	struct certbot there = *certbot;
	char name[ARCHIVE_NAME_MAX], fresh[ARCHIVE_NAME_MAX + sizeof(EXPORT_NEW)];

	if (!certbot->writing || read_now(&there, NULL) != ERR_NONE || there.now == certbot->next) {
		return;
	}
	for (enum export_part part = 0; part < EXPORT_PART_COUNT; part++) {
		archive_name(name, part, certbot->next);
		snprintf(fresh, sizeof(fresh), "%s" EXPORT_NEW, name);
		unlinkat(certbot->archive, name, 0);
		unlinkat(certbot->archive, fresh, 0);
	}
}

enum err_code export_certbot(const char *path, const struct export_set *set,
			     const struct export_rights *rights, struct err *err)
{
	char *live = path_dir(path), *root = path_dir(live);
	struct certbot certbot = {
		.name = strrchr(path, '/') + 1,
		.live = -1,
		.archive = -1,
		.next = 1,
	};
	struct err later;
	enum err_code code;

	certbot.fresh = xasprintf(".%s" EXPORT_NEW, certbot.name);
	code = open_folders(&certbot, root, err);
	if (code == ERR_NONE) {
		code = write_both(&certbot, set, rights, err);
		if (code != ERR_NONE) {
			undo(&certbot);
		}
		if (clear_fresh(&certbot, &later) != ERR_NONE && code == ERR_NONE) {
			log_warn("%s: %s", path, later.text);
		}
	}
	if (certbot.live >= 0) {
		close(certbot.live);
	}
	if (certbot.archive >= 0) {
		close(certbot.archive);
	}
	free(certbot.fresh);
	free(live);
	free(root);
	return code;
}
