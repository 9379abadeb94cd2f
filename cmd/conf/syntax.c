#include "syntax.h"

#include <assert.h>
#include <ctype.h>
#include <strings.h>

#include "schema.h"

#define DEPTH_MAX 16       /* the schema needs four */
#define GROUP_KEYS_MAX 256 /* settings of one group */
#define PATH_MAX_LEN 256

enum token_type {
	TOKEN_END,
	TOKEN_WORD,   /* a key, a number, true, or what lacks its quotes */
	TOKEN_STRING, /* with its quotes */
	TOKEN_MARK,   /* one of = : ; , ( ) [ ] { } or a stray character */
	TOKEN_BROKEN  /* text says what is wrong */
};

struct token {
	enum token_type type;
	const char *text;
	size_t len;
	unsigned line;
};

/* An open bracket; the first one is the file itself, as if in { }. */
struct frame {
	char open;
	unsigned line;
	struct token key;     /* in { }: of the setting that is being read */
	size_t index;         /* in ( ) and [ ]: of the element */
	enum token_type kind; /* in [ ]: of the first element */
	size_t first_seen;    /* where this group's keys begin in walk.seen */
};

/*
 * KEY -> ASSIGN -> VALUE -> AFTER -> KEY in a group, FIRST or VALUE -> NEXT ->
 * VALUE in a list or an array.
 */
enum expect {
	EXPECT_KEY,    /* a key or the end of the group */
	EXPECT_ASSIGN, /* = or : */
	EXPECT_VALUE,  /* nothing else */
	EXPECT_FIRST,  /* a list's first element, or its end */
	EXPECT_AFTER,  /* ; or , or what EXPECT_KEY takes: libconfig needs neither */
	EXPECT_NEXT,   /* a comma, or the list's end */
	EXPECT_COUNT
};

struct walk {
	const char *at;
	unsigned line;
	struct frame frame[DEPTH_MAX];
	size_t depth; /* of the innermost frame */
	enum expect expect;
	struct token last; /* the token before */
	struct token seen[DEPTH_MAX * GROUP_KEYS_MAX];
	size_t seen_count;
	const char *source;
	struct err *err;
};

/* ---- tokens ---------------------------------------------------------- */

static bool starts_comment(const char *at)
{
	return at[0] == '#' || (at[0] == '/' && (at[1] == '/' || at[1] == '*'));
}

static bool is_word_char(const char *at)
{
	unsigned char c = (unsigned char)*at;

	if (starts_comment(at)) {
		return false;
	}
	return isalnum(c) || c >= 0x80 || (c != '\0' && strchr("_*.%@+-/", c) != NULL);
}

/* False: a comment has no end, and walk->at stands at its start. */
static bool skip_blank(struct walk *walk)
{
	while (isspace((unsigned char)*walk->at) || starts_comment(walk->at)) {
		const char *end;

		if (isspace((unsigned char)*walk->at)) {
			walk->line += *walk->at++ == '\n';
			continue;
		}
		if (walk->at[0] != '/' || walk->at[1] != '*') {
			walk->at += strcspn(walk->at, "\n");
			continue;
		}
		end = strstr(walk->at + 2, "*/");
		if (end == NULL) {
			return false;
		}
		for (; walk->at < end + 2; walk->at++) {
			walk->line += *walk->at == '\n';
		}
	}
	return true;
}

static struct token broken(const struct walk *walk, const char *what)
{
	return (struct token){ TOKEN_BROKEN, what, strlen(what), walk->line };
}

static struct token next_token(struct walk *walk)
{
	struct token token = { .type = TOKEN_MARK, .len = 1 };

	if (!skip_blank(walk)) {
		return broken(walk, "the comment that begins here has no end; write */ after it");
	}
	token.text = walk->at;
	token.line = walk->line;
	if (*walk->at == '\0') {
		token.type = TOKEN_END;
		token.len = 0;
	} else if (*walk->at == '"') {
		token.type = TOKEN_STRING;
		while (token.text[token.len] != '"') {
			token.len += token.text[token.len] == '\\' ? 1 : 0;
			if (token.text[token.len] == '\0' || token.text[token.len] == '\n') {
				return broken(walk, "the string is not closed on its line; "
						    "write \" at its end");
			}
			token.len++;
		}
		token.len++;
	} else if (is_word_char(walk->at)) {
		token.type = TOKEN_WORD;
		while (is_word_char(walk->at + token.len)) {
			token.len++;
		}
	}
	walk->at += token.len;
	return token;
}

static bool token_is(const struct token *token, const char *text)
{
	return token->len == strlen(text) && strncasecmp(token->text, text, token->len) == 0;
}

