/*
 * A seed of fleets: a host renews its certificates for months or years, while more or less goes
 * wrong; then nothing does for some days, and everything is looked at.
 */
#include "sim/scenario.h"

#include "sim/estate.h"
#include "sim/invariants.h"
#include "sim/run.h"

#define TEXT_MAX (1024 * 1024)
#define SETTLE_US (4 * DAY_US)
#define PAIR_LIFE_S (10 * 86400)
#define SPREAD_US (30 * DAY_US)    /* in which certificates come */
#define KEYS_EACH_US (10 * DAY_US) /* how often all keys are looked at, and CAs are tidied up */

/* ---- what kinds of estates there are ---- */

enum { LIFE_90D, LIFE_45D, LIFE_160H, LIFE_24H, LIVES };
static const int64_t lives_s[LIVES] = { 90 * 86400, 45 * 86400, 160 * 3600, 24 * 3600 };

#define HAS(life) (1U << (life))

static const struct plot {
	const char *what;
	unsigned lives;     /* of the CAs */
	size_t least, most; /* certificates */
	int64_t days;
	bool calm;            /* nothing goes wrong */
	bool loops;           /* `renew --loop` in place of a timer */
	bool dead_secondary;  /* at every renewal */
	bool clock;           /* it is wrong now and then, and that is all that goes wrong */
	bool spread;          /* the certificates come one after another; and the host is off now
			       * and then until many of them are near their end */
	unsigned outages;     /* of a CA, longer than what its certificates have left */
	int64_t hourly;       /* the CA is up for an hour of so many */
	unsigned revocations; /* of many certificates at once */
	size_t limit;         /* orders in three hours; 0: plenty */
} plots[] = {
	{ .what = "revocations",
	  .lives = HAS(LIFE_90D) | HAS(LIFE_45D) | HAS(LIFE_160H),
	  .least = 4,
	  .most = 10,
	  .days = 60,
	  .calm = true,
	  .revocations = 6 },
	{ .what = "years",
	  .lives = HAS(LIFE_90D) | HAS(LIFE_45D),
	  .least = 3,
	  .most = 4,
	  .days = 400,
	  .revocations = 10 },
	{ .what = "six days",
	  .lives = HAS(LIFE_160H) | HAS(LIFE_90D),
	  .least = 3,
	  .most = 6,
	  .days = 45,
	  .revocations = 3,
	  .outages = 2 },
	{ .what = "one day", .lives = HAS(LIFE_24H), .least = 3, .most = 4, .days = 12 },
	{ .what = "one hour a day",
	  .lives = HAS(LIFE_90D) | HAS(LIFE_45D) | HAS(LIFE_160H),
	  .least = 3,
	  .most = 6,
	  .days = 60,
	  .hourly = 24 },
	{ .what = "a dead secondary",
	  .lives = HAS(LIFE_90D) | HAS(LIFE_45D),
	  .least = 3,
	  .most = 6,
	  .days = 150,
	  .dead_secondary = true },
	{ .what = "loop",
	  .lives = HAS(LIFE_45D) | HAS(LIFE_160H),
	  .least = 3,
	  .most = 6,
	  .days = 40,
	  .loops = true,
	  .revocations = 3,
	  .outages = 1 },
	{ .what = "a small limit",
	  .lives = HAS(LIFE_90D) | HAS(LIFE_45D),
	  .least = 20,
	  .most = 40,
	  .days = 70,
	  .revocations = 2,
	  .limit = 8 },
	{ .what = "a wrong clock",
	  .lives = HAS(LIFE_90D) | HAS(LIFE_45D),
	  .least = 3,
	  .most = 6,
	  .days = 60,
	  .calm = true,
	  .clock = true,
	  .revocations = 2 },
	{ .what = "a backlog",
	  .lives = HAS(LIFE_45D),
	  .least = 36,
	  .most = 40,
	  .days = 120,
	  .calm = true,
	  .spread = true,
	  .limit = 3 },
};

