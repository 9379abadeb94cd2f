/* What goes wrong with an estate, and when. */
#include "sim/estate.h"

#include "sim/invariants.h"
#include "sim/run.h"

#define PAST_MAX_US (3 * DAY_US) /* all are renewed each day meanwhile */

/* ---- now ---- */

static bool is_on(const struct trouble *trouble, int64_t now_us)
{
	int64_t into_us = now_us - trouble->from_us;

	if (now_us < trouble->from_us || now_us >= trouble->until_us) {
		return false;
	}
	return trouble->kind != TROUBLE_HOURLY || into_us % (trouble->value * HOUR_US) >= HOUR_US;
}

/* The first time after now_us at which it begins or ends, or ceases for an hour. */
static int64_t next_change(const struct trouble *trouble, int64_t now_us)
{
	int64_t into_us = now_us - trouble->from_us, each_us = trouble->value * HOUR_US, next_us;

	if (now_us < trouble->from_us) {
		return trouble->from_us;
	}
	if (now_us >= trouble->until_us) {
		return INT64_MAX;
	}
	if (trouble->kind != TROUBLE_HOURLY) {
		return trouble->until_us;
	}
	next_us = now_us - into_us % each_us + (into_us % each_us < HOUR_US ? HOUR_US : each_us);
	return next_us < trouble->until_us ? next_us : trouble->until_us;
}

static void clear(struct estate *estate)
{
	struct net *net = estate->sim->net;

	for (size_t i = 0; i < estate->office_count; i++) {
		estate->office[i].down = estate->office[i].ari = estate->office[i].profile = 0;
		estate->office[i].blind = estate->office[i].busy = false;
	}
	for (size_t i = 0; i < net->zone_count; i++) {
		struct net_zone *zone = &net->zone[i];

		for (size_t k = 0; k < zone->server_count; k++) {
			zone->server[k].mood = MOOD_WELL;
		}
		if (estate->dead_secondary) {
			zone->server[zone->server_count - 1].mood = MOOD_SILENT;
			zone->server[zone->server_count - 1].was_unwell = true;
		}
	}
	estate->host.full = estate->host.commands_fail = false;
	estate->host.ahead_us = 0;
}

static void apply(struct estate *estate, const struct trouble *trouble)
{
	struct office *office = &estate->office[trouble->which % estate->office_count];
	struct net *net = estate->sim->net;
	struct net_zone *zone = &net->zone[trouble->which % net->zone_count];
	struct net_server *server;

	switch (trouble->kind) {
	case TROUBLE_DOWN:
		office->down = trouble->value;
		break;
	case TROUBLE_HOURLY:
		office->down = office->down ? office->down : 1;
		break;
	case TROUBLE_BLIND:
		office->blind = true;
		break;
	case TROUBLE_BUSY:
		office->busy = true;
		break;
	case TROUBLE_ARI:
		office->ari = trouble->value;
		break;
	case TROUBLE_PROFILE:
		office->profile = trouble->value;
		break;
	case TROUBLE_PRIMARY:
	case TROUBLE_SECONDARY:
		server = &zone->server[trouble->kind == TROUBLE_PRIMARY ? 0
									: zone->server_count - 1];
		server->mood = MOOD_SILENT;
		server->was_unwell |= trouble->kind == TROUBLE_SECONDARY;
		break;
	case TROUBLE_DISK:
		estate->host.full = true;
		break;
	case TROUBLE_CLOCK:
		estate->host.ahead_us = trouble->value;
		break;
	case TROUBLE_COMMANDS:
		estate->host.commands_fail = true;
		break;
	case TROUBLE_NETWORK:
	case TROUBLE_OFF:
	case TROUBLE_KINDS:
		break;
	}
}

static const char *const kind_names[] = {
	[TROUBLE_DOWN] = "the CA is down",
	[TROUBLE_HOURLY] = "the CA is down, but for an hour now and then",
	[TROUBLE_BLIND] = "the CA finds no records",
	[TROUBLE_BUSY] = "the CA takes no orders",
	[TROUBLE_ARI] = "the CA's renewal information is nonsense",
	[TROUBLE_PROFILE] = "a profile is there no more",
	[TROUBLE_PRIMARY] = "a primary is silent",
	[TROUBLE_SECONDARY] = "a secondary is silent",
	[TROUBLE_DISK] = "the disk is full",
	[TROUBLE_CLOCK] = "the clock is wrong",
	[TROUBLE_OFF] = "the host is off",
	[TROUBLE_COMMANDS] = "commands fail",
	[TROUBLE_NETWORK] = "the network loses much",
};

/* Chance is drawn where it begins, so that a look in between changes nothing. */
static void shake(struct estate *estate, bool shaking)
{
	struct sim *sim = estate->sim;

	if (shaking && sim->faults.loss == 0 && sim->faults.http_lost == 0) {
		sim->faults.loss = estate->reachable ? 0 : 30;
		sim->faults.duplicate = 100;
		sim->faults.http_lost = 30;
		sim->faults.http_5xx = 20;
		sim->faults.bad_nonce = 50;
		sim->faults.rate_limited = 5;
		sim->faults.latency_max_us = 100000;
		sim->faults.lag_max_us = 5 * SECOND_US;
		sim->faults.ca_max_us = 2 * SECOND_US;
	} else if (!shaking && sim->faults.http_lost > 0) {
		calm_faults(sim);
	}
}

