/*
 * dns01 revoke: by the account or by the certificate's own key; with --replace a new certificate
 * is issued and deployed first, and what was there is read before that.
 */
#include "cli.h"

struct revoke_run {
	struct cli cli;
	const char *lineage;   /* NULL: --cert */
	struct conf *own_conf; /* lineage.conf, where the configuration does not know it */
	const struct conf *conf;
	const struct conf_account *account;
	const struct conf_certificate *certificate; /* of --replace */
	enum key_type key_type;
	const char *reason_name;
	int reason;
	struct chain *chain;
	struct key *cert_key; /* NULL: by the account */
	struct account_record *record;
	struct acme *acme;

	const struct conf_account *new_account;
	struct issuance *issuance;
	struct deploying *deploying;
	bool deployed;
	struct ui *ui;
	char *self, *lineage_conf;
	char *fresh_serial; /* of what replaced it; NULL: nothing did */
};

static void end(struct revoke_run *run, const struct err *err)
{
	if (err) {
		cli_fail(&run->cli, err);
	}
	world_real_stop(run->cli.world);
}

/* ---- what is to be revoked, and by which key -------------------------------- */

static enum err_code check_flags(const struct revoke_run *run, struct err *err)
{
	const struct options *options = &run->cli.options;

	if ((options->cert != NULL) == (options->name_count > 0)) {
		return err_set(err, ERR_USAGE, "",
			       "write the name of one lineage, or --cert FILE; `dns01 status` "
			       "lists the lineages");
	}
	if (options->replace && options->cert) {
		return err_set(err, ERR_USAGE, "",
			       "--replace goes with a lineage: what replaces a file is not known");
	}
	if (options->by_key && options->cert && !options->key_file) {
		return err_set(err, ERR_USAGE, "",
			       "--by-key with --cert needs the certificate's key: --key-file FILE");
	}
	return ERR_NONE;
}

static enum err_code read_reason(struct revoke_run *run, struct err *err)
{
	const struct options *options = &run->cli.options;

	run->reason_name = options->reason    ? options->reason
			   : options->replace ? "superseded"
					      : "unspecified";
	if (!acme_reason_parse(run->reason_name, &run->reason)) {
		return err_set(err, ERR_USAGE, run->reason_name,
			       "it is no reason; write unspecified, keyCompromise, "
			       "affiliationChanged, superseded or cessationOfOperation");
	}
	return ERR_NONE;
}

static enum err_code read_file(struct revoke_run *run, const char *path, struct err *err)
{
	struct buf pem;
	enum err_code code = file_read(path, CHAIN_PEM_MAX, &pem, err);

	/* What the file holds in place of certificates may be a secret. */
	if (code == ERR_NONE &&
	    chain_parse(buf_str(&pem), pem.len, &run->chain, NULL) != ERR_NONE) {
		code = err_set(err, ERR_USAGE, path,
			       "it does not hold a certificate in PEM, or something else beside: "
			       "give its cert.pem or fullchain.pem");
	}
	buf_wipe(&pem);
	return code == ERR_NONE ? code : err_subject(err, "%s", path);
}

/* No folder is made for a lineage that is not there. */
static enum err_code read_lineage(struct revoke_run *run, struct err *err)
{
	struct strlist names = { 0 };
	struct lineage *lineage = NULL;
	enum err_code code = lineage_names(run->cli.conf->state, &names, err);

	if (code == ERR_NONE && !strlist_has(&names, run->lineage)) {
		code = err_set(err, ERR_NOT_FOUND, run->lineage,
			       "there is no certificate of this name; `dns01 status` lists them");
	}
	if (code == ERR_NONE) {
		code = lineage_open(run->cli.conf->state, run->lineage, &lineage, err);
	}
	if (code == ERR_NONE) {
		code = lineage_load(lineage, &run->chain, err);
	}
	lineage_free(lineage);
	strlist_clear(&names);
	return code;
}

/* Its key is read before a new one takes its place. */
static enum err_code read_key(struct revoke_run *run, struct err *err)
{
	const struct options *options = &run->cli.options;
	const struct strlist *names = &chain_facts(run->chain)->names;
	char *path = NULL;
	struct err why;
	enum err_code code = ERR_NONE;

	if (options->key_file) {
		path = xstrdup(options->key_file);
	} else if (options->by_key) {
		path = xasprintf("%s/certs/%s/current/privkey.pem", run->cli.conf->state,
				 run->lineage);
	}
	if (path) {
		code = key_load(path, &run->cert_key, err);
	}
	if (run->cert_key && chain_check(run->chain, run->cert_key, names, &why) != ERR_NONE) {
		code = err_set(err, ERR_USAGE, path, "it is not the key of this certificate");
	}
	free(path);
	return code;
}

