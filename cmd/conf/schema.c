/*
 * The table. Order here is the order of the manual and of the dump.
 */
#include "schema.h"

#include <ctype.h>

#define WORD_MAX 200 /* a folder, with "-rsa4096" and room for a suffix */
#define TYPED_MAX 64 /* a mistyped word worth a guess */
#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)

/* ---- forms ------------------------------------------------------------ */

/* Names of lineages are folders, so no slash and no dot in front. */
static char *read_word(const char *text)
{
	size_t len = strlen(text);

	if (len > WORD_MAX || text[0] == '.' || text[0] == '-') {
		return NULL;
	}
	for (size_t i = 0; i < len; i++) {
		if (!isascii((unsigned char)text[i]) ||
		    (!isalnum((unsigned char)text[i]) && strchr("._-@", text[i]) == NULL)) {
			return NULL;
		}
	}
	return xstrdup(text);
}

const struct setting_form schema_word = {
	read_word,
	"a name",
	"at most 200 letters, digits, \".\", \"_\", \"-\" and \"@\", "
	"with no \".\" or \"-\" in front",
};

static char *read_canonical(const struct setting *row, const char *text)
{
	char reason[SCHEMA_REASON_MAX], *out = NULL;

	return setting_canonical(row, text, &out, reason) == ERR_NONE ? out : NULL;
}

static char *read_address(const char *text)
{
	char out[ADDR_TEXT_MAX];
	struct addr addr;

	if (!addr_parse(text, 53, &addr)) {
		return NULL;
	}
	addr_format(out, &addr, 53);
	return xstrdup(out);
}

static char *read_resolver(const char *text)
{
	static const struct setting url = { .type = SETTING_URL };

	return strncmp(text, "https://", 8) == 0 ? read_canonical(&url, text) : read_address(text);
}

static const struct setting_form form_resolver = {
	read_resolver,
	"an address or an https:// URL",
	"one such as \"192.0.2.53\", \"[2001:db8::53]:5353\" or "
	"\"https://dns.example.net/dns-query\"",
};

static char *read_server(const char *text)
{
	static const struct setting name = { .type = SETTING_NAME };
	char *address = read_address(text);

	return address != NULL ? address : read_canonical(&name, text);
}

static const struct setting_form form_server = {
	read_server,
	"a server's name or address",
	"one such as \"ns1.example.com\", \"192.0.2.1\" or \"[2001:db8::1]:5353\"",
};

static char *read_folder(const char *text)
{
	return text[0] == '/' ? xstrdup(text) : NULL;
}

static const struct setting_form form_folder = {
	read_folder,
	"the whole path of a folder",
	"one such as \"/usr/local/lib/dns01/providers\"",
};

static char *read_mailto(const char *text)
{
	const char *at = strchr(text, '@');

	/* RFC 8555 s.7.3: one address, no header fields */
	if (strncmp(text, "mailto:", 7) != 0 || at == NULL || at == text + 7 || at[1] == '\0' ||
	    strpbrk(text, "?, ") != NULL) {
		return NULL;
	}
	return xstrdup(text);
}

static const struct setting_form form_mailto = {
	read_mailto,
	"a mailto: URL with one address",
	"one such as \"mailto:hostmaster@example.com\"",
};

/* ---- accounts --------------------------------------------------------- */

