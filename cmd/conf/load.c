/*
 * load: reads the main file and what it includes, each by libconfig, and fills
 * the structs from the schema: types, unknown settings, and what is given twice.
 * What a value must mean beyond its type is check.c's.
 */
#include "schema.h"

#include <glob.h>
#include <libconfig.h>

#include "syntax.h"

#define FILE_MAX (1024 * 1024)
#define INCLUDE_MAX 256 /* files */

struct load {
	struct conf *conf;
	conf_provider_rows *rows;
	const char *source; /* of the file that is being read */
	bool included;
	struct err *err;
};

/* The group whose settings are being read. */
struct spot {
	const struct setting_group *group;
	void *base;       /* what the rows' offsets are in */
	const char *item; /* "zones[1]"; NULL in the file itself */
	struct nth nth;   /* which item it is */
	/* of a provider, else NULL */
	struct settings *settings;
	const struct setting *rows;
	size_t row_count;
};

static char *where_of(const struct load *load, const config_setting_t *given)
{
	return xasprintf("%s:%u", load->source, config_setting_source_line(given));
}

static char *item_of(const struct spot *spot, const char *name)
{
	return spot->item != NULL ? xasprintf("%s.%s", spot->item, name) : xstrdup(name);
}

/* "FILE:LINE: ITEM.NAME: reason". */
static enum err_code refuse(const struct load *load, const struct spot *spot,
			    const config_setting_t *given, const char *reason)
{
	char *where = where_of(load, given);
	char *item = item_of(spot, config_setting_name(given));
	enum err_code code = place_err(load->err, where, item, "%s", reason);

	free(where);
	free(item);
	return code;
}

/* ---- types --------------------------------------------------------------- */

/* Gives how a value of the wrong type is called in a sentence. */
static char *describe(const config_setting_t *given)
{
	char shown[SCHEMA_SHOWN_MAX];

	switch (config_setting_type(given)) {
	case CONFIG_TYPE_GROUP:
		return xstrdup("a group");
	case CONFIG_TYPE_ARRAY:
	case CONFIG_TYPE_LIST:
		return xstrdup("a list");
	case CONFIG_TYPE_INT:
		return xasprintf("the number %d", config_setting_get_int(given));
	case CONFIG_TYPE_BOOL:
		return xstrdup(config_setting_get_bool(given) ? "true" : "false");
	case CONFIG_TYPE_STRING:
		schema_show(shown, config_setting_get_string(given));
		return xasprintf("the string %s", shown);
	default:
		return xstrdup("a number with a fraction");
	}
}

static enum err_code refuse_type(const struct load *load, const struct spot *spot,
				 const config_setting_t *given, const struct setting *row)
{
	char *is = row->secret ? xstrdup("this") : describe(given);
	char *expected = schema_expected(row);
	char *reason = xasprintf("%s has the wrong type; write %s", is, expected);
	enum err_code code = refuse(load, spot, given, reason);

	free(is);
	free(expected);
	free(reason);
	return code;
}

static bool is_list(const config_setting_t *given)
{
	return config_setting_is_array(given) || config_setting_is_list(given);
}

/* Appends a list of strings; false: something in it is none. */
static bool read_strings(config_setting_t *given, struct strlist *out)
{
	if (!is_list(given)) {
		return false;
	}
	for (int i = 0; i < config_setting_length(given); i++) {
		const char *text = config_setting_get_string_elem(given, i);

		if (text == NULL) {
			return false;
		}
		strlist_add(out, text);
	}
	return true;
}

static char *read_list(config_setting_t *given)
{
	struct strlist list = { 0 };
	char *text = read_strings(given, &list) ? strlist_join(&list, "\n") : NULL;

	strlist_clear(&list);
	return text;
}

/* The text of a list has its elements on lines. */
static bool elements_are_lines(config_setting_t *given)
{
	for (int i = 0; is_list(given) && i < config_setting_length(given); i++) {
		const char *text = config_setting_get_string_elem(given, i);

		if (text != NULL && (text[0] == '\0' || strchr(text, '\n') != NULL)) {
			return false;
		}
	}
	return true;
}

