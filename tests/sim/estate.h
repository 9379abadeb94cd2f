/*
 * estate: a host with a fleet of certificates, the CAs that issue them, and what befalls all of
 * them over years.
 *
 *   scenario_fleet.c      what a seed means
 *   estate_host.c         the host: its timer, clock and disk, kills, the commands that deploy
 *   estate_ca.c           CAs with lifetimes, limits, renewal information and revocations
 *   estate_trouble.c      what goes wrong, and when
 *   estate_invariants.c   what must hold
 */
#ifndef DNS01_SIM_ESTATE_H
#define DNS01_SIM_ESTATE_H

#include "dns01/issue.h"
#include "dns01/store.h"
#include "sim/ca.h"
#include "sim/net.h"
#include "sim/scenario.h"

#define SECOND_US ((int64_t)1000000)
#define HOUR_US (3600 * SECOND_US)
#define DAY_US (24 * HOUR_US)

#define HOLDINGS_MAX 300
#define OFFICES_MAX 3
#define COMMANDS_MAX 2 /* of a certificate */
#define GOOD_KEPT 100
#define GOOD_ENOUGH 3 /* runs, where no limit holds any back */
#define TROUBLES_MAX 400
#define TALLY_MAX \
	5 /* certificates of one set of names in a week; failed validations of one
		       * name in an hour */
#define DUPLICATES_US (7 * DAY_US)
#define VERSION_MAX 16

struct estate;

/* ---- what there is ---- */

/* A version of a lineage that was seen on disk. */
struct version {
	char name[VERSION_MAX];
	uint8_t file[32]; /* SHA-256 of its key file */
};

/* A command of a certificate. */
struct chore {
	char done[VERSION_MAX]; /* the latest version that it was run for, and well */
	bool unknown;           /* who started it died before it heard of that */
	unsigned left;          /* good hours since there is a version that it was not run for */
};

/* One certificate of the configuration. */
struct holding {
	struct estate *estate;
	size_t index;
	char name[24];
	struct strlist names;    /* another may have one of them, or all */
	bool paired;             /* another has all of them */
	bool second;             /* it has another kind of key than the one that has them, too */
	bool strict;             /* it demands its CA's best profile */
	size_t office, fallback; /* by index; fallback OFFICES_MAX: none */
	size_t zone;
	int64_t arrives_us; /* it comes into the configuration then; 0: it did */
	int64_t renew_before_s;
	size_t chores;
	bool exports;
	bool configured;
	unsigned edition;
	/* as it is on disk */
	char current[VERSION_MAX];
	char serial[48];
	int64_t not_before_s, not_after_s;
	struct version *version;
	size_t version_count;
	/* the oracle's */
	int64_t good_us[GOOD_KEPT]; /* the ends of the last runs that nothing disturbed for it, one
				     * an hour at most */
	unsigned good;              /* all of them since it was configured as it is */
	struct chore chore[COMMANDS_MAX];
	int64_t spoiled_us; /* the end of the last run that was not good */
	unsigned passed;    /* runs that ordered others, which were less urgent */
	int64_t since_us;   /* it is configured as it is */
};

/* A certificate that a CA issued. */
struct deed {
	struct holding *holding;
	unsigned edition; /* of the holding's names */
	struct ca_leaf leaf;
	int64_t issued_us;
	int64_t doomed_us, revoked_us; /* 0: never */
	unsigned good;                 /* as of a holding, since the host could know it */
	bool replaced, stored;
	struct deed *next;
};

/* Times that a CA counts, of a name or a set of them, ascending; 0: none yet. */
struct tally {
	char *of;
	int64_t at_us[TALLY_MAX];
	struct tally *next;
};

