/*
 * revoke: the end of a certificate before its time (RFC 8555 s.7.6).
 */
#include "dns01/acme.h"

#include <strings.h>

#include "acme_internal.h"

/* RFC 5280 s.5.3.1; those that a subscriber may give by the CAs' rules. */
static const struct {
	const char *name;
	int code;
} reasons[] = {
	{ "unspecified", 0 }, { "keyCompromise", 1 },        { "affiliationChanged", 3 },
	{ "superseded", 4 },  { "cessationOfOperation", 5 },
};

bool acme_reason_parse(const char *name, int *out)
{
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (strcasecmp(name, reasons[i].name) == 0) {
			*out = reasons[i].code;
			return true;
		}
	}
	return false;
}

static void on_revoked(void *arg, const struct err *err, const struct acme_reply *reply)
{
	struct acme_call *call = arg;
	struct err failure = { 0 };

	(void)reply;
	if (err && acme_problem_is(err, "alreadyRevoked")) {
		log_info("%s: the certificate was revoked before", call->acme->host);
	} else if (err) {
		failure = *err;
	}
	acme_call_finish(call, &failure);
}

/* Gives. */
static char *payload_of(const struct acme_revocation *args)
{
	struct json *object = json_object();
	struct buf der;
	size_t size;
	char *text;

	chain_leaf_der(args->chain, &der);
	size = BASE64URL_LEN(der.len);
	text = xmalloc(size);
	base64url_encode(text, size, der.data, der.len);
	json_set_str(object, "certificate", text);
	/* RFC 5280 s.5.3.1: unspecified is better left out. */
	if (args->reason > 0) {
		json_set_int(object, "reason", args->reason);
	}
	free(text);
	text = json_dump(object);
	buf_clear(&der);
	json_free(object);
	return text;
}

struct acme_call *acme_revoke_start(struct acme *acme, const struct acme_revocation *args,
				    acme_done *done, void *arg)
{
	struct acme_call *call;
	struct err err;
	enum err_code code = acme_ready(acme, !args->cert_key, &err);
	char *payload;

	if (code == ERR_NONE && !acme->directory.revoke_cert) {
		code = err_set(&err, ERR_NOT_FOUND, acme->host,
			       "the CA takes no revocations (its directory has no revokeCert)");
	}
	if (code != ERR_NONE) {
		return acme_call_refused(acme, &err, done, arg);
	}
	call = xcalloc(1, sizeof(*call));
	acme_call_init(call, acme, done, arg);
	payload = payload_of(args);
	/* Repeatable: the second time it is revoked already. */
	acme_request_start(acme, &(struct acme_request_args){
					 .call = call,
					 .url = acme->directory.revoke_cert,
					 .payload = payload,
					 .task = "revoke the certificate",
					 .by_key = args->cert_key != NULL,
					 .key = args->cert_key,
					 .repeatable = true,
					 .silent = true,
					 .done = on_revoked,
					 .arg = call,
				 });
	free(payload);
	return call;
}
