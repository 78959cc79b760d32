#include "throttle/adapt.h"

#include <math.h>

#define ADAPT_MARGIN 0.003     /* how far below the level it holds */
#define ADAPT_DROP 0.04        /* how far further it drops at a refusal */
#define ADAPT_DROP_TRIAL 0.01  /* at one that was a trial: the level is known */
#define ADAPT_CLIMB_MS 20000.0 /* until it is back */
#define ADAPT_FELL 0.1         /* after a pause that left more of the window free, the level is not known any more */
#define ADAPT_EMPTIED 0.9      /* and one that left so much free tells nothing about it */
#define ADAPT_RESUME_MS 15000  /* what it is ahead of a careful start when it goes on from there */
#define ADAPT_VOID 0.03        /* of the level: refused with less in use, it is not this limit or a longer window */
#define ADAPT_LATE_MS 3000     /* so long after the fence it was not the fence that kept it */
#define ADAPT_AWAY 0.03        /* how much farther below a level that falls */
#define ADAPT_AWAY_MOST 0.06
#define ADAPT_CUBE 1e-5      /* growth past the level: 1 + this * seconds^3 */
#define ADAPT_STEP 0.10      /* but at most so far beyond what was proven */
#define ADAPT_TRIAL 0.005    /* of the level: the largest trial at first, */
#define ADAPT_TRIAL_S 0.0005 /* and so much more each second that it waits */
#define ADAPT_OPEN 0.25      /* of what lies between what is known and what was refused: a trial may be so large, too */
#define ADAPT_GAINED 0.3     /* or of what was gained since, */
#define ADAPT_FAR 0.03       /* or of what is missing to where the limit was before */
#define ADAPT_NEAR_LEVEL 0.97
#define ADAPT_NEAR_CEILING 0.5 /* the published limit may be far above the real one */
#define ADAPT_FILLING 1.25     /* a window that would hold so much more at that pace is being filled */
#define ADAPT_ROUGH 0.03       /* so far from what is known is what was refused, where it is known roughly */
#define ADAPT_LARGE 0.03       /* a large one that was refused comes again at so much less in all, doubled each time, */
#define ADAPT_LARGE_MOST 0.25  /* but not at less than that */
#define ADAPT_LARGE_ROW 8      /* (doubled so often at most) */
#define ADAPT_WINS 6           /* trials taken until one more may be in flight, */
#define ADAPT_BEYOND 1.006     /* beyond so many times the level; nearer to it several would be refused together */
#define ADAPT_FLOOR 0.01       /* of the ceiling: also the step that leads up from nothing */

void adapt_init(struct adapt *a, double ceiling)
{
	*a = (struct adapt){.ceiling = ceiling, .room = 1};
	patience_init(&a->patience);
}

void adapt_set_ceiling(struct adapt *a, double ceiling)
{
	a->ceiling = ceiling;
}

static double adapt_top(const struct adapt *a)
{
	return a->ceiling > 0 ? a->ceiling : HUGE_VAL;
}

/* Just under the level. */
static double adapt_good(const struct adapt *a)
{
	return a->level * (1 - ADAPT_MARGIN - a->away);
}

static double adapt_proven(const struct adapt *a)
{
	return a->proven > adapt_good(a) ? a->proven : adapt_good(a);
}

/* The smallest sensible step: something of the ceiling, or of the level where there is no ceiling. */
static double adapt_step(const struct adapt *a)
{
	return ADAPT_FLOOR * (a->ceiling > 0 ? a->ceiling : a->level);
}

/* Large requests tell the limit only roughly: it lies between what is known and what was refused. Halfway is worth a trial at once.
   0: it is known well, or trials are not paid for. */
static double adapt_middle(const struct adapt *a)
{
	double known = adapt_proven(a);
	return a->patience.credit >= 1 && a->refused_with > known * (1 + ADAPT_ROUGH) ? (known + a->refused_with) / 2
										      : 0;
}

/* What a trial may add to `known`: a part of that, or of what went alone, where that was more; else large messages would go one by
   one for ever, each in an empty window, where the limit is low. */
