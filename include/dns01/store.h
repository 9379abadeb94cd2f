/*
 * store: what outlives a process. The journal (the only user of SQLite), locks
 * between processes, accounts and lineages on disk.
 *
 * The state folder:
 *   journal.db            every TXT value of ours that may be in DNS
 *   holders zones.lock    bytes that living processes hold locked
 *   accounts/NAME/        account.key account.json; next.key and lock while its key changes
 *   renewals.db           what renewal remembers
 *   mishaps.json          what failed lately
 *   certs/NAME/           current -> vNNNN/ {privkey,cert,chain,fullchain}.pem lineage.conf
 *                         lineage.conf -> current/lineage.conf
 *                         privkey.pem ... -> current/privkey.pem ...  where something was deployed
 *                         pending/ {privkey.pem order.json}   lock
 */
#ifndef DNS01_STORE_H
#define DNS01_STORE_H

#include "dns01/crypto.h"
#include "dns01/world.h"

/* ---- the folder ------------------------------------------------------------------- */

/* Makes the state folder where it is not: 0750 by root, 0700 by a plain user. Journal and lock
 * files that root makes in it are given to the folder's owner and group (0660), so that a
 * daemon of that user can use them; accounts and certificates stay with who made them. */
enum err_code state_open(const char *path, struct err *err) MUST_CHECK;

/* ---- locks ------------------------------------------------------------------------ */

/* An open-file-description lock: it dies with its holder, whatever happens. */
struct lock;

/* Never waits: ERR_BUSY when another holds it; the caller tries again by a timer. */
enum err_code lock_try_file(const char *path, struct lock **out, struct err *err) MUST_CHECK;
/* One byte of state/zones.lock, chosen by a digest of key. */
enum err_code lock_try_zone(const char *state, const char *key, struct lock **out,
			    struct err *err) MUST_CHECK;
void lock_release(struct lock *lock); /* NULL is fine */

#define LOCK_RETRY_US 20000

/* ---- journal ---------------------------------------------------------------------- */

struct journal;

#define JOURNAL_VERSION 3
#define JOURNAL_VALUE_MAX 1024
#define JOURNAL_PLAN_MAX 4096 /* rows in one plan */

/* Opens or makes state/journal.db: WAL, synchronous=FULL, forward migration; a newer
 * file is refused with a sentence (by the first call, if another process is just making the
 * file). Keeps world. */
enum err_code journal_open(struct world *world, const char *state, struct journal **out,
			   struct err *err) MUST_CHECK;
/* Writes the settled rows that still wait, then closes; a living process lease ends. */
void journal_close(struct journal *journal);
/* For the simulator's kill: drops everything in memory, writes nothing. */
void journal_abandon(struct journal *journal);

enum lease_kind {
	LEASE_PROCESS, /* lives while this journal is open in this process */
	LEASE_TIMED    /* lives for duration_s */
};

struct lease_spec {
	enum lease_kind kind;
	/* Of LEASE_TIMED, at most ten years. Should the wall clock go back to before the lease
	 * was granted, it lives for this long from when that is noticed. */
	int64_t duration_s;
	const char *requester; /* "issue example.com", "hook certbot", a client's name */
};

enum journal_state {
	JOURNAL_WANTED = 1,    /* may be in DNS: the intent is written, nothing acknowledged */
	JOURNAL_APPLIED = 2,   /* acknowledged by the provider */
	JOURNAL_RETRACTING = 3 /* no lease lives; may still be in DNS */
};

/* A row as one plan or list found it: the next plan of it gives another ticket. */
struct journal_ref {
	int64_t row_id;
	int64_t ticket;
	int64_t place; /* of a plan's rows: its zone and provider */
};

/* One TXT value, with all that is needed to remove it without the configuration. */
struct journal_row {
	struct journal_ref ref;
	enum journal_state state;
	char *owner;
	char *value;
	char *zone;
	char *view;
	char *provider;      /* its name, for people */
	char *provider_conf; /* type and settings as JSON; names files, holds no secret */
	int64_t ttl_s;
	int64_t created_at; /* Unix time, s */
	int64_t lease_id;   /* in a plan's wanted: the lease it got; in lists: of requester's */
	char *requester;    /* in lists: of the newest lease; "" when none lives */
	int64_t expires_at; /* in lists: 0 for process leases */
	char *asked;        /* in lists: of that lease, as in journal_want */
};

