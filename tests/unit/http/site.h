/*
 * A web server in threads of its own, with or without TLS: each connection answers every
 * request with the same octets, and what was asked is kept. Certificates are made at run time.
 */
#ifndef DNS01_TESTS_HTTP_SITE_H
#define DNS01_TESTS_HTTP_SITE_H

#include "cmocka_all.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "dns01/world.h"

#define ASKED_MAX 65536
#define CONNECTIONS_MAX 64

struct authority {
	EVP_PKEY *key;
	X509 *root;
	char path[64]; /* of the root, PEM */
};

struct site {
	int fd;
	uint16_t port;
	SSL_CTX *tls; /* NULL: plain HTTP */
	pthread_t thread;
	const char *reply; /* NULL: says nothing */
	size_t reply_len;
	bool close_after; /* each answer */
	bool reset_after;
	atomic_uint connections, requests;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t ended;
	int open[CONNECTIONS_MAX]; /* sockets; -1: closed */
	unsigned live;
	char asked[ASKED_MAX]; /* the latest request, whole */
};

/* ---- certificates ---- */

struct leaf_args {
	const char *names;    /* subjectAltName */
	long from_s, until_s; /* from now */
	const char *subject;  /* NULL: "leaf" */
};

static inline void add_extension(X509 *cert, int nid, const char *text)
{
	X509_EXTENSION *extension = text ? X509V3_EXT_conf_nid(NULL, NULL, nid, text) : NULL;

	if (extension) {
		X509_add_ext(cert, extension, -1);
		X509_EXTENSION_free(extension);
	}
}

static inline X509 *make_cert(EVP_PKEY *key, const struct leaf_args *args,
			      const struct authority *by)
{
	static long serial = 1;
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	assert_int_equal(X509_set_version(cert, 2), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(cert), args->from_s);
	X509_gmtime_adj(X509_getm_notAfter(cert), args->until_s);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
				   (const uint8_t *)(args->subject ? args->subject : "leaf"), -1,
				   -1, 0);
	X509_set_issuer_name(cert, by ? X509_get_subject_name(by->root) : name);
	X509_set_pubkey(cert, key);
	add_extension(cert, NID_subject_alt_name, args->names);
	add_extension(cert, NID_basic_constraints, by ? NULL : "critical,CA:TRUE");
	assert_true(X509_sign(cert, by ? by->key : key, EVP_sha256()) > 0);
	return cert;
}

static inline void authority_open(struct authority *authority, const char *name)
{
	FILE *file;
	int fd;

	authority->key = EVP_EC_gen("P-256");
	authority->root =
		make_cert(authority->key,
			  &(struct leaf_args){ .subject = name, .from_s = -3600, .until_s = 3600 },
			  NULL);
	snprintf(authority->path, sizeof(authority->path), "/tmp/dns01-http-XXXXXX");
	fd = mkstemp(authority->path);
	assert_true(fd >= 0);
	file = fdopen(fd, "w");
	assert_int_equal(PEM_write_X509(file, authority->root), 1);
	fclose(file);
}

static inline void authority_close(struct authority *authority)
{
	unlink(authority->path);
	X509_free(authority->root);
	EVP_PKEY_free(authority->key);
}

/* ---- serving ---- */

struct connection {
	struct site *site;
	unsigned number;
	int fd;
	SSL *ssl;
};

static inline ssize_t take(struct connection *connection, char *out, size_t max)
{
	return connection->ssl ? SSL_read(connection->ssl, out, (int)max)
			       : recv(connection->fd, out, max, 0);
}

static inline void say(struct connection *connection, const char *text, size_t len)
{
	if (connection->ssl) {
		SSL_write(connection->ssl, text, (int)len);
	} else {
		(void)!send(connection->fd, text, len, MSG_NOSIGNAL);
	}
}

/* One request with its body; false: the client is gone. */
static inline bool read_request(struct connection *connection, char *text)
{
	size_t len = 0, want = 0;

	while (want == 0 || len < want) {
		ssize_t got = take(connection, text + len, ASKED_MAX - 1 - len);
		char *end;

		if (got <= 0) {
			return false;
		}
		len += (size_t)got;
		text[len] = '\0';
		end = strstr(text, "\r\n\r\n");
		if (end && want == 0) {
			const char *size = strcasestr(text, "content-length: ");

			want = (size_t)(end + 4 - text) +
			       (size && size < end ? strtoul(size + 16, NULL, 10) : 0);
		}
	}
	return true;
}