/* Gives the value as text for setting_canonical(); NULL: the wrong type. */
static char *read_text(config_setting_t *given, const struct setting *row)
{
	int type = config_setting_type(given);

	switch (row->type) {
	case SETTING_STRINGS:
		return read_list(given);
	case SETTING_BOOL:
		return type != CONFIG_TYPE_BOOL
			       ? NULL
			       : xstrdup(config_setting_get_bool(given) ? "true" : "false");
	case SETTING_INT:
		if (type == CONFIG_TYPE_INT) {
			return xasprintf("%d", config_setting_get_int(given));
		}
		return row->choices != NULL ? xstrdup(config_setting_get_string(given)) : NULL;
	default:
		return xstrdup(config_setting_get_string(given));
	}
}

/* ---- one setting ----------------------------------------------------------- */

static enum err_code check_type(const struct load *load, const struct spot *spot,
				config_setting_t *given, const struct setting *row, char **text)
{
	*text = read_text(given, row);
	if (*text == NULL) {
		return refuse_type(load, spot, given, row);
	}
	if (!elements_are_lines(given)) {
		wipe_str(*text);
		return refuse(load, spot, given,
			      "an element is empty or has a line break; write "
			      "text on one line");
	}
	return ERR_NONE;
}

static enum err_code read_value(const struct load *load, const struct spot *spot,
				config_setting_t *given, const struct setting *row)
{
	char reason[SCHEMA_REASON_MAX], *canonical = NULL, *text;
	enum err_code code = check_type(load, spot, given, row, &text);

	if (code != ERR_NONE) {
		return code;
	}
	code = setting_canonical(row, text, &canonical, reason);
	if (code != ERR_NONE) {
		code = refuse(load, spot, given, reason);
		goto out;
	}
	if (row->type == SETTING_STRINGS && spot->item == NULL) {
		/* a list of the file itself: other files append */
		char *before = field_get(row, spot->base), *all;

		all = xasprintf("%s%s%s", before, before[0] != '\0' ? "\n" : "", canonical);
		field_set(row, spot->base, all);
		free(before);
		free(all);
		goto out;
	}
	field_set(row, spot->base, canonical);
out:
	wipe_str(text);
	wipe_str(canonical);
	return code;
}

static enum err_code read_command(const struct load *load, const struct spot *spot,
				  config_setting_t *given, const struct setting *row)
{
	if (!read_strings(given, field_command(row, spot->base))) {
		return refuse_type(load, spot, given, row);
	}
	return ERR_NONE;
}

static enum err_code read_commands(const struct load *load, const struct spot *spot,
				   config_setting_t *given, const struct setting *row)
{
	struct commands *commands = field_commands(row, spot->base);

	if (!is_list(given)) {
		return refuse_type(load, spot, given, row);
	}
	for (int i = 0; i < config_setting_length(given); i++) {
		config_setting_t *argv = config_setting_get_elem(given, (unsigned)i);

		commands->item =
			xreallocarray(commands->item, commands->count + 1, sizeof(*commands->item));
		commands->item[commands->count] = (struct command){ 0 };
		commands->count++;
		if (!read_strings(argv, &commands->item[commands->count - 1].argv)) {
			return refuse(load, spot, given,
				      "an element is not a list of strings; write "
				      "a list of commands: ( [ \"/bin/true\" ] )");
		}
	}
	return ERR_NONE;
}

/* A setting of a provider's own: text and place; conf_check() reads it. */
static enum err_code read_provider_setting(const struct load *load, const struct spot *spot,
					   config_setting_t *given, const struct setting *row)
{
	enum err_code code;
	char *text, *where;

	if (row->secret && row->type != SETTING_FILE) {
		return refuse(load, spot, given,
			      "a secret does not stand in this file; write it "
			      "into a file of its own");
	}
	code = check_type(load, spot, given, row, &text);
	if (code != ERR_NONE) {
		return code;
	}
	where = where_of(load, given);
	settings_set(spot->settings, row->name, text, where);
	free(where);
	wipe_str(text);
	return ERR_NONE;
}

