#include "row.h"

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *sorted_names(const struct strlist *names)
{
	struct strlist sorted = { 0 };
	char *joined;

	strlist_copy(&sorted, names);
	if (sorted.count > 0) {
		qsort(sorted.item, sorted.count, sizeof(*sorted.item), by_text);
	}
	joined = strlist_join(&sorted, " ");
	strlist_clear(&sorted);
	return joined;
}

static void take_facts(struct renewal *row, const struct chain_facts *facts)
{
	row->serial = xstrdup(facts->serial);
	row->not_before = facts->not_before;
	row->not_after = facts->not_after;
	row->issuer = xstrdup(facts->issuer);
	row->names = sorted_names(&facts->names);
	row->cert_id = xstrdup(facts->cert_id);
	row->key_type = xstrdup(facts->key_type);
	row->issued_at = facts->not_before;
}

/* Every block that begins in it ends; what may not be read may be whole. */
static bool is_whole(const char *path)
{
	struct buf pem = BUF_INIT(CHAIN_PEM_MAX);
	bool whole = true;

	if (file_read(path, CHAIN_PEM_MAX, &pem, NULL) == ERR_NONE) {
		const char *at = buf_str(&pem);

		whole = strstr(at, "-----BEGIN ") != NULL;
		while (whole && (at = strstr(at, "-----BEGIN ")) != NULL) {
			at = strstr(at, "-----END ");
			whole = at != NULL;
		}
	}
	buf_wipe(&pem);
	return whole;
}

/* Only what was changed in place is looked at, as the stamp tells. A key that is gone may be kept
 * elsewhere on purpose. */
static enum err_code check_changed(const char *state, const char *name, const char *stamp,
				   struct err *err)
{
	static const char *const files[] = { "fullchain.pem", "privkey.pem" };
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < ARRAY_LEN(files) && code == ERR_NONE; i++) {
		char *path = xasprintf("%s/certs/%s/current/%s", state, name, files[i]);

		if (strstr(stamp, files[i]) && !is_whole(path)) {
			code = err_set(err, ERR_PROTOCOL, path, "was cut off");
		}
		free(path);
	}
	return code;
}

/* What cannot be read now may be whole. */
static bool is_damage(enum err_code code)
{
	return code == ERR_NOT_FOUND || code == ERR_PROTOCOL || code == ERR_LIMIT;
}

/* What a full disk or a hand left is no certificate: then the row has no serial, as where none was
 * issued yet. */
static enum err_code read_certificate(const char *state, struct renewal *row, struct err *err)
{
	struct chain_facts facts;
	struct err why;
	enum err_code code = lineage_facts(state, row->lineage, &facts, &why);

	if (code != ERR_NONE && !is_damage(code)) {
		*err = why;
		return code;
	}
	if (code == ERR_NONE) {
		code = check_changed(state, row->lineage, row->stamp, &why);
		if (code == ERR_NONE) {
			take_facts(row, &facts);
		}
		chain_facts_clear(&facts);
	}
	if (code != ERR_NONE) {
		log_warn("%s: its files are damaged, `dns01 renew` issues it anew: %s%s%s",
			 row->lineage, why.subject, why.subject[0] ? " " : "", why.text);
	}
	return ERR_NONE;
}

enum err_code row_from_disk(const char *state, const char *name, uint64_t jitter,
			    struct renewal **out, struct err *err)
{
	struct renewal *row = xcalloc(1, sizeof(*row));
	enum err_code code;

	row->lineage = xstrdup(name);
	/* first: what changes meanwhile shows later */
	code = lineage_stamp(state, name, &row->stamp, err);
	if (row->stamp) {
		code = read_certificate(state, row, err);
	}
	if (code != ERR_NONE) {
		renewal_free(row);
		return code;
	}
	if (row->serial) {
		row->jitter_ppm = (int64_t)(jitter % JITTER_MAX_PPM);
	}
	*out = row;
	return ERR_NONE;
}

bool row_is_true(const char *state, const struct renewal *row)
{
	char *stamp = NULL;
	bool same = lineage_stamp(state, row->lineage, &stamp, NULL) == ERR_NONE &&
		    (stamp && row->stamp ? strcmp(stamp, row->stamp) == 0 : stamp == row->stamp);

	free(stamp);
	return same;
}

enum err_code row_find(struct renewals *renewals, const char *state, const char *name,
		       struct renewal **out, struct err *err)
{
	enum err_code code = renewals_get(renewals, name, out, err);

	if (code == ERR_NONE && row_is_true(state, *out)) {
		return ERR_NONE;
	}
	if (code == ERR_NONE) {
		renewal_free(*out);
	} else if (code != ERR_NOT_FOUND) {
		return code;
	}
	return row_from_disk(state, name, 0, out, err);
}

enum err_code renewal_note_revoked(struct renewals *renewals, const char *state,
				   const struct renewal_revoked *revoked, struct err *err)
{
	struct renewal *row = NULL;
	enum err_code code = renewals_begin(renewals, err);

	if (code != ERR_NONE) {
		return code;
	}
	code = row_find(renewals, state, revoked->lineage, &row, err);
	if (code == ERR_NONE && row->serial && strcmp(row->serial, revoked->serial) == 0) {
		row->revoked_at = revoked->at_s;
		code = renewals_put(renewals, row, err);
	}
	renewal_free(row);
	return renewals_end(renewals, code, err);
}

char *wish_of(const struct conf_account *account, const struct conf_certificate *certificate)
{
	return certificate->profile ? xstrdup(certificate->profile)
				    : strlist_join(&account->profiles, " ");
}

const char *wished_root(const struct conf_account *account,
			const struct conf_certificate *certificate)
{
	const char *root = certificate->chain ? certificate->chain : account->chain;

	return root ? root : "";
}
