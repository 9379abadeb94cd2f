/* Documents of our own. */
#include "internal.h"

/* With json_prepare() only a mistake of the caller makes jansson fail. */
static void must(bool done)
{
	if (!done) {
		log_error("JSON: a key that is no UTF-8, or a value of another type");
		abort();
	}
}

void json_prepare(void)
{
	static bool prepared;

	if (!prepared) {
		json_set_alloc_funcs(xmalloc, free);
		prepared = true;
	}
}

struct json *json_object_new(void)
{
	json_prepare();
	return json_of((json_object)());
}

struct json *json_array_new(void)
{
	json_prepare();
	return json_of((json_array)());
}

json_t *json_string_of(const char *text)
{
	json_t *value;
	size_t size;
	char *escaped;

	json_prepare();
	value = json_string(text);
	if (value) {
		return value;
	}
	size = 4 * strlen(text) + 1;
	escaped = xmalloc(size);
	text_escape(escaped, size, text, strlen(text));
	value = json_string(escaped);
	free(escaped);
	return value;
}

static void set(struct json *object, const char *key, json_t *value)
{
	must(json_object_set_new(json_in(object), key, value) == 0);
}

void json_set_str(struct json *object, const char *key, const char *text)
{
	if (text) {
		set(object, key, json_string_of(text));
	}
}

void json_set_int(struct json *object, const char *key, int64_t value)
{
	set(object, key, json_integer(value));
}

void json_set_bool(struct json *object, const char *key, bool value)
{
	set(object, key, json_boolean(value));
}

void json_set(struct json *object, const char *key, struct json *value)
{
	if (value) {
		set(object, key, json_in(value));
	}
}

void json_add(struct json *array, struct json *value)
{
	if (value) {
		must(json_array_append_new(json_in(array), json_in(value)) == 0);
	}
}

void json_add_str(struct json *array, const char *text)
{
	if (text) {
		json_add(array, json_of(json_string_of(text)));
	}
}

struct json *json_clone(const struct json *value)
{
	return json_of(json_deep_copy(json_in(value)));
}

static char *dump(const struct json *value, size_t flags)
{
	char short_text[2048];
	size_t len =
		json_dumpb(json_in(value), short_text, sizeof(short_text), flags | JSON_ENCODE_ANY);
	char *text;

	must(len > 0);
	if (len <= sizeof(short_text)) {
		return xstrndup(short_text, len);
	}
	text = json_dumps(json_in(value), flags | JSON_ENCODE_ANY);
	must(text != NULL);
	return text;
}

char *json_dump(const struct json *value)
{
	return dump(value, JSON_COMPACT);
}

char *json_pretty(const struct json *value)
{
	return dump(value, JSON_INDENT(2));
}
