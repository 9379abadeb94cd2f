/* lineage.conf: what a lineage was made with, kept beside it, so that it can be made again. */
#include "dns01/issue.h"

char *lineage_conf_text(const struct conf *conf, const struct conf_certificate *certificate,
			enum key_type key_type, const char *lineage)
{
	struct conf narrow = *conf;
	struct conf_certificate one = *certificate;
	char *name = xstrdup(lineage);
	char *text;

	one.name = name;
	one.keys = (struct strlist){ 0 };
	strlist_add(&one.keys, key_type_name(key_type));
	narrow.certificate = &one;
	narrow.certificate_count = 1;
	narrow.include = (struct strlist){ 0 };
	text = conf_dump(&narrow, provider_rows);
	strlist_clear(&one.keys);
	free(name);
	return text;
}