#define AT(field) .offset = offsetof(struct conf_account, field)
static const struct setting account_rows[] = {
	{ .name = "name",
	  .type = SETTING_STRING,
	  .required = true,
	  .form = &schema_word,
	  AT(name),
	  .help = "What certificates call it; its key and URL are kept under this name." },
	{ .name = "directory",
	  .type = SETTING_URL,
	  .required = true,
	  AT(directory),
	  .help = "The CA's ACME directory." },
	{ .name = "ca_file",
	  .type = SETTING_FILE,
	  AT(ca_file),
	  .help = "Root certificates in PEM to verify the CA's server by, in place of the "
		  "system's; for an internal CA." },
	{ .name = "agree_tos",
	  .type = SETTING_BOOL,
	  .fallback = "false",
	  AT(agree_tos),
	  .help = "You have read the CA's terms of service and agree. Without it no account "
		  "is made at a CA that has terms." },
	{ .name = "contact",
	  .type = SETTING_STRINGS,
	  .fallback = "",
	  .form = &form_mailto,
	  AT(contact),
	  .help = "Where the CA may write to, such as "
		  "\"mailto:hostmaster@example.com\"." },
	{ .name = "profiles",
	  .type = SETTING_STRINGS,
	  .fallback = "",
	  AT(profiles),
	  .help = "Certificate profiles, the best one first: the first that the CA offers is "
		  "asked for, none if it offers none of them." },
	{ .name = "view",
	  .type = SETTING_STRING,
	  .fallback = SCHEMA_DEFAULT_VIEW,
	  .form = &schema_word,
	  AT(view),
	  .help = "The view of the DNS in which this CA looks: only zones of this view serve "
		  "its challenges." },
	{ .name = "proxy",
	  .type = SETTING_URL,
	  .choices = "none|http://|socks5h://",
	  AT(proxy),
	  .help = "A proxy to reach this CA by, in place of the global one; \"none\" goes "
		  "directly." },
	{ .name = "key_type",
	  .type = SETTING_ENUM,
	  .fallback = "p256",
	  .choices = SCHEMA_KEY_TYPES,
	  AT(key_type),
	  .help = "The type of the account's key, when it is made." },
	{ .name = "eab_kid",
	  .type = SETTING_STRING,
	  AT(eab_kid),
	  .help = "External account binding: the key identifier that the CA gave you. Goes "
		  "with eab_key_file." },
	{ .name = "eab_key_file",
	  .type = SETTING_FILE,
	  .secret = true,
	  AT(eab_key_file),
	  .help = "External account binding: a file with the MAC key in base64url or base64, as "
		  "the CA gave it." },
	{ .name = "eab_alg",
	  .type = SETTING_ENUM,
	  .fallback = "HS256",
	  .choices = "HS256|HS384|HS512",
	  AT(eab_alg),
	  .help = "External account binding: the MAC algorithm, where the CA wants another one." },
	{ .name = "chain",
	  .type = SETTING_STRING,
	  AT(chain),
	  .help = "The root to chain to where the CA offers several chains: a part of its name, or "
		  "the SHA-256 of its certificate, if the system trusts it. Left out: the CA's own "
		  "choice." },
	{ .name = "staging",
	  .type = SETTING_URL,
	  AT(staging),
	  .help = "URL of the directory at which `dns01 renew --dry-run` orders instead, with an "
		  "account of its own. Left out: that of Let's Encrypt or Google, where "
		  "directory is theirs." },
	{ .name = "orders_per_3h",
	  .type = SETTING_INT,
	  .fallback = "300",
	  .min = 1,
	  .max = 1000000,
	  AT(orders_per_3h),
	  .help = "How many orders dns01 renew makes within three hours at most, so that the CA's "
		  "limit is never met; a third of it is kept for those with less than a tenth of "
		  "their life left. What is left over waits for the next runs." },
};
#undef AT

static const struct setting_group account_group = {
	.item = "account",
	.help = "Each is one account at one certificate authority.",
	.rows = account_rows,
	.row_count = ARRAY_LEN(account_rows),
	.size = sizeof(struct conf_account),
	.count_offset = offsetof(struct conf, account_count),
	.where_offset = offsetof(struct conf_account, where),
};

/* ---- providers -------------------------------------------------------- */

