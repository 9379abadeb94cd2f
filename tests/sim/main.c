/*
 * sim: runs scenarios, each from one seed, and looks for what must never happen.
 *
 *   sim --seeds N [--from SEED]   prints TAP, a line for each hundred
 *   sim --fleets N                so many of those about fleets, a line for each
 *   sim --seed SEED [-v]          one, exactly as it was; -v tells what happens
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <openssl/rand.h>
#include <sys/stat.h>

#include "sim/ca.h"
#include "sim/scenario.h"

#define BLOCK 100
#define SHOWN_MAX 10 /* failing seeds that are told of a block */

/* ---- OpenSSL's chance, so that a seed's keys are its own ---- */

static uint64_t rand_state;

static int rand_octets(unsigned char *out, int len)
{
	for (int i = 0; i < len; i++) {
		rand_state = rand_state * 6364136223846793005 + 1442695040888963407;
		out[i] = (unsigned char)(rand_state >> 40);
	}
	return 1;
}

static int rand_ready(void)
{
	return 1;
}

static const RAND_METHOD rand_method = {
	.bytes = rand_octets,
	.pseudorand = rand_octets,
	.status = rand_ready,
};

/* ---- folders ---- */

static void remove_tree(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;

	while (folder && (entry = readdir(folder))) {
		char *item = path_join(path, entry->d_name);
		struct stat status;

		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			if (lstat(item, &status) == 0 && S_ISDIR(status.st_mode)) {
				remove_tree(item);
			} else {
				unlink(item);
			}
		}
		free(item);
	}
	if (folder) {
		closedir(folder);
	}
	rmdir(path);
}

static char *new_folder(void)
{
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
	char *path = xasprintf("%s/dns01-sim-XXXXXX", base ? base : "/tmp");

	if (!mkdtemp(path)) {
		fprintf(stderr, "sim: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	return path;
}

/* ---- seeds ---- */

static bool run_seed(uint64_t seed, const char *folder, bool verbose,
		     struct scenario_result *result)
{
	char *state = xasprintf("%s/%llu", folder, (unsigned long long)seed);

	rand_state = seed;
	if (mkdir(state, 0700) != 0) {
		fprintf(stderr, "sim: %s: %s\n", state, strerror(errno));
		exit(1);
	}
	if (scenario_is_fleet(seed)) {
		scenario_fleet_run(seed, state, verbose, result);
	} else if (scenario_is_broker(seed)) {
		scenario_broker_run(seed, state, verbose, result);
	} else {
		scenario_run(seed, state, verbose, result);
	}
	remove_tree(state);
	free(state);
	return result->violation[0] == '\0';
}

static void show(uint64_t seed, const struct scenario_result *result)
{
	printf("# seed %llu: %s\n#   once more: make sim SEED=%llu\n", (unsigned long long)seed,
	       result->violation, (unsigned long long)seed);
}

struct tally {
	unsigned issued, failed, killed, violated;
};

/* Seeds from, from + step, ... */
struct seeds {
	uint64_t from, count, step;
};

static bool run_block(const struct seeds *seeds, const char *folder, struct tally *all)
{
	unsigned bad = 0;

	for (uint64_t i = 0; i < seeds->count; i++) {
		uint64_t seed = seeds->from + i * seeds->step;
		struct scenario_result result;

		if (!run_seed(seed, folder, false, &result) && ++bad <= SHOWN_MAX) {
			show(seed, &result);
		}
		all->issued += result.issued;
		all->failed += result.failed;
		all->killed += result.killed;
	}
	all->violated += bad;
	return bad == 0;
}

static bool run_seeds(const struct seeds *seeds, const char *folder)
{
	uint64_t each = seeds->step == 1 ? BLOCK : 1;
	struct tally all = { 0 };
	unsigned number = 0;

	printf("1..%llu\n", (unsigned long long)((seeds->count + each - 1) / each));
	for (uint64_t done = 0; done < seeds->count; done += each) {
		struct seeds block = { seeds->from + done * seeds->step,
				       seeds->count - done < each ? seeds->count - done : each,
				       seeds->step };
		bool good = run_block(&block, folder, &all);

		printf("%s %u - seeds %llu to %llu\n", good ? "ok" : "not ok", ++number,
		       (unsigned long long)block.from,
		       (unsigned long long)(block.from + (block.count - 1) * block.step));
		fflush(stdout);
	}
	printf("# runs that reached their end: %u, that failed as they should: %u, killed: %u; "
	       "seeds that broke an invariant: %u\n",
	       all.issued, all.failed, all.killed, all.violated);
	return all.violated == 0;
}

static bool run_one(uint64_t seed, const char *folder, bool verbose)
{
	struct scenario_result result;
	bool good = run_seed(seed, folder, verbose, &result);

	printf("1..1\n");
	if (!good) {
		show(seed, &result);
	}
	printf("# runs that reached their end: %u, that failed: %u, killed: %u; %.1f virtual s\n",
	       result.issued, result.failed, result.killed, (double)result.virtual_us / 1e6);
	printf("%s 1 - seed %llu\n", good ? "ok" : "not ok", (unsigned long long)seed);
	return good;
}

static void drop_log(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static void show_log(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	printf("#     %s\n", line);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "seeds", required_argument, NULL, 'n' },
		{ "from", required_argument, NULL, 'f' },
		{ "fleets", required_argument, NULL, 'F' },
		{ "seed", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	struct seeds seeds = { 1, 200, 1 };
	uint64_t seed = UINT64_MAX;
	bool verbose = false, good = true, read = true;
	char *folder;
	int id;

	while ((id = getopt_long(argc, argv, "v", longs, NULL)) != -1) {
		verbose = verbose || id == 'v';
		read = read && id != '?' &&
		       (strchr("nF", id) == NULL ||
			text_parse_u64(optarg, 10000000, &seeds.count)) &&
		       (id != 'f' ||
			text_parse_u64(optarg, UINT64_MAX - seeds.count, &seeds.from)) &&
		       (id != 's' || text_parse_u64(optarg, UINT64_MAX - 1, &seed));
		if (id == 'F') {
			seeds.from = SCENARIO_FLEET_FIRST;
			seeds.step = SCENARIO_FLEET_EACH;
		}
	}
	if (!read || optind < argc) {
		fprintf(stderr, "usage: sim --seeds N [--from SEED] | --fleets N | "
				"--seed SEED [-v]\n");
		return 2;
	}
	log_set_sink(verbose ? show_log : drop_log, NULL);
	log_set_level(verbose ? LOG_DEBUG_LEVEL : LOG_ERROR_LEVEL);
	RAND_set_rand_method(&rand_method);
	issuer_start();
	folder = new_folder();
	good = seed != UINT64_MAX ? run_one(seed, folder, verbose) : run_seeds(&seeds, folder);
	remove_tree(folder);
	free(folder);
	issuer_end();
	return good ? 0 : 1;
}
