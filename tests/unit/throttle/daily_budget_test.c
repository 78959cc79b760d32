#include "throttle/daily_budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MB 1000000u
#define MIDNIGHT 1795374000 /* 2026-11-23 00:00 in Karachi: 19:00 UTC the day before */

static void test_day_in_the_zone(void **state)
{
	(void)state;
	struct zone *z;
	struct err err = ERR_INIT;
	assert_int_equal(zone_load(&z, "Asia/Karachi", &err), 0);
	struct daily_budget b = {.limit = 2500 * MB};
	assert_int_equal(daily_budget_left(&b, z, MIDNIGHT), 2500 * (uint64_t)MB);
	daily_budget_spend(&b, z, MIDNIGHT + 100, 2400 * (uint64_t)MB);
	assert_int_equal(daily_budget_parked_until(&b, z, MIDNIGHT + 200, 100 * MB), 0);
	assert_int_equal(daily_budget_parked_until(&b, z, MIDNIGHT + 200, 101 * MB), MIDNIGHT + 86400);
	daily_budget_spend(&b, z, MIDNIGHT + 300, 200 * MB); /* a fetch that was under way */
	assert_int_equal(daily_budget_left(&b, z, MIDNIGHT + 86399), 0);
	assert_int_equal(daily_budget_left(&b, z, MIDNIGHT + 86400), 2500 * (uint64_t)MB);
	/* larger than a day's: on a fresh day */
	assert_int_equal(daily_budget_parked_until(&b, z, MIDNIGHT + 86400, 3000 * (uint64_t)MB), 0);
	/* of which nothing but lists is spent */
	daily_budget_spend(&b, z, MIDNIGHT + 86400, 49 * MB);
	assert_int_equal(daily_budget_parked_until(&b, z, MIDNIGHT + 86500, 3000 * (uint64_t)MB), 0);
	daily_budget_spend(&b, z, MIDNIGHT + 86400, 2 * MB);
	assert_int_equal(daily_budget_parked_until(&b, z, MIDNIGHT + 86500, 3000 * (uint64_t)MB), MIDNIGHT + 2 * 86400);
	zone_free(&z);
}

static void test_clock_jumps(void **state)
{
	(void)state;
	struct zone *z;
	struct err err = ERR_INIT;
	assert_int_equal(zone_load(&z, "UTC", &err), 0);
	struct daily_budget b = {.limit = 100};
	int64_t noon = 86400 * 20000 + 43200;
	daily_budget_spend(&b, z, noon, 100);
	assert_int_equal(daily_budget_left(&b, z, noon - 86400), 0); /* a day back: not given again */
	assert_int_equal(daily_budget_left(&b, z, noon), 0);
	daily_budget_turn(
		&b, z, noon + 86400 * 400); /* a year ahead by mistake, and back: it does not block for a year */
	daily_budget_spend(&b, z, noon + 86400 * 400, 100);
	assert_int_equal(daily_budget_parked_until(&b, z, noon, 1), noon + 43200);
	zone_free(&z);
	struct daily_budget none = {0};
	assert_int_equal(zone_load(&z, "UTC", &err), 0);
	assert_true(daily_budget_left(&none, z, noon) == UINT64_MAX);
	assert_int_equal(daily_budget_parked_until(&none, z, noon, UINT64_MAX), 0);
	zone_free(&z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_day_in_the_zone),
		cmocka_unit_test(test_clock_jumps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
