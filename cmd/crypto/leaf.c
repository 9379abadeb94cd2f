/*
 * leaf: where in a certificate's DER stands what is told of it. OpenSSL 3 decodes the public key of
 * an X509 as soon as it is read, which takes fifty times as long as all of this: too long for who
 * looks at every certificate of a large store. Nothing is copied, and nothing taken apart that
 * nobody asks for.
 */
#include "internal.h"

#include <openssl/asn1.h>
#include <openssl/err.h>

#define SEQUENCE (V_ASN1_SEQUENCE | V_ASN1_CONSTRUCTED)
/* The n-th tag of a choice or of optional fields. */
#define CONTEXT(n) (V_ASN1_CONTEXT_SPECIFIC | (n))
#define CONTEXT_OUTER(n) (CONTEXT(n) | V_ASN1_CONSTRUCTED)

/* ---- DER (X.690) ---- */

/* What comes next, with its header; false: nothing that is whole and of a definite length. */
static bool take_any(struct octets *in, struct octets *content, struct octets *whole)
{
	const unsigned char *at = in->data;
	long len = 0;
	int number, class;
	int form = in->len > 0 ? ASN1_get_object(&at, &len, &number, &class, (long)in->len) : 0x80;

	/* 0x80: refused; 0x01: of indefinite length. No tag of a certificate is a long one. */
	if ((form & 0x81) || (in->data[0] & V_ASN1_PRIMITIVE_TAG) == V_ASN1_PRIMITIVE_TAG) {
		ERR_clear_error();
		return false;
	}
	*content = (struct octets){ at, (size_t)len };
	*whole = (struct octets){ in->data, (size_t)(at - in->data) + (size_t)len };
	in->data += whole->len;
	in->len -= whole->len;
	return true;
}

static bool take(struct octets *in, int tag, struct octets *content)
{
	struct octets whole;

	return take_any(in, content, &whole) && whole.data[0] == tag;
}

/* Whether there is one; where it is not whole, the next that is looked for is not found. */
static bool next_is(const struct octets *in, int tag)
{
	return in->len > 0 && in->data[0] == tag;
}

/* A field that may be missing, and is passed over. */
static bool pass(struct octets *in, int tag)
{
	struct octets content;

	return !next_is(in, tag) || take(in, tag, &content);
}

/* DER, its header included. */
static bool take_whole(struct octets *in, int tag, struct octets *whole)
{
	struct octets content;

	return take_any(in, &content, whole) && whole->data[0] == tag;
}

/* The octets of the number, which are no more than it needs (X.690 s.8.3.2). */
static bool take_integer(struct octets *in, struct octets *out)
{
	if (!take(in, V_ASN1_INTEGER, out) || out->len == 0) {
		return false;
	}
	return out->len == 1 || !((out->data[0] == 0 && out->data[1] < 0x80) ||
				  (out->data[0] == 0xff && out->data[1] >= 0x80));
}

#define IS(octets, text) octets_are(octets, text, sizeof(text) - 1)

static bool octets_are(const struct octets *octets, const char *text, size_t len)
{
	return octets->len == len && memcmp(octets->data, text, len) == 0;
}

/* ---- key ---- */

/* RFC 5480 s.2.1.1 */
#define OID_EC "\x2a\x86\x48\xce\x3d\x02\x01"
#define OID_P256 "\x2a\x86\x48\xce\x3d\x03\x01\x07"
#define OID_P384 "\x2b\x81\x04\x00\x22"
#define OID_RSA "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01" /* RFC 3279 s.2.3.1 */

/* RFC 8017 A.1.1: the octets of the modulus; 0: it cannot be read, or is some bits shorter. */
static size_t rsa_size(struct octets bits)
{
	struct octets pair, modulus;
	size_t sign;

	if (bits.len == 0 || bits.data[0] != 0) {
		return 0;
	}
	bits.data++; /* it said that all bits of the last octet count */
	bits.len--;
	if (!take(&bits, SEQUENCE, &pair) || !take_integer(&pair, &modulus)) {
		return 0;
	}
	sign = modulus.data[0] == 0 ? 1 : 0;
	return modulus.len > sign && modulus.data[sign] >= 0x80 ? modulus.len - sign : 0;
}

static const char *rsa_type(const struct octets *bits)
{
	const size_t size = rsa_size(*bits);

	for (size_t type = 0; type < KEY_TYPE_COUNT; type++) {
		const struct key_kind *kind = key_kind((enum key_type)type);

		if (!kind->curve && kind->size == size) {
			return kind->name;
		}
	}
	return NULL;
}

static const char *ec_type(const struct octets *curve)
{
	if (IS(curve, OID_P256)) {
		return key_type_name(KEY_P256);
	}
	return IS(curve, OID_P384) ? key_type_name(KEY_P384) : NULL;
}

