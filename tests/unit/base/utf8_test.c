#include "engine/base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_every_character(void **state)
{
	(void)state;
	for (uint32_t c = 0; c < 0x110100; c++) {
		char out[4];
		uint32_t back = 0;
		size_t n = utf8_encode(c, out);
		bool is_character = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
		assert_int_equal(n > 0, is_character);
		if (!is_character)
			continue;
		assert_int_equal(utf8_decode(out, n, &back), n);
		assert_int_equal(back, c);
		for (size_t cut = 0; cut < n; cut++)
			assert_int_equal(utf8_length(out, cut), 0);
	}
}

static void test_invalid(void **state)
{
	(void)state;
	static const char *const bad[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
		"\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3x", "\xe2\x82x"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(utf8_length(bad[i], strlen(bad[i])), 0);
		assert_false(utf8_is_valid(bad[i], strlen(bad[i])));
	}
	assert_true(utf8_is_valid("a\xc3\xa9\xe2\x82\xac", 6));
	assert_true(utf8_is_valid("", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_character),
		cmocka_unit_test(test_invalid),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
