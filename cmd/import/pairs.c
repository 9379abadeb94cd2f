#include "pairs.h"

const char *pairs_get(const struct pairs *pairs, const char *section, const char *key)
{
	for (size_t i = pairs->count; i > 0; i--) {
		const struct pair *pair = &pairs->item[i - 1];

		if (strcmp(pair->section, section) == 0 && strcmp(pair->key, key) == 0) {
			return pair->value;
		}
	}
	return NULL;
}

void pairs_clear(struct pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++) {
		free(pairs->item[i].section);
		free(pairs->item[i].key);
		wipe_str(pairs->item[i].value);
	}
	free(pairs->item);
	*pairs = (struct pairs){ 0 };
}

enum err_code pairs_add(struct pairs *pairs, const struct pair_found *pair, const char *source,
			struct err *err)
{
	if (pairs->count == PAIRS_MAX) {
		return err_set(err, ERR_LIMIT, source, "holds more than %d settings", PAIRS_MAX);
	}
	pairs->item = xreallocarray(pairs->item, pairs->count + 1, sizeof(*pairs->item));
	pairs->item[pairs->count++] = (struct pair){
		.section = xstrdup(pair->section),
		.key = xstrdup(pair->key),
		.value = xstrdup(pair->value),
		.line = pair->line,
	};
	return ERR_NONE;
}

enum err_code pairs_check_text(const struct pairs_text *from, struct err *err)
{
	if (from->len > PAIRS_TEXT_MAX) {
		return err_set(err, ERR_LIMIT, from->source, "is larger than %d octets",
			       PAIRS_TEXT_MAX);
	}
	if (memchr(from->text, '\0', from->len)) {
		return err_set(err, ERR_CONFIG, from->source,
			       "holds a NUL octet, so it is no text");
	}
	return ERR_NONE;
}
