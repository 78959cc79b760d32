#include "throttle/flight.h"

#define FLIGHT_HOLD_MS 60000
#define FLIGHT_DEAR_MS 20000 /* a fence longer than this makes trying dear: */
#define FLIGHT_DEAR 60       /* it is put off for so many times the fence */
#define FLIGHT_VAIN_MOST 4   /* each time in vain the next try is twice as far off */
#define FLIGHT_LONG_MS 900000
#define FLIGHT_CREDIT 0.002
#define FLIGHT_WINS 8

void flight_init(struct flight *f, unsigned ceiling)
{
	*f = (struct flight){.ceiling = ceiling, .credit = 1};
	steer_init(&f->steer);
}

void flight_set_ceiling(struct flight *f, unsigned ceiling)
{
	f->ceiling = ceiling;
}

static bool flight_may_try(const struct flight *f, int64_t now_ms)
{
	int64_t since = now_ms - f->lowered_ms;
	if (since < f->hold_ms)
		return false;
	return f->wins || (since >= FLIGHT_HOLD_MS && f->credit >= 1) || since >= FLIGHT_LONG_MS;
}

unsigned flight_limit(const struct flight *f, int64_t now_ms)
{
	unsigned limit = f->ceiling ? f->ceiling : UINT32_MAX;
	if (f->level && f->level < limit)
		limit = f->level + (flight_may_try(f, now_ms) ? 1 : 0);
	if (steer_limit(&f->steer) < limit)
		limit = steer_limit(&f->steer);
	return limit ? limit : 1;
}

void flight_taken(struct flight *f, int64_t now_ms, unsigned n, unsigned in_flight, uint64_t bytes, unsigned latency_ms)
{
	f->credit += FLIGHT_CREDIT;
	if (f->credit > 1)
		f->credit = 1;
	if (latency_ms)
		steer_taken(&f->steer, now_ms, f->ceiling, in_flight, bytes, latency_ms);
	if (!f->level || n <= f->level || !flight_may_try(f, now_ms))
		return;
	if (++f->wins >= FLIGHT_WINS) {
		f->level += f->level > 16 ? f->level / 16 : 1;
		f->wins = 1; /* and goes on at once */
		f->vain = 0;
		if (f->ceiling && f->level >= f->ceiling)
			f->level = f->wins = 0;
	}
}

void flight_refused(struct flight *f, int64_t now_ms, int64_t started_ms, unsigned n, int64_t fence_end_ms, bool mild)
{
	bool again = f->level && started_ms < f->lowered_ms;
	bool tried = f->level && n > f->level; /* one more than what is known good */
	if (!tried && !again)
		f->vain = 0; /* fewer are refused, too: it is not their number */
	else if (tried && !again && f->vain < FLIGHT_VAIN_MOST)
		f->vain++;
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
	f->hold_ms =
		fence_end_ms - now_ms > FLIGHT_DEAR_MS && (tried || !mild) ? FLIGHT_DEAR * (fence_end_ms - now_ms) : 0;
	if (mild && !f->hold_ms) { /* nothing says that it was too many: soon again, if that was not in vain before */
		f->hold_ms = f->vain ? (int64_t)FLIGHT_HOLD_MS << (f->vain - 1) : 0;
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
