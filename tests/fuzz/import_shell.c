/* acme.sh's settings: a shell's program, read as data. */
#include "import/pairs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pairs_text from = { (const char *)data, size, "fuzz" };
	struct pairs pairs = { 0 };
	struct err err = { .code = ERR_NONE };
	size_t line = 0;

	if (pairs_read_shell(&from, &pairs, &err) != ERR_NONE) {
		if (!err.text[0] || pairs.count > 0) {
			abort();
		}
		return 0;
	}
	for (size_t i = 0; i < pairs.count; i++) {
		if (pairs.item[i].line <= line || pairs.item[i].line == pairs.odd_line) {
			abort();
		}
		line = pairs.item[i].line;
	}
	pairs_clear(&pairs);
	return 0;
}
