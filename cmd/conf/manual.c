/*
 * manual: dns01.conf(5) in mdoc. The settings come from the schema; only the
 * rules of the file and the example are written here.
 */
#include "schema.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>

#define MANUAL_MAX (256 * 1024)
#define LINE_MAX_LEN 76

static const char head[] =
	".Dd November 24, 2026\n"
	".Dt DNS01.CONF 5\n"
	".Os\n"
	".Sh NAME\n"
	".Nm dns01.conf\n"
	".Nd configuration of dns01\n"
	".Sh DESCRIPTION\n"
	".Xr dns01 1\n"
	"reads\n"
	".Pa /etc/dns01/dns01.conf ,\n"
	"or the file that\n"
	".Fl c\n"
	"or\n"
	".Ev DNS01_CONFIG\n"
	"names.\n"
	"It says at which certificate authorities there are accounts, which providers\n"
	"publish TXT records, which of them serves which names, and which\n"
	"certificates to\n"
	"keep.\n"
	".Pp\n"
	"The file holds no secrets: each setting whose name ends in\n"
	".Cm _file\n"
	"is the path of a file.\n"
	"A path that does not begin with a slash is looked for in\n"
	".Ev CREDENTIALS_DIRECTORY\n"
	"(see\n"
	".Xr systemd.exec 5 ) ,\n"
	"then taken from the folder of the main file.\n"
	".Pp\n"
	".Dl dns01 config check\n"
	".Pp\n"
	"says whether the configuration is right, and otherwise which file, line and\n"
	"setting is wrong and what was expected;\n"
	".Pp\n"
	".Dl dns01 config dump\n"
	".Pp\n"
	"prints all of it with every default filled in.\n"
	".Sh FORM OF THE FILE\n"
	".Bl -bullet\n"
	".It\n"
	"A setting is\n"
	".Ql \"key = value\\&;\"\n"
	"on one or several lines.\n"
	"Comments are\n"
	".Ql # ,\n"
	".Ql //\n"
	"to the end of the line, and\n"
	".Ql \"/* */\" .\n"
	".It\n"
	"Text stands in double quotes, on one line.\n"
	"A backslash makes the next quote or backslash a part of it.\n"
	".It\n"
	"A duration is a string:\n"
	".Qq 250ms ,\n"
	".Qq 10s ,\n"
	".Qq 5m ,\n"
	".Qq 1h ,\n"
	".Qq 7d .\n"
	".It\n"
	"Numbers have no quotes and no leading zero.\n"
	"So have\n"
	".Cm true\n"
	"and\n"
	".Cm false\n"
	"no quotes.\n"
	".It\n"
	"A list of strings is\n"
	".Ql \"[ \\(dqa\\(dq, \\(dqb\\(dq ]\" ,\n"
	"a list of groups is\n"
	".Ql \"( { ... }, { ... } )\" .\n"
	"A comma stands between elements, and none after the last one.\n"
	".It\n"
	"Keys have no dots.\n"
	"No key is given twice in one group.\n"
	".It\n"
	"Several files make one configuration by\n"
	".Ic include .\n"
	"Their lists are appended to those of the main file.\n"
	"A single value that is given twice is an error, as is a name that two\n"
	"entries of\n"
	"one list have.\n"
	"Each file is at most 1 MiB long.\n"
	".El\n";

