/* What people and plans want to know of a certificate. */
#include "internal.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

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

	return len > 0 && len <= DNS_NAME_MAX && strnlen(text, len) == len &&
	       strspn(text, allowed) == len;
}

static enum err_code add_dns_name(const ASN1_STRING *value, struct strlist *names, struct err *err)
{
	const char *text = (const char *)ASN1_STRING_get0_data(value);
	const size_t len = (size_t)ASN1_STRING_length(value);
	char quoted[80];
	char *name;

	if (!is_dns_name(text, len)) {
		text_escape(quoted, sizeof(quoted), text, len);
		return err_set(err, ERR_PROTOCOL, NULL,
			       "the certificate is for \"%s\", which is no DNS name", quoted);
	}
	name = xstrndup(text, len);
	for (char *at = name; *at; at++) {
		*at = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
	}
	strlist_take(names, name);
	return ERR_NONE;
}

static enum err_code read_names(const struct leaf *leaf, struct strlist *names, struct err *err)
{
	enum err_code code = ERR_NONE;
	int state = 0; /* -1: there is none; -2: there are two */
	GENERAL_NAMES *list =
		X509V3_get_d2i(leaf->body->extensions, NID_subject_alt_name, &state, NULL);

	if (!list && state != -1) {
		ERR_clear_error();
		return err_set(err, ERR_PROTOCOL, NULL,
			       "the certificate's subject alternative names cannot be read");
	}
	for (int i = 0; i < sk_GENERAL_NAME_num(list) && !code; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(list, i);

		if (name->type == GEN_DNS) {
			code = add_dns_name(name->d.dNSName, names, err);
		}
	}
	GENERAL_NAMES_free(list);
	return code;
}

/* ---- serial and identifier ---- */

/* The octets of the DER INTEGER, a leading 00 included; gives. */
static uint8_t *serial_octets(const struct leaf *leaf, size_t *out_len)
{
	const unsigned char *at;
	unsigned char *der = NULL;
	uint8_t *octets;
	int der_len = i2d_ASN1_INTEGER(leaf->body->serial, &der);
	long len = 0;
	int tag, class;

	at = der;
	openssl_must(der_len > 0 && !(ASN1_get_object(&at, &len, &tag, &class, der_len) & 0x80),
		     "write a serial number");
	octets = xmalloc((size_t)len);
	memcpy(octets, at, (size_t)len);
	*out_len = (size_t)len;
	OPENSSL_free(der);
	return octets;
}

/* As `openssl x509 -serial` has it: without the 00 that only keeps it positive. */
static char *serial_text(const uint8_t *octets, size_t len)
{
	const size_t skip = len > 1 && octets[0] == 0;
	char text[2 * SERIAL_MAX + 1];

	hex_encode(text, sizeof(text), octets + skip, len - skip);
	return xstrdup(text);
}

/* RFC 9773 s.4.1: the AKI's keyIdentifier and the serial's DER contents, each
 * in base64url, with a dot between. Gives, or NULL. */
static char *cert_id(const struct leaf *leaf, const uint8_t *serial, size_t serial_len)
{
	AUTHORITY_KEYID *authority =
		X509V3_get_d2i(leaf->body->extensions, NID_authority_key_identifier, NULL, NULL);
	const ASN1_OCTET_STRING *key_id = authority ? authority->keyid : NULL;
	char first[BASE64URL_LEN(KEY_ID_MAX)];
	char second[BASE64URL_LEN(SERIAL_MAX)];
	int len = key_id ? ASN1_STRING_length(key_id) : 0;
	char *id = NULL;

	if (len > 0 && len <= KEY_ID_MAX) {
		base64url_encode(first, sizeof(first), ASN1_STRING_get0_data(key_id), (size_t)len);
		base64url_encode(second, sizeof(second), serial, serial_len);
		id = xasprintf("%s.%s", first, second);
	}
	AUTHORITY_KEYID_free(authority);
	ERR_clear_error();
	return id;
}