/* A CA, as its clerks see it. */
struct office {
	struct estate *estate;
	size_t index;
	char url[32];
	char account[16];
	struct ca *ca;
	int64_t life_s;
	size_t limit; /* orders in three hours */
	bool has_ari;
	bool profiles; /* it offers two */
	bool binds;    /* it makes accounts with an external binding only, by this key */
	uint8_t binding[32];
	int64_t ask_again_s; /* Retry-After of renewal information */
	int64_t *order_us;   /* times of orders that count, ascending */
	size_t order_count, order_cap, order_first;
	struct tally *failures; /* validations, by name */
	struct tally *sets;     /* certificates that count, by all names */
	struct deed *deeds;
	int64_t left_most; /* of all that it got ordered in this run, ppm of their lives */
	/* troubles, now */
	int64_t down, ari, profile; /* 0: not; else how */
	bool blind, busy;
	int64_t far_us;  /* when it last spoke of windows far away */
	int64_t past_us; /* when it last wanted all of them renewed at once, for nothing */
	unsigned enough; /* good runs that it takes to renew all, with its limit */
	unsigned hurry;  /* the same where all are urgent */
};

/* ---- what goes wrong ---- */

/* How a CA is down. */
enum { DOWN_BREAKS = 1, DOWN_503, DOWN_503_FOR_YEARS, DOWN_SILENT };
/* What became of its best profile: its directory does not name it any more, or does, and orders for
 * it are refused. */
enum { PROFILE_GONE = 1, PROFILE_REFUSED };
#define PROFILE_BEST "short" /* two thirds of the life */
#define PROFILE_PLAIN "plain"
/* How its renewal information is broken. */
enum { ARI_GARBAGE = 1, ARI_503, ARI_FOR_YEARS, ARI_BACKWARDS, ARI_404, ARI_FAR, ARI_PAST };

enum trouble_kind {
	TROUBLE_DOWN,    /* which: the CA; value: how */
	TROUBLE_HOURLY,  /* the CA is up in one hour of value hours */
	TROUBLE_BLIND,   /* the CA finds no record */
	TROUBLE_BUSY,    /* the CA takes no new orders, and says when it will */
	TROUBLE_ARI,     /* value: how */
	TROUBLE_PROFILE, /* value: how */
	TROUBLE_PRIMARY,
	TROUBLE_SECONDARY, /* which: the zone */
	TROUBLE_DISK,
	TROUBLE_CLOCK, /* value: how far it is ahead, us */
	TROUBLE_OFF,   /* the host is */
	TROUBLE_COMMANDS,
	TROUBLE_NETWORK,
	TROUBLE_KINDS
};

struct trouble {
	enum trouble_kind kind;
	size_t which;
	int64_t from_us, until_us, value;
};

/* ---- the host ---- */

/* A process; one that was killed stays until the end, since old timers know it. */
struct renewer {
	struct sim_process process;
	struct estate *estate;
	struct journal *journal;
	struct renewals *renewals;
	struct dns_client *dns;
	struct fleet *fleet;
	struct err err; /* it could not be begun */
	bool done;
	int64_t begun_us, next_us; /* next: when a loop wants to go on */
	unsigned kill_at, stop_at; /* its own steps; 0: never */
	int64_t stopped_us;        /* it was asked to stop; 0: it was not */
	bool busy;                 /* this run had something to do */
	unsigned again;            /* hours that it may stand in for those that come after it */
	struct renewer *next;
};

struct host {
	struct renewer *renewer; /* that is at work; NULL: none is */
	/* It had nothing to do, and does the next hour's run too: a process that opens all files
	 * anew costs many times what it looks for. */
	struct renewer *idle;
	struct renewer *killed;
	/* Held open between two processes, or each would read SQLite's whole log anew, as it does
	 * after a kill. */
	struct renewals *kept;
	bool full, limited; /* its disk, as it should be and as it is */
	bool commands_fail;
	int64_t ahead_us; /* of its clock */
	int64_t phase_us; /* into each hour, of its timer */
	unsigned runs, kills, stops, commands;
};

