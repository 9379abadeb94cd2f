/*
 * Memory that is always there: whatever peers can ask for is bounded elsewhere, so running out
 * is not an event to recover from. The journal repairs what the process leaves.
 */
#include "internal.h"

#define EXIT_OUT_OF_MEMORY 71 /* EX_OSERR */

static void *must(void *ptr)
{
	if (!ptr) {
		fputs("dns01: error: out of memory\n", stderr);
		_exit(EXIT_OUT_OF_MEMORY);
	}
	return ptr;
}

void *xmalloc(size_t size)
{
	return must(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
	return must(count && size ? calloc(count, size) : calloc(1, 1));
}

void *xreallocarray(void *ptr, size_t count, size_t size)
{
	return must(count && size ? reallocarray(ptr, count, size) : realloc(ptr, 1));
}

char *xstrdup(const char *text)
{
	return text ? must(strdup(text)) : NULL;
}

char *xstrndup(const char *text, size_t len)
{
	return must(strndup(text, len));
}

char *xvasprintf(const char *fmt, va_list args)
{
	char *text = NULL;

	return must(vasprintf(&text, fmt, args) < 0 ? NULL : text);
}

char *xasprintf(const char *fmt, ...)
{
	char *text;
	va_list args;

	va_start(args, fmt);
	text = xvasprintf(fmt, args);
	va_end(args);
	return text;
}

void wipe(void *data, size_t len)
{
	if (data) {
		explicit_bzero(data, len);
	}
}

void wipe_free(void *data, size_t len)
{
	wipe(data, len);
	free(data);
}

void wipe_str(char *text)
{
	if (text) {
		wipe_free(text, strlen(text));
	}
}