struct journal_want {
	const char *owner;
	const char *value;
	const char *view;
	int64_t ttl_s;
	/* The identifier whose challenge an alias led to owner; NULL: owner itself tells it. */
	const char *asked;
	struct lease_spec lease; /* each want its own: a batch has many requesters */
};

/* A lease that ends, and the row that it is on (of a plan's wanted, or of a list). */
struct journal_let_go {
	int64_t lease_id;
	int64_t row_id;
	const char *owner;
	const char *value;
};

/*
 * What shall happen next to one zone through one provider; the caller holds the
 * zone's lock. In one synced transaction: wants become rows with a lease (an
 * existing row of the same value is shared), leases in let_go end, and rows of
 * this zone and provider without a living lease become RETRACTING.
 */
struct journal_plan {
	const char *zone;
	const char *provider;
	const char *provider_conf;
	const struct journal_want *wants;
	size_t want_count;
	const struct journal_let_go *let_go;
	size_t let_go_count;
};

/* rows are borrowed for the call. wanted[i] answers wants[i]: its ref, lease and state; APPLIED
 * means that it is in DNS already. retract: rows to be removed now, with owner and value. What
 * else a row has, the caller knows. */
struct journal_planned {
	const struct journal_row *wanted;
	size_t wanted_count;
	const struct journal_row *retract;
	size_t retract_count;
};
typedef void journal_plan_done(void *arg, const struct err *err,
			       const struct journal_planned *planned);

struct journal_call;
struct journal_call *journal_plan_start(struct journal *journal, const struct journal_plan *plan,
					journal_plan_done *done, void *arg);

enum journal_outcome {
	JOURNAL_PUT,    /* the add was acknowledged: APPLIED */
	JOURNAL_GONE,   /* the removal was acknowledged: the row goes */
	JOURNAL_REFUSED /* the add was surely not done: a row never APPLIED goes */
};
struct journal_result {
	struct journal_ref ref;
	enum journal_outcome outcome;
};
/* A result counts only for a row that is still as the plan left it: WANTED for PUT and
 * REFUSED, RETRACTING for GONE (another process may have wanted the value again meanwhile);
 * REFUSED, moreover, only for a row that this plan made (an older one may be in DNS).
 * Remembered at once and written with the next plan, list or close (a crash before that
 * only makes the next start remove it once more). No callback. */
void journal_settle(struct journal *journal, const struct journal_result *results, size_t count);

/* Which rows; NULL: whatever it is. */
struct journal_match {
	const char *owner;
	const char *value;
	const char *requester; /* of a lease that lives */
	const char *asked;     /* of that lease */
};
typedef void journal_list_done(void *arg, const struct err *err, const struct journal_row *rows,
			       size_t count);
struct journal_call *journal_list_start(struct journal *journal, const struct journal_match *match,
					journal_list_done *done, void *arg);
/* A row for each living timed lease, with its lease_id, requester and expires_at; those of one
 * requester, owner and value stand side by side. */
struct journal_call *journal_leases_start(struct journal *journal, journal_list_done *done,
					  void *arg);
/* Ends leases on the rows that match: those of match->requester and match->asked, or all.
 * Gives the rows as they were before; the next plan of their zones removes what nobody holds
 * any more. */
struct journal_call *journal_revoke_start(struct journal *journal,
					  const struct journal_match *match,
					  journal_list_done *done, void *arg);
/* Rows whose leases are all dead, for sweeping; grouped by (zone, provider_conf). */
struct journal_call *journal_orphans_start(struct journal *journal, journal_list_done *done,
					   void *arg);
void journal_call_cancel(struct journal_call *call);

/* ---- the broker's clients and tokens --------------------------------------------------- */

/* state/clients.db, shared by the daemon and by `dns01 client` and `dns01 token`: what is
 * changed holds from the next request on. Answers at once; made for 40,000 clients. */
struct clients;

#define CLIENTS_VERSION 1
#define TOKENS_LIVE_MAX 2 /* of one client and kind and bound name: the old one and the new one */

struct client_row {
	char *name;
	char *grant; /* a JSON object; the store reads its "names" and "under" alone */
	bool disabled;
	int64_t created_at; /* Unix time, s */
	size_t tokens;      /* live ones; in lists */
};

