/* The table's names: the crash harness knows the points by them. What a hit does is tested there, in the
   program. */
#include "engine/base/failpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_names(void **state)
{
	(void)state;
	static const char *const names[] = {
#define X(k, n) n,
		FAILPOINTS(X)
#undef X
	};
	for (size_t i = 0; i < FAILPOINTS_END; i++) {
		assert_null(strchr(names[i], ':'));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(names[i], names[k]);
	}
	failpoint_hit(FP_PULL_BEFORE_FETCH); /* nothing happens unless it was armed */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_names)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
