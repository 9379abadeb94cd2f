/* dns01 account: the accounts of the state folder, from registration to their end. */
#include "cli.h"

struct account_run {
	struct cli cli;
	const struct action *action;
	const struct conf_account *account;
	struct account_record *record;
	struct acme *acme;
};

/* One of the words behind `dns01 account`. */
struct action {
	const char *name;
	/* The record: made, loaded, or read from elsewhere; an error ends it. */
	enum err_code (*open)(struct account_run *run, struct err *err);
	/* The directory is known, and which key counts. */
	void (*start)(struct account_run *run);
	bool named; /* asks for --account, even where there is one alone */
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
	if (record && record->deactivated) {
		json_set_str(object, "status", "deactivated");
	}
	if (record && record->next) {
		key_thumbprint(record->next, thumbprint);
		json_set_str(object, "next_thumbprint", thumbprint);
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
	if (record && record->deactivated) {
		puts("  status      deactivated");
	}
	if (record) {
		printf("  key         %s\n  thumbprint  %s\n",
		       key_type_name(key_type_of(record->key)), thumbprint);
	}
	if (record && record->next) {
		key_thumbprint(record->next, thumbprint);
		printf("  next        %s (a rollover was cut off; the next use of the account "
		       "ends it)\n",
		       thumbprint);
	}
}

static void print_json(const struct json *json)
{
	char *text = json_pretty(json);

	puts(text);
	free(text);
}

/* directory NULL: that of the record, without which there is nothing to be shown. */
static void show_one(struct account_run *run, const char *name, const char *directory,
		     struct json *array)
{
	struct account_record *record = NULL;
	struct err err;
	enum err_code code = account_load(run->cli.conf->state, name, &record, &err);

