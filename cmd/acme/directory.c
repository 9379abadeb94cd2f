/*
 * directory: RFC 8555 s.7.1.1, with renewalInfo (RFC 9773) and profiles.
 */
#include "dns01/acme.h"

#include <strings.h>

#include "acme_internal.h"

#define PROFILES_MAX 64
#define CAA_IDENTITIES_MAX 64

static const struct directory_url {
	const char *field;
	size_t offset;
	bool required;
} urls[] = {
	{ "newNonce", offsetof(struct acme_directory, new_nonce), true },
	{ "newAccount", offsetof(struct acme_directory, new_account), true },
	{ "newOrder", offsetof(struct acme_directory, new_order), true },
	{ "revokeCert", offsetof(struct acme_directory, revoke_cert), false },
	{ "keyChange", offsetof(struct acme_directory, key_change), false },
	{ "renewalInfo", offsetof(struct acme_directory, renewal_info), false },
};

void acme_directory_clear(struct acme *acme)
{
	strlist_clear(&acme->directory.profiles);
	strlist_clear(&acme->directory.caa_identities);
	strlist_clear(&acme->directory_text);
	acme->directory = (struct acme_directory){ 0 };
	acme->directory_known = false;
}

/* Takes text, which lives as long as the directory. */
static const char *keep(struct acme *acme, char *text)
{
	strlist_take(&acme->directory_text, text);
	return text;
}

/* For people only, so any scheme goes (Pebble's terms are a data: URL). */
static const char *keep_words(struct acme *acme, const struct json *meta, const char *field)
{
	const char *text = json_str(meta, field);
	char *quoted;

	if (!text || !*text) {
		return NULL;
	}
	quoted = xmalloc(ACME_URL_MAX);
	text_escape(quoted, ACME_URL_MAX, text, strlen(text));
	return keep(acme, quoted);
}

bool acme_word_is(const char *text)
{
	size_t len = text ? strlen(text) : 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] <= ' ' || text[i] > '~') {
			return false;
		}
	}
	return len > 0 && len <= ACME_WORD_MAX;
}

static void add_word(struct strlist *list, const char *word)
{
	if (acme_word_is(word)) {
		strlist_add(list, word);
	}
}

static void parse_meta(struct acme *acme, const struct json *meta)
{
	struct acme_directory *directory = &acme->directory;
	const struct json *profiles = json_get(meta, "profiles");
	const struct json *identities = json_get(meta, "caaIdentities");
	const struct json *value;
	const char *name;

	directory->terms_of_service = keep_words(acme, meta, "termsOfService");
	directory->website = keep_words(acme, meta, "website");
	directory->external_account_required = json_bool(meta, "externalAccountRequired", false);
	for (size_t i = 0; i < PROFILES_MAX && json_member(profiles, i, &name, &value); i++) {
		add_word(&directory->profiles, name);
	}
	for (size_t i = 0; i < CAA_IDENTITIES_MAX && i < json_len(identities); i++) {
		add_word(&directory->caa_identities, json_text(json_at(identities, i)));
	}
}

static bool same_host(const char *a, const char *b)
{
	char *host_a = acme_url_host(a);
	char *host_b = acme_url_host(b);
	bool same = strcasecmp(host_a, host_b) == 0;

	free(host_a);
	free(host_b);
	return same;
}

/*
 * An account lives where it was made. Where the directory, read from its old place, now sends
 * its orders to a host that is neither, the CA has moved, or it is not the CA that speaks.
 */
static enum err_code check_place(const struct acme *acme, struct err *err)
{
	const char *new_order = acme->directory.new_order;
	enum err_code code = ERR_NONE;
	char *there;

	if (!acme->account_url || same_host(new_order, acme->account_url) ||
	    same_host(new_order, acme->directory_url)) {
		return ERR_NONE;
	}
	there = acme_url_host(new_order);
	code = err_set(err, ERR_PROTOCOL, acme->host,
		       "the CA's directory sends orders to %s, and the account was made at %s: "
		       "nothing is sent there. If the CA has moved, give its new directory an "
		       "account of its own",
		       there, acme->account_url);
	free(there);
	return code;
}

/* Unknown members are ignored: Boulder adds a random one on purpose. */
static enum err_code directory_parse(struct acme *acme, const struct json *json, struct err *err)
{
	if (!json_is_object(json)) {
		return err_set(err, ERR_PROTOCOL, acme->host,
			       "what stands at %s is not an ACME directory", acme->directory_url);
	}
	acme_directory_clear(acme);
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		const struct directory_url *row = &urls[i];
		char *url = NULL;
		enum err_code code;

		if (!row->required && !json_get(json, row->field)) {
			continue;
		}
		code = acme_url_get(json, row->field, &url, err);
		if (code != ERR_NONE) {
			return err_subject(err, "%s", acme->host);
		}
		*(const char **)((char *)&acme->directory + row->offset) = keep(acme, url);
	}
	parse_meta(acme, json_get(json, "meta"));
	acme->directory_known = check_place(acme, err) == ERR_NONE;
	return acme->directory_known ? ERR_NONE : err->code;
}

static void on_directory(void *arg, const struct err *err, const struct acme_reply *reply)
{
	struct acme_call *call = arg;
	struct err failure = { 0 };

	if (err) {
		failure = *err;
	} else if (directory_parse(call->acme, reply->json, &failure) == ERR_NONE) {
		acme_nonces_want(call->acme, 1);
	}
	acme_call_finish(call, &failure);
}

struct acme_call *acme_directory_start(struct acme *acme, acme_done *done, void *arg)
{
	struct acme_call *call;
	struct err err;

	if (!acme_url_is(acme->directory_url)) {
		err_set(&err, ERR_CONFIG, acme->host,
			"the CA's directory must be an https URL, this is none: \"%s\"",
			acme->directory_url);
		return acme_call_refused(acme, &err, done, arg);
	}
	call = xcalloc(1, sizeof(*call));
	acme_call_init(call, acme, done, arg);
	acme_request_start(acme, &(struct acme_request_args){
					 .call = call,
					 .method = "GET",
					 .url = acme->directory_url,
					 .task = "show its directory",
					 .repeatable = true,
					 .done = on_directory,
					 .arg = call,
				 });
	return call;
}
