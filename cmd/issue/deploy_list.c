#include "deploy_list.h"

#include "dns01/json.h"

#define RETRY_FIRST_S INT64_C(60)
#define RETRY_MAX_S INT64_C(3600)
#define LOOK_ALL 64 /* from so many lineages on, all rows are read at once */

/* ---- one lineage --------------------------------------------------------------------------- */

/* Text with {lineage} and {folder} filled in; gives. */
static char *filled(const char *text, const struct deploy_target *target)
{
	const struct {
		const char *mark, *value;
	} marks[] = {
		{ "{lineage}", target->name },
		{ "{folder}", target->folder },
	};
	struct buf out = BUF_INIT(SIZE_MAX / 2);

	while (*text != '\0') {
		size_t taken = 0;

		for (size_t i = 0; i < ARRAY_LEN(marks) && taken == 0; i++) {
			if (strncmp(text, marks[i].mark, strlen(marks[i].mark)) == 0) {
				buf_add_str(&out, marks[i].value);
				taken = strlen(marks[i].mark);
			}
		}
		if (taken == 0) {
			buf_add(&out, text, 1);
			taken = 1;
		}
		text += taken;
	}
	return buf_detach(&out);
}

static char *argv_json(const struct strlist *argv)
{
	struct json *array = json_array();
	char *text;

	for (size_t i = 0; i < argv->count; i++) {
		json_add_str(array, argv->item[i]);
	}
	text = json_dump(array);
	json_free(array);
	return text;
}

/* NAME-TYPE is the lineage of a further key; NULL: of the first. */
static const char *key_type_in(const struct deploy_target *target)
{
	size_t len = strlen(target->certificate->name);

	return strncmp(target->name, target->certificate->name, len) == 0 &&
			       target->name[len] == '-'
		       ? target->name + len + 1
		       : NULL;
}

static bool has_what(const struct deploy_target *target, const char *what)
{
	for (size_t i = 0; i < target->count; i++) {
		if (strcmp(target->item[i].what, what) == 0) {
			return true;
		}
	}
	return false;
}

static void add_export(struct deploy_target *target, const struct conf_export *export)
{
	char *path = conf_export_path(export, key_type_in(target));

	target->item[target->count++] = (struct deploy_item){
		.what = xasprintf("export %s %s", export->layout, path),
		.export = export,
		.path = path,
	};
	target->export_count = target->count;
	if (strcmp(export->layout, "certbot") == 0) {
		free(target->folder);
		target->folder = xstrdup(path);
	}
}

/* The same command twice in one list is one command. */
static void add_command(struct deploy_target *target, const struct command *command)
{
	struct deploy_item item = { 0 };

	for (size_t i = 0; i < command->argv.count; i++) {
		strlist_take(&item.argv, filled(command->argv.item[i], target));
	}
	item.what = argv_json(&item.argv);
	if (has_what(target, item.what)) {
		strlist_clear(&item.argv);
		free(item.what);
		return;
	}
	target->item[target->count++] = item;
}

static void item_clear(struct deploy_item *item)
{
	free(item->what);
	free(item->path);
	strlist_clear(&item->argv);
	free(item->serial);
}

static void target_clear(struct deploy_target *target)
{
	for (size_t i = 0; i < target->count; i++) {
		item_clear(&target->item[i]);
	}
	free(target->item);
	free(target->name);
	free(target->serial);
	free(target->folder);
	strlist_clear(&target->names);
	lineage_current_clear(&target->current);
}

void deploy_list_add(struct deploy_list *list, const struct deploy_lineage *lineage)
{
	const struct conf_certificate *certificate = lineage->certificate;
	struct deploy_target target = {
		.name = xstrdup(lineage->name),
		.certificate = certificate,
		.which = lineage->which,
		.serial = xstrdup(lineage->serial),
		.folder = xasprintf("%s/certs/%s", list->state, lineage->name),
		.item = xcalloc(certificate->export_count + certificate->deploy.count + 1,
				sizeof(struct deploy_item)),
	};

	for (size_t i = 0; i < certificate->export_count; i++) {
		add_export(&target, &certificate->export[i]);
	}
	for (size_t i = 0; i < certificate->deploy.count; i++) {
		add_command(&target, &certificate->deploy.item[i]);
	}
	if (list->count == list->cap) {
		list->cap = list->cap * 2 + 4;
		list->target = xreallocarray(list->target, list->cap, sizeof(*list->target));
	}
	list->target[list->count++] = target;
}

void deploy_list_clear(struct deploy_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		target_clear(&list->target[i]);
	}
	free(list->target);
	*list = (struct deploy_list){ 0 };
}

enum err_code deploy_target_load(const struct deploy_list *list, struct deploy_target *target,
				 struct err *err)
{
	const struct chain_facts *facts;
	enum err_code code;

	if (target->loaded) {
		return ERR_NONE;
	}
	code = lineage_read(list->state, target->name, &target->current, err);
	if (code != ERR_NONE) {
		return code;
	}
	facts = chain_facts(target->current.chain);
	target->loaded = true;
	free(target->serial);
	target->serial = xstrdup(facts->serial);
	strlist_clear(&target->names);
	strlist_copy(&target->names, &facts->names);
	return ERR_NONE;
}

void deploy_target_unload(struct deploy_target *target)
{
	lineage_current_clear(&target->current);
	target->loaded = false;
}

