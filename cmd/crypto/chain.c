/* chain: what the CA sent, checked before anything of it is kept. */
#include "internal.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <strings.h>

/* ---- reading ---- */

static enum err_code refuse_empty(struct err *err)
{
	return err_set(err, ERR_PROTOCOL, NULL, "the chain holds no certificate");
}

/* Appends one certificate; it must fill its block. */
static enum err_code chain_add(struct chain *chain, const struct buf *der, struct err *err)
{
	const unsigned char *at = (const unsigned char *)buf_str(der);
	const unsigned char *end = at + der->len;
	X509 *cert;

	if (chain->count == CHAIN_CERTS_MAX) {
		return err_set(err, ERR_LIMIT, NULL, "the chain has more than %d certificates",
			       CHAIN_CERTS_MAX);
	}
	cert = d2i_X509(NULL, &at, (long)der->len);
	if (cert && at != end) {
		X509_free(cert);
		return err_set(err, ERR_PROTOCOL, NULL,
			       "certificate %zu of the chain is followed by %zu octets that are "
			       "no part of it",
			       chain->count + 1, (size_t)(end - at));
	}
	if (!cert) {
		return err_set(err, ERR_PROTOCOL, NULL,
			       "certificate %zu of the chain cannot be read: %s", chain->count + 1,
			       openssl_why());
	}
	chain->cert[chain->count++] = cert;
	return chain->count == 1 ? chain_facts_read(der, &chain->facts, err) : ERR_NONE;
}

static enum err_code read_certs(struct chain *chain, struct pem_reader *reader, struct err *err)
{
	struct buf der = BUF_INIT(CHAIN_PEM_MAX);
	bool more = true;
	enum err_code code = pem_next(reader, &der, &more, err);

	while (!code && more) {
		code = chain_add(chain, &der, err);
		if (!code) {
			code = pem_next(reader, &der, &more, err);
		}
	}
	if (!code && chain->count == 0) {
		code = refuse_empty(err);
	}
	buf_clear(&der);
	return code;
}

static enum err_code check_size(size_t len, struct err *err)
{
	return len <= CHAIN_PEM_MAX ? ERR_NONE
				    : err_set(err, ERR_LIMIT, NULL,
					      "the chain is larger than %d octets", CHAIN_PEM_MAX);
}

enum err_code chain_parse(const char *pem, size_t len, struct chain **out, struct err *err)
{
	struct pem_reader reader = { .at = pem, .end = pem + len };
	struct chain *chain;
	enum err_code code = check_size(len, err);

	if (code) {
		return code;
	}
	chain = xcalloc(1, sizeof(*chain));
	code = read_certs(chain, &reader, err);
	if (code) {
		chain_free(chain);
		return code;
	}
	chain->facts.count = chain->count;
	chain->facts.top_issuer =
		x509_name_text(X509_get_issuer_name(chain->cert[chain->count - 1]));
	*out = chain;
	return ERR_NONE;
}

enum err_code chain_facts_parse(const char *pem, size_t len, struct chain_facts *out,
				struct err *err)
{
	struct pem_reader reader = { .at = pem, .end = pem + len };
	struct buf der = BUF_INIT(CHAIN_PEM_MAX);
	struct chain_facts facts = { .count = 1 };
	bool more = false;
	enum err_code code = check_size(len, err);

	if (!code) {
		code = pem_next(&reader, &der, &more, err);
	}
	if (!code) {
		code = more ? chain_facts_read(&der, &facts, err) : refuse_empty(err);
	}
	buf_clear(&der);
	if (code) {
		chain_facts_clear(&facts);
		return code;
	}
	*out = facts;
	return ERR_NONE;
}

void chain_free(struct chain *chain)
{
	if (!chain) {
		return;
	}
	for (size_t i = 0; i < chain->count; i++) {
		X509_free(chain->cert[i]);
	}
	chain_facts_clear(&chain->facts);
	free(chain);
}

const struct chain_facts *chain_facts(const struct chain *chain)
{
	return &chain->facts;
}

/* ---- checking ---- */

static int compare_names(const void *a, const void *b)
{
	return strcasecmp(*(char *const *)a, *(char *const *)b);
}

/* The same strings in order, NULL behind the last; gives the array alone. */
static char **sorted(const struct strlist *names)
{
	char **list = xcalloc(names->count + 1, sizeof(*list));

	if (names->count > 0) {
		memcpy(list, names->item, names->count * sizeof(*list));
		qsort(list, names->count, sizeof(*list), compare_names);
	}
	return list;
}

