#include "engine/base/similar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void test_words(void **state)
{
	(void)state;
	static const struct {
		const char *typed, *known;
		bool similar;
	} rows[] = {{"odl", "old", true}, {"odd", "old", true}, {"dlo", "old", false}, {"hots", "host", true},
		{"contosso", "contoso", true}, {"CONTOS", "contoso", true}, {"wave", "wave1", true},
		{"my-old-host", "old", true}, {"pilot", "wave1", false}, {"a", "b", true}, {"ab", "cd", false},
		{"", "old", false}, {"old", "", false}, {"endpont", "endpoint", true}, {"tset", "test", true}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (similar_words(rows[i].typed, rows[i].known) != rows[i].similar)
			fail_msg("%s for %s", rows[i].typed, rows[i].known);
}

static void test_long_words_end(void **state)
{
	(void)state;
	char a[1000], b[1000];
	for (size_t i = 0; i + 1 < sizeof a; i++) {
		a[i] = 'a';
		b[i] = 'b';
	}
	a[sizeof a - 1] = b[sizeof b - 1] = '\0';
	assert_false(similar_words(a, b));
	assert_true(similar_words(a, a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_long_words_end)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
