#include "throttle/patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MIN_MS 60000
#define WINDOW_MS 300000

/* A refusal at a level; a fence that empties `idle` of the window, and is known to be what a trial costs. */
static void refuse(struct patience *p, int64_t now_ms, double level, double was, double idle)
{
	patience_pay(p);
	patience_refused(p, &(struct patience_refusal){.now_ms = now_ms,
				    .window_ms = WINDOW_MS,
				    .level = level,
				    .was = was,
				    .proven = level,
				    .part = 0,
				    .idle = idle,
				    .tried = true});
	patience_weigh(p);
}

/* The first minute after which it is over; 0: not within a day. */
static int64_t minutes(const struct patience *p, int64_t now_ms, double level)
{
	for (int64_t m = 1; m < 24 * 60; m++)
		if (patience_is_over(p, now_ms, m * MIN_MS, level))
			return m;
	return 0;
}

static void test_cheap_refusals_are_soon_tried_again(void **state)
{
	(void)state;
	struct patience p;
	patience_init(&p);
	patience_taken(&p, 1000);
	refuse(&p, 0, 100, 0, 0);
	assert_false(patience_is_over(&p, 30000, 30000, 100));
	assert_int_equal(minutes(&p, 0, 100), 1);
}

/* What a trial costs is waited for in proportion, but not where the limit was much higher a while ago and may come back. */
static void test_a_dear_trial_waits_but_not_below_a_higher_level(void **state)
{
	(void)state;
	struct patience p;
	patience_init(&p);
	patience_taken(&p, 4000);
	refuse(&p, 0, 100, 0, 0.6);
	refuse(&p, MIN_MS, 100, 100, 0.6);
	int64_t level = minutes(&p, MIN_MS, 100);
	assert_true(level > 60);
	refuse(&p, 2 * MIN_MS, 25, 100, 0.6);
	int64_t fallen = minutes(&p, 2 * MIN_MS, 25);
	assert_true(fallen > 1 && fallen < 15);
	int64_t long_ago = minutes(&p, 600 * (int64_t)MIN_MS, 25);
	assert_true(long_ago > 2 * fallen && long_ago < level);
}

/* Refusals that nothing paid for: longer, and where they told nothing new not before enough was taken. */
static void test_owing(void **state)
{
	(void)state;
	struct patience p;
	patience_init(&p);
	for (int i = 0; i < 9; i++)
		refuse(&p, i, 100, 100, 0);
	assert_int_equal(minutes(&p, 9, 100), 0);
	patience_taken(&p, 249);
	assert_int_equal(minutes(&p, 9, 100), 0);
	patience_taken(&p, 1);
	int64_t owing = minutes(&p, 9, 100);
	assert_true(owing > 10 && owing <= 20);
	patience_taken(&p, 1000);
	assert_true(minutes(&p, 9, 100) <= 2);
}

static void test_what_is_owed_is_not_forgotten(void **state)
{
	(void)state;
	struct patience p;
	patience_init(&p);
	for (int i = 0; i < 9; i++)
		refuse(&p, i, 100, 0, 0.5);
	double owed = p.credit, idle = p.idle;
	patience_forget(&p);
	assert_true(p.credit == owed && owed < 0);
	assert_true(p.idle == idle);
	assert_true(p.high == 0 && p.failed == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cheap_refusals_are_soon_tried_again),
		cmocka_unit_test(test_a_dear_trial_waits_but_not_below_a_higher_level),
		cmocka_unit_test(test_owing),
		cmocka_unit_test(test_what_is_owed_is_not_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