static const char deployment[] =
	".Sh DEPLOYMENT\n"
	"What a certificate's\n"
	".Ic export\n"
	"and\n"
	".Ic deploy\n"
	"say is due once for every new certificate of each of its lineages.\n"
	".Cm dns01 issue\n"
	"and\n"
	".Cm dns01 renew\n"
	"do it at the end of their run,\n"
	".Cm dns01 deploy\n"
	"at any time; an interruption leaves the rest due.\n"
	"Exports come first, then the commands, one after another in their order.\n"
	"A command waits until all exports of its lineage are written.\n"
	"What fails is tried again by later runs: after a minute, then after twice\n"
	"that, at most after\n"
	"an hour; a person's\n"
	".Cm dns01 deploy\n"
	"does not wait.\n"
	"What is new in the configuration is due for the certificates that are there.\n"
	".Pp\n"
	"A command that several lineages have, word for word, runs once for all that\n"
	"it is due for in a\n"
	"run, so that a server is reloaded once (where more than some thousand names\n"
	"are new, once for each so many: no environment has room for all).\n"
	"Where it has to run for each,\n"
	".Ql {lineage}\n"
	"in an argument makes it another command: the lineage's name takes its place,\n"
	"and that of\n"
	".Ql {folder}\n"
	"the folder of RENEWED_LINEAGE.\n"
	".Pp\n"
	"No shell reads a command.\n"
	"It gets this environment and no other, so that certbot's deploy hooks run\n"
	"unchanged:\n"
	".Bl -tag -width Ds\n"
	".It Ev RENEWED_LINEAGE\n"
	"The folder with privkey.pem, cert.pem, chain.pem and fullchain.pem: of an\n"
	"export with the layout\n"
	".Qq certbot ,\n"
	"else STATE/certs/LINEAGE.\n"
	"Of the first, where it runs for several.\n"
	".It Ev RENEWED_DOMAINS\n"
	"The names of all of them, with blanks between.\n"
	".It Ev FAILED_DOMAINS\n"
	"Empty.\n"
	".It Ev DNS01_LINEAGES\n"
	"The lineages that it runs for, with blanks between.\n"
	".It Ev DNS01_LINEAGE\n"
	"The first of them.\n"
	".It Ev DNS01_FOLDER\n"
	"Its folder, STATE/certs/LINEAGE/current.\n"
	".It Ev DNS01_CERTS\n"
	"STATE/certs.\n"
	".It Ev PATH\n"
	"The system's.\n"
	".El\n"
	".Pp\n"
	"Of an export, the folder of the layout\n"
	".Qq files\n"
	"keeps what else is in it; files of the four names that were there are kept\n"
	"as version 0 until\n"
	"the next export but one.\n"
	"The layout\n"
	".Qq certbot\n"
	"goes on where certbot's own numbers ended, and keeps old files as certbot does.\n"
	"Stop certbot's timer, and move its renewal/NAME.conf away: two must not\n"
	"renew one.\n"
	"Recipes for usual servers are in PREFIX/share/dns01/deploy.\n"
	".Sh EVENTS\n"
	"The command of\n"
	".Ic notify\n"
	"gets an event as one JSON object on its standard input:\n"
	".Bd -literal -offset indent\n"
	"{ \"event\": \"renewal-failed\",\n"
	"  \"at\": \"2026-11-24T02:00:00Z\",\n"
	"  \"host\": \"www1\",\n"
	"  \"error\": { \"code\": \"network\", \"subject\": \"ca.example\",\n"
	"             \"text\": \"...\", \"problem\": \"urn:...\" },\n"
	"  \"lineages\": [\n"
	"    { \"name\": \"edge\", \"names\": [ \"example.com\" ],\n"
	"      \"not_after\": \"2026-12-01T00:00:00Z\",\n"
	"      \"life_left_percent\": 8,\n"
	"      \"retry_at\": \"2026-11-24T03:00:00Z\" } ] }\n"
	".Ed\n"
	".Pp\n"
	"What is not known is left out, as is\n"
	".Qq problem\n"
	"where the CA sent none.\n"
	"The events are:\n"
	".Bl -tag -width Ds\n"
	".It Li renewal-failed\n"
	"A renewal failed, and less of the certificate's life is left than\n"
	".Ic life_left ,\n"
	"or there is no certificate yet.\n"
	".It Li deploy-failed\n"
	"A command or an export failed; each of\n"
	".Qq lineages\n"
	"has it as\n"
	".Qq what .\n"
	".It Li credential-refused\n"
	"A DNS provider refused the credential, or the CA the account.\n"
	".It Li terms-changed\n"
	"The CA wants the account's owner to agree to something; the text has the\n"
	"address.\n"
	".It Li paused\n"
	"The CA has paused the account for these names; the text has the address that\n"
	"lifts it.\n"
	".El\n"
	".Pp\n"
	"Several lineages that suffer from the same are one event.\n"
	"It is told once, again after\n"
	".Ic remind\n"
	"while it goes on, and is new after a success.\n"
	"A command that does not end with status 0 within a minute is logged, and the\n"
	"event told by the\n"
	"next run.\n";

