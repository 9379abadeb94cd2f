#include "cmocka_all.h"
#include "dns01/base.h"

struct sample {
	const char *text;
	int64_t value;
};

static void test_durations_read_and_write_the_same(void **state)
{
	static const struct sample samples[] = {
		{ "0s", 0 },         { "1ms", 1 },
		{ "250ms", 250 },    { "10s", 10000 },
		{ "1500ms", 1500 },  { "5m", 300000 },
		{ "1h", 3600000 },   { "90m", 5400000 },
		{ "7d", 604800000 }, { "3650d", 315360000000 },
	};
	char text[32];
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		assert_true(duration_parse(samples[i].text, &ms));
		assert_true(ms == samples[i].value);
		duration_format(text, ms);
		assert_string_equal(text, samples[i].text);
	}
	assert_true(duration_parse("0", &ms));
	assert_true(ms == 0);
	assert_true(duration_parse("60s", &ms));
	duration_format(text, ms);
	assert_string_equal(text, "1m");
}

static void test_what_is_no_duration(void **state)
{
	static const char *const wrong[] = { "",
					     "5",
					     "s",
					     "5 s",
					     "-5s",
					     "+5s",
					     "5min",
					     "1.5h",
					     "5S",
					     "1h30m",
					     "3651d",
					     "10w",
					     "0x5s",
					     "5s ",
					     "315360000001ms",
					     "99999999999999999999s" };
	int64_t ms = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_false(duration_parse(wrong[i], &ms));
	}
	assert_true(ms == 7);
}

static void test_durations_for_people(void **state)
{
	static const struct sample samples[] = {
		{ "0 ms", 0 },
		{ "0 ms", -5 },
		{ "1 ms", 500 },
		{ "56 ms", 56100 },
		{ "999 ms", 999499 },
		{ "1.000 s", 999500 },
		{ "1.234 s", 1234000 },
		{ "59.999 s", 59999000 },
		{ "1 min 0 s", 60000000 },
		{ "1 h 1 min", 3660000000 },
		{ "2 d 3 h", 183600000000 },
	};
	char text[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		duration_human(text, samples[i].value);
		assert_string_equal(text, samples[i].text);
	}
}

static void test_dates_read_and_write_the_same(void **state)
{
	static const struct sample samples[] = {
		{ "1970-01-01T00:00:00Z", 0 },          { "1969-12-31T23:59:59Z", -1 },
		{ "2026-11-24T01:02:03Z", 1795482123 }, { "2000-02-29T23:59:59Z", 951868799 },
		{ "2038-01-19T03:14:08Z", 2147483648 }, { "9999-12-31T23:59:59Z", 253402300799 },
	};
	char text[32];
	int64_t at;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		assert_true(time_parse(samples[i].text, &at));
		assert_true(at == samples[i].value);
		time_format(text, at);
		assert_string_equal(text, samples[i].text);
	}
	time_format(text, INT64_MAX);
	assert_string_equal(text, "@9223372036854775807");
}

/* RFC 3339 s.5.8 */
static void test_offsets_fractions_and_leap_seconds(void **state)
{
	int64_t utc;
	int64_t at;

	(void)state;
	assert_true(time_parse("1985-04-12T23:20:50.52Z", &at));
	assert_true(at == 482196050);
	assert_true(time_parse("1996-12-19T16:39:57-08:00", &at));
	assert_true(time_parse("1996-12-20T00:39:57Z", &utc));
	assert_true(at == utc);
	assert_true(time_parse("1990-12-31T23:59:60Z", &at));
	assert_true(time_parse("1991-01-01T00:00:00z", &utc));
	assert_true(at == utc);
	assert_true(time_parse("1937-01-01t12:00:27.87+00:20", &at));
	assert_true(time_parse("1937-01-01T11:40:27Z", &utc));
	assert_true(at == utc);
}

static void test_what_is_no_date(void **state)
{
	static const char *const wrong[] = {
		"",
		"2026-11-24",
		"2026-11-24T01:02:03",
		"2026-11-24 01:02:03Z",
		"2026-02-29T00:00:00Z",
		"2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z",
		"2026-01-00T00:00:00Z",
		"2026-01-01T24:00:00Z",
		"2026-01-01T00:60:00Z",
		"2026-01-01T00:00:61Z",
		"2026-01-01T00:00:00.Z",
		"2026-01-01T00:00:00+0100",
		"2026-01-01T00:00:00+24:00",
		"2026-01-01T00:00:00Zx",
		"26-01-01T00:00:00Z",
	};
	int64_t at = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_false(time_parse(wrong[i], &at));
	}
	assert_true(at == 7);
}

/* RFC 9110 s.5.6.7 */
static void test_http_dates(void **state)
{
	int64_t at = 7;

	(void)state;
	assert_false(time_parse_http("", &at));
	assert_false(time_parse_http("Sun, 06 Nov 1994 08:49:37 UTC", &at));
	assert_false(time_parse_http("Sun, 6 Nov 1994 08:49:37 GMT", &at));
	assert_false(time_parse_http("Sun, 31 Nov 1994 08:49:37 GMT", &at));
	assert_false(time_parse_http("Sun, 06 Nov 1994 08:49:37 GMT ", &at));
	assert_false(time_parse_http("120", &at));
	assert_true(at == 7);
	assert_true(time_parse_http("Sun, 06 Nov 1994 08:49:37 GMT", &at));
	assert_true(at == 784111777);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations_read_and_write_the_same),
		cmocka_unit_test(test_what_is_no_duration),
		cmocka_unit_test(test_durations_for_people),
		cmocka_unit_test(test_dates_read_and_write_the_same),
		cmocka_unit_test(test_offsets_fractions_and_leap_seconds),
		cmocka_unit_test(test_what_is_no_date),
		cmocka_unit_test(test_http_dates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