/* ---- what is remembered -------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct deploy_target *left = a, *right = b;

	return strcmp(left->name, right->name);
}

/* By name; one that was added twice is there once. */
static void sort(struct deploy_list *list)
{
	size_t kept = 0;

	if (list->count > 0) {
		qsort(list->target, list->count, sizeof(*list->target), by_name);
	}
	for (size_t i = 0; i < list->count; i++) {
		if (kept > 0 && by_name(&list->target[kept - 1], &list->target[i]) == 0) {
			target_clear(&list->target[i]);
		} else {
			list->target[kept++] = list->target[i];
		}
	}
	list->count = kept;
}

static struct deploy_target *target_find(struct deploy_list *list, const char *name)
{
	const struct deploy_target wanted = { .name = (char *)(uintptr_t)name };

	return bsearch(&wanted, list->target, list->count, sizeof(wanted), by_name);
}

static void take_row(void *arg, const struct deployment *row)
{
	struct deploy_target *target = target_find(arg, row->lineage);
	bool known = false;

	for (size_t i = 0; target && i < target->count && !known; i++) {
		struct deploy_item *item = &target->item[i];

		if (strcmp(item->what, row->what) == 0) {
			known = true;
			free(item->serial);
			item->serial = xstrdup(row->serial);
			item->failures = row->failures;
			item->retry_at = row->retry_at;
		}
	}
	if (target && !known) {
		target->stale = true;
	}
}

static enum err_code forget_stale(struct deploy_target *target, struct renewals *renewals,
				  struct err *err)
{
	struct strlist keep = { 0 };
	enum err_code code;

	if (!target->stale) {
		return ERR_NONE;
	}
	for (size_t i = 0; i < target->count; i++) {
		strlist_add(&keep, target->item[i].what);
	}
	code = deployments_keep(renewals, target->name, &keep, err);
	target->stale = code != ERR_NONE;
	strlist_clear(&keep);
	return code;
}

/* The row of the store says which certificate there is; without one it is read. What cannot be
 * read is that lineage's failure alone. */
static void find_serial(struct deploy_list *list, struct deploy_target *target)
{
	struct err err;

	if (target->serial || target->count == 0) {
		return;
	}
	if (deploy_target_load(list, target, &err) == ERR_NONE) {
		deploy_target_unload(target);
	} else if (err.code != ERR_NOT_FOUND) {
		target->failure = err;
	}
}

enum err_code deploy_list_look(struct deploy_list *list, struct renewals *renewals, struct err *err)
{
	enum err_code code = ERR_NONE;

	sort(list);
	if (list->count >= LOOK_ALL) {
		code = deployments_list(renewals, NULL, take_row, list, err);
	}
	for (size_t i = 0; i < list->count && code == ERR_NONE; i++) {
		struct deploy_target *target = &list->target[i];

		if (list->count < LOOK_ALL) {
			code = deployments_list(renewals, target->name, take_row, list, err);
		}
		if (code == ERR_NONE) {
			code = forget_stale(target, renewals, err);
		}
		if (code == ERR_NONE) {
			find_serial(list, target);
		}
	}
	return code;
}

/* ---- what is due ---------------------------------------------------------------------------- */

static bool is_done(const struct deploy_target *target, const struct deploy_item *item)
{
	return item->serial && target->serial && strcmp(item->serial, target->serial) == 0;
}

/* After a failure; a clock that went back makes it wait no longer than it would have. */
static bool waits(const struct deploy_item *item, int64_t now_s)
{
	return item->failures > 0 && now_s < item->retry_at &&
	       item->retry_at - now_s <= RETRY_MAX_S;
}

bool deploy_item_due(const struct deploy_target *target, const struct deploy_item *item,
		     int64_t now_s)
{
	if (!target->serial || item->tried) {
		return false;
	}
	if (target->which == DEPLOY_AGAIN) {
		return true;
	}
	return !is_done(target, item) && (target->which == DEPLOY_NOW || !waits(item, now_s));
}

bool deploy_target_due(const struct deploy_target *target, int64_t now_s)
{
	for (size_t i = 0; i < target->count; i++) {
		if (deploy_item_due(target, &target->item[i], now_s) &&
		    (target->item[i].export || deploy_exports_done(target))) {
			return true;
		}
	}
	return false;
}

bool deploy_exports_done(const struct deploy_target *target)
{
	for (size_t i = 0; i < target->export_count; i++) {
		if (!is_done(target, &target->item[i])) {
			return false;
		}
	}
	return true;
}

/* ---- outcomes ------------------------------------------------------------------------------- */

/* A minute, then twice that, at most an hour; however often it failed. */
static int64_t retry_wait_s(unsigned failures)
{
	int64_t wait_s = RETRY_FIRST_S;

	for (unsigned i = 1; i < failures && wait_s < RETRY_MAX_S; i++) {
		wait_s *= 2;
	}
	return wait_s < RETRY_MAX_S ? wait_s : RETRY_MAX_S;
}

enum err_code deploy_note(const struct deploy_member *member, const struct deploy_outcome *outcome,
			  struct renewals *renewals, struct err *err)
{
	const struct deploy_target *target = member->target;
	const struct err *failure = outcome->failure;
	struct deploy_item *item = member->item;
	char *sentence = failure ? err_format(failure) : NULL;
	enum err_code code;

	if (failure) {
		item->failures += item->failures < UINT32_MAX;
		item->retry_at = outcome->at_s + retry_wait_s(item->failures);
	} else {
		item->failures = 0;
		item->retry_at = 0;
		free(item->serial);
		item->serial = xstrdup(target->serial);
	}
	code = deployments_put(renewals,
			       &(struct deployment){
				       .lineage = target->name,
				       .what = item->what,
				       .serial = item->serial,
				       .failures = item->failures,
				       .failed_at = failure ? outcome->at_s : 0,
				       .retry_at = item->retry_at,
				       .failure = sentence,
			       },
			       err);
	free(sentence);
	return code;
}
