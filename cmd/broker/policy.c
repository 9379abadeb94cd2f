/* policy: who may publish what. No input but the arguments; the default is to refuse. */
#include "dns01/broker.h"

#include <assert.h>
#include <ctype.h>

#define CHALLENGE "_acme-challenge."

static const char *const rule_names[] = {
	[POLICY_GRANTED] = "granted",   [POLICY_NETWORK] = "network",     [POLICY_ROLE] = "role",
	[POLICY_VIEW] = "view",         [POLICY_VALUE] = "value",         [POLICY_NAME] = "name",
	[POLICY_EXCEPT] = "except",     [POLICY_UNGRANTED] = "ungranted", [POLICY_ALIAS] = "alias",
	[POLICY_WILDCARD] = "wildcard",
};
static_assert(ARRAY_LEN(rule_names) == POLICY_RULE_COUNT, "a name for each rule");

const char *policy_rule_name(enum policy_rule rule)
{
	return rule < POLICY_RULE_COUNT ? rule_names[rule] : "?";
}

static enum policy_rule refuse(enum policy_rule rule, const struct policy_client *client,
			       struct err *err, const char *fmt, ...) PRINTF_LIKE(4, 5);

static enum policy_rule refuse(enum policy_rule rule, const struct policy_client *client,
			       struct err *err, const char *fmt, ...)
{
	char sentence[ERR_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, args);
	va_end(args);
	err_set(err, ERR_DENIED, client->grant->name, "%s", sentence);
	return rule;
}

/* ---- names ---------------------------------------------------------------------- */

/* RFC 1123 s.2.1: with an underscore it would be a name of the DNS's own uses, such as another's
 * challenge. */
static bool is_host(const char *name)
{
	size_t label = 0;

	for (const char *at = name; *at; at++) {
		if (*at == '.') {
			if (label == 0 || at[-1] == '-') {
				return false;
			}
			label = 0;
			continue;
		}
		if (!isalnum((unsigned char)*at) && (*at != '-' || label == 0)) {
			return false;
		}
		label++;
	}
	return label > 0 && name[strlen(name) - 1] != '-' && strchr(name, '.') != NULL;
}

static bool under_one_of(const struct strlist *list, const char *name, bool itself)
{
	for (size_t i = 0; i < list->count; i++) {
		if (name_under(name, list->item[i]) &&
		    (itself || strcmp(name, list->item[i]) != 0)) {
			return true;
		}
	}
	return false;
}

static bool is_granted(const struct policy_client *client, const char *name)
{
	const struct conf_client *grant = client->grant;

	return strlist_has(&grant->names, name) || under_one_of(&grant->under, name, false) ||
	       (strlist_has(&grant->names, "@san") && client->cert_names &&
		strlist_has(client->cert_names, name));
}

enum policy_rule policy_name(const struct policy_client *client, const char *name, struct err *err)
{
	if (!is_host(name)) {
		return refuse(POLICY_NAME, client, err,
			      "\"%s\" is no name of a host, so no certificate can be for it", name);
	}
	if (under_one_of(&client->grant->except, name, true)) {
		return refuse(POLICY_EXCEPT, client, err,
			      "\"%s\" is excepted from what this client may publish", name);
	}
	if (!is_granted(client, name)) {
		return refuse(POLICY_UNGRANTED, client, err,
			      "this client may not publish for \"%s\"; grant it in names or under",
			      name);
	}
	return POLICY_GRANTED;
}

enum err_code policy_target(const char *name, const char *suffix, char out[NAME_TEXT_MAX],
			    struct err *err)
{
	char *text = xasprintf("%s.%s", name, suffix);
	enum err_code code = name_parse(text, out, err);

	if (code != ERR_NONE) {
		err_set(err, ERR_USAGE, name, "\"%s\" is longer than a DNS name can be", text);
	}
	free(text);
	return code;
}

bool policy_name_of(const char *owner, const char *suffix, char out[NAME_TEXT_MAX])
{
	size_t len = strlen(owner);

	if (suffix && name_under(owner, suffix) && len > strlen(suffix) + 1 && owner[0] != '_') {
		snprintf(out, NAME_TEXT_MAX, "%.*s", (int)(len - strlen(suffix) - 1), owner);
		return true;
	}
	if (strncmp(owner, CHALLENGE, strlen(CHALLENGE)) == 0) {
		snprintf(out, NAME_TEXT_MAX, "%s", owner + strlen(CHALLENGE));
		return true;
	}
	return false;
}

/* ---- the final owner ----------------------------------------------------------------- */

/* An alias never widens a grant: whoever may write a CNAME could else aim it at the challenge
 * name of another, and get that certificate. */