/* The seeds of a round have one plot each. In every third round each takes four times as long,
 * and the small limit is one for many. */
#define ROUNDS 3
#define LONG_ROUND 4
#define MANY 6

/* ---- the configuration ---- */

static void add_accounts(struct buf *out, const struct estate *estate)
{
	buf_add_str(out, "accounts = (\n");
	for (size_t i = 0; i < estate->office_count; i++) {
		const struct office *office = &estate->office[i];

		buf_addf(out,
			 "%s  { name = \"%s\"; directory = \"%s/directory\"; agree_tos = true; "
			 "orders_per_3h = %zu;",
			 i ? ",\n" : "", office->account, office->url, office->limit);
		if (office->profiles) {
			buf_add_str(out,
				    " profiles = [ \"" PROFILE_BEST "\", \"" PROFILE_PLAIN "\" ];");
		}
		if (office->binds) {
			buf_addf(out, " eab_kid = \"%s\"; eab_key_file = \"%s/%s.eab\";",
				 office->account, estate->state, office->account);
		}
		buf_add_str(out, " }");
	}
	buf_add_str(out, "\n);\n");
}

static void add_zones(struct buf *out, const struct estate *estate)
{
	const struct net *net = estate->sim->net;

	add_providers(out, net, estate->state);
	buf_add_str(out, "zones = (\n");
	for (size_t i = 0; i < net->zone_count; i++) {
		const char *name = net->zone[i].name;

		buf_addf(out,
			 "%s  { suffix = \"%s\"; providers = [ \"%s\" ]; resolvers = [ \"%s\" ]; "
			 "deadline = \"2m\"; quorum = \"%s\"; }",
			 i ? ",\n" : "", name, name, NET_RESOLVER,
			 estate->reachable ? "reachable" : "all");
	}
	buf_add_str(out, "\n);\n");
}

static void add_certificate(struct buf *out, const struct holding *holding)
{
	static const char *const commands[COMMANDS_MAX] = {
		"[ \"/usr/bin/deploy\", \"0\", \"{lineage}\" ]",
		"[ \"/usr/bin/deploy\", \"1\" ]",
	};
	const struct estate *estate = holding->estate;
	char *names = strlist_join(&holding->names, "\", \"");

	buf_addf(out, "  { name = \"%s\"; account = \"%s\"; names = [ \"%s\" ];", holding->name,
		 estate->office[holding->office].account, names);
	if (holding->fallback < estate->office_count) {
		buf_addf(out, " fallback = [ \"%s\" ];", estate->office[holding->fallback].account);
	}
	if (holding->second) {
		buf_add_str(out, " keys = [ \"p384\" ];");
	}
	if (holding->strict) {
		buf_add_str(out, " profile = \"" PROFILE_BEST "\";");
	}
	if (holding->renew_before_s > 0) {
		buf_addf(out, " renew_before = \"%llds\";", (long long)holding->renew_before_s);
	}
	if (holding->chores > 0) {
		buf_addf(out, " deploy = ( %s%s%s );", commands[0], holding->chores > 1 ? ", " : "",
			 holding->chores > 1 ? commands[1] : "");
	}
	if (holding->exports) {
		buf_addf(out, " export = ( { layout = \"files\"; path = \"%s/exports/%s\"; } );",
			 estate->state, holding->name);
	}
	buf_add_str(out, " }");
	free(names);
}

static void must(enum err_code code, const struct err *err)
{
	if (code != ERR_NONE) {
		fprintf(stderr, "sim: %s: %s\n", err->subject, err->text);
		abort();
	}
}

