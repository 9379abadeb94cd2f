/*
 * rest: what providers that speak HTTP share, so that one of them reads as a list of steps.
 *
 * A provider fills a struct rest_api. Its functions are steps: a step is called with no answer to
 * begin, says what to send, and is called again with each answer until it says REST_DONE. Nothing
 * in it waits: requests, their order and number, pages, retries, tokens, cancellation are here.
 *
 *   batch -> the API's zone of each owner name -> for each owner, side by side:
 *            read -> create and remove what differs (records), or
 *            read -> merge -> write the whole set (RRsets), or write alone (values)
 *            -> once more from read where a reply was lost or another writer got in between
 *         -> finish, once a zone -> done
 *
 * Only our own values are ever added or removed. "It is there already" and "it is gone already"
 * are success, since what is there is read first, or by `accept`.
 */
#ifndef DNS01_REST_H
#define DNS01_REST_H

#include "dns01/json.h"
#include "dns01/provider.h"
#include "dns01/xml.h"

#define REST_ANSWER_MAX (4 * 1024 * 1024) /* octets of one answer */
#define REST_STEPS_MAX 2000               /* requests of one walk: pages, polls */
#define REST_VALUES_MAX 10000             /* read at one owner name */
#define REST_TRIES_MAX 6                  /* of a request, and of an owner's changes */
#define REST_SAID_MAX 240                 /* of a vendor's sentence */
#define REST_SECRET_MAX (64 * 1024)
#define REST_ZONE_CACHE_S 600
#define REST_SYNC_MS (120 * 1000) /* that REST_LATER polls; then the watch decides */
#define REST_HEADERS_MAX 16

struct rest;

/* ---- steps ------------------------------------------------------------------------------ */

enum rest_next {
	REST_SEND,     /* a request was made by rest_ask */
	REST_LATER,    /* the same, sent after a pause: polling */
	REST_DONE,     /* the walk has what it wanted */
	REST_CONFLICT, /* another writer got in between: all is read and merged again */
	REST_FAILED    /* rest_fail said why */
};

struct rest_answer {
	int status;              /* 2xx, or one that rest_accept named */
	const struct json *json; /* NULL: it is none, or there is no body */
	const struct xml *xml;   /* the same, of an API with .is_xml */
	const char *body;        /* NUL follows */
	size_t body_len;
	const struct http_response *http;
};

struct rest_zone {
	char *name; /* as struct dns01/dns.h has names */
	char *id;   /* the API's; the name where it has none */
};

struct rest_value {
	char *text; /* what the TXT record says, unquoted and joined */
	char *raw;  /* as the API wrote it; NULL: a new one, to be written as the API wants */
	char *id;   /* of its record; NULL: the API has none */
};

/* The TXT values at one owner name. */
struct rest_set {
	const char *owner;
	char *label; /* owner below the zone's name, "_acme-challenge.www"; "" at it */
	const struct rest_zone *zone;
	uint32_t ttl_s;           /* to write: that of the set that is there, else ours */
	struct rest_value *value; /* as read; for a write as they shall be */
	size_t value_count;
	struct rest_value *old; /* for a write: as read */
	size_t old_count;
	uint32_t old_ttl_s;
	char *tag;                  /* what a read gave for compare-and-swap; NULL: none */
	bool is_known;              /* it was read */
	struct strlist add, remove; /* for a write: ours that come, ours that go */
};

/* One run of a step. */
struct rest_walk {
	struct rest *rest;
	const struct rest_zone *zone; /* NULL in `zone` and `token` */
	const char *suffix;           /* zone: the name asked about */
	struct rest_set *set;         /* read, create, remove; write: the first of sets */
	struct rest_set *sets;        /* write, with .write_many several; read with .read_many */
	size_t set_count;
	const struct rest_value *value; /* create: text; remove: the record, or text without read */
	/* For the step itself; zero at the start. */
	unsigned step, page;
	char *cursor;        /* freed with the walk */
	struct strlist todo; /* the same */
};

typedef enum rest_next rest_step(struct rest_walk *walk, const struct rest_answer *answer);

/*
 * Makes the next request: below the API's endpoint; in path each %s is percent-encoded, %d and %u
 * are numbers, %% is "%". Takes body (NULL: none). Gives REST_SEND.
 */
enum rest_next rest_ask(struct rest_walk *walk, const char *method, struct json *body,
			const char *path, ...) PRINTF_LIKE(4, 5);
