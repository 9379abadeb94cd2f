/* TLS of our listeners: certificate, key, whose clients' certificates are believed, and the
 * connections. */
#include "internal.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct tls_server {
	SSL_CTX *ctx;
	char *chain_file, *key_file, *client_ca_file;
};

struct tls_conn {
	SSL *ssl;
	bool broken; /* nothing may be sent any more */
};

static enum err_code load_ctx(struct tls_server *server, SSL_CTX *ctx, struct err *err)
{
	struct key *key = NULL;

	if (SSL_CTX_use_certificate_chain_file(ctx, server->chain_file) != 1) {
		return err_set(err, ERR_CONFIG, server->chain_file,
			       "it cannot be read, or holds no certificate in PEM");
	}
	if (key_load(server->key_file, &key, err) != ERR_NONE) {
		return err->code;
	}
	if (SSL_CTX_use_PrivateKey(ctx, key->pkey) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
		key_free(key);
		return err_set(err, ERR_CONFIG, server->key_file,
			       "it is not the key of the certificate in %s", server->chain_file);
	}
	key_free(key);
	if (!server->client_ca_file) {
		return ERR_NONE;
	}
	if (SSL_CTX_load_verify_locations(ctx, server->client_ca_file, NULL) != 1) {
		return err_set(err, ERR_CONFIG, server->client_ca_file,
			       "it cannot be read, or holds no certificate in PEM");
	}
	SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(server->client_ca_file));
	/* A client without one may still come with a token. */
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return ERR_NONE;
}

enum err_code tls_server_reload(struct tls_server *server, struct err *err)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	enum err_code code;

	if (!ctx) {
		return err_set(err, ERR_INTERNAL, "", "OpenSSL cannot be set up for TLS");
	}
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* Thousands wait on open connections: their buffers are given back meanwhile. */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"dns01", 5);
	code = load_ctx(server, ctx, err);
	ERR_clear_error();
	if (code != ERR_NONE) {
		SSL_CTX_free(ctx);
		return code;
	}
	SSL_CTX_free(server->ctx);
	server->ctx = ctx;
	return ERR_NONE;
}

enum err_code tls_server_new(const struct tls_files *files, struct tls_server **out,
			     struct err *err)
{
	struct tls_server *server = xcalloc(1, sizeof(*server));
	enum err_code code;

	server->chain_file = xstrdup(files->chain_file);
	server->key_file = xstrdup(files->key_file);
	server->client_ca_file = xstrdup(files->client_ca_file);
	code = tls_server_reload(server, err);
	if (code != ERR_NONE) {
		tls_server_free(server);
		return code;
	}
	*out = server;
	return ERR_NONE;
}

void tls_server_free(struct tls_server *server)
{
	if (server) {
		SSL_CTX_free(server->ctx);
		free(server->chain_file);
		free(server->key_file);
		free(server->client_ca_file);
		free(server);
	}
}

/* ---- connections ---------------------------------------------------------------- */

struct tls_conn *tls_conn_new(struct tls_server *server, int fd)
{
	struct tls_conn *conn = xcalloc(1, sizeof(*conn));

	conn->ssl = SSL_new(server->ctx);
	openssl_must(conn->ssl && SSL_set_fd(conn->ssl, fd) == 1, "begin TLS");
	SSL_set_accept_state(conn->ssl);
	return conn;
}

void tls_conn_free(struct tls_conn *conn)
{
	if (conn) {
		SSL_free(conn->ssl);
		free(conn);
	}
}

static ssize_t outcome(struct tls_conn *conn, int done, enum tls_want *want)
{
	int error = done > 0 ? SSL_ERROR_NONE : SSL_get_error(conn->ssl, done);

	/* Else a later call would take what is left in the queue for its own failure. */
	ERR_clear_error();
	switch (error) {
	case SSL_ERROR_NONE:
		return done;
	case SSL_ERROR_WANT_READ:
		*want = TLS_WANT_READ;
		return TLS_WAIT;
	case SSL_ERROR_WANT_WRITE:
		*want = TLS_WANT_WRITE;
		return TLS_WAIT;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		conn->broken = true;
		return -1;
	}
}

ssize_t tls_conn_read(struct tls_conn *conn, void *data, size_t len, enum tls_want *want)
{
	return outcome(conn, SSL_read(conn->ssl, data, (int)(len < INT_MAX ? len : INT_MAX)), want);
}

ssize_t tls_conn_write(struct tls_conn *conn, const void *data, size_t len, enum tls_want *want)
{
	return outcome(conn, SSL_write(conn->ssl, data, (int)(len < INT_MAX ? len : INT_MAX)),
		       want);
}

void tls_conn_shut(struct tls_conn *conn)
{
	if (!conn->broken && SSL_is_init_finished(conn->ssl)) {
		SSL_shutdown(conn->ssl);
		ERR_clear_error();
	}
}

static void add_names(X509 *cert, struct strlist *names)
{
	GENERAL_NAMES *found = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(found); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(found, i);
		const char *text;
		size_t len;
		char *copy;

		if (name->type != GEN_DNS) {
			continue;
		}
		text = (const char *)ASN1_STRING_get0_data(name->d.dNSName);
		len = (size_t)ASN1_STRING_length(name->d.dNSName);
		if (memchr(text, '\0', len)) {
			continue; /* "good.example\0.evil.example" */
		}
		copy = xstrndup(text, len);
		for (char *at = copy; *at; at++) {
			*at = (char)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
		}
		strlist_take(names, copy);
	}
	GENERAL_NAMES_free(found);
}

bool tls_conn_peer(const struct tls_conn *conn, struct strlist *names, char id[33])
{
	X509 *cert = SSL_get_peer_certificate(conn->ssl);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	bool verified = cert && SSL_get_verify_result(conn->ssl) == X509_V_OK &&
			X509_digest(cert, EVP_sha256(), digest, &len) == 1;

	if (verified) {
		add_names(cert, names);
		hex_encode(id, 33, digest, 16);
	}
	X509_free(cert);
	return verified;
}
