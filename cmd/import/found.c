/* found: what a client's folder holds, in words that no client owns. */
#include "internal.h"

#include <ctype.h>

/* ---- accounts and certificates ------------------------------------------------------ */

static bool is_full(struct import *import, size_t count, const char *what)
{
	if (count == FOUND_MAX) {
		import_say(import, IMPORT_LEFT, what,
			   "only the first %d are carried over: a folder cannot hold more",
			   FOUND_MAX);
	}
	return count >= FOUND_MAX;
}

struct found_account *found_add_account(struct import *import)
{
	struct found_account *account;

	if (is_full(import, import->account_count, "accounts")) {
		return NULL;
	}
	import->account =
		xreallocarray(import->account, import->account_count + 1, sizeof(*import->account));
	account = &import->account[import->account_count++];
	*account = (struct found_account){ 0 };
	return account;
}

struct found_certificate *found_add_certificate(struct import *import)
{
	struct found_certificate *certificate;

	if (is_full(import, import->certificate_count, "certificates")) {
		return NULL;
	}
	import->certificate = xreallocarray(import->certificate, import->certificate_count + 1,
					    sizeof(*import->certificate));
	certificate = &import->certificate[import->certificate_count++];
	*certificate = (struct found_certificate){ .account = FOUND_NONE };
	return certificate;
}

bool found_is_url(const char *url)
{
	size_t len = strlen(url);

	if (strncmp(url, "https://", 8) != 0 || len < 10 || len > ACME_URL_MAX ||
	    strpbrk(url, "\"\\@<> ")) {
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		if (url[i] < 0x21 || url[i] > 0x7e) {
			return false;
		}
	}
	return true;
}

void found_add_mail(struct found_account *account, const char *address)
{
	char *url = strncmp(address, "mailto:", 7) == 0 ? xstrdup(address)
							: xasprintf("mailto:%s", address);
	const char *at = strchr(url, '@');

	/* What the configuration takes: one address, no header fields. */
	if (at && at > url + 7 && at[1] && !strpbrk(url, "?, \n\"") &&
	    !strlist_has(&account->contact, url)) {
		strlist_add(&account->contact, url);
	}
	free(url);
}

struct found_name *found_add_name(struct found_certificate *certificate, const char *name,
				  size_t provider)
{
	struct found_name *item;
	char canonical[NAME_TEXT_MAX];

	if (certificate->count == ACME_NAMES_MAX || name_parse(name, canonical, NULL) != ERR_NONE) {
		return NULL;
	}
	certificate->item = xreallocarray(certificate->item, certificate->count + 1,
					  sizeof(*certificate->item));
	item = &certificate->item[certificate->count++];
	*item = (struct found_name){ .name = xstrdup(canonical), .provider = provider };
	return item;
}

/* ---- commands ---------------------------------------------------------------------- */

/* A program by its path and arguments that mean the same without a shell. */
static bool is_plain_command(const char *line)
{
	if (line[0] != '/') {
		return false;
	}
	for (const char *c = line; *c; c++) {
		if (!isascii((unsigned char)*c) ||
		    (!isalnum((unsigned char)*c) && !strchr("/._-+:@%=, ", *c))) {
			return false;
		}
	}
	return true;
}

static bool argv_equal(const struct strlist *a, const struct strlist *b)
{
	bool equal = a->count == b->count;

	for (size_t i = 0; i < a->count && equal; i++) {
		equal = strcmp(a->item[i], b->item[i]) == 0;
	}
	return equal;
}

/* Takes argv. */
static void add_argv(struct found_certificate *certificate, struct strlist argv)
{
	struct commands *commands = &certificate->deploy;

	for (size_t i = 0; i < commands->count; i++) {
		if (argv_equal(&commands->item[i].argv, &argv)) {
			strlist_clear(&argv);
			return;
		}
	}
	commands->item =
		xreallocarray(commands->item, commands->count + 1, sizeof(*commands->item));
	commands->item[commands->count++] = (struct command){ argv };
}

