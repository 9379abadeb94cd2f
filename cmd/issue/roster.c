/*
 * roster: the lineages of the configuration, each with what is remembered of it. The rows are read
 * in one look; a lineage whose files changed since is read from disk.
 */
#include "dns01/issue.h"

#include "row.h"

struct roster {
	struct roster_args args;
	struct roster_item *items; /* sorted by lineage */
	size_t count, cap;
	/* while it is made */
	size_t merged;
	struct strlist only;
	bool *only_found;
};

/* ---- items ----------------------------------------------------------------------------- */

static void set_trouble(struct roster_item *item, const struct err *err)
{
	if (!item->trouble) {
		item->trouble = err_box(err);
	}
}

static void take_names(struct roster_item *item)
{
	struct strlist names = { 0 };
	struct err err;

	if (names_check(&item->certificate->names, &names, &err) != ERR_NONE) {
		err_subject(&err, "%s", item->lineage);
		set_trouble(item, &err);
	}
	item->names = strlist_join(&names, " ");
	strlist_clear(&names);
}

static void take_accounts(const struct conf *conf, struct roster_item *item)
{
	struct err err;

	item->account = conf_find_account(conf, item->certificate->account);
	if (!item->account) {
		err_set(&err, ERR_CONFIG, item->lineage,
			"it is not said which account to use; set `account` of the certificate");
		set_trouble(item, &err);
		return;
	}
	strlist_add(&item->accounts, item->account->name);
	strlist_copy(&item->accounts, &item->certificate->fallback);
}

/* Whether it is one of those asked for, by its own name or by its certificate's. */
static bool is_wanted(struct roster *roster, const struct roster_item *item)
{
	bool wanted = roster->only.count == 0;

	for (size_t i = 0; i < roster->only.count; i++) {
		if (strcmp(roster->only.item[i], item->lineage) == 0 ||
		    strcmp(roster->only.item[i], item->certificate->name) == 0) {
			roster->only_found[i] = true;
			wanted = true;
		}
	}
	return wanted;
}

static void add_item(struct roster *roster, const struct conf_certificate *certificate,
		     size_t key_index)
{
	const char *key = certificate->keys.item[key_index];
	struct roster_item item = { .certificate = certificate };
	struct err err;

	item.lineage = lineage_name_of(certificate, key_index);
	if (!is_wanted(roster, &item)) {
		free(item.lineage);
		return;
	}
	if (!key_type_parse(key, &item.key_type)) {
		err_set(&err, ERR_CONFIG, item.lineage, "\"%s\" is not a key type", key);
		set_trouble(&item, &err);
	}
	take_names(&item);
	take_accounts(roster->args.conf, &item);
	if (roster->count == roster->cap) {
		roster->cap = roster->cap ? 2 * roster->cap : 16;
		roster->items = xreallocarray(roster->items, roster->cap, sizeof(*roster->items));
	}
	roster->items[roster->count++] = item;
}

static int by_lineage(const void *a, const void *b)
{
	return strcmp(((const struct roster_item *)a)->lineage,
		      ((const struct roster_item *)b)->lineage);
}

static void find_doubles(struct roster *roster)
{
	struct err err;

	for (size_t i = 1; i < roster->count; i++) {
		struct roster_item *item = &roster->items[i];

		if (strcmp(item->lineage, item[-1].lineage) == 0) {
			err_set(&err, ERR_CONFIG, item->lineage,
				"two certificates of the configuration make a lineage of this "
				"name: a certificate's second key type has it too");
			set_trouble(item, &err);
		}
	}
}

/* ---- rows -------------------------------------------------------------------------------- */

/* Both are in the order of names. */
static void merge_row(void *arg, const struct renewal *row)
{
	struct roster *roster = arg;

	while (roster->merged < roster->count) {
		struct roster_item *item = &roster->items[roster->merged];
		int order = strcmp(item->lineage, row->lineage);

		if (order > 0) {
			return;
		}
		if (order == 0 && !item->row) {
			item->row = renewal_copy(row);
		}
		roster->merged++;
	}
}

static uint64_t random_number(const struct roster *roster)
{
	uint64_t number;

	world_random(roster->args.world, &number, sizeof(number));
	return number;
}

/* A row that was made anew, and what is kept of its lineage so far; NULL: nothing. */
struct reread {
	const struct renewal *row; /* NULL: it is what is kept */
	struct renewal *before;
};

/* It is the same certificate, in files that somebody touched: what is remembered of it holds. Takes
 * row, gives. */
static struct renewal *with_memory_of(const struct renewal *before, struct renewal *row)
{
	struct renewal *kept = renewal_copy(before);

