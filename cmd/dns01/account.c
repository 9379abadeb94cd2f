/* dns01 account: the accounts of the state folder, and registration. */
#include "cli.h"

struct account_run {
	struct cli cli;
	const struct conf_account *account;
	struct account_record *record;
	struct acme *acme;
};

/* ---- show ------------------------------------------------------------------ */

static struct json *account_json(const char *name, const char *directory,
				 const struct account_record *record)
{
	struct json *object = json_object();
	char thumbprint[THUMBPRINT_LEN];

	json_set_str(object, "name", name);
	json_set_str(object, "directory", directory);
	json_set_str(object, "url", record ? record->url : NULL);
	if (record) {
		key_thumbprint(record->key, thumbprint);
		json_set_str(object, "key_type", key_type_name(key_type_of(record->key)));
		json_set_str(object, "thumbprint", thumbprint);
	}
	return object;
}

static void print_account(const char *name, const char *directory,
			  const struct account_record *record)
{
	char thumbprint[THUMBPRINT_LEN] = "";

	if (record) {
		key_thumbprint(record->key, thumbprint);
	}
	printf("%s\n  directory   %s\n  account     %s\n", name, directory,
	       record && record->url ? record->url : "not registered yet");
	if (record) {
		printf("  key         %s\n  thumbprint  %s\n",
		       key_type_name(key_type_of(record->key)), thumbprint);
	}
}

static void show(struct account_run *run)
{
	const struct conf *conf = run->cli.conf;
	struct json *array = json_array();
	char *text;

	for (size_t i = 0; i < conf->account_count; i++) {
		const struct conf_account *account = &conf->account[i];
		struct account_record *record = NULL;
		struct err err;
		enum err_code code = account_load(conf->state, account->name, &record, &err);

		if (code != ERR_NONE && code != ERR_NOT_FOUND) {
			cli_fail(&run->cli, &err);
		} else if (run->cli.options.json) {
			json_add(array, account_json(account->name, account->directory, record));
		} else {
			print_account(account->name, account->directory, record);
		}
		account_record_free(record);
	}
	if (run->cli.options.json) {
		text = json_pretty(array);
		puts(text);
		free(text);
	} else if (conf->account_count == 0) {
		puts("no account is configured; add one to accounts, or give --ca URL");
	}
	json_free(array);
}

/* ---- register -------------------------------------------------------------- */

static void end(struct account_run *run, const struct err *err)
{
	if (err) {
		cli_fail(&run->cli, err);
	}
	world_real_stop(run->cli.world);
}

static void on_registered(void *arg, const struct err *err)
{
	struct account_run *run = arg;
	struct err save_err;

	if (err) {
		end(run, err);
		return;
	}
	free(run->record->url);
	run->record->url = xstrdup(acme_account_url(run->acme));
	if (account_save(run->cli.conf->state, run->account->name, run->record, &save_err) !=
	    ERR_NONE) {
		end(run, &save_err);
		return;
	}
	if (!run->cli.options.json) {
		print_account(run->account->name, run->account->directory, run->record);
	} else {
		struct json *object =
			account_json(run->account->name, run->account->directory, run->record);
		char *text = json_pretty(object);

		puts(text);
		free(text);
		json_free(object);
	}
	end(run, NULL);
}

static void on_directory(void *arg, const struct err *err)
{
	struct account_run *run = arg;
	struct err failed;

	if (err) {
		end(run, err);
	} else if (!account_register_start(run->acme, run->account, on_registered, run, &failed)) {
		end(run, &failed);
	}
}

static void do_register(struct account_run *run)
{
	const struct conf *conf = run->cli.conf;
	const char *name = run->cli.options.account;
	struct err err;

	run->account = conf_find_account(conf, name);
	if (!run->account) {
		err_set(&err, ERR_USAGE, name ? name : "",
			"it is not said which account to register: give --account NAME, or "
			"--ca URL");
		cli_fail(&run->cli, &err);
		return;
	}
	if (account_open(conf->state, run->account, &run->record, &err) != ERR_NONE) {
		cli_fail(&run->cli, &err);
		return;
	}
	run->acme = acme_new(&(struct acme_args){
		.world = run->cli.world,
		.directory = run->account->directory,
		.ca_file = run->account->ca_file,
		.proxy = run->account->proxy ? run->account->proxy : conf->proxy,
		.key = run->record->key,
	});
	acme_directory_start(run->acme, on_directory, run);
	cli_run(&run->cli);
	acme_free(run->acme);
	account_record_free(run->record);
}

int verb_account(int argc, char **argv)
{
	struct account_run run = { 0 };
	const char *what;
	struct err err;

	if (!cli_open(&run.cli, OPTIONS_COMMON | OPTIONS_CA, argc, argv)) {
		return cli_close(&run.cli);
	}
	what = run.cli.options.name_count > 0 ? run.cli.options.names[0] : "show";
	if (strcmp(what, "show") == 0) {
		show(&run);
	} else if (strcmp(what, "register") == 0) {
		do_register(&run);
	} else {
		err_set(&err, ERR_USAGE, what, "write dns01 account show or register");
		cli_fail(&run.cli, &err);
	}
	return cli_close(&run.cli);
}
