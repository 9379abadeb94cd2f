/*
 * dump: the configuration as text that reads back to the same dump. What was
 * included is in it, so its `include` is empty. The brief form is for a file that
 * people read: it leaves out what is the default.
 */
#include "schema.h"

#define DUMP_MAX (64 * 1024 * 1024)
#define TABS 5 /* as deep as groups stand in groups, with their settings */

static const char tabs[TABS + 1] = "\t\t\t\t\t";

/* libconfig's escapes; 1.5 has no other way to write a control character. */
static void add_quoted(struct buf *out, const char *text)
{
	buf_add_str(out, "\"");
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\') {
			buf_addf(out, "\\%c", c);
		} else if (c < ' ' || c == 0x7f) {
			buf_addf(out, "\\x%02x", c);
		} else {
			buf_add(out, text, 1);
		}
	}
	buf_add_str(out, "\"");
}

static void add_strings(struct buf *out, const struct strlist *list)
{
	buf_add_str(out, "[ ");
	for (size_t i = 0; i < list->count; i++) {
		buf_add_str(out, i > 0 ? ", " : "");
		add_quoted(out, list->item[i]);
	}
	buf_add_str(out, list->count > 0 ? " ]" : "]");
}

static void add_text_list(struct buf *out, const char *text)
{
	struct strlist list = { 0 };
	size_t len;

	for (const char *at = text; *at != '\0'; at += len + (at[len] == '\n')) {
		len = strcspn(at, "\n");
		strlist_take(&list, xstrndup(at, len));
	}
	add_strings(out, &list);
	strlist_clear(&list);
}

/* One "name = value;" of a row with text. */
static void add_value(struct buf *out, const char *indent, const struct setting *row,
		      const char *text)
{
	buf_addf(out, "%s%s = ", indent, row->name);
	if (row->type == SETTING_STRINGS) {
		add_text_list(out, text);
	} else if (row->type == SETTING_BOOL ||
		   (row->type == SETTING_INT && row->choices == NULL)) {
		buf_add_str(out, text);
	} else {
		add_quoted(out, text);
	}
	buf_add_str(out, ";\n");
}

static void add_commands(struct buf *out, const char *indent, const struct setting *row, void *base)
{
	const struct commands *commands = field_commands(row, base);

	buf_addf(out, "%s%s = ( ", indent, row->name);
	for (size_t i = 0; i < commands->count; i++) {
		buf_add_str(out, i > 0 ? ", " : "");
		add_strings(out, &commands->item[i].argv);
	}
	buf_add_str(out, commands->count > 0 ? " );\n" : ");\n");
}

static void add_command(struct buf *out, const char *indent, const struct setting *row, void *base)
{
	const struct strlist *argv = field_command(row, base);

	if (argv->count > 0) {
		buf_addf(out, "%s%s = ", indent, row->name);
		add_strings(out, argv);
		buf_add_str(out, ";\n");
	}
}

/* ---- the whole --------------------------------------------------------- */

struct dump {
	struct buf out;
	conf_provider_rows *rows;
	bool brief;
};

static bool is_left_out(const struct dump *dump, const struct setting *row, const char *text)
{
	return text == NULL ||
	       (dump->brief && row->fallback != NULL && strcmp(row->fallback, text) == 0);
}

static void add_row(struct dump *dump, const char *indent, const struct setting *row, void *base)
{
	char *text;

	if (row->type == SETTING_COMMANDS) {
		if (!dump->brief || field_commands(row, base)->count > 0) {
			add_commands(&dump->out, indent, row, base);
		}
		return;
	}
	if (row->type == SETTING_COMMAND) {
		add_command(&dump->out, indent, row, base);
		return;
	}
	text = field_get(row, base);
	if (!is_left_out(dump, row, text)) {
		add_value(&dump->out, indent, row, text);
	}
	free(text);
}

static void add_settings(struct dump *dump, const struct conf_provider *provider)
{
	size_t count = 0;
	const struct setting *rows = dump->rows(provider->type, &count);

	for (size_t i = 0; rows != NULL && i < count; i++) {
		const char *text = settings_get(&provider->settings, rows, count, rows[i].name);

		if (!is_left_out(dump, &rows[i], text) &&
		    (!rows[i].secret || rows[i].type == SETTING_FILE)) {
			add_value(&dump->out, "\t\t", &rows[i], text);
		}
	}
}

static void add_rows(struct dump *dump, unsigned depth, const struct setting_group *group,
		     void *item);

/* "{ ... }" of a list or a single group at this depth; what is inside stands one deeper. */
static void add_group(struct dump *dump, unsigned depth, const struct setting *list, void *item)
{
	buf_add_str(&dump->out, "{\n");
	add_rows(dump, depth + 1, list->group, item);
	if (group_settings(list, item) != NULL) {
		add_settings(dump, item);
	}
	buf_addf(&dump->out, "%s}", &tabs[TABS - depth]);
}

/* A group with nothing but defaults in it. */
static bool is_plain(const struct dump *dump, const struct setting *list, void *item)
{
	struct dump inner = { .out = BUF_INIT(DUMP_MAX), .rows = dump->rows, .brief = true };
	bool plain;

	add_rows(&inner, 0, list->group, item);
	plain = inner.out.len == 0;
	buf_clear(&inner.out);
	return plain;
}

/* A list of the file has room before it, and stays when it is empty. */
static void add_list(struct dump *dump, unsigned depth, const struct setting *list, void *base)
{
	struct buf *out = &dump->out;
	size_t count = group_count(base, list);
	const char *indent = &tabs[TABS - depth];

	if (list->type == SETTING_GROUP) {
		void *item = group_item(base, list, 0);

		if (!dump->brief || !is_plain(dump, list, item)) {
			buf_addf(out, "%s%s = ", indent, list->name);
			add_group(dump, depth, list, item);
			buf_add_str(out, ";\n");
		}
		return;
	}
	if (dump->brief && count == 0) {
		return;
	}
	buf_addf(out, "%s%s%s = (", depth == 0 ? "\n" : "", indent, list->name);
	for (size_t i = 0; i < count; i++) {
		buf_addf(out, "%s\n%s\t", i > 0 ? "," : "", indent);
		add_group(dump, depth + 1, list, group_item(base, list, i));
	}
	if (count > 0) {
		buf_addf(out, "\n%s", indent);
	}
	buf_add_str(out, ");\n");
}

static void add_rows(struct dump *dump, unsigned depth, const struct setting_group *group,
		     void *item)
{
	const struct setting *include = schema_list("include");

	for (size_t i = 0; i < group->row_count; i++) {
		const struct setting *row = &group->rows[i];

		if (group_is(row)) {
			add_list(dump, depth, row, item);
		} else if (row != include) {
			add_row(dump, &tabs[TABS - depth], row, item);
		} else if (!dump->brief) {
			add_value(&dump->out, "", row, "");
		}
	}
}

static char *dump_text(const struct conf *conf, conf_provider_rows *rows, bool brief)
{
	struct dump dump = { .out = BUF_INIT(DUMP_MAX), .rows = rows, .brief = brief };

	add_rows(&dump, 0, &schema_root, (void *)(uintptr_t)conf);
	return buf_detach(&dump.out);
}

char *conf_dump(const struct conf *conf, conf_provider_rows *rows)
{
	return dump_text(conf, rows, false);
}

char *conf_dump_brief(const struct conf *conf, conf_provider_rows *rows)
{
	return dump_text(conf, rows, true);
}
