/* The dialects of the clients that call hooks, as their own sources have them. */
#include "hook.h"

#define DNS01_TYPE "dns-01"

void hook_request_clear(struct hook_request *request)
{
	strlist_clear(&request->names);
	strlist_clear(&request->values);
	strlist_clear(&request->run);
}

static void add(struct hook_request *request, const char *name, const char *value)
{
	strlist_add(&request->names, name);
	if (value) {
		strlist_add(&request->values, value);
	}
}

static enum err_code bad_call(const char *client, struct err *err)
{
	return err_set(err, ERR_USAGE, "", "%s calls its hook as: %s", client,
		       hook_client_find(client)->usage);
}

/* A name for each of its variables; older ones know the second alone. */
static const char *environment(const char *name, const char *older)
{
	const char *text = getenv(name);

	return text && text[0] ? text : getenv(older);
}

static void split(const char *text, struct strlist *out)
{
	while (text && *text) {
		size_t len = strcspn(text, ",");
		char *item = xstrndup(text, len);

		if (len > 0 && !strlist_has(out, item)) {
			strlist_add(out, item);
		}
		free(item);
		text += len + (text[len] == ',');
	}
}

/* certbot answers the challenges whatever we exit with, and waits for nothing. */
static enum err_code read_certbot(int count, char **arguments, struct hook_request *out,
				  struct err *err)
{
	const char *name = environment("CERTBOT_IDENTIFIER", "CERTBOT_DOMAIN");
	const char *value = getenv("CERTBOT_VALIDATION");
	const char *remaining = getenv("CERTBOT_REMAINING_CHALLENGES");
	uint64_t left = 0;

	if (count != 1 || !name || !value) {
		return bad_call("certbot", err);
	}
	add(out, name, value);
	if (strcmp(arguments[0], "cleanup") == 0) {
		out->action = HOOK_LET_GO;
		return ERR_NONE;
	}
	if (strcmp(arguments[0], "auth") != 0 ||
	    (remaining && !text_parse_u64(remaining, UINT32_MAX, &left))) {
		return bad_call("certbot", err);
	}
	out->action = HOOK_HOLD;
	out->more = left > 0;
	out->wait = left == 0;
	split(environment("CERTBOT_ALL_IDENTIFIERS", "CERTBOT_ALL_DOMAINS"), &out->run);
	return ERR_NONE;
}

/* Other verbs, known or not, are none of our business: it must hear 0 and read nothing. */
static enum err_code read_dehydrated(int count, char **arguments, struct hook_request *out,
				     struct err *err)
{
	bool deploy = count > 0 && strcmp(arguments[0], "deploy_challenge") == 0;
	bool clean = count > 0 && strcmp(arguments[0], "clean_challenge") == 0;

	if (!deploy && !clean) {
		return ERR_NONE;
	}
	if (count == 1 || (count - 1) % 3 != 0) {
		return bad_call("dehydrated", err);
	}
	for (int i = 1; i < count; i += 3) {
		add(out, arguments[i], arguments[i + 2]);
	}
	out->action = deploy ? HOOK_HOLD : HOOK_LET_GO;
	out->wait = true;
	return ERR_NONE;
}

/* Verb, name, value: publishing is said by one verb, retracting by the other. */
static enum err_code read_three(const char *client, const char *const verbs_of_client[2],
				char **arguments, struct hook_request *out, struct err *err)
{
	if (strcmp(arguments[0], verbs_of_client[0]) == 0) {
		out->action = HOOK_HOLD;
	} else if (strcmp(arguments[0], verbs_of_client[1]) == 0) {
		out->action = HOOK_LET_GO;
	} else {
		return bad_call(client, err);
	}
	add(out, arguments[1], arguments[2]);
	return ERR_NONE;
}

/* It resolves aliases and waits by itself. */
static enum err_code read_acme_sh(int count, char **arguments, struct hook_request *out,
				  struct err *err)
{
	static const char *const two[] = { "add", "rm" };

