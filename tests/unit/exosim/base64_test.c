#include "upload/exosim/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_decoding(void **state)
{
	static const struct {
		const char *in;
		bool lines;
		const char *out; /* NULL: not valid */
	} rows[] = {{"aGVsbG8=", false, "hello"}, {"aGk=", false, "hi"}, {"YQ==", false, "a"}, {"", false, ""},
		{"YWJj", false, "abc"}, {"+/+/", false, "\xfb\xff\xbf"}, {"YW\r\nJj\r\n", true, "abc"},
		{"Y Q\t==\n", true, "a"}, {"YW\nJj", false, NULL}, {"YQ=", false, NULL}, {"YQ", false, NULL},
		{"Y", false, NULL}, {"YWJj=", false, NULL}, {"=", false, NULL}, {"YQ==YQ==", false, NULL},
		{"YQ=a", false, NULL}, {"YR==", false, NULL}, {"aGl=", false, NULL}, {"YW-j", false, NULL},
		{"YW_j", false, NULL}, {"YQ===", false, NULL}, {"====", true, NULL}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char data[40];
		size_t n = strlen(rows[i].in);
		bool ok;

		memcpy(data, rows[i].in, n + 1);
		ok = base64_decode_in_place(data, &n, rows[i].lines);
		if (ok != (rows[i].out != NULL) ||
			(ok && (n != strlen(rows[i].out) || memcmp(data, rows[i].out, n) != 0)))
			fail_msg("%s", rows[i].in);
	}
}

static void test_a_nul_is_no_digit(void **state)
{
	char data[] = "YW\0j";
	size_t n = 4;

	(void)state;
	assert_false(base64_decode_in_place(data, &n, true));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decoding), cmocka_unit_test(test_a_nul_is_no_digit)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