#define AT(field) .offset = offsetof(struct conf_provider, field)
static const struct setting provider_rows[] = {
	{ .name = "name",
	  .type = SETTING_STRING,
	  .required = true,
	  .form = &schema_word,
	  AT(name),
	  .help = "What zones call it." },
	{ .name = "type",
	  .type = SETTING_STRING,
	  .required = true,
	  .form = &schema_word,
	  AT(type),
	  .help = "Which provider it is, such as \"rfc2136\"; dns01 providers lists all of them, "
		  "and the settings of each." },
};
#undef AT

static const struct setting_group provider_group = {
	.item = "provider",
	.help = "Each is one place where TXT records can be published, with its credential. "
		"All settings but these two belong to the type.",
	.rows = provider_rows,
	.row_count = ARRAY_LEN(provider_rows),
	.size = sizeof(struct conf_provider),
	.count_offset = offsetof(struct conf, provider_count),
	.where_offset = offsetof(struct conf_provider, where),
	.settings_offset = offsetof(struct conf_provider, settings),
};

/* ---- zones ------------------------------------------------------------ */

#define AT(field) .offset = offsetof(struct conf_zone, field)
static const struct setting zone_rows[] = {
	{ .name = "suffix",
	  .type = SETTING_NAME,
	  .required = true,
	  AT(suffix),
	  .help = "The names this entry serves: itself and all below. The longest suffix of a "
		  "name wins within a view; \".\" serves every name." },
	{ .name = "view",
	  .type = SETTING_STRING,
	  .fallback = SCHEMA_DEFAULT_VIEW,
	  .form = &schema_word,
	  AT(view),
	  .help = "Which side of a split horizon this is. The same suffix may stand once in "
		  "each view." },
	{ .name = "zone",
	  .type = SETTING_NAME,
	  AT(zone),
	  .help = "The apex of the DNS zone that holds the records, when it cannot be found by "
		  "DNS." },
	{ .name = "providers",
	  .type = SETTING_STRINGS,
	  .required = true,
	  .form = &schema_word,
	  AT(providers),
	  .help = "Names of the providers that publish here." },
	{ .name = "resolvers",
	  .type = SETTING_STRINGS,
	  .fallback = "",
	  .form = &form_resolver,
	  AT(resolvers),
	  .help = "Resolvers that find zones and name servers, each an address "
		  "or the https:// URL of a DoH server. Empty: the global ones." },
	{ .name = "servers",
	  .type = SETTING_STRINGS,
	  .fallback = "",
	  .form = &form_server,
	  AT(servers),
	  .help = "The name servers to watch, by name or address. Empty: all that "
		  "the zone and its parent name." },
	{ .name = "ignore",
	  .type = SETTING_STRINGS,
	  .fallback = "",
	  .form = &form_server,
	  AT(ignore),
	  .help = "Name servers that may fail." },
	{ .name = "quorum",
	  .type = SETTING_INT,
	  .fallback = "all",
	  .choices = "all|reachable",
	  .min = 1,
	  .max = 100,
	  AT(quorum),
	  .help = "How many name servers must show a value before the CA is asked to look: all "
		  "of them, all that can be reached, or a number." },
	{ .name = "alias",
	  .type = SETTING_NAME,
	  .fallback = "follow",
	  .choices = "follow|off",
	  AT(alias),
	  .help = "Whether a CNAME or DNAME at the challenge's name is followed; "
		  "or the one name at which to publish, whatever the DNS says." },
	{ .name = "watch",
	  .type = SETTING_ENUM,
	  .fallback = "authoritative",
	  .choices = "authoritative|resolvers|provider",
	  AT(watch),
	  .help = "Who is asked whether a value is visible: every authoritative server, the "
		  "resolvers (where port 53 is blocked), or the provider alone." },
	{ .name = "settle",
	  .type = SETTING_DURATION,
	  .fallback = "0s",
	  .max = HOUR_MS,
	  AT(settle_ms),
	  .help = "For how long all servers must have shown a value; for anycast "
		  "servers behind one address." },
	{ .name = "deadline",
	  .type = SETTING_DURATION,
	  .fallback = "10m",
	  .min = SECOND_MS,
	  .max = 24 * HOUR_MS,
	  AT(deadline_ms),
	  .help = "How long to wait for a value to be visible before giving up." },
	{ .name = "ttl",
	  .type = SETTING_INT,
	  .fallback = "60",
	  .max = 86400,
	  AT(ttl_s),
	  .help = "TTL of the records in seconds. A provider that has a minimum uses that." },
	{ .name = "target",
	  .type = SETTING_BOOL,
	  .fallback = "false",
	  AT(target),
	  .help = "Whether challenge names elsewhere are made aliases of names in this zone: "
		  "dns01 alias NAME prints the CNAME for one. One zone of a view." },
};
#undef AT

