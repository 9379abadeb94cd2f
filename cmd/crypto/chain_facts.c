/* What people and plans want to know of a certificate. */
#include "internal.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#define NAME_TEXT_MAX 256
#define SERIAL_MAX 64 /* RFC 5280 s.4.1.2.2 allows 20 octets; some have a few more */
#define KEY_ID_MAX 64
#define DNS_NAME_MAX 253

/* ---- names of subject and issuer ---- */

char *x509_name_text(const X509_NAME *name)
{
	/* RFC 4514's escapes, but UTF-8 as it is, and the order of the certificate. */
	const unsigned long flags = (ASN1_STRFLGS_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) |
				    XN_FLAG_SEP_CPLUS_SPC | XN_FLAG_FN_SN;
	struct buf raw = BUF_INIT(CHAIN_PEM_MAX);
	char text[NAME_TEXT_MAX];
	BIO *bio = BIO_new(BIO_s_mem());

	openssl_must(bio != NULL, "print a name");
	/* What cannot be printed to its end is shown as far as it goes. */
	if (X509_NAME_print_ex(bio, name, 0, flags) < 0) {
		ERR_clear_error();
	}
	buf_add_bio(&raw, bio);
	text_escape(text, sizeof(text), buf_str(&raw), raw.len);
	buf_clear(&raw);
	return xstrdup(text);
}

/* ---- subject alternative names ---- */

/* A DNS name with nothing in it that could mean something to a terminal, a
 * shell or C; a wildcard's star stands in it too. */
static bool is_dns_name(const char *text, size_t len)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._*";

	return len > 0 && len <= DNS_NAME_MAX && strspn(text, allowed) == len;
}

static enum err_code add_dns_name(const struct octets *dns, struct strlist *names, struct err *err)
{
	const char *text = (const char *)dns->data;
	char *name = xstrndup(text, dns->len); /* to its first NUL */
	char quoted[80];

	if (!is_dns_name(name, dns->len)) {
		free(name);
		text_escape(quoted, sizeof(quoted), text, dns->len);
		return err_set(err, ERR_PROTOCOL, NULL,
			       "the certificate is for \"%s\", which is no DNS name", quoted);
	}
	for (char *at = name; *at; at++) {
		*at = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
	}
	strlist_take(names, name);
	return ERR_NONE;
}

static enum err_code read_names(const struct leaf *leaf, struct strlist *names, struct err *err)
{
	enum err_code code = ERR_NONE;
	struct octets left, dns;
	bool good = true;

	if (!leaf->alt_names.data) {
		return ERR_NONE;
	}
	good = leaf_alt_names(leaf, &left);
	while (good && !code && left.len > 0) {
		good = alt_name_take(&left, &dns);
		if (good && dns.data) {
			code = add_dns_name(&dns, names, err);
		}
	}
	return good ? code
		    : err_set(err, ERR_PROTOCOL, NULL,
			      "the certificate's subject alternative names cannot be read");
}

/* ---- serial and identifier ---- */

/* As `openssl x509 -serial` has it: without the 00 that only keeps it positive. */
static char *serial_text(const struct octets *serial)
{
	const size_t skip = serial->len > 1 && serial->data[0] == 0;
	char text[2 * SERIAL_MAX + 1];

	hex_encode(text, sizeof(text), serial->data + skip, serial->len - skip);
	return xstrdup(text);
}

/* RFC 9773 s.4.1: the AKI's keyIdentifier and the serial's DER contents, each
 * in base64url, with a dot between. Gives, or NULL. */
static char *cert_id(const struct leaf *leaf)
{
	char first[BASE64URL_LEN(KEY_ID_MAX)];
	char second[BASE64URL_LEN(SERIAL_MAX)];
	struct octets id;

	if (!leaf_key_id(leaf, &id) || id.len == 0 || id.len > KEY_ID_MAX) {
		return NULL;
	}
	base64url_encode(first, sizeof(first), id.data, id.len);
	base64url_encode(second, sizeof(second), leaf->serial.data, leaf->serial.len);
	return xasprintf("%s.%s", first, second);
}

