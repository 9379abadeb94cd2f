/* oauth: bearer tokens as OAuth 2.0 gives them (RFC 6749). */
#include "dns01/rest.h"

enum rest_next rest_ask_token(struct rest_walk *walk, const char *url, const char *const pairs[][2])
{
	rest_ask_at(walk, "POST", url);
	rest_body(walk, "application/x-www-form-urlencoded", rest_form(pairs));
	rest_repeatable(walk);
	return REST_SEND;
}

/* RFC 6749 s.5.1: expires_in is a number; Azure's machines have it in a string. */
enum rest_next rest_take_token(struct rest_walk *walk, const struct rest_answer *answer)
{
	const char *token = json_str(answer->json, "access_token");
	const char *text = json_str(answer->json, "expires_in");
	uint64_t lives_s = 0;

	if (!token) {
		return rest_lacks(walk, "the token");
	}
	if (!text || !text_parse_u64(text, INT32_MAX, &lives_s)) {
		lives_s = (uint64_t)json_int(answer->json, "expires_in", 0);
	}
	rest_token(walk, token, (int64_t)lives_s);
	return REST_DONE;
}