static const struct setting_group zone_group = {
	.item = "zone",
	.help = "Each says how the challenges of one part of the name space are published and "
		"watched. A suffix and a view together name it.",
	.rows = zone_rows,
	.row_count = ARRAY_LEN(zone_rows),
	.size = sizeof(struct conf_zone),
	.count_offset = offsetof(struct conf, zone_count),
	.where_offset = offsetof(struct conf_zone, where),
};

/* ---- the file --------------------------------------------------------- */

#define AT(field) .offset = offsetof(struct conf, field)
static const struct setting root_rows[] = {
	{ .name = "state",
	  .type = SETTING_FILE,
	  AT(state),
	  .help = "The folder of the journal, the accounts and the certificates. Left out, it is "
		  "/var/lib/dns01, and for a user's own configuration dns01 in "
		  "$XDG_STATE_HOME." },
	{ .name = "include",
	  .type = SETTING_STRINGS,
	  .fallback = "",
	  AT(include),
	  .help = "More files of the same form, as patterns relative to this file's folder. Only "
		  "the main file may have it." },
	{ .name = "resolvers",
	  .type = SETTING_STRINGS,
	  .fallback = "",
	  .form = &form_resolver,
	  AT(resolvers),
	  .help = "Resolvers for zones that name none. Empty: the system's." },
	{ .name = "proxy",
	  .type = SETTING_URL,
	  .choices = "none|http://|socks5h://",
	  AT(proxy),
	  .help = "A proxy for CAs and providers that speak HTTP, such as "
		  "\"http://proxy.example.com:3128\". DNS never goes through it." },
	{ .name = "plugins",
	  .type = SETTING_STRING,
	  .form = &form_folder,
	  AT(plugins),
	  .help = "The folder of providers that are not built in: each of its files NAME.so is "
		  "loaded. They run with all rights of dns01, so the folder and the files must "
		  "be root's, or the user's own, and writable by nobody else. Left out: none. "
		  "Only the main file may have it." },
	{ .name = "parallel",
	  .type = SETTING_INT,
	  .fallback = "4",
	  .min = 1,
	  .max = 100,
	  AT(parallel),
	  .help = "How many certificates dns01 renew orders at once." },
	{ .name = "notify",
	  .type = SETTING_GROUP,
	  .group = &schema_notify,
	  AT(notify),
	  .help = "Who is told when something needs a person." },
	{ .name = "user",
	  .type = SETTING_STRING,
	  .fallback = "dns01",
	  .form = &schema_word,
	  AT(user),
	  .help = "Whom dns01 serve becomes once it listens, when root started it." },
	{ .name = "audit",
	  .type = SETTING_FILE,
	  AT(audit),
	  .help = "The file that dns01 serve appends a line of JSON to for every request. Left "
		  "out: its standard output." },
	{ .name = "requests_max",
	  .type = SETTING_INT,
	  .fallback = "10000",
	  .min = 1,
	  .max = 1000000,
	  AT(requests_max),
	  .help = "How many requests may wait at once; those beyond are told to come back." },
	{ .name = "accounts",
	  .type = SETTING_GROUPS,
	  .group = &account_group,
	  AT(account),
	  .help = "Accounts at certificate authorities." },
	{ .name = "providers",
	  .type = SETTING_GROUPS,
	  .group = &provider_group,
	  AT(provider),
	  .help = "Where records are published." },
	{ .name = "zones",
	  .type = SETTING_GROUPS,
	  .group = &zone_group,
	  AT(zone),
	  .help = "Which provider serves which names." },
	{ .name = "certificates",
	  .type = SETTING_GROUPS,
	  .group = &schema_certificates,
	  AT(certificate),
	  .help = "What to obtain and renew." },
	{ .name = "brokers",
	  .type = SETTING_GROUPS,
	  .group = &schema_brokers,
	  AT(broker),
	  .help = "Brokers that publish for this host, tried in turn. Where one is configured, "
		  "hooks go through it, and never around it." },
	{ .name = "listeners",
	  .type = SETTING_GROUPS,
	  .group = &schema_listeners,
	  AT(listener),
	  .help = "Where dns01 serve, the broker, listens." },
	{ .name = "clients",
	  .type = SETTING_GROUPS,
	  .group = &schema_clients,
	  AT(client),
	  .help = "Who may publish what through the broker. Nobody else may anything." },
};
#undef AT

