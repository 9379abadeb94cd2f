/*
 * match: what was found beside what is there. A second run finds everything there:
 *  - an account, where one at the same CA has the same key or URL;
 *  - a certificate, where one is for the same names with a key of the same type.
 * Names are chosen in the order of the folder, so that they come out the same each time.
 */
#include "internal.h"

#include <ctype.h>

#define NAME_MAX_OURS 150 /* of the 200 that a name may have */
#define NAMES_TRIED_MAX 10000

/* ---- names of ours ----------------------------------------------------------------- */

/* A name that the configuration takes; gives. */
static char *word_of(const char *text)
{
	char *word = xstrndup(text + strspn(text, ".-*"), NAME_MAX_OURS);

	for (char *c = word; *c; c++) {
		if (!isascii((unsigned char)*c) ||
		    (!isalnum((unsigned char)*c) && !strchr("._-@", *c))) {
			*c = '-';
		}
	}
	if (!word[0]) {
		free(word);
		word = xstrdup("imported");
	}
	return word;
}

/* base, then base-2 and so on: gives. */
static char *candidate(const char *base, unsigned number)
{
	return number == 1 ? xstrdup(base) : xasprintf("%s-%u", base, number);
}

/* ---- accounts ---------------------------------------------------------------------- */

static bool is_account(const struct import *import, const char *name,
		       const struct found_account *account)
{
	struct account_record *record = NULL;
	bool same = account_load(import->args->state, name, &record, NULL) == ERR_NONE &&
		    strcmp(record->directory, account->directory) == 0 &&
		    (!account->key || key_equal(record->key, account->key) ||
		     /* its key was changed since */
		     (record->url && account->url && strcmp(record->url, account->url) == 0));

	account_record_free(record);
	return same;
}

static bool is_stored(const struct import *import, const char *name)
{
	char *path = xasprintf("%s/accounts/%s", import->args->state, name);
	bool stored = access(path, F_OK) == 0;

	free(path);
	return stored;
}

/* One of the configuration that is this very account; NULL: none. */
static const struct conf_account *account_there(const struct import *import,
						const struct found_account *account)
{
	for (size_t i = 0; import->there && i < import->there->account_count; i++) {
		const struct conf_account *other = &import->there->account[i];

		if (strcmp(other->directory, account->directory) == 0 &&
		    (!account->key || is_account(import, other->name, account))) {
			return other;
		}
	}
	return NULL;
}

static bool account_name_taken(const struct import *import, const char *name,
			       const struct found_account *account)
{
	if (import->there && conf_find_account(import->there, name)) {
		return true;
	}
	for (size_t i = 0; i < import->account_count; i++) {
		const char *other = import->account[i].name;

		if (&import->account[i] != account && other && strcmp(other, name) == 0) {
			return true;
		}
	}
	return is_stored(import, name) && !(account->key && is_account(import, name, account));
}

static void name_account(const struct import *import, struct found_account *account)
{
	const char *host = account->directory + strlen("https://");
	char *text = xasprintf("%s-%.*s", import->args->client, (int)strcspn(host, "/?#"), host);
	char *base = word_of(text);

	for (unsigned i = 1; i < NAMES_TRIED_MAX; i++) {
		account->name = candidate(base, i);
		if (!account_name_taken(import, account->name, account)) {
			break;
		}
		free(account->name);
		account->name = NULL;
	}
	free(base);
	free(text);
}

/* The same one in two places of the folder, by a link. */
static const struct found_account *account_before(const struct import *import, size_t index)
{
	const struct found_account *account = &import->account[index];

	for (size_t i = 0; i < index && account->key; i++) {
		const struct found_account *other = &import->account[i];

		if (other->key && strcmp(other->directory, account->directory) == 0 &&
		    key_equal(other->key, account->key)) {
			return other;
		}
	}
	return NULL;
}

static void say_account(struct import *import, const struct found_account *account)
{
	char *subject = xasprintf("account %s", account->name);

	if (account->key) {
		import_say(import, IMPORT_CARRIED, subject, "%s (%s)",
			   account->url ? account->url : account->directory, account->source);
	} else {
		import_say(
			import, IMPORT_TODO, subject,
			"a new account at %s: read its terms of service, and set agree_tos = true",
			account->directory);
	}
	free(subject);
}

static enum err_code match_account(struct import *import, size_t index, struct err *err)
{
	struct found_account *account = &import->account[index];
	const struct found_account *before = account_before(import, index);
	const struct conf_account *there = account_there(import, account);
	char *subject, *folder, *stem;

