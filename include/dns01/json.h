/*
 * json: the only user of jansson. Reading: accessors that answer NULL or a
 * default for what is absent or of another type. Writing: objects and arrays.
 */
#ifndef DNS01_JSON_H
#define DNS01_JSON_H

#include "dns01/base.h"

#define JSON_TEXT_MAX (1024 * 1024)
#define JSON_DEPTH_MAX 32
#define JSON_VALUES_MAX (128 * 1024) /* in a document */
#define JSON_MEMBERS_MAX 1024        /* in an object */

struct json;

/* Gives a document: an object or an array. Refuses what is past a maximum
 * above, duplicate keys, NUL in strings: ERR_PROTOCOL with line and column. */
enum err_code json_parse(const char *text, size_t len, struct json **out,
			 struct err *err) MUST_CHECK;
void json_free(struct json *json); /* of the root only; NULL is fine */

/* Members are borrowed from their parent; NULL parents are fine. */
const struct json *json_get(const struct json *object, const char *key);
const char *json_str(const struct json *object, const char *key); /* NULL: no such string */
const char *json_text(const struct json *value);               /* of a string itself, else NULL */
int64_t json_number(const struct json *value, int64_t absent); /* of an integer itself */
int64_t json_int(const struct json *object, const char *key, int64_t absent);
bool json_bool(const struct json *object, const char *key, bool absent);
bool json_is_object(const struct json *value);
bool json_is_array(const struct json *value);
bool json_is_nil(const struct json *value); /* a null that stands there */
size_t json_len(const struct json *array);  /* 0 for what is no array */
const struct json *json_at(const struct json *array, size_t index);
/* Walks an object: for (i = 0; json_member(o, i, &key, &value); i++) */
bool json_member(const struct json *object, size_t index, const char **key,
		 const struct json **value);

/*
 * jansson exports three functions by these short names, and the dynamic linker
 * would call ours from inside it; so they are names for our sources alone.
 */
#define json_object() json_object_new()
#define json_array() json_array_new()
#define json_copy(value) json_clone(value)

struct json *json_object_new(void);
struct json *json_array_new(void);
struct json *json_clone(const struct json *value); /* gives a deep copy */
/* Keys are UTF-8. NULL text, and a NULL value, is left out. Text that is not
 * UTF-8 is escaped first. */
void json_set_str(struct json *object, const char *key, const char *text);
void json_set_int(struct json *object, const char *key, int64_t value);
void json_set_bool(struct json *object, const char *key, bool value);
void json_set(struct json *object, const char *key, struct json *value); /* takes value */
void json_add(struct json *array, struct json *value);                   /* takes value */
void json_add_str(struct json *array, const char *text);
char *json_dump(const struct json *value);   /* one line, keys in order of setting; gives */
char *json_pretty(const struct json *value); /* indented by two; gives */

/*
 * A document written straight into a buffer, as json_dump would write it; commas come by
 * themselves, also after a line that ended. key: ASCII that needs no escape; NULL: in an array,
 * or the document itself.
 */
enum json_kind { JSON_KIND_OBJECT, JSON_KIND_ARRAY };
void json_put_open(struct buf *out, const char *key, enum json_kind kind);
void json_put_close(struct buf *out, enum json_kind kind);
void json_put_str(struct buf *out, const char *key, const char *text); /* NULL is left out */
void json_put_int(struct buf *out, const char *key, int64_t value);
void json_put_bool(struct buf *out, const char *key, bool value);

#endif
