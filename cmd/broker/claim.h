/* What the files of claims share: table, judgement, life. */
#ifndef DNS01_BROKER_CLAIM_H
#define DNS01_BROKER_CLAIM_H

#include "internal.h"

#define RETRY_SOON_S 5

/* ---- claim_table.c: where claims are found -------------------------------------- */

struct owner_claims { /* all at one owner name */
	char *owner;
	struct claim *claims;
};

struct owner_claims *owner_find(struct broker *broker, const char *owner); /* NULL: none */
void claim_link_owner(struct claim *claim);
void claim_unlink_owner(struct claim *claim); /* fine when it is not linked */
struct usage *usage_of(struct broker *broker, const char *client, bool make);
/* By its id, and to its client's. */
void claim_link(struct claim *claim);
void claim_unlink(struct claim *claim);
bool claim_is_live(const struct claim *claim); /* neither failed nor leaving */
void usages_free(struct broker *broker);

/* ---- claim_judge.c: whether it may be, and where -------------------------------- */

/* What is asked, in the form of dns.h. */
struct asked {
	char name[NAME_TEXT_MAX];
	char owner[NAME_TEXT_MAX];
	bool has_name; /* else only owner is known */
	bool is_final; /* owner, as it is */
	bool repeats;  /* its client has the same already */
};

enum err_code claim_read_names(const struct claim_request *request, const char *view,
			       struct asked *out, struct err *err) MUST_CHECK;
enum policy_rule claim_judge_asked(const struct claim_request *request, const struct asked *asked,
				   const char *view, struct err *err);
/* Whether the broker takes new work at all. */
enum err_code claim_check_room(const struct broker *broker, struct err *err) MUST_CHECK;
enum err_code claim_check_limits(struct broker *broker, const struct claim_request *request,
				 struct asked *asked, const char *view, struct err *err) MUST_CHECK;
/* The final owner, after aliases: whoever may write there may prove what it is for. */
struct final {
	const struct identity *who;
	const struct conf *conf;
	const char *name; /* the identifier; NULL: only the owner is known */
	const char *view;
	const char *value;
};
enum policy_rule claim_authorize(struct broker *broker, const struct final *final,
				 const struct route *route, struct err *err);
/* Of the values at its owner name. */
enum err_code claim_check_share(struct claim *claim, struct err *err) MUST_CHECK;

#endif
