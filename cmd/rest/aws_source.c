/*
 * aws_source: where AWS keys come from, the first of these that there is:
 *
 *   SET        access_key_id and secret_access_key, or the variables of AWS's tools
 *   FILE       a profile of the credentials file
 *   CONTAINER  what $AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI names
 *   MACHINE    the instance's metadata (IMDSv2): a session, the role's name, its keys
 *
 * Those of the last two are temporary, and asked for again before they expire.
 */
#include "internal.h"

#include <stdlib.h>

#define FILE_MAX (256 * 1024)
#define STATIC_S 3600
#define SESSION_S "21600" /* of the metadata's own session */
#define NAME_MAX_LEN 256

enum source_kind { SOURCE_SET, SOURCE_FILE, SOURCE_CONTAINER, SOURCE_MACHINE };

struct aws_source {
	enum source_kind kind;
	struct aws_keys keys;
	char *session; /* of the metadata server */
};

void aws_source_free(struct aws_source *source)
{
	if (source) {
		aws_keys_clear(&source->keys);
		wipe_str(source->session);
		free(source);
	}
}

const struct aws_keys *aws_source_keys(const struct aws_source *source)
{
	return &source->keys;
}

static const char *variable(const char *name)
{
	const char *text = getenv(name);

	return text && text[0] ? text : NULL;
}

/* ---- the credentials file ------------------------------------------------------------------ */

static char *file_path(void)
{
	const char *path = variable("AWS_SHARED_CREDENTIALS_FILE");
	const char *home = variable("HOME");

	return path ? xstrdup(path) : home ? path_join(home, ".aws/credentials") : NULL;
}

/* The text behind "NAME =", without blanks around it; NULL: another line. Gives. */
static char *value_of(const char *line, size_t len, const char *name)
{
	size_t name_len = strlen(name), start;

	start = strspn(line, " \t");
	if (start + name_len >= len || strncmp(line + start, name, name_len) != 0) {
		return NULL;
	}
	start += name_len;
	start += strspn(line + start, " \t");
	if (start >= len || line[start] != '=') {
		return NULL;
	}
	start++;
	start += strspn(line + start, " \t");
	while (len > start && strchr(" \t\r", line[len - 1])) {
		len--;
	}
	return len > start ? xstrndup(line + start, len - start) : NULL;
}

static void take_value(char **to, char *value)
{
	if (value) {
		wipe_str(*to);
		*to = value;
	}
}

static void read_profile(struct aws_keys *keys, const char *text, const char *profile)
{
	char *head = xasprintf("[%s]", profile);
	bool inside = false;
	size_t len;

	for (const char *at = text; *at; at += len + (at[len] == '\n')) {
		len = strcspn(at, "\n");
		if (*at == '[') {
			inside = strncmp(at, head, strlen(head)) == 0;
		} else if (inside) {
			take_value(&keys->access_key, value_of(at, len, "aws_access_key_id"));
			take_value(&keys->secret_key, value_of(at, len, "aws_secret_access_key"));
			take_value(&keys->session, value_of(at, len, "aws_session_token"));
		}
	}
	free(head);
}

static enum err_code open_file(struct rest *rest, struct aws_source *source, const char *path,
			       struct err *err)
{
	static const char *const variables[] = { "AWS_PROFILE", NULL };
	const char *profile = rest_setting_or(rest, "profile", variables);
	struct aws_keys keys = { .access_key = NULL };
	struct buf text;
	enum err_code code = file_read_secret(path, FILE_MAX, &text, err);

	profile = profile ? profile : "default";
	if (code != ERR_NONE) {
		return code;
	}
	read_profile(&keys, buf_str(&text), profile);
	buf_wipe(&text);
	if (!keys.access_key || !keys.secret_key) {
		aws_keys_clear(&keys);
		return err_set(err, ERR_CONFIG, path,
			       "it has no profile \"%s\" with aws_access_key_id and "
			       "aws_secret_access_key",
			       profile);
	}
	aws_keys_clear(&source->keys);
	source->keys = keys;
	source->kind = SOURCE_FILE;
	rest_hide(rest, source->keys.secret_key);
	rest_hide(rest, source->keys.session);
	return ERR_NONE;
}

/* ---- which it is --------------------------------------------------------------------------- */

static const char *access_key_id(const struct rest *rest)
{
	static const char *const variables[] = { "AWS_ACCESS_KEY_ID", NULL };

	return rest_setting_or(rest, "access_key_id", variables);
}

static bool in_container(void)
{
	return variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") ||
	       variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
}

enum err_code aws_source_open(struct rest *rest, struct aws_source **out, struct err *err)
{
	struct aws_source *source = xcalloc(1, sizeof(*source));
	bool wants_file = rest_setting(rest, "profile") || variable("AWS_PROFILE");
	char *path = file_path();
	enum err_code code = ERR_NONE;

	if (access_key_id(rest) && rest_has_secret(rest, "secret_access_key")) {
		source->kind = SOURCE_SET;
	} else if (access_key_id(rest) || rest_has_secret(rest, "secret_access_key")) {
		code = err_set(err, ERR_CONFIG, rest->api->provider->name,
			       "access_key_id and secret_access_key_file go together; one of "
			       "them is not set");
	} else if (path && (wants_file || access(path, F_OK) == 0)) {
		code = open_file(rest, source, path, err);
	} else {
		source->kind = in_container() ? SOURCE_CONTAINER : SOURCE_MACHINE;
	}
	free(path);
	if (code != ERR_NONE) {
		aws_source_free(source);
		return code;
	}
	rest_account_is(rest, "access key",
			source->kind == SOURCE_SET ? access_key_id(rest) : source->keys.access_key);
	*out = source;
	return ERR_NONE;
}

