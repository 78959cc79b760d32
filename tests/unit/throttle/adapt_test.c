#include "throttle/adapt.h"

#include "throttle/flight.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MIN_MS 60000
#define WINDOW 300000

static void refuse(struct adapt *a, int64_t now_ms, int64_t started_ms, double used, double n, int64_t fence_end_ms)
{
	adapt_refused(a, &(struct adapt_refusal){.now_ms = now_ms,
				 .started_ms = started_ms,
				 .fence_end_ms = fence_end_ms,
				 .window_ms = WINDOW,
				 .used = used,
				 .n = n,
				 .reach = used});
}

static void taken(struct adapt *a, int64_t started_ms, double used, double n, double requests, bool trial)
{
	adapt_taken(a, &(struct adapt_taking){.started_ms = started_ms,
			       .used = used,
			       .sure = used,
			       .n = n,
			       .requests = requests,
			       .trial = trial});
}

static void test_nothing_known_is_the_ceiling(void **state)
{
	(void)state;
	struct adapt a;
	adapt_init(&a, 150e6);
	assert_true(adapt_limit(&a, 0) == 150e6);
	assert_false(adapt_is_trial(&a, 149e6));
	adapt_init(&a, 0);
	assert_true(isinf(adapt_limit(&a, 0)));
}

/* Lower at once, back to just under the level soon, and past it later: never zero, never above the ceiling. */
static void test_shape_after_a_refusal(void **state)
{
	(void)state;
	struct adapt a;
	adapt_init(&a, 150e6);
	refuse(&a, 1000, 900, 90e6, 1e5, 11000);
	double low = adapt_limit(&a, 11000), back = adapt_limit(&a, 11000 + 25000);
	assert_true(low < 0.97 * 90e6 && low > 0.9 * 90e6);
	assert_true(back < 90e6 && back > 0.99 * 90e6);
	assert_true(adapt_is_trial(&a, 91e6));
	assert_true(adapt_limit(&a, 11000 + 40000) == back); /* holds */
	for (int i = 0; i < 1000; i++)
		taken(&a, 12000, 89e6, 1, 1, false);
	double past = 0;
	int64_t now = 11000 + MIN_MS;
	for (double used = 89e6; now < 11000 + 10 * MIN_MS; now += 1000) {
		adapt_advance(&a, now);
		double limit = adapt_limit(&a, now);
		assert_true(limit >= past && limit <= 150e6 && limit < used * 1.2 + 2e6);
		past = limit;
		used = limit;
		taken(&a, now - 100, used, 1, 1, false);
	}
	assert_true(past == 150e6);
	assert_false(adapt_is_moving(&a)); /* as published after all */
}

static void test_same_event_counts_once(void **state)
{
	(void)state;
	struct adapt a;
	adapt_init(&a, 100);
	refuse(&a, 1000, 900, 60, 1, 2000);
	refuse(&a, 1010, 950, 62, 1, 2000);
	assert_true(a.level == 60);
}

static void test_large_request_keeps_what_is_known(void **state)
{
	(void)state;
	struct adapt a;
	adapt_init(&a, 100);
	refuse(&a, 1000, 900, 60, 1, 2000);
	taken(&a, 30000, 59, 1, 1, false);
	refuse(&a, 90000, 89000, 45, 20, 90000); /* 65 with it: 60 explains it */
	assert_true(a.level > 59);
	refuse(&a, 99000, 98000, 30, 0.5, 99000);
	assert_true(a.level == 30); /* this one does not */
}

/* Refused with a large one although more than it would have made was in use before: so the limit is less than that, and not as little
   as what was in use without it. With a small one it is what was in use. */
static void test_large_request_against_what_is_known(void **state)
{
	(void)state;
	for (int large = 0; large < 2; large++) {
		struct adapt a;
		adapt_init(&a, 150);
		refuse(&a, 1000, 900, 90, 1, 2000);
		taken(&a, 3000, 95, 1, 1, true);
		refuse(&a, 60000, 59900, large ? 70 : 89, large ? 20 : 1, 61000);
		assert_true(a.level == (large ? 90 : 89));
	}
}

/* Refused with next to nothing in use: that is not this limit as it is known, nor a limit of nothing. */
static void test_refused_with_nothing_in_use(void **state)
{
	(void)state;
	struct adapt a;
	adapt_init(&a, 150);
	refuse(&a, 1000, 900, 100, 1, 301000);
	refuse(&a, 302000, 301900, 1, 1, 310000);
	assert_true(a.level == 50);
	refuse(&a, 312000, 311900, 1, 1, 320000);
	assert_true(a.level == 25);
}

