/* A chain from the CA: refused with a sentence, or written anew to what is read as the same. */
#include "dns01/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool fine)
{
	if (!fine) {
		abort();
	}
}

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void read_again(const struct chain *chain)
{
	const struct chain_facts *facts = chain_facts(chain);
	struct chain *again = NULL;
	struct buf pem;
	struct err err;

	chain_format_all(chain, &pem);
	if (pem.len <= CHAIN_PEM_MAX) {
		must(chain_parse(buf_str(&pem), pem.len, &again, &err) == ERR_NONE);
		must(chain_facts(again)->count == facts->count);
		must(same(chain_facts(again)->serial, facts->serial));
		must(same(chain_facts(again)->cert_id, facts->cert_id));
		must(same(chain_facts(again)->top_issuer, facts->top_issuer));
	}
	buf_clear(&pem);
	chain_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct chain *chain = NULL;
	struct err err = { .code = ERR_NONE };

	if (chain_parse((const char *)data, size, &chain, &err) != ERR_NONE) {
		must(err.text[0] != '\0');
		return 0;
	}
	must(chain_leads_to(chain, chain_facts(chain)->top_issuer) ||
	     !chain_facts(chain)->top_issuer[0]);
	read_again(chain);
	chain_free(chain);
	return 0;
}
