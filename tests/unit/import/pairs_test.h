/* What the tests of the two readers share. */
#ifndef DNS01_TEST_IMPORT_PAIRS_TEST_H
#define DNS01_TEST_IMPORT_PAIRS_TEST_H

#include "import/pairs.h"

#include "cmocka_all.h"

typedef enum err_code pairs_reader(const struct pairs_text *from, struct pairs *out,
				   struct err *err);

static inline struct pairs read_good(pairs_reader *reader, const char *text)
{
	const struct pairs_text from = { text, strlen(text), "test.conf" };
	struct pairs pairs = { 0 };
	struct err err = { 0 };

	if (reader(&from, &pairs, &err) != ERR_NONE) {
		fail_msg("%s: %s", err.subject, err.text);
	}
	return pairs;
}

static inline void refuse(pairs_reader *reader, const char *text, size_t len, const char *subject)
{
	const struct pairs_text from = { text, len, "test.conf" };
	struct pairs pairs = { 0 };
	struct err err = { 0 };

	if (reader(&from, &pairs, &err) == ERR_NONE) {
		fail_msg("taken: %s", text);
	}
	assert_int_equal(pairs.count, 0);
	assert_string_equal(err.subject, subject);
	assert_true(err.text[0] != '\0');
}

static inline void expect(const struct pairs *pairs, const char *section, const char *key,
			  const char *value)
{
	const char *found = pairs_get(pairs, section, key);

	if (value && !found) {
		fail_msg("there is no %s in [%s]", key, section);
	}
	if (value) {
		assert_string_equal(found, value);
	} else {
		assert_null(found);
	}
}

/* count times "KEYn SEPARATOR x" in a text of its own. */
static inline char *many(size_t count, const char *format)
{
	struct buf text = BUF_INIT(16 * 1024 * 1024);

	for (size_t i = 0; i < count; i++) {
		char number[32];

		snprintf(number, sizeof(number), "k%zu", i);
		buf_addf(&text, "%s%s\n", number, format);
	}
	return buf_detach(&text);
}

#endif
