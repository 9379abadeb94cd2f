/* ask: what a step says is to be sent. */
#include "internal.h"

#include <strings.h>

#define URL_MAX 8000

static struct walk *walk_of(struct rest_walk *pub)
{
	return (struct walk *)(void *)pub;
}

void asked_clear(struct asked *asked)
{
	free(asked->method);
	free(asked->url);
	free(asked->type);
	wipe_str(asked->body);
	strlist_clear(&asked->headers);
	*asked = (struct asked){ .method = NULL };
}

/* ---- texts ---------------------------------------------------------------------------- */

static void add_percent(struct buf *out, const char *text)
{
	static const char unreserved[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "0123456789-._~";

	for (; *text; text++) {
		if (strchr(unreserved, *text)) {
			buf_add(out, text, 1);
		} else {
			buf_addf(out, "%%%02X", (unsigned char)*text);
		}
	}
}

char *rest_percent(const char *text)
{
	struct buf out = BUF_INIT(3 * strlen(text) + 1);

	add_percent(&out, text);
	return buf_detach(&out);
}

char *rest_form(const char *const pairs[][2])
{
	struct buf out = BUF_INIT(REST_SECRET_MAX);

	for (size_t i = 0; pairs[i][0]; i++) {
		buf_add_str(&out, i > 0 ? "&" : "");
		add_percent(&out, pairs[i][0]);
		buf_add_str(&out, "=");
		add_percent(&out, pairs[i][1] ? pairs[i][1] : "");
	}
	return buf_detach(&out);
}

/* Our own few conversions; the compiler checks them as printf's. */
static void add_path(struct buf *out, const char *path, va_list args)
{
	for (const char *at = path; *at; at++) {
		if (*at != '%') {
			buf_add(out, at, 1);
			continue;
		}
		switch (*++at) {
		case 's':
			add_percent(out, va_arg(args, const char *));
			break;
		case 'd':
			buf_addf(out, "%d", va_arg(args, int));
			break;
		case 'u':
			buf_addf(out, "%u", va_arg(args, unsigned));
			break;
		case '%':
			buf_add_str(out, "%");
			break;
		default:
			log_error("a path with the conversion %%%c", *at);
			abort();
		}
	}
}

/* ---- requests --------------------------------------------------------------------------- */

static void begin(struct walk *walk, const char *method, char *url)
{
	asked_clear(&walk->asked);
	walk->asked.method = xstrdup(method);
	walk->asked.url = url;
	walk->asked.repeatable = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

enum rest_next rest_ask(struct rest_walk *pub, const char *method, struct json *body,
			const char *path, ...)
{
	struct walk *walk = walk_of(pub);
	struct buf url = BUF_INIT(URL_MAX);
	va_list args;

	buf_add_str(&url, pub->rest->endpoint);
	va_start(args, path);
	add_path(&url, path, args);
	va_end(args);
	begin(walk, method, buf_detach(&url));
	if (body) {
		rest_body(pub, "application/json", json_dump(body));
		json_free(body);
	}
	return REST_SEND;
}

/* Length of "https://host:port". */
static size_t origin_len(const char *url)
{
	const char *host = strstr(url, "://");

	return host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : 0;
}

enum rest_next rest_follow(struct rest_walk *pub, const char *link)
{
	const char *endpoint = pub->rest->endpoint;
	size_t origin = origin_len(endpoint);

	if (link[0] == '/') {
		begin(walk_of(pub), "GET", xasprintf("%.*s%s", (int)origin, endpoint, link));
		return REST_SEND;
	}
	if (origin_len(link) != origin || strncmp(link, endpoint, origin) != 0) {
		char shown[120];

		text_escape(shown, sizeof(shown), link, strlen(link));
		return rest_fail(pub, ERR_PROTOCOL,
				 "the next page of a list is said to be at %s, another host than "
				 "the API's",
				 shown);
	}
	begin(walk_of(pub), "GET", xstrdup(link));
	return REST_SEND;
}

/* <URL>; rel="next", one of several behind commas; URLs have no ">". */
char *rest_next_link(const struct rest_answer *answer)
{
	const char *at = said_header(answer->http, "link");

	while (at && (at = strchr(at, '<'))) {
		const char *end = strchr(at, '>');
		const char *next = end ? strchr(end, '<') : NULL;
		char *parameters;
		bool found;

		if (!end) {
			return NULL;
		}
		parameters = next ? xstrndup(end, (size_t)(next - end)) : xstrdup(end);
		found = strstr(parameters, "rel=\"next\"") || strstr(parameters, "rel=next");
		free(parameters);
		if (found) {
			return xstrndup(at + 1, (size_t)(end - at - 1));
		}
		at = end;
	}
	return NULL;
}

enum rest_next rest_ask_at(struct rest_walk *pub, const char *method, const char *url)
{
	begin(walk_of(pub), method, xstrdup(url));
	walk_of(pub)->asked.elsewhere = true;
	return REST_SEND;
}

void rest_body(struct rest_walk *pub, const char *type, char *text)
{
	struct asked *asked = &walk_of(pub)->asked;

	free(asked->type);
	wipe_str(asked->body);
	asked->type = xstrdup(type);
	asked->body = text;
	asked->body_len = strlen(text);
}

void rest_header(struct rest_walk *pub, const char *name, const char *value)
{
	struct asked *asked = &walk_of(pub)->asked;

	strlist_add(&asked->headers, name);
	strlist_add(&asked->headers, value);
}

void rest_accept(struct rest_walk *pub, int status)
{
	struct asked *asked = &walk_of(pub)->asked;

	if (asked->accept_count < ARRAY_LEN(asked->accept)) {
		asked->accept[asked->accept_count++] = status;
	}
}

void rest_accept_plain(struct rest_walk *pub)
{
	walk_of(pub)->asked.plain = true;
}

void rest_once(struct rest_walk *pub)
{
	walk_of(pub)->asked.once = true;
}

void rest_repeatable(struct rest_walk *pub)
{
	walk_of(pub)->asked.repeatable = true;
}

/* ---- before it is sent --------------------------------------------------------------------- */

void rest_request_header(struct rest_request *request, const char *name, const char *fmt, ...)
{
	size_t i = 0;
	char *text = NULL;
	va_list args;

	while (i < request->header_count && strcasecmp(request->header[i].name, name) != 0) {
		i++;
	}
	va_start(args, fmt);
	if (i == REST_HEADERS_MAX || vasprintf(&text, fmt, args) < 0) {
		log_error("the header %s does not fit into a request", name);
		abort();
	}
	va_end(args);
	if (i == request->header_count) {
		request->header[request->header_count++].name = name;
	} else {
		wipe_str((char *)(uintptr_t)request->header[i].value);
	}
	request->header[i].value = text;
}
