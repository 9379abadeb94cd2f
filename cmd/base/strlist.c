/* A list of strings that it owns, usable as an argv. */
#include "internal.h"

#define FIRST_CAP 8

void strlist_take(struct strlist *list, char *text)
{
	if (list->count + 1 >= list->cap) {
		list->cap = list->cap ? list->cap * 2 : FIRST_CAP;
		list->item = xreallocarray(list->item, list->cap, sizeof(*list->item));
	}
	list->item[list->count++] = text;
	list->item[list->count] = NULL;
}

void strlist_add(struct strlist *list, const char *text)
{
	strlist_take(list, xstrdup(text));
}

void strlist_addf(struct strlist *list, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	strlist_take(list, xvasprintf(fmt, args));
	va_end(args);
}

bool strlist_has(const struct strlist *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->item[i], text) == 0) {
			return true;
		}
	}
	return false;
}

void strlist_copy(struct strlist *to, const struct strlist *from)
{
	const size_t count = from->count; /* to may be from */

	for (size_t i = 0; i < count; i++) {
		strlist_add(to, from->item[i]);
	}
}

void strlist_clear(struct strlist *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->item[i]);
	}
	free(list->item);
	*list = (struct strlist){ .item = NULL };
}

void strlist_add_words(struct strlist *list, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, " ");

		if (len > 0) {
			strlist_take(list, xstrndup(text, len));
		}
		text += len + (text[len] == ' ');
	}
}

char *strlist_join(const struct strlist *list, const char *separator)
{
	struct buf text = BUF_INIT(SIZE_MAX / 2);

	for (size_t i = 0; i < list->count; i++) {
		buf_add_str(&text, i > 0 ? separator : "");
		buf_add_str(&text, list->item[i]);
	}
	return buf_detach(&text);
}
