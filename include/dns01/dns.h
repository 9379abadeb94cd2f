/*
 * dns: the only user of ldns (to read and build names, RRs and packets) and of
 * libidn2. Wire, transport, TSIG, UPDATE, zone cut, alias chain, and the
 * authoritative servers of a zone.
 *
 * A name is text everywhere above this module: absolute, lower case, A-labels,
 * without the trailing dot, special octets as \DDD; the root is ".". Two names
 * are equal when strcmp says so. An address is asked on its own port.
 */
#ifndef DNS01_DNS_H
#define DNS01_DNS_H

#include "dns01/crypto.h"
#include "dns01/world.h"

/* ---- names ----------------------------------------------------------- */

#define NAME_TEXT_MAX 1024 /* RFC 1035 s.5.1: 255 octets, each at most \DDD */

/* What a person or a file wrote (IDN, upper case, trailing dot) to the form
 * above. "*." in front stays. ERR_USAGE says what is wrong with it. */
enum err_code name_parse(const char *text, char out[NAME_TEXT_MAX], struct err *err) MUST_CHECK;
/* True for name itself and everything below, on label boundaries. */
bool name_under(const char *name, const char *ancestor);
const char *name_parent(const char *name); /* borrowed from name; "." has none: NULL */
size_t name_labels(const char *name);      /* "." has 0 */
bool name_is_wildcard(const char *name);
const char *name_base(const char *name); /* without a leading "*." */
/* "_acme-challenge." and the base of name; RFC 8555 s.8.4. */
enum err_code name_challenge(const char *name, char out[NAME_TEXT_MAX], struct err *err) MUST_CHECK;
/* For people: U-labels where that is safe to show; gives. */
char *name_display(const char *name);

/* ---- messages --------------------------------------------------------- */

enum {
	DNS_TYPE_A = 1,
	DNS_TYPE_NS = 2,
	DNS_TYPE_CNAME = 5,
	DNS_TYPE_SOA = 6,
	DNS_TYPE_TXT = 16,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_DNAME = 39,
	DNS_TYPE_ANY = 255
};

enum {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
	DNS_NOTAUTH = 9,
	DNS_NOTZONE = 10
};

enum dns_section { DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL };

#define DNS_RR_MAX 2000 /* in one message; more is refused */

/* One record, decoded as far as dns01 needs it; unknown types keep no data. */
struct dns_rr {
	char *owner;
	enum dns_section section;
	uint16_t type;
	uint32_t ttl_s;
	char *target;     /* NS, CNAME, DNAME; SOA: its MNAME */
	struct addr addr; /* A, AAAA; port 53 */
	char *txt;        /* TXT: all strings joined; may hold NULs */
	size_t txt_len;
	uint32_t soa_serial;
	uint32_t soa_minimum_s;
};

struct dns_msg {
	uint8_t rcode;
	bool aa, tc;
	struct dns_rr *rr;
	size_t rr_count;
};

const char *dns_rcode_name(unsigned rcode); /* "NXDOMAIN"; "RCODE 23" */
const char *dns_type_name(unsigned type);
void dns_msg_free(struct dns_msg *msg);
/* The first record of that owner (NULL: any), type and section, or NULL. */
const struct dns_rr *dns_msg_find(const struct dns_msg *msg, enum dns_section section,
				  const char *owner, uint16_t type);
bool dns_msg_has_txt(const struct dns_msg *msg, const char *owner, const char *value);

/* ---- TSIG (RFC 8945) --------------------------------------------------- */

#define TSIG_SECRET_MAX 512
#define TSIG_FUDGE_S 300

struct tsig_key {
	char name[NAME_TEXT_MAX];
	enum mac_alg alg;
	uint8_t secret[TSIG_SECRET_MAX];
	size_t secret_len;
};

