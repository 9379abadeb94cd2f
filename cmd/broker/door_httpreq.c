/*
 * door_httpreq: the protocol of lego's httpreq and of acmeproxy.
 *
 * Three readers judge an answer: lego takes any 2xx; acme.sh's acmeproxy wants the value, quoted,
 * in the body, whatever the status; Caddy's wants exactly 200 and fqdn and value as it
 * sent them. So success is 200 with what was sent, and a failure never quotes the value.
 */
#include "internal.h"

/* As lego (keyAuth) and acmeproxy (keyauth) write it. */
static const char *key_authorization(const struct json *body)
{
	const char *text = json_str(body, "keyAuth");

	return text ? text : json_str(body, "keyauth");
}

struct wanted {
	const char *name;  /* RAW mode: the identifier */
	const char *owner; /* else the effective owner name */
	const char *value;
	char digest[BASE64URL_LEN(SHA256_LEN)];
	struct json *echo;
};

static bool read_body(const struct json *body, struct wanted *out)
{
	const char *key = key_authorization(body);
	uint8_t hash[SHA256_LEN];

	*out = (struct wanted){ .owner = json_str(body, "fqdn"), .value = json_str(body, "value") };
	if (out->owner && out->value) {
		out->echo = json_object();
		json_set_str(out->echo, "fqdn", out->owner);
		json_set_str(out->echo, "value", out->value);
		return true;
	}
	out->owner = NULL;
	out->name = json_str(body, "domain");
	if (!out->name || !key) {
		return false;
	}
	sha256(key, strlen(key), hash);
	base64url_encode(out->digest, sizeof(out->digest), hash, sizeof(hash));
	out->value = out->digest;
	out->echo = json_object();
	json_set_str(out->echo, "domain", out->name);
	json_set_str(out->echo, "token", json_str(body, "token"));
	json_set_str(out->echo, "keyauth", key);
	return true;
}

static void serve(struct visit *visit, const struct json *body, bool present)
{
	struct broker *broker = visit->broker;
	struct wanted wanted;
	struct err err;

	if (!read_body(body, &wanted)) {
		err_set(&err, ERR_USAGE, "",
			"write {\"fqdn\": ..., \"value\": ...}, or in RAW mode {\"domain\": ..., "
			"\"token\": ..., \"keyAuth\": ...}");
		audit_nonsense(visit, "httpreq", present ? "publish" : "remove", &err);
		answer_error_text(broker, visit->exchange, 400, err.text);
		return;
	}
	if (present) {
		single_begin(visit,
			     &(struct claim_request){ .door = "httpreq",
						      .name = wanted.name,
						      .owner = wanted.owner,
						      .value = wanted.value },
			     wanted.echo);
		return;
	}
	audit_write(broker, &(struct audit){ .door = "httpreq",
					     .action = "remove",
					     .who = visit->who,
					     .name = wanted.name,
					     .owner = wanted.owner,
					     .value = wanted.value,
					     .verdict = "granted" });
	/* A value is a digest of its own challenge, and only this client's are looked at. */
	claim_leave_matching(broker, visit->who->grant->name, NULL, wanted.value);
	answer_json(broker, visit->exchange, 200, wanted.echo);
}

bool door_httpreq(struct visit *visit)
{
	const char *path = visit->request->path;
	struct broker *broker = visit->broker;
	struct json *body = NULL;
	struct err err;
	bool present;

	path += strncmp(path, "/httpreq/", 9) == 0 ? 8 : 0;
	present = strcmp(path, "/present") == 0;
	if (!present && strcmp(path, "/cleanup") != 0) {
		return false;
	}
	if (strcmp(visit->request->method, "POST") != 0) {
		answer_error_text(broker, visit->exchange, 405, "this is for POST");
	} else if (!visit_identify(visit, &err)) {
		audit_unknown(visit, "httpreq", &err);
		answer_error_text(broker, visit->exchange, 401, err.text);
	} else if (json_parse(visit->request->body, visit->request->body_len, &body, &err) !=
		   ERR_NONE) {
		audit_nonsense(visit, "httpreq", present ? "publish" : "remove", &err);
		answer_error_text(broker, visit->exchange, 400, err.text);
	} else {
		serve(visit, body, present);
	}
	json_free(body);
	return true;
}