/* The same with a path that is encoded already, or a whole URL: an answer's link to the next page,
 * which fails when it leads to another host than the endpoint's. */
enum rest_next rest_follow(struct rest_walk *walk, const char *link);
/* RFC 8288: the link of an answer to the next page of a list; NULL: it is the last one. Gives. */
char *rest_next_link(const struct rest_answer *answer);
/* To a URL of our own choice: where tokens are given. Neither `sign` nor the token goes there. */
enum rest_next rest_ask_at(struct rest_walk *walk, const char *method, const char *url);

/* What else the request that was just made has. */
void rest_body(struct rest_walk *walk, const char *type, char *text); /* takes text, wipes it */
void rest_header(struct rest_walk *walk, const char *name, const char *value);
/* A status besides 2xx that is an answer for the step, not a failure; several calls add up. */
void rest_accept(struct rest_walk *walk, int status);
void rest_accept_plain(struct rest_walk *walk); /* the answer needs not be JSON or XML */
/* It creates something that the API would create twice: never sent twice by libcurl either. */
void rest_once(struct rest_walk *walk);
/* It changes nothing, whatever its method: sent again after any failure. */
void rest_repeatable(struct rest_walk *walk);

/* write, of an API without compare-and-swap: after it all is read again, and written again where it
 * is not as it shall be. */
void rest_look_again(struct rest_walk *walk);

/* Give REST_FAILED; the record and the zone are named by whoever began the walk. ERR_DENIED,
 * ERR_CONFIG and ERR_USAGE say that surely nothing was changed. */
