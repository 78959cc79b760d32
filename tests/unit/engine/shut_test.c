#include "engine/shut.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_waits_go_on(void **state)
{
	(void)state;
	struct shut s = {0};
	assert_int_equal(shut_take(&s, 1, 1000), 0);
	for (int64_t user = 1; user <= 100; user++)
		shut_note(&s, user, (unsigned)user + 10, 1000);
	assert_int_equal(shut_take(&s, 7, 1000), 17);
	assert_int_equal(shut_take(&s, 7, 1000), 0); /* each time is noted anew */
	assert_int_equal(shut_take(&s, 100, 5000), 110);
	assert_int_equal(shut_take(&s, 8, 999), 18); /* a second is nothing */
	assert_int_equal(shut_take(&s, 9, 900), 0);  /* started by a person */
	assert_int_equal(shut_take(&s, 9, 5000), 0); /* and forgotten */
	shut_note(&s, 7, 18, 2000);
	assert_int_equal(shut_take(&s, 7, 2000), 18);
	assert_int_equal(s.n, 96);
	shut_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_waits_go_on)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
