/*
 * problem: RFC 8555 s.6.7, from a document, from an object that holds one, or
 * from an answer without any, made into one sentence for people.
 */
#include "dns01/acme.h"

#include <strings.h>

#include "acme_internal.h"

#define DETAIL_MAX 480                  /* of what the CA wrote, escaped */
#define SUBDETAIL_MAX 240               /* for one name */
#define TYPE_ROOM (ERR_PROBLEM_MAX + 4) /* for " (type)" */
#define LINK_TEXT_MAX 200
#define LEFT_OUT_ROOM 24 /* for "; and 1000 more" */

static const char urn[] = "urn:ietf:params:acme:error:";

bool acme_problem_is(const struct err *err, const char *type)
{
	return strncmp(err->problem, urn, sizeof(urn) - 1) == 0 &&
	       strcmp(err->problem + sizeof(urn) - 1, type) == 0;
}

/* RFC 9457 s.3.1.1: without a type it is "about:blank", which says nothing. */
static void type_copy(const struct json *problem, char out[ERR_PROBLEM_MAX])
{
	const char *type = json_str(problem, "type");

	out[0] = '\0';
	if (type && strcmp(type, "about:blank") != 0) {
		text_escape(out, ERR_PROBLEM_MAX, type, strlen(type));
	}
}

static const char *type_word(const char *type)
{
	return strncmp(type, urn, sizeof(urn) - 1) == 0 ? type + sizeof(urn) - 1 : type;
}

/* "No TXT record found (unauthorized)"; out holds max + TYPE_ROOM. */
static void describe(const struct json *problem, char *out, size_t max)
{
	const char *detail = json_str(problem, "detail");
	char type[ERR_PROBLEM_MAX];
	char words[DETAIL_MAX];

	if (!detail) {
		detail = json_str(problem, "title");
	}
	if (!detail || !*detail) {
		detail = "no explanation was given";
	}
	type_copy(problem, type);
	text_escape(words, max < sizeof(words) ? max : sizeof(words), detail, strlen(detail));
	if (*type) {
		snprintf(out, max + TYPE_ROOM, "%s (%s)", words, type_word(type));
	} else {
		snprintf(out, max + TYPE_ROOM, "%s", words);
	}
}

void acme_failures_add(struct buf *text, size_t *left_out, const char *name, const char *why)
{
	size_t len = strlen(name) + strlen(why) + 4;

	if (*left_out > 0 || text->len + len + LEFT_OUT_ROOM >= text->max) {
		(*left_out)++;
		return;
	}
	buf_addf(text, "%s%s: %s", text->len ? "; " : "", name, why);
}

void acme_failures_end(struct buf *text, size_t left_out)
{
	if (left_out > 0) {
		buf_addf(text, "; and %zu more", left_out);
	}
}

/* RFC 8555 s.6.7.1: each for one identifier. */
static void add_subproblems(const struct json *problem, struct buf *text)
{
	const struct json *list = json_get(problem, "subproblems");
	size_t left_out = 0;

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *sub = json_at(list, i);
		const char *value = json_str(json_get(sub, "identifier"), "value");
		char name[ACME_NAME_MAX + 1];
		char why[SUBDETAIL_MAX + TYPE_ROOM];

		if (!value) {
			value = "the whole request";
		}
		text_escape(name, sizeof(name), value, strlen(value));
		describe(sub, why, SUBDETAIL_MAX);
		acme_failures_add(text, &left_out, name, why);
	}
	acme_failures_end(text, left_out);
}

void acme_problem_parse(const struct json *problem, struct err *out)
{
	struct buf text = BUF_INIT(ERR_TEXT_MAX - 1);
	char words[DETAIL_MAX + TYPE_ROOM];

	err_clear(out);
	describe(problem, words, DETAIL_MAX);
	buf_add_str(&text, words);
	add_subproblems(problem, &text);
	err_set(out, ERR_ACME, "", "%s", buf_str(&text));
	type_copy(problem, out->problem);
	buf_clear(&text);
}

/* ---- what a person should do ---- */

struct advice_context {
	const struct http_response *response;
	const struct json *problem;
	struct buf *text;
};

static void add_url(struct buf *text, const char *words, const char *url)
{
	char quoted[LINK_TEXT_MAX];

	if (url && acme_url_is(url)) {
		text_escape(quoted, sizeof(quoted), url, strlen(url));
		buf_addf(text, "; %s %s", words, quoted);
	}
}

