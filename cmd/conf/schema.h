/*
 * schema: the one table of settings, and what walks over it. Private to conf.
 */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H

#include "dns01/conf.h"

/* One kind of group: the whole file, or the items of one list. */
struct setting_group {
	const char *item; /* "account": one of them, in sentences */
	const char *help; /* a paragraph of the manual */
	const struct setting *rows;
	size_t row_count;
	size_t size;            /* of the struct of one item */
	size_t count_offset;    /* in struct conf: how many there are */
	size_t where_offset;    /* in the item */
	size_t settings_offset; /* in the item: settings of its type; 0: none */
};

extern const struct setting_group schema_root; /* its rows' offsets are in struct conf */
extern const struct setting_group schema_listeners;
extern const struct setting_group schema_clients;
extern const struct setting_group schema_brokers;
extern const struct setting_form schema_word; /* a name that people choose */

#define SCHEMA_DEFAULT_VIEW "default"
#define SCHEMA_REASON_MAX 512
#define SCHEMA_SHOWN_MAX 64 /* of a value in a sentence */

const struct setting *schema_find(const struct setting *rows, size_t count, const char *name);
/* The row of the list of accounts, and so on. */
const struct setting *schema_list(const char *name);
/* The word of the list nearest to a mistyped one, or NULL; borrowed from it. */
const char *schema_nearest(const struct strlist *words, const char *typed);
/* "a, b or c" from "a|b|c", each in quotes; gives. */
char *schema_choices(const char *choices);
/* What a row takes, for "write ...": `a string such as "10s" or "5m"`; gives. */
char *schema_expected(const struct setting *row);
/* Text in quotes, escaped and cut. */
void schema_show(char out[SCHEMA_SHOWN_MAX], const char *text);
/* setting_check() with the bare sentence, without name and place. */
enum err_code setting_canonical(const struct setting *row, const char *text, char **canonical,
				char reason[SCHEMA_REASON_MAX]) MUST_CHECK;

/* ---- fields: a row's value inside the struct at base ----------------- */

bool field_is_text(const struct setting *row); /* kept as char * */
/* canonical must have passed setting_canonical(). */
void field_set(const struct setting *row, void *base, const char *canonical);
/* Gives the text; NULL: not given. Not for COMMANDS and GROUPS. */
char *field_get(const struct setting *row, const void *base);
void field_clear(const struct setting *row, void *base);
void field_defaults(const struct setting_group *group, void *base);
struct commands *field_commands(const struct setting *row, void *base);

/* Item i of a list of groups; count and a new item at its end. */
void *group_item(const struct conf *conf, const struct setting *list, size_t i);
size_t group_count(const struct conf *conf, const struct setting *list);
void *group_add(struct conf *conf, const struct setting *list);
char **group_where(const struct setting *list, void *item);
struct settings *group_settings(const struct setting *list, void *item); /* may be NULL */

/* ---- places: where each value stands, for sentences ------------------ */

struct place {
	const struct setting *row; /* a list's row: the item itself */
	size_t index;              /* of the item; 0 for the root's rows */
	char *where;               /* "dns01.conf:12" */
	char *item;                /* "zones[1].settle"; [1] counts within that file */
};

/* What conf_new() really makes; struct conf is its first member. */
struct conf_full {
	struct conf conf;
	char *folder; /* of the main file; NULL: the current one */
	struct place *place;
	size_t place_count, place_cap;
};

struct conf_full *conf_full(struct conf *conf);
void place_add(struct conf *conf, struct place place); /* takes its strings */
const struct place *place_find(const struct conf *conf, const struct setting *row, size_t index);
/* "WHERE: ITEM: sentence". where and item may be NULL. */
enum err_code place_err(struct err *err, const char *where, const char *item, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

#endif
