/*
 * certificate: RFC 8555 s.7.4.2. What the text holds is for chain_parse().
 */
#include "dns01/acme.h"

#include <strings.h>

#include "acme_internal.h"

static const char media_type[] = "application/pem-certificate-chain";

struct download_call {
	struct acme_call call;
	struct acme_order *order; /* NULL: an alternate */
	struct buf *out;
};

/* RFC 8555 s.7.4.2. One that cannot be fetched is no reason to refuse the certificate. */
static void take_alternates(struct download_call *self, const struct http_response *response)
{
	struct strlist *out = &self->order->alternates;
	struct strlist found = { 0 };
	char quoted[80];

	acme_links(response, "alternate", ACME_ALTERNATES_MAX, &found);
	strlist_clear(out);
	for (size_t i = 0; i < found.count; i++) {
		const char *url = found.item[i];

		if (!acme_url_is(url)) {
			text_escape(quoted, sizeof(quoted), url, strlen(url));
			log_warn("%s: the CA offers another chain at \"%s\", which is no valid "
				 "https URL; it is left out",
				 self->call.acme->host, quoted);
		} else if (!strlist_has(out, url)) {
			strlist_add(out, url);
		}
	}
	strlist_clear(&found);
}

static void take(struct download_call *self, const struct http_response *response, struct err *err)
{
	const char *type = acme_header(response, "content-type");
	const char *host = self->call.acme->host;

	/* Parameters may follow; a CA that names no type is believed. */
	if (type && strncasecmp(type, media_type, sizeof(media_type) - 1) != 0) {
		char quoted[80];

		text_escape(quoted, sizeof(quoted), type, strlen(type));
		err_set(err, ERR_PROTOCOL, host,
			"asked for the certificate, the CA sent \"%s\" instead of %s", quoted,
			media_type);
		return;
	}
	if (response->body_len == 0) {
		err_set(err, ERR_PROTOCOL, host, "asked for the certificate, the CA sent nothing");
		return;
	}
	buf_add(self->out, response->body, response->body_len);
	if (self->out->overflow) {
		err_set(err, ERR_LIMIT, host, "the certificate's chain is larger than %zu octets",
			self->out->max);
	} else if (self->order) {
		take_alternates(self, response);
	}
}

static void on_certificate(void *arg, const struct err *err, const struct acme_reply *reply)
{
	struct download_call *self = arg;
	struct err failure = { 0 };

	if (err) {
		failure = *err;
	} else {
		take(self, reply->http, &failure);
	}
	acme_call_finish(&self->call, &failure);
}

static struct download_call *download(struct acme *acme, const char *url, struct buf *out,
				      acme_done *done, void *arg)
{
	struct download_call *self = xcalloc(1, sizeof(*self));

	acme_call_init(&self->call, acme, done, arg);
	self->out = out;
	acme_request_start(acme, &(struct acme_request_args){
					 .call = &self->call,
					 .url = url,
					 .payload = "",
					 .task = "give the certificate",
					 .repeatable = true,
					 .text = true,
					 .done = on_certificate,
					 .arg = self,
				 });
	return self;
}

struct acme_call *acme_download_start(struct acme *acme, struct acme_order *order, struct buf *out,
				      acme_done *done, void *arg)
{
	struct download_call *self;
	struct err err;

	if (acme_ready(acme, true, &err) != ERR_NONE) {
		return acme_call_refused(acme, &err, done, arg);
	}
	if (order->status != ACME_VALID || !order->certificate_url) {
		err_set(&err, ERR_INTERNAL, acme->host,
			"the order is %s, so there is no certificate to fetch yet",
			acme_status_name(order->status));
		return acme_call_refused(acme, &err, done, arg);
	}
	self = download(acme, order->certificate_url, out, done, arg);
	self->order = order;
	return &self->call;
}

struct acme_call *acme_alternate_start(struct acme *acme, const char *url, struct buf *out,
				       acme_done *done, void *arg)
{
	struct err err;

	if (acme_ready(acme, true, &err) != ERR_NONE) {
		return acme_call_refused(acme, &err, done, arg);
	}
	if (!acme_url_is(url)) {
		err_set(&err, ERR_INTERNAL, acme->host, "the alternate chain has no https URL");
		return acme_call_refused(acme, &err, done, arg);
	}
	return &download(acme, url, out, done, arg)->call;
}
