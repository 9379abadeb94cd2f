/* The name of a lineage, and lineage.conf: what it was made with, to make it again. */
#include "dns01/issue.h"

char *lineage_name_of(const struct conf_certificate *certificate, size_t key_index)
{
	return key_index == 0
		       ? xstrdup(certificate->name)
		       : xasprintf("%s-%s", certificate->name, certificate->keys.item[key_index]);
}

/* Where this lineage's own copies go; gives, and each one's path. */
static struct conf_export *exports_of(const struct conf_certificate *certificate,
				      enum key_type key_type, const char *lineage)
{
	bool first = strcmp(lineage, certificate->name) == 0;
	struct conf_export *exports = xcalloc(certificate->export_count + 1, sizeof(*exports));

	for (size_t i = 0; i < certificate->export_count; i++) {
		exports[i] = certificate->export[i];
		exports[i].path = conf_export_path(&certificate->export[i],
						   first ? NULL : key_type_name(key_type));
	}
	return exports;
}

char *lineage_conf_text(const struct conf *conf, const struct conf_certificate *certificate,
			enum key_type key_type, const char *lineage)
{
	struct conf narrow = *conf;
	struct conf_certificate one = *certificate;
	char *name = xstrdup(lineage);
	char *text;

	one.name = name;
	one.export = exports_of(certificate, key_type, lineage);
	one.keys = (struct strlist){ 0 };
	strlist_add(&one.keys, key_type_name(key_type));
	narrow.certificate = &one;
	narrow.certificate_count = 1;
	narrow.include = (struct strlist){ 0 };
	text = conf_dump(&narrow, provider_rows);
	strlist_clear(&one.keys);
	for (size_t i = 0; i < one.export_count; i++) {
		free(one.export[i].path);
	}
	free(one.export);
	free(name);
	return text;
}
