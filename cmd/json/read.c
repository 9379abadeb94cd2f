/* Documents of peers, read with limits, and their members. */
#include "internal.h"

#define WHY_MAX 240

struct json *json_of(json_t *value)
{
	return (struct json *)value;
}

/* jansson counts references in values that it only reads, so it wants none of them const. */
json_t *json_in(const struct json *json)
{
	return (json_t *)(uintptr_t)json;
}

/* ---- what is refused before jansson sees it ---- */

/* One pass over the text: it knows strings and levels, nothing else of the grammar. */
struct scan {
	size_t line, column;
	size_t depth, values;
	size_t members[JSON_DEPTH_MAX + 1]; /* by level; of arrays it does not matter */
	bool is_object[JSON_DEPTH_MAX + 1];
	bool in_string, escaped;
};

static const char *open_level(struct scan *scan, bool is_object)
{
	if (scan->depth == JSON_DEPTH_MAX) {
		return "it nests too deep";
	}
	scan->depth++;
	scan->is_object[scan->depth] = is_object;
	scan->members[scan->depth] = 1;
	scan->values++;
	return NULL;
}

static const char *next_member(struct scan *scan)
{
	scan->values++;
	if (++scan->members[scan->depth] > JSON_MEMBERS_MAX && scan->is_object[scan->depth]) {
		return "an object has too many members";
	}
	return NULL;
}

/* NULL, or why the document is refused at this octet. */
static const char *scan_char(struct scan *scan, char c)
{
	const char *why = NULL;

	if (scan->in_string) {
		scan->in_string = scan->escaped || c != '"';
		scan->escaped = !scan->escaped && c == '\\';
		return NULL;
	}
	switch (c) {
	case '"':
		scan->in_string = true;
		break;
	case '{':
	case '[':
		why = open_level(scan, c == '{');
		break;
	case '}':
	case ']':
		scan->depth -= scan->depth > 0;
		break;
	case ',':
		why = next_member(scan);
		break;
	default:
		break;
	}
	return !why && scan->values > JSON_VALUES_MAX ? "it has too many values" : why;
}

static enum err_code check_limits(const char *text, size_t len, struct err *err)
{
	struct scan scan = { .line = 1 };

	if (len > JSON_TEXT_MAX) {
		return err_set(err, ERR_PROTOCOL, NULL,
			       "the JSON is larger than %d octets, so it is refused whole",
			       JSON_TEXT_MAX);
	}
	for (size_t i = 0; i < len; i++) {
		const char *why;

		scan.column++;
		why = scan_char(&scan, text[i]);
		if (why) {
			return err_set(err, ERR_PROTOCOL, NULL,
				       "the JSON is refused at line %zu, column %zu: %s", scan.line,
				       scan.column, why);
		}
		if (text[i] == '\n') {
			scan.line++;
			scan.column = 0;
		}
	}
	return ERR_NONE;
}

/* ---- the document ---- */

enum err_code json_parse(const char *text, size_t len, struct json **out, struct err *err)
{
	enum err_code code = check_limits(text, len, err);
	json_error_t failure;
	json_t *root;
	char why[WHY_MAX];

	if (code) {
		return code;
	}
	json_prepare();
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &failure);
	if (!root) {
		/* It quotes the document, which is a peer's. */
		text_escape(why, sizeof(why), failure.text, strlen(failure.text));
		return err_set(err, ERR_PROTOCOL, NULL,
			       "the JSON is not valid at line %d, column %d: %s", failure.line,
			       failure.column, why);
	}
	*out = json_of(root);
	return ERR_NONE;
}

void json_free(struct json *json)
{
	json_decref(json_in(json));
}

/* ---- members ---- */

const struct json *json_get(const struct json *object, const char *key)
{
	return json_of(json_object_get(json_in(object), key));
}

const char *json_text(const struct json *value)
{
	return json_string_value(json_in(value));
}

const char *json_str(const struct json *object, const char *key)
{
	return json_text(json_get(object, key));
}

int64_t json_number(const struct json *value, int64_t absent)
{
	const json_t *number = json_in(value);

	return json_is_integer(number) ? json_integer_value(number) : absent;
}

int64_t json_int(const struct json *object, const char *key, int64_t absent)
{
	return json_number(json_get(object, key), absent);
}

bool json_bool(const struct json *object, const char *key, bool absent)
{
	const json_t *value = json_in(json_get(object, key));

	return json_is_boolean(value) ? json_is_true(value) : absent;
}

bool json_is_object(const struct json *value)
{
	return json_in(value) && json_typeof(json_in(value)) == JSON_OBJECT;
}

bool json_is_array(const struct json *value)
{
	return json_in(value) && json_typeof(json_in(value)) == JSON_ARRAY;
}

bool json_is_nil(const struct json *value)
{
	return json_in(value) && json_typeof(json_in(value)) == JSON_NULL;
}

size_t json_len(const struct json *array)
{
	return json_array_size(json_in(array));
}

const struct json *json_at(const struct json *array, size_t index)
{
	return json_of(json_array_get(json_in(array), index));
}

bool json_member(const struct json *object, size_t index, const char **key,
		 const struct json **value)
{
	json_t *walked = json_in(object);
	void *at = json_object_iter(walked); /* NULL for what is no object */

	while (at && index-- > 0) {
		at = json_object_iter_next(walked, at);
	}
	if (!at) {
		return false;
	}
	*key = json_object_iter_key(at);
	*value = json_of(json_object_iter_value(at));
	return true;
}
