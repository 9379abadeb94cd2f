/*
 * backoff: when something that failed is tried again. What is kept is the time itself, so that it
 * outlives the process. The CAs' limit on failed validations is counted apart, see plan.c.
 */
#include "dns01/issue.h"

#define MINUTE_S 60
#define HOUR_S ((int64_t)3600)
#define DAY_S (24 * HOUR_S)
#define RETRY_AFTER_MAX_S (8 * DAY_S) /* past the longest limit of a public CA */
#define WAIT_MIN_S MINUTE_S
/* Nobody was reached, so nothing was used up: soon enough for every run of an hourly timer. */
#define PASSING_MAX_S (HOUR_S / 2)
#define EXPIRED_MAX_S HOUR_S
#define VERDICT_FIRST_S (10 * MINUTE_S)
/* It was revoked, or the CA is about to, and CAs have a day for that: a tenth of it, and less. */
#define HURRIED_MAX_S (2 * HOUR_S)
#define ASK_MIN_S MINUTE_S
#define ASK_SILENCE_S (5 * MINUTE_S)
#define ASK_LATER_S (6 * HOUR_S) /* RFC 9773 s.4.3.3 */
#define JITTER_PERCENT 10

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
	return value < least ? least : value > most ? most : value;
}

/* wait, less up to a tenth: thousands that failed together are not tried together. */
static int64_t jittered(int64_t wait_s, uint64_t draw)
{
	return wait_s - (int64_t)(draw % (uint64_t)(wait_s * JITTER_PERCENT / 100 + 1));
}

/* first, ten times that, a hundred times, ... up to most; however often it failed. */
static int64_t grown(unsigned failures, int64_t first_s, int64_t factor, int64_t most_s)
{
	int64_t wait_s = first_s;

	for (unsigned i = 1; i < failures && wait_s < most_s; i++) {
		wait_s = wait_s > most_s / factor ? most_s : wait_s * factor;
	}
	return wait_s < most_s ? wait_s : most_s;
}

/* A failed validation, a limit, or a certificate that was not what was ordered counts at the
 * CA; what stopped short of that may be tried every hour. */
static bool is_verdict(const struct err *err)
{
	return err->code == ERR_ACME || err->code == ERR_LIMIT || err->code == ERR_PROTOCOL ||
	       acme_paused(err);
}

/* At most a day, and a tenth of the life that is left. */
static int64_t longest_wait(const struct renewal *row, int64_t now_s)
{
	if (!row->serial) {
		return DAY_S;
	}
	if (now_s >= row->not_after) {
		return EXPIRED_MAX_S;
	}
	return clamp((row->not_after - now_s) / 10, WAIT_MIN_S,
		     row->hurried || row->revoked_at > 0 ? HURRIED_MAX_S : DAY_S);
}

void renewal_take_failure(struct renewal *row, const struct err *err, int64_t now_s, uint64_t draw)
{
	const bool verdict = is_verdict(err);
	int64_t most_s = longest_wait(row, now_s);
	int64_t wait_s;

	row->failures += row->failures < UINT32_MAX;
	row->refusals += verdict && row->refusals < UINT32_MAX;
	if (verdict) {
		wait_s = grown(row->refusals, VERDICT_FIRST_S, 10, most_s);
	} else {
		wait_s = grown(row->failures, MINUTE_S, 2,
			       most_s < PASSING_MAX_S ? most_s : PASSING_MAX_S);
	}
	wait_s = clamp(jittered(wait_s, draw), WAIT_MIN_S, DAY_S);
	/* A limit is the CA's to set; a server that is down may say "in ten years", and be back
	 * in an hour: it is asked again while there is time. */
	if (err->retry_after_s > wait_s) {
		wait_s = clamp(err->retry_after_s, wait_s, verdict ? RETRY_AFTER_MAX_S : most_s);
	}
	row->failed_at = now_s;
	row->retry_at = now_s + wait_s;
	row->paused = acme_paused(err);
	free(row->failure);
	row->failure = err_format(err);
}

/* ---- the CA's window ------------------------------------------------------------------------ */

/* Moved into the past, or to before where it was; or already there when it is first heard of, in
 * the first half of its life: no CA suggests that but for what it is about to revoke. */
static bool hurries(const struct renewal *row, const struct acme_renewal_info *info, int64_t now_s)
{
	bool had = row->window_start > 0;
	int64_t half_s = row->not_before / 2 + row->not_after / 2;

	if (had && info->end < row->window_start) {
		return true;
	}
	return info->end <= now_s && (had || info->end < half_s);
}

void renewal_take_window(struct renewal *row, const struct acme_renewal_info *info, int64_t now_s,
			 uint64_t draw)
{
	if (info->end <= info->start) {
		return; /* RFC 9773 s.4.2: no answer */
	}
	if (info->start != row->window_start || info->end != row->window_end) {
		row->hurried = hurries(row, info, now_s);
		row->window_start = info->start;
		row->window_end = info->end;
		/* Once a window: drawing again and again would always end up early. */
		row->draw_at = info->start + (int64_t)(draw % (uint64_t)(info->end - info->start));
	}
	free(row->explanation);
	row->explanation = xstrdup(info->explanation);
	row->ask_failures = 0;
	row->ask_at = now_s + clamp(info->retry_after_s, ASK_MIN_S, DAY_S);
}

void renewal_take_silence(struct renewal *row, const struct err *err, int64_t now_s, uint64_t draw)
{
	int64_t wait_s = ASK_LATER_S;

	row->ask_failures += row->ask_failures < UINT32_MAX;
	if (err->retry_after_s > 0) {
		wait_s = clamp(err->retry_after_s, ASK_MIN_S,
			       acme_passing(err) ? ASK_LATER_S : DAY_S);
	} else if (acme_passing(err)) {
		wait_s = jittered(grown(row->ask_failures, ASK_SILENCE_S, 2, ASK_LATER_S), draw);
	}
	row->ask_at = now_s + wait_s;
}
