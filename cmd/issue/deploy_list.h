/* deploy_list: what there is to do for each lineage of a run, and which of it is due. Private to
 * issue. */
#ifndef DNS01_ISSUE_DEPLOY_LIST_H
#define DNS01_ISSUE_DEPLOY_LIST_H

#include "dns01/issue.h"
#include "dns01/store.h"

/* One thing for one lineage. */
struct deploy_item {
	char *what;                       /* struct deployment's */
	const struct conf_export *export; /* NULL: a command */
	char *path;                       /* of the export */
	struct strlist argv;              /* of the command, with the lineage filled in */
	/* what is remembered of it */
	char *serial; /* NULL: never done */
	unsigned failures;
	int64_t retry_at;
	bool tried; /* in this run: not again */
};

struct deploy_target {
	char *name;
	const struct conf_certificate *certificate;
	enum deploy_which which;
	char *serial;               /* of the certificate that is there; NULL: none is */
	char *folder;               /* with privkey.pem and so on: RENEWED_LINEAGE */
	struct deploy_item *item;   /* exports, then commands */
	size_t count, export_count; /* of all; of the exports */
	bool stale;                 /* something is remembered that it does not have any more */
	/* read when the first thing is to be done */
	bool loaded;
	struct lineage_current current;
	struct strlist names;
	/* of this run */
	struct err failure; /* ERR_NONE: nothing failed */
	bool worked;        /* something was tried */
};

struct deploy_list {
	struct deploy_target *target; /* in the order of names, once it is looked at */
	size_t count, cap;
	const char *state;
};

void deploy_list_add(struct deploy_list *list, const struct deploy_lineage *lineage);
/* Reads what is remembered of all. Whatever else was remembered is forgotten. */
enum err_code deploy_list_look(struct deploy_list *list, struct renewals *renewals,
			       struct err *err) MUST_CHECK;
/* Whether it is to be done now. */
bool deploy_item_due(const struct deploy_target *target, const struct deploy_item *item,
		     int64_t now_s);
bool deploy_target_due(const struct deploy_target *target, int64_t now_s);
/* Whether each of its exports is what the certificate is. */
bool deploy_exports_done(const struct deploy_target *target);
/* Reads the lineage's key and chain where that was not done. */
enum err_code deploy_target_load(const struct deploy_list *list, struct deploy_target *target,
				 struct err *err) MUST_CHECK;
void deploy_target_unload(struct deploy_target *target); /* its key leaves memory */
/* One of the lineages that a thing is done for. */
struct deploy_member {
	struct deploy_target *target;
	struct deploy_item *item;
};
struct deploy_outcome {
	const struct err *failure; /* NULL: done */
	int64_t at_s;
};
/* Into what is remembered. */
enum err_code deploy_note(const struct deploy_member *member, const struct deploy_outcome *outcome,
			  struct renewals *renewals, struct err *err) MUST_CHECK;
void deploy_list_clear(struct deploy_list *list);

#endif
