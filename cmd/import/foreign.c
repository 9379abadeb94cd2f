/* foreign: the DNS plugins of other clients, and what serves in their place here. */
#include "internal.h"

#include "dns01/provider.h"

/* By the names that certbot and acme.sh give them; NULL: that client has none. */
static const struct {
	const char *name[2]; /* by enum foreign_client */
	const char *ours;
} plugins[] = {
	{ { "dns-rfc2136", "dns_nsupdate" }, "rfc2136" },
	{ { "dns-acmedns", "dns_acmedns" }, "acmedns" },
	{ { NULL, "dns_acmeproxy" }, "httpreq" },
	{ { "dns-azure", "dns_azure" }, "azure" },
	{ { "dns-cloudflare", "dns_cf" }, "cloudflare" },
	{ { "dns-desec", "dns_desec" }, "desec" },
	{ { "dns-digitalocean", "dns_dgon" }, "digitalocean" },
	{ { "dns-gandi", "dns_gandi_livedns" }, "gandi" },
	{ { "dns-google", "dns_gcloud" }, "google" },
	{ { "dns-hetzner-cloud", "dns_hetznercloud" }, "hetzner" },
	{ { "dns-hetzner", "dns_hetzner" }, "hetzner" },
	{ { "dns-linode", "dns_linode_v4" }, "linode" },
	{ { "dns-ovh", "dns_ovh" }, "ovh" },
	{ { "dns-powerdns", "dns_pdns" }, "powerdns" },
	{ { "dns-porkbun", "dns_porkbun" }, "porkbun" },
	{ { "dns-route53", "dns_aws" }, "route53" },
};

char *foreign_advice(enum foreign_client client, const char *plugin)
{
	for (size_t i = 0; i < ARRAY_LEN(plugins); i++) {
		const char *name = plugins[i].name[client];

		if (name && strcmp(name, plugin) == 0 && provider_find(plugins[i].ours)) {
			return xasprintf("the provider \"%s\" serves in its place: add it to "
					 "`providers` with its credential (`dns01 providers %s`), "
					 "and a zone for the names",
					 plugins[i].ours, plugins[i].ours);
		}
	}
	return xstrdup(
		"dns01 has no provider in its place: make the challenge names aliases (CNAME) "
		"of names in a zone that it can update (`dns01 providers` lists how)");
}

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
	struct found_provider provider = { .type = "rfc2136", .secret = from->key };
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
		provider.secret_setting = "tsig_key_file";
		provider.secret_suffix = xstrdup("tsig.key");
	} else {
		settings_set(&provider.settings, "unsigned", "true", NULL);
	}
	return found_add_provider(import, &provider);
}
