/*
 * An order in progress, on disk before it is finalized: with its key and URL a crash costs
 * no second certificate. The folder is replaced as a whole, so key and URL always belong
 * together.
 */
#include "lineage_internal.h"

#include "dns01/json.h"
#include "folder.h"

#include <errno.h>

#define PENDING "pending"
#define KEY_FILE "privkey.pem"
#define ORDER_FILE "order.json"
#define ORDER_MAX (512 * 1024)
#define PENDING_NAMES_MAX 1000

/* ---- save ------------------------------------------------------------------------- */

static char *order_text(const struct pending_order *pending)
{
	struct json *order = json_object();
	struct json *names = json_array();
	char *text;

	json_set_str(order, "directory", pending->directory);
	json_set_str(order, "account", pending->account_url);
	json_set_str(order, "order", pending->order_url);
	for (size_t i = 0; i < pending->names.count; i++) {
		json_add_str(names, pending->names.item[i]);
	}
	json_set(order, "names", names);
	json_set_str(order, "profile", pending->profile);
	text = json_pretty(order);
	json_free(order);
	return text;
}

static bool file_is(const char *folder, const char *name, const void *data, size_t len)
{
	char *path = path_join(folder, name);
	struct buf there = BUF_INIT(ORDER_MAX);
	bool same = access(path, F_OK) == 0 &&
		    file_read(path, ORDER_MAX, &there, NULL) == ERR_NONE && there.len == len &&
		    memcmp(there.data, data, len) == 0;

	buf_wipe(&there);
	free(path);
	return same;
}

enum err_code lineage_save_pending(struct lineage *lineage, const struct pending_order *pending,
				   struct err *err)
{
	char *folder = path_join(lineage->folder, PENDING);
	char *text = order_text(pending);
	struct buf pem = BUF_INIT(KEY_PEM_MAX);
	enum err_code code = ERR_NONE;

	key_format_pem(pending->key, &pem);
	if (!file_is(folder, KEY_FILE, pem.data, pem.len) ||
	    !file_is(folder, ORDER_FILE, text, strlen(text))) {
		struct folder_file files[] = {
			{ KEY_FILE, pem.data, pem.len, 0600 },
			{ ORDER_FILE, text, strlen(text), 0600 },
		};
		struct folder_spec spec = {
			.parent = lineage->folder,
			.name = PENDING,
			.mode = 0700,
			.files = files,
			.count = ARRAY_LEN(files),
		};

		code = folder_write(&spec, err);
	}
	buf_wipe(&pem);
	free(text);
	free(folder);
	return code;
}

/* ---- load ------------------------------------------------------------------------- */

static bool take_names(const struct json *names, struct strlist *out)
{
	size_t count = json_len(names);

	for (size_t i = 0; i < count && count <= PENDING_NAMES_MAX; i++) {
		const char *name = json_text(json_at(names, i));

		if (!name) {
			return false;
		}
		strlist_add(out, name);
	}
	return out->count > 0;
}

static bool take_order(const struct json *order, struct pending_order *pending)
{
	pending->directory = xstrdup(json_str(order, "directory"));
	pending->account_url = xstrdup(json_str(order, "account"));
	pending->order_url = xstrdup(json_str(order, "order"));
	pending->profile = xstrdup(json_str(order, "profile"));
	return pending->directory && pending->account_url && pending->order_url &&
	       take_names(json_get(order, "names"), &pending->names);
}

static enum err_code load_order(const char *path, struct pending_order *pending, struct err *err)
{
	struct buf text = BUF_INIT(ORDER_MAX);
	struct json *order = NULL;
	enum err_code code = file_read(path, ORDER_MAX, &text, err);

	if (code == ERR_NONE && (json_parse(text.data, text.len, &order, err) != ERR_NONE ||
				 !take_order(order, pending))) {
		code = err_set(err, ERR_IO, path,
			       "is damaged: remove its folder and the order begins anew");
	}
	json_free(order);
	buf_clear(&text);
	return code;
}

enum err_code lineage_load_pending(struct lineage *lineage, struct pending_order **out,
				   struct err *err)
{
	char *order_path = path_join(lineage->folder, PENDING "/" ORDER_FILE);
	char *key_path = path_join(lineage->folder, PENDING "/" KEY_FILE);
	struct pending_order *pending = xcalloc(1, sizeof(*pending));
	enum err_code code = ERR_NONE;

	if (access(order_path, F_OK) != 0 && errno == ENOENT) {
		code = err_set(err, ERR_NOT_FOUND, lineage->name, "no order is in progress");
	}
	if (code == ERR_NONE) {
		code = load_order(order_path, pending, err);
	}
	if (code == ERR_NONE) {
		code = key_load(key_path, &pending->key, err);
	}
	if (code == ERR_NONE) {
		*out = pending;
		pending = NULL;
	}
	pending_order_free(pending);
	free(order_path);
	free(key_path);
	return code;
}

/* Not synced: an order that comes back after a crash is asked for once more, no harm. */
enum err_code lineage_drop_pending(struct lineage *lineage, struct err *err)
{
	char *folder = path_join(lineage->folder, PENDING);
	char *unfinished = path_join(lineage->folder, ".new-" PENDING);
	enum err_code code = folder_remove(folder, err);

	if (code == ERR_NONE) {
		code = folder_remove(unfinished, err);
	}
	free(folder);
	free(unfinished);
	return code;
}

void pending_order_free(struct pending_order *pending)
{
	if (pending) {
		free(pending->directory);
		free(pending->account_url);
		free(pending->order_url);
		strlist_clear(&pending->names);
		free(pending->profile);
		key_free(pending->key);
		free(pending);
	}
}