/* A request without octets after a pause: of the octets it tells nothing, so what was learned stays. */
static void test_nothing_taken_teaches_nothing(void **state)
{
	(void)state;
	for (double refused_at = 0; refused_at <= 100; refused_at += 100) {
		struct adapt a;
		adapt_init(&a, 200);
		refuse(&a, 1000, 900, refused_at, 1, 11000);
		a.left = 50;
		double level = a.level;
		taken(&a, 20000, 0, 0, 1, false);
		assert_true(a.level == level && a.weighing);
		taken(&a, 20000, 150, 0, 1, false); /* others are in flight */
		assert_true(a.proven == 0);
	}
}

/* Long after the fence: what it let stay counts, and not what is left since. */
static void test_on_from_what_the_fence_let_stay(void **state)
{
	(void)state;
	struct adapt a;
	adapt_init(&a, 200);
	adapt_refused(&a, &(struct adapt_refusal){.now_ms = 1000,
				  .started_ms = 900,
				  .fence_end_ms = 100000,
				  .window_ms = WINDOW,
				  .used = 100,
				  .n = 1,
				  .left = 59,
				  .reach = 100});
	taken(&a, 400000, 2, 1, 1, false);
	assert_true(a.level == 60);
	assert_true(a.fell_from == 100);
}

/* Several at once from an empty window, refused together: the first of them had nothing before it. */
static void test_refused_together_with_nothing_in_use(void **state)
{
	(void)state;
	struct adapt a;
	adapt_init(&a, 1000);
	refuse(&a, 1000, 900, 500, 1, 2000);
	taken(&a, 3000, 499, 1, 1, false);
	refuse(&a, 400000, 399900, 100, 100, 401000);
	double level = a.level;
	refuse(&a, 400001, 399900, 1, 100, 401000);
	assert_true(a.level == level);
}

/* Whatever was learned: a server that takes anything is found out. Messages that are larger than the limit go one by one, each when the
   window is empty; after a while two are tried. */
static void test_climbs_from_next_to_nothing(void **state)
{
	(void)state;
	for (int ceiling = 0; ceiling < 2; ceiling++) {
		struct adapt a;
		int64_t now = 1000;
		double n = 5e6;
		adapt_init(&a, ceiling ? 150e6 : 0);
		refuse(&a, now, now - 10, 0, ceiling ? n : 1000, now + 1000);
		assert_true(a.level > 0);
		for (double used = 0; a.level > 0 && a.proven < 10 * n && now < 4 * 60 * (int64_t)MIN_MS;) {
			now += 10000;
			adapt_advance(&a, now);
			if (now % WINDOW < 10000)
				used = 0;
			if (used > 0 && (used + n > adapt_limit(&a, now) || !adapt_may_try(&a, now, used, n)))
				continue;
			used += n;
			taken(&a, now, used, n, 1, used > n);
		}
		assert_true(a.proven >= 10 * n);
	}
}

/* The pause may be followed by an idle time. What a trial costs is known only when something was taken. */
static void test_no_trial_before_its_cost_is_known(void **state)
{
	(void)state;
	struct adapt a;
	adapt_init(&a, 150e6);
	adapt_refused(&a, &(struct adapt_refusal){.now_ms = 1000,
				  .started_ms = 900,
				  .fence_end_ms = 301000,
				  .window_ms = WINDOW,
				  .used = 90e6,
				  .n = 1e5,
				  .idle = 0.98,
				  .reach = 90e6,
				  .blind = true});
	adapt_advance(&a, 301000 + 10 * MIN_MS);
	assert_true(a.past_ms == 0);
	taken(&a, 301000 + 10 * MIN_MS, 1e5, 1e5, 1, false);
	adapt_advance(&a, 301000 + 11 * MIN_MS);
	assert_true(a.past_ms == 0);
}

/* A window that is being filled tells the level badly: the server's may be shorter. Between what is in use and what it would hold. */
static void test_window_being_filled(void **state)
{
	(void)state;
	struct adapt a;
	adapt_init(&a, 150);
	struct adapt_refusal r = {.now_ms = 1000,
		.started_ms = 900,
		.fence_end_ms = 2000,
		.window_ms = WINDOW,
		.used = 12,
		.n = 1,
		.reach = 140};
	adapt_refused(&a, &r);
	assert_true(a.level > 70 && a.level < 80);
	r.started_ms = 3000;
	r.now_ms = 3100;
	r.fence_end_ms = 4000;
	adapt_refused(&a, &r);
	assert_true(a.level > 20 && a.level < 40); /* each time nearer to what was in use */
}

