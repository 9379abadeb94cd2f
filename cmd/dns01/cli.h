/*
 * cli: what the verbs share: the command table, common options, the
 * configuration that flags or a file make, and the parts that a job needs.
 */
#ifndef DNS01_CLI_H
#define DNS01_CLI_H

#include <getopt.h>
#include <limits.h>

#include "dns01/issue.h"
#include "dns01/json.h"
#include "dns01/plugin.h"

#define ANY_NUMBER INT_MAX

struct verb {
	const char *name;
	const char *arguments; /* "[NAMES...]" */
	int least, most;       /* how many of them; ANY_NUMBER */
	const char *summary;
	const char *help; /* the options, a line each; NULL: only the common ones */
	int (*run)(int argc, char **argv);
	bool hidden;
	bool bare; /* without a configuration the usual state folder is enough */
};

extern const struct verb verbs[];
extern const size_t verb_count;
const struct verb *verb_find(const char *name);
void verb_print_help(const struct verb *verb);

int verb_issue(int argc, char **argv);
int verb_deploy(int argc, char **argv);
int verb_probe(int argc, char **argv);
int verb_retract(int argc, char **argv);
int verb_sweep(int argc, char **argv);
int verb_account(int argc, char **argv);
int verb_renew(int argc, char **argv);
int verb_status(int argc, char **argv);
int verb_providers(int argc, char **argv);
int verb_config(int argc, char **argv);
int verb_keygen(int argc, char **argv);
int verb_serve(int argc, char **argv);
int verb_client(int argc, char **argv);
int verb_token(int argc, char **argv);
int verb_policy(int argc, char **argv);
int verb_alias(int argc, char **argv);
int verb_backup(int argc, char **argv);
int verb_import(int argc, char **argv);
int verb_revoke(int argc, char **argv);
int verb_delete(int argc, char **argv);

/* ---- options --------------------------------------------------------------- */

/* Long options without a letter; each verb accepts the groups that it names. */
enum option_id {
	OPT_HELP = 256,
	OPT_STATE,
	OPT_JSON,
	OPT_CA,
	OPT_CA_ROOT,
	OPT_AGREE_TOS,
	OPT_EMAIL,
	OPT_EAB_KID,
	OPT_EAB_KEY_FILE,
	OPT_EAB_ALG,
	OPT_KEY_FILE,
	OPT_CERT,
	OPT_REASON,
	OPT_BY_KEY,
	OPT_REPLACE,
	OPT_FORCE,
	OPT_ACCOUNT,
	OPT_PROVIDER,
	OPT_SET,
	OPT_ZONE,
	OPT_RESOLVER,
	OPT_SERVER,
	OPT_QUORUM,
	OPT_SETTLE,
	OPT_DEADLINE,
	OPT_ALIAS,
	OPT_WATCH,
	OPT_VIEW,
	OPT_NAME,
	OPT_KEY,
	OPT_PROFILE,
	OPT_PROXY,
	OPT_EXPIRES,
	OPT_AS,
	OPT_FOR,
	OPT_FROM,
	OPT_INTO,
	OPT_DRY_RUN,
	OPT_PLUGINS,
	OPT_FORMAT,
	OPT_STAGING,
	OPT_PLAN,
	OPT_LOOP,
	OPT_PROMETHEUS
};

struct options {
	const struct verb *verb;
	unsigned groups;
	const char *conf_path; /* -c */
	const char *state;
	bool json;
	int verbose; /* -v: info, -vv: debug */
	bool quiet;
	/* Flags that stand for a configuration file. */
	const char *ca, *ca_root, *eab_kid, *eab_key_file, *eab_alg, *account;
	bool agree_tos;
	struct strlist email, set, resolver, server;
	const char *provider, *zone, *quorum, *settle, *deadline, *alias, *watch, *view, *proxy;
	const char *name, *key, *profile, *key_file, *cert, *reason;
	bool by_key, replace, force;
	const char *expires, *as, *for_name;
	const char *from, *into;
	const char *plugins, *format;
	bool dry_run;
	const char *staging;
	bool plan, loop, prometheus;
	char **names; /* what follows the options */
	int name_count;
};

enum option_group {
	OPTIONS_COMMON = 1,
	OPTIONS_CA = 2,
	OPTIONS_DNS = 4,
	OPTIONS_CERT = 8,
	OPTIONS_SET = 32,
	OPTIONS_TOKEN = 64,
	OPTIONS_VIEW = 128,
	OPTIONS_KEY_FILE = 256,
	OPTIONS_IMPORT = 512,
	OPTIONS_REVOKE = 1024,
	OPTIONS_FORCE = 2048,
	OPTIONS_PROVIDERS = 1 << 16,
	OPTIONS_RENEW = 4096,
	OPTIONS_STATUS = 8192,
	OPTIONS_IN_ORDER = 16 /* no group: the first word that is no option ends them */
};

