/* One failure, from the place that found it to the edge that prints it. */
#include "dns01/base.h"

struct err_kind {
	const char *name;
	int exit_status;
};

/* Exit statuses follow sysexits.h where it has a word for the thing; 10 to 12 are our own. */
static const struct err_kind kinds[] = {
	[ERR_NONE] = { "none", 0 },
	[ERR_USAGE] = { "usage", 64 },
	[ERR_CONFIG] = { "config", 78 },
	[ERR_IO] = { "io", 74 },
	[ERR_NETWORK] = { "network", 69 },
	[ERR_TIMEOUT] = { "timeout", 75 },
	[ERR_PROTOCOL] = { "protocol", 76 },
	[ERR_DENIED] = { "denied", 77 },
	[ERR_NOT_FOUND] = { "not-found", 66 },
	[ERR_EXISTS] = { "exists", 73 },
	[ERR_LIMIT] = { "limit", 75 },
	[ERR_BUSY] = { "busy", 75 },
	[ERR_CANCELED] = { "canceled", 130 },
	[ERR_ACME] = { "acme", 10 },
	[ERR_DNS] = { "dns", 11 },
	[ERR_DEPLOY] = { "deploy", 12 },
	[ERR_INTERNAL] = { "internal", 70 },
};
_Static_assert(ARRAY_LEN(kinds) == ERR_COUNT, "one row for each code");

static const struct err_kind *kind_of(enum err_code code)
{
	return (unsigned)code < ERR_COUNT ? &kinds[code] : &kinds[ERR_INTERNAL];
}

/* Formats into out; whatever a peer said in it is made fit for a terminal. */
static void PRINTF_LIKE(3, 0) format_safe(char *out, size_t max, const char *fmt, va_list args)
{
	char raw[2 * ERR_TEXT_MAX];
	int len = vsnprintf(raw, sizeof(raw), fmt, args);

	if (len < 0) {
		len = 0;
	}
	text_escape(out, max, raw, (size_t)len < sizeof(raw) ? (size_t)len : sizeof(raw) - 1);
}

enum err_code err_set(struct err *err, enum err_code code, const char *subject, const char *fmt,
		      ...)
{
	struct err made = { .code = code };
	va_list args;

	if (!err) {
		return code;
	}
	if (subject) {
		text_escape(made.subject, sizeof(made.subject), subject, strlen(subject));
	}
	va_start(args, fmt);
	format_safe(made.text, sizeof(made.text), fmt, args);
	va_end(args);
	*err = made; /* only now: the arguments may point into *err */
	return code;
}

enum err_code err_subject(struct err *err, const char *fmt, ...)
{
	va_list args;

	if (!err) {
		return ERR_INTERNAL;
	}
	if (!err->subject[0]) {
		va_start(args, fmt);
		format_safe(err->subject, sizeof(err->subject), fmt, args);
		va_end(args);
	}
	return err->code;
}

struct err *err_box(const struct err *err)
{
	struct err *box = err && err->code != ERR_NONE ? xmalloc(sizeof(*box)) : NULL;

	if (box) {
		*box = *err;
	}
	return box;
}

void err_clear(struct err *err)
{
	if (err) {
		*err = (struct err){ .code = ERR_NONE };
	}
}

char *err_format(const struct err *err)
{
	const char *text = err->text[0] ? err->text : err_code_name(err->code);

	return err->subject[0] ? xasprintf("%s: %s", err->subject, text) : xstrdup(text);
}

const char *err_code_name(enum err_code code)
{
	return kind_of(code)->name;
}

int err_exit_status(enum err_code code)
{
	return kind_of(code)->exit_status;
}
