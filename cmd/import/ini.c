/*
 * ini: ConfigObj's dialect, as far as certbot writes it and people edit it: [section] and
 * [[section inside]], key = value, values bare, in single, double or triple quotes, lists with
 * commas, comments from "#" on.
 */
#include "pairs.h"

struct ini_reader {
	const char *at, *end; /* the rest of the text */
	const char *source;
	size_t line;
	char *path[PAIRS_DEPTH_MAX]; /* sections, from the outermost on */
	size_t depth;
	struct pairs *out;
	struct err *err;
};

static enum err_code refuse(const struct ini_reader *reader, const char *why)
{
	char subject[ERR_SUBJECT_MAX];

	snprintf(subject, sizeof(subject), "%s:%zu", reader->source, reader->line);
	return err_set(reader->err, ERR_CONFIG, subject, "%s", why);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(struct ini_reader *reader)
{
	while (reader->at < reader->end && is_blank(*reader->at)) {
		reader->at++;
	}
}

static bool at_line_end(const struct ini_reader *reader)
{
	return reader->at == reader->end || *reader->at == '\n';
}

static void skip_line(struct ini_reader *reader)
{
	while (!at_line_end(reader)) {
		reader->at++;
	}
	if (reader->at < reader->end) {
		reader->at++;
		reader->line++;
	}
}

/* Only blanks and a comment may follow on the line. */
static enum err_code expect_line_end(struct ini_reader *reader)
{
	skip_blanks(reader);
	if (!at_line_end(reader) && *reader->at != '#') {
		return refuse(reader, "there is more on this line than a value");
	}
	skip_line(reader);
	return ERR_NONE;
}

/* ---- sections --------------------------------------------------------------------- */

static char *trimmed(const char *from, const char *to)
{
	while (from < to && is_blank(*from)) {
		from++;
	}
	while (to > from && is_blank(to[-1])) {
		to--;
	}
	/* A key or a section in quotes is what is between them. */
	if (to - from >= 2 && (*from == '"' || *from == '\'') && to[-1] == *from) {
		from++;
		to--;
	}
	return xstrndup(from, (size_t)(to - from));
}

static void leave_sections(struct ini_reader *reader, size_t depth)
{
	while (reader->depth > depth) {
		free(reader->path[--reader->depth]);
	}
}

static enum err_code read_section(struct ini_reader *reader)
{
	size_t depth = 0;
	const char *from;

	while (reader->at < reader->end && *reader->at == '[') {
		depth++;
		reader->at++;
	}
	from = reader->at;
	while (!at_line_end(reader) && *reader->at != ']') {
		reader->at++;
	}
	if (depth > PAIRS_DEPTH_MAX || depth > reader->depth + 1) {
		return refuse(reader, "this section is deeper than the one that it would be in");
	}
	for (size_t i = 0; i < depth; i++) {
		if (reader->at + i >= reader->end || reader->at[i] != ']') {
			return refuse(reader,
				      "a section ends with as many \"]\" as it begins with");
		}
	}
	leave_sections(reader, depth - 1);
	reader->path[reader->depth++] = trimmed(from, reader->at);
	reader->at += depth;
	return expect_line_end(reader);
}

static char *section_path(const struct ini_reader *reader)
{
	struct buf path = BUF_INIT(PAIRS_TEXT_MAX);

	for (size_t i = 0; i < reader->depth; i++) {
		buf_addf(&path, "%s%s", i > 0 ? "/" : "", reader->path[i]);
	}
	return buf_detach(&path);
}

/* ---- values ----------------------------------------------------------------------- */

/* Behind three quotes, over lines, up to three more. */
static enum err_code read_triple(struct ini_reader *reader, struct buf *value)
{
	char quotes[4] = { *reader->at, *reader->at, *reader->at, '\0' };
	const char *from = reader->at + 3;
	const char *to = memmem(from, (size_t)(reader->end - from), quotes, 3);

