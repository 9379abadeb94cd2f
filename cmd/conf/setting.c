#include "dns01/setting.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>

#include "schema.h"

#define NAME_MAX_LEN 253 /* RFC 1035 s.2.3.4, without the final dot */
#define LABEL_MAX_LEN 63
#define TEXT_MAX 4096 /* of one text */
#define LIST_TEXT_MAX (1024 * 1024)

/* ---- settings as given ------------------------------------------------ */

static struct setting_value *settings_find(const struct settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->count; i++) {
		if (strcmp(settings->item[i].name, name) == 0) {
			return &settings->item[i];
		}
	}
	return NULL;
}

const char *settings_get(const struct settings *given, const struct setting *rows, size_t row_count,
			 const char *name)
{
	const struct setting_value *value = settings_find(given, name);
	const struct setting *row;

	if (value != NULL) {
		return value->text;
	}
	row = schema_find(rows, row_count, name);
	return row != NULL ? row->fallback : NULL;
}

void settings_set(struct settings *settings, const char *name, const char *text, const char *where)
{
	struct setting_value *value = settings_find(settings, name);
	char *text_copy = xstrdup(text), *where_copy = xstrdup(where);

	if (value == NULL) {
		settings->item =
			xreallocarray(settings->item, settings->count + 1, sizeof(*settings->item));
		value = &settings->item[settings->count++];
		*value = (struct setting_value){ .name = xstrdup(name) };
	}
	wipe_str(value->text);
	free(value->where);
	value->text = text_copy;
	value->where = where_copy;
}

void settings_copy(struct settings *to, const struct settings *from)
{
	for (size_t i = 0; i < from->count; i++) {
		settings_set(to, from->item[i].name, from->item[i].text, from->item[i].where);
	}
}

void settings_clear(struct settings *settings)
{
	for (size_t i = 0; i < settings->count; i++) {
		free(settings->item[i].name);
		wipe_str(settings->item[i].text);
		free(settings->item[i].where);
	}
	free(settings->item);
	*settings = (struct settings){ 0 };
}

/* ---- sentences -------------------------------------------------------- */

void schema_show(char out[SCHEMA_SHOWN_MAX], const char *text)
{
	char inner[SCHEMA_SHOWN_MAX - 2];

	text_escape(inner, sizeof(inner), text, strlen(text));
	snprintf(out, SCHEMA_SHOWN_MAX, "\"%s\"", inner);
}

static char *expected_number(const struct setting *row)
{
	if (row->min == 0 && row->max == 0) {
		return xstrdup("a whole number");
	}
	return xasprintf("a number from %" PRId64 " to %" PRId64, row->min, row->max);
}

static char *expected_url(const struct setting *row)
{
	bool http = row->choices != NULL && strstr(row->choices, "http://") != NULL;

	return xstrdup(http ? "a string such as \"http://proxy.example.com:3128\""
			    : "a string such as \"https://ca.example.com/directory\"");
}

static char *expected_by_type(const struct setting *row)
{
	static const char *const fixed[SETTING_TYPE_COUNT] = {
		[SETTING_STRING] = "a string in quotes",
		[SETTING_NAME] = "a DNS name such as \"example.com\"",
		[SETTING_FILE] = "the path of a file in quotes",
		[SETTING_DURATION] = "a string such as \"10s\" or \"5m\"",
		[SETTING_BOOL] = "true or false, without quotes",
		[SETTING_STRINGS] = "a list of strings: [ \"...\", \"...\" ]",
		[SETTING_COMMAND] = "a command, a list of strings: [ \"/bin/true\" ]",
		[SETTING_COMMANDS] = "a list of commands, each a list of strings: "
				     "( [ \"/bin/true\" ] )",
	};

	switch (row->type) {
	case SETTING_INT:
		return expected_number(row);
	case SETTING_URL:
		return expected_url(row);
	case SETTING_ENUM:
		return schema_choices(row->choices);
	case SETTING_GROUP:
		return xasprintf("a group: { %s = ...; }", row->group->rows[0].name);
	case SETTING_GROUPS:
		return xasprintf("a list of groups: ( { %s = \"...\"; } )",
				 row->group->rows[0].name);
	default:
		return xstrdup(fixed[row->type]);
	}
}