static double adapt_trial_size(const struct adapt *a, int64_t now_ms, double known)
{
	double waited = a->past_ms && now_ms > a->past_ms ? (double)(now_ms - a->past_ms) / 1000.0 : 0;
	return (ADAPT_TRIAL + ADAPT_TRIAL_S * waited) * (a->alone > known ? a->alone : known);
}

double adapt_limit(const struct adapt *a, int64_t now_ms)
{
	double top = adapt_top(a);
	if (a->level <= 0)
		return top;
	int64_t since = now_ms - a->lowered_ms;
	double climbing = (ADAPT_CLIMB_MS - (double)(since < 0 ? 0 : since)) / ADAPT_CLIMB_MS;
	double limit = adapt_good(a);
	if (climbing > 0)
		limit -= a->level * a->drop * climbing * climbing * climbing;
	if (a->past_ms) {
		double s = now_ms > a->past_ms ? (double)(now_ms - a->past_ms) / 1000.0 : 0;
		double known = a->proven > limit ? a->proven : limit;
		double step = known * ADAPT_STEP + adapt_step(a), trial = adapt_trial_size(a, now_ms, known);
		double reach = known + (step > trial ? step : trial);
		limit *= 1 + ADAPT_CUBE * s * s * s;
		if (limit > reach)
			limit = reach;
		if (a->fell_from > 0 && limit > a->fell_from * (1 - ADAPT_MARGIN))
			limit = a->fell_from * (1 - ADAPT_MARGIN);
	}
	if (climbing <= 0 && limit < adapt_middle(a))
		limit = adapt_middle(a);
	if (limit < adapt_step(a))
		limit = adapt_step(a);
	return limit < top ? limit : top;
}

static bool adapt_is_large(const struct adapt *a, double n)
{
	return a->level > 0 && n > ADAPT_ROUGH * a->level;
}

double adapt_limit_for(const struct adapt *a, int64_t now_ms, double n)
{
	double limit = adapt_limit(a, now_ms);
	if (!a->large_row || !adapt_is_large(a, n))
		return limit;
	double below = ADAPT_LARGE * (double)(1u << (a->large_row - 1));
	double bound = a->large_with * (1 - (below < ADAPT_LARGE_MOST ? below : ADAPT_LARGE_MOST));
	return bound < limit ? bound : limit;
}

void adapt_advance(struct adapt *a, int64_t now_ms)
{
	if (a->level > 0 && !a->past_ms && !a->weighing &&
		patience_is_over(&a->patience, now_ms, now_ms - a->lowered_ms, a->level))
		a->past_ms = now_ms;
}

void adapt_pause(struct adapt *a, int64_t now_ms, int64_t until_ms)
{
	if (a->past_ms && until_ms > now_ms)
		a->past_ms += until_ms - now_ms;
}

bool adapt_is_near(const struct adapt *a, double used)
{
	return a->level > 0 ? used >= a->level * ADAPT_NEAR_LEVEL
			    : a->ceiling > 0 && used >= a->ceiling * ADAPT_NEAR_CEILING;
}

bool adapt_is_known(const struct adapt *a, double used)
{
	return a->level > 0 && used <= adapt_proven(a);
}

bool adapt_is_moving(const struct adapt *a)
{
	return a->level > 0;
}

bool adapt_is_trial(const struct adapt *a, double used)
{
	return a->level > 0 && used > adapt_good(a) && used > a->proven;
}

/* Where much lies between what is known and what was refused (or what was the level before a pause), a trial may be a part of that: else
   larger messages would wait until time has made them small enough, and a level that is far too low would stay. */
bool adapt_may_try(const struct adapt *a, int64_t now_ms, double used, double n)
{
	if (a->trying >= a->room)
		return false;
	double known = adapt_proven(a), open = a->fell_from > 0 ? a->fell_from : a->refused_with;
	return used + n <= adapt_middle(a) || used + n <= known + (open - known) * ADAPT_OPEN ||
	       n <= (a->proven - a->level) * ADAPT_GAINED || n <= (a->patience.high - known) * ADAPT_FAR ||
	       n <= a->room * adapt_trial_size(a, now_ms, a->level);
}