static enum err_code refuse_unknown(const struct load *load, const struct spot *spot,
				    const config_setting_t *given)
{
	const char *name = config_setting_name(given), *near;
	struct strlist known = { 0 };
	char *reason, *all;
	enum err_code code;

	for (size_t i = 0; i < spot->group->row_count; i++) {
		strlist_add(&known, spot->group->rows[i].name);
	}
	for (size_t i = 0; i < spot->row_count; i++) {
		strlist_add(&known, spot->rows[i].name);
	}
	near = schema_nearest(&known, name);
	all = strlist_join(&known, ", ");
	if (near != NULL) {
		reason = xasprintf("there is no such setting; did you mean \"%s\"?", near);
	} else {
		reason = xasprintf("there is no such setting; known here: %s", all);
	}
	code = refuse(load, spot, given, reason);
	free(reason);
	free(all);
	strlist_clear(&known);
	return code;
}

static enum err_code read_groups(struct load *load, const struct spot *spot,
				 config_setting_t *given, const struct setting *list);
static enum err_code read_group(struct load *load, const struct spot *outer,
				config_setting_t *given, const struct setting *row);

/* Only the file's own settings can meet again: in another file. */
static enum err_code note_place(const struct load *load, const struct spot *spot,
				const config_setting_t *given, const struct setting *row)
{
	const struct place *before = NULL;
	enum err_code code;
	char *reason;

	if (spot->item == NULL && row->type != SETTING_STRINGS) {
		before = place_find(load->conf, row, (struct nth){ 0 });
	}
	if (before != NULL) {
		reason = xasprintf("it is given twice, also at %s; keep one", before->where);
		code = refuse(load, spot, given, reason);
		free(reason);
		return code;
	}
	place_add(load->conf, (struct place){ row, spot->nth, where_of(load, given),
					      item_of(spot, row->name) });
	return ERR_NONE;
}

static enum err_code read_setting(struct load *load, const struct spot *spot,
				  config_setting_t *given)
{
	const char *name = config_setting_name(given);
	const struct setting *row = schema_find(spot->group->rows, spot->group->row_count, name);
	const struct setting *own = schema_find(spot->rows, spot->row_count, name);
	enum err_code code;

	if (row == NULL) {
		return own != NULL ? read_provider_setting(load, spot, given, own)
				   : refuse_unknown(load, spot, given);
	}
	if (row->type == SETTING_GROUPS) {
		return read_groups(load, spot, given, row);
	}
	if (load->included && spot->item == NULL && strcmp(name, "include") == 0) {
		return refuse(load, spot, given,
			      "an included file includes no others; write it in "
			      "the main file");
	}
	if (load->included && spot->item == NULL && strcmp(name, "plugins") == 0) {
		return refuse(load, spot, given, "only the main file may have it; write it there");
	}
	code = note_place(load, spot, given, row);
	if (code != ERR_NONE) {
		return code;
	}
	switch (row->type) {
	case SETTING_COMMAND:
		return read_command(load, spot, given, row);
	case SETTING_COMMANDS:
		return read_commands(load, spot, given, row);
	case SETTING_GROUP:
		return read_group(load, spot, given, row);
	default:
		return read_value(load, spot, given, row);
	}
}

/* ---- groups ----------------------------------------------------------------- */

/* The rows of a provider's type must be known before its settings are read. */
static enum err_code find_rows(const struct load *load, struct spot *spot,
			       const config_setting_t *group)
{
	config_setting_t *given = config_setting_get_member(group, "type");
	const char *type = given != NULL ? config_setting_get_string(given) : NULL;
	char shown[SCHEMA_SHOWN_MAX], *reason, *where;
	enum err_code code;

	if (given == NULL) {
		where = where_of(load, group);
		code = place_err(load->err, where, spot->item,
				 "type is missing; `dns01 providers` "
				 "lists all");
		free(where);
		return code;
	}
	if (type == NULL) {
		return refuse_type(load, spot, given,
				   schema_find(spot->group->rows, spot->group->row_count, "type"));
	}
	spot->rows = load->rows(type, &spot->row_count);
	if (spot->rows != NULL) {
		return ERR_NONE;
	}
	schema_show(shown, type);
	reason = xasprintf("there is no provider type %s; `dns01 providers` lists all", shown);
	code = refuse(load, spot, given, reason);
	free(reason);
	return code;
}

