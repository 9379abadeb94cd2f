/* providers_page: dns01-providers(7), and the table of the README. */
#include "providers.h"

#include <ctype.h>

#define PAGE_MAX (1024 * 1024)

static const char head[] =
	".Dd November 26, 2026\n"
	".Dt DNS01-PROVIDERS 7\n"
	".Os\n"
	".Sh NAME\n"
	".Nm dns01-providers\n"
	".Nd where dns01 publishes TXT records\n"
	".Sh DESCRIPTION\n"
	"A provider is one place where\n"
	".Xr dns01 1\n"
	"can publish TXT records, with its credential.\n"
	"It is a group of\n"
	".Ic providers\n"
	"in\n"
	".Xr dns01.conf 5\n"
	"with a\n"
	".Ic name ,\n"
	"by which zones call it, a\n"
	".Ic type ,\n"
	"which is one of those below, and the settings of that type.\n"
	"Without a configuration the type is\n"
	".Fl -provider ,\n"
	"and each setting\n"
	".Fl -set Ar NAME Ns = Ns Ar VALUE .\n"
	".Pp\n"
	"A zone may have several providers, while it moves from one vendor to another:\n"
	"each value is published at all of them, and every authoritative server must show\n"
	"it, whoever runs it.\n"
	"The names of one certificate may be in zones of different providers.\n"
	".Pp\n"
	"A credential comes from the file that\n"
	".Ic NAME_file\n"
	"names; from the output of the program in\n"
	".Ic NAME_command ,\n"
	"which is run when it is first needed and again when the service refuses what it\n"
	"printed; or from the environment variables that the vendor's own tools read.\n"
	"A file may be one of systemd's credentials: a path without a slash in front is\n"
	"looked for in\n"
	".Ev CREDENTIALS_DIRECTORY\n"
	"first.\n"
	"Credentials are sent to the host of\n"
	".Ic endpoint\n"
	"alone, by HTTPS, and stand in no message.\n"
	".Pp\n"
	"An API is asked in which of its zones a name is: for every suffix of the name,\n"
	"the longest first.\n"
	"What it says is used for ten minutes.\n"
	"Only our own values are added and removed; others at the same name stay.\n"
	"A request that fails is made again, after looking whether it took effect;\n"
	"the pauses that a service asks for are kept, as long as\n"
	".Ic timeout\n"
	"lets them.\n";

static const char tail[] = ".Sh PLUG-INS\n"
			   "Providers that are not built in are loaded from the folder that\n"
			   ".Ic plugins\n"
			   "in\n"
			   ".Xr dns01.conf 5\n"
			   "names.\n"
			   "How to write one is in\n"
			   ".Pa providers.md\n"
			   "beside the documentation.\n"
			   ".Sh SEE ALSO\n"
			   ".Xr dns01 1 ,\n"
			   ".Xr dns01.conf 5\n";

static void add_capabilities(struct buf *out, const struct provider *provider)
{
	struct buf text = BUF_INIT(PAGE_MAX);

	buf_addf(&text, "It %s.", provider_unit_text(provider->unit));
	if (provider->ttl_min_s > 0) {
		buf_addf(&text, " The smallest TTL is %u s.", (unsigned)provider->ttl_min_s);
	}
	if (provider->in_sync) {
		buf_add_str(&text, " It waits until the service says that its servers have it.");
	}
	conf_manual_text(out, buf_str(&text));
	buf_clear(&text);
}

/* The example is one line in the table; here its settings stand below each other. */
static void add_example(struct buf *out, const char *example)
{
	buf_add_str(out, ".Bd -literal -offset indent\n");
	for (const char *at = example; *at; at++) {
		bool next = at[0] == ' ' && at[1] == ' ' && at > example && at[-1] == ';';

		if (next) {
			buf_add_str(out, "\n ");
		} else if (*at == '\\') {
			buf_add_str(out, "\\e");
		} else {
			buf_add(out, at, 1);
		}
	}
	buf_add_str(out, "\n.Ed\n");
}

static void add_provider(struct buf *out, const struct provider *provider)
{
	buf_add_str(out, ".Sh ");
	for (const char *at = provider->name; *at; at++) {
		buf_addf(out, "%c", toupper((unsigned char)*at));
	}
	buf_addf(out, "\n%c%s:\n", toupper((unsigned char)provider->summary[0]),
		 provider->summary + 1);
	add_example(out, provider->example);
	buf_add_str(out, ".Pp\n");
	add_capabilities(out, provider);
	buf_add_str(out, ".Pp\nThe least that its credential needs:\n");
	conf_manual_text(out, provider->privilege);
	if (provider->environment) {
		buf_add_str(out, ".Pp\nEnvironment, where no setting says more:\n");
		conf_manual_text(out, provider->environment);
	}
	if (provider->setting_count > 0) {
		buf_add_str(out, ".Pp\nSettings:\n");
		conf_manual_rows(out, provider->settings, provider->setting_count);
	}
}

void providers_mdoc(void)
{
	struct buf out = BUF_INIT(PAGE_MAX);

	buf_add_str(&out, head);
	for (size_t i = 0; provider_at(i); i++) {
		add_provider(&out, provider_at(i));
	}
	buf_add_str(&out, tail);
	fputs(buf_str(&out), stdout);
	buf_clear(&out);
}

void providers_markdown(void)
{
	puts("| type | publishes at |\n| --- | --- |");
	for (size_t i = 0; provider_at(i); i++) {
		printf("| `%s` | %s |\n", provider_at(i)->name, provider_at(i)->summary);
	}
}