const struct setting_group schema_root = {
	.item = "file",
	.rows = root_rows,
	.row_count = ARRAY_LEN(root_rows),
	.size = sizeof(struct conf),
};

const struct setting *schema_find(const struct setting *rows, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(rows[i].name, name) == 0) {
			return &rows[i];
		}
	}
	return NULL;
}

const struct setting *schema_list(const char *name)
{
	return schema_find(root_rows, ARRAY_LEN(root_rows), name);
}

/* ---- words ------------------------------------------------------------ */

static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* How many letters to add, drop or change to make b of a; TYPED_MAX: too many. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[TYPED_MAX + 1], len = strlen(b);

	if (len > TYPED_MAX || strlen(a) > TYPED_MAX) {
		return TYPED_MAX;
	}
	for (size_t j = 0; j <= len; j++) {
		row[j] = j;
	}
	for (; *a != '\0'; a++) {
		size_t corner = row[0]++;

		for (size_t j = 1; j <= len; j++) {
			size_t above = row[j];

			row[j] = least(row[j - 1] + 1, above + 1, corner + (*a != b[j - 1]));
			corner = above;
		}
	}
	return row[len];
}

/* One begins with the other: tsig_key for tsig_key_file. */
static bool is_start(const char *a, const char *b)
{
	size_t len = strlen(a) < strlen(b) ? strlen(a) : strlen(b);

	return len > 3 && strncmp(a, b, len) == 0;
}

const char *schema_nearest(const struct strlist *words, const char *typed)
{
	const char *best = NULL;
	size_t len = strlen(typed);
	size_t least_far = len < 3 ? 0 : len / 4 + 2; /* further away is another word */

	for (size_t i = 0; i < words->count; i++) {
		size_t far = edit_distance(words->item[i], typed);

		if (far < least_far) {
			least_far = far;
			best = words->item[i];
		}
	}
	for (size_t i = 0; best == NULL && i < words->count; i++) {
		best = is_start(words->item[i], typed) ? words->item[i] : NULL;
	}
	return best;
}

static bool is_scheme(const char *word, size_t len)
{
	return len > 3 && memcmp(word + len - 3, "://", 3) == 0;
}

char *schema_choices(const char *choices)
{
	struct buf out = BUF_INIT(1024);
	size_t len;

	for (const char *at = choices; *at != '\0'; at += len + (at[len] == '|')) {
		const char *separator;

		len = strcspn(at, "|");
		separator = at[len] == '|' ? ", " : " or ";
		if (!is_scheme(at, len)) {
			buf_addf(&out, "%s\"%.*s\"", out.len == 0 ? "" : separator, (int)len, at);
		}
	}
	return buf_detach(&out);
}
