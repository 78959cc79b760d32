#include "engine/tries.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MOST 6

static struct err said(enum err_kind kind, int64_t retry_after_ms)
{
	struct err e = ERR_INIT;
	err_set(&e, kind, "as the test wants");
	e.retry_after_ms = retry_after_ms;
	return e;
}

static void test_what_asks_to_wait(void **state)
{
	(void)state;
	static const struct {
		enum err_kind kind;
		int64_t retry_after_ms;
		bool asks;
	} rows[] = {{ERR_THROTTLED, -1, true}, {ERR_THROTTLED, 0, true}, {ERR_THROTTLED, 5, true}, {ERR_BUSY, 5, true},
		{ERR_BUSY, 0, false}, {ERR_BUSY, -1, false}, {ERR_LOST, -1, false}, {ERR_QUOTA, 900000, false},
		{ERR_DEFERRED, 900000, false}, {ERR_NONE, 5, false}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err e = said(rows[i].kind, rows[i].retry_after_ms);
		assert_int_equal(err_asks_to_wait(&e), rows[i].asks);
	}
}

static void test_so_many_failures_in_a_row(void **state)
{
	(void)state;
	struct tries t = {0};
	struct err lost = said(ERR_LOST, -1);
	for (unsigned i = 1; i < MOST; i++)
		assert_true(tries_go_on(&t, &lost, MOST));
	assert_false(tries_go_on(&t, &lost, MOST));
	struct err refused = said(ERR_CREDENTIALS, -1), folder = said(ERR_FOLDER, -1);
	t = (struct tries){0};
	assert_false(tries_go_on(&t, &refused, MOST)); /* does not pass by itself */
	assert_false(tries_go_on(&t, &folder, MOST));
}

/* Who asks to wait is there: neither that nor what failed before is a try; but the pauses grow on. */
static void test_waits_are_no_tries(void **state)
{
	(void)state;
	struct tries t = {0};
	struct err lost = said(ERR_LOST, -1), throttled = said(ERR_THROTTLED, -1), busy = said(ERR_BUSY, 7000);
	for (unsigned i = 0; i < 100; i++) {
		assert_true(tries_go_on(&t, i % 2 ? &throttled : &busy, MOST));
		assert_true(tries_go_on(&t, &lost, MOST));
		assert_int_equal(t.failures, 1);
		assert_int_equal(t.pauses, 2 * i + 2);
	}
	for (unsigned i = 2; i < MOST; i++)
		assert_true(tries_go_on(&t, &lost, MOST));
	assert_false(tries_go_on(&t, &lost, MOST));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_asks_to_wait),
		cmocka_unit_test(test_so_many_failures_in_a_row), cmocka_unit_test(test_waits_are_no_tries)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
