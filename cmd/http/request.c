/* A request as libcurl wants it, after the checks that libcurl does not make. */
#include "client.h"

#include <arpa/inet.h>

#define URL_MAX 8192
#define TIMEOUT_DEFAULT_MS (60 * 1000)

struct url {
	CURLU *parts;
	char *scheme;
	char *host;
	char *port;
};

static void url_clear(struct url *url)
{
	curl_free(url->scheme);
	curl_free(url->host);
	curl_free(url->port);
	curl_url_cleanup(url->parts);
	*url = (struct url){ 0 };
}

/* ---- the URL ------------------------------------------------------------------ */

static bool is_loopback(const char *host)
{
	struct in_addr address;

	if (inet_pton(AF_INET, host, &address) == 1) {
		return ntohl(address.s_addr) >> 24 == 127;
	}
	return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

/* RFC 3927 s.2.1 */
static bool is_link_local(const char *host)
{
	struct in_addr address;

	return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 16 == 0xa9fe;
}

/* RFC 3986 has only these; libcurl would mend some of the others, and cut a fragment off. */
static bool is_sent_as_is(const char *url)
{
	const char *at;

	for (at = url; *at; at++) {
		if (*at <= ' ' || *at > '~' || *at == '#') {
			return false;
		}
	}
	return true;
}

static enum err_code url_split(const char *text, struct url *url, struct err *err)
{
	CURLUcode code;

	url->parts = curl_url();
	if (!url->parts) {
		return err_set(err, ERR_INTERNAL, "", "out of memory");
	}
	code = curl_url_set(url->parts, CURLUPART_URL, text,
			    CURLU_PATH_AS_IS | CURLU_NON_SUPPORT_SCHEME | CURLU_DISALLOW_USER);
	if (code == CURLUE_OK) {
		code = curl_url_get(url->parts, CURLUPART_SCHEME, &url->scheme, 0);
	}
	if (code == CURLUE_OK) {
		code = curl_url_get(url->parts, CURLUPART_HOST, &url->host, 0);
	}
	if (code == CURLUE_OK &&
	    (strcmp(url->scheme, "https") == 0 || strcmp(url->scheme, "http") == 0)) {
		code = curl_url_get(url->parts, CURLUPART_PORT, &url->port, CURLU_DEFAULT_PORT);
	}
	if (code == CURLUE_USER_NOT_ALLOWED) {
		/* Not quoted: there is a password in it. */
		return err_set(err, ERR_PROTOCOL, "", "a URL with a user's name is not accepted");
	}
	if (code != CURLUE_OK) {
		return err_set(err, ERR_PROTOCOL, "", "the URL \"%s\" is not accepted: %s", text,
			       curl_url_strerror(code));
	}
	return ERR_NONE;
}

static enum err_code url_check(const struct http_request *request, struct url *url, struct err *err)
{
	const char *text = request->url;
	enum err_code code;

	if (strlen(text) > URL_MAX) {
		return err_set(err, ERR_LIMIT, "", "a URL is longer than %d octets", URL_MAX);
	}
	if (!is_sent_as_is(text)) {
		return err_set(err, ERR_PROTOCOL, "",
			       "the URL \"%s\" is not accepted: it has a blank, a `#`, or a "
			       "character outside ASCII",
			       text);
	}
	code = url_split(text, url, err);
	if (code != ERR_NONE || strcmp(url->scheme, "https") == 0) {
		return code;
	}
	if (strcmp(url->scheme, "http") == 0 &&
	    ((request->allow_http_loopback && is_loopback(url->host)) ||
	     (request->allow_http_link_local && is_link_local(url->host)))) {
		return ERR_NONE;
	}
	return err_set(err, ERR_PROTOCOL, "", "the URL \"%s\" is not accepted: it is not https",
		       text);
}

/* ---- options -------------------------------------------------------------------- */

static enum err_code refused(struct err *err, CURLcode code)
{
	return err_set(err, ERR_INTERNAL, "", "libcurl does not accept the request: %s",
		       curl_easy_strerror(code));
}

static enum err_code set_str(CURL *easy, CURLoption option, const char *value, struct err *err)
{
	CURLcode code = curl_easy_setopt(easy, option, value);

	return code == CURLE_OK ? ERR_NONE : refused(err, code);
}

struct number {
	CURLoption option;
	long value;
};

static const struct number fixed[] = {
	{ CURLOPT_FOLLOWLOCATION, 0 },
	{ CURLOPT_SSL_VERIFYPEER, 1 },
	{ CURLOPT_SSL_VERIFYHOST, 2 },
	{ CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
	{ CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS },
	{ CURLOPT_PIPEWAIT, 1 },
	{ CURLOPT_PATH_AS_IS, 1 },
	{ CURLOPT_NETRC, CURL_NETRC_IGNORED },
	{ CURLOPT_SUPPRESS_CONNECT_HEADERS, 1 },
	{ CURLOPT_TCP_KEEPALIVE, 1 },
	{ CURLOPT_CONNECTTIMEOUT_MS, HTTP_CONNECT_MS },
	{ CURLOPT_NOSIGNAL, 1 },
	{ CURLOPT_QUICK_EXIT, 1 },
	{ CURLOPT_NOPROGRESS, 1 },
	{ CURLOPT_UPLOAD_BUFFERSIZE, 16 * 1024 },
};

static enum err_code set_numbers(CURL *easy, const struct number *numbers, size_t count,
				 struct err *err)
{
	CURLcode code = CURLE_OK;
	size_t i;

	for (i = 0; i < count && code == CURLE_OK; i++) {
		code = curl_easy_setopt(easy, numbers[i].option, numbers[i].value);
	}
	return code == CURLE_OK ? ERR_NONE : refused(err, code);
}

static void set_callbacks(struct world_http *http)
{
	CURL *easy = http->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, http);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->curl_says);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, http_on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, http);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, http_on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);
}