static enum err_code read_serial(const struct leaf *leaf, struct chain_facts *facts,
				 struct err *err)
{
	if (leaf->serial.len > SERIAL_MAX) {
		return err_set(
			err, ERR_PROTOCOL, NULL,
			"the certificate's serial number has %zu octets; at most %d are read",
			leaf->serial.len, SERIAL_MAX);
	}
	facts->serial = serial_text(&leaf->serial);
	facts->cert_id = cert_id(leaf);
	return ERR_NONE;
}

/* ---- all of it ---- */

static bool read_time(const struct leaf_time *time, int64_t *out)
{
	struct tm parts = { .tm_sec = 0 };
	ASN1_TIME *text = ASN1_STRING_type_new(time->type);
	bool good;

	openssl_must(text && ASN1_STRING_set(text, time->text.data, (int)time->text.len) == 1,
		     "hold a time");
	good = ASN1_TIME_to_tm(text, &parts) == 1;
	ASN1_STRING_free(text);
	ERR_clear_error();
	if (good) {
		*out = timegm(&parts);
	}
	return good;
}

/* Gives; NULL: it is no name. */
static char *name_text(const struct octets *der)
{
	const unsigned char *at = der->data;
	X509_NAME *name = d2i_X509_NAME(NULL, &at, (long)der->len);
	char *text = name ? x509_name_text(name) : NULL;

	X509_NAME_free(name);
	return text;
}

/* The same, kept for the next one: the certificates of a store are by few issuers. */
static char *issuer_text(const struct octets *der)
{
	/* live as long as the program */
	static struct buf last = BUF_INIT(CHAIN_PEM_MAX);
	static char *last_text;

	if (last_text && last.len == der->len && memcmp(last.data, der->data, der->len) == 0) {
		return xstrdup(last_text);
	}
	free(last_text);
	last_text = name_text(der);
	buf_clear(&last);
	buf_add(&last, der->data, der->len);
	return xstrdup(last_text);
}

/* With profiles that leave the subject empty, people know it by its first name. */
static char *subject_text(const struct octets *der, const struct strlist *names)
{
	const bool is_empty = der->len == 2; /* a header alone */

	return is_empty && names->count > 0 ? xstrdup(names->item[0]) : name_text(der);
}

static enum err_code read_subject_and_issuer(const struct leaf *leaf, struct chain_facts *facts,
					     struct err *err)
{
	facts->subject = subject_text(&leaf->subject, &facts->names);
	facts->issuer = facts->subject ? issuer_text(&leaf->issuer) : NULL;
	if (!facts->issuer) {
		return err_set(err, ERR_PROTOCOL, NULL, "the certificate's %s cannot be read: %s",
			       facts->subject ? "issuer" : "subject", openssl_why());
	}
	return ERR_NONE;
}

enum err_code chain_facts_read(const struct buf *der, struct chain_facts *facts, struct err *err)
{
	struct leaf leaf;
	enum err_code code;

	if (!leaf_parse(der, &leaf)) {
		return err_set(err, ERR_PROTOCOL, NULL,
			       "certificate 1 of the chain cannot be read: it is not one "
			       "certificate in DER");
	}
	facts->key_type = leaf.key_type;
	code = read_names(&leaf, &facts->names, err);
	if (!code) {
		code = read_serial(&leaf, facts, err);
	}
	if (!code && (!read_time(&leaf.not_before, &facts->not_before) ||
		      !read_time(&leaf.not_after, &facts->not_after))) {
		code = err_set(err, ERR_PROTOCOL, NULL,
			       "the certificate's dates of validity cannot be read");
	}
	return code ? code : read_subject_and_issuer(&leaf, facts, err);
}

void chain_facts_clear(struct chain_facts *facts)
{
	free(facts->subject);
	free(facts->issuer);
	free(facts->top_issuer);
	free(facts->serial);
	free(facts->cert_id);
	strlist_clear(&facts->names);
	*facts = (struct chain_facts){ .subject = NULL };
}
