/* What must hold for certificates and their exports. */
#include "check.h"

/* The lineage of a further key is NAME-TYPE: no other certificate's name. */
static enum err_code check_lineages(const struct subject *subject)
{
	const struct conf_certificate *certificate = subject->base;
	enum err_code code = ERR_NONE;

	for (size_t i = 1; i < certificate->keys.count && code == ERR_NONE; i++) {
		char *lineage = xasprintf("%s-%s", certificate->name, certificate->keys.item[i]);

		if (conf_find_certificate(subject->conf, lineage) != NULL) {
			code = check_refuse(subject, "keys", NULL,
					    "the lineage \"%s\" is also the name "
					    "of a certificate; rename one",
					    lineage);
		}
		free(lineage);
	}
	return code;
}

/* Whether the folder that the path is in is called "live". */
static bool is_live(const char *path)
{
	char *folder = path_dir(path);
	size_t len = strlen(folder);
	bool live = len > 5 && strcmp(folder + len - 5, "/live") == 0;

	free(folder);
	return live;
}

static enum err_code check_export(const struct subject *subject)
{
	const struct conf_export *export = subject->base;

	if (export->password_file != NULL && strcmp(export->layout, "pkcs12") != 0) {
		return check_refuse(subject, "password_file", NULL,
				    "it belongs to layout = \"pkcs12\", this export's is \"%s\"",
				    export->layout);
	}
	if (strcmp(export->layout, "certbot") == 0 && !is_live(export->path)) {
		return check_refuse(subject, "path", NULL,
				    "\"%s\" is not in a folder called live; write one such as "
				    "\"/etc/letsencrypt/live/example.com\"",
				    export->path);
	}
	return ERR_NONE;
}

static const struct setting *export_list(void)
{
	return schema_find(schema_certificates.rows, schema_certificates.row_count, "export");
}

static enum err_code check_exports(const struct subject *certificate)
{
	struct subject subject = {
		.conf = certificate->conf,
		.list = export_list(),
		.outer = certificate,
		.err = certificate->err,
	};
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < group_count(certificate->base, subject.list) && code == ERR_NONE;
	     i++) {
		subject.index = i;
		subject.base = group_item(certificate->base, subject.list, i);
		code = check_export(&subject);
	}
	return code;
}

enum err_code check_certificate(const struct subject *subject, conf_provider_rows *rows)
{
	const struct conf_certificate *certificate = subject->base;
	const char *account = certificate->account;

	(void)rows;
	if (conf_find_account(subject->conf, account) == NULL) {
		if (account != NULL) {
			return check_refuse_reference(subject, "account", account,
						      schema_list("accounts"));
		}
		return check_refuse(subject, "account", NULL,
				    "it is missing, and there are %zu "
				    "accounts; write the name of one",
				    subject->conf->account_count);
	}
	for (size_t i = 0; i < certificate->fallback.count; i++) {
		const char *other = certificate->fallback.item[i];

		if (conf_find_account(subject->conf, other) == NULL) {
			return check_refuse_reference(subject, "fallback", other,
						      schema_list("accounts"));
		}
	}
	if (check_lineages(subject) != ERR_NONE) {
		return ERR_CONFIG;
	}
	return check_exports(subject);
}

/* ---- places of exports ------------------------------------------------------------- */

char *conf_export_path(const struct conf_export *export, const char *key_type)
{
	bool file = strcmp(export->layout, "haproxy") == 0 || strcmp(export->layout, "pkcs12") == 0;
	const char *name = strrchr(export->path, '/') + 1;
	const char *dot = file ? strrchr(name, '.') : NULL;
	const char *end = dot != NULL && dot != name ? dot : name + strlen(name);

	if (key_type == NULL) {
		return xstrdup(export->path);
	}
	return xasprintf("%.*s-%s%s", (int)(end - export->path), export->path, key_type, end);
}

struct export_place {
	char *path;
	size_t certificate, index;
};

static int by_path(const void *a, const void *b)
{
	const struct export_place *left = a, *right = b;
	int order = strcmp(left->path, right->path);

	/* of two, the later one is at fault */
	if (order == 0) {
		order = (left->certificate > right->certificate) -
			(left->certificate < right->certificate);
	}
	return order != 0 ? order : (left->index > right->index) - (left->index < right->index);
}

static enum err_code refuse_place(struct conf *conf, const struct export_place *place,
				  const struct export_place *before, struct err *err)
{
	struct conf_certificate *certificate = &conf->certificate[place->certificate];
	const struct conf_export *other =
		&conf->certificate[before->certificate].export[before->index];
	struct subject outer = {
		.conf = conf,
		.list = schema_list("certificates"),
		.index = place->certificate,
		.base = certificate,
		.err = err,
	};
	struct subject subject = {
		.conf = conf,
		.list = export_list(),
		.index = place->index,
		.base = &certificate->export[place->index],
		.outer = &outer,
		.err = err,
	};

	return check_refuse(&subject, "path", NULL,
			    "\"%s\" is also where another export goes%s%s; each needs its own",
			    place->path, other->where != NULL ? ", at " : "",
			    other->where != NULL ? other->where : "");
}

static size_t count_places(const struct conf *conf)
{
	size_t count = 0;

	for (size_t i = 0; i < conf->certificate_count; i++) {
		count += conf->certificate[i].export_count * conf->certificate[i].keys.count;
	}
	return count;
}

enum err_code check_export_paths(struct conf *conf, struct err *err)
{
	size_t count = count_places(conf), n = 0;
	struct export_place *places = xcalloc(count + 1, sizeof(*places));
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < conf->certificate_count; i++) {
		const struct conf_certificate *certificate = &conf->certificate[i];

		for (size_t j = 0; j < certificate->export_count * certificate->keys.count; j++) {
			size_t key = j / certificate->export_count;
			size_t index = j % certificate->export_count;

			places[n++] = (struct export_place){
				conf_export_path(&certificate->export[index],
						 key > 0 ? certificate->keys.item[key] : NULL),
				i,
				index,
			};
		}
	}
	qsort(places, n, sizeof(*places), by_path);
	for (size_t i = 1; i < n && code == ERR_NONE; i++) {
		if (strcmp(places[i - 1].path, places[i].path) == 0) {
			code = refuse_place(conf, &places[i], &places[i - 1], err);
		}
	}
	for (size_t i = 0; i < n; i++) {
		free(places[i].path);
	}
	free(places);
	return code;
}
