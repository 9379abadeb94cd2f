/* The log: plain lines to stderr, or to whoever asked for them. */
#include "dns01/base.h"

#define LINE_MAX_LEN 2048

typedef void log_sink(void *arg, enum log_level level, const char *line);

static enum log_level least = LOG_WARN_LEVEL;
static log_sink *sink;
static void *sink_arg;

static const char *const prefixes[] = {
	[LOG_DEBUG_LEVEL] = "debug: ",
	[LOG_INFO_LEVEL] = "",
	[LOG_WARN_LEVEL] = "warning: ",
	[LOG_ERROR_LEVEL] = "error: ",
};

static void PRINTF_LIKE(2, 0) write_line(enum log_level level, const char *fmt, va_list args)
{
	char raw[LINE_MAX_LEN];
	char line[LINE_MAX_LEN];

	if (vsnprintf(raw, sizeof(raw), fmt, args) < 0) {
		return;
	}
	/* What peers said may be in it. */
	text_escape(line, sizeof(line), raw, strlen(raw));
	if (sink) {
		sink(sink_arg, level, line);
	} else {
		fprintf(stderr, "dns01: %s%s\n", prefixes[level], line);
	}
}

/* Apart: what is not written shall not cost two cleared arrays. */
static void PRINTF_LIKE(2, 0) log_line(enum log_level level, const char *fmt, va_list args)
{
	if (level >= least) {
		write_line(level, fmt, args);
	}
}

void log_debug(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_line(LOG_DEBUG_LEVEL, fmt, args);
	va_end(args);
}

void log_info(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_line(LOG_INFO_LEVEL, fmt, args);
	va_end(args);
}

void log_warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_line(LOG_WARN_LEVEL, fmt, args);
	va_end(args);
}

void log_error(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_line(LOG_ERROR_LEVEL, fmt, args);
	va_end(args);
}

void log_set_level(enum log_level level)
{
	least = level;
}

void log_set_sink(void (*new_sink)(void *arg, enum log_level level, const char *line), void *arg)
{
	sink = new_sink;
	sink_arg = arg;
}
