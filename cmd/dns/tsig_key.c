#include "dns01/dns.h"

#include "wire.h"

#include <assert.h>
#include <strings.h>

#define KEY_FILE_MAX (16 * 1024)
#define KEY_TOKEN_MAX 1024

static const char *const alg_names[] = {
	[MAC_SHA1] = "hmac-sha1",
	[MAC_SHA256] = "hmac-sha256",
	[MAC_SHA384] = "hmac-sha384",
	[MAC_SHA512] = "hmac-sha512",
};
static_assert(ARRAY_LEN(alg_names) == MAC_ALG_COUNT, "one name for each algorithm");

/* BIND's statement as it is being read. */
struct key_reader {
	const char *at, *end;
	const char *source;
	size_t line;
	bool quoted;               /* the last token was */
	char token[KEY_TOKEN_MAX]; /* may hold the secret: wiped */
};

const char *tsig_alg_name(enum mac_alg alg)
{
	return alg_names[alg];
}

bool tsig_alg_parse(const char *text, enum mac_alg *out)
{
	size_t len = strlen(text);

	if (len > 0 && text[len - 1] == '.') {
		len--;
	}
	for (size_t i = 0; i < ARRAY_LEN(alg_names); i++) {
		if (strlen(alg_names[i]) == len && strncasecmp(alg_names[i], text, len) == 0) {
			*out = (enum mac_alg)i;
			return true;
		}
	}
	return false;
}

void tsig_key_free(struct tsig_key *key)
{
	wipe_free(key, sizeof(*key));
}

static enum err_code bad_key(const struct key_reader *reader, struct err *err, const char *why)
{
	char subject[ERR_SUBJECT_MAX];

	snprintf(subject, sizeof(subject), "%s:%zu", reader->source, reader->line);
	return err_set(err, ERR_CONFIG, subject, "%s", why);
}

/* Over one comment; false where there is none, or it never ends. */
static bool skip_comment(struct key_reader *reader)
{
	const char *at = reader->at;
	bool block = reader->end - at >= 2 && at[0] == '/' && at[1] == '*';

	if (*at != '#' && !block && !(reader->end - at >= 2 && at[0] == '/' && at[1] == '/')) {
		return false;
	}
	for (at += block ? 2 : 0; at < reader->end; at++) {
		if (block && reader->end - at >= 2 && at[0] == '*' && at[1] == '/') {
			reader->at = at + 2;
			return true;
		}
		if (*at == '\n' && !block) {
			break;
		}
		reader->line += *at == '\n';
	}
	reader->at = at;
	return !block;
}

static void skip_blank(struct key_reader *reader)
{
	while (reader->at < reader->end) {
		if (*reader->at == '\n') {
			reader->line++;
		}
		if (strchr(" \t\r\n", *reader->at) && *reader->at) {
			reader->at++;
		} else if (!skip_comment(reader)) {
			break;
		}
	}
}

/* The next word, string or mark into token; "" at the end of the text. */
static bool next_token(struct key_reader *reader)
{
	size_t len = 0;

	skip_blank(reader);
	reader->quoted = reader->at < reader->end && *reader->at == '"';
	reader->at += reader->quoted ? 1 : 0;
	while (reader->at < reader->end && len < KEY_TOKEN_MAX - 1) {
		char c = *reader->at;

		if (c == '\0' || c == '\n' || (reader->quoted && c == '"')) {
			break;
		}
		if (!reader->quoted && strchr("{};\" \t\r", c) && len > 0) {
			break;
		}
		reader->token[len++] = c;
		reader->at++;
		if (!reader->quoted && strchr("{};", c)) {
			break;
		}
	}
	reader->token[len] = '\0';
	if (reader->quoted) {
		if (reader->at >= reader->end || *reader->at != '"') {
			return false;
		}
		reader->at++;
	}
	return len < KEY_TOKEN_MAX - 1;
}

static bool expect_mark(struct key_reader *reader, const char *mark)
{
	return next_token(reader) && !reader->quoted && strcmp(reader->token, mark) == 0;
}

static enum err_code read_algorithm(struct key_reader *reader, bool allow_sha1,
				    struct tsig_key *key, struct err *err)
{
	const char *name = reader->token;

	if (!next_token(reader) || !*name) {
		return bad_key(reader, err, "'algorithm' names none");
	}
	if (strncasecmp(name, "hmac-md5", 8) == 0) {
		return bad_key(reader, err,
			       "hmac-md5 must not be used (RFC 8945 s.6); make a new key: "
			       "tsig-keygen -a hmac-sha256 NAME");
	}
	if (!tsig_alg_parse(name, &key->alg)) {
		return bad_key(reader, err,
			       "this algorithm is not supported; hmac-sha256, hmac-sha384 and "
			       "hmac-sha512 are, untruncated");
	}
	if (key->alg == MAC_SHA1 && !allow_sha1) {
		return bad_key(reader, err,
			       "hmac-sha1 is not recommended (RFC 8945 s.6) and has to be allowed "
			       "explicitly (allow_sha1); better make a key for hmac-sha256");
	}
	return ERR_NONE;
}

