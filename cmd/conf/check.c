/*
 * check: what must hold once everything is read, whether from files or from a
 * command's flags: each value by its row, names that are unique, references
 * that lead somewhere.
 */
#include "check.h"

static const struct setting_group *group_of(const struct subject *subject)
{
	return subject->list != NULL ? subject->list->group : &schema_root;
}

static struct nth nth_of(const struct subject *subject)
{
	return subject->outer == NULL
		       ? (struct nth){ .item = subject->index }
		       : (struct nth){ .item = subject->outer->index, .inner = subject->index };
}

/* Gives "zones[1]", or NULL for the file itself. */
static char *item_name(const struct subject *subject)
{
	const struct place *place;
	char *outer, *name;

	if (subject->list == NULL) {
		return NULL;
	}
	place = place_find(subject->conf, subject->list, nth_of(subject));
	if (place != NULL) {
		return xstrdup(place->item);
	}
	if (subject->list->type == SETTING_GROUP) {
		return xstrdup(subject->list->name);
	}
	outer = subject->outer != NULL ? item_name(subject->outer) : NULL;
	name = xasprintf("%s%s%s[%zu]", outer != NULL ? outer : "", outer != NULL ? "." : "",
			 subject->list->name, subject->index);
	free(outer);
	return name;
}

static const char *item_where(const struct subject *subject)
{
	char **where = subject->list != NULL ? group_where(subject->list, subject->base) : NULL;

	return where != NULL ? *where : NULL;
}

enum err_code check_refuse(const struct subject *subject, const char *name, const char *where,
			   const char *fmt, ...)
{
	const struct setting_group *group = group_of(subject);
	const struct setting *row = schema_find(group->rows, group->row_count, name);
	const struct place *place =
		row != NULL ? place_find(subject->conf, row, nth_of(subject)) : NULL;
	char *item = item_name(subject), *path, reason[SCHEMA_REASON_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	path = xasprintf("%s%s%s", item != NULL ? item : "", item != NULL ? "." : "", name);
	if (where == NULL) {
		where = place != NULL ? place->where : item_where(subject);
	}
	place_err(subject->err, where, path, "%s", reason);
	free(item);
	free(path);
	return ERR_CONFIG;
}

/* ---- values --------------------------------------------------------------- */

static char *absolute(char *path)
{
	char *folder, *full;

	if (path[0] == '/') {
		return path;
	}
	folder = realpath(".", NULL);
	if (folder == NULL) {
		return path; /* the folder is gone: opening the file says so */
	}
	full = path_join(folder, strncmp(path, "./", 2) == 0 ? path + 2 : path);
	free(folder);
	free(path);
	return full;
}

/* Beside the main file, or where the service manager put its credentials. */
static char *resolve_file(const struct conf *conf, const char *path)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	const char *folder = ((const struct conf_full *)conf)->folder;
	char *full;

	if (path[0] == '/') {
		return xstrdup(path);
	}
	if (credentials != NULL && credentials[0] == '/') {
		full = path_join(credentials, path);
		if (access(full, F_OK) == 0) {
			return full;
		}
		free(full);
	}
	return absolute(folder != NULL ? path_join(folder, path) : xstrdup(path));
}

/* Gives the canonical text with a file's whole path. */
static enum err_code resolve(const struct conf *conf, const struct setting *row, const char *text,
			     char **out, char reason[SCHEMA_REASON_MAX])
{
	char *canonical;
	enum err_code code = setting_canonical(row, text, &canonical, reason);

	if (code != ERR_NONE) {
		return code;
	}
	if (row->type == SETTING_FILE) {
		*out = resolve_file(conf, canonical);
		free(canonical);
	} else {
		*out = canonical;
	}
	return ERR_NONE;
}

static enum err_code check_repeats(const struct subject *subject, const struct setting *row)
{
	struct strlist seen = { 0 };
	char *text = field_get(row, subject->base), shown[SCHEMA_SHOWN_MAX];
	enum err_code code = ERR_NONE;
	size_t len;

	for (char *at = text; *at != '\0' && code == ERR_NONE; at += len + (at[len] == '\n')) {
		char *item;

		len = strcspn(at, "\n");
		item = xstrndup(at, len);
		if (strlist_has(&seen, item)) {
			schema_show(shown, item);
			code = check_refuse(subject, row->name, NULL, "%s is given twice; keep one",
					    shown);
		}
		strlist_take(&seen, item);
	}
	strlist_clear(&seen);
	free(text);
	return code;
}

