/*
 * ui: progress for people. On a terminal a row for each name and each name
 * server, drawn anew in place; elsewhere one plain line for each thing that happened.
 */
#include "cli.h"

#include <sys/ioctl.h>

#define ROWS_MAX 400 /* more names than this are only counted */
#define ROW_TEXT_MAX 512
#define COLUMNS_DEFAULT 80
#define LINES_DEFAULT 24

enum row_kind { ROW_NAME, ROW_SERVER };

struct row {
	enum row_kind kind;
	char key[ROW_TEXT_MAX];
	char text[ROW_TEXT_MAX];
	int64_t at_us;
};

struct ui {
	struct world *world;
	bool silent;
	bool live;
	struct row *rows;
	size_t row_count;
	size_t drawn; /* lines that the last picture has */
	char step[ROW_TEXT_MAX];
	int64_t at_us;
};

struct ui *ui_new(struct world *world, bool silent)
{
	struct ui *ui = xcalloc(1, sizeof(*ui));

	ui->world = world;
	ui->silent = silent;
	ui->live = !silent && isatty(STDERR_FILENO) && getenv("TERM") &&
		   strcmp(getenv("TERM"), "dumb") != 0;
	return ui;
}

void ui_free(struct ui *ui)
{
	if (ui) {
		free(ui->rows);
		free(ui);
	}
}

/* ---- long lines ------------------------------------------------------------ */

bool ui_is_watched(void)
{
	return isatty(STDOUT_FILENO);
}

/* Of standard output, where it is a terminal. */
static size_t width_of_output(void)
{
	static bool piped; /* then it stays so: nothing is asked for each of 40,000 lines */
	struct winsize size;

	piped = piped || !isatty(STDOUT_FILENO);
	if (piped) {
		return SIZE_MAX;
	}
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col
										: COLUMNS_DEFAULT;
}

/* Octets of text that go into room: up to a blank behind `least`; a longer word is left whole. */
static size_t fitting(const char *text, size_t room, size_t least)
{
	size_t len = strlen(text), cut = room;

	if (len <= room) {
		return len;
	}
	while (cut > least && text[cut] != ' ') {
		cut--;
	}
	return cut > least ? cut : least + strcspn(text + least, " ");
}

void ui_print(const char *line, size_t indent)
{
	size_t columns = width_of_output(), room = columns, least = indent;

	indent = indent < columns / 2 ? indent : 4;
	for (;;) {
		size_t len = fitting(line, room, least < room ? least : 0);

		printf("%.*s\n", (int)len, line);
		line += len;
		line += strspn(line, " ");
		if (!*line) {
			return;
		}
		printf("%*s", (int)indent, "");
		room = columns - indent;
		least = 0;
	}
}

/* ---- live rows ------------------------------------------------------------- */

static void screen_size(size_t *columns, size_t *lines)
{
	struct winsize size;

	*columns = COLUMNS_DEFAULT;
	*lines = LINES_DEFAULT;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 && size.ws_row > 4) {
		*columns = size.ws_col;
		*lines = size.ws_row;
	}
}

static void draw(struct ui *ui)
{
	size_t columns, lines, shown;
	struct buf out = BUF_INIT(256 * 1024);

	screen_size(&columns, &lines);
	shown = ui->row_count < lines - 3 ? ui->row_count : lines - 3;
	if (ui->drawn > 0) {
		buf_addf(&out, "\033[%zuA", ui->drawn);
	}
	for (size_t i = ui->row_count - shown; i < ui->row_count; i++) {
		char line[2 * ROW_TEXT_MAX + 32];

		snprintf(line, sizeof(line), "%8.3f s  %s  %s", (double)ui->rows[i].at_us / 1e6,
			 ui->rows[i].key, ui->rows[i].text);
		buf_addf(&out, "\r%.*s\033[K\n", (int)columns - 1, line);
	}
	buf_addf(&out, "\r%8.3f s  %.*s\033[K\n", (double)ui->at_us / 1e6, (int)columns - 14,
		 ui->step);
	ui->drawn = shown + 1;
	fwrite(buf_str(&out), 1, out.len, stderr);
	buf_clear(&out);
}