/* The limit fell to a quarter, and the server said when it would take more: on from what is still in use then. */
static void test_on_from_what_is_left(void **state)
{
	(void)state;
	struct adapt a;
	adapt_init(&a, 200);
	refuse(&a, 1000, 900, 100, 1, 200000);
	taken(&a, 200000, 25, 1, 1, false);
	assert_true(adapt_limit(&a, 200000) < 35);
	refuse(&a, 201000, 200500, 26, 1, 202000);
	assert_true(a.level <= 26);
	adapt_init(&a, 200); /* with large requests it comes near only */
	refuse(&a, 1000, 900, 100, 1, 200000);
	taken(&a, 200000, 25, 1, 1, false);
	taken(&a, 210000, 78, 20, 1, true);
	assert_true(a.level == 25);
	taken(&a, 211000, 85, 20, 1, true);
	assert_true(a.level == 100);
	adapt_init(
		&a, 200); /* it had not fallen, the pause was for nothing: up again soon, and then never soon again */
	refuse(&a, 1000, 900, 100, 1, 200000);
	int64_t now = 200000;
	for (double used = 25; used < 99.6 && now < 400000; now += 500) {
		taken(&a, now, used, 1, 1, true);
		used = adapt_limit(&a, now + 500);
	}
	assert_true(now < 300000);
	for (int i = 0; i < 5000; i++)
		taken(&a, now, 99, 1, 1, false);
	adapt_advance(&a, now + 30 * MIN_MS);
	assert_true(adapt_limit(&a, now + 31 * MIN_MS) < 100);
}

/* What grows with time does not while nothing can be sent. */
static void test_a_pause_teaches_nothing(void **state)
{
	(void)state;
	struct adapt a;
	adapt_init(&a, 100);
	refuse(&a, 1000, 900, 50, 1, 2000);
	for (int i = 0; i < 1000; i++)
		taken(&a, 3000, 49, 1, 1, false);
	adapt_advance(&a, 2000 + 2 * MIN_MS);
	assert_true(a.past_ms > 0);
	adapt_pause(&a, 2000 + 2 * MIN_MS, 2000 + 60 * MIN_MS);
	assert_true(adapt_limit(&a, 2000 + 60 * MIN_MS) < 50);
}

/* A server that names no limit and closes for its usual five minutes: what a trial costs is known from the first refusal on. A pause
   that the server measured may be long because the limit has fallen: that is tried sooner. */
static void test_a_usual_pause_tells_what_trials_cost(void **state)
{
	(void)state;
	for (int blind = 0; blind < 2; blind++) {
		struct adapt a;
		adapt_init(&a, 150e6);
		adapt_refused(&a, &(struct adapt_refusal){.now_ms = 1000,
					  .started_ms = 900,
					  .fence_end_ms = 301000,
					  .window_ms = WINDOW,
					  .used = 90e6,
					  .n = 1e5,
					  .idle = 0.98,
					  .reach = 90e6,
					  .blind = blind});
		for (int i = 0; i < 1000; i++)
			taken(&a, 302000, 89e6, 1, 1, false);
		adapt_advance(&a, 301000 + 30 * MIN_MS);
		assert_int_equal(a.past_ms != 0, !blind);
		adapt_advance(&a, 301000 + 6 * 60 * MIN_MS);
		assert_true(a.past_ms != 0);
	}
}

/* Where much lies between what is known and what was refused, a message of some size is a good trial; where little does, none is. */
static void test_a_trial_as_large_as_the_doubt(void **state)
{
	(void)state;
	struct adapt a;
	adapt_init(&a, 200e6);
	refuse(&a, 1000, 900, 80e6, 24e6, 2000);
	assert_true(adapt_may_try(&a, 3000, 79.8e6, 5e6));
	assert_false(adapt_may_try(&a, 3000, 79.8e6, 20e6));
	adapt_init(&a, 200e6);
	refuse(&a, 1000, 900, 80e6, 1e5, 2000);
	assert_false(adapt_may_try(&a, 3000, 79.8e6, 5e6));
	assert_true(adapt_may_try(&a, 3000, 79.8e6, 1e5));
	/* it was more before: what is missing to that counts, too */
	refuse(&a, 10000, 9900, 20e6, 1e5, 11000);
	assert_true(adapt_may_try(&a, 12000, 19.9e6, 1.5e6));
	assert_false(adapt_may_try(&a, 12000, 19.9e6, 2.5e6));
	/* and what was gained since */
	taken(&a, 12000, 30e6, 1e5, 1, true);
	assert_true(adapt_may_try(&a, 12000, 30e6, 2.5e6));
	assert_false(adapt_may_try(&a, 12000, 30e6, 3.5e6));
}

