/* scenario: one seed's run, from what goes wrong to what must hold afterwards. */
#ifndef DNS01_SIM_SCENARIO_H
#define DNS01_SIM_SCENARIO_H

#include "sim/world.h"

struct scenario_result {
	char violation[1024];            /* "": none */
	unsigned issued, failed, killed; /* runs */
	int64_t virtual_us;
};

/* Every eighth seed is about the broker, most others are about issuances. */
#define SCENARIO_BROKER_EACH 8
static inline bool scenario_is_broker(uint64_t seed)
{
	return seed % SCENARIO_BROKER_EACH == 2;
}

/* Few are about fleets over years: each takes as long as a hundred others. */
#define SCENARIO_FLEET_EACH 200
#define SCENARIO_FLEET_FIRST 7
static inline bool scenario_is_fleet(uint64_t seed)
{
	return seed % SCENARIO_FLEET_EACH == SCENARIO_FLEET_FIRST;
}

/* state is an empty folder, which is left full. */
void scenario_broker_run(uint64_t seed, const char *state, bool verbose,
			 struct scenario_result *result);
void scenario_fleet_run(uint64_t seed, const char *state, bool verbose,
			struct scenario_result *result);
void scenario_run(uint64_t seed, const char *state, bool verbose, struct scenario_result *result);

#endif