static void configure(struct estate *estate)
{
	struct buf out = BUF_INIT(TEXT_MAX);
	bool first = true;
	struct err err;

	buf_addf(&out,
		 "state = \"%s\";\nparallel = %u;\nnotify = { run = [ \"/usr/bin/notify\" ]; };\n",
		 estate->state, estate->parallel);
	add_accounts(&out, estate);
	add_zones(&out, estate);
	buf_add_str(&out, "certificates = (\n");
	for (size_t i = 0; i < estate->holding_count; i++) {
		if (estate->holding[i].configured) {
			buf_add_str(&out, first ? "" : ",\n");
			add_certificate(&out, &estate->holding[i]);
			first = false;
		}
	}
	buf_add_str(&out, "\n);\n");
	conf_free(estate->conf);
	estate->conf = NULL;
	must(conf_parse(buf_str(&out), "sim.conf", provider_rows, &estate->conf, &err), &err);
	buf_clear(&out);
}

/* ---- what it has ---- */

/* An earlier one that it shares a name with, or all of them. */
static struct holding *draw_sharer(const struct holding *holding)
{
	struct estate *estate = holding->estate;
	struct holding *other = NULL;

	if (holding->index > 0 && sim_below(estate->sim, 2)) {
		other = &estate->holding[sim_below(estate->sim, holding->index)];
	}
	return other && !other->paired ? other : NULL;
}

/* Two of the same names, each with a key of its own kind: both count for the CA's limit of
 * duplicates, which is too small for more of them, or for shorter lives. */
static bool draw_pair(struct holding *holding, struct holding *sharer)
{
	struct estate *estate = holding->estate;

	if (estate->office[holding->office].life_s < PAIR_LIFE_S || sim_below(estate->sim, 2)) {
		return false;
	}
	strlist_copy(&holding->names, &sharer->names);
	holding->second = holding->paired = sharer->paired = true;
	holding->strict = sharer->strict;
	holding->fallback = sharer->fallback;
	return true;
}

static void draw_names(struct holding *holding, struct holding *sharer)
{
	struct sim *sim = holding->estate->sim;
	const char *zone = sim->net->zone[holding->zone].name;

	if (sharer && draw_pair(holding, sharer)) {
		return;
	}
	if (sharer) {
		strlist_add(&holding->names, sharer->names.item[0]);
	}
	strlist_addf(&holding->names, "h%zu.%s", holding->index, zone);
	if (sim_below(sim, 2)) {
		strlist_addf(&holding->names, "*.h%zu.%s", holding->index, zone);
	} else if (sim_below(sim, 3) == 0) {
		strlist_addf(&holding->names, "w%zu.%s", holding->index, zone);
	}
}

static struct holding *add_holding(struct estate *estate, const struct plot *plot)
{
	struct sim *sim = estate->sim;
	struct holding *holding = &estate->holding[estate->holding_count];
	struct holding *sharer;
	const struct office *office;
	int64_t life_s;

	*holding = (struct holding){ .estate = estate,
				     .index = estate->holding_count++,
				     .fallback = OFFICES_MAX,
				     .configured = true,
				     .since_us = sim->now_us };
	sharer = draw_sharer(holding);
	holding->office = sharer ? sharer->office
			  : holding->index < estate->office_count
				  ? holding->index
				  : sim_below(sim, estate->office_count);
	holding->zone = sharer ? sharer->zone : sim_below(sim, sim->net->zone_count);
	office = &estate->office[holding->office];
	snprintf(holding->name, sizeof(holding->name), "h%zu", holding->index);
	life_s = office->life_s;
	if (estate->office_count > 1 && plot->hourly == 0 && sim_below(sim, 2)) {
		holding->fallback = (holding->office + 1) % estate->office_count;
	} else if (office->profiles) {
		holding->strict = sim_below(sim, 4) == 0;
	}
	if (holding->fallback == OFFICES_MAX && sim_below(sim, 4) == 0) {
		life_s = office->profiles ? life_s * 2 / 3 : life_s;
		holding->renew_before_s =
			life_s / 3 + (int64_t)sim_below(sim, (uint64_t)life_s / 6);
	}
	holding->chores = sim_below(sim, COMMANDS_MAX + 1);
	holding->exports = sim_below(sim, 4) == 0;
	draw_names(holding, sharer);
	return holding;
}

