#include "dns01/store.h"

#include "account_internal.h"
#include "dns01/json.h"
#include "folder.h"

#include <errno.h>

#define FACTS_FILE "account.json"
#define FACTS_MAX (64 * 1024)
#define OTHER_KEY "another key is there already"

/* ---- load ------------------------------------------------------------------------- */

static enum err_code load_facts(const char *folder, struct account_record *record, struct err *err)
{
	char *path = path_join(folder, FACTS_FILE);
	struct buf text = BUF_INIT(FACTS_MAX);
	struct json *facts = NULL;
	enum err_code code = file_read(path, FACTS_MAX, &text, err);

	if (code == ERR_NOT_FOUND) {
		/* It is written before the key, so somebody has removed it. */
		code = err_set(err, ERR_IO, path,
			       "is missing beside its account key: put it back, or move the "
			       "folder away and a new account is made");
	}
	if (code != ERR_NONE) {
		goto out;
	}
	if (json_parse(text.data, text.len, &facts, err) != ERR_NONE ||
	    !json_str(facts, "directory")) {
		code = err_set(err, ERR_IO, path,
			       "is damaged: put it back from a copy, or move the folder away and a "
			       "new account is made");
		goto out;
	}
	record->directory = xstrdup(json_str(facts, "directory"));
	record->url = xstrdup(json_str(facts, "url"));
	record->deactivated = json_bool(facts, "deactivated", false);
out:
	json_free(facts);
	buf_clear(&text);
	free(path);
	return code;
}

enum err_code account_load(const char *state, const char *name, struct account_record **out,
			   struct err *err)
{
	char *folder = xasprintf("%s/" ACCOUNT_FOLDERS "/%s", state, name);
	char *path = path_join(folder, ACCOUNT_KEY_FILE);
	struct account_record *record = xcalloc(1, sizeof(*record));
	enum err_code code = store_name_check("account", name, err);

	if (code == ERR_NONE && access(path, F_OK) != 0) {
		code = err_set(err, ERR_NOT_FOUND, name, "there is no such account yet");
	}
	if (code == ERR_NONE) {
		code = key_load(path, &record->key, err);
	}
	if (code == ERR_NONE) {
		code = load_facts(folder, record, err);
	}
	if (code == ERR_NONE) {
		code = account_load_next(folder, record, err);
	}
	if (code == ERR_NONE) {
		*out = record;
		record = NULL;
	}
	account_record_free(record);
	free(folder);
	free(path);
	return code;
}

/* ---- save ------------------------------------------------------------------------- */

static enum err_code save_facts(const char *folder, const struct account_record *record,
				struct err *err)
{
	char *path = path_join(folder, FACTS_FILE);
	struct json *facts = json_object();
	char *text;
	enum err_code code;

	json_set_str(facts, "directory", record->directory);
	json_set_str(facts, "url", record->url);
	if (record->deactivated) {
		json_set_bool(facts, "deactivated", true);
	}
	text = json_pretty(facts);
	code = file_write_durable(path, text, strlen(text), 0600, err);
	free(text);
	json_free(facts);
	free(path);
	return code;
}

static bool key_is_there(const char *path, const struct key *key)
{
	struct key *there = NULL;
	bool same = access(path, F_OK) == 0 && key_load(path, &there, NULL) == ERR_NONE &&
		    key_equal(there, key);

	key_free(there);
	return same;
}

/* The first of several processes that make one account is the one whose key counts. */
static enum err_code put_first(const char *fresh, const char *path, struct err *err)
{
	if (link(fresh, path) == 0) {
		return ERR_NONE;
	}
	return errno == EEXIST ? err_set(err, ERR_EXISTS, path, OTHER_KEY)
			       : err_set(err, ERR_IO, path, "cannot be made: %s", strerror(errno));
}

static enum err_code save_key(const char *folder, const struct key *key, struct err *err)
{
	char *path = path_join(folder, ACCOUNT_KEY_FILE);
	char *fresh = NULL;
	char thumbprint[THUMBPRINT_LEN];
	struct buf pem = BUF_INIT(KEY_PEM_MAX);
	enum err_code code = ERR_NONE;

