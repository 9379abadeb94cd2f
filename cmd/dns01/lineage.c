/* lineage: which certificate of the configuration a lineage of the store is. */
#include "cli.h"

const struct conf_certificate *cli_certificate_of(const struct conf *conf, const char *lineage,
						  enum key_type *key_type)
{
	for (size_t i = 0; i < conf->certificate_count; i++) {
		const struct conf_certificate *certificate = &conf->certificate[i];
		size_t len = strlen(certificate->name);

		if (strncmp(lineage, certificate->name, len) != 0) {
			continue;
		}
		/* The first type has the name alone, the others NAME-TYPE. */
		for (size_t k = 0; k < certificate->keys.count; k++) {
			const char *type = certificate->keys.item[k];
			const char *rest = lineage + len;
			bool is = k == 0 ? *rest == '\0'
					 : *rest == '-' && strcmp(rest + 1, type) == 0;

			if (is && key_type_parse(type, key_type)) {
				return certificate;
			}
		}
	}
	return NULL;
}