/* With roots of its own nothing else is read: the system's bundle costs tens of ms a connection. */
static enum err_code set_roots(struct world_http *http, const struct http_request *request,
			       struct err *err)
{
	const char *file = request->ca_file;
	const char *path = file ? NULL : http->client->ca_path;
	enum err_code code;

	http->own_roots = file != NULL;
	if (!file && !path) {
		return ERR_NONE;
	}
	code = set_str(http->easy, CURLOPT_CAINFO, file, err);
	if (code == ERR_NONE) {
		code = set_str(http->easy, CURLOPT_CAPATH, path, err);
	}
	return code;
}

/* It may hold a password, so it is not quoted, and libcurl gets no chance to. */
static bool is_proxy(const char *proxy)
{
	static const char *const schemes[] = { "http",    "https",  "socks4",
					       "socks4a", "socks5", "socks5h" };
	CURLU *parts = curl_url();
	char *scheme = NULL;
	bool known = false;
	size_t i;

	if (parts &&
	    curl_url_set(parts, CURLUPART_URL, proxy,
			 CURLU_DEFAULT_SCHEME | CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK) {
		for (i = 0; i < ARRAY_LEN(schemes) && !known; i++) {
			known = strcmp(scheme, schemes[i]) == 0;
		}
	}
	curl_free(scheme);
	curl_url_cleanup(parts);
	return known;
}

/* The environment's proxies are never read. What is on this host needs none. */
static enum err_code set_proxy(struct world_http *http, const struct http_request *request,
			       bool plain, struct err *err)
{
	const char *proxy = request->proxy;
	enum err_code code;

	if (!proxy || strcmp(proxy, "none") == 0 || plain) {
		proxy = "";
	} else if (!is_proxy(proxy)) {
		return err_set(err, ERR_CONFIG, "",
			       "the proxy on the way to %s is not of the form "
			       "http://HOST:PORT or socks5h://HOST:PORT",
			       http->host_text);
	}
	code = set_str(http->easy, CURLOPT_PROXY, proxy, err);
	if (code == ERR_NONE) {
		code = set_str(http->easy, CURLOPT_NOPROXY, "", err);
	}
	return code;
}

static enum err_code set_options(struct world_http *http, const struct http_request *request,
				 bool plain, struct err *err)
{
	const struct number own[] = {
		{ CURLOPT_TIMEOUT_MS, (long)http->timeout_ms },
		{ CURLOPT_FRESH_CONNECT, request->once },
	};
	enum err_code code = set_numbers(http->easy, fixed, ARRAY_LEN(fixed), err);

	if (code == ERR_NONE) {
		code = set_numbers(http->easy, own, ARRAY_LEN(own), err);
	}
	if (code == ERR_NONE) {
		code = set_str(http->easy, CURLOPT_PROTOCOLS_STR, plain ? "http" : "https", err);
	}
	if (code == ERR_NONE) {
		code = set_str(http->easy, CURLOPT_URL, request->url, err);
	}
	if (code == ERR_NONE) {
		code = set_str(http->easy, CURLOPT_USERAGENT, http->client->user_agent, err);
	}
	if (code == ERR_NONE) {
		code = set_roots(http, request, err);
	}
	if (code == ERR_NONE && request->unix_path) {
		code = set_str(http->easy, CURLOPT_UNIX_SOCKET_PATH, request->unix_path, err);
	}
	if (code == ERR_NONE && request->cert_file) {
		code = set_str(http->easy, CURLOPT_SSLCERT, request->cert_file, err);
	}
	if (code == ERR_NONE && request->key_file) {
		code = set_str(http->easy, CURLOPT_SSLKEY, request->key_file, err);
	}
	if (code == ERR_NONE) {
		code = set_proxy(http, request, plain, err);
	}
	return code;
}

/* ---- method and body -------------------------------------------------------------- */

static bool is_method(const char *method)
{
	return method[0] && strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(method);
}

/* RFC 9110 s.8.6: these say the length of their content, even when it is none. */
static bool has_content(const struct http_request *request)
{
	const char *method = request->method;

	return request->body || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
	       strcmp(method, "PATCH") == 0;
}

static enum err_code set_method(struct world_http *http, const struct http_request *request,
				struct err *err)
{
	CURL *easy = http->easy;
	const char *usual = "GET";
	CURLcode code = CURLE_OK;

	if (!is_method(request->method)) {
		return err_set(err, ERR_INTERNAL, "", "\"%s\" is not an HTTP method",
			       request->method);
	}
	if (has_content(request)) {
		usual = "POST";
		http->body_len = request->body ? request->body_len : 0;
		http->body = xmalloc(http->body_len + 1);
		memcpy(http->body, request->body ? request->body : "", http->body_len);
		code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
					(curl_off_t)http->body_len);
		if (code == CURLE_OK) { /* not copied */
			code = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, http->body);
		}
	} else if (strcmp(request->method, "HEAD") == 0) {
		usual = "HEAD";
		code = curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	}
	if (code == CURLE_OK && strcmp(request->method, usual) != 0) {
		code = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	}
	return code == CURLE_OK ? ERR_NONE : refused(err, code);
}

