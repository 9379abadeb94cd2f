/*
 * conf: the only user of libconfig. One schema table (cmd/conf/schema.c) gives
 * parsing, checks, defaults, dump, and the manual page dns01.conf(5).
 *
 * The structs below are plain data, filled by the loader or, without a
 * file, by a command's flags through conf_add_* and settings_set().
 */
#ifndef DNS01_CONF_H
#define DNS01_CONF_H

#include "dns01/setting.h"

struct command { /* one argv of `deploy` */
	struct strlist argv;
};

struct commands {
	struct command *item;
	size_t count;
};

struct conf_account {
	char *name;
	char *directory; /* https URL */
	char *ca_file;   /* NULL: the system's roots */
	bool agree_tos;
	struct strlist contact; /* mailto: URLs */
	struct strlist profiles;
	char *view;
	char *proxy;    /* NULL: the global one; "none": none */
	char *key_type; /* of the account key */
	char *eab_kid;
	char *eab_key_file;
	char *eab_alg; /* "HS256", "HS384" or "HS512" */
	char *chain;   /* the root to chain to: its name or SHA-256; NULL: the CA's choice */
	char *staging; /* https URL of its directory for rehearsals; NULL: the known one */
	int64_t orders_per_3h; /* at most; the CA's limit */
	char *where;           /* file:line, for sentences */
};

struct conf_provider {
	char *name;
	char *type;
	struct settings settings; /* all others, checked by the provider's own table */
	char *where;
};

struct conf_zone {
	char *suffix; /* "." serves every name (flags without a file) */
	char *view;
	char *zone; /* NULL: found by DNS */
	struct strlist providers;
	struct strlist resolvers; /* empty: the global ones, else the system's */
	struct strlist servers;   /* empty: found by DNS */
	struct strlist ignore;    /* servers by name that may fail */
	char *quorum;             /* "all", "reachable" or a number */
	char *alias;              /* "follow", "off" or a name */
	char *watch;              /* "authoritative", "resolvers" or "provider" */
	int64_t settle_ms;
	int64_t deadline_ms;
	int64_t ttl_s;
	bool target; /* aliases made by `dns01 alias` lead here */
	char *where;
};

struct conf_export {  /* a copy of a lineage, for a program that wants it elsewhere */
	char *layout; /* "files", "certbot", "haproxy" or "pkcs12" */
	char *path;
	char *owner, *group; /* NULL: whoever runs dns01 */
	char *mode;          /* "0640": of what holds the key */
	char *password_file; /* of pkcs12; NULL: none */
	char *where;
};

struct conf_certificate {
	char *name;              /* of the lineage */
	char *account;           /* NULL: the only one */
	struct strlist fallback; /* accounts to order by where that one's CA is down */
	struct strlist names;
	struct strlist keys; /* key types; each has a lineage of its own: NAME, NAME-rsa2048 */
	char *profile;
	char *chain;             /* in place of the account's */
	int64_t renew_before_ms; /* of life left; 0: by the CA's word, else by the lifetime */
	struct conf_export *export;
	size_t export_count;
	struct commands deploy;
	int64_t deploy_timeout_ms;
	char *where;
};

struct conf_notify {
	struct strlist run; /* argv; empty: nobody is told */
	char *life_left;    /* "1/4": told when a renewal fails and less than this share is left */
	int64_t remind_ms;  /* the same event is told again after this */
};

struct conf_listener { /* one of unix_path, https, dns and http is given */
	char *unix_path;
	char *https;
	char *dns;
	char *http;
	char *certificate; /* a lineage */
	char *cert_file, *key_file;
	char *client_ca_file;
	struct strlist doors;
	struct strlist trusted_proxies; /* networks */
	char *where;
};

struct conf_client {
	char *name;
	char *auth;                  /* "token", "mtls", "tsig" or "unix" */
	struct strlist token_sha256; /* hex */
	char *tsig_key_file;
	struct strlist certificate_names; /* of auth = mtls; empty: any certificate */
	char *user, *group;               /* of auth = unix */
	struct strlist networks;          /* empty: from anywhere */
	struct strlist views;
	struct strlist names; /* "@san": the names of the client's certificate */
	struct strlist under;
	struct strlist except;
	struct strlist targets; /* owner names that may be the end of an alias */
	bool wildcard;
	int64_t values; /* live at once */
	int64_t publishes_per_hour;
	int64_t lease_ms;
	int64_t wait_ms;
	char *role; /* "publish", "read" or "admin" */
	char *where;
};

struct conf_broker { /* one that this host goes through */
	char *url;   /* https://, or unix:PATH */
	char *token_file;
	char *ca_file;
	char *cert_file, *key_file;
	char *where;
};

