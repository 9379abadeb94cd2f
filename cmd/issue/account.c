/*
 * account: the key of a configured account, made when it is new, and its
 * registration; used by an issuance and by `dns01 account register`.
 */
#include "dns01/issue.h"

#define EAB_SECRET_MAX 512
#define EAB_FILE_MAX 4096
#define UNTAKEN_S 600 /* a new key that the CA has not taken after that is given up */

static enum err_code eab_load(const struct conf_account *account, uint8_t *secret, size_t *len,
			      struct err *err)
{
	struct buf text;
	enum err_code code = file_read_secret(account->eab_key_file, EAB_FILE_MAX, &text, err);
	size_t text_len;

	if (code != ERR_NONE) {
		return code;
	}
	for (text_len = text.len; text_len > 0 && text.data[text_len - 1] <= ' '; text_len--) {
	}
	if (!base64_decode_any(buf_str(&text), text_len, secret, EAB_SECRET_MAX, len)) {
		code = err_set(err, ERR_CONFIG, account->eab_key_file,
			       "the file does not hold a base64 key of at most %d octets",
			       EAB_SECRET_MAX);
	}
	buf_wipe(&text);
	return code;
}

struct acme_call *account_register_start(struct acme *acme, const struct conf_account *account,
					 acme_done *done, void *arg, struct err *err)
{
	uint8_t secret[EAB_SECRET_MAX];
	struct acme_registration reg = {
		.contact = &account->contact,
		.agree_tos = account->agree_tos,
		.eab_kid = account->eab_kid,
		.eab_alg = account->eab_alg,
		.eab_secret = secret,
	};
	struct acme_call *call = NULL;

	if (!account->eab_kid || !account->eab_key_file ||
	    eab_load(account, secret, &reg.eab_secret_len, err) == ERR_NONE) {
		call = acme_account_start(acme, &reg, done, arg);
	}
	wipe(secret, sizeof(secret));
	return call;
}

static enum err_code account_make(const char *state, const struct conf_account *account,
				  struct account_record **out, struct err *err)
{
	struct account_record *record = xcalloc(1, sizeof(*record));
	enum key_type type = KEY_P256;
	enum err_code code;

	if (account->key_type && !key_type_parse(account->key_type, &type)) {
		code = err_set(err, ERR_CONFIG, account->name, "\"%s\" is not a key type",
			       account->key_type);
		goto out;
	}
	record->directory = xstrdup(account->directory);
	code = key_generate(type, &record->key, err);
	if (code == ERR_NONE) {
		code = account_save(state, account->name, record, err);
	}
	if (code == ERR_EXISTS) { /* another process has just made it */
		code = account_load(state, account->name, out, err);
	} else if (code == ERR_NONE) {
		*out = record;
		record = NULL;
	}
out:
	account_record_free(record);
	return code;
}

enum err_code account_usable(const char *state, const char *name,
			     const struct account_record *record, struct err *err)
{
	return !record->deactivated
		       ? ERR_NONE
		       : err_set(err, ERR_CONFIG, name,
				 "the account was deactivated, for good; move %s/accounts/%s away, "
				 "and a new one is registered",
				 state, name);
}

enum err_code account_open(const char *state, const struct conf_account *account,
			   struct account_record **out, struct err *err)
{
	struct account_record *record = NULL;
	enum err_code code = account_load(state, account->name, &record, err);

	if (code == ERR_NOT_FOUND) {
		return account_make(state, account, out, err);
	}
	if (code != ERR_NONE) {
		return code;
	}
	code = account_usable(state, account->name, record, err);
	if (code == ERR_NONE && strcmp(record->directory, account->directory) != 0) {
		code = err_set(err, ERR_CONFIG, account->name,
			       "the account's key was registered at %s, and the configuration says "
			       "%s; give the new CA an account of its own name",
			       record->directory, account->directory);
	}
	if (code != ERR_NONE) {
		account_record_free(record);
		return code;
	}
	*out = record;
	return ERR_NONE;
}

enum err_code account_settle(struct acme *acme, struct account_record *record,
			     const struct err *answer, int64_t now_s, struct err *err)
{
	enum err_code code = ERR_NONE;

	if (!answer) {
		code = account_take_next(record, err);
		acme_use_key(acme, record->key);
	} else if (answer->code != ERR_NOT_FOUND) {
		*err = *answer;
		code = answer->code;
	} else if (now_s >= record->next_at + UNTAKEN_S) {
		log_warn("%s: the CA has not taken the account's new key, which is given up",
			 record->url);
		code = account_drop_next(record, err);
	}
	/* Else the request may still be on its way: the old key is used, both stay. */
	return code;
}
