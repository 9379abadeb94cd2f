/* The table's groups of the broker: listeners, clients, and the brokers of a client. */
#include "schema.h"

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)
#define UNIX_PATH_MAX 107 /* octets in a socket's address */

/* ---- forms ------------------------------------------------------------ */

static bool has_port(const char *text)
{
	const char *colon = strrchr(text, ':');

	return colon != NULL && colon[1] != '\0' && strchr(colon, ']') == NULL;
}

/* Port 0 lets the system choose. */
static char *read_listen(const char *text)
{
	size_t len = strlen(text);
	struct addr addr;
	char out[ADDR_TEXT_MAX], *host;
	bool any_port = len > 2 && strcmp(text + len - 2, ":0") == 0;

	if (!has_port(text)) {
		return NULL;
	}
	host = xstrndup(text, any_port ? len - 2 : len);
	if (any_port && host[0] == '[') {
		memmove(host, host + 1, strlen(host));
		host[strcspn(host, "]")] = '\0';
	}
	if (!addr_parse(host, 0, &addr) || (!any_port && addr_port(&addr) == 0)) {
		free(host);
		return NULL;
	}
	free(host);
	/* Port 0 is never the default here, so that it is always written. */
	addr_format(out, &addr, UINT16_MAX);
	return xstrdup(out);
}

static const struct setting_form form_listen = {
	read_listen,
	"an address with a port",
	"one such as \"[::]:8443\" or \"127.0.0.1:9353\"",
};

static char *read_path(const char *text)
{
	return text[0] == '/' && strlen(text) <= UNIX_PATH_MAX ? xstrdup(text) : NULL;
}

static const struct setting_form form_path = {
	read_path,
	"the whole path of a socket",
	"one of at most 107 octets such as \"/run/dns01/socket\"",
};

static char *read_net(const char *text)
{
	char out[ADDR_TEXT_MAX];
	struct network net;

	if (!network_parse(text, &net)) {
		return NULL;
	}
	network_format(out, &net);
	return xstrdup(out);
}

static const struct setting_form form_net = {
	read_net,
	"a network",
	"one such as \"192.0.2.0/24\", \"2001:db8::/32\" or one address, with no bits set behind "
	"the prefix",
};

static char *read_name(const char *text)
{
	static const struct setting name = { .type = SETTING_NAME };
	char reason[SCHEMA_REASON_MAX], *out = NULL;

	return setting_canonical(&name, text, &out, reason) == ERR_NONE ? out : NULL;
}

static char *read_granted(const char *text)
{
	return strcmp(text, "@san") == 0 ? xstrdup(text) : read_name(text);
}

static const struct setting_form form_granted = {
	read_granted,
	"a name that can be granted",
	"one such as \"www.example.com\" without \"*.\" (wildcard = true grants that), or \"@san\"",
};

static const struct setting_form form_name = {
	read_name,
	"a DNS name",
	"one such as \"example.com\"",
};

static char *read_sha256(const char *text)
{
	uint8_t digest[32];
	char out[2 * sizeof(digest) + 1];
	size_t len;

	if (!hex_decode(text, digest, sizeof(digest), &len) || len != sizeof(digest)) {
		return NULL;
	}
	hex_encode(out, sizeof(out), digest, sizeof(digest));
	return xstrdup(out);
}

static const struct setting_form form_sha256 = {
	read_sha256,
	"a SHA-256",
	"its 64 hexadecimal digits, as `printf %s TOKEN | sha256sum` prints them",
};

static char *read_broker(const char *text)
{
	static const struct setting url = { .type = SETTING_URL, .choices = "http://" };
	char reason[SCHEMA_REASON_MAX], *out = NULL;

	if (strncmp(text, "unix:", 5) == 0) {
		return text[5] == '/' && strlen(text + 5) <= UNIX_PATH_MAX ? xstrdup(text) : NULL;
	}
	/* Tokens do not cross a network in clear text. */
	if (strncmp(text, "http://", 7) == 0 && strncmp(text, "http://127.", 11) != 0 &&
	    strncmp(text, "http://[::1]", 12) != 0) {
		return NULL;
	}
	return setting_canonical(&url, text, &out, reason) == ERR_NONE ? out : NULL;
}