	out->final = true;
	return count == 3 ? read_three("acme.sh", two, arguments, out, err)
			  : bad_call("acme.sh", err);
}

/* EXEC_MODE=RAW: present -- DOMAIN TOKEN KEYAUTH; the value is ours to make (RFC 8555 s.8.4). */
static enum err_code read_lego_raw(char **arguments, struct hook_request *out, struct err *err)
{
	static const char *const two[] = { "present", "cleanup" };
	uint8_t digest[SHA256_LEN];
	char value[BASE64URL_LEN(SHA256_LEN)];
	char *three[] = { arguments[0], arguments[2], value };

	sha256(arguments[4], strlen(arguments[4]), digest);
	base64url_encode(value, sizeof(value), digest, sizeof(digest));
	return read_three("lego", two, three, out, err);
}

static enum err_code read_lego(int count, char **arguments, struct hook_request *out,
			       struct err *err)
{
	static const char *const two[] = { "present", "cleanup" };

	if (count > 1 && strcmp(arguments[1], "--") == 0) {
		return count == 5 ? read_lego_raw(arguments, out, err) : bad_call("lego", err);
	}
	out->final = true;
	return count == 3 ? read_three("lego", two, arguments, out, err) : bad_call("lego", err);
}

/* Another challenge type is declined with 1, and uacme offers the next. */
static enum err_code read_uacme(int count, char **arguments, struct hook_request *out,
				struct err *err)
{
	bool begin = count == 5 && strcmp(arguments[0], "begin") == 0;
	bool end = count == 5 &&
		   (strcmp(arguments[0], "done") == 0 || strcmp(arguments[0], "failed") == 0);

	if (!begin && !end) {
		return bad_call("uacme", err);
	}
	if (strcmp(arguments[1], DNS01_TYPE) != 0) {
		out->status = begin ? 1 : 0;
		return ERR_NONE;
	}
	out->action = begin ? HOOK_HOLD : HOOK_LET_GO;
	out->wait = true;
	add(out, arguments[2], arguments[4]);
	return ERR_NONE;
}

static enum err_code read_getssl(int count, char **arguments, struct hook_request *out,
				 struct err *err)
{
	static const char *const two[] = { "add", "del" };

	return count == 3 ? read_three("getssl", two, arguments, out, err)
			  : bad_call("getssl", err);
}

/* Its first version tears down without a value. */
static enum err_code read_mod_md(int count, char **arguments, struct hook_request *out,
				 struct err *err)
{
	bool setup = count == 3 && strcmp(arguments[0], "setup") == 0;
	bool teardown = (count == 2 || count == 3) && strcmp(arguments[0], "teardown") == 0;

	if (!setup && !teardown) {
		return bad_call("mod_md", err);
	}
	out->action = setup ? HOOK_HOLD : HOOK_LET_GO;
	out->wait = true;
	add(out, arguments[1], count == 3 ? arguments[2] : NULL);
	return ERR_NONE;
}

static const struct hook_client clients[] = {
	{ "certbot", "auth | cleanup, with CERTBOT_DOMAIN and CERTBOT_VALIDATION set",
	  read_certbot },
	{ "dehydrated", "deploy_challenge | clean_challenge DOMAIN FILE VALUE ...",
	  read_dehydrated },
	{ "acme.sh", "add | rm OWNER VALUE", read_acme_sh },
	{ "lego", "present | cleanup OWNER VALUE, or present | cleanup -- DOMAIN TOKEN KEYAUTH",
	  read_lego },
	{ "uacme", "begin | done | failed TYPE IDENT TOKEN AUTH", read_uacme },
	{ "getssl", "add | del DOMAIN VALUE", read_getssl },
	{ "mod_md", "setup DOMAIN VALUE | teardown DOMAIN [VALUE]", read_mod_md },
};

const struct hook_client *hook_client_at(size_t index)
{
	return index < ARRAY_LEN(clients) ? &clients[index] : NULL;
}

const struct hook_client *hook_client_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		if (strcmp(clients[i].name, name) == 0) {
			return &clients[i];
		}
	}
	return NULL;
}
