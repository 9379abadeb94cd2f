/*
 * base: what every module stands on, and libc alone: errors, bounded buffers,
 * lists, text, addresses, encodings, log, durable files.
 *
 * Ownership is said in four words: a function *borrows* an argument for the
 * call, *keeps* a pointer that must outlive the object, *takes* it to free it
 * later, or *gives* the caller something to free.
 */
#ifndef DNS01_BASE_H
#define DNS01_BASE_H

#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "dns01/banned.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define MUST_CHECK __attribute__((warn_unused_result))

/* ---- errors -------------------------------------------------------- */

/*
 * What kind of failure it is; the sentence is in struct err. err_code_name()
 * has the word for JSON, err_exit_status() the exit status of the program.
 */
enum err_code {
	ERR_NONE = 0,
	ERR_USAGE,     /* the command line is wrong */
	ERR_CONFIG,    /* the configuration is wrong */
	ERR_IO,        /* a file, a folder or the journal */
	ERR_NETWORK,   /* a peer cannot be reached */
	ERR_TIMEOUT,   /* a peer did not answer, or not in time */
	ERR_PROTOCOL,  /* a peer broke the rules, or lied */
	ERR_DENIED,    /* a peer, or our policy, refused */
	ERR_NOT_FOUND, /* it is not there */
	ERR_EXISTS,    /* it is there already */
	ERR_LIMIT,     /* past a named maximum, or a rate limit of a peer */
	ERR_BUSY,      /* another process holds it */
	ERR_CANCELED,  /* the operator, or the caller, stopped it */
	ERR_ACME,      /* the CA sent a problem document */
	ERR_DNS,       /* the DNS is not as it must be */
	ERR_DEPLOY,    /* the certificate is there, its deployment failed */
	ERR_INTERNAL,  /* our own fault */
	ERR_COUNT
};

#define ERR_SUBJECT_MAX 320
#define ERR_TEXT_MAX 1024
#define ERR_PROBLEM_MAX 80

/*
 * One failure. The detector writes the sentence once (err_set), callers may
 * add the subject, the edge prints it (err_format). Copied by assignment.
 */
struct err {
	enum err_code code;
	char subject[ERR_SUBJECT_MAX]; /* name, zone, server, provider; may be "" */
	char text[ERR_TEXT_MAX];       /* one sentence, for people */
	char problem[ERR_PROBLEM_MAX]; /* RFC 8555 s.6.7 type, or "" */
	int64_t retry_after_s;         /* 0: the peer named none */
};

/* Fills err (may be NULL) and returns code, so that one may return err_set(). */
enum err_code err_set(struct err *err, enum err_code code, const char *subject, const char *fmt,
		      ...) PRINTF_LIKE(4, 5);
/* Sets the subject where the detector left it empty. Returns err->code. */
enum err_code err_subject(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
void err_clear(struct err *err);
/* A copy on the heap, for what is kept in thousands and seldom fails: struct err is large.
 * Gives; NULL gives NULL. */
struct err *err_box(const struct err *err);
/* "subject: sentence", without a newline; gives a string for free(). */
char *err_format(const struct err *err);
const char *err_code_name(enum err_code code); /* "not-found" */
int err_exit_status(enum err_code code);       /* sysexits-like, in dns01(1) */

const char *dns01_version(void);

/* ---- memory -------------------------------------------------------- */

/* These never return NULL: out of memory ends the process. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xreallocarray(void *ptr, size_t count, size_t size);
char *xstrdup(const char *text); /* NULL gives NULL */
char *xstrndup(const char *text, size_t len);
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);
void wipe(void *data, size_t len);      /* never optimised away */
void wipe_free(void *data, size_t len); /* NULL is fine */
void wipe_str(char *text);              /* wipes and frees; NULL is fine */

/* ---- buffer -------------------------------------------------------- */

/*
 * Octets that grow up to a maximum given at birth, always followed by a NUL
 * that len does not count. An addition past max is dropped whole and sets
 * overflow, which stays: add freely, look once at the end.
 */
struct buf {
	char *data; /* NULL while nothing was added; use buf_str() for text */
	size_t len;
	size_t cap;
	size_t max;
	bool overflow;
};

#define BUF_INIT(maximum)        \
	{                        \
		.max = (maximum) \
	}

void buf_init(struct buf *buf, size_t max);
void buf_clear(struct buf *buf); /* frees; the maximum stays */
void buf_wipe(struct buf *buf);  /* wipes, then frees */
void buf_add(struct buf *buf, const void *data, size_t len);
void buf_add_str(struct buf *buf, const char *text);
void buf_addf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_add_u8(struct buf *buf, uint8_t value);
void buf_add_u16(struct buf *buf, uint16_t value); /* network order */
void buf_add_u32(struct buf *buf, uint32_t value); /* network order */
const char *buf_str(const struct buf *buf);        /* "" while empty */
char *buf_detach(struct buf *buf);                 /* gives data (never NULL), empties buf */

/* ---- list of strings ----------------------------------------------- */

struct strlist {
	char **item; /* NULL-terminated once not empty, so usable as an argv */
	size_t count;
	size_t cap;
};

void strlist_add(struct strlist *list, const char *text);
void strlist_addf(struct strlist *list, const char *fmt, ...) PRINTF_LIKE(2, 3);
void strlist_take(struct strlist *list, char *text); /* takes text */
bool strlist_has(const struct strlist *list, const char *text);
void strlist_copy(struct strlist *to, const struct strlist *from); /* appends */
void strlist_add_words(struct strlist *list, const char *text);    /* blanks between */
void strlist_clear(struct strlist *list);
char *strlist_join(const struct strlist *list, const char *separator); /* gives */

