/* What no other test of the throttle held (found by changing its lines one by one): fences only ever grow and have an end, who states an hour is
   believed when it refuses again, the first request after a fence goes alone, what was learned fades, and who waits for much is not passed
   by for ever. */
#include "throttle/admit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE_MS 60000
#define HOUR_MS 3600000

static const struct demand one = {.requests = 1, .bytes = 1000};

static struct meter meter_of(const struct scope_limits *limits)
{
	struct meter m = {0};
	memset(&m, 0, sizeof m);
	meter_init(&m, 0, limits);
	return m;
}

static void refuse(struct meter *m, int64_t now_ms, enum dimension dimension, int64_t stated_ms)
{
	struct meter_booking b;
	struct throttle_hint hint = {.dimension = dimension, .retry_after_ms = stated_ms, .words = "too much"};
	struct meter_end end = {
		.verdict = VERDICT_REFUSED, .hint = &hint, .bytes_sent = 1000, .latency_ms = 10, .started_ms = now_ms};
	meter_start(m, now_ms, &one, &b);
	meter_stop(m, now_ms + 10, &one, &b, &end);
}

static void test_fences_only_grow_and_end(void **state)
{
	(void)state;
	struct meter m = meter_of(&(struct scope_limits){0});
	meter_fence(&m, 0, 10 * MINUTE_MS, "long");
	meter_fence(&m, 1000, MINUTE_MS, "short");
	assert_int_equal(m.fence_end_ms, 10 * MINUTE_MS);
	assert_string_equal(m.reason, "long");
	meter_fence(&m, 1000, -1, "none");
	assert_int_equal(m.fence_end_ms, 10 * MINUTE_MS);
	meter_fence(&m, 1000, INT64_C(1000) * HOUR_MS, "a lie");
	assert_int_equal(m.fence_end_ms, 1000 + HOUR_MS);
}

/* A named limit holds for its window, not longer; who refuses again after that means it. */
static void test_a_stated_hour_is_believed_at_last(void **state)
{
	(void)state;
	struct meter m = meter_of(
		&(struct scope_limits){.requests = 1000, .requests_window_ms = 10 * MINUTE_MS, .in_flight = 4});
	refuse(&m, 0, DIM_REQUESTS, HOUR_MS);
	assert_true(m.fence_end_ms > 0 && m.fence_end_ms <= 10 * MINUTE_MS + 10);
	int64_t now = m.fence_end_ms + 1;
	refuse(&m, now, DIM_REQUESTS, HOUR_MS);
	assert_int_equal(m.fence_end_ms, now + 10 + HOUR_MS);
}

static void test_one_at_first_after_a_fence(void **state)
{
	(void)state;
	struct meter m = meter_of(&(struct scope_limits){.in_flight = 4});
	struct meter_booking b;
	struct meter_block block;
	meter_fence(&m, 0, 1000, "closed");
	assert_true(meter_may(&m, 1000, &one, &block));
	meter_start(&m, 1000, &one, &b);
	assert_false(meter_may(&m, 1000, &one, &block));
	assert_int_equal(block.why, DIM_IN_FLIGHT);
	struct meter_end end = {.verdict = VERDICT_OK, .bytes_sent = 1000, .latency_ms = 10, .started_ms = 1000};
	meter_stop(&m, 1010, &one, &b, &end);
	meter_start(&m, 1010, &one, &b);
	assert_true(meter_may(&m, 1010, &one, &block)); /* two */
}

static double recalled(int64_t age_s)
{
	struct scope_limits limits = {.requests = 1000, .requests_window_ms = 10 * MINUTE_MS};
	struct meter m = meter_of(&limits);
	struct scope_learned l = {.requests = 400}, now;
	meter_set_learned(&m, 0, &l, age_s);
	meter_get_learned(&m, &now);
	return now.requests;
}

static void test_what_was_learned_fades(void **state)
{
	(void)state;
	assert_true(recalled(0) > 399 && recalled(0) < 401);
	assert_true(recalled(3 * 86400) > recalled(0) && recalled(3 * 86400) < 1000); /* nearer to what is published */
	assert_true(recalled(6 * 86400) > recalled(3 * 86400));
	assert_true(recalled(8 * 86400) <= 0);                /* a week */
	struct meter m = meter_of(&(struct scope_limits){0}); /* nothing is published, as of IMAP */
	struct scope_learned l = {.requests = 400, .in_flight = 2}, now;
	meter_set_learned(&m, 0, &l, 8 * 86400);
	meter_get_learned(&m, &now);
	assert_true(now.requests <= 0 && now.in_flight == 0);
	meter_set_learned(&m, 0, &l, 6 * 86400);
	meter_get_learned(&m, &now);
	assert_true(now.requests > 399 && now.requests < 401 && now.in_flight == 2);
	assert_true(recalled(-5) <= recalled(0)); /* from a clock that was set back: as new */
}

struct job {
	struct waiter w;
	struct permit p;
};

/* A small one that fits whenever there is room must not go past a large one that waits for all of it, again and again. */
static void test_large_ones_are_not_passed_by(void **state)
{
	(void)state;
	struct admit a;
	struct scope_limits limits = {.bytes = 1000000, .bytes_window_ms = MINUTE_MS};
	struct job large = {.w = {.demand = {.bytes = 900000, .requests = 1}}}, small[4];
	memset(small, 0, sizeof small);
	admit_init(&a);
	struct scope *top = admit_open(&a, 0, NULL, "top", &limits);
	struct scope *leaf[2] = {admit_open(&a, 0, top, "large", NULL), admit_open(&a, 0, top, "small", NULL)};
	int64_t now = 0, waited_ms = -1;
	bool running[4] = {false};
	for (; now < 20 * MINUTE_MS && waited_ms < 0; now += 100) {
		if (now == 5 * MINUTE_MS)
			admit_enter(&a, now, leaf[0], &large.w, &large.p);
		admit_run(&a, now);
		while (admit_take_wake(&a))
			continue;
		for (size_t i = 0; i < 4; i++) {
			if (running[i] && !small[i].w.granted)
				continue;
			if (running[i])
				admit_leave(&a, now, &small[i].p, VERDICT_OK, NULL, 20000, 10);
			small[i].w.demand = (struct demand){.bytes = 20000, .requests = 1};
			admit_enter(&a, now, leaf[1], &small[i].w, &small[i].p);
			running[i] = true;
		}
		if (now >= 5 * MINUTE_MS && large.w.granted)
			waited_ms = now - 5 * MINUTE_MS;
	}
	assert_in_range(
		waited_ms, 0, 3 * MINUTE_MS); /* the window that is full, and the turns of the small ones before it */
	admit_leave(&a, now, &large.p, VERDICT_OK, NULL, 900000, 10);
	for (size_t i = 0; i < 4; i++) {
		admit_cancel(&a, now, leaf[1], &small[i].w);
		if (small[i].w.granted)
			admit_leave(&a, now, &small[i].p, VERDICT_UNUSED, NULL, 0, 0);
	}
	admit_close(&a, now, &leaf[0]);
	admit_close(&a, now, &leaf[1]);
	admit_close(&a, now, &top);
	admit_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_fences_only_grow_and_end),
		cmocka_unit_test(test_a_stated_hour_is_believed_at_last),
		cmocka_unit_test(test_one_at_first_after_a_fence), cmocka_unit_test(test_what_was_learned_fades),
		cmocka_unit_test(test_large_ones_are_not_passed_by)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