static enum policy_rule judge_owner(const struct policy_client *client,
				    const struct policy_question *question, struct err *err)
{
	const char *owner = question->owner;
	struct err unused;

	if (strncmp(owner, CHALLENGE, strlen(CHALLENGE)) == 0 &&
	    policy_name(client, owner + strlen(CHALLENGE), &unused) == POLICY_GRANTED) {
		return POLICY_GRANTED;
	}
	if ((question->target && strcmp(owner, question->target) == 0) ||
	    strlist_has(&client->grant->targets, owner)) {
		return POLICY_GRANTED;
	}
	return refuse(POLICY_ALIAS, client, err,
		      "the challenge name of \"%s\" is an alias that leads to \"%s\", where this "
		      "client may not publish; `dns01 alias %s` prints the alias that may be made, "
		      "and targets lists others",
		      question->name, owner, question->name);
}

/* The first of the list that is strictly below name, or NULL. */
static const char *first_below(const struct strlist *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->item[i], name) != 0 && name_under(list->item[i], name)) {
			return list->item[i];
		}
	}
	return NULL;
}

/* RFC 8555 s.8.4: the challenge of *.NAME stands at the same owner name as that of NAME. */
static enum policy_rule judge_wildcard(const struct policy_client *client,
				       const struct policy_question *question, struct err *err)
{
	const char *name = question->name;
	const char *excepted = first_below(&client->grant->except, name);

	if (client->grant->wildcard) {
		return POLICY_GRANTED;
	}
	if (question->apex) {
		return refuse(
			POLICY_WILDCARD, client, err,
			"a value for \"%s\" proves \"*.%s\" too, and it is the apex of a zone; "
			"if that is meant, say wildcard = true",
			name, name);
	}
	if (question->other_below) {
		return refuse(POLICY_WILDCARD, client, err,
			      "a value for \"%s\" proves \"*.%s\" too, and the client \"%s\" has "
			      "names below it; if that is meant, say wildcard = true",
			      name, name, question->other_below);
	}
	if (excepted) {
		return refuse(POLICY_WILDCARD, client, err,
			      "a value for \"%s\" proves \"*.%s\" too, and \"%s\" is excepted; if "
			      "that is meant, say wildcard = true",
			      name, name, excepted);
	}
	return POLICY_GRANTED;
}

/* ---- the whole ------------------------------------------------------------------------ */

static bool from_allowed_network(const struct policy_client *client)
{
	const struct strlist *networks = &client->grant->networks;
	struct network net;

	for (size_t i = 0; i < networks->count; i++) {
		if (network_parse(networks->item[i], &net) && client->from &&
		    network_has(&net, client->from)) {
			return true;
		}
	}
	return networks->count == 0;
}

enum policy_rule policy_judge(const struct policy_client *client,
			      const struct policy_question *question, struct err *err)
{
	const struct conf_client *grant = client->grant;
	const char *value = question->value;
	enum policy_rule rule;

	if (!from_allowed_network(client)) {
		return refuse(POLICY_NETWORK, client, err,
			      "this client may not come from there; its networks say from where");
	}
	if (strcmp(grant->role, "publish") != 0 && strcmp(grant->role, "admin") != 0) {
		return refuse(POLICY_ROLE, client, err,
			      "a client with the role \"%s\" publishes "
			      "nothing",
			      grant->role);
	}
	if (!strlist_has(&grant->views, question->view)) {
		return refuse(POLICY_VIEW, client, err,
			      "this client may not publish in the view \"%s\"", question->view);
	}
	if (value && (strlen(value) != POLICY_VALUE_LEN || !base64url_is(value, strlen(value)))) {
		return refuse(POLICY_VALUE, client, err,
			      "the value is no digest of a key authorization: 43 characters of "
			      "base64url");
	}
	if (!question->name) {
		/* Nobody knows whose challenge it is but who listed it. */
		return strlist_has(&grant->targets, question->owner)
			       ? POLICY_GRANTED
			       : refuse(POLICY_UNGRANTED, client, err,
					"this client may not publish at \"%s\"; list it in targets",
					question->owner);
	}
	rule = policy_name(client, question->name, err);
	if (rule == POLICY_GRANTED && question->owner) {
		rule = judge_owner(client, question, err);
	}
	if (rule == POLICY_GRANTED && question->owner) {
		rule = judge_wildcard(client, question, err);
	}
	return rule;
}

size_t policy_share(size_t others)
{
	return others == 0 ? POLICY_OWNER_ALONE : POLICY_OWNER_VALUES / (others + 1);
}

const char *policy_other_below(const struct conf *conf, const char *name, const char *but)
{
	for (size_t i = 0; i < conf->client_count; i++) {
		const struct conf_client *client = &conf->client[i];

		if ((!but || strcmp(client->name, but) != 0) &&
		    (first_below(&client->names, name) || first_below(&client->under, name))) {
			return client->name;
		}
	}
	return NULL;
}