/* ---- at which CA ------------------------------------------------------------ */

/* What the lineage was made with: for those that were issued by flags. */
static enum err_code read_own_conf(struct revoke_run *run, struct err *err)
{
	const char *state = run->cli.conf->state;
	char *path = xasprintf("%s/certs/%s/current/lineage.conf", state, run->lineage);
	enum err_code code = conf_load(path, provider_rows, &run->own_conf, err);

	free(path);
	if (code == ERR_NONE) {
		free(run->own_conf->state);
		run->own_conf->state = xstrdup(state);
		code = cli_canonical_zones(run->own_conf, err);
	}
	return code;
}

/* The account that issued it, as far as that is remembered. NULL: it is not. */
static const struct conf_account *issuing_account(struct revoke_run *run)
{
	struct renewal *row = NULL;
	const struct conf_account *account = NULL;
	struct err why;

	if (renewals_get(run->cli.renewals, run->lineage, &row, &why) == ERR_NONE && row->account) {
		account = conf_find_account(run->conf, row->account);
	}
	renewal_free(row);
	return account;
}

static enum err_code find_certificate(struct revoke_run *run, struct err *err)
{
	run->conf = run->cli.conf;
	if (!run->lineage) {
		return ERR_NONE;
	}
	run->certificate = cli_certificate_of(run->conf, run->lineage, &run->key_type);
	if (run->certificate) {
		return ERR_NONE;
	}
	/* It was issued by flags, or is not in the configuration any more. */
	if (read_own_conf(run, err) != ERR_NONE) {
		/* Where the account is said, and nothing is to be issued, it is not needed. */
		return run->cli.options.replace ? err->code : ERR_NONE;
	}
	run->conf = run->own_conf;
	run->certificate = cli_certificate_of(run->conf, run->lineage, &run->key_type);
	if (run->cli.options.replace && !run->certificate) {
		return err_set(err, ERR_CONFIG, run->lineage,
			       "neither the configuration nor its own lineage.conf says how it was "
			       "issued, so it cannot be replaced");
	}
	return ERR_NONE;
}

static enum err_code find_account(struct revoke_run *run, struct err *err)
{
	const struct options *options = &run->cli.options;
	const char *name = options->account;

	if (name || options->ca) {
		run->account = conf_find_account(run->cli.conf, name);
	} else if (run->lineage) {
		name = run->certificate ? run->certificate->account : NULL;
		run->account = issuing_account(run);
		run->account = run->account ? run->account : conf_find_account(run->conf, name);
	} else {
		run->account = conf_find_account(run->conf, NULL);
	}
	if (!run->account) {
		return err_set(
			err, ERR_USAGE, name ? name : "",
			"it is not known at which CA to revoke: give --account NAME, or --ca "
			"URL");
	}
	return ERR_NONE;
}

/* Of the new certificate; it may be another one than that of the old. */
static enum err_code find_new_account(struct revoke_run *run, struct err *err)
{
	run->new_account = conf_find_account(run->conf, run->certificate->account);
	if (!run->new_account) {
		return err_set(err, ERR_CONFIG, run->lineage,
			       "it is not said which account to use; set `account` of the "
			       "certificate");
	}
	return ERR_NONE;
}

static enum err_code open_account(struct revoke_run *run, struct err *err)
{
	const char *name = run->account->name;
	enum err_code code;

	if (run->cert_key) {
		return ERR_NONE;
	}
	code = account_load(run->cli.conf->state, name, &run->record, err);
	if (code == ERR_NOT_FOUND || (code == ERR_NONE && !run->record->url)) {
		return err_set(err, ERR_NOT_FOUND, name,
			       "the account that issued it is not in the state folder: "
			       "`dns01 account recover` finds it by its key, and --by-key revokes "
			       "without one");
	}
	if (code == ERR_NONE && run->record->deactivated) {
		return err_set(err, ERR_CONFIG, name,
			       "the account that issued it was deactivated, for good; --by-key "
			       "revokes without one");
	}
	return code;
}

static enum err_code prepare(struct revoke_run *run, struct err *err)
{
	const struct options *options = &run->cli.options;
	enum err_code code = check_flags(run, err);

