/* dns01 providers: what this build can publish with. */
#include "cli.h"

static void print_setting(const struct setting *row)
{
	printf("  %-16s %s%s%s%s%s\n", row->name, row->help ? row->help : "",
	       row->required ? " Required." : "", row->fallback ? " Default: " : "",
	       row->fallback ? row->fallback : "", row->fallback ? "." : "");
}

static void print_provider(const struct provider *provider)
{
	printf("%s: %s\n\nSettings:\n", provider->name, provider->summary);
	for (size_t i = 0; i < provider->setting_count; i++) {
		print_setting(&provider->settings[i]);
	}
	printf("\nThe least that its credential needs:\n  %s\n\nExample:\n  providers = (\n"
	       "    %s\n  );\n",
	       provider->privilege, provider->example);
}

static struct json *provider_json(const struct provider *provider)
{
	struct json *object = json_object();
	struct json *settings = json_array();

	json_set_str(object, "name", provider->name);
	json_set_str(object, "summary", provider->summary);
	for (size_t i = 0; i < provider->setting_count; i++) {
		struct json *row = json_object();

		json_set_str(row, "name", provider->settings[i].name);
		json_set_bool(row, "required", provider->settings[i].required);
		json_set_str(row, "default", provider->settings[i].fallback);
		json_set_str(row, "help", provider->settings[i].help);
		json_add(settings, row);
	}
	json_set(object, "settings", settings);
	json_set_str(object, "privilege", provider->privilege);
	json_set_str(object, "example", provider->example);
	return object;
}

static void print_one(const struct provider *provider, bool as_json)
{
	struct json *object;
	char *text;

	if (!as_json) {
		print_provider(provider);
		return;
	}
	object = provider_json(provider);
	text = json_pretty(object);
	puts(text);
	free(text);
	json_free(object);
}

static void print_all(bool as_json)
{
	struct json *array = json_array();
	char *text;

	for (size_t i = 0; provider_at(i); i++) {
		if (as_json) {
			json_add(array, provider_json(provider_at(i)));
		} else {
			printf("%-12s %s\n", provider_at(i)->name, provider_at(i)->summary);
		}
	}
	if (as_json) {
		text = json_pretty(array);
		puts(text);
		free(text);
	}
	json_free(array);
}

int verb_providers(int argc, char **argv)
{
	struct options options = { 0 };
	struct err err;
	enum err_code code = options_parse(&options, OPTIONS_COMMON, argc, argv, &err);
	const struct provider *provider;
	int status = 0;

	if (code == ERR_CANCELED) {
		return 0;
	}
	if (code == ERR_NONE && options.name_count > 0) {
		provider = provider_find(options.names[0]);
		if (provider) {
			print_one(provider, options.json);
		} else {
			code = err_set(&err, ERR_NOT_FOUND, options.names[0],
				       "there is no such provider; `dns01 providers` lists them");
		}
	} else if (code == ERR_NONE) {
		print_all(options.json);
	}
	if (code != ERR_NONE) {
		cli_print_error(&err, options.json);
		status = err_exit_status(code);
	}
	options_clear(&options);
	return status;
}
