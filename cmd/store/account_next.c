/*
 * The change of an account's key on disk. At every instant the key that the CA has is there:
 *
 *   next.key written, synced -> the CA is asked to change -> next.key becomes account.key by a
 *   rename, synced; or next.key is removed
 *
 * Whoever is between the first and the last step holds the account's lock. What a crash leaves
 * is two keys, of which the CA knows one; the next use of the account asks it.
 */
#include "account_internal.h"

#include <errno.h>
#include <sys/stat.h>

#define NEXT_FILE "next.key"
#define LOCK_FILE "lock"

static enum err_code take_lock(const char *folder, struct lock **out, struct err *err)
{
	char *path = path_join(folder, LOCK_FILE);
	enum err_code code = lock_try_file(path, out, err);

	if (code == ERR_BUSY) {
		code = err_set(err, ERR_BUSY, folder,
			       "another process is changing the key of this account and holds %s",
			       path);
	}
	free(path);
	return code;
}

static void unlock(struct account_record *record)
{
	lock_release(record->lock);
	record->lock = NULL;
}

/* Both keys, by the one who holds the lock: what was read before may have changed. */
static enum err_code load_both(const char *folder, const char *path, struct account_record *record,
			       struct err *err)
{
	char *key_path = path_join(folder, ACCOUNT_KEY_FILE);
	struct key *key = NULL;
	struct stat st;
	enum err_code code = key_load(key_path, &key, err);

	free(key_path);
	if (code != ERR_NONE) {
		return code;
	}
	key_free(record->key);
	record->key = key;
	if (stat(path, &st) != 0) {
		unlock(record); /* it is over */
		return ERR_NONE;
	}
	record->next_at = st.st_mtime;
	return key_load(path, &record->next, err);
}

enum err_code account_load_next(const char *folder, struct account_record *record, struct err *err)
{
	char *path = path_join(folder, NEXT_FILE);
	enum err_code code = ERR_NONE;
	struct err why;

	if (access(path, F_OK) != 0) {
		goto out;
	}
	if (take_lock(folder, &record->lock, &why) == ERR_BUSY) {
		log_info("%s: %s; the old key is used meanwhile", why.subject, why.text);
		goto out;
	}
	if (!record->lock) {
		*err = why;
		code = why.code;
		goto out;
	}
	record->folder = xstrdup(folder);
	code = load_both(folder, path, record, err);
out:
	free(path);
	return code;
}

static enum err_code write_key(const char *path, const struct key *key, struct err *err)
{
	struct buf pem = BUF_INIT(KEY_PEM_MAX);
	enum err_code code;

	key_format_pem(key, &pem);
	code = file_write_durable(path, pem.data, pem.len, 0600, err);
	buf_wipe(&pem);
	return code;
}

/* Nobody has changed, or begun to change, the keys since record was read. */
static enum err_code still_the_same(const char *folder, const char *next_path,
				    const struct account_record *record, struct err *err)
{
	char *path = path_join(folder, ACCOUNT_KEY_FILE);
	struct key *key = NULL;
	enum err_code code = key_load(path, &key, err);

	if (code == ERR_NONE && (!key_equal(key, record->key) || access(next_path, F_OK) == 0)) {
		code = err_set(err, ERR_BUSY, path,
			       "another process has just changed the key of this account");
	}
	key_free(key);
	free(path);
	return code;
}

enum err_code account_save_next(const char *state, const char *name, struct account_record *record,
				struct key *key, struct err *err)
{
	char *folder = xasprintf("%s/" ACCOUNT_FOLDERS "/%s", state, name);
	char *path = path_join(folder, NEXT_FILE);
	enum err_code code = ERR_NONE;

	if (record->next) {
		code = err_set(err, ERR_EXISTS, path, "a change to another key is not over yet");
	}
	if (code == ERR_NONE) {
		code = take_lock(folder, &record->lock, err);
	}
	if (code == ERR_NONE) {
		code = still_the_same(folder, path, record, err);
	}
	if (code == ERR_NONE) {
		code = write_key(path, key, err);
	}
	if (code == ERR_NONE) {
		record->next = key;
		key = NULL;
		free(record->folder);
		record->folder = xstrdup(folder);
	} else if (!record->next) {
		unlock(record);
	}
	key_free(key);
	free(path);
	free(folder);
	return code;
}

enum err_code account_take_next(struct account_record *record, struct err *err)
{
	char *from = path_join(record->folder, NEXT_FILE);
	char *to = path_join(record->folder, ACCOUNT_KEY_FILE);
	enum err_code code = ERR_NONE;

	if (rename(from, to) != 0) {
		code = err_set(err, ERR_IO, to, "the new key cannot be put in place: %s",
			       strerror(errno));
	}
	if (code == ERR_NONE) {
		code = folder_sync(record->folder, err);
	}
	if (code == ERR_NONE) {
		key_free(record->key);
		record->key = record->next;
		record->next = NULL;
		unlock(record);
	}
	free(from);
	free(to);
	return code;
}

enum err_code account_drop_next(struct account_record *record, struct err *err)
{
	char *path = path_join(record->folder, NEXT_FILE);
	enum err_code code = ERR_NONE;

	if (unlink(path) != 0 && errno != ENOENT) {
		code = err_set(err, ERR_IO, path, "cannot be removed: %s", strerror(errno));
	}
	if (code == ERR_NONE) {
		code = folder_sync(record->folder, err);
	}
	if (code == ERR_NONE) {
		key_free(record->next);
		record->next = NULL;
		unlock(record);
	}
	free(path);
	return code;
}
