/*
 * An answer of the CA that is no success: its status, Link, Retry-After and Date, a line each, and
 * then the body. People get one sentence that steers no terminal.
 */
#include "acme/acme_internal.h"

#define LINES 4
#define NOW_S 1795485600

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool fine)
{
	if (!fine) {
		abort();
	}
}

static void check_sentence(const struct err *err)
{
	must(err->code != ERR_NONE && err->text[0]);
	must(strlen(err->text) < ERR_TEXT_MAX && strlen(err->problem) < ERR_PROBLEM_MAX);
	for (const char *at = err->text; *at; at++) {
		must((unsigned char)*at >= ' ' && *at != 0x7f);
	}
	must(!acme_paused(err) || strstr(err->text, "https://"));
}

static void check_links(const struct http_response *response)
{
	struct strlist found = { 0 };
	char *first = acme_link(response, "alternate");

	acme_links(response, "alternate", ACME_ALTERNATES_MAX, &found);
	must(found.count <= ACME_ALTERNATES_MAX && (found.count > 0) == (first != NULL));
	must(!first || strcmp(first, found.item[0]) == 0);
	free(first);
	strlist_clear(&found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);
	char *line[LINES] = { text };
	char *body = text;
	struct acme_reply reply = { .at_s = NOW_S };
	struct http_response response = { .header_count = LINES };
	struct err err = { .code = ERR_NONE };

	for (size_t i = 0; i < LINES; i++) {
		line[i] = body;
		body += strcspn(body, "\n");
		if (*body) {
			*body++ = '\0';
		}
	}
	response.status = 300 + (unsigned char)line[0][0];
	response.headers = (const struct http_header[LINES]){
		{ "content-type", "application/problem+json" },
		{ "link", line[1] },
		{ "retry-after", line[2] },
		{ "date", line[3] },
	};
	response.body = body;
	response.body_len = strlen(body);
	reply.http = &response;
	reply.retry_after_s = acme_retry_after_s(&response, NOW_S);
	must(reply.retry_after_s >= -1 && reply.retry_after_s <= RETRY_AFTER_MAX_S);
	acme_problem_of(&reply, "make the order", "ca.test", &err);
	check_sentence(&err);
	check_links(&response);
	free(text);
	return 0;
}
