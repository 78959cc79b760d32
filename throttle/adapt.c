#include "throttle/adapt.h"

#include <math.h>

#define ADAPT_MARGIN 0.003      /* how far below the level it holds */
#define ADAPT_DROP 0.04         /* how far further it drops at a refusal */
#define ADAPT_DROP_TRIAL 0.01   /* at one that was a trial: the level is known */
#define ADAPT_CLIMB_MS 20000.0  /* until it is back */
#define ADAPT_HOLD_MS 45000     /* from the refusal until it may go past the level, */
#define ADAPT_HOLD_MORE_MS 7000 /* more for each trial in a row that gained nothing, */
#define ADAPT_HOLD_MOST 5
#define ADAPT_HOLD_COSTS 100.0   /* and so many times what a refusal costs */
#define ADAPT_UNSURE 100.0       /* less where the refused was so large that the limit may be farther up */
#define ADAPT_COST 0.7           /* half of it while it empties, the rest while it is filled again */
#define ADAPT_COST_UNSURE 0.05   /* of it, before the first trial */
#define ADAPT_FELL 0.1           /* after a pause that left more of the window free, the level is not known any more */
#define ADAPT_EMPTIED 0.9        /* and one that left so much free tells nothing about it */
#define ADAPT_RESUME_MS 15000    /* what it is ahead of a careful start when it goes on from there */
#define ADAPT_HOLD_OWING 7.0     /* and so many times longer for each refusal that is not paid for, */
#define ADAPT_LONGEST_MS 1200000 /* but not longer than this */
#define ADAPT_CREDIT 0.0032      /* refusals that a taken request pays for */
#define ADAPT_CREDIT_FIRST 6.0   /* at the start most is to be learned */
#define ADAPT_CREDIT_MOST 20.0
#define ADAPT_CREDIT_LEAST 2.0
#define ADAPT_AWAY 0.03 /* how much farther below a level that falls */
#define ADAPT_AWAY_MOST 0.06
#define ADAPT_SAME 0.02      /* levels that are nearer to each other are the same */
#define ADAPT_CUBE 1e-5      /* growth past the level: 1 + this * seconds^3 */
#define ADAPT_STEP 0.10      /* but at most so far beyond what was proven */
#define ADAPT_TRIAL 0.005    /* of the level: the largest trial at first, */
#define ADAPT_TRIAL_S 0.0005 /* and so much more each second that it waits */
#define ADAPT_OPEN 0.25      /* of what lies between what is known and what was refused: a trial may be so large, too */
#define ADAPT_NEAR_LEVEL 0.97
#define ADAPT_NEAR_CEILING 0.5 /* the published limit may be far above the real one */
#define ADAPT_FILLING 1.25     /* a window that would hold so much more at that pace is being filled */
#define ADAPT_ROUGH 0.03       /* so far from what is known is what was refused, where it is known roughly */
#define ADAPT_WINS 6           /* trials taken until one more may be in flight, */
#define ADAPT_BEYOND 1.006     /* beyond so many times the level; nearer to it several would be refused together */
#define ADAPT_FLOOR 0.01       /* of the ceiling: also the step that leads up from nothing */

void adapt_init(struct adapt *a, double ceiling)
{
	*a = (struct adapt){.ceiling = ceiling, .credit = ADAPT_CREDIT_FIRST, .room = 1, .idle = -1};
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
	return a->credit >= 1 && a->refused_with > known * (1 + ADAPT_ROUGH) ? (known + a->refused_with) / 2 : 0;
}

static bool adapt_may_pass(const struct adapt *a, int64_t since_ms)
{
	int64_t hold = ADAPT_HOLD_MS + ADAPT_HOLD_MORE_MS * (a->failed < ADAPT_HOLD_MOST ? a->failed : ADAPT_HOLD_MOST);
	if ((double)since_ms < ADAPT_HOLD_COSTS / (1 + ADAPT_UNSURE * a->unsure) * a->cost_ms)
		return false;
	double owing = (double)hold * (a->credit < 1 ? pow(ADAPT_HOLD_OWING, 1 - a->credit) : 1);
	return (double)since_ms >= (owing < ADAPT_LONGEST_MS ? owing : ADAPT_LONGEST_MS);
}

