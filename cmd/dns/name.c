#include "wire.h"

#include <idn2.h>
#include <ldns/ldns.h>
#include <strings.h>

/* U+2026 and friends would be hostile in a sentence; what is quoted is escaped
 * and short. */
#define QUOTE_MAX 80
#define NAME_INPUT_MAX 1024

static const char challenge_label[] = "_acme-challenge.";

static enum err_code refuse(struct err *err, const char *text, const char *why)
{
	char quoted[QUOTE_MAX];

	text_escape(quoted, sizeof(quoted), text, strlen(text));
	return err_set(err, ERR_USAGE, quoted, "%s", why);
}

static bool is_ascii(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text >= 0x80) {
			return false;
		}
	}
	return true;
}

/* Mistakes that people make, seen before the rules of DNS are asked. */
static const char *common_mistake(const char *text)
{
	struct addr addr;

	if (!*text) {
		return "the name is empty";
	}
	if (strlen(text) > NAME_INPUT_MAX) {
		return "the name is too long: a domain name has at most 255 octets";
	}
	if (strstr(text, "://")) {
		return "that is a URL; write the host name alone";
	}
	if (addr_parse(text, DNS_PORT, &addr)) {
		return "that is an IP address; a domain name is needed";
	}
	if (strchr(text, '@')) {
		return "'@' cannot stand in a domain name; an e-mail address is not one";
	}
	if (strpbrk(text, " \t\r\n")) {
		return "white space cannot stand in a domain name";
	}
	return NULL;
}

/* Letters, digits, hyphen, and the underscore of RFC 8552; anything else that
 * DNS would carry has to be written as \DDD, so that it is meant. */
static const char *odd_character(const char *text)
{
	for (const char *at = text; *at; at++) {
		if (*at == '\\') {
			at += at[1] ? 1 : 0;
			continue;
		}
		if (*at == '*') {
			return "a wildcard is a single '*' as the first label, as in *.example.com";
		}
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.",
			    *at)) {
			return "only letters, digits, '-' and '_' stand in a name; write any other "
			       "octet as \\DDD";
		}
	}
	return NULL;
}

static const char *idn_sentence(int rc)
{
	switch (rc) {
	case IDN2_ENCODING_ERROR:
		return "the name is not valid UTF-8";
	case IDN2_TOO_BIG_DOMAIN:
		return "the name is too long: a domain name has at most 255 octets";
	case IDN2_TOO_BIG_LABEL:
		return "a label is too long: between two dots there are at most 63 octets (as an "
		       "A-label)";
	case IDN2_PUNYCODE_BAD_INPUT:
	case IDN2_INVALID_ALABEL:
	case IDN2_UALABEL_MISMATCH:
	case IDN2_ALABEL_ROUNDTRIP_FAILED:
		return "a label that starts with xn-- is not a valid A-label (RFC 5891 s.5.4)";
	case IDN2_BIDI:
		return "right-to-left and left-to-right letters are mixed in a way that RFC 5893 "
		       "forbids";
	case IDN2_2HYPHEN:
	case IDN2_HYPHEN_STARTEND:
		return "a label with letters outside ASCII may not have a hyphen at its ends, nor "
		       "two as its third and fourth character";
	default:
		return "a character is not allowed in internationalized domain names (IDNA2008, "
		       "RFC 5892)";
	}
}

/* To A-labels: IDNA2008, UTS 46 non-transitional (sharp s stays itself). Gives. */
static const char *to_alabels(const char *text, char **out)
{
	uint8_t *ascii = NULL;
	int rc = idn2_lookup_u8((const uint8_t *)text, &ascii,
				IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);

	if (rc != IDN2_OK) {
		return idn_sentence(rc);
	}
	*out = xstrdup((const char *)ascii);
	idn2_free(ascii);
	return NULL;
}

/* Each A-label of a parsed name is proven, whoever wrote it and however. */
static const char *check_alabels(const char *text)
{
	for (const char *label = text; *label; label += strspn(label, ".")) {
		size_t len = strcspn(label, ".");

		if (len > 4 && strncasecmp(label, "xn--", 4) == 0) {
			char *copy = xstrndup(label, len);
			char *ascii = NULL;
			const char *why = to_alabels(copy, &ascii);

			free(copy);
			free(ascii);
			if (why) {
				return idn_sentence(IDN2_INVALID_ALABEL);
			}
		}
		label += len;
	}
	return NULL;
}

static const char *dname_sentence(ldns_status status)
{
	switch (status) {
	case LDNS_STATUS_LABEL_OVERFLOW:
		return "a label is too long: between two dots there are at most 63 octets";
	case LDNS_STATUS_DOMAINNAME_OVERFLOW:
		return "the name is too long: a domain name has at most 255 octets";
	case LDNS_STATUS_EMPTY_LABEL:
		return "there is nothing between two dots";
	case LDNS_STATUS_DDD_OVERFLOW:
	case LDNS_STATUS_SYNTAX_BAD_ESCAPE:
		return "after a backslash come three digits up to 255, or the character itself";
	default:
		return "it is not a domain name";
	}
}

