#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "imap/fetch.h"

#include <string.h>

static void test_peek(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint32_t seq, uid;
		bool is_sized;
		uint64_t octets;
	} cases[] = {
		{"* 1 FETCH (UID 99 BODY[] {5}\r\n", 1, 99, true, 5},
		{"* 12 FETCH (FLAGS (\\Seen) UID 7 BODY[] {0}\r\n", 12, 7, true, 0},
		{"* 12 FETCH (BODY[] {157248154}\r\n", 12, 0, true, 157248154},
		{"* 1 FETCH (UID 5 BODY[] {3}\r\n)\r\n* 2 FETCH (UID 6 BODY[] {4}\r\n", 2, 6, true, 4},
		{"* 1 FETCH (UID 5 BODY[HEADER] {3}\r\n BODY[] {4}\r\n", 1, 5, true, 4},
		{"* 2 EXISTS\r\n* 1 fetch (uid 5 BODY[]<8388608> {4}\r\n", 1, 5, true, 4},
		{"* 1 FETCH (UID 5 BODY[] \"abc\")\r\n", 1, 5, false, 0},
		{"* 1 FETCH (X \"UID 9\" UID 5 BODY[] {4}\r\n", 1, 5, true, 4},
		{"* 1 FETCH (XUID 9 BODY[] {4}\r\n", 1, 0, true, 4},
		{"* 1 FETCH (UID x BODY[] {99999999999999999999}\r\n", 1, 0, false, 0},
		{"* 1 FETCH (UID 99999999999 BODY[] {}\r\n", 1, 0, false, 0},
		{"* x", 0, 0, false, 0},
		{"*", 0, 0, false, 0},
		{"", 0, 0, false, 0},
		{"}", 0, 0, false, 0},
		{"1}", 0, 0, false, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fetch_place place;
		fetch_peek(cases[i].text, strlen(cases[i].text), &place);
		assert_int_equal(place.seq, cases[i].seq);
		assert_int_equal(place.uid, cases[i].uid);
		assert_int_equal(place.is_sized, cases[i].is_sized);
		if (place.is_sized)
			assert_int_equal(place.octets, cases[i].octets);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_peek)};
	return cmocka_run_group_tests_name("fetch", tests, NULL, NULL);
}
