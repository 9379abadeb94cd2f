/*
 * apply: files are written in an order in which each is whole and useful without the next:
 * credentials, accounts, lineages, and last the configuration that speaks of them. On an error
 * what was written before it is removed.
 */
#include "internal.h"

#include "dns01/issue.h"

struct apply {
	const struct import *import;
	const struct conf *merged;
	struct strlist files, accounts, lineages; /* made by this run */
	struct err *err;
};

/* ---- back --------------------------------------------------------------------------- */

static void undo(struct apply *apply)
{
	const char *state = apply->import->args->state;
	struct err why;

	for (size_t i = 0; i < apply->files.count; i++) {
		unlink(apply->files.item[i]);
	}
	for (size_t i = 0; i < apply->lineages.count; i++) {
		if (lineage_remove(state, apply->lineages.item[i], &why) != ERR_NONE &&
		    why.code != ERR_NOT_FOUND) {
			log_warn("%s: %s", why.subject, why.text);
		}
	}
	for (size_t i = 0; i < apply->accounts.count; i++) {
		if (account_remove(state, apply->accounts.item[i], &why) != ERR_NONE &&
		    why.code != ERR_NOT_FOUND) {
			log_warn("%s: %s", why.subject, why.text);
		}
	}
}

/* ---- forth -------------------------------------------------------------------------- */

/* A file that is there holds the same: into_free() saw to that. */
static enum err_code write_file(struct apply *apply, const char *path, const char *text,
				mode_t mode)
{
	char *folder = path_dir(path);
	enum err_code code = folder_make(folder, 0755, apply->err);

	free(folder);
	if (code != ERR_NONE || access(path, F_OK) == 0) {
		return code;
	}
	strlist_add(&apply->files, path);
	return file_write_durable(path, text, strlen(text), mode, apply->err);
}

static enum err_code write_provider(struct apply *apply, const struct found_provider *provider)
{
	enum err_code code = ERR_NONE;

	for (size_t i = 0; provider->used && i < provider->secret_count && code == ERR_NONE; i++) {
		const struct found_secret *secret = &provider->secret[i];

		code = write_file(apply, secret->file, secret->text, 0600);
	}
	return code;
}

static enum err_code write_secrets(struct apply *apply)
{
	const struct import *import = apply->import;
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < import->provider_count && code == ERR_NONE; i++) {
		code = write_provider(apply, &import->provider[i]);
	}
	for (size_t i = 0; i < import->account_count && code == ERR_NONE; i++) {
		const struct found_account *account = &import->account[i];

		if (!account->there && account->eab_file) {
			code = write_file(apply, account->eab_file, account->eab_key, 0600);
		}
	}
	return code;
}

static enum err_code write_account(struct apply *apply, const struct found_account *account)
{
	const struct account_record record = {
		.directory = account->directory,
		.url = account->url,
		.key = account->key,
	};

	if (account->there || account->stored || !account->key) {
		return ERR_NONE;
	}
	strlist_add(&apply->accounts, account->name);
	return account_save(apply->import->args->state, account->name, &record, apply->err);
}

/* ---- lineages ------------------------------------------------------------------------ */

static bool has_zone(const struct conf *conf, const struct conf_zone *zone)
{
	for (size_t i = 0; i < conf->zone_count; i++) {
		if (strcmp(conf->zone[i].suffix, zone->suffix) == 0 &&
		    strcmp(conf->zone[i].view, zone->view) == 0) {
			return true;
		}
	}
	return false;
}

static void keep_zone(struct conf *narrow, const struct conf_zone *zone)
{
	if (zone && !has_zone(narrow, zone)) {
		narrow->zone =
			xreallocarray(narrow->zone, narrow->zone_count + 1, sizeof(*narrow->zone));
		narrow->zone[narrow->zone_count++] = *zone;
	}
}

/* Of what comes over, the zones that serve the certificate; there may be thousands for others.
 * What was there stays whole: an alias may lead anywhere in it. */
static void narrow_zones(const struct apply *apply, const struct conf_certificate *certificate,
			 struct conf *narrow)
{
	const struct conf *conf = apply->merged;
	size_t there = conf->zone_count - apply->import->zone_count;