/* Reads the options of the verb argv[0]; ERR_CANCELED: --help was printed, exit with 0. */
enum err_code options_parse(struct options *options, unsigned groups, int argc, char **argv,
			    struct err *err) MUST_CHECK;
void options_clear(struct options *options);
/* Lines for --help of these groups; gives. */
char *options_help(unsigned groups);

/* ---- configuration --------------------------------------------------------- */

/* From -c, $DNS01_CONFIG or the usual place; from flags alone with --provider or --ca. */
enum err_code cli_conf(const struct options *options, struct conf **out,
		       struct err *err) MUST_CHECK;
/* Names of zones as A-labels: conf knows no DNS. A name that is none is refused. */
enum err_code cli_canonical_zones(struct conf *conf, struct err *err) MUST_CHECK;
enum err_code cli_canonical_client(struct conf_client *client, struct err *err) MUST_CHECK;
/* The state folder of the flags, of the configuration, or the usual one, as an absolute path. */
void cli_state(struct conf *conf, const struct options *options);
/* Where the configuration file is looked for; gives. */
char *cli_conf_path(const struct options *options);
/* conf_load, with the plug-ins that the file names. */
enum err_code cli_load_conf(const char *path, struct conf **out, struct err *err) MUST_CHECK;

/* The certificate of the configuration whose lineage that is: its own, or with a key type behind
 * ("example-rsa2048"). NULL: none. */
const struct conf_certificate *cli_certificate_of(const struct conf *conf, const char *lineage,
						  enum key_type *key_type);

/* ---- a job ----------------------------------------------------------------- */

struct cli {
	struct options options;
	struct conf *conf;
	struct world *world;
	struct dns_client *dns;
	struct journal *journal;
	struct renewals *renewals;  /* after cli_open_renewals */
	struct err err;             /* of cli_fail */
	int status;                 /* what the verb returns */
	void (*on_stop)(void *arg); /* the first SIGINT, SIGTERM or SIGHUP */
	void *on_stop_arg;
	int signals;
};

/* Options, configuration, state folder, world, DNS client, journal. On failure the error is
 * printed, and cli_close(cli) is still to be called. False: return cli_close(cli). */
bool cli_open(struct cli *cli, unsigned groups, int argc, char **argv);
/* DNS client and journal anew, for who stays long: what is remembered of the DNS grows old, and
 * the records of a run that ended are held no more. */
enum err_code cli_refresh(struct cli *cli, struct err *err) MUST_CHECK;
/* For the verbs that issue or renew; as cli_open. */
bool cli_open_renewals(struct cli *cli);
int cli_close(struct cli *cli);
void cli_run(struct cli *cli);
/* Prints the error for people or, with --json, as an object; sets the exit status. */
void cli_fail(struct cli *cli, const struct err *err);
void cli_print_error(const struct err *err, bool json);
struct json *cli_err_json(const struct err *err); /* gives */
void cli_log_setup(const struct options *options);

/* ---- what people see ------------------------------------------------------- */

/* Prints a line on standard output. On a terminal what is too long goes on in the next one, from
 * column indent on, which is behind what stands in its first columns. */
void ui_print(const char *line, size_t indent);
bool ui_is_watched(void); /* standard output is a terminal */

struct ui;
/* On a terminal: live lines, a row for each name and name server; else plain lines; with
 * json or quiet: nothing. Keeps world. */
struct ui *ui_new(struct world *world, bool silent);
void ui_event(void *ui, const struct issue_event *event); /* an issue_event_fn */
void ui_free(struct ui *ui);                              /* leaves the last picture standing */
/* The timeline as people read it after the work. */
void ui_timeline(const struct issue_result *result, int64_t started_us);
struct json *timeline_json(const struct issue_result *result, int64_t started_us); /* gives */

/* ---- deployment, as issue, renew and deploy do it ------------------------- */

/* A deploy run with what people see of it, and the events that it tells. */
struct deploying;
struct deploying *deploying_new(struct cli *cli); /* after cli_open_renewals */
void deploying_add(struct deploying *deploying, const struct deploy_lineage *lineage);
/* Each failure was printed; err is the first one, for the exit status. */
typedef void deploying_done(void *arg, const struct err *err);
void deploying_start(struct deploying *deploying, deploying_done *done, void *arg);
void deploying_stop(struct deploying *deploying);
/* What was done for a lineage (NULL: for all), an array; gives. A deploying that is NULL did
 * nothing. */
struct json *deploying_json(const struct deploying *deploying, const char *lineage);
const struct err *deploying_failure(const struct deploying *deploying, const char *lineage);
char *deploying_output(const struct deploying *deploying, const char *lineage); /* gives */
void deploying_free(struct deploying *deploying);
/* Only what people see, of a deployment that a fleet does: deploying_event is its listener. */
struct deploying *deploying_listen(struct cli *cli);
void deploying_event(void *deploying, const struct deploy_event *event);

#endif
