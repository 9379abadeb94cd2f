/*
 * setting: one row of a settings table. The configuration's schema and every
 * provider's own table are made of these; parsing, checks, defaults, help and
 * the manual page are read from them.
 */
#ifndef DNS01_SETTING_H
#define DNS01_SETTING_H

#include "dns01/base.h"

enum setting_type {
	SETTING_STRING,
	SETTING_NAME, /* a DNS name; lower case, no final dot; U-labels stay as they are */
	SETTING_FILE, /* a path; relative to the main file or $CREDENTIALS_DIRECTORY */
	SETTING_URL,  /* https://, without a password */
	SETTING_BOOL,
	SETTING_INT,       /* within min..max */
	SETTING_DURATION,  /* "10s"; min..max in ms */
	SETTING_ENUM,      /* one of choices, separated by '|' */
	SETTING_STRINGS,   /* a list of strings */
	SETTING_COMMAND,   /* a list of strings: an argv */
	SETTING_COMMANDS,  /* a list of such lists */
	SETTING_GROUP,     /* one group, described by rows of its own */
	SETTING_GROUPS,    /* a list of groups */
	SETTING_TYPE_COUNT /* COMMAND and all after it are conf's alone, not for providers */
};

/*
 * What a text, or each item of a list, must look like beyond its type. read
 * gives the canonical text, or NULL: then the sentence is `"x" is not IS; write
 * WRITE`.
 */
struct setting_form {
	char *(*read)(const char *text);
	const char *is;    /* "an address" */
	const char *write; /* "an address such as \"192.0.2.1\"" */
};

struct setting {
	const char *name;
	enum setting_type type;
	const char *fallback; /* the default as text; NULL: none, "" is an empty list */
	bool required;
	bool secret;         /* never printed; only a FILE of it may be given */
	int64_t min, max;    /* INT and DURATION; both 0: unbounded */
	const char *choices; /* ENUM; words other types take besides; URL: also "http://" */
	const struct setting_form *form;   /* STRING and STRINGS; NULL: any text */
	const char *help;                  /* one or two sentences, for the manual page */
	size_t offset;                     /* conf's own: where the value goes */
	const struct setting_group *group; /* conf's own: GROUP and GROUPS */
};

/* Settings as given: what a provider gets. Values are text, checked by type. */
struct setting_value {
	char *name;
	char *text;  /* lists: items separated by '\n' */
	char *where; /* "dns01.conf:12" or "--set" */
};

struct settings {
	struct setting_value *item;
	size_t count;
};

/* Borrowed text of a value as given, else the row's fallback; NULL: neither. */
const char *settings_get(const struct settings *given, const struct setting *rows, size_t row_count,
			 const char *name);
/* Replaces a value of that name. */
void settings_set(struct settings *settings, const char *name, const char *text, const char *where);
void settings_copy(struct settings *to, const struct settings *from);
void settings_clear(struct settings *settings); /* wipes */

/*
 * One value against one row: type, range, choices, form. Gives the canonical
 * text. The error's subject is where (may be NULL), its text "NAME: sentence".
 */
enum err_code setting_check(const struct setting *row, const char *text, const char *where,
			    char **canonical, struct err *err) MUST_CHECK;

#endif
