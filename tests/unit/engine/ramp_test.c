/* How many mailboxes at once: advice, steps up and back, with a time of its own. */
#include "engine/ramp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define STRETCH 1000

static struct ramp r;
static int64_t now_ms;
static char text[RAMP_TEXT];

static void begin(unsigned n)
{
	now_ms = 5000;
	ramp_init(&r, n, now_ms, STRETCH);
}

/* One stretch of looks; the last step that was taken in it. */
static enum ramp_step stretch(double per_s, bool automatic, unsigned most, bool held_back)
{
	enum ramp_step last = RAMP_STAY;
	for (int i = 0; i < 10; i++) {
		struct ramp_sight s = {
			.active = r.now, .most = most, .per_s = per_s, .troubles = r.troubles, .held_back = held_back};
		now_ms += STRETCH / 10;
		enum ramp_step step = ramp_see(&r, now_ms, &s, automatic, text);
		if (step != RAMP_STAY)
			last = step;
	}
	return last;
}

static enum ramp_step trouble(bool automatic)
{
	struct ramp_sight s = {.active = r.now, .most = 10, .per_s = 100, .troubles = r.troubles + 1};
	now_ms += 10;
	return ramp_see(&r, now_ms, &s, automatic, text);
}

static void test_advice(void **unused)
{
	(void)unused;
	begin(2);
	assert_int_equal(stretch(100000, false, 10, false), RAMP_ADVISE);
	assert_int_equal(r.advice, 3);
	assert_int_equal(r.now, 2); /* only said */
	assert_non_null(strstr(text, "3 mailboxes at once could be allowed: 2 ran"));
	assert_int_equal(stretch(100000, false, 10, false), RAMP_STAY); /* once */
	assert_int_equal(trouble(false), RAMP_STAY);
	assert_int_equal(r.now, 2);
	assert_int_equal(r.advice, 0);
	begin(2);
	assert_int_equal(stretch(100000, false, 2, false), RAMP_STAY); /* nobody waits, or there is no room */
	assert_int_equal(stretch(100000, false, 10, true), RAMP_STAY); /* a rate binds: it says nothing */
}

static void test_up_and_up(void **unused)
{
	(void)unused;
	begin(2);
	for (unsigned n = 2; n < 6; n++) {
		assert_int_equal(r.now, n);
		assert_int_equal(stretch(100000 * n, true, 6, false), RAMP_UP);
	}
	assert_int_equal(stretch(600000, true, 6, false), RAMP_STAY);
	assert_int_equal(r.now, 6);
}

static void test_a_step_that_brings_nothing_is_taken_back(void **unused)
{
	(void)unused;
	begin(2);
	assert_int_equal(stretch(200000, true, 10, false), RAMP_UP);
	assert_int_equal(stretch(205000, true, 10, false), RAMP_BACK);
	assert_int_equal(r.now, 2);
	assert_non_null(strstr(text, "3 brought 205 kB/s, and 2 had brought 200 kB/s"));
	for (int i = 0; i < 4; i++) /* not again at once */
		assert_int_equal(stretch(200000, true, 10, false), RAMP_STAY);
	assert_int_equal(stretch(200000, true, 10, false), RAMP_UP);
	assert_int_equal(stretch(200000, true, 10, false), RAMP_BACK);
	for (int i = 0; i < 9; i++) /* and less and less often */
		assert_int_equal(stretch(200000, true, 10, false), RAMP_STAY);
}

static void test_back_on_trouble(void **unused)
{
	(void)unused;
	begin(8);
	assert_int_equal(trouble(true), RAMP_BACK);
	assert_int_equal(r.now, 6);
	assert_non_null(strstr(text, "refused or broke off"));
	assert_int_equal(trouble(true), RAMP_STAY); /* the same spell */
	now_ms += 2 * STRETCH;
	assert_int_equal(trouble(true), RAMP_BACK);
	assert_int_equal(r.now, 4);
	for (int i = 0; i < 20; i++) {
		now_ms += 2 * STRETCH;
		trouble(true);
	}
	assert_int_equal(r.now, 1); /* never none */
	assert_non_null(strstr(text, "1 mailbox at once instead of 2"));
}

static void test_back_when_the_source_slows_down(void **unused)
{
	(void)unused;
	begin(4);
	assert_int_equal(stretch(400000, true, 4, false), RAMP_STAY);
	assert_int_equal(stretch(350000, true, 4, false), RAMP_STAY); /* mailboxes differ */
	assert_int_equal(stretch(100000, true, 4, false), RAMP_BACK);
	assert_int_equal(r.now, 3);
	assert_non_null(strstr(text, "the source gives 100 kB/s where it gave 400 kB/s"));
	assert_int_equal(stretch(100000, true, 4, true), RAMP_STAY); /* our own doing */
	begin(4);
	stretch(400000, false, 4, false);
	assert_int_equal(stretch(100000, false, 4, false), RAMP_STAY); /* the person's number stays */
	assert_int_equal(r.now, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_advice), cmocka_unit_test(test_up_and_up),
		cmocka_unit_test(test_a_step_that_brings_nothing_is_taken_back), cmocka_unit_test(test_back_on_trouble),
		cmocka_unit_test(test_back_when_the_source_slows_down)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
