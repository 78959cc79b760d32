/* What is put into a script stays data, whatever it holds. */
#include "engine/command/powershell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_strings(void **unused)
{
	(void)unused;
	static const struct {
		const char *text, *script; /* NULL: refused */
	} cases[] = {
		{"", "''"},
		{"ann@contoso.example", "'ann@contoso.example'"},
		{"o'brien", "'o''brien'"},
		{"'; Remove-Mailbox x; '", "'''; Remove-Mailbox x; '''"},
		{"$(a) `b \"c\" # d", "'$(a) `b \"c\" # d'"},
		{"m\xc3\xbcller", "('m' + [char]0xfc + 'ller')"},
		{"\xe2\x80\x99;x", "('' + [char]0x2019 + ';x')"}, /* PowerShell takes it for a quotation mark */
		{"\xf0\x9f\x98\x80'", "('' + [char]::ConvertFromUtf32(0x1f600) + '''')"},
		{"a\nb", NULL},
		{"a\x7f", NULL},
		{"a\xc2\x85"
		 "b",
			NULL},           /* NEL */
		{"a\xe2\x80\xa8", NULL}, /* line separator */
		{"\xff", NULL},
		{"\xc3", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b;
		struct err err = ERR_INIT;
		buf_init(&b, 1000);
		int rc = powershell_add_string(&b, "an address", cases[i].text, &err);
		assert_int_equal(rc, cases[i].script ? 0 : -1);
		if (cases[i].script)
			assert_string_equal(buf_str(&b), cases[i].script);
		else
			assert_int_equal(err.kind, ERR_USAGE);
		buf_done(&b);
	}
	struct buf small;
	struct err err = ERR_INIT;
	buf_init(&small, 4);
	assert_int_equal(powershell_add_string(&small, "x", "long text", &err), -1);
	assert_int_equal(err.kind, ERR_MEMORY);
	buf_done(&small);
}

static void test_comments(void **unused)
{
	(void)unused;
	struct buf b;
	struct err err = ERR_INIT;
	buf_init(&b, 1000);
	assert_int_equal(powershell_add_comment(&b, "one\r\xc3\xbc\ntwo\n", &err), 0);
	assert_string_equal(buf_str(&b), "# one???\n# two\n");
	buf_clear(&b);
	assert_int_equal(powershell_add_comment(&b, "a\n\nb", &err), 0);
	assert_string_equal(buf_str(&b), "# a\n# \n# b\n");
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_strings), cmocka_unit_test(test_comments)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