/* RFC 8555 s.6.6 */
static void advise_rate_limited(const struct advice_context *context)
{
	const char *detail = json_str(context->problem, "detail");
	char *help = acme_link(context->response, "help");

	if (help && !(detail && strstr(detail, help))) {
		add_url(context->text, "see", help);
	}
	free(help);
}

/* RFC 8555 s.7.3.3 */
static void advise_user_action(const struct advice_context *context)
{
	char *terms = acme_link(context->response, "terms-of-service");

	add_url(context->text, "the account's owner must visit",
		json_str(context->problem, "instance"));
	add_url(context->text, "the terms of service are at", terms);
	free(terms);
}

/* RFC 8555 s.6.2 */
static void advise_algorithm(const struct advice_context *context)
{
	const struct json *list = json_get(context->problem, "algorithms");
	const char *separator = "; the account's key must be for one of ";

	for (size_t i = 0; i < json_len(list) && i < 8; i++) {
		const char *name = json_text(json_at(list, i));
		char quoted[16];

		text_escape(quoted, sizeof(quoted), name ? name : "?", name ? strlen(name) : 1);
		buf_addf(context->text, "%s%s", separator, quoted);
		separator = ", ";
	}
}

static void advise_eab(const struct advice_context *context)
{
	buf_add_str(context->text,
		    "; this CA wants an external account binding: set its key id and key");
}

static void advise_contact(const struct advice_context *context)
{
	buf_add_str(context->text,
		    "; a contact is one mailto: URL, and may be left out at most CAs");
}

static const struct advice {
	const char *type;
	enum err_code code;
	void (*add)(const struct advice_context *context);
} advices[] = {
	{ "rateLimited", ERR_LIMIT, advise_rate_limited },
	{ "userActionRequired", ERR_ACME, advise_user_action },
	{ "badSignatureAlgorithm", ERR_ACME, advise_algorithm },
	{ "externalAccountRequired", ERR_ACME, advise_eab },
	{ "invalidContact", ERR_ACME, advise_contact },
	{ "unsupportedContact", ERR_ACME, advise_contact },
};

static const struct advice *advice_for(const char *type)
{
	for (size_t i = 0; i < ARRAY_LEN(advices); i++) {
		if (strcmp(type_word(type), advices[i].type) == 0) {
			return &advices[i];
		}
	}
	return NULL;
}

/* ---- answers that are no success ---- */

/* RFC 8555 s.6.7: only a document of this type is one; a CDN sends HTML. */
static struct json *document_of(const struct http_response *response)
{
	const char *type = acme_header(response, "content-type");
	struct json *json = NULL;
	struct err ignored;

	if (!type || strncasecmp(type, "application/problem+json", 24) != 0 || !response->body ||
	    json_parse(response->body, response->body_len, &json, &ignored) != ERR_NONE) {
		return NULL;
	}
	if (!json_is_object(json)) {
		json_free(json);
		return NULL;
	}
	return json;
}

static enum err_code code_of_status(int status)
{
	switch (status) {
	case 404:
	case 410:
		return ERR_NOT_FOUND;
	case 429:
		return ERR_LIMIT;
	default:
		return status >= 500 ? ERR_NETWORK : ERR_PROTOCOL;
	}
}

static void without_document(const struct http_response *response, const char *task,
			     const char *subject, struct err *err)
{
	const char *why = "without saying why";

	if (response->status >= 300 && response->status <= 399) {
		why = "(a redirect, which is never followed: RFC 8555 s.6.4)";
	}
	err_set(err, code_of_status(response->status), subject,
		"asked to %s, the CA answered with HTTP status %d %s", task, response->status, why);
}

void acme_problem_of(const struct http_response *response, const char *task, const char *subject,
		     struct err *err)
{
	struct json *problem = document_of(response);
	struct buf text = BUF_INIT(ERR_TEXT_MAX - 1);
	char words[DETAIL_MAX + TYPE_ROOM];
	char type[ERR_PROBLEM_MAX];
	const struct advice *advice;
	enum err_code code = response->status == 404 ? ERR_NOT_FOUND : ERR_ACME;

	if (!problem) {
		without_document(response, task, subject, err);
		return;
	}
	type_copy(problem, type);
	describe(problem, words, DETAIL_MAX);
	buf_addf(&text, "the CA refused to %s: %s", task, words);
	advice = advice_for(type);
	if (advice) {
		advice->add(&(struct advice_context){ response, problem, &text });
		code = advice->code;
	}
	add_subproblems(problem, &text);
	err_set(err, code, subject, "%s", buf_str(&text));
	snprintf(err->problem, sizeof(err->problem), "%s", type);
	buf_clear(&text);
	json_free(problem);
}