/* ---- headers ------------------------------------------------------------------------ */

static bool has_header(const struct http_request *request, const char *name)
{
	size_t i;

	for (i = 0; i < request->header_count; i++) {
		if (strcasecmp(request->headers[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

static bool is_one_line(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' && *text != '\t') {
			return false;
		}
	}
	return true;
}

/* Takes line, which may hold a secret. */
static enum err_code add_line(struct world_http *http, char *line, struct err *err)
{
	struct curl_slist *list = curl_slist_append(http->headers, line);

	wipe_str(line);
	if (!list) {
		return err_set(err, ERR_INTERNAL, "", "out of memory");
	}
	http->headers = list;
	return ERR_NONE;
}

static enum err_code add_header(struct world_http *http, const struct http_header *header,
				struct err *err)
{
	const char *value = header->value;

	if (!is_one_line(header->name) || strpbrk(header->name, " :;") || !is_one_line(value)) {
		return err_set(err, ERR_CONFIG, "",
			       "the value for the header %s is not one line of text: is there a "
			       "line break in a token or key?",
			       header->name);
	}
	/* libcurl's form for a header without a value is "Name;". */
	return add_line(http,
			value[0] ? xasprintf("%s: %s", header->name, value)
				 : xasprintf("%s;", header->name),
			err);
}

/* "Name:" takes away what libcurl would send of its own accord. */
static enum err_code set_headers(struct world_http *http, const struct http_request *request,
				 struct err *err)
{
	enum err_code code = add_line(http, xstrdup("Expect:"), err);
	CURLcode result;
	size_t i;

	if (code == ERR_NONE && !has_header(request, "Content-Type")) {
		code = add_line(http, xstrdup("Content-Type:"), err);
	}
	/* RFC 8555 s.6.1 */
	if (code == ERR_NONE && !has_header(request, "Accept-Language")) {
		code = add_line(http, xstrdup("Accept-Language: en"), err);
	}
	for (i = 0; i < request->header_count && code == ERR_NONE; i++) {
		code = add_header(http, &request->headers[i], err);
	}
	if (code != ERR_NONE) {
		return code;
	}
	result = curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, http->headers);
	return result == CURLE_OK ? ERR_NONE : refused(err, result);
}

/* ---- all of it ----------------------------------------------------------------------- */

static void name_host(struct world_http *http, const struct url *url)
{
	bool usual = strcmp(url->port, "443") == 0;

	if (snprintf(http->host_text, sizeof(http->host_text), "%s%s%s", url->host,
		     usual ? "" : ":", usual ? "" : url->port) < 0) {
		http->host_text[0] = '\0';
	}
}

enum err_code http_prepare(struct world_http *http, const struct http_request *request, char **key)
{
	struct err *err = &http->err;
	struct url url = { 0 };
	enum err_code code;
	bool plain;

	http->timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : TIMEOUT_DEFAULT_MS;
	buf_init(&http->answer.body, request->max_body);
	code = url_check(request, &url, err);
	if (code != ERR_NONE) {
		goto out;
	}
	plain = strcmp(url.scheme, "http") == 0;
	name_host(http, &url);
	http->easy = curl_easy_init();
	if (!http->easy) {
		code = err_set(err, ERR_INTERNAL, "", "out of memory");
		goto out;
	}
	set_callbacks(http);
	code = set_options(http, request, plain, err);
	if (code == ERR_NONE) {
		code = set_method(http, request, err);
	}
	if (code == ERR_NONE) {
		code = set_headers(http, request, err);
	}
	if (code == ERR_NONE) {
		*key = xasprintf("%s://%s:%s%s", url.scheme, url.host, url.port,
				 request->unix_path ? request->unix_path : "");
	}
out:
	url_clear(&url);
	return code;
}

void http_request_clear(struct world_http *http)
{
	struct curl_slist *line;

	curl_easy_cleanup(http->easy);
	http->easy = NULL;
	for (line = http->headers; line; line = line->next) {
		wipe(line->data, strlen(line->data));
	}
	curl_slist_free_all(http->headers);
	http->headers = NULL;
	wipe_free(http->body, http->body_len);
	http->body = NULL;
}