/*
 * BIND's `key "name" { algorithm hmac-sha256; secret "..."; };` as it stands in
 * a file (comments too); file mode as file_read_secret asks. hmac-md5 is always
 * refused, hmac-sha1 unless allow_sha1. Gives a key for tsig_key_free().
 */
enum err_code tsig_key_load(const char *path, bool allow_sha1, struct tsig_key **out,
			    struct err *err) MUST_CHECK;
/* The same for text that is here already; source is named in errors. */
struct tsig_key_text {
	const char *text;
	size_t len;
	const char *source;
	bool allow_sha1;
};
enum err_code tsig_key_parse(const struct tsig_key_text *from, struct tsig_key **out,
			     struct err *err) MUST_CHECK;
void tsig_key_free(struct tsig_key *key);    /* wipes; NULL is fine */
const char *tsig_alg_name(enum mac_alg alg); /* "hmac-sha256" */
bool tsig_alg_parse(const char *text, enum mac_alg *out);

/* Signs wire in place (appends TSIG, ARCOUNT + 1). mac_out keeps the request's MAC
 * for tsig_verify_reply. */
struct tsig_mac {
	uint8_t mac[MAC_MAX];
	size_t len;
};
enum err_code tsig_sign(struct buf *wire, const struct tsig_key *key, int64_t now_s,
			struct tsig_mac *mac_out, struct err *err) MUST_CHECK;
/*
 * RFC 8945 s.5.3, in full: TSIG last and alone, key name, algorithm, MAC of
 * full length in constant time, time within fudge, error field. On ERR_NONE the
 * message may be believed. Otherwise the sentence tells people the likely cause
 * (unsigned refusal, BADKEY, BADSIG, BADTIME with the clock's offset); *hopeless
 * is true when waiting for a better reply is pointless (an error reply about
 * our own signature), false when it may be a forgery and the true one may come.
 */
struct tsig_reply {
	const uint8_t *wire;
	size_t len;
	const struct tsig_mac *request; /* what tsig_sign kept */
	int64_t now_s;
};
enum err_code tsig_verify_reply(const struct tsig_reply *reply, const struct tsig_key *key,
				bool *hopeless, struct err *err) MUST_CHECK;

/* ---- answering: what strangers send us (the UPDATE door) ------------------ */

enum { DNS_OPCODE_QUERY = 0, DNS_OPCODE_UPDATE = 5 };
enum { DNS_YXDOMAIN = 6, DNS_YXRRSET = 7, DNS_NXRRSET = 8 };
enum { DNS_CLASS_IN = 1, DNS_CLASS_NONE = 254, DNS_CLASS_ANY = 255 };
#define DNS_REQUEST_RR_MAX 512 /* prerequisites and updates of one message */

/* A record of a prerequisite or update section. */
struct dns_request_rr {
	char *owner;
	uint16_t type, class_;
	uint32_t ttl_s;
	bool has_data; /* RDLENGTH > 0 */
	char *txt;     /* TXT with data: its strings joined, NUL follows; else NULL */
	size_t txt_len;
};

/* The TSIG record of a request, not verified. */
struct tsig_claim {
	char key[NAME_TEXT_MAX];
	char alg[NAME_TEXT_MAX];
	struct tsig_mac mac;
	int64_t time_s;
	uint16_t fudge_s;
};

struct dns_request {
	uint16_t id;
	unsigned opcode;
	bool recursion_desired, edns;
	size_t udp_max;           /* octets of a reply by UDP: 512, or what EDNS says up to 1232 */
	char name[NAME_TEXT_MAX]; /* the question's name, or the zone of an UPDATE */
	uint16_t type, class_;
	struct dns_request_rr *prerequisite;
	size_t prerequisite_count;
	struct dns_request_rr *update;
	size_t update_count;
	struct tsig_claim *tsig; /* NULL: unsigned */
};

/* Gives; *rcode says how to refuse what cannot be read (FORMERR, NOTIMP). ERR_PROTOCOL with
 * *rcode of 0: not even a header of a request, so no reply. */