struct token_row {
	char *id; /* public: 16 lower-case hexadecimal digits; for tsig the key's name */
	char *client;
	char *kind;               /* "api", "httpreq", "acmedns", "tsig" */
	uint8_t hash[SHA256_LEN]; /* SHA-256 of the secret; zeros for tsig */
	char *secret; /* of tsig: the key as BIND writes it, since a MAC needs the secret itself */
	char *bound;  /* of acmedns: the name that it may publish; else NULL */
	int64_t created_at;
	int64_t expires_at; /* 0: never */
	int64_t revoked_at; /* 0: no */
	int64_t used_at;    /* 0: never */
	char *used_from;    /* NULL: never */
};

enum err_code clients_open(const char *state, struct clients **out, struct err *err) MUST_CHECK;
void clients_close(struct clients *clients); /* NULL is fine */

/* Another number after another process changed something: what was read before is old then. */
enum err_code clients_version(struct clients *clients, int64_t *out, struct err *err) MUST_CHECK;
/* ERR_EXISTS when there is one of that name. */
enum err_code clients_add(struct clients *clients, const char *name, const char *grant,
			  int64_t now_s, struct err *err) MUST_CHECK;
/* Replaces its grant. ERR_NOT_FOUND. */
enum err_code clients_set_grant(struct clients *clients, const char *name, const char *grant,
				struct err *err) MUST_CHECK;
enum err_code clients_set_disabled(struct clients *clients, const char *name, bool disabled,
				   struct err *err) MUST_CHECK;
/* Gives for client_row_free; ERR_NOT_FOUND. */
enum err_code clients_find(struct clients *clients, const char *name, struct client_row **out,
			   struct err *err) MUST_CHECK;
/* Each in the order of names; row is borrowed. */
typedef void client_each(void *arg, const struct client_row *row);
enum err_code clients_list(struct clients *clients, int64_t now_s, client_each *each, void *arg,
			   struct err *err) MUST_CHECK;
/* Whether a client other than `but` (NULL: none) has a name or an under strictly below name. */
enum err_code clients_any_below(struct clients *clients, const char *name, const char *but,
				bool *out, struct err *err) MUST_CHECK;
void client_row_free(struct client_row *row);

/* The client must be there. ERR_LIMIT: TOKENS_LIVE_MAX live ones already; ERR_EXISTS: the id. */
enum err_code tokens_add(struct clients *clients, const struct token_row *row,
			 struct err *err) MUST_CHECK;
/* Gives for token_row_free, expired and revoked ones too; ERR_NOT_FOUND. */
enum err_code tokens_find(struct clients *clients, const char *id, struct token_row **out,
			  struct err *err) MUST_CHECK;
typedef void token_each(void *arg, const struct token_row *row);
/* client: NULL for all. In the order of client and creation. */
enum err_code tokens_list(struct clients *clients, const char *client, token_each *each, void *arg,
			  struct err *err) MUST_CHECK;
enum err_code tokens_revoke(struct clients *clients, const char *id, int64_t now_s,
			    struct err *err) MUST_CHECK;
struct token_use {
	const char *id;
	const char *from;
	int64_t at_s;
};
/* All in one transaction. */
enum err_code tokens_used(struct clients *clients, const struct token_use *uses, size_t count,
			  struct err *err) MUST_CHECK;
void token_row_free(struct token_row *row); /* wipes */

/* ---- mishaps: what failed lately --------------------------------------------------------- */

/* Of hooks and of the broker's clients: a log for people, of the last ones alone. */
struct mishap {
	int64_t at_s;     /* Unix time */
	const char *who;  /* "hook certbot", or a client of the broker */
	const char *name; /* NULL: none alone */
	const char *code; /* err_code_name */
	const char *text; /* the sentence */
};
void mishap_note(const char *state, const struct mishap *mishap);
/* The last `most` of them, the oldest first; each is borrowed for the call. */
typedef void mishap_each(void *arg, const struct mishap *mishap);
void mishap_list(const char *state, size_t most, mishap_each *each, void *arg);

/* ---- backup ---------------------------------------------------------------------------- */

/* A consistent copy of one of the databases (`name`: "journal.db") to path, while others write. */
enum err_code state_db_copy(const char *state, const char *name, const char *path,
			    struct err *err) MUST_CHECK;

/* ---- accounts --------------------------------------------------------------------- */