static struct row *row_get(struct ui *ui, enum row_kind kind, const char *key)
{
	struct row *row;

	for (size_t i = 0; i < ui->row_count; i++) {
		if (ui->rows[i].kind == kind && strcmp(ui->rows[i].key, key) == 0) {
			return &ui->rows[i];
		}
	}
	if (ui->row_count == ROWS_MAX) {
		return NULL;
	}
	ui->rows = xreallocarray(ui->rows, ui->row_count + 1, sizeof(*ui->rows));
	row = &ui->rows[ui->row_count++];
	*row = (struct row){ .kind = kind };
	snprintf(row->key, sizeof(row->key), "%s", key);
	return row;
}

/* ---- events ---------------------------------------------------------------- */

static const char *step_text(enum issue_step step)
{
	static const char *const texts[ISSUE_STEP_COUNT] = {
		[ISSUE_LOCK] = "taking the lineage's lock",
		[ISSUE_ACCOUNT] = "asking the CA for its directory",
		[ISSUE_ORDER] = "ordering",
		[ISSUE_AUTHZ] = "reading the authorizations",
		[ISSUE_ROUTE] = "looking up zones and aliases",
		[ISSUE_PUBLISH] = "publishing",
		[ISSUE_WATCH] = "watching the name servers",
		[ISSUE_RESPOND] = "answering the challenges",
		[ISSUE_READY] = "waiting for the CA's verdict",
		[ISSUE_FINALIZE] = "finalizing",
		[ISSUE_VALID] = "waiting for the certificate",
		[ISSUE_DOWNLOAD] = "downloading the certificate",
		[ISSUE_STORE] = "storing the certificate",
		[ISSUE_RETRACT] = "removing the records",
		[ISSUE_DONE] = "done",
	};

	return texts[step];
}

static void describe(const struct progress *progress, enum row_kind *kind, char *key, char *text)
{
	const struct timeline *timeline = progress->timeline;
	char address[ADDR_TEXT_MAX] = "";

	*kind = ROW_NAME;
	snprintf(key, ROW_TEXT_MAX, "%s", progress->owner ? progress->owner : "");
	switch (progress->kind) {
	case PROGRESS_ROUTED:
		snprintf(text, ROW_TEXT_MAX, "in zone %s%s%s", progress->zone,
			 progress->text && progress->text[0] ? ", alias of " : "",
			 progress->text ? progress->text : "");
		break;
	case PROGRESS_PUBLISHED:
		snprintf(text, ROW_TEXT_MAX, "published by %s: %s", progress->text,
			 progress->value);
		break;
	case PROGRESS_BATCH:
		break;
	case PROGRESS_RETRACTED:
		snprintf(text, ROW_TEXT_MAX, "removed by %s: %s", progress->text, progress->value);
		break;
	case PROGRESS_SERVER:
		*kind = ROW_SERVER;
		if (timeline->addr.len > 0) {
			addr_format(address, &timeline->addr, DNS_PORT);
		}
		snprintf(key, ROW_TEXT_MAX, "%s: %s%s%s", timeline->zone, timeline->server,
			 address[0] ? " " : "", address);
		snprintf(text, ROW_TEXT_MAX, "%s: %s", server_state_name(timeline->state),
			 timeline->said);
		break;
	case PROGRESS_NOTE:
		snprintf(key, ROW_TEXT_MAX, "%s", progress->name ? progress->name : "note");
		snprintf(text, ROW_TEXT_MAX, "%s", progress->text ? progress->text : "");
		break;
	}
}

