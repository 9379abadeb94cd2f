/* foreign: the DNS plugins of other clients, and what serves in their place here. */
#include "internal.h"

#include "dns01/provider.h"

#define ROWS_MAX 5
#define WHOLE_FILE "*"

/* One setting: its name in the credentials file of certbot's plugin and in acme.sh, and ours. */
struct plugin_row {
	const char *key[2];  /* by enum foreign_client; NULL: not there; or WHOLE_FILE */
	const char *setting; /* "..._file": a secret, which gets a file of its own */
	const char *unless;  /* left out where that setting was found; NULL */
};

/* By the names that certbot and acme.sh give them; NULL: that client has none. */
static const struct plugin {
	const char *name[2];
	const char *ours;
	struct plugin_row row[ROWS_MAX]; /* none: its credential stays where it is */
	bool ambient;                    /* the vendor's own places are asked, here as there */
} plugins[] = {
	{ .name = { "dns-cloudflare", "dns_cf" },
	  .ours = "cloudflare",
	  .row = { { { "dns_cloudflare_api_token", "CF_Token" }, "token_file", NULL },
		   { { NULL, "CF_Account_ID" }, "account_id", NULL },
		   { { "dns_cloudflare_email", "CF_Email" }, "email", "token_file" },
		   { { "dns_cloudflare_api_key", "CF_Key" }, "key_file", "token_file" } } },
	{ .name = { NULL, "dns_pdns" },
	  .ours = "powerdns",
	  .row = { { { NULL, "PDNS_Url" }, "endpoint", NULL },
		   { { NULL, "PDNS_ServerId" }, "server_id", NULL },
		   { { NULL, "PDNS_Token" }, "key_file", NULL } } },
	{ .name = { NULL, "dns_acmeproxy" },
	  .ours = "httpreq",
	  .row = { { { NULL, "ACMEPROXY_ENDPOINT" }, "endpoint", NULL },
		   { { NULL, "ACMEPROXY_USERNAME" }, "username", NULL },
		   { { NULL, "ACMEPROXY_PASSWORD" }, "password_file", NULL } } },
	{ .name = { NULL, "dns_aws" },
	  .ours = "route53",
	  .row = { { { NULL, "AWS_ACCESS_KEY_ID" }, "access_key_id", NULL },
		   { { NULL, "AWS_SECRET_ACCESS_KEY" }, "secret_access_key_file", NULL } },
	  .ambient = true },
	{ .name = { "dns-route53", NULL }, .ours = "route53", .ambient = true },
	{ .name = { "dns-ovh", "dns_ovh" },
	  .ours = "ovh",
	  .row = { { { "dns_ovh_endpoint", "OVH_END_POINT" }, "endpoint", NULL },
		   { { "dns_ovh_application_key", "OVH_AK" }, "application_key_file", NULL },
		   { { "dns_ovh_application_secret", "OVH_AS" }, "application_secret_file", NULL },
		   { { "dns_ovh_consumer_key", "OVH_CK" }, "consumer_key_file", NULL } } },
	{ .name = { NULL, "dns_azure" },
	  .ours = "azure",
	  .row = { { { NULL, "AZUREDNS_SUBSCRIPTIONID" }, "subscription_id", NULL },
		   { { NULL, "AZUREDNS_TENANTID" }, "tenant_id", NULL },
		   { { NULL, "AZUREDNS_APPID" }, "client_id", NULL },
		   { { NULL, "AZUREDNS_CLIENTSECRET" }, "client_secret_file", NULL },
		   { { NULL, "AZUREDNS_MANAGEDIDENTITY" }, "managed_identity", NULL } } },
	{ .name = { "dns-google", NULL },
	  .ours = "google",
	  .row = { { { WHOLE_FILE, NULL }, "key_file", NULL } } },
	{ .name = { "dns-digitalocean", "dns_dgon" },
	  .ours = "digitalocean",
	  .row = { { { "dns_digitalocean_token", "DO_API_KEY" }, "token_file", NULL } } },
	{ .name = { "dns-linode", "dns_linode_v4" },
	  .ours = "linode",
	  .row = { { { "dns_linode_key", "LINODE_V4_API_KEY" }, "token_file", NULL } } },
	{ .name = { "dns-gandi", "dns_gandi_livedns" },
	  .ours = "gandi",
	  .row = { { { "dns_gandi_token", "GANDI_LIVEDNS_TOKEN" }, "token_file", NULL } } },
	{ .name = { "dns-desec", "dns_desec" },
	  .ours = "desec",
	  .row = { { { "dns_desec_token", "DEDYN_TOKEN" }, "token_file", NULL } } },
	{ .name = { "dns-hetzner-cloud", "dns_hetznercloud" },
	  .ours = "hetzner",
	  .row = { { { "dns_hetzner_cloud_api_token", "HETZNER_TOKEN" }, "token_file", NULL } } },
	{ .name = { "dns-rfc2136", "dns_nsupdate" }, .ours = "rfc2136" },
	{ .name = { "dns-acmedns", "dns_acmedns" }, .ours = "acmedns" },
	{ .name = { "dns-azure", NULL }, .ours = "azure" },
	{ .name = { NULL, "dns_gcloud" }, .ours = "google" },
	{ .name = { "dns-hetzner", "dns_hetzner" }, .ours = "hetzner" },
	{ .name = { "dns-powerdns", NULL }, .ours = "powerdns" },
	{ .name = { "dns-porkbun", "dns_porkbun" }, .ours = "porkbun" },
};

