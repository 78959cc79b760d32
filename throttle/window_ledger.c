#include "throttle/window_ledger.h"

#include <assert.h>
#include <string.h>

static int64_t floor_div(int64_t a, int64_t b)
{
	int64_t q = a / b;
	return a % b < 0 ? q - 1 : q;
}

static uint64_t *ledger_slot(struct window_ledger *l, int64_t k)
{
	return &l->slot[(uint64_t)k % LEDGER_SLOTS];
}

static void ledger_plan(struct window_ledger *l)
{
	int64_t opens = (l->newest + 1) * l->slot_ms, leaves = (l->oldest + 1) * l->slot_ms + l->window_ms;
	l->next_ms = opens < leaves ? opens : leaves;
}

/* Slot k leaves when (k + 1) * slot_ms + window_ms <= now; at most window/slot + 2 slots are alive, which is what the ring holds. */
static void ledger_advance(struct window_ledger *l, int64_t now_ms)
{
	if (now_ms < l->next_ms)
		return;
	int64_t newest = floor_div(now_ms, l->slot_ms);
	int64_t oldest = floor_div(now_ms - l->window_ms, l->slot_ms);
	if (oldest > l->newest) {
		if (l->sum)
			memset(l->slot, 0, sizeof l->slot);
		l->sum = 0;
		l->oldest = oldest;
	}
	for (; l->oldest < oldest; l->oldest++) {
		uint64_t *v = ledger_slot(l, l->oldest);
		l->sum -= *v;
		*v = 0;
	}
	l->newest = newest;
	ledger_plan(l);
	assert(l->newest - l->oldest < LEDGER_SLOTS);
}

void ledger_init(struct window_ledger *l, int64_t now_ms, int64_t window_ms)
{
	if (window_ms < 1)
		window_ms = 1;
	if (l->slot_ms)
		memset(l->slot, 0, sizeof l->slot);
	l->sum = l->held = 0;
	l->window_ms = window_ms;
	l->slot_ms = (window_ms + LEDGER_SLOTS - 3) / (LEDGER_SLOTS - 2);
	l->newest = floor_div(now_ms, l->slot_ms);
	l->oldest = floor_div(now_ms - window_ms, l->slot_ms);
	ledger_plan(l);
}

void ledger_set_window(struct window_ledger *l, int64_t now_ms, int64_t window_ms)
{
	if (window_ms < 1)
		window_ms = 1;
	if (l->window_ms == window_ms)
		return;
	ledger_advance(l, now_ms);
	uint64_t sum = l->sum, held = l->held;
	ledger_init(l, now_ms, window_ms);
	l->held = held;
	l->sum = sum;
	*ledger_slot(l, l->newest) = sum;
}

uint64_t ledger_used(struct window_ledger *l, int64_t now_ms)
{
	ledger_advance(l, now_ms);
	return l->sum + l->held;
}

uint64_t ledger_left_at(struct window_ledger *l, int64_t now_ms, int64_t at_ms)
{
	uint64_t left = ledger_used(l, now_ms);
	int64_t oldest = floor_div(at_ms - l->window_ms, l->slot_ms);
	for (int64_t k = l->oldest; k < oldest && k <= l->newest; k++)
		left -= *ledger_slot(l, k);
	return left;
}

static bool ledger_room(uint64_t used, uint64_t n, uint64_t limit)
{
	return used == 0 || (n <= limit && used <= limit - n);
}

bool ledger_fits(struct window_ledger *l, int64_t now_ms, uint64_t n, uint64_t limit)
{
	return ledger_room(ledger_used(l, now_ms), n, limit);
}

int64_t ledger_fits_at(struct window_ledger *l, int64_t now_ms, uint64_t n, uint64_t limit)
{
	uint64_t left = ledger_used(l, now_ms);
	if (ledger_room(left, n, limit))
		return now_ms;
	for (int64_t k = l->oldest; k <= l->newest; k++) {
		uint64_t v = *ledger_slot(l, k);
		if (!v)
			continue;
		left -= v;
		if (ledger_room(left, n, limit))
			return (k + 1) * l->slot_ms + l->window_ms;
	}
	return LEDGER_NEVER;
}

void ledger_add(struct window_ledger *l, int64_t at_ms, uint64_t n)
{
	int64_t k = floor_div(at_ms, l->slot_ms);
	if (k > l->newest)
		k = l->newest;
	if (k < l->oldest)
		return;
	*ledger_slot(l, k) += n;
	l->sum += n;
}

void ledger_hold(struct window_ledger *l, uint64_t n)
{
	l->held += n;
}

void ledger_settle(struct window_ledger *l, int64_t now_ms, uint64_t held, uint64_t real)
{
	assert(l->held >= held);
	l->held -= held;
	ledger_advance(l, now_ms);
	*ledger_slot(l, l->newest) += real;
	l->sum += real;
}