	free(kept->stamp);
	kept->stamp = row->stamp;
	row->stamp = NULL;
	renewal_free(row);
	return kept;
}

static void read_from_disk(struct roster *roster, struct roster_item *item, struct reread *out)
{
	const char *state = roster->args.conf->state;
	struct renewal *row = NULL;
	struct err err;

	if (item->row && row_is_true(state, item->row)) {
		return;
	}
	if (row_from_disk(state, item->lineage, random_number(roster), &row, &err) != ERR_NONE) {
		err_subject(&err, "%s", item->lineage);
		set_trouble(item, &err);
		/* What is remembered of it is still good to be shown. */
		if (!item->row) {
			item->row = xcalloc(1, sizeof(*row));
			item->row->lineage = xstrdup(item->lineage);
		}
		return;
	}
	if (item->row && item->row->serial && row->serial &&
	    strcmp(item->row->serial, row->serial) == 0) {
		row = with_memory_of(item->row, row);
	}
	out->before = item->row;
	item->row = row;
	out->row = !item->trouble && row->serial ? row : NULL;
}

static enum err_code write_rows(struct roster *roster, const struct reread *reread, struct err *err)
{
	struct renewals *renewals = roster->args.renewals;
	enum err_code code = roster->args.repair ? renewals_begin(renewals, err)
						 : renewals_try_begin(renewals, err);

	if (code != ERR_NONE) {
		return code;
	}
	for (size_t i = 0; i < roster->count && code == ERR_NONE; i++) {
		if (reread[i].row) {
			code = renewals_replace(renewals, reread[i].before, reread[i].row, err);
		}
	}
	return renewals_end(renewals, code, err);
}

/* Who only looks has seen what there is, whether or not the next one sees it as quickly. */
static enum err_code keep_rows(struct roster *roster, const struct reread *reread, struct err *err)
{
	struct err why;
	enum err_code code = write_rows(roster, reread, &why);

	if (code != ERR_NONE && roster->args.repair) {
		*err = why;
		return code;
	}
	if (code != ERR_NONE) {
		log_debug("%s: %s; the certificates are read anew by the next run", why.subject,
			  why.text);
	}
	return ERR_NONE;
}

static enum err_code read_rows(struct roster *roster, struct err *err)
{
	struct reread *reread = xcalloc(roster->count + 1, sizeof(*reread));
	bool any = false;
	enum err_code code = ERR_NONE;

	if (roster->args.renewals) {
		code = renewals_list(roster->args.renewals, merge_row, roster, err);
	}
	for (size_t i = 0; i < roster->count && code == ERR_NONE; i++) {
		read_from_disk(roster, &roster->items[i], &reread[i]);
		any = any || reread[i].row;
	}
	if (code == ERR_NONE && any && roster->args.renewals) {
		code = keep_rows(roster, reread, err);
	}
	for (size_t i = 0; i < roster->count; i++) {
		renewal_free(reread[i].before);
	}
	free(reread);
	return code;
}

/* ---- plan ---------------------------------------------------------------------------------- */

/* What the configuration says for the account that issued the certificate there. */
static void take_wishes(const struct roster *roster, struct roster_item *item)
{
	const struct conf_account *account = item->account;

	if (item->row->account && strlist_has(&item->accounts, item->row->account)) {
		account = conf_find_account(roster->args.conf, item->row->account);
	}
	free(item->wish);
	item->wish = wish_of(account, item->certificate);
	item->chain = wished_root(account, item->certificate);
}

static struct plan_input input_of(const struct roster *roster, const struct roster_item *item)
{
	return (struct plan_input){
		.row = item->row,
		.names = item->names,
		.key_type = key_type_name(item->key_type),
		.accounts = &item->accounts,
		.wish = item->wish,
		.chain = item->chain,
		.renew_before_s = item->certificate->renew_before_ms / 1000,
		.now_s = world_wall_s(roster->args.world),
		.wake_s = roster->args.wake_s,
		.held_until = item->held_until,
		.held_name = item->held_name,
		.force = roster->args.force,
	};
}

/* How many validations there are for the base of word: with *.NAME and NAME, two. */
static size_t validations_of(const struct strlist *names, const char *word)
{
	const char *base = name_base(word);
	size_t count = 0;

	for (size_t i = 0; i < names->count; i++) {
		count += strcmp(name_base(names->item[i]), base) == 0;
	}
	return count;
}

