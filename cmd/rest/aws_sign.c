/*
 * aws_sign: AWS Signature Version 4. What is signed is a text in which everything of the request
 * has one form ("canonical request"); the key is made of the secret, the day and the scope.
 */
#include "dns01/rest.h"

#include "dns01/crypto.h"

#define DAY_LEN 8   /* "20150830" */
#define TIME_LEN 16 /* "20150830T123600Z" */
#define PARAMETERS_MAX 32
#define TEXT_MAX (64 * 1024)

void aws_keys_clear(struct aws_keys *keys)
{
	free(keys->access_key);
	wipe_str(keys->secret_key);
	wipe_str(keys->session);
	*keys = (struct aws_keys){ .access_key = NULL };
}

/* "2015-08-30T12:36:00Z" without its punctuation. */
static void amz_time(char out[TIME_LEN + 1], int64_t now_s)
{
	char text[32];
	size_t len = 0;

	time_format(text, now_s);
	for (const char *at = text; *at && len < TIME_LEN; at++) {
		if (*at != '-' && *at != ':') {
			out[len++] = *at;
		}
	}
	out[len] = '\0';
}

static void sha256_hex(const void *data, size_t len, char out[2 * SHA256_LEN + 1])
{
	uint8_t digest[SHA256_LEN];

	sha256(data, len, digest);
	hex_encode(out, 2 * SHA256_LEN + 1, digest, sizeof(digest));
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Parameters in the order of their names, each with its "="; they are encoded already. */
static void add_query(struct buf *out, const char *query)
{
	struct strlist parameters = { 0 };
	size_t len;

	for (const char *at = query; *at; at += len + (at[len] == '&')) {
		const char *value;

		len = strcspn(at, "&");
		value = memchr(at, '=', len);
		strlist_addf(&parameters, "%.*s%s", (int)len, at, value ? "" : "=");
	}
	if (parameters.count > 1) {
		qsort(parameters.item, parameters.count, sizeof(*parameters.item), by_text);
	}
	for (size_t i = 0; i < parameters.count; i++) {
		buf_addf(out, "%s%s", i > 0 ? "&" : "", parameters.item[i]);
	}
	strlist_clear(&parameters);
}

/* Services but S3 want each part of the path encoded once more. */
static void add_path(struct buf *out, const char *path, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (path[i] == '%') {
			buf_add_str(out, "%25");
		} else {
			buf_add(out, path + i, 1);
		}
	}
	buf_add_str(out, len == 0 ? "/" : "");
}

/* Gives the canonical request; *names gets the signed headers'. */
static char *canonical(const struct rest_request *request, const struct aws_keys *keys,
		       const char *time, const char **names)
{
	struct buf out = BUF_INIT(TEXT_MAX);
	const char *host = strstr(request->url, "://");
	const char *path, *query;
	char body[2 * SHA256_LEN + 1];

	host = host ? host + 3 : request->url;
	path = host + strcspn(host, "/?");
	query = path + strcspn(path, "?");
	buf_addf(&out, "%s\n", request->method);
	add_path(&out, path, (size_t)(query - path));
	buf_add_str(&out, "\n");
	add_query(&out, *query == '?' ? query + 1 : query);
	buf_addf(&out, "\nhost:%.*s\nx-amz-date:%s\n", (int)(path - host), host, time);
	*names = "host;x-amz-date";
	if (keys->session) {
		buf_addf(&out, "x-amz-security-token:%s\n", keys->session);
		*names = "host;x-amz-date;x-amz-security-token";
	}
	sha256_hex(request->body ? request->body : "", request->body_len, body);
	buf_addf(&out, "\n%s\n%s", *names, body);
	return buf_detach(&out);
}

/* HMAC by HMAC: of the day, the region, the service, "aws4_request"; then of what is signed. */
static void signature(const struct aws_keys *keys, const char *const *chain, size_t count,
		      char out[2 * SHA256_LEN + 1])
{
	char *first = xasprintf("AWS4%s", keys->secret_key);
	uint8_t mac[MAC_MAX];

	mac_compute(MAC_SHA256, first, strlen(first), chain[0], strlen(chain[0]), mac);
	for (size_t i = 1; i < count; i++) {
		uint8_t key[SHA256_LEN];

		memcpy(key, mac, sizeof(key));
		mac_compute(MAC_SHA256, key, sizeof(key), chain[i], strlen(chain[i]), mac);
		wipe(key, sizeof(key));
	}
	hex_encode(out, 2 * SHA256_LEN + 1, mac, SHA256_LEN);
	wipe(mac, sizeof(mac));
	wipe_str(first);
}

void aws_sign(struct rest_request *request, const struct aws_keys *keys,
	      const struct aws_scope *scope)
{
	char time[TIME_LEN + 1], day[DAY_LEN + 1], hash[2 * SHA256_LEN + 1];
	const char *names;
	char *text, *credential;

	amz_time(time, request->now_s);
	snprintf(day, sizeof(day), "%.*s", DAY_LEN, time);
	text = canonical(request, keys, time, &names);
	sha256_hex(text, strlen(text), hash);
	wipe_str(text);
	credential = xasprintf("%s/%s/%s/aws4_request", day, scope->region, scope->service);
	text = xasprintf("AWS4-HMAC-SHA256\n%s\n%s\n%s", time, credential, hash);
	signature(keys,
		  (const char *const[]){ day, scope->region, scope->service, "aws4_request", text },
		  5, hash);
	rest_request_header(request, "X-Amz-Date", "%s", time);
	if (keys->session) {
		rest_request_header(request, "X-Amz-Security-Token", "%s", keys->session);
	}
	rest_request_header(request, "Authorization",
			    "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
			    keys->access_key, credential, names, hash);
	free(text);
	free(credential);
}
