/* What reading and writing share: a struct json is a json_t under another name. */
#ifndef DNS01_JSON_INTERNAL_H
#define DNS01_JSON_INTERNAL_H

#include <jansson.h>

/* Macros of jansson; here they are functions of our own. */
#undef json_is_object
#undef json_is_array

#include "dns01/json.h"

struct json *json_of(json_t *value);
json_t *json_in(const struct json *json);

/* Gives a string value; what is not UTF-8 is shown as \xNN. */
json_t *json_string_of(const char *text);

/* Before the first value: jansson's memory is ours, so that it never is NULL. */
void json_prepare(void);

#endif
