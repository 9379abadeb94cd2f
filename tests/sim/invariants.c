#include "sim/invariants.h"

#include <dirent.h>
#include <sqlite3.h>

#include "dns01/crypto.h"
#include "dns01/store.h"
#include "sim/ca.h"

static struct invariants invariants;
static sqlite3 *journal; /* a reader of its own */
static sqlite3_stmt *find;

void invariants_init(const char *state, bool reachable)
{
	invariants = (struct invariants){ .state = xstrdup(state), .reachable = reachable };
}

static void close_journal(void)
{
	sqlite3_finalize(find);
	sqlite3_close(journal);
	find = NULL;
	journal = NULL;
}

void invariants_end(void)
{
	close_journal();
	free(invariants.state);
}

static bool counts(const struct net_server *server)
{
	bool useless = server->mood != MOOD_WELL || server->was_unwell;

	return server->listed && !(invariants.reachable && useless);
}

const struct net_server *invariants_pick_server(struct sim *sim, const char *owner)
{
	const struct net_zone *zone = net_zone_of(sim->net, owner);
	const struct net_server *pick = NULL;
	uint64_t seen = 0;

	for (size_t i = 0; zone && i < zone->server_count; i++) {
		if (counts(&zone->server[i]) && sim_below(sim, ++seen) == 0) {
			pick = &zone->server[i];
		}
	}
	return pick ? pick : &sim->net->zone[0].server[0];
}

void invariants_answered(struct sim *sim, const char *owner, const char *value)
{
	const struct net_zone *zone = net_zone_of(sim->net, owner);

	for (size_t i = 0; zone && i < zone->server_count; i++) {
		const struct net_server *server = &zone->server[i];

		if (counts(server) && !net_shows(server, owner, value)) {
			sim_violated(sim, "answered: %s does not serve %s at %s", server->name,
				     value, owner);
		}
	}
}

/* ---- the journal ---- */

