/*
 * header: what stands in the header fields of an answer, and URLs, which come
 * from there and from objects alike.
 */
#include "dns01/acme.h"

#include <strings.h>

#include "acme_internal.h"

#define QUOTE_MAX 120

const char *acme_header(const struct http_response *response, const char *name)
{
	for (size_t i = 0; i < response->header_count; i++) {
		if (strcasecmp(response->headers[i].name, name) == 0) {
			return response->headers[i].value;
		}
	}
	return NULL;
}

static int64_t clamp(int64_t value, int64_t max)
{
	if (value < 0) {
		return 0;
	}
	return value < max ? value : max;
}

int64_t acme_retry_after_s(const struct http_response *response, int64_t now_s)
{
	const char *text = acme_header(response, "retry-after");
	const char *date = acme_header(response, "date");
	int64_t at;

	if (!text || !*text) {
		return -1;
	}
	if (strspn(text, "0123456789") == strlen(text)) {
		uint64_t seconds;

		/* More digits than a number holds are still "late". */
		return text_parse_u64(text, RETRY_AFTER_MAX_S, &seconds) ? (int64_t)seconds
									 : RETRY_AFTER_MAX_S;
	}
	if (!time_parse_http(text, &at)) {
		return -1;
	}
	/* Both by the CA's clock, so that ours may be wrong. */
	if (date) {
		(void)time_parse_http(date, &now_s);
	}
	return clamp(at - now_s, RETRY_AFTER_MAX_S);
}

/* ---- Link (RFC 8288 s.3) ---- */

static const char *skip_space(const char *at)
{
	return at + strspn(at, " \t");
}

/* Whether the words of a rel parameter, up to end, have rel among them. */
static bool rel_has(const char *at, const char *end, const char *rel)
{
	size_t len = strlen(rel);

	while (at < end) {
		const char *word = at;

		while (at < end && *at != ' ' && *at != '\t') {
			at++;
		}
		if ((size_t)(at - word) == len && strncasecmp(word, rel, len) == 0) {
			return true;
		}
		at++;
	}
	return false;
}

/* Steps over `;name=value` at *at; true when it is rel with that relation. */
static bool link_param(const char **at, const char *rel)
{
	const char *name = skip_space(*at + 1);
	size_t name_len = strcspn(name, "=;, \t");
	const char *value = skip_space(name + name_len);
	const char *end;
	const char *next;

	if (*value != '=') {
		*at = value;
		return false;
	}
	value = skip_space(value + 1);
	if (*value == '"') {
		value++;
		end = value + strcspn(value, "\"");
		next = *end ? end + 1 : end;
	} else {
		end = value + strcspn(value, ";, \t");
		next = end;
	}
	*at = next;
	return name_len == 3 && strncasecmp(name, "rel", 3) == 0 && rel_has(value, end, rel);
}

/* The targets with that relation in one header field, which may hold several. */
static void links_in(const char *at, const char *rel, size_t max, struct strlist *out)
{
	while (out->count < max && (at = strchr(at, '<'))) {
		const char *target = at + 1;
		size_t len = strcspn(target, ">");
		bool found = false;

		if (!target[len]) {
			return;
		}
		at = skip_space(target + len + 1);
		while (*at == ';') {
			found = link_param(&at, rel) || found;
			at = skip_space(at);
		}
		if (found) {
			strlist_take(out, xstrndup(target, len));
		}
	}
}

void acme_links(const struct http_response *response, const char *rel, size_t max,
		struct strlist *out)
{
	for (size_t i = 0; i < response->header_count; i++) {
		if (strcasecmp(response->headers[i].name, "link") == 0) {
			links_in(response->headers[i].value, rel, max, out);
		}
	}
}

char *acme_link(const struct http_response *response, const char *rel)
{
	struct strlist found = { 0 };
	char *first;

	acme_links(response, rel, 1, &found);
	first = xstrdup(found.count > 0 ? found.item[0] : NULL);
	strlist_clear(&found);
	return first;
}

/* ---- URLs ---- */

bool acme_url_is(const char *url)
{
	size_t len = strlen(url);

	/* RFC 8555 s.6.1: https alone. A URL is used as it is, so what cannot stand
	 * in one (RFC 3986) is refused here; "@" would hide the host. */
	if (len > ACME_URL_MAX || strncasecmp(url, "https://", 8) != 0) {
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		if (url[i] <= ' ' || url[i] > '~' || strchr("\"<>\\^`{|}#", url[i])) {
			return false;
		}
	}
	len = strcspn(url + 8, "/?");
	return len > 0 && url[8] != ':' && !memchr(url + 8, '@', len);
}

static enum err_code url_take(const char *url, const char *field, char **out, struct err *err)
{
	char quoted[QUOTE_MAX];

	if (!url) {
		return err_set(err, ERR_PROTOCOL, "", "the CA's answer lacks the URL \"%s\"",
			       field);
	}
	if (!acme_url_is(url)) {
		text_escape(quoted, sizeof(quoted), url, strlen(url));
		return err_set(err, ERR_PROTOCOL, "",
			       "the CA's \"%s\" is no valid https URL (RFC 8555 s.6.1): \"%s\"",
			       field, quoted);
	}
	if (*out && strcmp(*out, url) == 0) {
		return ERR_NONE;
	}
	free(*out);
	*out = xstrdup(url);
	return ERR_NONE;
}

enum err_code acme_url_get(const struct json *object, const char *field, char **out,
			   struct err *err)
{
	return url_take(json_str(object, field), field, out, err);
}

enum err_code acme_location_get(const struct acme_reply *reply, char **out, struct err *err)
{
	return url_take(acme_header(reply->http, "location"), "Location", out, err);
}

char *acme_url_host(const char *url)
{
	const char *host = strstr(url, "://");
	char quoted[QUOTE_MAX];

	host = host ? host + 3 : url;
	text_escape(quoted, sizeof(quoted), host, strcspn(host, "/?"));
	return xstrdup(quoted);
}