static enum err_code check_field(const struct subject *subject, const struct setting *row)
{
	char *text = field_get(row, subject->base), *full, reason[SCHEMA_REASON_MAX];
	enum err_code code = ERR_NONE;

	if (text == NULL || (row->required && text[0] == '\0')) {
		free(text);
		text = schema_expected(row);
		if (row->required) {
			code = check_refuse(subject, row->name, NULL, "it is missing; write %s",
					    text);
		}
		goto out;
	}
	code = resolve(subject->conf, row, text, &full, reason);
	if (code != ERR_NONE) {
		code = check_refuse(subject, row->name, NULL, "%s", reason);
		goto out;
	}
	if (strcmp(full, text) != 0) {
		field_set(row, subject->base, full);
	}
	free(full);
	if (row->type == SETTING_STRINGS) {
		code = check_repeats(subject, row);
	}
out:
	free(text);
	return code;
}

static enum err_code check_command(const struct subject *subject, const struct setting *row,
				   const struct strlist *argv)
{
	char shown[SCHEMA_SHOWN_MAX];

	if (argv->count > 0 && argv->item[0][0] == '/') {
		return ERR_NONE;
	}
	schema_show(shown, argv->count == 0 ? "" : argv->item[0]);
	return check_refuse(subject, row->name, NULL,
			    "%s is not the whole path of a "
			    "program; write one such as \"/bin/systemctl\"",
			    shown);
}

static enum err_code check_commands(const struct subject *subject, const struct setting *row)
{
	const struct commands *commands = field_commands(row, subject->base);
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < commands->count && code == ERR_NONE; i++) {
		code = check_command(subject, row, &commands->item[i].argv);
	}
	return code;
}

static enum err_code check_groups(const struct subject *outer, const struct setting *list);

static enum err_code check_row(const struct subject *subject, const struct setting *row)
{
	const struct strlist *argv;

	if (group_is(row)) {
		return check_groups(subject, row);
	}
	if (row->type == SETTING_COMMANDS) {
		return check_commands(subject, row);
	}
	if (row->type == SETTING_COMMAND) {
		argv = field_command(row, subject->base);
		return argv->count > 0 ? check_command(subject, row, argv) : ERR_NONE;
	}
	return check_field(subject, row);
}

static enum err_code check_rows(const struct subject *subject)
{
	const struct setting_group *group = group_of(subject);
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < group->row_count && code == ERR_NONE; i++) {
		code = check_row(subject, &group->rows[i]);
	}
	return code;
}

static enum err_code check_groups(const struct subject *outer, const struct setting *list)
{
	struct subject subject = {
		.conf = outer->conf,
		.list = list,
		.outer = outer->list != NULL ? outer : NULL,
		.err = outer->err,
	};
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < group_count(outer->base, list) && code == ERR_NONE; i++) {
		subject.index = i;
		subject.base = group_item(outer->base, list, i);
		code = check_rows(&subject);
	}
	return code;
}

/* ---- providers ------------------------------------------------------------- */

static enum err_code check_given(const struct subject *subject, const struct setting *rows,
				 size_t row_count, struct setting_value *value)
{
	const struct setting *row = schema_find(rows, row_count, value->name);
	struct strlist known = { 0 };
	char reason[SCHEMA_REASON_MAX], *full, *all;
	enum err_code code;

	if (row != NULL) {
		code = resolve(subject->conf, row, value->text, &full, reason);
		if (code != ERR_NONE) {
			return check_refuse(subject, value->name, value->where, "%s", reason);
		}
		wipe_str(value->text);
		value->text = full;
		return ERR_NONE;
	}
	for (size_t i = 0; i < row_count; i++) {
		strlist_add(&known, rows[i].name);
	}
	all = strlist_join(&known, ", ");
	code = check_refuse(subject, value->name, value->where,
			    "there is no such setting; known here: "
			    "%s",
			    all);
	free(all);
	strlist_clear(&known);
	return code;
}

static enum err_code check_provider(const struct subject *subject, conf_provider_rows *rows_of)
{
	struct conf_provider *provider = subject->base;
	size_t row_count = 0;
	const struct setting *rows = rows_of(provider->type, &row_count);
	char shown[SCHEMA_SHOWN_MAX];
	enum err_code code = ERR_NONE;