static inline void *serve_connection(void *arg)
{
	struct connection *connection = arg;
	struct site *site = connection->site;
	char *text = xmalloc(ASKED_MAX);
	struct linger reset = { .l_onoff = 1 };

	if (site->tls) {
		connection->ssl = SSL_new(site->tls);
		SSL_set_fd(connection->ssl, connection->fd);
	}
	if (!connection->ssl || SSL_accept(connection->ssl) == 1) {
		while (read_request(connection, text)) {
			pthread_mutex_lock(&site->lock);
			snprintf(site->asked, sizeof(site->asked), "%s", text);
			pthread_mutex_unlock(&site->lock);
			site->requests++;
			if (site->reply) {
				say(connection, site->reply, site->reply_len);
			}
			if (site->reset_after) {
				setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset,
					   sizeof(reset));
			}
			if (site->reset_after || site->close_after) {
				break;
			}
		}
	}
	if (connection->ssl && !site->reset_after) {
		SSL_shutdown(connection->ssl);
	}
	SSL_free(connection->ssl);
	OPENSSL_thread_stop();
	pthread_mutex_lock(&site->lock);
	site->open[connection->number] = -1;
	close(connection->fd);
	site->live--;
	pthread_cond_signal(&site->ended);
	pthread_mutex_unlock(&site->lock);
	free(connection);
	free(text);
	return NULL;
}

static inline void *serve_site(void *arg)
{
	struct site *site = arg;

	for (;;) {
		int fd = accept4(site->fd, NULL, NULL, SOCK_CLOEXEC);
		struct connection *connection;
		pthread_t thread;

		if (fd < 0) {
			return NULL;
		}
		assert_true(site->connections < CONNECTIONS_MAX);
		connection = xcalloc(1, sizeof(*connection));
		*connection = (struct connection){ .site = site,
						   .number = site->connections++,
						   .fd = fd };
		pthread_mutex_lock(&site->lock);
		site->open[connection->number] = fd;
		site->live++;
		pthread_mutex_unlock(&site->lock);
		assert_int_equal(pthread_create(&thread, NULL, serve_connection, connection), 0);
		pthread_detach(thread);
	}
}

/* by NULL: plain HTTP. */
static inline void site_open(struct site *site, const char *reply, const struct authority *by,
			     const struct leaf_args *leaf)
{
	struct addr addr;

	*site = (struct site){ .reply = reply, .reply_len = reply ? strlen(reply) : 0 };
	pthread_mutex_init(&site->lock, NULL);
	pthread_cond_init(&site->ended, NULL);
	if (by) {
		EVP_PKEY *key = EVP_EC_gen("P-256");
		X509 *cert = make_cert(key, leaf, by);

		site->tls = SSL_CTX_new(TLS_server_method());
		assert_int_equal(SSL_CTX_use_certificate(site->tls, cert), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(site->tls, key), 1);
		X509_free(cert);
		EVP_PKEY_free(key);
	}
	site->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(addr_parse("127.0.0.1", 0, &addr));
	assert_int_equal(bind(site->fd, &addr.u.sa, addr.len), 0);
	assert_int_equal(getsockname(site->fd, &addr.u.sa, &addr.len), 0);
	assert_int_equal(listen(site->fd, 16), 0);
	site->port = addr_port(&addr);
	assert_int_equal(pthread_create(&site->thread, NULL, serve_site, site), 0);
}

static inline void site_close(struct site *site)
{
	shutdown(site->fd, SHUT_RDWR);
	pthread_join(site->thread, NULL);
	close(site->fd);
	pthread_mutex_lock(&site->lock);
	for (unsigned i = 0; i < site->connections; i++) {
		if (site->open[i] >= 0) {
			shutdown(site->open[i], SHUT_RDWR);
		}
	}
	while (site->live > 0) {
		pthread_cond_wait(&site->ended, &site->lock);
	}
	pthread_mutex_unlock(&site->lock);
	SSL_CTX_free(site->tls);
}

#endif
