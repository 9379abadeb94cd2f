/* dns01: wildcard certificates by DNS-01, and one place that publishes every challenge. */
#include "cli.h"

const struct verb verbs[] = {
	{ "issue", "[NAMES...]",
	  "get a certificate: order, publish, watch, finalize, store, deploy",
	  "Without NAMES every certificate of the configuration is issued. NAMES are DNS names\n"
	  "for one certificate, or names of certificates in the configuration.",
	  verb_issue, false },
	{ "probe", "NAME", "publish a random value, watch it on every server, retract it",
	  "Tries credential, alias, zone and servers of NAME without a CA.", verb_probe, false },
	{ "retract", "NAME [VALUE]", "remove values of ours at NAME from DNS, whoever holds them",
	  "NAME is an identifier, or an owner name that begins with \"_\".", verb_retract, false },
	{ "sweep", "", "remove what dead processes and expired leases left in DNS", NULL,
	  verb_sweep, false },
	{ "account", "[show | register]", "show the accounts, or register one at its CA", NULL,
	  verb_account, false },
	{ "status", "", "certificates on disk, values in DNS, and what failed last", NULL,
	  verb_status, false },
	{ "providers", "[NAME]", "list the DNS providers, or one with its settings", NULL,
	  verb_providers, false },
	{ "config", "check | dump | manual",
	  "check or print the configuration (FILE or - for stdin)", NULL, verb_config, false },
	{ "keygen", "TYPE FILE", "write a new key (used by issue for keys that take long)", NULL,
	  verb_keygen, true },
};
const size_t verb_count = ARRAY_LEN(verbs);

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < verb_count; i++) {
		if (strcmp(verbs[i].name, name) == 0) {
			return &verbs[i];
		}
	}
	return NULL;
}

static void print_usage(FILE *to)
{
	fputs("usage: dns01 COMMAND [OPTIONS] [ARGUMENTS]\n\n"
	      "Wildcard certificates by DNS-01, and one place that publishes every challenge.\n\n",
	      to);
	for (size_t i = 0; i < verb_count; i++) {
		if (!verbs[i].hidden) {
			fprintf(to, "  %-10s %s\n", verbs[i].name, verbs[i].summary);
		}
	}
	fputs("\n`dns01 COMMAND --help` shows a command's options; the manual is dns01(1), the\n"
	      "configuration's dns01.conf(5).\n",
	      to);
}

void verb_print_help(const struct verb *verb)
{
	printf("usage: dns01 %s [OPTIONS] %s\n\n%s.\n", verb->name, verb->arguments, verb->summary);
	if (verb->help) {
		printf("%s\n", verb->help);
	}
}

int main(int argc, char **argv)
{
	const struct verb *verb;

	if (argc < 2) {
		print_usage(stderr);
		return err_exit_status(ERR_USAGE);
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("dns01 %s\n", dns01_version());
		return 0;
	}
	verb = verb_find(argv[1]);
	if (!verb) {
		fprintf(stderr, "dns01: there is no command \"%s\"; `dns01 --help` lists them\n",
			argv[1]);
		return err_exit_status(ERR_USAGE);
	}
	return verb->run(argc - 1, argv + 1);
}
