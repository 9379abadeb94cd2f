/* dns01 policy: what a client of the broker may, and why. dns01 alias: where a CNAME may lead. */
#include "cli.h"

#include "dns01/broker.h"

#define VIEW_DEFAULT "default"

/* ---- policy --------------------------------------------------------------------------- */

static void print_grant(const struct conf_client *grant, bool as_json)
{
	struct json *object = json_object();
	char *text;

	json_set_str(object, "client", grant->name);
	for (size_t i = 0; conf_client_row(i); i++) {
		const struct setting *row = conf_client_row(i);
		char *value = conf_client_get(grant, row);

		for (char *at = value; at && *at; at++) {
			*at = (char)(*at == '\n' ? ' ' : *at);
		}
		json_set_str(object, row->name, value && value[0] ? value : NULL);
		if (!as_json && value && value[0]) {
			printf("  %-20s %s\n", row->name, value);
		}
		free(value);
	}
	text = json_dump(object);
	if (as_json) {
		puts(text);
	}
	free(text);
	json_free(object);
}

/* The name that the store's clients may have below it counts as well. */
static const char *other_below(struct clients *clients, const struct conf *conf, const char *name,
			       const char *but)
{
	const char *other = policy_other_below(conf, name, but);
	bool any = false;
	struct err err;

	if (!other && clients_any_below(clients, name, but, &any, &err) == ERR_NONE && any) {
		return "another";
	}
	return other;
}

static void print_verdict(const struct policy_question *question, enum policy_rule rule,
			  const struct err *err, bool as_json)
{
	struct json *object;
	char *text;

	if (!as_json) {
		printf("%s (view %s): %s%s%s\n", question->name, question->view,
		       rule == POLICY_GRANTED ? "granted" : policy_rule_name(rule),
		       rule == POLICY_GRANTED ? "" : ": ", rule == POLICY_GRANTED ? "" : err->text);
		if (rule == POLICY_GRANTED) {
			printf("  at %s%s%s\n", question->owner, question->target ? ", or at " : "",
			       question->target ? question->target : "");
		}
		return;
	}
	object = json_object();
	json_set_str(object, "name", question->name);
	json_set_str(object, "view", question->view);
	json_set_bool(object, "granted", rule == POLICY_GRANTED);
	json_set_str(object, "rule", policy_rule_name(rule));
	json_set_str(object, "text", rule == POLICY_GRANTED ? NULL : err->text);
	text = json_dump(object);
	puts(text);
	free(text);
	json_free(object);
}

/* Without aliases and addresses, which only a request has: its networks are left out. */
static enum err_code explain(const struct options *options, const struct conf *conf,
			     struct clients *clients, struct conf_client *grant, struct err *err)
{
	struct addr nowhere = { .len = 0 };
	struct strlist cert_names = { 0 };
	struct policy_client client = { .grant = grant,
					.from = &nowhere,
					.cert_names = &cert_names };
	char name[NAME_TEXT_MAX], owner[NAME_TEXT_MAX], target[NAME_TEXT_MAX];
	const char *view = options->view ? options->view : grant->views.item[0];
	const struct conf_zone *zone, *target_zone = conf_target_zone(conf, view);
	struct policy_question question = { .view = view, .owner = owner };
	enum policy_rule rule;
	struct err refusal;

	if (name_parse(options->names[1], name, err) != ERR_NONE ||
	    name_challenge(name_base(name), owner, err) != ERR_NONE) {
		return err->code;
	}
	question.name = name_base(name);
	if (target_zone &&
	    policy_target(question.name, target_zone->suffix, target, &refusal) == ERR_NONE) {
		question.target = target;
	}
	zone = conf_find_zone(conf, question.name, view);
	question.apex = zone && strcmp(zone->suffix, question.name) == 0;
	question.other_below = other_below(clients, conf, question.name, grant->name);
	strlist_clear(&grant->networks);
	rule = policy_judge(&client, &question, &refusal);
	print_verdict(&question, rule, &refusal, options->json);
	return rule == POLICY_GRANTED ? ERR_NONE : ERR_DENIED;
}