static void bind_office(struct office *office)
{
	char text[BASE64URL_LEN(sizeof(office->binding))];
	char *path = xasprintf("%s/%s.eab", office->estate->state, office->account);
	struct err err;

	sim_random(office->estate->sim, office->binding, sizeof(office->binding));
	base64url_encode(text, sizeof(text), office->binding, sizeof(office->binding));
	must(file_write_durable(path, text, strlen(text), 0600, &err), &err);
	free(path);
}

static void add_office(struct estate *estate, const struct plot *plot, int64_t life_s)
{
	struct sim *sim = estate->sim;
	struct office *office = &estate->office[estate->office_count];
	static const int64_t asks_s[] = { 2 * 3600, 6 * 3600, 6 * 3600, 86400, 86400 };
	struct ca **last = &sim->ca;

	*office = (struct office){ .estate = estate,
				   .index = estate->office_count++,
				   .life_s = life_s,
				   .limit = plot->limit > 0 ? plot->limit : 300 };
	snprintf(office->url, sizeof(office->url), "https://ca%zu.test", office->index);
	snprintf(office->account, sizeof(office->account), "ca%zu", office->index);
	office->has_ari = life_s > 2 * 86400 &&
			  (plot->revocations > 0 || plot->spread || sim_below(sim, 3) > 0);
	office->ask_again_s = asks_s[sim_below(sim, ARRAY_LEN(asks_s))];
	office->ca = ca_new(office->url, office->has_ari ? &estate_rules : &estate_plain_rules);
	office->ca->house = office;
	office->profiles = life_s > 2 * 86400 && (plot->outages > 0 || sim_below(sim, 2));
	office->binds = sim_below(sim, 3) == 0;
	if (office->binds) {
		bind_office(office);
	}
	while (*last) {
		last = &(*last)->next;
	}
	*last = office->ca;
}

static void add_zone(struct estate *estate, size_t i)
{
	struct sim *sim = estate->sim;
	struct net_zone *zone;
	char name[16], *path;

	snprintf(name, sizeof(name), "zon%zu.test", i);
	zone = net_add_zone(sim, name);
	net_add_server(zone, true);
	if (sim_below(sim, 2)) {
		net_add_server(zone, true);
	}
	path = xasprintf("%s/%s.key", estate->state, name);
	write_key(path, NET_KEY, zone->secret);
	free(path);
}

/* All of a CA's certificates may be late at once, and two thirds of its limit are for those that
 * are not urgent. An hourly run that comes a little sooner than three hours after another finds the
 * limit used up, so that they may have it every four hours. */
static void count_enough(struct estate *estate)
{
	for (size_t i = 0; i < estate->office_count; i++) {
		struct office *office = &estate->office[i];
		size_t most = office->limit - office->limit / 3;

		office->enough = GOOD_ENOUGH + 4 * (unsigned)(estate->holding_count / most);
		office->hurry = GOOD_ENOUGH + 4 * (unsigned)(estate->holding_count / office->limit);
		if (office->enough > GOOD_KEPT) {
			office->enough = GOOD_KEPT;
		}
	}
}

/* ---- what changes ---- */

static struct plot plot_of(uint64_t seed)
{
	uint64_t number = seed / SCENARIO_FLEET_EACH;
	struct plot plot = plots[number % ARRAY_LEN(plots)];

	if (number / ARRAY_LEN(plots) % ROUNDS == ROUNDS - 1) {
		plot.days *= plot.limit > 0 ? 1 : LONG_ROUND;
		plot.least *= plot.limit > 0 ? MANY : 1;
		plot.most *= plot.limit > 0 ? MANY : 1;
		plot.limit *= MANY;
	}
	return plot;
}

