/*
 * What the files of import share: what was found in a client's folder, in words that no client
 * owns (found_*), and the steps from there to files of ours.
 *
 *   certbot.c, lego.c, acmesh.c   read a folder into found_*
 *   match.c                       compares it with what is there, chooses names
 *   emit.c                        makes configuration of it
 *   apply.c                       writes: credentials, accounts, lineages, configuration last
 */
#ifndef DNS01_IMPORT_INTERNAL_H
#define DNS01_IMPORT_INTERNAL_H

#include "dns01/import.h"

#include "dns01/acme.h"
#include "dns01/dns.h"
#include "dns01/json.h"
#include "dns01/store.h"

#include "index.h"
#include "pairs.h"

#define FOUND_MAX 40000 /* accounts, or certificates */
#define FOUND_NONE ((size_t)-1)

struct found_account {
	char *directory; /* URL of the CA */
	char *url;       /* NULL: not known */
	struct strlist contact;
	struct key *key; /* NULL: only its CA is known */
	char *eab_kid;
	char *eab_key; /* base64url; a secret */
	char *source;  /* where it was found, for people */
	char *id;      /* how its client's certificates name it */
	/* planned */
	char *name;
	bool there;  /* the configuration has it */
	bool stored; /* the state folder has it */
	char *eab_file;
};

#define FOUND_SECRETS_MAX 4

struct found_secret {        /* what stands in a file of its own */
	const char *setting; /* names that file: "tsig_key_file" */
	char *text;
	char *file; /* planned */
};

/* One credential of a provider type of ours. */
struct found_provider {
	const char *type;
	struct settings settings;
	struct found_secret secret[FOUND_SECRETS_MAX];
	size_t secret_count;
	/* planned */
	char *name;
	bool used;
};

struct found_name {
	char *name;      /* A-label, "*." in front of a wildcard */
	size_t provider; /* FOUND_NONE: none is known */
	char *why;       /* none is known, and what to do: said where no zone serves the name yet */
	char *alias;     /* owner name at which it is published; NULL: at its own */
	char *zone;      /* the zone, where its client names it; NULL */
};

struct found_certificate {
	char *name; /* as its client calls it */
	size_t account;
	struct found_name *item;
	size_t count;
	struct chain *chain; /* with key, or both NULL: only settings were found */
	struct key *key;
	enum key_type key_type;
	char *profile;
	char *chain_name;
	int64_t renew_before_ms;
	struct commands deploy;
	/* planned */
	char *lineage;
	bool left;   /* it cannot be carried over, as was said */
	bool there;  /* the configuration has it */
	bool stored; /* the state folder has a certificate for these names under this name */
};

struct planned_zone {
	char *suffix;
	size_t provider;
	const char *alias; /* borrowed, as is zone; NULL: the records are at the names themselves */
	const char *zone;
};

struct import {
	const struct import_args *args;
	char *folder; /* of the client */
	char *ca_root;
	char *into;               /* the file to write; absolute */
	char *main_file;          /* the main configuration, absolute */
	bool alone;               /* into is no part of the main configuration */
	const struct conf *there; /* what into would be a part of; NULL: nothing */
	struct conf *loaded;      /* owner of it where the caller is not */
	struct found_account *account;
	size_t account_count;
	struct found_provider *provider;
	size_t provider_count;
	struct found_certificate *certificate;
	size_t certificate_count;
	struct index by_names; /* certificates of the configuration */
	struct index lineages; /* names that are taken */
	struct planned_zone *zone;
	size_t zone_count;
	struct strlist missing;  /* names for which no provider is known */
	const char *why_missing; /* of a client that keeps none; NULL */
	struct import_report *report;
};

/* ---- saying (import.c) --------------------------------------------------------------- */

void import_say(struct import *import, enum import_kind kind, const char *subject, const char *fmt,
		...) PRINTF_LIKE(4, 5);
/* IMPORT_LEFT with the sentence of err, and what to do. */
void import_say_err(struct import *import, const char *subject, const struct err *err,
		    const char *advice);

/* ---- found (found.c) ----------------------------------------------------------------- */

/* Each gives a new last item, borrowed until the next one; NULL past FOUND_MAX, which is said. */
struct found_account *found_add_account(struct import *import);
struct found_certificate *found_add_certificate(struct import *import);
/* Takes text, which is wiped in the end. */
void found_add_secret(struct found_provider *provider, const char *setting, char *text);
void found_provider_clear(struct found_provider *provider);
/* Takes candidate's strings; the index of it, or of an equal one that was there. */
size_t found_add_provider(struct import *import, struct found_provider *candidate);
/* Borrowed until the next one. NULL: name is no DNS name (an address, for one). */
struct found_name *found_add_name(struct found_certificate *certificate, const char *name,
				  size_t provider);
/* A URL that a configuration can hold: https, printable, without a user. */
bool found_is_url(const char *url);
void found_add_mail(struct found_account *account, const char *address);
/* A line for a shell, run by one unless it is a program with plain arguments. */
void found_add_command(struct found_certificate *certificate, const char *line);
void found_add_argv(struct found_certificate *certificate, const char *const *argv); /* to NULL */
void found_clear(struct import *import);

/* ---- the folder (theirs.c) ----------------------------------------------------------- */