	if (!to) {
		return refuse(reader, "the value has no end: three quotes are missing");
	}
	buf_add(value, from, (size_t)(to - from));
	for (const char *c = from; c < to; c++) {
		reader->line += *c == '\n';
	}
	reader->at = to + 3;
	return ERR_NONE;
}

static enum err_code read_quoted(struct ini_reader *reader, struct buf *value)
{
	char quote = *reader->at++;
	const char *from = reader->at;

	while (!at_line_end(reader) && *reader->at != quote) {
		reader->at++;
	}
	if (at_line_end(reader)) {
		return refuse(reader, "the value has no end: a quote is missing");
	}
	buf_add(value, from, (size_t)(reader->at - from));
	reader->at++;
	return ERR_NONE;
}

static void read_bare(struct ini_reader *reader, struct buf *value)
{
	const char *from = reader->at;
	const char *to;

	while (!at_line_end(reader) && *reader->at != ',' && *reader->at != '#') {
		reader->at++;
	}
	for (to = reader->at; to > from && is_blank(to[-1]); to--) {
	}
	buf_add(value, from, (size_t)(to - from));
}

static enum err_code read_item(struct ini_reader *reader, struct buf *value)
{
	bool quoted = *reader->at == '"' || *reader->at == '\'';
	bool triple = quoted && reader->end - reader->at >= 3 && reader->at[1] == *reader->at &&
		      reader->at[2] == *reader->at;

	if (triple) {
		return read_triple(reader, value);
	}
	if (quoted) {
		return read_quoted(reader, value);
	}
	read_bare(reader, value);
	return ERR_NONE;
}

static enum err_code read_value(struct ini_reader *reader, struct buf *value)
{
	enum err_code code = ERR_NONE;

	skip_blanks(reader);
	while (code == ERR_NONE && !at_line_end(reader) && *reader->at != '#') {
		code = read_item(reader, value);
		skip_blanks(reader);
		if (code != ERR_NONE || at_line_end(reader) || *reader->at != ',') {
			break;
		}
		reader->at++;
		skip_blanks(reader);
		/* "a," is a list of one item. */
		if (!at_line_end(reader) && *reader->at != '#') {
			buf_add_str(value, ", ");
		}
	}
	return code == ERR_NONE ? expect_line_end(reader) : code;
}

/* ---- lines ------------------------------------------------------------------------ */

static const char *find_equals(const struct ini_reader *reader)
{
	const char *at = reader->at;
	char quote = *at == '"' || *at == '\'' ? *at++ : '\0';

	for (; at < reader->end && *at != '\n'; at++) {
		if (quote && *at == quote) {
			quote = '\0';
		} else if (!quote && *at == '=') {
			return at;
		}
	}
	return NULL;
}

static enum err_code read_pair(struct ini_reader *reader)
{
	const char *equals = find_equals(reader);
	struct buf value = BUF_INIT(PAIRS_TEXT_MAX);
	struct pair_found pair = { .line = reader->line };
	char *key, *section;
	enum err_code code;

	if (!equals) {
		return refuse(reader, "this line is neither \"key = value\" nor \"[section]\"");
	}
	key = trimmed(reader->at, equals);
	section = section_path(reader);
	pair.section = section;
	pair.key = key;
	reader->at = equals + 1;
	if (!key[0]) {
		code = refuse(reader, "there is no key before the \"=\"");
	} else if (pairs_get(reader->out, section, key)) {
		code = refuse(reader, "this key stands here twice");
	} else {
		code = read_value(reader, &value);
	}
	if (code == ERR_NONE) {
		pair.value = buf_str(&value);
		code = pairs_add(reader->out, &pair, reader->source, reader->err);
	}
	buf_wipe(&value);
	free(key);
	free(section);
	return code;
}

enum err_code pairs_read_ini(const struct pairs_text *from, struct pairs *out, struct err *err)
{
	struct pairs pairs = { 0 };
	struct ini_reader reader = {
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
		} else if (*reader.at == '[') {
			code = read_section(&reader);
		} else {
			code = read_pair(&reader);
		}
	}
	leave_sections(&reader, 0);
	if (code == ERR_NONE) {
		*out = pairs;
	} else {
		pairs_clear(&pairs);
	}
	return code;
}