/* The oracle begins anew with it. */
static void change_names(struct holding *holding)
{
	struct estate *estate = holding->estate;

	strlist_addf(&holding->names, "x%u-h%zu.%s", ++holding->edition, holding->index,
		     estate->sim->net->zone[holding->zone].name);
	if (holding->names.count > 4) {
		free(holding->names.item[--holding->names.count - 1]);
		holding->names.item[holding->names.count - 1] =
			holding->names.item[holding->names.count];
		holding->names.item[holding->names.count] = NULL;
	}
}

static void forget_good(struct holding *holding)
{
	memset(holding->good_us, 0, sizeof(holding->good_us));
	holding->good = holding->passed = 0;
	holding->since_us = holding->spoiled_us = holding->estate->sim->now_us;
}

/* Those whose time it is come into the configuration. */
static bool arrive(struct estate *estate)
{
	bool any = false;

	for (size_t i = 0; i < estate->holding_count; i++) {
		struct holding *holding = &estate->holding[i];

		if (holding->arrives_us > 0 && holding->arrives_us <= estate->sim->now_us) {
			holding->arrives_us = 0;
			holding->configured = any = true;
			forget_good(holding);
		}
	}
	if (any) {
		configure(estate);
	}
	return any;
}

bool estate_amend(struct estate *estate)
{
	struct sim *sim = estate->sim;
	struct holding *holding;

	if (estate->amend_each == 0 || sim->calm || sim_below(sim, estate->amend_each) > 0) {
		return arrive(estate);
	}
	holding = &estate->holding[sim_below(sim, estate->holding_count)];
	if (!holding->configured || sim_below(sim, 3) == 0) { /* it goes, or comes back */
		holding->configured = !holding->configured;
	} else if (estate->holding_count < HOLDINGS_MAX && sim_below(sim, 2)) {
		struct plot plot = plot_of(sim->seed);

		holding = add_holding(estate, &plot);
	} else {
		change_names(holding);
	}
	forget_good(holding);
	count_enough(estate);
	sim_say(sim, "the configuration changes: %s", holding->name);
	configure(estate);
	return true;
}

/* ---- revocations ---- */

struct doom {
	struct estate *estate;
	bool all;
};

/* A CA gives a day or five, but as long as it takes at its limit when all are in a hurry. Now and
 * then it finds no records for most of that time. */
static void doom(struct office *office, unsigned percent)
{
	struct sim *sim = office->estate->sim;
	int64_t lead_us = sim_below(sim, 2) ? DAY_US : 5 * DAY_US;
	int64_t need_us = office->hurry * HOUR_US + 3 * HOUR_US;
	int64_t least_us = need_us + office->ask_again_s * SECOND_US;

	lead_us = lead_us < least_us ? least_us : lead_us;
	office_doom(office, percent, lead_us);
	if (sim_below(sim, 2)) {
		trouble_add(office->estate, &(struct trouble){
						    .kind = TROUBLE_BLIND,
						    .which = office->index,
						    .from_us = sim->now_us,
						    .until_us = sim->now_us + lead_us - need_us,
					    });
	}
}

static void on_doom(struct sim *sim, void *arg)
{
	struct estate *estate = ((struct doom *)arg)->estate;
	struct office *office = &estate->office[sim_below(sim, estate->office_count)];

	if (office->has_ari) {
		doom(office, ((struct doom *)arg)->all ? 100 : 20 + (unsigned)sim_below(sim, 81));
	}
}

static void doom_at(struct estate *estate, int64_t at_us, bool all)
{
	struct doom *doom = xcalloc(1, sizeof(*doom));

	*doom = (struct doom){ estate, all };
	sim_at(estate->sim, NULL, at_us - estate->sim->now_us, on_doom, doom);
}

/* ---- the whole ---- */

static struct estate *estate_new(struct sim *sim, const char *state, const struct plot *plot)
{
	struct estate *estate = xcalloc(1, sizeof(*estate));
	char *exports = path_join(state, "exports");
	struct err err;
	size_t count;