	run->lineage = options->name_count > 0 ? options->names[0] : NULL;
	if (code == ERR_NONE) {
		code = read_reason(run, err);
	}
	if (code == ERR_NONE) {
		code = run->lineage ? read_lineage(run, err) : read_file(run, options->cert, err);
	}
	if (code == ERR_NONE) {
		code = read_key(run, err);
	}
	if (code == ERR_NONE) {
		code = find_certificate(run, err);
	}
	if (code == ERR_NONE) {
		code = find_account(run, err);
	}
	if (code == ERR_NONE && options->replace) {
		code = find_new_account(run, err);
	}
	return code == ERR_NONE ? open_account(run, err) : code;
}

/* ---- revocation --------------------------------------------------------------- */

static void print_next(const struct revoke_run *run)
{
	enum key_type unused;

	if (cli_certificate_of(run->cli.conf, run->lineage, &unused)) {
		printf("  next    the next run of `dns01 renew` replaces it; where that is not "
		       "wanted,\n          take it out of the configuration, and `dns01 delete "
		       "%s`\n",
		       run->lineage);
	} else {
		printf("  next    `dns01 renew -c %s/certs/%s/lineage.conf` replaces it,\n"
		       "          `dns01 delete %s` removes it\n",
		       run->cli.conf->state, run->lineage, run->lineage);
	}
}

static void print_revoked(const struct revoke_run *run)
{
	const struct chain_facts *facts = chain_facts(run->chain);
	const char *who = run->lineage ? run->lineage : facts->subject;
	struct json *object;
	char *text;

	if (!run->cli.options.json) {
		printf("%s: revoked\n  serial  %s\n  reason  %s\n", who, facts->serial,
		       run->reason_name);
		if (run->fresh_serial) {
			printf("  now     %s\n", run->fresh_serial);
		} else if (run->lineage) {
			print_next(run);
		}
		return;
	}
	object = json_object();
	json_set_str(object, "lineage", run->lineage);
	json_set_str(object, "subject", facts->subject);
	json_set_str(object, "serial", facts->serial);
	json_set_bool(object, "revoked", true);
	json_set_str(object, "reason", run->reason_name);
	json_set_str(object, "by", run->cert_key ? "key" : "account");
	json_set_str(object, "replaced_by", run->fresh_serial);
	text = json_pretty(object);
	puts(text);
	free(text);
	json_free(object);
}

/* Nobody looks whether a certificate was revoked but those who rely on it: that the next run
 * replaces it is ours to remember. */
static void remember_revoked(struct revoke_run *run)
{
	struct err err;

	if (run->lineage && !run->fresh_serial &&
	    renewal_note_revoked(run->cli.renewals, run->cli.conf->state,
				 &(struct renewal_revoked){
					 .lineage = run->lineage,
					 .serial = chain_facts(run->chain)->serial,
					 .at_s = world_wall_s(run->cli.world),
				 },
				 &err) != ERR_NONE) {
		log_warn("%s: %s; `dns01 renew --force %s` replaces it", err.subject, err.text,
			 run->lineage);
	}
}

static void on_revoked(void *arg, const struct err *err)
{
	struct revoke_run *run = arg;

	if (!err) {
		remember_revoked(run);
		print_revoked(run);
	} else if (!run->cert_key && acme_problem_is(err, "unauthorized")) {
		log_warn("%s: another account may have issued it: name that with --account, or "
			 "revoke by the certificate's key (--by-key)",
			 run->account->name);
	}
	end(run, err);
}

static void send_revocation(struct revoke_run *run)
{
	acme_revoke_start(run->acme,
			  &(struct acme_revocation){ .chain = run->chain,
						     .cert_key = run->cert_key,
						     .reason = run->reason },
			  on_revoked, run);
}

static void on_key(void *arg, const struct err *err)
{
	struct revoke_run *run = arg;
	struct err failed;

	if (account_settle(run->acme, run->record, err, world_wall_s(run->cli.world), &failed) !=
	    ERR_NONE) {
		end(run, &failed);
		return;
	}
	send_revocation(run);
}

static void on_directory(void *arg, const struct err *err)
{
	struct revoke_run *run = arg;

	if (err) {
		end(run, err);
	} else if (run->record && run->record->next) {
		acme_account_key_start(run->acme, run->record->next, on_key, run);
	} else {
		send_revocation(run);
	}
}

static void not_revoked(struct revoke_run *run, const struct err *err, const char *why);

static void begin_revocation(struct revoke_run *run)
{
	const struct conf_account *account = run->account;
	struct err err;

	if (!run->record && open_account(run, &err) != ERR_NONE) {
		not_revoked(run, &err, "the new certificate is stored and deployed");
		return;
	}
	run->acme = acme_new(&(struct acme_args){
		.world = run->cli.world,
		.directory = account->directory,
		.ca_file = account->ca_file,
		.proxy = account->proxy ? account->proxy : run->conf->proxy,
		.key = run->cert_key ? run->cert_key : run->record->key,
		.account_url = run->record ? run->record->url : NULL,
	});
	acme_directory_start(run->acme, on_directory, run);
}