static bool token_equal(const struct token *a, const struct token *b)
{
	return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

static char token_mark(const struct token *token)
{
	return token->type == TOKEN_MARK ? token->text[0] : '\0';
}

/* ---- sentences ------------------------------------------------------- */

/* "zones[1].settle" from the open brackets. */
static void path_format(const struct walk *walk, char out[PATH_MAX_LEN])
{
	struct buf path = BUF_INIT(PATH_MAX_LEN - 1);

	for (size_t i = 0; i <= walk->depth; i++) {
		const struct frame *frame = &walk->frame[i];

		if (frame->open != '{') {
			buf_addf(&path, "[%zu]", frame->index);
		} else if (frame->key.len > 0) {
			char shown[SCHEMA_SHOWN_MAX];

			text_escape(shown, sizeof(shown), frame->key.text, frame->key.len);
			buf_addf(&path, "%s%s", path.len > 0 ? "." : "", shown);
		}
	}
	snprintf(out, PATH_MAX_LEN, "%s", buf_str(&path));
	buf_clear(&path);
}

static enum err_code fail(struct walk *walk, const struct token *token, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

static enum err_code fail(struct walk *walk, const struct token *token, const char *fmt, ...)
{
	char path[PATH_MAX_LEN], reason[SCHEMA_REASON_MAX];
	char *where = xasprintf("%s:%u", walk->source, token->line);
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	path_format(walk, path);
	place_err(walk->err, where, path[0] != '\0' ? path : NULL, "%s", reason);
	free(where);
	return ERR_CONFIG;
}

static char closing(char open)
{
	return open == '(' ? ')' : open == '[' ? ']' : '}';
}

/* The token stands where wanted should. */
static enum err_code fail_unexpected(struct walk *walk, const struct token *token,
				     const char *wanted)
{
	const struct frame *frame = &walk->frame[walk->depth];
	char shown[SCHEMA_SHOWN_MAX];

	text_escape(shown, sizeof(shown), token->text, token->len);
	switch (token->type) {
	case TOKEN_BROKEN:
		return fail(walk, token, "%s", token->text);
	case TOKEN_END:
		if (walk->depth > 0) {
			return fail(walk, token,
				    "the \"%c\" of line %u is never closed; "
				    "write \"%c\"",
				    frame->open, frame->line, closing(frame->open));
		}
		return fail(walk, token, "the text ends here; %s was expected", wanted);
	case TOKEN_MARK:
		if (strchr(")]}", token->text[0]) == NULL) {
			break;
		}
		if (walk->depth == 0) {
			return fail(walk, token, "\"%s\" closes nothing; remove it", shown);
		}
		if (token->text[0] != closing(frame->open)) {
			return fail(walk, token,
				    "the \"%c\" of line %u is not closed; write "
				    "\"%c\" before \"%s\"",
				    frame->open, frame->line, closing(frame->open), shown);
		}
		break;
	default:
		break;
	}
	return fail(walk, token,
		    token->type == TOKEN_STRING ? "%s is not expected here; write %s"
						: "\"%s\" is not expected here; write %s",
		    shown, wanted);
}

/* ---- values ---------------------------------------------------------- */

/* libconfig keeps 32 bits and drops the rest. */
static enum err_code check_number(struct walk *walk, const struct token *token, bool *is_number)
{
	char text[24];
	size_t sign = token->text[0] == '-' || token->text[0] == '+';
	const char *digits = text + sign;
	bool hex;
	long long value;
	char *end;

	*is_number = false;
	snprintf(text, sizeof(text), "%.*s", (int)token->len, token->text);
	hex = sign == 0 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
	if (strspn(digits + (hex ? 2 : 0), hex ? "0123456789abcdefABCDEF" : "0123456789") !=
		    strlen(digits) - (hex ? 2 : 0) ||
	    !isalnum((unsigned char)digits[hex ? 2 : 0])) {
		return ERR_NONE;
	}
	*is_number = true;
	if (!hex && digits[0] == '0' && digits[1] != '\0') {
		return fail(walk, token,
			    "%s begins with a zero, which is silently dropped; "
			    "write it without, or in quotes",
			    text);
	}
	value = strtoll(text, &end, hex ? 16 : 10);
	if (token->len >= sizeof(text) || *end != '\0' || value > INT32_MAX || value < INT32_MIN) {
		return fail(walk, token, "%s is too large; write a number below 2147483648", text);
	}
	return ERR_NONE;
}

/* A secret has no place in the file, and none in a sentence either. */
static bool names_secret(const struct token *key)
{
	static const char *const words[] = { "secret", "token", "password", "key" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t len = strlen(words[i]);

		for (size_t at = 0; at + len <= key->len; at++) {
			if (strncasecmp(key->text + at, words[i], len) == 0) {
				return true;
			}
		}
	}
	return false;
}

static enum err_code check_word(struct walk *walk, const struct token *token)
{
	char shown[SCHEMA_SHOWN_MAX];
	bool is_number;
	enum err_code code;

	if (token_is(token, "true") || token_is(token, "false")) {
		return ERR_NONE;
	}
	code = check_number(walk, token, &is_number);
	if (code != ERR_NONE || is_number) {
		return code;
	}
	if (token_is(token, "yes") || token_is(token, "no") || token_is(token, "on") ||
	    token_is(token, "off")) {
		return fail(walk, token,
			    "%.*s is not a value; write true or false, or a string "
			    "in quotes",
			    (int)token->len, token->text);
	}
	if (names_secret(&walk->frame[walk->depth].key)) {
		return fail(walk, token, "the value is not quoted; write it in quotes");
	}
	text_escape(shown, sizeof(shown), token->text, token->len);
	return fail(walk, token, "%s is not quoted; write \"%s\"", shown, shown);
}

static void end_value(struct walk *walk)
{
	walk->expect = walk->frame[walk->depth].open == '{' ? EXPECT_AFTER : EXPECT_NEXT;
}

static enum err_code open_bracket(struct walk *walk, const struct token *token)
{
	if (walk->frame[walk->depth].open == '[') {
		return fail(walk, token,
			    "\"[ ]\" holds plain values; write \"( )\" around "
			    "groups and lists");
	}
	if (walk->depth + 1 == DEPTH_MAX) {
		return fail(walk, token, "brackets are nested more than %d deep; close some",
			    DEPTH_MAX - 1);
	}
	walk->depth++;
	walk->frame[walk->depth] = (struct frame){ .open = token->text[0],
						   .line = token->line,
						   .first_seen = walk->seen_count };
	walk->expect = token->text[0] == '{' ? EXPECT_KEY : EXPECT_FIRST;
	return ERR_NONE;
}

static void close_bracket(struct walk *walk)
{
	walk->seen_count = walk->frame[walk->depth].first_seen;
	walk->depth--;
	end_value(walk);
}

static bool closes(const struct walk *walk, const struct token *token)
{
	return walk->depth > 0 && token_mark(token) == closing(walk->frame[walk->depth].open);
}

/* ---- one step for each expectation ----------------------------------- */

static bool is_key(const struct token *token)
{
	if (!isalpha((unsigned char)token->text[0]) && token->text[0] != '*') {
		return false;
	}
	for (size_t i = 0; i < token->len; i++) {
		char c = token->text[i];

		if ((!isalnum((unsigned char)c) || (unsigned char)c >= 0x80) &&
		    strchr("-_*", c) == NULL) {
			return false;
		}
	}
	return !token_is(token, "true") && !token_is(token, "false");
}

static enum err_code fail_key(struct walk *walk, const struct token *token)
{
	char shown[SCHEMA_SHOWN_MAX];
	const char *dot = memchr(token->text, '.', token->len);

	text_escape(shown, sizeof(shown), token->text, token->len);
	if (token_is(token, "@include")) {
		walk->frame[walk->depth].key.len = 0;
		return fail(walk, token,
			    "@include is not used here; write "
			    "include = [ \"conf.d/*.conf\" ];");
	}
	if (dot != NULL) {
		return fail(walk, token, "a key has no dots; write a group: { key = VALUE; }");
	}
	return fail(walk, token, "\"%s\" is not a key; write letters, digits, \"_\" and \"-\"",
		    shown);
}

static enum err_code step_key(struct walk *walk, const struct token *token)
{
	struct frame *frame = &walk->frame[walk->depth];

	if (token->type == TOKEN_STRING && walk->last.type == TOKEN_STRING) {
		return fail(walk, token,
			    "two strings stand side by side; write one, or a list "
			    "with a comma between them");
	}
	frame->key.len = 0;
	if (token->type == TOKEN_STRING) {
		frame->key =
			(struct token){ TOKEN_WORD, token->text + 1, token->len - 2, token->line };
		return fail(walk, token, "a key stands in quotes; write it without");
	}
	if (closes(walk, token)) {
		close_bracket(walk);
		return ERR_NONE;
	}
	if (token_mark(token) == ';') {
		return fail(walk, token, "a \";\" too many; remove it");
	}
	if (token->type != TOKEN_WORD) {
		return fail_unexpected(walk, token, "a setting such as key = VALUE;");
	}
	frame->key = *token;
	if (!is_key(token)) {
		return fail_key(walk, token);
	}
	for (size_t i = frame->first_seen; i < walk->seen_count; i++) {
		if (token_equal(&walk->seen[i], token)) {
			return fail(walk, token, "it is given twice; line %u has it already",
				    walk->seen[i].line);
		}
	}
	if (walk->seen_count - frame->first_seen == GROUP_KEYS_MAX) {
		return fail(walk, token, "more than %d settings in one group", GROUP_KEYS_MAX);
	}
	walk->seen[walk->seen_count++] = *token;
	walk->expect = EXPECT_ASSIGN;
	return ERR_NONE;
}

static enum err_code step_assign(struct walk *walk, const struct token *token)
{
	if (token_mark(token) == '=' || token_mark(token) == ':') {
		walk->expect = EXPECT_VALUE;
		return ERR_NONE;
	}
	return fail_unexpected(walk, token, "\"=\" between a key and its value");
}

static enum err_code step_value(struct walk *walk, const struct token *token)
{
	struct frame *frame = &walk->frame[walk->depth];
	char mark = token_mark(token);
	enum err_code code = ERR_NONE;

	if (mark == '{' || mark == '(' || mark == '[') {
		return open_bracket(walk, token);
	}
	if (closes(walk, token) && token_mark(&walk->last) == ',') {
		walk->depth--; /* it is the list's fault, not an element's */
		return fail(walk, token,
			    "a comma stands after the last element; remove the "
			    "comma of line %u",
			    walk->last.line);
	}
	if (token->type != TOKEN_WORD && token->type != TOKEN_STRING) {
		return fail_unexpected(walk, token, "a value");
	}
	if (token->type == TOKEN_WORD) {
		code = check_word(walk, token);
	}
	if (frame->index == 0) {
		frame->kind = token->type;
	} else if (code == ERR_NONE && frame->open == '[' && frame->kind != token->type) {
		return fail(walk, token,
			    "\"[ ]\" holds values of one kind; write all of them in "
			    "quotes, or none");
	}
	end_value(walk);
	return code;
}

static enum err_code step_first(struct walk *walk, const struct token *token)
{
	if (closes(walk, token)) {
		close_bracket(walk);
		return ERR_NONE;
	}
	return step_value(walk, token);
}

static enum err_code step_after(struct walk *walk, const struct token *token)
{
	if (token_mark(token) == ';' || token_mark(token) == ',') {
		walk->expect = EXPECT_KEY;
		return ERR_NONE;
	}
	return step_key(walk, token);
}

static enum err_code step_next(struct walk *walk, const struct token *token)
{
	if (closes(walk, token)) {
		close_bracket(walk);
		return ERR_NONE;
	}
	if (token_mark(token) == ',') {
		walk->frame[walk->depth].index++;
		walk->expect = EXPECT_VALUE;
		return ERR_NONE;
	}
	if (token->type == TOKEN_STRING || token->type == TOKEN_WORD ||
	    (token->type == TOKEN_MARK && strchr("{([", token->text[0]) != NULL)) {
		walk->frame[walk->depth].index++;
		return fail(walk, token, "a comma is missing before this element");
	}
	return fail_unexpected(walk, token, "a comma between elements, or the end of the list");
}

typedef enum err_code step_fn(struct walk *walk, const struct token *token);

static step_fn *const steps[] = {
	[EXPECT_KEY] = step_key,     [EXPECT_ASSIGN] = step_assign, [EXPECT_VALUE] = step_value,
	[EXPECT_FIRST] = step_first, [EXPECT_AFTER] = step_after,   [EXPECT_NEXT] = step_next,
};
static_assert(ARRAY_LEN(steps) == EXPECT_COUNT, "a step for each expectation");

enum err_code syntax_check(const char *text, const char *source, struct err *err)
{
	struct walk *walk = xcalloc(1, sizeof(*walk));
	struct token token;
	enum err_code code = ERR_NONE;

	walk->at = text;
	walk->line = 1;
	walk->frame[0].open = '{';
	walk->source = source;
	walk->err = err;
	for (;;) {
		token = next_token(walk);
		if (token.type == TOKEN_END && walk->depth == 0 &&
		    (walk->expect == EXPECT_KEY || walk->expect == EXPECT_AFTER)) {
			break;
		}
		code = steps[walk->expect](walk, &token);
		if (code != ERR_NONE) {
			break;
		}
		walk->last = token;
	}
	free(walk);
	return code;
}
