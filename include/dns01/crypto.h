/*
 * crypto: the only user of OpenSSL. Keys, digests, the JWS of RFC 7515 as RFC
 * 8555 s.6.2 restricts it, certificate requests and what comes back for them.
 */
#ifndef DNS01_CRYPTO_H
#define DNS01_CRYPTO_H

#include "dns01/base.h"

#define SHA256_LEN 32
#define SHA1_LEN 20
#define MAC_MAX 64
#define KEY_PEM_MAX (16 * 1024)
#define CHAIN_PEM_MAX (256 * 1024)
#define THUMBPRINT_LEN BASE64URL_LEN(SHA256_LEN)

struct key;
struct json;

enum key_type { KEY_P256, KEY_P384, KEY_RSA2048, KEY_RSA3072, KEY_RSA4096, KEY_TYPE_COUNT };

const char *key_type_name(enum key_type type); /* "p256", "rsa2048", ... */
bool key_type_parse(const char *text, enum key_type *out);
bool key_type_slow(enum key_type type); /* worth a child process: RSA */

enum err_code key_generate(enum key_type type, struct key **out, struct err *err) MUST_CHECK;
/* source (a path) is named in errors. Refuses encrypted keys and other types. */
enum err_code key_parse_pem(const char *pem, size_t len, const char *source, struct key **out,
			    struct err *err) MUST_CHECK;
enum err_code key_load(const char *path, struct key **out, struct err *err) MUST_CHECK;
/* A private key as RFC 7518 s.6.2.2 and 6.3.2 write it, with all the primes' numbers of RSA. */
enum err_code key_parse_jwk(const struct json *jwk, const char *source, struct key **out,
			    struct err *err) MUST_CHECK;
/* PKCS#8; out is initialised by the call and to be wiped by the caller. */
void key_format_pem(const struct key *key, struct buf *out);
void key_free(struct key *key);
enum key_type key_type_of(const struct key *key);
bool key_equal(const struct key *a, const struct key *b); /* the public parts */

/* RFC 7517 members as RFC 7638 orders them, one line of JSON; gives. */
char *key_jwk(const struct key *key);
void key_thumbprint(const struct key *key, char out[THUMBPRINT_LEN]); /* RFC 7638 */
const char *key_jws_alg(const struct key *key);                       /* "ES256", ... */

/*
 * RFC 7515 flattened JSON, one line; gives. protected_json and payload are the
 * octets to be encoded; an empty payload is POST-as-GET (RFC 8555 s.6.3).
 */
char *jws_sign(const struct key *key, const char *protected_json, const char *payload);
/* RFC 7515 s.7.1, compact: header.claims.signature, as OAuth has it (RFC 7523); gives. */
char *jwt_sign(const struct key *key, const char *header_json, const char *claims_json);

void sha256(const void *data, size_t len, uint8_t out[SHA256_LEN]);
/* For signatures that a vendor defined so, and nothing else. */
void sha1(const void *data, size_t len, uint8_t out[SHA1_LEN]);
/* RFC 8555 s.8.4: base64url(SHA-256(key authorization)), 43 characters. */
void dns01_txt_value(const char *token, const struct key *account_key, char out[44]);

enum mac_alg { MAC_SHA1, MAC_SHA256, MAC_SHA384, MAC_SHA512, MAC_ALG_COUNT };
size_t mac_len(enum mac_alg alg);

struct mac_input {
	enum mac_alg alg;
	const void *secret;
	size_t secret_len;
	const void *data;
	size_t len;
};

/* RFC 2104; out gets mac_len() octets. */
void mac_of(const struct mac_input *input, uint8_t out[MAC_MAX]);
#define mac_compute(alg_, secret_, secret_len_, data_, len_, out_) \
	mac_of(&(struct mac_input){ .alg = (alg_),                 \
				    .secret = (secret_),           \
				    .secret_len = (secret_len_),   \
				    .data = (data_),               \
				    .len = (len_) },               \
	       (out_))

/* RFC 7518 s.3.2: "HS256", "HS384", "HS512". */
bool jws_mac_parse(const char *text, enum mac_alg *out);
/* RFC 8555 s.7.3.4: like jws_sign, with a secret that both sides have. */
char *jws_sign_hmac(enum mac_alg alg, const uint8_t *secret, size_t secret_len,
		    const char *protected_json, const char *payload);

bool equal_constant_time(const void *a, const void *b, size_t len);
void crypto_random(void *out, size_t len); /* for cmd/world alone */

/* DER of a PKCS#10 request with exactly these names in SAN, empty subject
 * (RFC 8555 s.7.4); out is initialised by the call. */
enum err_code csr_build(const struct key *key, const struct strlist *names, struct buf *out,
			struct err *err) MUST_CHECK;

