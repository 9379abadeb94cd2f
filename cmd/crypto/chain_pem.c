/*
 * Strict PEM: blocks of one kind, white space between them, nothing else. RFC
 * 8555 s.11.4: whoever writes a CA's answer to a file for another program must
 * not let a private key, or anything but certificates, slip in with it.
 */
#include "internal.h"

#define BEGIN_ANY "-----BEGIN "
#define BEGIN "-----BEGIN CERTIFICATE-----"
#define END "-----END CERTIFICATE-----"
#define QUOTE_MAX 48

static bool starts(const struct pem_reader *reader, const char *text)
{
	const size_t len = strlen(text);

	return (size_t)(reader->end - reader->at) >= len && memcmp(reader->at, text, len) == 0;
}

static bool is_line_end(char c)
{
	return c == '\r' || c == '\n';
}

static bool is_blank(char c)
{
	return is_line_end(c) || c == ' ' || c == '\t';
}

/* base64_decode_any() knows these too, which stand in no PEM. */
static bool has_foreign(const char *text, size_t len)
{
	static const char foreign[] = { ' ', '\t', '-', '_' };
	bool found = false;

	for (size_t i = 0; i < sizeof(foreign) && !found; i++) {
		found = memchr(text, foreign[i], len) != NULL;
	}
	return found;
}

/* The beginning of the line at from, for people. */
static void quote(char out[QUOTE_MAX], const char *from, const char *end)
{
	const char *at = from;

	while (at < end && !is_line_end(*at)) {
		at++;
	}
	text_escape(out, QUOTE_MAX, from, (size_t)(at - from));
}

static enum err_code refuse_start(const struct pem_reader *reader, struct err *err)
{
	char line[QUOTE_MAX];

	quote(line, reader->at, reader->end);
	if (starts(reader, BEGIN_ANY)) {
		return err_set(err, ERR_PROTOCOL, NULL,
			       "block %zu of the chain is not a certificate but \"%s\"; a chain "
			       "with anything else in it is refused",
			       reader->count + 1, line);
	}
	return err_set(err, ERR_PROTOCOL, NULL,
		       "the chain holds text that belongs to no certificate, before block %zu: "
		       "\"%s\"",
		       reader->count + 1, line);
}

static enum err_code decode(const char *text, size_t len, struct pem_reader *reader,
			    struct buf *der, struct err *err)
{
	uint8_t *octets = xmalloc(len);
	size_t octets_len = 0;
	bool good = !has_foreign(text, len) &&
		    base64_decode_any(text, len, octets, len, &octets_len) && octets_len > 0;

	if (good) {
		buf_add(der, octets, octets_len);
		reader->count++;
	}
	free(octets);
	return good ? ERR_NONE
		    : err_set(err, ERR_PROTOCOL, NULL, "certificate %zu of the chain is not base64",
			      reader->count + 1);
}

enum err_code pem_next(struct pem_reader *reader, struct buf *der, bool *more, struct err *err)
{
	const char *body;
	const char *end;

	buf_clear(der);
	while (reader->at < reader->end && is_blank(*reader->at)) {
		reader->at++;
	}
	if (reader->at == reader->end) {
		*more = false;
		return ERR_NONE;
	}
	if (!starts(reader, BEGIN)) {
		return refuse_start(reader, err);
	}
	*more = true;
	body = reader->at + strlen(BEGIN);
	end = memmem(body, (size_t)(reader->end - body), END, strlen(END));
	if (!end || !is_line_end(body[0]) || !is_line_end(end[-1])) {
		return err_set(err, ERR_PROTOCOL, NULL,
			       "certificate %zu of the chain is cut off: its lines %s and %s do "
			       "not enclose it",
			       reader->count + 1, BEGIN, END);
	}
	reader->at = end + strlen(END);
	return decode(body, (size_t)(end - body), reader, der, err);
}