void adapt_start_trial(struct adapt *a)
{
	a->trying++;
}

static void adapt_end_trial(struct adapt *a, bool trial)
{
	if (trial && a->trying)
		a->trying--;
}

/* The fence is over. What left the window meanwhile tells either what the refusal cost, or, where the server said when it would
   take more, how far the limit has fallen: so it goes on from what was still in use then, and quickly. */
static void adapt_resume(struct adapt *a, int64_t now_ms, double used)
{
	bool late = now_ms > a->lowered_ms + ADAPT_LATE_MS;
	double left = late && used < a->left ? a->left : used;
	double whole = a->refused_at < a->level ? a->refused_at : a->level, idle = whole > 0 ? 1 - left / whole : 1;
	a->weighing = false;
	if (idle < ADAPT_FELL || idle > ADAPT_EMPTIED) {
		patience_weigh(&a->patience);
		return;
	}
	a->fell_from = a->level;
	a->level = left;
	a->past_ms = now_ms - ADAPT_RESUME_MS;
}

/* As high as before: the limit had not fallen, and the pause was for nothing. */
static void adapt_regain(struct adapt *a)
{
	a->level = a->fell_from;
	a->fell_from = 0;
	a->past_ms = 0;
	a->away = 0;
	patience_weigh(&a->patience);
}

void adapt_taken(struct adapt *a, const struct adapt_taking *t)
{
	double used = t->used, n = t->n;
	adapt_end_trial(a, t->trial);
	patience_taken(&a->patience, t->requests);
	if (a->level <= 0 || n <= 0) /* nothing of it says nothing about it */
		return;
	if (a->weighing && t->started_ms >= a->lowered_ms)
		adapt_resume(a, t->started_ms, used);
	if (adapt_is_large(a, n))
		a->large_row = 0;
	if (t->sure > a->proven && t->sure > n) /* an empty window takes anything */
		a->proven = t->sure;
	if (used <= n && n > a->alone)
		a->alone = n;
	if (a->proven >= a->refused_with)
		a->refused_with = 0;
	double near = n > ADAPT_ROUGH * a->fell_from ? n : 0; /* with large requests it cannot come nearer */
	if (a->fell_from > 0 && a->proven + near > a->fell_from * (1 - 2 * ADAPT_MARGIN))
		adapt_regain(a);
	if (t->trial && a->proven > a->level * ADAPT_BEYOND && ++a->wins % ADAPT_WINS == 0 && a->room < 1000)
		a->room++;
	if (a->ceiling > 0 && a->proven >= a->ceiling * (1 - ADAPT_MARGIN)) { /* as published after all */
		a->level = a->proven = a->away = 0;
		a->past_ms = 0;
		a->doubts = 0;
		patience_content(&a->patience);
	}
}

/* What was in use when the server had enough. A large request tells little: the limit lies between what was in use without it
   and with it; where what is known lies between, it stands, and where that is more, it is the most that can be. A window that is
   being filled tells little, too: the server's may be shorter than ours, or hold what somebody else sent. Then the limit lies between
   what is in use and what a full window would hold at that pace: the middle, and nearer to what is in use each time. */
static double refusal_level(struct adapt *a, const struct adapt_refusal *r)
{
	if (a->level <= 0 && r->used <= 0)
		return r->n;
	if (a->level > 0 && r->used < a->level * ADAPT_VOID) {
		double with = r->used + r->n, half = a->level / 2;
		return with < half ? half : with < a->level ? with : a->level;
	}
	double held = a->level * (1 - a->away), known = a->proven > held ? a->proven : held;
	double most = a->level > 0 && a->level < r->reach ? a->level : r->reach;
	if (a->level > 0 && known > r->used && known < r->used + r->n)
		return known;
	if (most < r->used * ADAPT_FILLING) {
		a->doubts = 0;
		return a->level > 0 && known > r->used && r->n > ADAPT_ROUGH * r->used ? r->used + r->n : r->used;
	}
	if (a->doubts < 30)
		a->doubts++;
	return r->used + (most - r->used) / (double)(1u << a->doubts);
}

