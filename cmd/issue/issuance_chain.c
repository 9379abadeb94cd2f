/*
 * The chain of an issuance: what the CA sends, or one of those that it offers beside it, where the
 * configuration names a root.
 */
#include "issuance_internal.h"

static const char *wished_chain(const struct issuance *issuance)
{
	const char *own = issuance->args.certificate->chain;

	return own ? own : issuance->conf_account->chain;
}

/* What does not parse leads nowhere; the chain that is stored is checked, and says why. */
static bool leads_there(const struct buf *pem, const char *wish)
{
	struct chain *chain = NULL;
	bool leads = chain_parse(buf_str(pem), pem->len, &chain, NULL) == ERR_NONE &&
		     chain_leads_to(chain, wish);

	chain_free(chain);
	return leads;
}

static void next_alternate(struct issuance *issuance);

static void on_alternate(void *arg, const struct err *err)
{
	struct issuance *issuance = arg;
	struct buf chosen = issuance->alternate;

	issuance->call = NULL;
	if (err) {
		log_warn("%s: a chain that the CA offers could not be had: %s",
			 issuance->args.lineage, err->text);
	} else if (leads_there(&chosen, wished_chain(issuance))) {
		issuance->alternate = issuance->pem;
		issuance->pem = chosen;
		issuance_enter(issuance, ISSUE_STORE, NULL);
		return;
	}
	next_alternate(issuance);
}

static void next_alternate(struct issuance *issuance)
{
	const struct strlist *alternates = &issuance->order->alternates;

	if (issuance->next_alternate == alternates->count) {
		const char *wish = wished_chain(issuance);

		log_warn(
			"%s: none of the %zu chains that the CA offers leads to \"%s\"%s; its own "
			"choice is taken",
			issuance->args.lineage, alternates->count + 1, wish,
			chain_wish_is_fingerprint(wish)
				? " (a fingerprint is known only of a root that this system trusts)"
				: "");
		issuance_enter(issuance, ISSUE_STORE, NULL);
		return;
	}
	buf_clear(&issuance->alternate);
	issuance->call =
		acme_alternate_start(issuance->acme, alternates->item[issuance->next_alternate++],
				     &issuance->alternate, on_alternate, issuance);
}

static void on_downloaded(void *arg, const struct err *err)
{
	struct issuance *issuance = arg;
	const char *wish = wished_chain(issuance);

	issuance->call = NULL;
	if (err) {
		order_failed(issuance, err);
	} else if (!wish || leads_there(&issuance->pem, wish)) {
		issuance_enter(issuance, ISSUE_STORE, NULL);
	} else {
		next_alternate(issuance);
	}
}

void step_download(struct issuance *issuance)
{
	retract_begin(issuance);
	buf_clear(&issuance->pem);
	issuance->next_alternate = 0;
	issuance->call = acme_download_start(issuance->acme, issuance->order, &issuance->pem,
					     on_downloaded, issuance);
}
