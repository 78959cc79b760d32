#include "throttle/steer.h"

#include <math.h>

#define STEER_EVERY_MS 500    /* how often it decides */
#define STEER_SLOW 1.7        /* so many times the best is too slow */
#define STEER_EASY 1.4        /* below it there is room for one more */
#define STEER_STEP 0.7        /* as far down at once, */
#define STEER_STEP_LEAST 0.94 /* and at least, or chance decides the trial */
#define STEER_PART 0.5        /* so much of what was to be expected tells that it was the cause */
#define STEER_SEEN 16         /* requests that tell whether it was, */
#define STEER_SEEN_EACH 2     /* and so many for each in flight */
#define STEER_WAIT_MS 30000   /* from one trial to the next, doubled each time it was in vain, */
#define STEER_WAIT_MOST_MS 240000
#define STEER_FORGET 0.05 / 6e4 /* of the best, each millisecond */

void steer_init(struct steer *s)
{
	*s = (struct steer){.up_wait_ms = STEER_WAIT_MS};
}

unsigned steer_limit(const struct steer *s)
{
	return s->limit <= 0 ? UINT32_MAX : s->limit < 1 ? 1 : (unsigned)s->limit;
}

static unsigned size_class(uint64_t bytes)
{
	unsigned c = 0;
	for (; bytes >= 4096 && c < STEER_CLASSES - 1; bytes /= 4)
		c++;
	return c;
}

/* Latency against the best of its size, and smoothed over about as many requests as are in flight. */
static double steer_measure(struct steer *s, int64_t now_ms, unsigned in_flight, uint64_t bytes, double latency_ms)
{
	unsigned c = size_class(bytes);
	double *best = &s->best_ms[c];
	if (*best <= 0)
		*best = latency_ms;
	else if (now_ms > s->best_at_ms[c])
		*best *= 1 + STEER_FORGET * (double)(now_ms - s->best_at_ms[c]);
	s->best_at_ms[c] = now_ms;
	if (latency_ms < *best)
		*best += 0.3 * (latency_ms - *best);
	double weight = 1.0 / (in_flight > 8 ? in_flight : 8);
	double ratio = latency_ms / (*best > 1 ? *best : 1);
	s->ratio = s->ratio > 0 ? s->ratio + weight * (ratio - s->ratio) : 1;
	return ratio;
}

static void steer_set(struct steer *s, unsigned most, double limit)
{
	s->limit = most && limit >= most ? 0 : limit < 1 ? 1 : limit;
}

static double steer_more(double limit)
{
	return limit + (limit > 16 ? limit / 16 : 1);
}

/* now: what is in flight as long as the trial has not begun. */
static void steer_try(struct steer *s, bool up, unsigned most, unsigned in_flight, double now, double to)
{
	s->from = s->limit;
	s->change = to / now;
	double rest = s->rest_seen ? s->rest_sum / s->rest_seen : s->ratio; /* a chance peak that passes is no proof */
	s->before = (rest > s->ratio) == up ? rest : s->ratio;
	s->trying = up ? STEER_UP : STEER_DOWN;
	s->skip = in_flight;
	s->seen = 0;
	s->sum = s->squares = 0;
	steer_set(s, most, to);
}

static int64_t longer(int64_t wait_ms)
{
	return wait_ms < STEER_WAIT_MS            ? STEER_WAIT_MS
	       : wait_ms * 2 < STEER_WAIT_MOST_MS ? wait_ms * 2
						  : STEER_WAIT_MOST_MS;
}

/* Enough was seen: did it become faster as it should have if we are the cause, or slower? */
static void steer_judge(struct steer *s, int64_t now_ms, unsigned most)
{
	double mean = s->sum / s->seen, square = s->squares / s->seen - mean * mean;
	double error = square > 0 ? sqrt(square / s->seen) : 0; /* of the mean: where it is noisy, in doubt for more */
	double expected = s->before * (1 + STEER_PART * (s->change - 1));
	bool ours = s->trying == STEER_DOWN ? mean + error <= expected : mean - error >= expected && mean > STEER_EASY;
	if (s->trying == STEER_DOWN) {
		s->down_wait_ms = ours ? 0 : longer(s->down_wait_ms);
		if (!ours)
			s->limit = s->from;
	} else {
		s->up_wait_ms = ours ? longer(s->up_wait_ms) : 0;
		if (ours)
			steer_set(s, most, s->from);
	}
	s->ratio = mean;
	s->rest_sum = 0;
	s->rest_seen = 0;
	s->trying = STEER_REST;
	s->tried_ms = now_ms;
}

static void steer_decide(struct steer *s, int64_t now_ms, unsigned most, unsigned in_flight)
{
	int64_t since = now_ms - s->tried_ms;
	bool full = s->limit > 0 && in_flight + 1 >= s->limit;
	if (s->ratio > STEER_SLOW && in_flight > 1 && (!s->down_wait_ms || since >= s->down_wait_ms)) {
		double now = s->limit > 0 && s->limit < in_flight ? s->limit : in_flight, by = STEER_SLOW / s->ratio;
		by = by < STEER_STEP ? STEER_STEP : by > STEER_STEP_LEAST ? STEER_STEP_LEAST : by;
		steer_try(s, false, most, in_flight, now, now * by);
	} else if (full && s->ratio < STEER_EASY) {
		steer_set(s, most, steer_more(s->limit));
		s->up_wait_ms = STEER_WAIT_MS;
	} else if (full && since >= s->up_wait_ms) {
		steer_try(s, true, most, in_flight, s->limit, steer_more(s->limit));
	}
}

void steer_taken(
	struct steer *s, int64_t now_ms, unsigned most, unsigned in_flight, uint64_t bytes, unsigned latency_ms)
{
	double ratio = steer_measure(s, now_ms, in_flight, bytes, latency_ms);
	if (s->trying != STEER_REST) {
		if (s->skip) { /* it began before */
			s->skip--;
			return;
		}
		s->sum += ratio;
		s->squares += ratio * ratio;
		if (++s->seen >= STEER_SEEN + STEER_SEEN_EACH * in_flight)
			steer_judge(s, now_ms, most);
		return;
	}
	s->rest_sum += ratio;
	s->rest_seen++;
	if (now_ms - s->decided_ms < STEER_EVERY_MS)
		return;
	s->decided_ms = now_ms;
	steer_decide(s, now_ms, most, in_flight);
}
