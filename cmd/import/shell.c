/*
 * shell: constants assigned in a file that a shell sources. acme.sh writes KEY='value' with
 * nothing escaped, and people write their own lines beside. A value is made of parts: '...',
 * "..." without "$", "`" and "\", an escaped quote, and plain words. Anything else is a program,
 * and no program is run here.
 */
#include "pairs.h"

#include <ctype.h>

struct shell_reader {
	const char *at, *end;
	const char *source;
	size_t line;
	struct pairs *out;
	struct err *err;
};

static bool is_name_char(char c, bool first)
{
	return isascii((unsigned char)c) &&
	       (isalpha((unsigned char)c) || c == '_' || (!first && isdigit((unsigned char)c)));
}

/* What needs no quotes in any shell. */
static bool is_plain(char c)
{
	return isascii((unsigned char)c) &&
	       (isalnum((unsigned char)c) || (c && strchr("_-./:@%+,=", c)));
}

static void skip_blanks(struct shell_reader *reader)
{
	while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t')) {
		reader->at++;
	}
}

static void skip_line(struct shell_reader *reader)
{
	while (reader->at < reader->end && *reader->at != '\n') {
		reader->at++;
	}
	if (reader->at < reader->end) {
		reader->at++;
		reader->line++;
	}
}

static bool at_line_end(const struct shell_reader *reader)
{
	return reader->at == reader->end || *reader->at == '\n' ||
	       (*reader->at == '\r' && (reader->at + 1 == reader->end || reader->at[1] == '\n'));
}

/* ---- one value -------------------------------------------------------------------- */

/* From a quote to the next one of its kind, over lines. */
static bool read_quoted(struct shell_reader *reader, struct buf *value)
{
	char quote = *reader->at;
	const char *from = reader->at + 1;
	const char *to = memchr(from, quote, (size_t)(reader->end - from));

	if (!to) {
		return false;
	}
	for (const char *c = from; c < to; c++) {
		if (quote == '"' && strchr("$`\\", *c)) {
			return false;
		}
		reader->line += *c == '\n';
	}
	buf_add(value, from, (size_t)(to - from));
	reader->at = to + 1;
	return true;
}

static bool read_part(struct shell_reader *reader, struct buf *value)
{
	if (*reader->at == '\'' || *reader->at == '"') {
		return read_quoted(reader, value);
	}
	if (*reader->at == '\\' && reader->end - reader->at > 1 &&
	    (reader->at[1] == '\'' || reader->at[1] == '"')) {
		buf_add(value, reader->at + 1, 1);
		reader->at += 2;
		return true;
	}
	if (is_plain(*reader->at)) {
		buf_add(value, reader->at++, 1);
		return true;
	}
	return false;
}

/* False: it is more than a constant. */
static bool read_value(struct shell_reader *reader, struct buf *value)
{
	while (!at_line_end(reader) && *reader->at != ' ' && *reader->at != '\t') {
		if (!read_part(reader, value)) {
			return false;
		}
	}
	skip_blanks(reader);
	return at_line_end(reader) || *reader->at == '#';
}

/* ---- lines ------------------------------------------------------------------------ */

/* Gives the name before a "="; NULL: the line is no assignment. */
static char *read_name(struct shell_reader *reader)
{
	static const char word[] = "export ";
	const char *from;

	if ((size_t)(reader->end - reader->at) > strlen(word) &&
	    memcmp(reader->at, word, strlen(word)) == 0) {
		reader->at += strlen(word);
		skip_blanks(reader);
	}
	from = reader->at;
	while (reader->at < reader->end && is_name_char(*reader->at, reader->at == from)) {
		reader->at++;
	}
	if (reader->at == from || reader->at == reader->end || *reader->at != '=') {
		return NULL;
	}
	return xstrndup(from, (size_t)(reader->at++ - from));
}

static void note_odd(struct shell_reader *reader, size_t line)
{
	if (reader->out->odd_line == 0) {
		reader->out->odd_line = line;
	}
}

static enum err_code read_line(struct shell_reader *reader)
{
	const char *start = reader->at;
	struct pair_found pair = { .section = "", .line = reader->line };
	struct buf value = BUF_INIT(PAIRS_TEXT_MAX);
	char *name = read_name(reader);
	enum err_code code = ERR_NONE;

	if (name && read_value(reader, &value)) {
		pair.key = name;
		pair.value = buf_str(&value);
		code = pairs_add(reader->out, &pair, reader->source, reader->err);
	} else {
		/* What a quote swallowed is looked at again, line by line. */
		note_odd(reader, pair.line);
		reader->at = start;
		reader->line = pair.line;
	}
	skip_line(reader);
	buf_wipe(&value);
	free(name);
	return code;
}

enum err_code pairs_read_shell(const struct pairs_text *from, struct pairs *out, struct err *err)
{
	struct pairs pairs = { 0 };
	struct shell_reader reader = {
		.at = from->text,
		.end = from->text + from->len,
		.source = from->source,
		.line = 1,
		.out = &pairs,
		.err = err,
	};
	enum err_code code = pairs_check_text(from, err);

	while (code == ERR_NONE && reader.at < reader.end) {
		skip_blanks(&reader);
		if (at_line_end(&reader) || *reader.at == '#') {
			skip_line(&reader);
		} else {
			code = read_line(&reader);
		}
	}
	if (code == ERR_NONE) {
		*out = pairs;
	} else {
		pairs_clear(&pairs);
	}
	return code;
}
