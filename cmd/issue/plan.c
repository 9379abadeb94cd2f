/*
 * plan: what is due, when, and why; from plain data alone.
 *
 * A certificate is due when it is missing or not what the configuration says, else
 * when the CA suggests it (RFC 9773), else by its lifetime. A failure holds it back
 * for a while, see backoff.c; and so does a CA that would try none of its names now.
 */
#include "dns01/issue.h"

#include <assert.h>

#define DAY_S ((int64_t)86400)
#define PPM 1000000
#define SHORT_LIFE_S (10 * DAY_S) /* half of it instead of a third */
/* A renewal that comes just after an issuance would come after each: at most one a day, or a
 * tenth of a short life. Never a quarter of its life before that was reached. */
#define GAP_MAX_S DAY_S
#define HURRIED_RANK (PPM / 10)
#define CHANGED_RANK (PPM / 2)
#define MISSING_RANK 0
#define TIME_FAR \
	((int64_t)1 << 48) /* s: no certificate ends later; sums of these do not overflow */
#define TEXT_MAX 4096
#define NAMES_SHOWN_MAX 1000

static const char *const state_names[] = {
	[PLAN_WAITS] = "waits",
	[PLAN_DUE] = "due",
	[PLAN_BACKS_OFF] = "backs-off",
	[PLAN_PAUSED] = "paused",
};
static_assert(ARRAY_LEN(state_names) == PLAN_STATE_COUNT, "a name for each state");

static const char *const reason_names[] = {
	[PLAN_MISSING] = "missing",     [PLAN_NAMES] = "names",     [PLAN_KEY_TYPE] = "key-type",
	[PLAN_ACCOUNT] = "account",     [PLAN_PROFILE] = "profile", [PLAN_CHAIN] = "chain",
	[PLAN_REVOKED] = "revoked",     [PLAN_EXPIRED] = "expired", [PLAN_WINDOW] = "window",
	[PLAN_BEFORE] = "renew-before", [PLAN_LIFE] = "life",       [PLAN_LAST] = "last",
	[PLAN_FORCED] = "forced",
};
static_assert(ARRAY_LEN(reason_names) == PLAN_REASON_COUNT, "a name for each reason");

const char *plan_state_name(enum plan_state state)
{
	return state < PLAN_STATE_COUNT ? state_names[state] : "?";
}

const char *plan_reason_name(enum plan_reason reason)
{
	return reason < PLAN_REASON_COUNT ? reason_names[reason] : "?";
}

/* ---- when ---------------------------------------------------------------------------- */

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
	return value < least ? least : value > most ? most : value;
}

