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

/* What is told of the leaf alone is what is told of the chain. */
static void tell_leaf(const char *pem, size_t len, const struct chain_facts *whole)
{
	struct chain_facts facts;
	struct err err = { .code = ERR_NONE };

	if (chain_facts_parse(pem, len, &facts, &err) != ERR_NONE) {
		must(!whole && err.text[0] != '\0');
		return;
	}
	if (whole) {
		must(same(facts.subject, whole->subject) && same(facts.issuer, whole->issuer));
		must(same(facts.serial, whole->serial) && same(facts.cert_id, whole->cert_id));
		must(facts.not_before == whole->not_before && facts.not_after == whole->not_after);
		must(facts.names.count == whole->names.count);
		must(same(facts.key_type, whole->key_type));
	}
	chain_facts_clear(&facts);
}

static void read_chain(const char *pem, size_t len)
{
	struct chain *chain = NULL;
	struct err err = { .code = ERR_NONE };

	if (chain_parse(pem, len, &chain, &err) != ERR_NONE) {
		must(err.text[0] != '\0');
		tell_leaf(pem, len, NULL);
		return;
	}
	tell_leaf(pem, len, chain_facts(chain));
	must(chain_leads_to(chain, chain_facts(chain)->top_issuer) ||
	     !chain_facts(chain)->top_issuer[0]);
	read_again(chain);
	chain_free(chain);
}

/* PEM, or the DER of one certificate. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *base64, *pem;

	if (size == 0 || data[0] != 0x30) {
		read_chain((const char *)data, size);
		return 0;
	}
	base64 = base64_encode(data, size);
	pem = xasprintf("-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n", base64);
	read_chain(pem, strlen(pem));
	free(base64);
	free(pem);
	return 0;
}
