/* The table's groups of what is kept and where it goes: certificates, their exports, notify. */
#include "schema.h"

#include <ctype.h>

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define SHARE_MAX 100 /* of a fraction's two numbers */

/* ---- forms ------------------------------------------------------------ */

/* "640" and "0640"; of the owner at least reading, of others nothing: it guards a key. */
static char *read_mode(const char *text)
{
	const char *digits = text[0] == '0' ? text + 1 : text;

	if (strlen(digits) != 3 || strspn(digits, "01234567") != 3 || digits[2] != '0' ||
	    (digits[0] != '4' && digits[0] != '6') || strchr("0246", digits[1]) == NULL) {
		return NULL;
	}
	return xasprintf("0%s", digits);
}

static const struct setting_form form_mode = {
	read_mode,
	"a mode that keeps the key from others",
	"\"0600\", or one such as \"0640\" that lets the group read it",
};

static char *read_share(const char *text)
{
	const char *slash = strchr(text, '/');
	uint64_t part = 0, whole = 0;
	char *first;
	bool fine;

	if (slash == NULL) {
		return NULL;
	}
	first = xstrndup(text, (size_t)(slash - text));
	fine = text_parse_u64(first, SHARE_MAX, &part) &&
	       text_parse_u64(slash + 1, SHARE_MAX, &whole) && part > 0 && part < whole;
	free(first);
	return fine ? xasprintf("%u/%u", (unsigned)part, (unsigned)whole) : NULL;
}

static const struct setting_form form_share = {
	read_share,
	"a share",
	"one such as \"1/4\"",
};

static char *read_whole_path(const char *text)
{
	size_t len = strlen(text);

	while (len > 1 && text[len - 1] == '/') {
		len--;
	}
	return text[0] == '/' && len > 1 ? xstrndup(text, len) : NULL;
}

static const struct setting_form form_whole_path = {
	read_whole_path,
	"a whole path",
	"one such as \"/etc/haproxy/certs/edge.pem\"",
};

/* ---- exports ---------------------------------------------------------- */

#define AT(field) .offset = offsetof(struct conf_export, field)
static const struct setting export_rows[] = {
	{ .name = "layout",
	  .type = SETTING_ENUM,
	  .required = true,
	  .choices = "files|certbot|haproxy|pkcs12",
	  AT(layout),
	  .help = "\"files\": a folder with privkey.pem, cert.pem, chain.pem and fullchain.pem. "
		  "\"certbot\": the same as certbot has it, links in a live folder and files in "
		  "the archive folder beside it. \"haproxy\": one PEM file with key, leaf and "
		  "chain. \"pkcs12\": one PKCS#12 file with the same." },
	{ .name = "path",
	  .type = SETTING_STRING,
	  .required = true,
	  .form = &form_whole_path,
	  AT(path),
	  .help = "Of the folder or the file. Of \"certbot\" the lineage's live folder, such as "
		  "\"/etc/letsencrypt/live/example.com\". The folder it is in must exist. A "
		  "further key of the certificate has -TYPE in it: edge-rsa2048.pem beside "
		  "edge.pem." },
	{ .name = "owner",
	  .type = SETTING_STRING,
	  .form = &schema_word,
	  AT(owner),
	  .help = "The user who owns the files. Left out: who runs dns01." },
	{ .name = "group",
	  .type = SETTING_STRING,
	  .form = &schema_word,
	  AT(group),
	  .help = "The group of the files. Left out: that of who runs dns01." },
	{ .name = "mode",
	  .type = SETTING_STRING,
	  .fallback = "0600",
	  .form = &form_mode,
	  AT(mode),
	  .help = "Of the file that holds the key, such as \"0640\" for a group that reads it. "
		  "Files without a key have 0644." },
	{ .name = "password_file",
	  .type = SETTING_FILE,
	  .secret = true,
	  AT(password_file),
	  .help = "Of \"pkcs12\": a file whose first line is the password. Left out: the empty "
		  "password." },
};
#undef AT

static const struct setting_group export_group = {
	.item = "export",
	.title = "EXPORTS OF A CERTIFICATE",
	.help = "Each is one copy. A reader sees the old key and certificate or the new ones: "
		"folders are switched by one link, files replaced by a rename. Owner, group and "
		"mode are set before there is anything to read.",
	.rows = export_rows,
	.row_count = ARRAY_LEN(export_rows),
	.size = sizeof(struct conf_export),
	.count_offset = offsetof(struct conf_certificate, export_count),
	.where_offset = offsetof(struct conf_export, where),
};