struct account_record {
	char *directory;  /* URL of the CA */
	char *url;        /* the kid; NULL until registered */
	bool deactivated; /* by us: RFC 8555 s.7.3.6, for good */
	struct key *key;
	/* A change of keys is not over: the CA has to be asked whether the account is this one's,
	 * then account_take_next() or account_drop_next(). NULL: there is none, or another process
	 * is at it. With it the record holds the account's lock, and knows its folder. */
	struct key *next;
	int64_t next_at; /* Unix time, s: when it was written */
	struct lock *lock;
	char *folder;
};

/* ERR_NOT_FOUND: no such account yet. Gives for account_record_free. */
enum err_code account_load(const char *state, const char *name, struct account_record **out,
			   struct err *err) MUST_CHECK;
/* The key is written (0600, synced) before anything is sent with it; saved again
 * with the URL once the CA told it. ERR_EXISTS: the account has another key already, as when
 * two processes make it at once; load that. */
enum err_code account_save(const char *state, const char *name, const struct account_record *record,
			   struct err *err) MUST_CHECK;
/* Of all that the state folder has, sorted. */
enum err_code account_names(const char *state, struct strlist *out, struct err *err) MUST_CHECK;
/* Forgets its key: for what made it by mistake alone. ERR_NOT_FOUND. */
enum err_code account_remove(const char *state, const char *name, struct err *err) MUST_CHECK;
void account_record_free(struct account_record *record);
/* Before the CA is asked to change keys: the new one beside the old one, synced; it is record->next
 * then (takes key, also on failure). ERR_EXISTS: record has one. ERR_BUSY: another process changes
 * the keys of this account. */
enum err_code account_save_next(const char *state, const char *name, struct account_record *record,
				struct key *key, struct err *err) MUST_CHECK;
/* The CA took the new key: in one step it is the account's. Ends the lock. */
enum err_code account_take_next(struct account_record *record, struct err *err) MUST_CHECK;
/* The CA has not taken it, and will not. Ends the lock. */
enum err_code account_drop_next(struct account_record *record, struct err *err) MUST_CHECK;
/* A name for an account known only by its directory URL: its host and a digest. Gives. */
char *account_name_for(const char *directory);

/* ---- lineages --------------------------------------------------------------------- */

struct lineage;

/* Refuses names that are no single path component; makes the folder (0700). */
enum err_code lineage_open(const char *state, const char *name, struct lineage **out,
			   struct err *err) MUST_CHECK;
void lineage_free(struct lineage *lineage); /* releases its lock */
/* Two processes never issue one lineage at once: ERR_BUSY names the file. */
enum err_code lineage_lock(struct lineage *lineage, struct err *err) MUST_CHECK;
const char *lineage_folder(const struct lineage *lineage); /* absolute */

/* An order in progress: its key and URL, on disk and synced before finalize. */
struct pending_order {
	char *directory; /* CA */
	char *account_url;
	char *order_url;
	struct strlist names; /* sorted */
	char *profile;        /* NULL: none */
	struct key *key;
};
enum err_code lineage_save_pending(struct lineage *lineage, const struct pending_order *pending,
				   struct err *err) MUST_CHECK;
/* ERR_NOT_FOUND: none. Gives for pending_order_free. */
enum err_code lineage_load_pending(struct lineage *lineage, struct pending_order **out,
				   struct err *err) MUST_CHECK;
enum err_code lineage_drop_pending(struct lineage *lineage, struct err *err) MUST_CHECK;
void pending_order_free(struct pending_order *pending);

struct lineage_set {
	const struct key *key;
	const struct chain *chain;
	const char *conf; /* the text of lineage.conf */
};
/* A new version folder, synced, then one atomic switch of `current`; then pending is
 * dropped; the last five versions stay. Takes the lineage's lock where that was not done.
 * Gives the path of `current`. */
enum err_code lineage_store(struct lineage *lineage, const struct lineage_set *set, char **current,
			    struct err *err) MUST_CHECK;
/* Tells whether `current` is what it was, without reading it: what it points to, since when, and
 * whether its chain or its key were changed in place.
 * NULL: there is none. Gives. */
enum err_code lineage_stamp(const char *state, const char *name, char **out,
			    struct err *err) MUST_CHECK;
/* The current chain; ERR_NOT_FOUND: none yet. */
enum err_code lineage_load(struct lineage *lineage, struct chain **out, struct err *err) MUST_CHECK;
/* Key and chain that are there now, of one version, and that fit each other; nothing is made or
 * locked. ERR_NOT_FOUND: none yet. Gives for lineage_current_clear. */
