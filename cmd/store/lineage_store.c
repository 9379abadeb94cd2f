/*
 * A new version of a lineage. What a reader sees is the old set or the new one:
 *
 *   .new-vNNNN/ written and synced -> vNNNN/ by a rename, synced -> `current` by a rename of a
 *   symlink, synced -> pending/ dropped, versions beyond the last five removed
 *
 * A crash leaves `current` where it was until the third step; the next store removes what
 * is left of the first.
 */
#include "lineage_internal.h"

#include "folder.h"

#include <dirent.h>
#include <errno.h>

#define VERSIONS_KEPT 5
#define VERSION_MAX 999999
#define VERSION_NAME_MAX 16
#define FILES 5

/* 0: not the name of a version. */
static unsigned version_of(const char *name)
{
	uint64_t version = 0;

	if (name[0] != 'v' || strlen(name) < 5 ||
	    !text_parse_u64(name + 1, VERSION_MAX, &version)) {
		return 0;
	}
	return (unsigned)version;
}

static void version_name(char out[VERSION_NAME_MAX], unsigned version)
{
	(void)snprintf(out, VERSION_NAME_MAX, "v%04u", version);
}

/* 0: none. */
static unsigned current_version(const struct lineage *lineage)
{
	char *path = path_join(lineage->folder, "current");
	char target[VERSION_NAME_MAX];
	ssize_t len = readlink(path, target, sizeof(target) - 1);

	free(path);
	if (len <= 0) {
		return 0;
	}
	target[len] = '\0';
	return version_of(target);
}

/* ---- versions that are there ------------------------------------------------------ */

struct versions {
	unsigned *item; /* ascending */
	size_t count;
};

static int by_number(const void *a, const void *b)
{
	unsigned left = *(const unsigned *)a;
	unsigned right = *(const unsigned *)b;

	return (left > right) - (left < right);
}

static void versions_add(struct versions *versions, unsigned version)
{
	versions->item =
		xreallocarray(versions->item, versions->count + 1, sizeof(*versions->item));
	versions->item[versions->count++] = version;
}

/* Removes what a crash left on the way. */
static enum err_code versions_read(const struct lineage *lineage, struct versions *out,
				   struct err *err)
{
	enum err_code code = ERR_NONE;
	struct dirent *entry;
	DIR *dir = opendir(lineage->folder);

	if (!dir) {
		return err_set(err, ERR_IO, lineage->folder, "cannot be read: %s", strerror(errno));
	}
	while (code == ERR_NONE && (entry = readdir(dir)) != NULL) {
		unsigned version = version_of(entry->d_name);

		if (version > 0) {
			versions_add(out, version);
		} else if (strncmp(entry->d_name, ".new-v", 6) == 0) {
			char *left = path_join(lineage->folder, entry->d_name);

			code = folder_remove(left, err);
			free(left);
		}
	}
	closedir(dir);
	if (out->count > 0) {
		qsort(out->item, out->count, sizeof(*out->item), by_number);
	}
	return code;
}

/* An old version that stays is no reason to fail. */
static void prune(const struct lineage *lineage, const struct versions *versions, unsigned current)
{
	size_t others = versions->count;
	char name[VERSION_NAME_MAX];
	struct err err;

	for (size_t i = 0; i < versions->count && others >= VERSIONS_KEPT; i++) {
		char *path;

		if (versions->item[i] == current) {
			continue;
		}
		version_name(name, versions->item[i]);
		path = path_join(lineage->folder, name);
		if (folder_remove(path, &err) != ERR_NONE) {
			log_warn("%s: %s", err.subject, err.text);
		}
		free(path);
		others--;
	}
}

/* ---- a new one -------------------------------------------------------------------- */

static enum err_code write_version(const struct lineage *lineage, const char *name,
				   const struct folder_file *files, struct err *err)
{
	struct folder_spec spec = {
		.parent = lineage->folder,
		.name = name,
		.mode = 0755, /* the lineage's own folder is what keeps others out */
		.files = files,
		.count = FILES,
	};

	return folder_write(&spec, err);
}

static enum err_code write_files(const struct lineage *lineage, const char *name,
				 const struct lineage_set *set, struct err *err)
{
	struct buf pem = BUF_INIT(KEY_PEM_MAX);
	struct buf leaf = BUF_INIT(CHAIN_PEM_MAX);
	struct buf rest = BUF_INIT(CHAIN_PEM_MAX);
	struct buf all = BUF_INIT(CHAIN_PEM_MAX);
	enum err_code code;

	key_format_pem(set->key, &pem);
	chain_format_leaf(set->chain, &leaf);
	chain_format_rest(set->chain, &rest);
	chain_format_all(set->chain, &all);
	code = write_version(lineage, name,
			     (const struct folder_file[FILES]){
				     { "privkey.pem", pem.data, pem.len, 0600 },
				     { "cert.pem", leaf.data, leaf.len, 0644 },
				     { "chain.pem", rest.data, rest.len, 0644 },
				     { "fullchain.pem", all.data, all.len, 0644 },
				     { "lineage.conf", set->conf, strlen(set->conf), 0600 },
			     },
			     err);
	buf_wipe(&pem);
	buf_clear(&leaf);
	buf_clear(&rest);
	buf_clear(&all);
	return code;
}

static enum err_code link_conf(const struct lineage *lineage, struct err *err)
{
	char *path = path_join(lineage->folder, "lineage.conf");
	char target[32];
	ssize_t len = readlink(path, target, sizeof(target));
	bool there = len == (ssize_t)strlen("current/lineage.conf") &&
		     memcmp(target, "current/lineage.conf", (size_t)len) == 0;
	enum err_code code = there ? ERR_NONE : folder_symlink("current/lineage.conf", path, err);

	free(path);
	return code;
}

static enum err_code switch_current(const struct lineage *lineage, const char *name, char **out,
				    struct err *err)
{
	char *path = path_join(lineage->folder, "current");
	enum err_code code = link_conf(lineage, err);

	if (code == ERR_NONE) {
		code = folder_symlink(name, path, err);
	}
	if (code == ERR_NONE) {
		code = folder_sync(lineage->folder, err);
	}
	if (code == ERR_NONE) {
		*out = path;
		path = NULL;
	}
	free(path);
	return code;
}

static unsigned next_version(const struct versions *versions, unsigned current)
{
	unsigned last = versions->count > 0 ? versions->item[versions->count - 1] : 0;

	return (last > current ? last : current) + 1;
}

enum err_code lineage_store(struct lineage *lineage, const struct lineage_set *set, char **current,
			    struct err *err)
{
	struct versions versions = { 0 };
	char name[VERSION_NAME_MAX];
	unsigned fresh;
	enum err_code code = lineage_lock(lineage, err);

	if (code == ERR_NONE) {
		code = versions_read(lineage, &versions, err);
	}
	if (code != ERR_NONE) {
		goto out;
	}
	fresh = next_version(&versions, current_version(lineage));
	version_name(name, fresh);
	code = write_files(lineage, name, set, err);
	if (code == ERR_NONE) {
		code = switch_current(lineage, name, current, err);
	}
	if (code == ERR_NONE) {
		struct err why;

		/* The certificate is stored: what cannot be tidied up does not undo that. */
		if (lineage_drop_pending(lineage, &why) != ERR_NONE) {
			log_warn("%s: %s", why.subject, why.text);
		}
		prune(lineage, &versions, fresh);
	}
out:
	free(versions.item);
	return code;
}
