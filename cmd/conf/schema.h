/*
 * schema: the one table of settings, and what walks over it. Private to conf.
 */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H

#include "dns01/conf.h"

/* One kind of group: the whole file, one group in it, or the items of one list. */
struct setting_group {
	const char *item;  /* "account": one of them, in sentences */
	const char *title; /* of its section in the manual; NULL: the list's name */
	const char *help;  /* a paragraph of the manual */
	const struct setting *rows;
	size_t row_count;
	size_t size;            /* of the struct of one item */
	size_t count_offset;    /* of a list: how many there are, where the list is */
	size_t where_offset;    /* in the item; 0: it keeps no place */
	size_t settings_offset; /* in the item: settings of its type; 0: none */
};

extern const struct setting_group schema_root; /* its rows' offsets are in struct conf */
extern const struct setting_group schema_certificates;
extern const struct setting_group schema_notify;
extern const struct setting_group schema_listeners;
extern const struct setting_group schema_clients;
extern const struct setting_group schema_brokers;
extern const struct setting_form schema_word; /* a name that people choose */

#define SCHEMA_DEFAULT_VIEW "default"
#define SCHEMA_KEY_TYPES "p256|p384|rsa2048|rsa3072|rsa4096"
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
/* Gives the text; NULL: not given. Not for COMMAND and all after it. */
char *field_get(const struct setting *row, const void *base);
void field_clear(const struct setting *row, void *base);
struct strlist *field_command(const struct setting *row, void *base);
struct commands *field_commands(const struct setting *row, void *base);

/* ---- groups inside the struct at base: of the file, or an item's own --- */

bool group_is(const struct setting *row); /* GROUP or GROUPS */
/* Item i of a list; count and a new item at its end. A single group is a list of one. */
void *group_item(const void *base, const struct setting *list, size_t i);
size_t group_count(const void *base, const struct setting *list);
void *group_add(void *base, const struct setting *list);
char **group_where(const struct setting *list, void *item);              /* may be NULL */
struct settings *group_settings(const struct setting *list, void *item); /* may be NULL */
void group_defaults(const struct setting_group *group, void *item);
void group_clear(const struct setting_group *group, void *item);

/* ---- places: where each value stands, for sentences ------------------ */

/* Which item of a list, over all files; 0 and 0 for the root's rows. */
struct nth {
	size_t item;  /* of a list of the file */
	size_t inner; /* of a list in that item; else 0 */
};

struct place {
	const struct setting *row; /* a list's row: the item itself */
	struct nth nth;
	char *where; /* "dns01.conf:12" */
	char *item;  /* "zones[1].settle"; [1] counts within that file */
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
const struct place *place_find(const struct conf *conf, const struct setting *row, struct nth nth);
/* "WHERE: ITEM: sentence". where and item may be NULL. */
enum err_code place_err(struct err *err, const char *where, const char *item, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

#endif
