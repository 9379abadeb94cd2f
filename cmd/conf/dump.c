/*
 * dump: the configuration as text that reads back to the same dump. What was
 * included is in it, so its `include` is empty.
 */
#include "schema.h"

#define DUMP_MAX (64 * 1024 * 1024)

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

static void add_row(struct buf *out, const char *indent, const struct setting *row, void *base)
{
	char *text;

	if (row->type == SETTING_COMMANDS) {
		add_commands(out, indent, row, base);
		return;
	}
	text = field_get(row, base);
	if (text != NULL) {
		add_value(out, indent, row, text);
	}
	free(text);
}

static void add_settings(struct buf *out, const struct conf_provider *provider,
			 conf_provider_rows *rows_of)
{
	size_t count = 0;
	const struct setting *rows = rows_of(provider->type, &count);

	for (size_t i = 0; rows != NULL && i < count; i++) {
		const char *text = settings_get(&provider->settings, rows, count, rows[i].name);

		if (text != NULL && (!rows[i].secret || rows[i].type == SETTING_FILE)) {
			add_value(out, "\t\t", &rows[i], text);
		}
	}
}

static void add_list(struct buf *out, const struct conf *conf, const struct setting *list,
		     conf_provider_rows *rows)
{
	size_t count = group_count(conf, list);

	buf_addf(out, "\n%s = (", list->name);
	for (size_t i = 0; i < count; i++) {
		void *item = group_item(conf, list, i);

		buf_add_str(out, i > 0 ? ",\n\t{\n" : "\n\t{\n");
		for (size_t j = 0; j < list->group->row_count; j++) {
			add_row(out, "\t\t", &list->group->rows[j], item);
		}
		if (group_settings(list, item) != NULL) {
			add_settings(out, item, rows);
		}
		buf_add_str(out, "\t}");
	}
	buf_add_str(out, count > 0 ? "\n);\n" : ");\n");
}

char *conf_dump(const struct conf *conf, conf_provider_rows *rows)
{
	struct buf out = BUF_INIT(DUMP_MAX);
	const struct setting *include = schema_list("include");

	for (size_t i = 0; i < schema_root.row_count; i++) {
		const struct setting *row = &schema_root.rows[i];

		if (row->type == SETTING_GROUPS) {
			add_list(&out, conf, row, rows);
		} else if (row == include) {
			add_value(&out, "", row, "");
		} else {
			add_row(&out, "", row, (void *)(uintptr_t)conf);
		}
	}
	return buf_detach(&out);
}