static const struct setting_form form_broker = {
	read_broker,
	"a broker's URL",
	"one such as \"https://dns01.example.com:8443\" or \"unix:/run/dns01/socket\"",
};

/* ---- listeners -------------------------------------------------------- */

#define AT(field) .offset = offsetof(struct conf_listener, field)
static const struct setting listener_rows[] = {
	{ .name = "unix",
	  .type = SETTING_STRING,
	  .form = &form_path,
	  AT(unix_path),
	  .help = "A Unix socket: the system says which user asks." },
	{ .name = "https",
	  .type = SETTING_STRING,
	  .form = &form_listen,
	  AT(https),
	  .help = "An address and port for HTTPS; \"[::]\" is every address, IPv4 too." },
	{ .name = "dns",
	  .type = SETTING_STRING,
	  .form = &form_listen,
	  AT(dns),
	  .help = "An address and port for DNS by UDP and TCP: the door \"update\"." },
	{ .name = "http",
	  .type = SETTING_STRING,
	  .form = &form_listen,
	  AT(http),
	  .help = "An address and port for plain HTTP: for metrics, and on a loopback address "
		  "for other doors behind a proxy that speaks TLS." },
	{ .name = "certificate",
	  .type = SETTING_STRING,
	  .form = &schema_word,
	  AT(certificate),
	  .help = "Of https: the certificate of this configuration to show; read again when it "
		  "is renewed. Its export with layout = \"files\" is read, which should be for "
		  "the group of user; without one the lineage, which only who issued it can "
		  "read." },
	{ .name = "cert_file",
	  .type = SETTING_FILE,
	  AT(cert_file),
	  .help = "Of https, in place of certificate: a file with the certificate and its chain "
		  "in PEM." },
	{ .name = "key_file",
	  .type = SETTING_FILE,
	  .secret = true,
	  AT(key_file),
	  .help = "The key of cert_file, in PEM." },
	{ .name = "client_ca_file",
	  .type = SETTING_FILE,
	  AT(client_ca_file),
	  .help = "Of https: certificates in PEM of who issues the clients' certificates. A client "
		  "without one may still come with a token." },
	{ .name = "doors",
	  .type = SETTING_STRINGS,
	  .required = true,
	  .choices = "api|httpreq|acmedns|update|metrics",
	  AT(doors),
	  .help = "What is spoken here: api (dns01's own), httpreq (lego, acmeproxy), acmedns, "
		  "update (RFC 2136; on dns alone), metrics." },
	{ .name = "trusted_proxies",
	  .type = SETTING_STRINGS,
	  .fallback = "",
	  .form = &form_net,
	  AT(trusted_proxies),
	  .help = "Networks of the proxies whose X-Forwarded-For is believed." },
};
#undef AT

const struct setting_group schema_listeners = {
	.item = "listener",
	.help = "Each is one address or socket with one of unix, https, dns and http, and the "
		"doors that are open there.",
	.rows = listener_rows,
	.row_count = ARRAY_LEN(listener_rows),
	.size = sizeof(struct conf_listener),
	.count_offset = offsetof(struct conf, listener_count),
	.where_offset = offsetof(struct conf_listener, where),
};

/* ---- clients ---------------------------------------------------------- */