enum rest_next rest_fail(struct rest_walk *walk, enum err_code code, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
/* An accepted answer that turns out to be a refusal: with the vendor's sentence. */
enum rest_next rest_refused(struct rest_walk *walk, const struct rest_answer *answer);
/* An answer without what the documentation promises; what: "the zone's id". */
enum rest_next rest_lacks(struct rest_walk *walk, const char *what);

/* ---- what steps find -------------------------------------------------------------------- */

/* zone: a zone of the account (any, it need not be walk->suffix); id NULL: its name. */
void rest_zone_found(struct rest_walk *walk, const char *name, const char *id);
/* zone: all zones of the account were found; it is not asked again for a while. */
void rest_zones_all(struct rest_walk *walk);
/* read: one value at walk->set. raw is unquoted for its text; id may be NULL. */
void rest_value(struct rest_walk *walk, const char *raw, const char *id);
/* The same where the text is not what rest_unquote makes of raw. */
void rest_value_text(struct rest_walk *walk, const char *text, const char *raw);
/* read: the set's TTL and its mark for compare-and-swap (NULL: none). */
void rest_set_is(struct rest_walk *walk, int64_t ttl_s, const char *tag);
/* token: a bearer token that lives so long. "": whatever had to be known first is, and `sign` does
 * the rest. */
void rest_token(struct rest_walk *walk, const char *token, int64_t lives_s);

/* RFC 1035 s.5.1: "v", in pieces of 255 octets; gives. And back, joined; gives. */
char *rest_quote(const char *text);
char *rest_unquote(const char *raw);
/* raw, or for a new value its text in quotes (quoted) or as it is; gives. */
char *rest_raw(const struct rest_value *value, bool quoted);
char *rest_percent(const char *text); /* RFC 3986: all but unreserved characters; gives */
/* "a=b&c=d", both encoded, from pairs that end with NULL; gives. */
char *rest_form(const char *const pairs[][2]);

/* ---- the request before it is sent -------------------------------------------------------- */

/* What `sign` gets: everything is as it will be sent. */
struct rest_request {
	const char *method;
	const char *url; /* whole */
	const char *body;
	size_t body_len;
	struct http_header header[REST_HEADERS_MAX]; /* values are ours: rest_request_header */
	size_t header_count;
	int64_t now_s; /* wall clock */
};
/* Replaces one of that name; copies. */
void rest_request_header(struct rest_request *request, const char *name, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* ---- the table of a provider --------------------------------------------------------------- */

/* A credential: from NAME_file, else the output of NAME_command, else the environment. */
struct rest_secret {
	const char *name;
	const char *const *environment; /* customary variables, ended by NULL; or NULL */
	const char *path_variable;      /* one that has the path of its file; or NULL */
	bool required;
};

struct rest_api {
	const struct provider *provider; /* name, settings, limits */
	const struct rest_secret *secrets;
	size_t secret_count;
	size_t self_size; /* of rest_self(), zeroed at the start */

	/* MAY: checks settings, makes rest_self(); no traffic. */
	enum err_code (*open)(struct rest *rest, struct err *err);
	void (*close)(struct rest *rest); /* MAY: clears rest_self() */
	/* MAY: adds headers (authentication) to each request that goes below the endpoint. */
	enum err_code (*sign)(struct rest *rest, struct rest_request *request, struct err *err);
	/* MAY: gets a bearer token; asked again before it expires, and after a 401. */
	rest_step *token;

	/* MAY be NULL: there are no zones. Finds walk->suffix among the account's zones, or all. */
	rest_step *zone;
	/* MAY be NULL: what is there need not be known. REST_DONE without a request says so too. */
	rest_step *read;
	/* An API of records: both; with `read`, values have their id. */
	rest_step *create;
	rest_step *remove;
	/* An API of RRsets, or of values in them: this in place of create and remove. */
	rest_step *write;
	rest_step *finish; /* MAY: after the changes of a zone: makes them public */
	/* MAY: the vendor's sentence in an answer; else the usual members are looked for. */
	void (*said)(const struct rest_answer *answer, struct buf *out);

	/* MAY: words in the body of a 403 that say, as a 401 does, that the credential is not valid
	 * (any more), and not that it may not do this; ended by NULL. */
	const char *const *invalid;
	/* MAY: words in the body of a 400, 403, 409 or 423 that say, as a 429 does, that nothing
	 * was done and that it may be asked for again; ended by NULL. */
	const char *const *later;
	bool is_xml;
	bool refuses_twins;  /* create answers that it is there: no read before it */
	bool not_repeatable; /* create and write twice do something else than once */
	bool write_many;     /* write takes several sets */
	bool read_many;      /* read takes several: it makes walk->set the one that it tells of */
	unsigned gap_ms;     /* at least, between two requests */
	/* MAY: the setting that is the zone's id where `zone` is given too; else `zone_id` is, and
	 * where only that is given the zone is the one that the DNS has. "zone": names are ids. */
	const char *zone_id;
};

/*
 * A provider's `open`: settings endpoint, ca_file, timeout, zone and zone_id are read here, and
 * the secrets. The instance is a struct rest; the rest of the provider's members are these.
 */
enum err_code rest_open(const struct rest_api *api, const struct provider_host *host,
			const struct settings *given, void **instance, struct err *err) MUST_CHECK;
void *rest_apply_start(void *instance, const struct provider_batch *batch, provider_done *done,
		       void *arg);
void rest_apply_cancel(void *operation);
void rest_close(void *instance);

void *rest_self(const struct rest *rest);
const char *rest_setting(const struct rest *rest, const char *name); /* NULL: not given */
/* A setting, else the first of these variables that is not empty, ended by NULL; NULL: none. */
const char *rest_setting_or(const struct rest *rest, const char *name,
			    const char *const *variables);
bool rest_setting_true(const struct rest *rest, const char *name);
/* NULL: it is not given. What it says never stands in an error or a log. */
const char *rest_secret(const struct rest *rest, const char *name);
bool rest_has_secret(const struct rest *rest, const char *name); /* or will have it */
void rest_hide(struct rest *rest, const char *text);             /* this neither */
/* For sentences: "project", "my-project"; name NULL: it is not known (yet). */
void rest_account_is(struct rest *rest, const char *what, const char *name);
struct world *rest_world(const struct rest *rest);

/* ---- OAuth 2.0, for `token` ----------------------------------------------------------------- */

/* Asks for a token there, with a form of pairs that end with NULL; and takes what is answered. */
enum rest_next rest_ask_token(struct rest_walk *walk, const char *url,
			      const char *const pairs[][2]);
enum rest_next rest_take_token(struct rest_walk *walk, const struct rest_answer *answer);

/* A service account's key, as Google gives it; project NULL: it does not say. */
struct google_account;
enum err_code google_account_parse(const char *text, struct google_account **out,
				   struct err *err) MUST_CHECK;
void google_account_free(struct google_account *account); /* NULL is fine */
const char *google_account_project(const struct google_account *account);
/* Asks for a token by what it signs (RFC 7523). */
enum rest_next google_account_ask(const struct google_account *account, struct rest_walk *walk,
				  const char *url, const char *scope);

/* ---- AWS ------------------------------------------------------------------------------------ */

struct aws_keys {
	char *access_key; /* public */
	char *secret_key;
	char *session; /* NULL: they are not temporary */
};
void aws_keys_clear(struct aws_keys *keys); /* wipes */

/*
 * Where keys are looked for, as AWS's own tools do: settings and environment, the credentials
 * file, a container's and a machine's metadata. open finds out which; `token` of the API gets
 * those that are temporary, again before they expire.
 */
struct aws_source;
enum err_code aws_source_open(struct rest *rest, struct aws_source **out,
			      struct err *err) MUST_CHECK;
void aws_source_free(struct aws_source *source); /* NULL is fine */
enum rest_next aws_source_step(struct aws_source *source, struct rest_walk *walk,
			       const struct rest_answer *answer);
const struct aws_keys *aws_source_keys(const struct aws_source *source);

struct aws_scope {
	const char *region, *service; /* "us-east-1", "route53" */
};
/* Signature Version 4, of the host, the time, the session, the query and the body. */
void aws_sign(struct rest_request *request, const struct aws_keys *keys,
	      const struct aws_scope *scope);

/* Rows for a provider's settings table; each is followed by a comma where it stands. */
#define REST_ROW_ENDPOINT(url)                                                                  \
	{                                                                                       \
		.name = "endpoint", .type = SETTING_URL, .choices = "http://", .fallback = url, \
		.help = "URL of the API; http:// to loopback alone."                            \
	}
#define REST_ROW_CA_FILE                                                     \
	{                                                                    \
		.name = "ca_file", .type = SETTING_FILE,                     \
		.help = "Root certificates in PEM in place of the system's." \
	}
#define REST_ROW_TIMEOUT                                                                    \
	{                                                                                   \
		.name = "timeout", .type = SETTING_DURATION, .fallback = "5m", .min = 1000, \
		.max = 24 * 3600 * 1000,                                                    \
		.help = "How long the changes of a zone may take, with all that is tried "  \
			"again and every pause that the API asks for."                      \
	}
#define REST_ROW_ZONE                                                                       \
	{                                                                                   \
		.name = "zone", .type = SETTING_NAME,                                       \
		.help = "The zone at the API. Left out: the API is asked for every suffix " \
			"of the owner name, the longest first."                             \
	}
#define REST_ROW_ZONE_ID                                                                     \
	{                                                                                    \
		.name = "zone_id", .type = SETTING_STRING,                                   \
		.help = "The zone's identifier at the API, which is then not asked for it; " \
			"for a credential that may not list zones."                          \
	}
#define AWS_ROWS                                                                                   \
	{ .name = "access_key_id",                                                                 \
	  .type = SETTING_STRING,                                                                  \
	  .help = "The access key's identifier, which goes with secret_access_key_file." },        \
		REST_ROWS_SECRET("secret_access_key", "the secret access key"),                    \
		REST_ROWS_SECRET("session_token", "the session token of temporary keys"),          \
		{ .name = "profile",                                                               \
		  .type = SETTING_STRING,                                                          \
		  .help = "A profile of the credentials file ($AWS_SHARED_CREDENTIALS_FILE, else " \
			  "~/.aws/credentials)." },                                                \
		{ .name = "metadata_endpoint",                                                     \
		  .type = SETTING_URL,                                                             \
		  .choices = "http://",                                                            \
		  .fallback = "http://169.254.169.254",                                            \
		  .help = "Where a machine gets the keys of its role." },                          \
	{                                                                                          \
		.name = "container_endpoint", .type = SETTING_URL, .choices = "http://",           \
		.fallback = "http://169.254.170.2",                                                \
		.help = "Where a container gets the keys of its role."                             \
	}
#define REST_ROWS_SECRET(secret_name, what)                                                     \
	{ .name = secret_name "_file",                                                          \
	  .type = SETTING_FILE,                                                                 \
	  .secret = true,                                                                       \
	  .help = "File with " what "." },                                                      \
	{                                                                                       \
		.name = secret_name "_command", .type = SETTING_STRINGS,                        \
		.help = "Program, by its whole path, and its arguments, that prints " what ". " \
			"In place of " secret_name "_file."                                     \
	}

#endif