	if (rows == NULL) {
		schema_show(shown, provider->type);
		return check_refuse(subject, "type", NULL,
				    "there is no provider type %s; `dns01 "
				    "providers` lists all",
				    shown);
	}
	for (size_t i = 0; i < provider->settings.count && code == ERR_NONE; i++) {
		code = check_given(subject, rows, row_count, &provider->settings.item[i]);
	}
	for (size_t i = 0; i < row_count && code == ERR_NONE; i++) {
		const char *text = settings_get(&provider->settings, rows, row_count, rows[i].name);

		if (rows[i].required && (text == NULL || text[0] == '\0')) {
			char *expected = schema_expected(&rows[i]);

			code = check_refuse(subject, rows[i].name, NULL, "it is missing; write %s",
					    expected);
			free(expected);
		}
	}
	return code;
}

/* ---- names and references ---------------------------------------------------- */

static const struct setting *row_of(const struct setting *list, const char *name)
{
	return schema_find(list->group->rows, list->group->row_count, name);
}

static const char *text_of(const struct subject *subject, size_t index, const struct setting *row)
{
	const char *item = group_item(subject->conf, subject->list, index);

	return *(char *const *)(const void *)(item + row->offset);
}

/* Where the other item is, as " at FILE:LINE", or nothing. Gives. */
static char *also_at(const struct subject *subject, size_t other)
{
	void *item = group_item(subject->conf, subject->list, other);
	const char *where = *group_where(subject->list, item);

	return where != NULL ? xasprintf(" at %s", where) : xstrdup("");
}

static enum err_code refuse_twin(const struct subject *subject, size_t other,
				 const struct setting *key, const struct setting *also)
{
	char shown[SCHEMA_SHOWN_MAX], *at = also_at(subject, other), *within;
	enum err_code code;

	schema_show(shown, text_of(subject, other, key));
	within = also == NULL
			 ? xstrdup("")
			 : xasprintf(" in %s \"%s\"", also->name, text_of(subject, other, also));
	code = check_refuse(subject, key->name, NULL, "%s%s is another %s%s; each needs its own",
			    shown, within, group_of(subject)->item, at);
	free(at);
	free(within);
	return code;
}

/* By what an item is named by, then by its place. */
struct order {
	const struct subject *subject;
	const struct setting *key, *also; /* also may be NULL */
};

static int compare_names(const struct order *order, size_t a, size_t b)
{
	int result = strcmp(text_of(order->subject, a, order->key),
			    text_of(order->subject, b, order->key));

	if (result == 0 && order->also != NULL) {
		result = strcmp(text_of(order->subject, a, order->also),
				text_of(order->subject, b, order->also));
	}
	return result;
}

static int compare_places(const void *a, const void *b, void *arg)
{
	const size_t left = *(const size_t *)a, right = *(const size_t *)b;
	int result = compare_names(arg, left, right);

	return result != 0 ? result : (left > right) - (left < right);
}

/* For each item the first one that agrees with it in key, and in also; itself, where none comes
 * before it. There may be 40,000 of them. Gives. */
static size_t *find_twins(const struct order *order, size_t count)
{
	size_t *places = xcalloc(count + 1, sizeof(*places));
	size_t *twins = xcalloc(count + 1, sizeof(*twins));
	size_t first = 0;

	for (size_t i = 0; i < count; i++) {
		places[i] = i;
	}
	qsort_r(places, count, sizeof(*places), compare_places, (void *)(uintptr_t)order);
	for (size_t i = 0; i < count; i++) {
		if (compare_names(order, places[first], places[i]) != 0) {
			first = i;
		}
		twins[places[i]] = places[first];
	}
	free(places);
	return twins;
}

enum err_code check_refuse_reference(const struct subject *subject, const char *setting,
				     const char *name, const struct setting *list)
{
	struct strlist known = { 0 };
	char shown[SCHEMA_SHOWN_MAX];
	const char *near;
	enum err_code code;

	for (size_t i = 0; i < group_count(subject->conf, list); i++) {
		const struct subject other = { .conf = subject->conf, .list = list };

		strlist_add(&known, text_of(&other, i, row_of(list, "name")));
	}
	schema_show(shown, name);
	near = schema_nearest(&known, name);
	if (near != NULL) {
		code = check_refuse(subject, setting, NULL,
				    "there is no %s %s; did you mean \"%s\"?", list->group->item,
				    shown, near);
	} else {
		code = check_refuse(subject, setting, NULL, "there is no %s %s; add it to %s",
				    list->group->item, shown, list->name);
	}
	strlist_clear(&known);
	return code;
}