#define AT(field) .offset = offsetof(struct conf_client, field)
static const struct setting client_rows[] = {
	{ .name = "name",
	  .type = SETTING_STRING,
	  .required = true,
	  .form = &schema_word,
	  AT(name),
	  .help = "Who it is, in the journal and in the audit lines." },
	{ .name = "auth",
	  .type = SETTING_ENUM,
	  .fallback = "token",
	  .choices = "token|mtls|tsig|unix|network",
	  AT(auth),
	  .help = "How it proves itself: a token, a certificate, a TSIG key, its user on this "
		  "host, or (for clients that can show nothing) where it comes from. What dns01 "
		  "token new made for it counts beside that." },
	{ .name = "token_sha256",
	  .type = SETTING_STRINGS,
	  .fallback = "",
	  .form = &form_sha256,
	  AT(token_sha256),
	  .help = "Of auth token: the SHA-256 of each of its tokens." },
	{ .name = "tsig_key_file",
	  .type = SETTING_FILE,
	  .secret = true,
	  AT(tsig_key_file),
	  .help = "Of auth tsig: a file with its key, as BIND writes it." },
	{ .name = "certificate_names",
	  .type = SETTING_STRINGS,
	  .fallback = "",
	  .form = &form_name,
	  AT(certificate_names),
	  .help = "Of auth mtls: its certificate has one of these names. Empty: any certificate "
		  "of the listener's client_ca_file that no other client names." },
	{ .name = "user",
	  .type = SETTING_STRING,
	  .form = &schema_word,
	  AT(user),
	  .help = "Of auth unix: the user." },
	{ .name = "group",
	  .type = SETTING_STRING,
	  .form = &schema_word,
	  AT(group),
	  .help = "Of auth unix: a group; whoever is in it." },
	{ .name = "networks",
	  .type = SETTING_STRINGS,
	  .fallback = "",
	  .form = &form_net,
	  AT(networks),
	  .help = "Where it may come from. Empty: anywhere." },
	{ .name = "views",
	  .type = SETTING_STRINGS,
	  .fallback = "default",
	  .form = &schema_word,
	  AT(views),
	  .help = "The views in which it may publish; the first one is meant when it names none." },
	{ .name = "names",
	  .type = SETTING_STRINGS,
	  .fallback = "",
	  .form = &form_granted,
	  AT(names),
	  .help = "Exactly these names. \"@san\" are the names of the certificate it shows." },
	{ .name = "under",
	  .type = SETTING_STRINGS,
	  .fallback = "",
	  .form = &form_name,
	  AT(under),
	  .help = "All names below these, at any depth; not these themselves." },
	{ .name = "except",
	  .type = SETTING_STRINGS,
	  .fallback = "",
	  .form = &form_name,
	  AT(except),
	  .help = "Neither these nor anything below; wins over names and under." },
	{ .name = "targets",
	  .type = SETTING_STRINGS,
	  .fallback = "",
	  .form = &form_name,
	  AT(targets),
	  .help = "Owner names to which aliases of its names may lead. What dns01 alias prints "
		  "for a granted name needs no entry." },
	{ .name = "wildcard",
	  .type = SETTING_BOOL,
	  .fallback = "false",
	  AT(wildcard),
	  .help = "The value at a name proves its wildcard too. Where the name is the apex of a "
		  "zone, or other clients have names below it, this must be said." },
	{ .name = "values",
	  .type = SETTING_INT,
	  .fallback = "100",
	  .min = 1,
	  .max = 100000,
	  AT(values),
	  .help = "How many values it may have in DNS at once." },
	{ .name = "publishes_per_hour",
	  .type = SETTING_INT,
	  .fallback = "600",
	  .min = 1,
	  .max = 100000000,
	  AT(publishes_per_hour),
	  .help = "How many values it may publish in an hour." },
	{ .name = "lease",
	  .type = SETTING_DURATION,
	  .fallback = "1h",
	  .min = MINUTE_MS,
	  .max = 30 * 24 * HOUR_MS,
	  AT(lease_ms),
	  .help = "How long a value of it stays when nobody removes it." },
	{ .name = "wait",
	  .type = SETTING_DURATION,
	  .fallback = "25s",
	  .min = 1000,
	  .max = HOUR_MS,
	  AT(wait_ms),
	  .help = "How long it waits for an answer at most: a value that is not visible by then "
		  "is withdrawn." },
	{ .name = "role",
	  .type = SETTING_ENUM,
	  .fallback = "publish",
	  .choices = "publish|read|admin",
	  AT(role),
	  .help = "publish: sees and removes what it published; read: sees all, publishes "
		  "nothing; admin: sees and removes all." },
};
#undef AT