/* Other keys may stand there by now; a file that cannot be read leaves those that we have. */
static void read_again(struct rest *rest, struct aws_source *source)
{
	char *path = file_path();
	struct err err;

	if (path && open_file(rest, source, path, &err) != ERR_NONE) {
		log_warn("%s: %s", err.subject, err.text);
	}
	free(path);
}

/* ---- temporary keys ------------------------------------------------------------------------ */

static enum rest_next take_keys(struct aws_source *source, struct rest_walk *walk,
				const struct rest_answer *answer)
{
	const char *access_key = json_str(answer->json, "AccessKeyId");
	const char *secret_key = json_str(answer->json, "SecretAccessKey");
	const char *session = json_str(answer->json, "Token");
	const char *expiration = json_str(answer->json, "Expiration");
	int64_t expires_at = 0;

	if (!access_key || !secret_key || !session || !expiration ||
	    !time_parse(expiration, &expires_at)) {
		return rest_lacks(walk, "the keys of the role");
	}
	aws_keys_clear(&source->keys);
	source->keys.access_key = xstrdup(access_key);
	source->keys.secret_key = xstrdup(secret_key);
	source->keys.session = xstrdup(session);
	rest_account_is(walk->rest, "access key", access_key);
	rest_hide(walk->rest, secret_key);
	rest_hide(walk->rest, session);
	rest_token(walk, "", expires_at - world_wall_s(rest_world(walk->rest)));
	return REST_DONE;
}

/* What authorizes us there: the variable, or a file that is written anew now and then. */
static char *container_authorization(void)
{
	const char *path = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	struct buf text = BUF_INIT(REST_SECRET_MAX);
	char *out;

	if (!path) {
		return xstrdup(variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"));
	}
	if (file_read(path, REST_SECRET_MAX, &text, NULL) != ERR_NONE) {
		return NULL;
	}
	out = xstrndup(buf_str(&text), strcspn(buf_str(&text), "\r\n"));
	buf_wipe(&text);
	return out;
}

static enum rest_next ask_container(struct rest_walk *walk)
{
	const char *relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	char *authorization = container_authorization();
	char *url = relative ? xasprintf("%s%s", rest_setting(walk->rest, "container_endpoint"),
					 relative)
			     : xstrdup(variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"));

	rest_ask_at(walk, "GET", url);
	if (authorization) {
		rest_hide(walk->rest, authorization);
		rest_header(walk, "Authorization", authorization);
	}
	wipe_str(authorization);
	free(url);
	return REST_SEND;
}

static void ask_metadata(const struct aws_source *source, struct rest_walk *walk, const char *path)
{
	char *url = xasprintf("%s/latest/meta-data/iam/security-credentials/%s",
			      rest_setting(walk->rest, "metadata_endpoint"), path);

	rest_ask_at(walk, "GET", url);
	rest_header(walk, "X-aws-ec2-metadata-token", source->session);
	free(url);
}

static enum rest_next ask_session(struct rest_walk *walk)
{
	char *url = xasprintf("%s/latest/api/token", rest_setting(walk->rest, "metadata_endpoint"));

	rest_ask_at(walk, "PUT", url);
	rest_header(walk, "X-aws-ec2-metadata-token-ttl-seconds", SESSION_S);
	rest_accept_plain(walk);
	rest_repeatable(walk);
	free(url);
	return REST_SEND;
}

static enum rest_next machine_step(struct aws_source *source, struct rest_walk *walk,
				   const struct rest_answer *answer)
{
	char *role;

	switch (walk->step) {
	case 0:
		return ask_session(walk);
	case 1:
		wipe_str(source->session);
		source->session = xstrndup(answer->body, strcspn(answer->body, "\r\n"));
		rest_hide(walk->rest, source->session);
		ask_metadata(source, walk, "");
		rest_accept_plain(walk);
		return REST_SEND;
	case 2:
		role = xstrndup(answer->body, strcspn(answer->body, "\r\n"));
		if (role[0] == '\0' || strlen(role) > NAME_MAX_LEN || strpbrk(role, "/?# ")) {
			free(role);
			return rest_fail(walk, ERR_CONFIG,
					 "there are no keys, no credentials file, and this "
					 "machine has no role; set access_key_id and "
					 "secret_access_key_file");
		}
		ask_metadata(source, walk, role);
		free(role);
		return REST_SEND;
	default:
		return take_keys(source, walk, answer);
	}
}

enum rest_next aws_source_step(struct aws_source *source, struct rest_walk *walk,
			       const struct rest_answer *answer)
{
	struct rest *rest = walk->rest;

	switch (source->kind) {
	case SOURCE_SET: /* again: a program may print other ones now */
		aws_keys_clear(&source->keys);
		source->keys.access_key = xstrdup(access_key_id(rest));
		source->keys.secret_key = xstrdup(rest_secret(rest, "secret_access_key"));
		source->keys.session = xstrdup(rest_secret(rest, "session_token"));
		break;
	case SOURCE_FILE:
		read_again(rest, source);
		break;
	case SOURCE_CONTAINER:
		return answer ? take_keys(source, walk, answer) : ask_container(walk);
	case SOURCE_MACHINE:
		return machine_step(source, walk, answer);
	}
	rest_token(walk, "", STATIC_S);
	return REST_DONE;
}
