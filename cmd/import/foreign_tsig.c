/* foreign_tsig: DNS UPDATE with TSIG, as other clients keep its settings. */
#include "internal.h"

char *foreign_failed(const struct err *err)
{
	char *text = err_format(err);
	char *why = xasprintf("%s; make a provider of type rfc2136 and a zone for the names", text);

	free(text);
	return why;
}

static char *format_tsig(const struct tsig_key *key)
{
	char *secret = base64_encode(key->secret, key->secret_len);
	char *text = xasprintf("key \"%s\" {\n\talgorithm %s;\n\tsecret \"%s\";\n};\n", key->name,
			       tsig_alg_name(key->alg), secret);

	wipe_str(secret);
	return text;
}

char *foreign_tsig_file(const char *text, const char *source, bool *sha1, struct err *err)
{
	struct tsig_key *key = NULL;
	struct err why;
	char *out;

	if (tsig_key_parse(
		    &(struct tsig_key_text){
			    .text = text,
			    .len = strlen(text),
			    .source = source,
			    .allow_sha1 = true,
		    },
		    &key, &why) != ERR_NONE) {
		err_set(err, ERR_CONFIG, source, "its TSIG key cannot be used: %s", why.text);
		return NULL;
	}
	*sha1 = key->alg == MAC_SHA1;
	out = format_tsig(key);
	tsig_key_free(key);
	return out;
}

char *foreign_tsig(const struct foreign_tsig *tsig, bool *sha1, struct err *err)
{
	char *text, *out;

	if (strpbrk(tsig->name, "\"\\\n;{}") || strpbrk(tsig->secret, "\"\\\n;{}") ||
	    strpbrk(tsig->algorithm, "\"\\\n;{} ")) {
		err_set(err, ERR_CONFIG, tsig->source, "its TSIG key holds marks that no key has");
		return NULL;
	}
	text = xasprintf("key \"%s\" { algorithm %s; secret \"%s\"; };", tsig->name,
			 tsig->algorithm, tsig->secret);
	out = foreign_tsig_file(text, tsig->source, sha1, err);
	wipe_str(text);
	return out;
}

size_t foreign_add_rfc2136(struct import *import, const struct foreign_rfc2136 *from,
			   struct err *err)
{
	struct found_provider provider = { .type = "rfc2136" };
	char server[ADDR_TEXT_MAX];
	struct addr addr;

	if (!addr_parse(from->server, from->port, &addr)) {
		err_set(err, ERR_CONFIG, from->source,
			"the server of its updates is \"%s\", and not an address", from->server);
		wipe_str(from->key);
		return FOUND_NONE;
	}
	addr_format(server, &addr, 53);
	settings_set(&provider.settings, "server", server, NULL);
	if (from->sha1) {
		settings_set(&provider.settings, "allow_sha1", "true", NULL);
	}
	if (from->key) {
		found_add_secret(&provider, "tsig_key_file", from->key);
	} else {
		settings_set(&provider.settings, "unsigned", "true", NULL);
	}
	return found_add_provider(import, &provider);
}