enum err_code dns_request_parse(const uint8_t *wire, size_t len, struct dns_request **out,
				unsigned *rcode, struct err *err) MUST_CHECK;
void dns_request_free(struct dns_request *request);

/* RFC 8945 s.5.2, in its order: key and algorithm, MAC (whole length), time. */
enum tsig_verdict {
	TSIG_VERIFIED = 0,
	TSIG_IS_BADSIG = 16,
	TSIG_IS_BADKEY = 17,
	TSIG_IS_BADTIME = 18
};
/* key: NULL when no such key is known. */
enum tsig_verdict tsig_verify_request(const uint8_t *wire, size_t len,
				      const struct dns_request *request, const struct tsig_key *key,
				      int64_t now_s);

/* A record of an answer: exactly one of txt and soa_zone is not NULL. */
struct dns_answer_rr {
	enum dns_section section;
	const char *owner;
	uint32_t ttl_s;
	const char *txt;       /* at most 255 octets */
	const char *soa_mname; /* SOA: the other fields are made up, with this serial */
	uint32_t soa_serial;
};

struct dns_reply {
	unsigned rcode;
	bool aa;
	const struct dns_answer_rr *rr;
	size_t rr_count;
	size_t max; /* octets; over it: TC and no records */
	/* TSIG: unsigned with key NULL and no verdict. BADKEY, BADSIG: an unsigned TSIG record
	 * (s.5.3.2); BADTIME: signed, with our clock. */
	const struct tsig_key *key;
	enum tsig_verdict verdict;
	int64_t now_s;
};
/* request may be NULL: then the header of wire is answered (FORMERR). out is initialised by
 * the call. */
void dns_reply_build(struct buf *out, const uint8_t *wire, const struct dns_request *request,
		     const struct dns_reply *reply);

/* ---- asking: one client for a process ----------------------------------- */

/*
 * Keeps to each address's budget: at most DNS_UDP_PER_S datagrams a second to
 * one address; what is over it, or would be truncated, goes over one TCP
 * connection, kept for DNS_TCP_IDLE_MS and pipelined. EDNS 1232, again without EDNS on
 * FORMERR. Replies are checked for ID, question, opcode, QR, and source (by connected
 * sockets); what does not fit is ignored until the deadline.
 */
#define DNS_UDP_PER_S 50
#define DNS_TCP_IDLE_MS 10000
#define DNS_PORT 53

struct dns_client;

struct dns_client *dns_client_new(struct world *world); /* keeps world */
void dns_client_free(struct dns_client *client);        /* no callbacks, no packets */
/* UPDATE messages that were sent so far, those sent again included. */
uint64_t dns_client_updates(const struct dns_client *client);

enum dns_transport { DNS_AUTO, DNS_UDP, DNS_TCP };

struct dns_ask {
	struct addr server;
	const char *name;
	uint16_t type;
	bool recurse;                 /* RD */
	const struct tsig_key *key;   /* NULL: unsigned; kept until done */
	enum dns_transport transport; /* DNS_UDP and DNS_AUTO go to TCP on TC */
	int64_t timeout_ms;           /* whole; 0: 3 UDP tries (1, 2, 4 s) and one TCP (5 s) */
};

/* Exactly one of err and msg is not NULL; borrowed. Any rcode is an answer. */
typedef void dns_ask_done(void *arg, const struct err *err, const struct dns_msg *msg);

struct dns_call;
struct dns_call *dns_ask_start(struct dns_client *client, const struct dns_ask *ask,
			       dns_ask_done *done, void *arg);
void dns_call_cancel(struct dns_call *call);

/* ---- UPDATE (RFC 2136) --------------------------------------------------- */

struct dns_change {
	bool add; /* else: delete this exact record (class NONE, s.2.5.4) */
	const char *owner;
	const char *value;
	uint32_t ttl_s; /* of an add */
};

