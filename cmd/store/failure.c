/* Why a lineage's last run failed, kept so that `dns01 status` can say it tomorrow. */
#include "lineage_internal.h"

#include "dns01/json.h"

#define FAILURE_FILE "failure.json"
#define FAILURE_MAX 16384

enum err_code lineage_save_failure(struct lineage *lineage, const struct err *failure, int64_t at_s,
				   struct err *err)
{
	char *path = path_join(lineage->folder, FAILURE_FILE);
	struct json *object = json_object();
	char *text;
	enum err_code code;

	json_set_int(object, "at", at_s);
	json_set_str(object, "code", err_code_name(failure->code));
	json_set_str(object, "subject", failure->subject);
	json_set_str(object, "text", failure->text);
	json_set_str(object, "problem", failure->problem);
	json_set_int(object, "retry_after_s", failure->retry_after_s);
	text = json_pretty(object);
	code = file_write_durable(path, text, strlen(text), 0600, err);
	free(text);
	json_free(object);
	free(path);
	return code;
}

void lineage_drop_failure(struct lineage *lineage)
{
	char *path = path_join(lineage->folder, FAILURE_FILE);

	unlink(path);
	free(path);
}

static enum err_code code_of(const char *name)
{
	for (unsigned code = ERR_NONE + 1; code < ERR_COUNT; code++) {
		if (name && strcmp(name, err_code_name((enum err_code)code)) == 0) {
			return (enum err_code)code;
		}
	}
	return ERR_INTERNAL;
}

static void take_text(char *to, size_t max, const struct json *object, const char *key)
{
	const char *text = json_str(object, key);

	snprintf(to, max, "%s", text ? text : "");
}

static bool load(const char *path, struct err *failure, int64_t *at_s)
{
	struct buf text = BUF_INIT(FAILURE_MAX);
	struct json *object = NULL;
	bool loaded = access(path, F_OK) == 0 &&
		      file_read(path, FAILURE_MAX, &text, NULL) == ERR_NONE &&
		      json_parse(buf_str(&text), text.len, &object, NULL) == ERR_NONE;

	if (loaded) {
		*failure = (struct err){ .code = code_of(json_str(object, "code")) };
		take_text(failure->subject, sizeof(failure->subject), object, "subject");
		take_text(failure->text, sizeof(failure->text), object, "text");
		take_text(failure->problem, sizeof(failure->problem), object, "problem");
		failure->retry_after_s = json_int(object, "retry_after_s", 0);
		*at_s = json_int(object, "at", 0);
	}
	json_free(object);
	buf_clear(&text);
	return loaded;
}

bool lineage_load_failure(struct lineage *lineage, struct err *failure, int64_t *at_s)
{
	char *path = path_join(lineage->folder, FAILURE_FILE);
	bool loaded = load(path, failure, at_s);

	free(path);
	return loaded;
}

bool lineage_read_failure(const char *state, const char *name, struct err *failure, int64_t *at_s)
{
	char *path = xasprintf("%s/" LINEAGE_CERTS "/%s/" FAILURE_FILE, state, name);
	bool loaded = load(path, failure, at_s);

	free(path);
	return loaded;
}