static const char tail[] =
	".Sh FILES\n"
	".Bl -tag -width Ds\n"
	".It Pa /etc/dns01/dns01.conf\n"
	"The main file, best owned by root, group dns01, with mode 0640.\n"
	".It Pa /etc/dns01/conf.d/\n"
	"A usual place for\n"
	".Ic include .\n"
	".El\n"
	".Sh EXAMPLES\n"
	"A wildcard certificate from one authority, published at one name server with a\n"
	"TSIG key, watched at all name servers of the zone:\n"
	".Bd -literal -offset indent\n"
	"include = [ \"conf.d/*.conf\" ];\n"
	"\n"
	"accounts = (\n"
	"  { name = \"letsencrypt\";\n"
	"    directory = \"https://acme-v02.api.letsencrypt.org/directory\";\n"
	"    agree_tos = true; }\n"
	");\n"
	"\n"
	"providers = (\n"
	"  { name = \"primary\";  type = \"rfc2136\";\n"
	"    server = \"192.0.2.1\";  tsig_key_file = \"dns01.key\"; }\n"
	");\n"
	"\n"
	"zones = (\n"
	"  { suffix = \"example.com\";  providers = [ \"primary\" ]; }\n"
	");\n"
	"\n"
	"certificates = (\n"
	"  { name = \"wild\";  names = [ \"example.com\", \"*.example.com\" ];\n"
	"    deploy = ( [ \"/bin/systemctl\", \"reload\", \"nginx\" ] ); }\n"
	");\n"
	".Ed\n"
	".Pp\n"
	"The same domain seen from two sides, each published at a server of its own:\n"
	".Bd -literal -offset indent\n"
	"zones = (\n"
	"  { suffix = \"example.com\";  view = \"public\";\n"
	"    providers = [ \"outside\" ];  settle = \"10s\"; },\n"
	"  { suffix = \"example.com\";  view = \"inside\";\n"
	"    providers = [ \"inside\" ];  resolvers = [ \"192.0.2.53\" ];\n"
	"    servers = [ \"192.0.2.11\", \"192.0.2.12\" ]; }\n"
	");\n"
	".Ed\n"
	".Sh SEE ALSO\n"
	".Xr dns01 1 ,\n"
	".Xr dns01-providers 7\n";

static const char *const type_words[] = {
	[SETTING_STRING] = "text",
	[SETTING_NAME] = "a DNS name",
	[SETTING_FILE] = "a path",
	[SETTING_URL] = "an https:// URL",
	[SETTING_BOOL] = "true or false",
	[SETTING_INT] = "a number",
	[SETTING_DURATION] = "a duration",
	[SETTING_ENUM] = "a word",
	[SETTING_STRINGS] = "a list of strings",
	[SETTING_COMMAND] = "a list of strings",
	[SETTING_COMMANDS] = "a list of lists of strings",
	[SETTING_GROUP] = "a group",
	[SETTING_GROUPS] = "a list of groups",
};
static_assert(ARRAY_LEN(type_words) == SETTING_TYPE_COUNT, "a word for each type");

/* Running text: no line of it is taken for a macro, each sentence begins one. */
void conf_manual_text(struct buf *out, const char *text)
{
	size_t column = 0;

	for (; *text != '\0'; text++) {
		bool sentence_end = column > 0 && text[-1] == '.';

		if (*text == ' ' &&
		    (sentence_end || column + strcspn(text + 1, " ") > LINE_MAX_LEN)) {
			buf_add_str(out, "\n");
			column = 0;
			continue;
		}
		if (column == 0 && (*text == '.' || *text == '\'')) {
			buf_add_str(out, "\\&");
		}
		if (*text == '\\') {
			buf_add_str(out, "\\e");
		} else {
			buf_add(out, text, 1);
		}
		column++;
	}
	buf_add_str(out, "\n");
}