#define DNS_UPDATE_WIRE_MAX 60000 /* octets of one message, with TSIG; callers split */
size_t dns_update_wire_len(const char *zone, const struct dns_change *changes, size_t count);

struct dns_update {
	struct addr server;
	const char *zone;
	const struct dns_change *changes; /* borrowed for the call */
	size_t count;
	const struct tsig_key *key;   /* NULL: unsigned; kept until done */
	enum dns_transport transport; /* DNS_AUTO: TCP */
	int64_t timeout_ms;           /* 0: 10 s; a lost reply is asked again within it */
};
/* err is NULL on NOERROR; else the sentence names server, zone, key, owner (where
 * there is one), and the likely cause. ERR_DENIED: surely nothing was changed. */
typedef void dns_update_done(void *arg, const struct err *err);
struct dns_call *dns_update_start(struct dns_client *client, const struct dns_update *update,
				  dns_update_done *done, void *arg);

/* ---- discovery ------------------------------------------------------------ */

/* Where names are looked up: resolvers by address or by https:// URL (RFC 8484),
 * or, with authority set, one authoritative server asked with RD=0. */
struct dns_source {
	struct addr *resolver;
	size_t resolver_count;
	char **doh_url;
	size_t doh_count;
	const char *proxy;   /* for DoH; borrowed */
	const char *ca_file; /* for DoH; borrowed */
	bool authority;      /* resolver[0] is asked with RD=0, signed with key */
	const struct tsig_key *key;
};

/* "192.0.2.1", "[2001:db8::1]:5353", "https://..."; none: /etc/resolv.conf. */
enum err_code dns_source_parse(const struct strlist *resolvers, struct dns_source *out,
			       struct err *err) MUST_CHECK;
void dns_source_clear(struct dns_source *source);

/* One question to the first of source that answers usefully (SERVFAIL, REFUSED and
 * silence try the next); of an authority any answer is handed on. Keeps source
 * until done. */
struct dns_question {
	const char *name;
	uint16_t type;
};
struct dns_lookup;
struct dns_lookup *dns_lookup_start(struct dns_client *client, const struct dns_source *source,
				    const struct dns_question *question, dns_ask_done *done,
				    void *arg);
void dns_lookup_cancel(struct dns_lookup *lookup);

/*
 * The zone that name is in: an SOA in the answer with the very owner, or in the
 * authority section of an ancestor. Never the root, nor a single label such as
 * "com", unless source is an authority, which then must be one for the zone.
 * SERVFAIL is an error, never climbed past. Keeps source until done.
 */
typedef void zone_cut_done(void *arg, const struct err *err, const char *zone);
struct zone_cut;
struct zone_cut *zone_cut_start(struct dns_client *client, const struct dns_source *source,
				const char *name, zone_cut_done *done, void *arg);
void zone_cut_cancel(struct zone_cut *cut);

/* Authoritative servers of a zone: union of the parent's and the child's NS. */
#define NS_MAX 32
#define NS_ADDR_MAX 16

struct name_server {
	char *name; /* or the address as text, where one was configured */
	struct addr addr[NS_ADDR_MAX];
	size_t addr_count;
	char *note; /* NULL, or why it is odd: "only in the parent", "no address: ..." */
};

struct ns_set {
	char *zone;
	struct name_server ns[NS_MAX];
	size_t count;
};

void ns_set_free(struct ns_set *set);
/* done takes set. */
typedef void ns_set_done(void *arg, const struct err *err, struct ns_set *set);
struct ns_find;
struct ns_search {
	const struct dns_source *source; /* kept until done */
	const char *zone;
	/* The zone's `servers` setting (names, or addresses with port), which then are
	 * the whole set; NULL or empty: discovery. */
	const struct strlist *servers;
};
struct ns_find *ns_find_start(struct dns_client *client, const struct ns_search *search,
			      ns_set_done *done, void *arg);
void ns_find_cancel(struct ns_find *find);

#endif