char *schema_expected(const struct setting *row)
{
	char *own = expected_by_type(row), *words, *all;

	if (row->choices == NULL || row->type == SETTING_ENUM) {
		return own;
	}
	words = schema_choices(row->choices);
	if (row->type == SETTING_STRINGS) {
		free(own);
		return words;
	}
	all = words[0] != '\0' ? xasprintf("%s, or %s", words, own) : xstrdup(own);
	free(words);
	free(own);
	return all;
}

/* `"x" is not IS; write WRITE`; a secret is not quoted. */
static enum err_code refuse(const struct setting *row, const char *text, const char *is,
			    const char *write, char reason[SCHEMA_REASON_MAX])
{
	char shown[SCHEMA_SHOWN_MAX];

	schema_show(shown, text);
	snprintf(reason, SCHEMA_REASON_MAX, "%s %s; write %s",
		 row->secret && row->type != SETTING_FILE ? "the value" : shown, is, write);
	return ERR_CONFIG;
}

static enum err_code refuse_type(const struct setting *row, const char *text, const char *is,
				 char reason[SCHEMA_REASON_MAX])
{
	char *write = schema_expected(row);
	enum err_code code = refuse(row, text, is, write, reason);

	free(write);
	return code;
}

/* ---- one function for each type ---------------------------------------- */

static bool has_word(const char *choices, const char *text)
{
	size_t len = 0;

	for (const char *at = choices; at != NULL && *at != '\0'; at += len + (at[len] == '|')) {
		len = strcspn(at, "|");
		if (strlen(text) == len && memcmp(at, text, len) == 0) {
			return true;
		}
	}
	return false;
}

static enum err_code canonical_string(const struct setting *row, const char *text, char **canonical,
				      char reason[SCHEMA_REASON_MAX])
{
	char is[SCHEMA_REASON_MAX], *out;

	if (row->form == NULL && row->choices != NULL) {
		return refuse_type(row, text, "is not known here", reason);
	}
	out = row->form == NULL ? xstrdup(text) : row->form->read(text);
	if (out == NULL) {
		snprintf(is, sizeof(is), "is not %s", row->form->is);
		return refuse(row, text, is, row->form->write, reason);
	}
	*canonical = out;
	return ERR_NONE;
}

/* The labels alone; international ones are for the module that knows them. */
static bool name_is_plain(const char *name)
{
	size_t label = 0;

	for (const char *at = name; *at != '\0'; at++) {
		unsigned char c = (unsigned char)*at;

		if (c == '.' && label == 0) {
			return false;
		}
		label = c == '.' ? 0 : label + 1;
		if (label > LABEL_MAX_LEN ||
		    (c < 0x80 && !isalnum(c) && c != '.' && c != '-' && c != '_')) {
			return false;
		}
	}
	return label > 0;
}

static enum err_code canonical_name(const struct setting *row, const char *text, char **canonical,
				    char reason[SCHEMA_REASON_MAX])
{
	size_t len = strlen(text);
	char *name = NULL;

	if (strcmp(text, ".") == 0) {
		*canonical = xstrdup(text);
		return ERR_NONE;
	}
	name = xstrndup(text, text[len - 1] == '.' ? len - 1 : len);
	if (strlen(name) > NAME_MAX_LEN || !name_is_plain(name)) {
		free(name);
		return refuse_type(row, text, "is not a DNS name", reason);
	}
	for (char *at = name; *at != '\0'; at++) {
		if (*at >= 'A' && *at <= 'Z') {
			*at = (char)(*at - 'A' + 'a');
		}
	}
	*canonical = name;
	return ERR_NONE;
}

static enum err_code canonical_file(const struct setting *row, const char *text, char **canonical,
				    char reason[SCHEMA_REASON_MAX])
{
	(void)row;
	(void)reason;
	*canonical = xstrdup(text);
	return ERR_NONE;
}

