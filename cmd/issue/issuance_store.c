/* The steps of an issuance on this host: lock, key, pending order, store. */
#include "issuance_internal.h"

#define LINEAGE_RETRY_US 100000
#define LINEAGE_WAIT_MAX_US ((int64_t)900 * 1000000)
#define KEYGEN_TIMEOUT_MS 120000
#define KEYGEN_OUTPUT_MAX 4096

/* ---- the lineage's lock ---------------------------------------------------- */

static void read_current(struct issuance *issuance)
{
	struct chain *chain = NULL;

	if (lineage_load(issuance->lineage, &chain, NULL) == ERR_NONE) {
		issuance->serial_before = xstrdup(chain_facts(chain)->serial);
		issuance->cert_id_before = xstrdup(chain_facts(chain)->cert_id);
	}
	chain_free(chain);
}

/* The process that we waited for made what we were asked for. */
static bool taken_from_other(struct issuance *issuance)
{
	struct chain *chain = NULL;
	const struct chain_facts *facts;
	bool taken = false;

	if (!issuance->waited || lineage_load(issuance->lineage, &chain, NULL) != ERR_NONE) {
		return false;
	}
	facts = chain_facts(chain);
	if ((!issuance->serial_before || strcmp(issuance->serial_before, facts->serial) != 0) &&
	    facts->names.count == issuance->names.count) {
		taken = true;
		for (size_t i = 0; i < facts->names.count; i++) {
			taken = taken && strlist_has(&issuance->names, facts->names.item[i]);
		}
	}
	if (taken) {
		issuance->result.folder = path_join(lineage_folder(issuance->lineage), "current");
		facts_copy(&issuance->result.facts, facts);
	}
	chain_free(chain);
	return taken;
}

static void on_lock_timer(void *arg)
{
	struct issuance *issuance = arg;

	issuance->timer = NULL;
	step_lock(issuance);
}

static enum err_code open_lineage(struct issuance *issuance, struct err *err)
{
	enum err_code code;

	if (issuance->lineage) {
		return ERR_NONE;
	}
	code = lineage_open(issuance->args.conf->state, issuance->args.lineage, &issuance->lineage,
			    err);
	if (code == ERR_NONE) {
		read_current(issuance);
		issuance->lock_deadline_us =
			world_mono_us(issuance->args.world) + LINEAGE_WAIT_MAX_US;
	}
	return code;
}

void step_lock(struct issuance *issuance)
{
	struct err err;
	enum err_code code;

	if (issuance->args.rehearse) {
		issuance_enter(issuance, ISSUE_ACCOUNT, NULL);
		return;
	}
	code = open_lineage(issuance, &err);
	if (code == ERR_NONE) {
		code = lineage_lock(issuance->lineage, &err);
	}
	if (code == ERR_BUSY && world_mono_us(issuance->args.world) < issuance->lock_deadline_us) {
		if (!issuance->waited) {
			log_info("%s: another process is issuing it; waiting for its result",
				 issuance->args.lineage);
		}
		issuance->waited = true;
		issuance->timer = world_timer_start(issuance->args.world, LINEAGE_RETRY_US,
						    on_lock_timer, issuance);
		return;
	}
	if (code != ERR_NONE) {
		issuance_fail(issuance, &err);
		return;
	}
	if (taken_from_other(issuance)) {
		issuance_enter(issuance, ISSUE_DONE, "another process has just issued it");
		return;
	}
	issuance_enter(issuance, ISSUE_ACCOUNT, NULL);
}

/* ---- the certificate's key ------------------------------------------------- */

static void on_keygen(void *arg, const struct err *err, const struct spawn_result *result)
{
	struct issuance *issuance = arg;
	struct err failed;

	issuance->keygen = NULL;
	if (err) {
		issuance_fail(issuance, err);
		return;
	}
	if (result->exit_status != 0) {
		err_set(&failed, ERR_INTERNAL, issuance->args.lineage,
			"the certificate's key could not be made: %s", result->output);
		issuance_fail(issuance, &failed);
		return;
	}
	if (key_load(issuance->keygen_path, &issuance->key, &failed) != ERR_NONE) {
		issuance_fail(issuance, &failed);
		return;
	}
	unlink(issuance->keygen_path);
	if (issuance->step == ISSUE_FINALIZE) {
		step_finalize(issuance);
	}
}

static void keygen_in_child(struct issuance *issuance)
{
	struct world *world = issuance->args.world;
	struct strlist argv = { 0 };
	char *environment[] = { NULL };

	issuance->keygen_path = path_join(lineage_folder(issuance->lineage), "new-key.pem");
	strlist_add(&argv, issuance->args.self);
	strlist_add(&argv, "keygen");
	strlist_add(&argv, key_type_name(issuance->args.key_type));
	strlist_add(&argv, issuance->keygen_path);
	issuance->keygen = world->ops->spawn_start(world,
						   &(struct spawn_request){
							   .argv = argv.item,
							   .environment = environment,
							   .max_output = KEYGEN_OUTPUT_MAX,
							   .timeout_ms = KEYGEN_TIMEOUT_MS,
						   },
						   on_keygen, issuance);
	strlist_clear(&argv);
}