	if (key_is_there(path, key)) {
		goto out;
	}
	key_thumbprint(key, thumbprint);
	fresh = xasprintf("%s/.new-%s", folder, thumbprint);
	key_format_pem(key, &pem);
	code = file_write_durable(fresh, pem.data, pem.len, 0600, err);
	if (code == ERR_NONE) {
		code = put_first(fresh, path, err);
		unlink(fresh);
	}
	if (code == ERR_NONE) {
		code = folder_sync(folder, err);
	}
out:
	buf_wipe(&pem);
	free(fresh);
	free(path);
	return code;
}

/* Before the facts are written: the URL of one key must never stand beside another. */
static enum err_code check_key(const char *folder, const struct key *key, struct err *err)
{
	char *path = path_join(folder, ACCOUNT_KEY_FILE);
	enum err_code code = ERR_NONE;

	if (access(path, F_OK) == 0 && !key_is_there(path, key)) {
		code = err_set(err, ERR_EXISTS, path, OTHER_KEY);
	}
	free(path);
	return code;
}

/* The key last: where it is, its account.json is too. */
enum err_code account_save(const char *state, const char *name, const struct account_record *record,
			   struct err *err)
{
	char *accounts = path_join(state, ACCOUNT_FOLDERS);
	char *folder = path_join(accounts, name);
	enum err_code code = store_name_check("account", name, err);

	if (code == ERR_NONE) {
		code = folder_make(accounts, 0700, err);
	}
	if (code == ERR_NONE) {
		code = folder_make(folder, 0700, err);
	}
	if (code == ERR_NONE) {
		code = check_key(folder, record->key, err);
	}
	if (code == ERR_NONE) {
		code = save_facts(folder, record, err);
	}
	if (code == ERR_NONE) {
		code = save_key(folder, record->key, err);
	}
	free(accounts);
	free(folder);
	return code;
}

enum err_code account_remove(const char *state, const char *name, struct err *err)
{
	char *accounts = path_join(state, ACCOUNT_FOLDERS);
	char *folder = path_join(accounts, name);
	enum err_code code = store_name_check("account", name, err);

	if (code == ERR_NONE && access(folder, F_OK) != 0) {
		code = err_set(err, ERR_NOT_FOUND, name, "there is no such account");
	}
	if (code == ERR_NONE) {
		code = folder_remove(folder, err);
	}
	if (code == ERR_NONE) {
		code = folder_sync(accounts, err);
	}
	free(accounts);
	free(folder);
	return code;
}

void account_record_free(struct account_record *record)
{
	if (record) {
		free(record->directory);
		free(record->url);
		key_free(record->key);
		key_free(record->next);
		lock_release(record->lock);
		free(record->folder);
		free(record);
	}
}

/* ---- name ------------------------------------------------------------------------- */

#define DIGEST_OCTETS 4
#define HOST_MAX 100

static bool host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '-';
}

char *account_name_for(const char *directory)
{
	const char *scheme = strstr(directory, "://");
	const char *host = scheme ? scheme + 3 : directory;
	struct buf name = BUF_INIT(STORE_NAME_MAX);
	uint8_t digest[SHA256_LEN];
	char hex[2 * DIGEST_OCTETS + 1];

	host += strspn(host, ".");
	for (size_t i = 0; i < HOST_MAX && host[i] && !strchr("/?#", host[i]); i++) {
		buf_add(&name, host_char(host[i]) ? &host[i] : "-", 1);
	}
	sha256(directory, strlen(directory), digest);
	hex_encode(hex, sizeof(hex), digest, DIGEST_OCTETS);
	buf_addf(&name, "-%s", hex);
	return buf_detach(&name);
}

/* ---- all of them ------------------------------------------------------------------ */

enum err_code account_names(const char *state, struct strlist *out, struct err *err)
{
	char *folder = path_join(state, ACCOUNT_FOLDERS);
	enum err_code code = folder_names(folder, out, err);

	free(folder);
	return code;
}
