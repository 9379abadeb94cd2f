/* deploy_book: what is left to be deployed, for those who only look. */
#include "deploy_list.h"

struct deploy_book {
	const char *state;
	struct deployment *row; /* sorted by lineage and what */
	size_t count, cap;
};

static void keep_row(void *arg, const struct deployment *row)
{
	struct deploy_book *book = arg;

	if (book->count == book->cap) {
		book->cap = book->cap ? 2 * book->cap : 16;
		book->row = xreallocarray(book->row, book->cap, sizeof(*book->row));
	}
	book->row[book->count++] = (struct deployment){
		.lineage = xstrdup(row->lineage),
		.what = xstrdup(row->what),
		.serial = xstrdup(row->serial),
		.failures = row->failures,
		.failed_at = row->failed_at,
		.retry_at = row->retry_at,
		.failure = xstrdup(row->failure),
	};
}

enum err_code deploy_book_new(struct renewals *renewals, const char *state,
			      struct deploy_book **out, struct err *err)
{
	struct deploy_book *book = xcalloc(1, sizeof(*book));
	enum err_code code = deployments_list(renewals, NULL, keep_row, book, err);

	book->state = state;
	if (code != ERR_NONE) {
		deploy_book_free(book);
		return code;
	}
	*out = book;
	return ERR_NONE;
}

void deploy_book_free(struct deploy_book *book)
{
	if (!book) {
		return;
	}
	for (size_t i = 0; i < book->count; i++) {
		free(book->row[i].lineage);
		free(book->row[i].what);
		free(book->row[i].serial);
		free(book->row[i].failure);
	}
	free(book->row);
	free(book);
}

static int by_key(const void *a, const void *b)
{
	const struct deployment *left = a, *right = b;
	int order = strcmp(left->lineage, right->lineage);

	return order ? order : strcmp(left->what, right->what);
}

static const struct deployment *row_of(const struct deploy_book *book, const char *lineage,
				       const char *what)
{
	struct deployment key = {
		.lineage = (char *)(uintptr_t)lineage,
		.what = (char *)(uintptr_t)what,
	};

	return book->count == 0 ? NULL
				: bsearch(&key, book->row, book->count, sizeof(*book->row), by_key);
}

void deploy_book_left(const struct deploy_book *book, const struct deploy_lineage *lineage,
		      deploy_left_each *each, void *arg)
{
	struct deploy_list list = { .state = book->state };
	const struct deploy_target *target;

	deploy_list_add(&list, lineage);
	target = list.count > 0 ? &list.target[0] : NULL;
	for (size_t i = 0; target && i < target->count; i++) {
		const struct deploy_item *item = &target->item[i];
		const struct deployment *row = row_of(book, target->name, item->what);
		char *argv = item->export ? NULL : strlist_join(&item->argv, " ");

		if (!row || !row->serial || strcmp(row->serial, lineage->serial) != 0) {
			each(arg, &(struct deploy_left){ argv ? argv : item->what, row });
		}
		free(argv);
	}
	deploy_list_clear(&list);
}
