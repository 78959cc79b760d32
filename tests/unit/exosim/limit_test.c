#include "upload/exosim/limit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <stddef.h>

#include <cmocka.h>

static void test_each_limit(void **state)
{
	(void)state;
	struct limit_rules r = limit_documented();
	struct limit l;
	int64_t retry;
	limit_init(&l, &r);
	for (int i = 0; i < 4; i++)
		assert_int_equal(limit_begin(&l, 0, 10, &retry), LIMIT_NONE);
	assert_int_equal(limit_begin(&l, 0, 10, &retry), LIMIT_CONCURRENCY);
	assert_int_equal(retry, 1000);
	limit_end(&l);
	assert_int_equal(
		limit_begin(&l, 1, 149999950, &retry), LIMIT_NONE); /* 50 octets were counted, the refused too */
	limit_end(&l);
	assert_int_equal(limit_begin(&l, 2, 1, &retry), LIMIT_BYTES);
	assert_int_equal(retry, 300000);
	assert_string_equal(limit_name(LIMIT_BYTES), "IncomingBytes");
	assert_int_equal(limit_begin(&l, 300010, 1000, &retry), LIMIT_NONE);
	limit_end(&l);
	for (int i = 0; i < 9992; i++) {
		assert_int_equal(limit_begin(&l, 300020, 0, &retry), LIMIT_NONE);
		limit_end(&l);
	}
	assert_int_equal(limit_begin(&l, 300030, 0, &retry), LIMIT_REQUESTS);
	assert_true(retry >= 299000 && retry <= 301000); /* when the first ones leave the ten minutes */
	limit_done(&l);
}

static void test_retry_after_of_any_kind(void **state)
{
	(void)state;
	struct limit_rules r = {.bytes = 100, .bytes_window_ms = 1000, .retry = LIMIT_RETRY_MISSING};
	struct limit l;
	int64_t retry;
	limit_init(&l, &r);
	assert_int_equal(limit_begin(&l, 0, 500, &retry), LIMIT_NONE); /* above the whole limit: alone */
	assert_int_equal(limit_begin(&l, 1, 1, &retry), LIMIT_BYTES);
	assert_int_equal(retry, -1);
	r.retry = LIMIT_RETRY_FIXED;
	r.retry_ms = 299961;
	limit_set_rules(&l, &r);
	assert_int_equal(limit_begin(&l, 2, 1, &retry), LIMIT_BYTES);
	assert_int_equal(retry, 300000);
	limit_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_limit),
		cmocka_unit_test(test_retry_after_of_any_kind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
