#include "throttle/patience.h"

#include <math.h>
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
	for (int i = 0; i < 5; i++) /* later, where it was in vain */
		refuse(&p, i, 100, 100, 0);
	assert_int_equal(minutes(&p, 5, 100), 2);
}

/* What is only supposed counts little: a pause that may tell that the limit fell, or a limit that may be farther up. */
static void test_a_doubtful_cost_is_waited_for_less(void **state)
{
	(void)state;
	int64_t sure = 0;
	for (int doubt = 0; doubt < 3; doubt++) {
		struct patience p;
		patience_init(&p);
		patience_refused(&p, &(struct patience_refusal){.window_ms = WINDOW_MS,
					     .level = 100,
					     .part = doubt == 1 ? 0.1 : 0,
					     .idle = 0.6,
					     .tells = doubt != 2});
		patience_weigh(&p);
		int64_t m = minutes(&p, 0, 100);
		sure = doubt ? sure : m;
		assert_true(sure > 60 && (!doubt || m < sure / 5));
	}
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

/* Far below where it was, for good it seems: not a refusal a minute all night long. */
static void test_a_higher_level_is_not_sought_without_end(void **state)
{
	(void)state;
	struct patience p;
	patience_init(&p);
	patience_taken(&p, 4000);
	refuse(&p, 0, 100, 0, 0);
	refuse(&p, 0, 1, 100, 0);
	assert_int_equal(minutes(&p, 0, 1), 1);
	for (int i = 0; i < 30; i++)
		refuse(&p, 0, 1, 1, 0);
	assert_int_equal(minutes(&p, 0, 1), 5);
}

/* Refusals that nothing paid for: longer, and where they told nothing new not before enough was taken. */
static void test_owing(void **state)
{
	(void)state;
	struct patience p;
	patience_init(&p);
	for (int i = 0; i < 8; i++) { /* each told something */
		refuse(&p, i, 50, 100, 0);
		refuse(&p, i, 100, 50, 0);
	}
	refuse(&p, 8, 100, 100, 0);
	refuse(&p, 8, 100, 100, 0);
	int64_t rarely = minutes(&p, 9, 100); /* where little is sent: rarely, but not never */
	assert_true(rarely > 60 && rarely <= 180);
	patience_taken(&p, 249);
	assert_int_equal(minutes(&p, 9, 100), rarely);
	patience_taken(&p, 1);
	int64_t owing = minutes(&p, 9, 100);
	assert_true(owing > 10 && owing <= 20);
	refuse(&p, 9, 100, 100, 0);
	assert_int_equal(minutes(&p, 9, 100), rarely);
	patience_taken(&p, 1250);
	assert_true(minutes(&p, 9, 100) <= 2);
}

/* A refusal of nothing, with nothing in use: no share of anything. */
static void test_no_share_of_nothing(void **state)
{
	(void)state;
	static const double parts[] = {NAN, INFINITY, -INFINITY, -0.01, -1};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		struct patience p;
		patience_init(&p);
		patience_taken(&p, 4000);
		refuse(&p, 0, 90, 100, 0.6);
		patience_refused(&p,
			&(struct patience_refusal){
				.window_ms = WINDOW_MS, .level = 100, .part = parts[i], .idle = 0.6, .tried = true});
		patience_weigh(&p);
		int64_t m = minutes(&p, 0, 100);
		assert_true(m > 60 && m < 300);
	}
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

/* Where little is sent, each trial in vain must be paid for by more. */
static void test_in_vain_again_and_again_is_rarer(void **state)
{
	(void)state;
	struct patience p;
	patience_init(&p);
	double last = 0;
	refuse(&p, 0, 100, 0, 0);
	for (int i = 0; i < 9; i++) {
		refuse(&p, 0, 100, 100, 0);
		double taken = 0;
		for (; !patience_is_over(&p, 0, 30 * MIN_MS, 100) && taken < 2000; taken += 10)
			patience_taken(&p, 10);
		if (i >= 6)
			assert_true(taken >= 280 && taken >= last - 20);
		last = taken;
	}
	assert_true(last >= 300 && last < 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cheap_refusals_are_soon_tried_again),
		cmocka_unit_test(test_a_dear_trial_waits_but_not_below_a_higher_level),
		cmocka_unit_test(test_a_doubtful_cost_is_waited_for_less),
		cmocka_unit_test(test_a_higher_level_is_not_sought_without_end),
		cmocka_unit_test(test_owing),
		cmocka_unit_test(test_no_share_of_nothing),
		cmocka_unit_test(test_what_is_owed_is_not_forgotten),
		cmocka_unit_test(test_in_vain_again_and_again_is_rarer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
