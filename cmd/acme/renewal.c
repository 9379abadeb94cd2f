/*
 * renewal: when the CA wants a certificate renewed (ARI, RFC 9773 s.4), and what a failure to
 * learn it means.
 */
#include "dns01/acme.h"

#include <strings.h>

#include "acme_internal.h"

/* RFC 9773 s.4.3: the client may bound what the server says. */
#define ASK_AGAIN_MIN_S 60
#define ASK_AGAIN_MAX_S ((int64_t)24 * 3600)
#define ASK_AGAIN_S ((int64_t)6 * 3600) /* s.4.3.3: where nothing was said */
#define EXPLANATION_MAX 512             /* octets, escaped */

struct renewal_call {
	struct acme_call call;
	struct acme_renewal_info *out;
};

void acme_renewal_info_clear(struct acme_renewal_info *info)
{
	free(info->explanation);
	*info = (struct acme_renewal_info){ 0 };
}

bool acme_passing(const struct err *err)
{
	return err->code == ERR_NETWORK || err->code == ERR_TIMEOUT;
}

static int64_t ask_again_s(int64_t retry_after_s)
{
	if (retry_after_s < 0) {
		return ASK_AGAIN_S;
	}
	if (retry_after_s < ASK_AGAIN_MIN_S) {
		return ASK_AGAIN_MIN_S;
	}
	return retry_after_s < ASK_AGAIN_MAX_S ? retry_after_s : ASK_AGAIN_MAX_S;
}

/* It is shown to people, who may follow it: what is no URL of the web is not shown. Gives. */
static char *explanation_of(const struct json *json)
{
	const char *url = json_str(json, "explanationURL");
	char *quoted;

	if (!url || strlen(url) >= EXPLANATION_MAX ||
	    (strncasecmp(url, "https://", 8) != 0 && strncasecmp(url, "http://", 7) != 0)) {
		return NULL;
	}
	quoted = xmalloc(EXPLANATION_MAX);
	text_escape(quoted, EXPLANATION_MAX, url, strlen(url));
	return quoted;
}

/* RFC 9773 s.4.2 */
static enum err_code take(struct renewal_call *self, const struct acme_reply *reply,
			  struct err *err)
{
	const char *host = self->call.acme->host;
	const struct json *window = json_get(reply->json, "suggestedWindow");
	const char *start = json_str(window, "start");
	const char *end = json_str(window, "end");
	struct acme_renewal_info info = { 0 };

	if (!start || !end || !time_parse(start, &info.start) || !time_parse(end, &info.end)) {
		return err_set(err, ERR_PROTOCOL, host,
			       "asked when to renew, the CA named no window of time");
	}
	/* s.4.2: such a window is no answer. */
	if (info.end <= info.start) {
		return err_set(err, ERR_PROTOCOL, host,
			       "asked when to renew, the CA named a window that ends before it "
			       "begins");
	}
	info.explanation = explanation_of(reply->json);
	info.retry_after_s = ask_again_s(reply->retry_after_s);
	acme_renewal_info_clear(self->out);
	*self->out = info;
	return ERR_NONE;
}

static void on_renewal_info(void *arg, const struct err *err, const struct acme_reply *reply)
{
	struct renewal_call *self = arg;
	struct err failure = { 0 };

	if (err) {
		failure = *err;
	} else if (take(self, reply, &failure) != ERR_NONE) {
		log_debug("%s: renewalInfo: %s", failure.subject, failure.text);
	}
	acme_call_finish(&self->call, &failure);
}

/* s.4.1: base64url, one dot, base64url. */
static bool cert_id_is(const char *text)
{
	size_t dot = strcspn(text, ".");

	return text[dot] && base64url_is(text, dot) &&
	       base64url_is(text + dot + 1, strlen(text + dot + 1));
}

/* The directory's URL with the certificate behind it, whether it ends in a slash or not; gives. */
static char *url_of(const char *renewal_info, const char *cert_id)
{
	size_t len = strlen(renewal_info);

	return xasprintf("%s%s%s", renewal_info, renewal_info[len - 1] == '/' ? "" : "/", cert_id);
}

struct acme_call *acme_renewal_info_start(struct acme *acme, const char *cert_id,
					  struct acme_renewal_info *out, acme_done *done, void *arg)
{
	struct renewal_call *self;
	struct err err;
	char *url;

	if (acme_ready(acme, false, &err) != ERR_NONE) {
		return acme_call_refused(acme, &err, done, arg);
	}
	if (!acme->directory.renewal_info) {
		err_set(&err, ERR_NOT_FOUND, acme->host,
			"the CA does not say when to renew (its directory has no renewalInfo)");
		return acme_call_refused(acme, &err, done, arg);
	}
	if (!cert_id_is(cert_id)) {
		err_set(&err, ERR_INTERNAL, acme->host, "\"%s\" is no certificate's identifier",
			cert_id);
		return acme_call_refused(acme, &err, done, arg);
	}
	self = xcalloc(1, sizeof(*self));
	acme_call_init(&self->call, acme, done, arg);
	self->out = out;
	url = url_of(acme->directory.renewal_info, cert_id);
	acme_request_start(acme, &(struct acme_request_args){
					 .call = &self->call,
					 .method = "GET",
					 .url = url,
					 .task = "say when to renew",
					 .repeatable = true,
					 .done = on_renewal_info,
					 .arg = self,
				 });
	free(url);
	return &self->call;
}
