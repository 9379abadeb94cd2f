/*
 * google_account: a service account's key as Google gives it, in JSON. What it signs says who asks,
 * for what, of whom, and until when (RFC 7523); a token is given for that.
 */
#include "dns01/rest.h"

#include "dns01/crypto.h"

#define GRANT "urn:ietf:params:oauth:grant-type:jwt-bearer"
#define ASSERTION_S 3600

struct google_account {
	struct key *key;
	char *email, *key_id, *project;
};

void google_account_free(struct google_account *account)
{
	if (account) {
		key_free(account->key);
		free(account->email);
		free(account->key_id);
		free(account->project);
		free(account);
	}
}

const char *google_account_project(const struct google_account *account)
{
	return account ? account->project : NULL;
}

static enum err_code take(struct google_account *account, const struct json *json, struct err *err)
{
	const char *pem = json_str(json, "private_key");

	if (!pem || !json_str(json, "client_email")) {
		return err_set(
			err, ERR_CONFIG, "google",
			"the key is not a service account's: it lacks private_key or "
			"client_email; make one in JSON by `gcloud iam service-accounts keys "
			"create`");
	}
	account->email = xstrdup(json_str(json, "client_email"));
	account->key_id = xstrdup(json_str(json, "private_key_id"));
	account->project = xstrdup(json_str(json, "project_id"));
	return key_parse_pem(pem, strlen(pem), "the service account for google", &account->key,
			     err);
}

enum err_code google_account_parse(const char *text, struct google_account **out, struct err *err)
{
	struct google_account *account;
	struct json *json = NULL;
	enum err_code code;

	if (json_parse(text, strlen(text), &json, NULL) != ERR_NONE) {
		return err_set(err, ERR_CONFIG, "google",
			       "the service account's key is no JSON; give the file as Google "
			       "made it");
	}
	account = xcalloc(1, sizeof(*account));
	code = take(account, json, err);
	json_free(json);
	if (code != ERR_NONE) {
		google_account_free(account);
		return code;
	}
	*out = account;
	return ERR_NONE;
}

static char *assertion(const struct google_account *account, const struct rest_walk *walk,
		       const char *url, const char *scope)
{
	int64_t now_s = world_wall_s(rest_world(walk->rest));
	struct json *header = json_object(), *claims = json_object();
	char *header_text, *claims_text, *jwt;

	json_set_str(header, "alg", key_jws_alg(account->key));
	json_set_str(header, "typ", "JWT");
	json_set_str(header, "kid", account->key_id);
	json_set_str(claims, "iss", account->email);
	json_set_str(claims, "scope", scope);
	json_set_str(claims, "aud", url);
	json_set_int(claims, "iat", now_s);
	json_set_int(claims, "exp", now_s + ASSERTION_S);
	header_text = json_dump(header);
	claims_text = json_dump(claims);
	jwt = jwt_sign(account->key, header_text, claims_text);
	free(header_text);
	free(claims_text);
	json_free(header);
	json_free(claims);
	return jwt;
}

enum rest_next google_account_ask(const struct google_account *account, struct rest_walk *walk,
				  const char *url, const char *scope)
{
	char *jwt = assertion(account, walk, url, scope);
	enum rest_next next;

	rest_hide(walk->rest, jwt);
	next = rest_ask_token(walk, url,
			      (const char *const[][2]){ { "grant_type", GRANT },
							{ "assertion", jwt },
							{ NULL, NULL } });
	wipe_str(jwt);
	return next;
}