/* Of the level. */
static double adapt_trial_size(const struct adapt *a, int64_t now_ms)
{
	double waited = a->past_ms && now_ms > a->past_ms ? (double)(now_ms - a->past_ms) / 1000.0 : 0;
	return ADAPT_TRIAL + ADAPT_TRIAL_S * waited;
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
		double step = known * ADAPT_STEP + adapt_step(a), trial = known * adapt_trial_size(a, now_ms);
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

void adapt_advance(struct adapt *a, int64_t now_ms)
{
	if (a->level > 0 && !a->past_ms && adapt_may_pass(a, now_ms - a->lowered_ms))
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
	       n <= a->room * a->level * adapt_trial_size(a, now_ms);
}

/* What is missing, in time at full pace, until a window is full again that a pause empties in part. A limit that has fallen makes a long
   pause, too: only trials tell what trials cost, and those only when it is clear that it had not fallen. */
static void adapt_cost(struct adapt *a)
{
	if (a->fence_tried)
		a->idle = a->fence_idle;
	double known = a->idle < 0 ? a->fence_idle : a->idle;
	a->cost_ms = known * known * (double)a->window_ms * ADAPT_COST * (a->idle < 0 ? ADAPT_COST_UNSURE : 1);
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
   take more, how far the limit has fallen: so it goes on from what is still in use, and quickly. */
static void adapt_resume(struct adapt *a, int64_t now_ms, double used)
{
	double idle = 1 - used / (a->refused_at < a->level ? a->refused_at : a->level);
	a->weighing = false;
	if (idle < ADAPT_FELL || idle > ADAPT_EMPTIED) {
		adapt_cost(a);
		return;
	}
	a->fell_from = a->level;
	a->level = used;
	a->past_ms = now_ms - ADAPT_RESUME_MS;
}

/* As high as before: the limit had not fallen, and the pause was for nothing. */
static void adapt_regain(struct adapt *a)
{
	a->level = a->fell_from;
	a->fell_from = 0;
	a->past_ms = 0;
	a->away = 0;
	adapt_cost(a);
}

void adapt_taken(struct adapt *a, int64_t started_ms, double used, double n, double requests, bool trial)
{
	adapt_end_trial(a, trial);
	a->credit += ADAPT_CREDIT * requests;
	if (a->credit > ADAPT_CREDIT_MOST)
		a->credit = ADAPT_CREDIT_MOST;
	if (a->level <= 0)
		return;
	if (a->weighing && started_ms >= a->lowered_ms)
		adapt_resume(a, started_ms, used);
	if (used > a->proven && used > n) /* an empty window takes anything */
		a->proven = used;
	if (a->proven >= a->refused_with)
		a->refused_with = 0;
	if (a->fell_from > 0 && a->proven > a->fell_from * (1 - 2 * ADAPT_MARGIN))
		adapt_regain(a);
	if (trial && a->proven > a->level * ADAPT_BEYOND && ++a->wins % ADAPT_WINS == 0 && a->room < 1000)
		a->room++;
	if (a->ceiling > 0 && a->proven >= a->ceiling * (1 - ADAPT_MARGIN)) { /* as published after all */
		a->level = a->proven = a->away = 0;
		a->past_ms = 0;
		a->failed = a->doubts = 0;
	}
}

/* What was in use when the server had enough. A large request tells little: the limit lies between what was in use without it
   and with it; where what is known lies between, it stands. A window that is being filled tells little, too: the server's may be
   shorter than ours, or hold what somebody else sent. Then the limit lies between what is in use and what a full window would
   hold at that pace: the middle, and nearer to what is in use each time. */
static double refusal_level(struct adapt *a, const struct adapt_refusal *r)
{
	double known = adapt_proven(a), most = a->level > 0 && a->level < r->reach ? a->level : r->reach;
	if (a->level > 0 && known > r->used && known < r->used + r->n)
		return known;
	if (most < r->used * ADAPT_FILLING) {
		a->doubts = 0;
		return r->used;
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

void adapt_refused(struct adapt *a, const struct adapt_refusal *r)
{
	bool again = a->level > 0 &&
		     r->started_ms < a->lowered_ms; /* in flight when the first was refused: the same event */
	bool tried = a->past_ms || r->trial;
	double was = a->level;
	adapt_end_trial(a, r->trial);
	a->credit -= 1;
	if (a->credit < -ADAPT_CREDIT_LEAST)
		a->credit = -ADAPT_CREDIT_LEAST;
	a->lowered_ms = r->fence_end_ms > r->now_ms ? r->fence_end_ms : r->now_ms;
	if (again) {
		if (r->reach < r->used * ADAPT_FILLING && r->used < a->level)
			adapt_set_level(a, r->used);
		return;
	}
	if (a->level > 0) { /* refused without having tried: the limit falls, so keep away from it for a while */
		a->away = tried || r->used + r->n > a->level ? 0 : a->away <= 0 ? ADAPT_AWAY : a->away * 2;
		if (a->away > ADAPT_AWAY_MOST)
			a->away = ADAPT_AWAY_MOST;
	}
	adapt_set_level(a, refusal_level(a, r));
	a->fell_from = 0;
	a->failed = tried && was > 0 && fabs(a->level - was) < ADAPT_SAME * was ? a->failed + 1 : 0;
	a->unsure = a->level == was ? a->unsure : r->n / (r->used + r->n);
	a->drop = tried ? ADAPT_DROP_TRIAL : ADAPT_DROP;
	a->weighing = true;
	a->refused_at = r->used;
	a->window_ms = r->window_ms;
	a->fence_idle = r->idle;
	a->fence_tried = tried || (r->blind && r->idle > ADAPT_EMPTIED);
	if (a->refused_with <= adapt_proven(a) || r->used + r->n < a->refused_with)
		a->refused_with = r->used + r->n;
	a->proven = 0;
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
	double credit = a->credit;
	double idle = a->idle;
	unsigned trying = a->trying;
	adapt_init(a, a->ceiling);
	a->credit = credit;
	a->idle = idle;
	a->trying = trying;
}

void adapt_unknown(struct adapt *a, bool trial)
{
	adapt_end_trial(a, trial);
}