struct estate {
	struct sim *sim;
	char *state;
	struct conf *conf; /* what the next process reads */
	struct holding holding[HOLDINGS_MAX];
	size_t holding_count;
	struct office office[OFFICES_MAX];
	size_t office_count;
	struct trouble trouble[TROUBLES_MAX];
	size_t trouble_count;
	int64_t changes_us;           /* when the next of them begins or ends */
	int64_t clock_us;             /* when the host's clock was last wrong */
	bool loops;                   /* `renew --loop` */
	bool reachable;               /* quorum */
	bool dead_secondary;          /* always */
	unsigned parallel, kill_each; /* one of so many runs is killed; 0: none */
	int64_t end_us;               /* of all trouble */
	int64_t hour_us;              /* when a run was last counted */
	struct host host;
	bool look;           /* something may have changed on disk */
	bool littered;       /* the last run that did something left records, or rows */
	unsigned amend_each; /* one of so many runs comes after a change; 0: none */
	unsigned issued, revoked;
};

/* ---- scenario_fleet.c ---- */

/* Between two runs: changes the configuration, if it is time. */
bool estate_amend(struct estate *estate);

/* ---- estate_trouble.c ---- */

/* Draws what goes wrong until end_us. */
void trouble_draw(struct estate *estate);
/* What is wrong now, into offices, zones and host. */
void trouble_look(struct estate *estate);
/* Whether something was wrong between the two, for that certificate; or (holding NULL) for
 * commands. */
struct span {
	int64_t from_us, until_us;
};
bool trouble_was(const struct estate *estate, const struct holding *holding, struct span span);
bool trouble_of_ari(const struct estate *estate, size_t office, struct span span);
/* The same for a CA's renewal information; for its being reached; for its profiles; for what keeps
 * records from being removed. */
bool trouble_of_reach(const struct estate *estate, size_t office, struct span span);
bool trouble_of_profile(const struct estate *estate, size_t office, struct span span);
bool trouble_of_records(const struct estate *estate, struct span span);
/* One more. */
void trouble_add(struct estate *estate, const struct trouble *trouble);
/* When the host is on again; 0: it is. */
int64_t trouble_off_until(const struct estate *estate);

/* ---- estate_host.c ---- */

void host_begin(struct estate *estate);
void host_look(struct estate *estate);  /* after each event */
void host_sweep(struct estate *estate); /* once, when all runs are over */
void host_end(struct estate *estate);
void host_spawned(struct sim *sim, struct sim_process *process, const struct spawn_request *request,
		  struct sim_command *out);

/* ---- estate_ca.c ---- */

extern const struct ca_rules estate_rules, estate_plain_rules;
/* So many certificates of a CA, in percent, are to be revoked lead_us from now. */
void office_doom(struct office *office, unsigned percent, int64_t lead_us);
void office_tidy(struct office *office); /* forgets what is long over */
/* What a run that was killed did not hear of: no failed validation since then counts. */
void office_forgive(struct office *office, int64_t since_us);
void office_free(struct office *office);

/* ---- estate_invariants.c ---- */

/* Before each run, and at the end. */
void estate_expired(struct estate *estate);
void estate_revoked(struct estate *estate);
/* A run came to its own end, or was asked to: what it published is removed. */
void estate_clean(struct estate *estate, struct span span);
/* A run came to its own end. */
void estate_ran(struct estate *estate, struct span span);
/* What is on disk now. */
void estate_disk(struct estate *estate);
void estate_keys(struct estate *estate); /* those that were seen before are the same */
/* A CSR came: whose it is of those that have these names, by its key, which is on disk; NULL: it
 * is nobody's. */
struct holding *estate_finalized(struct estate *estate, const struct strlist *names,
				 const uint8_t key[32]);
/* A command ended well for that lineage. told: who started it could hear of that. */
void estate_chore(struct holding *holding, size_t chore, const char *version, bool told);
/* No run was spoiled for it for more than a day: it waits for nothing but its turn. */
bool estate_is_steady(const struct holding *holding);
bool estate_same_names(const struct strlist *a, const struct strlist *b);
void estate_version_of(const struct holding *holding, char out[VERSION_MAX]);
/* At the end of everything, after a while without trouble. */
void estate_settled(struct estate *estate);

#endif