/* Length of the scheme that the row allows, 0: none. */
static size_t url_scheme(const struct setting *row, const char *text)
{
	const char *end = strstr(text, "://");
	char scheme[16];
	size_t len;

	if (end == NULL || (size_t)(end + 3 - text) >= sizeof(scheme)) {
		return 0;
	}
	len = (size_t)(end + 3 - text);
	snprintf(scheme, sizeof(scheme), "%.*s", (int)len, text);
	return strcmp(scheme, "https://") == 0 || has_word(row->choices, scheme) ? len : 0;
}

static enum err_code canonical_url(const struct setting *row, const char *text, char **canonical,
				   char reason[SCHEMA_REASON_MAX])
{
	size_t scheme = url_scheme(row, text);
	const char *host = text + scheme;
	size_t host_len = strcspn(host, "/?#");

	if (scheme == 0) {
		return refuse_type(row, text,
				   row->choices != NULL ? "is not a URL of a kind known "
							  "here"
							: "is not an https:// URL",
				   reason);
	}
	if (host_len == 0 || strpbrk(host, " \\\"<>") != NULL || strchr(host, '#') != NULL) {
		return refuse_type(row, text, "is not a URL", reason);
	}
	if (memchr(host, '@', host_len) != NULL) {
		/* not quoted: it may be a password */
		snprintf(reason, SCHEMA_REASON_MAX,
			 "the URL has a user or a password in it; "
			 "this file holds no secrets, write the URL without");
		return ERR_CONFIG;
	}
	*canonical = xstrdup(text);
	return ERR_NONE;
}

static enum err_code canonical_bool(const struct setting *row, const char *text, char **canonical,
				    char reason[SCHEMA_REASON_MAX])
{
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
		return refuse_type(row, text, "is neither", reason);
	}
	*canonical = xstrdup(text);
	return ERR_NONE;
}

static bool out_of_range(const struct setting *row, int64_t value)
{
	return (row->min != 0 || row->max != 0) && (value < row->min || value > row->max);
}

static enum err_code canonical_int(const struct setting *row, const char *text, char **canonical,
				   char reason[SCHEMA_REASON_MAX])
{
	bool negative = text[0] == '-';
	uint64_t magnitude;
	int64_t value;

	if (!text_parse_u64(text + negative, INT64_MAX, &magnitude)) {
		return refuse_type(row, text, "is not a whole number", reason);
	}
	value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
	if (out_of_range(row, value)) {
		char *write = schema_expected(row);

		snprintf(reason, SCHEMA_REASON_MAX, "%s is out of range; write %s", text, write);
		free(write);
		return ERR_CONFIG;
	}
	*canonical = xasprintf("%" PRId64, value);
	return ERR_NONE;
}

static enum err_code canonical_duration(const struct setting *row, const char *text,
					char **canonical, char reason[SCHEMA_REASON_MAX])
{
	char out[32];
	int64_t ms;

	if (!duration_parse(text, &ms)) {
		return refuse_type(row, text, "is not a duration", reason);
	}
	if (out_of_range(row, ms)) {
		char min[32], max[32];

		duration_format(min, row->min);
		duration_format(max, row->max);
		snprintf(reason, SCHEMA_REASON_MAX,
			 "\"%s\" is out of range; write a duration from "
			 "\"%s\" to \"%s\"",
			 text, min, max);
		return ERR_CONFIG;
	}
	duration_format(out, ms);
	*canonical = xstrdup(out);
	return ERR_NONE;
}

static enum err_code canonical_enum(const struct setting *row, const char *text, char **canonical,
				    char reason[SCHEMA_REASON_MAX])
{
	(void)canonical; /* the words themselves were taken before */
	return refuse_type(row, text, "is not known here", reason);
}

typedef enum err_code canonical_fn(const struct setting *row, const char *text, char **canonical,
				   char reason[SCHEMA_REASON_MAX]);

