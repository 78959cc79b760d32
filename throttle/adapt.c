#include "throttle/adapt.h"

#include <math.h>

#define ADAPT_MARGIN 0.005     /* how far below the level it holds */
#define ADAPT_DROP 0.04        /* how far further it drops at a refusal */
#define ADAPT_CLIMB_MS 20000.0 /* until it is back */
#define ADAPT_HOLD_MS 45000    /* from the refusal until it may go past the level */
#define ADAPT_HOLD_COSTS 80.0  /* and so many times what a refusal costs */
#define ADAPT_COST_WEIGHT 0.5
#define ADAPT_CAUGHT_UP 0.6   /* of the window: so much room is filled again without loss */
#define ADAPT_LONG_MS 3600000 /* then it tries in any case */
#define ADAPT_CREDIT 0.0035   /* refusals that a taken request pays for */
#define ADAPT_CREDIT_MOST 2.0
#define ADAPT_CREDIT_LEAST 1.0
#define ADAPT_AWAY 0.03 /* how much farther below a level that falls */
#define ADAPT_AWAY_MOST 0.06
#define ADAPT_CUBE 6e-6      /* growth past the level: 1 + this * seconds^3 */
#define ADAPT_STEP 0.10      /* but at most so far beyond what was proven */
#define ADAPT_TRIAL 0.005    /* of the level: the largest trial at first, */
#define ADAPT_TRIAL_S 0.0005 /* and so much more each second that it waits */
#define ADAPT_NEAR_LEVEL 0.97
#define ADAPT_NEAR_CEILING 0.5 /* the published limit may be far above the real one */
#define ADAPT_WINS 6           /* trials taken until one more may be in flight */
#define ADAPT_FLOOR 0.01       /* of the ceiling: also the step that leads up from nothing */