static void add_range(struct buf *out, const struct setting *row)
{
	char min[32], max[32];

	if (row->min == 0 && row->max == 0) {
		return;
	}
	if (row->type == SETTING_INT) {
		buf_addf(out, " from %" PRId64 " to %" PRId64, row->min, row->max);
		return;
	}
	duration_format(min, row->min);
	duration_format(max, row->max);
	buf_addf(out, " from \"%s\" to \"%s\"", min, max);
}

static void add_default(struct buf *out, const struct setting *row)
{
	bool number = row->type == SETTING_INT && row->choices == NULL;
	const char *quote = number || row->type == SETTING_BOOL ? "" : "\"";
	bool list = row->type == SETTING_STRINGS;

	if (row->required) {
		buf_add_str(out, "; required");
	} else if (row->fallback != NULL && row->fallback[0] == '\0') {
		buf_add_str(out, "; default: empty");
	} else if (row->fallback != NULL) {
		buf_addf(out, "; default: %s%s%s%s%s", list ? "[ " : "", quote, row->fallback,
			 quote, list ? " ]" : "");
	}
}

static void add_kind(struct buf *page, const struct setting *row)
{
	char *words = row->choices != NULL ? schema_choices(row->choices) : xstrdup("");
	struct buf line = BUF_INIT(MANUAL_MAX), *out = &line;

	buf_add_str(out, "Type: ");
	if (row->type == SETTING_URL && row->choices != NULL && strstr(row->choices, "none")) {
		buf_addf(out, "%s, or a URL of a proxy", words);
	} else if (row->type == SETTING_URL) {
		buf_add_str(out, type_words[row->type]);
	} else if (row->type == SETTING_ENUM) {
		buf_add_str(out, words);
	} else if (row->type == SETTING_STRINGS && row->choices != NULL) {
		buf_addf(out, "a list of %s", words);
	} else {
		buf_addf(out, "%s%s%s", words, words[0] != '\0' ? ", or " : "",
			 type_words[row->type]);
	}
	add_range(out, row);
	add_default(out, row);
	buf_add_str(out, ".");
	conf_manual_text(page, buf_str(out));
	buf_clear(&line);
	free(words);
}

void conf_manual_rows(struct buf *out, const struct setting *rows, size_t count)
{
	buf_add_str(out, ".Bl -tag -width Ds\n");
	for (size_t i = 0; i < count; i++) {
		buf_addf(out, ".It Ic %s\n", rows[i].name);
		conf_manual_text(out, rows[i].help);
		buf_add_str(out, ".br\n");
		add_kind(out, &rows[i]);
	}
	buf_add_str(out, ".El\n");
}

static void add_sections(struct buf *out, const struct setting_group *group);

static void add_section(struct buf *out, const struct setting *list)
{
	const char *title = list->group->title != NULL ? list->group->title : list->name;

	buf_add_str(out, ".Sh ");
	for (const char *at = title; *at != '\0'; at++) {
		buf_addf(out, "%c", toupper((unsigned char)*at));
	}
	buf_add_str(out, "\n");
	conf_manual_text(out, list->group->help);
	conf_manual_rows(out, list->group->rows, list->group->row_count);
	add_sections(out, list->group);
}

static void add_sections(struct buf *out, const struct setting_group *group)
{
	for (size_t i = 0; i < group->row_count; i++) {
		if (group_is(&group->rows[i])) {
			add_section(out, &group->rows[i]);
		}
	}
}

char *conf_manual(void)
{
	struct buf out = BUF_INIT(MANUAL_MAX);

	buf_add_str(&out, head);
	buf_add_str(&out, ".Sh SETTINGS OF THE MAIN FILE\n");
	conf_manual_rows(&out, schema_root.rows, schema_root.row_count);
	add_sections(&out, &schema_root);
	buf_add_str(&out, deployment);
	buf_add_str(&out, tail);
	return buf_detach(&out);
}
