#include "throttle/daily_budget.h"

#define DAY_S 86400

static int64_t local_day(const struct zone *z, int64_t at)
{
	int64_t local = zone_to_local(z, at), day = local / DAY_S;
	return local % DAY_S < 0 ? day - 1 : day;
}

void daily_budget_turn(struct daily_budget *b, const struct zone *z, int64_t at)
{
	int64_t today = local_day(z, at);
	if (today > b->day)
		b->spent = 0;
	if (today > b->day || today < b->day - 1) /* far ahead: the clock was wrong then; what was spent stays spent */
		b->day = today;
}

void daily_budget_spend(struct daily_budget *b, const struct zone *z, int64_t at, uint64_t bytes)
{
	daily_budget_turn(b, z, at);
	b->spent = bytes > UINT64_MAX - b->spent ? UINT64_MAX : b->spent + bytes;
}

uint64_t daily_budget_left(struct daily_budget *b, const struct zone *z, int64_t at)
{
	if (!b->limit)
		return UINT64_MAX;
	daily_budget_turn(b, z, at);
	return b->spent < b->limit ? b->limit - b->spent : 0;
}

static bool daily_budget_is_fresh(const struct daily_budget *b)
{
	return b->spent <= b->limit / DAILY_BUDGET_FRESH;
}

int64_t daily_budget_parked_until(struct daily_budget *b, const struct zone *z, int64_t at, uint64_t bytes)
{
	uint64_t left = daily_budget_left(b, z, at);
	if (bytes <= left || (b->limit && daily_budget_is_fresh(b)))
		return 0;
	return zone_to_utc(z, (b->day + 1) * DAY_S);
}
