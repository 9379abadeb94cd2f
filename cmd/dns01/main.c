/* dns01: wildcard certificates by DNS-01, and one place that publishes every challenge. */
#include "hook.h"

const struct verb verbs[] = {
	{ .name = "issue",
	  .arguments = "[NAMES...]",
	  .most = ANY_NUMBER,
	  .summary = "get a certificate: order, publish, watch, finalize, store, deploy",
	  .help = "Without NAMES every certificate of the configuration is issued. NAMES are DNS "
		  "names\nfor one certificate, or names of certificates in the configuration.",
	  .run = verb_issue },
	{ .name = "deploy",
	  .arguments = "[LINEAGE...]",
	  .most = ANY_NUMBER,
	  .summary = "write the exports and run the commands that are due",
	  .help = "Due is what was not yet done with the certificate that is there now. Given\n"
		  "LINEAGEs, all of theirs is done again.",
	  .run = verb_deploy },
	{ .name = "renew",
	  .arguments = "[NAMES...]",
	  .most = ANY_NUMBER,
	  .summary = "issue what is due, missing or changed in the configuration; for a timer",
	  .help = "NAMES are certificates of the configuration, or lineages; without them: all.\n"
		  "Prints nothing when nothing is due. What fails is tried again by later runs,\n"
		  "after a while that grows.",
	  .run = verb_renew },
	{ .name = "probe",
	  .arguments = "NAME",
	  .least = 1,
	  .most = 1,
	  .summary = "publish a random value, watch it on every server, retract it",
	  .help = "Tries credential, alias, zone and servers of NAME without a CA.",
	  .run = verb_probe },
	{ .name = "retract",
	  .arguments = "NAME [VALUE]",
	  .least = 1,
	  .most = 2,
	  .summary = "remove values of ours at NAME from DNS, whoever holds them",
	  .help = "NAME is an identifier, or an owner name that begins with \"_\".\n"
		  "Write -- before a VALUE that begins with a hyphen.",
	  .run = verb_retract,
	  .bare = true },
	{ .name = "sweep",
	  .arguments = "",
	  .summary = "remove what dead processes and expired leases left in DNS",
	  .run = verb_sweep,
	  .bare = true },
	{ .name = "hook",
	  .arguments = "CLIENT [ARGUMENTS...]",
	  .least = 1,
	  .most = ANY_NUMBER,
	  .summary = "publish and retract for another ACME client: certbot, dehydrated, ...",
	  .help = "CLIENT is certbot, dehydrated, acme.sh, lego, uacme, getssl or mod_md;\n"
		  "ARGUMENTS are its own. Options come before CLIENT. contrib/hooks/ has a page\n"
		  "for each.",
	  .run = verb_hook },
	{ .name = "serve",
	  .arguments = "",
	  .summary = "be the broker: publish for the clients of the configuration",
	  .help = "Listens where the configuration says. SIGHUP reads the configuration again;\n"
		  "SIGTERM ends it: who waits is refused, and what clients hold stays until its\n"
		  "lease is over.",
	  .run = verb_serve },
	{ .name = "client",
	  .arguments = "add NAME | set NAME | disable NAME | enable NAME | list",
	  .least = 1,
	  .most = 2,
	  .summary = "the broker's clients that are not in the configuration",
	  .help = "dns01 client add web --set names=www.example.com,example.com --set "
		  "wildcard=true\nset replaces what a client may; it holds from the next request "
		  "on.",
	  .run = verb_client },
	{ .name = "token",
	  .arguments = "new CLIENT | list [CLIENT] | revoke ID",
	  .least = 1,
	  .most = 2,
	  .summary = "the credentials of the broker's clients",
	  .help = "new prints a credential once, as the client's own configuration wants it. Two\n"
		  "live ones of a client may be there at a time: make the new one, put it in\n"
		  "place, revoke the old one.",
	  .run = verb_token },
	{ .name = "policy",
	  .arguments = "CLIENT [NAME]",
	  .least = 1,
	  .most = 2,
	  .summary = "what a client of the broker may, or whether it may publish for NAME and why",
	  .run = verb_policy },
	{ .name = "alias",
	  .arguments = "NAME",
	  .least = 1,
	  .most = 1,
	  .summary = "print the CNAME that sends the challenge of NAME to the target zone",
	  .run = verb_alias },
	{ .name = "backup",
	  .arguments = "FILE",
	  .least = 1,
	  .most = 1,
	  .summary = "write the state (journal, clients, accounts, certificates) to one archive",
	  .run = verb_backup,
	  .bare = true },
	{ .name = "import",
	  .arguments = "certbot | lego | acme.sh",
	  .least = 1,
	  .most = 1,
	  .summary = "take over accounts, certificates and settings of another ACME client",
	  .help = "Its files are only read. What came over, what could not, and what is left to "
		  "do is\nsaid line by line; --dry-run only says. Done again, it changes nothing.",
	  .run = verb_import },
	{ .name = "account",
	  .arguments = "[show | register | update | rollover | deactivate | recover]",
	  .most = 1,
	  .summary = "show the accounts, or register, change or end one at its CA",
	  .help = "update sends the contacts of the configuration, rollover gives the account a\n"
		  "new key, deactivate ends it for good, recover finds the account of --key-file.",
	  .run = verb_account,
	  .bare = true },
	{ .name = "revoke",
	  .arguments = "[LINEAGE]",
	  .most = 1,
	  .summary = "revoke a certificate at its CA, by the account or by its own key",
	  .help = "dns01 revoke --replace www gets and deploys a new certificate first.\n"
		  "Without it the files stay as they are until the next dns01 renew, which\n"
		  "replaces what the configuration names.",
	  .run = verb_revoke,
	  .bare = true },
	{ .name = "delete",
	  .arguments = "LINEAGE",
	  .least = 1,
	  .most = 1,
	  .summary = "remove a lineage with all its versions and keys",
	  .help = "Asks nothing, and revokes nothing.",
	  .run = verb_delete,
	  .bare = true },
	{ .name = "status",
	  .arguments = "",
	  .summary = "certificates, their next renewal, what failed last, and values in DNS",
	  .help = "The first line and the exit status are as monitoring plug-ins have them: 0 ok,\n"
		  "1 warning, 2 critical, 3 unknown.",
	  .run = verb_status,
	  .bare = true },
	{ .name = "providers",
	  .arguments = "[NAME]",
	  .most = 1,
	  .summary = "list the DNS providers, or one with its settings",
	  .run = verb_providers },
	{ .name = "config",
	  .arguments = "check [FILE] | dump [FILE] | manual",
	  .least = 1,
	  .most = 2,
	  .summary = "check or print the configuration (FILE or - for stdin)",
	  .run = verb_config },
	{ .name = "keygen",
	  .arguments = "TYPE FILE",
	  .least = 2,
	  .most = 2,
	  .summary = "write a new key (used by issue for keys that take long)",
	  .run = verb_keygen,
	  .hidden = true },
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
	printf("usage: dns01 %s [OPTIONS]%s%s\n\n%s.\n", verb->name, verb->arguments[0] ? " " : "",
	       verb->arguments, verb->summary);
	if (verb->help) {
		printf("%s\n", verb->help);
	}
}

static int run_verb(int argc, char **argv)
{
	const struct verb *verb = verb_find(argv[0]);

	if (verb) {
		return verb->run(argc, argv);
	}
	if (argv[0][0] == '-') {
		fprintf(stderr,
			"dns01: options follow the command: dns01 COMMAND %s; `dns01 --help` lists "
			"the commands\n",
			argv[0]);
	} else {
		fprintf(stderr, "dns01: there is no command \"%s\"; `dns01 --help` lists them\n",
			argv[0]);
	}
	return err_exit_status(ERR_USAGE);
}

/* A full disk behind a redirection must not look like success. */
static int close_output(int status)
{
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0) {
		fprintf(stderr, "dns01: standard output cannot be written\n");
		return err_exit_status(ERR_IO);
	}
	return status;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_usage(stderr);
		return err_exit_status(ERR_USAGE);
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_usage(stdout);
		return close_output(0);
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("dns01 %s\n", dns01_version());
		return close_output(0);
	}
	return close_output(run_verb(argc - 1, argv + 1));
}