	if (code != ERR_NONE && code != ERR_NOT_FOUND) {
		cli_fail(&run->cli, &err);
	} else if (directory || record) {
		directory = directory ? directory : record->directory;
		if (!run->cli.options.json) {
			print_account(name, directory, record);
		}
		json_add(array, account_json(name, directory, record));
	}
	account_record_free(record);
}

static bool is_configured(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->account_count; i++) {
		if (strcmp(conf->account[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

/* Those of the configuration, registered or not, then what else there is. */
static void show(struct account_run *run)
{
	const struct conf *conf = run->cli.conf;
	struct json *array = json_array();
	struct strlist names = { 0 };
	struct err err;

	for (size_t i = 0; i < conf->account_count; i++) {
		show_one(run, conf->account[i].name, conf->account[i].directory, array);
	}
	if (account_names(conf->state, &names, &err) != ERR_NONE) {
		cli_fail(&run->cli, &err);
	}
	for (size_t i = 0; i < names.count; i++) {
		if (!is_configured(conf, names.item[i])) {
			show_one(run, names.item[i], NULL, array);
		}
	}
	if (run->cli.options.json) {
		print_json(array);
	} else if (json_len(array) == 0 && run->cli.status == 0) {
		puts("there is no account; add one to accounts, or give --ca URL");
	}
	strlist_clear(&names);
	json_free(array);
}

/* ---- ends ------------------------------------------------------------------ */

static void end(struct account_run *run, const struct err *err)
{
	if (err) {
		cli_fail(&run->cli, err);
	}
	world_real_stop(run->cli.world);
}

static struct json *json_now(const struct account_run *run)
{
	return account_json(run->account->name, run->account->directory, run->record);
}

/* What the account is now: for people with a fact (may be NULL), or as json, which it takes. */
static void end_well(struct account_run *run, const char *fact, struct json *json)
{
	if (run->cli.options.json) {
		print_json(json);
	} else {
		print_account(run->account->name, run->account->directory, run->record);
	}
	if (fact && !run->cli.options.json) {
		puts(fact);
	}
	json_free(json);
	end(run, NULL);
}

/* ---- register, recover ----------------------------------------------------- */

static enum err_code open_or_make(struct account_run *run, struct err *err)
{
	return account_open(run->cli.conf->state, run->account, &run->record, err);
}

static void on_found(void *arg, const struct err *err)
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
		if (save_err.code == ERR_EXISTS) {
			err_set(&save_err, ERR_EXISTS, run->account->name,
				"this account has another key already: move %s/accounts/%s away, "
				"or recover to an account of another name",
				run->cli.conf->state, run->account->name);
		}
		end(run, &save_err);
		return;
	}
	end_well(run, NULL, json_now(run));
}

static void start_register(struct account_run *run)
{
	struct err failed;

	if (!account_register_start(run->acme, run->account, on_found, run, &failed)) {
		end(run, &failed);
	}
}

/* PEM, or JSON (RFC 7517) as certbot keeps it. */
static enum err_code load_key(const char *path, struct key **out, struct err *err)
{
	struct json *json = NULL;
	struct buf text;
	enum err_code code = file_read_secret(path, KEY_PEM_MAX, &text, err);
	const char *start = buf_str(&text);

	start += strspn(start, " \t\r\n");
	if (code == ERR_NONE && *start == '{') {
		code = json_parse(text.data, text.len, &json, err);
		code = code == ERR_NONE ? key_parse_jwk(json, path, out, err)
					: err_subject(err, "%s", path);
	} else if (code == ERR_NONE) {
		code = key_parse_pem(buf_str(&text), text.len, path, out, err);
	}
	json_free(json);
	buf_wipe(&text);
	return code;
}

static enum err_code open_key_file(struct account_run *run, struct err *err)
{
	const char *path = run->cli.options.key_file;
	struct account_record *record;
	struct key *key = NULL;

	if (!path) {
		return err_set(err, ERR_USAGE, run->account->name,
			       "it is not said by which key to find the account: give --key-file "
			       "FILE");
	}
	if (load_key(path, &key, err) != ERR_NONE) {
		return err->code;
	}
	record = xcalloc(1, sizeof(*record));
	record->directory = xstrdup(run->account->directory);
	record->key = key;
	run->record = record;
	return ERR_NONE;
}

static void start_recover(struct account_run *run)
{
	acme_account_start(run->acme, &(struct acme_registration){ .only_existing = true },
			   on_found, run);
}

/* ---- update, deactivate ---------------------------------------------------- */

/* One that the CA knows. */
static enum err_code open_registered(struct account_run *run, struct err *err)
{
	const char *name = run->account->name;
	enum err_code code = account_load(run->cli.conf->state, name, &run->record, err);

	if (code == ERR_NOT_FOUND || (code == ERR_NONE && !run->record->url)) {
		return err_set(err, ERR_NOT_FOUND, name,
			       "this account is not registered yet; `dns01 account register` does "
			       "that, and `recover` finds one by its key");
	}
	return code == ERR_NONE ? account_usable(run->cli.conf->state, name, run->record, err)
				: code;
}

static void on_updated(void *arg, const struct err *err)
{
	struct account_run *run = arg;
	const struct strlist *contact = &run->account->contact;
	struct json *json, *list;
	char *all, *fact;

	if (err) {
		end(run, err);
		return;
	}
	json = json_now(run);
	list = json_array();
	for (size_t i = 0; i < contact->count; i++) {
		json_add_str(list, contact->item[i]);
	}
	all = strlist_join(contact, " ");
	fact = xasprintf("  contact     %s", *all ? all : "none");
	json_set(json, "contact", list);
	end_well(run, fact, json);
	free(all);
	free(fact);
}

static void start_update(struct account_run *run)
{
	acme_account_update_start(run->acme, &run->account->contact, on_updated, run);
}

static void on_deactivated(void *arg, const struct err *err)
{
	struct account_run *run = arg;
	const char *state = run->cli.conf->state;
	struct err save_err;
	char *fact;

	if (err) {
		end(run, err);
		return;
	}
	run->record->deactivated = true;
	if (account_save(state, run->account->name, run->record, &save_err) != ERR_NONE) {
		cli_fail(&run->cli, &save_err);
	}
	fact = xasprintf("The account is deactivated, for good. Its certificates stay valid. To "
			 "register anew,\nmove %s/accounts/%s away.",
			 state, run->account->name);
	end_well(run, fact, json_now(run));
	free(fact);
}

static void start_deactivate(struct account_run *run)
{
	acme_account_deactivate_start(run->acme, on_deactivated, run);
}

/* ---- rollover -------------------------------------------------------------- */

static void on_rolled(void *arg, const struct err *err)
{
	struct account_run *run = arg;
	struct err failed;
	bool open = err && (acme_passing(err) || err->code == ERR_PROTOCOL);

	if (!err && account_take_next(run->record, &failed) == ERR_NONE) {
		acme_use_key(run->acme, run->record->key);
		end_well(run, "The account's key was changed.", json_now(run));
		return;
	}
	if (!err) {
		end(run, &failed);
		return;
	}
	if (open) {
		log_warn("%s: both keys are kept; the next use of the account asks the CA which "
			 "one counts",
			 run->account->name);
	} else if (account_drop_next(run->record, &failed) != ERR_NONE) {
		cli_fail(&run->cli, &failed);
	}
	end(run, err);
}

static enum err_code new_key(struct account_run *run, struct err *err)
{
	enum key_type type = key_type_of(run->record->key);
	struct key *key = NULL;

	/* One that an earlier rollover left is as good as new. */
	if (run->record->next) {
		return ERR_NONE;
	}
	if (run->account->key_type && !key_type_parse(run->account->key_type, &type)) {
		return err_set(err, ERR_CONFIG, run->account->name, "\"%s\" is not a key type",
			       run->account->key_type);
	}
	if (key_generate(type, &key, err) != ERR_NONE) {
		return err->code;
	}
	return account_save_next(run->cli.conf->state, run->account->name, run->record, key, err);
}

static void start_rollover(struct account_run *run)
{
	struct err err;

	if (new_key(run, &err) != ERR_NONE) {
		end(run, &err);
		return;
	}
	acme_account_rollover_start(run->acme, run->record->next, on_rolled, run);
}

/* ---- all of them ----------------------------------------------------------- */

static const struct action actions[] = {
	{ .name = "show" },
	{ .name = "register", .open = open_or_make, .start = start_register },
	{ .name = "update", .open = open_registered, .start = start_update },
	{ .name = "rollover", .open = open_registered, .start = start_rollover },
	{ .name = "deactivate", .open = open_registered, .start = start_deactivate, .named = true },
	{ .name = "recover", .open = open_key_file, .start = start_recover },
};

static const struct action *action_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		if (strcmp(actions[i].name, name) == 0) {
			return &actions[i];
		}
	}
	return NULL;
}

static void on_key(void *arg, const struct err *err)
{
	struct account_run *run = arg;
	struct err failed;

	if (account_settle(run->acme, run->record, err, world_wall_s(run->cli.world), &failed) !=
	    ERR_NONE) {
		end(run, &failed);
		return;
	}
	run->action->start(run);
}

static void on_directory(void *arg, const struct err *err)
{
	struct account_run *run = arg;

	if (err) {
		end(run, err);
	} else if (run->record->next) {
		acme_account_key_start(run->acme, run->record->next, on_key, run);
	} else {
		run->action->start(run);
	}
}

static enum err_code find_account(struct account_run *run, struct err *err)
{
	const struct options *options = &run->cli.options;
	const char *name = options->account;

