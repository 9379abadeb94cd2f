/* dns01 delete: a lineage and its keys, for good. */
#include "cli.h"

/* Who would miss it; ERR_DENIED with the place. */
static enum err_code check_unused(const struct conf *conf, const char *lineage, struct err *err)
{
	enum key_type key_type;
	const struct conf_certificate *certificate = cli_certificate_of(conf, lineage, &key_type);

	if (certificate) {
		return err_set(err, ERR_DENIED, lineage,
			       "the configuration still names it (%s), so that it would be issued "
			       "again: remove it there first, or give --force",
			       certificate->where ? certificate->where : "by flags");
	}
	for (size_t i = 0; i < conf->listener_count; i++) {
		const struct conf_listener *listener = &conf->listener[i];

		if (listener->certificate && strcmp(listener->certificate, lineage) == 0) {
			return err_set(err, ERR_DENIED, lineage,
				       "a listener of the broker uses it (%s): give that another "
				       "certificate first, or give --force",
				       listener->where ? listener->where : "by flags");
		}
	}
	return ERR_NONE;
}

static void print_deleted(const struct cli *cli, const char *lineage)
{
	struct json *object;
	char *text;

	if (!cli->options.json) {
		printf("%s: deleted, with its keys\n", lineage);
		return;
	}
	object = json_object();
	json_set_str(object, "lineage", lineage);
	json_set_bool(object, "deleted", true);
	text = json_pretty(object);
	puts(text);
	free(text);
	json_free(object);
}

int verb_delete(int argc, char **argv)
{
	struct cli cli;
	const char *lineage;
	struct err err;
	enum err_code code = ERR_NONE;

	if (!cli_open(&cli, OPTIONS_COMMON | OPTIONS_FORCE, argc, argv) ||
	    !cli_open_renewals(&cli)) {
		return cli_close(&cli);
	}
	lineage = cli.options.names[0];
	if (!cli.options.force) {
		code = check_unused(cli.conf, lineage, &err);
	}
	if (code == ERR_NONE) {
		code = lineage_remove(cli.conf->state, lineage, &err);
	}
	if (code == ERR_NONE) {
		code = renewals_remove(cli.renewals, lineage, &err);
	}
	if (code != ERR_NONE) {
		cli_fail(&cli, &err);
	} else {
		print_deleted(&cli, lineage);
	}
	return cli_close(&cli);
}