const struct setting_group schema_clients = {
	.item = "client",
	.help = "Each is one client, or many that prove themselves alike, and what it may do.",
	.rows = client_rows,
	.row_count = ARRAY_LEN(client_rows),
	.size = sizeof(struct conf_client),
	.count_offset = offsetof(struct conf, client_count),
	.where_offset = offsetof(struct conf_client, where),
};

/* The settings that say what it may do come behind those of how it proves itself. */
#define CLIENT_GRANT_FIRST 7 /* networks */

const struct setting *conf_client_row(size_t index)
{
	index += CLIENT_GRANT_FIRST;
	return index < ARRAY_LEN(client_rows) ? &client_rows[index] : NULL;
}

struct conf_client *conf_client_new(const char *name)
{
	struct conf_client *client = xcalloc(1, sizeof(*client));

	group_defaults(&schema_clients, client);
	client->name = xstrdup(name);
	return client;
}

void conf_client_free(struct conf_client *client)
{
	if (client == NULL) {
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(client_rows); i++) {
		field_clear(&client_rows[i], client);
	}
	free(client->where);
	free(client);
}

enum err_code conf_client_set(struct conf_client *client, const char *setting, const char *text,
			      struct err *err)
{
	const struct setting *row = NULL;
	char *canonical = NULL;

	for (size_t i = CLIENT_GRANT_FIRST; i < ARRAY_LEN(client_rows); i++) {
		if (strcmp(client_rows[i].name, setting) == 0) {
			row = &client_rows[i];
		}
	}
	if (row == NULL) {
		return err_set(err, ERR_USAGE, client->name, "a client has no setting \"%s\"",
			       setting);
	}
	if (setting_check(row, text, client->name, &canonical, err) != ERR_NONE) {
		return err->code;
	}
	field_set(row, client, canonical);
	free(canonical);
	return ERR_NONE;
}

char *conf_client_get(const struct conf_client *client, const struct setting *row)
{
	return field_get(row, client);
}

/* ---- brokers ---------------------------------------------------------- */

#define AT(field) .offset = offsetof(struct conf_broker, field)
static const struct setting broker_rows[] = {
	{ .name = "url",
	  .type = SETTING_STRING,
	  .required = true,
	  .form = &form_broker,
	  AT(url),
	  .help = "Where the broker listens." },
	{ .name = "token_file",
	  .type = SETTING_FILE,
	  .secret = true,
	  AT(token_file),
	  .help = "A file with this host's token. Left out: its certificate, or on a Unix socket "
		  "the user, proves who asks." },
	{ .name = "ca_file",
	  .type = SETTING_FILE,
	  AT(ca_file),
	  .help = "Root certificates in PEM to verify the broker by, in place of the system's." },
	{ .name = "cert_file",
	  .type = SETTING_FILE,
	  AT(cert_file),
	  .help = "A certificate in PEM, with its chain, to prove who asks." },
	{ .name = "key_file",
	  .type = SETTING_FILE,
	  .secret = true,
	  AT(key_file),
	  .help = "The key of cert_file." },
};
#undef AT

const struct setting_group schema_brokers = {
	.item = "broker",
	.help = "Each is one broker.",
	.rows = broker_rows,
	.row_count = ARRAY_LEN(broker_rows),
	.size = sizeof(struct conf_broker),
	.count_offset = offsetof(struct conf, broker_count),
	.where_offset = offsetof(struct conf_broker, where),
};
