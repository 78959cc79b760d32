#include "upload/exosim/window.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_slides(void **state)
{
	struct window w;

	(void)state;
	window_init(&w, 1000);
	window_add(&w, 0, 10);
	window_add(&w, 5, 10);
	window_add(&w, 500, 100);
	assert_int_equal(w.count, 3);
	assert_int_equal(w.bytes, 120);
	assert_int_equal(window_wait(&w, 500, 3, 1000), 0);
	assert_int_equal(window_wait(&w, 500, 2, 1000), 500);
	assert_int_equal(window_wait(&w, 500, 0, 1000), 1000);
	assert_int_equal(window_wait(&w, 500, 100, 110), 500);
	window_advance(&w, 999);
	assert_int_equal(w.count, 3);
	window_advance(&w, 1000);
	assert_int_equal(w.count, 1);
	window_add(&w, 1499, 1);
	assert_int_equal(w.count, 2);
	assert_int_equal(w.peak_count, 3);
	assert_int_equal(w.peak_bytes, 120);
	window_advance(&w, 100000);
	assert_int_equal(w.count, 0);
	assert_int_equal(w.bytes, 0);
	window_done(&w);
}

/* Against a naive count, over a ring that grows and turns. */
static void test_many(void **state)
{
	struct window w;
	enum { N = 5000, SPAN = 700 };
	static int64_t at[N];
	uint64_t n;

	(void)state;
	window_init(&w, SPAN);
	for (int i = 0; i < N; i++) {
		at[i] = (i ? at[i - 1] : 0) + 10 + (i * 7919) % 23;
		window_add(&w, at[i], 3);
		n = 0;
		for (int k = 0; k <= i; k++)
			n += at[k] + SPAN > at[i];
		assert_int_equal(w.count, n);
		assert_int_equal(w.bytes, 3 * n);
	}
	window_done(&w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_slides), cmocka_unit_test(test_many)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