enum err_code check_view(const struct subject *subject, const char *setting, const char *view)
{
	struct strlist views = { 0 };
	char shown[SCHEMA_SHOWN_MAX], *all;
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < subject->conf->zone_count; i++) {
		if (!strlist_has(&views, subject->conf->zone[i].view)) {
			strlist_add(&views, subject->conf->zone[i].view);
		}
	}
	if (views.count > 0 && !strlist_has(&views, view)) {
		schema_show(shown, view);
		all = strlist_join(&views, ", ");
		code = check_refuse(subject, setting, NULL,
				    "no zone is in the view %s; zones have: %s", shown, all);
		free(all);
	}
	strlist_clear(&views);
	return code;
}

static enum err_code check_account(const struct subject *subject, conf_provider_rows *rows)
{
	const struct conf_account *account = subject->base;

	(void)rows;
	/* RFC 8555 s.7.3.4: a binding is a key identifier and its MAC key */
	if (account->eab_kid != NULL && account->eab_key_file == NULL) {
		return check_refuse(subject, "eab_kid", NULL,
				    "it needs eab_key_file beside it; write "
				    "both or none");
	}
	if (account->eab_key_file != NULL && account->eab_kid == NULL) {
		return check_refuse(subject, "eab_key_file", NULL,
				    "it needs eab_kid beside it; write "
				    "both or none");
	}
	return check_view(subject, "view", account->view);
}

static enum err_code check_zone(const struct subject *subject, conf_provider_rows *rows)
{
	const struct conf_zone *zone = subject->base;

	(void)rows;
	for (size_t i = 0; i < zone->providers.count; i++) {
		const char *name = zone->providers.item[i];

		if (conf_find_provider(subject->conf, name) == NULL) {
			return check_refuse_reference(subject, "providers", name,
						      schema_list("providers"));
		}
	}
	if (zone->target && conf_target_zone(subject->conf, zone->view) != zone) {
		return check_refuse(
			subject, "target", NULL,
			"another zone of the view \"%s\" is the target already; keep one",
			zone->view);
	}
	return ERR_NONE;
}

/* ---- the whole ------------------------------------------------------------------ */

/* What holds between an item and all others, for each list. */
static const struct relation {
	const char *list, *key, *also; /* key, and also, name an item; NULL: nothing does */
	enum err_code (*check)(const struct subject *subject, conf_provider_rows *rows);
} relations[] = {
	{ "accounts", "name", NULL, check_account },
	{ "providers", "name", NULL, check_provider },
	{ "zones", "suffix", "view", check_zone },
	{ "certificates", "name", NULL, check_certificate },
	{ "listeners", NULL, NULL, check_listener },
	{ "clients", "name", NULL, check_client },
	{ "brokers", "url", NULL, check_broker },
};

static enum err_code check_list(struct conf *conf, const struct relation *relation,
				conf_provider_rows *rows, struct err *err)
{
	struct subject subject = { .conf = conf, .list = schema_list(relation->list), .err = err };
	const struct setting *key =
		relation->key != NULL ? row_of(subject.list, relation->key) : NULL;
	const struct setting *also =
		relation->also != NULL ? row_of(subject.list, relation->also) : NULL;
	const struct order order = { &subject, key, also };
	size_t count = group_count(conf, subject.list);
	size_t *twins = key != NULL ? find_twins(&order, count) : NULL;
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < count && code == ERR_NONE; i++) {
		subject.index = i;
		subject.base = group_item(conf, subject.list, i);
		if (twins != NULL && twins[i] != i) {
			code = refuse_twin(&subject, twins[i], key, also);
		} else {
			code = relation->check(&subject, rows);
		}
	}
	free(twins);
	return code;
}

enum err_code conf_check(struct conf *conf, conf_provider_rows *rows, struct err *err)
{
	struct subject subject = { .conf = conf, .base = conf, .err = err };
	enum err_code code = check_rows(&subject);

	for (size_t i = 0; i < ARRAY_LEN(relations) && code == ERR_NONE; i++) {
		code = check_list(conf, &relations[i], rows, err);
	}
	if (code == ERR_NONE) {
		code = check_export_paths(conf, err);
	}
	return code;
}
