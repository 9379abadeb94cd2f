/* said: what a vendor answers, as sentences; and no secret in them. */
#include "internal.h"

#include <strings.h>

#define RETRY_AFTER_MAX_S (7 * 24 * 3600)
#define MASKED_LEN_MIN 4
#define SAID_WHOLE_MAX (16 * 1024)

const char *said_header(const struct http_response *response, const char *name)
{
	for (size_t i = 0; i < response->header_count; i++) {
		if (strcasecmp(response->headers[i].name, name) == 0) {
			return response->headers[i].value;
		}
	}
	return NULL;
}

/* RFC 9110 s.10.2.3: seconds, or a date, which is read against the answer's own. */
int64_t said_retry_after_s(const struct http_response *response, int64_t now_s)
{
	const char *text = said_header(response, "retry-after");
	const char *date = said_header(response, "date");
	uint64_t seconds;
	int64_t at;

	if (!text) {
		return -1;
	}
	if (text_parse_u64(text, RETRY_AFTER_MAX_S, &seconds)) {
		return (int64_t)seconds;
	}
	if (!time_parse_http(text, &at)) {
		return text[0] >= '0' && text[0] <= '9' ? RETRY_AFTER_MAX_S : -1;
	}
	if (date) {
		(void)time_parse_http(date, &now_s);
	}
	at -= now_s;
	return at < 0 ? 0 : at < RETRY_AFTER_MAX_S ? at : RETRY_AFTER_MAX_S;
}

void said_mask(const struct rest *rest, char *text)
{
	for (size_t i = 0; i < rest->hidden.count; i++) {
		const char *secret = rest->hidden.item[i];
		size_t len = strlen(secret);
		char *at = text;

		while (len >= MASKED_LEN_MIN && (at = strstr(at, secret))) {
			memset(at, '*', len);
			at += len;
		}
	}
}

/* ---- the vendor's sentence ---------------------------------------------------------------- */

static const char *text_in(const struct json *object)
{
	static const char *const members[] = { "message",     "detail", "error_description",
					       "description", "title",  "error",
					       "reason" };

	if (json_text(object)) {
		return json_text(object);
	}
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		if (json_str(object, members[i])) {
			return json_str(object, members[i]);
		}
	}
	return NULL;
}

/* {"error": {...}}, {"errors": [...]}, {"message": "..."} and their likes; NULL: none. */
static const char *usual_sentence(const struct rest_answer *answer)
{
	const struct json *errors = json_get(answer->json, "errors");
	const struct json *error = json_get(answer->json, "error");
	const char *text = NULL;

	if (answer->xml) {
		text = xml_str(answer->xml, "Error/Message");
		return text ? text : xml_str(answer->xml, "Message");
	}
	if (json_len(errors) > 0) {
		text = text_in(json_at(errors, 0));
	}
	text = text ? text : json_is_object(error) ? text_in(error) : NULL;
	return text ? text : text_in(answer->json);
}

/* Masked before it is cut or escaped, so that no part of a secret is left. */
static void sentence(const struct rest *rest, const struct rest_answer *answer,
		     char out[REST_SAID_MAX])
{
	struct buf said = BUF_INIT(SAID_WHOLE_MAX);
	const char *usual;

	if (rest->api->said) {
		rest->api->said(answer, &said);
	}
	if (said.len == 0) {
		usual = usual_sentence(answer);
		usual = usual ? usual : answer->body;
		buf_add(&said, usual, strnlen(usual, SAID_WHOLE_MAX));
	}
	if (said.len > 0) {
		said_mask(rest, said.data);
	}
	text_escape(out, REST_SAID_MAX, buf_str(&said), said.len);
	buf_wipe(&said);
}

static enum err_code code_of(int status)
{
	static const struct {
		int status;
		enum err_code code;
	} codes[] = {
		{ 400, ERR_PROTOCOL },  { 401, ERR_DENIED },  { 403, ERR_DENIED },
		{ 404, ERR_NOT_FOUND }, { 408, ERR_TIMEOUT }, { 409, ERR_BUSY },
		{ 412, ERR_BUSY },      { 429, ERR_LIMIT },
	};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		if (codes[i].status == status) {
			return codes[i].code;
		}
	}
	return status >= 500 ? ERR_NETWORK : ERR_PROTOCOL;
}

enum err_code said_refusal(struct rest *rest, const struct rest_answer *answer, struct err *err)
{
	const struct provider *provider = rest->api->provider;
	const enum err_code code = code_of(answer->status);
	char said[REST_SAID_MAX];
	int64_t wait_s = -1;

	sentence(rest, answer, said);
	if (code == ERR_DENIED) {
		err_set(err, code, "", "the API answers %d: %s; what its credential needs: %s",
			answer->status, said[0] ? said : "(nothing)", provider->privilege);
	} else {
		err_set(err, code, "", "the API answers %d: %s", answer->status,
			said[0] ? said : "(nothing)");
	}
	if (answer->http) {
		wait_s = said_retry_after_s(answer->http, world_wall_s(rest->host->world));
	}
	err->retry_after_s = wait_s > 0 ? wait_s : 0;
	return code;
}

void said_where(const struct rest *rest, struct err *err, const char *task,
		const struct rest_zone *zone)
{
	char text[ERR_TEXT_MAX];

	snprintf(text, sizeof(text), "%s cannot %s%s%s%s%s: %.*s", rest->shown, task,
		 zone ? " in zone " : "", zone ? zone->name : "", rest->account ? " of " : "",
		 rest->account ? rest->account : "", (int)sizeof(err->text) / 2 + 200, err->text);
	snprintf(err->text, sizeof(err->text), "%s", text);
	said_mask(rest, err->text);
}

/* ---- TXT texts ----------------------------------------------------------------------------- */

#define PIECE_MAX 255

char *rest_quote(const char *text)
{
	struct buf out = BUF_INIT(REST_SECRET_MAX * 5);
	size_t in_piece = 0;

	buf_add_str(&out, "\"");
	for (; *text; text++) {
		if (in_piece++ == PIECE_MAX) {
			buf_add_str(&out, "\" \"");
			in_piece = 1;
		}
		if (*text == '"' || *text == '\\') {
			buf_add_str(&out, "\\");
		}
		buf_add(&out, text, 1);
	}
	buf_add_str(&out, "\"");
	return buf_detach(&out);
}

/* One character of a quoted piece: itself, \c, or \DDD. Moves on. */
static void add_char(struct buf *out, const char **at)
{
	const char *c = *at;
	char octet;

	if (*c != '\\' || !c[1]) {
		buf_add(out, c, 1);
		*at = c + 1;
		return;
	}
	if (strspn(c + 1, "0123456789") >= 3) {
		octet = (char)((c[1] - '0') * 100 + (c[2] - '0') * 10 + (c[3] - '0'));
		buf_add(out, &octet, 1);
		*at = c + 4;
		return;
	}
	buf_add(out, c + 1, 1);
	*at = c + 2;
}

char *rest_unquote(const char *raw)
{
	struct buf out = BUF_INIT(strlen(raw) + 1);
	bool inside = false;

	if (raw[0] != '"') {
		return xstrdup(raw);
	}
	while (*raw) {
		if (*raw == '"') {
			inside = !inside;
			raw++;
		} else if (inside) {
			add_char(&out, &raw);
		} else {
			raw++; /* between two pieces */
		}
	}
	return buf_detach(&out);
}

char *rest_raw(const struct rest_value *value, bool quoted)
{
	if (value->raw) {
		return xstrdup(value->raw);
	}
	return quoted ? rest_quote(value->text) : xstrdup(value->text);
}
