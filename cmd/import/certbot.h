/* certbot.c, certbot_account.c and certbot_settings.c: one folder of certbot's. Private to
 * import. */
#ifndef DNS01_IMPORT_CERTBOT_H
#define DNS01_IMPORT_CERTBOT_H

#include "internal.h"

#define CERTBOT_PARAMS "renewalparams"

struct credential { /* one file of a DNS plugin, read once */
	char *path;
	size_t provider;
};

struct certbot {
	struct import *import;
	size_t walked;         /* entries below accounts/ */
	struct strlist deploy; /* programs in renewal-hooks/deploy */
	struct credential *credential;
	size_t credential_count;
};

/* A lineage while it is read. */
struct lineage_conf {
	struct certbot *certbot;
	struct import *import;
	char *name;
	char *subject; /* "certificate NAME" */
	struct pairs pairs;
	struct chain *chain;
	struct key *key;
};

bool certbot_is_true(const struct lineage_conf *conf, const char *key); /* in [renewalparams] */
/* All of accounts/. */
void certbot_accounts(struct certbot *certbot);
/* The account that the lineage names; else one for its CA that is yet to be made. */
size_t certbot_account_of(struct lineage_conf *conf, const char *server);
/* Which provider proves the lineage's names; FOUND_NONE: none is known, and why (gives). */
size_t certbot_provider(struct lineage_conf *conf, char **why);
void certbot_settings(struct lineage_conf *conf, struct found_certificate *certificate);
/* renewal-hooks/ and cli.ini. */
void certbot_hook_folders(struct certbot *certbot);
void certbot_cli_ini(struct certbot *certbot);

#endif