struct lineage_current {
	struct key *key;
	struct chain *chain;
};
enum err_code lineage_read(const char *state, const char *name, struct lineage_current *out,
			   struct err *err) MUST_CHECK;
void lineage_current_clear(struct lineage_current *current);
/* What is told of its leaf alone, cheaply (chain_facts_parse): neither the rest of its chain nor
 * its key is looked at, nothing is made or locked. ERR_NOT_FOUND: none yet; ERR_PROTOCOL or
 * ERR_LIMIT: what is there is none. Gives for chain_facts_clear. */
enum err_code lineage_facts(const char *state, const char *name, struct chain_facts *out,
			    struct err *err) MUST_CHECK;
/* Makes the links certs/NAME/{privkey,cert,chain,fullchain}.pem into current, for programs that
 * know certbot's folders. */
enum err_code lineage_link(const char *state, const char *name, struct err *err) MUST_CHECK;
/* Why the last run failed, and when (Unix time, s); dropped by the next success. */
enum err_code lineage_save_failure(struct lineage *lineage, const struct err *failure, int64_t at_s,
				   struct err *err) MUST_CHECK;
bool lineage_load_failure(struct lineage *lineage, struct err *failure, int64_t *at_s);
/* The same of one that is only looked at: nothing is made. */
bool lineage_read_failure(const char *state, const char *name, struct err *failure, int64_t *at_s);
void lineage_drop_failure(struct lineage *lineage);
/* Removes the lineage with its keys. ERR_NOT_FOUND; ERR_BUSY while another process is at work on
 * it. What renewals.db has of it stays. */
enum err_code lineage_remove(const char *state, const char *name, struct err *err) MUST_CHECK;
/* Names of all lineages, sorted. */
enum err_code lineage_names(const char *state, struct strlist *out, struct err *err) MUST_CHECK;

/* ---- renewals: what is remembered from one run to the next --------------------------- */

/*
 * state/renewals.db: plans for 40,000 lineages are made from it in one look. The certificates
 * on disk are what counts: a row that is missing, or of another stamp than `current`, is made
 * anew from them, which takes half as long again for all of them.
 */
struct renewals;

#define RENEWALS_VERSION 3

struct renewal {
	char *lineage;
	/* the certificate that is there; serial NULL: none was issued yet */
	char *stamp; /* lineage_stamp() of it */
	char *serial;
	int64_t not_before, not_after; /* Unix time, s */
	char *issuer;
	char *names; /* of the SAN, sorted, blanks between */
	char *key_type;
	char *cert_id; /* RFC 9773 s.4.1; NULL: it has no AKI */
	/* how it was ordered; account NULL: not known */
	char *account;   /* the configuration's name */
	char *directory; /* of its CA */
	char *profile;   /* as asked for; NULL: none */
	char *wish;      /* the profiles of the configuration then, blanks between; "": none */
	char *chain;     /* the root that the configuration named then; "": none */
	int64_t issued_at;
	int64_t revoked_at; /* by `dns01 revoke`; 0: it was not */
	/* when it is due: by ARI, and by its lifetime where there is no such answer */
	int64_t window_start, window_end; /* 0: no answer */
	int64_t draw_at;                  /* one uniform draw, kept as long as the window stays */
	bool hurried;      /* the window was moved into the past: the CA is about to revoke it */
	char *explanation; /* URL */
	int64_t ask_at;    /* the CA is not asked before */
	unsigned ask_failures; /* one after another */
	int64_t jitter_ppm;    /* of its lifetime; drawn once for this certificate */
	/* since the last success */
	unsigned failures;
	unsigned refusals; /* of these, those that were the CA's verdict, and count with it */
	int64_t failed_at, retry_at;
	char *failure; /* the sentence; NULL: none */
	bool paused;   /* the CA wants a person: no retry until --force */
};

enum err_code renewals_open(const char *state, struct renewals **out, struct err *err) MUST_CHECK;
void renewals_close(struct renewals *renewals); /* NULL is fine */
/* Everything between the two is written at once, or not at all: each write of its own waits for
 * the disk. renewals_end commits when code is ERR_NONE, and gives the outcome. */
enum err_code renewals_begin(struct renewals *renewals, struct err *err) MUST_CHECK;
/* As renewals_begin, but does not wait: ERR_BUSY while another process writes. */
enum err_code renewals_try_begin(struct renewals *renewals, struct err *err) MUST_CHECK;
enum err_code renewals_end(struct renewals *renewals, enum err_code code, struct err *err);
/* Gives for renewal_free; ERR_NOT_FOUND. */
enum err_code renewals_get(struct renewals *renewals, const char *lineage, struct renewal **out,
			   struct err *err) MUST_CHECK;
