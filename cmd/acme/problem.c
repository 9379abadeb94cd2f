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
#define LINK_TEXT_MAX 320
#define PAGE_MAX 640     /* of an address in which every character counts */
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
	const struct acme_reply *reply;
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

/* By our clock, as an absolute time: the sentence is read later as well. */
static void add_retry_after(struct buf *text, const struct acme_reply *reply, const char *detail)
{
	char when[32];

	if (reply->retry_after_s > 0 && !(detail && strcasestr(detail, "retry after"))) {
		time_format(when, reply->at_s + reply->retry_after_s);
		buf_addf(text, "; try again after %s", when);
	}
}

/* RFC 8555 s.6.6: any problem may have one; where the words name it already, once is enough. */
static void advise_help(const struct advice_context *context)
{
	const char *detail = json_str(context->problem, "detail");
	char *help = acme_link(context->reply->http, "help");

	if (help && !(detail && strstr(detail, help))) {
		add_url(context->text, "see", help);
	}
	free(help);
}

/*
 * Boulder pauses names that fail over and over: a rate limit without a time, and the address of
 * the page that lifts it in the words. Another CA may give it as the problem's instance or help.
 * Gives the address, or NULL.
 */
static char *unpause_page(const struct acme_reply *reply, const struct json *problem)
{
	const char *detail = json_str(problem, "detail");
	const char *instance = json_str(problem, "instance");
	char *help = acme_link(reply->http, "help");
	const char *places[] = { detail, instance, help };
	char *page = NULL;

	for (size_t i = 0; i < ARRAY_LEN(places) && !page && reply->retry_after_s < 0; i++) {
		const char *at = places[i] ? strstr(places[i], "https://") : NULL;
		size_t len = at ? strcspn(at, " \t\r\n<>\"'") : 0;

		while (len > 0 && strchr(".,;:)", at[len - 1])) {
			len--; /* of the sentence around it */
		}
		page = xstrndup(at ? at : "", len);
		if (!acme_url_is(page) || !strcasestr(page, "unpause")) {
			free(page);
			page = NULL;
		}
	}
	free(help);
	return page;
}

/* The address holds a signature: it is of no use but whole. */
static void add_page(struct buf *text, const char *page)
{
	buf_add_str(text, ": it has paused the account for these names (rateLimited), until a "
			  "person visits ");
	if (strlen(page) < PAGE_MAX) {
		buf_add_str(text, page);
	} else {
		buf_addf(text, "the page that the log names, at %.40s...", page);
		log_warn("the CA's page that lifts the pause: %s", page);
	}
}

bool acme_paused(const struct err *err)
{
	return err->code == ERR_DENIED && acme_problem_is(err, "rateLimited");
}

/* RFC 8555 s.7.3.3 */
static void advise_user_action(const struct advice_context *context)
{
	char *terms = acme_link(context->reply->http, "terms-of-service");

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
	void (*add)(const struct advice_context *context); /* or NULL */
} advices[] = {
	{ "rateLimited", ERR_LIMIT, NULL },
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

static void without_document(const struct acme_reply *reply, const char *task, const char *subject,
			     struct err *err)
{
	struct buf text = BUF_INIT(ERR_TEXT_MAX - 1);
	int status = reply->http->status;

	buf_addf(&text, "asked to %s, the CA answered with HTTP status %d ", task, status);
	buf_add_str(&text, status >= 300 && status <= 399
				   ? "(a redirect, which is never followed: RFC 8555 s.6.4)"
				   : "without saying why");
	add_retry_after(&text, reply, NULL);
	err_set(err, code_of_status(status), subject, "%s", buf_str(&text));
	buf_clear(&text);
}

/* A 5xx passes, whatever the CA calls it. */
static enum err_code code_of(int status, const struct advice *advice)
{
	if (advice && advice->code != ERR_ACME) {
		return advice->code;
	}
	if (status >= 500) {
		return ERR_NETWORK;
	}
	return status == 404 ? ERR_NOT_FOUND : ERR_ACME;
}

static enum err_code with_document(const struct acme_reply *reply, const struct json *problem,
				   const char *type, struct buf *text)
{
	const struct advice *advice = advice_for(type);
	const struct advice_context context = { reply, problem, text };
	char words[DETAIL_MAX + TYPE_ROOM];

	describe(problem, words, DETAIL_MAX);
	buf_addf(text, ": %s", words);
	if (advice && advice->add) {
		advice->add(&context);
	}
	advise_help(&context);
	add_retry_after(text, reply, json_str(problem, "detail"));
	add_subproblems(problem, text);
	return code_of(reply->http->status, advice);
}

void acme_problem_of(const struct acme_reply *reply, const char *task, const char *subject,
		     struct err *err)
{
	struct json *problem = document_of(reply->http);
	struct buf text = BUF_INIT(ERR_TEXT_MAX - 1);
	char type[ERR_PROBLEM_MAX];
	enum err_code code;
	char *page;

	if (!problem) {
		without_document(reply, task, subject, err);
		return;
	}
	type_copy(problem, type);
	buf_addf(&text, "the CA refused to %s", task);
	page = strcmp(type_word(type), "rateLimited") == 0 ? unpause_page(reply, problem) : NULL;
	if (page) {
		add_page(&text, page);
		code = ERR_DENIED;
	} else {
		code = with_document(reply, problem, type, &text);
	}
	err_set(err, code, subject, "%s", buf_str(&text));
	snprintf(err->problem, sizeof(err->problem), "%s", type);
	free(page);
	buf_clear(&text);
	json_free(problem);
}