void adapt_init(struct adapt *a, double ceiling)
{
	*a = (struct adapt){.ceiling = ceiling, .credit = 1, .room = 1};
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

/* The smallest sensible step: something of the ceiling, or of the level where there is no ceiling. */
static double adapt_step(const struct adapt *a)
{
	return ADAPT_FLOOR * (a->ceiling > 0 ? a->ceiling : a->level);
}

static bool adapt_may_pass(const struct adapt *a, int64_t since_ms)
{
	if ((double)since_ms < ADAPT_HOLD_COSTS * a->cost_ms)
		return false;
	return since_ms >= ADAPT_LONG_MS || (since_ms >= ADAPT_HOLD_MS && a->credit >= 1);
}

double adapt_limit(struct adapt *a, int64_t now_ms)
{
	double top = adapt_top(a);
	if (a->level <= 0)
		return top;
	int64_t since = now_ms - a->lowered_ms;
	if (!a->past_ms && adapt_may_pass(a, since))
		a->past_ms = now_ms;
	double climbing = (ADAPT_CLIMB_MS - (double)(since < 0 ? 0 : since)) / ADAPT_CLIMB_MS;
	double limit = adapt_good(a);
	if (climbing > 0) {
		limit -= a->level * ADAPT_DROP * climbing * climbing * climbing;
	} else if (a->past_ms) {
		double s = (double)(now_ms - a->past_ms) / 1000.0;
		double known = a->proven > limit ? a->proven : limit;
		double reach = known * (1 + ADAPT_STEP) + adapt_step(a);
		limit *= 1 + ADAPT_CUBE * s * s * s;
		if (limit > reach)
			limit = reach;
	}
	if (limit < adapt_step(a))
		limit = adapt_step(a);
	return limit < top ? limit : top;
}

bool adapt_is_near(const struct adapt *a, double used)
{
	return a->level > 0 ? used >= a->level * ADAPT_NEAR_LEVEL
			    : a->ceiling > 0 && used >= a->ceiling * ADAPT_NEAR_CEILING;
}

bool adapt_is_moving(const struct adapt *a)
{
	return a->level > 0;
}

bool adapt_is_trial(const struct adapt *a, double used)
{
	return a->level > 0 && used > adapt_good(a) && used > a->proven;
}

bool adapt_may_try(const struct adapt *a, int64_t now_ms, double n)
{
	double waited = a->past_ms ? (double)(now_ms - a->past_ms) / 1000.0 : 0;
	return a->trying < a->room && n <= a->room * a->level * (ADAPT_TRIAL + ADAPT_TRIAL_S * waited);
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

/* What did the refusal cost? What is free in the window when its fence is over could not be sent in time. A little is caught up;
   a pause that is longer than the limit asks for is lost, and the next refusal should be far away. */
static void adapt_weigh(struct adapt *a, double used)
{
	double idle = 1 - used / a->level;
	double cost = (idle - ADAPT_CAUGHT_UP) / (1 - ADAPT_CAUGHT_UP) * (double)a->window_ms;
	a->weighing = false;
	a->cost_ms += ADAPT_COST_WEIGHT * ((cost > 0 ? cost : 0) - a->cost_ms);
}

void adapt_taken(struct adapt *a, int64_t started_ms, double used, double requests, bool trial)
{
	adapt_end_trial(a, trial);
	a->credit += ADAPT_CREDIT * requests;
	if (a->credit > ADAPT_CREDIT_MOST)
		a->credit = ADAPT_CREDIT_MOST;
	if (a->level <= 0)
		return;
	if (a->weighing && started_ms >= a->lowered_ms)
		adapt_weigh(a, used);
	if (used > a->proven)
		a->proven = used;
	if (trial && ++a->wins % ADAPT_WINS == 0 && a->room < 1000)
		a->room++;
	if (a->ceiling > 0 && a->proven >= a->ceiling * (1 - ADAPT_MARGIN)) { /* as published after all */
		a->level = a->proven = a->away = 0;
		a->past_ms = 0;
	}
}

/* What was in use when the server had enough. A large request tells little: the limit lies between what was in use without it
   and with it; where what is known lies between, it stands. */
static void adapt_set_level(struct adapt *a, double used, double n, bool again)
{
	double known = a->proven > adapt_good(a) ? a->proven : adapt_good(a);
	if (a->level > 0 && !again && known > used && known < used + n)
		a->level = known;
	else if (!again || used < a->level)
		a->level = used;
	if (a->level > adapt_top(a))
		a->level = a->ceiling;
	if (a->level < adapt_step(a))
		a->level = adapt_step(a);
	if (a->level <= 0)
		a->level = 1;
}

void adapt_refused(struct adapt *a, int64_t now_ms, int64_t started_ms, double used, double n, int64_t fence_end_ms,
	int64_t window_ms, bool trial)
{
	bool again =
		a->level > 0 && started_ms < a->lowered_ms; /* in flight when the first was refused: the same event */
	adapt_end_trial(a, trial);
	a->credit -= 1;
	if (a->credit < -ADAPT_CREDIT_LEAST)
		a->credit = -ADAPT_CREDIT_LEAST;
	if (!again &&
		a->level > 0) { /* refused without having tried: the limit falls, so keep away from it for a while */
		a->away = a->past_ms || used + n > a->level ? 0 : a->away <= 0 ? ADAPT_AWAY : a->away * 2;
		if (a->away > ADAPT_AWAY_MOST)
			a->away = ADAPT_AWAY_MOST;
	}
	adapt_set_level(a, used, n, again);
	a->weighing = true;
	a->window_ms = window_ms;
	a->proven = 0;
	a->past_ms = 0;
	a->room = 1;
	a->wins = 0;
	a->lowered_ms = fence_end_ms > now_ms ? fence_end_ms : now_ms;
}

void adapt_recall(struct adapt *a, int64_t now_ms, double level)
{
	a->level = level;
	a->lowered_ms = now_ms - (int64_t)ADAPT_CLIMB_MS;
}

void adapt_unknown(struct adapt *a, bool trial)
{
	adapt_end_trial(a, trial);
}

#define FLIGHT_HOLD_MS 60000
#define FLIGHT_LONG_MS 900000
#define FLIGHT_CREDIT 0.002
#define FLIGHT_WINS 8
#define FLIGHT_STEER_MS 500      /* how often latency decides */
#define FLIGHT_SLOW 1.7          /* so many times the best is too slow */
#define FLIGHT_EASY 1.4          /* below it there is room for one more */
#define FLIGHT_FORGET 0.05 / 6e4 /* of the best, each millisecond */

void flight_init(struct flight *f, unsigned ceiling)
{
	*f = (struct flight){.ceiling = ceiling, .credit = 1};
}

void flight_set_ceiling(struct flight *f, unsigned ceiling)
{
	f->ceiling = ceiling;
}

static bool flight_may_try(const struct flight *f, int64_t now_ms)
{
	int64_t since = now_ms - f->lowered_ms;
	return f->wins || (since >= FLIGHT_HOLD_MS && f->credit >= 1) || since >= FLIGHT_LONG_MS;
}

unsigned flight_limit(const struct flight *f, int64_t now_ms)
{
	unsigned limit = f->ceiling ? f->ceiling : UINT32_MAX;
	if (f->level && f->level < limit)
		limit = f->level + (flight_may_try(f, now_ms) ? 1 : 0);
	if (f->steer > 0 && f->steer < limit)
		limit = (unsigned)f->steer;
	return limit ? limit : 1;
}

static unsigned flight_class(uint64_t bytes)
{
	unsigned c = 0;
	for (; bytes >= 4096 && c < FLIGHT_CLASSES - 1; bytes /= 4)
		c++;
	return c;
}

/* Latency against the best of its size, smoothed over about as many requests as are in flight. */
static void flight_measure(struct flight *f, int64_t now_ms, unsigned in_flight, uint64_t bytes, double latency_ms)
{
	unsigned c = flight_class(bytes);
	double *best = &f->best_ms[c];
	if (*best <= 0)
		*best = latency_ms;
	else if (now_ms > f->best_at_ms[c])
		*best *= 1 + FLIGHT_FORGET * (double)(now_ms - f->best_at_ms[c]);
	f->best_at_ms[c] = now_ms;
	if (latency_ms < *best)
		*best += 0.3 * (latency_ms - *best);
	double weight = 1.0 / (in_flight > 8 ? in_flight : 8);
	double ratio = latency_ms / (*best > 1 ? *best : 1);
	f->ratio = f->ratio > 0 ? f->ratio + weight * (ratio - f->ratio) : 1;
}

static void flight_steer(struct flight *f, int64_t now_ms, unsigned in_flight)
{
	if (now_ms - f->steered_ms < FLIGHT_STEER_MS)
		return;
	f->steered_ms = now_ms;
	if (f->ratio > FLIGHT_SLOW && in_flight > 1) {
		double from = f->steer > 0 && f->steer < in_flight ? f->steer : in_flight;
		double by = FLIGHT_SLOW / f->ratio;
		f->steer = from * (by < 0.7 ? 0.7 : by);
		if (f->steer < 1)
			f->steer = 1;
		f->ratio = 1 + (f->ratio - 1) / 2; /* give it time to show */
	} else if (f->steer > 0 && f->ratio < FLIGHT_EASY && in_flight + 1 >= f->steer) {
		f->steer += f->steer > 16 ? f->steer / 16 : 1;
		if (f->ceiling && f->steer >= f->ceiling)
			f->steer = 0;
	}
}

void flight_taken(struct flight *f, int64_t now_ms, unsigned n, unsigned in_flight, uint64_t bytes, unsigned latency_ms)
{
	f->credit += FLIGHT_CREDIT;
	if (f->credit > 1)
		f->credit = 1;
	if (latency_ms) {
		flight_measure(f, now_ms, in_flight, bytes, latency_ms);
		flight_steer(f, now_ms, in_flight);
	}
	if (!f->level || n <= f->level || !flight_may_try(f, now_ms))
		return;
	if (++f->wins >= FLIGHT_WINS) {
		f->level += f->level > 16 ? f->level / 16 : 1;
		f->wins = 1; /* and goes on at once */
		if (f->ceiling && f->level >= f->ceiling)
			f->level = f->wins = 0;
	}
}

void flight_refused(struct flight *f, int64_t now_ms, int64_t started_ms, unsigned n, int64_t fence_end_ms, bool mild)
{
	bool again = f->level && started_ms < f->lowered_ms;
	unsigned good = n > 16 ? n - n / 8 : n > 1 ? n - 1 : 1;
	if (mild && good > 2 && f->level && good > f->level)
		good = f->level;
	f->credit -= 1;
	if (f->credit < -1)
		f->credit = -1;
	if (!again || good < f->level)
		f->level = good;
	f->wins = 0;
	f->lowered_ms = fence_end_ms > now_ms ? fence_end_ms : now_ms;
	if (mild) { /* nothing says that it was too many: come back soon */
		f->lowered_ms -= FLIGHT_HOLD_MS / 2;
		if (f->credit < 1)
			f->credit = 1;
	}
}

void flight_recall(struct flight *f, int64_t now_ms, unsigned level)
{
	f->level = level;
	f->lowered_ms = now_ms;
}
