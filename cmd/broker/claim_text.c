/* claim_text: a claim, and what failed, as JSON. */
#include "internal.h"

void err_put(struct buf *out, const char *key, enum policy_rule rule, const struct err *err)
{
	char *sentence = err_format(err);

	json_put_open(out, key, JSON_KIND_OBJECT);
	json_put_str(out, "code", err_code_name(err->code));
	json_put_str(out, "rule", rule != POLICY_GRANTED ? policy_rule_name(rule) : NULL);
	json_put_str(out, "text", sentence);
	if (err->retry_after_s > 0) {
		json_put_int(out, "retry_after_s", err->retry_after_s);
	}
	json_put_close(out, JSON_KIND_OBJECT);
	free(sentence);
}

static void put_server(struct buf *out, const struct timeline *timeline, int64_t started_us)
{
	char address[ADDR_TEXT_MAX];

	json_put_open(out, NULL, JSON_KIND_OBJECT);
	json_put_str(out, "server", timeline->server);
	if (timeline->addr.len > 0) {
		addr_format(address, &timeline->addr, DNS_PORT);
		json_put_str(out, "address", address);
	}
	json_put_str(out, "state", server_state_name(timeline->state));
	json_put_int(out, "questions", timeline->questions);
	json_put_str(out, "said", timeline->said);
	if (timeline->seen_us > 0) {
		json_put_int(out, "seen_ms", (timeline->seen_us - started_us) / 1000);
	}
	json_put_close(out, JSON_KIND_OBJECT);
}

static void put_servers(struct buf *out, const struct claim *claim)
{
	size_t count;
	const struct timeline *timeline = claim_timeline(claim, &count);

	if (count == 0) {
		return;
	}
	json_put_open(out, "servers", JSON_KIND_ARRAY);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(timeline[i].zone, claim->zone) == 0) {
			put_server(out, &timeline[i], claim->started_us);
		}
	}
	json_put_close(out, JSON_KIND_ARRAY);
}

void claim_put(struct buf *out, const char *key, const struct claim *claim,
	       const struct err *reason)
{
	char when[32];

	json_put_open(out, key, JSON_KIND_OBJECT);
	json_put_str(out, "id", claim->id);
	json_put_str(out, "client", claim->client);
	json_put_str(out, "state", claim_state_name(claim->state));
	json_put_str(out, "name", claim->name);
	json_put_str(out, "owner", claim->owner);
	json_put_str(out, "value", claim->value);
	json_put_str(out, "view", claim->view);
	json_put_str(out, "zone", claim->zone);
	if (claim->expires_at > 0) {
		time_format(when, claim->expires_at);
		json_put_str(out, "expires_at", when);
	}
	if (claim->published_us > 0) {
		json_put_int(out, "published_ms", (claim->published_us - claim->started_us) / 1000);
	}
	if (claim->visible_us > 0) {
		json_put_int(out, "visible_ms", (claim->visible_us - claim->started_us) / 1000);
	}
	put_servers(out, claim);
	if (reason) {
		err_put(out, "error", POLICY_GRANTED, reason);
	} else if (claim->err) {
		err_put(out, "error", claim->rule, claim->err);
	}
	json_put_close(out, JSON_KIND_OBJECT);
}