/* The value itself never stands in a sentence. */
static enum err_code read_secret(struct key_reader *reader, struct tsig_key *key, struct err *err)
{
	if (!next_token(reader)) {
		return bad_key(reader, err, "the secret is not closed by a quote, or too long");
	}
	if (!base64_decode_any(reader->token, strlen(reader->token), key->secret,
			       sizeof(key->secret), &key->secret_len)) {
		return bad_key(reader, err,
			       "the secret is not base64, or longer than 512 octets decoded");
	}
	if (key->secret_len == 0) {
		return bad_key(reader, err, "the secret is empty");
	}
	return ERR_NONE;
}

static enum err_code read_name(struct key_reader *reader, struct tsig_key *key, struct err *err)
{
	struct wire_name wire;

	if (!next_token(reader) || strcmp(reader->token, "key") != 0 || reader->quoted) {
		return bad_key(reader, err,
			       "a key file has the form: key \"NAME\" { algorithm hmac-sha256; "
			       "secret \"BASE64\"; };");
	}
	if (!next_token(reader) || !reader->token[0] || strpbrk(reader->token, "{};") ||
	    !wire_name_from_text(reader->token, &wire)) {
		return bad_key(reader, err, "after 'key' comes its name, a domain name");
	}
	wire_name_text(&wire, key->name);
	if (!expect_mark(reader, "{")) {
		return bad_key(reader, err, "after the key's name comes '{'");
	}
	return ERR_NONE;
}

/* The clauses between the braces, in either order, each once. */
static enum err_code read_clauses(struct key_reader *reader, bool allow_sha1, struct tsig_key *key,
				  struct err *err)
{
	bool has_algorithm = false;
	bool has_secret = false;
	enum err_code rc = ERR_NONE;

	while (rc == ERR_NONE) {
		if (!next_token(reader) || reader->quoted) {
			return bad_key(reader, err, "'algorithm' or 'secret' is expected");
		}
		if (strcmp(reader->token, "}") == 0) {
			break;
		}
		if (strcmp(reader->token, "algorithm") == 0 && !has_algorithm) {
			has_algorithm = true;
			rc = read_algorithm(reader, allow_sha1, key, err);
		} else if (strcmp(reader->token, "secret") == 0 && !has_secret) {
			has_secret = true;
			rc = read_secret(reader, key, err);
		} else {
			return bad_key(reader, err,
				       "in a key stand 'algorithm' and 'secret', each once, and "
				       "then '}'");
		}
		if (rc == ERR_NONE && !expect_mark(reader, ";")) {
			return bad_key(reader, err, "a ';' is missing");
		}
	}
	if (rc == ERR_NONE && !(has_algorithm && has_secret)) {
		rc = bad_key(reader, err,
			     has_secret ? "the key has no 'algorithm'" : "the key has no 'secret'");
	}
	return rc;
}

enum err_code tsig_key_parse(const struct tsig_key_text *from, struct tsig_key **out,
			     struct err *err)
{
	struct key_reader reader = {
		.at = from->text,
		.end = from->text + from->len,
		.source = from->source,
		.line = 1,
	};
	struct tsig_key *key = xcalloc(1, sizeof(*key));
	enum err_code rc;

	rc = read_name(&reader, key, err);
	if (rc == ERR_NONE) {
		rc = read_clauses(&reader, from->allow_sha1, key, err);
	}
	if (rc == ERR_NONE && !expect_mark(&reader, ";")) {
		rc = bad_key(&reader, err, "a ';' is missing after '}'");
	}
	if (rc == ERR_NONE && (!next_token(&reader) || reader.token[0] || reader.quoted)) {
		rc = bad_key(&reader, err, "there is more than one key in the file; write one");
	}
	if (rc == ERR_NONE) {
		*out = key;
		key = NULL;
	}
	tsig_key_free(key);
	wipe(&reader, sizeof(reader));
	return rc;
}

enum err_code tsig_key_load(const char *path, bool allow_sha1, struct tsig_key **out,
			    struct err *err)
{
	struct buf text;
	enum err_code rc;

	rc = file_read_secret(path, KEY_FILE_MAX, &text, err);
	if (rc == ERR_NONE) {
		rc = tsig_key_parse(
			&(struct tsig_key_text){
				.text = buf_str(&text),
				.len = text.len,
				.source = path,
				.allow_sha1 = allow_sha1,
			},
			out, err);
		buf_wipe(&text);
	}
	return rc;
}
