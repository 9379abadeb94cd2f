#include "index.h"

#include <search.h>

struct index_entry {
	char *key;
	char *value;
};

static int by_key(const void *a, const void *b)
{
	const struct index_entry *left = a, *right = b;

	return strcmp(left->key, right->key);
}

static void entry_free(void *arg)
{
	struct index_entry *entry = arg;

	free(entry->key);
	free(entry->value);
	free(entry);
}

void index_add(struct index *index, const char *key, const char *value)
{
	struct index_entry *entry = xmalloc(sizeof(*entry));
	struct index_entry **there;

	*entry = (struct index_entry){ xstrdup(key), xstrdup(value) };
	there = tsearch(entry, &index->root, by_key);
	if (!there || *there != entry) {
		entry_free(entry);
	}
}

const char *index_get(const struct index *index, const char *key)
{
	const struct index_entry wanted = { .key = (char *)(uintptr_t)key };
	struct index_entry **found = tfind(&wanted, &index->root, by_key);

	return found ? (*found)->value : NULL;
}

void index_clear(struct index *index)
{
	tdestroy(index->root, entry_free);
	index->root = NULL;
}