static const char *canonical(const char *text, char out[NAME_TEXT_MAX])
{
	struct wire_name wire;
	ldns_rdf *rdf = NULL;
	ldns_status status = ldns_str2rdf_dname(&rdf, text);

	if (status == LDNS_STATUS_OK && ldns_rdf_size(rdf) > WIRE_NAME_MAX) {
		status = LDNS_STATUS_DOMAINNAME_OVERFLOW;
	}
	if (status != LDNS_STATUS_OK) {
		ldns_rdf_deep_free(rdf);
		return dname_sentence(status);
	}
	wire.len = ldns_rdf_size(rdf);
	memcpy(wire.data, ldns_rdf_data(rdf), wire.len);
	ldns_rdf_deep_free(rdf);
	wire_name_text(&wire, out);
	return NULL;
}

/* The part of a name behind "*."; gives *out in A-labels. */
static const char *base_to_ascii(const char *base, char **out)
{
	const char *why;

	if (is_ascii(base)) {
		why = odd_character(base);
		if (!why) {
			*out = xstrdup(base);
		}
		return why;
	}
	if (strchr(base, '\\')) {
		return "a backslash and letters outside ASCII do not go together";
	}
	why = to_alabels(base, out);
	if (!why) {
		why = odd_character(*out);
	}
	return why;
}

enum err_code name_parse(const char *text, char out[NAME_TEXT_MAX], struct err *err)
{
	bool wildcard = strncmp(text, "*.", 2) == 0;
	const char *base = wildcard ? text + 2 : text;
	char *ascii = NULL;
	char *whole = NULL;
	char parsed[NAME_TEXT_MAX];
	const char *why = common_mistake(text);

	if (!why && (strcmp(base, "*") == 0 || (wildcard && (!*base || strcmp(base, ".") == 0)))) {
		why = "a wildcard needs a domain, as in *.example.com";
	}
	if (!why) {
		why = base_to_ascii(base, &ascii);
	}
	if (!why) {
		whole = xasprintf("%s%s", wildcard ? "*." : "", ascii);
		why = canonical(whole, parsed);
	}
	if (!why) {
		why = check_alabels(parsed);
	}
	if (!why) {
		memcpy(out, parsed, strlen(parsed) + 1);
	}
	free(whole);
	free(ascii);
	return why ? refuse(err, text, why) : ERR_NONE;
}

bool name_under(const char *name, const char *ancestor)
{
	size_t len = strlen(name);
	size_t tail = strlen(ancestor);

	if (strcmp(ancestor, ".") == 0) {
		return true;
	}
	if (len < tail || strcmp(name + len - tail, ancestor) != 0) {
		return false;
	}
	return len == tail || name[len - tail - 1] == '.';
}

const char *name_parent(const char *name)
{
	const char *dot = strchr(name, '.');

	if (strcmp(name, ".") == 0) {
		return NULL;
	}
	return dot ? dot + 1 : ".";
}

size_t name_labels(const char *name)
{
	size_t labels = 1;

	if (strcmp(name, ".") == 0) {
		return 0;
	}
	for (; *name; name++) {
		labels += *name == '.';
	}
	return labels;
}

bool name_is_wildcard(const char *name)
{
	return strncmp(name, "*.", 2) == 0;
}

const char *name_base(const char *name)
{
	return name_is_wildcard(name) ? name + 2 : name;
}

enum err_code name_challenge(const char *name, char out[NAME_TEXT_MAX], struct err *err)
{
	const char *base = name_base(name);
	char *whole;
	const char *why;

	whole = xasprintf("%s%s", challenge_label, strcmp(base, ".") == 0 ? "" : base);
	why = canonical(whole, out);
	free(whole);
	if (why) {
		return err_set(err, ERR_USAGE, name,
			       "with %s in front the name has more than 255 octets, so it cannot "
			       "be validated by DNS-01",
			       challenge_label);
	}
	return ERR_NONE;
}

/* Hebrew to Arabic Extended, and their presentation forms: terminals reorder
 * them, and with them the dots and the labels beside. */
static bool has_right_to_left(const char *utf8)
{
	for (const unsigned char *at = (const unsigned char *)utf8; *at; at++) {
		if ((at[0] >= 0xd6 && at[0] <= 0xdf) || (at[0] == 0xe0 && at[1] < 0xa4) ||
		    (at[0] == 0xef && at[1] >= 0xac && at[1] <= 0xbb) || at[0] >= 0xf0) {
			return true;
		}
	}
	return false;
}

char *name_display(const char *name)
{
	char *unicode = NULL;
	char *shown = NULL;

	/* Letters of two scripts may look the same, so the A-labels are always
	 * there too: nobody is deceived by the U-labels alone. */
	if (strstr(name, "xn--") && !strchr(name, '\\') &&
	    idn2_to_unicode_8z8z(name, &unicode, 0) == IDN2_OK && strcmp(unicode, name) != 0 &&
	    !has_right_to_left(unicode)) {
		shown = xasprintf("%s (%s)", unicode, name);
	}
	idn2_free(unicode);
	return shown ? shown : xstrdup(name);
}