static void adapt_set_level(struct adapt *a, double level)
{
	if (level > adapt_top(a))
		level = a->ceiling;
	a->level = level;
	if (a->level < adapt_step(a))
		a->level = adapt_step(a);
	if (a->level <= 0)
		a->level = 1;
}

/* It is refused again and again where the limit falls; and where the server counts what it refuses, each time costs as much as one that
   it takes. */
static void adapt_count_large(struct adapt *a, const struct adapt_refusal *r)
{
	if (!adapt_is_large(a, r->n))
		return;
	if (!a->large_row || r->used + r->n < a->large_with)
		a->large_with = r->used + r->n;
	if (a->large_row < ADAPT_LARGE_ROW)
		a->large_row++;
}

/* Refused without having tried: the limit falls, so keep away from it for a while. Where a large one was refused near the level, that is
   not told from the level itself. */
static void adapt_keep_away(struct adapt *a, const struct adapt_refusal *r, bool tried)
{
	double near = a->level * (adapt_is_large(a, r->n) ? 1 - ADAPT_ROUGH : 1);
	a->away = tried || r->used + r->n > near ? 0 : a->away <= 0 ? ADAPT_AWAY : a->away * 2;
	if (a->away > ADAPT_AWAY_MOST)
		a->away = ADAPT_AWAY_MOST;
}

void adapt_refused(struct adapt *a, const struct adapt_refusal *r)
{
	bool again = a->level > 0 &&
		     r->started_ms < a->lowered_ms; /* in flight when the first was refused: the same event */
	bool tried = a->past_ms || r->trial;
	double was = a->level;
	adapt_end_trial(a, r->trial);
	adapt_count_large(a, r);
	patience_pay(&a->patience);
	a->lowered_ms = r->fence_end_ms > r->now_ms ? r->fence_end_ms : r->now_ms;
	if (again) {
		if (r->reach < r->used * ADAPT_FILLING && r->used < a->level && r->used >= a->level * ADAPT_VOID)
			adapt_set_level(a, r->used);
		return;
	}
	if (a->level > 0)
		adapt_keep_away(a, r, tried);
	double proven = a->proven;
	adapt_set_level(a, refusal_level(a, r));
	a->fell_from = 0;
	bool full = r->reach < r->used * ADAPT_FILLING;
	struct patience_refusal cost = {.now_ms = r->now_ms,
		.window_ms = r->window_ms,
		.level = a->level,
		.was = was,
		.proven = full && a->level > proven ? a->level : proven,
		.part = r->n / (r->used + r->n),
		.idle = r->idle,
		.tried = tried,
		.tells = r->blind && r->idle > ADAPT_EMPTIED};
	patience_refused(&a->patience, &cost);
	a->drop = tried ? ADAPT_DROP_TRIAL : ADAPT_DROP;
	a->weighing = true;
	a->refused_at = r->used;
	a->left = r->left + r->n;
	if (a->refused_with <= adapt_proven(a) || r->used + r->n < a->refused_with)
		a->refused_with = r->used + r->n;
	a->proven = a->alone = 0;
	a->past_ms = 0;
	a->room = 1;
	a->wins = 0;
}

void adapt_recall(struct adapt *a, int64_t now_ms, double level)
{
	a->level = level;
	a->lowered_ms = now_ms - (int64_t)ADAPT_CLIMB_MS;
}

void adapt_forget(struct adapt *a)
{
	struct patience patience = a->patience;
	unsigned trying = a->trying;
	adapt_init(a, a->ceiling);
	patience_forget(&patience);
	a->patience = patience;
	a->trying = trying;
}

void adapt_unknown(struct adapt *a, bool trial)
{
	adapt_end_trial(a, trial);
}