#define SOURCE_ENTRIES_MAX 100000

/* Regular files alone, whatever their mode; a FIFO does not stop it. */
enum err_code theirs_read(const char *path, size_t max, struct buf *out,
			  struct err *err) MUST_CHECK;
enum err_code theirs_ini(const char *path, struct pairs *out, struct err *err) MUST_CHECK;
enum err_code theirs_shell(const char *path, struct pairs *out, struct err *err) MUST_CHECK;
enum err_code theirs_json(const char *path, struct json **out, struct err *err) MUST_CHECK;
enum err_code theirs_key(const char *path, struct key **out, struct err *err) MUST_CHECK;
/* The chain in path, and more (NULL: none) behind it where path has the leaf alone. */
enum err_code theirs_chain(const char *path, const char *more, struct chain **out,
			   struct err *err) MUST_CHECK;
/* Names in a folder, sorted, without those that begin with a dot; none on an error. ERR_NOT_FOUND:
 * there is no such folder. */
enum err_code theirs_list(const char *folder, struct strlist *out, struct err *err) MUST_CHECK;
/* The same for what may be missing; an error is said. */
bool theirs_list_some(struct import *import, const char *folder, struct strlist *out);
bool theirs_is_folder(const char *path);
bool theirs_is_file(const char *path);
/* A name from a foreign file that may be a part of a path: one component, no dot in front. */
bool theirs_is_component(const char *name);
/* Ends with suffix and is more than that. */
bool theirs_has_suffix(const char *name, const char *suffix);

/* ---- providers (foreign.c, foreign_tsig.c) ------------------------------------------- */

enum foreign_client { FOREIGN_CERTBOT, FOREIGN_ACME_SH };
/* What is said of a plugin whose credential cannot be carried over; gives. */
char *foreign_advice(enum foreign_client client, const char *plugin);
/* Whether foreign_add() may make a provider of a plugin; whether that takes a file of credentials;
 * and whether that file as a whole is the secret. */
bool foreign_is_known(enum foreign_client client, const char *plugin);
bool foreign_has_file(enum foreign_client client, const char *plugin);
bool foreign_is_whole(enum foreign_client client, const char *plugin);
/* Such a plugin's settings, by their names there; get gives NULL for what is not set, and the whole
 * file for "*". */
struct foreign_plugin {
	enum foreign_client client;
	const char *name;
	const char *(*get)(const void *arg, const char *key);
	const void *arg;
	const char *source; /* where they stand */
};
/* Makes a provider of ours of it; FOUND_NONE: why (gives). */
size_t foreign_add(struct import *import, const struct foreign_plugin *plugin, char **why);
/* The same where what was found cannot be used; gives. */
char *foreign_failed(const struct err *err);
/* A TSIG key in BIND's form, checked; gives, NULL with a sentence where it is none. sha1: it wants
 * allow_sha1. */
struct foreign_tsig {
	const char *name, *algorithm, *secret;
	const char *source;
};
char *foreign_tsig(const struct foreign_tsig *tsig, bool *sha1, struct err *err);
/* The same for a key in BIND's form already. */
char *foreign_tsig_file(const char *text, const char *source, bool *sha1, struct err *err);
/* A provider of type rfc2136: takes key, the text of a TSIG key (NULL: unsigned). FOUND_NONE with a
 * sentence where server is no address. */
struct foreign_rfc2136 {
	const char *server;
	uint16_t port;
	char *key;
	bool sha1;
	const char *source;
};
size_t foreign_add_rfc2136(struct import *import, const struct foreign_rfc2136 *from,
			   struct err *err);

/* ---- clients ------------------------------------------------------------------------- */

enum err_code certbot_read(struct import *import, struct err *err) MUST_CHECK;
enum err_code lego_read(struct import *import, struct err *err) MUST_CHECK;
enum err_code acmesh_read(struct import *import, struct err *err) MUST_CHECK;

/* ---- into, match, emit, apply -------------------------------------------------------- */

/* Which file is written, and what it will be a part of. */
enum err_code into_find(struct import *import, struct err *err) MUST_CHECK;
/* A path that is free, or that holds exactly text: FOLDER/STEM SUFFIX with -2, -3 before the
 * suffix. text NULL: free. Gives. */
char *into_free(const char *folder, const char *stem, const char *suffix, const char *text);
/* Where credentials are written; gives. */
char *into_secrets(const struct import *import);

/* What is new, what was there, and the names of all; said line by line. */
enum err_code match_all(struct import *import, struct err *err) MUST_CHECK;
/* True when there is something to write. */
bool match_is_new(const struct import *import);
/* match_zones.c: zones, and the providers that they use. */
void match_zones(struct import *import);
bool match_takes(const struct found_certificate *certificate); /* it is new */

/* The text of the file; gives. */
char *emit_text(const struct import *import);
/* That of the main file, where there is none yet; gives. */
char *emit_main_text(const struct import *import);
/* What is there and what is new as one configuration, checked; gives. */
enum err_code emit_merged(const struct import *import, struct conf **out,
			  struct err *err) MUST_CHECK;
/* Writes; on an error nothing of it stays. */
enum err_code apply_write(const struct import *import, const struct conf *merged,
			  struct err *err) MUST_CHECK;

#endif
