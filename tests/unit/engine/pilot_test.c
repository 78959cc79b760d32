#include "engine/pilot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct assessment mailbox(uint64_t messages, uint64_t bytes, unsigned folders)
{
	return (struct assessment){
		.at = 1, .messages = messages, .bytes = bytes, .folders = folders, .folders_moved = folders};
}

static void test_small_with_many_folders_and_typical(void **state)
{
	(void)state;
	char why[160] = "";
	struct assessment v[] = {mailbox(3, 9000, 5),                  /* proves nothing */
		mailbox(900000, 90000000000, 80),                      /* takes too long */
		mailbox(800, 60000000, 6), mailbox(700, 52000000, 30), /* this one */
		mailbox(600, 600000000, 6)};                           /* huge messages */
	assert_int_equal(pilot_choose(v, 5, why, sizeof why), 3);
	assert_non_null(strstr(why, "700 messages"));
	/* not one with something to be mended, that failed, is empty or was never looked at */
	v[3].problems = 1;
	assert_int_equal(pilot_choose(v, 5, why, sizeof why), 2);
	v[2].error_kind = ERR_CREDENTIALS;
	v[4].at = 0;
	v[1].messages = 0;
	assert_int_equal(pilot_choose(v, 5, why, sizeof why), 0);
	v[0].messages = 0;
	assert_int_equal(pilot_choose(v, 5, why, sizeof why), 5);
	assert_int_equal(pilot_choose(v, 0, why, sizeof why), 0);
}

/* What would have to be acknowledged, or is left out, makes a worse pilot of equals; drafts a better one. */
static void test_between_equals(void **state)
{
	(void)state;
	char why[160];
	struct assessment v[] = {mailbox(500, 40000000, 10), mailbox(500, 40000000, 10)};
	v[0].left_out = 2;
	assert_int_equal(pilot_choose(v, 2, why, sizeof why), 1);
	v[0].left_out = 0;
	v[0].drafts = 3;
	assert_int_equal(pilot_choose(v, 2, why, sizeof why), 0);
	assert_non_null(strstr(why, "drafts"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_with_many_folders_and_typical),
		cmocka_unit_test(test_between_equals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
