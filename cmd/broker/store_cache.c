/* store_cache: what the broker asked clients.db since another process changed it. */
#include "internal.h"

#include <search.h>

#define ANSWERS_MAX 20000

/* One answer: of a token, or whether there is any client below a name. */
struct answer {
	char *key;
	struct token_row *token;
	bool any;
};

struct store_cache {
	void *answers; /* tsearch tree */
	size_t count;
	int64_t version;
	struct world_timer *looked; /* ends with this turn of the loop */
};

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct answer *)a)->key, ((const struct answer *)b)->key);
}

static void free_answer(void *node)
{
	struct answer *answer = node;

	token_row_free(answer->token);
	free(answer->key);
	free(answer);
}

static void clear(struct store_cache *cache)
{
	tdestroy(cache->answers, free_answer);
	cache->answers = NULL;
	cache->count = 0;
}

void store_forget(struct broker *broker)
{
	if (broker->cache) {
		world_timer_cancel(broker->world, broker->cache->looked);
		clear(broker->cache);
		free(broker->cache);
		broker->cache = NULL;
	}
}

static void on_turn_over(void *arg)
{
	struct store_cache *cache = arg;

	cache->looked = NULL;
}

void store_look(struct broker *broker)
{
	struct store_cache *cache = broker->cache;
	int64_t version = 0;
	struct err err;

	if (!cache) {
		cache = broker->cache = xcalloc(1, sizeof(*cache));
	}
	if (cache->looked) {
		return;
	}
	cache->looked = world_timer_start(broker->world, 0, on_turn_over, cache);
	if (clients_version(broker->clients, &version, &err) != ERR_NONE ||
	    version != cache->version || cache->count > ANSWERS_MAX) {
		clear(cache);
		cache->version = version;
	}
}

#define KEY_MAX 2048 /* "below", a client's name, a domain name with escapes */

/* *known: it was answered before. */
static struct answer *find(struct broker *broker, const char *key, bool *known)
{
	struct store_cache *cache = broker->cache;
	struct answer asked = { .key = (char *)(uintptr_t)key };
	struct answer **found = tfind(&asked, &cache->answers, by_key);
	struct answer *answer;

	*known = found != NULL;
	if (found) {
		return *found;
	}
	answer = xcalloc(1, sizeof(*answer));
	answer->key = xstrdup(key);
	tsearch(answer, &cache->answers, by_key);
	cache->count++;
	return answer;
}

static void drop(struct broker *broker, struct answer *answer)
{
	tdelete(answer, &broker->cache->answers, by_key);
	broker->cache->count--;
	free_answer(answer);
}

const struct token_row *store_token(struct broker *broker, const char *id)
{
	struct err err;
	bool known;
	struct answer *answer;
	enum err_code code;
	char key[KEY_MAX];

	if (snprintf(key, sizeof(key), "token %s", id) >= KEY_MAX) {
		return NULL; /* no token has such an id */
	}
	answer = find(broker, key, &known);
	if (known) {
		return answer->token;
	}
	code = tokens_find(broker->clients, id, &answer->token, &err);
	if (code != ERR_NONE) {
		/* Strangers do not fill the memory with what they make up. */
		drop(broker, answer);
		return NULL;
	}
	return answer->token;
}

bool store_any_below(struct broker *broker, const char *name, const char *but)
{
	struct err err;
	bool known;
	struct answer *answer;
	char key[KEY_MAX];

	if (snprintf(key, sizeof(key), "below %s %s", but, name) >= KEY_MAX) {
		return true;
	}
	answer = find(broker, key, &known);
	if (!known &&
	    clients_any_below(broker->clients, name, but, &answer->any, &err) != ERR_NONE) {
		drop(broker, answer);
		return true; /* not known: as if there were one */
	}
	return answer->any;
}