struct conf {
	char *path;  /* of the main file, NULL without one */
	char *state; /* folder; NULL: not given, the program's place for it */
	struct strlist include;
	struct strlist resolvers; /* for zones that name none */
	char *plugins; /* folder of providers that are not built in; NULL: there are none */
	char *proxy;
	int64_t parallel; /* certificates that are ordered at once */
	struct conf_notify notify;
	struct conf_account *account;
	size_t account_count;
	struct conf_provider *provider;
	size_t provider_count;
	struct conf_zone *zone;
	size_t zone_count;
	struct conf_certificate *certificate;
	size_t certificate_count;
	char *user;           /* whom `serve` becomes when root started it */
	char *audit;          /* file of the audit lines; NULL: standard output */
	int64_t requests_max; /* waiting at once */
	struct conf_listener *listener;
	size_t listener_count;
	struct conf_client *client;
	size_t client_count;
	struct conf_broker *broker;
	size_t broker_count;
};

/* The settings table of a provider type, or NULL: handed in, since providers
 * stand above this module. */
typedef const struct setting *conf_provider_rows(const char *type, size_t *count);

/* Loads path and its includes, checks everything, fills defaults. The error has
 * file, line, item and what was expected. */
enum err_code conf_load(const char *path, conf_provider_rows *rows, struct conf **out,
			struct err *err) MUST_CHECK;
/* The same from text already read (`config check -`). */
enum err_code conf_parse(const char *text, const char *source, conf_provider_rows *rows,
			 struct conf **out, struct err *err) MUST_CHECK;
/* The text of one setting of the file itself, which must be known before the rest can be read.
 * Gives; NULL: it is not there, or the file is wrong (then conf_load says how). */
char *conf_peek(const char *path, const char *setting);
struct conf *conf_new(void); /* defaults only */
/* Each gives a new last item with its defaults, borrowed until the next add. */
struct conf_account *conf_add_account(struct conf *conf, const char *name);
struct conf_provider *conf_add_provider(struct conf *conf, const char *name, const char *type);
struct conf_zone *conf_add_zone(struct conf *conf, const char *suffix);
struct conf_certificate *conf_add_certificate(struct conf *conf, const char *name);
struct conf_broker *conf_add_broker(struct conf *conf, const char *url);
/* What conf_load checks after reading: references, ranges, provider settings;
 * every value becomes canonical, every file's path absolute. */
enum err_code conf_check(struct conf *conf, conf_provider_rows *rows, struct err *err) MUST_CHECK;
void conf_free(struct conf *conf);

/* The whole configuration with defaults filled in, in a form that conf_parse reads
 * to the same dump; secrets are files and so are never in it. Gives. */
char *conf_dump(const struct conf *conf, conf_provider_rows *rows);
/* The same without what is the default, for a file that people read; gives. */
char *conf_dump_brief(const struct conf *conf, conf_provider_rows *rows);
/* dns01.conf(5) in mdoc; gives. */
char *conf_manual(void);
/* The same for other tables: running text, and what the settings of rows are. */
void conf_manual_text(struct buf *out, const char *text);
void conf_manual_rows(struct buf *out, const struct setting *rows, size_t count);

/* Where an export of a lineage goes: its path, with -TYPE in it for a further key of the
 * certificate (key_type NULL: the first one). Gives. */
char *conf_export_path(const struct conf_export *export, const char *key_type);

/* A name of NULL: the only account there is. */
const struct conf_account *conf_find_account(const struct conf *conf, const char *name);
const struct conf_provider *conf_find_provider(const struct conf *conf, const char *name);
const struct conf_certificate *conf_find_certificate(const struct conf *conf, const char *name);
const struct conf_client *conf_find_client(const struct conf *conf, const char *name);
/* The zone with target = true of a view (NULL: "default"); NULL: none. */
const struct conf_zone *conf_target_zone(const struct conf *conf, const char *view);

/*
 * A client apart from a file, as the store's are: conf_client_new gives one with defaults, set
 * checks one value by the table (lists: items separated by a newline) and replaces it, check
 * what holds between its values. Only what says what it may do, not how it proves itself.
 */
struct conf_client *conf_client_new(const char *name);
enum err_code conf_client_set(struct conf_client *client, const char *setting, const char *text,
			      struct err *err) MUST_CHECK;
void conf_client_free(struct conf_client *client);
/* The settings that conf_client_set takes; NULL past the last. */
const struct setting *conf_client_row(size_t index);
/* The text of one setting, lists by newlines; NULL: not given. Gives. */
char *conf_client_get(const struct conf_client *client, const struct setting *row);
/* Longest suffix of name on label boundaries within view (NULL: "default");
 * NULL: none. Names are compared as text, so both as A-labels. */
const struct conf_zone *conf_find_zone(const struct conf *conf, const char *name, const char *view);

#endif