void ui_event(void *arg, const struct issue_event *event)
{
	struct ui *ui = arg;
	enum row_kind kind;
	char key[ROW_TEXT_MAX], text[ROW_TEXT_MAX];

	if (ui->silent || (event->progress && event->progress->kind == PROGRESS_BATCH)) {
		return;
	}
	ui->at_us = event->at_us;
	if (event->progress) {
		struct row *row;

		describe(event->progress, &kind, key, text);
		if (!ui->live) {
			fprintf(stderr, "%8.3f s  %s  %s\n", (double)event->at_us / 1e6, key, text);
			return;
		}
		row = row_get(ui, kind, key);
		if (row) {
			snprintf(row->text, sizeof(row->text), "%s", text);
			row->at_us = event->at_us;
		}
	} else {
		snprintf(ui->step, sizeof(ui->step), "%s%s%s", step_text(event->step),
			 event->text ? ": " : "", event->text ? event->text : "");
		if (!ui->live) {
			fprintf(stderr, "%8.3f s  %s\n", (double)event->at_us / 1e6, ui->step);
			return;
		}
	}
	draw(ui);
}

/* ---- the timeline afterwards ----------------------------------------------- */

static void since_start(char out[32], int64_t at_us, int64_t started_us)
{
	if (at_us == 0) {
		snprintf(out, 32, "never");
	} else {
		snprintf(out, 32, "%.3f s", (double)(at_us - started_us) / 1e6);
	}
}

/* How wide the names of servers and their addresses are. */
static void widths(const struct issue_result *result, int *server, int *address)
{
	char text[ADDR_TEXT_MAX];

	*server = *address = 1;
	for (size_t i = 0; i < result->timeline_count; i++) {
		const struct timeline *timeline = &result->timeline[i];
		int len = (int)strlen(timeline->server);

		*server = len > *server ? len : *server;
		if (timeline->addr.len > 0) {
			addr_format(text, &timeline->addr, DNS_PORT);
			len = (int)strlen(text);
			*address = len > *address ? len : *address;
		}
	}
}

/* A table for each zone; what a server said last matters where it did not show all. */
void ui_timeline(const struct issue_result *result, int64_t started_us)
{
	const char *zone = "";
	int server, address;

	widths(result, &server, &address);
	for (size_t i = 0; i < result->timeline_count; i++) {
		const struct timeline *timeline = &result->timeline[i];
		const bool shown = timeline->seen_us != 0;
		char from[ADDR_TEXT_MAX] = "-";
		char asked[32], seen[32];

		if (strcmp(zone, timeline->zone) != 0) {
			zone = timeline->zone;
			printf("%-*s %10s %10s %6s\n", server + address + 4, zone, "asked", "seen",
			       "asks");
		}
		if (timeline->addr.len > 0) {
			addr_format(from, &timeline->addr, DNS_PORT);
		}
		since_start(asked, timeline->first_asked_us, started_us);
		since_start(seen, timeline->seen_us, started_us);
		printf("  %-*s  %-*s %10s %10s %6u%s%s\n", server, timeline->server, address, from,
		       asked, seen, timeline->questions, shown ? "" : "  ",
		       shown ? "" : timeline->said);
	}
}

static void set_time(struct json *object, const char *key, int64_t at_us, int64_t started_us)
{
	if (at_us != 0) {
		json_set_int(object, key, (at_us - started_us) / 1000);
	}
}

struct json *timeline_json(const struct issue_result *result, int64_t started_us)
{
	struct json *array = json_array();

	for (size_t i = 0; i < result->timeline_count; i++) {
		const struct timeline *timeline = &result->timeline[i];
		struct json *object = json_object();
		char address[ADDR_TEXT_MAX];

		json_set_str(object, "zone", timeline->zone);
		json_set_str(object, "server", timeline->server);
		if (timeline->addr.len > 0) {
			addr_format(address, &timeline->addr, DNS_PORT);
			json_set_str(object, "address", address);
		}
		json_set_str(object, "state", server_state_name(timeline->state));
		set_time(object, "first_asked_ms", timeline->first_asked_us, started_us);
		set_time(object, "last_asked_ms", timeline->last_asked_us, started_us);
		set_time(object, "seen_ms", timeline->seen_us, started_us);
		json_set_int(object, "questions", timeline->questions);
		json_set_str(object, "said", timeline->said);
		json_add(array, object);
	}
	return array;
}
