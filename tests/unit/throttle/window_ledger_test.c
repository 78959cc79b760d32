#include "throttle/window_ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_fits_until_full_and_again_after_the_window(void **state)
{
	(void)state;
	static const int64_t windows[] = {1, 10, 253, 254, 255, 1000, 300000, 600000};
	for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
		struct window_ledger l = {0};
		int64_t w = windows[i], now = 12345;
		ledger_init(&l, now, w);
		assert_true(ledger_fits(&l, now, 100, 100));
		ledger_hold(&l, 100);
		assert_false(ledger_fits(&l, now, 1, 100));
		assert_true(ledger_fits_at(&l, now, 1, 100) == LEDGER_NEVER); /* in flight: for as long as it takes */
		ledger_settle(&l, now, 100, 100);
		int64_t at = ledger_fits_at(&l, now, 1, 100);
		assert_in_range(at - now, w, w + 2 * l.slot_ms);
		assert_false(ledger_fits(&l, at - 1, 1, 100));
		assert_true(ledger_fits(&l, at, 100, 100));
		assert_int_equal(ledger_used(&l, at), 0);
	}
}

static void test_larger_than_the_window_goes_alone(void **state)
{
	(void)state;
	struct window_ledger l = {0};
	ledger_init(&l, 0, 1000);
	assert_true(ledger_fits(&l, 0, 500, 100));
	ledger_hold(&l, 1);
	ledger_settle(&l, 0, 1, 1);
	assert_false(ledger_fits(&l, 0, 500, 100));
	int64_t at = ledger_fits_at(&l, 0, 500, 100);
	assert_true(at != LEDGER_NEVER);
	assert_true(ledger_fits(&l, at, 500, 100));
	assert_true(ledger_fits(&l, at, UINT64_MAX, 100)); /* no overflow */
}

static void test_unused_comes_back_and_more_counts(void **state)
{
	(void)state;
	struct window_ledger l = {0};
	ledger_init(&l, 0, 1000);
	ledger_hold(&l, 60);
	ledger_hold(&l, 30);
	ledger_settle(&l, 5, 60, 0);
	assert_int_equal(ledger_used(&l, 5), 30);
	ledger_settle(&l, 5, 30, 45);
	assert_int_equal(ledger_used(&l, 5), 45);
}

static void test_other_window_keeps_what_was_sent(void **state)
{
	(void)state;
	struct window_ledger l = {0};
	ledger_init(&l, 0, 1000);
	ledger_hold(&l, 70);
	ledger_settle(&l, 0, 70, 70);
	ledger_hold(&l, 5);
	ledger_set_window(&l, 900, 5000);
	assert_int_equal(ledger_used(&l, 900), 75);
	assert_int_equal(ledger_used(&l, 5800), 75);
	assert_int_equal(ledger_used(&l, 6000), 5);
}

/* Against a list of everything: whatever the schedule, no window holds more than the limit, and a wait that is promised ends. */
#define EVENTS 4000
static void test_random_schedules_never_exceed(void **state)
{
	(void)state;
	static struct {
		int64_t at;
		uint64_t n;
	} log[EVENTS];
	for (unsigned seed = 1; seed <= 20; seed++) {
		srand(seed);
		struct window_ledger l = {0};
		int64_t w = 1 + rand() % (seed % 2 ? 500 : 100000), now = rand() % 100000;
		uint64_t limit = 1 + (uint64_t)rand() % 1000;
		size_t count = 0;
		ledger_init(&l, now, w);
		while (count < EVENTS) {
			uint64_t n = 1 + (uint64_t)rand() % (limit < 40 ? limit : limit / 8);
			int64_t at = ledger_fits_at(&l, now, n, limit);
			assert_true(at != LEDGER_NEVER && at - now <= w + 2 * l.slot_ms);
			if (at > now)
				assert_false(ledger_fits(&l, now, n, limit));
			now = at;
			assert_true(ledger_fits(&l, now, n, limit));
			ledger_hold(&l, n);
			now += rand() % 3 ? 0 : rand() % (int)(w / 50 + 2);
			ledger_settle(&l, now, n, n);
			log[count].at = now;
			log[count++].n = n;
		}
		uint64_t in_window = 0;
		for (size_t first = 0, last = 0; last < count; last++) {
			in_window += log[last].n;
			while (log[last].at - log[first].at > w)
				in_window -= log[first++].n;
			assert_true(in_window <= limit);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fits_until_full_and_again_after_the_window),
		cmocka_unit_test(test_larger_than_the_window_goes_alone),
		cmocka_unit_test(test_unused_comes_back_and_more_counts),
		cmocka_unit_test(test_other_window_keeps_what_was_sent),
		cmocka_unit_test(test_random_schedules_never_exceed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
