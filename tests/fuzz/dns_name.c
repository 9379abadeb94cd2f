/* A name as people and clients write it: what is taken is a fixed point. */
#include "dns01/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);
	char name[NAME_TEXT_MAX], again[NAME_TEXT_MAX];
	struct err err;

	if (name_parse(text, name, &err) == ERR_NONE) {
		char *shown = name_display(name);

		if (name_parse(name, again, &err) != ERR_NONE || strcmp(name, again) != 0) {
			abort();
		}
		if (name_labels(name) > 127 || !name_under(name, name)) {
			abort();
		}
		free(shown);
	}
	free(text);
	return 0;
}
