/* Durations and dates as text. All dates are UTC inside. */
#include "dns01/base.h"

#define S_MS INT64_C(1000)
#define MIN_MS (60 * S_MS)
#define HOUR_MS (60 * MIN_MS)
#define DAY_MS (24 * HOUR_MS)
#define DURATION_MAX_MS (3650 * DAY_MS)

struct unit {
	const char *name;
	int64_t ms;
};

static const struct unit units[] = {
	{ "d", DAY_MS }, { "h", HOUR_MS }, { "m", MIN_MS }, { "s", S_MS }, { "ms", 1 },
};

static const struct unit *unit_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (strcmp(units[i].name, name) == 0) {
			return &units[i];
		}
	}
	return NULL;
}

bool duration_parse(const char *text, int64_t *out_ms)
{
	size_t digits = strspn(text, "0123456789");
	const struct unit *unit = unit_find(text + digits);
	char number[20];
	uint64_t value;

	if (digits == 0 || digits >= sizeof(number)) {
		return false;
	}
	memcpy(number, text, digits);
	number[digits] = '\0';
	if (!text_parse_u64(number, DURATION_MAX_MS, &value)) {
		return false;
	}
	if (!unit && (text[digits] || value > 0)) {
		return false;
	}
	if (unit && value > (uint64_t)(DURATION_MAX_MS / unit->ms)) {
		return false;
	}
	*out_ms = unit ? (int64_t)value * unit->ms : 0;
	return true;
}

void duration_format(char out[32], int64_t ms)
{
	const struct unit *unit = units;

	if (ms <= 0) {
		snprintf(out, 32, "0s");
		return;
	}
	while (ms % unit->ms != 0) {
		unit++;
	}
	snprintf(out, 32, "%lld%s", (long long)(ms / unit->ms), unit->name);
}

void duration_human(char out[32], int64_t us)
{
	long long ms = us > 0 ? (us + 500) / 1000 : 0;

	if (ms < S_MS) {
		snprintf(out, 32, "%lld ms", ms);
	} else if (ms < MIN_MS) {
		snprintf(out, 32, "%lld.%03lld s", ms / S_MS, ms % S_MS);
	} else if (ms < HOUR_MS) {
		snprintf(out, 32, "%lld min %lld s", ms / MIN_MS, ms % MIN_MS / S_MS);
	} else if (ms < DAY_MS) {
		snprintf(out, 32, "%lld h %lld min", ms / HOUR_MS, ms % HOUR_MS / MIN_MS);
	} else {
		snprintf(out, 32, "%lld d %lld h", ms / DAY_MS, ms % DAY_MS / HOUR_MS);
	}
}

void time_format(char out[32], int64_t unix_s)
{
	time_t at = (time_t)unix_s;
	struct tm tm;

	if (!gmtime_r(&at, &tm) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
		snprintf(out, 32, "@%lld", (long long)unix_s); /* a year past any int */
	}
}

/* Exactly count digits at *text, which then points behind them. */
static bool take_digits(const char **text, int count, int *out)
{
	int value = 0;

	for (int i = 0; i < count; i++, (*text)++) {
		if (**text < '0' || **text > '9') {
			return false;
		}
		value = value * 10 + (**text - '0');
	}
	*out = value;
	return true;
}

static bool take_char(const char **text, const char *allowed)
{
	if (!**text || !strchr(allowed, **text)) {
		return false;
	}
	(*text)++;
	return true;
}

static bool take_clock(const char **text, struct tm *tm)
{
	/* A leap second is 60 (RFC 3339 s.5.7); timegm takes it for the next second. */
	return take_digits(text, 2, &tm->tm_hour) && take_char(text, ":") &&
	       take_digits(text, 2, &tm->tm_min) && take_char(text, ":") &&
	       take_digits(text, 2, &tm->tm_sec) && tm->tm_hour <= 23 && tm->tm_min <= 59 &&
	       tm->tm_sec <= 60;
}

/* Refuses days that do not exist, which timegm would carry into the next month. */
static bool tm_to_unix(const struct tm *tm, int64_t *out)
{
	struct tm normal = *tm;
	time_t at;

	normal.tm_hour = normal.tm_min = normal.tm_sec = 0;
	at = timegm(&normal);
	if (normal.tm_mday != tm->tm_mday || normal.tm_mon != tm->tm_mon) {
		return false;
	}
	*out = (int64_t)at + tm->tm_hour * 3600 + tm->tm_min * 60 + tm->tm_sec;
	return true;
}

/* "Z" or "+01:30", as seconds east of UTC. */
static bool take_offset(const char **text, int *out_s)
{
	const int sign = **text == '-' ? -1 : 1;
	int hours;
	int minutes;

	if (take_char(text, "Zz")) {
		*out_s = 0;
		return true;
	}
	if (!take_char(text, "+-") || !take_digits(text, 2, &hours) || !take_char(text, ":") ||
	    !take_digits(text, 2, &minutes) || hours > 23 || minutes > 59) {
		return false;
	}
	*out_s = sign * (hours * 3600 + minutes * 60);
	return true;
}

bool time_parse(const char *text, int64_t *out_unix_s)
{
	struct tm tm = { .tm_isdst = 0 };
	int64_t unix_s;
	int offset_s;

	if (!take_digits(&text, 4, &tm.tm_year) || !take_char(&text, "-") ||
	    !take_digits(&text, 2, &tm.tm_mon) || !take_char(&text, "-") ||
	    !take_digits(&text, 2, &tm.tm_mday) || !take_char(&text, "Tt") ||
	    !take_clock(&text, &tm)) {
		return false;
	}
	if (*text == '.') {
		size_t digits = strspn(text + 1, "0123456789");

		if (digits == 0) {
			return false;
		}
		text += 1 + digits;
	}
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	if (!take_offset(&text, &offset_s) || *text || !tm_to_unix(&tm, &unix_s)) {
		return false;
	}
	*out_unix_s = unix_s - offset_s;
	return true;
}

/* Takes one of the three-letter words in table; its index. */
static bool take_word(const char **text, const char *table, int *out)
{
	for (int i = 0; table[3 * i]; i++) {
		if (strncmp(*text, table + 3 * i, 3) == 0) {
			*text += 3;
			*out = i;
			return true;
		}
	}
	return false;
}

static bool take_text(const char **text, const char *expected)
{
	size_t len = strlen(expected);

	if (strncmp(*text, expected, len) != 0) {
		return false;
	}
	*text += len;
	return true;
}

bool time_parse_http(const char *text, int64_t *out_unix_s)
{
	struct tm tm = { .tm_isdst = 0 };
	int weekday; /* redundant: not compared with the date */

	if (!take_word(&text, "SunMonTueWedThuFriSat", &weekday) || !take_text(&text, ", ") ||
	    !take_digits(&text, 2, &tm.tm_mday) || !take_char(&text, " ") ||
	    !take_word(&text, "JanFebMarAprMayJunJulAugSepOctNovDec", &tm.tm_mon) ||
	    !take_char(&text, " ") || !take_digits(&text, 4, &tm.tm_year) ||
	    !take_char(&text, " ") || !take_clock(&text, &tm) || !take_text(&text, " GMT") ||
	    *text) {
		return false;
	}
	tm.tm_year -= 1900;
	return tm_to_unix(&tm, out_unix_s);
}
