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

enum err_code row_from_disk(const char *state, const char *name, uint64_t jitter,
			    struct renewal **out, struct err *err)
{
	struct renewal *row = xcalloc(1, sizeof(*row));
	struct chain_facts facts;
	enum err_code code;

	row->lineage = xstrdup(name);
	/* first: what changes meanwhile shows later */
	code = lineage_stamp(state, name, &row->stamp, err);
	if (row->stamp) {
		code = lineage_facts(state, name, &facts, err);
	}
	if (code != ERR_NONE) {
		renewal_free(row);
		return code;
	}
	if (row->stamp) {
		take_facts(row, &facts);
		row->jitter_ppm = (int64_t)(jitter % JITTER_MAX_PPM);
		chain_facts_clear(&facts);
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