	if (run->action->named && !name && !options->ca) {
		return err_set(err, ERR_USAGE, "",
			       "it cannot be undone, so say which account to %s: give --account "
			       "NAME, or --ca URL",
			       run->action->name);
	}
	run->account = conf_find_account(run->cli.conf, name);
	if (!run->account && name) {
		return err_set(err, ERR_USAGE, name,
			       "the configuration has no account of this name; `dns01 account` "
			       "lists them");
	}
	if (!run->account) {
		return err_set(err, ERR_USAGE, "",
			       "it is not said which account to %s: give --account NAME, or --ca "
			       "URL",
			       run->action->name);
	}
	return ERR_NONE;
}

static void act(struct account_run *run)
{
	const struct conf *conf = run->cli.conf;
	struct err err;

	if (find_account(run, &err) != ERR_NONE || run->action->open(run, &err) != ERR_NONE) {
		cli_fail(&run->cli, &err);
		return;
	}
	run->acme = acme_new(&(struct acme_args){
		.world = run->cli.world,
		.directory = run->account->directory,
		.ca_file = run->account->ca_file,
		.proxy = run->account->proxy ? run->account->proxy : conf->proxy,
		.key = run->record->key,
		.account_url = run->record->url,
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

	if (!cli_open(&run.cli, OPTIONS_COMMON | OPTIONS_CA | OPTIONS_KEY_FILE, argc, argv)) {
		return cli_close(&run.cli);
	}
	what = run.cli.options.name_count > 0 ? run.cli.options.names[0] : "show";
	run.action = action_find(what);
	if (!run.action) {
		err_set(&err, ERR_USAGE, what,
			"write dns01 account show, register, update, rollover, deactivate or "
			"recover");
		cli_fail(&run.cli, &err);
	} else if (run.action->start) {
		act(&run);
	} else {
		show(&run);
	}
	return cli_close(&run.cli);
}
