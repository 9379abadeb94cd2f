/* Small texts of peers: what is read is written back as it was; what is escaped stays so. */
#include "dns01/base.h"

#define ESCAPED_MAX 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool fine)
{
	if (!fine) {
		abort();
	}
}

static void check_escape(const char *text, size_t len)
{
	char once[ESCAPED_MAX];
	char twice[ESCAPED_MAX];

	text_escape(once, sizeof(once), text, len);
	text_escape(twice, sizeof(twice), once, strlen(once));
	must(strcmp(once, twice) == 0);
}

static void check_times(const char *text)
{
	char formatted[32];
	int64_t first;
	int64_t second;

	if (duration_parse(text, &first)) {
		duration_format(formatted, first);
		must(duration_parse(formatted, &second) && first == second);
	}
	if (time_parse(text, &first) || time_parse_http(text, &first)) {
		time_format(formatted, first);
	}
}

static void check_addr(const char *text)
{
	char formatted[ADDR_TEXT_MAX];
	struct addr first;
	struct addr second;

	if (addr_parse(text, 53, &first)) {
		addr_format(formatted, &first, 53);
		must(addr_parse(formatted, 53, &second) && addr_equal(&first, &second));
	}
}

static void check_base64(const char *text, size_t len)
{
	uint8_t *octets = xmalloc(len);
	char *back = xmalloc(BASE64URL_LEN(len));
	size_t octets_len;

	if (base64url_decode(text, len, octets, len, &octets_len)) {
		base64url_encode(back, BASE64URL_LEN(octets_len), octets, octets_len);
		must(strlen(back) == len && memcmp(back, text, len) == 0);
	}
	if (base64_decode_any(text, len, octets, len, &octets_len)) {
		must(octets_len <= len);
	}
	free(back);
	free(octets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);

	check_escape((const char *)data, size);
	check_base64((const char *)data, size);
	check_times(text);
	check_addr(text);
	free(text);
	return 0;
}