static enum err_code refuse_item(const struct load *load, const config_setting_t *given,
				 const char *item, const struct setting *list)
{
	char *is = describe(given), *where = where_of(load, given);
	enum err_code code = place_err(load->err, where, item,
				       "%s is no %s; write a group: "
				       "{ %s = \"...\"; }",
				       is, list->group->item, list->group->rows[0].name);

	free(is);
	free(where);
	return code;
}

/* The settings of a group. */
static enum err_code read_members(struct load *load, struct spot *spot, config_setting_t *given)
{
	enum err_code code = ERR_NONE;

	if (spot->settings != NULL) {
		code = find_rows(load, spot, given);
	}
	for (int i = 0; code == ERR_NONE && i < config_setting_length(given); i++) {
		code = read_setting(load, spot, config_setting_get_elem(given, (unsigned)i));
	}
	return code;
}

static enum err_code read_item(struct load *load, const struct spot *outer, config_setting_t *given,
			       const char *item, const struct setting *list)
{
	struct spot spot = { .group = list->group, .item = item, .nth = outer->nth };
	size_t index = group_count(outer->base, list);

	if (!config_setting_is_group(given)) {
		return refuse_item(load, given, item, list);
	}
	*(outer->item == NULL ? &spot.nth.item : &spot.nth.inner) = index;
	spot.base = group_add(outer->base, list);
	spot.settings = group_settings(list, spot.base);
	*group_where(list, spot.base) = where_of(load, given);
	place_add(load->conf,
		  (struct place){ list, spot.nth, where_of(load, given), xstrdup(item) });
	return read_members(load, &spot, given);
}

static enum err_code read_groups(struct load *load, const struct spot *spot,
				 config_setting_t *given, const struct setting *list)
{
	enum err_code code = ERR_NONE;
	char *path;

	if (!is_list(given)) {
		return refuse_type(load, spot, given, list);
	}
	path = item_of(spot, list->name);
	for (int i = 0; code == ERR_NONE && i < config_setting_length(given); i++) {
		char *item = xasprintf("%s[%d]", path, i);

		code = read_item(load, spot, config_setting_get_elem(given, (unsigned)i), item,
				 list);
		free(item);
	}
	free(path);
	return code;
}

static enum err_code read_group(struct load *load, const struct spot *outer,
				config_setting_t *given, const struct setting *row)
{
	struct spot spot = {
		.group = row->group,
		.item = row->name,
		.base = group_item(outer->base, row, 0),
	};

	if (!config_setting_is_group(given)) {
		return refuse_type(load, outer, given, row);
	}
	return read_members(load, &spot, given);
}

/* ---- files -------------------------------------------------------------------- */

static enum err_code read_config(struct load *load, const char *text)
{
	struct spot root = { .group = &schema_root, .base = load->conf };
	config_t config;
	config_setting_t *given;
	enum err_code code = ERR_NONE;
	char *where;

	config_init(&config);
	if (config_read_string(&config, text) != CONFIG_TRUE) {
		where = xasprintf("%s:%d", load->source, config_error_line(&config));
		code = place_err(load->err, where, NULL,
				 "%s; write settings as key = VALUE; "
				 "and lists of one kind of value",
				 config_error_text(&config));
		free(where);
		goto out;
	}
	given = config_root_setting(&config);
	for (int i = 0; code == ERR_NONE && i < config_setting_length(given); i++) {
		code = read_setting(load, &root, config_setting_get_elem(given, (unsigned)i));
	}
out:
	config_destroy(&config);
	return code;
}

static enum err_code read_source(struct load *load, const char *text, const char *source)
{
	enum err_code code = syntax_check(text, source, load->err);

	load->source = source;
	return code == ERR_NONE ? read_config(load, text) : code;
}

static enum err_code read_file(struct load *load, const char *path)
{
	struct buf text = BUF_INIT(0);
	enum err_code code = file_read(path, FILE_MAX, &text, load->err);

	if (code == ERR_LIMIT) {
		code = place_err(load->err, path, NULL,
				 "the file is larger than %d octets; make several of it, and name "
				 "them by `include`",
				 FILE_MAX);
	}
	if (code != ERR_NONE) {
		goto out;
	}
	if (strlen(buf_str(&text)) != text.len) {
		code = place_err(load->err, path, NULL, "the file has a NUL octet; write text");
		goto out;
	}
	code = read_source(load, buf_str(&text), path);
out:
	buf_clear(&text);
	return code;
}