	estate->sim = sim;
	estate->state = xstrdup(state);
	estate->end_us = sim->now_us + plot->days * DAY_US;
	estate->loops = plot->loops;
	estate->dead_secondary = plot->dead_secondary;
	estate->reachable = plot->dead_secondary || sim_below(sim, 4) == 0;
	estate->parallel = 1 + (unsigned)sim_below(sim, 8);
	estate->kill_each = plot->calm ? 0 : 20 + (unsigned)sim_below(sim, 200);
	estate->amend_each = plot->calm ? 0 : 300 + (unsigned)sim_below(sim, 1000);
	must(state_open(state, &err), &err);
	must(folder_make(exports, 0755, &err), &err);
	free(exports);
	for (size_t i = 0; i < 2; i++) {
		add_zone(estate, i);
	}
	for (size_t life = 0; life < LIVES; life++) {
		if (plot->lives & HAS(life)) {
			add_office(estate, plot, lives_s[life]);
		}
	}
	count = plot->least + sim_below(sim, plot->most - plot->least + 1);
	while (estate->holding_count < count) {
		struct holding *holding = add_holding(estate, plot);

		if (plot->spread && estate->holding_count > 1) {
			holding->configured = false;
			holding->arrives_us = 1 + (int64_t)sim_below(sim, (uint64_t)SPREAD_US);
		}
	}
	count_enough(estate);
	configure(estate);
	return estate;
}

/* A week, or more, of the CA whose certificates live shortest; at another time it is short of a
 * profile for as long. */
static void draw_outage(struct estate *estate)
{
	struct sim *sim = estate->sim;
	int64_t from_us = (int64_t)sim_below(sim, (uint64_t)estate->end_us);

	trouble_add(estate, &(struct trouble){
				    .kind = TROUBLE_DOWN,
				    .which = estate->office_count - 1,
				    .from_us = from_us,
				    .until_us = from_us + (7 + (int64_t)sim_below(sim, 4)) * DAY_US,
				    .value = 1 + (int64_t)sim_below(sim, DOWN_SILENT),
			    });
	from_us = (int64_t)sim_below(sim, (uint64_t)estate->end_us);
	trouble_add(estate, &(struct trouble){
				    .kind = TROUBLE_PROFILE,
				    .which = estate->office_count - 1,
				    .from_us = from_us,
				    .until_us = from_us + 10 * DAY_US,
				    .value = 1 + (int64_t)sim_below(sim, PROFILE_REFUSED),
			    });
}

/* All are revoked, and commands fail for the new ones until the clock was wrong for a while; when
 * it is right again, more are revoked. */
static void draw_clock(struct estate *estate)
{
	static const int64_t ahead_us[] = { 26 * HOUR_US, 8 * DAY_US, 40 * DAY_US };
	struct sim *sim = estate->sim;

	for (int64_t at_us = 5 * DAY_US; at_us < estate->end_us; at_us += 14 * DAY_US) {
		int64_t wrong_us = at_us + DAY_US + (int64_t)sim_below(sim, DAY_US);
		int64_t right_us = wrong_us + (2 + (int64_t)sim_below(sim, 10)) * HOUR_US;

		doom_at(estate, at_us, true);
		trouble_add(estate, &(struct trouble){
					    .kind = TROUBLE_COMMANDS,
					    .from_us = at_us,
					    .until_us = right_us,
				    });
		trouble_add(estate, &(struct trouble){
					    .kind = TROUBLE_CLOCK,
					    .from_us = wrong_us,
					    .until_us = right_us,
					    .value = ahead_us[sim_below(sim, ARRAY_LEN(ahead_us))],
				    });
		doom_at(estate, right_us + (int64_t)sim_below(sim, 5 * DAY_US), true);
	}
}

/* For as long as certificates of 45 days wait for their renewal, and a little less, so that many
 * end soon; in the end all are revoked, and then all are of one age. */