static bool open_journal(void)
{
	char *path = path_join(invariants.state, "journal.db");
	bool good = find != NULL;

	if (!good) {
		good = sqlite3_open_v2(path, &journal, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
		       sqlite3_prepare_v2(journal,
					  "SELECT 1 FROM value WHERE owner = ? AND value = ?", -1,
					  &find, NULL) == SQLITE_OK;
	}
	if (!good) {
		sqlite3_close(journal);
		journal = NULL;
	}
	free(path);
	return good;
}

void invariants_hold(bool held)
{
	if (!held) {
		close_journal();
	} else if (!open_journal()) {
		abort();
	}
}

static bool has_row(const char *text)
{
	const char *value = strchr(text, ' ');
	bool found;

	sqlite3_bind_text(find, 1, text, (int)(value - text), SQLITE_TRANSIENT);
	sqlite3_bind_text(find, 2, value + 1, -1, SQLITE_TRANSIENT);
	found = sqlite3_step(find) == SQLITE_ROW;
	sqlite3_reset(find);
	return found;
}

void invariants_text_covered(struct sim *sim, const char *text)
{
	invariants.checks++;
	if (!open_journal() || !has_row(text)) {
		sim_violated(sim, "covered: the journal has no row for %s", text);
	}
}

void invariants_covered(struct sim *sim)
{
	for (size_t i = 0; i < sim->net->zone_count; i++) {
		const struct net_zone *zone = &sim->net->zone[i];
		const struct strlist *texts = &zone->server[0].texts;

		for (size_t k = 0; k < texts->count; k++) {
			if (net_is_ours(zone, texts->item[k])) {
				invariants_text_covered(sim, texts->item[k]);
			}
		}
	}
}

void invariants_each_value(void (*each)(void *arg, const char *value), void *arg)
{
	sqlite3_stmt *all = NULL;

	if (open_journal() &&
	    sqlite3_prepare_v2(journal, "SELECT value FROM value", -1, &all, NULL) == SQLITE_OK) {
		while (sqlite3_step(all) == SQLITE_ROW) {
			each(arg, (const char *)sqlite3_column_text(all, 0));
		}
	}
	sqlite3_finalize(all);
}

static void look_at_copy(struct sim *sim, const struct net_server *server)
{
	const struct net_zone *zone = server->zone;

	for (size_t i = 0; i < server->texts.count; i++) {
		if (net_is_ours(zone, server->texts.item[i])) {
			sim_violated(sim, "clean: %s still has %s", server->name,
				     server->texts.item[i]);
		}
	}
	for (size_t i = 0; i < zone->siblings.count; i++) {
		if (!strlist_has(&server->texts, zone->siblings.item[i])) {
			sim_violated(sim, "clean: the sibling %s is gone at %s",
				     zone->siblings.item[i], server->name);
		}
	}
}

void invariants_clean(struct sim *sim)
{
	for (size_t i = 0; i < sim->net->zone_count; i++) {
		const struct net_zone *zone = &sim->net->zone[i];

		for (size_t k = 0; k < zone->server_count; k++) {
			look_at_copy(sim, &zone->server[k]);
		}
	}
}

/* ---- certificates ---- */

static void read_serial(const char *folder, const char *version, struct strlist *out)
{
	char *path = xasprintf("%s/%s/cert.pem", folder, version);
	struct buf pem;
	struct chain *chain;
	struct err err;

	if (file_read(path, CHAIN_PEM_MAX, &pem, &err) == ERR_NONE) {
		if (chain_parse(pem.data, pem.len, &chain, &err) == ERR_NONE) {
			strlist_add(out, chain_facts(chain)->serial);
			chain_free(chain);
		}
		buf_clear(&pem);
	}
	free(path);
}

static void read_serials(const char *lineage, struct strlist *out)
{
	char *folder = xasprintf("%s/certs/%s", invariants.state, lineage);
	DIR *versions = opendir(folder);
	struct dirent *entry;

	while (versions && (entry = readdir(versions))) {
		if (entry->d_name[0] == 'v') {
			read_serial(folder, entry->d_name, out);
		}
	}
	if (versions) {
		closedir(versions);
	}
	free(folder);
}

/* "03E9" and "3e9" are one number. */
static bool has_serial(const struct strlist *serials, const char *serial)
{
	for (size_t i = 0; i < serials->count; i++) {
		const char *item = serials->item[i];

		item += strspn(item, "0:");
		if (strcasecmp(item, serial) == 0) {
			return true;
		}
	}
	return false;
}

void invariants_kept(struct sim *sim)
{
	struct strlist lineages = { 0 }, serials = { 0 };
	struct err err;

	if (lineage_names(invariants.state, &lineages, &err) != ERR_NONE) {
		sim_violated(sim, "kept: %s", err.text);
	}
	for (size_t i = 0; i < lineages.count; i++) {
		read_serials(lineages.item[i], &serials);
	}
	for (size_t i = 0; i < sim->ca->order_count; i++) {
		const struct ca_order *order = sim->ca->order[i];

		if (order->leaf.chain && !has_serial(&serials, order->leaf.serial)) {
			sim_violated(sim, "kept: the certificate %s of order %zu is lost",
				     order->leaf.serial, i);
		}
	}
	strlist_clear(&lineages);
	strlist_clear(&serials);
}

/* RFC 8555 s.7.4 and DESIGN: key and order URL are on disk before finalize. */
void invariants_finalized(struct sim *sim)
{
	struct strlist lineages = { 0 };
	struct err err;
	bool pending = false;

	if (lineage_names(invariants.state, &lineages, &err) != ERR_NONE) {
		sim_violated(sim, "kept: %s", err.text);
	}
	for (size_t i = 0; i < lineages.count; i++) {
		char *path = xasprintf("%s/certs/%s/pending/privkey.pem", invariants.state,
				       lineages.item[i]);

		pending = pending || access(path, R_OK) == 0;
		free(path);
	}
	if (!pending) {
		sim_violated(sim, "kept: finalize was sent before its key was on disk");
	}
	strlist_clear(&lineages);
}
