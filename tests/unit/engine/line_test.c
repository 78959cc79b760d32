#include "engine/limit.h"
#include "engine/line.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void lines_up(struct lines *l, struct throttle *t)
{
	static const char *names[LINE_PLACES] = {"way", "server", "batch", "mailbox"};
	for (int way = 0; way < LINE_WAYS; way++)
		for (int place = LINE_ALL; place < LINE_PLACES; place++)
			l->at[way][place] = scope_open(
				t, place ? l->at[way][place - 1] : NULL, names[place], &(struct scope_limits){0});
}

static double limit_at(struct lines *l, const struct limit_rates *rates)
{
	struct line_view v;
	line_set(l, rates);
	line_look(l, &v);
	return v.limit_per_s;
}

static void test_shares(void **state)
{
	(void)state;
	struct throttle *t = throttle_new();
	struct lines l = {0};
	lines_up(&l, t);
	assert_true(limit_at(&l, &(struct limit_rates){.share = 1}) == 0);
	assert_true(limit_at(&l, &(struct limit_rates){.batch = 20000, .share = 1}) == 20000);
	assert_true(limit_at(&l, &(struct limit_rates){.batch = 20000, .target = 10000, .share = 0.25}) == 2500);
	assert_true(limit_at(&l, &(struct limit_rates){.batch = 20000, .share = 0.25}) == 5000);
	/* The window closes: what is under way does not end at the line's full speed. */
	assert_true(limit_at(&l, &(struct limit_rates){.batch = 20000, .share = 0}) == 5000);
	assert_true(limit_at(&l, &(struct limit_rates){.batch = 20000, .share = 1}) == 20000);
	assert_true(limit_at(&l, &(struct limit_rates){.share = 1}) == 0);
	line_close(&l);
	throttle_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_shares)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