/* Of one value. Commands and groups have no text. */
static canonical_fn *const canonicals[] = {
	[SETTING_STRING] = canonical_string,
	[SETTING_NAME] = canonical_name,
	[SETTING_FILE] = canonical_file,
	[SETTING_URL] = canonical_url,
	[SETTING_BOOL] = canonical_bool,
	[SETTING_INT] = canonical_int,
	[SETTING_DURATION] = canonical_duration,
	[SETTING_ENUM] = canonical_enum,
	[SETTING_STRINGS] = canonical_string,
	[SETTING_COMMAND] = NULL,
	[SETTING_COMMANDS] = NULL,
	[SETTING_GROUP] = NULL,
	[SETTING_GROUPS] = NULL,
};
static_assert(ARRAY_LEN(canonicals) == SETTING_TYPE_COUNT, "a row for each type");

static enum err_code canonical_one(const struct setting *row, const char *text, char **canonical,
				   char reason[SCHEMA_REASON_MAX])
{
	size_t len = strlen(text);

	if (len == 0) {
		snprintf(reason, SCHEMA_REASON_MAX,
			 "the text is empty; write a value, or leave "
			 "it out");
		return ERR_CONFIG;
	}
	if (len > TEXT_MAX) {
		snprintf(reason, SCHEMA_REASON_MAX, "the text is too long; write at most %d octets",
			 TEXT_MAX);
		return ERR_CONFIG;
	}
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) {
			return refuse(row, text, "has a control character", "it without", reason);
		}
	}
	/* of a URL's choices, schemes are no values */
	if (has_word(row->choices, text) && strstr(text, "://") == NULL) {
		*canonical = xstrdup(text);
		return ERR_NONE;
	}
	return canonicals[row->type](row, text, canonical, reason);
}

static enum err_code canonical_list(const struct setting *row, const char *text, char **canonical,
				    char reason[SCHEMA_REASON_MAX])
{
	struct buf out = BUF_INIT(LIST_TEXT_MAX);
	enum err_code code = ERR_NONE;
	size_t len;

	for (const char *at = text; *at != '\0' && code == ERR_NONE;
	     at += len + (at[len] == '\n')) {
		char *item, *one = NULL;

		len = strcspn(at, "\n");
		item = xstrndup(at, len);
		code = canonical_one(row, item, &one, reason);
		buf_addf(&out, "%s%s", out.len > 0 ? "\n" : "", one != NULL ? one : "");
		wipe_str(item);
		wipe_str(one);
	}
	if (code == ERR_NONE && out.overflow) {
		snprintf(reason, SCHEMA_REASON_MAX, "the list is too long; shorten it");
		code = ERR_CONFIG;
	}
	if (code == ERR_NONE) {
		*canonical = buf_detach(&out);
	}
	buf_wipe(&out);
	return code;
}

enum err_code setting_canonical(const struct setting *row, const char *text, char **canonical,
				char reason[SCHEMA_REASON_MAX])
{
	if (row->secret && row->type != SETTING_FILE) {
		snprintf(reason, SCHEMA_REASON_MAX,
			 "a secret is not given here; put it in a file "
			 "that only dns01 can read");
		return ERR_CONFIG;
	}
	if (canonicals[row->type] == NULL) {
		snprintf(reason, SCHEMA_REASON_MAX,
			 "it cannot be given as text; write it in the "
			 "configuration file");
		return ERR_CONFIG;
	}
	if (row->type == SETTING_STRINGS) {
		return canonical_list(row, text, canonical, reason);
	}
	return canonical_one(row, text, canonical, reason);
}

enum err_code setting_check(const struct setting *row, const char *text, const char *where,
			    char **canonical, struct err *err)
{
	char reason[SCHEMA_REASON_MAX];

	if (setting_canonical(row, text, canonical, reason) == ERR_NONE) {
		return ERR_NONE;
	}
	return err_set(err, ERR_CONFIG, where != NULL ? where : "", "%s: %s", row->name, reason);
}
