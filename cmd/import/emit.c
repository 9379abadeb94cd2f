/* emit: what is planned, as configuration. */
#include "internal.h"

#define TEXT_MAX (64 * 1024 * 1024)

/* ---- items ------------------------------------------------------------------------- */

static void set_text(char **to, const char *text)
{
	if (text) {
		free(*to);
		*to = xstrdup(text);
	}
}

static void emit_account(const struct import *import, const struct found_account *from,
			 struct conf *conf)
{
	struct conf_account *account = conf_add_account(conf, from->name);

	set_text(&account->directory, from->directory);
	set_text(&account->ca_file, import->ca_root);
	set_text(&account->eab_kid, from->eab_file ? from->eab_kid : NULL);
	set_text(&account->eab_key_file, from->eab_file);
	strlist_copy(&account->contact, &from->contact);
	if (from->key) {
		set_text(&account->key_type, key_type_name(key_type_of(from->key)));
		account->agree_tos = true; /* as the other client was told: it made the account */
	}
}

static void emit_provider(const struct found_provider *from, struct conf *conf)
{
	struct conf_provider *provider = conf_add_provider(conf, from->name, from->type);

	settings_copy(&provider->settings, &from->settings);
	for (size_t i = 0; i < from->secret_count; i++) {
		settings_set(&provider->settings, from->secret[i].setting, from->secret[i].file,
			     NULL);
	}
}

static void emit_zone(const struct import *import, const struct planned_zone *from,
		      struct conf *conf)
{
	struct conf_zone *zone = conf_add_zone(conf, from->suffix);

	strlist_add(&zone->providers, import->provider[from->provider].name);
	set_text(&zone->alias, from->alias);
	set_text(&zone->zone, from->zone);
}

static void copy_commands(struct commands *to, const struct commands *from)
{
	for (size_t i = 0; i < from->count; i++) {
		to->item = xreallocarray(to->item, to->count + 1, sizeof(*to->item));
		to->item[to->count] = (struct command){ { 0 } };
		strlist_copy(&to->item[to->count++].argv, &from->item[i].argv);
	}
}

static void emit_certificate(const struct import *import, const struct found_certificate *from,
			     struct conf *conf)
{
	struct conf_certificate *certificate = conf_add_certificate(conf, from->lineage);

	set_text(&certificate->account, import->account[from->account].name);
	for (size_t i = 0; i < from->count; i++) {
		strlist_add(&certificate->names, from->item[i].name);
	}
	strlist_clear(&certificate->keys);
	strlist_add(&certificate->keys, key_type_name(from->key_type));
	set_text(&certificate->profile, from->profile);
	set_text(&certificate->chain, from->chain_name);
	certificate->renew_before_ms = from->renew_before_ms;
	copy_commands(&certificate->deploy, &from->deploy);
}

static void emit_all(const struct import *import, struct conf *conf)
{
	for (size_t i = 0; i < import->account_count; i++) {
		if (!import->account[i].there) {
			emit_account(import, &import->account[i], conf);
		}
	}
	for (size_t i = 0; i < import->provider_count; i++) {
		if (import->provider[i].used) {
			emit_provider(&import->provider[i], conf);
		}
	}
	for (size_t i = 0; i < import->zone_count; i++) {
		emit_zone(import, &import->zone[i], conf);
	}
	for (size_t i = 0; i < import->certificate_count; i++) {
		if (match_takes(&import->certificate[i])) {
			emit_certificate(import, &import->certificate[i], conf);
		}
	}
}

/* ---- the file ---------------------------------------------------------------------- */

static void add_comment(const struct import *import, struct buf *out)
{
	buf_addf(out, "# Made by `dns01 import %s` of %s.\n", import->args->client, import->folder);
	if (import->missing.count == 0) {
		return;
	}
	buf_add_str(out,
		    "#\n# No provider publishes for these names yet. Add one to providers (`dns01 "
		    "providers` lists\n# what there is), and to zones, with its name:\n");
	for (size_t i = 0; i < import->missing.count; i++) {
		buf_addf(out, "#\t{ suffix = \"%s\";  providers = [ \"NAME\" ]; },\n",
			 import->missing.item[i]);
	}
}

char *emit_text(const struct import *import)
{
	struct conf *conf = conf_new();
	struct buf out = BUF_INIT(TEXT_MAX);
	char *text;

	if (import->alone) {
		set_text(&conf->state, import->args->state);
	}
	emit_all(import, conf);
	add_comment(import, &out);
	text = conf_dump_brief(conf, import->args->rows);
	buf_add_str(&out, text);
	free(text);
	conf_free(conf);
	return buf_detach(&out);
}

/* It names the state folder: another one than the usual holds what was carried over. */
char *emit_main_text(const struct import *import)
{
	struct conf *conf = conf_new();
	char *state, *text;

	set_text(&conf->state, import->args->state);
	state = conf_dump_brief(conf, import->args->rows);
	text = xasprintf("%sinclude = [ \"conf.d/*.conf\" ];\n", state);
	free(state);
	conf_free(conf);
	return text;
}

enum err_code emit_merged(const struct import *import, struct conf **out, struct err *err)
{
	struct conf *conf = NULL;
	enum err_code code = ERR_NONE;

	if (!import->alone && import->args->conf) {
		code = conf_load(import->main_file, import->args->rows, &conf, err);
	} else {
		conf = conf_new();
	}
	if (code != ERR_NONE) {
		return code;
	}
	set_text(&conf->state, import->args->state);
	emit_all(import, conf);
	code = conf_check(conf, import->args->rows, err);
	if (code != ERR_NONE) {
		struct err found = *err;

		conf_free(conf);
		/* Of the two together: neither alone has it. */
		return err_set(err, code, found.subject,
			       "%.900s (with what is imported beside it; nothing was written)",
			       found.text);
	}
	*out = conf;
	return ERR_NONE;
}
