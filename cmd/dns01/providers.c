/* dns01 providers: what there is to publish with, for a terminal or as JSON. */
#include "providers.h"

#include <assert.h>

#define WIDTH 80

const char *provider_unit_text(enum provider_unit unit)
{
	static const char *const texts[] = {
		[PROVIDER_VALUES] = "adds and removes single values",
		[PROVIDER_RECORDS] = "adds and removes single values, each a record of its own",
		[PROVIDER_RRSETS] = "replaces all values of a name at once, unless somebody else "
				    "changed them meanwhile; then it tries again",
		[PROVIDER_RRSETS_RACY] =
			"replaces all values of a name at once where the service cannot add one; "
			"a value that another program adds in that very moment can be lost",
	};
	static_assert(ARRAY_LEN(texts) == PROVIDER_UNIT_COUNT, "a text for each");

	return texts[unit];
}

/* ---- text -------------------------------------------------------------------------------- */

/* In lines of WIDTH columns; column: where the first of them begins already. */
static void print_wrapped(const char *text, int indent, int column)
{
	while (*text) {
		int len = (int)strcspn(text, " ");

		if (column > indent && column + len + 1 > WIDTH) {
			putchar('\n');
			column = 0;
		}
		if (column < indent) {
			column += printf("%*s", indent - column, "");
		} else if (column > indent) {
			column += printf(" ");
		}
		column += printf("%.*s", len, text);
		text += len;
		text += strspn(text, " ");
	}
	putchar('\n');
}

static void print_setting(const struct setting *row)
{
	char *text = xasprintf("%s%s%s%s%s", row->help ? row->help : "",
			       row->required ? " Required." : "", row->fallback ? " Default: " : "",
			       row->fallback ? row->fallback : "", row->fallback ? "." : "");
	int column = printf("  %-16s ", row->name);

	print_wrapped(text, 19, column);
	free(text);
}

static void print_capabilities(const struct provider *provider)
{
	char *text = xasprintf("It %s.", provider_unit_text(provider->unit));

	puts("");
	print_wrapped(text, 0, 0);
	free(text);
	if (provider->ttl_min_s > 0) {
		printf("The smallest TTL is %u s.\n", (unsigned)provider->ttl_min_s);
	}
	if (provider->in_sync) {
		print_wrapped("It waits until the service says that its servers have it.", 0, 0);
	}
}

/* One line in the table; here its settings stand below each other. */
static void print_example(const char *example)
{
	const char *end;

	printf("\nExample:\n  providers = (\n    ");
	for (; (end = strstr(example, ";  ")); example = end + 3) {
		printf("%.*s\n      ", (int)(end + 1 - example), example);
	}
	printf("%s\n  );\n", example);
}

static void print_provider(const struct provider *provider)
{
	printf("%s: %s\n\nSettings:\n", provider->name, provider->summary);
	for (size_t i = 0; i < provider->setting_count; i++) {
		print_setting(&provider->settings[i]);
	}
	print_capabilities(provider);
	if (provider->environment) {
		puts("\nEnvironment, where no setting says more:");
		print_wrapped(provider->environment, 2, 0);
	}
	puts("\nThe least that its credential needs:");
	print_wrapped(provider->privilege, 2, 0);
	print_example(provider->example);
}

/* ---- JSON -------------------------------------------------------------------------------- */

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
	json_set_str(object, "changes", provider_unit_text(provider->unit));
	json_set_int(object, "ttl_min", provider->ttl_min_s);
	json_set_int(object, "batch_max", (int64_t)provider->batch_max);
	json_set_bool(object, "waits_for_sync", provider->in_sync);
	json_set_str(object, "environment", provider->environment);
	json_set_str(object, "privilege", provider->privilege);
	json_set_str(object, "example", provider->example);
	return object;
}

static void print_json(struct json *json)
{
	char *text = json_pretty(json);

	puts(text);
	free(text);
	json_free(json);
}

/* ---- the verb ------------------------------------------------------------------------------ */

static void print_all(bool as_json)
{
	struct json *array = json_array();

	for (size_t i = 0; provider_at(i); i++) {
		if (as_json) {
			json_add(array, provider_json(provider_at(i)));
		} else {
			printf("%-12s %s\n", provider_at(i)->name, provider_at(i)->summary);
		}
	}
	if (as_json) {
		print_json(array);
	} else {
		json_free(array);
	}
}

/* As a flag says, or the configuration, where there is one. */
static enum err_code load_plugins(const struct options *options, struct err *err)
{
	char *path = cli_conf_path(options);
	char *folder = options->plugins ? xstrdup(options->plugins) : conf_peek(path, "plugins");
	enum err_code code = folder ? plugins_load(folder, err) : ERR_NONE;

	free(folder);
	free(path);
	return code;
}

static enum err_code show(const struct options *options, struct err *err)
{
	const char *format = options->format ? options->format : "text";
	const struct provider *provider = NULL;

	if (options->name_count > 0) {
		provider = provider_find(options->names[0]);
		if (!provider) {
			return err_set(err, ERR_NOT_FOUND, options->names[0],
				       "there is no such provider; `dns01 providers` lists them");
		}
	}
	if (strcmp(format, "markdown") == 0) {
		providers_markdown();
	} else if (strcmp(format, "mdoc") == 0) {
		providers_mdoc();
	} else if (strcmp(format, "text") != 0) {
		return err_set(err, ERR_USAGE, "", "--format is text, markdown or mdoc");
	} else if (!provider) {
		print_all(options->json);
	} else if (options->json) {
		print_json(provider_json(provider));
	} else {
		print_provider(provider);
	}
	return ERR_NONE;
}

int verb_providers(int argc, char **argv)
{
	struct options options = { 0 };
	struct err err;
	enum err_code code =
		options_parse(&options, OPTIONS_COMMON | OPTIONS_PROVIDERS, argc, argv, &err);
	int status = 0;

	if (code == ERR_CANCELED) {
		return 0;
	}
	if (code == ERR_NONE) {
		code = load_plugins(&options, &err);
	}
	if (code == ERR_NONE) {
		code = show(&options, &err);
	}
	if (code != ERR_NONE) {
		cli_print_error(&err, options.json);
		status = err_exit_status(code);
	}
	options_clear(&options);
	return status;
}
