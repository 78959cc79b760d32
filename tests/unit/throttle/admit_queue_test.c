/* The queue step by step: who stands in whose way, and who is looked at again. */
#include "throttle/admit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define WINDOW_MS 10000

static struct admit a;
static struct scope *root, *one, *two;

/* 1000 octets in a window, of which a fifth is gone; then a large one waits in one leaf, and a small one, which would fit, behind it in the other. */
static struct waiter large, small;
static struct permit first, large_permit, small_permit;

static int set_up(void **state)
{
	(void)state;
	const struct scope_limits limits = {.bytes = 1000, .bytes_window_ms = WINDOW_MS}, none = {0};
	int64_t until_ms;
	admit_init(&a);
	root = admit_open(&a, 0, NULL, "root", &limits);
	one = admit_open(&a, 0, root, "one", &none);
	two = admit_open(&a, 0, root, "two", &none);
	assert_true(admit_try(&a, 1, two, &(struct demand){.bytes = 200, .requests = 1}, &first, &until_ms));
	large = (struct waiter){.demand = {.bytes = 900, .requests = 1}};
	small = (struct waiter){.demand = {.bytes = 10, .requests = 1}};
	admit_enter(&a, 2, one, &large, &large_permit);
	admit_enter(&a, 3, two, &small, &small_permit);
	assert_false(large.granted || small.granted);
	while (admit_take_wake(&a))
		;
	large.armed_ms = small.armed_ms = LEDGER_NEVER;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (!a.first) /* else a test failed in the middle */
		admit_done(&a);
	return 0;
}

static void test_a_large_one_keeps_its_place(void **state)
{
	(void)state;
	for (int64_t now = 5000; now < 5010; now++) {
		admit_touch(&a, now, root); /* both are looked at anew */
		assert_false(large.granted || small.granted);
	}
	admit_cancel(&a, 5020, two, &small);
	admit_cancel(&a, 5020, one, &large);
	admit_leave(&a, 5020, &first, VERDICT_OK, NULL, 200, 1);
}

static void test_a_cancel_lets_the_next_in(void **state)
{
	(void)state;
	admit_cancel(&a, 5000, one, &large);
	assert_true(small.granted);
	assert_ptr_equal(admit_take_wake(&a), &small);
	assert_null(admit_take_wake(&a));
	admit_leave(&a, 5020, &small_permit, VERDICT_OK, NULL, 10, 1);
	admit_leave(&a, 5020, &first, VERDICT_OK, NULL, 200, 1);
}

static void test_who_left_is_not_woken(void **state)
{
	(void)state;
	admit_leave(&a, 5000, &first, VERDICT_OK, NULL, 200,
		1); /* the large one is to be armed for the time when there is room */
	assert_true(large.to_wake);
	admit_cancel(&a, 5001, one, &large);
	for (struct waiter *w; (w = admit_take_wake(&a));)
		assert_ptr_not_equal(w, &large);
	admit_leave(&a, 5020, &small_permit, VERDICT_OK, NULL, 10, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_large_one_keeps_its_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_cancel_lets_the_next_in, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_who_left_is_not_woken, set_up, tear_down)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