static void take_hold(const struct roster *roster, struct roster_item *item, struct may_fail *ask)
{
	int64_t at_s;
	struct err err;

	if (renewals_may_fail_at(roster->args.renewals, ask, &at_s, &err) != ERR_NONE) {
		log_warn("%s: %s", err.subject, err.text);
	} else if (at_s > ask->now_s && at_s > item->held_until) {
		item->held_until = at_s;
		free(item->held_name);
		item->held_name = xstrdup(ask->name);
	}
}

/* The longest of all its names, at each CA that may be asked. */
static void take_holds(const struct roster *roster, struct roster_item *item)
{
	struct strlist names = { 0 };
	struct may_fail ask = { .now_s = world_wall_s(roster->args.world) };

	strlist_add_words(&names, item->names);
	for (size_t i = 0; i < names.count; i++) {
		ask.name = name_base(names.item[i]);
		ask.times = validations_of(&names, ask.name);
		for (size_t k = 0; k < item->accounts.count; k++) {
			ask.account = item->accounts.item[k];
			take_hold(roster, item, &ask);
		}
	}
	strlist_clear(&names);
}

void roster_plan(const struct roster *roster, struct roster_item *item)
{
	struct plan_input input;

	if (item->trouble) {
		return;
	}
	take_wishes(roster, item);
	item->held_until = 0;
	input = input_of(roster, item);
	plan_make(&input, &item->plan);
	if (item->plan.state == PLAN_DUE && roster->args.renewals && !roster->args.force) {
		take_holds(roster, item);
		input = input_of(roster, item);
		plan_make(&input, &item->plan);
	}
}

char *roster_text(const struct roster *roster, const struct roster_item *item)
{
	struct plan_input input = input_of(roster, item);

	return item->trouble ? err_format(item->trouble) : plan_text(&input, &item->plan);
}

char *roster_reason(const struct roster *roster, const struct roster_item *item)
{
	struct plan_input input = input_of(roster, item);

	return item->trouble ? err_format(item->trouble) : plan_reason_text(&input, &item->plan);
}

bool roster_asks(const struct roster *roster, const struct roster_item *item)
{
	struct plan_input input = input_of(roster, item);

	return !item->trouble && plan_asks(&input, &item->plan);
}

void roster_take_row(const struct roster *roster, struct roster_item *item, struct renewal *row)
{
	renewal_free(item->row);
	item->row = row;
	roster_plan(roster, item);
}

/* ---- life ---------------------------------------------------------------------------------- */

static enum err_code check_only(const struct roster *roster, struct err *err)
{
	for (size_t i = 0; i < roster->only.count; i++) {
		if (!roster->only_found[i]) {
			return err_set(
				err, ERR_USAGE, roster->only.item[i],
				"the configuration has no certificate of this name; `dns01 status` "
				"lists what there is");
		}
	}
	return ERR_NONE;
}

enum err_code roster_new(const struct roster_args *args, struct roster **out, struct err *err)
{
	struct roster *roster = xcalloc(1, sizeof(*roster));
	const struct conf *conf = args->conf;
	enum err_code code;

	roster->args = *args;
	if (args->only) {
		strlist_copy(&roster->only, args->only);
	}
	roster->only_found = xcalloc(roster->only.count + 1, sizeof(*roster->only_found));
	for (size_t i = 0; i < conf->certificate_count; i++) {
		for (size_t key = 0; key < conf->certificate[i].keys.count; key++) {
			add_item(roster, &conf->certificate[i], key);
		}
	}
	code = check_only(roster, err);
	if (roster->count > 0) {
		qsort(roster->items, roster->count, sizeof(*roster->items), by_lineage);
	}
	find_doubles(roster);
	if (code == ERR_NONE) {
		code = read_rows(roster, err);
	}
	if (code != ERR_NONE) {
		roster_free(roster);
		return code;
	}
	for (size_t i = 0; i < roster->count; i++) {
		roster_plan(roster, &roster->items[i]);
	}
	*out = roster;
	return ERR_NONE;
}

void roster_free(struct roster *roster)
{
	if (!roster) {
		return;
	}
	for (size_t i = 0; i < roster->count; i++) {
		struct roster_item *item = &roster->items[i];

		free(item->lineage);
		free(item->trouble);
		renewal_free(item->row);
		free(item->names);
		strlist_clear(&item->accounts);
		free(item->wish);
		free(item->held_name);
	}
	free(roster->items);
	strlist_clear(&roster->only);
	free(roster->only_found);
	free(roster);
}

size_t roster_count(const struct roster *roster)
{
	return roster->count;
}

struct roster_item *roster_at(const struct roster *roster, size_t index)
{
	return &roster->items[index];
}
