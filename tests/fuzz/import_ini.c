/* certbot's settings: a file that is another program's. */
#include "import/pairs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pairs_text from = { (const char *)data, size, "fuzz" };
	struct pairs pairs = { 0 };
	struct err err = { .code = ERR_NONE };

	if (pairs_read_ini(&from, &pairs, &err) != ERR_NONE) {
		if (!err.text[0] || pairs.count > 0) {
			abort();
		}
		return 0;
	}
	for (size_t i = 0; i < pairs.count; i++) {
		const struct pair *pair = &pairs.item[i];

		/* Each key stands once. */
		if (pairs_get(&pairs, pair->section, pair->key) != pair->value || !pair->key[0]) {
			abort();
		}
	}
	pairs_clear(&pairs);
	return 0;
}
