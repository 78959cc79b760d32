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

/* Against a naive count, over a ring that grows and turns. */
static void test_peaks(void **state)
{
	enum { N = 3000, SPAN = 700 };
	static int64_t at[N];
	struct limit_rules r = {.requests_window_ms = SPAN, .bytes_window_ms = SPAN};
	struct limit l;
	uint64_t most = 0;

	(void)state;
	limit_init(&l, &r);
	for (int i = 0; i < N; i++) {
		uint64_t n = 0;

		at[i] = (i ? at[i - 1] : 0) + 10 + (i * 7919) % 23;
		limit_use(&l, at[i], 1, 3);
		for (int k = i; k >= 0 && at[k] + SPAN > at[i]; k--)
			n++;
		most = n > most ? n : most;
		assert_int_equal(l.requests.sum, n);
		assert_int_equal(l.bytes.sum, 3 * n);
	}
	assert_int_equal(l.requests.peak, most);
	assert_int_equal(l.bytes.peak, 3 * most);
	limit_done(&l);
}

/* The limit is of uploads. */
static void test_no_body_no_limit_of_bytes(void **state)
{
	struct limit_rules r = {.bytes = 100, .bytes_window_ms = 1000};
	struct limit l;
	int64_t retry;

	(void)state;
	limit_init(&l, &r);
	assert_int_equal(limit_begin(&l, 0, 100, &retry), LIMIT_NONE);
	assert_int_equal(limit_begin(&l, 0, 50, &retry), LIMIT_BYTES);
	assert_int_equal(limit_begin(&l, 0, 0, &retry), LIMIT_NONE);
	limit_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_limit),
		cmocka_unit_test(test_retry_after_of_any_kind),
		cmocka_unit_test(test_peaks),
		cmocka_unit_test(test_no_body_no_limit_of_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
