/* Names of the model's enums. */
#include "engine/store/model.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_names(void **unused)
{
	(void)unused;
	assert_string_equal(batch_state_name(BATCH_SYNCED_WITH_ERRORS), "SyncedWithErrors");
	assert_string_equal(user_state_name(USER_INCREMENTAL_SYNCING), "IncrementalSyncing");
	assert_string_equal(item_state_name(ITEM_GONE), "gone");
	assert_string_equal(batch_state_name((enum batch_state)99), "?");
	for (int m = TLS_IMPLICIT; m <= TLS_NONE; m++)
		assert_int_equal(tls_mode_parse(tls_mode_name((enum tls_mode)m)), m);
	for (int m = AUTH_ANY; m <= AUTH_XOAUTH2; m++)
		assert_int_equal(auth_method_parse(auth_method_name((enum auth_method)m)), m);
	assert_int_equal(tls_mode_parse("ssl"), -1);
	assert_int_equal(auth_method_parse(""), -1);
}

static void test_done(void **unused)
{
	(void)unused;
	struct generation g = {.id = 1, .raw = strdup("INBOX")};
	struct dest_folder f = {.id = 1, .path = strdup("INBOX")};
	struct item i = {.uid = 1, .print.subject = strdup("s")};
	generation_done(&g);
	generation_done(&g);
	dest_folder_done(&f);
	dest_folder_done(&f);
	item_done(&i);
	item_done(&i);
	assert_null(g.raw);
	assert_null(f.path);
	assert_null(i.print.subject);
}

static void test_routes(void **unused)
{
	(void)unused;
	char one[8];
	assert_true(routes_have("imap,mime", "imap") && routes_have("imap,mime", "mime"));
	assert_false(routes_have("imap,mime", "im") || routes_have("", "imap") || routes_have("imapx", "imap"));
	assert_true(routes_at("mime,imap", 1, one, sizeof(one)));
	assert_string_equal(one, "imap");
	assert_false(routes_at("mime,imap", 2, one, sizeof(one)) || routes_at("", 0, one, sizeof(one)));
	assert_false(routes_at("much-too-long", 0, one, sizeof(one)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), cmocka_unit_test(test_routes), cmocka_unit_test(test_done)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
