/* A stretch counts when as many mailboxes as allowed were at work all through it. What was done in it is compared with the stretch before
   a step up, and with the best stretch of the same number: mailboxes differ, so only large differences count. */
#include "engine/ramp.h"

#include <stdio.h>

#define LOOKS_LEAST 3    /* in a stretch */
#define GAIN 1.1         /* a step up that brings less is taken back */
#define SLOW 0.5         /* of the best: the source has slowed down */
#define HOLD_STRETCHES 5 /* after a step back; doubled with each */
#define HOLD_DOUBLED 5

static void begin_stretch(struct ramp *r, int64_t now_ms)
{
	r->begun_ms = now_ms;
	r->n_sights = 0;
	r->sum = 0;
}

void ramp_init(struct ramp *r, unsigned begin_with, int64_t now_ms, int64_t stretch_ms)
{
	*r = (struct ramp){.now = begin_with ? begin_with : 1, .stretch_ms = stretch_ms ? stretch_ms : RAMP_STRETCH_MS};
	begin_stretch(r, now_ms);
}

static const char *mailboxes(unsigned n)
{
	return n == 1 ? "mailbox" : "mailboxes";
}

static enum ramp_step back(struct ramp *r, int64_t now_ms)
{
	r->now = r->now > 2 ? r->now - (r->now + 3) / 4 : 1;
	r->before = 0;
	r->best = 0;
	r->advice = 0;
	if (r->steps_back < HOLD_DOUBLED)
		r->steps_back++;
	r->hold_until = now_ms + r->stretch_ms * (HOLD_STRETCHES << (r->steps_back - 1));
	begin_stretch(r, now_ms);
	return RAMP_BACK;
}

static enum ramp_step see_trouble(struct ramp *r, int64_t now_ms, unsigned troubles, bool automatic, char *text)
{
	unsigned fresh = troubles - r->troubles, was = r->now;
	r->troubles = troubles;
	r->advice = 0;
	if (now_ms < r->spell_until || r->now == 1 || !automatic) {
		begin_stretch(r, now_ms);
		return RAMP_STAY;
	}
	back(r, now_ms);
	r->spell_until = now_ms + r->stretch_ms;
	snprintf(text, RAMP_TEXT, "%u %s at once instead of %u: the source refused or broke off (%u times)", r->now,
		mailboxes(r->now), was, fresh);
	return RAMP_BACK;
}

static enum ramp_step judge_raise(struct ramp *r, int64_t now_ms, double per_s, char *text)
{
	unsigned was = r->now;
	double before = r->before;
	r->before = 0;
	if (per_s >= before * GAIN)
		return RAMP_STAY;
	r->now = was - 1;
	r->best = before;
	if (r->steps_back < HOLD_DOUBLED)
		r->steps_back++;
	r->hold_until = now_ms + r->stretch_ms * (HOLD_STRETCHES << (r->steps_back - 1));
	snprintf(text, RAMP_TEXT, "%u %s at once instead of %u: %u brought %.0f kB/s, and %u had brought %.0f kB/s",
		r->now, mailboxes(r->now), was, was, per_s / 1000, r->now, before / 1000);
	return RAMP_BACK;
}

static enum ramp_step step_up(
	struct ramp *r, int64_t now_ms, const struct ramp_sight *s, bool automatic, double per_s, char *text)
{
	unsigned next = r->now + 1;
	if (next > s->most || now_ms < r->hold_until)
		return RAMP_STAY;
	if (!automatic) {
		if (r->advice == next)
			return RAMP_STAY;
		r->advice = next;
		snprintf(text, RAMP_TEXT,
			"%u mailboxes at once could be allowed: %u ran %lld s without a refusal at %.0f kB/s together",
			next, r->now, (long long)(r->stretch_ms / 1000), per_s / 1000);
		return RAMP_ADVISE;
	}
	snprintf(text, RAMP_TEXT,
		"%u mailboxes at once instead of %u: they ran %lld s without a refusal at %.0f kB/s together", next,
		r->now, (long long)(r->stretch_ms / 1000), per_s / 1000);
	r->before = per_s;
	r->best = 0;
	r->now = next;
	return RAMP_UP;
}

enum ramp_step ramp_see(
	struct ramp *r, int64_t now_ms, const struct ramp_sight *s, bool automatic, char text[RAMP_TEXT])
{
	if (s->troubles != r->troubles)
		return see_trouble(r, now_ms, s->troubles, automatic, text);
	if (s->active < r->now || s->held_back) { /* says nothing about what the source could give */
		begin_stretch(r, now_ms);
		return RAMP_STAY;
	}
	r->n_sights++;
	r->sum += s->per_s;
	if (now_ms - r->begun_ms < r->stretch_ms || r->n_sights < LOOKS_LEAST)
		return RAMP_STAY;
	double per_s = r->sum / r->n_sights;
	begin_stretch(r, now_ms);
	enum ramp_step step = r->before > 0 ? judge_raise(r, now_ms, per_s, text) : RAMP_STAY;
	if (step != RAMP_STAY)
		return step;
	if (per_s < r->best * SLOW && r->now > 1 && automatic) {
		unsigned was = r->now;
		double best = r->best;
		back(r, now_ms);
		snprintf(text, RAMP_TEXT,
			"%u %s at once instead of %u: the source gives %.0f kB/s where it gave %.0f kB/s", r->now,
			mailboxes(r->now), was, per_s / 1000, best / 1000);
		return RAMP_BACK;
	}
	if (per_s > r->best)
		r->best = per_s;
	return step_up(r, now_ms, s, automatic, per_s, text);
}
