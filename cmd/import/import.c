#include "internal.h"

#include <assert.h>

#define TEXT_MAX 2048

static const struct {
	const char *text, *name;
} kinds[] = {
	[IMPORT_CARRIED] = { "carried over", "carried" },
	[IMPORT_THERE] = { "already there", "there" },
	[IMPORT_LEFT] = { "left out", "left" },
	[IMPORT_TODO] = { "to do", "todo" },
};
static_assert(ARRAY_LEN(kinds) == IMPORT_KIND_COUNT, "one row for each kind");

/* Where each client keeps its files: places are tried in turn, "~" is the home folder. */
static const struct client {
	const char *name;
	const char *places[2];
	enum err_code (*read)(struct import *import, struct err *err);
} clients[] = {
	{ "certbot", { "/etc/letsencrypt" }, certbot_read },
	{ "lego", { ".lego", "~/.lego" }, lego_read },
	{ "acme.sh", { "~/.acme.sh" }, acmesh_read },
};

const char *import_client(size_t index)
{
	return index < ARRAY_LEN(clients) ? clients[index].name : NULL;
}

const char *import_kind_text(enum import_kind kind)
{
	return kinds[kind].text;
}

const char *import_kind_name(enum import_kind kind)
{
	return kinds[kind].name;
}

/* ---- saying ------------------------------------------------------------------------- */

static char *escaped(const char *text)
{
	char out[TEXT_MAX];

	text_escape(out, sizeof(out), text, strlen(text));
	return xstrdup(out);
}

void import_say(struct import *import, enum import_kind kind, const char *subject, const char *fmt,
		...)
{
	struct import_report *report = import->report;
	char *text;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0) {
		abort();
	}
	va_end(args);
	report->line = xreallocarray(report->line, report->count + 1, sizeof(*report->line));
	report->line[report->count++] = (struct import_line){
		.kind = kind,
		.subject = escaped(subject),
		.text = escaped(text),
	};
	free(text);
}

void import_say_err(struct import *import, const char *subject, const struct err *err,
		    const char *advice)
{
	char *text = err_format(err);

	import_say(import, IMPORT_LEFT, subject, "%s; %s", text, advice);
	free(text);
}

/* What came over first, what is to be done last; within a kind as it was found. */
static void sort_lines(struct import_report *report)
{
	struct import_line *sorted;
	size_t count = 0;

	if (report->count == 0) {
		return;
	}
	sorted = xcalloc(report->count, sizeof(*sorted));
	for (int kind = 0; kind < IMPORT_KIND_COUNT; kind++) {
		for (size_t i = 0; i < report->count; i++) {
			if (report->line[i].kind == (enum import_kind)kind) {
				sorted[count++] = report->line[i];
			}
		}
	}
	free(report->line);
	report->line = sorted;
}

void import_report_free(struct import_report *report)
{
	if (!report) {
		return;
	}
	for (size_t i = 0; i < report->count; i++) {
		free(report->line[i].subject);
		free(report->line[i].text);
	}
	free(report->line);
	free(report->folder);
	free(report->file);
	free(report);
}

/* ---- the client --------------------------------------------------------------------- */

static const struct client *client_find(const char *name, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		if (strcmp(clients[i].name, name) == 0) {
			return &clients[i];
		}
	}
	err_set(err, ERR_USAGE, name, "write dns01 import certbot, lego or acme.sh");
	return NULL;
}

static char *at_home(const char *place)
{
	const char *home = getenv("HOME");

	return place[0] == '~' ? xasprintf("%s%s", home ? home : "", place + 1) : xstrdup(place);
}

static enum err_code find_folder(struct import *import, const struct client *client,
				 struct err *err)
{
	const char *from = import->args->from;
	char *place = from ? xstrdup(from) : NULL;

	for (size_t i = 0; !from && i < ARRAY_LEN(client->places) && client->places[i]; i++) {
		free(place);
		place = at_home(client->places[i]);
		if (theirs_is_folder(place)) {
			break;
		}
	}
	import->folder = realpath(place, NULL);
	if (!import->folder || !theirs_is_folder(import->folder)) {
		err_set(err, ERR_NOT_FOUND, place,
			"there is no such folder; name the one of %s's files with --from",
			client->name);
	}
	free(place);
	return import->folder && theirs_is_folder(import->folder) ? ERR_NONE : err->code;
}

/* ---- the whole ---------------------------------------------------------------------- */

static void import_clear(struct import *import)
{
	found_clear(import);
	for (size_t i = 0; i < import->zone_count; i++) {
		free(import->zone[i].suffix);
	}
	free(import->zone);
	index_clear(&import->by_names);
	index_clear(&import->lineages);
	conf_free(import->loaded);
	free(import->folder);
	free(import->ca_root);
	free(import->into);
	free(import->main_file);
}

static enum err_code run(struct import *import, const struct client *client, struct err *err)
{
	struct conf *merged = NULL;
	enum err_code code = find_folder(import, client, err);

	if (code == ERR_NONE) {
		code = into_find(import, err);
	}
	if (code == ERR_NONE) {
		code = client->read(import, err);
	}
	if (code == ERR_NONE) {
		code = match_all(import, err);
	}
	if (code == ERR_NONE) {
		code = emit_merged(import, &merged, err);
	}
	if (code == ERR_NONE && match_is_new(import)) {
		import->report->file = xstrdup(import->into);
		code = import->args->dry_run ? ERR_NONE : apply_write(import, merged, err);
	}
	conf_free(merged);
	return code;
}

enum err_code import_run(const struct import_args *args, struct import_report **out,
			 struct err *err)
{
	struct import import = { .args = args, .ca_root = xstrdup(args->ca_root) };
	const struct client *client = client_find(args->client, err);
	enum err_code code;

	import.report = xcalloc(1, sizeof(*import.report));
	code = client ? run(&import, client, err) : ERR_USAGE;
	if (code == ERR_NONE) {
		import.report->folder = xstrdup(import.folder);
		sort_lines(import.report);
		*out = import.report;
	} else {
		import_report_free(import.report);
	}
	import_clear(&import);
	return code;
}