static void draw_absences(struct estate *estate)
{
	struct sim *sim = estate->sim;

	for (int64_t at_us = 40 * DAY_US; at_us < estate->end_us; at_us += 30 * DAY_US) {
		int64_t from_us = at_us + (int64_t)sim_below(sim, 5 * DAY_US);

		if (at_us + 30 * DAY_US > estate->end_us) {
			doom_at(estate, from_us, true);
			break;
		}
		trouble_add(estate, &(struct trouble){
					    .kind = TROUBLE_OFF,
					    .from_us = from_us,
					    .until_us = from_us + 12 * DAY_US +
							(int64_t)sim_below(sim, 3 * DAY_US),
				    });
	}
}

static void draw_trouble(struct estate *estate, const struct plot *plot)
{
	struct sim *sim = estate->sim;

	for (size_t i = 0; plot->hourly > 0 && i < estate->office_count; i++) {
		estate->trouble[estate->trouble_count++] = (struct trouble){
			.kind = TROUBLE_HOURLY,
			.which = i,
			.from_us = DAY_US + (int64_t)sim_below(sim, DAY_US),
			.until_us = estate->end_us,
			.value = plot->hourly,
		};
	}
	if (!plot->calm && plot->hourly == 0) {
		trouble_draw(estate);
	}
	for (unsigned i = 0; i < plot->outages; i++) {
		draw_outage(estate);
	}
	if (plot->clock) {
		draw_clock(estate);
	}
	if (plot->spread) {
		draw_absences(estate);
	}
	for (unsigned i = 0; i < plot->revocations; i++) {
		doom_at(estate, (int64_t)sim_below(sim, (uint64_t)plot->days * DAY_US), false);
	}
}

static void run_until(struct estate *estate, int64_t until_us)
{
	struct sim *sim = estate->sim;
	int64_t look_us = sim->now_us + KEYS_EACH_US;

	while (sim->now_us < until_us && !sim->violation[0] && sim_step(sim)) {
		host_look(estate);
		if (sim->now_us >= look_us) {
			look_us = sim->now_us + KEYS_EACH_US;
			estate_keys(estate);
			for (size_t i = 0; i < estate->office_count; i++) {
				office_tidy(&estate->office[i]);
			}
		}
	}
}

static void estate_free(struct estate *estate)
{
	host_end(estate);
	for (size_t i = 0; i < estate->office_count; i++) {
		office_free(&estate->office[i]);
	}
	for (size_t i = 0; i < estate->holding_count; i++) {
		strlist_clear(&estate->holding[i].names);
		free(estate->holding[i].version);
	}
	conf_free(estate->conf);
	free(estate->state);
	free(estate);
}

void scenario_fleet_run(uint64_t seed, const char *state, bool verbose,
			struct scenario_result *result)
{
	const struct plot plot = plot_of(seed);
	struct sim *sim = sim_new(seed);
	struct estate *estate;

	sim->verbose = verbose;
	sim->net = net_new();
	sim->spawned = host_spawned;
	calm_faults(sim);
	estate = estate_new(sim, state, &plot);
	sim->house = estate;
	invariants_init(state, estate->reachable);
	draw_trouble(estate, &plot);
	host_begin(estate);
	run_until(estate, estate->end_us);
	sim->calm = true;
	run_until(estate, sim->now_us + SETTLE_US);
	while (estate->host.renewer && !sim->violation[0] && sim_step(sim)) {
		host_look(estate); /* the last run ends */
	}
	host_sweep(estate);
	estate_settled(estate);
	sim_say(sim,
		"%s: %zu certificates, %u issued, %u revoked, %u runs, %u killed, %u stopped, %u "
		"commands",
		plot.what, estate->holding_count, estate->issued, estate->revoked,
		estate->host.runs, estate->host.kills, estate->host.stops, estate->host.commands);
	*result = (struct scenario_result){ .issued = estate->host.runs,
					    .killed = estate->host.kills,
					    .virtual_us = sim->now_us };
	snprintf(result->violation, sizeof(result->violation), "%s", sim->violation);
	invariants_end();
	estate_free(estate);
	net_free(sim->net);
	ca_free(sim->ca);
	sim_free(sim);
}
