#include "imap/quirk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_table(void **state)
{
	(void)state;
	assert_int_equal(quirk_find("The Microsoft Exchange IMAP4 service is ready. [x]", "", ""), QUIRK_EXCHANGE);
	assert_int_equal(quirk_find("", "Microsoft.Exchange.Imap4.Imap4Server 15.20", ""), QUIRK_EXCHANGE);
	assert_int_equal(quirk_find("Courier-IMAP ready. Copyright", "", ""), QUIRK_COURIER);
	assert_int_equal(quirk_find("", "", "IMAP4rev1 X-GM-EXT-1"), QUIRK_GMAIL);
	assert_int_equal(
		quirk_find("Coremail System IMap Server Ready(163com)", "", ""), QUIRK_NO_PIPELINE | QUIRK_SMALL_SETS);
	assert_int_equal(quirk_find("Dovecot ready.", "Dovecot", "IMAP4rev1 LITERAL+"), 0);
	assert_int_equal(quirk_find("", "", ""), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
