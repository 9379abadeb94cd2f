/* A key file; it is the operator's, but a mistake must end in a sentence. */
#include "dns01/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct tsig_key_text from = { (const char *)data, size, "fuzz", true };
	struct tsig_key *key = NULL;
	struct err err = { .code = ERR_NONE };

	if (tsig_key_parse(&from, &key, &err) == ERR_NONE) {
		if (key->secret_len == 0 || !key->name[0]) {
			abort();
		}
		tsig_key_free(key);
	} else if (!err.text[0]) {
		abort();
	}
	return 0;
}
