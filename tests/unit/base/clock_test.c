#include "engine/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_known_moments(void **state)
{
	(void)state;
	static const struct {
		int64_t at;
		const char *text;
	} cases[] = {
		{0, "1970-01-01T00:00:00Z"},
		{-1, "1969-12-31T23:59:59Z"},
		{951782400, "2000-02-29T00:00:00Z"},
		{1795471055, "2026-11-23T21:57:35Z"},
		{-2203891200, "1900-03-01T00:00:00Z"}, /* 1900 had no 29 February */
		{253402300799, "9999-12-31T23:59:59Z"},
		{-62135596800, "0001-01-01T00:00:00Z"},
		{-62167219200, "0000-01-01T00:00:00Z"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[CLOCK_TEXT];
		assert_string_equal(clock_format(cases[i].at, out, sizeof(out)), cases[i].text);
		struct clock_fields f;
		clock_split(cases[i].at, &f);
		assert_int_equal(clock_join(&f), cases[i].at);
	}
}

/* Every day of 1,200 years follows the one before it. */
static void test_days_follow(void **state)
{
	(void)state;
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	struct clock_fields f, before = {.year = 1599, .month = 12, .day = 31};
	int64_t at = clock_join(&before) + 86400;
	for (int i = 0; i < 1200 * 365; i++, at += 86400) {
		clock_split(at, &f);
		bool leap = (before.year % 4 == 0 && before.year % 100 != 0) || before.year % 400 == 0;
		int length = lengths[before.month - 1] + (before.month == 2 && leap);
		if (before.day < length) {
			assert_int_equal(f.day, before.day + 1);
			assert_int_equal(f.month, before.month);
		} else {
			assert_int_equal(f.day, 1);
			assert_int_equal(f.month, before.month % 12 + 1);
			assert_int_equal(f.year, before.year + (before.month == 12));
		}
		assert_int_equal(f.hour + f.minute + f.second, 0);
		assert_int_equal(clock_join(&f), at);
		before = f;
	}
}

static void test_sleep_ends_with_the_descriptor(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	int64_t from = clock_mono_ms();
	clock_sleep_ms(60000, fds[0]);
	clock_sleep_ms(0, -1);
	clock_sleep_ms(-5, -1);
	assert_true(clock_mono_ms() - from < 50000);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_moments),
		cmocka_unit_test(test_days_follow),
		cmocka_unit_test(test_sleep_ends_with_the_descriptor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