static enum err_code read_serial(const struct leaf *leaf, struct chain_facts *facts,
				 struct err *err)
{
	enum err_code code = ERR_NONE;
	size_t len;
	uint8_t *serial = serial_octets(leaf, &len);

	if (len > SERIAL_MAX) {
		code = err_set(
			err, ERR_PROTOCOL, NULL,
			"the certificate's serial number has %zu octets; at most %d are read", len,
			SERIAL_MAX);
	} else {
		facts->serial = serial_text(serial, len);
		facts->cert_id = cert_id(leaf, serial, len);
	}
	free(serial);
	return code;
}

/* ---- all of it ---- */

static bool read_time(const ASN1_TIME *time, int64_t *out)
{
	struct tm parts = { .tm_sec = 0 };

	if (ASN1_TIME_to_tm(time, &parts) != 1) {
		ERR_clear_error();
		return false;
	}
	*out = timegm(&parts);
	return true;
}

/* Gives; NULL: it is no name. */
static char *name_text(const ASN1_STRING *der)
{
	const unsigned char *at = ASN1_STRING_get0_data(der);
	X509_NAME *name = d2i_X509_NAME(NULL, &at, ASN1_STRING_length(der));
	char *text = name ? x509_name_text(name) : NULL;

	X509_NAME_free(name);
	return text;
}

/* The same, kept for the next one: the certificates of a store are by few issuers. */
static char *issuer_text(const ASN1_STRING *der)
{
	/* live as long as the program */
	static ASN1_STRING *last;
	static char *last_text;

	if (!last || ASN1_STRING_cmp(last, der) != 0) {
		ASN1_STRING_free(last);
		free(last_text);
		last = ASN1_STRING_dup(der);
		openssl_must(last != NULL, "hold a name");
		last_text = name_text(der);
	}
	return xstrdup(last_text);
}

/* With profiles that leave the subject empty, people know it by its first name. */
static char *subject_text(const ASN1_STRING *der, const struct strlist *names)
{
	const bool is_empty = ASN1_STRING_length(der) == 2; /* a header alone */

	return is_empty && names->count > 0 ? xstrdup(names->item[0]) : name_text(der);
}

static enum err_code read_subject_and_issuer(const struct leaf *leaf, struct chain_facts *facts,
					     struct err *err)
{
	facts->subject = subject_text(leaf->body->subject, &facts->names);
	facts->issuer = facts->subject ? issuer_text(leaf->body->issuer) : NULL;
	if (!facts->issuer) {
		return err_set(err, ERR_PROTOCOL, NULL, "the certificate's %s cannot be read: %s",
			       facts->subject ? "issuer" : "subject", openssl_why());
	}
	return ERR_NONE;
}

static enum err_code read_leaf(const struct leaf *leaf, struct chain_facts *facts, struct err *err)
{
	const X509_VAL *validity = leaf->body->validity;
	enum err_code code;

	facts->key_type = leaf_key_type(leaf);
	code = read_names(leaf, &facts->names, err);
	if (!code) {
		code = read_serial(leaf, facts, err);
	}
	if (!code && (!read_time(validity->notBefore, &facts->not_before) ||
		      !read_time(validity->notAfter, &facts->not_after))) {
		code = err_set(err, ERR_PROTOCOL, NULL,
			       "the certificate's dates of validity cannot be read");
	}
	return code ? code : read_subject_and_issuer(leaf, facts, err);
}

enum err_code chain_facts_read(const struct buf *der, struct chain_facts *facts, struct err *err)
{
	struct leaf *leaf = leaf_parse(der);
	enum err_code code;

	if (!leaf) {
		return err_set(err, ERR_PROTOCOL, NULL,
			       "certificate 1 of the chain cannot be read: %s", openssl_why());
	}
	code = read_leaf(leaf, facts, err);
	leaf_free(leaf);
	return code;
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