void found_add_argv(struct found_certificate *certificate, const char *const *argv)
{
	struct strlist copy = { 0 };

	for (size_t i = 0; argv[i]; i++) {
		strlist_add(&copy, argv[i]);
	}
	add_argv(certificate, copy);
}

void found_add_command(struct found_certificate *certificate, const char *line)
{
	struct strlist argv = { 0 };

	if (is_plain_command(line)) {
		strlist_add_words(&argv, line);
		add_argv(certificate, argv);
	} else {
		found_add_argv(certificate, (const char *const[]){ "/bin/sh", "-c", line, NULL });
	}
}

/* ---- providers --------------------------------------------------------------------- */

void found_provider_clear(struct found_provider *provider)
{
	settings_clear(&provider->settings);
	for (size_t i = 0; i < provider->secret_count; i++) {
		wipe_str(provider->secret[i].text);
		free(provider->secret[i].file);
	}
	free(provider->name);
}

void found_add_secret(struct found_provider *provider, const char *setting, char *text)
{
	if (provider->secret_count == FOUND_SECRETS_MAX) {
		wipe_str(text); /* not reached: no plugin of the table has as many */
		return;
	}
	provider->secret[provider->secret_count++] =
		(struct found_secret){ .setting = setting, .text = text };
}

static bool secrets_equal(const struct found_provider *a, const struct found_provider *b)
{
	bool equal = a->secret_count == b->secret_count;

	for (size_t i = 0; i < a->secret_count && equal; i++) {
		equal = strcmp(a->secret[i].setting, b->secret[i].setting) == 0 &&
			strcmp(a->secret[i].text, b->secret[i].text) == 0;
	}
	return equal;
}

static bool settings_equal(const struct settings *a, const struct settings *b)
{
	bool equal = a->count == b->count;

	for (size_t i = 0; i < a->count && equal; i++) {
		equal = strcmp(a->item[i].name, b->item[i].name) == 0 &&
			strcmp(a->item[i].text, b->item[i].text) == 0;
	}
	return equal;
}

size_t found_add_provider(struct import *import, struct found_provider *candidate)
{
	for (size_t i = 0; i < import->provider_count; i++) {
		const struct found_provider *other = &import->provider[i];

		if (strcmp(other->type, candidate->type) == 0 && secrets_equal(other, candidate) &&
		    settings_equal(&other->settings, &candidate->settings)) {
			found_provider_clear(candidate);
			return i;
		}
	}
	import->provider = xreallocarray(import->provider, import->provider_count + 1,
					 sizeof(*import->provider));
	import->provider[import->provider_count] = *candidate;
	return import->provider_count++;
}

/* ---- the end ----------------------------------------------------------------------- */

static void account_clear(struct found_account *account)
{
	free(account->directory);
	free(account->url);
	strlist_clear(&account->contact);
	key_free(account->key);
	free(account->eab_kid);
	wipe_str(account->eab_key);
	free(account->source);
	free(account->id);
	free(account->name);
	free(account->eab_file);
}

static void certificate_clear(struct found_certificate *certificate)
{
	for (size_t i = 0; i < certificate->count; i++) {
		free(certificate->item[i].name);
		free(certificate->item[i].why);
		free(certificate->item[i].alias);
		free(certificate->item[i].zone);
	}
	for (size_t i = 0; i < certificate->deploy.count; i++) {
		strlist_clear(&certificate->deploy.item[i].argv);
	}
	free(certificate->item);
	free(certificate->deploy.item);
	free(certificate->name);
	chain_free(certificate->chain);
	key_free(certificate->key);
	free(certificate->profile);
	free(certificate->chain_name);
	free(certificate->lineage);
}

void found_clear(struct import *import)
{
	for (size_t i = 0; i < import->account_count; i++) {
		account_clear(&import->account[i]);
	}
	for (size_t i = 0; i < import->provider_count; i++) {
		found_provider_clear(&import->provider[i]);
	}
	for (size_t i = 0; i < import->certificate_count; i++) {
		certificate_clear(&import->certificate[i]);
	}
	free(import->account);
	free(import->provider);
	free(import->certificate);
	strlist_clear(&import->missing);
}