/* ---- certificates ----------------------------------------------------- */

#define AT(field) .offset = offsetof(struct conf_certificate, field)
static const struct setting certificate_rows[] = {
	{ .name = "name",
	  .type = SETTING_STRING,
	  .required = true,
	  .form = &schema_word,
	  AT(name),
	  .help = "Of the lineage, and of its folder in STATE/certs." },
	{ .name = "account",
	  .type = SETTING_STRING,
	  .form = &schema_word,
	  AT(account),
	  .help = "The account that orders it. May be left out where there is one account." },
	{ .name = "fallback",
	  .type = SETTING_STRINGS,
	  .fallback = "",
	  .form = &schema_word,
	  AT(fallback),
	  .help = "Accounts to order it by, one after another, where the CA of the one before "
		  "cannot be reached or is out of order." },
	{ .name = "names",
	  .type = SETTING_STRINGS,
	  .required = true,
	  AT(names),
	  .help = "The DNS names, such as \"example.com\" and \"*.example.com\"." },
	{ .name = "keys",
	  .type = SETTING_STRINGS,
	  .fallback = "p256",
	  .choices = SCHEMA_KEY_TYPES,
	  AT(keys),
	  .help = "Key types. The first one has the lineage NAME, each other one of "
		  "its own, NAME-TYPE." },
	{ .name = "profile",
	  .type = SETTING_STRING,
	  AT(profile),
	  .help = "The profile to ask the CA for, in place of the account's profiles." },
	{ .name = "chain",
	  .type = SETTING_STRING,
	  AT(chain),
	  .help = "The root to chain to, in place of the account's." },
	{ .name = "renew_before",
	  .type = SETTING_DURATION,
	  .fallback = "0s",
	  .max = 365 * 24 * HOUR_MS,
	  AT(renew_before_ms),
	  .help = "Renew it when this much of its life is left, whatever the CA suggests. 0s: "
		  "when the CA suggests it (RFC 9773), else with a third of its life left, or "
		  "half of a life under ten days." },
	{ .name = "export",
	  .type = SETTING_GROUPS,
	  .group = &export_group,
	  AT(export),
	  .help = "Copies of it for programs that want it in another place or form, written "
		  "after a new certificate is stored and before the commands run." },
	{ .name = "deploy",
	  .type = SETTING_COMMANDS,
	  .fallback = "",
	  AT(deploy),
	  .help = "Commands to run after a new certificate is stored, each a list of strings: "
		  "a program's path and its arguments. No shell reads them. One that fails is "
		  "tried again by later runs until it succeeds. A command that several "
		  "certificates have is run once for all that are new. See DEPLOYMENT." },
	{ .name = "deploy_timeout",
	  .type = SETTING_DURATION,
	  .fallback = "5m",
	  .min = SECOND_MS,
	  .max = HOUR_MS,
	  AT(deploy_timeout_ms),
	  .help = "After this time such a command is stopped, and has failed." },
};
#undef AT

const struct setting_group schema_certificates = {
	.item = "certificate",
	.help = "Each is one certificate that is kept renewed.",
	.rows = certificate_rows,
	.row_count = ARRAY_LEN(certificate_rows),
	.size = sizeof(struct conf_certificate),
	.count_offset = offsetof(struct conf, certificate_count),
	.where_offset = offsetof(struct conf_certificate, where),
};

/* ---- notify ----------------------------------------------------------- */

#define AT(field) .offset = offsetof(struct conf_notify, field)
static const struct setting notify_rows[] = {
	{ .name = "run",
	  .type = SETTING_COMMAND,
	  AT(run),
	  .help = "The command that is told, a program's path and its arguments. It gets one JSON "
		  "object on its standard input, see EVENTS. Left out: nobody is told." },
	{ .name = "life_left",
	  .type = SETTING_STRING,
	  .fallback = "1/4",
	  .form = &form_share,
	  AT(life_left),
	  .help = "A renewal that fails is told when less than this share of the certificate's "
		  "life is left; before that it is only tried again." },
	{ .name = "remind",
	  .type = SETTING_DURATION,
	  .fallback = "1d",
	  .min = MINUTE_MS,
	  .max = 30 * DAY_MS,
	  AT(remind_ms),
	  .help = "What goes on is told again after this time." },
};
#undef AT

const struct setting_group schema_notify = {
	.item = "notify",
	.help = "The group notify = { ... }: who is told when something needs a person.",
	.rows = notify_rows,
	.row_count = ARRAY_LEN(notify_rows),
	.size = sizeof(struct conf_notify),
};