/* Near the level one trial at a time, or several would be refused together; far past it more and more. */
static void test_one_trial_near_the_level(void **state)
{
	(void)state;
	struct adapt a;
	adapt_init(&a, 200e6);
	refuse(&a, 1000, 900, 80e6, 1e5, 2000);
	for (int i = 0; i < 100; i++) {
		adapt_start_trial(&a);
		taken(&a, 60000, 80e6 + i * 1e3, 1e3, 1, true);
	}
	assert_int_equal(a.room, 1);
	for (int i = 0; i < 100; i++) {
		adapt_start_trial(&a);
		taken(&a, 60000, 81e6 + i * 1e3, 1e3, 1, true);
	}
	assert_true(a.room > 4);
}

/* The less is paid for, the longer it waits; but it never waits for ever. */
static void test_owing_delays_the_next_trial(void **state)
{
	(void)state;
	int64_t was = 0;
	for (int owing = 0; owing < 8; owing++) {
		struct adapt a;
		int64_t now = 1000;
		adapt_init(&a, 200e6);
		for (int i = 0; i <= owing; i++, now += 1000)
			refuse(&a, now, now - 10, 80e6, 1e5, now + 500);
		int64_t from = now;
		taken(&a, now, 79e6, 1e5, 0, false);
		for (; !a.past_ms && now < from + 3 * 60 * MIN_MS; now += 1000)
			adapt_advance(&a, now);
		assert_true(a.past_ms > 0);
		assert_true(now - from >= was);
		was = now - from;
	}
	assert_true(was > 10 * MIN_MS);
}

/* Too many at once, tried again and again in vain: less and less often. */
static void test_flight_in_vain(void **state)
{
	(void)state;
	struct flight f;
	int64_t now = 1000, waited[3];
	flight_init(&f, 50);
	flight_refused(&f, now, now - 10, 11, now + 1000, true);
	for (int i = 0; i < 3; i++) {
		int64_t from = now;
		for (; flight_limit(&f, now) == 10; now += 1000)
			flight_taken(&f, now, 10, 10, 1000, 0);
		waited[i] = now - from;
		flight_refused(&f, now, now - 10, 11, now + 1000, true);
	}
	assert_in_range(waited[0], 20000, 60000);
	assert_true(waited[2] > 2 * waited[0]);
}

static void test_never_zero(void **state)
{
	(void)state;
	struct adapt a;
	adapt_init(&a, 1000);
	for (int64_t t = 0; t < 100; t++)
		refuse(&a, t * 1000, t * 1000 - 1, 0, 1, t * 1000);
	assert_true(adapt_limit(&a, 100000) >= 10);
}

static void test_flight_by_refusal(void **state)
{
	(void)state;
	struct flight f;
	flight_init(&f, 4);
	assert_int_equal(flight_limit(&f, 0), 4);
	flight_refused(&f, 1000, 900, 3, 2000, false);
	assert_int_equal(flight_limit(&f, 3000), 2);
	assert_int_equal(flight_limit(&f, 3000 + 30000), 2);
	for (int i = 0; i < 1000; i++)
		flight_taken(&f, 3000, 2, 2, 1000, 0);
	assert_int_equal(flight_limit(&f, 2000 + MIN_MS), 3); /* tries one more */
	flight_refused(&f, 70000, 69000, 3, 70000, false);
	assert_int_equal(flight_limit(&f, 71000), 2);
	flight_refused(&f, 80000, 79000, 1, 80000, false);
	flight_refused(&f, 90000, 89000, 1, 90000, false);
	assert_int_equal(flight_limit(&f, 91000), 1);
}

