/*
 * field: moves values between canonical text and the plain structs, by the
 * offsets of the schema's rows.
 */
#include "schema.h"

#include <inttypes.h>

bool field_is_text(const struct setting *row)
{
	switch (row->type) {
	case SETTING_STRING:
	case SETTING_NAME:
	case SETTING_FILE:
	case SETTING_URL:
	case SETTING_ENUM:
		return true;
	case SETTING_INT:
		return row->choices != NULL;
	default:
		return false;
	}
}

static void *field_at(const struct setting *row, const void *base)
{
	return (char *)(uintptr_t)base + row->offset;
}

struct strlist *field_command(const struct setting *row, void *base)
{
	return field_at(row, base);
}

struct commands *field_commands(const struct setting *row, void *base)
{
	return field_at(row, base);
}

static void commands_clear(struct commands *commands)
{
	for (size_t i = 0; i < commands->count; i++) {
		strlist_clear(&commands->item[i].argv);
	}
	free(commands->item);
	*commands = (struct commands){ 0 };
}

void field_clear(const struct setting *row, void *base)
{
	if (field_is_text(row)) {
		char **text = field_at(row, base);

		free(*text);
		*text = NULL;
	} else if (row->type == SETTING_STRINGS || row->type == SETTING_COMMAND) {
		strlist_clear(field_at(row, base));
	} else if (row->type == SETTING_COMMANDS) {
		commands_clear(field_at(row, base));
	}
}

static void set_list(struct strlist *list, const char *text)
{
	size_t len;

	for (const char *at = text; *at != '\0'; at += len + (at[len] == '\n')) {
		len = strcspn(at, "\n");
		strlist_take(list, xstrndup(at, len));
	}
}

void field_set(const struct setting *row, void *base, const char *canonical)
{
	void *at = field_at(row, base);

	field_clear(row, base);
	if (field_is_text(row)) {
		*(char **)at = xstrdup(canonical);
	} else if (row->type == SETTING_STRINGS) {
		set_list(at, canonical);
	} else if (row->type == SETTING_BOOL) {
		*(bool *)at = strcmp(canonical, "true") == 0;
	} else if (row->type == SETTING_INT) {
		*(int64_t *)at = strtoll(canonical, NULL, 10);
	} else if (row->type == SETTING_DURATION && !duration_parse(canonical, at)) {
		*(int64_t *)at = 0; /* not reached: the text is canonical */
	}
}

static char *get_duration(int64_t ms)
{
	char text[32];

	duration_format(text, ms);
	return xstrdup(text);
}

char *field_get(const struct setting *row, const void *base)
{
	const void *at = field_at(row, base);

	if (field_is_text(row)) {
		const char *text = *(char *const *)at;

		return text != NULL && text[0] != '\0' ? xstrdup(text) : NULL;
	}
	switch (row->type) {
	case SETTING_BOOL:
		return xstrdup(*(const bool *)at ? "true" : "false");
	case SETTING_INT:
		return xasprintf("%" PRId64, *(const int64_t *)at);
	case SETTING_DURATION:
		return get_duration(*(const int64_t *)at);
	case SETTING_STRINGS:
		return strlist_join(at, "\n");
	default:
		return NULL;
	}
}