/* Of the configuration, or of the store: a copy that is ours. */
static struct conf_client *find_client(const struct conf *conf, struct clients *clients,
				       const char *name, bool *disabled, struct err *err)
{
	const struct conf_client *known = conf_find_client(conf, name);
	struct conf_client *copy;
	struct client_row *row = NULL;

	if (!known) {
		if (clients_find(clients, name, &row, err) != ERR_NONE) {
			return NULL;
		}
		copy = broker_client_of_row(row, err);
		*disabled = row->disabled;
		client_row_free(row);
		return copy;
	}
	copy = conf_client_new(name);
	for (size_t i = 0; copy && conf_client_row(i); i++) {
		const struct setting *setting = conf_client_row(i);
		char *text = conf_client_get(known, setting);

		if (text && conf_client_set(copy, setting->name, text, err) != ERR_NONE) {
			conf_client_free(copy);
			copy = NULL;
		}
		free(text);
	}
	return copy;
}

int verb_policy(int argc, char **argv)
{
	struct options options = { 0 };
	struct conf *conf = NULL;
	struct clients *clients = NULL;
	struct conf_client *grant = NULL;
	struct err err;
	enum err_code code =
		options_parse(&options, OPTIONS_COMMON | OPTIONS_VIEW, argc, argv, &err);
	bool explained = false, disabled = false;

	if (code == ERR_NONE) {
		code = cli_conf(&options, &conf, &err);
	}
	if (code == ERR_NONE) {
		code = state_open(conf->state, &err);
	}
	if (code == ERR_NONE) {
		code = clients_open(conf->state, &clients, &err);
	}
	if (code == ERR_NONE) {
		grant = find_client(conf, clients, options.names[0], &disabled, &err);
		code = grant ? ERR_NONE : err.code;
	}
	if (code == ERR_NONE && disabled) {
		code = err_set(&err, ERR_DENIED, options.names[0],
			       "this client is disabled, so it may nothing (dns01 client enable)");
	} else if (code == ERR_NONE && options.name_count > 1) {
		code = explain(&options, conf, clients, grant, &err);
		explained = code == ERR_DENIED;
	} else if (code == ERR_NONE) {
		print_grant(grant, options.json);
	}
	if (code != ERR_NONE && code != ERR_CANCELED && !explained) {
		cli_print_error(&err, options.json);
	}
	conf_client_free(grant);
	clients_close(clients);
	conf_free(conf);
	options_clear(&options);
	return code == ERR_CANCELED ? 0 : err_exit_status(code);
}

/* ---- alias ----------------------------------------------------------------------------- */

int verb_alias(int argc, char **argv)
{
	struct options options = { 0 };
	struct conf *conf = NULL;
	const struct conf_zone *zone;
	char name[NAME_TEXT_MAX], owner[NAME_TEXT_MAX], target[NAME_TEXT_MAX];
	struct err err;
	enum err_code code =
		options_parse(&options, OPTIONS_COMMON | OPTIONS_VIEW, argc, argv, &err);

	if (code == ERR_NONE) {
		code = cli_conf(&options, &conf, &err);
	}
	if (code == ERR_NONE) {
		code = name_parse(options.names[0], name, &err);
	}
	if (code == ERR_NONE) {
		code = name_challenge(name_base(name), owner, &err);
	}
	if (code == ERR_NONE) {
		zone = conf_target_zone(conf, options.view);
		code = zone ? policy_target(name_base(name), zone->suffix, target, &err)
			    : err_set(&err, ERR_CONFIG, options.view ? options.view : VIEW_DEFAULT,
				      "no zone of this view says target = true, so there is none "
				      "to lead aliases to");
	}
	if (code == ERR_NONE) {
		printf("%s. IN CNAME %s.\n", owner, target);
	} else if (code != ERR_CANCELED) {
		cli_print_error(&err, options.json);
	}
	conf_free(conf);
	options_clear(&options);
	return code == ERR_CANCELED ? 0 : err_exit_status(code);
}