	if (before || there) {
		account->name = xstrdup(before ? before->name : there->name);
		account->there = true;
		subject = xasprintf("account %s", account->name);
		if (!before) {
			import_say(import, IMPORT_THERE, subject, "%s", account->directory);
		}
		free(subject);
		return ERR_NONE;
	}
	name_account(import, account);
	if (!account->name) {
		return err_set(err, ERR_LIMIT, account->directory,
			       "has too many accounts of one name");
	}
	account->stored = is_stored(import, account->name);
	if (account->eab_key) {
		folder = into_secrets(import);
		stem = xasprintf("imported-%s-eab", account->name);
		account->eab_file = into_free(folder, stem, ".key", account->eab_key);
		free(stem);
		free(folder);
	}
	say_account(import, account);
	return ERR_NONE;
}

/* ---- certificates ------------------------------------------------------------------ */

static int by_octets(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Two certificates are for the same names when these texts are the same; gives. */
static char *key_of_names(const struct strlist *names)
{
	struct strlist sorted = { 0 };
	char canonical[NAME_TEXT_MAX], *key;

	for (size_t i = 0; i < names->count; i++) {
		bool good = name_parse(names->item[i], canonical, NULL) == ERR_NONE;

		strlist_add(&sorted, good ? canonical : names->item[i]);
	}
	if (sorted.count > 0) {
		qsort(sorted.item, sorted.count, sizeof(*sorted.item), by_octets);
	}
	key = strlist_join(&sorted, " ");
	strlist_clear(&sorted);
	return key;
}

static char *key_of(const struct found_certificate *certificate)
{
	struct strlist names = { 0 };
	char *key;

	for (size_t i = 0; i < certificate->count; i++) {
		strlist_add(&names, certificate->item[i].name);
	}
	key = key_of_names(&names);
	strlist_clear(&names);
	return key;
}

static void add_key(struct index *index, const char *names, const char *mark, const char *name)
{
	char *key = xasprintf("%s/%s", names, mark);

	index_add(index, key, name);
	free(key);
}

static const char *find_key(const struct index *index, const char *names, const char *mark)
{
	char *key = xasprintf("%s/%s", names, mark);
	const char *name = index_get(index, key);

	free(key);
	return name;
}

/* What the configuration has: by names and key type, by names and name, and by name. */
static void index_there(struct import *import)
{
	for (size_t i = 0; import->there && i < import->there->certificate_count; i++) {
		const struct conf_certificate *other = &import->there->certificate[i];
		char *names = key_of_names(&other->names);

		for (size_t j = 0; j < other->keys.count; j++) {
			add_key(&import->by_names, names, other->keys.item[j], other->name);
		}
		add_key(&import->by_names, names, other->name, other->name);
		index_add(&import->lineages, other->name, "");
		free(names);
	}
}

/* The name of one of the configuration that is this one; NULL: none. */
static const char *certificate_there(const struct import *import,
				     const struct found_certificate *certificate)
{
	char *names = key_of(certificate);
	char *word = word_of(certificate->name);
	const char *found =
		find_key(&import->by_names, names, key_type_name(certificate->key_type));

	if (!found) {
		found = find_key(&import->by_names, names, word);
	}
	free(word);
	free(names);
	return found;
}

static bool is_for(const struct chain *chain, const struct found_certificate *certificate)
{
	char *theirs = key_of_names(&chain_facts(chain)->names);
	char *ours = key_of(certificate);
	bool same = strcmp(theirs, ours) == 0;

	free(theirs);
	free(ours);
	return same;
}

enum lineage_state { LINEAGE_FREE, LINEAGE_SAME, LINEAGE_OTHER };

/* What the state folder has under that name: an earlier run may have stored it. */
static enum lineage_state lineage_state(const struct import *import, const char *name,
					const struct found_certificate *certificate)
{
	char *folder = xasprintf("%s/certs/%s", import->args->state, name);
	char *key_path = path_join(folder, "current/privkey.pem");
	char *chain_path = path_join(folder, "current/fullchain.pem");
	enum lineage_state state = LINEAGE_FREE;
	struct chain *chain = NULL;
	struct key *key = NULL;

	if (access(folder, F_OK) == 0) {
		state = theirs_chain(chain_path, NULL, &chain, NULL) == ERR_NONE &&
					theirs_key(key_path, &key, NULL) == ERR_NONE &&
					key_type_of(key) == certificate->key_type &&
					is_for(chain, certificate)
				? LINEAGE_SAME
				: LINEAGE_OTHER;
	}
	chain_free(chain);
	key_free(key);
	free(folder);
	free(key_path);
	free(chain_path);
	return state;
}

static void name_lineage(struct import *import, struct found_certificate *certificate)
{
	char *base = word_of(certificate->name);

	for (unsigned i = 1; i < NAMES_TRIED_MAX && !certificate->lineage; i++) {
		char *name = candidate(base, i);
		enum lineage_state state = index_get(&import->lineages, name)
						   ? LINEAGE_OTHER
						   : lineage_state(import, name, certificate);

		if (state == LINEAGE_OTHER) {
			free(name);
			continue;
		}
		index_add(&import->lineages, name, "");
		certificate->lineage = name;
		certificate->stored = state == LINEAGE_SAME;
	}
	free(base);
}

/* Names that cannot stand in one certificate, here or at any CA. */
static enum err_code check_names(const struct found_certificate *certificate, struct err *err)
{
	struct strlist names = { 0 }, sorted = { 0 };
	enum err_code code;

	for (size_t i = 0; i < certificate->count; i++) {
		strlist_add(&names, certificate->item[i].name);
	}
	code = names_check(&names, &sorted, err);
	strlist_clear(&names);
	strlist_clear(&sorted);
	return code;
}

static char *names_text(const struct found_certificate *certificate)
{
	struct strlist names = { 0 };
	char *joined;

	for (size_t i = 0; i < certificate->count; i++) {
		strlist_add(&names, certificate->item[i].name);
	}
	joined = strlist_join(&names, " ");
	strlist_clear(&names);
	return joined;
}

/* "key p256, valid until ..., profile short"; gives. */
static char *facts_text(const struct found_certificate *certificate)
{
	struct buf text = BUF_INIT(4096);
	char time[32];

	buf_addf(&text, "key %s", key_type_name(certificate->key_type));
	if (certificate->chain) {
		time_format(time, chain_facts(certificate->chain)->not_after);
		buf_addf(&text, ", valid until %s", time);
	} else {
		buf_add_str(&text, ", settings alone");
	}
	if (certificate->profile) {
		buf_addf(&text, ", profile %s", certificate->profile);
	}
	if (certificate->chain_name) {
		buf_addf(&text, ", chain %s", certificate->chain_name);
	}
	if (certificate->renew_before_ms > 0) {
		duration_format(time, certificate->renew_before_ms);
		buf_addf(&text, ", renew_before %s", time);
	}
	return buf_detach(&text);
}

static void say_certificate(struct import *import, const struct found_certificate *certificate)
{
	char *subject = xasprintf("certificate %s", certificate->lineage);
	char *names = names_text(certificate);
	char *facts = facts_text(certificate);

	import_say(import, IMPORT_CARRIED, subject, "%s (%s)", names, facts);
	for (size_t i = 0; i < certificate->deploy.count; i++) {
		char *command = strlist_join(&certificate->deploy.item[i].argv, " ");

		import_say(import, IMPORT_CARRIED, subject, "deploy: %s", command);
		free(command);
	}
	free(facts);
	free(names);
	free(subject);
}

static void leave(struct import *import, struct found_certificate *certificate,
		  const struct err *err, const char *advice)
{
	char *subject = xasprintf("certificate %s", certificate->name);

	certificate->left = true;
	import_say_err(import, subject, err, advice);
	free(subject);
}

static enum err_code match_certificate(struct import *import, struct found_certificate *certificate,
				       struct err *err)
{
	const char *there;
	struct err why;
	char *subject;

	if (certificate->count == 0) {
		certificate->left = true; /* the reader has said why */
		return ERR_NONE;
	}
	if (check_names(certificate, &why) != ERR_NONE) {
		leave(import, certificate, &why, "no CA would renew it so");
		return ERR_NONE;
	}
	if (certificate->account == FOUND_NONE) {
		err_set(&why, ERR_NOT_FOUND, "", "it is not known which CA it is from");
		leave(import, certificate, &why, "run this again with --ca URL");
		return ERR_NONE;
	}
	there = certificate_there(import, certificate);
	if (there) {
		certificate->there = true;
		subject = xasprintf("certificate %s", there);
		import_say(import, IMPORT_THERE, subject, "for the same names");
		free(subject);
		return ERR_NONE;
	}
	name_lineage(import, certificate);
	if (!certificate->lineage) {
		return err_set(err, ERR_LIMIT, certificate->name,
			       "there are too many certificates of this name");
	}
	say_certificate(import, certificate);
	return ERR_NONE;
}

/* ---- the whole --------------------------------------------------------------------- */

bool match_takes(const struct found_certificate *certificate)
{
	return !certificate->left && !certificate->there;
}

bool match_is_new(const struct import *import)
{
	for (size_t i = 0; i < import->account_count; i++) {
		if (!import->account[i].there) {
			return true;
		}
	}
	for (size_t i = 0; i < import->certificate_count; i++) {
		if (match_takes(&import->certificate[i])) {
			return true;
		}
	}
	return false;
}

enum err_code match_all(struct import *import, struct err *err)
{
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < import->account_count && code == ERR_NONE; i++) {
		code = match_account(import, i, err);
	}
	index_there(import);
	for (size_t i = 0; i < import->certificate_count && code == ERR_NONE; i++) {
		code = match_certificate(import, &import->certificate[i], err);
	}
	if (code == ERR_NONE) {
		match_zones(import);
	}
	if (code == ERR_NONE && import->args->into && match_is_new(import) &&
	    access(import->into, F_OK) == 0) {
		code = err_set(err, ERR_EXISTS, import->into,
			       "is there already and is not rewritten: name another file with "
			       "--into");
	}
	return code;
}