/* RFC 5280 s.4.1.2.7; false: it is no key at all. */
static bool take_key(struct octets *in, const char **type)
{
	struct octets info, algorithm, name, bits, curve;

	if (!take(in, SEQUENCE, &info) || !take(&info, SEQUENCE, &algorithm) ||
	    !take(&info, V_ASN1_BIT_STRING, &bits) || info.len > 0 ||
	    !take(&algorithm, V_ASN1_OBJECT, &name)) {
		return false;
	}
	if (IS(&name, OID_RSA)) {
		*type = rsa_type(&bits);
	} else if (IS(&name, OID_EC) && next_is(&algorithm, V_ASN1_OBJECT)) {
		*type = take(&algorithm, V_ASN1_OBJECT, &curve) ? ec_type(&curve) : NULL;
	}
	return true;
}

/* ---- extensions ---- */

#define OID_ALT_NAME "\x55\x1d\x11"
#define OID_AUTHORITY "\x55\x1d\x23"

/* RFC 5280 s.4.2: one that is there twice makes no certificate. */
static bool keep(const struct octets *value, struct octets *out)
{
	bool first = !out->data;

	*out = *value;
	return first;
}

static bool take_extension(struct octets *in, struct leaf *leaf)
{
	struct octets extension, name, value;

	if (!take(in, SEQUENCE, &extension) || !take(&extension, V_ASN1_OBJECT, &name) ||
	    !pass(&extension, V_ASN1_BOOLEAN) || !take(&extension, V_ASN1_OCTET_STRING, &value) ||
	    extension.len > 0) {
		return false;
	}
	if (IS(&name, OID_ALT_NAME)) {
		return keep(&value, &leaf->alt_names);
	}
	return !IS(&name, OID_AUTHORITY) || keep(&value, &leaf->authority);
}

static bool take_extensions(struct octets *in, struct leaf *leaf)
{
	struct octets outer, list;

	if (in->len == 0) {
		return true;
	}
	if (!take(in, CONTEXT_OUTER(3), &outer) || !take(&outer, SEQUENCE, &list) ||
	    outer.len > 0) {
		return false;
	}
	while (list.len > 0) {
		if (!take_extension(&list, leaf)) {
			return false;
		}
	}
	return true;
}

bool leaf_alt_names(const struct leaf *leaf, struct octets *names)
{
	struct octets value = leaf->alt_names;

	return take(&value, SEQUENCE, names) && value.len == 0;
}

bool alt_name_take(struct octets *names, struct octets *dns)
{
	struct octets content, whole;
	int number;

	if (!take_any(names, &content, &whole)) {
		return false;
	}
	/* RFC 5280 s.4.2.1.6: the choices have the tags 0 to 8, and dNSName, a string, is 2. */
	number = whole.data[0] & V_ASN1_PRIMITIVE_TAG;
	*dns = number == 2 ? content : (struct octets){ NULL, 0 };
	return number == 2
		       ? whole.data[0] == CONTEXT(2)
		       : (whole.data[0] & V_ASN1_PRIVATE) == V_ASN1_CONTEXT_SPECIFIC && number <= 8;
}

bool leaf_key_id(const struct leaf *leaf, struct octets *id)
{
	struct octets value = leaf->authority, fields;

	return leaf->authority.data && take(&value, SEQUENCE, &fields) &&
	       take(&fields, CONTEXT(0), id);
}

/* ---- the whole ---- */

static bool take_time(struct octets *in, struct leaf_time *time)
{
	struct octets whole;

	if (!take_any(in, &time->text, &whole)) {
		return false;
	}
	time->type = whole.data[0];
	return time->type == V_ASN1_UTCTIME || time->type == V_ASN1_GENERALIZEDTIME;
}

/* RFC 5280 s.4.1 */
static bool take_body(struct octets *in, struct leaf *leaf)
{
	struct octets body, algorithm, validity;

	return take(in, SEQUENCE, &body) && pass(&body, CONTEXT_OUTER(0)) &&
	       take_integer(&body, &leaf->serial) && take(&body, SEQUENCE, &algorithm) &&
	       take_whole(&body, SEQUENCE, &leaf->issuer) && take(&body, SEQUENCE, &validity) &&
	       take_time(&validity, &leaf->not_before) && take_time(&validity, &leaf->not_after) &&
	       validity.len == 0 && take_whole(&body, SEQUENCE, &leaf->subject) &&
	       take_key(&body, &leaf->key_type) && pass(&body, CONTEXT(1)) &&
	       pass(&body, CONTEXT(2)) && take_extensions(&body, leaf) && body.len == 0;
}

bool leaf_parse(const struct buf *der, struct leaf *out)
{
	struct octets in = { (const unsigned char *)buf_str(der), der->len };
	struct octets certificate, algorithm, signature;
	struct leaf leaf = { .key_type = NULL };

	if (!take(&in, SEQUENCE, &certificate) || in.len > 0 || !take_body(&certificate, &leaf) ||
	    !take(&certificate, SEQUENCE, &algorithm) ||
	    !take(&certificate, V_ASN1_BIT_STRING, &signature) || certificate.len > 0) {
		return false;
	}
	*out = leaf;
	return true;
}