/* ---- includes -------------------------------------------------------------------- */

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum err_code refuse_include(const struct load *load, const char *pattern,
				    const char *reason)
{
	const struct setting *row = schema_list("include");
	const struct place *place = place_find(load->conf, row, (struct nth){ 0 });
	char shown[SCHEMA_SHOWN_MAX];

	schema_show(shown, pattern);
	return place_err(load->err, place != NULL ? place->where : NULL, row->name, "%s %s", shown,
			 reason);
}

/* Adds the files of one pattern, in the order of their octets. */
static enum err_code expand(const struct load *load, const char *pattern, struct strlist *files)
{
	const char *folder = conf_full(load->conf)->folder;
	char *full = folder != NULL ? path_join(folder, pattern) : xstrdup(pattern);
	glob_t found = { 0 };
	enum err_code code = ERR_NONE;
	int status = glob(full, GLOB_NOSORT, NULL, &found);

	if (status == GLOB_NOMATCH && strpbrk(pattern, "*?[") == NULL) {
		code = refuse_include(load, pattern,
				      "does not exist; make the file or remove it "
				      "here");
	} else if (status != 0 && status != GLOB_NOMATCH) {
		code = refuse_include(load, pattern,
				      "cannot be searched; check the folder's "
				      "permissions");
	}
	if (found.gl_pathc > 0) {
		qsort(found.gl_pathv, found.gl_pathc, sizeof(*found.gl_pathv), compare_text);
	}
	for (size_t i = 0; i < found.gl_pathc && code == ERR_NONE; i++) {
		const char *main_file = load->conf->path;

		if (strlist_has(files, found.gl_pathv[i]) ||
		    (main_file != NULL && strcmp(main_file, found.gl_pathv[i]) == 0)) {
			continue;
		}
		if (files->count == INCLUDE_MAX) {
			code = refuse_include(load, pattern,
					      "finds more files than the 256 that "
					      "may be included; merge some");
			break;
		}
		strlist_add(files, found.gl_pathv[i]);
	}
	globfree(&found);
	free(full);
	return code;
}

static enum err_code read_includes(struct load *load)
{
	struct strlist files = { 0 };
	enum err_code code = ERR_NONE;

	for (size_t i = 0; code == ERR_NONE && i < load->conf->include.count; i++) {
		code = expand(load, load->conf->include.item[i], &files);
	}
	load->included = true;
	for (size_t i = 0; code == ERR_NONE && i < files.count; i++) {
		code = read_file(load, files.item[i]);
	}
	strlist_clear(&files);
	return code;
}

static enum err_code finish(struct load *load, enum err_code code, struct conf **out)
{
	if (code == ERR_NONE) {
		code = read_includes(load);
	}
	if (code == ERR_NONE) {
		code = conf_check(load->conf, load->rows, load->err);
	}
	if (code != ERR_NONE) {
		conf_free(load->conf);
		return code;
	}
	*out = load->conf;
	return ERR_NONE;
}

enum err_code conf_load(const char *path, conf_provider_rows *rows, struct conf **out,
			struct err *err)
{
	struct load load = { .conf = conf_new(), .rows = rows, .err = err };

	load.conf->path = xstrdup(path);
	conf_full(load.conf)->folder = path_dir(path);
	return finish(&load, read_file(&load, path), out);
}

enum err_code conf_parse(const char *text, const char *source, conf_provider_rows *rows,
			 struct conf **out, struct err *err)
{
	struct load load = { .conf = conf_new(), .rows = rows, .err = err };

	return finish(&load, read_source(&load, text, source), out);
}

char *conf_peek(const char *path, const char *setting)
{
	struct buf text = BUF_INIT(0);
	const config_setting_t *given;
	struct err unused;
	config_t config;
	char *found = NULL;

	if (file_read(path, FILE_MAX, &text, &unused) != ERR_NONE) {
		return NULL;
	}
	config_init(&config);
	if (config_read_string(&config, buf_str(&text)) == CONFIG_TRUE) {
		given = config_lookup(&config, setting);
		found = xstrdup(given != NULL ? config_setting_get_string(given) : NULL);
	}
	config_destroy(&config);
	buf_clear(&text);
	return found;
}