void trouble_look(struct estate *estate)
{
	int64_t now_us = estate->sim->now_us;
	bool shaking = false;

	if (now_us < estate->changes_us) {
		return;
	}
	estate->changes_us = INT64_MAX;
	clear(estate);
	for (size_t i = 0; i < estate->trouble_count; i++) {
		const struct trouble *trouble = &estate->trouble[i];
		int64_t next_us = next_change(trouble, now_us);

		estate->changes_us = next_us < estate->changes_us ? next_us : estate->changes_us;
		if (is_on(trouble, now_us)) {
			if (trouble->from_us == now_us || trouble->until_us == next_us) {
				sim_say(estate->sim, "trouble until %lld: %s (%zu, %lld)",
					(long long)(trouble->until_us / SECOND_US),
					kind_names[trouble->kind], trouble->which,
					(long long)trouble->value);
			}
			apply(estate, trouble);
			shaking = shaking || trouble->kind == TROUBLE_NETWORK;
		}
	}
	shake(estate, shaking);
}

/* ---- for a certificate, between two times ---- */

#define OF(kind) (1U << (kind))
/* The CA gives no answer; it gives one that is no certificate. */
#define OF_SILENCE (OF(TROUBLE_DOWN) | OF(TROUBLE_HOURLY))
#define OF_REFUSAL (OF(TROUBLE_BLIND) | OF(TROUBLE_BUSY))

static bool touches(const struct trouble *trouble, struct span span)
{
	return is_on(trouble, span.from_us) || is_on(trouble, span.until_us) ||
	       next_change(trouble, span.from_us) <= span.until_us;
}

static bool is_of(const struct estate *estate, const struct trouble *trouble, unsigned kinds,
		  size_t office)
{
	return (kinds & OF(trouble->kind)) && trouble->which % estate->office_count == office;
}

static bool office_had(const struct estate *estate, size_t office, unsigned kinds, struct span span)
{
	for (size_t i = 0; i < estate->trouble_count; i++) {
		if (is_of(estate, &estate->trouble[i], kinds, office) &&
		    touches(&estate->trouble[i], span)) {
			return true;
		}
	}
	return false;
}

/* All the time: then who has another CA goes there at once. */
static bool was_silent(const struct estate *estate, size_t office, struct span span)
{
	for (size_t i = 0; i < estate->trouble_count; i++) {
		const struct trouble *trouble = &estate->trouble[i];

		if (is_of(estate, trouble, OF_SILENCE, office) && is_on(trouble, span.from_us) &&
		    next_change(trouble, span.from_us) > span.until_us) {
			return true;
		}
	}
	return false;
}

static bool cas_failed(const struct estate *estate, const struct holding *holding, struct span span)
{
	unsigned kinds = OF_SILENCE | OF_REFUSAL | (holding->strict ? OF(TROUBLE_PROFILE) : 0);

	if (!office_had(estate, holding->office, kinds, span)) {
		return false;
	}
	return holding->fallback >= estate->office_count ||
	       !was_silent(estate, holding->office, span) ||
	       office_had(estate, holding->fallback, kinds, span);
}

static bool concerns(const struct estate *estate, const struct trouble *trouble,
		     const struct holding *holding)
{
	const struct net *net = estate->sim->net;

	if (!holding || trouble->kind == TROUBLE_DISK || trouble->kind == TROUBLE_CLOCK) {
		return trouble->kind == TROUBLE_DISK || trouble->kind == TROUBLE_CLOCK ||
		       trouble->kind == TROUBLE_COMMANDS;
	}
	switch (trouble->kind) {
	case TROUBLE_PRIMARY:
		return trouble->which % net->zone_count == holding->zone;
	case TROUBLE_SECONDARY:
		return !estate->reachable && trouble->which % net->zone_count == holding->zone;
	default:
		return trouble->kind == TROUBLE_NETWORK;
	}
}

bool trouble_was(const struct estate *estate, const struct holding *holding, struct span span)
{
	for (size_t i = 0; i < estate->trouble_count; i++) {
		const struct trouble *trouble = &estate->trouble[i];

		if (concerns(estate, trouble, holding) && touches(trouble, span)) {
			return true;
		}
	}
	return holding && cas_failed(estate, holding, span);
}

bool trouble_of_ari(const struct estate *estate, size_t office, struct span span)
{
	return office_had(estate, office, OF(TROUBLE_ARI), span);
}

bool trouble_of_profile(const struct estate *estate, size_t office, struct span span)
{
	return office_had(estate, office, OF(TROUBLE_PROFILE), span);
}

static bool was_any(const struct estate *estate, unsigned kinds, struct span span)
{
	for (size_t i = 0; i < estate->trouble_count; i++) {
		if ((kinds & OF(estate->trouble[i].kind)) && touches(&estate->trouble[i], span)) {
			return true;
		}
	}
	return false;
}