void key_begin(struct issuance *issuance)
{
	struct err err;

	if (issuance->key || issuance->keygen) {
		return;
	}
	if (issuance->args.self && issuance->lineage && key_type_slow(issuance->args.key_type)) {
		keygen_in_child(issuance);
		return;
	}
	if (key_generate(issuance->args.key_type, &issuance->key, &err) != ERR_NONE) {
		issuance_fail(issuance, &err);
	}
}

/* ---- the pending order ----------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
	return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

static bool pending_fits(const struct issuance *issuance, const struct pending_order *pending)
{
	const char *demanded = issuance->args.certificate->profile;
	bool fits = same_text(pending->directory, issuance->conf_account->directory) &&
		    same_text(pending->account_url, issuance->account->url) &&
		    (demanded || pending->profile == NULL
			     ? same_text(pending->profile, demanded)
			     : strlist_has(&issuance->conf_account->profiles, pending->profile)) &&
		    key_type_of(pending->key) == issuance->args.key_type &&
		    pending->names.count == issuance->names.count;

	for (size_t i = 0; fits && i < pending->names.count; i++) {
		fits = strcmp(pending->names.item[i], issuance->names.item[i]) == 0;
	}
	return fits;
}

bool pending_resume(struct issuance *issuance)
{
	struct pending_order *pending = NULL;
	struct err err;
	enum err_code code;
	bool fits;

	if (issuance->pending_loaded || !issuance->lineage) {
		return false;
	}
	issuance->pending_loaded = true;
	code = lineage_load_pending(issuance->lineage, &pending, &err);
	if (code != ERR_NONE) {
		if (code != ERR_NOT_FOUND) {
			log_warn("%s: %s; a new order is made", err.subject, err.text);
		}
		return false;
	}
	fits = pending_fits(issuance, pending);
	if (fits) {
		if (issuance->keygen) {
			issuance->args.world->ops->spawn_cancel(issuance->keygen);
			issuance->keygen = NULL;
		}
		key_free(issuance->key);
		issuance->key = pending->key;
		pending->key = NULL;
		free(issuance->profile);
		issuance->profile = xstrdup(pending->profile);
		issuance->order->url = xstrdup(pending->order_url);
		issuance->pending_saved = true;
	}
	pending_order_free(pending);
	return fits;
}

void pending_forget(struct issuance *issuance)
{
	struct err err;

	issuance->pending_saved = false;
	if (issuance->lineage && lineage_drop_pending(issuance->lineage, &err) != ERR_NONE) {
		log_warn("%s: %s", err.subject, err.text);
	}
}

enum err_code pending_save(struct issuance *issuance, struct err *err)
{
	struct pending_order pending = {
		.directory = issuance->conf_account->directory,
		.account_url = issuance->account->url,
		.order_url = issuance->order->url,
		.names = issuance->names,
		.profile = issuance->profile,
		.key = issuance->key,
	};
	enum err_code code;

	if (issuance->pending_saved) {
		return ERR_NONE;
	}
	if (!issuance->key) {
		return err_set(err, ERR_BUSY, issuance->args.lineage, "the key is being made");
	}
	code = issuance->lineage ? lineage_save_pending(issuance->lineage, &pending, err)
				 : ERR_NONE;
	issuance->pending_saved = code == ERR_NONE;
	return code;
}

/* ---- the certificate ------------------------------------------------------- */

/* A clock that is off makes a new certificate look wrong: said, not refused. */
static void warn_of_dates(const struct issuance *issuance)
{
	const struct chain_facts *facts = &issuance->result.facts;
	int64_t now_s = world_wall_s(issuance->args.world);
	char time[32];

	if (now_s < facts->not_before) {
		time_format(time, facts->not_before);
		log_warn("%s: the certificate is valid only from %s on; is this host's clock late?",
			 issuance->args.lineage, time);
	} else if (now_s > facts->not_after) {
		time_format(time, facts->not_after);
		log_warn("%s: the certificate ended at %s; is this host's clock ahead?",
			 issuance->args.lineage, time);
	}
}

void step_store(struct issuance *issuance)
{
	struct lineage_set set;
	struct err err;

	if (chain_parse(buf_str(&issuance->pem), issuance->pem.len, &issuance->chain, &err) !=
		    ERR_NONE ||
	    chain_check(issuance->chain, issuance->key, &issuance->names, &err) != ERR_NONE) {
		/* Nothing is wrong with our order: what the CA sent must not be tried again. */
		pending_forget(issuance);
		issuance_fail(issuance, &err);
		return;
	}
	if (!issuance->lineage) {
		facts_copy(&issuance->result.facts, chain_facts(issuance->chain));
		issuance_enter(issuance, ISSUE_RETRACT, NULL);
		return;
	}
	set = (struct lineage_set){
		.key = issuance->key,
		.chain = issuance->chain,
		.conf = issuance->args.lineage_conf,
	};
	if (lineage_store(issuance->lineage, &set, &issuance->result.folder, &err) != ERR_NONE) {
		issuance_fail(issuance, &err);
		return;
	}
	facts_copy(&issuance->result.facts, chain_facts(issuance->chain));
	warn_of_dates(issuance);
	remember_certificate(issuance);
	issuance_enter(issuance, ISSUE_RETRACT, NULL);
}