/* Counts what is in a and not in b, both sorted; *first is the first of them. */
static size_t only_in(char *const *a, char *const *b, const char **first)
{
	size_t count = 0;

	for (; *a; a++) {
		while (*b && strcasecmp(*b, *a) < 0) {
			b++;
		}
		if (*b && strcasecmp(*b, *a) == 0) {
			continue;
		}
		if (count++ == 0) {
			*first = *a;
		}
	}
	return count;
}

/* "a.example", "a.example and 2 more"; nothing for none. */
static void say_names(struct buf *text, const char *before, const char *first, size_t count)
{
	if (count > 0) {
		buf_addf(text, "%s %s", before, first);
	}
	if (count > 1) {
		buf_addf(text, " and %zu more", count - 1);
	}
}

/* RFC 8555 s.7.4: exactly the names of the order, whatever their order and case. */
static enum err_code check_names(const struct strlist *have, const struct strlist *want,
				 struct err *err)
{
	struct buf text = BUF_INIT(ERR_TEXT_MAX);
	char **have_sorted = sorted(have);
	char **want_sorted = sorted(want);
	const char *missing = NULL;
	const char *extra = NULL;
	size_t missing_count = only_in(want_sorted, have_sorted, &missing);
	size_t extra_count = only_in(have_sorted, want_sorted, &extra);
	enum err_code code = ERR_NONE;

	if (missing_count > 0 || extra_count > 0) {
		say_names(&text, "it lacks", missing, missing_count);
		buf_add_str(&text, missing && extra ? ", and " : "");
		say_names(&text, "it has, unasked,", extra, extra_count);
		code = err_set(err, ERR_PROTOCOL, NULL,
			       "the certificate is not for the names that were asked for: %s",
			       buf_str(&text));
	}
	free(have_sorted);
	free(want_sorted);
	buf_clear(&text);
	return code;
}

/* The certificate at index is by the next one, in name and in signature. */
static enum err_code check_link(const struct chain *chain, size_t index, struct err *err)
{
	X509 *cert = chain->cert[index];
	X509 *above = chain->cert[index + 1];
	EVP_PKEY *key = X509_get0_pubkey(above);
	char *issuer = x509_name_text(X509_get_issuer_name(cert));
	char *subject = x509_name_text(X509_get_subject_name(above));
	enum err_code code = ERR_NONE;

	if (X509_NAME_cmp(X509_get_issuer_name(cert), X509_get_subject_name(above)) != 0) {
		code = err_set(err, ERR_PROTOCOL, NULL,
			       "certificate %zu of the chain was issued by %s, but the next one is "
			       "%s",
			       index + 1, issuer, subject);
	} else if (!key || X509_verify(cert, key) != 1) {
		code = err_set(err, ERR_PROTOCOL, NULL,
			       "certificate %zu of the chain is not signed by the next one, %s: %s",
			       index + 1, subject, openssl_why());
	}
	free(issuer);
	free(subject);
	return code;
}

enum err_code chain_check(const struct chain *chain, const struct key *key,
			  const struct strlist *names, struct err *err)
{
	const EVP_PKEY *leaf_key = X509_get0_pubkey(chain->cert[0]);
	enum err_code code;

	if (!leaf_key || EVP_PKEY_eq(leaf_key, key->pkey) != 1) {
		ERR_clear_error();
		return err_set(err, ERR_PROTOCOL, NULL,
			       "the certificate is for another key than the one it was asked for");
	}
	code = check_names(&chain->facts.names, names, err);
	for (size_t i = 0; i + 1 < chain->count && !code; i++) {
		code = check_link(chain, i, err);
	}
	return code;
}

/* ---- writing ---- */

/* The certificates from first to end. */
static void format(const struct chain *chain, size_t first, size_t end, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());

	/* Lines of 64 characters may take a little more than what the CA sent. */
	buf_init(out, 2 * CHAIN_PEM_MAX);
	openssl_must(bio != NULL, "write certificates");
	for (size_t i = first; i < end; i++) {
		openssl_must(PEM_write_bio_X509(bio, chain->cert[i]) == 1, "write certificates");
	}
	buf_add_bio(out, bio);
}

void chain_leaf_der(const struct chain *chain, struct buf *out)
{
	unsigned char *der = NULL;
	int len = i2d_X509(chain->cert[0], &der);

	openssl_must(len > 0, "write a certificate");
	buf_init(out, CHAIN_PEM_MAX);
	buf_add(out, der, (size_t)len);
	OPENSSL_free(der);
}

void chain_format_leaf(const struct chain *chain, struct buf *out)
{
	format(chain, 0, 1, out);
}

void chain_format_rest(const struct chain *chain, struct buf *out)
{
	format(chain, 1, chain->count, out);
}

void chain_format_all(const struct chain *chain, struct buf *out)
{
	format(chain, 0, chain->count, out);
}