enum err_code renewals_put(struct renewals *renewals, const struct renewal *row,
			   struct err *err) MUST_CHECK;
/* For a row that was made from disk, after before was read (NULL: there was no row): what another
 * process put or removed since stays as it is. By the stamp; between begin and end. */
enum err_code renewals_replace(struct renewals *renewals, const struct renewal *before,
			       const struct renewal *row, struct err *err) MUST_CHECK;
/* Its deployments go with it. */
enum err_code renewals_remove(struct renewals *renewals, const char *lineage,
			      struct err *err) MUST_CHECK;
/* Each in the order of names; row is borrowed. */
typedef void renewal_each(void *arg, const struct renewal *row);
enum err_code renewals_list(struct renewals *renewals, renewal_each *each, void *arg,
			    struct err *err) MUST_CHECK;
struct renewal *renewal_copy(const struct renewal *row); /* gives */
void renewal_free(struct renewal *row);

/* Orders of an account, for its CA's limit: noted before newOrder is sent, so that the CA counts
 * each a little later, one more than another. */
#define ORDERS_WINDOW_S ((int64_t)3 * 3600 + 5)
enum err_code renewals_note_order(struct renewals *renewals, const char *account, int64_t at_s,
				  struct err *err) MUST_CHECK;
/* Those in ORDERS_WINDOW_S before now. What was noted up to as much ahead of now counts too: the
 * clock went back. */
struct orders_made {
	size_t count;
	int64_t oldest_s; /* 0: none */
};
enum err_code renewals_orders(struct renewals *renewals, const char *account, int64_t now_s,
			      struct orders_made *out, struct err *err) MUST_CHECK;

/*
 * Validations that failed, of an account and a name (a wildcard's is of the name that it stands
 * below): public CAs allow so many in an hour, then refuse to try. All names are noted together.
 */
#define FAILED_VALIDATIONS_MAX 5
struct failed_validations {
	const char *account;
	const struct strlist *names;
	int64_t at_s;
};
enum err_code renewals_note_failed(struct renewals *renewals,
				   const struct failed_validations *failed,
				   struct err *err) MUST_CHECK;
/* When so many more may fail without passing the limit: now, or later. What was noted up to an
 * hour ahead of now counts: the clock went back. More times than the limit are taken for it. */
struct may_fail {
	const char *account, *name;
	size_t times; /* 1: the name alone, or its wildcard; 2: both */
	int64_t now_s;
};
enum err_code renewals_may_fail_at(struct renewals *renewals, const struct may_fail *ask,
				   int64_t *at_s, struct err *err) MUST_CHECK;

/*
 * One thing to do with each new certificate of a lineage: a command or an export. It is due while
 * its serial is not the lineage's, so that a crash at any point leaves it due.
 */
struct deployment {
	char *lineage;
	char *what;   /* the command as a JSON array, or "export LAYOUT PATH" */
	char *serial; /* of the certificate that it was last done with; NULL: never */
	unsigned failures;
	int64_t failed_at, retry_at;
	char *failure; /* the sentence; NULL: none */
};
enum err_code deployments_put(struct renewals *renewals, const struct deployment *row,
			      struct err *err) MUST_CHECK;
typedef void deployment_each(void *arg, const struct deployment *row);
/* lineage: NULL for all. */
enum err_code deployments_list(struct renewals *renewals, const char *lineage,
			       deployment_each *each, void *arg, struct err *err) MUST_CHECK;
/* Those of lineage that are not in keep go: the configuration has them no more. */
enum err_code deployments_keep(struct renewals *renewals, const char *lineage,
			       const struct strlist *keep, struct err *err) MUST_CHECK;

/* Events that people are told: whether now is the time, because it is new or its reminder is due;
 * then it counts as told. */
struct told_event {
	const char *key; /* "renewal-failed edge" */
	int64_t now_s;
	int64_t remind_s; /* it is told again after this */
};
enum err_code events_due(struct renewals *renewals, const struct told_event *event, bool *due,
			 struct err *err) MUST_CHECK;
/* It is over: the next one is new. */
enum err_code events_over(struct renewals *renewals, const char *key, struct err *err) MUST_CHECK;

#endif
