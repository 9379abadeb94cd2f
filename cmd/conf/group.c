/* group: lists of groups, and single ones, by the offsets of the schema's rows. */
#include "schema.h"

static void *at_offset(const void *base, size_t offset)
{
	return (char *)(uintptr_t)base + offset;
}

bool group_is(const struct setting *row)
{
	return row->type == SETTING_GROUP || row->type == SETTING_GROUPS;
}

size_t group_count(const void *base, const struct setting *list)
{
	return list->type == SETTING_GROUP ? 1
					   : *(size_t *)at_offset(base, list->group->count_offset);
}

/* The lists have items of different types: their pointers are moved as octets. */
static char *group_items(const void *base, const struct setting *list)
{
	char *items;

	memcpy(&items, at_offset(base, list->offset), sizeof(items));
	return items;
}

void *group_item(const void *base, const struct setting *list, size_t i)
{
	if (list->type == SETTING_GROUP) {
		return at_offset(base, list->offset);
	}
	return group_items(base, list) + i * list->group->size;
}

/* Room for one item more than `count`. It doubles whenever `count` is a power of two, so no
 * capacity has to be kept beside each list. */
static char *grown(char *items, size_t count, size_t size)
{
	bool full = (count & (count - 1)) == 0; /* 0 is full too */

	return full ? xreallocarray(items, count > 0 ? 2 * count : 1, size) : items;
}

void *group_add(void *base, const struct setting *list)
{
	size_t *count = at_offset(base, list->group->count_offset);
	char *items = grown(group_items(base, list), *count, list->group->size);
	void *item = items + *count * list->group->size;

	memcpy(at_offset(base, list->offset), &items, sizeof(items));
	++*count;
	memset(item, 0, list->group->size);
	group_defaults(list->group, item);
	return item;
}

char **group_where(const struct setting *list, void *item)
{
	size_t offset = list->group->where_offset;

	return offset != 0 ? at_offset(item, offset) : NULL;
}

struct settings *group_settings(const struct setting *list, void *item)
{
	size_t offset = list->group->settings_offset;

	return offset != 0 ? at_offset(item, offset) : NULL;
}

void group_defaults(const struct setting_group *group, void *item)
{
	for (size_t i = 0; i < group->row_count; i++) {
		const struct setting *row = &group->rows[i];

		if (row->type == SETTING_GROUP) {
			group_defaults(row->group, group_item(item, row, 0));
		} else if (row->fallback != NULL) {
			field_set(row, item, row->fallback);
		}
	}
}

static void list_clear(const struct setting *list, void *base)
{
	for (size_t i = 0; i < group_count(base, list); i++) {
		void *item = group_item(base, list, i);
		struct settings *settings = group_settings(list, item);
		char **where = group_where(list, item);

		group_clear(list->group, item);
		if (settings != NULL) {
			settings_clear(settings);
		}
		if (where != NULL) {
			free(*where);
		}
	}
	if (list->type == SETTING_GROUPS) {
		free(group_items(base, list));
	}
}

void group_clear(const struct setting_group *group, void *item)
{
	for (size_t i = 0; i < group->row_count; i++) {
		if (group_is(&group->rows[i])) {
			list_clear(&group->rows[i], item);
		} else {
			field_clear(&group->rows[i], item);
		}
	}
}
