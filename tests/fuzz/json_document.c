/* Whatever octets come as a body of JSON: read or refused; what is read is written so that it is
 * read as the same again, in one line, within the depth that is allowed. */
#include "dns01/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool fine)
{
	if (!fine) {
		abort();
	}
}

static void walk(const struct json *value, size_t depth)
{
	const struct json *member;
	const char *key;

	must(depth <= JSON_DEPTH_MAX);
	for (size_t i = 0; json_member(value, i, &key, &member); i++) {
		must(json_get(value, key) == member);
		walk(member, depth + 1);
	}
	for (size_t i = 0; i < json_len(value); i++) {
		walk(json_at(value, i), depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json *json = NULL, *again = NULL;
	char *text, *same;
	struct err err;

	if (json_parse((const char *)data, size, &json, &err) != ERR_NONE) {
		must(err.text[0] != '\0' && !json);
		return 0;
	}
	walk(json, 0);
	text = json_dump(json);
	must(!strchr(text, '\n'));
	must(json_parse(text, strlen(text), &again, &err) == ERR_NONE);
	same = json_dump(again);
	must(strcmp(text, same) == 0);
	json_free(json);
	json_free(again);
	free(text);
	free(same);
	return 0;
}
