#include "engine/base/number.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_as_printf_does(void **state)
{
	(void)state;
	static const uint64_t values[] = {0, 1, 9, 10, 99, 100, 4294967295u, 4294967296u, INT64_MAX, UINT64_MAX};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		for (unsigned least = 0; least <= 25; least++) {
			char out[NUMBER_TEXT], expected[64];
			int n = snprintf(expected, sizeof(expected), "%0*" PRIu64,
				least < 1    ? 1
				: least > 20 ? 20
					     : (int)least,
				values[i]);
			assert_int_equal(number_format(values[i], least, out), n);
			assert_string_equal(out, expected);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_printf_does)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
