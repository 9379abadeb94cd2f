/*
 * names: what one order may be for.
 */
#include "dns01/acme.h"
#include "dns01/dns.h"

#include "acme_internal.h"

/* Octets; of one without \DDD. With a challenge's label in front it is still a name: there is no
 * need to look, for each of the 80,000 names of a large configuration. */
#define SHORT_MAX 200

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool sorted_has(const struct strlist *list, const char *name)
{
	return list->count > 0 &&
	       bsearch(&name, list->item, list->count, sizeof(list->item[0]), by_text);
}

static enum err_code name_take(const char *text, struct strlist *list, struct err *err)
{
	char name[NAME_TEXT_MAX];
	char challenge[NAME_TEXT_MAX];
	enum err_code code = name_parse(text, name, err);

	if (code != ERR_NONE) {
		return code;
	}
	if (strcmp(name_base(name), ".") == 0) {
		return err_set(err, ERR_USAGE, name, "no certificate can be had for the root");
	}
	/* RFC 8555 s.7.1.3: host names, so what needs \DDD is none. */
	if (strchr(name, '\\')) {
		return err_set(err, ERR_USAGE, name,
			       "a certificate's name is made of letters, digits, '-' and '_'");
	}
	if (strlen(name) > SHORT_MAX) {
		code = name_challenge(name, challenge, err);
	}
	if (code == ERR_NONE) {
		strlist_add(list, name);
	}
	return code;
}

/* Boulder and its like refuse a name that a wildcard beside it covers. */
static enum err_code check_overlap(const struct strlist *sorted, struct err *err)
{
	for (size_t i = 0; i < sorted->count; i++) {
		const char *name = sorted->item[i];
		const char *parent = name_is_wildcard(name) ? NULL : name_parent(name);
		char wildcard[NAME_TEXT_MAX + 2];

		if (!parent) {
			continue;
		}
		snprintf(wildcard, sizeof(wildcard), "*.%s", parent);
		if (sorted_has(sorted, wildcard)) {
			return err_set(
				err, ERR_USAGE, "",
				"\"%s\" already covers \"%s\"; public CAs refuse both in one "
				"order: leave one out",
				wildcard, name);
		}
	}
	return ERR_NONE;
}

enum err_code names_check(const struct strlist *names, struct strlist *out, struct err *err)
{
	struct strlist all = { 0 };
	enum err_code code;

	if (names->count == 0) {
		return err_set(err, ERR_USAGE, "", "a certificate needs at least one name");
	}
	if (names->count > ACME_NAMES_MAX) {
		return err_set(err, ERR_USAGE, "",
			       "%zu names are too many for one certificate: at most %d go",
			       names->count, ACME_NAMES_MAX);
	}
	for (size_t i = 0; i < names->count; i++) {
		code = name_take(names->item[i], &all, err);
		if (code != ERR_NONE) {
			goto out;
		}
	}
	qsort(all.item, all.count, sizeof(all.item[0]), by_text);
	code = check_overlap(&all, err);
	if (code != ERR_NONE) {
		goto out;
	}
	strlist_clear(out);
	for (size_t i = 0; i < all.count; i++) {
		if (i == 0 || strcmp(all.item[i - 1], all.item[i]) != 0) {
			strlist_add(out, all.item[i]);
		}
	}
out:
	strlist_clear(&all);
	return code;
}
