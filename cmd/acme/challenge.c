/*
 * challenge: the dns-01 challenge of an authorization (RFC 8555 s.8.4), found
 * and answered.
 */
#include "dns01/acme.h"

#include "acme_internal.h"

#define CHALLENGES_MAX 64 /* of one authorization */

/* RFC 8555 s.11.3: whatever else it may be, it is never used before this. */
static bool token_is(const char *token)
{
	size_t len = strlen(token);

	return len <= ACME_TOKEN_MAX && base64url_is(token, len);
}

static const struct json *find(const struct json *list)
{
	for (size_t i = 0; i < json_len(list) && i < CHALLENGES_MAX; i++) {
		const struct json *challenge = json_at(list, i);
		const char *type = json_str(challenge, "type");

		if (type && strcmp(type, "dns-01") == 0 && json_str(challenge, "token")) {
			return challenge;
		}
	}
	return NULL;
}

/* The reason stands in the challenge that failed, of whatever type it is. */
static void find_problem(struct acme_authz *authz, const struct json *list)
{
	for (size_t i = 0; i < json_len(list) && i < CHALLENGES_MAX; i++) {
		const struct json *problem = json_get(json_at(list, i), "error");

		if (json_is_object(problem)) {
			acme_problem_parse(problem, &authz->problem);
			err_subject(&authz->problem, "%s", authz->name);
			return;
		}
	}
	err_clear(&authz->problem);
}

static enum err_code challenge_parse(struct acme_authz *authz, const struct json *challenge,
				     const struct key *key, struct err *err)
{
	const char *token = json_str(challenge, "token");
	const char *status = json_str(challenge, "status");
	enum err_code code;

	if (!token_is(token)) {
		return err_set(err, ERR_PROTOCOL, "",
			       "the token of the CA's challenge is not base64url of at most %d "
			       "characters (RFC 8555 s.8.3)",
			       ACME_TOKEN_MAX);
	}
	if (!acme_status_parse(status, &authz->challenge_status)) {
		return err_set(err, ERR_PROTOCOL, "", "the CA's challenge has an unknown status");
	}
	code = acme_url_get(challenge, "url", &authz->challenge_url, err);
	if (code == ERR_NONE) {
		dns01_txt_value(token, key, authz->value);
	}
	return code;
}

enum err_code acme_challenge_find(struct acme_authz *authz, const struct json *list,
				  const struct key *key, struct err *err)
{
	const struct json *challenge = find(list);

	find_problem(authz, list);
	/* A valid authorization has only the challenge that made it so. */
	if (!challenge) {
		free(authz->challenge_url);
		authz->challenge_url = NULL;
		return ERR_NONE;
	}
	return challenge_parse(authz, challenge, key, err);
}

/* ---- answering (RFC 8555 s.7.5.1) ---- */

static const char *respond_url(const struct acme_authz *authz)
{
	bool open = authz->status == ACME_PENDING && authz->challenge_status == ACME_PENDING;

	return open ? authz->challenge_url : NULL;
}

static enum err_code respond_take(const struct acme_each_answer *answer, struct err *err)
{
	const char *status = json_str(answer->reply->json, "status");

	/* The earlier try may have been taken, and then this one is refused: the order
	 * will tell. */
	if (answer->failure && answer->failure->code == ERR_ACME && answer->reply->repeated) {
		log_debug("%s: %s", answer->authz->name, answer->failure->text);
		return ERR_NONE;
	}
	if (answer->failure) {
		*err = *answer->failure;
		return err->code;
	}
	if (!acme_status_parse(status, &answer->authz->challenge_status)) {
		answer->authz->challenge_status = ACME_PROCESSING;
	}
	return ERR_NONE;
}

struct acme_call *acme_respond_start(struct acme *acme, struct acme_order *order, acme_done *done,
				     void *arg)
{
	static const struct acme_each respond = {
		.task = "take the answer to the challenge",
		.payload = "{}",
		.has_effect = true,
		.url = respond_url,
		.take = respond_take,
	};

	return acme_each_start(&(struct acme_each_args){ acme, order, &respond, done, arg });
}