/* Words for URLs. */
static const struct {
	const char *word, *url;
} endpoints[] = {
	{ "ovh-eu", "https://eu.api.ovh.com/1.0" },
	{ "ovh-ca", "https://ca.api.ovh.com/1.0" },
	{ "ovh-us", "https://api.us.ovhcloud.com/1.0" },
};

static const struct plugin *find(enum foreign_client client, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(plugins); i++) {
		const char *theirs = plugins[i].name[client];

		if (theirs && strcmp(theirs, name) == 0 && provider_find(plugins[i].ours)) {
			return &plugins[i];
		}
	}
	return NULL;
}

char *foreign_advice(enum foreign_client client, const char *name)
{
	const struct plugin *plugin = find(client, name);

	if (plugin) {
		return xasprintf("the provider \"%s\" serves in its place: add it to `providers` "
				 "with its credential (`dns01 providers %s`), and a zone for the "
				 "names",
				 plugin->ours, plugin->ours);
	}
	return xstrdup(
		"dns01 has no provider in its place: make the challenge names aliases (CNAME) "
		"of names in a zone that it can update (`dns01 providers` lists how)");
}

bool foreign_is_known(enum foreign_client client, const char *name)
{
	const struct plugin *plugin = find(client, name);

	return plugin && (plugin->row[0].setting || plugin->ambient);
}

bool foreign_has_file(enum foreign_client client, const char *name)
{
	const struct plugin *plugin = find(client, name);

	return plugin && plugin->row[0].setting;
}

bool foreign_is_whole(enum foreign_client client, const char *name)
{
	const struct plugin *plugin = find(client, name);
	const char *key = plugin ? plugin->row[0].key[client] : NULL;

	return key && strcmp(key, WHOLE_FILE) == 0;
}

/* ---- settings ------------------------------------------------------------------------ */

static const struct setting *row_of(const char *type, const char *name)
{
	size_t count = 0;
	const struct setting *rows = provider_rows(type, &count);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(rows[i].name, name) == 0) {
			return &rows[i];
		}
	}
	return NULL;
}

static bool has_setting(const struct found_provider *provider, const char *name)
{
	for (size_t i = 0; i < provider->settings.count; i++) {
		if (strcmp(provider->settings.item[i].name, name) == 0) {
			return true;
		}
	}
	for (size_t i = 0; i < provider->secret_count; i++) {
		if (strcmp(provider->secret[i].setting, name) == 0) {
			return true;
		}
	}
	return false;
}

static enum err_code take_row(struct found_provider *provider, const struct plugin_row *row,
			      const struct foreign_plugin *plugin, struct err *err)
{
	const char *key = row->key[plugin->client];
	const char *value = key ? plugin->get(plugin->arg, key) : NULL;
	const struct setting *ours = row_of(provider->type, row->setting);
	char *canonical = NULL;

	if (!value || !value[0] || (row->unless && has_setting(provider, row->unless))) {
		return ERR_NONE;
	}
	if (!ours) {
		return err_set(err, ERR_CONFIG, plugin->source, "%s has no place in %s", key,
			       provider->type);
	}
	if (theirs_has_suffix(row->setting, "_file")) {
		found_add_secret(provider, row->setting, xstrdup(value));
		return ERR_NONE;
	}
	for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
		value = strcmp(value, endpoints[i].word) == 0 ? endpoints[i].url : value;
	}
	if (setting_check(ours, value, plugin->source, &canonical, err) != ERR_NONE) {
		return err->code;
	}
	settings_set(&provider->settings, row->setting, canonical, NULL);
	free(canonical);
	return ERR_NONE;
}

/* What the provider's own table wants. */
static enum err_code check_whole(const struct found_provider *provider, bool ambient,
				 const struct foreign_plugin *plugin, struct err *err)
{
	size_t count = 0;
	const struct setting *rows = provider_rows(provider->type, &count);

	if (provider->settings.count + provider->secret_count == 0 && !ambient) {
		return err_set(err, ERR_CONFIG, plugin->source, "no credential of %s is in it",
			       plugin->name);
	}
	for (size_t i = 0; i < count; i++) {
		if (rows[i].required && !has_setting(provider, rows[i].name)) {
			return err_set(err, ERR_CONFIG, plugin->source,
				       "what stands there of %s is not enough: there is no %s",
				       plugin->name, rows[i].name);
		}
	}
	return ERR_NONE;
}

size_t foreign_add(struct import *import, const struct foreign_plugin *plugin, char **why)
{
	const struct plugin *known = find(plugin->client, plugin->name);
	struct found_provider provider = { .type = known->ours };
	enum err_code code = ERR_NONE;
	struct err err;
	char *text, *advice;

	for (size_t i = 0; i < ROWS_MAX && known->row[i].setting && code == ERR_NONE; i++) {
		code = take_row(&provider, &known->row[i], plugin, &err);
	}
	if (code == ERR_NONE) {
		code = check_whole(&provider, known->ambient, plugin, &err);
	}
	if (code == ERR_NONE) {
		return found_add_provider(import, &provider);
	}
	found_provider_clear(&provider);
	text = err_format(&err);
	advice = foreign_advice(plugin->client, plugin->name);
	*why = xasprintf("%s; %s", text, advice);
	free(text);
	free(advice);
	return FOUND_NONE;
}