/* The gradient counts: a slow server is not held against itself, one that becomes slow with what is in flight is. */
static void test_flight_by_latency(void **state)
{
	(void)state;
	struct flight f;
	flight_init(&f, 64);
	int64_t now = 0;
	for (int i = 0; i < 500; i++)
		flight_taken(&f, now += 20, 8, 8, 1000, 3000);
	assert_int_equal(flight_limit(&f, now), 64);
	for (int i = 0; i < 3000; i++) { /* 3 s up to 16 at once, then in proportion */
		unsigned n = flight_limit(&f, now);
		flight_taken(&f, now += 20, n, n, 1000, n <= 16 ? 3000 : 3000 * n / 16);
	}
	assert_in_range(flight_limit(&f, now), 12, 40);
}

/* A large one that is refused while the limit falls is not sent again and again where it was refused. */
static void test_a_large_one_refused_comes_again_with_less(void **state)
{
	(void)state;
	struct adapt a;
	adapt_init(&a, 150);
	refuse(&a, 1000, 0, 100, 1, 1000); /* nothing was known: a limit of 100 */
	double small = adapt_limit_for(&a, MIN_MS, 1), with = 97;
	assert_true(small > 98 && adapt_limit_for(&a, MIN_MS, 20) == small);
	for (int row = 0; row < 12; row++) {
		int64_t now = (1 + row) * MIN_MS;
		double was = with, n = 20;
		refuse(&a, now, now - 100, with - n, n, now);
		with = adapt_limit_for(&a, now + MIN_MS / 2, n);
		assert_true(with <= was * (row < 1 ? 0.97 : row < 2 ? 0.94 : 0.88) + 1e-9);
		assert_true(with >= was * 0.7 && with > 0);
		if (with < 3 * n)
			break;
	}
	assert_true(with < 60);
	assert_true(adapt_limit_for(&a, 30 * MIN_MS, 0.01) > with); /* smaller ones are not held back by it */
	taken(&a, 29 * MIN_MS, with, 20, 1, false);
	assert_true(adapt_limit_for(&a, 30 * MIN_MS, 20) == adapt_limit(&a, 30 * MIN_MS));
}

/* What the server may have let go already proves nothing; and a limit that a large one did not find lower stays as it is. */
static void test_only_what_is_sure_proves(void **state)
{
	(void)state;
	struct adapt a;
	adapt_init(&a, 150);
	refuse(&a, 1000, 0, 90, 0.1, 1000);
	adapt_taken(&a, &(struct adapt_taking){.started_ms = 2000, .used = 95, .sure = 89, .n = 10, .requests = 1});
	assert_false(adapt_is_known(&a, 90));
	for (int i = 0; i < 20; i++) {
		int64_t now = (i + 1) * 10 * MIN_MS;
		adapt_refused(&a, &(struct adapt_refusal){.now_ms = now,
					  .started_ms = now - 100,
					  .fence_end_ms = now,
					  .window_ms = WINDOW,
					  .used = 85,
					  .n = 10,
					  .reach = 85,
					  .trial = true});
		assert_true(a.level == 90);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_known_is_the_ceiling),
		cmocka_unit_test(test_shape_after_a_refusal),
		cmocka_unit_test(test_same_event_counts_once),
		cmocka_unit_test(test_large_request_keeps_what_is_known),
		cmocka_unit_test(test_large_request_against_what_is_known),
		cmocka_unit_test(test_refused_with_nothing_in_use),
		cmocka_unit_test(test_nothing_taken_teaches_nothing),
		cmocka_unit_test(test_on_from_what_the_fence_let_stay),
		cmocka_unit_test(test_refused_together_with_nothing_in_use),
		cmocka_unit_test(test_climbs_from_next_to_nothing),
		cmocka_unit_test(test_no_trial_before_its_cost_is_known),
		cmocka_unit_test(test_window_being_filled),
		cmocka_unit_test(test_on_from_what_is_left),
		cmocka_unit_test(test_a_pause_teaches_nothing),
		cmocka_unit_test(test_a_usual_pause_tells_what_trials_cost),
		cmocka_unit_test(test_a_trial_as_large_as_the_doubt),
		cmocka_unit_test(test_one_trial_near_the_level),
		cmocka_unit_test(test_owing_delays_the_next_trial),
		cmocka_unit_test(test_flight_in_vain),
		cmocka_unit_test(test_never_zero),
		cmocka_unit_test(test_flight_by_refusal),
		cmocka_unit_test(test_flight_by_latency),
		cmocka_unit_test(test_a_large_one_refused_comes_again_with_less),
		cmocka_unit_test(test_only_what_is_sure_proves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