/* ---- text ---------------------------------------------------------- */

/*
 * Text of a peer, made fit for a terminal, a log and JSON: at most max - 1
 * octets, control characters and broken UTF-8 as \xNN, cut with "...".
 */
void text_escape(char *out, size_t max, const char *text, size_t len);
bool text_parse_u64(const char *text, uint64_t max, uint64_t *out);
/* "250ms", "10s", "5m", "1h", "7d"; a bare "0" too. At most 10 years. */
bool duration_parse(const char *text, int64_t *out_ms);
void duration_format(char out[32], int64_t ms); /* what duration_parse reads */
/* "1.234 s", "56 ms": for people. */
void duration_human(char out[32], int64_t us);
/* RFC 3339 UTC, "2026-11-24T01:02:03Z". */
void time_format(char out[32], int64_t unix_s);
bool time_parse(const char *text, int64_t *out_unix_s); /* any RFC 3339 offset */
/* RFC 9110 s.5.6.7 IMF-fixdate, "Tue, 24 Nov 2026 01:02:03 GMT". */
bool time_parse_http(const char *text, int64_t *out_unix_s);

/* ---- encodings ------------------------------------------------------ */

#define BASE64URL_LEN(n) ((4 * (n) + 2) / 3 + 1) /* with the NUL */

/* RFC 4648 s.5 without padding, as RFC 8555 s.6.1 wants it. */
void base64url_encode(char *out, size_t out_size, const void *data, size_t len);
/* Refuses padding, other alphabets and stray bits; *out_len <= max. */
bool base64url_decode(const char *text, size_t len, uint8_t *out, size_t max, size_t *out_len);
/* base64 as people paste keys: standard or url alphabet, padded or not. */
bool base64_decode_any(const char *text, size_t len, uint8_t *out, size_t max, size_t *out_len);
char *base64_encode(const void *data, size_t len); /* standard alphabet, padded; gives */
bool base64url_is(const char *text, size_t len);   /* only [A-Za-z0-9_-], len > 0 */
void hex_encode(char *out, size_t out_size, const void *data, size_t len);
bool hex_decode(const char *text, uint8_t *out, size_t max, size_t *out_len);

/* ---- addresses ------------------------------------------------------ */

#define ADDR_TEXT_MAX 64

struct addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} u;
	socklen_t len; /* 0: no address */
};

/* "192.0.2.1", "192.0.2.1:53", "2001:db8::1", "[2001:db8::1]:53". */
bool addr_parse(const char *text, uint16_t default_port, struct addr *out);
/* Adds the port only when it is not default_port. */
void addr_format(char out[ADDR_TEXT_MAX], const struct addr *addr, uint16_t default_port);
bool addr_equal(const struct addr *a, const struct addr *b); /* address and port */
uint16_t addr_port(const struct addr *addr);
void addr_set_port(struct addr *addr, uint16_t port);
/* ::ffff:192.0.2.1 becomes 192.0.2.1. */
void addr_unmap(struct addr *addr);

struct network {
	struct addr addr; /* port 0; the bits behind the prefix are 0 */
	unsigned bits;
};
/* "192.0.2.0/24", "2001:db8::/32", or one address; bits behind the prefix are refused. */
bool network_parse(const char *text, struct network *out);
void network_format(char out[ADDR_TEXT_MAX], const struct network *net);
/* An IPv4-mapped address is in the networks of its IPv4 address. */
bool network_has(const struct network *net, const struct addr *addr);

/* ---- log ------------------------------------------------------------ */

enum log_level { LOG_DEBUG_LEVEL, LOG_INFO_LEVEL, LOG_WARN_LEVEL, LOG_ERROR_LEVEL };

/* One line a call, no newline, never a secret. Default: stderr, from warn up. */
void log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_error(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_set_level(enum log_level level);
/* NULL brings back stderr. */
void log_set_sink(void (*sink)(void *arg, enum log_level level, const char *line), void *arg);

/* ---- files ---------------------------------------------------------- */

/* Reads a whole file of at most max octets into out (initialised by the call). */
enum err_code file_read(const char *path, size_t max, struct buf *out, struct err *err) MUST_CHECK;
/*
 * The same for a secret: refused when group or others may do more than the
 * group `dns01` reading it, that is any of mode & 027, or when it is not a
 * regular file. Files under $CREDENTIALS_DIRECTORY are taken as they are.
 */
enum err_code file_read_secret(const char *path, size_t max, struct buf *out,
			       struct err *err) MUST_CHECK;
/* Writes a temporary file beside path, syncs it, renames it, syncs the folder. */
enum err_code file_write_durable(const char *path, const void *data, size_t len, mode_t mode,
				 struct err *err) MUST_CHECK;
enum err_code folder_sync(const char *path, struct err *err) MUST_CHECK;
/* mkdir -p with mode for what it makes; existing folders stay as they are. */
enum err_code folder_make(const char *path, mode_t mode, struct err *err) MUST_CHECK;
/* Joins with one '/'; an absolute name stays itself. Gives a string. */
char *path_join(const char *folder, const char *name);
char *path_dir(const char *path); /* gives; "." where there is none */

#endif
