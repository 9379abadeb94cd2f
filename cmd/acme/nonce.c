/*
 * nonce: RFC 8555 s.6.5 and 7.2. Each answer brings a nonce, so requests that
 * run side by side need as many at first: acme_nonces_want() fetches them.
 */
#include "dns01/acme.h"

#include "acme_internal.h"

char *acme_nonce_of(const struct http_response *response)
{
	const char *nonce = response ? acme_header(response, "replay-nonce") : NULL;

	/* RFC 8555 s.6.5.1: what is not base64url is ignored. */
	if (!nonce || strlen(nonce) > NONCE_LEN_MAX || !base64url_is(nonce, strlen(nonce))) {
		return NULL;
	}
	return xstrdup(nonce);
}

void acme_nonce_put(struct acme *acme, char *nonce)
{
	acme->nonces_failed = false;
	if (acme->nonce_count == NONCE_POOL_MAX) {
		free(acme->nonce[0]);
		acme->nonce_count--;
		memmove(acme->nonce, acme->nonce + 1, acme->nonce_count * sizeof(acme->nonce[0]));
	}
	acme->nonce[acme->nonce_count++] = nonce;
}

/* The newest: a CA forgets the oldest first. */
char *acme_nonce_take(struct acme *acme)
{
	return acme->nonce_count ? acme->nonce[--acme->nonce_count] : NULL;
}

void acme_nonces_clear(struct acme *acme)
{
	char *nonce;

	while ((nonce = acme_nonce_take(acme))) {
		free(nonce);
	}
}

/* The nonce itself was put into the pool when the answer arrived. */
static void on_nonce(void *arg, const struct err *err, const struct acme_reply *reply)
{
	struct acme *acme = arg;
	struct err failure = { 0 };
	char *nonce = acme_nonce_of(reply->http);

	acme->nonces_coming--;
	if (err) {
		failure = *err;
	} else if (!nonce) {
		err_set(&failure, ERR_PROTOCOL, acme->host,
			"the CA answered newNonce without a valid Replay-Nonce header");
	}
	free(nonce);
	if (failure.code != ERR_NONE) {
		log_debug("%s: no nonce: %s", acme->host, failure.text);
		acme->nonces_failed = acme->nonces_coming > 0;
		if (acme->nonces_coming == 0 && acme->nonce_count == 0) {
			acme_requests_without_nonce(acme, &failure);
		}
	}
	acme_requests_pump(acme);
}

void acme_nonces_want(struct acme *acme, size_t count)
{
	/* RFC 8555 s.7.2 */
	const struct acme_request_args args = {
		.method = "HEAD",
		.url = acme->directory.new_nonce,
		.task = "give a nonce",
		.repeatable = true,
		.done = on_nonce,
		.arg = acme,
	};

	while (acme->nonce_count + acme->nonces_coming < count) {
		acme->nonces_coming++;
		acme_request_start(acme, &args);
	}
}