/* A chain as the CA sent it, leaf first, strictly PEM certificates alone. */
struct chain;

struct chain_facts {
	char *subject;        /* for people */
	char *issuer;         /* of the leaf */
	char *top_issuer;     /* issuer of the last certificate: the root's name */
	char *serial;         /* hex */
	struct strlist names; /* DNS names of the leaf's SAN, lower case */
	int64_t not_before;   /* Unix time, s */
	int64_t not_after;
	size_t count;         /* certificates in the chain */
	char *cert_id;        /* RFC 9773 s.4.1, or NULL where the leaf has no AKI */
	const char *key_type; /* of the leaf, as key_type_name(); NULL: none that we make */
};

/* RFC 8555 s.11.4 and 9.1: any BEGIN but CERTIFICATE is refused. */
enum err_code chain_parse(const char *pem, size_t len, struct chain **out,
			  struct err *err) MUST_CHECK;
void chain_free(struct chain *chain);
const struct chain_facts *chain_facts(const struct chain *chain); /* borrowed */
/*
 * The same of the first certificate alone, for who looks at many thousands: what follows it is not
 * looked at (count is 1, top_issuer NULL), and no key is decoded. Gives for chain_facts_clear.
 */
enum err_code chain_facts_parse(const char *pem, size_t len, struct chain_facts *out,
				struct err *err) MUST_CHECK;
void chain_facts_clear(struct chain_facts *facts);
/* The leaf is for key, its SAN set is names, each certificate is signed by the
 * next one. The sentence says which of these is not so. */
enum err_code chain_check(const struct chain *chain, const struct key *key,
			  const struct strlist *names, struct err *err) MUST_CHECK;
/*
 * Whether the chain ends at the root that an operator wishes for: whole words of its name, in
 * any case ("ISRG Root X2"), or the SHA-256 of a certificate in 64 hexadecimal digits, with or
 * without colons: one of the chain, or the root above it that the system has.
 */
bool chain_leads_to(const struct chain *chain, const char *wish);
bool chain_wish_is_fingerprint(const char *wish);
void chain_leaf_der(const struct chain *chain, struct buf *out); /* initialised by the call */
/* PEM written anew from the parsed certificates; initialised by the call. */
void chain_format_leaf(const struct chain *chain, struct buf *out);
void chain_format_rest(const struct chain *chain, struct buf *out);
void chain_format_all(const struct chain *chain, struct buf *out);

#define PKCS12_MAX (512 * 1024)
struct pkcs12_args {
	const struct key *key; /* of the leaf */
	const struct chain *chain;
	const char *name;     /* the friendly name */
	const char *password; /* UTF-8; "" for none */
};
/* Key, leaf and chain as one PKCS#12 file; out is initialised by the call, and to be wiped. */
enum err_code pkcs12_build(const struct pkcs12_args *args, struct buf *out,
			   struct err *err) MUST_CHECK;

/* ---- TLS of our listeners ------------------------------------------------------------- */

struct tls_server;
struct tls_conn;

struct tls_files {
	const char *chain_file;     /* PEM, the leaf first */
	const char *key_file;       /* PEM */
	const char *client_ca_file; /* NULL: no certificate is asked for; else one may be shown */
};

/* TLS 1.2 and up; buffers are released while idle. Errors name the file. */
enum err_code tls_server_new(const struct tls_files *files, struct tls_server **out,
			     struct err *err) MUST_CHECK;
/* Reads the files again; connections that are open keep what they have. On failure the old
 * certificate stays in use. */
enum err_code tls_server_reload(struct tls_server *server, struct err *err) MUST_CHECK;
void tls_server_free(struct tls_server *server);

/* A connection that was made to us; fd, which does not block, is borrowed. The handshake is a
 * part of the first read. */
struct tls_conn *tls_conn_new(struct tls_server *server, int fd);
void tls_conn_free(struct tls_conn *conn); /* NULL is fine */
/* What has to happen before a call can do more. */
enum tls_want { TLS_WANT_READ, TLS_WANT_WRITE };
/* Octets; 0: the peer has closed; -1: it failed; TLS_WAIT: want says for what to wait. */
#define TLS_WAIT (-2)
ssize_t tls_conn_read(struct tls_conn *conn, void *data, size_t len, enum tls_want *want);
ssize_t tls_conn_write(struct tls_conn *conn, const void *data, size_t len, enum tls_want *want);
/* Tells the peer that no more comes. */
void tls_conn_shut(struct tls_conn *conn);
/* After the handshake: false without a verified client certificate. names is appended to, id
 * gets 32 hexadecimal digits of its SHA-256. */
bool tls_conn_peer(const struct tls_conn *conn, struct strlist *names, char id[33]);

#endif