/* ---- replacement --------------------------------------------------------------- */

static void not_revoked(struct revoke_run *run, const struct err *err, const char *why)
{
	struct err full = *err;

	snprintf(full.text, sizeof(full.text), "%s, so the old certificate is not revoked: %.800s",
		 why, err->text);
	end(run, &full);
}

static void on_deployed(void *arg, const struct err *err)
{
	struct revoke_run *run = arg;

	if (err) {
		not_revoked(run, err, "the new certificate is stored, but its deployment failed");
		return;
	}
	run->deployed = true;
	begin_revocation(run);
}

static void begin_deployment(struct revoke_run *run)
{
	struct err stopped;

	if (run->cli.signals > 0) {
		err_set(&stopped, ERR_CANCELED, run->lineage, "stopped by the operator");
		not_revoked(run, &stopped, "the new certificate is stored");
		return;
	}
	run->deploying = deploying_new(&run->cli);
	deploying_add(run->deploying, &(struct deploy_lineage){ .name = run->lineage,
								.certificate = run->certificate,
								.which = DEPLOY_NOW });
	deploying_start(run->deploying, on_deployed, run);
}

static void on_replaced(void *arg, const struct err *err, const struct issue_result *result)
{
	struct revoke_run *run = arg;
	struct err same;

	if (err) {
		not_revoked(run, err, "no new certificate was issued");
	} else if (strcmp(result->facts.serial, chain_facts(run->chain)->serial) == 0) {
		err_set(&same, ERR_INTERNAL, run->lineage, "what came is the old certificate");
		not_revoked(run, &same, "no new certificate was issued");
	} else {
		run->fresh_serial = xstrdup(result->facts.serial);
		if (result->retract_error.code != ERR_NONE) {
			log_warn("%s: records are still in DNS (`dns01 sweep` tries again): %s",
				 result->retract_error.subject, result->retract_error.text);
		}
	}
	issuance_free(run->issuance);
	run->issuance = NULL;
	if (run->fresh_serial) {
		begin_deployment(run);
	}
}

static void on_stop(void *arg)
{
	struct revoke_run *run = arg;

	if (run->issuance) {
		issuance_stop(run->issuance);
	} else if (run->deploying && !run->deployed) {
		deploying_stop(run->deploying);
	} else {
		_exit(130);
	}
}

static void begin_replacement(struct revoke_run *run)
{
	struct cli *cli = &run->cli;

	/* The issuance opens the account too, and may end a change of its key. */
	account_record_free(run->record);
	run->record = NULL;
	cli->on_stop = on_stop;
	cli->on_stop_arg = run;
	run->self = realpath("/proc/self/exe", NULL);
	run->lineage_conf =
		lineage_conf_text(run->conf, run->certificate, run->key_type, run->lineage);
	run->ui = ui_new(cli->world, cli->options.quiet || cli->options.json);
	run->issuance = issuance_start(
		&(struct issue_args){
			.world = cli->world,
			.conf = run->conf,
			.account = run->new_account,
			.certificate = run->certificate,
			.key_type = run->key_type,
			.lineage = run->lineage,
			.journal = cli->journal,
			.renewals = cli->renewals,
			.dns = cli->dns,
			.self = run->self,
			.lineage_conf = run->lineage_conf,
			.event = ui_event,
			.event_arg = run->ui,
		},
		on_replaced, run);
}

int verb_revoke(int argc, char **argv)
{
	struct revoke_run run = { 0 };
	struct err err;

	if (!cli_open(&run.cli, OPTIONS_COMMON | OPTIONS_CA | OPTIONS_REVOKE, argc, argv) ||
	    !cli_open_renewals(&run.cli)) {
		return cli_close(&run.cli);
	}
	if (prepare(&run, &err) != ERR_NONE) {
		cli_fail(&run.cli, &err);
	} else {
		if (run.cli.options.replace) {
			begin_replacement(&run);
		} else {
			begin_revocation(&run);
		}
		cli_run(&run.cli);
	}
	acme_free(run.acme);
	account_record_free(run.record);
	key_free(run.cert_key);
	chain_free(run.chain);
	conf_free(run.own_conf);
	deploying_free(run.deploying);
	ui_free(run.ui);
	free(run.self);
	free(run.lineage_conf);
	free(run.fresh_serial);
	return cli_close(&run.cli);
}