bool trouble_of_reach(const struct estate *estate, size_t office, struct span span)
{
	return office_had(estate, office, OF_SILENCE, span) ||
	       was_any(estate, OF(TROUBLE_NETWORK), span);
}

bool trouble_of_records(const struct estate *estate, struct span span)
{
	return was_any(estate,
		       OF(TROUBLE_PRIMARY) | OF(TROUBLE_NETWORK) | OF(TROUBLE_DISK) |
			       OF(TROUBLE_CLOCK),
		       span);
}

int64_t trouble_off_until(const struct estate *estate)
{
	int64_t until_us = 0;

	for (size_t i = 0; i < estate->trouble_count; i++) {
		const struct trouble *trouble = &estate->trouble[i];

		if (trouble->kind == TROUBLE_OFF && is_on(trouble, estate->sim->now_us) &&
		    trouble->until_us > until_us) {
			until_us = trouble->until_us;
		}
	}
	return until_us;
}

/* ---- what is drawn ---- */

static int64_t between(struct sim *sim, int64_t least, int64_t most)
{
	return least + (int64_t)sim_below(sim, (uint64_t)(most - least + 1));
}

void trouble_add(struct estate *estate, const struct trouble *trouble)
{
	estate->changes_us = 0;
	if (estate->trouble_count < TROUBLES_MAX && trouble->from_us < estate->end_us) {
		estate->trouble[estate->trouble_count] = *trouble;
		if (trouble->until_us > estate->end_us) {
			estate->trouble[estate->trouble_count].until_us = estate->end_us;
		}
		estate->trouble_count++;
	}
}

/* How long each lasts at most, in hours, and how many ways there are. */
static const struct {
	int64_t most_h, ways;
} kinds[] = {
	[TROUBLE_DOWN] = { 7 * 24, DOWN_SILENT },
	[TROUBLE_HOURLY] = { 30 * 24, 0 },
	[TROUBLE_BLIND] = { 5 * 24, 0 },
	[TROUBLE_BUSY] = { 3 * 24, 0 },
	[TROUBLE_ARI] = { 60 * 24, ARI_PAST },
	[TROUBLE_PROFILE] = { 30 * 24, PROFILE_REFUSED },
	[TROUBLE_PRIMARY] = { 4 * 24, 0 },
	[TROUBLE_SECONDARY] = { 48, 0 },
	[TROUBLE_DISK] = { 24, 0 },
	[TROUBLE_CLOCK] = { 24, 0 },
	[TROUBLE_OFF] = { 21 * 24, 0 },
	[TROUBLE_COMMANDS] = { 4 * 24, 0 },
	[TROUBLE_NETWORK] = { 10 * 24, 0 },
};

static int64_t shortest_life_us(const struct estate *estate)
{
	int64_t life_us = INT64_MAX;

	for (size_t i = 0; i < estate->office_count; i++) {
		int64_t other_us = estate->office[i].life_s * SECOND_US;

		life_us = other_us < life_us ? other_us : life_us;
	}
	return life_us;
}

static int64_t value_of(struct estate *estate, enum trouble_kind kind)
{
	static const int64_t jumps_h[] = { 2, 26, 24 * 8, 24 * 40, 24 * 200 };
	struct sim *sim = estate->sim;
	int64_t hours;

	switch (kind) {
	case TROUBLE_HOURLY:
		return shortest_life_us(estate) < 2 * DAY_US ? 3 : 24;
	case TROUBLE_CLOCK:
		hours = jumps_h[sim_below(sim, ARRAY_LEN(jumps_h))];
		return (sim_below(sim, 2) ? hours : -hours) * HOUR_US;
	default:
		return kinds[kind].ways > 0 ? between(sim, 1, kinds[kind].ways) : 0;
	}
}

/* One after another, or two at once: the sooner the shorter the certificates live. */
void trouble_draw(struct estate *estate)
{
	struct sim *sim = estate->sim;
	int64_t life_us = shortest_life_us(estate), at_us = sim->now_us + life_us / 4;

	while (at_us < estate->end_us && estate->trouble_count < TROUBLES_MAX) {
		enum trouble_kind kind = (enum trouble_kind)sim_below(sim, TROUBLE_KINDS);
		int64_t lasts_us = between(sim, HOUR_US / 4, kinds[kind].most_h * HOUR_US);

		int64_t value = value_of(estate, kind);

		/* These may last for more than a life: it must renew all the same. */
		if (lasts_us > life_us / 2 && kind != TROUBLE_HOURLY && kind != TROUBLE_ARI &&
		    kind != TROUBLE_PROFILE) {
			lasts_us = between(sim, HOUR_US / 4, life_us / 4);
		}
		if (kind == TROUBLE_ARI && value == ARI_PAST && lasts_us > PAST_MAX_US) {
			lasts_us = PAST_MAX_US;
		}
		trouble_add(estate, &(struct trouble){
					    .kind = kind,
					    .which = sim_below(sim, 6),
					    .from_us = at_us,
					    .until_us = at_us + lasts_us,
					    .value = value,
				    });
		at_us += between(sim, 0, life_us / 4);
	}
}
