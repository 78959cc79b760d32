#include "throttle/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_starts_full_and_paces(void **state)
{
	(void)state;
	struct bucket b;
	bucket_init(&b, 0, 10, 5); /* 10 a second, burst 5 */
	int64_t now = 0;
	for (int i = 0; i < 6; i++) { /* five, and one that makes the debt */
		assert_int_equal(bucket_wait_ms(&b, now), 0);
		bucket_take(&b, now, 1);
	}
	assert_int_equal(bucket_wait_ms(&b, now), 100);
	now += 99;
	assert_int_equal(bucket_wait_ms(&b, now), 1);
	now += 1;
	assert_int_equal(bucket_wait_ms(&b, now), 0);
}

static void test_large_demand_leaves_a_debt(void **state)
{
	(void)state;
	struct bucket b;
	bucket_init(&b, 1000, 100, 10);
	assert_int_equal(bucket_wait_ms(&b, 1000), 0);
	bucket_take(&b, 1000, 1010);
	assert_int_equal(bucket_wait_ms(&b, 1000), 10000);
	bucket_give(&b, 500); /* half of it was not sent */
	assert_int_equal(bucket_wait_ms(&b, 1000), 5000);
	assert_int_equal(bucket_wait_ms(&b, 6000), 0);
}

static void test_rate_changes(void **state)
{
	(void)state;
	struct bucket b;
	bucket_init(&b, 0, 0, 0); /* no limit */
	bucket_take(&b, 0, 1e9);
	assert_int_equal(bucket_wait_ms(&b, 0), 0);
	bucket_set(&b, 0, 100, 100); /* what was before is no debt */
	assert_int_equal(bucket_wait_ms(&b, 0), 0);
	bucket_take(&b, 0, 300);
	bucket_set(&b, 1000, 10, 100); /* a second at 100 has gone by: 100 owed */
	assert_int_equal(bucket_wait_ms(&b, 1000), 10000);
	bucket_set(&b, 1000, 1000, 100);
	assert_int_equal(bucket_wait_ms(&b, 1000), 100);
}

static void test_clock_that_goes_back_gives_nothing(void **state)
{
	(void)state;
	struct bucket b;
	bucket_init(&b, 5000, 10, 1);
	bucket_take(&b, 5000, 2);
	assert_int_equal(bucket_wait_ms(&b, 1000), 100);
	assert_int_equal(bucket_wait_ms(&b, 5100), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_starts_full_and_paces),
		cmocka_unit_test(test_large_demand_leaves_a_debt),
		cmocka_unit_test(test_rate_changes),
		cmocka_unit_test(test_clock_that_goes_back_gives_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