static int64_t min_of(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t ends_at(const struct renewal *row)
{
	return clamp(row->not_after, 0, TIME_FAR);
}

/* At least a second. */
static int64_t life_of(const struct renewal *row)
{
	return clamp(ends_at(row) - clamp(row->not_before, 0, TIME_FAR), 1, TIME_FAR);
}

static bool has_window(const struct renewal *row)
{
	return row->window_start > 0 && row->window_end > row->window_start;
}

static int64_t by_life(const struct renewal *row)
{
	int64_t life = life_of(row);
	int64_t left = life / (life < SHORT_LIFE_S ? 2 : 3);
	int64_t jitter = clamp(row->jitter_ppm, 0, PPM / 10);

	/* in two parts: life times a million might be too large */
	return ends_at(row) - left - life / PPM * jitter - life % PPM * jitter / PPM;
}

/* renew_before may be longer than the life that a new profile gives: a quarter of it is used
 * all the same, or each run would renew. */
static int64_t by_setting(const struct plan_input *input)
{
	int64_t life = life_of(input->row);

	return ends_at(input->row) - clamp(input->renew_before_s, 0, life - life / 4);
}

static int64_t due_at(const struct plan_input *input, enum plan_reason *reason)
{
	const struct renewal *row = input->row;
	int64_t life = life_of(row);
	int64_t last = ends_at(row) - life / 10;
	int64_t at;

	if (input->renew_before_s > 0) {
		*reason = PLAN_BEFORE;
		at = by_setting(input);
		if (row->hurried && has_window(row) && row->draw_at < at) {
			*reason = PLAN_WINDOW;
			at = row->draw_at;
		}
	} else if (has_window(row)) {
		*reason = row->draw_at <= last ? PLAN_WINDOW : PLAN_LAST;
		at = min_of(row->draw_at, last);
	} else {
		*reason = PLAN_LIFE;
		at = by_life(row);
	}
	if (row->issued_at <= input->now_s) {
		int64_t earliest =
			clamp(row->issued_at, 0, TIME_FAR) + min_of(GAP_MAX_S, life / 10);

		at = at < earliest ? earliest : at;
	}
	return at;
}

/* RFC 9773 s.4.2: what falls before the next look is done at this one; but not before the
 * window begins, while the next look will still be in it. */
static bool is_time(const struct plan_input *input, const struct plan *plan)
{
	const struct renewal *row = input->row;
	int64_t next = input->now_s + input->wake_s;

	if (plan->at_s <= input->now_s) {
		return true;
	}
	return plan->reason == PLAN_WINDOW && plan->at_s <= next &&
	       (row->window_start <= input->now_s || row->window_end <= next);
}

/* ---- changed ------------------------------------------------------------------------- */

static bool differs(const char *then, const char *now)
{
	return then && strcmp(then, now ? now : "") != 0;
}

static bool changed(const struct plan_input *input, enum plan_reason *reason)
{
	const struct renewal *row = input->row;

	if (differs(row->names, input->names)) {
		*reason = PLAN_NAMES;
	} else if (differs(row->key_type, input->key_type)) {
		*reason = PLAN_KEY_TYPE;
	} else if (row->account && !strlist_has(input->accounts, row->account)) {
		*reason = PLAN_ACCOUNT;
	} else if (differs(row->wish, input->wish)) {
		*reason = PLAN_PROFILE;
	} else if (differs(row->chain, input->chain)) {
		*reason = PLAN_CHAIN;
	} else {
		return false;
	}
	return true;
}

/* ---- the verdict ----------------------------------------------------------------------- */

static int64_t rank_of(const struct plan_input *input, const struct plan *plan)
{
	const struct renewal *row = input->row;
	int64_t life, left, rank;

	if (plan->reason == PLAN_MISSING || plan->reason == PLAN_REVOKED) {
		return MISSING_RANK;
	}
	life = life_of(row);
	left = clamp(ends_at(row) - clamp(input->now_s, 0, TIME_FAR), -life, life);
	rank = left / (life / PPM + 1); /* close enough, and never too large */
	if (life < TIME_FAR / PPM) {
		rank = left * PPM / life;
	}
	if (plan->reason == PLAN_WINDOW && row->window_end <= input->now_s) {
		rank = min_of(rank, HURRIED_RANK);
	} else if (plan->reason >= PLAN_NAMES && plan->reason <= PLAN_CHAIN) {
		rank = min_of(rank, CHANGED_RANK);
	}
	return rank;
}

/* A clock that went back to before the failure does not hold anything back. */
static bool backs_off(const struct plan_input *input)
{
	const struct renewal *row = input->row;

	return row && row->failures > 0 && input->now_s >= row->failed_at &&
	       input->now_s < row->retry_at;
}

/* Longer than it backs off by itself. */
static bool is_held(const struct plan_input *input)
{
	return input->now_s < input->held_until &&
	       !(backs_off(input) && input->row->retry_at >= input->held_until);
}

static void hold_back(const struct plan_input *input, struct plan *plan)
{
	const struct renewal *row = input->row;

	if (plan->state != PLAN_DUE || input->force) {
		return;
	}
	if (row && row->failures > 0 && row->paused) {
		plan->state = PLAN_PAUSED;
	} else if (is_held(input)) {
		plan->state = PLAN_BACKS_OFF;
		plan->at_s = input->held_until;
	} else if (backs_off(input)) {
		plan->state = PLAN_BACKS_OFF;
		plan->at_s = row->retry_at;
	}
}

void plan_make(const struct plan_input *input, struct plan *out)
{
	const struct renewal *row = input->row;
	struct plan plan = { .state = PLAN_DUE, .at_s = input->now_s };

	if (!row || !row->serial) {
		plan.reason = PLAN_MISSING;
	} else if (row->revoked_at > 0) {
		plan.reason = PLAN_REVOKED;
		plan.at_s = min_of(row->revoked_at, input->now_s);
	} else if (changed(input, &plan.reason)) {
		plan.at_s = input->now_s;
	} else if (input->now_s >= ends_at(row)) {
		plan.reason = PLAN_EXPIRED;
		plan.at_s = ends_at(row);
	} else {
		plan.at_s = due_at(input, &plan.reason);
		plan.state = is_time(input, &plan) ? PLAN_DUE : PLAN_WAITS;
	}
	if (input->force && plan.state == PLAN_WAITS) {
		plan.state = PLAN_DUE;
		plan.reason = PLAN_FORCED;
		plan.at_s = input->now_s;
	}
	plan.rank = rank_of(input, &plan);
	plan.exempt = row && has_window(row) && row->window_start <= input->now_s &&
		      input->now_s < row->window_end;
	hold_back(input, &plan);
	*out = plan;
}

/* What is replaced anyway needs no window; but if it fails over and over, then it matters whether
 * what is there is about to be revoked. */
static bool is_of_interest(const struct renewal *row, enum plan_reason reason)
{
	if (reason >= PLAN_NAMES && reason <= PLAN_CHAIN) {
		return row->failures > 0;
	}
	return reason >= PLAN_WINDOW && reason != PLAN_FORCED;
}

bool plan_asks(const struct plan_input *input, const struct plan *plan)
{
	const struct renewal *row = input->row;

	if (!row || !row->serial || !row->cert_id || !is_of_interest(row, plan->reason)) {
		return false;
	}
	/* The answer may be a day old at most: a clock that went back does not lengthen that. */
	return input->now_s >= row->ask_at || row->ask_at - input->now_s > DAY_S;
}

/* ---- the sentence ---------------------------------------------------------------------- */

static bool has_word(const char *words, const char *word, size_t len)
{
	for (const char *at = words; *at;) {
		size_t here = strcspn(at, " ");

		if (here == len && memcmp(at, word, len) == 0) {
			return true;
		}
		at += here + (at[here] == ' ');
	}
	return false;
}

/* " +NAME" or " -NAME" for each of words that is not in others. */
static void add_difference(struct buf *text, char sign, const char *words, const char *others)
{
	for (const char *at = words; *at && text->len < NAMES_SHOWN_MAX;) {
		size_t len = strcspn(at, " ");

		if (len > 0 && !has_word(others, at, len)) {
			buf_addf(text, " %c%.*s", sign, (int)len, at);
		}
		at += len + (at[len] == ' ');
	}
}

static const char *or_none(const char *text)
{
	return text && text[0] ? text : "none";
}

static void add_change(struct buf *text, const char *what, const char *then, const char *now)
{
	buf_addf(text, "its %s changed: %s, now %s", what, or_none(then), or_none(now));
}

static void add_window(struct buf *text, const struct renewal *row)
{
	char start[32], end[32];

	time_format(start, row->window_start);
	time_format(end, row->window_end);
	buf_addf(text, "the CA suggests %s to %s", start, end);
	if (row->explanation) {
		buf_addf(text, " (why: %s)", row->explanation);
	}
}

/* The moment drawn is what the plan shows beside it, unless it is past, or too soon. */
static void add_draw(struct buf *text, const struct renewal *row, const struct plan *plan)
{
	char time[32];

	time_format(time, row->draw_at);
	if (plan->state != PLAN_WAITS || plan->at_s != row->draw_at) {
		buf_addf(text, ", drawn %s", time);
	}
	if (plan->state == PLAN_WAITS && plan->at_s > row->draw_at) {
		buf_add_str(text, ", too soon after it was issued");
	}
}

static void add_reason(struct buf *text, const struct plan_input *input, const struct plan *plan)
{
	const struct renewal *row = input->row;
	char time[32];

	switch (plan->reason) {
	case PLAN_MISSING:
		buf_add_str(text, row && row->stamp ? "its files are damaged"
						    : "there is no certificate yet");
		break;
	case PLAN_NAMES:
		buf_add_str(text, "its names changed:");
		add_difference(text, '+', input->names, row->names);
		add_difference(text, '-', row->names, input->names);
		break;
	case PLAN_KEY_TYPE:
		add_change(text, "key type", row->key_type, input->key_type);
		break;
	case PLAN_ACCOUNT:
		add_change(text, "account", row->account,
			   input->accounts->count > 0 ? input->accounts->item[0] : NULL);
		break;
	case PLAN_PROFILE:
		add_change(text, "profile", row->wish, input->wish);
		break;
	case PLAN_CHAIN:
		add_change(text, "chain", row->chain, input->chain);
		break;
	case PLAN_REVOKED:
		time_format(time, row->revoked_at);
		buf_addf(text, "it was revoked at %s", time);
		break;
	case PLAN_EXPIRED:
		time_format(time, row->not_after);
		buf_addf(text, "it expired at %s", time);
		break;
	case PLAN_WINDOW:
		add_window(text, row);
		add_draw(text, row, plan);
		break;
	case PLAN_BEFORE:
		duration_format(time, clamp(input->renew_before_s, 0, TIME_FAR) * 1000);
		buf_addf(text, "renew_before is %s", time);
		break;
	case PLAN_LIFE:
		buf_addf(text, "%s of its life is left then",
			 life_of(row) < SHORT_LIFE_S ? "half" : "a third");
		break;
	case PLAN_LAST:
		add_window(text, row);
		buf_add_str(text, ", but only a tenth of its life is left then");
		break;
	case PLAN_FORCED:
		buf_add_str(text, "it is forced");
		break;
	case PLAN_REASON_COUNT:
		break;
	}
}

char *plan_reason_text(const struct plan_input *input, const struct plan *plan)
{
	struct buf text = BUF_INIT(TEXT_MAX);

	add_reason(&text, input, plan);
	return buf_detach(&text);
}

static void add_wait(struct buf *text, const struct plan_input *input, const struct plan *plan)
{
	const struct renewal *row = input->row;
	char until[32];

	time_format(until, plan->at_s);
	if (row && row->failures > 0) {
		buf_addf(text, "; it failed %u time%s", row->failures,
			 row->failures == 1 ? "" : "s");
	}
	if (is_held(input)) {
		buf_addf(text, "; a CA allows %d failed validations of %s in an hour",
			 FAILED_VALIDATIONS_MAX, input->held_name);
	}
	buf_addf(text, "%s tried again at %s", is_held(input) ? ", so it is" : " and is", until);
	if (row && row->failure) {
		buf_addf(text, ": %s", row->failure);
	}
}

char *plan_text(const struct plan_input *input, const struct plan *plan)
{
	struct buf text = BUF_INIT(TEXT_MAX);
	const struct renewal *row = input->row;
	const char *failure = row && row->failure ? row->failure : "no reason was kept";

	add_reason(&text, input, plan);
	if (plan->state == PLAN_BACKS_OFF) {
		add_wait(&text, input, plan);
	} else if (plan->state == PLAN_PAUSED) {
		buf_addf(&text,
			 "; the CA wants a person first: %s; after that, `dns01 renew --force %s`",
			 failure, row->lineage);
	}
	return buf_detach(&text);
}
