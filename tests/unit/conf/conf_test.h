/* What the tests of conf share: a provider's table, and bad texts with their sentence. */
#ifndef CONF_TEST_H
#define CONF_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dns01/conf.h"

#define PROVIDER "providers = ( { name = \"p\"; type = \"fake\"; server = \"192.0.2.1\"; } );\n"
#define ACCOUNT "accounts = ( { name = \"a\"; directory = \"https://ca.example/d\"; } );\n"

static const struct setting fake_rows[] = {
	{ .name = "server", .type = SETTING_STRING, .required = true },
	{ .name = "tsig_key_file", .type = SETTING_FILE, .secret = true },
	{ .name = "unsigned", .type = SETTING_BOOL, .fallback = "false" },
	{ .name = "timeout",
	  .type = SETTING_DURATION,
	  .fallback = "10s",
	  .min = 100,
	  .max = 300000 },
	{ .name = "retries", .type = SETTING_INT, .fallback = "3", .max = 10 },
	{ .name = "options", .type = SETTING_STRINGS, .fallback = "" },
	{ .name = "token", .type = SETTING_STRING, .secret = true },
};

static const struct setting *fake_provider(const char *type, size_t *count)
{
	*count = strcmp(type, "fake") == 0 ? ARRAY_LEN(fake_rows) : 0;
	return *count > 0 ? fake_rows : NULL;
}

struct bad {
	const char *text, *sentence;
};

static unsigned misses; /* a test looks at all cases before it fails */

static inline void miss(const char *what, const char *wanted, const char *got)
{
	misses++;
	print_error("%s\n  wanted: %s\n  got:    %s\n", what, wanted, got);
}

static inline void check_text(const char *what, const char *wanted, const char *got)
{
	if (got == NULL || strcmp(wanted, got) != 0) {
		miss(what, wanted, got != NULL ? got : "nothing");
	}
}

static inline void check(const char *what, bool ok)
{
	if (!ok) {
		miss(what, "yes", "no");
	}
}

/* The last line of each test. */
static inline void no_misses(void)
{
	unsigned count = misses;

	misses = 0;
	assert_int_equal(count, 0);
}

/* Each text is refused with exactly its sentence. */
static inline void check_bad(const struct bad *bad, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct conf *conf = NULL;
		struct err err;
		char *sentence;

		if (conf_parse(bad[i].text, "t.conf", fake_provider, &conf, &err) == ERR_NONE) {
			miss(bad[i].text, bad[i].sentence, "no error");
			conf_free(conf);
			continue;
		}
		sentence = err_format(&err);
		check_text(bad[i].text, bad[i].sentence, sentence);
		check(bad[i].text, err.code == ERR_CONFIG);
		free(sentence);
	}
}

/* NULL, and a failure, when it is refused. */
static inline struct conf *parse_good(const char *text)
{
	struct conf *conf = NULL;
	struct err err;

	if (conf_parse(text, "t.conf", fake_provider, &conf, &err) != ERR_NONE) {
		miss(text, "no error", err.text);
		return NULL;
	}
	return conf;
}

#endif