	for (size_t i = 0; i < there; i++) {
		keep_zone(narrow, &conf->zone[i]);
	}
	for (size_t i = 0; i < certificate->names.count; i++) {
		const char *name = name_base(certificate->names.item[i]);
		const struct conf_zone *zone = conf_find_zone(conf, name, NULL);

		keep_zone(narrow, zone);
		if (zone && strchr(zone->alias, '.')) { /* a name: neither "follow" nor "off" */
			keep_zone(narrow, conf_find_zone(conf, zone->alias, NULL));
		}
	}
}

/* The configuration of one lineage: itself, its account, and where its names are published;
 * gives. */
static char *narrow_conf(const struct apply *apply, const struct found_certificate *from,
			 const struct conf_certificate *certificate)
{
	const struct conf *conf = apply->merged;
	struct conf narrow = *conf; /* borrows all of it */
	struct conf_account account = *conf_find_account(conf, certificate->account);
	char *text;

	narrow.account = &account;
	narrow.account_count = 1;
	narrow.listener_count = 0;
	narrow.client_count = 0;
	narrow.zone = NULL;
	narrow.zone_count = 0;
	narrow_zones(apply, certificate, &narrow);
	text = lineage_conf_text(&narrow, certificate, from->key_type, from->lineage);
	free(narrow.zone);
	return text;
}

static enum err_code write_lineage(struct apply *apply, const struct found_certificate *from,
				   const struct conf_certificate *certificate)
{
	const char *state = apply->import->args->state;
	struct lineage *lineage = NULL;
	char *current = NULL, *text = NULL;
	enum err_code code;

	strlist_add(&apply->lineages, from->lineage);
	code = lineage_open(state, from->lineage, &lineage, apply->err);
	if (code == ERR_NONE) {
		text = narrow_conf(apply, from, certificate);
		code = lineage_store(lineage,
				     &(struct lineage_set){
					     .key = from->key,
					     .chain = from->chain,
					     .conf = text,
				     },
				     &current, apply->err);
	}
	lineage_free(lineage);
	free(current);
	free(text);
	return code;
}

/* The new certificates are the last ones of the merged configuration, in the same order. */
static enum err_code write_lineages(struct apply *apply)
{
	const struct import *import = apply->import;
	size_t at = apply->merged->certificate_count;
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < import->certificate_count; i++) {
		at -= match_takes(&import->certificate[i]) ? 1 : 0;
	}
	for (size_t i = 0; i < import->certificate_count && code == ERR_NONE; i++) {
		const struct found_certificate *from = &import->certificate[i];

		if (!match_takes(from)) {
			continue;
		}
		if (from->chain && !from->stored) {
			code = write_lineage(apply, from, &apply->merged->certificate[at]);
		}
		at++;
	}
	return code;
}

/* ---- the whole ----------------------------------------------------------------------- */

/* Without any configuration yet, the main file is made as well: last. */
static enum err_code write_conf(struct apply *apply)
{
	const struct import *import = apply->import;
	char *text = emit_text(import), *main_text = emit_main_text(import);
	enum err_code code = write_file(apply, import->into, text, 0644);

	if (code == ERR_NONE && !import->alone && !import->args->conf) {
		code = write_file(apply, import->main_file, main_text, 0644);
	}
	free(text);
	free(main_text);
	return code;
}

enum err_code apply_write(const struct import *import, const struct conf *merged, struct err *err)
{
	struct apply apply = { .import = import, .merged = merged, .err = err };
	enum err_code code = state_open(import->args->state, err);

	if (code == ERR_NONE) {
		code = write_secrets(&apply);
	}
	for (size_t i = 0; i < import->account_count && code == ERR_NONE; i++) {
		code = write_account(&apply, &import->account[i]);
	}
	if (code == ERR_NONE) {
		code = write_lineages(&apply);
	}
	if (code == ERR_NONE) {
		code = write_conf(&apply);
	}
	if (code != ERR_NONE) {
		undo(&apply);
	}
	strlist_clear(&apply.files);
	strlist_clear(&apply.accounts);
	strlist_clear(&apply.lineages);
	return code;
}
